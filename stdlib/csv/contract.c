/*
** contract.c - what a CSV file has to be, from a script's table
*/

#include <stdlib.h>
#include <string.h>

#include "stdlib/csv/csv.h"

#define WHO "csv.validate"
enum { KEPT = 100, MOST = 1000, MAXRULES = 4096 };

/* -- the owner of it all: a table; what it holds stays where it is ------------------------ */

/* [-1, +0, v]  keeps the string at the top in the owner */
static Text keep (lua_State *L, int owner, const char *what) {
  Text t;
  if (lua_type(L, -1) != LUA_TSTRING)
    luaL_error(L, WHO ": %s: a string expected, got %s", what, luaL_typename(L, -1));
  t.s = lua_tolstring(L, -1, &t.n);
  lua_rawseti(L, owner, (lua_Integer)lua_rawlen(L, owner) + 1);
  return t;
}

/* [-0, +0, m]  n things of that size, zeroed, owned */
static void *array (lua_State *L, int owner, size_t n, size_t size) {
  void *p = lua_newuserdatauv(L, (n + 1) * size, 0);
  memset(p, 0, (n + 1) * size);
  lua_rawseti(L, owner, (lua_Integer)lua_rawlen(L, owner) + 1);
  return p;
}

static void known (lua_State *L, int idx, const char *what, const char *const *keys) {
  lua_pushnil(L);
  for (; lua_next(L, idx) != 0; lua_pop(L, 1)) {
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "[1]";
    const char *const *k = keys;
    while (*k != NULL && strcmp(*k, name) != 0) k++;
    if (*k == NULL)
      luaL_error(L, WHO ": %s has no '%s': there are %s, %s, ...", what, name, keys[0],
                 keys[1]);
  }
}

static int flag (lua_State *L, int idx, const char *name, int unset) {
  int type = lua_getfield(L, idx, name);
  int value = type == LUA_TNIL ? unset : lua_toboolean(L, -1);
  if (type != LUA_TNIL && type != LUA_TBOOLEAN)
    luaL_error(L, WHO ": '%s' is true or false, not a %s", name, luaL_typename(L, -1));
  lua_pop(L, 1);
  return value;
}

static lua_Integer number (lua_State *L, int idx, const char *name, lua_Integer unset,
                           lua_Integer most) {
  int isnum = 1, type = lua_getfield(L, idx, name);
  lua_Integer n = type == LUA_TNIL ? unset : lua_tointegerx(L, -1, &isnum);
  lua_pop(L, 1);
  if (!isnum || n < 0 || n > most)
    luaL_error(L, WHO ": '%s' is a whole number of 0 to %I", name, most);
  return n;
}

char rb_csv_getdelimiter (lua_State *L, int idx) {
  size_t n = 0;
  int type = lua_getfield(L, idx, "delimiter");
  const char *s = type == LUA_TSTRING ? lua_tolstring(L, -1, &n) : "";
  char c = *s;
  if (type != LUA_TNIL
      && (n != 1 || c == '"' || c == '\n' || c == '\r' || c == '\0' || (c & 0x80)))
    luaL_error(L, "csv: 'delimiter' is one character such as \",\" or \";\"");
  lua_pop(L, 1);
  return type == LUA_TNIL ? 0 : c;
}

/* -- rules ----------------------------------------------------------------------------- */

static Kind kindof (lua_State *L, const char *name, const Rule *rule) {
  for (int i = 0; i < RB_CSV_KINDS; i++)
    if (strcmp(name, rb_csv_kinds[i]) == 0) return (Kind)i;
  luaL_error(L, WHO ": %s: there is no type '%s': string, integer, number, boolean, "
             "date, datetime, email", rule->name.s, name);
  return RB_CSV_STRING;
}

/* [-0, +0, v]  the rule for a name, made where there is none yet; the name is at the top
** and is popped */
static Rule *ruleof (lua_State *L, Contract *c, int owner, const char *what) {
  Text name = keep(L, owner, what);
  for (size_t i = 0; i < c->n; i++)
    if (c->rule[i].name.n == name.n && memcmp(c->rule[i].name.s, name.s, name.n) == 0)
      return &c->rule[i];
  if (c->n == MAXRULES) luaL_error(L, WHO ": more than %d columns", MAXRULES);
  Rule *rule = &c->rule[c->n++];
  *rule = (Rule){.name = name};
  return rule;
}

/* [-0, +0, v]  the list `values` of the rule's table at idx */
static void values (lua_State *L, int idx, Rule *rule, int owner) {
  int type = lua_getfield(L, idx, "values");
  if (type != LUA_TNIL && type != LUA_TTABLE)
    luaL_error(L, WHO ": %s: 'values' is a list of texts", rule->name.s);
  if (type == LUA_TTABLE) {
    rule->nvalues = lua_rawlen(L, -1);
    rule->value = array(L, owner, rule->nvalues, sizeof *rule->value);
    for (size_t i = 0; i < rule->nvalues; i++) {
      lua_rawgeti(L, -1, (lua_Integer)i + 1);
      rule->value[i] = keep(L, owner, "values");
    }
  }
  lua_pop(L, 1);
}

/* [-0, +0, v]  the rule's table at idx */
static void rule_ (lua_State *L, int idx, Rule *rule, int owner) {
  static const char *const keys[] = {"type", "pattern", "values", "filled", "required",
                                     "longest", NULL};
  known(L, idx, rule->name.s, keys);
  if (lua_getfield(L, idx, "type") != LUA_TNIL)
    rule->kind = kindof(L, luaL_tolstring(L, -1, NULL), rule);
  lua_settop(L, idx);
  rule->filled = flag(L, idx, "filled", 0);
  rule->there |= flag(L, idx, "required", 0);
  rule->most = (size_t)number(L, idx, "longest", 0, 1 << 20);
  if (lua_getfield(L, idx, "pattern") != LUA_TNIL) {
    lua_pushvalue(L, -1);
    rule->patterntext = keep(L, owner, "pattern");
    const char *who = lua_pushfstring(L, WHO ": %s", rule->name.s);
    rule->pattern = rb_pattern_push(L, idx + 1, who, 1);
    lua_rawseti(L, owner, (lua_Integer)lua_rawlen(L, owner) + 1);
  }
  lua_settop(L, idx);
  values(L, idx, rule, owner);
}

/* [-0, +0, v]  the list of names in that field: they must be there (or may) */
static void names (lua_State *L, int idx, const char *field, Contract *c, int owner,
                   int there) {
  int type = lua_getfield(L, idx, field);
  if (type != LUA_TNIL && type != LUA_TTABLE)
    luaL_error(L, WHO ": '%s' is a list of names of columns, not a %s", field,
               luaL_typename(L, -1));
  size_t n = type == LUA_TTABLE ? lua_rawlen(L, -1) : 0;
  for (size_t i = 1; i <= n; i++) {
    lua_rawgeti(L, -1, (lua_Integer)i);
    ruleof(L, c, owner, field)->there |= there;
  }
  lua_pop(L, 1);
}

/* [-0, +0, v] */
static void columns (lua_State *L, int idx, Contract *c, int owner) {
  int type = lua_getfield(L, idx, "columns"), list = lua_gettop(L);
  if (type != LUA_TNIL && type != LUA_TTABLE)
    luaL_error(L, WHO ": 'columns' is a table of rules by the names of columns");
  if (type == LUA_TTABLE) lua_pushnil(L);
  while (type == LUA_TTABLE && lua_next(L, list) != 0) {
    int at = lua_gettop(L);
    if (lua_type(L, -2) != LUA_TSTRING)
      luaL_error(L, WHO ": 'columns' is a table of rules by the names of columns");
    lua_pushvalue(L, -2);
    Rule *rule = ruleof(L, c, owner, "columns");
    if (lua_isstring(L, at)) rule->kind = kindof(L, lua_tostring(L, at), rule);
    else if (lua_istable(L, at)) rule_(L, at, rule, owner);
    else luaL_error(L, WHO ": %s: a type or a table of rules expected", rule->name.s);
    lua_settop(L, at - 1);
  }
  lua_settop(L, list - 1);
}

static size_t countof (lua_State *L, int idx, const char *field) {
  size_t n = 0;
  if (lua_getfield(L, idx, field) == LUA_TTABLE)
    for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) n++;
  lua_pop(L, 1);
  return n;
}

void rb_csv_contract (lua_State *L, int idx, Contract *c) {
  static const char *const keys[] = {"required", "columns", "optional", "only",
                                     "delimiter", "problems", NULL};
  luaL_checktype(L, idx, LUA_TTABLE);
  known(L, idx, "a contract", keys);
  lua_newtable(L);
  int owner = lua_gettop(L);
  size_t most = countof(L, idx, "required") + countof(L, idx, "optional")
                + countof(L, idx, "columns");
  *c = (Contract){.rule = array(L, owner, most, sizeof *c->rule)};
  names(L, idx, "required", c, owner, 1);
  names(L, idx, "optional", c, owner, 0);
  columns(L, idx, c, owner);
  c->only = flag(L, idx, "only", 0);
  c->delimiter = rb_csv_getdelimiter(L, idx);
  c->problems = (size_t)number(L, idx, "problems", KEPT, MOST);
}
