#!/usr/bin/env bash
# What a dry run calls predicted is what a real run then reads: random sequences of
# remedies and probes over Redis, files and .env (tests/property.py), on a Redis of our own.
# `tests/property_test.sh SEED CASES` tries others than those of every build.
. "$(dirname "$0")/lib.sh"
for need in redis-server redis-cli; do
  command -v $need >/dev/null || { skip "predictions" "needs $need"; exit 0; }
done
server=
trap 'code=$?; [ -z "$server" ] || kill "$server"; (exit $code); finish' EXIT
for _ in 1 2 3 4 5 6 7 8 9; do
  port=$((20000 + RANDOM % 20000))
  redis-server --port $port --bind 127.0.0.1 --save '' --dir "$tmp" >"$tmp/redis.log" 2>&1 & server=$!
  for _ in {1..100}; do
    [[ $(redis-cli -p $port info server 2>/dev/null) == *"process_id:$server"[!0-9]* ]] && break 2
    kill -0 $server 2>/dev/null || break
    sleep 0.05
  done
  kill $server 2>/dev/null; server=
done
[ -n "$server" ] || { fail "redis-server starts"; exit 1; }

try() {  # SEED CASES
  mkdir -p "$tmp/p$1"
  if out=$("$python" "$top/tests/property.py" "$runbook" $port "$tmp/p$1" "$1" "$2" 2>&1)
  then pass "what is predicted is read: ${out#\# }"
  else
    fail "seed $1: what is predicted is read" "$out"
    mkdir -p "$BUILD/tests" && cp "$tmp/p$1"/failed-*.lua "$BUILD/tests/" 2>/dev/null && echo "#   the scripts are in $BUILD/tests"
  fi
}
if [ $# -gt 0 ]; then try "$1" "${2:-300}"; exit; fi
try 4 200
try 7 200
