/*
** tape.c - `runbook tape`: what is done with the tape itself
*/

#include <string.h>

#include "vm/cli/cli.h"
#include "vm/cli/tape.h"
#include "vm/show/show.h"

typedef struct Options {
  int json;
  const char *anchor;
} Options;

static const rb_Option options[] = {
  {"anchor", 'a', RB_VALUE, "FILE", "verify: hold all runs against this file, then add to it",
   offsetof(Options, anchor)},
  {"json", 0, RB_SWITCH, NULL, "one JSON document on standard output",
   offsetof(Options, json)},
  {NULL, 0, RB_SWITCH, NULL, NULL, 0}
};

const rb_Command rb_command_tape = {
  .name = "tape", .takes = "verify [RUN]",
  .summary = "verify the tape itself",
  .about = "verify [RUN]           recompute the hash chains; the same as runbook verify\n"
           "verify --anchor FILE   ... and hold them against FILE, then bring that up to date",
  .example = "runbook tape verify --anchor /mnt/audit/kim.anchor",
  .options = options, .min = 1, .max = 2, .main = rb_cmd_tape
};

int rb_cmd_tape (int argc, char **argv) {
  Options o = {0};
  rb_Arguments a;
  rb_Problem p = {0};
  int status = rb_options_read(&rb_command_tape, argc, argv, &o, &a);
  if (status != 0) return status;
  const char *verb = a.words[0], *run = a.n > 1 ? a.words[1] : NULL;
  if (strcmp(verb, "verify") == 0) status = rb_verify(run, o.anchor, o.json);
  else status = rb_problem(&p, RB_USAGE, "usage", "tape takes verify, not '%s'", verb);
  if (p.exit != 0) rb_show_problem(&p, o.json);
  rb_options_free(&a);
  return status;
}
