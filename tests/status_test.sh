#!/usr/bin/env bash
# What a run is doing now: asked by `runbook status`, and by SIGUSR1
. "$(dirname "$0")/lib.sh"
sandbox_up
export WORD=status-secret-31c07 TERM=xterm
work=$tmp/work; mkdir "$work"; cd "$tmp" || exit 1
"$python" "$top/tests/badserver.py" --mute >port & mute=$!
while ! [ -s port ]; do kill -0 $mute || exit 1; done
cat > "$tmp/runbook.config.lua" <<LUA
return { target = "local", targets = { ["local"] = { kind = "sandbox",
  allow = { files = { "$work" }, programs = { "sh", "sleep" } },
  systems = { app = { http = "http://127.0.0.1:$(cat port)", pg = "$SANDBOX_PG_URL",
    settings = { word = secret "WORD" } } } } } }
LUA
j() { jq -r "$1" <<<"$out"; }
# begin ARGS...: a run in the background; $pid
begin() { "$runbook" run "$@" >run.out 2>run.err </dev/null & pid=$!; }
# until what a look says is so, or the run is over; the look is left in $out
until_() { for ((;;)); do rb status --json; [ "$(j "$1")" != true ] || return 0
  kill -0 $pid 2>/dev/null || { fail "$1" "the run is over" "$(cat run.out run.err)"; return 1; }; done; }
finish_run() { while kill -INT $pid 2>/dev/null; do sleep 0.1; done; wait $pid; }
branch() { jq -c --arg b "$1" '.live[0].tasks[] | select(.branch | endswith($b)) | '"$2" <<<"$out"; }

rb status; is "without a tape" "$rc$out" 0; has "nothing is under way" "$err" "nothing is under way"
rb status NOSUCH; is "a run that is none" "$rc" 2

# -- a run that waits everywhere -----------------------------------------------------
cat > t.lua <<LUA
local app = system "app"
return runbook { title = "Wait everywhere",
  case "all" { title = "All of it", when = "asked",
    step "Wait" { timeout = "1m", probe = function (run)
      run:each({ 1, 2, 3, 4, 5, 6 }, function (i)
        if i == 1 then run:sleep("50s") end
        if i == 2 then exec.probe { "sleep", "50" } end
        if i == 3 then run:wait_until("pigs fly: $WORD", { every = "49s", within = "50s" }, function () return false end) end
        if i == 4 then app.http:get("/never/{word}", { path = { word = app.settings.word }, timeout = "40s" }) end
        if i == 5 then app.pg:query("SELECT count(*) FROM public.schools") end
      end)
    end } } }
LUA
psql -XqAt "$SANDBOX_PG_URL" >/dev/null <<'SQL' & holder=$!
BEGIN; LOCK public.schools IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(50);
SQL
until [ -n "$(psql -XqAt "$SANDBOX_PG_URL" -c "SELECT 1 FROM pg_locks WHERE relation = 'public.schools'::regclass AND mode = 'AccessExclusiveLock' AND granted")" ]; do kill -0 $holder || exit 1; done
begin t.lua --case all
until_ '[.live[0].tasks[]? | select(.state == "waiting" or .state == "pausing")] | length == 5'
is "its step" "$(j '.live[0] | [.runbook, .target, .mode, .pid, .step.n, .step.id, .step.case, .step.field] | join(" ")')" \
  "t local run $pid 1 wait all probe"
is "all branches but one are left" "$(branch /probe '[.verb, .state, .done, .of]')" '["run:each","joining",1,6]'
is "a sleep" "$(branch '[1]' '[.verb, .summary, .state, .wakes_ms > 30000]')" '["run:sleep","50s","pausing",true]'
is "a child process" "$(branch '[2]' '[.verb, .effect, .state, .summary]')" '["exec.probe","probe","waiting","sleep 50"]'
is "a condition, without the secret in it" "$(branch '[3]' '[.verb, .summary]')" '["run:wait_until","pigs fly: [redacted WORD]"]'
is "a server that never answers" "$(branch '[4]' '[.verb, .target, .summary, .left_ms <= 40000]')" \
  '["http.get","app.http","/never/{word}",true]'
is "a statement that waits for a lock" "$(branch '[5]' '[.verb, .target, .state, .left_ms > 0]')" '["pg.query","app.pg","waiting",true]'
is "for how long, by the clock" "$(j '[.live[0].tasks[] | select(.verb != "run:each") | .for_ms >= 0 and .for_ms <= 60000] | all')" true
is "and until when" "$(j '[.live[0].tasks[].deadline | test("^20.*Z$")] | all')" true
run=$(j '.live[0].run')
rb status; has "in words" "$out" "wait/probe/1[4]  waits in http.get of app.http: /never/{word}, for "
has "... and the run" "$out" "run $run of t on local (run), process $pid on "
rb status "${run: -8}" --json; is "by its ending" "$rc $(j '.live | length')" "0 1"
(sleep 0.1; exec "$runbook" status --json >other) & "$runbook" status --json >one; wait $!
is "two at once are both answered" "$(jq -r '.live[0].run' one other | xargs)" "$run $run"
is "nobody's question was taken for a person's" "$(grep -c "process $pid" run.err)" 0
kill -USR1 $pid; until grep -q 'pigs fly' run.err; do kill -0 $pid || break; done
has "SIGUSR1: on its standard error" "$(cat run.err)" "wait/probe/1[3]  waits in run:wait_until: pigs fly: [redacted WORD], for "
hasnot "... without the secret" "$(cat run.err run.out)" "$WORD"
kill -STOP $pid; rb status; is "a process that was stopped" "$rc" 1
has "... is named" "$out" "run $run does not say what it is doing: process $pid, T (stopped)"; kill -CONT $pid
finish_run; kill $holder 2>/dev/null; wait $holder 2>/dev/null
rb status "$run"; has "once it is over" "$rc $out" "0 run $run of t is not under way: it ended, interrupted"
rb verify; is "the tape does not mind" "$rc" 0

# -- no loop that could answer --------------------------------------------------------
echo 'return runbook { title = "Busy", step "Count" { probe = function () local n = 0 while true do n = n + 1 end end } }' > busy.lua
begin busy.lua; until_ '.live[0].tasks[0].state == "running"'
is "pure Lua says that it computes" "$(j '.live[0].tasks[0].branch')" "count/probe"; finish_run
echo 'return runbook { title = "Stuck", step "Match" { probe = function ()
  return string.find(("a"):rep(40), ("a?"):rep(40) .. ("a"):rep(40)) end } }' > stuck.lua
begin stuck.lua; until_ '.live[0].computing_ms > 0'
is "a function of Lua's own that does not return: seen from outside" "$(j '.live[0].step.id')" match
rb status; has "... in words" "$out" "has been computing for"; finish_run
cat > ask.lua <<'LUA'
return runbook { title = "Ask", step "By hand" { manual = "Press the red button" },
  step "Done" { probe = function () end } }
LUA
cat > talk.py <<'PY'
import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
seen = b""
while b"red button" not in seen:
    seen += os.read(fd, 4096)
open("asks", "w").write(str(pid))
while not os.path.exists("answered"):
    pass
os.write(fd, b"yes\n\n")
try:
    while True:
        seen += os.read(fd, 4096)
except OSError:
    pass
open("seen", "wb").write(seen)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) & 255)
PY
"$python" talk.py "$runbook" run ask.lua & pid=$!
until [ -s asks ]; do kill -0 $pid || exit 1; done
until_ '.live[0].asking'; is "a question at a terminal" "$(j '.live[0].step.id')" by-hand
rb status; has "... in words" "$out" "waits for a person at its terminal"
touch answered; wait $pid; is "and it is still answered" "$?" 0

# -- what was left --------------------------------------------------------------------
cat > kill.lua <<LUA
return runbook { title = "K", lock = "k", step "Change" { remedy = function (run)
  file.write("$work/a", "1")
  exec.run { "sh", "-c", "kill -9 \$PPID" } end } }
LUA
"$runbook" run kill.lua >/dev/null 2>&1
rb status; id=$(rb history --json; j '.[0].run')
rb status; has "a run that was killed" "$rc $out" "0 run $id of kill on local, by $(id -un) on $(hostname) since "
has "... and what can be done" "$out" "is not finished: was ended from outside after it had changed something
  runbook resume ${id: -8}, or runbook undo ${id: -8}, or runbook abandon ${id: -8}"
rb status --json; is "... as JSON" "$(j '.unfinished[0] | [.run, .target, .how, .next[0]] | join(" ")')" \
  "$id local was ended from outside runbook resume ${id: -8}"
rb abandon "$id" --yes; rb status; is "abandoned, it is settled" "$rc$out" 0
rb status "$id"; has "... and named, it says so" "$out" "it ended, abandoned"

# a session that does not listen must not die of the question
cat > hold.py <<'PY'
import fcntl, os, sys, time
fd = os.open(sys.argv[1], os.O_RDONLY)
fcntl.flock(fd, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(60)
PY
"$python" hold.py "$XDG_STATE_HOME/runbook/keys/$run" >held & pid=$!
until [ -s held ]; do kill -0 $pid || exit 1; done
rb status; has "what does not listen is not asked" "$rc $out" "1 run $run does not say what it is doing: process $pid"
ok "... and lives" kill -0 $pid; kill $pid; wait $pid 2>/dev/null
kill $mute
