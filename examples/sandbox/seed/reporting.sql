-- The district looks at all schools through one view: an object outside a school's
-- schema that depends on it, as a restore of that schema has to notice.
CREATE SCHEMA reporting;
CREATE VIEW reporting.sessions_by_school AS
  SELECT 'greenwood_high' AS school, count(*) AS sessions,
         count(*) FILTER (WHERE is_active) AS active FROM greenwood_high.user_sessions
  UNION ALL
  SELECT 'riverside', count(*), count(*) FILTER (WHERE is_active)
    FROM riverside.user_sessions
  UNION ALL
  SELECT 'st-marys', count(*), count(*) FILTER (WHERE is_active)
    FROM "st-marys".user_sessions;
