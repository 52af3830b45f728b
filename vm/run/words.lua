-- words.lua - the words of a runbook: what each may hold, and what is wrong
--
-- Compiled into the program (embed.c) and run by words.c, which passes what Lua
-- cannot do here. The tables of fields are the only ones: what is checked
-- here, and what the documentation prints, comes from them.

local here, raise, made, nearest, duration, parameter, each, limits = ...
local type, pairs, setmetatable, getmetatable = type, pairs, setmetatable, getmetatable
local integer = math.type
local concat, sort = table.concat, table.sort
local format, match, gsub, lower = string.format, string.match, string.gsub, string.lower

-- {field, type, what it is for}
local fields = {
  runbook = {
    {"title", "string", "what it is called; the file's name when absent"},
    {"system", "string", "the system of the configuration that it works on"},
    {"use_when", "string", "the symptom that brings a person here"},
    {"impact", "string", "what people notice while it runs, and after"},
    {"severity", "string", "how bad it is when it is needed"},
    {"approve", "roles", "people of all these roles agree before it starts"},
    {"targets", "targets", "the kinds of target it is for; absent: all"},
    {"lock", "text", "two runs with the same text exclude each other"},
    {"limits", "limits", "the most it may change; the configuration's hold too"},
    {"params", "params", "what it needs to be told"},
  },
  case = {
    {"title", "text", "what this case does"},
    {"when", "when", "does it apply? a function of run, or \"asked\": by --case only"},
    {"severity", "string", "how bad this case is"},
    {"approve", "roles", "people of all these roles agree too"},
    {"lock", "text", "a lock of its own, beside the runbook's"},
    {"limits", "limits", "the lower of two limits holds"},
    {"params", "params", "what only this case needs to be told"},
  },
  step = {
    {"when", "function", "probes; false: the step is skipped, with the reason it returns"},
    {"approve", "roles", "people of all these roles agree first"},
    {"manual", "text", "what only a person can do; the answer is run.answers[id]"},
    {"probe", "function", "looks, and sets run.x for later steps"},
    {"remedy", "function", "changes"},
    {"verify", "function", "looks again: truthy, or the step failed"},
    {"notify", "function", "tells people"},
    {"undo", "function", "takes back what has no inverse of its own; see run.done"},
    {"undo_when", "asked", "\"asked\": left alone by the undo that a failure offers"},
    {"irreversible", "text", "why it cannot be taken back"},
    {"timeout", "duration", "the longest that the step may take"},
    {"retry", "retry", "{ times = 3, every = \"5s\" } for what is safe to repeat"},
    {"on_failure", "outcome", "\"stop\" (as when absent), \"continue\" or \"warn\""},
    {"id", "id", "a stable name; from the title when absent"},
    {"diagnose", "boolean", "only looks for the case: skipped by --case"},
  },
  retry = {
    {"times", "count", "how often it is repeated after the first time"},
    {"every", "duration", "the pause before each"},
  },
}

-- the fields without which a step would do nothing
local bodies = {"probe", "remedy", "verify", "notify", "manual"}

local outcomes = {"stop", "continue", "warn"}
local kinds = {"sandbox", "staging", "production"}
local paramfields = {"required", "default", "help"}

-- what `run` has already, so that no parameter can be called that
local taken = {"id", "operator", "started", "target", "answers", "done", "note",
  "finding", "evidence", "fail", "try", "ask", "choose", "each", "wait_until",
  "hold", "sleep"}

for _, list in each {outcomes, kinds, paramfields, taken} do
  for i = 1, #list do list[list[i]] = true end
end

local names = {}  -- word -> {field, ..., [field] = type}
for word, rows in each(fields) do
  local list = {}
  for i = 1, #rows do
    list[i] = rows[i][1]
    list[list[i]] = rows[i][2]
  end
  names[word] = list
end

-- a value as a person would write it
local function show (v)
  local t = type(v)
  if t == "string" then return #v > 40 and '"' .. v:sub(1, 37) .. '..."' or '"' .. v .. '"' end
  if t == "number" or t == "boolean" or t == "nil" then return tostring(v) end
  return "a " .. t
end

local function label (item)
  if type(item.name) == "string" then return format("%s %s", item.word, show(item.name)) end
  return item.word == "runbook" and "runbook" or "this " .. item.word
end

local function fail (item, fmt, ...)
  raise("shape", format(fmt, ...), item.file, item.line)
end

-- the loader looks for the line of `field =` from the item's line on
local function failat (item, field, fmt, ...)
  raise("shape", format(fmt, ...), item.file, item.line, field)
end

-- "did you mean 'x'?", or all there is
local function suggest (word, list)
  local near = nearest(word, list)
  if near then return format("did you mean '%s'?", near) end
  return "there is " .. concat(list, ", ")
end

-- A check returns what the field takes when the value is wrong: nil is right.
-- A second result says what is wrong inside of it.

local function text (v)
  if type(v) ~= "string" and type(v) ~= "function" then return "a string or a function of run" end
end

local function isduration (v)
  if type(v) == "number" then return format('a string such as "10s" (say "%ss"?)', v) end
  if type(v) ~= "string" or not duration(v) then
    return 'a duration such as "500ms", "10s", "5m", "1h30m" or "2d"'
  end
end

-- a string, or a list of them, each one of 'known' (if given)
local function list (v, what, known)
  if type(v) == "string" then v = {v} end
  if type(v) ~= "table" or #v == 0 then return what end
  for k, s in each(v) do
    if integer(k) ~= "integer" or type(s) ~= "string" or s == "" then return what end
    if known and not known[s] then return what, format("'%s' is none: %s", s, suggest(s, known)) end
  end
end

local function oneof (v, known)
  if type(v) ~= "string" or not known[v] then return '"' .. concat(known, '", "') .. '"' end
end

local checks = {}

for _, t in each {"string", "function", "boolean"} do
  checks[t] = function (v) if type(v) ~= t then return "a " .. t end end
end
checks.text = text
checks.duration = isduration

function checks.id (v)
  if type(v) ~= "string" or not match(v, "^[%w_.\128-\255-]+$") then
    return "a name of letters, digits, '-', '_' and '.'"
  end
end

function checks.roles (v) return list(v, "a role or a list of roles") end
function checks.targets (v) return list(v, "a list of kinds of target", kinds) end
function checks.outcome (v) return oneof(v, outcomes) end
function checks.asked (v) if v ~= "asked" then return '"asked"' end end

function checks.when (v)
  if v ~= "asked" and type(v) ~= "function" then return 'a function of run, or "asked"' end
end

function checks.count (v)
  if integer(v) ~= "integer" or v < 1 or v > 1000 then return "a whole number from 1 to 1000" end
end

function checks.limits (v)
  if type(v) ~= "table" then return "a table such as { pg_rows = 1000 }" end
  for name, n in pairs(v) do
    if type(name) ~= "string" or not limits[name] then
      name = tostring(name)
      return "names of limits", format("'%s' is none: %s", name, suggest(name, limits))
    end
    if integer(n) ~= "integer" or n < 0 then
      return "whole numbers", format("%s is %s", name, show(n))
    end
  end
end

local checkfields

function checks.retry (v, item)
  if type(v) ~= "table" then return '{ times = 3, every = "5s" }' end
  checkfields(item, v, "retry")
  if v.times == nil then return '{ times = 3, every = "5s" }', "times is missing" end
end

local function checkparam (item, name, v)
  local function wrong (fmt, ...)
    failat(item, name, "%s: parameter '%s'%s", label(item), name, format(fmt, ...))
  end
  if type(name) ~= "string" or not match(name, "^[%a_][%w_]*$") then
    failat(item, "params", "%s: a parameter's name is of letters, digits and '_', not %s",
           label(item), show(name))
  end
  if taken[name] then wrong(": run.%s is there already; choose another name", name) end
  if type(v) ~= "table" then
    wrong(' takes a table such as { "string", required = true }, not %s', show(v))
  end
  for k in each(v) do
    if type(k) ~= "number" and not paramfields[k] then
      wrong(": unknown field '%s': %s", tostring(k), suggest(tostring(k), paramfields))
    end
  end
  local why = parameter(v)  -- type, choices, default
  if why then wrong(" %s", why) end
  if v.required ~= nil and type(v.required) ~= "boolean" then
    wrong(": 'required' takes a boolean, not %s", show(v.required))
  end
  if v.help ~= nil and type(v.help) ~= "string" then
    wrong(": 'help' takes a string, not %s", show(v.help))
  end
  if v.required and v.default ~= nil then
    wrong(" is required, so its default would never be used: drop one")
  end
end

function checks.params (v, item)
  if type(v) ~= "table" then
    return 'a table such as { tenant = { "identifier", required = true } }'
  end
  for name, p in pairs(v) do checkparam(item, name, p) end
end

-- what the table of a word belongs to
local function whose (item, word)
  return word == "retry" and "retry of " .. label(item) or label(item)
end

-- what is wrong with one field: words, and the field's name where it has one
local function wrong (item, word, k, v)
  local known = names[word]
  if type(k) == "string" then
    if not known[k] then return format("unknown field '%s': %s", k, suggest(k, known)), k end
    local what, inside = checks[known[k]](v, item)
    if what then
      return format("'%s' takes %s%s", k, what, inside and "; " .. inside or ", not " .. show(v)), k
    end
  elseif integer(k) ~= "integer" or k < 1 then
    return format("unknown field '%s'", tostring(k))
  elseif word == "step" or word == "retry" then
    return format("it takes named fields, such as %s = ...", known[word == "step" and 5 or 1])
  end
end

-- the fields of table t against those of a word. Sorting them costs more than
-- checking them, so it is done only to find the first mistake.
function checkfields (item, t, word)
  for k, v in each(t) do
    if wrong(item, word, k, v) then
      for k, v in pairs(t) do
        local words, field = wrong(item, word, k, v)
        if words then failat(item, field, "%s: %s", whose(item, word), words) end
      end
    end
  end
end

-- Items: what `step "title"` gives is open until its { ... } came.

local Open, Done = {}, {__name = "word"}

-- the array part of a runbook or case: 'accepts' is what may stand in it
local function checkitems (item, t, accepts)
  local last = 0
  for k in each(t) do if integer(k) == "integer" and k > last then last = k end end
  for i = 1, last do
    local v = t[i]
    if v == nil then
      local after = i > 1 and " (after " .. label(t[i - 1]) .. ")" or ""
      fail(item, "%s: nil at position %d%s: is a name misspelt?", label(item), i, after)
    end
    local kind = type(v) == "table" and getmetatable(v)
    if kind == Open then fail(v, "%s has no { ... } after its title", label(v)) end
    if kind ~= Done then
      fail(item, '%s: %s at position %d: write step "title" { ... }',
           label(item), show(v), i)
    end
    if not accepts[v.word] then
      fail(v, "%s: a %s cannot hold a %s", label(v), item.word, v.word)
    end
  end
  return last
end

local function slug (title)
  return match(gsub(lower(title), "[^%w\128-\255]+", "-"), "^%-?(.-)%-?$")
end

local close = {}  -- word -> what makes its { ... } complete

function close.step (item, t)
  local does
  for i = 1, #bodies do does = does or t[bodies[i]] ~= nil end
  if not does then
    fail(item, "%s does nothing: give it one of %s", label(item), concat(bodies, ", "))
  end
  item.id = t.id or type(item.name) == "string" and slug(item.name) or ""
  if item.id == "" then fail(item, '%s needs a name of its own: id = "..."', label(item)) end
end

function close.case (item, t)
  if checkitems(item, t, {step = true}) == 0 then fail(item, "%s has no steps", label(item)) end
end

local function unique (seen, item, id)
  local other = seen[id]
  if other then
    fail(item, "%s has the same id as %s on line %d: '%s'%s",
         label(item), label(other), other.line, id,
         item.word == "step" and '; give one another with id = "..."' or "")
  end
  seen[id] = item
end

-- one parameter of two cases is the same thing to whoever types it
local function checkshared (item, t, all)
  for name, p in each(t.params or {}) do
    local other = all[name]
    if other and (other.word == "runbook" or other.fields.params[name][1] ~= p[1]) then
      failat(item, name, "%s: parameter '%s' is one of the %s already",
             label(item), name, label(other))
    end
    all[name] = item
  end
end

function close.runbook (item, t)
  if checkitems(item, t, {step = true, case = true}) == 0 then
    fail(item, "this runbook has no steps: it does nothing")
  end
  local other = made(item)
  if other then
    fail(item, "a file makes one runbook, but there is one on line %d already: "
         .. "give each a file of its own", other.line)
  end
  local steps, cases, params = {}, {}, {}
  checkshared(item, t, params)
  for i = 1, #t do
    local v = t[i]
    if v.word == "case" then
      unique(cases, v, v.name)
      checkshared(v, v.fields, params)
      for j = 1, #v.fields do unique(steps, v.fields[j], v.fields[j].id) end
    else
      unique(steps, v, v.id)
    end
  end
end

local function finish (item, t)
  if type(t) ~= "table" then
    fail(item, "%s takes a table: %s { ... }, not %s", label(item), label(item), show(t))
  end
  checkfields(item, t, item.word)
  item.fields = t
  close[item.word](item, t)
  return setmetatable(item, Done)
end

Open.__call = function (item, t)
  if getmetatable(item) ~= Open then fail(item, "%s has two { ... }", label(item)) end
  return finish(item, t)
end

local function open (word, name)
  local file, line = here()
  return setmetatable({word = word, name = name, file = file, line = line}, Open)
end

function step (title)
  local item = open("step", title)
  if text(title) or title == "" then
    item.name = nil
    fail(item, 'a step begins with its title: step "Restart it" { ... }, not %s', show(title))
  end
  return item
end

function case (id)
  local item = open("case", id)
  if checks.id(id) then
    item.name = nil
    fail(item, 'a case begins with its id, %s: case "isolate" { ... }, not %s',
         checks.id(id), show(id))
  end
  return item
end

function expect (value, what)
  if value then return value end
  local file, line = here()
  raise("expect", what == nil and "expectation failed" or tostring(what), file, line)
end

-- `runbook` comes from here, at the place where its name stands: a `return
-- runbook { ... }` is a tail call, which leaves no place behind. Any other
-- name that nobody defined is an error, for a misspelt one would be nil.
local function undefined (list, name)
  if name == "runbook" then return open("runbook") end
  local near = type(name) == "string" and nearest(name, list())
  local file, line = here()
  raise("script", format("undefined global '%s'%s", tostring(name),
                         near and format(": did you mean '%s'?", near) or ""), file, line)
end

fields.run = taken
return Done, undefined, fields
