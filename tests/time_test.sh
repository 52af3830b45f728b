#!/bin/bash
# time_test.sh - dates, zones, durations, and the time that a run may know
set -u
. "$(dirname "$0")/lib.sh"
cd "$tmp" || exit 1
printf 'return { target = "local", targets = { ["local"] = { kind = "sandbox", systems = {} } } }\n' >runbook.config.lua
export RUNBOOK_CONFIG=$tmp/runbook.config.lua

# all expressions of a file in one run: LINES of "what | expression | JSON"
checks() {
  local what expression expected n=0 lines=() code=''
  while IFS='|' read -r what expression expected; do
    [ -n "$what" ] || continue
    n=$((n + 1)) lines+=("$what|$expected")
    code+="      run:finding('$n', try(function () return $expression end))"$'\n'
  done
  cat >book.lua <<END
return runbook { title = "Time", use_when = "tests", impact = "none",
  step "Look" { probe = function (run)
      local function try (f)
        local value, err = run:try(f)
        return err and "failed: " .. (type(err) == "table" and err.message or err) or value
      end
$code
  end } }
END
  rb run book.lua --json
  is "the run: exit" "$rc" 0
  for ((i = 1; i <= n; i++)); do
    what=${lines[i - 1]%%|*} expected=${lines[i - 1]#*|}
    local got; got=$(jq -c --arg n "$i" '.findings[] | select(.name == $n) | .value' <<<"$out")
    case "$expected" in *...*) has "$what" "$got" "${expected%...*}";; *) is "$what" "$got" "$expected";; esac
  done
}

checks <<'END'
UTC|time.parse "2026-11-21T02:16:28Z"|1795227388
a space for the T|time.parse "2026-11-21 02:16:28+00"|1795227388
an offset|time.parse "2026-11-21T02:16:28.250+01:00"|1795223788.25
an offset without colon|time.parse "2026-11-21T02:16:28-0130"|1795232788
a date|time.parse "2026-11-21"|1795219200
minutes|time.parse "2026-11-21T02:16"|1795227360
before 1970|time.parse "1969-12-31T23:59:59Z"|-1
a leap day|time.parse "2024-02-29"|1709164800
a date of HTTP|time.parse "Sat, 21 Nov 2026 02:16:28 GMT"|1795227388
a date of mail|time.parse "21 Nov 2026 02:16:28 +0100"|1795223788
summer in a zone|time.parse("2024-07-01T09:00", "America/Chicago")|1719842400
winter in a zone|time.parse("2024-01-01T09:00", "America/Chicago")|1704121200
an offset is stronger than a zone|time.parse("2024-01-01T09:00Z", "America/Chicago")|1704099600
a day that does not exist|time.parse "2026-02-30"|"failed: time.parse: '2026-02-30' is no time...
a month that does not exist|time.parse "2026-13-01"|"failed...
an hour that does not exist|time.parse "2026-01-01T24:00Z"|"failed...
half a time|time.parse "2026-11-21T"|"failed...
something after it|time.parse "2026-11-21T02:16:28Zx"|"failed...
nothing|time.parse ""|"failed...
words|time.parse "tomorrow"|"failed...
ISO 8601|time.format(1719842400)|"2024-07-01T14:00:00Z"
... in a zone|time.format(1719842400, nil, "America/Chicago")|"2024-07-01T09:00:00-05:00"
... with half an hour|time.format(0, nil, "Asia/Kolkata")|"1970-01-01T05:30:00+05:30"
a format|time.format("2024-07-01T14:00:00Z", "%A %d %B %Y %H:%M %Z", "America/Chicago")|"Monday 01 July 2024 09:00 CDT"
the zone of UTC|time.format(0, "%Z %z")|"UTC +0000"
far ahead|time.format(4102444800, nil, "Europe/Berlin")|"2100-01-01T01:00:00+01:00"
later|time.format(time.add("2026-01-31T23:00:00Z", "1h30m"))|"2026-02-01T00:30:00Z"
earlier|time.format(time.add(0, "-5m"))|"1969-12-31T23:55:00Z"
a duration|time.seconds "1h30m"|5400
half a second|time.seconds "500ms"|0.5
now is a time of today|math.abs(time.since(time.now())) < 1|true
now is an integer or has milliseconds|time.now() * 1000 % 1 < 0.001 or time.now() * 1000 % 1 > 0.999|true
since|time.since(time.add(time.now(), "-1h")) >= 3600|true
END

misused() {
  printf 'return runbook { title = "T", use_when = "t", impact = "t", step "Look" { probe = function (run) local x = %s end } }\n' "$2" >bad.lua
  rb run bad.lua --json
  is "$1: exit" "$rc" 2
  has "$1" "$(jq -r .error.message <<<"$out")" "$3"
}
misused "a zone that is none" 'time.format(0, nil, "Mars/Base")' 'Mars/Base'
misused "a folder of zones" 'time.format(0, nil, "America")' 'no time zone'
misused "a file that is no zone" 'time.format(0, nil, "../../etc/passwd")' 'no time zone'
misused "a conversion of its own" 'time.format(0, "%s")' "'%s' is not known"
misused "no duration" 'time.seconds "fast"' "'fast' is no duration"
misused "a bare table" 'time.add({}, "1h")' 'not a table'
misused "not a number" 'time.format(0/0)' 'no time'
TZ=Asia/Tokyo rb run book.lua --json
is "the zone of the machine changes nothing" "$(jq -c '[.findings[] | select(.name == "1" or .name == "21") | .value]' <<<"$out")" '[1795227388,"2024-07-01T14:00:00Z"]'

printf 'local t = time.now()\nreturn runbook { title = "T", use_when = "t", impact = "t", step "Look" { probe = function () end } }\n' >load.lua
rb run load.lua --json
is "the time is not for loading: exit" "$rc" 2
