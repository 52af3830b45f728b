/*
** meant.c - what a number that a primitive returned means: so many bytes, or seconds
**
** The signature in the registration row says it: "-> seconds | nil", a field called
** `bytes`, or "{total = bytes, ...}". What has been computed since, or came from elsewhere,
** is a number.
*/

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "vm/repl/repl.h"
#include "vm/show/style.h"

enum { ITEMS = 1000 };

static const char results[] = "rb.results", last[] = "rb.lastresult";

static const struct { const char *word; rb_Unit unit; } units[] = {
  {"bytes", RB_BYTES}, {"seconds", RB_SECONDS}, {"milliseconds", RB_MILLISECONDS},
  {"ms", RB_MILLISECONDS}, {NULL, RB_NOUNIT}
};

/* -- whose result it is --------------------------------------------------------------- */

/* [-0, +1, m]  table -> row of the primitive, for as long as the table is there */
static void pushresults (lua_State *L) {
  if (luaL_getsubtable(L, LUA_REGISTRYINDEX, results)) return;
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "k");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
}

void rb_repl_took (lua_State *L, const rb_Reg *reg) {
  int result = lua_gettop(L);
  luaL_checkstack(L, 10, NULL);
  lua_createtable(L, 2, 0);
  lua_pushvalue(L, result);
  lua_rawseti(L, -2, 1);
  lua_pushlightuserdata(L, (void *)reg);
  lua_rawseti(L, -2, 2);
  lua_setfield(L, LUA_REGISTRYINDEX, last);
  if (!lua_istable(L, result)) return;
  pushresults(L);
  lua_pushvalue(L, result);
  for (lua_Integer i = 1; ; i++) {
    lua_pushlightuserdata(L, (void *)reg);
    lua_rawset(L, result + 1);
    if (i > ITEMS || lua_rawgeti(L, result, i) != LUA_TTABLE) break;
  }
  lua_settop(L, result);
}

/* [-0, +0, m] */
static const rb_Reg *rowof (lua_State *L, int idx) {
  int top = lua_gettop(L);
  idx = lua_absindex(L, idx);
  const rb_Reg *reg = NULL;
  if (lua_istable(L, idx)) {
    pushresults(L);
    lua_pushvalue(L, idx);
    lua_rawget(L, -2);
    reg = lua_touserdata(L, -1);
  } else if (lua_getfield(L, LUA_REGISTRYINDEX, last) == LUA_TTABLE) {
    lua_rawgeti(L, -1, 1);
    if (lua_rawequal(L, -1, idx)) {
      lua_rawgeti(L, -2, 2);
      reg = lua_touserdata(L, -1);
    }
  }
  lua_settop(L, top);
  return reg;
}

const char *rb_repl_result (lua_State *L, int idx) {
  const rb_Reg *reg = rowof(L, idx);
  const char *at = reg != NULL ? strstr(reg->doc, "-> ") : NULL;
  return at != NULL ? at + 3 : NULL;
}

void rb_repl_forget (lua_State *L) {
  lua_pushnil(L);
  lua_setfield(L, LUA_REGISTRYINDEX, last);
}

/* -- and what its signature says ---------------------------------------------------------- */

static rb_Unit unitof (const char *s, size_t n) {
  int i = 0;
  while (n > 0 && s[n - 1] == ' ') n--;
  while (units[i].word != NULL
         && (strlen(units[i].word) != n || strncmp(units[i].word, s, n) != 0)) i++;
  return units[i].unit;
}

static int isword (char c) { return isalnum((unsigned char)c) || c == '_'; }

/* the field of that name in "{name, total = bytes, ...}" */
static rb_Unit fieldof (const char *result, size_t n, const char *field) {
  size_t len = strlen(field);
  for (const char *s = result; (s = strstr(s, field)) != NULL && s + len <= result + n; s++) {
    if ((s > result && isword(s[-1])) || isword(s[len])) continue;
    const char *is = s + len + strspn(s + len, " ");
    if (*is != '=') return unitof(field, len);
    is += 1 + strspn(is + 1, " ");
    return unitof(is, strcspn(is, ",}"));
  }
  return RB_NOUNIT;
}

rb_Unit rb_repl_unit (const char *result, const char *field) {
  if (result == NULL) return RB_NOUNIT;
  const char *end = strstr(result, " : ");
  size_t n = end != NULL ? (size_t)(end - result) : strlen(result), one = strcspn(result, "|");
  if (field != NULL) return *result == '{' ? fieldof(result, n, field) : RB_NOUNIT;
  return unitof(result, one < n ? one : n);
}

/* -- for people ------------------------------------------------------------------------------ */

static void size (char out[64], double n) {
  static const char *const names[] = {"KB", "MB", "GB", "TB", "PB"};
  int i = -1;
  for (; n >= 1024 && i < 4; i++) n /= 1024;
  if (i >= 0) snprintf(out, 64, n < 10 ? "%.1f %s" : "%.0f %s", n, names[i]);
}

const char *rb_repl_human (char out[64], rb_Unit unit, double n) {
  *out = '\0';
  if (unit == RB_BYTES && n >= 0) size(out, n);
  else if (unit == RB_SECONDS && n >= 60) rb_style_duration(out, n * 1000);
  else if (unit == RB_SECONDS && n >= 0) snprintf(out, 64, "s");
  else if (unit == RB_MILLISECONDS && n >= 1000) rb_style_duration(out, n);
  else if (unit == RB_MILLISECONDS && n >= 0) snprintf(out, 64, "ms");
  return out;
}
