/*
** apply.c - a plan that was kept, and nothing else
**
** The run goes through the gate as any other. Beside it stands the list of what
** was planned: a deed has its place there (its task's path, and how many deeds that
** task has begun), and must be the same deed, on the same thing, found as it
** was. The first that is not stops the run, before it is done.
*/

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/redact.h"
#include "vm/run/plan.h"
#include "vm/run/run.h"
#include "vm/state.h"

typedef struct Planned {
  const char *path;      /* of the effect; its task's is 'task' bytes long */
  size_t task;
  int deed;              /* place among those of its task, 1.. */
  const json_t *effect, *step;
  int reached;
} Planned;

struct rb_Apply {
  const json_t *doc;
  Planned *list;
  int n;
};

static const char *of (const json_t *o, const char *key) {
  const char *s = json_string_value(json_object_get(o, key));
  return s != NULL ? s : "";
}

static int is (const json_t *o, const char *key, const char *word) {
  return strcmp(of(o, key), word) == 0;
}

/* -- the list ----------------------------------------------------------------------- */

static void add (struct rb_Apply *a, const json_t *step, const json_t *effect) {
  const char *path = of(effect, "path"), *slash = strrchr(path, '/');
  if (slash == NULL) return;
  Planned *list = realloc(a->list, ((size_t)a->n + 1) * sizeof *list);
  if (list == NULL) return;  /* then it is not in the plan: never done */
  a->list = list;
  list[a->n] = (Planned){.path = path, .task = (size_t)(slash - path), .deed = 1,
                         .effect = effect, .step = step};
  for (int i = 0; i < a->n; i++)
    if (list[i].task == list[a->n].task && strncmp(list[i].path, path, list[i].task) == 0)
      list[a->n].deed++;
  a->n++;
}

struct rb_Apply *rb_apply_new (const json_t *doc) {
  size_t i, k;
  json_t *step, *effect;
  struct rb_Apply *a = calloc(1, sizeof *a);
  if (a == NULL) return NULL;
  a->doc = doc;
  json_array_foreach(json_object_get(doc, "steps"), i, step)
    json_array_foreach(json_object_get(step, "effects"), k, effect)
      if (!is(effect, "kind", "probe")) add(a, step, effect);
  return a;
}

void rb_apply_free (struct rb_Apply *a) {
  if (a != NULL) free(a->list);
  free(a);
}

static Planned *find (const rb_Task *t) {
  const struct rb_Apply *a = t->vm->apply;
  size_t n = strlen(t->path);
  for (int i = 0; i < a->n; i++)
    if (a->list[i].task == n && a->list[i].deed == t->call.deed
        && strncmp(a->list[i].path, t->path, n) == 0) return &a->list[i];
  return NULL;
}

void rb_apply_reached (rb_Task *t) {
  Planned *e = find(t);
  if (e != NULL) e->reached = 1;
}

/* -- before the first step ------------------------------------------------------------- */

static int another (rb_Problem *p, const char *path, const char *what) {
  return rb_problem(p, RB_STALE, "plan", "%.500s %s since the plan was made: make the "
                    "plan again", path, what);
}

/* the files as they lie there, before anything of them is run */
int rb_apply_files (const json_t *doc, rb_Problem *p) {
  const char *path;
  json_t *planned;
  json_object_foreach(json_object_get(json_object_get(doc, "plan"), "files"), path,
                      planned) {
    char hash[65];
    rb_Buffer b = {0};
    char part[4096];
    size_t n;
    FILE *f = fopen(path, "re");
    if (f == NULL) return another(p, path, errno == ENOENT ? "has gone" :
                                  "cannot be read any more");
    while ((n = fread(part, 1, sizeof part, f)) > 0) rb_buffer_add(&b, part, n);
    fclose(f);
    rb_sha256(b.s != NULL ? b.s : "", b.n, hash);
    rb_buffer_free(&b);
    if (!json_is_string(planned) || strcmp(hash, json_string_value(planned)) != 0)
      return another(p, path, "was edited");
  }
  return 0;
}

typedef struct Loaded { const json_t *planned; rb_Problem *p; } Loaded;

static void checkloaded (void *ud, const char *path, const char *text, size_t n) {
  Loaded *l = ud;
  char hash[65];
  const char *planned = json_string_value(json_object_get(l->planned, path));
  rb_sha256(text, n, hash);
  if (l->p->exit != 0) return;
  if (planned == NULL) another(l->p, path, "has become a part of the script");
  else if (strcmp(planned, hash) != 0) another(l->p, path, "was edited");
}

/* Did an earlier run begin to apply this plan? */
typedef struct Earlier {
  const char *plan;      /* the run that made it */
  int64_t made;
  json_t *ids;           /* of what was applied since */
  const char *id, *except;
  int same, deeds;
  char who[64], when[32], status[16];
} Earlier;

static int applied (void *ud, const rb_TapeRun *run) {
  Earlier *e = ud;
  if (run->started < e->made) return 1;
  if (run->mode != NULL && strcmp(run->mode, "apply") == 0
      && strcmp(run->id, e->except) != 0)
    json_array_append_new(e->ids, json_string(run->id));
  return 0;
}

static int deeds (void *ud, const rb_TapeRow *row) {
  Earlier *e = ud;
  if (strcmp(row->event.kind, "intent") == 0) e->deeds++;
  if (strcmp(row->event.kind, "start") != 0 || row->event.text == NULL) return 0;
  json_t *o = json_loads(row->event.text, 0, NULL);
  e->same = is(o, "plan", e->plan);
  json_decref(o);
  return !e->same;
}

static int names (void *ud, const rb_TapeRun *run) {
  Earlier *e = ud;
  if (strcmp(run->id, e->id) != 0) return 0;
  snprintf(e->who, sizeof e->who, "%s", run->who != NULL ? run->who : "?");
  snprintf(e->status, sizeof e->status, "%s", run->ended == 0 || run->status == NULL
           ? "unfinished" : run->status);
  rb_report_stamp(run->started, e->when, sizeof e->when);
  return 1;
}

static int checkrun (rb_Tape *t, Earlier *e, rb_Problem *p) {
  e->deeds = e->same = 0;
  if (rb_tape_events(t, e->id, deeds, e, p) != 0) return p->exit;
  if (!e->same || e->deeds == 0) return 0;
  rb_tape_runs(t, names, e, p);
  int done = strcmp(e->status, "done") == 0;
  return rb_problem(p, RB_STALE, "plan", done ? "this plan was applied already, by %s at "
                    "%s (run %s: %s); make a new one" : "this plan was begun already, by "
                    "%s at %s (run %s: %s); go on with it (runbook resume), or make a "
                    "new plan", e->who, e->when, e->id, e->status);
}

static int checkonce (rb_Run *r, rb_Problem *p) {
  const json_t *doc = r->o->apply;
  size_t i;
  json_t *id;
  Earlier e = {.plan = of(doc, "run"), .except = r->report.run, .ids = json_array(),
               .made = json_integer_value(json_object_get(json_object_get(doc, "plan"),
                                                          "made"))};
  rb_tape_runs(r->vm->tape, applied, &e, p);
  json_array_foreach(e.ids, i, id) {
    if (p->exit != 0) break;
    e.id = json_string_value(id);
    checkrun(r->vm->tape, &e, p);
  }
  json_decref(e.ids);
  return p->exit;
}

/* No two at a time: the second one would not see what the first is about to do. */
static int only (rb_Run *r, rb_Problem *p) {
  char name[60];
  snprintf(name, sizeof name, "plan:%.40s", of(r->o->apply, "run"));
  return rb_lock_alone(r, name, p);
}

int rb_apply_begin (rb_Run *r, rb_Problem *p) {
  const json_t *plan = json_object_get(r->o->apply, "plan");
  Loaded l = {json_object_get(plan, "files"), p};
  char age[40];
  rb_state_files(r->L, checkloaded, &l);
  if (p->exit != 0) return p->exit;
  if (only(r, p) != 0) return p->exit;
  if (r->o->resume == NULL && checkonce(r, p) != 0) return p->exit;
  if (rb_identities_check(r, json_object_get(plan, "identity"), p) != 0) return p->exit;
  rb_plan_age(r->o->apply, age, sizeof age);
  rb_Buffer b = {0};
  rb_buffer_printf(&b, "the plan was made by %s on %s, %s", of(plan, "operator"),
                   of(plan, "host"), age);
  if (b.s != NULL) rb_note(r->vm, NULL, b.s, b.n);
  rb_buffer_free(&b);
  return 0;
}

/* -- a deed ------------------------------------------------------------------------------ */

/* "{"value":"true","type":"string"}" as `"true"`, for people */
static void addimage (rb_Buffer *b, const json_t *image) {
  const json_t *v = json_object_get(image, "diff");
  if (v == NULL) v = json_is_object(image) ? json_object_get(image, "value") : image;
  char *s = v != NULL && !json_is_null(v) ? json_dumps(v, JSON_ENCODE_ANY) : NULL;
  rb_buffer_printf(b, "%.200s%s", s != NULL ? s : "nothing",
                   s != NULL && strlen(s) > 200 ? "..." : "");
  free(s);
}

/* [-0, +1, m]  what the preview at the top found: a new reference, or NULL */
static json_t *found (lua_State *L) {
  json_t *j = NULL;
  if (lua_getfield(L, -1, "before") != LUA_TNIL) j = rb_tojson(L, -1);
  lua_pop(L, 1);
  return j;
}

static void adddeed (const rb_Task *t, rb_Buffer *b) {
  char *clean = rb_redacted(t->call.summary.s, t->call.summary.n);
  rb_buffer_printf(b, "%s.%s on %s: %s", t->call.module->name, t->call.reg->name,
                   t->call.box->r.name, clean != NULL ? clean : "");
  free(clean);
}

static rb_Stop stale (rb_Buffer *b, char *why, size_t size) {
  snprintf(why, size, "%s", b->s != NULL ? b->s : "not as planned");
  rb_buffer_free(b);
  return RB_UNPLANNED;
}

/* the planned deed that this one stands in the place of: "planned ..., seen ..." */
static rb_Stop instead (rb_Task *t, const Planned *e, const char *what, char *why,
                        size_t size) {
  rb_Buffer b = {0};
  rb_buffer_printf(&b, "%s: planned was %s on %s: %s; seen is ", what,
                   of(e->effect, "verb"), of(e->effect, "target"),
                   of(e->effect, "summary"));
  adddeed(t, &b);
  return stale(&b, why, size);
}

static rb_Stop drifted (const Planned *e, const json_t *now, char *why, size_t size) {
  rb_Buffer b = {0};
  rb_buffer_printf(&b, "the world has moved on since the plan was made: %s on %s "
                   "expected to find ", of(e->effect, "verb"), of(e->effect, "target"));
  addimage(&b, json_object_get(e->effect, "before"));
  rb_buffer_puts(&b, " and found ");
  addimage(&b, now);
  return stale(&b, why, size);
}

/* A deed that the plan could not know: a person decides, with the preview at hand. */
static rb_Stop ask (lua_State *L, const json_t *step, char *why, size_t size) {
  rb_Task *t = rb_taskof(L);
  rb_Run *r = rb_runof(t->vm);
  rb_Buffer b = {0};
  rb_buffer_printf(&b, "step %s was deferred in the plan", of(step, "id"));
  if (*of(step, "reason") != '\0') rb_buffer_printf(&b, " (%s)", of(step, "reason"));
  rb_buffer_puts(&b, "; it goes on with ");
  adddeed(t, &b);
  json_t *now = found(L);
  if (now != NULL) {
    rb_buffer_puts(&b, ", where it finds ");
    addimage(&b, now);
  }
  json_decref(now);
  snprintf(why, size, "%s", b.s != NULL ? b.s : "");
  rb_buffer_free(&b);
  rb_note(t->vm, t->path, why, strlen(why));
  if (r->o->allow_deferred) return RB_GO;
  double began = rb_person_begin(t->vm);
  int yes = rb_ask_yes(t->vm->show, "Go on with that?");
  rb_person_end(t->vm, began);
  if (yes == 1) return RB_GO;
  if (t->vm->interrupts > 0) return RB_INTERRUPT;
  size_t n = strlen(why);
  snprintf(why + n, size - n, yes == 0 ? ": a person said no" : ": run it on a "
           "terminal, or with --allow-deferred");
  return RB_PERSON;
}

static const json_t *stepof (const rb_Task *t) {
  size_t i;
  json_t *s;
  const char *id = t->field->step != NULL ? t->field->step->id : "";
  json_array_foreach(json_object_get(t->vm->apply->doc, "steps"), i, s)
    if (is(s, "id", id)) return s;
  return NULL;
}

/* the plan knows nothing at this place */
static rb_Stop unknown (lua_State *L, char *why, size_t size) {
  rb_Task *t = rb_taskof(L);
  const json_t *step = stepof(t);
  if (step != NULL && is(step, "status", "deferred")) return ask(L, step, why, size);
  rb_Buffer b = {0};
  rb_buffer_puts(&b, "not in the plan: ");
  adddeed(t, &b);
  return stale(&b, why, size);
}

/* one that was planned before it in its task, and has not come */
static const Planned *skipped (const rb_Task *t, const Planned *e) {
  const struct rb_Apply *a = t->vm->apply;
  for (int i = 0; i < a->n; i++)
    if (a->list[i].task == e->task && a->list[i].deed < e->deed && !a->list[i].reached
        && strncmp(a->list[i].path, e->path, e->task) == 0) return &a->list[i];
  return NULL;
}

/* A notice tells what was found, so its words may differ; where it goes may not. */
static rb_Stop compare (lua_State *L, const Planned *e, const char *said, char *why,
                        size_t size) {
  rb_Task *t = rb_taskof(L);
  char verb[80], hash[65];
  const json_t *asked = json_object_get(e->effect, "asked");
  snprintf(verb, sizeof verb, "%s.%s", t->call.module->name, t->call.reg->name);
  if (!is(e->effect, "verb", verb) || !is(e->effect, "target", t->call.box->r.name))
    return instead(t, e, "another deed than the one in the plan", why, size);
  if (is(e->effect, "verdict", "cannot predict")) return ask(L, e->step, why, size);
  int notice = t->call.effect == RB_NOTICE;
  if (!is(asked, "arguments", t->call.arguments))
    return instead(t, e, notice ? "another recipient than in the plan"
                   : "other arguments than in the plan", why, size);
  if (notice) return RB_GO;
  json_t *now = found(L);
  rb_asked_before(t->vm, now, hash);
  rb_Stop stop = is(asked, "before", hash) ? RB_GO : drifted(e, now, why, size);
  json_decref(now);
  if (stop == RB_GO && !is(e->effect, "verdict", said))
    return instead(t, e, strcmp(said, "nothing to do") == 0 ? "it is already so: the plan "
                   "would have changed it" : "the plan found nothing to do here", why, size);
  return stop;
}

rb_Stop rb_apply_check (lua_State *L, const char *said, char *why, size_t size) {
  rb_Task *t = rb_taskof(L);
  const Planned *e = find(t), *before;
  if (e == NULL) return unknown(L, why, size);
  before = skipped(t, e);
  if (before != NULL)
    return instead(t, before, "out of order", why, size);
  return compare(L, e, said, why, size);
}

/* -- steps and cases ------------------------------------------------------------------------ */

int rb_apply_stepped (rb_Run *r, const char *id, rb_Problem *p) {
  const struct rb_Apply *a = r->vm->apply;
  for (int i = 0; i < a->n; i++) {
    const Planned *e = &a->list[i];
    if (e->reached || !is(e->step, "id", id) || !is(e->effect, "kind", "remedy")
        || !is(e->effect, "verdict", "would do")) continue;
    return rb_problem(p, RB_STALE, "plan", "planned, and not met with: %s on %s: %.600s",
                      of(e->effect, "verb"), of(e->effect, "target"),
                      of(e->effect, "summary"));
  }
  return 0;
}

int rb_apply_case (rb_Run *r, const rb_CaseRow *row, rb_Problem *p) {
  size_t i;
  json_t *c;
  const json_t *page = json_object_get(json_object_get(r->o->apply, "plan"), "page");
  json_array_foreach(json_object_get(page, "cases"), i, c) {
    json_int_t taken = json_integer_value(json_object_get(c, "taken"));
    if (!is(c, "id", row->id) || taken < 0 || taken == row->taken) continue;
    return rb_problem(p, RB_STALE, "plan", "case %s was %s in the plan and is %s now%s%.500s",
                      row->id, taken ? "taken" : "not taken", row->taken ? "true" : "not",
                      row->evidence != NULL ? ": " : "",
                      row->evidence != NULL ? row->evidence : "");
  }
  return 0;
}
