/*
** pick.c - which run is meant: by name, by a unique ending, or the last real one
*/

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vm/cli/cli.h"

/* No tape is no run; looking must not make one. */
rb_Tape *rb_pick_tape (rb_Problem *p) {
  char file[4096];
  if (!rb_tape_file(file, sizeof file)) {
    rb_problem(p, RB_USAGE, "tape", "there is no place for the tape: set HOME or "
               "XDG_STATE_HOME");
    return NULL;
  }
  if (access(file, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR)) {
    rb_problem(p, RB_USAGE, "usage", "nothing has been run yet: there is no tape "
               "%.800s", file);
    return NULL;
  }
  return rb_tape_open(file, p);
}

typedef struct Last {
  const char *who;
  char *id;
  rb_Tape *tape;
  rb_Applies applies;
} Last;

static int last (void *ud, const rb_TapeRun *run) {
  Last *l = ud;
  if (run->mode == NULL || strcmp(run->mode, "dry-run") == 0) return 0;
  if (run->who == NULL || strcmp(run->who, l->who) != 0) return 0;
  if (l->applies != NULL && !l->applies(l->tape, run)) return 0;
  snprintf(l->id, RB_RUNID, "%s", run->id);
  return 1;
}

int rb_pick_run (rb_Tape *t, const char *name, rb_Applies applies, char id[RB_RUNID],
                 rb_Problem *p) {
  struct passwd *pw = getpwuid(getuid());
  Last l = {.who = pw != NULL ? pw->pw_name : "unknown", .id = id,
            .tape = t, .applies = applies};
  *id = '\0';
  if (name != NULL) return rb_tape_find(t, name, id, p);
  if (rb_tape_runs(t, last, &l, p) != 0) return p->exit;
  if (*id != '\0') return 0;
  if (applies != NULL)
    return rb_problem(p, RB_USAGE, "usage", "%s has no run on the tape to which that "
                      "applies: see 'runbook history'", l.who);
  return rb_problem(p, RB_USAGE, "usage", "%s has no real run on the tape: name one "
                    "of 'runbook history', which lists dry runs, too", l.who);
}
