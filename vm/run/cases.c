/*
** cases.c - the steps in reading order: groups of cases, and what was selected
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/replay.h"
#include "vm/run/run.h"

static int among (const char *word, const char *const *words) {
  for (; *words != NULL; words++)
    if (strcmp(word, *words) == 0) return 1;
  return 0;
}

/* a problem that is not a step's */
static void fail (rb_Run *r, int exit, const char *kind, const char *what) {
  rb_problem(&r->report.error, exit, kind, "%s", what);
  r->stop = exit;
}

/* -- one group ---------------------------------------------------------------- */

/* Did --case name one of this group? Then the others are not looked at. */
static int chosen (rb_Run *r, int first, int last) {
  int any = 0;
  for (int i = first; i <= last; i++) {
    r->report.cases[i].taken = among(r->outline.cases[i].id, r->o->cases);
    any |= r->report.cases[i].taken;
  }
  return any;
}

static void setevidence (rb_CaseRow *row, const char *why) {
  free(row->evidence);
  row->evidence = *why != '\0' ? strdup(why) : NULL;
}

/* A `when` that failed ends the run; a dry run never stops early: 1. */
static int failed (rb_Run *r, const rb_FieldEnd *end, const char *why) {
  rb_Problem *p = &r->report.error;
  int exit = rb_field_exit(r, end), first = p->exit == 0;
  r->failed++;
  if (first) {
    rb_problem(p, exit, end->kind, "%s", why);
    snprintf(p->file, sizeof p->file, "%s", end->file);
    p->line = end->line;
  }
  if (r->vm->dryrun && exit != RB_INTERRUPTED) return 1;
  r->stop = exit;
  return 0;
}

/* evaluates the `when` of one case; 0: the run cannot go on */
static int evaluate (rb_Run *r, int i) {
  const rb_Case *c = &r->outline.cases[i];
  rb_CaseRow *row = &r->report.cases[i];
  rb_FieldEnd end;
  char path[200], why[600];
  row->taken = c->when == RB_NOREF && !c->asked;
  if (c->when == RB_NOREF) return 1;
  snprintf(path, sizeof path, "case:%s/when", c->id);
  rb_FieldSpec spec = {.fn = c->when, .word = "when", .path = path,
                       .may = RB_MAYPROBE};
  rb_field_run(r, &spec, &end);
  int goes = 1;
  if (end.end == RB_ENDED && end.assumes.count == 0) {
    row->taken = end.truthy;
    setevidence(row, end.reason);
  } else if (r->vm->dryrun && (end.stop == RB_DEFER || end.assumes.count > 0)) {
    row->taken = -1;
    r->undecided++;
    setevidence(row, end.end == RB_ENDED ? rb_assume_words(r->vm, &end.assumes, why,
                sizeof why) : end.reason);
  } else {
    snprintf(why, sizeof why, "case %.60s: %.500s", c->id, end.reason);
    goes = failed(r, &end, why);
    row->taken = -1;
    setevidence(row, end.reason);
  }
  rb_field_clear(&end);
  return goes;
}

/* several are true: the operator chooses; a dry run shows them all */
static void choose (rb_Run *r, int first, int last, int taken) {
  const char *ids[64];
  char what[512] = "";
  int n = 0, at[64];
  if (taken < 2 || r->vm->dryrun) return;
  for (int i = first; i <= last && n < 63; i++) {
    if (r->report.cases[i].taken != 1) continue;
    at[n] = i;
    ids[n++] = r->report.cases[i].id;
    r->report.cases[i].taken = 0;
  }
  ids[n] = NULL;
  const char *taped = rb_replay_answer(r->vm, "case");
  int pick = -1;
  for (int i = 0; taped != NULL && i < n; i++)
    if (strcmp(ids[i], taped) == 0) pick = i;
  if (pick < 0)
    pick = rb_ask_choice(r->vm->show, "More than one case is true. Which one?", ids);
  if (pick >= 0) {
    rb_answer_tape(r, "case", ids[pick]);
    r->report.cases[at[pick]].taken = 1;
    return;
  }
  if (r->vm->interrupts > 0) {
    fail(r, RB_INTERRUPTED, "interrupted", "interrupted at the question");
    return;
  }
  char *all = rb_join(ids);
  snprintf(what, sizeof what, "more than one case is true: %s; choose with --case",
           all != NULL ? all : "");
  free(all);
  fail(r, RB_STOPPED, "case", what);
}

static void saynone (rb_Run *r, int first, int last) {
  rb_Buffer b = {0};
  rb_buffer_puts(&b, "no case applies");
  for (int i = first; i <= last; i++) {
    const rb_CaseRow *row = &r->report.cases[i];
    rb_buffer_printf(&b, "%s %s%s%s", i > first ? "," : ":", row->id,
                     r->outline.cases[i].asked ? " (only with --case)" : "",
                     row->evidence != NULL ? ": " : "");
    if (row->evidence != NULL) rb_buffer_puts(&b, row->evidence);
  }
  if (b.s != NULL) rb_note(r->vm, NULL, b.s, b.n);
  rb_buffer_free(&b);
}

/* approvals, limits and lock of a case that was taken */
static void enter (rb_Run *r, int i) {
  const rb_Case *c = &r->outline.cases[i];
  rb_Problem p = {0};
  char what[160];
  snprintf(what, sizeof what, "case %s", c->id);
  char *lock = rb_words_render(r, &c->lock);
  if (rb_approve(r, c->approve, what, &p) != 0
      || (lock != NULL && rb_lock(r, lock, &p) != 0)) {
    if (r->report.error.exit == 0) r->report.error = p;
    if (!r->vm->dryrun || p.exit != RB_LOCKED) r->stop = p.exit;
  }
  free(lock);
  if (c->limitsref != RB_NOREF) {
    lua_rawgeti(r->L, LUA_REGISTRYINDEX, c->limitsref);
    lua_pushnil(r->L);
    while (lua_next(r->L, -2) != 0) {
      rb_limits_lower(r->vm, lua_tostring(r->L, -2), lua_tointeger(r->L, -1));
      lua_pop(r->L, 1);
    }
    lua_pop(r->L, 1);
  }
  rb_record(r->vm, "step", c->id, json_pack("{s:s,s:s?}", "case", c->id, "evidence",
            r->report.cases[i].evidence));
}

/* decides a group and enters what was taken */
static void group (rb_Run *r, int first) {
  int last = first, taken = 0, open = 0;
  while (last + 1 < r->outline.ncases
         && r->outline.cases[last + 1].group == r->outline.cases[first].group) last++;
  if (!chosen(r, first, last))
    for (int i = first; i <= last; i++)
      if (!evaluate(r, i)) return;
  for (int i = first; i <= last; i++) {
    taken += r->report.cases[i].taken == 1;
    open += r->report.cases[i].taken == -1;
  }
  for (int i = first; r->vm->apply != NULL && i <= last && r->stop == 0; i++)
    r->stop = rb_apply_case(r, &r->report.cases[i], &r->report.error);
  if (r->stop == 0) choose(r, first, last, taken);
  if (r->stop != 0) return;
  for (int i = first; i <= last; i++) {
    rb_CaseRow *row = &r->report.cases[i];
    if (row->taken == 1) enter(r, i);
    if (row->taken != 0 && r->vm->show != NULL && (row->taken == 1 || r->vm->dryrun))
      rb_show_case(r->vm->show, &r->report, row);
    if (r->stop != 0) return;
  }
  if (taken == 0 && open == 0) saynone(r, first, last);
}

/* -- selection --------------------------------------------------------------------- */

int rb_step_index (const rb_Run *r, const char *id) {
  char *end;
  for (int i = 0; i < r->outline.nsteps; i++)
    if (strcmp(r->outline.steps[i].id, id) == 0) return i;
  long n = strtol(id, &end, 10);
  return *id >= '1' && *id <= '9' && *end == '\0' && n <= r->outline.nsteps ?
         (int)n - 1 : -1;
}

/* Does a case that was asked for stand after step i? Then the step need not find out. */
static int beforecase (const rb_Run *r, int i) {
  for (int k = 0; k < r->outline.ncases; k++)
    if (r->outline.cases[k].first > i && among(r->outline.cases[k].id, r->o->cases))
      return 1;
  return 0;
}

/* Is step i among what --only, --from and --to leave? */
static int selected (const rb_Run *r, int i) {
  const rb_RunOptions *o = r->o;
  if (o->only != NULL) return i == rb_step_index(r, o->only);
  return (o->from == NULL || i >= rb_step_index(r, o->from))
         && (o->to == NULL || i <= rb_step_index(r, o->to));
}

/* Does what the operator gave rule case i out, whatever its `when` says? */
static int ruledout (const rb_Run *r, int i) {
  const rb_Case *c = &r->outline.cases[i];
  if (among(c->id, r->o->cases)) return 0;
  for (int k = 0; k < r->outline.ncases; k++)
    if (r->outline.cases[k].group == c->group
        && among(r->outline.cases[k].id, r->o->cases)) return 1;
  return c->asked;
}

int rb_step_eligible (const rb_Run *r, int i) {
  const rb_Step *s = &r->outline.steps[i];
  return selected(r, i) && !(s->diagnose && beforecase(r, i))
         && (s->incase < 0 || !ruledout(r, s->incase));
}

/* marks what --only, --from and --to leave out, and what --case skips */
static void select_ (rb_Run *r) {
  for (int i = 0; i < r->outline.nsteps; i++) {
    rb_StepRow *row = &r->report.steps[i];
    if (!selected(r, i)) row->status = "unselected";
    if (r->outline.steps[i].diagnose && beforecase(r, i)) {
      row->status = "skipped";
      row->reason = strdup("the case was given, so nothing is diagnosed");
    }
  }
}

/* may step i run now? */
static int reached (rb_Run *r, int i) {
  const rb_Step *s = &r->outline.steps[i];
  rb_StepRow *row = &r->report.steps[i];
  if (row->status != NULL && strcmp(row->status, "skipped") == 0) return 0;
  if (s->incase < 0) return 1;
  if (r->report.cases[s->incase].taken == 1) return 1;
  row->status = r->report.cases[s->incase].taken == -1 ? "deferred" : "unselected";
  if (r->report.cases[s->incase].taken == -1 && row->reason == NULL
      && r->report.cases[s->incase].evidence != NULL)
    row->reason = strdup(r->report.cases[s->incase].evidence);
  if (r->report.cases[s->incase].taken == -1) {
    rb_step_unknown(r, s, row);
    rb_step_open(r, s, row);
  }
  return 0;
}

/* The one step that was asked for is in a case that was not taken: says so. */
static void sayuntaken (rb_Run *r) {
  int i = r->o->only != NULL ? rb_step_index(r, r->o->only) : -1;
  int in = i >= 0 ? r->outline.steps[i].incase : -1;
  char *why = NULL;
  if (in < 0 || r->report.cases[in].taken != 0 || r->stop != 0) return;
  const rb_CaseRow *row = &r->report.cases[in];
  if (asprintf(&why, "nothing was run: %s is a step of the case %s, which was not taken%s%s "
               "(--case %s takes it)", r->outline.steps[i].id, row->id,
               row->evidence != NULL ? ": " : "", row->evidence != NULL ? row->evidence : "",
               row->id) < 0) return;
  rb_note(r->vm, NULL, why, strlen(why));
  free(r->report.steps[i].reason);
  r->report.steps[i].reason = why;
}

/* a group of which a dry run shows more than one case */
typedef struct Fork {
  int world, from, open;  /* as it was before them */
  int in;              /* the case under way; -1: no such group */
  rb_Assumes others;   /* steps of the cases before it that may fail */
} Fork;

static int several (const rb_Run *r, int first) {
  int n = 0;
  for (int i = first; i < r->outline.ncases
       && r->outline.cases[i].group == r->outline.cases[first].group; i++)
    n += r->report.cases[i].taken != 0;
  return n > 1;
}

static void beginfork (rb_Run *r, Fork *f, int first) {
  if (!r->vm->dryrun || !several(r, first)) return;
  *f = (Fork){rb_planned_fork(r->vm), r->vm->ndeeds, r->vm->provided.count, first, {0}};
}

/* What a case needs is not what the next one needs, which is taken in its place. */
static void setaside (rb_Run *r, Fork *f) {
  rb_Assumes *p = &r->vm->provided;
  for (int i = f->open; i < p->count; i++) rb_assume(&f->others, p->n[i]);
  p->count = f->open;
}

static void endfork (rb_Run *r, Fork *f) {
  if (f->in < 0) return;
  rb_planned_join(r->vm, f->world, f->from);
  rb_assume_all(&r->vm->provided, &f->others);
  free(f->others.n);
  *f = (Fork){.in = -1};
}

/* The next case is looked at from where the one before it was. */
static void nextcase (rb_Run *r, Fork *f, int incase) {
  if (f->in < 0 || f->in == incase) return;
  rb_planned_aside(r->vm, f->world, f->from);
  setaside(r, f);
  f->in = incase;
}

/* Was the lock lost to somebody, while the step before it went on? */
static int locked (rb_Run *r) {
  if (rb_across_again(r, &r->report.error) == 0) return 1;
  r->stop = RB_LOCKED;
  return 0;
}

/* The tape goes on where the script ends: it is another one. A run that stopped before that
** has been told why. */
static void unasked (rb_Run *r) {
  const rb_Taped *e = r->vm->replay != NULL ? rb_replay_unasked(r->vm->replay) : NULL;
  rb_Problem *p = &r->report.error;
  if (e == NULL || r->vm->interrupts > 0 || p->exit == RB_STALE || p->exit == RB_LOCKED
      || p->exit == RB_STOPPED) return;
  rb_problem(p, RB_STALE, "drift", "the script differs from the run: it ends, and the tape has "
             "%s%s%.300s (%s) after that", e->verb != NULL ? e->verb : "a wait",
             e->summary != NULL ? " " : "", e->summary != NULL ? e->summary : "", e->path);
  r->stop = RB_STALE;
}

void rb_steps_run (rb_Run *r) {
  int group_ = -1, i = 0;
  Fork fork = {.in = -1};
  select_(r);
  for (; i < r->outline.nsteps && r->stop == 0; i++) {
    const rb_Step *s = &r->outline.steps[i];
    if (s->incase < 0 || r->outline.cases[s->incase].group != group_) endfork(r, &fork);
    if (s->incase >= 0 && r->outline.cases[s->incase].group != group_) {
      group_ = r->outline.cases[s->incase].group;
      int first = s->incase;
      while (first > 0 && r->outline.cases[first - 1].group == group_) first--;
      group(r, first);
      if (r->stop != 0) break;
      beginfork(r, &fork, first);
    }
    nextcase(r, &fork, s->incase);
    if (reached(r, i) && locked(r)) rb_step_run(r, s, &r->report.steps[i]);
  }
  endfork(r, &fork);
  unasked(r);
  sayuntaken(r);
  for (i = 0; i < r->outline.nsteps; i++) {
    rb_StepRow *row = &r->report.steps[i];
    if (row->status != NULL) continue;
    row->status = "skipped";
    row->reason = strdup("the run stopped before it");
  }
}
