#!/usr/bin/env bash
# redis: probes that cannot change anything, previews that look, deeds that hold or
# are not done; and servers that are down, slow, full, or no Redis at all.
. "$(dirname "$0")/lib.sh"
pids=()
stop() { for p in "${pids[@]}"; do kill "$p" 2>/dev/null; done; wait 2>/dev/null; }
trap 'code=$?; stop; (exit $code); finish' EXIT

# -- a server of our own, with the users of the sandbox ---------------------------
users="user default off
user admin on >admin-password ~* &* +@all
user owner on >owner-password ~* &* +@all -@admin -flushall +acl|dryrun +config|get +client|kill
user narrow on >narrow-password ~narrow:* +@all -@admin
user watcher on >watcher-password ~* &* -@all +@read -pfcount +ping +echo +select +info +time +role +command +client|id +client|info +client|setname +client|list"
start() {  # start PORT: leaves $port, $server
  local i try
  for try in 1 2 3 4 5 6 7 8 9; do
    port=${1:-$((20000 + RANDOM % 20000))}
    printf '%s\n' "bind 127.0.0.1" "port $port" "dir $tmp" "save \"\"" "enable-debug-command local" \
      "maxmemory 600mb" "$users" >"$tmp/redis.conf"
    redis-server "$tmp/redis.conf" --daemonize no >"$tmp/redis.log" 2>&1 &
    server=$!
    for ((i = 0; i < 100; i++)); do
      [[ $(admin info server 2>/dev/null) == *"process_id:$server"[!0-9]* ]] && { pids+=("$server"); return; }
      kill -0 "$server" 2>/dev/null || break
      sleep 0.02
    done
    kill "$server" 2>/dev/null
  done
  fail "redis-server does not start"; exit 1
}
admin() { redis-cli --no-auth-warning -p "$port" --user admin --pass admin-password "$@"; }
url() { echo "redis://$1:$1-password@127.0.0.1:${2:-$port}/${3:-0}"; }
digest() { admin debug digest; }
bad() {  # bad ARGS...: leaves $badport
  python3 "$top/tests/badredis.py" "$@" >"$tmp/badport" 2>"$tmp/badlog" &
  pids+=($!)
  local i
  for ((i = 0; i < 250; i++)); do [ -s "$tmp/badport" ] && break; sleep 0.02; done
  badport=$(cat "$tmp/badport"); : >"$tmp/badport"
}
# with URL [PROBE [LIMITS]]: the configuration
with() {
  rm -f "$tmp/runbook.config.lua"
  printf 'return { target = "t", targets = { t = { kind = "sandbox", limits = { %s }, systems = { s = { redis = { url = "%s"%s } } } } } }\n' \
    "${3-}" "$1" "${2:+, probe = \"$2\"}" >"$tmp/runbook.config.lua"
}
export RUNBOOK_CONFIG=$tmp/runbook.config.lua
start
with "$(url owner)" "$(url watcher)"

# book FIELD BODY [FIELD BODY]: a runbook of one step; r is the resource
book() {
  { echo 'local r = system "s".redis'
    echo 'local function find (run, v) run:finding("value", v) end'
    echo 'local function err (f, ...) local ok, e = pcall(f, ...); assert(not ok, "it succeeded"); return type(e) == "table" and e or { kind = "misuse", message = e } end'
    printf 'return runbook { title = "t", system = "s", step "A" {'
    while [ $# -gt 1 ]; do printf ' %s = function (run)\n%s\nend,\n' "$1" "$2"; shift 2; done
    printf '} }\n'; } >"$tmp/t.lua"
}
j() { jq -r "$1" <<<"$out"; }
found() { j '[.findings[].value | if type == "string" then . else tojson end] | join(" ")'; }
# p WHAT LUA EXPECTED: an expression of a probe
p() { book probe "find(run, $2)"; rb run "$tmp/t.lua" --json; is "$1" "$(found)$(j '.error.message // ""')" "$3"; }
# r WHAT BODY EXPECTED: what the body of a remedy notes
r() { book remedy "$2"; rb run "$tmp/t.lua" --json; is "$1" "$(found)$(j '.error.message // ""')" "$3"; }
# refused WHAT CALL PART: a probe's call raises, and nothing changes
refused() {
  local before; before=$(digest)
  book probe "local e = err(function () return $2 end) find(run, e.kind .. ': ' .. e.message)"
  rb run "$tmp/t.lua" --json
  has "$1" "$(found)$(j '.error.message // ""')" "$3"
  is "$1: nothing changed" "$(digest)" "$before"
}
# dry WHAT BODY FILTER EXPECTED: of a dry run's effects; nothing changes
dry() {
  local before; before=$(digest)
  book remedy "$2"
  rb run "$tmp/t.lua" --dry-run --json
  is "$1" "$(jq -c "[.steps[].effects[]] | $3" <<<"$out")" "$4"
  [ "$(digest)" = "$before" ] || fail "$1: the dry run changed something"
}

# -- the lists of commands -------------------------------------------------------------
list() { sed -n "/ $1\[\] = {/,/^};/p" "$top/stdlib/redis/words.c" | grep -oE '"[a-z][a-z0-9_|-]*"'; }
for name in looks beyonds partials; do
  ok "$name are sorted, for they are searched" env LC_ALL=C sort -c <(list $name)
done
ok "what is refused is sorted" env LC_ALL=C sort -c \
  <(sed -n '/ refused\[\] = {/,/^};/p' "$top/stdlib/redis/words.c" | grep -oE '\{"[a-z|_-]+"' | tr -d '{')
is "no command that looks is one that writes, as the server knows it" "$(
  list looks | tr -d '"' | sed 's/^/COMMAND INFO /' | admin | grep -cx write)" 0
is "all of them are commands (but those of later versions)" "$(
  list looks | tr -d '"' | while read -r c; do [ "$(admin command info "$c" | wc -l)" -gt 5 ] || echo "$c"; done | xargs)" \
  "cluster|myshardid hexpiretime hpexpiretime hpttl httl"

# -- probes ---------------------------------------------------------------------------
admin --raw >/dev/null <<'END'
set s hello
set e soon ex 1000
rpush l a b c
hset h name x age 7
sadd set b a c
zadd z 1.5 one 2 two
xadd x 1-1 f v
END
p "get" 'r:get "s"' hello
p "absent is nil" 'tostring(r:get "none")' nil
p "ttl: seconds, false for ever, nil for no key" 'tostring(r:ttl "e" > 990) .. tostring(r:ttl "s") .. tostring(r:ttl "none")' truefalsenil
p "exists is a boolean" 'tostring(r:exists "s") .. tostring(r:exists "none")' truefalse
p "type" 'r:type "z" .. r:type "none"' zsetnone
p "lengths" 'r:strlen "s" .. r:llen "l" .. r:hlen "h" .. r:scard "set" .. r:zcard "z" .. r:llen "none"' 532320
p "lrange" 'table.concat(r:lrange("l"), "") .. table.concat(r:lrange("l", 0, 1), "") .. r:lrange("l", -1, -1)[1]' abcabc
p "hashes" 'r:hget("h", "name") .. r:hgetall("h").age .. tostring(r:hget("h", "no"))' x7nil
p "sets are sorted" 'table.concat(r:smembers "set") .. tostring(r:sismember("set", "a")) .. tostring(r:sismember("set", "x"))' abctruefalse
p "sorted sets" 'table.concat(r:zrange("z", 0, -1), " ") .. r:zscore("z", "one") .. r:zrange("z", { scores = true })[2].score' 'one two1.52.0'
p "mget goes by key" 'r:mget("s", "none", "e").e .. tostring(r:mget("s", "none").none)' soonnil
p "info" 'math.type(r:info("server").process_id) .. type(r:info().redis_version) .. r:info("keyspace").db0.keys' integerstring7
p "ping, dbsize" 'r:ping() .. r:dbsize()' PONG7
p "a nil inside a list is false" 'tostring(r:command("hmget", "h", "name", "no")[2])' false
p "bytes survive" '#r:command("echo", "a\0b\r\n")' 5
p "odd case" 'r:command("gEt", "s")' hello
p "COMMAND COUNT is a probe" 'type(r:command("COMMAND", "COUNT"))' number
p "scan" 'table.concat(r:scan "*", " ")' 'e h l s set x z'
p "scan by type" 'table.concat(r:scan("*", { type = "string" }), " ")' 'e s'
p "scan stops at a limit" '#r:scan("*", { limit = 3 })' 3
admin debug populate 10500 many >/dev/null
p "more than 10,000 keys are an error" 'err(r.scan, r, "many:*").kind' limit
p "or a wish" '#r:scan("many:*", { limit = 10400 })' 10400
admin eval "for i = 0, 10499 do redis.call('del', 'many:' .. i) end" 0 >/dev/null
p "a score that is none" 'tostring(r:zscore("z", "no"))' nil
p "an error of the server" 'err(r.get, r, "l").kind .. ": " .. err(r.get, r, "l").message' \
  'server: s.redis: WRONGTYPE Operation against a key holding the wrong kind of value'
p "a key that is none" 'err(r.get, r, nil).message:match "redis GET.*"' 'redis GET: a string, a number or a secret expected, got nil'
book probe 'local t = run:each({ 1, 2, 3, 4, 5, 6, 7, 8 }, { limit = 4 }, function (i) return r:command("echo", i) end) find(run, table.concat(t))'
rb run "$tmp/t.lua" --json
is "many at a time, each gets its own" "$(found)" 12345678

# -- what a probe may not ---------------------------------------------------------------
while IFS='|' read -r call part; do refused "$call" "r:command($call)" "$part"; done <<'END'
"EVAL", "return redis.call('set', 'a', 1)", 0|is a remedy
"EVALSHA", "x", 0|is a remedy
"FCALL", "f", 0|is a remedy
"SCRIPT", "FLUSH"|is a remedy
"SCRIPT", "LOAD", "return 1"|is a remedy
"CONFIG", "SET", "maxmemory", "1gb"|is a remedy
"CONFIG", "RESETSTAT"|is a remedy
"CLIENT", "KILL", "TYPE", "normal"|is a remedy
"CLIENT", "PAUSE", "100"|is a remedy
"CLIENT", "REPLY", "OFF"|CLIENT REPLY is refused
"PUBLISH", "c", "m"|is a remedy
"GETDEL", "s"|is a remedy
"GETSET", "s", "x"|is a remedy
"GETEX", "s", "PERSIST"|is a remedy
"SORT", "l", "ALPHA", "STORE", "x"|is a remedy
"GEORADIUS", "g", 1, 1, 1, "km", "STORE", "x"|is a remedy
"BITFIELD", "s", "SET", "u8", 0, 1|is a remedy
"PFCOUNT", "s"|is a remedy
"TOUCH", "s"|is a remedy
"SLOWLOG", "RESET"|is a remedy
"LATENCY", "RESET"|is a remedy
"ACL", "SETUSER", "x"|is a remedy
"ACL", "LOG", "RESET"|is a remedy
"DEBUG", "SLEEP", "0"|is a remedy
"SAVE"|is a remedy
"REPLICAOF", "NO", "ONE"|is a remedy
"FAILOVER"|is a remedy
"MODULE", "LOAD", "x"|is a remedy
"SWAPDB", 0, 1|is a remedy
"MIGRATE", "h", 1, "k", 0, 1|is a remedy
"MULTI"|MULTI is refused
"exec"|EXEC is refused
"Watch", "s"|WATCH is refused
"SHUTDOWN"|SHUTDOWN is refused: a server is stopped by its service
"MONITOR"|MONITOR is refused
"SUBSCRIBE", "c"|SUBSCRIBE is refused
"PSYNC", "?", "-1"|PSYNC is refused
"SELECT", "1"|SELECT is refused: the database stands in the configuration's URL
"AUTH", "x"|AUTH is refused
"HELLO", "3"|HELLO is refused
"RESET"|RESET is refused
"QUIT"|QUIT is refused
"KEYS", "*"|KEYS is refused: it walks the whole database at once: use scan(pattern)
"BLPOP", "l", 1|BLPOP is refused: it would block
"bzpopmin", "z", 1|BZPOPMIN is refused
"XREAD", "BLOCK", 0, "STREAMS", "x", "$"|XREAD is refused: it would block
"WAIT", 1, 0|WAIT is refused
"sEt", "s", "x"|is a remedy
"SET\0", "s", "x"|no command of Redis has such a name
"SET s x"|no command of Redis has such a name
"get\r\nset", "s"|no command of Redis has such a name
" get", "s"|no command of Redis has such a name
"sét", "s"|no command of Redis has such a name
"", "s"|no command of Redis has such a name
"GREET", "s"|is a remedy
END
refused "keys by name" 'r:keys "*"' 'keys is refused'
refused "set in a probe" 'r:set("s", "x")' 'redis.set is a remedy'
refused "blocking in a list" 'r:command("XREAD", { "BLOCK", 0, "STREAMS", "x", "$" })' 'XREAD is refused'
refused "a subcommand in a list" 'r:command("CONFIG", { "SET", "maxmemory", "1gb" })' 'is a remedy'
refused "a name in a list" 'r:command { "SET", "s", "x" }' 'string expected, got table'
p "XREAD that does not block is a probe" '#r:command("XREAD", "COUNT", 1, "STREAMS", "x", "0")' 1
book remedy 'local e = err(r.command, r, "GREET", "x") find(run, e.message)'
rb run "$tmp/t.lua" --json
is "a command that the server does not know" "$(found)" "s.redis: Command 'GREET' not found"
r "the same in other case" 'find(run, err(r.command, r, "mUlTi").kind)' refused

# -- dry runs ---------------------------------------------------------------------------
one='.[0] | [.verdict, .before, .after, .guarded]'
dry "set" 'r:set("s", "x", { ex = "1h" })' "$one" '["would do",{"value":"hello","type":"string","ttl":null},{"value":"x","type":"string","ttl":3600},true]'
dry "set what is so" 'r:set("s", "hello")' '.[0] | [.verdict, .reason]' '["nothing to do","it has that value"]'
dry "set with nx" 'find(run, tostring(r:set("s", "x", { nx = true })))' '.[0] | [.verdict, .reason]' '["nothing to do","the key is there (nx)"]'
is "set with nx: its result" "$(found)" nil
dry "set with xx" 'r:set("none", "x", { xx = true })' '.[0].verdict' '"nothing to do"'
dry "set takes an expiry away" 'r:set("e", "soon")' '.[0] | [.verdict, .before.ttl > 900, .after.ttl]' '["would do",true,null]'
dry "keepttl keeps it" 'r:set("e", "later", { keepttl = true })' '.[0] | .after.ttl > 900' 'true'
dry "del" 'r:del("s", "none")' '.[0] | [.verdict, .before.value.s.value, .before.value.none, .after.value]' '["would do","hello",false,{"none":false,"s":false}]'
dry "del of what is not there" 'r:del "none"' '.[0] | [.verdict, .reason]' '["nothing to do","there is no such key"]'
dry "expire" 'r:expire("s", "90s")' "$one" '["would do",{"value":"hello","type":"string","ttl":null},{"value":"hello","type":"string","ttl":90},true]'
dry "persist" 'r:persist "s"' '.[0].reason' '"it has no expiry"'
dry "rename" 'r:rename("s", "t")' '.[0] | [.after.value.s, .after.value.t.value]' '[false,"hello"]'
dry "rename of nothing" 'r:rename("none", "t")' '.[0] | [.verdict, .reason]' '["would refuse","s.redis: there is no key none"]'
dry "lists" 'r:rpush("l", "d") r:lpush("l", "x", "y") r:lrem("l", 0, "a")' '[.[].after.value | join("")]' '["abcd","yxabcd","yxbcd"]'
dry "hashes" 'r:hset("h", { age = 8, new = "n" }) r:hdel("h", "name")' '[.[].after.value]' '[{"age":"8","name":"x","new":"n"},{"age":"8","new":"n"}]'
dry "sets" 'r:sadd("set", "d", "a") r:srem("set", "a", "b", "c", "d")' '[.[].after]' '[{"value":["a","b","c","d"],"type":"set","ttl":null},null]'
dry "sorted sets" 'r:zadd("z", 3, "three") r:zrem("z", "one")' '[.[].after.value]' '[{"one":1.5,"three":3,"two":2},{"three":3,"two":2}]'
dry "the wrong type" 'r:incr "l"' '.[0] | [.verdict, .reason]' '["would refuse","s.redis: l holds a list, and INCR wants a string"]'
dry "not a number" 'r:incr "s"' '.[0].reason' '"s.redis: s holds \"hello\", which is not an integer"'
dry "a command of which only the keys are known" 'r:command("LPOP", "l")' '.[0] | [.verdict, .before.value, .after.type, .guarded, .undo]' '["would do",["a","b","c"],"unknown",true,"automatic"]'
dry "a command that does not take what is there" 'r:command("LPOP", "s")' '.[0] | [.verdict, .reason]' '["would refuse","s.redis: s holds a string, and LPOP wants a list"]'
dry "nor one with several kinds" 'r:command("SORT", "s", "STORE", "x")' '.[0] | [.verdict, .reason]' '["would refuse","s.redis: s holds a string, and SORT wants a list or a set or a zset"]'
dry "nor in its second key" 'r:command("RPOPLPUSH", "l", "s")' '.[0].reason' '"s.redis: s holds a string, and RPOPLPUSH wants a list"'
dry "which nobody looks at where the first is not there" 'r:command("SMOVE", "none", "s", "x")' '.[0] | [.verdict, .reason]' '["would do","whether the server takes what is there for this command is not known"]'
dry "what is planned counts" 'r:set("n", "1") r:command("XADD", "n", "*", "a", "b")' '.[1] | [.verdict, .reason]' '["would refuse","s.redis: n holds a string, and XADD wants a stream"]'
dry "a key that is written whatever it holds" 'r:command("SETEX", "l", 10, "x") r:command("SINTERSTORE", "h", "set")' '[.[] | .verdict, .reason]' '["would do",null,"would do",null]'
dry "a union takes sets, too" 'r:command("ZUNIONSTORE", "x", 1, "set")' '.[0].verdict' '"would do"'
dry "a command for any value" 'r:command("COPY", "l", "l2")' '.[0] | [.verdict, .reason]' '["would do",null]'
dry "a script" 'r:command("EVAL", "return 1", 0)' '.[0] | [.verdict, .guarded, .undo]' '["would do",false,"irreversible: what it changes is not known beforehand"]'
dry "how much FLUSHDB removes" 'r:command "FLUSHDB"' '.[0].summary' '"FLUSHDB removes 7 keys"'
dry "characters are not cut in two" 'r:set("s", ("ä"):rep(100))' '.[0].summary | contains("ä...")' true
dry "too few arguments" 'r:command("LPUSH", "l")' '.[0].verdict' '"would refuse"'
dry "an unknown command" 'r:command("GREET", "x")' '.[0].verdict' '"would refuse"'
dry "no right" 'r:command("FLUSHALL")' '.[0].verdict' '"would refuse"'
has "no right: says who" "$(j '.steps[0].effects[0].reason')" "user 'owner'"
dry "planned keys are predicted" 'r:set("n", "1", { ex = "10m" }) r:incr "n"
  find(run, r:get "n" .. tostring(r:ttl "n") .. tostring(r:exists "n") .. r:strlen "n" .. r:type "n" .. r:mget("n").n)
  r:del "n" find(run, tostring(r:get "n") .. tostring(r:ttl "n") .. tostring(r:exists "n"))' '[.[] | .read // empty] | unique' '["predicted"]'
is "what they will hold" "$(found)" "2600true1string2 nilnilfalse"
dry "collections, too" 'r:hset("nh", "a", 1) r:sadd("ns", "x") r:rpush("nl", "p", "q")
  find(run, r:hget("nh", "a") .. r:hgetall("nh").a .. r:hlen "nh" .. r:scard "ns" .. tostring(r:sismember("ns", "x")) .. table.concat(r:lrange("nl", -1, -1)) .. r:llen "nl")' \
  '[.[] | .read // empty] | unique' '["predicted"]'
is "what collections will hold" "$(found)" "1111trueq2"
dry "another key is real" 'r:set("n", "1") find(run, r:get "s")' '.[1].read' '"real"'
dry "all keys are as of now" 'r:set("n", "1") find(run, #r:scan "*")' '.[1] | [.read, .assumes]' '["as of now",[1]]'
dry "what is not foreseen is as of now" 'r:command("SETRANGE", "s", 0, "J") find(run, r:get "s")' '.[1] | [.read, .assumes]' '["as of now",[1]]'
dry "but other keys are real" 'r:command("SETRANGE", "s", 0, "J") find(run, r:get "e")' '.[1].read' '"real"'
dry "after what is not foreseen" 'r:command("SETRANGE", "s", 0, "J") r:append("s", "!")' '.[1] | [.verdict, .before.type]' '["cannot predict","unknown"]'
dry "what is made of a value that a script may change rests on it" 'r:set("n", "1") r:command("EVAL", "return 1", 0) r:incr "n" find(run, r:get "n")' \
  '.[3] | [.read, .assumes]' '["as planned",[2]]'
dry "what was planned for a key goes on after what may change anything" 'r:set("n", "1") r:command("EVAL", "return 1", 0) r:set("n", "2")' \
  '.[2] | [.verdict, .before.value, .after.value, .assumes]' '["would do","1","2",[2]]'
dry "it is no reason to do nothing" 'r:set("n", "1") r:command("EVAL", "return 1", 0) r:set("n", "1")' \
  '.[2] | [.verdict, .before.value, .assumes]' '["cannot predict","1",[2]]'
book remedy 'if r:command("SETRANGE", "s", 0, "J") == 5 then r:del "s" end'
rb run "$tmp/t.lua" --dry-run --json
is "a result that cannot be known defers" "$rc $(j '.steps[0].status')" "7 deferred"

# whatever a key holds, "would refuse" is what the server says, too; K is the key
wrong=$tmp/wrong
for type in string list set hash zset stream; do
  while read -r call; do echo "$type $call"; done <<'END'
GETDEL K
GETEX K
GETSET K x
SETRANGE K 0 x
INCRBYFLOAT K 1
SETEX K 9 x
PSETEX K 9000 x
SETNX K x
MSET K x
SETBIT K 0 1
BITFIELD K SET u8 0 1
BITOP NOT K none
BITOP NOT dest K
PFADD K x
PFMERGE K none
LPOP K
RPOP K
LSET K 0 x
LTRIM K 0 0
LINSERT K BEFORE a x
LPUSHX K x
LMOVE K dest LEFT LEFT
LMOVE none K LEFT LEFT
RPOPLPUSH K K
LMPOP 1 K LEFT
SPOP K
SMOVE K dest x
SMOVE none K x
SINTERSTORE K none
SINTERSTORE dest K
SUNIONSTORE dest K
SDIFFSTORE dest K none
HSETNX K f x
HINCRBY K n 1
HINCRBYFLOAT K n 1
ZINCRBY K 1 x
ZPOPMIN K
ZREMRANGEBYRANK K 0 0
ZREMRANGEBYSCORE K 0 0
ZUNIONSTORE K 1 none
ZUNIONSTORE dest 1 K
ZINTERSTORE dest 1 K
ZRANGESTORE K none 0 0
ZRANGESTORE dest K 0 0
ZMPOP 1 K MIN
GEOADD K 1 2 x
GEOSEARCHSTORE K none FROMLONLAT 1 2 BYRADIUS 1 m
GEORADIUS K 1 2 1 m STORE dest
SORT K BY nosort
XADD K * a b
XDEL K 1-1
XTRIM K MAXLEN 9
XACK K g 1-1
PERSIST K
TOUCH K
END
done | awk '{ print NR, $0 }' >"$wrong"
while read -r n type call; do
  k=kind:$n
  case $type in
    string) echo "SET $k 5";; list) echo "RPUSH $k a b";; set) echo "SADD $k a b";; hash) echo "HSET $k f 1";;
    zset) echo "ZADD $k 1 a";; stream) echo "XADD $k 1-1 a b";;
  esac
done <"$wrong" | admin >/dev/null
{ echo 'local r = system "s".redis return runbook { title = "t", system = "s",'
  awk '{ printf "step \"s%d\" { on_failure = \"continue\", remedy = function (run) r:command(", $1
         for (i = 3; i <= NF; i++) { w = $i == "K" ? "kind:" $1 : $i == "dest" ? "dest:" $1 : $i; printf "%s\"%s\"", (i > 3 ? ", " : ""), w }
         print ") end }," }' "$wrong"; echo '}'; } >"$tmp/t.lua"
rb run "$tmp/t.lua" --dry-run --json
j '.steps[].effects[0] | [.verdict, .reason // ""] | @tsv' >"$tmp/said"
mapfile -t calls < <(while read -r n type call; do sed "s/\bK\b/kind:$n/g; s/dest/dest:$n/" <<<"$call"; done <"$wrong")
admin eval 'local out = {} for i, line in ipairs(ARGV) do local w = {} for x in line:gmatch("%S+") do w[#w + 1] = x end
  local r = redis.pcall(unpack(w)) out[i] = type(r) == "table" and r.err and r.err:find("WRONGTYPE") and "wrong" or "fine" end return out' \
  0 "${calls[@]}" >"$tmp/answers"
paste "$tmp/answers" "$tmp/said" "$wrong" | awk -F'\t' '
  ($1 == "wrong") != ($2 == "would refuse") && !($1 == "wrong" && $3 ~ /is not known/) { print }' >"$tmp/differ"
is "$(wc -l <"$wrong") commands on keys of every type: what is refused is what the server refuses" "$(head -20 "$tmp/differ")" ""
ok "of $(grep -c wrong "$tmp/answers") with the wrong type $(paste "$tmp/answers" "$tmp/said" | grep -c '^wrong.*would refuse') are known beforehand" \
  [ "$(paste "$tmp/answers" "$tmp/said" | grep -c '^wrong.*would refuse')" -gt 190 ]
admin eval 'for _, k in ipairs(redis.call("KEYS", "kind:*")) do redis.call("DEL", k) end for _, k in ipairs(redis.call("KEYS", "dest:*")) do redis.call("DEL", k) end' 0 >/dev/null

# -- durations and other misuse -------------------------------------------------------------
for call in 'r:set("s", "x", { ex = 3600 })|redis set: a duration has a unit: "3600s" for 3600 seconds' \
            'r:set("s", "x", { ex = "soon" })|redis set: "soon" is not a duration' \
            'r:set("s", "x", { px = 1 })|no option is called '"'px'" \
            'r:set("s", "x", { nx = true, xx = true })|exclude each other' \
            'r:set("s", true)|a string, a number or a secret expected, got boolean' \
            'r:set("s", "x", { ex = "0s" })|redis set: "0s" is too short: 1ms is the shortest' \
            'r:expire("s", 60)|"60s" for 60 seconds' \
            'r:expire("s")|a duration such as "90s" expected, got nil' \
            'r:del()|a key is expected' \
            'r:del {}|the list is empty' \
            'r:sadd("set", 0/0)|not a number' \
            'r:restore {}|a list of keys expected'; do
  book remedy "find(run, err(function () ${call%%|*} end).message)"
  rb run "$tmp/t.lua" --json
  has "${call%%|*}" "$(found)" "${call#*|}"
done

# -- deeds -------------------------------------------------------------------------------------
r "remedies return what Redis does" 'find(run, r:set("k", "1") .. r:incr "k" .. r:incrby("k", 10) .. r:decr "k" .. r:append("k", "!") .. r:del "k")' 'OK2121131'
is "an integer that was set is text" "$(admin get k)" ""
r "expiry in seconds and in milliseconds" 'r:set("k", "v", { ex = "1h" }) r:expire("k", "1500ms") find(run, tostring(r:ttl "k" <= 2))' true
r "a set of what is so sends nothing" 'find(run, r:set("s", "hello"))' OK
is "and says so" "$(j '[.steps[].effects[] | select(.kind == "remedy") | .reason] | join("")')" "it has that value"
r "lists as arguments" 'find(run, r:sadd("k2", { "a", "b" }) .. r:zadd("k3", { x = 1, y = 2 }) .. r:hset("k4", { a = 1 }) .. r:del { "k2", "k3", "k4" })' 2213
r "numbers come back as they were" 'r:set("k", 0.1) r:zadd("kz", 1/3, "m") find(run, tostring(r:get "k" == "0.1") .. tostring(r:zscore("kz", "m") == 1/3)) r:del("k", "kz")' truetrue
r "a secret in the middle" 'r:set("a b\0c", "\1\2\255") find(run, tostring(r:get "a b\0c" == "\1\2\255")) r:del "a b\0c"' true
r "command: a remedy" 'find(run, table.concat(r:command("LPOP", "l", 2), "")) r:command("LPUSH", "l", "b", "a")' ab
r "command: what looks, in a list, as a remedy" 'find(run, table.concat(r:command("COMMAND", { "GETKEYS", "get", "a" })))' a
r "command: an error of the server is not done" 'local e = err(r.command, r, "LSET", "l", 99, "x") find(run, e.kind .. " " .. e.certainty)' 'server not done'
book remedy 'r:command("EVAL", "redis.call(\"set\", \"half\", 1) error(\"x\")", 0)'
rb run "$tmp/t.lua" --json
has "a script that fails may have done a part" "$(j .error.message)" "(a part of it may have been done)"
is "and is in doubt" "$rc $(j .status)" "6 in-doubt"
admin del half >/dev/null

# restore: what the inverse of a remedy does
admin --raw >/dev/null <<'END'
set back 1 ex 5000
hset backh a 1
END
expiry=$(admin pexpiretime back)
dump=$(admin debug digest-value back backh)
book remedy 'local function hex (s) return (s:gsub(".", function (c) return ("\\%03d"):format(c:byte()) end)) end
  local a, b = r:command("DUMP", "back"), r:command("DUMP", "backh")
  local at = r:command("PEXPIRETIME", "back")
  r:set("back", "2") r:hset("backh", "b", 2) r:set("extra", 1)
  find(run, r:restore { { key = "back", dump = a, at = at }, { key = "backh", dump = b }, { key = "extra" } })
  find(run, tostring(r:exists "extra"))'
rb run "$tmp/t.lua" --json
is "restore puts values back" "$(found) $(admin debug digest-value back backh)" "3 false $dump"
is "and their expiry" "$(admin pexpiretime back)" "$expiry"
r "a restore of what is so" 'r:restore { { key = "back", dump = r:command("DUMP", "back"), at = r:command("PEXPIRETIME", "back") }, { key = "none" } }' ''
is "does nothing" "$(j '[.steps[].effects[] | select(.verb == "redis.restore") | .reason] | join("")')" "it is as it was"
admin del back backh >/dev/null

book remedy 'local t = run:each({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20 },
  function (i) return r:set("each:" .. i, i) .. r:del("each:" .. i) end) find(run, table.concat(t))'
rb run "$tmp/t.lua" --json
is "more remedies at a time than connections" "$(found)" "$(printf 'OK1%.0s' {1..20})"
with "$(url admin)"
book remedy 'r:command("CONFIG", "SET", "masterauth", "hunter2hunter2") run:note("%s", r:command("CONFIG", "GET", "masterauth")[2])
  r:command("ACL", "SETUSER", "new", ">hunter3hunter3")'
rb run "$tmp/t.lua" --json
is "CONFIG SET can be taken back" "$(j '.steps[0].effects[0] | [.before.value.masterauth, .undo] | join(" ")')" " automatic"
hasnot "passwords among the words are secrets" "$out$err" hunter2
hasnot "those of users, too" "$out$err" hunter3
admin config set masterauth "" >/dev/null; admin acl deluser new >/dev/null
with "$(url owner)" "$(url watcher)"

# -- limits --------------------------------------------------------------------------------------
with "$(url owner)" "$(url watcher)" "redis_keys = 2"
dry "over the limit" 'r:del("s", "e", "l")' '.[0].verdict' '"would refuse"'
r "a limit counts keys that are there" 'find(run, r:del("none", "nothing", "zilch"))' 0
r "over the limit: nothing is done" 'find(run, err(r.del, r, "s", "e", "l").kind .. r:dbsize())' 'limit7'
dry "FLUSHDB, too" 'r:command "FLUSHDB"' '.[0].verdict' '"would refuse"'
with "$(url owner)" "$(url watcher)"

# -- rights -----------------------------------------------------------------------------------------
with "$(url narrow)" "$(url watcher)"
dry "a user who may not ask whether he may" 'r:set("narrow:k", "1") r:command("SETRANGE", "narrow:l", 0, "J")' '.[] | [.verdict, .reason]' \
  '["would do","the right to do it was not checked: this user may not ask ACL DRYRUN"]
["would do","the right to do it was not checked: this user may not ask ACL DRYRUN"]'
dry "of what need not be done nothing is said" 'r:del("narrow:k")' '.[0].verdict + (.[0].reason // "" | test("not checked") | tostring)' '"nothing to dofalse"'
r "keys that are not for this user" 'local e = err(r.set, r, "s", "x") find(run, e.kind)' auth
with "redis://owner:wrong@127.0.0.1:$port/0" "$(url watcher)"
r "a wrong password" 'local e = err(r.set, r, "s", "x") find(run, e.kind .. ": " .. e.message)' \
  "auth: s.redis: the server does not let user 'owner' in: WRONGPASS invalid username-password pair or user is disabled. (check user and password of its URL)"
hasnot "the password is not shown" "$out$err" "wrong@"
with "redis://127.0.0.1:$port/0"
p "no password" 'err(r.get, r, "s").kind' auth
with "redis://owner:owner-password@127.0.0.1:$port/99"
p "no such database" 'err(r.get, r, "s").message' 's.redis: ERR DB index is out of range'
with "redis://owner:owner-password@127.0.0.1:$port/3"
p "a database of its own" 'r:dbsize()' 0
with "rediss://x@127.0.0.1:1/0"
p "TLS where nobody listens" 'err(r.get, r, "s").message:match "cannot connect to 127.0.0.1:1"' 'cannot connect to 127.0.0.1:1'
with "$(url owner)"
rb run "$tmp/t.lua" --dry-run --json
is "without a probe's user the layer is not claimed" "$(j '.enforced.protocol | tojson')" '[]'
refused "the list of commands holds all the same" 'r:command("GETDEL", "s")' 'is a remedy'
with "$(url owner)" "$(url watcher)"
book probe 'r:get()'; rb run "$tmp/t.lua" --json
is "an argument that is missing: at which line" "$(j '.error | "\(.kind) \(.file):\(.line)"')" "script $tmp/t.lua:5"
book probe 'r:ping()'; rb run "$tmp/t.lua" --dry-run --json
is "with one it is" "$(j '.enforced.protocol | tojson')" '["redis"]'

# -- drift ---------------------------------------------------------------------------------------------
bad proxy "$port" WATCH do SET s theirs; with "$(url owner "$badport")" "$(url watcher)"
r "somebody else was there after the preview" 'local e = err(r.set, r, "s", "ours") find(run, e.kind .. " " .. e.certainty) find(run, e.message)' \
  'drift not done s.redis: s has changed since it was looked at (its value): expected "hello" without an expiry, found "theirs" without an expiry; nothing was changed'
is "theirs stays" "$(admin get s)" theirs
admin set s hello >/dev/null
bad proxy "$port" WATCH do SET s theirs; with "$(url owner "$badport")" "$(url watcher)"
r "nothing is watched afterwards" 'err(r.set, r, "s", "ours") r:command("EVAL", "redis.call(\"set\", \"s\", \"mine\")", 0) find(run, r:set("w", "1") .. r:del "w")' OK1
bad proxy "$port" MULTI do SET s later; with "$(url owner "$badport")" "$(url watcher)"
r "somebody else was there after the second look" 'local e = err(r.set, r, "s", "ours") find(run, e.kind .. " " .. e.certainty)' 'drift not done'
is "theirs stays then, too" "$(admin get s)" later
bad proxy "$port" WATCH do EXPIRE s 100; with "$(url owner "$badport")" "$(url watcher)"
r "an expiry is a change" 'find(run, err(r.set, r, "s", "ours").message:match "its %w+")' 'its expiry'
admin set s hello >/dev/null
r "an expiry that counts down is none" 'r:set("d", "1", { ex = "1h" }) run:sleep "1100ms" find(run, r:set("d", "2"))' OK
admin del d >/dev/null

# -- lost connections ---------------------------------------------------------------------------------------
bad proxy "$port" MULTI before; with "$(url owner "$badport")" "$(url watcher)"
book remedy 'r:set("s", "ours")'
rb run "$tmp/t.lua" --json
is "lost when the deed was sent: in doubt" "$rc $(j '.error.certainty')" "6 unknown"
is "lost before the deed reached it" "$(admin get s)" hello
bad proxy "$port" MULTI after; with "$(url owner "$badport")" "$(url watcher)"
book remedy 'r:set("s", "ours")'
rb run "$tmp/t.lua" --json
is "lost after the deed: in doubt" "$rc" 6
is "it was done" "$(admin get s)" ours
admin set s hello >/dev/null
bad proxy "$port" WATCH before; with "$(url owner "$badport")" "$(url watcher)"
r "lost before it was pledged: not done" 'find(run, err(r.set, r, "s", "ours").certainty)' 'not done'
bad proxy "$port" MULTI hang; with "$(url owner "$badport")" "$(url watcher)"
book remedy 'r:set("s", "ours")'; sed -i 's/step "A" {/step "A" { timeout = "1s",/' "$tmp/t.lua"
rb run "$tmp/t.lua" --json
is "no answer to the deed: in doubt" "$rc" 6
admin set s hello >/dev/null
with "$(url owner "$badport")" "$(url watcher "$badport")"
p "a new connection after a lost one" 'err(function () r:command("CLIENT", "LIST") admin() end) ~= nil and r:get "s"' hello
book remedy "r:get 's' r:command('CLIENT', 'KILL', 'USER', 'watcher') find(run, r:get 's')"
with "$(url owner)" "$(url watcher)"
rb run "$tmp/t.lua" --json
is "a connection that was killed is opened again" "$(found)$(j '.error.message // ""')" "hello"

# -- servers at 3 a.m. -----------------------------------------------------------------------------------------
admin eval "redis.call('set', 'big', string.rep('x', 100000000))" 0 >/dev/null
p "100 MB are not read" 'err(r.get, r, "big").kind' limit
p "and the next probe works" 'err(r.get, r, "big").kind .. r:get "s"' limithello
dry "a value too large to keep" 'r:del "big"' '.[0] | [.verdict, (.before.value | split(", about")[0]), .guarded]' '["would do","(string, 100000000 bytes",false]'
has "cannot be put back" "$(j '.steps[0].effects[0].undo')" "too large"
r "but be removed" 'find(run, r:del "big")' 1
admin eval "for i = 1, 20000 do redis.call('rpush', 'long', i) end" 0 >/dev/null
dry "many elements are counted, not shown" 'r:del "long"' '.[0].before.value' '"(list, 20000 elements)"'
admin del long >/dev/null
while read -r mode kind part; do
  bad fake "$mode"; with "redis://x:y@127.0.0.1:$badport/0"
  book probe 'local e = err(r.get, r, "s") find(run, e.kind .. " " .. e.message)'
  sed -i 's/step "A" {/step "A" { timeout = "20s",/' "$tmp/t.lua"
  rb run "$tmp/t.lua" --json
  has "a server that is $mode" "$(found)$(j '.error.message // ""')" "$kind s.redis: $part"
done <<'END'
garbage data the connection was lost (the reply cannot be read
huge limit a reply is larger than 16 MB
many limit a reply is larger than 16 MB
long limit a reply has more than 1048576 elements
deep data the connection was lost (the reply cannot be read
loading server LOADING Redis is loading the dataset in memory (the server is still reading its data: try again)
close io the connection was lost (the server closed the connection)
half io the connection was lost (the server closed the connection)
full server ERR max number of clients reached
denied server DENIED Redis is running in protected mode
silent timeout no answer in time
mute timeout no answer in time
END
with "redis://127.0.0.1:1/0"
p "a server that is down" 'err(r.get, r, "s").kind .. ": " .. err(r.get, r, "s").message' \
  'io: s.redis: cannot connect to 127.0.0.1:1: Connection refused; check that the server runs, and the host and port of its URL'
with "redis://no-such-host.invalid:1/0"
p "a host that is none" 'err(r.get, r, "s").kind' io
with "unix://$tmp/none.sock"
p "a socket that is none" 'err(r.get, r, "s").kind' io
with "$(url owner)" "$(url watcher)"
book probe 'r:get "s"
  local e = err(function () for i = 1, 1e6 do r:get "s" if i == 200 then run:note("%s", "now") end end end)
  find(run, e.kind)'
("$runbook" run "$tmp/t.lua" --json >"$tmp/gone" 2>"$tmp/gone.err"; echo $? >>"$tmp/gone.rc") &
for ((i = 0; i < 300; i++)); do grep -qs now "$tmp/gone.err" && break; sleep 0.02; done
kill -9 "$server"; wait %% 2>/dev/null
for ((i = 0; i < 500; i++)); do [ -s "$tmp/gone.rc" ] && break; sleep 0.02; done
is "a server that goes away in the middle" "$(jq -r '.findings[0].value' "$tmp/gone")" io
start "$port"
p "and comes back" 'r:ping()' PONG

# -- doctor ------------------------------------------------------------------------------------------------------
rb doctor --json
is "the doctor is content" "$(jq -r '[.. | objects | select(.name? == "probes" or .name? == "remedies") | .status] | join(" ")' <<<"$out")" "ok ok"
with "$(url owner)"
rb doctor --json
has "the doctor knows how to make a probe's user" "$out" "ACL SETUSER runbook_probe on"
with "$(url owner)" "$(url admin)"
rb doctor --json
has "a probe's user that may change something" "$out" "user 'admin' may SET, FLUSHALL, EVAL, CLIENT PAUSE, CONFIG SET"
