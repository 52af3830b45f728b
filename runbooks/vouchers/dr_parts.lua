-- dr_parts.lua - what the tabletop counts, reads and asks: dates, the script's files, answers

local vouchers, staging = system "vouchers", system "vouchers_staging"
local names = vouchers.schema

local dr = {}

-- of production (or of another system), with a clear error where it is not configured
function dr.setting (name, of)
  local value = (of or vouchers).settings[name]
  if value == nil then
    error(text.render("the setting {name} of the system {system} is missing ({what})", { name = name,
      system = of == staging and "vouchers_staging" or "vouchers", what = names.settings[name] }), 0)
  end
  return value
end

-- all of them are there: nobody is paged before
function dr.settings ()
  for name in pairs(names.settings) do dr.setting(name) end
  dr.setting("project_ref", staging)
end

function dr.day (t) return time.format(t, "%Y-%m-%d") end
function dr.clock (t) return time.format(t, "%Y-%m-%d %H:%M:%S") .. " UTC" end
function dr.folder () return dr.setting "incidents" .. "/templates" end

-- "11 min 4 s"
function dr.span (seconds)
  local s = math.floor(seconds + 0.5)
  return s < 60 and s .. " s" or string.format("%d min %d s", s // 60, s % 60)
end

-- -- the cadence --------------------------------------------------------------------------

-- the first Tuesday of that month, at the hour of the exercise
local function first_tuesday (year, month)
  for day = 1, 7 do
    local t = time.parse(string.format("%04d-%02d-%02dT%s:00Z", year, month, day, names.hour))
    if time.format(t, "%u") == "2" then return t end
  end
end

-- the next exercise from that time on; its whole day still counts
function dr.next_exercise (t)
  local year, month = tonumber(time.format(t, "%Y")), tonumber(time.format(t, "%m"))
  month = month - (month - 1) % 3
  local at = first_tuesday(year, month)
  if dr.day(at) >= dr.day(t) then return at end
  month = month + 3
  if month > 12 then year, month = year + 1, 1 end
  return first_tuesday(year, month)
end

-- -- what databases hold --------------------------------------------------------------------

-- who answers there: two names for one database say the same
dr.identity = "SELECT current_database() || ' since ' || pg_postmaster_start_time()"

-- rows by table
function dr.counts (run, sys)
  local list, of = {}, {}
  for i, row in ipairs(sys.pg:query([[SELECT tablename AS name FROM pg_tables
      WHERE schemaname = :data ORDER BY tablename]], { data = names.data })) do list[i] = row.name end
  local rows = run:each(list, { limit = 4 }, function (name)
    return sys.pg:value([[SELECT count(*) FROM :"data".:"name"]], { data = names.data, name = name })
  end)
  for i, name in ipairs(list) do of[name] = rows[i] end
  return of
end

-- -- what the script says ---------------------------------------------------------------------

-- { runtime, destination, storage, failed }; a field that its log does not have is false
function dr.log (lines)
  local it = { runtime = false, destination = false, storage = false, failed = false }
  for _, line in ipairs(lines) do
    for name in pairs(it) do
      it[name] = line:match(names["log_" .. name]) or it[name]
    end
  end
  return it
end

-- rowcount.csv as { { table, source, backup }, ... }, counts as numbers
function dr.rowcount (path)
  local list = {}
  for i, row in ipairs(csv.rows(path)) do
    local it = { table = row[names.rowcount_table], source = math.tointeger(tonumber(row[names.rowcount_source])),
                 backup = math.tointeger(tonumber(row[names.rowcount_backup])) }
    if not (it.table and it.source and it.backup) then
      error(text.render("{path}: row {i} has no table name and two numbers in the columns {a}, {b}, {c}", { path = path,
        i = i, a = names.rowcount_table, b = names.rowcount_source, c = names.rowcount_backup }), 0)
    end
    list[i] = it
  end
  return list
end

-- -- answers ------------------------------------------------------------------------------------

-- what `read` makes of the answer; where it makes nothing of it (nil, why), it is asked again
-- under another id, since an answer that was given stays given
function dr.ask (run, id, question, read)
  local n, why = 1, nil
  while true do
    local said = run:ask { id = n == 1 and id or "again-" .. n .. "-" .. id,
                           question = (why and why .. ". " or "") .. question }
    local value
    value, why = read(said)
    if value ~= nil then return value end
    n = n + 1
  end
end

local function trim (s) return s:match "^%s*(.-)%s*$" end

-- "2m10s" as seconds; false for "none"
function dr.read_delay (said)
  said = trim(said)
  if said:lower() == "none" then return false end
  local plain = said:gsub("%d+[hms]", "")
  if said == "" or plain ~= "" then return nil, '"' .. said .. '" is no time such as 2m10s, and not "none"' end
  return time.seconds(said)
end

function dr.read_name (said)
  said = trim(said)
  if said == "" then return nil, "Nobody was named" end
  return said
end

local function isday (s)
  return s:match "^%d%d%d%d%-%d%d%-%d%d$" ~= nil and pcall(time.parse, s)
end

-- "OWNER, 2025-01-31, what to do" as { owner, due, what }
function dr.read_action (said)
  local owner, due, what = said:match "^%s*([^,]-)%s*,%s*([^,%s]+)%s*,?%s*(.-)%s*$"
  if not owner or owner == "" or not isday(due) then
    return nil, '"' .. trim(said) .. '" is not OWNER, YYYY-MM-DD'
  end
  return { owner = owner, due = due, what = what }
end

-- "WHAT | OWNER | 2025-01-31; ..." as a list of { what, owner, due }; "none" is an empty one
function dr.read_findings (said)
  local list = {}
  if trim(said):lower() == "none" then return list end
  for part in said:gmatch "[^;\n]+" do
    if trim(part) ~= "" then
      local what, owner, due = part:match "^%s*(.-)%s*|%s*(.-)%s*|%s*(.-)%s*$"
      if not what or what == "" or owner == "" or not isday(due) then
        return nil, '"' .. trim(part) .. '" is not WHAT | OWNER | YYYY-MM-DD'
      end
      list[#list + 1] = { what = what, owner = owner, due = due }
    end
  end
  if #list == 0 then return nil, 'Nothing was said; "none" is an answer, too' end
  return list
end

-- "a; b" as a list; "none" is an empty one
function dr.read_list (said)
  local list = {}
  if trim(said):lower() == "none" then return list end
  for part in said:gmatch "[^;\n]+" do
    if trim(part) ~= "" then list[#list + 1] = trim(part) end
  end
  if #list == 0 then return nil, 'Nothing was said; "none" is an answer, too' end
  return list
end

-- -- the findings file -----------------------------------------------------------------------------

local latest = "\n### Latest Findings ("

-- the lines of the last exercise's findings, and its day; the page's own where the file has none
function dr.last_findings (content)
  local from = ("\n" .. content):find(latest, 1, true)
  if not from then return names.last_findings, false end
  local day, body = ("\n" .. content):sub(from + #latest):match "^([^)]-)%s*Tabletop%)(.*)$"
  local list = {}
  for line in ((body or ""):match "^(.-)\n##" or body or ""):gmatch "[^\n]+" do
    local said = line:match "^%s*[-*]%s+(.+)$"
    if said then list[#list + 1] = said end
  end
  return list, day or false
end

-- the file with a section more, above the one that was the latest, and the next day in its cadence
function dr.with_findings (content, section, next_day)
  content = ("\n" .. content):gsub("%(next: %d%d%d%d%-%d%d%-%d%d%)", "(next: " .. next_day .. ")")
  local from = content:find(latest, 1, true)
  if not from then return (content .. "\n" .. section):sub(2) end
  local before, after = content:sub(1, from), content:sub(from + 1)
  return (before .. section .. "\n" .. after:gsub("^### Latest Findings", "### Findings", 1)):sub(2)
end

return dr
