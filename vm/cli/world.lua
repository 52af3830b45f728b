-- What the databases of a drill's target hold, as findings: one for each table and key.
-- The drill runs it as a dry run; `resources` comes before it.

local function quoted (v) return type(v) == "string" and ("%q"):format(v) or tostring(v) end

local function flat (t)
  local out = {}
  for k, v in pairs(t) do
    out[#out + 1] = quoted(k) .. "=" .. (type(v) == "table" and flat(v) or quoted(v))
  end
  return table.concat(out, " ")
end

local function sorted (list)
  table.sort(list)
  return list
end

local read = {
  string = function (r, key) return quoted(r:get(key)) end,
  list   = function (r, key) return flat(r:lrange(key, 0, -1)) end,
  set    = function (r, key) return flat(sorted(r:smembers(key))) end,
  zset   = function (r, key) return flat(r:zrange(key, 0, -1, { scores = true })) end,
  hash   = function (r, key) return flat(r:hgetall(key)) end,
}

-- other types (streams) as the server writes them out
local function content (r, key)
  local type = r:type(key)
  local how = read[type] or function () return flat { r:command("DUMP", key) } end
  return type .. (r:ttl(key) and " that expires" or "") .. " " .. how(r, key)
end

local function look (run, name, fn)
  local value, err = run:try(fn)
  if value then run:finding(name, value) else run:finding(name, err.message, "bad") end
end

local each = {}

function each.redis (run, r, name)
  for _, key in ipairs(r:scan("*", { limit = 100000 })) do
    look(run, name .. " " .. key, function () return content(r, key) end)
  end
end

-- A schema that a restore put aside under the name of its run (greenwood_high__before_01m8...)
-- is kept on purpose, also by its undo: it is no part of what is compared.
function each.pg (run, p, name)
  look(run, name .. " (columns)", function ()
    return p:value [[SELECT md5(coalesce(string_agg(format('%s %s %s %s', attrelid::regclass, attname,
      format_type(atttypid, atttypmod), attnotnull), ',' ORDER BY attrelid::regclass::text, attnum), ''))
      FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
      WHERE attnum > 0 AND c.relkind IN ('r', 'p', 'v', 'm') AND c.relnamespace::regnamespace::text
      !~ '^"?(pg_|information_schema)|__(before|after)_[0-9a-z]{26}"?$']]
  end)
  for _, t in ipairs(p:query [[SELECT schemaname AS s, tablename AS t FROM pg_tables
      WHERE schemaname !~ '^pg_|^information_schema$|__(before|after)_[0-9a-z]{26}$'
      ORDER BY 1, 2]]) do
    look(run, name .. " " .. t.s .. "." .. t.t, function ()
      return p:value([[SELECT count(*) || ' rows ' || md5(coalesce(string_agg(md5(drill_row::text), ''
        ORDER BY md5(drill_row::text)), '')) FROM :"s".:"t" AS drill_row]], t)
    end)
  end
end

local steps = { title = "The world", }
for i, r in ipairs(resources) do
  local name = r[1] .. "." .. r[2]
  steps[i] = step(name) {
    probe = function (run)
      local _, err = run:try(function () each[r[2]](run, system(r[1])[r[2]], name) end)
      if err then run:finding(name, err.message, "bad") end
    end,
  }
end
if #resources == 0 then steps[1] = step "nothing" { probe = function () end } end

return runbook(steps)
