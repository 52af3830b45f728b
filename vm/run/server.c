/*
** server.c - what the servers of a target have against what a script would send them
**
** Asked of the resource's own module, as a doctor is: below the gate, under the loop, with a
** call of its own, and nothing of it is recorded. One that does not answer is not asked again.
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/base.h"
#include "vm/run/server.h"
#include "vm/state.h"
#include "vm/vm.h"

#define SECONDS 3      /* that one answer may take, with the connection */
#define LOADTIME 2.0   /* that a schema.lua may */

struct rb_Server {
  lua_State *L;
  char down[8][128]; int ndown;  /* resources that did not answer */
  int interrupted;
};

static const rb_Reg look = {"read", RB_PROBE, NULL, NULL, "read()", NULL, NULL};

rb_Server *rb_server_open (rb_Config *c, rb_Target *t) {
  rb_Server *s = calloc(1, sizeof *s);
  if (s != NULL) s->L = rb_state_new();
  if (s == NULL || s->L == NULL) {
    free(s);
    return NULL;
  }
  rb_VM *vm = rb_vm(s->L);
  vm->config = c;
  vm->target = t;
  vm->hushed = 1;
  vm->impatient = 1;
  return s;
}

void rb_server_close (rb_Server *s) {
  if (s == NULL) return;
  rb_state_free(s->L);
  free(s);
}

void rb_server_folder (rb_Server *s, const char *folder) {
  rb_state_folder(s->L, folder);
  rb_require_forget(s->L);
}

/* -- asking ------------------------------------------------------------------------- */

/* (system)  its schema.lua is loaded while the gate is shut, as it is for a check */
static int schema (lua_State *L) {
  rb_push_schema(L, lua_tostring(L, 1));
  return 0;
}

static int loadschema (lua_State *L, const char *system) {
  rb_vm(L)->loading = 1;
  lua_pushcfunction(L, schema);
  lua_pushstring(L, system);
  int ok = rb_state_pcall(L, 1, 0, LOADTIME) == LUA_OK;
  if (!ok) lua_pop(L, 1);
  rb_vm(L)->loading = 0;
  return ok;
}

/* [-0, +5, m]  the function and its arguments */
static void pushcall (lua_State *L, rb_ResourceBox *box, const rb_Question *a) {
  lua_pushcfunction(L, box->module->read);
  lua_insert(L, -2);
  lua_pushlstring(L, a->text, a->n);
  lua_newtable(L);
  for (int i = 0; i < a->ngiven; i++) {
    lua_pushstring(L, a->given[i].text);
    lua_setfield(L, -2, a->given[i].name);
  }
  lua_pushstring(L, a->method);
}

typedef struct Visit {
  const rb_Question *a;
  char *why; size_t size;
  rb_Said said;
  int interrupted;
} Visit;

static void answer (Visit *v, rb_Said said, const char *words) {
  size_t n = strlen(words);
  char *clean = rb_redacted(words, n);
  snprintf(v->why, v->size, "%s", clean != NULL ? clean : "");
  free(clean);
  v->said = n > 0 ? said : RB_SAIDNOTHING;
}

static int visit (lua_State *L) {
  Visit *v = lua_touserdata(L, 1);
  rb_FieldRun f = {.word = "check", .may = RB_MAYPROBE, .deadline = rb_now() + SECONDS};
  if (!loadschema(L, v->a->system)) return 0;
  rb_ResourceBox *box = rb_push_resource(L, v->a->system, v->a->kind);
  if (box->module == NULL) box->module = rb_module_load(L, v->a->kind);
  if (box->module->read == NULL) return 0;
  pushcall(L, box, v->a);
  rb_Task *t = rb_task_new(L, NULL, &f, "check", 4);
  t->call.reg = &look;
  t->call.module = box->module;
  t->call.box = box;
  t->call.effect = RB_PROBE;
  t->calling = 1;
  rb_loop_run(rb_vm(L), &f);
  t->calling = 0;
  luaL_checkstack(t->L, 30, NULL);
  v->interrupted = f.stop == RB_INTERRUPT;
  int ok = f.stop == RB_GO && t->status == LUA_OK;
  answer(v, ok ? RB_SAIDNO : RB_SAIDDOWN,
         f.stop != RB_GO ? f.why : rb_tolstring(t->L, -1, NULL));
  rb_task_freeall(&f);
  return 0;
}

rb_Said rb_server_ask (rb_Server *s, const rb_Question *a, char *why, size_t size) {
  char name[128];
  Visit v = {a, why, size, RB_SAIDNOTHING, 0};
  if (s->interrupted) return RB_SAIDNOTHING;
  snprintf(name, sizeof name, "%s.%s", a->system, a->kind);
  for (int i = 0; i < s->ndown; i++)
    if (strcmp(s->down[i], name) == 0) return RB_SAIDNOTHING;
  lua_pushcfunction(s->L, visit);
  lua_pushlightuserdata(s->L, &v);
  if (lua_pcall(s->L, 1, 0, 0) != LUA_OK) {
    answer(&v, RB_SAIDDOWN, rb_tolstring(s->L, -1, NULL));
    lua_settop(s->L, 0);
  }
  s->interrupted = v.interrupted;
  if (s->interrupted) return RB_SAIDNOTHING;
  if (v.said == RB_SAIDDOWN && s->ndown < 8) memcpy(s->down[s->ndown++], name, sizeof name);
  return v.said;
}

int rb_server_interrupted (const rb_Server *s) { return s != NULL && s->interrupted; }
