-- Tells a system of our own, signed, and once.
--
--   runbook run ticket.lua title="Reports are slow" -n

local erp = system "school_erp"

return runbook {
  title  = "Open a ticket",
  system = "school_erp",
  impact = "A ticket is opened.",
  params = {
    title  = { "string", required = true, help = "what it is about" },
    urgent = { "boolean", default = false },
  },

  step "What does the server say?" {
    probe = function (run)
      run.health = erp.http:get("/health/golive"):json()
      run:finding("health", run.health.overallHealth)
    end,
  },

  step "Open the ticket" {
    notify = function (run)
      webhook.post("tickets", {
        title = run.title, urgent = run.urgent, by = run.operator, run = run.id,
        health = run.health.overallHealth, alerts = json.array(run.health.alerts),
      })
    end,
    retry = { times = 3, every = "1s" },
  },
}
