-- Old entries are deleted, and a dump is there to bring them back.
--
--   runbook run dump_first.lua tenant=riverside before=2026-01-01 -n

local erp = system "school_erp"

-- the newest dump, whole, of this school alone, and not older than the run
local function dumped (run)
  local newest = expect(erp.backup:list()[1], "there is a dump")
  local dump = erp.backup:verify(newest.name)
  expect(#dump.schemas == 1 and dump.schemas[1] == run.tenant, newest.name .. " is of " .. run.tenant)
  expect(time.parse(newest.at) >= time.parse(run.started) - 1, newest.name .. " is of this run")
  return dump
end

return runbook {
  title  = "Delete old entries of the audit log",
  system = "school_erp",
  impact = "Reports about the time before show nothing any more.",
  limits = { pg_rows = 20000 },
  params = {
    tenant = { "identifier", required = true, help = "schema of the school" },
    before = { "date", required = true, help = "what is older is deleted" },
  },

  step "Dump the school" {
    remedy = function (run) erp.backup:dump { schema = run.tenant, label = "before-delete" } end,
    verify = function (run)
      local dump = dumped(run)
      run.dump = dump.name
      run:finding("dump", text.render("{name}, {rows} rows", dump), "ok")
      return true
    end,
    undo = function () end,   -- a dump more harms nobody
  },

  step "Delete what is old" {
    remedy = function (run)
      erp.pg:exec([[DELETE FROM :"tenant".audit_log WHERE at < :before::date]], run)
    end,
    verify = function (run)
      return erp.pg:value([[SELECT count(*) FROM :"tenant".audit_log WHERE at < :before::date]], run) == 0
    end,
    irreversible = "the rows are in the dump: database_restore brings the whole school back",
  },
}
