-- The first sixty seconds: who, what, when, and how old the data are.
--
-- It only looks. Two of the five thresholds hold on a condition: Pathful's only where
-- an import is expected every day, the roster's only where it is expected to be
-- current. Both, and how often the dashboard is refreshed, are in no page: they are
-- settings, and a run without them says so before it looks.

local polaris = system "polaris"
local names, settings = polaris.schema, polaris.settings

local function setting (name)
  if settings[name] == nil then
    error(text.render("the setting {name} of the system polaris is missing ({means})",
                      { name = name, means = names.settings[name] }), 0)
  end
  return settings[name]
end

-- seconds in the largest two units
local function age (seconds)
  local s = math.floor(seconds)
  if s >= 86400 then return text.render("{d} d {h} h", { d = s // 86400, h = s % 86400 // 3600 }) end
  if s >= 3600 then return text.render("{h} h {m} min", { h = s // 3600, m = s % 3600 // 60 }) end
  return s // 60 .. " min"
end

local function limit (check) return check.limit or setting(check.setting) end

-- "nothing to sync" is an answer, "sync failed" is not: told apart by the attempt, not by the count
local function attempt (row)
  if row.last_status == "failed" then return "sync failed", "bad" end
  if row.last_status == "running" then return "running", nil end
  if row.records == 0 and (row.expected or 0) == 0 then return "nothing to sync", "ok" end
  if row.expected and row.records < row.expected then
    return text.render("{records} of {expected} records", row), "warn"
  end
  return text.render("{n} records", { n = row.records }), "ok"
end

-- how one sync is: stale or not, and in words
local function judge (check, row)
  if not row then return true, "there is no row of it in " .. names.syncs, "bad" end
  local said, status = attempt(row)
  local counts = not check.only_if or setting(check.only_if)
  if not row.last_success_at then
    return counts, "never; the last attempt: " .. said, counts and "bad" or "warn"
  end
  local old = time.since(row.last_success_at)
  local stale = old > time.seconds(limit(check))
  local words = text.render("{age} old, stale after {limit}; the last attempt: {said}",
    { age = age(old), limit = limit(check), said = said })
  if stale and not counts then
    return false, words .. "; not expected to be current (" .. check.only_if .. ")", "warn"
  end
  return stale, words, stale and "bad" or status
end

local function severity (id)
  local it = names.severities[id]
  return text.render("{id} ({name}): {means}; {action}",
    { id = id, name = it.name, means = table.concat(it.means, ", "), action = it.action })
end

return runbook {
  title    = "Quick triage",
  system   = "polaris",
  use_when = "Something about Polaris was reported, before any other runbook: it takes a minute.",
  impact   = "None: it only looks.",
  params   = {
    district = { "string", default = "", help = "who: which district is affected" },
    teacher  = { "email", help = "who: the teacher's address, where it is about one" },
    page     = { "choice", "unknown", "dashboard", "export", "magic_link", "import", "calendar",
                 default = "unknown", help = "what: which page or report" },
    wrong    = { "string", default = "", help = "what looks wrong: the discrepancy, or the error message" },
    noticed  = { "string", default = "", help = "when it was first noticed" },
    range    = { "string", default = "", help = "when: the date range that was selected" },
  },

  step "Is all configured that the thresholds need?" {
    probe = function ()
      for _, check in ipairs(names.freshness) do
        if check.setting then time.seconds(limit(check)) end
        if check.only_if then setting(check.only_if) end
      end
    end,
  },

  step "Who is affected?" {
    probe = function (run)
      if run.district == "" then
        return run:finding("district", "not said: ask which district (district=...)", "warn")
      end
      local found = polaris.pg:row([[
        SELECT count(*) FILTER (WHERE active) AS teachers, max(district) AS district
          FROM :"roster" WHERE lower(btrim(district)) = lower(btrim(:district))]],
        { district = run.district })
      run:finding("district", found.district
        and text.render("{district}: {teachers} active teachers", found)
        or run.district .. ": no teacher of the roster is of it", found.district and "ok" or "bad")
    end,
  },

  step "Which teacher?" {
    when = function (run)
      local given = pcall(function () return run.teacher end)
      return given, "no teacher was named (teacher=...)"
    end,
    probe = function (run)
      local found = polaris.pg:row([[
        SELECT name, district, building, status, active FROM :"roster"
         WHERE lower(btrim(email)) = :teacher]], { teacher = run.teacher })
      run:finding("teacher", found
        and text.render("{name}, {building}, {district}: {status}{inactive}", {
          name = found.name, building = found.building, district = found.district,
          status = found.status, inactive = found.active and "" or " (not active)" })
        or run.teacher .. " is not on the roster", found and found.active and "ok" or "bad")
    end,
  },

  step "What is wrong, and since when?" {
    probe = function (run)
      local function said (name, value, ask)
        run:finding(name, value ~= "" and value or "not said: ask " .. ask, value == "" and "warn" or nil)
      end
      said("page or report", run.page ~= "unknown" and run.page or "", "which page it is (page=...)")
      said("what looks wrong", run.wrong, "for the discrepancy or the message (wrong=...)")
      said("noticed", run.noticed, "when it was first seen (noticed=...)")
      said("date range", run.range, "which one was selected (range=...)")
    end,
  },

  step "How fresh are the five syncs?" {
    probe = function (run)
      local rows = {}
      for _, row in ipairs(polaris.pg:query([[
        SELECT name, last_success_at, last_status, records, expected FROM :"syncs"]])) do
        rows[row.name] = row
      end
      run.stale = {}
      for i, check in ipairs(names.freshness) do
        local stale, words, status = judge(check, rows[check.id])
        if stale then run.stale[#run.stale + 1] = check.name end
        run:finding(i .. ". " .. check.name .. " (" .. check.expected .. ")", words, status)
      end
    end,
  },

  step "How severe is it?" {
    probe = function (run)
      for _, id in ipairs { "SEV1", "SEV2" } do run:note("%s", severity(id)) end
      if #run.stale == 0 then
        return run:finding("severity", "no sync is stale; wrong data shown is SEV1 whatever is fresh: "
                           .. "runbook run magic_link --case wrong_data", "ok")
      end
      local due = time.format(time.add(time.now(), names.fix_stale_within))
      run:finding("severity", "SEV2: stale are " .. table.concat(run.stale, ", "), "bad")
      run:finding("to be fixed by", due .. " (within 24 hours)", "warn")
    end,
  },

  step "What is next?" {
    probe = function (run)
      local which = names.symptoms[run.page]
      if not which then
        return run:finding("next", "say which page it is (page=...), and its runbook is named here")
      end
      run:finding("next", names.here[which] and "runbook run " .. which .. " --dry-run"
        or which .. " by hand: it is not among the runbooks yet")
    end,
  },
}
