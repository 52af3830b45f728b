/*
** each.c - run:each: the same for many, some at a time
**
** Branches are made as they start, and their coroutines are used again, so
** that ten thousand targets need no more memory than fifty. The parent makes
** the branches and takes their results in its own coroutine: nothing is
** pushed outside a protected call.
**
** A branch that fails does not hold the others. When all are over the failures
** are raised as one error, in the order of the list: the first of them in
** words, the first KEPT as a table, beside the results of the others.
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/base.h"
#include "vm/run/run.h"

#define LIMIT 50
#define KEPT 100      /* failures that are kept one by one */
#define TOLD 5        /* of them in the message */
#define MOST 120      /* bytes of a name and of a reason there */
#define DRAWN 0.1     /* seconds between two looks at how far it is */

/* a userdata at stack index STATE of the parent's call */
typedef struct rb_Each {
  lua_Integer count, next, done, failed;
  int live, limit;
  int id;              /* ordinal of this run:each in its task */
  double started, told;
  rb_Task *finished;   /* branches to take in, linked by `after` */
  rb_Task **last;
  lua_Integer kept[KEPT];  /* places of the failures that are kept, in order */
  int nkept;
} Each;

/* FAILURES: place -> {index=, target=, kind=, reason=} */
enum { RUN = 1, LIST, FN, RESULTS, FAILURES, STATE };

static int joined (lua_State *L, int status, lua_KContext ctx);

void rb_each_over (rb_Task *b) {
  Each *e = b->each;
  b->after = NULL;
  *e->last = b;
  e->last = &b->after;
  if (b->parent->state == RB_JOINING) rb_task_ready(b->parent);
}

int rb_each_progress (const rb_Task *t, long long *done, long long *of) {
  if (t->state != RB_JOINING) return 0;
  *done = t->joins->done;
  *of = t->joins->count;
  return 1;
}

/* one branch more, for the item at e->next */
static void begin (lua_State *L, Each *e) {
  rb_Task *t = rb_taskof(L);
  rb_Buffer *path = &t->vm->line;
  lua_Integer i = ++e->next;
  lua_pushvalue(L, FN);
  lua_geti(L, LIST, i);
  rb_buffer_clear(path);
  rb_buffer_puts(path, t->path);
  rb_buffer_puts(path, "/");
  rb_buffer_number(path, e->id);
  rb_buffer_puts(path, "[");
  rb_buffer_number(path, i);
  rb_buffer_puts(path, "]");
  if (path->failed) luaL_error(L, "not enough memory");
  rb_Task *b = rb_task_new(L, t, t->field, path->s, 1);
  b->each = e;
  b->index = i;
  lua_pushvalue(L, STATE);  /* it lives as long as any of its branches */
  lua_rawsetp(L, LUA_REGISTRYINDEX, b);
  rb_assume_all(&b->assumes, &t->assumes);
  e->live++;
}

/* -- failures ------------------------------------------------------------------ */

/* [-0, +0, m]  Does a failure there belong to the first KEPT? Makes room for it. */
static int keep (lua_State *L, Each *e, lua_Integer i) {
  int at = e->nkept;
  if (at == KEPT) {
    if (i > e->kept[KEPT - 1]) return 0;
    lua_pushnil(L);
    lua_rawseti(L, FAILURES, e->kept[--at]);
  }
  e->nkept = at + 1;
  for (; at > 0 && e->kept[at - 1] > i; at--) e->kept[at] = e->kept[at - 1];
  e->kept[at] = i;
  return 1;
}

/* [-0, +1]  of the table at the top: its `name`, else its only text; or nil */
static void pushtitle (lua_State *L) {
  int t = lua_gettop(L), texts = 0;
  lua_pushliteral(L, "name");
  if (lua_rawget(L, t) != LUA_TNIL) return;
  for (lua_pushnil(L); lua_next(L, t) != 0; lua_pop(L, 1))
    if (lua_type(L, -1) == LUA_TSTRING && texts++ == 0) lua_copy(L, -1, t + 1);
  if (texts == 1) return;
  lua_pushnil(L);
  lua_replace(L, t + 1);
}

/* [-0, +1, m]  what the item at that place is called: its text or title, else its
** number */
static void pushname (lua_State *L, lua_Integer i) {
  lua_geti(L, LIST, i);
  if (lua_istable(L, -1)) {
    pushtitle(L);
    lua_remove(L, -2);
  }
  if (lua_type(L, -1) == LUA_TSTRING || lua_type(L, -1) == LUA_TNUMBER) {
    rb_tolstring(L, -1, NULL);
    lua_remove(L, -2);
    return;
  }
  lua_pop(L, 1);
  lua_pushfstring(L, "number %I", (LUAI_UACINT)i);
}

/* [-1, +0, m]  the error at the top is the branch's */
static void failed (lua_State *L, Each *e, rb_Task *b) {
  int error = lua_gettop(L);
  e->failed++;
  if (keep(L, e, b->index)) {
    lua_createtable(L, 0, 4);
    lua_pushinteger(L, b->index);
    lua_setfield(L, -2, "index");
    pushname(L, b->index);
    lua_setfield(L, -2, "target");
    lua_pushvalue(L, error);
    lua_pushstring(L, lua_istable(L, -1) ? rb_error_field(L, "kind") : "script");
    lua_setfield(L, error + 1, "kind");
    rb_tolstring(L, error, NULL);
    lua_setfield(L, error + 1, "reason");
    lua_settop(L, error + 1);
    lua_rawseti(L, FAILURES, b->index);
  }
  lua_settop(L, error - 1);
}

/* [-0, +1, m]  the failures that were kept, as a list in the order of the items */
static void pushfailures (lua_State *L, const Each *e) {
  lua_createtable(L, e->nkept, 0);
  for (int i = 0; i < e->nkept; i++) {
    lua_rawgeti(L, FAILURES, e->kept[i]);
    lua_rawseti(L, -2, i + 1);
  }
}

/* at most MOST bytes of s, on one line */
static void addwords (rb_Buffer *b, const char *s) {
  size_t n = strlen(s), from = b->n;
  if (n > MOST)
    for (n = MOST; n > 0 && ((unsigned char)s[n] & 0xC0) == 0x80; ) n--;
  rb_buffer_add(b, s, n);
  for (size_t i = from; i < b->n; i++) if (b->s[i] == '\n') b->s[i] = ' ';
  if (s[n] != '\0') rb_buffer_puts(b, "...");
}

/* "target: why" of the failure at that place */
static void addfailure (lua_State *L, rb_Buffer *b, lua_Integer i) {
  lua_rawgeti(L, FAILURES, i);
  lua_getfield(L, -1, "target");
  lua_getfield(L, -2, "reason");
  rb_buffer_puts(b, "\n  ");
  addwords(b, lua_tostring(L, -2));
  rb_buffer_puts(b, ": ");
  addwords(b, lua_tostring(L, -1));
  lua_pop(L, 3);
}

/* in words; they live until the VM's line is used again */
static const char *message (lua_State *L, const Each *e) {
  rb_Buffer *b = &rb_vm(L)->line;
  rb_buffer_clear(b);
  rb_buffer_number(b, e->failed);
  rb_buffer_puts(b, " of ");
  rb_buffer_number(b, e->count);
  rb_buffer_puts(b, " failed:");
  for (int i = 0; i < e->nkept && i < TOLD; i++) addfailure(L, b, e->kept[i]);
  if (e->failed > TOLD) {
    rb_buffer_puts(b, "\n  and ");
    rb_buffer_number(b, e->failed - TOLD);
    rb_buffer_puts(b, " more");
  }
  if (b->failed) luaL_error(L, "not enough memory");
  return b->s;
}

/* [-0, +0, m]  The list at the top, for the report and the tape. */
static void record (lua_State *L, const Each *e) {
  rb_Task *t = rb_taskof(L);
  rb_StepRow *step = t->field->step;
  json_t *o = json_pack("{s:I,s:I,s:o}", "of", (json_int_t)e->count, "failed",
                        (json_int_t)e->failed, "targets", rb_tojson(L, -1));
  if (o == NULL) luaL_error(L, "not enough memory");
  if (step != NULL && step->failures == NULL) step->failures = json_array();
  if (step != NULL) json_array_append(step->failures, o);
  rb_record(t->vm, "failures", t->path, o);
}

/* [-0, +0, v]  Raises all failures as one, with what did not fail. */
static int fail (lua_State *L, const Each *e) {
  pushfailures(L, e);
  record(L, e);
  rb_push_failure(L, "each", "%s", message(L, e));
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, "failed");
  lua_pushvalue(L, RESULTS);
  lua_setfield(L, -2, "results");
  return lua_error(L);
}

/* -- branches that end --------------------------------------------------------- */

/* a branch that ended: its result to its place, its failure counted */
static void takein (lua_State *L, Each *e, rb_Task *b) {
  rb_Task *t = rb_taskof(L);
  e->live--;
  e->done++;
  rb_assume_all(&t->assumes, &b->assumes);
  if (b->state == RB_OVER && lua_gettop(b->L) > 0) {
    if (b->status == LUA_OK) lua_settop(b->L, 1);
    lua_xmove(b->L, L, 1);
    if (b->status == LUA_OK) lua_rawseti(L, RESULTS, b->index);
    else failed(L, e, b);
  }
  rb_task_free(b);
}

static int finish (lua_State *L, const Each *e) {
  if (e->failed > 0) return fail(L, e);
  lua_pushvalue(L, RESULTS);
  return 1;
}

/* "1,200 of 10,000 done, 3 failed, 950/s", when it is time for that */
static void tell (rb_Task *t, Each *e) {
  char words[96], failures[40] = "";
  double now = rb_now(), took = now - e->started;
  if (t->vm->show == NULL || t->field->step == NULL || now - e->told < DRAWN) return;
  e->told = now;
  if (e->failed > 0)
    snprintf(failures, sizeof failures, ", %lld failed", (long long)e->failed);
  double rate = took > 0 ? (double)e->done / took : 0;
  snprintf(words, sizeof words, rate < 10 ? "done%s, %.1f/s" : "done%s, %.0f/s",
           failures, rate);
  rb_show_progress(t->vm->show, t->field->step, words, e->done, e->count, took);
}

static int joined (lua_State *L, int status, lua_KContext ctx) {
  Each *e = lua_touserdata(L, STATE);
  rb_Task *t = rb_taskof(L);
  (void)status;
  for (rb_Task *b; (b = e->finished) != NULL; ) {
    e->finished = b->after;
    if (e->finished == NULL) e->last = &e->finished;
    takein(L, e, b);
  }
  if (rb_stopped(t)) return rb_stop_now(L);
  while (e->live < e->limit && e->next < e->count) begin(L, e);
  tell(t, e);
  if (e->live == 0) return finish(L, e);
  t->joins = e;
  return rb_waitstate(L, RB_JOINING, ctx, joined);
}

static int limitof (lua_State *L, int opts) {
  if (lua_getfield(L, opts, "limit") == LUA_TNIL) return LIMIT;
  lua_Integer n = luaL_checkinteger(L, -1);
  if (n < 1 || n > 10000)
    return luaL_error(L, "run:each's limit is how many at a time, 1 to 10000");
  return (int)n;
}

/* run:each(list [, {limit =}], fn): results in the order of the list */
static int run_each (lua_State *L) {
  rb_Task *t = rb_taskof(L);
  int limit = LIMIT;
  luaL_checkudata(L, RUN, RB_RUNTYPE);
  luaL_checktype(L, LIST, LUA_TTABLE);
  if (lua_istable(L, 3)) {
    limit = limitof(L, 3);
    lua_settop(L, 4);
    lua_remove(L, 3);
  }
  luaL_checktype(L, FN, LUA_TFUNCTION);
  lua_settop(L, FN);
  if (!lua_isyieldable(L))
    return luaL_error(L, "run:each cannot be used here");
  if (t->calling) return luaL_error(L, "run:each cannot be used in a transaction");
  lua_newtable(L);
  lua_newtable(L);
  Each *e = lua_newuserdatauv(L, sizeof *e, 0);
  *e = (Each){.count = luaL_len(L, LIST), .limit = limit, .id = ++t->eaches,
              .started = rb_now()};
  e->last = &e->finished;
  return joined(L, LUA_OK, 0);
}

const rb_Reg rb_each_methods[] = {
  {"each", RB_PURE, run_each, NULL,
   "each(list [, { limit = 50 }], fn) -> {result, ...} : calls fn(item) for all, `limit` "
   "at a time; the results in the list's order. In there `run` is read-only, for "
   "branches run at the same time: return a value instead", NULL, NULL},
  RB_END
};
