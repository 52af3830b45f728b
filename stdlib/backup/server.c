/*
** server.c - questions to the database, asked in a thread of their own
**
** libpq blocks, and looks up names while it does; so a question is a job for
** rb_aside. A connection belongs to the call and to the question under way;
** whoever lets go last closes it.
*/

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "stdlib/backup/backup.h"

#define SERVER "backup.server"

typedef struct Server {
  atomic_int holders;
  PGconn *pg;
  char *url;
} Server;

enum { MOST = 4 };

typedef struct Question {
  Server *server;
  const char *sql;
  char *values[MOST];
  int n;
  PGresult *result;
  char error[400];
  lua_KContext ctx;
  lua_KFunction k;
} Question;

static void letgo (Server *s) {
  if (s == NULL || atomic_fetch_sub(&s->holders, 1) > 1) return;
  PQfinish(s->pg);
  free(s->url);
  free(s);
}

/* -- in the thread -------------------------------------------------------------- */

static void keeperror (Question *q, const char *text) {
  size_t n = strlen(text);
  while (n > 0 && (unsigned char)text[n - 1] <= ' ') n--;
  if (n >= sizeof q->error) n = sizeof q->error - 1;
  memcpy(q->error, text, n);
  q->error[n] = '\0';
}

static void unnoticed (void *ud, const PGresult *notice) {
  (void)ud; (void)notice;
}

static int connected (Question *q) {
  /* what stands after the URL overrides it */
  const char *keys[] = {"connect_timeout", "dbname", "client_encoding",
                        "fallback_application_name", NULL};
  const char *values[] = {"10", q->server->url, "UTF8", "runbook", NULL};
  if (q->server->pg != NULL) return 1;
  q->server->pg = PQconnectdbParams(keys, values, 1);
  if (PQstatus(q->server->pg) != CONNECTION_OK) {
    keeperror(q, PQerrorMessage(q->server->pg));
    return 0;
  }
  PQsetNoticeReceiver(q->server->pg, unnoticed, NULL);
  PGresult *r = PQexec(q->server->pg, "SET default_transaction_read_only = on;"
                       "SET search_path = ''; SET row_security = off;"
                       "SET lock_timeout = '5s'; SET statement_timeout = '1h'");
  int fine = PQresultStatus(r) == PGRES_COMMAND_OK;
  if (!fine) keeperror(q, PQresultErrorMessage(r));
  PQclear(r);
  return fine;
}

static void ask (void *job) {
  Question *q = job;
  if (!connected(q)) return;
  q->result = PQexecParams(q->server->pg, q->sql, q->n, NULL,
                           (const char *const *)q->values, NULL, NULL, 0);
  ExecStatusType status = PQresultStatus(q->result);
  if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) return;
  const char *said = PQresultErrorField(q->result, PG_DIAG_MESSAGE_PRIMARY);
  keeperror(q, said != NULL ? said : PQerrorMessage(q->server->pg));
  if (q->error[0] == '\0') strcpy(q->error, "the connection was lost");
}

static void drop (void *job) {
  Question *q = job;
  PQclear(q->result);
  for (int i = 0; i < q->n; i++) free(q->values[i]);
  letgo(q->server);
}

/* -- the call's side --------------------------------------------------------------- */

static int server_close (lua_State *L) {
  Server **s = luaL_checkudata(L, 1, SERVER);
  letgo(*s);
  *s = NULL;
  return 0;
}

const char *rb_server_url (lua_State *L) {
  rb_Resource *r = rb_resource(L), pg = {.name = r->name, .system = r->system, .kind = "pg"};
  if (rb_setting(L, r, "pg") != LUA_TSTRING) {
    lua_pop(L, 1);
    if (rb_setting(L, &pg, "url") != LUA_TSTRING)
      rb_fail(L, "missing", RB_NOTDONE, "%s: which database? The system has no pg; add it, "
              "or give the backup a URL: backup = { path =, pg = }", r->name);
  }
  return lua_tostring(L, -1);
}

void rb_server_push (lua_State *L) {
  Server **box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = NULL;
  if (luaL_newmetatable(L, SERVER)) {
    lua_pushcfunction(L, server_close);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, server_close);
    lua_setfield(L, -2, "__close");
  }
  lua_setmetatable(L, -2);
  const char *url = rb_server_url(L);
  Server *s = *box = calloc(1, sizeof *s);
  if (s != NULL) {
    s->holders = 1;
    s->url = strdup(url);
  }
  lua_pop(L, 1);
  if (s == NULL || s->url == NULL) luaL_error(L, "not enough memory");
  lua_toclose(L, -1);
}

static int answered (lua_State *L, int status, lua_KContext ctx) {
  const Question *q = rb_aside_done(L, -1);
  (void)ctx;
  if (q == NULL)
    return rb_fail(L, "timeout", RB_NOTDONE, "%s: the database does not answer",
                   rb_resource(L)->name);
  if (q->error[0] != '\0')
    return rb_fail(L, q->result == NULL ? "io" : "server", RB_NOTDONE, "%s: %s",
                   rb_resource(L)->name, q->error);
  return q->k(L, status, q->ctx);
}

int rb_server_ask (lua_State *L, int idx, const char *sql, int n,
                   const char *const *values, lua_KContext ctx, lua_KFunction k) {
  Server *s = *(Server **)luaL_checkudata(L, idx, SERVER);
  Question q = {.server = s, .sql = sql, .n = n, .ctx = ctx, .k = k};
  for (int i = 0; i < n; i++)
    q.values[i] = values[i] != NULL ? strdup(values[i]) : NULL;
  atomic_fetch_add(&s->holders, 1);
  return rb_aside(L, &q, sizeof q, ask, drop, 0, answered);
}

const PGresult *rb_server_answer (lua_State *L, int idx) {
  return ((const Question *)rb_aside_done(L, idx))->result;
}
