-- Twenty looks at the school ERP: the same as ../peers/twenty.sh.

local erp = system "school_erp"
local schools = { "greenwood_high", "riverside", "st-marys" }

return runbook {
  title    = "Twenty probes",
  system   = "school_erp",
  use_when = "A benchmark asks for it.",
  impact   = "None: it only looks.",

  step "Do the pages answer?" {
    probe = function ()
      for _, path in ipairs { "/health", "/health/ready", "/health/queues",
                              "/health/golive/pilot" } do
        erp.http:get(path)
      end
      for _, tenant in ipairs(schools) do
        erp.http:get("/health/golive/tenant/{tenant}", { path = { tenant = tenant } })
        erp.http:get("/t/{tenant}/dashboard", { path = { tenant = tenant } })
      end
    end,
  },

  step "What does the database say?" {
    probe = function ()
      for _, tenant in ipairs(schools) do
        erp.pg:value([[SELECT count(*) FROM :"tenant".user_sessions WHERE is_active]],
                     { tenant = tenant })
      end
      erp.pg:value [[SELECT count(*) FROM greenwood_high.jobs WHERE status = 'failed']]
      erp.pg:value [[SELECT count(*) FROM public.schools]]
    end,
  },

  step "What does Redis say?" {
    probe = function ()
      for _, tenant in ipairs(schools) do
        erp.redis:get("tenant:blocked:" .. tenant)
      end
      erp.redis:llen "bull:notifications:wait"
      erp.redis:zcard "bull:notifications:failed"
    end,
  },
}
