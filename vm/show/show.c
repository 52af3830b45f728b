/*
** show.c - one way to everything that is printed: for people or for programs
*/

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "vm/show/terminal.h"

#define DRAWN 0.1     /* seconds between two drawings of progress */
#define SAID 10.0     /* and between two lines of it without a terminal */
#define HELD 1.0      /* a step's notes wait so long for its line */

static double seconds (void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

rb_Show *rb_show_open (const rb_ShowOptions *o) {
  rb_Show *s = calloc(1, sizeof *s);
  if (s != NULL) rb_style_open(s, o);
  return s;
}

void rb_show_close (rb_Show *s) {
  if (s == NULL) return;
  rb_style_clear(s);
  rb_buffer_free(&s->out);
  rb_buffer_free(&s->text);
  rb_buffer_free(&s->lead);
  rb_buffer_free(&s->right);
  rb_buffer_free(&s->notes);
  free(s);
}

/* -- a run --------------------------------------------------------------------------- */

void rb_show_start (rb_Show *s, const rb_Report *r) {
  if (s == NULL || s->json) return;
  rb_style_measure(s);
  rb_terminal_banner(s, r);
  rb_style_flush(s);
}

void rb_show_case (rb_Show *s, const rb_Report *r, const rb_CaseRow *c) {
  if (s == NULL || s->json) return;
  rb_style_measure(s);
  rb_terminal_case(s, r, c);
  rb_style_flush(s);
}

void rb_show_end (rb_Show *s, const rb_Report *r, const rb_StepRow *step) {
  if (s == NULL || s->json) return;
  rb_style_measure(s);
  s->began = 0;
  rb_terminal_step(s, r, step);
  rb_style_flush(s);
}

/* built whole, then written at once: a reader never sees half a document */
static void document (rb_Buffer *out, char *json, int exit) {
  if (json != NULL) rb_buffer_puts(out, json);
  else rb_buffer_printf(out,
      "{\"run\":null,\"runbook\":null,\"target\":null,\"mode\":null,"
      "\"status\":\"failed\",\"exit\":%d,\"digest\":null,\"enforced\":null,"
      "\"params\":{},\"cases\":[],\"started\":null,\"duration_ms\":0,"
      "\"findings\":[],\"steps\":[],\"error\":{\"kind\":\"memory\",\"message\":"
      "\"not enough memory to say what happened: see runbook report\","
      "\"certainty\":null,\"step\":null,\"file\":null,\"line\":null}}", exit);
  rb_buffer_puts(out, "\n");
  free(json);
}

void rb_show_finish (rb_Show *s, const rb_Report *r) {
  if (s == NULL) return;
  rb_style_measure(s);
  rb_style_notes(s);
  if (s->json) document(&s->out, rb_json_report(r), r->exit);
  else rb_terminal_end(s, r);
  rb_style_flush(s);
}

/* -- on the way -------------------------------------------------------------------------- */

/* "text" as the line of progress, cut to one line of the terminal */
static void draw (rb_Show *s, const char *text) {
  rb_Buffer b = {0}, line = {0};
  int room = s->width - 1, used = 0;
  rb_style_add(&b, PLAIN, text);
  rb_buffer_puts(&line, "\r\33[K");
  for (size_t i = 2; !b.failed && i + 2 < b.n; ) {  /* between its marks */
    size_t len = 1;
    while (i + len + 2 < b.n && (b.s[i + len] & 0xC0) == 0x80) len++;
    used += rb_style_width(b.s + i, len);
    if (used > room) break;
    rb_buffer_add(&line, b.s[i] == '\n' ? " " : b.s + i, len);
    i += len;
  }
  if (!line.failed && rb_style_write(STDERR_FILENO, line.s, line.n) == 0)
    s->liveline = 1;
  rb_buffer_free(&b);
  rb_buffer_free(&line);
}

void rb_show_begin (rb_Show *s, const rb_Report *r, const rb_StepRow *step) {
  char text[400];
  (void)r;
  if (s == NULL) return;
  s->livetime = seconds();
  if (!s->live) return;
  s->began = s->livetime;
  rb_style_measure(s);
  snprintf(text, sizeof text, "%3d  %s ...", step->n,
           step->title != NULL ? step->title : "");
  draw(s, text);
}

void rb_show_waiting (rb_Show *s, const char *what, double elapsed) {
  char text[300], time[32];
  if (s == NULL || !s->live || elapsed < HELD) return;
  rb_style_measure(s);
  snprintf(text, sizeof text, "%.200s ... %s (Ctrl-C ends it)", what,
           rb_style_duration(time, (double)(long)elapsed * 1000));
  draw(s, text);
}

void rb_show_progress (rb_Show *s, const rb_StepRow *step, const char *what,
                       long long done, long long total, double elapsed) {
  char text[500], n[32], of[32], time[32];
  double now = seconds();
  if (s == NULL || s->json ||
      now - s->livetime < (s->live ? DRAWN : SAID)) return;
  s->livetime = now;
  if (now - s->began > HELD) rb_style_notes(s);
  rb_style_count(n, done);
  rb_style_count(of, total);
  snprintf(text, sizeof text, "%3d  %.100s: %s%s%s %.200s%s%s", step->n,
           step->title != NULL ? step->title : "", n,
           total > 0 ? " of " : "", total > 0 ? of : "", what,
           rb_style_dot(s), rb_style_duration(time, elapsed * 1000));
  if (s->live) draw(s, text);
  else rb_show_note(s, text);
}

/* On a terminal what a step says stands below its line, unless that is long
** in coming: then at once. */
static void holdnote (rb_Show *s, const char *text) {
  rb_Buffer out = s->out;
  rb_style_measure(s);
  s->out = s->notes;
  rb_style_say(s, 6, PLAIN, text);
  s->notes = s->out;
  s->out = out;
  if (seconds() - s->began > HELD) rb_style_notes(s);
}

void rb_show_note (rb_Show *s, const char *text) {
  rb_Buffer b = {0};
  if (s != NULL && s->began > 0 && s->fold) {
    holdnote(s, text);
    return;
  }
  rb_Show plain = {0};
  rb_Show *p = s != NULL ? s : &plain;
  rb_style_add(&p->text, PLAIN, text);
  int color = p->color, fold = p->fold;
  p->color = p->fold = 0;
  rb_style_line(p);
  p->color = color;
  p->fold = fold;
  b = p->out;
  p->out = (rb_Buffer){0};
  rb_style_error(s, &b);
  rb_buffer_free(&b);
  if (s == NULL) {
    rb_buffer_free(&plain.text);
    rb_buffer_free(&plain.lead);
    rb_buffer_free(&plain.right);
  }
}

/* -- before there is a run --------------------------------------------------------------- */

void rb_show_problem (const rb_Problem *p, int json) {
  rb_Show s = {0};
  rb_ShowOptions o = {.json = json, .nocolor = 1};
  rb_style_open(&s, &o);
  if (json) {
    document(&s.out, rb_json_problem(p), p->exit);
    rb_style_flush(&s);
  }
  else {
    s.fold = 0;
    rb_buffer_puts(&s.lead, "runbook: ");
    if (p->file[0] != '\0') rb_style_addf(&s.text, PLAIN, "%s:", p->file);
    if (p->line > 0) rb_style_addf(&s.text, PLAIN, "%d:", p->line);
    if (p->file[0] != '\0') rb_buffer_puts(&s.text, " ");
    rb_style_add(&s.text, PLAIN, p->message);
    rb_style_line(&s);
    rb_style_error(NULL, &s.out);
  }
  rb_buffer_free(&s.out);
  rb_buffer_free(&s.text);
  rb_buffer_free(&s.lead);
  rb_buffer_free(&s.right);
}
