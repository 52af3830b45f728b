/*
** cover.c - what all tests of a runbook ran, and what none of them did
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/test/suite.h"

typedef struct Cover {
  const rb_Suite *list; int n;
  const char *runbook;
  json_t *out, *never;
} Cover;

/* -- asking all cases ------------------------------------------------------------- */

/* Did a function run so? 'path' is its whole path, or with a slash at its end a beginning;
** 'how' NULL: however. 'real': not in a dry run. */
static int ran (const Cover *c, const char *path, const char *how, int real) {
  size_t i, len = strlen(path);
  json_t *row, *hows;
  const char *key;
  for (int k = 0; k < c->n; k++) {
    if (c->list[k].runbook == NULL || strcmp(c->list[k].runbook, c->runbook) != 0) continue;
    json_array_foreach(c->list[k].cases, i, row) {
      if (real && json_is_true(json_object_get(row, "dry"))) continue;
      json_object_foreach(json_object_get(row, "ran"), key, hows)
        if ((path[len - 1] == '/' ? strncmp(key, path, len) : strcmp(key, path)) == 0
            && (how == NULL || json_object_get(hows, how) != NULL)) return 1;
    }
  }
  return 0;
}

/* Has a case reached that step (with that status, or NULL), or taken that case? */
static int reached (const Cover *c, const char *id, const char *status) {
  size_t i;
  json_t *row;
  for (int k = 0; k < c->n; k++) {
    if (c->list[k].runbook == NULL || strcmp(c->list[k].runbook, c->runbook) != 0) continue;
    json_array_foreach(c->list[k].cases, i, row) {
      const char *is = json_string_value(json_object_get(json_object_get(row, "steps"), id));
      if (is != NULL && (status != NULL ? strcmp(is, status) == 0 : strcmp(is, "skipped") != 0))
        return 1;
    }
  }
  return 0;
}

static int taken (const Cover *c, const char *id) {
  size_t i, k;
  json_t *row, *each;
  for (int s = 0; s < c->n; s++) {
    if (c->list[s].runbook == NULL || strcmp(c->list[s].runbook, c->runbook) != 0) continue;
    json_array_foreach(c->list[s].cases, i, row)
      json_array_foreach(json_object_get(row, "cases"), k, each)
        if (strcmp(json_string_value(each), id) == 0) return 1;
  }
  return 0;
}

/* -- counting ----------------------------------------------------------------------- */

/* 'what' is "the remedy of step * for real", of this one */
static void count (Cover *c, const char *part, int is, const char *what, const char *id) {
  char text[300];
  json_t *row = json_object_get(c->out, part);
  json_object_set_new(row, "of", json_integer(
      json_integer_value(json_object_get(row, "of")) + 1));
  if (is) {
    json_object_set_new(row, "ran", json_integer(
        json_integer_value(json_object_get(row, "ran")) + 1));
    return;
  }
  int before = (int)strcspn(what, "*");
  snprintf(text, sizeof text, "%.*s%s%s", before, what, id, what + before + 1);
  json_array_append_new(c->never, json_string(text));
}

static int hasfield (const json_t *step, const char *name) {
  size_t i;
  json_t *field;
  json_array_foreach(json_object_get(step, "fields"), i, field)
    if (strcmp(json_string_value(field), name) == 0) return 1;
  return 0;
}

static void step (Cover *c, const json_t *s) {
  const char *id = json_string_value(json_object_get(s, "id"));
  char path[300];
  int is = reached(c, id, NULL);
  count(c, "steps", is, "step *", id);
  if (!is) return;  /* what is in it need not be named, too */
  snprintf(path, sizeof path, "%s/when", id);
  if (hasfield(s, "when")) {
    count(c, "branches", ran(c, path, "true", 0), "step * with a `when` that is true", id);
    count(c, "branches", ran(c, path, "false", 0), "step * with a `when` that is false", id);
  }
  snprintf(path, sizeof path, "%s/verify", id);
  if (hasfield(s, "verify")) {
    count(c, "branches", ran(c, path, "true", 1), "step * with a verification that passes", id);
    count(c, "branches", ran(c, path, "false", 1) || ran(c, path, "failed", 1),
          "step * with a verification that fails", id);
  }
  if (json_is_true(json_object_get(s, "goes_on")))
    count(c, "branches", reached(c, id, "warned") || reached(c, id, "failed"),
          "step * when it fails and the run goes on", id);
  if (!hasfield(s, "remedy")) return;
  snprintf(path, sizeof path, "%s/remedy", id);
  count(c, "remedies", ran(c, path, "true", 1), "the remedy of step *, for real", id);
  snprintf(path, sizeof path, "%s/undo/", id);
  if (hasfield(s, "undo") || !json_is_true(json_object_get(s, "irreversible")))
    count(c, "undos", ran(c, path, "true", 1), "the undo of step *", id);
}

static void case_ (Cover *c, const json_t *k) {
  const char *id = json_string_value(json_object_get(k, "id"));
  char path[300];
  count(c, "cases", taken(c, id), "case *", id);
  snprintf(path, sizeof path, "case:%s/when", id);
  if (!json_is_true(json_object_get(k, "when"))) return;
  count(c, "branches", ran(c, path, "true", 0), "case * with a `when` that is true", id);
  count(c, "branches", ran(c, path, "false", 0), "case * with a `when` that is false", id);
}

json_t *rb_cover (const rb_Suite *list, int n, int suite) {
  static const char *const parts[] = {"steps", "cases", "branches", "remedies", "undos"};
  const rb_Suite *s = &list[suite];
  size_t i;
  json_t *each;
  if (s->problem.exit != 0 || s->info == NULL) return NULL;
  for (int k = 0; k < suite; k++)
    if (list[k].runbook != NULL && strcmp(list[k].runbook, s->runbook) == 0) return NULL;
  Cover c = {.list = list, .n = n, .runbook = s->runbook, .out = json_object(),
             .never = json_array()};
  json_object_set(c.out, "runbook", json_object_get(s->info, "name"));
  for (size_t k = 0; k < sizeof parts / sizeof *parts; k++)
    json_object_set_new(c.out, parts[k], json_pack("{s:i, s:i}", "ran", 0, "of", 0));
  json_array_foreach(json_object_get(s->info, "steps"), i, each) step(&c, each);
  json_array_foreach(json_object_get(s->info, "cases"), i, each) case_(&c, each);
  json_object_set_new(c.out, "never", c.never);
  return c.out;
}
