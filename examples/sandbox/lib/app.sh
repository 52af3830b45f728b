# app.sh - the application: its health, its service, its start and its end
# shellcheck shell=bash

# one GET, without a client: prints the body
http_get () {
  local line body=
  exec 5<> "/dev/tcp/127.0.0.1/$SANDBOX_HTTP_PORT" || return 1
  printf 'GET %s HTTP/1.0\r\n\r\n' "$1" >&5
  while IFS= read -t 3 -r -u 5 line && [ -n "${line%$'\r'}" ]; do :; done
  IFS= read -t 3 -r -d '' -u 5 body
  exec 5>&-
  printf '%s' "$body"
}

app_health () {
  local body
  [ -n "$SANDBOX_HTTP_PORT" ] && ! port_free "$SANDBOX_HTTP_PORT" || return 1
  body=$(http_get /health 2> /dev/null)
  [[ $body == *"\"instance\":\"$SANDBOX_TOKEN\""* ]] && printf '%s' "$body"
}

app_pid () {
  local body
  body=$(app_health) && [[ $body =~ \"pid\":([0-9]+) ]] && echo "${BASH_REMATCH[1]}"
}

pm2_run () {
  env -i PATH="$PATH" HOME="$PM2_HOME" LANG=C.UTF-8 PM2_HOME="$PM2_HOME" \
    PM2_DISCRETE_MODE=true PM2_DISABLE_VERSION_CHECK=true "$SANDBOX_PM2" "$@" > "$dir/log/pm2.log" 2>&1 9>&-
}

pm2_pid () {                    # of the daemon that serves our PM2_HOME
  local pid
  pid=$(cat "$PM2_HOME/pm2.pid" 2> /dev/null) && runs "$pid" "God Daemon ($PM2_HOME)" && echo "$pid"
}

service_now () {                # what it was started with before
  case $SANDBOX_SERVICE in pm2:*) [ ! -x "$pm2" ] || echo pm2 ;; process:*) echo process ;; esac
}

service_choose () {
  local wanted=${1:-auto}
  [ "$wanted" != auto ] || { wanted=process; [ ! -x "$pm2" ] || wanted=pm2; }
  [ -z "$SANDBOX_SERVICE" ] || [ "${SANDBOX_SERVICE%%:*}" = "$wanted" ] || app_stop
  if [ "$wanted" = pm2 ]; then
    [ -x "$pm2" ] || die "pm2 is not installed: run \`sandbox deps\` first"
    command -v node > /dev/null || die "pm2 needs node, which is not installed"
    SANDBOX_SERVICE=pm2:school-erp-server
    SANDBOX_PM2=$pm2 PM2_HOME=$dir/pm2 SANDBOX_PIDFILE=
    fits "$PM2_HOME/interactor.sock" || { short_folder; PM2_HOME=$SANDBOX_SHORT/pm2; }
    # `touch` says that pm2 has greeted us already: else it asks for newer versions
    mkdir -p "$PM2_HOME" && chmod 700 "$PM2_HOME" && touch "$PM2_HOME/touch"
  else
    SANDBOX_PIDFILE=$dir/run/school-erp-server.pid
    SANDBOX_SERVICE=process:$SANDBOX_PIDFILE SANDBOX_PM2='' PM2_HOME=''
  fi
}

app_launch () {
  if [ -n "$SANDBOX_PM2" ]; then
    cat > "$dir/run/pm2.json" <<END
{ "apps": [ { "name": "school-erp-server", "interpreter": "none", "exec_mode": "fork",
  "script": $(json_text "$server"), "args": ["--env", $(json_text "$SANDBOX_DOTENV")],
  "cwd": $(json_text "$SANDBOX_APP"), "vizion": false, "pmx": false, "automation": false,
  "kill_timeout": 5000, "out_file": $(json_text "$dir/log/server.out"),
  "error_file": $(json_text "$dir/log/server.err") } ] }
END
    pm2_run start "$dir/run/pm2.json" || die "pm2 cannot start the application, see $dir/log/pm2.log"
  else
    (cd "$SANDBOX_APP" && exec setsid env -i PATH="$PATH" LANG=C.UTF-8 "$server" --env "$SANDBOX_DOTENV" \
      --pidfile "$SANDBOX_PIDFILE") > "$dir/log/server.out" 2> "$dir/log/server.err" < /dev/null 9>&- &
    disown
  fi
}

app_wait () {
  local i
  for ((i = 0; i < 250; i++)); do
    app_health > /dev/null && return
    sleep 0.02
  done
  return 1
}

app_port () {
  SANDBOX_HTTP_PORT=$(free_port "$SANDBOX_HTTP_PORT")
  SANDBOX_HTTP_URL=http://127.0.0.1:$SANDBOX_HTTP_PORT
  dotenv_refresh
}

app_start () {
  local _
  app_port
  for _ in 1 2; do
    app_launch
    app_wait && return
    app_stop
    SANDBOX_HTTP_PORT=
    app_port
  done
  die "the application does not start, see $dir/log/server.err"
}

version () { sed -n 's/.*"version": "\([^"]*\)".*/\1/p' "$SANDBOX_APP/release.json"; }

app_again () {                  # pm2 starts again what ends by itself
  local pid now i
  if [ -n "$SANDBOX_PM2" ] && pm2_pid > /dev/null && pid=$(app_pid); then
    end_process "$pid"
    for ((i = 0; i < 100; i++)); do
      now=$(app_pid) && [ "$now" != "$pid" ] && return
      sleep 0.02
    done
  fi
  app_stop
  app_start
}

app_crash () {                  # it has ended, and nobody has started it again
  local pid
  if [ -n "$SANDBOX_PM2" ]; then pm2_run stop school-erp-server; return; fi
  pid=$(app_pid) && kill -KILL "$pid" && gone "$pid" 2
}

app_stop () {
  local pid daemon
  pid=$(app_pid)
  [ -n "$pid" ] || { pid=$(cat "$SANDBOX_PIDFILE" 2> /dev/null) && runs "$pid" "$SANDBOX_DOTENV" || pid=; }
  if [ -n "$SANDBOX_PM2" ] && daemon=$(pm2_pid); then end_process "$daemon"; fi
  if [ -n "$pid" ] && runs "$pid" "$SANDBOX_DOTENV"; then end_process "$pid"; fi
}
