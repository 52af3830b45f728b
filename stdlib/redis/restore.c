/*
** restore.c - keys put back as they were: what takes remedies back
**
** restore{ {key =, dump =, at =}, ... }: 'dump' is what DUMP gave, 'at' the time
** at which the key expires; a key without a dump is removed.
*/

#include <stdio.h>
#include <string.h>

#include "stdlib/redis/plan.h"

enum { ENTRIES = 2 };

/* [-0, +0, v]  self and a list of entries */
static void checkentries (lua_State *L) {
  lua_settop(L, 2);
  lua_Integer n = lua_istable(L, ENTRIES) ? luaL_len(L, ENTRIES) : 0;
  if (n == 0) luaL_error(L, "redis restore: a list of keys expected, got %s",
                         luaL_typename(L, ENTRIES));
  for (lua_Integer i = 1; i <= n; i++) {
    if (lua_geti(L, ENTRIES, i) != LUA_TTABLE
        || lua_getfield(L, -1, "key") != LUA_TSTRING)
      luaL_error(L, "redis restore: entry %d has no key", (int)i);
    lua_getfield(L, -2, "dump");
    lua_getfield(L, -3, "at");
    if ((!lua_isnil(L, -2) && lua_type(L, -2) != LUA_TSTRING)
        || (!lua_isnil(L, -1) && !lua_isinteger(L, -1)))
      luaL_error(L, "redis restore: entry %d has no proper dump or time", (int)i);
    lua_settop(L, 2);
  }
}

/* a field of the entry at the top; "" where there is none */
static const char *field (lua_State *L, const char *name, size_t *n) {
  lua_getfield(L, -1, name);
  const char *s = lua_tolstring(L, -1, n);  /* the entry keeps it alive */
  lua_pop(L, 1);
  return s;
}

/* -- the deed ------------------------------------------------------------- */

/* one command for each entry */
static void sendentries (lua_State *L, rb_RedisCall *c) {
  lua_Integer n = luaL_len(L, ENTRIES);
  for (lua_Integer i = 1; i <= n; i++) {
    size_t keylen, dumplen;
    char at[24];
    lua_geti(L, ENTRIES, i);
    const char *key = field(L, "key", &keylen), *dump = field(L, "dump", &dumplen);
    lua_getfield(L, -1, "at");
    snprintf(at, sizeof at, "%lld", (long long)lua_tointeger(L, -1));
    lua_pop(L, 1);
    rb_redis_begin(L, c, dump != NULL ? 6 : 2);
    rb_redis_text(L, c, dump != NULL ? "RESTORE" : "DEL");
    rb_redis_word(L, c, key, keylen);
    if (dump != NULL) {
      rb_redis_text(L, c, at);
      rb_redis_word(L, c, dump, dumplen);
      rb_redis_text(L, c, "REPLACE");
      rb_redis_text(L, c, "ABSTTL");
    }
    rb_redis_end(L, c);
    lua_pop(L, 1);
  }
}

int rb_redis_restore (lua_State *L) {
  checkentries(L);
  return rb_redis_perform(L, sendentries);
}

/* -- the preview ---------------------------------------------------------- */

static int samevalue (lua_State *L, int a, int b, const char *name) {
  lua_getfield(L, a, name);
  lua_getfield(L, b, name);
  int same = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return same;
}

/* [-0, +1]  what the entry at 'e' will leave, as a state */
static void pushafter (lua_State *L, int e) {
  lua_newtable(L);
  if (!rb_redis_flag(L, e, "dump")) {
    lua_pushliteral(L, "none");
    lua_setfield(L, -2, "type");
  } else if (lua_getfield(L, e, "shown") == LUA_TTABLE) {
    lua_remove(L, -2);
  } else {
    lua_pop(L, 1);
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "unknown");
  }
}

/* [-0, +2]  the states afterwards, and how many entries there are */
static rb_RedisForesight foresee (lua_State *L, rb_RedisCall *c) {
  lua_Integer n = luaL_len(L, ENTRIES), same = 0;
  lua_createtable(L, (int)n, 0);
  int states = lua_gettop(L);
  for (lua_Integer i = 1; i <= n; i++) {
    lua_geti(L, ENTRIES, i);
    lua_rawgeti(L, c->states, i);
    same += samevalue(L, states + 1, states + 2, "dump")
            && samevalue(L, states + 1, states + 2, "at")
            && !rb_redis_flag(L, states + 2, "unknown");
    pushafter(L, states + 1);
    lua_rawseti(L, states, i);
    lua_settop(L, states);
  }
  lua_pushinteger(L, n);
  if (same == n) c->reason = "it is as it was";
  return same == n ? RB_REDISALREADY : RB_REDISEXACT;
}

static int seen (lua_State *L, int status, lua_KContext ctx) {
  rb_RedisCall *c = (rb_RedisCall *)ctx;
  (void)status;
  rb_RedisForesight f = foresee(L, c);
  lua_rawgeti(L, c->keys, 1);
  size_t n = lua_rawlen(L, c->keys);
  lua_pushfstring(L, n == 1 ? "put %s back" : "put %s and %d more back",
                  lua_tostring(L, -1), (int)n - 1);
  lua_remove(L, -2);
  rb_plan_foreseen(L, c, f);
  return rb_plan_unchecked(L, c);
}

static int asked (lua_State *L, int status, lua_KContext ctx) {
  rb_RedisCall *c = (rb_RedisCall *)ctx;
  (void)status;
  for (int i = 0; i < c->got; i++) rb_redis_checkright(L, c, c->reply[i]);
  lua_Integer n = luaL_len(L, ENTRIES);
  lua_createtable(L, (int)n, 0);
  c->keys = lua_gettop(L);
  for (lua_Integer i = 1; i <= n; i++) {
    lua_geti(L, ENTRIES, i);
    lua_getfield(L, -1, "key");
    lua_rawseti(L, c->keys, i);
    lua_pop(L, 1);
  }
  c->dumps = 1;
  return rb_redis_look(L, c, seen);
}

/* ACL DRYRUN for the first key, with words that stand for the rest */
static int connected (lua_State *L, int status, lua_KContext ctx) {
  static const char *const words[] = {"ACL", "DRYRUN", NULL, "RESTORE", NULL, "0",
                                      "-"};
  rb_RedisCall *c = (rb_RedisCall *)ctx;
  size_t n;
  (void)status;
  lua_geti(L, ENTRIES, 1);
  const char *key = field(L, "key", &n);
  rb_redis_begin(L, c, 7);
  for (int i = 0; i < 7; i++) {
    if (i == 2) rb_redis_text(L, c, rb_redis_user(c));
    else if (i == 4) rb_redis_word(L, c, key, n);
    else rb_redis_text(L, c, words[i]);
  }
  rb_redis_end(L, c);
  lua_pop(L, 1);
  return rb_redis_await(L, c, asked);
}

int rb_redis_restorepreview (lua_State *L) {
  checkentries(L);
  luaL_checkstack(L, 40, "too many arguments");
  rb_RedisCall *c = rb_redis_open(L, RB_REDISREMEDY);
  c->n = 2;
  return rb_redis_lease(L, c, connected);
}
