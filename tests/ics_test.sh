#!/usr/bin/env bash
# ics: read and written as a second implementation does it, and every way in which an invitation is none, by line.
. "$(dirname "$0")/lib.sh"
cd "$tmp" || exit 2
mkdir d
cat > runbook.config.lua <<END
return { target = "local", targets = { ["local"] = { kind = "sandbox", allow = { files = { "$tmp/d" } }, systems = {} } } }
END
chmod 600 runbook.config.lua
export RUNBOOK_CONFIG=$tmp/runbook.config.lua
book() { printf 'local d = "%s/d/"\nlocal e = require "event"\nreturn runbook { title = "t", limits = { files = 100 }, step "s" { %s = function (run)\n%s\nend } }\n' "$tmp" "$1" "$2" > c.lua; }
probe() { book probe "$1"; shift; rb run c.lua --json "$@"; }
finding() { jq -rc --arg n "$1" '.findings[] | select(.name == $n) | .value' <<<"$out"; }
message() { jq -r '"\(.error.kind): \(.error.message)"' <<<"$out"; }
# an event as a table; e { field = value } changes it
cat > event.lua <<'END'
return function (t)
  local event = { uid = "event-41@polaris.example.org", summary = "Careers in law", location = "Room 141",
    start = "2026-03-09T15:00:00Z", finish = "2026-03-09T16:00:00Z", zone = "America/Chicago",
    organizer = "Polaris <events@example.org>", attendees = { "kim@example.org" }, stamp = "2026-01-01T00:00:00Z" }
  for k, v in pairs(t) do if v == "none" then event[k] = nil else event[k] = v end end
  return event
end
END
# raises WHAT LUA WORDS: a call fails with those words
raises() { probe "run:finding('r', $2)"; has "$1" "$rc $(message)" "$3"; }
# built WHAT FIELDS JQ EXPECTED: what ics.parse reads of what ics.build wrote
built() { probe "local s = ics.build(e { $2 }) run:finding('r', ics.parse(s)) run:finding('p', ics.check(s)) run:finding('s', s)"
  is "$1" "$(finding r | jq -rc "$3")" "$4"; }
# problems WHAT CALENDAR EXPECTED: ics.check, as line:kind:property
problems() { printf '%b' "$2" > d/c.ics; probe 'run:finding("p", ics.check(file.read(d .. "c.ics")))'
  is "$1" "$(finding p | jq -rc '[.[]? | "\(.line):\(.kind):\(.property // "")"] | join(" ")')" "$3"; }
head='BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//EN\r\n'
foot='END:VEVENT\r\nEND:VCALENDAR\r\n'
# cal LINES: an invitation whose event has these lines from line 8 on
cal() { printf '%s' "${head}BEGIN:VEVENT\\r\\nUID:1\\r\\nDTSTAMP:20260101T000000Z\\r\\nSUMMARY:x\\r\\n$1$foot"; }

# -- building, and reading that again --------------------------------------------------------------
built "what an invitation asks" '' '[.method, .version, .events[0].uid, .events[0].sequence, .events[0].status] | join(" ")' \
  'REQUEST 2.0 event-41@polaris.example.org 0 CONFIRMED'
is "it has nothing wrong" "$(finding p)" '{}'
has "its zone is described" "$(finding s)" 'BEGIN:VTIMEZONE'
is "the day after the clocks went forward" "$(finding r | jq -rc '.events[0].start')" \
  '{"kind":"zoned","offset":"-05:00","utc":"2026-03-09T15:00:00Z","wall":"2026-03-09T10:00:00","zone":"America/Chicago"}'
built "the day before" 'start = "2026-03-07T15:00:00Z", duration = "1h", finish = "none"' '.events[0] | [.start.wall, .finish.wall, .start.offset] | join(" ")' \
  '2026-03-07T09:00:00 2026-03-07T10:00:00 -06:00'
built "across the change: two hours by the sun, three by the clock" 'start = "2026-03-08T07:00:00Z", finish = "2026-03-08T09:00:00Z"' \
  '.events[0] | [.start.wall, .finish.wall] | join(" ")' '2026-03-08T01:00:00 2026-03-08T04:00:00'
built "; , emoji, a backslash and a line break" 'location = "Room 141; 200 Main Street, Prairie Hills 🎓\nsecond\\floor"' '.events[0].location' \
  $'Room 141; 200 Main Street, Prairie Hills 🎓\nsecond\\floor'
has "... as the RFC writes them" "$(finding s)" 'LOCATION:Room 141\; 200 Main Street\, Prairie Hills 🎓\nsecond\\floor'
built "a backslash before an n is no line break" 'location = "C:\\new"' '.events[0].location' 'C:\new'
built "CR LF is one line break" 'description = "a\r\nb"' '.events[0].description' $'a\nb'
built "a cancellation" 'method = "CANCEL", sequence = 3' '[.method, .events[0].status, .events[0].sequence] | join(" ")' 'CANCEL CANCELLED 3'
built "without a zone it is in UTC" 'zone = "none"' '[.events[0].start.kind, (.zones | length)] | join(" ")' 'utc 0'
built "a clock time of the zone" 'start = "2026-07-01T09:00:00", finish = "2026-07-01T10:00:00"' '.events[0].start.utc' 2026-07-01T14:00:00Z
built "a time with an offset" 'start = "2026-07-01T09:00:00+02:00", finish = "2026-07-01 10:00:00+02:00"' '.events[0].start | [.utc, .wall] | join(" ")' '2026-07-01T07:00:00Z 2026-07-01T02:00:00'
built "the second of an hour that comes twice is written in UTC" 'start = "2026-11-01T07:30:00Z", finish = "2026-11-01T08:30:00Z"' \
  '.events[0] | [.start.kind, .start.utc, .finish.kind] | join(" ")' 'utc 2026-11-01T07:30:00Z zoned'
built "whole days" 'start = "2026-07-01", finish = "2026-07-03"' '.events[0] | [.start.kind, .start.wall, .finish.wall] | join(" ")' 'date 2026-07-01 2026-07-03'
built "floating, by name only" 'floating = true, zone = "none", start = "2026-07-01T09:00:00", finish = "2026-07-01T10:00:00"' '.events[0].start | [.kind, .utc] | join(" ")' 'floating '
is "... and a problem" "$(finding p | jq -rc 'map(.kind) | join(" ")')" 'floating floating'
built "people" 'attendees = { "O'"'"'Hara, Jr. \"Kim\" <Kim@example.org>", { email = "b@example.org", rsvp = false, role = "OPT-PARTICIPANT" } }' \
  '[.events[0].attendees[] | "\(.name) \(.email) \(.rsvp) \(.role)"] | join("; ")' "O'Hara, Jr. 'Kim' Kim@example.org true REQ-PARTICIPANT; null b@example.org false OPT-PARTICIPANT"
probe 'run:finding("s", ics.build(e { stamp = "none" })) run:finding("t", time.format(time.now()))'
is "made when it was made" "$(finding s | tr -d '\r' | sed -n 's/^DTSTAMP://p' | cut -c 1-8)" "$(finding t | tr -d - | cut -c 1-8)"

raises "no zone, and a clock time" 'ics.build(e { zone = "none", start = "2026-07-01T09:00:00" })' "ics: start: '2026-07-01T09:00:00' has no time zone: say zone"
raises "a time that the clocks skip" 'ics.build(e { start = "2026-03-08T02:30:00" })' "is skipped there: the clocks go forward"
raises "a time that comes twice" 'ics.build(e { start = "2026-11-01T01:30:00" })' "comes twice there: the clocks go back"
raises "... cannot begin a series" 'ics.build(e { start = "2026-11-01T07:30:00Z", finish = "none", duration = "1h", rrule = "FREQ=WEEKLY" })' 'an event that is repeated cannot begin there'
raises "a zone that is none" 'ics.build(e { zone = "Central Standard Time" })' "'Central Standard Time' is no time zone known here"
raises "a zone that is a path" 'ics.build(e { zone = "America/../../etc/passwd" })' "is no time zone known here"
raises "a day that is none" 'ics.build(e { start = "2026-02-30T09:00:00" })' "is no time such as"
raises "the end before the beginning" 'ics.build(e { finish = "2026-03-09T15:00:00Z" })' 'finish is not after start'
raises "no end" 'ics.build(e { finish = "none" })' 'finish or duration is expected'
raises "no UID" 'ics.build(e { uid = "none" })' 'uid is missing'
raises "nobody who invites" 'ics.build(e { organizer = "none" })' 'organizer is missing'
raises "nobody invited" 'ics.build(e { attendees = {} })' 'attendees: the list is empty'
raises "a line break in an address" 'ics.build(e { attendees = { "kim@example.org\nX: y" } })' 'a line break or another control character has no place'
raises "a line break in a name" 'ics.build(e { organizer = { email = "a@example.org", name = "a\nATTENDEE:b" } })' 'a line break or another control character has no place'
raises "an address that is none" 'ics.build(e { attendees = { "kim" } })' "'kim' is no address"
raises "a line break in a UID" 'ics.build(e { uid = "a\nb" })' 'uid: a line break'
raises "a rule that is none" 'ics.build(e { rrule = "FREQ=NEVER" })' "'FREQ=NEVER' is no rule"
raises "a field that is none" 'ics.build(e { loction = "x" })' "there is no field 'loction': did you mean 'location'?"
raises "bytes that are no text" 'ics.build(e { location = "\xff" })' 'location: it is not UTF-8'

# -- what is wrong, and where -------------------------------------------------------------------------
good=$(cal 'DTSTART:20260309T150000Z\r\nDTEND:20260309T160000Z\r\n')
problems "nothing" "$good" ''
problems "no calendar" 'Dear Kim,\r\n' '1:calendar:'
problems "a page of HTML" '<!doctype html>\n<p>Log in</p>\n' '1:line: 1:calendar:'
problems "nothing at all" '' '1:calendar:'
problems "cut off in the middle" "${good%%DTEND*}" '8:truncated:'
problems "cut off in a line" "${good%%60000Z*}" '9:line: 9:truncated:'
problems "one component closes another" "${good/END:VEVENT/END:VALARM}" '10:structure:'
problems "something behind its end" "${good}X:1\\r\\n" '12:structure:'
problems "LF alone" "${good//\\r/}" '1:line:'
problems "a line break in the location" "$(cal 'DTSTART:20260309T150000Z\r\nLOCATION:Room 141\r\nsecond floor\r\n')" '10:line:'
problems "; and , that are not escaped" "$(cal 'DTSTART:20260309T150000Z\r\nLOCATION:Room 141\; 2\r\nDESCRIPTION:a, b\r\nCOMMENT:c;d\r\n')" '10:escape:DESCRIPTION 11:escape:COMMENT'
problems "a backslash before nothing" "$(cal 'DTSTART:20260309T150000Z\r\nLOCATION:C:\\temp\r\n')" '9:escape:LOCATION'
problems "a long line" "$(cal "DTSTART:20260309T150000Z\\r\\nX-A:$(printf '%080d' 0)\\r\\n")" '9:fold:'
problems "folded in the middle of a letter" "$(cal "DTSTART:20260309T150000Z\\r\\nX-A:\\xc3\\r\\n \\xa9\\r\\n")" '10:fold:'
problems "Latin-1" "$(cal 'DTSTART:20260309T150000Z\r\nLOCATION:Caf\xe9\r\n')" '9:encoding:'
problems "a NUL" "$(cal 'DTSTART:20260309T150000Z\r\nLOCATION:a\x00b\r\n')" '9:encoding:'
problems "a time without zone" "$(cal 'DTSTART:20260309T090000\r\n')" '8:floating:DTSTART'
problems "a zone that is not described" "$(cal 'DTSTART;TZID=America/Chicago:20260309T090000\r\n')" '8:zone:DTSTART'
problems "a zone of another world" "$(cal 'DTSTART;TZID=Central Standard Time:20260309T090000\r\n')" '8:zone:DTSTART'
fixed='BEGIN:VTIMEZONE\r\nTZID:America/Chicago\r\nBEGIN:STANDARD\r\nDTSTART:19700101T000000\r\nTZOFFSETFROM:-0600\r\nTZOFFSETTO:-0600\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n'
zoned() { cal "DTSTART;TZID=America/Chicago:$1\\r\\n" | sed "s#BEGIN:VEVENT#${fixed//\\/\\\\}BEGIN:VEVENT#"; }
problems "daylight saving forgotten: in summer" "$(zoned 20260709T090000)" '16:zone:DTSTART'
problems "... in winter it makes no difference" "$(zoned 20260109T090000)" ''
problems "no day" "$(cal 'DTSTART:20260230T090000Z\r\n')" '8:value:DTSTART'
problems "no time" "$(cal 'DTSTART:2026\r\n')" '5:missing:DTSTART 8:value:DTSTART'
problems "it ends before it begins" "$(cal 'DTSTART:20260309T150000Z\r\nDTEND:20260309T140000Z\r\n')" '9:value:DTEND'
problems "no UID, no SUMMARY" "${head}BEGIN:VEVENT\\r\\nDTSTAMP:20260101T000000Z\\r\\nDTSTART:20260309T150000Z\\r\\n$foot" '5:missing:UID 5:missing:SUMMARY'
problems "no event" "${head}END:VCALENDAR\\r\\n" '1:missing:'
problems "a request of nobody to nobody" "${good/VERSION/METHOD:REQUEST\\r\\nVERSION}" '6:missing:ORGANIZER 6:missing:ATTENDEE'
problems "a cancellation without SEQUENCE" "$(cal 'DTSTART:20260309T150000Z\r\nORGANIZER:mailto:a@example.org\r\n' | sed 's/VERSION/METHOD:CANCEL\\r\\nVERSION/')" '6:missing:SEQUENCE'
problems "an attendee who is none" "$(cal 'DTSTART:20260309T150000Z\r\nATTENDEE:kim\r\n')" '9:value:ATTENDEE'
problems "every second" "$(cal 'DTSTART:20260309T150000Z\r\nRRULE:FREQ=SECONDLY\r\n')" '9:limit:RRULE'
problems "clocks that change every day" "$(zoned 20260109T090000 | sed 's/TZOFFSETFROM/RRULE:FREQ=DAILY\\r\\nTZOFFSETFROM/')" '8:limit:RRULE'
problems "components without end" "$head$(for i in $(seq 20); do printf 'BEGIN:X%d\\r\\n' "$i"; done)" '11:structure:'
is "words for people" "$(finding p | jq -r '.[0].message')" 'line 11: more than 8 components in one another'
probe "local s = ics.build(e { start = '2026-03-08T07:30:00Z', finish = '2026-03-08T08:45:00Z' }):gsub('T013000', 'T023000') run:finding('p', ics.check(s))"
is "a time that the clocks skip" "$(finding p | jq -rc 'map(.kind + " " + .property) | join(", ")')" 'daylight DTSTART'
for bad in 'Dear Kim|line 1: it is no calendar: it begins with' 'BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:1\r\n|line 3: it ends inside VEVENT, which begins in line 2' "$(cal 'DTSTART:20261301T090000Z\r\n')|line 8, DTSTART: "; do
  printf '%b' "${bad%%|*}" > d/c.ics
  raises "parse: ${bad##*|}" 'ics.parse(file.read(d .. "c.ics"))' "data: ics.parse: ${bad##*|}"
done
raises "more than 1 MB" 'ics.parse(("x"):rep(1048577))' 'limit: ics.parse: a calendar of 1048577 bytes: at most 1 MB is read'
raises "no text" 'ics.parse(nil)' "string expected"

# -- series ----------------------------------------------------------------------------------------------
# on CALENDAR LUA: on which days
on() { printf '%b' "$1" > d/c.ics; probe "run:finding('o', ics.occurrences(file.read(d .. 'c.ics'), { $2 }))"; }
weekly=$(cal 'DTSTART;TZID=America/Chicago:20261025T090000\r\nDTEND;TZID=America/Chicago:20261025T100000\r\nRRULE:FREQ=WEEKLY;UNTIL=20261116T000000Z\r\nEXDATE;TZID=America/Chicago:20261108T090000\r\n')
on "$weekly" ''
is "nine o'clock stays nine when the clocks go back, and one is left out" "$(finding o | jq -rc 'map(.start.utc) | join(" ")')" \
  '2026-10-25T14:00:00Z 2026-11-01T15:00:00Z 2026-11-15T15:00:00Z'
is "so does the end" "$(finding o | jq -rc 'map(.finish.wall) | join(" ")')" '2026-10-25T10:00:00 2026-11-01T10:00:00 2026-11-15T10:00:00'
on "${weekly/END:VCALENDAR/BEGIN:VEVENT\\r\\nUID:1\\r\\nDTSTAMP:20260101T000000Z\\r\\nSUMMARY:later\\r\\nDTSTART:20261101T170000Z\\r\\nRECURRENCE-ID;TZID=America/Chicago:20261101T090000\\r\\nEND:VEVENT\\r\\nEND:VCALENDAR}" ''
is "one of them at another time" "$(finding o | jq -rc 'map("\(.start.utc) \(.changed)") | join(", ")')" \
  '2026-10-25T14:00:00Z false, 2026-11-01T17:00:00Z true, 2026-11-15T15:00:00Z false'
on "$weekly" 'from = "2026-10-26T00:00:00Z", to = "2026-11-15T15:00:00Z"'
is "from, and before" "$(finding o | jq -rc 'map(.start.utc) | join(" ")')" 2026-11-01T15:00:00Z
on "$(cal 'DTSTART:20260101T090000Z\r\nRRULE:FREQ=DAILY\r\nRDATE:20260101T120000Z\r\n')" 'limit = 3'
is "without an end, so many as asked for; days that are named, too" "$(finding o | jq -rc 'map(.start.utc) | join(" ")')" '2026-01-01T09:00:00Z 2026-01-01T12:00:00Z 2026-01-02T09:00:00Z'
raises "every second" "ics.occurrences(('$(cal 'DTSTART:20260101T090000Z\r\nRRULE:FREQ=SECONDLY\r\n')'))" 'limit: ics.occurrences: line 9, RRULE'

# -- against a second implementation --------------------------------------------------------------------
n=${ICS_FILES:-150} seed=${ICS_SEED:-$RANDOM}
"$python" "$top/tests/icsfiles.py" make d "$seed" "$n" || fail "python3-icalendar is there"
book remedy '
  local built, parsed, odd = {}, {}, 0
  local function breathe (i) if i % 20 == 0 then run:sleep("1ms") end end  -- or it is taken for an endless loop
  for i, it in ipairs(json.decode(file.read(d .. "build.json"))) do
    breathe(i)
    built[i] = ics.build(it)
    for _, p in ipairs(ics.check(built[i])) do if p.kind ~= "daylight" then run:fail("%s: %s", it.uid, p.message) end end
  end
  for i, it in ipairs(json.decode(file.read(d .. "parse.json"))) do
    breathe(i)
    local event = ics.parse(it.text).events[1]
    parsed[i] = { summary = event.summary, location = event.location, walls = {}, utcs = {} }
    for k, o in ipairs(ics.occurrences(it.text, { limit = 1000 })) do
      parsed[i].walls[k], parsed[i].utcs[k] = o.start.wall, o.start.utc
    end
  end
  for i, it in ipairs(json.decode(file.read(d .. "broken.json"))) do
    breathe(i)
    local problems = ics.check(it)
    local ok, err = pcall(ics.parse, it)
    if not ok and err.kind ~= "data" then error(err) end
    pcall(ics.occurrences, it)
    if not ok and #problems == 0 then run:fail("broken %d: refused, and nothing is wrong", i) end
    odd = odd + (#problems > 0 and 1 or 0)
  end
  file.write(d .. "built.json", json.encode(built))
  file.write(d .. "parsed.json", json.encode(parsed))
  run:finding("odd", odd)'
rb run c.lua --json
is "random ones are built and read, broken ones are survived (seed $seed)" "$rc $(message)" '0 null: null'
got=$("$python" "$top/tests/icsfiles.py" check d 2>&1); rc=$?
is "as python3-icalendar and dateutil have them (seed $seed: $(head -c 300 <<<"$got"))" "$rc" 0
ok "and the broken ones are seen to be" test "$(finding odd)" -gt $((n * 2))
