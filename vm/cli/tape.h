/*
** tape.h - the verbs of `runbook tape` (private to vm/cli)
*/

#ifndef rb_cli_tape_h
#define rb_cli_tape_h

/* Each prints what it has to say, or shows the problem; returns the exit code. */

/* 'run' NULL: all of them; 'anchor' NULL: against no file */
int rb_verify (const char *run, const char *anchor, int json);

/* the run (NULL: the last real one) to that file; "-": standard output */
int rb_tape_export (const char *run, const char *file, const char *config, int json);


/* runs that ended longer ago than the duration (NULL: an error); dry: only says which */
int rb_tape_prunes (const char *older, int dry, int json);

#endif
