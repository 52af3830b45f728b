/*
** gate.c - the one way through: every effect of every script passes here
**
** For each effect in turn: is this field of the step allowed this effect?
** preview; within limits; does the mode allow it? perform; outcome to the
** tape; delivery by the loop, in the order of the tape. A deed runs in a
** protected frame of its own (a plain call would lose the outcome once it
** yields), and its outcome is never returned before it is durable.
**
** The stack of a gated call: its n arguments, then what the step at hand put
** there; n is the context of every continuation.
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/base.h"
#include "vm/drill.h"
#include "vm/exported.h"
#include "vm/gate.h"
#include "vm/redact.h"
#include "vm/replay.h"
#include "vm/tape/value.h"

static const char *const effectnames[] = {
  "pure", "probe", "remedy", "notice", "", ""
};

/* -- what goes in ----------------------------------------------------------- */

/* "get tenant:blocked:x": for probes that do not describe themselves */
static void describe (lua_State *L, rb_Call *c, int n) {
  rb_buffer_clear(&c->summary);
  for (int i = 1; i <= n && c->summary.n < 120; i++) {
    size_t len;
    if (lua_type(L, i) != LUA_TSTRING && lua_type(L, i) != LUA_TNUMBER) continue;
    lua_pushvalue(L, i);
    const char *s = lua_tolstring(L, -1, &len);
    if (c->summary.n > 0) rb_buffer_puts(&c->summary, " ");
    for (size_t k = 0; k < len && c->summary.n < 120; k++) {
      size_t word = k;
      while (word < len && c->summary.n + word - k < 120 && (unsigned char)s[word] > ' ')
        word++;
      rb_buffer_add(&c->summary, s + k, word - k);
      k = word;
      int cut = k < len && (unsigned char)s[k] > ' ';  /* no space: a secret may be cut */
      if (k < len && !cut && c->summary.n > 0 && c->summary.s[c->summary.n - 1] != ' ')
        rb_buffer_puts(&c->summary, " ");
    }
    lua_pop(L, 1);
  }
  rb_buffer_puts(&c->summary, "");
}

/* An export is written (what is compared stays), or replayed: nothing is performed then,
** so that a placeholder among the arguments does no harm. */
static void exported (lua_State *L, rb_Task *t, int method, int n) {
  char mark[65];
  json_t *marks = t->vm->exported->marks;
  rb_exported_mark(L, t, 1 + method, n, mark);
  if (marks != NULL) json_object_set_new(marks, t->call.path.s, json_string(mark));
  else memcpy(t->call.fingerprint, mark, sizeof mark);
}

/* A keyed hash of the arguments. A placeholder of ours among them is a secret that
** came back as text: it must never reach a deed. */
static void fingerprint (lua_State *L, rb_Task *t, int n) {
  rb_Buffer *b = &t->vm->value;
  rb_buffer_clear(b);
  rb_buffer_puts(b, t->call.reg->name);
  int method = lua_touserdata(L, lua_upvalueindex(3)) == NULL;
  if (method) rb_value_resource(b, t->call.box->r.name);
  for (int i = 1 + method; i <= n; i++)
    if (lua_isfunction(L, i) || rb_value_encode(L, i, b) != NULL)
      rb_buffer_puts(b, "?");
  if (t->vm->tape != NULL)
    rb_tape_fingerprint(t->vm->tape, b->s, b->n, t->call.fingerprint);
  if (t->vm->exported != NULL) exported(L, t, method, n);
  if (t->call.effect == RB_PROBE || t->vm->tape == NULL) return;
  if (rb_redact_placeholder(b->s, b->n))
    rb_stop(L, RB_BROKEN, "an argument of %s.%s holds the text \"[redacted ...]\" "
            "in place of a secret", t->call.module->name, t->call.reg->name);
  rb_asked_arguments(L, t, method, n);
}

/* [-0, +n+1]  the function and the arguments */
void rb_gate_pushcall (lua_State *L, lua_CFunction fn, int n) {
  lua_pushcfunction(L, fn);
  for (int i = 1; i <= n; i++) lua_pushvalue(L, i);
}

/* -- deeds ------------------------------------------------------------------ */

/* [-0, +1]  what resume, undo and reconciliation will need, in one table */
static void pushintent (lua_State *L, int facts) {
  static const char *const kept[] = {
    "image", "inverse", "before", "after", "counts", "rows", "guarded", "undo",
    "exact", "result", "afterimage", NULL
  };
  lua_newtable(L);
  lua_pushvalue(L, facts);
  lua_setfield(L, -2, "facts");
  rb_plan(L);
  for (const char *const *k = kept; lua_istable(L, -1) && *k != NULL; k++) {
    lua_getfield(L, -1, *k);
    lua_setfield(L, -3, *k);
  }
  lua_pop(L, 1);
}

int rb_pledge (lua_State *L, lua_KContext ctx, lua_KFunction k) {
  rb_Task *t = rb_taskof(L);
  rb_Buffer *secret = &t->vm->value;
  const char *lost = NULL;
  if (!rb_maychange(L) || t->call.pledged)
    return luaL_error(L, "%s.%s pledged where it may not", t->call.module->name,
                      t->call.reg->name);
  if (t->vm->interrupts > 0) return rb_stop(L, RB_INTERRUPT, "interrupted");
  if (rb_stopped(t)) return rb_stop_now(L);  /* while its preview looked */
  pushintent(L, lua_gettop(L));
  rb_buffer_clear(secret);
  const char *bad = rb_value_encode(L, -1, secret);
  lua_pop(L, 2);
  if (bad != NULL) return luaL_error(L, "an intent cannot hold %s", bad);
  rb_drill_point(t, RB_POINT_INTENT);
  if (t->call.effect == RB_REMEDY && !rb_across_held(t->vm, &lost))
    return rb_stop(L, RB_UNLOCKED, "%s", lost);
  if (t->call.effect == RB_REMEDY && !rb_lock_pledge(t->vm))
    return rb_stop(L, RB_UNTAPED, "the file of the run's lock cannot be written, so nothing "
                   "was done: is its disk full?");
  rb_record_event(t, NULL, "intent", "", secret);
  t->call.pledged = 1;
  t->field->deeds++;
  return rb_enqueue(L, RB_COMMIT, ctx, k);
}

static int performed (lua_State *L, int status, lua_KContext n) {
  rb_Task *t = rb_taskof(L);
  int failed = status != LUA_OK && status != LUA_YIELD;
  rb_drill_point(t, RB_POINT_OVER);
  if (!failed) rb_drill_point(t, RB_POINT_DONE);
  if (!failed && !t->call.pledged) {
    rb_gate_clear(L, t);
    return rb_stop(L, RB_BROKEN, "%s.%s acted without a pledge: this is a bug "
                   "of ours", t->call.module->name, t->call.reg->name);
  }
  return rb_gate_outcome(L, failed, (int)n);
}

int rb_gate_deed (lua_State *L, int n) {
  rb_Task *t = rb_taskof(L);
  t->call.previewing = 0;
  t->call.deadline = 0;
  rb_drill_point(t, RB_POINT_BEGIN);
  rb_gate_pushcall(L, t->call.reg->fn, n);
  return performed(L, lua_pcallk(L, n, 1, 0, n, performed), n);
}

/* -- probes ----------------------------------------------------------------- */

static int probed (lua_State *L, int status, lua_KContext n) {
  rb_drill_point(rb_taskof(L), RB_POINT_OVER);
  return rb_gate_outcome(L, status != LUA_OK && status != LUA_YIELD, (int)n);
}

/* [-0, +1 or 0, v]  answered from what this dry run planned? */
static int predicted (lua_State *L, rb_Task *t, int n) {
  int top = lua_gettop(L);
  if (t->vm->ndeeds == 0 || t->call.reg->predict == NULL) return 0;
  rb_gate_pushcall(L, t->call.reg->predict, n);
  if (lua_pcall(L, n, LUA_MULTRET, 0) != LUA_OK) {
    t->calling = 0;
    lua_error(L);
  }
  if (lua_gettop(L) == top) return 0;
  lua_settop(L, top + 1);
  t->call.read = t->call.rests ? "as planned" : "predicted";
  return 1;
}

static int judge (lua_State *L) {
  rb_layers_used(L, rb_taskof(L)->call.box);
  return 0;
}

static int probe (lua_State *L, int n) {
  rb_Task *t = rb_taskof(L);
  if (t->vm->dryrun) {
    if (predicted(L, t, n)) return rb_gate_outcome(L, 0, n);
    t->call.read = rb_planned_read(t);
  }
  if (t->vm->dryrun && t->call.box != NULL && !t->call.box->judged) {
    lua_pushcfunction(L, judge);
    if (lua_pcall(L, 0, 0, 0) != LUA_OK) return rb_gate_outcome(L, 1, n);
  }
  rb_drill_point(t, RB_POINT_BEGIN);
  rb_gate_pushcall(L, t->call.reg->fn, n);
  return probed(L, lua_pcallk(L, n, 1, 0, n, probed), n);
}

/* Where the tape alone answers, an effect that would be performed is our mistake; in a step
** that a person skipped, it is where the step ended. */
static int offline (lua_State *L, rb_Task *t) {
  rb_gate_clear(L, t);
  return rb_stop(L, RB_TAPEEND, "the tape ends before %s", t->call.path.s);
}

int rb_gate_perform (lua_State *L, int n) {
  rb_Task *t = rb_taskof(L);
  t->call.started = rb_now();
  if (t->vm->mute || (t->vm->replay != NULL && t->vm->replay->skipping)) return offline(L, t);
  if (t->undoing != NULL && t->call.effect != RB_PROBE) return rb_undo_settle(L, n);
  return rb_gate_go(L, n);
}

int rb_gate_go (lua_State *L, int n) {
  rb_Task *t = rb_taskof(L);
  return t->call.effect == RB_PROBE ? probe(L, n) : rb_turn(L, n);
}

/* -- the gate --------------------------------------------------------------- */

/* A deed that was to be repeated, and cannot be any more. */
static int unsettled (lua_State *L, rb_Task *t) {
  rb_call_abandon(t);
  return rb_stop(L, RB_DOUBT, "nobody knows whether %s was done, and there was no time "
                 "to do it once more", t->call.summary.s);
}

/* One attempt at the effect: it has a path of its own. */
int rb_gate_start (lua_State *L, int n) {
  rb_Task *t = rb_taskof(L);
  rb_Call *c = &t->call;
  if (c->unsure && (rb_stopped(t) || rb_timeleft(L) <= 0))
    return unsettled(L, t);
  if (rb_stopped(t)) return rb_stop_now(L);
  c->grace = 0;
  if (rb_timeleft(L) <= 0) return rb_stop(L, RB_TIMEOUT, "ran out of time");
  rb_buffer_clear(&c->path);
  rb_buffer_puts(&c->path, t->path);
  rb_buffer_puts(&c->path, "/");
  rb_buffer_number(&c->path, ++t->n);
  c->pledged = c->previewing = c->keyed = c->repeatable = c->asks = 0;
  memset(c->charged, 0, sizeof c->charged);
  c->since = -1;
  c->rests = 0;
  c->read = NULL;
  c->deadline = 0;
  c->started = rb_now();
  c->replaying = c->within = 0;
  describe(L, c, n);
  fingerprint(L, t, n);
  t->calling = 1;
  if (c->effect != RB_PROBE && c->attempt == 0) {
    c->deed = ++t->deeds;
    if (t->vm->apply != NULL) rb_apply_reached(t);
  }
  return t->vm->replay != NULL ? rb_gate_taped(L, n) : rb_gate_perform(L, n);
}

/* [-0, +0, v]  the resource: the box that came with the closure, or argument 1 */
static rb_ResourceBox *checkbox (lua_State *L, const rb_Module *m,
                                 const rb_Reg *reg) {
  rb_ResourceBox *box = lua_touserdata(L, lua_upvalueindex(3));
  if (box != NULL) return box;
  rb_ResourceBox **p = luaL_testudata(L, 1, "rb.resource");
  if (p == NULL || (*p)->module != m)
    luaL_error(L, "call it with a colon: %s:%s(...)", m->name, reg->name);
  return *p;
}

static void checkright (lua_State *L, rb_Task *t, rb_Effect effect) {
  const rb_Call *c = &t->call;
  if (t->field->may & (1u << effect)) return;
  luaL_error(L, "%s.%s is a %s; `%s` may only %s", c->module->name,
             c->reg->name, effectnames[effect], t->field->word,
             t->field->may & RB_MAYREMEDY ? "probe and change"
             : t->field->may & RB_MAYNOTICE ? "probe and tell" : "probe");
}

/* every function of the stdlib is this closure: upvalues row, module, box */
static int gate (lua_State *L) {
  const rb_Reg *reg = lua_touserdata(L, lua_upvalueindex(1));
  const rb_Module *m = lua_touserdata(L, lua_upvalueindex(2));
  rb_Task *t = rb_taskof(L);
  if (reg->effect == RB_PURE) return reg->fn(L);
  if (t->vm->closing) return luaL_error(L, "the gate is shut");
  if (t->vm->loading || t->field == NULL)
    return luaL_error(L, "%s.%s is called while the file is being loaded; a "
                      "primitive belongs into a step", m->name, reg->name);
  if (rb_stopped(t)) return rb_stop_now(L);
  if (reg->effect == RB_WITHIN && t->calling) return rb_gate_within(L, reg);
  if (t->calling || reg->effect == RB_WITHIN)
    return luaL_error(L, t->calling ? "inside %s.%s only its own primitives can "
                      "be used" : "%s.%s: it is over", m->name, reg->name);
  if (!lua_isyieldable(L))
    return luaL_error(L, "%s.%s cannot be used here (inside sort, gsub or load)",
                      m->name, reg->name);
  int n = lua_gettop(L);
  luaL_checkstack(L, n + 20, "too many arguments");
  t->call.reg = reg;
  t->call.module = m;
  t->call.box = checkbox(L, m, reg);
  t->call.wanted = rb_wanted(L);
  t->call.attempt = t->call.returns = t->call.unsure = 0;
  if (reg->effect != RB_PROBE) rb_arguments_fix(L, &t->call, n);
  t->call.effect = reg->classify != NULL ? reg->classify(L) : reg->effect;
  lua_settop(L, n);
  checkright(L, t, t->call.effect);
  return rb_gate_start(L, n);
}

/* A row that leaves out what its effect needs would be a hole in the gate. */
static void checkrow (lua_State *L, const rb_Module *m, const rb_Reg *r) {
  int deed = r->effect == RB_REMEDY || r->effect == RB_NOTICE
             || r->effect == RB_CLASSIFY;
  if (r->doc == NULL || (deed && r->preview == NULL)
      || ((r->effect == RB_CLASSIFY) != (r->classify != NULL)))
    luaL_error(L, "%s.%s is registered without its %s", m->name, r->name,
               r->doc == NULL ? "doc" : "preview or classify");
}

void rb_setgated (lua_State *L, const rb_Module *m, const rb_Reg *regs) {
  for (const rb_Reg *r = regs; r != NULL && r->name != NULL; r++) {
    checkrow(L, m, r);
    lua_pushlightuserdata(L, (void *)r);
    lua_pushlightuserdata(L, (void *)m);
    lua_pushvalue(L, -3);
    lua_pushcclosure(L, gate, 3);
    lua_setfield(L, -3, r->name);
  }
  lua_pop(L, 1);
}

void rb_gate_free (rb_VM *vm) {
  rb_planned_free(vm);
  rb_passing_free(vm);
}
