-- Failed logins of a large log, by address.

local erp = system "school_erp"

return runbook {
  title    = "A large log",
  system   = "school_erp",
  use_when = "A benchmark asks for it.",
  impact   = "None: it only looks.",

  step "From where?" {
    probe = function (run)
      local by = erp.log:group { by = "ip", match = "login_failures", top = 10 }
      for _, it in ipairs(by.groups) do run:finding(it.value, it.count) end
    end,
    timeout = "10m",
  },
}
