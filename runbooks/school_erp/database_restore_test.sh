#!/usr/bin/env bash
# database_restore on the sandbox: a lost schema and a migration that ended half-way are found and
# restored, and taken back; snapshots that will not do; a full disk; killed in the middle.
. "$(dirname "$0")/../../tests/lib.sh"
sandbox_up
cd "$tmp" || exit 2
variant() { "$top/examples/sandbox/sandbox" variant "$1" "$tmp/sb" > variant.log 2>&1 || { cat variant.log; fail "variant $1"; }; . "$tmp/sb/env"; }
db=${SANDBOX_PG_ADMIN_URL%/*}/school_erp
folder=$SANDBOX_BACKUPS
redis() { redis-cli -u "$SANDBOX_REDIS_ADMIN_URL" --no-auth-warning "$@"; }
sql() { psql -XqAt -v ON_ERROR_STOP=1 "$SANDBOX_PG_URL" -c "$1"; }
admin() { psql -XqAt -v ON_ERROR_STOP=1 "$db" -c "$1"; }
code() { curl -s -o /dev/null -w '%{http_code}' "$SANDBOX_HTTP_URL/t/$1/dashboard"; }
j() { jq -r "$1" <<<"$out"; }
found() { jq -r --arg n "$1" '.findings[] | select(.name == $n) | .value' <<<"$out"; }
ended() { j '.steps[] | select(.status == "failed" or .status == "in-doubt") | .id'; }
kept() { cat "$SANDBOX_RECEIVERS/kept.jsonl"; }
mails() { kept | grep -c "$1"; }
schema() { pg_dump --schema="\"$1\"" "$db" | grep -v '^\\\(un\)\?restrict' | sha256sum; }
others() { for s in $(sql "select schema_name from public.schools where schema_name <> '$1'"); do schema "$s"; done; }
asides() { sql "select count(*) from pg_namespace where nspname like '%\_\_before\_%' or nspname like '%\_\_after\_%'"; }
dumps() { find "$folder" -name 'emergency-*.sql' | wc -l; }
of() { (cd "$folder" && echo "$1"_2*); }
world() {
  pg_dump "$db" | grep -v '^\\\(un\)\?restrict' | sha256sum
  admin "select pg_snapshot_xmax(pg_current_snapshot())"
  redis debug digest
  ls -lA "$folder" | sha256sum; kept | sha256sum
}
run() { rb run database_restore.lua tenant="${T:-greenwood_high}" --json "$@"; }
give_up() { "$runbook" abandon "$(j .run)" --yes > /dev/null 2>&1; }

# -- the schema is gone ---------------------------------------------------------------------
variant lost-tables
before=$(world)
T=riverside run -n
dry=$out
is "lost: the dry run says what it would do" "$(j '[.steps[].effects[] | select(.verdict == "would do") | .verb] | join(" ")')" \
  "backup.dump mail.send redis.set redis.set backup.restore redis.del redis.del mail.send"
is "lost: and changes nothing, tells nobody" "$rc $(world)" "0 $before"
has "lost: found by itself, with its evidence" "$err$(j '.cases | join(",")') $(found 'table students')" "restore no rows now, 310 in the snapshot"
is "lost: the newest snapshot that will do, not the newest" "$(found snapshot)" "$(of riverside)"
has "lost: the nightly one will not" "$(found "$(of daily | sed 's/_/-/')")$(j '.findings[] | select(.name | startswith("daily-")) | .value')" "holds a whole database"
T=riverside run
is "lost: the tech lead and the CTO are asked" "$rc $(world)" "3 $before"
away=$(others riverside)
T=riverside run --yes
is "lost: for real" "$rc $(j .status)" "0 done"
is "lost: it did what the dry run said" "$(j '[.steps[].effects[] | select(.kind == "remedy") | [.verb, .before, .after]]')" \
  "$(jq -r '[.steps[].effects[] | select(.kind == "remedy") | [.verb, .before, .after]]' <<<"$dry")"
is "lost: every verification passed" "$(j '[.steps[] | select(.verify != null) | .verify] | unique | join(",")')" passed
is "lost: its tables and rows" "$(found restored)" "15 tables, 12092 rows"
is "lost: the rows are those of the snapshot" "$(sql 'select count(*) from riverside.attendance')" "$(sed -n '/^COPY riverside.attendance /,/^\\\.$/p' "$folder/$(of riverside)" | sed '1d;$d' | wc -l)"
is "lost: it is served again, without a page" "$(code riverside) $(redis exists tenant:maintenance:riverside tenant:maintenance:message:riverside)" "200 0"
is "lost: the others are byte for byte as they were" "$(others riverside)" "$away"
is "lost: what was there was dumped before, for its owner alone" "$(dumps) $(stat -c %a "$folder"/emergency-*)" "1 600"
refuses "lost: and it is of before" grep -q '^CREATE SCHEMA riverside' "$folder"/emergency-*
is "lost: the admin is told twice, at the address of the settings" "$(mails 'Expected downtime: 15 minutes') $(mails 'Maintenance complete') $(mails office@riverside.example)" "1 1 2"
has "lost: what has to be entered again" "$(kept)" "What was entered after that has to be entered again"
rb undo -n; is "lost: undo, dry" "$rc $(code riverside)" "0 200"
rb undo --yes --json
is "lost: undone: it is gone again, the restored one kept" "$rc $(sql "select count(*) from pg_namespace where nspname = 'riverside'") $(asides) $(redis exists tenant:maintenance:riverside)" "0 0 1 0"

# -- a migration that ended half-way ---------------------------------------------------------
variant bad-migration
before=$(schema greenwood_high) all=$(world)
run -n
is "migration: the dry run changes nothing" "$rc $(world)" "0 $all"
is "migration: the table that is gone" "$(found 'table fees')" "no rows now, 1240 in the snapshot"
is "migration: the rows that are" "$(found 'table exam_results')" "352 rows now, 1860 in the snapshot"
is "migration: the table that it made would be lost" "$(found 'table fee_instalments')" "0 rows now, no such table in the snapshot"
rb run database_restore.lua tenant=greenwood_high -n
has "migration: that decides the case" "$out" "exam_results has 352 rows of 1860; the table fees is gone"
away=$(others greenwood_high)
run --yes
is "migration: for real" "$rc $(j .status) $(sql 'select count(*) from greenwood_high.fees') $(sql 'select count(*) from greenwood_high.exam_results')" "0 done 1240 1860"
aside=$(sql "select nspname from pg_namespace where nspname like 'greenwood\_high\_\_before\_%'")
is "migration: the live one is kept beside it, named after the run" "${aside#greenwood_high__before_}" "$(j .run | tr A-Z a-z)"
is "migration: the others are as they were" "$(others greenwood_high)" "$away"
hasnot "migration: views outside read the restored tables" "$(sql "select pg_get_viewdef('reporting.sessions_by_school'::regclass)")" "__"
run -n
is "again: there is nothing to do" "$rc $(j '.cases | length')" "0 0"
rb undo --yes --json
is "migration: undone: as it was, byte for byte" "$rc $(schema greenwood_high) $(code greenwood_high)" "0 $before 200"

# -- healthy, forced, already away --------------------------------------------------------------
variant healthy
sql "update greenwood_high.users set name = 'wrong'; delete from greenwood_high.jobs; insert into greenwood_high.roles values (77, 'new')"
run --yes
is "wrong values: nothing is missing, so nothing is restored" "$rc $(j '.cases | length') $(j '[.steps[].effects[] | select(.kind == "remedy")] | length')" "0 0 0"
has "and how it can be, all the same" "$err" "say --case restore"
redis set tenant:blocked:greenwood_high true ex 3600 > /dev/null
run --case restore snapshot="$(of greenwood_high)" --yes
is "asked for, of that snapshot" "$rc $(found snapshot) $(sql "select count(*) from greenwood_high.users where name = 'wrong'")" "0 $(of greenwood_high) 0"
is "a school that was away before stays away" "$(redis get tenant:blocked:greenwood_high) $(redis exists tenant:maintenance:greenwood_high) $(code greenwood_high)" "true 0 503"
is "a page that was not ours is not mentioned" "$(j '[.steps[].effects[] | select(.kind == "remedy") | .verb] | join(" ")')" "backup.dump backup.restore"
sed 's/greenwood_high = { school = [^}]*},//' runbook.config.lua > other.lua
variant bad-migration
RUNBOOK_CONFIG=$tmp/other.lua run page=no --yes
is "an admin whom the settings do not know is told by a person" "$rc $(j .status) $(dumps)" "3 stopped 1"
echo '{ "tell-the-school-s-admin-by-hand-that-it-is-away": "done", "tell-the-school-s-admin-by-hand-that-it-is-back": "done" }' > told.json
RUNBOOK_CONFIG=$tmp/other.lua rb resume --answers told.json --json
is "and then it is done, once" "$rc $(j .status) $(dumps) $(sql 'select count(*) from greenwood_high.fees') $(mails office@)" "0 done 1 1240 0"

# -- snapshots that will not do: before anything was changed -----------------------------------------
variant bad-migration
green=$(of greenwood_high)
old() { mv "$folder/$1" "$tmp/kept.$1"; }
head -c 150000 "$folder/$green" > "$folder/cut.sql"
: > "$folder/empty.sql"
sed 's/^-- Dumped from database version .*/-- Dumped from database version 99.1/' "$folder/$green" > "$folder/newer.sql"
before=$(world)
no() { run snapshot="$2" --yes; has "$1" "$rc $(j .error.message)" "$3"; [ "$rc" = 1 ] && give_up; }
no "truncated" cut.sql "1 school_erp.backup: $folder/cut.sql is truncated"
no "empty" empty.sql "empty.sql is empty"
no "of a newer server" newer.sql "1 newer.sql is of PostgreSQL 99, and the server is"
no "of another school" "$(of riverside)" "holds riverside, not greenwood_high"
no "of the whole database" "$(cd "$folder" && echo daily-*)" "one school cannot be taken out of a plain dump"
no "that is not there" nothing.sql "there is no dump $folder/nothing.sql"
is "and nothing was changed, nobody was told" "$(world)" "$before"
T=reporting run --yes; has "a schema that is no school" "$rc $(j .error.message)" "no school with the schema 'reporting' is registered"; give_up
run -n; is "by itself it takes none of those" "$rc $(found snapshot)" "0 $green"
touch "$folder/cut.sql"; old "$green"
run --yes; has "where there is none it says so" "$rc $(j .error.message)" "of greenwood_high alone (cut.sql"; give_up
cp "$tmp/kept.$green" "$folder/emergency-greenwood_high-20260101-000000.sql"
run -n; is "one that was taken in an emergency is never chosen" "$rc $(ended | head -1)" "1 which-snapshot-is-the-last-good-one"
pg_dump -Fc -f "$folder/daily.dump" "$SANDBOX_PG_URL"
run -n; is "the whole database in the custom format will do" "$rc $(found snapshot)" "0 daily.dump"
mv "$tmp/kept.$green" "$folder/$green"
sql 'create table public.f (id bigint references greenwood_high.students)'
run snapshot="$green" --yes
has "a foreign key from outside" "$rc $(j .error.message) $(dumps)" "1 drop or change it first: foreign key f 1"
give_up
sql 'drop table public.f'
rm "$folder"/emergency-*

# -- a full disk, a database that is not ready -----------------------------------------------------------
before=$(schema greenwood_high)
XDG_STATE_HOME=$tmp/state.small  # the limit is for the dump: a tape that grew would meet it before
out=$(ulimit -f 1500; "$runbook" run database_restore.lua tenant=greenwood_high snapshot="$green" --yes --json 2>/dev/null </dev/null)
is "a disk that is full at the emergency snapshot: it stops there" "$(j .exit) $(ended) $(dumps) $(ls -A "$folder" | grep -c runbook)" "1 take-an-emergency-snapshot-of-everything 0 0"
is "the school is as it was, and served" "$(schema greenwood_high) $(code greenwood_high) $(mails office@)" "$before 200 0"
rb resume --json
is "with room it goes on, and tells the admin once" "$rc $(dumps) $(sql 'select count(*) from greenwood_high.fees') $(mails 'Expected downtime')" "0 1 1240 1"
variant bad-migration
before=$(schema greenwood_high)
sed "/^COPY greenwood_high.roles /,/^\\\\\\.$/s/admin/adm1n/" "$folder/$green" > "$folder/noadmin.sql"
run snapshot=noadmin.sql --yes
has "a snapshot after which the school is not ready" "$rc $(ended) $(j .error.message)" "1 is-the-school-ready greenwood_high is ready: FAILED  admin user created (f). It stays away; "
is "it stays behind the page" "$(code greenwood_high) $(mails 'Maintenance complete')" "503 0"
rb undo --yes --json
is "undone: what was there is there again, and served" "$rc $(schema greenwood_high) $(code greenwood_high)" "0 $before 200"

# -- killed in the middle ---------------------------------------------------------------------------------
variant bad-migration
sed -e '/^\\\(un\)\?restrict/d' -e "s/^-- PostgreSQL database dump complete/SELECT pg_catalog.pg_sleep(2);\n&/" "$folder/$green" > "$folder/slow.sql"
busy() { [ "$(admin "select count(*) from pg_stat_activity where application_name = 'runbook' and query like '%pg_sleep%'")" != 0 ]; }
idle() { ! busy; }
until_() { for _ in {1..300}; do "$@" && return; sleep 0.1; done; return 1; }
"$runbook" run database_restore.lua tenant=greenwood_high snapshot=slow.sql --yes >/dev/null 2>&1 </dev/null & pid=$!
ok "killed: psql is at it" until_ busy
kill -9 $pid; wait $pid 2>/dev/null
is "killed: until it has ended the school has what it had" "$(sql "select to_regclass('greenwood_high.fees') is null")" t
ok "killed: psql comes to its end" until_ idle
for _ in {1..50}; do rb resume --yes --json; [ "$rc" = 0 ] && break; sleep 0.1; done
is "resumed: the restore is found done, and not done again" "$rc $(j .status) $(asides) $(dumps)" "0 done 1 1"
is "and the rest is: it is served, everybody was told once" "$(code greenwood_high) $(sql 'select count(*) from greenwood_high.fees') $(mails 'Expected downtime') $(mails 'Maintenance complete')" "200 1240 1 1"
