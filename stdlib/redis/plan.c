/*
** plan.c - what a preview found, as the table that the gate wants
*/

#include <string.h>

#include "stdlib/redis/plan.h"
#include "stdlib/redis/server.h"

/* what all the keys hold, as people see it: that of one, or {value by key} */
static void setshown (lua_State *L, const rb_RedisCall *c, int states,
                      const char *field) {
  lua_Integer n = (lua_Integer)lua_rawlen(L, c->keys);
  if (n == 0) return;
  lua_createtable(L, 0, 2);
  lua_newtable(L);
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti(L, states, i);
    rb_redis_show(L, -1);
    if (n == 1) {
      lua_setfield(L, -5, field);
      lua_pop(L, 3);
      return;
    }
    lua_rawgeti(L, c->keys, i);
    lua_insert(L, -2);
    if (lua_isnil(L, -1)) {
      lua_pop(L, 1);
      lua_pushboolean(L, 0);
    }
    lua_rawset(L, -4);
    lua_pop(L, 1);
  }
  lua_setfield(L, -2, "value");
  lua_pushliteral(L, "keys");
  lua_setfield(L, -2, "type");
  lua_setfield(L, -2, field);
}

static int every (lua_State *L, const rb_RedisCall *c, const char *flag, int is) {
  lua_Integer n = (lua_Integer)lua_rawlen(L, c->keys);
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti(L, c->states, i);
    int has = rb_redis_flag(L, -1, flag);
    lua_pop(L, 1);
    if (has != is) return 0;
  }
  return 1;
}

/* image and guard: where every key was read as it is, whole */
static void setimage (lua_State *L, const rb_RedisCall *c, int beyond) {
  lua_Integer n = (lua_Integer)lua_rawlen(L, c->keys);
  int whole = n > 0 && !beyond && every(L, c, "large", 0);
  lua_pushboolean(L, whole && every(L, c, "unknown", 0));
  lua_setfield(L, -2, "guarded");
  if (n == 0 || !every(L, c, "unknown", 0) || !every(L, c, "planned", 0)) return;
  lua_createtable(L, (int)n, 0);
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti(L, c->keys, i);
    lua_rawgeti(L, c->states, i);
    rb_redis_image(L, lua_gettop(L), lua_gettop(L) - 1);
    lua_rawseti(L, -4, i);
    lua_pop(L, 2);
  }
  lua_setfield(L, -2, "image");
}

/* [-0, +1 or 0]  {key, dump, at, shown}: what puts a key back */
static int pushback (lua_State *L, const rb_RedisCall *c, lua_Integer i) {
  static const char *const fields[] = {"dump", "at", NULL};
  lua_rawgeti(L, c->states, i);
  int s = lua_gettop(L), none = strcmp(rb_redis_typeof(L, s), "none") == 0;
  if (!none && lua_getfield(L, s, "dump") == LUA_TNIL) {
    lua_settop(L, s - 1);
    return 0;
  }
  lua_settop(L, s);
  lua_createtable(L, 0, 4);
  lua_rawgeti(L, c->keys, i);
  lua_setfield(L, -2, "key");
  for (const char *const *f = fields; *f != NULL; f++) {
    lua_getfield(L, s, *f);
    lua_setfield(L, -2, *f);
  }
  rb_redis_show(L, s);
  lua_setfield(L, -2, "shown");
  lua_remove(L, s);
  return 1;
}

/* [-0, +1 or 0]  the list of all that is to be put back; in a dry run nothing of
** it is known of keys that are planned themselves */
static int pushbacks (lua_State *L, const rb_RedisCall *c) {
  lua_Integer n = (lua_Integer)lua_rawlen(L, c->keys);
  lua_createtable(L, (int)n, 0);
  for (lua_Integer i = 1; i <= n && every(L, c, "planned", 0); i++) {
    if (!pushback(L, c, i)) {
      lua_pop(L, 1);
      return 0;
    }
    lua_rawseti(L, -2, i);
  }
  return 1;
}

/* inverse: the keys as they were; or why there is none */
static void setinverse (lua_State *L, const rb_RedisCall *c, int beyond) {
  if (lua_rawlen(L, c->keys) == 0 || beyond || !every(L, c, "unknown", 0)) {
    lua_pushliteral(L, "irreversible: what it changes is not known beforehand");
    lua_setfield(L, -2, "undo");
  } else if (pushbacks(L, c)) {
    lua_createtable(L, 2, 0);
    lua_insert(L, -2);
    lua_rawseti(L, -2, 2);
    lua_pushliteral(L, "restore");
    lua_rawseti(L, -2, 1);
    lua_setfield(L, -2, "inverse");
  } else {
    lua_pushliteral(L, "irreversible: the value before could not be kept (it is "
                    "too large, or DUMP is not allowed)");
    lua_setfield(L, -2, "undo");
  }
}

/* [-0, +1]  what later reads of a dry run will find under a key */
static void pushwritten (lua_State *L, int states, lua_Integer i) {
  if (states != 0) lua_rawgeti(L, states, i);
  else lua_pushnil(L);
  int s = lua_gettop(L);
  if (states != 0 && strcmp(rb_redis_typeof(L, s), "none") == 0
      && !rb_redis_flag(L, s, "unknown")) {
    lua_pushboolean(L, 0);
  } else if (states != 0 && !rb_redis_flag(L, s, "large")) {
    lua_pushvalue(L, s);
    rb_redis_setsince(L);
  } else {
    lua_createtable(L, 0, 1);
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "unknown");
  }
  lua_remove(L, s);
}

/* the keys that are written, where these are all */
static void setwrites (lua_State *L, const rb_RedisCall *c, int states) {
  lua_Integer n = (lua_Integer)lua_rawlen(L, c->keys);
  int plan = lua_gettop(L);
  lua_createtable(L, 0, (int)n);
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti(L, c->keys, i);
    if (rb_redis_planname(L, c->resource, lua_gettop(L)) == NULL) n = 0;
    else {
      pushwritten(L, states, i);
      lua_rawset(L, plan + 1);
    }
    lua_settop(L, plan + 1);
  }
  if (n > 0) lua_setfield(L, plan, "writes");
  else {
    lua_pushliteral(L, "resource");
    lua_setfield(L, plan, "reach");
  }
  lua_settop(L, plan);
}

static void setcounts (lua_State *L, lua_Integer keys) {
  lua_createtable(L, 0, 1);
  lua_pushinteger(L, keys);
  lua_setfield(L, -2, "redis_keys");
  lua_setfield(L, -2, "counts");
}

/* how many of the keys are not the same afterwards */
static lua_Integer changed (lua_State *L, const rb_RedisCall *c, int states) {
  lua_Integer n = (lua_Integer)lua_rawlen(L, c->keys), sum = 0;
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti(L, c->states, i);
    lua_rawgeti(L, states, i);
    int s = lua_gettop(L);
    sum += strcmp(rb_redis_typeof(L, s), "none") != 0
           || strcmp(rb_redis_typeof(L, s - 1), "none") != 0;
    lua_pop(L, 2);
  }
  return sum;
}

static void setreason (lua_State *L, const char *verdict, const char *reason) {
  if (verdict != NULL) {
    lua_pushstring(L, verdict);
    lua_setfield(L, -2, "verdict");
  }
  if (reason != NULL) {
    lua_pushstring(L, reason);
    lua_setfield(L, -2, "reason");
  }
}

/* [-1, +1]  summary -> the plan with what is known in any case */
static int newplan (lua_State *L, const rb_RedisCall *c) {
  lua_createtable(L, 0, 14);
  lua_insert(L, -2);
  lua_setfield(L, -2, "summary");
  setshown(L, c, c->states, "before");
  return lua_gettop(L);
}

int rb_plan_foreseen (lua_State *L, rb_RedisCall *c, rb_RedisForesight f) {
  int result = lua_gettop(L) - 1, states = result - 1;
  int plan = newplan(L, c);
  setshown(L, c, states, "after");
  lua_pushboolean(L, 1);
  lua_setfield(L, plan, "exact");
  lua_pushvalue(L, result);
  lua_setfield(L, plan, "result");
  setreason(L, f == RB_REDISALREADY ? "nothing to do" : NULL, c->reason);
  if (f == RB_REDISALREADY) return 1;
  lua_pushvalue(L, states);
  lua_setfield(L, plan, "leaves");
  setimage(L, c, 0);
  setinverse(L, c, 0);
  setcounts(L, changed(L, c, states));
  lua_pushboolean(L, c->blind);
  lua_setfield(L, plan, "blind");
  setwrites(L, c, states);
  return 1;
}

int rb_plan_unforeseen (lua_State *L, rb_RedisCall *c) {
  int beyond = rb_redis_beyond(L);
  lua_Integer n = (lua_Integer)lua_rawlen(L, c->keys);
  newplan(L, c);
  setimage(L, c, beyond);
  setinverse(L, c, beyond);
  setcounts(L, n);
  if (n > 0) {
    lua_createtable(L, 0, 2);
    lua_pushliteral(L, "unknown");
    lua_setfield(L, -2, "type");
    lua_pushliteral(L, "(not known beforehand)");
    lua_setfield(L, -2, "value");
    lua_setfield(L, -2, "after");
  }
  if (n > 0 && !every(L, c, "unknown", 0))
    setreason(L, "cannot predict", "what is there by then is not known");
  else setreason(L, NULL, c->reason);
  if (n > 0 && !beyond) setwrites(L, c, 0);
  else if (!rb_redis_outward(L)) {
    lua_pushliteral(L, "resource");
    lua_setfield(L, -2, "reach");
  }
  return 1;
}

int rb_plan_unchecked (lua_State *L, const rb_RedisCall *c) {
  int plan = lua_gettop(L);
  lua_getfield(L, plan, "verdict");
  lua_getfield(L, plan, "reason");
  const char *verdict = lua_tostring(L, -2), *reason = lua_tostring(L, -1);
  if (c->unchecked != NULL && (verdict == NULL || strcmp(verdict, "nothing to do") != 0)) {
    if (reason == NULL) lua_pushstring(L, c->unchecked);
    else lua_pushfstring(L, "%s; %s", reason, c->unchecked);
    lua_setfield(L, plan, "reason");
  }
  lua_settop(L, plan);
  return 1;
}
