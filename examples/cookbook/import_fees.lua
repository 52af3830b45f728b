-- A CSV file is checked against what was agreed, and only then imported.
--
--   runbook run import_fees.lua tenant=riverside sheet=fees.csv -n

local erp = system "school_erp"

local contract = {
  required = { "Admission No", "Term", "Amount", "Due" },
  only     = true,
  columns  = {
    ["Admission No"] = { pattern = "ADM[0-9]{6}", filled = true },
    Term             = { values = { "autumn", "spring", "summer" } },
    Amount           = { type = "number", filled = true },
    Due              = { type = "date", filled = true },
  },
}

return runbook {
  title  = "Import fees",
  system = "school_erp",
  impact = "The fees are shown to the guardians at once.",
  lock   = "fees:{tenant}",
  limits = { pg_rows = 5000 },
  params = {
    tenant = { "identifier", required = true, help = "schema of the school" },
    sheet  = { "path", required = true, help = "the CSV file" },
  },

  step "Is the sheet as agreed?" {
    probe = function (run)
      local report = csv.validate(run.sheet, contract)
      for _, problem in ipairs(report.problems) do run:note("%s", problem.message) end
      run:finding("sheet", text.render("{rows} rows, {bad_rows} of them bad", report),
                  report.ok and "ok" or "bad")
      if not report.ok then run:fail("the sheet is not as agreed") end
      run.rows = csv.rows(run.sheet, { limit = 5000 })
      run.last = erp.pg:value([[SELECT coalesce(max(id), 0) FROM :"tenant".fees]], run)
    end,
  },

  step "Import it" {
    remedy = function (run)
      erp.pg:exec([[
        INSERT INTO :"tenant".fees (student_id, term, amount, due_on)
        SELECT s.id, r->>'Term', (r->>'Amount')::numeric, (r->>'Due')::date
          FROM jsonb_array_elements(:rows::jsonb) r
          JOIN :"tenant".students s ON s.admission_no = r->>'Admission No']],
        { tenant = run.tenant, rows = json.encode(run.rows) }, { rows = #run.rows })
    end,
    verify = function (run)
      local new = erp.pg:value([[SELECT count(*) FROM :"tenant".fees WHERE id > :last]], run)
      return expect(new >= #run.rows, "all rows are there")
    end,
    undo   = function (run)   -- the rows of this sheet, while nobody has paid
      erp.pg:exec([[
        DELETE FROM :"tenant".fees f USING jsonb_array_elements(:rows::jsonb) r, :"tenant".students s
         WHERE f.id > :last AND f.paid_at IS NULL AND f.student_id = s.id
           AND s.admission_no = r->>'Admission No' AND f.term = r->>'Term']],
        { tenant = run.tenant, last = run.last, rows = json.encode(run.rows) }, { rows = #run.rows })
    end,
  },
}
