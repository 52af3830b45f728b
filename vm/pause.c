/*
** pause.c - waits that a script sees: run:sleep, run:wait_until, run:hold
**
** What ran while somebody slept decides what a script sees next, so the end of a
** wait has its place on the tape like the outcome of an effect.
*/

#include "vm/replay.h"

static int over (lua_State *L, int status, lua_KContext ctx) {
  rb_Task *t = rb_taskof(L);
  (void)status;
  t->pauseverb = NULL;
  if (rb_stopped(t) || rb_timeleft(L) <= 0) return t->pausek(L, LUA_YIELD, ctx);
  rb_record_waited(t);
  return rb_enqueue(L, RB_DELIVER, ctx, t->pausek);
}

static int begin (lua_State *L, int status, lua_KContext ctx) {
  rb_Task *t = rb_taskof(L);
  (void)status;
  t->pausesince = rb_now();
  return rb_sleep(L, t->pause, ctx, over);
}

int rb_pause (lua_State *L, double seconds, lua_KContext ctx, lua_KFunction k) {
  rb_Task *t = rb_taskof(L);
  rb_buffer_clear(&t->call.path);
  rb_buffer_printf(&t->call.path, "%s/%d", t->path, ++t->n);
  t->call.effect = RB_PROBE;
  t->call.reg = NULL;
  t->pausek = k;
  t->pause = seconds;
  if (t->vm->replay == NULL) return begin(L, LUA_OK, ctx);
  return rb_replay(L, ctx, k, begin);
}
