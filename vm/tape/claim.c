/*
** claim.c - what a run has left behind: is it finished, and did it change something?
**
** A run that was begun, changed something and did not come to its end keeps what it
** locked until somebody settles it. So does a run whose undo stopped half-way. All
** of it is on the tape: how the run ended, its intents, and the undos of it.
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vm/tape/store.h"

/* intents whose outcome has not come yet; a failed outcome did nothing, but for one that
** says "partly" */
typedef struct Open {
  char **paths;
  size_t n, size;
} Open;

static int add (Open *o, const char *path) {
  if (o->n == o->size) {
    size_t size = o->size > 0 ? o->size * 2 : 64;
    char **paths = realloc(o->paths, size * sizeof *paths);
    if (paths == NULL) return 0;
    o->paths = paths;
    o->size = size;
  }
  o->paths[o->n] = strdup(path);
  return o->paths[o->n] != NULL && ++o->n > 0;
}

/* was there an intent of that path? It is not open any more. */
static int removed (Open *o, const char *path) {
  for (size_t i = 0; i < o->n; i++)
    if (strcmp(o->paths[i], path) == 0) {
      free(o->paths[i]);
      o->paths[i] = o->paths[--o->n];
      return 1;
    }
  return 0;
}

static const char *text (sqlite3_stmt *s, int column) {
  const char *at = (const char *)sqlite3_column_text(s, column);
  return at != NULL ? at : "";
}

/* 1: it changed something, or may have; a message to people is no change */
static int changed (sqlite3 *db, const char *run) {
  static const char sql[] = "SELECT kind, path, text LIKE '%\"outcome\":\"failed\"%' "
    "AND text NOT LIKE '%\"outcome\":\"failed\",\"partly\":true%' FROM "
    "event WHERE run = ?1 AND kind IN ('intent', 'outcome') AND "
    "text LIKE '{\"effect\":\"remedy\"%' ORDER BY seq";
  sqlite3_stmt *s = NULL;
  Open open = {0};
  int is = 0;
  if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK) return 1;
  sqlite3_bind_text(s, 1, run, -1, SQLITE_STATIC);
  while (!is && sqlite3_step(s) == SQLITE_ROW)
    if (strcmp(text(s, 0), "intent") == 0) is = !add(&open, text(s, 1));
    else if (removed(&open, text(s, 1))) is = sqlite3_column_int(s, 2) == 0;
  if (sqlite3_finalize(s) != SQLITE_OK || open.n > 0) is = 1;
  for (size_t i = 0; i < open.n; i++) free(open.paths[i]);
  free(open.paths);
  return is;
}

/* the undo of it that took something back and did not come to its end, else one that did:
** whichever was begun last, for clocks are set back */
static int undone (sqlite3 *db, rb_TapeClaim *c) {
  static const char sql[] = "SELECT id, ended > 0 AND status = 'done' FROM run WHERE "
    "mode = 'undo' AND params = '{\"undo\":\"' || ?1 || '\"}' ORDER BY id DESC";
  sqlite3_stmt *s = NULL;
  int half = 0;
  if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK) return 0;
  sqlite3_bind_text(s, 1, c->run, -1, SQLITE_STATIC);
  while (!half && sqlite3_step(s) == SQLITE_ROW) {
    int done = sqlite3_column_int(s, 1);
    half = !done && changed(db, text(s, 0));
    if (!half && (!done || c->undone)) continue;
    snprintf(c->undo, sizeof c->undo, "%s", text(s, 0));
    c->undone = done;
  }
  return sqlite3_finalize(s) == SQLITE_OK;
}

static int row (sqlite3 *db, rb_TapeClaim *c) {
  static const char sql[] = "SELECT who, host, mode, ended > 0, status, started, exit, "
    "runbook FROM run WHERE id = ?1";
  sqlite3_stmt *s = NULL;
  if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK) return 0;
  sqlite3_bind_text(s, 1, c->run, -1, SQLITE_STATIC);
  if (sqlite3_step(s) == SQLITE_ROW) {
    c->known = 1;
    c->ended = sqlite3_column_int(s, 3);
    snprintf(c->who, sizeof c->who, "%s", text(s, 0));
    snprintf(c->host, sizeof c->host, "%s", text(s, 1));
    snprintf(c->mode, sizeof c->mode, "%s", text(s, 2));
    snprintf(c->status, sizeof c->status, "%s", c->ended ? text(s, 4) : "");
    snprintf(c->runbook, sizeof c->runbook, "%s", text(s, 7));
    c->started = sqlite3_column_int64(s, 5);
    c->exit = c->ended ? sqlite3_column_int(s, 6) : -1;
  }
  return sqlite3_finalize(s) == SQLITE_OK;
}

/* nothing is left to be decided about such a run */
static int settled (const rb_TapeClaim *c) {
  return strcmp(c->status, "done") == 0 || strcmp(c->status, "abandoned") == 0
         || strcmp(c->mode, "dry-run") == 0 || strcmp(c->mode, "replay") == 0;
}

static int look (rb_Tape *t, rb_TapeClaim *c, rb_Problem *p) {
  Keys keys = {0};  /* without its key a run can be neither resumed nor undone */
  if (!row(t->db, c)) return rb_tape_complain(t, p);
  if (!c->known) return 0;
  if (!undone(t->db, c)) return rb_tape_complain(t, p);
  int half = c->undo[0] != '\0' && !c->undone;
  c->unfinished = !c->undone && (half ? strcmp(c->status, "abandoned") != 0 : !settled(c));
  c->changed = half || changed(t->db, c->run);
  c->open = c->unfinished && c->changed && rb_seal_load(t, c->run, &keys);
  sodium_memzero(&keys, sizeof keys);
  return 0;
}

int rb_tape_claim (rb_Tape *t, const char *run, rb_TapeClaim *c, rb_Problem *p) {
  *c = (rb_TapeClaim){.exit = -1};
  snprintf(c->run, sizeof c->run, "%s", run);
  pthread_mutex_lock(&t->lock);
  int rc = look(t, c, p);
  pthread_mutex_unlock(&t->lock);
  return rc;
}

/* Only of the last fifty runs: this is asked at the beginning of each. */
static int candidate (rb_Tape *t, const char *runbook, const char *target, const char *but,
                      const char *older, char id[RB_RUNID]) {
  static const char sql[] = "SELECT id FROM (SELECT id, runbook, target, mode, ended FROM run "
    "ORDER BY id DESC LIMIT 50) WHERE runbook = ?1 AND target = ?2 AND id <> ?3 AND "
    "id < ?4 AND coalesce(ended, 0) = 0 AND mode IN ('run', 'apply') ORDER BY id DESC LIMIT 1";
  const char *texts[] = {runbook, target, but, older};
  sqlite3_stmt *s = NULL;
  int found = 0;
  pthread_mutex_lock(&t->lock);
  if (sqlite3_prepare_v2(t->db, sql, -1, &s, NULL) == SQLITE_OK) {
    for (int i = 0; i < 4; i++) sqlite3_bind_text(s, i + 1, texts[i], -1, SQLITE_STATIC);
    found = sqlite3_step(s) == SQLITE_ROW;
    if (found) snprintf(id, RB_RUNID, "%s", text(s, 0));
  }
  sqlite3_finalize(s);
  pthread_mutex_unlock(&t->lock);
  return found;
}

int rb_tape_killed (rb_Tape *t, const char *runbook, const char *target, const char *but,
                    rb_TapeClaim *c) {
  char id[RB_RUNID] = "~";  /* after all of them */
  rb_Problem p = {0};
  while (candidate(t, runbook, target, but, id, id)) {
    int fd = rb_seal_keepout(t, id);
    if (fd < 0) continue;  /* under way, or beyond all help */
    close(fd);
    if (rb_tape_claim(t, id, c, &p) == 0 && c->open) return 1;
  }
  return 0;
}
