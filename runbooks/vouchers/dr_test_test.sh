#!/usr/bin/env bash
# vouchers/dr_test on the sandbox, one variant after the other: the whole tabletop, what stops it and
# what it goes on with, what it writes down, whom it tells; that production is only read.
. "$(dirname "$0")/../../tests/lib.sh"
sandbox_up
cd "$tmp" || exit 2
variant() { "$top/examples/sandbox/sandbox" variant "vouchers-$1" "$tmp/sb" > variant.log 2>&1 || { cat variant.log; fail "variant $1"; }; . "$tmp/sb/env"
            docs=$SANDBOX_VOUCHERS/docs bucket=$SANDBOX_VOUCHERS/bucket; }
db() { psql -qAt "${SANDBOX_PG_ADMIN_URL%/*}/$1" -c "$2"; }
j() { jq -r "$1" <<<"$out"; }
found() { jq -r --arg n "$1" '.findings[] | select(.name == $n) | .value' <<<"$out"; }
status() { jq -r --arg n "$1" '.findings[] | select(.name == $n) | .status' <<<"$out"; }
step() { jq -r --arg n "$1" '.steps[] | select(.id == $n) | .status' <<<"$out"; }
kept() { jq -s -r "$1" "$SANDBOX_RECEIVERS/kept.jsonl"; }
dump() { pg_dump "${SANDBOX_PG_ADMIN_URL%/*}/$1" | grep -v '^\\\(un\)\?restrict' | sha256sum; }
production() { dump vouchers; sha256sum "$SANDBOX_VOUCHERS/production/.env"; }
world() { db vouchers 'select pg_snapshot_xmax(pg_current_snapshot())'; (cd "$SANDBOX_VOUCHERS" && find docs out bucket production staging -type f -exec sha256sum {} + | sort); kept length; }
asides() { db vouchers_staging "select count(*) from pg_namespace where nspname like 'vouchers\_\_before%'"; }
give_up() { local id; id=$(j .run); [ "$id" = null ] || rb abandon "$id" --yes; }
book() { rb run dr_test --json --answers answers.json "$@"; }
answers() {  # more as a JSON object
  jq -n --argjson more "${1:-{\}}" '{
    "acknowledged-incident-commander": "40s", "acknowledged-data-platform-lead": "1m30s",
    "acknowledged-support-manager": "2m", "acknowledged-stakeholder-communications": "5m",
    "review-the-holding-statement": "done", "review-the-cutover-checklist": "done: DNS first",
    "rollback-owner": "dana", "findings": "none", "new-controls": "none" } + $more' > answers.json
}
day=$(date -u +%F)
rb run dr_test --dry-run
has "before the application is there: it says so" "$rc $err$out" "no system 'vouchers' on target 'local'"

# -- healthy: dry, for real, and back ------------------------------------------------------
variant healthy
answers '{ "findings": "The runbook link was old | casey | 2027-01-31; Nobody knew the phone tree | sam | 2027-02-15", "new-controls": "Restore is rehearsed each quarter" }'
before=$(world)
book --dry-run
is "the dry run changes nothing, and tells nobody" "$rc $(world)" "7 $before"
is "it names what it would do" "$(j '[.steps[].effects[] | select(.verdict == "would do") | .verb] | unique | join(" ")')" \
  "exec.run file.write http.post pagerduty.resolve pagerduty.trigger slack.post"
is "in the last step that can be known" "$(found 'next exercise' | grep -cE '^20[0-9]{2}-(01|04|07|10)-0[1-7], 14:00 UTC$')" 1
has "the last findings are shown" "$(found 'last finding 1')" '2024-10-01: Snapshot manifest fetch initially failed (HTTP 401)'
has "both" "$(found 'last finding 2')" 'Storage sync took 11 minutes'
is "four take part" "$(found 'Incident Commander') $(found 'Data Platform Lead') $(found 'Support Manager') $(found 'Stakeholder Communications')" \
  "$(id -un) (on-call engineer) dana sam casey (Customer Success lead)"
kept_before=$(production)
book --yes
is "the tabletop" "$rc $(j .status)" "0 done"
is "every verification passed" "$(j '[.steps[] | select(.verify) | .verify] | unique | join(",")')" passed
is "production is as it was" "$(production)" "$kept_before"
is "who was told" "$(kept '[.[] | .service + " " + (.body.event_action // .to)] | join(", ")')" "pagerduty trigger, pagerduty resolve, slack ops-status"
is "by what name, and that it is no alarm" "$(kept '.[0].body.payload | .summary + " " + .severity')" "DR-Tabletop info"
is "with one key" "$(kept '[.[] | .body.dedup_key // empty] | unique | join(" ")')" "dr-tabletop-$day"
has "the statement is a draft" "$(kept '.[] | select(.service == "slack") | .body.text')" "DRAFT for review, DR-Tabletop exercise of $day. Not for customers."
is "who acknowledged when, on the very limit too" "$(found 'acknowledged: Stakeholder Communications') $(status 'acknowledged: Stakeholder Communications')" "after 5 min 0 s ok"
has "the destination" "$(found destination)" 's3://voucher-backups/dr-tabletop/vouchers-'
has "the runtime" "$(found runtime)" ' s (here '
is "the row counts" "$(found 'row counts' | awk '$1 == "vouchers" || $1 == "voucher_events"' | xargs)" "voucher_events 546 546 546 yes vouchers 420 420 420 yes"
is "they are those of production" "$(found 'row counts' | awk '$1 == "notifications" { print $2 }')" "$(db vouchers 'select count(*) from vouchers.notifications')"
is "staging has what production has, and what the smoke tests wrote" "$(db vouchers_staging 'select count(*) from vouchers.vouchers')" 422
is "what it had is kept beside it" "$(asides) $(db vouchers_staging "select count(*) from $(db vouchers_staging "select quote_ident(nspname) from pg_namespace where nspname like 'vouchers\_\_before%'").vouchers")" "1 300"
is "one message, a test" "$(db vouchers_staging "select count(*) from vouchers.notifications where status = 'test'")" 1
report=$docs/incidents/dr-tabletop-$day.md
has "the report: the table" "$(cat "$report")" "vouchers             420     420       420  yes"
has "the acknowledgements" "$(cat "$report")" '- Data Platform Lead (dana): after 1 min 30 s'
has "the smoke tests" "$(cat "$report")" '- Station redeem: passed'
has "the rollback owner" "$(cat "$report")" 'Rollback owner: dana'
for link in $(grep -o 'templates/[^)]*' "$report"); do ok "its link leads to a draft: ${link##*"$day"-}" test -s "$docs/incidents/$link"; done
is "three drafts" "$(ls "$docs/incidents/templates" | sed "s/$day-//" | xargs)" "escalation-email.md holding-statement.md status-page.md"
has "the findings, with owner and day" "$(grep -A4 '^### Latest' "$docs/incidents.md")" '- The runbook link was old. Owner: casey, due 2027-01-31.'
is "above the old ones" "$(grep '^###' "$docs/incidents.md" | xargs -d'\n')" "### Latest Findings ($day Tabletop) ### Findings (2024-10-01 Tabletop)"
has "the next day stands there" "$(cat "$docs/incidents.md")" "(next: $(found 'next exercise' | cut -d, -f1))"
is "the new control" "$(tail -1 "$docs/SYSTEM_CHECKLIST.md")" "- [ ] Restore is rehearsed each quarter (DR-Tabletop $day)"
rb undo --yes --json
is "undone: staging has what it had" "$rc $(db vouchers_staging 'select count(*) from vouchers.vouchers') $(production)" "0 300 $kept_before"
is "undone: the files" "$(ls "$docs/incidents" | xargs) $(grep -c '^### Latest Findings (2024-10-01' "$docs/incidents.md") $(grep -c rehearsed "$docs/SYSTEM_CHECKLIST.md")" "templates 1 0"
is "undone: nobody is told again" "$(kept length)" 3

# -- what stops it before anybody is paged ---------------------------------------------------
stops() {  # VARIANT WORDS
  variant "$1"
  local before; before=$(world)
  book --yes
  has "$1: it stops" "$rc $(j .error.message)" "$2"
  is "$1: before anybody is paged, and anything changed" "$(world)" "$before"
  give_up
}
answers
stops manifest-401 '1 the snapshot manifest answers 401, as on 2024-10-01: rotate the access token'
stops staging-live '1 staging sends messages for real'
stops staging-down '1 staging does not answer'
variant healthy
cp runbook.config.lua saved.lua
configured() { sed "$1" saved.lua > runbook.config.lua; cmp -s saved.lua runbook.config.lua && fail "the configuration is another: $1"; chmod 600 runbook.config.lua; }
refuses_with() {  # WHAT SED WORDS
  local before; before=$(world)
  configured "$2"
  book --yes
  has "$1" "$rc $(j .error.message)" "$3"
  is "$1: nothing has changed" "$(world)" "$before"
  give_up
  cp saved.lua runbook.config.lua
}
to_production="s|/vouchers_staging\"|/vouchers\"|g; s|vouchers_staging:[0-9a-f]*@|vouchers:$SANDBOX_VOUCHERS_PASSWORD@|"
refuses_with "a staging that is production" "$to_production" '1 vouchers_staging is production itself'
configured "${to_production//|g/|}"
before=$(dump vouchers)
book --yes
has "changes that would go to production, though looks do not" "$rc $(j .error.message)" 'changes of vouchers_staging are made in staging, and not in production'
is "changes that would go to production: it is as it was, and nobody is paged" "$(dump vouchers) $(kept length)" "$before 0"
give_up
cp saved.lua runbook.config.lua
refuses_with "the same project" 's|project_ref = "sandbox-staging"|project_ref = "sandbox-production"|' '1 vouchers_staging is production itself'
refuses_with "no room on the disk" '/smoke  *= /,/schema  = {}/s|schema  = {}|schema = { disk_room = 1e9 }|' '1 there is no room for the backup'
refuses_with "nobody for a role" 's|support_manager = "sam", ||' '2 the setting participants names nobody for support_manager'
refuses_with "no script configured" '/ backup      = { /d' 'the setting backup of the system vouchers is missing (argv of scripts/supabase-backup-restore.sh'

# -- the script fails: mended, done once more, and nobody is paged twice --------------------
variant backup-fails
book --yes
has "backup-fails: what it did by then stays" "$rc $(j '.error | .certainty + " " + .message')" '1 partly'
has "backup-fails: its words" "$(j .error.message)" 'takes nothing'
is "backup-fails: staging is as it was" "$(db vouchers_staging 'select count(*) from vouchers.vouchers') $(asides)" "300 0"
mkdir -m 700 "$bucket"
rb resume --yes --answers answers.json --json
is "backup-fails: mended and done again" "$rc $(j .status) $(db vouchers_staging 'select count(*) from vouchers.vouchers')" "0 done 422"
is "backup-fails: each was told once" "$(kept length)" 3

# -- dumps that will not do: nothing is restored, and with a better one it goes on --------------------------
script() { sed -i '/^DAMAGE/d' "$SANDBOX_VOUCHERS/dr.env"; echo "DAMAGE=$1" >> "$SANDBOX_VOUCHERS/dr.env"
           "$SANDBOX_VOUCHERS/scripts/supabase-backup-restore.sh" --backup-only --project-ref sandbox-staging; }
unfit() {  # VARIANT WORDS
  has "dump-$1: refused" "$rc $(j .error.message)" "$2"
  is "dump-$1: staging is as it was" "$(db vouchers_staging 'select count(*) from vouchers.vouchers') $(asides)" "300 0"
}
variant dump-truncated
book --yes
unfit truncated 'is truncated'
for one in "empty|is empty" "other-schema|holds coupons, not the schema vouchers" "newer|is of PostgreSQL 99.1, and staging has"; do
  script "${one%%|*}"
  rb resume --yes --answers answers.json --json
  unfit "${one%%|*}" "${one#*|}"
done
script none
rb resume --yes --answers answers.json --json
is "a good one at last: it goes on, and nobody is paged twice" "$rc $(j .status) $(db vouchers_staging 'select count(*) from vouchers.vouchers') $(kept length)" "0 done 422 3"

# -- it goes on, and says what was wrong ---------------------------------------------------------------------
goes_on() {  # VARIANT STEPS ANSWERS
  answers "$3"
  book --yes
  is "$1: it goes on to its end, and fails" "$rc $(for id in $2; do step "$id"; done | xargs) $(step write-the-tabletop-report)" "1 $(for id in $2; do echo failed; done | xargs) done"
  latest=$(sed -n '/^### Latest/,/^### Find/p' "$docs/incidents.md")
}
variant rows-missing
goes_on rows-missing do-the-row-counts-agree '{ "action-row-counts": "dana, 2027-01-31, look into it" }'
has "rows-missing: a finding, with owner and day" "$latest" '- Row counts differ: notifications; look into it. Owner: dana, due 2027-01-31.'
is "rows-missing: the table says which" "$(found 'row counts' | awk '$1 == "notifications"' | xargs)" "notifications 158 0 0 NO"
give_up
variant issue-fails
goes_on issue-fails "smoke-issue smoke-station" '{ "action-smoke-issue": "dana, 2027-01-31", "action-smoke-station": "dana, 2027-01-31" }'
has "issue-fails: a finding" "$latest" '- Issue and redeem: issue answered 500'
give_up
variant redeem-twice
faults() { sed -i "s/^FAULTS=.*/FAULTS=$1/" "$SANDBOX_VOUCHERS/staging/.env"; }   # as the variants do
faults twice,send,scope
goes_on "redeem-twice, send-limited, scope-mismatch" "smoke-issue smoke-send smoke-station" '{ "action-smoke-issue": "dana, 2027-01-31",
  "action-smoke-send": "dana, 2027-01-31", "action-smoke-station": "dana, 2027-01-31" }'
has "redeem-twice: a finding" "$latest" '- Issue and redeem: a voucher was redeemed twice'
has "send-limited: a finding" "$latest" '- Campaign send: send answered 429'
has "scope-mismatch: a finding" "$latest" "- Station redeem: the station's own voucher answered 403"
has "the report says so, too" "$(cat "$docs/incidents/dr-tabletop-$day.md")" "- Station redeem: FAILED, the station's own voucher answered 403"
give_up
variant storage-slow
configured '/smoke  *= /,/schema  = {}/s|schema  = {}|schema = { storage_within = "500ms" }|'
answers '{ "action-storage-sync": "dana, 2027-01-31" }'
book --yes
has "storage-slow: measured" "$rc $(status 'storage sync') $(found 'storage sync')" "0 bad $(found 'storage sync' | cut -c1) s, limit 500ms"
has "storage-slow: a finding" "$(grep 'Storage sync took . s' "$docs/incidents.md")" ', limit 500ms. Owner: dana, due 2027-01-31.'
cp saved.lua runbook.config.lua

# -- people ------------------------------------------------------------------------------------------------------
variant healthy
answers '{ "acknowledged-support-manager": "5m1s", "acknowledged-data-platform-lead": " None ", "action-late-support-manager": "sam, 2027-01-31",
  "action-late-data-platform-lead": "dana", "again-2-action-late-data-platform-lead": "dana, 2027-02-30", "again-3-action-late-data-platform-lead": "dana, 2027-02-28",
  "findings": "no owner", "again-2-findings": "none", "acknowledged-incident-commander": "soon", "again-2-acknowledged-incident-commander": "40s" }'
book --yes
is "late: the drill fails, and goes on" "$rc $(step who-acknowledges-and-when) $(step write-the-tabletop-report)" "1 failed done"
is "late: who" "$(found 'acknowledged: Support Manager'), $(found 'acknowledged: Data Platform Lead')" "after 5 min 1 s, never acknowledged"
has "an answer that is none is asked again" "$(cat "$docs/incidents.md")" '- Data Platform Lead: never acknowledged, limit 5m. Owner: dana, due 2027-02-28.'
give_up
told=$(kept length)
echo '{ "acknowledged-incident-commander": "40s" }' > answers.json
book --yes
has "without an answer it stops for a person" "$rc $(j .error.message)" '3 needs an answer: Data Platform Lead (dana): how long after'
answers
rb resume --yes --answers answers.json --json
is "and goes on with it; nobody is paged twice" "$rc $(kept length)" "0 $((told + 3))"
answers '{ "review-the-cutover-checklist": "not done: nobody knows the DNS provider" }'
book --yes
is "a checklist that was not reviewed stops it" "$rc $(j .status)" "3 stopped"
give_up

# -- a script that restores by itself; the page for a person ----------------------------------------------------------
answers
were=$(asides)
configured 's|"--backup-only", ||; s|project_ref = "sandbox-staging"|project_ref = "sandbox-staging", script_restores = true|'
book --yes
is "a script that restores by itself" "$rc $(step restore-it-into-staging) $(db vouchers_staging 'select count(*) from vouchers.vouchers') $(asides)" "0 skipped 422 $were"
cp saved.lua runbook.config.lua
rb show dr_test
for part in 'Page the participants' 'Run the backup' 'Do the row counts agree?' 'Review the cutover checklist' 'File the findings'; do has "show: $part" "$out" "$part"; done
rb check "$top"/runbooks/vouchers/*.lua
is "check is clean" "$rc" 0
