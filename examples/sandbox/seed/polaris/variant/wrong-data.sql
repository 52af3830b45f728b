-- Four links are bound to other teachers than their e-mail's; two of them were opened, and
-- one request had an address in its query that no form sends.
UPDATE magic_link SET teacher_id = teacher_id - 40 WHERE teacher_id BETWEEN 54 AND 57;
UPDATE magic_link SET used_at = now() - interval '50 minutes' WHERE teacher_id IN (15, 16);
INSERT INTO audit_log (at, action, actor, detail) SELECT used_at, 'magic_link_opened', email,
  jsonb_build_object('email', email, 'token', left(md5(token), 12), 'teacher_id', teacher_id, 'ip', '198.51.100.77')
  FROM magic_link WHERE teacher_id IN (15, 16) AND used_at > now() - interval '1 hour';
INSERT INTO audit_log (at, action, actor, detail) VALUES (now() - interval '2 hours', 'magic_link_requested',
  'someone@example.org', '{"email": "someone@example.org", "query": "email=x'' OR ''1''=''1"}');
