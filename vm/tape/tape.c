/*
** tape.c - writing: events wait in memory, and are made durable together
**
** Events are appended to the front batch; whoever writes takes that as the
** back batch, seals and hashes each of its events once, and writes them in one
** transaction. One that fails writes nothing, and all of it still waits.
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "vm/clock.h"
#include "vm/tape/store.h"

#define LOGMAX 1000       /* frames (4 MB): then the log is begun anew, since a */
                          /* write in place needs no new length on the disk */
#define LONGLOG 200       /* frames: then it is emptied at the end of a run, */
                          /* since the next one to open reads all of it */
#define KEEP (1 << 20)    /* bytes that are kept for the next events */

static const char *const sql[STATEMENTS] = {
  [BEGIN] = "BEGIN IMMEDIATE",
  [COMMIT] = "COMMIT",
  [ADDRUN] = "INSERT INTO run (id, started, runbook, target, mode, who, host, "
             "version, params) VALUES (?,?,?,?,?,?,?,?,?)",
  [ADDEVENT] = "INSERT INTO event VALUES (?,?,?,?,?,?,?,?,?)",
  [SETRUN] = "UPDATE run SET head = ?2, events = ?3, ended = ?4, status = ?5, "
             "exit = ?6 WHERE id = ?1"
};

/* -- statements ---------------------------------------------------------------- */

static sqlite3_stmt *statement (rb_Tape *t, int which) {
  if (t->stmt[which] == NULL)
    sqlite3_prepare_v3(t->db, sql[which], -1, SQLITE_PREPARE_PERSISTENT,
                       &t->stmt[which], NULL);
  return t->stmt[which];
}

/* 1: done */
static int perform (sqlite3_stmt *s) {
  return s != NULL && sqlite3_step(s) == SQLITE_DONE &&
         sqlite3_reset(s) == SQLITE_OK;
}

static int addrun (rb_Tape *t) {
  sqlite3_stmt *s = statement(t, ADDRUN);
  if (s == NULL) return 0;
  sqlite3_bind_text(s, 1, t->run, -1, SQLITE_STATIC);
  sqlite3_bind_int64(s, 2, t->started);
  for (int i = 0; i < RUNTEXTS; i++)
    sqlite3_bind_text(s, 3 + i, t->row[i], -1, SQLITE_STATIC);
  return perform(s);
}

static int addevent (sqlite3_stmt *s, const Batch *b, const Waiting *w) {
  const char *bytes = b->bytes.s + w->from;
  sqlite3_bind_int64(s, 2, w->seq);
  sqlite3_bind_int64(s, 3, w->at);
  for (int i = 0; i < FIELDS; i++) {
    if (w->len[i] == ABSENT) { sqlite3_bind_null(s, 4 + i); continue; }
    if (i == SEALED)
      sqlite3_bind_blob64(s, 4 + i, bytes, w->len[i], SQLITE_STATIC);
    else
      sqlite3_bind_text64(s, 4 + i, bytes, w->len[i], SQLITE_STATIC,
                          SQLITE_UTF8);
    bytes += w->len[i];
  }
  sqlite3_bind_blob(s, 9, w->hash, HASH, SQLITE_STATIC);
  return perform(s);
}

static int setrun (rb_Tape *t, const Batch *b) {
  sqlite3_stmt *s = statement(t, SETRUN);
  if (s == NULL) return 0;
  sqlite3_bind_text(s, 1, t->run, -1, SQLITE_STATIC);
  sqlite3_bind_blob(s, 2, t->head, HASH, SQLITE_STATIC);
  sqlite3_bind_int64(s, 3, t->chained);
  sqlite3_bind_int64(s, 4, b->ended);
  sqlite3_bind_text(s, 5, b->ended != 0 ? t->status : NULL, -1, SQLITE_STATIC);
  sqlite3_bind_int(s, 6, b->ended != 0 ? t->exit : 0);
  return perform(s);
}

static int addevents (rb_Tape *t, const Batch *b) {
  sqlite3_stmt *s = statement(t, ADDEVENT);
  if (s == NULL) return 0;
  sqlite3_bind_text(s, 1, t->run, -1, SQLITE_STATIC);
  for (size_t i = 0; i < b->n; i++)
    if (!addevent(s, b, &b->waiting[i])) return 0;
  return 1;
}

/* -- runs -------------------------------------------------------------------------- */

static void forget (rb_Tape *t) {
  for (int i = 0; i < RUNTEXTS; i++) {
    free(t->row[i]);
    t->row[i] = NULL;
  }
  sodium_memzero(&t->keys, sizeof t->keys);
  t->run[0] = '\0';
  if (t->keyfd >= 0) close(t->keyfd);
  if (t->claim >= 0) close(t->claim);
  t->keyfd = t->claim = -1;
  t->isnew = 0;
  t->seq = t->chained = t->ended = 0;
  t->exit = 0;
}

static int begin (rb_Tape *t, const rb_TapeRun *run, rb_Problem *p) {
  const char *text[RUNTEXTS] = {run->runbook, run->target, run->mode, run->who,
                                run->host, run->version, run->params};
  forget(t);
  snprintf(t->run, sizeof t->run, "%s", run->id);
  t->started = run->started;
  for (int i = 0; i < RUNTEXTS; i++)
    if (text[i] != NULL && (t->row[i] = strdup(text[i])) == NULL) {
      forget(t);
      return rb_tape_nomemory(p);
    }
  if (rb_seal_create(t, p) != 0 || rb_seal_claim(t, p) != 0) {
    forget(t);
    return p->exit;
  }
  rb_chain_start(t->head, t->run, text, t->started);
  t->isnew = 1;
  return 0;
}

int rb_tape_begin (rb_Tape *t, const rb_TapeRun *run, rb_Problem *p) {
  if (rb_tape_commit(t, p) != 0) return p->exit;  /* of the run before */
  pthread_mutex_lock(&t->lock);
  int rc = begin(t, run, p);
  pthread_mutex_unlock(&t->lock);
  return rc;
}

/* the head of its chain, and that it exists at all */
static int resume (rb_Tape *t, const char *run, rb_Problem *p) {
  sqlite3_stmt *s;
  if (sqlite3_prepare_v2(t->db, "SELECT head, events, started FROM run "
                         "WHERE id = ?1", -1, &s, NULL) != SQLITE_OK)
    return rb_tape_complain(t, p);
  sqlite3_bind_text(s, 1, run, -1, SQLITE_STATIC);
  int rc = sqlite3_step(s), found = 0;
  if (rc == SQLITE_ROW && sqlite3_column_bytes(s, 0) == HASH) {
    memcpy(t->head, sqlite3_column_blob(s, 0), HASH);
    t->seq = t->chained = sqlite3_column_int64(s, 1);
    t->started = sqlite3_column_int64(s, 2);
    found = 1;
  }
  if (sqlite3_finalize(s) != SQLITE_OK) return rb_tape_complain(t, p);
  if (!found)
    return rb_problem(p, RB_USAGE, "tape", "there is no run %s on the tape "
                      "%.400s", run, t->file);
  if (!rb_seal_load(t, run, &t->keys))
    return rb_problem(p, RB_USAGE, "tape", "the key of run %s is gone (the "
                      "folder 'keys' beside %.400s), so what it did cannot be "
                      "read again", run, t->file);
  snprintf(t->run, sizeof t->run, "%s", run);
  return rb_seal_claim(t, p);
}

int rb_tape_continue (rb_Tape *t, const char *run, rb_Problem *p) {
  if (rb_tape_commit(t, p) != 0) return p->exit;
  pthread_mutex_lock(&t->lock);
  forget(t);
  int rc = resume(t, run, p);
  if (rc != 0) forget(t);
  pthread_mutex_unlock(&t->lock);
  return rc;
}

void rb_tape_hold (rb_Tape *t) {
  if (t->claim < 0) return;
  if (t->held >= 0) close(t->held);
  t->held = t->claim;
  t->claim = -1;
}

/* -- events ------------------------------------------------------------------------- */

static int roomforone (Batch *b) {
  if (b->n < b->size) return 1;
  size_t size = b->size < 64 ? 64 : b->size * 2;
  Waiting *w = realloc(b->waiting, size * sizeof *w);
  if (w == NULL) return 0;
  b->waiting = w;
  b->size = size;
  return 1;
}

/* queues the bytes of an event; 0: no memory, and nothing was queued */
static int queue (rb_Buffer *b, const rb_TapeEvent *e, Waiting *w) {
  static const unsigned char room[SEALHEAD + SEALTAIL];
  const char *text[SEALED] = {e->kind, e->path, e->verb, e->text};
  w->from = b->n;
  for (int i = 0; i < SEALED; i++) {
    w->len[i] = text[i] != NULL ? strlen(text[i]) : ABSENT;
    if (text[i] != NULL) rb_buffer_add(b, text[i], w->len[i]);
  }
  w->len[SEALED] = e->secret != NULL ? SEALHEAD + e->secretlen + SEALTAIL : ABSENT;
  if (e->secret != NULL) {
    rb_buffer_add(b, room, SEALHEAD);
    rb_buffer_add(b, e->secret, e->secretlen);
    rb_buffer_add(b, room, SEALTAIL);
  }
  if (!b->failed) return 1;
  b->n = w->from;
  b->failed = 0;
  return 0;
}

static int64_t append (rb_Tape *t, const rb_TapeEvent *e) {
  Batch *b = &t->front;
  if (t->run[0] == '\0' || t->rescued || !roomforone(b)) return 0;
  Waiting *w = &b->waiting[b->n];
  w->seq = t->seq + 1;
  w->at = e->at != 0 ? e->at : rb_clock_wall();
  if (!queue(&b->bytes, e, w)) return 0;
  b->n++;
  b->deed |= strcmp(e->kind, "intent") == 0;
  t->ended = b->ended = strcmp(e->kind, "end") == 0 ? w->at : 0;
  t->unwritten++;
  return t->seq = w->seq;
}

int64_t rb_tape_append (rb_Tape *t, const rb_TapeEvent *e) {
  pthread_mutex_lock(&t->door);
  int64_t seq = append(t, e);
  pthread_mutex_unlock(&t->door);
  return seq;
}

int64_t rb_tape_last (const rb_Tape *t) {
  pthread_mutex_t *door = (pthread_mutex_t *)&t->door;
  pthread_mutex_lock(door);
  int64_t seq = t->seq;
  pthread_mutex_unlock(door);
  return seq;
}

size_t rb_tape_waiting (const rb_Tape *t) {
  pthread_mutex_t *door = (pthread_mutex_t *)&t->door;
  pthread_mutex_lock(door);
  size_t n = t->unwritten;
  pthread_mutex_unlock(door);
  return n;
}

/* -- the chain ------------------------------------------------------------------------ */

static void seal (rb_Tape *t, Batch *b, Waiting *w) {
  size_t at = w->from;
  if (w->len[SEALED] == ABSENT) return;
  for (int i = 0; i < SEALED; i++)
    if (w->len[i] != ABSENT) at += w->len[i];
  unsigned char *s = (unsigned char *)b->bytes.s + at;
  size_t n = w->len[SEALED] - SEALHEAD - SEALTAIL, len = rb_squeeze(s + SEALHEAD, n);
  w->len[SEALED] = SEALHEAD + len + SEALTAIL;
  rb_seal(&t->keys, t->run, w->seq, len < n, s, w->len[SEALED]);
}

static void chain (rb_Tape *t, const Batch *b, Waiting *w) {
  Fields f = {.seq = w->seq, .at = w->at};
  const char *s = b->bytes.s + w->from;
  for (int i = 0; i < FIELDS; i++) {
    f.len[i] = w->len[i];
    f.s[i] = s;
    if (w->len[i] != ABSENT) s += w->len[i];
  }
  rb_chain_next(t->head, &f);
  memcpy(w->hash, t->head, HASH);
  t->chained = w->seq;
}

/* What has come becomes what is written; 0: there is nothing. */
static int take (rb_Tape *t) {
  if (t->back.n == 0) {
    Batch empty = t->back;
    pthread_mutex_lock(&t->door);
    t->back = t->front;
    t->front = empty;
    pthread_mutex_unlock(&t->door);
  }
  for (Batch *b = &t->back; b->chained < b->n; b->chained++) {
    seal(t, b, &b->waiting[b->chained]);
    chain(t, b, &b->waiting[b->chained]);
  }
  return t->back.n > 0 || t->isnew;
}

/* -- commit --------------------------------------------------------------------------- */

/* The next commit begins the log anew, unless somebody still reads it. */
static void shorten (rb_Tape *t, int longest) {
  if (t->frames > longest)
    sqlite3_wal_checkpoint_v2(t->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL,
                              NULL);
}

static void written (rb_Tape *t) {
  Batch *b = &t->back;
  for (int i = 0; i < RUNTEXTS; i++) {
    free(t->row[i]);
    t->row[i] = NULL;
  }
  t->isnew = 0;
  pthread_mutex_lock(&t->door);
  t->unwritten -= b->n;
  pthread_mutex_unlock(&t->door);
  if (b->bytes.size > KEEP) rb_buffer_free(&b->bytes);
  else rb_buffer_clear(&b->bytes);
  b->n = b->chained = 0;
  b->deed = 0;
  b->ended = 0;
  shorten(t, LOGMAX);
}

int rb_tape_write (rb_Tape *t, rb_Problem *p) {
  if (!take(t)) return 0;
  if (t->rescued)
    return rb_problem(p, RB_USAGE, "tape", "the run has been ended");
  if (t->back.deed && rb_seal_sync(t, p) != 0) return p->exit;
  if (perform(statement(t, BEGIN)) && (!t->isnew || addrun(t)) &&
      addevents(t, &t->back) && setrun(t, &t->back) &&
      perform(statement(t, COMMIT))) {
    written(t);
    return 0;
  }
  rb_tape_complain(t, p);
  for (int i = 0; i < STATEMENTS; i++) sqlite3_reset(t->stmt[i]);
  if (!sqlite3_get_autocommit(t->db))
    sqlite3_exec(t->db, "ROLLBACK", NULL, NULL, NULL);
  return p->exit;
}

/* twice where a batch is left that could not be written before */
static int commit (rb_Tape *t, rb_Problem *p) {
  int old = t->back.n > 0;
  int rc = rb_tape_write(t, p);
  return old && rc == 0 ? rb_tape_write(t, p) : rc;
}

/* a run and an event (of a case, for the index) that come after all others: so the pages are
** read that those of the next run need */
static int attempt (rb_Tape *t) {
  sqlite3_stmt *run = statement(t, ADDRUN), *event = statement(t, ADDEVENT);
  if (run == NULL || event == NULL) return 0;
  sqlite3_bind_text(run, 1, "~", -1, SQLITE_STATIC);
  sqlite3_bind_text(event, 1, "~", -1, SQLITE_STATIC);
  sqlite3_bind_int64(event, 2, 1);
  sqlite3_bind_text(event, 4, "step", -1, SQLITE_STATIC);
  sqlite3_bind_text(event, 7, "{\"case\":", -1, SQLITE_STATIC);
  return perform(run) && perform(event);
}

int rb_tape_ready (rb_Tape *t, rb_Problem *p) {
  pthread_mutex_lock(&t->lock);
  int rc = 0;
  if (!perform(statement(t, BEGIN)) || !attempt(t)) rc = rb_tape_complain(t, p);
  for (int i = 0; i < STATEMENTS; i++) sqlite3_reset(t->stmt[i]);
  if (!sqlite3_get_autocommit(t->db)) sqlite3_exec(t->db, "ROLLBACK", NULL, NULL, NULL);
  pthread_mutex_unlock(&t->lock);
  return rc;
}

int rb_tape_commit (rb_Tape *t, rb_Problem *p) {
  pthread_mutex_lock(&t->lock);
  int rc = commit(t, p);
  pthread_mutex_lock(&t->door);
  t->writer.failed = 0;  /* that was tried again just now */
  pthread_mutex_unlock(&t->door);
  pthread_mutex_unlock(&t->lock);
  return rc;
}

/* -- the end ---------------------------------------------------------------------------- */

/* 'ended' stays set while the event waits, so that trying again after a full
** disk does not end the run twice */
static int end (rb_Tape *t, const char *status, int code, rb_Problem *p) {
  char text[80];
  if (t->rescued)
    return rb_problem(p, RB_USAGE, "tape", "the run has been ended");
  if (t->ended == 0) {
    snprintf(t->status, sizeof t->status, "%s", status);
    t->exit = code;
    rb_chain_end(text, sizeof text, t->status, code);
    rb_TapeEvent e = {.kind = "end", .text = text};
    if (rb_tape_append(t, &e) == 0) return rb_tape_nomemory(p);
    shorten(t, LONGLOG);
  }
  return commit(t, p);
}

/* What a short run adds makes a long log, too, of which no process knows how long it is before it
** has written; and a checkpoint is forgotten with the process that made it. So this one also
** writes the first frame of the new log. If somebody else is at work, another run will. */
static void beginanew (rb_Tape *t) {
  if (t->frames <= LONGLOG) return;
  sqlite3_busy_timeout(t->db, 0);
  shorten(t, LONGLOG);
  rb_format_touch(t);
  sqlite3_busy_timeout(t->db, BUSY);
}

int rb_tape_end (rb_Tape *t, const char *status, int exit, rb_Problem *p) {
  pthread_mutex_lock(&t->lock);
  int rc = end(t, status, exit, p);
  if (rc == 0) beginanew(t);
  pthread_mutex_unlock(&t->lock);
  return rc;
}

int rb_tape_rescue (rb_Tape *t, const char *status, int exit) {
  rb_Problem p;
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec++;
  if (pthread_mutex_timedlock(&t->lock, &until) != 0) return RB_USAGE;
  sqlite3_busy_timeout(t->db, 1000);
  int rc = t->run[0] != '\0' ? end(t, status, exit, &p) : 0;
  pthread_mutex_lock(&t->door);
  t->rescued = 1;
  pthread_mutex_unlock(&t->door);
  pthread_mutex_unlock(&t->lock);
  return rc;
}
