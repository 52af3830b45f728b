/*
** args.c - the arguments of a method as the words of a command
**
** Every remedy is a command, whether it was called by its own name or through
** command(): so there is one preview and one deed for all of them. Values are
** words of their own, never spliced into a text.
*/

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stdlib/redis/redis.h"

enum { SHOWNWORD = 60, SHOWN = 240 };

/* -- words ---------------------------------------------------------------- */

static int wrong (lua_State *L, const char *command, const char *expected,
                  int idx) {
  return luaL_error(L, "redis %s: %s expected, got %s", command, expected,
                    luaL_typename(L, idx));
}

/* [-0, +1, v]  the number at idx as text that reads back as the same number */
static void pushnumber (lua_State *L, int idx) {
  double d = lua_tonumber(L, idx);
  char text[32];
  if (isnan(d)) luaL_error(L, "redis: not a number (nan) is not a value");
  lua_pushvalue(L, idx);
  const char *s = lua_tolstring(L, -1, NULL);
  if (lua_isinteger(L, idx) || isinf(d) || strtod(s, NULL) == d) return;
  snprintf(text, sizeof text, "%.17g", d);
  lua_pop(L, 1);
  lua_pushstring(L, text);
}

/* [-0, +1, v]  the value at idx as a word */
static void pushword (lua_State *L, const char *command, int idx) {
  luaL_checkstack(L, 8, "too many arguments");
  switch (lua_type(L, idx)) {
    case LUA_TSTRING: lua_pushvalue(L, idx); break;
    case LUA_TNUMBER: pushnumber(L, idx); break;
    case LUA_TUSERDATA: rb_text(L, idx, NULL); break;  /* a secret */
    default: wrong(L, command, "a string, a number or a secret", idx);
  }
}

static int byname (const char *command) {
  return strcmp(command, "HSET") == 0 || strcmp(command, "ZADD") == 0;
}

/* [-0, +1, v]  the names in the table at idx, sorted */
static void pushnames (lua_State *L, const char *command, int idx) {
  lua_pushnil(L);
  if (lua_next(L, idx) == 0) luaL_error(L, "redis %s: the table is empty", command);
  do {
    lua_pop(L, 1);
    if (lua_type(L, -1) != LUA_TSTRING) wrong(L, command, "a name", -1);
  } while (lua_next(L, idx) != 0);
  rb_redis_pushsorted(L, idx);
}

/* [-0, +?]  {field = value} for HSET, {member = score} for ZADD */
static void laymap (lua_State *L, const char *command, int idx) {
  pushnames(L, command, idx);
  int names = lua_gettop(L);
  for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, names); i++) {
    lua_rawgeti(L, names, i);
    lua_pushvalue(L, -1);
    lua_gettable(L, idx);
    pushword(L, command, lua_gettop(L));
    lua_remove(L, -2);                                /* name, value */
    if (strcmp(command, "ZADD") == 0) lua_insert(L, -2);
  }
  lua_remove(L, names);
}

/* [-0, +?]  the words that the argument at idx stands for */
static void lay (lua_State *L, const char *command, int idx) {
  lua_Integer n;
  if (!lua_istable(L, idx)) {
    pushword(L, command, idx);
    return;
  }
  n = luaL_len(L, idx);
  if (n == 0 && byname(command)) laymap(L, command, idx);
  else if (n == 0) luaL_error(L, "redis %s: the list is empty", command);
  for (lua_Integer i = 1; i <= n; i++) {
    lua_geti(L, idx, i);
    pushword(L, command, lua_gettop(L));
    lua_remove(L, -2);
  }
}

void rb_redis_args (lua_State *L, const char *command) {
  int n = lua_gettop(L);
  if (command != NULL) {
    if (n < 2) luaL_error(L, "redis %s: a key is expected", command);
    lua_pushstring(L, command);
  }
  for (int i = 2; i <= n; i++) lay(L, command != NULL ? command : "command", i);
  lua_rotate(L, 2, 1 - n);                            /* the arguments go up */
  lua_settop(L, lua_gettop(L) - (n - 1));             /* and away */
}

/* -- durations ------------------------------------------------------------ */

/* [-0, +0, v]  the duration at idx in milliseconds */
static lua_Integer checkduration (lua_State *L, const char *command, int idx) {
  double seconds;
  if (lua_type(L, idx) == LUA_TNUMBER)
    luaL_error(L, "redis %s: a duration has a unit: \"%ss\" for %s seconds "
               "(units: ms, s, m, h, d)", command, luaL_tolstring(L, idx, NULL),
               luaL_tolstring(L, idx, NULL));
  if (lua_type(L, idx) != LUA_TSTRING)
    wrong(L, command, "a duration such as \"90s\"", idx);
  int is = rb_duration(lua_tostring(L, idx), &seconds);
  if (is && seconds < 0.001)
    luaL_error(L, "redis %s: \"%s\" is too short: 1ms is the shortest", command,
               lua_tostring(L, idx));
  if (!is)
    luaL_error(L, "redis %s: \"%s\" is not a duration (as in \"90s\", \"1h30m\", "
               "\"500ms\")", command, lua_tostring(L, idx));
  return (lua_Integer)llround(seconds * 1000);
}

/* [-0, +2]  "EX" and seconds, or "PX" and milliseconds */
static void pushduration (lua_State *L, lua_Integer ms, const char *seconds,
                          const char *milliseconds) {
  int whole = ms % 1000 == 0;
  lua_pushstring(L, whole ? seconds : milliseconds);
  lua_pushinteger(L, whole ? ms / 1000 : ms);
  lua_tostring(L, -1);
}

void rb_redis_expireargs (lua_State *L) {
  lua_settop(L, 3);
  lua_Integer ms = checkduration(L, "expire", 3);
  pushduration(L, ms, "EXPIRE", "PEXPIRE");
  pushword(L, "expire", 2);
  lua_insert(L, 5);                                   /* 4: name, key, n */
  lua_rotate(L, 2, -2);
  lua_settop(L, 4);
}

/* -- set ------------------------------------------------------------------ */

/* [-0, +0, v]  only these options */
static void checkoptions (lua_State *L, int idx) {
  static const char *const known[] = {"ex", "nx", "xx", "keepttl", NULL};
  if (lua_isnoneornil(L, idx)) return;
  if (!lua_istable(L, idx)) wrong(L, "set", "a table of options", idx);
  lua_pushnil(L);
  while (lua_next(L, idx) != 0) {
    const char *const *k = known;
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
    while (*k != NULL && strcmp(*k, name) != 0) k++;
    if (*k == NULL)
      luaL_error(L, "redis set: no option is called '%s' (ex, nx, xx, keepttl)",
                 name);
    lua_pop(L, 1);
  }
}

static int flag (lua_State *L, const char *name) {
  lua_getfield(L, 4, name);
  int b = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return b;
}

/* self, key, value, options */
void rb_redis_setargs (lua_State *L) {
  lua_settop(L, 4);
  checkoptions(L, 4);
  if (lua_isnil(L, 4)) { lua_newtable(L); lua_replace(L, 4); }
  lua_pushliteral(L, "SET");
  pushword(L, "set", 2);
  pushword(L, "set", 3);
  if (flag(L, "nx") && flag(L, "xx"))
    luaL_error(L, "redis set: nx (only where there is none) and xx (only where "
               "there is one) exclude each other");
  if (flag(L, "nx")) lua_pushliteral(L, "NX");
  if (flag(L, "xx")) lua_pushliteral(L, "XX");
  int ex = lua_getfield(L, 4, "ex") != LUA_TNIL;
  if (ex && flag(L, "keepttl"))
    luaL_error(L, "redis set: ex and keepttl exclude each other");
  if (ex) {
    int at = lua_gettop(L);
    pushduration(L, checkduration(L, "set", at), "EX", "PX");
    lua_remove(L, at);
  } else {
    lua_pop(L, 1);
    if (flag(L, "keepttl")) lua_pushliteral(L, "KEEPTTL");
  }
  lua_rotate(L, 2, -3);
  lua_settop(L, lua_gettop(L) - 3);
}

/* -- for people ----------------------------------------------------------- */

static void addword (luaL_Buffer *b, const char *s, size_t n) {
  size_t shown = n > SHOWNWORD ? SHOWNWORD - 3 : n;
  while (shown < n && shown > 0 && ((unsigned char)s[shown] & 0xC0) == 0x80) shown--;
  int plain = n > 0;
  char hex[8];
  for (size_t i = 0; i < shown; i++)
    plain = plain && (unsigned char)s[i] > ' ' && s[i] != '"' && s[i] != 0x7f;
  if (!plain) luaL_addchar(b, '"');
  for (size_t i = 0; i < shown; i++) {
    unsigned char c = (unsigned char)s[i];
    if (c < ' ' || c == 0x7f) {
      snprintf(hex, sizeof hex, "\\x%02x", c);
      luaL_addstring(b, hex);
    } else {
      if (c == '"') luaL_addchar(b, '\\');
      luaL_addchar(b, (char)c);
    }
  }
  if (shown < n) luaL_addstring(b, "...");
  if (!plain) luaL_addchar(b, '"');
}

const char *rb_redis_summary (lua_State *L, int n) {
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (int i = 2; i <= n; i++) {
    size_t len;
    const char *s = lua_tolstring(L, i, &len);
    if (i > 2) luaL_addchar(&b, ' ');
    if (luaL_bufflen(&b) > SHOWN) {
      char more[32];
      snprintf(more, sizeof more, "... (%d words)", n - 1);
      luaL_addstring(&b, more);
      break;
    }
    addword(&b, s, len);
  }
  luaL_pushresult(&b);
  return lua_tostring(L, -1);
}
