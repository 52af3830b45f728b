/*
** drilled.c - what a drill has seen, as a table to be kept with the runbook
*/

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/buffer.h"
#include "vm/cli/session.h"
#include "vm/run/report.h"
#include "vm/show/pagestyle.h"
#include "vm/tape/tape.h"

/* -- one row ----------------------------------------------------------------------- */

static const rb_DrillEffect *find (const rb_DrillRun *d, const char *path) {
  for (int i = 0; i < d->n; i++)
    if (strcmp(d->effects[i].path, path) == 0) return &d->effects[i];
  return NULL;
}

void rb_drilled_row (rb_DrillRun *d, const rb_DrillRow *r) {
  const rb_DrillEffect *e = find(d, r->path);
  const char *message = r->message != NULL && *r->message != '\0' ? r->message : NULL;
  json_array_append_new(d->rows, json_pack("{s:s,s:s?,s:s?,s:s,s:s,s:o,s:s?,s:s,s:b}",
    "path", r->path, "verb", e != NULL ? e->verb : NULL, "target",
    e != NULL ? e->target : NULL, "kind", r->kind, "what", r->what, "exit",
    r->exit >= 0 ? json_integer(r->exit) : json_null(), "message", message,
    "result", r->result, "held", r->held));
  if (d->o->json || d->o->markdown) return;
  if (json_array_size(d->rows) == 1) {
    int n = 0;
    for (int i = 0; i < d->n; i++) n += d->effects[i].deed;
    printf("%d %s\n\n", n, n == 1 ? "change" : "changes");
  }
  printf("%-44s  %-18s  %s\n", r->path, r->what, r->result);
  fflush(stdout);
}

/* -- the end ----------------------------------------------------------------------- */

static void sum (const rb_DrillRun *d, rb_Buffer *b) {
  rb_buffer_printf(b, "%d of %d points held", d->pointsheld, d->points);
  if (d->faults > 0)
    rb_buffer_printf(b, "; %d of %d undos and faults", d->faultsheld, d->faults);
  if (d->asked > 0) rb_buffer_printf(b, "; %d asked, since nobody could tell", d->asked);
  if (d->lookedat > 0)
    rb_buffer_printf(b, "; %d in doubt were told by looking", d->lookedat);
}

static json_t *document (const rb_DrillRun *d, int64_t started, int status) {
  char when[40];
  rb_report_stamp(started, when, sizeof when);
  return json_pack("{s:s,s:s,s:s,s:s,s:s,s:i,s:s,s:O,s:{s:i,s:i,s:i,s:i,s:i,s:i,s:i},"
    "s:O,s:O,s:O,s:O}", "mode", "drill", "runbook", d->runbook, "target", d->target,
    "version", RB_VERSION, "drilled", when, "exit", status, "status",
    status == 0 ? "held" : "failed", "rows", d->rows, "counts", "points", d->points,
    "points_held", d->pointsheld, "faults", d->faults, "faults_held", d->faultsheld,
    "asked", d->asked, "looked_at", d->lookedat, "went_on", d->wenton, "not_faulted",
    d->left, "not_compared", d->unseen, "moves_by_itself",
    d->moving != NULL ? d->moving : d->left, "stays", d->stays != NULL ? d->stays : d->left);
}

static const char *text (const json_t *row, const char *key) {
  const char *s = json_string_value(json_object_get(row, key));
  return s != NULL ? s : "";
}

static void mdcell (rb_Buffer *b, const char *s) {
  rb_buffer_puts(b, " ");
  rb_page_mdtext(b, s);
  rb_buffer_puts(b, " |");
}

static void mdset (rb_Buffer *b, const char *title, const json_t *set) {
  const char *name;
  json_t *why;
  if (json_object_size(set) == 0) return;
  rb_buffer_printf(b, "\n%s\n\n", title);
  json_object_foreach((json_t *)set, name, why) {
    rb_buffer_puts(b, "- ");
    rb_page_mdtext(b, name);
    if (json_is_string(why)) {
      rb_buffer_puts(b, ": ");
      rb_page_mdtext(b, json_string_value(why));
    }
    rb_buffer_puts(b, "\n");
  }
}

static void markdown (const rb_DrillRun *d, const char *when, rb_Buffer *b) {
  size_t i;
  json_t *row;
  rb_buffer_puts(b, "# Drill of ");
  rb_page_mdtext(b, d->runbook);
  rb_buffer_printf(b, "\n\n%s, runbook %s, target ", when, RB_VERSION);
  rb_page_mdtext(b, d->target);
  rb_buffer_puts(b, ". ");
  sum(d, b);
  rb_buffer_puts(b, ".\n\n| effect | by | what happened | exit | what held | it said |\n"
                    "|---|---|---|---|---|---|\n");
  json_array_foreach(d->rows, i, row) {
    json_t *exit = json_object_get(row, "exit");
    rb_buffer_puts(b, "|");
    mdcell(b, text(row, "path"));
    mdcell(b, text(row, "verb"));
    mdcell(b, text(row, "what"));
    if (json_is_integer(exit))
      rb_buffer_printf(b, " %d |", (int)json_integer_value(exit));
    else rb_buffer_puts(b, " killed |");
    mdcell(b, text(row, "result"));
    mdcell(b, text(row, "message"));
    rb_buffer_puts(b, "\n");
  }
  mdset(b, "No fault of their own was made for:", d->left);
  mdset(b, "Could not be compared:", d->unseen);
  mdset(b, "Changes by itself, and was not compared:", d->moving);
}

static void plain (const rb_DrillRun *d, const char *when, rb_Buffer *b) {
  size_t i;
  json_t *row;
  rb_buffer_printf(b, "drill of %s, %s, runbook %s, target %s\n\n", d->runbook, when,
                   RB_VERSION, d->target);
  json_array_foreach(d->rows, i, row)
    rb_buffer_printf(b, "%-44s  %-18s  %s\n", text(row, "path"), text(row, "what"),
                     text(row, "result"));
  rb_buffer_puts(b, "\n");
  sum(d, b);
  rb_buffer_puts(b, "\n");
}

/* -- where it goes -------------------------------------------------------------------- */

static const char *const endings[] = {".json", ".md", ".txt", NULL};

static const char *ending (const char *file) {
  const char *dot = strrchr(file, '.');
  for (const char *const *e = endings; dot != NULL && *e != NULL; e++)
    if (strcmp(dot, *e) == 0) return *e;
  return NULL;
}

int rb_drilled_check (const rb_DrillOptions *o, rb_Problem *p) {
  if (o->json && o->markdown)
    return rb_problem(p, RB_USAGE, "usage", "--json or --markdown, not both");
  if (o->output == NULL) return 0;
  if (ending(o->output) == NULL)
    return rb_problem(p, RB_USAGE, "usage", "--output takes a file that ends with .txt, "
                      ".json or .md, not '%s'", o->output);
  FILE *f = fopen(o->output, "ae");
  if (f == NULL)
    return rb_problem(p, RB_USAGE, "usage", "%s cannot be written: %s", o->output,
                      strerror(errno));
  fclose(f);
  return 0;
}

static void compose (const rb_DrillRun *d, const char *as, int64_t started, int status,
                     rb_Buffer *b) {
  char when[40];
  rb_report_stamp(started, when, sizeof when);
  if (strcmp(as, ".md") == 0) markdown(d, when, b);
  else if (strcmp(as, ".txt") == 0) plain(d, when, b);
  else {
    json_t *doc = document(d, started, status);
    char *s = json_dumps(doc, JSON_INDENT(2));
    rb_buffer_printf(b, "%s\n", s != NULL ? s : "null");
    free(s);
    json_decref(doc);
  }
}

static int keep (const rb_DrillRun *d, int64_t started, int status, rb_Problem *p) {
  rb_Buffer b = {0};
  FILE *f = fopen(d->o->output, "we");
  compose(d, ending(d->o->output), started, status, &b);
  int written = f != NULL && fwrite(b.s, 1, b.n, f) == b.n;
  if (f != NULL && fclose(f) != 0) written = 0;
  rb_buffer_free(&b);
  return written ? 0 : rb_problem(p, RB_FAILED, "io", "%s cannot be written: %s",
                                  d->o->output, strerror(errno));
}

int rb_drilled_write (const rb_DrillRun *d, int64_t started, int status, rb_Problem *p) {
  rb_Buffer b = {0};
  if (d->o->json || d->o->markdown)
    compose(d, d->o->json ? ".json" : ".md", started, status, &b);
  else {
    rb_buffer_puts(&b, "\n");
    sum(d, &b);
    rb_buffer_puts(&b, "\n");
  }
  fwrite(b.s, 1, b.n, stdout);
  rb_buffer_free(&b);
  return d->o->output != NULL ? keep(d, started, status, p) : 0;
}
