/*
** base.c - the basic library without its accidents
**
** A run must replay exactly, so a script may not see an address, the order
** of a hash, or memory that ran out; and what could reach past the gate
** (bytecode, finalizers) is refused.
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lualib.h>

#include "vm/base.h"
#include "vm/vm.h"

const char *rb_tolstring (lua_State *L, int idx, size_t *len) {
  idx = lua_absindex(L, idx);
  switch (lua_type(L, idx)) {
    case LUA_TNIL: case LUA_TBOOLEAN: case LUA_TNUMBER: case LUA_TSTRING:
      return luaL_tolstring(L, idx, len);
    default: break;
  }
  if (luaL_getmetafield(L, idx, "__tostring") != LUA_TNIL) {
    lua_pop(L, 1);
    return luaL_tolstring(L, idx, len);
  }
  if (luaL_getmetafield(L, idx, "__name") != LUA_TSTRING)
    lua_pushstring(L, luaL_typename(L, idx));
  return lua_tolstring(L, -1, len);
}

static int base_tostring (lua_State *L) {
  luaL_checkany(L, 1);
  rb_tolstring(L, 1, NULL);
  return 1;
}

/* serves only to ask whether a table is empty: the order would be an accident */
static int base_next (lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_argcheck(L, lua_isnoneornil(L, 2), 2,
                "next only tells whether a table is empty; iterate with pairs");
  lua_pushnil(L);
  if (lua_next(L, 1) == 0) lua_pushnil(L);
  else lua_pushboolean(L, 1);
  return 1;
}

/* seeded by the clock: a resumed run would see other values */
static int base_random (lua_State *L) {
  return luaL_error(L, "math.random is not there, since it would not repeat itself when "
                    "the run is resumed: use random.integer(a, b)");
}

/* print is a note of the run, on standard error */
static int base_print (lua_State *L) {
  rb_VM *vm = rb_vm(L);
  luaL_Buffer b;
  int n = lua_gettop(L);
  luaL_buffinit(L, &b);
  for (int i = 1; i <= n; i++) {
    if (i > 1) luaL_addchar(&b, '\t');
    rb_tolstring(L, i, NULL);
    luaL_addvalue(&b);
  }
  luaL_pushresult(&b);
  size_t len;
  const char *s = lua_tolstring(L, -1, &len);
  char *text = rb_redacted(s, len);
  if (text == NULL) return luaL_error(L, "not enough memory");
  if (vm->show != NULL) rb_show_note(vm->show, text);
  else fprintf(stderr, "%s\n", text);
  free(text);
  return 0;
}

/* -- protected calls ------------------------------------------------------ */

/* Memory that ran out ends the script; anything else is the script's to see.
** The stack: false or true, then the results, from 'base' on. */
static int caught (lua_State *L, int status) {
  if (status == LUA_ERRMEM)
    return rb_stop(L, RB_MEMORY, "the script used more memory than it may");
  return 0;
}

static int pcalled (lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  if (status == LUA_OK || status == LUA_YIELD) return lua_gettop(L);
  if (status == LUA_ERRMEM) return caught(L, status);
  lua_pushboolean(L, 0);
  lua_insert(L, -2);
  return 2;
}

static int base_pcall (lua_State *L) {
  luaL_checkany(L, 1);
  lua_pushboolean(L, 1);
  lua_insert(L, 1);
  int status = lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, 0, pcalled);
  return pcalled(L, status, 0);
}

static int handled (lua_State *L, int status, lua_KContext ctx) {
  (void)L; (void)status; (void)ctx;
  return 2;
}

/* 1: handler, 2: true, 3...: results or the error on the top. The handler runs
** after unwinding: a stock one runs with hooks off, and could hang. */
static int xpcalled (lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  if (status == LUA_OK || status == LUA_YIELD) return lua_gettop(L) - 1;
  if (status == LUA_ERRMEM) return caught(L, status);
  lua_pushvalue(L, 1);
  lua_insert(L, -2);                                 /* ... handler error */
  lua_pushboolean(L, 0);
  lua_insert(L, -3);                                 /* ... false handler error */
  lua_callk(L, 1, 1, 0, handled);
  return 2;
}

static int base_xpcall (lua_State *L) {              /* f, handler, args... */
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, 2);
  lua_replace(L, 1);
  lua_replace(L, 2);                                 /* handler, f, args... */
  lua_pushboolean(L, 1);
  lua_insert(L, 2);                                  /* handler, true, f, ... */
  int status = lua_pcallk(L, lua_gettop(L) - 3, LUA_MULTRET, 0, 0, xpcalled);
  return xpcalled(L, status, 0);
}

/* -- what could reach past the gate --------------------------------------- */

static int base_load (lua_State *L) {
  const char *code = luaL_checkstring(L, 1);
  const char *name = luaL_optstring(L, 2, code);
  int env = !lua_isnone(L, 4);
  if (luaL_loadbufferx(L, code, lua_rawlen(L, 1), name, "t") != LUA_OK) {
    lua_pushnil(L);
    lua_insert(L, -2);
    return 2;
  }
  if (env) {
    lua_pushvalue(L, 4);
    if (lua_setupvalue(L, -2, 1) == NULL) lua_pop(L, 1);
  }
  return 1;
}

static int base_setmetatable (lua_State *L) {
  static const char *const refused[] = {
    "__gc", "__mode", "__rbtype", "__rblabel", NULL
  };
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_argexpected(L, lua_isnil(L, 2) || lua_istable(L, 2), 2, "nil or table");
  if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL)
    return luaL_error(L, "cannot change a protected metatable");
  for (const char *const *f = refused; lua_istable(L, 2) && *f != NULL; f++) {
    lua_pushstring(L, *f);
    if (lua_rawget(L, 2) != LUA_TNIL)
      return luaL_error(L, "a runbook's metatables have no %s", *f);
    lua_pop(L, 1);
  }
  lua_settop(L, 2);
  lua_setmetatable(L, 1);
  return 1;
}

/* rawset could slip __gc into a metatable, but Lua looks for it only in
** setmetatable; nothing to guard there. */

/* -- string.format --------------------------------------------------------- */

/* upvalue 1: the stock one. %s of a table shows no address, %p is refused. */
static int base_format (lua_State *L) {
  const char *f = luaL_checkstring(L, 1);
  int arg = 1, top = lua_gettop(L);
  for (; *f != '\0'; f++) {
    if (*f != '%') continue;
    if (*++f == '%') continue;
    f += strspn(f, "-+ #0123456789.");
    if (*f == '\0') break;
    if (*f == 'p') return luaL_error(L, "string.format has no %%p here");
    if (++arg <= top && *f == 's' && lua_type(L, arg) > LUA_TSTRING) {
      rb_tolstring(L, arg, NULL);
      lua_replace(L, arg);
    }
  }
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, top, 1);
  return 1;
}

/* -- opening ---------------------------------------------------------------- */

static const luaL_Reg functions[] = {
  {"tostring", base_tostring},
  {"next", base_next},
  {"print", base_print},
  {"pcall", base_pcall},
  {"xpcall", base_xpcall},
  {"load", base_load},
  {"setmetatable", base_setmetatable},
  {"pairs", rb_pairs},
  {"require", rb_require},
  {NULL, NULL}
};

void rb_base_open (lua_State *L) {
  lua_pushglobaltable(L);
  luaL_setfuncs(L, functions, 0);
  lua_getfield(L, -1, LUA_TABLIBNAME);
  lua_pushcfunction(L, rb_sort);
  lua_setfield(L, -2, "sort");
  lua_getfield(L, -2, LUA_STRLIBNAME);
  lua_getfield(L, -1, "format");
  lua_pushcclosure(L, base_format, 1);
  lua_setfield(L, -2, "format");
  lua_getfield(L, -3, LUA_MATHLIBNAME);
  lua_pushcfunction(L, base_random);
  lua_setfield(L, -2, "random");
  lua_pop(L, 4);
  lua_pushliteral(L, "");
  lua_getmetatable(L, -1);
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");  /* one script's "" is everyone's */
  lua_pop(L, 2);
}
