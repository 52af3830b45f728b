-- One step for each school: each is selected, resumed and taken back by itself.
--
--   runbook run each_school.lua -n
--   runbook run each_school.lua --only announce-riverside

local erp = system "school_erp"

local function key (tenant) return "tenant:maintenance:message:" .. tenant end

-- a step: the text of one school
local function announce (tenant, school)
  return step("Tell " .. school.school) {
    id     = "announce-" .. tenant,
    remedy = function (run) erp.redis:set(key(tenant), run.message, { ex = run.lasts }) end,
    verify = function (run) return erp.redis:get(key(tenant)) == run.message end,
  }
end

-- which schools there are is known before anything is run: the settings say it
local steps = { step "Does Redis answer?" { probe = function () erp.redis:ping() end } }
for tenant, school in pairs(erp.settings.school_names or {}) do
  steps[#steps + 1] = announce(tenant, school)
end

return runbook {
  title  = "Announce an hour without service",
  system = "school_erp",
  impact = "None: people read it only while their school is in maintenance.",
  limits = { redis_keys = 20 },
  params = {
    message = { "string", default = "We are back at six.", help = "what people read" },
    lasts   = { "duration", default = "2h", help = "how long the text is kept" },
  },

  table.unpack(steps),
}
