/*
** tape.c - writing: events wait in memory, and are made durable together
**
** An event is sealed and hashed once, when it is appended; a commit only
** writes. One that fails writes nothing, and all of it still waits.
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "vm/tape/store.h"

#define LOGMAX 8192       /* frames (32 MB): then the log is emptied at once */
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

static int64_t now (void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

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

static int addevent (rb_Tape *t, const Waiting *w) {
  sqlite3_stmt *s = statement(t, ADDEVENT);
  const char *bytes = t->bytes.s + w->from;
  if (s == NULL) return 0;
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

static int setrun (rb_Tape *t) {
  sqlite3_stmt *s = statement(t, SETRUN);
  if (s == NULL) return 0;
  sqlite3_bind_text(s, 1, t->run, -1, SQLITE_STATIC);
  sqlite3_bind_blob(s, 2, t->head, HASH, SQLITE_STATIC);
  sqlite3_bind_int64(s, 3, t->seq);
  sqlite3_bind_int64(s, 4, t->ended);
  sqlite3_bind_text(s, 5, t->ended != 0 ? t->status : NULL, -1, SQLITE_STATIC);
  sqlite3_bind_int(s, 6, t->exit);
  return perform(s);
}

static int addevents (rb_Tape *t) {
  sqlite3_stmt *s = statement(t, ADDEVENT);
  if (s == NULL) return 0;
  sqlite3_bind_text(s, 1, t->run, -1, SQLITE_STATIC);
  for (size_t i = 0; i < t->nwaiting; i++)
    if (!addevent(t, &t->waiting[i])) return 0;
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
  t->keyfd = -1;
  t->isnew = t->deed = 0;
  t->seq = t->ended = 0;
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
  if (rb_seal_create(t, p) != 0) { forget(t); return p->exit; }
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
    t->seq = sqlite3_column_int64(s, 1);
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
  return 0;
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

/* -- events ------------------------------------------------------------------------- */

static int roomforone (rb_Tape *t) {
  if (t->nwaiting < t->size) return 1;
  size_t size = t->size < 64 ? 64 : t->size * 2;
  Waiting *w = realloc(t->waiting, size * sizeof *w);
  if (w == NULL) return 0;
  t->waiting = w;
  t->size = size;
  return 1;
}

/* queues the bytes of an event; 0: no memory, and nothing was queued */
static int queue (rb_Tape *t, const rb_TapeEvent *e, Waiting *w) {
  const char *text[SEALED] = {e->kind, e->path, e->verb, e->text};
  rb_Buffer *b = &t->bytes;
  w->from = b->n;
  for (int i = 0; i < SEALED; i++) {
    w->len[i] = text[i] != NULL ? strlen(text[i]) : ABSENT;
    if (text[i] != NULL) rb_buffer_add(b, text[i], w->len[i]);
  }
  w->len[SEALED] = e->secret != NULL ? rb_seal_size(e->secretlen) : ABSENT;
  if (e->secret != NULL) {
    size_t at = b->n, need = w->len[SEALED] - e->secretlen;
    static const unsigned char room[64];
    rb_buffer_add(b, e->secret, e->secretlen);  /* overwritten at once */
    rb_buffer_add(b, room, need);
    if (!b->failed)
      rb_seal(&t->keys, t->run, w->seq, e->secret, e->secretlen,
              (unsigned char *)b->s + at);
  }
  if (!b->failed) return 1;
  b->n = w->from;
  b->failed = 0;
  return 0;
}

static void chain (rb_Tape *t, Waiting *w) {
  Fields f = {.seq = w->seq, .at = w->at};
  const char *s = t->bytes.s + w->from;
  for (int i = 0; i < FIELDS; i++) {
    f.len[i] = w->len[i];
    f.s[i] = s;
    if (w->len[i] != ABSENT) s += w->len[i];
  }
  rb_chain_next(t->head, &f);
  memcpy(w->hash, t->head, HASH);
}

static int64_t append (rb_Tape *t, const rb_TapeEvent *e) {
  if (t->run[0] == '\0' || t->rescued || !roomforone(t)) return 0;
  Waiting *w = &t->waiting[t->nwaiting];
  w->seq = t->seq + 1;
  w->at = e->at != 0 ? e->at : now();
  if (!queue(t, e, w)) return 0;
  chain(t, w);
  t->nwaiting++;
  if (strcmp(e->kind, "intent") == 0) t->deed = 1;
  t->ended = 0;
  return t->seq = w->seq;
}

int64_t rb_tape_append (rb_Tape *t, const rb_TapeEvent *e) {
  pthread_mutex_lock(&t->lock);
  int64_t seq = append(t, e);
  pthread_mutex_unlock(&t->lock);
  return seq;
}

size_t rb_tape_waiting (const rb_Tape *t) {
  pthread_mutex_t *lock = (pthread_mutex_t *)&t->lock;
  pthread_mutex_lock(lock);
  size_t n = t->nwaiting;
  pthread_mutex_unlock(lock);
  return n;
}

/* -- commit --------------------------------------------------------------------------- */

/* The next commit begins the log anew, unless somebody still reads it. */
static void shorten (rb_Tape *t, int longest) {
  if (t->frames > longest)
    sqlite3_wal_checkpoint_v2(t->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL,
                              NULL);
}

static void written (rb_Tape *t) {
  for (int i = 0; i < RUNTEXTS; i++) {
    free(t->row[i]);
    t->row[i] = NULL;
  }
  t->isnew = 0;
  t->nwaiting = 0;
  if (t->bytes.size > KEEP) rb_buffer_free(&t->bytes);
  else rb_buffer_clear(&t->bytes);
  shorten(t, LOGMAX);
}

static int commit (rb_Tape *t, rb_Problem *p) {
  if (t->nwaiting == 0 && !t->isnew) return 0;
  if (t->rescued)
    return rb_problem(p, RB_USAGE, "tape", "the run has been ended");
  if (t->deed && rb_seal_sync(t, p) != 0) return p->exit;
  if (perform(statement(t, BEGIN)) && (!t->isnew || addrun(t)) &&
      addevents(t) && setrun(t) && perform(statement(t, COMMIT))) {
    written(t);
    return 0;
  }
  rb_tape_complain(t, p);
  for (int i = 0; i < STATEMENTS; i++) sqlite3_reset(t->stmt[i]);
  if (!sqlite3_get_autocommit(t->db))
    sqlite3_exec(t->db, "ROLLBACK", NULL, NULL, NULL);
  return p->exit;
}

int rb_tape_commit (rb_Tape *t, rb_Problem *p) {
  pthread_mutex_lock(&t->lock);
  int rc = commit(t, p);
  pthread_mutex_unlock(&t->lock);
  return rc;
}

/* -- the end ---------------------------------------------------------------------------- */

/* 'ended' stays set while the event waits, so that trying again after a full
** disk does not end the run twice */
static int end (rb_Tape *t, const char *status, int code, rb_Problem *p) {
  char text[80];
  int64_t at = now();
  if (t->rescued)
    return rb_problem(p, RB_USAGE, "tape", "the run has been ended");
  if (t->ended == 0) {
    snprintf(t->status, sizeof t->status, "%s", status);
    rb_chain_end(text, sizeof text, t->status, code);
    rb_TapeEvent e = {.kind = "end", .text = text, .at = at};
    if (append(t, &e) == 0) return rb_tape_nomemory(p);
    t->exit = code;
    t->ended = at;
    shorten(t, LONGLOG);
  }
  return commit(t, p);
}

int rb_tape_end (rb_Tape *t, const char *status, int exit, rb_Problem *p) {
  pthread_mutex_lock(&t->lock);
  int rc = end(t, status, exit, p);
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
  t->rescued = 1;
  pthread_mutex_unlock(&t->lock);
  return rc;
}
