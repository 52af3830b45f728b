-- sessions_parts.lua - who is signed in, and signing them out; for who_is_in and sign_out

local erp = system "school_erp"
local names = erp.schema

local sessions = {}

-- schemas of the schools that are live
function sessions.schools ()
  return erp.pg:query [[
    SELECT schema_name AS name FROM public.:"registry" WHERE status = 'live' ORDER BY 1]]
end

function sessions.count (tenant)
  return erp.pg:value([[SELECT count(*) FROM :"tenant".:"sessions" WHERE is_active]], { tenant = tenant })
end

-- a step: everybody of run.tenant is signed out
function sessions.revoke (title)
  return step(title) {
    remedy = function (run)
      erp.pg:exec([[
        UPDATE :"tenant".:"sessions" SET is_active = false, revoked_at = now(), revoke_reason = :reason
         WHERE is_active]], { tenant = run.tenant, reason = names.reason })
    end,
    verify = function (run) return sessions.count(run.tenant) == 0 end,
    irreversible = "they sign in again",
  }
end

return sessions
