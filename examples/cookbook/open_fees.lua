-- A query becomes a CSV file, and goes to the school's office by mail.
--
--   runbook run open_fees.lua tenant=riverside -n

local erp = system "school_erp"

return runbook {
  title  = "Send the list of open fees",
  system = "school_erp",
  impact = "The office of the school gets a mail.",
  limits = { notices = 1 },
  params = { tenant = { "identifier", required = true, help = "schema of the school" } },

  step "Which fees are open?" {
    probe = function (run)
      local rows = erp.pg:query([[
        SELECT s.admission_no, s.name, f.term, f.amount::text AS amount, f.due_on::text AS due
          FROM :"tenant".fees f JOIN :"tenant".students s ON s.id = f.student_id
         WHERE f.paid_at IS NULL ORDER BY s.admission_no, f.term]], run)
      run.count = #rows
      run.sheet = csv.format(rows, { columns = { "admission_no", "name", "term", "amount", "due" } })
      run.office = erp.settings.school_names[run.tenant].admin
      run:finding("open fees", run.count)
    end,
  },

  step "Mail them to the office" {
    when   = function (run) return run.count > 0, "nothing is open" end,
    notify = function (run)
      mail.send {
        to = run.office, subject = "Open fees",
        text = "Dear office,\n\nthe list is attached: " .. run.count .. " fees are open.\n",
        attach = { { name = "open-fees.csv", content = run.sheet } },
      }
    end,
    retry = { times = 3, every = "1m" },   -- a full mailbox or greylisting: not now
  },
}
