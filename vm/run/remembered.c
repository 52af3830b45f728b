/*
** remembered.c - what a dry run knows of a script's own variables
**
** A field of `run` knows what it rests on; a variable of the file, shared by the
** functions of several steps, does not. So around each function of a dry run the
** variables that it can reach are looked at: one that it changed rests on what the
** function rested on. One that a deferred step may have been meant to set is
** not known, and defers who can reach it: a variable that is nil, false, 0, "" or {}
** so far, or that some step has changed before. The same goes for what is inside the
** tables of `run`.
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/run/run.h"
#include "vm/tape/value.h"

enum { DEEP = 4 };

/* A variable, in the table of those that are known, by its id (a table of run: by its
** name): {print = text, name =, changed = bool, rests = {n, ...} | reason} */

/* [-0, +0, m]  the value at idx as a text that changes when it does, into b */
static void print (lua_State *L, int idx, rb_Buffer *b) {
  rb_buffer_clear(b);
  if (rb_value_encode(L, idx, b) == NULL) return;
  rb_buffer_clear(b);
  rb_buffer_printf(b, "%s %p", luaL_typename(L, idx), lua_topointer(L, idx));
}

static int isunset (lua_State *L, int idx) {
  switch (lua_type(L, idx)) {
    case LUA_TNIL: return 1;
    case LUA_TBOOLEAN: return !lua_toboolean(L, idx);
    case LUA_TNUMBER: return lua_tonumber(L, idx) == 0;
    case LUA_TSTRING: return lua_rawlen(L, idx) == 0;
    case LUA_TTABLE:
      lua_pushnil(L);
      if (lua_next(L, lua_absindex(L, idx)) == 0) return 1;
      lua_pop(L, 2);
      return 0;
    default: return 0;
  }
}

/* -- what a function can reach ------------------------------------------------- */

typedef void (*Visit) (lua_State *L, int record, int value, void *ud);

typedef struct Walk {
  int cells, seen;       /* stack indices: id -> record, what was visited */
  Visit visit;
  void *ud;
} Walk;

static void walkfunction (lua_State *L, const Walk *w, int fn, int depth);

/* [-0, +0, m]  functions inside a value */
static void walkvalue (lua_State *L, const Walk *w, int idx, int depth) {
  idx = lua_absindex(L, idx);
  if (depth > DEEP) return;
  if (lua_isfunction(L, idx)) { walkfunction(L, w, idx, depth); return; }
  if (!lua_istable(L, idx)) return;
  lua_pushvalue(L, idx);
  if (lua_rawget(L, w->seen) != LUA_TNIL) { lua_pop(L, 1); return; }
  lua_pop(L, 1);
  lua_pushvalue(L, idx);
  lua_pushboolean(L, 1);
  lua_rawset(L, w->seen);
  luaL_checkstack(L, 12, NULL);
  for (lua_pushnil(L); lua_next(L, idx) != 0; lua_pop(L, 1))
    if (lua_isfunction(L, -1) || lua_istable(L, -1)) walkvalue(L, w, -1, depth + 1);
}

/* [-0, +1, m]  the record of a variable */
static void pushrecord (lua_State *L, const Walk *w, const void *id, const char *name) {
  if (lua_rawgetp(L, w->cells, id) != LUA_TNIL) return;
  lua_pop(L, 1);
  lua_createtable(L, 0, 4);
  lua_pushstring(L, name);
  lua_setfield(L, -2, "name");
  lua_pushvalue(L, -1);
  lua_rawsetp(L, w->cells, id);
}

static void walkfunction (lua_State *L, const Walk *w, int fn, int depth) {
  lua_pushvalue(L, fn);
  int known = lua_rawget(L, w->seen) != LUA_TNIL;
  lua_pop(L, 1);
  if (known || lua_iscfunction(L, fn)) return;
  lua_pushvalue(L, fn);
  lua_pushboolean(L, 1);
  lua_rawset(L, w->seen);
  luaL_checkstack(L, 12, NULL);
  const char *name;
  for (int i = 1; (name = lua_getupvalue(L, fn, i)) != NULL; i++) {
    int value = lua_gettop(L);
    if (strcmp(name, "_ENV") != 0 && !lua_isuserdata(L, value)) {
      pushrecord(L, w, lua_upvalueid(L, fn, i), name);
      w->visit(L, value + 1, value, w->ud);
      lua_settop(L, value);
      walkvalue(L, w, value, depth + 1);
    }
    lua_settop(L, value - 1);
  }
}

/* [-0, +0, m]  calls visit for each variable that fn (a reference) can reach */
static void walk (rb_Run *r, int fn, Visit visit, void *ud) {
  lua_State *L = r->L;
  int top = lua_gettop(L);
  Walk w = {.cells = top + 1, .seen = top + 2, .visit = visit, .ud = ud};
  luaL_getsubtable(L, LUA_REGISTRYINDEX, "rb.remembered");
  lua_newtable(L);
  lua_rawgeti(L, LUA_REGISTRYINDEX, fn);
  walkvalue(L, &w, -1, 0);
  lua_settop(L, top);
}

/* -- before and after a function --------------------------------------------------- */

typedef struct Looking {
  rb_Buffer *b;
  rb_FieldEnd *end;
  const char *why;
  int n;                 /* deferred: it rests on what is not known */
} Looking;

/* what the record at 'record' rests on, into the list; a text: it is not known */
static void rests (lua_State *L, int record, Looking *k) {
  int type = lua_getfield(L, record, "rests");
  if (type == LUA_TSTRING && !k->n) {
    k->n = 1;
    lua_getfield(L, record, "name");
    snprintf(k->end->reason, sizeof k->end->reason, "needs the variable %s, which only a "
             "real run sets: %.900s", lua_tostring(L, -1), lua_tostring(L, -2));
    lua_pop(L, 1);
  }
  for (lua_Integer i = 1; type == LUA_TTABLE && i <= (lua_Integer)lua_rawlen(L, -1); i++) {
    lua_rawgeti(L, -1, i);
    rb_assume(&k->end->assumes, (int)lua_tointeger(L, -1));
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

static void before (lua_State *L, int record, int value, void *ud) {
  Looking *k = ud;
  rests(L, record, k);
  print(L, value, k->b);
  lua_pushlstring(L, k->b->s != NULL ? k->b->s : "", k->b->n);
  lua_setfield(L, record, "print");
}

/* [-0, +1, m]  the assumptions as a list */
static void pushassumes (lua_State *L, const rb_Assumes *a) {
  lua_createtable(L, a->count, 0);
  for (int i = 0; i < a->count; i++) {
    lua_pushinteger(L, a->n[i]);
    lua_rawseti(L, -2, i + 1);
  }
}

static void after (lua_State *L, int record, int value, void *ud) {
  Looking *k = ud;
  size_t n;
  print(L, value, k->b);
  lua_getfield(L, record, "print");
  const char *was = lua_tolstring(L, -1, &n);
  if (was == NULL || (n == k->b->n && memcmp(was, k->b->s, n) == 0)) return;
  lua_pushboolean(L, 1);
  lua_setfield(L, record, "changed");
  if (k->end->assumes.count == 0) return;
  pushassumes(L, &k->end->assumes);
  lua_setfield(L, record, "rests");
}

static void doubt (lua_State *L, int record, int value, void *ud) {
  Looking *k = ud;
  lua_getfield(L, record, "changed");
  if (!lua_toboolean(L, -1) && !isunset(L, value)) return;
  lua_pushstring(L, k->why);
  lua_setfield(L, record, "rests");
}

/* -- the tables of `run` -------------------------------------------------------------- */

/* [-0, +1, m]  the record of the table at the top, by the name at 'name'; another table
** of that name has another record */
static void pushtable (lua_State *L, int records, int name) {
  const void *at = lua_topointer(L, -1);
  lua_pushvalue(L, name);
  if (lua_rawget(L, records) == LUA_TTABLE) {
    lua_getfield(L, -1, "at");
    int same = lua_touserdata(L, -1) == at;
    lua_pop(L, 1);
    if (same) return;
  }
  lua_pop(L, 1);
  lua_createtable(L, 0, 4);
  lua_pushvalue(L, name);
  lua_setfield(L, -2, "name");
  lua_pushlightuserdata(L, (void *)at);
  lua_setfield(L, -2, "at");
  lua_pushvalue(L, name);
  lua_pushvalue(L, -2);
  lua_rawset(L, records);
}

/* [-0, +0, m]  calls visit with a record and the value of each table in run's fields */
static void walkrun (rb_Run *r, Visit visit, void *ud) {
  lua_State *L = r->L;
  int top = lua_gettop(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, "rb.remembered");
  lua_rawgeti(L, LUA_REGISTRYINDEX, r->fields);
  for (lua_pushnil(L); lua_next(L, top + 2) != 0; lua_settop(L, top + 3)) {
    if (!lua_istable(L, -1) || strcmp(lua_tostring(L, top + 3), "answers") == 0) continue;
    pushtable(L, top + 1, top + 3);
    visit(L, top + 5, top + 4, ud);
  }
  lua_settop(L, top);
}

/* what a table of run rests on now, where reading it finds that: run's list of names */
static void mark (lua_State *L, int record, int value, void *ud) {
  rb_Run *r = ud;
  (void)value;
  lua_rawgeti(L, LUA_REGISTRYINDEX, r->known);
  int known = lua_gettop(L);
  lua_getfield(L, record, "name");
  if (lua_getfield(L, record, "rests") == LUA_TNIL) return;
  lua_rawset(L, known);
}

/* -- for the engine ------------------------------------------------------------------------ */

int rb_remembered_before (rb_Run *r, int fn, rb_FieldEnd *end) {
  rb_Buffer b = {0};
  Looking k = {.b = &b, .end = end}, unread = {.b = &b};
  rb_FieldEnd none = {0};
  unread.end = &none;
  walk(r, fn, before, &k);
  walkrun(r, before, &unread);  /* what they rest on counts when they are read */
  rb_field_clear(&none);
  rb_buffer_free(&b);
  if (k.n == 0) return 1;
  end->end = RB_STOPPEDEND;
  end->stop = RB_DEFER;
  snprintf(end->kind, sizeof end->kind, "deferred");
  return 0;
}

void rb_remembered_after (rb_Run *r, int fn, rb_FieldEnd *end) {
  rb_Buffer b = {0};
  Looking k = {.b = &b, .end = end};
  walk(r, fn, after, &k);
  walkrun(r, after, &k);
  walkrun(r, mark, r);
  rb_buffer_free(&b);
}

void rb_remembered_unknown (rb_Run *r, const rb_Step *s, const char *why) {
  Looking k = {.why = why != NULL && *why != '\0' ? why : "a step before it was deferred"};
  for (int i = 0; i < RB_FIELDS; i++)
    if (i != RB_UNDO && s->fn[i] != RB_NOREF) walk(r, s->fn[i], doubt, &k);
  walkrun(r, doubt, &k);
  walkrun(r, mark, r);
}
