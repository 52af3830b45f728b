-- release_parts.lua - releases in git: which there are, what they need, and the way from one to another

local erp = system "school_erp"
local names = erp.schema

local release = {}

-- a setting that no rollback can do without
function release.setting (name)
  if erp.settings[name] == nil then
    error(text.render("the setting {name} of the system school_erp is missing ({means})",
                      { name = name, means = names.settings[name] }), 0)
  end
  return erp.settings[name]
end

-- what git says, without the last line's end; nil and why where it says no
local function git (...)
  local answer = exec.probe { "git", "--no-optional-locks", "-C", release.setting "repository", ... }
  if answer.code ~= 0 then return nil, answer.stderr:match("[^\n]+") or "exit code " .. answer.code end
  return (answer.stdout:gsub("\n$", ""))
end

local function must (...)
  local said, why = git(...)
  return said or expect(false, "git " .. (...) .. " works in " .. release.setting "repository" .. " (" .. why .. ")")
end

function release.folder () return release.setting "repository" end

-- the commit that is checked out, and its branch or nil
function release.here ()
  return must("rev-parse", "HEAD"), git("symbolic-ref", "--quiet", "--short", "HEAD")
end

-- the whole hash of a commit, a tag or a branch; nil where there is none
function release.find (name)
  return git("rev-parse", "--quiet", "--verify", "--end-of-options", name .. "^{commit}")
end

-- files that were changed by hand since the checkout
function release.changed ()
  local list = {}
  for line in must("status", "--porcelain", "--untracked-files=no"):gmatch("[^\n]+") do
    list[#list + 1] = line:sub(4)
  end
  return list
end

-- the file that says of itself what a release is, or {} where it has none
function release.about (commit)
  local words = git("show", commit .. ":" .. names.release_file)
  local ok, it = pcall(json.decode, words or "{}")
  return ok and type(it) == "table" and it or {}
end

-- the last ones, newest first: { hash, short, at, subject, version, needs }
function release.last (run, n)
  local list = {}
  for line in must("log", "--format=%H%x09%h%x09%cI%x09%s", "-" .. n):gmatch("[^\n]+") do
    local hash, short, at, subject = line:match("^(%x+)\t(%x+)\t([^\t]*)\t(.*)$")
    list[#list + 1] = { hash = hash, short = short, at = at, subject = subject }
  end
  for i, about in ipairs(run:each(list, { limit = 5 }, function (one) return release.about(one.hash) end)) do
    list[i].version, list[i].needs = about.version, about[names.release_needs]
  end
  return list
end

-- the migration that the database is at
function release.migration ()
  return erp.pg:value([[SELECT max(version) FROM public.:"migrations"]])
end

-- back to what was checked out before this run, unless that was done already
function release.go_back (run)
  if release.here() == run.old then return end
  local onbranch = run.branch and release.find(run.branch) == run.old
  exec.run { "git", "-C", release.folder(), "checkout", "--quiet",
             table.unpack(onbranch and { run.branch } or { "--detach", run.old }) }
  exec.run(erp.settings.build)
end

return release
