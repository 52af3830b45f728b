/*
** taped.c - the run on the tape: how it begins, and the digest of its plan
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "vm/redact.h"
#include "vm/replay.h"
#include "vm/run/run.h"
#include "vm/state.h"

static void addfile (void *ud, const char *path, const char *text, size_t n) {
  char hash[65];
  rb_sha256(text, n, hash);
  json_object_set_new(ud, path, json_string(hash));
}

/* a text that is redacted already */
static json_t *text (const char *s) {
  json_t *j = s != NULL ? json_string(s) : NULL;
  return j != NULL ? j : s != NULL ? rb_jsontext(s, strlen(s)) : json_null();
}

/* the page that a report begins with, and what it lists although it was not run */
static json_t *outline (const rb_Report *rep) {
  json_t *steps = json_array(), *cases = json_array();
  for (int i = 0; i < rep->nsteps; i++) {
    const rb_StepRow *s = &rep->steps[i];
    json_array_append_new(steps, json_pack("{s:o,s:o,s:o,s:o}", "id", text(s->id),
        "title", text(s->title), "case", text(s->incase), "approve", text(s->approve)));
  }
  for (int i = 0; i < rep->ncases; i++)
    json_array_append_new(cases, json_pack("{s:o,s:o}", "id", text(rep->cases[i].id),
                                           "title", text(rep->cases[i].title)));
  return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "title", text(rep->title),
                   "use_when", text(rep->use_when), "impact", text(rep->impact),
                   "severity", text(rep->severity), "approve", text(rep->approve),
                   "cases", cases, "steps", steps);
}

static void addtext (void *ud, const char *path, const char *text, size_t n) {
  json_object_set_new(ud, path, json_stringn_nocheck(text, n));
}

/* bytes that are no text (a secret's) as hexadecimal digits; rb_replay_load knows */
static json_t *wordof (const char *s) {
  size_t n = strlen(s);
  json_t *j = json_string(s);
  char *hex = j == NULL ? malloc(2 * n + 1) : NULL;
  if (hex == NULL) return j;
  j = json_pack("{s:s}", "hex", sodium_bin2hex(hex, 2 * n + 1, (const unsigned char *)s, n));
  sodium_memzero(hex, 2 * n);
  free(hex);
  return j;
}

static json_t *listof (const char *const *words) {
  json_t *list = json_array();
  for (; words != NULL && *words != NULL; words++)
    json_array_append_new(list, wordof(*words));
  return list;
}

/* [-0, +0]  the URLs of the runbook's system, without their passwords */
static void addurls (rb_Run *r, rb_Buffer *b) {
  const char *const *k = r->outline.system != NULL ?
    rb_target_resources(r->vm->target, r->outline.system) : NULL;
  for (; k != NULL && *k != NULL; k++) {
    rb_target_resource(r->vm->target, r->L, r->outline.system, *k, "url", NULL);
    size_t n;
    const char *url = lua_tolstring(r->L, -1, &n);
    rb_buffer_printf(b, "%s ", *k);
    if (url != NULL) rb_redact(b, url, n);
    rb_buffer_puts(b, "\n");
    lua_pop(r->L, 1);
  }
}

/* What a resume needs to begin again: the files, and what the operator gave. Its
** texts are sealed as one, for parameters may be secrets. */
static char *howtext (rb_Run *r) {
  const rb_RunOptions *o = r->o;
  const char **words = rb_given_words(r);
  json_t *files = json_object();
  rb_Buffer urls = {0};
  rb_state_files(r->L, addtext, files);
  addurls(r, &urls);
  json_t *how = json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:s?, s:s?, s:s?, s:s?, s:b, s:O?, "
    "s:O?, s:b, s:b}",
    "file", r->outline.file, "urls", urls.s != NULL ? urls.s : "",
    "files", files, "words", listof((const char *const *)words),
    "cases", listof(o->cases), "limits", listof(o->limits), "only", o->only,
    "from", o->from, "to", o->to, "timeout", o->timeout, "no_notify", o->no_notify,
    "answers", r->answers, "plan", o->apply, "allow_deferred", o->allow_deferred,
    "offered", o->undo == RB_UNDO_OFFERED);
  rb_given_free(words);
  rb_buffer_free(&urls);
  char *text = how != NULL ? json_dumps(how, JSON_COMPACT) : NULL;
  json_decref(how);
  return text;
}

static void tapehow (rb_Run *r, const char *kind, json_t *text, int with) {
  char *how = with ? howtext(r) : NULL;
  rb_record_sealed(r->vm, kind, NULL, text, how, how != NULL ? strlen(how) : 0);
  if (how != NULL) sodium_memzero(how, strlen(how));
  free(how);
}

static void tapestart (rb_Run *r) {
  json_t *files = json_object();
  rb_state_files(r->L, addfile, files);
  const json_t *plan = json_object_get(r->o->apply, "run");
  json_t *text = json_pack("{s:s,s:s,s:s,s:o,s:o,s:O?}", "file", r->outline.file,
                           "target", r->report.target, "kind", r->report.kind, "files",
                           files, "outline", outline(&r->report), "plan", plan);
  tapehow(r, "start", text, !r->vm->dryrun);
}

int rb_taped_same (rb_Run *r, rb_Problem *p) {
  const char *then = json_string_value(json_object_get(r->o->resume->how, "urls"));
  rb_Buffer now = {0};
  addurls(r, &now);
  if (then != NULL && strcmp(then, now.s != NULL ? now.s : "") != 0) {
    for (char *c = now.s; c != NULL && *c != '\0'; c++) if (*c == '\n') *c = ' ';
    rb_problem(p, RB_STALE, "target", "the configuration of %s leads elsewhere than when "
               "the run began: now it is %.500s", r->report.target, now.s);
  }
  rb_buffer_free(&now);
  return p->exit;
}

/* The edited script takes the place of the run's once it has come to the end of the tape:
** one that differs before that is not the run's. */
static void tapeedited (rb_VM *vm) {
  rb_Run *r = vm->run;
  tapehow(r, "edited", json_pack("{s:s}", "file", r->outline.file), 1);
}

/* The run goes on: who does that, and what ended it and is done again. Between the
** reading of its tape and this, another session may have done more of it. */
static int goon (rb_Run *r, rb_Problem *p) {
  rb_TapeClaim c;
  char host[64] = "";
  int edited = json_object_get(r->vm->replay->how, "files") == NULL;
  if (rb_tape_continue(r->vm->tape, r->report.run, p) != 0) return p->exit;
  if (rb_tape_last(r->vm->tape) != r->vm->replay->last)
    return rb_problem(p, RB_LOCKED, "tape", "another session has gone on with run %s "
                      "just now: look at it (runbook report %s), then say it again",
                      r->report.run, r->report.run + 18);
  if (r->vm->mute) return 0;
  if (!r->o->undo && rb_tape_claim(r->vm->tape, r->report.run, &c, p) != 0) return p->exit;
  if (!r->o->undo && c.undo[0] != '\0')
    return rb_problem(p, RB_LOCKED, "tape", "run %s has been taken back just now (by %s)",
                      r->report.run, c.undo);
  gethostname(host, sizeof host - 1);
  rb_record(r->vm, "resume", NULL, json_pack("{s:s,s:s,s:s,s:O,s:s?}", "by", r->by, "host",
            host, "version", RB_VERSION, "again", r->vm->replay->dropped, "with",
            edited ? r->outline.file : NULL));
  if (edited && r->vm->replay->over) tapeedited(r->vm);
  else if (edited) r->vm->replay->golive = tapeedited;
  return rb_tape_commit(r->vm->tape, p);
}

/* Runs are named in the order in which they were begun: the last one is what `undo` means.
** A clock that was set back must not change that. */
static int rename_ (rb_Run *r, rb_Problem *p) {
  char newest[RB_RUNID];
  if (rb_tape_newest(r->vm->tape, newest, p) != 0) return p->exit;
  if (strcmp(r->report.run, newest) > 0) return 0;
  rb_ulid_after(newest);
  rb_ulid(r->report.run);
  return 0;
}

/* a row of the tape for the run of the report */
static int addrun (rb_Run *r, json_t *params, rb_Problem *p) {
  if (rename_(r, p) != 0) return p->exit;
  char host[64] = "", *text = json_dumps(params, JSON_COMPACT);
  gethostname(host, sizeof host - 1);
  rb_TapeRun run = {.runbook = r->report.runbook, .target = r->report.target,
                    .mode = r->report.mode, .who = r->by != NULL ? r->by : r->who,
                    .host = host, .version = RB_VERSION, .params = text,
                    .started = r->report.startedms};
  snprintf(run.id, sizeof run.id, "%s", r->report.run);
  int status = rb_tape_begin(r->vm->tape, &run, p);
  free(text);
  return status;
}

int rb_taped_undo (rb_Run *r, const char *of, rb_Problem *p) {
  rb_tape_hold(r->vm->tape);
  if (r->vm->replay != NULL && !r->vm->dryrun) return goon(r, p);
  json_t *params = json_pack("{s:s}", "undo", of);
  int status = addrun(r, params, p);
  json_decref(params);
  if (status != 0) return status;
  tapestart(r);
  return rb_tape_commit(r->vm->tape, p);
}

int rb_taped_begin (rb_Run *r, rb_Problem *p) {
  char file[4096];
  rb_VM *vm = r->vm;
  if (r->o->resume != NULL && (r->o->resume->exported != NULL || r->o->resume->adopts != NULL))
    return 0;  /* needs no tape */
  if (!rb_tape_file(file, sizeof file))
    return rb_problem(p, RB_USAGE, "tape", "there is no place for the tape: set HOME "
                      "or XDG_STATE_HOME");
  vm->tape = rb_tape_open(file, p);
  if (vm->tape == NULL) return p->exit;
  if (r->o->resume != NULL) return goon(r, p);
  if (addrun(r, r->report.params, p) != 0) return p->exit;
  tapestart(r);
  /* written with what comes next, unless a person may be asked and think for an hour */
  if ((rb_ask_terminal() ? rb_tape_commit : rb_tape_ready)(vm->tape, p) != 0) return p->exit;
  if (r->o->id != NULL) snprintf(r->o->id, RB_RUNID, "%s", r->report.run);
  return 0;
}

/* -- steps, and the end ---------------------------------------------------------- */

void rb_taped_step (rb_Run *r, const rb_StepRow *row) {
  rb_status_step(r->vm, row);
  rb_record(r->vm, "step", row->id, json_pack("{s:i,s:o,s:o}", "n", row->n, "title",
            text(row->title), "manual", text(row->manual)));
}

void rb_taped_stepped (rb_Run *r, const rb_StepRow *row, const char *irreversible, int all) {
  rb_status_step(r->vm, NULL);
  rb_record(r->vm, "stepped", row->id, json_pack("{s:i,s:o,s:o,s:o,s:o,s:o,s:b,s:f}", "n",
            row->n, "status", text(row->status), "verify", text(row->verify), "reason",
            text(row->reason), "field", text(row->field), "irreversible",
            text(irreversible), "stays", all, "ms", row->ms));
}

/* the steps that were not run, and why */
static json_t *left (const rb_Report *rep) {
  json_t *list = json_array();
  for (int i = 0; i < rep->nsteps; i++) {
    const rb_StepRow *s = &rep->steps[i];
    if (!s->ran)
      json_array_append_new(list, json_pack("{s:i,s:o,s:o}", "n", s->n, "status",
                            text(s->status), "reason", text(s->reason)));
  }
  return list;
}

static json_t *decided (const rb_Report *rep) {
  json_t *list = json_array();
  for (int i = 0; i < rep->ncases; i++)
    json_array_append_new(list, json_pack("{s:i,s:o}", "taken", rep->cases[i].taken,
                                          "evidence", text(rep->cases[i].evidence)));
  return list;
}

static json_t *layers (const rb_Report *rep) {
  return json_pack("{s:b,s:b,s:b,s:o,s:o,s:o}", "script", rep->script, "gate",
                   rep->gate, "kernel", rep->kernel, "protocol", rep->protocol != NULL ?
                   json_incref(rep->protocol) : json_array(), "protocolwhy",
                   text(rep->protocolwhy), "kernelwhy", text(rep->kernelwhy));
}

static json_t *error (const rb_Report *rep) {
  const rb_Problem *p = &rep->error;
  if (p->exit == 0 && p->message[0] == '\0') return json_null();
  return json_pack("{s:i,s:o,s:o,s:o,s:o,s:i,s:o}", "exit", p->exit, "kind",
                   text(p->kind), "message", text(p->message), "certainty",
                   text(rep->certainty), "file", text(p->file), "line", p->line,
                   "step", text(rep->errorstep));
}

void rb_taped_result (rb_Run *r) {
  const rb_Report *rep = &r->report;
  rb_record(r->vm, "result", NULL, json_pack("{s:o,s:f,s:o,s:o,s:o,s:o,s:o}", "digest",
            text(rep->digest), "ms", rep->ms, "enforced", layers(rep), "lock",
            text(rep->lockscope), "cases", decided(rep), "left", left(rep), "error",
            error(rep)));
}

/* -- the plan ------------------------------------------------------------------ */

/* What was planned, for what, with which files: one digest. */
void rb_taped_digest (rb_Run *r) {
  char hash[65], *digest = NULL;
  json_t *files = json_object();
  rb_Buffer b = {0};
  rb_state_files(r->L, addfile, files);
  char *names = json_dumps(files, JSON_SORT_KEYS);
  char *params = json_dumps(r->report.params, JSON_SORT_KEYS);
  rb_buffer_printf(&b, "%s\n%s\n%s\n%s %s\n", r->outline.file, names, params,
                   r->report.target, r->report.kind);
  addurls(r, &b);
  rb_buffer_add(&b, r->vm->plan.s, r->vm->plan.n);
  rb_sha256(b.s, b.n, hash);
  if (asprintf(&digest, "sha256:%s", hash) > 0) r->report.digest = digest;
  rb_buffer_free(&b);
  free(names);
  free(params);
  json_decref(files);
}
