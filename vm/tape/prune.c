/*
** prune.c - the content of old runs goes, their rows and the heads of their chains stay
**
** First the key of a run, so that whatever a crash leaves behind can be read by nobody;
** then, in one transaction, the mark: an event "pruned" that goes on from the head, and
** says what the head and the row were. From then on all events before it are rubbish, which
** is removed in steps, with zeros in its place, and by the next prune where this one is
** cut off. The room is given back in steps, too: a run that writes meanwhile waits for one.
*/

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "vm/tape/store.h"

#define STEP "2000"         /* events, or pages, at a time */

typedef struct Prune {
  rb_Tape *t;
  int64_t before;
  int dry;
  const char *who;
  void (*each) (void *ud, const char *run, const char *kept);
  void *ud;
  rb_Pruned *sum;
  rb_Problem *p;
} Prune;

static int run (rb_Tape *t, const char *sql) {
  return sqlite3_exec(t->db, sql, NULL, NULL, NULL) == SQLITE_OK;
}

static int64_t number (rb_Tape *t, const char *sql) {
  sqlite3_stmt *s = NULL;
  int64_t n = 0;
  if (sqlite3_prepare_v2(t->db, sql, -1, &s, NULL) == SQLITE_OK
      && sqlite3_step(s) == SQLITE_ROW) n = sqlite3_column_int64(s, 0);
  sqlite3_finalize(s);
  return n;
}

static int64_t size (rb_Tape *t) {
  return number(t, "PRAGMA page_count") * number(t, "PRAGMA page_size");
}

static int failed (Prune *x) {
  rb_tape_complain(x->t, x->p);
  if (!sqlite3_get_autocommit(x->t->db)) run(x->t, "ROLLBACK");
  return x->p->exit;
}

/* -- which runs -------------------------------------------------------------------- */

typedef struct Old {
  char id[RB_RUNID], of[RB_RUNID];  /* of: what it takes back */
  int undone;                       /* somebody has begun to take it back */
  int settled;
  long long events;
} Old;

/* an undo's row names what it takes back: {"undo":"01..."} */
static const char oldsql[] =
  "SELECT r.id, CASE r.mode WHEN 'undo' THEN substr(r.params, 10, 26) ELSE '' END, "
  "u.id IS NOT NULL, r.ended > 0 AND r.status IN ('done', 'planned', 'abandoned'), r.events "
  "FROM run r LEFT JOIN (SELECT DISTINCT substr(params, 10, 26) AS id FROM run "
  "WHERE mode = 'undo') u ON u.id = r.id "
  "WHERE r.pruned IS NULL AND max(r.started, coalesce(r.ended, 0)) < ?1 ORDER BY r.id";

static int old (Prune *x, Old **list, size_t *n) {
  sqlite3_stmt *s;
  size_t room = 0;
  int rc;
  if (sqlite3_prepare_v2(x->t->db, oldsql, -1, &s, NULL) != SQLITE_OK) return failed(x);
  sqlite3_bind_int64(s, 1, x->before);
  for (*n = 0; (rc = sqlite3_step(s)) == SQLITE_ROW; ++*n) {
    if (*n == room) {
      Old *more = realloc(*list, (room = room * 2 + 64) * sizeof *more);
      if (more == NULL) break;
      *list = more;
    }
    Old *o = &(*list)[*n];
    *o = (Old){.undone = sqlite3_column_int(s, 2), .settled = sqlite3_column_int(s, 3),
               .events = sqlite3_column_int64(s, 4)};
    snprintf(o->id, sizeof o->id, "%s", (const char *)sqlite3_column_text(s, 0));
    snprintf(o->of, sizeof o->of, "%s", (const char *)sqlite3_column_text(s, 1));
  }
  sqlite3_finalize(s);
  if (rc == SQLITE_ROW) return rb_tape_nomemory(x->p);
  return rc == SQLITE_DONE ? 0 : failed(x);
}

/* does the list say that this one stays? (it comes before its undo) */
static int stays (const Old *list, const Old *upto, const char *id) {
  for (const Old *o = list; o < upto; o++)
    if (strcmp(o->id, id) == 0) return o->events < 0;
  return 0;
}

/* why it has to stay, or NULL; *fd keeps other sessions away until it is closed */
static const char *keeps (Prune *x, const Old *list, const Old *o, int *fd) {
  rb_TapeClaim c;
  *fd = rb_seal_keepout(x->t, o->id);
  if (*fd == -1) return "under way";
  if (o->of[0] != '\0' && stays(list, o, o->of)) return "what it takes back is not finished";
  if (o->of[0] != '\0' || (o->settled && !o->undone)) return NULL;
  if (rb_tape_claim(x->t, o->id, &c, x->p) != 0) return "unreadable";
  return c.open ? "not finished: resume, undo or abandon it" : NULL;
}

/* -- one run -------------------------------------------------------------------------- */

static json_t *hex (const unsigned char hash[HASH]) {
  char text[2 * HASH + 1];
  sodium_bin2hex(text, sizeof text, hash, HASH);
  return json_string(text);
}

/* the event that goes on from the head of the row at s; 'head' becomes its hash */
static char *marker (const Prune *x, sqlite3_stmt *s, unsigned char head[HASH], Fields *f) {
  unsigned char row[HASH];
  rb_chain_row(s, row);
  if (sqlite3_column_bytes(s, 9) != HASH) return NULL;
  memcpy(head, sqlite3_column_blob(s, 9), HASH);
  json_t *o = json_pack("{s:I,s:o,s:o,s:I,s:s?,s:i,s:s}", "events",
      (json_int_t)sqlite3_column_int64(s, 10), "head", hex(head), "row", hex(row), "ended",
      (json_int_t)sqlite3_column_int64(s, 11), "status", (const char *)sqlite3_column_text(s, 12),
      "exit", sqlite3_column_int(s, 13), "by", x->who);
  char *text = json_dumps(o, JSON_COMPACT);
  json_decref(o);
  *f = (Fields){.seq = sqlite3_column_int64(s, 10) + 1, .at = (int64_t)time(NULL) * 1000,
                .s = {"pruned", NULL, NULL, text, NULL},
                .len = {6, ABSENT, ABSENT, text != NULL ? strlen(text) : 0, ABSENT}};
  rb_chain_next(head, f);
  return text;
}

static int write_ (rb_Tape *t, const char *id, const Fields *f, const unsigned char head[HASH]) {
  sqlite3_stmt *s = NULL;
  int done = 0;
  if (sqlite3_prepare_v2(t->db, "INSERT INTO event (run, seq, at, kind, text, hash) VALUES "
                         "(?1, ?2, ?3, 'pruned', ?4, ?5)", -1, &s, NULL) == SQLITE_OK) {
    sqlite3_bind_text(s, 1, id, -1, SQLITE_STATIC);
    sqlite3_bind_int64(s, 2, f->seq);
    sqlite3_bind_int64(s, 3, f->at);
    sqlite3_bind_text(s, 4, f->s[TEXT], -1, SQLITE_STATIC);
    sqlite3_bind_blob(s, 5, head, HASH, SQLITE_STATIC);
    done = sqlite3_step(s) == SQLITE_DONE;
  }
  sqlite3_finalize(s);
  if (!done || sqlite3_prepare_v2(t->db, "UPDATE run SET head = ?4, events = ?2, pruned = ?3 "
                                  "WHERE id = ?1", -1, &s, NULL) != SQLITE_OK) return 0;
  sqlite3_bind_text(s, 1, id, -1, SQLITE_STATIC);
  sqlite3_bind_int64(s, 2, f->seq);
  sqlite3_bind_int64(s, 3, f->at);
  sqlite3_bind_blob(s, 4, head, HASH, SQLITE_STATIC);
  done = sqlite3_step(s) == SQLITE_DONE;
  return sqlite3_finalize(s) == SQLITE_OK && done;
}

/* some events of a run that has its mark; how many is told by sqlite3_changes */
static int step (rb_Tape *t, const char *id) {
  sqlite3_stmt *s = NULL;
  if (sqlite3_prepare_v2(t->db, "DELETE FROM event WHERE run = ?1 AND seq IN (SELECT seq FROM "
        "event WHERE run = ?1 AND seq < (SELECT events FROM run WHERE id = ?1) LIMIT " STEP ")",
        -1, &s, NULL) == SQLITE_OK) {
    sqlite3_bind_text(s, 1, id, -1, SQLITE_STATIC);
    sqlite3_step(s);
  }
  return sqlite3_finalize(s) == SQLITE_OK;
}

static int mark (Prune *x, const char *id) {
  sqlite3_stmt *s = NULL;
  unsigned char head[HASH];
  Fields f;
  int done = 0;
  if (!run(x->t, "BEGIN IMMEDIATE")) return failed(x);
  if (sqlite3_prepare_v2(x->t->db, "SELECT " RB_ROW ", head, events, coalesce(ended, 0), "
                         "status, exit FROM run WHERE id = ?1", -1, &s, NULL) == SQLITE_OK) {
    sqlite3_bind_text(s, 1, id, -1, SQLITE_STATIC);
    char *text = sqlite3_step(s) == SQLITE_ROW ? marker(x, s, head, &f) : NULL;
    sqlite3_reset(s);
    done = text != NULL && write_(x->t, id, &f, head);
    free(text);
  }
  sqlite3_finalize(s);
  if (!done || !step(x->t, id) || !run(x->t, "COMMIT")) return failed(x);
  return 0;
}

/* the rest of it, in steps */
static int sweep (Prune *x, const char *id) {
  while (sqlite3_changes(x->t->db) > 0) {
    if (!step(x->t, id)) return failed(x);
    sqlite3_wal_checkpoint_v2(x->t->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
  }
  return 0;
}

/* what a prune that was cut off has left of its last run */
static int leftovers (Prune *x) {
  char id[RB_RUNID] = "";
  sqlite3_stmt *s = NULL;
  if (sqlite3_prepare_v2(x->t->db, "SELECT id FROM run r WHERE pruned > 0 AND EXISTS (SELECT 1 "
                         "FROM event WHERE run = r.id AND seq < r.events) LIMIT 1", -1, &s,
                         NULL) != SQLITE_OK) return failed(x);
  if (sqlite3_step(s) == SQLITE_ROW)
    snprintf(id, sizeof id, "%s", (const char *)sqlite3_column_text(s, 0));
  sqlite3_finalize(s);
  if (id[0] == '\0') return 0;
  return step(x->t, id) ? sweep(x, id) : failed(x);
}

/* -- the room ------------------------------------------------------------------------- */

static int anylive (rb_Tape *t) {
  sqlite3_stmt *s = NULL;
  int live = 0;
  if (sqlite3_prepare_v2(t->db, "SELECT id FROM run WHERE coalesce(ended, 0) = 0", -1, &s,
                         NULL) != SQLITE_OK) return 1;
  while (!live && sqlite3_step(s) == SQLITE_ROW) {
    int fd = rb_seal_keepout(t, (const char *)sqlite3_column_text(s, 0));
    live = fd == -1;
    if (fd >= 0) close(fd);
  }
  sqlite3_finalize(s);
  return live;
}

/* A tape of an older format gives room back only as a whole, which nobody can wait for who
** writes: then its pages are used again. The log is emptied, for it has what there was. */
static int shrink (Prune *x) {
  rb_Tape *t = x->t;
  if (number(t, "PRAGMA auto_vacuum") == 2)
    while (number(t, "PRAGMA freelist_count") > 0)
      if (!run(t, "PRAGMA incremental_vacuum(" STEP ")")) return failed(x);
  if (number(t, "PRAGMA auto_vacuum") == 0 && !anylive(t)
      && !run(t, "PRAGMA auto_vacuum = INCREMENTAL; VACUUM")) return failed(x);
  int rc = sqlite3_wal_checkpoint_v2(t->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
  if (rc == SQLITE_BUSY)
    return rb_problem(x->p, RB_FAILED, "tape", "the runs are pruned, but the log beside the "
                      "tape %.400s still has what was in them, since another process reads "
                      "it: say it again", t->file);
  return rc == SQLITE_OK ? 0 : failed(x);
}

/* -- all of it -------------------------------------------------------------------------- */

static int one (Prune *x, const Old *list, Old *o) {
  int fd;
  const char *kept = keeps(x, list, o, &fd);
  int rc = x->p->exit;
  if (rc == 0) x->each(x->ud, o->id, kept);
  if (kept == NULL) {
    x->sum->runs++;
    x->sum->events += o->events;
  } else {
    x->sum->kept++;
    o->events = -1;
  }
  if (rc == 0 && kept == NULL && !x->dry) {
    rb_seal_shred(x->t, o->id);
    pthread_mutex_lock(&x->t->lock);
    rc = mark(x, o->id);
    if (rc == 0) rc = sweep(x, o->id);
    pthread_mutex_unlock(&x->t->lock);
  }
  if (fd >= 0) close(fd);
  return rc;
}

static int all (Prune *x) {
  Old *list = NULL;
  size_t n = 0;
  int rc = old(x, &list, &n);
  for (size_t i = 0; i < n && rc == 0; i++) rc = one(x, list, &list[i]);
  free(list);
  return rc;
}

/* -- keys without a run ------------------------------------------------------------------- */

static int ontape (rb_Tape *t, const char *id) {
  sqlite3_stmt *s = NULL;
  int is = 1;  /* who cannot tell leaves it */
  if (sqlite3_prepare_v2(t->db, "SELECT 1 FROM run WHERE id = ?1", -1, &s, NULL) == SQLITE_OK) {
    sqlite3_bind_text(s, 1, id, -1, SQLITE_STATIC);
    is = sqlite3_step(s) != SQLITE_DONE;
  }
  sqlite3_finalize(s);
  return is;
}

/* A key is made before anything of its run is written. Not those of young runs: an
** older tape, moved away, may have been put back. */
static void orphans (Prune *x) {
  char path[PATH_MAX];
  DIR *d = rb_seal_path(x->t, NULL, path) ? opendir(path) : NULL;
  for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL; ) {
    int64_t made = strlen(e->d_name) == RB_RUNID - 1 ? rb_ulid_time(e->d_name) : 0;
    if (made == 0 || made >= x->before) continue;
    int fd = rb_seal_keepout(x->t, e->d_name);
    if (fd >= 0 && !ontape(x->t, e->d_name)) {
      x->sum->keys++;
      if (!x->dry) rb_seal_shred(x->t, e->d_name);
    }
    if (fd >= 0) close(fd);
  }
  if (d != NULL) closedir(d);
}

int rb_tape_prune (rb_Tape *t, int64_t before, int dry, const char *who,
                   void (*each) (void *ud, const char *run, const char *kept), void *ud,
                   rb_Pruned *sum, rb_Problem *p) {
  Prune x = {t, before, dry, who, each, ud, sum, p};
  *sum = (rb_Pruned){.was = size(t)};
  if (!dry && !run(t, "PRAGMA secure_delete = ON")) return failed(&x);
  int rc = all(&x);
  if (!dry && rc == 0) rc = leftovers(&x);
  if (rc == 0) orphans(&x);
  if (!dry && rc == 0) rc = shrink(&x);
  sum->is = size(t);
  return rc;
}
