/*
** settle.c - what became of a deed that nobody saw the end of
**
** Its transaction's number was pledged before COMMIT. The server knows what
** happened to it, but only the same server on the same timeline: after a
** failover to a standby the number may be another transaction's.
*/

#include <string.h>

#include "stdlib/pg/pg.h"

enum { FACTS = 2 };        /* on the stack */

/* [-0, +1, m]  a text of the facts, or NULL */
static const char *pushfact (lua_State *L, const char *key) {
  lua_getfield(L, FACTS, key);
  return lua_tostring(L, -1);
}

static int same (lua_State *L, const char *key, const char *now) {
  const char *then = pushfact(L, key);
  int equal = then != NULL && strcmp(then, now) == 0;
  lua_pop(L, 1);
  return equal;
}

/* An error is an answer, too: the number is not one that it knows. */
static int answered (lua_State *L, int status, lua_KContext ctx) {
  rb_PgCall *c = (rb_PgCall *)ctx;
  const char *state = rb_pg_field(c, 0, 0, 0);
  (void)status;
  if (state != NULL && strcmp(state, "committed") == 0)
    lua_pushliteral(L, "done");
  else if (state != NULL && strcmp(state, "aborted") == 0)
    lua_pushliteral(L, "not done");
  else lua_pushnil(L);
  return 1;
}

static int known (lua_State *L, int status, lua_KContext ctx) {
  rb_PgCall *c = (rb_PgCall *)ctx;
  const rb_PgConn *conn = c->conn;
  int modern = PQserverVersion(conn->pg) >= 130000;
  (void)status;
  if (strcmp(conn->system, "unknown") == 0 || !same(L, "system", conn->system) ||
      !same(L, "timeline", conn->timeline)) {
    lua_pushnil(L);
    return 1;
  }
  const char *values[] = {pushfact(L, "xid")};
  if (values[0] == NULL) return 1;  /* it had no transaction */
  rb_pg_send(L, c, modern ? "SELECT pg_xact_status($1::xid8)"
                          : "SELECT txid_status($1::bigint)", 1, NULL, values);
  rb_pg_sync(L, c);
  return rb_pg_await(L, c, answered);
}

static int leased (lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  return rb_pg_know(L, (rb_PgCall *)ctx, known);
}

int rb_pg_settle (lua_State *L) {
  lua_settop(L, OPTIONS);
  rb_timeout(L, 10);
  return rb_pg_lease(L, rb_pg_open(L, RB_PGPREVIEW, 0), leased);
}
