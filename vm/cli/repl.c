/*
** repl.c - `runbook repl`: an investigation at a prompt
*/

#include "vm/cli/cli.h"
#include "vm/repl/open.h"
#include "vm/show/show.h"

#define at(field) offsetof(rb_ReplOptions, field)

static const rb_Option options[] = {
  {"target", 't', RB_VALUE, "TARGET", "the target (default: the configuration's)", at(target)},
  {"at", 0, RB_VALUE, "STEP", "inside of a runbook, before that step (its id or number)", at(at)},
  {"live", 0, RB_SWITCH, NULL, "remedies are for real for the first ten minutes", at(live)},
  {"yes", 'y', RB_SWITCH, NULL, "arm a production target without a question", at(yes)},
  {"no-color", 0, RB_SWITCH, NULL, "plain text (also: NO_COLOR)", at(nocolor)},
  {"config", 0, RB_VALUE, "FILE", "the configuration (also: RUNBOOK_CONFIG)", at(config)},
  {NULL, 0, RB_SWITCH, NULL, NULL, 0}
};

const rb_Command rb_command_repl = {
  .name = "repl", .takes = "[NAME --at STEP [NAME=VALUE]...]",
  .summary = "look around at a prompt, read-only until you say otherwise",
  .about = "Every primitive, on the systems of a target: `erp = system \"school_erp\"`, then\n"
           "`erp.redis:get \"k\"`. An expression is shown, rows as a table. Remedies are\n"
           "previewed, with before and after; `:live 10m the reason` makes them real for a\n"
           "time, and :undo takes the last one back. :help lists the rest. All of it is on\n"
           "the tape, as the run of a runbook is.\n"
           "With a runbook's name and --at it opens before that step: those before it are run\n"
           "as in a dry run, and `run` and the runbook's own variables are there.\n"
           "From a pipe it reads statements, prints what they return and ends at the first\n"
           "that fails (exit 1).",
  .example = "runbook repl --target staging\n"
             "runbook repl tenant_isolation --at 3 tenant=greenwood_high\n"
             "echo 'system(\"school_erp\").redis:ttl \"tenant:blocked:riverside\"' | runbook repl",
  .options = options, .min = 0, .max = -1, .main = rb_cmd_repl
};

int rb_cmd_repl (int argc, char **argv) {
  rb_ReplOptions o = {.help = rb_help_primitive};
  rb_Arguments a;
  int status = rb_options_read(&rb_command_repl, argc, argv, &o, &a);
  if (status != 0) return status;
  rb_Problem p = {0};
  if ((a.n > 0) != (o.at != NULL))
    rb_problem(&p, RB_USAGE, "usage", "a runbook and --at STEP belong together: "
               "runbook repl tenant_isolation --at 2 tenant=greenwood_high");
  o.file = a.n > 0 ? a.words[0] : NULL;
  o.words = (const char *const *)a.words + (a.n > 0);
  if (p.exit != 0) rb_show_problem(&p, 0);
  status = p.exit != 0 ? p.exit : o.at != NULL ? rb_repl_at(&o) : rb_repl(&o);
  rb_options_free(&a);
  return status;
}
