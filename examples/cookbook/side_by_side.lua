-- Pages and certificates, all asked at the same time.
--
--   runbook run side_by_side.lua certificates=erp.example.org:443,mail.example.org:465

local erp = system "school_erp"

local pages = { "/health", "/health/ready", "/health/golive", "/health/queues" }

return runbook {
  title  = "Do all of them answer?",
  system = "school_erp",
  impact = "None: it only looks.",
  params = {
    certificates = { "string", default = "", help = "HOST:PORT, comma-separated" },
    days         = { "integer", default = 14, help = "so long a certificate has to last" },
  },

  step "What do the pages say?" {
    probe = function (run)
      local seen = run:each(pages, function (page)
        local answer, err = run:try(function () return erp.http:get(page, { timeout = "3s" }) end)
        return { said = answer and answer.status or err.message, ok = answer and answer:ok() }
      end)
      for i, page in ipairs(pages) do
        run:finding(page, seen[i].said, seen[i].ok and "ok" or "bad")
      end
    end,
  },

  step "How long are the certificates good?" {
    when  = function (run) return run.certificates ~= "", "none was named" end,
    probe = function (run)
      local places = {}
      for host, port in run.certificates:gmatch "([^,%s]+):(%d+)" do
        places[#places + 1] = { name = host .. ":" .. port, host = host, port = math.tointeger(port) }
      end
      local seen = run:each(places, function (at)
        local shown, err = run:try(function ()
          return net.certificate(at.host, at.port, { timeout = "5s" })
        end)
        return shown or { reason = err.message, problems = {} }
      end)
      for i, at in ipairs(places) do
        local it = seen[i]
        run:finding(at.name, it.reason or it.days .. " days left",
                    not it.verified and "bad" or it.days < run.days and "warn" or "ok")
      end
    end,
  },
}
