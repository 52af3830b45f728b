-- The mail provider is down, and with it the mail to one teacher.
UPDATE email_delivery SET status = 'failed', error = 'provider unavailable'
 WHERE recipient = 'avery.dogwood55@prairie.example.edu' AND kind = 'magic_link';
INSERT INTO app_setting VALUES ('provider:status', 'down'), ('provider:detail', 'API answers 503 since 40 minutes');
