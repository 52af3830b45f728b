/*
** reconcile.c - a deed of an earlier session that has an intent and no outcome
**
** First the backend is asked, by the module's settle: PostgreSQL knows what became of a
** transaction. Else the preview looks again: there is nothing left to do, so it was
** done; or all is as it was before the deed, so it was not. A request that carries
** an idempotency key is safe to repeat. What nobody can tell, a person decides
** (--in-doubt); it is never repeated and never skipped by itself.
*/

#include <stdio.h>
#include <string.h>

#include "vm/gate.h"
#include "vm/replay.h"
#include "vm/tape/value.h"

/* -- what is decided ------------------------------------------------------------- */

/* [-0, +1, m]  the result that it would have had, where it is known */
static int pushresult (lua_State *L, rb_Task *t) {
  rb_replay_intent(L, t->taped);
  int known = 0;
  if (lua_istable(L, -1)) {
    lua_getfield(L, -1, "exact");
    known = lua_toboolean(L, -1);
    lua_pop(L, 1);
    lua_getfield(L, -1, "result");
    lua_remove(L, -2);
  }
  return known || t->call.wanted == 0;
}

/* its row shows what the intent said */
static void showintent (lua_State *L, rb_Task *t) {
  rb_replay_intent(L, t->taped);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &t->call);
  if (t->taped->summary != NULL) rb_describe(L, "%s", t->taped->summary);
}

static int stop (lua_State *L, rb_Task *t, const char *why) {
  t->calling = 0;
  return rb_stop(L, t->vm->dryrun ? RB_DEFER : RB_DOUBT, "%s.%s %s (%s) may or may not have "
                 "happened in the session before: %s. Look, then go on with --in-doubt=done, "
                 "retry or skip",
                 t->call.module->name, t->call.reg->name,
                 t->taped->summary != NULL ? t->taped->summary : "", t->call.path.s, why);
}

static int isdone (lua_State *L, int status, lua_KContext n) {
  rb_Task *t = rb_taskof(L);
  if (!rb_gate_reran(L, status, (int)n)) return rb_stop_now(L);
  showintent(L, t);
  if (!pushresult(L, t))
    return stop(L, t, "it did, but the script goes on with its result, which is not known");
  t->field->deeds++;
  return rb_gate_settled(L, 0);
}

static int done (lua_State *L, int n) {
  lua_settop(L, n);
  return rb_gate_rerun(L, n, isdone);
}

static int again (lua_State *L, int n) {
  lua_settop(L, n);
  return rb_gate_perform(L, n);
}

static int skip (lua_State *L, int n) {
  lua_settop(L, n);
  showintent(L, rb_taskof(L));
  lua_pushnil(L);
  return rb_gate_settled(L, 1);
}

/* -- a person ---------------------------------------------------------------------- */

static int person (lua_State *L, int n, const char *why) {
  static const char *const ways[] = {
    "it was done: go on", "it was not done: do it", "leave it out: go on without it", NULL
  };
  rb_Task *t = rb_taskof(L);
  rb_VM *vm = t->vm;
  const char *policy = vm->replay->policy;
  char question[600];
  if (strcmp(policy, "done") == 0) return done(L, n);
  if (strcmp(policy, "retry") == 0) return again(L, n);
  if (strcmp(policy, "skip") == 0) return skip(L, n);
  if (vm->dryrun || !rb_ask_terminal()) return stop(L, t, why);
  snprintf(question, sizeof question, "%s.%s %s may or may not have happened: %s. Which is it?",
           t->call.module->name, t->call.reg->name,
           t->taped->summary != NULL ? t->taped->summary : "", why);
  double began = rb_person_begin(vm);
  int pick = rb_ask_choice(vm->show, question, ways);
  rb_person_end(vm, began);
  if (pick < 0) return stop(L, t, why);
  return pick == 0 ? done(L, n) : pick == 1 ? again(L, n) : skip(L, n);
}

/* -- the preview looks again ------------------------------------------------------- */

/* [-0, +0, m]  are these fields of two tables the same value? Not when there is none. */
static int samevalue (lua_State *L, int one, const char *field, int other,
                      const char *otherfield) {
  rb_Buffer a = {0}, b = {0};
  lua_getfield(L, one, field);
  lua_getfield(L, other, otherfield);
  int same = !lua_isnil(L, -1) && rb_value_encode(L, -1, &a) == NULL
             && rb_value_encode(L, -2, &b) == NULL && a.n == b.n
             && memcmp(a.s, b.s, a.n) == 0;
  rb_buffer_free(&a);
  rb_buffer_free(&b);
  lua_pop(L, 2);
  return same;
}

static int nothingtodo (lua_State *L, int plan) {
  lua_getfield(L, plan, "verdict");
  const char *verdict = lua_tostring(L, -1);
  int b = verdict != NULL && strcmp(verdict, "nothing to do") == 0;
  lua_pop(L, 1);
  return b;
}

/* [-0, +0, m]  is the image that the preview at 'plan' sees what the deed leaves? */
static int leftas (lua_State *L, int plan, int intent) {
  return samevalue(L, plan, "image", intent, "afterimage");
}

static int looked (lua_State *L, int status, lua_KContext ctx) {
  rb_Task *t = rb_taskof(L);
  int n = (int)ctx, plan = lua_gettop(L);
  t->call.previewing = 0;
  if (status != LUA_OK && status != LUA_YIELD)
    return stop(L, t, rb_error_field(L, "message"));
  rb_replay_intent(L, t->taped);
  if (lua_istable(L, plan) && lua_istable(L, plan + 1)) {
    if (nothingtodo(L, plan) || leftas(L, plan, plan + 1)) return done(L, n);
    if (samevalue(L, plan, "image", plan + 1, "image")) return again(L, n);
  }
  return person(L, n, "it cannot be told by looking");
}

/* what the preview would compare, was seen before the deed */
static int hasimage (lua_State *L, rb_Task *t) {
  rb_replay_intent(L, t->taped);
  int b = lua_istable(L, -1) && lua_getfield(L, -1, "image") != LUA_TNIL;
  return b;
}

static int look (lua_State *L, int n) {
  rb_Task *t = rb_taskof(L);
  if (!hasimage(L, t)) {
    lua_settop(L, n);
    return person(L, n, "there is nothing to tell it by");
  }
  lua_settop(L, n);
  t->call.previewing = 1;
  lua_pushcfunction(L, t->call.reg->preview);
  for (int i = 1; i <= n; i++) lua_pushvalue(L, i);
  return looked(L, lua_pcallk(L, n, 1, 0, n, looked), n);
}

/* -- the backend is asked ------------------------------------------------------------ */

static int settled (lua_State *L, int status, lua_KContext ctx) {
  rb_Task *t = rb_taskof(L);
  int n = (int)ctx;
  t->call.effect = t->call.settling;
  if (status != LUA_OK && status != LUA_YIELD)
    return stop(L, t, rb_error_field(L, "message"));
  const char *said = lua_tostring(L, -1);
  if (said != NULL && strcmp(said, "done") == 0) return done(L, n);
  if (said != NULL && strcmp(said, "not done") == 0) return again(L, n);
  lua_settop(L, n);
  return person(L, n, "the server cannot tell any more");
}

/* [-0, +1, m]  the facts of the intent; nil where there are none */
static void pushfacts (lua_State *L, rb_Task *t) {
  rb_replay_intent(L, t->taped);
  if (!lua_istable(L, -1)) return;
  lua_getfield(L, -1, "facts");
  lua_remove(L, -2);
}

int rb_reconcile (lua_State *L, int n) {
  rb_Task *t = rb_taskof(L);
  t->call.started = rb_now();
  pushfacts(L, t);
  if (!lua_istable(L, -1)) return person(L, n, "its intent cannot be read");
  if (lua_getfield(L, -1, "key") != LUA_TNIL) return again(L, n);
  lua_pop(L, 1);
  if (t->call.module->settle == NULL || n < 1) return look(L, n);
  t->call.settling = t->call.effect;
  t->call.effect = RB_PROBE;
  lua_pushcfunction(L, t->call.module->settle);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, n + 1);
  return settled(L, lua_pcallk(L, 2, 1, 0, n, settled), n);
}

/* -- undo: is it still as the deed left it? ---------------------------------------------- */

static int moved (lua_State *L, rb_Task *t, const char *how) {
  rb_push_failure(L, "drift", "%s: %s since %s.%s; nothing was taken back (--force does "
                  "all the same)", t->undoing->summary, how, t->undoing->target,
                  t->undoing->verb);
  return 0;
}

/* [-0, +1 or 0, m]  the plan of the inverse is at the top */
int rb_undo_fits (lua_State *L) {
  rb_Task *t = rb_taskof(L);
  int plan = lua_gettop(L);
  rb_replay_intent(L, t->undoing);
  int known = lua_istable(L, -1) && lua_getfield(L, -1, "afterimage") != LUA_TNIL;
  int fits = !known || nothingtodo(L, plan) || leftas(L, plan, plan + 1);
  lua_settop(L, plan);
  return fits || moved(L, t, "it was changed by somebody else");
}

static int asked (lua_State *L, int status, lua_KContext ctx) {
  rb_Task *t = rb_taskof(L);
  int n = (int)ctx;
  t->call.effect = t->call.settling;
  if (status != LUA_OK && status != LUA_YIELD) return rb_gate_failed(L, n);
  const char *said = lua_tostring(L, -1);
  if (said != NULL && strcmp(said, "done") == 0) {
    lua_settop(L, n);
    return rb_gate_go(L, n);
  }
  if (said != NULL && strcmp(said, "not done") == 0) {
    lua_settop(L, n);
    lua_pushnil(L);
    return rb_gate_settled(L, 1);
  }
  moved(L, t, "it was changed by somebody else, or has expired,");
  return rb_gate_failed(L, n);
}

/* A module without an after-image is asked; others say what they see in the preview. */
int rb_undo_settle (lua_State *L, int n) {
  rb_Task *t = rb_taskof(L);
  rb_replay_intent(L, t->undoing);
  int known = lua_istable(L, -1) && lua_getfield(L, -1, "afterimage") != LUA_TNIL;
  lua_settop(L, n);
  if (known || t->call.module->settle == NULL) return rb_gate_go(L, n);
  t->call.settling = t->call.effect;
  t->call.effect = RB_PROBE;
  lua_pushcfunction(L, t->call.module->settle);
  lua_pushvalue(L, 1);
  rb_replay_intent(L, t->undoing);
  lua_getfield(L, -1, "facts");
  lua_remove(L, -2);
  return asked(L, lua_pcallk(L, 2, 1, 0, n, asked), n);
}
