/*
** runs.h - the runs of the tape as a table, or as a list in JSON (private to vm/cli)
*/

#ifndef rb_runs_h
#define rb_runs_h

#include "vm/buffer.h"
#include "vm/tape/tape.h"

typedef struct rb_Runs {
  int n;               /* rows */
  int width[9];        /* of the columns */
  rb_Buffer cells;
} rb_Runs;

/* Appends the run to a list that its caller ends with "]" (or, of none, writes). */
void rb_runs_json (rb_Buffer *b, const rb_TapeRun *run);

/* One row more of a table, and all of it. */
void rb_runs_row (rb_Runs *r, const rb_TapeRun *run);
void rb_runs_table (rb_Buffer *b, rb_Runs *r);

#endif
