/*
** connect.c - from a URL to a connection, without ever blocking
**
** libpq resolves names itself, and waits for the resolver while it does: so
** names become addresses here, off the loop's thread, and go to libpq as
** 'hostaddr' beside 'host', which TLS checks certificates against.
*/

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stdlib/pg/pg.h"

#define MAXOPTIONS 96

/* what a session of ours looks like, whatever the role's defaults are */
static const char settings[] =
  "-c TimeZone=UTC -c DateStyle=ISO,YMD -c IntervalStyle=postgres "
  "-c extra_float_digits=1 -c bytea_output=hex "
  "-c standard_conforming_strings=on";

static const char *option (const PQconninfoOption *info, const char *keyword) {
  for (const PQconninfoOption *o = info; o->keyword != NULL; o++)
    if (strcmp(o->keyword, keyword) == 0)
      return o->val != NULL && *o->val != '\0' ? o->val : NULL;
  return NULL;
}

/* -- addresses ------------------------------------------------------------ */

void rb_pg_placefree (rb_PgPlace *p) {
  PQconninfoFree(p->info);
  free(p->host);
  free(p->hostaddr);
  free(p->port);
  *p = (rb_PgPlace){0};
}

/* item i (from 0) of a comma-separated list; 0: it has no more */
static int getitem (const char *list, int i, char *item, size_t size) {
  for (; list != NULL && i > 0; i--) {
    list = strchr(list, ',');
    if (list != NULL) list++;
  }
  if (list == NULL) return 0;
  snprintf(item, size, "%.*s", (int)strcspn(list, ","), list);
  return 1;
}

static void append (rb_PgPlace *p, char **list, const char *item) {
  size_t have = *list != NULL ? strlen(*list) + 1 : 0, more = strlen(item);
  char *s = realloc(*list, have + more + 1);
  p->failed |= s == NULL;
  if (s == NULL) return;
  if (have > 0) s[have - 1] = ',';
  memcpy(s + have, item, more + 1);
  *list = s;
}

/* one address more of the host at hand */
static void addaddress (void *ud, const char *address) {
  rb_PgPlace *p = ud;
  char port[16];
  const char *ports = option(p->info, "port");
  int one = ports == NULL || strchr(ports, ',') == NULL;
  if (!getitem(ports, one ? 0 : p->at, port, sizeof port)) strcpy(port, "5432");
  append(p, &p->host, p->name);
  append(p, &p->hostaddr, address);
  append(p, &p->port, port);
}

static int isaddress (const char *host) {
  struct in6_addr any;
  return inet_pton(AF_INET, host, &any) == 1 ||
         inet_pton(AF_INET6, host, &any) == 1;
}

/* The next host whose addresses are to be looked up, NULL when there is none: what
** comes before it needs no look. */
static const char *nexthost (rb_PgPlace *p) {
  const char *hosts = option(p->info, "host");
  if (option(p->info, "hostaddr") != NULL) return NULL;
  for (; getitem(hosts, p->at, p->name, sizeof p->name); p->at++) {
    const char *host = p->name;
    if (*host != '\0' && *host != '/' && *host != '@' && !isaddress(host)) return host;
    addaddress(p, isaddress(host) ? host : "");
  }
  return NULL;
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

/* Notices are for people with a terminal, but for two: a ROLLBACK without a
** transaction says that a probe got out of its own, and a farewell why it ends. */
static void noticed (void *ud, const PGresult *notice) {
  const char *state = PQresultErrorField(notice, PG_DIAG_SQLSTATE);
  rb_PgConn *conn = ud;
  if (state != NULL && strcmp(state, "25P01") == 0) conn->escaped = 1;
  if (state != NULL && strncmp(state, "57P", 3) == 0)  /* it hangs up */
    snprintf(conn->said, sizeof conn->said, "%s",
             PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY));
}

/* up: from now on all of it is queued */
static int settle (PGconn *pg) {
  PQsetErrorVerbosity(pg, PQERRORS_DEFAULT);
  return PQsetnonblocking(pg, 1) == 0 && PQenterPipelineMode(pg);
}

/* The server says it with each connection, and again when it changes. Where it says
** nothing (a pooler in between) nobody knows. */
const char *rb_pg_powers (lua_State *L, const rb_PgCall *c) {
  const char *super = PQparameterStatus(c->conn->pg, "is_superuser");
  if (super != NULL && strcmp(super, "off") == 0) return lua_pushliteral(L, "");
  return lua_pushfstring(L, super == NULL ? "the server does not say whether %s is a superuser"
                         : "%s is a superuser", PQuser(c->conn->pg));
}

/* A dry run that claimed what does not hold takes it back before anything is asked. */
static int letin (lua_State *L, rb_PgCall *c) {
  rb_pg_remade(L, c->pool);
  if (c->role == RB_PGPROBE && rb_dryrun(L) && !c->judging) {
    const char *why = rb_pg_powers(L, c);
    if (*why != '\0') rb_unclaim(L, "pg", why);
    lua_pop(L, 1);
  }
  return c->connected(L, LUA_OK, (lua_KContext)c);
}

static int ready (lua_State *L, rb_PgCall *c) {
  if (!settle(c->conn->pg))
    return rb_pg_unreachable(L, c, PQerrorMessage(c->conn->pg));
  return letin(L, c);
}

/* the URL's options but for those that 'ours' gives */
static void addoptions (const rb_PgPlace *p, const char **keys,
                        const char **values, int n) {
  int ours = n;
  for (const PQconninfoOption *o = p->info; o->keyword != NULL; o++) {
    int given = o->val == NULL || n >= MAXOPTIONS - 1;
    for (int i = 0; i < ours; i++) given |= strcmp(keys[i], o->keyword) == 0;
    if (given) continue;
    keys[n] = o->keyword;
    values[n++] = o->val;
  }
  keys[n] = values[n] = NULL;
}

/* NULL: out of memory */
static PGconn *begin (const rb_PgPlace *p, rb_PgRole role) {
  const char *keys[MAXOPTIONS] = {"client_encoding", "options",
                                  "fallback_application_name"};
  const char *values[MAXOPTIONS] = {"UTF8", NULL, "runbook"};
  const char *theirs = option(p->info, "options");
  char *options = NULL;
  int n = 3;
  if (p->failed || asprintf(&options, "%s %s%s", theirs != NULL ? theirs : "",
      settings, role == RB_PGREMEDY ? "" : " -c default_transaction_read_only=on") < 0)
    return NULL;
  values[1] = options;
  if (p->host != NULL) {
    keys[n] = "host", values[n++] = p->host;
    keys[n] = "hostaddr", values[n++] = p->hostaddr;
    keys[n] = "port", values[n++] = p->port;
  }
  addoptions(p, keys, values, n);
  PGconn *pg = PQconnectStartParams(keys, values, 0);
  free(options);
  return pg;
}

static int start (lua_State *L, rb_PgCall *c) {
  PGconn *pg = c->conn->pg = begin(&c->place, c->role);
  if (pg == NULL) return luaL_error(L, "not enough memory");
  if (PQstatus(pg) == CONNECTION_BAD)
    return rb_pg_unreachable(L, c, PQerrorMessage(pg));
  PQsetErrorVerbosity(pg, PQERRORS_VERBOSE);  /* with the SQLSTATE */
  PQsetNoticeReceiver(pg, noticed, c->conn);
  return rb_wait(L, PQsocket(pg), POLLOUT, (lua_KContext)c, polled);
}

static int resolve (lua_State *L, rb_PgCall *c);

/* on the top: the list of addresses */
static int resolved (lua_State *L, int status, lua_KContext ctx) {
  rb_PgCall *c = (rb_PgCall *)ctx;
  lua_Integer n = (lua_Integer)lua_rawlen(L, -1);
  (void)status;
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti(L, -1, i);
    addaddress(&c->place, lua_tostring(L, -1));
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  c->place.at++;
  return resolve(L, c);
}

static int resolve (lua_State *L, rb_PgCall *c) {
  const char *host = nexthost(&c->place);
  return host != NULL ? rb_resolve(L, host, (lua_KContext)c, resolved) : start(L, c);
}

static PQconninfoOption *parse (const char *url) {
  char *why = NULL;
  PQconninfoOption *info = PQconninfoParse(url, &why);
  PQfreemem(why);  /* may quote the password */
  return info;
}

/* [-0, +0, m]  the URL in that setting, read; NULL: there is none to be read */
static PQconninfoOption *parseurl (lua_State *L, rb_Resource *r,
                                   const char *setting) {
  rb_setting(L, r, setting);
  const char *url = lua_tostring(L, -1);
  PQconninfoOption *info = url != NULL ? parse(url) : NULL;
  lua_pop(L, 1);
  return info;
}

static const char *settingof (rb_PgRole role) {
  return role == RB_PGPROBE ? "probe" : "url";
}

static int connect_ (lua_State *L, rb_PgCall *c) {
  c->place.info = parseurl(L, c->resource, settingof(c->role));
  if (c->place.info == NULL)
    return rb_fail(L, "io", RB_NOTDONE, "%s: its %s in the configuration cannot "
                   "be read (postgresql://user:password@host:port/database is "
                   "expected; special characters in the password as %%xx)",
                   c->resource->name, settingof(c->role));
  return resolve(L, c);
}

/* -- ahead ------------------------------------------------------------------ */

static void unnoticed (void *ud, const PGresult *notice) {
  (void)ud; (void)notice;
}

/* to the end of the handshake; 0: no connection */
static int shakehands (rb_Ahead *a, PGconn *pg) {
  PQsetNoticeReceiver(pg, unnoticed, NULL);
  for (PostgresPollingStatusType s = PGRES_POLLING_WRITING; ; s = PQconnectPoll(pg)) {
    if (s == PGRES_POLLING_OK) return settle(pg);
    if (s == PGRES_POLLING_FAILED || PQstatus(pg) == CONNECTION_BAD) return 0;
    short events = s == PGRES_POLLING_READING ? POLLIN : POLLOUT;
    if (!rb_ahead_wait(a, PQsocket(pg), events)) return 0;
  }
}

static int findplace (rb_Ahead *a, rb_PgPlace *p) {
  const char *host;
  p->info = parse(rb_ahead_url(a));
  if (p->info == NULL) return 0;
  for (; (host = nexthost(p)) != NULL; p->at++)
    if (!rb_ahead_resolve(a, host, addaddress, p)) return 0;
  return 1;
}

void *rb_pg_ahead (rb_Ahead *a) {
  rb_PgPlace p = {0};
  int probe = strcmp(rb_ahead_setting(a), settingof(RB_PGPROBE)) == 0;
  PGconn *pg = findplace(a, &p) ? begin(&p, probe ? RB_PGPROBE : RB_PGPREVIEW) : NULL;
  rb_pg_placefree(&p);
  if (pg == NULL) return NULL;
  if (shakehands(a, pg) && (!rb_ahead_deeds(a) || rb_pg_warm(a, pg))) return pg;
  PQfinish(pg);
  return NULL;
}

void rb_pg_unahead (void *pg) { PQfinish(pg); }

/* on the top: what was connected ahead, or nil */
static int begun (lua_State *L, int status, lua_KContext ctx) {
  rb_PgCall *c = (rb_PgCall *)ctx;
  (void)status;
  c->conn->pg = lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (rb_timeleft(L) <= 0) return rb_pg_late(L, c);
  if (c->conn->pg == NULL) return connect_(L, c);
  PQsetNoticeReceiver(c->conn->pg, noticed, c->conn);
  if (rb_pg_alive(c->conn)) return letin(L, c);
  PQfinish(c->conn->pg);
  c->conn->pg = NULL;
  return connect_(L, c);
}

int rb_pg_connect (lua_State *L, rb_PgCall *c, lua_KFunction k) {
  c->connected = k;
  if (c->role == RB_PGREMEDY || c->role == RB_PGLOCK)
    return connect_(L, c);  /* begun is what only looks */
  return rb_ahead(L, settingof(c->role), (lua_KContext)c, begun);
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
