/*
** values.c - Lua's values as PostgreSQL's parameters
**
** They go as text without a type: PostgreSQL takes the one that the place in
** the SQL has, as it does with a literal. A list is an array, a table with
** names in it is JSON, json.null is null.
*/

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "stdlib/pg/pg.h"

enum { MAXDEPTH = 100 };

static int validutf8 (const char *s, size_t n) {
  for (size_t i = 0; i < n; ) {
    unsigned char c = (unsigned char)s[i];
    size_t len = c < 0x80 ? 1 : c >= 0xC2 && c < 0xE0 ? 2
               : c >= 0xE0 && c < 0xF0 ? 3 : c >= 0xF0 && c < 0xF5 ? 4 : 0;
    if (len == 0 || i + len > n || c == 0) return 0;
    for (size_t j = 1; j < len; j++)
      if (((unsigned char)s[i + j] & 0xC0) != 0x80) return 0;
    i += len;
  }
  return 1;
}

/* [-0, +1, m]  bytes that are no text go as bytea's \x0102 */
static void pushstring (lua_State *L, const char *s, size_t n) {
  luaL_Buffer b;
  if (validutf8(s, n)) {
    lua_pushlstring(L, s, n);
    return;
  }
  char *out = luaL_buffinitsize(L, &b, 2 * n + 3);
  strcpy(out, "\\x");
  for (size_t i = 0; i < n; i++)
    snprintf(out + 2 + 2 * i, 3, "%02x", (unsigned char)s[i]);
  luaL_pushresultsize(&b, 2 * n + 2);
}

/* [-0, +1, m]  a whole float goes without its ".0": it may be for an int */
static void pushnumber (lua_State *L, int idx) {
  char text[64];
  double d = lua_tonumber(L, idx);
  if (lua_isinteger(L, idx))
    snprintf(text, sizeof text, "%lld", (long long)lua_tointeger(L, idx));
  else if (isnan(d)) strcpy(text, "NaN");
  else if (isinf(d)) strcpy(text, d > 0 ? "Infinity" : "-Infinity");
  else if (d == floor(d) && fabs(d) < 9e15)
    snprintf(text, sizeof text, "%.0f", d);
  else snprintf(text, sizeof text, "%.17g", d);
  lua_pushstring(L, text);
}

/* an empty table is a list: '{}' is an empty array, and empty JSON */
static int islist (lua_State *L, int idx) {
  if (lua_rawlen(L, idx) > 0) return 1;
  lua_pushnil(L);
  if (lua_next(L, idx) == 0) return 1;
  lua_pop(L, 2);
  return 0;
}

/* -- JSON ----------------------------------------------------------------- */

static json_t *attach (json_t *to, const char *key, json_t *j) {
  if (key != NULL) json_object_set_new(to, key, j);
  else json_array_append_new(to, j);
  return j;
}

static void addjson (lua_State *L, json_t *to, const char *key, int depth);

/* [-0, +0, v]  the table at the top, item by item */
static void additems (lua_State *L, json_t *to, int depth) {
  if (json_is_array(to)) {
    lua_Integer n = (lua_Integer)lua_rawlen(L, -1);
    for (lua_Integer i = 1; i <= n; i++) {
      lua_rawgeti(L, -1, i);
      addjson(L, to, NULL, depth);
    }
    return;
  }
  lua_pushnil(L);
  while (lua_next(L, -2) != 0) {
    if (lua_type(L, -2) != LUA_TSTRING)
      luaL_error(L, "a table for JSON has names in it, or is a list; not both");
    addjson(L, to, lua_tostring(L, -2), depth);
  }
}

/* [-1, +0, v]  Adds the value at the top to a container that hangs on the
** call, so that no error can leak it. */
static void addjson (lua_State *L, json_t *to, const char *key, int depth) {
  int top = lua_gettop(L);
  size_t n;
  if (depth > MAXDEPTH) luaL_error(L, "a value is nested too deeply");
  luaL_checkstack(L, 4, NULL);
  switch (lua_type(L, top)) {
    case LUA_TLIGHTUSERDATA: attach(to, key, json_null()); break;
    case LUA_TBOOLEAN: attach(to, key, json_boolean(lua_toboolean(L, top))); break;
    case LUA_TNUMBER:
      attach(to, key, lua_isinteger(L, top) ? json_integer(lua_tointeger(L, top))
                                            : json_real(lua_tonumber(L, top)));
      break;
    case LUA_TTABLE:
      additems(L, attach(to, key, islist(L, top) ? json_array()
                                                 : json_object()), depth + 1);
      break;
    default: {
      const char *s = rb_text(L, top, &n);
      attach(to, key, json_stringn(s, n));
    }
  }
  lua_settop(L, top - 1);
}

/* [-0, +1, v] */
static void pushjson (lua_State *L, rb_PgCall *c, int idx) {
  luaL_Buffer b;
  c->json = json_array();
  lua_pushvalue(L, idx);
  addjson(L, c->json, NULL, 0);
  json_t *j = json_array_get(c->json, 0);
  size_t n = json_dumpb(j, NULL, 0, JSON_COMPACT);
  if (n == 0) luaL_error(L, "a value has no JSON form (is it valid UTF-8?)");
  char *out = luaL_buffinitsize(L, &b, n);
  json_dumpb(j, out, n, JSON_COMPACT);
  luaL_pushresultsize(&b, n);
  json_decref(c->json);
  c->json = NULL;
}

/* -- arrays --------------------------------------------------------------- */

/* [-1, +1, m]  the text at the top, as an element of an array */
static void quote (lua_State *L) {
  size_t n;
  const char *s = lua_tolstring(L, -1, &n);
  luaL_Buffer b;
  luaL_buffinitsize(L, &b, n + 8);
  luaL_addchar(&b, '"');
  for (size_t i = 0; i < n; i++) {
    if (s[i] == '"' || s[i] == '\\') luaL_addchar(&b, '\\');
    luaL_addchar(&b, s[i]);
  }
  luaL_addchar(&b, '"');
  luaL_pushresult(&b);
  lua_remove(L, -2);
}

static void pushtext (lua_State *L, rb_PgCall *c, int idx, const char *name,
                      int depth);

/* [-0, +1, v]  {"a","b",NULL,{"c"}} */
static void pusharray (lua_State *L, rb_PgCall *c, int idx, const char *name,
                       int depth) {
  lua_Integer n = (lua_Integer)lua_rawlen(L, idx);
  luaL_Buffer b;
  luaL_checkstack(L, 8, NULL);
  luaL_buffinit(L, &b);
  luaL_addchar(&b, '{');
  for (lua_Integer i = 1; i <= n; i++) {
    if (i > 1) luaL_addchar(&b, ',');
    lua_rawgeti(L, idx, i);
    int nested = lua_istable(L, -1) && islist(L, lua_gettop(L));
    pushtext(L, c, lua_gettop(L), name, depth + 1);
    if (lua_isnil(L, -1)) lua_pushliteral(L, "NULL"), lua_replace(L, -2);
    else if (!nested) quote(L);
    lua_remove(L, -2);
    luaL_addvalue(&b);
  }
  luaL_addchar(&b, '}');
  luaL_pushresult(&b);
}

/* [-0, +1, v]  the value at idx (absolute) as text, or nil for null */
static void pushtext (lua_State *L, rb_PgCall *c, int idx, const char *name,
                      int depth) {
  size_t n;
  if (depth > MAXDEPTH)
    luaL_error(L, "the value '%s' is nested too deeply", name);
  switch (lua_type(L, idx)) {
    case LUA_TNIL: case LUA_TLIGHTUSERDATA: lua_pushnil(L); break;
    case LUA_TBOOLEAN:
      lua_pushstring(L, lua_toboolean(L, idx) ? "t" : "f");
      break;
    case LUA_TNUMBER: pushnumber(L, idx); break;
    case LUA_TTABLE:
      if (islist(L, idx)) pusharray(L, c, idx, name, depth);
      else pushjson(L, c, idx);
      break;
    case LUA_TSTRING: case LUA_TUSERDATA: {
      const char *s = rb_text(L, idx, &n);
      pushstring(L, s, n);
      lua_remove(L, -2);
      break;
    }
    default: luaL_error(L, "the value '%s' is a %s; nil, boolean, number, "
                        "string, list, table or secret expected", name,
                        luaL_typename(L, idx));
  }
}

void rb_pg_totext (lua_State *L, rb_PgCall *c, const char *name) {
  pushtext(L, c, lua_gettop(L), name, 0);
}
