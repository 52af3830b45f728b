-- The header and every value of a large sheet, against what was agreed.

return runbook {
  title    = "A large sheet",
  use_when = "A benchmark asks for it.",
  impact   = "None: it only looks.",
  params   = { sheet = { "path", required = true, help = "the file" } },

  step "Is it what was agreed?" {
    probe = function (run)
      run.columns = csv.header(run.sheet)
      local report = csv.validate(run.sheet, {
        required = { "Session ID", "Title", "Date", "Status", "User Auth Id", "Name", "SignUp Role", "School" },
        columns  = {
          ["Session ID"] = { pattern = "PF-[0-9]+", filled = true }, Date = { type = "date", filled = true },
          Status = { values = { "Completed", "Cancelled", "Draft" } }, Duration = "integer", State = { longest = 2 },
          ["Registered Student Count"] = "integer", ["Attended Student Count"] = "integer",
        },
      })
      run:finding("rows", report.rows, report.ok and "ok" or "bad")
      if not report.ok then run:fail("%s", report.problems[1].message) end
    end,
    timeout = "10m",
  },
}
