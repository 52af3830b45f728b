/*
** adopt.c - a session at the prompt, as a run of the runbook that was made of it
**
** A statement is a field of a step now: its effects are found under another path, after
** those of the statements that went there before it.
*/

#include <stdlib.h>
#include <string.h>

#include "vm/replay.h"
#include "vm/run/run.h"

/* how far the field's numbers came: of effects, and of run:each */
typedef struct Offset { long plain, each; } Offset;

/* "12/repl/3[1]/2" of statement 12: its number and what follows; 0: it is another's */
static long numbered (const char *path, int n, const char **rest) {
  char start[32];
  int len = snprintf(start, sizeof start, "%d/repl/", n);
  char *end;
  if (strncmp(path, start, (size_t)len) != 0) return 0;
  long at = strtol(path + len, &end, 10);
  *rest = end;
  return at;
}

/* 0: no memory */
static int rename_ (rb_Replay *t, json_t *index, int i, const char *field, long n,
                    const char *rest) {
  char *path = NULL;
  if (asprintf(&path, "%s/%ld%s", field, n, rest) < 0) return 0;
  free(t->list[i].path);
  t->list[i].path = path;
  return json_object_set_new(index, path, json_integer(i)) == 0;
}

/* the effects of one statement; 0: no memory */
static int adopt (rb_Replay *t, json_t *index, int n, const char *field, Offset *o) {
  Offset most = {0, 0};
  const char *rest;
  for (int i = 0; i < t->n; i++) {
    long at = numbered(t->list[i].path, n, &rest);
    if (at == 0 || json_object_get(index, t->list[i].path) != NULL) continue;
    long *top = *rest == '[' ? &most.each : &most.plain;
    if (at > *top) *top = at;
    long from = *rest == '[' ? o->each : o->plain;
    if (!rename_(t, index, i, field, from + at, rest)) return 0;
  }
  o->plain += most.plain;
  o->each += most.each;
  return 1;
}

int rb_adopt (rb_Run *r) {
  rb_Replay *t = r->o->resume;
  json_t *index = json_object(), *place;
  size_t i;
  char field[400], last[400] = "";
  Offset o = {0, 0};
  json_array_foreach(t->adopts, i, place) {
    int step = (int)json_integer_value(json_object_get(place, "step"));
    if (step < 1 || step > r->outline.nsteps) continue;
    snprintf(field, sizeof field, "%s/%s", r->outline.steps[step - 1].id,
             json_string_value(json_object_get(place, "word")));
    if (strcmp(field, last) != 0) o = (Offset){0, 0};
    strcpy(last, field);
    if (!adopt(t, index, (int)json_integer_value(json_object_get(place, "n")), field, &o))
      return 0;
  }
  json_decref(t->index);
  t->index = index;
  t->left = 0;
  for (int k = 0; k < t->n; k++) {
    rb_Taped *e = &t->list[k];
    if (json_object_get(index, e->path) == NULL) e->seq = 0;  /* it was left out */
    t->left += e->seq != 0 && !e->within;
  }
  t->over = t->left == 0;
  return 1;
}

/* -- its events ------------------------------------------------------------------ */

static int byseq (const void *a, const void *b) {
  int64_t x = (*(rb_Taped *const *)a)->seq, y = (*(rb_Taped *const *)b)->seq;
  return x < y ? -1 : x > y;
}

static void outcome (const rb_Taped *e, int (*event) (void *ud, const rb_TapeRow *row),
                     void *ud) {
  json_t *o = json_pack("{s:s,s:s*,s:s*,s:s,s:s}", "effect", e->notice ? "notice" : e->deed ?
                        "remedy" : "probe", "target", e->target, "summary", e->summary,
                        "outcome", e->failed ? "failed" : "done", "fingerprint", "");
  if (e->unchanged) json_object_set_new(o, "unchanged", json_true());
  if (e->lost) json_object_set_new(o, "lost", json_true());
  if (e->retried) json_object_set_new(o, "retried", json_true());
  char *text = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL;
  rb_TapeRow row = {.seq = e->seq, .event = {
    .kind = e->waited ? "waited" : e->within ? "within" : "outcome", .path = e->path,
    .verb = e->verb, .text = text, .at = (int64_t)(e->at * 1000), .secret = e->value,
    .secretlen = e->nvalue
  }};
  event(ud, &row);
  free(text);
  json_decref(o);
}

void rb_adopted_events (rb_Run *r, int (*event) (void *ud, const rb_TapeRow *row), void *ud) {
  rb_Replay *t = r->o->resume;
  rb_TapeRow start = {.seq = 1, .event = {.kind = "start", .text = "{}",
                      .at = t->run.started}};
  rb_Taped **list = calloc((size_t)t->n + 1, sizeof *list);
  int n = 0;
  if (list == NULL) luaL_error(r->L, "not enough memory");
  for (int i = 0; i < t->n; i++) if (t->list[i].seq != 0) list[n++] = &t->list[i];
  qsort(list, (size_t)n, sizeof *list, byseq);
  event(ud, &start);
  for (int i = 0; i < n; i++) outcome(list[i], event, ud);
  free(list);
}
