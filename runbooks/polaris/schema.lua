-- What Polaris calls things, and where its limits are.
--
-- The runbooks of this folder read every name and number from here (as polaris.schema),
-- and SQL finds names such as :"roster" here too. A configuration overrides single
-- entries with `schema = { roster = "teachers" }` in its system. {token} and its kind in
-- a text are filled in by the runbook.

return {

  -- http ------------------------------------------------------------------------

  link_check   = "/magic-link/{token}/check",       -- state, email, teacher_id; uses nothing up
  link_none    = "none",                            -- a token that nobody has
  provider     = "/provider/status",                -- status: up, down; detail
  invite       = "/events/{event}/invite.ics",      -- the invitation as the application makes it
  import_sheet = "/virtual/import-sheet/{file}",    -- POST, the sheet as the body

  -- pg -----------------------------------------------------------------------------

  roster        = "teacher_progress",         -- id, email, name, district, building, status,
                                              -- status_computed_at, active
  sessions      = "event_teacher",            -- teacher_id, event_id, status, session_start
  events        = "event",                    -- id, title, start_datetime, end_datetime, timezone,
                                              -- location, venue_name, status
  links         = "magic_link",               -- token, email, teacher_id, created_at, expires_at,
                                              -- used_at, revoked_at
  deliveries    = "email_delivery",           -- message_id, recipient, kind, status, error, sent_at
  audit         = "audit_log",                -- at, action, actor, detail
  syncs         = "sync_status",              -- name, last_success_at, last_status, records, expected
  imports       = "virtual_session_import",   -- id, at, file, rows, invalid_rows, status, error

  -- what stands in audit_log.action ------------------------------------------------

  asked         = "magic_link_requested",
  refused       = "magic_link_refused",       -- detail.reason: not_found, expired, used, revoked
  opened        = "magic_link_opened",        -- detail: email, token (a fingerprint), teacher_id shown
  regenerated   = "magic_link_regenerated",
  revoked       = "magic_link_revoked",
  corrected     = "roster_corrected",         -- detail: teacher_id, from, to (addresses)
  added         = "roster_added",
  invited       = "invite_regenerated",       -- detail: event_id, sequence, to (how many)
  event_changed = "event_corrected",          -- detail: event_id, what it was
  odd_pattern   = [['|--|;|\m(union|select|drop)\M]],   -- in what a form sent: somebody tries

  -- the five syncs, in the order of the page; older than `limit` is stale ---------------

  freshness = {
    { id = "sf_vt_events", name = "SF to VT event sync", limit = "2h", expected = "hourly" },
    { id = "comms", name = "comms sync", limit = "24h", expected = "daily",
      route = "/history/import-from-salesforce" },
    { id = "dashboard", name = "dashboard refresh", setting = "dashboard_refresh",
      expected = "as configured" },
    { id = "pathful", name = "Pathful import", limit = "24h", expected = "daily, or as needed",
      only_if = "pathful_daily", route = "/virtual/import-sheet" },
    { id = "roster", name = "roster import", limit = "14d", expected = "by hand, every two weeks",
      only_if = "roster_current" },
  },

  -- limits ---------------------------------------------------------------------------

  bounces_over          = "24h",   -- the bounce rate is that of the last day
  bounce_percent        = 5,       -- more is no accident
  blocked_percent       = 50,      -- of one domain's mail: the domain is blocked
  blocked_least         = 3,       -- and no fewer mails than that
  token_bytes           = 32,      -- of a new link, as 64 hexadecimal digits
  fix_stale_within      = "24h",   -- SEV2
  invalid_percent       = 10,      -- of an import's rows: more is a spike
  test_rows             = { 5, 10 },
  column_alike          = 0.85,    -- two column names that may be one
  alike                 = 0.9,     -- two addresses that may be one, by text.similarity
  rate_limit            = [[4\.7\.0|429|rate limit|too many]],  -- in a delivery's error
  ics_blocked           = [[\.ics|attachment|calendar]],        -- in that of a blocked one
  invitation            = "<invite-{event}-",   -- how message ids of invitations begin
  timezone              = "America/Chicago",    -- of an event that has none
  invitees              = 60,                   -- mails of one run
  shown                 = 10,      -- rows of a list that a finding shows
  told                  = 50,      -- and that a mail to leadership has

  -- severities -------------------------------------------------------------------------

  severities = {
    SEV1 = { name = "critical security incident",
             means = { "wrong data shown, as when a teacher sees another teacher's",
                       "data leakage", "unauthorised access" },
             action = "at once: disable the endpoint, notify leadership" },
    SEV2 = { name = "system degradation",
             means = { "data stale beyond the threshold", "import failures that affect several users",
                       "dashboards with wrong aggregates" },
             action = "investigate and fix within 24 hours" },
  },

  -- the symptom that was reported, and the runbook that answers it -------------------------

  symptoms = {
    dashboard   = "dashboard_numbers",
    export      = "dashboard_numbers",
    magic_link  = "magic_link",
    import      = "pathful_schema_change",
    calendar    = "calendar_invites",
  },

  -- those of them that are runbooks already: the others are still followed by hand
  here = { magic_link = true, pathful_schema_change = true, calendar_invites = true },

  -- the names of the settings these runbooks need from the configuration ------------------

  settings = {
    magic_link        = "a switch: { redis = KEY }, { dotenv = NAME } or { http = PATH }, see feature",
    pathful_imports   = "a switch: of the schedule that imports Pathful's exports",
    link_url          = "text with {token}: what a teacher opens",
    link_lifetime     = "duration: how long a magic link is good",
    invite_from       = "address: who invites people to events, such as Events <events@example.org>",
    invite_uid        = "text with {event}: the UID of an event's invitation, as the application writes it",
    dashboard_refresh = "duration: the dashboard's cache is refreshed at least this often",
    pathful_daily     = "boolean: is an import from Pathful expected every day?",
    roster_current    = "boolean: is the roster expected to be current?",
    leadership        = "list of e-mail addresses: who is told of a SEV1",
    evidence          = "path: the folder where evidence is kept",
    samples           = "path: the folder where samples of exports are kept",
    aliases           = "path: the file with the column alias map, JSON",
    pathful_contract  = "table: columns = { ... }, required = { ... }, types = { COLUMN = \"date\" }",
  },
}
