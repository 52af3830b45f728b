/*
** terminal.c - a run for a person: what it is, what happens, what to do next
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/show/terminal.h"

enum { BODY = 6 };  /* columns before what belongs to a step */

/* -- the banner -------------------------------------------------------------------- */

static const char *modewords (const rb_Report *r) {
  static const struct { const char *mode, *words; } all[] = {
    {"run", "run"}, {"dry-run", "dry run"}, {"apply", "apply"},
    {"undo", "undo"}, {"replay", "replay"}, {"drill", "drill"}, {"repl", "repl"}
  };
  if (r->resumed) return "run, resumed";
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    if (rb_same(r->mode, all[i].mode)) return all[i].words;
  return "run";
}

static int isdry (const rb_Report *r) { return rb_same(r->mode, "dry-run"); }

/* a list as "a, b", to b */
static void addlist (rb_Buffer *b, const json_t *list) {
  size_t i;
  json_t *v;
  json_array_foreach(list, i, v)
    rb_buffer_printf(b, "%s%s", i > 0 ? ", " : "",
                     json_string_value(v) != NULL ? json_string_value(v) : "?");
}

static void layer (rb_Buffer *b, const char *name) {
  rb_buffer_printf(b, "%s%s", b->n > 0 ? ", " : "", name);
}

static void layers (rb_Show *s, const rb_Report *r) {
  rb_Buffer held = {0}, missing = {0};
  if (r->script) layer(&held, "script");
  if (r->gate) layer(&held, "gate");
  if (json_array_size(r->protocol) > 0) {
    layer(&held, "protocol (");
    addlist(&held, r->protocol);
    rb_buffer_puts(&held, ")");
  }
  if (r->kernel) layer(&held, "kernel");
  if (r->protocolwhy != NULL) rb_buffer_puts(&missing, r->protocolwhy);
  if (!r->kernel && r->kernelwhy != NULL)
    rb_buffer_printf(&missing, "%skernel: %s", missing.n > 0 ? "; " : "",
                     r->kernelwhy);
  if (held.n > 0) rb_style_row(s, "read-only", PLAIN, held.s);
  if (missing.n > 0) rb_style_row(s, "but not", YELLOW, missing.s);
  if (held.failed || missing.failed) s->out.failed = 1;
  rb_buffer_free(&held);
  rb_buffer_free(&missing);
}

static void params (rb_Show *s, const rb_Report *r) {
  json_t *sorted = rb_json_sorted(r->params);
  const char *name;
  json_t *value;
  int some = 0;
  if (json_object_size(sorted) > 0) {
    rb_style_addf(&s->lead, DIM, "  %-10s ", "with");
    json_object_foreach(sorted, name, value) {
      rb_style_addf(&s->text, PLAIN, "%s%s = ", some++ > 0 ? ", " : "", name);
      rb_terminal_value(&s->text, PLAIN, value,
                        json_is_integer(value) ||
                        json_string_length(value) == 0);
    }
    rb_style_line(s);
  }
  json_decref(sorted);
}

void rb_terminal_banner (rb_Show *s, const rb_Report *r) {
  int production = rb_same(r->kind, "production") && !isdry(r);
  rb_style_add(&s->text, BOLD, r->title != NULL ? r->title
                               : r->runbook != NULL ? r->runbook : "");
  rb_style_addf(&s->text, DIM, "%s%s on ", rb_style_dot(s), modewords(r));
  rb_style_add(&s->text, production ? BOLDRED : PLAIN,
               r->target != NULL ? r->target : "?");
  rb_style_addf(&s->text, production ? BOLDRED : DIM, " (%s)",
                r->kind != NULL ? r->kind : "?");
  rb_style_line(s);
  if (r->use_when != NULL) rb_style_say(s, 0, PLAIN, r->use_when);
  rb_buffer_puts(&s->out, "\n");
  if (r->impact != NULL) rb_style_row(s, "impact", PLAIN, r->impact);
  if (r->severity != NULL) rb_style_row(s, "severity", PLAIN, r->severity);
  if (r->approve != NULL && *r->approve != '\0')
    rb_style_row(s, "approval", PLAIN, r->approve);
  params(s, r);
  if (isdry(r)) layers(s, r);
  if (r->lockscope != NULL) rb_style_row(s, "lock", PLAIN, r->lockscope);
  if ((!isdry(r) || r->recorded != NULL) && r->run[0] != '\0')
    rb_style_row(s, "run", DIM, r->run);
  if (r->recorded != NULL) rb_terminal_recorded(s, r);
  rb_buffer_puts(&s->out, "\n");
}

/* -- cases and steps -------------------------------------------------------------------- */

void rb_terminal_case (rb_Show *s, const rb_Report *r, const rb_CaseRow *c) {
  int taken = c->taken == 1;
  (void)r;
  if (s->laststep > 0) rb_buffer_puts(&s->out, "\n");
  rb_style_addf(&s->lead, PLAIN, "  ");
  rb_style_addf(&s->text, taken ? BOLD : DIM, "case %s", c->id);
  if (c->title != NULL)
    rb_style_addf(&s->text, taken ? PLAIN : DIM, "%s%s", rb_style_dot(s),
                  c->title);
  if (!taken)
    rb_style_addf(&s->text, DIM, "%s%s", rb_style_dot(s),
                  c->taken == 0 ? "not taken" : "cannot be decided now");
  if (c->evidence != NULL)
    rb_style_addf(&s->text, DIM, "%s%s", rb_style_dot(s), c->evidence);
  rb_style_line(s);
}

/* words for people, in the colour that they deserve */
static const struct Status { const char *status, *words; Style style; }
statuses[] = {
  {"done", "done", GREEN}, {"planned", "would do", YELLOW},
  {"unchanged", "nothing to do", DIM}, {"refused", "would refuse", RED},
  {"deferred", "cannot predict", YELLOW}, {"failed", "failed", BOLDRED},
  {"skipped", "skipped", DIM}, {"unselected", "not selected", DIM},
  {"manual", "for a person", CYAN}, {"warned", "warned", YELLOW},
  {"in-doubt", "in doubt", BOLDRED}
};

static const struct Status *statusof (const char *status) {
  static const struct Status none = {"", "", PLAIN};
  for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
    if (rb_same(status, statuses[i].status)) return &statuses[i];
  return &none;
}

/* skipped or not selected: one dim line says it all */
static int quiet (const rb_StepRow *step) {
  return (rb_same(step->status, "skipped") && !step->left)
         || rb_same(step->status, "unselected");
}

/* ended by the person at the keyboard, not by what it did */
static int interrupted (const rb_StepRow *step) {
  return rb_same(step->status, "failed") && rb_same(step->reason, "interrupted");
}

/* Did the run stop here for a person? What ended it was no failure. */
static int stopped (const rb_Report *r, const rb_StepRow *step) {
  return rb_same(step->status, "failed") &&
         (r->error.exit == RB_STOPPED || r->error.exit == RB_INTERRUPTED) &&
         rb_same(r->errorstep, step->id);
}

/* Did a person say that it is done? */
static int answered (const rb_Report *r, const rb_StepRow *step) {
  return !isdry(r) && rb_same(step->status, "manual") && step->reason == NULL;
}

static const struct Status *shown (const rb_Report *r, const rb_StepRow *step) {
  static const struct Status
    ended = {"failed", "interrupted", BOLDYELLOW},
    waits = {"failed", "stopped", BOLDYELLOW},
    left = {"skipped", "skipped", BOLDYELLOW},
    byhand = {"manual", "done by hand", GREEN},
    cut = {"", "did not end", BOLDYELLOW};
  return step->status == NULL ? &cut : interrupted(step) ? &ended : stopped(r, step) ? &waits
       : step->left ? &left : answered(r, step) ? &byhand : statusof(step->status);
}

const char *rb_terminal_status (const rb_Report *r, const rb_StepRow *step) {
  return shown(r, step)->words;
}

static void stepline (rb_Show *s, const rb_Report *r, const rb_StepRow *step) {
  const struct Status *status = shown(r, step);
  char time[32];
  rb_style_addf(&s->lead, DIM, "%3d  ", step->n);
  rb_style_add(&s->text, quiet(step) ? DIM : BOLD,
               step->title != NULL ? step->title : "");
  if (quiet(step) && step->reason != NULL)
    rb_style_addf(&s->text, DIM, "%s%s", rb_style_dot(s), step->reason);
  rb_style_add(&s->right, status->style, status->words);
  if (step->ms >= 1 && (rb_same(step->status, "done") ||
      rb_same(step->status, "failed") || rb_same(step->status, "warned") ||
      step->ms >= 1000))
    rb_style_addf(&s->right, DIM, "  %s", rb_style_duration(time, step->ms));
  rb_style_line(s);
}

/* Is the step's reason that of its verification, since all else went well? */
static int aboutverify (const rb_StepRow *step) {
  return step->reason != NULL && rb_same(step->verify, "deferred") &&
         (rb_same(step->status, "planned") || rb_same(step->status, "done") ||
          rb_same(step->status, "unchanged"));
}

/* the steps that its verification rests on, else the step itself */
static void verifywaits (rb_Show *s, const rb_Report *r,
                         const rb_StepRow *step) {
  char steps[128];
  int known = 0;
  for (const rb_EffectRow *e = step->effects; e != NULL && !known; e = e->next)
    if (e->path != NULL && strstr(e->path, "/verify/") != NULL)
      known = rb_terminal_assumed(r, e, steps, sizeof steps);
  int named = known && step->reason != NULL &&
              strncmp(step->reason, "needs the outcome of", 20) == 0;
  if (!known) snprintf(steps, sizeof steps, "%d", step->n);
  rb_style_addf(&s->lead, PLAIN, "%*s", BODY, "");
  rb_style_addf(&s->text, YELLOW, "verify waits for the outcome of %s %s",
                strchr(steps, ',') != NULL ? "steps" : "step", steps);
  if (aboutverify(step) && !named)
    rb_style_addf(&s->text, DIM, " (%s)", step->reason);
  rb_style_line(s);
}

static void verify (rb_Show *s, const rb_Report *r, const rb_StepRow *step) {
  if (rb_same(step->verify, "deferred")) verifywaits(s, r, step);
  else if (rb_same(step->verify, "failed") && interrupted(step))
    rb_style_say(s, BODY, YELLOW, "verify did not come to its end");
  else if (rb_same(step->verify, "failed"))
    rb_style_say(s, BODY, RED, isdry(r) ? "verify fails" : "verify failed");
  else if (rb_same(step->verify, "passed") && isdry(r))
    rb_style_say(s, BODY, DIM, rb_same(step->status, "planned")
                                   ? "verify passes on what is planned"
                                   : "verify passes");
  else if (rb_same(step->verify, "passed"))
    rb_style_say(s, BODY, DIM, "verified");
}

/* why it is as it is, unless a line above has said it already */
static void reason (rb_Show *s, const rb_Report *r, const rb_StepRow *step) {
  const struct Status *status = shown(r, step);
  if (step->reason == NULL || quiet(step) || aboutverify(step) ||
      interrupted(step)) return;
  if (step->manual != NULL && strstr(step->reason, step->manual) != NULL) return;
  Style style = status->style == BOLDRED ? RED
              : status->style == BOLDYELLOW ? YELLOW
              : status->style == GREEN ? DIM : status->style;
  rb_style_say(s, BODY, style, step->reason);
}

static void person (rb_Show *s, const rb_Report *r, const rb_StepRow *step) {
  if (step->approve != NULL && *step->approve != '\0' && isdry(r)) {
    rb_style_addf(&s->lead, PLAIN, "%*s", BODY, "");
    rb_style_addf(&s->text, CYAN, "needs the approval of: %s", step->approve);
    rb_style_line(s);
  }
  if (step->manual == NULL || answered(r, step)) return;
  rb_style_addf(&s->lead, CYAN, "%*sto do  ", BODY, "");
  rb_style_add(&s->text, PLAIN, step->manual);
  rb_style_line(s);
}

void rb_terminal_step (rb_Show *s, const rb_Report *r, const rb_StepRow *step) {
  s->laststep = step->n;
  stepline(s, r, step);
  if (s->notes.n > 0) rb_buffer_add(&s->out, s->notes.s, s->notes.n);
  rb_buffer_clear(&s->notes);
  if (quiet(step)) return;
  person(s, r, step);
  rb_terminal_effects(s, r, step);
  verify(s, r, step);
  reason(s, r, step);
}
