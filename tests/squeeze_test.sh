#!/usr/bin/env bash
# Long results are kept compressed: less on the disk, and the same again
. "$(dirname "$0")/lib.sh"
work=$tmp/work; mkdir "$work"; cd "$tmp" || exit 1
cat > runbook.config.lua <<LUA
return { target = "local", targets = { ["local"] = { kind = "sandbox", allow = { files = { "$work" } }, systems = {} } } }
LUA
export RUNBOOK_CONFIG=$tmp/runbook.config.lua
j() { jq -r "$1" <<<"$out"; }
bytes() { cat "$XDG_STATE_HOME"/runbook/tape.db* | wc -c; }
event() { sqlite3 "$XDG_STATE_HOME/runbook/tape.db" "SELECT $1 FROM event WHERE run = '$run' AND kind = 'outcome' ORDER BY seq"; }
cat > t.lua <<LUA
return runbook { title = "T",
  step "Read" { probe = function (run) run.text = file.read("$work/in") run.half = #run.text end },
  step "Wait" { probe = function (run) if not file.stat("$work/go") then run:fail("not yet") end end },
  step "Write" { remedy = function (run) file.write("$work/out", run.text) end,
    verify = function (run) return file.hash("$work/out") == file.hash("$work/in") end } }
LUA
begin() { rm -rf "$XDG_STATE_HOME" "$work/go" "$work/out"; rb run t.lua --json; run=$(j .run); size=$(bytes); touch "$work/go"; }

for ((i = 0; i < 62000; i++)); do printf '{"id": %d, "school": "greenwood", "state": "active", "note": "line of the report"},\n' $i; done | head -c 5242880 >"$work/in"
is "5 MB to read" "$(stat -c %s "$work/in")" 5242880
begin; is "a run with a long result stops" "$rc" 1
ok "it takes less than a fifth on the disk ($size bytes)" test "$size" -lt 1048576
cp -r "$XDG_STATE_HOME" "$tmp/whole"
rb resume --json; is "resumed, it is there again" "$rc $(cmp "$work/in" "$work/out" && echo same)" "0 same"
for command in verify "replay $run" "report $run" "undo --dry-run" "tape export $run -o e.tape" "replay e.tape"; do
  rb $command; is "$command" "$rc" 0
done
is "the export holds all of it, as it was" "$(zcat e.tape | grep -o 'id[^,]*59999' | sort -u | wc -l)" 1

head -c 3000000 /dev/urandom | base64 -w0 | tr -d 'A-Za-m' | head -c 1000000 >"$work/in"
begin; rb resume --json; is "what does not become much shorter" "$rc $(cmp "$work/in" "$work/out" && echo same)" "0 same"
head -c 500000 /dev/urandom >"$work/in"
begin; ok "what does not become shorter stays as it is ($size bytes)" test "$size" -gt 500000
rb resume --json; is "... and comes back" "$rc $(cmp "$work/in" "$work/out" && echo same)" "0 same"

# -- damaged ---------------------------------------------------------------------------
rm -rf "$XDG_STATE_HOME" "$work/out"; cp -r "$tmp/whole" "$XDG_STATE_HOME"
run=$(rb history --json; j '.[0].run'); seq=$(event seq | head -1)
sqlite3 "$XDG_STATE_HOME/runbook/tape.db" "UPDATE event SET sealed = substr(sealed, 1, 9000) || x'00ff' || substr(sealed, 9003) WHERE run = '$run' AND seq = $seq"
rb resume "$run"; is "a damaged one is not read" "$rc" 2
has "... and is named" "$err" "event $seq of run $run on the tape $XDG_STATE_HOME/runbook/tape.db is damaged"
refuses "nothing was written" test -e "$work/out"
rb verify; has "verify names it, too" "$rc $err" "1 runbook: "
has "... by its number" "$err" "event $seq"
