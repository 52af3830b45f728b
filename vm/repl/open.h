/*
** open.h - `runbook repl`: what it is asked for
*/

#ifndef rb_repl_open_h
#define rb_repl_open_h

#include "vm/problem.h"

typedef struct rb_ReplOptions {
  const char *target, *config;
  int nocolor, live, yes;
  int (*help) (const char *name, rb_Problem *p);  /* prints the row of a primitive */
} rb_ReplOptions;

/* Reads statements from standard input until it ends; returns the exit code. */
int rb_repl (const rb_ReplOptions *o);

#endif
