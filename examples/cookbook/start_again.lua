-- A server that has ended is started, and asked less and less often whether it is ready.
--
--   runbook run start_again.lua

local erp = system "school_erp"

local function ready (run)
  local answer = run:try(function () return erp.http:get("/health/ready", { timeout = "2s" }) end)
  return answer and answer:ok()
end

return runbook {
  title    = "Start the server again",
  system   = "school_erp",
  use_when = "The server has ended.",
  impact   = "None: it does not run.",
  lock     = "service",

  step "Does it run?" {
    probe = function (run) run:finding("service before", erp.service:status().state) end,
  },

  step "Start it" {
    remedy  = function () erp.service:start() end,
    timeout = "5m",
    verify  = function (run)
      local pause = 0.1                         -- seconds; twice as long each time, 30 at most
      for _ = 1, 12 do
        if ready(run) then return true end
        run:sleep(string.format("%dms", pause * 1000))
        pause = math.min(pause * 2, 30)
      end
      return expect(ready(run), "the server is ready")
    end,
  },
}
