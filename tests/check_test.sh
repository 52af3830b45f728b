#!/usr/bin/env bash
# check_test.sh - check, list and show: bad input, what it says, exit codes
. "$(dirname "$0")/lib.sh"
cd "$tmp" || exit 1
mkdir books

write() { cat >"$1"; }

write good.lua <<'E'
local function key (run) return "k:" .. run.tenant end
return runbook {
  title = "Good one", system = "erp", use_when = "It is away.", impact = "Nobody notices.",
  approve = { "tech-lead", "cto" }, lock = "t:{tenant}", limits = { pg_rows = 5 },
  params = {
    tenant = { "identifier", required = true, help = "the school" },
    wait   = { "duration", default = "90m" },
  },
  step "Look" { probe = function (run) run.seen = key(run); run:note(run.wait) end, diagnose = true },
  case "on" {
    title = function (run) return "x" end, when = function () return true end,
    step "Switch it on" {
      remedy = function () end, irreversible = "mail is sent", timeout = "10s",
      retry = { times = 2, every = "1s" },
    },
  },
  case "off" { when = "asked", step "Tell {tenant}" { manual = "Call {tenant} | now." } },
}
E

# -- check -------------------------------------------------------------------

rb check good.lua
is "a good file: exit" "$rc" 0
is "a good file: says so" "$out" "good.lua: ok"

write syntax.lua <<'E'
return runbook {
  step "a" { manual = = "x" },
}
E
rb check syntax.lua
is "syntax: exit" "$rc" 2
has "syntax: file and line" "$out" "syntax.lua:2: "
has "syntax: Lua's words" "$out" "unexpected symbol near '='"
has "syntax: the source line" "$out" '    2 |   step "a" { manual = = "x" },'

printf 'return runbook {\n title = "caf\351" }\n' >latin.lua
rb check latin.lua
is "not UTF-8: exit" "$rc" 2
has "not UTF-8: where" "$out" "latin.lua:2: not UTF-8: byte 0xE9"

printf 'return runbook {}' | luac5.4 -o code.lua - 2>/dev/null || printf '\033Lua' >code.lua
rb check code.lua
is "bytecode: exit" "$rc" 2
has "bytecode: says so" "$out" "bytecode"

rb check nowhere.lua
is "no such file: exit" "$rc" 2
has "no such file: says so" "$out" "nowhere.lua: No such file"

echo 'local x = 1' >nothing.lua
rb check nothing.lua
is "returns nothing: exit" "$rc" 1
has "returns nothing: what is right" "$out" 'return runbook { ... }'

write two.lua <<'E'
local a = runbook { step "a" { manual = "x" } }
local b = runbook { step "b" { manual = "x" } }
return a, b
E
rb check two.lua
is "two runbooks: exit" "$rc" 1
has "two runbooks: where" "$out" "two.lua:2: a file makes one runbook"

write names.lua <<'E'
local erp = {}
function helper () return 1 end
return runbook {
  params = { tenant = { "identifier" } }, lock = "x:{tenat}",
  step "a" {
    manual = "awk '{print}'",
    probe = function (run)
      run.health = epr.state
      run:nte("x")
      if run.helth then helper() end
    end,
  },
}
E
rb check names.lua
is "names: exit" "$rc" 1
has "a global assigned" "$out" "names.lua:2: 'helper' becomes a global"
has "an undefined global" "$out" "names.lua:8: undefined global 'epr': did you mean 'erp'?"
has "a method that is none" "$out" "names.lua:9: there is no run:nte: did you mean 'note'?"
has "a field that nobody sets" "$out" "names.lua:10: nothing sets run.helth: did you mean 'health'?"
has "a name in a text" "$out" "{tenat}: did you mean {tenant}?"
hasnot "what only looks like a name" "$out" "{print}"

rb check good.lua names.lua syntax.lua
is "several files: the worst decides" "$rc" 2
has "several files: each" "$out" "good.lua: ok"
is "without a file" "$(rb check; echo $rc)" 2

rb check --json good.lua names.lua
is "json: exit" "$rc" 1
is "json: one document" "$(printf '%s' "$out" | python3 -c '
import json, sys
d = json.load(sys.stdin)
print(d["exit"], [f["ok"] for f in d["files"]], d["files"][1]["findings"][0]["rule"])')" \
  "1 [True, False] global"
rb check --format sarif names.lua
is "sarif: one document" "$(printf '%s' "$out" | python3 -c '
import json, sys
r = json.load(sys.stdin)["runs"][0]["results"]
print(r[0]["locations"][0]["physicalLocation"]["region"]["startLine"], r[0]["ruleId"])')" "2 global"
rb check --format xml good.lua
is "an unknown format" "$rc" 2

# the file's own folder has its companions
mkdir beside
echo 'return { answer = 42 }' >beside/schema.lua
echo 'this is for another state()' >beside/a_test.lua
write beside/a.lua <<'E'
local schema = require "schema"
return runbook { step ("a" .. schema.answer) { manual = "x" } }
E
rb check beside/a.lua beside/schema.lua
is "require finds the schema" "$rc" 0

# -- against a configuration ---------------------------------------------------

cat >runbook.config.lua <<E
return {
  target = "local", runbooks = { "books" }, roles = { cto = { "ada" } },
  targets = { ["local"] = { kind = "sandbox", systems = { ep = { redis = "redis://127.0.0.1:1" } } } },
}
E
rb check good.lua
is "configuration: exit" "$rc" 1
has "configuration: a role that nobody holds" "$out" "nobody holds the role 'tech-lead'"
hasnot "configuration: a role that somebody holds" "$out" "'cto'"
has "configuration: a system that it lacks" "$out" "no system 'erp'"

# -- list ------------------------------------------------------------------------

rb list
is "an empty list: exit" "$rc" 0
has "an empty list: a note" "$err" "no runbooks"
cp good.lua syntax.lua books/
rb list
is "list: exit" "$rc" 0
has "list: title, system and cases" "$out" "good    erp  Good one (on, off)"
has "list: a broken one is listed" "$out" "syntax  -    broken: unexpected symbol"
has "list: and noted" "$err" "1 of 2 cannot be loaded"
rb list --json
is "list --json" "$(printf '%s' "$out" | python3 -c '
import json, sys
d = json.load(sys.stdin)
print([r["name"] for r in d], d[0]["cases"], d[0]["error"], d[1]["error"]["line"])')" \
  "['good', 'syntax'] ['on', 'off'] None 2"

# -- show --------------------------------------------------------------------------

rb show good
is "show: exit" "$rc" 0
for part in "Good one" "It is away." "Nobody notices." "tech-lead, cto" "t:{tenant}" "pg_rows 5" \
    "required: the school" "default 90m" " 1  Look" "run.seen = key(run); run:note(run.wait)" "Case on: (depends on the run)" \
    " 2  Switch it on" "mail is sent" "2 times, every 1s" "asked for with --case" "Call {tenant} | now."; do
  has "show: $part" "$out" "$part"
done
rb show good --markdown
has "markdown: title" "$out" "# Good one"
has "markdown: code" "$out" '```lua'
has "markdown: what would be markup" "$out" 'Call {tenant} \| now.'
rb show good --html
has "html: title" "$out" "<h1>Good one</h1>"
has "html: steps" "$out" "<h3>2. Switch it on</h3>"
hasnot "html: fetches nothing" "$out" "http"
rb show good --json
is "show --json" "$(printf '%s' "$out" | python3 -c '
import json, sys
d = json.load(sys.stdin)
print(d["steps"][1]["fields"], d["steps"][2]["case"], d["params"][1]["default"])')" \
  "['remedy'] off 90m"
rb show goof
is "show: unknown: exit" "$rc" 2
has "show: unknown: the nearest" "$err" "did you mean 'good'?"
rb show syntax
is "show: broken: exit" "$rc" 2
has "show: broken: why" "$err" "unexpected symbol"
