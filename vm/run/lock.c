/*
** lock.c - one run at a time for each lock name, on this machine
**
** flock dies with its holder, so a lock is never stale. The file says who
** holds it, for whoever comes second. It excludes the runs of one user, unless
** the configuration names a folder that several may write (`locks`).
** What the file says outlives the flock: a run that was not finished keeps its
** claim (claim.c).
*/

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "vm/run/run.h"

#define PATIENCE 10  /* hundredths of a second */

/* The folder of the configuration, which is there, or the one beside the tape,
** made when missing. */
static int folder (const rb_Run *r, char *path, size_t size, int *shared) {
  char tape[4096], *named = rb_config_locks(r->vm->config);
  *shared = named != NULL;
  if (*shared) {
    int fits = (size_t)snprintf(path, size, "%s", named) < size;
    free(named);
    return fits && access(path, W_OK | X_OK) == 0;
  }
  if (!rb_tape_file(tape, sizeof tape)) return 0;
  char *slash = strrchr(tape, '/');
  if (slash == NULL) return 0;
  *slash = '\0';
  if ((size_t)snprintf(path, size, "%s/locks", tape) >= size) return 0;
  return mkdir(path, 0700) == 0 || errno == EEXIST;
}

/* a lock's name as a file name: what is odd becomes %xx */
static void filename (const char *name, char *out, size_t size) {
  size_t n = 0;
  for (; *name != '\0' && n + 4 < size; name++) {
    unsigned char c = (unsigned char)*name;
    int plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
                || (c >= '0' && c <= '9') || strchr("_-:@", c) != NULL;
    n += (size_t)snprintf(out + n, size - n, plain ? "%c" : "%%%02x", c);
  }
  out[n] = '\0';
}

static int heldby (int fd, const char *name, rb_Problem *p) {
  rb_LockText t;
  rb_lock_read(fd, &t);
  return rb_problem(p, RB_LOCKED, "lock", "the lock '%s' is held by another run: %s%s%s",
                    name, t.who[0] != '\0' ? t.who : "it does not say which",
                    t.claim[0] != '\0' ? "; what it has done: runbook report " : "",
                    t.claim[0] != '\0' ? t.run + 18 : "");
}

/* a runbook and its case may name the same lock */
static int ours (const rb_Run *r, int fd) {
  struct stat st, held;
  if (fstat(fd, &st) != 0) return 0;
  for (int i = 0; i < r->nlocks; i++)
    if (fstat(r->locks[i], &held) == 0 && held.st_ino == st.st_ino
        && held.st_dev == st.st_dev) return 1;
  return 0;
}

/* says in the file who holds it, and keeps it */
static int keep (rb_Run *r, int fd, const char *name, const char *path, int shared) {
  int *list = realloc(r->locks, ((size_t)r->nlocks + 1) * sizeof *list);
  if (list == NULL) return -1;
  r->locks = list;
  r->sharedlocks |= shared;
  if (rb_lock_write(r, fd) != 0) return -1;
  r->locks[r->nlocks++] = fd;
  rb_record(r->vm, "lock", NULL, json_pack("{s:o,s:o}", "name",
            rb_jsontext(name, strlen(name)), "file", rb_jsontext(path, strlen(path))));
  return 0;
}

/* What is there already may be somebody else's: then O_CREAT would be refused in
** some folders. */
static int openlock (const char *path, int shared) {
  const int how = O_RDWR | O_CLOEXEC | O_NOFOLLOW;
  int fd = open(path, how);
  if (fd >= 0 || errno != ENOENT) return fd;
  fd = open(path, how | O_CREAT, 0600);
  if (fd >= 0 && shared) (void)!fchmod(fd, 0660);  /* whatever the umask is */
  return fd;
}

/* A dry run looks whether a lock is free by sharing it for a moment: that moment is
** waited for. */
static int take (int fd, int shared) {
  struct timespec moment = {.tv_nsec = 10000000};
  for (int i = 0; ; i++) {
    if (flock(fd, (shared ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0) return 1;
    if (shared || errno != EWOULDBLOCK || i == PATIENCE) return 0;
    nanosleep(&moment, NULL);
  }
}

static int here (rb_Run *r, const char *name, int claims, rb_Problem *p) {
  char dir[4096] = "", file[256], path[4400];
  int shared;
  if (!folder(r, dir, sizeof dir, &shared))
    return rb_problem(p, RB_USAGE, "lock", "the folder of locks %s cannot be used: %s",
                      dir, strerror(errno));
  filename(name, file, sizeof file);
  snprintf(path, sizeof path, "%s/%s", dir, file);
  int fd = openlock(path, shared);
  if (fd < 0)
    return rb_problem(p, RB_USAGE, "lock", "cannot open the lock %s: %s", path,
                      strerror(errno));
  int mine = ours(r, fd), dry = r->vm->dryrun;  /* that looks, and holds nothing */
  if (!mine && !take(fd, dry)) {
    heldby(fd, name, p);
    close(fd);
    return p->exit;
  }
  if (claims && !mine && rb_lock_claimed(r, fd, name, shared, p) != 0) {
    close(fd);
    return p->exit;
  }
  if (mine || dry) {
    close(fd);
    return 0;
  }
  if (keep(r, fd, name, path, shared) != 0) {
    close(fd);
    return rb_problem(p, RB_USAGE, "lock", "cannot write the lock %s: %s", path,
                      strerror(errno));
  }
  return 0;
}

/* Connections are begun while the server is asked for the lock, but not while a person
** thinks about an approval. */
static void across (rb_Run *r, const char *name, rb_Problem *p) {
  if (r->outline.approve[0] == NULL || r->o->yes) rb_ahead_connect(r);
  rb_across_lock(r, name, p);
}

int rb_lock (rb_Run *r, const char *name, rb_Problem *p) {
  char said[sizeof p->message];
  if (here(r, name, 1, p) == 0) across(r, name, p);
  if (p->exit != RB_LOCKED || !r->vm->dryrun) return p->exit;
  memcpy(said, p->message, sizeof said);
  return rb_problem(p, RB_LOCKED, "lock", "would be refused: %.1000s", said);
}

int rb_lock_alone (rb_Run *r, const char *name, rb_Problem *p) {
  return here(r, name, 0, p);
}
