#!/usr/bin/env bash
# What a value looks like at the prompt: on a terminal (values.py), and in a pipe.
. "$(dirname "$0")/lib.sh"
sandbox_up
redis-cli -u "$SANDBOX_REDIS_URL" --no-auth-warning SET values:t x EX 7000 >/dev/null
cd "$tmp" || exit 2

repl() { out=$(printf '%s\n' 'erp = system "school_erp"' "$@" | env -u NO_COLOR "$runbook" repl 2>"$tmp/err"); rc=$?; err=$(cat "$tmp/err"); }
repl '{ name = "x", n = 1, yes = true }' 'erp.redis:ttl "values:t" > 6000' 'erp.backup:list()'
is "in a pipe: no colour" "$(grep -c $'\033' <<<"$out")" 0
hasnot "and the exact values alone" "$out" "MB"
repl 'erp.redis:ttl "values:t"'
is "a number is one" "$(grep -cE '^[0-9]+$' <<<"$out")" 1
repl 'erp.pg:query "SELECT 1 AS b, NULL AS a WHERE false"' 'erp.pg:query "SELECT 1 AS b, NULL AS a"'
is "columns as the statement has them, also without rows, or values" "$out" "b  a
(0 rows)
b    a
1  nil
(1 row)"
repl 'local r = erp.pg:query "SELECT 1 AS b, 2 AS a"' 'r' 'r[1].c = 3' 'r'
is "rows that a script has changed are shown as they are" "$(tail -3 <<<"$out")" "a  b  c
2  1  3
(1 row)"
repl 'select 1'
has "SQL at the prompt: what is meant" "$err" 'then erp.pg:query "SELECT 1"'
printf 'return runbook { title = "T", step "A" { probe = function () system("school_erp").pg:query(7, 8) end } }' >t.lua
rb run t.lua --json
has "in a runbook, too, an argument is counted as it is written" "$(jq -r .error.message <<<"$out")" "bad argument #2 to 'query'"

typed values.py
