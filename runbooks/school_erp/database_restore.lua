-- Level 3, data: the schema of one school as it was in a snapshot.
--
-- The page this comes from drops the schema, makes an empty one and reads the snapshot
-- into it. When the snapshot will not do, the school has lost both; CASCADE takes views
-- of other schemas along; the snapshot makes the schema itself, so that it fails on the
-- empty one; and psql goes on after an error. Here everything happens in one transaction:
-- the live schema is renamed aside, the snapshot replayed, every row counted; a failure
-- leaves what was there, and `runbook undo` swaps back. Its emergency snapshot is then
-- the newest file of the folder: it is never chosen unless it is named. The snapshot of
-- its nightly job holds all schools in plain SQL, out of which one cannot be taken; the
-- job that is proposed here makes one that can.

local erp = system "school_erp"
local names = erp.schema
local tenant = require "tenant_parts"
local snapshot = require "snapshot_parts"

local function flag (run) return text.render(names.maintenance, run) end
local function notice (run) return text.render(names.maintenance_message, run) end

local words = tenant.letter_text(names.rollback_takes[2])

-- "3 tables, 12 rows" and the like
local function several (n, one) return n .. " " .. one .. (n == 1 and "" or "s") end

local function hours (t) return string.format("%.1f h ago", time.since(t) / 3600) end

-- the snapshot that the operator named; fails where it will not do
local function named (run)
  local dump = erp.backup:verify(run.snapshot)
  local why = snapshot.unfit(dump, run.tenant)
  if why then run:fail("%s %s", run.snapshot, why) end
  return dump
end

-- the newest that will do, the last ten shown; fails where there is none
local function newest_good (run)
  local dump, list = snapshot.newest(run)
  for i, file in ipairs(list) do
    if i <= names.snapshots_shown then
      run:finding(file.name, text.render("{is}; {at}, {bytes} bytes", file))
    end
  end
  if not dump then
    run:fail("none of the %s in the backup folder is whole, of this server and of %s alone%s",
             several(#list, "file"), run.tenant,
             list[1] and " (" .. list[1].name .. " " .. list[1].is .. ")" or "")
  end
  return dump
end

local function emergency ()
  for _, file in ipairs(erp.backup:list()) do
    if snapshot.labelled(file.name, names.emergency_snapshot) then return file end
  end
end

return runbook {
  title    = "Database restore",
  system   = "school_erp",
  use_when = "A deployment or a migration has damaged or lost the data of one school.",
  impact   = "What the school has entered since the snapshot is gone; it is away for 5 to 15 minutes.",
  approve  = { "tech-lead", "cto" },
  lock     = "tenant:{tenant}",
  limits   = { redis_keys = 4, files = 1, notices = 2 },
  params   = {
    tenant   = { "identifier", required = true, help = "schema of the school" },
    snapshot = { "string", default = "", help = "a file of the backup folder; when empty, the newest that will do" },
    page     = { "boolean", default = "yes", help = "the school sees a maintenance page meanwhile" },
  },

  step "Is it a school?" {
    probe = function (run)
      local known = erp.pg:value(
        [[SELECT count(*) FROM public.:"registry" WHERE schema_name = :tenant]], { tenant = run.tenant })
      if known == 0 then
        run:fail("no school with the schema '%s' is registered: only schools are restored, one at a time", run.tenant)
      end
      run.away = tenant.away(run.tenant) or false
      run:finding("the school is", run.away or "open to its people", run.away and "ok" or "warn")
    end,
  },

  step "Which snapshot is the last good one?" {
    timeout = "30m",
    probe = function (run)
      run.dump = run.snapshot == "" and newest_good(run) or named(run)
      run:finding("snapshot", run.dump.name, "ok")
      run.as_of = time.format(run.dump.at, "%Y-%m-%d %H:%M")
      run:finding("what was entered after it is lost", run.dump.at .. ", " .. hours(run.dump.at), "bad")
    end,
  },

  step "What would come back, and what would be lost?" {
    timeout = "30m",
    probe = function (run)
      local dump = snapshot.counts(run.dump, run.tenant)
      local now = snapshot.rows(run, run.tenant)
      run.damage = {}
      if not dump then
        run:finding("rows", "the snapshot does not say how many it has", "warn")
        if next(now) == nil then run.damage[1] = "every table is gone" end
      end
      for _, it in ipairs(dump and snapshot.compare(now, dump) or {}) do
        run:finding("table " .. it.name, text.render("{now} rows now, {dump} in the snapshot",
          { now = it.now or "no", dump = it.dump or "no such table" }), it.gone and "bad" or "warn")
        run.damage[#run.damage + 1] = it.gone
      end
    end,
  },

  step "Does anything outside depend on it?" {
    probe = function (run)
      local cannot = {}
      for _, it in ipairs(snapshot.outside(run.tenant)) do
        run:finding(it.what .. " " .. it.name, it.binds and "is bound to the restored tables" or "would go on pointing at the old ones",
                    it.binds and "ok" or "bad")
        if not it.binds then cannot[#cannot + 1] = it.what .. " " .. it.name end
      end
      if #cannot > 0 then run:fail("drop or change it first: %s", table.concat(cannot, ", ")) end
    end,
  },

  case "restore" {
    title    = "Restore the school from the snapshot",
    severity = "P0",
    when     = function (run)
      if #run.damage > 0 then
        return true, table.concat(run.damage, "; ", 1, math.min(#run.damage, 5))
               .. (#run.damage > 5 and "; and " .. #run.damage - 5 .. " more" or "")
      end
      return false, "nothing of the snapshot is missing; where rows hold wrong values, say --case restore"
    end,

    step "Take an emergency snapshot of everything" {
      remedy = function () erp.backup:dump{ label = names.emergency_snapshot } end,
      verify = function (run)
        local file = expect(emergency(), "there is an emergency snapshot")
        local dump = erp.backup:verify(file.name)
        run:finding("emergency snapshot", dump.name .. ", " .. several(dump.rows, "row"), "ok")
        return true
      end,
    },

    step "Tell the school's admin that it is away" {
      when   = function (run)
        return tenant.school(run.tenant).admin ~= nil, "settings.school_names has no admin of " .. run.tenant
      end,
      notify = function (run)
        mail.send{ to = tenant.school(run.tenant).admin, subject = tenant.letter_subject(run.tenant), text = words }
      end,
    },

    step "Tell the school's admin by hand that it is away" {
      when   = function (run) return tenant.school(run.tenant).admin == nil, "a mail was sent" end,
      manual = "Write to the admin of {tenant}. Scheduled maintenance: " .. words,
    },

    step "Put up the maintenance page" {
      when   = function (run)
        return run.page and not run.away, run.away and "the school is " .. run.away .. " already" or "page=no"
      end,
      remedy = function (run)
        erp.redis:set(notice(run), names.maintenance_text)
        erp.redis:set(flag(run), "true")
      end,
      verify = function (run)
        return expect(not tenant.dashboard(run.tenant):ok(), run.tenant .. " is no longer served")
      end,
    },

    step "Restore the school's schema, in one transaction" {
      timeout = "2h",
      remedy = function (run) erp.backup:restore{ file = run.dump.name, schema = run.tenant } end,
      verify = function (run)
        local dump = snapshot.counts(run.dump, run.tenant)
        local now, tables, rows = snapshot.rows(run, run.tenant), 0, 0
        for name, n in pairs(now) do
          tables, rows = tables + 1, rows + n
          if dump then
            expect(n >= (dump[name] or n), text.render("{name} has the rows of the snapshot ({n} of {was})",
                                                       { name = name, n = n, was = dump[name] }))
          end
        end
        for name in pairs(dump or {}) do expect(now[name], "the table " .. name .. " is there") end
        run:finding("restored", several(tables, "table") .. ", " .. several(rows, "row"), "ok")
        return expect(tables > 0, run.tenant .. " has tables")
      end,
    },

    step "Is the school ready?" {
      verify = function (run)
        run:finding("sessions that are active again", tenant.active_sessions(run), "warn")
        local ready, why = tenant.ready(run)
        return expect(ready, run.tenant .. " is ready" .. (ready and "" or ": " .. why
                      .. ". It stays away; `runbook undo` puts back what was there"))
      end,
    },

    step "Take the maintenance page away" {
      when   = function (run)
        return run.page and not run.away, run.away and "the school was " .. run.away .. " before" or "page=no"
      end,
      remedy = function (run)
        erp.redis:del(flag(run))
        erp.redis:del(notice(run))
      end,
      verify = function (run)
        return expect(tenant.dashboard(run.tenant):ok(), run.tenant .. " is served again")
      end,
    },

    step "Are the other schools untouched?" { verify = tenant.others_served },

    step "How is its health now?" {
      verify = function (run)
        local health = erp.http:get(names.tenant_health, { path = run }):json()
        run:finding("health of " .. run.tenant, health.overallHealth or "unknown",
                    health.overallHealth == names.good and "ok" or "warn")
        return true
      end,
    },

    step "Tell the school's admin that it is back" {
      when   = function (run)
        return tenant.school(run.tenant).admin ~= nil, "settings.school_names has no admin of " .. run.tenant
      end,
      notify = function (run)
        mail.send{ to = tenant.school(run.tenant).admin, subject = "Maintenance complete", text = text.render([[
Maintenance complete. Service restored at {now} UTC.

Your school's data are as they were at {at} UTC. What was entered after that has to be entered again.

— Engineering Team]], { now = time.format(time.now(), "%Y-%m-%d %H:%M"),
                        at = run.as_of }) }
      end,
    },

    step "Tell the school's admin by hand that it is back" {
      when   = function (run) return tenant.school(run.tenant).admin == nil, "a mail was sent" end,
      manual = "Tell the admin of {tenant}: Maintenance complete. The data are as they were at {as_of} UTC; what was "
            .. "entered after that has to be entered again.",
    },
  },

  step "Are snapshots taken every night?" {
    probe = function (run)
      local last, old = nil, 0
      for _, file in ipairs(erp.backup:list()) do
        if not snapshot.of_trouble(file.name) then
          last = last or file
          if time.since(file.at) > time.seconds(names.snapshots_kept) then old = old + 1 end
        end
      end
      local fresh = last and time.since(last.at) < time.seconds(names.snapshot_age)
      run:finding("last snapshot", last and last.name .. ", " .. hours(last.at) or "none", fresh and "ok" or "bad")
      run:finding("older than " .. names.snapshots_kept, several(old, "snapshot"), old == 0 and "ok" or "warn")
      if fresh and old == 0 then return end
      run:finding("crontab: every night at two", names.snapshot_schedule
        .. " pg_dump -Fc -f /backups/" .. names.nightly_snapshot .. "-$(date +\\%Y\\%m\\%d).dump \"$DATABASE_URL\"")
      run:finding("crontab: keep the last 7 days", "30 2 * * * find /backups -name '"
        .. names.nightly_snapshot .. "-*' -mtime +7 -delete")
    end,
  },
}
