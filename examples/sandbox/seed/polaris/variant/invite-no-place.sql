-- The event has no place any more.
UPDATE event SET location = NULL, venue_name = NULL WHERE id = 43;
UPDATE email_delivery SET status = 'failed', error = 'invitation not generated: location'
 WHERE message_id LIKE '<invite-43-%';
