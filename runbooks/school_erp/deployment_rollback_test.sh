#!/usr/bin/env bash
# deployment_rollback on the sandbox: a bad release is rolled back, and that taken back; releases that
# will not do, a build that fails, a health that never gets good, migrations that ran since; docker.
. "$(dirname "$0")/../../tests/lib.sh"
sandbox_up
cd "$tmp" || exit 2
variant() { "$top/examples/sandbox/sandbox" variant "$1" "$tmp/sb" > variant.log 2>&1 || { cat variant.log; fail "variant $1"; }; . "$tmp/sb/env"; }
sql() { psql -XqAt -v ON_ERROR_STOP=1 "$SANDBOX_PG_URL" -c "$1"; }
admin() { psql -XqAt "${SANDBOX_PG_ADMIN_URL%/*}/school_erp" -c "$1"; }
app() { git -C "$SANDBOX_APP" "$@"; }
j() { jq -r "$1" <<<"$out"; }
found() { jq -r --arg n "$1" '.findings[] | select(.name == $n) | .value' <<<"$out"; }
ended() { j '[.steps[] | select(.status == "failed") | .id][0]'; }
live() { curl -s "$SANDBOX_HTTP_URL/health" | jq -r "$1"; }
ready() { curl -s -o /dev/null -w '%{http_code}' "$SANDBOX_HTTP_URL/health/ready"; }
kept() { cat "$SANDBOX_RECEIVERS/kept.jsonl"; }
mails() { kept | grep -c "$1"; }
run() { rb run deployment_rollback.lua --json "$@"; }
give_up() { "$runbook" abandon "$(j .run)" --yes > /dev/null 2>&1; }
world() {
  admin "select pg_snapshot_xmax(pg_current_snapshot())"
  app rev-parse HEAD; app symbolic-ref -q HEAD; app status --porcelain; (cd "$SANDBOX_APP" && find . -path ./.git -prune -o -type f -print0 | sort -z | xargs -0 sha256sum) | sha256sum
  live .pid; kept | sha256sum
}
sed -i 's|schema  = {},|schema = { restart_takes = { "1s", "3s" } },|' runbook.config.lua

# -- a bad release ------------------------------------------------------------------------------
variant bad-release
good=$(app rev-parse HEAD~1) bad=$(app rev-parse HEAD)
is "bad: it is not ready" "$(ready)" 503
before=$(world)
run commit=HEAD~1 -n
dry=$out
is "bad: the dry run says what it would do" "$rc $(j '[.steps[].effects[] | select(.verdict == "would do") | .verb] | join(" ")')" \
  "0 mail.send mail.send mail.send exec.run exec.run service.restart mail.send mail.send mail.send"
is "bad: and changes nothing" "$(world)" "$before"
is "bad: the case, by the settings" "$(j '.cases | join(",")')" pm2
is "bad: it sees what runs, and why it is bad" "$(found 'release that runs') $(found 'health before') $(found 'alert MIGRATION_MISSING')" "1.5.0 RED 11, limit 12"
has "bad: the last ten are shown, with what each needs" "$(found "$(app rev-parse --short HEAD~1)")" "1.4.11, needs migration 11: health: tell tenants apart"
is "bad: ten of them" "$(j '[.findings[] | select(.value | tostring | test("needs migration"))] | length')" 10
has "bad: the one that does not fit, too" "$(j '.findings[] | select(.name | endswith("(checked out)")) | .value + " " + .status')" "needs migration 12: fees: in instalments"
run -n
is "bad: without a commit a dry run guesses nothing" "$rc $(j '[.steps[] | select(.status == "deferred") | .id][0]')" "7 which-is-the-last-good-one"
run --yes
is "bad: nor does a real one: a person says which" "$rc $(world)" "3 $before"
give_up
printf '{ "last-good-release": "%s %s" }' "$(app rev-parse --short HEAD~1)" "$(app log -1 --format=%s HEAD~1)" > which.json
run --answers which.json
is "bad: the tech lead and the CTO are asked" "$rc $(app rev-parse HEAD)" "3 $bad"
give_up
run --answers which.json --yes
is "bad: for real" "$rc $(j .status)" "0 done"
is "bad: it did what the dry run said" "$(j '[.steps[].effects[] | select(.kind == "remedy") | [.verb, .summary]]' | sed 's/pid [0-9]*//')" \
  "$(jq -r '[.steps[].effects[] | select(.kind == "remedy") | [.verb, .summary]]' <<<"$dry" | sed 's/pid [0-9]*//')"
is "bad: every verification passed" "$(j '[.steps[] | select(.verify != null) | .verify] | unique | join(",")')" passed
is "bad: the good release is checked out, built and runs" "$(app rev-parse HEAD) $(jq -r .version "$SANDBOX_APP/dist/release.json") $(live .version) $(ready)" "$good 1.4.11 1.4.11 200"
is "bad: the health is GREEN" "$(found 'health now')" GREEN
is "bad: each school was told before and after" "$(mails 'Expected downtime: 15 minutes') $(mails 'Maintenance complete')" "3 3"
has "bad: and what is left to do" "$(found next)" "take the bad release back on its branch"
rb undo --yes --json
is "bad: undone: the bad one is back, on its branch" "$rc $(app rev-parse HEAD) $(app symbolic-ref --short HEAD) $(live .version)" "0 $bad main 1.5.0"

# -- releases that will not do: before anything was changed -----------------------------------------
variant bad-release
before=$(world)
no() { run commit="$2" --yes; has "$1" "$rc $(j .error.message)" "$3"; give_up; }
no "no such release" v9 "1 there is no release 'v9' in $SANDBOX_APP; the one before this is $(app rev-parse --short HEAD~1)"
no "an option in its place" --all "1 there is no release '--all'"
no "the one that is there" main "main is checked out already: if it does not run, see service_restart"
is "nothing was changed, nobody told" "$(world)" "$before"
echo '{}' >> "$SANDBOX_APP/release.json"
no "a file that was changed by hand" HEAD~1 "1 changed by hand in $SANDBOX_APP: release.json"
is "it is kept" "$(tail -1 "$SANDBOX_APP/release.json")" '{}'
variant bad-release
good=$(app rev-parse HEAD~1)
app checkout -q "$good"
run commit=main --yes
has "one that needs more than the database has" "$rc $(j .error.message)" "1 it needs migration 12 and the database is at 11"
give_up
mv "$SANDBOX_APP/.git" "$SANDBOX_APP/.away"
run commit=main --yes; has "a folder without releases" "$rc $(j .error.message)" "git rev-parse works in $SANDBOX_APP (fatal: not a git repository"; give_up
mv "$SANDBOX_APP/.away" "$SANDBOX_APP/.git"

# -- migrations that ran since ---------------------------------------------------------------------------
variant bad-release
admin "insert into schema_migrations values (12, now())" > /dev/null
is "migrated: the release fits now" "$(ready)" 200
run commit=HEAD~1 --yes
is "migrated: a person has to say that the old one can live with it" "$rc $(j .status) $(live .version)" "3 stopped 1.5.0"
echo '{ "are-the-newer-migrations-harmless-to-it": "not done: fees was dropped" }' > no.json
rb resume --answers no.json --json
is "migrated: not harmless: it ends there" "$(test "$rc" = 3 -o "$rc" = 1 && echo yes) $(live .version) $(mails Scheduled)" "yes 1.5.0 0"
give_up
echo '{ "are-the-newer-migrations-harmless-to-it": "done: one column more" }' > yes.json
run commit=HEAD~1 --yes --answers yes.json
is "migrated: harmless: it is done" "$rc $(live .version) $(found migrations)" "0 1.4.11 the database is at 12, the release knows 11"

# -- a build that fails ----------------------------------------------------------------------------------------
variant healthy
main=$(app rev-parse main)
(cd "$SANDBOX_APP" && git checkout -q --detach HEAD~1 && echo '{ "schema": 11 }' > release.json && git commit -qam 'names no version' && git tag broken && git checkout -q main)
pid=$(live .pid)
run commit=broken --yes
has "build: it says what the build said" "$rc $(ended) $(j .error.message)" "1 build-it"
has "build: in its words" "$(j .error.message)" "release.json names no version"
is "build: the server was not restarted" "$(live .pid) $(live .version)" "$pid 1.4.11"
rb undo --yes --json
is "build: undone: checked out and built as before, without a restart" "$rc $(app rev-parse HEAD) $(app symbolic-ref --short HEAD) $(jq -r .version "$SANDBOX_APP/dist/release.json") $(live .pid)" "0 $main main 1.4.11 $pid"

# -- a health that never gets good ---------------------------------------------------------------------------------
variant redis-down
run commit=HEAD~2 --yes
is "never ready: it fails, and says why" "$rc $(ended)" "1 is-it-ready"
has "never ready: by its check" "$(j .error.message)" "is ok (it is down)"
is "never ready: nobody hears that it is back" "$(mails 'Maintenance complete')" 0
rb undo --yes --json
is "never ready: undone" "$rc $(app symbolic-ref --short HEAD) $(live .version)" "0 main 1.4.11"

# -- killed during the build ---------------------------------------------------------------------------------------
variant healthy
cp runbook.config.lua saved.lua
printf '#!/bin/sh\necho x >> %s/builds\nsleep 2\nexec %s/bin/build\n' "$tmp" "$SANDBOX_APP" > slow; chmod 755 slow
sed "s|\"$SANDBOX_APP/bin/build\"|\"$tmp/slow\"|g" saved.lua > runbook.config.lua
"$runbook" run deployment_rollback.lua commit=HEAD~1 --yes > /dev/null 2>&1 < /dev/null & pid=$!
for _ in {1..300}; do [ -s builds ] && break; sleep 0.1; done
kill -9 $pid; wait $pid 2>/dev/null
rb resume --yes --json
is "killed: a build of which nobody knows is asked about" "$(test "$rc" = 3 -o "$rc" = 6 && echo yes) $(j .status)" "yes in-doubt"
for _ in {1..100}; do pgrep -f "^/bin/sh $tmp/slow" > /dev/null || break; sleep 0.1; done
rb resume --in-doubt=retry --yes --json
is "killed: built again on that word, and the rest done" "$rc $(live .version) $(wc -l < builds) $(mails Scheduled)" "0 1.4.10 2 3"
cp saved.lua runbook.config.lua

# -- docker: a stand-in that knows names of containers, as docker does; no engine runs here ---------------------------
variant healthy
mkdir -p bin names; touch names/school-erp-server
cat > bin/docker <<END
#!/bin/bash
echo "\$*" >> "$tmp/docker.log"
cd "$tmp/names" || exit 1
case \$1 in
  pull) [ "\$2" = school-erp:1.4.10 ] || { echo "manifest for \$2 not found" >&2; exit 1; } ;;
  stop|start) [ -e "\$2" ] || { echo "No such container: \$2" >&2; exit 1; } ;;
  rename) [ -e "\$2" ] && [ ! -e "\$3" ] && mv "\$2" "\$3" ;;
  rm) rm "\$3" ;;
  run) [ ! -e "\$4" ] || { echo "Conflict. The container name \$4 is already in use" >&2; exit 125; }; touch "\$4" ;;
esac
END
chmod 755 bin/docker
sed -e 's|settings = {$|settings = { image = "school-erp",|' -e 's|programs = {|programs = { "docker",|' saved.lua > runbook.config.lua
export PATH=$tmp/bin:$PATH
run commit=1.4.10 --yes
has "docker: without the options of a container it does not begin" "$rc $(j .error.message) $(ls docker.log 2>&1)" "1 settings.docker_run is missing: "
give_up
sed -i 's|image = "school-erp",|image = "school-erp", docker_run = { "-p", "3000:3000" },|' runbook.config.lua
run --yes; has "docker: a tag has to be named" "$rc $(j .error.message)" "1 which release? Say commit=TAG"; give_up
run commit=1.4.10 -n
is "docker: dry" "$rc $(j '.cases | join(",")') $(j '[.steps[].effects[] | select(.verb == "exec.run") | .verdict] | unique | join(",")') $(ls docker.log 2>/dev/null)" "0 docker would do "
run commit=9.9 --yes
has "docker: an image that there is not" "$rc $(ended) $(j .error.message)" "manifest for school-erp:9.9 not found"
is "docker: the old one still runs" "$(ls names)" school-erp-server
give_up
: > docker.log
run commit=1.4.10 --yes
old=school-erp-server-before-$(j .run | tr A-Z a-z)
is "docker: pulled, stopped, its name freed, started with the options" "$rc $(tr '\n' ';' < docker.log)" \
  "0 pull school-erp:1.4.10;stop school-erp-server;rename school-erp-server $old;run -d --name school-erp-server -p 3000:3000 school-erp:1.4.10;"
has "docker: the old one is kept" "$(ls names | xargs) $(found next)" "school-erp-server $old the old container is kept as $old"
: > docker.log
rb undo --yes --json
is "docker: undone" "$rc $(tr '\n' ';' < docker.log) $(ls names)" "0 rm -f school-erp-server;rename $old school-erp-server;start school-erp-server; school-erp-server"
