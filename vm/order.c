/*
** order.c - iteration in sorted order, and a stable sort
*/

#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "vm/base.h"

/* -- pairs ------------------------------------------------------------------ */

typedef struct Key {
  int type;            /* LUA_TNUMBER, LUA_TSTRING or LUA_TBOOLEAN */
  lua_Number n;
  lua_Integer i;
  const char *s;       /* stays alive: the key is in the table of keys */
  size_t len;
  lua_Integer at;      /* in the table of keys as collected */
} Key;

static int rank (int type) {
  return type == LUA_TNUMBER ? 0 : type == LUA_TSTRING ? 1 : 2;
}

static int compare (const void *va, const void *vb) {
  const Key *a = va, *b = vb;
  if (a->type != b->type) return rank(a->type) - rank(b->type);
  if (a->type == LUA_TSTRING) {
    size_t n = a->len < b->len ? a->len : b->len;
    int c = memcmp(a->s, b->s, n);
    return c != 0 ? c : (a->len > b->len) - (a->len < b->len);
  }
  if (a->n != b->n) return a->n < b->n ? -1 : 1;
  return (a->i > b->i) - (a->i < b->i);
}

/* [-0, +0]  the key at the top, into *k */
static void readkey (lua_State *L, Key *k, lua_Integer at) {
  *k = (Key){.type = lua_type(L, -1), .at = at};
  switch (k->type) {
    case LUA_TNUMBER:
      k->n = lua_tonumber(L, -1);
      k->i = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : 0;
      break;
    case LUA_TSTRING: k->s = lua_tolstring(L, -1, &k->len); break;
    case LUA_TBOOLEAN: k->n = lua_toboolean(L, -1); break;
    default:
      luaL_error(L, "a table with a %s as key has no order to iterate in",
                 luaL_typename(L, -1));
  }
}

/* [-0, +1]  a list of the table's keys as they come; returns how many */
static lua_Integer collect (lua_State *L, int t) {
  lua_Integer n = 0;
  lua_newtable(L);
  lua_pushnil(L);
  while (lua_next(L, t) != 0) {
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    lua_rawseti(L, -3, ++n);
  }
  return n;
}

/* [-1, +1]  the list of keys at the top, sorted */
static void sortkeys (lua_State *L, lua_Integer n) {
  int keys = lua_gettop(L);
  Key *k = lua_newuserdatauv(L, (size_t)n * sizeof *k, 0);
  for (lua_Integer i = 0; i < n; i++) {
    lua_rawgeti(L, keys, i + 1);
    readkey(L, &k[i], i + 1);
    lua_pop(L, 1);
  }
  qsort(k, (size_t)n, sizeof *k, compare);
  lua_createtable(L, (int)n, 0);
  for (lua_Integer i = 0; i < n; i++) {
    lua_rawgeti(L, keys, k[i].at);
    lua_rawseti(L, -2, i + 1);
  }
  lua_replace(L, keys);
  lua_settop(L, keys);
}

/* upvalues: keys, index. A key that has gone meanwhile is passed over. */
static int nextkey (lua_State *L) {
  lua_Integer i = lua_tointeger(L, lua_upvalueindex(2));
  lua_settop(L, 1);
  for (;;) {
    i++;
    if (lua_rawgeti(L, lua_upvalueindex(1), i) == LUA_TNIL) return 1;
    lua_pushvalue(L, -1);
    if (lua_rawget(L, 1) != LUA_TNIL) break;
    lua_pop(L, 2);
  }
  lua_pushinteger(L, i);
  lua_replace(L, lua_upvalueindex(2));
  return 2;
}

/* a pure list: no keys to keep */
static int nextitem (lua_State *L) {
  lua_Integer i = luaL_checkinteger(L, 2) + 1;
  lua_pushinteger(L, i);
  return lua_rawgeti(L, 1, i) == LUA_TNIL ? 1 : 2;
}

/* Is it a list 1..n and nothing else? Counts without collecting. */
static int islist (lua_State *L, int t) {
  lua_Integer n = 0, len = (lua_Integer)lua_rawlen(L, t);
  if (len == 0) return 0;
  lua_pushnil(L);
  while (lua_next(L, t) != 0) {
    lua_pop(L, 1);
    if (++n > len || !lua_isinteger(L, -1)) { lua_pop(L, 1); return 0; }
  }
  return n == len;
}

static int paired (lua_State *L, int status, lua_KContext ctx) {
  (void)L; (void)status; (void)ctx;
  return 3;
}

int rb_pairs (lua_State *L) {
  luaL_checkany(L, 1);
  lua_settop(L, 1);
  if (luaL_getmetafield(L, 1, "__pairs") != LUA_TNIL) {
    lua_pushvalue(L, 1);
    lua_callk(L, 1, 3, 0, paired);
    return 3;
  }
  luaL_checktype(L, 1, LUA_TTABLE);
  if (islist(L, 1)) {
    lua_pushcfunction(L, nextitem);
    lua_pushvalue(L, 1);
    lua_pushinteger(L, 0);
    return 3;
  }
  lua_Integer n = collect(L, 1);
  sortkeys(L, n);
  lua_pushinteger(L, 0);
  lua_pushcclosure(L, nextkey, 2);
  lua_pushvalue(L, 1);
  lua_pushnil(L);
  return 3;
}

/* -- table.sort --------------------------------------------------------------- */

/* stack: 1 table, 2 comparator or nil, 3 from, 4 to (two lists) */

static int lessthan (lua_State *L, int a, int b) {
  if (lua_isnil(L, 2)) return lua_compare(L, a, b, LUA_OPLT);
  a = lua_absindex(L, a);
  b = lua_absindex(L, b);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, a);
  lua_pushvalue(L, b);
  lua_call(L, 2, 1);
  int less = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return less;
}

/* merges the runs [lo, mid) and [mid, hi) of list 'from' into list 'to'; of
** equal elements the left one goes first */
static void merge (lua_State *L, int from, int to, lua_Integer lo,
                   lua_Integer mid, lua_Integer hi) {
  lua_Integer i = lo, j = mid;
  for (lua_Integer k = lo; k < hi; k++) {
    int right = i >= mid;
    if (!right && j < hi) {
      lua_rawgeti(L, from, i);
      lua_rawgeti(L, from, j);
      right = lessthan(L, -1, -2);
      lua_pop(L, 2);
    }
    lua_rawgeti(L, from, right ? j++ : i++);
    lua_rawseti(L, to, k);
  }
}

int rb_sort (lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  if (!lua_isnoneornil(L, 2)) luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_settop(L, 2);
  lua_Integer n = luaL_len(L, 1);
  int from = 3, to = 4;
  lua_createtable(L, n < 1000000 ? (int)n : 0, 0);
  lua_createtable(L, n < 1000000 ? (int)n : 0, 0);
  for (lua_Integer i = 1; i <= n; i++) {
    lua_geti(L, 1, i);
    lua_rawseti(L, from, i);
  }
  for (lua_Integer width = 1; width < n; width *= 2) {
    for (lua_Integer lo = 1; lo <= n; lo += 2 * width) {
      lua_Integer mid = lo + width <= n ? lo + width : n + 1;
      lua_Integer hi = lo + 2 * width <= n ? lo + 2 * width : n + 1;
      merge(L, from, to, lo, mid, hi);
    }
    int swap = from; from = to; to = swap;
  }
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti(L, from, i);
    lua_seti(L, 1, i);
  }
  return 0;
}
