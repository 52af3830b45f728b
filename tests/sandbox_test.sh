#!/bin/bash
# sandbox_test.sh - the sandbox is whole: real servers, real flags, nothing left behind
set -u
. "$(dirname "$0")/lib.sh"
sandbox=$top/examples/sandbox/sandbox
a=$tmp/a
b=$tmp/"a folder with spaces, and so deep that no socket's path could ever be as long as this"/'"b" \ $b'
c=$tmp/c
user_folder='' sleeper='' stopped='' status='' head='' body=''

away () {                       # all sandboxes, however the test ends
  local status=$? dir
  exec 2> /dev/null
  [ -z "$sleeper" ] || kill "$sleeper"
  [ -z "$stopped" ] || kill -CONT "$stopped"
  wait
  for dir in "$a" "$b" "$c" "$tmp/d"; do "$sandbox" down "$dir" --purge > /dev/null; done
  if [ -n "$user_folder" ]; then
    as_user "$sandbox" down "$user_folder/s" --purge > /dev/null
    rm -rf "$user_folder"
  fi
  return $status
}
trap 'away; finish' EXIT

# ---- words ----------------------------------------------------------------------

started () {                    # STATUS WHAT OUTPUT
  if [ "$1" -eq 0 ]; then pass "$2"; else fail "$2" "$3"; fi
}

use () { . "$1/env"; }

# METHOD PATH [BODY [HEADER]]: sets status, head and body
http () {
  local line reply
  status='' head='' body=''
  exec 5<> "/dev/tcp/127.0.0.1/$SANDBOX_HTTP_PORT" || return
  printf '%s %s HTTP/1.0\r\nContent-Length: %d\r\n%s\r\n%s' "$1" "$2" "${#3}" "${4:+$4$'\r\n'}" "${3:-}" >&5
  IFS= read -t 10 -r -d '' -u 5 reply
  exec 5>&-
  reply=${reply//$'\r'/}
  body=${reply#*$'\n\n'} head=${reply%%$'\n\n'*} status=${reply#* } status=${status%% *}
}
get () { http GET "$1" '' "${2:-}"; }
status_of () { get "$1"; echo "$status"; }
field () {                      # PATH NAME: the first field of that name in the answer
  get "$1"
  local pattern="\"$2\":(\"[^\"]*\"|[^,}]*)"
  [[ $body =~ $pattern ]] && { local v=${BASH_REMATCH[1]#\"}; echo "${v%\"}"; }
}

sql () { psql -X -q -At -v ON_ERROR_STOP=1 "$@"; }
redis () { local url=$1; shift; redis-cli --no-auth-warning -u "$url" "$@"; }
admin_redis () { redis "$SANDBOX_REDIS_ADMIN_URL" "$@"; }
redis_refuses () {              # URL COMMAND...: the server says that the user may not
  local out; out=$(redis "$@" 2>&1); [[ $out == NOPERM* ]] || { echo "$out"; return 1; }
}
redis_allows () { local out; out=$(redis "$@" 2>&1); [[ ! $out =~ ^(NOPERM|NOAUTH|ERR) ]] || { echo "$out"; return 1; }; }

dump () { pg_dump "$SANDBOX_PG_URL" | grep -vE '^(--|\\(un)?restrict)'; }
state () {                      # of everything that reset puts back
  dump | sha256sum
  admin_redis debug digest
  (cd "$SANDBOX_DIR" && cat app/.env app/release.json && ls -l --time-style=full-iso backups \
    && cat backups/*.sql && git -C app rev-parse HEAD && git -C app status --short \
    && grep -v SERVER_ log/school-erp.log) | sha256sum
}
processes () {                  # that work in or for our folder; those of the test apart
  local p
  for p in /proc/[0-9]*; do
    [ "${p#/proc/}" != $$ ] || continue
    if [[ $(readlink "$p/cwd" 2> /dev/null) == "$1"* || $(tr '\0' ' ' 2> /dev/null < "$p/cmdline") == *"$1"* ]]; then
      printf '%s %s\n' "${p#/proc/}" "$(tr '\0' ' ' 2> /dev/null < "$p/cmdline")"
    fi
  done | grep -v sandbox_test
}
restart_app () {                # as people would
  if [ -n "$SANDBOX_PM2" ]; then
    PM2_HOME=$PM2_HOME "$SANDBOX_PM2" restart school-erp-server > /dev/null 2>&1
  else
    kill -TERM "$(cat "$SANDBOX_PIDFILE")"
    while [ -f "$SANDBOX_PIDFILE" ]; do sleep 0.05; done
    "$sandbox" up "$SANDBOX_DIR" > /dev/null
  fi
  local i
  for ((i = 0; i < 100; i++)); do get /health 2> /dev/null; [ "$status" != 200 ] || return 0; sleep 0.05; done
  return 1
}
lua_print () { "$(command -v lua5.4 || command -v lua || echo lua)" -e "print($1)"; }
as_user () { (cd / && setpriv --reuid nobody --regid nogroup --clear-groups env HOME=/nonexistent "$@"); }

# ---- it starts ----------------------------------------------------------------------

out=$("$sandbox" up "$a" 2>&1)
started $? "a sandbox starts ($(head -n 1 <<< "$out"))" "$out"
[ "$failed" -eq 0 ] || exit 1
use "$a"
pids="$SANDBOX_PG_PID $SANDBOX_REDIS_PID $(field /health pid)"
has "a second start says that it is up" "$("$sandbox" up "$a")" "already up"
use "$a"
is "... and starts nothing" "$SANDBOX_PG_PID $SANDBOX_REDIS_PID $(field /health pid)" "$pids"
ok "status says that all is up" "$sandbox" status "$a"
is "env is for its owner only" "$(stat -c %a "$a/env")" 600
is "the configuration is for its owner only" "$(stat -c %a "$a/runbook.config.lua")" 600
is ".env is for its owner only" "$(stat -c %a "$a/app/.env")" 600
is "the configuration is read as Lua" "$(config="$a/runbook.config.lua" lua_print \
  "dofile(os.getenv 'config').targets['local'].systems.school_erp.http.url")" "$SANDBOX_HTTP_URL"
is "PostgreSQL listens on loopback only" "$(sql "$SANDBOX_PG_ADMIN_URL" -c 'SHOW listen_addresses')" 127.0.0.1
refuses "PostgreSQL trusts nobody without a password" env PGPASSWORD= psql -w -h 127.0.0.1 -p "$SANDBOX_PG_PORT" -U postgres -c 'SELECT 1'
refuses "... on its socket, too" env PGPASSWORD= psql -w -h "$SANDBOX_PG_SOCKET" -p "$SANDBOX_PG_PORT" -U postgres -c 'SELECT 1'
refuses "Redis trusts nobody without a password" redis_allows "redis://127.0.0.1:$SANDBOX_REDIS_PORT" get x

# ---- the application ------------------------------------------------------------------

is "/health" "$(field /health status)" ok
is "/health/ready" "$(get /health/ready; echo "$body")" '{"status":"ok","checks":{"db":"ok","redis":"ok","queue":"ok"}}'
is "/health/golive is GREEN" "$(field /health/golive overallHealth)" GREEN
is "/health/golive/alerts is empty" "$(get /health/golive/alerts; echo "$body")" '[]'
is "/health/golive/pilot" "$(field /health/golive/pilot liveSchools)" 2
is "/health/queues" "$(field /health/queues failed)" 3
for school in greenwood_high riverside st-marys; do
  is "$school is GREEN" "$(field "/health/golive/tenant/$school" overallHealth)" GREEN
  is "$school has a dashboard" "$(status_of "/t/$school/dashboard")" 200
done
is "greenwood_high has 1203 active sessions" "$(field /health/golive/tenant/greenwood_high active)" 1203
is "... of 1240" "$(field /health/golive/tenant/greenwood_high total)" 1240
is "a percent-encoded name is the same school" "$(field /health/golive/tenant/st%2Dmarys school)" "St Mary's"
get /health/golive/tenant/hogwarts
is "an unknown school is 404" "$status" 404
has "... in JSON" "$body" unknown_tenant
is "a name is data, not SQL" "$(status_of "/health/golive/tenant/x%22%3B%20DROP%20TABLE%20schools%3B--")" 404
is "a name of 70 bytes is nobody's" "$(status_of "/t/$(printf 'g%.0s' {1..70})/dashboard")" 404
is "a NUL in a name is refused" "$(status_of /t/green%00wood/dashboard)" 400
is "a page that is not there" "$(status_of /nothing)" 404
is "a method that is not there" "$(http DELETE /health ''; echo "$status")" 405

sessions () { sql "${SANDBOX_PG_URL}" -c 'SELECT count(*) FROM greenwood_high.user_sessions'; }
http POST /t/greenwood_high/login "{\"email\":\"$SANDBOX_LOGIN_EMAIL\",\"password\":\"$SANDBOX_LOGIN_PASSWORD\"}"
is "a login works" "$status" 201
session=${body#*'"session":'} session=${session%%[!0-9]*}
is "... and makes a session" "$(sessions)" 1241
get /t/greenwood_high/dashboard "Authorization: Bearer $session"
is "the session opens the dashboard" "$status" 200
sql "$SANDBOX_PG_URL" -c "UPDATE greenwood_high.user_sessions SET is_active = false WHERE id = $session"
get /t/greenwood_high/dashboard "Authorization: Bearer $session"
is "a revoked session does not" "$status" 401
http POST /t/greenwood_high/login '{"email":"office@greenwood-high.example","password":"guess"}' 'X-Forwarded-For: 203.0.113.9'
is "a wrong password is 401" "$status" 401
line=$(tail -n 1 "$SANDBOX_LOG")
has "... and logged as an administrator's" "$line" '"event":"ADMIN_LOGIN_FAILED"'
has "... with a count" "$line" '"login_failures":1'
has "... and the address" "$line" '"ip":"203.0.113.9"'
is "a login that is not JSON is 400" "$(http POST /t/greenwood_high/login 'email=x'; echo "$status")" 400
is "a login of 70 KB is 413" "$(http POST /t/greenwood_high/login "$(printf '%070000d' 0)"; echo "$status")" 413

# ---- what people on call set ------------------------------------------------------------

redis "$SANDBOX_REDIS_URL" set tenant:blocked:greenwood_high true ex 3600 > /dev/null
get /t/greenwood_high/dashboard
is "a blocked school is 503" "$status" 503
has "... and says so" "$body" '"error":"tenant_blocked"'
has "... and when to come back" "$head" 'Retry-After: 3'
http POST /t/greenwood_high/login "{\"email\":\"$SANDBOX_LOGIN_EMAIL\",\"password\":\"$SANDBOX_LOGIN_PASSWORD\"}"
is "nobody signs in to a blocked school" "$status" 503
is "the others are served: riverside" "$(status_of /t/riverside/dashboard)" 200
is "the others are served: st-marys" "$(status_of /t/st-marys/dashboard)" 200
is "its health answers, and says blocked" "$(field /health/golive/tenant/greenwood_high blocked)" true
redis "$SANDBOX_REDIS_URL" del tenant:blocked:greenwood_high > /dev/null
is "unblocked, it is served" "$(status_of /t/greenwood_high/dashboard)" 200
redis "$SANDBOX_REDIS_URL" mset tenant:maintenance:st-marys true tenant:maintenance:message:st-marys 'Back at nine.' > /dev/null
has "maintenance is 503 with its message" "$(get /t/st-marys/dashboard; echo "$status $body")" 'Back at nine.'
is "its health says maintenance" "$(field /health/golive/tenant/st-marys maintenance)" true
redis "$SANDBOX_REDIS_URL" del tenant:maintenance:st-marys tenant:maintenance:message:st-marys > /dev/null

sed -i 's/^DISABLED_TENANTS=.*/DISABLED_TENANTS=riverside, st-marys/' "$SANDBOX_DOTENV"
is "DISABLED_TENANTS does nothing before a restart" "$(status_of /t/riverside/dashboard)" 200
ok "the application restarts (${SANDBOX_SERVICE%%:*})" restart_app
is "DISABLED_TENANTS counts after it" "$(status_of /t/riverside/dashboard)" 503
is "its health says disabled" "$(field /health/golive/tenant/riverside disabled)" true
is "a school that is not listed is served" "$(status_of /t/greenwood_high/dashboard)" 200
has "the queues say who is disabled" "$(get /health/queues; echo "$body")" '"disabledTenants":["riverside","st-marys"]'
ok "reset" "$sandbox" reset "$a"
use "$a"
is "reset enables the school again" "$(status_of /t/riverside/dashboard)" 200

# ---- Polaris -----------------------------------------------------------------------------

polaris () { SANDBOX_HTTP_PORT=$SANDBOX_POLARIS_PORT http "$1" "$2" "${3:-}"; }
polaris_sql () { sql "$SANDBOX_POLARIS_PG_URL" -c "$1"; }
on () { polaris GET /features; [[ $body == *'"magic_link":true'* ]] && echo on || echo off; }
link () { polaris_sql "SELECT token FROM magic_link WHERE used_at IS NULL AND revoked_at IS NULL ORDER BY created_at DESC LIMIT 1"; }
avery=avery.dogwood55@prairie.example.edu
is "it has its teachers" "$(polaris_sql 'SELECT count(*) FROM teacher_progress')" 240
polaris POST /magic-link/request '{"email":" Avery.Dogwood55@Prairie.example.edu "}'
is "a link is sent, however the address is written" "$status" 202
has "... and its token is told to nobody" "$body" '{"status":"sent"}'
token=$(link)
polaris GET "/magic-link/$token/check"
is "it can be looked at twice" "$status $(polaris GET "/magic-link/$token/check"; echo "$status")" "200 200"
has "... and is that teacher's" "$body" "\"state\":\"valid\",\"email\":\"$avery\",\"teacher_id\":55"
polaris GET "/magic-link/$token"
has "it opens" "$status $body" '200 {"name":"Avery Dogwood"'
polaris GET "/magic-link/$token"
is "... once" "$status" 410
polaris GET /magic-link/abc
is "one that there is not" "$status" 404
polaris POST /magic-link/request '{"email":"nobody@example.org"}'
is "nobody else gets one" "$status" 404
is "all of it is in the audit log" "$(polaris_sql "SELECT string_agg(action, ' ' ORDER BY id) FROM audit_log WHERE id > (SELECT max(id) - 4 FROM audit_log)")" \
  'magic_link_requested magic_link_opened magic_link_refused magic_link_refused'
is "every switch turns it off: Redis" "$(redis "$SANDBOX_POLARIS_REDIS_URL" set feature:magic_link off; on)" $'OK\noff'
polaris GET "/magic-link/$(link)/check"
is "... and it answers 503" "$status" 503
is "... and on" "$(redis "$SANDBOX_POLARIS_REDIS_URL" set feature:magic_link on; on)" $'OK\non'
sed -i 's/^MAGIC_LINK=on/MAGIC_LINK=off/' "$SANDBOX_POLARIS/.env"
is "... .env" "$(on)" off
sed -i 's/^MAGIC_LINK=off/MAGIC_LINK=on/' "$SANDBOX_POLARIS/.env"
polaris PUT /features/magic_link '{"enabled":false}'
is "... its own settings" "$status $(on)" '200 off'
polaris PUT /features/magic_link '{"enabled":true}'
is "... and on again" "$(on)" on
polaris PUT /features/other '{"enabled":true}'
is "a feature that there is not" "$status" 404
good=$SANDBOX_POLARIS/samples/pathful-good.csv
polaris POST /virtual/import-sheet/a.csv "$(cat "$good")"
has "a sheet is imported" "$status $body" '"rows":40,"invalid_rows":0,"status":"ok"'
polaris POST /virtual/import-sheet/b.csv "$(sed '1s/SignUp Role/Role/' "$good")"
has "not without a required column" "$status $body" 'missing required columns: SignUp Role'
polaris POST /virtual/import-sheet/c.csv "$(head -n 1 "$good"; echo '"PF-1,x')"
is "nor with a quote that never closes" "$status" 422
cp "$good" "$SANDBOX_POLARIS/inbox/"
for _ in {1..100}; do [ ! -f "$SANDBOX_POLARIS/inbox/done/pathful-good.csv" ] || break; sleep 0.1; done
ok "the schedule takes what lies in the inbox" test -f "$SANDBOX_POLARIS/inbox/done/pathful-good.csv"
refuses "the probe role of Polaris cannot write" sql "$SANDBOX_POLARIS_PG_PROBE_URL" -c "SET default_transaction_read_only = off" -c "DELETE FROM magic_link"
refuses "neither application may see the other's data" sql "${SANDBOX_PG_URL%/*}/polaris" -c 'SELECT 1'
refuses "... nor the other way" sql "${SANDBOX_POLARIS_PG_URL%/*}/school_erp" -c 'SELECT 1'
ok "reset" "$sandbox" reset "$a"
use "$a"
is "... puts Polaris back, too" "$(polaris_sql "SELECT count(*) FROM virtual_session_import") $(ls "$SANDBOX_POLARIS/inbox" "$SANDBOX_POLARIS/inbox/done" | wc -l)" "14 4"
for name in "$top"/examples/sandbox/seed/polaris/variant/*.sql; do
  name=polaris-$(basename "$name" .sql)
  has "$name is in the README" "$(cat "$top/examples/sandbox/README.md")" "\`$name\`"
done
"$sandbox" variant polaris-plague "$a" > /dev/null 2>&1
is "an unknown variant of Polaris is a usage error" $? 2

# ---- vouchers: only when they are asked for ------------------------------------------------

vouchers () { SANDBOX_HTTP_PORT=$SANDBOX_VOUCHERS_PORT http "$1" "$2" "${3:-}"; }
is "an up starts no vouchers" "$SANDBOX_VOUCHERS $(grep -c vouchers_staging "$SANDBOX_CONFIG")" " 0"
ok "their first variant does" "$sandbox" variant vouchers-healthy "$a"
use "$a"
is "... and the configuration has all three systems" "$(grep -cE '^ +vouchers(_staging|_platform)? = \{' "$SANDBOX_CONFIG")" 3
is "production has its vouchers, staging an older copy" "$(sql "$SANDBOX_VOUCHERS_PG_URL" -c 'SELECT count(*) FROM vouchers') \
$(sql "$SANDBOX_VOUCHERS_STAGING_PG_URL" -c 'SELECT count(*) FROM vouchers')" "420 300"
vouchers GET /api/integrations/status
has "it says where it is" "$body" '"environment":"production"'
vouchers POST /api/vouchers/issue '{"station_scope":"harbour"}'
has "a voucher is issued" "$status $body" '201 {"code":"V-'
code=${body#*'"code":"'} code=${code%%'"'*}
station () { vouchers POST /api/station/redeem "{\"code\":\"$code\",\"station\":\"$1\",\"idempotency_key\":\"$2\"}"; echo "$status"; }
is "not at another station, then at its own, and once" "$(station museum a) $(station harbour a) $(station harbour a) $(station harbour b)" "403 200 200 409"
vouchers POST /api/station/redeem '{"code":1}'
is "what is no voucher is 400" "$status" 400
vouchers GET /v1/projects/sandbox-production/backups
is "the manifest is for its token" "$status" 401
refuses "staging's role cannot reach production" sql "${SANDBOX_VOUCHERS_STAGING_PG_URL%/*}/vouchers" -c 'SELECT 1'
refuses "the probe role of the vouchers cannot write" sql "$SANDBOX_VOUCHERS_PG_PROBE_URL" -c "SET default_transaction_read_only = off" -c "DELETE FROM vouchers.settings"
ok "reset" "$sandbox" reset "$a"
is "... puts the vouchers back, too" "$(sql "$SANDBOX_VOUCHERS_PG_URL" -c 'SELECT count(*) FROM vouchers')" 420
for name in $(. "$top/examples/sandbox/lib/vouchers.sh"; echo $vouchers_variants); do
  has "vouchers-$name is in the README" "$(cat "$top/examples/sandbox/README.md")" "-$name\`"
done
"$sandbox" variant vouchers-plague "$a" > /dev/null 2>&1
is "an unknown variant of the vouchers is a usage error" $? 2

# ---- the roles ----------------------------------------------------------------------------

probe=$SANDBOX_PG_PROBE_URL
is "the probe role reads" "$(sql "$probe" -c 'SELECT count(*) FROM greenwood_high.user_sessions')" 1240
write='UPDATE greenwood_high.user_sessions SET is_active = false'
refuses "the probe role cannot write" sql "$probe" -c "$write"
refuses "... nor after asking for it" sql "$probe" -c 'SET default_transaction_read_only = off' -c "$write"
refuses "... nor make a temporary table" sql "$probe" -c 'SET default_transaction_read_only = off' -c 'CREATE TEMP TABLE t (i int)'
get /health/ready
refuses "... nor end somebody's session" sql "$probe" -c "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'school_erp'"
is "nobody's role is superuser but the administrator's" \
  "$(sql "$SANDBOX_PG_ADMIN_URL" -c 'SELECT rolname FROM pg_roles WHERE rolsuper')" postgres
is "the owner owns the schools" \
  "$(sql "$SANDBOX_PG_URL" -c "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname IN ('greenwood_high', 'riverside', 'st-marys')")" school_erp

probe=$SANDBOX_REDIS_PROBE_URL
digest=$(admin_redis debug digest)
for words in 'get cache:x' 'ttl cache:x' 'type bull:notifications:failed' 'zrange bull:notifications:failed 0 9' \
    'scan 0 match tenant:* count 10' 'keys cache:*' ping info 'acl whoami' 'command count' 'client id' 'memory usage cache:x'; do
  ok "the probe user may: $words" redis_allows "$probe" $words
done
for words in 'set x 1' 'del cache:x' 'expire cache:x 1' flushdb flushall 'config get *' 'config set save 1' \
    'client pause 1' 'client kill id 1' 'eval return 0' 'eval_ro return 0' 'publish a b' 'pfcount x' 'pfadd x 1' \
    'sort x' 'getex x' 'shutdown nosave' 'debug digest' 'acl list' 'script flush' 'function flush' monitor \
    'subscribe x' multi 'watch x' 'replicaof no one' save; do
  ok "the probe user may not: $words" redis_refuses "$probe" $words
done
is "... and nothing has changed" "$(admin_redis debug digest)" "$digest"
owner=$SANDBOX_REDIS_URL
for words in 'command count' 'client id' 'client info' 'client setname x' 'acl dryrun school_erp set x 1' 'acl whoami' \
    'dump cache:school:riverside' 'info server' 'scan 0' 'eval return(1) 0' 'memory usage x' 'object encoding x'; do
  ok "the owner may: $words" redis_allows "$owner" $words
done
is "the owner may WATCH, MULTI, EXEC" "$(printf '%s\n' 'watch x' multi 'set x 1' exec | redis "$owner" | tr '\n' ' ')" 'OK OK QUEUED OK '
redis "$owner" --raw dump x | head -c -1 > "$tmp/dump"
is "the owner may DUMP and RESTORE" "$(redis "$owner" -x restore y 0 < "$tmp/dump")" OK
for words in 'config set save 1' 'shutdown nosave' 'debug digest' 'acl setuser x' flushall 'replicaof no one' 'module list'; do
  ok "the owner may not: $words" redis_refuses "$owner" $words
done

# ---- variants, and everything back ---------------------------------------------------------------

ok "variant sick" "$sandbox" variant sick "$a"
is "greenwood_high is RED" "$(field /health/golive/tenant/greenwood_high overallHealth)" RED
is "riverside is GREEN" "$(field /health/golive/tenant/riverside overallHealth)" GREEN
is "st-marys is GREEN" "$(field /health/golive/tenant/st-marys overallHealth)" GREEN
is "the whole is YELLOW" "$(field /health/golive overallHealth)" YELLOW
has "the alerts name the school" "$(get /health/golive/alerts; echo "$body")" '"code":"TENANT_RED"'
redis "$SANDBOX_REDIS_URL" set tenant:blocked:greenwood_high true > /dev/null
has "once isolated, it is nobody's alert" "$(get /health/golive; echo "$body")" '"isolated":["greenwood_high"]'
ok "variant brute-force" "$sandbox" variant brute-force "$a"
has "... is an alert" "$(get /health/golive/alerts; echo "$body")" LOGIN_FAILURE_SPIKE
is "... from one address" "$(grep login_failures "$SANDBOX_LOG" | grep -o '"ip":"203[^"]*"' | sort -u | wc -l)" 1
ok "variant wrong-credentials" "$sandbox" variant wrong-credentials "$a"
is "... from 25 addresses" "$(grep login_failures "$SANDBOX_LOG" | grep -o '"ip":"203[^"]*"' | sort -u | wc -l)" 25
ok "variant dlq" "$sandbox" variant dlq "$a"
is "... fills the dead letter queue" "$(field /health/queues failed)" 27
ok "variant bad-release" "$sandbox" variant bad-release "$a"
has "... lacks its migration" "$(get /health/golive/alerts; echo "$body")" MIGRATION_MISSING
is "... is not ready" "$(status_of /health/ready)" 503
is "... is another version" "$(field /health version)" 1.5.0
ok "variant stale-cache" "$sandbox" variant stale-cache "$a"
has "... shows what is no more" "$(get /t/greenwood_high/dashboard; echo "$body")" '"cached":true,"numbers":{"students":584'
ok "variant lost-tables" "$sandbox" variant lost-tables "$a"
is "... one school is gone" "$(status_of /health/golive/tenant/riverside) $(status_of /health/golive/tenant/st-marys)" "404 200"
ok "variant bad-migration" "$sandbox" variant bad-migration "$a"
is "... a table is gone" "$(sql "$SANDBOX_PG_URL" -c "SELECT to_regclass('greenwood_high.fees') IS NULL")" t
ok "variant redis-down" "$sandbox" variant redis-down "$a"
has "... is an alert" "$(get /health/golive/alerts; echo "$body")" REDIS_DISCONNECT
ok "variant crashed" "$sandbox" variant crashed "$a"
is "... nobody answers" "$(status_of /health 2> /dev/null)" ""
ok "variant healthy" "$sandbox" variant healthy "$a"
is "... is GREEN" "$(field /health/golive overallHealth)" GREEN
is "... is the version before" "$(field /health version)" 1.4.11
"$sandbox" variant plague "$a" > /dev/null 2>&1
is "an unknown variant is a usage error" $? 2

before=$(state)
sql "$SANDBOX_PG_URL" -c 'DROP SCHEMA riverside CASCADE' -c 'CREATE SCHEMA greenwood_high__before_1' \
  -c 'UPDATE greenwood_high.user_sessions SET is_active = false' -c 'ALTER TABLE "st-marys".fees ADD COLUMN x int' 2> /dev/null
redis "$SANDBOX_REDIS_URL" flushdb > /dev/null
redis "$SANDBOX_REDIS_URL" set bull:notifications:failed 1 > /dev/null
echo 'MAX_SCHOOLS=9' >> "$SANDBOX_DOTENV"
echo rubbish > "$SANDBOX_BACKUPS/new.sql"
rm "$SANDBOX_BACKUPS"/daily-*
git -C "$SANDBOX_APP" checkout -q HEAD~3 && echo x >> "$SANDBOX_APP/release.json"
refuses "(the damage is done)" test "$before" = "$(state)"
is "a damaged school is seen" "$(status_of /health/golive/tenant/riverside)" 404
ok "reset puts it back" "$sandbox" reset "$a"
is "pg_dump, DEBUG DIGEST, .env, log, backups and releases are as before" "$(state)" "$before"
is "... and nothing is counted twice" "$("$sandbox" reset "$a"; state)" "$before"

# an open transaction of somebody does not stop a reset
mkfifo "$tmp/pipe"
psql -X -q "$SANDBOX_PG_URL" < "$tmp/pipe" > /dev/null 2>&1 &
exec 6> "$tmp/pipe"
echo 'BEGIN; LOCK greenwood_high.user_sessions IN ACCESS EXCLUSIVE MODE;' >&6
sleep 0.3
ok "reset works against an open transaction" timeout 20 "$sandbox" reset "$a"
exec 6>&-
wait $! 2> /dev/null

ok "preflight passes for a school" "$SANDBOX_APP/bin/preflight" st-marys
refuses "preflight fails for none" "$SANDBOX_APP/bin/preflight" hogwarts
sql "$SANDBOX_PG_URL" -c 'UPDATE "st-marys".users SET active = false WHERE role_id = 1'
refuses "preflight misses the administrator" "$SANDBOX_APP/bin/preflight" st-marys
"$sandbox" reset "$a"
for part in baseline usage resilience; do ok "the go-live check: $part" "$SANDBOX_APP/bin/golive" $part; done
has "the snapshots are dumps of a school" "$(cat "$SANDBOX_BACKUPS"/greenwood_high_*.sql)" 'CREATE TABLE greenwood_high.user_sessions'
is "the releases have a history" "$(git -C "$SANDBOX_APP" rev-list --count HEAD)" 12
"$sandbox" reset "$a"
use "$a"

# ---- when a server is gone ---------------------------------------------------------------------

pid=$(field /health pid)
sql "$SANDBOX_PG_ADMIN_URL" -c "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'school_erp'" > /dev/null
is "the application connects again when PostgreSQL hangs up" "$(sleep 0.1; field /health/golive/tenant/riverside overallHealth)" GREEN
kill -KILL "$SANDBOX_REDIS_PID"
sleep 0.3
get /health/golive
has "without Redis the whole is RED" "$body" '"overallHealth":"RED"'
is "... and says so with 503" "$status" 503
has "... and why" "$body" REDIS_DISCONNECT
is "... not ready" "$(status_of /health/ready)" 503
is "... the schools are refused, not let through" "$(status_of /t/riverside/dashboard)" 503
is "... the process stays" "$(field /health pid)" "$pid"
refuses "status says that something is down" "$sandbox" status "$a"
ok "up starts what is down" "$sandbox" up "$a"
use "$a"
sleep 0.3
is "all is GREEN again" "$(field /health/golive overallHealth)" GREEN
is "... in the same process" "$(field /health pid)" "$pid"
stopped=$SANDBOX_PG_PID
for p in $(pgrep -P "$stopped"); do kill -STOP "$p"; done; kill -STOP "$stopped"
is "a PostgreSQL that hangs is RED, too" "$(field /health/golive overallHealth)" RED
for p in $(pgrep -P "$stopped"); do kill -CONT "$p"; done; kill -CONT "$stopped"; stopped=''
sleep 0.5
is "... and GREEN when it goes on" "$(field /health/golive overallHealth)" GREEN
admin_redis client pause 1500 all > /dev/null
is "a Redis that hangs is RED" "$(field /health/golive overallHealth)" RED
sleep 1
for _ in 1 2 3 4 5 6 7 8; do [ "$(field /health/golive overallHealth)" != GREEN ] || break; sleep 0.3; done
is "... and GREEN when it goes on" "$(field /health/golive overallHealth)" GREEN

# ---- several at once ------------------------------------------------------------------------------

before=$(state)
"$sandbox" up "$b" --service process > "$tmp/b.out" 2>&1 & one=$!
"$sandbox" up "$c" --service process > "$tmp/c.out" 2>&1 & two=$!
wait $one; started $? "another starts, in a deep folder with spaces" "$(cat "$tmp/b.out")"
wait $two; started $? "and one more at the same time" "$(cat "$tmp/c.out")"
use "$b"
is "a plain process says where its pid is" "$SANDBOX_SERVICE" "process:$b/run/school-erp-server.pid"
is "its configuration is read as Lua" "$(config="$b/runbook.config.lua" lua_print \
  "dofile(os.getenv 'config').targets['local'].systems.school_erp.log")" "$SANDBOX_LOG"
is "it is GREEN" "$(field /health/golive overallHealth)" GREEN
redis "$SANDBOX_REDIS_URL" set tenant:blocked:riverside true > /dev/null
is "its riverside is blocked" "$(status_of /t/riverside/dashboard)" 503
identity=$(sql "$SANDBOX_PG_ADMIN_URL" -c 'SELECT system_identifier FROM pg_control_system()')
"$sandbox" reset "$b"
use "$a"
is "the first one's is not" "$(status_of /t/riverside/dashboard)" 200
is "the first one has not changed" "$(state)" "$before"
refuses "each database is one of its own" test "$identity" = "$(sql "$SANDBOX_PG_ADMIN_URL" -c 'SELECT system_identifier FROM pg_control_system()')"

"$sandbox" up "$b" --config "$tmp/other.lua" > /dev/null
has "--config names one more file for the configuration" "$(cat "$tmp/other.lua")" "$b"
ok "which may be written again" "$sandbox" up "$b" --config "$tmp/other.lua"
echo '-- my own' > "$tmp/mine.lua"
is "a file of somebody else is left as it is" \
  "$("$sandbox" up "$b" --config "$tmp/mine.lua" 2>&1; echo "$?"; cat "$tmp/mine.lua")" \
  "sandbox: $tmp/mine.lua is there, and no sandbox wrote it: give --config another name
2
-- my own"
is "... for its owner only" "$(stat -c %a "$tmp/other.lua")" 600

# ---- it stops -------------------------------------------------------------------------------------

use "$c"
sql "$SANDBOX_PG_URL" -c "UPDATE riverside.fees SET amount = 1"
ok "down" "$sandbox" down "$c"
is "down leaves no process" "$(processes "$c")" ''
refuses "status says that it is down" "$sandbox" status "$c"
ok "down again" "$sandbox" down "$c"
ok "and up again" "$sandbox" up "$c"
was=$SANDBOX_PG_PORT$SANDBOX_REDIS_PORT$SANDBOX_HTTP_PORT
use "$c"
is "... on the same ports" "$SANDBOX_PG_PORT$SANDBOX_REDIS_PORT$SANDBOX_HTTP_PORT" "$was"
is "... with the same data" "$(sql "$SANDBOX_PG_URL" -c 'SELECT DISTINCT amount::int FROM riverside.fees')" 1

# a pid that has become somebody else's is not touched
redis_pid=$SANDBOX_REDIS_PID
sleep 300 & sleeper=$!
sed -i "s/^SANDBOX_REDIS_PID=.*/SANDBOX_REDIS_PID=$sleeper/; s/^SANDBOX_PG_PID=.*/SANDBOX_PG_PID=$sleeper/" "$c/env"
"$sandbox" down "$c" > /dev/null
ok "a process that is not ours is not ended" kill -0 "$sleeper"
sed -i "s/^SANDBOX_REDIS_PID=.*/SANDBOX_REDIS_PID=$redis_pid/; s/^SANDBOX_PG_PID=.*/SANDBOX_PG_PID=$SANDBOX_PG_PID/" "$c/env"
kill "$sleeper"; wait "$sleeper" 2> /dev/null; sleeper=

ok "down --purge" "$sandbox" down "$c" --purge
refuses "... removes the folder" test -e "$c"
is "... and every process" "$(processes "$c")" ''
use "$b"; outside=$SANDBOX_PG_HOME
ok "down --purge of the deep one" "$sandbox" down "$b" --purge
refuses "... removes what had to be elsewhere" test -e "$outside"
ok "the first one is still up" "$sandbox" status "$a"

# stopped while it starts
"$sandbox" up "$tmp/d" > /dev/null 2>&1 & one=$!
sleep 0.8; kill -TERM $one; wait $one
is "a start that is interrupted leaves no process" "$(processes "$tmp/d")" ''
ok "... and can be done again" "$sandbox" up "$tmp/d"
"$sandbox" down "$tmp/d" --purge > /dev/null

# ---- an ordinary user -----------------------------------------------------------------------------

if [ "$EUID" -eq 0 ] && command -v setpriv > /dev/null && as_user test -x "$sandbox"; then
  user_folder=$(mktemp -d "${TMPDIR:-/tmp}/sandbox-user.XXXXXX")
  chown nobody "$user_folder"
  ok "an ordinary user starts one" as_user "$sandbox" up "$user_folder/s"
  is "... all of it as that user" "$(. "$user_folder/s/env"; stat -c %U "/proc/$SANDBOX_PG_PID" "/proc/$SANDBOX_REDIS_PID" | sort -u)" nobody
  refuses "... and nobody else's reset may touch it" "$sandbox" reset "$user_folder/s"
  ok "... and stops it" as_user "$sandbox" down "$user_folder/s" --purge
  is "... without a trace" "$(processes "$user_folder")" ''
fi

# ---- mistakes -----------------------------------------------------------------------------------

"$sandbox" up "$tmp/e" --colour > /dev/null 2>&1
is "an unknown option is a usage error" $? 2
refuses "... and nothing is made" test -e "$tmp/e"
"$sandbox" launch > /dev/null 2>&1
is "an unknown command is a usage error" $? 2
has "no sandbox there: reset says what to do" "$("$sandbox" reset "$tmp/e" 2>&1)" 'sandbox up'
mkdir -p "$tmp/repo/examples" && cp -r "$top/examples/sandbox" "$tmp/repo/examples/"
has "not built: up says what to do" "$(env -u BUILD "$tmp/repo/examples/sandbox/sandbox" up "$tmp/e" 2>&1)" 'run make first'

ok "the first one goes, too" "$sandbox" down "$a" --purge
is "no process is left" "$(processes "$tmp")" ''
