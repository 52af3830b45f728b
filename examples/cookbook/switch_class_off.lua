-- An UPDATE has no inverse. What was there is looked at first, and an undo puts it back.
--
--   runbook run switch_class_off.lua tenant=riverside class=7B -n

local erp = system "school_erp"

local students = [[
  SELECT u.id FROM :"tenant".users u
    JOIN :"tenant".students s ON s.user_id = u.id JOIN :"tenant".classes c ON c.id = s.class_id
   WHERE c.name = :class AND u.active ORDER BY u.id]]

return runbook {
  title  = "Lock the accounts of a class",
  system = "school_erp",
  impact = "The students of the class cannot sign in.",
  lock   = "accounts:{tenant}",
  limits = { pg_rows = 100 },
  params = {
    tenant = { "identifier", required = true, help = "schema of the school" },
    class  = { "string", required = true, help = "as in 7B" },
  },

  step "Whose accounts are they?" {
    probe = function (run)
      run.ids = {}
      for i, row in ipairs(erp.pg:query(students, run)) do run.ids[i] = row.id end
      if #run.ids == 0 then run:fail("there is no active account in %s of %s", run.class, run.tenant) end
      run:finding("active accounts in " .. run.class, #run.ids)
    end,
  },

  step "Lock them" {
    remedy = function (run)
      erp.pg:exec([[UPDATE :"tenant".users SET active = false WHERE id = ANY (:ids) AND active]],
                  { tenant = run.tenant, ids = run.ids }, { rows = #run.ids })
    end,
    verify = function (run) return #erp.pg:query(students, run) == 0 end,
    undo   = function (run)   -- those that were active, and no others
      erp.pg:exec([[UPDATE :"tenant".users SET active = true WHERE id = ANY (:ids) AND NOT active]],
                  { tenant = run.tenant, ids = run.ids })
    end,
  },
}
