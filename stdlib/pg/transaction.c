/*
** transaction.c - several statements as one effect
**
** The script's function runs twice: for the preview in a read-only
** transaction, where exec looks at what it would do, and for the deed. What an
** earlier statement would change, a later one cannot see in the preview: its
** number of rows is then what it is now, and is said to be so.
*/

#include <string.h>

#include "stdlib/pg/pg.h"

#define OPEN "pg.transactions"   /* registry: transaction -> its call */

/* on the stack of p:transaction */
enum { FN = SQL, STATE = STATEMENT, TX = PLAN };

/* What a dry run cannot know has this in its place; looking at it ends the
** preview with this very value as the error. */
static const char unknown = 0;

/* -- the transaction as the script sees it -------------------------------- */

/* [-0, +1, m]  the table transaction -> call; weak, so that it keeps nothing */
static void pushopen (lua_State *L) {
  if (lua_getfield(L, LUA_REGISTRYINDEX, OPEN) == LUA_TTABLE) return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "k");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lua_setfield(L, LUA_REGISTRYINDEX, OPEN);
}

/* [-0, +1, m]  at TX; CALL is its call */
static void newtx (lua_State *L) {
  lua_newtable(L);
  rb_settype(L, "pg.transaction");
  pushopen(L);
  lua_pushvalue(L, TX);
  lua_pushvalue(L, CALL);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

rb_PgCall *rb_pg_checktx (lua_State *L) {
  luaL_checktype(L, SELF, LUA_TTABLE);
  pushopen(L);
  lua_pushvalue(L, SELF);
  lua_rawget(L, -2);
  rb_PgCall *tx = lua_touserdata(L, -1);
  lua_pop(L, 2);
  if (tx == NULL || tx->over)
    luaL_error(L, "the transaction is over: its statements belong inside the "
               "function that p:transaction calls");
  if (tx->task != rb_self(L))
    luaL_error(L, "%s: the transaction is that of another branch of run:each: "
               "its statements belong inside its own function", tx->resource->name);
  if (tx->conn->spoiled)
    rb_fail(L, "io", RB_NOTDONE, "%s: the transaction's connection was closed "
            "after a failure", tx->resource->name);
  return tx;
}

/* -- what the statements add up to ---------------------------------------- */

/* [-0, +1, m]  the state of the transaction that SELF is */
static void pushstate (lua_State *L) {
  pushopen(L);
  lua_pushvalue(L, SELF);
  lua_rawget(L, -2);
  lua_getiuservalue(L, -1, 1);
  lua_replace(L, -3);
  lua_pop(L, 1);
}

static void newstate (lua_State *L) {
  static const char *const lists[] = {"summaries", "reasons", "rows", "written", "asked"};
  lua_newtable(L);
  for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
    lua_newtable(L);
    lua_setfield(L, -2, lists[i]);
  }
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, CALL, 1);
}

/* [-0, +0]  a number and a flag of the table at the top */
static lua_Integer number (lua_State *L, const char *key) {
  lua_getfield(L, -1, key);
  lua_Integer n = lua_tointeger(L, -1);
  lua_pop(L, 1);
  return n;
}

static void setnumber (lua_State *L, const char *key, lua_Integer n) {
  lua_pushinteger(L, n);
  lua_setfield(L, -2, key);
}

static int flag (lua_State *L, const char *key) {
  lua_getfield(L, -1, key);
  int b = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return b;
}

static void setflag (lua_State *L, const char *key) {
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, key);
}

/* [-1, +0, m]  the value at the top, at the end of a list of the table below */
static void append (lua_State *L, const char *key) {
  lua_getfield(L, -2, key);
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  lua_pop(L, 2);
}

void rb_pg_looked (lua_State *L, rb_PgCall *tx) {
  if (!tx->preview) return;
  pushstate(L);
  if (number(L, "changes") > 0 && !flag(L, "blind")) {
    setflag(L, "blind");
    lua_pushliteral(L, "reads inside the transaction see it as it is now");
    append(L, "reasons");
  }
  lua_pop(L, 1);
}

/* [-0, +0]  Does the state (top) hold a table of the plan's as written? */
static int overlaps (lua_State *L) {
  int found = 0;
  lua_getfield(L, -1, "written");
  lua_getfield(L, PLAN, "tables");
  for (lua_Integer i = 1; !found && lua_rawgeti(L, -1, i) != LUA_TNIL; i++) {
    found = lua_rawget(L, -3) != LUA_TNIL;
    lua_pop(L, 1);
  }
  lua_settop(L, lua_gettop(L) - (found ? 2 : 3));
  return found;
}

static int planflag (lua_State *L, const char *key) {
  lua_getfield(L, PLAN, key);
  int b = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return b;
}

/* [-0, +0, m]  May an earlier statement have changed what this one was counted
** on? Then its number is of now, and its result not known. */
static void outdate (lua_State *L) {
  if (number(L, "changes") == 0) return;
  if (!flag(L, "blind") && planflag(L, "plain") && !overlaps(L)) return;
  lua_getfield(L, PLAN, "image");
  if (lua_istable(L, -1)) {
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "exact");
  }
  lua_pop(L, 1);
  rb_pg_setflag(L, "exact", 0);
  lua_pushnil(L);
  lua_setfield(L, PLAN, "verdict");
  rb_pg_addreason(L, "counted before the statements ahead of it");
}

/* [-0, +0, m]  the plan's target, and what it may set off, is written */
static void remember (lua_State *L) {
  lua_getfield(L, -1, "written");
  if (lua_getfield(L, PLAN, "target") == LUA_TSTRING) {
    lua_pushboolean(L, 1);
    lua_rawset(L, -3);
  } else lua_pop(L, 1);
  lua_pop(L, 1);
  if (planflag(L, "spills")) setflag(L, "blind");
}

/* [-0, +0, m]  Adds the plan at PLAN to the state at the top. */
static void addplan (lua_State *L) {
  static const char *const texts[][2] = {
    {"summary", "summaries"}, {"reason", "reasons"}
  };
  outdate(L);
  for (int i = 0; i < 2; i++)
    if (lua_getfield(L, PLAN, texts[i][0]) == LUA_TSTRING) append(L, texts[i][1]);
    else lua_pop(L, 1);
  lua_getfield(L, PLAN, "asked");
  append(L, "asked");
  lua_getfield(L, PLAN, "rows");
  lua_Integer rows = lua_tointeger(L, -1);
  lua_pop(L, 1);
  if (lua_getfield(L, PLAN, "image") == LUA_TNIL)
    lua_pop(L, 1), lua_pushboolean(L, 0);
  append(L, "rows");
  int nothing = lua_getfield(L, PLAN, "verdict") == LUA_TSTRING;
  lua_pop(L, 1);
  if (!planflag(L, "exact")) setflag(L, "inexact");
  if (lua_getfield(L, PLAN, "counts") == LUA_TNIL) rows = 0;
  lua_pop(L, 1);
  setnumber(L, "total", number(L, "total") + rows);
  if (rows > number(L, "most")) setnumber(L, "most", rows);
  if (nothing) return;
  setnumber(L, "changes", number(L, "changes") + 1);
  remember(L);
}

/* -- tx:exec -------------------------------------------------------------- */

static int lookedat (lua_State *L) {
  lua_pushlightuserdata(L, (void *)&unknown);
  return lua_error(L);
}

/* [-0, +1, m]  a result that cannot be looked at */
static void pushunknown (lua_State *L) {
  static const char *const events[] = {"__index", "__len", "__pairs", NULL};
  lua_newtable(L);
  lua_newtable(L);
  for (const char *const *e = events; *e != NULL; e++) {
    lua_pushcfunction(L, lookedat);
    lua_setfield(L, -2, *e);
  }
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_setmetatable(L, -2);
}

static int previewed (lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  pushstate(L);
  addplan(L);
  lua_pop(L, 1);
  if (planflag(L, "exact")) lua_getfield(L, PLAN, "result");
  else pushunknown(L);
  return 1;
}

/* [-0, +1, m]  what the preview saw of this statement: {rows=, exact=}, false
** or nil */
static void pushimage (lua_State *L) {
  pushstate(L);
  lua_Integer n = number(L, "done") + 1;
  setnumber(L, "done", n);
  rb_plan(L);
  lua_getfield(L, -1, "image");
  if (lua_istable(L, -1)) lua_getfield(L, -1, "statements");
  if (lua_istable(L, -1)) lua_rawgeti(L, -1, n);
}

static int changed (lua_State *L, int status, lua_KContext ctx) {
  rb_PgCall *c = (rb_PgCall *)ctx;
  const rb_PgStatement *st = lua_touserdata(L, STATEMENT);
  (void)status;
  rb_pg_check(L, c, st);
  lua_Integer rows = rb_pg_affected(c);
  pushimage(L);
  rb_pg_checkrows(L, c, st, rows);
  rb_pg_pushresult(L, rows, c->rows);
  return 1;
}

int rb_pg_txexec (lua_State *L) {
  rb_PgOptions options;
  rb_PgCall *tx = rb_pg_checktx(L);
  rb_pg_arguments(L);
  rb_pg_suboptions(L, &options);
  rb_PgCall *c = rb_pg_within(L, tx);
  c->options = options;
  const rb_PgStatement *st = rb_pg_execstatement(L, c);
  pushstate(L);
  c->follows = number(L, "changes") > 0;
  lua_pop(L, 1);
  if (tx->preview) return rb_pg_preview(L, c, previewed);
  rb_pg_checkdeed(L, c);
  c->at = rb_pg_send(L, c, st->text, st->n, NULL, st->values);
  rb_pg_collect(L, c);
  rb_pg_sync(L, c);
  return rb_pg_await(L, c, changed);
}

/* -- p:transaction -------------------------------------------------------- */

static rb_PgCall *opentx (lua_State *L, rb_PgRole role, int preview) {
  rb_PgOptions options;
  luaL_checktype(L, FN, LUA_TFUNCTION);
  lua_settop(L, 3);
  luaL_argexpected(L, lua_isnil(L, 3) || lua_istable(L, 3), 3,
                   "table of options");
  lua_pushnil(L);
  lua_insert(L, VALUES);                              /* self fn nil options */
  rb_pg_options(L, &options);
  luaL_argcheck(L, !options.bounded && !options.outside, 3,
                "a transaction takes timeout only");
  return rb_pg_open(L, role, preview);
}

static int finished (lua_State *L, int status, lua_KContext ctx);

/* BEGIN is answered: the script's turn */
static int begun (lua_State *L, int status, lua_KContext ctx) {
  rb_PgCall *c = (rb_PgCall *)ctx;
  (void)status;
  rb_pg_check(L, c, NULL);
  rb_pg_forget(c);
  newstate(L);
  newtx(L);
  lua_pushvalue(L, FN);
  lua_pushvalue(L, TX);
  return finished(L, lua_pcallk(L, 1, 1, 0, ctx, finished), ctx);
}

static int begin (lua_State *L, int status, lua_KContext ctx) {
  rb_PgCall *c = (rb_PgCall *)ctx;
  (void)status;
  c->at = -1;
  rb_pg_begin(L, c, c->preview ? "BEGIN READ ONLY" : "BEGIN READ WRITE");
  rb_pg_sync(L, c);
  return rb_pg_await(L, c, begun);
}

/* the error of the script's function is at the top */
static int failed (lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  return lua_error(L);
}

/* -- the preview's plan --------------------------------------------------- */

/* [-0, +1, m]  a list of the state as one text; nil when it is empty */
static void pushjoined (lua_State *L, const char *key) {
  lua_getfield(L, STATE, key);
  lua_pushnil(L);
  for (lua_Integer i = 1; lua_rawgeti(L, -2, i) == LUA_TSTRING; i++) {
    if (i > 1) {
      lua_pushfstring(L, "%s; %s", lua_tostring(L, -2), lua_tostring(L, -1));
      lua_remove(L, -2);
    }
    lua_replace(L, -2);
  }
  lua_pop(L, 1);
  lua_remove(L, -2);
}

/* [-0, +0, m]  what the deed must find, and what it charges, into the plan at
** the top */
static void setimage (lua_State *L) {
  lua_createtable(L, 0, 1);
  lua_getfield(L, STATE, "rows");
  lua_setfield(L, -2, "statements");
  lua_setfield(L, -2, "image");
  lua_createtable(L, 0, 2);
  lua_getfield(L, STATE, "total");
  lua_setfield(L, -2, "pg_rows");
  lua_getfield(L, STATE, "most");
  lua_setfield(L, -2, "pg_rows_statement");
  lua_setfield(L, -2, "counts");
  lua_getfield(L, STATE, "total");
  lua_setfield(L, -2, "rows");
}

/* [-0, +1, m]  The plan; the function's result, or its error, is at TX + 1. */
static void pushplan (lua_State *L) {
  lua_pushvalue(L, STATE);
  int ended = lua_touserdata(L, TX + 1) == &unknown;
  int changes = number(L, "changes") > 0;
  int exact = !ended && !flag(L, "inexact");
  lua_newtable(L);
  pushjoined(L, "summaries");
  lua_pushfstring(L, changes ? "transaction: %s" : "transaction: nothing to do%s",
                  changes ? lua_tostring(L, -1) : "");
  lua_setfield(L, -3, "summary");
  lua_pop(L, 1);
  if (changes) pushjoined(L, "reasons"), lua_setfield(L, -2, "reason");
  lua_pushstring(L, ended ? "cannot predict" : exact && !changes
                 ? "nothing to do" : "would do");
  lua_setfield(L, -2, "verdict");
  if (ended) lua_pushliteral(L, "its function looks at a result that only the "
                             "deed can have"), lua_setfield(L, -2, "reason");
  if (!ended) setimage(L);
  lua_getfield(L, STATE, "asked");
  lua_setfield(L, -2, "asked");
  lua_pushboolean(L, exact);
  lua_setfield(L, -2, "exact");
  lua_pushvalue(L, TX + 1);
  if (exact) lua_setfield(L, -2, "result");
  else lua_pop(L, 1);
  lua_pushboolean(L, exact);
  lua_setfield(L, -2, "guarded");
  lua_pushliteral(L, "resource");
  lua_setfield(L, -2, "reach");
}

static int looked (lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  pushplan(L);
  return 1;
}

/* -- the end -------------------------------------------------------------- */

static int committed (lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  lua_settop(L, TX + 1);
  return 1;
}

/* As many statements as the preview saw, where it saw them all? */
static void checkcount (lua_State *L, rb_PgCall *c) {
  rb_plan(L);
  int exact = lua_istable(L, -1) && flag(L, "exact");
  lua_getfield(L, -1, "image");
  if (lua_istable(L, -1)) lua_getfield(L, -1, "statements");
  int expected = lua_istable(L, -1) ? (int)lua_rawlen(L, -1) : 0;
  lua_pushvalue(L, STATE);
  int done = (int)number(L, "done");
  if (exact && done != expected)
    rb_fail(L, "drift", RB_NOTDONE, "%s: the transaction was to make %d changes "
            "and made %d; rolled back", c->resource->name, expected, done);
  lua_settop(L, TX + 1);
}

/* The script's function has returned or raised; that is at TX + 1. */
static int finished (lua_State *L, int status, lua_KContext ctx) {
  rb_PgCall *c = (rb_PgCall *)ctx;
  int ok = status == LUA_OK || status == LUA_YIELD;
  c->over = 1;
  c->at = -1;
  lua_settop(L, TX + 1);
  if (c->preview && (ok || lua_touserdata(L, -1) == &unknown))
    return c->conn->spoiled ? looked(L, LUA_OK, ctx)
                            : rb_pg_rollback(L, c, looked);
  if (!ok)
    return c->conn->spoiled ? lua_error(L) : rb_pg_rollback(L, c, failed);
  if (PQtransactionStatus(c->conn->pg) == PQTRANS_INERROR)
    rb_fail(L, "server", RB_NOTDONE, "%s: a statement of the transaction failed, "
            "so all of it is rolled back", c->resource->name);
  checkcount(L, c);
  return rb_pg_commit(L, c, committed);
}

static int leased (lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  return rb_pg_know(L, (rb_PgCall *)ctx, begin);
}

int rb_pg_transactionpreview (lua_State *L) {
  return rb_pg_lease(L, opentx(L, RB_PGPREVIEW, 1), begin);
}

int rb_pg_transaction (lua_State *L) {
  rb_PgCall *c = opentx(L, RB_PGDEED, 0);
  rb_pg_checkdeed(L, c);
  return rb_pg_lease(L, c, leased);
}
