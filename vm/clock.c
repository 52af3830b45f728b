/*
** clock.c - the machine's time, or that of a test's world
*/

#include <math.h>
#include <time.h>

#include "vm/clock.h"
#include "vm/module.h"

#define BEGIN 1000.0  /* rb_now() of a world that begins: never 0, which says "no time" */

static double now;    /* of the world; 0: it is the machine's */
static int64_t begun;

double rb_clock_real (void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

double rb_now (void) { return now != 0 ? now : rb_clock_real(); }

int64_t rb_clock_wall (void) {
  struct timespec t;
  if (now != 0) return begun + llround((now - BEGIN) * 1000);
  clock_gettime(CLOCK_REALTIME, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void rb_clock_virtual (int64_t begin) {
  now = BEGIN;
  begun = begin;
}

int rb_clock_isvirtual (void) { return now != 0; }

void rb_clock_skip (double at) {
  if (now != 0 && at > now) now = at;
}
