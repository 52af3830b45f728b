-- The mail provider takes no more for the moment.
UPDATE email_delivery SET status = 'failed', error = '421 4.7.0 rate limit exceeded', sent_at = now() - interval '5 minutes'
 WHERE message_id LIKE '<invite-43-%';
INSERT INTO app_setting VALUES ('provider:status', 'limited'), ('provider:detail', 'rate limit exceeded, 200 an hour');
