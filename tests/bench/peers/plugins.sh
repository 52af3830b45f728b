#!/bin/bash
# plugins.sh - the looks of twenty.sh with the monitoring-plugins, as Nagios or Icinga run
# them: a process for each. They have no check of Redis: check_tcp says its words.
set -eu -o pipefail
PATH=/usr/lib/nagios/plugins:$PATH

[[ $ERP_URL =~ ^http://([^:]+):([0-9]+)$ ]]
web=(-H "${BASH_REMATCH[1]}" -p "${BASH_REMATCH[2]}")
[[ $ERP_PG =~ ^postgresql://([^:]+):([^@]+)@([^:]+):([0-9]+)/(.+)$ ]]
pg=(-l "${BASH_REMATCH[1]}" -p "${BASH_REMATCH[2]}" -H "${BASH_REMATCH[3]}" -P "${BASH_REMATCH[4]}"
    -d "${BASH_REMATCH[5]}")
[[ $ERP_REDIS =~ ^redis://([^:]+):([^@]+)@([^:]+):([0-9]+)/ ]]
auth="AUTH ${BASH_REMATCH[1]} ${BASH_REMATCH[2]}"
redis=(-H "${BASH_REMATCH[3]}" -p "${BASH_REMATCH[4]}")

http () { check_http "${web[@]}" -e HTTP/1 -u "$1"; }
sql () { check_pgsql "${pg[@]}" -q "$1"; }
redis () { check_tcp "${redis[@]}" -E -s "$auth\r\n$1\r\nQUIT\r\n" -A -e +OK -e "$2"; }

http /health
http /health/ready
http /health/queues
http /health/golive/pilot
for school in greenwood_high riverside st-marys; do
  http "/health/golive/tenant/$school"
  http "/t/$school/dashboard"
  sql "SELECT count(*) FROM \"$school\".user_sessions WHERE is_active"
  redis "GET tenant:blocked:$school" '$'
done
sql "SELECT count(*) FROM greenwood_high.jobs WHERE status = 'failed'"
sql 'SELECT count(*) FROM public.schools'
redis 'LLEN bull:notifications:wait' :
redis 'ZCARD bull:notifications:failed' :
