/*
** turn.c - one after the other: changes of the same thing by several branches
**
** A change holds to what its preview saw, so of two branches that look at one file at the
** same time the second would find it changed, by ourselves. From its preview to its end
** a change of a file, of .env or of a Redis key has the thing to itself; others of
** this run that want it wait. What other processes do is for the guard of each deed.
*/

#include <stdint.h>
#include <string.h>

#include "vm/gate.h"

#define AGAIN 1.0  /* seconds: a holder that was ended in the middle wakes nobody */

/* where the name of the thing stands among the arguments; 0: the resource is it, and -1:
** nobody has to wait */
static int nameat (const rb_Call *c) {
  const char *module = c->module->name, *verb = c->reg->name;
  if (c->effect != RB_REMEDY) return -1;
  if (strcmp(module, "dotenv") == 0) return 0;
  if (strcmp(module, "redis") == 0) return strcmp(verb, "command") == 0 ? 3 : 2;
  if (strcmp(module, "file") == 0)
    return strcmp(verb, "copy") == 0 || strcmp(verb, "move") == 0 ? 2 : 1;
  return -1;
}

static uint64_t add (uint64_t h, const void *data, size_t n) {
  for (const unsigned char *s = data; n-- > 0; s++) h = (h ^ *s) * 1099511628211u;
  return h;
}

/* [-0, +0, -]  a number for the thing; 0: none. Two things of one number only wait. */
static uint64_t thing (lua_State *L, const rb_Call *c) {
  int at = nameat(c);
  size_t n = 0;
  uint64_t h = add(14695981039346656037u, &c->box, sizeof c->box);
  if (at < 0 || (at > 0 && lua_type(L, at) != LUA_TSTRING)) return 0;
  const char *s = at > 0 ? lua_tolstring(L, at, &n) : "";
  h = add(h, s, n);
  return h != 0 ? h : 1;
}

/* somebody has it, or was here before us */
static int taken (const rb_Task *t) {
  for (const rb_Task *o = t->field->tasks; o != NULL; o = o->sister)
    if (o != t && o->calling && o->state != RB_GONE && o->state != RB_OVER
        && (o->call.has == t->call.wants
            || (o->call.wants == t->call.wants && o->call.turn < t->call.turn))) return 1;
  return 0;
}

static int waited (lua_State *L, int status, lua_KContext n) {
  rb_Task *t = rb_taskof(L);
  (void)status;
  lua_settop(L, (int)n);
  int late = rb_timeleft(L) <= 0;
  if (rb_stopped(t) || late) {
    rb_gate_clear(L, t);
    return rb_stopped(t) ? rb_stop_now(L) : rb_stop(L, RB_TIMEOUT, "ran out of time");
  }
  if (taken(t)) return rb_sleep(L, AGAIN, n, waited);
  t->call.has = t->call.wants;
  t->call.wants = 0;
  return rb_gate_preview(L, (int)n);
}

int rb_turn (lua_State *L, int n) {
  rb_Task *t = rb_taskof(L);
  t->call.has = 0;
  t->call.wants = t->vm->dryrun ? 0 : thing(L, &t->call);
  if (t->call.wants == 0) return rb_gate_preview(L, n);
  static uint64_t turns;
  t->call.turn = ++turns;
  return waited(L, LUA_OK, n);
}

void rb_turn_over (rb_Task *t) {
  uint64_t had = t->call.has;
  t->call.has = t->call.wants = 0;
  if (had == 0 || t->field == NULL) return;
  for (rb_Task *o = t->field->tasks; o != NULL; o = o->sister)
    if (o->calling && o->call.wants == had && o->state == RB_WAITING) rb_wake(o);
}
