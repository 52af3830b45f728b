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
[ ! -e $work/log ] || { wc -l < $work/log >> $tmp/counts; ls $work | tr '\n' ' ' >> $tmp/states; echo >> $tmp/states; }
rm -f $work/*
END
chmod +x "$tmp/reset"
rb drill "$tmp/t.lua" --reset "$tmp/reset"; is "all points hold" "$rc" 0
has "which are counted" "$out" "20 of 20 points held"
is "a command in doubt is asked about, nothing else" "$(grep -c asked <<<"$out")" 3
is "each command ran once in every run" "$(sort -u "$tmp/counts" | xargs)" 1
is "and every run came to the same end" "$(sort -u "$tmp/states")" "log x y "
refuses "the runs are on no tape of ours" test -e "$XDG_STATE_HOME/runbook/tape.db"
rb drill "$tmp/t.lua" --target prod; is "production is never drilled" "$rc" 1; has "and it says why" "$err" "sandbox targets only"
rb drill "$tmp/nosuch.lua"; has "a run that cannot begin says why" "$err" "nosuch"
t <<LUA
return runbook { title = "D", step "A" { remedy = function () file.write("$work/n", "1") file.chmod("$work/n", "0600") end } }
LUA
rb drill "$tmp/t.lua"; is "without --reset each run is taken back" "$rc" 0
ok "to the last one" test ! -e "$work/n"

# -- PostgreSQL, Redis, dotenv, on the sandbox --------------------------------------------
for need in psql redis-cli; do
  command -v $need >/dev/null || { skip "tenant isolation" "needs $need"; exit 0; }
done
sandbox_up
rb drill tenant_isolation --case isolate --reset "$top/examples/sandbox/sandbox reset $tmp/sb >/dev/null 2>&1"
is "tenant isolation holds" "$rc" 0
has "at every point" "$out" "12 of 12 points held"
hasnot "and nobody was asked" "$out" "asked"
