-- A district's mail server takes nothing from us any more.
UPDATE email_delivery SET status = 'blocked', error = '554 5.7.1 sender domain blocked'
 WHERE recipient LIKE '%@prairie.example.edu' AND sent_at > now() - interval '24 hours';
