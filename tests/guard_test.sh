#!/bin/bash
# guard_test.sh - attacks in bulk: each is a row `words|statement`, and a step of one runbook
#
# Every row is tried as a probe, a when and a verify, in a dry run and in a real run, all in
# one script a run; each has to be refused in words that name what was refused. Then the servers
# are asked whether anything has changed; if so, the rows are tried one by one until the guilty
# one is found. `tests/guard_test.sh TEXT` tries the rows with that text; tests/mutants takes
# the guards out one at a time and expects rows of this file to succeed.
set -u
only=${1:-}
. "$(dirname "$0")/lib.sh"
for need in jq psql pg_dump redis-cli; do
  command -v $need >/dev/null || { skip "attacks" "needs $need"; exit 0; }
done
if [ -n "${GUARD_SANDBOX:-}" ]; then  # one that is up: the mutants share it
  . "$GUARD_SANDBOX/env"
  cp "$GUARD_SANDBOX/../runbook.config.lua" "$tmp/runbook.config.lua"
  export RUNBOOK_CONFIG=$tmp/runbook.config.lua
else sandbox_up; fi
sed -i 's|programs = {|programs = { "touch", "true", "mkdir", "sleep",|' "$RUNBOOK_CONFIG"
dir=$SANDBOX_DIR/guard
rm -rf "$dir"; mkdir -p "$dir"; echo kept > "$dir/kept"; chmod 644 "$dir/kept"
admin="redis-cli -p $SANDBOX_REDIS_PORT --user sandbox_admin --pass $SANDBOX_REDIS_ADMIN_PASSWORD --no-auth-warning"
asadmin() { psql "${SANDBOX_PG_ADMIN_URL%/*}/school_erp" -Atqc "$1"; }

# -- what is attacked ------------------------------------------------------------------------
# code that an owner may have lying about: each takes a lock that no ROLLBACK takes back
psql "$SANDBOX_PG_URL" -q >"$tmp/seed.log" 2>&1 <<'END'
DROP SCHEMA IF EXISTS guard CASCADE;
CREATE SCHEMA guard; SET search_path = guard;
CREATE TABLE victims (id serial PRIMARY KEY, name text);
INSERT INTO victims (name) VALUES ('a'), ('b'), ('c');
CREATE FUNCTION lockit(a text) RETURNS boolean VOLATILE LANGUAGE sql AS 'SELECT pg_advisory_lock(4301) IS NOT NULL';
CREATE FUNCTION liar(a text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$BEGIN PERFORM pg_advisory_lock(4302); RETURN a; END$$;
CREATE FUNCTION "Liar"(a text) RETURNS text STABLE LANGUAGE plpgsql AS $$BEGIN PERFORM pg_advisory_lock(4303); RETURN a; END$$;
CREATE FUNCTION writes(a text) RETURNS boolean VOLATILE LANGUAGE sql AS 'DELETE FROM guard.victims RETURNING true';
CREATE FUNCTION writer() RETURNS TABLE (x int) VOLATILE LANGUAGE plpgsql AS $$BEGIN DELETE FROM guard.victims; RETURN QUERY SELECT 1; END$$;
CREATE FUNCTION tostep(a text, b text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$BEGIN PERFORM pg_advisory_lock(4304); RETURN a; END$$;
CREATE AGGREGATE lockagg (text) (SFUNC = tostep, STYPE = text, INITCOND = '');
CREATE FUNCTION opfn(a text, b text) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$BEGIN PERFORM pg_advisory_lock(4305); RETURN true; END$$;
CREATE OPERATOR ~~~~ (PROCEDURE = opfn, LEFTARG = text, RIGHTARG = text);
CREATE DOMAIN checked AS text CHECK (pg_advisory_lock(4306) IS NOT NULL);
CREATE DOMAIN sworn AS text CHECK (guard.liar(VALUE) IS NOT NULL);
CREATE DOMAIN nested AS sworn;
CREATE TYPE pair AS (a checked, b int);
CREATE TYPE mood AS (v text);
CREATE FUNCTION tomood(a int) RETURNS mood IMMUTABLE LANGUAGE plpgsql AS $$BEGIN PERFORM pg_advisory_lock(4307); RETURN ROW(a::text)::guard.mood; END$$;
CREATE CAST (int AS mood) WITH FUNCTION tomood(int);
CREATE VIEW castview AS SELECT id, name::checked AS name FROM victims;
CREATE VIEW quoted AS SELECT id, "Liar"(name) AS name FROM victims;
CREATE VIEW deep AS SELECT * FROM quoted;
CREATE TABLE indexed (id int, name text);
INSERT INTO indexed VALUES (1, 'a');
CREATE TABLE ruled (id int, name text);
INSERT INTO ruled VALUES (1, 'a');
ALTER TABLE ruled ENABLE ROW LEVEL SECURITY;
ALTER TABLE ruled FORCE ROW LEVEL SECURITY;
CREATE POLICY p ON ruled USING (guard.lockit(name));
CREATE TABLE made (id int DEFAULT length(guard.liar('x')), name text);
CREATE TABLE gened (id int, name text, up text GENERATED ALWAYS AS (guard.liar(name)) STORED);
CREATE FUNCTION trig() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_advisory_lock(4308); RETURN NEW; END$$;
CREATE TABLE triggered (id int, name text);
INSERT INTO triggered VALUES (1, 'a');
CREATE TRIGGER t BEFORE UPDATE OR INSERT OR DELETE ON triggered FOR EACH ROW EXECUTE FUNCTION trig();
CREATE INDEX ON indexed (liar(name));
GRANT USAGE ON SCHEMA guard TO PUBLIC; GRANT ALL ON ALL TABLES IN SCHEMA guard TO PUBLIC;
END
is "the enemy's schema is there" "$(asadmin "SELECT count(*) FROM pg_policy WHERE polrelid = 'guard.ruled'::regclass") $(asadmin "SELECT count(*) FROM pg_class WHERE relname = 'castview'")" "1 1"
$admin del victim victims zvictim >/dev/null
$admin set victim alive >/dev/null; $admin rpush victims a b c >/dev/null; $admin geoadd zvictim 13 38 p >/dev/null
curl -s "$SANDBOX_HTTP_URL/health" >/dev/null

world() {
  pg_dump "$SANDBOX_PG_URL" 2>&1 | grep -v -e '^\\restrict' -e '^\\unrestrict' | sha256sum
  asadmin "SELECT pg_snapshot_xmax(pg_current_snapshot())"
  asadmin "SELECT coalesce(string_agg(objid::text, ' '), 'no locks') FROM pg_locks WHERE locktype = 'advisory'"
  asadmin "SELECT count(*) FROM pg_settings WHERE source = 'session' AND name LIKE 'guard%'"
  asadmin "SELECT pg_conf_load_time()"
  $admin debug digest; $admin config get maxmemory; $admin config get slowlog-max-len; $admin info replication | grep ^role
  find "$dir" "$SANDBOX_DOTENV" -printf '%p %m %s %l\n' | sort
  find "$dir" "$SANDBOX_DOTENV" -type f -exec sha256sum {} + | sort
  curl -s "$SANDBOX_HTTP_URL/health" | jq .pid
  echo "told: $(wc -l < "$SANDBOX_DIR/receivers/kept.jsonl")"  # whatever came, taken or not
}

# -- one script of many rows --------------------------------------------------------------------
header() { printf 'local erp = system "school_erp"\nlocal dir = "%s"\n%s\nreturn runbook { title = "Guards", system = "school_erp",\n' "$dir" "${prelude:-}"; }
stepfor() {  # N FIELD CALL; a misuse would end a real run at once, so what may only look fails in words
  local body=$3
  [ "$2" = remedy ] || body="local ok, e = pcall(function () $3 end)
    run:fail('%s', ok and 'it was let through' or type(e) == 'table' and e.message or e)"
  printf 'step "r%s-%s" { on_failure = "continue", %s = function (run) %s end%s },\n' "$1" "$2" "$2" "$body" \
    "$([ "$2" != when ] || printf ', probe = function () end')"; }
said() { jq -r '.steps[] | .title as $t | [.reason // empty, (.effects[]? | .reason // empty)] | join(" | ") | gsub("\n"; " ") | $t + "\t" + .' <<<"$out"; }
run1() { out=$(timeout -k 2 120 "$runbook" run "$tmp/t.lua" --json "$@" 2>"$tmp/stderr" </dev/null); rc=$?; }

# rows FIELDS MODES: `words|call` from standard input
rows() {
  local fields=$1 modes=$2 words call n=0 i field mode line want=() calls=() bad
  while IFS='|' read -r words call; do
    case "$words|$call" in *"$only"*) want+=("$words"); calls+=("$call");; esac
  done
  [ ${#calls[@]} -gt 0 ] || return 0
  { header; for i in "${!calls[@]}"; do for field in $fields; do stepfor $i $field "${calls[i]}"; done; done; echo '}'; } >"$tmp/t.lua"
  for mode in $modes; do
    run1 ${mode#real}; said >"$tmp/said"
    for i in "${!calls[@]}"; do
      bad=
      for field in $fields; do
        line=$(grep -F "r$i-$field"$'\t' "$tmp/said")
        case "$line" in *"${want[i]}"*) ;; *) bad="$bad $field: ${line:-nothing} ($(head -2 "$tmp/stderr"))";; esac
      done
      if [ -z "$bad" ]; then pass "${calls[i]} ($mode): ${want[i]}"; else fail "${calls[i]} ($mode): ${want[i]}" "$bad"; fi
    done
  done
  untouched "$fields" "${calls[@]}"
}
before=$(world)
untouched() {  # FIELDS CALL...
  local now fields=$1 call i; shift
  now=$(world)
  if [ "$now" = "$before" ]; then pass "$# attacks: nothing has changed"; return; fi
  before=$now
  [ -z "${GUARD_SANDBOX:-}" ] || { fail "something has changed"; return; }
  for call in "$@"; do  # who was it?
    { header; for i in $fields; do stepfor 0 $i "$call"; done; echo '}'; } >"$tmp/t.lua"
    run1 --dry-run; run1; now=$(world)
    [ "$now" = "$before" ] || fail "$call: something has changed" "$(diff <(echo "$before") <(echo "$now"))"
    before=$now
  done
  fail "something has changed" "by one of $# rows"
}
both="--dry-run real"
looks="probe when verify"

# -- PostgreSQL: what a probe may not send ---------------------------------------------------------
sqlrows() { sed 's/^\([^|]*\)|\(.*\)$/\1|erp.pg:query([==[\2]==])/'; }
sqlrows <<'END' > "$tmp/rows"
DELETE is not for a probe|WITH d AS (DELETE FROM guard.victims RETURNING *) SELECT * FROM d
INSERT is not for a probe|WITH d AS (INSERT INTO guard.victims (name) VALUES ('x') RETURNING *) SELECT * FROM d
UPDATE is not for a probe|WITH d AS (UPDATE guard.victims SET name = 'x' RETURNING *) SELECT 1 WHERE EXISTS (SELECT FROM d)
SELECT INTO is not for a probe|SELECT * INTO guard.copy FROM guard.victims
CREATE TABLE AS is not for a probe|CREATE TABLE guard.copy AS SELECT 1
MERGE is not for a probe|MERGE INTO guard.victims v USING guard.victims w ON v.id = w.id WHEN MATCHED THEN DELETE
DELETE is not for a probe|PREPARE one AS DELETE FROM guard.victims
PREPARE is not for a probe|PREPARE one AS SELECT 1
EXECUTE is not for a probe|EXECUTE one
DECLARE is not for a probe|DECLARE c CURSOR WITH HOLD FOR SELECT 1
FETCH is not for a probe|FETCH ALL FROM c
DO is not for a probe|DO $$BEGIN DELETE FROM guard.victims; END$$
CALL is not for a probe|CALL guard.p()
SET is not for a probe|SET TRANSACTION READ WRITE
SET is not for a probe|SET ROLE school_erp
SET is not for a probe|RESET ALL
SET is not for a probe|SET SESSION AUTHORIZATION DEFAULT
a transaction statement is not for a probe|COMMIT
a transaction statement is not for a probe|ROLLBACK
a transaction statement is not for a probe|BEGIN
a transaction statement is not for a probe|PREPARE TRANSACTION 'x'
several|SELECT 1; DELETE FROM guard.victims
several|COMMIT; DELETE FROM guard.victims
EXPLAIN ANALYZE is not for a probe|EXPLAIN ANALYZE SELECT guard.writes('a')
EXPLAIN ANALYZE is not for a probe|EXPLAIN (VERBOSE, ANALYZE on) SELECT 1
DELETE is not for a probe|EXPLAIN DELETE FROM guard.victims
SELECT FOR UPDATE or SHARE is not for a probe|SELECT * FROM guard.victims FOR UPDATE
SELECT FOR UPDATE or SHARE is not for a probe|SELECT * FROM (SELECT * FROM guard.victims FOR KEY SHARE) x
LOCK is not for a probe|LOCK TABLE guard.victims IN ACCESS EXCLUSIVE MODE
COPY is not for a probe|COPY guard.victims TO PROGRAM 'touch /tmp/guard'
COPY is not for a probe|COPY guard.victims TO '/tmp/guard'
COPY is not for a probe|COPY guard.victims FROM STDIN
LISTEN is not for a probe|LISTEN x
NOTIFY is not for a probe|NOTIFY x
DISCARD is not for a probe|DISCARD ALL
DEALLOCATE is not for a probe|DEALLOCATE ALL
LOAD is not for a probe|LOAD 'auto_explain'
VACUUM or ANALYZE is not for a probe|ANALYZE guard.victims
is not for a probe|CHECKPOINT
is not for a probe|ALTER SYSTEM SET work_mem = '1GB'
TRUNCATE is not for a probe|TRUNCATE guard.victims
pg_terminate_backend() does more|SELECT pg_terminate_backend(pid) FROM pg_stat_activity
pg_cancel_backend() does more|SELECT pg_cancel_backend(pid) FROM pg_stat_activity
pg_reload_conf() does more|SELECT pg_reload_conf()
pg_rotate_logfile() does more|SELECT pg_rotate_logfile()
pg_notify() does more|SELECT pg_notify('a', 'b')
pg_advisory_lock() does more|SELECT pg_advisory_lock(1)
pg_try_advisory_lock() does more|SELECT pg_try_advisory_lock(1)
nextval() does more|SELECT nextval('guard.victims_id_seq')
setval() does more|SELECT setval('guard.victims_id_seq', 99)
lo_create() does more|SELECT lo_create(0)
lo_export() does more|SELECT lo_export(1, '/tmp/guard')
lo_from_bytea() does more|SELECT lo_from_bytea(0, 'x')
dblink_exec() does more|SELECT dblink_exec('', 'DELETE FROM guard.victims')
pg_read_file() does more|SELECT pg_read_file('/etc/passwd')
pg_file_write() does more|SELECT pg_file_write('/tmp/guard', 'x', false)
pg_ls_dir() does more|SELECT pg_ls_dir('/')
pg_logical_emit_message() does more|SELECT pg_logical_emit_message(false, 'a', 'b')
set_config() does more|SELECT set_config('guard.x', '1', false)
pg_current_xact_id() does more|SELECT pg_current_xact_id()
pg_switch_wal() does more|SELECT pg_switch_wal()
pg_stat_reset() does more|SELECT pg_stat_reset()
pg_sleep() does more|SELECT pg_sleep(60)
query_to_xml() does more|SELECT query_to_xml('DELETE FROM guard.victims', true, true, '')
table_to_xml() does more|SELECT table_to_xml('guard.castview', true, true, '')
pg_create_physical_replication_slot() does more|SELECT pg_create_physical_replication_slot('x')
nextval() does more|SELECT ('guard.victims_id_seq'::regclass).nextval
pg_notify() does more|SELECT 1 FROM pg_notify('a', 'b')
pg_notify() does more|VALUES (pg_notify('a', 'b'))
pg_notify() does more|SELECT CASE WHEN pg_notify('a', 'b') IS NULL THEN 1 END
pg_advisory_lock() does more|SELECT "pg_advisory_lock"(1)
pg_notify() does more|SELECT pg_catalog . pg_notify('a', 'b')
set_config() does more|TABLE guard.victims UNION ALL SELECT set_config('transaction_read_only', 'off', false)::int, ''
DELETE is not for a probe|EXPLAIN (ANALYZE) DELETE FROM guard.victims
EXPLAIN ANALYZE is not for a probe|EXPLAIN (analyze false, ANALYZE) SELECT guard.lockit('')
pg_advisory_lock() does more|SELECT U&"pg\005fadvisory\005flock"(1)
END
rows "$looks" "$both" < "$tmp/rows"

# the owner's own functions: a probe's transaction and role hold what they write
{ sqlrows <<'END'
read-only transaction|SELECT guard.writes('a')
read-only transaction|SELECT * FROM guard.writer()
END
echo 'give it more time|erp.pg:query("SELECT count(*) FROM generate_series(1, 100000000000)", {}, { timeout = "300ms" })'
echo "give it more time|erp.pg:query(\"SELECT n FROM generate_series(1, 1000000000) n\", {}, { timeout = '300ms' })"
echo "larger than 16 MB|erp.pg:query(\"SELECT repeat('x', 9000000) AS x FROM generate_series(1, 3)\")"; } > "$tmp/rows"
rows probe "$both" < "$tmp/rows"

# -- PostgreSQL: a preview asks with the remedy's role, so nothing of the owner's own may run -------
execrows() { sed 's/^\([^|]*\)|\(.*\)$/\1|erp.pg:exec([==[\2]==])/'; }
execrows <<'END' > "$tmp/rows"
lockit may do more than look|DELETE FROM guard.victims WHERE guard.lockit(name)
liar may do more than look|DELETE FROM guard.victims WHERE guard.liar('x') = name
Liar may do more than look|DELETE FROM guard.victims WHERE guard."Liar"(name) = name
lockagg may do more than look|DELETE FROM guard.victims WHERE name = (SELECT guard.lockagg(name) FROM guard.victims)
the operator ~~~~ may do more than look|DELETE FROM guard.victims WHERE name OPERATOR(guard.~~~~) 'a'
guard.checked may do more than look|DELETE FROM guard.victims WHERE name::guard.checked = 'a'
guard.sworn may do more than look|DELETE FROM guard.victims WHERE CAST(name AS guard.sworn) = 'a'
guard.sworn may do more than look|DELETE FROM guard.victims WHERE name::guard.nested = 'a'
guard.checked may do more than look|DELETE FROM guard.victims WHERE (ROW(name, 1)::guard.pair) IS NOT NULL
guard.checked may do more than look|DELETE FROM guard.victims WHERE EXISTS (SELECT FROM json_to_record('{"a":"x"}') AS r(a guard.checked))
to guard.mood may do more than look|DELETE FROM guard.victims WHERE id::guard.mood IS NOT NULL
may do more than look|DELETE FROM guard.victims WHERE id IN (SELECT id FROM guard.castview WHERE name = 'a')
guard.quoted may do more than look|DELETE FROM guard.victims WHERE id IN (SELECT id FROM guard.quoted WHERE name = 'a')
guard.quoted may do more than look|DELETE FROM guard.victims WHERE id IN (SELECT id FROM guard.deep WHERE name = 'a')
the policy p on guard.ruled may do more than look|DELETE FROM guard.ruled WHERE name = 'a'
liar may do more than look|UPDATE guard.victims SET name = guard.liar('x') WHERE id = 1
liar may do more than look|INSERT INTO guard.victims (name) VALUES (guard.liar('x'))
a default of guard.made may do more than look|INSERT INTO guard.made (name) VALUES ('x')
a default of guard.gened may do more than look|INSERT INTO guard.gened (id, name) VALUES (1, 'x')
trigger t on guard.triggered|UPDATE guard.triggered SET name = 'x' WHERE id = 1
|DELETE FROM guard.indexed WHERE name = 'a'
END
rows remedy --dry-run < "$tmp/rows"

# -- Redis ------------------------------------------------------------------------------------------------
redisrows() { sed 's/^\([^|]*\)|\(.*\)$/\1|erp.redis:command(\2)/'; }
redisrows <<'END' > "$tmp/rows"
redis.command is a remedy|"EVAL", "return redis.call('DEL', 'victim')", 0
redis.command is a remedy|"EVAL_RO", "return 1", 0
redis.command is a remedy|"EVALSHA", "0", 0
redis.command is a remedy|"FCALL", "f", 0
redis.command is a remedy|"FCALL_RO", "f", 0
redis.command is a remedy|"SCRIPT", "FLUSH"
redis.command is a remedy|"SCRIPT", "LOAD", "return 1"
redis.command is a remedy|"FUNCTION", "FLUSH"
redis.command is a remedy|"CONFIG", "SET", "maxmemory", "1"
redis.command is a remedy|"CONFIG", "RESETSTAT"
redis.command is a remedy|"CONFIG", "REWRITE"
redis.command is a remedy|"CLIENT", "KILL", "TYPE", "normal"
redis.command is a remedy|"CLIENT", "PAUSE", "10"
redis.command is a remedy|"CLIENT", "UNBLOCK", "1"
redis.command is a remedy|"PUBLISH", "a", "b"
redis.command is a remedy|"SPUBLISH", "a", "b"
redis.command is a remedy|"SORT", "victims", "ALPHA"
redis.command is a remedy|"x-renamed-del", "victim"
redis.command is a remedy|"GETDEL", "victim"
redis.command is a remedy|"gEtDeL", "victim"
redis.command is a remedy|"GETEX", "victim", "EX", 1
redis.command is a remedy|"GETSET", "victim", "x"
redis.command is a remedy|"SORT", "victims", "ALPHA", "STORE", "victim"
redis.command is a remedy|"GEORADIUS", "zvictim", 15, 37, 200, "km", "STORE", "victim"
redis.command is a remedy|"GEORADIUSBYMEMBER", "zvictim", "p", 200, "km", "STORE", "victim"
redis.command is a remedy|"BITFIELD", "victim", "SET", "u8", 0, 1
redis.command is a remedy|"BITOP", "NOT", "victim", "victim"
redis.command is a remedy|"PFCOUNT", "victim"
redis.command is a remedy|"TOUCH", "victim"
redis.command is a remedy|"REPLICAOF", "127.0.0.1", "1"
redis.command is a remedy|"SLAVEOF", "127.0.0.1", "1"
redis.command is a remedy|"FAILOVER"
redis.command is a remedy|"SLOWLOG", "RESET"
redis.command is a remedy|"LATENCY", "RESET"
redis.command is a remedy|"MEMORY", "PURGE"
redis.command is a remedy|"ACL", "SETUSER", "x", "on"
redis.command is a remedy|"ACL", "LOG", "RESET"
redis.command is a remedy|"MODULE", "LOAD", "/tmp/x.so"
redis.command is a remedy|"DEBUG", "SLEEP", "0"
redis.command is a remedy|"SWAPDB", 0, 1
redis.command is a remedy|"FLUSHALL"
redis.command is a remedy|"BGSAVE"
redis.command is a remedy|"XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", ">"
redis.command is a remedy|"XAUTOCLAIM", "s", "g", "c", 0, 0
redis.command is a remedy|"BF.ADD", "victim", "x"
redis.command is a remedy|"JSON.SET", "victim", "$", "1"
redis.command is a remedy|"b840fc02d524045429941cc15f59e41cb7be6c52", "victim"
MULTI is refused|"MULTI"
EXEC is refused|"EXEC"
WATCH is refused|"WATCH", "victim"
MONITOR is refused|"MONITOR"
SUBSCRIBE is refused|"SUBSCRIBE", "a"
PSUBSCRIBE is refused|"psubscribe", "*"
SHUTDOWN is refused|"SHUTDOWN", "NOSAVE"
SHUTDOWN is refused|"shutdown"
AUTH is refused|"AUTH", "sandbox_admin", "x"
HELLO is refused|"HELLO", 3
SELECT is refused|"SELECT", 1
RESET is refused|"RESET"
QUIT is refused|"QUIT"
CLIENT REPLY is refused|"CLIENT", "REPLY", "OFF"
CLIENT TRACKING is refused|"CLIENT", "TRACKING", "ON"
BLPOP is refused|"BLPOP", "victims", 0
BLMOVE is refused|"BLMOVE", "victims", "victim", "LEFT", "LEFT", 0
BZPOPMIN is refused|"BZPOPMIN", "zvictim", 0
WAIT is refused|"WAIT", 1, 0
XREAD is refused|"XREAD", "BLOCK", 0, "STREAMS", "s", "$"
KEYS is refused|"KEYS", "*"
SYNC is refused|"SYNC"
REPLCONF is refused|"REPLCONF", "listening-port", "1"
no command of Redis|"GET\0", "victim"
no command of Redis|"GET victim\r\nDEL", "victim"
no command of Redis|"CONFIG|GET", "victim"
no command of Redis|"", "victim"
no command of Redis|" DEL", "victim"
no command of Redis|"d\xc3\xa9l", "victim"
END
rows "$looks" "$both" < "$tmp/rows"

# -- HTTP -----------------------------------------------------------------------------------------------------
cat > "$tmp/rows" <<'END'
a header asks the server for another method|erp.http:get("/health", { headers = { ["X-HTTP-Method-Override"] = "DELETE" } })
a header asks the server for another method|erp.http:get("/health", { headers = { ["x_http_method"] = "DELETE" } })
a header asks the server for another method|erp.http:head("/health", { headers = { ["X-Method-Override"] = "PUT" } })
a header asks the server for another method|erp.http:get("/health", { headers = { ["X-Original-URL"] = "/admin" } })
its query asks the server for another method|erp.http:get("/health", { query = { _method = "DELETE" } })
its query asks the server for another method|erp.http:get("/health?_method=DELETE")
its query asks the server for another method|erp.http:get("/health?%5Fmethod=DELETE")
its query asks the server for another method|erp.http:get("/health?a=1;_METHOD=delete")
its query asks the server for another method|erp.http:get("/health?{q}=1", { path = { q = "_method" } })
carries no body|erp.http:get("/health", { body = "x" })
carries no body|erp.http:get("/health", { json = {} })
set by the transport|erp.http:get("/health", { headers = { ["Content-Length"] = "5" } })
set by the transport|erp.http:get("/health", { headers = { ["Transfer-Encoding"] = "chunked" } })
set by the transport|erp.http:get("/health", { headers = { Upgrade = "h2c" } })
says the configuration|erp.http:get("/health", { headers = { Host = "other" } })
line breaks|erp.http:get("/health", { headers = { ["X-A"] = "x\r\nDELETE / HTTP/1.1" } })
letters, digits and dashes only|erp.http:get("/health", { headers = { ["X-A: b\r\nX"] = "x" } })
control characters|erp.http:get("/health\r\nDELETE /x HTTP/1.1")
a NUL has no place|erp.http:get("/health\0x")
a path is expected, not a URL|erp.http:get("file:///etc/passwd")
a path is expected, not a URL|erp.http:get("gopher://127.0.0.1:6379/_FLUSHALL")
a path is expected, not a URL|erp.http:get("http://other.example/")
a path begins with '/'|erp.http:get("@other.example/")
a path begins with '/'|erp.http:get(":80@other.example/")
a path begins with '/'|erp.http:get("unix:/var/run/docker.sock")
have no place in it|erp.http:get("/a/../../admin")
have no place in it|erp.http:get("/a/%2e%2e/admin")
http.post is a remedy|erp.http:post("/health", { json = {} })
http.delete is a remedy|erp.http:delete("/health")
http.put is a remedy|erp.http:put("/health", { body = "" })
http.patch is a remedy|erp.http:patch("/health", { body = "" })
END
rows "$looks" "$both" < "$tmp/rows"

# -- notices: asked of the receivers how many came --------------------------------------------------------------
cat > "$tmp/rows" <<'END'
slack.post is a notice|slack.post("#ops", "x")
slack.post is a notice|pcall(slack.post, "#ops", "x") slack.post("#ops", "x")
slack.post is a notice|local say = slack.post say("#ops-status", { blocks = {} })
teams.post is a notice|teams.post("Operations", "x")
pagerduty.trigger is a notice|pagerduty.trigger { summary = "x", severity = "info", dedup = "guard" }
pagerduty.acknowledge is a notice|pagerduty.acknowledge { dedup = "guard" }
pagerduty.resolve is a notice|pagerduty.resolve { dedup = "guard" }
webhook.post is a notice|webhook.post("tickets", { guard = true })
mail.send is a notice|mail.send { to = "guard@example.org", subject = "x", text = "x" }
mail.send is a notice|mail.send { to = "guard@example.org", subject = "x", text = "x", attach = { dir .. "/kept" } }
mail.send is a notice|local e <close> = setmetatable({}, { __close = function () mail.send { to = "guard@example.org", subject = "x", text = "x" } end })
webhook.post is a notice|local t = setmetatable({}, { __index = function (_, k) return webhook.post(k, { x = 1 }) end }) return t.tickets
slack.post is a notice|run:each({ 1, 2 }, function () slack.post("#ops", "x") end)
END
rows "$looks" "$both" < "$tmp/rows"
rows remedy --dry-run < "$tmp/rows"  # in a real run the first of them ends it
# where a notice may be: a dry run shows it, and sends nothing
{ header; printf 'step "N" { notify = function (run) slack.post("#ops", "x") teams.post("Operations", "x") webhook.post("tickets", {})\n'
  printf 'pagerduty.trigger { summary = "x", severity = "info", dedup = "guard" } mail.send { to = "guard@example.org", subject = "x", text = "x" } end } }\n'; } > "$tmp/t.lua"
if case "notices" in *"$only"*) true;; *) false;; esac; then
  run1 --dry-run
  is "a dry run shows five notices" "$(jq '[.steps[].effects[] | select(.kind == "notice" and .verdict == "would do")] | length' <<<"$out")" 5
  untouched notify 'run:note("five notices")'
  run1 --no-notify
  is "without notices none is sent in a real run" "$(jq -r .status <<<"$out")" done
  untouched notify 'run:note("no notices")'
  # and the counting can fail: one that is sent is counted
  run1 && refuses "one that is sent is counted" test "$(world)" = "$before"
  before=$(world)
fi

# -- files ---------------------------------------------------------------------------------------------------------
ln -sfn /etc "$dir/etc"; ln -sfn /etc/passwd "$dir/passwd"; mkfifo "$dir/fifo"; before=$(world)
cat > "$tmp/rows" <<'END'
which is not in a folder|file.read(dir .. "/passwd")
which is not in a folder|file.list(dir .. "/etc")
which is not in a folder|file.stat(dir .. "/../../../../../../../etc/passwd")
is not in a folder|file.hash("/etc/passwd")
is not a place for files|file.read("/proc/self/environ")
is not a place for files|file.read("/proc/self/fd/0")
is not a place for files|file.read("/proc/self/root/etc/passwd")
is not a place for files|file.list("/dev/fd")
is not a place for files|file.read("/sys/kernel/uevent_seqnum")
NUL byte|file.read(dir .. "/kept\0/../passwd")
fifo|file.read(dir .. "/fifo")
file.write is a remedy|file.write(dir .. "/kept", "gone")
file.copy is a remedy|file.copy(dir .. "/kept", dir .. "/new")
file.move is a remedy|file.move(dir .. "/kept", dir .. "/new")
file.remove is a remedy|file.remove(dir .. "/kept")
file.chmod is a remedy|file.chmod(dir .. "/kept", "0777")
dotenv.set is a remedy|erp.dotenv:set("GUARD", "1")
dotenv.unset is a remedy|erp.dotenv:unset("PORT")
service.stop is a remedy|erp.service:stop()
exec.run is a remedy|exec.run { "touch", dir .. "/made" }
END
rows "$looks" "$both" < "$tmp/rows"
cat > "$tmp/rows" <<'END'
which is not in a folder|file.write(dir .. "/etc/guard", "x")
which is not in a folder|file.copy(dir .. "/kept", dir .. "/etc/guard")
which is not in a folder|file.move(dir .. "/kept", dir .. "/etc/guard")
which is not in a folder|file.chmod(dir .. "/passwd", "0777")
which is not in a folder|file.write(dir .. "/../../../../../../etc/guard", "x")
is not a place for files|file.write("/proc/self/cwd/guard", "x")
is not a place for files|file.write("/dev/shm/guard", "x")
fifo|file.write(dir .. "/fifo", "x")
END
rows remedy "$both" < "$tmp/rows"

# -- commands: the fence itself is tests/fence_test.sh; here what the module refuses ---------------------------------
cat > "$tmp/rows" <<'END'
allow.programs|exec.probe { "su", "-c", "touch " .. dir .. "/made" }
not an executable file|exec.probe { dir .. "/kept" }
allow.delegates|exec.probe { "true", delegates = "docker" }
END
rows "$looks" "$both" < "$tmp/rows"

# -- Lua ------------------------------------------------------------------------------------------------------------------
cat > "$tmp/rows" <<'END'
undefined global 'os'|os.execute("touch " .. dir .. "/made")
undefined global 'io'|io.open(dir .. "/made", "w")
undefined global 'debug'|debug.getregistry()
undefined global 'package'|package.loadlib("libc.so.6", "system")
undefined global 'coroutine'|coroutine.wrap(function () end)()
undefined global 'dofile'|dofile(dir .. "/kept")
undefined global 'loadfile'|loadfile(dir .. "/kept")
undefined global 'collectgarbage'|collectgarbage()
attempt to call a nil value (field 'dump')|string.dump(print)
attempt to load a binary chunk|assert(load("\27Lua\x54\0\x19\x93\r\n\x1a\n"))
plain name expected|require "../evil"
plain name expected|require "/etc/passwd"
have no __gc|setmetatable({}, { __gc = function () end })
have no __mode|setmetatable({}, { __mode = "k" })
table expected, got rb.system|setmetatable(erp, {})
attempt to index a boolean value|getmetatable("").__index = nil
%p|string.format("%p", {})
call it with a colon|erp.redis.get(erp.pg, "victim")
call it with a colon|erp.redis.get({}, "victim")
redis.set is a remedy|load("local erp, e = ... e.os = nil erp.redis:set('victim', 'x')", "x", "t", { system = system })(erp, {})
redis.set is a remedy|local e <close> = setmetatable({}, { __close = function () erp.redis:set("victim", "x") end })
redis.set is a remedy|local f = setmetatable({}, { __call = function (_, v) return erp.redis:set("victim", v) end }) f("x")
redis.set is a remedy|xpcall(error, function () erp.redis:set("victim", "x") end)
redis.set is a remedy|local t = setmetatable({}, { __index = function (_, k) return erp.redis:set("victim", k) end }) return t.x
redis.set is a remedy|for _ in (function () return erp.redis:set("victim", "x") end) do end
END
rows "$looks" "$both" < "$tmp/rows"

# -- a race between check and use: a folder that becomes a link to elsewhere, thousands of times a second ---------------
racer='import os, sys
d, out = sys.argv[1:3]
while True:
    os.rename(d + "/r", d + "/s"); os.symlink(out, d + "/r"); os.unlink(d + "/r"); os.rename(d + "/s", d + "/r")'
if case "race" in *"$only"*) true;; *) false;; esac; then
  out_of=$tmp/elsewhere; mkdir -p "$out_of" "$dir/r"; echo safe > "$out_of/f"; echo mine > "$dir/r/f"
  "$python" -c "$racer" "$dir" "$out_of" 2>/dev/null & racer_pid=$!
  printf 'local dir = "%s"\nreturn runbook { title = "Race", step "S" { remedy = function (run) for i = 1, 1000 do run:try(function () file.write(dir .. "/r/f", "w" .. i) end)
    run:try(function () file.write(dir .. "/r/n" .. i, "w") end) run:try(function () run:note("%%s", file.read(dir .. "/r/f")) end) end end } }\n' "$dir" > "$tmp/t.lua"
  run1 --yes
  kill $racer_pid; wait $racer_pid 2>/dev/null
  is "race: what lies elsewhere was never written" "$(cat "$out_of"/*) $(ls "$out_of")" "safe f"
  hasnot "race: nor read" "$out$(cat "$tmp/stderr")" safe
  rm -rf "$dir/r" "$dir/s"
fi
