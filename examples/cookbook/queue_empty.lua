-- The server is stopped only when its queue is empty.
--
--   runbook run queue_empty.lua queue=notifications within=10m

local erp = system "school_erp"

local function waiting (run) return erp.redis:llen("bull:" .. run.queue .. ":wait") end

return runbook {
  title  = "Stop when the queue is empty",
  system = "school_erp",
  impact = "The server is down until it is started again (or the run is undone).",
  params = {
    queue  = { "choice", "notifications", "reports", default = "notifications" },
    within = { "duration", default = "10m", help = "how long the queue may take" },
  },

  step "How long is the queue?" {
    probe = function (run) run:finding("jobs that wait", waiting(run)) end,
  },

  step "Wait until it is empty" {
    probe = function (run)
      run:wait_until("the queue is empty", { every = "500ms", within = run.within },
                     function () return waiting(run) == 0 end)
    end,
  },

  step "Stop the server" {
    remedy = function () erp.service:stop() end,
    verify = function () return erp.service:status().state == "stopped" end,
  },
}
