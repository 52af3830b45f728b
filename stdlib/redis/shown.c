/*
** shown.c - states of keys for people, and as the image that a deed must find
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stdlib/redis/redis.h"

enum {
  TEXT = 4096,         /* bytes of a value that people see */
  ITEMS = 100,         /* elements */
  SHORT = 60,          /* bytes in a sentence */
  SLACK = 2000         /* ms, where an expiry is only known as the time left */
};

/* -- for people ----------------------------------------------------------- */

/* [-0, +1, m]  the string at the top, cut */
static void cut (lua_State *L, size_t most) {
  size_t n;
  const char *s = lua_tolstring(L, -1, &n);
  if (n <= most) {
    lua_pushvalue(L, -1);
    return;
  }
  while (most > 0 && ((unsigned char)s[most] & 0xC0) == 0x80) most--;
  lua_pushlstring(L, s, most);
  lua_pushfstring(L, "%s... (%I bytes)", lua_tostring(L, -1), (LUAI_UACINT)n);
  lua_remove(L, -2);
}

static lua_Integer entries (lua_State *L, int t) {
  lua_Integer n = 0;
  for (lua_pushnil(L); lua_next(L, t) != 0; lua_pop(L, 1)) n++;
  return n;
}

/* [-0, +1, m]  the value of the state at 'state', or words about it */
static void pushshown (lua_State *L, int state) {
  const char *type = rb_redis_typeof(L, state);
  lua_getfield(L, state, "value");
  int value = lua_gettop(L);
  if (lua_isstring(L, value)) cut(L, TEXT);
  else if (!lua_istable(L, value)) {
    lua_getfield(L, state, "items");
    lua_Integer items = lua_tointeger(L, -1);
    lua_getfield(L, state, "size");
    lua_Integer kb = (lua_tointeger(L, -1) + 1023) / 1024;
    if (items > 0) lua_pushfstring(L, "(%s, %I %s, about %I KB)", type,
      (LUAI_UACINT)items, strcmp(type, "string") == 0 ? "bytes" : "elements",
      (LUAI_UACINT)kb);
    else lua_pushfstring(L, "(%s, about %I KB)", type, (LUAI_UACINT)kb);
  } else if (entries(L, value) > ITEMS)
    lua_pushfstring(L, "(%s, %I elements)", type, (LUAI_UACINT)entries(L, value));
  else lua_pushvalue(L, value);
  lua_replace(L, value);
  lua_settop(L, value);
}

void rb_redis_show (lua_State *L, int state) {
  state = lua_absindex(L, state);
  if (strcmp(rb_redis_typeof(L, state), "none") == 0
      && !rb_redis_flag(L, state, "unknown")) {
    lua_pushnil(L);
    return;
  }
  lua_createtable(L, 0, 3);
  if (rb_redis_flag(L, state, "unknown")) {
    lua_pushliteral(L, "unknown");
    lua_setfield(L, -2, "type");
    lua_pushliteral(L, "(not known)");
    lua_setfield(L, -2, "value");
    return;
  }
  pushshown(L, state);
  lua_setfield(L, -2, "value");
  lua_getfield(L, state, "type");
  lua_setfield(L, -2, "type");
  lua_getfield(L, state, "ttl");
  lua_setfield(L, -2, "ttl");
}

/* -- the image ------------------------------------------------------------ */

void rb_redis_image (lua_State *L, int state, int key) {
  static const char *const fields[] = {"type", "packed", "items", "at", "about",
                                       NULL};
  lua_createtable(L, 0, 4);
  lua_pushvalue(L, key);
  lua_setfield(L, -2, "key");
  for (const char *const *f = fields; *f != NULL; f++) {
    lua_getfield(L, state, *f);
    lua_setfield(L, -2, *f);
  }
}

/* [-0, +1, m]  an image or a state in a few words: a string "true", for 59 s */
static const char *pushshort (lua_State *L, int image) {
  const char *type = rb_redis_typeof(L, image);
  int top = lua_gettop(L);
  if (strcmp(type, "none") == 0) return lua_pushliteral(L, "no such key");
  lua_getfield(L, image, "at");
  const char *when = lua_isnil(L, -1) ? "without an expiry" : "with an expiry";
  if (lua_getfield(L, image, "packed") == LUA_TSTRING
      && strcmp(type, "string") == 0) {
    cut(L, SHORT);
    lua_pushfstring(L, "\"%s\" %s", lua_tostring(L, -1), when);
  } else lua_pushfstring(L, "a %s %s", type, when);
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
  return lua_tostring(L, -1);
}

static int samefield (lua_State *L, int a, int b, const char *field) {
  lua_getfield(L, a, field);
  lua_getfield(L, b, field);
  int same = lua_compare(L, -1, -2, LUA_OPEQ);
  lua_pop(L, 2);
  return same;
}

/* ends at the same time? */
static int sameexpiry (lua_State *L, int a, int b) {
  if (samefield(L, a, b, "at")) return 1;
  if (!rb_redis_flag(L, b, "about")) return 0;
  lua_getfield(L, a, "at");
  lua_getfield(L, b, "at");
  int both = lua_isinteger(L, -1) && lua_isinteger(L, -2);
  lua_Integer apart = lua_tointeger(L, -1) - lua_tointeger(L, -2);
  lua_pop(L, 2);
  return both && apart < SLACK && apart > -SLACK;
}

const char *rb_redis_compare (lua_State *L, int image, int state) {
  if (rb_redis_flag(L, state, "unknown")) return "value";
  if (!samefield(L, image, state, "type")) return "type";
  if (!samefield(L, image, state, "packed")) return "value";
  if (!samefield(L, image, state, "items")) return "number of elements";
  return sameexpiry(L, image, state) ? NULL : "expiry";
}

void rb_redis_checkdrift (lua_State *L, rb_RedisCall *c, int images) {
  lua_Integer n = (lua_Integer)lua_rawlen(L, c->states);
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti(L, images, i);
    lua_rawgeti(L, c->states, i);
    int seen = lua_gettop(L), expected = seen - 1;
    const char *what = rb_redis_compare(L, expected, seen);
    if (what != NULL) {
      const char *was = pushshort(L, expected), *is = pushshort(L, seen);
      lua_getfield(L, expected, "key");
      rb_fail(L, "drift", RB_NOTDONE, "%s: %s has changed since it was looked at "
              "(its %s): expected %s, found %s; nothing was changed",
              c->resource->name, lua_tostring(L, -1), what, was, is);
    }
    lua_pop(L, 2);
  }
}

void rb_redis_imagekeys (lua_State *L, rb_RedisCall *c) {
  lua_Integer n = (lua_Integer)lua_rawlen(L, -1);
  lua_createtable(L, (int)n, 0);
  c->keys = lua_gettop(L);
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti(L, c->keys - 1, i);
    lua_getfield(L, -1, "key");
    lua_rawseti(L, c->keys, i);
    lua_pop(L, 1);
  }
}
