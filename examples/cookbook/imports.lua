-- A switch of the configuration, turned off for a while and on again.
--
--   runbook run imports.lua                off, where it is on
--   runbook run imports.lua --case on

local polaris = system "polaris"
local imports = require "feature" (polaris, "pathful_imports")

-- what the application itself says, not what we have set
local function enabled () return polaris.http:get("/features/pathful_imports"):json().enabled end

return runbook {
  title    = "Pathful imports",
  system   = "polaris",
  use_when = "The imports have to stand still for a while.",
  impact   = "Sheets stay in the inbox until the imports are on again.",
  lock     = "pathful_imports",

  case "off" {
    title = "Turn them off",
    when  = function ()
      local on = imports:is_on()
      return on, imports:where() .. (on and " is on" or " is off already")
    end,

    step "Turn the imports off" {
      remedy = function () imports:turn_off() end,
      verify = function () return expect(enabled() == false, "Polaris says that they are off") end,
    },
  },

  case "on" {
    title = "Turn them on again",
    when  = "asked",

    step "Turn the imports on" {
      remedy = function () imports:turn_on() end,
      verify = function () return expect(enabled() == true, "Polaris says that they are on") end,
    },
  },
}
