/*
** apply.c - `runbook apply`: a plan that was kept is run, and nothing else
*/

#include <stdlib.h>
#include <string.h>

#include "vm/cli/cli.h"
#include "vm/run/options.h"
#include "vm/run/plan.h"
#include "vm/show/show.h"

typedef struct Line {
  rb_RunOptions o;
  const char *report;
} Line;

#define at(field) offsetof(Line, field)

static const rb_Option options[] = {
  {"allow-deferred", 0, RB_SWITCH, NULL, "do what the plan could not know, without asking",
   at(o.allow_deferred)},
  {"yes", 'y', RB_SWITCH, NULL, "confirm; never stands in for a manual step or a question",
   at(o.yes)},
  {"approved-by", 0, RB_LIST, "ROLE=WHO:NOTE", "another person agreed, and how you know",
   at(o.approved_by)},
  {"answers", 0, RB_VALUE, "FILE", "answers to questions: {\"id\": \"answer\"} as JSON",
   at(o.answers)},
  {"limit", 0, RB_LIST, "NAME=N", "lower a limit: pg_rows=100, redis_keys=3, ...",
   at(o.limits)},
  {"timeout", 0, RB_VALUE, "TIME", "end the run after this long: 10m, 90s", at(o.timeout)},
  {"json", 0, RB_SWITCH, NULL, "one JSON document on standard output, and nothing else",
   at(o.json)},
  {"report", 0, RB_VALUE, "FILE", "write a report at the end: .txt, .json, .md or .html",
   at(report)},
  {"no-color", 0, RB_SWITCH, NULL, "no colour (also: NO_COLOR)", at(o.nocolor)},
  {"config", 0, RB_VALUE, "FILE", "the configuration (also: RUNBOOK_CONFIG)", at(o.config)},
  {NULL, 0, RB_SWITCH, NULL, NULL, 0}
};

const rb_Command rb_command_apply = {
  .name = "apply", .takes = "PLAN [SECRET=VALUE]...",
  .summary = "run exactly what a plan says",
  .about = "Script, parameters, case and target are the plan's; only a secret parameter,\n"
           "which no plan holds, is given again. The run stops before the first remedy that\n"
           "is not in the plan, or that does not find what the plan found (exit 4). Where the\n"
           "plan was deferred it shows how it goes on and asks. A plan is applied once.",
  .example = "runbook apply plan.json\n"
             "runbook apply plan.json --allow-deferred --yes --json",
  .options = options, .min = 1, .max = -1, .main = rb_cmd_apply
};

static const char *textof (const json_t *o, const char *key) {
  return json_string_value(json_object_get(o, key));
}

/* the texts of a list, then those of another; NULL: no memory */
static const char **join (const json_t *list, const char *const *more, int n) {
  size_t k = json_array_size(list);
  const char **words = calloc(k + (size_t)n + 1, sizeof *words);
  for (size_t i = 0; words != NULL && i < k; i++)
    words[i] = json_string_value(json_array_get(list, i));
  for (int i = 0; words != NULL && i < n; i++) words[k + (size_t)i] = more[i];
  return words;
}

/* what only the plan may say is not said again */
static int checkwords (const json_t *plan, const char *const *words, rb_Problem *p) {
  for (; *words != NULL; words++) {
    size_t n = strcspn(*words, "="), i;
    json_t *name;
    int known = 0;
    json_array_foreach(json_object_get(plan, "secrets"), i, name)
      known |= strncmp(json_string_value(name), *words, n) == 0
               && json_string_value(name)[n] == '\0';
    if (!known)
      return rb_problem(p, RB_USAGE, "usage", "%.*s is fixed by the plan: apply takes only "
                        "its secret parameters; for other values make another plan",
                        (int)n, *words);
  }
  return 0;
}

static int checkplan (const json_t *doc, rb_Problem *p) {
  const json_t *plan = json_object_get(doc, "plan");
  const char *version = textof(plan, "version");
  json_int_t exit = json_integer_value(json_object_get(doc, "exit"));
  if (version == NULL || strcmp(version, RB_VERSION) != 0)
    return rb_problem(p, RB_STALE, "plan", "the plan was made by runbook %s and this is %s: "
                      "make the plan again", version != NULL ? version : "?", RB_VERSION);
  if (exit == RB_FAILED)
    return rb_problem(p, RB_STALE, "plan", "not all of this plan can be done: a step failed "
                      "or would be refused (runbook show PLAN says which)");
  return 0;
}

static int apply (Line *line, const json_t *doc, const rb_Arguments *a, rb_Problem *p) {
  const json_t *plan = json_object_get(doc, "plan");
  int nlimits = 0, status;
  while (line->o.limits[nlimits] != NULL) nlimits++;
  const char **words = join(json_object_get(plan, "words"), a->words + 1, a->n - 1),
    **cases = join(json_object_get(plan, "cases"), NULL, 0),
    **limits = join(json_object_get(plan, "limits"), line->o.limits, nlimits);
  line->o.file = textof(plan, "file");
  line->o.words = words;
  line->o.cases = cases;
  line->o.limits = limits;
  line->o.only = textof(plan, "only");
  line->o.from = textof(plan, "from");
  line->o.to = textof(plan, "to");
  line->o.no_notify = json_is_true(json_object_get(plan, "no_notify"));
  line->o.target = textof(doc, "target");
  line->o.apply = doc;
  if (words == NULL || cases == NULL || limits == NULL)
    status = rb_problem(p, RB_USAGE, "memory", "not enough memory");
  else status = rb_offer(&line->o, line->o.id, rb_run(&line->o));
  free(words);
  free(cases);
  free(limits);
  return status;
}

int rb_cmd_apply (int argc, char **argv) {
  char id[RB_RUNID] = "";
  Line line = {.o.id = id};
  rb_Arguments a;
  rb_Problem p = {0};
  json_t *doc = NULL;
  int status = rb_options_read(&rb_command_apply, argc, argv, &line, &a);
  if (status != 0) return status;
  if (rb_approved_check(line.o.approved_by, &p) == 0
      && (line.report == NULL || rb_report_check(line.report, &p) == 0)
      && (doc = rb_plan_read(a.words[0], &p)) != NULL && checkplan(doc, &p) == 0
      && checkwords(json_object_get(doc, "plan"), a.words + 1, &p) == 0)
    status = apply(&line, doc, &a, &p);
  if (p.exit != 0) {
    rb_show_problem(&p, a.json);
    status = p.exit;
  }
  status = rb_report_after(line.report, id, status);
  json_decref(doc);
  rb_options_free(&a);
  return status;
}
