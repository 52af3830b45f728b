description = [[
The ten pages and five Redis commands of twenty.sh. The pgsql library of nmap knows no SCRAM and
no queries, so the five looks at PostgreSQL are not there.
]]
author = "runbook"
license = "MIT"
categories = { "safe" }

local http = require "http"
local redis = require "redis"
local stdnse = require "stdnse"

local schools = { "greenwood_high", "riverside", "st-marys" }
local web = tonumber(stdnse.get_script_args "web")

portrule = function (_, port) return port.state == "open" end

local function pages (host, port)
  local paths = { "/health", "/health/ready", "/health/queues", "/health/golive/pilot" }
  for _, school in ipairs(schools) do
    paths[#paths + 1] = "/health/golive/tenant/" .. school
    paths[#paths + 1] = "/t/" .. school .. "/dashboard"
  end
  for _, path in ipairs(paths) do
    if not http.get(host, port, path).status then return end
  end
  return "10 pages"
end

local function keys (host, port)
  local user, password = stdnse.get_script_args("user", "password")
  local commands = {
    { "AUTH", user, password },
    { "LLEN", "bull:notifications:wait" }, { "ZCARD", "bull:notifications:failed" },
  }
  for _, school in ipairs(schools) do
    commands[#commands + 1] = { "GET", "tenant:blocked:" .. school }
  end
  local server = redis.Helper:new(host, port)
  if not server:connect() then return end
  for _, command in ipairs(commands) do
    local ok, reply = server:reqCmd(table.unpack(command))
    if not ok or reply and reply.type == redis.Response.Type.ERROR then return end
  end
  server:close()
  return "5 keys"
end

action = function (host, port)
  return port.number == web and pages(host, port) or keys(host, port)
end
