/*
** known.c - states of keys, for those who reckon with them
*/

#include <string.h>

#include "stdlib/redis/after.h"

/* [-0, +1]  state i; returns its stack index */
int rb_after_state (lua_State *L, const rb_RedisCall *c, lua_Integer i) {
  lua_rawgeti(L, c->states, i);
  return lua_gettop(L);
}

int rb_after_unknown (lua_State *L, int s) { return rb_redis_flag(L, s, "unknown"); }

int rb_after_absent (lua_State *L, int s) {
  return strcmp(rb_redis_typeof(L, s), "none") == 0;
}

int rb_after_has (lua_State *L, int s, const char *field) {
  int type = lua_getfield(L, s, field);
  lua_pop(L, 1);
  return type != LUA_TNIL;
}

/* The value is there to be reckoned with; a key that is not there counts as an
** empty one. Refuses a key that holds something else. */
int rb_after_readable (lua_State *L, rb_RedisCall *c, int s, const char *type) {
  if (rb_after_unknown(L, s)) return 0;
  if (!rb_after_absent(L, s) && strcmp(rb_redis_typeof(L, s), type) != 0)
    rb_refuse(L, "%s: %s holds a %s, and %s wants a %s", c->resource->name,
              lua_tostring(L, 3), rb_redis_typeof(L, s), lua_tostring(L, 2), type);
  return rb_after_absent(L, s) || rb_after_has(L, s, "value");
}

/* [-1, +1]  the value at the top as a state of that type */
void rb_after_tostate (lua_State *L, const char *type) {
  lua_createtable(L, 0, 3);
  lua_insert(L, -2);
  lua_setfield(L, -2, "value");
  lua_pushstring(L, type);
  lua_setfield(L, -2, "type");
}

/* [-0, +1]  no such key */
void rb_after_pushnone (lua_State *L) {
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "none");
  lua_setfield(L, -2, "type");
}

/* [-0, +1]  a copy, without what only the past has */
void rb_after_pushcopy (lua_State *L, int s) {
  static const char *const fields[] = {"type", "value", "ttl", "unknown", "large",
                                       "items", "size", NULL};
  lua_newtable(L);
  for (const char *const *f = fields; *f != NULL; f++) {
    lua_getfield(L, s, *f);
    lua_setfield(L, -2, *f);
  }
}

/* [-1, +1]  the state at the top ends when 's' does */
void rb_after_keepttl (lua_State *L, int s) {
  lua_getfield(L, s, "ttl");
  lua_setfield(L, -2, "ttl");
}

/* [-1, +2]  the state at the top as the list of states, and the result */
rb_RedisForesight rb_after_one (lua_State *L, lua_Integer result) {
  lua_createtable(L, 1, 0);
  lua_insert(L, -2);
  lua_rawseti(L, -2, 1);
  lua_pushinteger(L, result);
  return RB_REDISEXACT;
}

/* [-0, +2]  nothing would change */
rb_RedisForesight rb_after_already (lua_State *L, rb_RedisCall *c, const char *why,
                                  lua_Integer result) {
  c->reason = why;
  lua_pushvalue(L, c->states);
  lua_pushinteger(L, result);
  return RB_REDISALREADY;
}
