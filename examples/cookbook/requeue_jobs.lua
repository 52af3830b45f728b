-- Failed jobs are tried again: at most so many, and all of them or none.
--
--   runbook run requeue_jobs.lua tenant=greenwood_high most=50 -n

local erp = system "school_erp"

local function failed (run)
  return erp.pg:value([[SELECT count(*) FROM :"tenant".jobs WHERE status = 'failed']], run)
end

return runbook {
  title  = "Try failed jobs again",
  system = "school_erp",
  lock   = "jobs:{tenant}",
  limits = { pg_rows = 1000 },
  params = {
    tenant = { "identifier", required = true, help = "schema of the school" },
    most   = { "integer", default = 20, help = "more than these are looked into first" },
  },

  step "How many have failed?" {
    probe = function (run) run:finding("failed jobs", failed(run)) end,
  },

  step "Put them back into the queue" {
    remedy = function (run)
      erp.pg:transaction(function (tx)
        local n = tx:exec([[UPDATE :"tenant".jobs SET status = 'waiting', attempts = 0, error = NULL
                             WHERE status = 'failed']], run, { rows = { 0, run.most } }).rows
        tx:exec([[INSERT INTO :"tenant".audit_log (actor, action, detail)
                  VALUES (:who, 'jobs.requeue', jsonb_build_object('jobs', :n::int))]],
                { tenant = run.tenant, who = run.operator, n = n })
      end)
    end,
    verify = function (run) return failed(run) == 0 end,
    irreversible = "jobs that were tried again are not untried",
  },
}
