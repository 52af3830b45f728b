/*
** shown.c - what became of the tests: lines for people, and the documents
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/clock.h"
#include "vm/test/suite.h"

#define SHOWN 10  /* of what never ran */

struct rb_Shown {
  rb_TestFormat format;
  int tests, passed, failed, broken;
  double began;
};

static const char *textof (const json_t *row, const char *key) {
  const char *s = json_string_value(json_object_get(row, key));
  return s != NULL ? s : "";
}

static void count (rb_Shown *sh, const rb_Suite *s) {
  size_t i;
  json_t *row;
  if (s->problem.exit != 0) {
    sh->broken++;
    return;
  }
  json_array_foreach(s->cases, i, row) {
    const char *status = textof(row, "status");
    sh->tests++;
    if (strcmp(status, "passed") == 0) sh->passed++;
    else if (strcmp(status, "failed") == 0) sh->failed++;
    else sh->broken++;
  }
}

/* -- text ---------------------------------------------------------------- */

/* "label  text", with further lines below it */
static void block (const char *label, const char *s) {
  for (int first = 1; ; first = 0) {
    size_t n = strcspn(s, "\n");
    printf("            %-8s  %.*s\n", first ? label : "", (int)n, s);
    if (s[n] == '\0') return;
    s += n + 1;
  }
}

static void failure (const rb_Suite *s, const json_t *f) {
  const char *what = textof(f, "what");
  size_t n = strcspn(what, "\n");
  printf("        %s:%d: %.*s\n", s->file, (int)json_integer_value(json_object_get(f, "line")),
         (int)n, what);
  if (what[n] == '\n') printf("            %s\n", what + n + 1);
  if (json_object_get(f, "expected") == NULL) return;
  block("expected", textof(f, "expected"));
  block("seen", textof(f, "seen"));
}

static void textsuite (const rb_Suite *s) {
  size_t i, k;
  json_t *row, *f;
  printf("%s\n", s->file);
  if (s->problem.exit != 0) {
    printf("  broken  %s", s->problem.file);
    if (s->problem.line > 0) printf(":%d", s->problem.line);
    printf("%s%s\n", s->problem.file[0] != '\0' ? ": " : "", s->problem.message);
    return;
  }
  json_array_foreach(s->cases, i, row) {
    const char *status = textof(row, "status");
    int passed = strcmp(status, "passed") == 0;
    printf("  %-6s  %s\n", passed ? "ok" : strcmp(status, "failed") == 0 ? "FAILED" : "broken",
           textof(row, "name"));
    json_array_foreach(json_object_get(row, "failures"), k, f) failure(s, f);
  }
}

/* -- the whole ----------------------------------------------------------- */

rb_Shown *rb_shown_open (rb_TestFormat format) {
  rb_Shown *sh = calloc(1, sizeof *sh);
  if (sh == NULL) return NULL;
  sh->format = format;
  sh->began = rb_clock_real();
  return sh;
}

void rb_shown_suite (void *shown, const rb_Suite *s) {
  rb_Shown *sh = shown;
  count(sh, s);
  if (sh->format == RB_TESTTEXT) textsuite(s);
  fflush(stdout);
}

/* "14 of 16 steps" */
static void part (const json_t *cover, const char *key, const char *between) {
  const json_t *p = json_object_get(cover, key);
  json_int_t of = json_integer_value(json_object_get(p, "of"));
  if (of == 0) return;
  printf("%s%d of %d %s", between, (int)json_integer_value(json_object_get(p, "ran")), (int)of,
         key);
}

static void textcover (const json_t *cover) {
  static const char *const more[] = {"cases", "branches", "remedies", "undos"};
  const json_t *never = json_object_get(cover, "never");
  size_t n = json_array_size(never);
  printf("%s: ", textof(cover, "runbook"));
  part(cover, "steps", "");
  for (size_t i = 0; i < sizeof more / sizeof *more; i++) part(cover, more[i], ", ");
  printf("\n");
  for (size_t i = 0; i < n && i < SHOWN; i++)
    printf("  never: %s\n", json_string_value(json_array_get(never, i)));
  if (n > SHOWN) printf("  and %zu more, all of them in --json\n", n - SHOWN);
}

static void total (const rb_Shown *sh) {
  printf("%d test%s: %d passed", sh->tests, sh->tests == 1 ? "" : "s", sh->passed);
  if (sh->failed > 0) printf(", %d failed", sh->failed);
  if (sh->broken > 0) printf(", %d broken", sh->broken);
  printf("\n");
}

static void textend (const rb_Shown *sh, const rb_Suite *list, int n) {
  for (int i = 0; i < n; i++) {
    json_t *cover = rb_cover(list, n, i);
    if (cover != NULL) textcover(cover);
    json_decref(cover);
  }
  total(sh);
}

int rb_shown_close (rb_Shown *sh, const rb_Suite *list, int n) {
  int exit = sh->broken > 0 ? RB_USAGE : sh->failed > 0 ? RB_FAILED : RB_DONE;
  double ms = (rb_clock_real() - sh->began) * 1000;
  switch (sh->format) {
    case RB_TESTTEXT: textend(sh, list, n); break;
    case RB_TESTJSON: rb_document_json(list, n, exit, ms); break;
    case RB_TESTJUNIT: rb_document_junit(list, n); break;
    case RB_TESTTAP: rb_document_tap(list, n); break;
  }
  free(sh);
  return exit;
}
