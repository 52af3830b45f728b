/*
** json.c - JSON as Lua values and back
**
** As in the module json: null is the light userdata NULL (json.null), an array
** is a plain list, one that is empty has the type json.array, integers stay
** integers. Trees are parked in a userdata, so that no error of Lua's can leak
** one.
*/

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stdlib/http/http.h"

#define TREE "http.json"
#define ARRAY "json.array"
#define MAXDEPTH 100

/* -- trees ------------------------------------------------------------------ */

typedef struct Tree {
  json_t *root;    /* NULL when closed */
  size_t digits;   /* that its numbers need to be read back the same */
} Tree;

static int tree_close (lua_State *L) {
  Tree *tree = luaL_checkudata(L, 1, TREE);
  json_decref(tree->root);
  tree->root = NULL;
  return 0;
}

/* [-0, +1, m] */
static Tree *newtree (lua_State *L) {
  Tree *tree = lua_newuserdatauv(L, sizeof *tree, 0);
  *tree = (Tree){NULL, 15};
  rb_http_closable(L, TREE, tree_close);
  return tree;
}

/* -- from Lua ------------------------------------------------------------------- */

static json_t *real (Tree *tree, double d) {
  char s[32];
  snprintf(s, sizeof s, "%.15g", d);
  if (strtod(s, NULL) != d) tree->digits = 17;
  return json_real(d);
}

/* the value at the top; NULL where it has no form in JSON */
static json_t *scalar (lua_State *L, Tree *tree) {
  size_t n;
  switch (lua_type(L, -1)) {
    case LUA_TBOOLEAN: return json_boolean(lua_toboolean(L, -1));
    case LUA_TNUMBER:
      if (lua_isinteger(L, -1)) return json_integer(lua_tointeger(L, -1));
      return real(tree, lua_tonumber(L, -1));
    case LUA_TLIGHTUSERDATA:
      return lua_touserdata(L, -1) == NULL ? json_null() : NULL;
    case LUA_TSTRING: case LUA_TUSERDATA: {
      const char *s = rb_text(L, -1, &n);  /* a secret as its text */
      json_t *j = json_stringn(s, n);
      lua_pop(L, 1);
      return j;
    }
    default: return NULL;
  }
}

/* is the table at the top, which has no items, a list all the same? */
static int isemptylist (lua_State *L) {
  int top = lua_gettop(L);
  int is = luaL_getmetafield(L, top, "__jsonarray") != LUA_TNIL
           || (luaL_getmetafield(L, top, "__name") == LUA_TSTRING
               && strcmp(lua_tostring(L, -1), ARRAY) == 0);
  lua_settop(L, top);
  return is;
}

/* is the table at the top a list? */
static int islist (lua_State *L) {
  size_t n = lua_rawlen(L, -1), keys = 0;
  if (n == 0) return isemptylist(L);
  for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) keys++;
  return keys == n;
}

static void fill (lua_State *L, Tree *tree, json_t *to, int depth);

/* [-0, +0, v]  The value at the top becomes the child of a tree that somebody
** owns, before its own children are made. */
static void addchild (lua_State *L, Tree *tree, json_t *parent, const char *key,
                      int depth) {
  json_t *j = !lua_istable(L, -1) ? scalar(L, tree)
            : islist(L) ? json_array() : json_object();
  if (j == NULL) {
    const char *what = lua_isstring(L, -1) ? "text that is not UTF-8, or no number"
                                           : luaL_typename(L, -1);
    luaL_error(L, "json = ...: there is no JSON for a %s%s%s", what,
               key != NULL ? " in " : "", key != NULL ? key : "");
  }
  int bad = key == NULL ? json_array_append_new(parent, j)
                        : json_object_set_new(parent, key, j);
  if (bad) luaL_error(L, "json = ...: a name is UTF-8 text: %s", key != NULL ? key : "");
  if (lua_istable(L, -1)) fill(L, tree, j, depth + 1);
}

/* [-0, +0, v]  the members of the table at the top */
static void fill (lua_State *L, Tree *tree, json_t *to, int depth) {
  if (depth > MAXDEPTH) luaL_error(L, "json = ...: a table contains itself");
  luaL_checkstack(L, 6, "JSON is nested too deeply");
  if (json_is_array(to)) {
    size_t n = lua_rawlen(L, -1);
    for (size_t i = 1; i <= n; i++) {
      lua_rawgeti(L, -1, (lua_Integer)i);
      addchild(L, tree, to, NULL, depth);
      lua_pop(L, 1);
    }
    return;
  }
  for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING)
      luaL_error(L, "json = ...: a table is a list or has names, not both "
                 "(a key is a %s)", luaL_typename(L, -2));
    addchild(L, tree, to, lua_tostring(L, -2), depth);
  }
}

static int append (const char *s, size_t n, void *ud) {
  return rb_http_grow(ud, s, n) ? 0 : -1;
}

void rb_http_tojson (lua_State *L, rb_HttpText *to) {
  Tree *tree = newtree(L);
  lua_insert(L, -2);                                  /* tree, value */
  tree->root = json_array();
  if (tree->root == NULL) luaL_error(L, "not enough memory");
  addchild(L, tree, tree->root, NULL, 0);
  if (json_dump_callback(json_array_get(tree->root, 0), append, to, JSON_COMPACT
                         | JSON_SORT_KEYS | JSON_ENCODE_ANY
                         | JSON_REAL_PRECISION(tree->digits)) != 0)
    luaL_error(L, "not enough memory");
  lua_remove(L, -2);
}

/* -- to Lua ------------------------------------------------------------------------ */

/* [-0, +1, m] */
static void push (lua_State *L, const json_t *j) {
  size_t i;
  const char *key;
  json_t *item;
  luaL_checkstack(L, 4, "JSON is nested too deeply");
  switch (json_typeof(j)) {
    case JSON_OBJECT:
      lua_createtable(L, 0, (int)json_object_size(j));
      json_object_foreach((json_t *)j, key, item) {
        push(L, item);
        lua_setfield(L, -2, key);
      }
      break;
    case JSON_ARRAY:
      lua_createtable(L, (int)json_array_size(j), 0);
      json_array_foreach(j, i, item) {
        push(L, item);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
      }
      if (json_array_size(j) == 0) rb_settype(L, ARRAY);
      break;
    case JSON_STRING:
      lua_pushlstring(L, json_string_value(j), json_string_length(j));
      break;
    case JSON_INTEGER: lua_pushinteger(L, json_integer_value(j)); break;
    case JSON_REAL: lua_pushnumber(L, json_real_value(j)); break;
    case JSON_TRUE: case JSON_FALSE: lua_pushboolean(L, json_is_true(j)); break;
    default: lua_pushlightuserdata(L, NULL); break;
  }
}

int rb_http_fromjson (lua_State *L, const char *s, size_t n) {
  size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES;
  json_error_t e;
  Tree *tree = newtree(L);
  tree->root = json_loadb(s, n, flags, &e);
  if (tree->root == NULL && json_error_code(&e) == json_error_numeric_overflow)
    tree->root = json_loadb(s, n, flags | JSON_DECODE_INT_AS_REAL, &e);
  if (tree->root == NULL) {
    lua_pushfstring(L, "line %d, column %d: %s", e.line, e.column, e.text);
    lua_remove(L, -2);
    return 0;
  }
  push(L, tree->root);
  json_decref(tree->root);
  tree->root = NULL;
  lua_remove(L, -2);
  return 1;
}
