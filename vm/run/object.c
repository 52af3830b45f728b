/*
** object.c - `run`, as scripts know it: parameters, what steps set, methods
**
** A field remembers what it rests on: what a dry run's planned remedies might
** have changed. Reading one that was never set is an error that names it;
** after a deferred step it defers the reader.
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/base.h"
#include "vm/replay.h"
#include "vm/run/run.h"

static const char *const reserved[] = {
  "id", "operator", "started", "target", "answers", "done", NULL
};

static int isreserved (const char *name) {
  for (const char *const *w = reserved; *w != NULL; w++)
    if (strcmp(*w, name) == 0) return 1;
  return 0;
}

static rb_Run *checkrun (lua_State *L) {
  rb_Run **p = luaL_testudata(L, 1, RB_RUNTYPE);
  if (p == NULL) luaL_error(L, "call it with a colon: run:method(...)");
  return *p;
}

/* -- fields -------------------------------------------------------------------- */

/* a field that nobody set: which one was meant? */
static int unset (lua_State *L, rb_Run *r, const char *name) {
  const char *names[256];
  int n = 0;
  if (r->deferred) return rb_stop(L, RB_DEFER, "needs run.%s: %s", name, r->deferwhy);
  lua_rawgeti(L, LUA_REGISTRYINDEX, r->known);
  lua_pushnil(L);
  while (lua_next(L, -2) != 0) {
    lua_pop(L, 1);
    if (n < 255) names[n++] = lua_tostring(L, -1);
  }
  names[n] = NULL;
  const char *near = rb_nearest(name, names);
  if (r->skipped != NULL)
    return luaL_error(L, "run.%s was never set: step %d, %s, which may set it, was skipped", name,
                      r->skipped->n, r->skipped->title);
  return luaL_error(L, near != NULL ? "run.%s was never set (did you mean "
                    "run.%s?)" : "run.%s was never set", name, near);
}

/* what the field at the top (a list of numbers, or true) rests on: ours, too */
static void inherit (lua_State *L, rb_Task *t) {
  if (!lua_istable(L, -1)) return;
  lua_Integer n = (lua_Integer)lua_rawlen(L, -1);
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti(L, -1, i);
    rb_assume(&t->assumes, (int)lua_tointeger(L, -1));
    lua_pop(L, 1);
  }
}

static int object_index (lua_State *L) {
  rb_Run *r = checkrun(L);
  const char *name = luaL_checkstring(L, 2);
  lua_settop(L, 2);
  if (luaL_getmetafield(L, 1, "__methods") != LUA_TNIL) {
    lua_pushvalue(L, 2);
    if (lua_rawget(L, -2) != LUA_TNIL) return 1;
  }
  lua_settop(L, 2);
  lua_rawgeti(L, LUA_REGISTRYINDEX, r->known);
  if (lua_getfield(L, 3, name) == LUA_TNIL) return unset(L, r, name);
  if (lua_isstring(L, -1))
    return rb_stop(L, RB_DEFER, "needs run.%s, in which a real run may set more: %s", name,
                   lua_tostring(L, -1));
  inherit(L, rb_taskof(L));
  lua_rawgeti(L, LUA_REGISTRYINDEX, r->fields);
  lua_pushvalue(L, 2);
  lua_rawget(L, -2);
  return 1;
}

/* For modules that look up names in several places (luaL_getmetafield): was
** this field set? Neither an error nor a deferral. */
static int object_has (lua_State *L) {
  rb_Run *r = checkrun(L);
  const char *name = luaL_checkstring(L, 2);
  lua_rawgeti(L, LUA_REGISTRYINDEX, r->known);
  lua_pushboolean(L, lua_getfield(L, -1, name) != LUA_TNIL);
  return 1;
}

static int object_newindex (lua_State *L) {
  rb_Run *r = checkrun(L);
  rb_Task *t = rb_taskof(L);
  const char *name = luaL_checkstring(L, 2);
  if (isreserved(name)) return luaL_error(L, "run.%s cannot be set", name);
  if (luaL_getmetafield(L, 1, "__methods") != LUA_TNIL) {
    lua_pushvalue(L, 2);
    if (lua_rawget(L, -2) != LUA_TNIL)
      return luaL_error(L, "run.%s is a method; choose another name", name);
  }
  lua_settop(L, 3);
  if (t->parent != NULL)
    return luaL_error(L, "run is read-only inside run:each; return the value "
                      "instead of setting run.%s", name);
  lua_rawgeti(L, LUA_REGISTRYINDEX, r->known);
  if (t->assumes.count == 0) lua_pushboolean(L, 1);
  else {
    lua_createtable(L, t->assumes.count, 0);
    for (int i = 0; i < t->assumes.count; i++) {
      lua_pushinteger(L, t->assumes.n[i]);
      lua_rawseti(L, -2, i + 1);
    }
  }
  lua_setfield(L, 4, name);
  lua_rawgeti(L, LUA_REGISTRYINDEX, r->fields);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, 3);
  lua_rawset(L, -3);
  return 0;
}

void rb_object_set (rb_Run *r, const char *name) {
  lua_State *L = r->L;
  lua_rawgeti(L, LUA_REGISTRYINDEX, r->fields);
  lua_insert(L, -2);
  lua_setfield(L, -2, name);
  lua_rawgeti(L, LUA_REGISTRYINDEX, r->known);
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, name);
  lua_pop(L, 2);
}

/* -- methods ---------------------------------------------------------------------- */

/* [-n, +1]  string.format over the arguments from 'first' on */
static const char *format (lua_State *L, int first, size_t *len) {
  if (lua_gettop(L) == first) {
    rb_tolstring(L, first, NULL);
    return lua_tolstring(L, -1, len);
  }
  lua_getfield(L, LUA_REGISTRYINDEX, "rb.format");
  lua_insert(L, first);
  lua_call(L, lua_gettop(L) - first, 1);
  return lua_tolstring(L, -1, len);
}

void rb_note (rb_VM *vm, const char *path, const char *text, size_t n) {
  if (rb_replay_spoken(vm, "note", path)) return;
  char *clean = rb_redacted(text, n);
  if (clean == NULL) return;
  if (vm->show != NULL) rb_show_note(vm->show, clean);
  rb_record(vm, "note", path, json_pack("{s:o}", "text", rb_jsontext(text, n)));
  free(clean);
}

static int run_note (lua_State *L) {
  size_t n;
  checkrun(L);
  luaL_checkany(L, 2);
  const char *s = format(L, 2, &n);
  rb_note(rb_vm(L), rb_taskof(L)->path, s, n);
  return 0;
}

static int run_fail (lua_State *L) {
  checkrun(L);
  luaL_checkany(L, 2);
  const char *s = format(L, 2, NULL);
  return rb_fail(L, "fail", RB_NOTDONE, "%s", s);
}

static int run_finding (lua_State *L) {
  static const char *const statuses[] = {"ok", "warn", "bad", NULL};
  rb_Run *r = checkrun(L);
  const char *name = luaL_checkstring(L, 2);
  luaL_checkany(L, 3);
  const char *status = NULL;
  if (!lua_isnoneornil(L, 4)) status = statuses[luaL_checkoption(L, 4, NULL, statuses)];
  rb_report_finding(r, L, name, 3, status);
  return 0;
}

static int run_evidence (lua_State *L) {
  checkrun(L);
  const char *name = luaL_checkstring(L, 2);
  luaL_checkany(L, 3);
  rb_record(rb_vm(L), "evidence", rb_taskof(L)->path,
            json_pack("{s:o,s:o}", "name", rb_jsontext(name, strlen(name)),
                      "value", rb_tojson(L, 3)));
  return 0;
}

/* A failure that is an answer; a mistake in the script stays one. */
static int tried (lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  if (status == LUA_OK || status == LUA_YIELD) return 1;
  if (status == LUA_ERRMEM)
    return rb_stop(L, RB_MEMORY, "the script used more memory than it may");
  if (!lua_istable(L, -1)) return lua_error(L);
  lua_pushnil(L);
  lua_insert(L, -2);
  return 2;
}

static int run_try (lua_State *L) {
  checkrun(L);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_settop(L, 2);
  return tried(L, lua_pcallk(L, 0, 1, 0, 0, tried), 0);
}

static const rb_Reg said[] = {
  {"note", RB_PURE, run_note, NULL,
   "note(fmt, ...) : a line for people, as string.format; print is one, too", NULL, NULL},
  {"fail", RB_PURE, run_fail, NULL,
   "fail(fmt, ...) : fails the step in your words", NULL, NULL},
  {"finding", RB_PURE, run_finding, NULL,
   "finding(name, value [, status]) : a row of the table that ends the report; the status is "
   "\"ok\", \"warn\" or \"bad\"", NULL, NULL},
  {"evidence", RB_PURE, run_evidence, NULL,
   "evidence(name, value) : kept on the tape, for the post-mortem", NULL, NULL},
  {"try", RB_PURE, run_try, NULL,
   "try(fn) -> value | nil, error : what fn returns, or nil and its error, for a failure that "
   "is an answer. A mistake in the script, a deed in doubt and Ctrl-C are not caught",
   NULL, NULL},
  RB_END
};

const rb_Reg *const rb_run_methods[] = {
  said, rb_each_methods, rb_wait_methods, rb_ask_methods, NULL
};

static void pushmethods (lua_State *L) {
  lua_newtable(L);
  for (const rb_Reg *const *list = rb_run_methods; *list != NULL; list++)
    for (const rb_Reg *m = *list; m->name != NULL; m++) {
      lua_pushcfunction(L, m->fn);
      lua_setfield(L, -2, m->name);
    }
}

static void newtype (lua_State *L) {
  luaL_newmetatable(L, RB_RUNTYPE);
  lua_pushcfunction(L, object_index);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, object_newindex);
  lua_setfield(L, -2, "__newindex");
  lua_pushcfunction(L, object_has);
  lua_setfield(L, -2, "__has");
  pushmethods(L);
  lua_setfield(L, -2, "__methods");
  lua_pushliteral(L, "run");
  lua_setfield(L, -2, "__rblabel");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
}

void rb_object_new (rb_Run *r) {
  lua_State *L = r->L;                                /* parameters */
  newtype(L);
  lua_newtable(L);
  r->fields = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_newtable(L);
  r->known = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_pushnil(L);
  while (lua_next(L, -2) != 0) rb_object_set(r, lua_tostring(L, -2));
  lua_pop(L, 1);
  *(rb_Run **)lua_newuserdatauv(L, sizeof r, 0) = r;
  luaL_setmetatable(L, RB_RUNTYPE);
  r->object = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_getglobal(L, "string");
  lua_getfield(L, -1, "format");
  lua_setfield(L, LUA_REGISTRYINDEX, "rb.format");
  lua_pop(L, 1);
}
