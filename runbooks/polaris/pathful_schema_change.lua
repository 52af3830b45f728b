-- Pathful's export has other columns than before: pause, compare, map, test, resume.
--
-- The contract is a setting, since the page only points at it. A column that was renamed
-- is proposed by how alike the names are, and a person agrees before the alias map is
-- written: a wrong guess would import wrong data in silence. Nothing is ever imported
-- with a required column missing. What fails later leaves the schedule paused.

local polaris = system "polaris"
local names, settings = polaris.schema, polaris.settings
local schedule = require "feature" (polaris, "pathful_imports")
local header = require "pathful_parts"

local function percent (n, of) return of > 0 and 100 * n / of or 0 end

local function last_import ()
  return polaris.pg:row([[SELECT id, at, file, rows, invalid_rows, status, error
                            FROM :"imports" ORDER BY id DESC LIMIT 1]])
end

-- the first import after the test that is none of ours
local function first_import (run)
  return polaris.pg:row([[SELECT id, file, rows, invalid_rows, status, error FROM :"imports"
    WHERE id > :last AND file <> :test ORDER BY id LIMIT 1]],
    { last = run.last_id, test = run.test_file })
end

local function went_well (it)
  return it.status == "ok" and percent(it.invalid_rows, it.rows) <= names.invalid_percent
end

local function words (it)
  return text.render("{file}: {status}, {invalid} of {rows} rows invalid{error}", { file = it.file,
    status = it.status, invalid = it.invalid_rows, rows = it.rows, error = it.error and ": " .. it.error or "" })
end

return runbook {
  title    = "Pathful schema change",
  system   = "polaris",
  use_when = "Imports miss required columns or have unexpected ones, many rows are invalid, or everybody is Not Started.",
  impact   = "No imports from Pathful until the new columns are mapped; dashboards keep what they have.",
  severity = "SEV2",
  lock     = "pathful_imports",
  limits   = { files = 12, http_writes = 4, redis_keys = 6 },
  params   = {
    sample = { "path", required = true, help = "an export of Pathful in its new form (CSV)" },
    alias  = { "string", default = "", help = "what likeness cannot know: \"NEW=COLUMN; NEW=COLUMN\"" },
    watch  = { "duration", default = "5m", help = "how long to wait for the first import" },
  },

  step "What are the symptoms?" {
    probe = function (run)
      header.contract()
      local last = last_import()
      run.last_id = last and last.id or 0
      local lacks = last and last.error and last.error:find("missing required columns", 1, true)
      run:finding("last import", last and words(last) or "none",
                  last and last.status == "ok" and "ok" or "bad")
      run:finding("missing required columns", lacks and "yes" or "no", lacks and "bad" or "ok")
      local rate = last and percent(last.invalid_rows, last.rows) or 0
      run:finding("invalid rows", string.format("%.1f %%, limit %d %%", rate, names.invalid_percent),
                  rate > names.invalid_percent and "bad" or "ok")
      local n = polaris.pg:row([[
        SELECT count(*) AS teachers, count(*) FILTER (WHERE status = 'Not Started') AS idle,
               count(*) FILTER (WHERE status = 'Not Started' AND EXISTS (SELECT FROM :"sessions" s
                                 WHERE s.teacher_id = t.id AND s.status = 'Attended')) AS wrong
          FROM :"roster" t WHERE active]])
      run:finding("teachers Not Started", text.render("{idle} of {teachers}; {wrong} of them have attended", n),
                  n.wrong > 0 and "bad" or "ok")
    end,
  },

  step "Pause the imports" {
    probe = function (run) run.was_on = schedule:is_on() end,
    remedy = function () schedule:turn_off() end,
    verify = function () return expect(not schedule:is_on(), schedule:where() .. " is off") end,
    undo_when = "asked",
  },

  step "Keep the sample" {
    probe = function (run)
      run.kept = text.render("{folder}/pathful-{hash}.csv", { folder = header.setting "samples",
                                                              hash = file.hash(run.sample):sub(1, 12) })
      run:finding("sample", run.kept)
    end,
    remedy = function (run) file.copy(run.sample, run.kept) end,
    verify = function (run) return expect(file.hash(run.kept) == file.hash(run.sample), "the sample is kept") end,
    undo_when = "asked",
  },

  step "Which columns are missing, renamed or new?" {
    probe = function (run)
      local it = header.compare(csv.header(run.sample), run.alias)
      run.proposed, run.map, run.of = it.proposed, it.map, it.of
      local list = {}
      for i, p in ipairs(it.proposed) do list[i] = text.render("{from} is {to}", p) end
      run.proposal = table.concat(list, "; ")
      for _, p in ipairs(it.proposed) do
        run:finding("renamed: " .. p.to, text.render("{from} ({by})", p), "warn")
      end
      for _, name in ipairs(it.new) do run:finding("new: " .. name, "is in no contract: left out", "warn") end
      for _, name in ipairs(it.missing) do
        run:finding("missing: " .. name, it.required[name] and "required" or "not required",
                    it.required[name] and "bad" or "warn")
      end
      if #it.lacks > 0 then
        run:fail("required columns are missing: %s. Nothing is imported; where one has another name, say "
                 .. "alias=\"NEW=%s\"; else Pathful has to bring it back", table.concat(it.lacks, ", "), it.lacks[1])
      end
      if #it.proposed + #it.new + #it.missing == 0 then run:finding("columns", "as the contract has them", "ok") end
    end,
  },

  step "Agree to the new names" {
    id     = "agree-to-the-names",
    when   = function (run) return #run.proposed > 0, "no column has another name" end,
    manual = "Look into the sample: do the values agree with the names? {proposal}.",
  },

  step "Update the alias map" {
    when   = function (run) return #run.proposed > 0, "no column has another name" end,
    remedy = function (run) file.write(header.setting "aliases", header.text(run.map)) end,
    verify = function (run)
      local it = header.compare(csv.header(run.sample), "")
      return expect(#it.lacks == 0 and #it.proposed == 0, "every required column is found by the map")
    end,
  },

  step "Is the content as agreed?" {
    probe = function (run)
      local report = csv.validate(run.sample, header.rules(run.of))
      local bad = percent(report.bad_rows, report.rows)
      run:finding("rows", string.format("%d, %d of them invalid", report.rows, report.bad_rows),
                  bad > names.invalid_percent and "bad" or "ok")
      for i, p in ipairs(report.problems) do
        if i > names.shown then break end
        run:finding("line " .. tostring(p.line), p.message, "warn")
      end
      if bad > names.invalid_percent then
        run:fail("%.1f %% of the rows are invalid, limit %d %%: the values changed, not only the names",
                 bad, names.invalid_percent)
      end
    end,
  },

  step "Import a few rows" {
    probe = function (run)
      local rows = csv.rows(run.sample, { limit = names.test_rows[2] + 1, header = false })
      if #rows - 1 < names.test_rows[1] then
        run:fail("the sample has %d rows, and a test takes %d to %d", #rows - 1, names.test_rows[1], names.test_rows[2])
      end
      run.count = #rows - 1
      run.test_file = "test-" .. file.hash(run.sample):sub(1, 12) .. ".csv"
      run.sheet = csv.format(rows)
    end,
    remedy = function (run)
      polaris.http:post(names.import_sheet, { path = { file = run.test_file }, body = run.sheet,
                                              headers = { ["Content-Type"] = "text/csv" } })
    end,
    verify = function (run)
      local it = polaris.pg:row([[SELECT rows, invalid_rows, status, error FROM :"imports"
        WHERE id > :last AND file = :file ORDER BY id DESC LIMIT 1]],
        { last = run.last_id, file = run.test_file })
      expect(it, "the import of the test is recorded")
      expect(it.status == "ok", "the test was imported (" .. (it.error or it.status) .. ")")
      expect(it.invalid_rows == 0, "no row of the test is invalid (" .. it.invalid_rows .. " are)")
      return expect(it.rows == run.count, "all " .. run.count .. " rows came in (" .. it.rows .. " did)")
    end,
    undo_when = "asked",
    irreversible = "the rows of the test stay: an import of the same sessions writes over them",
  },

  step "Resume the schedule" {
    when   = function (run) return run.was_on, "it was paused before: whoever did that resumes it" end,
    remedy = function () schedule:turn_on() end,
    verify = function () return expect(schedule:is_on(), schedule:where() .. " is on") end,
  },

  step "How does the first import go?" {
    when  = function (run) return run.was_on, "the schedule is still paused" end,
    probe = function (run)
      local it = run:try(function ()
        return run:wait_until("the first import", { every = "500ms", within = run.watch },
                              function () return first_import(run) end)
      end)
      run.first = it or false
      run:finding("first import", it and words(it) or "none within " .. run.watch .. ": look again when it is due",
                  it and (went_well(it) and "ok" or "bad") or "warn")
    end,
  },

  step "Pause again, for it went wrong" {
    when = function (run)
      local bad = run.was_on and run.first and not went_well(run.first)
      return bad, run.was_on and run.first and "it went well" or "there was none"
    end,
    remedy = function () schedule:turn_off() end,
    verify = function (run)
      expect(not schedule:is_on(), schedule:where() .. " is off")
      run:fail("the first import went wrong: %s", words(run.first))
    end,
    undo_when = "asked",
  },
}
