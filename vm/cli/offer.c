/*
** offer.c - a real run has failed, or was interrupted, and a person is there: what now?
**
** Retry is what `runbook resume` does, undo what `runbook undo` does, after it has been shown.
** Skip leaves the step that failed as it is, and goes on with the next one: the run still
** fails. What was said is on the run's tape. Without a terminal nobody is asked, and nothing
** is done.
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "vm/cli/cli.h"
#include "vm/repl/open.h"
#include "vm/replay.h"
#include "vm/run/options.h"
#include "vm/run/recorded.h"
#include "vm/run/run.h"
#include "vm/show/show.h"

typedef enum Answer { QUIT, RETRY, UNDO, INSPECT, SKIP } Answer;

static const char *const words[] = {
  [QUIT] = "leave it as it is", [RETRY] = "go on with it", [UNDO] = "take it back"
};

/* the step at which it failed */
typedef struct Failed {
  char id[128], title[200], reason[1400];  /* an empty id: none that can be skipped */
  int n;
  int over;              /* it came to its end: all that failed was skipped */
} Failed;

/* -- what can be done -------------------------------------------------------------- */

static int claimof (const char *id, rb_TapeClaim *c) {
  rb_Problem p = {0};
  rb_Tape *t = rb_pick_tape(&p);
  int known = t != NULL && rb_tape_claim(t, id, c, &p) == 0 && c->known;
  rb_tape_close(t);
  return known;
}

/* Is there something to decide? What is in doubt is looked at by a resume first, and what
** changed nothing only needs to be run again. */
static int open (const char *id, int exit, rb_TapeClaim *c) {
  return (exit == RB_FAILED || exit == RB_STALE || exit == RB_INTERRUPTED)
         && claimof(id, c) && c->unfinished && c->changed && c->undo[0] == '\0';
}

static int doubtful (const rb_StepRow *row) {
  for (const rb_EffectRow *e = row->effects; e != NULL; e = e->next)
    if (e->outcome != NULL && strcmp(e->outcome, "in-doubt") == 0) return 1;
  return 0;
}

/* A plan that is applied is done as it is, or not; and what is in doubt is decided first. */
static void failedat (const rb_Report *rep, Failed *f) {
  const rb_StepRow *last = NULL;
  for (const rb_StepRow *row = rep->steps; row < rep->steps + rep->nsteps; row++) {
    if (doubtful(row)) return;
    if (row->ran) last = row;
  }
  if (last == NULL || last->status == NULL || strcmp(last->status, "failed") != 0
      || strcmp(rep->mode, "run") != 0 || rep->exit != RB_FAILED) return;
  f->n = last->n;
  snprintf(f->id, sizeof f->id, "%s", last->id);
  snprintf(f->title, sizeof f->title, "%s", last->title != NULL ? last->title : last->id);
  snprintf(f->reason, sizeof f->reason, "skipped by %s after: %s", rb_operator(),
           last->reason != NULL ? last->reason : "a failure without words");
}

/* 0: its tape cannot be read */
static int look (const char *id, Failed *f) {
  rb_Report rep;
  rb_Problem p = {0};
  rb_Tape *t = rb_pick_tape(&p);
  *f = (Failed){0};
  if (t == NULL) return 0;
  int status = rb_recorded(t, id, &rep, &p);
  f->over = strcmp(rep.error.kind, "skipped") == 0;
  if (status == 0) failedat(&rep, f);
  rb_report_close(&rep);
  rb_tape_close(t);
  return status == 0;
}

/* -- what a person says ------------------------------------------------------------- */

static Answer ask (const rb_RunOptions *o, int exit, const Failed *f) {
  const char *letters = f->id[0] != '\0' ? "qruis" : exit == RB_INTERRUPTED ? "qru" : "qrui";
  rb_ShowOptions how = {.nocolor = o->nocolor};
  rb_Show *show = rb_show_open(&how);
  Answer is = QUIT;
  for (int asked = 0; !asked; ) {
    char *line = rb_ask_line(show, exit == RB_INTERRUPTED ?
      "[r]esume, [u]ndo or [q]uit?" : f->id[0] != '\0' ?
      "[r]etry, [s]kip, [u]ndo, [i]nspect or [q]uit?" : "[r]etry, [u]ndo, [i]nspect or [q]uit?", 0);
    const char *at = line == NULL || *line == '\0' ? letters : strchr(letters, *line | 0x20);
    asked = at != NULL;
    if (asked) is = (Answer)(at - letters);
    free(line);
  }
  rb_show_close(show);
  return is;
}

static json_t *skipping (const Failed *f) {
  return json_pack("{s:s,s:s,s:o}", "by", rb_operator(), "reason", f->reason, "text",
                   json_sprintf("step %d, %s, is %s", f->n, f->title, f->reason));
}

/* 0, or the exit code of the problem: the answer is on the tape of the run, which has ended
** as it had */
static int record (const rb_TapeClaim *c, Answer is, const Failed *f, rb_Problem *p) {
  rb_Tape *t = rb_pick_tape(p);
  if (t == NULL) return p->exit;
  json_t *o = is == SKIP ? skipping(f) : json_pack("{s:o}", "text", json_sprintf(
    "%s was asked what to do with the failed run: %s", rb_operator(), words[is]));
  char *text = json_dumps(o, JSON_COMPACT);
  rb_TapeEvent e = {.kind = is == SKIP ? "skip" : "offered", .path = is == SKIP ? f->id : NULL,
                    .text = text};
  if (text == NULL) rb_problem(p, RB_USAGE, "memory", "not enough memory");
  else if (rb_tape_continue(t, c->run, p) == 0 && rb_tape_append(t, &e) != 0)
    rb_tape_end(t, c->status, c->exit, p);
  free(text);
  json_decref(o);
  rb_tape_close(t);
  return p->exit;
}

/* -- and what is done then ---------------------------------------------------------------- */

static int goon (const rb_RunOptions *o, const char *id, int redo, rb_Problem *p) {
  rb_RunOptions again = {.yes = o->yes, .approved_by = o->approved_by, .answers = o->answers,
                         .timeout = o->timeout, .nocolor = o->nocolor, .config = o->config,
                         .allow_deferred = o->allow_deferred};
  rb_Replay *r = rb_again_load(id, redo, rb_again_isrun, p);
  if (r == NULL) return p->exit;
  int exit = rb_resume_run(&again, r, NULL, p);
  rb_replay_free(r);
  return exit;
}

static int undo (const rb_RunOptions *o, const char *id, int dry, rb_Problem *p) {
  rb_RunOptions back = {.yes = 1, .nocolor = o->nocolor, .config = o->config,
                        .undo = RB_UNDO_OFFERED, .dry_run = dry};
  rb_Replay *r = rb_again_load(id, 0, rb_again_isrun, p);
  if (r == NULL) return p->exit;
  r->offline = 1;
  int exit = rb_again_run(&back, r, NULL, p);
  rb_replay_free(r);
  return exit;
}

/* Inside of the step that failed: the run is replayed to there, and stays as it is. */
static void inspect (const rb_RunOptions *o, const char *id, rb_Problem *p) {
  rb_ReplOptions how = {.config = o->config, .nocolor = o->nocolor, .help = rb_help_primitive};
  rb_Inspect look = {.open = rb_repl_inside, .ud = &how};
  rb_RunOptions run = {.nocolor = o->nocolor, .config = o->config, .inspect = &look};
  rb_Replay *r = rb_again_load(id, 0, rb_again_isrun, p);
  if (r == NULL) return;
  r->offline = 1;
  rb_again_run(&run, r, NULL, p);
  rb_replay_free(r);
}

/* It is shown first: who says yes has seen it. 'exit' where it was not, or all went well. */
static int takeback (const rb_RunOptions *o, const rb_TapeClaim *c, int exit, rb_Problem *p) {
  rb_ShowOptions how = {.nocolor = o->nocolor};
  int shown = undo(o, c->run, 1, p);
  if (p->exit != 0 || shown == RB_INTERRUPTED) return exit;
  rb_Show *show = rb_show_open(&how);
  int yes = rb_ask_yes(show, "Take that back?");
  rb_show_close(show);
  if (yes <= 0 || record(c, UNDO, NULL, p) != 0) return exit;
  int back = undo(o, c->run, 0, p);
  return back != RB_DONE ? back : exit;
}

/* 1: is there more to be asked? */
static int does (const rb_RunOptions *o, const rb_TapeClaim *c, Answer is, const Failed *f,
                 int *exit, rb_Problem *p) {
  if (is == INSPECT) inspect(o, c->run, p);
  else if (is == UNDO) *exit = takeback(o, c, *exit, p);
  else if (record(c, is, f, p) == 0 && is != QUIT) *exit = goon(o, c->run, is == RETRY, p);
  return is != UNDO && is != QUIT;
}

int rb_offer (const rb_RunOptions *o, const char *id, int exit) {
  rb_TapeClaim c;
  Failed f;
  rb_Problem p = {0};
  if (o->json || o->dry_run || !rb_ask_terminal()) return exit;
  for (int more = 1; more && open(id, exit, &c) && look(id, &f) && !f.over; ) {
    more = does(o, &c, ask(o, exit, &f), &f, &exit, &p);
    if (p.exit == 0) continue;
    rb_show_problem(&p, 0);
    break;
  }
  return exit;
}
