-- How many are signed in, school by school?

local sessions = require "sessions_parts"

return runbook {
  title  = "Who is signed in?",
  system = "school_erp",
  impact = "None: it only looks.",

  step "Count the sessions" {
    probe = function (run)
      local schools = sessions.schools()
      local counts = run:each(schools, function (school) return sessions.count(school.name) end)
      for i, school in ipairs(schools) do run:finding(school.name, counts[i]) end
    end,
  },
}
