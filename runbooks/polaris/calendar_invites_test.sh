#!/usr/bin/env bash
# polaris/calendar_invites on the sandbox, one variant after the other: which case the data say and by what, what it
# would do (and that the dry run does nothing), what it does, its verification, its undo, what teachers get.
. "$(dirname "$0")/../../tests/lib.sh"
sandbox_up
cd "$tmp" || exit 2
teacher=casey.cedar2@riverbend.example.edu
variant() { "$top/examples/sandbox/sandbox" variant "$1" "$tmp/sb" > variant.log 2>&1 || { cat variant.log; fail "variant $1"; }; . "$tmp/sb/env"; }
sql() { psql -qAt "$SANDBOX_POLARIS_PG_URL" -c "$1"; }
j() { jq -r "$1" <<<"$out"; }
found() { jq -r --arg n "$1" '.findings[] | select(.name == $n) | .value' <<<"$out"; }
would() { j '[.steps[].effects[] | select(.verdict == "would do") | .verb] | join(" ")'; }
did() { j '[.steps[].effects[] | select(.kind == "remedy" and .outcome == "done") | .verb] | join(" ")'; }
passes() { j '[.steps[] | select(.verify) | .verify] | unique | join(",")'; }
log() { sql "select coalesce((select status from email_delivery where message_id like '<invite-43-%' and recipient = '${1:-$teacher}' order by sent_at desc limit 1), 'none')"; }
mails() { cat "$SANDBOX_DIR/receivers/kept.jsonl" 2>/dev/null | jq -s -r "$1"; }
# the calendar of the first mail, unfolded
ics() { mails '.[0].parts[] | select(.name == "invite.ics") | .content' | tr -d '\r' | sed -e ':a' -e '$!N;s/\n //;ta' -e 'P;D'; }
world() {
  psql -qAt "${SANDBOX_PG_ADMIN_URL%/*}/polaris" -c "select pg_snapshot_xmax(pg_current_snapshot())"
  (cd "$SANDBOX_POLARIS" && find . -type f -exec sha256sum {} + | sort)
  mails length
}
rows() { sql "select md5(coalesce(string_agg(t, chr(10)), '')) from (select e::text as t from event e union all select d::text from email_delivery d order by 1) x"; }
dry() {  # WHAT ARGS...: a dry run that changes nothing and sends nothing
  local what=$1 before; shift
  before=$(world)
  rb run calendar_invites event=43 teacher=$teacher "$@" --dry-run --json
  is "$what: the dry run changed nothing" "$(world)" "$before"
}
real() { rb run calendar_invites event=43 teacher=$teacher "$@" --yes --json; }
# says VARIANT CASE EVIDENCE: what the data say; then the dry run
says() {
  variant "$1"
  dry "$1"
  is "$1: the case, and that it is a finding" "$(j '.cases | join(",")') $(found case)" "$2 $2"
  has "$1: the evidence" "$(found because)" "$3"
}
echo '{ "generation-salesforce": "done: corrected by staff2", "content-salesforce": "done: corrected by staff2",
  "delivery-addresses": "done: the district says it is right", "delivery-blocked": "done: .ics was blocked, and is allowed now",
  "delivery-configuration": "done: the key had expired", "does-the-sample-look-right-in-a-calendar": "done: yes" }' > answers.json

# -- healthy: nothing to do ---------------------------------------------------------------------
variant healthy
dry healthy
is "healthy: no case" "$rc $(j '.cases | length') $(would)" "0 0 "
has "healthy: by what" "$(found case)" 'the event is complete, its invitation says what it says, and 1 of 1 are delivered'
rb run calendar_invites event=43 --dry-run --json
has "... of all who are signed up" "$(found case)" '24 of 24 are delivered'
rb run calendar_invites event=43 teacher=avery.dogwood55@prairie.example.edu --case content --yes --json
has "nobody is invited who did not sign up" "$rc $(j .error.message)" '1 avery.dogwood55@prairie.example.edu is not signed up'
rb run calendar_invites event=4711 --yes --json
has "an event that there is not" "$rc $(j .error.message)" '1 there is no event 4711'
is "nobody was written to" "$(mails length)" 0

# -- A: it cannot be made -----------------------------------------------------------------------------
says polaris-invite-no-place generation 'location: neither location nor venue_name is set'
before=$(world)
real --answers answers.json
has "no place: asks for it" "$rc $(j .error.message)" '1 no invitation can be made: location (neither location nor venue_name is set). Say what is right, location='
is "... and nothing has changed" "$(world)" "$before"
rb abandon "$(j .run)" --yes
dry "no place, given" 'location=Room 9; Annex'
is "no place: two changes and a mail are planned, and a person's" "$(would) $(j '[.steps[] | select(.status == "manual") | .id] | join(",")')" \
  'pg.transaction pg.exec mail.send pg.exec generation-salesforce'
real 'location=Room 9; Annex'
has "no place: ... what to set there" "$(j '.steps[] | select(.status == "manual") | .reason')$err" 'Behind the scenes of nursing (here 43): location = Room 9; Annex'
is "no place: Salesforce is a person's, before anything is changed" "$rc $(sql 'select location is null from event where id = 43') $(mails length)" '3 t 0'
rb resume --answers answers.json --json
is "no place: done" "$rc $(did) $(passes)" '0 pg.transaction pg.exec pg.exec passed'
is "... the event is corrected" "$(sql 'select location from event where id = 43')" 'Room 9; Annex'
has "... and the calendar has it, escaped" "$(ics)" 'LOCATION:Room 9\; Annex'
is "... one mail, to the teacher alone" "$(mails 'map((.to | join(",")) + " " + .subject) | join(";")')" "$teacher Invitation: Behind the scenes of nursing"
is "... as an invitation" "$(mails '.[0].parts[] | select(.name == "invite.ics") | "\(.type) \(.params.method)"')" 'text/calendar REQUEST'
has "... who it is from, and for whom" "$(ics | grep -E '^(ORGANIZER|ATTENDEE)' | xargs)" "ORGANIZER;CN=Polaris Events:mailto:events@polaris.example.org ATTENDEE;CN=Casey Cedar"
is "... it replaces the old one" "$(ics | grep -E '^(UID|SEQUENCE)' | xargs)" 'UID:event-43@polaris.example.org SEQUENCE:1'
is "... the log says so, and the audit log" "$(log) $(sql "select string_agg(action, ',' order by id) from audit_log where detail->>'event_id' = '43'")" 'sent event_corrected,invite_regenerated'
rb run calendar_invites event=43 teacher=$teacher --dry-run --json
is "... nothing is left to do" "$(j '.cases | length')" 0
real --case content --answers answers.json
is "a second one has a higher SEQUENCE" "$(mails '.[-1].parts[] | select(.name == "invite.ics") | .content' | tr -d '\r' | grep ^SEQUENCE)" SEQUENCE:2
variant polaris-invite-no-place
before=$(rows)
real 'location=Room 9' --answers answers.json
rb undo --json
is "no place: undone, the event is as it was; mails and log stay" "$rc $(sql 'select location is null from event where id = 43') $(log)" '0 t sent'

says polaris-invite-no-zone generation 'timezone: it is not set: America/Chicago is the default'
real --answers answers.json
is "no zone: Chicago's is taken" "$rc $(sql 'select timezone from event where id = 43')" '0 America/Chicago'
has "... the calendar has it, described" "$(ics)" 'DTSTART;TZID=America/Chicago:'
has "... and is in the right hour" "$(ics | grep '^DTSTART;TZ')" "$(sql "select to_char(start_datetime at time zone 'America/Chicago', 'YYYYMMDD\"T\"HH24MISS') from event where id = 43")"

says polaris-invite-no-time generation 'end_datetime: it is not set'
real --answers answers.json 'finish=2026-02-30 10:00'
has "no end: a day that is none" "$rc $(j .error.message)" '2026-02-30'
rb abandon "$(j .run)" --yes
ends=$(sql "select to_char((start_datetime at time zone timezone) + interval '90 minutes', 'YYYY-MM-DD HH24:MI') from event where id = 43")
real --answers answers.json "finish=$ends"
is "no end: as it was given, in the event's zone" "$rc $(sql 'select end_datetime - start_datetime from event where id = 43')" '0 01:30:00'

says polaris-invite-past generation 'date: it is not in the future: it began'
real --answers answers.json 'start=2027-06-01 09:00' 'finish=2027-06-01 10:00'
is "past: the right date" "$rc $(sql "select start_datetime at time zone 'UTC' from event where id = 43")" '0 2027-06-01 14:00:00'
has "... in summer time" "$(ics)" 'DTSTART;TZID=America/Chicago:20270601T090000'

# -- B: it does not arrive -----------------------------------------------------------------------------------
says polaris-invite-not-sent delivery "1 of 1 invitations: that of $teacher is not in the log"
real
is "not sent: sent" "$rc $(log) $(mails length)" '0 sent 1'
variant polaris-invite-not-sent
rb run calendar_invites event=43 --yes --json
is "of 24 only the one who got none is written to" "$rc $(found invited) $(mails 'map(.to | join(",")) | join(";")')" "0 24 $teacher"

says polaris-invite-bounced delivery 'is bounced: 550 5.1.1 no such user'
before=$(world)
real
is "bounced: a person asks the district first" "$rc $(j '.steps[] | select(.status == "manual") | .id') $(world)" "3 delivery-addresses $before"
rb resume --answers answers.json --json
is "... then it is sent again" "$rc $(log) $(mails length)" '0 sent 1'

says polaris-invite-blocked delivery '552 5.7.0 attachment type .ics is not allowed'
real
is "blocked: a person asks about .ics files" "$rc $(j '.steps[] | select(.status == "manual") | .id')" '3 delivery-blocked'
rb resume --answers answers.json --json
is "... then it is sent again" "$rc $(log)" '0 sent'

for v in rate-limited:limited provider-down:down; do
  says "polaris-invite-${v%:*}" delivery 'of 1 invitations: that of'
  is "${v%:*}: it would be queued, and not sent" "$(would)" pg.exec
  before=$(rows)
  real
  is "${v%:*}: queued, nothing sent" "$rc $(log) $(mails length) $(sql "select error from email_delivery where message_id = '<invite-43-2@polaris.example.org>'")" \
    "0 queued 0 the mail provider is ${v#*:}"
  has "... and says what is next" "$(found queued)" 'run this again once the provider is up'
  rb undo --json
  is "... undone, the log is as it was" "$rc $(rows)" "0 $before"
  real
  sql "delete from app_setting where name like 'provider:%'"
  real
  is "... and sent once it is up" "$rc $(found case) $(log) $(mails length)" '0 delivery sent 1'
done
is "rate limit: how often, and that it was it" "$(variant polaris-invite-rate-limited; real; found 'rate limit')" '24 invitations refused for it in the last hour'

says polaris-invite-malformed delivery 'it ends inside VEVENT, which begins in line 5'
real
is "malformed: a whole one is sent" "$rc $(log) $(ics | grep ^END:VC)" '0 sent END:VCALENDAR'
has "... and whose fault it is" "$out$err" 'the application makes it so: tell the engineers'
says polaris-invite-type delivery 'its MIME type is text/plain, not text/calendar'
real
is "type: sent as a calendar" "$rc $(mails '.[0].parts[] | select(.name == "invite.ics") | .type')" '0 text/calendar'
variant healthy
real --case delivery
is "all delivered, and no calendar: a person asks about the mail program" "$rc $(j '.steps[] | select(.status == "manual") | .id')" '3 delivery-blocked'
rb abandon "$(j .run)" --yes

# -- C: it says something else ----------------------------------------------------------------------------------
says polaris-invite-special content 'special characters: line 12'
has "special: where" "$(found location)" "'Room 143; 200 Main Street, Prairie Hills 🎓', where the event has"
real
is "special: done" "$rc $(passes)" '0 passed'
has "special: all of it, in one value" "$(ics)" 'LOCATION:Room 143\; 200 Main Street\, Prairie Hills 🎓\nsecond floor'
has "special: the mail has it, too" "$(mails '.[0].parts[0].content' | tr -d '\r')" $'Prairie Hills 🎓\n  second floor'

says polaris-invite-utc content 'minutes from'
real
is "UTC: the right moment" "$rc $(ics | sed -n 's/^DTSTART;TZ.*://p')" "0 $(sql "select to_char(start_datetime at time zone timezone, 'YYYYMMDD\"T\"HH24MISS') from event where id = 43")"

says polaris-invite-dst content 'UTC conversion: start is'
has "dst: an hour off" "$(found 'UTC conversion')" '+60 minutes from'
has "dst: seen before" "$(found offset)" '-0500'
real
has "dst: ten o'clock in July" "$rc $(ics)" '0 BEGIN:VCALENDAR'
has "... is ten o'clock" "$(ics | grep '^DTSTART;TZ')" '0709T100000'

says polaris-invite-stale-place content "location: 'Room 1, 7 Old Mill Road', where the event has 'Room 143, 200 Main Street, Prairie Hills'"
real sample=me@example.org
is "stale place: a sample first, and a person looks at it" "$rc $(mails 'map(.to | join(",")) | join(";")') $(j '.steps[] | select(.status == "manual") | .id')" \
  '3 me@example.org does-the-sample-look-right-in-a-calendar'
has "... with what is hard" "$(ics)" 'LOCATION:Room 1\; 2 Main Street\, \\ 🎓\nsecond floor'
rb resume --answers answers.json --json
is "... then the teacher gets theirs" "$rc $(mails 'map(.to | join(",")) | join(";")') $(log)" "0 me@example.org;$teacher sent"
real location='Room 200, Main Hall' --answers answers.json --case content
is "the event itself is wrong: corrected, and sent" "$rc $(did) $(sql 'select location from event where id = 43')" '0 pg.transaction pg.exec pg.exec Room 200, Main Hall'

# -- what can go wrong -------------------------------------------------------------------------------------------------
variant polaris-invite-not-sent
curl -s -f -d '{"mail":["550"]}' "$SANDBOX_RECEIVERS_URL/control" >/dev/null || fail "the receivers listen"
real
has "a mail server that refuses: said, and not written down as sent" "$rc $(log) $(found "not sent to $teacher")" '1 none '
rb abandon "$(j .run)" --yes
sed '/invite_from/d' runbook.config.lua > other.lua; chmod 600 other.lua
variant polaris-invite-not-sent
before=$(world)
real --config other.lua
has "without a configured organizer nothing is made" "$rc $(j .error.message)" 'the setting invite_from of the system polaris is missing'
is "... and nothing has changed" "$(world)" "$before"
rb abandon "$(j .run)" --yes
real --case content 'timezone=Central Standard Time'
has "a zone that is none" "$(j .error.message)" "'Central Standard Time' is no time zone known here"
rb abandon "$(j .run)" --yes
rb run calendar_invites event=abc --yes --json
is "an event that is no number" "$rc $(j .error.kind)" '2 parameter'

rb show calendar_invites
for part in generation delivery content 'Correct the event in Salesforce' 'Check whether mail programs block .ics files' \
  'Queue the invitations' 'Test with a sample event' 'Mailjet'; do has "show: $part" "$out" "$part"; done
