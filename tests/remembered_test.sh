#!/usr/bin/env bash
# What a script remembers by itself: variables of the file, and tables inside `run`.
. "$(dirname "$0")/lib.sh"
sandbox_up
cd "$tmp" || exit 1
t() { printf '%s\n' "$1" > "$tmp/t.lua"; rb run "$tmp/t.lua" --dry-run --json; }
j() { jq -r "$1" <<<"$out"; }
statuses() { j '[.steps[] | .status + (if .verify then "/" + .verify else "" end)] | join(" ")'; }
make='step "Make" { remedy = function (run) s.pg:exec("UPDATE greenwood_high.user_sessions SET is_active = is_active WHERE false OR id > 0") end }'
insert='s.pg:exec("INSERT INTO greenwood_high.user_sessions (user_id) SELECT user_id FROM greenwood_high.user_sessions LIMIT 1 RETURNING id").returning[1].id'

t 'local s, id = system "school_erp"
return runbook { title = "t", system = "school_erp",
  step "Set" { remedy = function () id = '"$insert"' end },
  step "Use" { remedy = function () s.http:delete("/x/" .. tostring(id)) end } }'
is "a variable that a deferred step would set is not known" "$rc $(statuses)" "7 deferred deferred"
has "and is named" "$(j '.steps[1].reason')" "the variable id"
hasnot "no DELETE /x/nil is shown" "$out" "/x/nil"

t 'local s, ids = system "school_erp", {}
local function add (id) ids[#ids + 1] = id end
return runbook { title = "t", system = "school_erp",
  step "Set" { remedy = function () add('"$insert"') end },
  step "Use" { remedy = function () for _, id in ipairs(ids) do s.redis:del("x:" .. id) end end } }'
is "nor is a table that it would fill, by a function of the file" "$(statuses)" "deferred deferred"

t 'local s, n = system "school_erp"
return runbook { title = "t", system = "school_erp", '"$make"',
  step "Look" { probe = function () n = s.pg:value("SELECT count(*) FROM greenwood_high.user_sessions WHERE is_active") end },
  step "Use" { when = function () return n > 0 end, remedy = function () s.redis:set("k", "1") end } }'
is "a variable knows that it is as of now" "$(statuses)" "planned done deferred"
has "and what it rests on" "$(j '.steps[2].reason')" "needs the outcome of: UPDATE"

t 'local s = system "school_erp"
return runbook { title = "t", system = "school_erp",
  step "Begin" { probe = function (run) run.seen = { all = {} } end }, '"$make"',
  step "Look" { probe = function (run) run.seen.all[1] = s.pg:value("SELECT count(*) FROM greenwood_high.user_sessions") end },
  step "Use" { when = function (run) return run.seen.all[1] > 0 end, remedy = function () s.redis:set("k", "1") end } }'
is "so does a table inside run, however deep" "$(statuses)" "done planned done deferred"

t 'local s = system "school_erp"
return runbook { title = "t", system = "school_erp",
  step "Begin" { probe = function (run) run.ids = {} end },
  step "Set" { remedy = function (run) run.ids[1] = '"$insert"' end },
  step "Use" { remedy = function (run) for _, id in ipairs(run.ids) do s.redis:del("x:" .. id) end end } }'
is "and one that a deferred step would fill is not known" "$(statuses)" "done deferred deferred"
has "by its name" "$(j '.steps[2].reason')" "run.ids"

t 'local s, words, limit = system "school_erp", { key = "k" }, 5
local function key (run) return words.key .. limit end
return runbook { title = "t", system = "school_erp",
  step "Set" { remedy = function (run) run.id = '"$insert"' .. key(run) end },
  step "Other" { remedy = function (run) s.redis:set(key(run), "1") end, verify = function (run) return s.redis:get(key(run)) == "1" end } }'
is "what only stands there defers nobody" "$(statuses)" "deferred planned/passed"

t 'local s, seen = system "school_erp", 0
return runbook { title = "t", system = "school_erp",
  step "One" { probe = function () seen = seen + 1 end }, '"$make"',
  step "Two" { when = function () return seen == 1 end, remedy = function () s.redis:set("k", "1") end, verify = function () return s.redis:get("k") == "1" end } }'
is "a variable that rests on nothing is as good as known" "$(statuses)" "done planned planned/passed"

# -- several cases are true: each is shown from the world as it is ------------------------
t 'local r = system "school_erp".redis
return runbook { title = "t", system = "school_erp",
  case "a" { title = "A", when = function () return true end, step "A1" { remedy = function () r:set("case:k", "a") end } },
  case "b" { title = "B", when = function () return true end, step "B1" { when = function () return r:get("case:k") == nil end,
    remedy = function () r:set("case:k", "b") end, verify = function () return r:get("case:k") == "b" end } },
  step "After" { when = function () return r:get("case:k") == "a" end, remedy = function () r:set("case:l", "1") end } }'
is "what one case would do is not there for the other" "$(statuses)" "planned planned/passed deferred"
is "both find the key as it is" "$(j '[.steps[].effects[] | select(.kind == "remedy") | .before] | unique | length')" 1

# -- two systems on one server ------------------------------------------------------------
cat > "$tmp/two.config.lua" <<LUA
return { target = "local", targets = { ["local"] = { kind = "sandbox", systems = {
  a = { dotenv = "$SANDBOX_DOTENV", redis = "$SANDBOX_REDIS_URL", pg = { url = "$SANDBOX_PG_URL", probe = "$SANDBOX_PG_PROBE_URL" } },
  b = { dotenv = "$SANDBOX_DOTENV", redis = "$SANDBOX_REDIS_URL", pg = "$SANDBOX_PG_PROBE_URL" },
  d = { redis = "${SANDBOX_REDIS_URL/127.0.0.1/localhost}" }, e = { redis = "${SANDBOX_REDIS_URL%/0}/1" },
  c = { redis = "$SANDBOX_REDIS_ADMIN_URL", pg = "${SANDBOX_PG_URL%/*}/postgres" } } } } }
LUA
export RUNBOOK_CONFIG=$tmp/two.config.lua
reads() { t 'local a, b, c, d, e = system "a", system "b", system "c", system "d", system "e"
return runbook { title = "t", step "Change" { remedy = function () '"$1"' end },
  step "Look" { probe = function () '"$2"' end } }'; j '[.steps[1].effects[].read] | join(" ")'; }
is "a key planned by one system is predicted for another on that server" \
  "$(reads 'a.redis:set("two", "1")' 'b.redis:get "two" c.redis:exists "two" d.redis:get "two"')" "predicted predicted predicted"
is "but not in another database of it, and another key is real" \
  "$(reads 'a.redis:set("two", "1")' 'e.redis:get "two" b.redis:get "three"')" "as of now real"
reads 'a.redis:set("two", "1") b.redis:incr "two" c.redis:del "two"' 'b.redis:get "two"' >/dev/null
is "a remedy through another system finds what is planned" \
  "$(j '[.steps[0].effects[] | .before.value, .after.value] | map(. // "-") | join(" ")')" "- 1 1 2 2 -"
reads 'a.dotenv:set("TWO", "1")' 'b.dotenv:get "TWO"' >/dev/null
is "a file is one by its path" "$(j '.steps[1].effects[0].read')" predicted
update='a.pg:exec("UPDATE greenwood_high.user_sessions SET is_active = is_active WHERE id > 0")'
is "nor are rows, whoever the user is; another database is" \
  "$(reads "$update" 'b.pg:value "SELECT count(*) FROM greenwood_high.user_sessions" c.pg:value "SELECT 1"')" "as of now real"
is "another server is real" "$(reads "$update" 'b.redis:get "two"')" real
