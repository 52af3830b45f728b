# polaris.sh - the second application: its database, its files, its start and its end
# shellcheck shell=bash

# what app.sh has for the one holds for the other, with its port and its token
polaris_as () {
  local SANDBOX_HTTP_PORT=$SANDBOX_POLARIS_PORT SANDBOX_TOKEN=$SANDBOX_TOKEN.polaris
  "$@"
}
polaris_health () { polaris_as app_health; }
polaris_pid () { polaris_as app_pid; }

polaris_urls () {
  local pg=127.0.0.1:$SANDBOX_PG_PORT/polaris redis=127.0.0.1:$SANDBOX_REDIS_PORT/1
  SANDBOX_POLARIS_PG_URL=postgresql://polaris:$SANDBOX_POLARIS_PASSWORD@$pg
  SANDBOX_POLARIS_PG_PROBE_URL=postgresql://polaris_probe:$SANDBOX_POLARIS_PROBE_PASSWORD@$pg
  SANDBOX_POLARIS_REDIS_URL=redis://polaris:$SANDBOX_POLARIS_PASSWORD@$redis
  SANDBOX_POLARIS_REDIS_PROBE_URL=redis://polaris_probe:$SANDBOX_POLARIS_PROBE_PASSWORD@$redis
}

polaris_dotenv () {
  (umask 077; cat > "$SANDBOX_POLARIS/.env.new") <<END
# Polaris. The two switches are read again and again, the rest once, when it starts.
PORT=$SANDBOX_POLARIS_PORT
INSTANCE_TOKEN=$SANDBOX_TOKEN.polaris
DATABASE_URL=$SANDBOX_POLARIS_PG_URL
REDIS_URL=$SANDBOX_POLARIS_REDIS_URL
LOG_FILE=$(json_text "$dir/log/polaris.log")
ALIASES_FILE=$(json_text "$SANDBOX_POLARIS/aliases.json")
IMPORT_INBOX=$(json_text "$SANDBOX_POLARIS/inbox")
MAGIC_LINK_LIFETIME="24 hours"

# on or off
MAGIC_LINK=on
PATHFUL_IMPORTS=on
END
  mv "$SANDBOX_POLARIS/.env.new" "$SANDBOX_POLARIS/.env"
}

# after a start: other ports, but what people have set stays
polaris_dotenv_refresh () {
  local file=$SANDBOX_POLARIS/.env
  [ -f "$file" ] || { polaris_dotenv; return; }
  (umask 077; sed -e "s|^PORT=.*|PORT=$SANDBOX_POLARIS_PORT|" -e "s|^REDIS_URL=.*|REDIS_URL=$SANDBOX_POLARIS_REDIS_URL|" \
    -e "s|^DATABASE_URL=.*|DATABASE_URL=$SANDBOX_POLARIS_PG_URL|" "$file" > "$file.new") && mv "$file.new" "$file"
}

# what Pathful calls the columns (the contract of the settings), and eight lines of it
polaris_columns='Session ID,Title,Date,Status,Duration,User Auth Id,Name,SignUp Role,School,District or Company,Partner'
polaris_columns+=',State,Registered Student Count,Attended Student Count,Registered Educator Count,Attended Educator Count'
polaris_columns+=',Career Cluster,Work Based Learning,Series or Event Title'

polaris_required='Session ID,Title,Date,Status,User Auth Id,Name,SignUp Role,School'

polaris_list () { printf '"%s"' "${1//,/\", \"}"; }    # a,b as "a", "b"

polaris_rows () {               # FIRST COUNT
  local i
  for ((i = $1; i < $1 + $2; i++)); do
    printf 'PF-%d,"Careers, up close: part %d",2026-0%d-1%d,Completed,45,auth-%d,Teacher %d,Educator,North High,Lakeview,' \
      "$((6000 + i / 3))" "$((i / 3))" "$((1 + i % 9))" "$((i % 10))" "$i" "$i"
    printf 'Example Partners,KS,24,%d,2,2,Science,Yes,"Careers, up close"\r\n' "$((18 + i % 6))"
  done
}

polaris_sheet () { printf '%s\r\n' "$1"; polaris_rows "$2" "$3"; }    # HEADER FIRST COUNT

polaris_files () {
  mkdir -p "$SANDBOX_POLARIS"/{inbox/done,samples,evidence,export}
  find "$SANDBOX_POLARIS"/{inbox,samples,evidence,export} -type f -delete
  printf '{\n  "Session Id": "Session ID",\n  "Sign-up Role": "SignUp Role"\n}\n' > "$SANDBOX_POLARIS/aliases.json"
  polaris_sheet "$polaris_columns" 1 40 > "$SANDBOX_POLARIS/samples/pathful-good.csv"
}

polaris_sql () { PGOPTIONS=$quiet pg_admin -1 "$@" "${SANDBOX_PG_ADMIN_URL%/*}/polaris"; }
polaris_data () { polaris_sql -f "$here/seed/polaris/tables.sql" > /dev/null; }

polaris_seed () {               # once; what people do to it stays until a reset
  local admin=$SANDBOX_PG_ADMIN_URL
  polaris_urls
  [ "$(pg_admin "$admin" -c "SELECT count(*) FROM pg_database WHERE datname = 'polaris'")" = 0 ] || return 0
  { printf '\\set %s %s\n' owner_password "$SANDBOX_POLARIS_PASSWORD" probe_password "$SANDBOX_POLARIS_PROBE_PASSWORD"
    cat "$here/seed/polaris/roles.sql"
  } | PGOPTIONS=$quiet pg_admin "$admin" -f - || die "the roles of Polaris could not be made"
  polaris_data || die "Polaris could not be seeded"
}

polaris_launch () {
  (cd "$SANDBOX_POLARIS" && exec setsid env -i PATH="$PATH" LANG=C.UTF-8 "$polaris_server" \
    --env "$SANDBOX_POLARIS/.env" --pidfile "$SANDBOX_POLARIS_PIDFILE") \
    > "$dir/log/polaris.out" 2> "$dir/log/polaris.err" < /dev/null 9>&- &
  disown
}

polaris_start () {
  local _
  for _ in 1 2 3; do
    SANDBOX_POLARIS_PORT=$(free_port "$SANDBOX_POLARIS_PORT")
    SANDBOX_POLARIS_URL=http://127.0.0.1:$SANDBOX_POLARIS_PORT
    polaris_urls
    polaris_dotenv_refresh
    polaris_launch
    polaris_as app_wait && return
    polaris_stop
    SANDBOX_POLARIS_PORT=
  done
  die "Polaris does not start, see $dir/log/polaris.err"
}

polaris_stop () {
  local pid
  pid=$(polaris_pid)
  [ -n "$pid" ] || pid=$(cat "$SANDBOX_POLARIS_PIDFILE" 2> /dev/null)
  if [ -n "$pid" ] && runs "$pid" "$SANDBOX_POLARIS/.env"; then end_process "$pid"; fi
}

polaris_reset () {              # $1: the servers have other ports than before
  polaris_files
  polaris_urls
  polaris_data || die "Polaris could not be put back"
  polaris_dotenv
  if [ -n "$1" ] || ! polaris_health > /dev/null; then polaris_stop; polaris_start; fi
}

# ---- variants: data by SQL, and what lies around it by functions of their name --------------

polaris_knows () { [ -f "$here/seed/polaris/variant/$1.sql" ]; }

# the next export, of COUNT rows in another form: in the inbox, where its import goes wrong by
# itself, and as the sample that somebody saved. SED changes what is there.
polaris_export () {             # COUNT SED
  local i
  mkdir -p "$SANDBOX_POLARIS/export"
  polaris_sheet "$polaris_columns" 100 "$1" | sed "$2" > "$SANDBOX_POLARIS/export/pathful-next.csv"
  cp "$SANDBOX_POLARIS/export/pathful-next.csv" "$SANDBOX_POLARIS/inbox/"
  for ((i = 0; i < 500; i++)); do
    [ "$(pg_admin "$SANDBOX_POLARIS_PG_URL" -c "SELECT count(*) FROM virtual_session_import WHERE file = 'pathful-next.csv'")" = 0 ] \
      || return 0
    sleep 0.02
  done
  return 1
}

polaris_renames='1{s/Session ID/SessionID/;s/User Auth Id/User Authentication Id/;s/SignUp Role/Signup Role Name/'
polaris_variant_renamed () { polaris_export 60 "$polaris_renames;s/State/State,Region/};2,\$s/,KS,/,KS,Midwest,/"; }
polaris_variant_column-gone () { polaris_export 60 '1s/,School,/,/;2,$s/,North High,/,/'; }
polaris_variant_new-column () { polaris_export 60 '1s/,State,/,State,Region,/;2,$s/,KS,/,KS,Midwest,/'; }
polaris_variant_invalid-rows () { polaris_export 60 '2,$s#2026-\(0[0-9]\)-\(1[0-9]\)#\1/\2/2026#'; }

polaris_variant () {
  polaris_sql -f "$here/seed/polaris/variant/$1.sql" > /dev/null || return
  case $(type -t "polaris_variant_$1") in function) "polaris_variant_$1" ;; esac
}
