# config.sh - the configuration that runbook reads
# shellcheck shell=bash

# is there no such file, or nothing in it, or what we wrote?
config_ours () {
  [ -e "$1" ] || [ -L "$1" ] || return 0
  [ -f "$1" ] && { [ ! -s "$1" ] || [[ $(head -n 1 "$1") == '-- The configuration of the sandbox in '* ]]; }
}

config_write () {
  local file=$1 q who service
  q () { json_text "$1"; }      # Lua reads these strings as JSON does
  who=$(q "$(id -un)")
  if [ -n "$SANDBOX_PM2" ]; then
    service="{ url = \"pm2:school-erp-server\", home = $(q "$PM2_HOME"), program = $(q "$SANDBOX_PM2") }"
  else
    service="{ url = \"process:school-erp-server\", pidfile = $(q "$SANDBOX_PIDFILE"),
                    start = { $(q "$server"), \"--env\", $(q "$SANDBOX_DOTENV"),
                              \"--pidfile\", $(q "$SANDBOX_PIDFILE") },
                    cwd = $(q "$SANDBOX_APP"), log = $(q "$dir/log/server.err") }"
  fi
  rm -f "$file.new"
  (umask 077; cat > "$file.new") <<END
-- The configuration of the sandbox in $dir, written by \`sandbox up\`.
-- It holds passwords: mode 0600, and not for a repository.
return {
  target   = "local",
  runbooks = { $(q "$top/runbooks") },
  roles    = {
    ["on-call"]         = { $who },
    ["senior-engineer"] = { $who },
    ["tech-lead"]       = { $who },
    cto                 = { $who },
    ["support-manager"] = { $who },
  },
  targets  = {
    ["local"] = {
      kind     = "sandbox",
      defaults = { tenant_isolation = { tenant = "greenwood_high" } },
      allow    = {
        files    = { $(q "$dir") },
        programs = { "pm2", "git", "ls", "cat", "sh", "mkdir", "rmdir",$(vouchers_programs) $(q "$SANDBOX_APP/bin/preflight"),
                     $(q "$SANDBOX_APP/bin/build"), $(q "$SANDBOX_APP/bin/golive") },
        hosts    = { "127.0.0.1", "127.0.0.1:$SANDBOX_PG_PORT" },   -- the latter for bin/preflight
      },
      limits   = { pg_rows = 50000, redis_keys = 100 },
$(receivers_notify)
      systems  = {
        school_erp = {
          http    = { url = $(q "$SANDBOX_HTTP_URL"), probes = {} },
          pg      = {
            url   = $(q "$SANDBOX_PG_URL"),
            probe = $(q "$SANDBOX_PG_PROBE_URL"),
          },
          redis   = {
            url   = $(q "$SANDBOX_REDIS_URL"),
            probe = $(q "$SANDBOX_REDIS_PROBE_URL"),
          },
          dotenv  = $(q "$SANDBOX_DOTENV"),
          service = $service,
          log     = $(q "$SANDBOX_LOG"),
          backup  = $(q "$SANDBOX_BACKUPS"),
          settings = {
            preflight      = { $(q "$SANDBOX_APP/bin/preflight") },   -- takes a schema
            repository     = $(q "$SANDBOX_APP"),
            build          = { $(q "$SANDBOX_APP/bin/build") },
            load_baseline  = { $(q "$SANDBOX_APP/bin/golive"), "baseline" },
            simulate_usage = { $(q "$SANDBOX_APP/bin/golive"), "usage" },
            resilience     = { $(q "$SANDBOX_APP/bin/golive"), "resilience" },
            cache_prefixes = { "cache:" },
            login = { email = $(q "$SANDBOX_LOGIN_EMAIL"), password = $(q "$SANDBOX_LOGIN_PASSWORD"),
                      tenant = "greenwood_high" },
            school_names = {
              greenwood_high = { school = "Greenwood High", admin = "office@greenwood-high.example" },
              riverside      = { school = "Riverside School", admin = "office@riverside.example" },
              ["st-marys"]   = { school = "St Mary's", admin = "office@st-marys.example" },
            },
          },
          schema  = {},
        },
        polaris = {
          http    = $(q "$SANDBOX_POLARIS_URL"),
          pg      = { url = $(q "$SANDBOX_POLARIS_PG_URL"), probe = $(q "$SANDBOX_POLARIS_PG_PROBE_URL") },
          redis   = { url = $(q "$SANDBOX_POLARIS_REDIS_URL"), probe = $(q "$SANDBOX_POLARIS_REDIS_PROBE_URL") },
          dotenv  = $(q "$SANDBOX_POLARIS/.env"),
          service = { url = "process:polaris-server", pidfile = $(q "$SANDBOX_POLARIS_PIDFILE"),
                      start = { $(q "$polaris_server"), "--env", $(q "$SANDBOX_POLARIS/.env"),
                                "--pidfile", $(q "$SANDBOX_POLARIS_PIDFILE") },
                      cwd = $(q "$SANDBOX_POLARIS"), log = $(q "$dir/log/polaris.err") },
          log     = $(q "$dir/log/polaris.log"),
          settings = {
            link_url         = "https://polaris.example.org/magic-link/{token}",
            link_lifetime    = "24h",
            magic_link       = { redis = "feature:magic_link", on = "on", off = "off" },
            pathful_imports  = { redis = "feature:pathful_imports", on = "on", off = "off" },
            invite_from      = "Polaris Events <events@polaris.example.org>",
            invite_uid       = "event-{event}@polaris.example.org",
            dashboard_refresh = "1h",
            pathful_daily    = true,                      -- an import is expected every day
            roster_current   = true,                      -- the roster is expected to be current
            leadership       = { "leadership@example.org" },
            evidence         = $(q "$SANDBOX_POLARIS/evidence"),
            samples          = $(q "$SANDBOX_POLARIS/samples"),
            aliases          = $(q "$SANDBOX_POLARIS/aliases.json"),
            pathful_contract = {
              columns  = { $(polaris_list "$polaris_columns") },
              required = { $(polaris_list "$polaris_required") },
              types    = { Date = "date" },
            },
          },
          schema  = {},
        },
$(vouchers_config)
      },
    },
  },
}
END
  mv "$file.new" "$file" || die "cannot write $file"
}
