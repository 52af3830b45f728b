/*
** preview.c - what a statement would do, without doing it
**
** Two conversations in a read-only transaction, with the remedy's role. The
** first asks the server to read the statement (names, types) and the catalog
** about its tables; the second for the plan (EXPLAIN finds what is wrong
** without executing) and, where nothing in the statement's own WHERE does
** more than look, for the number of rows.
*/

#include <stdlib.h>
#include <string.h>

#include "stdlib/pg/pg.h"

static int is (const rb_PgStatement *st, const char *kind) {
  return strcmp(st->kind, kind) == 0;
}

static int has (const rb_PgStatement *st, const char *key) {
  return json_object_get(st->body, key) != NULL;
}

/* -- fields of the plan --------------------------------------------------- */

static void setstring (lua_State *L, const char *key, const char *s) {
  lua_pushstring(L, s);
  lua_setfield(L, PLAN, key);
}

void rb_pg_setflag (lua_State *L, const char *key, int b) {
  lua_pushboolean(L, b);
  lua_setfield(L, PLAN, key);
}

static int getflag (lua_State *L, const char *key) {
  lua_getfield(L, PLAN, key);
  int b = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return b;
}

void rb_pg_addreason (lua_State *L, const char *reason) {
  lua_getfield(L, PLAN, "reason");
  const char *have = lua_tostring(L, -1);
  if (have == NULL) lua_pushstring(L, reason);
  else lua_pushfstring(L, "%s; %s", have, reason);
  lua_setfield(L, PLAN, "reason");
  lua_pop(L, 1);
}

void rb_pg_doubt (lua_State *L, const char *reason) {
  rb_pg_addreason(L, reason);
  rb_pg_setflag(L, "exact", 0);
  rb_pg_setflag(L, "plain", 0);
  rb_pg_setflag(L, "spills", 1);
}

void rb_pg_forbid (lua_State *L, rb_PgCall *c, const char *words) {
  if (!c->follows) rb_pg_refuse(L, c, "%s", words);
  rb_pg_addreason(L, lua_pushfstring(L, "refused as it is now, before the statements ahead "
                                     "of it: %s", words));
  lua_pop(L, 1);
}

static void readtypes (rb_PgCall *c, rb_PgStatement *st) {
  const PGresult *r = c->answers[c->at + 1];
  for (int i = 0; i < st->n && i < PQnparams(r); i++)
    st->types[i] = PQparamtype(r, i);
}

/* [-0, +1, m]  the SQL that counts, or nil, and why not */
static const char *pushcount (lua_State *L, const rb_PgStatement *st,
                              const char *function, int readable) {
  int countable = is(st, "UpdateStmt") || is(st, "DeleteStmt") ||
    (is(st, "InsertStmt") && rb_pg_inserted(st) < 0) || is(st, "SelectStmt") ||
    (is(st, "TruncateStmt") && readable);
  rb_pg_setflag(L, "sampled", 0);
  if (countable && function != NULL) {
    rb_pg_doubt(L, lua_pushfstring(L, "not counted: %s may do more than look",
                                   function));
    lua_pop(L, 1);
    countable = 0;
  }
  int lockers = readable && rb_dryrun(L) && getflag(L, "stored") &&
    (is(st, "UpdateStmt") || is(st, "DeleteStmt"));
  rb_pg_setflag(L, "locking", 0);
  if (!countable) lua_pushnil(L);
  else if (rb_pg_count(L, st, readable, lockers)) {
    rb_pg_setflag(L, "sampled", readable);
    rb_pg_setflag(L, "locking", lockers);
  } else {
    lua_pop(L, 1);
    if (rb_pg_count(L, st, 0, 0) == 0) rb_pg_doubt(L, "not counted");
  }
  return lua_tostring(L, -1);
}

/* -- the plan ------------------------------------------------------------- */

/* [-0, +1, m]  the functions that a SELECT calls, as one text; 0: none */
static int pushcalls (lua_State *L, const rb_PgStatement *st) {
  rb_pg_functions(L, json_object_get(st->body, "targetList"));
  lua_pushliteral(L, "");
  for (lua_Integer i = 1; lua_rawgeti(L, -2, i) == LUA_TSTRING; i++) {
    lua_pushfstring(L, "%s%s%s", lua_tostring(L, -2), i > 1 ? ", " : "",
                    lua_tostring(L, -1));
    lua_replace(L, -3);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  lua_remove(L, -2);
  return lua_rawlen(L, -1) > 0;
}

/* "UPDATE matches 3 rows of greenwood_high.user_sessions"; what has no rows is
** its own best summary */
static void summarize (lua_State *L, const rb_PgStatement *st, lua_Integer n) {
  int top = lua_gettop(L);
  const char *verb = rb_pg_verb(st);
  const char *rows = n >= 0 ? rb_pg_rows(L, n) : "rows not counted";
  lua_getfield(L, PLAN, "target");
  const char *target = lua_tostring(L, -1);
  if (is(st, "SelectStmt") && pushcalls(L, st)) {
    lua_pushfstring(L, n >= 0 ? "SELECT calls %s for %s" : "SELECT calls %s",
                    lua_tostring(L, -1), rows);
  } else if (is(st, "TruncateStmt") && n >= 0)
    lua_pushfstring(L, "%s: %s", rb_pg_brief(L, st->text), rows);
  else if (target == NULL) rb_pg_brief(L, st->text);
  else if (n < 0) lua_pushfstring(L, "%s of %s, %s", verb, target, rows);
  else if (is(st, "InsertStmt"))
    lua_pushfstring(L, "INSERT adds %s%s to %s",
                    getflag(L, "exact") ? "" : "up to ", rows, target);
  else lua_pushfstring(L, "%s matches %s of %s", verb, rows, target);
  lua_setfield(L, PLAN, "summary");
  lua_settop(L, top);
}

static void setrows (lua_State *L, const rb_PgStatement *st, lua_Integer n) {
  lua_pushinteger(L, n);
  lua_setfield(L, PLAN, "rows");
  if (is(st, "SelectStmt")) return;  /* rows that it looked at */
  lua_createtable(L, 0, 2);
  lua_pushinteger(L, n);
  lua_setfield(L, -2, "pg_rows");
  lua_pushinteger(L, n);
  lua_setfield(L, -2, "pg_rows_statement");
  lua_setfield(L, PLAN, "counts");
}

/* what the deed has to find again */
static void setimage (lua_State *L, lua_Integer n, int exact) {
  lua_createtable(L, 0, 2);
  lua_pushinteger(L, n);
  lua_setfield(L, -2, "rows");
  lua_pushboolean(L, exact);
  lua_setfield(L, -2, "exact");
  lua_setfield(L, PLAN, "image");
}

/* [-0, +0, m]  {value = the text at the top} */
static void setvalue (lua_State *L, const char *key) {
  lua_createtable(L, 0, 1);
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, "value");
  lua_setfield(L, PLAN, key);
}

/* what is sent: a plan that is applied must send the same */
static void setasked (lua_State *L, const rb_PgStatement *st) {
  lua_createtable(L, st->n + 1, 0);
  lua_pushstring(L, st->text);
  lua_rawseti(L, -2, 1);
  for (int i = 0; i < st->n; i++) {
    if (st->values[i] != NULL) lua_pushstring(L, st->values[i]);
    else lua_pushboolean(L, 0);
    lua_rawseti(L, -2, i + 2);
  }
  lua_setfield(L, PLAN, "asked");
}

static int issecret (const rb_PgCall *c, const char *column) {
  for (char **s = c->pool->secret; s != NULL && *s != NULL; s++)
    if (strcmp(*s, column) == 0) return 1;
  return 0;
}

/* columns that an UPDATE sets: what they are now, where it is one value */
static void setsamples (lua_State *L, rb_PgCall *c, const rb_PgStatement *st,
                        int answer, lua_Integer n) {
  const json_t *item;
  size_t i;
  int column = 1;
  lua_pushliteral(L, "");
  json_array_foreach(json_object_get(st->body, "targetList"), i, item) {
    const char *low = rb_pg_field(c, answer, 0, column);
    const char *high = rb_pg_field(c, answer, 0, column + 1);
    const char *some = rb_pg_field(c, answer, 0, column + 2);
    const char *name = rb_pg_samplename(item);
    if (name == NULL) continue;
    if (some == NULL) break;
    int same = low != NULL && strcmp(low, high) == 0 && atoll(some) == n;
    const char *comma = lua_rawlen(L, -1) > 0 ? ", " : "";
    if (issecret(c, name))
      lua_pushfstring(L, "%s%s%s is not shown", lua_tostring(L, -1), comma, name);
    else if (low == NULL)
      lua_pushfstring(L, "%s%s%s = NULL", lua_tostring(L, -1), comma, name);
    else
      lua_pushfstring(L, same && strlen(low) <= 80 ? "%s%s%s = '%s'"
                      : "%s%s%s varies", lua_tostring(L, -1), comma, name, low);
    lua_remove(L, -2);
    column += 3;
  }
  if (lua_rawlen(L, -1) > 0) setvalue(L, "before");
  lua_pop(L, 1);
}

/* The number of rows is n (-1: not known). */
static void complete (lua_State *L, rb_PgCall *c, const rb_PgStatement *st,
                      lua_Integer n) {
  int exact = n >= 0 && getflag(L, "exact") && !is(st, "TruncateStmt");
  int returning = has(st, "returningList") || is(st, "SelectStmt");
  if (n >= 0) {
    setrows(L, st, n);
    setimage(L, n, exact);
  }
  if (!exact) rb_pg_setflag(L, "spills", 1);
  summarize(L, st, n);
  rb_pg_setflag(L, "guarded", !c->options.outside && (exact || c->options.bounded));
  rb_pg_setflag(L, "exact", exact && (n == 0 || !returning));
  if (exact && n == 0) {
    setstring(L, "verdict", "nothing to do");
    lua_pushnil(L);
    lua_setfield(L, PLAN, "reason");
  }
  if (exact && (n == 0 || !returning)) {
    lua_newtable(L);
    rb_pg_pushresult(L, n, lua_gettop(L));
    lua_setfield(L, PLAN, "result");
    lua_pop(L, 1);
  }
  setstring(L, "reach", "resource");
}

static void checkbounds (lua_State *L, rb_PgCall *c, const rb_PgStatement *st,
                         lua_Integer n) {
  const rb_PgOptions *o = &c->options;
  if (n < 0 || !o->bounded || (o->min <= n && n <= o->max)) return;
  if (getflag(L, "exact"))
    rb_pg_refuse(L, c, "the %s matches %s, and %s", rb_pg_verb(st),
                 rb_pg_rows(L, n), rb_pg_bounds(L, o));
}

/* Rows that the catalog forbids: refused, if there are any. */
static void checknulls (lua_State *L, rb_PgCall *c, lua_Integer n) {
  if (lua_getfield(L, PLAN, "nulls") != LUA_TNIL && n != 0) {
    if (n > 0 && getflag(L, "exact")) rb_pg_forbid(L, c, lua_tostring(L, -1));
    else rb_pg_addreason(L, lua_tostring(L, -1));
  }
  lua_pop(L, 1);
}

/* -- the conversations ---------------------------------------------------- */

static int finish (lua_State *L, rb_PgCall *c, lua_Integer n) {
  const rb_PgStatement *st = lua_touserdata(L, STATEMENT);
  checkbounds(L, c, st, n);
  checknulls(L, c, n);
  complete(L, c, st, n);
  lua_settop(L, PLAN);
  return c->then(L, LUA_OK, (lua_KContext)c);
}

/* where things stand while it is asked who has locked the rows */
enum { ROWS = PLAN + 1, LOCKERS, LOOKED };

static int asklockers (lua_State *L, int status, lua_KContext ctx);

/* Who holds them at two looks, with a moment in between, is waited for by the deed, too. */
static int lockersknown (lua_State *L, int status, lua_KContext ctx) {
  rb_PgCall *c = (rb_PgCall *)ctx;
  int again = lua_gettop(L) >= LOOKED;
  (void)status;
  rb_pg_check(L, c, NULL);
  const char *who = rb_pg_pushlocker(L, c);
  lua_getfield(L, PLAN, "target");
  if (who != NULL && again)
    rb_pg_refuse(L, c, "rows of %s are locked by %s: the statement would wait for it",
                 lua_tostring(L, -1), who);
  rb_pg_forget(c);
  lua_settop(L, LOCKERS);
  if (who == NULL) return finish(L, c, lua_tointeger(L, ROWS));
  lua_pushboolean(L, 1);                                 /* at LOOKED */
  return rb_sleep(L, RB_PGGLANCE / 1000.0, ctx, asklockers);
}

static int asklockers (lua_State *L, int status, lua_KContext ctx) {
  rb_PgCall *c = (rb_PgCall *)ctx;
  (void)status;
  c->at = -1;
  rb_pg_sendlockers(L, c, lua_tostring(L, LOCKERS));
  return rb_pg_await(L, c, lockersknown);
}

static int counted (lua_State *L, int status, lua_KContext ctx) {
  rb_PgCall *c = (rb_PgCall *)ctx;
  const rb_PgStatement *st = lua_touserdata(L, STATEMENT);
  (void)status;
  rb_pg_check(L, c, st);
  const char *count = getflag(L, "counting")
    ? rb_pg_field(c, c->sent - 1, 0, 0) : NULL;
  lua_Integer n = count != NULL ? atoll(count) : rb_pg_inserted(st);
  if (n > 0 && is(st, "UpdateStmt") && getflag(L, "sampled"))
    setsamples(L, c, st, c->sent - 1, n);
  lua_settop(L, PLAN);
  lua_pushinteger(L, n);                                 /* at ROWS */
  lua_pushstring(L, !getflag(L, "locking") ? NULL
    : rb_pg_field(c, c->sent - 1, 0, PQnfields(c->answers[c->sent - 1]) - 1));
  rb_pg_forget(c);
  return lua_isnil(L, LOCKERS) ? finish(L, c, n) : asklockers(L, LUA_OK, ctx);
}

/* [-0, +0, m]  what an UPDATE would make of the columns */
static void setafter (lua_State *L, const rb_PgStatement *st) {
  rb_pg_assignments(L, st);
  if (lua_isstring(L, -1)) setvalue(L, "after");
  lua_pop(L, 1);
}

/* Which question about what would be refused does it need? CHANGES: that of NEWROWS,
** where the catalog says that there are constraints. */
enum { NOTHING, OBJECTS, NEWROWS, CHANGES };

static int asks (const rb_PgStatement *st) {
  static const struct { const char *kind; int asks; } kinds[] = {
    {"CallStmt", NOTHING}, {"DeleteStmt", CHANGES}, {"DoStmt", NOTHING},
    {"InsertStmt", NEWROWS}, {"MergeStmt", NOTHING}, {"NotifyStmt", NOTHING},
    {"TruncateStmt", NEWROWS}, {"UpdateStmt", CHANGES}
  };
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
    if (is(st, kinds[i].kind)) return kinds[i].asks;
  return !is(st, "SelectStmt") || has(st, "intoClause") ? OBJECTS : NOTHING;
}

/* Does the server read more of it than its syntax, before it runs? */
static int described (const rb_PgStatement *st) {
  return rb_pg_plannable(st) || is(st, "CallStmt") || is(st, "CreateTableAsStmt");
}

/* what the number of rows leaves open */
static void warn (lua_State *L, const rb_PgStatement *st) {
  if (has(st, "onConflictClause"))
    rb_pg_doubt(L, "ON CONFLICT decides row by row");
  if (is(st, "DoStmt") || is(st, "CallStmt"))
    rb_pg_doubt(L, "what its code does cannot be seen before");
  if (is(st, "TruncateStmt") && strcmp(json_string_value(
        json_object_get(st->body, "behavior")), "DROP_CASCADE") == 0)
    rb_pg_doubt(L, "CASCADE empties the tables that refer to it, too");
  if (asks(st) == OBJECTS && !rb_pg_plannable(st))
    rb_pg_addreason(L, RB_PGDECIDES "rights, dependent objects and constraints");
  if (is(st, "MergeStmt") || rb_pg_writes(json_object_get(st->body, "withClause")))
    rb_pg_addreason(L, RB_PGDECIDES "constraints");
}

static void explain (lua_State *L, rb_PgCall *c, const rb_PgStatement *st) {
  static const char word[] = "EXPLAIN ";
  const char *sql = lua_pushfstring(L, "%s%s", word, st->text);
  c->shift = (int)strlen(word);
  c->at = rb_pg_send(L, c, sql, st->n, st->types, st->values);
}

/* the number of the first answer of the catalog */
static int first (const rb_PgCall *c, const rb_PgStatement *st) {
  return c->at + 2 * described(st);
}

/* what would be refused, and what nobody knows before */
static void readforbidden (lua_State *L, rb_PgCall *c, const rb_PgStatement *st) {
  if (c->forbids == 0) return;
  if (asks(st) == OBJECTS) rb_pg_readobjects(L, c, c->forbids);
  else rb_pg_readconstraints(L, c, st, c->forbids);
}

static int learned (lua_State *L, int status, lua_KContext ctx) {
  rb_PgCall *c = (rb_PgCall *)ctx;
  rb_PgStatement *st = lua_touserdata(L, STATEMENT);
  int readable, plannable = rb_pg_plannable(st);
  const char *own;
  (void)status;
  rb_pg_check(L, c, st);
  const char *function = rb_pg_learn(L, c, st, first(c, st), &readable, &own);
  if (described(st)) readtypes(c, st);
  if (plannable && own != NULL) {  /* planning runs it, with the remedy's rights */
    rb_pg_addreason(L, lua_pushfstring(L, "not planned: %s may do more than look", own));
    plannable = 0;
  }
  readforbidden(L, c, st);
  warn(L, st);
  const char *count = pushcount(L, st, function, readable);
  rb_pg_setflag(L, "counting", count != NULL);
  rb_pg_forget(c);
  setafter(L, st);
  if (!plannable && count == NULL) return finish(L, c, rb_pg_inserted(st));
  if (plannable) explain(L, c, st);
  else c->at = -1;
  if (count != NULL) rb_pg_send(L, c, count, st->n, st->types, st->values);
  rb_pg_sync(L, c);
  return rb_pg_await(L, c, counted);
}

static int looked (lua_State *L, int status, lua_KContext ctx) {
  rb_PgCall *c = (rb_PgCall *)ctx;
  const rb_PgStatement *st = lua_touserdata(L, STATEMENT);
  rb_pg_check(L, c, st);
  int answer = first(c, st);
  int code = rb_pg_suspects(c, answer);
  int bound = asks(st) == CHANGES && rb_pg_constrained(c, answer);
  if (!code && !bound) return learned(L, status, ctx);
  if (code) c->code = rb_pg_askcode(L, c, st);
  if (bound) c->forbids = rb_pg_askconstraints(L, c, st);
  rb_pg_sync(L, c);
  return rb_pg_await(L, c, learned);
}

int rb_pg_preview (lua_State *L, rb_PgCall *c, lua_KFunction k) {
  const rb_PgStatement *st = lua_touserdata(L, STATEMENT);
  c->then = k;
  lua_settop(L, STATEMENT);
  lua_newtable(L);
  rb_pg_setflag(L, "exact", 1);
  rb_pg_setflag(L, "plain", 1);
  setasked(L, st);
  c->at = c->sent;
  c->shift = 0;
  c->code = c->forbids = 0;
  if (described(st)) rb_pg_describe(L, c, st->text, st->n);
  else if (st->n > 0)
    rb_pg_refuse(L, c, "PostgreSQL takes no values in %s: write them into it", rb_pg_verb(st));
  rb_pg_ask(L, c, st);
  if (asks(st) == OBJECTS) c->forbids = rb_pg_askobjects(L, c, st);
  if (asks(st) == NEWROWS) c->forbids = rb_pg_askconstraints(L, c, st);
  rb_pg_sync(L, c);
  return rb_pg_await(L, c, looked);
}
