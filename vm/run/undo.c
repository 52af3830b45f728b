/*
** undo.c - takes a run back: its deeds, the last one first
**
** The run's script is replayed offline, so that `run` is again what its steps made of
** it; then a run of its own begins. A deed with an inverse is taken back by that (one
** remedy, through the gate like any other); the others by their step's `undo`, once,
** with run.done; what has neither is named and left. Each deed is taken back only
** while the world is as the deed left it. Which ones have been is on the tape, so a
** second undo goes on where the first one stopped, and a third has nothing to do. What
** goes on is the same run, resumed like any other: what it did is replayed, and what
** it left in doubt is looked at.
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/replay.h"
#include "vm/run/run.h"

typedef struct Undo {
  rb_Run *r;
  rb_Replay *replay;
  rb_Replay *half;                 /* an earlier undo, which goes on; NULL: a new one */
  const rb_Taped **deeds; int n;   /* still to be taken back, the last one first */
  int taken, left;
  int offered;                     /* steps whose undo is to be asked for are left alone */
  int deferred;                    /* a dry run does not know the rest of this step */
} Undo;

/* -- which deeds --------------------------------------------------------------------- */

/* "undone" events of earlier undos of this run, but for the one that goes on */
typedef struct Earlier {
  rb_Tape *tape;
  const char *run, *half;
  json_t *paths;
  rb_Problem *p;
} Earlier;

static int undone (void *ud, const rb_TapeRow *row) {
  Earlier *e = ud;
  if (strcmp(row->event.kind, "undone") == 0 && row->event.path != NULL)
    json_object_set_new(e->paths, row->event.path, json_true());
  return 0;
}

/* the name of an undo of that run */
static int isundo (const rb_TapeRun *run, const char *of) {
  json_t *params = run->params != NULL ? json_loads(run->params, 0, NULL) : NULL;
  const char *name = json_string_value(json_object_get(params, "undo"));
  int is = run->mode != NULL && strcmp(run->mode, "undo") == 0 && name != NULL
           && strcmp(name, of) == 0;
  json_decref(params);
  return is;
}

static int addundo (void *ud, const rb_TapeRun *run) {
  Earlier *e = ud;
  json_t *ids = json_object_get(e->paths, "");
  if (isundo(run, e->run) && strcmp(run->id, e->half) != 0)
    json_array_append_new(ids, json_string(run->id));
  return 0;
}

static json_t *earlier (rb_Tape *t, const char *run, const char *half, rb_Problem *p) {
  Earlier e = {t, run, half, json_object(), p};
  size_t i;
  json_t *id;
  json_object_set_new(e.paths, "", json_array());
  if (rb_tape_runs(t, addundo, &e, p) != 0) return e.paths;
  json_array_foreach(json_object_get(e.paths, ""), i, id)
    if (rb_tape_events(t, json_string_value(id), undone, &e, p) != 0) break;
  return e.paths;
}

static int later (const void *a, const void *b) {
  const rb_Taped *x = *(const rb_Taped *const *)a, *y = *(const rb_Taped *const *)b;
  return x->seq < y->seq ? 1 : x->seq > y->seq ? -1 : 0;
}

static int collect (Undo *u, rb_Problem *p) {
  const rb_Replay *re = u->replay;
  json_t *paths = earlier(u->r->vm->tape, re->run.id,
                          u->half != NULL ? u->half->run.id : "", p);
  u->deeds = calloc((size_t)re->n + 1, sizeof *u->deeds);
  for (const rb_Taped *e = re->list; u->deeds != NULL && e < re->list + re->n; e++)
    if (e->deed && !e->within && !e->waited && e->seq != 0 && (!e->failed || e->partly)
        && !e->unchanged && json_object_get(paths, e->path) == NULL)
      u->deeds[u->n++] = e;
  json_decref(paths);
  if (u->deeds == NULL) return rb_problem(p, RB_USAGE, "memory", "not enough memory");
  qsort(u->deeds, (size_t)u->n, sizeof *u->deeds, later);
  return p->exit;
}

/* The last undo of the run, where it took something back and did not come to its end. */
static int findhalf (Undo *u, rb_Problem *p) {
  rb_TapeClaim c;
  rb_Tape *t = u->r->vm->tape;
  if (rb_tape_claim(t, u->replay->run.id, &c, p) != 0) return p->exit;
  if (c.undo[0] == '\0' || c.undone) return 0;
  u->half = rb_replay_load(t, c.undo, 1, p);
  if (u->half != NULL) u->half->policy = u->replay->policy;
  u->offered |= u->half != NULL && json_is_true(json_object_get(u->half->how, "offered"));
  return p->exit;
}

/* -- one deed ----------------------------------------------------------------------------- */

/* [-0, +1, v]  the resource "school_erp.redis", or the functions of "file" */
static void pushtarget (lua_State *L, const char *target) {
  char system[128];
  const char *dot = strrchr(target, '.');
  if (dot == NULL) {
    lua_getglobal(L, target);
    return;
  }
  snprintf(system, sizeof system, "%.*s", (int)(dot - target), target);
  rb_push_resource(L, system, dot + 1);
}

static int back (lua_State *L, int status, lua_KContext ctx) {
  (void)status; (void)ctx;
  rb_taskof(L)->undoing = NULL;
  return 0;
}

/* fn(run): the inverse of the deed that is upvalue 1 */
static int takeback (lua_State *L) {
  const rb_Taped *e = lua_touserdata(L, lua_upvalueindex(1));
  int force = lua_toboolean(L, lua_upvalueindex(2));
  rb_replay_intent(L, e);
  lua_getfield(L, -1, "inverse");
  int inverse = lua_gettop(L), n = (int)lua_rawlen(L, inverse);
  luaL_checkstack(L, n + 10, "too many arguments");
  pushtarget(L, e->target);
  int target = lua_gettop(L);
  lua_rawgeti(L, inverse, 1);
  lua_gettable(L, target);
  int self = lua_isuserdata(L, target);
  if (self) lua_pushvalue(L, target);
  for (int i = 2; i <= n; i++) lua_rawgeti(L, inverse, i);
  rb_taskof(L)->undoing = force ? NULL : e;
  lua_callk(L, n - 1 + self, 0, 0, back);
  return back(L, LUA_OK, 0);
}

void rb_undo_push (lua_State *L, const rb_Taped *e, int force) {
  lua_pushlightuserdata(L, (void *)e);
  lua_pushboolean(L, force);
  lua_pushcclosure(L, takeback, 2);
}

int rb_undo_hasinverse (lua_State *L, const rb_Taped *e) {
  int top = lua_gettop(L);
  rb_replay_intent(L, e);
  int has = lua_istable(L, -1) && lua_getfield(L, -1, "inverse") == LUA_TTABLE;
  lua_settop(L, top);
  return has;
}

/* -- one step ------------------------------------------------------------------------------- */

/* "block-its-traffic" of "block-its-traffic/remedy/1" */
static int ofstep (const rb_Taped *e, const char *id) {
  size_t n = strlen(id);
  return strncmp(e->path, id, n) == 0 && e->path[n] == '/';
}

/* [-0, +0, m]  run.done: the step's deeds that have no inverse of their own */
static void setdone (Undo *u, const char *id) {
  lua_State *L = u->r->L;
  int k = 0;
  lua_newtable(L);
  for (int i = u->n - 1; i >= 0; i--) {
    const rb_Taped *e = u->deeds[i];
    if (!ofstep(e, id) || e->notice || rb_undo_hasinverse(L, e)) continue;
    lua_createtable(L, 0, 4);
    lua_pushboolean(L, e->failed);
    lua_setfield(L, -2, "failed");
    lua_pushstring(L, e->verb);
    lua_setfield(L, -2, "verb");
    lua_pushstring(L, e->target);
    lua_setfield(L, -2, "target");
    lua_pushstring(L, e->summary);
    lua_setfield(L, -2, "summary");
    lua_rawseti(L, -2, ++k);
  }
  rb_object_set(u->r, "done");
}

/* why the step ended so; a dry run goes on with the others */
static void ended (Undo *u, rb_StepRow *row, const rb_FieldEnd *end, int deferred) {
  rb_Run *r = u->r;
  free(row->reason);
  row->reason = strdup(end->reason);
  u->deferred |= deferred;
  r->undecided += deferred;
  if (deferred) return;
  rb_problem(&r->report.error, rb_field_exit(r, end), end->kind, "%s", end->reason);
  free(r->report.errorstep);
  r->report.errorstep = strdup(row->id);
}

/* runs one function under the step's name; 1: it succeeded */
static int field (Undo *u, rb_StepRow *row, int fn, int k) {
  rb_FieldEnd end;
  char path[200];
  rb_Run *r = u->r;
  snprintf(path, sizeof path, "%s/undo/%d", row->id, k);
  rb_FieldSpec spec = {.fn = fn, .word = "undo", .path = path,
                       .may = RB_MAYPROBE | RB_MAYREMEDY, .row = row};
  row->field = spec.word;
  rb_field_run(r, &spec, &end);
  int deferred = r->vm->dryrun && end.end == RB_STOPPEDEND && end.stop == RB_DEFER;
  int fine = end.end == RB_ENDED || deferred;
  if (end.deeds > 0) r->started = 1;
  if (end.end != RB_ENDED) ended(u, row, &end, deferred);
  rb_field_clear(&end);
  return fine;
}

static void tapeundone (Undo *u, const rb_Taped *e) {
  u->taken++;
  if (!u->r->vm->dryrun)
    rb_record(u->r->vm, "undone", e->path, json_pack("{s:s}", "of", u->replay->run.id));
}

/* what has no way back is said, and stays */
static void leave (Undo *u, const rb_Step *s, rb_StepRow *row, const rb_Taped *e) {
  rb_Buffer b = {0};
  char *why = e->notice ? NULL : rb_words_render(u->r, &s->irreversible);
  if (row->reason != NULL) rb_buffer_printf(&b, "%s; ", row->reason);
  rb_buffer_printf(&b, e->notice ? "stays told: %s %s" : "stays: %s%s",
                   e->notice ? e->verb : "", e->summary != NULL ? e->summary : "");
  if (why != NULL) rb_buffer_printf(&b, " (%s)", why);
  free(why);
  free(row->reason);
  row->reason = b.s;
  u->left++;
}

/* the run did not ask for the undo of such a step: it is named, and left */
static int alone (Undo *u, const rb_Step *s, rb_StepRow *row) {
  if (!u->offered || !s->undo_asked) return 0;
  if (row->reason == NULL && asprintf(&row->reason, "is left alone: runbook undo %s takes it "
                                      "back", u->replay->run.id + 18) < 0) row->reason = NULL;
  u->left++;
  return 1;
}

/* by the inverse of each; 0: one failed */
static int automatic (Undo *u, rb_StepRow *row, const rb_Taped *e, int k) {
  lua_State *L = u->r->L;
  rb_undo_push(L, e, u->r->o->force);
  int fn = luaL_ref(L, LUA_REGISTRYINDEX);
  int fine = field(u, row, fn, k);
  luaL_unref(L, LUA_REGISTRYINDEX, fn);
  if (fine) tapeundone(u, e);
  return fine;
}

/* beside an `undo` of its own: what that cannot take back */
static void saywhatstays (Undo *u, const rb_Step *s, rb_StepRow *row) {
  char *what = rb_words_render(u->r, &s->irreversible), *before = row->reason;
  if (what == NULL) return;
  if (asprintf(&row->reason, "%s%sstays: %s", before != NULL ? before : "",
               before != NULL ? "; " : "", what) < 0) row->reason = before;
  else free(before);
  free(what);
}

/* the step's own `undo`, once for all its deeds that have no inverse */
static int byhand (Undo *u, const rb_Step *s, rb_StepRow *row, int k) {
  lua_State *L = u->r->L;
  setdone(u, s->id);
  if (!field(u, row, s->fn[RB_UNDO], k)) return 0;
  saywhatstays(u, s, row);
  for (int i = 0; i < u->n; i++)
    if (ofstep(u->deeds[i], s->id) && !u->deeds[i]->notice && !rb_undo_hasinverse(L, u->deeds[i]))
      tapeundone(u, u->deeds[i]);
  return 1;
}

static const char *statusof (const Undo *u, int fine, int did) {
  if (!fine) return u->r->report.error.exit == RB_INDOUBT ? "in-doubt"
                    : u->r->vm->dryrun ? "refused" : "failed";
  if (u->deferred) return "deferred";
  if (!did) return u->r->vm->dryrun ? "unchanged" : "skipped";
  return u->r->vm->dryrun ? "planned" : "done";
}

static int step (Undo *u, const rb_Step *s, rb_StepRow *row) {
  rb_Run *r = u->r;
  int fine = 1, did = 0, k = 0, own = 0;
  double before = rb_now();
  if (r->vm->show != NULL) rb_show_begin(r->vm->show, &r->report, row);
  row->ran = 1;
  u->deferred = 0;
  rb_taped_step(r, row);
  for (int i = 0; i < u->n && fine; i++) {
    const rb_Taped *e = u->deeds[i];
    if (!ofstep(e, s->id) || alone(u, s, row)) continue;
    if (e->notice || rb_step_stays(s)) leave(u, s, row, e);
    else if (rb_undo_hasinverse(r->L, e)) did = fine = automatic(u, row, e, ++k);
    else if (s->fn[RB_UNDO] == RB_NOREF) leave(u, s, row, e);
    else if (!own) own = did = fine = byhand(u, s, row, ++k);
  }
  row->ms = (rb_now() - before) * 1000;
  row->status = statusof(u, fine, did);
  if (fine) row->field = NULL;
  rb_taped_stepped(r, row, NULL, 0);
  if (r->vm->show != NULL) rb_show_end(r->vm->show, &r->report, row);
  return fine;
}

/* -- the whole --------------------------------------------------------------------------- */

static int concerned (const Undo *u, const char *id) {
  for (int i = 0; i < u->n; i++)
    if (ofstep(u->deeds[i], id)) return 1;
  return 0;
}

/* The steps, from the one with the latest deed on. */
static void steps (Undo *u) {
  rb_Run *r = u->r;
  for (int i = r->outline.nsteps - 1; i >= 0; i--) {
    const rb_Step *s = &r->outline.steps[i];
    rb_StepRow *row = &r->report.steps[i];
    row->status = "unselected";
    if (!concerned(u, s->id)) continue;
    if (r->report.error.exit != 0) {
      row->status = "skipped";
      row->reason = strdup("the undo stopped before it");
    } else if (rb_across_again(r, &r->report.error) == 0) step(u, s, row);
  }
}

static void conclude (Undo *u) {
  rb_Report *rep = &u->r->report;
  rep->exit = rep->error.exit;
  if (rep->exit == RB_USAGE && u->r->started) rep->exit = RB_FAILED;
  if (rep->exit == RB_DONE && u->r->undecided > 0) rep->exit = RB_DEFERRED;
  rep->status = rep->exit == RB_INDOUBT ? "in-doubt" : rep->exit == RB_INTERRUPTED
                ? "interrupted" : rep->exit == RB_STOPPED ? "stopped"
                : rep->exit != RB_DONE && rep->exit != RB_DEFERRED ? "failed"
                : u->r->vm->dryrun ? "planned" : "done";
}

/* what `run` was at its end, without a word and without the world */
static int rebuild (rb_Run *r, rb_Problem *p) {
  rb_Show *show = r->vm->show;
  r->vm->show = NULL;
  rb_steps_run(r);
  r->vm->show = show;
  int diverged = r->report.error.exit == RB_STALE;
  if (diverged) *p = r->report.error;
  return diverged ? p->exit : 0;
}

/* the run's own lock; a dry run that meets it says so */
static int lock (rb_Run *r) {
  rb_Problem *p = &r->report.error;
  char *name = rb_words_render(r, &r->outline.lock);
  int status = name != NULL ? rb_lock(r, name, p) : 0;
  free(name);
  return status;
}

/* whose changes they are: without its name "undo" takes the last real run */
static void saywhich (const Undo *u) {
  char text[160];
  int n = snprintf(text, sizeof text, u->n > 0 ? "takes back what run %s changed"
                   : "nothing of run %s is left to be taken back; runbook history "
                   "lists the others", u->replay->run.id);
  rb_note(u->r->vm, NULL, text, (size_t)n);
}

static void undo (Undo *u) {
  rb_Run *r = u->r;
  double before = rb_now();
  rb_show_start(r->vm->show, &r->report);
  saywhich(u);
  rb_Problem *p = &r->report.error;
  if (u->n > 0 && rb_servers_same(r, p) == 0 && lock(r) == 0 && rb_confirm(r, p) == 0)
    steps(u);
  conclude(u);
  r->report.ms = (rb_now() - before) * 1000;
  rb_taped_result(r);
}

/* From here on it is a run of its own, or an earlier one that goes on. */
static void begin (Undo *u) {
  rb_Run *r = u->r;
  rb_VM *vm = r->vm;
  vm->replay = u->half;
  vm->mute = 0;
  memset(vm->used, 0, sizeof vm->used);  /* the limits are for what the undo does */
  vm->dryrun = r->o->dry_run;
  rb_report_again(r, vm->dryrun ? "dry-run" : "undo");
  if (u->half == NULL) return;
  if (vm->dryrun) {  /* on a tape of its own: all of it is said there */
    json_object_clear(u->half->spoken);
    return;
  }
  snprintf(r->report.run, sizeof r->report.run, "%s", u->half->run.id);
  r->report.resumed = 1;
  r->by = rb_operator();
}

int rb_undo (rb_Run *r, rb_Problem *p) {
  Undo u = {.r = r, .replay = r->vm->replay, .offered = r->o->undo == RB_UNDO_OFFERED};
  rb_VM *vm = r->vm;
  if (rebuild(r, p) == 0 && findhalf(&u, p) == 0 && collect(&u, p) == 0) {
    begin(&u);
    if (rb_taped_undo(r, u.replay->run.id, p) == 0) {
      undo(&u);
      rb_tape_end(vm->tape, r->report.status, r->report.exit, p);
      rb_lock_end(r);
      rb_show_finish(vm->show, &r->report);
    }
  }
  vm->replay = u.replay;
  rb_replay_free(u.half);
  free(u.deeds);
  return p->exit;
}
