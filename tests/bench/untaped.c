/*
** untaped.c - linked in place of the beginning and the end of a run on the tape: a
** `runbook` that records nothing, for the benchmark alone. All else is the same objects.
*/

#include "vm/run/run.h"

int __wrap_rb_taped_begin (rb_Run *r, rb_Problem *p) {
  (void)r; (void)p;
  return 0;
}

int __wrap_rb_tape_end (rb_Tape *t, const char *status, int exit, rb_Problem *p) {
  (void)t; (void)status; (void)exit; (void)p;
  return 0;
}
