-- pathful_parts.lua - the header of an export against the contract and the alias map

local polaris = system "polaris"
local names, settings = polaris.schema, polaris.settings

local header = {}

function header.setting (name)
  if settings[name] == nil then
    error("the setting " .. name .. " of the system polaris is missing (" .. names.settings[name] .. ")", 0)
  end
  return settings[name]
end

-- columns and required, lists of names
function header.contract ()
  local it = header.setting "pathful_contract"
  if type(it.columns) ~= "table" or type(it.required) ~= "table" or #it.required == 0 then
    error("the setting pathful_contract needs columns = { ... } and required = { ... }", 0)
  end
  return it
end

-- only letters and digits count for the likeness of two names
local function plain (name) return (name:lower():gsub("[^%w\128-\255]", "")) end

local function set (list)
  local of = {}
  for _, name in ipairs(list) do of[name] = true end
  return of
end

-- "NEW=COLUMN; NEW=COLUMN" as a map
local function given (said, known)
  local map = {}
  for part in said:gmatch("[^;]+") do
    local from, to = part:match("^%s*(.-)%s*=%s*(.-)%s*$")
    if not from or from == "" or not known[to] then
      error("alias takes \"NEW=COLUMN\" with a column of the contract, not \"" .. part .. "\"", 0)
    end
    map[from] = to
  end
  return map
end

-- the likest pairs first, each name once: { from, to, by }
local function likeness (new, missing)
  local pairs_, taken, found = {}, {}, {}
  for _, to in ipairs(missing) do
    for _, from in ipairs(new) do
      local like = text.similarity(plain(from), plain(to))
      if like >= names.column_alike then pairs_[#pairs_ + 1] = { from = from, to = to, like = like } end
    end
  end
  table.sort(pairs_, function (a, b) return a.like > b.like end)
  for _, p in ipairs(pairs_) do
    if not taken["<" .. p.from] and not taken[">" .. p.to] then
      taken["<" .. p.from], taken[">" .. p.to] = true, true
      p.by = string.format("alike by %.2f", p.like)
      found[#found + 1] = p
    end
  end
  return found
end

-- What the header says: `of`, contract's name -> its name in the file; `proposed`, renames that
-- the alias map does not have yet; `map`, the alias map with them; `new`, `missing`, and `lacks`,
-- the required columns that are in none of it. Two columns for one name are an error.
function header.compare (columns, said)
  local contract = header.contract()
  local known, required = set(contract.columns), set(contract.required)
  for _, name in ipairs(contract.required) do known[name] = true end
  local aliases = json.decode(file.read(header.setting "aliases"))
  local extra = given(said, known)
  local it = { of = {}, proposed = {}, new = {}, missing = {}, lacks = {}, map = aliases, required = required }
  local open = {}
  local function put (from, to)
    if it.of[to] then
      error(text.render("the sample has two columns for {to}: {a} and {b}", { to = to, a = it.of[to], b = from }), 0)
    end
    it.of[to] = from
  end
  for _, name in ipairs(columns) do
    if known[name] then put(name, name)
    elseif known[aliases[name]] then put(name, aliases[name])
    elseif extra[name] then
      put(name, extra[name])
      it.proposed[#it.proposed + 1] = { from = name, to = extra[name], by = "as you said" }
    else open[#open + 1] = name end
  end
  local missing = {}
  for _, name in ipairs(contract.columns) do
    if not it.of[name] then missing[#missing + 1] = name end
  end
  for _, p in ipairs(likeness(open, missing)) do
    it.of[p.to] = p.from
    it.proposed[#it.proposed + 1] = p
  end
  for _, p in ipairs(it.proposed) do it.map[p.from] = p.to end
  local used = {}
  for _, from in pairs(it.of) do used[from] = true end
  for _, name in ipairs(open) do if not used[name] then it.new[#it.new + 1] = name end end
  for _, name in ipairs(contract.columns) do
    if not it.of[name] then it.missing[#it.missing + 1] = name end
  end
  for _, name in ipairs(contract.required) do
    if not it.of[name] then it.lacks[#it.lacks + 1] = name end
  end
  return it
end

-- the alias map as its file has it
function header.text (map) return json.encode(map, { indent = 2 }) .. "\n" end

-- the contract for csv.validate, with the names that the file has
function header.rules (of)
  local contract, required, columns = header.contract(), {}, {}
  for i, name in ipairs(contract.required) do
    required[i] = of[name]
    columns[of[name]] = { filled = true, type = (contract.types or {})[name] }
  end
  return { required = required, columns = columns, problems = names.shown }
end

return header
