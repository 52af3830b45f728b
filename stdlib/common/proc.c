/*
** proc.c - one process, as /proc tells it
*/

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stdlib/common/proc.h"

#define LONGEST 4096  /* bytes of a command that are kept */

static int bynumber (const void *a, const void *b) {
  pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;
  return (x > y) - (x < y);
}

pid_t *rb_proc_all (size_t *n) {
  size_t size = 256;
  pid_t *list = malloc(size * sizeof *list);
  DIR *d = list != NULL ? opendir("/proc") : NULL;
  *n = 0;
  for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL; ) {
    if (!isdigit((unsigned char)*e->d_name)) continue;
    if (*n == size) {
      pid_t *more = realloc(list, (size *= 2) * sizeof *list);
      if (more == NULL) break;
      list = more;
    }
    list[(*n)++] = (pid_t)atol(e->d_name);
  }
  if (d != NULL) closedir(d);
  if (*n > 0) qsort(list, *n, sizeof *list, bynumber);
  return list;
}

/* at most size - 1 bytes of /proc/PID/name, and a NUL; -1: it cannot be read */
static ssize_t slurp (pid_t pid, const char *name, char *out, size_t size) {
  char path[64];
  size_t got = 0;
  snprintf(path, sizeof path, "/proc/%ld/%s", (long)pid, name);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  for (ssize_t n; got < size - 1 && (n = read(fd, out + got, size - 1 - got)) > 0; )
    got += (size_t)n;
  close(fd);
  out[got] = '\0';
  return (ssize_t)got;
}

/* when the machine was started, in seconds since 1970 */
static double booted (void) {
  static double since;     /* the same for all threads */
  char line[256];
  FILE *f = since == 0 ? fopen("/proc/stat", "re") : NULL;
  while (f != NULL && fgets(line, sizeof line, f) != NULL)
    if (sscanf(line, "btime %lf", &since) == 1) break;
  if (f != NULL) fclose(f);
  return since;
}

/* its words with spaces between; kernel threads have none */
static char *command (pid_t pid) {
  char words[LONGEST];
  ssize_t n = slurp(pid, "cmdline", words, sizeof words);
  while (n > 0 && words[n - 1] == '\0') n--;
  if (n <= 0) return NULL;
  for (ssize_t i = 0; i < n; i++)
    if ((unsigned char)words[i] < ' ') words[i] = ' ';
  return strndup(words, (size_t)n);
}

/* the number behind a name of /proc/PID/status; kernel threads have no memory: 0 */
static long long field (const char *status, const char *name) {
  const char *at = strstr(status, name);
  return at != NULL ? atoll(at + strlen(name)) : 0;
}

int rb_proc_read (pid_t pid, rb_Proc *p) {
  char stat[1024], status[4096];
  unsigned long user, kernel;
  unsigned long long start;
  long parent;
  *p = (rb_Proc){.pid = pid};
  if (slurp(pid, "stat", stat, sizeof stat) <= 0) return 0;
  char *open = strchr(stat, '('), *shut = strrchr(stat, ')');
  if (open == NULL || shut == NULL || shut < open) return 0;
  if (sscanf(shut + 1, " %c %ld %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d "
             "%*d %*d %*d %*d %llu", &p->state, &parent, &user, &kernel, &start) != 5)
    return 0;
  if (slurp(pid, "status", status, sizeof status) <= 0) return 0;
  double ticks = (double)sysconf(_SC_CLK_TCK);
  snprintf(p->program, sizeof p->program, "%.*s", (int)(shut - open - 1), open + 1);
  p->parent = (pid_t)parent;
  p->uid = (uid_t)field(status, "\nUid:");
  p->memory = field(status, "\nVmRSS:") * 1024;  /* `stat` is not exact */
  p->cpu = (double)(user + kernel) / ticks;
  p->started = booted() + (double)start / ticks;
  p->command = command(pid);
  return 1;
}

void rb_proc_user (uid_t uid, char *out, size_t size) {
  char room[4096];
  struct passwd pw, *found = NULL;
  if (getpwuid_r(uid, &pw, room, sizeof room, &found) == 0 && found != NULL)
    snprintf(out, size, "%s", pw.pw_name);
  else snprintf(out, size, "%lu", (unsigned long)uid);
}
