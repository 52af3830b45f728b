-- Invitations are not sent as calendars.
INSERT INTO app_setting VALUES ('invite:fault', 'type');
