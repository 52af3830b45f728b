/*
** cancel.c - one Ctrl-C ends a statement that has not been pledged
**
** Before its pledge a deed is a transaction that nobody will commit, so there is nothing to
** wait for. The server is told on a connection of its own, which libpq can only open by
** blocking: aside. What it says then is read as always, and the connection is closed, which
** rolls back.
*/

#include "stdlib/pg/pg.h"

static void work (void *job) {
  char why[256];
  PQcancel(*(PGcancel **)job, why, sizeof why);  /* in vain: the wait ends all the same */
}

static void drop (void *job) {
  PQfreeCancel(*(PGcancel **)job);
}

int rb_pg_cancel (lua_State *L, rb_PgCall *c, lua_KFunction k) {
  PGcancel *cancel = PQgetCancel(c->conn->pg);
  c->cancelled = 1;
  if (cancel == NULL) return rb_pg_interrupted(L, c);
  rb_grace(L, RB_PGGRACE);
  return rb_aside(L, &cancel, sizeof cancel, work, drop, (lua_KContext)c, k);
}

int rb_pg_interrupted (lua_State *L, rb_PgCall *c) {
  c->conn->spoiled = 1;
  rb_grace(L, 0);
  return rb_fail(L, "interrupted", RB_NOTDONE, "%s: interrupted: the statement was cancelled "
                 "and rolled back, nothing was changed", c->resource->name);
}
