/*
** after.c - what a command makes of what is there, without asking the server
**
** For the commands that remedies are made of; a form of one that is not
** understood here is "unknown", never guessed. Words stand at 2..n of the
** stack (2 is the command's name), states in the list at c->states. What is
** there is never changed: a dry run may look at it again.
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "stdlib/redis/after.h"

#define LONGEST 1000000000000  /* no sum of ours overflows */

/* -- strings -------------------------------------------------------------- */

typedef struct SetOptions { int nx, xx, keepttl; lua_Integer ms; } SetOptions;

static int word (lua_State *L, int idx, const char *s) {
  return strcasecmp(lua_tostring(L, idx), s) == 0;
}

static int readnumber (lua_State *L, int idx, lua_Integer *n) {
  int ok;
  *n = lua_tointegerx(L, idx, &ok);
  return ok;
}

/* 0 when there is one that is not known here */
static int setoptions (lua_State *L, rb_RedisCall *c, SetOptions *o) {
  *o = (SetOptions){0};
  for (int i = 5; i <= c->n; i++) {
    if (word(L, i, "NX")) o->nx = 1;
    else if (word(L, i, "XX")) o->xx = 1;
    else if (word(L, i, "KEEPTTL")) o->keepttl = 1;
    else if (i < c->n && (word(L, i, "EX") || word(L, i, "PX"))) {
      if (!readnumber(L, i + 1, &o->ms) || o->ms < 1 || o->ms > LONGEST) return 0;
      if (word(L, i, "EX")) o->ms *= 1000;
      i++;
    } else return 0;
  }
  return 1;
}

/* [-0, +2]  SET says OK, or nothing */
static rb_RedisForesight setalready (lua_State *L, rb_RedisCall *c,
                                     const char *why, int done) {
  rb_after_already(L, c, why, 0);
  lua_pop(L, 1);
  if (done) lua_pushliteral(L, "OK");
  else lua_pushnil(L);
  return RB_REDISALREADY;
}

static rb_RedisForesight set (lua_State *L, rb_RedisCall *c) {
  SetOptions o;
  int s = rb_after_state(L, c, 1);
  if (c->n < 4 || !setoptions(L, c, &o)) return RB_REDISUNKNOWN;
  c->blind = !o.nx && !o.xx && !o.keepttl;
  if (rb_after_unknown(L, s) && (o.nx || o.xx || o.keepttl)) return RB_REDISUNKNOWN;
  if (o.nx && !rb_after_absent(L, s)) return setalready(L, c, "the key is there (nx)", 0);
  if (o.xx && rb_after_absent(L, s)) return setalready(L, c, "there is no such key (xx)", 0);
  lua_getfield(L, s, "value");
  int same = lua_rawequal(L, -1, 4) && o.ms == 0;
  if (same && (o.keepttl || !rb_after_has(L, s, "ttl")))
    return setalready(L, c, "it has that value", 1);
  lua_pushvalue(L, 4);
  rb_after_tostate(L, "string");
  if (o.keepttl) rb_after_keepttl(L, s);
  if (o.ms > 0) {
    lua_pushinteger(L, (o.ms + 500) / 1000);
    lua_setfield(L, -2, "ttl");
  }
  rb_after_one(L, 0);
  lua_pop(L, 1);
  lua_pushliteral(L, "OK");
  return RB_REDISEXACT;
}

/* the number in the state's string; 0 where there is none yet */
static lua_Integer numberof (lua_State *L, rb_RedisCall *c, int s) {
  char *end = NULL, again[32];
  if (rb_after_absent(L, s)) return 0;
  lua_getfield(L, s, "value");
  const char *text = lua_tostring(L, -1);
  lua_Integer n = strtoll(text, &end, 10);
  snprintf(again, sizeof again, "%lld", n);
  if (strcmp(again, text) != 0)
    rb_refuse(L, "%s: %s holds \"%.40s\", which is not an integer",
              c->resource->name, lua_tostring(L, 3), text);
  lua_pop(L, 1);
  return n;
}

static rb_RedisForesight count (lua_State *L, rb_RedisCall *c) {
  lua_Integer by = 1, sum;
  int s = rb_after_state(L, c, 1), down = word(L, 2, "DECR") || word(L, 2, "DECRBY");
  int given = word(L, 2, "INCRBY") || word(L, 2, "DECRBY");
  if (c->n != 3 + given || (given && !readnumber(L, 4, &by))) return RB_REDISUNKNOWN;
  if (!rb_after_readable(L, c, s, "string")) return RB_REDISUNKNOWN;
  lua_Integer now = numberof(L, c, s);
  if (down ? __builtin_sub_overflow(now, by, &sum)
           : __builtin_add_overflow(now, by, &sum))
    rb_refuse(L, "%s: %s would overflow", c->resource->name, lua_tostring(L, 3));
  lua_pushinteger(L, sum);
  lua_tostring(L, -1);
  rb_after_tostate(L, "string");
  rb_after_keepttl(L, s);
  return rb_after_one(L, sum);
}

static rb_RedisForesight append (lua_State *L, rb_RedisCall *c) {
  int s = rb_after_state(L, c, 1);
  if (c->n != 4 || !rb_after_readable(L, c, s, "string")) return RB_REDISUNKNOWN;
  if (lua_getfield(L, s, "value") == LUA_TNIL) {
    lua_pop(L, 1);
    lua_pushliteral(L, "");
  }
  lua_pushvalue(L, 4);
  lua_concat(L, 2);
  lua_Integer len = (lua_Integer)lua_rawlen(L, -1);
  rb_after_tostate(L, "string");
  rb_after_keepttl(L, s);
  return rb_after_one(L, len);
}

/* -- keys ----------------------------------------------------------------- */

static rb_RedisForesight del (lua_State *L, rb_RedisCall *c) {
  lua_Integer n = (lua_Integer)lua_rawlen(L, c->states), there = 0;
  c->blind = 1;
  lua_createtable(L, (int)n, 0);
  for (lua_Integer i = 1; i <= n; i++) {
    int s = rb_after_state(L, c, i);
    if (rb_after_unknown(L, s)) return RB_REDISUNKNOWN;
    there += !rb_after_absent(L, s);
    rb_after_pushnone(L);
    lua_rawseti(L, s - 1, i);
    lua_pop(L, 1);
  }
  if (there == 0) return rb_after_already(L, c, n == 1 ? "there is no such key"
                                 : "there are no such keys", 0);
  lua_pushinteger(L, there);
  return RB_REDISEXACT;
}

static rb_RedisForesight expire (lua_State *L, rb_RedisCall *c) {
  lua_Integer n;
  int s = rb_after_state(L, c, 1);
  if (c->n != 4 || !readnumber(L, 4, &n) || rb_after_unknown(L, s)) return RB_REDISUNKNOWN;
  if (rb_after_absent(L, s)) return rb_after_already(L, c, "there is no such key", 0);
  if (n <= 0) rb_after_pushnone(L);
  else {
    rb_after_pushcopy(L, s);
    lua_pushinteger(L, word(L, 2, "PEXPIRE") ? (n + 500) / 1000 : n);
    lua_setfield(L, -2, "ttl");
  }
  return rb_after_one(L, 1);
}

static rb_RedisForesight persist (lua_State *L, rb_RedisCall *c) {
  int s = rb_after_state(L, c, 1);
  if (c->n != 3 || rb_after_unknown(L, s)) return RB_REDISUNKNOWN;
  if (rb_after_absent(L, s)) return rb_after_already(L, c, "there is no such key", 0);
  if (!rb_after_has(L, s, "ttl")) return rb_after_already(L, c, "it has no expiry", 0);
  rb_after_pushcopy(L, s);
  lua_pushnil(L);
  lua_setfield(L, -2, "ttl");
  return rb_after_one(L, 1);
}

static rb_RedisForesight rename_ (lua_State *L, rb_RedisCall *c) {
  if (c->n != 4) return RB_REDISUNKNOWN;
  int from = rb_after_state(L, c, 1), to = rb_after_state(L, c, 2);
  if (rb_after_unknown(L, from) || rb_after_unknown(L, to)) return RB_REDISUNKNOWN;
  if (rb_after_absent(L, from))
    rb_refuse(L, "%s: there is no key %s", c->resource->name, lua_tostring(L, 3));
  if (lua_rawequal(L, 3, 4)) return setalready(L, c, "it has that name", 1);
  lua_createtable(L, 2, 0);
  rb_after_pushnone(L);
  lua_rawseti(L, -2, 1);
  rb_after_pushcopy(L, from);
  lua_rawseti(L, -2, 2);
  lua_pushliteral(L, "OK");
  return RB_REDISEXACT;
}

/* -- the table ------------------------------------------------------------ */

static const rb_RedisVerb verbs[] = {
  {"APPEND", 3, 3, append},
  {"DECR", 3, 3, count}, {"DECRBY", 3, 3, count},
  {"DEL", 3, -1, del},
  {"EXPIRE", 3, 3, expire},
  {"HDEL", 3, 3, rb_after_take}, {"HSET", 3, 3, rb_after_hset},
  {"INCR", 3, 3, count}, {"INCRBY", 3, 3, count},
  {"LPUSH", 3, 3, rb_after_push}, {"LREM", 3, 3, rb_after_lrem},
  {"PERSIST", 3, 3, persist},
  {"PEXPIRE", 3, 3, expire},
  {"RENAME", 3, 4, rename_},
  {"RPUSH", 3, 3, rb_after_push},
  {"SADD", 3, 3, rb_after_sadd},
  {"SET", 3, 3, set},
  {"SREM", 3, 3, rb_after_take},
  {"UNLINK", 3, -1, del},
  {"ZADD", 3, 3, rb_after_zadd}, {"ZREM", 3, 3, rb_after_take}
};

const rb_RedisVerb *rb_redis_verb (lua_State *L) {
  const char *name = lua_tostring(L, 2);
  for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
    if (strcasecmp(verbs[i].command, name) == 0) return &verbs[i];
  return NULL;
}
