-- The roles of the sandbox, and an empty seed: the owner works, the probe only looks.
-- Variables: owner_password, probe_password.
DROP DATABASE IF EXISTS school_erp WITH (FORCE);
DROP DATABASE IF EXISTS school_erp_seed WITH (FORCE);
DROP ROLE IF EXISTS school_erp, school_erp_probe;
CREATE ROLE school_erp LOGIN PASSWORD :'owner_password';
CREATE ROLE school_erp_probe LOGIN PASSWORD :'probe_password';
GRANT pg_read_all_data, pg_read_all_stats TO school_erp_probe;
ALTER ROLE school_erp_probe SET default_transaction_read_only = on;
CREATE DATABASE school_erp_seed OWNER school_erp;
