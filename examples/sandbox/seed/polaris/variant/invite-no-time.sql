-- The event has no end.
UPDATE event SET end_datetime = NULL WHERE id = 43;
