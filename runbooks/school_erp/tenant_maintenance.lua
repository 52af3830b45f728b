-- Level 4: one school behind a maintenance page, its evidence kept, and back.
--
-- The page this comes from revokes the sessions and then takes the forensic dump
-- "before any changes": the dump would show every session as revoked. Here the page
-- goes up first, so that nobody writes any more, then the dump, then the sessions.
-- Only the chosen school's schema and its own two keys are touched; that the others
-- still answer is verified.

local erp = system "school_erp"
local names = erp.schema
local tenant = require "tenant_parts"

local function flag (run) return text.render(names.maintenance, run) end
local function notice (run) return text.render(names.maintenance_message, run) end

local function school (run) return tenant.school(run.tenant) end

-- the newest dump with the forensic label, of this school and whole
local function newest_dump (run)
  for _, file in ipairs(erp.backup:list()) do
    if file.name:sub(1, #names.forensic_snapshot + 1) == names.forensic_snapshot .. "-" then
      local dump = erp.backup:verify(file.name)
      if dump.schemas[1] == run.tenant and #dump.schemas == 1 then return dump end
    end
  end
end

return runbook {
  title    = "Tenant maintenance mode",
  system   = "school_erp",
  use_when = "The integrity of a school's data is at risk, or a breach of security is suspected.",
  impact   = "The school sees a maintenance page, and nobody reaches its data.",
  approve  = "cto",
  lock     = "tenant:{tenant}",
  limits   = { pg_rows = 100000, redis_keys = 4, files = 1, notices = 1 },
  params   = {
    tenant  = { "identifier", required = true, help = "schema of the school" },
    message = { "string", default = "System maintenance in progress. Expected completion: 2 hours.",
                help = "what its people read meanwhile" },
  },

  step "Does the school exist?" {
    probe = function (run)
      local found = erp.pg:value(
        [[SELECT count(*) FROM information_schema.schemata WHERE schema_name = :tenant]],
        { tenant = run.tenant })
      if found == 0 then
        run:fail("there is no school with the schema '%s'; if its tables are lost, see database_restore",
                 run.tenant)
      end
    end,
  },

  step "How is it now?" {
    diagnose = true,
    probe = function (run)
      local health = erp.http:get(names.tenant_health, { path = run }):json()
      run:finding("health of " .. run.tenant, health.overallHealth or "unknown",
                  health.overallHealth == names.good and "ok" or "bad")
      run:finding("active sessions of " .. run.tenant, tenant.active_sessions(run))
    end,
  },

  case "enable" {
    title    = "Put up the maintenance page",
    severity = "P0",
    when     = function (run)
      local is = erp.redis:get(flag(run))
      return not is, is and "it is in maintenance already" or "it is not in maintenance"
    end,

    step "Put up the maintenance page" {
      remedy = function (run)
        erp.redis:set(notice(run), run.message)
        erp.redis:set(flag(run), "true")
      end,
      verify = function (run)
        return erp.redis:get(flag(run)) == "true" and erp.redis:get(notice(run)) == run.message
      end,
    },

    step "Is it away, and are the others served?" {
      verify = function (run)
        local answer = tenant.dashboard(run.tenant)
        expect(answer.status == 503, run.tenant .. " answers 503")
        expect(answer.body:find(run.message, 1, true), "people read the message")
        return tenant.others_served(run)
      end,
    },

    step "Take the forensic dump" {
      remedy = function (run)
        erp.backup:dump{ schema = run.tenant, label = names.forensic_snapshot }
      end,
      verify = function (run)
        local dump = expect(newest_dump(run), "there is a forensic dump of " .. run.tenant)
        run:finding("forensic dump", dump.name .. ", " .. dump.rows .. " rows", "ok")
        return true
      end,
    },

    tenant.revoke_sessions("Revoke all its sessions", names.maintenance_reason),

    step "Speak with the school's principal" {
      manual = "CTO: tell the principal of {tenant} that the school is offline, why, and when you "
            .. "will call again. Then the cause is looked for and mended; what was there at "
            .. "the start is in the forensic dump. The way back is the case \"disable\".",
    },
  },

  case "disable" {
    title = "Bring it back",
    when  = "asked",

    step "Is the cause found and mended?" {
      manual = "Say what put the data of {tenant} at risk, and how it was mended. Answer \"yes\" only when both are known.",
    },

    step "Is the school ready?" {
      probe = function (run)
        local ready, why = tenant.ready(run)
        if not ready then run:fail("%s is not ready, and stays in maintenance: %s", run.tenant, why) end
      end,
    },

    step "Take the maintenance page away" {
      remedy = function (run)
        erp.redis:del(flag(run))
        erp.redis:del(notice(run))
      end,
      verify = function (run)
        return erp.redis:get(flag(run)) == nil and erp.redis:get(notice(run)) == nil
      end,
    },

    step "Is it served again, and the others, too?" {
      verify = function (run)
        expect(tenant.dashboard(run.tenant):ok(), run.tenant .. " is served again")
        return tenant.others_served(run)
      end,
    },

    step "Tell the school's admin" {
      when   = function (run)
        return school(run).admin ~= nil, "settings.school_names has no admin of " .. run.tenant
      end,
      notify = function (run)
        mail.send{
          to = school(run).admin, subject = "Maintenance complete",
          text = "Maintenance complete. Service restored at "
              .. time.format(time.now(), "%Y-%m-%d %H:%M") .. " UTC",
        }
      end,
    },

    step "Tell the school's admin by hand" {
      when   = function (run) return school(run).admin == nil, "a mail was sent" end,
      manual = "Tell the admin of {tenant}: Maintenance complete. Service restored at (the time now).",
    },
  },
}
