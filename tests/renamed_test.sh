#!/usr/bin/env bash
# A real Redis whose commands bear other names: what changes stays a remedy, and a name that
# looks harmless changes nothing, for the probe's user may not.
. "$(dirname "$0")/lib.sh"
cd "$tmp" || exit 2
port=$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat > redis.conf <<END
port $port
bind 127.0.0.1
dir $tmp
save ""
rename-command GET oldget
rename-command FLUSHALL get
rename-command CONFIG adjust
rename-command SET write
user default on >all-of-it ~* &* +@all
user looker on >only-looking ~* &* -@all +@read +@connection +command +acl|whoami
END
redis-server redis.conf > redis.log 2>&1 & server=$!
trap 'kill $server 2>/dev/null; wait $server 2>/dev/null; finish' EXIT
cli() { redis-cli -p "$port" -a all-of-it --no-auth-warning "$@"; }
for _ in $(seq 100); do [ "$(cli ping 2>/dev/null)" = PONG ] && break; sleep 0.1; done
is "it is the server that we started" "$(cli info server | tr -d '\r' | sed -n 's/^process_id://p')" "$server"
cli write kept 1 > /dev/null
digest() { cli debug digest 2>&1; cli adjust get maxmemory | tail -1; }
config() { (umask 077; cat > runbook.config.lua <<END
return { target = "local", targets = { ["local"] = { kind = "sandbox", systems = {
  s = { redis = { url = "redis://default:all-of-it@127.0.0.1:$port/0"$1 } } } } } }
END
); export RUNBOOK_CONFIG=$tmp/runbook.config.lua; }
book() { printf 'local r = system("s").redis\nreturn runbook { title = "t", step "s" { %s = function (run) %s end } }\n' "$1" "$2" > t.lua; }
before=$(digest)

# attack WHAT FIELD CALL WORDS: changes nothing, and says so
attack() {
  book "$2" "$3"
  rb run t.lua --json "${@:5}"
  has "$1: refused" "$(jq -c '[.error.message, .steps[0].reason, .steps[0].effects[0].reason]' <<<"$out")" "$4"
  is "$1: nothing has changed" "$(digest)" "$before"
}

config ", probe = \"redis://looker:only-looking@127.0.0.1:$port/0\""
attack "FLUSHALL under the name of GET" probe 'r:get "kept"' "no permissions to run the 'flushall' command" --yes
attack "... in a dry run" probe 'r:get "kept"' "no permissions to run the 'flushall' command" -n
attack "CONFIG under another name, in a probe" probe 'r:command("adjust", "SET", "maxmemory", "1")' "is a remedy" --yes
attack "... in a dry run" probe 'r:command("adjust", "SET", "maxmemory", "1")' "is a remedy" -n
attack "SET under another name, in a probe" probe 'r:command("write", "kept", "2")' "is a remedy" --yes
book remedy 'r:command("write", "kept", "2")'
rb run t.lua -n --json
is "a dry run of it changes nothing" "$(digest)" "$before"
is "and says that it would be done, or that it cannot tell" \
  "$(jq -r '.steps[0].effects[0].verdict' <<<"$out" | grep -cE '^(would do|cannot predict)$')" 1
rb run t.lua --yes --json
is "a remedy does it" "$rc $(cli oldget kept)" "0 2"
book remedy 'r:set("kept", "3")'
before=$(digest)
rb run t.lua --yes --json
is "a name that this server does not have" "$rc $(digest)" "1 $before"
