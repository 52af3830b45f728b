/*
** each.c - run:each: the same for many, some at a time
**
** Branches are made as they start, and their coroutines are used again, so
** that ten thousand targets need no more memory than fifty. The parent makes
** the branches and takes their results in its own coroutine: nothing is
** pushed outside a protected call.
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/base.h"
#include "vm/run/run.h"

#define LIMIT 50

/* a userdata at stack index 5 of the parent's call */
typedef struct rb_Each {
  lua_Integer count, next, done, failed;
  int live, limit;
  int id;              /* ordinal of this run:each in its task */
  double started;
  rb_Task *finished;   /* branches to take in, linked by `after` */
  rb_Task **last;
  char first[400];     /* the first failure, in words */
} Each;

enum { RUN = 1, LIST, FN, RESULTS, STATE };

static int joined (lua_State *L, int status, lua_KContext ctx);

void rb_each_over (rb_Task *b) {
  Each *e = b->each;
  b->after = NULL;
  *e->last = b;
  e->last = &b->after;
  if (b->parent->state == RB_JOINING) rb_task_ready(b->parent);
}

/* one branch more, for the item at e->next */
static void begin (lua_State *L, Each *e) {
  rb_Task *t = rb_taskof(L);
  char path[512];
  lua_Integer i = ++e->next;
  lua_pushvalue(L, FN);
  lua_geti(L, LIST, i);
  snprintf(path, sizeof path, "%s/%d[%lld]", t->path, e->id, (long long)i);
  rb_Task *b = rb_task_new(L, t, t->field, path, 1);
  b->each = e;
  b->index = i;
  lua_pushvalue(L, STATE);  /* it lives as long as any of its branches */
  lua_rawsetp(L, LUA_REGISTRYINDEX, b);
  rb_assume_all(&b->assumes, &t->assumes);
  e->live++;
}

/* [-1, +0]  the error at the top is the branch's */
static void failed (lua_State *L, Each *e, rb_Task *b) {
  int error = lua_gettop(L);
  if (e->failed++ == 0) {
    lua_geti(L, LIST, b->index);
    const char *item = rb_tolstring(L, -1, NULL);
    const char *why = rb_tolstring(L, error, NULL);
    snprintf(e->first, sizeof e->first, "%s: %s", item, why);
  }
  lua_settop(L, error - 1);
}

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

static int finish (lua_State *L, Each *e) {
  if (e->failed > 0)
    return rb_fail(L, "each", RB_NOTDONE, "%lld of %lld failed; the first: %s",
                   (long long)e->failed, (long long)e->count, e->first);
  lua_pushvalue(L, RESULTS);
  return 1;
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
  if (t->vm->show != NULL && t->field->step != NULL)
    rb_show_progress(t->vm->show, t->field->step, "done", e->done, e->count,
                     rb_now() - e->started);
  if (e->live == 0) return finish(L, e);
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
  Each *e = lua_newuserdatauv(L, sizeof *e, 0);
  *e = (Each){.count = luaL_len(L, LIST), .limit = limit, .id = ++t->n,
              .started = rb_now()};
  e->last = &e->finished;
  return joined(L, LUA_OK, 0);
}

const luaL_Reg rb_each_methods[] = {
  {"each", run_each},
  {NULL, NULL}
};
