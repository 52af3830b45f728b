/*
** recorded.h - a run read back from the tape, as the report that it had
*/

#ifndef rb_recorded_h
#define rb_recorded_h

#include "vm/run/report.h"
#include "vm/tape/tape.h"

/* The report of that run (its whole id), of nothing but the tape: nothing is run,
** loaded or connected. Of a run that has not ended the status is NULL and the exit
** code -1. 0, or an exit code and *p; rb_report_close frees it either way. */
int rb_recorded (rb_Tape *t, const char *id, rb_Report *rep, rb_Problem *p);

#endif
