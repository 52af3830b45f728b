/*
** engine.c - `runbook run`: everything before the first step and after the last
*/

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "vm/redact.h"
#include "vm/run/run.h"
#include "vm/state.h"

#define BURST 5.0  /* seconds that a script may compute without waiting */

static int nested;  /* a dry run that a real run shows first */

/* -- before: the file, the target, the parameters --------------------------------- */

static const char *operator_ (void) {
  struct passwd *pw = getpwuid(getuid());
  return pw != NULL ? pw->pw_name : "unknown";
}

static int openconfig (rb_Run *r, rb_Problem *p) {
  rb_VM *vm = r->vm;
  vm->config = rb_config_load(r->o->config, p);
  if (vm->config == NULL) return p->exit;
  vm->target = rb_config_open(vm->config, r->o->target, p);
  return vm->target != NULL ? 0 : p->exit;
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
  if (k == NULL || *k == NULL) return 0;
  for (; *k != NULL; k++)
    if (strcmp(*k, kind) == 0) return 0;
  char *kinds = rb_join(r->outline.targets);
  rb_problem(p, RB_USAGE, "target", "%s is for %s targets only, and %s is %s",
             r->outline.name, kinds, rb_target_name(r->vm->target), kind);
  free(kinds);
  return p->exit;
}

static char *askparam (void *ud, const rb_Param *q, const char *wrong) {
  rb_Run *r = ud;
  char question[300];
  if (wrong != NULL) rb_show_note(r->vm->show, wrong);
  snprintf(question, sizeof question, "%s (%s%s%s):", q->name, q->typename,
           q->help != NULL ? ": " : "", q->help != NULL ? q->help : "");
  return rb_ask_line(r->vm->show, question, q->type == RB_SECRET);
}

/* [-0, +1]  the target's defaults for this runbook, or nil */
static void pushdefaults (rb_Run *r) {
  rb_target_part(r->vm->target, r->L, "defaults", rb_push_secret);
  if (!lua_istable(r->L, -1)) return;
  lua_getfield(r->L, -1, r->outline.name);
  lua_remove(r->L, -2);
}

/* parameters (a table at the top) of type `path` grant reading that file */
static void grant (rb_Run *r) {
  rb_VM *vm = r->vm;
  vm->granted = calloc((size_t)r->outline.nparams + 1, sizeof *vm->granted);
  for (int i = 0; vm->granted != NULL && i < r->outline.nparams; i++) {
    if (r->outline.params[i].type != RB_PATH) continue;
    if (lua_getfield(r->L, -1, r->outline.params[i].name) == LUA_TSTRING) {
      char *real = realpath(lua_tostring(r->L, -1), NULL);
      vm->granted[vm->ngranted++] = real != NULL ? real
                                    : strdup(lua_tostring(r->L, -1));
    }
    lua_pop(r->L, 1);
  }
}

static int readparams (rb_Run *r, rb_Problem *p) {
  pushdefaults(r);
  int defaults = lua_istable(r->L, -1) ? lua_gettop(r->L) : 0;
  rb_Ask ask = !r->o->json && rb_ask_terminal() ? askparam : NULL;
  if (rb_params_read(r->L, &r->outline, r->o->words, defaults, r->o->cases, ask, r,
                     rb_push_secret, p) != 0)
    return r->vm->interrupts == 0 ? p->exit
      : rb_problem(p, RB_INTERRUPTED, "interrupted", "interrupted; nothing was run");
  r->report.params = rb_tojson(r->L, -1);
  grant(r);
  rb_object_new(r);
  return 0;
}

static int checkids (rb_Run *r, rb_Problem *p) {
  const rb_RunOptions *o = r->o;
  const char *const given[] = {o->only, o->from, o->to};
  const char *words[300];
  int n = 0;
  for (int i = 0; i < r->outline.nsteps && n < 299; i++)
    words[n++] = r->outline.steps[i].id;
  words[n] = NULL;
  for (int i = 0; i < 3; i++) {
    int found = given[i] == NULL;
    for (int k = 0; k < n && !found; k++) found = strcmp(words[k], given[i]) == 0;
    if (found) continue;
    const char *near = rb_nearest(given[i], words);
    return rb_problem(p, RB_USAGE, "usage", near != NULL ? "no step '%s' (did you "
                      "mean '%s'?)" : "no step '%s' (runbook show lists them)",
                      given[i], near);
  }
  for (const char *const *c = o->cases; *c != NULL; c++) {
    int found = 0;
    for (n = 0; n < r->outline.ncases && n < 299; n++) {
      words[n] = r->outline.cases[n].id;
      found |= strcmp(words[n], *c) == 0;
    }
    words[n] = NULL;
    if (found) continue;
    char *all = rb_join(words);
    rb_problem(p, RB_USAGE, "usage", "no case '%s' in %s; there %s: %s", *c,
               r->outline.name, n == 1 ? "is" : n == 0 ? "are" : "are",
               all != NULL ? all : "none");
    free(all);
    return p->exit;
  }
  return 0;
}

static int loadanswers (rb_Run *r, rb_Problem *p) {
  json_error_t e;
  if (r->o->answers == NULL) return 0;
  r->answers = json_load_file(r->o->answers, JSON_REJECT_DUPLICATES, &e);
  if (json_is_object(r->answers)) return 0;
  if (access(r->o->answers, R_OK) != 0)
    return rb_problem(p, RB_USAGE, "usage", "--answers: cannot read %s: %s",
                      r->o->answers, strerror(errno));
  if (r->answers != NULL || e.line < 1)
    return rb_problem(p, RB_USAGE, "usage", "--answers %s: a JSON object "
                      "{\"step-id\": \"answer\"} is expected", r->o->answers);
  return rb_problem(p, RB_USAGE, "usage", "--answers %s:%d: %s", r->o->answers, e.line,
                    e.text);
}

/* -- limits ---------------------------------------------------------------------------- */

/* [-1, +0]  {name = n} at the top */
static void lower (rb_Run *r) {
  if (lua_istable(r->L, -1)) {
    lua_pushnil(r->L);
    while (lua_next(r->L, -2) != 0) {
      rb_limits_lower(r->vm, lua_tostring(r->L, -2), lua_tointeger(r->L, -1));
      lua_pop(r->L, 1);
    }
  }
  lua_pop(r->L, 1);
}

static int setlimits (rb_Run *r, rb_Problem *p) {
  for (int i = 0; rb_limitnames[i] != NULL; i++) {
    long long n = rb_target_limit(r->vm->target, rb_limitnames[i]);
    if (n >= 0) rb_limits_lower(r->vm, rb_limitnames[i], n);
  }
  if (r->outline.limitsref != RB_NOREF) {
    lua_rawgeti(r->L, LUA_REGISTRYINDEX, r->outline.limitsref);
    lower(r);
  }
  for (const char *const *l = r->o->limits; *l != NULL; l++) {
    char name[64], *end;
    size_t n = strcspn(*l, "=");
    snprintf(name, sizeof name, "%.*s", (int)n, *l);
    long long value = (*l)[n] == '=' ? strtoll(*l + n + 1, &end, 10) : -1;
    if (value < 0 || *end != '\0' || rb_limits_lower(r->vm, name, value) < 0)
      return rb_problem(p, RB_USAGE, "usage", "--limit takes NAME=NUMBER with a name "
                        "such as pg_rows or redis_keys, not '%s'", *l);
  }
  return 0;
}

/* -- what holds here ----------------------------------------------------------------------- */

static const char *const guarded[] = {"http", "pg", "redis", NULL};

/* asks each module whether the protocol layer holds, by the configuration */
static void protocol (rb_Run *r, const char *system, const char *kind) {
  const char *why = NULL;
  rb_ResourceBox *box = rb_push_resource(r->L, system, kind);
  lua_pop(r->L, 1);
  if (box->module == NULL) box->module = rb_module_load(r->L, kind);
  if (box->module->layer == NULL) return;
  if (box->module->layer(r->L, &box->r, &why)) {
    json_array_append_new(r->report.protocol, json_string(kind));
    return;
  }
  rb_Buffer b = {0};
  if (r->report.protocolwhy != NULL)
    rb_buffer_printf(&b, "%s; ", r->report.protocolwhy);
  rb_buffer_printf(&b, "%s: %s", kind, why != NULL ? why : "not held");
  free(r->report.protocolwhy);
  r->report.protocolwhy = b.s;
}

static void layers (rb_Run *r) {
  rb_Report *rep = &r->report;
  const char *why = NULL;
  rep->script = rep->gate = 1;
  rep->protocol = json_array();
  if (!r->vm->dryrun) return;  /* trying the kernel's out takes 2.5 ms */
  rep->kernel = rb_kernellayer(&why);
  if (!rep->kernel && why != NULL) rep->kernelwhy = strdup(why);
  if (r->outline.system == NULL) return;
  const char *const *have = rb_target_resources(r->vm->target, r->outline.system);
  for (const char *const *k = guarded; have != NULL && *k != NULL; k++)
    for (const char *const *h = have; *h != NULL; h++)
      if (strcmp(*h, *k) == 0) protocol(r, r->outline.system, *k);
}

static int checklayers (rb_Run *r, rb_Problem *p) {
  const rb_Report *rep = &r->report;
  if (!r->o->require_layers || !r->vm->dryrun) return 0;
  if (rep->kernel && rep->protocolwhy == NULL) return 0;
  return rb_problem(p, RB_USAGE, "layers", "--require-layers: not all layers hold here: "
                    "%s%s%s", rep->kernel ? "" : rep->kernelwhy,
                    rep->kernel || rep->protocolwhy == NULL ? "" : "; ",
                    rep->protocolwhy != NULL ? rep->protocolwhy : "");
}

/* -- the tape -------------------------------------------------------------------------------- */

static void addfile (void *ud, const char *path, const char *text, size_t n) {
  char hash[65];
  rb_sha256(text, n, hash);
  json_object_set_new(ud, path, json_string(hash));
}

static void tapestart (rb_Run *r) {
  json_t *files = json_object();
  rb_state_files(r->L, addfile, files);
  rb_record(r->vm, "start", NULL, json_pack("{s:s,s:s,s:s,s:o}", "file",
            r->outline.file, "target", r->report.target, "kind", r->report.kind,
            "files", files));
}

static int opentape (rb_Run *r, rb_Problem *p) {
  char file[4096], host[64] = "";
  rb_VM *vm = r->vm;
  struct timespec now;
  if (!rb_tape_file(file, sizeof file))
    return rb_problem(p, RB_USAGE, "tape", "there is no place for the tape: set HOME "
                      "or XDG_STATE_HOME");
  vm->tape = rb_tape_open(file, p);
  if (vm->tape == NULL) return p->exit;
  gethostname(host, sizeof host - 1);
  clock_gettime(CLOCK_REALTIME, &now);
  char *params = json_dumps(r->report.params, JSON_COMPACT);
  rb_TapeRun run = {.runbook = r->report.runbook, .target = r->report.target,
                    .mode = r->report.mode, .who = r->who, .host = host,
                    .version = RB_VERSION, .params = params,
                    .started = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000};
  snprintf(run.id, sizeof run.id, "%s", r->report.run);
  int status = rb_tape_begin(vm->tape, &run, p);
  free(params);
  if (status != 0) return p->exit;
  tapestart(r);
  return rb_tape_commit(vm->tape, p);
}

/* -- the modules that it will need ------------------------------------------------------------ */

typedef struct Named {
  const char *kinds[16];
  int named[16];
} Named;

/* does a file of the script say ".pg"? */
static void look (void *ud, const char *path, const char *text, size_t n) {
  Named *all = ud;
  char word[40];
  (void)path;
  for (int i = 0; all->kinds[i] != NULL; i++) {
    int len = snprintf(word, sizeof word, ".%s", all->kinds[i]);
    if (memmem(text, n, word, (size_t)len) != NULL) all->named[i] = 1;
  }
}

/* Loading client libraries overlaps with opening the tape. */
static void warm (rb_Run *r) {
  const char *const *have = r->outline.system == NULL ? NULL
    : rb_target_resources(r->vm->target, r->outline.system);
  const char *names[17];
  Named all = {0};
  int n = 0;
  for (int i = 0; have != NULL && have[i] != NULL && i < 15; i++)
    all.kinds[i] = have[i];
  rb_state_files(r->L, look, &all);
  for (int i = 0; all.kinds[i] != NULL; i++)
    if (all.named[i]) names[n++] = all.kinds[i];
  names[n] = NULL;
  if (n > 0) rb_warm(r->vm, names);
}

/* -- the whole ------------------------------------------------------------------------------- */

static int prepare (rb_Run *r, rb_Problem *p) {
  rb_VM *vm = r->vm;
  double seconds;
  if (openconfig(r, p) != 0 || loadfile(r, p) != 0 || checkkind(r, p) != 0
      || checkids(r, p) != 0 || loadanswers(r, p) != 0) return p->exit;
  if (r->o->timeout != NULL && !rb_duration(r->o->timeout, &seconds))
    return rb_problem(p, RB_USAGE, "usage", "--timeout takes a duration such as 10m, "
                      "not '%s'", r->o->timeout);
  if (readparams(r, p) != 0 || setlimits(r, p) != 0) return p->exit;
  rb_Report *rep = &r->report;
  rb_ulid(rep->run);
  rep->mode = vm->dryrun ? "dry-run" : "run";
  rep->before = nested > 0;
  rep->target = strdup(rb_target_name(vm->target));
  rep->kind = strdup(rb_target_kind(vm->target));
  if (rb_report_open(r, p) != 0) return p->exit;
  vm->report = rep;
  vm->loading = 0;
  warm(r);
  if (opentape(r, p) != 0) return p->exit;
  layers(r);
  if (checklayers(r, p) != 0) {
    rb_Problem q;
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

static void setnames (rb_Run *r) {
  lua_State *L = r->L;
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  r->vm->lastdelivered = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
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
  char *lock = rb_words_render(r, &r->outline.lock);
  int status = lock != NULL ? rb_lock(r, lock, p) : 0;
  if (lock != NULL) r->report.lockscope = strdup("this machine only");
  free(lock);
  if (status != 0) return status;
  snprintf(what, sizeof what, "%s", r->report.title);
  return rb_approve(r, r->outline.approve, what, p);
}

/* the run's status and exit code, from what its steps left */
static void conclude (rb_Run *r) {
  rb_Report *rep = &r->report;
  int exit = r->stop != 0 ? r->stop : rep->error.exit;
  if (exit == 0 && (r->failed > 0 || r->refused > 0)) exit = RB_FAILED;
  if (r->vm->dryrun && r->stop == 0 && exit != RB_USAGE && exit != RB_LOCKED
      && (r->failed > 0 || r->refused > 0)) exit = RB_FAILED;
  if (exit == 0 && r->undecided > 0) exit = RB_DEFERRED;
  rep->exit = exit;
  rep->status = exit == RB_INDOUBT ? "in-doubt" : exit == RB_INTERRUPTED ?
                "interrupted" : exit == RB_STOPPED ? "stopped"
                : exit != RB_DONE && exit != RB_DEFERRED ? "failed"
                : r->vm->dryrun ? "planned" : "done";
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

/* What was planned, for what, with which files: one digest. */
static void setdigest (rb_Run *r) {
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

/* what a run that is ended in the middle of a field has come to */
static int exitnow (const rb_VM *vm) {
  const rb_FieldRun *f = vm->running != NULL ? vm->running->field : NULL;
  for (const rb_Task *t = f != NULL ? f->tasks : NULL; t != NULL; t = t->sister)
    if (t->calling && t->call.pledged) return RB_INDOUBT;
  if (vm->interrupts > 0) return RB_INTERRUPTED;
  return vm->run->started || (f != NULL && f->deeds > 0) ? RB_FAILED : RB_USAGE;
}

/* The script is stuck in a C function: called by the watchdog's thread. */
static int lastwords (rb_VM *vm) {
  rb_Run *r = vm->run;
  rb_Report *rep = &r->report;
  rep->exit = exitnow(vm);
  rep->status = rep->exit == RB_INDOUBT ? "in-doubt"
                : rep->exit == RB_INTERRUPTED ? "interrupted" : "failed";
  rb_problem(&rep->error, rep->exit, "runaway", "the script did not stop: one of Lua's "
             "own functions (a pattern, perhaps) ran on and on; the process was ended");
  rb_tape_rescue(vm->tape, rep->status, rep->exit);
  rb_show_finish(vm->show, rep);
  return rep->exit;
}

/* the parameters as they were read, as words of a command line */
static const char **wordsof (rb_Run *r) {
  const char **words = calloc((size_t)r->outline.nparams + 1, sizeof *words);
  int n = 0;
  lua_rawgeti(r->L, LUA_REGISTRYINDEX, r->fields);
  int fields = lua_gettop(r->L);
  for (int i = 0; words != NULL && i < r->outline.nparams; i++) {
    const rb_Param *q = &r->outline.params[i];
    if (q->type != RB_SECRET && lua_getfield(r->L, fields, q->name) != LUA_TNIL) {
      lua_pushfstring(r->L, "%s=%s", q->name, luaL_tolstring(r->L, -1, NULL));
      words[n] = strdup(lua_tostring(r->L, -1));
      n += words[n] != NULL;
    }
    lua_settop(r->L, fields);
  }
  lua_settop(r->L, fields - 1);
  return words;
}

/* On production a person confirms with the plan on the screen; a Ctrl-C there
** is one for the run. */
static void showplan (rb_Run *r) {
  rb_RunOptions dry = *r->o;
  if (r->vm->dryrun || r->o->yes || r->o->json || !rb_ask_terminal()
      || strcmp(rb_target_kind(r->vm->target), "production") != 0) return;
  const char **words = wordsof(r);
  if (words == NULL) return;
  dry.dry_run = 1;
  dry.words = words;
  rb_stop_close(r->vm);
  nested++;
  if (rb_run(&dry) == RB_INTERRUPTED) r->stop = RB_INTERRUPTED;
  nested--;
  rb_stop_open(r->vm);
  for (const char **w = words; *w != NULL; w++) free((char *)*w);
  free(words);
}

static void execute (rb_Run *r) {
  rb_VM *vm = r->vm;
  rb_Report *rep = &r->report;
  rb_Problem p = {0};
  double before = rb_now();
  vm->burst = BURST;
  vm->lastwords = lastwords;
  rb_stop_open(vm);
  setnames(r);
  showplan(r);
  rb_show_start(vm->show, rep);
  if (r->stop == 0) r->stop = enter(r);
  if (vm->dryrun && r->stop == RB_LOCKED) r->stop = 0;  /* said; it never stops early */
  rb_steps_run(r);
  conclude(r);
  if (vm->dryrun) setdigest(r);
  rep->ms = (rb_now() - before) * 1000;
  if (rb_tape_end(vm->tape, rep->status, rep->exit, &p) != 0 && rep->exit == 0) {
    rep->error = p;
    rep->exit = r->started ? RB_INDOUBT : RB_FAILED;
    rep->status = r->started ? "in-doubt" : "failed";
  }
  rb_show_finish(vm->show, rep);
}

/* lua_CFunction: all of it, protected, so that memory that runs out is an error */
static int pmain (lua_State *L) {
  rb_Run *r = lua_touserdata(L, 1);
  rb_Problem *p = lua_touserdata(L, 2);
  lua_settop(L, 0);
  luaL_checkstack(L, 100, NULL);
  rb_words_open(L);
  if (prepare(r, p) == 0) execute(r);
  return 0;
}

static void cleanup (rb_Run *r) {
  rb_VM *vm = r->vm;
  rb_Config *config = vm->config;
  rb_stop_close(vm);
  rb_tape_close(vm->tape);
  vm->tape = NULL;
  rb_show_close(vm->show);
  vm->show = NULL;
  vm->report = NULL;
  rb_report_close(&r->report);
  rb_outline_free(r->L, &r->outline);
  json_decref(r->answers);
  rb_state_free(r->L);
  rb_config_free(config);
  for (int i = 0; i < r->nlocks; i++) close(r->locks[i]);
  free(r->locks);
  if (nested == 0) rb_redact_free();
}

int rb_run (const rb_RunOptions *o) {
  rb_Problem p = {0};
  rb_Run r = {.o = o, .who = operator_()};
  rb_ShowOptions show = {.json = o->json, .nocolor = o->nocolor};
  r.L = rb_state_new();
  if (r.L == NULL) {
    rb_problem(&p, RB_USAGE, "memory", "not enough memory");
    rb_show_problem(&p, o->json);
    return p.exit;
  }
  r.vm = rb_vm(r.L);
  r.vm->run = &r;
  r.vm->dryrun = o->dry_run;
  r.vm->show = rb_show_open(&show);
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
