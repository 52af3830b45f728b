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

local file = { place = function () return "files" end, stub = "" }
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
