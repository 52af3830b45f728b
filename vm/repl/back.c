/*
** back.c - :undo: the last change of the session, by its inverse
*/

#include <stdlib.h>
#include <string.h>

#include "vm/repl/repl.h"
#include "vm/replay.h"

/* the last deed that was done and not taken back; NULL: none */
static const rb_Taped *last (const rb_Repl *s, const rb_Replay *tape) {
  const rb_Taped *found = NULL;
  for (const rb_Taped *e = tape->list; e < tape->list + tape->n; e++)
    if (json_object_get(s->done, e->path) != NULL
        && (found == NULL || e->seq > found->seq)) found = e;
  return found;
}

/* Takes it back; what did that is no change of its own. */
static int takeback (rb_Repl *s, const rb_Taped *e) {
  int exit = 0;
  char title[300];
  if (!rb_undo_hasinverse(s->r.L, e)) {
    rb_repl_complain(s, "%s cannot be taken back: %s has no inverse", e->summary, e->verb);
    json_object_del(s->done, e->path);
    return RB_FAILED;
  }
  snprintf(title, sizeof title, "undo: %.280s", e->summary);
  rb_undo_push(s->r.L, e, 0);
  if (rb_repl_call(s, luaL_ref(s->r.L, LUA_REGISTRYINDEX), title, &exit) != RB_EVALDONE)
    return exit;
  const rb_StepRow *row = &s->r.report.steps[s->r.report.nsteps - 1];
  json_object_set_new(json_object_get(s->told, row->id), "undo", json_true());
  if (s->r.vm->dryrun) return 0;
  json_object_del(s->done, e->path);
  rb_record(s->r.vm, "undone", e->path, json_pack("{s:s}", "of", s->r.report.run));
  for (const rb_EffectRow *x = row->effects; x != NULL; x = x->next)
    json_object_del(s->done, x->path);
  return 0;
}

int rb_repl_undo (rb_Repl *s) {
  rb_Problem p = {0};
  rb_Run *r = &s->r;
  rb_Replay *tape = rb_tape_commit(r->vm->tape, &p) == 0
                    ? rb_replay_load(r->vm->tape, r->report.run, 0, &p) : NULL;
  if (tape == NULL) {
    rb_repl_complain(s, "%s", p.message);
    return RB_FAILED;
  }
  const rb_Taped *e = last(s, tape);
  int exit = 0;
  if (e == NULL) rb_repl_complain(s, "nothing of this session is left to be taken back");
  else exit = takeback(s, e);
  rb_replay_free(tape);
  return exit;
}
