-- Chicago's clock is written as if it were UTC.
INSERT INTO app_setting VALUES ('invite:fault', 'utc');
