#!/usr/bin/env bash
# Connections begun ahead of their first use: only those that a run may make, and never a
# word about them.
. "$(dirname "$0")/lib.sh"
sandbox_up
log=$SANDBOX_PG_HOME/server.log

admin() { psql -X -q -At -v ON_ERROR_STOP=1 "$SANDBOX_PG_ADMIN_URL" "$@"; }
admin -c "ALTER SYSTEM SET log_connections = on" -c "SELECT pg_reload_conf()" >/dev/null
for _ in {1..50}; do [ "$(admin -c 'SHOW log_connections')" = on ] && break; sleep 0.1; done
lines() { grep 'connection authorized: .*application_name=runbook' "$log" | sed 's/.*user=\([a-z_]*\).*/\1/'; }
mark() { before=$(lines | wc -l); }
# the users whom PostgreSQL let in since the last mark
seen() { lines | tail -n +"$((before + 1))" | sort | xargs; }
# others USER: those who are not this one; what nobody needs may be given up half-way
others() { seen | tr ' ' '\n' | grep -vx "$1" | xargs; }

config() {  # PG-URL [PROBE-URL]
  local probing=${2:+", probe = \"$2\""}
  cat >"$tmp/a.config.lua" <<LUA
return { target = "x", targets = { x = { kind = "sandbox", systems = { school_erp = {
  http = "$SANDBOX_HTTP_URL", pg = { url = "$1"$probing }, redis = "$SANDBOX_REDIS_URL",
} } } } }
LUA
  chmod 600 "$tmp/a.config.lua"
}
export RUNBOOK_CONFIG=$tmp/a.config.lua
config "$SANDBOX_PG_URL" "$SANDBOX_PG_PROBE_URL"
probe=$(sed -E 's|.*//([^:]*):.*|\1|' <<<"$SANDBOX_PG_PROBE_URL")
remedy=$(sed -E 's|.*//([^:]*):.*|\1|' <<<"$SANDBOX_PG_URL")

book() {  # NAME FIELDS BODY
  printf 'local erp = system "school_erp"\nreturn runbook { title = "t", system = "school_erp", %s\n  step "a" { probe = function (run)\n%s\n end } }\n' \
    "$2" "$3" >"$tmp/$1.lua"
}

# -- what is begun, and what is not

book http "" 'erp.http:get "/health"'
mark; rb run "$tmp/http.lua"
is "a script that does not name PostgreSQL does not connect to it ($rc)" "$(seen)" ""

book unused "" 'erp.http:get "/health"; if run.id == "" then erp.pg:value "SELECT 1" end'
mark; rb run "$tmp/unused.lua"
is "one that names it connects as the probe's role, if at all ($rc)" "$(others "$probe")" ""
is "and does not wait for what it does not need" "$rc" 0

book value "" 'run:note("answer %d", erp.pg:value "SELECT 41 + 1")'
mark; rb run "$tmp/value.lua" --dry-run
is "a dry run of a script without a remedy connects as the probe's role only ($rc)" "$(seen)" "$probe"
cat >"$tmp/previews.lua" <<'LUA'
local erp = system "school_erp"
return runbook { title = "t", system = "school_erp", lock = "previews",
  step "a" { probe = function () erp.pg:value "SELECT 1" end },
  step "b" { remedy = function () erp.pg:exec "UPDATE public.schools SET schema_name = schema_name" end } }
LUA
mark; rb run "$tmp/previews.lua" --dry-run
is "one with a remedy as both, once each: for its lock, its probe, its preview ($rc)" "$(seen)" \
  "$(printf '%s\n' "$remedy" "$probe" | sort | xargs)"
book acts "" 'erp.pg:value "SELECT 1"; run:sleep "1s"; erp.pg:exec "UPDATE public.schools SET schema_name = schema_name"'
sed -i 's/probe = function/remedy = function/' "$tmp/acts.lua"
mark; rb run "$tmp/acts.lua"
is "a real run of a script with a remedy connects as both, once each ($rc)" "$(seen)" \
  "$(printf '%s\n' "$remedy" "$probe" | sort | xargs)"

mark; rb run "$tmp/value.lua"
is "what was begun is used: one connection" "$(seen)" "$probe"
has "for the answer" "$err$out" "answer 42"

for command in check list show; do
  mark; rb "$command" "$tmp/value.lua"
  is "$command connects to nothing" "$(seen)" ""
done
book param 'params = { n = { "integer", required = true } },' 'erp.pg:value "SELECT 1"'
mark; rb run "$tmp/param.lua"; is "a missing parameter: exit 2" "$rc" 2
rb run "$tmp/param.lua" n=x; is "a wrong one: exit 2" "$rc" 2
is "and nobody was connected to" "$(seen)" ""

book locked 'lock = "ahead",' 'erp.pg:value "SELECT 1"'
mkdir -p "$XDG_STATE_HOME/runbook/locks"
exec 8>"$XDG_STATE_HOME/runbook/locks/ahead"; flock 8
mark; rb run "$tmp/locked.lua"; is "a lock that is held: exit 5" "$rc" 5
is "and nobody was connected to" "$(seen)" ""
exec 8>&-
book approved 'approve = "cto",' 'erp.pg:value "SELECT 1"'
mark; rb run "$tmp/approved.lua"; is "an approval that is missing: exit 3" "$rc" 3
is "and nobody was connected to" "$(seen)" ""

# -- where it goes

config "$(sed 's/@127.0.0.1:/@localhost:/' <<<"$SANDBOX_PG_URL")" \
       "$(sed 's/@127.0.0.1:/@localhost:/' <<<"$SANDBOX_PG_PROBE_URL")"
mark; rb run "$tmp/value.lua"
is "a name is looked up: one connection ($rc)" "$(seen)" "$probe"
config "$SANDBOX_PG_URL"
mark; rb run "$tmp/value.lua"
is "without a role for probes it is the one that there is ($rc)" "$(seen)" "$remedy"

# -- what fails is made again, and said once

said() {  # what went wrong is said as if nothing had been begun, on one line
  is "$1: exit 1" "$rc" 1
  has "$1: said" "$err$out" "$2"
  is "$1: once" "$(grep -c "$2" <<<"$err$out")" 1
}
config "$(sed -E 's|:[^:@/]*@|:wrong@|' <<<"$SANDBOX_PG_URL")"
rb run "$tmp/value.lua"; said "a wrong password" "school_erp.pg: cannot connect"
config "postgresql://a:b@127.0.0.1:1/x"
rb run "$tmp/value.lua"; said "a server that is down" "school_erp.pg: cannot connect"
config "postgresql://a:b@no-such-host.invalid/x"
rb run "$tmp/value.lua"; said "a name that does not resolve" "does not resolve"
rb run "$tmp/unused.lua"
is "nobody hears of a server that was not needed" "$rc $err" "0 "

# a server that accepts and never answers
"$python" - "$tmp/port" <<'PY' &
import socket, sys, time
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(16)
open(sys.argv[1] + ".new", "w").write(str(s.getsockname()[1]))
import os; os.rename(sys.argv[1] + ".new", sys.argv[1])
time.sleep(120)
PY
mute=$!
for _ in {1..100}; do [ -s "$tmp/port" ] && break; sleep 0.05; done
config "postgresql://a:b@127.0.0.1:$(cat "$tmp/port")/x"
book late "" 'erp.pg:value("SELECT 1", {}, { timeout = "300ms" })'
rb run "$tmp/late.lua"; said "a server that never answers" "did not let us in in time"
rb run "$tmp/unused.lua"; is "and a run that has no need of it ends without it" "$rc" 0
"$runbook" run "$tmp/value.lua" >"$tmp/out" 2>&1 & pid=$!
for _ in {1..100}; do grep -q 'run  ' "$tmp/out" && break; sleep 0.05; done
sleep 0.2; kill -INT $pid; wait $pid
is "Ctrl-C ends the wait for it" "$?" 130
kill $mute

# -- many at once

config "$SANDBOX_PG_URL" "$SANDBOX_PG_PROBE_URL"
book each "" 'local n = 0
  run:each({1,2,3,4,5,6,7,8,9,10,11,12}, { limit = 12 }, function (i) return erp.pg:value("SELECT :i::int", { i = i }) end)'
rb run "$tmp/each.lua"; is "branches that all want one" "$rc" 0
# while libraries are being loaded and connections made, a program is started
cat >"$tmp/fork.lua" <<'LUA'
local erp = system "school_erp"
return runbook { title = "t", system = "school_erp",
  step "a" { probe = function (run)
    for _ = 1, 5 do exec.probe { "/bin/true" } end
    erp.pg:value "SELECT 1"; erp.http:get "/health"
  end } }
LUA
sed -i 's/kind = "sandbox",/& allow = { programs = { "\/bin\/true" } },/' "$tmp/a.config.lua"
rb run "$tmp/fork.lua"; is "programs start meanwhile" "$rc" 0
[ "$rc" = 0 ] || printf '%s\n' "$out" "$err"
