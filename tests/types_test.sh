#!/usr/bin/env bash
# types_test.sh - the annotations for an editor: all that there is to call, and Lua
. "$(dirname "$0")/lib.sh"
cd "$tmp" || exit 1

rb types
is "on the standard output" "$rc$err" 0
printf '%s\n' "$out" >types.lua
cp types.lua compiled.lua
rb types -o made
is "into a folder that is made: says where" "$rc $out" "0 made/runbook.lua"
ok "the same" cmp types.lua made/runbook.lua
rb types -o made; is "and again" "$rc" 0
touch file; rb types -o file
is "a folder that is none: exit" "$rc" 2
has "a folder that is none: says so" "$err" "cannot write file/runbook.lua"
rb types -o /no/such/folder; is "one that cannot be made: exit" "$rc" 2

# It is Lua: check compiles a companion without running it
cp types.lua any_parts.lua
rb check any_parts.lua; is "it is Lua" "$rc $out" "0 any_parts.lua: ok"

# every primitive, by the list that check goes by, and every word's fields
missing=$("$runbook" help --rows | while IFS=$'\t' read -r module name _ _; do
  grep -qE "^function $module[.:]$name\(" types.lua || echo "$module.$name"; done)
is "every primitive and method of run" "$missing" ""
for field in title use_when verify undo_when irreversible pg_rows; do
  ok "the field $field" grep -q "^---@field $field? " types.lua
done
line() { grep -B12 "^function $1" types.lua | sed '/^$/h; /^$/!H; $!d; x'; }
has "a parameter and a result" "$(line 'redis:get(')" '---@param key string
---@return string | nil'
has "one that may be left out" "$(line 'redis:lrange(')" '---@param first? integer'
has "options by name" "$(line 'http:get(')" '---@param options? { path?: any, query?: any, headers?: any, timeout?: any }'
has "a table alone" "$(line 'log:group(')" '---@param options { by?: any, match?: any, since?: any, top?: any }'
has "a result with methods" "$(line 'http:get(')" '---@return runbook.response'
has "a list of tables" "$(line 'host.processes(')" '}[]'
has "several results" "$(line 'run:try(')" '---@return any | nil
---@return any'
has "what it is for" "$(line 'file.hash(')" 'SHA-256 of the content'
has "resources of a system" "$(cat types.lua)" '---@field redis runbook.redis '
has "constants" "$(cat types.lua)" '---@field null any'
