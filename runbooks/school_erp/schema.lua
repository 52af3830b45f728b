-- What the school ERP calls things, and where its limits are.
--
-- The runbooks of this folder read every name and number from here (as erp.schema), and
-- SQL finds names such as :"sessions" here too. One name, one plain value: a configuration
-- overrides single entries with `schema = { sessions = "logins" }` in its system.
-- {tenant} and {queue} in a text are filled in by the runbook.

return {

  -- http ------------------------------------------------------------------------

  alive         = "/health",                          -- the process answers
  ready         = "/health/ready",                    -- checks = { db, redis, queue }, each "ok"
  health        = "/health/golive",                   -- overallHealth: GREEN, YELLOW, RED
  alerts        = "/health/golive/alerts",            -- a list; empty is good
  tenant_health = "/health/golive/tenant/{tenant}",   -- overallHealth of one school
  pilot         = "/health/golive/pilot",             -- pilotMode, maxSchools, liveSchools
  queue_health  = "/health/queues",                   -- queues = { { name, waiting, failed, ... } }
  dashboard     = "/t/{tenant}/dashboard",            -- a school's own traffic
  login         = "/t/{tenant}/login",                -- POST { email, password }: makes a session

  -- pg: one schema per school --------------------------------------------------

  sessions       = "user_sessions",    -- id, user_id, is_active, revoked_at, revoke_reason
  students       = "students",         -- id, active
  users          = "users",            -- id, email, role_id, active
  roles          = "roles",            -- id, name
  jobs           = "jobs",             -- id, queue, payload, status, attempts, error
  login_attempts = "login_attempts",   -- at, email, ip, ok
  error_events   = "error_events",     -- at, route, status, message
  audit_log      = "audit_log",        -- at, actor, action, detail
  registry       = "schools",          -- in public: schema_name, name, admin_email, status
  migrations     = "schema_migrations",   -- in public: version, of each that has run

  -- releases ---------------------------------------------------------------------

  release_file  = "release.json",        -- in git: what a release says of itself: version and
  release_needs = "schema",              -- the number of the migration that it needs
  container     = "school-erp-server",   -- its name, where the server runs in docker

  -- redis ----------------------------------------------------------------------

  blocked             = "tenant:blocked:{tenant}",               -- "true", with an expiry
  maintenance         = "tenant:maintenance:{tenant}",           -- "true", until it is deleted
  maintenance_message = "tenant:maintenance:message:{tenant}",   -- what people read meanwhile
  queue_key           = "bull:{queue}:*",                        -- everything of one queue
  queue_wait          = "bull:{queue}:wait",                     -- a list of job ids
  queue_failed        = "bull:{queue}:failed",                   -- a sorted set of job ids
  queue_job           = "bull:{queue}:{job}",                    -- a hash: name, data, failedReason
  queues              = { "notifications", "reports" },
  cache_prefixes      = { "cache:" },                            -- may be deleted at any time
  kept_prefixes       = { "tenant:blocked:", "tenant:maintenance:", "bull:" },   -- may not

  -- .env -----------------------------------------------------------------------

  disabled_tenants = "DISABLED_TENANTS",   -- schemas, comma-separated; read when the server starts
  pilot_mode       = "PILOT_MODE",         -- "true" during the pilot
  max_schools      = "MAX_SCHOOLS",        -- "2" during the pilot

  -- log: JSON lines --------------------------------------------------------------

  log_login_failures = "login_failures",       -- in every failed login's line
  log_admin_failures = "ADMIN_LOGIN_FAILED",   -- the event, when it was an administrator's
  log_ip             = "ip",
  log_user           = "user",
  log_lines          = 100,                    -- how many the first look takes

  -- what the runbooks write: exactly these texts, people and reports search for them ----

  isolation_reason    = "Tenant isolated for maintenance",
  maintenance_reason  = "Emergency maintenance mode activated",
  maintenance_text    = "System maintenance in progress. Expected completion: 2 hours.",
  emergency_snapshot  = "emergency",       -- labels of dumps
  forensic_snapshot   = "forensic",
  nightly_snapshot    = "daily",

  -- limits -----------------------------------------------------------------------

  good                      = "GREEN",
  failed_jobs_limit         = 10,          -- more: a queue spike, P1
  login_failures_limit      = 20,          -- more in a minute: a spike
  db_latency_limit_ms       = 1000,        -- more, or no connection at all
  slow_query_after          = "30s",
  slow_page_after           = "3s",        -- P2
  slow_report_after         = "30s",       -- P2
  attendance_failing_percent = 10,         -- of teachers; more: P1
  most_keys                 = 100000,      -- that one look through Redis takes
  pilot_schools             = { 1, 2 },    -- the pilot is for this many
  pilot_users               = { 2000, 4000 },
  largest_tables            = 10,
  top_addresses             = 10,
  top_log_lines             = 50,
  first_failed_jobs         = 10,
  last_commits              = 10,
  snapshots_shown           = 10,
  loss_percent              = 10,          -- a table that has lost more rows than this is damaged
  passing_tables            = { "user_sessions", "jobs", "login_attempts", "error_events" },   -- rows go by themselves

  -- times ------------------------------------------------------------------------

  block_for         = "1h",                -- how long a blocked school stays blocked by itself
  settle_after      = "10s",               -- between a restart and the first look
  watch_for         = "5m",                -- GREEN must hold this long
  watch_every       = "5s",
  alerts_every      = "10s",
  restart_takes     = { "30s", "60s" },
  rollback_takes    = { "5m", "15m" },
  build_takes       = "15m",               -- a build that takes longer is stopped
  snapshots_kept    = "7d",
  snapshot_schedule = "0 2 * * *",         -- every night at two
  snapshot_age      = "26h",               -- older: last night's was not taken

  -- severities ---------------------------------------------------------------------

  severities = {
    P0 = { name = "critical", response = "5 minutes", resolution = "30 minutes",
           means = { "nobody can sign in, or somebody cannot at all",
                     "the database cannot be reached",
                     "Redis is gone, and queues and cache with it",
                     "data lost or damaged",
                     "one school sees another school's data",
                     "forged sign-in tokens" } },
    P1 = { name = "high", response = "30 minutes", resolution = "2 hours",
           means = { "marking attendance fails for more than 10 % of teachers",
                     "exams cannot be handed in",
                     "people with the right are refused",
                     "more than 10 failed jobs in a queue",
                     "reports time out",
                     "the admin panel cannot be reached" } },
    P2 = { name = "medium", response = "same day", resolution = "next business day",
           means = { "pages take more than 3 s",
                     "report exports take more than 30 s",
                     "something that is not essential is unavailable",
                     "pages look wrong",
                     "notifications come late" } },
    P3 = { name = "low", response = "3 days", resolution = "next sprint",
           means = { "cosmetic", "a wish", "missing documentation", "small improvements" } },
  },

  -- who is asked, and when the next one is -------------------------------------------

  ladder = {
    { who = "Support Tier 1", within = "5m", next_after = "15m",
      does = { "looks at the go-live health", "looks at the alerts", "reads the server's log" } },
    { who = "Engineering On-Call", next_after = "30m", level = 1, role = "on-call",
      does = { "signs in to the server", "checks database and Redis", "level 1" } },
    { who = "Senior Engineer or Tech Lead", level = 3, role = "senior-engineer",
      next_when = "data integrity is at risk",
      does = { "level 2 or 3", "speaks with the school's admin" } },
    { who = "CTO or Founder", level = 4, role = "cto",
      does = { "authorises level 4", "speaks with the school's principal" } },
  },

  -- the four levels of recovery, and the runbooks that are them ------------------------

  levels = {
    { level = 1, when = "one service has crashed", runbooks = { "service_restart" },
      approve = { "on-call" } },
    { level = 2, when = "one school only is affected", runbooks = { "tenant_isolation" },
      approve = { "senior-engineer" } },
    { level = 3, when = "a deployment or a migration was bad",
      runbooks = { "deployment_rollback", "database_restore" },
      approve = { "tech-lead", "cto" } },
    { level = 4, when = "the integrity of data is at risk", runbooks = { "tenant_maintenance" },
      approve = { "cto" } },
  },

  -- those of them that are runbooks already: the others are still followed by hand
  here = { service_restart = true, tenant_isolation = true, tenant_maintenance = true,
           database_restore = true, deployment_rollback = true },

  -- alerts, and the runbook that answers each -------------------------------------------

  red_flags = {
    LOGIN_FAILURE_SPIKE = "login_failure_spike",
    DB_HIGH_LATENCY     = "db_high_latency",
    DB_DOWN             = "db_high_latency",
    REDIS_DISCONNECT    = "redis_disconnect",
    DLQ_SPIKE           = "dlq_spike",
    TENANT_RED          = "tenant_isolation",
    MIGRATION_MISSING   = "deployment_rollback",
  },

  -- the names of the settings these runbooks need from the configuration ------------------

  settings = {
    preflight      = "argv: is a school ready? its name is added (a schema here)",
    repository     = "path: where the server's releases are checked out",
    build          = "argv: builds what is checked out",
    cache_prefixes = "list: overrides cache_prefixes above",
    school_names   = "table: schema -> { school, admin }",
    login          = "table: { tenant, email, password } of a test user",
    image          = "name of the docker image, where the server runs in docker",
    docker_run     = "list: options of docker run for the server's container (ports, settings, volumes)",
    load_baseline  = "argv: the load baseline of the go-live checklist",
    simulate_usage = "argv: the usage simulation",
    resilience     = "argv: the failure resilience test",
  },
}
