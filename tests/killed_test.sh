#!/usr/bin/env bash
# kill -9 while the tape is written: it is never damaged, and no intent is ever lost.
# KILLS=1000 for all of it, SEED to repeat one.
. "$(dirname "$0")/lib.sh"
cd "$tmp" || exit 1
mkdir work
cat > runbook.config.lua <<LUA
return { target = "local", targets = { ["local"] = { kind = "sandbox", allow = { files = { "$tmp/work" } }, systems = {} } } }
LUA
export RUNBOOK_CONFIG=$tmp/runbook.config.lua
${CC:-cc} -std=c11 -D_GNU_SOURCE -O1 -Wall -Wextra -shared -fPIC -o storage.so "$top/tests/storage.c" -ldl || exit 1

# -- two durable writes for each change, and none for what only looks ----------------------
echo 'return runbook { title = "N", params = { n = { "integer" }, change = { "boolean", default = true } },
  step "Write" { remedy = function (run) for i = 1, run.n do
    if run.change then file.write("'"$tmp"'/work/n" .. i, run.id) else file.stat("'"$tmp"'/work") end end end } }' >n.lua
# on a tape with nothing on it, so that its log is not emptied meanwhile; the least of three,
# for on a busy machine a quarter of a second may pass, and then what waits is written
"$runbook" run n.lua n=0 >/dev/null 2>&1; cp -r "$XDG_STATE_HOME" empty
once() { rm -rf counted; cp -r empty counted
  XDG_STATE_HOME=$tmp/counted LD_PRELOAD=$tmp/storage.so STORAGE_FILE=tape.db-wal STORAGE_COUNT=$tmp/count \
    "$runbook" run n.lua "$@" >/dev/null 2>&1; cut -d' ' -f1 count; }
syncs() { for _ in 1 2 3; do once "$@"; done | sort -n | head -1; }
is "twenty changes more: two syncs for each" "$(($(syncs n=21) - $(syncs n=1)))" 40
is "a hundred looks more: none" "$(($(syncs n=101 change=false) - $(syncs n=1 change=false)))" 0

# -- killed ------------------------------------------------------------------------------
seed=${SEED:-$RANDOM}
said=$("$python" "$top/tests/killed.py" "$runbook" "$tmp/storage.so" "$tmp" "${KILLS:-60}" "$seed" 2>&1)
is "killed again and again (seed $seed): $said" "$?" 0
rb verify; is "the tape fits at the end" "$rc" 0
