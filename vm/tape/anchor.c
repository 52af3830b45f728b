/*
** anchor.c - heads of the chains in a file that is kept elsewhere
**
** Who owns the tape can write all of it anew, and every chain fits. What nobody can do
** is find other events with a hash that was written down before. So a text file keeps,
** for each run, how many events it had and the hash of the last one:
**
**   runbook-anchor 1
**   01M8A31AB2Q6GZ5H8M9Q2Q4Y7T 37 9f0c... (64 hex digits)
**   all 1 77ab...   (BLAKE2b-256 of all bytes before this line)
**
** Runs are in the order of their names. The last line shows a slip of an editor; who edits
** the file on purpose can make it anew, as well.
*/

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vm/tape/store.h"

#define HEADER "runbook-anchor 1"
#define RUNLINE "%s %lld %s\n"

/* one line, and where it stands */
typedef struct Line {
  char run[RB_RUNID], head[65];
  long long events;
  int at;
} Line;

typedef struct Anchor {
  rb_Tape *t;
  const char *file;
  rb_Buffer was, is;   /* the file, and what it will be */
  rb_Anchored *sum;
  rb_Problem *p;
} Anchor;

static int bad (const Anchor *a, int exit, int line, const char *why) {
  rb_problem(a->p, exit, "anchor", "%.400s:%d: %s", a->file, line, why);
  return a->p->exit;
}

/* -- the file ------------------------------------------------------------------ */

/* 0; it may be missing, and is empty then */
static int readfile (Anchor *a) {
  char part[4096];
  size_t n;
  FILE *f = fopen(a->file, "re");
  if (f == NULL && errno == ENOENT) return 0;
  a->sum->made = 0;
  while (f != NULL && (n = fread(part, 1, sizeof part, f)) > 0) rb_buffer_add(&a->was, part, n);
  int broken = f == NULL || ferror(f);
  int error = errno;
  if (f != NULL) fclose(f);
  if (broken)
    return rb_problem(a->p, RB_USAGE, "anchor", "cannot read the anchor %.400s: %s", a->file,
                      strerror(error));
  if (a->was.n > 0 && memchr(a->was.s, '\0', a->was.n) == NULL
      && strncmp(a->was.s, HEADER "\n", sizeof HEADER) == 0) return 0;
  if (a->was.n > 15 && strncmp(a->was.s, HEADER, 15) == 0)
    return bad(a, RB_USAGE, 1, "another version of runbook wrote this anchor: use that one");
  return rb_problem(a->p, RB_USAGE, "anchor", "%.400s is there, and it is no anchor: name a "
                    "file of its own", a->file);
}

static void sumup (const char *s, size_t n, char out[65]) {
  unsigned char hash[HASH];
  crypto_generichash(hash, sizeof hash, (const unsigned char *)s, n, NULL, 0);
  sodium_bin2hex(out, 65, hash, sizeof hash);
}

/* A line as we write it, and nothing else. */
static int readline (const char *s, size_t n, Line *l) {
  char again[160];
  if (n >= sizeof again || sscanf(s, "%26s %lld %64s", l->run, &l->events, l->head) != 3)
    return 0;
  int len = snprintf(again, sizeof again, RUNLINE, l->run, l->events, l->head);
  return (size_t)len == n && memcmp(again, s, n) == 0 && l->events > 0;
}

static int islast (const Anchor *a, const char *s, int runs) {
  char sum[65], line[160];
  sumup(a->was.s, (size_t)(s - a->was.s), sum);
  snprintf(line, sizeof line, "all %d %s\n", runs, sum);
  return strcmp(s, line) == 0;
}

static int writefile (Anchor *a) {
  char beside[4200];
  snprintf(beside, sizeof beside, "%.4000s.%ld", a->file, (long)getpid());
  FILE *f = fopen(beside, "wxe");
  int whole = f != NULL && fwrite(a->is.s, 1, a->is.n, f) == a->is.n && fflush(f) == 0
              && fsync(fileno(f)) == 0;
  if (f != NULL) whole = fclose(f) == 0 && whole;
  if (whole && rename(beside, a->file) == 0) return 0;
  rb_problem(a->p, RB_USAGE, "anchor", "cannot write the anchor %.400s: %s", a->file,
             strerror(errno));
  if (f != NULL) unlink(beside);
  return a->p->exit;
}

/* -- what was anchored is still there --------------------------------------------- */

typedef struct Run { int found; long long events; char hash[65]; Marker m; int pruned; } Run;

/* how long the run is, and the hash of its event number 'seq' ("": none); of one that was
** pruned, what its mark says */
static int look (Anchor *a, const char *run, long long seq, Run *r) {
  sqlite3_stmt *s;
  *r = (Run){0};
  if (sqlite3_prepare_v2(a->t->db, "SELECT r.events, e.hash, m.text FROM run r "
        "LEFT JOIN event e ON e.run = r.id AND e.seq = ?2 "
        "LEFT JOIN event m ON m.run = r.id AND m.seq = r.events AND r.pruned > 0 "
        "WHERE r.id = ?1", -1, &s, NULL) != SQLITE_OK)
    return rb_tape_complain(a->t, a->p);
  sqlite3_bind_text(s, 1, run, -1, SQLITE_STATIC);
  sqlite3_bind_int64(s, 2, seq);
  if (sqlite3_step(s) == SQLITE_ROW) {
    r->found = 1;
    r->events = sqlite3_column_int64(s, 0);
    if (sqlite3_column_bytes(s, 1) == HASH)
      sodium_bin2hex(r->hash, sizeof r->hash, sqlite3_column_blob(s, 1), HASH);
    r->pruned = rb_chain_marker((const char *)sqlite3_column_text(s, 2), &r->m);
    if (r->pruned && r->m.events == seq)
      sodium_bin2hex(r->hash, sizeof r->hash, r->m.head, HASH);
  }
  return sqlite3_finalize(s) == SQLITE_OK ? 0 : rb_tape_complain(a->t, a->p);
}

static int holds (Anchor *a, const Line *l) {
  Run r;
  if (look(a, l->run, l->events, &r) != 0) return a->p->exit;
  if (!r.found)
    return rb_problem(a->p, RB_FAILED, "anchor", "run %s is missing: %.300s knows %lld "
                      "events of it", l->run, a->file, l->events);
  if (r.events < l->events)
    return rb_problem(a->p, RB_FAILED, "anchor", "run %s is cut short: event %lld is missing, "
                      "and %.300s knows %lld events of it", l->run, r.events + 1, a->file,
                      l->events);
  if (r.pruned && l->events < r.m.events) a->sum->unseen++;  /* between, and gone */
  else if (strcmp(r.hash, l->head) != 0)
    return rb_problem(a->p, RB_FAILED, "anchor", "run %s is not the one that was anchored: "
                      "its events 1 to %lld were written anew, or line %d of %.300s was "
                      "edited", l->run, l->events, l->at, a->file);
  a->sum->held++;
  if (r.events > l->events) a->sum->grown++;
  return 0;
}

/* The lines first: of an anchor that was edited nothing can be said. */
static int check (Anchor *a) {
  Line l;
  char last[RB_RUNID] = "";
  if (a->was.n == 0) return 0;
  for (int pass = 0; pass < 2; pass++) {
    const char *s = strchr(a->was.s, '\n') + 1;
    for (l.at = 2; strncmp(s, "all ", 4) != 0; l.at++) {
      size_t n = strcspn(s, "\n") + 1;
      if (!readline(s, n, &l)) return bad(a, RB_FAILED, l.at, "this line of the anchor has "
                                          "been edited: it is no run, or the last is missing");
      if (pass == 0 && strcmp(last, l.run) >= 0)
        return bad(a, RB_FAILED, l.at, "the runs of the anchor are not in order");
      if (pass == 1 && holds(a, &l) != 0) return a->p->exit;
      memcpy(last, l.run, sizeof last);
      s += n;
    }
    if (pass == 0 && !islast(a, s, l.at - 2))
      return bad(a, RB_FAILED, l.at, "the anchor itself has been edited: its lines do not "
                 "add up to this one");
  }
  return 0;
}

/* -- what it will be ------------------------------------------------------------------ */

static int heads (Anchor *a) {
  sqlite3_stmt *s;
  int rc, n = 0;
  rb_buffer_puts(&a->is, HEADER "\n");
  if (sqlite3_prepare_v2(a->t->db, "SELECT id, events, lower(hex(head)) FROM run "
                         "WHERE events > 0 ORDER BY id", -1, &s, NULL) != SQLITE_OK)
    return rb_tape_complain(a->t, a->p);
  for (; (rc = sqlite3_step(s)) == SQLITE_ROW; n++)
    rb_buffer_printf(&a->is, RUNLINE, (const char *)sqlite3_column_text(s, 0),
                     (long long)sqlite3_column_int64(s, 1),
                     (const char *)sqlite3_column_text(s, 2));
  sqlite3_finalize(s);
  if (rc != SQLITE_DONE) return rb_tape_complain(a->t, a->p);
  if (a->is.failed) return rb_tape_nomemory(a->p);
  sumup(a->is.s, a->is.n, a->sum->all);
  rb_buffer_printf(&a->is, "all %d %s\n", n, a->sum->all);
  a->sum->added = n - a->sum->held;
  return a->is.failed ? rb_tape_nomemory(a->p) : 0;
}

static int anchor (Anchor *a) {
  if (readfile(a) != 0 || rb_chain_verify(a->t, NULL, a->p) != 0 || check(a) != 0
      || heads(a) != 0) return a->p->exit;
  if (a->was.n == a->is.n && memcmp(a->was.s, a->is.s, a->is.n) == 0) return 0;
  return writefile(a);
}

/* one reading: the heads that are written are those that were verified */
int rb_tape_anchor (rb_Tape *t, const char *file, rb_Anchored *sum, rb_Problem *p) {
  Anchor a = {.t = t, .file = file, .sum = sum, .p = p};
  *sum = (rb_Anchored){.made = 1};
  pthread_mutex_lock(&t->lock);
  int rc = sqlite3_exec(t->db, "BEGIN", NULL, NULL, NULL) == SQLITE_OK ? anchor(&a)
           : rb_tape_complain(t, p);
  if (!sqlite3_get_autocommit(t->db)) sqlite3_exec(t->db, "ROLLBACK", NULL, NULL, NULL);
  pthread_mutex_unlock(&t->lock);
  rb_buffer_free(&a.was);
  rb_buffer_free(&a.is);
  return rc;
}
