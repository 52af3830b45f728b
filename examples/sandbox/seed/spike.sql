-- Failed logins in the last minute. Variables: n, ips (how many addresses they come
-- from), users (how many accounts they try).
SET search_path = greenwood_high;
INSERT INTO login_attempts (at, email, ip, ok)
SELECT now() - i * interval '50 seconds' / :n,
       CASE WHEN :users = 1 THEN 'office' ELSE 'teacher' || (1 + i % :users) END
         || '@greenwood-high.example',
       '203.0.113.' || (10 + i % :ips), false
FROM generate_series(1, :n) i;
