/*
** planreport.c - a plan's document as the report that it was made of, for pages
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vm/run/plan.h"
#include "vm/run/reread.h"

static void steps (rb_Report *rep, const json_t *doc, const json_t *page) {
  size_t i, k;
  json_t *s, *e;
  const json_t *list = json_object_get(doc, "steps");
  rep->steps = calloc(json_array_size(list) + 1, sizeof *rep->steps);
  if (rep->steps == NULL) return;
  json_array_foreach((json_t *)list, i, s) {
    rb_StepRow *row = &rep->steps[rep->nsteps++];
    const json_t *more = json_array_get(json_object_get(page, "steps"), i);
    row->n = rep->nsteps;
    row->id = rb_reread_copy(s, "id");
    row->title = rb_reread_copy(s, "title");
    row->incase = rb_reread_copy(s, "case");
    row->status = rb_reread_word(s, "status");
    row->verify = rb_reread_word(s, "verify");
    row->reason = rb_reread_copy(s, "reason");
    row->manual = rb_reread_copy(more, "manual");
    row->approve = rb_reread_copy(more, "approve");
    row->ms = json_number_value(json_object_get(s, "duration_ms"));
    row->ran = 1;
    json_array_foreach(json_object_get(s, "effects"), k, e) {
      const char *path = rb_reread_textof(e, "path");
      json_t *o = json_copy(e);
      json_object_set(o, "effect", json_object_get(e, "kind"));
      rb_reread_effect(row, path != NULL ? path : "", rb_reread_textof(e, "verb"), o);
      row->neffects++;
      json_decref(o);
    }
  }
}

static void cases (rb_Report *rep, const json_t *list) {
  size_t i;
  json_t *c;
  rep->cases = calloc(json_array_size(list) + 1, sizeof *rep->cases);
  if (rep->cases == NULL) return;
  json_array_foreach((json_t *)list, i, c) {
    rb_CaseRow *row = &rep->cases[rep->ncases++];
    row->id = rb_reread_copy(c, "id");
    row->title = rb_reread_copy(c, "title");
    row->taken = rb_reread_intof(c, "taken", -1);
    row->evidence = rb_reread_copy(c, "evidence");
  }
}

static void findings (rb_Report *rep, const json_t *list) {
  size_t i;
  json_t *f;
  rep->findings = calloc(json_array_size(list) + 1, sizeof *rep->findings);
  if (rep->findings == NULL) return;
  json_array_foreach((json_t *)list, i, f)
    rep->findings[rep->nfindings++] = (rb_Finding){.name = rb_reread_copy(f, "name"),
      .value = rb_reread_valueof(f, "value"), .status = rb_reread_word(f, "status")};
}

/* who made it, where and with what: as of a run that is read from the tape */
static void recorded (rb_Report *rep, const json_t *plan) {
  rb_Recorded *rec = calloc(1, sizeof *rec);
  if (rec == NULL) return;
  rep->recorded = rec;
  rec->who = rb_reread_copy(plan, "operator");
  rec->host = rb_reread_copy(plan, "host");
  rec->version = rb_reread_copy(plan, "version");
  rb_report_stamp(rep->startedms + (int64_t)rep->ms, rec->ended, sizeof rec->ended);
  rec->evidence = json_array();
  rec->notes = json_array();
  rec->approvals = json_array();
  rec->answers = json_array();
  rec->whole = 1;
}

static void seterror (rb_Report *rep, const json_t *e) {
  const char *kind = rb_reread_textof(e, "kind"), *said = rb_reread_textof(e, "message");
  if (said == NULL) return;
  rb_problem(&rep->error, rep->exit, kind != NULL ? kind : "", "%s", said);
  rep->error.line = rb_reread_intof(e, "line", 0);
  rb_reread_put(rep->error.file, sizeof rep->error.file, e, "file");
  rep->errorstep = rb_reread_copy(e, "step");
}

void rb_plan_report (const json_t *doc, rb_Report *rep) {
  const json_t *plan = json_object_get(doc, "plan"), *page = json_object_get(plan, "page"),
    *held = json_object_get(doc, "enforced");
  *rep = (rb_Report){.next = 1, .script = rb_reread_intof(held, "script", 0),
    .gate = rb_reread_intof(held, "gate", 0), .kernel = rb_reread_intof(held, "kernel", 0),
    .exit = rb_reread_intof(doc, "exit", -1), .mode = rb_reread_word(doc, "mode"),
    .status = rb_reread_word(doc, "status"), .protocol = rb_reread_valueof(held, "protocol"),
    .protocolwhy = rb_reread_copy(page, "protocolwhy"),
    .kernelwhy = rb_reread_copy(page, "kernelwhy"), .kind = rb_reread_copy(page, "kind"),
    .title = rb_reread_copy(page, "title"), .use_when = rb_reread_copy(page, "use_when"),
    .impact = rb_reread_copy(page, "impact"), .severity = rb_reread_copy(page, "severity"),
    .approve = rb_reread_copy(page, "approve"), .runbook = rb_reread_copy(doc, "runbook"),
    .target = rb_reread_copy(doc, "target"), .digest = rb_reread_copy(doc, "digest"),
    .params = rb_reread_valueof(doc, "params"),
    .ms = json_number_value(json_object_get(doc, "duration_ms")),
    .startedms = json_integer_value(json_object_get(plan, "made"))};
  rb_reread_put(rep->run, sizeof rep->run, doc, "run");
  rb_reread_put(rep->started, sizeof rep->started, doc, "started");
  cases(rep, json_object_get(page, "cases"));
  steps(rep, doc, page);
  findings(rep, json_object_get(doc, "findings"));
  seterror(rep, json_object_get(doc, "error"));
  recorded(rep, plan);
}

void rb_plan_age (const json_t *doc, char *out, size_t size) {
  json_int_t made = json_integer_value(json_object_get(json_object_get(doc, "plan"),
                                                       "made"));
  long long minutes = ((long long)time(NULL) - made / 1000) / 60;
  if (minutes < 1) snprintf(out, size, "just now");
  else if (minutes < 120) snprintf(out, size, "%lld min ago", minutes);
  else if (minutes < 2880) snprintf(out, size, "%lld h ago", minutes / 60);
  else snprintf(out, size, "%lld days ago", minutes / 1440);
}
