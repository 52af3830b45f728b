#!/usr/bin/env bash
# tenant_isolation on the sandbox: the dry run changes nothing (the servers are asked) and says
# what the real run then does; the others are served all the while; reenable brings it back.
. "$(dirname "$0")/../../tests/lib.sh"
sandbox_up
cd "$tmp" || exit 2
redis() { redis-cli -u "$SANDBOX_REDIS_ADMIN_URL" --no-auth-warning "$@"; }
sql() { psql -qAt "$SANDBOX_PG_URL" -c "$1"; }
admin() { psql -qAt "${SANDBOX_PG_ADMIN_URL%/*}/school_erp" -c "$1"; }
code() { curl -s -o /dev/null -w '%{http_code}' "$SANDBOX_HTTP_URL/t/$1/dashboard"; }
j() { jq -r "$1" <<<"$out"; }
pids() { curl -s "$SANDBOX_HTTP_URL/health" | jq -r .pid; }

# everything that a dry run must leave as it is, asked of those who know
world() {
  pg_dump "${SANDBOX_PG_ADMIN_URL%/*}/school_erp" | grep -v '^\\\(un\)\?restrict' | sha256sum
  admin "select pg_snapshot_xmax(pg_current_snapshot())"
  admin "select coalesce(string_agg(schemaname || '.' || sequencename || '=' || coalesce(last_value::text, ''), ',' order by 1), '') from pg_sequences" 2>&1
  redis debug digest
  sha256sum "$SANDBOX_DOTENV"; ls -l "$SANDBOX_APP" "$SANDBOX_BACKUPS" | sha256sum
  pids
}

# -- the dry run -----------------------------------------------------------------------
before=$(world)
rb run tenant_isolation.lua --dry-run --json
dry=$out
ok "the dry run exits 0 or 7 (it was $rc)" test "$rc" = 0 -o "$rc" = 7
is "the dry run changed nothing" "$(world)" "$before"
is "it takes the case" "$(j '.cases | join(",")')" isolate
is "it names three changes" "$(j '[.steps[].effects[] | select(.verdict == "would do") | .verb] | join(" ")')" "redis.set dotenv.add pg.exec"
is "the block: before and after" "$(j '.steps[].effects[] | select(.verb == "redis.set") | "\(.before) \(.after.value) \(.after.ttl)"')" "null true 3600"
has "the queues: as a diff" "$(j '.steps[].effects[] | select(.verb == "dotenv.add") | .after.diff')" "+DISABLED_TENANTS=greenwood_high"
rows=$(sql "select count(*) from greenwood_high.user_sessions where is_active")
is "the sessions: counted" "$(j '.steps[].effects[] | select(.verb == "pg.exec") | .rows')" "$rows"
is "what rests on them is deferred" "$(j '.steps[] | select(.id == "revoke-its-active-sessions") | .verify')" deferred
is "what is planned exactly is verified" "$(j '.steps[] | select(.id == "block-its-traffic") | .verify')" passed
is "the layers that hold here" "$(j '.enforced | "\(.script) \(.gate) \(.protocol | sort | join(","))"')" "true true http,pg,redis"
ok "the JSON is what docs/run.schema.json says" "$python" -c 'import json, sys, jsonschema
jsonschema.validate(json.load(open(sys.argv[1])), json.load(open(sys.argv[2])))' <(echo "$out") "$top/docs/run.schema.json"
rb run tenant_isolation.lua --dry-run
has "a person reads the same" "$out" "tenant:blocked:greenwood_high"
is "and still nothing has changed" "$(world)" "$before"

rb show tenant_isolation.lua
has "what is shared with other runbooks is shown, too" "$out" "SET is_active = false, revoked_at = now()"

# -- for real, while a client polls the others --------------------------------------------
poll() {
  while [ ! -e stop ]; do
    for s in riverside st-marys; do curl -s -o /dev/null -w "$s %{http_code}\n" "$SANDBOX_HTTP_URL/t/$s/dashboard"; done
    sleep 0.02
  done
}
poll > polled & poller=$!
others=$(sql 'select sum(n) from (select count(*) n from riverside.user_sessions where is_active union all select count(*) from "st-marys".user_sessions where is_active) x')
rb run tenant_isolation.lua --json
is "without a terminal and --yes it stops for the approval" "$rc" 3
rb run tenant_isolation.lua --yes --json
is "the real run is done" "$rc $(j .status)" "0 done"
is "it did what the dry run said" "$(j '[.steps[].effects[] | select(.kind == "remedy") | [.verb, .before, .after, .rows]]')" \
  "$(jq -r '[.steps[].effects[] | select(.kind == "remedy") | [.verb, .before, .after, .rows]]' <<<"$dry")"
is "every verification passed" "$(j '[.steps[] | select(.verify != null) | .verify] | unique | join(",")')" passed
ok "the JSON is what the schema says" "$python" -c 'import json, sys, jsonschema
jsonschema.validate(json.load(open(sys.argv[1])), json.load(open(sys.argv[2])))' <(echo "$out") "$top/docs/run.schema.json"
is "the school answers 503, the others 200" "$(code greenwood_high) $(code riverside) $(code st-marys)" "503 200 200"
is "its key, with an expiry of about an hour" "$(redis get tenant:blocked:greenwood_high) $(test "$(redis ttl tenant:blocked:greenwood_high)" -gt 3500 && echo yes)" "true yes"
has "its name in DISABLED_TENANTS" "$(grep ^DISABLED_TENANTS= "$SANDBOX_DOTENV")" greenwood_high
is "its sessions are revoked, with the reason" "$(sql "select count(*) from greenwood_high.user_sessions where revoke_reason = 'Tenant isolated for maintenance'")" "$rows"
is "no session of the others was touched" "$(sql 'select sum(n) from (select count(*) n from riverside.user_sessions where is_active union all select count(*) from "st-marys".user_sessions where is_active) x')" "$others"
has "the letter to the admin" "$(j '.findings[] | select(.name | test("message")) | .value')" "Scheduled maintenance for Greenwood High"

# -- again: there is nothing to do ---------------------------------------------------------------
rb run tenant_isolation.lua --yes --json
is "a second run finds no case" "$rc $(j '.cases | length')" "0 0"
rb run tenant_isolation.lua --case investigate --json --yes
is "the ten largest tables" "$rc $(j '.findings | length')" "0 10"

# -- back -------------------------------------------------------------------------------------------
rb run tenant_isolation.lua --case reenable --dry-run --json
is "the way back, dry: exit 0 or 7" "$(test "$rc" = 0 -o "$rc" = 7 && echo yes)" yes
is "it names three changes" "$(j '[.steps[].effects[] | select(.verdict == "would do") | .verb] | join(" ")')" "redis.del dotenv.remove service.restart"
is "it changed nothing" "$(code greenwood_high)" 503
touch stop; wait $poller
rb run tenant_isolation.lua --case reenable --yes --json
is "the way back is done" "$rc $(j .status)" "0 done"
is "all three are served" "$(code greenwood_high) $(code riverside) $(code st-marys)" "200 200 200"
is "the others were served all the while" "$(awk '{ print $2 }' polled | sort -u | xargs)" 200
ok "(polled $(wc -l < polled) times)" test "$(wc -l < polled)" -gt 20

# -- another school, with a hyphen --------------------------------------------------------------------
rb run tenant_isolation tenant=st-marys block=90s --yes --json
is "st-marys is isolated just so" "$rc $(code st-marys) $(code greenwood_high)" "0 503 200"
rb history --json
ok "all of it is in the history" jq -e 'length >= 8 and .[0].params.tenant == "st-marys"' <<<"$out"
ok "the tape holds no password" bash -c '! grep -aqF "$1" "$2"/runbook/tape.db*' - "$SANDBOX_PG_PASSWORD" "$XDG_STATE_HOME"
