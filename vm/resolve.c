/*
** resolve.c - host names, off the loop's thread
**
** getaddrinfo blocks; a thread of its own asks, and says that it is done by
** closing its end of a pipe. What the thread uses is freed by whoever lets
** go last, so that a task may end while the answer is still coming.
*/

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vm/vm.h"

#define LOOKUP "rb.lookup"

typedef struct Lookup {
  pthread_mutex_t lock;
  int holders;          /* the thread and the task */
  int end;              /* the thread's end of the pipe */
  int error;
  struct addrinfo *found;
  char host[];
} Lookup;

typedef struct Handle {
  Lookup *lookup;       /* NULL when closed */
  int fd;
} Handle;

static void letgo (Lookup *l) {
  pthread_mutex_lock(&l->lock);
  int left = --l->holders;
  pthread_mutex_unlock(&l->lock);
  if (left > 0) return;
  if (l->found != NULL) freeaddrinfo(l->found);
  pthread_mutex_destroy(&l->lock);
  free(l);
}

static void *ask (void *ud) {
  Lookup *l = ud;
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
  int end = l->end;
  l->error = getaddrinfo(l->host, NULL, &hints, &l->found);
  close(end);
  letgo(l);
  return NULL;
}

static int handle_close (lua_State *L) {
  Handle *h = luaL_checkudata(L, 1, LOOKUP);
  if (h->lookup != NULL) {
    close(h->fd);
    letgo(h->lookup);
  }
  h->lookup = NULL;
  return 0;
}

static Handle *newhandle (lua_State *L) {
  Handle *h = lua_newuserdatauv(L, sizeof *h, 0);
  *h = (Handle){0};
  if (luaL_newmetatable(L, LOOKUP)) {
    lua_pushcfunction(L, handle_close);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  return h;
}

/* [-0, +1]  the list of addresses */
static void pushaddresses (lua_State *L, const struct addrinfo *a) {
  char text[INET6_ADDRSTRLEN];
  lua_Integer n = 0;
  lua_newtable(L);
  for (; a != NULL; a = a->ai_next) {
    if (getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof text, NULL, 0,
                    NI_NUMERICHOST) != 0) continue;
    lua_pushstring(L, text);
    lua_rawseti(L, -2, ++n);
  }
}

/* the caller's k and ctx, and the host, wait below the handle */
static int answered (lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  int base = (int)ctx;
  Handle *h = lua_touserdata(L, base + 1);
  lua_KFunction k;
  memcpy(&k, lua_touserdata(L, base + 2), sizeof k);
  lua_KContext kctx = (lua_KContext)lua_tointeger(L, base + 3);
  struct pollfd p = {.fd = h->fd, .events = POLLIN};
  if (poll(&p, 1, 0) == 0)
    return rb_fail(L, "timeout", RB_NOTDONE, "the name %s was not resolved "
                   "in time", h->lookup->host);
  if (h->lookup->error != 0)
    return rb_fail(L, "io", RB_NOTDONE, "the name %s does not resolve: %s",
                   h->lookup->host, gai_strerror(h->lookup->error));
  pushaddresses(L, h->lookup->found);
  lua_insert(L, base + 1);
  lua_settop(L, base + 1);
  return k(L, LUA_YIELD, kctx);
}

static void start (lua_State *L, Handle *h, const char *host) {
  int fds[2];
  pthread_t thread;
  pthread_attr_t attr;
  Lookup *l = calloc(1, sizeof *l + strlen(host) + 1);
  if (l == NULL || pipe2(fds, O_CLOEXEC) != 0) {
    free(l);
    luaL_error(L, "cannot look up %s: %s", host, strerror(errno));
    return;
  }
  strcpy(l->host, host);
  pthread_mutex_init(&l->lock, NULL);
  l->holders = 2;
  l->end = fds[1];
  h->lookup = l;
  h->fd = fds[0];
  pthread_attr_init(&attr);
  pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);  /* signals are the main thread's */
  int failed = pthread_create(&thread, &attr, ask, l);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attr);
  if (failed) {
    close(fds[1]);
    l->holders = 1;
    luaL_error(L, "cannot look up %s: %s", host, strerror(failed));
  }
}

int rb_resolve (lua_State *L, const char *host, lua_KContext ctx,
                lua_KFunction k) {
  unsigned char addr[sizeof(struct in6_addr)];
  if (inet_pton(AF_INET, host, addr) == 1
      || inet_pton(AF_INET6, host, addr) == 1) {
    lua_createtable(L, 1, 0);
    lua_pushstring(L, host);
    lua_rawseti(L, -2, 1);
    return k(L, LUA_OK, ctx);
  }
  int base = lua_gettop(L);
  Handle *h = newhandle(L);
  memcpy(lua_newuserdatauv(L, sizeof k, 0), &k, sizeof k);
  lua_pushinteger(L, (lua_Integer)ctx);
  start(L, h, host);
  return rb_wait(L, h->fd, POLLIN, base, answered);
}
