/*
** server.h - remedies on the server as a whole
*/

#ifndef rb_redis_server_h
#define rb_redis_server_h

#include "stdlib/redis/redis.h"

/* Asks what is worth knowing before a command without keys; 0: nothing. */
int rb_redis_inquire (lua_State *L, rb_RedisCall *c);
/* [-0, +0, m]  Puts the answers into the plan at the top. */
void rb_redis_tell (lua_State *L, rb_RedisCall *c);
/* Does the command's effect leave the server? */
int rb_redis_outward (lua_State *L);

#endif
