-- No import from Pathful for two days.
UPDATE sync_status SET last_success_at = now() - interval '49 hours' WHERE name = 'pathful';
