/*
** doctor.c - asks every resource's own module how it is
**
** A doctor is a probe below the gate: it runs under the loop with a call of
** its own, and nothing of it is recorded.
*/

#include <stdlib.h>
#include <string.h>

#include "vm/base.h"
#include "vm/run/doctor.h"
#include "vm/run/run.h"
#include "vm/state.h"

#define SECONDS 10  /* that one resource may take to answer */

typedef int (*Row) (void *ud, const char *resource, const char *name,
                    const char *status, const char *value, const char *mend);

typedef struct Visit {
  rb_Config *config;
  rb_Target *target;
  Row row;
  void *ud;
  rb_Problem *p;
  int stop;
} Visit;

static const rb_Reg look = {"doctor", RB_PROBE, NULL, NULL, "doctor()", NULL, NULL};

static const char *field (lua_State *L, const char *name) {
  lua_getfield(L, -1, name);
  const char *s = lua_isnil(L, -1) ? "" : rb_tolstring(L, -1, NULL);
  return s;  /* left on the stack: it must live until the row is printed */
}

/* the list at the top of the task's stack, row by row */
static void printrows (Visit *v, lua_State *L, const char *resource) {
  int list = lua_gettop(L);
  lua_Integer n = luaL_len(L, list);
  for (lua_Integer i = 1; i <= n && !v->stop; i++) {
    lua_geti(L, list, i);
    int row = lua_gettop(L);
    const char *words[4];
    static const char *const names[] = {"name", "status", "value", "mend"};
    for (int k = 0; k < 4; k++) {
      lua_pushvalue(L, row);
      words[k] = field(L, names[k]);
    }
    v->stop = v->row(v->ud, resource, words[0], words[1], words[2], words[3]);
    lua_settop(L, list);
  }
}

static void visit (Visit *v, lua_State *L, const char *system, const char *kind) {
  rb_VM *vm = rb_vm(L);
  rb_FieldRun f = {.word = "doctor", .may = RB_MAYPROBE,
                   .deadline = rb_now() + SECONDS};
  rb_ResourceBox *box = rb_push_resource(L, system, kind);
  if (box->module == NULL) box->module = rb_module_load(L, kind);
  if (box->module->doctor == NULL) { lua_pop(L, 1); return; }
  lua_pushcfunction(L, box->module->doctor);
  lua_insert(L, -2);
  rb_Task *t = rb_task_new(L, NULL, &f, "doctor", 1);
  t->call.reg = &look;
  t->call.module = box->module;
  t->call.box = box;
  t->call.effect = RB_PROBE;
  t->calling = 1;
  rb_loop_run(vm, &f);
  t->calling = 0;
  luaL_checkstack(t->L, 30, NULL);
  if (f.stop != RB_GO || t->status != LUA_OK) {
    const char *why = f.stop != RB_GO ? f.why : rb_tolstring(t->L, -1, NULL);
    char *clean = rb_redacted(why, strlen(why));
    v->stop = v->row(v->ud, box->r.name, "answers", "bad", clean,
                     "is it running, and are the URL and the rights in the "
                     "configuration right?");
    free(clean);
  } else if (lua_istable(t->L, -1)) printrows(v, t->L, box->r.name);
  rb_task_freeall(&f);
}

static int pmain (lua_State *L) {
  Visit *v = lua_touserdata(L, 1);
  const char *const *s = rb_target_systems(v->target);
  for (; s != NULL && *s != NULL && !v->stop; s++) {
    const char *const *k = rb_target_resources(v->target, *s);
    static const char *const none[] = {NULL};
    for (k = k != NULL ? k : none; *k != NULL && !v->stop; k++)
      visit(v, L, *s, *k);
  }
  return 0;
}

int rb_doctor_resources (rb_Config *c, rb_Target *t, Row row, void *ud,
                         rb_Problem *p) {
  Visit v = {.config = c, .target = t, .row = row, .ud = ud, .p = p};
  lua_State *L = rb_state_new();
  if (L == NULL) return rb_problem(p, RB_USAGE, "memory", "not enough memory");
  rb_VM *vm = rb_vm(L);
  vm->config = c;
  vm->target = t;
  vm->hushed = 1;
  vm->loading = 0;
  rb_stop_open(vm);
  lua_pushcfunction(L, pmain);
  lua_pushlightuserdata(L, &v);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK)
    rb_problem(p, RB_FAILED, "internal", "%s", lua_tostring(L, -1));
  rb_state_free(L);
  return p->exit;
}

int rb_doctor_kernel (const char **why) { return rb_kernellayer(why); }
