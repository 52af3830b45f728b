#!/usr/bin/env bash
# service_restart on the sandbox: dry (nothing changes: the servers are asked) and for real,
# with a stale cache, a crashed server, an alert during the watch, a sick school, a bad
# deployment and without Redis.
. "$(dirname "$0")/../../tests/lib.sh"
sandbox_up
cd "$tmp" || exit 2
variant() { "$top/examples/sandbox/sandbox" variant "$1" "$tmp/sb" > variant.log 2>&1 || { cat variant.log; fail "variant $1"; }; . "$tmp/sb/env"; }
redis() { redis-cli -u "$SANDBOX_REDIS_ADMIN_URL" --no-auth-warning "$@"; }
count() { redis --scan --pattern "$1" | wc -l; }
admin() { psql -qAt "${SANDBOX_PG_ADMIN_URL%/*}/school_erp" -c "$1"; }
code() { curl -s -o /dev/null -w '%{http_code}' "$SANDBOX_HTTP_URL/t/$1/dashboard"; }
students() { curl -s "$SANDBOX_HTTP_URL/t/greenwood_high/dashboard" | jq -c '[.cached, .numbers.students]'; }
pid() { curl -s "$SANDBOX_HTTP_URL/health" | jq -r .pid; }
j() { jq -r "$1" <<<"$out"; }
found() { jq -r --arg n "$1" '.findings[] | select(.name == $n) | .value' <<<"$out"; }
ended() { j '.steps[] | select(.status == "failed") | .id'; }
# one run, as JSON; what it leaves unfinished keeps the lock until it is abandoned
restart() { rb run service_restart.lua --json "$@"; settled; }
settled() { [ "$(j .status)" = done ] || "$runbook" abandon "$(j .run)" --yes > /dev/null 2>&1; }
configure() { sed "s|schema  = {},|schema = { settle_after = \"1s\", watch_every = \"250ms\", restart_takes = { \"1s\", \"3s\" }${1:-} },|" config.saved > runbook.config.lua; }
cp runbook.config.lua config.saved
configure
world() {
  pg_dump "${SANDBOX_PG_ADMIN_URL%/*}/school_erp" | grep -v '^\\\(un\)\?restrict' | sha256sum
  admin "select pg_snapshot_xmax(pg_current_snapshot())"
  redis debug digest
  sha256sum "$SANDBOX_DOTENV"
  pid
}

# -- a stale cache, while another school is isolated -------------------------------------
variant stale-cache
redis set tenant:blocked:st-marys true ex 3600 > /dev/null
redis set tenant:maintenance:message:riverside 'soon' > /dev/null
is "the dashboard is stale" "$(students)" "[true,584]"
jobs=$(count 'bull:*') before=$(world)
rb run service_restart.lua --dry-run --json
dry=$out
is "the dry run: exit 0" "$rc" 0
is "it changed nothing" "$(world)" "$before"
is "it would delete, restart and sign in" "$(j '[.steps[].effects[] | select(.verdict == "would do") | .verb] | join(" ")')" "redis.del service.restart http.post"
is "only keys of the caches" "$(j '[.steps[].effects[] | select(.verb == "redis.del") | .before.value | keys[]] | map(.[0:6]) | unique | join(",")')" "cache:"
has "it says that it would watch" "$err" "would watch: the health stays GREEN (every 250ms, for 5m"
is "what rests on the restart is deferred" "$(j '[.steps[] | select(.verify == "deferred")] | length')" 8
rb run service_restart.lua watch=1s --json
is "without --yes it stops for the approval" "$rc $(world)" "3 $before"
restart watch=1s --yes
is "for real" "$rc $(j .status)" "0 done"
is "it did what the dry run said" "$(j '[.steps[].effects[] | select(.kind == "remedy") | .verb]')" \
  "$(jq -r '[.steps[].effects[] | select(.kind == "remedy") | .verb]' <<<"$dry")"
is "every verification passed" "$(j '[.steps[] | select(.verify != null) | .verify] | unique | join(",")')" passed
is "the dashboard is right again" "$(students | jq -r '.[1]')" 620
is "the isolated school stays away, the others are served" "$(code st-marys) $(code greenwood_high)" "503 200"
is "what people read in maintenance stays" "$(redis get tenant:maintenance:message:riverside)" soon
is "and so do the queues" "$(count 'bull:*')" "$jobs"
refuses "it is another process" test "$(pid)" = "$(tail -1 <<<"$before")"
is "the findings" "$(found 'health before'), $(found 'service before'), $(found 'keys of the caches')" "GREEN, online, 19"

# -- a crashed server ----------------------------------------------------------------------
variant crashed
rb run service_restart.lua --dry-run --json
is "crashed: the dry run" "$rc $(j '.steps[].effects[] | select(.verb == "service.restart") | .before.value') $(pid)" "0 stopped "
restart watch=1s --yes
is "crashed: it is back" "$rc $(found 'service before') $(code riverside)" "0 stopped 200"
has "crashed: how it was found" "$(found 'health before')" "127.0.0.1"

# -- GREEN has to stay -----------------------------------------------------------------------
variant healthy
old=$(pid)
"$runbook" run service_restart.lua watch=2m --yes --json > watched 2>/dev/null </dev/null & watcher=$!
for _ in {1..300}; do now=$(pid); [ -n "$now" ] && [ "$now" != "$old" ] && break; sleep 0.1; done
sleep 4
grep -hv '^#' "$top/examples/sandbox/seed/dlq.txt" | redis > /dev/null
wait $watcher
is "an alert during the watch fails it" "$? $(jq -r '.steps[] | select(.status == "failed") | .id' watched)" "1 does-it-stay-green"
has "and names it" "$(jq -r .error.message watched)" "DLQ_SPIKE"
out=$(cat watched); settled

# -- what a restart does not mend ----------------------------------------------------------------
variant sick
restart watch=1s --yes
is "a sick school: it does not get GREEN" "$rc $(ended)" "1 is-its-health-green"
has "why, and what next" "$(j .error.message)" "(it is YELLOW: DLQ_SPIKE, TENANT_RED of greenwood_high); when level 1 does not help, triage names the next"
variant bad-release
restart watch=1s --yes
is "a bad deployment: it does not get ready" "$rc $(ended)" "1 is-it-ready"
has "why" "$(j .error.message)" "db is ok (it is behind)"
variant redis-down
old=$(pid)
restart watch=1s --yes
is "without Redis it stops before the restart" "$rc $(ended) $(pid)" "1 delete-the-caches-and-nothing-else $old"
restart watch=1s cache=keep --yes
is "unless told to keep the caches; Redis stays away" "$rc $(ended)" "1 is-it-ready"

# -- FLUSHDB ------------------------------------------------------------------------------------------
variant healthy
before=$(world)
restart cache=flush watch=1s --yes
is "flush: not while there are keys that have to stay" "$rc $(ended) $(world)" "1 flush-the-whole-database $before"
has "which" "$(j .error.message)" "keys that have to stay (bull:notifications:"
redis --scan --pattern 'bull:*' | xargs redis-cli -u "$SANDBOX_REDIS_ADMIN_URL" --no-auth-warning del > /dev/null
restart cache=flush watch=1s --yes
is "flush: when there are none" "$rc $(redis exists counter:logins:riverside)" "0 0"

# -- settings that are wrong, or not there --------------------------------------------------------------
variant healthy
before=$(world)
configure; sed -i 's|cache_prefixes = { "cache:" }|cache_prefixes = { "cache:", "tenant:" }|' runbook.config.lua
redis set tenant:blocked:st-marys true > /dev/null
restart watch=1s --yes
is "a prefix that reaches into what has to stay" "$rc $(ended) $(redis get tenant:blocked:st-marys)" "1 delete-the-caches-and-nothing-else true"
has "is named" "$(j .error.message)" "tenant:blocked:st-marys is no cache"
configure; sed -i 's|password = "open-sesame-42"|password = "wrong"|' runbook.config.lua
restart watch=1s --yes
is "the test user cannot sign in" "$rc $(ended)" "1 4-can-the-test-user-sign-in"
configure; sed -i '/login = { email/,/},/d' runbook.config.lua
restart watch=1s --yes
is "without a test user a person signs in" "$rc $(j .status)" "3 stopped"
has "and is told what to do" "$(j .error.message)$err" "Sign in as a test user"
rb run service_restart.lua watch=soon --yes
is "a watch that is no time" "$rc" 2
