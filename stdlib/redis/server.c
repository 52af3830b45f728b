/*
** server.c - remedies on the server as a whole: how much a FLUSHDB removes,
** what a CONFIG SET replaces
*/

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "stdlib/redis/server.h"

/* word 2, or words 2 and 3, of the command */
static int is (lua_State *L, const char *first, const char *second) {
  if (strcasecmp(lua_tostring(L, 2), first) != 0) return 0;
  return second == NULL
         || (lua_type(L, 3) == LUA_TSTRING && strcasecmp(lua_tostring(L, 3), second) == 0);
}

int rb_redis_outward (lua_State *L) {
  return is(L, "PUBLISH", NULL) || is(L, "SPUBLISH", NULL) || is(L, "MIGRATE", NULL);
}

static void ask (lua_State *L, rb_RedisCall *c, const char *a, const char *b) {
  rb_redis_begin(L, c, b != NULL ? 2 : 1);
  rb_redis_text(L, c, a);
  if (b != NULL) rb_redis_text(L, c, b);
  rb_redis_end(L, c);
}

int rb_redis_inquire (lua_State *L, rb_RedisCall *c) {
  rb_redis_clear(c);
  if (is(L, "FLUSHDB", NULL)) ask(L, c, "DBSIZE", NULL);
  else if (is(L, "FLUSHALL", NULL)) ask(L, c, "INFO", "keyspace");
  else if (is(L, "CONFIG", "SET")) {
    for (int i = 4; i < c->n; i += 2) {
      rb_redis_begin(L, c, 3);
      rb_redis_text(L, c, "CONFIG");
      rb_redis_text(L, c, "GET");
      rb_redis_text(L, c, lua_tostring(L, i));
      rb_redis_end(L, c);
    }
  }
  return c->want > 0;
}

/* the sum over all databases in "db0:keys=5,expires=0\r\ndb1:..." */
static lua_Integer countkeys (const redisReply *r) {
  lua_Integer n = 0;
  if (r->type == REDIS_REPLY_INTEGER) return r->integer;
  for (const char *s = r->str; s != NULL && (s = strstr(s, "keys=")) != NULL; s += 5)
    n += strtoll(s + 5, NULL, 10);
  return n;
}

static void tellflush (lua_State *L, const redisReply *r) {
  lua_Integer n = countkeys(r);
  lua_pushfstring(L, "%s removes %I keys", lua_tostring(L, 2), (LUAI_UACINT)n);
  lua_setfield(L, -2, "summary");
  lua_createtable(L, 0, 1);
  lua_pushinteger(L, n);
  lua_setfield(L, -2, "redis_keys");
  lua_setfield(L, -2, "counts");
}

/* [-0, +1]  {value = {name = value}, type = "settings"} */
static void pushsettings (lua_State *L) {
  lua_createtable(L, 0, 2);
  lua_pushliteral(L, "settings");
  lua_setfield(L, -2, "type");
  lua_newtable(L);
}

/* before, after, and the CONFIG SET that puts it back */
static void tellconfig (lua_State *L, const rb_RedisCall *c) {
  int plan = lua_gettop(L), all = 1;
  pushsettings(L);                                    /* before, its value */
  pushsettings(L);                                    /* after, its value */
  lua_createtable(L, c->n, 0);                        /* inverse */
  static const char *const words[] = {"command", "CONFIG", "SET"};
  for (int i = 0; i < 3; i++) {
    lua_pushstring(L, words[i]);
    lua_rawseti(L, -2, i + 1);
  }
  for (int i = 4, n = 0; i < c->n; i += 2, n++) {
    const redisReply *r = c->reply[n];
    int known = r->type == REDIS_REPLY_ARRAY && r->elements == 2;
    rb_redis_hidesettings(L, r);
    all = all && known;
    lua_pushvalue(L, i + 1);
    lua_setfield(L, plan + 4, lua_tostring(L, i));
    if (!known) continue;
    lua_pushlstring(L, r->element[1]->str, r->element[1]->len);
    lua_pushvalue(L, -1);
    lua_setfield(L, plan + 2, lua_tostring(L, i));
    lua_rawseti(L, plan + 5, i + 1);
    lua_pushvalue(L, i);
    lua_rawseti(L, plan + 5, i);
  }
  if (all) {
    lua_setfield(L, plan, "inverse");
    lua_pushnil(L);
    lua_setfield(L, plan, "undo");
    lua_pushnil(L);
    lua_setfield(L, plan, "reason");
  } else lua_pop(L, 1);
  lua_setfield(L, plan + 3, "value");
  lua_setfield(L, plan, "after");
  lua_setfield(L, plan + 1, "value");
  lua_setfield(L, plan, "before");
}

void rb_redis_tell (lua_State *L, rb_RedisCall *c) {
  if (is(L, "CONFIG", NULL)) tellconfig(L, c);
  else tellflush(L, c->reply[0]);
}
