#!/usr/bin/env bash
# lint_test.sh - what check finds in the code of steps: each fault by name and line, and the
# same code without the fault, of which nothing may be said
. "$(dirname "$0")/lib.sh"
cd "$tmp" || exit 1

# book FIELDS: a runbook with one step of them
book() { cat >book.lua <<E
local erp = system "school_erp"
local pg = erp.pg
local function clear (key) return erp.redis:del(key) end
local function all (list, fn) for _, x in ipairs(list) do fn(x) end end
return runbook { title = "Book", system = "school_erp",
  params = { tenant = { "identifier", required = true } },
  step "Do it" { $1 },
  step "Say" { probe = function (run) run:note(run.tenant) end },
}
E
}

# finds RULE PART FIELDS: exactly one fault, with these words
finds() {
  book "$3"
  rb check --json book.lua
  is "$1: found" "$rc $(jq -r '.files[].findings | length, .[0].rule' <<<"$out" | xargs)" "1 1 $1"
  has "$1: $2" "$(jq -r '.files[].findings[].message' <<<"$out")" "$2"
}

# fine WHAT FIELDS: nothing is said
fine() { book "$2"; rb check book.lua; is "fine: $1" "$rc $out" "0 book.lua: ok"; }

# -- names of primitives ----------------------------------------------------------------
finds primitive "redis has no primitive 'gt' (did you mean 'get'?)" \
  'probe = function () return erp.redis:gt("x") end'
finds primitive "file has no primitive 'raed' (did you mean 'read'?)" \
  'probe = function () return file.raed("/x") end'
finds primitive "pg has no primitive 'valeu'" \
  'probe = function (run) return run:each({ 1 }, function () return pg:valeu "SELECT 1" end) end'
fine "a method of another thing" 'probe = function (run) local redis = { gt = print }; redis:gt("x") end'
fine "one that is not certain" \
  'probe = function (run) local r = run.tenant == "a" and erp.redis or run.answers; return r.gt end'

# -- what a field may do ------------------------------------------------------------------
finds effect "probe of step 'Do it' calls redis:set, which changes something" \
  'probe = function () erp.redis:set("a", "b") end'
finds effect "when of step 'Do it' calls redis:del" \
  'when = function () return clear("k") end, probe = function () return erp.redis:get("k") end'
finds effect "verify of step 'Do it' calls file.write" \
  'verify = function () return file.write("/x", "y") end'
finds effect "remedy of step 'Do it' calls slack.post, which tells people" \
  'remedy = function () slack.post("#ops", "x") end'
finds effect "calls redis:del" 'probe = function () all({ "a" }, function (k) erp.redis:del(k) end) end'
finds effect "calls redis:del" 'probe = function (run) run:try(clear) end'
fine "a notice where notices are" 'notify = function () slack.post("#ops", "x") end'
fine "a probe of http that the configuration decides" 'probe = function () return erp.http:get("/x"):ok() end'

# -- options ---------------------------------------------------------------------------------
finds option "http:get takes no 'timout'" 'probe = function () return erp.http:get("/x", { timout = "5s" }) end'
finds option "exec.probe takes no 'dir'" 'probe = function () return exec.probe { "ls", dir = "/" } end'
finds option "pg:query takes no 'tymeout'" \
  'probe = function (run) return pg:query("SELECT :tenant", run, { tymeout = "1s" }) end'
finds option "log:group takes no 'on'" 'probe = function () return erp.log:group { on = "ip" } end'
fine "options" 'probe = function (run) return erp.http:get("/{tenant}", { path = run, query = { a = 1 } }) end'
fine "values, whose names are those of the SQL" \
  'probe = function () return pg:query("SELECT :a", { a = 1 }, { timeout = "1s" }) end'
fine "a table that was made elsewhere" \
  'probe = function () local function o () return { more = 1 } end; return erp.http:get("/x", o()) end'

# -- SQL --------------------------------------------------------------------------------------
finds sql "put together from texts" 'probe = function (run) return pg:query("SELECT " .. run.tenant) end'
finds sql "put together from texts" 'probe = function (run) return pg:value(("SELECT %s"):format(run.tenant)) end'
fine "SQL in two parts" 'probe = function (run) return pg:value("SELECT 1 " .. "WHERE :tenant", run) end'

finds syntax 'pg:query: syntax error at or near "SELEC"' 'probe = function () return pg:query "SELEC 1" end'
finds syntax 'pg:value: syntax error at or near ")"' \
  'probe = function (run) return pg:value([[SELECT count(*) FROM :"tenant".t WHERE a IN ()]], run) end'
finds syntax 'pg:exec: syntax error at end of input' 'remedy = function () pg:exec "DELETE FROM" end,
  verify = function () return true end, irreversible = "gone"'
fine "psql's notation" 'probe = function (run) return pg:row([[SELECT :tenant::text, :"tenant", $$:x$$ AS y
  FROM :"tenant".:"tenant" -- :x
  WHERE a = ANY(:tenant) AND b[1:2] IS NULL]], run) end'

# -- afterwards, and back ------------------------------------------------------------------------
finds verify "step 'Do it' changes something, and nothing looks afterwards" \
  'remedy = function () erp.redis:set("a", "b") end'
fine "one that looks" \
  'remedy = function () erp.redis:set("a", "b") end, verify = function () return erp.redis:get("a") end'
fine "a later step that looks" 'remedy = function () erp.redis:set("a", "b") end }, step "Look" {
  verify = function () return erp.redis:get("a") end'
finds verify "step 'Do it' changes" 'remedy = function () erp.redis:set("a", "b") end },
  case "c" { when = "asked", step "Look" { verify = function () return erp.redis:get("a") end } }, step "b" {
  manual = "x"'
finds undo "step 'Do it' calls pg:exec, which has no inverse" \
  'remedy = function () pg:exec "DELETE FROM x" end, verify = function () return true end'
fine "one with an undo" 'remedy = function () pg:exec "DELETE FROM x" end,
  verify = function () return true end, undo = function () pg:exec "INSERT INTO x DEFAULT VALUES" end'
fine "one that says why not" 'remedy = function () pg:exec "DELETE FROM x" end,
  verify = function () return true end, irreversible = "they are gone"'

# -- never, and nothing ----------------------------------------------------------------------------
finds unreachable "when of step 'Do it' is always false" \
  'when = function () return false, "not today" end, probe = print'
fine "a when that looks" 'when = function () return erp.redis:get("x") == nil end, probe = print'
cat >unused.lua <<'E'
return runbook {
  params = { used = { "string" }, shown = { "string" }, bound = { "string" }, left = { "string" } },
  step "{shown}" { probe = function (run) return system "a".pg:value("SELECT :bound", run), run.used end },
}
E
rb check unused.lua
is "a parameter that nothing uses" "$rc $out" "1 unused.lua: nothing uses the parameter 'left'"

# -- secrets -----------------------------------------------------------------------------------------
# put together here, so that this file has none
for secret in "postgres""ql://kim:hunter2""@127.0.0.1/x" "gh""p_0123456789abcdefABCD" "AK""IA0123456789ABCDEF" \
    "xo""xb-0123456789-abcdef" "https://hooks.slack"".com/services/T0/B0/abcdefgh" \
    "-----BEGIN RSA PRIVATE"" KEY-----"; do
  finds secret "it belongs into the configuration" "probe = function () print(\"$secret\") end"
  hasnot "and is not repeated" "$out" "$secret"
done
finds secret "what its name says" 'probe = function () return { api_key = "abcdefgh" } end'
fine "words that are none" \
  'probe = function () return { password = "a new one, please" }, "postgresql://127.0.0.1/x", "AKIA" end'

# -- of helpers, in their own file ----------------------------------------------------------------
cat >book_parts.lua <<'E'
local P = {}
function P.clear (erp) return erp.redis:del("k") end
function P.look (erp) return file.raed("/x") end
return P
E
cat >book.lua <<'E'
local parts = require "book_parts"
return runbook { step "a" { probe = function () return parts.look() end } }
E
rb check book.lua book_parts.lua
is "a fault in what it requires" "$rc" 1
has "has its own place" "$out" "book_parts.lua:3: file has no primitive 'raed'"
has "the parts themselves are no runbook" "$out" "book_parts.lua: ok"

# files that several runbooks require are read once
cat >book_parts.lua <<E
local P = {}
function P.look (run) run.found = "postgres""ql://kim:hunter2@127.0.0.1/x"; return file.raed("/x"), run.fuond end
return P
E
for name in one two three; do
  echo 'local parts = require "book_parts"
    return runbook { step "a" { probe = function (run) parts.look(run); return run.found, run.fond end } }' >$name.lua
done
sed -i 's/""//' book_parts.lua
rb check one.lua two.lua three.lua
is "what each of them says is said of each" "$rc $(grep -c "book_parts.lua:2: file has no primitive 'raed'" <<<"$out") $(
  grep -c "book_parts.lua:2: nothing sets run.fuond" <<<"$out") $(grep -c 'belongs into the configuration' <<<"$out")" "1 3 3 3"
is "what it sets is known to each" "$(grep -c "nothing sets run.fond: did you mean 'found'" <<<"$out") $(
  grep -c 'nothing sets run.found' <<<"$out")" "3 0"
sed -i 's/raed/read/' book_parts.lua
mkdir -p other; cp one.lua other
echo 'return { look = function (run) run.fond = file.raed("/x") end }' >other/book_parts.lua
rb check one.lua other/one.lua two.lua
is "a file of the same name is another" "$rc $(grep -c 'other/book_parts.lua:1: .*raed' <<<"$out") $(
  grep -v '^other\|/other/' <<<"$out" | grep -c raed)" "1 1 0"

rb check "$top"/runbooks/*/*.lua "$top"/examples/*.lua
is "our own runbooks and examples" "$rc $(grep -v ': ok$' <<<"$out")" "0 "
