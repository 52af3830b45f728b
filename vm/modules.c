/*
** modules.c - the stdlib's shared objects, loaded when first used
**
** A module is one shared object in one folder beside the program, owned by
** root or by us, with our interface number; it is never unloaded.
*/

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vm/fake.h"
#include "vm/gate.h"

#define MODULES "rb.modules"  /* registry: module -> its rb_Module */

/* all modules, as the Makefile finds them; those with functions are globals of every
** script */
static const struct { const char *name; int isfree; } modules[] = {
#include "modules.h"
  {NULL, 0}
};

/* -- shared objects ------------------------------------------------------------ */

/* Ours or root's, and writable by nobody else. */
static int trusted (const char *path) {
  struct stat st;
  return stat(path, &st) == 0 && (st.st_uid == 0 || st.st_uid == getuid())
         && (st.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/* the path of NAME with that suffix in the one folder that there is; 0: it is not there */
static int findinstalled (const char *name, const char *suffix, char *path, size_t size) {
  static const char *const folders[] = {"lib", "../lib/runbook", "../lib", NULL};
  char exe[2048];
  ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
  if (n < 0) return 0;
  exe[n] = '\0';
  *strrchr(exe, '/') = '\0';
  for (const char *const *f = folders; *f != NULL; f++)
    if ((size_t)snprintf(path, size, "%s/%s/%s%s", exe, *f, name, suffix) < size
        && access(path, F_OK) == 0) return 1;
  return 0;
}

static int findobject (const char *name, char *path, size_t size) {
  return findinstalled(name, ".so", path, size);
}

int rb_module_rows (char *path, size_t size) {
  return findinstalled("primitives", ".txt", path, size) && trusted(path);
}

int rb_module_script (const char *name, char *path, size_t size) {
  if (!findinstalled(name, ".lua", path, size)) return 0;
  return trusted(path) ? 1 : -1;
}

int rb_module_path (const char *name, char *path, size_t size) {
  return findobject(name, path, size) && trusted(path);
}

/* its path is left in 'path' */
static void *openobject (lua_State *L, const char *name, char *path, size_t size) {
  if (!findobject(name, path, size))
    luaL_error(L, "this installation has no module '%s' (looked for lib/%s.so "
               "beside the program)", name, name);
  if (!trusted(path))
    luaL_error(L, "module %s is not used: it must belong to root or to you and "
               "be writable by nobody else", path);
  void *so = dlopen(path, RB_DLOPEN);
  if (so == NULL) luaL_error(L, "cannot load a module: %s", dlerror());
  return so;
}

static const rb_Module *openmodule (lua_State *L, const char *name) {
  char path[4096];
  const rb_Module *m = dlsym(openobject(L, name, path, sizeof path), "rb_module");
  if (m == NULL || m->interface != RB_INTERFACE || strcmp(m->name, name) != 0)
    luaL_error(L, "module %s is of another version of runbook", path);
  return m;
}

const rb_Module *rb_module_load (lua_State *L, const char *name) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, MODULES);
  lua_getfield(L, -1, name);
  const rb_Module *m = lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (m == NULL) {
    rb_VM *vm = rb_vm(L);
    m = vm->world != NULL ? rb_world_module(L, name, openmodule) : rb_warm_module(vm, name);
    if (m == NULL) m = openmodule(L, name);
    lua_pushlightuserdata(L, (void *)m);
    lua_setfield(L, -2, name);
  }
  lua_pop(L, 1);
  return m;
}

/* The part stands beside its module, and is trusted as that is. */
const void *rb_loadpart (lua_State *L, const char *part) {
  char name[128], path[4096];
  const rb_Module *m = rb_taskof(L)->call.module;
  snprintf(name, sizeof name, "%s-%s", m->name, part);
  void *so = openobject(L, name, path, sizeof path);
  const void *symbol = dlsym(so, "rb_part");
  if (symbol == NULL) luaL_error(L, "module %s is of another version of runbook", path);
  return symbol;
}

const void *rb_module_part (const char *module, const char *part) {
  char name[128], path[4096];
  snprintf(name, sizeof name, "%s-%s", module, part);
  void *so = rb_module_path(name, path, sizeof path) ? dlopen(path, RB_DLOPEN) : NULL;
  return so != NULL ? dlsym(so, "rb_part") : NULL;
}

/* -- free modules ------------------------------------------------------------------- */

/* __index of a module that is not loaded yet; upvalue 1: its name */
static int module_index (lua_State *L) {
  rb_VM *vm = rb_vm(L);
  const char *name = lua_tostring(L, lua_upvalueindex(1));
  lua_settop(L, 2);
  const rb_Module *m = rb_module_load(L, name);
  rb_ResourceBox *box = rb_box(vm, name, NULL, name);
  if (box == NULL) return luaL_error(L, "not enough memory");
  box->module = m;
  lua_pushvalue(L, 1);
  lua_pushlightuserdata(L, box);
  rb_setgated(L, m, m->functions);
  if (m->constants != NULL) m->constants(L);
  lua_pushnil(L);
  lua_setmetatable(L, -2);
  lua_settop(L, 2);
  if (lua_rawget(L, 1) == LUA_TNIL) {
    return luaL_error(L, "the module %s has no '%s'", name,
                      luaL_checkstring(L, 2));
  }
  return 1;
}

static void setmodules (lua_State *L) {
  for (int i = 0; modules[i].name != NULL; i++) {
    if (!modules[i].isfree) continue;
    lua_newtable(L);
    lua_createtable(L, 0, 2);
    lua_pushstring(L, modules[i].name);
    lua_pushcclosure(L, module_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_setglobal(L, modules[i].name);
  }
}

const char *rb_module_name (int i) { return modules[i].name; }

int rb_module_isfree (int i) { return modules[i].isfree; }

void rb_modules_open (lua_State *L) {
  rb_systems_open(L);
  setmodules(L);
}

void rb_modules_close (rb_VM *vm) {
  rb_ahead_end(vm);
  rb_warm_end(vm);
  for (rb_ResourceBox *box = vm->resources; box != NULL; ) {
    rb_ResourceBox *next = box->next;
    if (box->module != NULL && box->module->close != NULL && box->r.data != NULL)
      box->module->close(&box->r);
    free((char *)box->r.name);
    free((char *)box->r.system);
    free((char *)box->r.kind);
    free(box);
    box = next;
  }
  vm->resources = NULL;
}

/* [-1, +1, m]  the table at the top, with the metatable of a result type */
void rb_settype_named (lua_State *L, const char *name) {
  const char *dot = strchr(name, '.');
  if (!luaL_newmetatable(L, name)) {
    lua_setmetatable(L, -2);
    return;
  }
  lua_pushlstring(L, name, dot != NULL ? (size_t)(dot - name) : strlen(name));
  const rb_Module *m = rb_module_load(L, lua_tostring(L, -1));
  lua_pop(L, 1);
  lua_newtable(L);
  for (const rb_Type *t = m->types; t != NULL && t->name != NULL; t++) {
    if (strcmp(t->name, name) != 0) continue;
    lua_pushnil(L);
    rb_setgated(L, m, t->methods);
  }
  lua_setfield(L, -2, "__index");
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, "__rbtype");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_setmetatable(L, -2);
}

void rb_settype (lua_State *L, const char *type) { rb_settype_named(L, type); }
