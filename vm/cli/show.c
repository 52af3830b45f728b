/*
** show.c - runbook show NAME: a page to be followed by hand
*/

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>
#include <lauxlib.h>

#include "vm/buffer.h"
#include "vm/cli/cli.h"
#include "vm/config/config.h"
#include "vm/run/outline.h"
#include "vm/run/plan.h"
#include "vm/show/page.h"
#include "vm/show/show.h"

typedef struct Options {
  int json, markdown, html;
  const char *config;
} Options;

static const rb_Option options[] = {
  {"markdown", 0, RB_SWITCH, NULL, "a page for a wiki",
   offsetof(Options, markdown)},
  {"html", 0, RB_SWITCH, NULL, "a page for a browser, in one file",
   offsetof(Options, html)},
  {"json", 0, RB_SWITCH, NULL, "one JSON document on standard output",
   offsetof(Options, json)},
  {"config", 0, RB_VALUE, "FILE", "the configuration to use",
   offsetof(Options, config)},
  {NULL, 0, RB_SWITCH, NULL, NULL, 0}
};

const rb_Command rb_command_show = {
  .name = "show", .takes = "FILE|NAME|PLAN",
  .summary = "read a runbook, or a plan, as a page, without running anything",
  .about = "Everything that a person needs to follow it by hand: when to use it, who\n"
           "approves, its parameters, and its steps with what they do. Of a plan (runbook\n"
           "plan): who made it, and what applying it would change.",
  .example = "runbook show tenant_isolation\n"
             "runbook show tenant_isolation --markdown >tenant_isolation.md\n"
             "runbook show plan.json --markdown",
  .options = options, .min = 1, .max = 1, .main = rb_cmd_show
};

static void printjson (lua_State *L, const rb_Outline *outline, rb_Buffer *b) {
  json_t *page = rb_page_json(L, outline);
  char *s = page != NULL ? json_dumps(page, JSON_INDENT(2)) : NULL;
  if (s == NULL) b->failed = 1;
  else {
    rb_buffer_puts(b, s);
    rb_buffer_puts(b, "\n");
  }
  free(s);
  json_decref(page);
}

typedef struct Work {
  const Options *o;
  const char *path;
  rb_Buffer b;
  rb_Problem p;
} Work;

static int page (lua_State *L) {
  Work *w = lua_touserdata(L, 1);
  rb_Outline outline;
  if (rb_outline_load(L, w->path, &outline, &w->p) != 0) return 0;
  if (w->o->json) printjson(L, &outline, &w->b);
  else if (w->o->markdown) rb_page_markdown(L, &outline, &w->b);
  else if (w->o->html) rb_page_html(L, &outline, &w->b);
  else rb_page_text(L, &outline, &w->b);
  rb_outline_free(L, &outline);
  if (w->b.failed)
    rb_problem(&w->p, RB_USAGE, "memory", "not enough memory");
  return 0;
}

/* a plan that was kept: as the report of its dry run */
static void plan (const char *file, Work *w) {
  rb_Report r = {0};
  json_t *doc = rb_plan_read(file, &w->p);
  if (doc == NULL) return;
  rb_plan_report(doc, &r);
  if (w->o->json) {
    char *s = json_dumps(doc, JSON_INDENT(2));
    if (s != NULL) rb_buffer_puts(&w->b, s);
    rb_buffer_puts(&w->b, "\n");
    free(s);
  } else {
    rb_show_document(&r, w->o->markdown ? RB_MARKDOWN : w->o->html ? RB_HTML : RB_TEXT,
                     1, &w->b);
  }
  rb_report_close(&r);
  json_decref(doc);
}

int rb_cmd_show (int argc, char **argv) {
  char path[PATH_MAX];
  Options o = {0};
  rb_Arguments a;
  Work w = {.o = &o, .path = path};
  int status = rb_options_read(&rb_command_show, argc, argv, &o, &a);
  if (status != 0) return status;
  int isplan = rb_plan_is(a.words[0]);
  rb_Config *config = isplan ? NULL : rb_config_load(o.config, &w.p);
  if (isplan) plan(a.words[0], &w);
  else if (config != NULL &&
      rb_config_find(config, a.words[0], path, sizeof path, &w.p) == 0)
    rb_words_call(page, &w, &w.p);
  if (w.p.exit != 0) rb_show_problem(&w.p, o.json);
  else fwrite(w.b.s, 1, w.b.n, stdout);
  rb_buffer_free(&w.b);
  rb_config_free(config);
  rb_options_free(&a);
  return w.p.exit;
}
