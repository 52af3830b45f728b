#!/usr/bin/env bash
# wait_test.sh - run:wait_until, run:hold, run:try and on_failure, as docs/writing-runbooks.md has them
set -u
. "$(dirname "$0")/lib.sh"
cd "$tmp" || exit 1
mkdir d
cat >runbook.config.lua <<END
return { target = "local", targets = { ["local"] = { kind = "sandbox", allow = { files = { "$tmp/d" }, programs = { "sh", "false", "touch" } }, systems = { app = {} } } } }
END
export RUNBOOK_CONFIG=$tmp/runbook.config.lua
book() { printf 'local d = "%s/d/"\nlocal n = 0\nreturn runbook { title = "t", %s }\n' "$tmp" "$1" >t.lua; shift; rb run t.lua --json "$@"; }
probe() { book 'step "Look" { probe = function (run) '"$1"' end }, step "Next" { probe = function () end }' "${@:2}"; }
j() { jq -r "$1" <<<"$out"; }
statuses() { j '[.steps[].status] | join(" ")'; }
finding() { jq -r --arg n "$1" '.findings[] | select(.name == $n) | .value' <<<"$out"; }

# -- wait_until ---------------------------------------------------------------------------------
probe 'run:finding("v", run:wait_until("it", { every = "10ms", within = "5s" }, function () n = n + 1 return n == 4 and "yes" end)) run:finding("n", n)'
is "it looks until it is true, and gives that back" "$rc/$(finding v)/$(finding n)" "0/yes/4"
probe 'run:wait_until("the queue is empty", { every = "20ms", within = "100ms" }, function () n = n + 1 return false end)'
is "out of time is a failure" "$rc/$(statuses)/$(j .error.kind)" "1/failed skipped/timeout"
is "that says what, and how long" "$(j .error.message)" "the queue is empty: not within 100ms"
probe 'local _, e = run:try(function () run:wait_until("x", { every = "1m", within = "300ms" }, function () n = n + 1 end) end) run:finding("n", n)'
is "it looks once more at the very end, also when that is sooner than \`every\`" "$rc/$(finding n)" "0/2"
probe 'run:wait_until("a file", { every = "10ms", within = "100ms" }, function () return file.read(d .. "none") end)'
has "a failed look is not so yet; the last one is told" "$rc/$(j .error.message)" "1/a file: not within 100ms; last: there is no file"
probe 'run:wait_until("x", { every = "10ms", within = "1m" }, function () return nothing.at.all end)'
is "a mistake stays one" "$rc" 2
probe 'run:wait_until("x", { every = "10ms", within = "1m" }, function () return file.write(d .. "x", "") end)'
has "a change is refused where it is" "$rc/$(j .error.message)" "2/file.write is a remedy; \`probe\` may only probe"
probe 'run:finding("n", #run:each({ 1, 2, 3 }, function (i) local k = 0 return run:wait_until("x", { every = "5ms", within = "5s" }, function () k = k + 1 return k > i and k end) end))'
is "branches wait at the same time" "$rc/$(finding n)" "0/3"
book 'step "Look" { timeout = "200ms", probe = function (run) run:wait_until("the end", { every = "20ms", within = "1m" }, function () return false end) end }'
is "the step's own time goes before" "$rc/$(j .error.message)" "1/ran out of time waiting for: the end (timeout = \"200ms\" of the step)"
book 'step "Ask" { retry = { times = 2, every = "10ms" }, verify = function (run) n = n + 1 return run:wait_until("x", { every = "5ms", within = "10ms" }, function () return n == 3 end) end }'
is "a verification that waits is repeated" "$rc" 0
for bad in '{ every = 5 }' '{ within = "5" }' '{ every = "0s" }' '{ within = "0s" }' '{ withn = "5s" }' '{ "5s" }' '"5s"' nil; do
  probe "run:wait_until('x', $bad, function () return true end)"; is "wrong options $bad: exit" "$rc" 2
done
probe 'run:wait_until("x", { withn = "5s" }, function () return true end)'
has "which says what it takes" "$(j .error.message)" "a wait has no option 'withn': it takes every and within"
probe 'run:wait_until("x", { every = 5 }, function () return true end)'
has "and how a duration is written" "$(j .error.message)" 'every is a duration such as "5s" or "2m", not 5'

# -- hold ------------------------------------------------------------------------------------------
probe 'run:hold("it", { every = "1m", within = "100ms" }, function () n = n + 1 return true end) run:finding("n", n)'
is "it has to stay true, and is looked at to the very end" "$rc/$(finding n)" "0/2"
probe 'run:hold("it stays up", { every = "10ms", within = "1m" }, function () n = n + 1 return n < 3 end)'
is "one that does not ends it at once" "$rc/$(j .error.kind)/$(statuses)" "1/hold/failed skipped"
has "in words" "$(j .error.message)" "it stays up did not hold: false after 0 s"
probe 'run:hold("x", { every = "10ms", within = "1m" }, function () return file.read(d .. "none") end)'
has "a failed look is one, with its words" "$(j .error.message)" "did not hold: false after 0 s; there is no file"

# -- in a dry run ---------------------------------------------------------------------------------------
probe 'run:wait_until("it", { every = "10s", within = "5m" }, function () n = n + 1 run:finding("n", n) return true end)' -n
is "a wait is looked at once" "$rc/$(statuses)/$(finding n)" "0/done done/1"
has "and shown" "$err$(j '[.. | strings] | join(" ")')" "would wait: it (every 10s, within 5m; a dry run looks once)"
probe 'run:wait_until("it", { every = "10s", within = "5m" }, function () n = n + 1 run:finding("n", n) return false end)' -n
is "what is not so yet is put off" "$rc/$(statuses)/$(finding n)" "7/deferred done/1"
is "and says for what" "$(j '.steps[0].reason')" "waits for: it"
probe 'run.x = run:wait_until("it", {}, function () return false end) end }, step "Then" { probe = function (run) run:note("%s", run.x)' -n
is "so is who needs what it gives" "$rc/$(statuses)" "7/deferred deferred done"
probe 'run:hold("it", { every = "10s", within = "5m" }, function () n = n + 1 run:finding("n", n) return true end)' -n
is "a watch is looked at once" "$rc/$(statuses)/$(finding n)" "0/done done/1"
has "and shown, too" "$err$(j '[.. | strings] | join(" ")')" "would watch: it (every 10s, for 5m; a dry run looks once)"
probe 'run:hold("it", { every = "10s", within = "5m" }, function () return false end)' -n
is "what is not true now does not hold" "$rc/$(statuses)" "1/failed done"
book 'step "Change" { remedy = function () exec.run { "touch", d .. "up" } end, verify = function (run) return run:wait_until("it is up", {}, function () return file.stat(d .. "up") end) end }' -n
is "a verify that waits for a planned change is put off" "$rc/$(statuses)/$(j '.steps[0].verify')" "0/planned/deferred"
book 'step "Change" { remedy = function () exec.run { "touch", d .. "up" } end, verify = function (run) run:hold("it is up", {}, function () return file.stat(d .. "up") end) return true end }' -n
is "one that watches it, too" "$rc/$(statuses)/$(j '.steps[0].verify')" "0/planned/deferred"
is "nothing was touched" "$(ls d)" ""
probe 'run:sleep "1h"' -n; is "a nap is shown, not slept" "$rc/$(statuses)" "0/done done"

# -- run:try --------------------------------------------------------------------------------------------
probe 'local v, e = run:try(function () return file.read(d .. "none") end) run:finding("v", tostring(v)) run:finding("k", e.kind .. ", " .. e.certainty) run:finding("m", e.message)'
is "a failure that is an answer: the step is done" "$rc/$(statuses)/$(finding v)/$(finding k)" "0/done done/nil/missing, not done"
is "its words" "$(finding m)" "there is no file $tmp/d/none"
is "and it is recorded" "$(j '.steps[0].effects[0].outcome')" failed
probe 'run:finding("v", run:try(function () return 7 end)) run:finding("f", select("#", run:try(function () return 1, 2 end)))'
is "the value of what did not fail, and one of them" "$rc/$(finding v)/$(finding f)" "0/7/1"
probe 'run:try(function () return nothing.at.all end)'; is "a mistake of the script is none" "$rc" 2
probe 'run:try(function () run:sleep "5s" end)' --timeout 200ms; is "nor is the end of the time" "$rc/$(statuses)" "1/failed skipped"
book 'step "Do" { remedy = function (run) run:try(function () exec.run { "sh", "-c", "kill -9 $$" } end) end }, step "Next" { probe = function () end }'
is "nor a deed in doubt" "$rc/$(statuses)/$(j .status)" "6/in-doubt skipped/in-doubt"
probe 'run.x = run:wait_until("it", {}, function () return false end) end }, step "Then" { probe = function (run) run:try(function () return run.x end)' -n
is "nor what a dry run cannot know" "$rc/$(statuses)" "7/deferred deferred done"
probe 'run:try(7)'; is "it takes a function" "$rc" 2

# -- on_failure ------------------------------------------------------------------------------------------------
on() { book 'step "Weak" { on_failure = "'"$1"'", '"$2"' }, step "Next" { probe = function () end }' "${@:3}"; }
fails='verify = function () return false, "not so" end'
on stop "$fails"; is "stop: the run ends" "$rc/$(j .status)/$(statuses)" "1/failed/failed skipped"
on continue "$fails"; is "continue: it goes on, and has failed" "$rc/$(j .status)/$(statuses)/$(j .error.step)" "1/failed/failed done/weak"
on warn "$fails"; is "warn: it goes on, and is well" "$rc/$(j .status)/$(statuses)/$(j .error)" "0/done/warned done/null"
is "with a bad finding in its name" "$(j '.findings[] | .name + ": " + .value + " (" + .status + ")"')" "Weak: its verification said no: not so (bad)"
on warn "$fails" -n; is "warn in a dry run: exit" "$rc/$(j '.findings[0].status')" "0/bad"
on continue "$fails" -n; is "continue in a dry run: exit" "$rc/$(statuses)" "1/failed done"
on warn 'probe = function (run) run:fail("no %d", 3) end'; is "a failure in words" "$rc/$(finding Weak)" "0/no 3"
on warn 'probe = function () return file.read(d .. "none") end'; is "one of a primitive" "$rc/$(statuses)" "0/warned done"
on warn 'timeout = "100ms", probe = function (run) run:sleep "9s" end'; is "one of time" "$rc/$(statuses)" "0/warned done"
on warn 'probe = function () return nothing.at.all end'; is "a mistake of the script is no warning" "$rc" 2
on warn 'remedy = function () exec.run { "sh", "-c", "kill -9 $$" } end'; is "nor is a deed in doubt" "$rc/$(statuses)" "6/in-doubt skipped"
on warn 'approve = "cto", probe = function () end'; is "nor a person who has to agree" "$rc" 3
on warn "$fails"; rb run t.lua; has "on the screen it is seen" "$out$err" "Weak"
