-- Every teacher is Not Started, whatever was attended.
UPDATE teacher_progress SET status = 'Not Started', status_computed_at = now();
