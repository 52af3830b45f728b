-- The event has no time zone.
UPDATE event SET timezone = NULL WHERE id = 43;
