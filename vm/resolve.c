/*
** resolve.c - host names, off the loop's thread: getaddrinfo blocks
*/

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <string.h>

#include "vm/vm.h"

struct rb_Lookup {
  int error;
  struct addrinfo *found;
  char host[256];
};

/* -- the question --------------------------------------------------------------- */

static void ask (void *job) {
  rb_Lookup *l = job;
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
  l->error = getaddrinfo(l->host, NULL, &hints, &l->found);
}

static void drop (void *job) {
  rb_Lookup *l = job;
  if (l->found != NULL) freeaddrinfo(l->found);
}

/* 0: no name is as long as that */
static int setname (rb_Lookup *l, const char *host) {
  *l = (rb_Lookup){0};
  if (strlen(host) >= sizeof l->host) return 0;
  strcpy(l->host, host);
  return 1;
}

rb_Lookup *rb_lookup (const char *host, int *fd) {
  rb_Lookup l;
  errno = ENAMETOOLONG;
  return setname(&l, host) ? rb_aside_begin(&l, sizeof l, ask, drop, fd) : NULL;
}

int rb_lookup_each (const rb_Lookup *l, void (*each) (void *ud, const char *address),
                    void *ud) {
  char text[INET6_ADDRSTRLEN];
  if (l->error != 0) return 0;
  for (const struct addrinfo *a = l->found; a != NULL; a = a->ai_next)
    if (getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof text, NULL, 0,
                    NI_NUMERICHOST) == 0) each(ud, text);
  return 1;
}

void rb_lookup_end (rb_Lookup *l, int fd) { rb_aside_end(l, fd); }

int rb_isaddress (const char *host) {
  unsigned char addr[sizeof(struct in6_addr)];
  return inet_pton(AF_INET, host, addr) == 1 || inet_pton(AF_INET6, host, addr) == 1;
}

/* -- for a task --------------------------------------------------------------------- */

/* [-0, +0]  one address more for the list at the top */
static void addaddress (void *ud, const char *address) {
  lua_State *L = ud;
  lua_pushstring(L, address);
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
}

/* above 'base': the host, the caller's k and ctx, the lookup */
static int answered (lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  int base = (int)ctx;
  lua_KFunction k;
  const char *host = lua_tostring(L, base + 1);
  memcpy(&k, lua_touserdata(L, base + 2), sizeof k);
  lua_KContext kctx = (lua_KContext)lua_tointeger(L, base + 3);
  const rb_Lookup *l = rb_aside_done(L, -1);
  if (l == NULL)
    return rb_fail(L, "timeout", RB_NOTDONE, "the name %s was not resolved "
                   "in time", host);
  if (l->error != 0)
    return rb_fail(L, "io", RB_NOTDONE, "the name %s does not resolve: %s", host,
                   gai_strerror(l->error));
  lua_newtable(L);
  rb_lookup_each(l, addaddress, L);
  lua_replace(L, base + 1);
  lua_settop(L, base + 1);
  return k(L, LUA_YIELD, kctx);
}

int rb_resolve (lua_State *L, const char *host, lua_KContext ctx,
                lua_KFunction k) {
  rb_Lookup l;
  if (rb_isaddress(host)) {
    lua_createtable(L, 1, 0);
    lua_pushstring(L, host);
    lua_rawseti(L, -2, 1);
    return k(L, LUA_OK, ctx);
  }
  if (!setname(&l, host))
    return rb_fail(L, "data", RB_NOTDONE, "the name %.40s... is longer than a name can be",
                   host);
  int base = lua_gettop(L);
  lua_pushstring(L, host);
  memcpy(lua_newuserdatauv(L, sizeof k, 0), &k, sizeof k);
  lua_pushinteger(L, (lua_Integer)ctx);
  return rb_aside(L, &l, sizeof l, ask, drop, base, answered);
}
