/*
** effect.c - the effects of a step: what was there, and what is there after
**
** A person wants the changes: remedies and notices are always there, probes
** where they say why. Many alike are counted, the failed ones named.
*/

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/show/terminal.h"

enum {
  EFFECT = 6, DETAIL = 8,  /* columns before them */
  FEW = 12,      /* deeds of a step that are all shown */
  SOME = 3,      /* of more, so many; and probes of a dry run */
  FAILURES = 20, /* failed ones that are named */
  NAMED = 3,     /* steps that have to go well before */
  DIFFLINES = 60,
  LONGVALUE = 2000
};

/* -- values ------------------------------------------------------------------------ */

void rb_terminal_value (rb_Buffer *b, Style style, const json_t *v, int quote) {
  if (json_is_string(v) && !quote) {
    rb_style_addn(b, style, json_string_value(v), json_string_length(v));
    return;
  }
  if (json_is_integer(v) && llabs(json_integer_value(v)) >= 10000 && !quote) {
    char count[32];
    rb_style_add(b, style, rb_style_count(count, json_integer_value(v)));
    return;
  }
  char *s = json_dumps(v, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
  if (s == NULL) { b->failed = 1; return; }
  rb_style_add(b, style, s);
  free(s);
}

/* seconds as a number, or words as they are */
static void addttl (rb_Buffer *b, const json_t *ttl) {
  char text[32];
  if (json_is_string(ttl))
    rb_style_addf(b, DIM, ", expires in %s", json_string_value(ttl));
  else if (json_is_number(ttl) && json_number_value(ttl) >= 0)
    rb_style_addf(b, DIM, ", expires in %s",
                  rb_style_duration(text, json_number_value(ttl) * 1000));
}

int rb_terminal_isrequest (const json_t *after) {
  const char *type = json_string_value(json_object_get(after, "type"));
  return type != NULL && strcmp(type, "request") == 0;
}

/* a very long value keeps its beginning; the whole of it is in the JSON */
static void addvalue (rb_Buffer *b, Style style, const json_t *image) {
  const json_t *v = json_object_get(image, "value");
  const char *type = rb_terminal_isrequest(image) ? NULL
                   : json_string_value(json_object_get(image, "type"));
  size_t n = json_string_length(v);
  if (type != NULL && strcmp(type, "string") != 0)
    rb_style_addf(b, DIM, "%s ", type);
  if (v == NULL || json_is_null(v)) rb_style_add(b, DIM, "(absent)");
  else if (json_is_string(v) && n > LONGVALUE) {
    char count[32];
    rb_style_addn(b, style, json_string_value(v), LONGVALUE);
    rb_style_addf(b, DIM, " ... (%s bytes in all: see --json)",
                  rb_style_count(count, (long long)n));
  }
  else rb_terminal_value(b, style, v, type != NULL || n == 0);
  addttl(b, json_object_get(image, "ttl"));
}

static void diffline (rb_Show *s, const char *line, size_t n) {
  Style style = n > 0 && line[0] == '+' ? GREEN : n > 0 && line[0] == '-' ? RED
              : n > 0 && line[0] == '@' ? CYAN : PLAIN;
  if (n >= 3 && (strncmp(line, "+++", 3) == 0 || strncmp(line, "---", 3) == 0))
    style = DIM;
  rb_style_addf(&s->lead, PLAIN, "%*s", DETAIL, "");
  rb_style_addn(&s->text, style, line, n);
  rb_style_line(s);
}

static void diff (rb_Show *s, const char *text) {
  int lines = 0, more = 0;
  while (*text != '\0') {
    size_t n = strcspn(text, "\n");
    if (lines < DIFFLINES) diffline(s, text, n);
    else more++;
    lines++;
    text += n + (text[n] == '\n');
  }
  if (more > 0) {
    char many[64], words[128];
    snprintf(words, sizeof words, "... %s (all of it: --json)",
             rb_style_many(many, more, "more line", "more lines"));
    rb_style_say(s, DETAIL, DIM, words);
  }
}

static void image (rb_Show *s, const char *label, Style style,
                   const json_t *image_) {
  rb_style_addf(&s->lead, DIM, "%*s%-7s ", DETAIL, "", label);
  if (image_ == NULL || json_is_null(image_))
    rb_style_add(&s->text, DIM, "(absent)");
  else if (json_is_object(image_)) addvalue(&s->text, style, image_);
  else rb_terminal_value(&s->text, style, image_, 0);
  rb_style_line(s);
}

/* what people are told, line by line: all of it, for it cannot be taken back */
static void message (rb_Show *s, const char *text) {
  while (*text != '\0') {
    size_t n = strcspn(text, "\n");
    rb_style_addf(&s->lead, DIM, "%*s| ", DETAIL, "");
    rb_style_addn(&s->text, PLAIN, text, n);
    rb_style_line(s);
    text += n + (text[n] == '\n');
  }
}

static const char *difference (const rb_EffectRow *e) {
  const char *d = json_string_value(json_object_get(e->after, "diff"));
  return d != NULL ? d : json_string_value(json_object_get(e->before, "diff"));
}

static int present (const json_t *j) { return j != NULL && !json_is_null(j); }

int rb_terminal_isthing (const rb_EffectRow *e) {
  return e->rows < 0 && (e->verb == NULL || strncmp(e->verb, "pg.", 3) != 0);
}

static void images (rb_Show *s, const rb_EffectRow *e) {
  const char *d = difference(e);
  if (d != NULL) diff(s, d);
  else if (rb_terminal_isrequest(e->after)) image(s, "sends", PLAIN, e->after);
  else if (present(e->before) || present(e->after)) {
    /* after a deed without an after-image the thing is gone */
    if (present(e->before) || rb_terminal_isthing(e)) image(s, "before", RED, e->before);
    if (present(e->after) || rb_terminal_isthing(e)) image(s, "after", GREEN, e->after);
  }
}

/* -- one effect ------------------------------------------------------------------------ */

int rb_terminal_assumed (const rb_Report *r, const rb_EffectRow *e,
                         char *out, size_t size) {
  size_t used = 0;
  int found = 0;
  out[0] = '\0';
  for (const rb_StepRow *st = r->steps; st < r->steps + r->nsteps; st++) {
    int has = 0;
    for (const rb_EffectRow *x = st->effects; x != NULL && !has; x = x->next)
      for (int i = 0; i < e->nassumes && !has; i++) has = x->n == e->assumes[i];
    if (!has || used >= size) continue;
    used += (size_t)snprintf(out + used, size - used, "%s%d",
                             found++ > 0 ? ", " : "", st->n);
  }
  return found;
}

const char *rb_terminal_provided (const rb_EffectRow *e, char *out, size_t size) {
  int n = e->nprovided, shown = n > NAMED + 1 ? NAMED : n;
  size_t used = (size_t)snprintf(out, size, "only after step%s ", n > 1 ? "s" : "");
  if (n == 0) return NULL;
  for (int i = 0; i < shown && used < size; i++)
    used += (size_t)snprintf(out + used, size - used, "%s%d", i == 0 ? ""
                             : i == n - 1 ? " and " : ", ", e->provided[i]);
  if (used < size && n > shown)
    used += (size_t)snprintf(out + used, size - used, " and %d more", n - shown);
  if (used < size)
    snprintf(out + used, size - used, n > 1 ? ", if they go well" : ", if it goes well");
  return out;
}

/* "school_erp" of "school_erp.redis"; nothing for a module of its own */
static int system_ (const rb_EffectRow *e) {
  const char *dot = e->target != NULL ? strrchr(e->target, '.') : NULL;
  return dot != NULL ? (int)(dot - e->target) : 0;
}

static void readas (rb_Show *s, const rb_Report *r, const rb_EffectRow *e) {
  char steps[128];
  if (e->read == NULL || rb_same(e->read, "real")) return;
  if (rb_terminal_assumed(r, e, steps, sizeof steps) > 0)
    rb_style_addf(&s->text, CYAN, " (%s; assumes %s %s not changed this)",
                  e->read, steps, strchr(steps, ',') != NULL ? "have" : "has");
  else rb_style_addf(&s->text, CYAN, " (%s)", e->read);
}

/* the word at the right: only what the step's own line does not say */
static void state (rb_Show *s, const rb_StepRow *step, const rb_EffectRow *e,
                   int alone) {
  static const struct { const char *word, *step, *shown; Style style; }
  words[] = {
    {"nothing to do", "unchanged", "nothing to do", DIM},
    {"would refuse", "refused", "would refuse", RED},
    {"cannot predict", "deferred", "cannot predict", YELLOW},
    {"failed", "failed", "failed", RED},
    {"in-doubt", "in-doubt", "in doubt", BOLDRED},
    {"replayed", "", "replayed", DIM}
  };
  const char *word = e->verdict != NULL ? e->verdict : e->outcome;
  if (e->unchanged && rb_same(word, "done")) word = "nothing to do";
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (rb_same(word, words[i].word) &&
        !(alone && rb_same(step->status, words[i].step)))
      rb_style_add(&s->right, words[i].style, words[i].shown);
}

static void effectline (rb_Show *s, const rb_Report *r, const rb_StepRow *step,
                        const rb_EffectRow *e, int alone) {
  int probe = rb_same(e->kind, "probe");
  Style style = probe ? DIM : PLAIN;
  char count[32];
  rb_style_addf(&s->lead, style, "%*s%-11s ", EFFECT, "",
                e->verb != NULL ? e->verb : "");
  if (system_(e) > 0)
    rb_style_addf(&s->text, DIM, "%.*s  ", system_(e), e->target);
  const char *words = e->summary != NULL ? e->summary : "";
  rb_style_add(&s->text, style, words + strspn(words, " "));
  if (e->rows >= 0 && !probe) {
    char plain[32];
    snprintf(plain, sizeof plain, "%lld", e->rows);
    rb_style_count(count, e->rows);
    if (e->summary == NULL || (strstr(e->summary, plain) == NULL &&
                               strstr(e->summary, count) == NULL))
      rb_style_addf(&s->text, DIM, " (%s %s)", count,
                    e->rows == 1 ? "row" : "rows");
  }
  readas(s, r, e);
  state(s, step, e, alone);
  rb_style_line(s);
}

/* "automatic" needs no word: that a change can be taken back is the rule */
static void undo (rb_Show *s, const rb_EffectRow *e) {
  if (e->undo == NULL || rb_same(e->undo, "automatic")) return;
  if (strncmp(e->undo, "irreversible", 12) == 0) {
    rb_style_addf(&s->lead, YELLOW, "%*s! ", EFFECT, "");
    rb_style_add(&s->text, YELLOW, e->undo);
  }
  else {
    rb_style_addf(&s->lead, DIM, "%*sundo    ", DETAIL, "");
    rb_style_add(&s->text, DIM, e->undo);
  }
  rb_style_line(s);
}

static void effect (rb_Show *s, const rb_Report *r, const rb_StepRow *step,
                    const rb_EffectRow *e, int alone) {
  int wont = rb_same(e->verdict, "nothing to do") || e->unchanged ||
             rb_same(e->verdict, "would refuse");
  char provided[128];
  effectline(s, r, step, e, alone);
  if (e->reason != NULL && !rb_same(e->reason,
                                    step->reason != NULL ? step->reason : "")) {
    Style style = rb_same(e->outcome, "failed") ||
                  rb_same(e->verdict, "would refuse") ? RED : YELLOW;
    rb_style_say(s, DETAIL, rb_same(e->verdict, "nothing to do") ||
                            e->unchanged ? DIM : style, e->reason);
  }
  if (rb_same(e->kind, "probe")) return;
  if (wont) return;
  if (rb_terminal_provided(e, provided, sizeof provided) != NULL)
    rb_style_say(s, DETAIL, CYAN, provided);
  const char *told = json_string_value(json_object_get(e->after, "value"));
  if (rb_same(e->kind, "notice") && told != NULL) message(s, told);
  else images(s, e);
  if (rb_same(e->verdict, "would do") && e->guarded == 0)
    rb_style_say(s, DETAIL, DIM, "unguarded: what changes between the look and "
                                 "the deed is not noticed");
  undo(s, e);
}

/* -- all of them ------------------------------------------------------------------------- */

static int isdeed (const rb_EffectRow *e) { return !rb_same(e->kind, "probe"); }

static int isbad (const rb_EffectRow *e) {
  return rb_same(e->outcome, "failed") || rb_same(e->outcome, "in-doubt") ||
         rb_same(e->verdict, "would refuse") ||
         rb_same(e->verdict, "cannot predict");
}

static int badones (const rb_StepRow *step) {
  int n = 0;
  for (const rb_EffectRow *e = step->effects; e != NULL; e = e->next)
    n += isbad(e);
  return n;
}

/* probes are shown where something went wrong, and in a dry run where they
** are all that there is or where their answer is not simply so */
static int probeshown (const rb_Report *r, const rb_StepRow *step,
                       const rb_EffectRow *e, int deeds, int nth) {
  if (isbad(e)) return 1;
  if (rb_same(e->read, "predicted") && rb_same(step->verify, "passed")) return 0;
  if (rb_same(step->status, "failed") && nth <= SOME) return 1;
  if (!rb_same(r->mode, "dry-run")) return 0;
  if (e->read != NULL && !rb_same(e->read, "real")) return nth <= SOME;
  return deeds == 0 && nth <= SOME && !rb_same(step->status, "unselected");
}

typedef struct Counts {
  int deeds, planned, done, unchanged, failed, doubt, refused, unknown;
} Counts;

static Counts count (const rb_StepRow *step) {
  Counts c = {0};
  for (const rb_EffectRow *e = step->effects; e != NULL; e = e->next) {
    if (!isdeed(e)) continue;
    c.deeds++;
    c.planned += rb_same(e->verdict, "would do");
    c.unchanged += rb_same(e->verdict, "nothing to do") || e->unchanged;
    c.refused += rb_same(e->verdict, "would refuse");
    c.unknown += rb_same(e->verdict, "cannot predict");
    c.done += rb_same(e->outcome, "done") && !e->unchanged;
    c.failed += rb_same(e->outcome, "failed");
    c.doubt += rb_same(e->outcome, "in-doubt");
  }
  return c;
}

static void part (rb_Buffer *b, Style style, int n, const char *word, int *some) {
  char number[32];
  if (n == 0) return;
  rb_style_addf(b, style, "%s%s %s", (*some)++ > 0 ? ", " : "",
                rb_style_count(number, n), word);
}

static void summary (rb_Show *s, const Counts *c, int left) {
  char many[64];
  int some = 0;
  rb_style_addf(&s->lead, PLAIN, "%*s", EFFECT, "");
  rb_style_addf(&s->text, DIM, "and %s (all of them: --json). In all: ",
                rb_style_many(many, left, "more", "more"));
  part(&s->text, GREEN, c->done, "done", &some);
  part(&s->text, YELLOW, c->planned, "would be done", &some);
  part(&s->text, DIM, c->unchanged, "with nothing to do", &some);
  part(&s->text, RED, c->failed, "failed", &some);
  part(&s->text, BOLDRED, c->doubt, "in doubt", &some);
  part(&s->text, RED, c->refused, "would be refused", &some);
  part(&s->text, YELLOW, c->unknown, "cannot be predicted", &some);
  rb_style_line(s);
}

void rb_terminal_effects (rb_Show *s, const rb_Report *r,
                          const rb_StepRow *step) {
  Counts c = count(step);
  int all = c.deeds <= FEW, good = 0, bad = 0, probes = 0, left = 0;
  int alone = c.deeds <= 1 && badones(step) <= 1;
  for (const rb_EffectRow *e = step->effects; e != NULL; e = e->next) {
    if (!isdeed(e)) {
      probes++;
      if (probeshown(r, step, e, c.deeds, probes)) effect(s, r, step, e, alone);
      continue;
    }
    int shown = all || (isbad(e) ? bad++ < FAILURES : good++ < SOME);
    if (shown) effect(s, r, step, e, alone);
    else left++;
  }
  if (left > 0) summary(s, &c, left);
}
