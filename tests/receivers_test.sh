#!/bin/bash
# receivers_test.sh - Teams, PagerDuty and webhooks: what they get, and what is done again
set -u
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/receivers.sh"
export HOOK_SECRET=shared-7781 ROUTING=$routing
receivers_start --webhook-secret "$HOOK_SECRET"
cd "$tmp" || exit 1
cat >runbook.config.lua <<END
return { target = "local", targets = { ["local"] = { kind = "sandbox", systems = {}, notify = {
  teams = { Operations = "$hook/teams/operations/$token" },
  pagerduty = { key = secret "ROUTING", url = "$hook/pagerduty/v2/enqueue" },
  webhook = {
    signed = { url = "$hook/webhook/signed/$token", secret = secret "HOOK_SECRET" },
    minds = { url = "$hook/webhook/minds/$token", secret = secret "HOOK_SECRET", idempotency = "X-Key" },
    wrong = { url = "$hook/webhook/wrong/$token", secret = "another-secret" },
    unsigned = "$hook/webhook/unsigned/$token" } } },
  badkey = { kind = "sandbox", systems = {}, notify = { pagerduty = { key = "short-one", url = "$hook/pagerduty/v2/enqueue" } } } } }
END
export RUNBOOK_CONFIG=$tmp/runbook.config.lua
book() { printf 'return runbook { title = "T", step "S" { %s } }\n' "$1" >t.lua; }
tell() { book "notify = function (run) $1 end"; rb run t.lua --json "${@:2}"; }
j() { jq -r "$1" <<<"$out"; }
effect() { j ".steps[0].effects[0].$1"; }
failure() { echo "$rc $(j '.error | .kind + " " + .certainty + ": " + .message')"; }

# -- Teams ---------------------------------------------------------------------------------
tell 'teams.post("Operations", "Imports are paused.")' -n
is "teams: a dry run shows it" "$rc $(effect summary) $(kept length)" "0 Operations: Imports are paused. 0"
tell 'teams.post("Operations", "Imports are paused.")'
is "a text is a card" "$rc $(kept '.[0] | .status, .body.attachments[0].content.body[0].text')" $'0 202\nImports are paused.'
tell 'teams.post("Operations", { type = "AdaptiveCard", version = "1.4", body = { { type = "TextBlock", text = "own" } } })'
is "and a card itself" "$rc $(kept '.[1].body.attachments[0].content.body[0].text')" "0 own"
tell 'teams.post("Operatons", "x")' -n; has "no such channel" "$out" 'did you mean \"Operations\"?'
tell 'teams.post("Operations", { text = "x" })' -n; has "no card" "$rc $out" 'a card is { type ='
tell 'teams.post("Operations", ("x"):rep(28001))' -n; has "too long" "$out" "28000 bytes at most"
forget; behave '{"teams": ["drop"]}'; tell 'teams.post("Operations", "x")'; has "dropped" "$(failure)" "6 in-doubt unknown"
rb resume --json; is "asked, not sent again" "$rc $(kept length)" "6 1"

# -- PagerDuty ---------------------------------------------------------------------------------
forget
open='run.key = pagerduty.trigger{ summary = "DR-Tabletop", severity = "info", details = { who = "all" } }'
tell "$open" -n; is "pagerduty: a dry run shows it" "$rc $(effect verdict) $(kept length)" "7 would do 0"
has "all of it" "$(effect after.value)" '"custom_details":{"who":"all"}'
tell "$open run:finding('key', run.key)"; is "an incident" "$rc $(kept '.[0] | .status, .body.event_action, .body.payload.summary, .body.payload.severity')" $'0 202\ntrigger\nDR-Tabletop\ninfo'
is "its key is returned" "$(j '.findings[0].value')" "$(kept '.[0].body.dedup_key')"
forget; tell 'local k = pagerduty.trigger{ summary = "x", dedup = "dr-1" } pagerduty.acknowledge{ dedup = k } pagerduty.resolve{ dedup = k }'
is "and its life" "$rc $(kept '[.[].body | .event_action + "/" + .dedup_key] | join(" ")')" "0 trigger/dr-1 acknowledge/dr-1 resolve/dr-1"
tell 'run.k = pagerduty.trigger{ summary = "x", dedup = "dr-1" } run:note(run.k)' -n; is "a key that was given is known in a dry run" "$rc" 0
forget
while IFS='|' read -r words call; do
  tell "$call" -n; has "$call" "$out" "$words"; ok "fails" test "$rc" != 0
done <<'END'
summary is a text|pagerduty.trigger{}
severity is critical, error, warning or info|pagerduty.trigger{ summary = "x", severity = "bad" }
dedup is a text|pagerduty.resolve{}
unknown field 'summry' (did you mean 'summary'?)|pagerduty.trigger{ summry = "x" }
unknown field 'summary'|pagerduty.resolve{ dedup = "x", summary = "x" }
END
is "nothing was sent" "$(kept length)" 0
tell "$open" --target badkey; has "a wrong key" "$(failure)" "1 refused not done: pagerduty: PagerDuty answered 400"
forget; behave '{"pagerduty": ["drop"]}'
tell "$open"; is "dropped: in doubt" "$rc" 6
rb resume --json; is "a resume sends it again" "$rc $(kept length)" "0 2"
is "as the same incident" "$(kept 'map(.body.dedup_key) | unique | length')" 1
forget; behave '{"pagerduty": ["500", "nothing"]}'
book "retry = { times = 3, every = '10ms' }, timeout = '20s', notify = function (run) pagerduty.trigger({ summary = 'x' }, { timeout = '500ms' }) end"
rb run t.lua --json; is "and so does retry" "$rc $(kept '[.[].status | tostring] | join(" ")') $(kept 'map(.body.dedup_key) | unique | length')" "0 500 null 202 1"
hasnot "the routing key is nowhere" "$(cat "$tmp"/state/runbook/tape.db* | strings)$out" "$routing"

# -- webhooks -------------------------------------------------------------------------------------
forget
tell 'webhook.post("signed", { case = "wrong_data", n = 3 })' -n
is "webhook: a dry run shows it" "$rc $(effect after.value) $(kept length)" '0 {"case":"wrong_data","n":3} 0'
tell 'webhook.post("signed", { case = "wrong_data", text = "é" })'
is "the receiver takes the signature" "$rc $(kept '.[0] | .status, .body.text')" $'0 200\né'
body=$(kept '.[0].body | tojson'); stamp=$(kept '.[0].headers."runbook-timestamp"')
is "as openssl makes it" "$(kept '.[0].headers."runbook-signature"')" \
  "sha256=$(printf '%s.%s' "$stamp" "$body" | openssl dgst -sha256 -hmac "$HOOK_SECRET" | sed 's/.* //')"
tell 'webhook.post("wrong", { a = 1 })'; has "another secret" "$(failure)" "1 refused not done: webhook: wrong answered 401: the signature does not fit"
tell 'webhook.post("unsigned", { a = 1 })' -n; has "without one that is said" "$(effect reason)" "unsigned"
tell 'webhook.post("unsigned", { a = 1 })'; has "and this receiver refuses it" "$(failure)" "answered 401"
tell 'webhook.post("sined", { a = 1 })' -n; has "no such receiver" "$out" 'did you mean \"signed\"?'
tell 'webhook.post("signed", "text")' -n; has "a table is expected" "$out" "a table expected"
forget; behave '{"webhook": ["drop"]}'; tell 'webhook.post("signed", { a = 1 })'; is "dropped: in doubt" "$rc" 6
rb resume --json; is "asked, not sent again" "$rc $(kept length)" "6 1"
rb resume --json --in-doubt=retry; is "sent again, its key is the same" "$rc $(kept 'map(.headers."idempotency-key") | unique | length')" "0 1"
forget; behave '{"webhook": ["drop"]}'; tell 'webhook.post("minds", { a = 1 })'; is "one that minds the key" "$rc" 6
rb resume --json; is "is sent to again by a resume" "$rc $(kept length) $(kept 'map(.headers."x-key") | unique | length')" "0 2 1"
forget; behave '{"webhook": ["429 1"]}'
book "retry = { times = 1, every = '1ms' }, notify = function () webhook.post('signed', { a = 1 }) end"
rb run t.lua --json; is "429 is retried" "$rc $(kept 'length')" "0 2"

# -- where they may stand ------------------------------------------------------------------------------
forget
for call in 'teams.post("Operations", "x")' 'pagerduty.trigger{ summary = "x" }' 'webhook.post("signed", { a = 1 })'; do
  for field in probe when verify remedy; do
    book "$field = function () $call return true end$([ $field != when ] || echo ', probe = function () end')"
    rb run t.lua --json -n; has "$field: $call (dry run)" "$out" "is a notice; \`$field\` may only"
    rb run t.lua --json; has "$field: $call" "$out" "is a notice; \`$field\` may only"
  done
done
is "nobody was told" "$(kept length)" 0
rb verify; is "the tape fits" "$rc" 0
