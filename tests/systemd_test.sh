#!/usr/bin/env bash
# service: systemd. None runs where these tests do, and systemctl speaks with nothing else:
# a stand-in gives the answers of systemctl 252, from a folder with a file a unit. The real
# one is asked only to say that there is no systemd, where there is none.
. "$(dirname "$0")/lib.sh"
cd "$tmp" || exit 2
export RUNBOOK_CONFIG=$tmp/config.lua
mkdir bin units
book() { printf 'local s = system("%s").service\nreturn runbook { title = "t", step "s" { %s = function (run)\n%s\nend } }\n' "$1" "$2" "$3" > f.lua; }
probe() { book "$1" probe "$2"; rb run f.lua --json; }
remedy() { book "$1" remedy "$2"; shift 2; rb run f.lua --json "$@"; }
finding() { jq -r --arg n "$1" '.findings[] | select(.name == $n) | .value' <<<"$out"; }
message() { jq -r '.error.message' <<<"$out"; }
effect() { jq -r ".steps[0].effects[0].$1" <<<"$out"; }
pid() { sed -n 's/^MainPID=//p' "units/$1"; }

cat > bin/systemctl <<END
#!/bin/bash
units=$tmp/units
END
cat >> bin/systemctl <<'END'
while [[ $1 == --no* ]]; do shift; done
verb=$1 unit=${*: -1} file=$units/$unit
set_to() { local f; f=$(sed -e "s/^ActiveState=.*/ActiveState=$1/" -e "s/^MainPID=.*/MainPID=$2/" "$file"); printf '%s\n' "$f" > "$file"; }
no() { printf '%s\n' "$@" >&2; exit 1; }
case $verb in
  show)
    if [ -f "$file" ]; then cat "$file"; else
      printf '%s\n' MainPID=0 NRestarts=0 LoadState=not-found ActiveState=inactive \
        ActiveEnterTimestampMonotonic=0 RefuseManualStart=no RefuseManualStop=no
    fi ;;
  start|restart|stop)
    case $unit in
      locked) no "Failed to $verb $unit.service: Interactive authentication required." \
                 "See system logs and 'systemctl status $unit.service' for details." ;;
      broken) [ $verb = stop ] || { set_to failed 0
        no "Job for broken.service failed because the control process exited with error code." \
           'See "systemctl status broken.service" and "journalctl -xeu broken.service" for details.'; } ;;
      ill) [ $verb != stop ] || { set_to failed 0; exit; } ;;
    esac
    if [ $verb = stop ]; then set_to inactive 0; else set_to active $(($(sed -n 's/^MainPID=//p' "$file") + 5000)); fi ;;
esac
END
printf '#!/bin/bash\nfor w; do case $w in --lines=*) n=${w#*=} ;; --unit=web) u=1 ;; esac; done\n[ -z "$u" ] || printf "%%s\\n" one two three | tail -n "$n"\n' > bin/journalctl
chmod 755 bin/*
unit() {  # NAME ACTIVE PID [LOAD] [REFUSES]
  printf '%s\n' "MainPID=$3" NRestarts=2 "LoadState=${4:-loaded}" "ActiveState=$2" ActiveEnterTimestampMonotonic=1000000 \
    "RefuseManualStart=no" "RefuseManualStop=${5:-no}" > "units/$1"
}
unit web active 811; unit locked active 812; unit broken inactive 0; unit ill active 813; unit down failed 0
unit masked inactive 0 masked; unit bad inactive 0 bad-setting; unit kept active 814 loaded yes; unit wait activating 815
{
  echo 'return { target = "local", targets = { ["local"] = { kind = "sandbox", systems = {'
  for name in web locked broken ill down masked bad kept wait nope 'web*' --all; do
    echo "  [\"$name\"] = { service = { url = \"systemd:$name\", program = \"$tmp/bin/systemctl\" } },"
  done
  echo "  strange = { service = { url = \"systemd:web\", program = \"/bin/echo\" } },"
  echo "  none = { service = { url = \"systemd:web\", program = \"$tmp/bin/none\" } },"
  echo "  real = { service = \"systemd:web\" } } } } }"
} > config.lua
chmod 600 config.lua

probe web 'local t = s:status() for k, v in pairs(t) do run:finding(k, v) end'
is "status" "$rc $(finding state) $(finding pid) $(finding restarts)" "0 online 811 2"
since=$(($(date -d "$(finding since)" +%s) - $(date +%s) + $(cut -d. -f1 /proc/uptime)))
ok "since when: a second after boot ($since)" test $since -ge -1 -a $since -le 3
probe web 'run:finding("x", table.concat(s:logs(2), ","))'
is "logs: from the journal" "$(finding x)" "two,three"
cp units/web before
remedy web 's:restart()' -n
is "a restart in a dry run" "$rc $(effect verdict) $(effect before.value) $(effect reason)" \
  "0 would do online, pid 811 $tmp/bin/systemctl restart web"
remedy web 's:stop()' -n
is "a stop in a dry run" "$(effect verdict) $(effect after.value) $(effect undo)" "would do stopped automatic"
ok "change nothing" cmp units/web before
remedy web 's:start()'
is "start when it is online: unchanged" "$rc $(jq -r '.steps[0].status' <<<"$out")" "0 unchanged"
remedy web 'run:finding("pid", s:restart().pid)'
is "restart: another process" "$rc $(finding pid)" "0 5811"
remedy web 's:stop()'
is "stop" "$rc $(grep Active.*te= units/web)" "0 ActiveState=inactive"
remedy web 's:stop()'
is "stop again: unchanged" "$rc $(jq -r '.steps[0].status' <<<"$out")" "0 unchanged"
remedy web 's:start()'
is "start" "$rc $(pid web)" "0 5000"
probe wait 'run:finding("state", s:status().state)'
is "one that starts" "$(finding state)" starting
remedy ill 's:stop()'
is "one that fails as it stops has stopped" "$rc" 0
remedy down 's:stop()'
is "one that has failed need not be stopped" "$rc $(jq -r '.steps[0].status' <<<"$out")" "0 unchanged"

# -- what is wrong, and what would be right --
probe nope 's:status()'
has "no such unit" "$(message)" 'systemd has no unit "nope"'
remedy nope 's:restart()' -n
is "and a remedy would refuse" "$rc $(effect verdict)" "1 would refuse"
for name in 'web*' --all; do
  probe "$name" 's:status()'
  has "$name is no name of one unit" "$(message)" 'is no name of one unit'
done
remedy masked 's:start()' -n
has "masked" "$(effect verdict): $(effect reason)" "would refuse: masked: it is masked: \`systemctl unmask\`"
remedy kept 's:restart()' -n
has "a unit that nobody may stop" "$(effect verdict): $(effect reason)" "would refuse: kept: its unit says RefuseManualStop"
probe bad 's:status()'
has "a unit that cannot be loaded" "$(message)" "cannot be loaded (bad-setting)"
remedy locked 's:restart()'
has "without the right: its words" "$(message)" "Interactive authentication required"
is "and nothing was done" "$rc $(jq -r .error.certainty <<<"$out") $(pid locked)" "1 not done 812"
remedy broken 's:start()'
is "one that does not come up: it has been tried" "$rc $(jq -r .error.certainty <<<"$out")" "6 unknown"
has "and how it is" "$(message)" "it is errored now"
probe strange 's:status()'
has "what is no answer that we know" "$(message)" "what \`systemctl show\` prints is not what this version knows: --no-pager"
remedy none 's:start()' -n
has "no client" "$(effect verdict): $(effect reason)" "would refuse: none.service: $tmp/bin/none is not an executable"
if [ -d /run/systemd/system ] || ! command -v systemctl >/dev/null; then
  skip "no systemd" "one runs here, or its client is not installed"
else
  probe real 's:status()'
  has "no systemd: the real client says so" "$(message)" "no systemd answers here: System has not been booted"
fi
