-- What maintenance_page.lua has to do, in a world of its own:
--
--   runbook test examples/maintenance_page.lua

local page = "/srv/www/maintenance.html"

return tests {
  params = { page = page, message = "Back at four." },

  test "puts the page up" {
    world  = { files = {} },
    expect = {
      cases   = { "up" },
      effects = { "file.write create /srv/www/maintenance.html" },
      world   = { files = { [page] = like "<p>Back at four." } },
      undo    = true,
    },
  },

  test "leaves a page alone that is up already" {
    world  = { files = { [page] = "<p>up</p>" } },
    expect = { cases = {}, effects = {}, notes = { "it is up already" } },
  },

  test "shows the page in a dry run, and does not write it" {
    mode   = "dry-run",
    world  = { files = {} },
    expect = {
      status  = "planned",
      steps   = { ["write-the-page"] = { status = "planned", verify = "passed" } },
      effects = { { "file.write", verdict = "would do" } },
      world   = { files = { [page] = false } },
    },
  },

  test "takes it down when asked" {
    case   = "down",
    world  = { files = { [page] = "<p>up</p>" } },
    expect = {
      effects = { "file.remove" },
      world   = { files = { [page] = false } },
      undo    = true,
    },
  },
}
