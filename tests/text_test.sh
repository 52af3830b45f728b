#!/usr/bin/env bash
# text: templates, tables, likeness, wrapping.
. "$(dirname "$0")/lib.sh"
printf 'return { target = "local", targets = { ["local"] = { kind = "sandbox" } } }\n' > "$tmp/runbook.config.lua"
export RUNBOOK_CONFIG=$tmp/runbook.config.lua

# e WHAT LUA EXPECTED: the expression's value, or its error's text
e() {
  cat > "$tmp/t.lua" <<LUA
return runbook { title = "t", params = { who = { "string", default = "Ada" } }, step "A" { probe = function (run)
  local ok, v = pcall(function () return $2 end)
  run:finding("value", tostring(v))
end } }
LUA
  rb run "$tmp/t.lua" --json
  is "$1" "$(jq -r '.findings[0].value' <<< "$out" | sed '1s/^[^ ]*\.lua:[0-9]*: //')" "$3"
}

e "names are filled in" 'text.render("{who} has {n} of {n}", { who = "Ada", n = 3 })' 'Ada has 3 of 3'
e "from run, too" 'text.render("Dear {who},", run)' 'Dear Ada,'
e "false and 0 are values" 'text.render("{a}{b}", { a = false, b = 0 })' 'false0'
e "a missing name is named" 'text.render("{who} {nope}", { who = 1 })' 'text.render: there is no value for {nope}'
e "a brace that is not closed stays" 'text.render("a { b", {})' 'a { b'

e "a table" 'text.table({ { name = "Ada", n = 1 }, { name = "漢字", n = 20 } }, { "name", "n" })' \
  $'name   n\n----  --\nAda    1\n漢字  20'
e "columns of a table by name" 'text.table { { b = 1, a = "x" }, { a = "longer" } }' \
  $'a       b\n------  -\nx       1\nlonger'
e "a table of lists" 'text.table { { "a", 1 }, { "bcd", 12.5 } }' $'a       1\nbcd  12.5'
e "a cell is one line" 'text.table({ { a = "x\ny\27[1m" } }, { "a" })' $'a\n-------\nx y [1m'
e "no rows" 'text.table({}, { "a", "b" })' $'a  b\n-  -'
e "a row that is none" 'text.table { 1 }' 'text.table: row 1 is a number, not a table'

e "the same" 'text.similarity("name", "name")' 1.0
e "nothing in common" 'text.similarity("abc", "xyz")' 0.0
e "both empty" 'text.similarity("", "")' 1.0
e "known likeness" '("%.4f %.4f %.4f"):format(text.similarity("MARTHA", "MARHTA"), text.similarity("DWAYNE", "DUANE"), text.similarity("DIXON", "DICKSONX"))' '0.9611 0.8400 0.8133'
e "by characters, not bytes" '("%.2f"):format(text.similarity("ä", "ö"))' 0.00

e "wrapped" 'text.wrap("the quick brown fox jumps", 10)' $'the quick\nbrown fox\njumps'
e "long words stand alone" 'text.wrap("a incomprehensible b", 5)' $'a\nincomprehensible\nb'
e "line breaks stay" 'text.wrap("a b\n\nc", 80)' $'a b\n\nc'
e "no width" 'text.wrap("a", 0)' "bad argument #2 to 'wrap' (1 to 500 columns expected)"
