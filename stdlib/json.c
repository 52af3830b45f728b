/*
** json.c - what scripts call: JSON texts to values and back
*/

#include "stdlib/common/json.h"
#include "vm/module.h"

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
  static const rb_JsonWay way = {.who = "json.encode"};
  luaL_checkany(L, 1);
  size_t indent = indentof(L, 2);
  rb_Json *tree = rb_json_tree(L, 1, &way);
  size_t flags = tree->flags | JSON_INDENT(indent);
  if (indent == 0) flags |= JSON_COMPACT;
  size_t n = json_dumpb(tree->value, NULL, 0, flags);
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, n);
  luaL_pushresultsize(&b, json_dumpb(tree->value, out, n, flags));
  rb_json_close(tree);
  return 1;
}

static int json_decode (lua_State *L) {
  size_t n;
  const char *s = luaL_checklstring(L, 1, &n);
  if (rb_json_read(L, s, n)) return 1;
  return rb_fail(L, "data", RB_NOTDONE, "json.decode: %s", lua_tostring(L, -1));
}

/* -- lists and null ------------------------------------------------------- */

static int json_array_ (lua_State *L) {
  lua_settop(L, 1);
  if (lua_isnil(L, 1)) lua_newtable(L);
  else luaL_checktype(L, 1, LUA_TTABLE);
  rb_json_setarray(L);
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
  {RB_JSONARRAY, arraymethods},
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
