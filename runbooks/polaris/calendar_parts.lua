-- calendar_parts.lua - events, their invitations and the log of their mails, for calendar_invites

local polaris = system "polaris"
local names, settings = polaris.schema, polaris.settings

local invites = {}

-- a setting that no page gives; without it the run ends before it has changed anything
function invites.setting (name)
  if settings[name] == nil then
    error(text.render("the setting {name} of the system polaris is missing ({means})",
                      { name = name, means = names.settings[name] }), 0)
  end
  return settings[name]
end

-- -- the event ---------------------------------------------------------------------------------

-- the row, its times in UTC; `place` is the location or, without one, the venue. nil: no such event
function invites.event (id)
  return polaris.pg:row([[
    SELECT id, title, start_datetime, end_datetime, timezone, location, venue_name, status,
           coalesce(nullif(btrim(location), ''), nullif(btrim(venue_name), '')) AS place
      FROM :"events" WHERE id = :event]], { event = id })
end

-- what a person has said it should be: the row with that, and with the default zone
function invites.corrected (row, run)
  local new = { id = row.id, title = row.title, status = row.status, venue_name = row.venue_name }
  new.timezone = run.timezone ~= "" and run.timezone or row.timezone or names.timezone
  local function moment (given, old)
    if given == "" then return old end
    return time.format(time.parse(given, new.timezone))
  end
  new.start_datetime = moment(run.start, row.start_datetime)
  new.end_datetime = moment(run.finish, row.end_datetime)
  new.location = run.location ~= "" and run.location or row.location
  new.place = run.location ~= "" and run.location or row.place
  return new
end

-- why no invitation can be made of it: a list of { field, words }
function invites.faults (row)
  local list = {}
  local function fault (field, words) list[#list + 1] = { field = field, words = words } end
  if not row.place then fault("location", "neither location nor venue_name is set") end
  if not row.timezone then fault("timezone", "it is not set: " .. names.timezone .. " is the default") end
  if not row.start_datetime then fault("start_datetime", "it is not set") end
  if not row.end_datetime then fault("end_datetime", "it is not set") end
  if row.start_datetime and row.end_datetime
     and time.parse(row.end_datetime) <= time.parse(row.start_datetime) then
    fault("end_datetime", "it is not after the start")
  end
  if row.start_datetime and time.since(row.start_datetime) >= 0 then
    fault("date", "it is not in the future: it began " .. row.start_datetime)
  end
  if row.status == "Cancelled" then fault("status", "the event is cancelled") end
  return list
end

-- remedy: the event's fields as they are in `row`, and in the audit log what they were
function invites.write (row, old, who)
  polaris.pg:transaction(function (tx)
    tx:exec([[UPDATE :"events" SET location = nullif(:location, ''), timezone = nullif(:timezone, ''),
                     start_datetime = nullif(:starts, '')::timestamptz, end_datetime = nullif(:ends, '')::timestamptz
               WHERE id = :id]],
      { id = row.id, location = row.location or "", timezone = row.timezone or "",
        starts = row.start_datetime or "", ends = row.end_datetime or "" }, { rows = 1 })
    tx:exec([[INSERT INTO :"audit" (action, actor, detail) VALUES (:action, :who, jsonb_build_object(
              'event_id', :id::bigint, 'location', :location::text, 'timezone', :timezone::text,
              'start_datetime', :starts::text, 'end_datetime', :ends::text))]],
      { action = names.event_changed, who = who, id = row.id, location = old.location or "",
        timezone = old.timezone or "", starts = old.start_datetime or "", ends = old.end_datetime or "" })
  end)
end

-- -- the invitation -------------------------------------------------------------------------------

-- as the application makes it: { type, text, problems, event }, or nil and why there is none
function invites.made (id)
  local answer = polaris.http:get(names.invite, { path = { event = id } })
  if not answer:ok() then return nil, "the application makes none (status " .. answer.status .. ")" end
  local made = { text = answer.body, type = answer.headers["content-type"] or "none",
                 problems = ics.check(answer.body) }
  local fine, calendar = pcall(ics.parse, answer.body)
  made.event = fine and calendar.events[1] or nil
  return made
end

-- what is wrong with its form, so that a mail program shows no invitation at all
local form = { calendar = true, structure = true, truncated = true, encoding = true, value = true,
               missing = true }
function invites.malformed (made)
  local list = {}
  if not made.type:lower():find("^text/calendar") then
    list[1] = "its MIME type is " .. made.type .. ", not text/calendar"
  end
  -- a value that is not escaped breaks lines, too: that is content, and the event can be read
  local problems = made.event and {} or made.problems
  for _, p in ipairs(problems) do if form[p.kind] then list[#list + 1] = p.message end end
  if #list == 0 and #problems > 0 then list[1] = problems[1].message end
  return list
end

-- what it says otherwise than the event does: a list of { about, words }
function invites.differences (row, made)
  local list, said = {}, made.event
  local function differs (about, words) list[#list + 1] = { about = about, words = words } end
  if not said then return list end
  for _, p in ipairs(made.problems) do
    local about = (p.kind == "escape" or p.kind == "line" or p.kind == "fold") and "special characters"
      or (p.kind == "zone" or p.kind == "daylight" or p.kind == "floating") and "time zone" or "form"
    differs(about, p.message)
  end
  if said.location ~= row.place then
    differs("location", text.render("'{said}', where the event has '{place}'",
      { said = said.location or "none", place = row.place }))
  end
  if said.summary ~= row.title then
    differs("title", text.render("'{said}', where the event has '{title}'", { said = said.summary or "none", title = row.title }))
  end
  for _, it in ipairs { { "start", row.start_datetime }, { "finish", row.end_datetime } } do
    local at = said[it[1]]
    local off = at and at.utc and (time.parse(at.utc) - time.parse(it[2])) / 60
    if not off then differs("time zone", it[1] .. " cannot be told: it has no time zone")
    elseif off ~= 0 then
      differs("UTC conversion", string.format("%s is %s, %+d minutes from %s", it[1], at.utc, off, it[2]))
    end
  end
  return list
end

-- the one to send: what ics.build makes of the event
function invites.build (it)
  return ics.build {
    uid = it.uid, sequence = it.sequence, organizer = invites.setting "invite_from",
    attendees = { { email = it.email, name = it.name } },
    summary = it.row.title, location = it.row.place, zone = it.row.timezone,
    start = it.row.start_datetime, finish = it.row.end_datetime, stamp = it.stamp,
  }
end

-- does a calendar show of it what the event says? A list of what it does not, as differences has it
function invites.proof (calendar, row)
  return invites.differences(row, { problems = ics.check(calendar), event = ics.parse(calendar).events[1] })
end

-- a sample with all that is hard: characters that mean something, and a change of the clocks within
-- the time that the event takes
function invites.sample (email, stamp)
  local row = { title = "Sample; do not come, please", place = "Room 1; 2 Main Street, \\ 🎓\nsecond floor",
                timezone = names.timezone, start_datetime = "2030-03-10T07:30:00Z",
                end_datetime = "2030-03-10T09:30:00Z" }
  return invites.build { row = row, email = email, uid = "sample-" .. stamp .. "-" .. email, sequence = 0,
                         stamp = stamp }, row
end

-- -- who is invited, and what became of it --------------------------------------------------------------

function invites.prefix (id) return text.render(names.invitation, { event = id }) end

-- active teachers who are signed up (or the one of that address), each with the last line of the log
function invites.people (id, teacher)
  return polaris.pg:query([[
    SELECT t.id, t.name, lower(btrim(t.email)) AS email, d.message_id, d.status, d.error, d.sent_at
      FROM :"sessions" s JOIN :"roster" t ON t.id = s.teacher_id AND t.active
      LEFT JOIN LATERAL (SELECT message_id, status, error, sent_at FROM :"deliveries" d
                          WHERE starts_with(d.message_id, :prefix)
                            AND lower(btrim(d.recipient)) = lower(btrim(t.email))
                          ORDER BY sent_at DESC, message_id LIMIT 1) d ON true
     WHERE s.event_id = :event AND s.status = 'SignedUp'
       AND (:teacher = '' OR lower(btrim(t.email)) = :teacher)
     ORDER BY t.id]], { event = id, teacher = teacher, prefix = invites.prefix(id) })
end

-- all invitations of the last day: how many, how many came back, how many met a rate limit in the last hour
function invites.log ()
  return polaris.pg:row([[
    SELECT count(*) AS mails, count(*) FILTER (WHERE status = 'bounced') AS bounced,
           count(*) FILTER (WHERE status = 'failed' AND error ~* :limit
                              AND sent_at > now() - interval '1 hour') AS limited
      FROM :"deliveries" WHERE kind = 'calendar_invite' AND sent_at > now() - :window::interval]],
    { limit = names.rate_limit, window = names.bounces_over })
end

function invites.provider () return polaris.http:get(names.provider):json() end

-- how often it was made anew here
function invites.made_anew (id)
  return polaris.pg:value([[SELECT count(*) FROM :"audit"
    WHERE action = :action AND detail->>'event_id' = :event::text]], { action = names.invited, event = id })
end

local function ids (people)
  local list = {}
  for i, it in ipairs(people) do list[i] = it.id end
  return list
end

-- remedy: what became of these people's invitations, in the log
function invites.mark (id, people, status, why)
  local domain = invites.setting "invite_uid":match("@(.*)$")
  polaris.pg:exec([[
    INSERT INTO :"deliveries" (message_id, recipient, kind, status, error, sent_at)
    SELECT :prefix || id || '@' || :domain || '>', lower(btrim(email)), 'calendar_invite', :status,
           nullif(:why, ''), now() FROM :"roster" WHERE id = ANY(:ids)
        ON CONFLICT (message_id) DO UPDATE SET status = EXCLUDED.status, error = EXCLUDED.error,
                                               sent_at = EXCLUDED.sent_at]],
    { prefix = invites.prefix(id), domain = domain, status = status, why = why or "", ids = ids(people) })
end

-- takes that back: the lines as they were, and none where there was none
function invites.unmark (id, people)
  local old = {}
  for _, it in ipairs(people) do
    if it.message_id then
      old[#old + 1] = { message_id = it.message_id, recipient = it.email, status = it.status, error = it.error,
                        sent_at = it.sent_at }
    end
  end
  polaris.pg:transaction(function (tx)
    tx:exec([[DELETE FROM :"deliveries" d WHERE starts_with(d.message_id, :prefix) AND d.status = 'queued'
                 AND lower(btrim(d.recipient)) IN (SELECT lower(btrim(email)) FROM :"roster" WHERE id = ANY(:ids))]],
            { prefix = invites.prefix(id), ids = ids(people) })
    tx:exec([[INSERT INTO :"deliveries" (message_id, recipient, kind, status, error, sent_at)
              SELECT o.message_id, o.recipient, 'calendar_invite', o.status, o.error, o.sent_at
                FROM jsonb_to_recordset(:old::jsonb) AS o(message_id text, recipient text, status text, error text,
                                                          sent_at timestamptz)]], { old = json.encode(json.array(old)) })
  end)
end

return invites
