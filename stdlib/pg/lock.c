/*
** lock.c - a lock that every machine sees: an advisory lock of the server
**
** It is held by a connection of its own, which nothing else uses, and goes with it:
** who dies lets go of it. Who holds it is that connection's application_name.
*/

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "stdlib/pg/pg.h"

enum { KEY = 2, WHO, TAKE };  /* on the stack, as strings and a boolean */

/* seconds after which a silent peer is asked, and asked again; how often */
enum { IDLE = 10, INTERVAL = 5, COUNT = 3 };

/* The server must notice that our machine is gone, and we that the server's is: both
** ask after half a minute, not after the two hours that systems allow. */
static const char take[] =
  "SELECT pg_catalog.set_config('application_name', $2, false), "
  "pg_catalog.set_config('tcp_keepalives_idle', '10', false), "
  "pg_catalog.set_config('tcp_keepalives_interval', '5', false), "
  "pg_catalog.set_config('tcp_keepalives_count', '3', false), "
  "pg_catalog.pg_try_advisory_lock($1::bigint)";

static const char holder[] =
  "SELECT a.application_name FROM pg_catalog.pg_locks l "
  "CROSS JOIN LATERAL pg_catalog.pg_stat_get_activity(l.pid) a "
  "WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 "
  "AND (l.classid::bigint << 32) + l.objid::bigint = $1::bigint AND l.database = "
  "(SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())";

static void keepalive (int fd) {
  int idle = IDLE, interval = INTERVAL, count = COUNT;
  (void)!setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
  (void)!setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
  (void)!setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
}  /* a socket of this machine has none of them, and needs none */

static int answered (lua_State *L, int status, lua_KContext ctx) {
  rb_PgCall *c = (rb_PgCall *)ctx;
  int wanted = lua_toboolean(L, TAKE);
  (void)status;
  rb_pg_check(L, c, NULL);
  const char *who = rb_pg_field(c, wanted ? 1 : 0, 0, 0);
  int got = wanted ? rb_pg_true(c, 0, 0, 4) : PQntuples(c->answers[0]) == 0;
  if (got) {
    if (wanted) c->pool->locks++;
    lua_pushboolean(L, 1);
  } else lua_pushstring(L, who != NULL ? who : "");
  return 1;
}

static int leased (lua_State *L, int status, lua_KContext ctx) {
  rb_PgCall *c = (rb_PgCall *)ctx;
  const char *values[] = {lua_tostring(L, KEY), lua_tostring(L, WHO)};
  (void)status;
  if (lua_toboolean(L, TAKE)) {
    keepalive(PQsocket(c->conn->pg));
    rb_pg_send(L, c, take, 2, NULL, values);
  }
  rb_pg_send(L, c, holder, 1, NULL, values);
  rb_pg_sync(L, c);
  return rb_pg_await(L, c, answered);
}

int rb_pg_lock (lua_State *L) {
  int wanted = lua_toboolean(L, TAKE);
  rb_PgCall *c = rb_pg_open(L, wanted ? RB_PGLOCK : RB_PGPROBE, 0);
  if (wanted && !rb_pg_locked(c->resource)) c->pool->locks = 0;  /* begun anew */
  return rb_pg_lease(L, c, leased);
}

int rb_pg_locked (rb_Resource *r) {
  const rb_PgPool *p = r->data;
  if (p == NULL || p->locks == 0) return 1;
  for (const rb_PgConn *conn = p->conns; conn != NULL; conn = conn->next)
    if (conn->role == RB_PGLOCK) return rb_pg_alive(conn);
  return 0;
}
