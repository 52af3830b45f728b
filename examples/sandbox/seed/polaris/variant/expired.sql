-- One teacher opened a link that had run out.
UPDATE magic_link SET created_at = now() - interval '3 days', expires_at = now() - interval '2 days'
 WHERE email = 'avery.dogwood55@prairie.example.edu';
UPDATE email_delivery SET sent_at = now() - interval '3 days' WHERE recipient = 'avery.dogwood55@prairie.example.edu' AND kind = 'magic_link';
INSERT INTO audit_log (at, action, actor, detail) SELECT now() - interval '10 minutes', 'magic_link_refused',
  email, jsonb_build_object('email', email, 'token', left(md5(token), 12), 'reason', 'expired')
  FROM magic_link WHERE email = 'avery.dogwood55@prairie.example.edu';
