-- Vouchers: the roles, and two empty databases. Run once, as superuser.
-- Variables: owner_password, staging_password, probe_password.
DROP DATABASE IF EXISTS vouchers WITH (FORCE);
DROP DATABASE IF EXISTS vouchers_staging WITH (FORCE);
DROP ROLE IF EXISTS vouchers, vouchers_staging, vouchers_probe;
CREATE ROLE vouchers LOGIN PASSWORD :'owner_password';
CREATE ROLE vouchers_staging LOGIN PASSWORD :'staging_password';
CREATE ROLE vouchers_probe LOGIN PASSWORD :'probe_password';
GRANT pg_read_all_data, pg_read_all_stats TO vouchers_probe;
ALTER ROLE vouchers_probe SET default_transaction_read_only = on;
ALTER ROLE vouchers SET search_path = vouchers;
ALTER ROLE vouchers_staging SET search_path = vouchers;
CREATE DATABASE vouchers OWNER vouchers;
CREATE DATABASE vouchers_staging OWNER vouchers_staging;
REVOKE ALL ON DATABASE vouchers, vouchers_staging FROM PUBLIC;
GRANT CONNECT ON DATABASE vouchers, vouchers_staging TO vouchers_probe;
