#!/usr/bin/env bash
# drill: runs that are killed at every point, resumed, and compared; counted by the world
. "$(dirname "$0")/lib.sh"
work=$tmp/work; mkdir -p "$work"
t() { cat > "$tmp/t.lua"; }

# -- files and commands: each deed once, counted by what it leaves ----------------------
cat > "$tmp/files.lua" <<LUA
return { target = "local", targets = {
  ["local"] = { kind = "sandbox", allow = { files = { "$work" }, programs = { "sh" } } },
  prod = { kind = "production", allow = { files = { "$work" } } } } }
LUA
export RUNBOOK_CONFIG=$tmp/files.lua
t <<LUA
return runbook { title = "D",
  step "A" { remedy = function (run)
    file.write("$work/a", "1")
    exec.run { "sh", "-c", "echo one >> $work/log" } end,
    undo = function () file.write("$work/log", "") end },
  step "B" { remedy = function (run)
    run:each({ "x", "y" }, function (n) file.write("$work/" .. n, n) end)
    file.remove("$work/a") end } }
LUA
cat > "$tmp/reset" <<END
#!/bin/sh
[ ! -s $work/log ] || { wc -l < $work/log >> $tmp/counts; ls $work | tr '\n' ' ' >> $tmp/states; echo >> $tmp/states; }
rm -f $work/*
END
chmod +x "$tmp/reset"
rb drill "$tmp/t.lua" --crashes --reset "$tmp/reset"; is "all points hold" "$rc" 0
has "which are counted" "$out" "20 of 20 points held"
is "a command in doubt is asked about, nothing else" "$(grep -c "held, asked" <<<"$out")" 2
is "each command ran once in every run" "$(sort -u "$tmp/counts" | xargs)" 1
is "and every run came to the same end" "$(sort -u "$tmp/states")" "log x y "
refuses "the runs are on no tape of ours" test -e "$XDG_STATE_HOME/runbook/tape.db"
rb drill "$tmp/t.lua" --target prod; is "production is never drilled" "$rc" 2; has "and it says why" "$err" "sandbox targets only"
rb drill "$tmp/nosuch.lua"; has "a run that cannot begin says why" "$err" "nosuch"
t <<LUA
return runbook { title = "D", step "A" { remedy = function (run) file.write("$work/n", run:ask { id = "what", question = "What?" }) end } }
LUA
echo '{ "what": "1" }' > "$tmp/what.json"
rb drill "$tmp/t.lua" --crashes --answers "$tmp/what.json"; is "answers are for the runbook alone" "$rc $err" "0 "
t <<LUA
return runbook { title = "D", step "A" { remedy = function (run)
  file.write("$work/n", "1") file.chmod("$work/n", "0600") run:sleep("1ms") end } }
LUA
rb drill "$tmp/t.lua"; is "without --reset each run is taken back" "$rc" 0
ok "to the last one" test ! -e "$work/n"
has "a full disk fails the write, and nothing else" "$(grep 'disk full' <<<"$out")" "a/remedy/1"
has "a tape that is full before a change" "$out" "a/remedy/2                                    tape full before    held"
has "and after it: it is looked at" "$out" "a/remedy/2                                    tape full after     held, looked at"
has "all of it is counted" "$out" "8 of 8 points held; 6 of 6 undos and faults; 6 in doubt were told by looking"
rb drill "$tmp/t.lua" --faults --json -o "$tmp/d.md"; is "as JSON" "$rc $(jq -r '.mode + " " + .status' <<<"$out")" "0 drill held"
is "each fault with its exit and its words" "$(jq -r '.rows[] | select(.what == "disk full") | "\(.exit) \(.message)"' <<<"$out")" \
  "1 $work/n cannot be written: File too large"
is "only the faults" "$(jq .counts.points <<<"$out")" 0
has "and a page to be kept" "$(cat "$tmp/d.md")" "| a/remedy/1 | file.write | disk full | 1 | held |"
rb drill "$tmp/t.lua" -o "$tmp/d.pdf"; is "another kind of file" "$rc" 2
t <<LUA
return runbook { title = "D", step "A" {
  remedy = function () exec.run { "sh", "-c", "echo 1 > $work/n" } end, undo = function () end } }
LUA
rb drill "$tmp/t.lua" --faults --files "$work"; is "an undo that does nothing is found" "$rc" 1
has "and what it leaves is named" "$out" "DID NOT HOLD: file $work/n"
rm -f "$work/n"
t <<LUA
return runbook { title = "D", step "A" {
  remedy = function () pcall(file.write, "$work/n", "1") file.write("$work/m", "1") end } }
LUA
rb drill "$tmp/t.lua" --faults; is "a script that goes on after a failure" "$rc" 0
has "is said to" "$out" "held, went on"

# -- what is the same twice, and another one later: how long something took ------------------
mkdir -p "$work.turns"; sed -i "s|files = { \"$work\" }, p|files = { \"$work\", \"$work.turns\" }, p|" "$tmp/files.lua"
t <<LUA
return runbook { title = "D", step "A" { remedy = function ()
  file.write("$work/took", tostring(#file.read("$work.turns/n") // 3))
  file.write("$work/m", "1") end } }
LUA
printf '#!/bin/sh\nrm -f %s/*\nprintf x >> %s.turns/n\n' "$work" "$work" > "$tmp/reset"
rb drill "$tmp/t.lua" --crashes --reset "$tmp/reset"; is "a text that varies does not hold" "$rc" 1
has "and is named" "$out" "DID NOT HOLD: file $work/took"
rm "$work.turns/n"
rb drill "$tmp/t.lua" --crashes --reset "$tmp/reset" --varies "*/took"; is "unless it is said that it does" "$rc" 0
has "then all points hold" "$out" "8 of 8 points held"
rm "$work.turns/n"
rb drill "$tmp/t.lua" --crashes --reset "$tmp/reset" --varies "*/m"; is "another name says nothing of it" "$rc" 1
rm -f "$work"/*

# -- PostgreSQL, Redis, dotenv, on the sandbox --------------------------------------------
for need in psql redis-cli; do
  command -v $need >/dev/null || { skip "tenant isolation" "needs $need"; exit 0; }
done
sandbox_up
# each server refuses, is silent, answers by half; what was done is taken back
t <<'LUA'
local erp = system "school_erp"
return runbook { title = "D", system = "school_erp", limits = { pg_rows = 10 },
  step "Redis" { remedy = function () erp.redis:set("cache:drill", "1") end },
  step "Dotenv" { remedy = function () erp.dotenv:set("DRILL", "1") end },
  step "Pg" {
    remedy = function () erp.pg:exec "INSERT INTO greenwood_high.roles (id, name) VALUES (90210, 'drill')" end,
    undo = function () erp.pg:exec "DELETE FROM greenwood_high.roles WHERE id = 90210" end },
  step "Http" {
    remedy = function () erp.http:post("/t/greenwood_high/login", { expect = { 401 },
      json = { email = "nobody@example.org", password = "none" } }) end,
    undo = function () erp.pg:exec "DELETE FROM greenwood_high.login_attempts WHERE email = 'nobody@example.org'" end },
}
LUA
rb drill "$tmp/t.lua"; is "crashes and faults of servers hold" "$rc" 0
has "at every point" "$out" "16 of 16 points held"
for fault in refused "timed out" half-answered; do
  is "$fault: three servers" "$(grep -c "$fault .*held" <<<"$out")" 3
done
has "a status 500" "$out" "http/remedy/1                                 500                 held"
hasnot "each of them held" "$out" "DID NOT HOLD"
t <<'LUA'
local erp = system "school_erp"
return runbook { title = "D", system = "school_erp",
  step "Look" {
    probe = function (run) run.n = erp.pg:value "SELECT count(*) FROM greenwood_high.roles" end,
    remedy = function (run) erp.dotenv:set("DRILL", run.n) end } }
LUA
rb drill "$tmp/t.lua" --faults --probes; is "probes may meet them, too" "$rc" 0
has "each in its turn" "$(grep '^look/probe/1' <<<"$out" | tr -s ' ' | tr '\n' ';')" \
  "look/probe/1 refused held;look/probe/1 timed out held;look/probe/1 half-answered held"
