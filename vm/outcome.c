/*
** outcome.c - how an effect ends: its outcome to the tape, then to the script
**
** An outcome is never returned before it is on its way to the tape; the loop gives
** it to the script when its turn comes. Failures are repeated where a repetition
** can do no harm, and what may have happened is in doubt.
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/base.h"
#include "vm/clock.h"
#include "vm/gate.h"
#include "vm/tape/value.h"

#define ABANDONED ",\"abandoned\":true"  /* a replay passes it over */
#define MAXRESULT ((size_t)16 << 20)  /* what a script sees must fit on the tape */

/* [-1, +1, m]  The result at the top as bytes for the tape; what has no place
** there is replaced by an error: returns 1. */
static int encoderesult (lua_State *L, rb_Task *t, rb_Buffer *b) {
  rb_buffer_clear(b);
  const char *bad = rb_value_encode(L, -1, b);
  if (bad == NULL && b->n <= MAXRESULT && !b->failed) return 0;
  int mb = (int)(b->n >> 20);
  rb_buffer_clear(b);
  lua_pop(L, 1);
  if (bad != NULL) {
    lua_pushfstring(L, "%s.%s returned %s", t->call.module->name,
                    t->call.reg->name, bad);
    return 1;
  }
  rb_push_failure(L, "limit", "the result of %s.%s is larger than 16 MB "
              "(%d MB): %s", t->call.module->name, t->call.reg->name, mb,
              t->call.pledged ? "it was done, but its result is lost" : "ask for less");
  return 1;
}

static int delivered (lua_State *L, int status, lua_KContext failed) {
  rb_Task *t = rb_taskof(L);
  (void)status;
  if (rb_stopped(t)) return rb_stop_now(L);
  return failed ? lua_error(L) : 1;
}

void rb_gate_clear (lua_State *L, rb_Task *t) {
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &t->call);
  t->calling = 0;
  rb_turn_over(t);
}

/* The outcome is on its way to the tape; the loop gives it to the script when its
** turn comes. */
int rb_gate_deliver (lua_State *L, int failed) {
  rb_Task *t = rb_taskof(L);
  rb_gate_clear(L, t);
  atomic_store(&t->vm->slice, rb_clock_real());  /* the module's time is not the script's */
  return rb_enqueue(L, RB_DELIVER, failed, delivered);
}

static int again (lua_State *L, int status, lua_KContext n) {
  (void)status;
  lua_settop(L, (int)n);
  return rb_gate_start(L, (int)n);
}

/* May the failure at the top be answered by doing it once more? A deed that sent a
** key by which a repetition is known may be, also when nobody knows what became of it. */
static int retryable (lua_State *L, rb_Task *t) {
  rb_Call *c = &t->call;
  const char *kind = rb_error_field(L, "kind");
  static const char *const passing[] = {"io", "timeout", "server", NULL};
  if (t->field->retries <= c->attempt + c->returns || rb_stopped(t)) return 0;
  for (const char *const *k = passing; *k != NULL; k++)
    if (strcmp(kind, *k) == 0)
      return c->effect == RB_PROBE || c->repeatable
             || strcmp(rb_error_field(L, "certainty"), "not done") == 0;
  return 0;
}

int rb_retry (lua_State *L, double *every) {
  rb_Task *t = rb_taskof(L);
  rb_Call *c = &t->call;
  if (c->effect != RB_PROBE && c->effect != RB_NOTICE) return 0;
  if (t->field->returns <= c->attempt + c->returns || rb_stopped(t)) return 0;
  c->returns++;
  *every = t->field->every;
  return 1;
}

static int sure (lua_State *L, const char *certainty) {
  return strcmp(rb_error_field(L, "certainty"), certainty) == 0;
}

/* the error at the top belongs to a deed that may have happened */
static int doubtful (lua_State *L, rb_Task *t) {
  return t->call.effect != RB_PROBE && t->call.pledged && !sure(L, "not done")
         && !sure(L, "partly");
}

/* it failed, and what it did by then is to be taken back like what was done */
static int partly (lua_State *L, rb_Task *t, int failed) {
  return failed && t->call.effect != RB_PROBE && t->call.pledged && sure(L, "partly");
}

void rb_setreason (lua_State *L, rb_EffectRow *row) {
  size_t n;
  const char *s = rb_tolstring(L, -1, &n);
  free(row->reason);  /* what the preview had to say */
  row->reason = rb_redacted(s, n);
  lua_pop(L, 1);
}

/* the result or the error at the top, onto the report and the tape; 'more' is JSON
** beside the outcome */
static void record (lua_State *L, rb_Task *t, int failed, int doubt,
                    const char *more) {
  char extra[64];
  const char *said = doubt ? "in-doubt" : failed ? "failed" : "done";
  rb_EffectRow *row = rb_record_row(t, failed);
  if (row != NULL) {
    if (!t->vm->dryrun || t->call.effect == RB_PROBE) row->outcome = said;
    if (failed) rb_setreason(L, row);
  }
  if (failed) {
    rb_buffer_clear(&t->vm->value);
    if (rb_value_encode(L, -1, &t->vm->value) != NULL)
      rb_buffer_clear(&t->vm->value);
  }
  snprintf(extra, sizeof extra, "\"outcome\":\"%s\"%s%s", said,
           partly(L, t, failed) ? ",\"partly\":true" : "", more);
  rb_record_event(t, row, "outcome", extra, &t->vm->value);
}

/* It was done, but the script cannot have its result: the error at the top is for
** it, and a replay will give it the same. */
static int resultlost (lua_State *L, rb_Task *t) {
  rb_EffectRow *row = rb_record_row(t, 0);
  if (row != NULL) row->outcome = "done";
  rb_buffer_clear(&t->vm->value);
  if (rb_value_encode(L, -1, &t->vm->value) != NULL) rb_buffer_clear(&t->vm->value);
  rb_record_event(t, row, "outcome", "\"outcome\":\"done\",\"lost\":true", &t->vm->value);
  return rb_gate_deliver(L, 1);
}

/* [-1, +1, m]  Lua does not know the name of what we call, and counts the resource: "bad argument
** #2 to '?'" is about the first one of erp.pg:query */
static void nameit (lua_State *L, const rb_Task *t) {
  int n, len = 0, self = t->call.box != NULL && t->call.box->r.system != NULL;
  const char *s = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
  if (sscanf(s, "bad argument #%d to '?'%n", &n, &len) != 1 || len == 0 || n <= self) return;
  lua_pushfstring(L, "bad argument #%d to '%s'%s", n - self, t->call.reg->name, s + len);
  lua_remove(L, -2);
}

/* A person stopped it before its pledge: a resume begins it anew. */
static int cutshort (lua_State *L, rb_Task *t, int failed) {
  return failed && !t->call.pledged && rb_stopped(t) &&
         strcmp(rb_error_field(L, "kind"), "interrupted") == 0;
}

/* [-?, +1, vy]  on the top the result, or the error */
int rb_gate_outcome (lua_State *L, int failed, int n) {
  rb_Task *t = rb_taskof(L);
  if (failed) nameit(L, t);
  if (!failed && encoderesult(L, t, &t->vm->value)) {
    if (t->call.pledged) return resultlost(L, t);
    failed = 1;
  }
  int unsure = failed && (t->call.unsure || doubtful(L, t));
  int late = failed && rb_timeleft(L) <= 0 && !rb_stopped(t)
             && t->call.deadline == 0;
  int again_ = failed && !late && (!unsure || t->call.repeatable) && retryable(L, t);
  int doubt = unsure && !again_;
  late = late && !doubt;
  record(L, t, failed, doubt, again_ ? ",\"retried\":true" : late ? ",\"late\":true"
                              : cutshort(L, t, failed) ? ABANDONED : "");
  if (failed && !unsure && !partly(L, t, failed)) rb_limits_return(t);
  if (doubt || late) {
    rb_gate_clear(L, t);
    return rb_stop(L, doubt ? RB_DOUBT : RB_TIMEOUT, "%s",
                   rb_error_field(L, "message"));
  }
  if (again_) {
    rb_gate_clear(L, t);
    t->call.attempt++;
    t->call.unsure = unsure;
    t->calling = unsure;  /* what ends it now leaves it in doubt */
    t->call.deadline = 0;
    return rb_sleep(L, t->field->every, n, again);
  }
  if (!failed && t->vm->took != NULL) t->vm->took(L, t->call.reg);
  return rb_gate_deliver(L, failed);
}

/* A deed that a person stopped before its pledge. */
static int stopped (const rb_Task *t) {
  return t->call.effect != RB_PROBE && !t->call.unsure && !t->vm->dryrun
         && t->field != NULL && t->field->stop == RB_INTERRUPT;
}

void rb_call_abandon (rb_Task *t) {
  rb_EffectRow *row = NULL;
  int said = t->call.pledged || stopped(t);
  if (said && lua_checkstack(t->L, 20)) {  /* say what is in doubt, or is not */
    row = rb_record_row(t, 1);
    if (row != NULL) row->outcome = t->call.pledged ? "in-doubt" : "failed";
    if (row != NULL && !t->call.pledged) {
      free(row->reason);
      row->reason = strdup("interrupted before anything was done");
    }
  }
  rb_record_event(t, row, "outcome", t->call.pledged ? "\"outcome\":\"in-doubt\""
                  : "\"outcome\":\"failed\"" ABANDONED, NULL);
  lua_pushnil(t->vm->L);
  lua_rawsetp(t->vm->L, LUA_REGISTRYINDEX, &t->call);
  t->calling = 0;
  rb_turn_over(t);
}
