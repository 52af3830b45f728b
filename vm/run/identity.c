/*
** identity.c - which servers these are: asked of each resource's own module
**
** A name of the configuration may lead to another database tomorrow. The answers
** go into a plan, and are asked for again before it is applied; those that a run heard
** on its way (servers.c), before it goes on or is taken back.
*/

#include <stdlib.h>
#include <string.h>

#include "vm/base.h"
#include "vm/replay.h"
#include "vm/run/run.h"

#define SECONDS 10  /* that one resource may take to answer */

static const rb_Reg who = {"identity", RB_PROBE, NULL, NULL, "identity()", NULL, NULL};

char *rb_identity_ask (rb_Run *r, rb_ResourceBox *box, lua_CFunction fn, double seconds,
                       char *why, size_t size) {
  rb_VM *vm = r->vm;
  lua_State *L = r->L;
  char *is = NULL;
  rb_FieldRun f = {.word = "identity", .may = RB_MAYPROBE,
                   .deadline = rb_now() + seconds};
  lua_pushcfunction(L, fn);
  rb_push_resource(L, box->r.system, box->r.kind);
  rb_Task *t = rb_task_new(L, NULL, &f, "identity", 1);
  t->call.reg = &who;
  t->call.module = box->module;
  t->call.box = box;
  t->call.effect = RB_PROBE;
  t->calling = 1;
  int met = box->met;
  box->met = ~0;  /* it is asked here, and says so to nobody else */
  rb_loop_run(vm, &f);
  box->met = met;
  t->calling = 0;
  luaL_checkstack(t->L, 30, NULL);
  const char *said = f.stop != RB_GO ? f.why : rb_tolstring(t->L, -1, NULL);
  char *clean = rb_redacted(said, strlen(said));
  if (f.stop == RB_GO && t->status == LUA_OK) is = clean;
  else {
    snprintf(why, size, "%s", clean != NULL ? clean : "it did not answer");
    free(clean);
  }
  rb_task_freeall(&f);
  return is;
}

/* [-0, +0, m] */
static char *ask (rb_Run *r, rb_ResourceBox *box, char *why, size_t size) {
  return rb_identity_ask(r, box, box->module->identity, SECONDS, why, size);
}

static int touched (const rb_Report *rep, const char *resource) {
  for (int i = 0; i < rep->nsteps; i++)
    for (const rb_EffectRow *e = rep->steps[i].effects; e != NULL; e = e->next)
      if (e->target != NULL && strcmp(e->target, resource) == 0) return 1;
  return 0;
}

int rb_identities (rb_Run *r, json_t *is, rb_Problem *p) {
  char why[400];
  for (rb_ResourceBox *b = r->vm->resources; b != NULL; b = b->next) {
    if (b->r.system == NULL || b->module == NULL || b->module->identity == NULL) continue;
    char *id = ask(r, b, why, sizeof why);
    if (id != NULL) json_object_set_new(is, b->r.name, json_string(id));
    else if (touched(&r->report, b->r.name))
      return rb_problem(p, RB_FAILED, "plan", "no plan is kept: %s does not say which one "
                        "it is: %s", b->r.name, why);
    free(id);
  }
  return 0;
}

/* [-0, +0, v]  the resource "system.kind", with its module; NULL: it cannot be asked */
static rb_ResourceBox *boxof (rb_Run *r, const char *name) {
  char system[200];
  const char *dot = strrchr(name, '.');
  if (dot == NULL) return NULL;
  snprintf(system, sizeof system, "%.*s", (int)(dot - name), name);
  rb_ResourceBox *box = rb_push_resource(r->L, system, dot + 1);
  lua_pop(r->L, 1);
  if (box->module == NULL) box->module = rb_module_load(r->L, box->r.kind);
  return box->module->identity != NULL ? box : NULL;
}

int rb_identities_check (rb_Run *r, const json_t *is, rb_Problem *p) {
  const char *name;
  json_t *planned;
  char why[400];
  json_object_foreach((json_t *)is, name, planned) {
    rb_ResourceBox *box = boxof(r, name);
    if (box == NULL) continue;
    char *id = ask(r, box, why, sizeof why);
    const char *then = json_is_string(planned) ? json_string_value(planned) : "";
    int same = id != NULL && strcmp(id, then) == 0;
    if (!same)
      rb_problem(p, RB_STALE, "plan", id != NULL ? "%s is another one than the plan was "
                 "made for: it was %s and is %s" : "%s cannot be asked whether it is the "
                 "one of the plan (%s): %s", name, then,
                 id != NULL ? id : why);
    free(id);
    if (!same) return p->exit;
  }
  return 0;
}

/* has the target that resource still? */
static int there (const rb_Run *r, const char *name) {
  char system[200];
  const char *dot = strrchr(name, '.');
  snprintf(system, sizeof system, "%.*s", dot != NULL ? (int)(dot - name) : 0, name);
  const char *const *k = dot != NULL ? rb_target_resources(r->vm->target, system) : NULL;
  while (k != NULL && *k != NULL && strcmp(*k, dot + 1) != 0) k++;
  return k != NULL && *k != NULL;
}

/* One that does not answer is looked at when the script comes to it. */
int rb_servers_same (rb_Run *r, rb_Problem *p) {
  const char *name;
  json_t *was;
  char why[400];
  if (r->o->resume == NULL) return 0;
  json_object_foreach(r->o->resume->servers, name, was) {
    rb_ResourceBox *box = there(r, name) ? boxof(r, name) : NULL;
    char *id = box != NULL ? ask(r, box, why, sizeof why) : NULL;
    int same = id == NULL || strcmp(id, json_string_value(was)) == 0;
    if (!same)
      rb_problem(p, RB_STALE, "target", "%s is another one than when the run began: it was "
                 "%s and is %s. Nothing was done; lead the configuration of %s back to that "
                 "one", name, json_string_value(was), id, r->report.target);
    free(id);
    if (!same) return p->exit;
  }
  return 0;
}
