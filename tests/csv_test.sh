#!/usr/bin/env bash
# csv: read as Python reads it, and every way in which a file is none, by name and line.
. "$(dirname "$0")/lib.sh"
cd "$tmp" || exit 2
mkdir d out
cat > runbook.config.lua <<END
return { target = "local", targets = { ["local"] = { kind = "sandbox", allow = { files = { "$tmp/d" } }, systems = {} } } }
END
chmod 600 runbook.config.lua
export RUNBOOK_CONFIG=$tmp/runbook.config.lua
book() { printf 'local d = "%s/d/"\nreturn runbook { title = "t", step "s" { %s = function (run)\n%s\nend } }\n' "$tmp" "$1" "$2" > c.lua; }
probe() { book probe "$1"; shift; rb run c.lua --json "$@"; }
finding() { jq -rc --arg n "$1" '.findings[] | select(.name == $n) | .value' <<<"$out"; }
message() { jq -r '"\(.error.kind): \(.error.message)"' <<<"$out"; }
f() { printf "$2" > "d/$1"; }
# raises WHAT LUA WORDS: a step fails with those words, and exit 1
raises() { probe "$2"; has "$1" "$rc $(message)" "$3"; is "$1: exit" "$rc" 1; }
# report WHAT CONTRACT FILE JQ EXPECTED
report() { probe "run:finding('r', csv.validate(d .. '$3', $2))"; is "$1" "$(finding r | jq -rc "$4")" "$5"; }

# -- header, rows ------------------------------------------------------------------------
f plain.csv 'id,Name of it, x ,"a ""b"""\n1,Ada,,"two\nlines, one value"\n2,"",3,é\n'
probe 'run:finding("h", csv.header(d .. "plain.csv")) run:finding("r", csv.rows(d .. "plain.csv")) run:finding("l", csv.rows(d .. "plain.csv", { limit = 1, header = false }))'
is "the names as they stand" "$(finding h)" '["id","Name of it"," x ","a \"b\""]'
is "rows by name" "$(finding r | jq -c '[.[1]["Name of it"], .[0]["a \"b\""], .[1][" x "], length]')" '["","two\nlines, one value","3",2]'
is "rows as lists, and no more than asked for" "$(finding l)" '[["id","Name of it"," x ","a \"b\""]]'
printf '\xef\xbb\xbfid;name\r\n1;Ada\r\n' > d/bom.csv
probe 'run:finding("h", csv.header(d .. "bom.csv")) run:finding("r", csv.rows(d .. "bom.csv"))'
is "a byte order mark, semicolons, CRLF" "$(finding h)$(finding r)" '["id","name"][{"id":"1","name":"Ada"}]'
for c in '\t' '|'; do
  f other.csv "id${c}name, first\n1${c}Ada, x\n"
  probe 'run:finding("h", csv.header(d .. "other.csv"))'
  is "another delimiter ($c)" "$(finding h)" '["id","name, first"]'
done
probe 'run:finding("r", csv.rows(d .. "bom.csv", { delimiter = "," }))'
is "a delimiter by the script's word" "$(finding r)" '[{"id;name":"1;Ada"}]'
f one.csv 'name\nAda\n\n\nBob'
probe 'run:finding("r", csv.rows(d .. "one.csv"))'
is "one column, empty lines, no end of the last line" "$(finding r)" '[{"name":"Ada"},{"name":"Bob"}]'

# -- against a second implementation -------------------------------------------------------
n=${CSV_FILES:-120} seed=${CSV_SEED:-$RANDOM}
mkdir d/random
"$python" "$top/tests/csvfiles.py" make d/random "$seed" "$n"
cat > c.lua <<END
return runbook { title = "t", limits = { files = 100000 }, step "s" { remedy = function (run)
  for i = 0, $n - 1 do
    local p = "$tmp/d/random/" .. i
    local ok, rows = pcall(csv.rows, p .. ".csv", { header = false, delimiter = "," })
    if not ok and rows.kind ~= "data" then error(rows) end
    file.write(p .. ".out", ok and json.encode(json.array(rows)) or "failed")
    if ok and i % 2 == 1 then file.write(p .. ".csv.again", csv.format(rows, { line_end = i % 4 == 1 and "\n" or nil })) end
  end
end } }
END
rb run c.lua --json
is "random files are read" "$rc" 0
got=$("$python" "$top/tests/csvfiles.py" check d/random 2>&1); rc=$?
is "as Python's csv reads them (seed $seed: $got read and refused)" "$rc" 0
ok "and most of them are" test "${got%% *}" -gt $((n / 2))
mkdir d/again
for x in d/random/*.again; do y=$(basename "$x" .csv.again); mv "$x" "d/again/$y.csv"; cp "d/random/$y.out" d/again/; done
ok "what csv.format writes, Python's csv reads (seed $seed)" "$python" "$top/tests/csvfiles.py" check d/again

# -- what is none ----------------------------------------------------------------------------
f empty.csv ''
raises "an empty file" 'csv.header(d .. "empty.csv")' "data: $tmp/d/empty.csv is empty: there is no header"
printf 'id,name\n1,Ada\n' | iconv -t UTF-16 > d/utf16.csv
raises "UTF-16" 'csv.header(d .. "utf16.csv")' "this is UTF-16LE, not UTF-8: iconv -f UTF-16LE -t UTF-8 makes it so"
printf 'id,name\n1,Ada\n' | iconv -t UTF-16BE > d/utf16be.csv
raises "UTF-16 without a mark" 'csv.rows(d .. "utf16be.csv")' "this is UTF-16BE"
f latin.csv 'id,name\n1,Ada\n2,Zo\xeb\n'
raises "Latin-1" 'csv.rows(d .. "latin.csv")' "latin.csv: line 3: it is not UTF-8 (byte 0xeb), but probably Latin-1"
f windows.csv 'id,na\x94me\n'
raises "Windows-1252 in a header" 'csv.header(d .. "windows.csv")' "line 1: it is not UTF-8 (byte 0x94), but probably Windows-1252"
f nul.csv 'id,name\n1,A\0da\n'
raises "a NUL byte" 'csv.rows(d .. "nul.csv")' "line 2: it holds a NUL byte"
f open.csv 'id,name\n1,"Ada\n2,Bob\n'
raises "a quote never closed" 'csv.rows(d .. "open.csv")' "line 2: the quote that opens in line 2 is never closed"
f ragged.csv 'id,name\n1,Ada\n2\n'
raises "a row that is too short" 'csv.rows(d .. "ragged.csv")' "line 3: 1 field, where the header has 2"
f twice.csv 'id,name,id\n1,Ada,2\n'
raises "two columns of one name" 'csv.rows(d .. "twice.csv")' "line 1, id: columns 1 and 3 have the same name"
probe 'run:finding("h", csv.header(d .. "twice.csv"))'
is "whose header can be read" "$(finding h)" '["id","name","id"]'
printf 'PK\3\4xxxxxxx' > d/book.csv
raises "a workbook" 'csv.header(d .. "book.csv")' "this is a workbook or another ZIP archive, no CSV file"
truncate -s 1G d/line.csv
raises "a line of 1 GB" 'csv.header(d .. "line.csv")' "line 1: it is longer than 1 MB: nothing after it was read"
{ printf 'id,name\n1,"'; head -c 2M /dev/zero | tr '\0' x; } > d/far.csv
raises "a quote that is far from closed" 'csv.rows(d .. "far.csv")' "line 2: the quote that opens in line 2 is not closed within 1 MB"
{ printf 'id\n'; yes 0123456789012345678901234567890123456789 | head -c 20M; } > d/much.csv
raises "more than a script may hold" 'csv.rows(d .. "much.csv")' "limit: $tmp/d/much.csv: more than 12 MB of rows"

# -- which files ---------------------------------------------------------------------------------
f ../out/o.csv 'id\n'
ln -s "$tmp/out/o.csv" d/link.csv
mkfifo d/fifo.csv
raises "another folder" 'csv.header(d .. "/../out/o.csv")' "refused: $tmp/d//../out/o.csv leads to $tmp/out/o.csv, which is not in a folder that this target"
raises "a link out" 'csv.validate(d .. "link.csv", {})' "link.csv leads to $tmp/out/o.csv, which is not in a folder"
raises "what is not there" 'csv.profile(d .. "none.csv")' "missing: there is no file $tmp/d/none.csv"
raises "a FIFO is not opened" 'csv.header(d .. "fifo.csv")' "fifo.csv is a fifo, not a file"
raises "nor a folder" 'csv.header(d)' "is a folder, not a file"
raises "nor /proc" 'csv.header("/proc/self/environ")' "is not a place for files"
cat > c.lua <<'END'
return runbook { title = "t", params = { sample = { "path", required = true } },
  step "s" { probe = function (run) run:finding("h", csv.header(run.sample)) end } }
END
rb run c.lua --json sample="$tmp/out/o.csv"
is "a parameter that is a path grants it" "$(finding h)" '["id"]'

# -- validate ----------------------------------------------------------------------------------------
f good.csv 'id,when,mail,state,ok\n1,2026-02-28,a@example.org,MO,yes\n-2,2024-02-29,,KS,FALSE\n'
rules='columns = { id = "integer", when = { type = "date", filled = true }, mail = "email", state = { pattern = "[A-Z]{2}", values = { "MO", "KS" } }, ok = "boolean" }'
report "as agreed" "{ required = { 'id', 'when' }, only = true, $rules }" good.csv '[.ok, .rows, .bad_rows, .complete, .encoding, .delimiter, .line_ends, .bytes]' '[true,2,0,true,"UTF-8",",","LF",'"$(stat -c %s d/good.csv)]"
f bad.csv 'id,when,mail,state,extra\n1.5,2026-02-29,a@b,mo,\nx,,,TX,\n3,2026-01-01\n4,2026-1-1,,MO,"a"b\n'
report "every way of a bad value, by line and column" "{ required = { 'id', 'nope' }, $rules }" bad.csv '.problems[].message' \
"line 1, nope: this column is required, and not there
line 2, id: '1.5' is not a whole number
line 2, when: '2026-02-29' is not a date (2026-11-25)
line 2, mail: 'a@b' is not an e-mail address
line 2, state: 'mo' is none of the 2 values that are allowed
line 3, id: 'x' is not a whole number
line 3, when: it is empty
line 3, state: 'TX' is none of the 2 values that are allowed
line 4: 2 fields, where the header has 5
line 5: text goes on behind a closing quote: is one missing, or not written twice?
line 5, when: '2026-1-1' is not a date (2026-11-25)"
is "counted by kind" "$(finding r | jq -c '[.ok, .rows, .bad_rows, .missing, .unknown, .counts]')" \
  '[false,4,4,["nope"],["extra"],{"empty":1,"fields":1,"missing":1,"quote":1,"type":5,"value":2}]'
report "kept: so many as were asked for" "{ problems = 2, $rules }" bad.csv '[(.problems | length), .counts.type]' '[2,5]'
report "no other columns" "{ only = true, required = { 'id' }, optional = { 'when', 'mail', 'state' } }" bad.csv '.problems[0].message' "line 1, extra: this column is not in the contract"
f nohead.csv '1,2026-02-28\n2,2026-03-01\n'
report "a header that is missing" "{ required = { 'id', 'when' } }" nohead.csv '[.missing, .problems[0].message]' '[["id","when"],"line 1: it holds none of the contract'"'"'s columns: is the header missing?"]'
report "columns of one name" "{}" twice.csv '[.ok, .problems[0].kind]' '[false,"duplicate"]'
report "another delimiter than agreed" "{ delimiter = ',', required = { 'id' } }" bom.csv '[.delimiter, .bom, .line_ends, (.missing | length), .problems[].message]' '[";",true,"CRLF",0,"the delimiter is a semicolon, not a comma"]'
report "UTF-16 is a line of the report" "{}" utf16.csv '[.ok, .encoding, .rows, .problems[0].kind]' '[false,"UTF-16LE",0,"encoding"]'
report "Latin-1" "{}" latin.csv '[.ok, .encoding, .problems[0].line]' '[false,"Latin-1",3]'
report "a NUL byte" "{}" nul.csv '.problems[0] | [.line, .kind]' '[2,"nul"]'
report "an open quote" "{}" open.csv '[.complete, .problems[].message]' '[true,"line 2: the quote that opens in line 2 is never closed"]'
report "a line of 1 GB" "{}" line.csv '[.ok, .complete, .problems[0].kind]' '[false,false,"long"]'
report "an empty file" "{}" empty.csv '[.ok, .problems[].message]' '[false,"it is empty: there is no header"]'
for c in "{ requird = {} }|a contract has no 'requird'" "{ columns = { id = 'int' } }|id: there is no type 'int'" \
         "{ columns = { id = { pattern = '(' } } }|id: the pattern '(' is not well formed at character 2" "{ columns = { id = { tpye = 'date' } } }|id has no 'tpye'"; do
  probe "csv.validate(d .. 'good.csv', ${c%%|*})"
  has "a contract that is none: ${c%%|*}" "$rc $(message)" "${c##*|}"; is "exit" "$rc" 2
done
f slow.csv "a\n$(printf 'a%.0s' {1..5000})\n"
report "a pattern that would take for ever is given up" "{ columns = { a = { pattern = '(a+)+b' } } }" slow.csv '.counts' '{"pattern":1}'

# -- profile ---------------------------------------------------------------------------------------------
f mixed.csv 'n,f,d,t,b,s,e\n1,1,2026-01-01,2026-01-01T10:00:00Z,yes,a,\n2,2.5,,2026-01-01 10:00,no,1,\n2,-1e3,2026-01-02,2026-01-01T10:00:00+01:00,yes,,\nx\n'
probe 'run:finding("r", csv.profile(d .. "mixed.csv"))'
is "types, empties, distinct, longest" "$(finding r | jq -rc '.columns[] | [.name, .type, .empty, .distinct, .longest] | join(" ")' | xargs -d '\n')" \
  "n integer 0 2 1 f number 0 3 4 d date 1 2 10 t datetime 0 3 25 b boolean 0 2 3 s string 1 2 1 e empty 3 0 0"
is "and its bad rows" "$(finding r | jq -rc '[.rows, .bad_rows, .problems[0].message]')" '[4,1,"line 5: 1 field, where the header has 7"]'
probe 'run:finding("r", csv.profile(d .. "nohead.csv"))'
has "a first row of values" "$(finding r | jq -r '.problems[0].message')" "'1' is a whole number, no name of a column: is the header missing?"
seq 0 20000 > d/seq.csv
probe 'run:finding("r", csv.profile(d .. "seq.csv").columns[1])'
is "many that differ" "$(finding r | jq -c '[.distinct, .more]')" '[10000,true]'

# -- in a dry run, in time, and stopped --------------------------------------------------------------------
cat > c.lua <<END
return runbook { title = "t", step "s" { remedy = function () file.write("$tmp/d/new.csv", csv.format({ { a = 1, b = "x,y" } })) end },
  step "t" { probe = function (run) run:finding("h", csv.header("$tmp/d/new.csv")) run:finding("r", csv.rows("$tmp/d/new.csv")) run:finding("ok", csv.validate("$tmp/d/new.csv", { required = { "a" } }).ok) end } }
END
rb run c.lua --json --dry-run
is "a dry run sees the file that it planned" "$rc $(finding h)$(finding r)$(finding ok)" '0 ["a","b"][{"a":"1","b":"x,y"}]true'
is "as predicted" "$(jq -rc '[.steps[1].effects[].read // .steps[1].effects[].summary] | length' <<<"$out")" 3
refuses "and wrote nothing" test -e d/new.csv
"$python" - > d/large.csv <<'END'
import sys
sys.stdout.write("id,name\n")
sys.stdout.write("".join("%d,somebody or other of some place\n" % i for i in range(20000)) * 60)
END
probe 'run:finding("rows", csv.validate(d .. "large.csv", { columns = { id = "integer" } }).rows)'
is "a large file" "$(finding rows)" 1200000
sed -i 's/step "s" {/step "s" { timeout = "5ms",/' c.lua
book 'timeout = "5ms", probe' 'csv.validate(d .. "large.csv", { columns = { id = "integer" } })'
rb run c.lua --json
has "is not read longer than its time" "$rc $(message)" "1 timeout: "
book probe 'run:note("begun") for i = 1, 100000 do csv.validate(d .. "large.csv", { columns = { id = "integer" } }) end'
"$runbook" run c.lua > /dev/null 2> said & pid=$!
until grep -q begun said || ! kill -0 $pid 2> /dev/null; do sleep 0.05; done
kill -INT $pid; wait $pid
is "Ctrl-C stops it" $? 130

# -- format --------------------------------------------------------------------------------------------------
probe 'run:finding("a", csv.format({ { "a", 1 }, { "b,", nil }, { "q\"", true } }, { line_end = "\n" }))
  run:finding("b", csv.format({ { x = 1 }, { y = "z" } })) run:finding("c", csv.format({ { x = 1, y = 2 } }, { columns = { "y", "x" }, delimiter = ";" }))
  run:finding("d", csv.format({ { n = "" } }))'
is "lists" "$(finding a)" $'a,1\n"b,"\n"q""",true'
is "tables by name" "$(finding b | od -An -tx1 | xargs)" "78 2c 79 0d 0a 31 2c 0d 0a 2c 7a 0d 0a 0a"
is "columns in an order" "$(finding c | tr -d '\r')" $'y;x\n2;1'
is "a row with one empty value is no empty line" "$(finding d | tr -d '\r')" $'n\n""'
probe 'csv.format({ { x = 1, z = 2 } }, { columns = { "x" } })'
has "nothing is lost without a word" "$rc $(message)" "row 1 has 'z', which is no column"
probe 'csv.format({ { x = {} } })'
has "a table is no value" "$(message)" "a value is a text, a number or a boolean, not a table"
