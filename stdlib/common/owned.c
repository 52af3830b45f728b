/*
** owned.c - memory of a call that is tidied up at its end, however it ends
*/

#include <string.h>

#include "stdlib/common/owned.h"

void *rb_owned (lua_State *L, size_t size, const char *type, lua_CFunction close) {
  void *p = memset(lua_newuserdatauv(L, size, 0), 0, size);
  if (luaL_newmetatable(L, type)) {
    lua_pushcfunction(L, close);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, close);
    lua_setfield(L, -2, "__close");
  }
  lua_setmetatable(L, -2);
  lua_toclose(L, -1);
  return p;
}
