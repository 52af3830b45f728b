-- The dashboard of a school is wrong: is it old, or is it stuck? The data decide.
--
--   runbook run two_causes.lua tenant=greenwood_high -n

local erp = system "school_erp"

local function key (run) return "cache:dashboard:" .. run.tenant end

-- students as the cache has them, and as the database has them
local function students (run)
  local cached = erp.redis:get(key(run))
  return cached and json.decode(cached).students,
         erp.pg:value([[SELECT count(*) FROM :"tenant".students WHERE active]], run)
end

local function stuck (run)
  return erp.pg:value([[SELECT count(*) FROM :"tenant".jobs WHERE status = 'failed']], run)
end

return runbook {
  title    = "A dashboard shows wrong numbers",
  system   = "school_erp",
  use_when = "A school says that its dashboard is wrong.",
  impact   = "None for others.",
  params   = { tenant = { "identifier", required = true, help = "schema of the school" } },

  case "stale" {
    title = "Its numbers are old",
    when  = function (run)
      local cached, real = students(run)
      return cached ~= nil and cached ~= real,
             text.render("cached {cached}, counted {real}", { cached = cached or "nothing", real = real })
    end,

    step "Forget the cached numbers" {
      remedy = function (run) erp.redis:del(key(run)) end,
      verify = function (run)
        local answer = erp.http:get("/t/{tenant}/dashboard", { path = run }):json()
        local _, real = students(run)
        return expect(answer.numbers.students == real, "the dashboard shows what is there")
      end,
    },
  },

  case "stuck" {
    title = "Its jobs have failed",
    when  = function (run)
      local n = stuck(run)
      return n > 10, n .. " jobs have failed, 10 may"
    end,

    step "Try them again" {
      remedy = function (run)
        erp.pg:exec([[UPDATE :"tenant".jobs SET status = 'waiting', error = NULL
                       WHERE status = 'failed']], run)
      end,
      verify = function (run) return stuck(run) == 0 end,
      irreversible = "jobs that were tried again are not untried",
    },
  },
}
