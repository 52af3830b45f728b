#!/usr/bin/env bash
# cookbook_test.sh - each recipe of docs/cookbook.md, on the sandbox: its dry run changes
# nothing and says what comes, its run does that, and its undo takes it back. The servers
# are asked, not the reports.
. "$(dirname "$0")/lib.sh"
sandbox_up
cd "$tmp" || exit 2
book=$top/examples/cookbook

erp() { psql -X -q -At -v ON_ERROR_STOP=1 "$SANDBOX_PG_URL" -c "$1"; }
cache() { redis-cli --no-auth-warning -u "$SANDBOX_REDIS_ADMIN_URL" "$@"; }
setting() { sed -n "s/^$2=//p" "$SANDBOX_DIR/$1/.env"; }
page() { curl -s -m 3 "$SANDBOX_HTTP_URL$1" | jq -r "$2"; }
kept() { jq -s -r "$1" "$SANDBOX_DIR/receivers/kept.jsonl"; }

# all that a recipe could have changed
world() {
  erp "SELECT pg_snapshot_xmax(pg_current_snapshot())"
  cache debug digest
  (cd "$SANDBOX_DIR" && find app polaris backups run receivers -type f -exec cksum {} + | sort)
}
# dry EXIT NAME ARGS...: its dry run changes nothing; $said: what it would do, one a line
dry() {
  local exit=$1 name=$2 before after; shift 2
  before=$(world)
  rb run "$book/$name.lua" "$@" -n --json; echo "$out" >dry.json
  after=$(world)
  is "$name: dry run: exit" "$rc" "$exit"
  is "$name: dry run: changes nothing" "$after" "$before"
  said=$(jq -r '.steps[] | .effects[] | select(.kind != "probe") | "\(.verdict): \(.summary)"' dry.json)
}
# real EXIT NAME ARGS...: its run; what it changes is what the dry run before it said
real() {
  local exit=$1 name=$2; shift 2
  rb run "$book/$name.lua" "$@" --yes --json; echo "$out" >real.json
  is "$name: run: exit" "$rc $(jq -r '.error.message // ""' real.json)" "$exit "
  ok "$name: as its dry run said" "$python" "$top/tests/fidelity" dry.json real.json "$name"
}
back() { rb undo --json; is "$1: undo: exit" "$rc $(jq -r '.error.message // ""' <<<"$out")" "0 "; }
finding() { jq -r --arg n "$1" '.findings[] | select(.name == $n) | "\(.value) \(.status)"' "${2:-real.json}"; }
reasons() { jq -r '.steps[] | .reason // empty' dry.json; }
steps() { jq -r '[.steps[] | .status] | join(" ")' "${1:-real.json}"; }

# -- the page and the files are the same -------------------------------------------------
mkdir doc
awk -v d=doc '/^<!-- file: .*\.lua -->$/ { f = d "/" $3; next }
  /^```/ { if (on) { on = 0; f = "" } else if (f != "") on = 1; next }
  on { print > f }' "$top/docs/cookbook.md"
ok "docs/cookbook.md has the files as they are, and all of them" diff -r doc "$book"
rb check "$book"/*.lua
is "check finds nothing" "$rc $(grep -v ': ok$' <<<"$out")" "0 "

# -- PostgreSQL ----------------------------------------------------------------------------
psql -X -q "$SANDBOX_PG_URL" -c "SET application_name = 'report'" -c BEGIN -c "UPDATE public.schools SET name = name" \
  -c "SELECT pg_sleep(60)" >/dev/null 2>&1 & holder=$!
blocked() { erp "SELECT count(*) FROM pg_stat_activity w, pg_stat_activity b WHERE b.pid = ANY (pg_blocking_pids(w.pid)) AND b.xact_start < now() - interval '1 s'"; }
for _ in {1..100}; do [ "$(erp "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")" = 0 ] || break; sleep 0.05; done
psql -X -q "$SANDBOX_PG_URL" -c "UPDATE public.schools SET status = status" >/dev/null 2>&1 & waiter=$!
for _ in {1..100}; do [ "$(blocked)" = 0 ] || break; sleep 0.05; done
dry 0 blocked_query after=1s
has "blocked_query: says whom it would end" "$said" "would do: SELECT calls pg_terminate_backend for 1 row"
has "blocked_query: and what that one does" "$(jq -r '.findings[0].value' dry.json)" "school_erp (report), active"
rb run "$book/blocked_query.lua" after=1s --json
is "blocked_query: without approval nobody is ended" "$rc $(blocked)" "3 1"
"$runbook" abandon "$(jq -r .run <<<"$out")" --yes >/dev/null 2>&1
real 0 blocked_query after=1s
wait $holder; is "blocked_query: the blocker was ended" $(($? != 0)) 1
ok "blocked_query: the query went on" wait $waiter
dry 0 blocked_query
is "blocked_query: nothing is blocked any more" "$(steps dry.json)" "done skipped"

erp "CREATE SCHEMA copy; DO \$\$ DECLARE t text; BEGIN
  FOR t IN SELECT table_name FROM information_schema.tables WHERE table_schema = 'st-marys' LOOP
    EXECUTE format('CREATE TABLE copy.%I AS TABLE %I.%I', t, 'st-marys', t);
  END LOOP; END \$\$"
dry 0 compare_schemas one=st-marys other=copy
real 0 compare_schemas one=st-marys other=copy
is "compare_schemas: all tables" "$(finding 'tables compared')" "15 ok"
erp "DELETE FROM copy.jobs WHERE id = 1; DROP TABLE copy.fees"
dry 1 compare_schemas one=st-marys other=copy
is "compare_schemas: a row less" "$(finding jobs dry.json)" "$(erp 'SELECT count(*) FROM "st-marys".jobs') here, $(erp 'SELECT count(*) FROM copy.jobs') there bad"
has "compare_schemas: a table less" "$(finding fees dry.json)" "here, no table there bad"
erp "DROP SCHEMA copy CASCADE" 2>/dev/null

failed() { erp "SELECT count(*) FROM greenwood_high.jobs WHERE status = 'failed'"; }
requeued() { erp "SELECT detail FROM greenwood_high.audit_log WHERE action = 'jobs.requeue'"; }
erp "UPDATE greenwood_high.jobs SET status = 'failed' WHERE id <= 30"
dry 1 requeue_jobs tenant=greenwood_high
has "requeue_jobs: too many: would refuse" "$(reasons)" "matches 30 rows"
rb run "$book/requeue_jobs.lua" tenant=greenwood_high --json
is "requeue_jobs: too many: refused" "$rc $(failed)" "1 30"
"$runbook" abandon "$(jq -r .run <<<"$out")" --yes >/dev/null 2>&1
erp "ALTER TABLE greenwood_high.audit_log ADD CONSTRAINT no CHECK (action <> 'jobs.requeue')"
rb run "$book/requeue_jobs.lua" tenant=greenwood_high most=50 --json
is "requeue_jobs: its second statement fails: the first is rolled back" "$rc $(failed)$(requeued)" "1 30"
"$runbook" abandon "$(jq -r .run <<<"$out")" --yes >/dev/null 2>&1
erp "ALTER TABLE greenwood_high.audit_log DROP CONSTRAINT no"
dry 0 requeue_jobs tenant=greenwood_high most=50
has "requeue_jobs: says both" "$said" "UPDATE matches 30 rows of greenwood_high.jobs; INSERT adds 1 row"
real 0 requeue_jobs tenant=greenwood_high most=50
is "requeue_jobs: both are done" "$(failed) $(requeued)" '0 {"jobs": 30}'

active() { erp "SELECT count(*) FILTER (WHERE active) || ' of ' || count(*) FROM riverside.users WHERE id IN (SELECT user_id FROM riverside.students WHERE class_id = (SELECT id FROM riverside.classes WHERE name = '7B'))"; }
erp "UPDATE riverside.users SET active = false WHERE id = (SELECT min(user_id) FROM riverside.students WHERE class_id = (SELECT id FROM riverside.classes WHERE name = '7B'))"
before=$(active)
dry 0 switch_class_off tenant=riverside class=7B
has "switch_class_off: says how many" "$said" "would do: UPDATE matches ${before%% *} rows of riverside.users"
real 0 switch_class_off tenant=riverside class=7B
is "switch_class_off: nobody is active" "$(active)" "0 of ${before##* }"
back switch_class_off
is "switch_class_off: those who were are, the other is not" "$(active)" "$before"
dry 1 switch_class_off tenant=riverside class=99Z

# -- files -----------------------------------------------------------------------------------
fees() { erp "SELECT count(*) FROM riverside.fees"; }
printf 'Admission No,Term,Amount,Due\nADM000029,summer,120.50,2027-01-31\nADM000030,summer,99,31.01.2027\n' >bad.csv
printf 'Admission No,Term,Amount,Due\nADM000029,summer,120.50,2027-01-31\nADM999999,summer,99,2027-01-31\n' >strange.csv
printf 'Admission No,Term,Amount,Due\nADM000029,summer,120.50,2027-01-31\nADM000030,summer,99,2027-01-31\n' >good.csv
before=$(fees)
dry 1 import_fees tenant=riverside sheet=bad.csv
is "import_fees: a sheet that is not as agreed" "$(finding sheet dry.json)/$said" "2 rows, 1 of them bad bad/"
dry 1 import_fees tenant=riverside sheet=strange.csv
has "import_fees: a student who is not there" "$(reasons)" "the INSERT matches 1 row, and rows = 2 is asked for"
dry 0 import_fees tenant=riverside sheet=good.csv
is "import_fees: says how many" "$said" "would do: INSERT adds 2 rows to riverside.fees"
real 0 import_fees tenant=riverside sheet=good.csv
is "import_fees: they are there" "$(fees) $(erp "SELECT sum(amount) FROM riverside.fees WHERE term = 'summer'")" "$((before + 2)) 219.50"
back import_fees
is "import_fees: and gone again" "$(fees)" "$before"

old() { erp "SELECT count(*) FROM riverside.audit_log WHERE at < '$day'"; }
day=$(date -u -d '2 days ago' +%F) before=$(old)
dry 0 dump_first tenant=riverside before="$day"
has "dump_first: says which dump" "$said" "would do: dump riverside to $SANDBOX_BACKUPS/before-delete-riverside-"
has "dump_first: says how many rows" "${said//,/}" "would do: DELETE matches $before rows of riverside.audit_log"
real 0 dump_first tenant=riverside before="$day"
is "dump_first: the rows are gone" "$((before > 0)) $(old)" "1 0"
is "dump_first: and in the dump" "$(sed -n '/^COPY riverside.audit_log /,/^\\\.$/p' "$SANDBOX_BACKUPS"/before-delete-riverside-*.sql | awk -F'\t' -v d="$day" '$2 < d && $1 + 0 > 0' | wc -l)" "$before"
back dump_first
has "dump_first: its undo says what stays" "$(jq -r '.steps[] | .reason // ""' <<<"$out")" "the rows are in the dump"

for _ in {1..30}; do
  printf '{"at":"%s","level":"warn","event":"LOGIN_FAILED","ip":"10.9.9.9","login_failures":3}\n' "$(date -u +%FT%T.000Z)"
done >>"$SANDBOX_LOG"
dry 0 who_fails since=5m
real 0 who_fails since=5m
is "who_fails: the address, and how often" "$(finding 10.9.9.9)" "30 bad"

dry 0 which_release
real 0 which_release
is "which_release: what git says" "$(finding release)" "$(git -C "$SANDBOX_APP" log -1 --format='%h %s') null"
is "which_release: each school" "$(finding greenwood_high) $(finding riverside)" "ready ok ready ok"
echo '{}' >>"$SANDBOX_APP/release.json"
dry 0 which_release
is "which_release: a file that was changed" "$(finding 'changed by hand' dry.json)" " M release.json bad"
git -C "$SANDBOX_APP" checkout -q release.json

# -- Redis -----------------------------------------------------------------------------------
for school in greenwood_high riverside; do page "/t/$school/dashboard" .tenant >/dev/null; done
cache mset 'cache:da*:1' one 'cache:dab:1' two >/dev/null
dry 0 forget_keys 'prefix=cache:da*:'
is "forget_keys: a prefix is no pattern" "$said" "would do: DEL cache:da*:1"
real 0 forget_keys 'prefix=cache:da*:'
is "forget_keys: those are gone, and no others" "$(cache exists 'cache:da*:1' cache:dab:1)" 1
back forget_keys
is "forget_keys: with what they held" "$(cache get 'cache:da*:1')" one
dry 1 forget_keys prefix=bull:notifications
dry 1 forget_keys prefix=cache:dashboard --limit redis_keys=1
has "forget_keys: more than the limit" "$(reasons)" "redis_keys"
cache del 'cache:da*:1' cache:dab:1 >/dev/null

message() { cache mget tenant:maintenance:message:{greenwood_high,riverside,st-marys} | paste -sd/; }
dry 0 each_school message=Soon
is "each_school: a step for each" "$(grep -c 'would do: SET tenant:maintenance:message:' <<<"$said")" 3
real 0 each_school message=Soon
is "each_school: all have it" "$(message)" Soon/Soon/Soon
back each_school
is "each_school: none has it" "$(message)" //
dry 0 each_school message=Soon --only announce-riverside
real 0 each_school message=Soon --only announce-riverside
is "each_school: one alone" "$(message)" /Soon/

cached=$(cache get cache:dashboard:greenwood_high)
dry 0 two_causes tenant=greenwood_high
is "two_causes: neither" "$(jq -c .cases dry.json)" '[]'
cache set cache:dashboard:greenwood_high "$(jq -c '.students = 1' <<<"$cached")" >/dev/null
dry 0 two_causes tenant=greenwood_high
is "two_causes: the cache is old" "$(jq -c .cases dry.json) $said" '["stale"] would do: DEL cache:dashboard:greenwood_high'
real 0 two_causes tenant=greenwood_high
is "two_causes: it is right again" "$(page /t/greenwood_high/dashboard .numbers.students)" 620
cache set cache:dashboard:greenwood_high "$(jq -c '.students = 1' <<<"$cached")" >/dev/null
erp "UPDATE greenwood_high.jobs SET status = 'failed' WHERE id <= 30"
rb run "$book/two_causes.lua" tenant=greenwood_high --json
is "two_causes: both: a person chooses" "$rc $(failed)" "3 30"
"$runbook" abandon "$(jq -r .run <<<"$out")" --yes >/dev/null 2>&1
dry 0 two_causes tenant=greenwood_high --case stuck
real 0 two_causes tenant=greenwood_high --case stuck
is "two_causes: the one that was chosen" "$(failed) $(cache exists cache:dashboard:greenwood_high)" "0 1"

# -- people ------------------------------------------------------------------------------------
sessions() { erp "SELECT count(*) FILTER (WHERE is_active) || ' ' || coalesce(max(revoke_reason), '') FROM \"st-marys\".user_sessions"; }
echo '{ "when": "not today" }' >no.json
echo '{ "when": "now", "who": "the principal", "told": "done" }' >yes.json
dry 7 ask_first tenant=st-marys
rb run "$book/ask_first.lua" tenant=st-marys --json
is "ask_first: nobody answers" "$rc $(jq -r .error.kind <<<"$out")" "3 question"
"$runbook" abandon "$(jq -r .run <<<"$out")" --yes >/dev/null 2>&1
before=$(sessions)
dry 0 ask_first tenant=st-marys --answers no.json
real 0 ask_first tenant=st-marys --answers no.json
is "ask_first: not today" "$(steps) $(sessions)" "done done skipped skipped $before"
dry 0 ask_first tenant=st-marys --answers yes.json
has "ask_first: says what it would write" "$(jq -r '.steps[].effects[].after.value // ""' dry.json)" "agreed with the principal"
real 0 ask_first tenant=st-marys --answers yes.json
is "ask_first: now" "$(steps) $(sessions)" "done done done manual 0 signed out"
is "ask_first: the answer stands beside each" "$(erp "SELECT count(*) FROM \"st-marys\".user_sessions WHERE revoke_reason = 'agreed with the principal'")" "${before%% *}"

dry 0 who_is_in
real 0 who_is_in
is "who_is_in: school by school" "$(finding greenwood_high) $(finding riverside)" "1203 null 611 null"
dry 0 sign_out tenant=riverside
is "sign_out: says how many" "$said" "would do: UPDATE matches 611 rows of riverside.user_sessions"
real 0 sign_out tenant=riverside
is "sign_out: with the reason of the schema" "$(erp "SELECT count(*) FROM riverside.user_sessions WHERE revoke_reason = 'Signed out by the desk'")" 611

# -- telling -------------------------------------------------------------------------------------
dry 0 pager
is "pager: GREEN: would close it" "$said" "would do: PagerDuty: resolve school-erp-red"
migration=$(erp "DELETE FROM public.schema_migrations WHERE version = 11 RETURNING applied_at")
dry 0 pager
has "pager: RED: would page" "$said" "would do: PagerDuty: trigger: School ERP is RED"
real 0 pager
real 0 pager
erp "INSERT INTO public.schema_migrations VALUES (11, '$migration')"
real 0 pager
is "pager: one incident, and closed" "$(kept '[.[] | .body | .event_action + " " + .dedup_key] | join("; ")')" \
  "trigger school-erp-red; trigger school-erp-red; resolve school-erp-red"
has "pager: with the alerts" "$(kept '.[0].body.payload.custom_details.alerts[].code')" MIGRATION_MISSING

curl -s -X DELETE "$SANDBOX_RECEIVERS_URL/kept"
dry 0 ticket title="Reports are slow"
has "ticket: says all of it" "$(jq -r '.steps[1].effects[0].after.value' dry.json)" '"title":"Reports are slow"'
curl -s -d '{"webhook": ["drop"]}' "$SANDBOX_RECEIVERS_URL/control"
real 0 ticket title="Reports are slow"
is "ticket: no answer: sent again, with one key" "$(kept '[.[] | .status] | map(tostring) | join(" ")') $(kept '[.[].headers."idempotency-key"] | unique | length')" "null 200 1"
has "ticket: signed" "$(kept '.[1].headers."runbook-signature"')" "sha256="
is "ticket: as it was said" "$(kept '.[1].body | .title + ", " + .health')" "Reports are slow, GREEN"

curl -s -X DELETE "$SANDBOX_RECEIVERS_URL/kept"
if [ -n "$SANDBOX_SMTP_PORT" ]; then
  dry 0 open_fees tenant=riverside
  is "open_fees: says to whom" "$said" "would do: office@riverside.example: Open fees"
  real 0 open_fees tenant=riverside
  is "open_fees: the list is attached" "$(kept '.[0] | .subject + ", " + .parts[1].name + ": " + (.parts[1].content | split("\n")[0])' | tr -d '\r')" \
    "Open fees, open-fees.csv: admission_no,name,term,amount,due"
  is "open_fees: all of them" "$(kept '.[0].parts[1].content' | grep -c ^ADM)" "$(erp "SELECT count(*) FROM riverside.fees WHERE paid_at IS NULL")"
else
  skip "open_fees" "no mail server here: python3-aiosmtpd"
fi

# -- servers ---------------------------------------------------------------------------------------
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
  -keyout key.pem -out cert.pem -days 40 -subj /CN=127.0.0.1 2>/dev/null
port=$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
openssl s_server -accept "127.0.0.1:$port" -cert cert.pem -key key.pem -quiet >/dev/null 2>&1 </dev/null & tls=$!
for _ in {1..100}; do (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break; sleep 0.05; done
dry 0 side_by_side certificates="127.0.0.1:$port,127.0.0.1:1"
real 0 side_by_side certificates="127.0.0.1:$port,127.0.0.1:1"
kill $tls; wait $tls 2>/dev/null
is "side_by_side: the pages" "$(finding /health) $(finding /health/golive)" "200 ok 200 ok"
has "side_by_side: a certificate" "$(finding "127.0.0.1:$port")" "signed by nobody but itself"
has "side_by_side: nobody there" "$(finding 127.0.0.1:1)" "Connection refused"

dry 0 imports
is "imports: says which switch" "$said" "would do: SET feature:pathful_imports off"
real 0 imports
is "imports: off" "$(curl -s "$SANDBOX_POLARIS_URL/features/pathful_imports" | jq .enabled)" false
dry 0 imports --case on
real 0 imports --case on
is "imports: on again" "$(curl -s "$SANDBOX_POLARIS_URL/features/pathful_imports" | jq .enabled)" true
back imports
is "imports: as it was before that" "$(curl -s "$SANDBOX_POLARIS_URL/features/pathful_imports" | jq .enabled)" false

dry 0 change_setting value=3
is "change_setting: stop, set, start" "$(cut -d: -f1 <<<"$said" | paste -sd,)" "would do,would do,would do"
real 0 change_setting value=3
is "change_setting: the server has it" "$(page /health/golive/pilot .maxSchools)" 3
back change_setting
is "change_setting: and the old one again" "$(page /health/golive/pilot .maxSchools) $(setting app MAX_SCHOOLS)" "2 2"

dry 0 rotate_token
is "rotate_token: says whose" "$(grep -c TOKEN <<<"$said")" 2
real 0 rotate_token
new=$(setting app POLARIS_TOKEN)
is "rotate_token: both have it" "${#new} $(setting polaris ERP_TOKEN)" "43 $new"
hasnot "rotate_token: nobody sees it" "$(cat dry.json real.json; "$runbook" report --json; strings "$XDG_STATE_HOME"/runbook/tape.db*)" "$new"
is "rotate_token: both answer" "$(page /health/ready .status) $(curl -s -o /dev/null -w '%{http_code}' "$SANDBOX_POLARIS_URL/health")" "ok 200"
back rotate_token
is "rotate_token: as it was" "$(setting app POLARIS_TOKEN)$(setting polaris ERP_TOKEN) $(page /health/ready .status)" " ok"

dry 7 queue_empty
is "queue_empty: waits for it" "$(finding 'jobs that wait' dry.json) $(steps dry.json)" "4 null done deferred planned"
(sleep 1; cache del bull:notifications:wait >/dev/null) &
real 0 queue_empty
is "queue_empty: stopped" "$(page /health .status) $(cache llen bull:notifications:wait)" " 0"
back queue_empty
for _ in {1..50}; do [ -z "$(page /health/ready .status)" ] || break; sleep 0.1; done
is "queue_empty: and started again" "$(page /health/ready .status)" ok

dry 0 start_again
is "start_again: it runs: nothing to do" "$said" "nothing to do: start school-erp-server"
"$top/examples/sandbox/sandbox" variant crashed "$tmp/sb" >/dev/null 2>&1; . "$tmp/sb/env"
dry 0 start_again
is "start_again: says that it would" "$said" "would do: start school-erp-server"
real 0 start_again
is "start_again: it is ready" "$(page /health/ready .status)" ok
back start_again
is "start_again: as it was before: away" "$(page /health/ready .status)" ""
