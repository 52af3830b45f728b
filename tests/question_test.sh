#!/usr/bin/env bash
# Questions of a run, on a terminal of our own: who thinks for long, and who gives up.
. "$(dirname "$0")/lib.sh"
me=$(id -un)
cat > "$tmp/runbook.config.lua" <<LUA
return { target = "local", roles = { owner = { "$me" } },
  targets = {
    ["local"] = { kind = "sandbox", allow = { files = { "$tmp" }, programs = { "sleep" } } },
    prod = { kind = "production", allow = { files = { "$tmp" } } } } }
LUA
export RUNBOOK_CONFIG=$tmp/runbook.config.lua TERM=xterm
t() { printf '%s\n' "$1" > "$tmp/t.lua"; }

# talk "PROMPT" SECONDS KEYS ... -- arguments: waits for each prompt, thinks, types
cat > "$tmp/talk.py" <<'PY'
import os, pty, sys, time
at = sys.argv.index("--")
turns, words = sys.argv[1:at], sys.argv[at + 1:]
pid, fd = pty.fork()
if pid == 0:
    os.execvp(words[0], words)
seen, end = "", time.time() + 60
def look():
    global seen
    try:
        more = os.read(fd, 4096)
    except OSError:
        more = b""
    seen += more.decode(errors="replace")
    return more
for i in range(0, len(turns), 3):
    while turns[i] not in seen and time.time() < end and look():
        pass
    time.sleep(float(turns[i + 1]))
    os.write(fd, turns[i + 2].encode().decode("unicode_escape").encode())
while time.time() < end and look():
    pass
code = os.waitpid(pid, 0)[1]
sys.stdout.write(seen.replace("\r", ""))
sys.exit(os.waitstatus_to_exitcode(code) & 255)
PY
talk() { out=$("$python" "$tmp/talk.py" "$@" 2>&1); rc=$?; }

t 'return runbook { title = "t", step "A" { timeout = "5s", probe = function (run)
  run:finding("x", run:ask { id = "x", question = "which?" }) end } }'
talk 'which?' 6 'that\n' -- "$runbook" run "$tmp/t.lua"
is "who thinks for longer than a script may compute is heard" "$rc $(grep -c 'x  that' <<<"$out")" "0 1"
talk 'which?' .1 '\x03' -- "$runbook" run "$tmp/t.lua"
is "Ctrl-C at a question: interrupted" "$rc" 130
has "it says so" "$out" "Interrupted at step 1"
hasnot "nothing is under way" "$out" "stopping after"

t 'return runbook { title = "t", approve = "owner", step "A" { remedy = function () file.write("'"$tmp"'/made", "x") end } }'
talk 'y/N' .1 '\x03' -- "$runbook" run "$tmp/t.lua"
is "Ctrl-C at the approval: interrupted, nothing done" "$rc $(test -e "$tmp/made" || echo none)" "130 none"
talk 'y/N' .1 '\x04' -- "$runbook" run "$tmp/t.lua"
is "Ctrl-D at the approval: stopped, nothing done" "$rc $(test -e "$tmp/made" || echo none)" "3 none"
has "it says why" "$out" "the question was not answered"
talk 'y/N' .1 'n\n' -- "$runbook" run "$tmp/t.lua"
is "no at the approval: stopped, nothing done" "$rc $(test -e "$tmp/made" || echo none)" "3 none"

t 'return runbook { title = "t", step "A" { remedy = function () file.write("'"$tmp"'/made", "x") end } }'
talk 'y/N' .1 '\x03' -- "$runbook" run "$tmp/t.lua" --target prod
is "Ctrl-C at the question of production" "$rc $(test -e "$tmp/made" || echo none)" "130 none"
has "the plan was shown before it" "$out" "A real run would make 1 change."

t 'return runbook { title = "t", params = { p = { "string", required = true } }, step "A" { probe = function () end } }'
talk 'p (string)' .1 '\x03' -- "$runbook" run "$tmp/t.lua"
is "Ctrl-C where a parameter is asked for" "$rc" 130
has "it says that nothing was run" "$out" "interrupted; nothing was run"

t 'return runbook { title = "t", step "A" { manual = "turn the key" },
  step "B" { probe = function (run) run:note("the note") end } }'
talk 'done?' .1 'yes\n' -- "$runbook" run "$tmp/t.lua"
is "a manual step that was done" "$rc $(grep -c 'turn the key' <<<"$out")" "0 1"
has "it says who did it" "$out" "done by hand"
has "a note stands below the line of its step" "$(grep -A1 '2  B  ' <<<"$out")" "      the note"

t 'return runbook { title = "t", step "A" { remedy = function () exec.run { "sleep", "20" } end } }'
talk 'A ...' .5 '\x03' 'stopping after' .1 '\x03' -- "$runbook" run "$tmp/t.lua"
is "Ctrl-C twice in the middle of a deed: in doubt" "$rc" 6
has "it says which deed" "$out" "exec.run    run sleep 20"
has "and what to type" "$out" "looks at it, asks where it cannot tell,"

# -- what now? A run that has changed something and failed -------------------------------------------
sed -i 's/programs = { /programs = { "sh", /' "$tmp/runbook.config.lua"
fresh() { rm -rf "$XDG_STATE_HOME" "$tmp/made" "$tmp/go" "$tmp/log" "$tmp/told"; }
history() { "$runbook" history --json | jq -r '[.[] | .mode + "=" + .status] | join(" ")'; }
t 'return runbook { title = "t",
  step "A" { remedy = function () file.write("'"$tmp"'/made", "x") end },
  step "B" { undo_when = "asked", remedy = function () file.write("'"$tmp"'/told", "x") end },
  step "C" { remedy = function () exec.run { "sh", "-c", "echo c >> '"$tmp"'/log; test -e '"$tmp"'/go || { touch '"$tmp"'/go; exit 4; }" } end } }'
fresh; talk '[q]uit?' .1 'q\n' -- "$runbook" run "$tmp/t.lua"
is "left as it is" "$rc $(cat "$tmp/made") $(history)" "1 x run=failed"
has "what was said is on the tape" "$("$runbook" report --json | jq -r '.recorded.notes[-1].text')" "was asked what to do with the failed run: leave it as it is"
ok "which fits" "$runbook" verify
fresh; talk '[q]uit?' .1 '\x04' -- "$runbook" run "$tmp/t.lua"; is "who gives up leaves it, too" "$rc $(history)" "1 run=failed"
fresh; talk '[q]uit?' .1 'what\n' 'what' .1 'q\n' -- "$runbook" run "$tmp/t.lua"
is "what is no answer is asked again" "$rc $(grep -o 'q\]uit?' <<<"$out" | wc -l)" "1 2"
fresh; talk '[q]uit?' .1 'u\n' 'back? [y/N]' .1 'n\n' -- "$runbook" run "$tmp/t.lua"
is "undo is shown first" "$rc $(cat "$tmp/made") $(history)" "1 x dry-run=planned run=failed"
fresh; talk '[q]uit?' .1 'u\n' 'back? [y/N]' .1 'y\n' -- "$runbook" run "$tmp/t.lua"
is "and done" "$rc $(ls "$tmp/made" 2>/dev/null) $(history)" "1  undo=done dry-run=planned run=failed"
is "but for a step that asks for it to be said" "$(cat "$tmp/told")" x
has "which is named" "$out" "is left alone: runbook undo"
rb undo --json; is "said, it is done" "$rc $(ls "$tmp/told" 2>/dev/null)" "0 "
fresh; talk '[q]uit?' .1 'r\n' -- "$runbook" run "$tmp/t.lua"
is "retry goes on there" "$rc $(tr '\n' ' ' <"$tmp/log")$(history)" "0 c c run=done"
rb replay; is "and replays" "$rc" 0
fresh; talk '[q]uit?' .1 'q\n' -- "$runbook" run "$tmp/t.lua" --yes; is "--yes is no answer to that" "$rc $(history)" "1 run=failed"
fresh; rb run "$tmp/t.lua"; is "without a terminal nobody is asked, and nothing taken back" "$rc $(history)" "1 run=failed"
hasnot "nor is it said" "$err" "[q]uit"
t 'return runbook { title = "t",
  step "A" { remedy = function () file.write("'"$tmp"'/made", "x") end },
  step "B" { probe = function (run) run:sleep("20s") end } }'
fresh; talk 'B ...' .5 '\x03' '[q]uit?' .1 'u\n' 'back? [y/N]' .1 'y\n' -- "$runbook" run "$tmp/t.lua"
is "Ctrl-C: offered, too" "$rc $(ls "$tmp/made" 2>/dev/null) $(history)" "130  undo=done dry-run=planned run=interrupted"
has "with the word for it" "$out" "[r]esume, [u]ndo or [q]uit?"
t 'return runbook { title = "t", step "A" { probe = function (run) run:fail("no") end } }'
fresh; talk 'y/N' .1 '' -- "$runbook" run "$tmp/t.lua"; is "what changed nothing is not asked about" "$rc $(grep -c 'q\]uit' <<<"$out")" "1 0"

# -- answers from a file -----------------------------------------------------------------------------
t 'return runbook { title = "t", step "Turn the key" { manual = "turn it" },
  step "Use it" { probe = function (run)
    run:finding("said", run.answers["turn-the-key"])
    run:finding("which", run:choose { id = "which", question = "Which?", choices = { "a", "b" } }) end } }'
f='.recorded | [(.answers | map("\(.id)=\(.text)") | unique | join(", ")), (.evidence | map("\(.step) \(.name)=\(.value)") | unique | join(", "))] | join("; ")'
said() { jq -r '.findings | map(.value) | join(" ")' <<<"$out"; }
file() { printf '%s' "$1" > "$tmp/a.json"; }
answers() { fresh; file "$1"; rb run "$tmp/t.lua" --answers "$tmp/a.json" --json; }
answers '{ "turn-the-key": { "done": true, "note": "at 10:00 by Kim", "evidence": { "photo": 7 } }, "which": "b" }'
is "done, with a note" "$rc $(said)" "0 yes: at 10:00 by Kim b"
is "note and evidence are on the tape and in the report" "$("$runbook" report --json | jq -r "$f")" \
  'turn-the-key=yes: at 10:00 by Kim, which=b; turn-the-key turn-the-key={"photo":7}'
has "... for people, too" "$("$runbook" report)" "at 10:00 by Kim"
answers '{ "turn-the-key": { "done": false, "note": "it is stuck" }, "which": "b" }'
is "not done: stopped, with the note" "$rc $(jq -r .error.message <<<"$out")" "3 a person said: not done (no: it is stuck)"
rb resume --json; is "a resume asks again" "$rc $(jq -r .error.message <<<"$out")" "3 needs a person: turn it"
rb replay; is "a replay does not, and fits" "$rc" 0
file '{ "turn-the-key": "done: oiled", "which": "a" }'
rb resume --answers "$tmp/a.json" --json; is "done later, the run goes on" "$rc $(said)" "0 done: oiled a"
rb replay; is "and replays" "$rc" 0
answers '{ "turn-the-key": "done" }'
has "an answer that is missing: which, and how it is given" "$rc $(jq -r .error.message <<<"$out")" \
  '3 needs an answer: Which? (run it on a terminal, or give {"which": ...} with --answers FILE)'
file '{ "which": "a" }'; rb resume --answers "$tmp/a.json" --json
is "given to the resume; what was answered is not asked again" "$rc $(said)" "0 done a"
answers '{ "turn-the-key": "done", "which": "c" }'
is "one that is none of the choices" "$rc $(jq -r .error.message <<<"$out")" "1 the answer 'c' for which is none of the choices (a, b)"
for bad in '[1]' 'null' '{ "note": "x" }' '{ "done": "yes" }' '{ "done": true, "noet": "x" }'; do
  answers "{ \"turn-the-key\": $bad, \"which\": \"a\" }"
  has "no answer at all: $bad" "$rc $(jq -r .error.message <<<"$out")" '2 --answers: turn-the-key: a text, a number, true or false is expected'
done
is "nothing was run" "$(history)" ""

# -- undo on production ---------------------------------------------------------------------------
t 'return runbook { title = "t", step "A" { remedy = function () file.write("'"$tmp"'/made", "x") end } }'
fresh; rb run "$tmp/t.lua" --target prod --yes
talk 'y/N' .1 'n\n' -- "$runbook" undo; is "undo on production: no" "$rc $(cat "$tmp/made")" "3 x"
has "what it would take back was shown" "$out" "file.remove"
talk 'y/N' .1 'y\n' -- "$runbook" undo; is "undo on production: yes" "$rc $(ls "$tmp/made" 2>/dev/null)" "0 "
