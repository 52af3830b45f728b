-- The mail to one teacher came back.
UPDATE email_delivery SET status = 'bounced', error = '550 5.1.1 no such user'
 WHERE recipient = 'avery.dogwood55@prairie.example.edu' AND kind = 'magic_link';
