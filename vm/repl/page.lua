-- page.lua - the runbook of a session: statements into the fields of steps, and its text
--
-- Compiled into the program, after save.lua. T.about is { name, reason }. Returns the text; a
-- list of { n, word, step, deed, armed, open } that says which field each statement went to,
-- in the order in which they run (open: what follows in its step the session did not do);
-- and the parameters, as words of a command line. Or nil, and why not.

local T = ...
local parts, about, params, order = T.parts, T.about, T.params, T.order
local tokens, near, variables = T.tokens, T.near, T.variables
local issql, sql, text_of, plain = T.issql, T.sql, T.text_of, T.plain
local concat, format = table.concat, string.format

-- -- statements, as they are written ------------------------------------------------------

local fields = {}  -- what a step sets: name -> true

-- the call that the SQL at i belongs to gets its values; returns the token's new text
local function sql_call (list, i, text)
  local new, names = sql(list[i].value)
  if #names == 0 then return text end
  local open, close = text:match("^%[=*%["), text:match("%]=*%]$")
  new = open and open .. new .. close or "[[" .. new .. "]]"
  local after, at = near(list, i, 1)
  if near(list, i, -1).text ~= "(" then
    if list[i - 1].kind == "space" then list[i - 1].text = "" end
    return "(" .. new .. ", run)"
  end
  if after.text == ")" then return new .. ", run" end
  local brace = near(list, at, 1)
  if after.text == "," and brace.text == "{" then
    for k, name in ipairs(names) do names[k] = name .. " = run." .. name end
    brace.text = "{ " .. concat(names, ", ") .. ","
    return new
  end
  return after.text == "," and brace.text == "run" and new or text
end

local function written (p)
  local list, out = tokens(p.text), {}
  variables(list, function (i, name)
    if fields[name] then list[i].text = "run." .. name
    elseif name == "_" and p.last then list[i].text = "run." .. p.last end
  end)
  for i, t in ipairs(list) do
    if t.kind == "string" and t.value then
      local new = not issql(list, i) and text_of(t.value)
      local before = near(list, i, -1)
      if issql(list, i) then t.text = sql_call(list, i, t.text)
      elseif new then
        local call = before.kind == "name" or before.text == ")" or before.text == "]"
        t.text = call and "(" .. new .. ")" or new
        if call then
          local space = list[i - 1]
          if space.kind == "space" then space.text = "" end
        end
      end
    end
  end
  for i, t in ipairs(list) do out[i] = t.text end
  return concat(out)
end

local function indent (text, by)
  return (text:gsub("\n", "\n" .. (" "):rep(by)))
end

-- -- steps ---------------------------------------------------------------------------------

-- A change ends the looks before it; a look at the same resource after it verifies it.
local function group ()
  local steps, step = {}, nil
  local function new () step = { probe = {}, remedy = {}, verify = {}, notify = {} }
    steps[#steps + 1] = step end
  local function of (p) return p.effects[1] and p.effects[1].system end
  for _, p in ipairs(parts) do
    if p.used and not p.system and not p.definition then
      local verifies = step and p.armed and p.looks and p.expression and not p.gives and p.value
                       and #step.remedy > 0 and #step.notify == 0 and of(p) == step.system
      local word = p.notice and "notify" or p.remedy and "remedy" or verifies and "verify" or "probe"
      local late = step and (#step.remedy > 0 or #step.notify > 0)
      if not step or (late and word ~= "verify") then new() end
      table.insert(step[word], p)
      if word == "remedy" then step.system = of(p) end
    end
  end
  return steps
end

-- what shows that a remedy was done, where the session did not look itself
local shows = {
  ["redis.set"] = function (r, a, b) return format("%s:get(%s) == %s", r, a, b) end,
  ["redis.del"] = function (r, a) return format("%s:exists(%s) == 0", r, a) end,
  ["redis.unlink"] = function (r, a) return format("%s:exists(%s) == 0", r, a) end,
  ["redis.expire"] = function (r, a) return format("%s:ttl(%s) > 0", r, a) end,
  ["dotenv.set"] = function (r, a, b) return format("%s:get(%s) == %s", r, a, b) end,
  ["dotenv.unset"] = function (r, a) return format("not %s:has(%s)", r, a) end,
  ["dotenv.add"] = function (r, a, b) return format("%s:has(%s, %s)", r, a, b) end,
  ["dotenv.remove"] = function (r, a, b) return format("not %s:has(%s, %s)", r, a, b) end,
  ["file.write"] = function (_, a, b) return format("file.read(%s) == %s", a, b) end,
}

-- the first two arguments of a call, as they are written
local function arguments (text)
  local object, rest = text:match("^(.-)[:.][%a_]+%s*%((.*)%)$")
  if not object then
    local one
    object, one = text:match("^(.-)[:.][%a_]+%s*([\"'].*[\"'])$")
    return object, one
  end
  local out, from, depth = {}, 1, 0
  local list, at = tokens(rest), 1
  for _, t in ipairs(list) do
    if t.text:find("^[({%[]$") then depth = depth + 1 elseif t.text:find("^[)}%]]$") then depth = depth - 1 end
    if t.text == "," and depth == 0 then
      out[#out + 1] = rest:sub(from, at - 1):match("^%s*(.-)%s*$")
      from = at + #t.text
    end
    at = at + #t.text
  end
  out[#out + 1] = rest:sub(from):match("^%s*(.-)%s*$")
  return object, out[1], out[2]
end

local function literal (p)
  if p.rows then return tostring(p.rows) end
  local list = tokens(p.value)
  return #list == 1 and list[1].value and text_of(list[1].value) or p.value
end

local function sees (p)
  local text = written(p)
  if p.rows then return format("#%s == %s", text, literal(p)) end
  return format("%s == %s", text, literal(p))
end

-- lines of `verify`: what was seen; else what shows it; else a person says
local function verify (step)
  local lines = {}
  for _, p in ipairs(step.verify) do lines[#lines + 1] = sees(p) end
  for _, p in ipairs(#lines == 0 and step.remedy or {}) do
    local effect
    for _, e in ipairs(p.effects) do if e.kind == "remedy" and not e.undone then effect = effect or e end end
    local object, a, b = arguments(written(p))
    local show = effect and shows[effect.verb]
    if show and object and a then lines[#lines + 1] = show(object, a, b or "true") end
  end
  return lines
end

local function capital (s) return (s:gsub("^%l", string.upper)) end

-- a title, with {names} where the parameters stand
local function titled (text)
  for _, name in ipairs(order) do
    local v = params[name].value
    if type(v) == "string" and not params[name].default then
      text = text:gsub("%f[%w_]" .. plain(v) .. "%f[^%w_]", "{" .. name .. "}")
    end
  end
  text = text:gsub("%s+", " ")
  if #text > 60 then text = text:sub(1, 57):gsub("{[^}]*$", ""):gsub("%s+$", "") .. "..." end
  return text
end

-- "UPDATE matches 3 rows of a.b" -> "Update b"; nil where it is no such statement
local function sentence (verb, summary)
  local word, rest = summary:match("^(%u+)%s(.*)$")
  local table = verb == "pg.exec" and word and (rest:match("rows? of%s+([%w_.\"]+)")
                or rest:match("^INTO%s+([%w_.\"]+)") or rest:match("^FROM%s+([%w_.\"]+)"))
  return table and word:sub(1, 1) .. word:sub(2):lower() .. " " .. table:match("[^.]+$"):gsub('"', "")
end

-- what a look asks for, in few words and without parameters
local function asked (e)
  local s = e.summary:gsub(" %-> .*", "")
  if e.verb:find("^pg%.") then
    local what = s:match("^SELECT%s+(%w+)%s*%(") or "rows"
    local of = s:match("FROM%s+([%w_.\"]+)") or s
    return what .. " of " .. of:match("[^.]+$"):gsub('"', "")
  end
  s = titled(s):gsub("[:/]?{[%w_]+}", "")
  return s ~= "" and s or e.verb
end

local commands = { ["redis.set"] = "Set", ["redis.del"] = "Delete", ["redis.expire"] = "Let expire" }

local function title (step, used)
  local p, text = step.remedy[1] or step.notify[1], nil
  if p then
    local e
    for _, x in ipairs(p.effects) do if x.kind ~= "probe" and not x.undone then e = e or x end end
    local rest = (e.summary:gsub("^%u+%s+", ""))
    local command = commands[e.verb]
    text = command and command .. " " .. rest:match("^%S*") or sentence(e.verb, e.summary)
           or capital(e.summary)
  else
    local asked, seen = {}, {}
    for _, q in ipairs(step.probe) do
      for _, e in ipairs(q.effects) do
        local system = (e.system or e.verb):match("^[^.]+")
        if not seen[system] then seen[system], asked[#asked + 1] = true, system end
      end
    end
    text = "What does " .. (#asked > 0 and concat(asked, ", ") or "the run") .. " say?"
  end
  text = titled(text)
  local unique, n = text, 1
  local function id () return (unique:lower():gsub("[^%w\128-\255]+", "-")) end
  while used[id()] do
    n = n + 1
    unique = format("%s (%d)", text, n)
  end
  used[id()] = true
  return unique
end

-- -- the file ----------------------------------------------------------------------------------

local function field (word, lines, out)
  if #lines == 0 then return end
  if #lines == 1 and not lines[1]:find("\n") and #lines[1] < 60 then
    out[#out + 1] = format("    %s = function (run) %s end,", word, lines[1])
    return
  end
  out[#out + 1] = format("    %s = function (run)", word)
  for _, line in ipairs(lines) do out[#out + 1] = "      " .. indent(line, 6) end
  out[#out + 1] = "    end,"
end

local function look (p)
  local text = written(p)
  if p.gives then return "run." .. p.gives .. " = " .. text end
  if not p.expression or p.says then return text end
  local kept = (p.value and not p.rows) and "finding" or "evidence"
  return format("run:%s(%q, %s)", kept, p.effects[1] and asked(p.effects[1]) or p.text, text)
end

local function act (p)
  local text = written(p)
  return p.gives and "run." .. p.gives .. " = " .. text or text
end

local function lines_of (list, how)
  local lines = {}
  for i, p in ipairs(list) do lines[i] = how(p) end
  return lines
end

local function checks (step)
  local lines = verify(step)
  if #lines == 1 then return { "return " .. lines[1] } end
  for i, line in ipairs(lines) do lines[i] = format("expect(%s, %q)", line, line) end
  if #lines == 0 and #step.remedy > 0 then
    return { 'return run:choose { id = "looks-right-' .. step.remedy[1].n .. '", question = "Is it as it should be now?",',
             '                    choices = { "yes", "no" } } == "yes"' }
  end
  return lines
end

local function write_step (step, used, out, places)
  out[#out + 1] = ""
  local name = title(step, used)
  out[#out + 1] = format("  step %q {", name)
  field("probe", lines_of(step.probe, look), out)
  field("remedy", lines_of(step.remedy, act), out)
  field("verify", checks(step), out)
  field("notify", lines_of(step.notify, act), out)
  for _, p in ipairs(step.remedy) do
    for _, e in ipairs(p.effects) do
      if e.kind == "remedy" and not e.undone and e.undo ~= "automatic" then
        out[#out + 1] = format("    irreversible = %q,", (e.undo or "nothing takes it back by itself")
                               :gsub("^irreversible: ", ""):gsub("[{}]", ""))
        goto said
      end
    end
  end
  ::said::
  out[#out + 1] = "  },"
  for _, word in ipairs { "probe", "remedy", "verify", "notify" } do
    for _, p in ipairs(step[word]) do
      local open = word == "remedy" and #step.verify == 0
      places[#places + 1] = { n = p.n, word = word, step = #places.steps + 1, open = open,
                              deed = p.deed or false, armed = p.armed or false }
    end
  end
  places.steps[#places.steps + 1] = name
end

local function write_head (out)
  local systems = {}
  out[#out + 1] = "-- " .. (about.reason or "What was done at the prompt") .. ": saved from a session."
  out[#out + 1] = ""
  for _, p in ipairs(parts) do
    if p.used and p.system then
      out[#out + 1] = "local " .. p.text
      systems[#systems + 1] = p.text:match("[\"'](.-)[\"']")
    end
  end
  for _, p in ipairs(parts) do
    if p.used and p.definition then out[#out + 1] = "\nlocal " .. p.text end
  end
  out[#out + 1] = "\nreturn runbook {"
  out[#out + 1] = format("  title = %q,", capital(about.reason or about.name:gsub("[_-]+", " ")))
  if #systems == 1 then out[#out + 1] = format("  system = %q,", systems[1]) end
  if #order == 0 then return end
  out[#out + 1] = "  params = {"
  for _, name in ipairs(order) do
    local row = params[name]
    out[#out + 1] = format("    %s = { %q, %s },", name, row.kind, row.default
      and "default = " .. row.default or format("required = true, help = %q", "such as " .. row.value))
  end
  out[#out + 1] = "  },"
end

for _, p in ipairs(parts) do
  if p.used and not p.system and not p.definition then
    for name in pairs(p.writes) do fields[name] = true end
    if p.gives then fields[p.gives] = true end
  elseif p.lifted then fields[p.name] = true end
end
local steps = group()
if #steps == 0 then return nil, "nothing of this session looked at anything or changed it" end
local out, used, places = {}, {}, { steps = {} }
write_head(out)
for _, step in ipairs(steps) do write_step(step, used, out, places) end
out[#out + 1] = "}\n"
local words = {}
for _, name in ipairs(order) do
  if not params[name].default then words[#words + 1] = name .. "=" .. params[name].value end
end
return concat(out, "\n"), places, words
