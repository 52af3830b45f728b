/*
** words.c - the host's side of words.lua: places, suggestions, checks
*/

#include <stdio.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>

#include "vm/config/config.h"
#include "vm/module.h"
#include "vm/run/outline.h"
#include "vm/run/shape.h"
#include "vm/state.h"

#include "words.h"

#define MAXNAMES 256  /* that a suggestion looks through */

/* here() -> file, line: where the script stands that called a word; nothing
** when it is not known (a tail call left no frame) */
static int here (lua_State *L) {
  lua_Debug us, ar;
  if (!lua_getstack(L, 1, &us) || !lua_getinfo(L, "S", &us)) return 0;
  for (int level = 2; lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "Sl", &ar);
    if (ar.currentline <= 0 || ar.source[0] != '@' ||
        strcmp(ar.source, us.source) == 0) continue;
    lua_pushstring(L, ar.source + 1);
    lua_pushinteger(L, ar.currentline);
    return 2;
  }
  return 0;
}

/* (kind, message) */
static int fail (lua_State *L) {
  return rb_fail(L, lua_tostring(L, 1), RB_NOTDONE, "%s", lua_tostring(L, 2));
}

/* raise(kind, message, file, line [, field]): a failure like any other, and
** where it is; a mistake of the script (kind "script") is a text, as Lua's */
static int raise (lua_State *L) {
  static const char *const names[] = {NULL, NULL, "file", "line", "field"};
  lua_settop(L, 5);
  if (strcmp(luaL_checkstring(L, 1), "script") == 0) {
    if (!lua_isnil(L, 3))
      lua_pushfstring(L, "%s:%I: ", lua_tostring(L, 3),
                      (LUAI_UACINT)lua_tointeger(L, 4));
    else lua_pushliteral(L, "");
    lua_pushvalue(L, 2);
    lua_concat(L, 2);
    return lua_error(L);
  }
  lua_pushcfunction(L, fail);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, 2);
  lua_pcall(L, 2, 0, 0);
  for (int i = 2; i < 5 && lua_istable(L, -1); i++) {
    lua_pushvalue(L, i + 1);
    lua_setfield(L, -2, names[i]);
  }
  return lua_error(L);
}

/* made(runbook) -> the runbook that this load made before, if any */
static int made (lua_State *L) {
  lua_settop(L, 1);
  lua_getfield(L, LUA_REGISTRYINDEX, RB_MADE);
  lua_insert(L, 1);
  lua_setfield(L, LUA_REGISTRYINDEX, RB_MADE);
  return 1;
}

/* the strings of a list as C strings, at most MAXNAMES */
static void tonames (lua_State *L, int idx, const char **names) {
  int n = 0;
  for (lua_Integer i = 1; n < MAXNAMES - 1; i++, n++) {
    lua_rawgeti(L, idx, i);
    names[n] = lua_tostring(L, -1);
    lua_pop(L, 1);
    if (names[n] == NULL) break;
  }
  names[n] = NULL;
}

/* nearest(word, list) -> string | nil */
static int nearest (lua_State *L) {
  const char *names[MAXNAMES];
  luaL_checktype(L, 2, LUA_TTABLE);
  tonames(L, 2, names);
  lua_pushstring(L, rb_nearest(luaL_checkstring(L, 1), names));
  return 1;
}

/* duration(text) -> seconds | nil */
static int duration (lua_State *L) {
  double seconds;
  if (!rb_duration(luaL_checkstring(L, 1), &seconds)) return 0;
  lua_pushnumber(L, seconds);
  return 1;
}

/* parameter(table) -> nil | what is wrong with its type, choices, default */
static int parameter (lua_State *L) {
  char why[512];
  luaL_checktype(L, 1, LUA_TTABLE);
  if (rb_param_declared(L, 1, why, sizeof why)) return 0;
  lua_pushstring(L, why);
  return 1;
}

static int rawnext (lua_State *L) {
  lua_settop(L, 2);
  if (lua_next(L, 1)) return 2;
  lua_pushnil(L);
  return 1;
}

/* each(table): as Lua's own pairs. That of scripts is sorted, which takes its
** time. */
static int each (lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_pushcfunction(L, rawnext);
  lua_pushvalue(L, 1);
  lua_pushnil(L);
  return 3;
}

/* names() -> list of what is defined, for suggestions */
static int globals (lua_State *L) {
  lua_Integer n = 0;
  lua_newtable(L);
  lua_pushglobaltable(L);
  lua_pushnil(L);
  while (lua_next(L, 2)) {
    lua_pop(L, 1);
    if (lua_type(L, -1) != LUA_TSTRING) continue;
    lua_pushvalue(L, -1);
    lua_rawseti(L, 1, ++n);
  }
  lua_pushliteral(L, "runbook");
  lua_rawseti(L, 1, ++n);
  lua_settop(L, 1);
  return 1;
}

/* __index of the globals. Upvalues: the one that was there, or nil;
** 'undefined' of words.lua */
static int missing (lua_State *L) {
  lua_settop(L, 2);
  lua_pushvalue(L, lua_upvalueindex(1));
  if (lua_isfunction(L, -1)) {
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 2);
    lua_call(L, 2, 1);
  }
  else if (lua_istable(L, -1)) {
    lua_pushvalue(L, 2);
    lua_gettable(L, -2);
  }
  if (!lua_isnil(L, -1)) return 1;
  lua_settop(L, 2);
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_pushcfunction(L, globals);
  lua_pushvalue(L, 2);
  lua_call(L, 2, 1);
  return 1;
}

/* [-1, +0, m]  'undefined' is on the top */
static void watchglobals (lua_State *L) {
  lua_pushglobaltable(L);
  if (!lua_getmetatable(L, -1)) lua_newtable(L);      /* undefined _G mt */
  lua_pushliteral(L, "__index");
  lua_getfield(L, -2, "__index");
  lua_pushvalue(L, -5);
  lua_pushcclosure(L, missing, 2);
  lua_rawset(L, -3);
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_setmetatable(L, -2);
  lua_pop(L, 2);
}

/* {"a", "b", a = true, b = true}, for words.lua */
static void pushlimits (lua_State *L) {
  lua_newtable(L);
  for (int i = 0; rb_limitnames[i] != NULL; i++) {
    lua_pushstring(L, rb_limitnames[i]);
    lua_rawseti(L, -2, i + 1);
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, rb_limitnames[i]);
  }
}

void rb_words_open (lua_State *L) {
  static const lua_CFunction host[] = {
    here, raise, made, nearest, duration, parameter, each
  };
  if (luaL_loadbufferx(L, (const char *)rb_words, sizeof rb_words, "=words",
                       "b") != LUA_OK)
    lua_error(L);
  for (size_t i = 0; i < sizeof host / sizeof *host; i++)
    lua_pushcfunction(L, host[i]);
  pushlimits(L);
  lua_call(L, sizeof host / sizeof *host + 1, 3);     /* Done undefined fields */
  lua_setfield(L, LUA_REGISTRYINDEX, RB_WORDFIELDS);
  watchglobals(L);
  lua_setfield(L, LUA_REGISTRYINDEX, RB_WORDS);
}

/* (fn, ud) */
static int open (lua_State *L) {
  lua_CFunction fn = lua_tocfunction(L, 1);
  void *ud = lua_touserdata(L, 2);
  rb_words_open(L);
  lua_settop(L, 0);
  lua_pushcfunction(L, fn);
  lua_pushlightuserdata(L, ud);
  lua_call(L, 1, 0);
  return 0;
}

int rb_words_call (lua_CFunction fn, void *ud, rb_Problem *p) {
  lua_State *L = rb_state_new();
  if (L == NULL)
    return rb_problem(p, RB_USAGE, "memory", "not enough memory");
  lua_gc(L, LUA_GCINC, 1000, 0, 0);  /* most states read one file and go */
  lua_pushcfunction(L, open);
  lua_pushcfunction(L, fn);
  lua_pushlightuserdata(L, ud);
  int status = lua_pcall(L, 2, 0, 0);
  if (status != LUA_OK) {
    const char *why = lua_tostring(L, -1);
    rb_problem(p, RB_USAGE, status == LUA_ERRMEM ? "memory" : "internal", "%s",
               why != NULL ? why : "an error without words");
  }
  rb_state_free(L);
  return status != LUA_OK ? p->exit : 0;
}
