-- One teacher opened a link for the second time.
UPDATE magic_link SET used_at = now() - interval '1 hour' WHERE email = 'avery.dogwood55@prairie.example.edu';
INSERT INTO audit_log (at, action, actor, detail) SELECT now() - interval '10 minutes', 'magic_link_refused',
  email, jsonb_build_object('email', email, 'token', left(md5(token), 12), 'reason', 'used')
  FROM magic_link WHERE email = 'avery.dogwood55@prairie.example.edu';
