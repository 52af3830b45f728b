-- Invitations to events that do not come, or say the wrong place or time.
--
-- Three cases: the event lacks what an invitation needs, the mail is not delivered, or the
-- invitation says something else than the event does. The data say which, with evidence.
-- An invitation is made anew here, from the event, with the same UID and a higher SEQUENCE,
-- so that calendars replace the old one; what the application makes wrongly is named, for
-- the engineers.
--
-- Events come from Salesforce: what is corrected here is taken back by the next sync unless
-- it is corrected there, too, which only a person can do. Who invites and which UID the
-- application writes are on no page: they are settings.

local polaris = system "polaris"
local names = polaris.schema
local invites = require "calendar_parts"

local fields = {
  event    = { "integer", required = true, help = "id of the event" },
  teacher  = { "email", help = "only this teacher's invitation; otherwise of all who are signed up" },
  location = { "string", default = "", help = "the right place, where the event's is missing or wrong" },
  timezone = { "string", default = "", help = "the right time zone, such as America/Chicago" },
  start    = { "string", default = "", help = "the right start: 2026-12-01 09:00 there, or with Z or an offset" },
  finish   = { "string", default = "", help = "the right end" },
  sample   = { "email", help = "an address of yours, for a sample before teachers get theirs" },
}

-- a parameter that may be left out
local function given (run, name, otherwise)
  local has, value = pcall(function () return run[name] end)
  return has and value or otherwise or ""
end

local function there (t, zone) return time.format(t, "%A, %d %B %Y, %H:%M", zone) end

local function join (list, field)
  local words = {}
  for i, it in ipairs(list) do words[i] = it[field] end
  return table.concat(words, ", ")
end

-- -- which case is it? -----------------------------------------------------------------------------

-- those whose invitation did not arrive: not in the log, or not delivered or handed over
local function undelivered (people)
  local list = {}
  for _, it in ipairs(people) do
    if it.status ~= "delivered" and it.status ~= "sent" then list[#list + 1] = it end
  end
  return list
end

local function diagnose (run)
  local row = invites.event(run.event)
  if not row then run:fail("there is no event %d", run.event) end
  local faults = invites.faults(row)
  if #faults > 0 then return "generation", faults[1].field .. ": " .. faults[1].words end
  local made, why = invites.made(run.event)
  if not made then return "generation", why end
  local malformed = invites.malformed(made)
  if #malformed > 0 then return "delivery", malformed[1] end
  local people = invites.people(run.event, given(run, "teacher"))
  local missing = undelivered(people)
  if #missing > 0 then
    return "delivery", text.render("{n} of {of} invitations: that of {email} is {status}{error}", {
      n = #missing, of = #people, email = missing[1].email, status = missing[1].status or "not in the log",
      error = missing[1].error and ": " .. missing[1].error or "" })
  end
  local wrong = invites.differences(row, made)
  if #wrong > 0 then return "content", wrong[1].about .. ": " .. wrong[1].words end
  return "none", text.render("the event is complete, its invitation says what it says, and {n} of {n} are delivered",
    { n = #people })
end

local function when (id)
  return function (run) return run.diagnosis == id, run.because end
end

-- -- steps that several cases share ------------------------------------------------------------------

local function the_event (id)
  return step "Which event is it, and who is invited?" {
    id = id .. "-event",
    probe = function (run)
      run:finding("case", id)
      local row = invites.event(run.event)
      if not row then run:fail("there is no event %d", run.event) end
      run.old, run.row = row, invites.corrected(row, run)
      run.people = invites.people(run.event, given(run, "teacher"))
      if given(run, "teacher") ~= "" and #run.people == 0 then
        run:fail("%s is not signed up for event %d, or is not active: an invitation would be wrong",
                 given(run, "teacher"), run.event)
      end
      run:finding("event", text.render("{title}, {status}", row))
      run:finding("invited", #run.people, #run.people > 0 and "ok" or "warn")
      if #run.people > names.invitees then
        run:fail("%d people are invited, and %d are written to at most: one at a time, with teacher=ADDRESS",
                 #run.people, names.invitees)
      end
      run.changed, run.title = {}, row.title
      local words = {}
      for _, field in ipairs { "location", "timezone", "start_datetime", "end_datetime" } do
        if run.old[field] ~= run.row[field] then
          run.changed[#run.changed + 1] = field
          run:finding("corrected " .. field, text.render("{old} -> {new}",
            { old = run.old[field] or "not set", new = run.row[field] }))
          words[#words + 1] = field .. " = " .. run.row[field]
        end
      end
      run.corrections = table.concat(words, ", ")
    end,
  }
end

local function corrected (run) return #run.changed > 0, "the event stays as it is" end

local function in_salesforce (id)
  return step "Correct the event in Salesforce" {
    id     = id .. "-salesforce",
    when   = corrected,
    manual = "Events come from Salesforce, and the next sync brings what stands there. Set in the event {title} (here "
          .. "{event}): {corrections}. Done when it is saved there; note who did it.",
  }
end

local function correct_here (id)
  return step "Correct the event in Polaris" {
    id     = id .. "-correct",
    when   = corrected,
    remedy = function (run) invites.write(run.row, run.old, run.operator) end,
    verify = function (run)
      local row = invites.event(run.event)
      for _, field in ipairs(run.changed) do
        expect(row[field] == run.row[field], field .. " is " .. run.row[field])
      end
      return true
    end,
    undo = function (run) invites.write(run.old, run.row, run.operator) end,
  }
end

-- why it is not, behind what was expected
local function reason (wrong)
  return #wrong > 0 and " (" .. wrong[1].about .. ": " .. wrong[1].words .. ")" or ""
end

local function make_anew (id)
  return step "Make the invitation anew" {
    id = id .. "-make",
    probe = function (run)
      local made = invites.made(run.event)
      local old = made and made.event
      run.uid = old and old.uid or text.render(invites.setting "invite_uid", { event = run.event })
      run.sequence = math.max(old and old.sequence or 0, invites.made_anew(run.event)) + 1
      run.stamp = time.format(time.now())
      run.calendars = {}
      for i, it in ipairs(run.people) do
        run.calendars[i] = invites.build { row = run.row, email = it.email, name = it.name, uid = run.uid,
                                           sequence = run.sequence, stamp = run.stamp }
      end
      run:finding("new invitation", text.render("{starts}, {place} (UID {uid}, SEQUENCE {sequence})", {
        starts = there(run.row.start_datetime, run.row.timezone) .. " in " .. run.row.timezone, place = run.row.place,
        uid = run.uid, sequence = run.sequence }))
    end,
    verify = function (run)
      for _, calendar in ipairs(run.calendars) do
        local wrong = invites.proof(calendar, run.row)
        expect(#wrong == 0, "the new invitation is right" .. reason(wrong))
      end
      return true
    end,
  }
end

local function open (run) return run.queued == false, "the invitations are queued" end

local function on_record (id)
  return step "Put the new invitation on record" {
    id     = id .. "-record",
    when   = open,
    remedy = function (run)
      polaris.pg:exec([[INSERT INTO :"audit" (action, actor, detail) VALUES (:action, :who, jsonb_build_object(
          'event_id', :event::bigint, 'sequence', :sequence::int, 'invited', :invited::int))]],
        { action = names.invited, who = run.operator, event = run.event, sequence = run.sequence, invited = #run.people })
    end,
    irreversible = "the audit log only grows",
  }
end

local function letter (run, it)
  return text.render([[
Hello {name},

this is your invitation to {title}:

  {starts} to {ends} ({zone})
  {place}

It replaces what you had before. If your calendar does not show it, open the attachment invite.ics.

The Polaris team
]], { name = it.name, title = run.row.title, zone = run.row.timezone, place = run.row.place:gsub("\n", "\n  "),
      starts = there(run.row.start_datetime, run.row.timezone),
      ends = time.format(run.row.end_datetime, "%H:%M", run.row.timezone) })
end

local function attachment (calendar)
  return { name = "invite.ics", type = "text/calendar; charset=utf-8", content = calendar }
end

-- verification: the log has that of all of them
local function as_marked (run, status)
  local is = {}
  for _, it in ipairs(invites.people(run.event, given(run, "teacher"))) do is[it.email] = it.status end
  for _, it in ipairs(run.people) do
    expect(is[it.email] == status, text.render("the invitation of {email} is {status} (it is {is})", {
      email = it.email, status = status, is = is[it.email] or "not in the log" }))
  end
  return true
end

local function send (id)
  return step "Send the invitations" {
    id   = id .. "-send",
    when = open,
    notify = function (run)
      run.told, run.refused = {}, {}
      for i, it in ipairs(run.people) do
        local _, err = run:try(function ()
          mail.send { to = it.email, subject = "Invitation: " .. run.row.title, text = letter(run, it),
                      attach = { attachment(run.calendars[i]) } }
        end)
        local list = err and run.refused or run.told
        list[#list + 1] = { id = it.id, email = it.email, why = err and err.message }
      end
    end,
    retry = { times = 2, every = "5s" },
  }
end

local function log_sent (id)
  return step "Write down who was written to" {
    id   = id .. "-sent",
    when = open,
    remedy = function (run)
      if #run.told > 0 then invites.mark(run.event, run.told, "sent") end
    end,
    verify = function (run)
      for _, it in ipairs(run.refused) do run:finding("not sent to " .. it.email, it.why, "bad") end
      expect(#run.refused == 0, "the mail server took all of them (" .. #run.refused .. " it did not)")
      return as_marked(run, "sent")
    end,
    irreversible = "the invitations are out: a later one with a higher SEQUENCE replaces them",
  }
end

-- Is the provider able to take mail now? Queues where it is not.
local function provider (id)
  return step "Is the mail provider up, and is there a rate limit?" {
    id = id .. "-provider",
    probe = function (run)
      local is, log = invites.provider(), invites.log()
      local up = is.status == "up"
      run:finding("mail provider", tostring(is.status) .. (type(is.detail) == "string" and ": " .. is.detail or ""),
                  up and "ok" or "bad")
      run:finding("rate limit", log.limited .. " invitations refused for it in the last hour",
                  log.limited > 0 and (up and "warn" or "bad") or "ok")
      run.queued = not up
      run.why = "the mail provider is " .. tostring(is.status)
    end,
  }
end

local function queue (id)
  return step "Queue the invitations" {
    id   = id .. "-queue",
    when = function (run) return run.queued, "the provider takes mail" end,
    remedy = function (run) invites.mark(run.event, run.people, "queued", run.why) end,
    verify = function (run)
      as_marked(run, "queued")
      run:finding("queued", #run.people .. ": run this again once the provider is up, and they are sent", "warn")
      return true
    end,
    undo = function (run) invites.unmark(run.event, run.people) end,
  }
end

return runbook {
  title    = "Calendar invites",
  system   = "polaris",
  use_when = "Somebody got a confirmation and no calendar, got nothing, or has an invitation with the wrong place or time.",
  impact   = "New invitations to one event replace the old ones. People who have accepted are asked again by some calendars.",
  lock     = "calendar_invites:{event}",
  limits   = { pg_rows = 500, notices = 61 },
  params   = fields,

  step "Which case is it?" {
    diagnose = true,
    probe = function (run)
      run.diagnosis, run.because = diagnose(run)
      if run.diagnosis == "none" then run:finding("case", "none: " .. run.because, "ok")
      else run:finding("because", run.because, "bad") end
    end,
  },

  -- A ------------------------------------------------------------------------------------------

  case "generation" {
    title = "The invitation cannot be made",
    when  = when "generation",

    the_event "generation",

    step "Has the event all that an invitation needs?" {
      probe = function (run)
        local faults, left = invites.faults(run.old), invites.faults(run.row)
        local by = {}
        for _, it in ipairs(faults) do by[it.field] = it.words end
        for _, it in ipairs { { "location", run.old.place }, { "timezone", run.old.timezone },
                              { "start_datetime", run.old.start_datetime }, { "end_datetime", run.old.end_datetime },
                              { "date", "in the future" }, { "status", run.old.status } } do
          run:finding(it[1], by[it[1]] or it[2], by[it[1]] and "bad" or "ok")
        end
        if #left > 0 then
          run:fail("no invitation can be made: %s (%s). Say what is right, location=, timezone=, start= or finish=",
                   join(left, "field"), left[1].words)
        end
      end,
    },

    provider "generation",
    in_salesforce "generation",
    correct_here "generation",
    make_anew "generation",
    queue "generation",
    on_record "generation",
    send "generation",
    log_sent "generation",
  },

  -- B ------------------------------------------------------------------------------------------

  case "delivery" {
    title = "The invitation does not arrive",
    when  = when "delivery",

    the_event "delivery",

    step "What does the log of the mails say?" {
      probe = function (run)
        local log, count = invites.log(), {}
        run.bounced, run.blocked, run.failed = {}, {}, {}
        for _, it in ipairs(run.people) do
          local status = it.status or "not in the log"
          count[status] = (count[status] or 0) + 1
          local list = ({ bounced = run.bounced, blocked = run.blocked, failed = run.failed })[status]
          if list then list[#list + 1] = it end
        end
        for _, status in ipairs { "delivered", "sent", "queued", "bounced", "blocked", "failed", "not in the log" } do
          local n = count[status] or 0
          local fine = status == "delivered" or status == "sent"
          if n > 0 then run:finding(status, n .. " of " .. #run.people, fine and "ok" or "bad") end
        end
        for _, list in ipairs { run.bounced, run.blocked, run.failed } do
          for i, it in ipairs(list) do
            if i <= names.shown then run:finding(it.email, it.status .. ": " .. (it.error or "no reason given"), "bad") end
          end
        end
        run.bounced_of = join(run.bounced, "email")
        run.blocked_of = #run.blocked > 0 and "The mail servers of " .. join(run.blocked, "email") .. " refused the attachment"
          or "The log has all invitations delivered"
        local rate = log.mails > 0 and 100 * log.bounced / log.mails or 0
        run:finding("bounce rate", string.format("%.1f %% of %d invitations in %s, limit %d %%", rate, log.mails,
          names.bounces_over, names.bounce_percent), rate > names.bounce_percent and "bad" or "ok")
      end,
    },

    step "Is the invitation well formed, and sent as a calendar?" {
      probe = function (run)
        local made, why = invites.made(run.event)
        run.defect = false
        if not made then return run:finding("invitation", why, "bad") end
        local wrong = invites.malformed(made)
        run:finding("MIME type", made.type, made.type:lower():find("^text/calendar") and "ok" or "bad")
        run:finding("invitation", #wrong == 0 and "well formed" or wrong[1], #wrong == 0 and "ok" or "bad")
        run.defect = #wrong > 0
        if run.defect then run:note("the application makes it so: tell the engineers; what is sent from here is right") end
      end,
    },

    step "Who gets it again?" {
      probe = function (run)
        local missing = undelivered(run.people)
        if not run.defect and #missing > 0 then run.people = missing end
        run:finding("gets it again", #run.people == 1 and run.people[1].email or #run.people)
      end,
    },

    provider "delivery",

    step "Verify the addresses with the district" {
      id     = "delivery-addresses",
      when   = function (run) return #run.bounced > 0, "nothing bounced" end,
      manual = "The invitations of {bounced_of} came back. Ask the district, not the address, whether it is right and takes "
            .. "mail. Another address: not done; correct it on the roster (runbook run magic_link --case not_found), then "
            .. "run this again.",
    },

    step "Check whether mail programs block .ics files" {
      id     = "delivery-blocked",
      when   = function (run)
        return #run.blocked > 0 or not run.defect and #undelivered(run.people) == 0, "nothing says that attachments are refused"
      end,
      manual = "{blocked_of}. Ask the teacher, or who looks after the mail of the district: is the invitation in spam, are "
            .. ".ics attachments or text/calendar blocked, are invitations added only after a click? Note what it was; done "
            .. "when an invitation may be sent again.",
    },

    step "Verify the configuration of the mail provider" {
      id     = "delivery-configuration",
      when   = function (run)
        return #run.failed > 0 and not run.queued, "nothing failed that the provider's state does not explain"
      end,
      manual = "Mails failed, and the provider (Mailjet) says that it is up. Look there: API key, sender domain and its SPF and "
            .. "DKIM, the account's limits. Note what was wrong; done when a test mail from there arrives.",
    },

    make_anew "delivery",
    queue "delivery",
    on_record "delivery",
    send "delivery",
    log_sent "delivery",
  },

  -- C ------------------------------------------------------------------------------------------

  case "content" {
    title = "The invitation says the wrong place or time",
    when  = when "content",

    the_event "content",

    step "Does the invitation say what the event says?" {
      probe = function (run)
        local left = invites.faults(run.row)
        if #left > 0 then run:fail("%s: %s: see --case generation", left[1].field, left[1].words) end
        local made, why = invites.made(run.event)
        if not made then run:fail("%s: see --case generation", why) end
        local wrong = invites.differences(run.old, made)
        local by = {}
        for _, it in ipairs(wrong) do by[it.about] = by[it.about] or it.words end
        for _, about in ipairs { "location", "special characters", "time zone", "UTC conversion", "title", "form" } do
          if about ~= "form" or by[about] then run:finding(about, by[about] or "right", by[about] and "bad" or "ok") end
        end
        if #wrong > 0 then run:note("the application makes it so: tell the engineers; what is sent from here is right") end
      end,
    },

    step "Is daylight saving handled?" {
      probe = function (run)
        local zone = run.row.timezone
        local then_, now = time.format(run.row.start_datetime, "%z", zone), time.format(time.now(), "%z", zone)
        run:finding("time zone of the event", zone .. (run.old.timezone and "" or " (the default)"),
                    run.old.timezone and "ok" or "warn")
        run:finding("offset", then_ == now and then_ .. ", as today"
          or then_ .. ", and " .. now .. " today: the clocks change until then")
      end,
    },

    provider "content",
    in_salesforce "content",
    correct_here "content",
    make_anew "content",

    step "Test with a sample event" {
      probe = function (run)
        run.sample_calendar, run.sample_row = invites.sample(given(run, "sample", "sample@example.org"), run.stamp)
        run:finding("sample", "special characters, and the clocks change while it lasts")
      end,
      verify = function (run)
        local wrong = invites.proof(run.sample_calendar, run.sample_row)
        return expect(#wrong == 0, "the sample is right" .. reason(wrong))
      end,
    },

    step "Send yourself the sample" {
      when = function (run) return given(run, "sample") ~= "", "no address of yours was given (sample=...)" end,
      notify = function (run)
        mail.send { to = run.sample, subject = "Sample of an invitation", attach = { attachment(run.sample_calendar) },
                    text = "Open it in the calendars that teachers use. It has to show Room 1; 2 Main Street, \\, a hat and, "
                        .. "in a second line, second floor; on 10 March 2030 from 01:30 to 04:30 in Chicago.\n" }
      end,
    },

    step "Does the sample look right in a calendar?" {
      when   = function (run) return given(run, "sample") ~= "", "no sample was sent" end,
      manual = "Open the sample that {sample} got, in the calendars that teachers use. Done when the place and the time are as "
            .. "the mail says.",
    },

    queue "content",
    on_record "content",
    send "content",
    log_sent "content",
  },
}
