/*
** look.c - could a run use the tape? Looks, and makes nothing
*/

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vm/tape/store.h"

#define WHOLE (64 << 20)  /* bytes of a tape of which every page is looked at: 0.1 s */

/* The folder that a new tape needs is made, so the nearest one that is there counts. */
static int placeable (const char *file, rb_Problem *p) {
  char dir[PATH_MAX];
  struct stat st;
  size_t n = strlen(file);
  if (n >= sizeof dir) return rb_tape_noplace(p, file, ENAMETOOLONG);
  memcpy(dir, file, n + 1);
  do {
    char *slash = strrchr(dir, '/');
    if (slash == NULL) snprintf(dir, sizeof dir, ".");
    else slash[slash == dir] = '\0';
  } while (stat(dir, &st) != 0 && errno == ENOENT && dir[1] != '\0');
  if (stat(dir, &st) != 0) return rb_tape_noplace(p, file, errno);
  if (!S_ISDIR(st.st_mode)) return rb_tape_noplace(p, file, ENOTDIR);
  return eaccess(dir, W_OK | X_OK) == 0 ? 0 : rb_tape_noplace(p, file, errno);
}

/* every page, where they are not too many */
static int intact (rb_Tape *t, rb_Problem *p) {
  struct stat st;
  sqlite3_stmt *s = NULL;
  if (stat(t->file, &st) != 0 || st.st_size > WHOLE) return 0;
  if (sqlite3_prepare_v2(t->db, "PRAGMA quick_check(1)", -1, &s, NULL) != SQLITE_OK)
    return rb_tape_complain(t, p);
  int rc = sqlite3_step(s);
  const char *said = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(s, 0) : NULL;
  if (said != NULL && strcmp(said, "ok") != 0)
    rb_tape_damaged(p, t->file, "some of its pages are not as they were written");
  else if (rc != SQLITE_ROW) rb_tape_complain(t, p);
  sqlite3_finalize(s);
  return p->exit;
}

/* a run keeps its key beside the tape */
static int keyable (const rb_Tape *t, rb_Problem *p) {
  char dir[PATH_MAX];
  if (!rb_seal_path(t, NULL, dir)) return 0;
  if (eaccess(dir, W_OK | X_OK) == 0) return 0;
  return errno != ENOENT ? rb_tape_noplace(p, dir, errno) : placeable(t->file, p);
}

int rb_tape_look (const char *file, rb_Problem *p) {
  struct stat st;
  *p = (rb_Problem){0};
  if (stat(file, &st) != 0 && errno == ENOENT) return placeable(file, p);
  rb_Tape *t = rb_tape_open(file, p);
  if (t == NULL) return p->exit;
  if (intact(t, p) == 0 && rb_tape_ready(t, p) == 0) keyable(t, p);
  rb_tape_close(t);
  return p->exit;
}
