-- The mail provider is down, and took no invitations.
UPDATE email_delivery SET status = 'failed', error = 'provider unavailable' WHERE message_id LIKE '<invite-43-%';
INSERT INTO app_setting VALUES ('provider:status', 'down'), ('provider:detail', 'API answers 503 since 40 minutes');
