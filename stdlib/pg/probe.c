/*
** probe.c - query, row, value, explain: looking, and nothing but looking
**
** One round trip: BEGIN READ ONLY, the limits in time (a first query, after
** which no SET TRANSACTION opens the fence), the statement; Sync; ROLLBACK;
** Sync. Should a statement get out of that transaction, ROLLBACK finds none.
*/

#include <string.h>

#include "stdlib/pg/pg.h"

typedef enum Shape { QUERY, ROW, VALUE, EXPLAIN } Shape;

static const char explain[] = "EXPLAIN ";

/* -- shapes --------------------------------------------------------------- */

/* [-0, +1, v]  what the primitive returns; the rows are at c->rows */
static void pushrow (lua_State *L, const rb_PgCall *c) {
  if (c->nrows > 1)
    rb_fail(L, "data", RB_NOTDONE, "%s: %s where one is expected; use p:query, "
            "or narrow the WHERE", c->resource->name, rb_pg_rows(L, c->nrows));
  lua_rawgeti(L, c->rows, 1);
}

static void pushonly (lua_State *L, const rb_PgCall *c) {
  const PGresult *r = c->answers[c->at];
  if (PQnfields(r) != 1)
    rb_fail(L, "data", RB_NOTDONE, "%s: p:value is for one column, this has %d",
            c->resource->name, PQnfields(r));
  pushrow(L, c);
  if (lua_istable(L, -1)) lua_getfield(L, -1, PQfname(r, 0));
}

/* the plan as EXPLAIN prints it, one text */
static void pushplan (lua_State *L, const rb_PgCall *c) {
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (lua_Integer i = 1; i <= c->nrows; i++) {
    if (i > 1) luaL_addchar(&b, '\n');
    lua_rawgeti(L, c->rows, i);
    lua_getfield(L, -1, "QUERY PLAN");
    lua_remove(L, -2);
    luaL_addvalue(&b);
  }
  luaL_pushresult(&b);
}

/* [-0, +0, m]  in the order of the statement, also where there are no rows */
static void tellcolumns (lua_State *L, const rb_PgCall *c) {
  const PGresult *r = c->answers[c->at];
  lua_createtable(L, PQnfields(r), 0);
  for (int i = 0; i < PQnfields(r); i++) {
    lua_pushstring(L, PQfname(r, i));
    lua_rawseti(L, -2, i + 1);
  }
  rb_columns(L, c->rows);
}

static void pushshape (lua_State *L, const rb_PgCall *c) {
  if (c->shape == QUERY) tellcolumns(L, c);
  switch ((Shape)c->shape) {
    case ROW: pushrow(L, c); break;
    case VALUE: pushonly(L, c); break;
    case EXPLAIN: pushplan(L, c); break;
    default: lua_pushvalue(L, c->rows); break;
  }
}

/* -- the conversation ----------------------------------------------------- */

static void sendstatement (lua_State *L, rb_PgCall *c) {
  const rb_PgStatement *st = lua_touserdata(L, STATEMENT);
  const char *sql = st->text;
  if (c->shape == EXPLAIN) {
    sql = lua_pushfstring(L, "%s%s", explain, sql);
    c->shift = (int)strlen(explain);
  }
  c->at = rb_pg_send(L, c, sql, st->n, NULL, st->values);
  rb_pg_collect(L, c);
  rb_pg_sync(L, c);
}

static int escaped (lua_State *L, rb_PgCall *c) {
  c->conn->spoiled = 1;
  return rb_fail(L, "refused", RB_NOTDONE, "%s: the statement left the "
                 "read-only transaction of a probe", c->resource->name);
}

static int answered (lua_State *L, int status, lua_KContext ctx) {
  rb_PgCall *c = (rb_PgCall *)ctx;
  (void)status;
  rb_pg_met(L, c);
  rb_pg_check(L, c, lua_touserdata(L, STATEMENT));
  if (c->conn->escaped) return escaped(L, c);
  if (c->owner == NULL) {
    lua_pushstring(L, rb_pg_rows(L, c->nrows));
    rb_describe(L, "%s -> %s", rb_pg_brief(L, lua_tostring(L, SQL)), lua_tostring(L, -1));
  }
  pushshape(L, c);
  return 1;
}

static int leased (lua_State *L, int status, lua_KContext ctx) {
  rb_PgCall *c = (rb_PgCall *)ctx;
  (void)status;
  rb_pg_meet(L, c);
  rb_pg_begin(L, c, "BEGIN READ ONLY");
  sendstatement(L, c);
  rb_pg_send(L, c, "ROLLBACK", 0, NULL, NULL);
  rb_pg_sync(L, c);
  return rb_pg_await(L, c, answered);
}

/* -- the statement -------------------------------------------------------- */

/* [-0, +1, v]  at STATEMENT, and only if it looks */
static void readstatement (lua_State *L, rb_PgCall *c) {
  char why[512];
  const rb_PgStatement *st = rb_pg_statement(L, c);
  if (rb_pg_notprobe(st, why, sizeof why) != NULL)
    rb_pg_refuse(L, c, "%s", why);
}

static int probe (lua_State *L, Shape shape) {
  rb_PgOptions options;
  rb_pg_arguments(L);
  rb_pg_options(L, &options);
  rb_PgCall *c = rb_pg_open(L, RB_PGPROBE, 0);
  c->shape = shape;
  readstatement(L, c);
  return rb_pg_lease(L, c, leased);
}

int rb_pg_query (lua_State *L) { return probe(L, QUERY); }
int rb_pg_row (lua_State *L) { return probe(L, ROW); }
int rb_pg_value (lua_State *L) { return probe(L, VALUE); }
int rb_pg_explain (lua_State *L) { return probe(L, EXPLAIN); }

/* -- inside of a transaction ---------------------------------------------- */

static int within (lua_State *L, Shape shape) {
  rb_PgCall *tx = rb_pg_checktx(L);
  rb_pg_arguments(L);
  rb_PgCall *c = rb_pg_within(L, tx);
  c->shape = shape;
  readstatement(L, c);
  rb_pg_looked(L, tx);
  sendstatement(L, c);
  return rb_pg_await(L, c, answered);
}

int rb_pg_txquery (lua_State *L) { return within(L, QUERY); }
int rb_pg_txrow (lua_State *L) { return within(L, ROW); }
int rb_pg_txvalue (lua_State *L) { return within(L, VALUE); }
