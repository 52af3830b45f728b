/*
** modules.c - the stdlib's shared objects, loaded when first used, and the
** systems and resources that scripts name
**
** A module is one shared object in one folder beside the program, owned by
** root or by us, with our interface number; it is never unloaded. While a
** file is being loaded nothing is: a resource's methods are then stubs that
** refuse, so that an outline touches no client library.
*/

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vm/base.h"
#include "vm/redact.h"
#include "vm/vm.h"

#define RESOURCE "rb.resource"
#define SYSTEM "rb.system"
#define SECRET "rb.secret"
#define METHODS "rb.methods"  /* registry: module -> methods table */
#define MODULES "rb.modules"  /* registry: module -> its rb_Module */

/* free modules: globals of every script */
static const char *const freemodules[] = {
  "exec", "file", "json", "text", "time", NULL
};

/* the kinds of resources that a system may have */
static const char *const kinds[] = {
  "backup", "dotenv", "http", "log", "pg", "redis", "service", NULL
};

static int among (const char *word, const char *const *words) {
  for (; *words != NULL; words++)
    if (strcmp(word, *words) == 0) return 1;
  return 0;
}

/* -- shared objects ------------------------------------------------------------ */

/* Ours or root's, and writable by nobody else. */
static int trusted (const char *path) {
  struct stat st;
  return stat(path, &st) == 0 && (st.st_uid == 0 || st.st_uid == getuid())
         && (st.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/* the path of NAME.so in the one folder that there is; 0: it is not there */
static int findobject (const char *name, char *path, size_t size) {
  static const char *const folders[] = {"lib", "../lib/runbook", "../lib", NULL};
  char exe[2048];
  ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
  if (n < 0) return 0;
  exe[n] = '\0';
  *strrchr(exe, '/') = '\0';
  for (const char *const *f = folders; *f != NULL; f++)
    if ((size_t)snprintf(path, size, "%s/%s/%s.so", exe, *f, name) < size
        && access(path, F_OK) == 0) return 1;
  return 0;
}

int rb_module_path (const char *name, char *path, size_t size) {
  return findobject(name, path, size) && trusted(path);
}

static const rb_Module *openobject (lua_State *L, const char *name) {
  char path[4096];
  if (!findobject(name, path, sizeof path))
    luaL_error(L, "this installation has no module '%s' (looked for lib/%s.so "
               "beside the program)", name, name);
  if (!trusted(path))
    luaL_error(L, "module %s is not used: it must belong to root or to you and "
               "be writable by nobody else", path);
  void *so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (so == NULL) luaL_error(L, "cannot load a module: %s", dlerror());
  const rb_Module *m = dlsym(so, "rb_module");
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
    m = openobject(L, name);
    lua_pushlightuserdata(L, (void *)m);
    lua_setfield(L, -2, name);
  }
  lua_pop(L, 1);
  return m;
}

/* -- secrets ---------------------------------------------------------------------- */

typedef struct Secret {
  char *name;
  size_t len;
  char text[];
} Secret;

static int secret_gc (lua_State *L) {
  Secret *s = luaL_checkudata(L, 1, SECRET);
  free(s->name);
  s->name = NULL;
  explicit_bzero(s->text, s->len);
  return 0;
}

static int secret_tostring (lua_State *L) {
  Secret *s = luaL_checkudata(L, 1, SECRET);
  lua_pushfstring(L, "[redacted %s]", s->name);
  return 1;
}

static int secret_name (lua_State *L) {
  lua_pushstring(L, ((Secret *)luaL_checkudata(L, 1, SECRET))->name);
  return 1;
}

void rb_push_secret (lua_State *L, const char *name, const char *text,
                     size_t len) {
  rb_redact_add(name, text, len);
  Secret *s = lua_newuserdatauv(L, sizeof *s + len + 1, 0);
  s->name = NULL;
  s->len = len;
  memcpy(s->text, text, len);
  s->text[len] = '\0';
  if (luaL_newmetatable(L, SECRET)) {
    lua_pushcfunction(L, secret_gc);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, secret_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushliteral(L, "secret");
    lua_setfield(L, -2, "__rblabel");
    lua_pushcfunction(L, secret_name);
    lua_setfield(L, -2, "__rbname");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
  }
  lua_setmetatable(L, -2);
  s->name = strdup(name);
  if (s->name == NULL) luaL_error(L, "not enough memory");
}

const char *rb_text (lua_State *L, int idx, size_t *len) {
  Secret *s = luaL_testudata(L, idx, SECRET);
  if (s == NULL) {
    luaL_argexpected(L, lua_type(L, idx) == LUA_TSTRING
                     || lua_type(L, idx) == LUA_TNUMBER, idx,
                     "string or secret");
    lua_pushvalue(L, idx);
    return lua_tolstring(L, -1, len);
  }
  return lua_pushlstring(L, s->text, s->len), lua_tolstring(L, -1, len);
}

void rb_secret (lua_State *L, const char *name, const char *text,
                size_t len) {
  (void)L;
  rb_redact_add(name, text, len);
}

/* -- free modules ------------------------------------------------------------------- */

static rb_ResourceBox *newbox (rb_VM *vm, const char *name, const char *system,
                               const char *kind) {
  rb_ResourceBox *box = calloc(1, sizeof *box);
  if (box == NULL) return NULL;
  box->vm = vm;
  box->r.name = strdup(name);
  box->r.system = system != NULL ? strdup(system) : NULL;
  box->r.kind = strdup(kind);
  box->next = vm->resources;
  vm->resources = box;
  return box;
}

static rb_ResourceBox *findbox (rb_VM *vm, const char *name) {
  rb_ResourceBox *box = vm->resources;
  while (box != NULL && strcmp(box->r.name, name) != 0) box = box->next;
  return box;
}

/* __index of a module that is not loaded yet; upvalue 1: its name */
static int module_index (lua_State *L) {
  rb_VM *vm = rb_vm(L);
  const char *name = lua_tostring(L, lua_upvalueindex(1));
  lua_settop(L, 2);
  const rb_Module *m = rb_module_load(L, name);
  rb_ResourceBox *box = findbox(vm, name);
  if (box == NULL) box = newbox(vm, name, NULL, name);
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
  for (const char *const *name = freemodules; *name != NULL; name++) {
    lua_newtable(L);
    lua_createtable(L, 0, 2);
    lua_pushstring(L, *name);
    lua_pushcclosure(L, module_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_setglobal(L, *name);
  }
}

/* -- resources ------------------------------------------------------------------------ */

/* upvalues: resource's name, method */
static int shut (lua_State *L) {
  return luaL_error(L, "%s:%s is called while the file is being loaded; a "
                    "primitive belongs into a step", lua_tostring(L,
                    lua_upvalueindex(1)), lua_tostring(L, lua_upvalueindex(2)));
}

/* [-0, +1]  the methods table of a module, made once */
static void pushmethods (lua_State *L, const rb_Module *m) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, METHODS);
  if (lua_getfield(L, -1, m->name) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushnil(L);
    rb_setgated(L, m, m->methods);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, m->name);
  }
  lua_remove(L, -2);
}

static int nomethod (lua_State *L, const rb_Module *m, const char *name) {
  const char *words[128];
  int n = 0;
  for (const rb_Reg *r = m->methods; r != NULL && r->name != NULL && n < 127; r++)
    words[n++] = r->name;
  words[n] = NULL;
  const char *near = rb_nearest(name, words);
  return luaL_error(L, near != NULL ? "%s has no primitive '%s' (did you mean "
                    "'%s'?)" : "%s has no primitive '%s'", m->name, name, near);
}

static int resource_index (lua_State *L) {
  rb_VM *vm = rb_vm(L);
  rb_ResourceBox *box = *(rb_ResourceBox **)luaL_checkudata(L, 1, RESOURCE);
  const char *name = luaL_checkstring(L, 2);
  if (vm->loading) {
    lua_pushstring(L, box->r.name);
    lua_pushvalue(L, 2);
    lua_pushcclosure(L, shut, 2);
    return 1;
  }
  if (box->module == NULL) box->module = rb_module_load(L, box->r.kind);
  pushmethods(L, box->module);
  if (lua_getfield(L, -1, name) == LUA_TNIL)
    return nomethod(L, box->module, name);
  return 1;
}

static int resource_tostring (lua_State *L) {
  rb_ResourceBox *box = *(rb_ResourceBox **)luaL_checkudata(L, 1, RESOURCE);
  lua_pushstring(L, box->r.name);
  return 1;
}

static int hasresource (rb_VM *vm, const char *system, const char *kind) {
  const char *const *have = rb_target_resources(vm->target, system);
  return have != NULL && among(kind, have);
}

rb_ResourceBox *rb_push_resource (lua_State *L, const char *system,
                                  const char *kind) {
  rb_VM *vm = rb_vm(L);
  const char *name = lua_pushfstring(L, "%s.%s", system, kind);
  rb_ResourceBox *box = findbox(vm, name);
  if (vm->target != NULL && !hasresource(vm, system, kind))
    luaL_error(L, "system '%s' has no %s on target '%s' (add it to "
               "targets.%s.systems.%s in the configuration)", system, kind,
               rb_target_name(vm->target), rb_target_name(vm->target), system);
  if (box == NULL) box = newbox(vm, name, system, kind);
  if (box == NULL) luaL_error(L, "not enough memory");
  *(rb_ResourceBox **)lua_newuserdatauv(L, sizeof box, 0) = box;
  luaL_setmetatable(L, RESOURCE);
  lua_remove(L, -2);
  return box;
}

/* -- systems ------------------------------------------------------------------------------ */

/* [-1, +0]  copies what the table at the top holds into the one at 'to', deep */
static void overlay (lua_State *L, int to) {
  lua_pushnil(L);
  while (lua_next(L, -2) != 0) {
    lua_pushvalue(L, -2);
    int type = lua_gettable(L, to);
    if (type == LUA_TTABLE && lua_istable(L, -2) && lua_rawlen(L, -2) == 0) {
      lua_insert(L, -2);                              /* key, old, new */
      overlay(L, lua_gettop(L) - 1);
    } else {
      lua_pop(L, 1);
      lua_pushvalue(L, -2);
      lua_insert(L, -2);
      lua_settable(L, to);                            /* key */
      continue;
    }
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* [-0, +1]  the folder's schema.lua, copied, under the configuration's own */
static void pushschema (lua_State *L, const char *system) {
  rb_VM *vm = rb_vm(L);
  char path[4096];
  lua_newtable(L);
  int to = lua_gettop(L);
  snprintf(path, sizeof path, "%s/schema.lua", vm->folder != NULL ? vm->folder : "");
  if (vm->folder != NULL && access(path, R_OK) == 0) {
    lua_pushcfunction(L, rb_require);
    lua_pushliteral(L, "schema");
    lua_call(L, 1, 1);
    if (lua_istable(L, -1)) overlay(L, to);
    else lua_pop(L, 1);
  }
  if (vm->target != NULL) {
    rb_target_system(vm->target, L, system, "schema", rb_push_secret);
    if (lua_istable(L, -1)) overlay(L, to);
    else lua_pop(L, 1);
  }
}

static int system_index (lua_State *L) {
  rb_VM *vm = rb_vm(L);
  const char *system = *(const char **)luaL_checkudata(L, 1, SYSTEM);
  const char *key = luaL_checkstring(L, 2);
  lua_getiuservalue(L, 1, 1);                        /* 3: what was made before */
  lua_pushvalue(L, 2);
  if (lua_gettable(L, 3) != LUA_TNIL) return 1;
  lua_pop(L, 1);
  if (strcmp(key, "settings") == 0) {
    if (vm->target == NULL) lua_newtable(L);
    else rb_target_system(vm->target, L, system, key, rb_push_secret);
    if (lua_isnil(L, -1)) lua_newtable(L);
  } else if (strcmp(key, "schema") == 0) {
    pushschema(L, system);
  } else if (among(key, kinds)) {
    rb_push_resource(L, system, key);
  } else {
    const char *near = rb_nearest(key, kinds);
    return luaL_error(L, near != NULL ? "a system has no '%s' (did you mean "
                      "'%s'?)" : "a system has no '%s'", key, near);
  }
  lua_pushvalue(L, 2);
  lua_pushvalue(L, -2);
  lua_settable(L, 3);
  return 1;
}

/* system "name": the resources of that name on the target */
static int system_new (lua_State *L) {
  rb_VM *vm = rb_vm(L);
  const char *name = luaL_checkstring(L, 1);
  if (vm->target != NULL && rb_target_resources(vm->target, name) == NULL) {
    const char *near = rb_nearest(name, rb_target_systems(vm->target));
    if (vm->config != NULL && rb_config_file(vm->config) == NULL)
      return luaL_error(L, "no system '%s': there is no configuration that names one "
                        "(write ./runbook.config.lua, or give --config)", name);
    return luaL_error(L, near != NULL ? "no system '%s' on target '%s' (did you "
                      "mean '%s'?)" : "no system '%s' on target '%s'", name,
                      rb_target_name(vm->target), near);
  }
  luaL_getsubtable(L, LUA_REGISTRYINDEX, "rb.systems");
  lua_pushvalue(L, 1);
  if (lua_gettable(L, -2) != LUA_TNIL) return 1;
  lua_pop(L, 1);
  *(const char **)lua_newuserdatauv(L, sizeof(char *), 2) = name;
  luaL_setmetatable(L, SYSTEM);
  lua_newtable(L);
  lua_setiuservalue(L, -2, 1);
  lua_pushvalue(L, 1);                               /* keeps the name alive */
  lua_setiuservalue(L, -2, 2);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, -2);
  lua_settable(L, -4);
  return 1;
}

static void newtype (lua_State *L, const char *type, const char *label,
                     lua_CFunction index, lua_CFunction tostring) {
  luaL_newmetatable(L, type);
  lua_pushcfunction(L, index);
  lua_setfield(L, -2, "__index");
  if (tostring != NULL) {
    lua_pushcfunction(L, tostring);
    lua_setfield(L, -2, "__tostring");
  }
  lua_pushstring(L, label);
  lua_setfield(L, -2, "__rblabel");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
}

void rb_modules_open (lua_State *L) {
  newtype(L, RESOURCE, "resource", resource_index, resource_tostring);
  newtype(L, SYSTEM, "system", system_index, NULL);
  lua_pushcfunction(L, system_new);
  lua_setglobal(L, "system");
  setmodules(L);
}

void rb_modules_close (rb_VM *vm) {
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

/* -- what a module may ask about its resource ---------------------------------------------- */

int rb_setting (lua_State *L, rb_Resource *r, const char *key) {
  rb_VM *vm = rb_vm(L);
  if (r->system == NULL || vm->target == NULL) lua_pushnil(L);
  else if (strcmp(key, "schema") == 0) pushschema(L, r->system);
  else {
    rb_target_resource(vm->target, L, r->system, r->kind, key, rb_push_secret);
    if (luaL_testudata(L, -1, SECRET) != NULL) {
      rb_text(L, -1, NULL);
      lua_remove(L, -2);
    }
  }
  return lua_type(L, -1);
}

/* a file that a parameter of type `path` named: granted for looking */
static int granted (rb_VM *vm, const char *path) {
  for (int i = 0; i < vm->ngranted; i++)
    if (strcmp(vm->granted[i], path) == 0) return 1;
  return 0;
}

void rb_allowlist (lua_State *L, const char *list) {
  rb_VM *vm = rb_vm(L);
  if (vm->target == NULL) {
    lua_newtable(L);
    return;
  }
  rb_target_part(vm->target, L, "allow", rb_push_secret);
  if (lua_istable(L, -1)) lua_getfield(L, -1, list);
  else lua_pushnil(L);
  lua_remove(L, -2);
  if (lua_istable(L, -1)) return;
  lua_pop(L, 1);
  lua_newtable(L);
}

int rb_allowed (lua_State *L, const char *list, const char *value) {
  rb_VM *vm = rb_vm(L);
  if (strcmp(list, "reads") == 0) {
    if (granted(vm, value)) return 1;
    list = "files";
  }
  return vm->target != NULL && rb_target_allows(vm->target, list, value);
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
