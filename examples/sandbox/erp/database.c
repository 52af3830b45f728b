/*
** database.c - PostgreSQL for a pool of threads: a connection each
**
** libpq's blocking calls would wait for ever on a server that is stopped and
** not gone, and a health endpoint must say so instead. So every wait here has
** a deadline, and a connection that has missed one is thrown away. After a
** failed attempt to connect the next one waits a little: a dead database must
** not slow down every request.
*/

#define _POSIX_C_SOURCE 200809L

#include <libpq-fe.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "erp.h"

#define PATIENCE 1500          /* milliseconds for one statement or connection */
#define PAUSE 250              /* between two attempts to connect */

enum { BOOL = 16, INT8 = 20, INT2 = 21, INT4 = 23, FLOAT8 = 701, NUMERIC = 1700 };

typedef struct Link {
  PGconn *conn;
  long retry_at;
  char why[256];
} Link;

static const char *conninfo;
static pthread_key_t key;

static void link_free (void *p) {
  Link *l = p;
  PQfinish(l->conn);
  free(l);
}

int erp_db_init (const char *url) {
  conninfo = url;
  return pthread_key_create(&key, link_free);
}

static Link *link_get (void) {
  Link *l = pthread_getspecific(key);
  if (l) return l;
  l = calloc(1, sizeof *l);
  if (l) pthread_setspecific(key, l);
  return l;
}

static void link_lose (Link *l, const char *why) {
  size_t n = strcspn(why, "\n");
  snprintf(l->why, sizeof l->why, "%.*s", (int)n, why);
  PQfinish(l->conn);
  l->conn = NULL;
  l->retry_at = erp_now_ms() + PAUSE;
}

static int wait_for (int fd, short events, long deadline) {
  struct pollfd p = {.fd = fd, .events = events};
  long left = deadline - erp_now_ms();
  return left > 0 && poll(&p, 1, (int)left) > 0;
}

static int link_open (Link *l) {
  static const char *const names[] = {
    "dbname", "fallback_application_name", "client_encoding", NULL
  };
  const char *const values[] = {conninfo, erp_name, "UTF8", NULL};
  if (erp_now_ms() < l->retry_at) return 0;
  long deadline = erp_now_ms() + PATIENCE;
  l->conn = PQconnectStartParams(names, values, 1);
  PostgresPollingStatusType step = PGRES_POLLING_WRITING;
  while (PQstatus(l->conn) != CONNECTION_BAD && step != PGRES_POLLING_OK
         && step != PGRES_POLLING_FAILED) {
    short events = step == PGRES_POLLING_READING ? POLLIN : POLLOUT;
    if (!wait_for(PQsocket(l->conn), events, deadline)) break;
    step = PQconnectPoll(l->conn);
  }
  if (PQstatus(l->conn) == CONNECTION_OK) return 1;
  const char *why = PQerrorMessage(l->conn);
  link_lose(l, *why ? why : "PostgreSQL does not answer");
  return 0;
}

/* an idle connection with something to read has been closed by the server */
static int link_usable (Link *l) {
  struct pollfd p = {.fd = l->conn ? PQsocket(l->conn) : -1, .events = POLLIN};
  if (l->conn && poll(&p, 1, 0) == 0) return 1;
  PQfinish(l->conn);
  l->conn = NULL;
  return link_open(l);
}

/* the last result of one statement, or NULL with the reason kept */
static PGresult *link_run (Link *l, const char *sql, int n,
                           const char *const *values) {
  PGresult *last = NULL, *next;
  long deadline = erp_now_ms() + PATIENCE;
  if (!PQsendQueryParams(l->conn, sql, n, NULL, values, NULL, NULL, 0)) {
    link_lose(l, PQerrorMessage(l->conn));
    return NULL;
  }
  do {
    while (PQisBusy(l->conn)) {
      if (!wait_for(PQsocket(l->conn), POLLIN, deadline)) {
        PQclear(last);
        link_lose(l, "PostgreSQL does not answer");
        return NULL;
      }
      if (!PQconsumeInput(l->conn)) break;
    }
    next = PQgetResult(l->conn);
    if (next) {
      PQclear(last);
      last = next;
    }
  } while (next);
  ExecStatusType status = PQresultStatus(last);
  if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) return last;
  snprintf(l->why, sizeof l->why, "%.*s",
           (int)strcspn(PQresultErrorMessage(last), "\n"),
           PQresultErrorMessage(last));
  PQclear(last);
  if (PQstatus(l->conn) == CONNECTION_BAD) link_lose(l, PQerrorMessage(l->conn));
  return NULL;
}

static json_t *cell (const PGresult *res, int row, int col) {
  if (PQgetisnull(res, row, col)) return json_null();
  const char *text = PQgetvalue(res, row, col);
  switch (PQftype(res, col)) {
    case BOOL: return json_boolean(*text == 't');
    case INT2: case INT4: case INT8: return json_integer(atoll(text));
    case FLOAT8: case NUMERIC: return json_real(atof(text));
    default: return json_string(text);
  }
}

/* the rows as a list of objects; NULL when the statement failed */
json_t *erp_rows (const char *sql, int n, const char *const *values) {
  Link *l = link_get();
  if (!l || !link_usable(l)) return NULL;
  PGresult *res = link_run(l, sql, n, values);
  if (!res) return NULL;
  json_t *rows = json_array();
  for (int i = 0; i < PQntuples(res); i++) {
    json_t *row = json_object();
    for (int j = 0; j < PQnfields(res); j++)
      json_object_set_new(row, PQfname(res, j), cell(res, i, j));
    json_array_append_new(rows, row);
  }
  PQclear(res);
  return rows;
}

/* the first row, JSON null when there is none, NULL when the statement failed */
json_t *erp_row (const char *sql, int n, const char *const *values) {
  json_t *rows = erp_rows(sql, n, values);
  if (!rows) return NULL;
  json_t *first = json_array_get(rows, 0);
  first = first ? json_incref(first) : json_null();
  json_decref(rows);
  return first;
}

/* quoted for use in SQL; free() it. NULL without a connection */
char *erp_identifier (const char *name) {
  Link *l = link_get();
  if (!l || !link_usable(l)) return NULL;
  char *quoted = PQescapeIdentifier(l->conn, name, strlen(name));
  if (!quoted) return NULL;
  char *copy = strdup(quoted);
  PQfreemem(quoted);
  return copy;
}

const char *erp_db_why (void) {
  const Link *l = link_get();
  return l && *l->why ? l->why : "no connection";
}

/* was it the connection that failed last, and not the statement? */
int erp_db_lost (void) {
  const Link *l = link_get();
  return !l || !l->conn;
}
