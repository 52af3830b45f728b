/*
** preview.c - what a deed would do: looked at before it is done, or in its place
**
** A dry run ends with the plan that a preview makes; a real run goes on with it as
** the precondition of the deed.
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/base.h"
#include "vm/gate.h"
#include "vm/tape/value.h"

/* a string field of the plan at the top, or NULL */
static const char *planstring (lua_State *L, const char *field) {
  lua_getfield(L, -1, field);
  const char *s = lua_tostring(L, -1);  /* the plan keeps it alive */
  lua_pop(L, 1);
  return s;
}

static int planflag (lua_State *L, const char *field) {
  lua_getfield(L, -1, field);
  int b = lua_isnil(L, -1) ? -1 : lua_toboolean(L, -1);
  lua_pop(L, 1);
  return b;
}

static const char *const verdicts[] = {
  "would do", "nothing to do", "cannot predict", NULL
};

/* the plan's verdict as one of our words */
static const char *verdict (lua_State *L) {
  const char *said = planstring(L, "verdict");
  for (const char *const *v = verdicts; said != NULL && *v != NULL; v++)
    if (strcmp(said, *v) == 0) return *v;
  return verdicts[0];
}

/* [-1, +1, m]  the refusal at the top, of which a deed before it may take the cause */
static void pushdoubt (lua_State *L, const char *what) {
  lua_pushfstring(L, "needs the outcome of: %s (as of now it would be refused: %s)",
                  what, rb_error_field(L, "message"));
  lua_remove(L, -2);
}

/* Ends the effect with the error at the top: in a dry run the remedy would be
** refused, and the field with it; a misuse by the script is an error always. */
int rb_gate_failed (lua_State *L, int n) {
  rb_Task *t = rb_taskof(L);
  const char *what, *said = "would refuse";
  if (!t->vm->dryrun || !lua_istable(L, -1)) return rb_gate_outcome(L, 1, n);
  int doubt = strcmp(rb_error_field(L, "kind"), "refused") == 0
              && rb_planned_stale(t, &what);
  if (doubt) {
    said = "cannot predict";
    pushdoubt(L, what);
  }
  rb_EffectRow *row = rb_record_row(t, 1);
  if (row != NULL) {
    row->verdict = said;
    rb_setreason(L, row);
  }
  char extra[64];
  snprintf(extra, sizeof extra, "\"verdict\":\"%s\"", said);
  rb_record_event(t, row, "outcome", extra, NULL);
  rb_gate_clear(L, t);
  return rb_stop(L, doubt ? RB_DEFER : RB_REFUSE, "%s",
                 doubt ? lua_tostring(L, -1) : rb_error_field(L, "message"));
}

/* The plan's digest covers path, verb, arguments and before-value of every
** remedy, in order. */
static void digest (rb_Task *t, const rb_EffectRow *row) {
  rb_buffer_printf(&t->vm->plan, "%s#%d %s %s %s %s %s\n", t->path, t->call.deed,
                   row->verb, row->target, row->asked->arguments, row->asked->before,
                   row->verdict);
}

/* The plan (on the top) is all that a dry run does: its result reaches the
** script only where it is exact. */
static int plan (lua_State *L, const char *said) {
  rb_Task *t = rb_taskof(L);
  char extra[64];
  rb_EffectRow *row = rb_record_row(t, 0);
  if (row != NULL) {
    row->verdict = said;
    if (row->asked != NULL) digest(t, row);
    if (said != verdicts[1]) rb_planned_add(L, t, row->n);
  }
  snprintf(extra, sizeof extra, "\"verdict\":\"%s\"", said);
  rb_record_event(t, row, "outcome", extra, NULL);
  if (planflag(L, "exact") == 1) {
    lua_getfield(L, -1, "result");
    return rb_gate_deliver(L, 0);
  }
  rb_gate_clear(L, t);
  if (t->call.wanted != 0)
    return rb_stop(L, RB_DEFER, "needs the outcome of: %s", t->call.summary.s);
  return 0;
}

static int unchanged (lua_State *L) {
  rb_Task *t = rb_taskof(L);
  rb_EffectRow *row = rb_record_row(t, 0);
  if (row != NULL) {
    row->outcome = "done";
    row->unchanged = 1;
  }
  lua_getfield(L, -1, "result");
  rb_buffer_clear(&t->vm->value);
  if (rb_value_encode(L, -1, &t->vm->value) != NULL) rb_buffer_clear(&t->vm->value);
  rb_record_event(t, row, "outcome", "\"outcome\":\"done\",\"unchanged\":true",
                  &t->vm->value);
  return rb_gate_deliver(L, 0);
}

/* What an earlier deed of this dry run may still change is no reason to do nothing;
** [-0, +0, m] */
static const char *outdated (lua_State *L, rb_Task *t, const char *said) {
  const char *what;
  if (!rb_planned_stale(t, &what) || said != verdicts[1]) return said;
  lua_pushfstring(L, "needs the outcome of: %s", what);
  lua_setfield(L, -2, "reason");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "exact");
  return verdicts[2];
}

/* A deed that was not planned so: nothing is done from here on. */
static int unplanned (lua_State *L, rb_Stop stop, const char *why) {
  rb_Task *t = rb_taskof(L);
  rb_limits_return(t);
  rb_EffectRow *row = rb_record_row(t, 1);
  if (row != NULL) {
    row->outcome = "failed";
    free(row->reason);
    row->reason = strdup(why);
  }
  rb_record_event(t, row, "unplanned", "", NULL);
  rb_gate_clear(L, t);
  return rb_stop(L, stop, "%s", why);
}

static int previewed (lua_State *L, int status, lua_KContext ctx) {
  rb_Task *t = rb_taskof(L);
  int n = (int)ctx;
  char why[1000];
  if (status != LUA_OK && status != LUA_YIELD) return rb_gate_failed(L, n);
  if (!lua_istable(L, -1) || planstring(L, "summary") == NULL) {
    lua_pushfstring(L, "the preview of %s.%s made no plan",
                    t->call.module->name, t->call.reg->name);
    return rb_gate_outcome(L, 1, n);
  }
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &t->call);
  rb_describe(L, "%s", planstring(L, "summary"));
  if (t->undoing != NULL && !rb_undo_fits(L)) return rb_gate_failed(L, n);
  rb_asked_plan(L, t);
  const char *said = verdict(L);
  if (said != verdicts[1] && rb_limits_charge(L, why, sizeof why)) {
    rb_push_failure(L, "limit", "%s", why);
    return rb_gate_failed(L, n);
  }
  if (t->vm->dryrun) return plan(L, outdated(L, t, said));
  rb_Stop stop = t->vm->apply != NULL ? rb_apply_check(L, said, why, sizeof why) : RB_GO;
  if (stop != RB_GO) return unplanned(L, stop, why);
  if (said == verdicts[1]) return unchanged(L);
  lua_settop(L, n);
  return rb_gate_deed(L, n);
}

int rb_gate_preview (lua_State *L, int n) {
  rb_Task *t = rb_taskof(L);
  t->call.previewing = 1;
  rb_gate_pushcall(L, t->call.reg->preview, n);
  return previewed(L, lua_pcallk(L, n, 1, 0, n, previewed), n);
}
