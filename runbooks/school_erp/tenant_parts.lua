-- tenant_parts.lua - one school: is it known, is it served, is it ready; the mails to its admin

local erp = system "school_erp"
local names = erp.schema

local tenant = {}

function tenant.dashboard (name)
  return erp.http:get(names.dashboard, { path = { tenant = name } })
end

-- "blocked", "in maintenance", or nil where it is served like any other
function tenant.away (name)
  if erp.redis:get(text.render(names.blocked, { tenant = name })) then return "blocked" end
  if erp.redis:get(text.render(names.maintenance, { tenant = name })) then return "in maintenance" end
end

-- true, or fails: every other school that the database knows is served, but for those
-- taken away on purpose
function tenant.others_served (run)
  local schools = erp.pg:query(
    [[SELECT schema_name AS tenant FROM public.:"registry" WHERE schema_name <> :tenant
       ORDER BY schema_name]], { tenant = run.tenant })
  local fine = run:each(schools, function (school)
    return tenant.dashboard(school.tenant):ok() or tenant.away(school.tenant) ~= nil
  end)
  for i, school in ipairs(schools) do expect(fine[i], school.tenant .. " is still served") end
  return true
end

function tenant.active_sessions (run)
  return erp.pg:value([[SELECT count(*) FROM :"tenant".:"sessions" WHERE is_active]],
                      { tenant = run.tenant })
end

-- the step that throws its people out; the reason stands beside each session
function tenant.revoke_sessions (title, reason)
  return step(title) {
    remedy = function (run)
      erp.pg:exec([[
        UPDATE :"tenant".:"sessions"
           SET is_active = false, revoked_at = now(), revoke_reason = :reason
         WHERE is_active]], { tenant = run.tenant, reason = reason })
    end,
    verify = function (run) return tenant.active_sessions(run) == 0 end,
    irreversible = "people of {tenant} sign in again once it is back",
  }
end

-- { school =, admin = } of the settings; empty where they do not know it
function tenant.school (name) return (erp.settings.school_names or {})[name] or {} end

-- the mail that announces a time without service; `lasts` is a duration
function tenant.letter_text (lasts)
  return text.render([[
Dear School Admin,

We are performing emergency maintenance on your school's system.
Expected downtime: {minutes} minutes.
All your data is safe and secure.
We will notify you when service is restored.

— Engineering Team]], { minutes = math.ceil(time.seconds(lasts) / 60) })
end

-- its subject
function tenant.letter_subject (name)
  return "Scheduled maintenance for " .. (tenant.school(name).school or name)
end

-- asks the program of the settings whether the school is ready; true, or false and why not
function tenant.ready (run)
  local words = erp.settings.preflight
  if not words then
    run:fail("the configuration has no settings.preflight: an argv, to which the schema is added")
  end
  local argv = table.move(words, 1, #words, 1, {})
  argv[#argv + 1] = run.tenant
  argv.timeout = "2m"
  local answer = exec.probe(argv)
  run:evidence("preflight", answer.stdout .. answer.stderr)
  run:finding("preflight", answer.code == 0 and "ready" or "not ready", answer.code == 0 and "ok" or "bad")
  return answer.code == 0, answer.stdout:match("FAILED[^\n]*") or answer.stderr:match("[^\n]+")
                           or "exit code " .. answer.code
end

return tenant
