/*
** identity.c - which database is on the other side
**
** The system identifier is made by initdb and copied with the data, so it tells clusters
** apart and follows a failover; the database's own number tells it from one that was made
** anew under its name. An administrator may have taken the right to ask for the first:
** then it is "unknown". Asked once on a connection, with the statements of a first probe.
*/

#include <stdio.h>
#include <string.h>

#include "stdlib/pg/pg.h"

enum { OID, CONTROL };  /* the answers, since nothing is asked before */

static void keep (char *to, size_t size, const char *s) {
  if (s != NULL && strlen(s) < size) strcpy(to, s);
}

/* [-0, +1, m] */
static const char *pushidentity (lua_State *L, const rb_PgConn *conn) {
  return lua_pushfstring(L, "postgresql:%s:%s/%s", conn->system, conn->oid, conn->database);
}

/* [-0, +0, v]  Where the first is not known, a restored copy would seem to be another. */
static void tell (lua_State *L, const rb_PgCall *c) {
  int probes = c->role == RB_PGPROBE;
  if (strcmp(c->conn->system, "unknown") == 0 || c->conn->oid[0] == '\0') return;
  if (!rb_identity_wanted(L, probes)) return;
  rb_identity(L, probes, pushidentity(L, c->conn));
  lua_pop(L, 1);
}

static void send_ (lua_State *L, rb_PgCall *c) {
  rb_pg_send(L, c, "SELECT oid FROM pg_catalog.pg_database"
             " WHERE datname = current_database()", 0, NULL, NULL);
  rb_pg_send(L, c, "SELECT s.system_identifier, k.timeline_id"
             "  FROM pg_control_system() s, pg_control_checkpoint() k", 0, NULL, NULL);
  rb_pg_sync(L, c);
}

static void read_ (rb_PgCall *c) {
  rb_PgConn *conn = c->conn;
  strcpy(conn->system, "unknown");
  keep(conn->oid, sizeof conn->oid, rb_pg_field(c, OID, 0, 0));
  keep(conn->system, sizeof conn->system, rb_pg_field(c, CONTROL, 0, 0));
  keep(conn->timeline, sizeof conn->timeline, rb_pg_field(c, CONTROL, 0, 1));
  keep(conn->database, sizeof conn->database, PQdb(conn->pg));
}

static int known (lua_State *L, int status, lua_KContext ctx) {
  rb_PgCall *c = (rb_PgCall *)ctx;
  (void)status;
  read_(c);
  rb_pg_forget(c);
  tell(L, c);
  return c->then(L, LUA_OK, ctx);
}

int rb_pg_know (lua_State *L, rb_PgCall *c, lua_KFunction k) {
  if (c->conn->system[0] != '\0') {
    tell(L, c);
    return k(L, LUA_OK, (lua_KContext)c);
  }
  c->then = k;
  send_(L, c);
  return rb_pg_await(L, c, known);
}

void rb_pg_meet (lua_State *L, rb_PgCall *c) {
  if (!rb_identity_wanted(L, c->role == RB_PGPROBE)) return;
  if (c->conn->system[0] != '\0') tell(L, c);
  else {
    send_(L, c);
    c->meets = 1;
  }
}

/* that the right to ask is missing is no failure of the probe */
void rb_pg_met (lua_State *L, rb_PgCall *c) {
  if (!c->meets) return;
  c->meets = 0;
  read_(c);
  PQclear(c->answers[CONTROL]);
  c->answers[CONTROL] = NULL;
  tell(L, c);
}

/* -- for a plan ------------------------------------------------------------ */

static int identified (lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  pushidentity(L, ((rb_PgCall *)ctx)->conn);
  return 1;
}

static int ready (lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  return rb_pg_know(L, (rb_PgCall *)ctx, identified);
}

int rb_pg_identity (lua_State *L) {
  lua_settop(L, OPTIONS);
  rb_timeout(L, 10);
  return rb_pg_lease(L, rb_pg_open(L, RB_PGPREVIEW, 0), ready);
}
