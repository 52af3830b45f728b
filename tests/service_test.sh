#!/usr/bin/env bash
# service: pm2 (where it is installed) and plain processes, on the sandbox. Docker and
# systemd have tests of their own.
. "$(dirname "$0")/lib.sh"
cd "$tmp" || exit 2
book() { printf 'local s = system("%s").service\nreturn runbook { title = "t", step "s" { %s = function (run)\n%s\nend } }\n' "${3:-school_erp}" "$1" "$2" > f.lua; }
probe() { book probe "$1" "${2:-}"; rb run f.lua --json; }
remedy() { book remedy "$1" "${SYSTEM:-}"; shift; rb run f.lua --json "$@"; }
dry() { remedy "$1" --dry-run; }
finding() { jq -r --arg n "$1" '.findings[] | select(.name == $n) | .value' <<<"$out"; }
message() { jq -r '.error.message' <<<"$out"; }
effect() { jq -r ".steps[0].effects[0].$1" <<<"$out"; }
healthy() { curl -s -m 2 "$SANDBOX_HTTP_URL/health" | jq -r .pid; }

# the same promises, whoever keeps the process
promises() {  # WHAT
  probe 'local t = s:status() run:finding("state", t.state) run:finding("pid", t.pid) run:finding("since", t.since)'
  is "$1: online" "$rc/$(finding state)" "0/online"
  is "$1: the pid is the application's" "$(finding pid)" "$(healthy)"
  has "$1: since when" "$(finding since)" "T"
  local pid; pid=$(healthy)
  dry 's:restart()'
  is "$1: a restart in a dry run" "$rc/$(effect verdict)" "0/would do"
  is "$1: before" "$(effect before.value)" "online, pid $pid"
  is "$1: a restart has no inverse" "$(effect undo)" "a restart has no inverse"
  dry 's:stop()'
  is "$1: a stop in a dry run" "$(effect verdict)/$(effect after.value)/$(effect undo)" "would do/stopped/automatic"
  is "$1: changes nothing" "$(healthy)" "$pid"
  local each='[.steps[0].effects[] | "\(.verdict): \(.before.value) -> \(.after.value)"] | join("; ")'
  dry 's:stop() s:start()'
  is "$1: a start after a planned stop" "$rc $(jq -r "$each" <<<"$out")" \
    "0 would do: online, pid $pid -> stopped; would do: stopped -> online"
  dry 's:stop() s:start() s:start()'
  is "$1: a second start, in a dry run" "$rc $(jq -r '.steps[0].effects[2].verdict' <<<"$out")" "7 cannot predict"
  dry 's:stop() system("school_erp").pg:exec("UPDATE public.schools SET name = name") s:start()'
  is "$1: what else changes by a stop is not known" "$(jq -c '[.steps[0].effects[].assumes]' <<<"$out")" "[[],[1],[1,2]]"
  is "$1: nothing was stopped" "$(healthy)" "$pid"
  remedy 's:start()'
  is "$1: start when it is online: unchanged" "$(jq -r '.steps[0].status' <<<"$out")/$(healthy)" "unchanged/$pid"
  remedy 'local t = s:restart() run:finding("pid", t.pid) run:finding("state", t.state)'
  is "$1: restart" "$rc/$(finding state)" "0/online"
  for _ in {1..50}; do [ -n "$(healthy)" ] && break; sleep 0.1; done
  is "$1: another process answers" "$(finding pid)" "$(healthy)"
  refuses "$1: the old one is gone" test "$pid" = "$(healthy)"
  remedy 's:stop()'
  is "$1: stop" "$rc/$(healthy)" "0/"
  probe 'local t = s:status() run:finding("state", t.state) run:finding("pid", t.pid == nil)'
  is "$1: stopped, without a pid" "$(finding state)/$(finding pid)" "stopped/true"
  remedy 's:stop()'
  is "$1: stop again: unchanged" "$(jq -r '.steps[0].status' <<<"$out")" unchanged
  remedy 's:start()'
  is "$1: start" "$rc" 0
  for _ in {1..50}; do [ -n "$(healthy)" ] && break; sleep 0.1; done
  refuses "$1: it answers" test -z "$(healthy)"
}

# -- a plain process ----------------------------------------------------------------
"$top/examples/sandbox/sandbox" up "$tmp/sb" --config "$tmp/runbook.config.lua" --service process >"$tmp/sandbox.log" 2>&1 \
  || { cat "$tmp/sandbox.log"; fail "sandbox up"; exit 1; }
. "$tmp/sb/env"
export RUNBOOK_CONFIG=$tmp/runbook.config.lua
promises process
remedy 'run:finding("outlives", s:restart().pid)'
is "it outlives us" "$(healthy)" "$(finding outlives)"
is "and is nobody's group but its own" "$(ps -o sid= -p "$(healthy)" | tr -d ' ')" "$(healthy)"
sed -i 's|, log = "[^"]*/log/server.err" }| }|' runbook.config.lua
probe 's:logs(5)'
has "without a log it says which setting" "$(message)" '`log` of the service'
cp "$tmp/runbook.config.lua" "$tmp/config.saved"
sed -i "s|service = { url = \"process:school-erp-server\",|service = { url = \"process:school-erp-server\", log = \"$tmp/service.log\",|" runbook.config.lua
seq 1 200 > service.log; printf 'last' >> service.log
probe 'local l = s:logs(3) run:finding("x", table.concat(l, ","))'
is "logs: the last lines" "$(finding x)" "199,200,last"
remedy 's:restart()'
is "its output goes on there" "$rc/$(head -1 service.log)" "0/1"

# a pid file that lies
cp "$SANDBOX_PIDFILE" pid.saved
sleep 1000 & other=$!
echo $other > "$SANDBOX_PIDFILE"
probe 'run:finding("state", s:status().state)'
is "a pid file with another program's pid: stopped" "$(finding state)" stopped
remedy 's:stop()'
ok "and that program is left alone" kill -0 $other
kill $other
cp -p pid.saved "$SANDBOX_PIDFILE"; touch -d '2001-01-01' "$SANDBOX_PIDFILE"
probe 'run:finding("state", s:status().state)'
is "a pid file older than its process: another one has the number" "$(finding state)" stopped
touch "$SANDBOX_PIDFILE"
probe 'run:finding("state", s:status().state)'
is "the right one again" "$(finding state)" online
# one that does not listen to TERM
cat > deaf <<'END'
#!/bin/bash
trap '' TERM
echo $$ > "$1"
while :; do sleep 0.1; done
END
chmod 755 deaf
cat > deaf.lua <<END
return { target = "local", targets = { ["local"] = { kind = "sandbox", systems = {
  deaf = { service = { url = "process:deaf", pidfile = "$tmp/deaf.pid", start = { "$tmp/deaf", "$tmp/deaf.pid" } } },
  none = { service = { url = "process:none", pidfile = "$tmp/none.pid", start = { "$tmp/no/such", "x" } } } } } } }
END
chmod 600 deaf.lua
RUNBOOK_CONFIG=$tmp/deaf.lua
SYSTEM=deaf remedy 's:start()'
is "one that is deaf to TERM starts" "$rc" 0
pid=$(cat deaf.pid)
SYSTEM=deaf remedy 's:stop()'
is "and is killed in the end" "$rc/$(grep -h '^State' "/proc/$pid/status" 2>/dev/null | grep -v Z)" "0/"
SYSTEM=none dry 's:start()'
is "no such program: would refuse" "$(effect verdict)" "would refuse"
has "and which" "$(effect reason)" "$tmp/no/such"
export RUNBOOK_CONFIG=$tmp/runbook.config.lua
"$top/examples/sandbox/sandbox" down "$tmp/sb" --purge >/dev/null 2>&1

# -- pm2 -----------------------------------------------------------------------------
sandbox_up
if [ -z "$SANDBOX_PM2" ]; then
  skip "pm2" "not installed: examples/sandbox/sandbox deps"
  exit 0
fi
promises pm2
cp runbook.config.lua config.saved
probe 'local t = s:status() run:finding("restarts", t.restarts)'
is "pm2: restarts are counted" "$(jq -r '.findings[0].value | type' <<<"$out")" number
is "the kernel layer is not claimed: it talks to the daemon" "$(jq .enforced.kernel <<<"$out")" false
probe 'run:finding("n", #s:logs(20))'
is "pm2: logs" "$rc" 0
hasnot "what the daemon knows of the environment is told to nobody" "$out$err" "$SANDBOX_PG_PASSWORD"
sed -i 's/pm2:school-erp-server/pm2:school-erp-sever/' runbook.config.lua
probe 's:status()'
has "pm2: a misspelt name: those that there are" "$(message)" "it has: school-erp-server"
for name in all 0 -x; do
  sed "s/pm2:school-erp-sever/pm2:$name/" runbook.config.lua > bad.lua; chmod 600 bad.lua
  RUNBOOK_CONFIG=$tmp/bad.lua probe 's:status()'
  has "pm2: the name \"$name\" is refused" "$(message)" "is no name of one process"
done
cp config.saved runbook.config.lua
sed -i "s|home = \"[^\"]*\"|home = \"$tmp/nopm2\"|" runbook.config.lua
mkdir nopm2
probe 's:status()'
has "pm2: no daemon answers" "$(message)" "no pm2 daemon answers in $tmp/nopm2"
is "and none was started" "$(ls -A nopm2)/$(pgrep -fc "PM2 v.*$tmp/nopm2")" "/0"
cp config.saved runbook.config.lua
sed -i "s|program = \"[^\"]*\"|program = \"$tmp/no/pm2\"|" runbook.config.lua
dry 's:restart()'
is "pm2: no program: would refuse" "$(effect verdict)" "would refuse"
cp config.saved runbook.config.lua
