/*
** elements.c - what commands make of lists, sets, hashes and sorted sets
**
** A list is a list; a set is a sorted list; a hash goes by field, a sorted set
** by member, with scores as numbers.
*/

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "stdlib/redis/after.h"

/* [-0, +1]  a copy of the state's value, or an empty table; 'members': the
** items of a list as keys */
static void pushtable (lua_State *L, int s, int members) {
  lua_newtable(L);
  int to = lua_gettop(L);
  if (lua_getfield(L, s, "value") == LUA_TTABLE) {
    for (lua_pushnil(L); lua_next(L, to + 1) != 0; lua_pop(L, 1)) {
      lua_pushvalue(L, members ? -1 : -2);
      if (members) lua_pushboolean(L, 1);
      else lua_pushvalue(L, -2);
      lua_rawset(L, to);
    }
  }
  lua_settop(L, to);
}

rb_RedisForesight rb_after_sadd (lua_State *L, rb_RedisCall *c) {
  lua_Integer added = 0;
  int s = rb_after_state(L, c, 1);
  if (c->n < 4 || !rb_after_readable(L, c, s, "set")) return RB_REDISUNKNOWN;
  pushtable(L, s, 1);
  int t = lua_gettop(L);
  for (int i = 4; i <= c->n; i++) {
    lua_pushvalue(L, i);
    added += lua_rawget(L, t) == LUA_TNIL;
    lua_pushvalue(L, i);
    lua_pushboolean(L, 1);
    lua_rawset(L, t);
    lua_settop(L, t);
  }
  if (added == 0) return rb_after_already(L, c, "it is in the set", 0);
  rb_redis_pushsorted(L, t);
  rb_after_tostate(L, "set");
  rb_after_keepttl(L, s);
  return rb_after_one(L, added);
}

rb_RedisForesight rb_after_hset (lua_State *L, rb_RedisCall *c) {
  lua_Integer added = 0, changed = 0;
  int s = rb_after_state(L, c, 1);
  if (c->n < 5 || c->n % 2 == 0) return RB_REDISUNKNOWN;
  if (!rb_after_readable(L, c, s, "hash")) return RB_REDISUNKNOWN;
  pushtable(L, s, 0);
  int t = lua_gettop(L);
  for (int i = 4; i < c->n; i += 2) {
    lua_pushvalue(L, i);
    added += lua_rawget(L, t) == LUA_TNIL;
    changed += !lua_rawequal(L, -1, i + 1);
    lua_pushvalue(L, i);
    lua_pushvalue(L, i + 1);
    lua_rawset(L, t);
    lua_settop(L, t);
  }
  if (changed == 0) return rb_after_already(L, c, "it has these values", 0);
  rb_after_tostate(L, "hash");
  rb_after_keepttl(L, s);
  return rb_after_one(L, added);
}

/* ZADD key score member ...; options are not foreseen */
rb_RedisForesight rb_after_zadd (lua_State *L, rb_RedisCall *c) {
  lua_Integer added = 0, changed = 0;
  int s = rb_after_state(L, c, 1);
  if (c->n < 5 || c->n % 2 == 0) return RB_REDISUNKNOWN;
  if (!rb_after_readable(L, c, s, "zset")) return RB_REDISUNKNOWN;
  pushtable(L, s, 0);
  int t = lua_gettop(L);
  for (int i = 4; i < c->n; i += 2) {
    char *end;
    const char *text = lua_tostring(L, i);
    double score = strtod(text, &end);
    if (end == text || *end != '\0') return RB_REDISUNKNOWN;
    lua_pushvalue(L, i + 1);
    int none = lua_rawget(L, t) == LUA_TNIL;
    added += none;
    changed += none || lua_tonumber(L, -1) != score;
    lua_pushvalue(L, i + 1);
    lua_pushnumber(L, score);
    lua_rawset(L, t);
    lua_settop(L, t);
  }
  if (changed == 0) return rb_after_already(L, c, "it has these scores", 0);
  rb_after_tostate(L, "zset");
  rb_after_keepttl(L, s);
  return rb_after_one(L, added);
}

/* HDEL, SREM, ZREM: key and what goes */
rb_RedisForesight rb_after_take (lua_State *L, rb_RedisCall *c) {
  char kind = lua_tostring(L, 2)[0] & ~32;
  const char *type = kind == 'H' ? "hash" : kind == 'S' ? "set" : "zset";
  lua_Integer taken = 0;
  int s = rb_after_state(L, c, 1);
  if (c->n < 4 || !rb_after_readable(L, c, s, type)) return RB_REDISUNKNOWN;
  pushtable(L, s, kind == 'S');
  int t = lua_gettop(L);
  for (int i = 4; i <= c->n; i++) {
    lua_pushvalue(L, i);
    taken += lua_rawget(L, t) != LUA_TNIL;
    lua_pushvalue(L, i);
    lua_pushnil(L);
    lua_rawset(L, t);
    lua_settop(L, t);
  }
  if (taken == 0) return rb_after_already(L, c, "there is no such element", 0);
  lua_pushnil(L);
  if (lua_next(L, t) == 0) rb_after_pushnone(L);
  else {
    lua_settop(L, t);
    if (kind == 'S') rb_redis_pushsorted(L, t);
    rb_after_tostate(L, type);
    rb_after_keepttl(L, s);
  }
  return rb_after_one(L, taken);
}

/* LPUSH puts the last word first */
rb_RedisForesight rb_after_push (lua_State *L, rb_RedisCall *c) {
  int s = rb_after_state(L, c, 1), left = (lua_tostring(L, 2)[0] & ~32) == 'L';
  if (c->n < 4 || !rb_after_readable(L, c, s, "list")) return RB_REDISUNKNOWN;
  lua_getfield(L, s, "value");
  int old = lua_gettop(L);
  lua_Integer had = lua_istable(L, old) ? (lua_Integer)lua_rawlen(L, old) : 0;
  lua_Integer more = c->n - 3;
  lua_createtable(L, (int)(had + more), 0);
  for (lua_Integer i = 1; i <= had; i++) {
    lua_rawgeti(L, old, i);
    lua_rawseti(L, -2, left ? i + more : i);
  }
  for (lua_Integer i = 1; i <= more; i++) {
    lua_pushvalue(L, (int)(left ? c->n - i + 1 : 3 + i));
    lua_rawseti(L, -2, left ? i : had + i);
  }
  rb_after_tostate(L, "list");
  rb_after_keepttl(L, s);
  return rb_after_one(L, had + more);
}

/* LREM key count value: the first 'count' of them, from the end when negative */
rb_RedisForesight rb_after_lrem (lua_State *L, rb_RedisCall *c) {
  int ok, s = rb_after_state(L, c, 1);
  lua_Integer most = lua_tointegerx(L, 4, &ok), gone = 0, kept = 0;
  if (c->n != 5 || !ok || !rb_after_readable(L, c, s, "list"))
    return RB_REDISUNKNOWN;
  lua_getfield(L, s, "value");
  int old = lua_gettop(L);
  lua_Integer n = lua_istable(L, old) ? (lua_Integer)lua_rawlen(L, old) : 0;
  lua_newtable(L);
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti(L, old, most < 0 ? n - i + 1 : i);
    if (lua_rawequal(L, -1, 5) && (most == 0 || gone < llabs(most))) {
      gone++;
      lua_pop(L, 1);
    } else lua_rawseti(L, -2, ++kept);
  }
  if (gone == 0) return rb_after_already(L, c, "there is no such element", 0);
  if (kept == 0) rb_after_pushnone(L);
  else {
    for (lua_Integer i = 1; most < 0 && i <= kept / 2; i++) {  /* turn it round */
      lua_rawgeti(L, -1, i);
      lua_rawgeti(L, -2, kept - i + 1);
      lua_rawseti(L, -3, i);
      lua_rawseti(L, -2, kept - i + 1);
    }
    rb_after_tostate(L, "list");
    rb_after_keepttl(L, s);
  }
  return rb_after_one(L, gone);
}
