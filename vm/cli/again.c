/*
** again.c - a run of the tape once more: what resume, undo and replay have in common
*/

#include <stdlib.h>
#include <string.h>

#include "vm/cli/cli.h"
#include "vm/replay.h"
#include "vm/run/options.h"

static int check (const rb_Replay *r, rb_Problem *p) {
  const rb_TapeRun *run = &r->run;
  if (run->mode != NULL && strcmp(run->mode, "dry-run") == 0)
    return rb_problem(p, RB_USAGE, "usage", "run %s is a dry run: it changed nothing, and "
                      "nothing of it can be taken up again", run->id);
  if (run->mode != NULL && strcmp(run->mode, "repl") == 0)
    return rb_problem(p, RB_USAGE, "usage", "run %s is a session at the prompt: what it "
                      "changed is taken back inside it (:undo)", run->id);
  if (run->pruned != 0)
    return rb_problem(p, RB_USAGE, "tape", "run %s was pruned: what it did is not on the tape "
                      "any more (runbook report %s)", run->id, run->id + 18);
  if (r->how == NULL)
    return rb_problem(p, RB_USAGE, "tape", "what run %s was asked for cannot be read (its "
                      "key is gone, or another version wrote it)", run->id);
  return 0;
}

int rb_again_policy (const char **policy, rb_Problem *p) {
  static const char *const policies[] = {"ask", "done", "retry", "skip", NULL};
  if (*policy == NULL) *policy = policies[0];
  for (const char *const *w = policies; *w != NULL; w++)
    if (strcmp(*w, *policy) == 0) return 0;
  return rb_problem(p, RB_USAGE, "usage", "--in-doubt takes ask, done, retry or skip, not "
                    "'%s'", *policy);
}

int rb_again_isrun (rb_Tape *t, const rb_TapeRun *run) {
  (void)t;
  return run->mode != NULL
         && (strcmp(run->mode, "run") == 0 || strcmp(run->mode, "apply") == 0);
}

rb_Replay *rb_again_load (const char *name, int again, rb_Applies applies,
                          rb_Problem *p) {
  char id[RB_RUNID];
  rb_Replay *r = NULL;
  rb_Tape *t = rb_pick_tape(p);
  if (t == NULL) return NULL;
  if (rb_pick_run(t, name, applies, id, p) == 0) r = rb_replay_load(t, id, again, p);
  rb_tape_close(t);
  if (r == NULL || check(r, p) == 0) return r;
  rb_replay_free(r);
  return NULL;
}

rb_Replay *rb_again_file (const char *file, rb_Problem *p) {
  rb_Replay *r = rb_replay_file(file, p);
  if (r == NULL || check(r, p) == 0) return r;
  rb_replay_free(r);
  return NULL;
}

static const char **listof (const rb_Replay *r, const char *key) {
  json_t *list = json_object_get(r->how, key);
  const char **words = calloc(json_array_size(list) + 1, sizeof *words);
  for (size_t i = 0; words != NULL && i < json_array_size(list); i++)
    words[i] = json_string_value(json_array_get(list, i));
  return words;
}

static const char *textof (const rb_Replay *r, const char *key) {
  return json_string_value(json_object_get(r->how, key));
}

int rb_again_run (rb_RunOptions *o, rb_Replay *r, const char *file, rb_Problem *p) {
  const char **words = listof(r, "words"), **cases = listof(r, "cases"),
    **limits = listof(r, "limits");
  static const char *const none[] = {NULL};
  int status = RB_USAGE;
  o->file = file != NULL ? file : textof(r, "file");
  o->words = words;
  o->cases = cases;
  o->limits = limits;
  o->only = textof(r, "only");
  o->from = textof(r, "from");
  o->to = textof(r, "to");
  o->no_notify = json_is_true(json_object_get(r->how, "no_notify"));
  o->target = r->run.target;
  o->resume = r;
  if (o->approved_by == NULL) o->approved_by = none;
  if (words == NULL || cases == NULL || limits == NULL)
    rb_problem(p, RB_USAGE, "memory", "not enough memory");
  else status = rb_run(o);
  free(words);
  free(cases);
  free(limits);
  return status;
}
