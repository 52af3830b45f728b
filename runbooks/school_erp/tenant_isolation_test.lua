-- What tenant_isolation.lua has to do, in a world of its own:
--
--   runbook test runbooks/school_erp/tenant_isolation.lua

local school  = "greenwood_high"
local blocked = "tenant:blocked:greenwood_high"

-- its own sessions, and whether it is served: the remedies change both
local active, offline = 3, false

return tests {
  params = { tenant = school },

  world = {
    school_erp = {
      settings = { school_names = { [school] = { school = "Greenwood High" } } },
      redis  = {},
      dotenv = { DISABLED_TENANTS = "old_school" },
      http   = {
        ["GET /health/golive/tenant/greenwood_high"] = { json = { overallHealth = "RED" } },
        ["GET /t/greenwood_high/dashboard"] = function () return offline and 503 or 200 end,
        ["GET /t/*/dashboard"] = 200,
        ["GET /health/ready"] = { 503, 503, 200 },
      },
      pg = {
        ["FROM information_schema.schemata"] = { value = 1 },
        ["FROM public.schools"] = { rows = { { tenant = "st-marys" }, { tenant = "valley_view" } } },
        ["SELECT count(*) FROM greenwood_high.user_sessions"] = function () return active end,
        ["UPDATE greenwood_high.user_sessions"] = {
          affected = 3, does = function () active, offline = 0, true end,
        },
      },
      service = { state = "online", restarts = 4 },
    },
  },

  test "takes the school offline" {
    expect = {
      cases   = { "isolate" },
      effects = {
        "redis.set tenant:blocked:greenwood_high true",
        "dotenv.add greenwood_high to DISABLED_TENANTS",
        { "pg.exec UPDATE matches 3 rows", rows = 3 },
      },
      findings = {
        ["health of greenwood_high"] = { "RED", "bad" },
        ["message to the school's admin"] = like "maintenance for Greenwood High * Expected downtime: 60 minutes",
      },
      world = {
        school_erp = {
          redis  = { [blocked] = expiring("true", "1h") },
          dotenv = { DISABLED_TENANTS = "old_school,greenwood_high" },
        },
      },
      undo = true,
    },
  },

  test "says what it would do, and does nothing" {
    mode   = "dry-run",
    expect = {
      steps = {
        ["block-its-traffic"]          = { status = "planned", verify = "passed" },
        ["disable-its-queues"]         = "planned",
        ["revoke-its-active-sessions"] = { status = "planned", verify = "deferred" },
      },
      effects = {
        { "redis.set", verdict = "would do", after = "true" },
        { "dotenv.add", verdict = "would do" },
        { "pg.exec", verdict = "would do", rows = 3, undo = like "irreversible" },
      },
      world = { school_erp = { redis = { [blocked] = false } } },
    },
  },

  test "stops when another school is not served" {
    world  = { school_erp = { http = { ["GET /t/valley_view/dashboard"] = 502 } } },
    expect = {
      exit  = 1,
      error = { kind = "expect", message = "valley_view is still served" },
      steps = { ["is-it-offline-and-are-the-others-served"] = { verify = "failed" } },
    },
  },

  test "knows no such school" {
    world  = { school_erp = { pg = { ["FROM information_schema.schemata"] = 0 } } },
    expect = { exit = 1, error = { kind = "fail", message = "there is no school" }, effects = {} },
  },

  test "leaves a school alone that is blocked already" {
    world  = { school_erp = { redis = { [blocked] = "true" } } },
    expect = { cases = {}, effects = {}, notes = { "its traffic is blocked already" } },
  },

  test "needs the approval of a senior engineer" {
    approvals = {},
    expect    = { exit = 3, error = "approval", effects = {} },
  },

  test "brings it back, and waits until the server is ready" {
    case   = "reenable",
    world  = { school_erp = { redis = { [blocked] = "true" }, dotenv = { DISABLED_TENANTS = school } } },
    expect = {
      effects = { "redis.del", "dotenv.remove", "service.restart" },
      world   = {
        school_erp = {
          redis = { [blocked] = false }, dotenv = { DISABLED_TENANTS = "" },
          service = { state = "online", restarts = 5 },
        },
      },
    },
  },

  test "is in doubt when Redis does not answer" {
    world = {
      fails = { ["redis.set tenant:*"] = { kind = "io", message = "no answer", certainty = "unknown" } },
    },
    expect = { exit = 6, status = "in-doubt", steps = { ["block-its-traffic"] = "in-doubt" } },
  },

  test "shows the ten largest tables when asked" {
    case   = "investigate",
    world  = { school_erp = { pg = { ["FROM pg_class"] = { rows = { { table = "grades", size = "2 GB" } } } } } },
    expect = { findings = { grades = "2 GB" } },
  },
}
