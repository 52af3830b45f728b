-- Programs that look: git, and a check of our own, held read-only by the kernel.
--
--   runbook run which_release.lua

local erp = system "school_erp"

local function git (...)
  local words = { "git", "-C", erp.settings.repository, ... }   -- words, never a shell line
  words.timeout = "10s"
  local seen = exec.probe(words)
  expect(seen.code == 0, "git says something (" .. seen.stderr .. ")")
  return (seen.stdout:gsub("%s+$", ""))
end

return runbook {
  title  = "Which release is this?",
  system = "school_erp",
  impact = "None: it only looks.",

  step "What is checked out?" {
    probe = function (run)
      run:finding("release", git("log", "-1", "--format=%h %s"))
      local changed = git("status", "--porcelain", "--untracked-files=no")
      run:finding("changed by hand", changed == "" and "nothing" or changed,
                  changed == "" and "ok" or "bad")
    end,
  },

  step "Is each school ready for it?" {
    probe = function (run)
      local schools = erp.pg:query [[
        SELECT schema_name AS name FROM public.schools WHERE status = 'live' ORDER BY 1]]
      local seen = run:each(schools, { limit = 4 }, function (school)
        local words = table.move(erp.settings.preflight, 1, #erp.settings.preflight, 1, {})
        words[#words + 1] = school.name
        words.timeout = "30s"
        return exec.probe(words)
      end)
      for i, school in ipairs(schools) do
        local ready = seen[i].code == 0
        run:evidence("preflight " .. school.name, seen[i].stdout)
        run:finding(school.name, ready and "ready" or seen[i].stdout:match "FAILED[^\n]*" or "not ready",
                    ready and "ok" or "bad")
      end
    end,
  },
}
