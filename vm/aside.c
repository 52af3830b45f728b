/*
** aside.c - what blocks, off the loop's thread
**
** A thread of its own does the work, and says that it is done by closing its end
** of a pipe. What the thread uses is freed by whoever lets go last, so that a
** task may end while the work is still going on.
*/

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vm/vm.h"

#define ASIDE "rb.aside"

typedef struct Work {
  pthread_mutex_t lock;
  int holders;          /* the thread and whoever asked */
  int end;              /* the thread's end of the pipe */
  void (*work) (void *job);
  void (*drop) (void *job);
  max_align_t job[];
} Work;

typedef struct Handle {
  void *job;            /* NULL when closed */
  int fd;
} Handle;

static void letgo (Work *w) {
  pthread_mutex_lock(&w->lock);
  int left = --w->holders;
  pthread_mutex_unlock(&w->lock);
  if (left > 0) return;
  if (w->drop != NULL) w->drop(w->job);
  pthread_mutex_destroy(&w->lock);
  free(w);
}

static void *perform (void *ud) {
  Work *w = ud;
  int end = w->end;
  w->work(w->job);
  close(end);
  letgo(w);
  return NULL;
}

void *rb_aside_begin (const void *job, size_t size, void (*work) (void *job),
                      void (*drop) (void *job), int *fd) {
  int fds[2];
  pthread_t thread;
  Work *w = calloc(1, sizeof *w + size);
  if (w == NULL || pipe2(fds, O_CLOEXEC) != 0) {
    free(w);
    return NULL;
  }
  memcpy(w->job, job, size);
  pthread_mutex_init(&w->lock, NULL);
  w->holders = 2;
  w->end = fds[1];
  w->work = work;
  w->drop = drop;
  *fd = fds[0];
  errno = rb_thread(&thread, perform, w);
  if (errno == 0) {
    pthread_detach(thread);
    return w->job;
  }
  close(fds[0]);
  close(fds[1]);
  w->holders = 1;
  letgo(w);
  return NULL;
}

void rb_aside_end (void *job, int fd) {
  close(fd);
  letgo((Work *)((char *)job - offsetof(Work, job)));
}

/* -- for a task --------------------------------------------------------------------- */

static int handle_close (lua_State *L) {
  Handle *h = luaL_checkudata(L, 1, ASIDE);
  if (h->job != NULL) rb_aside_end(h->job, h->fd);
  h->job = NULL;
  return 0;
}

/* [-0, +1, m]  closed */
static Handle *newhandle (lua_State *L) {
  Handle *h = lua_newuserdatauv(L, sizeof *h, 0);
  *h = (Handle){0};
  if (luaL_newmetatable(L, ASIDE)) {
    lua_pushcfunction(L, handle_close);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  return h;
}

int rb_aside (lua_State *L, const void *job, size_t size, void (*work) (void *job),
              void (*drop) (void *job), lua_KContext ctx, lua_KFunction k) {
  Handle *h = newhandle(L);
  h->job = rb_aside_begin(job, size, work, drop, &h->fd);
  if (h->job == NULL) return luaL_error(L, "cannot begin a thread: %s", strerror(errno));
  return rb_wait(L, h->fd, POLLIN, ctx, k);
}

void *rb_aside_done (lua_State *L, int idx) {
  Handle *h = lua_touserdata(L, idx);
  struct pollfd p = {.fd = h->fd, .events = POLLIN};
  return poll(&p, 1, 0) != 0 ? h->job : NULL;
}
