-- The events from Salesforce are three hours old.
UPDATE sync_status SET last_success_at = now() - interval '3 hours' WHERE name = 'sf_vt_events';
