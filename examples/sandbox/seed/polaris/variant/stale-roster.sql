-- The roster is twenty days old.
UPDATE sync_status SET last_success_at = now() - interval '20 days' WHERE name = 'roster';
