-- What quick_triage.lua has to find out, at three in the morning:
--
--   runbook test runbooks/polaris/quick_triage.lua

local function sync (name, last_success_at, more)
  local row = { name = name, last_success_at = last_success_at, last_status = "ok", records = 12 }
  for k, v in pairs(more or {}) do row[k] = v end
  return row
end

local function syncs (more)
  local rows = {
    sync("sf_vt_events", "2026-01-05T02:10:00Z"), sync("comms", "2026-01-04T06:00:00Z"),
    sync("dashboard", "2026-01-05T02:30:00Z"), sync("pathful", "2026-01-01T06:00:00Z"),
    sync("roster", "2025-12-30T06:00:00Z"),
  }
  for _, row in ipairs(more) do
    for i, is in ipairs(rows) do if is.name == row.name then rows[i] = row end end
  end
  return { rows = rows }
end

return tests {
  world = {
    clock   = "2026-01-05T03:00:00Z",
    polaris = {
      settings = { dashboard_refresh = "1h", pathful_daily = false, roster_current = true },
      pg = {
        ["FROM sync_status"] = syncs {},
        ["count(*) FILTER (WHERE active)"] = { row = { teachers = 41, district = "Lakeside" } },
        ["SELECT name, district, building"] = {
          row = { name = "Kim", district = "Lakeside", building = "West", status = "on_track", active = true },
        },
      },
    },
  },

  test "finds nothing stale" {
    expect = {
      effects  = {},
      steps    = { ["which-teacher"] = { status = "skipped", reason = "no teacher was named" } },
      findings = {
        ["1. SF to VT event sync (hourly)"] = { like "50 min old, stale after 2h", "ok" },
        ["4. Pathful import (daily, or as needed)"] = { like "3 d 21 h old, * not expected to be current", "warn" },
        severity = { like "no sync is stale", "ok" },
        next     = like "say which page it is",
      },
    },
  },

  test "is SEV2 when a sync is old, and names the runbook" {
    params = { page = "magic_link", district = "lakeside", teacher = "kim@example.org" },
    world  = { polaris = { pg = {
      ["FROM sync_status"] = syncs { sync("comms", "2026-01-03T01:00:00Z", { last_status = "failed" }) },
    } } },
    expect = {
      findings = {
        district = { like "Lakeside: 41 active teachers", "ok" },
        teacher  = { like "Kim, West, Lakeside: on_track", "ok" },
        ["2. comms sync (daily)"] = { like "2 d 2 h old, * sync failed", "bad" },
        severity = { "SEV2: stale are comms sync", "bad" },
        ["to be fixed by"] = like "2026-01-06T03:00:00Z",
        next = "runbook run magic_link --dry-run",
      },
    },
  },

  test "says who is not on the roster" {
    params = { teacher = "nobody@example.org", district = "Nowhere" },
    world  = { polaris = { pg = {
      ["SELECT name, district, building"] = { rows = {} },
      ["count(*) FILTER (WHERE active)"]  = { row = { teachers = 0 } },
    } } },
    expect = {
      findings = {
        teacher  = { "nobody@example.org is not on the roster", "bad" },
        district = { like "no teacher of the roster", "bad" },
      },
    },
  },

  test "counts Pathful where an import is expected every day" {
    world  = { polaris = { settings = { pathful_daily = true } } },
    expect = { findings = { severity = { like "stale are Pathful import", "bad" } } },
  },

  test "has nothing to look at in a sync that never was" {
    world  = { polaris = { pg = { ["FROM sync_status"] = { rows = {} } } } },
    expect = { findings = { ["5. roster import (by hand, every two weeks)"] = { like "there is no row of it", "bad" } } },
  },

  test "says which setting is missing, before it looks" {
    world  = { polaris = { settings = false, pg = {} } },
    expect = { exit = 2, error = { message = "the setting dashboard_refresh of the system polaris is missing" } },
  },

  test "fails when the database does not answer" {
    world  = { polaris = { pg = {
      ["FROM sync_status"] = { error = { kind = "timeout", message = "no answer within 30 s" } },
    } } },
    expect = { exit = 1, error = { kind = "timeout", step = "how-fresh-are-the-five-syncs" } },
  },
}
