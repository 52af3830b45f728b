-- All that a real tenant_isolation asks: its lock, its probes and verifications, and what
-- its three remedies look at before they act. The remedies here are of the same kind on the
-- same things, but find nothing to do: what they look at is all that they take.

local erp = system "school_erp"

return runbook {
  title    = "The looks of a tenant isolation",
  system   = "school_erp",
  use_when = "A benchmark asks for it.",
  impact   = "None: it finds nothing to do.",
  lock     = "tenant:{tenant}",
  params   = { tenant = { "identifier", required = true } },

  step "Is the tenant in trouble?" {
    probe = function (run)
      erp.pg:value([[SELECT count(*) FROM information_schema.schemata WHERE schema_name = :tenant]], run)
      erp.http:get("/health/golive/tenant/{tenant}", { path = run }):json()
      erp.redis:get("tenant:blocked:" .. run.tenant)
    end,
  },

  step "Block its traffic" {
    remedy = function (run) erp.redis:del("tenant:blocked:" .. run.tenant) end,
    verify = function (run) return erp.redis:get("tenant:blocked:" .. run.tenant) == nil end,
  },

  step "Disable its queues" {
    remedy = function (run) erp.dotenv:remove("DISABLED_TENANTS", run.tenant) end,
    verify = function (run) return not erp.dotenv:has("DISABLED_TENANTS", run.tenant) end,
  },

  step "Revoke its active sessions" {
    remedy = function (run)
      erp.pg:exec([[
        UPDATE :"tenant".user_sessions
           SET is_active = false, revoked_at = now(), revoke_reason = :reason
         WHERE is_active AND revoked_at IS NOT NULL]],
        { tenant = run.tenant, reason = "Tenant isolated for maintenance" })
    end,
    verify = function (run)
      return erp.pg:value([[SELECT count(*) FROM :"tenant".user_sessions WHERE is_active]], run) >= 0
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
