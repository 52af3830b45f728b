/*
** earlier.c - an effect that an earlier session may have done already
**
** A resumed or replayed run comes here from the gate, before anything is performed: the
** outcome is the tape's, or the effect waits until nobody waits for the tape. The
** statements inside an effect (a transaction's) have their results on the tape, too.
*/

#include <stdio.h>
#include <string.h>

#include "vm/gate.h"
#include "vm/replay.h"
#include "vm/tape/value.h"

int rb_gate_settled (lua_State *L, int skipped) {
  rb_Task *t = rb_taskof(L);
  rb_EffectRow *row = rb_record_row(t, 0);
  if (row != NULL) row->outcome = "done";
  rb_buffer_clear(&t->vm->value);
  if (rb_value_encode(L, -1, &t->vm->value) != NULL) rb_buffer_clear(&t->vm->value);
  if (row != NULL) row->unchanged = skipped;
  rb_record_event(t, row, "outcome", skipped
                  ? "\"outcome\":\"done\",\"unchanged\":true,\"settled\":\"skipped\""
                  : "\"outcome\":\"done\",\"settled\":\"looked\"", &t->vm->value);
  return rb_gate_deliver(L, 0);
}

static int live (lua_State *L, int status, lua_KContext n) {
  rb_Task *t = rb_taskof(L);
  (void)status;
  if (rb_stopped(t)) {
    rb_gate_clear(L, t);
    return rb_stop_now(L);
  }
  lua_settop(L, (int)n);
  return t->taped != NULL ? rb_reconcile(L, (int)n) : rb_gate_perform(L, (int)n);
}

/* The outcome as the tape has it. */
static int given (lua_State *L) {
  rb_Task *t = rb_taskof(L);
  int failed = rb_replay_push(L);
  int late = t->taped->late;
  rb_gate_clear(L, t);
  if (late) return rb_stop(L, RB_TIMEOUT, "%s", rb_error_field(L, "message"));
  return failed ? lua_error(L) : 1;
}

int rb_gate_rerun (lua_State *L, int n, lua_KFunction k) {
  rb_Task *t = rb_taskof(L);
  char type[80];
  if (n < 2 || !lua_isfunction(L, 2)) return k(L, LUA_OK, n);
  t->call.replaying = 1;
  snprintf(type, sizeof type, "%s.%s", t->call.module->name, t->call.reg->name);
  lua_pushvalue(L, 2);
  lua_newtable(L);
  rb_settype_named(L, type);
  return k(L, lua_pcallk(L, 1, 0, 0, n, k), n);
}

int rb_gate_reran (lua_State *L, int status, int n) {
  rb_Task *t = rb_taskof(L);
  t->call.replaying = 0;
  if (status == LUA_OK || status == LUA_YIELD || t->taped->failed) {
    lua_settop(L, n);
    return 1;
  }
  const char *why = rb_guarded_text(L, -1, NULL);
  rb_gate_clear(L, t);
  rb_stop(L, RB_DIVERGED, "the script differs from the run: inside %s (%s) it went well, "
          "and here it is: %s", t->taped->verb, t->taped->path, why);
  return 0;
}

static int rerun (lua_State *L, int status, lua_KContext n) {
  return rb_gate_reran(L, status, (int)n) ? given(L) : rb_stop_now(L);
}

static int replayed (lua_State *L, int status, lua_KContext n) {
  rb_Task *t = rb_taskof(L);
  (void)status;
  if (rb_stopped(t)) {
    rb_gate_clear(L, t);
    return rb_stop_now(L);
  }
  if (t->taped->retried) {
    rb_replay_push(L);
    t->call.unsure |= t->call.effect != RB_PROBE
                      && strcmp(rb_error_field(L, "certainty"), "not done") != 0;
    lua_settop(L, (int)n);
    rb_gate_clear(L, t);
    t->call.attempt++;
    return rb_gate_start(L, (int)n);
  }
  /* one that changed nothing ran in its preview, and that is on no tape */
  if (t->taped->unchanged) return given(L);
  return rb_gate_rerun(L, (int)n, rerun);
}

/* -- statements inside an effect ------------------------------------------------ */

static void withinpath (rb_Task *t, rb_Buffer *b) {
  rb_buffer_printf(b, "%s.%d", t->call.path.s, ++t->call.within);
}

/* [-0, +1, v]  what it brought in the session that is on the tape */
static int replaywithin (lua_State *L, rb_Task *t) {
  rb_Buffer path = {0};
  withinpath(t, &path);
  const rb_Taped *e = path.s != NULL ? rb_replay_find(t->vm, path.s) : NULL;
  rb_buffer_free(&path);
  if (e == NULL) return luaL_error(L, "the tape ends inside the transaction");
  return rb_replay_value(L, e) ? lua_error(L) : 1;
}

static int withindone (lua_State *L, int status, lua_KContext ctx) {
  rb_Task *t = rb_taskof(L);
  int failed = status != LUA_OK && status != LUA_YIELD;
  (void)ctx;
  rb_record_within(L, t, failed);
  return failed ? lua_error(L) : 1;
}

/* a statement of the effect under way: its result is on the tape, too, for the
** script goes on with it */
int rb_gate_within (lua_State *L, const rb_Reg *reg) {
  rb_Task *t = rb_taskof(L);
  int n = lua_gettop(L);
  if (t->call.replaying) return replaywithin(L, t);
  if (t->vm->tape == NULL || t->call.previewing) return reg->fn(L);
  luaL_checkstack(L, n + 20, "too many arguments");
  lua_pushcfunction(L, reg->fn);
  for (int i = 1; i <= n; i++) lua_pushvalue(L, i);
  return withindone(L, lua_pcallk(L, n, 1, 0, 0, withindone), 0);
}

/* -- from the gate ---------------------------------------------------------------- */

int rb_gate_taped (lua_State *L, int n) { return rb_replay(L, n, replayed, live); }
