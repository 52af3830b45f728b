/*
** chain.c - each event's hash covers the one before it
**
** hash = BLAKE2b-256(previous || numbers || texts), where the numbers are
** seq, time and the lengths of the texts (8 bytes each, little-endian; all
** ones: absent). Not SHA-256, which costs five times as much where the
** processor has no instructions for it. Before the first event stands the
** hash of the run's row, so what the row says is covered, too. It shows
** accidents and edits; against an owner who writes the whole chain anew only
** a head kept elsewhere helps.
*/

#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "vm/tape/store.h"

/* -- hashing ----------------------------------------------------------------- */

static void number (unsigned char *out, uint64_t n) {
  for (int i = 0; i < 8; i++) out[i] = (unsigned char)(n >> 8 * i);
}

void rb_chain_start (unsigned char hash[HASH], const char *run,
                     const char *const text[RUNTEXTS], int64_t started) {
  crypto_generichash_state state;
  unsigned char numbers[8 * (RUNTEXTS + 1)];
  number(numbers, (uint64_t)started);
  for (int i = 0; i < RUNTEXTS; i++)
    number(numbers + 8 * (i + 1), text[i] != NULL ? strlen(text[i]) : ABSENT);
  crypto_generichash_init(&state, NULL, 0, HASH);
  crypto_generichash_update(&state, (const unsigned char *)run, strlen(run));
  crypto_generichash_update(&state, numbers, sizeof numbers);
  for (int i = 0; i < RUNTEXTS; i++)
    if (text[i] != NULL)
      crypto_generichash_update(&state, (const unsigned char *)text[i],
                                strlen(text[i]));
  crypto_generichash_final(&state, hash, HASH);
}

void rb_chain_next (unsigned char hash[HASH], const Fields *f) {
  crypto_generichash_state state;
  unsigned char start[HASH + 8 * (FIELDS + 2)], *numbers = start + HASH;
  memcpy(start, hash, HASH);
  number(numbers, (uint64_t)f->seq);
  number(numbers + 8, (uint64_t)f->at);
  for (int i = 0; i < FIELDS; i++) number(numbers + 8 * (i + 2), f->len[i]);
  crypto_generichash_init(&state, NULL, 0, HASH);
  crypto_generichash_update(&state, start, sizeof start);
  for (int i = 0; i < FIELDS; i++)
    if (f->len[i] != ABSENT && f->len[i] > 0)
      crypto_generichash_update(&state, f->s[i], f->len[i]);
  crypto_generichash_final(&state, hash, HASH);
}

void rb_chain_fields (sqlite3_stmt *s, Fields *f) {
  f->seq = sqlite3_column_int64(s, 0);
  f->at = sqlite3_column_int64(s, 1);
  for (int i = 0; i < FIELDS; i++) {
    f->s[i] = i == SEALED ? sqlite3_column_blob(s, i + 2)
                          : (const void *)sqlite3_column_text(s, i + 2);
    f->len[i] = sqlite3_column_type(s, i + 2) == SQLITE_NULL
                    ? ABSENT : (uint64_t)sqlite3_column_bytes(s, i + 2);
  }
}

void rb_chain_end (char *text, size_t size, const char *status, int exit) {
  snprintf(text, size, "{\"status\":\"%s\",\"exit\":%d}", status, exit);
}

/* -- verifying ---------------------------------------------------------------- */

/* a run's row: id, texts, started, head, events, ended, status, exit, pruned */
enum { STARTED = RUNTEXTS + 1, HEAD, EVENTS, ENDED, STATUS, EXIT, PRUNED };

static const char runsql[] =
  "SELECT " RB_ROW ", head, events, ended, status, exit, pruned FROM run "
  "WHERE ?1 IS NULL OR id = ?1 ORDER BY id";
static const char eventsql[] =
  "SELECT seq, at, kind, path, verb, text, sealed, hash FROM event "
  "WHERE run = ?1 ORDER BY seq";
static const char orphansql[] =
  "SELECT run, seq FROM event WHERE run NOT IN (SELECT id FROM run) LIMIT 1";

static const char *text (sqlite3_stmt *s, int column) {
  return (const char *)sqlite3_column_text(s, column);
}

/* 1: what the file says is broken already below us */
static int finished (rb_Tape *t, sqlite3_stmt *s, int rc, const char *run,
                     int64_t after, rb_Problem *p) {
  sqlite3_finalize(s);
  if (rc == SQLITE_DONE) return 0;
  if ((rc & 0xFF) != SQLITE_CORRUPT && (rc & 0xFF) != SQLITE_NOTADB)
    return rb_tape_complain(t, p);
  return rb_problem(p, RB_FAILED, "tape", "the tape %.400s is damaged: run %s "
                    "cannot be read after event %lld", t->file, run,
                    (long long)after);
}

static int misfit (rb_Problem *p, const char *run, int64_t seq,
                   const char *kind, const char *why) {
  return rb_problem(p, RB_FAILED, "tape", "run %s does not fit: event %lld "
                    "(%s) %s", run, (long long)seq,
                    kind != NULL ? kind : "?", why);
}

/* follows the events of a run; 'hash' becomes the last one's */
static int follow (rb_Tape *t, const char *run, unsigned char hash[HASH],
                   int64_t *seq, int64_t *ended, char end[80],
                   rb_Problem *p) {
  sqlite3_stmt *s;
  int rc;
  Fields f;
  if (sqlite3_prepare_v2(t->db, eventsql, -1, &s, NULL) != SQLITE_OK)
    return rb_tape_complain(t, p);
  sqlite3_bind_text(s, 1, run, -1, SQLITE_STATIC);
  while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
    const char *why = NULL;
    rb_chain_fields(s, &f);
    if (f.seq != *seq + 1) why = "comes where another one is missing";
    rb_chain_next(hash, &f);
    if (why == NULL && (sqlite3_column_bytes(s, FIELDS + 2) != HASH ||
        memcmp(sqlite3_column_blob(s, FIELDS + 2), hash, HASH) != 0))
      why = f.seq == 1 ? "or the row of the run has been changed"
                       : "has been changed";
    if (why != NULL) {
      misfit(p, run, f.seq, f.s[KIND], why);
      sqlite3_finalize(s);
      return p->exit;
    }
    *seq = f.seq;
    int last = f.s[KIND] != NULL && strcmp(f.s[KIND], "end") == 0;
    *ended = last ? f.at : 0;
    snprintf(end, 80, "%s", last && f.s[TEXT] != NULL
                                ? (const char *)f.s[TEXT] : "");
  }
  return finished(t, s, rc, run, *seq, p);
}

void rb_chain_row (sqlite3_stmt *s, unsigned char hash[HASH]) {
  const char *row[RUNTEXTS], *run = text(s, 0);
  for (int i = 0; i < RUNTEXTS; i++) row[i] = text(s, i + 1);
  rb_chain_start(hash, run != NULL ? run : "?", row, sqlite3_column_int64(s, STARTED));
}

static int hashof (const json_t *o, const char *key, unsigned char hash[HASH]) {
  const char *hex = json_string_value(json_object_get(o, key));
  size_t n = 0;
  return hex != NULL && sodium_hex2bin(hash, HASH, hex, strlen(hex), NULL, &n, NULL) == 0
         && n == HASH;
}

int rb_chain_marker (const char *s, Marker *m) {
  json_t *o = s != NULL ? json_loads(s, 0, NULL) : NULL;
  const char *status = json_string_value(json_object_get(o, "status"));
  int good = hashof(o, "head", m->head) && hashof(o, "row", m->row);
  m->events = json_integer_value(json_object_get(o, "events"));
  m->ended = json_integer_value(json_object_get(o, "ended"));
  m->exit = (int)json_integer_value(json_object_get(o, "exit"));
  snprintf(m->status, sizeof m->status, "%s", status != NULL ? status : "");
  json_decref(o);
  return good;
}

/* does the one event that is left of it go on from what it says, and tell the same as the
** row? */
static int marked (sqlite3_stmt *s, sqlite3_stmt *last, const unsigned char row[HASH]) {
  Marker m;
  Fields f;
  rb_chain_fields(last, &f);
  if (f.s[KIND] == NULL || strcmp(f.s[KIND], "pruned") != 0
      || !rb_chain_marker(f.s[TEXT], &m)) return 0;
  rb_chain_next(m.head, &f);
  const char *status = text(s, STATUS);
  return memcmp(m.row, row, HASH) == 0 && m.events + 1 == f.seq
         && f.seq == sqlite3_column_int64(s, EVENTS)
         && m.ended == sqlite3_column_int64(s, ENDED) && m.exit == sqlite3_column_int(s, EXIT)
         && strcmp(m.status, status != NULL ? status : "") == 0
         && f.at == sqlite3_column_int64(s, PRUNED)
         && sqlite3_column_bytes(last, FIELDS + 2) == HASH
         && memcmp(sqlite3_column_blob(last, FIELDS + 2), m.head, HASH) == 0
         && sqlite3_column_bytes(s, HEAD) == HASH
         && memcmp(sqlite3_column_blob(s, HEAD), m.head, HASH) == 0;
}

/* Its content is gone; what a prune that was cut off left of it is removed by the next. */
static int checkpruned (rb_Tape *t, sqlite3_stmt *s, const unsigned char row[HASH],
                        rb_Problem *p) {
  sqlite3_stmt *last;
  const char *run = text(s, 0);
  if (sqlite3_prepare_v2(t->db, "SELECT seq, at, kind, path, verb, text, sealed, hash FROM "
        "event WHERE run = ?1 AND seq >= ?2", -1, &last, NULL) != SQLITE_OK)
    return rb_tape_complain(t, p);
  sqlite3_bind_text(last, 1, run, -1, SQLITE_STATIC);
  sqlite3_bind_int64(last, 2, sqlite3_column_int64(s, EVENTS));
  int good = sqlite3_step(last) == SQLITE_ROW && marked(s, last, row)
             && sqlite3_step(last) == SQLITE_DONE;
  sqlite3_finalize(last);
  if (good) return 0;
  return rb_problem(p, RB_FAILED, "tape", "run %s does not fit: it is said to have been "
                    "pruned, and its row or its last event has been changed",
                    run != NULL ? run : "?");
}

/* one run: its events, and what its row remembers of them */
static int check (rb_Tape *t, sqlite3_stmt *s, rb_Problem *p) {
  unsigned char hash[HASH];
  const char *run = text(s, 0) != NULL ? text(s, 0) : "?";
  char end[80] = "", expected[80] = "";
  int64_t seq = 0, ended = 0;
  rb_chain_row(s, hash);
  if (sqlite3_column_int64(s, PRUNED) != 0) return checkpruned(t, s, hash, p);
  if (follow(t, run, hash, &seq, &ended, end, p) != 0) return p->exit;
  if (sqlite3_column_int64(s, EVENTS) != seq ||
      sqlite3_column_bytes(s, HEAD) != HASH ||
      memcmp(sqlite3_column_blob(s, HEAD), hash, HASH) != 0)
    return misfit(p, run, seq + 1, "after the last one", seq <
                  sqlite3_column_int64(s, EVENTS) ? "is missing"
                  : "or the head of the run has been changed");
  if (ended != 0 && text(s, STATUS) != NULL)
    rb_chain_end(expected, sizeof expected, text(s, STATUS),
                 sqlite3_column_int(s, EXIT));
  if (sqlite3_column_int64(s, ENDED) != ended || strcmp(end, expected) != 0)
    return misfit(p, run, seq, "the last one", "tells another end than the "
                  "row of the run");
  return 0;
}

static int orphans (rb_Tape *t, rb_Problem *p) {
  sqlite3_stmt *s;
  if (sqlite3_prepare_v2(t->db, orphansql, -1, &s, NULL) != SQLITE_OK)
    return rb_tape_complain(t, p);
  int rc = sqlite3_step(s);
  if (rc == SQLITE_ROW) {
    const char *run = text(s, 0);
    rb_problem(p, RB_FAILED, "tape", "run %s does not fit: event %lld is "
               "there, but the row of the run is missing",
               run != NULL ? run : "?",
               (long long)sqlite3_column_int64(s, 1));
    sqlite3_finalize(s);
    return p->exit;
  }
  return finished(t, s, rc, "?", 0, p);
}

int rb_chain_verify (rb_Tape *t, const char *id, rb_Problem *p) {
  sqlite3_stmt *s;
  int rc;
  if (sqlite3_prepare_v2(t->db, runsql, -1, &s, NULL) != SQLITE_OK)
    return rb_tape_complain(t, p);
  sqlite3_bind_text(s, 1, id, -1, SQLITE_STATIC);
  while ((rc = sqlite3_step(s)) == SQLITE_ROW)
    if (check(t, s, p) != 0) {
      sqlite3_finalize(s);
      return p->exit;
    }
  if (finished(t, s, rc, "?", 0, p) != 0) return p->exit;
  return id == NULL ? orphans(t, p) : 0;
}

int rb_tape_verify (rb_Tape *t, const char *run, rb_Problem *p) {
  char id[RB_RUNID];
  if (run != NULL && rb_tape_find(t, run, id, p) != 0) return p->exit;
  pthread_mutex_lock(&t->lock);  /* one reading: others may write meanwhile */
  int rc = sqlite3_exec(t->db, "BEGIN", NULL, NULL, NULL) == SQLITE_OK
               ? rb_chain_verify(t, run != NULL ? id : NULL, p)
               : rb_tape_complain(t, p);
  if (!sqlite3_get_autocommit(t->db))
    sqlite3_exec(t->db, "ROLLBACK", NULL, NULL, NULL);
  pthread_mutex_unlock(&t->lock);
  return rc;
}
