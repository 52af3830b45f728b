/*
** recordpage.c - a run of the tape as a page: for a ticket, or for a browser
**
** What changed something is all there, up to MOST of a step; what only looked
** is counted, unless it failed. The JSON has all of it.
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/show/recordpage.h"
#include "vm/show/terminal.h"

enum { MOST = 50 };

typedef struct Page {
  const rb_Report *r;
  const rb_RecordStyle *style;
  rb_Buffer *b;
} Page;

/* a buffer's text, never NULL */
static const char *str (const rb_Buffer *b) { return b->s != NULL ? b->s : ""; }

static const char *of (const json_t *o, const char *key) {
  const char *s = json_string_value(json_object_get(o, key));
  return s != NULL ? s : "";
}

static void addvalue (rb_Buffer *b, const json_t *v) {
  char *s = json_is_string(v) || v == NULL ? NULL
          : json_dumps(v, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
  rb_buffer_puts(b, s != NULL ? s : v != NULL ? json_string_value(v) : "");
  free(s);
}

/* -- the header ---------------------------------------------------------------- */

static void fact (Page *p, const char *label, const char *text) {
  const char *const cells[] = {label, text, NULL};
  if (text != NULL && *text != '\0') p->style->row(p->b, cells);
}

static void factof (Page *p, const char *label,
                    void (*add) (const rb_Report *r, rb_Buffer *b)) {
  rb_Buffer b = {0};
  add(p->r, &b);
  fact(p, label, str(&b));
  rb_buffer_free(&b);
}

static void params (const rb_Report *r, rb_Buffer *b) {
  const char *name;
  json_t *value, *sorted = rb_json_sorted(r->params);
  json_object_foreach(sorted, name, value) {
    rb_buffer_printf(b, "%s%s = ", b->n > 0 ? ", " : "", name);
    addvalue(b, value);
  }
  json_decref(sorted);
}

static void place (const rb_Report *r, rb_Buffer *b) {
  rb_buffer_printf(b, "%s (%s)", r->target != NULL ? r->target : "?",
                   r->kind != NULL ? r->kind : "?");
}

static void header (Page *p) {
  static const char *const heads[] = {"", "", NULL};
  const rb_Report *r = p->r;
  p->style->title(p->b, r->title != NULL ? r->title : r->runbook);
  p->style->table(p->b, heads);
  fact(p, "run", r->run);
  fact(p, "runbook", r->runbook);
  fact(p, "mode", rb_same(r->mode, "dry-run") ? "dry run: nothing was changed"
                                              : r->mode);
  factof(p, "target", place);
  factof(p, "by", rb_record_who);
  factof(p, "started", rb_record_when);
  factof(p, "resumed", rb_record_resumed);
  factof(p, "ended", rb_record_end);
  factof(p, "with", params);
  fact(p, "impact", r->impact);
  fact(p, "severity", r->severity);
  for (int i = 0; i < r->ncases; i++)
    if (r->cases[i].taken == 1) {
      rb_Buffer b = {0};
      rb_buffer_printf(&b, "%s%s%s", r->cases[i].id, r->cases[i].evidence != NULL ?
                       ": " : "", r->cases[i].evidence != NULL ? r->cases[i].evidence
                       : "");
      fact(p, "case", str(&b));
      rb_buffer_free(&b);
    }
  p->style->table(p->b, NULL);
}

static void failure (Page *p) {
  const rb_Report *r = p->r;
  rb_Buffer b = {0};
  if (r->error.message[0] == '\0') return;
  p->style->section(p->b, "What went wrong");
  if (r->errorstep != NULL) rb_buffer_printf(&b, "At step %s: ", r->errorstep);
  rb_buffer_puts(&b, r->error.message);
  p->style->line(p->b, str(&b));
  if (rb_same(r->certainty, "unknown") || r->exit == RB_INDOUBT)
    p->style->line(p->b, "It may or may not have happened.");
  else if (rb_same(r->certainty, "partly"))
    p->style->line(p->b, "It failed; what it did by then stayed.");
  rb_buffer_free(&b);
}

/* -- steps ---------------------------------------------------------------------- */

static const char *difference (const rb_EffectRow *e) {
  const char *d = json_string_value(json_object_get(e->after, "diff"));
  return d != NULL ? d : json_string_value(json_object_get(e->before, "diff"));
}

static void image (Page *p, const char *label, const json_t *image_) {
  rb_Buffer b = {0};
  const json_t *v = json_is_object(image_) ? json_object_get(image_, "value") : image_;
  const json_t *ttl = json_object_get(image_, "ttl");
  char time[32];
  if (v == NULL || json_is_null(v)) rb_buffer_puts(&b, "(absent)");
  else addvalue(&b, v);
  if (json_is_string(ttl)) rb_buffer_printf(&b, ", expires in %s", of(image_, "ttl"));
  else if (json_is_number(ttl) && json_number_value(ttl) >= 0)
    rb_buffer_printf(&b, ", expires in %s",
                     rb_style_duration(time, json_number_value(ttl) * 1000));
  p->style->detail(p->b, label, str(&b));
  rb_buffer_free(&b);
}

static int present (const json_t *j) { return j != NULL && !json_is_null(j); }

static void effect (Page *p, const rb_EffectRow *e) {
  const char *diff = difference(e);
  const char *state = e->verdict != NULL ? e->verdict : e->unchanged ? "nothing to do"
                    : e->outcome != NULL ? e->outcome : "";
  char provided[128];
  rb_Buffer b = {0};
  if (e->target != NULL)
    rb_buffer_printf(&b, "%.*s: ", (int)strcspn(e->target, "."), e->target);
  rb_buffer_puts(&b, e->summary != NULL ? e->summary : "");
  p->style->effect(p->b, e->verb != NULL ? e->verb : e->kind, str(&b), state);
  rb_buffer_free(&b);
  if (e->reason != NULL) p->style->detail(p->b, "reason", e->reason);
  if (rb_same(e->kind, "probe")) return;
  if (rb_terminal_provided(e, provided, sizeof provided) != NULL)
    p->style->detail(p->b, "comes", provided);
  if (diff != NULL) p->style->diff(p->b, diff);
  else if (rb_terminal_isrequest(e->after)) image(p, "sends", e->after);
  else if (present(e->before) || present(e->after)) {
    if (present(e->before) || rb_terminal_isthing(e)) image(p, "before", e->before);
    if (present(e->after) || rb_terminal_isthing(e)) image(p, "after", e->after);
  }
  if (e->undo != NULL && !rb_same(e->undo, "automatic"))
    p->style->detail(p->b, strncmp(e->undo, "irreversible", 12) == 0 ? "note" : "undo",
                     e->undo);
}

static void effects (Page *p, const rb_StepRow *step) {
  rb_Buffer b = {0};
  int looked = 0, shown = 0, left = 0;
  for (const rb_EffectRow *e = step->effects; e != NULL; e = e->next) {
    int bad = rb_same(e->outcome, "failed") || rb_same(e->outcome, "in-doubt");
    if (rb_same(e->kind, "probe") && !bad) continue;
    if (shown < MOST || bad) effect(p, e);
    else left++;
    shown++;
  }
  looked = step->neffects - shown;
  if (looked > 0) {
    rb_buffer_printf(&b, looked == 1 ? "once" : "%d times", looked);
    p->style->effect(p->b, "looked", str(&b), "");
  }
  if (left > 0) {
    rb_buffer_clear(&b);
    rb_buffer_printf(&b, "%d more: runbook report %s --format json", left, p->r->run);
    p->style->effect(p->b, "and", str(&b), "");
  }
  rb_buffer_free(&b);
}

static void step (Page *p, const rb_StepRow *s) {
  rb_Buffer b = {0};
  char time[32];
  rb_buffer_puts(&b, rb_terminal_status(p->r, s));
  if (s->ms >= 1) rb_buffer_printf(&b, ", %s", rb_style_duration(time, s->ms));
  if (rb_same(s->verify, "passed")) rb_buffer_puts(&b, ", verified");
  else if (s->verify != NULL) rb_buffer_printf(&b, ", verification %s", s->verify);
  p->style->step(p->b, s->n, s->title != NULL ? s->title : s->id, str(&b));
  rb_buffer_free(&b);
  if (s->manual != NULL) p->style->effect(p->b, "by hand", s->manual, "");
  effects(p, s);
  if (s->reason != NULL) p->style->effect(p->b, "reason", s->reason, "");
  p->style->after(p->b);
}

/* was it to be run, had the run not stopped before it? */
static int missed (const rb_Report *r, const rb_StepRow *s) {
  if (s->ran || rb_same(s->status, "unselected")) return 0;
  for (int i = 0; i < r->ncases; i++)
    if (rb_same(r->cases[i].id, s->incase)) return r->cases[i].taken == 1;
  return 1;
}

static void notdone (Page *p) {
  rb_Buffer b = {0};
  for (const rb_StepRow *s = p->r->steps; s < p->r->steps + p->r->nsteps; s++)
    if (missed(p->r, s))
      rb_buffer_printf(&b, "%s%d %s", b.n > 0 ? ", " : "Not done: ", s->n,
                       s->title != NULL ? s->title : s->id);
  if (b.n > 0) p->style->line(p->b, str(&b));
  rb_buffer_free(&b);
}

static void steps (Page *p) {
  p->style->section(p->b, "Steps");
  for (int i = 0; i < p->r->nsteps; i++)
    if (p->r->steps[i].ran) step(p, &p->r->steps[i]);
  notdone(p);
}

/* -- lists --------------------------------------------------------------------------- */

static void findings (Page *p) {
  static const char *const heads[] = {"finding", "value", "", NULL};
  if (p->r->nfindings == 0) return;
  p->style->section(p->b, "Findings");
  p->style->table(p->b, heads);
  for (int i = 0; i < p->r->nfindings; i++) {
    const rb_Finding *f = &p->r->findings[i];
    rb_Buffer b = {0};
    addvalue(&b, f->value);
    const char *const cells[] = {f->name != NULL ? f->name : "", str(&b),
                                 f->status != NULL ? f->status : "", NULL};
    p->style->row(p->b, cells);
    rb_buffer_free(&b);
  }
  p->style->table(p->b, NULL);
}

/* rows of what the tape keeps beside the report: 'name' and 'value' are keys */
static void list (Page *p, const char *title, const json_t *list_, const char *name,
                  const char *value) {
  const char *const heads[] = {"", "", "at (UTC)", NULL};
  size_t i;
  json_t *one;
  if (json_array_size(list_) == 0) return;
  p->style->section(p->b, title);
  p->style->table(p->b, heads);
  json_array_foreach((json_t *)list_, i, one) {
    rb_Buffer b = {0};
    char time[9];
    const char *at = of(one, "at");
    snprintf(time, sizeof time, "%.8s", strlen(at) > 19 ? at + 11 : at);
    if (value != NULL) addvalue(&b, json_object_get(one, value));
    else rb_record_approval(p->r, one, &b);
    const char *const cells[] = {of(one, name), str(&b), time, NULL};
    p->style->row(p->b, cells);
    rb_buffer_free(&b);
  }
  p->style->table(p->b, NULL);
}

void rb_record_walk (const rb_Report *r, const rb_RecordStyle *style, rb_Buffer *b) {
  Page p = {r, style, b};
  const rb_Recorded *rec = r->recorded;
  header(&p);
  failure(&p);
  findings(&p);
  steps(&p);
  list(&p, "Evidence", rec->evidence, "name", "value");
  list(&p, "Approved", rec->approvals, "role", NULL);
  list(&p, "Answered", rec->answers, "id", "text");
  list(&p, "Notes", rec->notes, "step", "text");
  style->end(b);
}
