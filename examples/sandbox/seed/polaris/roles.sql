-- Polaris: the roles and an empty database. Run once, as superuser.
-- Variables: owner_password, probe_password.
DROP DATABASE IF EXISTS polaris WITH (FORCE);
DROP ROLE IF EXISTS polaris, polaris_probe;
CREATE ROLE polaris LOGIN PASSWORD :'owner_password';
CREATE ROLE polaris_probe LOGIN PASSWORD :'probe_password';
GRANT pg_read_all_data, pg_read_all_stats TO polaris_probe;
ALTER ROLE polaris_probe SET default_transaction_read_only = on;
CREATE DATABASE polaris OWNER polaris;
REVOKE ALL ON DATABASE polaris FROM PUBLIC;
GRANT CONNECT ON DATABASE polaris TO polaris_probe;
