#!/usr/bin/env bash
# turn: branches that change one file, one name or one key, one after the other
. "$(dirname "$0")/lib.sh"
cd "$tmp" || exit 2
mkdir work; echo 'LIST=' >work/.env
cat >files.lua <<LUA
return { target = "local", targets = { ["local"] = { kind = "sandbox", allow = { files = { "$tmp/work" } },
  systems = { app = { dotenv = "$tmp/work/.env" } } } } }
LUA
export RUNBOOK_CONFIG=$tmp/files.lua
cat >t.lua <<LUA
local app = system "app"
return runbook { title = "T", step "Each" { remedy = function (run)
  local list = {}
  for i = 1, 20 do list[i] = "t" .. i end
  run:each(list, { limit = 20 }, function (name)
    app.dotenv:add("LIST", name)
    file.write("$tmp/work/one", name)
  end)
end } }
LUA
rb run t.lua --json; is "20 branches add to one list" "$rc $(jq -r .error.message <<<"$out")" "0 null"
is "and all of them are on it" "$(sed 's/LIST=//' work/.env | tr ',' '\n' | sort -u | wc -l)" 20
rb replay --json; is "it replays" "$rc" 0
rb undo --json; is "and is taken back" "$rc $(cat work/.env)" "0 LIST="
cat >t.lua <<LUA
local app = system "app"
return runbook { title = "T", step "Each" { timeout = "10s", remedy = function (run)
  run:each({ "a", "b", "c" }, { limit = 3 }, function (name)
    app.dotenv:add("LIST", name)
    if name == "a" then run:fail("no") end
  end)
end } }
LUA
rb run t.lua --json; is "one that fails holds nobody up" "$rc $(cat work/.env)" "1 LIST=a,b,c"

command -v redis-cli >/dev/null || { skip "one Redis key" "needs redis-cli"; exit 0; }
sandbox_up
cat >t.lua <<'LUA'
local erp = system "school_erp"
return runbook { title = "T", system = "school_erp", step "Each" { remedy = function (run)
  local list = {}
  for i = 1, 20 do list[i] = i end
  run:each(list, { limit = 20 }, function () erp.redis:incr("cache:turn") end)
end } }
LUA
rb run t.lua --json; is "20 branches count on one key" "$rc $(jq -r .error.message <<<"$out")" "0 null"
is "all of them" "$(redis-cli -u "$SANDBOX_REDIS_ADMIN_URL" --no-auth-warning get cache:turn)" 20
