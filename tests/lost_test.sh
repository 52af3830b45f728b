#!/usr/bin/env bash
# A connection that is lost is said, and made anew by the next call; no change is made twice for it.
. "$(dirname "$0")/lib.sh"
sandbox_up
export SANDBOX_DIR SANDBOX_REDIS_ADMIN_URL ADMIN=${SANDBOX_PG_ADMIN_URL%/*}/school_erp
cd "$tmp" || exit 2
psql -qX "$ADMIN" <<'SQL'
CREATE TABLE public.late (id int);
GRANT SELECT, INSERT ON public.late TO school_erp; GRANT SELECT ON public.late TO school_erp_probe;
CREATE FUNCTION public.wait () RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(3); RETURN NULL; END';
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON public.late DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION public.wait ();
SQL

# -- in a run ------------------------------------------------------------------------------------------
cat >t.lua <<'LUA'
local erp = system "school_erp"
return runbook { title = "T", system = "school_erp",
  step "Before" { probe = function () erp.pg:value "SELECT 1" erp.redis:get "lost:b" end },
  step "Between" { probe = function (run) run:wait_until("they are gone", { every = "100ms", within = "20s" },
    function () return #file.list("flags") > 0 end) end },
  step "After" { probe = function (run)
    run:finding("pg", erp.pg:value "SELECT 40 + 2")
    run:finding("redis", erp.redis:get "lost:b" or "absent")
  end } }
LUA
sed -i "s|files  *= {|files = { \"$tmp\",|" runbook.config.lua
sed -i "s|\"flags\"|\"$tmp/flags\"|" t.lua
mkdir flags
gone() {
  until [ "$(psql -qAtX "$ADMIN" -c "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'runbook' AND state = 'idle' AND query LIKE '%ROLLBACK%'")" != 0 ]; do sleep 0.1; done
  psql -qAtX "$ADMIN" -c "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'runbook'"
  redis-cli -u "$SANDBOX_REDIS_ADMIN_URL" --no-auth-warning CLIENT KILL USER school_erp_probe
  sleep 0.2; touch flags/go
} >/dev/null
gone & rb run t.lua --json; wait $!
is "a run goes on" "$rc $(jq -r '.error.message // ""' <<<"$out")$(jq -c '[.findings[].value]' <<<"$out")" '0 [42,"absent"]'
notes=$("$runbook" report --json | jq -r '.recorded.notes[].text')
has "what was lost is on its tape" "$notes" "school_erp.pg: the connection was lost (terminating connection due to administrator command), and has been made anew"
has "of Redis, too" "$notes" "school_erp.redis: the connection was lost (the server closed the connection), and has been made anew"
has "and said" "$err" "has been made anew"
rb replay; is "it replays" "$rc" 0
ok "the tape fits" "$runbook" verify

# -- at the prompt -----------------------------------------------------------------------------------------
typed lost.py
