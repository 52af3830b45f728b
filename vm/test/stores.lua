-- stores.lua - fakes that keep what they are told: redis, files, .env, services
local T = ...

local function verbs (list)
  local by = {}
  for name, fn in pairs(list) do by[name] = { fn = fn } end
  return by
end

-- "set a = b", for people
local function say (c, fmt, ...) c.summary = fmt:format(...) end

-- -- files ------------------------------------------------------------------

T.setrows("file", { functions = "read:probe lines:probe stat:probe list:probe hash:probe "
  .. "write:remedy copy:remedy move:remedy remove:remedy chmod:remedy" })

local file = {}
T.fakes.file = file

function file.open (spec)
  local state = {}
  for path, content in pairs(spec) do
    if type(content) == "string" then state[path] = { content = content, mode = "0644" }
    elseif content ~= false then state[path] = { content = content.content or "", mode = content.mode or "0644" }
    end
  end
  return state
end

function file.plain (state)
  local plain = {}
  for path, f in pairs(state) do plain[path] = f.content end
  return plain
end

function file.counts () return { files = 1 } end
function file.shown (c, f) return { value = #f.content .. " bytes, " .. f.mode } end

function file.inverse (c)
  local path = c.touched[1]
  if c.verb == "move" then return { "move", c.touched[2], c.touched[1] } end
  if not c.before[path] then return { "remove", path } end
  return { "write", path, c.before[path].content, { mode = c.before[path].mode } }
end

local function there (c, path)
  local f = c:get(path)
  if not f then T.fail("missing", "there is no file " .. path) end
  return f
end

local function lines (s)
  local list = {}
  for line in s:gmatch("([^\n]*)\n?") do list[#list + 1] = line end
  if list[#list] == "" then list[#list] = nil end
  return list
end

file.verbs = verbs {
  read = function (c, path) return there(c, path).content end,
  lines = function (c, path) return lines(there(c, path).content) end,
  hash = function (c, path) return T.hash(there(c, path).content) end,
  stat = function (c, path)
    local f = c:get(path)
    return f and { type = "file", size = #f.content, mode = f.mode, owner = "root",
                   group = "root", modified = T.stamp(c.now), links = 1 } or nil
  end,
  list = function (c, folder)
    local names, seen = {}, {}
    for _, path in ipairs(c:keys()) do
      local name = path:sub(1, #folder + 1) == folder .. "/" and path:sub(#folder + 2):match("^[^/]+")
      if name and not seen[name] then seen[name] = true; names[#names + 1] = name end
    end
    if #names == 0 then T.fail("missing", "there is no folder " .. folder) end
    table.sort(names)
    return names
  end,
  write = function (c, path, content, options)
    local f, mode = c:get(path), options and options.mode
    content = tostring(content)
    say(c, "%s %s (%d bytes)", f and "write" or "create", path, #content)
    c:put(path, { content = content, mode = mode or f and f.mode or "0644" })
    return true
  end,
  copy = function (c, from, to)
    local f = there(c, from)
    say(c, "copy %s to %s", from, to)
    c:put(to, { content = f.content, mode = f.mode })
    return true
  end,
  move = function (c, from, to)
    local f = there(c, from)
    say(c, "move %s to %s", from, to)
    if c:get(to) then T.fail("refused", to .. " is there already: remove it first") end
    c:put(from, nil)
    c:put(to, f)
    return true
  end,
  remove = function (c, path)
    say(c, "remove %s", path)
    c:put(path, nil)
    return true
  end,
  chmod = function (c, path, mode)
    local f = there(c, path)
    say(c, "chmod %s %s", mode, path)
    c:put(path, { content = f.content, mode = mode })
    return true
  end,
}

-- -- .env ---------------------------------------------------------------------------------

T.setrows("dotenv", { methods = "get:probe all:probe has:probe set:remedy unset:remedy "
  .. "add:remedy remove:remedy" })

local dotenv = {}
T.fakes.dotenv = dotenv

function dotenv.open (spec)
  local state = {}
  for name, value in pairs(spec) do
    if value ~= false then state[name] = tostring(value) end
  end
  return state
end

function dotenv.plain (state) return T.copy(state) end
function dotenv.counts () return { files = 1 } end
function dotenv.inverse (c)
  local name = c.touched[1]
  if not c.before[name] then return { "unset", name } end
  return { "set", name, c.before[name] }
end

local function items (value)
  local list = {}
  for item in (value or ""):gmatch("[^,]+") do list[#list + 1] = item:match("^%s*(.-)%s*$") end
  return list
end

local function among (list, item)
  for i, v in ipairs(list) do if v == item then return i end end
end

dotenv.verbs = verbs {
  get = function (c, name) return c:get(name) end,
  all = function (c)
    local to = {}
    for _, name in ipairs(c:keys()) do to[name] = c:get(name) end
    if c.phase == "predict" then c.missed = true end
    return to
  end,
  has = function (c, name, item)
    local value = c:get(name)
    if item == nil then return value ~= nil end
    return among(items(value), tostring(item)) ~= nil
  end,
  set = function (c, name, value)
    say(c, "%s=%s", name, tostring(value))
    c:put(name, tostring(value))
    return true
  end,
  unset = function (c, name)
    say(c, "unset %s", name)
    c:put(name, nil)
    return true
  end,
  add = function (c, name, item)
    local list = items(c:get(name))
    if not among(list, tostring(item)) then list[#list + 1] = tostring(item) end
    say(c, "add %s to %s", tostring(item), name)
    c:put(name, table.concat(list, ","))
    return true
  end,
  remove = function (c, name, item)
    local value = c:get(name)
    local list = items(value)
    local at = among(list, tostring(item))
    say(c, "remove %s from %s", tostring(item), name)
    if at then table.remove(list, at) end
    c:put(name, value and table.concat(list, ",") or nil)
    return true
  end,
}

-- -- services: one key, "service" ----------------------------------------------------------

T.setrows("service", { methods = "status:probe logs:probe start:remedy stop:remedy restart:remedy" })

local service = { unbounded = true, stub = 'state = "online"' }
T.fakes.service = service

function service.open (spec, line, now)
  return { service = { state = spec.state or "online", pid = spec.pid or 100, since = T.stamp(now - 3600),
                       restarts = spec.restarts or 0, logs = spec.logs or {}, health = spec.health } }
end

function service.plain (state)
  local s = state.service
  return { state = s.state, restarts = s.restarts }
end

-- a restart cannot be taken back: what counts is whether it is there
function service.exact (state) return { state = state.service.state } end

function service.counts () return { commands = 1 } end
function service.shown (_, s) return { value = s.state } end
function service.inverse (c)
  return c.verb == "start" and { "stop" } or c.verb == "stop" and { "start" } or nil
end

local function seen (s)
  return { state = s.state, pid = s.pid, restarts = s.restarts, since = s.since, health = s.health }
end

local function become (c, state, restarted)
  local s = c:get("service")
  if restarted or s.state ~= state then
    s.pid, s.since = state == "online" and (s.pid or 100) + 1 or nil, T.stamp(c.now)
  end
  if restarted then s.restarts = s.restarts + 1 end
  s.state = state
  say(c, "%s", c.verb)
  c:put("service", s)
  return seen(s)
end

service.verbs = verbs {
  status = function (c) return seen(c:get("service")) end,
  logs = function (c, n)
    local list = c:get("service").logs
    return { table.unpack(list, math.max(#list - (n or 100) + 1, 1)) }
  end,
  start = function (c) return become(c, "online") end,
  stop = function (c) return become(c, "stopped") end,
  restart = function (c)
    c.undo = "nothing: a restart leaves nothing behind"
    return become(c, "online", true)
  end,
}
