#!/usr/bin/env bash
# [s]kip at the question of a run that failed: it goes on, and does not pretend.
. "$(dirname "$0")/lib.sh"
cat > "$tmp/runbook.config.lua" <<LUA
return { target = "local", targets = {
  ["local"] = { kind = "sandbox", allow = { files = { "$tmp" }, programs = { "sh" } } } } }
LUA
export RUNBOOK_CONFIG=$tmp/runbook.config.lua
cd "$tmp" || exit 2
me=$(id -un)

t() { printf '%s\n' "$1" > t.lua; }
fresh() { rm -rf "$XDG_STATE_HOME" one two three go log; }
# talk KEY...: the run, and what is answered to each question; $out, $rc
talk() { out=$("$python" "$top/tests/skip.py" "$runbook" "${book:-run t.lua}" "$@" 2>&1); rc=$(sed -n 's/^exit //p' <<<"$out"); }
statuses() { "$runbook" report --json | jq -r '[.steps[] | .status] | join(" ")'; }
two='exec.run { "sh", "-c", "echo two >> '"$tmp"'/log; exit 4" }'
three='step "Three" { remedy = function () file.write("'"$tmp"'/three", "x") end }'
w='remedy = function () file.write("'"$tmp"'/go", "x") end, '
one='step "One" { remedy = function () file.write("'"$tmp"'/one", "x") end }'

# -- a remedy that failed ---------------------------------------------------------------------------
t 'return runbook { title = "t", lock = "skip", '"$one"',
  step "Two" { probe = function (run) run.rows = file.hash("'"$tmp"'/one") end,
    remedy = function () '"$two"' end, verify = function () return true end },
  '"$three"' }'
fresh; talk s
has "it is asked for by its letter" "$out" "[r]etry, [s]kip, [u]ndo, [i]nspect or [q]uit?"
is "the run goes on, and still fails" "$rc $(cat three) $(statuses)" "1 x done skipped done"
is "nothing was done again" "$(cat log)" two
has "its end says what was skipped" "$out" "2 Two: it failed, and the run went on without it"
has "and what to type" "$out" "leaves it as it is, and frees its lock"
is "nobody is asked once more" "$(grep -o 'q\]uit?' <<<"$out" | wc -l)" 1
rb report --json
is "the report: failed, by whose decision, after what" "$(jq -r '[.status, .exit, .error.kind, .error.step, .error.message] | join("|")' <<<"$out")" \
  "failed|1|skipped|two|skipped by $me after: sh: exit code 4"
is "so says the step" "$(jq -r '.steps[1].reason' <<<"$out")" "skipped by $me after: sh: exit code 4"
is "and the effect that failed is there" "$(jq -r '.steps[1].effects[-1].outcome' <<<"$out")" failed
is "it is said on the tape, with its time" "$(jq -r '.recorded.notes[-1] | [(.at | length), .by, .text] | join(" ")' <<<"$out")" \
  "24 $me step 2, Two, is skipped by $me after: sh: exit code 4"
rb report; has "for people, too" "$out" "it failed, and the run went on without it"
rb report --format markdown; has "in Markdown" "$out" "skipped by $me after"
rb report --format html; has "in HTML" "$out" "skipped by $me after"
is "history: it failed" "$("$runbook" history --json | jq -c '[.[0].status, .[0].exit]')" '["failed",1]'
ok "the tape fits" "$runbook" verify
rb resume; is "there is nothing to go on with" "$rc" 2; has "which is said" "$err" "came to its end, but for what failed and was skipped"
rb replay --json; is "it replays" "$rc $(jq -r '[.steps[].status] | join(" ")' <<<"$out")" "0 done skipped done"
rb tape export -o x.tape; is "it leaves as a file" "$rc" 0
rb replay ./x.tape --json; is "which replays" "$rc $(jq -r '.steps[1].status' <<<"$out")" "0 skipped"
sed 's/exit 4/exit 5/' t.lua > u.lua; rb replay --with u.lua; is "another script differs" "$rc" 4
rb run t.lua; is "it keeps its lock" "$rc" 5
rb undo --json; is "it is taken back, the rest of it, too" "$rc $(ls one three 2>/dev/null)" "0 "
rb run t.lua --json; is "and then the lock is free" "$rc" 1
fresh; talk s; rb abandon "$("$runbook" history --json | jq -r '.[0].run')" --yes; is "or abandoned" "$rc $(cat three)" "0 x"

# -- what comes after it ----------------------------------------------------------------------------
t 'return runbook { title = "t", '"$one"',
  step "Two" { probe = function (run) run.early = 1; run:fail("no"); run.late = 2 end },
  step "Three" { remedy = function (run) file.write("'"$tmp"'/three", tostring(run.early)) end },
  step "Four" { probe = function (run) run:note(run.late) end },
  step "Five" { remedy = function () file.write("'"$tmp"'/go", "x") end } }'
fresh; talk s q
is "what it had set is there, and what needs the rest fails" "$rc $(cat three) $(statuses)" "1 1 done skipped done failed skipped"
has "and says why" "$("$runbook" report --json | jq -r .error.message)" "run.late was never set: step 2, Two, which may set it, was skipped"
rb resume --json; is "a resume asks nothing of it" "$rc $(jq -r '[.steps[].status] | join(" ")' <<<"$out")" "1 done skipped done failed skipped"
fresh; talk s s
is "two are skipped" "$rc $(statuses) $(ls go)" "1 done skipped done skipped done go"
has "and both are named" "$out" "2 Two, 4 Four: they failed, and the run went on without them"
rb replay; is "it replays" "$rc" 0
fresh; talk s u
is "undo takes all of it back, after a skip, too" "$rc $(ls one three 2>/dev/null)" "1 "

# -- sessions -----------------------------------------------------------------------------------------
t 'return runbook { title = "t", '"$one"', step "Two" { remedy = function () '"$two"' end },
  step "Three" { remedy = function () exec.run { "sh", "-c", "echo three >> '"$tmp"'/log; test -e '"$tmp"'/go || { touch '"$tmp"'/go; exit 5; }" } end },
  step "Four" { probe = function (run) end } }'
fresh; talk s r
is "retry of the next one does not retry it" "$rc $(xargs <log) $(statuses)" "1 two three three done skipped done done"
ok "the tape fits" "$runbook" verify
rb replay; is "it replays" "$rc" 0
t 'return runbook { title = "t", '"$one"', step "Two" { remedy = function () '"$two"' end },
  step "Three" { probe = function (run) run:sleep("3s") end } }'
fresh; talk 's!'
is "killed after it" "$rc $(statuses)" "-9 done skipped "
rb resume --json; is "a resume goes on after it" "$rc $(xargs <log) $(jq -r '[.steps[].status] | join(" ")' <<<"$out")" "1 two done skipped done"
is "with the same error" "$(jq -r .error.kind <<<"$out")" skipped

t 'return runbook { title = "t", '"$one"',
  step "Two" { remedy = function () exec.run { "sh", "-c", "echo two >> '"$tmp"'/log; echo oops >> '"$tmp"'/runbook.config.lua; exit 4" } end },
  '"$three"' }'
fresh; talk s
is "it cannot go on now" "$rc $(ls three 2>/dev/null)" "2 "
sed -i '/oops/d' runbook.config.lua
rb resume --json; is "what was said stays said" "$rc $(cat log three) $(jq -r '[.steps[].status] | join(" ")' <<<"$out")" "1 two
x done skipped done"

# with FIRST SECOND: skipped with the one, gone on with the other, which mends what was skipped
with() { t "return runbook { title = \"t\", $2 }"; fresh; talk s q; t "return runbook { title = \"t\", $3 }"; rb resume --with t.lua --json
  is "$1" "$rc $(ls go 2>/dev/null) $(jq -r '[.steps[] | .status] | join(" ")' <<<"$out")" "1  done skipped failed"; }
fail='probe = function (run) run:fail("no") end'
with "mended in the meantime: it stays skipped" "$one, step 'Two' { $fail, $w }, step 'Three' { $fail }" "$one, step 'Two' { $w }, step 'Three' { $fail }"
wrote="step 'Three' { remedy = function (run) file.write('$tmp/three', 'x'); run:fail('no') end }"
with "also where the tape goes on after it" "$one, step 'Two' { $fail, $w }, $wrote" "$one, step 'Two' { $w }, $wrote"
with "and where the session is live before it" "$one, step 'Two' { $fail, $w }, step 'Three' { $fail }" \
  "step 'One' { remedy = function () file.write('$tmp/one', 'x'); file.write('$tmp/three', 'x') end }, step 'Two' { $w }, step 'Three' { $fail }"

# -- ways to fail ----------------------------------------------------------------------------------------
fails() { t 'return runbook { title = "t", '"$one"', step "Two" { '"$2"' }, '"$three"' }'; fresh; talk s
  is "$1: skipped" "$rc $(cat three) $(statuses)" "1 x done skipped done"
  has "$1: with its words" "$("$runbook" report --json | jq -r .error.message)" "skipped by $me after: $3"
  rb replay; is "$1: it replays" "$rc" 0; rb undo --json; is "$1: it is taken back" "$rc $(ls one three go 2>/dev/null)" "0 "; }
fails "a verification" "$w"'verify = function () return false, "not so" end' "its verification said no: not so"
fails "its own words" 'probe = function (run) run:fail("no way") end' "no way"
fails "a mistake in the script" 'probe = function (run) local x = nil; return x.y end' "attempt to index a nil value"
fails "out of time" "$w"'timeout = "300ms", verify = function (run) run:sleep("5s") return true end' "ran out of time sleeping"
fails "one of its branches" 'remedy = function (run) run:each({ 1, 2, 3 }, { limit = 3 }, function (i)
  if i == 2 then run:fail("branch") end
  if i == 3 then run:sleep("100ms"); file.write("'"$tmp"'/go", "x") end end) end' ""
fails "its when" 'when = function (run) run:fail("cannot tell") end, '"$w" "cannot tell"

# -- where it is not there ---------------------------------------------------------------------------------
t 'return runbook { title = "t", '"$one"', step "Two" { remedy = function () '"$two"' end }, '"$three"' }'
fresh; rb plan t.lua -o p.json; book="apply p.json" talk s q
has "a plan that is applied is done whole" "$out" "[r]etry, [u]ndo, [i]nspect or [q]uit?"
is "and s is no answer there" "$rc $(ls three 2>/dev/null)" "1 "
t 'return runbook { title = "t", '"$one"', step "Two" { remedy = function () exec.run { "sh", "-c", "kill -9 $PPID" } end }, '"$three"' }'
fresh; talk s
rb resume --in-doubt=ask; is "what is in doubt is decided first" "$rc $(ls three 2>/dev/null)" "6 "
