#!/usr/bin/env bash
# examples_test.sh - the runbooks to learn from do what they say
. "$(dirname "$0")/lib.sh"
cd "$tmp" || exit 1
mkdir www
cat >runbook.config.lua <<E
return {
  target = "local", runbooks = { "$top/examples" },
  targets = { ["local"] = { kind = "sandbox", allow = { files = { "$tmp/www" } }, systems = {} } },
}
E

rb check "$top"/examples/*.lua
is "check finds nothing" "$rc" 0
for book in "$top"/examples/*.lua; do
  case $book in *_test.lua) continue;; esac
  rb show "$book"
  is "show $(basename "$book")" "$rc" 0
done

# -- hello ---------------------------------------------------------------------

rb run hello name=Kim
is "hello: exit" "$rc" 0
has "hello: a note" "$err" "hello, Kim"
has "hello: a finding" "$out" "greeting"
rb run hello name=
is "hello: nobody to greet" "$rc" 1
has "hello: expect says what" "$out$err" "somebody to greet"

# -- a maintenance page ----------------------------------------------------------

page=$tmp/www/maintenance.html
rb run maintenance_page page="$page" -n
is "page: dry run: exit" "$rc" 0
has "page: dry run: the file as it would be" "$out" "+<!doctype html>"
ok "page: dry run: no file" test ! -e "$page"
rb run maintenance_page page="$page" message="Back at six."
is "page: exit" "$rc" 0
is "page: as it was said" "$(cat "$page")" \
  "<!doctype html><title>Maintenance</title><p>Back at six.</p>"
rb run maintenance_page page="$page"
is "page: again: exit" "$rc" 0
has "page: again: no case applies" "$err" "it is up already"
rb run maintenance_page page="$page" --case down
is "page: down: exit" "$rc" 0
ok "page: down: no file" test ! -e "$page"
rb run maintenance_page page="$tmp/elsewhere.html" -n
is "page: a file that is not allowed: dry run" "$rc" 1

# -- handover ----------------------------------------------------------------------

if [ -e "$BUILD/lib/json.so" ]; then
  rb run handover to=kim file="$tmp/www/handover.json" -n
  is "handover: dry run without answers is deferred" "$rc" 7
  rb run handover to=kim file="$tmp/www/handover.json"
  is "handover: without a terminal" "$rc" 3
  echo '{ "pager": "yes", "open-incidents": "yes", "watch": "the import at six" }' >answers.json
  rb run handover to=kim file="$tmp/www/handover.json" --answers answers.json
  is "handover: exit" "$rc" 0
  has "handover: written" "$(cat "$tmp/www/handover.json")" "the import at six"
  rb run handover to=kim file=x mood=clam
  is "handover: a mood that is none: exit" "$rc" 2
  has "handover: a mood that is none" "$err" "did you mean 'calm'?"
else
  skip "handover" "no json module here"
fi
