#!/usr/bin/env bash
# Limits: each of the seven stops before the harm, in a dry run and in a real one.
. "$(dirname "$0")/lib.sh"
sandbox_up
cd "$tmp" || exit 1
j() { jq -r "$1" <<<"$out"; }
redis() { redis-cli --no-auth-warning -u "$SANDBOX_REDIS_URL" "$@"; }
sessions() { psql -qtAX "$SANDBOX_PG_URL" -c "SELECT count(*) FROM greenwood_high.user_sessions WHERE revoke_reason = 'limit'"; }
cat > "$tmp/limits.config.lua" <<LUA
return { target = "local", targets = { ["local"] = { kind = "sandbox",
  allow = { files = { "$tmp" }, programs = { "touch" } },
  systems = { school_erp = { http = "$SANDBOX_HTTP_URL", pg = "$SANDBOX_PG_URL", redis = "$SANDBOX_REDIS_URL" } } } } }
LUA
export RUNBOOK_CONFIG=$tmp/limits.config.lua
one='UPDATE greenwood_high.user_sessions SET revoke_reason = $$limit$$ WHERE id IN (SELECT min(id) FROM greenwood_high.user_sessions)'
all='UPDATE greenwood_high.user_sessions SET revoke_reason = $$limit$$'

# t LIMITS BODY...: a step for each body
t() { local limits=$1 n=0; shift
  { echo "local s = system \"school_erp\" return runbook { title = \"t\", system = \"school_erp\", limits = { $limits },"
    for body; do n=$((n + 1)); echo "step \"S$n\" { remedy = function (run) $body end },"; done
    echo '}'; } > "$tmp/t.lua"; }
# stops NAME WHAT: the dry run refuses, the real run fails, each by the limit's name
stops() {
  rb run "$tmp/t.lua" --dry-run --json
  is "$1: the dry run refuses" "$rc $(j '[.steps[].status] | last')" "1 refused"
  has "$1: and says which limit" "$(j '.steps[-1].reason')" "over the limit $1"
  rb run "$tmp/t.lua" --json
  is "$1: the real run stops, with nothing done there" "$rc $(j '.error.kind') $(j '.error.certainty')" "1 limit not done"
}

t 'redis_keys = 1' 's.redis:set("limit:a", "1")' 's.redis:set("limit:b", "1")'
stops redis_keys
is "redis_keys: the first was within it" "$(redis exists limit:a) $(redis exists limit:b)" "1 0"
redis del limit:a >/dev/null
t 'redis_keys = 2' 'run:each({ "a", "b", "c", "d" }, { limit = 4 }, function (k) s.redis:set("limit:" .. k, "1") end)'
rb run "$tmp/t.lua" --json
is "branches side by side share it" "$rc $(redis exists limit:a limit:b limit:c limit:d)" "1 2"
redis del limit:a limit:b limit:c limit:d >/dev/null
t 'redis_keys = 2' 's.redis:del("limit:a", "limit:b", "limit:c")'
redis mset limit:a 1 limit:b 1 limit:c 1 >/dev/null
stops redis_keys
is "one command counts each of its keys" "$(redis exists limit:a limit:b limit:c)" 3
redis del limit:a limit:b limit:c >/dev/null

t 'pg_rows = 1' "s.pg:exec([[$all]])"
stops pg_rows
is "pg_rows: no row was changed" "$(sessions)" 0
t 'pg_rows_statement = 1' "s.pg:exec([[$all]])"
stops pg_rows_statement
is "pg_rows_statement: no row was changed" "$(sessions)" 0
t 'pg_rows_statement = 1' "s.pg:transaction(function (tx) tx:exec([[$one]]) tx:exec([[$all]]) end)"
stops pg_rows_statement
is "a transaction is rolled back as a whole" "$(sessions)" 0
t 'pg_rows = 1' "s.pg:transaction(function (tx) tx:exec([[$one]]) tx:exec([[$one]]) end)"
stops pg_rows
is "its statements add up" "$(sessions)" 0
psql -qX "$SANDBOX_PG_URL" -c "CREATE FUNCTION public.limit_double() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'" >/dev/null
t 'pg_rows = 2' "s.pg:exec([[WITH x AS (UPDATE greenwood_high.user_sessions SET revoke_reason = \$\$limit\$\$ RETURNING id) SELECT count(*) FROM x]])"
rb run "$tmp/t.lua" --json
is "rows that no preview can count never pass the limit in silence" "$([ "$(sessions)" = 0 ] || [ "$rc" = 0 ] && echo held)" held

t 'http_writes = 1' 's.http:post("/limit", { json = {}, expect = { 200, 404, 405 } })' 's.http:post("/limit", { json = {}, expect = { 200, 404, 405 } })'
stops http_writes
t 'files = 1' "file.write('$tmp/one', '1')" "file.write('$tmp/two', '2')"
stops files
is "files: the second is not there" "$(ls "$tmp/one" "$tmp/two" 2>/dev/null)" "$tmp/one"
t 'commands = 1' "exec.run { 'touch', '$tmp/c1' }" "exec.run { 'touch', '$tmp/c2' }"
stops commands
is "commands: the second did not run" "$(ls "$tmp/c1" "$tmp/c2" 2>/dev/null)" "$tmp/c1"

# -- which of them holds -------------------------------------------------------------------
t 'redis_keys = 2' 's.redis:set("limit:a", "1")' 's.redis:set("limit:b", "1")'
rb run "$tmp/t.lua" --limit redis_keys=1 --json
is "--limit lowers" "$rc $(redis exists limit:a limit:b)" "1 1"
redis del limit:a >/dev/null
t 'redis_keys = 1' 's.redis:set("limit:a", "1")' 's.redis:set("limit:b", "1")'
rb run "$tmp/t.lua" --limit redis_keys=5 --json
is "and cannot raise" "$rc $(redis exists limit:a limit:b)" "1 1"
redis del limit:a >/dev/null
for bad in redis_keys=-1 redis_keys=x redis_keys= rows=1 =1 redis_keys; do
  rb run "$tmp/t.lua" --limit "$bad" --json
  is "--limit $bad is a mistake" "$rc $(redis exists limit:a)" "2 0"
done
cat > "$tmp/t.lua" <<'LUA'
local s = system "school_erp"
return runbook { title = "t", system = "school_erp", limits = { redis_keys = 5 },
  case "a" { title = "A", limits = { redis_keys = 1 }, step "One" { remedy = function () s.redis:set("limit:a", "1") end },
    step "Two" { remedy = function () s.redis:set("limit:b", "1") end } } }
LUA
rb run "$tmp/t.lua" --case a --json
is "a case has limits of its own" "$rc $(redis exists limit:a limit:b)" "1 1"
