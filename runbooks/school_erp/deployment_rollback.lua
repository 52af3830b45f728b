-- Level 3, code: back to the last good release.
--
-- Which one that was is a person's word: the last ten are shown, each with the migration
-- that it needs, and one that needs more than the database has is refused, since it would
-- not get ready. The page this comes from is silent about migrations that have run since:
-- the older release then meets tables that it does not know, so a person has to say that
-- they are harmless to it. Its docker variant cannot work: the name of the stopped
-- container is still taken, and a container without the options of the old one has
-- neither ports nor settings. Here the old one keeps its image under another name, and
-- the options are a setting.

local erp = system "school_erp"
local names = erp.schema
local release = require "release_parts"
local tenant = require "tenant_parts"

local function get (path) return erp.http:get(path, { timeout = "10s" }) end

-- what a page of the server says; nil and why where it says nothing
local function look (run, path)
  local answer, err = run:try(function () return get(path) end)
  if not answer then return nil, err.message end
  return run:try(function () return answer:json() end) or {}, "status " .. answer.status
end

local function ready ()
  local answer = get(names.ready)
  for check, state in pairs(answer:json().checks or {}) do
    expect(state == "ok", text.render("{check} is ok (it is {state})", { check = check, state = state }))
  end
  return expect(answer:ok(), "the server is ready (status " .. answer.status .. ")")
end

local function image (tag) return erp.settings.image .. ":" .. tag end
local function aside (run) return names.container .. "-before-" .. run.id:lower() end

-- the admins whom the settings know, by school
local function admins ()
  local list = {}
  for name, it in pairs(erp.settings.school_names or {}) do
    if it.admin then list[#list + 1] = { tenant = name, admin = it.admin } end
  end
  return list
end

local none = "settings.school_names has no admin"
local words = tenant.letter_text(names.rollback_takes[2])

-- the mail before, and the same for a person; one pair in each case
local function tell_away (id)
  return step "Tell the schools that the system will be away" {
    id     = id,
    when   = function () return #admins() > 0, none end,
    notify = function ()
      for _, it in ipairs(admins()) do
        mail.send{ to = it.admin, subject = tenant.letter_subject(it.tenant), text = words }
      end
    end,
  }
end

local function tell_away_by_hand (id)
  return step "Tell the schools by hand that the system will be away" {
    id     = id,
    when   = function () return #admins() == 0, "mails were sent" end,
    manual = "Write to the admin of every school. Scheduled maintenance: " .. words,
  }
end

return runbook {
  title    = "Deployment rollback",
  system   = "school_erp",
  use_when = "A bad deployment broke production.",
  impact   = "The whole system is down for 5 to 15 minutes.",
  approve  = { "tech-lead", "cto" },
  lock     = "service",
  limits   = { commands = 6, notices = 200 },
  params   = {
    commit = { "string", default = "", help = "the good release: a commit or tag of git; under docker, a tag of the image" },
  },

  step "How is it now?" {
    probe = function (run)
      local health, why = look(run, names.health)
      run:finding("health before", health and health.overallHealth or why,
                  health and health.overallHealth == names.good and "ok" or "bad")
      local page, said = look(run, names.ready)
      run:finding("ready before", said, page and said == "status 200" and "ok" or "bad")
      local alive = look(run, names.alive)
      run:finding("release that runs", alive and alive.version or "unknown")
      for _, alert in ipairs(health and health.alerts or {}) do
        run:finding("alert " .. alert.code, tostring(alert.value) .. ", limit " .. tostring(alert.threshold), "bad")
      end
    end,
  },

  case "pm2" {
    title    = "The release is in git: check it out, build, restart",
    severity = "P0",
    when     = function ()
      local docker = erp.settings.image
      return not docker, docker and "settings.image names a docker image" or "settings.image names no docker image"
    end,

    step "Which releases were there?" {
      probe = function (run)
        release.setting "build"
        run.old, run.branch = release.here()
        run.branch = run.branch or false
        run.releases = release.last(run, names.last_commits)
        local has = run:try(release.migration)
        run.has = has or "nobody knows where"
        run:finding("migrations in the database", has or "cannot be asked", has and "ok" or "bad")
        for _, it in ipairs(run.releases) do
          local fits = has and it.needs and it.needs <= has
          run:finding(it.short .. (it.hash == run.old and " (checked out)" or ""),
            text.render("{version}, needs migration {needs}: {subject}, {at}", { version = it.version or "no version",
              needs = it.needs or "unknown", subject = it.subject, at = it.at }), fits and "ok" or "warn")
        end
      end,
    },

    step "Which is the last good one?" {
      probe = function (run)
        local name = run.commit
        if name == "" then
          local choices = {}
          for _, it in ipairs(run.releases) do
            if it.hash ~= run.old then choices[#choices + 1] = it.short .. " " .. it.subject end
          end
          name = run:choose { id = "last-good-release", question = "Which release was the last good one?",
                              choices = choices }:match("^%x+")
        end
        local hash = release.find(name)
        if not hash then
          run:fail("there is no release '%s' in %s; the one before this is %s", name, release.folder(),
                   run.releases[2] and run.releases[2].short or "none")
        end
        if hash == run.old then
          run:fail("%s is checked out already: if it does not run, see service_restart", name)
        end
        run.good, run.about = hash, release.about(hash)
        run:finding("back to", hash:sub(1, 12) .. ", " .. (run.about.version or "no version"), "ok")
      end,
    },

    step "Was anything changed by hand?" {
      probe = function (run)
        local changed = release.changed()
        if #changed > 0 then
          run:fail("changed by hand in %s: %s. Keep it elsewhere first (git stash)", release.folder(),
                   table.concat(changed, ", "))
        end
      end,
    },

    step "Does the database fit that release?" {
      probe = function (run)
        local needs, has = run.about[names.release_needs], run.has
        local known = math.type(needs) and math.type(has)
        if known and needs > has then
          run:fail("it needs migration %d and the database is at %d: it would not get ready. Take an older one", needs, has)
        end
        run.needs, run.ahead = needs or "nobody knows which", not known or has > needs
        run:finding("migrations", not known and "cannot be compared" or run.ahead
          and text.render("the database is at {has}, the release knows {needs}", { has = has, needs = needs })
          or "as the release knows them", run.ahead and "bad" or "ok")
      end,
    },

    step "Are the newer migrations harmless to it?" {
      when   = function (run) return run.ahead, "the release knows all of them" end,
      manual = "Read the migrations that ran after it: the release knows {needs}, the database is at {has}. Tables or "
            .. "columns only added: done. Anything renamed, dropped or rewritten: not done; such a migration has to be "
            .. "taken back first, or the data go back with the code (database_restore).",
    },

    tell_away("tell-the-schools"),
    tell_away_by_hand("tell-the-schools-by-hand"),

    step "Check out the good release" {
      remedy = function (run)
        exec.run { "git", "-C", release.folder(), "checkout", "--quiet", "--detach", run.good }
      end,
      verify = function (run)
        return expect(release.here() == run.good, run.good:sub(1, 12) .. " is checked out")
      end,
      undo = release.go_back,
    },

    step "Build it" {
      timeout = names.build_takes,
      remedy = function () exec.run(erp.settings.build) end,
      undo = release.go_back,
    },

    step "Restart the server" {
      remedy = function () erp.service:restart() end,
      verify = function () return expect(erp.service:status().state == "online", "the service is online") end,
      undo = function (run)
        release.go_back(run)
        erp.service:restart()
      end,
    },
  },

  case "docker" {
    title    = "The release is a docker image: pull it, and put it in the place of the old one",
    severity = "P0",
    when     = function ()
      local docker = erp.settings.image
      return docker ~= nil, docker and "settings.image is " .. docker or "settings.image names no docker image"
    end,

    step "Which image is the last good one?" {
      probe = function (run)
        if not erp.settings.image then run:fail("settings.image is missing: %s", names.settings.image) end
        if not erp.settings.docker_run then
          run:fail("settings.docker_run is missing: %s", names.settings.docker_run)
        end
        if run.commit == "" then
          run:fail("which release? Say commit=TAG, a tag of the image %s", erp.settings.image)
        end
        run:finding("back to", image(run.commit), "ok")
        run:finding("service before", erp.service:status().state)
      end,
    },

    tell_away("tell-the-schools-docker"),
    tell_away_by_hand("tell-the-schools-by-hand-docker"),

    step "Pull the image" {
      remedy = function (run) exec.run { "docker", "pull", image(run.commit), timeout = names.build_takes } end,
      undo = function () end,   -- an image more harms nobody
    },

    step "Stop the server" {
      remedy = function () exec.run { "docker", "stop", names.container } end,
      undo = function () exec.run { "docker", "start", names.container } end,
    },

    step "Free its name" {
      remedy = function (run) exec.run { "docker", "rename", names.container, aside(run) } end,
      undo = function (run) exec.run { "docker", "rename", aside(run), names.container } end,
    },

    step "Start the good release" {
      remedy = function (run)
        local argv = { "docker", "run", "-d", "--name", names.container }
        for _, word in ipairs(erp.settings.docker_run) do argv[#argv + 1] = word end
        argv[#argv + 1] = image(run.commit)
        exec.run(argv)
      end,
      verify = function () return expect(erp.service:status().state == "online", "the service is online") end,
      undo = function () exec.run { "docker", "rm", "-f", names.container } end,
    },
  },

  step "Is it ready?" {
    verify = function (run)
      return run:wait_until("the server is ready", { every = "1s", within = names.restart_takes[2] }, ready)
    end,
  },
  step "Does the good release run?" {
    when   = function () return not erp.settings.image, "docker runs the image that was named" end,
    verify = function (run)
      local version = look(run, names.alive).version
      expect(not run.about.version or version == run.about.version,
             "the server says that it is " .. tostring(run.about.version))
      run:finding("release that runs now", version or "unknown", "ok")
      return true
    end,
  },

  step "How is its health now?" {
    verify = function (run)
      local health = look(run, names.health) or {}
      run:finding("health now", health.overallHealth or "unknown", health.overallHealth == names.good and "ok" or "bad")
      for _, alert in ipairs(health.alerts or {}) do
        run:finding("alert now " .. alert.code, names.red_flags[alert.code] or "no runbook", "bad")
      end
      return true
    end,
  },

  step "Tell the schools that it is back" {
    when   = function () return #admins() > 0, none end,
    notify = function ()
      for _, it in ipairs(admins()) do
        mail.send{ to = it.admin, subject = "Maintenance complete", text = "Maintenance complete. Service restored at "
                   .. time.format(time.now(), "%Y-%m-%d %H:%M") .. " UTC" }
      end
    end,
  },

  step "Tell the schools by hand that it is back" {
    when   = function () return #admins() == 0, "mails were sent" end,
    manual = "Tell the admin of every school: Maintenance complete. Service restored at (the time now).",
  },

  step "What comes next?" {
    probe = function (run)
      if erp.settings.image then
        run:finding("next", "the old container is kept as " .. aside(run) .. ": docker rm it when nobody needs it", "warn")
      else
        run:finding("next", "no branch is checked out: take the bad release back on its branch before the next deployment", "warn")
      end
      run:finding("where data were damaged", "database_restore, one school at a time")
    end,
  },
}
