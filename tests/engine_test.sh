#!/usr/bin/env bash
# Steps and cases: order, selection, failure, retry, questions, approval, limits, locks.
. "$(dirname "$0")/lib.sh"
me=$(id -un)
cat > "$tmp/runbook.config.lua" <<LUA
return { target = "local", roles = { owner = { "$me" }, cto = { "ada" } },
  targets = {
    ["local"] = { kind = "sandbox", allow = { files = { "$tmp" } }, limits = { files = 3 },
      systems = { s = { http = "http://127.0.0.1:9" } } },
    prod = { kind = "production", allow = { files = { "$tmp" } } } } }
LUA
export RUNBOOK_CONFIG=$tmp/runbook.config.lua
t() { printf '%s\n' "$1" > "$tmp/t.lua"; }
j() { jq -r "$1" <<<"$out"; }

# -- order and status ------------------------------------------------------------
t 'local log = {}
local function say (word) return function () log[#log + 1] = word return true end end
return runbook { title = "t",
  step "All" { when = say "when", probe = say "probe", remedy = say "remedy", verify = say "verify", notify = say "notify" },
  step "Order" { probe = function (run) run:finding("order", table.concat(log, " ")) end },
  step "Skipped" { when = function () return false, "because" end, probe = function () error "never" end } }'
rb run "$tmp/t.lua" --json
is "the fields of a step run in their order" "$(j '.findings[0].value')" "when probe remedy verify notify"
is "a skipped step says why" "$(j '.steps[2] | .status + ": " + .reason')" "skipped: because"
is "a run that is done exits 0" "$rc" 0

t 'return runbook { title = "t",
  step "A" { verify = function () return false, "not so" end, on_failure = "continue" },
  step "B" { on_failure = "warn", verify = function () return false end },
  step "C" { probe = function (run) run:fail "no" end },
  step "D" { probe = function () end } }'
rb run "$tmp/t.lua" --json
is "continue goes on and fails, warn warns, stop stops" "$(j '[.steps[].status] | join(" ")')" "failed warned failed skipped"
is "the run has failed" "$rc $(j .status) $(j .error.step)" "1 failed a"
rb run "$tmp/t.lua" --dry-run --json
is "a dry run never stops early" "$(j '[.steps[].status] | join(" ")')" "failed failed failed done"

t 'return runbook { title = "t", step "A" { probe = function () pcall(file.stat, "  x   y ") end } }'
rb run "$tmp/t.lua" --json
is "an argument that begins with blanks is shown without them" "$rc $(j '.steps[0].effects[0].summary')" "0 x y "

t 'local n = 0
return runbook { title = "t", step "A" { retry = { times = 3, every = "10ms" }, verify = function () n = n + 1 return n == 3 end } }'
rb run "$tmp/t.lua" --json
is "a verification is retried" "$rc" 0
t 'local n = 0
return runbook { title = "t", step "A" { retry = { times = 1, every = "10ms" }, verify = function () n = n + 1 return n == 3 end } }'
rb run "$tmp/t.lua" --json
is "and not for ever" "$rc" 1

t 'local n = 0
return runbook { title = "t", step "A" { retry = { times = 3, every = "10ms" }, verify = function (run) n = n + 1 run:finding("n", n) expect(n > 1, "more") end } }'
rb run "$tmp/t.lua" --json
is "a verification by expect, too, and no more often than needed" "$rc $(j '[.findings[].value] | join(",")')" "0 1,2"
t 'return runbook { title = "t", step "A" { retry = { times = 3, every = "1m" }, verify = function () return false end } }'
timeout 20 "$runbook" run "$tmp/t.lua" --timeout 1s >/dev/null 2>&1
is "no nap beyond the time of the run" "$?" 1
t 'return runbook { title = "t", params = { dir = { "string", required = true } },
  step "A" { on_failure = "continue", probe = function (run) run:sleep "5s" end },
  step "B" { remedy = function (run) file.write(run.dir .. "/late", "x") end } }'
rb run "$tmp/t.lua" dir="$tmp" --timeout 200ms --json
is "nothing starts after the time of the run" "$rc $(j '.steps[1].status') $(test -e "$tmp/late" || echo none)" "1 failed none"
t 'return runbook { title = "t", step "A" { manual = function (run) run:wait_until("x", { within = "1s" }, function () return true end) return "turn" end } }'
rb run "$tmp/t.lua" --dry-run --json
is "a text cannot wait" "$rc $(j '.steps[0].status')" "0 manual"

# -- cases -------------------------------------------------------------------------
t 'local function touch (name) return { remedy = function (run) file.write(run.dir .. "/" .. name, "x") end } end
return runbook { title = "t", params = { dir = { "string", required = true }, which = { "string", default = "none" } },
  step "Look" { diagnose = true, probe = function (run) run.looked = true end },
  case "one" { title = "One", when = function (run) return run.which == "one" or run.which == "both", "which is " .. run.which end, step "First" (touch "first") },
  case "two" { title = "Two", when = function (run) return run.which == "two" or run.which == "both" end, step "Second" (touch "second") },
  case "asked" { title = "Asked", when = "asked", step "Third" (touch "third") } }'
rb run "$tmp/t.lua" dir="$tmp" which=one --json
is "the true case is taken" "$rc $(j '.cases | join(",")') $(ls "$tmp" | grep -E '^(first|second|third)$' | xargs)" "0 one first"
is "the others are unselected" "$(j '[.steps[] | .status] | join(" ")')" "done done unselected unselected"
rb run "$tmp/t.lua" dir="$tmp" --json
is "no case: said, exit 0" "$rc" 0
rb run "$tmp/t.lua" dir="$tmp" which=both --json
is "several without a terminal: exit 3" "$rc" 3
has "several: they are named" "$(j .error.message)" "one, two"
rb run "$tmp/t.lua" dir="$tmp" which=both --json --dry-run
is "several in a dry run: all are shown" "$(j '.cases | join(",")')" "one,two"
rb run "$tmp/t.lua" dir="$tmp" --case asked --json
is "an asked case is taken by --case" "$rc $(test -e "$tmp/third" && echo yes)" "0 yes"
is "--case skips what only diagnoses" "$(j '.steps[0].status')" skipped

t 'return runbook { title = "t", case "one" { title = "One", when = function (run) return run:ask { id = "q", question = "?" } == "y" end, step "S" { probe = function () end } } }'
rb run "$tmp/t.lua" --json; is "a when that asks, without a terminal: exit 3" "$rc $(j .status)" "3 stopped"
t 'return runbook { title = "t", case "one" { title = "One", when = function () while true do end end, step "S" { probe = function () end } } }'
rb run "$tmp/t.lua" --json; is "a when that never ends: a mistake of the script, exit 2" "$rc" 2
t 'return runbook { title = "t", case "one" { title = "One", when = function (run) run:fail "no" end, step "S" { probe = function () end } }, step "Later" { probe = function () end } }'
rb run "$tmp/t.lua" --json; is "a when that fails: exit 1" "$rc $(j '.steps[1].status')" "1 skipped"
rb run "$tmp/t.lua" --dry-run --json; is "and a dry run goes on" "$rc $(j '.steps[1].status')" "1 done"

# -- selection ------------------------------------------------------------------------
t 'local function touch (name) return function (run) file.write(run.dir .. "/" .. name, "x") end end
return runbook { title = "t", params = { dir = { "string", required = true } },
  step "P" { probe = function (run) run.seen = "seen" end },
  step "A" { remedy = touch "a" }, step "B" { remedy = touch "b" , verify = function (run) return run.seen == "seen" end}, step "C" { remedy = touch "c" } }'
rb run "$tmp/t.lua" dir="$tmp" --only b --json
is "--only: that step, with the probes before it" "$rc $(j '[.steps[].status] | join(" ")') $(ls "$tmp" | grep -xE 'a|b|c' | xargs)" "0 unselected unselected done unselected b"
rm -f "$tmp/b"
rb run "$tmp/t.lua" dir="$tmp" --from a --to b --json
is "--from and --to" "$(ls "$tmp" | grep -xE 'a|b|c' | xargs)" "a b"

# -- limits ------------------------------------------------------------------------------
t 'return runbook { title = "t", params = { dir = { "string", required = true } },
  step "Many" { remedy = function (run) for i = 1, 5 do file.write(run.dir .. "/many" .. i, "x") end end } }'
rb run "$tmp/t.lua" dir="$tmp" --dry-run --json
is "over a limit: a dry run would refuse" "$rc $(j '.steps[0].status')" "1 refused"
rb run "$tmp/t.lua" dir="$tmp" --json
is "over a limit: the run stops before the harm" "$rc $(ls "$tmp" | grep -c ^many)" "1 3"
has "over a limit: it says which" "$(j .error.message)" "files: 4 of 3"
rm -f "$tmp"/many*
rb run "$tmp/t.lua" dir="$tmp" --limit files=1 --json
is "--limit lowers" "$(ls "$tmp" | grep -c ^many)" 1
rm -f "$tmp"/many*
rb run "$tmp/t.lua" dir="$tmp" --limit files=100 --json
is "--limit cannot raise" "$(ls "$tmp" | grep -c ^many)" 3

t 'local s = system "s"
return runbook { title = "t", limits = { http_writes = 1 }, step "A" { retry = { times = 2, every = "10ms" }, remedy = function () s.http:post("/x") end } }'
rb run "$tmp/t.lua" --json
hasnot "what was not done has used up nothing" "$(j .error.message)" "limit"

# -- people --------------------------------------------------------------------------------
t 'return runbook { title = "t", approve = "owner", step "A" { probe = function () end } }'
rb run "$tmp/t.lua" --json; is "an approval without a terminal: exit 3" "$rc $(j .status)" "3 stopped"
rb run "$tmp/t.lua" --yes --json; is "--yes approves for a holder of the role" "$rc" 0
t 'return runbook { title = "t", approve = "cto", step "A" { probe = function () end } }'
rb run "$tmp/t.lua" --yes --json; is "--yes is not another person's word" "$rc" 3
has "it says who can" "$(j .error.message)" "ada"
rb run "$tmp/t.lua" --approved-by 'cto=ada:phone 03:12' --json; is "--approved-by is" "$rc" 0
rb run "$tmp/t.lua" --approved-by 'cto=bob:phone' --json; is "--approved-by somebody else is not" "$rc" 3
rb run "$tmp/t.lua" --dry-run --json; is "a dry run asks nobody" "$rc" 0
t 'return runbook { title = "t", step "A" { manual = "turn the key" }, step "B" { probe = function () end } }'
rb run "$tmp/t.lua" --json; is "a manual step without a terminal: exit 3" "$rc" 3
rb run "$tmp/t.lua" --yes --json; is "--yes does not turn keys" "$rc" 3
echo '{ "a": "done" }' > "$tmp/answers.json"
rb run "$tmp/t.lua" --answers "$tmp/answers.json" --json; is "--answers does" "$rc $(j '.steps[0].status')" "0 manual"
t 'return runbook { title = "t", step "A" { probe = function (run) run:finding("x", run:ask { id = "x", question = "which?" }) end } }'
rb run "$tmp/t.lua" --json; is "a question without a terminal: exit 3" "$rc" 3
has "it says how to answer" "$(j .error.message)" "--answers"
rb run "$tmp/t.lua" --dry-run --json; is "a question in a dry run: deferred" "$rc $(j '.steps[0].status')" "7 deferred"
echo '{ "x": "that" }' > "$tmp/answers.json"
rb run "$tmp/t.lua" --answers "$tmp/answers.json" --json; is "an answer from a file" "$(j '.findings[0].value')" that

# -- production ------------------------------------------------------------------------------
t 'return runbook { title = "t", params = { dir = { "string", required = true } }, step "A" { remedy = function (run) file.write(run.dir .. "/prod", "x") end } }'
rb run "$tmp/t.lua" dir="$tmp" --target prod --json
is "production without a terminal: exit 3, nothing done" "$rc $(test -e "$tmp/prod" || echo none)" "3 none"
rb run "$tmp/t.lua" dir="$tmp" --target prod --yes --json
is "production with --yes" "$rc $(cat "$tmp/prod")" "0 x"
t 'return runbook { title = "t", targets = { "staging" }, step "A" { probe = function () end } }'
rb run "$tmp/t.lua" --json; is "a runbook for other kinds of target: exit 2" "$rc" 2

t 'return runbook { title = "t",
  step "Early" { diagnose = true, probe = function () end },
  case "one" { title = "One", when = function () return true, "it is one" end, step "A" { probe = function () end } },
  case "two" { title = "Two", when = function () return false, "it is not two" end, step "B" { probe = function () end } },
  step "Late" { diagnose = true, probe = function () end } }'
rb run "$tmp/t.lua" --case two --json
is "--case skips what diagnoses before it, not after it" "$(j '[.steps[].status] | join(" ")')" "skipped unselected done done"
rb run "$tmp/t.lua" --only b --json
is "--only of a case that was not taken says so" "$rc $(j '.steps[2].reason')" \
  "0 nothing was run: b is a step of the case two, which was not taken: it is not two (--case two takes it)"
rb run "$tmp/t.lua" --only b
has "to people, too" "$out$err" "nothing was run: b is a step of the case two"
rb run "$tmp/t.lua" --case one --only 3 --json
is "--only of a case that --case rules out: exit 2, before anything is run" "$rc $(j .run) $(j .error.message)" \
  "2 null --case one --only 3 leaves no step to run; the steps are 1 early, 2 a (case one), 3 b (case two), 4 late"
rb run "$tmp/t.lua" --case one --only early --json
is "so is one that --case skips" "$rc $(j .error.kind)" "2 usage"
rb run "$tmp/t.lua" --from 4 --to 2 --yes
is "--from after --to: exit 2" "$rc" 2
has "it names what was asked and the steps" "$err" "--from 4 --to 2 leaves no step to run; the steps are 1 early, 2 a"
rb run "$tmp/t.lua" --only nope; has "a step that is not there: the steps are named" "$err" "no step 'nope' in t; the steps are 1 early, 2 a (case one)"
rb run "$tmp/t.lua" --only erly; has "or the nearest" "$err" "no step 'erly' (did you mean 'early'?)"
rb run "$tmp/t.lua" --limit pg_row=3; is "a limit that is not there: exit 2" "$rc" 2
has "the nearest is named" "$err" "there is no limit 'pg_row' (did you mean 'pg_rows'?)"
rb run "$tmp/t.lua" --limit pg_rows=many; has "a limit that is no number: the names are told" "$err" "not 'pg_rows=many'; the names are pg_rows"
rb run "$tmp/t.lua" --only a --json
is "--only of a case that was taken runs it" "$(j '.steps[1].status')" done

t 'return runbook { title = "t", step "Turn the key" { manual = "turn it" },
  step "Ask" { probe = function (run) run:note("%s", run:ask { id = "colour", question = "which?" }) end } }'
echo '{ "turn-the-key": "yes", "color": "red" }' > "$tmp/wrong.json"
rb run "$tmp/t.lua" --answers "$tmp/wrong.json" --json
is "an answer to nothing: exit 2, and the nearest is named" "$rc $(j .error.message)" \
  "2 --answers: nothing asks 'color' (did you mean 'colour'?)"
echo '{ "turn-the-keys": "yes" }' > "$tmp/wrong.json"
rb run "$tmp/t.lua" --answers "$tmp/wrong.json" --json
has "a manual step's, too" "$(j .error.message)" "did you mean 'turn-the-key'?"
echo '{ "turn-the-key": "yes", "colour": "red", "made-up-by-the-script": 1 }' > "$tmp/right.json"
rb run "$tmp/t.lua" --answers "$tmp/right.json" --json
is "what a script may ask under a name that it makes up is taken" "$rc" 0
t 'return runbook { title = "t", step "Turn the key" { manual = "turn it" } }'
rb run "$tmp/t.lua" --answers "$tmp/right.json" --json
has "where nothing is asked it is not" "$(j .error.message)" "nothing in t asks"
# -- locks -------------------------------------------------------------------------------------
t 'return runbook { title = "t", lock = "x:{a}", params = { a = { "string", default = "1" } }, step "A" { probe = function (run) run:sleep "2s" end } }'
"$runbook" run "$tmp/t.lua" --json >/dev/null 2>&1 & holder=$!
sleep 0.6
rb run "$tmp/t.lua" --json; is "a lock that is held: exit 5" "$rc" 5
has "it says who holds it" "$(j .error.message)" "$me"
rb run "$tmp/t.lua" --dry-run --json; is "a dry run says so, too, and goes on" "$rc $(j '.steps[0].status')" "5 done"
rb run "$tmp/t.lua" a=2 --dry-run --json; is "another lock is free" "$rc" 0
exec 8>"$XDG_STATE_HOME/runbook/locks/x:2"; flock -s 8  # as a dry run does, for a moment
"$runbook" run "$tmp/t.lua" a=2 --json >"$tmp/held" 8>&- & held=$!; sleep 0.03; exec 8>&-; wait $held
is "a real run waits for a dry run that looks" "$?" 0
wait $holder
rb run "$tmp/t.lua" --dry-run --json; is "and free once the holder has gone" "$rc" 0

t 'return runbook { title = "t", lock = "x", case "one" { title = "One", lock = "x", when = function () return true end, step "A" { probe = function () end } } }'
rb run "$tmp/t.lua" --json; is "a runbook and its case with the same lock" "$rc" 0

# -- what follows from a planned deed ------------------------------------------------------------
t 'return runbook { title = "t", params = { dir = { "string", required = true } },
  step "Write" { remedy = function (run) file.write(run.dir .. "/new", "hello") end, verify = function (run) return file.read(run.dir .. "/new") == "hello" end },
  step "Read" { probe = function (run) run.text = file.read(run.dir .. "/new") run:finding("text", run.text) end },
  step "Gone" { remedy = function (run) file.remove(run.dir .. "/new") end, verify = function (run) return file.stat(run.dir .. "/new") == nil end } }'
rb run "$tmp/t.lua" dir="$tmp" --dry-run --json
is "a planned file is read as it will be" "$(j '.findings[0].value') $(j '[.steps[].status] | join(" ")') $(j '[.steps[].verify] | join(" ")')" "hello planned done planned passed  passed"
ok "and is not there" test ! -e "$tmp/new"
rb run "$tmp/t.lua" dir="$tmp" --json; is "the real run agrees" "$rc $(j '.findings[0].value')" "0 hello"
