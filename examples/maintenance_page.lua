-- Put up a maintenance page, and take it down again.
--
-- The web server of this example shows a page as long as its file exists. The
-- dry run shows the file as it would be.
--
--   runbook run examples/maintenance_page.lua page=/srv/www/maintenance.html -n

local function is_up (run) return file.stat(run.page) ~= nil end

local function html (run)
  return "<!doctype html><title>Maintenance</title><p>" .. run.message .. "</p>\n"
end

return runbook {
  title    = "Maintenance page",
  use_when = "People should see why the site is away, and until when.",
  impact   = "Visitors see the page in place of the site.",
  lock     = "maintenance:{page}",
  limits   = { files = 1 },
  params   = {
    page    = { "path", required = true, help = "the file that the server looks for" },
    message = { "string", default = "We are back in an hour.", help = "what people read" },
  },

  case "up" {
    title = "Put it up",
    when  = function (run)
      return not is_up(run), is_up(run) and "it is up already" or "it is not up"
    end,

    step "Write the page" {
      remedy = function (run) file.write(run.page, html(run)) end,
      verify = function (run)
        return expect(file.read(run.page) == html(run), "the page as it was written")
      end,
    },
  },

  case "down" {
    title = "Take it down",
    when  = "asked",

    step "Remove the page" {
      remedy = function (run) file.remove(run.page) end,
      verify = function (run) return not is_up(run) end,
    },
  },
}
