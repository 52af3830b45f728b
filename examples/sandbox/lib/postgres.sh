# postgres.sh - the private PostgreSQL, and the schools in it
# shellcheck shell=bash

pg_find () {
  local initdb
  initdb=$(command -v initdb || ls -d /usr/lib/postgresql/*/bin/initdb 2> /dev/null | sort -V | tail -n 1)
  [ -n "$initdb" ] || die "PostgreSQL's server programs are not installed"
  pg_bin=$(dirname "$(readlink -f "$initdb")")
  pg_user=
  [ "$EUID" -ne 0 ] || { pg_user=nobody; id -u postgres > /dev/null 2>&1 && pg_user=postgres; }
}

as_pg () {                      # PostgreSQL refuses to run as root
  if [ -z "$pg_user" ]; then (cd / && "$@"); return; fi
  (cd / && exec setpriv --reuid "$pg_user" --regid "$(id -g "$pg_user")" --clear-groups "$@")
}

pg_folder () {                  # where PostgreSQL's own user can reach it
  [ -n "$SANDBOX_PG_HOME" ] && [ -d "$SANDBOX_PG_HOME" ] && return
  SANDBOX_PG_HOME=$dir/pg
  if ! as_pg test -x "$dir" || ! fits "$dir/pg/.s.PGSQL.00000" || [[ $dir == *[!A-Za-z0-9_./+@-]* ]]; then
    local tmp=${TMPDIR:-/tmp}
    as_pg test -x "$tmp" && fits "$tmp/rb-sandbox-pg.XXXXXX/.s.PGSQL.00000" || tmp=/tmp
    SANDBOX_PG_HOME=$(realpath "$(mktemp -d "$tmp/rb-sandbox-pg.XXXXXX")")
  fi
  mkdir -p "$SANDBOX_PG_HOME" && chmod 700 "$SANDBOX_PG_HOME"
  [ -z "$pg_user" ] || chown "$pg_user" "$SANDBOX_PG_HOME"
}

pg_up () { works_in "$SANDBOX_PG_PID" "$SANDBOX_PG_HOME/data"; }

# URLs lose their passwords here, for everyone can read a command line
pg_client () { PGPASSFILE=$dir/pgpass "${@/:+([0-9a-f])@127/@127}"; }
pg_admin () { pg_client psql -X -q -At -v ON_ERROR_STOP=1 "$@"; }

pg_urls () {
  local at=127.0.0.1:$SANDBOX_PG_PORT
  SANDBOX_PG_URL=postgresql://school_erp:$SANDBOX_PG_PASSWORD@$at/school_erp
  SANDBOX_PG_PROBE_URL=postgresql://school_erp_probe:$SANDBOX_PG_PROBE_PASSWORD@$at/school_erp
  SANDBOX_PG_ADMIN_URL=postgresql://postgres:$SANDBOX_PG_ADMIN_PASSWORD@$at/postgres
  SANDBOX_PG_SOCKET=$SANDBOX_PG_HOME
  (umask 077; printf '*:*:*:%s\n' "school_erp:$SANDBOX_PG_PASSWORD" \
    "polaris:$SANDBOX_POLARIS_PASSWORD" "postgres:$SANDBOX_PG_ADMIN_PASSWORD" > "$dir/pgpass")
}

pg_init () {
  local data=$SANDBOX_PG_HOME/data
  as_pg test -f "$data/PG_VERSION" && return
  data=$SANDBOX_PG_HOME/half-made
  rm -rf "$data"
  printf '%s\n' "$SANDBOX_PG_ADMIN_PASSWORD" | as_pg tee "$SANDBOX_PG_HOME/password" > /dev/null
  as_pg "$pg_bin/initdb" -D "$data" -U postgres -A scram-sha-256 \
    --pwfile="$SANDBOX_PG_HOME/password" --no-sync -E UTF8 --locale=C.UTF-8 \
    > "$dir/log/initdb.log" 2>&1 || die "initdb failed, see $dir/log/initdb.log"
  rm -f "$SANDBOX_PG_HOME/password"
  as_pg tee "$data/pg_hba.conf" > /dev/null <<'END'
local  all  all                scram-sha-256
host   all  all  127.0.0.1/32  scram-sha-256
END
  # autovacuum is off so that transaction ids move only when someone writes
  as_pg tee -a "$data/postgresql.conf" > /dev/null <<END

listen_addresses = '127.0.0.1'
unix_socket_directories = '$SANDBOX_PG_HOME'
unix_socket_permissions = 0700
max_connections = 200
shared_buffers = 32MB
fsync = off
synchronous_commit = off
full_page_writes = off
wal_level = minimal
max_wal_senders = 0
autovacuum = off
timezone = 'UTC'
log_timezone = 'UTC'
END
  as_pg mv "$data" "$SANDBOX_PG_HOME/data"
}

pg_start () {
  local try
  for try in 1 2 3 4 5; do
    SANDBOX_PG_PORT=$(free_port "$SANDBOX_PG_PORT")
    pg_urls
    as_pg "$pg_bin/pg_ctl" -D "$SANDBOX_PG_HOME/data" -l "$SANDBOX_PG_HOME/server.log" -s -w -t 20 \
      -o "-p $SANDBOX_PG_PORT" start > /dev/null 2>&1 9>&- && break
    SANDBOX_PG_PORT=
  done
  SANDBOX_PG_PID=$(as_pg head -n 1 "$SANDBOX_PG_HOME/data/postmaster.pid" 2> /dev/null)
  pg_up || die "PostgreSQL does not start, see $SANDBOX_PG_HOME/server.log"
  [ "$(pg_admin "$SANDBOX_PG_ADMIN_URL" -c 'SHOW data_directory')" = "$SANDBOX_PG_HOME/data" ] \
    || die "port $SANDBOX_PG_PORT is answered by another PostgreSQL"
}

pg_stop () {
  pg_up || return 0
  as_pg "$pg_bin/pg_ctl" -D "$SANDBOX_PG_HOME/data" -s -w -t 10 -m fast stop > /dev/null 2>&1 \
    || as_pg "$pg_bin/pg_ctl" -D "$SANDBOX_PG_HOME/data" -s -w -t 5 -m immediate stop > /dev/null 2>&1
  gone "$SANDBOX_PG_PID" 2
}

quiet='-c client_min_messages=warning'

# SCHEMA DOMAIN STUDENTS TEACHERS DAYS SESSIONS ENDED, into $seed as of $at
pg_school () {
  { printf '\\set %s %s\n' schema "$1" domain "$2" students "$3" teachers "$4" days "$5" \
      sessions "$6" ended "$7" seeded "$at"
    cat "$here/seed/school.sql"
  } | pg_admin -1 "$seed" -f -
}

pg_schools () {                 # three at a time; the largest takes the longest
  local jobs=()
  pg_school greenwood_high greenwood-high.example 620 48 20 1240 37 & jobs+=($!)
  pg_school riverside riverside.example 310 26 20 640 29 & jobs+=($!)
  pg_school st-marys st-marys.example 120 11 10 210 12 & jobs+=($!)
  { printf '\\set seeded %s\n' "$at"; cat "$here/seed/schools.sql"; } | pg_admin -1 "$seed" -f - \
    && wait "${jobs[0]}" && wait "${jobs[1]}" && wait "${jobs[2]}" \
    && pg_admin -1 "$seed" -f "$here/seed/reporting.sql"
}

# the seed is a database of its own, and the real one a copy of it: a reset is one copy
pg_seed () {
  local admin=$SANDBOX_PG_ADMIN_URL seed=${SANDBOX_PG_URL%/*}/school_erp_seed at
  TZ=UTC printf -v at '%(%FT%TZ)T' "$SANDBOX_SEEDED"
  [ "$(pg_admin "$admin" -c "SELECT datistemplate FROM pg_database WHERE datname = 'school_erp_seed'")" = t ] \
    && return
  { printf '\\set %s %s\n' owner_password "$SANDBOX_PG_PASSWORD" probe_password "$SANDBOX_PG_PROBE_PASSWORD"
    cat "$here/seed/roles.sql"
  } | PGOPTIONS=$quiet pg_admin "$admin" -f - || die "the roles could not be made"
  pg_schools || die "the schools could not be seeded"
  pg_admin "${admin%/*}/school_erp_seed" -c 'ANALYZE'
  pg_admin "$admin" -c "ALTER DATABASE school_erp_seed WITH ALLOW_CONNECTIONS false IS_TEMPLATE true"
  pg_reset || die "the database could not be made"
}

pg_reset () { PGOPTIONS=$quiet pg_admin "$SANDBOX_PG_ADMIN_URL" -f "$here/seed/database.sql"; }
