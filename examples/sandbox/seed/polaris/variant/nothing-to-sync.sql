-- The events from Salesforce: the last attempt was good, and there was nothing to take.
UPDATE sync_status SET records = 0, expected = 0 WHERE name = 'sf_vt_events';
