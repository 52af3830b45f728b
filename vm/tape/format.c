/*
** format.c - the tables of the tape, and how an older tape becomes one of today
**
** Format 2 had no index of the cases that were taken, no mark of what was pruned, and
** nothing compressed. A tape of it is read and grown in place, once, when it is opened;
** what is on it stays as it is. A program that knows format 2 only then refuses it.
*/

#include <stdio.h>
#include <string.h>

#include "vm/tape/store.h"

enum { FORMAT = 3, OLDEST = 2 };
#define PROGRAM 0x72627470  /* "rbtp" */

/* the cases of all runs, the newest first, without a look at the table of events: for that
** it must hold all columns that are named */
#define INDEX "CREATE INDEX taken ON event (run DESC, seq, path, kind, text) " \
  RB_TAKEN ";"

const char rb_format_schema[] =  /* synced as a whole, before it gets its name */
  "PRAGMA auto_vacuum = INCREMENTAL;"  /* so that pruning can give room back in steps */
  "PRAGMA synchronous = OFF;"
  "PRAGMA application_id = 0x72627470;"
  "PRAGMA user_version = 3;"
  "BEGIN;"
  "CREATE TABLE run (id TEXT NOT NULL PRIMARY KEY, runbook TEXT, target TEXT,"
  "  mode TEXT, who TEXT, host TEXT, version TEXT, params TEXT,"
  "  started INTEGER, head BLOB, events INTEGER, ended INTEGER, status TEXT,"
  "  exit INTEGER, pruned INTEGER) WITHOUT ROWID;"
  "CREATE TABLE event (run TEXT NOT NULL, seq INTEGER NOT NULL, at INTEGER,"
  "  kind TEXT, path TEXT, verb TEXT, text TEXT, sealed BLOB, hash BLOB,"
  "  PRIMARY KEY (run, seq)) WITHOUT ROWID;"
  INDEX
  "COMMIT;"
  "PRAGMA journal_mode = WAL;";

static const char grow[] =
  "ALTER TABLE run ADD COLUMN pruned INTEGER;"
  INDEX
  "PRAGMA user_version = 3;";

static unsigned long big32 (const unsigned char *s) {
  return (unsigned long)s[0] << 24 | (unsigned long)s[1] << 16 |
         (unsigned long)s[2] << 8 | s[3];
}

static int newer (rb_Tape *t, unsigned long format, rb_Problem *p) {
  return rb_problem(p, RB_USAGE, "tape", "the tape %.400s has format %lu, and this version "
                    "of runbook reads %d: use the %s one", t->file, format, FORMAT,
                    format > FORMAT ? "newer" : "older");
}

/* Reads the marks through SQLite's own descriptor: closing one of ours would
** drop the locks of every connection of this process. */
int rb_format_marks (rb_Tape *t, rb_Problem *p) {
  unsigned char head[100] = {0};
  sqlite3_file *f = NULL;
  sqlite3_file_control(t->db, "main", SQLITE_FCNTL_FILE_POINTER, &f);
  int rc = f == NULL || f->pMethods == NULL ? SQLITE_CANTOPEN
         : f->pMethods->xRead(f, head, sizeof head, 0);
  if (rc != SQLITE_OK && rc != SQLITE_IOERR_SHORT_READ)
    return rb_problem(p, RB_USAGE, "tape", "the tape %.400s cannot be read: %s",
                      t->file, sqlite3_errstr(rc));
  if (memcmp(head, "SQLite format 3", 16) != 0)
    return rb_tape_damaged(p, t->file, "it is not a tape at all");
  if (big32(head + 68) != PROGRAM)
    return rb_problem(p, RB_USAGE, "tape", "%.400s is the database of another "
                      "program, not a tape: move it away", t->file);
  t->format = big32(head + 60);
  return t->format < OLDEST || t->format > FORMAT ? newer(t, t->format, p) : 0;
}

/* what the log says, too, and in a transaction: -1 where it cannot be asked */
static long format (rb_Tape *t) {
  sqlite3_stmt *s = NULL;
  long n = -1;
  if (sqlite3_prepare_v2(t->db, "PRAGMA user_version", -1, &s, NULL) == SQLITE_OK
      && sqlite3_step(s) == SQLITE_ROW) n = (long)sqlite3_column_int64(s, 0);
  sqlite3_finalize(s);
  return n;
}

/* Another process may have done it meanwhile; the marks of the file itself change with
** the checkpoint. */
int rb_format_grow (rb_Tape *t, rb_Problem *p) {
  if (t->format == FORMAT) return 0;
  int rc = sqlite3_exec(t->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
  long now = rc == SQLITE_OK ? format(t) : -1;
  if (now == OLDEST) rc = sqlite3_exec(t->db, grow, NULL, NULL, NULL);
  if (rc == SQLITE_OK) rc = sqlite3_exec(t->db, "COMMIT", NULL, NULL, NULL);
  if (rc != SQLITE_OK || now < 0) {
    rb_tape_complain(t, p);
    if (!sqlite3_get_autocommit(t->db)) sqlite3_exec(t->db, "ROLLBACK", NULL, NULL, NULL);
    return p->exit;
  }
  if (now > FORMAT) return newer(t, (unsigned long)now, p);
  sqlite3_wal_checkpoint_v2(t->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
  return 0;
}

void rb_format_touch (rb_Tape *t) {
  char set[40];
  snprintf(set, sizeof set, "PRAGMA user_version = %d", FORMAT);
  sqlite3_exec(t->db, set, NULL, NULL, NULL);
}
