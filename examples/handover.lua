-- Hand the pager over: what only people can do, in the order in which they do it.
--
--   runbook run examples/handover.lua to=kim file=/srv/oncall/handover.json
--
-- Without a terminal the answers come from a file: --answers answers.json, with
--   { "pager": "yes", "open-incidents": "yes", "watch": "the import at six" }

return runbook {
  title    = "On-call handover",
  use_when = "A shift ends.",
  impact   = "None for users; from now on another person is called.",
  params   = {
    to   = { "string", required = true, help = "who takes over" },
    file = { "path", required = true, help = "where the handover is written" },
    mood = { "choice", "calm", "tense", default = "calm", help = "how the shift was" },
  },

  step "Go through the open incidents with {to}" {
    id     = "open-incidents",
    manual = "Read each open incident aloud; say what was tried and what is next.",
  },

  step "What does {to} have to watch?" {
    id    = "watch",
    probe = function (run)
      run.watch = run:ask { id = "watch", question = "What should be watched tonight?" }
    end,
  },

  step "Write the handover down" {
    remedy = function (run)
      file.write(run.file, json.encode {
        from = run.operator, to = run.to, mood = run.mood, watch = run.watch,
      })
    end,
    verify = function (run)
      return json.decode(file.read(run.file)).to == run.to
    end,
  },

  step "Hand the pager to {to}" {
    id     = "pager",
    manual = "Point the pager's schedule at {to}, and wait for the test page to arrive.",
    irreversible = "{to} is on call",
  },
}
