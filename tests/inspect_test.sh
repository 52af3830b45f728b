#!/usr/bin/env bash
# the prompt inside of a run: in a step that failed, and before a step (repl NAME --at STEP)
. "$(dirname "$0")/lib.sh"
sandbox_up
cd "$tmp" || exit 2
cat >bad.lua <<'LUA'
local erp = system "school_erp"
local function key (run) return "bad:" .. run.tenant end
return runbook {
  title = "Bad", system = "school_erp",
  params = { tenant = { "string", default = "riverside" } },
  step "One" { remedy = function (run) erp.redis:set(key(run), "1") end },
  step "Two" {
    probe = function (run)
      local rows, hidden = erp.pg:query "SELECT slug FROM public.schools ORDER BY 1", 1
      for i, row in ipairs(rows) do
        local hidden, longest = i, #row.slug
        if i == 2 then run:fail("row %d is %s", i, row.slug) end
      end
    end,
  },
}
LUA
cat >book.lua <<'LUA'
local erp = system "school_erp"
local function key (run) return "at:" .. run.tenant end
return runbook {
  title = "Book", system = "school_erp",
  params = { tenant = { "string" , required = true } },
  step "One" {
    probe = function (run) run.found = erp.pg:value "SELECT count(*) FROM public.schools" end,
    remedy = function (run) erp.redis:set(key(run), "planned") end,
  },
  step "Two" { when = function () return false end, probe = function (run) return erp end },
}
LUA

typed inspect.py
run=$("$runbook" history --json | jq -r '[.[] | select(.runbook == "bad")][0].run')
rb report "$run" --format json
is "the run is as it was: one change, one failure" \
  "$(jq -c '[.status, ([.steps[].effects[] | select(.kind == "remedy")] | length)]' <<<"$out")" '["failed",1]'
rb abandon "$run" --yes
is "what was looked at there is a session of its own" \
  "$("$runbook" history --json | jq -r '[.[] | select(.mode == "repl")] | length')" 2
is "nothing was set" "$(redis-cli -u "$SANDBOX_REDIS_URL" --no-auth-warning EXISTS bad:x at:riverside)" 0

at() { out=$(echo "1 + 1" | "$runbook" repl "$@" 2>"$tmp/err"); rc=$?; err=$(cat "$tmp/err"); }
at book.lua --at 2 tenant=x
is "a step by its number, from a pipe" "$rc $(tail -1 <<<"$out")" "0 2"
at book.lua --at three tenant=x
is "a step that is not there: exit 2" "$rc" 2
has "and says so" "$err" "has no step 'three'"
at book.lua
is "a runbook without --at: exit 2" "$rc" 2
at --at 2
is "and --at without a runbook" "$rc" 2
at book.lua --at 2
is "a parameter is missing: exit 2" "$rc" 2
at bad.lua --at 2
is "before the step that would fail" "$rc $(tail -1 <<<"$out")" "0 2"
