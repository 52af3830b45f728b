# vouchers.sh - the third application, twice: production, and staging for a rehearsed restore
# shellcheck shell=bash
#
# It is no part of an `up`: few need it, and it takes a while. The first of its variants
# starts it and writes the configuration again; from then on it goes and comes with the rest.

vouchers_used () { [ -n "$SANDBOX_VOUCHERS" ]; }

# WHICH COMMAND...: what app.sh has for the one application, for production or staging
vouchers_as () {
  local port=SANDBOX_VOUCHERS_PORT
  [ "$1" = production ] || port=SANDBOX_VOUCHERS_STAGING_PORT
  local SANDBOX_HTTP_PORT=${!port} SANDBOX_TOKEN=$SANDBOX_TOKEN.$1
  shift
  "$@"
}
vouchers_health () { vouchers_as "$1" app_health; }
vouchers_pid () { vouchers_as "$1" app_pid; }
vouchers_all () { "$@" production && "$@" staging; }

vouchers_urls () {
  local at=127.0.0.1:$SANDBOX_PG_PORT
  SANDBOX_VOUCHERS_PG_URL=postgresql://vouchers:$SANDBOX_VOUCHERS_PASSWORD@$at/vouchers
  SANDBOX_VOUCHERS_PG_PROBE_URL=postgresql://vouchers_probe:$SANDBOX_VOUCHERS_PROBE_PASSWORD@$at/vouchers
  SANDBOX_VOUCHERS_STAGING_PG_URL=postgresql://vouchers_staging:$SANDBOX_VOUCHERS_STAGING_PASSWORD@$at/vouchers_staging
  SANDBOX_VOUCHERS_STAGING_PG_PROBE_URL=postgresql://vouchers_probe:$SANDBOX_VOUCHERS_PROBE_PASSWORD@$at/vouchers_staging
  SANDBOX_VOUCHERS_URL=http://127.0.0.1:$SANDBOX_VOUCHERS_PORT
  SANDBOX_VOUCHERS_STAGING_URL=http://127.0.0.1:$SANDBOX_VOUCHERS_STAGING_PORT
}

# ---- files ------------------------------------------------------------------------------------

vouchers_dotenv () {            # WHICH PORT URL
  local file=$SANDBOX_VOUCHERS/$1/.env
  (umask 077; cat > "$file.new") <<END
# Vouchers, $1. FAULTS and SEND_MODE are read again and again, the rest once, when it starts.
ENVIRONMENT=$1
PORT=$2
INSTANCE_TOKEN=$SANDBOX_TOKEN.$1
DATABASE_URL=$3
LOG_FILE=$(json_text "$dir/log/vouchers-$1.log")
PROJECT_REF=sandbox-$1
ACCESS_TOKEN=$SANDBOX_VOUCHERS_TOKEN
SUPABASE_URL=https://sandbox-$1.example.org
SUPABASE_ANON_KEY=anon-$1
SUPABASE_SERVICE_ROLE_KEY=service-$1
FAULTS=
SEND_MODE=$([ "$1" = production ] && echo live || echo test)
END
  mv "$file.new" "$file"
}

vouchers_dotenvs () {
  vouchers_dotenv production "$SANDBOX_VOUCHERS_PORT" "$SANDBOX_VOUCHERS_PG_URL"
  vouchers_dotenv staging "$SANDBOX_VOUCHERS_STAGING_PORT" "$SANDBOX_VOUCHERS_STAGING_PG_URL"
  (umask 077; cat > "$SANDBOX_VOUCHERS/dr.env") <<END
SOURCE_REF=sandbox-production
SOURCE_HOST=127.0.0.1
SOURCE_PORT=$SANDBOX_PG_PORT
SOURCE_USER=vouchers
SOURCE_PASSWORD=$SANDBOX_VOUCHERS_PASSWORD
SOURCE_DATABASE=vouchers
STAGING_USER=vouchers_staging
STAGING_PASSWORD=$SANDBOX_VOUCHERS_STAGING_PASSWORD
STAGING_DATABASE=vouchers_staging
PLATFORM_URL=$SANDBOX_VOUCHERS_STAGING_URL
ACCESS_TOKEN=$SANDBOX_VOUCHERS_TOKEN
BUCKET=$SANDBOX_VOUCHERS/bucket
BUCKET_NAME=s3://voucher-backups/dr-tabletop
END
}

vouchers_files () {
  local i docs=$SANDBOX_VOUCHERS/docs
  rm -rf "$SANDBOX_VOUCHERS"/{bucket,docs,out,storage,scripts} "$SANDBOX_VOUCHERS"/work.*
  mkdir -p "$SANDBOX_VOUCHERS"/{production,staging,bucket,docs/incidents,out,storage,scripts}
  chmod 700 "$SANDBOX_VOUCHERS/bucket"
  cp "$here/app/supabase-backup-restore.sh" "$SANDBOX_VOUCHERS/scripts/"
  for i in 1 2 3 4 5; do printf 'voucher %d\n' "$i" > "$SANDBOX_VOUCHERS/storage/V-$i.png"; done
  cp "$here"/seed/vouchers/{incidents.md,SYSTEM_CHECKLIST.md} "$docs/"
}

# ---- databases --------------------------------------------------------------------------------

vouchers_sql () {               # DATABASE ARGS...
  local database=$1
  shift
  PGOPTIONS=$quiet pg_admin -1 "$@" "${SANDBOX_PG_ADMIN_URL%/*}/$database"
}

vouchers_data () {
  local one
  { printf '\\set %s %s\n' owner vouchers vouchers 420; cat "$here/seed/vouchers/tables.sql"; } \
    | vouchers_sql vouchers -f - > /dev/null & one=$!
  { printf '\\set %s %s\n' owner vouchers_staging vouchers 300; cat "$here/seed/vouchers/tables.sql"; } \
    | vouchers_sql vouchers_staging -f - > /dev/null && wait $one
}

vouchers_seed () {
  local admin=$SANDBOX_PG_ADMIN_URL
  [ "$(pg_admin "$admin" -c "SELECT count(*) FROM pg_database WHERE datname = 'vouchers_staging'")" = 0 ] || return 0
  { printf '\\set %s %s\n' owner_password "$SANDBOX_VOUCHERS_PASSWORD" \
      staging_password "$SANDBOX_VOUCHERS_STAGING_PASSWORD" probe_password "$SANDBOX_VOUCHERS_PROBE_PASSWORD"
    cat "$here/seed/vouchers/roles.sql"
  } | PGOPTIONS=$quiet pg_admin "$admin" -f - || die "the roles of the vouchers could not be made"
}

# ---- start and end ----------------------------------------------------------------------------

vouchers_launch () {            # WHICH
  (cd "$SANDBOX_VOUCHERS/$1" && exec setsid env -i PATH="$PATH" LANG=C.UTF-8 "$vouchers_server" \
    --env "$SANDBOX_VOUCHERS/$1/.env" --pidfile "$dir/run/vouchers-$1.pid") \
    > "$dir/log/vouchers-$1.out" 2> "$dir/log/vouchers-$1.err" < /dev/null 9>&- &
  disown
}

vouchers_stop_one () {          # WHICH
  local pid
  pid=$(vouchers_pid "$1")
  [ -n "$pid" ] || pid=$(cat "$dir/run/vouchers-$1.pid" 2> /dev/null)
  if [ -n "$pid" ] && runs "$pid" "$SANDBOX_VOUCHERS/$1/.env"; then end_process "$pid"; fi
}

vouchers_stop () { ! vouchers_used || vouchers_all vouchers_stop_one; }

vouchers_start () {
  local _
  for _ in 1 2 3; do
    SANDBOX_VOUCHERS_PORT=$(free_port "$SANDBOX_VOUCHERS_PORT")
    SANDBOX_VOUCHERS_STAGING_PORT=$(free_port "$SANDBOX_VOUCHERS_STAGING_PORT")
    vouchers_urls
    vouchers_dotenvs
    vouchers_all vouchers_launch
    vouchers_as production app_wait && vouchers_as staging app_wait && return
    vouchers_stop
    SANDBOX_VOUCHERS_PORT='' SANDBOX_VOUCHERS_STAGING_PORT=''
  done
  die "the voucher application does not start, see $dir/log/vouchers-staging.err"
}

vouchers_up () { ! vouchers_used || vouchers_all vouchers_health > /dev/null; }

vouchers_make () {              # the first time
  local name
  [ -x "$vouchers_server" ] || die "run make first: $vouchers_server is not there"
  SANDBOX_VOUCHERS=$dir/vouchers
  for name in PASSWORD STAGING_PASSWORD PROBE_PASSWORD TOKEN; do
    printf -v "SANDBOX_VOUCHERS_$name" '%s' "$(secret)"
  done
}

# $1: the servers have other ports than before
vouchers_reset () {
  vouchers_used || return 0
  vouchers_urls
  vouchers_files
  vouchers_seed
  vouchers_data || die "the vouchers could not be put back"
  if [ -n "$1" ] || ! vouchers_up; then vouchers_stop; vouchers_start; else vouchers_dotenvs; fi
}

vouchers_line () {              # of `status`: WHICH
  local pid
  if pid=$(vouchers_pid "$1"); then line vouchers up "$1  pid $pid"
  else line vouchers down "$1"; return 1; fi
}

# ---- variants ------------------------------------------------------------------------------------

vouchers_faults () { sed -i "s/^FAULTS=.*/FAULTS=$1/" "$SANDBOX_VOUCHERS/staging/.env"; }
vouchers_backup () { printf '%s\n' "$1" >> "$SANDBOX_VOUCHERS/dr.env"; }

vouchers_variants='healthy manifest-401 backup-fails storage-slow rows-missing dump-truncated dump-empty
dump-other-schema dump-newer issue-fails redeem-twice send-limited scope-mismatch staging-live staging-down'

vouchers_knows () { [[ " ${vouchers_variants//$'\n'/ } " == *" $1 "* ]]; }

vouchers_variant () {
  case $1 in
    healthy) ;;
    manifest-401) vouchers_faults manifest ;;
    backup-fails) rm -rf "$SANDBOX_VOUCHERS/bucket" ;;
    storage-slow) vouchers_backup STORAGE_DELAY=1 ;;
    rows-missing) vouchers_backup EXCLUDE_TABLE=notifications ;;
    dump-*) vouchers_backup "DAMAGE=${1#dump-}" ;;
    issue-fails) vouchers_faults issue ;;
    redeem-twice) vouchers_faults twice ;;
    send-limited) vouchers_faults send ;;
    scope-mismatch) vouchers_faults scope ;;
    staging-live) sed -i 's/^SEND_MODE=.*/SEND_MODE=live/' "$SANDBOX_VOUCHERS/staging/.env" ;;
    staging-down) vouchers_stop_one staging ;;
  esac
}

# ---- what the configuration says of it --------------------------------------------------------------

vouchers_programs () {
  ! vouchers_used || printf ' %s,' "$(json_text "$SANDBOX_VOUCHERS/scripts/supabase-backup-restore.sh")"
}

vouchers_config () {
  vouchers_used || return 0
  local q=json_text v=$SANDBOX_VOUCHERS who
  who=$($q "$(id -un)")
  cat <<END
        vouchers = {
          http    = $($q "$SANDBOX_VOUCHERS_URL"),
          pg      = { url = $($q "$SANDBOX_VOUCHERS_PG_URL"), probe = $($q "$SANDBOX_VOUCHERS_PG_PROBE_URL") },
          dotenv  = $($q "$v/production/.env"),
          settings = {
            project_ref = "sandbox-production",
            backup      = { $($q "$v/scripts/supabase-backup-restore.sh"), "--backup-only", "--project-ref" },
            backup_log  = $($q "$v/out/backup.log"),
            rowcount    = $($q "$v/out/rowcount.csv"),
            incidents   = $($q "$v/docs/incidents"),
            findings    = $($q "$v/docs/incidents.md"),
            checklist   = $($q "$v/docs/SYSTEM_CHECKLIST.md"),
            dns         = { "localhost" },
            cutover_env = { "SUPABASE_URL", "SUPABASE_ANON_KEY", "SUPABASE_SERVICE_ROLE_KEY" },
            smoke       = { station = "harbour", campaign = 4, phone = "+15550100001" },
            participants = {
              incident_commander = $who, data_platform_lead = "dana",
              support_manager = "sam", stakeholder_communications = "casey",
            },
          },
          schema  = {},
        },
        vouchers_staging = {
          http    = { url = $($q "$SANDBOX_VOUCHERS_STAGING_URL"), idempotency = "Idempotency-Key" },
          pg      = { url = $($q "$SANDBOX_VOUCHERS_STAGING_PG_URL"), probe = $($q "$SANDBOX_VOUCHERS_STAGING_PG_PROBE_URL") },
          dotenv  = $($q "$v/staging/.env"),
          backup  = $($q "$v/bucket"),
          settings = { project_ref = "sandbox-staging" },
        },
        vouchers_platform = {
          http = { url = $($q "$SANDBOX_VOUCHERS_STAGING_URL"),
                   headers = { Authorization = $($q "Bearer $SANDBOX_VOUCHERS_TOKEN") } },
        },
END
}
