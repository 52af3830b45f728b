-- Very many keys, one after the other or some at a time.

local erp = system "school_erp"

return runbook {
  title    = "Many keys",
  system   = "school_erp",
  use_when = "A benchmark asks for it.",
  impact   = "None: it only looks.",
  params   = {
    count = { "integer", default = 100000, help = "how many keys" },
    limit = { "integer", default = 500, help = "how many at a time; 1: in a plain loop" },
  },

  step "What do they hold?" {
    probe = function (run)
      if run.limit == 1 then
        for i = 1, run.count do erp.redis:get("bench:" .. i % 1000) end
        return
      end
      local keys = {}
      for i = 1, run.count do keys[i] = "bench:" .. i % 1000 end
      run:each(keys, { limit = run.limit }, function (key) erp.redis:get(key) end)
    end,
  },
}
