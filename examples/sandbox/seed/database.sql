-- A fresh database from the seed. Run as superuser; disconnects whoever is on the old one.
DROP DATABASE IF EXISTS school_erp WITH (FORCE);
CREATE DATABASE school_erp TEMPLATE school_erp_seed OWNER school_erp;
REVOKE ALL ON DATABASE school_erp FROM PUBLIC;
GRANT CONNECT ON DATABASE school_erp TO school_erp_probe;
