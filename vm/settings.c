/*
** settings.c - what a module may ask about its resource and its target
*/

#include <string.h>

#include "vm/vm.h"

/* [-0, +1, m]  notify.KIND of the target */
static void pushnotify (lua_State *L, const rb_VM *vm, const char *kind) {
  rb_target_part(vm->target, L, "notify", rb_push_secret);
  if (lua_istable(L, -1)) lua_getfield(L, -1, kind);
  else lua_pushnil(L);
  lua_remove(L, -2);
}

int rb_setting (lua_State *L, rb_Resource *r, const char *key) {
  rb_VM *vm = rb_vm(L);
  if (key == NULL && vm->target != NULL) pushnotify(L, vm, r->kind);
  else if (r->system == NULL || vm->target == NULL) lua_pushnil(L);
  else if (strcmp(key, "schema") == 0) rb_push_schema(L, r->system);
  else {
    rb_target_resource(vm->target, L, r->system, r->kind, key, rb_push_secret);
    if (luaL_testudata(L, -1, RB_SECRETTYPE) != NULL) {
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
  } else if (strcmp(list, "reaches") == 0) {
    if (vm->target != NULL && rb_target_owns(vm->target, value)) return 1;
    list = "hosts";
  }
  return vm->target != NULL && rb_target_allows(vm->target, list, value);
}
