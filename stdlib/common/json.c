/*
** json.c - JSON texts to values and back
**
** null is json.null, so that it survives in a table; numbers without a point
** are integers; an empty list is one made by json.array or by decoding []. What
** cannot be said in JSON is an error that names its place, never left out.
** Trees are owned by a userdata, so that no error of Lua's can leak one.
*/

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stdlib/common/json.h"
#include "vm/module.h"

#define TREE "json.tree"

enum { MAXDEPTH = 100, PATH = 200 };

/* where we are, for errors: the innermost first */
typedef struct Place {
  const struct Place *outer;
  const char *name;   /* NULL: an index */
  lua_Integer index;
  int depth;
  const rb_JsonWay *way;
} Place;

/* -- trees ---------------------------------------------------------------- */

void rb_json_close (rb_Json *tree) {
  json_decref(tree->root);
  tree->root = NULL;
}

static int tree_close (lua_State *L) {
  rb_json_close(lua_touserdata(L, 1));
  return 0;
}

/* [-0, +1, m]  the metatable of trees is whole before it has a name */
static rb_Json *newtree (lua_State *L) {
  rb_Json *tree = lua_newuserdatauv(L, sizeof *tree, 0);
  *tree = (rb_Json){0};
  if (luaL_getmetatable(L, TREE) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, tree_close);
    lua_setfield(L, -2, "__gc");
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, TREE);
  }
  lua_setmetatable(L, -2);
  return tree;
}

/* a result type, so that it stays one on the tape */
void rb_json_setarray (lua_State *L) {
  rb_settype(L, RB_JSONARRAY);
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
  return luaL_error(L, "%s: %s%s %s", p->way->who, place[0] == '\0' ? "the value" : "",
                    place, what);
}

static int isarray (lua_State *L, int t) {
  if (luaL_getmetafield(L, t, "__jsonarray") != LUA_TNIL) {
    lua_pop(L, 1);
    return 1;
  }
  if (luaL_getmetafield(L, t, "__name") == LUA_TNIL) return 0;
  int same = lua_isstring(L, -1) && strcmp(lua_tostring(L, -1), RB_JSONARRAY) == 0;
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
    Place here = {.outer = p, .index = i, .depth = p->depth + 1,
                  .way = p->way};
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
    Place here = {.outer = p, .name = name, .depth = p->depth + 1,
                  .way = p->way};
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

/* the text of a secret at idx, which is opened for this alone */
static json_t *encodesecret (lua_State *L, int idx, const Place *p, json_t *into) {
  rb_text(L, idx, NULL);
  json_t *j = put(L, into, p, encodestring(L, lua_gettop(L), p));
  lua_pop(L, 1);
  return j;
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
    case LUA_TUSERDATA:
      if (p->way->secrets) return encodesecret(L, idx, p, into);
      break;
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

rb_Json *rb_json_tree (lua_State *L, int idx, const rb_JsonWay *way) {
  Place top = {.depth = 0, .way = way};
  idx = lua_absindex(L, idx);
  rb_Json *tree = newtree(L);
  tree->root = json_array();
  if (tree->root == NULL) luaL_error(L, "not enough memory");
  encode(L, idx, &top, tree->root);
  tree->value = json_array_get(tree->root, 0);
  tree->flags = JSON_ENCODE_ANY | JSON_SORT_KEYS
                | (size_t)JSON_REAL_PRECISION(precision(tree->value));
  return tree;
}

/* -- decode --------------------------------------------------------------- */

/* [-0, +1, m]  0: it is too deep, and pushes what it likes */
static int push (lua_State *L, const json_t *j, int depth) {
  size_t i;
  const char *name;
  json_t *value;
  if (depth > MAXDEPTH) return 0;
  luaL_checkstack(L, 6, "value nested too deeply");
  switch (json_typeof(j)) {
    case JSON_OBJECT:
      lua_createtable(L, 0, (int)json_object_size(j));
      json_object_foreach((json_t *)j, name, value) {
        if (!push(L, value, depth + 1)) return 0;
        lua_setfield(L, -2, name);
      }
      break;
    case JSON_ARRAY:
      lua_createtable(L, (int)json_array_size(j), 0);
      json_array_foreach(j, i, value) {
        if (!push(L, value, depth + 1)) return 0;
        lua_rawseti(L, -2, (lua_Integer)i + 1);
      }
      if (json_array_size(j) == 0) rb_json_setarray(L);
      break;
    case JSON_STRING:
      lua_pushlstring(L, json_string_value(j), json_string_length(j));
      break;
    case JSON_INTEGER: lua_pushinteger(L, json_integer_value(j)); break;
    case JSON_REAL: lua_pushnumber(L, json_real_value(j)); break;
    case JSON_TRUE: case JSON_FALSE: lua_pushboolean(L, json_is_true(j)); break;
    default: lua_pushlightuserdata(L, NULL);
  }
  return 1;
}

int rb_json_read (lua_State *L, const char *s, size_t n) {
  size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES;
  json_error_t e;
  rb_Json *tree = newtree(L);
  int at = lua_gettop(L), ok = 0;
  tree->root = json_loadb(s, n, flags, &e);
  if (tree->root == NULL && json_error_code(&e) == json_error_numeric_overflow)
    tree->root = json_loadb(s, n, flags | JSON_DECODE_INT_AS_REAL, &e);
  if (tree->root == NULL)
    lua_pushfstring(L, "line %d, column %d: %s", e.line, e.column,
                    n == 0 ? "there is no text" : e.text);
  else if (!(ok = push(L, tree->root, 0))) {
    lua_settop(L, at);
    lua_pushliteral(L, "more than 100 deep");
  }
  rb_json_close(tree);
  lua_remove(L, at);
  return ok;
}
