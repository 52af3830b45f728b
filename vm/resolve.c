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

struct rb_Lookup {
  pthread_mutex_t lock;
  int holders;          /* the thread and whoever asked */
  int end;              /* the thread's end of the pipe */
  int error;
  struct addrinfo *found;
  char host[];
};

typedef struct Handle {
  rb_Lookup *lookup;    /* NULL when closed */
  int fd;
} Handle;

/* -- the question --------------------------------------------------------------- */

static void letgo (rb_Lookup *l) {
  pthread_mutex_lock(&l->lock);
  int left = --l->holders;
  pthread_mutex_unlock(&l->lock);
  if (left > 0) return;
  if (l->found != NULL) freeaddrinfo(l->found);
  pthread_mutex_destroy(&l->lock);
  free(l);
}

static void *ask (void *ud) {
  rb_Lookup *l = ud;
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
  int end = l->end;
  l->error = getaddrinfo(l->host, NULL, &hints, &l->found);
  close(end);
  letgo(l);
  return NULL;
}

rb_Lookup *rb_lookup (const char *host, int *fd) {
  int fds[2];
  pthread_t thread;
  rb_Lookup *l = calloc(1, sizeof *l + strlen(host) + 1);
  if (l == NULL || pipe2(fds, O_CLOEXEC) != 0) {
    free(l);
    return NULL;
  }
  strcpy(l->host, host);
  pthread_mutex_init(&l->lock, NULL);
  l->holders = 2;
  l->end = fds[1];
  *fd = fds[0];
  errno = rb_thread(&thread, ask, l);
  if (errno == 0) {
    pthread_detach(thread);
    return l;
  }
  close(fds[0]);
  close(fds[1]);
  l->holders = 1;
  letgo(l);
  return NULL;
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

void rb_lookup_end (rb_Lookup *l, int fd) {
  close(fd);
  letgo(l);
}

int rb_isaddress (const char *host) {
  unsigned char addr[sizeof(struct in6_addr)];
  return inet_pton(AF_INET, host, addr) == 1 || inet_pton(AF_INET6, host, addr) == 1;
}

/* -- for a task --------------------------------------------------------------------- */

static int handle_close (lua_State *L) {
  Handle *h = luaL_checkudata(L, 1, LOOKUP);
  if (h->lookup != NULL) rb_lookup_end(h->lookup, h->fd);
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

/* [-0, +0]  one address more for the list at the top */
static void addaddress (void *ud, const char *address) {
  lua_State *L = ud;
  lua_pushstring(L, address);
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
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
  lua_newtable(L);
  rb_lookup_each(h->lookup, addaddress, L);
  lua_insert(L, base + 1);
  lua_settop(L, base + 1);
  return k(L, LUA_YIELD, kctx);
}

int rb_resolve (lua_State *L, const char *host, lua_KContext ctx,
                lua_KFunction k) {
  if (rb_isaddress(host)) {
    lua_createtable(L, 1, 0);
    lua_pushstring(L, host);
    lua_rawseti(L, -2, 1);
    return k(L, LUA_OK, ctx);
  }
  int base = lua_gettop(L);
  Handle *h = newhandle(L);
  memcpy(lua_newuserdatauv(L, sizeof k, 0), &k, sizeof k);
  lua_pushinteger(L, (lua_Integer)ctx);
  h->lookup = rb_lookup(host, &h->fd);
  if (h->lookup == NULL)
    return luaL_error(L, "cannot look up %s: %s", host, strerror(errno));
  return rb_wait(L, h->fd, POLLIN, base, answered);
}
