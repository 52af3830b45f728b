-- greenwood_high in trouble: jobs that keep failing, errors, far too many sessions.
SET search_path = greenwood_high;

UPDATE jobs SET status = 'failed', attempts = 3, error = 'connection reset by mail server'
 WHERE id BETWEEN 10 AND 46;

INSERT INTO error_events (at, route, status, message)
SELECT now() - i * interval '7 seconds', '/attendance/mark', 500,
       'could not serialize access due to concurrent update'
FROM generate_series(1, 240) i;

INSERT INTO user_sessions (user_id, created_at)
SELECT 1 + i * 11 % 600, now() - i * interval '1 second' FROM generate_series(1, 800) i;
