-- The quarterly tabletop: page people, back production up, restore it into staging, try it.
--
-- Production is only read. The page runs one script "with staging project ref"; here the
-- script backs up, and the restore is done in one transaction that keeps what staging had, so
-- that a dump that will not do leaves it as it was (a script that restores by itself:
-- the setting script_restores). A copy of production holds real telephone numbers: nothing
-- begins while staging would send messages. The cutover is reviewed, and no step does it.

local vouchers, staging, platform = system "vouchers", system "vouchers_staging", system "vouchers_platform"
local names = vouchers.schema
local dr, texts = require "dr_parts", require "dr_texts_parts"

local any = { 200, 201, 202, 400, 401, 403, 404, 409, 422, 429, 500, 502, 503, 504 }   -- each is an answer

local function draft (run, name) return text.render("{folder}/{day}-{name}.md",
  { folder = dr.folder(), day = run.day, name = name }) end

local function has_folder () return (file.stat(dr.folder()) or {}).type == "folder" end

-- so that a dry run does not read what the last exercise has left there
local function log_is_new (run)
  local log = file.stat(dr.setting "backup_log")
  return log ~= nil and time.parse(log.modified) >= run.began, "backup.log is not of this run"
end

local function newest_dump (since)
  for _, it in ipairs(staging.backup:list()) do
    if it.format ~= "unknown" and it.name:match "%.sql$" or it.format == "custom" then
      return time.parse(it.at) >= since and it.name or nil
    end
  end
end

-- -- smoke tests -----------------------------------------------------------------------------

-- one request to staging; a refused connection is an answer, too: status 0
local function try (run, path, json_, values)
  local answer, err = run:try(function ()
    return staging.http:post(path, { json = json_, path = values, expect = any })
  end)
  return answer and answer.status or 0, answer and answer.body or err.message
end

local function issue (run)
  local status, body = try(run, names.issue, { station_scope = dr.setting "smoke".station })
  if status ~= 201 then return nil, "issue answered " .. status .. ": " .. body end
  return json.decode(body).code
end

-- how often it was redeemed, as the database has it
local function redeemed (code)
  return staging.pg:value([[SELECT count(*) FROM :"data".:"events" e JOIN :"data".:"vouchers" v ON v.id = e.voucher_id
    WHERE v.code = :code AND e.kind = 'redeemed']], { code = code })
end

local function issue_and_redeem (run)
  local code, why = issue(run)
  if not code then return why end
  local status, body = try(run, names.redeem, { code = code, idempotency_key = run.id .. "-desk-1" })
  if status ~= 200 then return "redeem answered " .. status .. ": " .. body end
  local twice = try(run, names.redeem, { code = code, idempotency_key = run.id .. "-desk-2" })
  run.desk_code = code
  return twice ~= 409 and "a voucher was redeemed twice: the second time answered " .. twice or nil
end

local function campaign_send (run)
  local smoke = dr.setting "smoke"
  local status, body = try(run, names.campaign_send, { phone = smoke.phone }, { campaign = smoke.campaign })
  run.send_target = status == 202 and json.decode(body).target or false
  return status ~= 202 and "send answered " .. status .. ": " .. body or nil
end

local function station_redeem (run)
  local code, why = issue(run)
  if not code then return why end
  local function at (station, key)
    return try(run, names.station_redeem, { code = code, station = station, idempotency_key = run.id .. key })
  end
  local elsewhere = at("not-" .. dr.setting "smoke".station, "-station-0")
  local status, body = at(dr.setting "smoke".station, "-station-1")
  local again = at(dr.setting "smoke".station, "-station-1")
  run.station_code = code
  if status ~= 200 then return "the station's own voucher answered " .. status .. ": " .. body end
  if elsewhere ~= 403 then return "another station's voucher answered " .. elsewhere .. ", not 403" end
  return again ~= 200 and "the same request sent again answered " .. again or nil
end

local function outcome (name, wrong)
  return { name = name, ok = not wrong, said = wrong or "passed" }
end

local wrote = "what the smoke tests wrote stays in staging's restored data"

return runbook {
  title    = "Disaster recovery tabletop",
  system   = "vouchers",
  use_when = "First Tuesday of the quarter, 14:00 UTC: can we restore from backup, and does everybody answer?",
  impact   = "Four people are paged, staging's data are replaced. Production is read and not changed.",
  approve  = "on-call",
  lock     = "dr_test",
  limits   = { notices = 3, files = 8, commands = 2, http_writes = 10 },
  params   = {
    day = { "date", help = "the day of the exercise, when it is not today" },
  },

  step "Which exercise is it, and who takes part?" {
    probe = function (run)
      local given, day = pcall(function () return run.day end)
      run.day = given and day or dr.day(time.now())
      run.due = dr.next_exercise(time.parse(run.day))
      run.next_day = dr.day(dr.next_exercise(time.add(run.due, "1d")))
      if dr.day(run.due) > run.day then run.next_day = dr.day(run.due) end
      run:finding("exercise", text.render("{day}; by the calendar: {due}, {hour} UTC", {
        day = run.day, due = dr.day(run.due), hour = names.hour }), dr.day(run.due) == run.day and "ok" or "warn")
      dr.settings()
      run.people = dr.setting "participants"
      for _, role in ipairs(names.roles) do
        if not run.people[role.id] then error("the setting participants names nobody for " .. role.id, 0) end
        run:finding(role.title, run.people[role.id] .. (role.who and " (" .. role.who .. ")" or ""))
      end
    end,
  },

  step "What did the last exercise find?" {
    probe = function (run)
      local path = dr.setting "findings"
      local list, day = dr.last_findings(file.stat(path) and file.read(path) or "")
      for i, it in ipairs(list) do run:finding("last finding " .. i, (day and day .. ": " or "") .. it, "warn") end
    end,
  },

  step "Is staging another place, and quiet?" {
    probe = function (run)
      run.ref = dr.setting("project_ref", staging)
      run.production = vouchers.pg:value(dr.identity)
      if run.ref == dr.setting "project_ref" or staging.pg:value(dr.identity) == run.production then
        run:fail("vouchers_staging is production itself (%s): nothing is restored there", run.ref)
      end
      local answer, err = run:try(function () return staging.http:get(names.status, { query = { force = "true" } }) end)
      if not answer then run:fail("staging does not answer: %s", err.message) end
      local is = answer:json()
      local mode = is.integrations.whatsapp.mode
      run:finding("staging", text.render("{ref}: {overall}, messages: {mode}", { ref = run.ref, overall = is.overall,
        mode = mode }), is.environment == "staging" and mode == "test" and "ok" or "bad")
      if is.environment ~= "staging" then run:fail("it says of itself that it is %s", is.environment) end
      if mode ~= "test" then
        run:fail("staging sends messages for real, and a copy of production has real numbers: set it to test first")
      end
    end,
  },

  -- asked as the role that changes things: looking may go another way
  step "Is staging what would be changed?" {
    remedy = function (run)
      run.changed = staging.pg:transaction(function (tx) return tx:value(dr.identity) end)
    end,
    verify = function (run)
      return expect(run.changed ~= run.production, "changes of vouchers_staging are made in staging, and not in production")
    end,
    irreversible = "it only asks",
  },

  step "Is the way to the backup free?" {
    probe = function (run)
      local answer = platform.http:get(names.manifest, { path = { ref = run.ref } })
      run:finding("snapshot manifest", answer.status, answer:ok() and "ok" or "bad")
      if answer.status == 401 then
        run:fail("the snapshot manifest answers 401, as on 2024-10-01: rotate the access token, then run this again")
      elseif not answer:ok() then run:fail("the snapshot manifest answers %d", answer.status) end
      local size = vouchers.pg:value "SELECT pg_database_size(current_database())"
      local free = host.disk(dr.setting "incidents").free
      run:finding("disk", string.format("%d MB free, %d MB needed", free // 2^20, names.disk_room * size // 2^20),
                  free >= names.disk_room * size and "ok" or "bad")
      if free < names.disk_room * size then run:fail("there is no room for the backup: make some, then run this again") end
      run.before = dr.counts(run, vouchers)
      if next(run.before) == nil then run:fail("production has no tables in the schema %s", names.data) end
    end,
  },

  -- notification drill -----------------------------------------------------------------------

  step "Page the participants" {
    notify = function (run)
      run.dedup = "dr-tabletop-" .. run.day
      pagerduty.trigger {
        summary = names.event, severity = "info", dedup = run.dedup,
        details = { exercise = run.day, acknowledge_within = names.ack_within, participants = run.people },
      }
      run.paged = time.now()
      run.paged_at = dr.clock(run.paged)
      run:finding("paged", run.paged_at)
    end,
  },

  step "Who acknowledges, and when?" {
    probe = function (run)
      local acks, late = {}, {}
      for i, role in ipairs(names.roles) do
        local after = dr.ask(run, "acknowledged-" .. role.id:gsub("_", "-"), text.render(
          "{title} ({name}): how long after {paged} did they acknowledge, such as 2m10s, or none?",
          { title = role.title, name = run.people[role.id], paged = run.paged_at }), dr.read_delay)
        local good = after and after <= time.seconds(names.ack_within)
        acks[i] = { title = role.title, name = run.people[role.id], ok = good,
                    said = after and "after " .. dr.span(after) or "never acknowledged" }
        run:finding("acknowledged: " .. role.title, acks[i].said, good and "ok" or "bad")
        if not good then late[#late + 1] = role.title end
      end
      run.acks, run.late = acks, late
    end,
    verify = function (run)
      return expect(#run.late == 0, text.render("all acknowledge within {within} (not: {who})",
        { within = names.ack_within, who = table.concat(run.late, ", ") }))
    end,
    on_failure = "continue",
  },

  step "Close the page" {
    notify = function (run) pagerduty.resolve { dedup = run.dedup } end,
  },

  step "Make the folder of the drafts" {
    remedy = function (run)
      local folder = dr.folder()
      if not file.stat(folder) then exec.run { "mkdir", "-p", folder } end
    end,
    verify = function () return expect(has_folder(), "there is the folder " .. dr.folder()) end,
    irreversible = "an empty folder stays",
  },

  step "Draft the holding statement" {
    when = has_folder,
    remedy = function (run) file.write(draft(run, "holding-statement"), texts.holding(run)) end,
    verify = function (run) return file.read(draft(run, "holding-statement")) == texts.holding(run) end,
  },

  step "Post the draft for review" {
    approve = "support-manager",
    notify  = function (run) slack.post(names.channel, texts.holding(run)) end,
  },

  step "Review the holding statement" {
    manual = "Support Manager: read the draft in #ops-status with the others, and correct the file in "
          .. "docs/incidents/templates. Nothing of it goes to customers.",
  },

  -- backup ---------------------------------------------------------------------------------------

  step "Run the backup" {
    timeout = names.backup_within,
    remedy = function (run)
      local argv = table.move(dr.setting "backup", 1, #dr.setting "backup", 1, {})
      argv[#argv + 1] = run.ref
      argv.timeout = names.backup_within
      run.began = math.floor(time.now())
      exec.run(argv)
      run.ended = time.now()
    end,
    verify = function (run) return expect(log_is_new(run), "backup.log is of this run") end,
    irreversible = "the backup stays at its destination",
  },

  step "What did the backup bring?" {
    when = log_is_new,
    probe = function (run)
      local log = dr.setting "backup_log"
      run.measured = dr.span(run.ended - run.began)
      local said = dr.log(file.lines(log))
      run.rowcount = dr.rowcount(dr.setting "rowcount")
      run.took = said.runtime and dr.span(tonumber(said.runtime)) or run.measured
      run.destination = said.destination or "not said"
      run.slow = said.storage and tonumber(said.storage) > time.seconds(names.storage_within) or false
      run.storage = said.storage and dr.span(tonumber(said.storage)) or "not said"
      run:finding("runtime", run.took .. " (here " .. run.measured .. ")")
      run:finding("destination", run.destination, said.destination and "ok" or "bad")
      run:finding("storage sync", text.render("{took}, limit {limit}", { took = run.storage,
        limit = names.storage_within }), run.slow and "bad" or "ok")
      run:evidence("backup.log", file.read(log))
      run:evidence("rowcount.csv", file.read(dr.setting "rowcount"))
      run.dump = newest_dump(run.began)
      if not run.dump then run:fail("the backup folder of staging has no dump of this exercise: is it what the script fills?") end
      local dump, server = staging.backup:verify(run.dump), staging.pg:value "SHOW server_version"
      run.tables = dump.tables
      run:finding("dump", text.render("{name}: {bytes} bytes, {tables} tables", dump))
      if #dump.schemas ~= 1 or dump.schemas[1] ~= names.data then
        run:fail("%s holds %s, not the schema %s", run.dump, table.concat(dump.schemas, ", "), names.data)
      elseif tonumber(dump.server:match "%d+") > tonumber(server:match "%d+") then
        run:fail("%s is of PostgreSQL %s, and staging has %s", run.dump, dump.server, server)
      end
    end,
    verify = function (run) return expect(run.destination ~= "not said", "backup.log names a destination") end,
  },

  -- restore and cutover rehearsal --------------------------------------------------------------------

  step "Restore it into staging" {
    when = function () return not staging.settings.script_restores, "the script has done it" end,
    remedy = function (run)
      run.restore_began = time.now()
      staging.backup:restore { file = run.dump, schema = names.data }
    end,
    verify = function (run)
      local n = staging.pg:value([[SELECT count(*) FROM pg_tables WHERE schemaname = :data]], { data = names.data })
      return expect(n >= run.tables, "staging has the " .. run.tables .. " tables of the dump (it has " .. n .. ")")
    end,
    undo_when = "asked",
  },

  step "Do the row counts agree?" {
    probe = function (run)
      run.restore_took = staging.settings.script_restores and "the script's runtime"
        or dr.span(time.now() - run.restore_began)
      local restored, parity, apart = dr.counts(run, staging), {}, {}
      for i, it in ipairs(run.rowcount) do
        local ok = it.source == it.backup and it.source == restored[it.table]
        parity[i] = { table = it.table, source = it.source, backup = it.backup, restored = restored[it.table] or "none",
                      agree = ok and "yes" or "NO" }
        if not ok then apart[#apart + 1] = it.table end
      end
      for name in pairs(run.before) do
        local known = false
        for _, it in ipairs(run.rowcount) do known = known or it.table == name end
        if not known then
          parity[#parity + 1] = { table = name, source = run.before[name], backup = "none",
                                  restored = restored[name] or "none", agree = "NO" }
          apart[#apart + 1] = name
        end
      end
      run.parity, run.apart = parity, apart
      run:finding("row counts", "\n" .. texts.parity(run), #apart == 0 and "ok" or "bad")
    end,
    verify = function (run)
      return expect(#run.apart == 0, "every table has as many rows as its source (not: " .. table.concat(run.apart, ", ") .. ")")
    end,
    on_failure = "continue",
  },

  step "Smoke test: issue a voucher and redeem it" {
    id = "smoke-issue",
    remedy = function (run) run.smoke_issue = outcome("Issue and redeem", issue_and_redeem(run)) end,
    verify = function (run)
      local n = run.smoke_issue.ok and redeemed(run.desk_code) or 1
      if n ~= 1 then run.smoke_issue = outcome("Issue and redeem", "the database has " .. n .. " redemptions of one voucher") end
      return expect(run.smoke_issue.ok, run.smoke_issue.said)
    end,
    on_failure = "continue",
    irreversible = wrote,
  },

  step "Smoke test: send for a campaign" {
    id = "smoke-send",
    remedy = function (run) run.smoke_send = outcome("Campaign send", campaign_send(run)) end,
    verify = function (run)
      local status = run.smoke_send.ok and staging.pg:value([[SELECT max(status) FROM :"data".:"notifications"
        WHERE target_id = :target]], { target = run.send_target }) or names.test_message
      if status ~= names.test_message then
        run.smoke_send = outcome("Campaign send", "the message was " .. tostring(status) .. ", and not a test")
      end
      return expect(run.smoke_send.ok, run.smoke_send.said)
    end,
    on_failure = "continue",
    irreversible = wrote,
  },

  step "Smoke test: redeem at a station" {
    id = "smoke-station",
    remedy = function (run) run.smoke_station = outcome("Station redeem", station_redeem(run)) end,
    verify = function (run)
      local n = run.smoke_station.ok and redeemed(run.station_code) or 1
      if n ~= 1 then run.smoke_station = outcome("Station redeem", "the database has " .. n .. " redemptions of one voucher") end
      return expect(run.smoke_station.ok, run.smoke_station.said)
    end,
    on_failure = "continue",
    irreversible = wrote,
  },

  step "What would a cutover change?" {
    probe = function (run)
      for _, name in ipairs(dr.setting "dns") do
        local found, err = run:try(function () return net.resolve(name) end)
        run:finding("DNS " .. name, found and "resolves" or err.message, found and "ok" or "bad")
      end
      for _, name in ipairs(dr.setting "cutover_env") do
        local here, there = vouchers.dotenv:has(name), staging.dotenv:has(name)
        run:finding("env " .. name, text.render("production: {a}, staging: {b}", { a = here and "set" or "not set",
          b = there and "set" or "not set" }), here and there and "ok" or "bad")
      end
    end,
  },

  step "Review the cutover checklist" {
    manual = "Incident Commander, Data Platform Lead: go through the DNS records and environment variables above, aloud: "
          .. "who changes what, in which order, and how it is taken back. Change nothing in production.",
  },

  step "Who rolls back?" {
    probe = function (run)
      run.rollback_owner = dr.ask(run, "rollback-owner", "Who is the rollback owner of a cutover?", dr.read_name)
      run:finding("rollback owner", run.rollback_owner)
    end,
  },

  -- stakeholders ---------------------------------------------------------------------------------------

  step "Draft the status page update and the escalation e-mail" {
    id = "draft-the-messages",
    when = has_folder,
    remedy = function (run)
      file.write(draft(run, "status-page"), texts.status_page(run))
      file.write(draft(run, "escalation-email"), texts.escalation(run))
    end,
    verify = function (run)
      return file.read(draft(run, "status-page")) == texts.status_page(run)
         and file.read(draft(run, "escalation-email")) == texts.escalation(run)
    end,
  },

  -- findings -------------------------------------------------------------------------------------------

  step "What was found, who acts, until when?" {
    id = "findings",
    probe = function (run)
      run.smokes = { run.smoke_issue, run.smoke_send, run.smoke_station }
      local found = {}
      local tests = { "smoke-issue", "smoke-send", "smoke-station" }
      local function add (id, what) found[#found + 1] = { id = id, what = what } end
      for _, it in ipairs(run.acks) do
        if not it.ok then add("late-" .. it.title:lower():gsub(" ", "-"), it.title .. ": " .. it.said .. ", limit " .. names.ack_within) end
      end
      if run.slow then add("storage-sync", "Storage sync took " .. run.storage .. ", limit " .. names.storage_within) end
      if #run.apart > 0 then add("row-counts", "Row counts differ: " .. table.concat(run.apart, ", ")) end
      for i, it in ipairs(run.smokes) do
        if not it.ok then add(tests[i], it.name .. ": " .. it.said) end
      end
      local actions = {}
      for i, it in ipairs(found) do
        local a = dr.ask(run, "action-" .. it.id, it.what .. ". Who acts, until when (OWNER, YYYY-MM-DD)?", dr.read_action)
        actions[i] = { what = it.what .. (a.what ~= "" and "; " .. a.what or ""), owner = a.owner, due = a.due }
        run:finding("action " .. i, text.render("{what} ({owner}, {due})", actions[i]), "bad")
      end
      for _, it in ipairs(dr.ask(run, "findings", "What else was found? WHAT | OWNER | YYYY-MM-DD; ... or none", dr.read_findings)) do
        actions[#actions + 1] = it
        run:finding("action " .. #actions, text.render("{what} ({owner}, {due})", it), "warn")
      end
      run.actions = actions
    end,
  },

  step "File the findings" {
    remedy = function (run)
      local path = dr.setting "findings"
      file.write(path, dr.with_findings(file.stat(path) and file.read(path) or "", texts.section(run), run.next_day))
    end,
    verify = function (run) return file.read(dr.setting "findings"):find(texts.section(run), 1, true) ~= nil end,
  },

  step "Write the tabletop report" {
    remedy = function (run)
      run.report = text.render("{folder}/dr-tabletop-{day}.md", { folder = dr.setting "incidents", day = run.day })
      file.write(run.report, texts.report(run))
    end,
    verify = function (run) return file.read(run.report) == texts.report(run) end,
  },

  step "Are there new controls for SYSTEM_CHECKLIST.md?" {
    id = "new-controls",
    probe = function (run)
      local lines = {}
      for i, it in ipairs(dr.ask(run, "new-controls", "Which new controls go into SYSTEM_CHECKLIST.md? a; b; ... or none",
                                 dr.read_list)) do
        lines[i] = text.render("- [ ] {control} ({event} {day})\n", { control = it, event = names.event, day = run.day })
      end
      run.controls = table.concat(lines)
    end,
    remedy = function (run)
      if run.controls == "" then return end
      local path = dr.setting "checklist"
      file.write(path, file.read(path):gsub("\n*$", "\n") .. run.controls)
    end,
    verify = function (run)
      return expect(file.read(dr.setting "checklist"):find(run.controls, 1, true), "the new controls stand there")
    end,
  },

  step "When is the next one?" {
    probe = function (run) run:finding("next exercise", run.next_day .. ", " .. names.hour .. " UTC") end,
  },
}
