/*
** read.c - what the tape tells: runs, events, and forgetting old ones
*/

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/tape/store.h"

/* One row, under the lock; the callbacks run without it, so that they may
** append, and another thread may rescue. */
static int step (rb_Tape *t, sqlite3_stmt *s) {
  pthread_mutex_lock(&t->lock);
  int rc = sqlite3_step(s);
  pthread_mutex_unlock(&t->lock);
  return rc;
}

static sqlite3_stmt *prepare (rb_Tape *t, const char *sql, rb_Problem *p) {
  sqlite3_stmt *s = NULL;
  pthread_mutex_lock(&t->lock);
  if (sqlite3_prepare_v2(t->db, sql, -1, &s, NULL) != SQLITE_OK)
    rb_tape_complain(t, p);
  pthread_mutex_unlock(&t->lock);
  return s;
}

/* rc is the last step's: 0 when it ended well */
static int finish (rb_Tape *t, sqlite3_stmt *s, int rc, rb_Problem *p) {
  pthread_mutex_lock(&t->lock);
  if (rc != SQLITE_DONE && rc != SQLITE_ROW) rc = rb_tape_complain(t, p);
  else rc = 0;
  sqlite3_finalize(s);
  pthread_mutex_unlock(&t->lock);
  return rc;
}

static void hex (sqlite3_stmt *s, int column, char out[65]) {
  out[0] = '\0';
  if (sqlite3_column_bytes(s, column) == HASH)
    sodium_bin2hex(out, 65, sqlite3_column_blob(s, column), HASH);
}

static const char *text (sqlite3_stmt *s, int column) {
  return (const char *)sqlite3_column_text(s, column);
}

/* -- runs ---------------------------------------------------------------------- */

int rb_tape_runs (rb_Tape *t, int (*row) (void *ud, const rb_TapeRun *run),
                  void *ud, rb_Problem *p) {
  int rc, stop = 0;
  sqlite3_stmt *s = prepare(t, "SELECT id, runbook, target, mode, who, host, "
      "version, params, started, ended, status, exit, events, head FROM run "
      "ORDER BY id DESC", p);
  if (s == NULL) return p->exit;
  while (!stop && (rc = step(t, s)) == SQLITE_ROW) {
    rb_TapeRun run = {
      .runbook = text(s, 1), .target = text(s, 2), .mode = text(s, 3),
      .who = text(s, 4), .host = text(s, 5), .version = text(s, 6),
      .params = text(s, 7), .started = sqlite3_column_int64(s, 8),
      .ended = sqlite3_column_int64(s, 9), .status = text(s, 10),
      .exit = sqlite3_column_int(s, 11), .events = sqlite3_column_int64(s, 12)
    };
    snprintf(run.id, sizeof run.id, "%s", text(s, 0) != NULL ? text(s, 0) : "");
    hex(s, 13, run.head);
    stop = row(ud, &run);
  }
  return finish(t, s, stop ? SQLITE_DONE : rc, p);
}

int rb_tape_cases (rb_Tape *t, const char *run,
                   void (*each) (void *ud, const char *id), void *ud, rb_Problem *p) {
  int rc = SQLITE_DONE;
  sqlite3_stmt *s = prepare(t, "SELECT path FROM event WHERE run = ? AND kind = 'step' "
      "AND text LIKE '{\"case\":%' ORDER BY seq", p);
  if (s == NULL) return p->exit;
  sqlite3_bind_text(s, 1, run, -1, SQLITE_STATIC);
  while ((rc = step(t, s)) == SQLITE_ROW) each(ud, text(s, 0));
  return finish(t, s, rc, p);
}

/* fills id when exactly one fits; 'all' names up to four */
static int candidates (sqlite3_stmt *s, rb_Tape *t, char id[RB_RUNID],
                       char all[160], int *n) {
  int rc;
  size_t used = 0;
  all[0] = '\0';
  for (*n = 0; *n < 4 && (rc = step(t, s)) == SQLITE_ROW; (*n)++) {
    snprintf(id, RB_RUNID, "%s", text(s, 0));
    used += (size_t)snprintf(all + used, 160 - used, "%s%s", *n > 0 ? ", " : "",
                             id);
  }
  return *n == 4 ? SQLITE_DONE : rc;
}

int rb_tape_find (rb_Tape *t, const char *ending, char id[RB_RUNID],
                  rb_Problem *p) {
  char all[160], upper[RB_RUNID];
  int n;
  size_t len = strlen(ending);
  if (len == 0 || len >= RB_RUNID)
    return rb_problem(p, RB_USAGE, "usage", "'%.60s' is not the name of a run: "
                      "see 'runbook history'", ending);
  for (size_t i = 0; i <= len; i++)
    upper[i] = (char)toupper((unsigned char)ending[i]);
  sqlite3_stmt *s = prepare(t, len == RB_RUNID - 1
      ? "SELECT id FROM run WHERE id = ?1"
      : "SELECT id FROM run WHERE substr(id, -length(?1)) = ?1 "
        "ORDER BY id DESC", p);
  if (s == NULL) return p->exit;
  sqlite3_bind_text(s, 1, upper, -1, SQLITE_STATIC);
  int rc = candidates(s, t, id, all, &n);
  if (finish(t, s, rc, p) != 0) return p->exit;
  if (n == 1) return 0;
  if (n == 0)
    return rb_problem(p, RB_USAGE, "usage", "no run ends in '%s': see 'runbook "
                      "history'", ending);
  return rb_problem(p, RB_USAGE, "usage", "several runs end in '%s' (%s%s): "
                    "give more of its name", ending, all, n == 4 ? " ..." : "");
}

/* -- events ---------------------------------------------------------------------- */

static void fill (rb_TapeRow *row, const Fields *f) {
  *row = (rb_TapeRow){.seq = f->seq, .event = {
    .kind = f->s[KIND], .path = f->s[PATH], .verb = f->s[VERB],
    .text = f->s[TEXT], .at = f->at
  }};
}

int rb_tape_events (rb_Tape *t, const char *run,
                    int (*row) (void *ud, const rb_TapeRow *row), void *ud,
                    rb_Problem *p) {
  char id[RB_RUNID];
  int rc, stop = 0;
  Keys keys;
  Fields f;
  rb_TapeRow one;
  if (rb_tape_find(t, run, id, p) != 0) return p->exit;
  sqlite3_stmt *s = prepare(t, "SELECT seq, at, kind, path, verb, text, "
      "sealed, hash FROM event WHERE run = ?1 ORDER BY seq", p);
  if (s == NULL) return p->exit;
  sqlite3_bind_text(s, 1, id, -1, SQLITE_STATIC);
  rb_seal_load(t, id, &keys);
  while (!stop && (rc = step(t, s)) == SQLITE_ROW) {
    void *secret = NULL;
    rb_chain_fields(s, &f);
    fill(&one, &f);
    hex(s, FIELDS + 2, one.hash);
    if (f.len[SEALED] != ABSENT)
      secret = rb_seal_open(&keys, id, f.seq, f.s[SEALED], f.len[SEALED],
                            &one.event.secretlen);
    one.event.secret = secret;
    stop = row(ud, &one);
    if (secret != NULL) {
      sodium_memzero(secret, one.event.secretlen);
      free(secret);
    }
  }
  sodium_memzero(&keys, sizeof keys);
  return finish(t, s, stop ? SQLITE_DONE : rc, p);
}

/* -- forgetting -------------------------------------------------------------------- */

static int run1 (rb_Tape *t, const char *sql, const char *id) {
  sqlite3_stmt *s = NULL;
  int rc = sqlite3_prepare_v2(t->db, sql, -1, &s, NULL);
  if (rc == SQLITE_OK && id != NULL)
    sqlite3_bind_text(s, 1, id, -1, SQLITE_STATIC);
  int done = rc == SQLITE_OK && sqlite3_step(s) == SQLITE_DONE;
  return sqlite3_finalize(s) == SQLITE_OK && done;
}

static int forget (rb_Tape *t, const char *id, rb_Problem *p) {
  int rc = 0;
  pthread_mutex_lock(&t->lock);
  if (!run1(t, "BEGIN IMMEDIATE", NULL) ||
      !run1(t, "DELETE FROM event WHERE run = ?1", id) ||
      !run1(t, "DELETE FROM run WHERE id = ?1", id) ||
      !run1(t, "COMMIT", NULL)) {
    rc = rb_tape_complain(t, p);
    if (!sqlite3_get_autocommit(t->db)) run1(t, "ROLLBACK", NULL);
  }
  pthread_mutex_unlock(&t->lock);
  return rc;
}

/* The key goes first: what a crash in between leaves can be read by nobody. */
int rb_tape_prune (rb_Tape *t, int64_t before, int64_t *n, rb_Problem *p) {
  int rc = SQLITE_ROW;
  *n = 0;
  while (rc == SQLITE_ROW) {
    char id[RB_RUNID] = "";
    sqlite3_stmt *s = prepare(t, "SELECT id FROM run WHERE ended > 0 AND "
                              "started < ?1 LIMIT 1", p);
    if (s == NULL) return p->exit;
    sqlite3_bind_int64(s, 1, before);
    rc = step(t, s);
    if (rc == SQLITE_ROW) snprintf(id, sizeof id, "%s", text(s, 0));
    if (finish(t, s, rc, p) != 0) return p->exit;
    if (rc != SQLITE_ROW) break;
    rb_seal_shred(t, id);
    if (forget(t, id, p) != 0) return p->exit;
    ++*n;
  }
  return 0;
}
