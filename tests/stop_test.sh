#!/usr/bin/env bash
# A script that does not end, or eats memory, is ended: with words, an exit code,
# and the tape intact.
. "$(dirname "$0")/lib.sh"
cat > "$tmp/runbook.config.lua" <<'LUA'
return { target = "local", targets = { ["local"] = { kind = "sandbox",
  allow = { files = { "/tmp" }, programs = {}, hosts = {} } } } }
LUA
export RUNBOOK_CONFIG=$tmp/runbook.config.lua

body() { printf 'return runbook { title = "t", step "One" { probe = function (run) %s end } }\n' "$1" > "$tmp/t.lua"; }
ends() {  # WHAT CODE WORDS BODY: a step with that body ends so
  body "$4"
  timeout 30 "$runbook" run "$tmp/t.lua" --json >"$tmp/out" 2>"$tmp/err"; rc=$?
  is "$1: exit $2" "$rc" "$2"
  ok "$1: one JSON document" jq -e . "$tmp/out"
  has "$1: says why" "$(jq -r .error.message "$tmp/out")" "$3"
  is "$1: in which step" "$(jq -r '[.error.step, .steps[0].status] | join(" ")' "$tmp/out")" "one failed"
}
at() {  # WHAT LINE: where it was
  is "$1: at which line" "$(jq -r '.error | "\(.file) \(.line)"' "$tmp/out")" "$tmp/t.lua $2"
}
ends "a bare loop" 2 "endless loop" 'while true do end'; at "a bare loop" 1
ends "a loop of pcalls" 2 "endless loop" 'while true do pcall(function () while true do end end) end'
ends "an error handler that loops" 2 "endless loop" 'xpcall(function () error "x" end, function () while true do end end)'
ends "a comparator that loops" 2 "endless loop" 'table.sort({3, 2, 1}, function () while true do end end)'
ends "a __close that loops" 2 "endless loop" 'local c <close> = setmetatable({}, {__close = function () while true do end end}) while true do end'
ends "a pathological pattern" 2 "did not stop" 'string.find(("a"):rep(28), ("a?"):rep(28) .. ("a"):rep(28))'
ends "memory" 2 "memory" 'local t = {} while true do t[#t + 1] = ("x"):rep(1000000) end'
ends "memory under pcall" 2 "memory" 'pcall(function () local t = {} while true do t[#t + 1] = ("x"):rep(1000000) end end) run:note "survived"'
ends "memory on its third line" 2 "memory" '
  local t = {}
  while true do t[#t + 1] = ("x"):rep(1000000) end'; at "memory on its third line" 3
ends "a step's timeout" 1 'ran out of time sleeping (timeout = "200ms" of the step)' '
  run:sleep "1h" end, timeout = "200ms", verify = function ()'; at "a step's timeout" 2
ends "a loop beyond the step's timeout" 1 'ran out of time (timeout = "200ms" of the step)' \
  'while true do end end, timeout = "200ms", verify = function ()'; at "a loop beyond the step's timeout" 1
ends "a pattern beyond the step's timeout" 1 "ran out of time, and the script did not stop" \
  'string.find(("a"):rep(28), ("a?"):rep(28) .. ("a"):rep(28)) end, timeout = "1s", verify = function ()'
is "a pattern beyond the step's timeout: its kind" "$(jq -r .error.kind "$tmp/out")" timeout
timeout 30 "$runbook" run "$tmp/t.lua" >"$tmp/out" 2>&1
has "people are told which step it was" "$(cat "$tmp/out")" "Failed at step 1"
has "and why" "$(cat "$tmp/out")" "one of Lua's own functions (a pattern, perhaps) ran on and on"
body 'run:sleep "1h"'; rb run "$tmp/t.lua" --timeout 200ms --json
has "the run's own time" "$out" "ran out of time sleeping (--timeout 200ms of the run)"

echo 'return runbook { title = "t", step (function () while true do end end) { id = "s", probe = function () end } }' > "$tmp/title.lua"
timeout 30 "$runbook" run "$tmp/title.lua" --dry-run >"$tmp/out" 2>&1
ok "a title that loops is ended, before the run has begun, too" test $? -lt 124
echo 'while true do end' > "$tmp/load.lua"
rb run "$tmp/load.lua" --json
is "a loop while loading: exit 2" "$rc" 2
has "a loop while loading: says so" "$out" "endless loop"
echo 'string.find(("a"):rep(28), ("a?"):rep(28) .. ("a"):rep(28))' > "$tmp/load.lua"
rb check "$tmp/load.lua"
is "a pattern while loading: exit 2" "$rc" 2

for how in run check show; do
  echo 'while true do end' > "$tmp/load.lua"
  "$runbook" $how "$tmp/load.lua" --json >"$tmp/out" 2>"$tmp/err" &
  pid=$!; sleep 0.5; kill -INT $pid; wait $pid
  is "Ctrl-C while a file is loaded: exit 130 ($how)" "$?" 130
done

# Ctrl-C: once ends the run after what is under way
body 'run:sleep "30s"'
"$runbook" run "$tmp/t.lua" --json >"$tmp/out" 2>"$tmp/err" &
pid=$!; sleep 0.7; kill -INT $pid; wait $pid; rc=$?
is "Ctrl-C in a wait: exit 130" "$rc" 130
is "Ctrl-C in a wait: status" "$(jq -r .status "$tmp/out")" interrupted
body 'while true do end'
"$runbook" run "$tmp/t.lua" --json >"$tmp/out" 2>"$tmp/err" &
pid=$!; sleep 0.5; kill -INT $pid; wait $pid; rc=$?
is "Ctrl-C in a loop: exit 130" "$rc" 130
"$runbook" run "$tmp/t.lua" --dry-run >"$tmp/out" 2>"$tmp/err" &
pid=$!; sleep 0.5; kill -INT $pid; wait $pid; rc=$?
is "Ctrl-C in a dry run: exit 130, and no word of what a real run would do" \
  "$rc $(grep -c 'Nothing was changed' "$tmp/out") $(grep -c 'A real run' "$tmp/out")" "130 1 0"

# ... and what is under way finishes, and is recorded
printf 'return runbook { title = "t", step "One" { remedy = function () file.write("%s/big", ("x"):rep(15000000)) end } }\n' \
  "$tmp" > "$tmp/t.lua"
"$runbook" run "$tmp/t.lua" --json >"$tmp/out" 2>"$tmp/err" &
pid=$!
until compgen -G "$tmp/.rb-*" >/dev/null || ! kill -0 $pid 2>/dev/null; do :; done
kill -INT $pid; wait $pid
is "Ctrl-C in a deed of one piece: it is done" "$(stat -c %s "$tmp/big")" 15000000
is "Ctrl-C in a deed of one piece: and recorded" "$(jq -r '.steps[0].effects[0].outcome' "$tmp/out")" done
rm -f "$tmp/big"

# a module's own time-out is an answer: the script goes on
body 'local _, e = run:try(function () return exec.probe { "sleep", "9", timeout = "100ms" } end)
  local n = 0 for i = 1, 100000000 do n = n + 1 end run:finding("kind", e.kind)'
sed -i 's/programs = {}/programs = { "sleep" }/' "$tmp/runbook.config.lua"
rb run "$tmp/t.lua" --json
is "a call's own time-out does not end the script" "$rc $(jq -r '.findings[0].value' <<<"$out")" "0 timeout"

rb history --json
ok "every run is in the history, with an end" jq -e 'length >= 10 and all(.[]; .status != null and .status != "")' <<<"$out"
