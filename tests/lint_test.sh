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

# -- the names that SQL has ---------------------------------------------------------------------------
finds value "pg:query uses :tenant, but no values are given" 'probe = function () return pg:query "SELECT :tenant" end'
finds value "pg:row uses :tenant, but no value of that name is given" \
  'probe = function (run) return pg:row("SELECT :tenant", { tenat = run.tenant }) end'
finds value "tx:exec uses :id" 'remedy = function () pg:transaction(function (tx) tx:exec "DELETE FROM t WHERE id = :id" end) end,
  verify = function () return true end'
fine "a value that is given" 'probe = function (run) return pg:query("SELECT :a, :tenant", { a = 1, tenant = run.tenant }) end'
fine "one that may be in a table from elsewhere" 'probe = function (run)
  local v = {}; all({ "a" }, function (k) v[k] = 1 end)
  return pg:query("SELECT :a", v), pg:query("SELECT :found", run), pg:query("SELECT :b", run.answers) end'
fine "no name" "probe = function () return pg:query([[SELECT ':x', a[1:2], b::text FROM t -- :y]]) end"

# -- SQL that is known though it is not written in the call ------------------------------------------------
finds syntax 'tx:exec: syntax error at end of input' 'remedy = function ()
  pg:transaction(function (tx) tx:exec "UPDATE t SET" end) end, verify = function () return true end'
finds primitive "pg has no primitive 'exce' (did you mean 'exec'?)" 'remedy = function ()
  pg:transaction(function (tx) tx:exce "UPDATE t SET a = 1" end) end, verify = function () return true end'
finds syntax 'pg:query: syntax error' 'probe = function () return pg:query("SELECT 1 " .. "FORM t") end'
cat >constant.lua <<'E'
local pg, sql = system "a".pg, { count = "SELEC 1" }
return runbook { step "a" { probe = function () return pg:value(sql.count) end } }
E
rb check constant.lua
is "in a constant of the file" "$rc $out" '1 constant.lua:2: pg:value: syntax error at or near "SELEC"'

# -- settings, and names of the schema --------------------------------------------------------------
names() {  # CODE: what is said of a probe with it
  cat >names.lua <<E
local erp = system "school_erp"
local names, settings = erp.schema, erp.settings
return runbook { step "a" { probe = function (run) $1 end } }
E
  rb check "${@:2}" names.lua
}
echo 'return { sessions = "user_sessions", users = "users" }' >schema.lua
names 'return settings.lgin, names.sesions, names.rooms'
is "without a configuration nothing is said of them" "$rc $out" "0 names.lua: ok"
cat >runbook.config.lua <<'E'
return { target = "local", targets = {
  ["local"] = { kind = "sandbox", systems = { school_erp = {
    redis = "redis://127.0.0.1:1/0", settings = { login = { email = "a@b.example" } }, schema = { rooms = "classrooms" } } } },
  other = { kind = "sandbox", systems = { school_erp = { settings = { lgin = "x", login = "y" } } } } } }
E
names 'return settings.lgin'
is "a setting: found" "$rc $out" \
  "1 names.lua:3: school_erp has no setting 'lgin' on target 'local': did you mean 'login'?"
names 'return settings.lgin' --target other
is "a setting: another target has it" "$rc $out" "0 names.lua: ok"
names 'return erp.settings.login.email, names.sessions, names.rooms'
is "a setting: fine" "$rc $out" "0 names.lua: ok"
names 'run:each({ 1 }, function () return erp.redis:get(erp.schema.sesions) end)'
is "a name of the schema: found" "$rc $out" \
  "1 names.lua:3: school_erp has no schema name 'sesions' on target 'local': did you mean 'sessions'?"
names 'return names.romos'
has "a name of the schema: near one of the configuration" "$out" "'romos' on target 'local': did you mean 'rooms'?"
for guard in 'return settings.lgin or {}' 'if settings.lgin then run:note("x") end' 'return settings.lgin ~= nil' \
    'if not settings.lgin then return end; return settings.lgin.email' \
    'local l = settings.lgin; if l == nil then return end; return l.email' 'return settings.lgin and settings.lgin.email' \
    'local l = settings.lgin; run:note("x"); return l and l.email' 'local none; return settings.lgin == none'; do
  names "$guard"
  is "one that is asked for: $guard" "$rc $out" "0 names.lua: ok"
done
names 'return settings.evidence'
is "one that is near to none" "$rc $out" "0 names.lua: ok"
cat >names.lua <<'E'
local settings = system "school_erp".settings
return runbook { step "a" { when = function () return settings.lgin ~= nil end, probe = function () return settings.lgin.email end } }
E
rb check names.lua
is "one that another function asks for" "$rc $out" "0 names.lua: ok"
cat >names.lua <<'E'
local erp, other = system "school_erp", system "schol_erp"
return runbook { system = "school_erp", step "a" { probe = function () return erp.redis:get("x"), other end } }
E
rb check names.lua
is "a system that the code asks for" "$rc $out" \
  "1 names.lua: the configuration has no system 'schol_erp': did you mean 'school_erp'?"
rb check --target nowhere names.lua
is "a target that is not there" "$rc" 2
has "is said" "$err" "there is no target 'nowhere'"
rm runbook.config.lua schema.lua
rb check --server names.lua
is "a server of no configuration" "$rc $out" "2 "
has "is said, too" "$err" "--server and --target need a configuration"

rb check "$top"/runbooks/*/*.lua "$top"/examples/*.lua
is "our own runbooks and examples" "$rc $(grep -v ': ok$' <<<"$out")" "0 "
