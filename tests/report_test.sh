#!/usr/bin/env bash
# What a run was, read back from the tape: the same document as --json printed, for a
# run that was done, failed, stopped, killed or dry; and whether the chains fit.
. "$(dirname "$0")/lib.sh"
cd "$tmp" || exit 2
mkdir www
cat > runbook.config.lua <<LUA
return {
  target = "local", runbooks = { "." },
  roles = { lead = { "$(id -un)", "ada" } },
  targets = {
    ["local"] = { kind = "sandbox", allow = { files = { "$tmp/www" }, programs = { "sleep" } },
      systems = { app = { dotenv = "$tmp/www/.env", settings = { token = secret "TOKEN" } } } },
  },
}
LUA
chmod 600 runbook.config.lua
echo "A=1" > www/.env
export TOKEN=s3cr3t-t0ken
cat > all.lua <<'LUA'
local app = system "app"
return runbook {
  title = "All | of *it*", system = "app", use_when = "Something is to be reported.",
  impact = "A file changes.", severity = "P1", approve = "lead",
  params = {
    text = { "string", default = "hello" }, fails = { "boolean", default = false },
    key = { "secret" },
  },
  step "Look" {
    probe = function (run)
      run.old = app.dotenv:get("A")
      run:note("A was %s, and the token is %s", run.old, "s3cr3t-t0ken")
      run:evidence("before", { a = run.old, list = { 1, 2 } })
      run:finding("A", run.old, "ok")
      run:finding("lines", "one\ntwo <b>|`", "warn")
    end,
  },
  step "By hand" { id = "hand", manual = "call {text}" },
  case "set" {
    title = "Set it", when = function (run) return true, "it is time" end,
    step "Set {text}" {
      remedy = function (run) app.dotenv:set("B", run.text) end,
      verify = function (run) return app.dotenv:get("B") == run.text end,
    },
    step "Write a file" {
      remedy = function (run) file.write(run.fails and "/etc/x" or FILE, "x " .. run.text) end,
    },
    step "Wake" {
      remedy = function () exec.run { "sleep", "0" } end,
      irreversible = "{text} stays",
    },
    step "Try" { probe = function (run)
      run:try(function () return file.read("/nonexistent/file") end)
      if run.fails then run:fail("it is \xff broken") end
    end },
    step "Last" { probe = function () end },
  },
  case "other" { title = "Another", when = function () return false, "no need" end,
    step "Never" { probe = function () end } },
}
LUA
sed -i "s|FILE|\"$tmp/www/file\"|" all.lua
echo '{"hand": "yes, Kim did"}' > answers.json

same() {  # WHAT ARGS...: run --json and report --json say the same, and fit the schema
  local what=$1; shift
  "$runbook" run "$@" --json >run.json 2>/dev/null </dev/null
  id=$(jq -r .run run.json)
  "$runbook" report "$id" --json >report.json 2>err
  is "$what: the report is what --json printed" "$(jq -S 'del(.recorded)' report.json)" "$(jq -S . run.json)"
  ok "$what: it fits the schema" "$python" -c '
import json, sys, jsonschema
jsonschema.validate(json.load(open("report.json")), json.load(open(sys.argv[1])))' "$top/docs/run.schema.json"
  hasnot "$what: no secret" "$(cat report.json)" "s3cr3t"
}

same "dry" all -n --answers answers.json
same "dry, undecided" all -n
same "stopped for a person" all --yes
is "stopped: no default run but a real one" "$(rb report --json; jq -r .run <<<"$out")" "$id"
same "stopped for an approval" all
same "done" all --yes --answers answers.json key=k3y-k3y-k3y
is "done: status" "$(jq -r .status report.json)" done
whole=$id
same "again, unchanged" all --yes --answers answers.json
same "attested" all --approved-by 'lead=ada:phone 03:12' --answers answers.json text=bye
attested=$id
same "failed" all --yes --answers answers.json text=x fails=true
broken=$id
same "only one" all --yes --answers answers.json --only look
same "a case by name" all --yes --answers answers.json --case other

# -- text ------------------------------------------------------------------------------
rb report "$whole"
is "text: exit" "$rc" 0
has "text: who" "$out" "by         $(id -un) on $(uname -n)"
has "text: when" "$out" " UTC, for "
has "text: how it ended" "$out" "done (exit code 0)"
has "text: the change" "$out" "+B=hello"
has "text: what cannot be taken back" "$out" "hello stays"
has "text: evidence" "$out" '{"a": "1", "list": [1, 2]}'
has "text: an answer" "$out" "yes, Kim did"
has "text: who agreed" "$out" "$(id -un) (--yes)"
has "text: a note, without the secret" "$out" "the token is [redacted TOKEN]"
hasnot "text: nothing to type" "$out" "the same command"
rb report "${whole: -9}"
has "a unique ending" "$out" "$whole"
rb report "$(tr 'A-Z' 'a-z' <<<"${whole: -9}")"
is "in small letters" "$rc" 0
rb report "$attested"
has "text: an attested word" "$out" "ada, in the words of $(id -un): phone 03:12"
rb report "$broken"
has "text: failed" "$out" "Failed at step"
hasnot "text: failed: no advice for later" "$out" "next "

# -- names -------------------------------------------------------------------------------
rb report ""; is "an empty name: exit" "$rc" 2
rb report ZZZZZZ; is "an unknown ending: exit" "$rc" 2
has "an unknown ending: says so" "$err" "no run ends in 'ZZZZZZ'"
letter=$("$runbook" history --json | jq -r '[.[].run[25:26]] | group_by(.) | max_by(length)[0]')
n=$("$runbook" history --json | jq --arg l "$letter" '[.[] | select(.run | endswith($l))] | length')
if [ "$n" -gt 1 ]; then
  rb report "$letter"; is "an ambiguous ending: exit" "$rc" 2
  has "an ambiguous ending: the candidates" "$err" "several runs end in '$letter' (01"
else skip "an ambiguous ending" "all endings differ"; fi
rb report "$whole" --format pdf; is "no such format: exit" "$rc" 2
has "no such format" "$err" "text, json, md or html"
XDG_STATE_HOME=$tmp/empty rb report; is "no tape: exit" "$rc" 2
has "no tape: says so" "$err" "nothing has been run yet"
ok "no tape: none is made" test ! -e "$tmp/empty"

# -- Markdown and HTML ---------------------------------------------------------------------
rb report "$whole" --format md
is "md: exit" "$rc" 0
has "md: escaped" "$out" '# All \| of \*it\*'
has "md: a cell is one line" "$out" '| lines | one<br>two \<b\>\|\` | warn |'
has "md: a diff" "$out" "  \`\`\`diff"
is "md: as many fences open as close" $(( $(grep -c '```' <<<"$out") % 2 )) 0
is "md: rows of a table are whole" "$(grep -E '^\|' <<<"$out" | grep -vcE '\|$')" 0
rb report "$broken" --format md
has "md: what went wrong" "$out" "## What went wrong"
has "md: what was not reached" "$out" "Not done: "
rb report "$whole" --format html
has "html: escaped" "$out" "two &lt;b&gt;|"
hasnot "html: fetches nothing" "$out" "http"
ok "html: well formed" "$python" -c '
import sys, html.parser
class P(html.parser.HTMLParser):
    stack = []
    def handle_starttag(self, t, a):
        if t not in ("meta",): self.stack.append(t)
    def handle_endtag(self, t): assert self.stack.pop() == t, t
p = P(); p.feed(sys.argv[1]); assert p.stack == [], p.stack' "$out"

# -- --report ---------------------------------------------------------------------------------
for kind in txt json md html; do
  rb run all -n --answers answers.json --report "out.$kind"
  is "--report $kind: exit" "$rc" 0
  ok "--report $kind: written" test -s "out.$kind"
done
is "--report: nothing left beside it" "$(ls out.*.* 2>/dev/null)" ""
rb run all --yes --answers answers.json fails=true --report bad.json
is "--report of a failed run" "$rc" "$(jq .exit bad.json)"
rb run all --yes --report x.pdf; is "--report: unknown suffix: exit" "$rc" 2
has "--report: unknown suffix" "$err" ".txt, .json, .md or .html"
before=$("$runbook" history --json | jq length)
rb run all --yes --report nowhere/x.md; is "--report: no folder: exit" "$rc" 2
is "--report: no folder: nothing was run" "$("$runbook" history --json | jq length)" "$before"

# -- killed ------------------------------------------------------------------------------------
cat > slow.lua <<'LUA'
return runbook { title = "Slow",
  step "Quick" { probe = function (run) run:finding("quick", 1) end },
  step "Sleep" { remedy = function () exec.run { "sleep", "60" } end },
  step "Later" { probe = function () end },
}
LUA
"$runbook" run slow >/dev/null 2>&1 & pid=$!
for _ in $(seq 100); do
  child=$(pgrep -P "$pid" -x sleep) && break; sleep 0.1
done
kill -KILL "$pid"; wait "$pid" 2>/dev/null; [ -z "$child" ] || kill "$child" 2>/dev/null
rb report --json
is "killed: exit" "$rc" 0
is "killed: it has no status" "$(jq -c '[.status,.exit,.recorded.ended]' <<<"$out")" '[null,null,null]'
is "killed: what was begun is in doubt" "$(jq -r '.steps[1].effects[0].outcome' <<<"$out")" in-doubt
is "killed: what was found" "$(jq -c '.findings' <<<"$out")" '[{"name":"quick","value":1,"status":null}]'
printf '%s' "$out" > report.json
ok "killed: it fits the schema" "$python" -c '
import json, sys, jsonschema
jsonschema.validate(json.load(open("report.json")), json.load(open(sys.argv[1])))' "$top/docs/run.schema.json"
rb report
has "killed: text" "$out" "not yet: it still runs, or was ended from outside"
has "killed: text: in doubt" "$out" "its outcome is not on the tape"
has "killed: text: unfinished" "$out" "Unfinished"

# -- a plain step after a case, reached and not ---------------------------------------------
cat > around.lua <<'LUA'
return runbook { title = "Around", params = { fails = { "boolean", default = false } },
  step "Before" { probe = function () end },
  case "mid" { title = "Mid", step "In it" { probe = function (run) if run.fails then run:fail("no") end end } },
  step "After" { probe = function () end },
}
LUA
for fails in false true; do
  same "around a case, fails=$fails" around fails=$fails
  for format in text md html; do
    rb report "$id" --format $format
    is "around a case, fails=$fails: $format" "$rc" 0
    has "around a case, fails=$fails: $format: the step after it" "$out" "After"
  done
done

# -- resumed ----------------------------------------------------------------------------------
cat > twice.lua <<LUA
return runbook { title = "Twice",
  step "Write" { remedy = function () file.write("$tmp/www/one", "x") end },
  step "Needs a file" { probe = function () file.read("$tmp/www/two") end },
  step "Write again" { remedy = function () file.write("$tmp/www/three", "x") end },
}
LUA
rb run twice
is "resumed: it fails first" "$rc" 1
touch www/two
rb resume
is "resumed: then it goes on" "$rc" 0
rb report --json
is "resumed: one report of both" "$(jq -c '[.status, .error, [.steps[].status]]' <<<"$out")" \
  '["done",null,["done","done","done"]]'
is "resumed: by whom" "$(jq -r '.recorded.resumed[0].by' <<<"$out")" "$(id -un)"
printf '%s' "$out" > report.json
ok "resumed: it fits the schema" "$python" -c '
import json, sys, jsonschema
jsonschema.validate(json.load(open("report.json")), json.load(open(sys.argv[1])))' "$top/docs/run.schema.json"
rb report
has "resumed: text" "$out" ", by $(id -un)"
has "resumed: text: what was changed in all" "$out" "2 changes were made"

# -- history ------------------------------------------------------------------------------------
all=$("$runbook" history --json | jq length)
count() { "$runbook" history --json "$@" | jq length; }
is "history -n" "$(count -n 2)" 2
is "history --runbook" "$(count --runbook slow)" 1
is "history --runbook that is none" "$(count --runbook none)" 0
is "history --status" "$(count --status unfinished)" 1
is "history --status failed" "$(count --status failed)" \
  "$("$runbook" history --json | jq '[.[] | select(.status == "failed")] | length')"
is "history --target" "$(count --target local)" "$all"
is "history --since: all" "$(count --since 1h)" "$all"
is "history --since: none" "$(count --since 2100-01-01)" 0
is "history --since a day" "$(count --since 2020-01-01)" "$all"
rb history --since yesterday; is "history --since nonsense: exit" "$rc" 2
rb history --status faild; is "history --status misspelt: exit" "$rc" 2
has "history --status misspelt" "$err" "did you mean 'failed'"
rb history --runbook none
is "history: none is like that" "$err" "no run is like that"

# -- verify ------------------------------------------------------------------------------------
rb verify
is "verify: exit" "$rc" 0
has "verify: says how much" "$out" "the tape fits: $all runs"
rb verify "${whole: -9}"
has "verify one: its head" "$out" "run $whole fits:"
rb tape verify
is "tape verify" "$rc" 0
rb tape frobnicate; is "tape frobnicate" "$rc" 2
rb verify --json
is "verify --json" "$(jq .runs <<<"$out")" "$all"
rb verify --anchor "$tmp/anchor"
has "verify --anchor: is made" "$out" "anchor $tmp/anchor is made: $all runs"
rb tape verify --anchor "$tmp/anchor" --json
is "tape verify --anchor --json: holds" "$(jq -c '[.anchor.held, .anchor.added]' <<<"$out")" "[$all,0]"
rb verify "$whole" --anchor "$tmp/anchor"; is "verify RUN --anchor" "$rc" 2
XDG_STATE_HOME=$tmp/nothing rb verify --anchor "$tmp/anchor"
is "verify --anchor without a tape" "$rc/$err" "1/runbook: the tape is missing, and $tmp/anchor knows runs of it"
"$python" - "$XDG_STATE_HOME/runbook/tape.db" "$whole" <<'PY'
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute("UPDATE event SET text = replace(text, 'hello', 'HELLO') WHERE run = ? AND kind = 'outcome'", (sys.argv[2],))
db.commit()
PY
rb verify
is "verify: edited: exit" "$rc" 1
has "verify: edited: which run" "$err" "run $whole does not fit: event"
rb verify "$attested"
is "verify: another run still fits" "$rc" 0
rb verify --json
is "verify --json: edited" "$(jq -c '[.exit, .error.kind]' <<<"$out")" '[1,"tape"]'
