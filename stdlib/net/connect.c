/*
** connect.c - the fastest of a host's addresses (RFC 8305, "happy eyeballs")
**
** The addresses take turns by family, IPv6 first. The next one is tried when the
** one before has failed or has kept us waiting for 250 ms; the first that
** accepts is taken. One epoll descriptor holds all attempts and the clock, so that
** the task waits for one thing.
*/

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "stdlib/net/net.h"

#define LINK "net.link"
#define PATIENCE 250  /* milliseconds until the next one is tried */
#define MOST 16       /* addresses that are tried */

typedef struct Try {
  int fd;
  char address[64];
  struct sockaddr_storage to;
  socklen_t len;
  int error;           /* why it failed; 0: it has not, or not yet */
} Try;

typedef struct Dial {
  rb_NetLink link;     /* first: what the caller sees */
  int ep, timer, n, next, live;
  double started;
  lua_KContext ctx;
  lua_KFunction k;
  Try tries[MOST];
} Dial;

static int again (lua_State *L, int status, lua_KContext at);

/* -- close ------------------------------------------------------------------------ */

static void shut (int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

void rb_net_hangup (rb_NetLink *link) {
  Dial *d = (Dial *)link;
  for (int i = 0; i < d->n; i++) shut(&d->tries[i].fd);
  shut(&d->link.fd);
  shut(&d->timer);
  shut(&d->ep);
}

static int dial_close (lua_State *L) {
  rb_net_hangup(luaL_checkudata(L, 1, LINK));
  return 0;
}

/* [-0, +1, m]  closed */
static Dial *newdial (lua_State *L) {
  Dial *d = lua_newuserdatauv(L, sizeof *d, 0);
  memset(d, 0, sizeof *d);
  d->ep = d->timer = d->link.fd = -1;
  if (luaL_newmetatable(L, LINK)) {
    lua_pushcfunction(L, dial_close);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  return d;
}

/* -- addresses ------------------------------------------------------------------------ */

static void addtry (Dial *d, const char *address, int port) {
  const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST
                                                                       | AI_NUMERICSERV};
  struct addrinfo *a = NULL;
  char service[8];
  Try *t = &d->tries[d->n];
  snprintf(service, sizeof service, "%d", port);
  if (getaddrinfo(address, service, &hints, &a) != 0) return;
  *t = (Try){.fd = -1, .len = a->ai_addrlen};
  memcpy(&t->to, a->ai_addr, a->ai_addrlen);
  snprintf(t->address, sizeof t->address, "%s", address);
  d->n++;
  freeaddrinfo(a);
}

/* [-0, +0, m]  the n-th address of that family in the list at the top, or NULL */
static const char *nth (lua_State *L, int six, int n) {
  for (lua_Integer i = 1; lua_geti(L, -1, i) != LUA_TNIL; i++) {
    const char *s = lua_tostring(L, -1);  /* the list keeps it */
    lua_pop(L, 1);
    if ((strchr(s, ':') != NULL) == six && n-- == 0) return s;
  }
  lua_pop(L, 1);
  return NULL;
}

static void addtries (lua_State *L, Dial *d, int port) {
  const char *six, *four;
  for (int i = 0; d->n + 2 <= MOST; i++) {
    if ((six = nth(L, 1, i)) != NULL) addtry(d, six, port);
    if ((four = nth(L, 0, i)) != NULL) addtry(d, four, port);
    if (six == NULL && four == NULL) return;
  }
}

/* -- attempts ------------------------------------------------------------------------------ */

/* Where nobody listens, a socket may be given the very port that it connects to: then
** it has met itself. */
static int meetsitself (int fd) {
  struct sockaddr_storage a = {0}, b = {0};
  socklen_t n = sizeof a, m = sizeof b;
  return getsockname(fd, (struct sockaddr *)&a, &n) == 0
         && getpeername(fd, (struct sockaddr *)&b, &m) == 0
         && n == m && memcmp(&a, &b, n) == 0;
}

static void failed (Dial *d, Try *t, int error) {
  t->error = error;
  if (t->fd >= 0) d->live--;
  shut(&t->fd);
}

static void won (Dial *d, Try *t) {
  if (meetsitself(t->fd)) {
    failed(d, t, ECONNREFUSED);
    return;
  }
  d->link.fd = t->fd;
  d->link.family = t->to.ss_family;
  d->link.ms = (rb_now() - d->started) * 1000;
  memcpy(d->link.address, t->address, sizeof d->link.address);
  t->fd = -1;
}

static void begin (Dial *d) {
  const struct itimerspec soon = {.it_value.tv_nsec = PATIENCE * 1000000L};
  int i = d->next++;
  Try *t = &d->tries[i];
  struct epoll_event e = {.events = EPOLLOUT, .data.u32 = (uint32_t)i};
  t->fd = socket(t->to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (t->fd < 0) {
    t->error = errno;
    return;
  }
  d->live++;
  if (connect(t->fd, (struct sockaddr *)&t->to, t->len) == 0) won(d, t);
  else if (errno != EINPROGRESS || epoll_ctl(d->ep, EPOLL_CTL_ADD, t->fd, &e) != 0)
    failed(d, t, errno);
  else timerfd_settime(d->timer, 0, &soon, NULL);
}

/* what has happened to the attempts that are under way */
static void look (Dial *d) {
  struct epoll_event events[MOST + 1];
  uint64_t ticks;
  int waited = 0, n = epoll_wait(d->ep, events, MOST + 1, 0);
  for (int i = 0; i < n && d->link.fd < 0; i++) {
    if (events[i].data.u32 == MOST) {
      waited = read(d->timer, &ticks, sizeof ticks) > 0;
      continue;
    }
    Try *t = &d->tries[events[i].data.u32];
    int error = 0;
    socklen_t len = sizeof error;
    getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error != 0) failed(d, t, error);
    else won(d, t);
    waited |= error != 0;
  }
  if (waited && d->link.fd < 0 && d->next < d->n) begin(d);
}

/* -- the end ----------------------------------------------------------------------------------- */

/* [-0, +1, m]  "::1: Connection refused; 127.0.0.1: no answer" */
static const char *pushwhy (lua_State *L, const Dial *d) {
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (int i = 0; i < d->n; i++) {
    const Try *t = &d->tries[i];
    if (i > 0) luaL_addstring(&b, "; ");
    luaL_addstring(&b, t->address);
    luaL_addstring(&b, t->error != 0 ? ": " : i < d->next ? ": no answer" : ": not tried");
    if (t->error != 0) luaL_addstring(&b, strerror(t->error));
  }
  luaL_pushresult(&b);
  return lua_tostring(L, -1);
}

static int giveup (lua_State *L, Dial *d, const char *kind) {
  const char *why = pushwhy(L, d);
  rb_net_hangup(&d->link);
  return rb_fail(L, kind, RB_NOTDONE, "cannot connect to %s, port %d: %s",
                 lua_tostring(L, 1), (int)lua_tointeger(L, 2),
                 d->n > 0 ? why : "it has no address that could be used");
}

static int again (lua_State *L, int status, lua_KContext at) {
  (void)status;
  Dial *d = lua_touserdata(L, (int)at);
  look(d);
  while (d->link.fd < 0 && d->live == 0 && d->next < d->n) begin(d);
  if (d->link.fd >= 0) {
    lua_settop(L, (int)at);
    return d->k(L, LUA_YIELD, d->ctx);
  }
  if (d->live == 0) return giveup(L, d, "io");
  if (rb_timeleft(L) <= 0) return giveup(L, d, "timeout");
  return rb_wait(L, d->ep, POLLIN, at, again);
}

/* on the top: the dial, then the list of addresses */
static int resolved (lua_State *L, int status, lua_KContext at) {
  struct epoll_event e = {.events = EPOLLIN, .data.u32 = MOST};
  Dial *d = lua_touserdata(L, (int)at);
  addtries(L, d, (int)lua_tointeger(L, 2));
  lua_settop(L, (int)at);
  d->started = rb_now();
  d->ep = epoll_create1(EPOLL_CLOEXEC);
  d->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (d->ep < 0 || d->timer < 0 || epoll_ctl(d->ep, EPOLL_CTL_ADD, d->timer, &e) != 0)
    return luaL_error(L, "cannot connect: %s", strerror(errno));
  return again(L, status, at);
}

int rb_net_dial (lua_State *L, lua_KContext ctx, lua_KFunction k) {
  Dial *d = newdial(L);
  d->ctx = ctx;
  d->k = k;
  return rb_resolve(L, lua_tostring(L, 1), lua_gettop(L), resolved);
}
