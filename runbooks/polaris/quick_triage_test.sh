#!/usr/bin/env bash
# polaris/quick_triage on the sandbox, one variant after the other: which sync is stale, what the
# last attempt was, how severe it is and until when it is fixed; and that it changes nothing.
. "$(dirname "$0")/../../tests/lib.sh"
sandbox_up
cd "$tmp" || exit 2
variant() { "$top/examples/sandbox/sandbox" variant "$1" "$tmp/sb" > variant.log 2>&1 || { cat variant.log; fail "variant $1"; }; . "$tmp/sb/env"; }
found() { jq -r --arg n "$1" '.findings[] | select(.name | startswith($n)) | .value' <<<"$out"; }
status() { jq -r --arg n "$1" '.findings[] | select(.name | startswith($n)) | .status' <<<"$out"; }
world() {
  psql -qAt "${SANDBOX_PG_ADMIN_URL%/*}/polaris" -c "select pg_snapshot_xmax(pg_current_snapshot())"
  redis-cli -u "$SANDBOX_REDIS_ADMIN_URL" --no-auth-warning debug digest 2>&1
  (cd "$SANDBOX_POLARIS" && find . -type f -exec sha256sum {} + | sort)
}

# VARIANT SYNC WORDS STATUS: the finding about one sync, and the severity that follows
triage() {
  variant "$1"
  local before; before=$(world)
  rb run quick_triage.lua --json
  has "$1: $2" "$rc $(found "$2")" "0 $3"
  is "$1: is it bad?" "$(status "$2")" "$4"
  rb run quick_triage.lua --dry-run --json
  is "$1: a dry run says the same" "$rc $(status "$2")" "0 $4"
  is "$1: nothing has changed" "$(world)" "$before"
}
sev2() { has "$1: SEV2" "$(found severity)" "SEV2: stale are $2"
         has "$1: within 24 hours" "$(found 'to be fixed by')" "$(date -u -d '+24 hours' +%Y-%m-%dT%H:)"; }
calm() { has "$1: no SEV2" "$(status severity) $(found severity)" "ok no sync is stale"; }

triage healthy '1. SF to VT event sync (hourly)' '25 min old, stale after 2h; the last attempt: 14 records' ok
calm healthy
is "all five are fresh" "$(jq -r '[.findings[] | select(.name | test("^[1-5]\\.")) | .status] | join(",")' <<<"$out")" ok,ok,ok,ok,ok
has "both severities are shown" "$err" 'SEV1 (critical security incident): wrong data shown'
has "with what is done" "$err" 'investigate and fix within 24 hours'
has "what was not said is asked for" "$(found district)" 'not said: ask which district'

triage polaris-stale-sf 1. '3 h 0 min old, stale after 2h' bad;        sev2 sf 'SF to VT event sync'
triage polaris-stale-comms 2. '1 d 6 h old, stale after 24h' bad;      sev2 comms 'comms sync'
triage polaris-stale-dashboard 3. '5 h 0 min old, stale after 1h' bad; sev2 dashboard 'dashboard refresh'
triage polaris-stale-pathful 4. '2 d 1 h old, stale after 24h' bad;    sev2 pathful 'Pathful import'
triage polaris-stale-roster 5. '20 d 0 h old, stale after 14d' bad;    sev2 roster 'roster import'
triage polaris-sync-failed 1. '2 h 30 min old, stale after 2h; the last attempt: sync failed' bad; sev2 failed 'SF to VT'
triage polaris-sync-failing 1. '25 min old, stale after 2h; the last attempt: sync failed' bad;    calm failing
triage polaris-nothing-to-sync 1. '25 min old, stale after 2h; the last attempt: nothing to sync' ok; calm nothing
triage polaris-never-synced 5. 'never; the last attempt: sync failed' bad; sev2 never 'roster import'

# -- two thresholds hold on a condition, and the third is a setting ------------------------------
config() { sed "$1" "$tmp/runbook.config.lua" > other.lua; chmod 600 other.lua; }
variant polaris-stale-pathful
config 's/pathful_daily    = true,/pathful_daily    = false,/'
rb run quick_triage.lua --json --config other.lua
has "no import is expected every day: stale is no SEV2" "$rc $(status 4.) $(found 4.)" '0 warn 2 d 1 h old'
calm "no import every day"
variant polaris-stale-roster
config 's/roster_current   = true,/roster_current   = false,/'
rb run quick_triage.lua --json --config other.lua
is "no roster is expected to be current: nor is that" "$rc $(status 5.)" '0 warn'
calm "no current roster"
config '/dashboard_refresh/d'
rb run quick_triage.lua --json --config other.lua
has "the refresh must be configured" "$rc $(jq -r .error.message <<<"$out")" 'the setting dashboard_refresh of the system polaris is missing'

# -- who, what, when -----------------------------------------------------------------------------
variant healthy
rb run quick_triage.lua --json 'district= lakeview ' 'teacher= Avery.Dogwood55@PRAIRIE.example.edu' page=magic_link wrong='not found' noticed=08:10 range=September
is "the district, however it is written" "$rc $(found district)" '0 Lakeview: 80 active teachers'
is "the teacher, by the normalised address" "$(found teacher)" 'Avery Dogwood, West Middle, Prairie Hills: Achieved'
is "what was reported" "$(found 'what looks wrong') $(found noticed) $(found 'date range')" 'not found 08:10 September'
has "which runbook is next" "$(found next)" magic_link
rb run quick_triage.lua --json district=Hogwarts teacher=nobody@example.org
is "a district that is none" "$rc $(status district) $(status teacher)" '0 bad bad'
rb run quick_triage.lua --json teacher='Kim <kim@example.org>'
is "an address with a name is refused" "$rc $(jq -r .error.kind <<<"$out")" '2 parameter'
variant polaris-inactive
rb run quick_triage.lua --json teacher=avery.dogwood55@prairie.example.edu
has "a teacher who is not active any more" "$(status teacher) $(found teacher)" '(not active)'
rb show quick_triage.lua
has "it can be read" "$rc $out" 'How fresh are the five syncs?'
