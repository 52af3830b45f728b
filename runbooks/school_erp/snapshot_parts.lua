-- snapshot_parts.lua - which snapshot one school can be restored from, and what that would change

local erp = system "school_erp"
local names = erp.schema

local snapshot = {}

local function has (list, what)
  for _, one in ipairs(list) do
    if one == what then return true end
  end
  return false
end

-- dumps are called LABEL-SCHEMA-TIME.sql
function snapshot.labelled (name, label) return name:sub(1, #label + 1) == label .. "-" end

-- taken of what was there when something was wrong: never good by themselves
function snapshot.of_trouble (name)
  return snapshot.labelled(name, names.emergency_snapshot)
      or snapshot.labelled(name, names.forensic_snapshot)
end

-- nil, or why the school cannot be restored from this dump, which verify() found whole;
-- the words go on after its name
function snapshot.unfit (dump, tenant)
  local holds = table.concat(dump.schemas, ", ")
  if not has(dump.schemas, tenant) then
    return text.render("holds {holds}, not {tenant}",
                       { tenant = tenant, holds = #dump.schemas > 0 and holds or "no schema" })
  end
  if dump.format == "plain" and #dump.schemas > 1 then
    return text.render("holds a whole database ({holds}), and one school cannot be taken out of a plain dump",
                       { holds = holds })
  end
  local server = erp.pg:value("SELECT current_setting('server_version_num')::int / 10000")
  local version = tonumber((dump.server or ""):match("^%d+"))
  if version and version > server then
    return text.render("is of PostgreSQL {version}, and the server is {server}",
                       { version = version, server = server })
  end
end

-- the newest dump that will do, or nil; and a list of { name, at, bytes, is }, the newest
-- first, of what was looked at and what is older
function snapshot.newest (run)
  local found, list = nil, {}
  for _, file in ipairs(erp.backup:list()) do
    local is = "not looked at, there is a newer one"
    if snapshot.of_trouble(file.name) then
      is = "was taken in an emergency: only when it is named"
    elseif not found then
      local dump, err = run:try(function () return erp.backup:verify(file.name) end)
      local why = not dump and err.message or dump and snapshot.unfit(dump, run.tenant)
      if not why then found = dump end
      is = why or "is whole, and of " .. run.tenant
    end
    list[#list + 1] = { name = file.name, at = file.at, bytes = file.bytes, is = is }
  end
  return found, list
end

-- tables of a schema, sorted
function snapshot.tables (tenant)
  return erp.pg:query([[
    SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = :tenant AND c.relkind = 'r' ORDER BY c.relname]], { tenant = tenant })
end

-- { [table] = rows } of a schema as it is now
function snapshot.rows (run, tenant)
  local tables, counts = snapshot.tables(tenant), {}
  local numbers = run:each(tables, { limit = 4 }, function (one)
    return erp.pg:value([[SELECT count(*) FROM ONLY :"tenant".:"table"]],
                        { tenant = tenant, table = one.name })
  end)
  for i, one in ipairs(tables) do counts[one.name] = numbers[i] end
  return counts
end

-- { [table] = rows } of the school in the dump, or nil where it does not say
function snapshot.counts (dump, tenant)
  if not dump.counts then return nil end
  local counts, prefix = {}, tenant .. "."
  for name, rows in pairs(dump.counts) do
    if name:sub(1, #prefix) == prefix then counts[name:sub(#prefix + 1)] = rows end
  end
  return counts
end

-- What a restore would bring back and take away: a list of { name, now, dump, gone }, one
-- for each table that differs; `now` or `dump` is nil where there is no such table, and
-- `gone` says in words what has been lost, where it is more than a table may lose by itself.
function snapshot.compare (now, dump)
  local all, list = {}, {}
  for name in pairs(now) do all[name] = true end
  for name in pairs(dump) do all[name] = true end
  for name in pairs(all) do
    local is, was = now[name], dump[name]
    local gone
    if was and not is then
      gone = "the table " .. name .. " is gone"
    elseif was and not has(names.passing_tables, name) and was > 0
           and is < was * (100 - names.loss_percent) / 100 then
      gone = text.render("{name} has {is} rows of {was}", { name = name, is = is, was = was })
    end
    if is ~= was then list[#list + 1] = { name = name, now = is, dump = was, gone = gone } end
  end
  return list
end

-- what outside the schema would go on pointing at the old tables: { what =, name =, binds = },
-- `binds` where the restore binds it to the new ones by itself
function snapshot.outside (tenant)
  return erp.pg:query([[
    SELECT 'foreign key' AS what, c.oid::regclass::text AS name, false AS binds
      FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
      JOIN pg_class f ON f.oid = k.confrelid JOIN pg_namespace n ON n.oid = f.relnamespace
     WHERE k.contype = 'f' AND n.nspname = :tenant AND c.relnamespace <> n.oid
    UNION
    SELECT CASE c.relkind WHEN 'v' THEN 'view' ELSE 'materialized view' END,
           c.oid::regclass::text, c.relkind = 'v'
      FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class c ON c.oid = r.ev_class
      JOIN pg_class t ON t.oid = d.refobjid JOIN pg_namespace n ON n.oid = t.relnamespace
     WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
       AND n.nspname = :tenant AND c.relnamespace <> n.oid
     ORDER BY 1, 2]], { tenant = tenant })
end

return snapshot
