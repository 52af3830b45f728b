-- expect.lua - what was expected, and what was seen
local T = ...

local function fail (what, expected, seen, ...)
  local f = T.failures
  f[#f + 1] = { what = what, expected = expected, seen = seen,
                line = T.line(T.case.line, "expect", ...) }
end

-- a list of strings, or of what `show` makes of its items
local function listing (list, show)
  if #list == 0 then return "(none)" end
  local lines = {}
  for i, v in ipairs(list) do lines[i] = show and show(v) or tostring(v) end
  return table.concat(lines, "\n")
end

-- is the value what was expected? Texts are equal, or `like` them; tables have no others.
local function fits (seen, wanted)
  local mt = type(wanted) == "table" and getmetatable(wanted)
  if mt == T.Any then return seen ~= nil end
  if mt == T.Like then
    return seen ~= nil and T.matches(type(seen) == "string" and seen or T.show(seen), wanted[1])
  end
  if wanted == false and seen == nil then return true end
  local smt = type(seen) == "table" and getmetatable(seen)
  if smt == T.Expiring and mt ~= T.Expiring then seen = seen[1] end
  if mt == T.Set and smt == T.Set then table.sort(wanted) end
  if type(seen) == "string" and type(wanted) == "number" then wanted = tostring(wanted) end
  if type(wanted) ~= "table" or type(seen) ~= "table" then return wanted == seen end
  for k, v in pairs(wanted) do if not fits(seen[k], v) then return false end end
  for k in pairs(seen) do if wanted[k] == nil then return false end end
  return true
end
T.fits = fits

local function nothing (v) return v == nil or v == json.null end

-- -- the run as a whole -----------------------------------------------------

local function reason (doc)
  local e = doc.error
  if nothing(e) then return "" end
  local at = not nothing(e.file) and not nothing(e.line) and " (" .. e.file .. ":" .. e.line .. ")" or ""
  return (": %s: %s%s"):format(tostring(e.kind), tostring(e.message), at)
end

local function checkexit (x, doc)
  local wanted = x.exit
  if not wanted and not x.status and not x.error then wanted = 0 end
  if wanted and doc.exit ~= wanted then
    fail("the exit code", tostring(wanted), tostring(doc.exit) .. reason(doc), "exit")
  end
  if x.status and doc.status ~= x.status then
    fail("the run's status", x.status, tostring(doc.status) .. reason(doc), "status")
  end
end

local function checkerror (x, doc)
  local wanted, e = x.error, doc.error
  if wanted == nil then return end
  if type(wanted) == "string" then wanted = { kind = wanted } end
  local seen = nothing(e) and "(none)" or ("%s: %s"):format(tostring(e.kind), tostring(e.message))
  for k, v in pairs(wanted) do
    local is = not nothing(e) and e[k]
    local good = is and (k == "message" and type(v) == "string" and T.matches(is, v) or fits(is, v))
    if not good then fail("the error's " .. k, T.show(v), seen, "error") end
  end
end

local function checksteps (x, doc)
  local by = {}
  for _, s in ipairs(doc.steps) do by[s.id] = s end
  for id, wanted in pairs(x.steps or {}) do
    local s = by[id] or {}
    if type(wanted) == "string" then wanted = { status = wanted } end
    for k, v in pairs(wanted) do
      local is = not nothing(s[k]) and s[k] or nil
      if not (k == "reason" and type(v) == "string" and is and T.matches(is, v) or fits(is, v)) then
        local why = k ~= "reason" and not nothing(s.reason) and " (" .. s.reason .. ")" or ""
        fail(("%s of step %s"):format(k, id), T.show(v), tostring(is) .. why, "steps", id)
      end
    end
  end
end

local function checkcases (x, doc)
  if x.cases and not fits(doc.cases, x.cases) then
    fail("the cases that were taken", listing(x.cases), listing(doc.cases), "cases")
  end
end

local function checkfindings (x, doc)
  local by, seen = {}, {}
  for _, f in ipairs(doc.findings) do
    by[f.name] = f
    local status = not nothing(f.status) and ", " .. f.status or ""
    seen[#seen + 1] = ("%s: %s%s"):format(f.name, T.show(f.value), status)
  end
  for name, wanted in pairs(x.findings or {}) do
    local f = by[name]
    local value, status = wanted, nil
    if type(wanted) == "table" and not getmetatable(wanted) and #wanted == 2 then
      value, status = wanted[1], wanted[2]
    end
    local good = f and fits(f.value, value) and (not status or f.status == status)
    if wanted == false then good = f == nil end
    if not good then fail("finding " .. name, T.show(wanted), listing(seen), "findings", name) end
  end
end

-- -- effects and notices ----------------------------------------------------

local function deeds (doc)
  local list = {}
  for _, s in ipairs(doc.steps) do
    for _, e in ipairs(s.effects) do
      if e.kind ~= "probe" then list[#list + 1] = e end
    end
  end
  table.sort(list, function (a, b) return a.n < b.n end)
  return list
end

local function showdeed (e)
  return ("%s %s: %s [%s]"):format(e.verb, e.target, tostring(e.summary),
                                  tostring(not nothing(e.verdict) and e.verdict or e.outcome))
end

local function isdeed (e, wanted)
  if type(wanted) == "string" then
    local verb, rest = wanted:match("^(%S+)%s*(.*)$")
    return verb == e.verb and (rest == "" or T.matches(tostring(e.summary), rest)
                               or T.matches(tostring(e.target), rest))
  end
  if wanted[1] and not isdeed(e, wanted[1]) then return false end
  for k, v in pairs(wanted) do
    local is = not nothing(e[k]) and e[k] or nil
    if type(is) == "table" then is = is.diff or is.value end
    local text = (k == "summary" or k == "reason" or k == "undo") and type(v) == "string" and is
    if k ~= 1 and not (text and T.matches(is, v) or fits(is, v)) then return false end
  end
  return true
end

local function checkeffects (x, doc)
  if not x.effects then return end
  local seen, good = deeds(doc), true
  for i = 1, math.max(#seen, #x.effects) do
    good = good and seen[i] ~= nil and x.effects[i] ~= nil and isdeed(seen[i], x.effects[i])
  end
  if good then return end
  fail("the effects, in order", listing(x.effects, function (e)
    return type(e) == "string" and e or T.show(e)
  end), listing(seen, showdeed), "effects")
end

local function shownotice (n) return ("%s %s: %s"):format(n.verb, n.to or "", n.text or "") end

local function isnotice (n, wanted)
  if type(wanted) == "string" then return T.matches(shownotice(n), wanted) end
  return (wanted[1] == nil or wanted[1] == n.verb) and (wanted[2] == nil or T.matches(n.to or "", wanted[2]))
         and (wanted[3] == nil or T.matches(n.text or "", wanted[3]))
end

local function checknotices (x)
  local seen = T.world and T.world.notices or {}
  if not x.notices then return end
  local good = #seen == #x.notices
  for i, n in ipairs(seen) do good = good and isnotice(n, x.notices[i]) end
  if not good then
    fail("the notices, in order", listing(x.notices, function (n)
      return type(n) == "string" and n or T.show(n)
    end), listing(seen, shownotice), "notices")
  end
end

local function checknotes (x, said)
  for _, wanted in ipairs(x.notes or {}) do
    if not T.matches(said, wanted) then
      fail("what was said", wanted, said == "" and "(nothing)" or said, "notes")
    end
  end
end

-- -- the world afterwards ---------------------------------------------------

local function checkpart (seen, wanted, name, ...)
  for key, v in pairs(wanted) do
    local is = seen and seen[key]
    if not fits(is, v) then
      fail("the world's " .. name .. " " .. T.show(key), v == false and "(not there)" or T.show(v),
           is == nil and "(not there)" or T.show(is), ...)
    end
  end
end

local function checkworld (x)
  if not x.world then return end
  local now = T.plain(T.world, T.clock())
  for name, wanted in pairs(x.world) do
    if name == "files" then checkpart(now.files, wanted, "files", "world", "files")
    else
      for kind, part in pairs(wanted) do
        checkpart((now[name] or {})[kind], part, name .. "." .. kind, "world", kind)
      end
    end
  end
end

-- what differs between two worlds, one line each
local function differences (a, b, path, list)
  for _, t in ipairs { a, b } do
    for k in pairs(t) do
      local x, y = a[k], b[k]
      local name = path == "" and tostring(k) or path .. "." .. tostring(k)
      if not T.same(x, y) and (t == a or x == nil) then
        if type(x) == "table" and type(y) == "table" and not name:find("%..*%..") then
          differences(x, y, name, list)
        else list[#list + 1] = ("%s: %s, and it was %s"):format(name, T.show(y), T.show(x)) end
      end
    end
  end
  return list
end

-- -- all of it --------------------------------------------------------------

-- a mistake in what is expected is one of the test's author
function T.checkexpected (case)
  local x = case.t.expect or {}
  if case.t.tape or case.t.target then
    for _, field in ipairs { "world", "notices", case.t.tape and "undo" } do
      if x[field] ~= nil then
        T.mistake(T.line(case.line, "expect", field), "%s is expected of a world of fakes, not of a %s",
                  field, case.t.tape and "tape" or "target")
      end
    end
  end
  if x.undo and case.t.mode == "dry-run" then
    T.mistake(T.line(case.line, "expect", "undo"), "a dry run changes nothing, so there is nothing to undo")
  end
  for id in pairs(x.steps or {}) do
    if not T.runbook.ids[id] then
      local list = {}
      for name in pairs(T.runbook.ids) do list[#list + 1] = name end
      local near = T.nearest(id, list)
      T.mistake(T.line(case.line, "steps", id), "the runbook has no step '%s'%s", id,
                near and (" (did you mean '" .. near .. "'?)") or "")
    end
  end
end

-- a tape says what the script asked for when it was made; now it asks for something else
local function checktape (doc)
  local e = doc.error
  if doc.exit ~= 4 or nothing(e) then return false end
  local at = not nothing(e.file) and not nothing(e.line) and e.file .. ":" .. e.line .. ": " or ""
  T.failures[1] = { what = "the script is not that of the tape", expected = T.case.t.tape,
                    seen = at .. tostring(e.message), line = T.case.line }
  return true
end

local function check (x, doc, said)
  if T.case.t.tape and checktape(doc) then return end
  checkexit(x, doc)
  checkerror(x, doc)
  checkcases(x, doc)
  checksteps(x, doc)
  checkfindings(x, doc)
  checkeffects(x, doc)
  checknotes(x, said)
end

local function done (doc)
  local reached = {}
  for _, s in ipairs(doc.steps) do
    if not nothing(s.status) and s.status ~= "unselected" then reached[s.id] = s.status end
  end
  return json.encode { failures = json.array(T.failures), steps = reached, cases = doc.cases,
                       undo = T.wantsundo and doc.exit ~= 2 or false }
end

-- the run is over: its document, and what it said -> { failures, undo }, as JSON
function T.finish (text, said, surprise)
  local x, doc = T.case.t.expect or {}, json.decode(text)
  T.failures = {}
  if surprise ~= "" then
    local f = T.failures
    f[1] = { what = surprise, line = T.case.line }
    T.wantsundo = false
    return done(doc)
  end
  check(x, doc, said)
  checknotices(x)
  if T.world then checkworld(x) end
  T.wantsundo = x.undo
  return done(doc)
end

-- the same of its undo
function T.undone (text, said, surprise)
  local x, doc = T.case.t.expect.undo, json.decode(text)
  T.failures = {}
  if surprise ~= "" then
    T.failures[1] = { what = "in the undo: " .. surprise, line = T.case.line }
    return done(doc)
  end
  if type(x) == "table" then
    check(x, doc, said)
    if T.world then checkworld(x) end
    if x.world then return done(doc) end
  elseif doc.exit ~= 0 then fail("the undo's exit code", "0", doc.exit .. reason(doc), "undo") end
  local list = T.world and differences(T.before, T.plain(T.world, T.clock(), "exact"), "", {}) or {}
  if #list > 0 then fail("the world after the undo", "as it was before the run", listing(list), "undo") end
  return done(doc)
end
