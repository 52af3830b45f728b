-- tests.lua - the words of a test file, what each may hold, and how a case begins
local T = ...

-- field -> type; what the documentation lists
T.fields = {
  tests = { runbook = "string", params = "table", world = "table", answers = "table",
            approvals = "list" },
  test = { runbook = "string", params = "table", world = "table", answers = "table",
           approvals = "list", mode = "mode", case = "string or list", only = "string",
           from = "string", to = "string", tape = "string", target = "string",
           expect = "table", notify = "boolean" },
  expect = { exit = "integer", status = "string", error = "string or table", steps = "table",
             cases = "list", findings = "table", effects = "list", notices = "list",
             notes = "list", world = "table", undo = "boolean or table" },
  undo = { exit = "integer", status = "string", error = "string or table", steps = "table",
           effects = "list", world = "table" },
  system = { http = "table", pg = "table", redis = "table", dotenv = "table",
             service = "table", log = "table", backup = "table", settings = "table",
             schema = "table", probes = "list" },
  world = { files = "table", exec = "table", csv = "table", net = "table", host = "table",
            mail = "table", slack = "table", teams = "table", pagerduty = "table",
            webhook = "table", clock = "string", fails = "table" },
}

-- -- what is wrong with a test file -----------------------------------------

-- a mistake of the test's author: the file is not run
function T.mistake (line, fmt, ...)
  error({ mistake = fmt:format(...), line = line }, 0)
end

local function names (t)
  local list = {}
  for k in pairs(t) do list[#list + 1] = k end
  return list
end

local function unknown (line, what, field, known)
  local near = T.nearest(tostring(field), names(known))
  T.mistake(line, "%s has no field '%s'%s", what, tostring(field),
            near and (" (did you mean '" .. near .. "'?)") or "")
end

local checks = {
  integer = function (v) return math.type(v) == "integer" end,
  list = function (v) return type(v) == "table" and (#v > 0 or not pairs(v)(v)) or T.isturns(v) end,
  mode = function (v) return v == "run" or v == "dry-run" end,
}
checks.list = function (v)
  if type(v) ~= "table" then return false end
  for k in pairs(v) do if math.type(k) ~= "integer" then return false end end
  return true
end

local function fits (v, kind)
  for one in kind:gmatch("[%a]+") do
    if one ~= "or" and (checks[one] and checks[one](v) or type(v) == one) then return true end
  end
  return false
end

local function checkfields (t, what, known, line, also)
  for k, v in pairs(t) do
    local kind = known[k] or also and also(k, v)
    if not kind then unknown(T.line(line, tostring(k)), what, k, known) end
    if kind ~= true and not fits(v, kind) then
      local wants = kind == "mode" and '"run" or "dry-run"' or (kind:match("^[aei]") and "an " or "a ") .. kind
      T.mistake(T.line(line, k), "%s of %s takes %s, not %s", k, what, wants,
                type(v) == "string" and T.quoted(v) or "a " .. type(v))
    end
  end
end

-- the line, from 'line' on, on which these names stand one after the other
function T.line (line, ...)
  local at = line or 1
  for _, name in ipairs { ... } do
    local n = at
    while T.lines[n] and not (n > line and T.lines[n]:match("^%s*test%s*[\"'(]")) do
      local text = T.lines[n]
      local s, e = text:find(name, 1, true)
      if s and not text:sub(e + 1, e + 1):match("[%w_]") and not text:sub(s - 1, s - 1):match("[%w_]") then
        at = n
        break
      end
      n = n + 1
    end
  end
  return at
end

-- -- the words --------------------------------------------------------------

local Tests, Test = {}, {}

function T.word_tests (given)
  if type(given) ~= "table" then T.mistake(T.here(), "tests takes a table: return tests { ... }") end
  local suite = setmetatable({ line = T.here(), list = {}, common = {} }, Tests)
  for k, v in pairs(given) do
    if math.type(k) == "integer" then
      if getmetatable(v) ~= Test then
        T.mistake(suite.line, "what stands in tests { ... } is test \"name\" { ... }, not a %s", type(v))
      end
      suite.list[k] = v
    else suite.common[k] = v end
  end
  checkfields(suite.common, "tests", T.fields.tests, suite.line)
  return suite
end

function T.word_test (name)
  local line = T.here() or 1
  if type(name) ~= "string" then T.mistake(line, "a test begins with its name: test \"name\" { ... }") end
  return function (given)
    if type(given) ~= "table" then T.mistake(line, "test \"%s\" takes a table", name) end
    checkfields(given, "test \"" .. name .. "\"", T.fields.test, line)
    if given.expect then checkfields(given.expect, "expect", T.fields.expect, line) end
    if type((given.expect or {}).undo) == "table" then
      checkfields(given.expect.undo, "undo", T.fields.undo, line)
    end
    return setmetatable({ name = name, line = line, given = given }, Test)
  end
end

T.Like = { shown = function (v) return "like " .. T.quoted(v[1]) end }
T.Any = { shown = function () return "any" end }

function T.word_like (text) return setmetatable({ text }, T.Like) end
function T.word_in_turn (list) return setmetatable(list, T.Turns) end

-- -- a file that was loaded -------------------------------------------------

-- what all tests have in common, and what one has more: `depth` says how far down tables
-- are joined, an entry below that is replaced, and `false` takes one away
local function over (base, more, depth, keepfalse)
  if depth == 0 or type(base) ~= "table" or type(more) ~= "table" then return more end
  local to = {}
  for k, v in pairs(base) do to[k] = v end
  for k, v in pairs(more) do
    local exact = keepfalse or k == "settings" or k == "schema"
    if v == false and not keepfalse then to[k] = nil
    else to[k] = over(base[k], v, depth - 1, exact) end
  end
  return to
end

-- what a system has is joined by kind and key, what the machine has by key
local function overworld (base, more)
  local to = {}
  for k, v in pairs(base or {}) do to[k] = v end
  for k, v in pairs(more) do to[k] = over(to[k], v, T.fields.world[k] and 1 or 2) end
  return to
end

-- a test with what all tests of the file have in common
local function whole (suite, test)
  local t = {}
  for k, v in pairs(suite.common) do t[k] = v end
  for k, v in pairs(test.given) do
    if k == "world" then v = overworld(t[k], v)
    elseif k == "params" or k == "answers" then v = over(t[k] or {}, v, 1) end
    t[k] = v
  end
  return t
end

-- what the file returned -> { { name =, line =, runbook = }, ... }
function T.loaded (n, suite)
  if n == 0 or suite == nil then
    T.mistake(nil, "the file returns nothing: it ends with `return tests { ... }`")
  elseif getmetatable(suite) ~= Tests then
    T.mistake(nil, "the file returns a %s, not tests: it ends with `return tests { ... }`",
              getmetatable(suite) == Test and "single test" or type(suite))
  elseif #suite.list == 0 then
    T.mistake(suite.line, "there is no test in it: tests { test \"name\" { ... } }")
  end
  T.cases = {}
  local seen, list = {}, {}
  for i, test in ipairs(suite.list) do
    if seen[test.name] then T.mistake(test.line, "two tests are called \"%s\"", test.name) end
    seen[test.name] = true
    local t = whole(suite, test)
    if t.tape and t.target then
      T.mistake(test.line, "a test is of a tape or of a target, not of both")
    end
    if t.target and test.given.world then
      T.mistake(T.line(test.line, "world"), "a test of a target has no world of its own: the target is real")
    end
    T.cases[i] = { name = test.name, line = test.line, t = t }
    list[i] = { name = test.name, line = test.line, runbook = t.runbook or json.null,
                alone = t.target ~= nil }
  end
  return json.encode(list)
end

-- -- a case begins ----------------------------------------------------------

local function checkworld (w, line)
  local systems = {}
  for _, name in ipairs(T.runbook.systems) do systems[name] = "table" end
  local known = setmetatable({}, { __index = T.fields.world })
  local all = {}
  for k, v in pairs(T.fields.world) do all[k] = v end
  for k, v in pairs(systems) do all[k] = v end
  checkfields(w, "world (its systems are those that the runbook names)", all, line)
  for name in pairs(systems) do
    if w[name] then checkfields(w[name], "world." .. name, T.fields.system, line) end
  end
end

local function open (module, spec, line, now)
  local fake = T.fakes[module]
  if spec == nil or not (fake and fake.open) then return spec end
  return fake.open(spec, line, now)
end

local function build (w, line, now)
  checkworld(w, line)
  local world = { systems = {}, free = {}, fails = w.fails or {}, notices = {} }
  for _, name in ipairs(T.runbook.systems) do
    local system, given = {}, w[name] or {}
    for kind in pairs(T.fields.system) do system[kind] = open(kind, given[kind], line, now) end
    world.systems[name] = system
  end
  for module in pairs(T.fields.world) do world.free[module] = open(module, w[module], line) end
  world.free.file = open("file", w.files, line)
  world.free.files = nil
  return world
end

-- the parts of the world that are compared, as a test writes them down; "exact": as an undo
-- has to leave them
function T.plain (world, now, exact)
  local function part (fake, state) return (exact and fake.exact or fake.plain)(state, now) end
  local to = { files = world.free.file and part(T.fakes.file, world.free.file) }
  for name, system in pairs(world.systems) do
    for kind, state in pairs(system) do
      local fake = T.fakes[kind]
      if fake and fake.plain then
        to[name] = to[name] or {}
        to[name][kind] = part(fake, state)
      end
    end
  end
  return to
end

local function listed (v) return type(v) == "string" and { v } or v or {} end

local function words (params)
  local list = {}
  for name, value in pairs(params or {}) do
    if type(value) == "table" then value = table.concat(value, ",") end
    list[#list + 1] = name .. "=" .. tostring(value)
  end
  return list
end

local places = {
  http = "http://127.0.0.1:1/%s", pg = "postgresql://127.0.0.1:1/%s", redis = "redis://127.0.0.1:1/0",
  dotenv = "/%s/.env", service = "pm2:%s", log = "/%s/log", backup = "/%s/backups",
}

local function config (t, me, target)
  local c = { target = target, roles = {}, targets = { [target] = { kind = "sandbox", systems = {} } } }
  for _, role in ipairs(t.approvals or T.runbook.roles) do c.roles[role] = { me } end
  for _, name in ipairs(T.runbook.systems) do
    local given, system = (t.world or {})[name] or {}, {}
    for kind, url in pairs(places) do system[kind] = url:format(name) end
    if given.settings then system.settings = given.settings end
    if given.schema then system.schema = given.schema end
    c.targets[target].systems[name] = system
  end
  return "return " .. T.show(c, -100)
end

-- case number i of the runbook (what is known of it, as JSON): how it is run, as JSON
function T.begin (i, runbook, me)
  T.me = me
  T.runbook = json.decode(runbook)
  local case = T.cases[i]
  local t = case.t
  T.case = case
  local o = { name = case.name, line = case.line, words = words(t.params), cases = listed(t.case),
              dry = t.mode == "dry-run", only = t.only, from = t.from, to = t.to,
              notify = t.notify ~= false, tape = t.tape, target = t.target,
              answers = t.answers and json.encode(t.answers), settings = t.world ~= nil }
  T.checkexpected(case)
  if not t.tape and not t.target then
    local now = T.time(t.world and t.world.clock or "2026-01-05T03:00:00Z")
    T.world = build(t.world or {}, case.line, now)
    T.before = T.plain(T.world, now, "exact")
    o.config, o.fakes = config(t, me, "test"), true
    o.clock = math.floor(now * 1000)
  end
  return json.encode(o)
end

-- the configuration with which a tape of that target is replayed
function T.tapeconfig (target) return config(T.case.t, T.me, target) end

-- the file that was compiled: its cases
function T.load ()
  if T.onetape then
    return T.loaded(1, T.word_tests { T.word_test("replays " .. T.onetape) { tape = T.onetape } })
  end
  local results = table.pack(T.chunk())
  T.chunk = nil
  return T.loaded(results.n, results[1])
end
