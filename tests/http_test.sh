#!/bin/bash
# http_test.sh - requests that look, requests that change, and servers that misbehave
set -u
. "$(dirname "$0")/lib.sh"

server=''
away() { local status=$?; exec 2>/dev/null; [ -z "$server" ] || kill $server; return $status; }
trap 'away; finish' EXIT

start() {                       # NAME [OPTIONS]: a bad server; its port in $port
  local name=$1; shift
  python3 "$top/tests/badserver.py" "$@" >"$tmp/$name" 2>"$tmp/$name.err" &
  server="$server $!"
  for _ in $(seq 100); do port=$(cat "$tmp/$name"); [ -z "$port" ] || return 0; sleep 0.05; done
  cat "$tmp/$name.err"; fail "the server starts"; exit 1
}

start plain; url=http://127.0.0.1:$port
start mute --mute; mute=$port
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$tmp/key.pem" -out "$tmp/cert.pem" -days 40 \
  -subj /CN=localhost -addext subjectAltName=DNS:localhost >/dev/null 2>&1
start tls --tls "$tmp/cert.pem" "$tmp/key.pem"; tls=https://localhost:$port

export ODD='o"d\d~!(é)/ secret' SECRET_TOKEN='tok-5e3f&8a/21' BASIC=http://ope%40tor:p%3Ass%2Fword@${url#http://}
cat >"$tmp/runbook.config.lua" <<END
return {
  target = "local",
  targets = { ["local"] = { kind = "sandbox", systems = {
    bad = { http = { url = "$url", headers = { ["X-Token"] = secret "SECRET_TOKEN" },
      probes = { "POST /echo", "POST /find/{what}", "POST /ok?list=1" }, timeout = "5s" } },
    told = { http = "$url", settings = { token = secret "ODD" } },
    keyed = { http = { url = "$url", idempotency = "Idempotency-Key" } },
    gone = { http = "http://127.0.0.1:1" },
    hasty = { http = { url = "$url", first_byte_timeout = "200ms" } },
    mute = { http = { url = "https://127.0.0.1:$mute", connect_timeout = "200ms" } },
    nowhere = { http = "http://nowhere.invalid" },
    basic = { http = env "BASIC" },
    below = { http = "$url/doc/" },
    tls = { http = "$tls" },
    trusted = { http = { url = "$tls", ca = "$tmp/cert.pem", health = "/ok" } },
  } } },
}
END
export RUNBOOK_CONFIG=$tmp/runbook.config.lua
cd "$tmp" || exit 1

book() {                        # FIELD CODE: a runbook of one step
  cat >"$tmp/book.lua" <<END
local bad, gone, below = system "bad", system "gone", system "below"
local function a (name) return system(name).http end
return runbook {
  title = "Book", system = "bad", use_when = "tests", impact = "none",
  params = { tenant = { "string", default = "st marys/x" } },
  step "Do it" { $1 = function (run) local h = bad.http
    $2
  end },
}
END
}
# look CODE / change CODE [ARGS]: run it; $out, $rc, $words (the failure's), $kind
look() { book probe "$1"; shift; go "$@"; }
change() { book remedy "$1"; shift; go "$@"; }
go() {
  rb run book.lua --json "$@"
  words=$(jq -r '.error.message // empty' <<<"$out") kind=$(jq -r '.error.kind // empty' <<<"$out")
  reason=$(jq -r '[.steps[]?.effects[]?.reason // empty] | join(" ")' <<<"$out")
}
found() { jq -c --arg n "$1" '.findings[] | select(.name == $n) | .value' <<<"$out"; }
finds() { look "run:finding('x', $2)"; is "$1" "$(found x)" "$3"; }   # WHAT EXPRESSION JSON
fails() { look "$2"; is "$1: exit" "$rc" 1; is "$1: kind" "$kind" "$3"; has "$1" "$words" "$4"; }
misused() { look "$2"; is "$1: exit" "$rc" 2; has "$1" "$words" "$3"; }
changed() {                     # WHAT CODE EXIT KIND WORDS
  change "$2"; is "$1: exit" "$rc" "$3"; is "$1: kind" "$kind" "$4"; has "$1" "$words" "$5"
}
asked() { curl -s "$url/log" | jq -c "[.[] | select($1)]"; }          # a jq condition on requests
count() { asked "$1" | jq length; }
nothing() { is "$1: nothing was sent" "$(count "$2")" 0; }

# -- answers --------------------------------------------------------------------

finds "a status" 'h:get("/ok").status' 200
finds "ok()" '{ h:get("/ok"):ok(), h:get("/500"):ok(), h:get("/empty"):ok() }' '[true,false,true]'
finds "a status is an answer" '{ h:get("/500").status, h:get("/429").status, h:get("/nope").status }' '[500,429,404]'
finds "headers have lower-case names" 'h:get("/429").headers["retry-after"]' '"7"'
finds "a header that came twice" 'h:get("/twice").headers["x-two"]' '"a, b"'
finds "two cookies" 'h:get("/twice").headers["set-cookie"]' '"a=1, 2\nb=2"'
finds "a header without value" 'h:get("/twice").headers["x-empty"]' '""'
finds "json()" 'h:get("/ok"):json().status' '"ok"'
finds "integers and floats" '{ math.type(h:get("/ok"):json().n), math.type(h:get("/ok"):json().half) }' '["integer","float"]'
finds "lists" '#h:get("/ok"):json().list' 3
finds "a null is not absent" '{ h:get("/ok"):json().none == nil, h:get("/ok"):json().nope == nil }' '[false,true]'
finds "an empty list stays one" 'h:post("/echo", { json = { h:get("/ok"):json().deep, {}, json.array {} } }):json().body' '"[{\"a\":[[]]},{},[]]"'
finds "null goes back as it came" 'h:post("/echo", { json = { a = h:get("/ok"):json().none } }):json().body' '"{\"a\":null}"'
finds "a number that is too large for an integer" 'h:get("/big-number"):json().id > 1e29' true
finds "a gzip body" 'h:get("/gzip"):json().packed' true
finds "HEAD has no body" '{ h:head("/ok").status, h:head("/ok").body }' '[200,""]'
finds "OPTIONS" 'h:options("/ok").status' 200
finds "a large body" '#h:get("/15mb").body' $((15 << 20))
fails "a page instead of JSON" 'h:get("/html"):json()' data 'GET /html answered 502'
has "... says what came" "$words" '<title>502 Bad Gateway'
has "... and its type" "$words" 'text/html'
has "... and the resource" "$words" 'bad.http'
fails "broken JSON" 'h:get("/broken"):json()' data 'line 2, column'
fails "no body at all" 'h:get("/nothing"):json()' data 'empty'

# -- servers that misbehave ---------------------------------------------------------

fails "no server" 'gone.http:get("/ok")' io 'gone.http: GET /ok: Failed to connect to 127.0.0.1 port 1'
fails "no such host" 'a"nowhere":get("/ok")' io 'nowhere.invalid'
fails "never an answer" 'h:get("/never", { timeout = "300ms" })' timeout 'no answer after 0.'
fails "an answer that stops" 'h:get("/stall", { timeout = "300ms" })' timeout 'stopped in the middle'
fails "an answer that drips" 'h:get("/drip", { timeout = "500ms" })' timeout 'stopped in the middle'
fails "an endless body" 'h:get("/endless")' limit '16 MB'
fails "100 MB" 'h:get("/100mb")' limit '16 MB'
fails "a gzip bomb" 'h:get("/bomb")' limit '16 MB'
fails "endless headers" 'h:get("/flood")' limit '16 MB'
fails "what is not gzip" 'h:get("/not-gzip")' data 'encoding'
fails "a body cut short" 'h:get("/middle")' io 'remaining'
fails "a connection closed" 'h:get("/close")' io 'Empty reply'
fails "what is not HTTP" 'h:get("/garbage")' io 'HTTP'
fails "an answer that does not begin" 'a"hasty":get("/never")' timeout 'no answer after 0.2 s (first_byte_timeout)'
fails "... is not one that stops" 'a"hasty":get("/stall", { timeout = "600ms" })' timeout 'stopped in the middle after 0.6 s'
finds "... and no haste where it begins" 'a"hasty":get("/ok").status' 200
fails "a TLS handshake without an answer" 'a"mute":get("/ok")' timeout 'no end of its TLS handshake, after 0.2 s (connect_timeout)'
begun=$SECONDS
look 'run:each({ 1, 2, 3, 4, 5 }, function () run:try(function () h:get("/never", { timeout = "1s" }) end) end)'
is "five that never answer, at once" "$rc" 0
ok "... take as long as one" test $((SECONDS - begun)) -lt 4
book probe 'h:get("/never")'; sed -i 's/step "Do it" { /&timeout = "500ms", /' book.lua; go
is "the step's timeout holds" "$rc $kind" "1 timeout"
finds "200 at a time" '(function () local l = {} for i = 1, 200 do l[i] = i end
  local n = 0 for _, s in ipairs(run:each(l, { limit = 200 }, function (i)
    return h:get("/echo", { query = { i = i } }):json().target end)) do
    if s == "/echo?i=" .. (n + 1) then n = n + 1 end end return n end)()' 200

# -- being told to come back later ------------------------------------------------------

# comes WHAT PATH TIMES STATUS REQUESTS SUMMARY [OPTIONS]: a probe of a step with `retry`
comes() {
  book probe "run:finding('x', h:get('$2'${7:-}).status)"
  sed -i "s/step \"Do it\" { /&retry = { times = $3, every = \"20ms\" }, /" book.lua; go
  is "$1" "$rc $(found x) $(count ".target == \"$2\"")" "0 $4 $5"
  is "... and says so" "$(jq -r '[.steps[].effects[]?.summary] | last' <<<"$out")" "GET $2 -> $6"
}
finds "without retry 429 is an answer" 'h:get("/later/1/429/once").status' 429
comes "429 with seconds" /later/1/429/a 2 200 3 '200 after 3 tries'
comes "503 with a date, by the server's clock" /later/date/503/a 3 200 3 '200 after 3 tries'
comes "429 without a word" /later/none/429/a 2 200 3 '200 after 3 tries'
comes "what is no number and no date" /later/soon/429/a 2 200 3 '200 after 3 tries'
comes "503 without a word is an answer" /later/none/503/a 2 503 1 503
comes "the step's retry is the limit" /later/0/429/b 1 429 2 '429 after 2 tries'
comes "longer than there is time" /later/9/429/a 2 429 1 429 ', { timeout = "2s" }'
comes "... and longer than a number" /later/99999999999999999999/429/a 2 429 1 429
book probe 'expect(h:get("/later/0/429/again"):ok(), "it answers")'
sed -i 's/step "Do it" { /&retry = { times = 1, every = "10ms" }, /' book.lua; go
is "a function that is run again goes on with what is left" "$rc $(count '.target == "/later/0/429/again"')" '0 3'

# -- requests ---------------------------------------------------------------------------

echoes() { finds "$1" "h:get(\"/echo\", $2):json().target" "\"$3\""; }
echoes "a query is sorted and encoded" '{ query = { b = 2, a = { "x y", true }, ["ü"] = "&=" } }' \
  '/echo?a=x%20y&a=true&b=2&%C3%BC=%26%3D'
finds "values take their places" 'h:get("/a/{one}/{two}?q={one}", { path = { one = "../x", two = "a/b c" } }).request' \
  '"bad.http: GET /a/..%2Fx/a%2Fb%20c?q=..%2Fx"'
finds "values from run" 'h:get("/t/{tenant}", { path = run }).request' '"bad.http: GET /t/st%20marys%2Fx"'
finds "a literal path is encoded where it must be" 'h:get("/a b/ü").request' '"bad.http: GET /a%20b/%C3%BC"'
finds "the prefix of the base URL stays" 'below.http:get("/x"):json().version' 1
finds "headers" 'h:get("/echo", { headers = { ["X-A"] = "1", accept = "text/plain" } }):json().headers["x-a"]' '"1"'
finds "... one of the configuration stays" 'h:get("/echo", { headers = { a = 1 } }):json().headers["x-token"] ~= nil' true
finds "... one is overridden" 'h:get("/echo", { headers = { ["x-token"] = "mine" } }):json().headers["x-token"]' '"mine"'
finds "basic authentication" 'a"basic":get("/echo"):json().headers.authorization == "Basic b3BlQHRvcjpwOnNzL3dvcmQ="' true
misused "a URL is no path" 'h:get("http://127.0.0.1/")' 'not a URL'
misused "a path begins with a slash" 'h:get("ok")' "begins with '/'"
misused "a path from a value may not climb" 'h:get("/a/{x}/b", { path = { x = ".." } })' "'.' and '..'"
misused "... nor by itself" 'h:get("/a/%2e%2E/b")' "'.' and '..'"
misused "an empty value would be another path" 'h:get("/t/{x}", { path = { x = "" } })' 'is empty'
misused "a value that is not there" 'h:get("/t/{x}", { path = {} })' "'x' is missing"
misused "no values at all" 'h:get("/t/{x}")' 'path = run'
misused "a line break in a path" 'h:get("/a\nb")' 'control characters'
misused "a line break in a header" 'h:get("/echo", { headers = { a = "b\r\nInjected: 1" } })' 'line breaks'
misused "a line break in its name" 'h:get("/echo", { headers = { ["a\r\nb"] = "1" } })' 'letters, digits'
misused "another host" 'h:get("/echo", { headers = { Host = "evil" } })' 'configuration'
misused "a length of its own" 'h:get("/echo", { headers = { ["content-length"] = "5" } })' 'transport'
misused "an unknown option" 'h:get("/echo", { timeut = "1s" })' "unknown option 'timeut'"
misused "a timeout without a unit" 'h:get("/echo", { timeout = 5 })' '"10s"'
misused "expect on a probe" 'h:get("/echo", { expect = { 200 } })' 'status is an answer'
misused "no path" 'h:get()' 'a path is expected'

# -- redirects --------------------------------------------------------------------------------

finds "a redirect on the host" 'h:get("/here").request' '"bad.http: GET /ok?x=1"'
finds "... with its whole URL" 'h:get("/absolute").status' 200
finds "a redirect to another host is the answer" 'h:get("/elsewhere").status' 302
finds "... to another port" 'h:get("/other-port").status' 302
finds "... with a name that looks like ours" 'h:get("/userinfo").status' 302
finds "... to a file" 'h:get("/file").status' 302
finds "... that asks for another method" 'h:get("/to-method").status' 302
finds "... of OPTIONS" 'h:options("/here").status' 302
fails "a loop" 'h:get("/loop")' server 'more than 5 times'

# -- probes that would be more ---------------------------------------------------------------------

refused() { look "$2"; is "$1: exit" "$rc" 1; is "$1: kind" "$kind" refused; }
refused "a body on GET" 'h:get("/sly", { json = { 1 } })'
refused "a body on HEAD" 'h:head("/sly", { body = "x" })'
for name in X-HTTP-Method-Override X-HTTP-Method X-Method-Override x_http_method_override X-Rewrite-URL; do
  refused "$name" "h:get('/sly', { headers = { ['$name'] = 'DELETE' } })"
done
refused "_method in the query" 'h:get("/sly", { query = { _method = "DELETE" } })'
refused "_method in the path" 'h:get("/sly?a=1&%5Fmethod=DELETE")'
refused "_method as PHP reads it" 'h:get("/sly", { query = { [" _method[]"] = "DELETE" } })'
refused "_method in a listed request's form" 'h:post("/echo", { form = { _method = "DELETE" } })'
refused "_method in a listed request's JSON" 'h:post("/echo", { json = { _method = "DELETE" } })'
nothing "none of them" '.target | startswith("/sly")'
nothing "no listed one" '.body | test("_method")'
for method in post put patch delete; do
  look "h:$method('/sly')"
  is "$method in a probe: exit" "$rc" 2
  has "$method in a probe" "$words" 'may only probe'
done
nothing "none of them either" '.target | startswith("/sly")'
finds "a POST that the configuration lists" 'h:post("/echo", { json = { q = { 1, 2 } } }):json().body' '"{\"q\":[1,2]}"'
finds "... by its template" 'h:post("/find/{what}", { path = { what = "a/b" } }).status' 404
finds "... with its query" 'h:post("/ok?list=1").status' 200
look 'h:post("/ok?list=2")'; has "... and with no other" "$words" 'may only probe'
look 'h:post("/ok?list=1&x=2")'; has "... nor a longer one" "$words" 'may only probe'
look 'h:put("/echo")'; has "... nor another method" "$words" 'may only probe'

# -- the dry run -----------------------------------------------------------------------------------------

change 'h:post("/dry/{tenant}", { path = run, json = { why = "x", half = 0.5 }, headers = { ["X-Why"] = "test" } })' --dry-run
is "a dry run: exit" "$rc" 0
effect=$(jq -c '.steps[0].effects[0]' <<<"$out")
is "... says what it would do" "$(jq -r '.verdict, .summary, .guarded' <<<"$effect" | paste -sd'|')" 'would do|POST /dry/st%20marys%2Fx|false'
after=$(jq -r .after.value <<<"$effect")
has "... with its URL" "$after" "POST $url/dry/st%20marys%2Fx"
has "... its headers" "$after" 'X-Why: test'
has "... its type" "$after" 'Content-Type: application/json'
has "... its body" "$after" '{"half":0.5,"why":"x"}'
has "... without the secret" "$after" '[redacted SECRET_TOKEN]'
rb run book.lua --dry-run
has "a person reads what is sent" "$out" "sends   POST $url/dry/st%20marys%2Fx"
hasnot "... and nothing of what was there, which nobody knows" "$out" "(absent)"
hasnot "... anywhere" "$out$err" "$SECRET_TOKEN"
for method in put patch delete; do
  change "h:$method('/doc/dry-$method', { json = { v = 1 } })" --dry-run
  is "a dry $method looks at the version" "$(jq -c '.steps[0].effects[0] | [.verdict, .guarded]' <<<"$out")" '["would do",true]'
done
is "... with HEAD and nothing else" "$(asked '.target | startswith("/doc/dry")' | jq -c 'map(.method) | unique')" '["HEAD"]'
change 'h:put("/weak/dry", { json = { v = 1 } })' --dry-run
is "a weak version guards nothing" "$(jq -c '.steps[0].effects[0].guarded' <<<"$out")" false
change 'gone.http:put("/x", { json = { v = 1 } })' --dry-run
is "what cannot be looked at" "$(jq -c '.steps[0].effects[0] | [.verdict, .guarded]' <<<"$out")" '["would do",false]'
has "... is said" "$reason" 'could not be looked at'
for sly in '{ headers = { ["X-HTTP-Method-Override"] = "DELETE" } }' '{ query = { _method = "DELETE" } }'; do
  change "h:put('/sly-look', $sly)" --dry-run
  is "a disguised deed is not looked at" "$(jq -c '.steps[0].effects[0] | [.verdict, .guarded]' <<<"$out")" '["would do",false]'
done
nothing "... not even with HEAD" '.target | startswith("/sly-look")'
change 'local r = h:post("/dry2") if r.status == 200 then h:post("/dry3") end' --dry-run
is "an answer that is not there defers" "$rc $(jq -r '.steps[0].status' <<<"$out")" '7 deferred'
change 'h:post("/dry4", { expect = { "x" } })' --dry-run; is "a mistake is found in the dry run" "$rc" 2
is "no dry run sent anything else" "$(asked '.target | startswith("/dry")')" '[]'
change 'h:post("/dry5") h:post("/dry6")' --dry-run --limit http_writes=1
is "a limit refuses in the dry run" "$rc $(jq -r '.steps[0].effects[-1].verdict' <<<"$out")" '1 would refuse'

# -- deeds ---------------------------------------------------------------------------------------------------

change 'run:finding("x", h:post("/202", { form = { b = { 1, 2 }, a = "x y" } }):json().accepted)'
is "a deed: exit" "$rc" 0
is "... its answer is data" "$(found x)" true
is "... what was sent" "$(asked '.target == "/202"' | jq -c '.[-1] | [.method, .body, .headers["content-type"]]')" \
  '["POST","a=x%20y&b=1&b=2","application/x-www-form-urlencoded"]'
is "... is what was shown" "$(jq -r '.steps[0].effects[0].after.value' <<<"$out" | tail -1)" 'a=x%20y&b=1&b=2'
change 'h:post("/202", { body = "plain" })'
is "a body as it is has no type that we made up" "$(asked '.target == "/202"' | jq -c '.[-1] | [.body, .headers["content-type"]]')" '["plain",null]'
change 'h:post("/202", { body = ("x"):rep(3000000), headers = { ["Content-Type"] = "text/plain" } })'
is "a large body" "$(asked '.target == "/202"' | jq -c '.[-1] | [(.body | length), .headers["content-type"], .headers.expect]')" '[3000000,"text/plain",null]'
change 'h:delete("/202", { expect = 202 })'; is "an expected status" "$rc" 0
changed "the server says no" 'h:post("/409")' 1 server 'POST /409 answered 409, expected 2xx: {"error": "already paused"}'
is "... so it is not done" "$(jq -r .error.certainty <<<"$out")" 'not done'
change 'h:post("/409", { expect = { 200, 409 } })'; is "... unless that is expected" "$rc" 0
changed "no such page" 'h:post("/nope")' 1 server 'answered 404'
changed "the server breaks" 'h:post("/500")' 6 in-doubt 'answered 500'
changed "a gateway" 'h:post("/html")' 6 in-doubt 'answered 502'
changed "a 2xx that was not expected" 'h:post("/202", { expect = { 200 } })' 6 in-doubt 'answered 202, expected 200'
changed "a redirect of a deed" 'h:post("/303")' 6 in-doubt 'answered 303'
changed "nobody there" 'gone.http:post("/x")' 1 io 'Failed to connect'
is "... so it is not done" "$(jq -r .error.certainty <<<"$out")" 'not done'
changed "no answer" 'h:post("/never", { timeout = "300ms" })' 6 in-doubt 'may have been done'
changed "an answer that does not begin" 'a"hasty":post("/never?hasty")' 6 in-doubt 'first_byte_timeout'
changed "no end of a handshake" 'a"mute":post("/x")' 1 timeout 'handshake'
changed "closed without an answer" 'h:post("/close")' 6 in-doubt 'may have been done'
changed "an answer cut short" 'h:post("/middle")' 6 in-doubt 'may have been done'
is "each was sent once" "$(for t in never close middle 500 409; do count ".method == \"POST\" and .target == \"/$t\""; done | paste -sd' ')" '1 1 1 1 2'
change 'h:get("/second") h:post("/second")'
is "a deed never uses a connection that may break" "$rc $(count '.method == "POST" and .target == "/second"')" '0 1'

book remedy 'h:post("/never", { timeout = "2s" })'
"$runbook" run book.lua --json >"$tmp/out" 2>/dev/null & pid=$!
for _ in $(seq 100); do [ "$(count '.method == "POST" and .target == "/never"')" = 2 ] && break; sleep 0.05; done
kill -INT $pid; wait $pid
is "Ctrl-C does not hide a doubt" "$? $(jq -r .status "$tmp/out")" '6 in-doubt'

# -- versions -----------------------------------------------------------------------------------------------------

change 'run:finding("x", h:put("/doc/a", { json = { v = 2 } }):json().if_match)'
is "a deed is guarded by the version" "$rc $(found x)" '0 "\"v1\""'
change 'h:put("/doc/a", { json = { v = 2 }, headers = { ["If-Match"] = "\"v1\"" } })'
is "a version of the script's own that is old" "$rc $kind" '4 drift'
is "... is sent as it is" "$(asked '.target == "/doc/a" and .method == "PUT"' | jq -c '.[-1].headers["if-match"]')" '"\"v1\""'
changed "somebody was faster" 'h:patch("/moving/a", { json = { v = 2 } })' 4 drift 'changed since it was looked at'
change 'run:finding("x", h:delete("/weak/a"):json().if_match)'; is "a weak version is not sent" "$rc $(found x)" '0 null'

# -- keys -------------------------------------------------------------------------------------------------------------

change 'a"keyed":post("/202") a"keyed":post("/202") a"keyed":get("/echo")'
keys=$(asked '.headers["idempotency-key"]' | jq -r '.[].headers["idempotency-key"]')
is "each deed has a key of its own" "$(grep -cE '^[0-9a-f]{32}$' <<<"$keys") $(sort -u <<<"$keys" | wc -l)" '2 2'
book remedy 'a"keyed":post("/busy/a")'; sed -i 's/step "Do it" { /&retry = { times = 3, every = "10ms" }, /' book.lua; go
is "what was not done is repeated" "$rc $(count '.target == "/busy/a"')" '0 3'
is "... with the same key" "$(asked '.target == "/busy/a"' | jq '[.[].headers["idempotency-key"]] | unique | length')" 1
book remedy 'h:post("/500")'; sed -i 's/step "Do it" { /&retry = { times = 3, every = "10ms" }, /' book.lua; go
is "what may have been done is not" "$rc $(count '.method == "POST" and .target == "/500"')" '6 2'
often() { sed -i "s/step \"Do it\" { /&retry = { times = $1, every = \"$2\" }, /" book.lua; }
book remedy 'a"keyed":post("/shaky/a")'; often 3 10ms; go
is "... unless the service knows a repetition by its key" "$rc $(count '.target == "/shaky/a"')" '0 3'
is "... the same each time" "$(asked '.target == "/shaky/a"' | jq '[.[].headers["idempotency-key"]] | unique | length')" 1
is "the tape has each attempt" "$(jq -r '[.steps[0].effects[].outcome] | join(" ")' <<<"$out")" 'failed failed done'
book remedy 'a"keyed":post("/shaky/b")'; often 1 10ms; go
is "when it is repeated in vain it is in doubt" "$rc $(count '.target == "/shaky/b"') $(jq -r .status <<<"$out")" '6 2 in-doubt'
book remedy 'a"keyed":post("/shaky/c")'; often 3 1h; sed -i 's/step "Do it" { /&timeout = "300ms", /' book.lua; go
is "when there is no time left, too" "$rc $(count '.target == "/shaky/c"') $(jq -r .status <<<"$out")" '6 1 in-doubt'
change 'a"keyed":post("/dry7")' --dry-run
has "a dry run tells of the key" "$(jq -r '.steps[0].effects[0].after.value' <<<"$out")" 'Idempotency-Key: (made'

# -- what must not be seen ------------------------------------------------------------------------------------------------

change 'a"basic":post("/202", { headers = { Authorization = "Bearer abcdefgh" } }) h:post("/202") run:note("%s", h:get("/echo").body)'
is "credentials in use: exit" "$rc" 0
hasnot "no password" "$out$err" 'ss/word'
hasnot "... nor as it was sent" "$out$err" 'p%3Ass'
hasnot "... nor a bearer token in a preview" "$out" abcdefgh
hasnot "no secret header, though the server echoed it" "$out$err" "$SECRET_TOKEN"
for way in 'json = { token = t }' 'form = { token = t }' 'query = { token = t }' 'headers = { token = t }' 'body = t'; do
  change "local t = system('told').settings.token
    a'told':post('/202', { $way })"
  is "a secret as ${way%% *}: exit" "$rc" 0
  shown=$(jq -r '.steps[0].effects[0] | .after.value, .summary' <<<"$out")
  has "... is redacted" "$shown" '[redacted ODD]'
  hasnot "... wholly" "$shown" secret
done
is "... but for the server" "$(asked '.target == "/202" and (.body | startswith("{\"token"))' | jq -r '.[-1].body | fromjson.token')" "$ODD"
misused "the base URL is not the script's" 'h:get("/x", { url = "http://evil" })' "unknown option 'url'"

# -- TLS ---------------------------------------------------------------------------------------------------------------------

fails "a certificate that nobody vouches for" 'a"tls":get("/ok")' auth 'certificate'
finds "... but our configuration" 'a"trusted":get("/ok").status' 200

# -- doctor --------------------------------------------------------------------------------------------------------------------

rb doctor
has "doctor: an answer" "$out" 'GET / -> 404'
has "doctor: a certificate" "$out" 'expires in 3'
has "doctor: nobody there" "$out" 'Failed to connect to 127.0.0.1 port 1'
hasnot "doctor: no password" "$out$err" 'ss/word'
