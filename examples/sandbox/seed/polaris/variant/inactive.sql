-- One teacher is on the roster, and not active any more.
UPDATE teacher_progress SET active = false WHERE id = 55;
