-- One value of .env, which the server reads when it starts.
--
--   runbook run change_setting.lua name=MAX_SCHOOLS value=3 -n
--
-- Stop, change, start: each of them has an inverse, so that an undo stops the server,
-- puts the old value back and starts it. A restart has none.

local erp = system "school_erp"

return runbook {
  title  = "Change a setting",
  system = "school_erp",
  impact = "The server is away for some seconds.",
  lock   = "service",
  limits = { files = 1, commands = 2 },
  params = {
    name  = { "choice", "MAX_SCHOOLS", "PILOT_MODE", "SUPPORT_EMAIL", default = "MAX_SCHOOLS" },
    value = { "string", required = true, help = "what it shall be" },
  },

  step "What is it now?" {
    probe = function (run)
      run:finding(run.name .. " before", erp.dotenv:get(run.name) or "(not set)")
    end,
  },

  step "Stop the server" { remedy = function () erp.service:stop() end },

  step "Change the value" {
    remedy = function (run) erp.dotenv:set(run.name, run.value) end,
    verify = function (run) return erp.dotenv:get(run.name) == run.value end,
  },

  step "Start the server" {
    remedy = function () erp.service:start() end,
    verify = function (run)
      return run:wait_until("the server is ready", { every = "200ms", within = "1m" },
                            function () return erp.http:get("/health/ready"):ok() end)
    end,
  },
}
