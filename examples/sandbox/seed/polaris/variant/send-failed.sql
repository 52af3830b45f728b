-- The mail to one teacher never left.
UPDATE email_delivery SET status = 'failed', error = 'connection to the provider timed out'
 WHERE recipient = 'avery.dogwood55@prairie.example.edu' AND kind = 'magic_link';
