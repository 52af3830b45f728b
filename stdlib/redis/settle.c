/*
** settle.c - what became of a deed that has no outcome: by looking
**
** The keys are as they were before: not done. They are as the deed would have
** left them: done. Anything else, and a key that would have expired meanwhile,
** is for a person to judge.
*/

#include <string.h>

#include "stdlib/redis/redis.h"

enum {
  FACTS = 2,
  EARLY = 1500, LATE = 35000  /* ms around the time at which a deed was done */
};

/* does 'a' hold what 'b' does? */
static int contains (lua_State *L, int a, int b) {
  for (lua_pushnil(L); lua_next(L, b) != 0; lua_pop(L, 1)) {
    lua_pushvalue(L, -2);
    lua_rawget(L, a);
    int same = lua_compare(L, -1, -2, LUA_OPEQ);
    lua_pop(L, 1);
    if (!same) {
      lua_pop(L, 2);
      return 0;
    }
  }
  return 1;
}

static int samevalue (lua_State *L, int state, int leaves) {
  lua_getfield(L, state, "value");
  lua_getfield(L, leaves, "value");
  int b = lua_gettop(L), a = b - 1;
  int same = lua_istable(L, a) && lua_istable(L, b)
             ? contains(L, a, b) && contains(L, b, a) : lua_rawequal(L, a, b);
  lua_settop(L, a - 1);
  return same;
}

/* ends when it would, had the deed been done at 'at'? */
static int sametime (lua_State *L, int state, int leaves, lua_Integer at) {
  int ends = lua_getfield(L, state, "at") != LUA_TNIL;
  int would = lua_getfield(L, leaves, "ttl") != LUA_TNIL;
  lua_Integer late = lua_tointeger(L, -2) - at - lua_tointeger(L, -1) * 1000;
  lua_pop(L, 2);
  return ends == would && (!ends || (late > -EARLY && late < LATE));
}

static int isleft (lua_State *L, int state, int leaves, lua_Integer at) {
  return !rb_redis_flag(L, leaves, "unknown") && !rb_redis_flag(L, leaves, "large")
         && strcmp(rb_redis_typeof(L, state), rb_redis_typeof(L, leaves)) == 0
         && samevalue(L, state, leaves) && sametime(L, state, leaves, at);
}

/* would have expired by now? */
static int expired (lua_State *L, int leaves, lua_Integer at) {
  int would = lua_getfield(L, leaves, "ttl") != LUA_TNIL;
  lua_Integer ends = at + lua_tointeger(L, -1) * 1000;
  lua_pop(L, 1);
  return would && rb_redis_clock() > ends - EARLY;
}

static int seen (lua_State *L, int status, lua_KContext ctx) {
  rb_RedisCall *c = (rb_RedisCall *)ctx;
  lua_Integer n = (lua_Integer)lua_rawlen(L, c->states);
  int before = n > 0, after = n > 0, gone = 0, top = lua_gettop(L);
  (void)status;
  lua_getfield(L, FACTS, "at");
  lua_Integer at = lua_tointeger(L, -1);
  after = lua_getfield(L, FACTS, "leaves") == LUA_TTABLE && after;
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti(L, c->keys - 1, i);
    lua_rawgeti(L, c->states, i);
    before = before && rb_redis_compare(L, top + 3, top + 4) == NULL;
    if (lua_istable(L, top + 2)) lua_rawgeti(L, top + 2, i);
    if (lua_istable(L, top + 5)) {
      after = after && isleft(L, top + 4, top + 5, at);
      gone = gone || expired(L, top + 5, at);
    }
    lua_settop(L, top + 2);
  }
  if (after) lua_pushliteral(L, "done");
  else if (before && !gone) lua_pushliteral(L, "not done");
  else lua_pushnil(L);
  return 1;
}

static int connected (lua_State *L, int status, lua_KContext ctx) {
  rb_RedisCall *c = (rb_RedisCall *)ctx;
  (void)status;
  if (lua_getfield(L, FACTS, "image") != LUA_TTABLE) {
    lua_pushnil(L);
    return 1;
  }
  rb_redis_imagekeys(L, c);
  return rb_redis_look(L, c, seen);
}

int rb_redis_settle (lua_State *L) {
  lua_settop(L, FACTS);
  rb_RedisCall *c = rb_redis_open(L, RB_REDISREMEDY);
  return rb_redis_lease(L, c, connected);
}
