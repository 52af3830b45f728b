-- save.lua - a session at the prompt: which of its statements are used, and what in them
-- is a parameter
--
-- Compiled into the program; page.lua writes the runbook. T.parts is what the session did,
-- a list of
--   { n, text, undo, good, armed, value, rows, effects = { { kind, verb, system, summary,
--     undo, undone } } }
-- where `value` is the first value that it showed, as Lua writes it, and `rows` how many
-- items that has where it is a list.

local T = ...
local parts = T.parts
local concat, format = table.concat, string.format

-- -- words of a statement ------------------------------------------------------

local reserved = {}
for w in ([[and break do else elseif end false for function goto if in local nil not or
  repeat return then true until while]]):gmatch("%a+") do reserved[w] = true end

-- the text as a list of tokens { kind, text, value }; kinds: space, name, string, other
local function tokens (s)
  local list, at = {}, 1
  local function add (kind, last, value)
    list[#list + 1] = { kind = kind, text = s:sub(at, last), value = value }
    at = last + 1
  end
  while at <= #s do
    local c, level = s:sub(at, at), s:match("^%[(=*)%[", at)
    local comment = s:match("^%-%-%[(=*)%[", at)
    if comment then add("space", select(2, s:find("]" .. comment .. "]", at, true)) or #s)
    elseif s:find("^%-%-", at) then add("space", (s:find("\n", at, true) or #s + 1) - 1)
    elseif s:find("^%s", at) then add("space", select(2, s:find("^%s+", at)))
    elseif level then
      local last = select(2, s:find("]" .. level .. "]", at, true)) or #s
      add("string", last, s:sub(at + #level + 2, last - #level - 2))
    elseif c == '"' or c == "'" then
      local last = at + 1
      while last < #s and s:sub(last, last) ~= c do
        last = last + (s:sub(last, last) == "\\" and 2 or 1)
      end
      local inner = s:sub(at + 1, last - 1)
      add("string", last, not inner:find("\\", 1, true) and inner or nil)
    elseif s:find("^[%a_]", at) then
      local last = select(2, s:find("^[%w_]+", at))
      add(reserved[s:sub(at, last)] and "other" or "name", last)
    elseif s:find("^%.?%d", at) then add("other", select(2, s:find("^[%w.]+", at)))
    else add("other", select(2, s:find("^[=~<>]=", at)) or select(2, s:find("^%.%.+", at)) or at) end
  end
  return list
end

-- the token before (step -1) or after (1) the i-th that is no space
local function near (list, i, step)
  repeat i = i + step until not list[i] or list[i].kind ~= "space"
  return list[i] or { kind = "end", text = "" }, i
end

-- is the i-th a variable: no field, no method, no key of a table?
local function isvariable (list, i, depth)
  local before, after = near(list, i, -1).text, near(list, i, 1).text
  if list[i].kind ~= "name" or before == "." or before == ":" or before == "goto" then return false end
  return not (after == "=" and depth > 0)
end

-- the names that a statement binds itself: of `for`, `local` and parameters
local function bound (list)
  local names = {}
  for i, t in ipairs(list) do
    local binds = t.text == "for" or t.text == "local" or t.text == "function"
    while binds do
      t, i = near(list, i, 1)
      binds = t.kind == "name" or t.text == "," or t.text == "(" or t.text == "." or t.text == ":"
      if t.kind == "name" and near(list, i, -1).text ~= "function" then names[t.text] = true end
    end
  end
  return names
end

-- each variable of a list of tokens: (index, name, whether it is given a value)
local function variables (list, each)
  local depth, opens = 0, { ["("] = 1, ["{"] = 1, [")"] = -1, ["}"] = -1 }
  local own = bound(list)
  for i = 1, #list do
    depth = depth + (list[i].kind == "other" and opens[list[i].text] or 0)
    if isvariable(list, i, depth) and not own[list[i].text] then
      local before, after = near(list, i, -1).text, near(list, i, 1).text
      each(i, list[i].text, depth == 0 and after == "=" or before == "function")
    end
  end
end

-- -- what is used ------------------------------------------------------------------

-- reads, writes, and what the statement is
local function study (p)
  p.text = p.text:gsub("^%s*local%s+", ""):gsub("%s+$", "")
  p.tokens, p.reads, p.writes = tokens(p.text), {}, {}
  variables(p.tokens, function (_, name, given)
    if given then p.writes[name] = true else p.reads[name] = true end
  end)
  p.expression = load("return " .. p.text) ~= nil
  p.system = p.text:match("^([%a_][%w_]*)%s*=%s*system%s*%(?%s*[\"'][^\"']*[\"']%s*%)?$")
  p.name, p.constant = p.text:match("^([%a_][%w_]*)%s*=%s*(.-)$")
  if p.name and not (#tokens(p.constant) == 1 and load("return " .. p.constant)
                     and p.constant:find("^[\"'%d]")) then p.constant = nil end
  p.definition = p.text:find("^function%s") or p.text:find("^[%a_][%w_]*%s*=%s*function")
  for _, e in ipairs(p.effects) do
    if e.kind == "probe" then p.looks = true
    elseif not e.undone then p[e.kind] = true end
  end
  p.deed = p.remedy or p.notice
  p.says = p.text:find("run:note") or p.text:find("run:finding") or p.text:find("run:evidence")
end

-- A statement that uses `_` uses the expression before it, which gets a name.
local function name_last ()
  local last
  for _, p in ipairs(parts) do
    if p.reads._ and last then
      last.gives = last.gives or "value" .. last.n
      p.last = last.gives
      p.reads[last.gives], last.writes[last.gives] = true, true
    end
    if p.expression and p.good and not p.undo then last = p end
  end
end

-- From the last to the first: what acts, what looks, and what those need.
local function mark_used ()
  local needed, seen = {}, {}
  for i = #parts, 1, -1 do
    local p = parts[i]
    local wanted = false
    for name in pairs(p.writes) do wanted = wanted or needed[name] end
    local again = seen[p.text] and not wanted
    if p.good and not p.undo then
      p.used = p.deed or wanted or ((p.looks and p.expression or p.says) and not again)
    end
    if p.used then
      if p.deed then seen = {} end
      seen[p.text] = true
      for name in pairs(p.writes) do
        if p.text:find("^[%a_][%w_]*%s*=") then needed[name] = nil end
      end
      for name in pairs(p.reads) do needed[name] = true end
    end
  end
end

-- -- parameters ------------------------------------------------------------------------

local params, order = {}, {}
local taken = {}
for w in ([[id operator started target answers done note finding evidence fail try ask choose
  each wait_until hold sleep]]):gmatch("[%a_]+") do taken[w] = true end

local function param (name, row)
  params[name], order[#order + 1], taken[name] = row, name, true
end

-- `tenant = "greenwood_high"` is a parameter
local function lift_assigned ()
  for _, p in ipairs(parts) do
    if p.used and p.constant and not taken[p.name] then
      local value = load("return " .. p.constant)()
      local given = 0
      for _, q in ipairs(parts) do given = given + (q.used and q.writes[p.name] and 1 or 0) end
      if given == 1 then
        local kind = math.type(value) or value:find("^%d+[%.%d]*m?[smhd]$") and "duration" or "string"
        param(p.name, { kind = kind == "float" and "number" or kind, value = value,
                        default = kind ~= "string" and p.constant or nil })
        p.used, p.lifted = false, true
      end
    end
  end
end

local sqlverbs = { query = true, row = true, value = true, exec = true, explain = true }

-- is the i-th token the text of a statement of SQL?
local function issql (list, i)
  local before, at = near(list, i, -1)
  if before.text == "(" then before, at = near(list, at, -1) end
  return sqlverbs[before.text] and near(list, at, -1).text == ":"
end

-- what may be a value in a text: the whole of it, and its parts but the first; the last
-- part of a key ("tenant:blocked:x") is one
local function values (text, each)
  if not text:find("^[%w_@./:-]+$") or #text < 3 then return end
  each(text, true)
  for at, part in text:gmatch("()([^:/]+)") do
    if at > 1 and part ~= text and #part >= 3 and not part:find("^%d*$") then
      each(part, false, text:find(":", 1, true) and at + #part > #text)
    end
  end
end

-- text -> how often it is used, in how many ways, and what it could be called
local function count_values ()
  local found = {}
  local function add (value, way, name, last)
    local f = found[value] or { n = 0, ways = {}, of = 0 }
    if not f.ways[way] then f.ways[way], f.of = true, f.of + 1 end
    f.n, f.name, f.last = f.n + 1, f.name or name, f.last or last
    found[value] = f
  end
  for _, p in ipairs(parts) do
    for i, t in ipairs(p.used and not p.system and p.tokens or {}) do
      if t.kind == "string" and t.value and issql(p.tokens, i) then
        for schema in t.value:gmatch("([%w_]+)%.[%a_\"]") do add(schema, "schema") end
        for quoted in t.value:gmatch("'([^']+)'") do values(quoted, function (v) add(v, "sql") end) end
      elseif t.kind == "string" and t.value then
        local key, at = near(p.tokens, i, -1)
        local name = key.text == "=" and near(p.tokens, at, -1).text:match("^[%a_][%w_]*$") or nil
        values(t.value, function (v, whole, last)
          add(v, whole and "whole" or "part", name or not whole and t.value:match("^[%a_]+") or nil, last)
        end)
      end
    end
  end
  return found
end

-- A value that is used more than once is a parameter, unless it is part of a longer one.
local function lift_repeated ()
  local found, list = count_values(), {}
  for value, f in pairs(found) do
    if f.n > 1 and (f.of > 1 or f.ways.schema or f.last) and value ~= "public" and value ~= "true"
       and value ~= "false" then list[#list + 1] = value end
  end
  for value, f in pairs(found) do
    local inside = false
    for _, v in ipairs(list) do inside = inside or value:find(v, 1, true) end
    if f.n > 1 and f.ways.whole and f.name and not inside then list[#list + 1] = value end
  end
  table.sort(list)
  for _, value in ipairs(list) do
    local f = found[value]
    local name, n = f.name or f.ways.schema and "schema" or "value", 1
    if taken[name] or reserved[name] then
      repeat n = n + 1 until not taken[name .. n]
      name = name .. n
    end
    param(name, { kind = f.ways.schema and "identifier" or "string", value = value })
  end
end

local function plain (s) return (s:gsub("%p", "%%%0")) end

-- a text of SQL with the parameters' names in place of their values, and those names
local function sql (text)
  local names = {}
  for _, name in ipairs(order) do
    local v = params[name].value
    if type(v) == "string" and not params[name].default then
      local n, m
      text, n = text:gsub("%f[%w_\"]\"?" .. plain(v) .. "\"?%.", ':"' .. name .. '".')
      text, m = text:gsub("'" .. plain(v) .. "'", ":" .. name)
      if n + m > 0 then names[#names + 1] = name end
    end
  end
  return text, names
end

-- '"tenant:blocked:" .. run.tenant', or nil where it holds no parameter
local function text_of (value)
  local rest, out, found = value, {}, false
  while rest ~= "" do
    local first, last, name
    for _, n in ipairs(order) do
      local v = params[n].value
      if type(v) == "string" and not params[n].default then
        local a, b = rest:find("%f[%w_]" .. plain(v) .. "%f[^%w_]")
        if a and (not first or a < first) then first, last, name = a, b, n end
      end
    end
    if not first then break end
    if first > 1 then out[#out + 1] = format("%q", rest:sub(1, first - 1)) end
    out[#out + 1], found, rest = "run." .. name, true, rest:sub(last + 1)
  end
  if rest ~= "" then out[#out + 1] = format("%q", rest) end
  return found and concat(out, " .. ") or nil
end

for _, p in ipairs(parts) do study(p) end
name_last()
mark_used()
lift_assigned()
lift_repeated()
T.params, T.order, T.tokens, T.near, T.variables = params, order, tokens, near, variables
T.issql, T.sql, T.text_of, T.plain = issql, sql, text_of, plain
