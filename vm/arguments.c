/*
** arguments.c - what a deed was asked to do, as it was when it was asked
**
** A preview and its deed read the same arguments, one after the other. A table
** could change in between (another branch of run:each holds it, too), or give
** each of them another answer (a metatable of the script's): so a deed gets a
** copy of its own, of plain tables and of the types of ours.
*/

#include "vm/vm.h"

#define MAXDEPTH 100

/* Is the metatable at the top one of those that we registered? */
static int isours (lua_State *L) {
  int ours = 0;
  lua_pushliteral(L, "__name");
  if (lua_rawget(L, -2) == LUA_TSTRING) {
    lua_rawget(L, LUA_REGISTRYINDEX);
    ours = lua_rawequal(L, -1, -2);
  }
  lua_pop(L, 1);
  return ours;
}

/* [-1, +1, v]  the table at the top, copied */
static void copy (lua_State *L, const rb_Call *c, int depth) {
  int from = lua_gettop(L), to = from + 1;
  if (depth > MAXDEPTH)
    luaL_error(L, "an argument of %s.%s contains itself", c->module->name, c->reg->name);
  luaL_checkstack(L, 8, "an argument is nested too deeply");
  lua_newtable(L);
  for (lua_pushnil(L); lua_next(L, from) != 0; ) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);                                /* key, key, value */
    if (lua_istable(L, -1)) copy(L, c, depth + 1);
    lua_rawset(L, to);
  }
  if (lua_getmetatable(L, from)) {
    if (!isours(L))
      luaL_error(L, "an argument of %s.%s has a metatable of the script's own, so that "
                 "it could be another thing each time: give it a plain table",
                 c->module->name, c->reg->name);
    lua_setmetatable(L, to);
  }
  lua_remove(L, from);
}

void rb_arguments_fix (lua_State *L, const rb_Call *c, int n) {
  for (int i = 1; i <= n; i++) {
    if (!lua_istable(L, i)) continue;
    lua_pushvalue(L, i);
    copy(L, c, 0);
    lua_replace(L, i);
  }
}
