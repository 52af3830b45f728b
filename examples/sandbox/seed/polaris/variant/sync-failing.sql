-- The events from Salesforce: the last attempt failed; what is there is still fresh.
UPDATE sync_status SET last_status = 'failed', records = 0 WHERE name = 'sf_vt_events';
