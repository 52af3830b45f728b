/*
** names.c - the keys of rows, as a list of columns
*/

#include <stdlib.h>
#include <string.h>

#include "stdlib/common/names.h"

static int byname (const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* [-1, +1, m]  the names that are keys of the table at the top, as a sorted list */
static void tosorted (lua_State *L) {
  int set = lua_gettop(L);
  size_t n = 0, i = 0;
  for (lua_pushnil(L); lua_next(L, set) != 0; lua_pop(L, 1)) n++;
  const char **names = lua_newuserdatauv(L, (n + 1) * sizeof *names, 0);
  for (lua_pushnil(L); lua_next(L, set) != 0; lua_pop(L, 1))
    names[i++] = lua_tostring(L, -2);
  qsort(names, n, sizeof *names, byname);
  lua_createtable(L, (int)n, 0);
  for (i = 0; i < n; i++) {
    lua_pushstring(L, names[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_replace(L, set);
  lua_settop(L, set);
}

void rb_names_push (lua_State *L, int rows, const char *what, lua_Integer *widest) {
  lua_Integer n = luaL_len(L, rows), most = 0;
  lua_newtable(L);
  int set = lua_gettop(L);
  for (lua_Integer i = 1; i <= n; i++) {
    if (lua_geti(L, rows, i) != LUA_TTABLE)
      luaL_error(L, "%s: row %d is a %s, not a table", what, (int)i, luaL_typename(L, -1));
    if ((lua_Integer)lua_rawlen(L, -1) > most) most = (lua_Integer)lua_rawlen(L, -1);
    for (lua_pushnil(L); lua_next(L, set + 1) != 0; lua_pop(L, 1)) {
      if (lua_type(L, -2) != LUA_TSTRING) continue;
      lua_pushvalue(L, -2);
      lua_pushboolean(L, 1);
      lua_rawset(L, set);
    }
    lua_settop(L, set);
  }
  tosorted(L);
  if (widest != NULL) *widest = most;
}
