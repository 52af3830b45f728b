#!/usr/bin/env bash
# pg: probes that cannot write, previews that count, deeds that hold or are not done.
. "$(dirname "$0")/lib.sh"
sandbox_up

admin() { psql -X -q -At -v ON_ERROR_STOP=1 "$SANDBOX_PG_ADMIN_URL" "$@"; }
erp() { psql -X -q -At -v ON_ERROR_STOP=1 "$SANDBOX_PG_URL" "$@"; }
j() { jq -r "$1" <<<"$out"; }

# with URL PROBE: the configuration, with PostgreSQL and nothing else
with() { printf 'return { target = "x", targets = { x = { kind = "sandbox", systems = { school_erp = { pg = { url = "%s"%s } } } } } }\n' \
  "$1" "${2:+, $2}" >"$tmp/pg.config.lua"; chmod 600 "$tmp/pg.config.lua"; }
with "$SANDBOX_PG_URL" "probe = \"$SANDBOX_PG_PROBE_URL\""
export RUNBOOK_CONFIG=$tmp/pg.config.lua

# autovacuum uses up transaction ids of its own
admin -c "ALTER SYSTEM SET autovacuum = off" -c "SELECT pg_reload_conf()" >/dev/null
erp <<'SQL'
CREATE SCHEMA t;
CREATE TABLE t.items (id serial PRIMARY KEY, v text, n int, at timestamptz, token text);
INSERT INTO t.items (v, n, token) SELECT 'a', g, 'token-of-item-' || g FROM generate_series(1, 10) g;
CREATE TABLE t.guarded (id int PRIMARY KEY, v text);
INSERT INTO t.guarded SELECT g, 'a' FROM generate_series(1, 10) g;
CREATE FUNCTION t.half () RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN IF new.id % 2 = 0 THEN RETURN NULL; END IF; RETURN new; END $$;
CREATE TRIGGER half BEFORE UPDATE ON t.guarded FOR EACH ROW EXECUTE FUNCTION t.half ();
CREATE TABLE t.owners (id int PRIMARY KEY);
CREATE TABLE t.things (id int, owner int REFERENCES t.owners ON DELETE CASCADE);
INSERT INTO t.owners VALUES (1), (2);
INSERT INTO t.things VALUES (1, 1), (2, 1);
CREATE TABLE t.rls (id int); INSERT INTO t.rls VALUES (1); ALTER TABLE t.rls ENABLE ROW LEVEL SECURITY;
CREATE VIEW t.seen AS SELECT * FROM t.items;
CREATE TABLE t.slow (id int);
CREATE FUNCTION t.wait () RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(3); RETURN new; END $$;
CREATE TRIGGER wait BEFORE INSERT ON t.slow FOR EACH ROW EXECUTE FUNCTION t.wait ();
CREATE TABLE t.late (id int);
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON t.late DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION t.wait ();
CREATE TABLE t.unique (id int UNIQUE DEFERRABLE INITIALLY DEFERRED); INSERT INTO t.unique VALUES (1);
CREATE FUNCTION t.evil () RETURNS int LANGUAGE plpgsql AS
  $$ BEGIN INSERT INTO t.things VALUES (99, 1); RETURN 1; END $$;
CREATE FUNCTION t.wicked () RETURNS int LANGUAGE plpgsql AS
  $$ BEGIN PERFORM nextval('t.items_id_seq'); RETURN 1; END $$;
CREATE TABLE t.types (a int2, b int8, c float8, d numeric, e numeric, f bool, g jsonb, h int[], i text[],
  j timestamptz, k timestamp, l bytea, m uuid, n date, o text, p json);
INSERT INTO t.types VALUES (1, 9007199254740993, 0.1, 12.50, 12345678901234567890.5, true,
  '{"a": [1, {"b": null}], "c": "ü"}', '{1,2}', '{"a,b","c\"d","NULL",NULL}', '2024-01-02 03:04:05.5+02',
  '2024-01-02 03:04:05', '\x0001ff', '00000000-0000-0000-0000-000000000001', '2024-02-29', 'ü', '{"x": [1.5, true]}');
SQL

# dump: the data; newer versions of pg_dump add a random word
dump() { pg_dump -d "$SANDBOX_PG_URL" --data-only | grep -v '^.\(un\)*restrict ' | sort | sha256sum; }
# world: all that a statement could have changed
world() {
  dump
  admin -c "SELECT pg_snapshot_xmax(pg_current_snapshot())"
  erp -c "SELECT last_value, is_called FROM t.items_id_seq"
}
# book BODY: a runbook with one step whose field (probe, or $field) is BODY
book() {
  { printf 'local p = system "school_erp".pg\nreturn runbook { title = "t", system = "school_erp", step "A" { %s = function (run)\n' "${field:-probe}"
    printf '%s\n' "$1"
    printf 'end } }\n'; } >"$tmp/t.lua"
}
probe() { book "$1"; shift; rb run "$tmp/t.lua" --json "$@"; }
remedy() { field=remedy book "$1"; shift; rb run "$tmp/t.lua" --json "$@"; }
effect() { jq -r "[.steps[].effects[] | select(.kind == \"remedy\")][0] | $1" <<<"$out"; }
finding() { jq -r --arg n "$1" '.findings[] | select(.name == $n) | .value' <<<"$out"; }
finds() { jq -c --arg n "$1" '.findings[] | select(.name == $n) | .value' <<<"$out"; }

# -- notation and types ------------------------------------------------------------
probe 'run.tenant = "t"
  run:finding("value", p:value([[SELECT count(*) FROM :"tenant".items WHERE n <= :n AND v = :'"'"'v'"'"']], { tenant = "t", n = 3, v = "a" }))
  run:finding("run", p:value([[SELECT count(*) FROM :"tenant".items]], run))
  run:finding("cast", p:value([[SELECT '"'"'12:30'"'"'::time::text || :x::text || (ARRAY[1,2,3])[2:3]::text -- :no
    /* :no */ || $$:no$$ || E'"'"'\'"'"':no'"'"']], { x = 5 }))
  run:finding("list", p:value("SELECT count(*) FROM t.items WHERE n = ANY(:list)", { list = { 1, 2, 99 } }))
  run:finding("quoted", p:value("SELECT :a", { a = "it'"'"'s \"q\"; DROP TABLE t.items" }))
  run:finding("none", p:row("SELECT * FROM t.items WHERE n = 99") == nil)
  run:finding("novalue", p:value("SELECT v FROM t.items WHERE n = 99") == nil)
  run:finding("types", p:row("SELECT * FROM t.types"))
  run:finding("kinds", (function () local r, o = p:row("SELECT * FROM t.types"), {}
    for k, v in pairs(r) do o[#o + 1] = k .. "=" .. (math.type(v) or type(v)) end return table.concat(o, " ") end)())
  run:finding("bytes", #p:value("SELECT l FROM t.types"))
  run:finding("back", p:value("SELECT count(*) FROM t.types WHERE a = :a AND b = :b AND c = :c AND f = :f AND p::jsonb = :p AND h = :h AND j = :j AND l = :l AND m = :m AND o = :o",
    p:row("SELECT a, b, c, f, p, h, j, l, m, o FROM t.types")) )
  run:finding("empty", #p:query("SELECT 1 WHERE false"))
  run:finding("show", p:value("SHOW TimeZone") .. " " .. p:value("SHOW application_name"))
  run:finding("table", #p:query("TABLE t.owners"))
  run:finding("plan", p:explain("SELECT * FROM t.items WHERE n = :n", { n = 1 }):find("Seq Scan", 1, true) ~= nil)'
is "values and identifiers are bound" "$(finding value)" 3
is "passing run is fine" "$(finding run)" 10
is "casts, slices, comments, strings and dollar quotes are left alone" "$(finding cast)" "12:30:005{2,3}:no':no"
is "a list is an array" "$(finding list)" 2
is "a value is never spliced" "$(finding quoted)" "it's \"q\"; DROP TABLE t.items"
is "no row is nil, no value is nil" "$(finding none) $(finding novalue)" "true true"
is "each type has its Lua type" "$(finding kinds)" \
  "a=integer b=integer c=float d=float e=string f=boolean g=table h=table i=table j=string k=string l=string m=string n=string o=string p=table"
is "timestamps with a zone are ISO-8601 in UTC" "$(jq -r '.findings[] | select(.name=="types").value.j' <<<"$out")" "2024-01-02T01:04:05.5Z"
is "what is no number exactly stays a string" "$(jq -r '.findings[] | select(.name=="types").value.e' <<<"$out")" "12345678901234567890.5"
is "json is a table, null is nil" "$(jq -c '.findings[] | select(.name=="types").value.g.c' <<<"$out")" '"ü"'
is "bytea is a string of its bytes" "$(finding bytes)" 3
is "what comes out goes in again" "$(finding back)" 1
is "a session is ours" "$(finding show)" "UTC runbook"
is "TABLE, EXPLAIN and an empty result" "$(finding table) $(finding plan) $(finding empty)" "2 true 0"

probe 'local function try (name, ...) local v, e = run:try(function (...) return p:query(...) end, ...) end
  local function said (name, fn) local ok, e = pcall(fn) run:finding(name, ok and "nothing" or tostring(type(e) == "table" and e.message or e)) end
  said("missing", function () p:query("SELECT :tenent", { tenant = 1 }) end)
  said("none", function () p:query("SELECT :tenant") end)
  said("long", function () p:query([[SELECT * FROM :"a"]], { a = ("x"):rep(64) }) end)
  said("dollar", function () p:query("SELECT $1") end)
  said("twice", function () p:query("SELECT 1 AS a, 2 AS a") end)
  said("many", function () p:row("SELECT * FROM t.items") end)
  said("wide", function () p:value("SELECT id, v FROM t.items") end)
  said("where", function () p:query("SELECT nosuch\n  FROM t.items WHERE id = :id AND nosuch = 1", { id = 1 }) end)
  said("syntax", function () p:query("SELECT * FORM t.items") end)
  said("function", function () p:query("SELECT :x", { x = print }) end)
  said("option", function () p:query("SELECT 1", {}, { timout = "1s" }) end)
  said("timeout", function () p:query("SELECT 1", {}, { timeout = 5 }) end)'
has "a missing value names itself and the nearest" "$(finding missing)" "did you mean 'tenant'"
has "no values at all" "$(finding none)" ":tenant, but no values are given"
has "an identifier has 1 to 63 bytes" "$(finding long)" "1 to 63 bytes"
has "\$1 is not our notation" "$(finding dollar)" "write :name"
has "two columns of one name would lose one" "$(finding twice)" "name them with AS"
has "row is for one row" "$(finding many)" "10 rows where one is expected"
has "value is for one column" "$(finding wide)" "one column"
has "a server's error points into the script's SQL" "$(finding where)" "$(printf '  SELECT nosuch\n         ^')"
has "so does the parser's" "$(finding syntax)" "$(printf '  SELECT * FORM t.items\n           ^')"
has "what cannot be bound is named" "$(finding function)" "the value 'x' is a function"
has "an unknown option is named" "$(finding option)" "timout"
has "a timeout is a duration" "$(finding timeout)" '"30s" expected'

# -- probes cannot write -----------------------------------------------------------
before=$(world)
probe 'local refused = {
  "WITH x AS (DELETE FROM t.items RETURNING *) SELECT * FROM x", "SELECT 1; DELETE FROM t.items",
  "SET TRANSACTION READ WRITE", "COMMIT", "ROLLBACK", "BEGIN", "SAVEPOINT a", "INSERT INTO t.owners VALUES (9)",
  "SELECT * INTO t.neu FROM t.items", "SELECT * FROM t.items FOR UPDATE", "SELECT * FROM t.items FOR KEY SHARE",
  "CREATE TABLE t.neu ()", "EXPLAIN ANALYZE SELECT t.evil()", "EXPLAIN (ANALYZE) SELECT 1", "EXPLAIN DELETE FROM t.items",
  "COPY t.items TO STDOUT", "COPY t.items TO PROGRAM $$touch /tmp/x$$", "PREPARE a AS DELETE FROM t.items", "EXECUTE a",
  "DO $$ BEGIN PERFORM 1; END $$", "CALL x()", "LISTEN a", "NOTIFY a", "LOCK t.items", "SET default_transaction_read_only = off",
  "RESET ALL", "DECLARE c CURSOR FOR SELECT 1", "VACUUM", "ANALYZE", "CHECKPOINT", "DISCARD ALL", "MERGE INTO t.owners USING t.items i ON false WHEN NOT MATCHED THEN INSERT VALUES (7)",
  "SELECT pg_terminate_backend(1)", "SELECT pg_catalog.pg_cancel_backend(1)", "SELECT (1).pg_cancel_backend",
  "SELECT x.pg_cancel_backend FROM generate_series(1, 1) x", "SELECT * FROM pg_sleep(1)", "SELECT set_config($$a.b$$, $$c$$, false)",
  "SELECT pg_advisory_lock(1)", "SELECT pg_try_advisory_xact_lock(1)", "SELECT nextval($$t.items_id_seq$$)",
  "SELECT setval($$t.items_id_seq$$, 5)", "SELECT lo_create(0)", "SELECT public.dblink_exec($$x$$, $$y$$)",
  "SELECT pg_read_file($$x$$)", "SELECT * FROM pg_ls_dir($$.$$)", "SELECT pg_logical_emit_message(false, $$a$$, $$b$$)",
  "SELECT pg_notify($$a$$, $$b$$)", "SELECT txid_current()", "SELECT pg_current_xact_id()", "SELECT pg_stat_reset()",
  "SELECT query_to_xml($$DELETE FROM t.items$$, true, true, $$$$)", "SELECT \"pg_sleep\"(1)", "SELECT pg_reload_conf()",
  "SELECT 1 WHERE EXISTS (SELECT pg_switch_wal())", "SELECT pg_create_physical_replication_slot($$x$$)", "" }
  local passed = {}
  for _, sql in ipairs(refused) do
    local _, e = run:try(function () return p:query(sql) end)
    if not e or e.kind ~= "refused" then passed[#passed + 1] = sql .. ": " .. tostring(e and e.message) end
  end
  run:finding("passed", table.concat(passed, " | ")) run:finding("count", #refused)
  for _, sql in ipairs { "SELECT t.evil()", "SELECT t.wicked()", "SELECT t.evil() FROM t.items" } do
    local _, e = run:try(function () return p:value(sql) end)
    run:finding(sql, e and e.message or "passed")
  end
  run:finding("still", p:value("SELECT 5"))'
is "$(finding count) statements are refused in a probe" "$(finding passed)" ""
for sql in "SELECT t.evil()" "SELECT t.wicked()" "SELECT t.evil() FROM t.items"; do
  hasnot "a volatile function is held by the transaction or the role: $sql" "$(finding "$sql")" "passed"
done
is "and the connection is good for the next" "$(finding still)" 5
is "none of it changed anything" "$(world)" "$before"

with "$SANDBOX_PG_URL"
probe 'local _, e = run:try(function () return p:value("SELECT t.evil()") end) run:finding("e", e.kind .. ": " .. e.message)
  run:finding("mode", p:value("SHOW transaction_read_only"))'
has "without a probe role the transaction holds it" "$(finding e)" "refused: school_erp.pg: cannot execute INSERT in a read-only transaction"
is "  and is read-only" "$(finding mode)" on
with "$SANDBOX_PG_URL" "probe = \"$SANDBOX_PG_PROBE_URL\""

# -- previews ----------------------------------------------------------------------
# dry BODY: a dry run of a remedy
dry() { local body=$1; shift; remedy "$body" --dry-run "$@"; }
before=$(world)
dry 'p:exec("UPDATE t.items SET v = :v, at = now() WHERE n <= 3", { v = "b" })'
is "an UPDATE is counted" "$(effect .summary) $(effect .rows) $(effect .verdict)" "UPDATE matches 3 rows of t.items 3 would do"
is "before and after" "$(effect .before.value) -> $(effect .after.value)" "v = 'a', at = NULL -> v = 'b', at = now()"
is "it is guarded, and exits 0" "$(effect .guarded) $rc" "true 0"
dry 'local r = p:exec("DELETE FROM t.items WHERE n > 8") run:finding("rows", r.rows) run:finding("more", #r.returning)'
is "an exact number reaches the script" "$(finding rows) $(finding more)" "2 0"
dry 'p:exec("UPDATE t.items SET v = v WHERE n = 99")'
is "no row is nothing to do" "$(effect .verdict) $(j '.steps[0].status')" "nothing to do unchanged"
dry 'p:exec("UPDATE t.items i SET v = o.id::text FROM t.owners o WHERE o.id >= i.n AND i.v = :v", { v = "a" })'
is "a join counts each row once" "$(effect .rows)" 2
dry 'p:exec("WITH x AS (SELECT :n::int AS n) DELETE FROM t.items USING x WHERE items.n = x.n -- one\n;", { n = 4 })'
is "with WITH, USING and a comment" "$(effect .summary)" "DELETE matches 1 row of t.items"
dry 'p:exec("UPDATE t.guarded SET v = :v", { v = "b" })'
is "a trigger is named, and the number is not exact" "$(effect '.rows, .reason, .guarded' | xargs)" "10 trigger half on t.guarded false"
dry 'p:exec("DELETE FROM t.owners WHERE id = 1")'
has "what a DELETE takes with it is named" "$(effect .reason)" "changes rows of t.things, too"
dry 'p:exec("UPDATE t.rls SET id = 2")'
has "row security is named" "$(effect .reason)" "row security on t.rls"
dry 'p:exec("UPDATE t.seen SET v = v")'
has "a view is named" "$(effect .reason)" "a view, t.seen"
dry 'p:exec("INSERT INTO t.owners VALUES (:a), (:b)", { a = 5, b = 6 })'
is "an INSERT of values" "$(effect .summary)" "INSERT adds 2 rows to t.owners"
dry 'p:exec("INSERT INTO t.owners SELECT n + 100 FROM t.items WHERE n < :n", { n = 5 })'
is "an INSERT of a query" "$(effect .summary)" "INSERT adds 4 rows to t.owners"
dry 'p:exec("INSERT INTO t.owners VALUES (1) ON CONFLICT DO NOTHING")'
has "ON CONFLICT is not exact" "$(effect '.summary + .reason')" "up to 1 row"
dry 'p:exec("UPDATE t.items SET v = v WHERE t.evil() = 1")'
has "a volatile function is not run for a number" "$(effect .reason)" "not counted: evil"
rb run "$tmp/t.lua" --dry-run
has "(a person reads what would be set)" "$out" "after   v = v"
hasnot "of rows that were not counted nobody says that they are absent" "$out" "(absent)"
dry 'p:exec("CREATE INDEX CONCURRENTLY i ON t.items (n)", nil, { transaction = false })'
is "what has no rows is its own summary" "$(effect .summary)" "CREATE INDEX CONCURRENTLY i ON t.items (n)"
dry 'p:exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = :a", { a = "nobody" }, { transaction = false })'
is "sessions to end are counted" "$(effect .summary)" "SELECT calls pg_terminate_backend for 0 rows"
dry 'p:exec("TRUNCATE t.things, t.owners")'
is "a TRUNCATE is counted" "$(effect .summary) $(effect .guarded)" "TRUNCATE t.things, t.owners: 4 rows false"
dry 'p:exec("TRUNCATE t.things")' --limit pg_rows=1
is "  and limited" "$(effect .verdict)" "would refuse"
dry 'p:exec("DO $$ BEGIN DELETE FROM t.things; END $$")'
has "code is not predicted" "$(effect .reason)" "cannot be seen before"
# refusal WHAT SQL WORDS: in a dry run it would be refused, with these words
refusal() {
  dry "p:exec([==[$2]==]${4:+, $4})"
  is "$1" "$(effect .verdict) $rc" "would refuse 1"
  has "  and says why" "$(effect .reason)" "$3"
}
refusal "a missing table" "UPDATE t.nosuch SET a = 1" 'relation "t.nosuch" does not exist'
refusal "a missing column" "UPDATE t.items SET nosuch = 1" 'column "nosuch"'
refusal "a missing right" "DELETE FROM pg_catalog.pg_class" 'role "school_erp" lacks DELETE on pg_catalog.pg_class'
refusal "DROP of what is not there" "DROP TABLE t.nosuch" "no table t.nosuch"
refusal "ALTER of what is not ours" "ALTER TABLE pg_catalog.pg_class ADD x int" "does not own"
refusal "rows = 1 where two match" "DELETE FROM t.items WHERE n > 8" "matches 2 rows, and rows = 1 is asked for" "{ rows = 1 }"
refusal "several statements" "DELETE FROM t.items; DELETE FROM t.things" "one call is one statement"
refusal "COMMIT" "COMMIT" "each exec is a transaction already"
refusal "SET" "SET search_path = t" "not the script's"
refusal "COPY" "COPY t.items TO PROGRAM 'x'" "COPY is not for p:exec"
refusal "PREPARE" "PREPARE a AS SELECT 1" "PREPARE is not"
refusal "a query" "SELECT * FROM t.items" "use p:query"
refusal "VACUUM in a transaction" "VACUUM t.items" "add { transaction = false }"
refusal "CREATE INDEX CONCURRENTLY in one" "CREATE INDEX CONCURRENTLY i ON t.items (n)" "add { transaction = false }"
refusal "pg_terminate_backend in one" "SELECT pg_terminate_backend(1)" "no rollback takes back"
refusal "a wrong value" "UPDATE t.items SET n = 'x'" "invalid input syntax"
# what the catalog knows of names and of NULL, told before the deed would be refused
refusal "a schema that is there" "CREATE SCHEMA t" "there is a schema t already"
refusal "a schema that is not empty" "DROP SCHEMA t" "schema t is not empty: "
refusal "a schema that is not there" "CREATE TABLE nosuch.x (id int)" "there is no schema nosuch"
refusal "a table that is there" "CREATE TABLE t.items (id int)" "there is a relation t.items already"
refusal "a view that is there" "CREATE VIEW t.seen AS SELECT 1" "there is a relation t.seen already"
refusal "a column that is there" "ALTER TABLE t.items ADD COLUMN v text" "t.items has a column v already"
refusal "a column that is not" "ALTER TABLE t.items DROP COLUMN nope" "t.items has no column nope"
refusal "a new name that is taken" "ALTER TABLE t.items RENAME v TO n" "t.items has a column n already"
refusal "an index on no column" "CREATE INDEX x ON t.items (lower(nope))" "t.items has no column nope"
refusal "an index whose name is taken" "CREATE INDEX things ON t.items (n)" "there is a relation t.things already"
refusal "a role that is not there" "GRANT ALL ON t.items TO nobody_here" 'there is no role "nobody_here"'
refusal "a role that is not ours to drop" "DROP ROLE postgres" 'role "school_erp" lacks CREATEROLE'
refusal "a procedure that is not there" "CALL t.nope()" "procedure t.nope() does not exist"
refusal "the query of a new table" "CREATE TABLE t.x AS SELECT nope FROM t.items" 'column "nope"'
refusal "TRUNCATE of what is referred to" "TRUNCATE t.owners" "refers to it"
refusal "a value in DDL" "ALTER TABLE t.items ALTER v SET DEFAULT :v" "takes no values" '{ v = "x" }'
refusal "NULL where none may be" "UPDATE t.owners SET id = NULL" "column id of t.owners may not be NULL"
refusal "  by a value" "UPDATE t.owners SET id = :id" "may not be NULL" '{ id = json.null }'
refusal "  or by saying nothing" "INSERT INTO t.owners DEFAULT VALUES" "column id of t.owners may not be NULL"
# doubt WHAT SQL WORDS: it may be refused when it runs, and that is said
doubt() {
  dry "p:exec([==[$2]==])"
  is "$1" "$(effect .verdict) $rc" "would do 0"
  has "  is said" "$(effect .reason)" "PostgreSQL alone decides, when it runs, about $3"
}
objects="rights, dependent objects and constraints"
doubt "what depends on a table" "DROP TABLE t.owners" "$objects"
doubt "what stands in its rows" "ALTER TABLE t.items ALTER COLUMN at SET NOT NULL" "$objects"
doubt "another kind of DDL" "CREATE EXTENSION nosuch" "$objects"
doubt "IF NOT EXISTS is no refusal" "CREATE TABLE IF NOT EXISTS t.items (id int)" "$objects"
doubt "nor a column that makes room first" "ALTER TABLE t.items DROP COLUMN v, ADD COLUMN v int" "$objects"
doubt "a unique key" "UPDATE t.owners SET id = 1 WHERE id = 2" "owners_pkey, things_owner_fkey of t.things"
doubt "a unique key of new rows" "INSERT INTO t.items SELECT * FROM t.items" "NOT NULL (id), items_pkey"
doubt "a foreign key" "UPDATE t.things SET owner = 9" "things_owner_fkey"
doubt "what a query may give" "INSERT INTO t.owners SELECT n FROM t.items" "NOT NULL (id), owners_pkey"
dry 'p:exec("UPDATE t.guarded SET id = NULL")'
is "a trigger may mend a NULL" "$(effect .verdict) $rc" "would do 0"
has "  and both are said" "$(effect .reason)" "column id of t.guarded may not be NULL"
dry 'p:exec("UPDATE t.owners SET id = NULL WHERE id = 99")'
is "no row, no NULL" "$(effect .verdict) $rc" "nothing to do 0"
dry 'p:exec("UPDATE t.items SET v = :v, at = now(), n = n + 1", { v = "b" })'
is "of columns under no constraint there is nothing to say" "$(effect .reason) $rc" "null 0"
dry 'p:exec("INSERT INTO t.owners VALUES (7) ON CONFLICT (id) DO NOTHING")'
is "the key of ON CONFLICT refuses nothing" "$(effect .reason)" "ON CONFLICT decides row by row"
dry 'p:transaction(function (tx) tx:exec("DROP TABLE t.late") tx:exec("CREATE TABLE t.late (id int)") end)'
is "what a statement ahead takes away is no refusal" "$(effect .verdict) $rc" "would do 0"
has "  and is said" "$(effect .reason)" "refused as it is now, before the statements ahead of it: there is a relation t.late"
dry 'p:exec("DELETE FROM t.items", nil, { rows = 1, transaction = false })'
has "rows = needs a transaction" "$(j .error.message)" "only be held inside a transaction"
is "no preview changed anything" "$(world)" "$before"

# -- deeds -------------------------------------------------------------------------
remedy 'local r = p:exec("UPDATE t.items SET v = :v WHERE n <= 3 RETURNING id, v", { v = "it'"'"'s" })
  run:finding("r", r)'
is "rows and returning" "$rc $(jq -cS '.findings[0].value' <<<"$out")" \
  '0 {"returning":[{"id":1,"v":"it'"'"'s"},{"id":2,"v":"it'"'"'s"},{"id":3,"v":"it'"'"'s"}],"rows":3}'
is "it is in the database" "$(erp -c "SELECT count(*) FROM t.items WHERE v = 'it''s'")" 3
remedy 'p:exec("UPDATE t.guarded SET v = :v", { v = "c" })'
is "an inexact number is no obstacle" "$rc $(erp -c "SELECT count(*) FROM t.guarded WHERE v = 'c'")" "0 5"
remedy 'p:exec("CREATE INDEX CONCURRENTLY i ON t.items (n)", { transaction = false })'
is "without a transaction" "$rc $(erp -c "SELECT indisvalid FROM pg_index WHERE indexrelid = 't.i'::regclass")" "0 t"
remedy 'p:exec("CREATE TABLE t.neu (a int)") p:exec("DROP TABLE t.neu")'
is "DDL" "$rc" 0
before=$(dump)
unchanged() { is "$1" "$(dump)" "$before"; }
remedy 'p:exec("INSERT INTO t.owners VALUES (1)")'
is "a server's no is not done" "$rc $(j .error.kind) $(j .error.certainty)" "1 data not done"
remedy 'p:exec("INSERT INTO t.unique VALUES (1)")'
is "also one at COMMIT" "$rc $(j .error.kind) $(j .error.certainty)" "1 data not done"
remedy 'p:exec("INSERT INTO t.slow VALUES (1)", nil, { timeout = "300ms" })'
is "out of time is not done" "$rc $(j .error.kind) $(j .error.certainty)" "1 timeout not done"
remedy 'p:exec("UPDATE t.items SET v = v")' --limit pg_rows_statement=5
is "a limit is held before" "$rc $(j .error.kind)" "1 limit"
has "  and named" "$(j .error.message)" "pg_rows_statement"
unchanged "nothing of it was done"

# a row is changed by somebody else between the preview and the deed
(erp -c "BEGIN; UPDATE t.items SET v = 'x' WHERE n = 9; SELECT pg_sleep(1.5); COMMIT" >/dev/null) &
sleep 0.4
remedy 'p:exec("UPDATE t.items SET v = :new WHERE v = :old AND n > 8", { old = "a", new = "z" })'
wait $!
is "drift: exit 4, not done" "$rc $(j .error.kind) $(j .error.certainty)" "4 drift not done"
has "  and both numbers are said" "$(j .error.message)" "was to change 2 rows, and changed 1 row"
is "  and it was rolled back" "$(erp -c "SELECT count(*) FROM t.items WHERE v = 'z'")" 0

# -- transactions ------------------------------------------------------------------
remedy 'run.n = p:transaction(function (tx)
    local r = tx:exec("UPDATE t.items SET v = :v WHERE n = 4", { v = "tx" })
    tx:exec("INSERT INTO t.things VALUES (:id, 2)", { id = 7 })
    return r.rows
  end) run:finding("n", run.n)' --dry-run
is "a transaction is one effect, its statements its summary" "$(effect .summary) $(effect .rows) $rc" \
  "transaction: UPDATE matches 1 row of t.items; INSERT adds 1 row to t.things 2 0"
is "its result is exact where all of it is" "$(finding n)" 1
rb run "$tmp/t.lua" --json
is "it commits as a whole" "$rc $(erp -c "SELECT count(*) FROM t.items WHERE v = 'tx'" -c "SELECT count(*) FROM t.things WHERE id = 7" | xargs)" "0 1 1"
before=$(dump)
remedy 'p:transaction(function (tx) tx:exec("DELETE FROM t.things") error("enough") end)'
has "an error in it goes on" "$(j .error.message)" "enough"
remedy 'p:transaction(function (tx) tx:exec("DELETE FROM t.things") tx:exec("INSERT INTO t.owners VALUES (1)") end)'
is "a failing statement fails it" "$rc $(j .error.kind) $(j .error.certainty)" "1 data not done"
remedy 'p:transaction(function (tx) tx:exec("DELETE FROM t.things") pcall(tx.exec, tx, "INSERT INTO t.owners VALUES (1)") end)'
is "also when it is swallowed" "$rc $(j .error.certainty)" "1 not done"
remedy 'local kept p:transaction(function (tx) kept = tx tx:exec("UPDATE t.items SET v = v WHERE n = 1") end) kept:exec("DELETE FROM t.things")'
has "it is over when it is over" "$(j .error.message)" "over"
unchanged "and nothing of it was done"
remedy 'local kept, tried
  run:each({ 1, 2 }, function (i) p:transaction(function (tx)
    if i == 1 then kept = tx end
    while i == 1 and not tried or kept == nil do tx:value("SELECT 1") end
    if i == 1 then return end
    local _, e = pcall(kept.exec, kept, "DELETE FROM t.things")
    tried = true
    error(e) end) end)'
has "nor is it that of another branch" "$(j .error.message)" "school_erp.pg: the transaction is that of another branch"
unchanged "nothing of which was done"
remedy 'p:transaction(function (tx)
    tx:exec("UPDATE t.items SET v = :v WHERE n = 5", { v = "q" })
    tx:exec("DELETE FROM t.items WHERE v = :v", { v = "q" })
  end)' --dry-run
has "what a statement cannot see yet is said" "$(effect .reason)" "counted before the statements ahead of it"
rb run "$tmp/t.lua" --json
is "and is no drift" "$rc $(erp -c "SELECT count(*) FROM t.items WHERE n = 5")" "0 0"
remedy 'p:transaction(function (tx)
    local r = tx:exec("INSERT INTO t.things VALUES (8, 2) RETURNING id")
    tx:exec("UPDATE t.things SET owner = 1 WHERE id = :id", r.returning[1])
  end)' --dry-run
is "what only the deed can know is not predicted" "$(effect .verdict)" "cannot predict"
rb run "$tmp/t.lua" --json
is "and is known in the deed" "$rc $(erp -c "SELECT owner FROM t.things WHERE id = 8")" "0 1"
remedy 'p:transaction(function (tx) run:finding("seen", tx:value("SELECT count(*) FROM t.things WHERE id = :id", { id = 8 })) end)'
is "reading inside" "$rc $(finding seen)" "0 1"

# -- Ctrl-C ------------------------------------------------------------------------
sleeping() { admin -c "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'runbook' AND wait_event = 'PgSleep'"; }
# stopped BODY: one Ctrl-C while a statement of it sleeps; $soon: it ended long before that would
stopped() {
  local pid marker
  field=remedy book "$1"
  "$runbook" run "$tmp/t.lua" --json >"$tmp/out" 2>"$tmp/stderr" </dev/null & pid=$!
  until [ "$(sleeping)" != 0 ] || ! kill -0 $pid 2>/dev/null; do sleep 0.1; done
  sleep 10 & marker=$!
  kill -INT $pid; wait $pid; rc=$?; out=$(cat "$tmp/out")
  soon=$(kill -0 $marker 2>/dev/null && echo soon || echo late)
  kill $marker 2>/dev/null; wait $marker 2>/dev/null
}
cancelled() {
  is "$1" "$rc $soon $(sleeping)" "130 soon 0"
  is "  and is told as not done" "$(j .status) $(effect .outcome) $(j '.steps[0].status')" "interrupted failed failed"
  has "  with why" "$(effect .reason)" "$2"
  rb report
  has "  in the list of it" "$out" "not done   1 A"
  rb report --json
  is "  and on the tape" "$(effect .outcome)" failed
  rb abandon "$(j .run)" --yes
}
before=$(dump)
said="interrupted: the statement was cancelled and rolled back, nothing was changed"
stopped 'p:exec("UPDATE t.items SET v = :v WHERE n = 7 AND pg_sleep(20) IS NOT NULL", { v = "stopped" })'
cancelled "Ctrl-C cancels a statement" "$said"
stopped 'p:transaction(function (tx) tx:exec("DELETE FROM t.things")
  tx:exec("UPDATE t.items SET v = :v WHERE n = 7 AND pg_sleep(20) IS NOT NULL", { v = "stopped" }) end)'
cancelled "Ctrl-C cancels a transaction" "$said"
stopped 'p:transaction(function (tx) tx:exec("DELETE FROM t.things")
  pcall(tx.exec, tx, "UPDATE t.items SET v = v WHERE n = 7 AND pg_sleep(20) IS NOT NULL") end)'
cancelled "  also where its script goes on" ""
unchanged "nothing of it was done"
stopped 'p:exec("INSERT INTO t.late VALUES (77)")'
is "Ctrl-C during COMMIT: it is done" "$rc $(j .status) $(erp -c "SELECT count(*) FROM t.late WHERE id = 77")" "130 interrupted 1"
is "  and recorded" "$(effect .outcome)" "done"

# -- connections -------------------------------------------------------------------
kill_soon() { (sleep "${1:-0.5}"; admin -c "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'runbook'" >/dev/null) & }
kill_soon
probe 'local _, e = run:try(function () return p:query("SELECT count(*) FROM generate_series(1, 1000000000)") end)
  run:finding("kind", e.kind) run:finding("again", p:value("SELECT 5"))'
wait
is "a lost connection is io, and made again" "$(finding kind) $(finding again)" "io 5"
kill_soon 0.8
remedy 'p:exec("INSERT INTO t.slow VALUES (1)")'
wait
is "lost before COMMIT is not done" "$rc $(j .error.kind) $(j .error.certainty)" "1 io not done"
kill_soon 0.8
remedy 'p:exec("INSERT INTO t.late VALUES (1)")'
wait
is "lost during COMMIT is in doubt" "$rc $(j .error.certainty)" "6 unknown"
probe 'run:finding("sum", (function () local n = 0
    for _, v in ipairs(run:each({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20 }, function (i)
      return p:value("SELECT :i::int + 0 * count(*) FROM generate_series(1, 100000)", { i = i }) end)) do n = n + v end return n end)())
  run:finding("connections", p:value("SELECT count(*) FROM pg_stat_activity WHERE application_name = :a", { a = "runbook" }))'
is "many at once, over a few connections" "$(finding sum) $([ "$(finding connections)" -le 8 ] && echo few)" "210 few"
probe 'local _, one = run:try(function () return p:value("SELECT repeat($$x$$, 100000000)") end)
  local _, many = run:try(function () return p:query("SELECT repeat($$x$$, 1000) FROM generate_series(1, 100000)") end)
  run:finding("one", one.kind) run:finding("many", many.message) run:finding("still", p:value("SELECT 5"))'
is "100 MB are too many" "$(finding one) $(finding still)" "limit 5"
has "  and what to do is said" "$(finding many)" "reduce it in SQL"
(erp -c "BEGIN; LOCK t.items; SELECT pg_sleep(1.5)" >/dev/null) &
sleep 0.4
remedy 'p:exec("UPDATE t.items SET v = v WHERE n = 1", nil, { timeout = "400ms" })'
wait
has "a lock is named as what is waited for" "$(j .error.message)" "holds it (user school_erp, since "

# rows that another session has locked: seen by a dry run, which takes no lock
erp -c "BEGIN; SELECT 1 FROM t.items WHERE n = 1 FOR UPDATE; SELECT pg_sleep(600)" >/dev/null 2>&1 &
holder() { erp -c "SELECT pid FROM pg_stat_activity WHERE query LIKE '%FOR UPDATE; SELECT pg_sleep(600)' AND wait_event = 'PgSleep'"; }
until [ -n "$(holder)" ]; do sleep 0.1; done
pid=$(holder)
remedy 'p:exec("UPDATE t.items SET v = v WHERE n = 1")' --dry-run
is "a row that is locked: would refuse" "$rc $(j '.steps[0].effects[-1].verdict')" "1 would refuse"
has "  with who holds it" "$(j '.steps[0].effects[-1].reason')" "rows of t.items are locked by pid $pid (user school_erp, since "
remedy 'p:exec("DELETE FROM t.items WHERE n < 2")' --dry-run
is "  for a DELETE, too" "$(j '.steps[0].effects[-1].verdict')" "would refuse"
remedy 'p:exec("UPDATE t.items SET v = v WHERE n = 2")' --dry-run
is "its neighbour is free" "$rc $(j '.steps[0].effects[-1].verdict')" "0 would do"
erp -c "SELECT pg_terminate_backend($pid)" >/dev/null; wait
remedy 'p:exec("UPDATE t.items SET v = v WHERE n = 1")' --dry-run
is "and so is the row when its holder is gone" "$rc $(j '.steps[0].effects[-1].verdict')" "0 would do"

other() { with "$1" "${2:-}"; probe 'run:finding("v", p:value("SELECT 5", nil, { timeout = "1s" }))'; }
fault() { other "$2"; is "$1" "$rc $(j .error.kind)" "1 $3"; has "  and what to check" "$(j .error.message)" "$4"
  hasnot "  without the password" "$out$err" "s3cret-pass"; }
at=${SANDBOX_PG_URL##*@}; port=${at%%/*}; port=${port##*:}
fault "a wrong password" "postgresql://school_erp:s3cret-pass@$at" auth "check user and password"
fault "no password" "postgresql://school_erp@$at" auth "check user and password"
fault "an unknown database" "postgresql://school_erp:$SANDBOX_PG_PASSWORD@127.0.0.1:$port/nosuch" missing "nosuch"
fault "nobody there" "postgresql://a:s3cret-pass@127.0.0.1:1/b" io "check that the server runs"
python3 - "$tmp/mute" <<'PY' &
import socket, sys, time
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(8)
open(sys.argv[1], "w").write(str(s.getsockname()[1]))
kept = []
s.settimeout(60)
try:
    while True: kept.append(s.accept())
except OSError: pass
PY
mute=$!
until [ -s "$tmp/mute" ]; do kill -0 "$mute" || break; sleep 0.1; done
fault "a server that never answers" "postgresql://a:s3cret-pass@127.0.0.1:$(cat "$tmp/mute")/b" timeout "did not let us in"
kill "$mute"
other "postgresql://school_erp:$SANDBOX_PG_PASSWORD@localhost:$port/school_erp"
is "a name is resolved" "$rc $(finding v)" "0 5"
other "postgresql://school_erp:$SANDBOX_PG_PASSWORD@/school_erp?host=$SANDBOX_PG_SOCKET&port=$port"
is "a Unix socket" "$rc $(finding v)" "0 5"
other "postgresql://school_erp:$SANDBOX_PG_PASSWORD@127.0.0.1:1,127.0.0.1:$port/school_erp"
is "the first of two hosts is down" "$rc $(finding v)" "0 5"
with "$SANDBOX_PG_URL"; probe 'p:value("SELECT 1")' --dry-run
is "without a probe role the layer is not claimed" "$(jq -c '.enforced.protocol | index("pg")' <<<"$out")" null
with "$SANDBOX_PG_URL" "probe = \"$SANDBOX_PG_PROBE_URL\""; probe 'p:value("SELECT 1")' --dry-run
is "with one it is" "$(jq -c '.enforced.protocol | index("pg") != null' <<<"$out")" true
with "$SANDBOX_PG_URL" 'secret_columns = { "token" }'
probe 'run:finding("row", p:row("SELECT id, token FROM t.items WHERE n = 2")) run:note("%s", p:value("SELECT token FROM t.items WHERE n = 2"))'
hasnot "secret columns are redacted everywhere" "$out$err" "token-of-item-2"
has "  and named" "$out" "[redacted token]"

# -- where it was ----------------------------------------------------------------------
probe '
  run.x = p:value "SELECT 1/0"'
is "a failure says at which line" "$(jq -r '.error | "\(.kind) \(.file):\(.line)"' <<<"$out")" "data $tmp/t.lua:4"
rb run "$tmp/t.lua"; has "to people, too" "$out" "at         $tmp/t.lua:4"

# -- doctor ------------------------------------------------------------------------
doctor() { rb doctor --json; jq -r '[.. | objects | select(.name? and .status?)] | map(.name + "=" + .status) | join(" ")' <<<"$out"; }
with "$SANDBOX_PG_URL" "probe = \"$SANDBOX_PG_PROBE_URL\""
has "doctor: two roles, one that can only look" "$(doctor)" "probe role=ok"
psql "$SANDBOX_PG_URL" -qc "CREATE FUNCTION t.lent(n int) RETURNS int VOLATILE SECURITY DEFINER LANGUAGE sql AS 'SELECT n'"
rb doctor
has "  and what it may call with another's rights" "$out" "REVOKE EXECUTE ON FUNCTION t.lent(n integer) FROM PUBLIC"
psql "$SANDBOX_PG_URL" -qc "DROP FUNCTION t.lent"
with "$SANDBOX_PG_URL"
has "doctor: one role for both" "$(doctor)" "probe role=warn"
rb doctor
has "  and the SQL that makes another" "$out" "CREATE ROLE runbook_probe"
with "$SANDBOX_PG_URL" "probe = \"$SANDBOX_PG_ADMIN_URL\""
has "doctor: a superuser probes" "$(doctor)" "probe role=bad"
with "postgresql://a:s3cret-pass@127.0.0.1:1/b"
has "doctor: nobody there" "$(doctor)" "remedy role=bad"
