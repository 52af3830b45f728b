/*
** limits.c - how much one run may do
**
** Of several limits the lowest holds. What the preview counted is charged
** before the deed; a module charges what the deed itself finds beyond that.
*/

#include <stdio.h>
#include <string.h>

#include "vm/vm.h"

/* limits of one statement: looked at, not added up */
static int single (const char *name) {
  return strcmp(name, "pg_rows_statement") == 0;
}

static int find (const char *name) {
  for (int i = 0; rb_limitnames[i] != NULL; i++)
    if (strcmp(rb_limitnames[i], name) == 0) return i;
  return -1;
}

int rb_limits_lower (rb_VM *vm, const char *name, long long n) {
  int i = find(name);
  if (i >= 0 && (vm->limit[i] < 0 || n < vm->limit[i])) vm->limit[i] = n;
  return i;
}

lua_Integer rb_limit (lua_State *L, const char *name) {
  int i = find(name);
  if (i < 0) return luaL_error(L, "no limit is called '%s'", name);
  return rb_vm(L)->limit[i];
}

/* Adds n to what was used, or says why not. */
static int charge (rb_Task *t, const char *name, long long n, char *why,
                   size_t size) {
  rb_VM *vm = t->vm;
  int i = find(name);
  if (i < 0) {
    snprintf(why, size, "no limit is called '%s'", name);
    return 1;
  }
  long long sum = (single(name) ? 0 : vm->used[i]) + n;
  if (vm->limit[i] >= 0 && sum > vm->limit[i]) {
    snprintf(why, size, "over the limit %s: %lld of %lld (nothing was done; the "
             "limit stands in the runbook, the target or --limit)", name, sum,
             vm->limit[i]);
    return 1;
  }
  if (single(name)) return 0;
  vm->used[i] = sum;
  t->call.charged[i] += n;
  return 0;
}

void rb_limits_return (rb_Task *t) {
  for (int i = 0; rb_limitnames[i] != NULL; i++)
    t->vm->used[i] -= t->call.charged[i];
  memset(t->call.charged, 0, sizeof t->call.charged);
}

void rb_charge (lua_State *L, const char *name, lua_Integer n) {
  char why[256];
  if (charge(rb_taskof(L), name, n, why, sizeof why))
    rb_fail(L, "limit", RB_NOTDONE, "%s", why);
}

int rb_limits_charge (lua_State *L, char *why, size_t size) {
  int over = 0, top = lua_gettop(L);
  if (lua_getfield(L, -1, "counts") == LUA_TTABLE) {
    lua_pushnil(L);
    while (!over && lua_next(L, -2) != 0) {
      over = charge(rb_taskof(L), lua_tostring(L, -2), lua_tointeger(L, -1), why,
                    size);
      lua_pop(L, 1);
    }
  }
  lua_settop(L, top);
  return over;
}
