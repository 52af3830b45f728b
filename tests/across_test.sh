#!/usr/bin/env bash
# Locks across machines: two state folders against one PostgreSQL are two machines.
. "$(dirname "$0")/lib.sh"
sandbox_up
work=$tmp/work; mkdir "$work"
config() { cat > "$tmp/own.config.lua" <<LUA
return { target = "local", targets = { ["local"] = { kind = "sandbox",
  allow = { files = { "$work" }, programs = { "sh" } },
  systems = { erp = { pg = { url = "$1" }, dotenv = "$work/.env" } } } } }
LUA
export RUNBOOK_CONFIG=$tmp/own.config.lua
}
config "$SANDBOX_PG_URL"
admin() { psql -X -q -At -v ON_ERROR_STOP=1 "$SANDBOX_PG_ADMIN_URL" -c "$1"; }
j() { jq -r "$1" <<<"$out"; }
there() { XDG_STATE_HOME=$tmp/there rb run "$tmp/t.lua" --json "$@"; }
held() { admin "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"; }
holder() { admin "SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory'"; }
until_() { for _ in $(seq 300); do "$@" && return 0; sleep 0.05; done; return 1; }
cat > "$tmp/t.lua" <<LUA
return runbook { title = "T", system = "erp", lock = "the {what}",
  params = { what = { "string", default = "thing" }, wait = { "boolean", default = false } },
  step "Begin" { remedy = function (run)
    if not run.wait then return end
    file.write("$work/begun", "1")
    run:wait_until("go", { every = "50ms", within = "60s" }, function () return file.stat("$work/go") end)
    file.write("$work/second", "2")
  end },
  step "End" { remedy = function (run) file.write("$work/end", run.id) end },
}
LUA
begin() {  # a run that waits, in the background: $pid
  rm -f "$work"/*
  "$runbook" run "$tmp/t.lua" wait=true --json "$@" >"$tmp/held.out" 2>"$tmp/held.err" & pid=$!
  until_ test -e "$work/begun"
}
goes() { touch "$work/go"; wait $pid; rc=$?; out=$(cat "$tmp/held.out"); }

rb run "$tmp/t.lua"; is "a run with a lock" "$rc" 0
has "the banner says how far it reaches" "$out$err" "on all machines that use erp.pg, if it answers"
is "it lets go at its end" "$(held)" 0

begin
run=$("$runbook" history --json | jq -r '.[0].run')
is "who holds it can be read on the server" "$(holder)" "runbook $run $(id -un)@$(uname -n)"
there; is "on another machine it is held" "$rc $(j .error.kind)" "5 lock"
has "the run is named" "$(j .error.message)" "run $run by $(id -un)@$(uname -n) since 20"
is "nothing was done" "$(test -e "$work/end" || echo nothing)" nothing
there --dry-run; is "a dry run says so" "$rc" 5; has "as what would be refused" "$(j .error.message)" "would be refused: the lock 'the thing' is held by another run: run $run"
there what=other; is "another lock is free" "$rc" 0
goes; is "the first one was not disturbed" "$rc" 0
is "the document says how far the lock reached" "$(j .lock)" "on all machines that use erp.pg"
there --dry-run; is "a dry run finds it free" "$rc" 0
is "and takes nothing" "$(held)" 0
there; is "so does a run" "$rc" 0

begin; kill -9 $pid; wait $pid 2>/dev/null
free() { [ "$(held)" = 0 ]; }
ok "who is killed lets go" until_ free
"$runbook" abandon "$("$runbook" history --json | jq -r '.[0].run')" --yes 2>/dev/null

# -- the connection goes while the run is at work ------------------------------------------
begin
admin "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'" >/dev/null
goes; is "a lock that is lost stops the run before its next change" "$rc $(j .error.kind) $(test -e "$work/second" || echo none)" "1 lock none"
has "and it says so" "$(j .error.message)" "the connection to erp.pg that held the lock 'the thing' is gone"
rb resume --json; is "resume takes it again and goes on" "$rc $(cat "$work/second")" "0 2"
rm -f "$work"/*
sed -i 's|^  step "End"|  step "Lose it" { remedy = function () exec.run { "sh", "-c", "'"$work"'/lose" } end },\n  step "End"|' "$tmp/t.lua"
cat > "$tmp/lose" <<SH
#!/bin/sh
psql -X -q -At '$SANDBOX_PG_ADMIN_URL' -c "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'" >/dev/null
SH
chmod 755 "$tmp/lose"; cp "$tmp/lose" "$work/lose"
rb run "$tmp/t.lua" --json; is "between two steps it is taken again" "$rc $(test -e "$work/end" && echo done)" "0 done"
has "which is said" "$err" "it has been taken again through erp.pg"

# -- no server -----------------------------------------------------------------------------
config "postgresql://nobody@127.0.0.1:1/none"
rb run "$tmp/t.lua" --json; is "where no server answers the run goes on" "$rc" 0
has "with the machine's own lock, and says so" "$err" "the lock holds on this machine only: erp.pg does not answer"
is "which is what the document says" "$(j .lock)" "this machine only"
rb report --json; is "and what is kept of the run" "$(j .lock)" "this machine only"
