-- One teacher stands on the roster with another address, and was refused.
DELETE FROM email_delivery WHERE recipient = 'avery.dogwood55@prairie.example.edu' AND kind = 'magic_link';
DELETE FROM magic_link WHERE email = 'avery.dogwood55@prairie.example.edu';
UPDATE teacher_progress SET email = 'avery.dogwod55@prairie.example.edu' WHERE id = 55;
DELETE FROM audit_log WHERE detail->>'email' = 'avery.dogwood55@prairie.example.edu';
INSERT INTO audit_log (at, action, actor, detail) VALUES (now() - interval '15 minutes', 'magic_link_refused',
  'avery.dogwood55@prairie.example.edu', '{"email": "avery.dogwood55@prairie.example.edu", "reason": "not_found"}');
