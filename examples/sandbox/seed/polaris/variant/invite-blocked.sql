-- The teacher's mail server takes no calendars.
UPDATE email_delivery SET status = 'blocked', error = '552 5.7.0 attachment type .ics is not allowed' WHERE message_id = '<invite-43-2@polaris.example.org>';
