-- Invitations are cut off in the middle.
INSERT INTO app_setting VALUES ('invite:fault', 'truncated');
