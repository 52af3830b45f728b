/*
** engine.c - `runbook run`: everything before the first step and after the last
*/

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vm/drill.h"
#include "vm/redact.h"
#include "vm/replay.h"
#include "vm/run/plan.h"
#include "vm/run/run.h"
#include "vm/state.h"

#define BURST 5.0  /* seconds that a script may compute without waiting */

static int nested;  /* a dry run that a real run shows first */
static int within;  /* a session goes on after it */

/* -- before: the file, the target, the parameters --------------------------------- */

const char *rb_operator (void) {
  struct passwd *pw = getpwuid(getuid());
  return pw != NULL ? pw->pw_name : "unknown";
}

/* a drill puts itself between the run and its servers */
static int reroute (const rb_Run *r, rb_Problem *p) {
  const rb_Drill *d = r->o->drill;
  for (int i = 0; d != NULL && i < d->nroutes; i++) {
    const rb_Route *w = &d->routes[i];
    if (!rb_target_reroute(r->vm->target, w->system, w->kind, w->key, w->url))
      return rb_problem(p, RB_USAGE, "memory", "not enough memory");
  }
  return 0;
}

static int openconfig (rb_Run *r, rb_Problem *p) {
  rb_VM *vm = r->vm;
  vm->config = rb_config_load(r->o->config, p);
  if (vm->config == NULL) return p->exit;
  vm->target = rb_config_open(vm->config, r->o->target, p);
  return vm->target != NULL ? reroute(r, p) : p->exit;
}

static int loadfile (rb_Run *r, rb_Problem *p) {
  char path[4096], folder[4096];
  if (rb_config_find(r->vm->config, r->o->file, path, sizeof path, p) != 0)
    return p->exit;
  snprintf(folder, sizeof folder, "%s", path);
  *strrchr(folder, '/') = '\0';
  rb_state_folder(r->L, folder);
  return rb_outline_load(r->L, path, &r->outline, p);
}

/* may this runbook run on a target of this kind? */
static int checkkind (rb_Run *r, rb_Problem *p) {
  const char *kind = rb_target_kind(r->vm->target);
  const char *const *k = r->outline.targets;
  if (r->o->drill != NULL && strcmp(kind, "sandbox") != 0)
    return rb_problem(p, RB_USAGE, "target", "a drill kills runs in the middle, so it is "
                      "for sandbox targets only, and %s is %s",
                      rb_target_name(r->vm->target), kind);
  if (k == NULL || *k == NULL) return 0;
  for (; *k != NULL; k++)
    if (strcmp(*k, kind) == 0) return 0;
  char *kinds = rb_join(r->outline.targets);
  rb_problem(p, RB_USAGE, "target", "%s is for %s targets only, and %s is %s",
             r->outline.name, kinds, rb_target_name(r->vm->target), kind);
  free(kinds);
  return p->exit;
}

/* -- the whole ------------------------------------------------------------------------------- */

/* an earlier session: its name, its beginning and whose it was */
static void resumed (rb_Run *r) {
  const rb_TapeRun *run = &r->o->resume->run;
  rb_Report *rep = &r->report;
  snprintf(rep->run, sizeof rep->run, "%s", run->id);
  rep->startedms = run->started;
  rep->resumed = !r->vm->mute;
  if (r->vm->mute) rep->mode = "replay";
  r->by = r->who;
  if (run->who != NULL) r->who = run->who;
}

static int prepare (rb_Run *r, rb_Problem *p) {
  rb_VM *vm = r->vm;
  double seconds;
  if (r->o->apply != NULL && r->o->resume == NULL
      && rb_apply_files(r->o->apply, p) != 0) return p->exit;
  if (r->o->plan != NULL && rb_plan_place(r->o->plan, p) != 0) return p->exit;
  rb_layers_begin(r);
  if (openconfig(r, p) != 0 || loadfile(r, p) != 0 || checkkind(r, p) != 0
      || rb_given_ids(r, p) != 0 || rb_given_answers(r, p) != 0) return p->exit;
  if (r->o->timeout != NULL && !rb_duration(r->o->timeout, &seconds))
    return rb_problem(p, RB_USAGE, "usage", "--timeout takes a duration such as 10m, "
                      "not '%s'", r->o->timeout);
  rb_stop_open(vm);  /* a title may be a function that does not end */
  rb_ahead_load(r);
  if (rb_given_params(r, p) != 0 || rb_given_limits(r, p) != 0) return p->exit;
  rb_Report *rep = &r->report;
  rb_ulid(rep->run);
  rep->mode = vm->dryrun ? "dry-run" : r->o->apply != NULL ? "apply" : "run";
  if (r->o->resume != NULL) resumed(r);
  rep->before = nested > 0;
  rep->target = strdup(rb_target_name(vm->target));
  rep->kind = strdup(rb_target_kind(vm->target));
  if (rb_report_open(r, p) != 0) return p->exit;
  vm->report = rep;
  vm->loading = 0;
  if (r->o->resume != NULL && (r->o->undo || !vm->mute) && rb_taped_same(r, p) != 0)
    return p->exit;
  if (vm->dryrun) rb_ahead_connect(r);  /* it waits for nobody */
  if (rb_taped_begin(r, p) != 0 || rb_plan_chance(r, p) != 0) return p->exit;
  rb_layers_look(r);
  if (rb_layers_check(r, p) != 0) {
    rb_Problem q;
    rep->error = *p;
    rb_taped_result(r);
    rb_tape_end(vm->tape, "failed", p->exit, &q);
    return p->exit;
  }
  if (r->o->timeout != NULL) vm->rundeadline = rb_now() + seconds;
  return 0;
}

static int noanswer (lua_State *L) {
  return rb_stop(L, RB_DEFER, "needs what a person answers (give --answers)");
}

/* [-0, +0, m]  To look for what nobody has answered yet, in the table at the top,
** ends the step. */
static void deferanswers (lua_State *L) {
  static const char *const events[] = {"__index", "__pairs", "__len", NULL};
  lua_createtable(L, 0, 4);
  for (const char *const *e = events; *e != NULL; e++) {
    lua_pushcfunction(L, noanswer);
    lua_setfield(L, -2, *e);
  }
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_setmetatable(L, -2);
}

void rb_run_names (rb_Run *r) {
  lua_State *L = r->L;
  r->vm->lastdelivered = (double)r->report.startedms / 1000;
  rb_passing_add(r->vm, "<run>", r->report.run, strlen(r->report.run));
  rb_passing_add(r->vm, "<time>", r->report.started, strlen(r->report.started));
  lua_pushstring(L, r->report.run);
  rb_object_set(r, "id");
  lua_pushstring(L, r->who);
  rb_object_set(r, "operator");
  lua_pushstring(L, r->report.started);
  rb_object_set(r, "started");
  lua_pushstring(L, r->report.target);
  rb_object_set(r, "target");
  lua_newtable(L);
  if (r->vm->dryrun) deferanswers(L);
  rb_object_set(r, "answers");
}

/* the run's lock and the runbook's approvals, before the first step */
static int enter (rb_Run *r) {
  rb_Problem *p = &r->report.error;
  char what[200];
  if (r->vm->mute) return 0;
  char *lock = rb_words_render(r, &r->outline.lock);
  int status = lock != NULL ? rb_lock(r, lock, p) : 0;
  free(lock);
  if (status != 0) return status;
  snprintf(what, sizeof what, "%s", r->report.title);
  status = rb_approve(r, r->outline.approve, what, p);
  if (status == 0) rb_ahead_connect(r);
  return status;
}

/* The run came to its end: its error is the first failure that was skipped. */
static void sayskipped (rb_Run *r) {
  rb_Report *rep = &r->report;
  if (r->skipped == NULL || rep->error.exit != 0 || r->stop != 0) return;
  rb_problem(&rep->error, RB_FAILED, "skipped", "%s", r->skipped->reason);
  rep->errorstep = strdup(r->skipped->id);
}

/* the run's status and exit code, from what its steps left */
static void conclude (rb_Run *r) {
  rb_Report *rep = &r->report;
  sayskipped(r);
  int exit = r->stop != 0 ? r->stop : rep->error.exit;
  if (exit == 0 && (r->failed > 0 || r->refused > 0)) exit = RB_FAILED;
  if (r->vm->dryrun && r->stop == 0 && exit != RB_USAGE && exit != RB_LOCKED
      && (r->failed > 0 || r->refused > 0)) exit = RB_FAILED;
  if (exit == 0 && r->undecided > 0) exit = RB_DEFERRED;
  if (r->vm->mute) exit = exit == RB_STALE || exit == RB_USAGE ? exit : RB_DONE;
  rep->exit = exit;
  rep->status = exit == RB_INDOUBT ? "in-doubt" : exit == RB_INTERRUPTED ?
                "interrupted" : exit == RB_STOPPED ? "stopped"
                : exit != RB_DONE && exit != RB_DEFERRED ? "failed"
                : r->vm->dryrun ? "planned" : "done";
}

/* Is its time over, or was it only stuck? */
static int late (const rb_VM *vm) {
  double until = atomic_load(&vm->until);
  return until != 0 && rb_now() >= until;
}

/* what a run that is ended in the middle of a field has come to */
static int exitnow (const rb_VM *vm) {
  const rb_FieldRun *f = vm->running != NULL ? vm->running->field : NULL;
  for (const rb_Task *t = f != NULL ? f->tasks : NULL; t != NULL; t = t->sister)
    if (t->calling && t->call.pledged) return RB_INDOUBT;
  if (vm->interrupts > 0) return RB_INTERRUPTED;
  return late(vm) || vm->run->started || (f != NULL && f->deeds > 0) ? RB_FAILED : RB_USAGE;
}

/* the step in which the run is ended: it failed, and for that */
static void endedin (rb_VM *vm, rb_StepRow *row) {
  rb_Report *rep = &vm->run->report;
  if (row == NULL) return;
  row->status = rep->exit == RB_INDOUBT ? "in-doubt" : "failed";
  free(row->reason);
  row->reason = strdup(rep->error.message);
  free(rep->errorstep);
  rep->errorstep = strdup(row->id);
  if (vm->show != NULL) rb_show_end(vm->show, rep, row);
}

/* The script is stuck in a C function: called by the watchdog's thread. */
static int lastwords (rb_VM *vm) {
  rb_Run *r = vm->run;
  rb_Report *rep = &r->report;
  rep->exit = exitnow(vm);
  rep->status = rep->exit == RB_INDOUBT ? "in-doubt"
                : rep->exit == RB_INTERRUPTED ? "interrupted" : "failed";
  int timeout = late(vm) && vm->interrupts == 0;
  rb_problem(&rep->error, rep->exit, timeout ? "timeout" : "runaway", "%sthe script did not "
             "stop: one of Lua's own functions (a pattern, perhaps) ran on and on; the process "
             "was ended", timeout ? "ran out of time, and " : "");
  endedin(vm, vm->running != NULL && vm->running->field != NULL ? vm->running->field->step
              : NULL);
  if (vm->tape != NULL) rb_tape_rescue(vm->tape, rep->status, rep->exit);
  rb_show_finish(vm->show, rep);
  return rep->exit;
}

/* On production a person confirms with the plan on the screen; a Ctrl-C there
** is one for the run. */
static void showplan (rb_Run *r) {
  rb_RunOptions dry = *r->o;
  if (r->vm->dryrun || r->vm->replay != NULL || r->o->yes || r->o->json || !rb_ask_terminal()
      || strcmp(rb_target_kind(r->vm->target), "production") != 0) return;
  const char **words = rb_given_words(r);
  if (words == NULL) return;
  dry.dry_run = 1;
  dry.id = NULL;
  dry.apply = NULL;
  dry.words = words;
  rb_stop_close(r->vm);
  nested++;
  if (rb_run(&dry) == RB_INTERRUPTED) r->stop = RB_INTERRUPTED;
  nested--;
  rb_stop_open(r->vm);
  rb_given_free(words);
}

/* Is it the world that the plan was made for? */
static int applies (rb_Run *r) {
  if (r->o->apply == NULL) return 0;
  r->vm->apply = rb_apply_new(r->o->apply);
  if (r->vm->apply == NULL) luaL_error(r->L, "not enough memory");
  return rb_apply_begin(r, &r->report.error);
}

/* the plan into its file, and what can be done with it */
static void keep (rb_Run *r) {
  rb_Report *rep = &r->report;
  rb_Problem p = {0};
  rb_Buffer b = {0};
  if (r->o->plan == NULL) return;
  if (rep->exit == RB_USAGE || rep->exit == RB_INTERRUPTED)
    rb_buffer_puts(&b, "no plan was kept");
  else if (rb_plan_write(r, r->o->plan, &p) != 0) {
    rb_buffer_puts(&b, p.message);
    if (rep->error.exit == 0) rep->error = p;
    if (rep->exit == RB_DONE || rep->exit == RB_DEFERRED) rep->exit = p.exit;
    rep->status = "failed";
  } else {
    rep->kept = r->o->plan;
    rb_buffer_printf(&b, "the plan is kept in %s", r->o->plan);
    rb_buffer_puts(&b, rep->exit == RB_FAILED ? "; it cannot be applied, for not all of it "
                   "can be done" : rep->exit == RB_DEFERRED ? "; where it is deferred, "
                   "apply shows how it goes on and asks" : "");
  }
  if (b.s != NULL) rb_show_note(r->vm->show, b.s);
  rb_buffer_free(&b);
}

/* how far the lock will reach, for the banner: it is taken after it (across.c) */
static void setscope (rb_Run *r) {
  char *lock = rb_words_render(r, &r->outline.lock), text[200];
  const char *through = lock != NULL && !r->vm->mute ? rb_across_resource(r) : NULL;
  if (through == NULL) snprintf(text, sizeof text, "this machine only");
  else snprintf(text, sizeof text, "on all machines that use %s, if it answers", through);
  if (lock != NULL && !r->vm->mute) r->report.lockscope = strdup(text);
  free(lock);
}

static void execute (rb_Run *r) {
  rb_VM *vm = r->vm;
  rb_Report *rep = &r->report;
  rb_Problem p = {0};
  double before = rb_now();
  vm->burst = BURST;
  vm->lastwords = lastwords;
  rb_stop_open(vm);
  rb_run_names(r);
  showplan(r);
  setscope(r);
  rb_show_start(vm->show, rep);
  if (r->stop == 0) r->stop = applies(r);
  if (r->stop == 0 && !vm->mute) r->stop = rb_servers_same(r, &rep->error);
  if (r->stop == 0) r->stop = enter(r);
  if (r->stop == 0) rb_lock_killed(r);
  if (vm->dryrun && r->stop == RB_LOCKED) r->stop = 0;  /* said; it never stops early */
  rb_steps_run(r);
  conclude(r);
  if (vm->dryrun) rb_taped_digest(r);
  else if (r->o->apply != NULL)
    rep->digest = strdup(json_string_value(json_object_get(r->o->apply, "digest")));
  keep(r);
  rep->ms = (rb_now() - before) * 1000;
  if (vm->replay != NULL && vm->replay->livefrom != NULL)
    rep->resumedfrom = strdup(vm->replay->livefrom);
  rb_taped_result(r);
  if (!vm->mute && rb_tape_end(vm->tape, rep->status, rep->exit, &p) != 0 && rep->exit == 0) {
    rep->error = p;
    rep->exit = r->started ? RB_INDOUBT : RB_FAILED;
    rep->status = r->started ? "in-doubt" : "failed";
  }
  rb_lock_end(r);
  rb_show_finish(vm->show, rep);
}

/* to be replayed without a word, and then taken back or exported */
static void again (rb_Run *r, int (*what) (rb_Run *r, rb_Problem *p), rb_Problem *p) {
  r->vm->burst = BURST;
  r->vm->lastwords = lastwords;
  rb_stop_open(r->vm);
  rb_run_names(r);
  what(r, p);
}

/* lua_CFunction: all of it, protected, so that memory that runs out is an error */
static int pmain (lua_State *L) {
  rb_Run *r = lua_touserdata(L, 1);
  rb_Problem *p = lua_touserdata(L, 2);
  lua_settop(L, 0);
  luaL_checkstack(L, 100, NULL);
  rb_words_open(L);
  if (prepare(r, p) != 0) return 0;
  if (r->o->undo) again(r, rb_undo, p);
  else if (r->o->inspect != NULL) again(r, rb_inspect, p);
  else if (r->o->export != NULL) again(r, rb_export, p);
  else execute(r);
  return 0;
}

static void cleanup (rb_Run *r) {
  rb_VM *vm = r->vm;
  rb_Config *config = vm->config;
  rb_stop_close(vm);
  rb_layers_end(r);
  rb_tape_close(vm->tape);
  vm->tape = NULL;
  rb_show_close(vm->show);
  vm->show = NULL;
  rb_apply_free(vm->apply);
  vm->report = NULL;
  rb_report_close(&r->report);
  rb_outline_free(r->L, &r->outline);
  json_decref(r->answers);
  rb_state_free(r->L);
  rb_config_free(config);
  rb_across_free(r);
  for (int i = 0; i < r->nlocks; i++) close(r->locks[i]);
  free(r->locks);
  if (nested == 0 && within == 0) rb_redact_free();
}

int rb_run (const rb_RunOptions *o) {
  rb_Problem p = {0};
  rb_Run r = {.o = o, .who = rb_operator()};
  rb_ShowOptions show = {.json = o->json, .nocolor = o->nocolor};
  r.L = rb_state_new();
  if (r.L == NULL) {
    rb_problem(&p, RB_USAGE, "memory", "not enough memory");
    rb_show_problem(&p, o->json);
    return p.exit;
  }
  r.vm = rb_vm(r.L);
  r.vm->run = &r;
  r.vm->dryrun = o->dry_run && !o->undo;
  r.vm->strict = r.vm->dryrun && o->require_layers;
  r.vm->drill = o->drill;
  r.vm->world = o->world;
  r.vm->ran = o->ran;
  r.vm->mute = o->resume != NULL && o->resume->offline;
  r.vm->replay = o->resume;
  if (r.vm->mute) o->resume->over = 0;  /* also where nothing is on the tape */
  if (o->resume != NULL) r.vm->servers = json_incref(o->resume->servers);
  if (o->resume != NULL) r.vm->files = json_object_get(o->resume->how, "files");
  if (o->resume != NULL && o->resume->offline) r.vm->exported = o->resume->exported;
  if (o->export == NULL) r.vm->show = rb_show_open(&show);
  lua_pushcfunction(r.L, pmain);
  lua_pushlightuserdata(r.L, &r);
  lua_pushlightuserdata(r.L, &p);
  if (lua_pcall(r.L, 2, 0, 0) != LUA_OK) {
    const char *why = lua_tostring(r.L, -1);
    rb_problem(&p, r.started ? RB_INDOUBT : RB_USAGE, "internal", "%s",
               why != NULL ? why : "an error without words");
  }
  if (p.exit != 0) rb_show_problem(&p, o->json);
  int exit = p.exit != 0 ? p.exit : r.report.exit;
  cleanup(&r);
  return exit;
}

int rb_run_inside (const rb_RunOptions *o) {
  within++;
  int exit = rb_run(o);
  within--;
  return exit;
}
