-- The first five minutes: looks, says how severe it is, walks the decision
-- tree, and names the level of recovery, its runbook and who authorises it.
--
-- It only looks. The tree asks in the order of the page it comes from, with
-- one exception: when data are at risk, that counts first, whatever else is
-- true, since the other levels go on working on those data. Both clocks of the
-- ladder count from the report: the page does not say whether the 30 minutes
-- begin at the report or with the engineer, and earlier is the safe side.

local erp = system "school_erp"
local names = erp.schema

local function get (path, more)
  more = more or {}
  return erp.http:get(path, { path = more, timeout = "10s" })
end

-- a page of the server, or why there is none
local function look (run, path)
  local body, err = run:try(function () return get(path):json() end)
  return body or false, err and err.message
end

local function joined (list, none) return #list > 0 and table.concat(list, ", ") or none end

-- -- the four questions of the tree: yes or no, and by what --------------------------

-- schools whose dashboard shows other numbers than the database has
local function stale (run)
  local schools = erp.pg:query(
    [[SELECT schema_name AS tenant FROM public.:"registry" WHERE to_regclass(
        quote_ident(schema_name) || '.' || quote_ident(:students)) IS NOT NULL
       ORDER BY schema_name]], { students = names.students })
  local found = {}
  for i, old in ipairs(run:each(schools, function (school)
    local page = get(names.dashboard, school)
    if not page:ok() then return false end
    local shown = page:json()
    if not shown.cached then return false end
    local real = erp.pg:value([[SELECT count(*) FROM :"tenant".:"students" WHERE active]], school)
    return shown.numbers.students ~= real
  end)) do
    if old then found[#found + 1] = schools[i].tenant end
  end
  return found
end

local function crashed (run)
  if not run.service or run.service.state ~= "online" then
    return true, "the service is " .. (run.service and run.service.state or "not to be seen")
  end
  if not run.health then return true, "the server does not answer" end
  local old = run:try(function () return stale(run) end) or {}
  if #old > 0 then return true, "stale cache of " .. joined(old) end
  return false, "the service is online and answers"
end

local function one_school (run)
  local bad = {}
  local checks = run.health and run.health.checks or {}
  local tenants = checks.tenants and checks.tenants.each or {}
  for tenant, level in pairs(tenants) do
    if level ~= names.good then bad[#bad + 1] = tenant end
  end
  run.school = #bad == 1 and bad[1] or false
  return #bad == 1, #bad == 1 and bad[1] .. " is " .. tenants[bad[1]]
         or #bad == 0 and "no school stands out" or "not one school but " .. joined(bad)
end

local function bad_deployment (run)
  local release = run.health and run.health.checks and run.health.checks.release
  local bad = release and release.status ~= names.good
  if not release then return false, "the release cannot be asked" end
  return bad, text.render("release {version} needs schema {needs}, the database has {has}", release)
end

-- schools that the registry knows and the database has lost
local function lost ()
  local rows = erp.pg:query(
    [[SELECT schema_name AS tenant FROM public.:"registry" WHERE to_regclass(
        quote_ident(schema_name) || '.' || quote_ident(:sessions)) IS NULL
       ORDER BY schema_name]], { sessions = names.sessions })
  local list = {}
  for i, row in ipairs(rows) do list[i] = row.tenant end
  return list
end

local function data_at_risk (run)
  if run.integrity == "yes" then return true, "you said so" end
  local missing, err = run:try(lost)
  if not missing then return false, "the database cannot be asked: " .. err.message end
  if #missing > 0 then return true, "the tables are gone of " .. joined(missing) end
  return false, run.integrity == "no" and "you said so" or
         "every school has its tables; whether data are damaged, or seen by another school, a person has to say (integrity=yes)"
end

local questions = { crashed, one_school, bad_deployment, data_at_risk }

-- -- words ------------------------------------------------------------------------------

local function severity_words (id)
  local it = names.severities[id]
  return text.render("{id} ({name}): response {response}, resolution {resolution}",
    { id = id, name = it.name, response = it.response, resolution = it.resolution })
end

local function clock (t) return time.format(t, "%H:%M") .. " UTC" end

return runbook {
  title    = "Triage",
  system   = "school_erp",
  use_when = "An issue was reported, and nobody knows yet what it is.",
  impact   = "None: it only looks.",
  params   = {
    reported  = { "duration", default = "0s", help = "how long ago it was reported; the clocks count from then" },
    integrity = { "choice", "unknown", "yes", "no", default = "unknown",
                  help = "are data lost or damaged, or has a school seen another's?" },
  },

  step "What does the go-live health say?" {
    timeout = "1m",
    probe = function (run)
      local health, why = look(run, names.health)
      run.health = health
      run:finding("health", health and health.overallHealth or why,
                  health and health.overallHealth == names.good and "ok" or "bad")
      local service, err = run:try(function () return erp.service:status() end)
      run.service = service or false
      run:finding("service", service and service.state or err.message,
                  service and service.state == "online" and "ok" or "bad")
      for check, is in pairs(health and health.checks or {}) do
        if is.status ~= names.good then run:finding("check " .. check, is.status, "bad") end
      end
    end,
  },

  step "Which alerts are active?" {
    timeout = "1m",
    probe = function (run)
      local alerts, why = look(run, names.alerts)
      run.alerts = alerts or {}
      if not alerts then return run:finding("alerts", why, "bad") end
      if #alerts == 0 then run:finding("alerts", "none", "ok") end
      for _, alert in ipairs(alerts) do
        local whose = alert.tenant and " of " .. alert.tenant or ""
        run:finding("alert " .. alert.code .. whose,
          text.render("{severity}: {value}, limit {threshold}; runbook {runbook}", {
            severity = alert.severity, value = alert.value, threshold = alert.threshold,
            runbook = names.red_flags[alert.code] or "none" }), "bad")
      end
    end,
  },

  step "What does the server's log say?" {
    timeout = "1m",
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

  step "How severe is it?" {
    probe = function (run)
      local worst, why
      for _, alert in ipairs(run.alerts) do
        if not worst or alert.severity < worst then worst, why = alert.severity, alert.code end
      end
      if not run.health then worst, why = "P0", "the server does not answer: nobody can sign in" end
      if run.integrity == "yes" then worst, why = "P0", "data are lost, damaged or seen by another school" end
      run:finding("severity", worst and severity_words(worst) .. "; " .. why or "no alert says; judge by this table",
                  worst and "bad" or "ok")
      for _, id in ipairs { "P0", "P1", "P2", "P3" } do
        run:note("%s: %s", severity_words(id), table.concat(names.severities[id].means, "; "))
      end
    end,
  },

  step "Which level of recovery is it?" {
    timeout = "1m",
    probe = function (run)
      run.level = false
      for i, level in ipairs(names.levels) do
        local yes, evidence = questions[i](run)
        run:finding(text.render("level {level}: {when}?", { level = level.level, when = level.when }),
                    (yes and "yes: " or "no: ") .. evidence, yes and "bad" or "ok")
        if yes and (not run.level or i == 4) then run.level = level end
      end
    end,
  },

  step "What is run, and who authorises it?" {
    probe = function (run)
      local level = run.level
      if not level then
        local flags = {}
        for _, alert in ipairs(run.alerts) do flags[#flags + 1] = names.red_flags[alert.code] end
        run:finding("level", #flags > 0 and "none; the alerts have runbooks of their own" or "none", "ok")
        return run:finding("runbook", joined(flags, "none"))
      end
      run:finding("level", level.level, "bad")
      run:finding("runbook", joined(level.runbooks))
      run:finding("authorised by", table.concat(level.approve, " and "))
      local tenant = level.level == 2 and " tenant=" .. run.school or ""
      local first = level.runbooks[1]
      run:finding("next", names.here[first] and "runbook run " .. first .. tenant .. " --dry-run"
                          or first .. " by hand: it is not among the runbooks yet")
    end,
  },

  step "Who is on it, and until when?" {
    probe = function (run)
      local start = time.add(time.now(), "-" .. run.reported)
      local gone, from = time.seconds(run.reported), "0s"
      local risk = run.level and run.level.level == 4
      for _, rung in ipairs(names.ladder) do
        local due = not rung.next_after and risk and rung.level == 4
        local words = "does: " .. table.concat(rung.does, ", ")
        if rung.within then words = "answers within " .. rung.within .. "; " .. words end
        if rung.next_after then
          words = "until " .. clock(time.add(start, rung.next_after)) .. " (" .. rung.next_after .. "); " .. words
        elseif rung.next_when then
          words = "then, when " .. rung.next_when .. ", the next; " .. words
        end
        local now = due or not risk and from and gone >= time.seconds(from)
                    and not (rung.next_after and gone >= time.seconds(rung.next_after))
        run:finding(rung.who .. (now and " (now)" or ""), words, now and "warn" or nil)
        from = rung.next_after
      end
    end,
  },
}
