/*
** status.c - what a run is doing now, for a person
*/

#include <stdio.h>
#include <string.h>

#include "vm/show/terminal.h"

#define SHOWN 20  /* branches that are shown one by one */

static const char *words (const json_t *o, const char *name) {
  const char *s = json_string_value(json_object_get(o, name));
  return s != NULL ? s : "";
}

static const char *lasting (char out[32], const json_t *o, const char *name) {
  return rb_style_duration(out, (double)json_integer_value(json_object_get(o, name)));
}

static void head (rb_Show *s, const json_t *o) {
  char time[32];
  rb_style_addf(&s->text, BOLD, "run %s", words(o, "run"));
  rb_style_addf(&s->text, PLAIN, " of %s on %s (%s), process %lld on %s, for %s",
                words(o, "runbook"), words(o, "target"), words(o, "mode"),
                (long long)json_integer_value(json_object_get(o, "pid")), words(o, "host"),
                lasting(time, o, "for_ms"));
  if (json_is_true(json_object_get(o, "stopping")))
    rb_style_add(&s->text, YELLOW, ", stopping after what is under way");
  rb_style_line(s);
}

static void step (rb_Show *s, const json_t *o) {
  const json_t *is = json_object_get(o, "step");
  char time[32];
  if (!json_is_object(is)) {
    rb_style_say(s, 2, DIM, "between two steps");
    return;
  }
  rb_style_addf(&s->lead, DIM, "%3lld  ",
                (long long)json_integer_value(json_object_get(is, "n")));
  rb_style_add(&s->text, PLAIN, words(is, "title"));
  if (*words(is, "case")) rb_style_addf(&s->text, DIM, "%scase %s", rb_style_dot(s),
                                        words(is, "case"));
  if (*words(is, "field")) rb_style_addf(&s->text, DIM, "%s%s", rb_style_dot(s),
                                         words(is, "field"));
  rb_style_addf(&s->text, DIM, ", for %s", lasting(time, is, "for_ms"));
  rb_style_line(s);
}

/* "waits in http.get of school_erp.http" */
static void doing (rb_Buffer *b, const json_t *t) {
  static const struct { const char *state, *words; } all[] = {
    {"ready", "goes on"}, {"running", "computes"}, {"recording", "waits for the tape, in"},
    {"replaying", "is replayed"}, {"turn", "waits for another branch to change the same, in"},
    {"previewing", "looks before it changes, in"}, {"changing", "changes, in"},
    {"waiting", "waits in"}, {"pausing", "waits in"}, {"joining", "waits for its branches, in"}
  };
  const char *state = words(t, "state"), *does = state;
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    if (strcmp(all[i].state, state) == 0) does = all[i].words;
  if (strcmp(state, "changing") == 0 && strcmp(words(t, "effect"), "notice") == 0)
    does = "tells, in";
  rb_style_add(b, PLAIN, does);
  if (*words(t, "verb")) rb_style_addf(b, PLAIN, " %s", words(t, "verb"));
  if (*words(t, "target")) rb_style_addf(b, PLAIN, " of %s", words(t, "target"));
  if (*words(t, "summary")) rb_style_addf(b, PLAIN, ": %s", words(t, "summary"));
}

static void task (rb_Show *s, const json_t *t) {
  char time[32], left[32];
  long long attempt = json_integer_value(json_object_get(t, "attempt"));
  rb_buffer_puts(&s->lead, "     ");
  rb_style_addf(&s->text, DIM, "%s  ", words(t, "branch"));
  doing(&s->text, t);
  if (json_object_get(t, "of") != NULL)
    rb_style_addf(&s->text, PLAIN, ": %lld of %lld done",
                  (long long)json_integer_value(json_object_get(t, "done")),
                  (long long)json_integer_value(json_object_get(t, "of")));
  if (attempt > 1) rb_style_addf(&s->text, PLAIN, ", attempt %lld", attempt);
  if (json_object_get(t, "for_ms") != NULL)
    rb_style_addf(&s->text, PLAIN, ", for %s", lasting(time, t, "for_ms"));
  if (json_object_get(t, "wakes_ms") != NULL)
    rb_style_addf(&s->text, PLAIN, ", %s to go", lasting(time, t, "wakes_ms"));
  if (json_object_get(t, "left_ms") != NULL)
    rb_style_addf(&s->text, DIM, " (%s left, until %s)", lasting(left, t, "left_ms"),
                  words(t, "deadline"));
  rb_style_line(s);
}

/* seen from outside, while the run's own thread has no ear */
static void outside (rb_Show *s, const json_t *o) {
  char time[32];
  if (json_is_true(json_object_get(o, "asking")))
    rb_style_say(s, 5, CYAN, "waits for a person at its terminal");
  else if (json_object_get(o, "computing_ms") != NULL) {
    rb_style_addf(&s->lead, PLAIN, "     ");
    rb_style_addf(&s->text, YELLOW, "has been computing for %s without a pause",
                  lasting(time, o, "computing_ms"));
    rb_style_line(s);
  } else rb_style_say(s, 5, YELLOW, "is busy with itself (the tape, a lock, a file)");
}

static void all (rb_Show *s, const json_t *o) {
  const json_t *tasks = json_object_get(o, "tasks"), *t;
  size_t i;
  long long more = json_integer_value(json_object_get(o, "more"));
  head(s, o);
  step(s, o);
  if (tasks == NULL) outside(s, o);
  json_array_foreach(tasks, i, t) {
    if (i < SHOWN) task(s, t);
    else more++;
  }
  if (more > 0) {
    rb_buffer_puts(&s->lead, "     ");
    rb_style_addf(&s->text, DIM, "and %lld more", more);
    rb_style_line(s);
  }
}

void rb_show_doing (rb_Buffer *b, const json_t *doc) {
  rb_Show s = {0};
  all(&s, doc);
  if (s.out.n > 0) rb_buffer_add(b, s.out.s, s.out.n);
  rb_buffer_free(&s.out);
  rb_buffer_free(&s.text);
  rb_buffer_free(&s.lead);
  rb_buffer_free(&s.right);
}

void rb_show_status (rb_Show *s, const json_t *doc) {
  rb_Buffer b = {0};
  rb_show_doing(&b, doc);
  rb_style_error(s, &b);
  rb_buffer_free(&b);
}
