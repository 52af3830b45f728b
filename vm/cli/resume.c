/*
** resume.c - `runbook resume`: an unfinished run goes on where it stopped
*/

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/cli/cli.h"
#include "vm/replay.h"
#include "vm/run/options.h"
#include "vm/show/show.h"

typedef struct Options {
  const char *with, *indoubt;
  rb_RunOptions o;
} Options;

#define at(field) offsetof(Options, field)

static const rb_Option options[] = {
  {"in-doubt", 0, RB_VALUE, "ask|done|retry|skip", "a change of which nobody can tell "
   "(default: ask)", at(indoubt)},
  {"with", 0, RB_VALUE, "FILE", "go on with an edited script: the same up to here",
   at(with)},
  {"yes", 'y', RB_SWITCH, NULL, "confirm; never stands in for a manual step or a question",
   at(o.yes)},
  {"approved-by", 0, RB_LIST, "ROLE=WHO:NOTE", "another person agreed, and how you know",
   at(o.approved_by)},
  {"answers", 0, RB_VALUE, "FILE", "answers to questions: {\"id\": \"answer\"} as JSON",
   at(o.answers)},
  {"timeout", 0, RB_VALUE, "TIME", "end the run after this long: 10m, 90s", at(o.timeout)},
  {"allow-deferred", 0, RB_SWITCH, NULL, "of an applied plan: do what it could not know",
   at(o.allow_deferred)},
  {"json", 0, RB_SWITCH, NULL, "one JSON document on standard output, and nothing else",
   at(o.json)},
  {"no-color", 0, RB_SWITCH, NULL, "no colour (also: NO_COLOR)", at(o.nocolor)},
  {"config", 0, RB_VALUE, "FILE", "the configuration (also: RUNBOOK_CONFIG)", at(o.config)},
  {NULL, 0, RB_SWITCH, NULL, NULL, 0}
};

static const char about[] =
  "RUN is a run's name, or an ending of it that no other run has (runbook history\n"
  "lists them); without one it is your last real run.\n"
  "\n"
  "The script runs again from its beginning, with what the tape says of each effect in\n"
  "place of the effect, up to where the run stopped. From there on it is live. A change\n"
  "that was under way is looked at first; what cannot be told is asked. The step that\n"
  "failed is done again. The script is the one that the tape keeps, even if its file\n"
  "was edited since; --with FILE goes on with another one.";

const rb_Command rb_command_resume = {
  .name = "resume", .takes = "[RUN]",
  .summary = "go on with a run that was interrupted, failed or killed",
  .about = about,
  .example = "runbook resume\nrunbook resume 0A822503 --in-doubt=done",
  .options = options, .max = 1, .main = rb_cmd_resume
};

/* what was taken back is on the tape as done: the run cannot go on from there */
static int settled (const rb_TapeRun *run, rb_Problem *p) {
  rb_TapeClaim c;
  rb_Tape *t = rb_pick_tape(p);
  if (t == NULL) return p->exit;
  int bad = rb_tape_claim(t, run->id, &c, p);
  rb_tape_close(t);
  if (bad) return p->exit;
  if (strcmp(c.status, "abandoned") == 0)
    return rb_problem(p, RB_USAGE, "usage", "run %s was abandoned: run the runbook again",
                      run->id);
  if (c.undone)
    return rb_problem(p, RB_USAGE, "usage", "run %s was taken back (by %s): run the runbook "
                      "again", run->id, c.undo);
  if (c.undo[0] != '\0')
    return rb_problem(p, RB_USAGE, "usage", "run %s was taken back in part (by %s): runbook "
                      "undo %s goes on with what is left", run->id, c.undo, run->id + 18);
  return 0;
}

/* may this run go on? */
static int check (const rb_Replay *r, rb_Problem *p) {
  const rb_TapeRun *run = &r->run;
  if (run->mode != NULL && strcmp(run->mode, "undo") == 0)
    return rb_problem(p, RB_USAGE, "usage", "run %s takes another one back: say 'runbook "
                      "undo' again, it goes on with what is left", run->id);
  if (run->ended != 0 && run->status != NULL && strcmp(run->status, "done") == 0)
    return rb_problem(p, RB_USAGE, "usage", "run %s is done: there is nothing to go on "
                      "with", run->id);
  if (r->cameout)
    return rb_problem(p, RB_USAGE, "usage", "run %s came to its end, but for what failed and was "
                      "skipped: there is nothing to go on with (runbook undo %s takes it back, "
                      "runbook abandon %s leaves it)", run->id, run->id + 18, run->id + 18);
  return settled(run, p);
}

/* the run that is meant where none is named: not one that only met a lock */
static int unfinished (rb_Tape *t, const rb_TapeRun *run) {
  rb_TapeClaim c;
  rb_Problem p = {0};
  return rb_again_isrun(t, run) && rb_tape_claim(t, run->id, &c, &p) == 0 && c.unfinished
         && c.undo[0] == '\0' && (c.exit != RB_LOCKED || c.changed);
}

/* the edited script takes the place of the run's; what it requires is read anew */
static int edited (rb_Replay *r, const char *file, char path[PATH_MAX], rb_Problem *p) {
  if (realpath(file, path) == NULL)
    return rb_problem(p, RB_USAGE, "usage", "--with: there is no file %s", file);
  json_object_del(r->how, "files");
  return 0;
}

int rb_resume_run (rb_RunOptions *o, rb_Replay *r, const char *with, rb_Problem *p) {
  char path[PATH_MAX];
  o->apply = json_object_get(r->how, "plan");
  if (!json_is_object(o->apply)) o->apply = NULL;
  o->allow_deferred |= json_is_true(json_object_get(r->how, "allow_deferred"));
  if (check(r, p) != 0 || (with != NULL && edited(r, with, path, p) != 0)) return p->exit;
  return rb_again_run(o, r, with != NULL ? path : NULL, p);
}

static int goon (Options *o, rb_Replay *r, rb_Problem *p) {
  char id[RB_RUNID];
  snprintf(id, sizeof id, "%s", r->run.id);
  r->policy = o->indoubt;
  int status = rb_resume_run(&o->o, r, o->with, p);
  return p->exit == 0 ? rb_offer(&o->o, id, status) : status;
}

int rb_cmd_resume (int argc, char **argv) {
  Options o = {0};
  rb_Arguments a;
  rb_Problem p = {0};
  int status = rb_options_read(&rb_command_resume, argc, argv, &o, &a);
  if (status != 0) return status;
  rb_Replay *r = rb_again_policy(&o.indoubt, &p) == 0 ?
    rb_again_load(a.n > 0 ? a.words[0] : NULL, 1, unfinished, &p) : NULL;
  if (r != NULL) status = goon(&o, r, &p);
  if (p.exit != 0) {
    rb_show_problem(&p, a.json);
    status = p.exit;
  }
  rb_replay_free(r);
  rb_options_free(&a);
  return status;
}
