-- What the voucher application calls things, and where the limits of its tabletop are.
--
-- The runbooks of this folder read every name and number from here (as vouchers.schema),
-- and SQL finds names such as :"vouchers" here too. A configuration overrides single
-- entries with `schema = { ack_within = "10m" }` in the system vouchers.

return {

  -- http ------------------------------------------------------------------------

  status          = "/api/integrations/status",        -- environment, integrations; ?force=true asks anew
  issue           = "/api/vouchers/issue",             -- POST station_scope: 201 and code
  redeem          = "/api/vouchers/redeem",            -- POST code, idempotency_key
  station_redeem  = "/api/station/redeem",             -- POST code, station, idempotency_key
  campaign_status = "/api/campaigns/{campaign}/status",
  campaign_send   = "/api/campaigns/{campaign}/send",  -- POST phone: 202
  manifest        = "/v1/projects/{ref}/backups",      -- of the platform, with its access token

  -- pg ---------------------------------------------------------------------------

  data          = "vouchers",            -- the schema that is backed up and restored
  vouchers      = "vouchers",            -- id, code, status, station_scope, campaign_id
  events        = "voucher_events",      -- voucher_id, at, kind, station, idempotency_key
  campaigns     = "campaigns",           -- id, state, started_at
  targets       = "campaign_targets",    -- campaign_id, phone, status, updated_at
  notifications = "notifications",       -- id, target_id, status, error, at
  app_settings  = "settings",            -- key, value
  audit         = "audit_log",           -- at, action, actor, detail
  test_message  = "test",                -- notifications.status of a message that nobody gets

  -- what the script writes: the last line with one of these is taken ---------------

  log_runtime     = "runtime=(%d+)",             -- seconds
  log_destination = "destination=(%S+)",
  log_storage     = "storage .*seconds=(%d+)",   -- seconds that the storage sync took
  log_failed      = "failed: (.+)",
  rowcount_table  = "table",                     -- columns of rowcount.csv
  rowcount_source = "source",
  rowcount_backup = "backup",

  -- the tabletop ---------------------------------------------------------------------

  event          = "DR-Tabletop",      -- what PagerDuty shows
  channel        = "#ops-status",      -- where the holding statement's draft is reviewed
  hour           = "14:00",            -- UTC, on the first Tuesday of the quarter
  ack_within     = "5m",
  backup_within  = "2h",               -- the script is given up after that
  storage_within = "10m",              -- the 2024-10-01 tabletop's sync took 11 minutes
  disk_room      = 3,                  -- times the database's size must be free where dumps go

  roles = {
    { id = "incident_commander", title = "Incident Commander", who = "on-call engineer" },
    { id = "data_platform_lead", title = "Data Platform Lead" },
    { id = "support_manager", title = "Support Manager" },
    { id = "stakeholder_communications", title = "Stakeholder Communications", who = "Customer Success lead" },
  },

  -- where the findings file has no findings yet: those of the page itself
  last_findings = {
    "2024-10-01: the snapshot manifest could not be fetched at first (HTTP 401): rotate the access token, run the script again",
    "2024-10-01: the storage sync took 11 minutes: multipart uploads for the bucket of voucher images before the next exercise",
  },

  -- the names of the settings these runbooks need from the configuration ------------------

  settings = {
    project_ref  = "text: the project's reference, of production and of staging each",
    backup       = "argv of scripts/supabase-backup-restore.sh, to which staging's project_ref is added",
    backup_log   = "path: the backup.log that the script writes",
    rowcount     = "path: the rowcount.csv that the script writes",
    incidents    = "path: the folder docs/incidents; drafts go to templates in it",
    findings     = "path: the file with the section of the tabletop and its findings",
    checklist    = "path: SYSTEM_CHECKLIST.md",
    dns          = "list of host names that a cutover would change",
    cutover_env  = "list of environment variables that a cutover would change",
    smoke        = "table: station, campaign (an id), phone (one that is nobody's), for the smoke tests",
    participants = "table: who they are, by role: incident_commander, data_platform_lead, "
                .. "support_manager, stakeholder_communications",
  },
}
