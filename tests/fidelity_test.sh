#!/usr/bin/env bash
# Every shipped runbook and example, each case: dry run, then real run in the same state, and the
# two compared change by change (tests/fidelity). A runbook that is not named here fails the test.
. "$(dirname "$0")/lib.sh"
sandbox_up
cd "$tmp" || exit 2
# the waits of a restart, in less time; a bad release is waited for in vain
sed -i 's|schema  = {},|schema = { settle_after = "1s", watch_every = "250ms", restart_takes = { "1s", "12s" } },|' runbook.config.lua
grep -q settle_after runbook.config.lua || fail "the waits are shortened"

# file | variant of the sandbox, if it is to be set up first | arguments: in this order, so that a
# case may follow on another. Another table may stand beside a runbook, in NAME.fidelity.
table='examples/hello.lua||
examples/handover.lua||to=kim file=SANDBOX/handover.json --answers ANSWERS
examples/maintenance_page.lua||page=SANDBOX/page.html
examples/maintenance_page.lua||page=SANDBOX/page.html message=Later --case up
examples/maintenance_page.lua||page=SANDBOX/page.html --case down
runbooks/school_erp/tenant_isolation.lua|healthy|tenant=greenwood_high --case isolate
runbooks/school_erp/tenant_isolation.lua||tenant=greenwood_high --case investigate
runbooks/school_erp/tenant_isolation.lua||tenant=greenwood_high --case reenable
runbooks/school_erp/tenant_isolation.lua||tenant=st-marys --case isolate
runbooks/school_erp/service_restart.lua|stale-cache|watch=1s
runbooks/school_erp/service_restart.lua|crashed|watch=1s
runbooks/school_erp/service_restart.lua|healthy|watch=1s cache=flush
runbooks/school_erp/service_restart.lua||watch=1s cache=keep
runbooks/school_erp/service_restart.lua|redis-down|watch=1s
runbooks/school_erp/service_restart.lua|bad-release|watch=1s
runbooks/school_erp/triage.lua||
runbooks/school_erp/triage.lua|brute-force|
runbooks/school_erp/triage.lua|wrong-credentials|
runbooks/school_erp/triage.lua|dlq|
runbooks/school_erp/triage.lua|lost-tables|
runbooks/school_erp/triage.lua|sick|
runbooks/school_erp/tenant_isolation.lua||tenant=greenwood_high --case isolate
runbooks/school_erp/triage.lua|healthy|'
more=$(cat "$top"/runbooks/*/*.fidelity 2>/dev/null)
table=$table${more:+$'\n'$more}

agree=0 all=0
try() {  # FILE VARIANT ARGS
  local args=$3 name="$1 $3"
  if [ -n "$2" ]; then
    "$top/examples/sandbox/sandbox" variant "$2" "$tmp/sb" >"$tmp/variant.log" 2>&1 || fail "variant $2" "$(cat "$tmp/variant.log")"
    . "$tmp/sb/env"
    name="$name ($2)"
  fi
  [ -e "$tmp/answers.json" ] || printf '{}' >"$tmp/answers.json"
  args=${args//SANDBOX/$SANDBOX_DIR}; args=${args//ANSWERS/$tmp/answers.json}
  # shellcheck disable=SC2086
  rb run "$top/$1" $args --dry-run --json; echo "$out" >"$tmp/dry.json"
  # shellcheck disable=SC2086
  rb run "$top/$1" $args --yes --json; echo "$out" >"$tmp/real.json"
  # one that failed keeps its lock, which the next of the table may need
  [ "$rc" = 0 ] || "$runbook" abandon "$(jq -r '.run // empty' "$tmp/real.json")" --yes >/dev/null 2>&1
  all=$((all + 1))
  if said=$("$python" "$top/tests/fidelity" "$tmp/dry.json" "$tmp/real.json" "$name" 2>&1)
  then agree=$((agree + 1)); pass "$name: ${said##*: }"
  else fail "$name" "$said" "$err"; fi
}
while IFS='|' read -r file reset args; do
  case $file in *handover*) printf '{ "open-incidents": "yes", "watch": "the import", "pager": "yes" }' >"$tmp/answers.json";;
    *tenant_maintenance*) printf '{ "speak-with-the-school-s-principal": "yes", "is-the-cause-found-and-mended": "yes" }' >"$tmp/answers.json";;
    *magic_link*) printf '{ "verify-the-address": "done", "find-the-cause": "done", "the-cause-is-known-and-mended": "done" }' >"$tmp/answers.json";;
    *dr_test*) cp "$top/runbooks/vouchers/dr_test.answers" "$tmp/answers.json";;
    *calendar_invites*) printf '{ "generation-salesforce": "done", "content-salesforce": "done", "delivery-addresses": "done", "delivery-blocked": "done" }' >"$tmp/answers.json";;
    *pathful*) printf '{ "agree-to-the-names": "done" }' >"$tmp/answers.json";; esac
  try "$file" "$reset" "$args"
done <<<"$table"
for file in "$top"/runbooks/*/*.lua "$top"/examples/*.lua; do
  grep -q '^return runbook' "$file" || continue
  name=${file#"$top/"}
  case "$table" in *"$name|"*) pass "$name is compared";; *) fail "$name is compared" "add it to the table of tests/fidelity_test.sh";; esac
done
echo "# fidelity: $agree of $all runs agree in every change"
