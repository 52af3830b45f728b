-- From which addresses do the failed logins come?
--
--   runbook run who_fails.lua since=1h

local erp = system "school_erp"

return runbook {
  title    = "Who fails to log in?",
  system   = "school_erp",
  use_when = "There are more failed logins than usual.",
  impact   = "None: it only reads the log.",
  params   = {
    since = { "duration", default = "15m", help = "how far back" },
    limit = { "integer", default = 20, help = "so many of one address are too many" },
  },

  step "How many are there, by address?" {
    probe = function (run)
      local seen = erp.log:group { by = "ip", match = "login_failures", since = run.since, top = 10 }
      run:finding("failed logins", seen.count)
      run:finding("addresses", seen.distinct)
      for _, it in ipairs(seen.groups) do
        run:finding(it.value, it.count, it.count > run.limit and "bad" or "ok")
      end
      if seen.without > 0 then run:note("%d lines name no address", seen.without) end
      if #seen.unread > 0 then run:note("rotated and not read: %s", table.concat(seen.unread, ", ")) end
    end,
  },
}
