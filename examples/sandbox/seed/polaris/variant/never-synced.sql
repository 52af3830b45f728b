-- Nobody has imported a roster yet.
UPDATE sync_status SET last_success_at = NULL, last_status = 'failed', records = 0 WHERE name = 'roster';
