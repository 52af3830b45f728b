/*
** derive.c - values that belong to a place of a run: the same again on resume
** and replay, and nowhere stored
*/

#include "vm/exported.h"
#include "vm/vm.h"

static const char *draw (lua_State *L, void *out, size_t n, int chance) {
  rb_Task *t = rb_taskof(L);
  rb_VM *vm = t->vm;
  if (vm->loading || vm->closing || t->field == NULL || (vm->tape == NULL && vm->exported == NULL))
    luaL_error(L, "random values belong to a run: ask for them in a step");
  const char *place = lua_pushfstring(L, "%s/%d", t->path, ++t->n);
  if (vm->tape == NULL) rb_exported_draw(vm->exported, place, out, n);
  else {
    if (chance && vm->planned)  /* by its own number: a wait looks more than once */
      rb_tape_chance(vm->chance, lua_pushfstring(L, "%s/%d", t->path, ++t->draws), out, n);
    else rb_tape_derive(vm->tape, lua_pushfstring(L, "derived %s", place), out, n);
    lua_pop(L, 1);
    if (vm->exported != NULL) rb_exported_drew(vm->exported, place, out, n);
  }
  return place;
}

const char *rb_derive (lua_State *L, void *out, size_t n) { return draw(L, out, n, 0); }

const char *rb_chance (lua_State *L, void *out, size_t n) { return draw(L, out, n, 1); }
