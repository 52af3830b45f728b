-- answers.lua - fakes that answer what the test wrote down: everything that keeps nothing
local T = ...

-- an answer of a table by the best key: itself, or the longest pattern that matches
local function best (table_, matches)
  local found
  for key in pairs(table_) do
    if matches(key) and (found == nil or #key > #found) then found = key end
  end
  return found
end

local function numbered (t) return type(t) == "table" and t[1] ~= nil end

-- what a remedy without an inverse would do; 'p' is the rest of its plan
local function plan (summary, p)
  p.summary, p.undo = summary, p.undo or "by hand: there is no inverse"
  return { summary = summary, plan = p }
end

-- -- http -------------------------------------------------------------------------------

T.setrows("http", { methods = "get:probe head:probe options:probe post:classify put:classify "
  .. "patch:classify delete:classify" })

local http = {}
T.fakes.http = http

local function encoded (s)
  return (tostring(s):gsub("[^%w%-%._~]", function (c) return ("%%%02X"):format(c:byte()) end))
end

local function parameters (t)
  local list = {}
  for k, v in pairs(t) do list[#list + 1] = encoded(k) .. "=" .. encoded(v) end
  table.sort(list)
  return table.concat(list, "&")
end

local function request (q)
  local o = q.args[2] or {}
  local path = q.args[1]:gsub("{([%w_]+)}", function (name)
    local value = (o.path or {})[name]
    if value == nil then T.misuse(("%s: the path %s takes %s, which `path` has not"):format(q.resource, q.args[1], name)) end
    return encoded(value)
  end)
  local body = o.body
  if o.json ~= nil then body = json.encode(o.json) elseif o.form then body = parameters(o.form) end
  local r = { method = q.verb:upper(), path = path, query = o.query or {}, headers = o.headers or {},
              json = o.json, form = o.form, body = body, within = o.timeout }
  r.whole = path .. (next(r.query) and "?" .. parameters(r.query) or "")
  return r, o
end

local function respond (q, r, answer)
  if type(answer) == "number" then answer = { status = answer } end
  if type(answer) == "string" then answer = { body = answer } end
  local headers = {}
  for k, v in pairs(answer.headers or {}) do headers[k:lower()] = v end
  local body = answer.body or ""
  if answer.json ~= nil then
    body = json.encode(answer.json)
    headers["content-type"] = headers["content-type"] or "application/json"
  end
  return { status = answer.status or 200, headers = headers, body = body,
           request = ("%s: %s %s"):format(q.resource, r.method, r.whole) }
end

local function isprobe (q, probes)
  for _, p in ipairs(probes or {}) do
    if T.matches(q.verb:upper() .. " " .. q.args[1], p, true) then return true end
  end
  return false
end

local function expected (status, list)
  if not list then return status >= 200 and status < 300 end
  for _, s in ipairs(list) do if s == status then return true end end
  return false
end

function http.ask (q, part)
  local system = T.world.systems[q.system]
  if q.phase == "classify" then return { value = isprobe(q, system.probes) and "probe" or "remedy" } end
  local r, o = request(q)
  local name, bare = r.method .. " " .. r.whole, r.method .. " " .. r.path
  local key = part and best(part, function (k) return k == name or k == bare or T.matches(name, k, true) end)
  if not key then T.surprise(bare, q.resource, ("[%q] = { status = 200, json = {} }"):format(name)) end
  if q.phase == "predict" then return {} end
  if q.phase == "preview" then
    return plan(name, { counts = { http_writes = 1 }, after = r.body and { value = r.body } or nil })
  end
  local answer = T.settle(T.turn(part[key], numbered), r)
  local takes = type(answer) == "table" and answer.takes and T.seconds(answer.takes)
  local response = respond(q, r, answer)
  if q.phase == "deed" and not expected(response.status, o.expect) then
    T.fail("server", ("%s: %s answered %d"):format(q.resource, name, response.status),
           response.status >= 400 and response.status < 500 and "not done" or "unknown")
  end
  return { value = response, type = "http.response", takes = takes, within = r.within and T.seconds(r.within),
           summary = ("%s -> %d"):format(name, response.status) }
end

-- -- pg -------------------------------------------------------------------------------------

T.setrows("pg", { methods = "query:probe row:probe value:probe explain:probe exec:remedy "
  .. "transaction:remedy" })

local pg = {}
T.fakes.pg = pg

-- the statement on one line, with the names that it is given
local function statement (q)
  local sql, values = q.args[1], type(q.args[2]) == "table" and q.args[2] or {}
  local named = sql:gsub(':"([%w_]+)"', function (name)
    return tostring(values[name] or (q.schema or {})[name] or ':"' .. name .. '"')
  end)
  return T.squeezed(named), T.squeezed(sql), values
end

local function find (q, part)
  local named, raw, values = statement(q)
  local low = named:lower()
  local key = part and best(part, function (k)
    local wanted = T.squeezed(k)
    return wanted == named or wanted == raw or T.matches(low, k:lower()) or T.matches(raw:lower(), k:lower())
  end)
  if not key then
    local gives = q.verb == "exec" and "affected = 1" or q.verb == "value" and "value = 1"
                  or q.verb == "row" and "row = {}" or "rows = {}"
    local cut = #named > 160 and T.quoted(named:sub(1, 150):gsub("%s%S*$", "")) or T.quoted(named)
    T.surprise("this statement: " .. named, q.resource, ("[%s] = { %s }"):format(cut, gives))
  end
  return part[key], named, values
end

-- an answer is a table {rows, row, value, affected, returning, does, ...}, or a value alone
local function settled (answer, values, named)
  answer = T.settle(answer, values, named)
  if type(answer) ~= "table" then answer = { value = answer } end
  return answer
end

local function firstcolumn (row)
  if type(row) ~= "table" then return row end
  local _, value = next(row)
  return value
end

local function result (q, a, named)
  local rows = a.rows or a.row and { a.row } or {}
  if type(rows) == "number" then rows = {} end
  if q.verb == "value" then
    if a.value ~= nil then return a.value end
    return firstcolumn(rows[1])
  elseif q.verb == "row" then return rows[1]
  elseif q.verb == "explain" then return a.value or "a plan"
  elseif q.verb == "query" then return rows end
  if not a.affected then
    T.fail("misuse", "the test's answer to '" .. named .. "' says no `affected`")
  end
  return { rows = a.affected, returning = a.returning or {} }
end

local function target (named)
  local what = named:match("^%u+ %u+ ([^%s%(]+)") or named:match("^%u+ ([^%s%(]+)")
  return what or named:sub(1, 40)
end

local function described (named, affected)
  local verb = named:match("^%a+"):upper()
  local rows = affected and (affected .. (affected == 1 and " row" or " rows"))
  if not rows then return ("%s of %s, rows not counted"):format(verb, target(named)) end
  return ("%s %s %s %s %s"):format(verb, verb == "INSERT" and "adds" or "matches", rows,
                                   verb == "INSERT" and "to" or "of", target(named))
end

local function checkbounds (q, affected)
  local o = q.args[3]
  local bounds = type(o) == "table" and o.rows
  if not bounds then return end
  local low, high = bounds, bounds
  if type(bounds) == "table" then low, high = bounds[1], bounds[2] end
  if affected < low or affected > high then
    T.fail("drift", ("%s: %d rows would change, and the script takes %s; rolled back"):format(
      q.resource, affected, T.show(bounds)))
  end
end

-- what a statement would do: its answer is looked at, and its turn is not taken
local function preview (q, part)
  local answer, named, values = find(q, part)
  local a = T.turn(answer, numbered, "looks")
  local known = type(a) == "table" and a.affected
  if known and q.verb == "exec" then checkbounds(q, known) end
  return a, described(named, known), known, values
end

local tx  -- the transaction under way: { summaries, rows }

function pg.within (q, part)
  local looking = q.phase == "within preview"
  if looking and q.verb == "exec" then
    local a, summary, known = preview(q, part)
    tx.summaries[#tx.summaries + 1] = summary
    tx.rows = tx.rows + (known or 0)
    if not known then return { unknown = true } end
    return { value = { rows = known, returning = a.returning or {} } }
  end
  local answer, named, values = find(q, part)
  local a = settled(T.turn(answer, numbered, looking), values, named)
  local value = result(q, a, named)
  if q.verb == "exec" then checkbounds(q, a.affected) end
  if a.does and not looking then a.does(values, named) end
  return { value = value }
end

local function transaction (q)
  if q.phase == "begin" then
    tx = { summaries = {}, rows = 0 }
    return {}
  elseif q.phase ~= "preview" then return {} end
  local rows = tx.rows
  return plan("transaction: " .. table.concat(tx.summaries, "; "), {
    rows = rows, counts = { pg_rows = rows }, reach = "resource", guarded = true,
  })
end

function pg.ask (q, part)
  if q.verb == "transaction" then return transaction(q) end
  if q.phase:find("^within") then return pg.within(q, part) end
  if q.phase == "predict" then return {} end
  if q.phase == "preview" then
    local a, summary, known = preview(q, part)
    local exact = known and a.exact ~= false
    local p = plan(summary, { rows = known or nil, counts = { pg_rows = known or 0 },
                              reach = "resource", guarded = true, exact = exact or nil })
    if exact then p.plan.result = { rows = known, returning = a.returning or {} } end
    if known == 0 and exact then p.plan.verdict, p.plan.reason = "nothing to do", "no row matches" end
    return p
  end
  local answer, named, values = find(q, part)
  local a = settled(T.turn(answer, numbered), values, named)
  local value = result(q, a, named)
  if q.verb == "exec" then checkbounds(q, a.affected) end
  if a.does then a.does(values, named) end
  return { value = value, takes = a.takes and T.seconds(a.takes),
           summary = q.verb == "exec" and described(named, a.affected) or named:sub(1, 100) }
end

-- -- exec -------------------------------------------------------------------------------------

T.setrows("exec", { functions = "probe:probe run:remedy" })

local exec = {}
T.fakes.exec = exec

function exec.ask (q, part)
  local argv, words = q.args[1], {}
  for i, w in ipairs(argv) do words[i] = tostring(w) end
  local line = table.concat(words, " ")
  local key = part and best(part, function (k) return k == line or T.matches(line, k, true) end)
  if not key then T.surprise("the command " .. line, "exec", ("[%s] = { stdout = \"\" }"):format(T.quoted(line))) end
  if q.phase == "predict" then return {} end
  if q.phase == "preview" then return plan(line, { counts = { commands = 1 } }) end
  local a = T.settle(T.turn(part[key], numbered), words, argv)
  if type(a) == "string" then a = { stdout = a } end
  local code = a.code or 0
  if q.phase == "deed" then
    local good = false
    for _, c in ipairs(argv.expect or { 0 }) do good = good or c == code end
    if not good then
      T.fail("command", ("%s: exit code %d: %s"):format(words[1], code, a.stderr or ""), "unknown")
    end
  end
  return { value = { code = code, stdout = a.stdout or "", stderr = a.stderr or "" },
           takes = a.takes and T.seconds(a.takes), within = argv.timeout and T.seconds(argv.timeout),
           summary = line }
end

-- -- notices: taken, and remembered ---------------------------------------------------------------

local function list (v) return type(v) == "table" and table.concat(v, ", ") or tostring(v) end

local function blocks (v) return type(v) == "string" and v or json.encode(v) end

local notices = {
  mail = { rows = "send", to = function (m) return list(m.to) end,
           text = function (m) return (m.subject or "") .. "\n" .. (m.text or m.html or "") end },
  slack = { rows = "post", to = function (channel) return channel end,
            text = function (_, text) return blocks(text) end },
  teams = { rows = "post", to = function (channel) return channel end,
            text = function (_, text) return blocks(text) end },
  webhook = { rows = "post", to = function (name) return name end,
              text = function (_, payload) return blocks(payload) end },
  pagerduty = { rows = "trigger acknowledge resolve", to = function (m) return m.dedup or "" end,
                text = function (m) return m.summary or "" end },
}

for module, n in pairs(notices) do
  local ids = 0
  T.setrows(module, { functions = n.rows:gsub("%a+", "%0:notice") })
  T.fakes[module] = { ask = function (q)
    local to, text = n.to(table.unpack(q.args)), n.text(table.unpack(q.args))
    local summary = to .. ": " .. text:match("^[^\n]*")
    if q.phase == "preview" then
      local p = plan(summary, { after = { value = text }, counts = { notices = 1 },
                                undo = "not taken back: it has been told" })
      p.plan.writes = {}
      return p
    end
    ids = ids + 1
    local all = T.world.notices
    all[#all + 1] = { verb = module .. "." .. q.verb, to = to, text = text }
    return { value = module == "pagerduty" and q.args[1].dedup or module .. "-" .. ids, summary = summary }
  end }
end

-- -- anything that has no fake of its own: by verb, or verb and first argument -----------------------

local scripted = {}
T.scripted = scripted
T.setrows("backup", { methods = "list:probe verify:probe dump:remedy restore:remedy swap:remedy" })

function scripted.ask (q, part)
  local first = q.args[1]
  local text = q.verb
  if type(first) == "string" or type(first) == "number" then text = text .. " " .. first
  elseif type(first) == "table" then
    local words = {}
    for k, v in pairs(first) do words[#words + 1] = tostring(k) .. "=" .. tostring(v) end
    text = text .. " " .. table.concat(words, " ")
  end
  local key = part and (part[text] ~= nil and text or best(part, function (k) return T.matches(text, k, true) end)
                        or part[q.verb] ~= nil and q.verb)
  if not key then T.surprise(q.module .. "." .. text, q.resource, T.key(text) .. " = {}") end
  if q.phase == "predict" then return {} end
  if q.phase == "preview" then return plan(text, { counts = { commands = 0 } }) end
  local value = T.settle(T.turn(part[key], T.isturns), table.unpack(q.args, 1, q.n))
  return { value = value, summary = text }
end
