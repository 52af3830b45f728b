#!/bin/bash
# isolate.sh [--dry-run] TENANT - takes one school offline, by hand
#
# What runbooks/school_erp/tenant_isolation.lua does, as a careful engineer writes it
# without a runbook interpreter: the same looks, the same changes, the same checks
# after them; psql, redis-cli, curl and jq. ERP_URL, ERP_PG, ERP_REDIS, ERP_DOTENV and
# ERP_AUDIT (a log of what was done) say where everything is.
set -eu -o pipefail

dry=''
[ "${1-}" != --dry-run ] || { dry=1; shift; }
tenant=${1:?which school?}
block=3600
reason='Tenant isolated for maintenance'
key=tenant:blocked:$tenant

say () { printf '%s\n' "$*"; }
die () { printf 'isolate: %s\n' "$*" >&2; exit 1; }
audit () { [ -n "$dry" ] || printf '%(%FT%TZ)T %s %s\n' -1 "$USER" "$*" >> "$ERP_AUDIT"; }
redis () { redis-cli -u "$ERP_REDIS" --no-auth-warning "$@"; }
sql () { psql -XAtq -v ON_ERROR_STOP=1 -v tenant="$tenant" -v reason="$reason" "$ERP_PG" <<< "$1"; }
status () { curl -sS -o /dev/null -w '%{http_code}\n' "$@"; }

active_sessions () { sql 'SELECT count(*) FROM :"tenant".user_sessions WHERE is_active'; }

all_served () {
  local school schools code
  schools=$(sql "SELECT schema_name FROM public.schools WHERE schema_name <> :'tenant' ORDER BY 1")
  for school in $schools; do
    code=$(status "$ERP_URL/t/$school/dashboard")
    say "$school: $code"
    [[ $code == 2* ]] || die "$school is not served ($code)"
  done
}

# the settings with the school among DISABLED_TENANTS
with_tenant () {
  awk -v tenant="$tenant" -F= '
    /^DISABLED_TENANTS=/ {
      found = 1
      n = split($2, list, ",")
      for (i = 1; i <= n; i++) if (list[i] == tenant) { print; next }
      print $0 ($2 == "" ? "" : ",") tenant
      next
    }
    { print }
    END { if (!found) print "DISABLED_TENANTS=" tenant }' "$ERP_DOTENV"
}

exec 9> "$ERP_AUDIT.lock"
flock -n 9 || die "somebody else is at it"

# -- looks

[ "$(sql "SELECT count(*) FROM information_schema.schemata WHERE schema_name = :'tenant'")" = 1 ] \
  || die "there is no school $tenant"
say "health of $tenant: $(curl -sS "$ERP_URL/health/golive/tenant/$tenant" | jq -r .overallHealth)"

value=$(redis GET "$key")
if [ "$value" = true ]; then
  say "its traffic is blocked already"
  exit 0
fi

# -- what would be done

if [ -n "$dry" ]; then
  say "would SET $key true EX $block (now: ${value:-(none)}, ttl $(redis TTL "$key"))"
  say "would change $ERP_DOTENV:"
  diff -u "$ERP_DOTENV" <(with_tenant) || [ $? = 1 ]
  say "would revoke $(active_sessions) sessions of $tenant"
  say "would write to the admin of $tenant"
  all_served
  exit 0
fi

# -- deeds

audit "block $tenant for $block s"
redis SET "$key" true EX "$block" > /dev/null
[ "$(redis GET "$key")" = true ] || die "$key is not set"

audit "disable the queues of $tenant"
(umask 077; with_tenant > "$ERP_DOTENV.new")
mv "$ERP_DOTENV.new" "$ERP_DOTENV"
grep -qE "^DISABLED_TENANTS=(.*,)?$tenant(,|\$)" "$ERP_DOTENV" || die "$tenant is not disabled"

audit "revoke the sessions of $tenant"
sql "UPDATE :\"tenant\".user_sessions
        SET is_active = false, revoked_at = now(), revoke_reason = :'reason'
      WHERE is_active"
[ "$(active_sessions)" = 0 ] || die "some sessions of $tenant are still active"

code=$(status "$ERP_URL/t/$tenant/dashboard")
[ "$code" = 503 ] || die "$tenant still answers ($code)"
all_served
audit "$tenant is isolated"

cat <<END
Subject: Scheduled maintenance for $tenant

Dear School Admin,

We are performing emergency maintenance on your school's system.
Expected downtime: $((block / 60)) minutes.
All your data is safe and secure.
We will notify you when service is restored.

— Engineering Team
END
