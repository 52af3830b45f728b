-- A query hangs: what does it wait for, and may that be ended?
--
--   runbook run blocked_query.lua -n

local erp = system "school_erp"

-- those that others wait for, and that wait for nobody themselves
local blockers = [[
  SELECT b.pid, b.backend_start AS began, b.usename AS who, b.application_name AS program, b.state,
         extract(epoch FROM now() - b.xact_start)::int AS seconds,
         left(b.query, 80) AS query, count(*) AS waiting
    FROM pg_stat_activity w JOIN pg_stat_activity b ON b.pid = ANY (pg_blocking_pids(w.pid))
   WHERE w.datname = current_database() AND pg_blocking_pids(b.pid) = '{}'
   GROUP BY b.pid, b.backend_start, b.usename, b.application_name, b.state, b.xact_start, b.query
   ORDER BY count(*) DESC, b.pid]]

return runbook {
  title    = "What blocks the query?",
  system   = "school_erp",
  use_when = "A query or a migration hangs, and the database is not busy.",
  impact   = "Whoever holds the lock loses the transaction that is open.",
  params   = { after = { "duration", default = "10s", help = "leave alone what is younger" } },

  step "Who holds others up?" {
    probe = function (run)
      run.blocker = false
      for _, b in ipairs(erp.pg:query(blockers)) do
        run:finding("pid " .. b.pid, text.render(
          "waited for by {waiting}: {who} ({program}), {state} for {seconds} s, {query}", b), "bad")
        if not run.blocker and b.seconds >= time.seconds(run.after) then run.blocker = b end
      end
    end,
  },

  step "End the first of them" {
    when    = function (run) return run.blocker, "nobody has waited for so long" end,
    approve = "senior-engineer",
    remedy  = function (run)
      erp.pg:exec([[SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                     WHERE pid = :pid AND backend_start = :began]], run.blocker, { transaction = false })
    end,
    verify  = function (run)
      return erp.pg:value([[SELECT count(*) FROM pg_stat_activity
                             WHERE pid = :pid AND backend_start = :began]], run.blocker) == 0
    end,
    irreversible = "its open transaction is rolled back",
  },
}
