/*
** replayload.c - a run of the tape as an index of what it answers
**
** What ended a run is done again by the session that resumes it: in the field that
** failed, all that came after the last deed of each branch. Which events that were, is
** said on the tape, so that a third session knows which of two outcomes counts.
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "vm/exported.h"
#include "vm/redact.h"
#include "vm/replay.h"

typedef struct Event {
  int64_t seq;
  double at;
  char *kind, *path, *verb;
  json_t *text;
  char *secret; size_t n;
  int dropped;
} Event;

typedef struct Events {
  Event *list;
  int n, size;
  int partial;         /* this is not all of the run: no memory, or it is not ours */
} Events;

/* -- reading ------------------------------------------------------------------------ */

static char *copy (const char *s) { return s != NULL ? strdup(s) : NULL; }

static int collect (void *ud, const rb_TapeRow *row) {
  Events *all = ud;
  if (all->n == all->size) {
    int size = all->size > 0 ? all->size * 2 : 256;
    Event *list = realloc(all->list, (size_t)size * sizeof *list);
    if (list == NULL) return all->partial = 1;
    all->list = list;
    all->size = size;
  }
  const rb_TapeEvent *e = &row->event;
  Event *to = &all->list[all->n++];
  *to = (Event){.seq = row->seq, .at = (double)e->at / 1000, .kind = copy(e->kind),
                .path = copy(e->path), .verb = copy(e->verb)};
  if (e->text != NULL) to->text = json_loads(e->text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
  if (e->secret != NULL && (to->secret = malloc(e->secretlen + 1)) != NULL) {
    memcpy(to->secret, e->secret, e->secretlen);
    to->secret[e->secretlen] = '\0';
    to->n = e->secretlen;
  }
  all->partial = to->kind == NULL || (e->path != NULL && to->path == NULL)
                  || (e->text != NULL && to->text == NULL)
                  || (e->secret != NULL && to->secret == NULL);
  return all->partial;
}

static void forget (Events *all) {
  for (Event *e = all->list; e < all->list + all->n; e++) {
    free(e->kind); free(e->path); free(e->verb);
    json_decref(e->text);
    if (e->secret != NULL) sodium_memzero(e->secret, e->n);
    free(e->secret);
  }
  free(all->list);
}

static const char *word (const Event *e, const char *key) {
  const char *s = json_string_value(json_object_get(e->text, key));
  return s != NULL ? s : "";
}

static int flag (const Event *e, const char *key) {
  return json_is_true(json_object_get(e->text, key));
}

static int is (const Event *e, const char *kind) { return strcmp(e->kind, kind) == 0; }

/* -- what is done again --------------------------------------------------------------- */

/* "step/remedy/3[7]" of "step/remedy/3[7]/2" */
static size_t branch (const char *path) {
  const char *slash = strrchr(path, '/');
  return slash != NULL ? (size_t)(slash - path) : strlen(path);
}

static void drop (rb_Replay *r, Event *e) {
  e->dropped = 1;
  if (e->path == NULL) return;
  json_object_setn_new(r->reopened, e->path, branch(e->path), json_true());
}

/* what earlier sessions did again does not count any more */
static void dropped (rb_Replay *r, Events *all, const json_t *ranges) {
  size_t i;
  json_t *range;
  json_array_foreach(ranges, i, range)
    for (Event *e = all->list; e < all->list + all->n; e++)
      if (e->seq >= json_integer_value(json_array_get(range, 0))
          && e->seq <= json_integer_value(json_array_get(range, 1))) drop(r, e);
}

static int inside (const char *path, const char *prefix) {
  size_t n = strlen(prefix);
  return path != NULL && strncmp(path, prefix, n) == 0
         && (path[n] == '/' || path[n] == '~' || path[n] == '\0');
}

/* an effect or a wait of the field (of any try of it) */
static int effect (const Event *e, const char *field) {
  return (is(e, "outcome") || is(e, "intent") || is(e, "waited") || is(e, "within"))
         && inside(e->path, field);
}

/* do they differ first in the item of a run:each? Then neither came before the other. */
static int beside (const char *a, const char *b) {
  size_t i = 0;
  while (a[i] != '\0' && a[i] == b[i]) i++;
  while (i > 0 && a[i - 1] != '/' && a[i - 1] != '[') i--;
  return i > 0 && a[i - 1] == '[';
}

/* the last deed of the field that was done in the branch of 'e', in one that it made,
   or in one that made it: what led there is not asked again */
static int64_t anchor (const Events *all, int from, const char *field, const Event *e) {
  int64_t last = 0;
  for (const Event *d = all->list + from; d < all->list + all->n; d++)
    if (!d->dropped && is(d, "outcome") && inside(d->path, field)
        && strcmp(word(d, "outcome"), "done") == 0
        && strcmp(word(d, "effect"), "probe") != 0 && !beside(d->path, e->path))
      last = d->seq;
  return last;
}

static void again (rb_Replay *r, Event *e) {
  drop(r, e);
  json_array_append_new(r->dropped, json_pack("[I,I]", (json_int_t)e->seq,
                                              (json_int_t)e->seq));
}

/* what the script said in that field it will say again */
static void dropfield (rb_Replay *r, Events *all, int from, const char *field) {
  for (Event *e = all->list + from; e < all->list + all->n; e++)
    if (effect(e, field) && !e->dropped && e->seq > anchor(all, from, field, e))
      again(r, e);
    else if ((is(e, "note") || is(e, "finding") || is(e, "evidence")
              || is(e, "failures"))
             && inside(e->path, field)) again(r, e);
}

/* The last step, when it failed and ended the run, unless it was skipped then; or the cases,
** whose `when` did. */
static void dropend (rb_Replay *r, Events *all) {
  int step = 0, stepped = -1, ended = -1, skipped = 0;
  char field[300];
  for (int i = 0; i < all->n; i++) {
    Event *e = &all->list[i];
    if (is(e, "step")) step = i, stepped = -1, skipped = 0;
    if (is(e, "stepped")) stepped = i;
    if (is(e, "skip")) skipped = 1;
    if (is(e, "end")) ended = i;
    if (is(e, "resume")) ended = -1;
  }
  if (ended < 0 || strcmp(word(&all->list[ended], "status"), "failed") != 0) return;
  for (int i = step; i < all->n; i++)
    if (all->list[i].path != NULL && strncmp(all->list[i].path, "case:", 5) == 0
        && i > stepped) again(r, &all->list[i]);
  if (stepped < 0 || skipped || *word(&all->list[stepped], "field") == '\0') return;
  again(r, &all->list[stepped]);
  snprintf(field, sizeof field, "%s/%s", all->list[stepped].path,
           word(&all->list[stepped], "field"));
  dropfield(r, all, step, field);
}

/* -- the index ------------------------------------------------------------------------- */

static rb_Taped *entry (rb_Replay *r, const Event *e) {
  json_t *at = json_object_get(r->index, e->path);
  if (at != NULL) return &r->list[json_integer_value(at)];
  if (r->n == r->size) {
    int size = r->size > 0 ? r->size * 2 : 256;
    rb_Taped *list = realloc(r->list, (size_t)size * sizeof *list);
    if (list == NULL) return NULL;
    r->list = list;
    r->size = size;
  }
  char *path = strdup(e->path);
  if (path == NULL || json_object_set_new(r->index, path, json_integer(r->n)) != 0) {
    free(path);
    return NULL;
  }
  r->list[r->n] = (rb_Taped){.path = path};
  return &r->list[r->n++];
}

static void take (char **s, size_t *n, Event *e) {
  if (*s != NULL) sodium_memzero(*s, *n);
  free(*s);
  *s = e->secret;
  *n = e->n;
  e->secret = NULL;
}

static void settext (rb_Taped *t, const Event *e) {
  free(t->verb);
  free(t->summary);
  free(t->target);
  t->target = copy(word(e, "target"));
  t->verb = copy(e->verb);
  t->summary = copy(word(e, "summary"));
  snprintf(t->fingerprint, sizeof t->fingerprint, "%s", word(e, "fingerprint"));
  t->deed = strcmp(word(e, "effect"), "probe") != 0;
  t->notice = strcmp(word(e, "effect"), "notice") == 0;
}

/* 0: no memory */
static int addeffect (rb_Replay *r, Event *e) {
  rb_Taped *t = entry(r, e);
  if (t == NULL) return 0;
  settext(t, e);
  t->seq = 0;
  t->waited = is(e, "waited");
  t->within = is(e, "within");
  if (is(e, "intent")) {
    take(&t->intent, &t->nintent, e);
    return 1;
  }
  if (strcmp(word(e, "outcome"), "in-doubt") == 0) return 1;
  t->seq = e->seq;
  t->at = e->at;
  t->failed = strcmp(word(e, "outcome"), "failed") == 0;
  t->partly = flag(e, "partly");
  t->unchanged = flag(e, "unchanged");
  t->retried = flag(e, "retried");
  t->late = flag(e, "late");
  t->lost = flag(e, "lost");
  take(&t->value, &t->nvalue, e);
  return 1;
}

static void addspoken (rb_Replay *r, const Event *e) {
  char key[400];
  snprintf(key, sizeof key, "%s %s", e->kind, e->path != NULL ? e->path : "");
  json_int_t n = json_integer_value(json_object_get(r->spoken, key));
  json_object_set_new(r->spoken, key, json_integer(n + 1));
}

/* words that are no text stand there as hexadecimal digits */
static void readwords (json_t *words) {
  size_t i, n;
  json_t *word;
  json_array_foreach(words, i, word) {
    json_t *hex = json_object_get(word, "hex");
    unsigned char *s = malloc(json_string_length(hex) / 2 + 1);
    if (hex != NULL && s != NULL && sodium_hex2bin(s, json_string_length(hex) / 2 + 1,
            json_string_value(hex), json_string_length(hex), NULL, &n, NULL) == 0)
      json_array_set_new(words, i, json_stringn_nocheck((char *)s, n));
    free(s);
  }
}

/* 0: no memory */
static int addevent (rb_Replay *r, Event *e) {
  static const char *const said[] = {
    "note", "finding", "evidence", "failures", "step", "stepped", "answer", "approval",
    "undone", NULL
  };
  char key[400];
  if (is(e, "outcome") || is(e, "intent") || is(e, "waited") || is(e, "within"))
    return e->path == NULL || flag(e, "abandoned") || addeffect(r, e);
  for (const char *const *k = said; *k != NULL; k++)
    if (is(e, *k)) addspoken(r, e);
  if (is(e, "start")) snprintf(r->kind, sizeof r->kind, "%s", word(e, "kind"));
  if ((is(e, "start") || is(e, "edited")) && e->secret != NULL) {
    json_decref(r->how);
    r->how = json_loads(e->secret, 0, NULL);
    readwords(json_object_get(r->how, "words"));
  } else if (is(e, "answer") && e->path != NULL && e->secret != NULL) {
    json_t *list = json_object_get(r->answers, e->path);
    if (list == NULL) json_object_set_new(r->answers, e->path, list = json_array());
    json_array_append_new(list, json_stringn_nocheck(e->secret, e->n));
  } else if (is(e, "secret") && e->secret != NULL) {
    rb_redact_add(word(e, "name"), e->secret, e->n);
  } else if (is(e, "server")) {
    if (*word(e, "is") != '\0')
      json_object_set(r->servers, word(e, "target"), json_object_get(e->text, "is"));
  } else if (is(e, "skip") && e->path != NULL) {
    json_object_set(r->skipped, e->path, e->text);
  } else if (is(e, "result") || is(e, "resume")) {
    const json_t *kind = json_object_get(json_object_get(e->text, "error"), "kind");
    r->cameout = kind != NULL && strcmp(json_string_value(kind), "skipped") == 0;
  } else if (is(e, "approval")) {
    snprintf(key, sizeof key, "%s %s", word(e, "role"), word(e, "for"));
    json_object_set_new(r->approvals, key, json_true());
  }
  return 1;
}

int rb_replay_setrun (void *ud, const rb_TapeRun *run) {
  rb_Replay *r = ud;
  r->run = *run;
  r->run.runbook = copy(run->runbook);
  r->run.target = copy(run->target);
  r->run.mode = copy(run->mode);
  r->run.who = copy(run->who);
  r->run.host = copy(run->host);
  r->run.version = copy(run->version);
  r->run.params = copy(run->params);
  r->run.status = copy(run->status);
  return 1;
}

static void count (rb_Replay *r) {
  for (const rb_Taped *e = r->list; e < r->list + r->n; e++) {
    if (e->within) continue;
    r->left += e->seq != 0;
    r->indoubt += e->seq == 0;
  }
  r->over = r->left == 0;
}

/* A part of a run is worse than nothing: what is missing would be done twice. */
static int load (rb_Replay *r, rb_ReplaySource source, void *ud, Events *all, int redo,
                 rb_Problem *p) {
  if (source(ud, r, collect, all, p) != 0) return p->exit;
  for (int i = 0; i < all->n && !all->partial; i++)
    if (is(&all->list[i], "resume"))
      dropped(r, all, json_object_get(all->list[i].text, "again"));
  if (redo && !all->partial) dropend(r, all);
  for (int i = 0; i < all->n && !all->partial; i++)
    if (!all->list[i].dropped) all->partial = !addevent(r, &all->list[i]);
  if (all->partial)
    return rb_problem(p, RB_USAGE, "tape", "run %s cannot be read whole: not enough memory, "
                      "or an event that another version wrote", r->run.id);
  r->last = all->n > 0 ? all->list[all->n - 1].seq : 0;
  count(r);
  return 0;
}

rb_Replay *rb_replay_make (rb_ReplaySource source, void *ud, int redo, rb_Problem *p) {
  Events all = {0};
  rb_Replay *r = calloc(1, sizeof *r);
  if (r == NULL) {
    rb_problem(p, RB_USAGE, "memory", "not enough memory");
    return NULL;
  }
  *r = (rb_Replay){.index = json_object(), .spoken = json_object(),
                   .answers = json_object(), .approvals = json_object(),
                   .servers = json_object(), .dropped = json_array(), .reopened = json_object(),
                   .skipped = json_object(),
                   .policy = "ask"};
  int bad = load(r, source, ud, &all, redo, p);
  forget(&all);
  if (!bad) return r;
  rb_replay_free(r);
  return NULL;
}

/* the tape, and which of its runs */
typedef struct Which { rb_Tape *tape; const char *run; } Which;

static int fromtape (void *ud, rb_Replay *r, int (*event) (void *ud, const rb_TapeRow *row),
                     void *events, rb_Problem *p) {
  const Which *w = ud;
  return rb_tape_run(w->tape, w->run, rb_replay_setrun, r, p) != 0
         || rb_tape_events(w->tape, w->run, event, events, p) != 0 ? p->exit : 0;
}

rb_Replay *rb_replay_load (rb_Tape *tape, const char *run, int redo, rb_Problem *p) {
  Which w = {tape, run};
  return rb_replay_make(fromtape, &w, redo, p);
}

void rb_replay_free (rb_Replay *r) {
  if (r == NULL) return;
  for (rb_Taped *e = r->list; e < r->list + r->n; e++) {
    free(e->path); free(e->verb); free(e->summary); free(e->target);
    if (e->value != NULL) sodium_memzero(e->value, e->nvalue);
    if (e->intent != NULL) sodium_memzero(e->intent, e->nintent);
    free(e->value); free(e->intent);
  }
  free(r->list);
  free((char *)r->run.runbook); free((char *)r->run.target); free((char *)r->run.mode);
  free((char *)r->run.who); free((char *)r->run.host); free((char *)r->run.version);
  free((char *)r->run.params); free((char *)r->run.status);
  json_decref(r->index);
  json_decref(r->spoken);
  json_decref(r->answers);
  json_decref(r->approvals);
  json_decref(r->servers);
  json_decref(r->how);
  json_decref(r->dropped);
  json_decref(r->reopened);
  json_decref(r->skipped);
  if (r->exported != NULL) json_decref(r->exported->drawn);
  free(r->exported);
  free(r->livefrom);
  free(r);
}
