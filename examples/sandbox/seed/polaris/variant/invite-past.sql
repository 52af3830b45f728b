-- The event was entered with the date of last week.
UPDATE event SET start_datetime = start_datetime - interval '14 days', end_datetime = end_datetime - interval '14 days'
 WHERE id = 43;
