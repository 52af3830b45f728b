-- One teacher's request never arrived: no request, no link, no mail.
DELETE FROM email_delivery WHERE recipient = 'avery.dogwood55@prairie.example.edu' AND kind = 'magic_link';
DELETE FROM magic_link WHERE email = 'avery.dogwood55@prairie.example.edu';
DELETE FROM audit_log WHERE detail->>'email' = 'avery.dogwood55@prairie.example.edu';
