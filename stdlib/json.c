/*
** json.c - JSON texts to values and back
**
** null is json.null, so that it survives in a table; numbers without a point
** are integers; an empty list is one made by json.array or by decoding []. What
** cannot be said in JSON is an error that names its place, never left out.
*/

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "vm/module.h"

#define TREE "json.tree"
#define ARRAY "json.array"

enum { MAXDEPTH = 100, PATH = 200 };

/* where we are, for errors: the innermost first */
typedef struct Place {
  const struct Place *outer;
  const char *name;   /* NULL: an index */
  lua_Integer index;
  int depth;
} Place;

/* -- trees: owned by a userdata, so that an error frees them -------------- */

static int tree_close (lua_State *L) {
  json_t **tree = lua_touserdata(L, 1);
  json_decref(*tree);
  *tree = NULL;
  return 0;
}

/* [-1, +1, m]  gives the userdata at the top the metatable of a tree, which is
** whole before it has a name */
static void settree (lua_State *L) {
  if (luaL_getmetatable(L, TREE) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_createtable(L, 0, 2);
    lua_pushcfunction(L, tree_close);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, tree_close);
    lua_setfield(L, -2, "__close");
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, TREE);
  }
  lua_setmetatable(L, -2);
}

/* [-0, +1, m]  an empty tree, closed when the running function ends */
static json_t **newtree (lua_State *L) {
  json_t **tree = lua_newuserdatauv(L, sizeof *tree, 0);
  *tree = NULL;
  settree(L);
  lua_toclose(L, -1);
  return tree;
}

/* [-0, +0, m]  the table at the top is a list, also when it is empty; a result
** type, so that it stays one on the tape */
static void setarray (lua_State *L) {
  rb_settype(L, ARRAY);
  lua_getmetatable(L, -1);
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, "__jsonarray");  /* as other modules know it */
  lua_pop(L, 1);
}

/* -- encode --------------------------------------------------------------- */

/* ".teachers[3].name" */
static void write_ (const Place *p, char *out, size_t size) {
  if (p == NULL || p->outer == NULL) return;
  write_(p->outer, out, size);
  size_t n = strlen(out);
  if (p->name != NULL) snprintf(out + n, size - n, ".%.60s", p->name);
  else snprintf(out + n, size - n, "[%lld]", (long long)p->index);
}

static int wrong (lua_State *L, const Place *p, const char *what) {
  char place[PATH] = "";
  write_(p, place, sizeof place);
  return luaL_error(L, "json.encode: %s%s %s", place[0] == '\0' ? "the value" : "",
                    place, what);
}

static int isarray (lua_State *L, int t) {
  if (luaL_getmetafield(L, t, "__jsonarray") != LUA_TNIL) {
    lua_pop(L, 1);
    return 1;
  }
  if (luaL_getmetafield(L, t, "__name") == LUA_TNIL) return 0;
  int same = lua_isstring(L, -1) && strcmp(lua_tostring(L, -1), ARRAY) == 0;
  lua_pop(L, 1);
  return same;
}

static json_t *encode (lua_State *L, int idx, const Place *p, json_t *into);

/* [-0, +0, v]  puts a new value into its list or object, or makes it the root */
static json_t *put (lua_State *L, json_t *into, const Place *p, json_t *value) {
  int failed = value == NULL;
  if (!failed && json_is_array(into)) failed = json_array_append_new(into, value);
  else if (!failed) failed = json_object_set_new(into, p->name, value);
  if (failed) luaL_error(L, "not enough memory");
  return value;
}

static void encodelist (lua_State *L, int t, const Place *p, json_t *list) {
  lua_Integer n = (lua_Integer)lua_rawlen(L, t), entries = 0;
  for (lua_pushnil(L); lua_next(L, t) != 0; lua_pop(L, 1)) entries++;
  if (entries != n) wrong(L, p, "is a list with holes or names in it");
  for (lua_Integer i = 1; i <= n; i++) {
    Place here = {.outer = p, .index = i, .depth = p->depth + 1};
    lua_rawgeti(L, t, i);
    encode(L, lua_gettop(L), &here, list);
    lua_pop(L, 1);
  }
}

static void encodeobject (lua_State *L, int t, const Place *p, json_t *object) {
  size_t n;
  for (lua_pushnil(L); lua_next(L, t) != 0; lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING)
      wrong(L, p, "has names that are not strings: JSON knows lists and objects");
    const char *name = lua_tolstring(L, -2, &n);
    if (strlen(name) != n) wrong(L, p, "has a name with a NUL in it");
    Place here = {.outer = p, .name = name, .depth = p->depth + 1};
    encode(L, lua_gettop(L), &here, object);
  }
}

static json_t *encodestring (lua_State *L, int idx, const Place *p) {
  size_t n;
  const char *s = lua_tolstring(L, idx, &n);
  json_t *j = json_stringn(s, n);
  if (j == NULL)
    wrong(L, p, "is not UTF-8 text: JSON holds no other bytes");
  return j;
}

static json_t *encodenumber (lua_State *L, int idx, const Place *p) {
  if (lua_isinteger(L, idx)) return json_integer(lua_tointeger(L, idx));
  if (!isfinite(lua_tonumber(L, idx)))
    wrong(L, p, "is infinite or not a number: JSON has no word for it");
  return json_real(lua_tonumber(L, idx));
}

static void encodetable (lua_State *L, int idx, const Place *p, json_t *into) {
  int list = lua_rawlen(L, idx) > 0 || isarray(L, idx);
  if (p->depth >= MAXDEPTH)
    wrong(L, p, "is more than 100 deep: does it contain itself?");
  luaL_checkstack(L, 8, "value nested too deeply");
  json_t *j = put(L, into, p, list ? json_array() : json_object());
  if (list) encodelist(L, idx, p, j);
  else encodeobject(L, idx, p, j);
}

static int isnull (lua_State *L, int idx) {
  return lua_islightuserdata(L, idx) && lua_touserdata(L, idx) == NULL;
}

static json_t *encode (lua_State *L, int idx, const Place *p, json_t *into) {
  char what[80];
  switch (lua_type(L, idx)) {
    case LUA_TBOOLEAN: return put(L, into, p, json_boolean(lua_toboolean(L, idx)));
    case LUA_TNUMBER: return put(L, into, p, encodenumber(L, idx, p));
    case LUA_TSTRING: return put(L, into, p, encodestring(L, idx, p));
    case LUA_TTABLE: encodetable(L, idx, p, into); return NULL;
    default: break;
  }
  if (isnull(L, idx)) return put(L, into, p, json_null());
  if (lua_isnil(L, idx)) wrong(L, p, "is nil: null is json.null");
  if (luaL_getmetafield(L, idx, "__rblabel") == LUA_TSTRING)
    snprintf(what, sizeof what, "is a %.40s, which is no text", lua_tostring(L, -1));
  else snprintf(what, sizeof what, "is a %s", luaL_typename(L, idx));
  wrong(L, p, what);
  return NULL;
}

/* How many digits do all of the numbers need to be read back as they are? */
static int precision (const json_t *j) {
  int most = 15;
  size_t i;
  const char *name;
  json_t *value;
  char text[40];
  if (json_is_real(j)) {
    double d = json_real_value(j);
    for (; most < 17; most++) {
      snprintf(text, sizeof text, "%.*g", most, d);
      if (strtod(text, NULL) == d) break;
    }
    return most;
  }
  json_array_foreach(j, i, value) {
    int n = precision(value);
    if (n > most) most = n;
  }
  json_object_foreach((json_t *)j, name, value) {
    int n = precision(value);
    if (n > most) most = n;
  }
  return most;
}

/* [-0, +0, v]  the option indent */
static size_t indentof (lua_State *L, int opts) {
  if (lua_isnoneornil(L, opts)) return 0;
  luaL_checktype(L, opts, LUA_TTABLE);
  int type = lua_getfield(L, opts, "indent");
  if (type == LUA_TBOOLEAN) return lua_toboolean(L, -1) ? 2 : 0;
  lua_Integer n = luaL_optinteger(L, -1, 0);
  if (n < 0 || n > 16) luaL_error(L, "json.encode: indent is 0 to 16 spaces");
  return (size_t)n;
}

static int json_encode (lua_State *L) {
  luaL_checkany(L, 1);
  size_t indent = indentof(L, 2);
  lua_settop(L, 1);
  json_t **tree = newtree(L);
  Place top = {.depth = 0};
  *tree = json_array();
  if (*tree == NULL) return luaL_error(L, "not enough memory");
  encode(L, 1, &top, *tree);
  const json_t *j = json_array_get(*tree, 0);
  size_t flags = JSON_ENCODE_ANY | JSON_SORT_KEYS | JSON_INDENT(indent)
                 | (size_t)JSON_REAL_PRECISION(precision(j));
  if (indent == 0) flags |= JSON_COMPACT;
  size_t n = json_dumpb(j, NULL, 0, flags);
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, n);
  luaL_pushresultsize(&b, json_dumpb(j, out, n, flags));
  return 1;
}

/* -- decode --------------------------------------------------------------- */

/* [-0, +1, v] */
static void push (lua_State *L, const json_t *j, int depth) {
  size_t i;
  const char *name;
  json_t *value;
  if (depth > MAXDEPTH)
    rb_fail(L, "data", RB_NOTDONE, "json.decode: more than 100 deep");
  luaL_checkstack(L, 6, "value nested too deeply");
  switch (json_typeof(j)) {
    case JSON_OBJECT:
      lua_createtable(L, 0, (int)json_object_size(j));
      json_object_foreach((json_t *)j, name, value) {
        push(L, value, depth + 1);
        lua_setfield(L, -2, name);
      }
      break;
    case JSON_ARRAY:
      lua_createtable(L, (int)json_array_size(j), 0);
      json_array_foreach(j, i, value) {
        push(L, value, depth + 1);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
      }
      if (json_array_size(j) == 0) setarray(L);
      break;
    case JSON_STRING:
      lua_pushlstring(L, json_string_value(j), json_string_length(j));
      break;
    case JSON_INTEGER: lua_pushinteger(L, json_integer_value(j)); break;
    case JSON_REAL: lua_pushnumber(L, json_real_value(j)); break;
    case JSON_TRUE: case JSON_FALSE: lua_pushboolean(L, json_is_true(j)); break;
    default: lua_pushlightuserdata(L, NULL);
  }
}

static int json_decode (lua_State *L) {
  size_t n;
  json_error_t e;
  const char *s = luaL_checklstring(L, 1, &n);
  json_t **tree = newtree(L);
  *tree = json_loadb(s, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY
                     | JSON_ALLOW_NUL, &e);
  if (*tree == NULL)
    return rb_fail(L, "data", RB_NOTDONE, "json.decode: line %d, column %d: %s",
                   e.line, e.column, n == 0 ? "there is no text" : e.text);
  push(L, *tree, 0);
  return 1;
}

/* -- lists and null ------------------------------------------------------- */

static int json_array_ (lua_State *L) {
  lua_settop(L, 1);
  if (lua_isnil(L, 1)) lua_newtable(L);
  else luaL_checktype(L, 1, LUA_TTABLE);
  setarray(L);
  return 1;
}

static void constants (lua_State *L) {
  lua_pushlightuserdata(L, NULL);
  lua_setfield(L, -2, "null");
}

static const rb_Reg functions[] = {
  {"encode", RB_PURE, json_encode, NULL,
   "encode(value [, { indent = n }]) -> string : as JSON on one line, or with "
   "`indent` spaces for each level (0 to 16; true: 2). Names are sorted, so that "
   "equal values give equal texts. A table with items is a list, one without is "
   "an object, unless json.array made it; json.null is null. An error that names "
   "the place where there is no JSON for something: a function, a secret, nan, "
   "bytes that are not UTF-8, a list with holes, names that are not strings, more "
   "than 100 levels.", NULL, NULL},
  {"decode", RB_PURE, json_decode, NULL,
   "decode(text) -> value : objects and lists are tables, null is json.null, "
   "numbers without point or exponent are integers, and an empty list stays one. "
   "Fails with \"data\" and the line and column where it is no JSON, a name is "
   "given twice, or it is more than 100 levels deep.", NULL,
   NULL},
  {"array", RB_PURE, json_array_, NULL,
   "array([list]) -> list : marks a list (or makes one), so that it is [] in JSON "
   "when it is empty, where a table would be {}. The same table, for what follows "
   "to be put into.", NULL, NULL},
  RB_END
};

static const rb_Reg arraymethods[] = { RB_END };

static const rb_Type types[] = {
  {ARRAY, arraymethods},
  {NULL, NULL}
};

RB_API const rb_Module rb_module = {
  .interface = RB_INTERFACE,
  .name = "json",
  .doc = "JSON as text, and as tables",
  .functions = functions,
  .types = types,
  .constants = constants
};
