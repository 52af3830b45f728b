-- What the schools have in common. Variable: seeded (the time of the seed, ISO 8601).
CREATE TABLE public.schools (
  slug         text PRIMARY KEY,
  schema_name  text NOT NULL UNIQUE,
  name         text NOT NULL,
  admin_email  text NOT NULL,
  status       text NOT NULL CHECK (status IN ('live', 'onboarding', 'closed')),
  onboarded_at timestamptz
);

INSERT INTO public.schools VALUES
  ('greenwood-high', 'greenwood_high', 'Greenwood High',
   'office@greenwood-high.example', 'live', :'seeded'::timestamptz - interval '60 days'),
  ('riverside', 'riverside', 'Riverside School',
   'office@riverside.example', 'live', :'seeded'::timestamptz - interval '21 days'),
  ('st-marys', 'st-marys', 'St Mary''s',
   'office@st-marys.example', 'onboarding', NULL);

-- the migrations that have run; a release says which one it needs
CREATE TABLE public.schema_migrations (
  version    int PRIMARY KEY,
  applied_at timestamptz NOT NULL
);
INSERT INTO public.schema_migrations
SELECT v, :'seeded'::timestamptz - (12 - v) * interval '9 days'
FROM generate_series(1, 11) v;
