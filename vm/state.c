/*
** state.c - the sandboxed Lua state: what scripts have, and its memory cap
*/

#include <stdlib.h>
#include <string.h>

#include <lualib.h>

#include "vm/base.h"
#include "vm/clock.h"
#include "vm/state.h"
#include "vm/gate.h"

#define MAXMEMORY ((size_t)256 << 20)  /* what one script may hold */
#define LOADSECONDS 2.0

/* Counts every byte; Lua turns NULL into "not enough memory". */
static void *alloc (void *ud, void *p, size_t osize, size_t nsize) {
  rb_VM *vm = ud;
  size_t old = p != NULL ? osize : 0;
  if (nsize > old && vm->memory + (nsize - old) > vm->maxmemory) return NULL;
  void *q = rb_pool_realloc(&vm->pool, p, old, nsize);
  if (q != NULL || nsize == 0) vm->memory += nsize - old;
  return q;
}

static const luaL_Reg libraries[] = {
  {LUA_GNAME, luaopen_base},
  {LUA_TABLIBNAME, luaopen_table},
  {LUA_STRLIBNAME, luaopen_string},
  {LUA_MATHLIBNAME, luaopen_math},
  {LUA_UTF8LIBNAME, luaopen_utf8},
  {NULL, NULL}
};

/* what the libraries bring and a script does not get; "table.name" or "name" */
static const char *const removed[] = {
  "collectgarbage", "dofile", "loadfile", "string.dump", "math.randomseed",
  NULL
};

static void removenames (lua_State *L) {
  for (const char *const *name = removed; *name != NULL; name++) {
    const char *dot = strchr(*name, '.');
    lua_pushglobaltable(L);
    if (dot != NULL) {
      lua_pushlstring(L, *name, (size_t)(dot - *name));
      lua_gettable(L, -2);
    }
    lua_pushnil(L);
    lua_setfield(L, -2, dot != NULL ? dot + 1 : *name);
    lua_pop(L, dot != NULL ? 2 : 1);
  }
}

static int fill (lua_State *L) {
  for (const luaL_Reg *lib = libraries; lib->name != NULL; lib++) {
    luaL_requiref(L, lib->name, lib->func, 1);
    lua_pop(L, 1);
  }
  removenames(L);
  rb_base_open(L);
  rb_modules_open(L);
  return 0;
}

lua_State *rb_state_new (void) {
  rb_VM *vm = calloc(1, sizeof *vm);
  rb_Task *t = calloc(1, sizeof *t);
  lua_State *L = NULL;
  if (vm == NULL || t == NULL) goto failed;
  vm->maxmemory = MAXMEMORY;
  vm->loading = 1;
  vm->overlay = LUA_NOREF;
  vm->burst = LOADSECONDS;
  vm->readylast = &vm->ready;
  vm->watches.next = vm->watches.prev = &vm->watches;
  vm->main = pthread_self();
  for (size_t i = 0; i < sizeof vm->limit / sizeof *vm->limit; i++)
    vm->limit[i] = -1;
  L = lua_newstate(alloc, vm);
  if (L == NULL) goto failed;
  vm->L = L;
  t->vm = vm;
  t->L = L;
  t->ref = LUA_NOREF;
  t->watch.fd = -1;
  *(rb_Task **)lua_getextraspace(L) = t;
  lua_pushcfunction(L, fill);
  if (lua_pcall(L, 0, 0, 0) == LUA_OK) return L;
  lua_close(L);
failed:
  if (vm != NULL) rb_pool_free(&vm->pool);
  free(t);
  free(vm);
  return NULL;
}

void rb_state_free (lua_State *L) {
  if (L == NULL) return;
  rb_Task *t = rb_taskof(L);
  rb_VM *vm = t->vm;
  vm->closing = 1;
  rb_stop_close(vm);
  rb_loop_free(vm);
  rb_modules_close(vm);
  lua_close(L);
  rb_pool_free(&vm->pool);
  rb_gate_free(vm);
  json_decref(vm->servers);
  for (int i = 0; i < vm->ngranted; i++) free(vm->granted[i]);
  free(vm->granted);
  rb_buffer_free(&vm->plan);
  rb_buffer_free(&vm->value);
  rb_buffer_free(&vm->text);
  rb_buffer_free(&vm->line);
  free(vm->folder);
  free(t);
  free(vm);
}

int rb_state_pcall (lua_State *L, int nargs, int nresults, double seconds) {
  rb_VM *vm = rb_vm(L);
  double before = vm->burst;
  vm->burst = seconds;
  vm->hooked = L;
  vm->slice = rb_clock_real();
  rb_stop_load(vm, seconds);
  int status = lua_pcall(L, nargs, nresults, 0);
  rb_stop_loaded();
  vm->slice = 0;
  vm->hooked = NULL;
  lua_sethook(L, NULL, 0, 0);
  vm->stopping = 0;
  vm->burst = before;
  return status;
}

void rb_state_folder (lua_State *L, const char *folder) {
  rb_VM *vm = rb_vm(L);
  free(vm->folder);
  vm->folder = folder != NULL ? strdup(folder) : NULL;
}
