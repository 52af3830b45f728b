-- magic_link_parts.lua - what the magic-link runbook asks the database, and what it writes there
--
-- Tokens stay where they are: what is shown and kept is a fingerprint, the first
-- twelve hexadecimal digits of the token's MD5, as the audit log has it.

local polaris = system "polaris"
local names, settings = polaris.schema, polaris.settings

local links = {}

-- a setting that no page gives; without it the run ends before it has changed anything
function links.setting (name)
  if settings[name] == nil then
    error(text.render("the setting {name} of the system polaris is missing ({means})",
                      { name = name, means = names.settings[name] }), 0)
  end
  return settings[name]
end

-- the teacher of that normalised address, active ones first; nil where there is none
function links.teacher (email)
  return polaris.pg:row([[
    SELECT id, name, email, district, building, active FROM :"roster"
     WHERE lower(btrim(email)) = :email ORDER BY active DESC, id LIMIT 1]], { email = email })
end

-- active teachers whose address is nearly this one, the nearest first
function links.alike (email)
  local found = {}
  for _, row in ipairs(polaris.pg:query([[
    SELECT id, name, lower(btrim(email)) AS email FROM :"roster"
     WHERE active AND lower(btrim(email)) <> :email ORDER BY id]], { email = email })) do
    row.alike = text.similarity(row.email, email)
    if row.alike >= names.alike then found[#found + 1] = row end
  end
  table.sort(found, function (a, b) return a.alike > b.alike end)
  return found
end

-- the last link, or nil; its state is valid, expired, used or revoked
function links.last_link (email)
  return polaris.pg:row([[
    SELECT left(md5(token), 12) AS fingerprint, teacher_id, created_at, expires_at, used_at,
           CASE WHEN revoked_at IS NOT NULL THEN 'revoked' WHEN used_at IS NOT NULL THEN 'used'
                WHEN expires_at <= now() THEN 'expired' ELSE 'valid' END AS state
      FROM :"links" WHERE lower(btrim(email)) = :email
     ORDER BY created_at DESC, token LIMIT 1]], { email = email })
end

-- the last mail with a link, or nil
function links.last_mail (email)
  return polaris.pg:row([[
    SELECT message_id, status, error, sent_at FROM :"deliveries"
     WHERE lower(btrim(recipient)) = :email AND kind = 'magic_link'
     ORDER BY sent_at DESC, message_id LIMIT 1]], { email = email })
end

-- the last line of the audit log of that action about this address, or nil
function links.last_audit (action, email)
  return polaris.pg:row([[
    SELECT at, detail FROM :"audit" WHERE action = :action AND lower(btrim(detail->>'email')) = :email
     ORDER BY at DESC, id DESC LIMIT 1]], { action = action, email = email })
end

-- Links that are bound to another teacher than their e-mail's. Where the roster had that
-- address when the link was made, and it was corrected since, the audit log says so.
function links.misbound ()
  return polaris.pg:query([[
    SELECT left(md5(l.token), 12) AS token, lower(btrim(l.email)) AS email, l.teacher_id,
           lower(btrim(t.email)) AS bound_to, l.created_at, l.used_at, l.revoked_at,
           l.revoked_at IS NULL AND l.used_at IS NULL AND l.expires_at > now() AS live
      FROM :"links" l LEFT JOIN :"roster" t ON t.id = l.teacher_id
     WHERE lower(btrim(t.email)) IS DISTINCT FROM lower(btrim(l.email))
       AND NOT EXISTS (SELECT FROM :"audit" c WHERE c.action = :corrected
                          AND c.detail->>'from' = lower(btrim(l.email))
                          AND c.detail->>'teacher_id' = l.teacher_id::text)
     ORDER BY l.created_at, l.token]], { corrected = names.corrected })
end

-- who saw whose data and when: links that were opened and showed another teacher's
function links.views ()
  return polaris.pg:query([[
    SELECT a.at, lower(btrim(a.detail->>'email')) AS who, lower(btrim(t.email)) AS whose,
           t.name, a.detail->>'token' AS token, a.detail->>'ip' AS ip
      FROM :"audit" a LEFT JOIN :"roster" t ON t.id::text = a.detail->>'teacher_id'
     WHERE a.action = :opened
       AND lower(btrim(t.email)) IS DISTINCT FROM lower(btrim(a.detail->>'email'))
       AND NOT EXISTS (SELECT FROM :"audit" c WHERE c.action = :corrected
                          AND c.detail->>'from' = lower(btrim(a.detail->>'email'))
                          AND c.detail->>'teacher_id' = a.detail->>'teacher_id')
     ORDER BY a.at, a.id]], { opened = names.opened, corrected = names.corrected })
end

-- requests whose values no form sends: quotes, comments, statements
function links.odd_requests ()
  return polaris.pg:query([[
    SELECT at, action, actor, detail::text AS detail FROM :"audit"
     WHERE action IN (:asked, :refused, :opened)
       AND detail::text ~* :pattern
     ORDER BY at, id]], { asked = names.asked, refused = names.refused, opened = names.opened,
                          pattern = names.odd_pattern })
end

-- how much of the mail came back in the last day: of all, and of one domain
function links.bounces (domain)
  return polaris.pg:row([[
    SELECT count(*) AS mails,
           count(*) FILTER (WHERE status = 'bounced') AS bounced,
           count(*) FILTER (WHERE lower(split_part(recipient, '@', 2)) = :domain) AS domain_mails,
           count(*) FILTER (WHERE lower(split_part(recipient, '@', 2)) = :domain
                              AND status = 'blocked') AS domain_blocked
      FROM :"deliveries" WHERE sent_at > now() - :window::interval]],
    { domain = domain, window = names.bounces_over })
end

-- remedy: one transaction that revokes what is left of the teacher's links and makes a new one,
-- bound to whoever has that address on the roster then; without one it fails as a whole
function links.regenerate (it)
  polaris.pg:transaction(function (tx)
    tx:exec([[UPDATE :"links" SET revoked_at = now() WHERE lower(btrim(email)) = :email
                 AND used_at IS NULL AND revoked_at IS NULL]], { email = it.email })
    tx:exec([[INSERT INTO :"links" (token, email, teacher_id, created_at, expires_at)
              VALUES (:token, :email, (SELECT id FROM :"roster" WHERE lower(btrim(email)) = :email AND active),
                      now(), now() + make_interval(secs => :seconds))]],
            { token = it.token, email = it.email, seconds = it.seconds })
    tx:exec([[INSERT INTO :"audit" (action, actor, detail) VALUES (:action, :who,
              jsonb_build_object('email', :email::text, 'token', left(md5(:token::text), 12)))]],
            { action = names.regenerated, who = it.who, email = it.email, token = it.token })
  end)
end

return links
