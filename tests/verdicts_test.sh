#!/usr/bin/env bash
# Verdicts of a dry run, each with its reason; and what it exits with.
. "$(dirname "$0")/lib.sh"
sandbox_up
cd "$tmp" || exit 1
j() { jq -r "$1" <<<"$out"; }
redis() { redis-cli --no-auth-warning -u "$SANDBOX_REDIS_URL" "$@"; }
redis-cli --no-auth-warning -u "$SANDBOX_REDIS_ADMIN_URL" acl setuser looker on '>lookpass1' '~*' '&*' +@read +@connection +info +command '+acl|dryrun' '+acl|whoami' >/dev/null
looker="redis://looker:lookpass1@${SANDBOX_REDIS_URL##*@}"
cat > "$tmp/v.config.lua" <<LUA
return { target = "local", targets = { ["local"] = { kind = "sandbox",
  allow = { files = { "$tmp" }, programs = { "touch", "no-such-program" } },
  systems = { s = { http = "$SANDBOX_HTTP_URL", pg = "$SANDBOX_PG_URL", redis = "$SANDBOX_REDIS_URL" },
              low = { pg = "$SANDBOX_PG_PROBE_URL", redis = "$looker" } } } } }
LUA
export RUNBOOK_CONFIG=$tmp/v.config.lua
# v BODY: the dry run of one remedy; leaves its verdict and reason
v() {
  printf 'local s, low = system "s", system "low"\nreturn runbook { title = "t", step "S" { remedy = function (run) %s end }, step "Next" { probe = function () end } }\n' "$1" > "$tmp/t.lua"
  rb run "$tmp/t.lua" --dry-run --json
  verdict="$rc $(j '.steps[0].status') $(j '.steps[0].effects[-1].verdict')"
  reason=$(j '.steps[0] | .effects[-1].reason // .reason')
}
refused() { is "$1" "$verdict" "1 refused would refuse"; has "$1: with the reason" "$reason" "$2"
            is "$1: the dry run goes on" "$(j '.steps[1].status')" done; }

v 's.redis:set("verdict", "1")'
is "would do" "$verdict" "0 planned would do"
redis set verdict 1 >/dev/null
v 's.redis:set("verdict", "1")'
is "nothing to do" "$verdict" "0 unchanged nothing to do"
redis del verdict >/dev/null
v 'run.id_ = s.pg:exec("INSERT INTO greenwood_high.user_sessions (user_id) SELECT 1 RETURNING id").returning[1]'
is "what is not known defers, and exits 7" "$rc $(j '.steps[0].status')" "7 deferred"

v 'low.redis:set("verdict", "1")'
refused "redis: no right to the command" "permission"
v 'low.pg:exec("UPDATE greenwood_high.user_sessions SET is_active = false")'
refused "pg: no right to the table" "greenwood_high.user_sessions"
v 's.pg:exec("UPDATE greenwood_high.no_such SET x = 1")'
refused "pg: no such table" "no_such"
v 's.pg:exec("UPDATE greenwood_high.user_sessions SET no_such = 1")'
refused "pg: no such column" "no_such"
psql -qtAX "$SANDBOX_PG_URL" -c "BEGIN; LOCK TABLE greenwood_high.user_sessions IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(600)" >"$tmp/holder" 2>&1 &
holder=$!
locks="FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted AND relation = 'greenwood_high.user_sessions'::regclass"
until [ "$(psql -qtAX "$SANDBOX_PG_URL" -c "SELECT count(*) $locks")" = 1 ]; do
  kill -0 "$holder" 2>/dev/null || { cat "$tmp/holder"; break; }
  sleep 0.1
done
pid=$(psql -qtAX "$SANDBOX_PG_URL" -c "SELECT pid $locks")
held="AccessExclusiveLock on greenwood_high.user_sessions"
v 's.pg:exec("UPDATE greenwood_high.user_sessions SET is_active = false")'
refused "pg: a lock that another session holds" "pid $pid holds it (user school_erp, since "
has "pg: which it is, and what took it" "$reason" "$held, last: BEGIN; LOCK TABLE greenwood_high.user_sessions IN ACCESS EXCLUSIVE MODE;)"
v 'low.pg:value("SELECT count(*) FROM greenwood_high.user_sessions")'
is "pg: a probe does not wait for it, either" "$rc $(j '.steps[0].status')" "1 failed"
has "pg: nor without saying whose it is" "$(j .error.message)" "pid $pid holds it (user school_erp, since "
psql -qtAX "$SANDBOX_PG_URL" -c "SELECT pg_terminate_backend($pid)" >/dev/null
wait "$holder"

mkdir "$tmp/shut"; echo x > "$tmp/shut/file"
v "file.write('$tmp/none/file', 'x')"
refused "file: no such folder" "$tmp/none"
v "file.remove('$tmp/none.txt')"
is "file: what is not there is removed already" "$verdict" "0 unchanged nothing to do"
v "file.move('$tmp/none.txt', '$tmp/other.txt')"
refused "file: no such file to move" "none.txt"
v "file.write('/etc/verdict', 'x')"
refused "file: not in the allow-list" "/etc/verdict"
if [ "$(id -u)" != 0 ]; then
  chmod 555 "$tmp/shut"
  v "file.write('$tmp/shut/new', 'x')"
  refused "file: the folder may not be written to" "$tmp/shut"
  chmod 755 "$tmp/shut"
else skip "file: the folder may not be written to" "root may"; fi
v 'exec.run { "no-such-program" }'
refused "exec: no such program" "no-such-program"
v 'exec.run { "true" }'
refused "exec: not in the allow-list" "true"

# -- what comes only after steps of which nobody knows how they will end -----------------
cat > "$tmp/o.lua" <<'LUA'
local s = system "s"
local function post () s.http:post("/imports/pause") end
local function paused () return s.http:get("/health").status == 418 end
return runbook { title = "t",
  step "A" { remedy = post, verify = paused },
  step "B" { remedy = post, verify = function (run) return run:wait_until("it is paused", { within = "1s" }, paused) end },
  step "C" { remedy = post, verify = paused, on_failure = "continue" },
  case "one" { when = function () return true end, step "D" { remedy = post, verify = paused }, step "E" { remedy = post } },
  case "two" { when = function () return true end, step "F" { remedy = post } },
  step "G" { manual = "Look" },
  step "H" { remedy = function () s.redis:set("verdict", "1") end, verify = function () return s.redis:get("verdict") == "1" end },
  step "I" { remedy = post },
}
LUA
rb run "$tmp/o.lua" --dry-run --json
is "a change says after which steps it comes only if they go well" \
  "$(j '[.steps[] | .id as $i | .effects[] | select(.kind == "remedy") | $i + ":" + (.provided // [] | join(","))] | join(" ")')" \
  "a: b:1 c:1,2 d:1,2 e:1,2,4 f:1,2 h:1,2,4,7 i:1,2,4,7"
rb run "$tmp/o.lua" --dry-run
has "on the screen, too" "$out" "only after steps 1 and 2, if they go well"
rb run "$tmp/o.lua" --dry-run -o "$tmp/o.json"
rb show "$tmp/o.json" --markdown
has "and in a plan for review" "$out" "only after steps 1, 2, 4 and 7, if they go well"

# -- the lock of another run -----------------------------------------------------------
cat > "$tmp/l.lua" <<'LUA'
local s = system "s"
return runbook { title = "t", lock = "verdict",
  step "S" { remedy = function (run) s.redis:set("verdict", "1") run:sleep "5s" end } }
LUA
"$runbook" run "$tmp/l.lua" >/dev/null 2>&1 &
first=$!
until [ "$(redis exists verdict)" = 1 ]; do sleep 0.1; done
rb run "$tmp/l.lua" --dry-run --json
is "a lock that another run holds" "$rc $(j .error.kind)" "5 lock"
is "does not end the dry run" "$(j '.steps[0].status')" unchanged
wait "$first"
redis del verdict >/dev/null

# -- layers ------------------------------------------------------------------------------
layers() { # PG
  cat > "$tmp/y.config.lua" <<LUA
return { target = "local", targets = { ["local"] = { kind = "sandbox", systems = { s = { pg = $1 } } } } }
LUA
  printf 'local s = system "s"\nreturn runbook { title = "t", system = "s", step "S" { probe = function () s.pg:value("SELECT 1") end } }\n' > "$tmp/t.lua"
  rb run "$tmp/t.lua" --dry-run --require-layers --config "$tmp/y.config.lua" --json
}
kernel=$("$runbook" run "$tmp/t.lua" --dry-run --json 2>/dev/null | jq -r .enforced.kernel)
layers "\"$SANDBOX_PG_URL\""
is "--require-layers: no role of its own for probes" "$rc $(j .error.kind)" "2 layers"
has "which is said" "$(j .error.message)" "pg: same role as remedies"
layers "{ url = \"$SANDBOX_PG_URL\", probe = \"$SANDBOX_PG_URL\" }"
is "--require-layers: the same role twice is no role of its own" "$rc" 2
layers "{ url = \"$SANDBOX_PG_URL\", probe = \"$SANDBOX_PG_PROBE_URL\" }"
layers "{ url = \"$SANDBOX_PG_URL\", probe = \"$SANDBOX_PG_ADMIN_URL\" }"
is "--require-layers: a superuser's role holds no probe" "$rc $(j .error.kind)" "2 layers"
has "which is said" "$(j .error.message)" "pg: postgres is a superuser"
rb run "$tmp/t.lua" --dry-run --config "$tmp/y.config.lua"
has "the banner does not claim it" "$out" "but not    pg: postgres is a superuser"
hasnot "nor lists it" "$out" "protocol (pg"
rb run "$tmp/t.lua" --dry-run --config "$tmp/y.config.lua" --json
is "nor does the JSON" "$rc $(j '.enforced.protocol | tojson')" "0 []"
# one that the text of the script does not show is found when it is used
sed -i 's/s\.pg:value/s["p" .. "g"]:value/' "$tmp/t.lua"
rb run "$tmp/t.lua" --dry-run --config "$tmp/y.config.lua"
has "a use that cannot be seen before: taken back when it comes" "$err$out" "not held from here on: pg: postgres is a superuser"
rb run "$tmp/t.lua" --dry-run --config "$tmp/y.config.lua" --json
is "and in the JSON" "$rc $(j '.enforced.protocol | tojson')" "0 []"
rb run "$tmp/t.lua" --dry-run --require-layers --config "$tmp/y.config.lua" --json
is "--require-layers looks before" "$rc $(j .error.kind)" "2 layers"
# the system of another runbook
printf 'local s = system "s"\nreturn runbook { title = "t", step "S" { probe = function () s.pg:value("SELECT 1") end } }\n' > "$tmp/t.lua"
rb run "$tmp/t.lua" --dry-run --require-layers --config "$tmp/y.config.lua" --json
is "--require-layers: another system's role is looked at when it is used" "$rc $(j '.steps[0].status')" "1 failed"
has "before it is asked anything" "$(j .steps[0].reason)" "pg does not hold here: postgres is a superuser"
layers "{ url = \"$SANDBOX_PG_URL\", probe = \"postgresql://a:b@127.0.0.1:1/x\" }"
is "--require-layers: a server that does not say" "$rc $(j .error.kind)" "2 layers"
layers "{ url = \"$SANDBOX_PG_URL\", probe = \"$SANDBOX_PG_PROBE_URL\" }"
if [ "$kernel" = true ]; then is "--require-layers: goes on where all hold" "$rc" 0
else is "--require-layers: names the kernel where that does not hold" "$rc $(j .error.kind)" "2 layers"; fi
