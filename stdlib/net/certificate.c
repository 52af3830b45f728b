/*
** certificate.c - the TLS certificate that a server shows, good or bad
**
** TLS itself is a part of its own (stdlib/net/tls): a library that takes longer to
** load than a connection takes is loaded only here.
*/

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "stdlib/net/net.h"
#include "stdlib/net/tls.h"

#define HANDSHAKE "net.handshake"

typedef struct Handshake {
  const rb_NetPart *part;
  rb_NetTls *tls;      /* NULL: closed */
} Handshake;

enum { HOST = 1, PORT, OPTIONS, DIALLED, STATE };

static void finish (Handshake *h) {
  if (h->tls != NULL) h->part->close(h->tls);
  h->tls = NULL;
}

static int handshake_close (lua_State *L) {
  finish(luaL_checkudata(L, 1, HANDSHAKE));
  return 0;
}

/* [-0, +1, m]  closed */
static Handshake *newhandshake (lua_State *L) {
  Handshake *h = lua_newuserdatauv(L, sizeof *h, 0);
  *h = (Handshake){0};
  if (luaL_newmetatable(L, HANDSHAKE)) {
    lua_pushcfunction(L, handshake_close);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  return h;
}

static int failed (lua_State *L, Handshake *h, rb_NetLink *link, const char *kind,
                   const char *why) {
  lua_pushstring(L, why);
  finish(h);
  rb_net_hangup(link);
  return rb_fail(L, kind, RB_NOTDONE, "%s, port %d (%s) shows no certificate: %s",
                 lua_tostring(L, HOST), (int)lua_tointeger(L, PORT), link->address,
                 lua_tostring(L, -1));
}

static int again (lua_State *L, int status, lua_KContext ctx) {
  (void)status; (void)ctx;
  rb_NetLink *link = lua_touserdata(L, DIALLED);
  Handshake *h = lua_touserdata(L, STATE);
  rb_NetStep step = h->part->step(h->tls);
  if (step == RB_NETREAD || step == RB_NETWRITE) {
    if (rb_timeleft(L) <= 0)
      return failed(L, h, link, "timeout", "it does not answer a TLS greeting");
    return rb_wait(L, link->fd, step == RB_NETREAD ? POLLIN : POLLOUT, 0, again);
  }
  if (!h->part->seen(h->tls)) return failed(L, h, link, "data", h->part->words(h->tls));
  h->part->push(L, h->tls, rb_time(L));
  lua_pushstring(L, link->address);
  lua_setfield(L, -2, "address");
  finish(h);
  rb_net_hangup(link);
  return 1;
}

/* [-0, +1, v]  the file of certificates to trust; NULL (nil): the machine's */
static const char *pushca (lua_State *L) {
  char real[PATH_MAX];
  const char *ca = rb_net_option(L, OPTIONS, "ca");
  if (ca == NULL) {
    lua_pushnil(L);
    return NULL;
  }
  luaL_argcheck(L, *ca == '/', OPTIONS, "ca: an absolute path expected");
  if (realpath(ca, real) == NULL)
    rb_fail(L, "missing", RB_NOTDONE, "ca: %s: %s", ca, strerror(errno));
  if (!rb_allowed(L, "reads", real))
    rb_fail(L, "refused", RB_NOTDONE, "ca: %s is not in a folder that this target allows: "
            "see its allow.files in the configuration", real);
  return lua_pushstring(L, real);
}

static int dialled (lua_State *L, int status, lua_KContext ctx) {
  (void)status; (void)ctx;
  char why[256];
  rb_NetLink *link = lua_touserdata(L, DIALLED);
  Handshake *h = newhandshake(L);
  const char *ca = pushca(L), *name = rb_net_option(L, OPTIONS, "name");
  h->part = rb_loadpart(L, "tls");
  h->tls = h->part->open(link->fd, name != NULL ? name : lua_tostring(L, HOST),
                         ca, why, sizeof why);
  if (h->tls == NULL) {
    rb_net_hangup(link);
    return rb_fail(L, "data", RB_NOTDONE, "net.certificate: %s", why);
  }
  return again(L, LUA_OK, 0);
}

int rb_net_certificate (lua_State *L) {
  int port;
  rb_net_options(L, OPTIONS, "name, ca, timeout");
  const char *host = rb_net_host(L, &port);
  pushca(L);
  lua_pop(L, 1);
  rb_describe(L, "certificate of %s:%d", host, port);
  return rb_net_dial(L, 0, dialled);
}
