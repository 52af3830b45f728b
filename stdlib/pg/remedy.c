/*
** remedy.c - exec: one statement that changes something
**
** The deed is a transaction of its own: the statement, a look at how many
** rows it changed against the preview and the limits, its number
** (transaction id) pledged, COMMIT. Up to that COMMIT a failure is "not done";
** a silence after it is in doubt, and the number tells later.
*/

#include <stdlib.h>
#include <string.h>

#include "stdlib/pg/pg.h"

rb_PgStatement *rb_pg_execstatement (lua_State *L, rb_PgCall *c) {
  char why[512];
  rb_PgStatement *st = rb_pg_statement(L, c);
  if (rb_pg_notexec(st, c->options.outside, c->owner != NULL, why, sizeof why))
    rb_pg_refuse(L, c, "%s", why);
  return st;
}

void rb_pg_checkdeed (lua_State *L, rb_PgCall *c) {
  if (!rb_maychange(L))
    rb_fail(L, "refused", RB_NOTDONE, "%s: nothing may be changed now",
            c->resource->name);
}

/* [-0, +1, v]  the call of an exec, with its statement at STATEMENT */
static rb_PgCall *openexec (lua_State *L, rb_PgRole role, int preview) {
  rb_PgOptions options;
  rb_pg_arguments(L);
  rb_pg_options(L, &options);
  if (options.outside && role == RB_PGDEED) role = RB_PGREMEDY;
  rb_PgCall *c = rb_pg_open(L, role, preview);
  c->options = options;
  rb_pg_execstatement(L, c);
  return c;
}

/* -- preview -------------------------------------------------------------- */

static int rolledback (lua_State *L, int status, lua_KContext ctx) {
  static const char *const ours[] = {
    "counting", "locking", "nulls", "plain", "sampled", "spills", "stored", "tables", "target", NULL
  };
  (void)status;
  (void)ctx;
  lua_settop(L, PLAN);
  for (const char *const *o = ours; *o != NULL; o++) {
    lua_pushnil(L);
    lua_setfield(L, PLAN, *o);
  }
  return 1;
}

int rb_pg_rollback (lua_State *L, rb_PgCall *c, lua_KFunction k) {
  rb_pg_forget(c);
  rb_pg_send(L, c, "ROLLBACK", 0, NULL, NULL);
  rb_pg_sync(L, c);
  return rb_pg_await(L, c, k);
}

static int previewed (lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  return rb_pg_rollback(L, (rb_PgCall *)ctx, rolledback);
}

static int readytolook (lua_State *L, int status, lua_KContext ctx) {
  rb_PgCall *c = (rb_PgCall *)ctx;
  (void)status;
  rb_pg_begin(L, c, "BEGIN READ ONLY");
  return rb_pg_preview(L, c, previewed);
}

int rb_pg_execpreview (lua_State *L) {
  return rb_pg_lease(L, openexec(L, RB_PGPREVIEW, 1), readytolook);
}

/* -- what the deed has to be ---------------------------------------------- */

lua_Integer rb_pg_affected (const rb_PgCall *c) {
  return atoll(PQcmdTuples(c->answers[c->at]));
}

static void checkbounds (lua_State *L, rb_PgCall *c, const rb_PgStatement *st,
                         lua_Integer rows) {
  const rb_PgOptions *o = &c->options;
  if (o->bounded && (rows < o->min || rows > o->max))
    rb_fail(L, "drift", RB_NOTDONE, "%s: the %s changed %s, and %s; rolled back",
            c->resource->name, rb_pg_verb(st), rb_pg_rows(L, rows),
            rb_pg_bounds(L, o));
}

/* [-0, +0, v]  against the image at the top */
static void checkimage (lua_State *L, rb_PgCall *c, const rb_PgStatement *st,
                        lua_Integer rows) {
  lua_getfield(L, -1, "exact");
  lua_getfield(L, -2, "rows");
  int exact = lua_toboolean(L, -2);
  lua_Integer expected = lua_tointeger(L, -1);
  lua_pop(L, 2);
  if (exact && rows != expected)
    rb_fail(L, "drift", RB_NOTDONE, "%s: the %s was to change %s, and changed "
            "%s: something else changed them in between; rolled back",
            c->resource->name, rb_pg_verb(st), rb_pg_rows(L, expected),
            rb_pg_rows(L, rows));
  if (rows > expected) rb_charge(L, "pg_rows", rows - expected);
}

void rb_pg_checkrows (lua_State *L, rb_PgCall *c, const rb_PgStatement *st,
                      lua_Integer rows) {
  lua_Integer limit = rb_limit(L, "pg_rows_statement");
  checkbounds(L, c, st, rows);
  if (strcmp(st->kind, "SelectStmt") == 0 && rb_pg_writes(st->tree) == NULL)
    rows = 0;  /* looked at, not changed */
  if (limit >= 0 && rows > limit)
    rb_fail(L, "limit", RB_NOTDONE, "%s: the %s changed %s, over the limit "
            "pg_rows_statement = %d; rolled back", c->resource->name,
            rb_pg_verb(st), rb_pg_rows(L, rows), (int)limit);
  if (lua_istable(L, -1)) checkimage(L, c, st, rows);
  else if (rows > 0) rb_charge(L, "pg_rows", rows);
}

void rb_pg_pushresult (lua_State *L, lua_Integer rows, int returning) {
  lua_createtable(L, 0, 2);
  lua_pushinteger(L, rows);
  lua_setfield(L, -2, "rows");
  lua_pushvalue(L, returning);
  lua_setfield(L, -2, "returning");
}

/* -- facts ---------------------------------------------------------------- */

/* [-0, +1, m]  what is needed to look at the deed later; xid may be NULL */
static void pushfacts (lua_State *L, const rb_PgCall *c, const char *xid) {
  lua_createtable(L, 0, 4);
  lua_pushstring(L, xid);
  lua_setfield(L, -2, "xid");
  lua_pushstring(L, c->conn->system);
  lua_setfield(L, -2, "system");
  lua_pushstring(L, c->conn->timeline);
  lua_setfield(L, -2, "timeline");
  lua_pushstring(L, c->conn->database);
  lua_setfield(L, -2, "database");
}

/* -- commit --------------------------------------------------------------- */

static int committed (lua_State *L, int status, lua_KContext ctx) {
  rb_PgCall *c = (rb_PgCall *)ctx;
  (void)status;
  rb_pg_check(L, c, NULL);
  c->committing = 0;
  if (strcmp(PQcmdStatus(c->answers[0]), "COMMIT") != 0)
    return rb_fail(L, "server", RB_NOTDONE, "%s: an earlier statement had "
                   "failed, so the server rolled the transaction back",
                   c->resource->name);
  rb_pg_forget(c);
  return c->then(L, LUA_OK, ctx);
}

static int pledged (lua_State *L, int status, lua_KContext ctx) {
  rb_PgCall *c = (rb_PgCall *)ctx;
  (void)status;
  rb_pg_forget(c);
  c->at = -1;
  c->committing = 1;
  rb_pg_send(L, c, "COMMIT", 0, NULL, NULL);
  rb_pg_sync(L, c);
  return rb_pg_await(L, c, committed);
}

static int numbered (lua_State *L, int status, lua_KContext ctx) {
  rb_PgCall *c = (rb_PgCall *)ctx;
  (void)status;
  rb_pg_check(L, c, NULL);
  pushfacts(L, c, rb_pg_field(c, 0, 0, 0));
  return rb_pledge(L, ctx, pledged);
}

int rb_pg_commit (lua_State *L, rb_PgCall *c, lua_KFunction k) {
  int modern = PQserverVersion(c->conn->pg) >= 130000;
  c->then = k;
  c->at = -1;
  rb_pg_forget(c);
  rb_pg_send(L, c, modern ? "SELECT pg_current_xact_id()"
                          : "SELECT txid_current()", 0, NULL, NULL);
  rb_pg_sync(L, c);
  return rb_pg_await(L, c, numbered);
}

/* -- the deed ------------------------------------------------------------- */

/* the rows of RETURNING are at PLAN, the result after them */
static int done (lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  lua_settop(L, PLAN + 1);
  return 1;
}

static int changed (lua_State *L, int status, lua_KContext ctx) {
  rb_PgCall *c = (rb_PgCall *)ctx;
  const rb_PgStatement *st = lua_touserdata(L, STATEMENT);
  (void)status;
  rb_pg_check(L, c, st);
  lua_Integer rows = rb_pg_affected(c);
  rb_plan(L);
  lua_getfield(L, -1, "image");
  rb_pg_checkrows(L, c, st, rows);
  lua_settop(L, PLAN);
  rb_pg_pushresult(L, rows, PLAN);
  return rb_pg_commit(L, c, done);
}

static int readytochange (lua_State *L, int status, lua_KContext ctx) {
  rb_PgCall *c = (rb_PgCall *)ctx;
  const rb_PgStatement *st = lua_touserdata(L, STATEMENT);
  (void)status;
  rb_pg_begin(L, c, "BEGIN READ WRITE");
  c->at = rb_pg_send(L, c, st->text, st->n, NULL, st->values);
  rb_pg_collect(L, c);
  rb_pg_sync(L, c);
  return rb_pg_await(L, c, changed);
}

/* -- the deed without a transaction --------------------------------------- */

static int doneoutside (lua_State *L, int status, lua_KContext ctx) {
  rb_PgCall *c = (rb_PgCall *)ctx;
  const rb_PgStatement *st = lua_touserdata(L, STATEMENT);
  (void)status;
  c->conn->spoiled = 1;  /* its time limits are not those of the next */
  rb_pg_check(L, c, st);
  lua_pushnil(L);
  rb_pg_pushresult(L, rb_pg_affected(c), PLAN);
  return 1;
}

/* Some work piece by piece: their "no" does not undo the pieces done. */
static int piecemeal (const rb_PgStatement *st) {
  static const char *const kinds[] = {"SelectStmt", "CallStmt", "DoStmt", NULL};
  for (const char *const *k = kinds; *k != NULL; k++)
    if (strcmp(st->kind, *k) == 0) return 1;
  return 0;
}

static int pledgedoutside (lua_State *L, int status, lua_KContext ctx) {
  rb_PgCall *c = (rb_PgCall *)ctx;
  const rb_PgStatement *st = lua_touserdata(L, STATEMENT);
  (void)status;
  lua_settop(L, STATEMENT);
  c->committing = 1;
  c->partial = piecemeal(st);
  rb_pg_limits(L, c, 0);
  rb_pg_sync(L, c);
  c->at = rb_pg_send(L, c, st->text, st->n, NULL, st->values);
  rb_pg_collect(L, c);
  rb_pg_sync(L, c);
  return rb_pg_await(L, c, doneoutside);
}

static int outside (lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  pushfacts(L, (rb_PgCall *)ctx, NULL);
  return rb_pledge(L, ctx, pledgedoutside);
}

static int leased (lua_State *L, int status, lua_KContext ctx) {
  rb_PgCall *c = (rb_PgCall *)ctx;
  (void)status;
  return rb_pg_know(L, c, c->options.outside ? outside : readytochange);
}

int rb_pg_exec (lua_State *L) {
  rb_PgCall *c = openexec(L, RB_PGDEED, 0);
  rb_pg_checkdeed(L, c);
  return rb_pg_lease(L, c, leased);
}
