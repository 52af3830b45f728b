#!/bin/bash
# attack_test.sh - runbooks that try to change the world where they may only look, to
# reach past the gate, to make the dry run lie, or to tell a secret
#
# An attack is a row: a name, the words that must stop it, and the fields of a step. It is
# tried in a dry run, and where it is no remedy in a real run, too. Afterwards the
# *servers* are asked: a logical dump and the next transaction id of PostgreSQL, DEBUG
# DIGEST of Redis, the hashes of all files, and what the HTTP server changed.
# `tests/attack_test.sh TEXT` tries only the rows with that text in their name.
set -u
only=${1:-}
. "$(dirname "$0")/lib.sh"
for need in jq psql pg_dump redis-cli; do
  command -v $need >/dev/null || { skip "attacks" "needs $need"; exit 0; }
done
sandbox_up
token='Tok3n  with/"odd+bytes&=%41 inside'
export ATTACK_TOKEN=$token
sed -i 's|programs = {|programs = { "touch", "true", "redis-cli", "mkdir", "sleep",|
        s|settings = {|settings = { token = secret "ATTACK_TOKEN",|' "$RUNBOOK_CONFIG"
dir=$SANDBOX_DIR/attack
mkdir -p "$dir"; echo kept > "$dir/kept"
admin="redis-cli -p $SANDBOX_REDIS_PORT --user sandbox_admin --pass $SANDBOX_REDIS_ADMIN_PASSWORD --no-auth-warning"
sql() { psql "$SANDBOX_PG_URL" -Atqc "$1"; }
asadmin() { psql "$SANDBOX_PG_ADMIN_URL" -Atqc "$1"; }

# what an owner may have lying about: each takes a lock that no ROLLBACK takes back
sql "CREATE TABLE victims (id int PRIMARY KEY, name text);
  INSERT INTO victims SELECT n, 'v' || n FROM generate_series(1, 5) n;
  CREATE TABLE secrets (v text);
  CREATE FUNCTION lockit(a text) RETURNS boolean VOLATILE LANGUAGE sql AS 'SELECT pg_advisory_lock(4201) IS NOT NULL';
  CREATE FUNCTION lockop(a text, b text) RETURNS boolean VOLATILE LANGUAGE sql AS 'SELECT pg_advisory_lock(4202) IS NOT NULL';
  CREATE OPERATOR ### (PROCEDURE = lockop, LEFTARG = text, RIGHTARG = text);
  CREATE FUNCTION lockrow(victims) RETURNS boolean VOLATILE LANGUAGE sql AS 'SELECT pg_advisory_lock(4203) IS NOT NULL';
  CREATE VIEW lockview AS SELECT pg_advisory_lock(4204) IS NOT NULL AS x, 1 AS id;
  CREATE VIEW overview AS SELECT * FROM lockview;
  GRANT ALL ON victims, secrets, lockview, overview TO PUBLIC" 2>/dev/null
psql "$SANDBOX_PG_URL" -q -v s="$token" <<<"INSERT INTO secrets VALUES (:'s')"
$admin set victim alive >/dev/null; $admin rpush victims a b c >/dev/null
server=$(curl -s "$SANDBOX_HTTP_URL/health" | jq .pid)

world() {  # everything that an attack could change; hint bits and caches are not
  pg_dump "$SANDBOX_PG_URL" 2>&1 | grep -v -e '^\\restrict' -e '^\\unrestrict' | sha256sum
  asadmin "SELECT pg_snapshot_xmax(pg_current_snapshot())"
  asadmin "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
  $admin debug digest
  find "$dir" "$SANDBOX_DOTENV" "$SANDBOX_BACKUPS" -printf '%p %m %s %l\n' | sort
  find "$dir" "$SANDBOX_DOTENV" -type f -exec sha256sum {} + | sort
  curl -s "$SANDBOX_HTTP_URL/health" | jq .pid
}

# FIELDS of one step, with erp, dir and what they need
book() {
  cat > "$tmp/t.lua" <<END
local erp = system "school_erp"
local dir = "$dir"
local saved, mt = nil, {}
${2:-}
return runbook { title = "Attack", system = "school_erp", ${3:-}
  $1 }
END
}
said() { jq -r '[.error.message // empty, (.steps[]? | .reason // empty, (.effects[]? | .reason // empty))] | join(" | ")' <<<"$out" 2>/dev/null; }
stepsof() { jq -r '[.steps[] | .status + (if .verify then "/" + .verify else "" end)] | join(" ")' <<<"$out"; }
bounded() { out=$(timeout -k 2 30 "$runbook" run "$tmp/t.lua" --json "$@" 2>"$tmp/stderr" </dev/null); rc=$?; err=$(cat "$tmp/stderr"); }

before=$(world)
untouched() { local now; now=$(world)
  if [ "$now" = "$before" ]; then pass "$1: nothing has changed"
  else fail "$1: something has changed" "$(diff <(echo "$before") <(echo "$now"))"; before=$now; fi; }

# attack NAME WORDS FIELD BODY [PRELUDE]: in every way in which nothing may change
wanted() { case "$1" in *"$only"*) true;; *) false;; esac; }
attack() {
  wanted "$1" || return 0
  local mode modes=(--dry-run)
  [ "$3" = remedy ] || modes=(--dry-run '')
  book "step \"S\" { $3 = function (run) $4 end, $([ "$3" != when ] || echo 'probe = print') }" "${5:-}"
  for mode in "${modes[@]}"; do
    bounded $mode
    if [ -z "$2" ]; then pass "$1 ${mode:-real}: tried"
    else has "$1 ${mode:-real}: stopped" "$(said) $err" "$2"; fi
  done
  untouched "$1"
}

# -- a remedy where one may only look -----------------------------------------------
while IFS='|' read -r name call; do
  for field in probe verify when notify; do
    attack "$name in $field" "may only" "$field" "$call"
  done
  attack "$name behind pcall" "" probe "pcall(function () $call end) xpcall(function () $call end, print) run:try(function () local ok = pcall(function () $call end) end)"
  attack "$name in run:each" "may only" probe "run:each({ 1, 2 }, function () $call end)"
  attack "$name while sorting" "" remedy "pcall(table.sort, { 1, 2 }, function () $call return false end) ;(\"x\"):gsub(\"x\", function () pcall(function () $call end) end)"
  attack "$name in __close" "may only" probe "local x <close> = setmetatable({}, { __close = function () $call end })"
  attack "$name when a stopped step is closed" "" remedy "local x <close> = setmetatable({}, { __close = function () pcall(function () $call end) $call end })
    local a <close> = setmetatable({}, { __close = function () for i = 1, 9 do pcall(function () $call end) end end })
    return (erp.http:post(\"/never\", { json = {} })).status"
  attack "$name in a metamethod that C calls" "" probe "local t = setmetatable({}, { __tostring = function () $call return '' end, __index = function () $call end,
    __len = function () $call return 1 end, __lt = function () $call end, __concat = function () $call end, __pairs = function () $call end, __name = 'x' })
    local f = { tostring, function (v) return #v end, pairs, function (v) return v < v end, function (v) return v .. v end, function (v) return string.format('%s', v) end,
      function (v) run:note(v) end, function (v) run:finding('x', v) end, function (v) erp.redis:get(v) end, function (v) erp.http:get('/health', { query = v }) end,
      function (v) erp.pg:query('SELECT :a', v) end, function (v) table.concat(v) end, function (v) error(v) end, function (v) file.read(v) end, function (v) exec.probe(v) end }
    for _, g in ipairs(f) do pcall(g, t) end"
  attack "$name as the error's own words" "" probe "error(setmetatable({}, { __tostring = function () $call return 'x' end, __index = function () $call end }))"
done <<'END'
redis.set|erp.redis:set('victim', 'dead')
pg.exec|erp.pg:exec('DELETE FROM victims')
file.write|file.write(dir .. '/kept', 'gone')
exec.run|exec.run { 'touch', dir .. '/made' }
http.post|erp.http:post('/health', { json = {} })
dotenv.set|erp.dotenv:set('ATTACK', '1')
service.stop|erp.service:stop()
END

# each remedy and notice that a module registers, so that a new one needs no row
all=$("$runbook" help --primitives | awk -F '[`({ ]+' '/^### `/ { name = $2 } /^\*(remedy|notice)\*/ { print name }')
{ echo 'local erp = system "school_erp"'
  echo 'return runbook { title = "All", system = "school_erp", step "All" { probe = function (run)'
  echo 'local function try (verb, fn) local ok, why = pcall(fn) run:finding(verb, ok and "came through" or tostring(why)) end'
  for verb in $all; do
    case $verb in *:*) call="erp.$verb()";; *) call="$verb()";; esac
    echo "try('$verb', function () $call end)"
  done
  echo 'end } }'; } >"$tmp/all.lua"
for mode in --dry-run ''; do
  rb run "$tmp/all.lua" --json $mode
  is "every one of the $(wc -w <<<"$all") that there are, in a probe ${mode:-real}" \
    "$(jq -r '[.findings[] | select(.value | contains("may only")) | .name] | join(" ")' <<<"$out")" \
    "$(xargs <<<"$all")"
done
untouched "every one in a probe"

# -- outside of the steps -------------------------------------------------------------
outside() {  # NAME WORDS STEP PRELUDE HEADER
  wanted "$1" || return 0
  local mode
  book "$3" "${4:-}" "${5:-}"
  for mode in --dry-run ''; do bounded $mode; [ -z "$2" ] || has "$1 ${mode:-real}: stopped" "$(said) $err $out" "$2"; done
  "$runbook" show "$tmp/t.lua" >/dev/null 2>&1 </dev/null
  "$runbook" check "$tmp/t.lua" >/dev/null 2>&1 </dev/null
  untouched "$1"
}
plain='step "S" { probe = function () end }'
outside "while loading" "while the file is being loaded" "$plain" "erp.redis:set('victim', 'dead')"
outside "while loading, behind pcall" "" "$plain" "pcall(erp.redis.set, erp.redis, 'victim', 'dead') pcall(file.write, dir .. '/kept', 'gone') pcall(exec.run, { 'touch', dir .. '/made' })"
printf 'file.write("%s/kept", "gone") return {}\n' "$dir" > "$tmp/evil.lua"
outside "in a required file" "while the file is being loaded" "$plain" 'require "evil"'
attack "in a file required by a step" "cannot be used here" remedy 'require "evil"'
attack "in code loaded by a probe" "may only" probe "load([[file.write('$dir/kept', 'gone')]])()"
outside "in a title" "" "step(function () erp.redis:set('victim', 'dead') file.write(dir .. '/kept', 'gone') return 'x' end) { id = 's', probe = function () end }"
outside "in a lock" "" "$plain" "" "lock = function () erp.redis:del('victim') return 'x' end,"
outside "in irreversible and manual" "" "step 'S' { manual = function () erp.redis:del('victim') return 'x' end, irreversible = function () erp.pg:exec('DELETE FROM victims') end, probe = function () end }"
outside "bytecode" "" "$plain" 'assert(not load("\27Lua")) assert(not string.dump)'

# -- reaching past the gate --------------------------------------------------------------
attack "a method on another's resource" "call it with a colon" remedy 'erp.redis.del(erp.pg, "victim")'
attack "a method on a table" "call it with a colon" remedy 'erp.redis.del({ r = "school_erp.redis" }, "victim")'
attack "a method on a forged type" "call it with a colon" remedy 'erp.redis.del(setmetatable({}, { __name = "rb.resource", __index = erp.redis }), "victim")'
attack "metatables are shut" "" probe 'assert(not getmetatable(erp.redis) and not getmetatable(erp) and not getmetatable("") and not getmetatable(run))
  assert(not pcall(setmetatable, erp, {})) assert(not pcall(setmetatable, {}, { __gc = print })) assert(not pcall(rawset, erp.redis, "get", 1))'
attack "what a script does not have" "" probe 'for _, n in ipairs { "os", "io", "debug", "package", "coroutine", "dofile", "loadfile", "collectgarbage" } do assert(rawget(_G, n) == nil, n) end'
attack "replaced globals are only the script's" "may only" probe "erp.redis:set('victim', 'dead')" \
  'string.format = function () return "GET" end  table.sort = print  tostring = function () return "probe" end  error = print  type = function () return "function" end  pairs = ipairs'
attack "a stop that is swallowed" "needs the outcome of" remedy "
  local ok = pcall(function () return (erp.http:post('/never', { json = {} })).status end)
  while true do pcall(erp.redis.set, erp.redis, 'victim', 'dead') file.write(dir .. '/kept', 'gone') end"
attack "a stop that is swallowed by sort" "needs what a person answers" remedy "
  pcall(table.sort, { 1, 2 }, function () pcall(function () return run.answers.x end) return false end)
  exec.run { 'touch', dir .. '/made' }"
attack "the transaction of another time" "" remedy "erp.pg:transaction(function (tx) saved = tx end) saved:exec('DELETE FROM victims')"
attack "another system inside of a transaction" "only its own primitives" remedy "erp.pg:transaction(function (tx) erp.redis:del('victim') end)"

# -- a script that will not end -------------------------------------------------------------
ends() {  # NAME: the process ends by itself, well before it is killed
  bounded "${@:2}"; if [ $rc -lt 124 ]; then pass "$1: it ends (exit $rc)"; else fail "$1: it ends" "exit $rc"; fi; untouched "$1"; }
loop='while true do pcall(function () while true do end end) end'
book "step 'S' { remedy = function () local x <close> = setmetatable({}, { __close = function () $loop end }) return (erp.http:post('/never')).status end }"
ends "a __close that never ends" --dry-run
book "step 'S' { probe = function () error(setmetatable({}, { __tostring = function () $loop end })) end }"
ends "an error that never says what it is" --dry-run
book "step(function () $loop end) { id = 's', probe = function () end }"
ends "a title that never ends" --dry-run
book "step '{x}' { probe = function () end }" "" "params = { x = { 'string', default = 'x' } },"
book "step 'S' { probe = function (run) run.x = setmetatable({}, { __tostring = function () $loop end }) end }, step '{x}' { probe = function () end }"
ends "a field that never becomes text" --dry-run
book "step 'S' { probe = function () error(setmetatable({}, { __tostring = function () error 'no' end, __index = function () error 'no' end })) end }, step 'T' { probe = function () end }"
bounded --dry-run; is "an error that cannot say what it is fails its step only" "$(stepsof)" "failed done"

# -- SQL ---------------------------------------------------------------------------------------
# statements that are not for a probe are rows of tests/guard_test.sh; so are Redis's commands
# a count runs with the remedy's role: nothing that it reads may do more than look
while IFS= read -r where; do
  attack "a preview counts WHERE $where" "may do more than look" remedy "erp.pg:exec([[DELETE FROM victims WHERE $where]])"
done <<'END'
lockit(name)
name ### name
(victims).lockrow
victims.lockrow
id IN (SELECT id FROM lockview WHERE x)
id IN (SELECT id FROM overview WHERE x)
id = ANY (SELECT id FROM victims WHERE name ### 'a')
END
attack "... inside of a transaction, too" "may do more than look" remedy 'erp.pg:transaction(function (tx) tx:exec("DELETE FROM victims WHERE name ### name") end)'

# -- Redis, HTTP, commands, files -----------------------------------------------------------------
attack "a command that writes" "" probe "exec.probe { 'touch', dir .. '/made' } exec.probe { 'mkdir', dir .. '/made' } exec.probe { 'sh', '-c', 'echo x > ' .. dir .. '/kept; chmod 777 ' .. dir .. '/kept; ln -s x ' .. dir .. '/l; kill -9 ' .. '$server' }"
attack "a command that outlives its probe" "" probe "exec.probe { 'sh', '-c', '(setsid sleep 1; touch ' .. dir .. '/late) >/dev/null 2>&1 &' } exec.probe { 'sleep', '1.5' }"
attack "a command that says it may talk to a daemon" "allow.delegates" probe "exec.probe { 'redis-cli', '-p', '$SANDBOX_REDIS_PORT', '--user', 'sandbox_admin', '--pass', '$SANDBOX_REDIS_ADMIN_PASSWORD', 'del', 'victim', delegates = 'redis' }"
attack "... and one that does not say so" "" probe "exec.probe { 'redis-cli', '-p', '$SANDBOX_REDIS_PORT', '--user', 'sandbox_admin', '--pass', '$SANDBOX_REDIS_ADMIN_PASSWORD', 'del', 'victim' }"
ln -sfn /etc "$dir/etc"; mkfifo "$dir/fifo"; before=$(world)
attack "a file outside, through a link" "not in a folder" remedy 'file.write(dir .. "/etc/attack", "x")'
attack "a file outside, through .." "not in a folder" remedy 'file.write(dir .. "/../../../../../../etc/attack", "x")'
attack "a file of another process" "not a place for files" remedy 'file.write("/proc/self/cwd/../../etc/attack", "x")'
attack "a FIFO is not waited for" "fifo" probe 'file.read(dir .. "/fifo")'

# -- the dry run must not lie -----------------------------------------------------------------------
# lies NAME EXPECTED STEPS [PRELUDE]: statuses of the steps, each with its verification
lies() { wanted "$1" || return 0; book "$3" "${4:-}"; bounded --dry-run; is "$1" "$(stepsof)" "$2"; untouched "$1"; }
post='remedy = function () erp.http:post("/x", { json = {} }) end'
while IFS= read -r use; do
  lies "a pending result in: $use" deferred "step 'S' { remedy = function (run) local function f () return erp.http:post('/x', { json = {} }) end
    $use  file.write(dir .. '/kept', 'reached') end }"
  ! wanted "$use" || hasnot "... reaches nobody" "$(jq -r '[.steps[].effects[]?.verb] | join(" ")' <<<"$out")" "file.write"
done <<'END'
local r = f() if r then end
if f() then end
local ok, r = pcall(f)
local n = select('#', f())
local t = { f() }
local t = { (f()) }
local s = 'x' .. tostring(f())
(function (...) end)(f())
for _ in f do end
local r = run:try(f)
local l = run:each({ 1 }, f)
run.x = f()
do return f() end
assert(f())
local ok, r = xpcall(f, print)
local r = setmetatable({}, { __index = f }).x
END
lies "an absent value verifies nothing" "failed/failed" 'step "S" { verify = function () return erp.redis:get "nothing:there" end }'
lies "a command looks anywhere: after redis" "planned/deferred" 'step "S" { remedy = function () erp.redis:set("k", "v") end, verify = function () return exec.probe { "true" }.code == 0 end }'
lies "... after a file" "planned/deferred" 'step "S" { remedy = function () file.write(dir .. "/new", "x") end, verify = function () return exec.probe { "sh", "-c", "test ! -e " .. dir .. "/new" }.code == 0 end }'
lies "a file after what may write any" "planned/deferred" "step 'S' { $post, verify = function () return file.stat(dir .. '/new') == nil end }"
lies "a planned key does not outlive FLUSHDB" "planned planned/deferred" 'step "S" { remedy = function () erp.redis:set("k", "v") end }, step "T" { remedy = function () erp.redis:command "FLUSHDB" end, verify = function () return erp.redis:get "k" == "v" end }'
lies "a planned file does not outlive a command" "planned planned/deferred" 'step "S" { remedy = function () file.write(dir .. "/new", "x") end }, step "T" { remedy = function () exec.run { "true" } end, verify = function () return file.read(dir .. "/new") == "x" end }'
lies "... one planned after it does" "planned planned/passed" 'step "S" { remedy = function () exec.run { "true" } end }, step "T" { remedy = function () file.write(dir .. "/new", "x") end, verify = function () return file.read(dir .. "/new") == "x" end }'
lies "nothing to do, as of now, is no plan" "planned deferred" 'step "S" { remedy = function () erp.redis:command "FLUSHDB" end }, step "T" { remedy = function () erp.redis:set("victim", "alive", { keepttl = true }) end }'
lies "the rest of a deferred remedy is unknown" "deferred done/deferred" 'step "S" { remedy = function (run) local a = run.answers.x erp.redis:set("job", a) end }, step "T" { verify = function () return erp.redis:get "job" == nil end }'
lies "... and of a step whose when is" "deferred done/deferred" 'step "S" { when = function (run) return run.answers.x end, remedy = function (run) erp.redis:set("job", "1") end }, step "T" { verify = function () return erp.redis:get "job" == nil end }'
lies "... and a case that is undecided" "deferred done/deferred" 'case "c" { title = "C", when = function (run) return run.answers.x end, step "X" { remedy = function () erp.redis:set("job", "1") end } },
  step "T" { verify = function () return erp.redis:get "job" == nil end }'
lies "a field carries what it rests on" "planned done done/deferred" "step 'S' { $post }, step 'P' { probe = function (run) run.h = erp.http:get('/health').status end }, step 'V' { verify = function (run) return run.h == 200 end }"
lies "what a step that fails would have set is not known" "failed deferred" 'step "S" { probe = function (run) run:fail("no") end }, step "T" { remedy = function (run) erp.redis:set("job", run.x) end }'
lies "... nor one that would be refused" "refused deferred" 'step "S" { remedy = function (run) run.x = erp.pg:exec("UPDATE public.nowhere SET a = 1").rows end }, step "T" { probe = function (run) return run.x end }'
lies "... but where the run goes on it is a mistake" "failed failed" 'step "S" { on_failure = "continue", probe = function (run) run:fail("no") end }, step "T" { probe = function (run) return run.x end }'
lies "a manual step has not happened" "manual/deferred" 'step "S" { manual = "turn the key", verify = function () return true end }'
echo '{ "s": "done" }' > "$tmp/answers.json"
book 'step "S" { manual = "turn the key" }, step "T" { probe = function (run) run:finding("x", run.answers.s) end }, step "U" { probe = function (run) run:finding("y", run.answers.other) end }'
bounded --dry-run --answers "$tmp/answers.json"
is "an answer is there in a dry run, another is waited for" "$(jq -r '.findings[0].value' <<<"$out") $(stepsof)" "done manual done deferred"

# -- done as it was shown, and recorded as it was done ---------------------------------------------------
book 'step "S" { remedy = function (run) exec.run(setmetatable({}, { __len = function () return 2 end, __index = function (_, k)
  if k == 1 then return "touch" end saved = (saved or 0) + 1 return dir .. (saved == 1 and "/shown" or "/done") end })) end }'
bounded; has "a command that is another each time" "$(said)" "metatable of the script"; untouched "a command that is another each time"
book 'step "S" { remedy = function (run) local argv = { "touch", dir .. "/shown" }
  run:each({ 1, 2 }, function (i) if i == 1 then exec.run(argv) else argv[2] = dir .. "/done" end end) end }'
bounded; is "a table that another branch changes: what was shown is done" "$(cd "$dir" && ls shown done 2>/dev/null | xargs) $(jq -r '.steps[0].effects[0].summary' <<<"$out")" "shown run touch $dir/shown"
rm -f "$dir/shown"
book 'step "S" { remedy = function () exec.run { "sh", "-c", "touch " .. dir .. "/big; head -c 16777000 /dev/zero; head -c 16777000 /dev/zero >&2" } end }'
bounded; is "a deed whose result is too large was done" "$(jq -r '.steps[0].effects[0].outcome' <<<"$out")" done
has "... and says so" "$(said)" "it was done"
rm -f "$dir/big"
book 'step "S" { retry = { times = 3, every = "10ms" }, remedy = function () exec.run { "sh", "-c", "echo x >> " .. dir .. "/twice; exit 1" } end }'
bounded; is "a failed command is done in part, and not repeated" "$rc $(wc -l < "$dir/twice")" "1 1"; rm -f "$dir/twice"

# -- secrets -----------------------------------------------------------------------------------------------
quiet() {  # WHAT TEXT: six bytes of the token in a row are a leak (five may stand)
  local part leaks='' i
  for part in "Tok3n  w" "Tok3n wi" 'with/"od' 'with/\"od' 'odd+byte' '&=%41 in' 'Tok3n%20' '%2F%22odd' 'VG9rM24gIHdpdG'; do
    case "$2" in *"$part"*) leaks="$leaks $part";; esac; done
  is "$1 tells nothing" "$leaks" ""; }
book 'step "S" { probe = function (run) local s = erp.pg:value "SELECT v FROM secrets"
    run:note(s) run:note("%s", s) run:finding("f", s) run:finding("t", { [s] = { s } }) run:evidence("e", s)
    for pad = 60, 130 do erp.redis:get(("x"):rep(pad) .. s) end
    for pad = 440, 520 do pcall(function () erp.http:get("/" .. ("x"):rep(pad) .. "/{s}", { path = { s = s }, query = { q = s } }) end) end
    pcall(function () erp.pg:query("SELECT nothing -- " .. s) end) exec.probe { "true", s }
    for pad = 980, 1024 do run:try(function () run:fail(("x"):rep(pad) .. s) end) end end },
  step "T" { remedy = function (run) local s, t = erp.pg:value "SELECT v FROM secrets", erp.settings.token
    erp.redis:set("k", ("z"):rep(40) .. s) erp.redis:set("k2", t) erp.http:post("/x", { json = { s, a = t }, headers = { ["X-A"] = "Basic " .. s } })
    erp.http:post("/x", { form = { s = t } }) file.write(dir .. "/secret", ("w"):rep(70) .. s) exec.run { "true", s, t } erp.dotenv:set("A", s) end },
  step "U" { probe = function (run) run:fail(("x"):rep(1000) .. erp.pg:value "SELECT v FROM secrets") end }'
sed -i 's/{ s, a = t }/{ b = s, a = t }/' "$tmp/t.lua"
bounded --dry-run; is "secrets: it ran" "$(stepsof)" "done planned failed"
quiet "--json" "$out"; quiet "standard error" "$err"
out=$("$runbook" run "$tmp/t.lua" --dry-run 2>&1 </dev/null); quiet "the screen" "$out"
quiet "history" "$("$runbook" history --json 2>&1)"
quiet "the tape" "$(cat "$XDG_STATE_HOME"/runbook/tape.db* | tr -d '\0')"
quiet "doctor" "$("$runbook" doctor 2>&1)"
book 'step "S" { probe = function (run) run:finding("x", run.pin == nil) error(run.pin) end }' "" 'params = { pin = { "secret", required = true } },'
bounded --dry-run pin="$token"; quiet "a secret parameter" "$out$err"
untouched "secrets"
