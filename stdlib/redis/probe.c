/*
** probe.c - the commands that look, under names and with results that a script
** can use without knowing Redis's codes
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "stdlib/redis/probe.h"

enum { SCANLIMIT = 10000, SCANCOUNT = 1000 };

/* -- asking --------------------------------------------------------------- */

static int connected (lua_State *L, int status, lua_KContext ctx) {
  rb_RedisCall *c = (rb_RedisCall *)ctx;
  (void)status;
  rb_redis_words(L, c, 2, c->n - 1);
  return rb_redis_await(L, c, c->then);
}

/* the command whose words stand at 2..top */
static int send (lua_State *L, lua_KFunction k) {
  int n = lua_gettop(L);
  rb_RedisCall *c = rb_redis_open(L, RB_REDISPROBE);
  c->n = n;
  c->then = k;
  return rb_redis_lease(L, c, connected);
}

static int ask (lua_State *L, const char *command, lua_KFunction k) {
  rb_redis_args(L, command);
  return send(L, k);
}

static const redisReply *answer (lua_State *L, lua_KContext ctx) {
  return rb_redis_check(L, (rb_RedisCall *)ctx, 0);
}

/* -- answers -------------------------------------------------------------- */

static int plain (lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  rb_redis_push(L, (rb_RedisCall *)ctx, answer(L, ctx));
  return 1;
}

static int boolean (lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  lua_pushboolean(L, answer(L, ctx)->integer != 0);
  return 1;
}

static int map (lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  rb_redis_pushmap(L, answer(L, ctx));
  return 1;
}

static int sorted (lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  rb_redis_pushlist(L, answer(L, ctx), 1);
  return 1;
}

/* nil: no such key; false: it has no expiry */
static int seconds (lua_State *L, int status, lua_KContext ctx) {
  long long n = answer(L, ctx)->integer;
  (void)status;
  if (n == -2) lua_pushnil(L);
  else if (n == -1) lua_pushboolean(L, 0);
  else lua_pushinteger(L, n);
  return 1;
}

static int score (lua_State *L, int status, lua_KContext ctx) {
  const redisReply *r = answer(L, ctx);
  (void)status;
  if (r->str == NULL) lua_pushnil(L);
  else lua_pushnumber(L, strtod(r->str, NULL));
  return 1;
}

/* key -> value; the keys are the words from 3 on */
static int values (lua_State *L, int status, lua_KContext ctx) {
  const rb_RedisCall *c = (const rb_RedisCall *)ctx;
  const redisReply *r = answer(L, ctx);
  (void)status;
  lua_createtable(L, 0, (int)r->elements);
  for (int i = 0; i < (int)r->elements && i + 3 <= c->n; i++) {
    if (r->element[i]->str == NULL) continue;
    lua_pushvalue(L, i + 3);
    lua_pushlstring(L, r->element[i]->str, r->element[i]->len);
    lua_rawset(L, -3);
  }
  return 1;
}

static int scores (lua_State *L, int status, lua_KContext ctx) {
  const redisReply *r = answer(L, ctx);
  (void)status;
  lua_createtable(L, (int)(r->elements / 2), 0);
  for (size_t i = 0; i + 1 < r->elements; i += 2) {
    lua_createtable(L, 0, 2);
    lua_pushlstring(L, r->element[i]->str, r->element[i]->len);
    lua_setfield(L, -2, "member");
    lua_pushnumber(L, strtod(r->element[i + 1]->str, NULL));
    lua_setfield(L, -2, "score");
    lua_rawseti(L, -2, (lua_Integer)(i / 2) + 1);
  }
  return 1;
}

/* -- one command each ----------------------------------------------------- */

int rb_redis_get (lua_State *L) { return ask(L, "GET", plain); }
int rb_redis_mget (lua_State *L) { return ask(L, "MGET", values); }
int rb_redis_exists (lua_State *L) { return ask(L, "EXISTS", boolean); }
int rb_redis_ttl (lua_State *L) { return ask(L, "TTL", seconds); }
int rb_redis_type (lua_State *L) { return ask(L, "TYPE", plain); }
int rb_redis_strlen (lua_State *L) { return ask(L, "STRLEN", plain); }
int rb_redis_llen (lua_State *L) { return ask(L, "LLEN", plain); }
int rb_redis_hget (lua_State *L) { return ask(L, "HGET", plain); }
int rb_redis_hlen (lua_State *L) { return ask(L, "HLEN", plain); }
int rb_redis_hgetall (lua_State *L) { return ask(L, "HGETALL", map); }
int rb_redis_smembers (lua_State *L) { return ask(L, "SMEMBERS", sorted); }
int rb_redis_sismember (lua_State *L) { return ask(L, "SISMEMBER", boolean); }
int rb_redis_scard (lua_State *L) { return ask(L, "SCARD", plain); }
int rb_redis_zcard (lua_State *L) { return ask(L, "ZCARD", plain); }
int rb_redis_zscore (lua_State *L) { return ask(L, "ZSCORE", score); }

int rb_redis_ping (lua_State *L) {
  lua_settop(L, 1);
  lua_pushliteral(L, "PING");
  return send(L, plain);
}

int rb_redis_dbsize (lua_State *L) {
  lua_settop(L, 1);
  lua_pushliteral(L, "DBSIZE");
  return send(L, plain);
}

int rb_redis_keys (lua_State *L) {
  return rb_fail(L, "refused", RB_NOTDONE, "%s: keys is refused: it walks the "
                 "whole database at once: use scan(pattern)", rb_resource(L)->name);
}

/* from the first to the last when no range is given */
static void defaultrange (lua_State *L) {
  if (lua_isnoneornil(L, 3)) {
    lua_settop(L, 2);
    lua_pushinteger(L, 0);
  }
  if (lua_isnoneornil(L, 4)) {
    lua_settop(L, 3);
    lua_pushinteger(L, -1);
  }
}

int rb_redis_lrange (lua_State *L) {
  defaultrange(L);
  return ask(L, "LRANGE", plain);
}

int rb_redis_zrange (lua_State *L) {
  int withscores = 0;
  if (lua_istable(L, lua_gettop(L))) {
    lua_getfield(L, -1, "scores");
    withscores = lua_toboolean(L, -1);
    lua_pop(L, 2);
  }
  defaultrange(L);
  if (withscores) lua_pushliteral(L, "WITHSCORES");
  return ask(L, "ZRANGE", withscores ? scores : plain);
}

/* -- command() ------------------------------------------------------------ */

static int raw (lua_State *L, int status, lua_KContext ctx) {
  const redisReply *r = answer(L, ctx);
  (void)status;
  if (strcasecmp(lua_tostring(L, 2), "config") == 0)
    rb_redis_hidesettings(L, r);
  rb_redis_push(L, (rb_RedisCall *)ctx, r);
  return 1;
}

/* The gate has decided by the arguments as they came; here they are words, and
** what is not known to look is not sent from a probe. */
int rb_redis_command (lua_State *L) {
  rb_redis_args(L, NULL);
  if (rb_maychange(L)) return rb_redis_deed(L);
  if (rb_redis_classify(L) != RB_PROBE)
    return rb_fail(L, "refused", RB_NOTDONE, "%s: %s is not known to change "
                   "nothing", rb_resource(L)->name, lua_tostring(L, 2));
  return send(L, raw);
}

/* -- scan ----------------------------------------------------------------- */

enum { PATTERN = 2, LIMIT, KIND, SCAN, FOUND, CURSOR };  /* on the stack */

static int scanned (lua_State *L, int status, lua_KContext ctx);

static int scan (lua_State *L, rb_RedisCall *c) {
  char count[16];
  snprintf(count, sizeof count, "%d", SCANCOUNT);
  rb_timeout(L, RB_REDISPATIENCE);
  int typed = !lua_isnil(L, KIND);
  rb_redis_begin(L, c, typed ? 8 : 6);
  rb_redis_text(L, c, "SCAN");
  rb_redis_text(L, c, lua_tostring(L, CURSOR));
  rb_redis_text(L, c, "MATCH");
  size_t n;
  const char *pattern = lua_tolstring(L, PATTERN, &n);
  rb_redis_word(L, c, pattern, n);
  rb_redis_text(L, c, "COUNT");
  rb_redis_text(L, c, count);
  if (typed) {
    rb_redis_text(L, c, "TYPE");
    rb_redis_text(L, c, lua_tostring(L, KIND));
  }
  rb_redis_end(L, c);
  return rb_redis_await(L, c, scanned);
}

/* takes in what was found (a key may come twice); returns 1 when that is enough */
static int takein (lua_State *L, rb_RedisCall *c, const redisReply *keys) {
  lua_Integer limit = lua_tointeger(L, LIMIT);
  for (size_t i = 0; i < keys->elements; i++) {
    lua_pushlstring(L, keys->element[i]->str, keys->element[i]->len);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, FOUND) == LUA_TNIL && c->at++ == limit) {
      if (c->guarded) return 1;
      rb_fail(L, "limit", RB_NOTDONE, "%s: more than %d keys match %s: narrow the "
              "pattern, or say how many you want with { limit = n }",
              c->resource->name, SCANLIMIT, lua_tostring(L, PATTERN));
    }
    lua_pop(L, 1);
    lua_pushboolean(L, 1);
    lua_rawset(L, FOUND);
  }
  return 0;
}

static int scanned (lua_State *L, int status, lua_KContext ctx) {
  rb_RedisCall *c = (rb_RedisCall *)ctx;
  const redisReply *r = answer(L, ctx);
  (void)status;
  if (r->type != REDIS_REPLY_ARRAY || r->elements != 2)
    return rb_fail(L, "data", RB_NOTDONE, "%s: SCAN answered with something else",
                   c->resource->name);
  int enough = takein(L, c, r->element[1]);
  lua_settop(L, CURSOR);
  lua_pushstring(L, r->element[0]->str);
  lua_replace(L, CURSOR);
  int over = strcmp(r->element[0]->str, "0") == 0;
  rb_redis_clear(c);
  if (!over && !enough) return scan(L, c);
  rb_redis_pushsorted(L, FOUND);
  return 1;
}

static int scanning (lua_State *L, int status, lua_KContext ctx) {
  rb_RedisCall *c = (rb_RedisCall *)ctx;
  (void)status;
  c->at = 0;
  lua_newtable(L);
  lua_pushliteral(L, "0");
  return scan(L, c);
}

/* self, pattern, options -> self, pattern, limit, type; 1 when a limit was given */
static int scanoptions (lua_State *L) {
  lua_settop(L, 3);
  if (lua_type(L, 2) != LUA_TSTRING)
    luaL_error(L, "redis scan: a pattern such as \"cache:*\" expected, got %s",
               luaL_typename(L, 2));
  if (lua_isnil(L, 3)) {
    lua_newtable(L);
    lua_replace(L, 3);
  }
  if (!lua_istable(L, 3))
    luaL_error(L, "redis scan: a table of options expected, got %s",
               luaL_typename(L, 3));
  int given = lua_getfield(L, 3, "limit") != LUA_TNIL;
  if (given && (!lua_isinteger(L, -1) || lua_tointeger(L, -1) < 1))
    luaL_error(L, "redis scan: limit is a positive integer");
  lua_getfield(L, 3, "type");
  lua_remove(L, 3);
  if (given) return 1;
  lua_pushinteger(L, SCANLIMIT);
  lua_replace(L, LIMIT);
  return 0;
}

int rb_redis_scan (lua_State *L) {
  int given = scanoptions(L);
  rb_RedisCall *c = rb_redis_open(L, RB_REDISPROBE);
  c->guarded = given;  /* the limit is a wish, not a guard against too many */
  return rb_redis_lease(L, c, scanning);
}

/* -- info ----------------------------------------------------------------- */

/* [-0, +1, m]  a value of INFO: numbers as numbers, "keys=1,expires=0" as a table */
static void pushinfo (lua_State *L, const char *s, size_t n) {
  lua_pushlstring(L, s, n);
  s = lua_tostring(L, -1);
  int padded = s[0] == '0' && n > 1 && s[1] != '.';  /* "00000000" is a name */
  if (n < 19 && !padded && strspn(s, "-0123456789.") == n
      && lua_stringtonumber(L, s) != 0) {
    lua_remove(L, -2);
    return;
  }
  const char *equals = strchr(s, '=');
  if (equals == NULL || *s == '=' || *s == '/' || memchr(s, ' ', n) != NULL)
    return;
  lua_newtable(L);
  while (*s != '\0') {
    size_t name = strcspn(s, "=,");
    size_t all = strcspn(s, ",");
    if (name < all) {
      lua_pushlstring(L, s, name);
      pushinfo(L, s + name + 1, all - name - 1);
      lua_rawset(L, -3);
    }
    s += all + (s[all] == ',');
  }
  lua_remove(L, -2);
}

static int infotable (lua_State *L, int status, lua_KContext ctx) {
  const redisReply *r = answer(L, ctx);
  (void)status;
  lua_newtable(L);
  for (const char *s = r->str; s != NULL && *s != '\0'; ) {
    size_t n = strcspn(s, "\r\n"), name = strcspn(s, ":\r\n");
    if (*s != '#' && name > 0 && name < n) {
      lua_pushlstring(L, s, name);
      pushinfo(L, s + name + 1, n - name - 1);
      lua_rawset(L, -3);
    }
    s += n;
    s += strspn(s, "\r\n");
  }
  return 1;
}

int rb_redis_info (lua_State *L) {
  if (lua_isnoneornil(L, 2)) {
    lua_settop(L, 1);
    lua_pushliteral(L, "INFO");
    return send(L, infotable);
  }
  return ask(L, "INFO", infotable);
}
