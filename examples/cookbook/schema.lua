-- Names that differ from one installation to the next: erp.schema. A configuration
-- overrides single ones, with schema = { sessions = "logins" } in its system.

return {
  sessions = "user_sessions",    -- in each school: is_active, revoked_at, revoke_reason
  registry = "schools",          -- in public: schema_name, status
  reason   = "Signed out by the desk",
}
