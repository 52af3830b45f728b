/*
** watch.c - waits until a file beside the tests or their runbooks is written
*/

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "vm/test/suite.h"

#define QUIET 50   /* milliseconds without a change: an editor writes several at a time */
#define EVENTS (IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE)

static volatile sig_atomic_t interrupted;

static void onsignal (int sig) { interrupted = sig; }

int rb_watch_open (rb_Problem *p) {
  int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  if (fd < 0) rb_problem(p, RB_USAGE, "test", "files cannot be watched: %s", strerror(errno));
  return fd;
}

void rb_watch_beside (int fd, const char *file) {
  char folder[PATH_MAX];
  const char *slash = file != NULL ? strrchr(file, '/') : NULL;
  if (fd < 0 || file == NULL) return;
  snprintf(folder, sizeof folder, "%.*s", slash == NULL ? 1 : (int)(slash - file) + 1,
           slash == NULL ? "." : file);
  inotify_add_watch(fd, folder, EVENTS);  /* twice is once */
}

static int isours (const char *name) {
  static const char *const ends[] = {".lua", ".tape"};
  size_t n = strlen(name);
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
    size_t m = strlen(ends[i]);
    if (*name != '.' && n > m && strcmp(name + n - m, ends[i]) == 0) return 1;
  }
  return 0;
}

/* Reads what there is; 1 and the name of the first file that is of ours. */
static int changed (int fd, char *name, size_t size) {
  _Alignas(struct inotify_event) char b[8192];
  int found = 0;
  ssize_t n;
  while ((n = read(fd, b, sizeof b)) > 0)
    for (char *at = b; at < b + n; ) {
      const struct inotify_event *e = (const struct inotify_event *)at;
      if (!found && e->len > 0 && isours(e->name)) {
        found = 1;
        snprintf(name, size, "%s", e->name);
      }
      at += sizeof *e + e->len;
    }
  return found;
}

/* Waits for more, but not when a signal that came before this would be missed. */
static int ready (int fd, const struct timespec *time, const sigset_t *open) {
  struct pollfd p = {fd, POLLIN, 0};
  return !interrupted && ppoll(&p, 1, time, open) > 0;
}

int rb_watch_wait (int fd) {
  static const struct timespec quiet = {0, QUIET * 1000000L};
  struct sigaction sa = {.sa_handler = onsignal}, before[2];
  sigset_t shut, open;
  char name[NAME_MAX + 1] = "", more[NAME_MAX + 1];
  sigemptyset(&shut);
  sigaddset(&shut, SIGINT);
  sigaddset(&shut, SIGTERM);
  sigprocmask(SIG_BLOCK, &shut, &open);
  sigaction(SIGINT, &sa, &before[0]);
  sigaction(SIGTERM, &sa, &before[1]);
  fprintf(stderr, "watching; Ctrl-C ends it\n");
  int found = changed(fd, name, sizeof name);  /* while the tests were running */
  while (!interrupted && !found)
    if (ready(fd, NULL, &open)) found = changed(fd, name, sizeof name);
  while (found && ready(fd, &quiet, &open)) changed(fd, more, sizeof more);
  if (found && !interrupted) fprintf(stderr, "\n%s was written\n", name);
  sigaction(SIGINT, &before[0], NULL);
  sigaction(SIGTERM, &before[1], NULL);
  sigprocmask(SIG_SETMASK, &open, NULL);
  return interrupted ? RB_INTERRUPTED : 0;
}
