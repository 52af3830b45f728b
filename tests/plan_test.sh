#!/usr/bin/env bash
# Plans that are kept: what is in them, what apply holds to, and where it stops.
. "$(dirname "$0")/lib.sh"
sandbox_up
cd "$tmp" || exit 1
t() { printf '%s\n' "$1" > "$tmp/t.lua"; }
j() { jq -r "$1" <<<"$out"; }
redis() { redis-cli --no-auth-warning -u "$SANDBOX_REDIS_URL" "$@"; }
plan() { rm -f "$tmp/plan.json"; rb plan "$tmp/t.lua" -o "$tmp/plan.json" --json "$@"; }
message() { jq -r '.error.message' <<<"$out"; }

# -- the file ----------------------------------------------------------------------
t 'local r = system "school_erp".redis
return runbook { title = "Two keys", system = "school_erp",
  params = { who = { "string", default = "x" } },
  step "First" { remedy = function (run) r:set("plan:a", run.who) end },
  step "Second" { remedy = function () r:set("plan:b", "2") end,
    verify = function () return r:get("plan:b") == "2" end } }'
plan who=kim
is "a plan is a dry run" "$rc $(j .mode) $(j .status)" "0 dry-run planned"
is "that changes nothing" "$(redis exists plan:a plan:b)" 0
is "its file is for its owner alone" "$(stat -c %a "$tmp/plan.json")" 600
is "and says what it is of" "$(jq -c '[.plan.format, .plan.words, .target, (.plan.files | length), (.plan.checksum | length)]' "$tmp/plan.json")" '[1,["who=kim"],"local",1,71]'
is "its digest is the dry run's" "$(jq -r .digest "$tmp/plan.json")" "$(j .digest)"
has "the server is named" "$(jq -r '.plan.identity["school_erp.redis"]' "$tmp/plan.json")" "redis"
d=$(j .digest)
rb run "$tmp/t.lua" who=kim --dry-run --json
is "twice the same world, twice the same digest" "$(j .digest)" "$d"
rb run "$tmp/t.lua" who=ada --dry-run --json
refuses "other parameters, another digest" test "$(j .digest)" = "$d"
echo "my notes" > "$tmp/notes"
rb plan "$tmp/t.lua" -o "$tmp/notes" --json
is "a file that is no plan is left alone" "$rc $(cat "$tmp/notes")" "2 my notes"
ln -s "$tmp/plan.json" "$tmp/link"
rb plan "$tmp/t.lua" -o "$tmp/link" --json
is "nor is a link followed" "$rc $(test -L "$tmp/link" && echo link)" "2 link"
rb plan "$tmp/t.lua" --json
is "plan without -o is a mistake" "$rc" 2
rb run "$tmp/t.lua" -o "$tmp/x.json" --json
is "and so is -o of a real run" "$rc $(test -e "$tmp/x.json" || echo none)" "2 none"

# -- show ----------------------------------------------------------------------------
rb plan "$tmp/t.lua" who=kim -o "$tmp/told.json"
has "a plan says how it is applied" "$out" "To do it: runbook apply $tmp/told.json"
rb show "$tmp/plan.json"
has "a plan is shown as text" "$out" "plan:a"
rb show "$tmp/plan.json" --markdown
has "as Markdown" "$out" "# Two keys"
has "with the value that it would set" "$out" "kim"
rb show "$tmp/plan.json" --html
has "and as HTML" "$out" "<html"
rb show "$tmp/plan.json" --json
is "its JSON is the file" "$(j .plan.checksum)" "$(jq -r .plan.checksum "$tmp/plan.json")"

# -- apply --------------------------------------------------------------------------------
rb apply "$tmp/plan.json" who=ada --json
is "parameters are the plan's" "$rc $(redis exists plan:a)" "2 0"
rb apply "$tmp/plan.json" --json
is "apply does what was planned" "$rc $(j .mode) $(j .status) $(redis get plan:a) $(redis get plan:b)" "0 apply done kim 2"
is "under the plan's digest" "$(j .digest)" "$d"
rb apply "$tmp/plan.json" --json
is "a plan is applied once" "$rc $(j .error.kind)" "4 plan"
has "and says by whom it was" "$(message)" "was applied already, by $(id -un)"
rb apply "$tmp/plan.json"
hasnot "and is not gone on with" "$out$err" "runbook resume"
redis del plan:a plan:b >/dev/null
rb apply "$tmp/plan.json" --json
is "also when the world is as it was" "$rc $(redis exists plan:a)" "4 0"

plan
redis set plan:b other >/dev/null
rb apply "$tmp/plan.json" --json
is "a before-value that has drifted stops it there" "$rc $(redis get plan:a) $(redis get plan:b)" "4 x other"
has "with what was expected and what was seen" "$(message)" 'expected to find nothing and found "other"'
is "the effect says so, too" "$(j '.steps[1].effects[-1].outcome')" failed
redis del plan:a plan:b >/dev/null
plan
redis set plan:b 2 >/dev/null
rb apply "$tmp/plan.json" --json
is "already so is not as planned either" "$rc $(redis get plan:b)" "4 2"
redis del plan:a plan:b >/dev/null
plan
redis set plan:a x ex 1000 >/dev/null
rb apply "$tmp/plan.json" --json
is "nothing of it is done when the first has drifted" "$rc $(redis exists plan:b)" "4 0"
redis del plan:a plan:b >/dev/null

# -- script, file, server --------------------------------------------------------------------
plan
sed -i 's/"2")/"3")/' "$tmp/t.lua"
rb apply "$tmp/plan.json" --json
is "an edited script does not apply" "$rc $(redis exists plan:a)" "4 0"
has "and is named" "$(message)" "$tmp/t.lua was edited"
sed -i 's/"3")/"2")/' "$tmp/t.lua"
jq '.steps[0].effects[0].summary = "SET plan:a to something harmless"' "$tmp/plan.json" > "$tmp/edited.json"
rb apply "$tmp/edited.json" --json
is "an edited plan is noticed" "$rc $(j .error.kind) $(redis exists plan:a)" "4 plan 0"
rb show "$tmp/edited.json"
is "by who reads it, too" "$rc" 4
head -c 300 "$tmp/plan.json" > "$tmp/half.json"
rb apply "$tmp/half.json" --json
is "half a plan is no plan" "$rc $(j .error.kind)" "2 plan"
rb apply "$tmp/t.lua" --json
is "nor is a script" "$rc" 2
rb apply "$tmp/nothing.json" --json
is "nor is nothing" "$rc" 2
cp "$tmp/t.lua" "$tmp/whole.lua"
printf 'return { key = "plan:a" }\n' > "$tmp/part.lua"
t 'local part = require "part"
local r = system "school_erp".redis
return runbook { title = "t", system = "school_erp",
  step "A" { remedy = function () r:set(part.key, "1") end } }'
plan
printf 'return { key = "plan:b" }\n' > "$tmp/part.lua"
rb apply "$tmp/plan.json" --json
is "nor does a script with an edited part" "$rc $(redis exists plan:a plan:b)" "4 0"
has "which is named, too" "$(message)" "$tmp/part.lua was edited"
rm "$tmp/part.lua"
rb apply "$tmp/plan.json" --json
is "or without it" "$rc $(redis exists plan:a)" "4 0"
cp "$tmp/whole.lua" "$tmp/t.lua"
plan
mkdir "$tmp/other"
redis-server --port 0 --unixsocket "$tmp/other/s" --dir "$tmp/other" --save "" --daemonize yes --pidfile "$tmp/other/pid" >/dev/null
port=$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
until redis-cli -s "$tmp/other/s" ping >/dev/null 2>&1; do sleep 0.1; done
redis-cli -s "$tmp/other/s" config set port "$port" >/dev/null
sed "s#redis://[^\"]*#redis://127.0.0.1:$port/0#" "$RUNBOOK_CONFIG" > "$tmp/other.config.lua"
rb apply "$tmp/plan.json" --config "$tmp/other.config.lua" --json
is "another server under the same name does not" "$rc" 4
has "and is named" "$(message)" "school_erp.redis is another one"
is "nothing was changed there" "$(redis-cli -p "$port" dbsize)" 0
redis-cli -p "$port" shutdown nosave >/dev/null 2>&1

# -- what was planned, and nothing else ----------------------------------------------------------
t 'local r = system "school_erp".redis
return runbook { title = "t", system = "school_erp",
  step "Look" { probe = function (run) run.n = r:get("plan:n") or "0" end },
  step "Act" {
    remedy = function (run)
      if run.n == "1" then r:set("plan:extra", "1") end
      if run.n ~= "2" then r:set("plan:first", "1") end
      if run.n == "3" then r:set("plan:second", "other") else r:set("plan:second", "1") end
      if run.n ~= "4" then r:set("plan:last", "1") end
    end } }'
for n in 1 2 3 4; do
  redis del plan:n plan:extra plan:first plan:second plan:last >/dev/null
  plan
  redis set plan:n $n >/dev/null
  rb apply "$tmp/plan.json" --json
  case $n in
    1) is "a remedy that is not in the plan is not done" "$rc $(redis exists plan:extra plan:first)" "4 0"
       has "and shown beside the one that is" "$(message)" "planned was redis.set on school_erp.redis";;
    2) is "nor what comes in its place" "$rc $(redis exists plan:first plan:second)" "4 0";;
    3) is "nor other arguments" "$rc $(redis get plan:first) $(redis exists plan:second)" "4 1 0"
       has "which are named" "$(message)" "other arguments";;
    4) is "one that does not come is missed" "$rc $(redis get plan:second) $(j '.steps[1].status')" "4 1 failed"
       has "by name" "$(message)" "planned, and not met with: redis.set";;
  esac
done
redis del plan:n plan:extra plan:first plan:second plan:last >/dev/null
t 'local r = system "school_erp".redis
return runbook { title = "t", system = "school_erp",
  step "Act" { when = function () return not r:get("plan:n") end, remedy = function () r:set("plan:a", "1") end },
  step "Each" { remedy = function (run)
    run:each({ "x", "y", "z" }, { limit = 3 }, function (k) r:get("plan:" .. k) r:set("plan:" .. k, "1") end) end } }'
plan
redis set plan:n 1 >/dev/null
rb apply "$tmp/plan.json" --json
is "a step that is skipped now is missed" "$rc $(redis exists plan:x)" "4 0"
redis del plan:n >/dev/null
rb apply "$tmp/plan.json" --json
is "branches that run side by side are each held to the plan" "$rc $(redis mget plan:a plan:x plan:y plan:z | tr '\n' ' ')" "0 1 1 1 1 "
redis del plan:a plan:x plan:y plan:z >/dev/null
plan
locks=$(dirname "$(find "$XDG_STATE_HOME" "$HOME" -name tape.db 2>/dev/null | head -1)")/locks
lock=$locks/plan:$(jq -r .run "$tmp/plan.json")
mkdir -p "$locks"
exec 9>"$lock"; flock 9
rb apply "$tmp/plan.json" --json
is "a plan that is being applied is not applied a second time meanwhile" "$rc $(redis exists plan:a plan:x)" "5 0"
exec 9>&-
t 'local r = system "school_erp".redis
return runbook { title = "t", system = "school_erp",
  step "Act" { remedy = function (run)
    pcall(function () r:set("plan:a", "1") end)
    run:try(function () r:set("plan:b", "1") end) end } }'
plan
redis set plan:a 2 >/dev/null
rb apply "$tmp/plan.json" --json
is "no pcall goes on after a drift" "$rc $(redis get plan:a) $(redis exists plan:b)" "4 2 0"
redis del plan:a >/dev/null

# -- what belongs to one run only -------------------------------------------------------------------
t 'local r = system "school_erp".redis
return runbook { title = "t", system = "school_erp",
  params = { pin = { "secret", required = true } },
  step "Act" { remedy = function (run)
    r:set("plan:when", time.format(time.now()) .. " in " .. run.id)
    r:set("plan:at", tostring(time.add(time.now(), "1h")))
    r:set("plan:pin", run.pin) end } }'
plan pin=open-sesame
is "a secret is in the plan by name only" "$(grep -c open-sesame "$tmp/plan.json") $(jq -c .plan.secrets "$tmp/plan.json")" '0 ["pin"]'
sleep 1.1
rb apply "$tmp/plan.json" --json
is "and asked for when it is applied" "$rc $(redis exists plan:pin)" "2 0"
rb apply "$tmp/plan.json" pin=open-sesame --json
is "the time and the run are others, and no drift" "$rc $(redis get plan:pin)" "0 open-sesame"
redis del plan:when plan:at plan:pin >/dev/null
t 'return runbook { title = "t", params = { remark = { "string", required = true }, pin = { "secret", required = true } },
  step "A" { probe = function () end } }'
plan remark="it is open-sesame" pin=open-sesame
is "a secret in another parameter is not written down" "$rc $(test -e "$tmp/plan.json" || echo none)" "1 none"

# -- deferred steps ------------------------------------------------------------------------------------
t 'local s = system "school_erp"
return runbook { title = "t", system = "school_erp",
  step "Make" { remedy = function (run) run.made = s.pg:exec("INSERT INTO greenwood_high.user_sessions (user_id, is_active) SELECT user_id, false FROM greenwood_high.user_sessions LIMIT 1 RETURNING id").returning[1].id end },
  step "Use" { remedy = function (run) s.redis:set("plan:made", tostring(run.made)) end } }'
plan
if [ "$rc" = 7 ]; then
  rb apply "$tmp/plan.json" --json
  is "a deferred step without a terminal stops for a person" "$rc $(j .status) $(redis exists plan:made)" "3 stopped 0"
  has "with what it would do" "$(message)" "it goes on with redis.set on school_erp.redis: SET plan:made"
  rb apply "$tmp/plan.json" --json
  has "a plan that was begun is gone on with" "$(message)" "was begun already"
  rb resume --json
  is "which asks again" "$rc $(redis exists plan:made)" "3 0"
  rb resume --allow-deferred --json
  is "--allow-deferred goes on" "$rc $(j .mode) $(redis exists plan:made)" "0 apply 1"
  redis del plan:made >/dev/null
  plan
  rb apply "$tmp/plan.json" --allow-deferred --json
  is "at once, too" "$rc $(redis exists plan:made)" "0 1"
  has "and says what that was" "$err" "step use was deferred in the plan"
else fail "a plan with deferred steps" "$rc" "$out" "$err"; fi
rb plan "$tmp/t.lua" -o "$tmp/plan.json"
has "what apply will do with them is said at once" "$err" "apply shows how it goes on and asks"

# -- refused ----------------------------------------------------------------------------------------------
t 'local r = system "school_erp".redis
return runbook { title = "t", system = "school_erp", limits = { redis_keys = 1 },
  step "A" { remedy = function () r:set("plan:a", "1") end },
  step "B" { remedy = function () r:set("plan:b", "1") end } }'
plan
is "a plan with a refused step is kept" "$rc $(jq -r .exit "$tmp/plan.json")" "1 1"
rb apply "$tmp/plan.json" --json
is "and not applied" "$rc $(redis exists plan:a)" "4 0"

# -- database ---------------------------------------------------------------------------------------------
t 'local p = system "school_erp".pg
return runbook { title = "t", system = "school_erp",
  step "Look" { probe = function (run) run.reason = p:value("SELECT current_setting($$search_path$$)") and "closed" end },
  step "A" { remedy = function (run) p:exec("UPDATE greenwood_high.user_sessions SET revoke_reason = :reason WHERE id = 1", run) end } }'
plan
sum=$(jq -r '.steps[1].effects[-1].asked.arguments' "$tmp/plan.json")
sed -i 's/"closed"/"other"/' "$tmp/t.lua"
plan
refuses "a value that comes from run is a part of the plan" test "$(jq -r '.steps[1].effects[-1].asked.arguments' "$tmp/plan.json")" = "$sum"

# -- chance --------------------------------------------------------------------------------
cat > "$tmp/c.lua" <<'LUA'
local s = system "school_erp"
return runbook { title = "Chance", system = "school_erp",
  step "draw" { remedy = function (run)
    s.redis:set("plan:first", tostring(random.integer(1, 1000000000)))
    run:wait_until("nothing", { every = "10ms", within = "1m" }, function () return s.redis:get("plan:none") == nil end)
    s.redis:set("plan:second", random.choice { "a", "b", "c", "d", "e", "f", "g", "h" } .. random.integer(1, 1000000))
  end } }
LUA
planned() { jq -r '[.steps[].effects[] | select(.kind == "remedy") | .after.value] | join(" ")' "$1"; }
rb plan "$tmp/c.lua" -o "$tmp/c.json"
rb plan "$tmp/c.lua" -o "$tmp/c2.json"
refuses "each plan draws its own values" test "$(planned "$tmp/c.json")" = "$(planned "$tmp/c2.json")"
rb apply "$tmp/c.json" --json --allow-deferred --yes
is "apply draws those of its plan" "$rc $(redis get plan:first) $(redis get plan:second | cut -c1)" \
  "0 $(planned "$tmp/c.json" | cut -d' ' -f1) $(planned "$tmp/c.json" | cut -d' ' -f2 | cut -c1)"
id=$(j .run)
rb replay "$id"
is "its replay, too" "$rc" 0
rb tape export "$id" -o "$tmp/c.tape"; rb replay "$tmp/c.tape"
is "and that of its export" "$rc" 0
rb undo "$id" --yes
is "it is taken back" "$rc $(redis exists plan:first plan:second)" "0 0"
jq '.plan.random = "x"' "$tmp/c2.json" > "$tmp/c3.json"
rb apply "$tmp/c3.json" --json
is "a plan whose chance was edited does not go on" "$rc $(redis exists plan:first)" "4 0"

# -- a key that is changed twice, with what may change anything between -----------------------------
t 'local r = system "school_erp".redis
return runbook { title = "Twice", system = "school_erp", step "Both" { remedy = function ()
  r:set("plan:twice", "1") r:command("EVAL", "return 1", 0) r:set("plan:twice", "2") end } }'
plan
rb apply "$tmp/plan.json" --json --yes
is "the plan has the second change as it is then" "$rc $(redis get plan:twice)" "0 2"
redis del plan:twice >/dev/null
t "$(sed 's/"return 1", 0/"redis.call([[set]], KEYS[1], [[else]])", 1, "plan:twice"/' "$tmp/t.lua")"
plan
rb apply "$tmp/plan.json" --json --yes
is "if it has changed the key, apply stops there" "$rc $(redis get plan:twice)" "4 else"
