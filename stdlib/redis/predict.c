/*
** predict.c - what a probe will answer once the deeds planned before it in this
** dry run are done
**
** A planned key is {type, value, ttl} or false (removed); where its value is
** not known, or it may have expired while a real run waits, there is no answer,
** and the probe is performed "as of now".
*/

#include <string.h>

#include "stdlib/redis/probe.h"

typedef enum Found { NOTHING, REMOVED, THERE } Found;

/* [-0, +1 or 0, m]  what was planned for the key at 'key'; pushes the state when
** it is THERE. For a type (or NULL: any) whose value is wanted. */
static Found find (lua_State *L, int key, const char *type) {
  const rb_Resource *r = rb_resource(L);
  int top = lua_gettop(L);
  const char *name = rb_redis_planname(L, r, key);
  if (name == NULL || !rb_planned(L, name)) {
    lua_settop(L, top);
    return NOTHING;
  }
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
  if (!lua_istable(L, -1)) {
    lua_pop(L, 1);
    return REMOVED;
  }
  int over;
  rb_redis_aged(L, &over);
  if (over || rb_redis_flag(L, -1, "unknown")) {
    lua_pop(L, 1);
    return NOTHING;
  }
  const char *is = rb_redis_typeof(L, lua_gettop(L));
  if (type != NULL && strcmp(type, is) != 0)
    rb_fail(L, "server", RB_NOTDONE, "%s: WRONGTYPE: %s would hold a %s by then, "
            "not a %s", r->name, lua_tostring(L, key), is, type);
  return THERE;
}

/* [-1, +1]  the value of the state at the top */
static void tovalue (lua_State *L) {
  lua_getfield(L, -1, "value");
  lua_remove(L, -2);
}

static lua_Integer entries (lua_State *L) {
  lua_Integer n = 0;
  int t = lua_gettop(L);
  for (lua_pushnil(L); lua_next(L, t) != 0; lua_pop(L, 1)) n++;
  return n;
}

/* how many bytes or elements the value has */
static int length (lua_State *L, const char *type) {
  Found f = find(L, 2, type);
  if (f == NOTHING) return 0;
  if (f == REMOVED) lua_pushinteger(L, 0);
  else {
    tovalue(L);
    int map = strcmp(type, "hash") == 0 || strcmp(type, "zset") == 0;
    lua_pushinteger(L, map ? entries(L) : (lua_Integer)lua_rawlen(L, -1));
  }
  return 1;
}

/* the whole value; where there is none: nil, or an empty table */
static int whole (lua_State *L, const char *type, int table) {
  Found f = find(L, 2, type);
  if (f == NOTHING) return 0;
  if (f == THERE) tovalue(L);
  else if (table) lua_newtable(L);
  else lua_pushnil(L);
  return 1;
}

/* one entry of a hash or a sorted set, by the name at 3 */
static int entry (lua_State *L, const char *type) {
  Found f = find(L, 2, type);
  if (f == NOTHING) return 0;
  if (f == REMOVED) lua_pushnil(L);
  else {
    tovalue(L);
    lua_pushvalue(L, 3);
    lua_tostring(L, -1);
    lua_rawget(L, -2);
  }
  return 1;
}

/* -- keys ----------------------------------------------------------------- */

int rb_predict_exists (lua_State *L) {
  Found f = find(L, 2, NULL);
  if (f == NOTHING) return 0;
  lua_pushboolean(L, f == THERE);
  return 1;
}

int rb_predict_type (lua_State *L) {
  Found f = find(L, 2, NULL);
  if (f == NOTHING) return 0;
  if (f == THERE) lua_getfield(L, -1, "type");
  else lua_pushliteral(L, "none");
  return 1;
}

int rb_predict_ttl (lua_State *L) {
  Found f = find(L, 2, NULL);
  if (f == NOTHING) return 0;
  int over;
  if (f == REMOVED) lua_pushnil(L);
  else if (rb_redis_aged(L, &over) > 0) return 0;
  else if (lua_getfield(L, -1, "ttl") == LUA_TNIL) lua_pushboolean(L, 0);
  return 1;
}

/* -- values --------------------------------------------------------------- */

int rb_predict_get (lua_State *L) { return whole(L, "string", 0); }
int rb_predict_hgetall (lua_State *L) { return whole(L, "hash", 1); }
int rb_predict_smembers (lua_State *L) { return whole(L, "set", 1); }
int rb_predict_strlen (lua_State *L) { return length(L, "string"); }
int rb_predict_llen (lua_State *L) { return length(L, "list"); }
int rb_predict_hlen (lua_State *L) { return length(L, "hash"); }
int rb_predict_scard (lua_State *L) { return length(L, "set"); }
int rb_predict_zcard (lua_State *L) { return length(L, "zset"); }
int rb_predict_hget (lua_State *L) { return entry(L, "hash"); }
int rb_predict_zscore (lua_State *L) { return entry(L, "zset"); }

/* Only when all of the keys were planned: half an answer is none. */
int rb_predict_mget (lua_State *L) {
  int n = lua_gettop(L), planned = 0;
  lua_newtable(L);
  for (int i = 2; i <= n; i++) {
    Found f = lua_istable(L, i) ? NOTHING : find(L, i, "string");
    planned += f != NOTHING;
    if (f == THERE) {
      tovalue(L);
      lua_pushvalue(L, i);
      lua_tostring(L, -1);
      lua_insert(L, -2);
      lua_rawset(L, n + 1);
    }
  }
  return planned == n - 1 && n > 1;
}

int rb_predict_sismember (lua_State *L) {
  Found f = find(L, 2, "set");
  int is = 0;
  if (f == NOTHING) return 0;
  if (f == THERE) {
    tovalue(L);
    lua_pushvalue(L, 3);
    lua_tostring(L, -1);
    int wanted = lua_gettop(L);
    for (lua_Integer i = 1; lua_rawgeti(L, wanted - 1, i) != LUA_TNIL; i++) {
      is |= lua_rawequal(L, -1, wanted);
      lua_pop(L, 1);
    }
  }
  lua_pushboolean(L, is);
  return 1;
}

int rb_predict_lrange (lua_State *L) {
  lua_Integer from = luaL_optinteger(L, 3, 0), to = luaL_optinteger(L, 4, -1);
  Found f = find(L, 2, "list");
  if (f == NOTHING) return 0;
  lua_newtable(L);
  if (f == REMOVED) return 1;
  lua_insert(L, -2);                                  /* result, state */
  tovalue(L);
  lua_Integer n = (lua_Integer)lua_rawlen(L, -1), next = 0;
  if (from < 0) from = from + n < 0 ? 0 : from + n;
  if (to < 0) to += n;
  for (; from <= to && from < n; from++) {
    lua_rawgeti(L, -1, from + 1);
    lua_rawseti(L, -3, ++next);
  }
  lua_pop(L, 1);
  return 1;
}

/* ordered by score, which is not worth doing twice: only what was removed */
int rb_predict_zrange (lua_State *L) {
  if (find(L, 2, "zset") != REMOVED) return 0;
  lua_newtable(L);
  return 1;
}
