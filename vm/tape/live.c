/*
** live.c - which runs are under way, and in which processes
**
** A session keeps the key of its run locked as long as it lives (seal.c), and the kernel
** says who does: /proc/PID/fdinfo. So a run need not announce itself, and one that was
** killed is gone at once. Seen are the processes of this user on this machine.
*/

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vm/tape/store.h"

/* does that descriptor hold a lock? */
static int locked (int pid, const char *fd) {
  char path[80], line[200];
  int is = 0;
  snprintf(path, sizeof path, "/proc/%d/fdinfo/%.20s", pid, fd);
  FILE *f = fopen(path, "re");
  while (f != NULL && !is && fgets(line, sizeof line, f) != NULL)
    is = strncmp(line, "lock:", 5) == 0 && strstr(line, "FLOCK") != NULL
         && strstr(line, "WRITE") != NULL;
  if (f != NULL) fclose(f);
  return is;
}

/* the run whose key one of its descriptors locks: 1 and 'run' */
static int sessionof (int pid, const char *keys, char run[RB_RUNID]) {
  char path[80], to[PATH_MAX];
  size_t n = strlen(keys);
  int found = 0;
  snprintf(path, sizeof path, "/proc/%d/fd", pid);
  DIR *d = opendir(path);
  for (struct dirent *e; d != NULL && !found && (e = readdir(d)) != NULL; ) {
    ssize_t len = readlinkat(dirfd(d), e->d_name, to, sizeof to - 1);
    if (len < 0) continue;
    to[len] = '\0';
    if (strncmp(to, keys, n) != 0 || to[n] != '/' || len != (ssize_t)(n + RB_RUNID)) continue;
    found = rb_ulid_time(to + n + 1) != 0 && locked(pid, e->d_name);
    if (found) snprintf(run, RB_RUNID, "%s", to + n + 1);
  }
  if (d != NULL) closedir(d);
  return found;
}

/* the folder of the keys, as the kernel calls it */
static int folder (const rb_Tape *t, char real[PATH_MAX]) {
  char path[PATH_MAX];
  return rb_seal_path(t, NULL, path) && realpath(path, real) != NULL;
}

int rb_tape_holds (rb_Tape *t, const char *run, int pid) {
  char keys[PATH_MAX], held[RB_RUNID];
  return folder(t, keys) && sessionof(pid, keys, held) && strcmp(held, run) == 0;
}

int rb_tape_live (rb_Tape *t, int (*each) (void *ud, const char *run, int pid), void *ud,
                  rb_Problem *p) {
  char keys[PATH_MAX], run[RB_RUNID];
  int stop = 0;
  if (!folder(t, keys)) return 0;  /* no key, no run */
  DIR *d = opendir("/proc");
  if (d == NULL)
    return rb_problem(p, RB_USAGE, "tape", "/proc cannot be read, so nobody can tell which "
                      "runs are under way");
  for (struct dirent *e; !stop && (e = readdir(d)) != NULL; ) {
    struct stat st;
    int pid = atoi(e->d_name);
    if (pid <= 0 || fstatat(dirfd(d), e->d_name, &st, 0) != 0 || st.st_uid != geteuid())
      continue;
    if (sessionof(pid, keys, run)) stop = each(ud, run, pid);
  }
  closedir(d);
  return 0;
}
