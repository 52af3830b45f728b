-- A token that two systems share is replaced by a new one, which nobody sees.
--
--   runbook run rotate_token.lua -n

local erp, polaris = system "school_erp", system "polaris"

local function ready (run, what, system, page)
  return run:wait_until(what .. " answers", { every = "200ms", within = "1m" },
                        function () return system.http:get(page):ok() end)
end

return runbook {
  title  = "Rotate the token of Polaris",
  system = "school_erp",
  impact = "Both servers are away for some seconds; what is sent meanwhile is refused.",
  lock   = "polaris-token",
  limits = { files = 2, commands = 4 },

  step "Stop both" {
    remedy = function ()
      polaris.service:stop()
      erp.service:stop()
    end,
  },

  step "Give both the new token" {
    remedy = function ()
      local new = token.secret(32)
      erp.dotenv:set("POLARIS_TOKEN", new)
      polaris.dotenv:set("ERP_TOKEN", new)
    end,
    verify = function ()
      return expect(erp.dotenv:get "POLARIS_TOKEN" == polaris.dotenv:get "ERP_TOKEN",
                    "both have the same token")
    end,
  },

  step "Start both" {
    remedy = function ()
      erp.service:start()
      polaris.service:start()
    end,
    verify = function (run)
      return ready(run, "the server", erp, "/health/ready") and ready(run, "Polaris", polaris, "/health")
    end,
  },
}
