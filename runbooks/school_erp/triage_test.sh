#!/usr/bin/env bash
# triage on the sandbox, one variant after the other: what it finds, which level and runbook
# it names, who authorises it, whose turn it is; and that it changes nothing.
. "$(dirname "$0")/../../tests/lib.sh"
sandbox_up
cd "$tmp" || exit 2
variant() { "$top/examples/sandbox/sandbox" variant "$1" "$tmp/sb" > variant.log 2>&1 || { cat variant.log; fail "variant $1"; }; . "$tmp/sb/env"; }
redis() { redis-cli -u "$SANDBOX_REDIS_ADMIN_URL" --no-auth-warning "$@"; }
admin() { psql -qAt "${SANDBOX_PG_ADMIN_URL%/*}/school_erp" -c "$1"; }
found() { jq -r --arg n "$1" '.findings[] | select(.name == $n) | .value' <<<"$out"; }
whose_turn() { jq -r '[.findings[].name | select(endswith(" (now)"))] | join(",")' <<<"$out"; }
world() {
  admin "select pg_snapshot_xmax(pg_current_snapshot())"
  redis debug digest 2>&1
  sha256sum "$SANDBOX_DOTENV"
  curl -s "$SANDBOX_HTTP_URL/health" | jq -r .pid
}

# VARIANT LEVEL RUNBOOK WHO SEVERITY [PARAMETER]
names() {
  variant "$1"
  local before; before=$(world)
  rb run triage.lua ${6:+"$6"} --json
  is "$1${6:+ $6}: level, runbook, who" "$rc $(found level), $(found runbook), $(found 'authorised by')" "0 $2, $3, $4"
  has "$1${6:+ $6}: severity" "$(found severity)" "$5"
  is "$1${6:+ $6}: nothing has changed" "$(world)" "$before"
}

names healthy none none '' 'no alert says'
is "healthy: every question says no" "$(jq -r '[.findings[] | select(.name | startswith("level ")) | .status] | unique | join(",")' <<<"$out")" ok
is "the first quarter of an hour is Support's" "$(whose_turn)" "Support Tier 1 (now)"
has "until when" "$(found 'Support Tier 1 (now)')" "(15m)"
has "every severity is shown" "$err" "P1 (high): response 30 minutes, resolution 2 hours: marking attendance fails for more than 10 % of teachers"
rb run triage.lua reported=20m --json
is "after 20 minutes it is the engineer's" "$(whose_turn)" "Engineering On-Call (now)"
rb run triage.lua reported=31m --json
is "after 30 the senior engineer's" "$(whose_turn)" "Senior Engineer or Tech Lead (now)"
rb run triage.lua --dry-run --json
is "a dry run says the same" "$rc $(found level)" "0 none"

names healthy 4 tenant_maintenance cto 'P0 (critical): response 5 minutes, resolution 30 minutes' integrity=yes
is "data at risk are the CTO's at once" "$(whose_turn)" "CTO or Founder (now)"

names crashed 1 service_restart on-call 'P0 (critical)'
has "crashed: by the service" "$(found 'level 1: one service has crashed?')" "yes: the service is stopped"
has "crashed: what is run next" "$(found next)" "runbook run service_restart --dry-run"
has "crashed: the rest is still asked" "$(found 'level 4: the integrity of data is at risk?')" "no: every school has its tables"

names crashed 4 tenant_maintenance cto 'P0 (critical)' integrity=yes
names stale-cache 1 service_restart on-call 'no alert says'
has "stale cache: whose" "$(found 'level 1: one service has crashed?')" "yes: stale cache of greenwood_high"

names sick 2 tenant_isolation senior-engineer 'P1 (high)'
has "sick: which school" "$(found next)" "runbook run tenant_isolation tenant=greenwood_high"
has "sick: the alert, its limit and its runbook" "$(found 'alert DLQ_SPIKE')" "P1: 27, limit 10; runbook dlq_spike"

names bad-release 3 'deployment_rollback, database_restore' 'tech-lead and cto' 'P0 (critical)'
has "bad-release: what is run next" "$(found next)" "runbook run deployment_rollback --dry-run"
has "bad release: by its migration" "$(found 'level 3: a deployment or a migration was bad?')" "yes: release 1.5.0 needs schema 12, the database has 11"
has "bad release: the log of the server" "$(found 'the last of them')" '"status":503'

names lost-tables 4 tenant_maintenance cto 'no alert says'
has "lost tables: whose" "$(found 'level 4: the integrity of data is at risk?')" "yes: the tables are gone of riverside"

names redis-down 'none; the alerts have runbooks of their own' redis_disconnect '' 'P0 (critical)'
names dlq 'none; the alerts have runbooks of their own' dlq_spike '' 'P1 (high)'
variant brute-force
rb run triage.lua --json
has "brute force: its own runbook" "$(found 'alert LOGIN_FAILURE_SPIKE')" "runbook login_failure_spike"
rb run triage.lua integrity=maybe --json
is "a word that is none" "$rc $(jq -r .error.kind <<<"$out")" "2 parameter"
