/*
** state.c - what a key holds: for people, for the guard, and to be put back
**
** Two looks: the type, expiry and size of every key, then the values of those
** that are not too large to keep. Sets and hashes are compared sorted, since
** equal ones may be stored (and dumped) differently; an expiry is compared as
** the time at which it ends, so that its counting down is no change.
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "stdlib/redis/redis.h"

enum {
  QUESTIONS = 4        /* of the first look, for each key */
};

/* how to read a type; absent types are known by their DUMP only */
typedef struct Type {
  const char *name;
  const char *read[4];
  const char *length;
  int width;           /* elements that belong together; 0: not a list */
  int sorted;          /* its order means nothing */
} Type;

static const Type types[] = {
  {"string", {"GET"}, "STRLEN", 0, 0},
  {"list", {"LRANGE", "0", "-1"}, "LLEN", 1, 0},
  {"set", {"SMEMBERS"}, "SCARD", 1, 1},
  {"hash", {"HGETALL"}, "HLEN", 2, 1},
  {"zset", {"ZRANGE", "0", "-1", "WITHSCORES"}, "ZCARD", 2, 0},
  {"stream", {NULL}, "XLEN", 0, 0},
  {NULL, {NULL}, NULL, 0, 0}
};

static int looked (lua_State *L, rb_RedisCall *c);

/* -- fields of the state at the top --------------------------------------- */

static void setinteger (lua_State *L, const char *field, lua_Integer n) {
  lua_pushinteger(L, n);
  lua_setfield(L, -2, field);
}

static void setflag (lua_State *L, const char *field) {
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, field);
}

int rb_redis_flag (lua_State *L, int state, const char *field) {
  lua_getfield(L, state, field);
  int b = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return b;
}

void rb_redis_setsince (lua_State *L) {
  if (lua_getfield(L, -1, "ttl") != LUA_TNIL) {
    lua_pushnumber(L, rb_waited(L));
    lua_setfield(L, -3, "since");
  }
  lua_pop(L, 1);
}

double rb_redis_aged (lua_State *L, int *over) {
  lua_getfield(L, -1, "ttl");
  lua_getfield(L, -2, "since");
  double ttl = lua_tonumber(L, -2), aged = rb_waited(L) - lua_tonumber(L, -1);
  int ends = !lua_isnil(L, -1);
  lua_pop(L, 2);
  *over = ends && aged > 0 && aged >= ttl - 1;
  return ends ? aged : 0;
}

/* the state keeps it alive */
const char *rb_redis_typeof (lua_State *L, int state) {
  lua_getfield(L, state, "type");
  const char *s = lua_tostring(L, -1);
  lua_pop(L, 1);
  return s != NULL ? s : "none";
}

static const Type *findtype (lua_State *L, int state) {
  const char *name = rb_redis_typeof(L, state);
  const Type *t = types;
  while (t->name != NULL && strcmp(t->name, name) != 0) t++;
  return t;
}

static int islarge (lua_State *L, int state) {
  return rb_redis_flag(L, state, "large");
}

/* nothing more to read: unknown, or there is no such key */
static int settled (lua_State *L, int state) {
  return rb_redis_flag(L, state, "settled");
}

/* -- sending -------------------------------------------------------------- */

/* "COMMAND key words..."; the key is at the top */
static void ask (lua_State *L, rb_RedisCall *c, const char *const *words, int n) {
  size_t len;
  const char *key = lua_tolstring(L, -1, &len);
  rb_redis_begin(L, c, n + 1);
  rb_redis_text(L, c, words[0]);
  rb_redis_word(L, c, key, len);
  for (int i = 1; i < n; i++) rb_redis_text(L, c, words[i]);
  rb_redis_end(L, c);
}

static void ask1 (lua_State *L, rb_RedisCall *c, const char *command) {
  ask(L, c, &command, 1);
}

static void askmemory (lua_State *L, rb_RedisCall *c) {
  size_t len;
  const char *key = lua_tolstring(L, -1, &len);
  rb_redis_begin(L, c, 3);
  rb_redis_text(L, c, "MEMORY");
  rb_redis_text(L, c, "USAGE");
  rb_redis_word(L, c, key, len);
  rb_redis_end(L, c);
}

/* -- the first look ------------------------------------------------------- */

lua_Integer rb_redis_clock (void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (lua_Integer)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static lua_Integer integerof (const redisReply *r) {
  return r->type == REDIS_REPLY_INTEGER ? r->integer : -1;
}

/* [-0, +1, m]  a state from the answers to the first look; 'kept': bytes of
** the values that are kept so far */
static void pushfirst (lua_State *L, redisReply *const *r, lua_Integer *kept) {
  lua_Integer left = integerof(r[1]), at = integerof(r[2]), size = integerof(r[3]);
  lua_newtable(L);
  if (r[0]->type == REDIS_REPLY_ERROR) {
    setflag(L, "unknown");
    setflag(L, "settled");
    lua_pushstring(L, r[0]->str);
    lua_setfield(L, -2, "why");
    return;
  }
  lua_pushlstring(L, r[0]->str, r[0]->len);
  lua_setfield(L, -2, "type");
  if (strcmp(r[0]->str, "none") == 0) {
    setflag(L, "settled");
    return;
  }
  if (left >= 0) setinteger(L, "ttl", (left + 500) / 1000);
  if (at >= 0) setinteger(L, "at", at);
  else if (left >= 0) {
    setinteger(L, "at", rb_redis_clock() + left);
    setflag(L, "about");
  }
  if (size >= 0) setinteger(L, "size", size);
  if (size > RB_REDISKEEP || *kept + size > RB_REDISKEEPALL) setflag(L, "large");
  else if (size > 0) *kept += size;
}

/* [-1, +1, m]  the planned value at the top as a state */
static void toplanned (lua_State *L) {
  if (!lua_istable(L, -1)) {  /* false: removed */
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushliteral(L, "none");
    lua_setfield(L, -2, "type");
    setflag(L, "settled");
    return;
  }
  static const char *const fields[] = {"type", "value", "ttl", "unknown", NULL};
  lua_newtable(L);
  for (const char *const *f = fields; *f != NULL; f++) {
    lua_getfield(L, -2, *f);
    lua_setfield(L, -2, *f);
  }
  int over;
  lua_pushvalue(L, -2);
  double aged = rb_redis_aged(L, &over);
  lua_pop(L, 1);
  if (aged > 0 && !over) {
    lua_getfield(L, -1, "ttl");
    lua_Integer left = (lua_Integer)(lua_tonumber(L, -1) - aged);
    lua_pop(L, 1);
    setinteger(L, "ttl", left);
  }
  if (over) setflag(L, "unknown");
  setflag(L, "settled");
  setflag(L, "planned");
  lua_remove(L, -2);
}

const char *rb_redis_planname (lua_State *L, const rb_Resource *r, int key) {
  size_t n;
  const char *s = lua_tolstring(L, key, &n);
  if (s == NULL || strlen(s) != n) {
    lua_pushnil(L);
    return NULL;
  }
  const char *where = rb_where(L, r);
  lua_pushfstring(L, "redis:%s:%s", where, s);
  lua_remove(L, -2);
  return lua_tostring(L, -1);
}

/* [-1, +0 or +1]  the key at the top: its state, if this dry run planned it */
static int planned (lua_State *L, rb_RedisCall *c) {
  int key = lua_gettop(L);
  const char *name = rb_redis_planname(L, c->resource, key);
  if (name == NULL || !rb_planned(L, name)) {
    lua_settop(L, key - 1);
    return 0;
  }
  lua_replace(L, key);
  lua_settop(L, key);
  toplanned(L);
  return 1;
}

static void askfirst (lua_State *L, rb_RedisCall *c) {
  ask1(L, c, "TYPE");
  ask1(L, c, "PTTL");
  ask1(L, c, "PEXPIRETIME");
  askmemory(L, c);
}

/* -- the second look ------------------------------------------------------ */

/* [-0, +0]  asks for the value of the state at index 'state'; key at the top */
static void asksecond (lua_State *L, rb_RedisCall *c, int state) {
  const Type *t = findtype(L, state);
  int words = 0;
  if (islarge(L, state)) {
    if (t->length != NULL) ask1(L, c, t->length);
    return;
  }
  while (words < 4 && t->read[words] != NULL) words++;
  if (words > 0) ask(L, c, t->read, words);
  if (c->dumps || words == 0) ask1(L, c, "DUMP");
}

/* [-0, +1, m]  bytes that are equal when the values are */
static void pushpacked (lua_State *L, const Type *t, const redisReply *r) {
  luaL_Buffer b;
  char head[32];
  if (t->width == 0) {
    lua_pushlstring(L, r->str, r->len);
    return;
  }
  if (t->sorted) rb_redis_sort(r, (size_t)t->width);
  luaL_buffinit(L, &b);
  for (size_t i = 0; i < r->elements; i++) {
    const redisReply *e = r->element[i];
    snprintf(head, sizeof head, "%zu:", e->len);
    luaL_addstring(&b, head);
    luaL_addlstring(&b, e->str, e->len);
  }
  luaL_pushresult(&b);
}

/* [-0, +1, m]  member -> score */
static void pushscores (lua_State *L, const redisReply *r) {
  lua_createtable(L, 0, (int)(r->elements / 2));
  for (size_t i = 0; i + 1 < r->elements; i += 2) {
    lua_pushlstring(L, r->element[i]->str, r->element[i]->len);
    lua_pushnumber(L, strtod(r->element[i + 1]->str, NULL));
    lua_rawset(L, -3);
  }
}

/* [-0, +1, m]  string, list, or table by field or member */
static void pushvalue (lua_State *L, const Type *t, const redisReply *r) {
  if (t->width == 0) lua_pushlstring(L, r->str, r->len);
  else if (t->width == 1) rb_redis_pushlist(L, r, t->sorted);
  else if (strcmp(t->name, "zset") == 0) pushscores(L, r);
  else rb_redis_pushmap(L, r);
}

/* Gone, or of another type by now, or not for our eyes. */
static int usable (const Type *t, const redisReply *r) {
  int list = r->type == REDIS_REPLY_ARRAY;
  return t->width > 0 ? list : r->str != NULL && r->type == REDIS_REPLY_STRING;
}

/* the answers from r on, to the second look at the state at the top; returns
** how many they were */
static int readsecond (lua_State *L, rb_RedisCall *c, redisReply *const *r) {
  const Type *t = findtype(L, lua_gettop(L));
  int n = 0;
  if (islarge(L, -1)) {
    if (t->length == NULL) return 0;
    setinteger(L, "items", integerof(r[0]));
    return 1;
  }
  if (t->read[0] != NULL) {
    if (usable(t, r[n])) {
      pushpacked(L, t, r[n]);
      lua_setfield(L, -2, "packed");
      pushvalue(L, t, r[n]);
      lua_setfield(L, -2, "value");
    } else setflag(L, "unknown");
    n++;
  }
  if (!c->dumps && n > 0) return n;
  if (r[n]->type == REDIS_REPLY_STRING) {
    lua_pushlstring(L, r[n]->str, r[n]->len);
    if (n == 0) {
      lua_pushvalue(L, -1);
      lua_setfield(L, -3, "packed");
    }
    lua_setfield(L, -2, "dump");
  } else if (n == 0) setflag(L, "unknown");
  return n + 1;
}

/* -- looking -------------------------------------------------------------- */

static int second (lua_State *L, int status, lua_KContext ctx) {
  rb_RedisCall *c = (rb_RedisCall *)ctx;
  int next = 0;
  (void)status;
  for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, c->states); i++) {
    lua_rawgeti(L, c->states, i);
    if (!settled(L, -1)) next += readsecond(L, c, c->reply + next);
    lua_pop(L, 1);
  }
  rb_redis_clear(c);
  return looked(L, c);
}

static int first (lua_State *L, int status, lua_KContext ctx) {
  rb_RedisCall *c = (rb_RedisCall *)ctx;
  lua_Integer n = (lua_Integer)lua_rawlen(L, c->keys), kept = 0;
  int next = 0;
  (void)status;
  for (lua_Integer i = 1; i <= n; i++) {
    if (lua_rawgeti(L, c->states, i) != LUA_TTABLE) {
      pushfirst(L, c->reply + next, &kept);
      lua_rawseti(L, c->states, i);
      next += QUESTIONS;
    }
    lua_pop(L, 1);
  }
  rb_redis_clear(c);
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti(L, c->states, i);
    lua_rawgeti(L, c->keys, i);
    if (!settled(L, -2)) asksecond(L, c, lua_gettop(L) - 1);
    lua_pop(L, 2);
  }
  if (c->want == 0) return looked(L, c);
  return rb_redis_await(L, c, second);
}

static int looked (lua_State *L, rb_RedisCall *c) {
  lua_settop(L, c->states);
  return c->then(L, LUA_OK, (lua_KContext)c);
}

int rb_redis_look (lua_State *L, rb_RedisCall *c, lua_KFunction k) {
  lua_Integer n = (lua_Integer)lua_rawlen(L, c->keys);
  c->then = k;
  rb_redis_clear(c);
  lua_createtable(L, (int)n, 0);
  c->states = lua_gettop(L);
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti(L, c->keys, i);
    if (planned(L, c)) {
      lua_rawseti(L, c->states, i);
    } else {
      lua_pushboolean(L, 0);
      lua_rawseti(L, c->states, i);
      lua_rawgeti(L, c->keys, i);
      askfirst(L, c);
      lua_pop(L, 1);
    }
  }
  if (c->want == 0) return looked(L, c);
  return rb_redis_await(L, c, first);
}
