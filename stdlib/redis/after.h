/*
** after.h - reckoning with what keys hold, without asking the server
*/

#ifndef rb_redis_after_h
#define rb_redis_after_h

#include "stdlib/redis/redis.h"

/* -- known.c -------------------------------------------------------------- */

/* [-0, +1]  State i; returns its stack index. */
int rb_after_state (lua_State *L, const rb_RedisCall *c, lua_Integer i);
int rb_after_unknown (lua_State *L, int s);
int rb_after_absent (lua_State *L, int s);
int rb_after_has (lua_State *L, int s, const char *field);
/* The value is there to be reckoned with; a key that is not there counts as an
** empty one. Refuses a key that holds something else. [-0, +0, v] */
int rb_after_readable (lua_State *L, rb_RedisCall *c, int s, const char *type);
/* [-1, +1]  The value at the top as a state of that type. */
void rb_after_tostate (lua_State *L, const char *type);
/* [-0, +1]  No such key. */
void rb_after_pushnone (lua_State *L);
/* [-0, +1]  A copy, without what only the past has. */
void rb_after_pushcopy (lua_State *L, int s);
/* [-1, +1]  The state at the top ends when 's' does. */
void rb_after_keepttl (lua_State *L, int s);
/* [-1, +2]  The state at the top as the list of states, and the result. */
rb_RedisForesight rb_after_one (lua_State *L, lua_Integer result);
/* [-0, +2]  Nothing would change. */
rb_RedisForesight rb_after_already (lua_State *L, rb_RedisCall *c,
                                    const char *why, lua_Integer result);

/* -- elements.c ----------------------------------------------------------- */

rb_RedisForesight rb_after_hset (lua_State *L, rb_RedisCall *c);
rb_RedisForesight rb_after_sadd (lua_State *L, rb_RedisCall *c);
rb_RedisForesight rb_after_zadd (lua_State *L, rb_RedisCall *c);
rb_RedisForesight rb_after_take (lua_State *L, rb_RedisCall *c);
rb_RedisForesight rb_after_push (lua_State *L, rb_RedisCall *c);
rb_RedisForesight rb_after_lrem (lua_State *L, rb_RedisCall *c);

#endif
