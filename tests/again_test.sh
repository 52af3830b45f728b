#!/usr/bin/env bash
# What is resumed, replayed and taken back, in its corners; on the sandbox
. "$(dirname "$0")/lib.sh"
for need in psql redis-cli; do
  command -v $need >/dev/null || { skip "corners" "needs $need"; exit 0; }
done
sandbox_up
work=$tmp/work; mkdir -p "$work"
sed -i -E "s|(programs += \{ )|\\1\"sh\", \"sleep\", |; s|(files += \{ )|\\1\"$work\", |" "$RUNBOOK_CONFIG"
t() { cat > "$tmp/t.lua"; }
j() { jq -r "$1" <<<"$out"; }
fresh() { rm -rf "$work" "$XDG_STATE_HOME"; mkdir -p "$work"; }
log() { tr '\n' ' ' < "$work/log" 2>/dev/null; }
redis() { redis-cli -u "$SANDBOX_REDIS_ADMIN_URL" --no-auth-warning "$@"; }
q() { psql -qAt "$SANDBOX_PG_URL" -c "$1"; }
until_() { for _ in $(seq 300); do "$@" && return; sleep 0.05; done; return 1; }
live() { "$runbook" "$@" >"$tmp/out" 2>"$tmp/err" & pid=$!; }
effects() { j '[.steps[].effects[] | select(.kind != "probe") | .path + "=" + .outcome] | join(" ")'; }

# -- Ctrl-C while a preview looks: the change is not begun ----------------------------------
fresh; redis del again:a >/dev/null
t <<LUA
local erp = system "school_erp"
return runbook { title = "P", system = "school_erp",
  step "A" { remedy = function ()
    file.write("$work/began", "1")
    erp.redis:set("again:a", "1") end } }
LUA
kill -STOP "$SANDBOX_REDIS_PID"
live run "$tmp/t.lua" --json; until_ test -e "$work/began"
sleep 0.3; kill -INT $pid; sleep 0.2; kill -CONT "$SANDBOX_REDIS_PID"; wait $pid
is "interrupted while its preview looks" "$? $(jq -r .status "$tmp/out")" "130 interrupted"
is "the change is not made" "$(redis exists again:a)" 0
rb verify; is "the tape fits" "$rc" 0
rb resume --json; is "resumed it is" "$rc $(redis get again:a)" "0 1"
rb undo --json; is "and taken back" "$rc $(redis exists again:a)" "0 0"

# -- Ctrl-C twice: what was looked at is looked at again, what was done is in doubt ----------------
fresh
t <<LUA
return runbook { title = "C",
  step "A" {
    probe = function () exec.probe { "sh", "-c", "echo 1 > \$TMPDIR/x; test -e $work/go || sleep 20" } end,
    remedy = function ()
      exec.run { "sh", "-c", "echo one >> $work/log; test -e $work/go || sleep 20" }
      exec.run { "sh", "-c", "echo two >> $work/log" } end } }
LUA
live run "$tmp/t.lua" --json
until_ pgrep -P $pid >/dev/null; kill -INT $pid; sleep 0.2; kill -INT $pid; wait $pid
is "Ctrl-C twice while it looks" "$? $(jq -r .status "$tmp/out")" "130 interrupted"
rb replay --json; is "it replays to where it was" "$rc" 0
live resume --json; until_ pgrep -P $pid >/dev/null; touch "$work/go"
kill -INT $pid; sleep 0.2; kill -INT $pid; wait $pid
is "and again in the same place" "$?" 130
rm "$work/go"; sed -i 's/|| sleep 20" } end,/|| true" } end,/' "$tmp/t.lua"
live resume --with "$tmp/t.lua" --json; until_ test -e "$work/log"
kill -INT $pid; sleep 0.2; kill -INT $pid; wait $pid
is "Ctrl-C twice in a command: in doubt" "$? $(log)" "6 one "
rb resume --json; is "and asked about" "$rc" 6
rb undo; is "nor is it taken back before that" "$rc" 6
touch "$work/go"
rb resume --in-doubt=retry --json; is "resumed as told" "$rc $(log)" "0 one one two "
rb replay --json; is "it replays" "$rc" 0

# -- a transaction that is replayed: its function goes on with what its statements brought -----------
fresh
t <<LUA
local erp = system "school_erp"
return runbook { title = "T", system = "school_erp",
  step "A" { remedy = function (run)
      run.n = erp.pg:transaction(function (tx)
        run.seen = tx:value "SELECT count(*) FROM greenwood_high.roles"
        tx:exec "UPDATE greenwood_high.roles SET name = name || '!' WHERE id = 1"
        return "once" end)
      run.looked = erp.pg:transaction(function (tx) return tx:value "SELECT 'seen'" end)
    end, irreversible = "t" },
  step "B" { probe = function (run)
    run:finding("words", (run.n .. "_" .. run.looked .. "_" .. run.seen):gsub("_", "-"):upper())
    if not file.stat("$work/go") then run:fail("not yet") end end } }
LUA
name=$(psql -qAt "$SANDBOX_PG_URL" -c 'SELECT name FROM greenwood_high.roles WHERE id = 1')
rb run "$tmp/t.lua" --json; said=$(j '.findings[0].value')
has "a transaction, and a failure after it" "$rc $said" "1 ONCE-SEEN-"
touch "$work/go"; rb resume --json
is "resumed: strings are what they were, and so is what it saw" "$rc $(j '.findings[0].value')" "0 $said"
is "it was done once" "$(psql -qAt "$SANDBOX_PG_URL" -c 'SELECT name FROM greenwood_high.roles WHERE id = 1')" "$name!"
# -- a part of a run: --only, --from, --case ----------------------------------------------------
killer="test -e $work/go || { kill -9 \$PPID; exit; }"
run9() { "$runbook" run "$tmp/t.lua" "$@" >/dev/null 2>&1; }  # it is killed
fresh
t <<LUA
return runbook { title = "S",
  step "A" { probe = function (run) run.a = "seen" end, remedy = function () file.write("$work/a", "1") end },
  step "B" { remedy = function (run) file.write("$work/b", run.a) exec.run { "sh", "-c", "$killer; echo b >> $work/log" } end },
  step "C" { remedy = function () file.write("$work/c", "1") end },
  case "one" { title = "One", when = "asked", step "D" { remedy = function () file.write("$work/d", "1") end } },
  case "two" { title = "Two", when = function () return true end, step "E" { remedy = function () file.write("$work/e", "1") end } } }
LUA
run9 --only b; touch "$work/go"; rb resume --in-doubt=retry --json
is "--only holds over a resume" "$rc $(ls "$work" | xargs) $(cat "$work/b")" "0 b go log seen"
rb undo --json; is "and is taken back" "$rc $(ls "$work" | xargs)" "0 go log"
fresh; run9 --from b --to c; touch "$work/go"; rb resume --in-doubt=retry --json
is "--from and --to do" "$rc $(ls "$work" | xargs)" "0 b c go log"
fresh; run9 --case one; touch "$work/go"; rb resume --in-doubt=retry --json
is "and --case" "$rc $(ls "$work" | xargs) $(j '.cases | join(" ")')" "0 a b c d go log one"
rb replay --json; is "which replays" "$rc" 0

# -- a failure that does not end the run is not tried again ------------------------------------------
fresh
t <<LUA
return runbook { title = "F",
  step "Goes on" { on_failure = "continue", remedy = function ()
    exec.run { "sh", "-c", "echo x >> $work/log; exit 3" } end },
  step "Warns" { on_failure = "warn", probe = function (run) run:fail("worn out") end },
  step "Killed" { remedy = function () exec.run { "sh", "-c", "$killer; echo y >> $work/log" } end } }
LUA
run9; touch "$work/go"; rb resume --in-doubt=retry --json
is "on_failure = continue: the command is not run again, the exit says it failed" "$rc $(log)" "1 x y "
is "on_failure = warn: a bad finding" "$(j '[.findings[] | .status] | join(" ")') $(j '[.steps[].status] | join(" ")')" "bad failed warned done"
rb replay --json; is "it replays" "$rc" 0

# -- a verification that is repeated, killed between two tries -------------------------------------------
fresh
t <<LUA
return runbook { title = "V",
  step "A" { retry = { times = 5, every = "10ms" },
    remedy = function () exec.run { "sh", "-c", "echo done >> $work/log" } end,
    verify = function (run)
      local n = exec.probe { "sh", "-c", "cat $work/tries" }.stdout
      run:note("looked: " .. n)
      if file.stat("$work/go") then return true end
      run:sleep("200ms")
      return false
    end } }
LUA
echo 1 > "$work/tries"
live run "$tmp/t.lua"; until_ grep -q "looked: 1" "$tmp/err"; sleep 0.3; kill -9 $pid; wait $pid 2>/dev/null
echo 2 > "$work/tries"; touch "$work/go"; rb resume --json
is "the verification goes on, the change is not made again" "$rc $(j '.steps[0].verify') $(log)" "0 passed done "
rb replay --json; is "and it replays" "$rc" 0

# -- limits count what was done before, too ----------------------------------------------------------------
fresh
t <<LUA
return runbook { title = "L", limits = { files = 3 },
  step "A" { remedy = function () file.write("$work/1", "1") file.write("$work/2", "1")
    exec.run { "sh", "-c", "$killer" } end },
  step "B" { remedy = function () file.write("$work/3", "1") file.write("$work/4", "1") end } }
LUA
run9; touch "$work/go"; rb resume --in-doubt=done --json
is "a limit holds over a resume" "$rc $(j .error.kind) $(ls "$work" | xargs)" "1 limit 1 2 3 go"
rb resume --json; is "and over another" "$rc $(j .error.kind) $(ls "$work" | xargs)" "1 limit 1 2 3 go"
rb abandon "$(j '.run')" --yes

# -- edited: a required file, and a step's name -----------------------------------------------------------------
fresh
t <<LUA
local words = require "words"
return runbook { title = "E",
  step "First" { remedy = function () file.write("$work/a", words.first) end },
  step "Second" { remedy = function (run) run:fail("no") end } }
LUA
echo 'return { first = "one" }' > "$tmp/words.lua"
rb run "$tmp/t.lua" --json; is "a run that fails" "$rc" 1
echo 'return { first = "changed" }' > "$tmp/words.lua"
rb resume --json; is "the required file of the tape is used" "$rc $(j .error.message)" "1 no"
rb resume --with "$tmp/t.lua" --json; is "with the edited one it differs" "$rc $(cat "$work/a")" "4 one"
has "what the script asks for in its place" "$(j .error.message)" "here it asks for file.write $work/a changed"
has "and what the tape has" "$(j .error.message)" "the tape has file.write"
has "at its line" "$(j '.error | "\(.file):\(.line)"')" "t.lua:3"
echo 'return { first = "one" }' > "$tmp/words.lua"
sed 's/"First"/"Renamed"/' "$tmp/t.lua" > "$tmp/renamed.lua"
rb resume --with "$tmp/renamed.lua" --json; is "a step of another name is another step" "$rc $(j .error.kind)" "4 drift"
has "which is said" "$(j .error.message)" "it comes to renamed/remedy/1, and the tape has file.write"
is "and nothing was done" "$(ls "$work" | xargs)" a
rb undo --json; is "the run as it was is taken back" "$rc $(ls "$work" | xargs)" "0 "

# -- an applied plan: taken back, and replayed -----------------------------------------------------------------
fresh; redis del again:a >/dev/null
t <<LUA
local erp = system "school_erp"
return runbook { title = "A", system = "school_erp",
  step "A" { remedy = function () erp.redis:set("again:a", "1") file.write("$work/a", "1") end } }
LUA
rb plan "$tmp/t.lua" -o "$tmp/plan.json"; rb apply "$tmp/plan.json" --json
is "applied" "$rc $(j .mode) $(redis get again:a)" "0 apply 1"
rb replay --json; is "an applied plan replays" "$rc" 0
rb undo --json; is "and is taken back" "$rc $(redis exists again:a) $(ls "$work" | xargs)" "0 0 "

# -- a transaction, killed in its COMMIT ---------------------------------------------------------------------
q "CREATE TABLE public.again (n int); GRANT ALL ON public.again TO PUBLIC;
  CREATE FUNCTION public.again_wait () RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN
    PERFORM pg_sleep(1.5); IF NEW.n = 13 THEN RAISE EXCEPTION 'thirteen'; END IF; RETURN NULL; END \$\$;
  CREATE CONSTRAINT TRIGGER again_wait AFTER INSERT ON public.again DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION public.again_wait ()" >/dev/null
committing() { [ "$(q "SELECT count(*) FROM pg_stat_activity WHERE query = 'COMMIT' AND wait_event = 'PgSleep'")" = 1 ]; }
quiet() { [ "$(q "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")" = 0 ]; }
commit() {  # N: killed while the server commits
  fresh; q "TRUNCATE public.again"
  t <<LUA
local erp = system "school_erp"
return runbook { title = "X", system = "school_erp",
  step "A" { remedy = function (run)
    erp.pg:transaction(function (tx)
      run.n = tx:exec("INSERT INTO public.again VALUES ($1) RETURNING n").returning[1].n
      run.all = tx:value "SELECT count(*) FROM public.again" end)
    file.write("$work/n", run.n .. " of " .. run.all) end,
    undo = function () erp.pg:exec "DELETE FROM public.again" end } }
LUA
  live run "$tmp/t.lua" --json; until_ committing || fail "the COMMIT of $1"
  kill -9 $pid; wait $pid 2>/dev/null; until_ quiet
}
commit 7
is "killed in a COMMIT that went through" "$(q 'SELECT count(*) FROM public.again')" 1
rb resume --json; is "the server is asked, nobody else" "$rc $(cat "$work/n")" "0 7 of 1"
is "it is not done twice" "$(q 'SELECT count(*) FROM public.again')" 1
rb replay --json; is "it replays offline, what was read inside it, too" "$rc" 0
rb undo --json; is "and is taken back" "$rc $(q 'SELECT count(*) FROM public.again')" "0 0"
commit 13
is "killed in a COMMIT that failed" "$(q 'SELECT count(*) FROM public.again')" 0
q "CREATE OR REPLACE FUNCTION public.again_wait () RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
rb resume --json; is "it is done again as a whole" "$rc $(cat "$work/n") $(q 'SELECT count(*) FROM public.again')" "0 13 of 1 1"
rb replay --json; is "and replays" "$rc" 0
