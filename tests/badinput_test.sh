#!/usr/bin/env bash
# What a wrong file, parameter, configuration, server or tape gets: words that say
# what was wrong and what would be right, the documented exit code, nothing touched.
. "$(dirname "$0")/lib.sh"
sandbox_up
cd "$tmp" || exit 2
isolation=tenant_isolation
before=$(redis-cli -u "$SANDBOX_REDIS_ADMIN_URL" --no-auth-warning debug digest)
untouched() { is "$1: nothing was touched" "$(redis-cli -u "$SANDBOX_REDIS_ADMIN_URL" --no-auth-warning debug digest)" "$before"; }

bad() {  # WHAT EXIT WORDS ARGS...: `runbook ARGS` ends so, as text and as JSON
  local what=$1 code=$2 words=$3; shift 3
  rb "$@" --json
  is "$what: exit $code" "$rc" "$code"
  has "$what: says what was wrong" "$(jq -r .error.message <<<"$out" 2>&1)" "$words"
  rb "$@"
  has "$what: says it to people, too" "$out$err" "$words"
  hasnot "$what: no Lua stack" "$err" "stack traceback"
}

# -- the file --------------------------------------------------------------------
f() { printf '%s\n' "$1" > "$tmp/f.lua"; }
f 'return runbook { title = "t", step "a" { probe = function () end '
bad "a syntax error" 2 "expected" run f.lua
f '-- nothing'
bad "returns nothing" 2 "runbook" run f.lua
f 'local a = runbook { title = "a", step "s" { probe = function () end } } return a, runbook { title = "b", step "s" { probe = function () end } }'
bad "two runbooks" 2 "one" run f.lua
f 'return runbook { title = "t", step "a" { prob = function () end } }'
bad "an unknown field" 2 "probe" run f.lua
f 'return runbook { title = "t", step "a" { } }'
bad "a step without a body" 2 "step" run f.lua
f 'file.read "/etc/hostname" return runbook { title = "t", step "a" { probe = function () end } }'
bad "a primitive while loading" 2 "belongs into a step" run f.lua
f 'local erp = system "school_erp" erp.redis:get "x" return runbook { title = "t", step "a" { probe = function () end } }'
bad "a resource while loading" 2 "belongs into a step" run f.lua
printf 'return runbook { title = "caf\xe9", step "a" { probe = function () end } }' > f.lua
bad "a file that is not UTF-8" 2 "UTF-8" run f.lua
bad "a misspelt name" 2 "tenant_isolation" run tenant_isolatoin

# -- parameters --------------------------------------------------------------------
bad "an unknown parameter" 2 "tenant" run $isolation tenent=x --dry-run
bad "an ill-typed duration" 2 "90s" run $isolation block=90 --dry-run
bad "an unknown step" 2 "no step" run $isolation --only nope --dry-run
bad "an unknown case" 2 "isolate" run $isolation --case isolat --dry-run
bad "an unknown option" 2 "dry-run" run $isolation --dry-rum
bad "a tenant that is not there" 1 "there is no school" run $isolation 'tenant=x"; DROP SCHEMA public; --' --yes
untouched "the tenant of the injection"
is "schema public is still there" "$(psql -qAt "${SANDBOX_PG_ADMIN_URL%/*}/school_erp" -c "select count(*) from pg_namespace where nspname = 'public'")" 1

# -- the configuration ----------------------------------------------------------------
config() { printf '%s\n' "$1" > "$tmp/bad.config.lua"; chmod 600 "$tmp/bad.config.lua"; }
config 'return { targts = {} }'
bad "an unknown key" 2 "targets" run $isolation --dry-run --config bad.config.lua
config 'return { target = "l", targets = { l = { kind = "sandbox", systems = { s = { http = "127.0.0.1:1" } } } } }'
bad "a URL without a scheme" 2 "http://" run "$top/runbooks/school_erp/tenant_isolation.lua" --dry-run --config bad.config.lua
config 'return { target = "l", targets = { l = { kind = "sandbox", systems = { s = { pg = env "NO_SUCH_VARIABLE" } } } } }'
bad "a missing environment variable" 2 "NO_SUCH_VARIABLE" run "$top/runbooks/school_erp/tenant_isolation.lua" --dry-run --config bad.config.lua
bad "a target that is not there" 2 "local" run $isolation --target locl --dry-run

# -- servers ----------------------------------------------------------------------------
with() {  # KIND URL: the sandbox's configuration with another URL for a resource
  python3 -c 'import re, sys
text = open(sys.argv[1]).read()
text, n = re.subn(r"(\b%s\s*=\s*)\{[^{}]*(\{[^{}]*\}[^{}]*)*\}" % sys.argv[2], r"\1{ url = [[%s]] }" % sys.argv[3], text, count=1)
assert n == 1
open(sys.argv[4], "w").write(text)' "$RUNBOOK_CONFIG" "$1" "$2" "$tmp/other.config.lua"
  chmod 600 "$tmp/other.config.lua"
}
one() { printf 'local erp = system "school_erp"\nreturn runbook { title = "t", system = "school_erp", step "a" { probe = function (run) %s end } }\n' "$1" > "$tmp/one.lua"; }
one 'run.x = erp.pg:value "SELECT 1"'
with pg postgresql://school_erp:x@127.0.0.1:1/school_erp
bad "PostgreSQL is down" 1 "school_erp.pg" run one.lua --config other.config.lua
with pg "postgresql://school_erp:wrong-secret@127.0.0.1:$SANDBOX_PG_PORT/school_erp"
bad "PostgreSQL refuses the password" 1 "password" run one.lua --config other.config.lua
hasnot "the password is not shown" "$out$err" "wrong-secret"
one 'run.x = erp.redis:get "x"'
with redis redis://school_erp:x@127.0.0.1:1/0
bad "Redis is down" 1 "school_erp.redis" run one.lua --config other.config.lua
with redis "redis://school_erp:wrong-secret@127.0.0.1:$SANDBOX_REDIS_PORT/0"
bad "Redis refuses the password" 1 "school_erp.redis" run one.lua --config other.config.lua
hasnot "the password is not shown" "$out$err" "wrong-secret"

python3 - > "$tmp/port" 2>/dev/null <<'PY' &
import socket, sys, time
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(50)
print(s.getsockname()[1], flush=True)
kept = []
while True: kept.append(s.accept())
PY
silent=$!
for _ in $(seq 50); do [ -s "$tmp/port" ] && break; sleep 0.1; done
port=$(cat "$tmp/port")
never() {  # KIND URL BODY
  with "$1" "$2"
  printf 'local erp = system "school_erp"\nreturn runbook { title = "t", system = "school_erp", step "a" { timeout = "1s", probe = function (run) %s end } }\n' "$3" > "$tmp/one.lua"
  local s=$SECONDS
  rb run one.lua --config other.config.lua --json
  is "a $1 server that never answers: exit 1" "$rc" 1
  ok "a $1 server that never answers: in time" test $((SECONDS - s)) -le 4
}
never pg "postgresql://u:p@127.0.0.1:$port/d" 'run.x = erp.pg:value "SELECT 1"'
never redis "redis://127.0.0.1:$port/0" 'run.x = erp.redis:get "x"'
never http "http://127.0.0.1:$port" 'run.x = erp.http:get "/"'
kill $silent

# -- the tape ------------------------------------------------------------------------------
printf 'return runbook { title = "t", step "a" { probe = function () end } }\n' > one.lua
state() { export XDG_STATE_HOME=$tmp/$1; mkdir -p "$XDG_STATE_HOME/runbook"; chmod 700 "$XDG_STATE_HOME/runbook"; }
state damaged; head -c 8192 /dev/urandom > "$XDG_STATE_HOME/runbook/tape.db"; chmod 600 "$XDG_STATE_HOME/runbook/tape.db"
bad "a damaged tape" 2 "tape" run one.lua
cat > write.lua <<'LUA'
return runbook { title = "t", step "a" { remedy = function (run) file.write(run.p, "x") end },
  params = { p = { "string", required = true } } }
LUA
state pages; rb run one.lua
python3 - "$XDG_STATE_HOME/runbook/tape.db" <<'PY'
import sqlite3, sys
c = sqlite3.connect(sys.argv[1]); c.execute("PRAGMA wal_checkpoint(TRUNCATE)")
root = c.execute("SELECT rootpage FROM sqlite_master WHERE name = 'event'").fetchone()[0]; c.close()
f = open(sys.argv[1], "r+b"); f.seek(4096 * (root - 1)); f.write(b"\xa5" * 4096)
PY
rb run write.lua p="$tmp/sb/never" --yes --json
is "a tape with pages overwritten: exit 2, before any step" "$rc $(jq -c '[.run, .error.kind]' <<<"$out")" '2 [null,"tape"]'
has "a tape with pages overwritten: what to do" "$out" "move it away"
ok "a tape with pages overwritten: nothing was done" test ! -e "$tmp/sb/never"
rb doctor; has "doctor sees them, too" "$out" "bad   tape file"
state locked; rb run one.lua
python3 - "$XDG_STATE_HOME/runbook/tape.db" <<'PY' &
import sqlite3, sys, time
c = sqlite3.connect(sys.argv[1]); c.execute("BEGIN EXCLUSIVE"); open("holds", "w"); time.sleep(30)
PY
holder=$!; for _ in $(seq 200); do [ ! -e holds ] || break; sleep 0.1; done
rb run one.lua --json
is "a locked tape: exit 2" "$rc" 2
has "a locked tape: says so" "$out" "locked"
kill $holder 2>/dev/null
state limited
out=$(ulimit -f 16; "$runbook" run write.lua p="$tmp/sb/never" --yes 2>&1 </dev/null); rc=$?
is "a limit on the size of files: exit 2, no signal" "$rc" 2
has "a limit on the size of files: as on a full disk" "$out" "is full"
ok "a limit on the size of files: nothing was done" test ! -e "$tmp/sb/never"
if [ "$(id -u)" = 0 ] && mkdir -p "$tmp/small" && mount -t tmpfs -o size=300k,mode=755 none "$tmp/small" 2>/dev/null; then
  export XDG_STATE_HOME=$tmp/small
  rb run one.lua; is "a tape with room: exit 0" "$rc" 0
  head -c 400k /dev/zero > "$tmp/small/fill" 2>/dev/null
  rb run write.lua p="$tmp/sb/never" --yes --json
  ok "a full disk: not exit 0 ($rc)" test "$rc" != 0
  has "a full disk: says so" "$out" "No space left"
  ok "a full disk: nothing was done" test ! -e "$tmp/sb/never"
  umount "$tmp/small"
else
  skip "a full disk" "needs root and mount"
fi
if [ "$(id -u)" = 0 ] && setpriv --reuid=nobody --clear-groups test -x "$runbook"; then
  mkdir -p "$tmp/ro/runbook"; chmod -R 755 "$tmp/ro"; chown -R nobody "$tmp/ro" 2>/dev/null
  chmod 555 "$tmp/ro/runbook"
  printf 'return { target = "t", targets = { t = { kind = "sandbox" } } }\n' > "$tmp/roots.lua"
  chmod 644 "$tmp/one.lua" "$tmp/roots.lua"
  nobody() { out=$(cd "$tmp" && setpriv --reuid=nobody --clear-groups env RUNBOOK_CONFIG="$tmp/roots.lua" "$@" 2>&1); rc=$?; }
  nobody XDG_STATE_HOME="$tmp/ro" "$runbook" run "$tmp/one.lua" --json
  is "a read-only tape: exit 2" "$rc" 2
  has "a read-only tape: what to do" "$out" "XDG_STATE_HOME (a folder that you may write)"
  nobody XDG_STATE_HOME="$tmp/ro" "$runbook" doctor
  has "doctor sees it, too" "$rc $out" "bad   tape file"
  has "and that everybody may read a configuration of root's" "$out" "warn  configuration mode  everybody may read it"
  nobody XDG_STATE_HOME= HOME=/root "$runbook" doctor
  has "so it does a home that cannot be used" "$rc $out" "bad   tape file"
  chmod 755 "$tmp/ro/runbook"
  nobody XDG_STATE_HOME="$tmp/ro" "$runbook" doctor
  has "and not one that can be" "$rc $out" "ok    tape file           made by the first run"
else skip "a read-only tape" "needs root, and a build that another user can reach"
fi
export XDG_STATE_HOME=$tmp/state
untouched "all of this"
