-- One step, one look: the least that a run can be. Its tape is durable.

return runbook {
  title    = "One step",
  use_when = "A benchmark asks how long a run takes that does almost nothing.",
  impact   = "None: it only looks.",

  step "Is the host there?" {
    probe = function () file.stat "/etc/hostname" end,
  },
}
