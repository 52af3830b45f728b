-- Level 1: deletes the caches and restarts the server, then watches it.
--
-- The page this comes from calls FLUSHDB non-destructive. It is not: the same
-- database holds the keys that keep a school isolated or in maintenance, and
-- the queues with their jobs. So caches are deleted by their prefixes, and the
-- whole database is flushed only when asked for (cache=flush) and nothing that
-- has to stay is in it.

local erp = system "school_erp"
local names = erp.schema

local prefixes = erp.settings.cache_prefixes or names.cache_prefixes

local function starts (key, list)
  for _, prefix in ipairs(list) do
    if key:sub(1, #prefix) == prefix then return prefix end
  end
end

-- all keys that begin with one of these; a prefix is no pattern
local function keys (list)
  local found = {}
  for _, prefix in ipairs(list) do
    local pattern = prefix:gsub("[%*%?%[%]\\]", "\\%0") .. "*"
    for _, key in ipairs(erp.redis:scan(pattern, { limit = names.most_keys })) do
      found[#found + 1] = key
    end
  end
  return found
end

-- the keys that keep a school away, which nothing else could bring back
local function isolation ()
  local list = {}
  for _, prefix in ipairs(names.kept_prefixes) do
    if prefix:sub(1, 7) == "tenant:" then list[#list + 1] = prefix end
  end
  return keys(list)
end

local function get (path) return erp.http:get(path, { timeout = "10s" }) end

-- what a page of the server says, or why it says nothing
local function look (run, path)
  local answer, err = run:try(function () return get(path) end)
  if not answer then return nil, err.message end
  local body = run:try(function () return answer:json() end)
  return body, body and "status " .. answer.status or "status " .. answer.status .. ", and no JSON"
end

local function name (alert)
  return alert.tenant and alert.code .. " of " .. alert.tenant or alert.code
end

local function alerts ()
  local list = {}
  for i, alert in ipairs(get(names.alerts):json()) do list[i] = name(alert) end
  return list
end

local function green ()
  local health = get(names.health):json()
  local why = {}
  for _, alert in ipairs(health.alerts or {}) do why[#why + 1] = name(alert) end
  return expect(health.overallHealth == names.good,
    text.render("the health is {good} (it is {is}{why}); when level 1 does not help, triage names the next", {
      good = names.good, is = health.overallHealth or "unknown",
      why = #why > 0 and ": " .. table.concat(why, ", ") or "" }))
end

local function ready ()
  local answer = get(names.ready)
  for check, state in pairs(answer:json().checks or {}) do
    expect(state == "ok", text.render("{check} is ok (it is {state})", { check = check, state = state }))
  end
  return expect(answer:ok(), "the server is ready (status " .. answer.status .. ")")
end

return runbook {
  title    = "Service restart",
  system   = "school_erp",
  use_when = "The service has crashed, its memory has jumped, the cache is stale, or there are minor errors.",
  impact   = "The server is down for 30 to 60 seconds.",
  approve  = "on-call",
  lock     = "service",
  limits   = { redis_keys = 100000, http_writes = 1, commands = 1 },
  params   = {
    watch = { "duration", default = "5m", help = "how long GREEN has to hold" },
    cache = { "choice", "prefixes", "flush", "keep", default = "prefixes",
              help = "which keys are deleted: those of the caches, all (FLUSHDB), or none" },
  },

  step "How is it now?" {
    probe = function (run)
      local health, why = look(run, names.health)
      run:finding("health before", health and health.overallHealth or why,
                  health and health.overallHealth == names.good and "ok" or "bad")
      local page, said = look(run, names.ready)
      run:finding("ready before", said, page and said == "status 200" and "ok" or "bad")
      local service, err = run:try(function () return erp.service:status() end)
      if not service then run:fail("%s", err.message) end
      run:finding("service before", service.state, service.state == "online" and "ok" or "bad")
    end,
  },

  step "Which alerts are active?" {
    probe = function (run)
      local active, err = run:try(alerts)
      run.alerts = active or {}
      run:finding("alerts before", active and (#active > 0 and table.concat(active, ", ") or "none")
                  or err.message, active and #active == 0 and "ok" or "warn")
    end,
  },

  step "What do the last 100 lines of the log say?" {
    probe = function (run)
      local lines, err = run:try(function () return erp.service:logs(names.log_lines) end)
      if not lines then return run:finding("log", err.message, "warn") end
      local errors, last = 0, nil
      for _, line in ipairs(lines) do
        if line:lower():find("error", 1, true) or line:find('"level":"warn"', 1, true) then
          errors, last = errors + 1, line
        end
      end
      run:evidence("log", lines)
      run:finding("errors and warnings in the log", errors .. " of " .. #lines .. " lines",
                  errors == 0 and "ok" or "warn")
      if last then run:finding("the last of them", last) end
    end,
  },

  step "Delete the caches, and nothing else" {
    when = function (run) return run.cache == "prefixes", "cache=" .. run.cache end,
    probe = function (run)
      run.cached, run.isolated = keys(prefixes), isolation()
      for _, key in ipairs(run.cached) do
        local kept = starts(key, names.kept_prefixes)
        if kept then
          run:fail("%s is no cache: no prefix in cache_prefixes may reach into %s", key, kept)
        end
      end
      run:finding("keys of the caches", #run.cached)
    end,
    remedy = function (run)
      for first = 1, #run.cached, 1000 do
        erp.redis:del(table.move(run.cached, first, math.min(first + 999, #run.cached), 1, {}))
      end
    end,
    verify = function (run)
      for _, key in ipairs(run.isolated) do expect(erp.redis:exists(key), key .. " is still there") end
      return true
    end,
    irreversible = "caches fill again by themselves",
  },

  step "Flush the whole database" {
    when = function (run) return run.cache == "flush", "cache=" .. run.cache end,
    probe = function (run)
      local kept = keys(names.kept_prefixes)
      if #kept > 0 then
        run:fail("FLUSHDB would delete %d keys that have to stay (%s%s): use cache=prefixes",
                 #kept, kept[1], #kept > 1 and ", ..." or "")
      end
    end,
    remedy = function () erp.redis:command("FLUSHDB") end,
    irreversible = "everything in this database of Redis is gone",
  },

  step "Restart the server" {
    remedy = function () erp.service:restart() end,
    verify = function () return expect(erp.service:status().state == "online", "the service is online") end,
  },

  step "Give it time to settle" {
    probe = function (run) run:sleep(names.settle_after) end,
  },

  step "Is it ready?" {
    verify = function (run)
      return run:wait_until("the server is ready", { every = "1s", within = names.restart_takes[2] }, ready)
    end,
  },

  step "Is its health GREEN?" { verify = green },

  step "Does it stay GREEN?" {
    verify = function (run)
      return run:hold("the health stays " .. names.good,
                      { every = names.watch_every, within = run.watch }, green)
    end,
  },

  -- the five points of the checklist -----------------------------------------------

  step "1. Does /health answer 200?" {
    verify = function () return expect(get(names.alive).status == 200, names.alive .. " answers 200") end,
  },

  step "2. Does /health/ready show every check as ok?" { verify = ready },

  step "3. Does /health/golive show GREEN?" { verify = green },

  step "4. Can the test user sign in?" {
    when = function () return erp.settings.login ~= nil, "no test user in the settings (login)" end,
    remedy = function ()
      local user = erp.settings.login
      erp.http:post(names.login, { path = { tenant = user.tenant }, expect = { 200, 201 },
                                   json = { email = user.email, password = user.password } })
    end,
    irreversible = "a session of the test user stays",
  },

  step "4. Sign in as a test user" {
    id     = "4-by-hand",
    when   = function () return erp.settings.login == nil, "it was done with the test user of the settings" end,
    manual = "Sign in as a test user. Does it work?",
  },

  step "5. Are there no new alerts?" {
    verify = function (run)
      local before = {}
      for _, alert in ipairs(run.alerts) do before[alert] = true end
      for _, alert in ipairs(alerts()) do
        expect(before[alert], "there is no new alert (" .. alert .. " is one)")
      end
      return true
    end,
  },
}
