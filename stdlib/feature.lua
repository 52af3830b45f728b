-- feature.lua - a switch that turns a part of an application off and on again
--
--   local links = require "feature" (polaris, "magic_link")
--
-- takes the switch from the system's setting of that name when it is used:
-- { redis = KEY }, { dotenv = NAME } or { http = PATH }, with the values of `on` and
-- `off`, what it is where it is not there (`absent`), and for http the `field`.

local Feature = {}
Feature.__index = Feature

local kinds = { "redis", "dotenv", "http" }

-- the switch, checked: kind, key, on, off
local function switch (self)
  local it = self.system.settings[self.name]
  local function wrong (what)
    error("the setting " .. self.name .. " " .. what .. ": a switch is { redis = KEY }, "
          .. "{ dotenv = NAME } or { http = PATH }, with on = and off =", 0)
  end
  if it == nil then wrong("is missing") end
  if type(it) ~= "table" then wrong("is no table") end
  local kind
  for _, k in ipairs(kinds) do
    if it[k] ~= nil and kind then wrong("has both " .. kind .. " and " .. k) end
    if it[k] ~= nil then kind = k end
  end
  if not kind then wrong("names no place") end
  local on, off = it.on, it.off
  if on == nil and kind == "http" then on = true elseif on == nil then on = "on" end
  if off == nil and kind == "http" then off = false elseif off == nil then off = "off" end
  if on == off then wrong("has the same value for on and off") end
  return { kind = kind, key = it[kind], on = on, off = off, absent = it.absent or "on",
           field = it.field or "enabled" }
end

local function read (self, it)
  if it.kind == "redis" then return self.system.redis:get(it.key) end
  if it.kind == "dotenv" then return self.system.dotenv:get(it.key) end
  local answer = self.system.http:get(it.key)
  expect(answer:ok(), self:where() .. " can be read (status " .. answer.status .. ")")
  return answer:json()[it.field]
end

local function write (self, state)
  local it = switch(self)
  if it.kind == "redis" then return self.system.redis:set(it.key, it[state]) end
  if it.kind == "dotenv" then return self.system.dotenv:set(it.key, it[state]) end
  return self.system.http:put(it.key, { json = { [it.field] = it[state] } })
end

-- probe: is it on? Raises where the switch says neither
function Feature:is_on ()
  local it = switch(self)
  local value = read(self, it)
  if value == nil then return it.absent == "on" end
  expect(value == it.on or value == it.off, text.render("{where} is {on} or {off} (it is {value})",
    { where = self:where(), on = tostring(it.on), off = tostring(it.off), value = tostring(value) }))
  return value == it.on
end

-- remedies
function Feature:turn_off () return write(self, "off") end
function Feature:turn_on () return write(self, "on") end

-- which switch it is, in words
function Feature:where ()
  local it = switch(self)
  return text.render("{name} ({kind} {key})", { name = self.name, kind = it.kind, key = it.key })
end

return function (system, name)
  return setmetatable({ system = system, name = name }, Feature)
end
