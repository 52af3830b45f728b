/*
** step.c - one step: its fields in their order, and the status they make
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/replay.h"
#include "vm/run/run.h"

/* a step in progress */
typedef struct Step {
  rb_Run *r;
  const rb_Step *s;
  rb_StepRow *row;
  int failed, doubt, refused, deferred, selected, deeds;
  int remedied;        /* its remedy ran to its end */
  rb_FieldEnd end;     /* of the field that failed or stopped it */
} Step;

static const unsigned rights[RB_FIELDS] = {
  [RB_WHEN] = RB_MAYPROBE, [RB_PROBEFIELD] = RB_MAYPROBE,
  [RB_REMEDYFIELD] = RB_MAYPROBE | RB_MAYREMEDY, [RB_VERIFY] = RB_MAYPROBE,
  [RB_NOTIFY] = RB_MAYPROBE | RB_MAYNOTICE,
  [RB_UNDO] = RB_MAYPROBE | RB_MAYREMEDY
};

static void setreason (rb_StepRow *row, const char *why) {
  free(row->reason);
  row->reason = why != NULL && *why != '\0' ? strdup(why) : NULL;
}

static void run (Step *st, rb_Field field, rb_FieldEnd *end) {
  char path[200];
  snprintf(path, sizeof path, "%s/%s", st->s->id, rb_fieldnames[field]);
  rb_FieldSpec spec = {.fn = st->s->fn[field], .word = rb_fieldnames[field],
                       .path = path, .may = rights[field], .row = st->row,
                       .timeout = st->s->timeout, .retries = st->s->retries,
                       .every = st->s->every};
  st->row->field = spec.word;
  rb_field_run(st->r, &spec, end);
  st->deeds += end->deeds;
  if (end->deeds > 0) st->r->started = 1;
}

/* A field that raised or was stopped decides the step; 1: the step is over. */
static int decided (Step *st, const rb_FieldEnd *end) {
  if (end->end == RB_ENDED) return 0;
  setreason(st->row, end->reason);
  if (end->end == RB_STOPPEDEND && end->stop == RB_DEFER) st->deferred = 1;
  else if (end->end == RB_STOPPEDEND && end->stop == RB_REFUSE) st->refused = 1;
  else if (end->end == RB_STOPPEDEND && end->stop == RB_DOUBT) st->doubt = 1;
  else st->failed = 1;
  st->end = *end;
  st->end.assumes = (rb_Assumes){0};
  return 1;
}

/* when: 1 the step goes on */
static int when (Step *st) {
  rb_FieldEnd end;
  char why[600];
  if (st->s->fn[RB_WHEN] == RB_NOREF) return 1;
  run(st, RB_WHEN, &end);
  int over = decided(st, &end), goes = !over && end.truthy;
  if (!over && end.assumes.count > 0) {
    st->deferred = 1;
    goes = 0;
    setreason(st->row, rb_assume_words(st->r->vm, &end.assumes, why, sizeof why));
  } else if (!over && !end.truthy) {
    st->row->status = "skipped";
    setreason(st->row, end.reason[0] != '\0' ? end.reason : "its `when` said no");
  }
  rb_field_clear(&end);
  return goes;
}

/* What only a person can do: 1 done, 0 the step is over. */
static int manual (Step *st) {
  rb_Run *r = st->r;
  char question[700], *text = NULL;
  if (st->row->manual == NULL || !st->selected) return 1;
  if (!r->vm->dryrun && rb_ask_terminal()
      && json_object_get(r->answers, st->s->id) == NULL)
    rb_note(r->vm, st->s->id, st->row->manual, strlen(st->row->manual));
  snprintf(question, sizeof question, "%s: done? (yes or no; a note may follow)",
           st->row->title);
  int got = rb_answer_manual(r, st->s->id, question, &text);
  int done = got > 0 && rb_answer_done(text);
  if (got > 0) {
    lua_rawgeti(r->L, LUA_REGISTRYINDEX, r->fields);
    lua_getfield(r->L, -1, "answers");
    lua_pushstring(r->L, text);
    lua_setfield(r->L, -2, st->s->id);
    lua_pop(r->L, 2);
  }
  if (!done)
    snprintf(st->end.reason, sizeof st->end.reason, got <= 0 ? "needs a person: %.900s"
             : strcasecmp(text, "no") == 0 ? "a person said: not done"
             : "a person said: not done (%.900s)",
             got > 0 ? text : st->row->manual);
  free(text);
  if (done || (r->vm->dryrun && got == 0)) return 1;
  snprintf(st->end.kind, sizeof st->end.kind, "manual");
  st->end.end = RB_STOPPEDEND;
  st->end.stop = RB_PERSON;
  if (got < 0 && r->vm->interrupts > 0) {
    snprintf(st->end.reason, sizeof st->end.reason, "interrupted");
    snprintf(st->end.kind, sizeof st->end.kind, "interrupted");
    st->end.stop = RB_INTERRUPT;
  }
  setreason(st->row, st->end.reason);
  st->failed = 1;
  return 0;
}

/* verify has a field of its own: passed, failed or deferred */
static void verify (Step *st) {
  rb_FieldEnd end;
  char why[600];
  if (st->s->fn[RB_VERIFY] == RB_NOREF || !st->selected) return;
  run(st, RB_VERIFY, &end);
  if (st->r->vm->dryrun && st->row->manual != NULL) {
    st->row->verify = "deferred";
    if (st->row->reason == NULL) setreason(st->row, "needs what a person does");
  } else if (end.end == RB_STOPPEDEND && end.stop == RB_DEFER) {
    st->row->verify = "deferred";
    if (st->row->reason == NULL) setreason(st->row, end.reason);
  } else if (end.assumes.count > 0 && end.stop != RB_INTERRUPT) {
    st->row->verify = "deferred";
    rb_assume_words(st->r->vm, &end.assumes, why, sizeof why);
    if (st->row->reason == NULL) setreason(st->row, why);
  } else if (end.end != RB_ENDED) {
    st->row->verify = "failed";
    decided(st, &end);
  } else if (!end.truthy && !end.nilresult) {
    st->row->verify = "failed";
    st->failed = 1;
    snprintf(st->end.kind, sizeof st->end.kind, "verify");
    snprintf(st->end.reason, sizeof st->end.reason, "its verification said no%s%.900s",
             end.reason[0] != '\0' ? ": " : "", end.reason);
    setreason(st->row, st->end.reason);
  } else st->row->verify = "passed";
  rb_field_clear(&end);
}

/* a field whose result does not matter; 1: the step goes on */
static int plain (Step *st, rb_Field field) {
  rb_FieldEnd end;
  if (st->s->fn[field] == RB_NOREF) return 1;
  run(st, field, &end);
  int over = decided(st, &end);
  rb_field_clear(&end);
  return !over;
}

/* -- the status ------------------------------------------------------------------ */

/* the worst of the effects of a dry run, and of what ended the step */
static const char *drystatus (const Step *st) {
  int refused = st->refused, deferred = st->deferred, planned = 0, deeds = 0;
  for (const rb_EffectRow *e = st->row->effects; e != NULL; e = e->next) {
    if (e->verdict == NULL) continue;
    deeds++;
    if (strcmp(e->verdict, "would refuse") == 0) refused = 1;
    else if (strcmp(e->verdict, "cannot predict") == 0) deferred = 1;
    else if (strcmp(e->verdict, "would do") == 0) planned = 1;
  }
  if (st->failed) return "failed";
  if (refused) return "refused";
  if (deferred) return "deferred";
  if (planned) return "planned";
  if (st->row->manual != NULL) return "manual";
  return deeds > 0 ? "unchanged" : "done";
}

static int exitof (const Step *st) { return rb_field_exit(st->r, &st->end); }

static const char *realstatus (const Step *st) {
  int changed = 0, deeds = 0;
  for (const rb_EffectRow *e = st->row->effects; e != NULL; e = e->next) {
    if (strcmp(e->kind, "probe") == 0) continue;
    deeds++;
    if (!e->unchanged) changed = 1;
  }
  if (st->doubt) return "in-doubt";
  if (st->failed)
    return st->s->on_failure == RB_WARN && exitof(st) == RB_FAILED ? "warned"
           : st->end.stop == RB_PERSON && st->end.end == RB_STOPPEDEND
             && strcmp(st->end.kind, "manual") == 0 ? "manual" : "failed";
  if (st->row->manual != NULL && deeds == 0) return "manual";
  return deeds > 0 && !changed ? "unchanged" : "done";
}

/* the first failure is the run's error; it says where */
static void seterror (Step *st, int exit) {
  rb_Report *rep = &st->r->report;
  if (rep->error.exit != 0 && !(exit == RB_INDOUBT)) return;
  rb_problem(&rep->error, exit, st->end.kind[0] != '\0' ? st->end.kind : "step",
             "%s", st->end.reason);
  snprintf(rep->error.file, sizeof rep->error.file, "%s", st->end.file);
  rep->error.line = st->end.line;
  snprintf(rep->certainty, sizeof rep->certainty, "%s", st->end.certainty);
  free(rep->errorstep);
  rep->errorstep = strdup(st->s->id);
}

/* A dry run does not know how the step will end. Should it fail, a real run ends
** there: what comes after it is planned provided that it goes well. */
void rb_step_open (rb_Run *r, const rb_Step *s, const rb_StepRow *row) {
  static const char *const open[] = {"deferred", "refused", "failed", "manual", NULL};
  if (!r->vm->dryrun || s->on_failure != RB_STOP) return;
  int is = row->verify != NULL && strcmp(row->verify, "deferred") == 0;
  for (const char *const *o = open; row->status != NULL && *o != NULL; o++)
    is |= strcmp(row->status, *o) == 0;
  if (is) rb_assume(&r->vm->provided, row->n);
}

/* Why a field of `run` that nobody set may be set in a real run: this step has not
** come to its end, or a real run ends with it. */
static void remain (Step *st) {
  rb_Run *r = st->r;
  const char *why = st->row->reason;
  int ends = r->vm->dryrun && (st->failed || st->refused) && st->s->on_failure == RB_STOP;
  if (r->deferred || (!st->deferred && !ends)) return;
  r->deferred = 1;
  if (st->deferred)
    snprintf(r->deferwhy, sizeof r->deferwhy, "%s", why != NULL ? why : "a step was deferred");
  else
    snprintf(r->deferwhy, sizeof r->deferwhy, "a real run ends at step %d (%s)", st->row->n,
             why != NULL ? why : "it fails");
}

static void remember (Step *st) {
  rb_Run *r = st->r;
  int ends = 0;
  remain(st);
  if (strcmp(st->row->status, "deferred") == 0) r->undecided++;
  if (strcmp(st->row->status, "refused") == 0) r->refused++;
  if (strcmp(st->row->status, "planned") == 0) r->planned++;
  if (!st->failed && !st->doubt) return;
  if (st->row->left) {  /* as with on_failure = "continue" */
    r->failed++;
    if (r->skipped == NULL) r->skipped = st->row;
    return;
  }
  int exit = exitof(st);
  if (st->s->on_failure == RB_WARN && exit == RB_FAILED) {
    r->warned++;
    lua_pushstring(r->L, st->end.reason);
    rb_report_finding(r, r->L, st->row->title, -1, "bad");
    lua_pop(r->L, 1);
    return;
  }
  r->failed++;
  seterror(st, exit);
  ends = exit != RB_FAILED || st->s->on_failure == RB_STOP;
  if (exit == RB_INTERRUPTED || (ends && !r->vm->dryrun)) r->stop = exit;
}

/* -- the fields, in their order ---------------------------------------------------- */

/* the step ends here, with that problem: 0 */
static int stopped (Step *st, rb_Stop stop, const rb_Problem *p) {
  st->failed = 1;
  st->end.end = RB_STOPPEDEND;
  st->end.stop = stop;
  snprintf(st->end.kind, sizeof st->end.kind, "%s", p->kind);
  snprintf(st->end.reason, sizeof st->end.reason, "%s", p->message);
  setreason(st->row, p->message);
  return 0;
}

static int permitted (Step *st) {
  rb_Problem p = {0};
  rb_Run *r = st->r;
  int deeds = st->s->fn[RB_REMEDYFIELD] != RB_NOREF;
  if (!st->selected || r->vm->dryrun) return 1;
  if (rb_approve(r, st->s->approve, st->row->title, &p) == 0
      && (!deeds || rb_confirm(r, &p) == 0)) return 1;
  return stopped(st, p.exit == RB_INTERRUPTED ? RB_INTERRUPT : RB_PERSON, &p);
}

/* apply: has everything come that was planned for the step? */
static int met (Step *st) {
  rb_Problem p = {0};
  if (st->r->vm->apply == NULL || !st->selected
      || rb_apply_stepped(st->r, st->s->id, &p) == 0) return 1;
  st->row->status = NULL;
  return stopped(st, RB_UNPLANNED, &p);
}

/* --no-notify: it is said, and a step that would do nothing else is skipped */
static void untold (Step *st) {
  if (st->s->fn[RB_NOTIFY] == RB_NOREF || !st->selected) return;
  setreason(st->row, "its notices are left out (--no-notify)");
  if (st->s->fn[RB_PROBEFIELD] == RB_NOREF && st->s->fn[RB_REMEDYFIELD] == RB_NOREF
      && st->s->fn[RB_VERIFY] == RB_NOREF && st->row->manual == NULL)
    st->row->status = "skipped";
}

static void fields (Step *st) {
  if (st->selected && !when(st)) {
    if (!st->failed && !st->doubt) met(st);
    return;
  }
  if (st->selected && (!permitted(st) || !manual(st))) return;
  if (!plain(st, RB_PROBEFIELD) || !st->selected) return;
  if (st->s->fn[RB_REMEDYFIELD] != RB_NOREF && !plain(st, RB_REMEDYFIELD)) {
    if (st->r->vm->dryrun && st->s->fn[RB_VERIFY] != RB_NOREF)
      st->row->verify = "deferred";
    return;
  }
  st->remedied = 1;
  if (!met(st)) return;
  verify(st);
  if (st->failed || st->doubt) return;
  if (st->r->o->no_notify) {
    untold(st);
    return;
  }
  rb_step_open(st->r, st->s, st->row);
  plain(st, RB_NOTIFY);
}

/* A step that failed, and that a person skipped then, is what the tape has of it. */
static void fieldsof (Step *st) {
  rb_Replay *replay = st->r->vm->replay;
  const char *why = rb_replay_skipped(st->r->vm, st->s->id);
  if (replay != NULL) replay->skipping = why != NULL;
  fields(st);
  if (replay != NULL) replay->skipping = 0;
  if (why == NULL || !st->selected || st->r->vm->interrupts > 0) return;
  st->failed = st->row->left = 1;
  st->row->status = "skipped";
  setreason(st->row, why);
}

/* A dry run that did not get to the end of a remedy does not know what it would
** do: what is looked at later is as of now. */
void rb_step_unknown (rb_Run *r, const rb_Step *s, const rb_StepRow *row) {
  int n = r->report.next > 1 ? r->report.next - 1 : 1;
  if (!r->vm->dryrun) return;
  rb_remembered_unknown(r, s, row->reason);
  if (s->fn[RB_REMEDYFIELD] == RB_NOREF) return;
  if (!rb_planned_unknown(r->vm, n, row->title != NULL ? row->title : s->id))
    luaL_error(r->L, "not enough memory");
}

void rb_step_run (rb_Run *r, const rb_Step *s, rb_StepRow *row) {
  Step st = {.r = r, .s = s, .row = row, .selected = 1};
  double before = rb_now();
  if (rb_inspect_before(r, s)) return;
  if (row->status != NULL && strcmp(row->status, "unselected") == 0) st.selected = 0;
  if (!st.selected && s->fn[RB_PROBEFIELD] == RB_NOREF) return;
  row->status = NULL;
  free(row->title);
  row->title = rb_words_render(r, &s->title);
  row->manual = rb_words_render(r, &s->manual);
  if (r->vm->show != NULL) rb_show_begin(r->vm->show, &r->report, row);
  row->ran = 1;
  rb_taped_step(r, row);
  fieldsof(&st);
  if (st.deferred && st.selected && !st.remedied) rb_step_unknown(r, s, row);
  row->ms = (rb_now() - before) * 1000;
  if (!st.selected && !st.failed) row->status = "unselected";
  else if (row->status == NULL)
    row->status = r->vm->dryrun ? drystatus(&st) : realstatus(&st);
  if (!st.failed && !st.doubt) row->field = NULL;
  rb_step_open(r, s, row);
  remember(&st);
  char *why = rb_words_render(r, &s->irreversible);
  if (why != NULL) rb_report_irreversible(row, why, rb_step_stays(s));
  rb_taped_stepped(r, row, why, rb_step_stays(s));
  free(why);
  if (r->vm->show != NULL) rb_show_end(r->vm->show, &r->report, row);
}
