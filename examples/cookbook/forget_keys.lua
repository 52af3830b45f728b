-- Keys that begin with a prefix are deleted, and no others.
--
--   runbook run forget_keys.lua prefix=cache:dashboard: -n

local erp = system "school_erp"

local kept = { "bull:", "tenant:" }   -- queues, and schools that are away: never by prefix

local function found (run)
  local pattern = run.prefix:gsub("[%*%?%[%]\\]", "\\%0") .. "*"   -- a prefix is no pattern
  return erp.redis:scan(pattern)
end

return runbook {
  title  = "Forget keys",
  system = "school_erp",
  impact = "What the keys held is worked out anew; undo brings it back.",
  limits = { redis_keys = 50 },
  params = { prefix = { "string", required = true, help = "how the keys begin" } },

  step "Which keys are there?" {
    probe = function (run)
      expect(#run.prefix >= 4, "a prefix of at least four characters")
      run.keys = found(run)
      for _, key in ipairs(run.keys) do
        for _, prefix in ipairs(kept) do
          if key:sub(1, #prefix) == prefix then run:fail("%s has to stay", key) end
        end
      end
      run:finding("keys that begin with " .. run.prefix, #run.keys)
    end,
  },

  step "Delete them, and nothing else" {
    when   = function (run) return #run.keys > 0, "there are none" end,
    remedy = function (run) erp.redis:del(run.keys) end,
    verify = function (run) return not erp.redis:exists(run.keys[1]) end,
  },
}
