/*
** run.c - `runbook run`: its options
*/

#include <stdlib.h>
#include <string.h>

#include "vm/cli/cli.h"
#include "vm/run/options.h"
#include "vm/show/show.h"

/* what the line holds, and the words of --set beside it */
typedef struct Line {
  rb_RunOptions o;
  const char *const *set;
  const char *report;
} Line;

#define at(field) offsetof(Line, field)

static const rb_Option options[] = {
  {"dry-run", 'n', RB_SWITCH, NULL, "show what it would do, and change nothing",
   at(o.dry_run)},
  {"target", 't', RB_VALUE, "TARGET", "where to run it (default: the configuration's)",
   at(o.target)},
  {"set", 0, RB_LIST, "NAME=VALUE", "a parameter, as a word NAME=VALUE is", at(set)},
  {"case", 0, RB_LIST, "CASE", "take this case, without asking its 'when'", at(o.cases)},
  {"only", 0, RB_VALUE, "STEP", "run this step alone, by its id or number; others only look",
   at(o.only)},
  {"from", 0, RB_VALUE, "STEP", "begin with this step", at(o.from)},
  {"to", 0, RB_VALUE, "STEP", "end after this step", at(o.to)},
  {"yes", 'y', RB_SWITCH, NULL, "confirm; never stands in for a manual step or a question",
   at(o.yes)},
  {"approved-by", 0, RB_LIST, "ROLE=WHO:NOTE", "another person agreed, and how you know",
   at(o.approved_by)},
  {"answers", 0, RB_VALUE, "FILE", "answers to questions: {\"id\": \"answer\"} as JSON",
   at(o.answers)},
  {"limit", 0, RB_LIST, "NAME=N", "lower a limit: pg_rows=100, redis_keys=3, ...",
   at(o.limits)},
  {"timeout", 0, RB_VALUE, "TIME", "end the run after this long: 10m, 90s", at(o.timeout)},
  {"no-notify", 0, RB_SWITCH, NULL, "send no notices", at(o.no_notify)},
  {"require-layers", 0, RB_SWITCH, NULL, "refuse a dry run that not every layer protects",
   at(o.require_layers)},
  {"output", 'o', RB_VALUE, "PLAN", "with --dry-run: keep the plan, to review and apply it",
   at(o.plan)},
  {"json", 0, RB_SWITCH, NULL, "one JSON document on standard output, and nothing else",
   at(o.json)},
  {"report", 0, RB_VALUE, "FILE", "write a report at the end: .txt, .json, .md or .html",
   at(report)},
  {"no-color", 0, RB_SWITCH, NULL, "no colour (also: NO_COLOR)", at(o.nocolor)},
  {"config", 0, RB_VALUE, "FILE", "the configuration (also: RUNBOOK_CONFIG)", at(o.config)},
  {NULL, 0, RB_SWITCH, NULL, NULL, 0}
};

static const char about[] =
  "FILE is a path, or a NAME that is looked up in the folders of the configuration\n"
  "(runbook list).\n"
  "\n"
  "Exit codes:\n"
  RB_EXITCODES;

/* Words of the line after the file, then those of --set; NULL: no memory. */
static const char **joinwords (const rb_Arguments *a, const char *const *set) {
  size_t n = 0;
  while (set[n] != NULL) n++;
  const char **words = calloc((size_t)a->n + n, sizeof *words);
  if (words == NULL) return NULL;
  for (int i = 1; i < a->n; i++) words[i - 1] = a->words[i];
  for (size_t i = 0; i < n; i++) words[(size_t)a->n - 1 + i] = set[i];
  return words;
}

/* --approved-by that names no role would never count: better said at once */
int rb_approved_check (const char *const *given, rb_Problem *p) {
  for (; *given != NULL; given++) {
    const char *eq = strchr(*given, '=');
    if (eq == NULL || eq == *given || eq[1] == '\0' || eq[1] == ':')
      return rb_problem(p, RB_USAGE, "usage", "--approved-by takes ROLE=WHO:NOTE, such "
                        "as cto=ada:\"phone 03:12\", not '%s'", *given);
  }
  return 0;
}

/* `plan` is a dry run that is kept; a real run keeps nothing */
static int checkplan (const rb_Command *c, const Line *line, rb_Problem *p) {
  if (c == &rb_command_plan && line->o.plan == NULL)
    return rb_problem(p, RB_USAGE, "usage", "plan takes -o FILE: where the plan is kept");
  if (line->o.plan != NULL && !line->o.dry_run)
    return rb_problem(p, RB_USAGE, "usage", "-o keeps the plan of a dry run: add --dry-run "
                      "(or use runbook plan)");
  return 0;
}

static int command (const rb_Command *c, int argc, char **argv) {
  char id[RB_RUNID] = "";
  Line line = {.o.id = id};
  rb_Arguments a;
  rb_Problem p = {0};
  int status = rb_options_read(c, argc, argv, &line, &a);
  if (status != 0) return status;
  if (c == &rb_command_plan) line.o.dry_run = 1;
  if (rb_approved_check(line.o.approved_by, &p) != 0 || checkplan(c, &line, &p) != 0
      || (line.report != NULL && rb_report_check(line.report, &p) != 0)) {
    rb_show_problem(&p, a.json);
    rb_options_free(&a);
    return p.exit;
  }
  const char **words = joinwords(&a, line.set);
  if (words != NULL) {
    line.o.file = a.words[0];
    line.o.words = words;
    status = rb_run(&line.o);
    status = rb_report_after(line.report, id, rb_offer(&line.o, id, status));
  } else {
    status = rb_problem(&p, RB_USAGE, "memory", "not enough memory");
    rb_show_problem(&p, a.json);
  }
  free((void *)words);
  rb_options_free(&a);
  return status;
}

int rb_cmd_run (int argc, char **argv) { return command(&rb_command_run, argc, argv); }

int rb_cmd_plan (int argc, char **argv) { return command(&rb_command_plan, argc, argv); }

const rb_Command rb_command_plan = {
  .name = "plan", .takes = "FILE|NAME [NAME=VALUE]... -o PLAN",
  .summary = "a dry run whose plan is kept, to be reviewed and applied",
  .about = "The same as run --dry-run -o PLAN. runbook show PLAN prints it (--markdown for a\n"
           "pull request), runbook apply PLAN runs exactly that. A plan that is there\n"
           "already is replaced; another file is left alone.\n"
           "\n"
           "Exit codes: those of the dry run.",
  .example = "runbook plan tenant_isolation tenant=greenwood_high -o plan.json",
  .options = options, .min = 1, .max = -1, .main = rb_cmd_plan
};

const rb_Command rb_command_run = {
  .name = "run", .takes = "FILE|NAME [NAME=VALUE]...",
  .summary = "run a runbook, or show what it would do (--dry-run)",
  .about = about,
  .example = "runbook run tenant_isolation tenant=greenwood_high --dry-run\n"
             "runbook run tenant_isolation tenant=greenwood_high --case isolate",
  .options = options, .min = 1, .max = -1, .main = rb_cmd_run
};
