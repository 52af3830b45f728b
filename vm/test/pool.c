/*
** pool.c - cases in processes of their own, as many at a time as there are processors
*/

#include <errno.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <fcntl.h>

#include "vm/buffer.h"
#include "vm/clock.h"
#include "vm/test/suite.h"

#define MOST 64          /* at a time */
#define LONGEST 60.0     /* seconds that a case may take */

typedef struct Child {
  pid_t pid;             /* 0: free */
  int fd;
  rb_Suite *s;
  int i;
  double began;
  int late;
  rb_Buffer said;
} Child;

typedef struct Pool {
  rb_Suite *list; int n;
  const rb_TestOptions *o;
  Child children[MOST]; int most;
  int suite, next;       /* the next case to begin */
  int shown;             /* suites that are through, and were shown */
} Pool;

static volatile sig_atomic_t interrupted;

static void onsignal (int sig) { interrupted = sig; }

static json_t *rowof (const rb_Suite *s, int i) { return json_array_get(s->cases, (size_t)i); }

/* -- one child ----------------------------------------------------------- */

static int begin (Pool *p, Child *c, rb_Suite *s, int i) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return 0;
  fflush(NULL);
  pid_t pid = fork();
  if (pid == 0) {
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    close(ends[0]);
    rb_case_run(s, i, p->o, ends[1]);
    fflush(NULL);
    _exit(0);
  }
  close(ends[1]);
  if (pid < 0) {
    close(ends[0]);
    return 0;
  }
  *c = (Child){.pid = pid, .fd = ends[0], .s = s, .i = i, .began = rb_clock_real()};
  return 1;
}

static void broken (json_t *row, const char *why) {
  json_object_set_new(row, "status", json_string("broken"));
  json_object_set_new(row, "ms", json_real(0));
  json_object_set_new(row, "failures", json_pack("[{s:s, s:O}]", "what", why, "line",
                      json_object_get(row, "line")));
}

static void end (Child *c) {
  int status = 0;
  json_t *row = rowof(c->s, c->i), *result;
  close(c->fd);
  while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR) continue;
  result = c->said.s != NULL ? json_loads(c->said.s, 0, NULL) : NULL;
  if (result != NULL) json_object_update(row, result);
  else broken(row, c->late ? "it did not end within a minute, and was killed"
              : "its process ended in the middle");
  json_decref(result);
  rb_buffer_free(&c->said);
  c->pid = 0;
}

static void hear (Child *c) {
  char part[16384];
  ssize_t n = read(c->fd, part, sizeof part);
  if (n > 0) rb_buffer_add(&c->said, part, (size_t)n);
  else if (n == 0 || errno != EINTR) end(c);
}

/* -- all of them --------------------------------------------------------- */

static int isalone (const rb_Suite *s, int i) {
  return json_is_true(json_object_get(rowof(s, i), "alone"));
}

/* Does a case run that has a real target to itself? */
static int occupied (const Pool *p) {
  for (const Child *c = p->children; c < p->children + p->most; c++)
    if (c->pid != 0 && isalone(c->s, c->i)) return 1;
  return 0;
}

/* the next case that may be begun; NULL: there is none now */
static rb_Suite *nextcase (Pool *p, int *i) {
  for (; p->suite < p->n; p->suite++, p->next = 0) {
    rb_Suite *s = &p->list[p->suite];
    if (s->problem.exit == 0 && p->next < (int)json_array_size(s->cases)) {
      if (isalone(s, p->next) && occupied(p)) return NULL;
      *i = p->next++;
      return s;
    }
  }
  return NULL;
}

static int startall (Pool *p) {
  int running = 0, i;
  for (Child *c = p->children; c < p->children + p->most; c++) {
    rb_Suite *s = c->pid == 0 && !interrupted ? nextcase(p, &i) : NULL;
    if (s != NULL && !begin(p, c, s, i)) broken(rowof(s, i), "no process could be begun for it");
    running += c->pid != 0;
  }
  return running;
}

static void wait_ (Pool *p) {
  struct pollfd fds[MOST];
  Child *of[MOST];
  nfds_t n = 0;
  for (Child *c = p->children; c < p->children + p->most; c++) {
    if (c->pid == 0) continue;
    if (interrupted || rb_clock_real() - c->began > LONGEST) {
      c->late = 1;
      kill(c->pid, SIGKILL);
    }
    fds[n] = (struct pollfd){c->fd, POLLIN, 0};
    of[n++] = c;
  }
  if (poll(fds, n, 1000) <= 0) return;
  for (nfds_t k = 0; k < n; k++)
    if (fds[k].revents != 0) hear(of[k]);
}

static int isover (const rb_Suite *s) {
  if (s->problem.exit != 0) return 1;
  for (size_t i = 0; i < json_array_size(s->cases); i++)
    if (json_object_get(json_array_get(s->cases, i), "status") == NULL) return 0;
  return 1;
}

static void runall (Pool *p, void (*each) (void *ud, const rb_Suite *s), void *ud) {
  while (startall(p) > 0 || p->shown < p->n) {
    for (; p->shown < p->n && isover(&p->list[p->shown]); p->shown++)
      each(ud, &p->list[p->shown]);
    if (p->shown == p->n || (interrupted && startall(p) == 0)) break;
    wait_(p);
  }
}

/* -- the folder of their tapes -------------------------------------------------- */

/* in memory where that can be: a test's tape need not outlive the machine */
static int makefolder (char *folder, size_t size) {
  const char *tmp = getenv("TMPDIR");
  if (access("/dev/shm", W_OK | X_OK) == 0) tmp = "/dev/shm";
  snprintf(folder, size, "%s/runbook-test.XXXXXX", tmp != NULL && *tmp == '/' ? tmp : "/tmp");
  return mkdtemp(folder) != NULL;
}

static int removeone (const char *path, const struct stat *st, int flag, struct FTW *ftw) {
  (void)st; (void)flag; (void)ftw;
  return remove(path);
}

int rb_pool_run (rb_Suite *list, int n, const rb_TestOptions *o,
                 void (*each) (void *ud, const rb_Suite *s), void *ud) {
  char folder[PATH_MAX] = "";
  rb_TestOptions own = *o;
  Pool p = {.list = list, .n = n, .o = &own};
  struct sigaction sa = {.sa_handler = onsignal}, before[2];
  long processors = sysconf(_SC_NPROCESSORS_ONLN);
  p.most = processors < 1 ? 1 : processors > MOST ? MOST : (int)processors;
  interrupted = 0;
  sigaction(SIGINT, &sa, &before[0]);
  sigaction(SIGTERM, &sa, &before[1]);
  int made = makefolder(folder, sizeof folder);
  own.folder = folder;
  runall(&p, each, ud);
  if (made) nftw(folder, removeone, 8, FTW_DEPTH | FTW_PHYS);
  sigaction(SIGINT, &before[0], NULL);
  sigaction(SIGTERM, &before[1], NULL);
  return interrupted ? RB_INTERRUPTED : 0;
}
