# receivers.sh - whom the sandbox tells: chat, pager, webhooks and mail, all on loopback
# shellcheck shell=bash

receivers_get () {              # PATH [METHOD]: prints the body
  local line body='' length=0
  exec 6<> "/dev/tcp/127.0.0.1/$SANDBOX_RECEIVERS_PORT" || return 1
  printf '%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n' "${2:-GET}" "$1" >&6
  while IFS= read -t 3 -r -u 6 line && [ -n "${line%$'\r'}" ]; do
    [[ $line != Content-Length:* ]] || { length=${line#*: }; length=${length%$'\r'}; }
  done
  [ "$length" -eq 0 ] || IFS= read -t 3 -r -N "$length" -u 6 body
  exec 6>&-
  printf '%s' "$body"
}

receivers_up () {
  [ -n "$SANDBOX_RECEIVERS_PORT" ] && ! port_free "$SANDBOX_RECEIVERS_PORT" \
    && [[ $(receivers_get /health 2> /dev/null) == *"\"$SANDBOX_TOKEN\""* ]]
}

# in the background of an `up`: its interpreter takes a while to start
receivers_start () {
  local python=python3
  [ ! -x /usr/bin/python3 ] || python=/usr/bin/python3  # the one that has Debian's packages
  SANDBOX_RECEIVERS=$dir/receivers
  mkdir -p "$SANDBOX_RECEIVERS"
  rm -f "$SANDBOX_RECEIVERS/ports"
  SANDBOX_WEBHOOK_SECRET=${SANDBOX_WEBHOOK_SECRET:-$(secret)}
  setsid "$python" "$here/receivers/receivers" "$SANDBOX_RECEIVERS" --token "$SANDBOX_TOKEN" \
    --webhook-secret "$SANDBOX_WEBHOOK_SECRET" > "$dir/log/receivers.log" 2>&1 < /dev/null 9>&- &
  SANDBOX_RECEIVERS_PID=$!
  disown
}

receivers_wait () {
  local i
  for ((i = 0; i < 1000; i++)); do
    [ ! -s "$SANDBOX_RECEIVERS/ports" ] || break
    [ -d "/proc/$SANDBOX_RECEIVERS_PID" ] || die "the receivers do not start, see $dir/log/receivers.log"
    sleep 0.02
  done
  SANDBOX_RECEIVERS_PORT=$(sed -n 's/^RECEIVERS_HTTP_PORT=//p' "$SANDBOX_RECEIVERS/ports")
  SANDBOX_SMTP_PORT=$(sed -n 's/^RECEIVERS_SMTP_PORT=//p' "$SANDBOX_RECEIVERS/ports")
  SANDBOX_RECEIVERS_URL=http://127.0.0.1:$SANDBOX_RECEIVERS_PORT
  SANDBOX_PAGERDUTY_KEY=$(printf '%s' "$SANDBOX_TOKEN" | md5sum | cut -c 1-32)
}

receivers_reset () { receivers_get /kept DELETE > /dev/null; }

receivers_stop () {
  if runs "$SANDBOX_RECEIVERS_PID" "$SANDBOX_RECEIVERS"; then end_process "$SANDBOX_RECEIVERS_PID"; fi
}

# what the configuration says of them
receivers_notify () {
  cat <<END
      notify   = {
        slack   = { ["#ops"]        = $(q "$SANDBOX_RECEIVERS_URL/slack/ops/$SANDBOX_TOKEN"),
                    ["#ops-status"] = $(q "$SANDBOX_RECEIVERS_URL/slack/ops-status/$SANDBOX_TOKEN") },
        teams   = { Operations = $(q "$SANDBOX_RECEIVERS_URL/teams/operations/$SANDBOX_TOKEN") },
        pagerduty = { key = $(q "$SANDBOX_PAGERDUTY_KEY"), url = "$SANDBOX_RECEIVERS_URL/pagerduty/v2/enqueue" },
        webhook = { tickets = { url = $(q "$SANDBOX_RECEIVERS_URL/webhook/tickets/$SANDBOX_TOKEN"),
                                secret = $(q "$SANDBOX_WEBHOOK_SECRET"), idempotency = "Idempotency-Key" } },
        mail    = { smtp = "smtp://127.0.0.1:${SANDBOX_SMTP_PORT:-1}", from = "On call <oncall@school-erp.example>" },
      },
END
}
