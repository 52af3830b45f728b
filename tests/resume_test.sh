#!/usr/bin/env bash
# resume, undo, replay: a run that stopped goes on where it stopped, and is taken back
. "$(dirname "$0")/lib.sh"
work=$tmp/work; mkdir -p "$work"
cat > "$tmp/runbook.config.lua" <<LUA
return { target = "local", roles = { owner = { "$(id -un)" } },
  targets = { ["local"] = { kind = "sandbox",
    allow = { files = { "$work" }, programs = { "sh" } },
    systems = { app = { dotenv = "$work/.env" } } } } }
LUA
export RUNBOOK_CONFIG=$tmp/runbook.config.lua
t() { cat > "$tmp/t.lua"; }
j() { jq -r "$1" <<<"$out"; }
paths() { j '[.steps[].effects[] | select(.kind != "probe") | .path + "=" + .outcome] | join(" ")'; }
fresh() { rm -rf "$work"; mkdir -p "$work"; echo 'A=1' > "$work/.env"; rm -rf "$XDG_STATE_HOME"; }
files() { (cd "$work" && find . -type f | sort | while read -r f; do echo "$f $(stat -c %a "$f") $(sha256sum < "$f")"; done); }
log() { cat "$work/log" 2>/dev/null | tr '\n' ' '; }

# -- a step that failed is done again; what was done is not ------------------------
fresh
t <<LUA
return runbook { title = "T",
  step "One" {
    remedy = function (run) exec.run { "sh", "-c", "echo one >> $work/log" } end },
  step "Two" {
    probe = function (run) run.began = time.now() end,
    remedy = function (run)
      exec.run { "sh", "-c", "echo two >> $work/log" }
      run:sleep("10ms")
      if not file.stat("$work/go") then run:fail("not yet") end
      exec.run { "sh", "-c", "echo three >> $work/log" }
      file.write("$work/began", tostring(run.began))
    end,
    verify = function (run) return file.read("$work/began") == tostring(run.began) end },
}
LUA
rb run "$tmp/t.lua" --json; run=$(j .run); is "a run that fails" "$rc" 1
sed -i 's/not yet/edited/' "$tmp/t.lua"
rb resume --json; is "resumed too early it fails in the same way" "$rc $(j .error.message)" "1 not yet"
touch "$work/go"
rb resume --json; is "resumed, it is done" "$rc $(j .status)" "0 done"
is "under its own name" "$(j .run)" "$run"
is "each deed once" "$(log)" "one two three "
is "what was done is replayed" "$(paths)" \
  "one/remedy/1=replayed two/remedy/1=replayed two/remedy/4=done two/remedy/5=done"
is "it says where it went on" "$(j .resumed_from)" "two/remedy/2"
ok "the document is of its schema" "$python" - "$top/docs/run.schema.json" <(echo "$out") <<'PY'
import json, sys, jsonschema
jsonschema.validate(json.load(open(sys.argv[2])), json.load(open(sys.argv[1])))
PY
rb verify; is "the tape fits" "$rc" 0
rb resume "$run"; is "a run that is done is not resumed" "$rc" 2; has "and says so" "$err" "there is nothing to go on with"
rb resume; is "without a name there is none" "$rc" 2
rb resume NOSUCH; is "an unknown run" "$rc" 2
rb resume --in-doubt=maybe; has "a policy that is none" "$err" "--in-doubt takes ask, done, retry or skip"

# -- replay ----------------------------------------------------------------------------
rb replay "$run" --json; is "it replays" "$rc $(j .mode) $(j .status)" "0 replay done"
is "and does nothing" "$(log)" "one two three "
sed 's/echo two/echo zwei/' "$tmp/t.lua" > "$tmp/edited.lua"
rb replay "$run" --with "$tmp/edited.lua" --json; is "an edited script differs" "$rc" 4
has "at its line" "$(j .error.message)" "the tape has exec.run"
is "which is named" "$(j '.error.line')" "$(grep -n zwei "$tmp/edited.lua" | cut -d: -f1)"
rb replay "$run" --with "$tmp/none.lua"; has "no such file" "$err" "there is no file"

# -- killed -----------------------------------------------------------------------------
fresh
t <<LUA
return runbook { title = "K",
  step "A" { remedy = function (run)
    file.write("$work/a", "1")
    app = nil or exec.run { "sh", "-c", "echo x >> $work/log" }
    exec.run { "sh", "-c", "test -e $work/go || { kill -9 \$PPID; exit; }; echo y >> $work/log" }
    file.write("$work/b", "2")
  end },
}
LUA
sed -i '/app = nil or/s/app = nil or //' "$tmp/t.lua"
"$runbook" run "$tmp/t.lua" >/dev/null 2>&1; is "killed in the middle of a command" "$?" 137
rb history --json; is "it has no end" "$(j '.[0].status')" null
touch "$work/go"
rb resume --json; is "a command in doubt is not repeated by itself" "$rc $(j .error.kind)" "6 in-doubt"
has "it is named" "$(j .error.message)" "may or may not have happened"
rb resume --in-doubt=retry --json; is "but when a person says so" "$rc" 0
is "the others were not done twice" "$(log)" "x y "
is "and it went on" "$(cat "$work/b")" 2
fresh; "$runbook" run "$tmp/t.lua" >/dev/null 2>&1
rb resume --in-doubt=done --json; is "taken as done" "$rc $(log)" "0 x "
fresh; "$runbook" run "$tmp/t.lua" >/dev/null 2>&1
rb undo; is "a run in doubt is not taken back" "$rc" 6; has "before it was looked at" "$err" "resume it first"
rb resume --in-doubt=skip --json; is "left out" "$rc $(log)" "0 x "

# -- the edited script is on the tape -------------------------------------------------------
fresh
t <<LUA
local more = require "more"
return runbook { title = "W",
  step "A" { remedy = function () file.write("$work/a", more) end },
  step "B" { remedy = function (run) run:fail("first version") end } }
LUA
echo 'return "one"' > "$tmp/more.lua"
rb run "$tmp/t.lua" --json; is "a script that fails" "$rc" 1
sed "s|run:fail(\"first version\")|file.write('$work/b', '2') run:fail('second version')|" "$tmp/t.lua" > "$tmp/with.lua"
rb resume --with "$tmp/with.lua" --json; is "edited, it goes further" "$rc $(j .error.message)" "1 second version"
rb report --json; has "the report knows with what" "$(j '.recorded.resumed[0].with')" with.lua
echo 'broken(' > "$tmp/with.lua"; echo 'return "two"' > "$tmp/more.lua"
rb resume --json; is "resumed without a word it is the edited one" "$rc $(j .error.message)" "1 second version"
rb replay --json; is "it replays so" "$rc" 0
rb undo --json; is "and is taken back so" "$rc $(ls "$work")" "0 "

# -- another place under the same name ----------------------------------------------------
fresh; mkdir -p "$work/b"; cp "$work/.env" "$work/b/.env"
t <<LUA
local app = system "app"
return runbook { title = "W", system = "app",
  step "A" { remedy = function (run) app.dotenv:set("A", "2") run:fail("no") end } }
LUA
rb run "$tmp/t.lua" --json; is "a run that changed a place" "$rc" 1
sed "s|$work/.env|$work/b/.env|" "$tmp/runbook.config.lua" > "$tmp/moved.config.lua"
for c in resume undo; do
  rb $c --config "$tmp/moved.config.lua" --json
  is "$c: the name leads elsewhere now" "$rc $(j .error.kind)" "4 target"
done
is "and nothing was touched there" "$(cat "$work/b/.env")" "A=1"
rb undo --json; is "where it led it is taken back" "$rc $(cat "$work/.env")" "0 A=1"

# -- a session that lives -----------------------------------------------------------------
fresh
t <<LUA
return runbook { title = "L",
  step "A" { remedy = function (run) file.write("$work/a", "1") run:sleep("5s") file.write("$work/b", "2") end } }
LUA
"$runbook" run "$tmp/t.lua" >/dev/null 2>&1 & live=$!
for _ in $(seq 100); do [ -e "$work/a" ] && break; sleep 0.05; done; sleep 0.2
rb resume; is "a run that is under way is not resumed" "$rc" 5
kill -INT $live; wait $live; is "Ctrl-C" "$?" 130
rb resume --json; is "and then it is" "$rc $(cat "$work/b")" "0 2"

# -- a tape without one outcome: neither undo nor replay does anything -----------------------
fresh
t <<LUA
return runbook { title = "E",
  step "A" { remedy = function (run) run:sleep("3s") file.write("$work/a", "1") end } }
LUA
"$runbook" run "$tmp/t.lua" >/dev/null 2>&1 & live=$!
for _ in $(seq 200); do rb history --json; [ "$(j length)" = 1 ] && break; sleep 0.05; done
kill -9 $live; wait $live 2>/dev/null
sed -i 's/run:sleep("3s") //' "$tmp/t.lua"
rb replay --with "$tmp/t.lua" --json; is "replay ends where the tape does" "$rc" 0
refuses "and performs nothing" test -e "$work/a"
rb undo --json; is "undo has nothing to take back" "$rc $(j .status)" "0 done"
refuses "and does nothing meanwhile" test -e "$work/a"

# -- questions, approvals -----------------------------------------------------------------
fresh
t <<LUA
return runbook { title = "Q", approve = "owner",
  step "Ask" { remedy = function (run) run.who = run:ask { id = "who", question = "Who?" } file.write("$work/who", run.who) end },
  step "Manual" { manual = "look at it" , remedy = function (run) file.write("$work/m", "1") end } }
LUA
echo '{"who": "kim"}' > "$tmp/answers.json"
rb run "$tmp/t.lua" --yes --answers "$tmp/answers.json" --json; is "stopped for a person" "$rc" 3
echo '{"manual": "yes"}' > "$tmp/answers.json"
rb resume --answers "$tmp/answers.json" --json; is "the answer and the approval are on the tape" "$rc $(cat "$work/who")" "0 kim"

# -- concurrent branches --------------------------------------------------------------------
fresh
t <<LUA
return runbook { title = "E",
  step "Each" { remedy = function (run)
    local order = {}
    run:each({ "1", "2", "3", "4", "5", "6" }, { limit = 3 }, function (n)
      local r = exec.probe { "sh", "-c", "sleep 0.0" .. (7 - tonumber(n)) }
      order[#order + 1] = n
      exec.run { "sh", "-c", "echo " .. n .. " >> $work/log" }
      if n == "4" and not file.stat("$work/go") then run:fail("four") end
    end)
    file.write("$work/order", table.concat(order, ","))
  end } }
LUA
rb run "$tmp/t.lua" --json; is "one branch fails" "$rc" 1
touch "$work/go"
rb resume --json; is "the others are not done again" "$rc $(sort "$work/log" | tr '\n' ' ')" "0 1 2 3 4 5 6 "
for i in 1 2 3; do rb replay --json; is "it replays in the order in which it ran ($i)" "$rc" 0; done

# -- undo --------------------------------------------------------------------------------
fresh; echo old > "$work/old"; chmod 640 "$work/old"; echo gone > "$work/gone"; echo m > "$work/m1"
before=$(files)
t <<LUA
local app = system "app"
return runbook { title = "U",
  params = { who = { "string", default = "kim" } },
  step "Files" { remedy = function (run)
      file.write("$work/new", "1")
      file.write("$work/old", "2", { mode = "0600" })
      file.remove("$work/gone")
      file.move("$work/m1", "$work/m2")
      file.chmod("$work/m2", "0600")
      file.copy("$work/old", "$work/copy") end },
  step "Settings" { remedy = function (run) app.dotenv:set("A", "2") app.dotenv:add("LIST", run.who) app.dotenv:unset("B") end },
  step "Command" {
    probe = function (run) run.word = "hello" end,
    remedy = function (run) exec.run { "sh", "-c", "echo did > $work/did" } end,
    undo = function (run)
      file.remove("$work/did")
      file.write("$work/undone", run.word .. " " .. #run.done .. " " .. run.done[1].verb) end },
  step "Gone" { remedy = function (run) exec.run { "sh", "-c", "true" } end, irreversible = "true stays true" } }
LUA
rb run "$tmp/t.lua" --json; is "a run to be taken back" "$rc" 0; after=$(files)
rb undo --dry-run --json; is "a dry undo" "$rc $(j .mode) $(j .status)" "0 dry-run planned"
is "changes nothing" "$(files)" "$after"
rb undo --json; is "undo" "$rc $(j .mode) $(j .status)" "0 undo done"
is "a step's own undo knows what was done" "$(cat "$work/undone")" "hello 1 exec.run"; rm "$work/undone"
is "all files are as they were" "$(files)" "$before"
has "what stays is named" "$(j '.steps[] | select(.id == "gone") | .status + " " + .reason')" "skipped stays:"
rb undo --json; is "a second undo" "$rc" 0
is "has nothing to do" "$(j '[.steps[].effects[]] | length')" 0
has "and says of which run" "$err" "takes back what run 0"

fresh; echo old > "$work/old"; echo gone > "$work/gone"; echo m > "$work/m1"
rb run "$tmp/t.lua" --json; echo "somebody else" > "$work/old"
rb undo --json; is "where the world has moved on, undo stops" "$rc $(j .error.kind)" "4 drift"
is "and leaves it" "$(cat "$work/old")" "somebody else"
has "it says what to do" "$(j .error.message)" "--force"
rb undo --json --force; is "--force takes it back all the same" "$rc $(cat "$work/old")" "0 old"
rb verify; is "the tape fits after all that" "$rc" 0

fresh
t <<LUA
return runbook { title = "T", limits = { files = 1 },
  step "A" { remedy = function () file.write("$work/one", "1") end } }
LUA
rb run "$tmp/t.lua" --json; rb undo --json
is "what the run did is not charged to its undo" "$rc $(ls "$work/one" 2>/dev/null)" "0 "

t <<LUA
return runbook { title = "T", step "Look" { probe = function (run) run:note("looked") end } }
LUA
rb run "$tmp/t.lua"
rb undo; has "of which run nothing is left is said" "$rc $err" "0 nothing of run 0"

# -- a script that ends before the tape does is another one ----------------------------------------
fresh
t <<LUA
return runbook { title = "T",
  step "A" { remedy = function () file.write("$work/a", "1") file.write("$work/b", "1") end },
  step "B" { remedy = function (run) run:fail("no") end } }
LUA
rb run "$tmp/t.lua"
sed "s|file.write(\"$work/b\", \"1\")||" "$tmp/t.lua" > "$tmp/short.lua"
for c in resume replay; do
  rb $c --with "$tmp/short.lua" --json; is "$c: the tape has more than the script" "$rc $(j .error.kind)" "4 drift"
  has "which is named" "$(j .error.message)" "file.write"
done
rb undo --json; is "the run as it was is taken back" "$rc $(ls "$work")" "0 "
