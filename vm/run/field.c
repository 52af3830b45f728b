/*
** field.c - one function of a step, run under the loop to its end
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/base.h"
#include "vm/clock.h"
#include "vm/redact.h"
#include "vm/replay.h"
#include "vm/run/run.h"

static void copywords (char *out, size_t size, const char *s, size_t n) {
  char *clean = rb_redacted(s, n);
  snprintf(out, size, "%s", clean != NULL ? clean : "");
  free(clean);
}

/* a string field of the table at the top, which may be the script's own */
static void copyfield (lua_State *L, const char *field, char *out,
                       size_t size) {
  size_t n;
  lua_pushstring(L, field);
  lua_rawget(L, -2);
  const char *s = lua_tolstring(L, -1, &n);
  if (s != NULL) copywords(out, size, s, n);
  lua_pop(L, 1);
}

/* "file.lua:12: message" of a Lua error, taken apart */
static void splitplace (rb_FieldEnd *end, const char *s) {
  const char *colon = strstr(s, ".lua:");
  char *after;
  if (colon == NULL) return;
  long line = strtol(colon + 5, &after, 10);
  if (after == colon + 5 || *after != ':' || line <= 0) return;
  end->line = (int)line;
  snprintf(end->file, sizeof end->file, "%.*s", (int)(colon + 4 - s), s);
  after += strspn(after, ": ");
  memmove(end->reason, after, strlen(after) + 1);
}

/* the error at the top, in words; popped */
static void readerror (lua_State *L, rb_FieldEnd *end) {
  end->end = RB_RAISED;
  snprintf(end->kind, sizeof end->kind, "script");
  if (lua_istable(L, -1)) {
    copyfield(L, "kind", end->kind, sizeof end->kind);
    copyfield(L, "certainty", end->certainty, sizeof end->certainty);
  }
  size_t n;
  const char *s = rb_guarded_text(L, -1, &n);
  copywords(end->reason, sizeof end->reason, s, n);
  if (!lua_istable(L, -2)) splitplace(end, end->reason);
  lua_pop(L, 2);
  /* what a runbook itself says of the world needs no line; its stack is there still */
  if (end->line == 0 && strcmp(end->kind, "fail") != 0)
    end->line = rb_stop_place(L, end->file, sizeof end->file);
}

/* Returning nothing is not returning nil: that is what an absent value is. */
static void readresults (lua_State *L, rb_FieldEnd *end) {
  end->end = RB_ENDED;
  end->nilresult = lua_gettop(L) == 0;
  lua_settop(L, 2);
  end->truthy = lua_toboolean(L, 1);
  if (lua_isstring(L, 2)) {
    size_t n;
    const char *s = lua_tolstring(L, 2, &n);
    copywords(end->reason, sizeof end->reason, s, n);
  }
}

static const char *const stopkinds[] = {
  "", "deferred", "refused", "timeout", "runaway", "memory", "in-doubt",
  "question", "plan", "drift", "tape", "lock", "target", "internal", "tape", "unexpected",
  "interrupted"
};

/* the one of two limits that was over first */
static void addlimit (const rb_Run *r, const rb_FieldRun *f, rb_FieldEnd *end) {
  char own[40];
  size_t n = strlen(end->reason);
  double whole = r->vm->rundeadline;
  if (whole != 0 && r->o->timeout != NULL && (f->deadline == 0 || whole <= f->deadline))
    snprintf(end->reason + n, sizeof end->reason - n, " (--timeout %s of the run)",
             r->o->timeout);
  else if (f->deadline != 0 && f->timeout > 0) {
    rb_duration_text(f->timeout, own, sizeof own);
    snprintf(end->reason + n, sizeof end->reason - n, " (timeout = \"%s\" of the step)", own);
  }
}

static void readstop (const rb_Run *r, const rb_FieldRun *f, rb_FieldEnd *end) {
  static const rb_Stop placed[] = {RB_TIMEOUT, RB_RUNAWAY, RB_MEMORY, RB_DOUBT};
  end->end = RB_STOPPEDEND;
  end->stop = f->stop;
  copywords(end->reason, sizeof end->reason, f->why, strlen(f->why));
  if (f->stop == RB_DIVERGED) splitplace(end, end->reason);
  if (f->stop == RB_TIMEOUT) addlimit(r, f, end);
  for (size_t i = 0; i < sizeof placed / sizeof *placed; i++) {
    if (f->stop != placed[i]) continue;
    snprintf(end->file, sizeof end->file, "%s", f->file);
    end->line = f->line;
  }
  snprintf(end->kind, sizeof end->kind, "%s", stopkinds[f->stop]);
  snprintf(end->certainty, sizeof end->certainty, "%s",
           f->stop == RB_DOUBT ? "unknown" : "");
}

static double deadlineof (const rb_FieldSpec *spec) {
  return spec->timeout > 0 ? rb_now() + spec->timeout : 0;
}

/* A second Ctrl-C left tasks in the middle: say so. */
static void abandoned (rb_VM *vm, rb_FieldRun *f) {
  int doubt = 0;
  for (rb_Task *t = f->tasks; t != NULL; t = t->sister)
    if (t->calling && t->call.pledged) doubt = 1;
  f->stop = doubt ? RB_DOUBT : RB_INTERRUPT;
  snprintf(f->why, sizeof f->why, doubt ? "interrupted in the middle of a remedy"
           : "interrupted");
  vm->ndeliver = 0;
  vm->ready = NULL;
  vm->readylast = &vm->ready;
}

static void attempt (rb_Run *r, const rb_FieldSpec *spec, const char *path,
                     rb_FieldEnd *end) {
  rb_VM *vm = r->vm;
  rb_FieldRun f = {.word = spec->word, .may = spec->may, .step = spec->row,
                   .retries = spec->retries, .returns = spec->returns,
                   .every = spec->every, .timeout = spec->timeout,
                   .deadline = rb_replaying(vm) ? 0 : deadlineof(spec)};
  memset(end, 0, sizeof *end);
  int follows = vm->dryrun && !r->session;
  if (follows && !rb_remembered_before(r, spec->fn, end)) return;
  lua_rawgeti(r->L, LUA_REGISTRYINDEX, spec->fn);
  lua_rawgeti(r->L, LUA_REGISTRYINDEX, r->object);
  rb_Task *t = rb_task_new(r->L, NULL, &f, path, 1);
  rb_assume_all(&t->assumes, &end->assumes);
  rb_loop_run(vm, &f);
  if (vm->abandoned) abandoned(vm, &f);
  end->deeds = f.deeds;
  rb_assume_all(&end->assumes, &t->assumes);
  if (f.stop != RB_GO) readstop(r, &f, end);
  else if (t->status != LUA_OK) readerror(t->L, end);
  else readresults(t->L, end);
  rb_inspect_failed(r, spec, t, end);
  rb_task_freeall(&f);
  if (follows) rb_remembered_after(r, spec->fn, end);
}

/* 0: the run has no time left for that */
static int nap (const rb_VM *vm, double seconds) {
  if (vm->rundeadline != 0 && rb_now() + seconds >= vm->rundeadline) return 0;
  if (rb_clock_isvirtual()) {
    rb_clock_skip(rb_now() + seconds);
    return 1;
  }
  struct timespec t = {.tv_sec = (time_t)seconds};
  t.tv_nsec = (long)((seconds - (double)t.tv_sec) * 1e9);
  nanosleep(&t, NULL);
  return 1;
}

/* "true", "false", "failed", or why it was stopped: for a test's coverage */
static const char *howof (const rb_FieldEnd *end) {
  if (end->end == RB_RAISED) return "failed";
  if (end->end == RB_STOPPEDEND) return stopkinds[end->stop];
  return end->truthy || end->nilresult ? "true" : "false";
}

static void countran (json_t *ran, const char *path, const char *how) {
  json_t *row = json_object_get(ran, path);
  if (row == NULL && (row = json_object()) != NULL) json_object_set_new(ran, path, row);
  json_int_t n = json_integer_value(json_object_get(row, how));
  json_object_set_new(row, how, json_integer(n + 1));
}

/* Functions that only look are simply run again; the effects of others are
** retried one by one, by the gate. */
static void repeated (rb_Run *r, const rb_FieldSpec *spec, rb_FieldEnd *end) {
  rb_FieldSpec once = *spec;
  char path[256];
  int looks = spec->may == RB_MAYPROBE;
  if (looks) once.retries = 0;
  once.returns = spec->retries;
  attempt(r, &once, spec->path, end);
  for (int i = 1; looks && i <= spec->retries; i++) {
    int failed = end->end == RB_RAISED
                 || (end->end == RB_ENDED && !end->truthy && !end->nilresult
                     && strcmp(spec->word, "verify") == 0);
    if (!failed || r->vm->interrupts > 0 || r->vm->dryrun) return;
    if (!rb_replaying(r->vm) && !nap(r->vm, spec->every)) return;
    rb_field_clear(end);
    once.returns = spec->retries - i;
    snprintf(path, sizeof path, "%s~%d", spec->path, i + 1);
    attempt(r, &once, path, end);
  }
}

void rb_field_run (rb_Run *r, const rb_FieldSpec *spec, rb_FieldEnd *end) {
  repeated(r, spec, end);
  if (r->vm->ran != NULL) countran(r->vm->ran, spec->path, howof(end));
}

/* a mistake of the script's, not of the world's */
static int mistaken (const rb_FieldEnd *end) {
  static const char *const kinds[] = {"script", "runaway", "memory", NULL};
  for (const char *const *k = kinds; *k != NULL; k++)
    if (strcmp(end->kind, *k) == 0) return 1;
  return 0;
}

int rb_field_exit (const rb_Run *r, const rb_FieldEnd *end) {
  if (end->end == RB_STOPPEDEND && end->stop == RB_DOUBT) return RB_INDOUBT;
  if (end->end == RB_STOPPEDEND && end->stop == RB_INTERRUPT) return RB_INTERRUPTED;
  if (end->end == RB_STOPPEDEND && end->stop == RB_PERSON) return RB_STOPPED;
  if (end->end == RB_STOPPEDEND && end->stop == RB_UNPLANNED) return RB_STALE;
  if (end->end == RB_STOPPEDEND && end->stop == RB_ELSEWHERE) return RB_STALE;
  if (strcmp(end->kind, "drift") == 0) return RB_STALE;
  if (end->end == RB_STOPPEDEND && end->stop == RB_TAPEEND) return RB_FAILED;
  return mistaken(end) && !r->started ? RB_USAGE : RB_FAILED;
}

void rb_field_clear (rb_FieldEnd *end) {
  free(end->assumes.n);
  end->assumes = (rb_Assumes){0};
}
