/*
** talk.c - the conversation on a leased connection
**
** Every connection is in pipeline mode: statements are queued with the
** extended protocol, so each is exactly one, and a Sync ends a stretch in
** which the first error skips the rest. The answers are read as they come;
** rows of one statement go straight into a Lua table, with a cap on bytes.
*/

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "stdlib/pg/pg.h"

/* what a row and a field cost beside their bytes */
enum { ROWCOST = 56, FIELDCOST = 16 };

void rb_pg_forget (rb_PgCall *c) {
  for (int i = 0; i < RB_PGSENT; i++) {
    PQclear(c->answers[i]);
    c->answers[i] = NULL;
  }
  if (c->got != c->sent || c->syncs > 0) return;  /* the lease sees it */
  c->sent = c->got = 0;
  c->collect = -1;
  c->single = 0;
}

/* -- sending -------------------------------------------------------------- */

static int queued (lua_State *L, rb_PgCall *c, int ok) {
  if (!ok) return rb_pg_lost(L, c);
  return c->sent++;
}

int rb_pg_send (lua_State *L, rb_PgCall *c, const char *sql, int n,
                const Oid *types, const char *const *values) {
  if (c->sent == RB_PGSENT) return luaL_error(L, "too many statements at once");
  return queued(L, c, PQsendQueryParams(c->conn->pg, sql, n, types, values,
                                        NULL, NULL, 0));
}

int rb_pg_describe (lua_State *L, rb_PgCall *c, const char *sql, int n) {
  int first = queued(L, c, PQsendPrepare(c->conn->pg, "", sql, n, NULL));
  queued(L, c, PQsendDescribePrepared(c->conn->pg, ""));
  return first;
}

void rb_pg_collect (lua_State *L, rb_PgCall *c) {
  lua_newtable(L);
  c->rows = lua_gettop(L);
  c->collect = c->sent - 1;
  c->single = 0;
  c->nrows = 0;
  c->bytes = 0;
}

void rb_pg_sync (lua_State *L, rb_PgCall *c) {
  if (!PQpipelineSync(c->conn->pg)) rb_pg_lost(L, c);
  c->syncs++;
}

/* The server is given a little less time than we have, so that it is the one
** who ends the statement, and the connection survives; still less for waiting
** for a lock, so that it says that it was one. A dry run only wants to know. */
void rb_pg_limits (lua_State *L, rb_PgCall *c, int local) {
  double left = rb_timeleft(L), ms = left > 1 ? left * 1000 - 50 : left * 950;
  char statement[32], lock[32];
  if (ms > 2e9) ms = 2e9;  /* it is a 32-bit number there */
  double patience = ms * 0.9 + 1;
  if (rb_dryrun(L) && patience > RB_PGGLANCE) patience = RB_PGGLANCE;
  const char *values[] = {statement, lock, local ? "t" : "f"};
  snprintf(statement, sizeof statement, "%.0f", ms + 1);
  snprintf(lock, sizeof lock, "%.0f", patience);
  rb_pg_send(L, c, "SELECT set_config('statement_timeout', $1, $3), "
             "set_config('lock_timeout', $2, $3)", 3, NULL, values);
}

void rb_pg_begin (lua_State *L, rb_PgCall *c, const char *begin) {
  rb_pg_send(L, c, begin, 0, NULL, NULL);
  rb_pg_limits(L, c, 1);
}

/* -- rows ----------------------------------------------------------------- */

/* Two columns of one name would be one field of the row: one would be lost. */
static void checkcolumns (lua_State *L, const rb_PgCall *c, const PGresult *r) {
  for (int i = 0; i < PQnfields(r); i++)
    if (PQfnumber(r, PQfname(r, i)) != i && strchr(PQfname(r, i), '"') == NULL)
      for (int j = 0; j < i; j++)
        if (strcmp(PQfname(r, i), PQfname(r, j)) == 0)
          rb_fail(L, "data", RB_NOTDONE, "%s: two columns of the result are "
                  "named \"%s\"; name them with AS", c->resource->name,
                  PQfname(r, i));
}

static void checkbytes (lua_State *L, rb_PgCall *c, const PGresult *r) {
  c->bytes += ROWCOST;
  for (int i = 0; i < PQnfields(r); i++)
    c->bytes += (size_t)PQgetlength(r, 0, i) + FIELDCOST;
  if (c->bytes > RB_PGBYTES)
    rb_fail(L, "limit", RB_NOTDONE, "%s: the result is larger than %d MB; "
            "reduce it in SQL (fewer columns, WHERE, LIMIT, count or sum)",
            c->resource->name, RB_PGBYTES >> 20);
}

static int issecret (const rb_PgCall *c, const char *column) {
  char **s = c->pool != NULL ? c->pool->secret : NULL;
  for (; s != NULL && *s != NULL; s++)
    if (strcmp(*s, column) == 0) return 1;
  return 0;
}

/* [-0, +0, v]  the one row of c->current, as a table at the end of the list */
static void addrow (lua_State *L, rb_PgCall *c) {
  const PGresult *r = c->current;
  int n = PQnfields(r);
  if (c->nrows == 0) checkcolumns(L, c, r);
  checkbytes(L, c, r);
  lua_createtable(L, 0, n);
  for (int i = 0; i < n; i++) {
    const char *s = PQgetvalue(r, 0, i);
    size_t len = (size_t)PQgetlength(r, 0, i);
    if (PQgetisnull(r, 0, i)) continue;
    if (issecret(c, PQfname(r, i))) rb_secret(L, PQfname(r, i), s, len);
    rb_pg_pushvalue(L, c, PQftype(r, i), s, len);
    lua_setfield(L, -2, PQfname(r, i));
  }
  lua_rawseti(L, c->rows, ++c->nrows);
}

/* -- answers -------------------------------------------------------------- */

static int iscopy (const PGresult *r) {
  ExecStatusType s = PQresultStatus(r);
  return s == PGRES_COPY_IN || s == PGRES_COPY_OUT || s == PGRES_COPY_BOTH;
}

/* one result, or the end of a statement's results */
static int take (lua_State *L, rb_PgCall *c) {
  PGconn *pg = c->conn->pg;
  PGresult *r = c->current = PQgetResult(pg);
  if (PQstatus(pg) == CONNECTION_BAD) return rb_pg_lost(L, c);
  if (r == NULL) c->got++;
  else if (PQresultStatus(r) == PGRES_PIPELINE_SYNC) c->syncs--;
  else if (PQresultStatus(r) == PGRES_SINGLE_TUPLE) addrow(L, c);
  else if (iscopy(r))
    return rb_fail(L, "refused", RB_NOTDONE, "%s: COPY is not supported here",
                   c->resource->name);
  else if (c->got < RB_PGSENT && c->answers[c->got] == NULL) {
    c->answers[c->got] = r;
    c->current = NULL;
  }
  PQclear(c->current);
  c->current = NULL;
  if (c->got == c->collect && !c->single)
    c->single = PQsetSingleRowMode(pg);
  return 0;
}

static int turn (lua_State *L, int status, lua_KContext ctx);

static int told (lua_State *L, int status, lua_KContext ctx);

static int takeall (lua_State *L, rb_PgCall *c) {
  PGconn *pg = c->conn->pg;
  int more = PQflush(pg);
  if (more < 0) return rb_pg_lost(L, c);
  while (c->syncs > 0) {
    int busy = PQisBusy(pg);
    if (busy && !c->cancelled && rb_stopping(L)) return rb_pg_cancel(L, c, told);
    if (busy)
      return rb_wait(L, PQsocket(pg), (short)(POLLIN | (more ? POLLOUT : 0)),
                     (lua_KContext)c, turn);
    take(L, c);
  }
  if (c->cancelled) return rb_pg_interrupted(L, c);
  int locked = rb_pg_islocked(c);
  if (locked >= 0) return rb_pg_askholder(L, c, locked);
  return c->k(L, LUA_OK, (lua_KContext)c);
}

static int turn (lua_State *L, int status, lua_KContext ctx) {
  rb_PgCall *c = (rb_PgCall *)ctx;
  (void)status;
  if (rb_timeleft(L) <= 0) return rb_pg_late(L, c);
  if (!PQconsumeInput(c->conn->pg)) return rb_pg_lost(L, c);
  return takeall(L, c);
}

static int told (lua_State *L, int status, lua_KContext ctx) {
  lua_pop(L, 1);
  return turn(L, status, ctx);
}

int rb_pg_await (lua_State *L, rb_PgCall *c, lua_KFunction k) {
  c->k = k;
  if (c->got == c->collect && !c->single)
    c->single = PQsetSingleRowMode(c->conn->pg);
  return takeall(L, c);
}

const char *rb_pg_field (const rb_PgCall *c, int i, int row, int column) {
  const PGresult *r = c->answers[i];
  if (row >= PQntuples(r) || column >= PQnfields(r)) return NULL;
  return PQgetisnull(r, row, column) ? NULL : PQgetvalue(r, row, column);
}

int rb_pg_true (const rb_PgCall *c, int i, int row, int column) {
  const char *s = rb_pg_field(c, i, row, column);
  return s != NULL && *s == 't';
}
