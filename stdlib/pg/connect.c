/*
** connect.c - from a URL to a connection, without ever blocking
**
** libpq resolves names itself, and waits for the resolver while it does: so
** names become addresses here, off the loop's thread, and go to libpq as
** 'hostaddr' beside 'host', which TLS checks certificates against.
*/

#include <arpa/inet.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "stdlib/pg/pg.h"

#define MAXOPTIONS 96

/* what a session of ours looks like, whatever the role's defaults are */
static const char settings[] =
  "-c TimeZone=UTC -c DateStyle=ISO,YMD -c IntervalStyle=postgres "
  "-c extra_float_digits=1 -c bytea_output=hex "
  "-c standard_conforming_strings=on";

static const char *option (const rb_PgCall *c, const char *keyword) {
  for (const PQconninfoOption *o = c->info; o->keyword != NULL; o++)
    if (strcmp(o->keyword, keyword) == 0)
      return o->val != NULL && *o->val != '\0' ? o->val : NULL;
  return NULL;
}

/* -- addresses ------------------------------------------------------------ */

/* [-0, +1, m]  item i (from 0) of a comma-separated list, or nil */
static const char *pushitem (lua_State *L, const char *list, int i) {
  for (; list != NULL && i > 0; i--) {
    list = strchr(list, ',');
    if (list != NULL) list++;
  }
  if (list == NULL) lua_pushnil(L);
  else lua_pushlstring(L, list, strcspn(list, ","));
  return lua_tostring(L, -1);
}

static void append (lua_State *L, char **list, const char *item) {
  size_t have = *list != NULL ? strlen(*list) + 1 : 0, more = strlen(item);
  char *s = realloc(*list, have + more + 1);
  if (s == NULL) luaL_error(L, "not enough memory");
  if (have > 0) s[have - 1] = ',';
  memcpy(s + have, item, more + 1);
  *list = s;
}

static void addaddress (lua_State *L, rb_PgCall *c, const char *host,
                        const char *address) {
  const char *ports = option(c, "port");
  int one = ports == NULL || strchr(ports, ',') == NULL;
  const char *port = pushitem(L, ports, one ? 0 : c->hostat);
  append(L, &c->host, host);
  append(L, &c->hostaddr, address);
  append(L, &c->port, port != NULL ? port : "5432");
  lua_pop(L, 1);
}

static int isaddress (const char *host) {
  struct in6_addr any;
  return inet_pton(AF_INET, host, &any) == 1 ||
         inet_pton(AF_INET6, host, &any) == 1;
}

static int resolve (lua_State *L, rb_PgCall *c);

/* host, list of its addresses */
static int resolved (lua_State *L, int status, lua_KContext ctx) {
  rb_PgCall *c = (rb_PgCall *)ctx;
  lua_Integer n = (lua_Integer)lua_rawlen(L, -1);
  const char *host = lua_tostring(L, -2);
  (void)status;
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti(L, -1, i);
    addaddress(L, c, host, lua_tostring(L, -1));
    lua_pop(L, 1);
  }
  lua_pop(L, 2);
  c->hostat++;
  return resolve(L, c);
}

/* -- connecting ----------------------------------------------------------- */

static int ready (lua_State *L, rb_PgCall *c);
static int polled (lua_State *L, int status, lua_KContext ctx);

static int advance (lua_State *L, rb_PgCall *c) {
  PGconn *pg = c->conn->pg;
  switch (PQconnectPoll(pg)) {
    case PGRES_POLLING_OK: return ready(L, c);
    case PGRES_POLLING_READING:
      return rb_wait(L, PQsocket(pg), POLLIN, (lua_KContext)c, polled);
    case PGRES_POLLING_WRITING:
      return rb_wait(L, PQsocket(pg), POLLOUT, (lua_KContext)c, polled);
    default: return rb_pg_unreachable(L, c, PQerrorMessage(pg));
  }
}

static int polled (lua_State *L, int status, lua_KContext ctx) {
  rb_PgCall *c = (rb_PgCall *)ctx;
  (void)status;
  if (rb_timeleft(L) <= 0) return rb_pg_late(L, c);
  return advance(L, c);
}

/* Notices are for people with a terminal, but for one: a ROLLBACK without a
** transaction says that a probe got out of its own. */
static void noticed (void *ud, const PGresult *notice) {
  const char *state = PQresultErrorField(notice, PG_DIAG_SQLSTATE);
  rb_PgConn *conn = ud;
  if (state != NULL && strcmp(state, "25P01") == 0) conn->escaped = 1;
}

static int ready (lua_State *L, rb_PgCall *c) {
  PGconn *pg = c->conn->pg;
  PQsetErrorVerbosity(pg, PQERRORS_DEFAULT);
  if (PQsetnonblocking(pg, 1) != 0 || !PQenterPipelineMode(pg))
    return rb_pg_unreachable(L, c, PQerrorMessage(pg));
  return c->connected(L, LUA_OK, (lua_KContext)c);
}

/* the URL's options but for those that 'ours' gives */
static void addoptions (const rb_PgCall *c, const char **keys,
                        const char **values, int n) {
  int ours = n;
  for (const PQconninfoOption *o = c->info; o->keyword != NULL; o++) {
    int given = o->val == NULL || n >= MAXOPTIONS - 1;
    for (int i = 0; i < ours; i++) given |= strcmp(keys[i], o->keyword) == 0;
    if (given) continue;
    keys[n] = o->keyword;
    values[n++] = o->val;
  }
  keys[n] = values[n] = NULL;
}

static int start (lua_State *L, rb_PgCall *c) {
  const char *keys[MAXOPTIONS] = {"client_encoding", "options",
                                  "fallback_application_name"};
  const char *values[MAXOPTIONS] = {"UTF8", NULL, "runbook"};
  const char *theirs = option(c, "options");
  int n = 3;
  values[1] = lua_pushfstring(L, "%s %s%s", theirs != NULL ? theirs : "",
    settings, c->role == RB_PGREMEDY ? ""
              : " -c default_transaction_read_only=on");
  if (c->host != NULL) {
    keys[n] = "host", values[n++] = c->host;
    keys[n] = "hostaddr", values[n++] = c->hostaddr;
    keys[n] = "port", values[n++] = c->port;
  }
  addoptions(c, keys, values, n);
  PGconn *pg = c->conn->pg = PQconnectStartParams(keys, values, 0);
  lua_pop(L, 1);
  if (pg == NULL) return luaL_error(L, "not enough memory");
  if (PQstatus(pg) == CONNECTION_BAD)
    return rb_pg_unreachable(L, c, PQerrorMessage(pg));
  PQsetErrorVerbosity(pg, PQERRORS_VERBOSE);  /* with the SQLSTATE */
  PQsetNoticeReceiver(pg, noticed, c->conn);
  return rb_wait(L, PQsocket(pg), POLLOUT, (lua_KContext)c, polled);
}

/* from host number c->hostat on */
static int resolve (lua_State *L, rb_PgCall *c) {
  const char *hosts = option(c, "host");
  if (option(c, "hostaddr") != NULL) return start(L, c);
  for (;; c->hostat++) {
    const char *host = pushitem(L, hosts, c->hostat);
    if (host == NULL) break;
    if (*host != '\0' && *host != '/' && *host != '@' && !isaddress(host))
      return rb_resolve(L, host, (lua_KContext)c, resolved);
    addaddress(L, c, host, isaddress(host) ? host : "");
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return start(L, c);
}

static PQconninfoOption *parseurl (lua_State *L, rb_Resource *r,
                                   const char *setting) {
  char *why = NULL;
  rb_setting(L, r, setting);
  const char *url = lua_tostring(L, -1);
  PQconninfoOption *info = url != NULL ? PQconninfoParse(url, &why) : NULL;
  PQfreemem(why);  /* may quote the password */
  lua_pop(L, 1);
  return info;
}

int rb_pg_connect (lua_State *L, rb_PgCall *c, lua_KFunction k) {
  const char *setting = c->role == RB_PGPROBE ? "probe" : "url";
  c->connected = k;
  c->info = parseurl(L, c->resource, setting);
  if (c->info == NULL)
    return rb_fail(L, "io", RB_NOTDONE, "%s: its %s in the configuration cannot "
                   "be read (postgresql://user:password@host:port/database is "
                   "expected; special characters in the password as %%xx)",
                   c->resource->name, setting);
  return resolve(L, c);
}

static int sameuser (const PQconninfoOption *a, const PQconninfoOption *b) {
  for (; a->keyword != NULL && b->keyword != NULL; a++, b++)
    if (strcmp(a->keyword, "user") == 0)
      return a->val != NULL && b->val != NULL && strcmp(a->val, b->val) == 0;
  return 1;
}

int rb_pg_otheruser (lua_State *L, rb_Resource *r) {
  PQconninfoOption *remedy = parseurl(L, r, "url");
  PQconninfoOption *probe = parseurl(L, r, "probe");
  int other = remedy != NULL && probe != NULL && !sameuser(remedy, probe);
  PQconninfoFree(remedy);
  PQconninfoFree(probe);
  return other;
}
