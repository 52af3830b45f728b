-- Somebody is paged while the server is RED, and the page closes when it is not.
--
--   */5 * * * *  runbook run pager.lua --yes

local erp = system "school_erp"

local dedup = "school-erp-red"   -- one incident, however often this runs

local function colour ()
  return erp.http:get("/health/golive", { timeout = "10s" }):json().overallHealth
end

return runbook {
  title  = "Page for RED",
  system = "school_erp",
  impact = "Somebody is woken.",
  limits = { notices = 1 },

  case "page" {
    title = "Page somebody",
    when  = function () local is = colour() return is == "RED", "the health is " .. is end,

    step "Open the incident" {
      notify = function ()
        pagerduty.trigger { summary = "School ERP is RED", severity = "critical", dedup = dedup,
                            details = { alerts = erp.http:get("/health/golive/alerts"):json() } }
      end,
      retry = { times = 3, every = "2s" },
    },
  },

  case "close" {
    title = "Close the page",
    when  = function () local is = colour() return is ~= "RED", "the health is " .. is end,

    step "Close the incident" {
      notify = function () pagerduty.resolve { dedup = dedup } end,
      retry = { times = 3, every = "2s" },
    },
  },
}
