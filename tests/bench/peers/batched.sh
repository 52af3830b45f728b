#!/bin/bash
# batched.sh - the same twenty looks as twenty.sh, put together by hand into one
# process for each tool.
set -eu -o pipefail

urls=()
for path in /health /health/ready /health/queues /health/golive/pilot \
            /health/golive/tenant/{greenwood_high,riverside,st-marys} \
            /t/{greenwood_high,riverside,st-marys}/dashboard; do
  urls+=(-o /dev/null "$ERP_URL$path")
done
curl -sS "${urls[@]}"

psql -XAtq -v ON_ERROR_STOP=1 "$ERP_PG" -f - <<'END'
SELECT count(*) FROM greenwood_high.user_sessions WHERE is_active;
SELECT count(*) FROM riverside.user_sessions WHERE is_active;
SELECT count(*) FROM "st-marys".user_sessions WHERE is_active;
SELECT count(*) FROM greenwood_high.jobs WHERE status = 'failed';
SELECT count(*) FROM public.schools;
END

redis-cli -u "$ERP_REDIS" --no-auth-warning <<'END'
GET tenant:blocked:greenwood_high
GET tenant:blocked:riverside
GET tenant:blocked:st-marys
LLEN bull:notifications:wait
ZCARD bull:notifications:failed
END
