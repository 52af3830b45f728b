# process.sh - processes that are ours, free ports, folders short enough for sockets
# shellcheck shell=bash

# the process works in folder $2; its command line has $2 in it
works_in () { [ -n "$1" ] && [ "$(readlink "/proc/$1/cwd" 2> /dev/null)" = "$2" ]; }
runs () { [ -n "$1" ] && [[ $(tr '\0' ' ' 2> /dev/null < "/proc/$1/cmdline") == *"$2"* ]]; }

gone () {                       # wait until the process has ended: PID SECONDS
  local i
  for ((i = 0; i < $2 * 50; i++)); do
    [ -d "/proc/$1" ] && ! grep -q '^State:.Z' "/proc/$1/status" 2> /dev/null || return 0
    sleep 0.02
  done
  return 1
}

# end a process that has just been identified; by force when it does not listen
end_process () {
  kill -TERM "$1" 2> /dev/null
  gone "$1" 8 || { kill -KILL "$1" 2> /dev/null; gone "$1" 2; }
}

port_free () { ! (exec 3<> "/dev/tcp/127.0.0.1/$1") 2> /dev/null; }

free_port () {                  # prefers the one given, below the kernel's own range
  local port=${1:-}
  while [ -z "$port" ] || ! port_free "$port"; do port=$((20000 + RANDOM % 12000)); done
  echo "$port"
}

fits () { [ "${#1}" -le 100 ]; }

short_folder () {
  [ -n "$SANDBOX_SHORT" ] && [ -d "$SANDBOX_SHORT" ] && return
  local tmp=${TMPDIR:-/tmp}
  fits "$tmp/rb-sandbox.XXXXXX/pm2/interactor.sock" || tmp=/tmp
  SANDBOX_SHORT=$(realpath "$(mktemp -d "$tmp/rb-sandbox.XXXXXX")")
}

# quoted for JSON, Lua, redis.conf and .env alike
json_text () { local s=${1//\\/\\\\}; printf '"%s"' "${s//\"/\\\"}"; }
