/*
** conn.c - connections, leased to one call at a time
**
** A resource keeps a few connections of each role. A call leases one, and
** gives it back when its frame ends, however it ends: the call is a
** to-be-closed value of that frame. What is not provably clean is closed,
** and the next call opens another.
*/

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stdlib/pg/pg.h"

#define TYPE "pg.call"

/* -- close ---------------------------------------------------------------- */

static void conn_close (rb_PgPool *p, rb_PgConn *conn) {
  rb_PgConn **at = &p->conns;
  while (*at != conn) at = &(*at)->next;
  *at = conn->next;
  PQfinish(conn->pg);
  free(conn);
}

static void unlink_ (rb_PgCall *c) {
  rb_PgPool *p = c->pool;
  if (c->prev != NULL) c->prev->next = c->next;
  else p->calls = c->next;
  if (c->next != NULL) c->next->prev = c->prev;
  else p->lastcall = c->prev;
}

/* the oldest call that waits for a connection of this role may look again */
static void wakenext (const rb_PgPool *p, rb_PgRole role) {
  for (const rb_PgCall *c = p->calls; c != NULL; c = c->next)
    if (c->waiter != NULL && c->role == role) {
      rb_wake(c->waiter);
      return;
    }
}

static int clean (const rb_PgConn *conn) {
  return conn->pg != NULL && !conn->spoiled &&
         PQstatus(conn->pg) == CONNECTION_OK &&
         PQtransactionStatus(conn->pg) == PQTRANS_IDLE;
}

static void giveback (rb_PgCall *c) {
  rb_PgConn *conn = c->conn;
  c->conn = NULL;
  if (conn == NULL) return;
  if (c->sent != c->got || c->syncs > 0) conn->spoiled = 1;
  if (c->owner != NULL) return;
  conn->leased = 0;
  if (!clean(conn)) conn_close(c->pool, conn);
}

static int call_close (lua_State *L) {
  rb_PgCall *c = luaL_checkudata(L, 1, TYPE);
  rb_pg_forget(c);
  PQclear(c->current);
  c->current = NULL;
  PQclear(c->locked);
  c->locked = NULL;
  json_decref(c->json);
  c->json = NULL;
  rb_pg_placefree(&c->place);
  c->over = 1;
  if (c->pool == NULL) return 0;
  giveback(c);
  unlink_(c);
  wakenext(c->pool, c->role);
  c->pool = NULL;
  return 0;
}

void rb_pg_close (rb_Resource *r) {
  rb_PgPool *p = r->data;
  r->data = NULL;
  for (rb_PgCall *c = p->calls; c != NULL; c = c->next) {
    c->pool = NULL;
    c->conn = NULL;
  }
  while (p->conns != NULL) conn_close(p, p->conns);
  for (char **s = p->secret; s != NULL && *s != NULL; s++) free(*s);
  free(p->secret);
  free(p);
}

/* -- open ----------------------------------------------------------------- */

/* [-0, +0, m]  the setting secret_columns, kept */
static void readsecrets (lua_State *L, rb_Resource *r, rb_PgPool *p) {
  if (rb_setting(L, r, "secret_columns") == LUA_TTABLE) {
    size_t n = lua_rawlen(L, -1);
    p->secret = calloc(n + 1, sizeof *p->secret);
    if (p->secret == NULL) luaL_error(L, "not enough memory");
    for (size_t i = 0; i < n; i++) {
      lua_rawgeti(L, -1, (lua_Integer)i + 1);
      p->secret[i] = strdup(luaL_tolstring(L, -1, NULL));
      if (p->secret[i] == NULL) luaL_error(L, "not enough memory");
      lua_pop(L, 2);
    }
  }
  lua_pop(L, 1);
}

static rb_PgPool *getpool (lua_State *L, rb_Resource *r) {
  rb_PgPool *p = r->data;
  if (p != NULL) return p;
  r->data = p = calloc(1, sizeof *p);
  if (p == NULL) luaL_error(L, "not enough memory");
  p->same = rb_setting(L, r, "probe") == LUA_TNIL;
  lua_pop(L, 1);
  readsecrets(L, r, p);
  return p;
}

/* The metatable is registered when it is complete: memory may run out before. */
void rb_pg_setmeta (lua_State *L, const char *type, lua_CFunction close) {
  if (luaL_getmetatable(L, type) == LUA_TNIL) {
    const luaL_Reg events[] = {{"__gc", close}, {"__close", close}, {NULL, NULL}};
    lua_pop(L, 1);
    luaL_newlib(L, events);
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, type);
  }
  lua_setmetatable(L, -2);
}

/* [-0, +1, m]  a call that is closed already */
static rb_PgCall *newcall (lua_State *L) {
  rb_PgCall *c = lua_newuserdatauv(L, sizeof *c, 1);
  memset(c, 0, sizeof *c);
  rb_pg_setmeta(L, TYPE, call_close);
  c->collect = -1;
  c->task = rb_self(L);
  return c;
}

static void link_ (rb_PgCall *c, rb_PgPool *p) {
  c->pool = p;
  c->prev = p->lastcall;
  if (p->lastcall != NULL) p->lastcall->next = c;
  else p->calls = c;
  p->lastcall = c;
}

/* A deed begins READ WRITE, so it may have the connection from which its preview
** looked: to connect takes longer than the deed. Not where probes use those, too:
** what a deed leaves in a session (a temporary table) would be open to them. */
static rb_PgRole held (const rb_PgPool *p, rb_PgRole role) {
  if (role == RB_PGPROBE && p->same) return RB_PGPREVIEW;
  if (role == RB_PGDEED) return p->same ? RB_PGREMEDY : RB_PGPREVIEW;
  return role;
}

rb_PgCall *rb_pg_open (lua_State *L, rb_PgRole role, int preview) {
  rb_Resource *r = rb_resource(L);
  rb_PgPool *p = getpool(L, r);
  rb_PgCall *c = newcall(L);
  c->resource = r;
  c->role = held(p, role);
  c->preview = preview;
  lua_toclose(L, -1);
  link_(c, p);
  return c;
}

rb_PgCall *rb_pg_within (lua_State *L, rb_PgCall *owner) {
  rb_PgCall *c = newcall(L);
  c->resource = owner->resource;
  c->role = owner->role;
  c->preview = owner->preview;
  c->owner = owner;
  c->conn = owner->conn;
  lua_toclose(L, -1);
  link_(c, owner->pool);
  return c;
}

/* -- lease ---------------------------------------------------------------- */

/* An idle server has nothing to say: what there is to read is its farewell. */
int rb_pg_alive (const rb_PgConn *conn) {
  struct pollfd p = {.fd = PQsocket(conn->pg), .events = POLLIN};
  return clean(conn) && p.fd >= 0 && poll(&p, 1, 0) == 0;
}

/* What a server says before it hangs up is a notice, for nobody had asked. */
static void farewell (rb_PgPool *p, rb_PgConn *conn) {
  PQconsumeInput(conn->pg);
  PQisBusy(conn->pg);  /* reads what came */
  snprintf(p->why, sizeof p->why, "%s", conn->said[0] != '\0' ? conn->said
           : "the server closed it");
  p->lost = 1;
}

void rb_pg_remade (lua_State *L, rb_PgPool *p) {
  if (p->lost) rb_remade(L, p->why);
  p->lost = 0;
}

/* an idle connection of the role; those found dead are closed */
static rb_PgConn *findidle (rb_PgPool *p, rb_PgRole role) {
  for (rb_PgConn *conn = p->conns, *next; conn != NULL; conn = next) {
    next = conn->next;
    if (conn->role != role || conn->leased) continue;
    if (rb_pg_alive(conn)) return conn;
    farewell(p, conn);
    conn_close(p, conn);
  }
  return NULL;
}

static int count (const rb_PgPool *p, rb_PgRole role) {
  int n = 0;
  for (const rb_PgConn *conn = p->conns; conn != NULL; conn = conn->next)
    n += conn->role == role;
  return n;
}

static rb_PgConn *newconn (lua_State *L, rb_PgPool *p, rb_PgRole role) {
  rb_PgConn *conn = calloc(1, sizeof *conn);
  if (conn == NULL) luaL_error(L, "not enough memory");
  conn->role = role;
  conn->next = p->conns;
  p->conns = conn;
  return conn;
}

static int lease (lua_State *L, int status, lua_KContext ctx) {
  rb_PgCall *c = (rb_PgCall *)ctx;
  (void)status;
  c->conn = findidle(c->pool, c->role);
  int opened = c->conn != NULL;
  if (!opened && count(c->pool, c->role) < RB_PGCONNS)
    c->conn = newconn(L, c->pool, c->role);
  if (c->conn == NULL) {
    if (rb_timeleft(L) <= 0)
      return rb_fail(L, "timeout", RB_NOTDONE, "%s: all %d connections are in "
                     "use; none became free in time", c->resource->name,
                     RB_PGCONNS);
    c->waiter = rb_self(L);
    return rb_park(L, ctx, lease);
  }
  c->waiter = NULL;
  c->conn->leased = 1;
  return opened ? c->connected(L, LUA_OK, ctx)
                : rb_pg_connect(L, c, c->connected);
}

int rb_pg_lease (lua_State *L, rb_PgCall *c, lua_KFunction k) {
  c->connected = k;
  return lease(L, LUA_OK, (lua_KContext)c);
}
