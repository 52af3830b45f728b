#!/usr/bin/env bash
# tenant_maintenance on the sandbox: the dry run changes nothing (the servers are asked) and says
# what the real run does; the dump is of before the sessions were revoked; no way back for a
# school that is not ready; undo.
. "$(dirname "$0")/../../tests/lib.sh"
sandbox_up
cd "$tmp" || exit 2
redis() { redis-cli -u "$SANDBOX_REDIS_ADMIN_URL" --no-auth-warning "$@"; }
sql() { psql -XqAt "$SANDBOX_PG_URL" -c "$1"; }
admin() { psql -XqAt "${SANDBOX_PG_ADMIN_URL%/*}/school_erp" -c "$1"; }
code() { curl -s -o /dev/null -w '%{http_code}' "$SANDBOX_HTTP_URL/t/$1/dashboard"; }
j() { jq -r "$1" <<<"$out"; }
kept() { cat "$SANDBOX_RECEIVERS/kept.jsonl"; }
mails() { kept | grep -c 'Maintenance complete'; }
dumps() { find "$SANDBOX_BACKUPS" -name "forensic-${1:-greenwood_high}-*.sql" | wc -l; }
world() {
  pg_dump "${SANDBOX_PG_ADMIN_URL%/*}/school_erp" | grep -v '^\\\(un\)\?restrict' | sha256sum
  admin "select pg_snapshot_xmax(pg_current_snapshot())"
  redis debug digest
  sha256sum "$SANDBOX_DOTENV"; ls -lA "$SANDBOX_APP" "$SANDBOX_BACKUPS" | sha256sum; kept | sha256sum
}
run() { rb run tenant_maintenance.lua tenant="${T:-greenwood_high}" --json "$@"; }
printf '{ "speak-with-the-school-s-principal": "yes", "is-the-cause-found-and-mended": "yes" }' > yes.json

# -- in: dry, and for real --------------------------------------------------------------
before=$(world) rows=$(sql "select count(*) from greenwood_high.user_sessions where is_active")
run --dry-run
dry=$out
ok "the dry run exits 0 or 7 (it was $rc)" test "$rc" = 0 -o "$rc" = 7
is "it changed nothing, and told nobody" "$(world)" "$before"
is "the page first, then the dump, then the sessions" "$(j '[.steps[].effects[] | select(.verdict == "would do") | .verb] | join(" ")')" "redis.set redis.set backup.dump pg.exec"
is "the texts" "$(j '[.steps[].effects[] | select(.verb == "redis.set") | .after.value] | join("|")')" "System maintenance in progress. Expected completion: 2 hours.|true"
is "the sessions, counted" "$(j '.steps[].effects[] | select(.verb == "pg.exec") | .rows')" "$rows"
run --answers yes.json
is "without --yes it stops for the CTO" "$rc $(world)" "3 $before"
others=$(sql 'select count(*) from riverside.user_sessions where is_active')
run --yes --answers yes.json
is "for real" "$rc $(j .status)" "0 done"
is "it did what the dry run said" "$(j '[.steps[].effects[] | select(.kind == "remedy") | [.verb, .before, .after, .rows]]')" \
  "$(jq -r '[.steps[].effects[] | select(.kind == "remedy") | [.verb, .before, .after, .rows]]' <<<"$dry")"
is "every verification passed" "$(j '[.steps[] | select(.verify != null) | .verify] | unique | join(",")')" passed
is "the school is away, the others are served" "$(code greenwood_high) $(code riverside) $(code st-marys)" "503 200 200"
has "its people read why" "$(curl -s "$SANDBOX_HTTP_URL/t/greenwood_high/dashboard")" "Expected completion: 2 hours."
is "its keys do not expire" "$(redis get tenant:maintenance:greenwood_high) $(redis ttl tenant:maintenance:greenwood_high)" "true -1"
is "its sessions are revoked, with the reason" "$(sql "select count(*) from greenwood_high.user_sessions where revoke_reason = 'Emergency maintenance mode activated'")" "$rows"
is "nobody else's are" "$(sql 'select count(*) from riverside.user_sessions where is_active')" "$others"
is "one dump, for its owner alone" "$(dumps) $(stat -c %a "$SANDBOX_BACKUPS"/forensic-*)" "1 600"
refuses "of before the sessions were revoked" grep -q 'Emergency maintenance mode activated' "$SANDBOX_BACKUPS"/forensic-*
run --yes --answers yes.json
is "again: there is nothing to do" "$rc $(j '.cases | length') $(dumps)" "0 0 1"

# -- back: not before it is ready -----------------------------------------------------------
sql 'update greenwood_high.users set active = false where role_id in (select id from greenwood_high.roles where name = '"'admin'"')'
run --case disable --yes --answers yes.json
is "not ready: it stays away" "$rc $(code greenwood_high) $(mails)" "1 503 0"
has "and why" "$(j .error.message)" "greenwood_high is not ready, and stays in maintenance: FAILED  admin user created"
sql 'update greenwood_high.users set active = true where role_id in (select id from greenwood_high.roles where name = '"'admin'"')'
before=$(world)
run --case disable --dry-run
is "the way back, dry: preflight is asked, nothing changes, nobody is told" "$(j '.findings[] | select(.name == "preflight") | .value') $(world)" "ready $before"
is "it names the changes and the mail" "$(j '[.steps[].effects[] | select(.verdict == "would do") | .verb] | join(" ")')" "redis.del redis.del mail.send"
run --case disable --yes
is "a person has to say that it is mended" "$rc $(code greenwood_high)" "3 503"
run --case disable --yes --answers yes.json
is "the way back" "$rc $(j .status) $(code greenwood_high)" "0 done 200"
is "no key is left" "$(redis exists tenant:maintenance:greenwood_high tenant:maintenance:message:greenwood_high)" 0
is "the admin is told, once" "$(mails)" 1
has "at the address of the settings" "$(kept)" "office@greenwood-high.example"

# -- undo; a school with a hyphen; a school that is lost ---------------------------------------
T=st-marys run message='Back at noon.' --yes --answers yes.json
is "st-marys, with another message" "$rc $(redis get tenant:maintenance:message:st-marys) $(dumps st-marys)" "0 Back at noon. 1"
rb undo --yes --json
is "undone: it is served, the dump stays" "$rc $(code st-marys) $(redis exists tenant:maintenance:st-marys) $(dumps st-marys)" "0 200 0 1"
T=nowhere run --yes; is "a school that is not there" "$rc" 1
mv "$SANDBOX_BACKUPS" "$SANDBOX_BACKUPS.away"
T=st-marys run --dry-run; has "without the backup folder the dry run says so" "$rc $(j '[.steps[] | select(.status == "refused") | .id] | join(",")')" "1 take-the-forensic-dump"
active=$(sql 'select count(*) from "st-marys".user_sessions where is_active')
T=st-marys run --yes --answers yes.json
is "for real it stops there: away, and no session touched" "$rc $(code st-marys) $(sql 'select count(*) from "st-marys".user_sessions where is_active')" "1 503 $active"
