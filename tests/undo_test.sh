#!/usr/bin/env bash
# undo: killed, failed and stopped in the middle it goes on, and does nothing twice
. "$(dirname "$0")/lib.sh"
work=$tmp/work; mkdir -p "$work"
cat > "$tmp/runbook.config.lua" <<LUA
return { target = "local",
  targets = { ["local"] = { kind = "sandbox",
    allow = { files = { "$work" }, programs = { "sh" } },
    systems = { app = { dotenv = "$work/.env" } } } } }
LUA
export RUNBOOK_CONFIG=$tmp/runbook.config.lua
t() { cat > "$tmp/t.lua"; }
j() { jq -r "$1" <<<"$out"; }
fresh() { rm -rf "$work" "$XDG_STATE_HOME"; mkdir -p "$work"; echo 'A=1' > "$work/.env"; }
log() { tr '\n' ' ' < "$work/log" 2>/dev/null; }
effects() { j '[.steps[].effects[] | select(.kind != "probe") | .path + "=" + .outcome] | join(" ")'; }
# a command that kills the run unless the file is there
killer="test -e $work/go || { kill -9 \$PPID; exit; }"

# -- a step's own `undo`, killed in the middle ----------------------------------------------
own() { t <<LUA
return runbook { title = "U",
  step "First" { remedy = function () file.write("$work/first", "1") end },
  step "Own" {
    remedy = function () exec.run { "sh", "-c", "echo did >> $work/log" } end,
    undo = function (run)
      exec.run { "sh", "-c", "echo one >> $work/log" }
      run.n = file.read("$work/log")
      $1
      exec.run { "sh", "-c", "echo three >> $work/log" }
      file.write("$work/n", run.n)
    end } }
LUA
}
fresh; own "exec.run { 'sh', '-c', '$killer; echo two >> $work/log' }"
rb run "$tmp/t.lua" --json; is "a run to be taken back" "$rc" 0
"$runbook" undo >/dev/null 2>&1; is "its undo is killed in the middle of a step's own" "$? $(log)" "137 did one "
rb history --json; undo=$(j '.[0].run'); touch "$work/go"
rb undo --json; is "said again it stops at the command in doubt" "$rc $(j .error.kind)" "6 in-doubt"
is "and has done nothing twice" "$(log)" "did one "
rb undo --dry-run --json; is "a dry undo says that it does not know" "$rc" 7
has "what" "$(j '.steps[] | select(.id == "own") | .reason')" "may or may not have happened"
is "and changes nothing" "$(log)" "did one "
rb undo --in-doubt=maybe; has "a policy that is none" "$err" "--in-doubt takes ask, done, retry or skip"
rb undo --in-doubt=retry --json; is "told to, it does it" "$rc $(j .status)" "0 done"
is "each command once" "$(log)" "did one two three "
is "with what it saw then" "$(tr '\n' ' ' < "$work/n")" "did one "
refuses "and the step before it is taken back" test -e "$work/first"
is "under the name that it had" "$(j .run)" "$undo"
is "what had been done is replayed" "$(effects)" \
  "first/undo/1/1=done own/undo/1/1=replayed own/undo/1/3=done own/undo/1/4=done own/undo/1/5=done"
rb report "$undo" --json; is "one run on the tape, resumed twice" "$(j '.recorded.resumed | length')" 2
rb verify; is "which fits" "$rc" 0
rb undo --json; is "nothing is left" "$rc $(j '[.steps[].effects[]] | length')" "0 0"

# -- the same where it can be looked at: nobody is asked -------------------------------------
fresh; own "file.write('$work/x', 'x')
      exec.probe { 'sh', '-c', '$killer' }"
sed -i "s/exec.probe/exec.run/" "$tmp/t.lua"
rb run "$tmp/t.lua"; "$runbook" undo >/dev/null 2>&1; touch "$work/go"
rb undo --dry-run --json; is "a dry undo in the middle" "$rc $(j .mode)" "7 dry-run"

# -- failed in the middle: what failed is done again, and no more ---------------------------
fresh; own "if not file.stat('$work/go') then run:fail('not yet') end"
rb run "$tmp/t.lua"
rb undo --json; is "an undo that fails" "$rc $(j .error.message)" "1 not yet"
rb undo --json; is "said again too early it fails again" "$rc $(log)" "1 did one "
rb undo --dry-run --json; is "a dry undo fails there, too" "$rc $(j .error.message)" "1 not yet"
touch "$work/go"
rb undo --dry-run --json; is "and shows what is left once it would not" "$rc $(j .status)" "0 planned"
is "that is the rest" "$(j '[.steps[].effects[] | select(.verdict == "would do") | .summary] | length')" 3
is "without doing it" "$(log)" "did one "
rb undo --json; is "then it goes on" "$rc $(log)" "0 did one three "

# -- an automatic inverse, killed between the deed and what comes next ---------------------------
fresh
t <<LUA
return runbook { title = "A",
  step "A" { remedy = function ()
      exec.run { "sh", "-c", "true" }
      file.write("$work/a", "1")
      file.write("$work/b", "1") end,
    undo = function () exec.run { "sh", "-c", "$killer; echo own >> $work/log" } end } }
LUA
rb run "$tmp/t.lua"
"$runbook" undo >/dev/null 2>&1; is "inverses come first, then it is killed" "$? $(ls "$work")" "137 "
echo mine > "$work/a"; touch "$work/go"
rb undo --in-doubt=retry --json; is "what was taken back is not looked at again" "$rc $(log)" "0 own "
is "and is somebody else's now" "$(cat "$work/a")" mine

# -- drift stops it; --force goes on from there --------------------------------------------------
fresh
t <<LUA
return runbook { title = "D",
  step "A" { remedy = function () file.write("$work/a", "1") end },
  step "B" { remedy = function () file.write("$work/b", "1") end } }
LUA
rb run "$tmp/t.lua"; echo other > "$work/a"
rb undo --json; is "it stops where the world has moved on" "$rc $(j .error.kind)" "4 drift"
rb undo --json; is "also when it is said again" "$rc $(effects)" "4 a/undo/1/1=failed b/undo/1/1=replayed"
rb undo --force --json; is "--force takes it back" "$rc $(ls "$work")" "0 "

# -- a command that failed is not in doubt ---------------------------------------------------------
fresh
t <<LUA
return runbook { title = "F", lock = "f",
  step "A" { remedy = function ()
      exec.run { "sh", "-c", "echo half >> $work/log; test -e $work/go" } end,
    undo = function (run)
      exec.run { "sh", "-c", "echo taken back " .. tostring(run.done[1].failed) .. " >> $work/log" } end } }
LUA
rb run "$tmp/t.lua" --json; is "a command fails: the step does" "$rc $(j .error.certainty)" "1 partly"
rb run "$tmp/t.lua" --json; is "what it did by then keeps the lock" "$rc" 5
rb resume --json; is "resumed it is run again" "$rc $(log)" "1 half half "
rb undo --json; is "and taken back by the step's own undo" "$rc $(log)" "0 half half taken back true "
fresh; rb run "$tmp/t.lua"; touch "$work/go"
rb resume --json; is "resumed once the cause is mended" "$rc $(log)" "0 half half "
rb undo --json; is "it is one deed, which did not fail" "$rc $(log)" "0 half half taken back false "

# -- what an `undo` leaves is said ---------------------------------------------------------------
t <<LUA
return runbook { title = "U",
  step "Own" {
    remedy = function () exec.run { "sh", "-c", "echo did >> $work/log" } end,
    undo = function () exec.run { "sh", "-c", "echo undone >> $work/log" } end,
    irreversible = "the log keeps both" } }
LUA
fresh; rb run "$tmp/t.lua" --json
rb undo --dry-run --json
is "a dry undo says what will stay" "$rc $(j '.steps[0].reason') $(log)" "0 stays: the log keeps both did "
rb undo --json
is "and so does the undo" "$rc $(j '.steps[0].reason') $(log)" "0 stays: the log keeps both did undone "

# -- what says that it is irreversible is left, though it could be taken back --------------------------
t <<LUA
return runbook { title = "U",
  step "First" { remedy = function () file.write("$work/first", "1") end },
  step "Gone" { remedy = function () file.write("$work/gone", "1") end, irreversible = "others have read it" } }
LUA
fresh; rb run "$tmp/t.lua" --json
is "its change is shown as irreversible" "$rc $(j '[.steps[].effects[].undo] | join(", ")')" "0 automatic, irreversible: others have read it"
id=$(j .run)
rb report "$id" --json; is "in the report, too" "$(j '[.steps[].effects[].undo] | join(", ")')" "automatic, irreversible: others have read it"
rb undo --dry-run --json
has "a dry undo leaves it" "$rc $(j '.steps[] | select(.id == "gone").reason')" "0 stays: create $work/gone (1 bytes) (others have read it)"
rb undo --json
is "and so does the undo" "$rc $(ls "$work") $(j '.steps[] | select(.id == "gone").status')" "0 gone skipped"
