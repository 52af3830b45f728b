-- Takes one school offline so that the others stay up, and brings it back.
--
-- The sessions are revoked after the block, not before it: a person who is
-- thrown out while the door is still open signs in again at once.
-- Only the chosen school's schema, its own Redis key and its name in
-- DISABLED_TENANTS are touched; that the others still answer is verified.

local erp = system "school_erp"
local names = erp.schema
local tenant = require "tenant_parts"

local function blocked (run) return text.render(names.blocked, run) end

return runbook {
  title    = "Tenant isolation",
  system   = "school_erp",
  use_when = "One school is causing issues that affect other tenants.",
  impact   = "The affected school goes offline; the others are unaffected.",
  approve  = "senior-engineer",
  lock     = "tenant:{tenant}",
  limits   = { pg_rows = 10000, redis_keys = 3, files = 2, commands = 1 },
  params   = {
    tenant = { "identifier", required = true, help = "schema of the school" },
    block  = { "duration", default = "1h", help = "how long its traffic stays blocked" },
  },

  step "Does the school exist?" {
    probe = function (run)
      local found = erp.pg:value(
        [[SELECT count(*) FROM information_schema.schemata WHERE schema_name = :tenant]],
        { tenant = run.tenant })
      if found == 0 then run:fail("there is no school with the schema '%s'", run.tenant) end
    end,
  },

  step "Is the tenant in trouble?" {
    diagnose = true,
    probe = function (run)
      local health = erp.http:get(names.tenant_health, { path = run }):json()
      local good = health.overallHealth == names.good
      run:finding("health of " .. run.tenant, health.overallHealth or "unknown", good and "ok" or "bad")
    end,
  },

  case "isolate" {
    title = "Take it offline",
    when  = function (run)
      local is = erp.redis:get(blocked(run))
      return not is, is and "its traffic is blocked already" or "its traffic is not blocked"
    end,

    step "Block its traffic" {
      remedy = function (run) erp.redis:set(blocked(run), "true", { ex = run.block }) end,
      verify = function (run) return erp.redis:get(blocked(run)) == "true" end,
    },

    step "Disable its queues" {
      remedy = function (run) erp.dotenv:add(names.disabled_tenants, run.tenant) end,
      verify = function (run) return erp.dotenv:has(names.disabled_tenants, run.tenant) end,
    },

    tenant.revoke_sessions("Revoke its active sessions", names.isolation_reason),

    step "Is it offline, and are the others served?" {
      verify = function (run)
        local answer = tenant.dashboard(run.tenant)
        expect(answer.status == 503, run.tenant .. " answers 503")
        return tenant.others_served(run)
      end,
    },

    step "Write to the school's admin" {
      probe = function (run)
        run.letter = "Subject: " .. tenant.letter_subject(run.tenant) .. "\n\n" .. tenant.letter_text(run.block)
        run:finding("message to the school's admin", run.letter)
      end,
    },
  },

  case "investigate" {
    title = "Look for the cause",
    when  = "asked",

    step "What are its ten largest tables?" {
      probe = function (run)
        local tables = erp.pg:query([[
          SELECT c.relname AS table, pg_size_pretty(pg_total_relation_size(c.oid)) AS size
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE n.nspname = :tenant AND c.relkind IN ('r', 'p', 'm')
           ORDER BY pg_total_relation_size(c.oid) DESC, c.relname
           LIMIT :top]], { tenant = run.tenant, top = names.largest_tables })
        for _, row in ipairs(tables) do run:finding(row.table, row.size) end
      end,
    },
  },

  case "reenable" {
    title = "Bring it back; while the server restarts, no school is served",
    when  = "asked",

    step "Let its traffic in" {
      remedy = function (run) erp.redis:del(blocked(run)) end,
      verify = function (run) return erp.redis:get(blocked(run)) == nil end,
    },

    step "Enable its queues" {
      remedy = function (run) erp.dotenv:remove(names.disabled_tenants, run.tenant) end,
      verify = function (run) return not erp.dotenv:has(names.disabled_tenants, run.tenant) end,
    },

    step "Restart the server" {
      remedy = function () erp.service:restart() end,
      verify = function (run)
        return run:wait_until("the server is ready", { every = "500ms", within = "1m" },
          function () return erp.http:get(names.ready):ok() end)
      end,
    },

    step "Is it back, and are the others served?" {
      verify = function (run)
        local answer = tenant.dashboard(run.tenant)
        expect(answer:ok(), run.tenant .. " is served again")
        return tenant.others_served(run)
      end,
    },

    step "How is its health now?" {
      probe = function (run)
        local health = erp.http:get(names.tenant_health, { path = run }):json()
        run:finding("health of " .. run.tenant, health.overallHealth or "unknown",
                    health.overallHealth == names.good and "ok" or "warn")
      end,
    },
  },
}
