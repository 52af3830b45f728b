#!/usr/bin/env bash
# A run goes on, and is taken back, on the servers that it began on, and on no others
. "$(dirname "$0")/lib.sh"
sandbox_up
cd "$tmp" || exit 1
work=$tmp/work; mkdir "$work"
sql() { psql -XqAt -v ON_ERROR_STOP=1 "$1" -c "$2"; }
admin() { sql "$SANDBOX_PG_ADMIN_URL" "$1"; }
me=$(sql "$SANDBOX_PG_URL" "SELECT current_user")
db() { echo "${SANDBOX_PG_URL%/*}/$1"; }
admin "CREATE DATABASE one OWNER $me"; sql "$(db one)" "CREATE TABLE t (n int); INSERT INTO t VALUES (1)"
admin "CREATE DATABASE two TEMPLATE one OWNER $me"
swap() { admin "ALTER DATABASE one RENAME TO three"; admin "ALTER DATABASE two RENAME TO one"; admin "ALTER DATABASE three RENAME TO two"; }
config() { cat > "$tmp/runbook.config.lua" <<LUA
return { target = "local", targets = { ["local"] = { kind = "sandbox",
  allow = { files = { "$work" }, programs = { "sh" } },
  systems = { app = { pg = $1, redis = "$SANDBOX_REDIS_URL" }, beside = { redis = "${2:-$SANDBOX_REDIS_URL}" } } } } }
LUA
}
j() { jq -r "$1" <<<"$out"; }
t() { { cat; echo '  step "Wait" { probe = function (run) if not file.stat("'"$work"'/go") then run:fail("not yet") end end },
  step "Then" { probe = function (run) run:finding("n", app.pg:value("SELECT n FROM t"), "ok") end } }'; } > t.lua; rm -f "$work/go"; }
servers() { rb report --json "$1"; sqlite3 "$XDG_STATE_HOME/runbook/tape.db" \
  "SELECT text FROM event WHERE run LIKE '%$1' AND kind = 'server' ORDER BY seq"; }
config "\"$(db one)\""

# -- a change --------------------------------------------------------------------------
t <<'LUA'
local app, beside = system "app", system "beside"
return runbook { title = "T", system = "app",
  step "Change" { remedy = function (run) app.pg:exec("UPDATE t SET n = n + 1") beside.redis:set("servers", "x") end },
LUA
rb run t.lua --json; run=$(j .run); is "a run that changes something stops" "$rc" 1
is "which servers it met is on its tape, once" "$(servers "$run" | jq -r '.target' | xargs)" "app.pg beside.redis"
one=$(servers "$run" | jq -r 'select(.target == "app.pg").is')
is "PostgreSQL by its cluster and the database's number" "$one" \
  "postgresql:$(admin 'SELECT system_identifier FROM pg_control_system()'):$(admin "SELECT oid FROM pg_database WHERE datname = 'one'")/one"
touch "$work/go"; swap
two=${one%:*}:$(admin "SELECT oid FROM pg_database WHERE datname = 'one'")/one
for command in resume undo "undo --dry-run" "undo --force"; do
  rb $command --json; is "another database of that name: $command" "$rc $(j .error.kind)" "4 target"
  has "... names both" "$(j .error.message)" "app.pg is another one than when the run began: it was $one and is $two"
done
is "nothing was done there" "$(sql "$(db one)" 'SELECT n FROM t')" 1
swap
config "\"$(db one)\"" redis://127.0.0.1:1/0
rb resume --json; is "another Redis, of a system beside the runbook's own" "$rc" 4
has "... names both" "$(j .error.message)" "beside.redis is another one than when the run began: it was redis://"
config "\"$(db one)\""
rb resume --json; is "the one that it was: it goes on" "$rc $(j '.findings[0].value')" "0 2"
is "what is known is not said again" "$(servers "$run" | wc -l)" 2
rb undo --json; is "and is taken back" "$rc" 0
rb verify; is "the tape fits" "$rc" 0
rb replay "$run"; is "and replays, whatever is there now" "$rc" 0

# -- a look ----------------------------------------------------------------------------
t <<'LUA'
local app = system "app"
return runbook { title = "L", system = "app",
  step "Look" { probe = function (run) run.n = app.pg:value("SELECT n FROM t") run.m = app.pg:value("SELECT n FROM t") end },
LUA
rb run t.lua --json; run=$(j .run)
is "who only looks is told, too, once" "$(servers "$run" | jq -r .is)" "$one"
rb run t.lua -n --json; is "a dry run asks nobody" "$(servers "$(j .run)")" ""
touch "$work/go"; swap
rb resume "$run" --json; is "looked at elsewhere" "$rc" 4; swap
rb resume "$run" --json; is "and where it was" "$rc" 0

# -- a URL that only probes have, and a server that does not answer at first ---------------
config "{ url = \"$SANDBOX_PG_URL\", probe = \"$(db one)\" }"; rm "$work/go"
rb run t.lua --json; run=$(j .run)
is "a probe's own server has a name of its own" "$(servers "$run" | jq -r .target)" "app.pg (probe)"
touch "$work/go"; swap
rb resume "$run" --json; is "it is met where the script comes to it" "$rc $(j .error.step)" "4 then"
has "... names both" "$(j .error.message)" "it was $one and is $two"; swap
rb resume "$run" --json; is "and is itself again" "$rc" 0

# -- no right to ask ----------------------------------------------------------------------
config "\"$(db one)\""; rm "$work/go"
sql "${SANDBOX_PG_ADMIN_URL%/*}/one" "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC"
rb run t.lua --json; run=$(j .run); is "who may not ask still looks" "$rc $(j '.steps[0].status')" "1 done"
is "and does not know" "$(servers "$run")" ""
touch "$work/go"; rb resume "$run" --json; is "so it goes on" "$rc" 0
