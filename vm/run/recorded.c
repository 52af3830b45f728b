/*
** recorded.c - a run read back from the tape, as the report that it had
**
** The tape's texts are redacted already, and stay as they are. What a report
** lists of a run is what the events say: an intent without an outcome is in
** doubt, a step without an end has no status.
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/buffer.h"
#include "vm/run/recorded.h"
#include "vm/run/reread.h"
#include "vm/run/run.h"
#include "vm/run/shape.h"

typedef struct Intent {
  char *path, *verb;
  json_t *text;
  struct Intent *next;
} Intent;

typedef struct Reading {
  rb_Report *rep;
  rb_StepRow *step;    /* begun last */
  Intent *intents;     /* without an outcome so far */
  int64_t started, last;
  int found;
} Reading;

/* -- texts -------------------------------------------------------------------- */

/* Bytes from outside that are no UTF-8 are written as "\xff", as `--json` does. */
static json_t *repaired (const char *s) {
  rb_Buffer b = {0};
  for (size_t n = strlen(s), good; n > 0; s += good, n -= good) {
    good = rb_utf8(s, n);
    rb_buffer_add(&b, s, good);
    if (good == n) break;
    rb_buffer_printf(&b, "\\\\x%02x", (unsigned char)s[good++]);
  }
  json_t *o = b.s != NULL ? json_loads(b.s, 0, NULL) : NULL;
  rb_buffer_free(&b);
  return o;
}

static json_t *parse (const char *s) {
  json_t *o = s != NULL ? json_loads(s, 0, NULL) : NULL;
  if (o == NULL && s != NULL) o = repaired(s);
  return o != NULL ? o : json_object();
}

/* -- the outline -------------------------------------------------------------- */

static void setsteps (rb_Report *rep, const json_t *steps) {
  size_t i;
  json_t *s;
  rep->steps = calloc(json_array_size(steps) + 1, sizeof *rep->steps);
  if (rep->steps == NULL) return;
  json_array_foreach((json_t *)steps, i, s) {
    rb_StepRow *row = &rep->steps[rep->nsteps++];
    row->n = rep->nsteps;
    row->id = rb_reread_copy(s, "id");
    row->title = rb_reread_copy(s, "title");
    row->incase = rb_reread_copy(s, "case");
    row->approve = rb_reread_copy(s, "approve");
  }
}

static void setcases (rb_Report *rep, const json_t *cases) {
  size_t i;
  json_t *c;
  rep->cases = calloc(json_array_size(cases) + 1, sizeof *rep->cases);
  if (rep->cases == NULL) return;
  json_array_foreach((json_t *)cases, i, c) {
    rb_CaseRow *row = &rep->cases[rep->ncases++];
    row->id = rb_reread_copy(c, "id");
    row->title = rb_reread_copy(c, "title");
    row->taken = -1;
  }
}

static void start (Reading *r, const json_t *o) {
  rb_Report *rep = r->rep;
  const json_t *page = json_object_get(o, "outline");
  if (rep->steps != NULL) return;
  rep->kind = rb_reread_copy(o, "kind");
  rep->title = rb_reread_copy(page, "title");
  rep->use_when = rb_reread_copy(page, "use_when");
  rep->impact = rb_reread_copy(page, "impact");
  rep->severity = rb_reread_copy(page, "severity");
  rep->approve = rb_reread_copy(page, "approve");
  setsteps(rep, json_object_get(page, "steps"));
  setcases(rep, json_object_get(page, "cases"));
}

/* -- effects ---------------------------------------------------------------------- */

/* the step that the path of an effect or of a note begins with, or NULL */
static rb_StepRow *within (const Reading *r, const char *path) {
  size_t n = r->step != NULL && r->step->id != NULL ? strlen(r->step->id) : 0;
  int is = n > 0 && path != NULL && strncmp(path, r->step->id, n) == 0
           && (path[n] == '/' || path[n] == '\0');
  return is ? r->step : NULL;
}

static void intent (Reading *r, const rb_TapeEvent *e, json_t *o) {
  Intent *new = calloc(1, sizeof *new);
  if (new == NULL) return;
  new->path = e->path != NULL ? strdup(e->path) : NULL;
  new->verb = e->verb != NULL ? strdup(e->verb) : NULL;
  new->text = json_incref(o);
  Intent **last = &r->intents;
  while (*last != NULL) last = &(*last)->next;
  *last = new;
}

static void forget (Intent *i) {
  free(i->path);
  free(i->verb);
  json_decref(i->text);
  free(i);
}

static void outcome (Reading *r, const rb_TapeEvent *e, const json_t *o) {
  rb_StepRow *step = within(r, e->path);
  int n = rb_reread_intof(o, "n", 0);
  for (Intent **i = &r->intents; *i != NULL; i = &(*i)->next)
    if ((*i)->path != NULL && e->path != NULL && strcmp((*i)->path, e->path) == 0) {
      Intent *old = *i;
      *i = old->next;
      forget(old);
      break;
    }
  if (n >= r->rep->next) r->rep->next = n + 1;
  if (step == NULL) return;
  step->neffects++;
  if (n == 0) return;  /* one of thousands of probes: counted, not kept */
  rb_EffectRow *row = rb_reread_effect(step, e->path, e->verb, o);
  int look = row != NULL && row->kind != NULL && strcmp(row->kind, "probe") == 0;
  if (row != NULL && !look && strcmp(r->rep->mode, "dry-run") == 0) row->outcome = NULL;
}

/* what was begun, and whose end is not on the tape */
static void indoubt (Reading *r) {
  while (r->intents != NULL) {
    Intent *i = r->intents;
    rb_StepRow *step = within(r, i->path);
    rb_EffectRow *row = step != NULL ? rb_reread_effect(step, i->path, i->verb, i->text) : NULL;
    if (row != NULL) {
      row->n = r->rep->next++;
      row->outcome = "in-doubt";
      row->reason = strdup("its outcome is not on the tape");
    }
    r->intents = i->next;
    forget(i);
  }
}

/* -- steps and the end ---------------------------------------------------------- */

static rb_StepRow *numbered (rb_Report *rep, const json_t *o) {
  int n = rb_reread_intof(o, "n", 0);
  return n >= 1 && n <= rep->nsteps ? &rep->steps[n - 1] : NULL;
}

static void retext (char **at, const json_t *o, const char *key) {
  free(*at);
  *at = rb_reread_copy(o, key);
}

/* the steps of a session at the prompt come one by one */
static rb_StepRow *another (rb_Report *rep, const json_t *o) {
  if (rep->mode == NULL || strcmp(rep->mode, "repl") != 0 || rep->steps == NULL
      || rb_reread_intof(o, "n", 0) != rep->nsteps + 1) return NULL;
  rb_StepRow *rows = realloc(rep->steps, ((size_t)rep->nsteps + 2) * sizeof *rows);
  if (rows == NULL) return NULL;
  rep->steps = rows;
  rb_StepRow *row = &rows[rep->nsteps++];
  *row = (rb_StepRow){.n = rep->nsteps};
  char id[16];
  snprintf(id, sizeof id, "%d", row->n);
  row->id = strdup(id);
  return row;
}

static void begin (Reading *r, const json_t *o) {
  const char *id = rb_reread_textof(o, "case");
  rb_StepRow *row = numbered(r->rep, o);
  if (row == NULL) row = another(r->rep, o);
  for (int i = 0; id != NULL && i < r->rep->ncases; i++)
    if (strcmp(r->rep->cases[i].id, id) == 0) {
      r->rep->cases[i].taken = 1;
      retext(&r->rep->cases[i].evidence, o, "evidence");
    }
  if (id != NULL || row == NULL) return;
  r->step = row;
  row->ran = 1;
  row->status = NULL;        /* an earlier session had stopped before it */
  retext(&row->reason, NULL, "reason");
  json_decref(row->failures);  /* of an earlier session */
  row->failures = NULL;
  retext(&row->title, o, "title");
  retext(&row->manual, o, "manual");
}

static void ended (rb_Report *rep, const json_t *o) {
  rb_StepRow *row = numbered(rep, o);
  const char *why = rb_reread_textof(o, "irreversible");
  if (row == NULL) return;
  row->status = rb_reread_word(o, "status");
  if (json_object_get(o, "verify") != NULL) row->verify = rb_reread_word(o, "verify");
  retext(&row->reason, o, "reason");
  row->ms = json_number_value(json_object_get(o, "ms"));
  if (why != NULL) rb_report_irreversible(row, why, json_is_true(json_object_get(o, "stays")));
}

static void seterror (rb_Report *rep, const json_t *o) {
  rep->error = (rb_Problem){0};
  rep->certainty[0] = '\0';
  retext(&rep->errorstep, NULL, "step");
  if (!json_is_object(o)) return;
  rep->error.exit = rb_reread_intof(o, "exit", 0);
  rb_reread_put(rep->error.kind, sizeof rep->error.kind, o, "kind");
  rb_reread_put(rep->error.message, sizeof rep->error.message, o, "message");
  rb_reread_put(rep->error.file, sizeof rep->error.file, o, "file");
  rep->error.line = rb_reread_intof(o, "line", 0);
  rb_reread_put(rep->certainty, sizeof rep->certainty, o, "certainty");
  retext(&rep->errorstep, o, "step");
}

static void setlayers (rb_Report *rep, const json_t *o) {
  rep->script = rb_reread_intof(o, "script", 0);
  rep->gate = rb_reread_intof(o, "gate", 0);
  rep->kernel = rb_reread_intof(o, "kernel", 0);
  json_decref(rep->protocol);
  rep->protocol = rb_reread_valueof(o, "protocol");
  retext(&rep->protocolwhy, o, "protocolwhy");
  retext(&rep->kernelwhy, o, "kernelwhy");
}

static void result (Reading *r, const json_t *o) {
  rb_Report *rep = r->rep;
  size_t i;
  json_t *one;
  retext(&rep->digest, o, "digest");
  rep->ms = json_number_value(json_object_get(o, "ms"));
  setlayers(rep, json_object_get(o, "enforced"));
  retext(&rep->lockscope, o, "lock");
  json_array_foreach(json_object_get(o, "left"), i, one) ended(rep, one);
  json_array_foreach(json_object_get(o, "cases"), i, one) {
    if ((int)i >= rep->ncases) break;
    rep->cases[i].taken = rb_reread_intof(one, "taken", -1);
    retext(&rep->cases[i].evidence, one, "evidence");
  }
  seterror(rep, json_object_get(o, "error"));
  rep->recorded->whole = 1;
}

/* -- what was said ----------------------------------------------------------------- */

/* {at, step, ...what the event says} */
static void said (const Reading *r, json_t *list, const rb_TapeEvent *e, json_t *o) {
  char at[40];
  const rb_StepRow *step = within(r, e->path);
  rb_report_stamp(e->at, at, sizeof at);
  json_t *one = json_pack("{s:s,s:s?}", "at", at, "step",
                          step != NULL ? step->id : NULL);
  json_object_update(one, o);
  json_array_append_new(list, one);
}

/* somebody goes on with it: how it had ended is no longer how it ends */
static void resume (Reading *r, const rb_TapeEvent *e, json_t *o) {
  json_object_del(o, "again");
  said(r, r->rep->recorded->resumed, e, o);
  json_object_del(json_array_get(r->rep->recorded->resumed,
                  json_array_size(r->rep->recorded->resumed) - 1), "step");
  seterror(r->rep, NULL);
  r->rep->recorded->whole = 0;
}

/* a step that failed, and without which somebody went on */
static void skip (Reading *r, const rb_TapeEvent *e, json_t *o) {
  for (rb_StepRow *row = r->rep->steps; row < r->rep->steps + r->rep->nsteps; row++)
    if (e->path != NULL && row->id != NULL && strcmp(row->id, e->path) == 0) {
      row->status = "skipped";
      row->left = 1;
      retext(&row->reason, o, "reason");
    }
  json_object_del(o, "reason");
  said(r, r->rep->recorded->notes, e, o);
}

/* of a pruned run that is all that is left */
static void pruned (Reading *r, const rb_TapeEvent *e, const json_t *o) {
  const char *by = rb_reread_textof(o, "by");
  json_t *note = json_pack("{s:o}", "text", json_sprintf("what it did was pruned by %s: %lld "
      "events", by != NULL ? by : "somebody",
      (long long)json_integer_value(json_object_get(o, "events"))));
  said(r, r->rep->recorded->notes, e, note);
  json_decref(note);
  r->rep->recorded->whole = r->rep->recorded->pruned = 1;
}

/* of a run:each */
static void failures (const Reading *r, const rb_TapeEvent *e, json_t *o) {
  rb_StepRow *step = within(r, e->path);
  if (step == NULL) return;
  if (step->failures == NULL) step->failures = json_array();
  json_array_append(step->failures, o);
}

/* Most probes of a long run have no row of their own, and no number in their text: to
** read each of a million as JSON takes longer than all else. */
static int onlycounted (const Reading *r, const rb_TapeEvent *e) {
  if (r->intents != NULL || strcmp(e->kind, "outcome") != 0 || e->text == NULL
      || strstr(e->text, "\"n\":") != NULL) return 0;
  rb_StepRow *step = within(r, e->path);
  if (step != NULL) step->neffects++;
  return 1;
}

static int event (void *ud, const rb_TapeRow *row) {
  Reading *r = ud;
  const rb_TapeEvent *e = &row->event;
  rb_Recorded *rec = r->rep->recorded;
  r->last = e->at;
  if (onlycounted(r, e)) return 0;
  json_t *o = parse(e->text);
  if (strcmp(e->kind, "start") == 0) start(r, o);
  else if (strcmp(e->kind, "step") == 0) begin(r, o);
  else if (strcmp(e->kind, "stepped") == 0) ended(r->rep, o);
  else if (strcmp(e->kind, "intent") == 0) intent(r, e, o);
  else if (strcmp(e->kind, "outcome") == 0) outcome(r, e, o);
  else if (strcmp(e->kind, "finding") == 0) 
    rb_report_addfinding(r->rep, e->path, rb_reread_copy(o, "name"),
                         rb_reread_valueof(o, "value"),
                         rb_reread_word(o, "status"));
  else if (strcmp(e->kind, "note") == 0) said(r, rec->notes, e, o);
  else if (strcmp(e->kind, "abandon") == 0) said(r, rec->notes, e, o);
  else if (strcmp(e->kind, "offered") == 0) said(r, rec->notes, e, o);
  else if (strcmp(e->kind, "remade") == 0) said(r, rec->notes, e, o);
  else if (strcmp(e->kind, "skip") == 0) skip(r, e, o);
  else if (strcmp(e->kind, "evidence") == 0) said(r, rec->evidence, e, o);
  else if (strcmp(e->kind, "failures") == 0) failures(r, e, o);
  else if (strcmp(e->kind, "approval") == 0) said(r, rec->approvals, e, o);
  else if (strcmp(e->kind, "answer") == 0) {
    json_object_set_new(o, "id", json_string(e->path != NULL ? e->path : ""));
    said(r, rec->answers, e, o);
  }
  else if (strcmp(e->kind, "result") == 0) result(r, o);
  else if (strcmp(e->kind, "resume") == 0) resume(r, e, o);
  else if (strcmp(e->kind, "pruned") == 0) pruned(r, e, o);
  json_decref(o);
  return 0;
}

/* -- the whole ----------------------------------------------------------------------- */

static char *same (const char *s) { return s != NULL ? strdup(s) : NULL; }

static int header (void *ud, const rb_TapeRun *run) {
  Reading *r = ud;
  rb_Report *rep = r->rep;
  rb_Recorded *rec = rep->recorded;
  json_t *words = json_pack("{s:s?,s:s?}", "mode", run->mode, "status", run->status);
  snprintf(rep->run, sizeof rep->run, "%s", run->id);
  rep->runbook = same(run->runbook);
  rep->target = same(run->target);
  rep->mode = rb_reread_word(words, "mode");
  rep->status = run->ended != 0 ? rb_reread_word(words, "status") : NULL;
  rep->exit = run->ended != 0 ? run->exit : -1;
  rep->params = parse(run->params);
  rb_report_stamp(run->started, rep->started, sizeof rep->started);
  rb_report_stamp(run->ended, rec->ended, sizeof rec->ended);
  rec->who = same(run->who);
  rec->host = same(run->host);
  rec->version = same(run->version);
  r->started = run->started;
  r->found = 1;
  json_decref(words);
  return 1;
}

/* The process was ended with nothing more to say than its exit code. */
static void cutshort (rb_Report *rep) {
  if (rep->recorded->whole || rep->status == NULL || rep->exit == RB_DONE) return;
  rb_problem(&rep->error, rep->exit, "ended", "the process was ended before it could "
             "write down why");
}

int rb_recorded (rb_Tape *t, const char *id, rb_Report *rep, rb_Problem *p) {
  Reading r = {.rep = rep};
  *rep = (rb_Report){.next = 1};
  rep->recorded = calloc(1, sizeof *rep->recorded);
  if (rep->recorded == NULL) return rb_problem(p, RB_USAGE, "memory", "not enough memory");
  *rep->recorded = (rb_Recorded){.evidence = json_array(), .notes = json_array(),
                                 .approvals = json_array(), .answers = json_array(),
                                 .resumed = json_array()};
  if (rb_tape_run(t, id, header, &r, p) != 0) return p->exit;
  if (!r.found)
    return rb_problem(p, RB_USAGE, "usage", "there is no run %s on the tape", id);
  int status = rb_tape_texts(t, id, event, &r, p);
  indoubt(&r);
  if (!rep->recorded->whole || json_array_size(rep->recorded->resumed) > 0)
    rep->ms = (double)(r.last - r.started);
  cutshort(rep);
  return status;
}
