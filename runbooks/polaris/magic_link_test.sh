#!/usr/bin/env bash
# polaris/magic_link on the sandbox, one variant after the other: which case the data say and by what,
# what it would do (and that the dry run does nothing), what it does, its verification, its undo.
. "$(dirname "$0")/../../tests/lib.sh"
sandbox_up
cd "$tmp" || exit 2
teacher=avery.dogwood55@prairie.example.edu
variant() { "$top/examples/sandbox/sandbox" variant "$1" "$tmp/sb" > variant.log 2>&1 || { cat variant.log; fail "variant $1"; }; . "$tmp/sb/env"; }
sql() { psql -qAt "$SANDBOX_POLARIS_PG_URL" -c "$1"; }
j() { jq -r "$1" <<<"$out"; }
found() { jq -r --arg n "$1" '.findings[] | select(.name == $n) | .value' <<<"$out"; }
code() { curl -s -o /dev/null -w '%{http_code}' "$SANDBOX_POLARIS_URL/magic-link/$1"; }
link() { sql "select token from magic_link where email = '${1:-$teacher}' and revoked_at is null order by created_at desc limit 1"; }
live() { sql "select count(*) from magic_link where email = '${1:-$teacher}' and revoked_at is null and used_at is null and expires_at > now()"; }
would() { j '[.steps[].effects[] | select(.verdict == "would do") | .verb] | join(" ")'; }
did() { j '[.steps[].effects[] | select(.kind == "remedy" and .outcome == "done") | .verb] | join(" ")'; }
world() {
  psql -qAt "${SANDBOX_PG_ADMIN_URL%/*}/polaris" -c "select pg_snapshot_xmax(pg_current_snapshot())"
  redis-cli -u "$SANDBOX_REDIS_ADMIN_URL" --no-auth-warning debug digest 2>&1
  (cd "$SANDBOX_POLARIS" && find . -type f -exec sha256sum {} + | sort)
  mails length
}
mails() { cat "$SANDBOX_DIR/receivers/kept.jsonl" 2>/dev/null | jq -s -r "$1"; }
dry() {  # WHAT ARGS...: a dry run that changes nothing
  local what=$1 before; shift
  before=$(world)
  rb run magic_link teacher=$teacher "$@" --dry-run --json
  is "$what: the dry run changed nothing" "$(world)" "$before"
}
real() { rb run magic_link teacher=$teacher "$@" --yes --json; }

# VARIANT CASE EVIDENCE: what the data say
says() {
  variant "$1"
  rb run magic_link teacher=$teacher --dry-run
  has "$1: the evidence" "$out" "$3"
  dry "$1"
  is "$1: the case, and that it is a finding" "$(j '.cases | join(",")') $(found case)" "$2 $2"
}

# -- healthy: none of the four --------------------------------------------------------------------
variant healthy
dry healthy
is "healthy: no case" "$rc $(j '.cases | length')" "0 0"
has "healthy: by what" "$(found case)" "none: the last link, of"
is "healthy: nothing would be done" "$(would)" ""

# -- A: not received ----------------------------------------------------------------------------
says polaris-send-failed not_received 'is failed: connection to the provider timed out'
dry send-failed
is "send-failed: one change and one mail are planned" "$rc $(would)" "0 pg.transaction mail.send"
before=$(link)
real
is "send-failed: done" "$rc $(j .status) $(did)" "0 done pg.transaction"
is "send-failed: what was asked, generated and sent" "$(j '[.findings[] | select(.name | test("^(request|link|mail)$")) | .status] | join(",")')" ok,ok,bad
is "send-failed: the old link is refused" "$(code "$before/check") $(curl -s "$SANDBOX_POLARIS_URL/magic-link/$before/check" | jq -r .state)" "200 revoked"
new=$(link)
is "send-failed: one link is good, of 64 digits" "$(live) ${#new}" "1 64"
is "send-failed: for as long as configured" "$(sql "select extract(epoch from expires_at - created_at)::int from magic_link where token = '$new'")" 86400
is "send-failed: every verification passed" "$(j '[.steps[] | select(.verify) | .verify] | unique | join(",")')" passed
is "send-failed: it is in the audit log" "$(sql "select count(*) from audit_log where action = 'magic_link_regenerated' and detail->>'email' = '$teacher' and detail->>'token' = left(md5('$new'), 12)")" 1
is "send-failed: one mail, to the teacher alone" "$(mails 'map(.to | join(",")) | join(";")')" "$teacher"
has "send-failed: with the new link" "$(mails '.[0].parts[0].content')" "https://polaris.example.org/magic-link/$new"
has "send-failed: and how long it is good" "$(mails '.[0].parts[0].content')" 'good for 24h'
hasnot "the token is nowhere in what is printed" "$out$err" "$new"
refuses "nor on the tape" grep -qaF "$new" "$XDG_STATE_HOME"/runbook/tape.db "$XDG_STATE_HOME"/runbook/tape.db-wal
is "send-failed: the teacher opens it" "$(code "$new")" 200
variant polaris-send-failed
real
new=$(link)
rb undo --json
is "send-failed: undone" "$rc $(j .status)" "0 done"
is "send-failed: the new link is refused then" "$(curl -s "$SANDBOX_POLARIS_URL/magic-link/$new/check" | jq -r .state)" revoked

says polaris-bounced not_received 'is bounced: 550 5.1.1 no such user'
is "bounced: a person looks at the address" "$(j '[.steps[] | select(.status == "manual") | .id] | join(",")')" verify-the-address
before=$(world)
real
is "bounced: without an answer it stops there, with nothing changed" "$rc $(j .status) $(world)" "3 stopped $before"
rb abandon --yes
echo '{ "verify-the-address": "done: the district says it is right" }' > answers.json
real --answers answers.json
is "bounced: with the answer it goes on" "$rc $(did) $(live)" "0 pg.transaction 1"

says polaris-not-logged not_received 'there is no link of this teacher, and no mail'
has "not logged: said" "$(found request)" 'not logged: investigate how requests are handled'
real
is "not logged: a link all the same" "$rc $(live)" "0 1"

for v in 'provider-down|the mail provider is down: API answers 503' 'domain-blocked|prairie.example.edu takes no mail from us'; do
  variant "polaris-${v%%|*}"
  before=$(world)
  real
  has "${v%%|*}: stops before a mail that would be lost" "$rc $(j .error.message)" "1 ${v#*|}"
  is "${v%%|*}: nothing has changed" "$(world)" "$before"
done
has "domain-blocked: counted" "$(found 'domain prairie.example.edu')" '19 of 19 mails blocked'

# -- B: not found -------------------------------------------------------------------------------
says polaris-typo not_found "the roster has no $teacher"
has "typo: who it may be" "$(found 'nearly this')" 'replace=avery.dogwod55@prairie.example.edu'
before=$(world)
real
has "typo: it asks what to do" "$rc $(j .error.message)" '1 avery.dogwood55@prairie.example.edu is not on the roster: say replace=ADDRESS'
is "typo: nothing has changed" "$(world)" "$before"
dry typo --case not_found 'replace= Avery.DOGWOD55@prairie.example.edu '
is "typo: two changes and one mail are planned" "$rc $(would)" "0 pg.transaction pg.transaction mail.send"
real replace=avery.dogwod55@prairie.example.edu
is "typo: corrected, and a link" "$rc $(did) $(sql "select email from teacher_progress where id = 55") $(live)" "0 pg.transaction pg.transaction $teacher 1"
is "typo: the correction is no leak" "$(rb run magic_link teacher=$teacher -n --json; j '.cases | length')" 0
rb undo --json
is "typo: undone" "$rc $(sql "select email from teacher_progress where id = 55") $(live)" "0 avery.dogwod55@prairie.example.edu 0"
says polaris-not-in-roster not_found "the roster has no $teacher"
real 'name=Avery Dogwood' 'district=Prairie Hills' 'building=West Middle'
is "added, and a link" "$rc $(sql "select name || ', ' || status from teacher_progress where email = '$teacher'") $(live)" "0 Avery Dogwood, Not Started 1"
is "the application sends one, too, now" "$(curl -s -o /dev/null -w '%{http_code}' -X POST -d "{\"email\":\"$teacher\"}" "$SANDBOX_POLARIS_URL/magic-link/request")" 202
real replace=nobody@example.org --case not_found
has "an address to replace that is nobody's" "$rc $(j .error.message)" '1 the roster has no nobody@example.org either'
says polaris-inactive not_found 'is on the roster, and not active'
real
has "inactive: not without being told" "$rc $(j .error.message)" 'activate=yes'
real activate=yes
is "inactive: active again, and a link" "$rc $(did) $(live)" "0 pg.exec pg.transaction 1"

# -- C: no longer good -----------------------------------------------------------------------------
says polaris-expired expired 'the last link ran out at'
has "expired: how long it was good" "$(found 'its lifetime')" '24 h, configured are 24 h'
before=$(link)
is "expired: the old one is refused" "$(code "$before")" 410
real
is "expired: a new one opens" "$rc $(code "$(link)")" "0 200"
says polaris-reused expired 'was refused at'
has "reused: why" "$(found 'last refusal')" used
real
is "reused: mailed to the teacher" "$(mails 'map(.to | join(",")) | join(";")')" "$teacher"
is "reused: a new one opens, once" "$rc $(code "$(link)") $(code "$(link)")" "0 200 410"
sed '/link_lifetime/d' runbook.config.lua > other.lua; chmod 600 other.lua
variant polaris-expired
before=$(world)
real --config other.lua
has "without a configured lifetime nothing is made" "$rc $(j .error.message)" '2 the setting link_lifetime of the system polaris is missing'
is "... and nothing has changed" "$(world)" "$before"

# -- D: wrong data ------------------------------------------------------------------------------------
says polaris-wrong-data wrong_data 'is bound to emery.cedar15@lakeview.example.edu'
dry wrong-data --case wrong_data
is "wrong-data: three changes and one mail are planned" "$rc $(would)" "0 redis.set mail.send file.write pg.exec"
victim=$(sql "select token from magic_link where teacher_id = 14 and email like 'riley%'")
is "wrong-data: (it shows another teacher's data)" "$(curl -s "$SANDBOX_POLARIS_URL/magic-link/$victim/check" | jq -r .teacher_id)" 14
rb run magic_link --case wrong_data --yes --json
is "wrong-data: with --yes it asks nothing until the route is off" "$rc $(j .status)" "3 stopped"
is "wrong-data: the route is off first, before anything is looked at" \
  "$(j '[.steps[] | select(.status != "unselected") | .effects[] | .verb] | first')" redis.set
is "... and verified" "$(j '.steps[] | select(.id == "turn-the-magic-link-route-off") | .verify') $(code "$victim") $(code "$victim/check")" "passed 503 503"
is "wrong-data: which links" "$(found 'links bound to the wrong teacher')" 4
has "wrong-data: by fingerprint, whose, bound to whom" "$(j '[.findings[] | select(.name | startswith("link ")) | .value] | join("; ")')" \
  'of avery.dogwood55@prairie.example.edu, bound to emery.cedar15@lakeview.example.edu'
is "wrong-data: who saw whose data" "$(found "views of other teachers' data")" 2
has "... and when" "$(j '[.findings[] | select(.name | startswith("seen 20")) | .value] | join("; ")')" \
  'blake.elm56@riverbend.example.edu saw finley.dogwood16@prairie.example.edu, from 198.51.100.77'
is "wrong-data: a request that no form sends" "$(found 'requests with quotes, comments or SQL')" 1
is "wrong-data: leadership is told, once" "$(mails 'map((.to | join(",")) + " " + .subject) | join(";")')" "leadership@example.org SEV1: magic links showed other teachers' data"
has "... who saw whose data" "$(mails '.[0].parts[0].content')" 'avery.dogwood55@prairie.example.edu saw emery.cedar15@lakeview.example.edu'
file=$(found evidence)
is "wrong-data: the evidence is kept, for its owner only" "$(stat -c %a "$file") $(jq -r '[(.links | length), (.views | length), (.odd_requests | length)] | join(",")' "$file")" "600 4,2,1"
is "wrong-data: the links are revoked" "$(sql "select count(*) from magic_link l join teacher_progress t on t.id = l.teacher_id where t.email <> l.email and revoked_at is null")" 0
is "wrong-data: all others are as they were" "$(sql "select count(*) from magic_link where revoked_at is not null")" 4
is "wrong-data: the severity" "$(found severity)" 'SEV1: critical security incident'
hasnot "no token is printed" "$out$err" "$victim"
has "what is left is for a person" "$err$(j '.steps[] | select(.status == "manual") | .id')" find-the-cause
stopped=$(j .run)
rb run magic_link --case reopen --yes --json
is "nobody opens it while that run is not finished" "$rc $(code "$victim")" "5 503"
echo '{ "find-the-cause": "done: teacher_id came from the request", "the-cause-is-known-and-mended": "done: release 2.1" }' > answers.json
rb resume "$stopped" --answers answers.json --json
is "wrong-data: finished" "$rc $(j .status)" "0 done"
is "the route stays off" "$(code "$victim")" 503
rb run magic_link --case reopen --yes --json
is "... nor before a person says that the cause is mended" "$rc $(code "$victim")" "3 503"
rb abandon --yes
sql "update magic_link set revoked_at = null where token = '$victim'"
rb run magic_link --case reopen --yes --answers answers.json --json
has "not while a link would show another's data" "$rc $(j .error.message)" "1 1 links would show another teacher's data"
is "... still off" "$(code "$victim")" 503
sql "update magic_link set revoked_at = now() where token = '$victim'"
rb run magic_link --case reopen --yes --answers answers.json --json
is "then it is on again" "$rc $(j .status) $(code none)" "0 done 404"
is "and the revoked link is refused" "$(code "$victim")" 410

# a failure after the switch leaves it off
variant polaris-wrong-data
sed 's#evidence         = .*#evidence         = "/nowhere",#' runbook.config.lua > other.lua; chmod 600 other.lua
rb run magic_link --case wrong_data --yes --json --config other.lua
is "evidence cannot be kept: it fails, and the route is off" "$rc $(code none)" "1 503"
rb abandon "$(j .run)" --yes
is "... (and given up)" "$rc" 0

# nor does a mail server that takes nothing stop the rest
variant polaris-wrong-data
curl -s -f -d '{"mail":["550"]}' "$SANDBOX_RECEIVERS_URL/control" >/dev/null || fail "the receivers listen"
rb run magic_link --case wrong_data --yes --json
is "leadership cannot be told: said, and all the rest is done" "$(j '.steps[] | select(.id == "tell-leadership") | .status') $(code none) $(test -f "$(found evidence)" && echo kept)" "failed 503 kept"
rb abandon "$(j .run)" --yes

# the other two kinds of switch do the same
for kind in 'dotenv = "MAGIC_LINK"' 'http = "/features/magic_link", field = "enabled", on = true, off = false'; do
  variant polaris-wrong-data
  sed "s#magic_link       = { redis = .*#magic_link = { $kind },#" runbook.config.lua > other.lua; chmod 600 other.lua
  rb run magic_link --case wrong_data --yes --json --config other.lua
  is "off by ${kind%% *}" "$rc $(code none)" "3 503"
  rb resume --answers answers.json --json --config other.lua
  rb run magic_link --case reopen --yes --answers answers.json --json --config other.lua
  is "... and on again" "$rc $(code none)" "0 404"
done
for bad in 'redis = "x", dotenv = "Y"' 'on = "a"' 'redis = "x", on = "a", off = "a"'; do
  sed "s#magic_link       = { redis = .*#magic_link = { $bad },#" runbook.config.lua > other.lua; chmod 600 other.lua
  rb run magic_link --case wrong_data --yes --json --config other.lua
  has "a switch that is none: { $bad }" "$rc $(j .error.message)" '2 the setting magic_link'
done

# -- bad input ----------------------------------------------------------------------------------------
variant polaris-expired
before=$(world)
rb run magic_link 'teacher=  Avery.Dogwood55@PRAIRIE.example.edu ' --dry-run --json
is "spaces and capitals are normalised" "$rc $(j '.params.teacher') $(j '.cases | join(",")')" "0 $teacher expired"
for bad in 'Avery Dogwood <avery.dogwood55@prairie.example.edu>' $'avery.dogwood55@prairie.example.edu\nbcc: x@example.org' 'avery' 'a@b@c' ''; do
  rb run magic_link "teacher=$bad" --yes --json
  is "refused: $(head -c 30 <<<"$bad" | tr '\n' ' ')" "$rc $(j .error.kind)" "2 parameter"
done
rb run magic_link --yes --json
has "nobody named: it says what is missing" "$rc $(j .error.message)" "teacher"
is "nothing of it has changed anything" "$(world)" "$before"

rb show magic_link
for part in 'not_received' 'not_found' 'expired' 'wrong_data' 'reopen' 'Turn the magic-link route off'; do has "show: $part" "$out" "$part"; done
