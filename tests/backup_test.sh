#!/usr/bin/env bash
# backup on the sandbox's database: dumps listed, verified and made, one schema restored and
# swapped back; and every dump, folder, disk and program that will not do.
. "$(dirname "$0")/lib.sh"
sandbox_up
cd "$tmp" || exit 2
db=${SANDBOX_PG_ADMIN_URL%/*}/school_erp
sql() { psql -XqAt -v ON_ERROR_STOP=1 "$SANDBOX_PG_URL" -c "$1"; }
admin() { psql -XqAt -v ON_ERROR_STOP=1 "$db" -c "$1"; }
j() { jq -r "$1" <<<"$out"; }
message() { j .error.message; }
probe() { printf 'local b = system("school_erp").backup\nreturn runbook { title = "t", step "s" { probe = function (run) %s end } }\n' "$1" > p.lua; rb run p.lua --json; }
remedy() { printf 'local b = system("school_erp").backup\nreturn runbook { title = "t", step "s" { remedy = function (run) %s end } }\n' "$1" > r.lua; rb run r.lua --json "${@:2}"; }
restore() { remedy "b:restore{ file = [==[$1]==], schema = [==[$2]==] }" "${@:3}"; }
undo() { rb undo --yes --json "$@"; }
folder=$SANDBOX_BACKUPS
green=$(cd "$folder" && echo greenwood_high_*) marys=$(cd "$folder" && echo st-marys_*) daily=$(cd "$folder" && echo daily-*)
world() { pg_dump "$db" | grep -v '^\\\(un\)\?restrict' | sha256sum; admin "select pg_snapshot_xmax(pg_current_snapshot())"; ls -lA --time-style=full-iso "$folder" | grep -v '^total' | sha256sum; }
asides() { sql "select count(*) from pg_namespace where nspname like '%\_\_before\_%' or nspname like '%\_\_after\_%'"; }
rows() { sql "select sum(substring(query_to_xml(format('select count(*) as n from %I.%I', schemaname, tablename), false, true, '')::text from '<n>([0-9]+)')::bigint) from pg_tables where schemaname = '$1'"; }

# -- looking ---------------------------------------------------------------------------
touch -d '1 hour ago' "$folder/$green"; touch -d '2 hours ago' "$folder/$marys"; : > "$folder/.hidden"; mkdir "$folder/sub"
probe 'for i, d in ipairs(b:list()) do run:finding(tostring(i), d.name .. " " .. d.format .. " " .. d.bytes) end'
is "newest first" "$rc $(j '[.findings[] | select(.name == "1" or .name == "2") | .value] | join(", ")')" \
  "0 $green plain $(stat -c %s "$folder/$green"), $marys plain $(stat -c %s "$folder/$marys")"
is "files alone, and none that is hidden" "$(j '.findings | length')" 4
probe "local v = b:verify('$marys') run:finding('v', v.schemas[1] .. ' ' .. #v.schemas .. ' ' .. v.tables .. ' ' .. v.rows .. ' ' .. v.counts['st-marys.students'] .. ' ' .. v.format)
  run:finding('server', v.server)"
is "verify counts the rows of a dump" "$rc $(j '.findings[0].value')" "0 st-marys 1 15 $(rows st-marys) $(sql 'select count(*) from "st-marys".students') plain"
is "and says who made it" "$(j '.findings[1].value')" "$(sql 'show server_version' | cut -d' ' -f1)"

# -- a dump ---------------------------------------------------------------------------------
before=$(world)
remedy 'b:dump{ schema = "st-marys", label = "forensic" }' -n
is "dry: it would do it, and changes nothing" "$rc $(j '.steps[0].effects[0].verdict') $(world)" "0 would do $before"
has "dry: with tables, rows and size" "$(j '.steps[0].effects[0].reason')" "15 tables, $(rows st-marys | sed 's/...$/,&/') rows, "
is "dry: the name has a time that a plan does not hold to" "$(j '.steps[0].effects[0].after.value')" "forensic-st-marys-<time>.sql"
remedy 'local d = b:dump{ schema = "st-marys", label = "forensic" } run:finding("d", d.rows .. " " .. d.tables) run:finding("f", d.file) run:finding("b", d.bytes)'
file=$(j '.findings[] | select(.name == "f") | .value')
is "for real: all rows are in it" "$rc $(j '.findings[] | select(.name == "d") | .value')" "0 $(rows st-marys) 15"
is "its mode, its size" "$(stat -c '%a %s' "$file")" "600 $(j '.findings[] | select(.name == "b") | .value')"
ok "its name" grep -qE '^forensic-st-marys-20[0-9]{6}-[0-9]{6}\.sql$' <<<"${file##*/}"
refuses "no password on the tape, no part of the URL either" grep -qaF "$SANDBOX_PG_PASSWORD" -r "$XDG_STATE_HOME"
undo; ok "an undo leaves it" test -f "$file"
remedy 'b:dump{ label = "emergency" }'
whole=$(cd "$folder" && echo emergency-*)
probe "local v = b:verify('$whole') run:finding('v', table.concat(v.schemas, ' '))"
is "one of the whole database" "$rc $(j '.findings[0].value' | tr ' ' '\n' | sort | xargs)" "0 greenwood_high public reporting riverside st-marys"

# -- a restore, and back --------------------------------------------------------------------
all=$(rows greenwood_high)
admin 'delete from greenwood_high.attendance' >/dev/null; sql "update greenwood_high.users set name = 'wrong'"
damaged=$(world)
restore "$green" greenwood_high -n
is "dry: it would be replaced, and is not" "$rc $(j '.steps[0].effects[0].verdict') $(world)" "0 would do $damaged"
has "dry: what is there, and what is in the dump" "$(j '.steps[0].effects[0].reason')" "now: 15 tables, $(rows greenwood_high | sed 's/...$/,&/') rows, "
has "dry: the views outside are named" "$(j '.steps[0].effects[0].reason')" "24,041 rows; bound to the restored tables: view reporting.sessions_by_school"
has "dry: where the live one goes" "$(j '.steps[0].effects[0].summary')" "is kept as greenwood_high__before_"
restore "$green" greenwood_high
is "for real: the rows are back" "$rc $(rows greenwood_high)" "0 $all"
kept=$(sql "select nspname from pg_namespace where nspname like 'greenwood\_high\_\_before\_%'")
is "the one before is beside it, named after the run" "${kept#greenwood_high__before_}" "$(j .run | tr A-Z a-z)"
is "with what it held" "$(sql "select count(*) from \"$kept\".attendance")" 0
hasnot "the view outside reads the restored tables" "$(sql "select pg_get_viewdef('reporting.sessions_by_school'::regclass)")" "$kept"
is "the server serves the school" "$(curl -s -o /dev/null -w '%{http_code}' "$SANDBOX_HTTP_URL/t/greenwood_high/dashboard")" 200
undo -n; is "undo, dry" "$rc $(rows greenwood_high)" "0 $all"
undo
is "undo: the one before is live again" "$rc $(sql "select count(*) from greenwood_high.attendance") $(sql "select count(*) from greenwood_high.users where name <> 'wrong'")" "0 0 0"
hasnot "undo: and read by the view" "$(sql "select pg_get_viewdef('reporting.sessions_by_school'::regclass)")" "__"
is "undo: the restored one is kept" "$(sql "select count(*) from pg_namespace where nspname like 'greenwood\_high\_\_after\_%'")" 1
sandbox_reset; . "$tmp/sb/env"
admin 'drop schema riverside cascade' 2>/dev/null
restore "$(cd "$folder" && echo riverside_*)" riverside
is "a schema that is gone" "$rc $(rows riverside) $(asides)" "0 $(j '.steps[0].effects[0].reason' | grep -o '[0-9,]* rows' | tr -dc '0-9') 0"
undo; is "undo: it is gone again" "$rc $(sql "select count(*) from pg_namespace where nspname = 'riverside'")" "0 0"

# -- names ------------------------------------------------------------------------------------
sandbox_reset; . "$tmp/sb/env"
sql 'create schema "we""ird '"'"'x'"'"' -- %s;"; create table "we""ird '"'"'x'"'"' -- %s;"."t""a" (a text); insert into "we""ird '"'"'x'"'"' -- %s;"."t""a" values ('"E'a\\\\nb'"'), (null)'
plain="we\"ird 'x' -- %s;"
remedy "local d = b:dump{ schema = [[$plain]] } run:finding('f', d.file)"
is "a schema with quotes in its name is dumped" "$rc" 0
odd=$(j '.findings[0].value'); odd=${odd##*/}
sql 'delete from "we""ird '"'"'x'"'"' -- %s;"."t""a"'
restore "$odd" "$plain"
is "and restored" "$rc $(sql 'select count(*) from "we""ird '"'"'x'"'"' -- %s;"."t""a"') $(asides)" "0 2 1"
undo; is "and swapped back" "$rc $(sql 'select count(*) from "we""ird '"'"'x'"'"' -- %s;"."t""a"')" "0 0"
restore "$marys" st-marys
is "st-marys, too" "$rc $(rows st-marys)" "0 $(j '.steps[0].effects[0].reason' | sed 's/.*in the dump//' | grep -o '[0-9,]* rows' | tr -dc '0-9')"

# -- the custom format --------------------------------------------------------------------------
sandbox_reset; . "$tmp/sb/env"
pg_dump -Fc -f "$folder/all.dump" "$SANDBOX_PG_URL"
probe "local v = b:verify('all.dump') run:finding('v', v.format .. ' ' .. #v.schemas .. ' ' .. v.tables .. ' ' .. tostring(v.rows))"
is "verified" "$rc $(j '.findings[0].value')" "0 custom 5 47 nil"
sql 'delete from "st-marys".attendance'; held=$(rows st-marys)
restore all.dump st-marys -n; is "dry: one schema of a whole database" "$rc $(rows st-marys)" "0 $held"
restore all.dump st-marys
is "for real: taken out, counted, replayed" "$rc $(rows st-marys) $(sql "select n.nspacl is null and nspowner::regrole::text = 'school_erp' from pg_namespace n where nspname = 'st-marys'")" "0 3472 t"
is "nothing is left in the folder" "$(find "$folder" -name '.runbook*' | wc -l)" 0
restore all.dump st-ma; has "one that is not in it" "$rc $(message)" "not the schema st-ma"
head -c $(($(stat -c %s "$folder/all.dump") / 2)) "$folder/all.dump" > "$folder/cut.dump"
restore cut.dump st-marys; has "a truncated one" "$rc $(message)" "cut.dump is truncated or damaged"

# -- dumps that will not do --------------------------------------------------------------------------
sandbox_reset; . "$tmp/sb/env"
head -c 150000 "$folder/$marys" > "$folder/cut.sql"
head -n -6 "$folder/$marys" > "$folder/headless.sql"
: > "$folder/empty.sql"; echo 'SELECT 1' > "$folder/other.sql"; gzip -c "$folder/$marys" > "$folder/packed.sql.gz"
sed 's/^-- Dumped from database version .*/-- Dumped from database version 99.1/' "$folder/$marys" > "$folder/newer.sql"
sed '/^CREATE SCHEMA/a \\\\! touch '"$tmp/pwned" "$folder/$marys" > "$folder/shell.sql"
sed '/^CREATE SCHEMA/d' "$folder/$marys" > "$folder/unmade.sql"
{ sed '/^-- PostgreSQL database dump complete/,$d' "$folder/$marys"; echo 'SELECT 1/0;'; echo '-- PostgreSQL database dump complete'; } > "$folder/fails.sql"
{ sed '/^-- PostgreSQL database dump complete/,$d' "$folder/$marys"; echo 'DELETE FROM "st-marys".attendance WHERE id = 1;'; echo '-- PostgreSQL database dump complete'; } > "$folder/fewer.sql"
sed '/^\\\(un\)\?restrict/d' -i "$folder/fails.sql" "$folder/fewer.sql"
ln -s "$folder/$marys" "$folder/link.sql"
pg_dump -Fc -n '"st-marys"' -f "$folder/marys.dump" "$SANDBOX_PG_URL"
pg_dump -Fc -n greenwood_high -f "$folder/green.dump" "$SANDBOX_PG_URL"
head -c 5 "$folder/marys.dump" > "$folder/head.dump"
{ head -c 5 "$folder/marys.dump"; printf '\1\143\0'; tail -c +9 "$folder/marys.dump"; } > "$folder/later.dump"
server=$(sql 'show server_version' | cut -d' ' -f1)   # as long as before: the format counts bytes
LC_ALL=C sed "s/$server/99${server:2}/" "$folder/marys.dump" > "$folder/newer.dump"
before=$(world)
no() { restore "$2" "${4:-st-marys}" "${@:5}"; has "$1" "$rc $(message)" "$3"; }
no "truncated" cut.sql "1 school_erp.backup: $folder/cut.sql is truncated"
no "in the custom format, and empty" head.dump "1 school_erp.backup: $folder/head.dump is truncated or damaged"
no "in the custom format, of a newer pg_dump" later.dump "later.dump was made by a newer pg_dump than the pg_restore here: unsupported version (1.99)"
no "in the custom format, of a newer server" newer.dump "is a dump of PostgreSQL 99."
no "in the custom format, of another schema" green.dump "not the schema st-marys"
no "without its end" headless.sql "headless.sql is truncated"
no "empty" empty.sql "empty.sql is empty"
no "no dump" other.sql "other.sql is no dump of pg_dump"
no "compressed" packed.sql.gz "is compressed: gunzip it first"
no "of a newer server" newer.sql "is a dump of PostgreSQL 99.1, the server here is"
no "with a command for a shell" shell.sql "holds a command of psql (\\!)"
no "that makes no schema" unmade.sql "has tables of st-marys, but does not make the schema"
no "of another schema" "$green" "holds greenwood_high, not the schema st-marys"
no "of a whole database" "$daily" "is a dump of a whole database (greenwood_high, reporting, riverside, st-marys and public)"
no "that is not there" nothing.sql "there is no dump $folder/nothing.sql"
no "outside of the folder" ../app/.env "is no name of a dump"
no "by a link" link.sql "link.sql cannot be opened"
no "hidden" .hidden "is no name of a dump"
# a command of psql may stand behind a statement; the restriction is lifted by who knows its key
key=$(sed -n 's/^\\restrict //p' "$folder/$marys")
made() { sed "/^CREATE SCHEMA/a \\${1//\\/\\\\}" "$folder/$marys" > "$folder/evil.sql"; [ -z "${2:-}" ] || sed -i '/^\\\(un\)\?restrict/d' "$folder/evil.sql"; }
pad=$(printf '%5000s' '')
made "SELECT 1; \\unrestrict $key \\! touch $tmp/pwned"; no "its own key" evil.sql 'holds \unrestrict where pg_dump does not write it'
made "SELECT 1;$pad\\unrestrict $key \\! touch $tmp/pwned"; no "its own key, far out" evil.sql 'holds \unrestrict where pg_dump does not write it'
made "\\unrestrict $key"; no "its own key, in a line" evil.sql 'holds a command of psql (\unrestrict)'
sed "s|^\\\\unrestrict.*|& \\\\! touch $tmp/pwned|" "$folder/$marys" > "$folder/evil.sql"; no "a command behind the key" evil.sql 'holds a command of psql (\unrestrict)'
{ cat "$folder/$marys"; echo "SELECT 1; \\! touch $tmp/pwned"; } > "$folder/evil.sql"; no "a command behind the end" evil.sql 'holds \unrestrict where pg_dump does not write it'
sed "s|^\\\\restrict|SELECT 1; \\\\! touch $tmp/pwned\n&|" "$folder/$marys" > "$folder/evil.sql"; no "a command before the key" evil.sql 'holds a command of psql (\unrestrict)'
rm "$folder/evil.sql"
refuses "no shell was started" test -e "$tmp/pwned"
is "and each dry run says so, too" "$(restore "$daily" st-marys -n; echo "$rc $(j '.steps[0].status')")" "1 refused"
is "nothing has changed" "$(world)" "$before"
no "an error half-way" fails.sql "psql: division by zero (nothing was changed)"
is "its certainty" "$(j .error.certainty)" "not done"
for bare in '' bare; do
  made "SELECT 1; \\! touch $tmp/pwned" $bare; no "a command behind a statement${bare:+, of an older pg_dump}" evil.sql "psql: backslash commands are restricted"
  made "SELECT 1 \\g |touch $tmp/pwned" $bare; no "a pipe behind a statement${bare:+, of an older pg_dump}" evil.sql "psql: backslash commands are restricted"
done
rm "$folder/evil.sql"
refuses "no shell was started there either" test -e "$tmp/pwned"
no "rows that are not there in the end" fewer.sql "has $(($(sql 'select count(*) from "st-marys".attendance') - 1)) rows, and the dump"
is "all is as it was" "$(world | sed 2d)" "$(sed 2d <<<"$before")"
remedy 'b:restore{ file = "x", scheme = "y" }'; has "an option that is not there" "$rc $(message)" 'no option "scheme"; there are file, schema'
remedy 'b:dump{ label = "../x" }'; has "a label that is no word" "$rc $(message)" "letters, digits"
remedy 'b:dump{ schema = "nowhere" }'; has "a schema that is not there" "$rc $(message)" "there is no schema nowhere"
restore "$(cd "$folder" && echo riverside_*)" riverside >/dev/null

# -- what depends on it -------------------------------------------------------------------------------
sandbox_reset; . "$tmp/sb/env"
sql 'create materialized view reporting.m as select count(*) from "st-marys".users; create table public.f (id bigint references "st-marys".students); create view public.v with (security_barrier) as select id from "st-marys".roles'
before=$(world)
no "what cannot be bound again is named" "$marys" "foreign key"
has "all of it" "$(message)" "materialized view reporting.m"
is "before anything was done" "$(world)" "$before"
sql 'drop table public.f; drop materialized view reporting.m'
restore "$marys" st-marys
is "a view keeps its options" "$rc $(sql "select reloptions from pg_class where oid = 'public.v'::regclass")" "0 {security_barrier=true}"
restore "$marys" st-marys; is "and once more" "$rc $(asides)" "0 2"

# -- folder, programs, disk ------------------------------------------------------------------------------
sandbox_reset; . "$tmp/sb/env"
cp runbook.config.lua saved.lua
with() { sed "s|backup  = .*|backup = { path = \"${2:-$folder}\"$1 },|" saved.lua > runbook.config.lua; }
with '' "$tmp/nowhere"; probe 'b:list()'; has "a folder that is not there" "$rc $(message)" "the folder $tmp/nowhere cannot be opened: No such file"
mkdir bin; with ", bin = \"$tmp/bin\""
remedy 'b:dump{}'; has "a program that is not there" "$rc $(message)" "$tmp/bin/pg_dump is not there"
no "not for a restore either" "$marys" "$tmp/bin/psql is not there"
printf '#!/bin/sh\necho "pg_dump (PostgreSQL) 9.6.24"\n' > bin/pg_dump; chmod 755 bin/pg_dump
remedy 'b:dump{}' -n; has "one that is too old for the server" "$rc $(message)$(j '.steps[0].reason')" "pg_dump is version 9.6.24, the server"
printf '#!/bin/sh\n[ "$1" = --version ] && { echo "pg_dump (PostgreSQL) 99.1"; exit; }\nfor a; do case $a in --file=*) head -c 5000 "%s" > "${a#*=}";; esac; done\n' "$folder/$marys" > bin/pg_dump
remedy 'b:dump{ schema = "st-marys" }'; has "a dump that is not whole is not kept" "$rc $(message) $(ls "$folder" | grep -c '^dump-')" "is truncated: its last line is not there 0"
printf '#!/bin/sh\n[ "$1" = --version ] && { echo "pg_dump (PostgreSQL) 99.1"; exit; }\nfor a; do case $a in --file=*) cat "%s" > "${a#*=}";; esac; done\n' "$folder/$marys" > bin/pg_dump
sql "insert into \"st-marys\".roles values (99, 'x')"
remedy 'b:dump{ schema = "st-marys" }'; has "nor one without all rows" "$rc $(message) $(ls "$folder" | grep -c '^dump-')" "st-marys.roles has 6 rows, and the dump 5: it was not kept 0"
mkdir small
if mount -t tmpfs -o size=100k none small 2>/dev/null; then
  with '' "$tmp/small"
  remedy 'b:dump{ schema = "greenwood_high" }'
  has "a full disk" "$rc $(message)" "no space left in $tmp/small; nothing of the dump was kept"
  is "nothing is left there" "$(ls -A small; df --output=used small | tail -1 | tr -d ' ')" 0
  umount small
  # an archive is taken apart in the folder
  mount -t tmpfs -o size=300k none small
  pg_dump -Fc -n '"st-marys"' -f small/one.dump "$SANDBOX_PG_URL"
  held=$(rows st-marys) were=$(asides)
  remedy 'b:restore{ file = "one.dump", schema = "st-marys" }'
  has "a full disk while one is restored" "$rc $(message)" "1 school_erp.backup: no space left in $tmp/small to take the schema out of one.dump"
  is "nothing was restored, and nothing is left there" "$(rows st-marys) $(asides) $(ls -A small)" "$held $were one.dump"
  umount small
else skip "a full disk" "no file system can be mounted here"; fi
with ", pg = \"postgresql://nobody:secret-word@127.0.0.1:$SANDBOX_PG_PORT/school_erp\""
remedy 'b:dump{}'; has "a wrong password" "$rc $(message)" "authentication failed"
hasnot "is not shown" "$out$err" secret-word
cp saved.lua runbook.config.lua
rb doctor; has "doctor looks at folder and programs" "$out$err" "pg_restore"

# -- killed in the middle: it is looked at, and not done twice ---------------------------------------------
cp "$folder/$marys" "$folder/slow.sql"
sed -i -e '/^\\\(un\)\?restrict/d' -e "s/^-- PostgreSQL database dump complete/SELECT pg_catalog.pg_sleep(2);\n&/" "$folder/slow.sql"
printf 'local b = system("school_erp").backup\nreturn runbook { title = "t", step "s" { remedy = function () b:restore{ file = "slow.sql", schema = "st-marys" } end } }\n' > r.lua
busy() { [ "$(admin "select count(*) from pg_stat_activity where application_name = 'runbook' and query like '%pg_sleep%'")" != 0 ]; }
until_() { for _ in {1..300}; do "$@" && return; sleep 0.1; done; return 1; }
idle() { ! busy; }
now=$(asides)
"$runbook" run r.lua --yes >/dev/null 2>&1 & pid=$!
ok "psql is at it" until_ busy
kill -9 $pid; wait $pid 2>/dev/null
rb resume --yes --json
is "while it is at it nobody knows: asked, not done again" "$(test "$rc" = 3 -o "$rc" = 6 && echo yes) $(j .status)" "yes in-doubt"
ok "it comes to its end" until_ idle
is "once" "$(asides)" $((now + 1))
for _ in {1..50}; do rb resume --yes --json; [ "$rc" = 0 ] && break; sleep 0.1; done
is "then it is found done" "$rc $(j .status) $(asides)" "0 done $((now + 1))"
"$runbook" run r.lua --yes --json >killed.json 2>/dev/null </dev/null & pid=$!
ok "again" until_ busy
admin "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'runbook' and query like '%pg_sleep%'" >/dev/null
wait $pid
is "the connection is lost: in doubt" "$? $(jq -r '.status + " " + .error.certainty' killed.json)" "6 in-doubt unknown"
is "nothing was changed" "$(asides)" $((now + 1))
cp "$folder/$marys" "$folder/slow.sql"
rb resume --yes --json
is "found not done, and done now" "$rc $(j .status) $(asides)" "0 done $((now + 2))"
rb drill r.lua; is "a crash at every point of it (drill)" "$rc" 0
remedy 'b:dump{ schema = "st-marys", label = "drilled" }'; rm "$folder"/drilled-*
printf '#!/bin/sh\nrm -f "%s"/drilled-*\n' "$folder" > again; chmod +x again
rb drill r.lua --crashes --reset ./again
has "and of a dump, which has another name each time" "$rc $out" "4 of 4 points held"
has "there has to be one of them" "$out" "file $folder/drilled-st-marys-TIME.sql"
