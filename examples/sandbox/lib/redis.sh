# redis.sh - the private Redis
# shellcheck shell=bash

redis_up () { runs "$SANDBOX_REDIS_PID" "redis-server 127.0.0.1:$SANDBOX_REDIS_PORT"; }

redis_admin () {
  REDISCLI_AUTH=$SANDBOX_REDIS_ADMIN_PASSWORD redis-cli --user sandbox_admin --no-auth-warning \
    -h 127.0.0.1 -p "$SANDBOX_REDIS_PORT" "$@"
}

redis_urls () {
  local at=127.0.0.1:$SANDBOX_REDIS_PORT/0
  SANDBOX_REDIS_URL=redis://school_erp:$SANDBOX_REDIS_PASSWORD@$at
  SANDBOX_REDIS_PROBE_URL=redis://school_erp_probe:$SANDBOX_REDIS_PROBE_PASSWORD@$at
  SANDBOX_REDIS_ADMIN_URL=redis://sandbox_admin:$SANDBOX_REDIS_ADMIN_PASSWORD@$at
}

# the owner may do everything but administer; the probe may read, and say who it is.
# @connection is not given to the probe: CLIENT PAUSE and CLIENT KILL are in it.
redis_conf () {
  local looks='+acl|whoami +client|list +client|id +client|info +client|setname +client|getname'
  looks+=' +slowlog|get +slowlog|len +latency|latest +latency|history'
  local owner='+@all -@admin -flushall -swapdb -migrate +acl|dryrun +acl|cat +client|kill +config|get'
  local probe='-@all +@read -pfcount +ping +echo +select +info +time +role +command +memory|stats'
  (umask 077; cat > "$dir/redis/redis.conf") <<END
bind 127.0.0.1
port $SANDBOX_REDIS_PORT
unixsocket $(json_text "$SANDBOX_REDIS_SOCKET")
unixsocketperm 700
dir $(json_text "$dir/redis")
logfile $(json_text "$dir/log/redis.log")
pidfile $(json_text "$dir/redis/redis.pid")
daemonize no
save ""
appendonly no
maxmemory 256mb
enable-debug-command local
user default off
user sandbox_admin on >$SANDBOX_REDIS_ADMIN_PASSWORD ~* &* +@all
user school_erp on >$SANDBOX_REDIS_PASSWORD ~* &* $owner $looks
user school_erp_probe on >$SANDBOX_REDIS_PROBE_PASSWORD ~* &* $probe $looks
user polaris on >$SANDBOX_POLARIS_PASSWORD ~* &* $owner $looks
user polaris_probe on >$SANDBOX_POLARIS_PROBE_PASSWORD ~* &* $probe $looks
END
}

redis_start () {
  local try i
  SANDBOX_REDIS_SOCKET=$dir/redis/redis.sock
  fits "$SANDBOX_REDIS_SOCKET" || { short_folder; SANDBOX_REDIS_SOCKET=$SANDBOX_SHORT/redis.sock; }
  for try in 1 2 3 4 5; do
    SANDBOX_REDIS_PORT=$(free_port "$SANDBOX_REDIS_PORT")
    redis_urls
    redis_conf
    setsid redis-server "$dir/redis/redis.conf" > /dev/null 2>&1 < /dev/null 9>&- &
    SANDBOX_REDIS_PID=$!
    disown
    for ((i = 0; i < 100; i++)); do
      [[ $(redis_admin info server 2> /dev/null) == *"process_id:$SANDBOX_REDIS_PID"[!0-9]* ]] && return
      [ -d "/proc/$SANDBOX_REDIS_PID" ] || break
      sleep 0.02
    done
    ! redis_up || end_process "$SANDBOX_REDIS_PID"
    SANDBOX_REDIS_PORT=
  done
  die "Redis does not start, see $dir/log/redis.log"
}

redis_stop () { ! redis_up || end_process "$SANDBOX_REDIS_PID"; }

redis_load () {                 # a file of commands, one a line, below another
  local wrong
  wrong=$(grep -hv '^#' "$@" | redis_admin 2>&1 | grep -vE '^(OK|[0-9]*)$' | head -n 1)
  [ -z "$wrong" ] || die "Redis refuses a command of $*: $wrong"
}

redis_reset () { redis_load "$here/seed/empty.txt" "$here/seed/redis.txt"; }
