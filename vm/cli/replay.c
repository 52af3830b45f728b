/*
** replay.c - `runbook replay`: a run again, from the tape alone
*/

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "vm/cli/cli.h"
#include "vm/replay.h"
#include "vm/run/options.h"
#include "vm/show/show.h"

typedef struct Options {
  const char *with;
  rb_RunOptions o;
} Options;

#define at(field) offsetof(Options, field)

static const rb_Option options[] = {
  {"with", 0, RB_VALUE, "FILE", "an edited script against the same tape", at(with)},
  {"json", 0, RB_SWITCH, NULL, "one JSON document on standard output, and nothing else",
   at(o.json)},
  {"no-color", 0, RB_SWITCH, NULL, "no colour (also: NO_COLOR)", at(o.nocolor)},
  {"config", 0, RB_VALUE, "FILE", "the configuration (also: RUNBOOK_CONFIG)", at(o.config)},
  {NULL, 0, RB_SWITCH, NULL, NULL, 0}
};

const rb_Command rb_command_replay = {
  .name = "replay", .takes = "[RUN|FILE]",
  .summary = "run a script again from the tape alone, without touching anything",
  .about = "RUN is a run's name, or an ending of it that no other run has (runbook\n"
           "history lists them); without one it is your last real run. Every effect gets\n"
           "the outcome that the tape has; nothing is connected and nothing recorded. Exit\n"
           "0 where the script asks for the same effects, to where the tape ends; 4 at the\n"
           "first one that differs, which is shown.\n"
           "FILE is a run that 'runbook tape export' wrote: a name with a slash, or one that\n"
           "ends in .tape. The configuration has to know its target and systems; their URLs\n"
           "are not used.",
  .example = "runbook replay\nrunbook replay 0A822503 --with edited.lua\n"
             "runbook replay incident.tape --with edited.lua",
  .options = options, .max = 1, .main = rb_cmd_replay
};

static int isfile (const char *name) {
  size_t n = strlen(name);
  return strchr(name, '/') != NULL || (n > 5 && strcmp(name + n - 5, ".tape") == 0);
}

int rb_cmd_replay (int argc, char **argv) {
  char path[PATH_MAX];
  Options o = {0};
  rb_Arguments a;
  rb_Problem p = {0};
  int status = rb_options_read(&rb_command_replay, argc, argv, &o, &a);
  if (status != 0) return status;
  const char *name = a.n > 0 ? a.words[0] : NULL;
  rb_Replay *r = name != NULL && isfile(name) ? rb_again_file(name, &p)
                 : rb_again_load(name, 0, rb_again_isrun, &p);
  if (r != NULL && o.with != NULL) {
    if (realpath(o.with, path) == NULL)
      rb_problem(&p, RB_USAGE, "usage", "--with: there is no file %s", o.with);
    json_object_del(r->how, "files");
  }
  if (r != NULL && p.exit == 0) {
    r->offline = 1;
    status = rb_again_run(&o.o, r, o.with != NULL ? path : NULL, &p);
  }
  if (p.exit != 0) {
    rb_show_problem(&p, a.json);
    status = p.exit;
  }
  rb_replay_free(r);
  rb_options_free(&a);
  return status;
}
