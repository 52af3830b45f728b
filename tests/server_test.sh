#!/usr/bin/env bash
# server_test.sh - check --server: what a real PostgreSQL has against SQL, which it reads and
# does not run
. "$(dirname "$0")/lib.sh"
cd "$tmp" || exit 1
sandbox_up
admin() { psql -qAtX -v ON_ERROR_STOP=1 "${SANDBOX_PG_ADMIN_URL%/*}/school_erp" -c "$1"; }

# book FIELDS: a runbook with one step of them
book() {
  cat >book.lua <<E
local erp = system "school_erp"
local pg, count = erp.pg, "SELECT count(*) FROM public.schols"
return runbook { system = "school_erp",
  params = { tenant = { "identifier", default = "greenwood_high" }, other = { "identifier", required = true } },
  step "Do it" { $1 },
  step "Say" { probe = function (run) run:note(run.tenant, run.other, count) end },
}
E
}
# finds PART FIELDS [LINE]: exactly one fault, at the call, and without the server none
finds() {
  book "$2"
  rb check book.lua
  is "unasked: $1" "$rc $out" "0 book.lua: ok"
  rb check --server --json book.lua
  is "found: $1" "$rc $(jq -r '.files[].findings | length, .[0].rule, .[0].line' <<<"$out" | xargs)" "1 1 server ${3:-5}"
  has "words: $1" "$(jq -r '.files[].findings[].message' <<<"$out")" "$1"
}
fine() { book "$2"; rb check --server book.lua; is "fine: $1" "$rc $out$err" "0 book.lua: ok"; }

# -- what it knows ------------------------------------------------------------------------------
finds 'pg:query: relation "public.schols" does not exist (SQLSTATE 42P01)' \
  'probe = function () return pg:query "SELECT name FROM public.schols" end'
finds 'column "nme" does not exist' 'probe = function () return pg:row "SELECT nme FROM public.schools LIMIT 1" end'
finds 'function lowr(text) does not exist' 'probe = function () return pg:value "SELECT lowr(name) FROM public.schools" end'
finds 'operator does not exist: text + integer' 'probe = function () return pg:query "SELECT name + 1 FROM public.schools" end'
finds 'invalid input syntax for type integer: "one"' "probe = function () return pg:query [[SELECT 1 WHERE 1 = 'one']] end"
finds 'could not determine data type of parameter $1' 'probe = function (run)
  return pg:query("SELECT 1 WHERE :tenant IS NULL", run) end' 6
finds 'INSERT has more expressions than target columns' 'remedy = function ()
  pg:exec "INSERT INTO public.schools (name) VALUES (1, 2)" end, verify = function () return true end, irreversible = "x"' 6
finds 'column "nam" of relation "schools" does not exist' 'remedy = function ()
  pg:transaction(function (tx) tx:exec "UPDATE public.schools SET nam = NULL" end) end, verify = function () return true end' 6
finds 'relation "public.schols" does not exist' 'probe = function () return pg:value(count) end'
has "where it stands in the SQL" "$out" '^'
fine "good ones" 'probe = function (run) pg:explain "SELECT 1"; pg:query("SELECT name FROM public.schools WHERE name = :x", { x = 1 })
  return pg:value([[SELECT count(*) FROM public.schools WHERE name = ANY(:names)]], { names = { "a" } }) end'

# -- names --------------------------------------------------------------------------------------
finds 'relation "greenwood_high.nothing" does not exist' \
  'probe = function (run) return pg:query([[SELECT id FROM :"tenant".nothing]], run) end'
fine "a table of the tenant" 'probe = function (run) return pg:query([[SELECT id FROM :"tenant".user_sessions]], run) end'
fine "a name that only a run knows" 'probe = function (run)
  run.found = pg:query([[SELECT id FROM :"other".nothing]], run)
  return pg:query([[SELECT id FROM :"found".nothing]], run), pg:query([[SELECT id FROM :"a".nothing]], { a = run.tenant }) end'
finds 'relation "greenwood_high.nothing" does not exist' \
  'probe = function (run) return pg:query([[SELECT id FROM :"tenant".nothing]], { tenant = run.tenant }) end'
echo 'return { sessions = "user_sesions" }' >schema.lua
finds 'relation "greenwood_high.user_sesions" does not exist' \
  'probe = function (run) return pg:query([[SELECT id FROM :"tenant".:"sessions"]], run) end'
sed 's/schema  = {},/schema = { sessions = "user_sessions" },/' "$RUNBOOK_CONFIG" >mended.config.lua
chmod 600 mended.config.lua
rb check --server --config mended.config.lua book.lua
is "the configuration's name goes before schema.lua's" "$rc $out" "0 book.lua: ok"
echo 'return { sessions = file.write("'"$tmp"'/written", "x") }' >schema.lua
rb check --server book.lua
is "a schema.lua is loaded as it is for a check: the gate is shut" "$rc $out $(ls written 2>&1 | grep -c cannot)" "0 book.lua: ok 1"
rm schema.lua

# -- each folder has its own schema.lua ---------------------------------------------------------------
mkdir -p one two
cp book.lua one; cp book.lua two
echo 'return { sessions = "user_sessions" }' >one/schema.lua
echo 'return { sessions = "users_sessions" }' >two/schema.lua
rb check --server one/book.lua two/book.lua one/book.lua
is "a schema of its own folder" "$rc $(grep -c 'one/book.lua: ok' <<<"$out") $(grep -c 'users_sessions" does not exist' <<<"$out")" "1 2 1"
rb check --server "$top"/runbooks/{school_erp,polaris}/*.lua
is "our own runbooks" "$rc $(grep -v ': ok$' <<<"$out")$err" "0 "
sed 's/schema  = {},/schema = { sessions = "user_sesions", roster = "no_teachers" },/' "$RUNBOOK_CONFIG" >wrong.config.lua
chmod 600 wrong.config.lua
rb check --server --config wrong.config.lua "$top"/runbooks/{school_erp,polaris}/*.lua
has "are really asked: school_erp" "$out" 'relation "greenwood_high.user_sesions" does not exist'
has "are really asked: polaris" "$out" 'relation "no_teachers" does not exist'

# -- nothing is run -------------------------------------------------------------------------------
admin "CREATE TABLE public.deeds (n integer); GRANT ALL ON public.deeds TO PUBLIC; CREATE SEQUENCE public.seen;
  GRANT ALL ON SEQUENCE public.seen TO PUBLIC; INSERT INTO public.deeds VALUES (1);
  CREATE FUNCTION public.deed() RETURNS integer LANGUAGE sql AS 'INSERT INTO public.deeds VALUES (2) RETURNING n';
  ALTER ROLE school_erp_probe SET log_min_duration_statement = 0; ALTER ROLE school_erp SET log_min_duration_statement = 0"
before=$(admin "SELECT pg_stat_force_next_flush(), seq_scan + n_tup_ins + n_tup_del FROM pg_stat_user_tables WHERE relname = 'deeds'")
book 'probe = function () return pg:value "SELECT nextval($$public.seen$$) AS marked", pg:value "SELECT public.deed() AS marked",
    pg:value "SELECT n AS marked FROM public.deeds" end,
  remedy = function () pg:exec "DELETE FROM public.deeds WHERE 1 = 1 OR n = 77001"
    pg:transaction(function (tx) tx:exec "TRUNCATE public.deeds"; tx:exec "INSERT INTO public.deeds VALUES (77001)" end) end,
  verify = function () return true end, irreversible = "x"'
rb check --server book.lua
is "what would change something is read" "$rc $out" "0 book.lua: ok"
is "and nothing has changed" "$(admin "SELECT (SELECT is_called FROM public.seen), (SELECT sum(n) FROM public.deeds), (
  SELECT count(*) FROM pg_prepared_xacts)")" "f|1|0"
logged() { cat "$SANDBOX_PG_HOME"/*log* "$SANDBOX_PG_HOME"/log/* "$SANDBOX_DIR"/log/* 2>/dev/null; }
is "the server's log: they were parsed" "$(logged | grep -c 'parse <unnamed>: .*\(marked\|77001\)')" 5
is "none was bound or executed" "$(logged | grep -c '\(bind\|execute\|statement\)[^:]*: .*\(marked\|77001\|TRUNCATE\)')" 0
is "nothing was prepared under a name" "$(logged | grep -c ' parse [^<]')" 0
admin "ALTER ROLE school_erp_probe RESET log_min_duration_statement; ALTER ROLE school_erp RESET log_min_duration_statement"

# -- a role that may see less ---------------------------------------------------------------------
admin "CREATE SCHEMA hidden; GRANT ALL ON SCHEMA hidden TO school_erp; CREATE TABLE hidden.t (n integer)"
admin "REVOKE pg_read_all_data FROM school_erp_probe"
fine "a remedy in a schema that probes may not see" 'remedy = function () pg:exec "DELETE FROM hidden.t" end,
  verify = function () return true end, irreversible = "x"'
finds 'permission denied for schema hidden' 'probe = function () return pg:query "SELECT n FROM hidden.t" end'
admin "GRANT pg_read_all_data TO school_erp_probe"

# -- a server that does not answer --------------------------------------------------------------------
port=$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
sed "s/:$SANDBOX_PG_PORT\//:$port\//" "$RUNBOOK_CONFIG" >down.config.lua; chmod 600 down.config.lua
book 'probe = function () return pg:query "SELECT nme FROM public.schools", pg:query "SELEC 1", pg:value "SELECT 2" end'
rb check --server --config down.config.lua book.lua one/book.lua
is "down: the other rules go on, and the exit code is theirs" "$rc $(wc -l <<<"$out")" "1 2"
has "their finding is told" "$out" 'book.lua:5: pg:query: syntax error at or near "SELEC"'
is "down: said once" "$(grep -c . <<<"$err")" 1
has "and why" "$err" "school_erp.pg is not asked about SQL: school_erp.pg: cannot connect"
password=${SANDBOX_PG_PROBE_URL#*:*:}
hasnot "without a password" "$err$out" "${password%%@*}"
rb check --server --config down.config.lua --json one/book.lua
is "down, as JSON" "$rc $(jq -r '.exit, (.unasked | length), .files[].ok' <<<"$out" | xargs)" "0 0 1 true"
rb check --server --json one/book.lua
is "up, as JSON" "$rc $(jq -c '.unasked' <<<"$out")" "0 []"

"$python" -c 'import socket, time
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(8); print(s.getsockname()[1], flush=True); time.sleep(60)' >mute &
mute=$!
while ! [ -s mute ]; do sleep 0.1; done
sed "s/:$SANDBOX_PG_PORT\//:$(cat mute)\//" "$RUNBOOK_CONFIG" >mute.config.lua; chmod 600 mute.config.lua
rb check --server --config mute.config.lua book.lua one/book.lua one/book.lua
is "mute: said once, and not waited for again" "$rc $(grep -c . <<<"$err")" "1 1"
has "mute: why" "$err" "did not let us in in time"
setsid "$runbook" check --server --config mute.config.lua book.lua one/book.lua >interrupted 2>&1 &
pid=$!
sleep 0.7
kill -INT $pid
wait $pid
is "Ctrl-C ends it" "$? $(grep -c ': ok' interrupted)" "130 0"
kill $mute
wait $mute 2>/dev/null
rb check book.lua
is "without --server nobody is asked" "$rc $err" "1 "
