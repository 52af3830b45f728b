#!/usr/bin/env bash
# `runbook test`: worlds of fakes, what is expected of them, and what a failure says
. "$(dirname "$0")/lib.sh"
cd "$tmp" || exit 2
mkdir t; book() { cat > t/b.lua; }; tests() { cat > t/b_test.lua; }
said() { has "$1" "$out$err" "$2"; }

# -- what is shipped passes, offline ------------------------------------------------------
cd "$top" || exit 2
rb test examples/maintenance_page.lua; is "the example's tests pass" "$rc" 0
has "and are named" "$out" "ok      puts the page up"
rb test examples runbooks; is "all shipped tests pass" "$rc" 0
has "what never ran is named" "$out" "never: the undo of step"
cd "$tmp" || exit 2

# -- a failing expectation says what was expected, what was seen, and where -----------------
book <<'LUA'
return runbook { title = "B", step "A" {
  remedy = function (run) file.write("/x/a", "new") end,
  verify = function (run) return file.read("/x/a") == "new" end } }
LUA
tests <<'LUA'
return tests {
  test "says too little" {
    world = { files = { ["/x/a"] = "old" } },
    expect = {
      effects = {},
      world = { files = { ["/x/a"] = "old" } },
    },
  },
  test "is right" {
    world = { files = { ["/x/a"] = "old" } },
    expect = { effects = { "file.write /x/a" }, undo = true },
  },
}
LUA
rb test t/b.lua; is "a failure is exit 1" "$rc" 1
said "the line of what was expected" "t/b_test.lua:5: the effects, in order"
said "what was seen" 'file.write file: write /x/a (3 bytes) [done]'
said "the state of the world" 't/b_test.lua:6: the world'\''s files "/x/a"'
said "as it is" '"new"'; said "the other passes" "ok      is right"; said "totals" "2 tests: 1 passed, 1 failed"

# -- nothing outside is touched: neither the file nor the user's own tape ---------------------
refuses "no file was written" test -e /x/a
refuses "no tape of the user's" test -e "$XDG_STATE_HOME/runbook"

# -- an effect that nobody expected, and the stub to add ---------------------------------------
tests <<'LUA'
return tests { test "has no files" {} }
LUA
rb test t/b_test.lua; is "an unexpected effect fails" "$rc" 1
said "it is named" "the test does not expect a call of file.write (file)"
said "with the stub" "files = {"

# -- bad input ------------------------------------------------------------------------------------
bad() { tests; rb test t; is "$1: exit 2" "$rc" 2; said "$1" "$2"; }
bad "nothing is returned" "returns nothing: it ends with \`return tests" <<<'local x = 1'
bad "something else is returned" "returns a number, not tests" <<<'return 7'
bad "no test in it" "there is no test in it" <<<'return tests {}'
bad "a syntax error has its line" "t/b_test.lua:2: " <<<$'return tests {\n  test "a" { expect = = {} } }'
bad "an unknown field names the nearest" "test \"a\" has no field 'expct' (did you mean 'expect'?)" \
  <<<'return tests { test "a" { expct = {} } }'
bad "an unknown expectation" "expect has no field 'efects' (did you mean 'effects'?)" \
  <<<'return tests { test "a" { expect = { efects = {} } } }'
bad "a wrong type" "mode of test \"a\" takes \"run\" or \"dry-run\", not \"dry\"" \
  <<<'return tests { test "a" { mode = "dry" } }'
bad "an unknown step" "the runbook has no step 'b'" \
  <<<'return tests { test "a" { world = { files = {} }, expect = { steps = { b = "done" } } } }'
bad "an unknown part of the world" "has no field 'flies' (did you mean 'files'?)" \
  <<<'return tests { test "a" { world = { flies = {} } } }'
bad "a runbook that is not there" "there is no runbook 't/nosuch.lua'" \
  <<<'return tests { runbook = "t/nosuch.lua", test "a" {} }'
bad "an undo of nothing" "a dry run changes nothing" <<<'return tests { test "a" { mode = "dry-run", expect = { undo = true } } }'
bad "two of one name" "two tests are called \"a\"" <<<'return tests { test "a" {}, test "a" {} }'
bad "an error of its own has its line" "t/b_test.lua:1: " <<<'return tests { test "a" { params = nosuch.x } }'
bad "an endless loop" "loading took too long" <<<'while true do end'
mkdir n; echo 'return runbook { title = "Dr", step "A" { probe = function () end } }' > n/dr_test.lua
rb test n; is "NAME_test.lua may be a runbook's own name: no test" "$rc" 2; said "it is none" "there are no tests"
echo 'return tests { test "a" {} }' > n/dr_test_test.lua; rb test n; is "and has tests of its own" "$rc" 0
rb test n/dr_test.lua; is "which are found by its name" "$rc" 0; said "that is it" "n/dr_test_test.lua"
rm t/b_test.lua
rb test t; is "no tests in a folder: exit 2" "$rc" 2
rb test t/b.lua; said "a runbook without a test" "has no test"
rb test nosuch; said "no such runbook" "there is no runbook 'nosuch'"
is "and 'list' takes no test for a runbook" "$(cd "$top" && "$runbook" list 2>/dev/null | grep -c _test)" 0

# -- fakes answer what they were given, and are strict about everything else -----------------------
step() { printf 'local s = system "s"\nreturn runbook { title = "B", system = "s", step "A" { %s } }\n' "$1" | book; }
stub() { tests <<<'return tests { test "a" { '"$2"' } }'; rb test t; is "$1: fails" "$rc" 1; said "$1: the stub" "$3"; }
passes() { tests <<<"return tests { test \"a\" { $2 } }"; rb test t; if [ "$rc" = 0 ]; then pass "$1"; else fail "$1" "exit $rc" "$out$err"; fi; }
step 'probe = function () s.http:get("/a/{x}", { path = { x = "b c" }, query = { q = 1 } }) end'
stub "an http request" '' 's = { http = { ["GET /a/b%20c?q=1"] = { status = 200, json = {} } } },'
passes "the stub is taken" 'world = { s = { http = { ["GET /a/b%20c?q=1"] = { status = 200, json = {} } } } }'
passes "a path without its query is, too" 'world = { s = { http = { ["GET /a/b%20c"] = 404 } } }'
step 'remedy = function () s.http:post("/x", { json = { a = 1 } }) end'
stub "a POST" '' 's = { http = { ["POST /x"] = '
passes "one that is done" 'world = { s = { http = { ["POST /x"] = function (r) return r.json.a == 1 and 201 or 500 end } } }, expect = { effects = { "http.post POST /x -> 201" } }'
passes "400 was not done" 'world = { s = { http = { ["POST /x"] = 400 } } }, expect = { exit = 1, error = { kind = "server", certainty = "not done" } }'
passes "500 is in doubt" 'world = { s = { http = { ["POST /x"] = 500 } } }, expect = { exit = 6, error = { certainty = "unknown" } }'
passes "a POST that the target lists is a probe" 'world = { s = { probes = { "POST /x" }, http = { ["POST /x"] = 200 } } }, expect = { effects = {} }'
step 'remedy = function (run) s.pg:exec("UPDATE t SET a = 1  WHERE b = :b", { b = 7 }, { rows = 2 }) end'
stub "a statement" '' 's = { pg = { ["UPDATE t SET a = 1 WHERE b = :b"] = { affected = 1 } } },'
passes "rows as the script takes them" 'world = { s = { pg = { ["UPDATE t"] = { affected = 2 } } } }, expect = { effects = { { "pg.exec", rows = 2, summary = "UPDATE matches 2 rows of t" } } }'
passes "other rows are drift" 'world = { s = { pg = { ["UPDATE t"] = { affected = 3 } } } }, expect = { exit = 4, error = "drift" }'
passes "a dry run knows the count" 'mode = "dry-run", world = { s = { pg = { ["UPDATE t"] = { affected = 2 } } } }, expect = { status = "planned" }'
step 'remedy = function (run) run.n = s.pg:transaction(function (tx) tx:exec("INSERT INTO a VALUES (1)"); return tx:value("SELECT n FROM a") end) end, verify = function (run) return run.n == 5 end'
passes "a transaction is one effect" 'world = { s = { pg = { ["INSERT INTO a"] = { affected = 1 }, ["SELECT n"] = 5 } } }, expect = { effects = { "pg.transaction INSERT adds 1 row to a" } }'
passes "and is planned as one" 'mode = "dry-run", world = { s = { pg = { ["INSERT INTO a"] = { affected = 1 }, ["SELECT n"] = 5 } } }, expect = { effects = { { "pg.transaction", verdict = "would do", rows = 1 } } }'
passes "one that fails fails it" 'world = { s = { pg = { ["INSERT INTO a"] = { error = { kind = "server", message = "no such table" } } } } }, expect = { error = { kind = "server" } }'
step 'remedy = function () s.redis:set("k", "v", { ex = "1h" }) s.redis:rpush("l", "x", "y") s.redis:hset("h", { f = 1 }) s.redis:sadd("m", "b", "a") s.redis:del("old") end'
stub "a Redis" '' 's = { redis = {} },'
passes "it keeps what it is told, and undo takes it back" 'world = { s = { redis = { old = "x", l = { "w" } } } },
  expect = { undo = true, world = { s = { redis = { k = expiring("v", "1h"), l = { "w", "x", "y" }, h = { f = "1" }, m = set { "a", "b" }, old = false } } } }'
step 'probe = function (run) run.a, run.b = s.redis:get("a"), s.redis:ttl("a") run:sleep("2h") run:finding("gone", s.redis:get("a") == nil) run:finding("was", run.a .. run.b) end'
passes "a key expires when its time has come" 'world = { s = { redis = { a = expiring("1", "90m") } } }, expect = { findings = { gone = true, was = "15400" } }'
step 'remedy = function () s.redis:get("a") s.redis:incr("list") end'
passes "a wrong type fails as Redis does" 'world = { s = { redis = { list = { "x" } } } }, expect = { error = { kind = "server", message = "WRONGTYPE" } }'
step 'remedy = function () s.redis:eval("return 1") end'
tests <<<'return tests { test "a" { world = { s = { redis = {} } } } }'; rb test t; said "what no fake has" "has no primitive 'eval'"
step 'remedy = function () s.dotenv:add("A", "x") s.dotenv:set("B", "2") end'
passes "settings" 'world = { s = { dotenv = { A = "w" } } }, expect = { undo = true, world = { s = { dotenv = { A = "w,x", B = "2" } } } }'
step 'remedy = function () s.service:stop() end, verify = function () return s.service:status().state == "stopped" end'
passes "a service" 'world = { s = { service = {} } }, expect = { undo = true, world = { s = { service = { state = "stopped" } } } }'
passes "a dry run does not know what comes of it" 'mode = "dry-run", world = { s = { service = {} } }, expect = { steps = { a = { status = "planned", verify = "deferred" } } }'
step 'remedy = function () exec.run { "git", "pull" } end, probe = function (run) run:finding("log", exec.probe { "git", "log" }.stdout) end'
stub "a command" '' 'exec = { ["git log"] = { stdout = "" } },'
passes "commands" 'world = { exec = { ["git log"] = "x", ["git *"] = { code = 0 } } }, expect = { findings = { log = "x" }, effects = { "exec.run git pull" } }'
passes "one that fails is in doubt" 'world = { exec = { ["git log"] = "x", ["git pull"] = { code = 1, stderr = "no" } } }, expect = { exit = 6, error = { message = "git: exit code 1: no" } }'
step 'notify = function () slack.post("#ops", "down") mail.send { to = "kim@example.org", subject = "S", text = "T" } end'
passes "notices are recorded" 'expect = { notices = { { "slack.post", "#ops", "down" }, { "mail.send", "kim@example.org", "T" } } }'
step 'probe = function (run) run:finding("rows", #csv.rows("/x.csv")) run:finding("n", s.log:count { match = "x" }.count) end'
passes "what keeps nothing is scripted" 'world = { csv = { ["rows /x.csv"] = { { a = 1 } } }, s = { log = { count = { count = 3 } } } }, expect = { findings = { rows = 1, n = 3 } }'
stub "what is not" '' 'csv = { ["rows /x.csv"] = {} },'

# -- failures that the test wants; waits that cost nothing ----------------------------------------
passes "any verb can fail" 'world = { csv = { ["rows /x.csv"] = {} }, s = { log = { count = { count = 3 } } }, fails = { ["log.count"] = { kind = "timeout", message = "slow" } } }, expect = { error = { kind = "timeout", message = "slow" } }'
step 'retry = { times = 3, every = "1h" }, probe = function (run) run:finding("at", time.format(time.now())) s.http:get("/") run:finding("then", time.format(time.now())) end'
passes "one after the other; the clock is the world's" 'world = { clock = "2026-02-03T04:00:00Z", s = { http = { ["GET /"] = { { error = { kind = "io", message = "down" } }, { error = { kind = "io", message = "down" } }, 200 } } } },
  expect = { findings = { at = like "2026-02-03T05:00:00Z", ["then"] = like "2026-02-03T06:00:00Z" } }'
step 'timeout = "10s", probe = function () s.http:get("/") end'
passes "an answer may take its time" 'world = { s = { http = { ["GET /"] = { status = 200, takes = "9s" } } } }'
passes "and the step's may be up before" 'world = { s = { http = { ["GET /"] = { status = 200, takes = "11s" } } } }, expect = { exit = 1, error = "timeout" }'
step 'probe = function (run) run:wait_until("ready", { every = "5s", within = "5m" }, function () return s.http:get("/"):ok() end) end'
passes "five minutes of waiting are none" 'world = { s = { http = { ["GET /"] = 503 } } }, expect = { exit = 1, error = { message = "ready" } }'
started=$(date +%s%N); rb test t; ok "(less than three seconds)" test $(($(date +%s%N) - started)) -lt 3000000000
tests <<<'return tests { test "a" { world = { s = { http = {} } }, expect = { exit = 1 } } }'
step 'probe = function (run) pcall(function () s.http:get("/") end) run:try(function () s.http:get("/b") end) end'
rb test t; said "no pcall hides it" 'add to its world'
rb test t; is "what nobody expected fails it, though the script would go on" "$rc" 1; said "and is named" "GET /"
book <<'LUA'
return runbook { title = "B", step "A" { probe = function (run) run:finding("n", random.integer(1, 1000000)) run:finding("t", token.hex(8)) end } }
LUA
tests <<<'return tests { test "a" { expect = { findings = { n = 0, t = "" } } } }'
rb test t; one=$(grep seen <<<"$out"); rb test t; is "random values and tokens are the same again" "$(grep seen <<<"$out")" "$one"
has "(there are some)" "$one" "n: "
book <<'LUA'
return runbook { title = "B", step "A" { probe = function () while true do end end } }
LUA
tests <<<'return tests { test "a" { expect = { exit = 2, error = "runaway" } } }'; rb test t; is "an endless loop is ended all the same" "$rc" 0

# -- dry run, undo, answers, approvals ----------------------------------------------------------------
book <<'LUA'
local s = system "s"
return runbook { title = "B", system = "s", approve = "lead",
  step "A" { approve = { "cto" }, remedy = function () s.http:post("/off") end,
    undo = function () s.http:post("/on") end },
  step "B" { id = "b", manual = "Look", remedy = function () s.redis:set("k", "1") end, on_failure = "continue",
    verify = function (run) return s.redis:get("k") == (run:ask { id = "q", question = "?" }) end } }
LUA
off='world = { s = { redis = {}, http = { ["POST /off"] = 200, ["POST /on"] = 200 } } }'
passes "answers" "$off, answers = { b = \"yes\", q = 1 }, expect = { steps = { b = { status = \"done\", verify = \"passed\" } } }"
passes "a wrong one" "$off, answers = { b = \"yes\", q = 2 }, expect = { exit = 1, steps = { b = { verify = \"failed\" } } }"
passes "approvals that are not there" "$off, approvals = { \"lead\" }, expect = { exit = 3, error = { kind = \"approval\", message = \"cto\" }, effects = {} }"
passes "what is expected of the undo" "$off, answers = { b = \"yes\", q = 1 }, expect = { undo = { effects = { \"redis.restore\", \"http.post POST /on\" } } }"
passes "a dry run asks nobody" "$off, mode = \"dry-run\", expect = { exit = 0, steps = { a = \"planned\", b = { status = \"planned\", verify = \"deferred\" } } }"
tests <<<"return tests { test \"a\" { $off, answers = { b = \"yes\", q = 1 }, expect = { undo = { effects = {} } } } }"
rb test t; is "an undo that is not as expected fails" "$rc" 1; said "and says what it did" "http.post s.http: POST /on -> 200"
passes "only one step" "$off, only = \"a\", expect = { steps = { b = \"unselected\" }, effects = { \"http.post\" } }"

# -- documents ------------------------------------------------------------------------------------------
tests <<<'return tests { test "bad & <ugly> \"one\"" { expect = { exit = 7 } }, test "good" { world = { s = { http = { ["POST /off"] = 200 } } }, approvals = {}, expect = { exit = 3 } } }'
rb test t --json; is "JSON: exit" "$rc/$(jq .exit <<<"$out")" 1/1
is "JSON: what became of them" "$(jq -c '[.files[0].tests[].status]' <<<"$out")" '["failed","passed"]'
is "JSON: what was expected" "$(jq -r '.files[0].tests[0].failures[0].line' <<<"$out")" 1
rb test t --tap; has "TAP: plan" "$out" "1..2"; has "TAP: one that failed" "$out" 'not ok 1 - t/b_test.lua: bad & <ugly> "one"'
printf '%s\n' "$out" > t.tap
if command -v prove >/dev/null; then is "prove counts as we do" "$(prove -e cat t.tap 2>&1 | grep -o 'Failed 1/2 subtests')" "Failed 1/2 subtests"
else skip "prove counts as we do" "no prove"; fi
rb test t --junit; printf '%s\n' "$out" > t.xml
if command -v xmllint >/dev/null; then
  ok "JUnit is well-formed" xmllint --noout t.xml
  is "JUnit: one failed of two" "$(xmllint --xpath 'string(//testsuite/@failures)' t.xml)/$(xmllint --xpath 'string(//testsuite/@tests)' t.xml)" 1/2
  is "JUnit: the name, whatever it holds" "$(xmllint --xpath 'string(//testcase[failure]/@name)' t.xml)" 'bad & <ugly> "one"'
else skip "JUnit is well-formed" "no xmllint"; fi
tests <<<'return nil'; rb test t --tap; has "a file that cannot be loaded is one of them" "$out" "not ok 1 - t/b_test.lua: loading"
rb test t --junit; has "here, too" "$out" 'errors="1"'; rb test t --json; is "and here" "$(jq -r '.files[0].error.kind' <<<"$out")" test
rb test t --json --tap; is "one document at a time" "$rc" 2

# -- a tape, and a target that is a sandbox ------------------------------------------------------------------
mkdir -p r/x
cat > runbook.config.lua <<LUA
return { target = "here", targets = { here = { kind = "sandbox", allow = { files = { "$tmp/r" } } }, prod = { kind = "production" } } }
LUA
chmod 600 runbook.config.lua
book <<'LUA'
return runbook { title = "R", params = { f = { "path", required = true } },
  step "Write" { remedy = function (run) file.write(run.f, "x") end, verify = function (run) return file.read(run.f) == "x" end } }
LUA
rm -f t/b_test.lua
rb run t/b.lua "f=$tmp/r/out"; rb tape export -o t/b.tape; rm -f r/out
rb test t/b.lua; is "a tape beside its runbook is its test" "$rc" 0; said "and is named" "ok      replays b.tape"
refuses "nothing is done" test -e r/out
rb test t/b.tape; is "a tape may be named" "$rc" 0
tests <<LUA
return tests { params = { f = "$tmp/r/x/real" },
  test "tape" { tape = "b.tape", expect = { steps = { write = "done" } } },
  test "real" { target = "here", expect = { effects = { "file.write" }, undo = true } },
}
LUA
rb test t; is "a tape, and real parts" "$rc" 0; has "three tests" "$out" "3 tests: 3 passed"
is "what was done for real was taken back" "$(ls r/x)" ""
sed -i 's/"x")/"y")/' t/b.lua
rb test t/b.tape; is "another script than that of the tape fails" "$rc" 1
said "with what differs" "here it asks for file.write $tmp/r/out y, and the tape has file.write"
sed -i 's/"y")/"x")/' t/b.lua
bad "production is never a test's target" "a test is for sandbox targets only, and prod is production" <<<'return tests { params = { f = "/x" }, test "a" { target = "prod" } }'
bad "a tape that is not there" "nosuch.tape" <<<'return tests { test "a" { tape = "nosuch.tape" } }'
bad "no world is expected of a tape" "world is expected of a world of fakes, not of a tape" <<<'return tests { test "a" { tape = "b.tape", expect = { world = {} } } }'
rm -f t/b.tape runbook.config.lua

# -- again and again ------------------------------------------------------------------------------------------
book <<<'return runbook { title = "B", step "A" { probe = function (run) run:finding("n", 1) end } }'
tests <<<'return tests { test "a" { expect = { findings = { n = 1 } } } }'
"$runbook" test t/b.lua --watch >watched 2>&1 & watching=$!
seen() { for _ in $(seq 300); do [ "$(grep -c "$1" watched)" = "$2" ] && return; sleep 0.1; done; return 1; }
ok "it runs at once, and waits" seen "Ctrl-C ends it" 1
sed -i 's/"n", 1/"n", 2/' t/b.lua; ok "a runbook that is written runs them again" seen "Ctrl-C ends it" 2
has "which fails now" "$(cat watched)" "FAILED  a"
sed -i 's/n = 1/n = 2/' t/b_test.lua; ok "a test that is written, too" seen "Ctrl-C ends it" 3
echo 'return tests {' > t/b_test.lua; ok "one that cannot be loaded is said" seen "Ctrl-C ends it" 4
touch t/notes.txt; echo x > t/notes.txt; tests <<<'return tests { test "a" {} }'; ok "other files do not count" seen "Ctrl-C ends it" 5
kill -INT $watching; wait $watching; is "Ctrl-C ends it" "$?" 130
is "each time was one" "$(grep -c '^1 test: \|^0 tests: ' watched)" 5
rb test t --watch --json; is "it prints no document" "$rc" 2

# -- one that is killed leaves nothing ------------------------------------------------------------------------
book <<<'return runbook { title = "B", step "A" { probe = function (run) while true do end end } }'
tests <<<'return tests { test "a" {} }'
"$runbook" test t/b.lua >/dev/null 2>&1 & killed=$!
folder() { for d in /dev/shm/runbook-test.*/*; do [ -d "$d" ] && return; done; return 1; }
for _ in $(seq 100); do folder && break; sleep 0.1; done
kill -INT $killed; wait $killed; is "Ctrl-C ends all of them" "$?" 130

# -- no client library, no connection -----------------------------------------------------------------------
cd "$top" || exit 2
LD_DEBUG=files LD_DEBUG_OUTPUT=$tmp/loaded "$runbook" test runbooks examples >/dev/null 2>&1
ok "(the loader says what it loads)" grep -q libc.so "$tmp"/loaded.*
refuses "no client library is loaded" grep -qE 'libpq|libcurl|hiredis|libssl|lib/pg' "$tmp"/loaded.*
if command -v strace >/dev/null && strace -f -e trace=network -o "$tmp/net" "$runbook" test runbooks examples >/dev/null 2>&1; then
  is "no socket is made (but that of the C library, to ask who we are)" \
    "$(grep -E 'socket\(AF_INET|connect\(' "$tmp/net" | grep -v nscd)" ""
else skip "no socket is made" "strace does not work here"; fi
is "nothing is left behind" "$(ls -d /dev/shm/runbook-test.* "${TMPDIR:-/tmp}"/runbook-test.* 2>/dev/null | head -1)" ""

# -- the fakes have the primitives that there are ------------------------------------------------------------
cd "$tmp" || exit 2
"$runbook" help --primitives > primitives.md
real() {  # name kind
  awk -v m="$1" '$0 == "## " m { on = 1; next } /^## / { on = 0 }
    on && index($0, "### `" m ) == 1 { match($0, /[:.][a-z]+/); n = substr($0, RSTART + 1, RLENGTH - 1) }
    on && /^\*(probe|remedy|notice|probe or)/ && n != "" { k = $0; sub(/^\*/, "", k); sub(/[^a-z].*/, "", k)
      if ($0 ~ /^\*probe or/) k = "remedy"; print n, k; n = "" }' primitives.md | sort
}
for m in http pg redis dotenv file exec service backup mail slack teams pagerduty webhook; do
  real $m > real
  case $m in http|pg|redis|dotenv|service|backup) of='s.'$m self="$of, ";; *) of=$m self=;; esac
  { echo 'local s = system "s"'; echo 'return runbook { title = "B", step "A" { probe = function (run)'
    while read -r n _; do
      echo "do local f = $of.$n; local _, e = pcall(f, $self\"x\") run:finding(\"$n\", tostring(e):match(\"is a (%a+)\") or \"probe\") end"
    done < real; echo 'end } }'; } | book
  { echo 'return tests { test "a" { world = { fails = { ["*"] = { kind = "x" } } }, expect = { findings = {'
    while read -r n k; do echo "[\"$n\"] = \"$k\","; done < real; echo '} } } }'; } | tests
  rb test t; if [ "$rc" = 0 ] && [ -s real ]; then pass "$m: $(grep -c . real) of the same name and kind"; else fail "$m" "$out$err" "$(cat t/b.lua)"; fi
done
