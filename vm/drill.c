/*
** drill.c - a drill's crash or fault, at its point of the run
*/

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "vm/drill.h"
#include "vm/vm.h"

#define PATIENCE 0.3  /* seconds that a run has left once its server is silent */

static const char *const deaths[] = {
  [RB_POINT_INTENT] = "before the intent", [RB_POINT_INTENDED] = "after the intent",
  [RB_POINT_DONE] = "after the deed", [RB_POINT_OUTCOME] = "after the outcome"
};

static void crash (rb_Task *t, rb_Drill *d, rb_Point point) {
  if (deaths[point] == NULL || d->crash == 0 || --d->crash > 0) return;
  dprintf(d->said, "%s\t%s\t%s\n", t->call.path.s, deaths[point], t->call.summary.s);
  kill(getpid(), SIGKILL);
}

/* -- faults of this process ------------------------------------------------------- */

/* No file can be written; what is read, and sockets, go on. */
static void nospace (rb_Drill *d, int full) {
  struct rlimit l;
  if (getrlimit(RLIMIT_FSIZE, &l) != 0) return;
  l.rlim_cur = full ? 0 : l.rlim_max;
  if (setrlimit(RLIMIT_FSIZE, &l) == 0 && full) d->met = 1;
}

static void nofiles (rb_Drill *d, int none) {
  static rlim_t before;
  struct rlimit l;
  if (getrlimit(RLIMIT_NOFILE, &l) != 0) return;
  if (none) before = l.rlim_cur;
  l.rlim_cur = none ? 3 : before;
  if (setrlimit(RLIMIT_NOFILE, &l) == 0 && none) d->met = 1;
}

/* -- faults of a server --------------------------------------------------------------- */

int rb_drill_order (int control, rb_Fault fault, const char *target) {
  rb_FaultOrder order = {.fault = fault};
  char done;
  snprintf(order.target, sizeof order.target, "%s", target);
  if (write(control, &order, sizeof order) != sizeof order) return errno;
  return read(control, &done, 1) == 1 ? 0 : errno != 0 ? errno : EPIPE;
}

static void order (rb_Task *t, rb_Drill *d, rb_Fault fault) {
  if (rb_drill_order(d->control, fault, d->target) != 0) return;
  if (fault != RB_FAULT_NONE) d->met = 1;
  if (fault == RB_FAULT_SILENT) t->vm->rundeadline = rb_now() + PATIENCE;
}

/* Where each fault begins and ends. A request that is lost, or whose answer is, is one
** after the deed's point of no return: before it nothing is sent that matters. */
static void fault (rb_Task *t, rb_Drill *d, rb_Point point) {
  rb_Point sends = t->call.effect != RB_PROBE ? RB_POINT_INTENDED : RB_POINT_BEGIN;
  switch (d->fault) {
    case RB_FAULT_NONE: break;
    case RB_FAULT_REFUSED: case RB_FAULT_SILENT: case RB_FAULT_HALF: case RB_FAULT_ERROR:
      if (point == (d->fault == RB_FAULT_REFUSED ? RB_POINT_BEGIN : sends))
        order(t, d, d->fault);
      if (point == RB_POINT_OVER) order(t, d, RB_FAULT_NONE);
      break;
    case RB_FAULT_FULL:
      if (point == RB_POINT_BEGIN || point == RB_POINT_INTENDED) nospace(d, 1);
      if (point == RB_POINT_INTENT || point == RB_POINT_OVER) nospace(d, 0);
      break;
    case RB_FAULT_TAPE:
      if (point == RB_POINT_INTENT) nospace(d, 1);
      break;
    case RB_FAULT_LATE:
      if (point == RB_POINT_DONE) nospace(d, 1);
      break;
    case RB_FAULT_NOFILES:
      if (point == RB_POINT_BEGIN) nofiles(d, 1);
      if (point == RB_POINT_OVER) nofiles(d, 0);
  }
}

void rb_drill_point (rb_Task *t, rb_Point point) {
  rb_Drill *d = t->vm->drill;
  if (d == NULL) return;
  if (d->fault != RB_FAULT_NONE && strcmp(t->call.path.s, d->path) == 0) {
    int met = d->met;
    fault(t, d, point);
    if (d->met && !met) dprintf(d->said, "%s", RB_FAULTMET);
  }
  if (t->call.effect != RB_PROBE) crash(t, d, point);
}
