/*
** runs.c - the runs of the tape as a table, or as a list in JSON
**
** A tape may have tens of thousands of runs, so their rows are written as they come, and
** no tree is made of them.
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "vm/cli/runs.h"
#include "vm/run/report.h"
#include "vm/run/shape.h"
#include "vm/vm.h"

/* -- JSON ------------------------------------------------------------------- */

/* the tape's text, redacted already; bytes that are no UTF-8 are shown as "\xff" */
static void putstring (rb_Buffer *b, const char *s) {
  if (s == NULL) { rb_buffer_puts(b, "null"); return; }
  size_t n = strlen(s);
  if (rb_utf8(s, n) == n) { rb_json_escape(b, s, n); return; }
  json_t *j = rb_jsontext(s, n);
  char *text = json_dumps(j, JSON_ENCODE_ANY);
  rb_buffer_puts(b, text != NULL ? text : "null");
  free(text);
  json_decref(j);
}

static void putpair (rb_Buffer *b, const char *key, const char *s) {
  rb_buffer_puts(b, ", \"");
  rb_buffer_puts(b, key);
  rb_buffer_puts(b, "\": ");
  putstring(b, s);
}

/* ISO 8601 in UTC, or null */
static void putstamp (rb_Buffer *b, const char *key, int64_t ms) {
  char text[40];
  rb_report_stamp(ms, text, sizeof text);
  putpair(b, key, *text != '\0' ? text : NULL);
}

/* calls 'put' with each of the lines */
static void eachcase (rb_Buffer *b, const char *cases,
                      void (*put) (rb_Buffer *b, const char *id)) {
  char id[200];
  for (const char *s = cases; s != NULL && *s != '\0'; ) {
    size_t n = strcspn(s, "\n");
    snprintf(id, sizeof id, "%.*s", (int)n, s);
    if (s != cases) rb_buffer_puts(b, ", ");
    put(b, id);
    s += n + (s[n] == '\n');
  }
}

void rb_runs_json (rb_Buffer *b, const rb_TapeRun *run) {
  int ended = run->ended != 0;
  json_t *params = run->params != NULL ? json_loads(run->params, 0, NULL) : NULL;
  rb_buffer_puts(b, b->n == 0 ? "[\n  {\"run\": " : ",\n  {\"run\": ");
  putstring(b, run->id);
  putpair(b, "runbook", run->runbook);
  rb_buffer_puts(b, ", \"cases\": [");
  eachcase(b, run->cases, putstring);
  rb_buffer_puts(b, "]");
  putpair(b, "target", run->target);
  putpair(b, "mode", run->mode);
  putpair(b, "status", ended ? run->status : NULL);
  rb_buffer_puts(b, ", \"exit\": ");
  if (ended) rb_buffer_number(b, run->exit);
  else rb_buffer_puts(b, "null");
  putpair(b, "operator", run->who);
  rb_buffer_puts(b, ", \"params\": ");
  rb_buffer_puts(b, json_is_object(params) ? run->params : "{}");
  putstamp(b, "started", run->started);
  putstamp(b, "ended", run->ended);
  putstamp(b, "pruned", run->pruned);
  rb_buffer_puts(b, "}");
  json_decref(params);
}

/* -- the table ------------------------------------------------------------- */

enum { STARTED, RUN, RUNBOOK, CASES, TARGET, MODE, STATUS, WHO, PARAMS, COLUMNS };

static const char *const heads[COLUMNS] = {
  "started", "run", "runbook", "case", "target", "mode", "status", "by", "parameters"
};

/* a text from the tape, made harmless for a terminal */
static void puttext (rb_Buffer *b, const char *s) {
  size_t from = 0, i = 0;
  for (; s[i] != '\0'; i++) {
    if ((unsigned char)s[i] >= ' ' && s[i] != 0x7f) continue;
    rb_buffer_add(b, s + from, i - from);
    rb_buffer_puts(b, "?");
    from = i + 1;
  }
  rb_buffer_add(b, s + from, i - from);
}

/* "tenant=greenwood_high block=1h" */
static void putparams (rb_Buffer *b, const char *params) {
  const char *name;
  json_t *value, *all = params != NULL ? json_loads(params, 0, NULL) : NULL;
  size_t before = b->n;
  json_object_foreach(all, name, value) {
    char *text = json_is_string(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY);
    if (b->n > before) rb_buffer_puts(b, " ");
    puttext(b, name);
    rb_buffer_puts(b, "=");
    puttext(b, text != NULL ? text : json_string_value(value));
    free(text);
  }
  json_decref(all);
}

/* "2026-05-04 03:12:00" of the local zone */
static void puttime (rb_Buffer *b, int64_t ms) {
  struct tm local;
  char text[40];
  time_t s = (time_t)(ms / 1000);
  if (ms == 0 || localtime_r(&s, &local) == NULL) return;
  strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &local);
  rb_buffer_puts(b, text);
}

static void putcell (rb_Buffer *b, const rb_TapeRun *run, int column) {
  const char *const plain[COLUMNS] = {
    [RUN] = run->id, [RUNBOOK] = run->runbook, [TARGET] = run->target, [MODE] = run->mode,
    [STATUS] = run->ended != 0 ? run->status : "unfinished", [WHO] = run->who
  };
  if (column == STARTED) puttime(b, run->started);
  else if (column == PARAMS) putparams(b, run->params);
  else if (column == CASES && run->cases != NULL) eachcase(b, run->cases, puttext);
  else puttext(b, plain[column] != NULL ? plain[column] : "-");
  if (column == STATUS && run->pruned != 0) rb_buffer_puts(b, ", pruned");
}

/* its cells one after the other, each with a NUL */
void rb_runs_row (rb_Runs *r, const rb_TapeRun *run) {
  for (int k = 0; k < COLUMNS; k++) {
    size_t before = r->cells.n;
    putcell(&r->cells, run, k);
    int width = (int)(r->cells.n - before);
    if (width > r->width[k]) r->width[k] = width;
    rb_buffer_add(&r->cells, "", 1);
  }
  r->n++;
}

static void putrow (rb_Buffer *b, const rb_Runs *r, const char *const cell[COLUMNS]) {
  static const char spaces[] = "                                ";
  for (int k = 0; k < PARAMS; k++) {
    size_t n = strlen(cell[k]), fill = (size_t)r->width[k] + 2 - n;
    rb_buffer_add(b, cell[k], n);
    for (; fill > 0; fill -= n) {
      n = fill < sizeof spaces - 1 ? fill : sizeof spaces - 1;
      rb_buffer_add(b, spaces, n);
    }
  }
  rb_buffer_puts(b, cell[PARAMS]);
  rb_buffer_puts(b, "\n");
}

void rb_runs_table (rb_Buffer *b, rb_Runs *r) {
  const char *cell[COLUMNS], *s = r->cells.s;
  if (r->cells.failed || s == NULL) return;
  for (int k = 0; k < COLUMNS; k++)
    if ((int)strlen(heads[k]) > r->width[k]) r->width[k] = (int)strlen(heads[k]);
  putrow(b, r, heads);
  for (int i = 0; i < r->n; i++) {
    for (int k = 0; k < COLUMNS; k++, s += strlen(s) + 1) cell[k] = s;
    putrow(b, r, cell);
  }
}
