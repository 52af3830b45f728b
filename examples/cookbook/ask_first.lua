-- A person is asked, and the answer decides and is kept.
--
--   runbook run ask_first.lua tenant=riverside
--   runbook run ask_first.lua tenant=riverside --answers answers.json, with
--     { "when": "now", "who": "the principal", "told": "done" }

local erp = system "school_erp"

local function signed_in (run)
  return erp.pg:value([[SELECT count(*) FROM :"tenant".user_sessions WHERE is_active]], run)
end

return runbook {
  title  = "Sign everybody out, with the school's word",
  system = "school_erp",
  impact = "All people of the school sign in again.",
  limits = { pg_rows = 5000 },
  params = { tenant = { "identifier", required = true, help = "schema of the school" } },

  step "How many are signed in?" {
    probe = function (run) run:finding("signed in at " .. run.tenant, signed_in(run)) end,
  },

  step "What does the school say?" {
    probe = function (run)
      run.agreed = run:choose { id = "when", question = "May all of them be signed out?",
                                choices = { "now", "not today" } }
      if run.agreed == "now" then
        run.who = run:ask { id = "who", question = "Who of the school said so?" }
      end
    end,
  },

  step "Sign them out" {
    when   = function (run) return run.agreed == "now", "the school says: not today" end,
    remedy = function (run)
      erp.pg:exec([[
        UPDATE :"tenant".user_sessions SET is_active = false, revoked_at = now(), revoke_reason = :reason
         WHERE is_active]], { tenant = run.tenant, reason = "agreed with " .. run.who })
    end,
    verify = function (run) return signed_in(run) == 0 end,
    irreversible = "they sign in again",
  },

  step "Tell the school" {
    id     = "told",
    when   = function (run) return run.agreed == "now", "nobody was signed out" end,
    manual = "Call the office of {tenant}: everybody may sign in again.",
  },
}
