#!/usr/bin/env bash
# log: the counts of grep, sort and uniq; times, captures, long lines, and files that are none.
. "$(dirname "$0")/lib.sh"
cd "$tmp" || exit 2
config() { printf 'return { target = "local", targets = { ["local"] = { kind = "sandbox", systems = { app = { log = "%s" } } } } }\n' "${1:-app.log}" > runbook.config.lua; chmod 600 runbook.config.lua; }
config
export RUNBOOK_CONFIG=$tmp/runbook.config.lua
probe() { printf 'local log = system "app".log\nreturn runbook { title = "t", step "s" { %s probe = function (run)\n%s\nend } }\n' "${2:-}" "$1" > l.lua; rb run l.lua --json; }
finding() { jq -rc '.findings[0].value' <<<"$out"; }
message() { jq -r '"\(.error.kind): \(.error.message)"' <<<"$out"; }
# gives WHAT LUA JQ EXPECTED
gives() { probe "run:finding('x', $2)"; is "$1" "$(finding | jq -rc "$3")" "$4"; }
at() { date -u -d "@$((now - $1))" +%FT%T; }
now=$(date +%s)

# -- the prose's own pipeline, and ours -----------------------------------------------------
"$python" - > app.log <<'END'
import json, random
r = random.Random(7)
for i in range(20000):
    event = r.choice(["login_failures", "ADMIN_LOGIN_FAILED", "request"])
    line = {"time": "2026-11-25T%02d:%02d:%02dZ" % (i // 3600, i // 60 % 60, i % 60), "event": event,
            "user": {"id": r.randint(1, 9), "name": "a\"b\\ {é}"}, "note": "\"ip\": [", "n": [1, {"ip": "no"}],
            "ip": "10.0.%d.%d" % (r.randint(0, 3), r.randint(0, 60))}
    print(json.dumps(line, separators=(",", ":") if i % 2 else (", ", ": "), ensure_ascii=i % 3 == 0))
END
theirs=$(grep "login_failures" app.log | grep -oP '"ip": ?"10[^"]*"' | tr -d ' ' | sort | uniq -c | sed -E 's/ *([0-9]+) "ip":"(.*)"/\2 \1/' | sort)
probe 'local g = log:group{ by = "ip", match = "login_failures", top = 1000 } local t = {} for i, x in ipairs(g.groups) do t[i] = x.value .. " " .. x.count end
  run:finding("x", table.concat(t, "\n")) run:finding("order", g.groups[1].count >= g.groups[2].count) run:finding("n", g.distinct .. " " .. g.count .. " " .. g.without)'
is "grouped by a field: the counts of sort | uniq -c" "$(finding | sort)" "$theirs"
is "the most frequent first, and how many" "$(jq -c '[.findings[1,2].value]' <<<"$out")" "[true,\"$(wc -l <<<"$theirs") $(grep -c login_failures app.log) 0\"]"
probe 'local g = log:group{ by = [["ip": ?"(10[^"]*)"]], match = "login_failures", top = 1000 } local t = {} for i, x in ipairs(g.groups) do t[i] = x.value .. " " .. x.count end
  run:finding("x", table.concat(t, "\n"))'
is "by a pattern's capture: the same" "$(finding | sort)" "$theirs"
gives "a field in a field" 'log:group{ by = "user.id" }' '[.distinct, .without, .count]' '[9,0,20000]'
gives "a value with escapes" 'log:group{ by = "user.name", top = 1 }' '[.groups[0].value, .groups[0].count]' '["a\"b\\ {é}",20000]'
gives "what is a list has no text" 'log:group{ by = "n" }' '[.distinct, .without]' '[0,20000]'
gives "count" 'log:count{ match = "ADMIN_LOGIN_FAILED|login_failures" }' '[.count, .lines, .untimed]' "[$(grep -c 'ADMIN_LOGIN_FAILED\|login_failures' app.log),20000,0]"
gives "count of all" 'log:count()' '.count' 20000
probe 'run:finding("x", table.concat(log:tail(3), "\n")) run:finding("y", table.concat(log:tail(50, "ADMIN_LOGIN_FAILED|login_failures"), "\n")) run:finding("z", #log:tail(10000))'
is "tail" "$(finding)" "$(tail -3 app.log)"
is "tail of those that are like it" "$(jq -r '.findings[1].value' <<<"$out")" "$(grep 'ADMIN_LOGIN_FAILED\|login_failures' app.log | tail -50)"
is "as many as there may be" "$(jq -r '.findings[2].value' <<<"$out")" 10000

# -- times -------------------------------------------------------------------------------------
{ for s in 30000 20000 10000 10; do echo "{\"time\":\"$(at $s)Z\",\"ip\":\"a\"}"; done
  echo "{\"ip\":\"a\"}"
  echo "{\"at\":$((now - 5))000,\"ip\":\"b\"}"
  echo "{\"@timestamp\":\"$(date -u -d "@$((now + 7200 - 50))" +%FT%T).250+02:00\",\"ip\":\"c\"}"
  echo "$(at 50) ERROR a text ip=d"; echo "[$(at 50),123] WARN another"
  echo "10.0.0.1 - - [$(date -u -d "@$((now - 50))" '+%d/%b/%Y:%H:%M:%S +0000')] \"GET / HTTP/1.1\" 200"
  echo "    at some.stack(trace)"; } > app.log
gives "since: every way to write a time" 'log:count{ since = "15000s" }' '[.count, .lines, .untimed, .first_untimed]' '[7,11,2,5]'
gives "since a time" "log:count{ since = \"$(at 25000)Z\" }" .count 8
gives "since seconds" "log:count{ since = $((now - 25000)) }" .count 8
gives "lines that have no such field" 'log:group{ by = "ip" }' '[.without, (.groups[] | .value, .count)]' '[4,"a",5,"b",1,"c",1]'
for i in $(seq 0 29); do echo "$(at $((i * 2))) failed"; done > app.log
for i in $(seq 1 5); do echo "2026-01-01T00:0$i:30Z failed"; echo "2026-01-01T00:03:0${i}Z failed"; done >> app.log
gives "rate" 'log:rate{ match = "failed", per = "1m" }' '[.per, .count, (.windows[:5] | .[] | .at, .count)]' \
  '[60,40,"2026-01-01T00:01:00Z",1,"2026-01-01T00:02:00Z",1,"2026-01-01T00:03:00Z",6,"2026-01-01T00:04:00Z",1,"2026-01-01T00:05:00Z",1]'
gives "how many there were lately" 'log:rate{ per = "10h" }' '[.now, .per]' '[30,36000]'
gives "its peak, and the last windows only" 'log:rate{ since = "2026-01-01", per = "1d", limit = 1 }' '[(.windows | length), .peak.count >= 10]' '[1,true]'

# -- match, and lines of every kind ----------------------------------------------------------------
printf 'user=ada took 12 ms\nuser=bob took 7 ms\r\n\nuser=cy took 9 ms' > app.log
gives "match, with what it captures" 'log:match{ pattern = [[user=(\w+) took (\d+)]], limit = 2 }' '[.count, (.matches[] | .line, .captures[])]' '[3,1,"ada","12",2,"bob","7"]'
gives "lines end in LF or CRLF, or not" 'log:match{ pattern = "ms" }' '[.lines, (.matches[] | .text)]' '[4,"user=ada took 12 ms","user=bob took 7 ms","user=cy took 9 ms"]'
{ echo first; head -c 3000000 /dev/zero | tr '\0' x; echo; echo last; } > app.log
gives "a line of 3 MB is cut, and the next one is read" 'log:count{ match = "last" }' '[.count, .lines, .cut]' '[1,3,1]'
gives "and shown in part" 'log:tail(2)' '[(.[0] | length), .[1]]' '[4096,"last"]'
printf '{"ip":"a"\n{"ip":\n{"ip":"b\n"ip":"c"}\n{}\n{"x":{"ip":"d"},"ip" : "e"}\n{"ip":"f"} \n\0\xff{"ip":"g"}\n' > app.log
gives "what is no JSON has no field" 'log:group{ by = "ip" }' '[.without, (.groups[] | .value)]' '[6,"e","f"]'
printf 'Zo\xeb 1\nZo\xeb 2\n' > app.log
gives "lines that are not UTF-8" 'log:count{ match = [[\d]] }' .count 2
: > app.log
gives "an empty log" 'log:group{ by = "ip" }' '[.count, .distinct]' '[0,0]'
gives "its tail" 'log:tail(5)' length 0
touch app.log.1 app.log.2.gz app.log-20261124 app.log.bak other.log.1
gives "rotated files are named: they are not read" 'log:count()' '.unread' '["app.log-20261124","app.log.1","app.log.2.gz"]'

# -- what is none ---------------------------------------------------------------------------------------
says() { probe "$2"; has "$1" "$rc $(message)" "$3"; }
says "an option that is misspelt" 'log:count{ macth = "x" }' "2 script: log:count: there is no option 'macth'"
says "a pattern that is none" 'log:count{ match = "(" }' "the pattern '(' is not well formed at character 2"
says "a time that is none" 'log:count{ since = "yesterday" }' "'since' is a duration"
says "no field" 'log:group{ match = "x" }' "'by' is missing"
says "a pattern without a capture" 'log:group{ by = "(?:x)" }' "the pattern '(?:x)' captures nothing"
seq 1 250000 > app.log
says "too many to tell apart" 'log:group{ by = "(.*)" }' "1 limit: app.log: more than 200,000 different values"
yes 'a line of some log that says nothing in particular' | head -c 60M > app.log
probe 'log:count{ match = "(x|y)+z" }' 'timeout = "5ms",'
has "it is read no longer than there is time" "$rc $(message)" "1 timeout: "
rm app.log
says "a log that is not there" 'log:count()' "1 missing: app.log: there is no file $tmp/app.log"
mkfifo app.log
says "a FIFO is not opened" 'log:count()' "1 refused: app.log: $tmp/app.log is a fifo, not a file"
config /proc/self/environ
says "nor /proc" 'log:tail(1)' "is not a place for files"
config
rm app.log; echo "{\"time\":\"$(at 5)Z\"}" > app.log; echo "and text" >> app.log
rb doctor
has "doctor looks at it" "$out" "app.log lines"
has "and says what is in it" "$out" "of the last 2 lines 1 are JSON, 1 have a time"
