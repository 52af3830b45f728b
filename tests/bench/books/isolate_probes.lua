-- The probes that a real tenant_isolation makes, and nothing else: without its lock, and
-- without what its remedies look at before they act.

local erp = system "school_erp"

return runbook {
  title    = "The probes of a tenant isolation",
  system   = "school_erp",
  use_when = "A benchmark asks for it.",
  impact   = "None: it only looks.",
  params   = { tenant = { "identifier", required = true } },

  step "Is the tenant in trouble?" {
    probe = function (run)
      erp.pg:value([[SELECT count(*) FROM information_schema.schemata WHERE schema_name = :tenant]], run)
      erp.http:get("/health/golive/tenant/{tenant}", { path = run }):json()
    end,
  },

  step "Was it done?" {
    probe = function (run)
      local key = "tenant:blocked:" .. run.tenant
      erp.redis:get(key)
      erp.redis:get(key)
      erp.dotenv:has("DISABLED_TENANTS", run.tenant)
      erp.pg:value([[SELECT count(*) FROM :"tenant".user_sessions WHERE is_active]], run)
    end,
  },

  step "Are the others served?" {
    probe = function (run)
      erp.http:get("/t/{tenant}/dashboard", { path = run })
      local schools = erp.pg:query([[SELECT schema_name AS tenant FROM public.schools
                                      WHERE schema_name <> :tenant ORDER BY schema_name]], run)
      run:each(schools, function (school)
        erp.http:get("/t/{tenant}/dashboard", { path = school })
      end)
    end,
  },
}
