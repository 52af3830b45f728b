-- world.lua - a test's world: who is asked what, what is known, what is planned
--
-- A store's verb is written once, as a function over c:get and c:put. The deed lets it work
-- on what is there; a preview lets it work on a copy and keeps what it would have
-- changed; a prediction lets it read what was planned.

local T = ...

T.rows, T.fakes = {}, {}

local function words (text)
  local list = {}
  for word in text:gmatch("%S+") do
    local name, effect = word:match("^(.-):(.+)$")
    list[#list + 1] = name
    list[#list + 1] = effect
  end
  return list
end

-- rows(module, { methods = "get:probe set:remedy", functions = ... }): what fake.c reads
function T.setrows (module, row)
  T.rows[module] = {
    methods = row.methods and words(row.methods), functions = row.functions and words(row.functions),
  }
end

-- -- failing ----------------------------------------------------------------

-- the world fails as the real one would
function T.fail (kind, message, certainty)
  error({ world = { kind = kind, message = message, certainty = certainty } }, 0)
end

function T.misuse (message) T.fail("misuse", message) end

-- nobody expected this: 'stub' is what the test may add
function T.surprise (what, place, stub)
  local text = "the test does not expect " .. what
  text = text .. "; add to its world:\n" .. T.pasted(place, stub or "")
  error({ surprise = text }, 0)
end

-- "school_erp.http", '["GET /"] = { status = 200 }' -> school_erp = { http = { ... } },
function T.pasted (place, stub)
  local opens, closes = {}, {}
  for name in place:gmatch("[^.]+") do
    opens[#opens + 1] = T.key(name) .. " = {"
    closes[#closes + 1] = "}"
  end
  local space = stub == "" and "" or " "
  return table.concat(opens, " ") .. space .. stub .. space .. table.concat(closes, " ") .. ","
end

local reserved = {}
for word in ("and break do else elseif end false for function goto if in local nil not or "
             .. "repeat return then true until while"):gmatch("%a+") do reserved[word] = true end

function T.key (name)
  if name:match("^[%a_][%w_]*$") and not reserved[name] then return name end
  return "[" .. T.quoted(name) .. "]"
end

function T.quoted (s)
  return '"' .. s:gsub('[%c\\"]', function (c)
    return c == "\n" and "\\n" or c == '"' and '\\"' or c == "\\" and "\\\\"
           or string.format("\\%03d", c:byte())
  end) .. '"'
end

-- -- values -----------------------------------------------------------------

function T.same (a, b)
  if a == b then return true end
  if type(a) ~= "table" or type(b) ~= "table" then return false end
  for k, v in pairs(a) do if not T.same(v, b[k]) then return false end end
  for k in pairs(b) do if a[k] == nil then return false end end
  return true
end

function T.copy (v)
  if type(v) ~= "table" then return v end
  local to = {}
  for k, x in pairs(v) do to[k] = T.copy(x) end
  return to
end

-- one line, as Lua would read it
function T.show (v, depth)
  if type(v) == "string" then return T.quoted(v) end
  if type(v) ~= "table" then return tostring(v) end
  if getmetatable(v) and getmetatable(v).shown then return getmetatable(v).shown(v) end
  local parts, n = {}, #v
  if (depth or 0) > 6 then return "{ ... }" end
  for i = 1, n do parts[i] = T.show(v[i], (depth or 0) + 1) end
  for k, x in pairs(v) do
    if math.type(k) ~= "integer" or k < 1 or k > n then
      parts[#parts + 1] = (type(k) == "string" and T.key(k) or "[" .. T.show(k) .. "]")
                          .. " = " .. T.show(x, (depth or 0) + 1)
    end
  end
  return #parts == 0 and "{}" or "{ " .. table.concat(parts, ", ") .. " }"
end

-- spaces do not count, "*" is anything, and a text is found anywhere in another
function T.squeezed (s) return (s:gsub("%s+", " "):gsub("^ ", ""):gsub(" $", "")) end

function T.matches (s, pattern, whole)
  local escaped = T.squeezed(pattern):gsub("[%^%$%(%)%%%.%[%]%+%-%?]", "%%%0"):gsub("%*", ".*")
  if whole then escaped = "^" .. escaped .. "$" end
  return T.squeezed(s):find(escaped) ~= nil
end

-- -- one after the other ----------------------------------------------------

local turns = {}  -- list of answers -> which is next

-- the answer whose turn it is: a list's next, and its last from then on
function T.turn (answer, islist, looks)
  if not islist(answer) then return answer end
  local n = math.min((turns[answer] or 0) + 1, #answer)
  if not looks then turns[answer] = n end
  return answer[n]
end

function T.isturns (v) return type(v) == "table" and getmetatable(v) == T.Turns end
T.Turns = { shown = function (v) return "in_turn" .. T.show({ table.unpack(v) }) end }

-- an answer that is a function is called; one with `error` fails
function T.settle (answer, ...)
  if type(answer) == "function" then answer = answer(...) end
  if type(answer) == "table" and type(answer.error) == "table" then
    T.fail(answer.error.kind or "io", answer.error.message or "it failed",
           answer.error.certainty)
  end
  return answer
end

-- -- a call -----------------------------------------------------------------

local function kept (value)
  if value == nil then return false end
  return value
end

local Call = {}
Call.__index = Call

function Call:known (key)
  if self.phase == "preview" or self.phase == "predict" then
    local known, value = T.planned(self.prefix .. key)
    if known then return true, value or nil end
  end
  return false
end

function Call:get (key)
  if self.after[key] ~= nil then return self.after[key] or nil end
  local known, value = self:known(key)
  if self.phase == "predict" and not known then self.missed = true end
  if not known then value = T.copy(self.state[key]) end
  if self.fresh then value = self.fresh(self, value) end
  if self.before[key] == nil then self.before[key] = kept(value) end
  return T.copy(value)
end

function Call:put (key, value)
  self:get(key)
  self.after[key] = kept(value)
  self.touched[#self.touched + 1] = key
end

-- every key that there is now, sorted
function Call:keys ()
  local list = {}
  for k in pairs(self.state) do
    if self:get(k) ~= nil then list[#list + 1] = k end
  end
  return list
end

local function newcall (q, fake, state)
  return setmetatable({
    phase = q.phase, verb = q.verb, resource = q.resource, now = q.now, dryrun = q.dryrun,
    state = state, before = {}, after = {}, touched = {}, fresh = fake.fresh,
    prefix = q.module .. ":" .. q.resource .. ":", summary = nil, waited = q.waited,
  }, Call)
end

-- before and after of what it touches, as text: the precondition of a deed
local function image (c, side)
  local parts = {}
  for k in pairs(c.after) do
    parts[#parts + 1] = T.show(k) .. "=" .. T.show(side[k] or nil)
  end
  return table.concat(parts, "\n")
end

local function shown (fake, c, side, key)
  local value = side[key]
  if not value then return nil end
  return fake.shown and fake.shown(c, value) or { value = T.show(value) }
end

local function plan (fake, c, result)
  local p = {
    summary = c.summary, result = result, exact = true, guarded = true, image = image(c, c.before),
    afterimage = image(c, c.after), counts = fake.counts and fake.counts(c), writes = {},
    undo = c.undo, reason = c.reason,
  }
  if fake.unbounded then p.writes, p.exact = nil, false end
  local changed, first = false, nil
  for key, value in pairs(c.after) do
    if not T.same(value, c.before[key]) then changed = true end
    first = first or key
    if p.writes then p.writes[c.prefix .. key] = value end
  end
  if not changed then p.verdict, p.reason = "nothing to do", c.reason or "it is so already" end
  if first then
    p.before, p.after = shown(fake, c, c.before, first), shown(fake, c, c.after, first)
  end
  p.inverse = not p.undo and fake.inverse(c) or nil
  return { plan = p, summary = p.summary }
end

local function store (q, fake, state)
  local c = newcall(q, fake, state)
  local verb = fake.verbs[q.verb]
  if q.phase == "predict" and fake.unbounded then return {} end
  local result = verb.fn(c, table.unpack(q.args, 1, q.n))
  if q.phase == "preview" then return plan(fake, c, result) end
  if q.phase == "predict" then
    if c.missed then return {} end
    return { predicted = true, value = result, summary = c.summary }
  end
  for key, value in pairs(c.after) do state[key] = value or nil end
  return { value = result, summary = c.summary }
end

-- -- who answers ------------------------------------------------------------

-- a failure that the test wants, by verb and the beginning of what is asked
local function failing (q)
  if q.phase ~= "deed" and q.phase ~= "probe" then return end
  local name = q.module .. "." .. q.verb
  local text = type(q.args[1]) == "string" and name .. " " .. q.args[1] or name
  for key, answer in pairs(T.world.fails) do
    if key == name or T.matches(text, key, true) then
      local one = T.turn(answer, function (v) return v[1] ~= nil end)
      if one then T.settle({ error = one.kind and one or one.error }) end
    end
  end
end

local function answer (q)
  local fake = T.fakes[q.module] or T.scripted
  T.asking = q
  failing(q)
  if q.phase == "classify" and fake.classify then return { value = fake.classify(q) } end
  if not fake.verbs then return fake.ask(q, T.part(q)) end
  local state = T.part(q)
  if state == nil then
    T.surprise("a call of " .. q.module .. "." .. q.verb .. " (" .. q.resource .. ")",
               T.place(q), fake.stub)
  end
  return store(q, fake, state)
end

function T.ask (q)
  local ok, result = pcall(answer, q)
  if ok then return result end
  if type(result) == "table" and result.world then return { error = result.world } end
  if type(result) == "table" and result.surprise then return { surprise = result.surprise } end
  return { surprise = "a fake of the test failed: " .. tostring(result) }
end

-- where in a test's world that is
function T.place (q) return q.module == "file" and "files" or q.resource end

-- what the world has for the resource that is asked: its state, or the test's answers
function T.part (q)
  local where = q.system and T.world.systems[q.system] or not q.system and T.world.free
  return where and where[q.module]
end
