/*
** net.c - is it there? names, connections, certificates, ports of this machine
**
** Who may be connected to: the hosts of the target's own systems, and those in
** its allow.hosts ("db.example.org", or with one port: "db.example.org:5432").
*/

#include <stdio.h>
#include <string.h>

#include "stdlib/net/net.h"

#define LONGEST 253  /* bytes of a host name */
#define WITHIN 10.0  /* seconds, where the call does not say */

/* -- check ----------------------------------------------------------------------- */

/* [-0, +1, v]  argument 1 as a host */
static const char *checkhost (lua_State *L) {
  size_t n;
  const char *s = luaL_checklstring(L, 1, &n);
  if (n > 2 && s[0] == '[' && s[n - 1] == ']') s = lua_pushlstring(L, s + 1, n -= 2);
  else lua_pushvalue(L, 1);
  int fine = n > 0 && n <= LONGEST && strpbrk(s, "/@[]") == NULL;
  for (size_t i = 0; i < n; i++) fine = fine && (unsigned char)s[i] > ' ';
  luaL_argcheck(L, fine, 1, "a host expected, without scheme and port: \"db.example.org\"");
  return s;
}

const char *rb_net_host (lua_State *L, int *port) {
  const char *host = checkhost(L);
  lua_replace(L, 1);
  lua_Integer n = luaL_checkinteger(L, 2);
  luaL_argcheck(L, n >= 1 && n <= 65535, 2, "a port is a number from 1 to 65535");
  *port = (int)n;
  lua_pushfstring(L, strchr(host, ':') != NULL ? "[%s]:%d" : "%s:%d", host, *port);
  int fine = rb_allowed(L, "reaches", host)
             || rb_allowed(L, "reaches", lua_tostring(L, -1));
  lua_pop(L, 1);
  if (!fine)
    rb_fail(L, "refused", RB_NOTDONE, "%s is no host of this target's systems: add \"%s\" "
            "to its allow.hosts in the configuration", host, host);
  return host;
}

const char *rb_net_option (lua_State *L, int arg, const char *name) {
  const char *s = NULL;
  if (!lua_istable(L, arg)) return NULL;
  if (lua_getfield(L, arg, name) != LUA_TNIL) {
    luaL_argcheck(L, lua_type(L, -1) == LUA_TSTRING, arg,
                  lua_pushfstring(L, "%s: a string expected", name));
    s = lua_tostring(L, -1);  /* the table keeps it */
  }
  lua_pop(L, 1);
  return s;
}

/* is it one of "name, ca, timeout"? */
static int among (const char *names, const char *name) {
  size_t n = strlen(name);
  for (const char *s = names; *s != '\0'; ) {
    size_t length = strcspn(s, ",");
    if (length == n && strncmp(s, name, n) == 0) return 1;
    s += length + strspn(s + length, ", ");
  }
  return 0;
}

void rb_net_options (lua_State *L, int arg, const char *names) {
  double seconds = WITHIN;
  lua_settop(L, arg);
  if (!lua_isnil(L, arg)) {
    luaL_checktype(L, arg, LUA_TTABLE);
    lua_pushnil(L);
    while (lua_next(L, arg) != 0) {
      lua_pop(L, 1);
      if (lua_type(L, -1) == LUA_TSTRING && among(names, lua_tostring(L, -1))) continue;
      luaL_argerror(L, arg, lua_pushfstring(L, "no option \"%s\"; there is %s",
                                            luaL_tolstring(L, -1, NULL), names));
    }
  }
  const char *timeout = rb_net_option(L, arg, "timeout");
  if (timeout != NULL)
    luaL_argcheck(L, rb_duration(timeout, &seconds) && seconds > 0, arg,
                  "timeout: a duration expected, such as \"10s\"");
  rb_timeout(L, seconds);
}

/* -- resolve, connect --------------------------------------------------------------- */

static int resolved (lua_State *L, int status, lua_KContext ctx) {
  (void)L; (void)status; (void)ctx;
  return 1;
}

static int resolve (lua_State *L) {
  rb_net_options(L, 2, "timeout");
  const char *host = checkhost(L);
  rb_describe(L, "resolve %s", host);
  return rb_resolve(L, host, 0, resolved);
}

static int connected (lua_State *L, int status, lua_KContext ctx) {
  (void)status; (void)ctx;
  rb_NetLink *link = lua_touserdata(L, -1);
  rb_net_hangup(link);
  rb_describe(L, "connect to %s:%d -> %s in %.0f ms", lua_tostring(L, 1),
              (int)lua_tointeger(L, 2), link->address, link->ms);
  lua_createtable(L, 0, 4);
  lua_pushstring(L, link->address);
  lua_setfield(L, -2, "address");
  lua_pushvalue(L, 2);
  lua_setfield(L, -2, "port");
  lua_pushstring(L, link->family == AF_INET6 ? "ipv6" : "ipv4");
  lua_setfield(L, -2, "family");
  lua_pushnumber(L, link->ms);
  lua_setfield(L, -2, "ms");
  return 1;
}

static int connect_ (lua_State *L) {
  int port;
  rb_net_options(L, 3, "timeout");
  const char *host = rb_net_host(L, &port);
  rb_describe(L, "connect to %s:%d", host, port);
  return rb_net_dial(L, 0, connected);
}

/* -- rows ----------------------------------------------------------------------------- */

static const rb_Reg functions[] = {
  {"resolve", RB_PROBE, resolve, NULL,
   "resolve(name [, {timeout=\"10s\"}]) -> {address, ...} : the addresses of a host name, "
   "best first, as this machine's resolver gives them; an address is its own answer. Any "
   "name may be asked. Fails with \"io\" where there is no such name or no resolver, and with "
   "\"timeout\"", NULL, NULL},
  {"connect", RB_PROBE, connect_, NULL,
   "connect(host, port [, {timeout=\"10s\"}]) -> {address, port, family, ms} : connects by "
   "TCP and closes again; nothing is sent. IPv6 goes first, and after 250 ms or a refusal the "
   "next address of the other family beside it, so that one dead address costs little. "
   "`family` is \"ipv6\" or \"ipv4\", `ms` the milliseconds until it was there. The host is "
   "one of the target's systems or in its allow.hosts. Fails with \"io\" where none of the "
   "addresses accepts, naming what each of them said, and with \"timeout\"", NULL, NULL},
  {"certificate", RB_PROBE, rb_net_certificate, NULL,
   "certificate(host, port [, {name=, ca=, timeout=\"10s\"}]) -> {subject, issuer, names, "
   "serial, starts, expires, days, verified, reason, problems, protocol, address} : the TLS "
   "certificate that the server shows. `expires` and `starts` are times, `days` whole days "
   "left (negative: expired), `names` the hosts it is for. One that a client would not accept "
   "is an answer, too: `verified` is false, `problems` lists all that is wrong with it "
   "(\"expired\", \"not yet valid\", \"self-signed\", \"wrong name\", \"unknown issuer\", "
   "\"revoked\", \"weak\", \"invalid\") and `reason` says it in words. `name` is asked for and "
   "checked in place of the host, `ca` a file of certificates to trust in place of the "
   "machine's. Fails with \"data\" where the server speaks no TLS", NULL, NULL},
  {"listening", RB_PROBE, rb_net_listening, NULL,
   "listening(port) -> {pid, program, command, user, pids, addresses, reason} | nil : who holds "
   "a TCP port of this machine; nil where nobody does. `pids` are all processes that hold it, "
   "`pid` the first of them, `addresses` where it listens (\"0.0.0.0\" and \"::\" are all). "
   "Processes of others can only be seen by root: then `pid` is nil, `user` tells whose it is "
   "and `reason` why there is no more. Containers with a network of their own are not seen",
   NULL, NULL},
  RB_END
};

const rb_Module rb_module = {
  .interface = RB_INTERFACE, .name = "net",
  .doc = "is it there? names, connections, certificates, ports of this machine",
  .functions = functions
};
