-- Very many pages, some at a time.

local fast = system "fast"

return runbook {
  title    = "Many pages",
  system   = "fast",
  use_when = "A benchmark asks for it.",
  impact   = "None: it only looks.",
  params   = {
    count = { "integer", default = 10000, help = "how many pages" },
    limit = { "integer", default = 50, help = "how many at a time" },
  },

  step "Do all of them answer?" {
    probe = function (run)
      local pages = {}
      for i = 1, run.count do pages[i] = "/health?n=" .. i end
      run:each(pages, { limit = run.limit }, function (page)
        expect(fast.http:get(page):ok(), page .. " answers")
      end)
    end,
  },
}
