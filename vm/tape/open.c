/*
** open.c - finding, making, checking and closing the file of the tape
**
** A new tape is made beside its place and renamed into it, so that a file of
** this name is always a whole tape, with its marks in the first 100 bytes.
*/

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vm/tape/store.h"


/* -- complaints -------------------------------------------------------------- */

int rb_tape_nomemory (rb_Problem *p) {
  return rb_problem(p, RB_USAGE, "tape", "not enough memory for the tape");
}

int rb_tape_damaged (rb_Problem *p, const char *file, const char *how) {
  return rb_problem(p, RB_USAGE, "tape", "the tape %.400s is damaged (%s): "
                    "move it away (with its -wal and -shm) and run again; a "
                    "new one is made", file, how);
}

static int full (rb_Problem *p, const char *file) {
  return rb_problem(p, RB_USAGE, "tape", "the disk of the tape %.400s is "
                    "full: make room on it and try again", file);
}

int rb_tape_noplace (rb_Problem *p, const char *file, int error) {
  return rb_problem(p, RB_USAGE, "tape", "cannot use the folder of the tape %.400s: %s; "
                    "XDG_STATE_HOME (a folder that you may write) says where the tape goes",
                    file, strerror(error));
}

static int noroom (int error) {
  return error == ENOSPC || error == EDQUOT || error == EFBIG;
}

/* What the system said last: SQLite itself often forgets it on the way back,
** but the file of the tape and that of its log remember. */
static int systemerror (sqlite3 *db) {
  static const int which[] = {SQLITE_FCNTL_JOURNAL_POINTER,
                              SQLITE_FCNTL_FILE_POINTER};
  int error = sqlite3_system_errno(db);
  for (int i = 0; i < 2 && error == 0; i++) {
    sqlite3_file *f = NULL;
    if (sqlite3_file_control(db, "main", which[i], &f) == SQLITE_OK &&
        f != NULL && f->pMethods != NULL)
      f->pMethods->xFileControl(f, SQLITE_FCNTL_LAST_ERRNO, &error);
  }
  return error;
}

int rb_tape_complain (rb_Tape *t, rb_Problem *p) {
  int error = systemerror(t->db);
  switch (sqlite3_errcode(t->db)) {
    case SQLITE_BUSY: case SQLITE_LOCKED:
      return rb_problem(p, RB_USAGE, "tape", "the tape %.400s is locked by "
                        "another process (waited %d s): see which with "
                        "'fuser %.400s', and try again", t->file, BUSY / 1000,
                        t->file);
    case SQLITE_FULL: return full(p, t->file);
    case SQLITE_READONLY: case SQLITE_PERM: case SQLITE_CANTOPEN:
      if (noroom(error)) return full(p, t->file);
      return rb_problem(p, RB_USAGE, "tape", "the tape %.400s cannot be "
                        "written (%s): the file and its folder must be yours "
                        "and writable", t->file,
                        error != 0 ? strerror(error) : "read-only");
    case SQLITE_CORRUPT: case SQLITE_NOTADB: case SQLITE_ERROR:
      return rb_tape_damaged(p, t->file, sqlite3_errmsg(t->db));
    case SQLITE_CONSTRAINT:
      return rb_problem(p, RB_USAGE, "tape", "another process goes on with "
                        "run %s: see 'runbook history'", t->run);
    case SQLITE_NOMEM: return rb_tape_nomemory(p);
    default:
      if (noroom(error)) return full(p, t->file);
      return rb_problem(p, RB_USAGE, "tape", "the tape %.400s cannot be read "
                        "or written: %s%s%s", t->file, sqlite3_errmsg(t->db),
                        error != 0 ? ": " : "",
                        error != 0 ? strerror(error) : "");
  }
}

/* -- making ------------------------------------------------------------------- */

/* the folder of 'file', "." when it names none */
static int folderof (const char *file, char dir[PATH_MAX]) {
  const char *slash = strrchr(file, '/');
  int n = slash == NULL ? snprintf(dir, PATH_MAX, ".")
        : snprintf(dir, PATH_MAX, "%.*s", slash == file ? 1
                                          : (int)(slash - file), file);
  return n > 0 && n < PATH_MAX;
}

/* makes the folders that are missing, ours alone */
static int folders (const char *dir) {
  char path[PATH_MAX];
  size_t n = strlen(dir);
  if (n >= sizeof path) { errno = ENAMETOOLONG; return 0; }
  memcpy(path, dir, n + 1);
  for (char *c = path + 1; ; c++) {
    if (*c != '/' && *c != '\0') continue;
    char was = *c;
    *c = '\0';
    if (mkdir(path, 0700) != 0 && errno != EEXIST) return 0;
    if (was == '\0') return 1;
    *c = was;
  }
}

static int fill (const char *file, const char *temp, rb_Problem *p) {
  rb_Tape t = {.file = (char *)file};
  int rc = sqlite3_open_v2(temp, &t.db, SQLITE_OPEN_READWRITE, NULL);
  if (rc == SQLITE_OK) rc = sqlite3_exec(t.db, rb_format_schema, NULL, NULL, NULL);
  if (rc != SQLITE_OK && t.db == NULL) rb_tape_nomemory(p);
  else if (rc != SQLITE_OK) rb_tape_complain(&t, p);
  sqlite3_close(t.db);
  return rc != SQLITE_OK ? p->exit : 0;
}

/* under the folder's lock: nobody else makes the same tape now, and a log
** that an older tape of this name left must not become part of this one */
static int place (const char *file, rb_Problem *p) {
  char temp[PATH_MAX], beside[PATH_MAX];
  if (snprintf(temp, sizeof temp, "%s.XXXXXX", file) >= PATH_MAX - 10)
    return rb_problem(p, RB_USAGE, "tape", "the name of the tape is too long");
  int fd = mkostemp(temp, O_CLOEXEC);
  if (fd < 0)
    return noroom(errno) ? full(p, file) : rb_tape_noplace(p, file, errno);
  int rc = fill(file, temp, p);
  if (rc == 0 && fsync(fd) != 0)
    rc = rb_problem(p, RB_USAGE, "tape", "cannot make the tape %.400s: %s",
                    file, strerror(errno));
  close(fd);
  for (int i = 0; i < 3 && rc == 0; i++) {
    static const char *const suffix[] = {"-wal", "-shm", "-journal"};
    snprintf(beside, sizeof beside, "%s%s", file, suffix[i]);
    unlink(beside);
  }
  if (rc == 0 && rename(temp, file) != 0)
    rc = rb_problem(p, RB_USAGE, "tape", "cannot make the tape %.400s: %s",
                    file, strerror(errno));
  if (rc != 0) unlink(temp);
  return rc;
}

static int create (const char *file, rb_Problem *p) {
  char dir[PATH_MAX];
  struct stat st;
  int rc = 0, fd = -1;
  if (folderof(file, dir) && folders(dir))
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 || flock(fd, LOCK_EX) != 0) {
    rc = noroom(errno) ? full(p, file) : rb_tape_noplace(p, file, errno);
    if (fd >= 0) close(fd);
    return rc;
  }
  if (stat(file, &st) != 0) rc = place(file, p);
  if (rc == 0) fsync(fd);  /* best effort: a tape without runs */
  close(fd);
  return rc;
}

/* -- checking ------------------------------------------------------------------- */

/* It holds what we did, so nobody else may read or replace it: a file of ours
** is mended, one of somebody else refused. */
static int ours (const char *file, const struct stat *st, rb_Problem *p) {
  char dir[PATH_MAX];
  struct stat d;
  if (!S_ISREG(st->st_mode))
    return rb_problem(p, RB_USAGE, "tape", "%.400s is not a file, so it cannot "
                      "be the tape: move it away", file);
  if (st->st_uid != geteuid()) {
    struct passwd *who = getpwuid(st->st_uid);
    return rb_problem(p, RB_USAGE, "tape", "the tape %.400s belongs to %s: use "
                      "your own (XDG_STATE_HOME says in which folder)", file,
                      who != NULL ? who->pw_name : "another user");
  }
  if ((st->st_mode & 077) != 0 && chmod(file, st->st_mode & 0700) != 0)
    return rb_problem(p, RB_USAGE, "tape", "the tape %.400s can be read by "
                      "others, and chmod says: %s", file, strerror(errno));
  if (!folderof(file, dir) || stat(dir, &d) != 0) return 0;
  if ((d.st_mode & 022) == 0 || (d.st_mode & S_ISVTX) != 0) return 0;
  if (d.st_uid == geteuid() && chmod(dir, d.st_mode & 0755) == 0) return 0;
  return rb_problem(p, RB_USAGE, "tape", "others may replace the tape, since "
                    "they may write its folder: chmod go-w %.400s", dir);
}

static int logged (void *ud, sqlite3 *db, const char *name, int frames) {
  rb_Tape *t = ud;
  (void)db; (void)name;
  t->frames = frames;
  return SQLITE_OK;
}

/* The log stays when we close, at its size (writing in place is faster), and
** is copied into the tape only by us, between two runs. */
static int setup (rb_Tape *t, rb_Problem *p) {
  int on = 1;
  sqlite3_extended_result_codes(t->db, 0);
  sqlite3_busy_timeout(t->db, BUSY);
  sqlite3_file_control(t->db, "main", SQLITE_FCNTL_PERSIST_WAL, &on);
  sqlite3_db_config(t->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
  sqlite3_db_config(t->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
  sqlite3_wal_hook(t->db, logged, t);
  if (sqlite3_exec(t->db, "PRAGMA synchronous = FULL;"
                   "PRAGMA journal_size_limit = 4194304", NULL, NULL, NULL) != SQLITE_OK)
    return rb_tape_complain(t, p);
  return 0;
}

/* -- opening, closing ------------------------------------------------------------- */

static rb_Tape *zeroed (const char *file) {
  rb_Tape *t = calloc(1, sizeof *t);
  if (t == NULL) return NULL;
  t->keyfd = t->claim = t->held = -1;
  t->file = strdup(file);
  if (t->file == NULL || pthread_mutex_init(&t->lock, NULL) != 0 ||
      pthread_mutex_init(&t->door, NULL) != 0) {
    free(t->file);
    free(t);
    return NULL;
  }
  return t;
}

static int readonly (const rb_Tape *t, rb_Problem *p) {
  struct stat st;
  if (stat(t->file, &st) == 0 && (st.st_mode & S_IWUSR) == 0)
    return rb_problem(p, RB_USAGE, "tape", "the tape %.400s cannot be written: its mode says "
                      "so (chmod u+w %.400s)", t->file, t->file);
  return rb_problem(p, RB_USAGE, "tape", "the tape %.400s cannot be written: it is on a "
                    "read-only disk, or locked by its attributes", t->file);
}

static int opened (rb_Tape *t, rb_Problem *p) {
  struct stat st;
  if (stat(t->file, &st) != 0) {
    if (errno != ENOENT) return rb_tape_noplace(p, t->file, errno);
    if (create(t->file, p) != 0) return p->exit;
  }
  else if (ours(t->file, &st, p) != 0) return p->exit;
  int rc = sqlite3_open_v2(t->file, &t->db, SQLITE_OPEN_READWRITE |
                           SQLITE_OPEN_NOMUTEX, NULL);
  if (t->db == NULL) return rb_tape_nomemory(p);
  if (rc != SQLITE_OK) return rb_tape_complain(t, p);
  if (sqlite3_db_readonly(t->db, "main") == 1) return readonly(t, p);
  return rb_format_marks(t, p) != 0 || setup(t, p) != 0 || rb_format_grow(t, p) != 0
             ? p->exit : 0;
}

rb_Tape *rb_tape_open (const char *file, rb_Problem *p) {
  rb_Tape *t = sodium_init() >= 0 ? zeroed(file) : NULL;
  if (t == NULL) { rb_tape_nomemory(p); return NULL; }
  if (opened(t, p) == 0) return t;
  rb_tape_close(t);
  return NULL;
}

int rb_tape_file (char *file, size_t size) {
  const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
  int n;
  if (state != NULL && state[0] == '/')
    n = snprintf(file, size, "%s/runbook/tape.db", state);
  else if (home != NULL && home[0] == '/')
    n = snprintf(file, size, "%s/.local/state/runbook/tape.db", home);
  else return 0;
  return n > 0 && (size_t)n < size;
}

static void batch_free (Batch *b) {
  rb_buffer_free(&b->bytes);
  free(b->waiting);
}

void rb_tape_close (rb_Tape *t) {
  if (t == NULL) return;
  rb_writer_stop(t);
  for (int i = 0; i < STATEMENTS; i++) sqlite3_finalize(t->stmt[i]);
  sqlite3_close(t->db);
  if (t->isnew) rb_seal_shred(t, t->run);  /* a run that never was */
  if (t->keyfd >= 0) close(t->keyfd);
  if (t->claim >= 0) close(t->claim);
  if (t->held >= 0) close(t->held);
  for (int i = 0; i < RUNTEXTS; i++) free(t->row[i]);
  sodium_memzero(&t->keys, sizeof t->keys);
  batch_free(&t->front);
  batch_free(&t->back);
  pthread_mutex_destroy(&t->lock);
  pthread_mutex_destroy(&t->door);
  free(t->file);
  free(t);
}
