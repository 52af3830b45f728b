#!/usr/bin/env bash
# runbook repl: from a pipe, and on a terminal (repl.py).
. "$(dirname "$0")/lib.sh"
sandbox_up
export PROBE=$SANDBOX_REDIS_URL ADMIN=$SANDBOX_REDIS_ADMIN_URL
cd "$tmp" || exit 2
# a second target, that is production
python3 - "$tmp/runbook.config.lua" <<'PY'
import re, sys
path = sys.argv[1]
text = open(path).read()
at = re.search(r'targets\s*=\s*{', text).end()
open(path, "w").write(text[:at] + '\n    prod = { kind = "production" },' + text[at:])
PY
sed -i 's/programs = {/programs = { "sleep",/' runbook.config.lua

repl() { out=$(printf '%s\n' "$@" | "$runbook" repl 2>"$tmp/err"); rc=$?; err=$(cat "$tmp/err"); }

# it takes five seconds: begun here, looked at in the end
(printf '%s\n' 'while true do end' '"still here"' | XDG_STATE_HOME=$tmp/endless "$runbook" repl >"$tmp/endless.out" 2>&1
 echo "exit $?" >>"$tmp/endless.out") &
endless=$!

repl '1 + 1' '"text"' 'nil' '{ 1, 2, { a = "b" } }' '"two\nlines"'
is "values, as Lua writes them" "$rc $out" '0 2
"text"
nil
{ 1, 2, { a = "b" } }
two
lines'
repl 'x = 21' 'local y = 2' 'x * y' '_ + 1'
is "variables stay, local ones too; _ is the last value" "$out" "42
43"
repl 'erp = system "school_erp"' 'erp.pg:query "SELECT n, n * n AS square FROM generate_series(9, 10) n"'
is "rows are a table" "$out" " n  square
 9      81
10     100
(2 rows)"
repl 'for i = 1, 2 do' '  run:note(i)' 'end'
is "a statement over lines" "$rc $err" "0 1
2"
repl 'erp = system "school_erp"' 'erp.redis:set("repl:a", "1")' 'erp.redis:get "repl:a"'
has "read-only: a remedy is previewed" "$out" "not done: read-only"
is "and forgotten after the statement" "$(tail -1 <<<"$out")" nil
is "nothing was set" "$(redis-cli -u "$PROBE" --no-auth-warning EXISTS repl:a)" 0
repl ':live 1m a test' 'erp = system "school_erp"' 'erp.redis:set("repl:a", "1", { ex = "1h" })'
is "armed: it is done" "$rc $(redis-cli -u "$PROBE" --no-auth-warning GET repl:a)" "0 1"
rb report --format json
is "it is on the tape, with its steps" "$(jq -c '[.mode, .status, (.steps | length), .steps[1].effects[0].outcome]' <<<"$out")" \
  '["repl","done",2,"done"]'
has "and what it was armed for" "$("$runbook" report)" "armed for 1m: a test"
repl ':live' 'erp = system "school_erp"' 'erp.redis:set("repl:b", "1")' 'erp.redis:set("repl:b", "2")' ':undo' \
  'erp.redis:get "repl:b"' ':undo' 'erp.redis:get "repl:b"' ':undo'
is ":undo, one after the other" "$rc $(grep -xE '"[0-9]"|nil' <<<"$out" | xargs)" "0 1 nil"
has "and then nothing is left" "$err" "nothing of this session is left"
repl ':live' 'exec.run { "sleep", "0" }' ':undo'
has "what has no inverse is said" "$err" "cannot be taken back"
repl 'erp = system "school_erp"' 'erp.pg:exec "DELETE FROM greenwood_high.no_such"' '1'
is "a refused remedy ends it" "$rc $(tail -1 <<<"$out")" "1 $(tail -1 <<<"$out")"
has "and says why" "$out$err" "no_such"

# -- mistakes: the first ends it, exit 1 --------------------------------------------------------
mistake() { repl "$2" '"still here"'; is "$1: exit 1, at once" "$rc $(grep -c here <<<"$out")" "1 0"; has "$1: says why" "$err" "$3"; }
mistake "syntax" 'x = = 1' "unexpected symbol near '='"
mistake "an undefined name" 'erp.redis' "undefined global 'erp'"
mistake "an error" 'error "oh"' "oh"
mistake "a failure" 'system("school_erp").http:get("/none", { timeout = "0s" })' "timeout"
mistake "a system that is not there" 'system "school_rep"' "did you mean 'school_erp'?"
mistake "a word" ':lvie' "did you mean :live?"
mistake ":live for ever" ':live 2d' "up to 24h"
repl 'for i = 1, 2 do'
is "input that ends in a statement: exit 1" "$rc" 1
has "and says so" "$err" "ends in the middle"
out=$("$runbook" repl --target nowhere </dev/null 2>&1); rc=$?
is "a target that is not there: exit 2" "$rc" 2
out=$("$runbook" repl --target prod <<<":live" 2>&1); rc=$?
is "production, without a terminal: exit 3" "$rc" 3
has "it says what it needs" "$out" "repl --yes"
out=$("$runbook" repl --target prod --yes --live <<<"1" 2>&1); rc=$?
is "with --yes it is armed" "$rc" 0
out=$(echo 'io.write("x")' | "$runbook" repl 2>&1)
has "no way around the gate" "$out" "undefined global 'io'"
out=$(echo 'getmetatable(run).__index = nil' | "$runbook" repl 2>&1); rc=$?
is "nor through a metatable" "$rc" 1

# -- secrets --------------------------------------------------------------------------------------
secret=$(sed -n 's|^export SANDBOX_REDIS_URL=.*:\([^@]*\)@.*|\1|p' "$tmp/sb/env" | tr -d "'\"")
[ -n "$secret" ] || secret=${SANDBOX_REDIS_URL#*:*:}; secret=${secret%@*}
repl ':system' "\"$secret\"" "{ { a = \"$secret\" } }"
hasnot "a secret is not shown" "$out$err" "$secret"
has "its name is" "$out" "[redacted"

redis-cli -u "$PROBE" --no-auth-warning SET "repl:what is it?" x >/dev/null
# -- on a terminal ----------------------------------------------------------------------------------
typed repl.py
history=$XDG_STATE_HOME/runbook/repl/local.history
is "the history is ours alone" "$(stat -c %a "$history")" 600
hasnot "and holds no secret" "$(cat "$history")" "$secret"
wait $endless
has "a statement that never ends is ended" "$(cat "$tmp/endless.out")" "ran for 5 s"
is "exit 1, at once" "$(tail -1 "$tmp/endless.out") $(grep -c "still here" "$tmp/endless.out")" "exit 1 0"
