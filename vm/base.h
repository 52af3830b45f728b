/*
** base.h - our own versions of what the basic library would show by accident
*/

#ifndef rb_base_h
#define rb_base_h

#include <lua.h>

/* [-0, +0, m]  Replaces pairs, next, tostring, print, pcall, xpcall, load,
** setmetatable, require, table.sort, string.format. */
void rb_base_open (lua_State *L);

/* [-0, +1, m]  As luaL_tolstring, without addresses. */
const char *rb_tolstring (lua_State *L, int idx, size_t *len);

/* order.c: pairs in sorted order, and a stable table.sort */
int rb_pairs (lua_State *L);
int rb_sort (lua_State *L);

/* require.c */
int rb_require (lua_State *L);

#endif
