/*
** systems.c - the systems that scripts name, and their resources
**
** While a file is being loaded a resource's methods are stubs that refuse, so
** that an outline touches no client library.
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vm/base.h"
#include "vm/gate.h"
#include "vm/state.h"

#define RESOURCE "rb.resource"
#define SYSTEM "rb.system"
#define METHODS "rb.methods"  /* registry: module -> methods table */

/* the kinds of resources that a system may have */
static const char *const kinds[] = {
  "backup", "dotenv", "http", "log", "pg", "redis", "service", NULL
};

static int among (const char *word, const char *const *words) {
  for (; *words != NULL; words++)
    if (strcmp(word, *words) == 0) return 1;
  return 0;
}

/* -- resources ------------------------------------------------------------------------ */

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

rb_ResourceBox *rb_box (rb_VM *vm, const char *name, const char *system,
                        const char *kind) {
  rb_ResourceBox *box = vm->resources;
  while (box != NULL && strcmp(box->r.name, name) != 0) box = box->next;
  return box != NULL ? box : newbox(vm, name, system, kind);
}

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

int rb_system_has (lua_State *L, int idx, const char *kind) {
  return hasresource(rb_vm(L), *(const char **)lua_touserdata(L, idx), kind);
}

int rb_issystem (lua_State *L, int idx) { return luaL_testudata(L, idx, SYSTEM) != NULL; }

const rb_Resource *rb_resource_at (lua_State *L, int idx) {
  rb_ResourceBox **box = luaL_testudata(L, idx, RESOURCE);
  return box != NULL ? &(*box)->r : NULL;
}

rb_ResourceBox *rb_push_resource (lua_State *L, const char *system,
                                  const char *kind) {
  rb_VM *vm = rb_vm(L);
  const char *name = lua_pushfstring(L, "%s.%s", system, kind);
  if (vm->target != NULL && !hasresource(vm, system, kind))
    luaL_error(L, "system '%s' has no %s on target '%s' (add it to "
               "targets.%s.systems.%s in the configuration)", system, kind,
               rb_target_name(vm->target), rb_target_name(vm->target), system);
  rb_ResourceBox *box = rb_box(vm, name, system, kind);
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
void rb_push_schema (lua_State *L, const char *system) {
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
    rb_push_schema(L, system);
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

static int system_tostring (lua_State *L) {
  lua_getiuservalue(L, 1, 2);
  lua_pushfstring(L, "system \"%s\"", lua_tostring(L, -1));
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
  luaL_getsubtable(L, LUA_REGISTRYINDEX, RB_SYSTEMS);
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

/* [-0, +0]  Has the system at the top made that part, and is it this table? */
static int ispart (lua_State *L, const char *part, const void *table) {
  lua_getiuservalue(L, -1, 1);
  lua_getfield(L, -1, part);
  int is = lua_topointer(L, -1) == table;
  lua_pop(L, 2);
  return is;
}

const char *rb_part_at (lua_State *L, int idx, const char **system) {
  const void *table = lua_topointer(L, idx);
  const char *part = NULL;
  luaL_getsubtable(L, LUA_REGISTRYINDEX, RB_SYSTEMS);
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    const char *is = ispart(L, "settings", table) ? "settings"
                   : ispart(L, "schema", table) ? "schema" : NULL;
    if (is == NULL) continue;
    part = is;
    *system = lua_tostring(L, -2);
  }
  lua_pop(L, 1);
  return part;
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

void rb_systems_open (lua_State *L) {
  newtype(L, RESOURCE, "resource", resource_index, resource_tostring);
  newtype(L, SYSTEM, "system", system_index, system_tostring);
  lua_pushcfunction(L, system_new);
  lua_setglobal(L, "system");
}
