#!/bin/bash
# twenty.sh - twenty looks at the school ERP, one process each, as they are typed
# into a script. ERP_URL, ERP_PG and ERP_REDIS say where it is.
set -eu -o pipefail

http () { curl -sS -o /dev/null "$ERP_URL$1"; }
sql () { psql -XAtq "$ERP_PG" -c "$1"; }
redis () { redis-cli -u "$ERP_REDIS" --no-auth-warning "$@"; }

http /health
http /health/ready
http /health/queues
http /health/golive/pilot
for school in greenwood_high riverside st-marys; do
  http "/health/golive/tenant/$school"
  http "/t/$school/dashboard"
done
sql 'SELECT count(*) FROM greenwood_high.user_sessions WHERE is_active'
sql 'SELECT count(*) FROM riverside.user_sessions WHERE is_active'
sql 'SELECT count(*) FROM "st-marys".user_sessions WHERE is_active'
sql "SELECT count(*) FROM greenwood_high.jobs WHERE status = 'failed'"
sql 'SELECT count(*) FROM public.schools'
redis GET tenant:blocked:greenwood_high
redis GET tenant:blocked:riverside
redis GET tenant:blocked:st-marys
redis LLEN bull:notifications:wait
redis ZCARD bull:notifications:failed
