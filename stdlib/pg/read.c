/*
** read.c - what the server has against a statement, which it reads and does not run
**
** Parse and Describe of the extended protocol, with the unnamed statement, in a transaction that
** is READ ONLY and rolled back. Names and types are looked up for it; nothing is planned, let
** alone executed, and nothing of it is left (a PREPARE with a name would be: it survives ROLLBACK).
*/

#include <string.h>

#include "stdlib/pg/pg.h"

enum { VERB = OPTIONS };   /* on the stack: "exec" */

/* the beginnings of SQLSTATEs that speak of the statement, and not of this moment */
static const char *const states[] = {"0A", "22", "3D", "3F", "42", NULL};

static int isstate (const char *state, const char *const *list) {
  for (; state != NULL && *list != NULL; list++)
    if (strncmp(state, *list, strlen(*list)) == 0) return 1;
  return 0;
}

/* A probe's role may not see what a remedy's may. */
static int counts (lua_State *L, const PGresult *r) {
  const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
  int exec = strcmp(lua_tostring(L, VERB), "exec") == 0;
  return isstate(state, states) && !(exec && strcmp(state, "42501") == 0);
}

static int answered (lua_State *L, int status, lua_KContext ctx) {
  rb_PgCall *c = (rb_PgCall *)ctx;
  const char *said = "";
  (void)status;
  for (int i = c->at; i <= c->at + 1 && *said == '\0'; i++)
    if (PQresultStatus(c->answers[i]) == PGRES_FATAL_ERROR && counts(L, c->answers[i]))
      said = rb_pg_said(L, c, i, lua_touserdata(L, STATEMENT));
  lua_pushstring(L, said);
  return 1;
}

static int leased (lua_State *L, int status, lua_KContext ctx) {
  rb_PgCall *c = (rb_PgCall *)ctx;
  const rb_PgStatement *st = lua_touserdata(L, STATEMENT);
  (void)status;
  rb_pg_begin(L, c, "BEGIN READ ONLY");
  c->at = rb_pg_describe(L, c, st->text, st->n);
  rb_pg_sync(L, c);
  rb_pg_send(L, c, "ROLLBACK", 0, NULL, NULL);
  rb_pg_sync(L, c);
  return rb_pg_await(L, c, answered);
}

/* -- the statement -------------------------------------------------------- */

/* (values, name): which names are given; what a value is, nobody asks */
static int has (lua_State *L) {
  lua_settop(L, 2);
  lua_pushboolean(L, lua_rawget(L, 1) != LUA_TNIL);
  return 1;
}

static int any (lua_State *L) {
  lua_pushliteral(L, "");
  return 1;
}

static void setvalues (lua_State *L) {
  const luaL_Reg events[] = {{"__has", has}, {"__index", any}, {NULL, NULL}};
  luaL_newlib(L, events);
  lua_setmetatable(L, VALUES);
}

static int build (lua_State *L) {
  rb_pg_statement(L, lua_touserdata(L, lua_upvalueindex(1)));
  return 1;
}

/* [-0, +1, m]  What is no statement, or has a name that nobody gives, others have told. */
static int pushstatement (lua_State *L, rb_PgCall *c) {
  lua_pushlightuserdata(L, c);
  lua_pushcclosure(L, build, 1);
  for (int i = SELF; i <= OPTIONS; i++) lua_pushvalue(L, i);
  return lua_pcall(L, OPTIONS, 1, 0) == LUA_OK && rb_pg_plannable(lua_touserdata(L, -1));
}

int rb_pg_read (lua_State *L) {
  lua_settop(L, OPTIONS);
  rb_timeout(L, 3);
  setvalues(L);
  rb_PgCall *c = rb_pg_open(L, RB_PGPROBE, 0);
  if (pushstatement(L, c)) return rb_pg_lease(L, c, leased);
  lua_pushliteral(L, "");
  return 1;
}
