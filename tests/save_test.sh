#!/usr/bin/env bash
# :save - a session at the prompt as a runbook that is checked, dry-run and replayed as it is
. "$(dirname "$0")/lib.sh"
sandbox_up
cd "$tmp" || exit 2

say() { out=$(printf '%s\n' "$@" | "$runbook" repl 2>"$tmp/err"); rc=$?; err=$(cat "$tmp/err"); }
book() { cat "$1.lua"; }

# as NAME WHAT: the saved runbook passes what it promises
as() {
  rb check "$1.lua"
  is "$2: check finds nothing" "$rc $out" "0 $1.lua: ok"
  rb replay "$1.tape" --with "$1.lua" --json
  is "$2: its tape replays" "$rc $(jq -r .status <<<"$out")" "0 done"
}

typed save.py
as isolate "from a terminal"
text=$(book isolate)
hasnot "what was never used is left out" "$text" "dead"
hasnot "and what failed" "$text" "gte"
hasnot "and what was taken back" "$text" "oops"
has "a school that is named often is a parameter" "$text" 'tenant = { "identifier", required = true'
hasnot "and stands nowhere else" "$(grep -v 'such as\|^--\|title' <<<"$text")" "riverside"
has "also in SQL" "$text" 'FROM :"tenant".user_sessions'
has "a look after a change verifies it" "$(tr -d '\n' <<<"$text")" \
  'verify = function (run)      return erp.redis:get("tenant:blocked:" .. run.tenant) == "true"'
has "the reason is its title" "$text" 'title = "Riverside slows the others down"'
rb run isolate.lua tenant=greenwood_high -n --json
is "a dry run for another school" "$rc $(jq -c '[.steps[].status]' <<<"$out")" '0 ["planned","planned"]'
rb replay isolate.tape --with isolate.lua --json
is "the tape goes to the last thing that the session did" "$(jq -c '[.steps[].effects[].verb]' <<<"$out")" \
  '["pg.value","redis.get","redis.set","redis.get","dotenv.add"]'
sed 's/"true"/"false"/' isolate.lua >edited.lua
rb replay isolate.tape --with edited.lua
is "one that does something else does not" "$rc" 4

say 'erp = system "school_erp"' 'tenant = "riverside"' 'limit = 3' \
  'sessions = erp.pg:query("SELECT user_id FROM :\"tenant\".user_sessions WHERE is_active ORDER BY 1 LIMIT :limit", { tenant = tenant, limit = limit })' \
  'function first (list) return list[1].user_id end' 'first(sessions)' \
  'erp.redis:set("cache:" .. tenant, tostring(first(sessions)))' ':save looks.lua' ':plan'
has "read-only: what would be changed" "$out" "0 done, 0 taken back, 1 would be done"
as looks "a read-only session"
text=$(book looks)
has "an assigned text is a parameter" "$text" 'tenant = { "string", required = true'
has "an assigned number keeps its value" "$text" 'limit = { "integer", default = 3 }'
has "a value that is used again is a field of run" "$text" 'run.sessions = erp.pg:query'
has "a function stands before the runbook" "$text" 'local function first'
has "a remedy that was not verified is" "$text" '== tostring(first(run.sessions))'
rb run looks.lua tenant=greenwood_high -n --json
is "and it runs" "$rc $(jq -c '[.steps[].status]' <<<"$out")" '0 ["planned"]'

say 'erp = system "school_erp"' 'erp.pg:value "SELECT count(*) FROM public.schools"' '_ + 1' 'run:note(_)' ':save last'
as last "a value that is named by _"
say 'x = 1' '1 + x' ':save nothing.lua'
is "nothing to save: exit 1" "$rc" 1
has "and why" "$err" "nothing of this session looked at anything"
refuses "and no file" test -e nothing.lua
say ':save'
has "it takes a file" "$err" ":save takes a file"
say 'system("school_erp").redis:get "x"' ':save no/such/folder'
has "a folder that is not there" "$err" "cannot be written"
say ":run"
has ":run takes a runbook" "$err" ":run takes a runbook"
say ":run nosuchbook"
is "one that is not there: exit 1 or 2" "$((rc == 1 || rc == 2))" 1
