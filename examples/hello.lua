-- The smallest runbook that is worth reading: it looks, and tells.
--
--   runbook run examples/hello.lua name=Kim

return runbook {
  title    = "Hello",
  use_when = "You have just installed runbook and want to see it work.",
  impact   = "None: it changes nothing.",
  params   = {
    name = { "string", default = "world", help = "whom to greet" },
  },

  step "Who is there?" {
    probe = function (run)
      run.greeting = "hello, " .. run.name
      run:note("%s", run.greeting)
      run:finding("greeting", run.greeting, "ok")
      run:finding("time", time.format(time.now()))
    end,
    verify = function (run)
      return expect(#run.greeting > #"hello, ", "somebody to greet")
    end,
  },
}
