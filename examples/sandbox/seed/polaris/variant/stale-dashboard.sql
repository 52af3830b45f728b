-- The dashboard was last refreshed five hours ago.
UPDATE sync_status SET last_success_at = now() - interval '5 hours' WHERE name = 'dashboard';
