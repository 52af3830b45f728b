/*
** ending.c - the end of a run: findings, totals, what failed, what to type next
*/

#include <stdio.h>
#include <string.h>

#include "vm/show/terminal.h"

enum { SHORTID = 8, NAMED = 4 };

typedef struct Totals {
  int changes, notices;    /* made or planned */
  int failed, doubt;       /* effects */
  int refused, deferred, manual, waiting;  /* steps */
} Totals;

static int isdry (const rb_Report *r) { return rb_same(r->mode, "dry-run"); }

static void addstep (Totals *t, const rb_StepRow *step) {
  t->refused += rb_same(step->status, "refused");
  t->deferred += rb_same(step->status, "deferred");
  t->manual += step->manual != NULL && !rb_same(step->status, "unselected") &&
               !rb_same(step->status, "skipped");
  t->waiting += rb_same(step->verify, "deferred") &&
                !rb_same(step->status, "deferred");
  for (const rb_EffectRow *e = step->effects; e != NULL; e = e->next) {
    int did = rb_same(e->verdict, "would do") ||
              (rb_same(e->outcome, "done") && !e->unchanged);
    t->changes += did && rb_same(e->kind, "remedy");
    t->notices += did && rb_same(e->kind, "notice");
    t->failed += rb_same(e->outcome, "failed") && !rb_same(e->kind, "probe");
    t->doubt += rb_same(e->outcome, "in-doubt");
  }
}

static Totals totals (const rb_Report *r) {
  Totals t = {0};
  for (int i = 0; i < r->nsteps; i++) addstep(&t, &r->steps[i]);
  return t;
}

/* the first step of a dry run at which a real one would end, or NULL */
static const rb_StepRow *obstacle (const rb_Report *r) {
  for (int i = 0; i < r->nsteps; i++)
    if (rb_same(r->steps[i].status, "failed") ||
        rb_same(r->steps[i].status, "refused")) return &r->steps[i];
  return NULL;
}

static const rb_StepRow *failedstep (const rb_Report *r) {
  for (int i = 0; i < r->nsteps && r->errorstep != NULL; i++)
    if (rb_same(r->steps[i].id, r->errorstep)) return &r->steps[i];
  return NULL;
}

/* -- findings ------------------------------------------------------------------------ */

static int shownwidth (const char *s) {
  return rb_style_width(s, strlen(s));
}

static void finding (rb_Show *s, const rb_Finding *f, int name) {
  Style style = rb_same(f->status, "bad") ? BOLDRED
              : rb_same(f->status, "warn") ? YELLOW
              : rb_same(f->status, "ok") ? GREEN : PLAIN;
  int own = shownwidth(f->name), text = style == BOLDRED ? RED : style;
  rb_style_addf(&s->lead, PLAIN, "    %s%*s  ", f->name,
                own < name ? name - own : 0, "");
  if (f->value != NULL)
    rb_terminal_value(&s->text, (Style)text, f->value, 0);
  if (f->status != NULL) rb_style_add(&s->right, style, f->status);
  rb_style_line(s);
}

static void findings (rb_Show *s, const rb_Report *r) {
  int name = 0, most = s->width / 3;
  if (r->nfindings == 0) return;
  for (int i = 0; i < r->nfindings; i++) {
    int n = shownwidth(r->findings[i].name);
    if (n > name && n <= most) name = n;
  }
  rb_buffer_puts(&s->out, "\n");
  rb_style_say(s, 2, BOLD, "findings");
  for (int i = 0; i < r->nfindings; i++) finding(s, &r->findings[i], name);
}

/* -- totals -------------------------------------------------------------------------- */

/* "make 2 changes and send 1 notice" */
static const char *would (char out[160], const Totals *t) {
  char changes[64], notices[64];
  rb_style_many(changes, t->changes, "change", "changes");
  rb_style_many(notices, t->notices, "notice", "notices");
  snprintf(out, 160, "%s%s%s%s%s", t->changes > 0 ? "make " : "",
           t->changes > 0 ? changes : "",
           t->changes > 0 && t->notices > 0 ? " and " : "",
           t->notices > 0 ? "send " : "", t->notices > 0 ? notices : "");
  return out;
}

/* "2 changes were made, 1 notice was sent" */
static const char *did (char out[160], const Totals *t) {
  char changes[64], notices[64];
  rb_style_many(changes, t->changes, "change was made", "changes were made");
  rb_style_many(notices, t->notices, "notice was sent", "notices were sent");
  snprintf(out, 160, "%s%s%s", t->changes > 0 ? changes : "",
           t->changes > 0 && t->notices > 0 ? ", " : "",
           t->notices > 0 ? notices : "");
  return out;
}

static void point (rb_Show *s, Style style, int n, const char *one,
                   const char *many) {
  char text[64];
  if (n > 0) rb_style_say(s, 2, style, rb_style_many(text, n, one, many));
}

/* what a real run would do before it came to the step "at", which the headline may
** have named */
static void wouldstop (rb_Show *s, const rb_Report *r, const rb_StepRow *at) {
  const char *what = rb_same(at->status, "refused") ? "be refused" : "fail";
  char text[160];
  Totals t = {0};
  for (const rb_StepRow *step = r->steps; step < at; step++) addstep(&t, step);
  rb_style_add(&s->text, PLAIN, " A real run would ");
  if (t.changes + t.notices > 0)
    rb_style_addf(&s->text, PLAIN, "%s and then ", would(text, &t));
  if (r->error.exit != 0 && failedstep(r) == at) rb_style_addf(&s->text, PLAIN, "%s there.", what);
  else rb_style_addf(&s->text, PLAIN, "%s at step %d.", what, at->n);
}

/* a plan that was kept is applied: what was reviewed is what is done */
static void todoit (rb_Show *s, const rb_Report *r) {
  if (r->kept == NULL)
    rb_style_say(s, 0, DIM, "To do it: the same command without --dry-run.");
  else {
    rb_style_addf(&s->text, DIM, "To do it: runbook apply %s", r->kept);
    rb_style_line(s);
  }
}

static void drytotals (rb_Show *s, const rb_Report *r, const Totals *t) {
  char text[160];
  const rb_StepRow *at = obstacle(r);
  int idle = t->changes + t->notices + t->deferred + t->refused + t->manual == 0;
  rb_style_add(&s->text, BOLD, "Nothing was changed.");
  if (at != NULL && r->exit != RB_INTERRUPTED) wouldstop(s, r, at);
  else if (r->error.exit == 0 && t->changes + t->notices > 0)
    rb_style_addf(&s->text, PLAIN, " A real run would %s.", would(text, t));
  else if (idle && r->exit == 0)
    rb_style_add(&s->text, PLAIN, " A real run would find nothing to do.");
  rb_style_line(s);
  point(s, RED, t->refused - (at != NULL && rb_same(at->status, "refused")),
        "later step would be refused, too", "later steps would be refused, too");
  point(s, YELLOW, t->deferred, "step cannot be predicted",
        "steps cannot be predicted");
  point(s, CYAN, t->manual, "step is for a person", "steps are for a person");
  if (r->before) rb_buffer_puts(&s->out, "\n");
  else if (r->recorded != NULL) return;
  else if (!idle && (r->exit == RB_DONE || r->exit == RB_DEFERRED))
    todoit(s, r);
}

static void donetotals (rb_Show *s, const rb_Report *r, const Totals *t) {
  char text[160], time[32];
  int replay = rb_same(r->mode, "replay");
  rb_style_add(&s->text, BOLDGREEN, "Done");
  rb_style_addf(&s->text, PLAIN, " in %s. ", rb_style_duration(time, r->ms));
  if (replay) rb_style_add(&s->text, PLAIN, "Replayed: nothing was performed.");
  else if (t->doubt > 0)  /* of a session, which goes on after it */
    rb_style_addf(&s->text, BOLDYELLOW, "%s in doubt: look before you do it again.",
                  rb_style_many(text, t->doubt, "change is", "changes are"));
  else if (t->changes + t->notices > 0)
    rb_style_addf(&s->text, PLAIN, "%s.", did(text, t));
  else rb_style_add(&s->text, PLAIN, "Nothing had to be changed.");
  rb_style_line(s);
}

/* -- what failed ------------------------------------------------------------------------ */

static void headline (rb_Show *s, const rb_Report *r, const rb_StepRow *at) {
  static const struct { const char *status, *word; Style style; } words[] = {
    {"failed", "Failed", BOLDRED}, {"stopped", "Stopped", BOLDYELLOW},
    {"interrupted", "Interrupted", BOLDYELLOW}, {"in-doubt", "In doubt", BOLDRED},
    {"abandoned", "Abandoned", BOLDYELLOW}
  };
  const char *word = r->status == NULL ? "Unfinished" : "Failed";
  Style style = r->status == NULL ? BOLDYELLOW : BOLDRED;
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (rb_same(r->status, words[i].status)) {
      word = words[i].word;
      style = words[i].style;
    }
  rb_style_add(&s->text, style, word);
  if (at != NULL)
    rb_style_addf(&s->text, BOLD, " at step %d%s%s", at->n, rb_style_dot(s),
                  at->title != NULL ? at->title : at->id);
  rb_style_line(s);
}

/* did the step's own lines say the same already? */
static int said (const rb_Report *r, const rb_StepRow *at) {
  return at != NULL && rb_same(at->reason, r->error.message);
}

static void place (rb_Show *s, const rb_Report *r) {
  char text[300];
  if (r->error.file[0] == '\0') return;
  if (r->error.line > 0)
    snprintf(text, sizeof text, "%s:%d", r->error.file, r->error.line);
  else snprintf(text, sizeof text, "%s", r->error.file);
  rb_style_row(s, "at", PLAIN, text);
}

/* Is what failed a change, and all that the step tried? */
static int failedchange (const rb_StepRow *at) {
  int failed = 0;
  for (const rb_EffectRow *e = at != NULL ? at->effects : NULL; e != NULL;
       e = e->next) {
    if (rb_same(e->kind, "probe")) continue;
    if (!rb_same(e->outcome, "failed")) return 0;
    failed = 1;
  }
  return failed;
}

/* how sure we are, and what had been done before */
static void certainty (rb_Show *s, const rb_Report *r, const Totals *t,
                       const rb_StepRow *at) {
  char text[160];
  if (rb_same(r->certainty, "unknown") || r->exit == RB_INDOUBT)
    rb_style_row(s, "certainty", BOLDYELLOW, "It may or may not have happened: "
                 "look before you repeat it.");
  else if (rb_same(r->certainty, "partly"))
    rb_style_row(s, "certainty", BOLDYELLOW, "It failed, and what it did by then stays: look, "
                 "before it is done again.");
  else if (rb_same(r->certainty, "not done") && t->changes + t->notices > 0 &&
           failedchange(at))
    rb_style_row(s, "certainty", PLAIN, "Nothing was changed by it.");
  if (t->changes + t->notices > 0) {
    rb_style_addf(&s->lead, DIM, "  %-10s ", "so far");
    rb_style_addf(&s->text, PLAIN, "%s%s.", did(text, t), t->changes > 0 ?
                  ", and not taken back" : "");
    rb_style_line(s);
  }
  else if (r->exit != RB_INDOUBT && !rb_same(r->certainty, "unknown")
           && !rb_same(r->certainty, "partly"))
    rb_style_row(s, "so far", PLAIN, "Nothing was changed.");
}

/* was its case not taken, or has nobody decided yet? */
static int elsewhere (const rb_Report *r, const rb_StepRow *step) {
  for (int i = 0; i < r->ncases && step->incase != NULL; i++)
    if (rb_same(r->cases[i].id, step->incase)) return r->cases[i].taken != 1;
  return 0;
}

/* the step at which a person stopped it, before its change was made */
static int stoppedat (rb_Show *s, const rb_Report *r, const rb_StepRow *step) {
  return r->exit == RB_INTERRUPTED && step->n == s->laststep && failedchange(step);
}

static int leftout (rb_Show *s, const rb_Report *r, const rb_StepRow *step) {
  if (stoppedat(s, r, step)) return 0;
  return step->n <= s->laststep || rb_same(step->status, "unselected") ||
         elsewhere(r, step);
}

/* before the first step that would be all of them: not worth a line */
static void notreached (rb_Show *s, const rb_Report *r) {
  int left = 0, some = 0;
  for (int i = 0; i < r->nsteps; i++) left += !leftout(s, r, &r->steps[i]);
  if (left == 0 || s->laststep == 0) return;
  rb_style_addf(&s->lead, DIM, "  %-10s ", "not done");
  for (int i = 0; i < r->nsteps && some < NAMED; i++) {
    const rb_StepRow *step = &r->steps[i];
    if (leftout(s, r, step)) continue;
    rb_style_addf(&s->text, DIM, "%s%d %s", some++ > 0 ? ", " : "", step->n,
                  step->title != NULL ? step->title : step->id);
  }
  if (left > some) rb_style_addf(&s->text, DIM, " and %d more", left - some);
  rb_style_line(s);
}

/* what failed, and without which a person went on */
static void skipped (rb_Show *s, const rb_Report *r) {
  int some = 0;
  for (const rb_StepRow *step = r->steps; step < r->steps + r->nsteps; step++) {
    if (!step->left) continue;
    if (some++ == 0) rb_style_addf(&s->lead, DIM, "  %-10s ", "skipped");
    rb_style_addf(&s->text, YELLOW, "%s%d %s", some > 1 ? ", " : "", step->n,
                  step->title != NULL ? step->title : step->id);
  }
  if (some == 0) return;
  rb_style_add(&s->text, YELLOW, some == 1 ? ": it failed, and the run went on without it"
               : ": they failed, and the run went on without them");
  rb_style_line(s);
}

/* "runbook resume 82558R6C" and what that does */
static void command (rb_Show *s, const rb_Report *r, const char *label,
                     const char *verb, const char *what) {
  size_t n = strlen(r->run);
  rb_style_addf(&s->lead, DIM, "  %-10s ", label);
  rb_style_addf(&s->text, BOLD, "runbook %s %s", verb,
                r->run + (n > SHORTID ? n - SHORTID : 0));
  rb_style_addf(&s->text, DIM, "  %s", what);
  rb_style_line(s);
}

/* what to type next; the message of a usage error, or of a plan, has said it */
static void whatnext (rb_Show *s, const rb_Report *r, const Totals *t) {
  const char *what = "goes on there, once the cause is mended";
  if (r->run[0] == '\0' || r->exit == RB_USAGE || r->exit == RB_LOCKED
      || r->recorded != NULL || rb_same(r->mode, "replay")
      || (rb_same(r->error.kind, "plan") && t->changes == 0)) return;
  if (rb_same(r->mode, "undo")) {
    rb_style_row(s, "next", PLAIN, "the same command goes on with what is left");
    return;
  }
  if (rb_same(r->error.kind, "skipped")) {
    command(s, r, "next", "undo", "takes back what was done (-n shows it first)");
    command(s, r, "or", "abandon", "leaves it as it is, and frees its lock");
    return;
  }
  if (r->exit == RB_INDOUBT) what = "looks at it, asks where it cannot tell, and goes on";
  else if (rb_same(r->error.kind, "manual"))
    what = "goes on there, once it is done: say so on a terminal or with --answers";
  else if (r->exit == RB_STOPPED || r->exit == RB_INTERRUPTED)
    what = "goes on there";
  command(s, r, "next", "resume", what);
  if ((t->changes > 0 || rb_same(r->certainty, "partly")) && r->exit != RB_INDOUBT)
    command(s, r, "or", "undo", "takes back what was done (-n shows it first)");
}

static void failure (rb_Show *s, const rb_Report *r, const Totals *t) {
  const rb_StepRow *at = failedstep(r);
  headline(s, r, at);
  if (r->error.message[0] != '\0' && !said(r, at))
    rb_style_row(s, r->error.kind, RED, r->error.message);
  place(s, r);
  if (isdry(r)) return;
  certainty(s, r, t, at);
  skipped(s, r);
  notreached(s, r);
  whatnext(s, r, t);
}

void rb_terminal_end (rb_Show *s, const rb_Report *r) {
  Totals t = totals(r);
  findings(s, r);
  if (r->recorded != NULL) rb_terminal_said(s, r);
  rb_buffer_puts(&s->out, "\n");
  if (r->recorded != NULL && r->recorded->pruned) {
    rb_style_add(&s->text, BOLDYELLOW, "Pruned");
    rb_style_line(s);
    return;
  }
  int good = rb_same(r->status, "done") || rb_same(r->status, "planned");
  if (!good && (!isdry(r) || r->error.exit != 0)) failure(s, r, &t);
  if (isdry(r)) {
    if (r->error.exit != 0) rb_buffer_puts(&s->out, "\n");
    drytotals(s, r, &t);
  }
  else if (good) donetotals(s, r, &t);
}
