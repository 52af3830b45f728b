-- Everybody of one school is signed out.

local sessions = require "sessions_parts"

return runbook {
  title  = "Sign a school out",
  system = "school_erp",
  impact = "All people of the school sign in again.",
  lock   = "sessions:{tenant}",
  limits = { pg_rows = 5000 },
  params = { tenant = { "identifier", required = true, help = "schema of the school" } },

  step "How many are signed in?" {
    probe = function (run) run:finding("signed in", sessions.count(run.tenant)) end,
  },

  sessions.revoke "Sign them out",
}
