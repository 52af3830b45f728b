-- redis.lua - a Redis that keeps what it is told: strings, lists, hashes, sets, expiries
--
-- A key is { type =, value =, at = when it expires, in seconds since 1970 }.
local T = ...

local redis = { verbs = {} }
T.fakes.redis = redis

local function wrong (c, key)
  T.fail("server", ("%s: WRONGTYPE: %s holds another type"):format(c.resource, key))
end

-- -- what a test writes down ------------------------------------------------------------

T.Set, T.Zset = {}, {}
T.Set.shown = function (v) return "set" .. T.show({ table.unpack(v) }) end
T.Zset.shown = function (v) return "zset" .. T.show(T.copy(v)) end
T.Expiring = { shown = function (v) return ("expiring(%s, %q)"):format(T.show(v[1]), v[2]) end }

function T.word_set (list) return setmetatable(list, T.Set) end
function T.word_zset (scores) return setmetatable(scores, T.Zset) end
function T.word_expiring (value, after)
  if not (type(after) == "string" and T.seconds(after)) then
    T.mistake(T.here(), "expiring takes a value and a duration such as \"1h\"")
  end
  return setmetatable({ value, after }, T.Expiring)
end

local function texts (t)
  local to = {}
  for k, v in pairs(t) do to[math.type(k) == "integer" and k or tostring(k)] = tostring(v) end
  return to
end

local function read (v, now)
  local mt = type(v) == "table" and getmetatable(v)
  if mt == T.Expiring then
    local key = read(v[1], now)
    key.at = now + T.seconds(v[2])
    return key
  elseif mt == T.Set then
    local members = {}
    for _, m in ipairs(v) do members[tostring(m)] = true end
    return { type = "set", value = members }
  elseif mt == T.Zset then return { type = "zset", value = T.copy(v) }
  elseif type(v) == "table" and (#v > 0) then return { type = "list", value = texts(v) }
  elseif type(v) == "table" then return { type = "hash", value = texts(v) } end
  return { type = "string", value = tostring(v) }
end

function redis.open (spec, line, now)
  local state = {}
  for key, v in pairs(spec) do
    if v ~= false then state[key] = read(v, now) end
  end
  return state
end

local function sorted (set)
  local list = {}
  for m in pairs(set) do list[#list + 1] = m end
  table.sort(list)
  return list
end

-- as a test would write it down
local function written (key, now)
  local v = key.value
  if key.type == "set" then v = setmetatable(sorted(v), T.Set)
  elseif key.type == "zset" then v = setmetatable(T.copy(v), T.Zset) end
  if key.at then v = setmetatable({ v, T.duration(key.at - now) }, T.Expiring) end
  return v
end

function redis.plain (state, now)
  local to = {}
  for name, key in pairs(state) do
    if not key.at or key.at > now then to[name] = written(key, now) end
  end
  return to
end

function redis.exact (state) return T.copy(state) end

-- -- every call --------------------------------------------------------------------------

-- what has expired is gone
function redis.fresh (c, key)
  if key and key.at and key.at <= c.now + (c.waited or 0) then return nil end
  return key
end

function redis.shown (c, key)
  return { value = type(key.value) == "string" and key.value or T.show(written({ type = key.type, value = key.value }, c.now)),
           type = key.type, ttl = key.at and math.floor(key.at - c.now + 0.5) or nil }
end

function redis.counts (c)
  local n = 0
  for _ in pairs(c.after) do n = n + 1 end
  return { redis_keys = n }
end

function redis.inverse (c)
  local list = {}
  for key in pairs(c.after) do list[#list + 1] = { key = key, was = c.before[key] } end
  return { "restore", list }
end

local function typed (c, name, type_)
  local key = c:get(name)
  if key and key.type ~= type_ then wrong(c, name) end
  return key
end

-- the value of a key of that type, to be changed; made where it is not there
local function open (c, name, type_)
  local key = typed(c, name, type_) or { type = type_, value = type_ == "string" and "" or {} }
  return key, key.value
end

-- one that is empty is gone
local function close (c, name, key)
  local empty = type(key.value) == "table" and next(key.value) == nil
  c:put(name, not empty and key or nil)
end

local function spread (...)
  local list = { ... }
  if type(list[1]) == "table" then return texts(list[1]) end
  return texts(list)
end

local function slice (list, first, last)
  first, last = first or 0, last or -1
  if first < 0 then first = math.max(#list + first, 0) end
  if last < 0 then last = #list + last end
  return { table.unpack(list, first + 1, math.min(last + 1, #list)) }
end

local function byscore (scores)
  local list = sorted(scores)
  table.sort(list, function (a, b)
    if scores[a] ~= scores[b] then return scores[a] < scores[b] end
    return a < b
  end)
  return list
end

local function size (t)
  local n = 0
  for _ in pairs(t) do n = n + 1 end
  return n
end

-- -- what looks ------------------------------------------------------------------------------

local looks = {}

local function counter (type_)
  return function (c, k)
    local key = typed(c, k, type_)
    return key and (type_ == "list" and #key.value or size(key.value)) or 0
  end
end

function looks.get (c, k) local key = typed(c, k, "string"); return key and key.value end
function looks.mget (c, ...)
  local to = {}
  for _, k in ipairs(spread(...)) do
    local key = c:get(k)
    if key and key.type == "string" then to[k] = key.value end
  end
  return to
end
function looks.exists (c, k) return c:get(k) ~= nil end
function looks.ttl (c, k)
  local key = c:get(k)
  return key and (key.at and math.floor(key.at - c.now + 0.5) or false)
end
looks["type"] = function (c, k) local key = c:get(k); return key and key.type or "none" end
function looks.strlen (c, k) local key = typed(c, k, "string"); return key and #key.value or 0 end
looks.llen, looks.hlen, looks.scard, looks.zcard =
  counter("list"), counter("hash"), counter("set"), counter("zset")
function looks.lrange (c, k, first, last)
  local key = typed(c, k, "list")
  return key and slice(key.value, first, last) or {}
end
function looks.hget (c, k, field) local key = typed(c, k, "hash"); return key and key.value[tostring(field)] end
function looks.hgetall (c, k) local key = typed(c, k, "hash"); return key and key.value or {} end
function looks.smembers (c, k) local key = typed(c, k, "set"); return key and sorted(key.value) or {} end
function looks.sismember (c, k, m)
  local key = typed(c, k, "set")
  return key ~= nil and key.value[tostring(m)] == true
end
function looks.zrange (c, k, first, last, options)
  if type(first) == "table" then first, options = nil, first end
  local key = typed(c, k, "zset")
  local list = key and slice(byscore(key.value), first, last) or {}
  if not (options and options.scores) then return list end
  for i, m in ipairs(list) do list[i] = { member = m, score = key.value[m] } end
  return list
end
function looks.zscore (c, k, m) local key = typed(c, k, "zset"); return key and key.value[tostring(m)] end

-- these look at all keys: of what is planned they know nothing
local function all (c, pattern, options)
  local list = {}
  options = options or {}
  if c.phase == "predict" then c.missed = true end
  for _, k in ipairs(c:keys()) do
    if T.globs(k, pattern) and (not options.type or c:get(k).type == options.type) then list[#list + 1] = k end
  end
  while options.limit and #list > options.limit do list[#list] = nil end
  return list
end
function looks.scan (c, pattern, options) return all(c, pattern, options) end
function looks.dbsize (c) return #all(c, "*") end
function looks.ping () return "PONG" end
function looks.info (c) return { db0 = "keys=" .. #all(c, "*") } end
function looks.keys () T.fail("refused", "keys walks the whole database at once: use scan(pattern)") end

-- -- what changes -------------------------------------------------------------------------------

local changes = {}

local function seconds (d)
  local s = type(d) == "string" and T.seconds(d)
  if not s then T.misuse("a duration such as \"90s\" expected, not " .. T.show(d)) end
  return s
end

local function say (c, ...) c.summary = table.concat({ c.verb, ... }, " ") end

function changes.set (c, k, value, o)
  o = o or {}
  local key = c:get(k)
  say(c, k, tostring(value), o.ex and "ex " .. o.ex or nil)
  if o.nx and key or o.xx and not key then
    c.reason = o.nx and "there is such a key" or "there is no such key"
    return nil
  end
  c:put(k, { type = "string", value = tostring(value),
             at = o.ex and c.now + seconds(o.ex) or o.keepttl and key and key.at or nil })
  return "OK"
end
function changes.del (c, ...)
  local n, list = 0, spread(...)
  say(c, table.unpack(list))
  for _, k in ipairs(list) do
    if c:get(k) then n = n + 1 end
    c:put(k, nil)
  end
  return n
end
function changes.expire (c, k, d)
  local key = c:get(k)
  say(c, k, d)
  if not key then return 0 end
  key.at = c.now + seconds(d)
  c:put(k, key)
  return 1
end
function changes.persist (c, k)
  local key = c:get(k)
  say(c, k)
  if not (key and key.at) then return 0 end
  key.at = nil
  c:put(k, key)
  return 1
end
function changes.rename (c, k, new)
  local key = c:get(k)
  say(c, k, new)
  if not key then T.fail("refused", ("%s: there is no key %s"):format(c.resource, k)) end
  c:put(k, nil)
  c:put(new, key)
  return "OK"
end

local function count (by)
  return function (c, k, n)
    local key = open(c, k, "string")
    local now = tonumber(key.value == "" and "0" or key.value)
    say(c, k, n and tostring(n))
    if math.type(now) ~= "integer" then T.fail("refused", k .. " holds no integer") end
    key.value = tostring(now + by * (n or 1))
    c:put(k, key)
    return now + by * (n or 1)
  end
end
changes.incr, changes.incrby, changes.decr, changes.decrby = count(1), count(1), count(-1), count(-1)

function changes.append (c, k, value)
  local key = open(c, k, "string")
  say(c, k, tostring(value))
  key.value = key.value .. tostring(value)
  c:put(k, key)
  return #key.value
end

local function push (at)
  return function (c, k, ...)
    local key, list = open(c, k, "list")
    local items = spread(...)
    say(c, k, table.unpack(items))
    for _, v in ipairs(items) do table.insert(list, at or #list + 1, v) end
    close(c, k, key)
    return #list
  end
end
changes.lpush, changes.rpush = push(1), push()

function changes.lrem (c, k, n, value)
  local key, list = open(c, k, "list")
  local left, step, gone = math.abs(n), n < 0 and -1 or 1, 0
  say(c, k, tostring(n), tostring(value))
  local i = step < 0 and #list or 1
  while list[i] and (n == 0 or gone < left) do
    if list[i] == tostring(value) then
      table.remove(list, i)
      gone = gone + 1
      if step < 0 then i = i - 1 end
    else i = i + step end
  end
  close(c, k, key)
  return gone
end

-- hset(key, field, value, ...) or hset(key, { field = value }); and the like
local function pairwise (type_, turned)
  return function (c, k, ...)
    local key, at = open(c, k, type_)
    local given, new, list = { ... }, 0, {}
    if type(given[1]) == "table" then
      for f, v in pairs(given[1]) do list[#list + 1] = { f, v } end
    else
      for i = 1, #given, 2 do
        list[#list + 1] = turned and { given[i + 1], given[i] } or { given[i], given[i + 1] }
      end
    end
    say(c, k)
    for _, p in ipairs(list) do
      local name = tostring(p[1])
      if at[name] == nil then new = new + 1 end
      at[name] = type_ == "zset" and p[2] or tostring(p[2])
      c.summary = ("%s %s=%s"):format(c.summary, name, tostring(p[2]))
    end
    close(c, k, key)
    return new
  end
end
changes.hset, changes.zadd = pairwise("hash"), pairwise("zset", true)

function changes.sadd (c, k, ...)
  local key, at = open(c, k, "set")
  local n = 0
  say(c, k, table.unpack(spread(...)))
  for _, m in ipairs(spread(...)) do
    if not at[m] then n = n + 1 end
    at[m] = true
  end
  close(c, k, key)
  return n
end

local function out (type_)
  return function (c, k, ...)
    local key, at = open(c, k, type_)
    local n = 0
    say(c, k, table.unpack(spread(...)))
    for _, m in ipairs(spread(...)) do
      if at[m] ~= nil then n = n + 1 end
      at[m] = nil
    end
    close(c, k, key)
    return n
  end
end
changes.hdel, changes.srem, changes.zrem = out("hash"), out("set"), out("zset")

function changes.restore (c, list)
  local names = {}
  for i, key in ipairs(list) do
    names[i] = key.key
    c:put(key.key, key.was or nil)
  end
  say(c, table.unpack(names))
  return #list
end

-- -- all of them ----------------------------------------------------------------------------------

local function names (verbs, effect)
  local list = {}
  for name, fn in pairs(verbs) do
    redis.verbs[name] = { fn = fn }
    list[#list + 1] = name .. ":" .. effect
  end
  return table.concat(list, " ")
end

T.setrows("redis", { methods = names(looks, "probe") .. " " .. names(changes, "remedy")
                               .. " command:classify" })

-- any command, by its own name, where there is a method of it
redis.verbs.command = { fn = function (c, name, ...)
  local verb = tostring(name):lower()
  local fn = looks[verb] or changes[verb]
  if not fn then
    T.surprise(("redis:command(%q, ...)"):format(name), c.resource, "")
  end
  c.verb = verb
  return fn(c, ...)
end }

function redis.classify (q)
  return looks[tostring(q.args[1]):lower()] and "probe" or "remedy"
end
