#!/usr/bin/env bash
# What a script has, what it does not have, and what it cannot see: the sandboxed state.
. "$(dirname "$0")/lib.sh"
cat > "$tmp/runbook.config.lua" <<'LUA'
return { target = "local", targets = { ["local"] = { kind = "sandbox", allow = { files = { "." } } } } }
LUA
export RUNBOOK_CONFIG=$tmp/runbook.config.lua
holds() {  # WHAT LUA: the body runs to its end without raising
  printf 'return runbook { title = "t", step "One" { probe = function (run)\n%s\nend } }\n' "$2" > "$tmp/t.lua"
  rb run "$tmp/t.lua"
  if [ "$rc" = 0 ]; then pass "$1"; else fail "$1" "$out" "$err"; fi
}

holds "nothing that reaches outside" '
  for _, name in ipairs { "os", "io", "debug", "coroutine", "package", "dofile", "loadfile", "collectgarbage" } do
    assert(rawget(_G, name) == nil, name)
  end
  assert(string.dump == nil and math.randomseed == nil)'
holds "pairs iterates in sorted order" '
  local t, seen = { z = 1, a = 2, [10] = 3, [2] = 4, [1.5] = 5, [true] = 6 }, {}
  for k in pairs(t) do seen[#seen + 1] = tostring(k) end
  assert(table.concat(seen, " ") == "1.5 2 10 a z true", table.concat(seen, " "))
  local list = {}
  for i, v in pairs { "a", "b", "c" } do list[#list + 1] = i .. v end
  assert(table.concat(list) == "1a2b3c")
  local t2 = { a = 1, b = 2, c = 3 }
  for k in pairs(t2) do if k == "a" then t2.b = nil end assert(k ~= "b") end
  local m = setmetatable({}, { __pairs = function () return function (_, k) if not k then return 1, 2 end end, nil, nil end })
  for k, v in pairs(m) do assert(k == 1 and v == 2) end
  assert(not pcall(function () for _ in pairs { [{}] = 1 } do end end))'
holds "next only tells whether a table is empty" '
  assert(next {} == nil and next { 1 } ~= nil)
  assert(not pcall(next, { 1, 2 }, 1))'
holds "no addresses" '
  assert(tostring {} == "table" and tostring(print) == "function")
  assert(string.format("%s", {}) == "table" and ("%5s|%d"):format("a", 3) == "    a|3")
  assert(not pcall(string.format, "%p", {}))
  local _, e = pcall(error, {})
  assert(type(e) == "table")'
holds "table.sort is stable, and survives odd comparators" '
  local t = {}
  for i = 1, 1000 do t[i] = { k = i % 7, i = i } end
  table.sort(t, function (a, b) return a.k < b.k end)
  for i = 2, 1000 do assert(t[i-1].k < t[i].k or (t[i-1].k == t[i].k and t[i-1].i < t[i].i)) end
  local n = { 5, 3, 9, 1 } table.sort(n) assert(table.concat(n, ",") == "1,3,5,9")
  table.sort({ 3, 2, 1 }, function () return true end)
  assert(not pcall(table.sort, { 1, "a" }))
  assert(not pcall(table.sort, { 1, nil, 3 }))'
holds "load takes text only, and an environment" '
  assert(load("return 1 + 1")() == 2)
  assert(load("return x", "c", "t", { x = 7 })() == 7)
  local f, e = load("\27Lua")
  assert(f == nil and e:find "binary")
  assert(not pcall(load, function () return "return 1" end))'
holds "metatables without finalizers and without our marks" '
  for _, name in ipairs { "__gc", "__mode", "__rbtype", "__rblabel" } do
    local ok, e = pcall(setmetatable, {}, { [name] = function () end })
    assert(not ok and e:find(name), name)
  end
  assert(setmetatable({}, { __index = { a = 1 } }).a == 1)
  assert(getmetatable(run) == false and not pcall(setmetatable, run, {}))
  assert(getmetatable("") == false and ("x"):upper() == "X")'
holds "pcall and xpcall do what they do" '
  assert(select("#", pcall(function () return nil, nil end)) == 3)
  local ok, e = xpcall(function () error "x" end, function (m) return "handled " .. m end)
  assert(not ok and e:find "handled")
  local a, b, c = xpcall(function (...) return ... end, print, 1, 2)
  assert(a and b == 1 and c == 2)
  assert(not pcall(error, nil))
  run:sleep "1ms"
  assert(pcall(function () run:sleep "1ms" end), "yields across pcall")
  assert(xpcall(function () run:sleep "1ms" return true end, print))'
holds "__close runs across waits" '
  local closed
  do local c <close> = setmetatable({}, { __close = function () closed = true end }) run:sleep "1ms" end
  assert(closed)'
holds "nothing waits inside sort and gsub" '
  local ok, e = pcall(table.sort, { 2, 1 }, function () run:sleep "1ms" end)
  assert(not ok and tostring(e):find "wait here")
  ok, e = pcall(string.gsub, "x", "x", function () return #file.read "/etc/hostname" end)
  assert(not ok and tostring(e):find "cannot be used here", tostring(e))'
holds "require finds the folder only" '
  assert(not pcall(require, "os"))
  assert(not pcall(require, "../lib"))
  assert(not pcall(require, "socket"))'
mkdir -p "$tmp/f"; echo 'return { x = 41 }' > "$tmp/f/mine.lua"
printf 'local mine = require "mine"\nassert(require "mine" == mine)\nreturn runbook { title = "t", step "One" { verify = function () return mine.x == 41 end } }\n' > "$tmp/f/t.lua"
rb run "$tmp/f/t.lua"; is "require loads a neighbour once" "$rc" 0
echo 'file.read "/etc/hostname"' > "$tmp/f/mine.lua"
rb run "$tmp/f/t.lua"; is "a required file cannot act either" "$rc" 2
holds "run: fields" '
  run.x = 1
  assert(run.x == 1)
  local ok, e = pcall(function () return run.y end)
  assert(not ok and e:find "run.y was never set")
  assert(not pcall(function () run.id = 1 end))
  assert(not pcall(function () run.note = 1 end))
  assert(#run.id == 26 and run.target == "local" and run.operator and run.started:find "Z$")'
holds "run:try gives a failure back, and lets a mistake through" '
  local v, e = run:try(function () run:fail("no %d", 3) end)
  assert(v == nil and e.kind == "fail" and tostring(e) == "no 3")
  assert(run:try(function () return 7 end) == 7)
  assert(not pcall(run.try, run, function () local x = nil; return x.y end))'
holds "run:each: order, limit, failures, read-only run" '
  local r = run:each({ 3, 1, 2 }, { limit = 2 }, function (n) run:sleep(n .. "ms") return n * 10 end)
  assert(table.concat(r, ",") == "30,10,20")
  assert(#run:each({}, function () end) == 0)
  local ok, e = pcall(run.each, run, { 1, 2, 3 }, function (n) if n == 2 then run:fail "two" end end)
  assert(not ok and e.message:find "1 of 3 failed" and e.message:find "two")
  ok, e = pcall(run.each, run, { 1 }, function () run.x = 1 end)
  assert(not ok and e.message:find "read%-only")
  local nested = run:each({ 1, 2 }, function (n) return run:each({ 1, 2, 3 }, function (m) return n * m end) end)
  assert(nested[2][3] == 6)
  local many = {} for i = 1, 5000 do many[i] = i end
  local sum = 0
  for _, v in ipairs(run:each(many, { limit = 100 }, function (n) return n end)) do sum = sum + v end
  assert(sum == 12502500)'
holds "run:each: a list that raises in the middle" '
  local list = setmetatable({}, { __len = function () return 40 end,
    __index = function (_, i) if i == 20 then error "boom" end return i end })
  local ok, e = pcall(run.each, run, list, function (n) run:sleep "50ms" return n end)
  assert(not ok and e:find "boom")
  local t = {} for i = 1, 300000 do t[i % 1000 + 1] = { i } end
  run:sleep "100ms"'
holds "run:wait_until and run:hold" '
  local n = 0
  assert(run:wait_until("three", { every = "1ms", within = "1s" }, function () n = n + 1 return n == 3 and "yes" end) == "yes")
  local ok, e = pcall(run.wait_until, run, "never", { every = "1ms", within = "20ms" }, function () end)
  assert(not ok and e.kind == "timeout" and e.message:find "never: not within 20ms")
  n = 0
  ok, e = pcall(run.hold, run, "it", { every = "1ms", within = "50ms" }, function () n = n + 1 return n < 3 end)
  assert(not ok and e.kind == "hold")
  run:hold("always", { every = "1ms", within = "10ms" }, function () return true end)
  n = 0
  run:wait_until("in spite of failures", { every = "1ms", within = "1s" }, function () n = n + 1 if n < 3 then run:fail "not yet" end return true end)'
