/*
** recorded.c - a run of the tape as a document: its formats, and the text
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/show/recordpage.h"
#include "vm/show/terminal.h"

/* -- formats ------------------------------------------------------------------ */

static const struct { const char *name, *suffix; rb_Format format; } formats[] = {
  {"text", ".txt", RB_TEXT}, {"json", ".json", RB_JSON}, {"md", ".md", RB_MARKDOWN},
  {"html", ".html", RB_HTML}
};

rb_Format rb_format_named (const char *name) {
  for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
    if (strcmp(name, formats[i].name) == 0) return formats[i].format;
  return strcmp(name, "markdown") == 0 ? RB_MARKDOWN : RB_NOFORMAT;
}

rb_Format rb_format_of (const char *file) {
  const char *dot = strrchr(file, '.');
  for (size_t i = 0; dot != NULL && i < sizeof formats / sizeof *formats; i++)
    if (strcmp(dot, formats[i].suffix) == 0) return formats[i].format;
  return RB_NOFORMAT;
}

/* -- what only the tape knows --------------------------------------------------- */

/* "2026-05-04T03:12:00.123Z" as "2026-05-04 03:12:00 UTC" */
static void addtime (rb_Buffer *b, const char *iso) {
  rb_buffer_printf(b, "%.10s %.8s UTC", iso, strlen(iso) > 19 ? iso + 11 : "");
}

void rb_record_when (const rb_Report *r, rb_Buffer *b) {
  char time[32];
  addtime(b, r->started);
  if (r->recorded->ended[0] == '\0') return;
  rb_buffer_printf(b, ", for %s", rb_style_duration(time, r->ms));
}

void rb_record_who (const rb_Report *r, rb_Buffer *b) {
  const rb_Recorded *rec = r->recorded;
  rb_buffer_printf(b, "%s on %s", rec->who != NULL ? rec->who : "?",
                   rec->host != NULL ? rec->host : "?");
}

void rb_record_resumed (const rb_Report *r, rb_Buffer *b) {
  size_t i;
  json_t *one;
  json_array_foreach(r->recorded->resumed, i, one) {
    const char *at = json_string_value(json_object_get(one, "at"));
    const char *by = json_string_value(json_object_get(one, "by"));
    if (b->n > 0) rb_buffer_puts(b, "; ");
    if (at != NULL) addtime(b, at);
    rb_buffer_printf(b, ", by %s", by != NULL ? by : "?");
  }
}

void rb_record_end (const rb_Report *r, rb_Buffer *b) {
  if (r->status == NULL)
    rb_buffer_puts(b, "not yet: it still runs, or was ended from outside");
  else rb_buffer_printf(b, "%s (exit code %d)", r->status, r->exit);
}

/* a row of a banner; what the text says comes from the tape */
static void row (rb_Show *s, const rb_Report *r, const char *label,
                 void (*add) (const rb_Report *r, rb_Buffer *b)) {
  rb_Buffer b = {0};
  add(r, &b);
  rb_style_row(s, label, PLAIN, b.s != NULL ? b.s : "");
  if (b.failed) s->out.failed = 1;
  rb_buffer_free(&b);
}

void rb_terminal_recorded (rb_Show *s, const rb_Report *r) {
  row(s, r, "by", rb_record_who);
  row(s, r, "started", rb_record_when);
  if (json_array_size(r->recorded->resumed) > 0)
    row(s, r, "resumed", rb_record_resumed);
  row(s, r, "ended", rb_record_end);
}

static const char *of (const json_t *o, const char *key) {
  const char *s = json_string_value(json_object_get(o, key));
  return s != NULL ? s : "";
}

void rb_record_approval (const rb_Report *r, const json_t *a, rb_Buffer *b) {
  int attested = json_is_true(json_object_get(a, "attested"));
  const char *by = r->recorded->who != NULL ? r->recorded->who : "?";
  rb_buffer_puts(b, of(a, "who"));
  if (attested) rb_buffer_printf(b, ", in the words of %s", by);
  if (*of(a, "note") != '\0')
    rb_buffer_printf(b, attested ? ": %s" : " (%s)", of(a, "note"));
}

/* "  label       text", in a list of the report */
static void saying (rb_Show *s, const char *label, const char *text) {
  rb_style_addf(&s->lead, PLAIN, "    %-8s  ", label);
  rb_style_add(&s->text, PLAIN, text);
  rb_style_line(s);
}

static int head (rb_Show *s, const char *title, const json_t *list) {
  if (json_array_size(list) == 0) return 0;
  rb_buffer_puts(&s->out, "\n");
  rb_style_say(s, 2, BOLD, title);
  return 1;
}

static void evidence (rb_Show *s, const json_t *list) {
  size_t i;
  json_t *one;
  if (!head(s, "evidence", list)) return;
  json_array_foreach((json_t *)list, i, one) {
    rb_style_addf(&s->lead, PLAIN, "    %s  ", of(one, "name"));
    rb_terminal_value(&s->text, PLAIN, json_object_get(one, "value"), 0);
    rb_style_line(s);
  }
}

static void approvals (rb_Show *s, const rb_Report *r) {
  size_t i;
  json_t *one;
  rb_Buffer b = {0};
  if (!head(s, "approved", r->recorded->approvals)) return;
  json_array_foreach(r->recorded->approvals, i, one) {
    rb_buffer_clear(&b);
    rb_record_approval(r, one, &b);
    saying(s, of(one, "role"), b.s != NULL ? b.s : "");
  }
  rb_buffer_free(&b);
}

static void answers (rb_Show *s, const json_t *list) {
  size_t i;
  json_t *one;
  if (!head(s, "answered", list)) return;
  json_array_foreach((json_t *)list, i, one) {
    rb_style_addf(&s->lead, PLAIN, "    %s  ", of(one, "id"));
    rb_terminal_value(&s->text, PLAIN, json_object_get(one, "text"), 0);
    rb_style_line(s);
  }
}

static void notes (rb_Show *s, const json_t *list) {
  size_t i;
  json_t *one;
  char time[9];
  if (!head(s, "notes", list)) return;
  json_array_foreach((json_t *)list, i, one) {
    const char *at = of(one, "at");
    snprintf(time, sizeof time, "%.8s", strlen(at) > 19 ? at + 11 : at);
    saying(s, time, of(one, "text"));
  }
}

void rb_terminal_said (rb_Show *s, const rb_Report *r) {
  evidence(s, r->recorded->evidence);
  approvals(s, r);
  answers(s, r->recorded->answers);
  notes(s, r->recorded->notes);
}

/* -- the whole ---------------------------------------------------------------------- */

const rb_CaseRow *rb_record_entered (const rb_Report *r, const rb_StepRow *step) {
  const rb_StepRow *before = step;
  while (before > r->steps && !(--before)->ran)
    if (!rb_same(before->incase, step->incase)) break;
  if (step->incase == NULL || (before < step && before->ran
                               && rb_same(before->incase, step->incase))) return NULL;
  for (int i = 0; i < r->ncases; i++)
    if (rb_same(r->cases[i].id, step->incase)) return &r->cases[i];
  return NULL;
}

static void textreport (rb_Show *s, const rb_Report *r) {
  rb_terminal_banner(s, r);
  for (const rb_StepRow *step = r->steps; step < r->steps + r->nsteps; step++) {
    const rb_CaseRow *c = rb_record_entered(r, step);
    if (!step->ran) continue;
    if (c != NULL) rb_terminal_case(s, r, c);
    rb_terminal_step(s, r, step);
  }
  rb_terminal_end(s, r);
}

static void text (const rb_Report *r, int terminal, rb_Buffer *b) {
  rb_Show s = {0};
  rb_ShowOptions o = {0};
  rb_style_open(&s, &o);
  rb_style_measure(&s);
  if (!terminal) s.color = s.fold = 0;
  textreport(&s, r);
  if (s.out.failed) b->failed = 1;
  else rb_buffer_add(b, s.out.s, s.out.n);
  rb_buffer_free(&s.out);
  rb_buffer_free(&s.text);
  rb_buffer_free(&s.lead);
  rb_buffer_free(&s.right);
}

void rb_show_document (const rb_Report *r, rb_Format format, int terminal,
                       rb_Buffer *b) {
  char *json;
  switch (format) {
    case RB_MARKDOWN: rb_record_markdown(r, b); break;
    case RB_HTML: rb_record_html(r, b); break;
    case RB_JSON:
      json = rb_json_report(r);
      if (json != NULL) rb_buffer_printf(b, "%s\n", json);
      else b->failed = 1;
      free(json);
      break;
    default: text(r, terminal, b);
  }
}
