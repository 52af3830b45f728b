/*
** call.c - calls, and the connections that they hold
**
** All probes of a resource share one connection; a remedy leases one of its
** own. A call gives back what it holds when its frame ends: it is a
** to-be-closed value of that frame. What is not provably clean is closed, and
** the next call opens another.
*/

#include <stdlib.h>
#include <string.h>

#include "stdlib/redis/redis.h"

#define TYPE "redis.call"

/* -- close ---------------------------------------------------------------- */

void rb_redis_clear (rb_RedisCall *c) {
  for (int i = 0; i < c->got; i++) freeReplyObject(c->reply[i]);
  c->got = c->want = 0;
}

void rb_redis_wake (rb_RedisPool *p, rb_RedisRole role) {
  for (rb_RedisCall *c = p->calls; c != NULL; c = c->next)
    if (c->waiting && c->role == role && c->task != NULL) {
      rb_wake(c->task);
      if (role == RB_REDISREMEDY) return;  /* one connection, one remedy */
    }
}

static void giveback (rb_RedisCall *c) {
  rb_RedisConn *conn = c->conn;
  if (conn == NULL) return;
  int owed = c->got < c->want;
  c->conn = NULL;
  conn->users--;
  if (owed) rb_redis_disown(conn, c);
  int spoiled = !conn->up || conn->watching
                || (owed && conn->role == RB_REDISREMEDY);
  if (conn->ctx != NULL && spoiled) rb_redis_break(conn, "io", "given up");
}

static int call_close (lua_State *L) {
  rb_RedisCall *c = lua_touserdata(L, 1);
  rb_RedisPool *p = c->pool;
  int held = c->conn != NULL && c->role == RB_REDISREMEDY;
  if (p != NULL) giveback(c);
  rb_redis_clear(c);
  if (c->reply != c->few) free(c->reply);
  c->reply = c->few;
  c->task = NULL;
  if (p == NULL) return 0;
  *(c->prev != NULL ? &c->prev->next : &p->calls) = c->next;
  *(c->next != NULL ? &c->next->prev : &p->lastcall) = c->prev;
  c->pool = NULL;
  int opening = p->opener == c;
  if (opening) p->opener = NULL;
  if (c->waiting || opening || held) rb_redis_wake(p, c->role);
  return 0;
}

static void forgettrust (rb_RedisTrust *t) {
  if (t->password != NULL) explicit_bzero(t->password, strlen(t->password));
  free(t->ca);
  free(t->cert);
  free(t->key);
  free(t->password);
  *t = (rb_RedisTrust){0};
}

void rb_redis_close (rb_Resource *r) {
  rb_RedisPool *p = r->data;
  r->data = NULL;
  for (rb_RedisCall *c = p->calls; c != NULL; c = c->next) {
    if (c->conn != NULL) c->conn->users--;
    c->conn = NULL;
    c->pool = NULL;
  }
  rb_redis_sweep(p, 1);
  for (int i = 0; i < RB_REDISROLES; i++) rb_redis_forget(&p->address[i]);
  forgettrust(&p->trust);
  free(p->out);
  free(p);
}

/* -- open ----------------------------------------------------------------- */

/* [-0, +0, v]  the address in a setting */
static void readaddress (lua_State *L, rb_Resource *r, rb_RedisAddress *a,
                         const char *key) {
  rb_setting(L, r, key);
  const char *url = lua_tostring(L, -1);
  rb_redis_forget(a);
  const char *why = rb_redis_parse(a, url != NULL ? url : "");
  lua_pop(L, 1);
  if (why != NULL)
    rb_fail(L, "data", RB_NOTDONE, "%s: its %s in the configuration cannot be "
            "used: %s", r->name, key, why);
}

/* [-0, +0, v]  a setting that is a text, or nothing */
static void readtext (lua_State *L, rb_Resource *r, const char *key, char **to) {
  rb_setting(L, r, key);
  if (lua_isstring(L, -1) && (*to = strdup(lua_tostring(L, -1))) == NULL)
    luaL_error(L, "not enough memory");
  lua_pop(L, 1);
}

/* [-0, +0, v]  what TLS needs, where an address asks for it */
static void readtrust (lua_State *L, rb_Resource *r, rb_RedisPool *p) {
  if (!p->address[RB_REDISREMEDY].tls && !p->address[RB_REDISPROBE].tls) return;
  forgettrust(&p->trust);
  readtext(L, r, "ca", &p->trust.ca);
  readtext(L, r, "cert", &p->trust.cert);
  readtext(L, r, "key", &p->trust.key);
  readtext(L, r, "key_password", &p->trust.password);
  p->part = rb_loadpart(L, "tls");
}

rb_RedisPool *rb_redis_pool (lua_State *L, rb_Resource *r) {
  rb_RedisPool *p = r->data;
  if (p == NULL) r->data = p = calloc(1, sizeof *p);
  if (p == NULL) luaL_error(L, "not enough memory");
  if (p->ready) return p;
  p->separate = rb_setting(L, r, "probe") != LUA_TNIL;
  lua_pop(L, 1);
  readaddress(L, r, &p->address[RB_REDISREMEDY], "url");
  readaddress(L, r, &p->address[RB_REDISPROBE], p->separate ? "probe" : "url");
  readtrust(L, r, p);
  rb_onturn(L, rb_redis_turn, p);
  p->ready = 1;
  return p;
}

/* [-1, +1, m]  gives the userdata at the top the metatable of a call, which is
** whole before it has a name */
static void setcall (lua_State *L) {
  if (luaL_getmetatable(L, TYPE) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_createtable(L, 0, 2);
    lua_pushcfunction(L, call_close);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, call_close);
    lua_setfield(L, -2, "__close");
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, TYPE);
  }
  lua_setmetatable(L, -2);
}

/* [-0, +0, v]  for the tape: by its place, as rb_redis_identity has it */
static void tellidentity (lua_State *L) {
  if (!rb_identity_wanted(L, 0)) return;
  rb_redis_identity(L);
  rb_identity(L, 0, lua_tostring(L, -1));
  lua_pop(L, 1);
}

rb_RedisCall *rb_redis_open (lua_State *L, rb_RedisRole role) {
  tellidentity(L);
  rb_Resource *r = rb_resource(L);
  rb_RedisPool *p = rb_redis_pool(L, r);
  rb_RedisCall *c = lua_newuserdatauv(L, sizeof *c, 0);
  memset(c, 0, sizeof *c);
  c->reply = c->few;
  c->size = sizeof c->few / sizeof *c->few;
  setcall(L);
  lua_toclose(L, -1);
  c->resource = r;
  c->role = role;
  c->pool = p;
  c->prev = p->lastcall;
  *(c->prev != NULL ? &c->prev->next : &p->calls) = c;
  p->lastcall = c;
  return c;
}

/* -- failing -------------------------------------------------------------- */

rb_Certainty rb_redis_certainty (const rb_RedisCall *c) {
  return c->committing && !c->unsent ? RB_UNKNOWN : RB_NOTDONE;
}

static const char *consequence (const rb_RedisCall *c) {
  if (c->role == RB_REDISPROBE) return "the next call opens a new connection";
  return rb_redis_certainty(c) == RB_UNKNOWN
    ? "it is not known whether the change was made" : "nothing was changed";
}

static int lost (lua_State *L, rb_RedisCall *c) {
  const char *why = c->pool->why;
  if (strcmp(c->lost, "limit") == 0)
    return rb_fail(L, "limit", rb_redis_certainty(c), "%s: %s: ask for less (a "
                   "range, a scan, one field)", c->resource->name, why);
  return rb_fail(L, c->lost, rb_redis_certainty(c), "%s: the connection was "
                 "lost (%s); %s", c->resource->name, why, consequence(c));
}

/* A connection on which nothing comes is not used again. */
static int late (lua_State *L, rb_RedisCall *c) {
  rb_RedisConn *conn = c->conn;
  if (conn != NULL && conn->ctx != NULL) {
    c->unsent = conn->dirty;
    if (conn->queue[conn->first] == c)
      rb_redis_break(conn, "timeout", "no answer in time");
  }
  return rb_fail(L, "timeout", rb_redis_certainty(c), "%s: no answer in time "
                 "(is the server busy, or is the port another service's?); %s",
                 c->resource->name, consequence(c));
}

/* -- wait ----------------------------------------------------------------- */

static int arrived (lua_State *L, int status, lua_KContext ctx) {
  rb_RedisCall *c = (rb_RedisCall *)ctx;
  (void)status;
  if (c->got < c->want && c->lost == NULL) {
    if (rb_timeleft(L) > 0) return rb_park(L, ctx, arrived);
    return late(L, c);
  }
  c->task = NULL;
  if (c->lost != NULL && !c->opening) return lost(L, c);
  return c->k(L, LUA_OK, ctx);
}

int rb_redis_await (lua_State *L, rb_RedisCall *c, lua_KFunction k) {
  c->k = k;
  c->task = rb_self(L);
  return arrived(L, LUA_OK, (lua_KContext)c);
}

/* -- lease ---------------------------------------------------------------- */

static rb_RedisConn *findidle (rb_RedisPool *p, int *count) {
  for (rb_RedisConn *conn = p->conns; conn != NULL; conn = conn->next) {
    if (conn->role != RB_REDISREMEDY || conn->ctx == NULL) continue;
    if (conn->users == 0 && rb_redis_alive(conn)) return conn;
    if (conn->users == 0) rb_redis_gone(conn);
    else ++*count;
  }
  return NULL;
}

/* the connection to use; NULL and 1: open one; NULL and 0: wait for one */
static rb_RedisConn *find (rb_RedisCall *c, int *mayopen) {
  rb_RedisPool *p = c->pool;
  int count = 0;
  if (c->role == RB_REDISREMEDY) {
    rb_RedisConn *conn = findidle(p, &count);
    *mayopen = count < RB_REDISLEASES;
    return conn;
  }
  *mayopen = p->opener == NULL;
  if (p->shared == NULL || rb_redis_alive(p->shared)) return p->shared;
  rb_redis_gone(p->shared);
  return NULL;
}

static int leased (lua_State *L, int status, lua_KContext ctx) {
  rb_RedisCall *c = (rb_RedisCall *)ctx;
  int mayopen;
  (void)status;
  rb_RedisConn *conn = find(c, &mayopen);
  if (conn == NULL && !mayopen) {
    if (rb_timeleft(L) <= 0) return late(L, c);
    c->waiting = 1;
    c->task = rb_self(L);
    return rb_park(L, ctx, leased);
  }
  c->waiting = 0;
  c->task = NULL;
  rb_timeout(L, RB_REDISPATIENCE);  /* waiting for one's turn does not count */
  if (conn == NULL) return rb_redis_connect(L, c, c->connected);
  c->conn = conn;
  conn->users++;
  return c->connected(L, LUA_OK, ctx);
}

int rb_redis_lease (lua_State *L, rb_RedisCall *c, lua_KFunction k) {
  rb_timeout(L, RB_REDISQUEUE);
  c->connected = k;
  return leased(L, LUA_OK, (lua_KContext)c);
}
