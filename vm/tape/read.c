/*
** read.c - what the tape tells: runs and events
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

#define RUNS "SELECT id, runbook, target, mode, who, host, version, params, started, ended, " \
  "status, exit, events, head, pruned FROM run "
/* the cases of the runs, read beside them and in their order */
typedef struct Cases {
  sqlite3_stmt *s;
  int rc;              /* of its last step: SQLITE_ROW where one is waiting */
  rb_Buffer ids;
} Cases;

static int cases_next (rb_Tape *t, Cases *c, const char *run, rb_Problem *p) {
  rb_buffer_clear(&c->ids);
  while (c->rc == SQLITE_ROW) {
    const char *of = text(c->s, 0), *id = text(c->s, 1);
    int order = strcmp(of != NULL ? of : "", run);
    if (order < 0) break;  /* of an older one */
    if (order == 0 && id != NULL) {
      if (c->ids.n > 0) rb_buffer_puts(&c->ids, "\n");
      rb_buffer_puts(&c->ids, id);
    }
    c->rc = step(t, c->s);
  }
  return c->ids.failed ? rb_tape_nomemory(p) : 0;
}

static int cases_close (rb_Tape *t, Cases *c, rb_Problem *p) {
  rb_buffer_free(&c->ids);
  return finish(t, c->s, c->rc, p);
}

static void fillrun (sqlite3_stmt *s, rb_TapeRun *run) {
  *run = (rb_TapeRun){
    .runbook = text(s, 1), .target = text(s, 2), .mode = text(s, 3),
    .who = text(s, 4), .host = text(s, 5), .version = text(s, 6),
    .params = text(s, 7), .started = sqlite3_column_int64(s, 8),
    .ended = sqlite3_column_int64(s, 9), .status = text(s, 10),
    .exit = sqlite3_column_int(s, 11), .events = sqlite3_column_int64(s, 12),
    .pruned = sqlite3_column_int64(s, 14)
  };
  snprintf(run->id, sizeof run->id, "%s", text(s, 0) != NULL ? text(s, 0) : "");
  hex(s, 13, run->head);
}

/* 's' and the cases give the runs in one order */
static int runs (rb_Tape *t, sqlite3_stmt *s, sqlite3_stmt *cases,
                 int (*row) (void *ud, const rb_TapeRun *run), void *ud, rb_Problem *p) {
  Cases c = {.s = cases, .rc = step(t, cases)};
  int rc, stop = 0;
  rb_TapeRun run;
  while (!stop && (rc = step(t, s)) == SQLITE_ROW) {
    fillrun(s, &run);
    if (cases_next(t, &c, run.id, p) != 0) break;
    run.cases = c.ids.n > 0 ? c.ids.s : NULL;
    stop = row(ud, &run);
  }
  finish(t, s, stop ? SQLITE_DONE : rc, p);
  cases_close(t, &c, p);
  return p->exit;
}

static int someruns (rb_Tape *t, const char *id, int (*row) (void *ud, const rb_TapeRun *run),
                     void *ud, rb_Problem *p) {
  rb_Problem q = {0};
  sqlite3_stmt *cases = NULL, *s = prepare(t, id != NULL ? RUNS "WHERE id = ?1"
                                           : RUNS "ORDER BY id DESC", &q);
  if (s != NULL)
    cases = prepare(t, id != NULL ? RB_CASES "AND run = ?1 ORDER BY seq"
                    : RB_CASES "ORDER BY run DESC, seq", &q);
  if (cases != NULL) {
    if (id != NULL) sqlite3_bind_text(s, 1, id, -1, SQLITE_STATIC);
    if (id != NULL) sqlite3_bind_text(cases, 1, id, -1, SQLITE_STATIC);
    runs(t, s, cases, row, ud, &q);
  } else sqlite3_finalize(s);
  if (q.exit != 0) *p = q;
  return q.exit;
}

int rb_tape_runs (rb_Tape *t, int (*row) (void *ud, const rb_TapeRun *run),
                  void *ud, rb_Problem *p) {
  return someruns(t, NULL, row, ud, p);
}

int rb_tape_run (rb_Tape *t, const char *id, int (*row) (void *ud, const rb_TapeRun *run),
                 void *ud, rb_Problem *p) {
  return someruns(t, id, row, ud, p);
}

int rb_tape_newest (rb_Tape *t, char id[RB_RUNID], rb_Problem *p) {
  id[0] = '\0';
  sqlite3_stmt *s = prepare(t, "SELECT max(id) FROM run", p);
  if (s == NULL) return p->exit;
  int rc = step(t, s);
  if (rc == SQLITE_ROW && text(s, 0) != NULL) snprintf(id, RB_RUNID, "%s", text(s, 0));
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

/* the key is there, and it does not open what is sealed */
static int unopened (rb_Tape *t, const char *id, int64_t seq, rb_Problem *p) {
  return rb_problem(p, RB_USAGE, "tape", "event %lld of run %s on the tape %.400s is damaged: "
                    "what is sealed in it cannot be opened (runbook verify %s)",
                    (long long)seq, id, t->file, id + 18);
}

/* 'keys' NULL: nothing is opened */
static int events (rb_Tape *t, const char *id, const Keys *keys,
                   int (*row) (void *ud, const rb_TapeRow *row), void *ud, rb_Problem *p) {
  int rc, stop = 0, damaged = 0;
  Fields f;
  rb_TapeRow one;
  sqlite3_stmt *s = prepare(t, "SELECT seq, at, kind, path, verb, text, "
      "sealed, hash FROM event WHERE run = ?1 ORDER BY seq", p);
  if (s == NULL) return p->exit;
  sqlite3_bind_text(s, 1, id, -1, SQLITE_STATIC);
  while (!stop && (rc = step(t, s)) == SQLITE_ROW) {
    void *secret = NULL;
    rb_chain_fields(s, &f);
    fill(&one, &f);
    hex(s, FIELDS + 2, one.hash);
    if (keys != NULL && f.len[SEALED] != ABSENT)
      secret = rb_seal_open(keys, id, f.seq, f.s[SEALED], f.len[SEALED],
                            &one.event.secretlen);
    one.event.secret = secret;
    damaged = secret == NULL && keys != NULL && keys->known && f.len[SEALED] != ABSENT;
    stop = damaged ? unopened(t, id, f.seq, p) : row(ud, &one);
    if (secret != NULL) {
      sodium_memzero(secret, one.event.secretlen);
      free(secret);
    }
  }
  int bad = finish(t, s, stop ? SQLITE_DONE : rc, p);
  return bad != 0 ? bad : damaged ? p->exit : 0;
}

int rb_tape_events (rb_Tape *t, const char *run,
                    int (*row) (void *ud, const rb_TapeRow *row), void *ud,
                    rb_Problem *p) {
  char id[RB_RUNID];
  Keys keys;
  if (rb_tape_find(t, run, id, p) != 0) return p->exit;
  rb_seal_load(t, id, &keys);
  int rc = events(t, id, &keys, row, ud, p);
  sodium_memzero(&keys, sizeof keys);
  return rc;
}

int rb_tape_texts (rb_Tape *t, const char *run,
                   int (*row) (void *ud, const rb_TapeRow *row), void *ud,
                   rb_Problem *p) {
  char id[RB_RUNID];
  return rb_tape_find(t, run, id, p) != 0 ? p->exit : events(t, id, NULL, row, ud, p);
}
