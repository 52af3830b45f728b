-- The events from Salesforce: the last attempts failed, and the last success is old.
UPDATE sync_status SET last_status = 'failed', last_success_at = now() - interval '150 minutes', records = 0
 WHERE name = 'sf_vt_events';
