/*
** offer.c - a real run has failed, or was interrupted, and a person is there: what now?
**
** Retry is what `runbook resume` does, undo what `runbook undo` does, after it has been shown.
** What was said is on the run's tape. Without a terminal nobody is asked, and nothing is done.
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "vm/cli/cli.h"
#include "vm/repl/open.h"
#include "vm/replay.h"
#include "vm/run/options.h"
#include "vm/run/run.h"
#include "vm/show/show.h"

typedef enum Answer { QUIT, RETRY, UNDO, INSPECT } Answer;

static const char *const words[] = {
  [QUIT] = "leave it as it is", [RETRY] = "go on with it", [UNDO] = "take it back"
};

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

/* -- what a person says ------------------------------------------------------------- */

static Answer ask (const rb_RunOptions *o, int exit) {
  static const char letters[] = "qrui";
  rb_ShowOptions how = {.nocolor = o->nocolor};
  rb_Show *show = rb_show_open(&how);
  Answer is = QUIT;
  for (int asked = 0; !asked; ) {
    char *line = rb_ask_line(show, exit == RB_INTERRUPTED ?
      "[r]esume, [u]ndo or [q]uit?" : "[r]etry, [u]ndo, [i]nspect or [q]uit?", 0);
    const char *at = line == NULL || *line == '\0' ? letters : strchr(letters, *line | 0x20);
    asked = at != NULL;
    if (asked) is = (Answer)(at - letters);
    free(line);
  }
  rb_show_close(show);
  return is;
}

/* 0, or the exit code of the problem: the answer is on the tape of the run, which has ended
** as it had */
static int record (const rb_TapeClaim *c, Answer is, rb_Problem *p) {
  rb_Tape *t = rb_pick_tape(p);
  if (t == NULL) return p->exit;
  json_t *o = json_pack("{s:o}", "text", json_sprintf("%s was asked what to do with the "
                        "failed run: %s", rb_operator(), words[is]));
  char *text = json_dumps(o, JSON_COMPACT);
  rb_TapeEvent e = {.kind = "offered", .text = text};
  if (text == NULL) rb_problem(p, RB_USAGE, "memory", "not enough memory");
  else if (rb_tape_continue(t, c->run, p) == 0 && rb_tape_append(t, &e) != 0)
    rb_tape_end(t, c->status, c->exit, p);
  free(text);
  json_decref(o);
  rb_tape_close(t);
  return p->exit;
}

/* -- and what is done then ---------------------------------------------------------------- */

static int retry (const rb_RunOptions *o, const char *id, rb_Problem *p) {
  rb_RunOptions again = {.yes = o->yes, .approved_by = o->approved_by, .answers = o->answers,
                         .timeout = o->timeout, .nocolor = o->nocolor, .config = o->config,
                         .allow_deferred = o->allow_deferred};
  rb_Replay *r = rb_again_load(id, 1, rb_again_isrun, p);
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
  if (yes <= 0 || record(c, UNDO, p) != 0) return exit;
  int back = undo(o, c->run, 0, p);
  return back != RB_DONE ? back : exit;
}

int rb_offer (const rb_RunOptions *o, const char *id, int exit) {
  rb_TapeClaim c;
  rb_Problem p = {0};
  Answer is = RETRY;
  if (o->json || o->dry_run || !rb_ask_terminal()) return exit;
  while ((is == RETRY || is == INSPECT) && open(id, exit, &c)) {
    is = ask(o, exit);
    if (is == INSPECT) inspect(o, id, &p);
    else if (is == UNDO) exit = takeback(o, &c, exit, &p);
    else if (record(&c, is, &p) == 0 && is == RETRY) exit = retry(o, id, &p);
    if (p.exit == 0) continue;
    rb_show_problem(&p, 0);
    break;
  }
  return exit;
}
