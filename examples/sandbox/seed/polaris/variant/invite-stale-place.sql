-- Invitations name the place where the event was once to be.
INSERT INTO app_setting VALUES ('invite:fault', 'stale');
