# receivers.sh - whom the tests of notices tell; source it after lib.sh
#
# receivers_start [OPTIONS]: starts examples/sandbox/receivers; $hook (its URL), $smtp and,
#   with --tls, $starttls and $smtps (ports)
# behave JSON: how the next ones are answered, {"slack": ["429 1", "drop"]}
# kept FILTER: jq over a list of all that has arrived;  forget: as if nothing had
receivers=''
receivers_start() {
  mkdir -p "$tmp/rec"; rm -f "$tmp/rec/ports"
  "$python" "$top/examples/sandbox/receivers/receivers" "$tmp/rec" --token "$token" "$@" >"$tmp/rec/log" 2>&1 &
  receivers=$!
  for _ in $(seq 1200); do
    [ ! -s "$tmp/rec/ports" ] || break
    kill -0 $receivers 2>/dev/null || break
    sleep 0.05
  done
  [ -s "$tmp/rec/ports" ] || { fail "the receivers start" "$(cat "$tmp/rec/log")"; exit 1; }
  . "$tmp/rec/ports"
  hook=http://127.0.0.1:$RECEIVERS_HTTP_PORT
  smtp=${RECEIVERS_SMTP_PORT:-} starttls=${RECEIVERS_STARTTLS_PORT:-} smtps=${RECEIVERS_SMTPS_PORT:-}
}
receivers_away() { local status=$?; exec 2>/dev/null; [ -z "$receivers" ] || kill "$receivers"; return $status; }
trap 'receivers_away; finish' EXIT
token=tok-51f0c2aa
routing=$(printf '%s' "$token" | md5sum | cut -c 1-32)
behave() { curl -s -f -d "$1" "$hook/control" || fail "the receivers listen"; }
forget() { curl -s -f -X DELETE "$hook/kept" || fail "the receivers listen"; }
kept() { jq -s -r "$1" "$tmp/rec/kept.jsonl"; }
