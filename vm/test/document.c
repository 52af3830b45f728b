/*
** document.c - what became of the tests, for programs: JSON, JUnit's XML, TAP
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/buffer.h"
#include "vm/test/suite.h"

static const char *textof (const json_t *row, const char *key) {
  const char *s = json_string_value(json_object_get(row, key));
  return s != NULL ? s : "";
}

static int is (const json_t *row, const char *status) {
  return strcmp(textof(row, "status"), status) == 0;
}

/* one failure in words, with what was expected and seen */
static void describe (rb_Buffer *b, const rb_Suite *s, const json_t *f) {
  rb_buffer_printf(b, "%s:%d: %s\n", s->file, (int)json_integer_value(json_object_get(f, "line")),
                   textof(f, "what"));
  if (json_object_get(f, "expected") == NULL) return;
  rb_buffer_printf(b, "expected: %s\nseen: %s\n", textof(f, "expected"), textof(f, "seen"));
}

static void problem (rb_Buffer *b, const rb_Problem *p) {
  rb_buffer_puts(b, p->file);
  if (p->line > 0) rb_buffer_printf(b, ":%d", p->line);
  rb_buffer_printf(b, "%s%s\n", p->file[0] != '\0' ? ": " : "", p->message);
}

/* -- JSON ------------------------------------------------------------------- */

static json_t *test (const json_t *row) {
  static const char *const keys[] = {"name", "line", "status", "ms", "failures", NULL};
  json_t *o = json_object();
  for (const char *const *k = keys; *k != NULL; k++)
    json_object_set(o, *k, json_object_get(row, *k));
  return o;
}

static json_t *error (const rb_Problem *p) {
  if (p->exit == 0) return json_null();
  return json_pack("{s:s, s:s, s:s, s:i}", "kind", p->kind, "message", p->message,
                   "file", p->file, "line", p->line);
}

void rb_document_json (const rb_Suite *list, int n, int exit, double ms) {
  json_t *files = json_array(), *covers = json_array(), *row;
  size_t i;
  for (int k = 0; k < n; k++) {
    json_t *tests = json_array(), *cover = rb_cover(list, n, k);
    json_array_foreach(list[k].problem.exit == 0 ? list[k].cases : NULL, i, row)
      json_array_append_new(tests, test(row));
    json_array_append_new(files, json_pack("{s:s, s:s?, s:o, s:o}", "file", list[k].file,
        "runbook", list[k].runbook, "tests", tests, "error", error(&list[k].problem)));
    if (cover != NULL) json_array_append_new(covers, cover);
  }
  json_t *o = json_pack("{s:i, s:f, s:o, s:o}", "exit", exit, "duration_ms", ms, "files",
                        files, "coverage", covers);
  char *s = o != NULL ? json_dumps(o, JSON_INDENT(2)) : NULL;
  puts(s != NULL ? s : "{}");
  free(s);
  json_decref(o);
}

/* -- JUnit ------------------------------------------------------------------- */

/* what XML 1.0 takes; the rest is shown as a question mark */
static void xml (const char *s) {
  for (; *s != '\0'; s++)
    switch (*s) {
      case '&': fputs("&amp;", stdout); break;
      case '<': fputs("&lt;", stdout); break;
      case '>': fputs("&gt;", stdout); break;
      case '"': fputs("&quot;", stdout); break;
      case '\n': fputs("&#10;", stdout); break;
      default: putchar((unsigned char)*s < ' ' && *s != '\t' ? '?' : *s);
    }
}

static void element (const char *name, const char *message, const char *text) {
  printf("      <%s message=\"", name);
  xml(message);
  printf("\">");
  xml(text);
  printf("</%s>\n", name);
}

static void junitcase (const rb_Suite *s, const json_t *row) {
  size_t i;
  json_t *f;
  printf("    <testcase classname=\"");
  xml(s->file);
  printf("\" name=\"");
  xml(textof(row, "name"));
  printf("\" time=\"%.3f\">\n", json_number_value(json_object_get(row, "ms")) / 1000);
  json_array_foreach(json_object_get(row, "failures"), i, f) {
    rb_Buffer b = {0};
    describe(&b, s, f);
    element(is(row, "broken") ? "error" : "failure", textof(f, "what"), b.s != NULL ? b.s : "");
    rb_buffer_free(&b);
  }
  printf("    </testcase>\n");
}

static int counted (const rb_Suite *s, const char *status) {
  size_t i;
  json_t *row;
  int n = 0;
  json_array_foreach(s->cases, i, row) n += status == NULL || is(row, status);
  return n;
}

void rb_document_junit (const rb_Suite *list, int n) {
  size_t i;
  json_t *row;
  printf("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
  for (const rb_Suite *s = list; s < list + n; s++) {
    int broken = s->problem.exit != 0;
    printf("  <testsuite name=\"");
    xml(s->file);
    printf("\" tests=\"%d\" failures=\"%d\" errors=\"%d\">\n", broken ? 1 : counted(s, NULL),
           broken ? 0 : counted(s, "failed"), broken ? 1 : counted(s, "broken"));
    if (broken) {
      rb_Buffer b = {0};
      problem(&b, &s->problem);
      printf("    <testcase classname=\"");
      xml(s->file);
      printf("\" name=\"loading\">\n");
      element("error", s->problem.message, b.s != NULL ? b.s : "");
      printf("    </testcase>\n");
      rb_buffer_free(&b);
    }
    json_array_foreach(broken ? NULL : s->cases, i, row) junitcase(s, row);
    printf("  </testsuite>\n");
  }
  printf("</testsuites>\n");
}

/* -- TAP ----------------------------------------------------------------------- */

/* the lines of a text as comments */
static void comments (const char *s) {
  while (*s != '\0') {
    size_t len = strcspn(s, "\n");
    printf("#   %.*s\n", (int)len, s);
    s += len + (s[len] == '\n');
  }
}

/* '#' would begin a directive */
static void tapname (const char *s) {
  for (; *s != '\0'; s++)
    if (*s == '#' || *s == '\\') printf("\\%c", *s);
    else putchar(*s == '\n' ? ' ' : *s);
}

static void taplist (const rb_Suite *s, int *number) {
  size_t i, k;
  json_t *row, *f;
  json_array_foreach(s->cases, i, row) {
    printf("%sok %d - ", is(row, "passed") ? "" : "not ", ++*number);
    tapname(s->file);
    printf(": ");
    tapname(textof(row, "name"));
    putchar('\n');
    json_array_foreach(json_object_get(row, "failures"), k, f) {
      rb_Buffer b = {0};
      describe(&b, s, f);
      comments(b.s != NULL ? b.s : "");
      rb_buffer_free(&b);
    }
  }
}

void rb_document_tap (const rb_Suite *list, int n) {
  int all = 0, number = 0;
  for (const rb_Suite *s = list; s < list + n; s++)
    all += s->problem.exit != 0 ? 1 : counted(s, NULL);
  printf("TAP version 13\n1..%d\n", all);
  for (const rb_Suite *s = list; s < list + n; s++) {
    rb_Buffer b = {0};
    if (s->problem.exit == 0) {
      taplist(s, &number);
      continue;
    }
    problem(&b, &s->problem);
    printf("not ok %d - ", ++number);
    tapname(s->file);
    printf(": loading\n");
    comments(b.s != NULL ? b.s : "");
    rb_buffer_free(&b);
  }
}
