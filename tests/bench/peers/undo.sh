#!/bin/bash
# undo.sh SETTINGS - the school is back in service: before each timed isolation, and not
# timed itself. SETTINGS is a copy of the settings as they were.
set -eu -o pipefail

redis-cli -u "$ERP_REDIS" --no-auth-warning DEL tenant:blocked:greenwood_high > /dev/null
cp -p "$1" "$ERP_DOTENV"
psql -Xq -v ON_ERROR_STOP=1 "$ERP_PG" \
  -c "UPDATE greenwood_high.user_sessions
         SET is_active = true, revoked_at = NULL, revoke_reason = NULL
       WHERE revoke_reason = 'Tenant isolated for maintenance'" \
  -c 'VACUUM greenwood_high.user_sessions'
