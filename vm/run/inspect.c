/*
** inspect.c - a run that is stopped at one of its steps, for a person to look around there
**
** Before a step it is a dry run to there; in a failed step it is a replay of the run's
** tape, which ends where the step failed, with its frames still on the stack.
*/

#include <stdio.h>
#include <string.h>

#include "vm/replay.h"
#include "vm/run/run.h"

/* -- what a script sees there --------------------------------------------------- */

/* [-1, +0]  the value at the top is called that, unless something nearer is; the table of
** names is at idx */
static void addname (lua_State *L, int idx, const char *name) {
  int names = *name != '(' && *name != '\0' && strcmp(name, "_ENV") != 0;
  if (names && lua_getfield(L, idx, name) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_setfield(L, idx, name);
  } else lua_pop(L, names ? 2 : 1);
}

/* the variables that the function at the top was made with; popped */
static void addupvalues (lua_State *L, int idx) {
  const char *name;
  for (int i = 1; (name = lua_getupvalue(L, -1, i)) != NULL; i++) addname(L, idx, name);
  lua_pop(L, 1);
}

/* the frames of a task that are the script's, the innermost first */
static void addframes (lua_State *L, int idx, lua_State *T) {
  lua_Debug ar;
  for (int level = 0; lua_getstack(T, level, &ar); level++) {
    const char *name;
    if (!lua_getinfo(T, "Sf", &ar)) continue;
    int script = *ar.what != 'C' && *ar.source == '@';
    lua_xmove(T, L, 1);
    if (!script) { lua_pop(L, 1); continue; }
    lua_newtable(L);                                  /* a later local hides an earlier one */
    for (int i = 1; (name = lua_getlocal(T, &ar, i)) != NULL; i++) {
      lua_xmove(T, L, 1);
      if (*name == '(') lua_pop(L, 1);
      else lua_setfield(L, -2, name);
    }
    for (lua_pushnil(L); lua_next(L, -2) != 0; ) addname(L, idx, lua_tostring(L, -2));
    lua_pop(L, 1);
    addupvalues(L, idx);
  }
}

/* [-0, +1]  names and values: of the task's frames, of the function, of all steps */
static void pushscope (rb_Run *r, rb_Task *t, int fn) {
  lua_State *L = r->L;
  luaL_checkstack(L, 20, NULL);
  lua_newtable(L);
  int idx = lua_gettop(L);
  if (t != NULL && lua_checkstack(t->L, 10)) addframes(L, idx, t->L);
  if (fn != RB_NOREF) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, fn);
    addupvalues(L, idx);
  }
  for (const rb_Step *s = r->outline.steps; s < r->outline.steps + r->outline.nsteps; s++)
    for (int i = 0; i < RB_FIELDS; i++) {
      if (s->fn[i] == RB_NOREF) continue;
      lua_rawgeti(L, LUA_REGISTRYINDEX, s->fn[i]);
      addupvalues(L, idx);
    }
}

/* -- there ------------------------------------------------------------------------ */

static void open_ (rb_Run *r, rb_Task *t, int fn, const char *where) {
  rb_Inspect *x = r->o->inspect;
  int top = lua_gettop(r->L);
  pushscope(r, t, fn);
  x->reached = 1;
  x->open(r, where, x->ud);
  lua_settop(r->L, top);
  r->stop = RB_FAILED;  /* nobody asks for more of this run */
}

int rb_inspect_before (rb_Run *r, const rb_Step *s) {
  rb_Inspect *x = r->o->inspect;
  char where[300];
  if (x == NULL || x->step == NULL
      || rb_step_index(r, x->step) != (int)(s - r->outline.steps)) return 0;
  snprintf(where, sizeof where, "before step %d, %.250s", (int)(s - r->outline.steps) + 1, s->id);
  open_(r, NULL, RB_NOREF, where);
  return 1;
}

/* What the tape has last is what the step failed at. */
void rb_inspect_failed (rb_Run *r, const rb_FieldSpec *spec, rb_Task *t, const rb_FieldEnd *end) {
  rb_Inspect *x = r->o->inspect;
  char where[1600];
  int failed = end->end != RB_ENDED
               || (strcmp(spec->word, "verify") == 0 && !end->truthy && !end->nilresult);
  if (x == NULL || x->step != NULL || x->reached || !failed || r->vm->replay == NULL
      || r->vm->replay->left > 0 || r->vm->replay->skipping) return;
  snprintf(where, sizeof where, "in %s, which failed: %s", spec->path, end->reason);
  open_(r, end->end == RB_ENDED ? NULL : t, spec->fn, where);
}

int rb_inspect (rb_Run *r, rb_Problem *p) {
  rb_Inspect *x = r->o->inspect;
  struct rb_Show *show = r->vm->show;
  rb_Problem q = {0};
  if (x->step != NULL && rb_step_index(r, x->step) < 0)
    rb_problem(p, RB_USAGE, "usage", "%s has no step '%s': runbook show %s lists them",
               r->outline.name, x->step, r->outline.name);
  r->vm->show = NULL;
  if (p->exit == 0) rb_steps_run(r);
  r->vm->show = show;
  if (p->exit == 0 && !x->reached)
    rb_problem(p, RB_FAILED, "usage", "the run does not come to %s%s%s%.700s",
               x->step != NULL ? "step " : "where it failed", x->step != NULL ? x->step : "",
               r->report.error.message[0] != '\0' ? ": " : x->step != NULL ?
               "; it may be in a case that is not taken" : "", r->report.error.message);
  if (r->vm->mute) return p->exit;
  r->report.exit = p->exit;
  r->report.status = p->exit == 0 ? "planned" : "failed";
  rb_taped_result(r);
  rb_tape_end(r->vm->tape, r->report.status, p->exit, &q);
  return p->exit;
}
