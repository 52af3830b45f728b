/*
** storage.c - preloaded into a program: counts how often it makes its files durable, or
** kills it (SIGKILL) in the middle of writing one
**
** STORAGE_FILE: only files with this in their name. STORAGE_COUNT: a file to which it says
** at the end "SYNCS WRITES". STORAGE_KILL: at the Nth write or sync, a write half done,
** as STORAGE_PART (0 to 99) says, or a sync before or after it.
*/

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_long syncs, writes;
static long last, part;
static const char *name, *count;

static void end (void) {
  char text[64];
  int fd = count != NULL ? open(count, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
  int n = snprintf(text, sizeof text, "%ld %ld\n", syncs, writes);
  if (fd >= 0 && write(fd, text, (size_t)n) != n) abort();
}

static long number (const char *variable, long none) {
  const char *s = getenv(variable);
  return s != NULL ? atol(s) : none;
}

__attribute__((constructor)) static void begin (void) {
  name = getenv("STORAGE_FILE");
  count = getenv("STORAGE_COUNT");
  last = number("STORAGE_KILL", 0);
  part = number("STORAGE_PART", 0);
  atexit(end);
}

static int ours (int fd) {
  char link[64], path[512];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, sizeof path - 1);
  if (n < 0) return 0;
  path[n] = '\0';
  return name == NULL || strstr(path, name) != NULL;
}

/* is this the one at which it ends? */
static int now (atomic_long *kind) {
  atomic_fetch_add(kind, 1);
  return last > 0 && syncs + writes == last;
}

static void *next (const char *symbol) { return dlsym(RTLD_NEXT, symbol); }

static ssize_t put (const char *symbol, int fd, const void *s, size_t n, off_t at) {
  ssize_t (*real) (int fd, const void *s, size_t n, off_t at);
  *(void **)&real = next(symbol);
  if (!ours(fd) || !now(&writes)) return real(fd, s, n, at);
  if (real(fd, s, n * (size_t)part / 100, at) < 0) abort();
  return kill(getpid(), SIGKILL);
}

ssize_t pwrite (int fd, const void *s, size_t n, off_t at) { return put("pwrite", fd, s, n, at); }
ssize_t pwrite64 (int fd, const void *s, size_t n, off_t at) { return put("pwrite64", fd, s, n, at); }

static int sync_ (const char *symbol, int fd) {
  int (*real) (int fd);
  *(void **)&real = next(symbol);
  int is = ours(fd) && now(&syncs);
  if (is && part < 50) kill(getpid(), SIGKILL);
  int rc = real(fd);
  return is ? kill(getpid(), SIGKILL) : rc;
}

int fdatasync (int fd) { return sync_("fdatasync", fd); }
int fsync (int fd) { return sync_("fsync", fd); }
