#!/bin/bash
# each_test.sh - run:each: the same for many; some of them fail, one never answers
set -u
. "$(dirname "$0")/lib.sh"

server=''
away() { local status=$?; exec 2>/dev/null; [ -z "$server" ] || kill "$server"; return $status; }
trap 'away; finish' EXIT
$python "$top/tests/badserver.py" >"$tmp/port" 2>/dev/null &
server=$!
for _ in $(seq 100); do port=$(cat "$tmp/port"); [ -z "$port" ] || break; sleep 0.05; done
export WORD='hunter2-hunter2'
cat >"$tmp/runbook.config.lua" <<END
return { target = "local", targets = { ["local"] = { kind = "sandbox", systems = {
  bad = { http = "http://127.0.0.1:$port", settings = { word = secret "WORD" } } } } } }
END
export RUNBOOK_CONFIG=$tmp/runbook.config.lua
cd "$tmp" || exit 1
book() { cat >book.lua <<END
local bad = system "bad"
return runbook { title = "t", step "Many" { probe = function (run)
  $1
end } }
END
}
look() { book "$1"; shift; rb run book.lua --json "$@"; }
j() { jq -r "$1" <<<"$out"; }

# -- in the order of the list ----------------------------------------------------
look 'local got = run:each({ 4, 3, 2, 1 }, function (i)
    run:sleep(i * 40 .. "ms") run:finding("n" .. i, i) return i * i end)
  run:finding("after", table.concat(got, " "))'
is "results come in the order of the list" "$rc $(j '.findings[-1].value')" "0 16 9 4 1"
is "and so do findings" "$(j '[.findings[].name] | join(" ")')" "n4 n3 n2 n1 after"
"$runbook" report "$(j .run)" --json >report.json 2>&1
is "also in a report of the tape" "$(jq -r '[.findings[].name] | join(" ")' report.json)" "n4 n3 n2 n1 after"
look 'run:finding("before", 0)
  run:each({ 2, 1 }, { limit = 2 }, function (i)
    run:each({ 3, 2, 1 }, function (k) run:sleep(i * 30 + k * 40 .. "ms") run:finding(i .. "." .. k, 1) end)
    run:finding(i .. " over", 1) end)
  run:each({ 2, 1 }, function (i) run:sleep(i * 40 .. "ms") run:finding("again " .. i, 1) end)'
is "one in another, and one after another" "$(j '[.findings[].name] | join(", ")')" \
  "before, 2.3, 2.2, 2.1, 2 over, 1.3, 1.2, 1.1, 1 over, again 2, again 1"
look 'local l = {} for i = 1, 12 do l[i] = i end
  run:each(l, { limit = 12 }, function (i) run:sleep((13 - i) * 10 .. "ms") run:finding(tostring(i), i) end)'
is "ten comes after nine" "$(j '[.findings[].name] | join(" ")')" "1 2 3 4 5 6 7 8 9 10 11 12"

# -- some fail ---------------------------------------------------------------------
look 'run:each({ "d", "c", "b", "a" }, function (x)
    run:sleep(x == "d" and "80ms" or "10ms") if x ~= "b" then run:fail("%s is sick", x) end return x end)'
is "failures are named in the order of the list: exit" "$rc" 1
is "... in words" "$(j .error.message)" "$(printf '3 of 4 failed:\n  d: d is sick\n  c: c is sick\n  a: a is sick')"
is "... in JSON" "$(j '.steps[0].failures[0] | "\(.failed) of \(.of): " + ([.targets[] | "\(.index) \(.target) \(.kind) \(.reason)"] | join(", "))')" \
  "3 of 4: 1 d fail d is sick, 2 c fail c is sick, 4 a fail a is sick"
ok "... which its schema knows" $python -c 'import json, sys, jsonschema
jsonschema.validate(json.loads(sys.argv[2]), json.load(open(sys.argv[1])))' "$top/docs/run.schema.json" "$out"
"$runbook" report "$(j .run)" --json >report.json 2>&1
is "... and on the tape" "$(jq -c '.steps[0].failures' report.json)" "$(j '.steps[0].failures | tojson')"
rb run book.lua
has "... on the screen, a line for each" "$out" "$(printf '      3 of 4 failed:\n        d: d is sick\n        c: c is sick')"

look 'local l = {} for i = 1, 300 do l[i] = "host" .. i end
  run:each(l, { limit = 300 }, function (x)
    run:sleep((300 - tonumber(x:sub(5))) % 7 * 10 .. "ms") if x ~= "host2" then run:fail "no" end end)'
is "of many the first are told, and how many more" "$(j .error.message)" \
  "$(printf '299 of 300 failed:\n  host1: no\n  host3: no\n  host4: no\n  host5: no\n  host6: no\n  and 294 more')"
is "... and the first hundred are in the JSON" \
  "$(j '.steps[0].failures[0].targets | "\(length) \(.[0].target) \(.[99].target)"')" "100 host1 host101"
look 'local _, e = run:try(function () return run:each({ 1, { name = "two", id = "2" }, { 3 }, { school = "four" } }, function (x)
    if x ~= 1 then run:fail("no\nway") end return "fine" end) end)
  run:finding("kept", e.results[1]) run:finding("holes", e.results[2] == nil)
  run:finding("failed", e.failed[1].target .. ", " .. e.failed[2].target .. ", " .. e.failed[3].target) run:finding("message", e.message)'
is "the results of the others are kept" "$rc $(j '[.findings[:3][].value | tostring] | join("; ")')" \
  "0 fine; true; two, number 3, four"
is "a reason is one line" "$(j '.findings[3].value')" "$(printf '3 of 4 failed:\n  two: no way\n  number 3: no way\n  four: no way')"
look 'run:each({ "x" }, function () local s = nil; return s.y end)'
is "a mistake in the script is one of them" "$rc $(j '.steps[0].failures[0].targets[0].kind')" "1 script"
look 'run:each({ "x" }, function () run:fail(("é"):rep(300)) end)'
has "a long reason is cut, between two letters" "$(j .error.message)" "éé..."
look 'run:each({ "x", "y" }, function (x) run:fail("%s: '"$WORD"'", x) end)'
hasnot "a secret in a reason is not shown" "$out$err" "$WORD"
has "... but replaced" "$(j '.steps[0].failures[0].targets[1].reason')" "[redacted "

# -- one never answers --------------------------------------------------------------
look 'local l = {} for i = 1, 500 do l[i] = "/ok?n=" .. i end
  l[7] = "/never"
  local done, _, e = 0, run:try(function () return run:each(l, { limit = 20 }, function (page)
    return bad.http:get(page, { timeout = page == "/never" and "1s" or "20s" }).status end) end)
  for i = 1, 500 do done = done + (e.results[i] == 200 and 1 or 0) end
  run:finding("done", done) error(e)'
is "one of many never answers: the others do" "$(j '.findings[0].value')" 499
is "... and it is named" "$rc $(j '.steps[0].failures[0].targets | map(.target + " " + .kind) | join(" ")')" "1 /never timeout"
has "... in the message" "$(j .error.message)" "$(printf '1 of 500 failed:\n  /never: bad.http: GET /never')"

# -- how far it is --------------------------------------------------------------------
book 'local l = {} for i = 1, 30 do l[i] = i end
  run:each(l, { limit = 3 }, function (i) run:sleep "60ms" if i == 2 then run:fail "no" end end)'
script -qec "$runbook run book.lua" /dev/null >screen </dev/null
has "a terminal shows how far it is" "$(tr '\r' '\n' <screen)" " of 30 done, 1 failed, "
ok "... and how fast" grep -qE 'of 30 done, 1 failed, [0-9.]+/s' screen
rb run book.lua
hasnot "elsewhere a short one says nothing" "$err" "of 30"
