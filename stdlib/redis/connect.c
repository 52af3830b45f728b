/*
** connect.c - from an address to a connection that may be used
**
** Names are resolved off the loop's thread and the addresses tried in turn.
** A connection counts as up when the server let us in and selected our
** database: nothing of anybody's is sent before.
*/

#include <stdio.h>
#include <string.h>

#include "stdlib/redis/redis.h"

#define NAME "runbook"  /* in CLIENT LIST */

static int attempt (lua_State *L, rb_RedisCall *c);

const char *rb_redis_user (const rb_RedisCall *c) {
  const char *user = c->pool->address[c->role].user;
  return user != NULL ? user : "default";
}

/* [-0, +0, v] */
static int unreachable (lua_State *L, rb_RedisCall *c) {
  const rb_RedisAddress *a = &c->pool->address[c->role];
  char where[300];
  if (a->host == NULL) snprintf(where, sizeof where, "%s", a->path);
  else snprintf(where, sizeof where, "%s:%d", a->host, a->port);
  return rb_fail(L, "io", RB_NOTDONE, "%s: cannot connect to %s: %s; check that "
                 "the server runs, and the host and port of its URL",
                 c->resource->name, where, c->pool->why);
}

/* [-0, +0, v]  the server's answer to AUTH, SELECT or CLIENT SETNAME */
static void checkanswer (lua_State *L, rb_RedisCall *c, const char *asked,
                         const redisReply *r) {
  static const char *const entry[] = {
    "NOAUTH", "WRONGPASS", "ERR invalid password", "ERR Client sent AUTH",
    "ERR AUTH", NULL
  };
  int named = strcmp(asked, "SETNAME") == 0;
  if (r->type != REDIS_REPLY_ERROR) return;
  for (const char *const *e = entry; *e != NULL; e++)
    if (rb_redis_iserror(r, *e))
      rb_fail(L, "auth", RB_NOTDONE, "%s: the server does not let user '%s' in: "
              "%s (check user and password of its URL)", c->resource->name,
              rb_redis_user(c), r->str);
  if (named && (rb_redis_iserror(r, "NOPERM")
                || rb_redis_iserror(r, "ERR unknown command"))) return;
  rb_redis_fail(L, c, r);
}

/* the answers, as far as they came, in the order of shakehands */
static void checkanswers (lua_State *L, rb_RedisCall *c) {
  const rb_RedisAddress *a = &c->pool->address[c->role];
  const char *asked[3];
  int n = 0;
  if (a->user != NULL || a->password != NULL) asked[n++] = "AUTH";
  if (a->db != 0) asked[n++] = "SELECT";
  asked[n++] = "SETNAME";
  for (int i = 0; i < n && i < c->got; i++)
    checkanswer(L, c, asked[i], c->reply[i]);
}

/* lost, or all of the handshake is answered */
static int shaken (lua_State *L, int status, lua_KContext ctx) {
  rb_RedisCall *c = (rb_RedisCall *)ctx;
  rb_RedisPool *p = c->pool;
  (void)status;
  c->opening = 0;
  if (c->lost != NULL && c->got == 0) return attempt(L, c);
  checkanswers(L, c);
  if (c->lost != NULL) return unreachable(L, c);
  rb_redis_clear(c);
  c->conn->up = 1;
  if (p->lost) rb_remade(L, p->why);
  p->lost = 0;
  if (c->role == RB_REDISPROBE) {
    p->shared = c->conn;
    p->opener = NULL;
    rb_redis_wake(p, RB_REDISPROBE);
  }
  lua_settop(L, c->addresses - 1);
  return c->connected(L, LUA_OK, ctx);
}

static void shakehands (lua_State *L, rb_RedisCall *c) {
  const rb_RedisAddress *a = &c->pool->address[c->role];
  char db[16];
  if (a->user != NULL || a->password != NULL) {
    rb_redis_begin(L, c, a->user != NULL ? 3 : 2);
    rb_redis_text(L, c, "AUTH");
    if (a->user != NULL) rb_redis_text(L, c, a->user);
    rb_redis_text(L, c, a->password != NULL ? a->password : "");
    rb_redis_end(L, c);
  }
  if (a->db != 0) {
    snprintf(db, sizeof db, "%d", a->db);
    rb_redis_begin(L, c, 2);
    rb_redis_text(L, c, "SELECT");
    rb_redis_text(L, c, db);
    rb_redis_end(L, c);
  }
  rb_redis_begin(L, c, 3);
  rb_redis_text(L, c, "CLIENT");
  rb_redis_text(L, c, "SETNAME");
  rb_redis_text(L, c, NAME);
  rb_redis_end(L, c);
}

static void letgo (rb_RedisCall *c) {
  rb_redis_clear(c);
  if (c->conn != NULL) c->conn->users--;
  c->conn = NULL;
  c->lost = NULL;
}

/* the next address of the list at c->addresses */
static int attempt (lua_State *L, rb_RedisCall *c) {
  if (c->lost != NULL && strcmp(c->lost, "auth") == 0)
    return rb_fail(L, "auth", RB_NOTDONE, "%s: %s", c->resource->name, c->pool->why);
  for (;;) {
    letgo(c);
    rb_redis_sweep(c->pool, 0);
    lua_settop(L, c->addresses);
    lua_rawgeti(L, c->addresses, ++c->at);
    const char *host = lua_tostring(L, -1);
    if (host == NULL) return unreachable(L, c);
    c->conn = rb_redis_dial(L, c->pool, c->role, host);
    if (c->conn == NULL) return luaL_error(L, "not enough memory");
    c->conn->users++;
    if (c->conn->ctx == NULL) continue;
    c->opening = 1;
    shakehands(L, c);
    return rb_redis_await(L, c, shaken);
  }
}

/* on the top: the list of addresses */
static int resolved (lua_State *L, int status, lua_KContext ctx) {
  rb_RedisCall *c = (rb_RedisCall *)ctx;
  (void)status;
  c->addresses = lua_gettop(L);
  c->at = 0;
  return attempt(L, c);
}

int rb_redis_connect (lua_State *L, rb_RedisCall *c, lua_KFunction k) {
  const rb_RedisAddress *a = &c->pool->address[c->role];
  c->connected = k;
  if (c->role == RB_REDISPROBE) c->pool->opener = c;
  if (a->host != NULL)
    return rb_resolve(L, a->host, (lua_KContext)c, resolved);
  lua_createtable(L, 1, 0);
  lua_pushstring(L, a->path);
  lua_rawseti(L, -2, 1);
  return resolved(L, LUA_OK, (lua_KContext)c);
}
