#!/usr/bin/env bash
# Random concurrent scripts replay to the same trace; failed or killed at random and
# resumed, they do each deed once (tests/replay.py). `tests/replay_test.sh SEED CASES`
# tries others than those of every build; so does REPLAY_CASES.
. "$(dirname "$0")/lib.sh"
for need in redis-server redis-cli; do
  command -v $need >/dev/null || { skip "replay" "needs $need"; exit 0; }
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
redis-cli -p $port set "a string" x >/dev/null
seed=${1:-5} cases=${2:-${REPLAY_CASES:-120}}
mkdir "$tmp/w"
if out=$("$python" "$top/tests/replay.py" "$runbook" $port "$tmp/w" "$seed" "$cases" 2>&1)
then pass "seed $seed: all replay, and each deed is done once: ${out#\# }"
else fail "seed $seed: all replay, and each deed is done once" "$out"
fi
