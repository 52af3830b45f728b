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
q() { psql -qAt "$SANDBOX_PG_ADMIN_URL" -c "$1"; }
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
    end, irreversible = "t" },
  step "B" { probe = function (run)
    run:finding("words", (run.n .. "_" .. run.seen):gsub("_", "-"):upper())
    if not file.stat("$work/go") then run:fail("not yet") end end } }
LUA
name=$(psql -qAt "$SANDBOX_PG_URL" -c 'SELECT name FROM greenwood_high.roles WHERE id = 1')
rb run "$tmp/t.lua" --json; said=$(j '.findings[0].value')
has "a transaction, and a failure after it" "$rc $said" "1 ONCE-"
touch "$work/go"; rb resume --json
is "resumed: strings are what they were, and so is what it saw" "$rc $(j '.findings[0].value')" "0 $said"
is "it was done once" "$(psql -qAt "$SANDBOX_PG_URL" -c 'SELECT name FROM greenwood_high.roles WHERE id = 1')" "$name!"
