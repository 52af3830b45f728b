-- The history of communication is thirty hours old.
UPDATE sync_status SET last_success_at = now() - interval '30 hours' WHERE name = 'comms';
