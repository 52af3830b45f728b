# files.sh - what lies around the application: .env, log, releases, snapshots
# shellcheck shell=bash

# after a start: other ports, but what people have set stays
dotenv_refresh () {
  [ -f "$SANDBOX_DOTENV" ] || { dotenv_write; return; }
  (umask 077; sed -e "s|^PORT=.*|PORT=$SANDBOX_HTTP_PORT|" \
    -e "s|^DATABASE_URL=.*|DATABASE_URL=$SANDBOX_PG_URL|" \
    -e "s|^REDIS_URL=.*|REDIS_URL=$SANDBOX_REDIS_URL|" "$SANDBOX_DOTENV" > "$SANDBOX_DOTENV.new") \
    && mv "$SANDBOX_DOTENV.new" "$SANDBOX_DOTENV"
}

dotenv_write () {
  (umask 077; cat > "$SANDBOX_DOTENV.new") <<END
# School ERP, the server's settings. Read once, when it starts.
NODE_ENV=production
PORT=$SANDBOX_HTTP_PORT
INSTANCE_TOKEN=$SANDBOX_TOKEN

# where the data are
DATABASE_URL=$SANDBOX_PG_URL
REDIS_URL=$SANDBOX_REDIS_URL
LOG_FILE=$(json_text "$SANDBOX_LOG")
RELEASE_FILE=$(json_text "$SANDBOX_APP/dist/release.json")

# the pilot
PILOT_MODE=true
MAX_SCHOOLS=2
DISABLED_TENANTS=
SUPPORT_EMAIL='support@school-erp.example'   # shown to the schools
SCHOOL_YEAR="2025/26"
export SESSION_HOURS=12
END
  mv "$SANDBOX_DOTENV.new" "$SANDBOX_DOTENV"
}

log_line () {                   # SECONDS LEVEL EVENT TENANT USER IP [FAILURES]
  local at
  TZ=UTC printf -v at '%(%FT%T)T' "$1"
  printf '{"at":"%s.000Z","level":"%s","event":"%s","tenant":"%s","user":"%s","ip":"%s"%s}\n' \
    "$at" "${@:2:5}" "${7:+,\"login_failures\":$7}"
}

log_write () {                  # the log of a quiet day, written over what is there
  local i at events=(LOGIN REPORT_EXPORTED LOGIN ATTENDANCE_MARKED)
  for ((i = 240; i > 0; i--)); do
    at=$((SANDBOX_SEEDED - i * 41))
    if ((i % 60 == 7)); then
      log_line $at warn ADMIN_LOGIN_FAILED riverside office@riverside.example 10.20.3.14 1
    elif ((i % 40 == 11)); then
      log_line $at warn LOGIN_FAILED riverside "student$((i % 90))@riverside.example" "10.20.$((i % 7)).9" 1
    else
      log_line $at info "${events[i % 4]}" greenwood_high "teacher$((1 + i % 48))@greenwood-high.example" \
        "10.20.$((i % 7)).$((i % 200))"
    fi
  done > "$SANDBOX_LOG"
}

releases_stream () {            # a history of releases, as git fast-import reads it
  local i when text notes=(
    'attendance: mark a whole class at once' 'reports: stream exports'
    'login: count failures by address' 'fees: remind guardians a week before'
    'exams: publish results per class' 'notifications: retry three times'
    'health: add /health/golive' 'pilot: refuse a third school'
    'dashboard: cache the numbers' 'sessions: note why one was revoked'
    'queues: keep failed jobs' 'health: tell tenants apart')
  echo 'feature done'
  for i in "${!notes[@]}"; do
    when=$((SANDBOX_SEEDED - (${#notes[@]} - i) * 86400))
    text="{ \"version\": \"1.4.$i\", \"schema\": 11, \"notes\": \"${notes[i]}\" }"$'\n'
    printf 'commit refs/heads/main\ncommitter School ERP <dev@school-erp.example> %s +0000\n' "$when"
    printf 'data %d\n%s\n' "${#notes[i]}" "${notes[i]}"
    printf 'M 100644 inline release.json\ndata %d\n%s\n' "${#text}" "$text"
    [ "$i" -gt 0 ] || {
      printf 'M 100644 inline .gitignore\ndata 12\n.env*\ndist/\n\n'
      for text in build preflight golive; do
        printf 'M 100755 inline bin/%s\ndata %d\n' "$text" "$(wc -c < "$here/app/$text")"
        cat "$here/app/$text"
        echo
      done
    }
  done
  echo 'done'
}

app_folder () {
  [ -z "$SANDBOX_RELEASE" ] || return 0
  rm -rf "$SANDBOX_APP/.git"
  (cd "$SANDBOX_APP" && git init -q -b main . && releases_stream | git fast-import --quiet \
    && git config user.name 'School ERP' && git config user.email dev@school-erp.example \
    && git reset -q --hard main && bin/build > /dev/null) || die "the application's folder could not be made"
  SANDBOX_RELEASE=$(git -C "$SANDBOX_APP" rev-parse main)
}

app_folder_reset () {
  (cd "$SANDBOX_APP" && git checkout -q -f -B main "$SANDBOX_RELEASE" && git clean -fdq && bin/build > /dev/null)
}

backups_seed () {               # snapshots as last night's job would have left them
  local school when stamp day
  [ -d "$dir/seed/backups" ] && return
  mkdir -p "$dir/seed/new"
  when=$((SANDBOX_SEEDED - 21600))
  TZ=UTC printf -v stamp '%(%Y%m%d_%H%M%S)T' "$when"
  TZ=UTC printf -v day '%(%Y%m%d)T' "$when"
  for school in "${schools[@]}"; do
    pg_client "$pg_bin/pg_dump" --schema="\"$school\"" -f "$dir/seed/new/${school}_$stamp.sql" "$SANDBOX_PG_URL" &
  done
  pg_client "$pg_bin/pg_dump" -f "$dir/seed/new/daily-$day.sql" "$SANDBOX_PG_URL"
  wait
  touch -d "@$when" "$dir"/seed/new/*.sql
  mv "$dir/seed/new" "$dir/seed/backups"
  backups_reset
}

backups_reset () {
  find "$SANDBOX_BACKUPS" -mindepth 1 -delete
  cp -p "$dir"/seed/backups/* "$SANDBOX_BACKUPS"/
}

spike_log () {                  # the same in the log: N IPS USERS
  local i now user=office event=ADMIN_LOGIN_FAILED
  now=$(date +%s)
  for ((i = $1; i > 0; i--)); do
    [ "$3" -eq 1 ] || user=teacher$((1 + i % $3)) event=LOGIN_FAILED
    log_line $((now - i * 50 / $1)) warn $event greenwood_high "$user@greenwood-high.example" \
      "203.0.113.$((10 + i % $2))" $((($1 - i) / $2 + 1))
  done >> "$SANDBOX_LOG"
}

spike () {
  pg_admin -v n="$1" -v ips="$2" -v users="$3" -f "$here/seed/spike.sql" "$SANDBOX_PG_URL" && spike_log "$@"
}

bad_release () {                # the code is there, the migration it needs is not
  (cd "$SANDBOX_APP" \
    && echo '{ "version": "1.5.0", "schema": 12, "notes": "fees: in instalments" }' > release.json \
    && git commit -qam 'fees: in instalments' && bin/build > /dev/null) && app_again
}
