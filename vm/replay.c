/*
** replay.c - giving out what the tape has, in its order
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/replay.h"
#include "vm/tape/value.h"

const rb_Taped *rb_replay_find (rb_VM *vm, const char *path) {
  json_t *at = json_object_get(vm->replay->index, path);
  return at != NULL ? &vm->replay->list[json_integer_value(at)] : NULL;
}

/* -- waiting for the tape ------------------------------------------------------- */

static void enlist (rb_Task *t) {
  t->tapenext = t->vm->replay->waiting;
  t->vm->replay->waiting = t;
}

static int diverged (lua_State *L, const rb_Taped *e, const char *here) {
  rb_Task *t = rb_taskof(L);
  t->calling = 0;  /* nothing was begun */
  luaL_where(L, 1);
  return rb_stop(L, RB_DIVERGED, "%sthe script differs from the run: here it asks for "
                 "%s, and the tape has %s%s%s there (%s)", lua_tostring(L, -1), here,
                 e->waited ? "a wait" : e->verb, e->summary != NULL ? " " : "",
                 e->summary != NULL ? e->summary : "", t->call.path.s);
}

/* "redis.set a b" */
static const char *pushcall (lua_State *L, rb_Task *t) {
  if (t->call.reg == NULL) return lua_pushliteral(L, "a wait");
  return lua_pushfstring(L, "%s.%s %s", t->call.module->name, t->call.reg->name,
                         t->call.summary.s != NULL ? t->call.summary.s : "");
}

static int same (const rb_Task *t, const rb_Taped *e) {
  char verb[128];
  if (e->waited || t->call.reg == NULL) return e->waited && t->call.reg == NULL;
  snprintf(verb, sizeof verb, "%s.%s", t->call.module->name, t->call.reg->name);
  if (e->verb == NULL || strcmp(verb, e->verb) != 0) return 0;
  return t->vm->dryrun  /* an undo's, under another key */
         || t->vm->replay->adopts != NULL
         || strcmp(t->call.fingerprint, e->fingerprint) == 0;
}

int rb_replay (lua_State *L, lua_KContext ctx, lua_KFunction taped,
               lua_KFunction live) {
  rb_Task *t = rb_taskof(L);
  rb_Taped *e = (rb_Taped *)rb_replay_find(t->vm, t->call.path.s);
  t->taped = e;
  if (e != NULL && !same(t, e)) return diverged(L, e, pushcall(L, t));
  if (e != NULL && e->seq != 0 && !e->used) {
    e->used = 1;
    enlist(t);
    return rb_waitstate(L, RB_TAPE, ctx, taped);
  }
  if (e != NULL && e->seq != 0) t->taped = NULL;  /* a second session's own */
  if (t->vm->replay->over) return live(L, LUA_YIELD, ctx);
  enlist(t);
  return rb_waitstate(L, RB_LIVE, ctx, live);
}

/* -- whose turn it is -------------------------------------------------------------- */

static void unlist (rb_Replay *r, rb_Task *t) {
  rb_Task **at = &r->waiting;
  while (*at != t) at = &(*at)->tapenext;
  *at = t->tapenext;
  t->tapenext = NULL;
}

static rb_Task *first (rb_Replay *r) {
  rb_Task *best = NULL;
  for (rb_Task *t = r->waiting; t != NULL; t = t->tapenext)
    if (t->state == RB_TAPE && (best == NULL || t->taped->seq < best->taped->seq))
      best = t;
  return best;
}

const rb_Taped *rb_replay_unasked (const rb_Replay *r) {
  const rb_Taped *best = NULL;
  for (const rb_Taped *e = r->list; e < r->list + r->n; e++)
    if (e->seq != 0 && !e->used && !e->within && (best == NULL || e->seq < best->seq))
      best = e;
  return best;
}

/* What comes next is not on the tape. */
static void notify (rb_VM *vm) {
  void (*fn) (rb_VM *vm) = vm->replay->golive;
  vm->replay->golive = NULL;
  if (fn != NULL) fn(vm);
}

/* Those who wait are where the tape ends; the time of their step begins now. */
static void golive (rb_VM *vm, rb_FieldRun *field) {
  rb_Replay *r = vm->replay;
  notify(vm);
  r->over = 1;
  if (field->timeout > 0) field->deadline = rb_now() + field->timeout;
}

static void begin (rb_Replay *r, rb_Task *t) {
  unlist(r, t);
  if (r->livefrom == NULL && t->call.path.s != NULL) r->livefrom = strdup(t->call.path.s);
  rb_task_ready(t);
}

static rb_Task *earliest (const rb_Replay *r) {  /* the last of the list came in first */
  rb_Task *t = r->waiting;
  while (t->tapenext != NULL) t = t->tapenext;
  return t;
}

static void release (rb_VM *vm) {
  while (vm->replay->waiting != NULL) begin(vm->replay, earliest(vm->replay));
}

/* in a branch of which something is done again? */
static int reopened (const rb_Replay *r, const rb_Task *t) {
  const char *path = t->call.path.s;
  for (const char *s = path; s != NULL && (s = strchr(s, '/')) != NULL; s++)
    if (json_object_getn(r->reopened, path, (size_t)(s - path)) != NULL) return 1;
  return 0;
}

/* The tape's next waits for the end of a branch that is done again: how many began */
static int reopen (rb_VM *vm) {
  rb_Replay *r = vm->replay;
  int n = 0;
  for (;; n++) {
    rb_Task *first = NULL;
    for (rb_Task *t = r->waiting; t != NULL; t = t->tapenext)
      if (reopened(r, t)) first = t;
    if (first == NULL) return n;
    notify(vm);
    begin(r, first);
  }
}

static int underway (const rb_FieldRun *field) {
  for (const rb_Task *t = field->tasks; t != NULL; t = t->sister)
    if (t->state == RB_WAITING || t->state == RB_COMMIT || t->state == RB_DELIVER) return 1;
  return 0;
}

static void missed (rb_VM *vm, rb_FieldRun *field) {
  const rb_Taped *e = rb_replay_unasked(vm->replay);
  const char *here = vm->replay->waiting->call.path.s;
  if (field->stop != RB_GO || e == NULL) return;
  field->stop = RB_DIVERGED;
  snprintf(field->why, sizeof field->why, "the script differs from the run: it comes to "
           "%s, and the tape has %s%s%.300s (%s) before that", here != NULL ? here : "?",
           e->verb != NULL ? e->verb : "a wait", e->summary != NULL ? " " : "",
           e->summary != NULL ? e->summary : "", e->path);
}

static void ended (rb_VM *vm, rb_FieldRun *field) {
  const char *here = vm->replay->waiting->call.path.s;
  if (field->stop != RB_GO) return;
  field->stop = RB_TAPEEND;
  snprintf(field->why, sizeof field->why, "the tape ends before %s",
           here != NULL ? here : "?");
}

int rb_replay_turn (rb_VM *vm) {
  rb_Task *t = first(vm->replay);
  if (t == NULL) return 0;
  unlist(vm->replay, t);
  vm->replay->left--;
  vm->lastdelivered = t->taped->at;
  rb_task_ready(t);
  return 1;
}

int rb_replay_next (rb_VM *vm, rb_FieldRun *field) {
  rb_Replay *r = vm->replay;
  if (rb_replay_turn(vm)) return 1;
  if (r->waiting == NULL) return 0;
  if (r->left > 0 && (underway(field) || (!r->offline && reopen(vm) > 0)))
    return vm->ready != NULL;
  if (r->left > 0 && !r->skipping) missed(vm, field);
  else if (r->offline || r->skipping) ended(vm, field);
  else golive(vm, field);
  release(vm);
  return 1;
}

/* -- what it was --------------------------------------------------------------------- */

static void settype (lua_State *L, const char *name) { rb_settype_named(L, name); }

/* [-0, +1, m] */
static void pushvalue (lua_State *L, const char *s, size_t n) {
  if (s == NULL || !rb_value_decode(L, s, n, settype)) lua_pushnil(L);
}

void rb_replay_intent (lua_State *L, const rb_Taped *e) {
  pushvalue(L, e->intent, e->nintent);
}

int rb_replay_value (lua_State *L, const rb_Taped *e) {
  pushvalue(L, e->value, e->nvalue);
  if (!e->failed && !e->lost) return 0;
  if (lua_istable(L, -1)) rb_seterror(L);
  return 1;
}

/* the row says what the tape's session saw */
static void addrow (lua_State *L, rb_Task *t, const rb_Taped *e) {
  char why[256];
  rb_replay_intent(L, e);
  if (lua_istable(L, -1)) rb_limits_charge(L, why, sizeof why);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &t->call);
  if (e->summary != NULL) {
    rb_buffer_clear(&t->call.summary);
    rb_buffer_puts(&t->call.summary, e->summary);
  }
  rb_EffectRow *row = rb_record_row(t, e->failed);
  if (row == NULL) return;
  row->outcome = e->failed ? "failed" : "replayed";
  row->unchanged = e->unchanged;
}

int rb_replay_push (lua_State *L) {
  rb_Task *t = rb_taskof(L);
  const rb_Taped *e = t->taped;
  addrow(L, t, e);
  if (e->deed && (!e->failed || e->partly) && !e->unchanged) t->field->deeds++;
  return rb_replay_value(L, e);
}

/* -- what the script said -------------------------------------------------------------- */

int rb_replay_spoken (rb_VM *vm, const char *kind, const char *path) {
  char key[400];
  if (vm->replay == NULL) return 0;
  snprintf(key, sizeof key, "%s %s", kind, path != NULL ? path : "");
  json_t *n = json_object_get(vm->replay->spoken, key);
  if (json_integer_value(n) <= 0) return 0;
  json_integer_set(n, json_integer_value(n) - 1);
  return 1;
}

const char *rb_replay_answer (rb_VM *vm, const char *id) {
  json_t *list = vm->replay != NULL ? json_object_get(vm->replay->answers, id) : NULL;
  if (json_array_size(list) == 0) return NULL;
  json_t *text = json_array_get(list, 0);
  json_object_set(vm->replay->answers, "", text);  /* keeps it until the next */
  json_array_remove(list, 0);
  return json_string_value(text);
}

int rb_replay_approved (rb_VM *vm, const char *role, const char *what) {
  char key[400];
  if (vm->replay == NULL) return 0;
  snprintf(key, sizeof key, "%s %s", role, what);
  return json_object_get(vm->replay->approvals, key) != NULL;
}

const char *rb_replay_skipped (const rb_VM *vm, const char *step) {
  const json_t *at = vm->replay != NULL ? json_object_get(vm->replay->skipped, step) : NULL;
  return json_string_value(json_object_get(at, "reason"));
}
