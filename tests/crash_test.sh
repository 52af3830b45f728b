#!/usr/bin/env bash
# Drills of the shipped runbooks on the sandbox: killed at every point and resumed, and, with
# CRASH_ALL=1, every entry, with faults, also of probes (CRASH_ALL=changes: of changes
# alone; CRASH_ALL=crashes: none). What was done is counted by the servers themselves.
. "$(dirname "$0")/lib.sh"
for need in psql redis-cli; do
  command -v $need >/dev/null || { skip "drills" "needs $need"; exit 0; }
done
sandbox_up
cd "$tmp" || exit 2
sed -i 's|schema  = {},|schema = { settle_after = "100ms", watch_every = "50ms", alerts_every = "50ms" },|' runbook.config.lua
all=${CRASH_ALL:-}
sandbox=$top/examples/sandbox/sandbox

# file | variant | what comes first | only with CRASH_ALL | arguments. Another table may stand beside a
# runbook, in NAME.drill. A runbook that is in none of them, and changes something, fails the test.
table='examples/maintenance_page.lua||||page=SANDBOX/app/page.html --case up
examples/maintenance_page.lua||examples/maintenance_page.lua page=SANDBOX/app/page.html --case up|all|page=SANDBOX/app/page.html --case down
examples/handover.lua|||all|to=kim file=SANDBOX/app/handover.json --answers ANSWERS
runbooks/school_erp/tenant_isolation.lua|healthy|||tenant=greenwood_high --case isolate
runbooks/school_erp/tenant_isolation.lua|healthy|tenant_isolation tenant=greenwood_high --case isolate|all|tenant=greenwood_high --case reenable
runbooks/school_erp/service_restart.lua|stale-cache||all|watch=1s
runbooks/school_erp/tenant_maintenance.lua|healthy||all|tenant=greenwood_high --case enable --answers ANSWERS
runbooks/school_erp/tenant_maintenance.lua|healthy|tenant_maintenance tenant=greenwood_high --case enable --answers ANSWERS|all|tenant=greenwood_high --case disable --answers ANSWERS
runbooks/polaris/magic_link.lua|polaris-send-failed||all|teacher=avery.dogwood55@prairie.example.edu
runbooks/polaris/magic_link.lua|polaris-typo||all|teacher=avery.dogwood55@prairie.example.edu replace=avery.dogwod55@prairie.example.edu
runbooks/polaris/magic_link.lua|polaris-not-in-roster||all|teacher=avery.dogwood55@prairie.example.edu name=Avery district=Riverbend building=North
runbooks/polaris/magic_link.lua|polaris-inactive||all|teacher=avery.dogwood55@prairie.example.edu activate=yes
runbooks/polaris/magic_link.lua|polaris-wrong-data||all|--case wrong_data --answers ANSWERS
runbooks/polaris/pathful_schema_change.lua|polaris-renamed||all|sample=SANDBOX/polaris/export/pathful-next.csv --answers ANSWERS'
more=$(cat "$top"/runbooks/*/*.drill 2>/dev/null)
table=$table${more:+$'\n'$more}
answers() {  # FILE: what its runbook asks
  case "$1" in *handover*) echo '{ "open-incidents": "yes", "watch": "the import", "pager": "yes" }';;
    *tenant_maintenance*) echo '{ "speak-with-the-school-s-principal": "yes", "is-the-cause-found-and-mended": "yes" }';;
    *magic_link*) echo '{ "verify-the-address": "done", "find-the-cause": "done", "the-cause-is-known-and-mended": "done" }';;
    *dr_test*) cat "$top/runbooks/vouchers/dr_test.answers";;
    *pathful*) echo '{ "agree-to-the-names": "done" }';; esac >"$tmp/answers.json"
}

# every shipped runbook is drilled and compared (fidelity), or has no remedy and no undo in it
for file in "$top"/runbooks/*/*.lua "$top"/examples/*.lua; do
  grep -q '^return runbook' "$file" || continue
  name=${file#"$top/"}
  changes=$(grep -cE '^ *(remedy|undo) *=' "$file")
  [ "$changes" = 0 ] || case "$table" in *"$name|"*) pass "$name is drilled";; *) fail "$name is drilled" "add it to the table of tests/crash_test.sh";; esac
done

# Each run is followed by this: what the servers have counted since the last one goes into
# counts, and all is put back. A trigger of the test's own counts committed UPDATEs.
cat >"$tmp/again" <<'END'
#!/bin/bash
. SB/env
q() { PGOPTIONS=-cclient_min_messages=error psql -qAt -v ON_ERROR_STOP=1 "$SANDBOX_PG_URL" "$@"; }
admin() { redis-cli -u "$SANDBOX_REDIS_ADMIN_URL" --no-auth-warning "$@" 2>/dev/null; }
sets=$(admin info commandstats | sed -n 's/^cmdstat_set:calls=\([0-9]*\),.*/\1/p')
updates=$(q -c 'SELECT count(*) FROM public.drill_log' 2>/dev/null)
echo "redis.set=${sets:-0} pg.update=${updates:-0}" >>TMP/counts
SANDBOX VARIANT SB >/dev/null 2>&1 || exit 1
rm -f SB/app/page.html SB/app/handover.json
[ -z "FIRST" ] || XDG_STATE_HOME=TMP/first RUNBOOK run FIRST --yes >/dev/null 2>&1 || exit 1
q -c 'DROP TABLE IF EXISTS public.drill_log; CREATE TABLE public.drill_log (at timestamptz DEFAULT now());
  GRANT ALL ON public.drill_log TO PUBLIC;
  CREATE OR REPLACE FUNCTION public.drill_count () RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO public.drill_log DEFAULT VALUES; RETURN NULL; END $$;
  DROP TRIGGER IF EXISTS drill_count ON greenwood_high.user_sessions;
  CREATE TRIGGER drill_count AFTER UPDATE ON greenwood_high.user_sessions EXECUTE FUNCTION public.drill_count()' \
  >/dev/null 2>>TMP/trouble && admin config resetstat >/dev/null
END

points=0 faults=0 asked=0 looked=0 changes=0
drill() {  # FILE VARIANT FIRST ARGS
  local args=${4//SANDBOX/$SANDBOX_DIR} first=${3//SANDBOX/$SANDBOX_DIR} what=("--crashes") name="$1 $4"
  case $first in */*) first=$top/$first;; esac
  args=${args//ANSWERS/$tmp/answers.json} first=${first//ANSWERS/$tmp/answers.json}
  sed "s|SANDBOX VARIANT|$sandbox ${2:+variant $2}|; s|sandbox  SB|sandbox reset SB|; s|SB|$tmp/sb|g; s|TMP|$tmp|g; s|RUNBOOK|$runbook|; s|FIRST|$first|g" \
    "$tmp/again" >"$tmp/reset"
  chmod +x "$tmp/reset"
  : >"$tmp/counts"
  answers "$1"
  case $all in '' | crashes) ;; changes) what=() ;; *) what=("--probes") ;; esac
  # shellcheck disable=SC2086
  rb drill "$top/$1" $args "${what[@]}" --reset "$tmp/reset" --json
  is "$name: all of it holds" "$rc" 0
  [ "$rc" = 0 ] || printf '%s\n' "$err" "$(jq -r '.error.message // empty, (.rows[]? | select(.held | not) | "\(.path) \(.what) \(.result)")' <<<"$out")" | sed 's/^/#   /'
  [ "$(jq .counts <<<"$out")" != null ] || return
  ok "$name: something was drilled" test "$(jq '[.rows[] | select(.kind == "crash")] | length' <<<"$out")" -ge 4
  points=$((points + $(jq .counts.points_held <<<"$out"))) faults=$((faults + $(jq .counts.faults_held <<<"$out")))
  jq -r --arg n "$name${2:+ ($2)}" '"# \($n): \([.rows[] | select(.kind == "crash") | .path] | unique | length) changes, " +
    (.counts | "\(.points_held) of \(.points) crashes, \(.faults_held) of \(.faults) undos and faults held; \(.looked_at) told by looking, \(.asked) asked")' <<<"$out"
  asked=$((asked + $(jq .counts.asked <<<"$out"))) looked=$((looked + $(jq .counts.looked_at <<<"$out")))
  changes=$((changes + $(jq '[.rows[] | select(.kind == "crash") | .path] | unique | length' <<<"$out")))
  [ -z "${DRILL_TABLES:-}" ] || printf '%s\n' "$out" >"$DRILL_TABLES/$(basename "$1" .lua)-$changes.json"
}
while IFS='|' read -r file variant first only args; do
  case "$file" in *"${CRASH_ONLY:-}"*) ;; *) continue;; esac
  [ -z "$only" ] || [ -n "$all" ] || continue
  drill "$file" "$variant" "$first" "$args"
  case "$args" in *"--case isolate"*)
    # two undisturbed runs, twelve that were killed and resumed, and the one that is not killed
    # any more; before and after them nothing, and first of all what made the sandbox
    is "the servers count no change twice" "$(sed 1d "$tmp/counts" | grep -nE '=([2-9]|[0-9]{2,})')" ""
    ok "and each of 15 runs' once" test "$(grep -c 'redis.set=1 pg.update=1' "$tmp/counts")" -ge 15;;
  esac
done <<<"$table"
echo "# $changes changes drilled: $points crashes and $faults undos and faults held; $looked in doubt told by looking, $asked asked"
