/*
** reread.c - a report made from JSON again: of the tape, or of a plan
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/run/reread.h"

/* the words of statuses, verdicts and the like, which a report points to */
const char *rb_reread_word (const json_t *o, const char *key) {
  static const char *const words[] = {
    "run", "dry-run", "apply", "undo", "replay", "drill", "repl", "done", "planned",
    "unchanged", "refused", "deferred", "failed", "stopped", "interrupted", "in-doubt",
    "abandoned", "skipped", "unselected", "manual", "warned", "passed", "probe", "remedy", "notice",
    "would do", "nothing to do", "would refuse", "cannot predict", "replayed",
    "predicted", "as planned", "real", "as of now", "ok", "warn", "bad", NULL
  };
  const char *s = json_string_value(json_object_get(o, key));
  for (const char *const *w = words; s != NULL && *w != NULL; w++)
    if (strcmp(s, *w) == 0) return *w;
  return NULL;
}

const char *rb_reread_textof (const json_t *o, const char *key) {
  return json_string_value(json_object_get(o, key));
}

char *rb_reread_copy (const json_t *o, const char *key) {
  const char *s = rb_reread_textof(o, key);
  return s != NULL ? strdup(s) : NULL;
}

int rb_reread_intof (const json_t *o, const char *key, int otherwise) {
  const json_t *v = json_object_get(o, key);
  return json_is_integer(v) ? (int)json_integer_value(v)
       : json_is_boolean(v) ? json_is_true(v) : otherwise;
}

json_t *rb_reread_valueof (const json_t *o, const char *key) {
  return json_incref(json_object_get(o, key));
}

void rb_reread_put (char *out, size_t size, const json_t *o, const char *key) {
  const char *s = rb_reread_textof(o, key);
  snprintf(out, size, "%s", s != NULL ? s : "");
}

/* a list of numbers: how many there are in *to */
static int numbers (int **to, const json_t *list) {
  size_t n = json_array_size(list);
  if (n == 0 || (*to = malloc(n * sizeof **to)) == NULL) return 0;
  for (size_t i = 0; i < n; i++)
    (*to)[i] = (int)json_integer_value(json_array_get(list, i));
  return (int)n;
}

rb_EffectRow *rb_reread_effect (rb_StepRow *step, const char *path, const char *verb,
                                const json_t *o) {
  rb_EffectRow *row = calloc(1, sizeof *row);
  if (row == NULL) return NULL;
  const json_t *rows = json_object_get(o, "rows"), *ms = json_object_get(o, "ms");
  *row = (rb_EffectRow){
    .n = rb_reread_intof(o, "n", 0), .path = strdup(path), .kind = rb_reread_word(o, "effect"),
    .verb = verb != NULL ? strdup(verb) : NULL, .target = rb_reread_copy(o, "target"),
    .summary = rb_reread_copy(o, "summary"), .verdict = rb_reread_word(o, "verdict"),
    .outcome = rb_reread_word(o, "outcome"), .read = rb_reread_word(o, "read"),
    .reason = rb_reread_copy(o, "reason"), .before = rb_reread_valueof(o, "before"),
    .after = rb_reread_valueof(o, "after"), .rows = json_is_integer(rows) ?
      json_integer_value(rows) : -1, .guarded = rb_reread_intof(o, "guarded", -1),
    .undo = rb_reread_copy(o, "undo"), .unchanged = rb_reread_intof(o, "unchanged", 0),
    .ms = json_number_value(ms)
  };
  row->nassumes = numbers(&row->assumes, json_object_get(o, "assumes"));
  row->nprovided = numbers(&row->provided, json_object_get(o, "provided"));
  if (step->last == NULL) step->last = &step->effects;
  *step->last = row;
  step->last = &row->next;
  step->kept++;
  return row;
}

