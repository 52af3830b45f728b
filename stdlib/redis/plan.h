/*
** plan.h - previews of remedies
*/

#ifndef rb_redis_plan_h
#define rb_redis_plan_h

#include "stdlib/redis/redis.h"

/* Stack: states afterwards, result, summary. [-?, +1]  The plan in which nothing
** is left open. */
int rb_plan_foreseen (lua_State *L, rb_RedisCall *c, rb_RedisForesight f);
/* Stack: summary. [-1, +1]  The plan in which the keys are known at best. */
int rb_plan_unforeseen (lua_State *L, rb_RedisCall *c);
/* [-0, +0, m]  Says in the plan at the top, if it would do anything, that the right
** to do it was not checked; returns 1. */
int rb_plan_unchecked (lua_State *L, const rb_RedisCall *c);
/* [-0, +0, v]  Refuses when ACL DRYRUN, answered by r, says so. */
void rb_redis_checkright (lua_State *L, rb_RedisCall *c, const redisReply *r);

/* -- kind.c */

/* [-0, +1, m]  Keeps what the server says of the command's types and keys. */
void rb_kind_learn (lua_State *L, rb_RedisCall *c, const redisReply *info,
                    const redisReply *flags);
/* [-0, +0, v]  Refuses where a key holds what the command does not take. */
void rb_kind_check (lua_State *L, rb_RedisCall *c);

/* [-?, +1, vy]  The deed: guarded by the plan's image, 'send' between MULTI and
** EXEC. */
int rb_redis_perform (lua_State *L, void (*send) (lua_State *L, rb_RedisCall *c));

#endif
