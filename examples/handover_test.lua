-- What handover.lua has to do, with people who answer:
--
--   runbook test examples/handover.lua

local file = "/srv/oncall/handover.json"

return tests {
  params  = { to = "kim", file = file },
  answers = { ["open-incidents"] = "yes", watch = "the import at six", pager = "yes" },
  world   = { files = { [file] = "{}" } },

  test "writes the handover down" {
    expect = {
      steps   = { ["open-incidents"] = "manual", pager = "manual" },
      effects = { { "file.write", target = "file" } },
      world   = { files = { [file] = like '"watch":"the import at six"' } },
      undo    = true,
    },
  },

  test "stops when nobody says what to watch" {
    answers = { watch = false },
    expect  = { exit = 3, error = "question", effects = {} },
  },

  test "stops before the pager when it was not handed over" {
    answers = { pager = "no" },
    expect  = { exit = 3, status = "stopped", effects = { "file.write" } },
  },

  test "asks nobody in a dry run" {
    mode   = "dry-run",
    answers = { ["open-incidents"] = false, watch = false, pager = false },
    expect = { exit = 7, steps = { ["write-the-handover-down"] = "deferred" } },
  },
}
