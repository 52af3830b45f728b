/*
** open.h - `runbook repl`: what it is asked for
*/

#ifndef rb_repl_open_h
#define rb_repl_open_h

#include "vm/problem.h"

struct rb_Run;

typedef struct rb_ReplOptions {
  const char *target, *config;
  int nocolor, live, yes;
  const char *at, *file;         /* inside of that runbook, before that step; NULL: neither */
  const char *const *words;      /* its parameters, k=v */
  int (*help) (const char *name, rb_Problem *p);  /* prints the row of a primitive */
} rb_ReplOptions;

/* Reads statements from standard input until it ends; returns the exit code. */
int rb_repl (const rb_ReplOptions *o);

/* The same inside of a run (rb_Inspect's `open`; 'ud' is an rb_ReplOptions): its `run`, its
** variables, all of it read-only. */
void rb_repl_inside (struct rb_Run *r, const char *where, void *ud);
/* Inside of the runbook 'file', before the step 'at'. */
int rb_repl_at (rb_ReplOptions *o);

#endif
