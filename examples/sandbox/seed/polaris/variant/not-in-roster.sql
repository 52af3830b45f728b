-- One teacher is not on the roster at all, and was refused.
DELETE FROM email_delivery WHERE recipient = 'avery.dogwood55@prairie.example.edu';
DELETE FROM magic_link WHERE email = 'avery.dogwood55@prairie.example.edu';
DELETE FROM event_teacher WHERE teacher_id = 55;
DELETE FROM teacher_progress WHERE id = 55;
DELETE FROM audit_log WHERE detail->>'email' = 'avery.dogwood55@prairie.example.edu';
INSERT INTO audit_log (at, action, actor, detail) VALUES (now() - interval '15 minutes', 'magic_link_refused',
  'avery.dogwood55@prairie.example.edu', '{"email": "avery.dogwood55@prairie.example.edu", "reason": "not_found"}');
