#!/bin/bash
# notices_test.sh - people are told once, by whom the configuration names, and never in a dry run
set -u
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/receivers.sh"
receivers_start
cd "$tmp" || exit 1
export OPS_URL=$hook/slack/ops/$token
cat >runbook.config.lua <<END
return { target = "local", targets = { ["local"] = { kind = "sandbox", systems = {},
  allow = { files = { "$tmp/d" } },
  notify = { slack = { ["#ops"] = secret "OPS_URL", ["#ops-status"] = "$hook/slack/status/$token",
                       ["#gone"] = "http://127.0.0.1:1/x", ["#old"] = "$hook/slack/ops/forgotten" } } },
  bare = { kind = "sandbox", systems = {} } } }
END
export RUNBOOK_CONFIG=$tmp/runbook.config.lua
mkdir d

# book FIELDS: a runbook of one step `s`; tell CALL [ARGS]: runs it with notify = CALL
book() { printf 'return runbook { title = "T", step "S" { %s } }\n' "$1" >t.lua; }
tell() { book "notify = function (run) $1 end"; rb run t.lua --json "${@:2}"; }
j() { jq -r "$1" <<<"$out"; }
effect() { j ".steps[0].effects[0].$1"; }
failure() { echo "$rc $(j '.error | .kind + " " + .certainty + ": " + .message')"; }

# -- one message -------------------------------------------------------------------------
tell 'slack.post("#ops", "Voucher previews unavailable;\nfallback to code view.")' -n
is "a dry run plans it" "$rc $(effect verdict) $(effect kind)" "0 would do notice"
is "and shows all of it" "$(effect after.value)" $'Voucher previews unavailable;\nfallback to code view.'
has "and whom" "$(effect summary)" "#ops: Voucher previews unavailable;"
is "nobody was told" "$(kept length)" 0
book 'notify = function () slack.post("#ops", "one\ntwo " .. ("long "):rep(600) .. "end") end'
rb run t.lua -n; has "a person sees the first line" "$out" "| one"; has "and the last word" "$(tr -d '\n ' <<<"$out")" "longend"
tell 'slack.post("#ops", "Voucher previews unavailable; é ✓")'
is "a run tells it" "$rc $(effect outcome) $(kept '.[] | .to + " " + .body.text')" "0 done ops Voucher previews unavailable; é ✓"
is "once" "$(kept length)" 1
has "in words" "$("$runbook" run t.lua 2>&1)" "1 notice was sent"
forget
tell 'slack.post("#ops-status", { { type = "section", text = { type = "mrkdwn", text = "*Down*" } }, { type = "divider" } })'
is "blocks are Block Kit's" "$rc $(kept '.[0].body.blocks[0].text.text') $(effect after.value)" "0 *Down* *Down*"
tell 'slack.post("#ops", { text = "short", blocks = { { type = "divider" } } })'
is "text and blocks" "$rc $(kept '.[1].body | .text + " " + .blocks[0].type')" "0 short divider"
is "the result is known in a dry run, too" "$(tell 'if slack.post("#ops", "x") ~= true then error "no" end' -n; echo $rc)" 0
hasnot "its URL is nowhere" "$(cat "$tmp"/state/runbook/tape.db* | strings; "$runbook" run t.lua --json 2>&1)" "$token"

# -- what cannot be said -------------------------------------------------------------------
forget
while IFS='|' read -r words call; do
  tell "$call" -n; has "$call (dry run)" "$out" "$words"; ok "fails" test "$rc" != 0
  tell "$call"; has "$call" "$out" "$words"; ok "fails" test "$rc" != 0
done <<'END'
there is no channel \"#opz\" in the target's notify.slack (did you mean \"#ops\"?)|slack.post("#opz", "x")
there is no channel \"general\" in the target's notify.slack (there is #gone, #old, #ops, #ops-status)|slack.post("general", "x")
the message is empty|slack.post("#ops", " \n")
a text, a list of blocks|slack.post("#ops", 7)
a text, a list of blocks|slack.post("#ops", {})
unknown field 'txt' (did you mean 'text'?)|slack.post("#ops", { txt = "x" })
50 blocks at most|slack.post("#ops", (function () local t = {} for i = 1, 51 do t[i] = { type = "divider" } end return t end)())
more than 40000 bytes|slack.post("#ops", ("x"):rep(40001))
a duration is expected|slack.post("#ops", "x", { timeout = 3 })
secret|slack.post("#ops", { text = "x", blocks = { { type = "section", text = token.secret(16) } } })
END
tell 'slack.post("#ops", "x")' --target bare
has "a target without notify" "$(failure)" "add notify = { slack = ... } to it in the configuration"
is "of all that nobody was told" "$(kept length)" 0
sed 's/notify = {/notfy = {/' runbook.config.lua >bad.lua; rb run t.lua --config bad.lua
has "notify is a known key" "$rc $err" "did you mean 'notify'"

# -- where a notice may stand ----------------------------------------------------------------
for field in probe when verify remedy; do
  book "$field = function () slack.post('#ops', 'x') return true end$([ $field != when ] || echo ', probe = function () end')"
  for mode in -n ''; do
    rb run t.lua --json $mode
    has "$field cannot tell people${mode:+ (dry run)}" "$out$err" "slack.post is a notice; \`$field\` may only"
  done
done
book 'undo = function () slack.post("#ops", "x") end, remedy = function () file.write("'"$tmp"'/d/u", "x") end'
rb run t.lua --json; rm d/u; rb undo --json; hasnot "nor can undo" "$rc" "x"
book 'notify = function () file.write("'"$tmp"'/d/n", "x") end'
rb run t.lua --json; has "notify cannot change" "$out" "file.write is a remedy; \`notify\` may only probe and tell"
printf 'slack.post("#ops", "x")\nreturn runbook { title = "T", step "S" { manual = "x" } }\n' >t.lua
rb run t.lua --json; has "nor can loading" "$out" "while the file is being loaded"
book 'notify = function () table.sort({ 2, 1 }, function (a, b) slack.post("#ops", "x") return a < b end) end'
rb run t.lua --json; has "nor a comparator" "$out" "cannot be used here"
is "of all that nobody was told" "$(kept length)" 0

# -- the other side misbehaves ------------------------------------------------------------------
while IFS='|' read -r how code words; do
  behave "{\"slack\": [\"$how\"]}"; forget_=$(kept length)
  tell 'slack.post("#ops", "x", { timeout = "700ms" })'
  has "answered by $how" "$(failure)" "$code"; has "says so" "$(failure)" "$words"
  is "sent once" "$(($(kept length) - forget_))" 1
done <<'END'
429 30|1 server not done|answered 429 and asked to wait 30 s: rate_limited; nobody was told
429|1 server not done|answered 429: rate_limited
404 no_service|1 refused not done|answered 404: no_service; nobody was told
302|1 refused not done|answered 302
500|6 in-doubt unknown|answered 500: trouble; it may have been read all the same
503|6 in-doubt unknown|answered 503
html|6 in-doubt unknown|answered 200, which is not what it answers: a page of HTML
200 hello|6 in-doubt unknown|answered 200, not Slack's "ok": hello
nothing|6 in-doubt unknown|no answer after 0.7 s; it was sent, and may have been read
drop|6 in-doubt unknown|it was sent, and may have been read
END
tell 'slack.post("#old", "x")'; has "a webhook that is gone" "$(failure)" "1 refused not done: slack: #old answered 404: no_service; nobody was told"
tell 'slack.post("#gone", "x")'; has "nobody listens" "$(failure)" "1 io not done: slack: #gone: Failed to connect"

forget; behave '{"slack": ["429 1", "429"]}'
book 'retry = { times = 3, every = "10ms" }, notify = function () slack.post("#ops", "x") end'
rb run t.lua --json
is "429 is retried when told to" "$rc $(kept '[.[].status] | map(tostring) | join(" ")')" "0 429 429 200"
ok "after the time that it said" test "$(kept '.[1].at - .[0].at >= 0.99')" = true
forget; behave '{"slack": ["500"]}'; rb run t.lua --json
is "500 is not" "$rc $(kept length)" "6 1"
forget; behave '{"slack": ["429 9"]}'
book 'retry = { times = 3, every = "10ms" }, timeout = "2s", notify = function () slack.post("#ops", "x") end'
rb run t.lua --json; is "nor where there is no time for it" "$rc $(kept 'map(.status) | unique | map(tostring) | join(" ")')" "0 200 429"

# -- in doubt, and resumed -------------------------------------------------------------------------
forget; behave '{"slack": ["drop"]}'
book 'notify = function () slack.post("#ops", "one") slack.post("#ops-status", "two") end'
rb run t.lua --json; is "the first may have been read" "$rc $(kept length)" "6 1"
rb resume --json; has "a resume asks" "$rc $(j .error.message)" "6 slack.post #ops: one (s/notify/1) may or may not have happened"
is "and tells nobody meanwhile" "$(kept length)" 1
rb resume --json --in-doubt=done; is "it was: goes on" "$rc $(kept '[.[].body.text] | join(" ")')" "0 one two"
book 'notify = function () slack.post("#ops-status", "one") end }, step "Then" { notify = function () slack.post("#gone", "two") end'
forget; rb run t.lua --json; is "the second failed" "$rc $(kept '[.[].body.text] | join(" ")')" "1 one"
rb resume --json; is "a resume does not tell the first again" "$rc $(kept length)" "1 1"
book 'notify = function () slack.post("#ops", "one") end }, step "Two" { notify = function () slack.post("#ops-status", "two") end'
forget; rb drill t.lua --crashes --reset true  # a power cut at every point: each is told once
points=$(sed -n 's/^\([0-9]*\) of .*points held.*/\1/p' <<<"$out")
ok "killed at each point of two notices" test "$points" -ge 6
one=$(kept 'map(select(.body.text == "one")) | length') two=$(kept 'map(select(.body.text == "two")) | length')
runs=$((points + 3))  # and three undisturbed: the first, the one that is undone, the last
is "each told once a run" "$rc $one $two" "0 $runs $runs"

# -- limits, --no-notify, undo -------------------------------------------------------------------------
forget
two='slack.post("#ops", "one") slack.post("#ops", "two")'
tell "$two" --limit notices=1
is "--limit holds" "$rc $(j .error.kind) $(kept '[.[].body.text] | join(" ")')" "1 limit one"
has "and says so" "$(failure)" "over the limit notices: 2 of 1"
tell "$two" -n --limit notices=1; is "a dry run finds it" "$rc $(j '.steps[0].effects[1].verdict')" "1 would refuse"
printf 'return runbook { title = "T", limits = { notices = 1 }, step "S" { notify = function () %s end } }\n' "$two" >t.lua
rb run t.lua --json; is "the runbook's" "$rc $(j .error.kind)" "1 limit"
sed 's/kind = "sandbox", systems = {},$/&  limits = { notices = 1 },/' runbook.config.lua >limited.lua
tell "$two" --config limited.lua; is "the target's" "$rc $(j .error.kind)" "1 limit"
behave '{"slack": ["404"]}'; book "retry = { times = 1, every = '1ms' }, notify = function (run) run:try(function () slack.post('#gone', 'x') end) slack.post('#ops', 'y') end"
rb run t.lua --json --limit notices=1; is "what was not told is not counted" "$rc" "1"
rb run t.lua --json --limit notices=1; is "what was not told is not counted" "$rc" "0"

forget; tell 'slack.post("#ops", "x")' --no-notify
is "--no-notify tells nobody" "$rc $(kept length) $(j '.steps[0] | .status + ": " + .reason')" "0 0 skipped: its notices are left out (--no-notify)"
book 'remedy = function () file.write("'"$tmp"'/d/f", "x") end, notify = function () slack.post("#ops", "written") end'
rb run t.lua --json --no-notify; is "and does the rest" "$rc $(cat d/f) $(kept length) $(j '.steps[0].status')" "0 x 0 done"
rm d/f; rb run t.lua --json; is "told" "$rc $(kept length)" "0 1"
rb undo --json; is "undo takes back the rest" "$rc $(ls d)" "0 "
has "and names what stays told" "$(j '.steps[0].reason')" "stays told: slack.post #ops: written"
is "and tells nobody" "$(kept length)" 1
book 'remedy = function () file.write("'"$tmp"'/d/f", "x") end, verify = function () return false end, notify = function () slack.post("#ops", "written") end'
forget; rb run t.lua --json; is "what failed is not told" "$rc $(kept length)" "1 0"; rm -f d/f

# -- a plan ----------------------------------------------------------------------------------------------
book 'notify = function () slack.post(file.read("'"$tmp"'/d/who"), file.read("'"$tmp"'/d/what")) end'
echo -n "#ops" >d/who; echo -n one >d/what
rb plan t.lua -o p.json; is "a plan" "$rc" 0; echo -n two >d/what
rb apply p.json --json; is "its words may be others" "$rc $(kept '.[0].body.text')" "0 two"
rb plan t.lua -o p.json; echo -n "#ops-status" >d/who; forget
rb apply p.json --json; is "whom it tells may not" "$rc $(kept length)" "4 0"
has "it says so" "$(failure)" "another recipient than in the plan"
rb verify; is "the tape fits" "$rc" 0
