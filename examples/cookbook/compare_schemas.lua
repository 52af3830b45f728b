-- Two schemas, table by table: has the copy as many rows?
--
--   runbook run compare_schemas.lua one=riverside other=riverside_copy

local erp = system "school_erp"

return runbook {
  title    = "Compare two schemas",
  system   = "school_erp",
  use_when = "A copy or a restore is to be believed.",
  impact   = "None: it only counts.",
  params   = {
    one   = { "identifier", required = true },
    other = { "identifier", required = true },
  },

  step "Which tables are there?" {
    probe = function (run)
      run.tables = erp.pg:query([[
        SELECT table_name AS name,
               bool_or(table_schema = :one) AS in_one, bool_or(table_schema = :other) AS in_other
          FROM information_schema.tables
         WHERE table_schema IN (:one, :other) AND table_type = 'BASE TABLE'
         GROUP BY table_name ORDER BY table_name]], run)
      if #run.tables == 0 then run:fail("neither %s nor %s has a table", run.one, run.other) end
    end,
  },

  step "Has each of them as many rows here and there?" {
    verify = function (run)
      local function count (schema, t)
        return erp.pg:value([[SELECT count(*) FROM :"schema".:"t"]], { schema = schema, t = t.name })
      end
      local counts = run:each(run.tables, { limit = 8 }, function (t)
        return { t.in_one and count(run.one, t), t.in_other and count(run.other, t) }
      end)
      local differ = 0
      for i, t in ipairs(run.tables) do
        local a, b = counts[i][1], counts[i][2]
        if a ~= b then
          differ = differ + 1
          run:finding(t.name, string.format("%s here, %s there", a or "no table", b or "no table"), "bad")
        end
      end
      run:finding("tables compared", #run.tables, differ == 0 and "ok" or "bad")
      return differ == 0
    end,
  },
}
