/*
** probe.h - the probes, and their answers from what a dry run planned
*/

#ifndef rb_redis_probe_h
#define rb_redis_probe_h

#include "stdlib/redis/redis.h"

/* -- probe.c -------------------------------------------------------------- */

int rb_redis_command (lua_State *L);
int rb_redis_dbsize (lua_State *L);
int rb_redis_exists (lua_State *L);
int rb_redis_get (lua_State *L);
int rb_redis_hget (lua_State *L);
int rb_redis_hgetall (lua_State *L);
int rb_redis_hlen (lua_State *L);
int rb_redis_info (lua_State *L);
int rb_redis_keys (lua_State *L);
int rb_redis_llen (lua_State *L);
int rb_redis_lrange (lua_State *L);
int rb_redis_mget (lua_State *L);
int rb_redis_ping (lua_State *L);
int rb_redis_scan (lua_State *L);
int rb_redis_scard (lua_State *L);
int rb_redis_sismember (lua_State *L);
int rb_redis_smembers (lua_State *L);
int rb_redis_strlen (lua_State *L);
int rb_redis_ttl (lua_State *L);
int rb_redis_type (lua_State *L);
int rb_redis_zcard (lua_State *L);
int rb_redis_zrange (lua_State *L);
int rb_redis_zscore (lua_State *L);

/* -- predict.c: no value, or the answer ----------------------------------- */

int rb_predict_exists (lua_State *L);
int rb_predict_get (lua_State *L);
int rb_predict_hget (lua_State *L);
int rb_predict_hgetall (lua_State *L);
int rb_predict_hlen (lua_State *L);
int rb_predict_llen (lua_State *L);
int rb_predict_lrange (lua_State *L);
int rb_predict_mget (lua_State *L);
int rb_predict_scard (lua_State *L);
int rb_predict_sismember (lua_State *L);
int rb_predict_smembers (lua_State *L);
int rb_predict_strlen (lua_State *L);
int rb_predict_ttl (lua_State *L);
int rb_predict_type (lua_State *L);
int rb_predict_zcard (lua_State *L);
int rb_predict_zrange (lua_State *L);
int rb_predict_zscore (lua_State *L);

#endif
