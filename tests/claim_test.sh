#!/usr/bin/env bash
# Claims: a run that was not finished keeps its lock until it is resumed, undone or abandoned.
. "$(dirname "$0")/lib.sh"
work=$tmp/work; mkdir -p "$work"
config() { cat > "$tmp/runbook.config.lua" <<LUA
return { target = "local", $1
  targets = { ["local"] = { kind = "sandbox",
    allow = { files = { "$work" }, programs = { "sh" } },
    systems = { app = { dotenv = "$work/.env" } } } } }
LUA
}
config ""
export RUNBOOK_CONFIG=$tmp/runbook.config.lua
j() { jq -r "$1" <<<"$out"; }
fresh() { rm -rf "$work" "$XDG_STATE_HOME"; mkdir -p "$work"; }
book() { cat > "$tmp/$1.lua"; }
book t <<LUA
return runbook { title = "T", lock = "thing",
  params = { bad = { "boolean", default = false }, die = { "boolean", default = false },
             quiet = { "boolean", default = false } },
  step "Change" {
    when = function (run) return not run.quiet end,
    remedy = function (run)
      file.write("$work/a", run.id)
      if run.die then exec.run { "sh", "-c", "test -e $work/go || kill -9 \$PPID" } end
    end },
  step "Look" { probe = function (run)
    if run.bad and not file.stat("$work/go") then run:fail("not yet") end end },
}
LUA
go() { rb run "$tmp/t.lua" --json "$@"; }
claimed() { is "$1" "$rc $(j .error.kind)" "5 lock"; }

# -- who leaves a claim ---------------------------------------------------------------
fresh
go; is "a run that is done leaves none" "$rc" 0
go; is "so the next one may run" "$rc" 0
go quiet=true bad=true; is "a run that failed and changed nothing" "$rc" 1
go; is "leaves none" "$rc" 0
go bad=true; is "a run that failed after a change" "$rc" 1; run=$(j .run) id=${run: -8}
go; claimed "keeps its lock"
has "who is told: the run" "$(j .error.message)" "run $run of t by $(id -un) on $(uname -n) since 20"
for verb in resume undo abandon; do has "and what to type: $verb" "$(j .error.message)" "runbook $verb $id"; done
is "the second run changed nothing" "$(cat "$work/a")" "$run"
go --dry-run; claimed "a dry run says so, too"
is "and goes on" "$(j '[.steps[].status] | join(" ")')" "planned done"
go -n; has "as what would be refused" "$(j .error.message)" "would be refused: the lock 'thing' is kept"
go bad=true; claimed "a run that is refused"
rb history --status failed --json; is "leaves no claim of its own" "$(j '[.[] | select(.exit == 1)] | length')" 2

# -- until it is resumed ---------------------------------------------------------------
rb resume "$id" --json; is "resumed in vain" "$rc $(j .error.message)" "1 not yet"
go; claimed "it is kept"
touch "$work/go"
rb resume --json; is "resumed to its end" "$rc $(j .run)" "0 $run"
rm "$work/go"; go; is "it is free" "$rc" 0

# -- undone -------------------------------------------------------------------------------
go bad=true; run=$(j .run)
rb undo --dry-run --json; is "a dry undo settles nothing" "$rc" 0
go; claimed "so it is kept"
rb undo --json; is "undone" "$rc $(j .status)" "0 done"
go; is "it is free" "$rc" 0
rb resume "$run"; is "what was taken back cannot go on" "$rc" 2
has "and it says why" "$err" "was taken back"

# without a name: the last run that changed something, even if all of it was taken back
go; first=$(j .run); go; last=$(j .run); go bad=true quiet=true
rb undo --json; has "undo passes over what changed nothing" "$err" "takes back what run $last changed"
rb undo --json; has "and does not go on to the run before" "$rc $err" "0 nothing of run $last is left"
is "whose change is there" "$(cat "$work/a")" "$first"

# an undo that stops half-way is to be settled, too, even of a run that was done
book u <<LUA
return runbook { title = "U", lock = "thing",
  step "One" { remedy = function (run) file.write("$work/one", "1") end },
  step "Two" { remedy = function (run) file.write("$work/two", "1") end } }
LUA
rb run "$tmp/u.lua" --json; run=$(j .run) id=${run: -8}
echo other > "$work/one"
rb undo --json; is "the world has moved on" "$rc" 4
go; claimed "what is taken back in part keeps its lock"
has "and it says so" "$(j .error.message)" "was taken back in part after"
hasnot "nothing is left to be resumed" "$(j .error.message)" "runbook resume"
rb undo "$id" --force --json; is "the undo goes on" "$rc" 0
go; is "and then it is free" "$rc" 0
rb run "$tmp/u.lua" --json; echo other > "$work/two"
rb undo --json; is "an undo that took nothing back" "$rc" 4
go; is "leaves no claim" "$rc" 0

# -- killed --------------------------------------------------------------------------------
fresh
"$runbook" run "$tmp/t.lua" die=true >/dev/null 2>&1; is "killed in a deed" "$?" 137
go; claimed "keeps its lock"
has "it says how it ended" "$(j .error.message)" "was ended from outside"
touch "$work/go"; rb resume --in-doubt=done --json; is "resumed" "$rc" 0
go; is "it is free" "$rc" 0

# -- abandoned -----------------------------------------------------------------------------
rm "$work/go"
go bad=true; run=$(j .run) id=${run: -8}
rb abandon "$id"; is "nobody is asked: exit 3" "$rc" 3; has "and it says how" "$err" "with --yes"
go; claimed "nothing has come of that"
rb abandon "$id" --yes; is "abandoned" "$rc" 0; has "it says what that means" "$err" "stays as it is"
is "what was changed is still there" "$(cat "$work/a")" "$run"
rb history --json; is "the history says so" "$(j '.[] | select(.run == "'"$run"'") | .status + " " + (.exit | tostring)')" "abandoned 1"
rb report "$id" --format json
is "and its tape, with who did it" "$(j '.recorded.notes[-1].text')" "abandoned by $(id -un) on $(uname -n): what it changed stays as it is"
ok "the document is of its schema" "$python" - "$top/docs/run.schema.json" <(echo "$out") <<'PY'
import json, sys, jsonschema
jsonschema.validate(json.load(open(sys.argv[2])), json.load(open(sys.argv[1])))
PY
rb verify; is "the chain fits" "$rc" 0
go; is "the lock is free" "$rc" 0
rb abandon "$id" --yes; is "not twice" "$rc" 2; has "it says so" "$err" "is abandoned already"
rb resume "$id"; is "it cannot be resumed" "$rc" 2; has "it says so" "$err" "was abandoned"
rb resume; is "nor is it picked" "$rc" 2
rb undo "$id" --json; is "but what it did can be taken back by name" "$rc" 4  # another run wrote since
go; done=$(j .run); rb abandon "$done" --yes; is "a run that is done" "$rc" 2; has "has nothing to abandon" "$err" "is done"
go -n; rb abandon "$(j .run)" --yes; is "nor a dry run" "$rc" 2; has "it says so" "$err" "is a dry run"
rb abandon NOSUCH --yes; is "an unknown one" "$rc" 2
rb abandon; is "it wants a name" "$rc" 2
go bad=true quiet=true; rb abandon "$(j .run)" --json --yes
is "one that changed nothing" "$rc $(j '.status + " " + (.changed | tostring)')" "0 abandoned false"
book live <<LUA
return runbook { title = "L", lock = "thing", step "A" {
  remedy = function (run) file.write("$work/live", "x") end,
  probe = function (run) run:wait_until("go", { every = "50ms", within = "60s" }, function () return file.stat("$work/go") end) end } }
LUA
"$runbook" run "$tmp/live.lua" >"$tmp/live.out" 2>&1 & pid=$!
for _ in $(seq 200); do grep -q "process $pid" "$XDG_STATE_HOME/runbook/locks/thing" && break; sleep 0.05; done
for _ in $(seq 200); do rb history --json; live=$(j '.[0].run'); [ "$(j '.[0].runbook')" = live ] && break; sleep 0.05; done
rb abandon "$live" --yes; is "a run that is under way" "$rc" 5; has "it says so" "$err" "still under way"
go; claimed "its lock is held"; has "by a process" "$(j .error.message)" "(process $pid)"
touch "$work/go"; wait $pid; is "it was not disturbed" "$?" 0; rm "$work/go"

# -- folders that several people share: their tapes are not ours to read -----------------------
mkdir "$tmp/locks"; config "locks = \"$tmp/locks\","
other() { XDG_STATE_HOME=$tmp/other go "$@"; }
go; other; is "what is done is free for others" "$rc" 0
go bad=true quiet=true; other; is "and what changed nothing" "$rc" 0
go bad=true; id=$(j .run); id=${id: -8}
other; claimed "what is not finished is not"
has "they are told who settles it" "$(j .error.message)" "Who began it settles it: runbook resume $id"
rb abandon "$id" --yes; other; is "abandoned it is free for others, too" "$rc" 0
"$runbook" run "$tmp/t.lua" die=true >/dev/null 2>&1
other; claimed "killed in a deed"
rb abandon "$("$runbook" history --json | jq -r '.[0].run')" --yes; other; is "until it is abandoned" "$rc" 0

# -- without a lock nothing is refused: it is said -----------------------------------------------
config ""; fresh
sed 's/lock = "thing",//' "$tmp/t.lua" >"$tmp/free.lua"; sed 's/lock = "thing",//' "$tmp/t.lua" >"$tmp/other.lua"
"$runbook" run "$tmp/free.lua" die=true >/dev/null 2>&1
rb history --json; run=$(j '.[0].run') id=${run: -8}
rb run "$tmp/free.lua" --json quiet=true; is "a run was killed, and the next begins" "$rc" 0
is "its document says nothing else" "$(j .status)" "done"
has "on standard error it is said, and what to type" "$err" "run $run of this runbook, by $(id -un) since 20"
for verb in resume undo abandon; do has "... $verb" "$err" "runbook $verb $id"; done
rb run "$tmp/free.lua" --dry-run; hasnot "not by a dry run" "$err" "$id"
rb run "$tmp/other.lua" quiet=true; hasnot "nor by another runbook" "$err" "$id"
rb abandon "$id" --yes; rb run "$tmp/free.lua" quiet=true; hasnot "nor once it is settled" "$err" "$id"
