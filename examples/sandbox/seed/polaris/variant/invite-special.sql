-- The place has characters that mean something in a calendar, and nobody escapes them.
UPDATE event SET location = E'Room 143; 200 Main Street, Prairie Hills \U0001F393\nsecond floor' WHERE id = 43;
INSERT INTO app_setting VALUES ('invite:fault', 'escape');
