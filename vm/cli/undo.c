/*
** undo.c - `runbook undo`: takes back what a run did, the last of it first
*/

#include <stddef.h>
#include <string.h>

#include "vm/cli/cli.h"
#include "vm/replay.h"
#include "vm/run/options.h"
#include "vm/show/show.h"

typedef struct Options {
  const char *indoubt;
  rb_RunOptions o;
} Options;

#define at(field) offsetof(Options, field)

static const rb_Option options[] = {
  {"dry-run", 'n', RB_SWITCH, NULL, "show what it would take back, and change nothing",
   at(o.dry_run)},
  {"force", 0, RB_SWITCH, NULL, "even where somebody has changed it since", at(o.force)},
  {"in-doubt", 0, RB_VALUE, "ask|done|retry|skip", "what an undo that was killed left in "
   "doubt (ask)", at(indoubt)},
  {"yes", 'y', RB_SWITCH, NULL, "confirm on production", at(o.yes)},
  {"json", 0, RB_SWITCH, NULL, "one JSON document on standard output, and nothing else",
   at(o.json)},
  {"no-color", 0, RB_SWITCH, NULL, "no colour (also: NO_COLOR)", at(o.nocolor)},
  {"config", 0, RB_VALUE, "FILE", "the configuration (also: RUNBOOK_CONFIG)", at(o.config)},
  {NULL, 0, RB_SWITCH, NULL, NULL, 0}
};

static const char about[] =
  "RUN is a run's name, or an ending of it that no other run has (runbook history\n"
  "lists them); without one it is your last real run that changed something.\n"
  "\n"
  "Each change that the run made is taken back by its own inverse, from what the tape\n"
  "keeps of the state before it; a step's `undo` takes back what has none. What was\n"
  "changed by somebody else since is left alone (exit 4), unless --force. What cannot\n"
  "be taken back is named. An undo is a run of its own, on the tape; saying it again\n"
  "goes on with what is left, under the same name: of an undo that was killed in the middle\n"
  "nothing is done twice.";

const rb_Command rb_command_undo = {
  .name = "undo", .takes = "[RUN]",
  .summary = "take back what a run changed, the last of it first",
  .about = about,
  .example = "runbook undo --dry-run\nrunbook undo 0A822503",
  .options = options, .max = 1, .main = rb_cmd_undo
};

typedef struct Live { const char *run; int pid; } Live;

static int isit (void *ud, const char *run, int pid) {
  Live *l = ud;
  if (strcmp(run, l->run) == 0) l->pid = pid;
  return l->pid != 0;
}

/* 0, or RB_LOCKED: a process of this user still does it */
static int checklive (const char *run, rb_Problem *p) {
  Live l = {.run = run};
  rb_Tape *t = rb_pick_tape(p);
  if (t == NULL) return p->exit;
  if (rb_tape_live(t, isit, &l, p) == 0 && l.pid != 0)
    rb_problem(p, RB_LOCKED, "tape", "run %s is under way (process %d): wait for its end, or "
               "stop it with Ctrl-C; then it can be taken back", run, l.pid);
  rb_tape_close(t);
  return p->exit;
}

static int check (const rb_Replay *r, rb_Problem *p) {
  if (r->run.mode != NULL && strcmp(r->run.mode, "undo") == 0)
    return rb_problem(p, RB_USAGE, "usage", "run %s is an undo: to do it again, run the "
                      "runbook again", r->run.id);
  if (checklive(r->run.id, p) != 0) return p->exit;
  if (r->indoubt > 0 && r->run.status != NULL && strcmp(r->run.status, "abandoned") == 0)
    return rb_problem(p, RB_INDOUBT, "in-doubt", "run %s was abandoned with a change in "
                      "doubt: nobody can tell what there is to take back (runbook report %s "
                      "shows what it did)", r->run.id, r->run.id + 18);
  if (r->indoubt > 0)
    return rb_problem(p, RB_INDOUBT, "in-doubt", "run %s left a change in doubt: resume it "
                      "first (runbook resume %s), it will be looked at", r->run.id,
                      r->run.id + 18);
  return 0;
}

/* The run that is meant where none is named changed something. If all of that was taken
** back it is still the one: to say "undo" twice must not take back the run before it. */
static int something (rb_Tape *t, const rb_TapeRun *run) {
  rb_TapeClaim c;
  rb_Problem p = {0};
  return rb_again_isrun(t, run) && rb_tape_claim(t, run->id, &c, &p) == 0 && c.changed;
}

/* where no run has, the last one, of which that is said then */
static rb_Replay *load (const char *name, rb_Problem *p) {
  rb_Problem q = {0};
  rb_Replay *r = rb_again_load(name, 0, something, &q);
  if (r != NULL) return r;
  if (name == NULL) return rb_again_load(NULL, 0, rb_again_isrun, p);
  *p = q;
  return NULL;
}

/* On production a person confirms with what would be taken back on the screen. 0: not any
** more. */
static int showfirst (const Options *o, const rb_Replay *r, rb_Problem *p) {
  rb_RunOptions dry = o->o;
  if (strcmp(r->kind, "production") != 0 || o->o.yes || o->o.json || o->o.dry_run
      || !rb_ask_terminal()) return 1;
  rb_Replay *again = rb_again_load(r->run.id, 0, NULL, p);
  if (again == NULL) return 0;
  dry.dry_run = again->offline = dry.undo = 1;
  int status = rb_again_run(&dry, again, NULL, p);
  rb_replay_free(again);
  return p->exit == 0 && status != RB_INTERRUPTED;
}

int rb_cmd_undo (int argc, char **argv) {
  Options o = {0};
  rb_Arguments a;
  rb_Problem p = {0};
  rb_Replay *r = NULL;
  int status = rb_options_read(&rb_command_undo, argc, argv, &o, &a);
  if (status != 0) return status;
  if (rb_again_policy(&o.indoubt, &p) == 0) r = load(a.n > 0 ? a.words[0] : NULL, &p);
  if (r != NULL && check(r, &p) == 0) {
    r->policy = o.indoubt;
    r->offline = o.o.undo = 1;
    status = showfirst(&o, r, &p) ? rb_again_run(&o.o, r, NULL, &p) : RB_INTERRUPTED;
  }
  if (p.exit != 0) {
    rb_show_problem(&p, a.json);
    status = p.exit;
  }
  rb_replay_free(r);
  rb_options_free(&a);
  return status;
}
