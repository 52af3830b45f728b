-- Teachers and their magic links: no mail, not found, no longer good, or the wrong data.
--
-- Which of the four it is comes from the data (or from --case) and is shown with its
-- evidence. When somebody sees another teacher's data, the route is turned off before
-- anything is looked at, without a question, and nothing here turns it on again but
-- the case that is asked for by name: a failure later in the run leaves it off.
--
-- The page says to disable the route "if possible" and leaves open how: it is a
-- switch of the settings. It also leaves open who is told and how long a link is good.

local polaris = system "polaris"
local names = polaris.schema
local links = require "magic_link_parts"
local route = require "feature" (polaris, "magic_link")

local function clock (t) return time.format(t, "%Y-%m-%d %H:%M") .. " UTC" end
local function domain (email) return email:match("@(.*)$") end
local function percent (n, of) return of > 0 and 100 * n / of or 0 end

local function fingerprints (rows)
  local list = {}
  for i, row in ipairs(rows) do list[i] = row.token end
  return list
end

-- -- which case is it? ---------------------------------------------------------------------

-- the first that the data say, gravest first: id, and by what
local function diagnose (email)
  for _, it in ipairs(links.misbound()) do
    if not it.revoked_at and (it.email == email or it.bound_to == email) then
      return "wrong_data", text.render("link {token} of {email} is bound to {bound_to}", {
        token = it.token, email = it.email, bound_to = it.bound_to or "nobody" })
    end
  end
  local teacher = links.teacher(email)
  if not teacher then return "not_found", "the roster has no " .. email end
  if not teacher.active then return "not_found", email .. " is on the roster, and not active" end
  local mail, link = links.last_mail(email), links.last_link(email)
  if mail and mail.status ~= "delivered" and mail.status ~= "queued" then
    return "not_received", text.render("the mail of {at} is {status}: {error}", {
      at = clock(mail.sent_at), status = mail.status, error = mail.error or "no reason given" })
  end
  if not link then return "not_received", "there is no link of this teacher, and no mail" end
  local refused = links.last_audit(names.refused, email)
  if link.state == "expired" then return "expired", "the last link ran out at " .. clock(link.expires_at) end
  if refused and refused.at > link.created_at then
    return "expired", text.render("the last link was refused at {at}: {reason}",
      { at = clock(refused.at), reason = refused.detail.reason or "no reason given" })
  end
  return "none", text.render("the last link, of {at}, is {state}, and its mail was delivered",
    { at = clock(link.created_at), state = link.state })
end

local function when (id)
  return function (run) return run.diagnosis == id, run.because end
end

-- -- steps that several cases share ----------------------------------------------------------

local function new_link (id)
  return step "Make a new link, and revoke the old ones" {
    id = id .. "-link",
    probe = function (run)
      run.lifetime = links.setting "link_lifetime"
      run.seconds = time.seconds(run.lifetime)
      run.token = token.hex(names.token_bytes)
      run:finding("the new link is good for", run.lifetime)
    end,
    remedy = function (run)
      links.regenerate { email = run.teacher, token = run.token, seconds = run.seconds, who = run.operator }
    end,
    verify = function (run)
      local kept = polaris.pg:row([[
        SELECT expires_at > now() AND expires_at <= now() + make_interval(secs => :seconds) AS limited,
               length(token) >= 2 * :bytes AS long,
               teacher_id = (SELECT id FROM :"roster" WHERE lower(btrim(email)) = :teacher AND active) AS own
          FROM :"links" WHERE token = :token]],
        { token = run.token, seconds = run.seconds, bytes = names.token_bytes, teacher = run.teacher })
      expect(kept, "the new link is there")
      expect(kept.limited, "the new link is good for " .. run.lifetime .. " at most")
      expect(kept.long, "the new link cannot be guessed")
      return expect(kept.own, "the new link is bound to the teacher")
    end,
    undo = function (run)
      polaris.pg:exec([[UPDATE :"links" SET revoked_at = now()
        WHERE token = :token AND revoked_at IS NULL]], { token = run.token })
    end,
    irreversible = "the new link stays, revoked, and so do its lines in the audit log",
  }
end

-- only a teacher of the roster gets a link; whoever is none is another case
local function on_roster (id)
  return step "Is the teacher on the roster, and active?" {
    id = id .. "-roster",
    probe = function (run)
      local teacher = links.teacher(run.teacher)
      if not teacher then run:fail("%s is not on the roster: see --case not_found", run.teacher) end
      if not teacher.active then run:fail("%s is not active: see --case not_found", run.teacher) end
      run:finding("teacher", text.render("{name}, {building}, {district}", teacher))
    end,
  }
end

local function has_access (id)
  return step "Does the new link give access, and to nothing else?" {
    id = id .. "-access",
    verify = function (run)
      local answer = polaris.http:get(names.link_check, { path = { token = run.token } })
      expect(answer:ok(), "the link is known to the application (status " .. answer.status .. ")")
      local seen = answer:json()
      expect(seen.state == "valid", "the link is valid (it is " .. tostring(seen.state) .. ")")
      return expect(seen.teacher_id == links.teacher(run.teacher).id and seen.email == run.teacher,
                    "the link shows " .. run.teacher .. " and nobody else")
    end,
  }
end

local function letter (run)
  return text.render([[
Hello,

here is your new link to Polaris. It is for you alone, works once, and is good for {lifetime}:

{link}

Links that you had before do not work any more. If you did not ask for one, tell us.

The Polaris team
]], { lifetime = run.lifetime, link = text.render(links.setting "link_url", { token = run.token }) })
end

local function send_link (id)
  return step "Send the link to the teacher" {
    id = id .. "-send",
    notify = function (run)
      mail.send { to = run.teacher, subject = "Your new link to Polaris", text = letter(run) }
    end,
    retry = { times = 2, every = "5s" },
  }
end

-- what leadership is told: what was seen, by whom, when, and what is off
local function alarm (run)
  local lines = {}
  for i, it in ipairs(run.views) do
    if i > names.told then
      lines[i] = "and " .. #run.views - names.told .. " more"
      break
    end
    lines[i] = text.render("{at}: {who} saw {whose}", { at = clock(it.at), who = it.who or "somebody",
                                                        whose = it.whose or "nobody" })
  end
  return text.render([[
SEV1 security incident: magic links showed the data of other teachers.

The magic-link route is off since this run began ({run}, {who}). It stays off until the cause is mended.

Links bound to the wrong teacher: {links}
Views of other teachers' data: {views}
{list}

Treat it as the incident response says; the evidence goes to {file}.
]], { run = run.id, who = run.operator, links = #run.misbound, views = #run.views, file = run.file,
      list = table.concat(lines, "\n") })
end

return runbook {
  title    = "Magic link",
  system   = "polaris",
  use_when = "A teacher got no e-mail, is not found, has a link that shows an error, or sees somebody else's data.",
  impact   = "A new link for one teacher, the old ones revoked. Wrong data: no magic link works until it is clear why.",
  limits   = { pg_rows = 1000, redis_keys = 1, files = 2, http_writes = 1, notices = 2 },

  step "Which case is it?" {
    diagnose = true,
    probe = function (run)
      run.diagnosis, run.because = diagnose(run.teacher)
      if run.diagnosis == "none" then
        run:finding("case", "none: " .. run.because, "ok")
      end
    end,
  },

  -- A ------------------------------------------------------------------------------------

  case "not_received" {
    title  = "The e-mail did not arrive",
    when   = when "not_received",
    lock   = "magic_link:{teacher}",
    params = { teacher = { "email", required = true, help = "the teacher's address" } },

    step "Was the request logged, and a mail generated?" {
      probe = function (run)
        run:finding("case", "not_received")
        local asked, mail = links.last_audit(names.asked, run.teacher), links.last_mail(run.teacher)
        local link = links.last_link(run.teacher)
        run:finding("request", asked and "logged at " .. clock(asked.at)
          or "not logged: investigate how requests are handled", asked and "ok" or "bad")
        run:finding("link", link and "generated at " .. clock(link.created_at)
          or "none was generated", link and "ok" or "bad")
        run:finding("mail", mail and text.render("{status} at {at}{error}", {
          status = mail.status, at = clock(mail.sent_at), error = mail.error and ": " .. mail.error or "" })
          or "none was sent", mail and mail.status == "delivered" and "ok" or "bad")
        run.bounced = mail ~= nil and mail.status == "bounced"
      end,
    },

    step "Does mail come back, or is the domain blocked?" {
      probe = function (run)
        local n = links.bounces(domain(run.teacher))
        local rate = percent(n.bounced, n.mails)
        run:finding("bounce rate", string.format("%.1f %% of %d mails in %s, limit %d %%", rate, n.mails,
          names.bounces_over, names.bounce_percent), rate > names.bounce_percent and "bad" or "ok")
        local blocked = n.domain_mails >= names.blocked_least
          and percent(n.domain_blocked, n.domain_mails) >= names.blocked_percent
        run:finding("domain " .. domain(run.teacher), string.format("%d of %d mails blocked",
          n.domain_blocked, n.domain_mails), blocked and "bad" or "ok")
        if blocked then
          run:fail("%s takes no mail from us: have its administrators unblock the sender, then run this again",
                   domain(run.teacher))
        end
      end,
    },

    step "Is the mail provider up?" {
      probe = function (run)
        local is = polaris.http:get(names.provider):json()
        local up = is.status == "up"
        local detail = type(is.detail) == "string" and ": " .. is.detail or ""
        run:finding("mail provider", tostring(is.status) .. detail, up and "ok" or "bad")
        if not up then
          run:fail("the mail provider is down%s: a new mail would be lost, too; run this again once it is up", detail)
        end
      end,
    },

    step "Verify the address with the district" {
      id     = "verify-the-address",
      when   = function (run) return run.bounced, "nothing bounced" end,
      manual = "The mail to {teacher} bounced. Ask the district, not the address, whether it is right and takes mail. "
            .. "Right: done. Another address: not done, and run --case not_found replace={teacher} teacher=ADDRESS.",
    },

    on_roster "not-received",
    new_link "not-received",
    has_access "not-received",
    send_link "not-received",
  },

  -- B ------------------------------------------------------------------------------------

  case "not_found" {
    title  = "The teacher is not found, or not eligible",
    when   = when "not_found",
    lock   = "magic_link:{teacher}",
    params = {
      teacher  = { "email", required = true, help = "the teacher's address" },
      replace  = { "email", help = "the wrong address that stands on the roster in its place" },
      name     = { "string", default = "", help = "to add the teacher: first and last name" },
      district = { "string", default = "", help = "to add the teacher: the district" },
      building = { "string", default = "", help = "to add the teacher: the school" },
      activate = { "boolean", default = false, help = "make a teacher active again who is not" },
    },

    step "Is the teacher on the roster, under any address?" {
      probe = function (run)
        run:finding("case", "not_found")
        local found = links.teacher(run.teacher)
        local given, replace = pcall(function () return run.replace end)
        run.wrong = given and links.teacher(replace) or false
        if given and not run.wrong then run:fail("the roster has no %s either", replace) end
        run:finding("on the roster", found and text.render("{name}, {building}, {district}", found)
          .. (found.active and "" or " (not active)") or "no", found and found.active and "ok" or "bad")
        for i, row in ipairs(found and {} or links.alike(run.teacher)) do
          if i > names.shown then break end
          run:finding("nearly this", text.render("{name}, {email}: if it is the same teacher, replace={email}", row), "warn")
        end
        run.found = found or false
        run.deed = found and (found.active and "none" or "activate") or run.wrong and "correct" or "add"
        if run.deed == "activate" and not run.activate then
          run:fail("%s is not active: ask the district, and if that is wrong, activate=yes", run.teacher)
        elseif run.deed == "correct" and run.found then
          run:fail("%s is on the roster already", run.teacher)
        elseif run.deed == "add" and (run.name == "" or run.district == "" or run.building == "") then
          run:fail("%s is not on the roster: say replace=ADDRESS for one that is misspelt there, or name=, district= and building= to add it",
                   run.teacher)
        end
      end,
    },

    step "Correct the address on the roster" {
      when = function (run) return run.deed == "correct", "the roster has no wrong address" end,
      remedy = function (run)
        polaris.pg:transaction(function (tx)
          tx:exec([[UPDATE :"roster" SET email = :email WHERE id = :id]],
                  { email = run.teacher, id = run.wrong.id }, { rows = 1 })
          tx:exec([[INSERT INTO :"audit" (action, actor, detail) VALUES (:action, :who, jsonb_build_object(
                    'teacher_id', :id::bigint, 'from', lower(btrim(:old::text)), 'to', :email::text))]],
            { action = names.corrected, who = run.operator, id = run.wrong.id, old = run.wrong.email,
              email = run.teacher })
        end)
      end,
      verify = function (run) return expect(links.teacher(run.teacher), run.teacher .. " is on the roster") end,
      undo = function (run)
        polaris.pg:exec([[UPDATE :"roster" SET email = :email WHERE id = :id]],
                        { email = run.wrong.email, id = run.wrong.id })
      end,
    },

    step "Add the teacher to the roster" {
      when = function (run) return run.deed == "add", "the teacher is on the roster" end,
      remedy = function (run)
        polaris.pg:transaction(function (tx)
          tx:exec([[INSERT INTO :"roster" (email, name, district, building, status)
                    VALUES (:email, :name, :district, :building, 'Not Started')]],
                  { email = run.teacher, name = run.name, district = run.district, building = run.building })
          tx:exec([[INSERT INTO :"audit" (action, actor, detail) VALUES (:action, :who,
                    jsonb_build_object('email', :email::text))]],
                  { action = names.added, who = run.operator, email = run.teacher })
        end)
      end,
      verify = function (run) return expect(links.teacher(run.teacher), run.teacher .. " is on the roster") end,
      undo = function (run)
        polaris.pg:exec([[UPDATE :"roster" SET active = false WHERE lower(btrim(email)) = :email]],
                        { email = run.teacher })
      end,
    },

    step "Make the teacher active again" {
      when = function (run) return run.deed == "activate", "nobody has to be" end,
      remedy = function (run)
        polaris.pg:exec([[UPDATE :"roster" SET active = true WHERE id = :id AND NOT active]], { id = run.found.id })
      end,
      verify = function (run) return expect(links.teacher(run.teacher).active, run.teacher .. " is active") end,
      undo = function (run)
        polaris.pg:exec([[UPDATE :"roster" SET active = false WHERE id = :id AND active]], { id = run.found.id })
      end,
    },

    new_link "not-found",
    has_access "not-found",
    send_link "not-found",
  },

  -- C ------------------------------------------------------------------------------------

  case "expired" {
    title  = "The link shows an error",
    when   = when "expired",
    lock   = "magic_link:{teacher}",
    params = { teacher = { "email", required = true, help = "the teacher's address" } },

    step "How long was it good, and what happened to it?" {
      probe = function (run)
        run:finding("case", "expired")
        local link, refused = links.last_link(run.teacher), links.last_audit(names.refused, run.teacher)
        if not link then return run:finding("last link", "none", "bad") end
        run:finding("last link", text.render("made {made}, good until {until_}, {state}{used}", {
          made = clock(link.created_at), until_ = clock(link.expires_at), state = link.state,
          used = link.used_at and " (opened " .. clock(link.used_at) .. ")" or "" }),
          link.state == "valid" and "ok" or "bad")
        local lasted = time.parse(link.expires_at) - time.parse(link.created_at)
        local wanted = time.seconds(links.setting "link_lifetime")
        run:finding("its lifetime", string.format("%.0f h, configured are %.0f h", lasted / 3600, wanted / 3600),
                    math.abs(lasted - wanted) < 60 and "ok" or "warn")
        if refused then
          run:finding("last refusal", clock(refused.at) .. ": " .. tostring(refused.detail.reason), "warn")
        end
      end,
    },

    on_roster "expired",
    new_link "expired",
    has_access "expired",
    send_link "expired",
  },

  -- D ------------------------------------------------------------------------------------

  case "wrong_data" {
    title    = "Somebody sees another teacher's data",
    when     = when "wrong_data",
    severity = "SEV1",
    lock     = "magic_link",
    params   = { teacher = { "email", help = "who reported it, where it is known" } },

    step "Turn the magic-link route off" {
      remedy = function () route:turn_off() end,
      verify = function ()
        expect(not route:is_on(), route:where() .. " is off")
        local answer = polaris.http:get(names.link_check, { path = { token = names.link_none } })
        return expect(answer.status == 503, "the route answers 503 (it answers " .. answer.status .. ")")
      end,
      undo_when = "asked",
    },

    step "What is disabled, since when, by whom?" {
      probe = function (run)
        run:finding("case", "wrong_data")
        run:finding("severity", "SEV1: critical security incident", "bad")
        run:finding("disabled", route:where() .. " since " .. clock(time.now()) .. " by " .. run.operator)
      end,
    },

    step "Which links are bound to the wrong teacher?" {
      probe = function (run)
        run.misbound = links.misbound()
        run.unrevoked = 0
        for i, it in ipairs(run.misbound) do
          if not it.revoked_at then run.unrevoked = run.unrevoked + 1 end
          if i <= names.shown then
            run:finding("link " .. it.token, text.render("of {email}, bound to {bound_to}{live}", {
              email = it.email, bound_to = it.bound_to or "nobody", live = it.live and ", still good" or "" }), "bad")
          end
        end
        run:finding("links bound to the wrong teacher", #run.misbound, #run.misbound > 0 and "bad" or "ok")
      end,
    },

    step "Who saw whose data, and when?" {
      probe = function (run)
        run.views = links.views()
        for i, it in ipairs(run.views) do
          if i > names.shown then break end
          run:finding("seen " .. clock(it.at), text.render("{who} saw {whose}, from {ip}", {
            who = it.who or "somebody", whose = it.whose or "nobody", ip = it.ip or "an unknown address" }), "bad")
        end
        run:finding("views of other teachers' data", #run.views, #run.views > 0 and "bad" or "ok")
      end,
    },

    step "Has somebody tried with values that no form sends?" {
      probe = function (run)
        run.odd = links.odd_requests()
        for i, it in ipairs(run.odd) do
          if i > names.shown then break end
          run:finding("odd request " .. clock(it.at), it.action .. " " .. it.detail, "bad")
        end
        run:finding("requests with quotes, comments or SQL", #run.odd, #run.odd > 0 and "warn" or "ok")
      end,
    },

    step "Where is the evidence kept?" {
      probe = function (run)
        local folder = links.setting "evidence"
        local last = polaris.pg:value([[SELECT coalesce(max(id), 0) FROM :"audit"]])
        run.file = text.render("{folder}/magic-link-audit-{last}.json", { folder = folder, last = last })
        run:evidence("wrong data", { links = run.misbound, views = run.views, odd_requests = run.odd })
        run:finding("evidence", run.file)
      end,
    },

    step "Tell leadership" {
      notify = function (run)
        mail.send { to = links.setting "leadership", subject = "SEV1: magic links showed other teachers' data",
                    text = alarm(run) }
      end,
      retry = { times = 2, every = "5s" },
      on_failure = "continue",
    },

    step "Keep the evidence" {
      remedy = function (run)
        file.write(run.file, json.encode({ links = json.array(run.misbound), views = json.array(run.views),
          odd_requests = json.array(run.odd), disabled = route:where() }, { indent = 2 }) .. "\n", { mode = "0600" })
      end,
      verify = function (run) return expect(file.stat(run.file), run.file .. " is there") end,
      undo_when = "asked",
    },

    step "Revoke the links that are bound to the wrong teacher" {
      when = function (run) return run.unrevoked > 0, "all of them are revoked" end,
      remedy = function (run)
        polaris.pg:exec([[
          UPDATE :"links" l SET revoked_at = now()
           WHERE l.revoked_at IS NULL AND left(md5(l.token), 12) = ANY(:tokens)]],
          { tokens = fingerprints(run.misbound) }, { rows = run.unrevoked })
      end,
      verify = function ()
        for _, it in ipairs(links.misbound()) do expect(it.revoked_at, "link " .. it.token .. " is revoked") end
        return true
      end,
      irreversible = "their teachers get new links once the cause is known",
      undo_when = "asked",
    },

    step "Find out why" {
      id     = "find-the-cause",
      manual = "Look for the cause in the code of the route: is the token bound to the teacher's e-mail when it is made; "
            .. "is it validated against that e-mail when it is opened; does any query or query parameter take a value "
            .. "from the request unbound; is every access decorator there? Note what it was. The route stays off: "
            .. "runbook run magic_link --case reopen.",
    },
  },

  case "reopen" {
    title   = "Turn the magic-link route on again",
    when    = "asked",
    lock    = "magic_link",
    approve = { "tech-lead", "cto" },

    step "Is every link bound to its own teacher?" {
      probe = function (run)
        local live = 0
        for _, it in ipairs(links.misbound()) do if it.live then live = live + 1 end end
        run:finding("links bound to the wrong teacher, still good", live, live > 0 and "bad" or "ok")
        if live > 0 then run:fail("%d links would show another teacher's data: --case wrong_data revokes them", live) end
      end,
    },

    step "The cause is known, and mended" {
      manual = "Who found the cause, what was it, and which release mends it? Done only when that release is deployed "
            .. "and the incident response says that the route may be on again.",
    },

    step "Turn the route on" {
      remedy = function () route:turn_on() end,
      verify = function ()
        expect(route:is_on(), route:where() .. " is on")
        local answer = polaris.http:get(names.link_check, { path = { token = names.link_none } })
        return expect(answer.status == 404, "the route answers (404 for a link that there is not; it is "
                      .. answer.status .. ")")
      end,
    },
  },
}
