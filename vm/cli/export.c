/*
** export.c - `runbook tape export`: a run as a file that may leave
*/

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vm/cli/cli.h"
#include "vm/cli/tape.h"
#include "vm/replay.h"
#include "vm/run/options.h"
#include "vm/show/show.h"

static int check (const char *file, rb_Problem *p) {
  if (file == NULL)
    return rb_problem(p, RB_USAGE, "usage", "tape export takes -o FILE: where to (- is "
                      "standard output)");
  if (strcmp(file, "-") == 0 && isatty(STDOUT_FILENO))
    return rb_problem(p, RB_USAGE, "usage", "an export is compressed, and no text for a "
                      "terminal: -o FILE, or send it elsewhere");
  return 0;
}

int rb_tape_export (const char *run, const char *file, const char *config, int json) {
  rb_Problem p = {0};
  rb_RunOptions o = {.export = file, .config = config, .json = json};
  rb_Replay *r = check(file, &p) == 0 ? rb_again_load(run, 0, rb_again_isrun, &p) : NULL;
  int status = p.exit;
  if (r != NULL) {
    r->offline = 1;
    status = rb_again_run(&o, r, NULL, &p);
  }
  if (p.exit != 0) rb_show_problem(&p, json);
  else if (status == 0 && strcmp(file, "-") != 0)
    fprintf(stderr, "run %s is exported to %s\n", r->run.id, file);
  rb_replay_free(r);
  return p.exit != 0 ? p.exit : status;
}
