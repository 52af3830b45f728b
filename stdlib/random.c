/*
** random.c - chance that belongs to the run: the same again on resume and replay
**
** Other runs draw other values, and so does a dry run: it shows one that could be
** drawn. A plan that is kept draws the same when it is applied.
*/

#include <stdint.h>

#include "vm/module.h"

/* Uniform in 0..most: what would favour small numbers is drawn again. */
static uint64_t below (lua_State *L, uint64_t most) {
  uint64_t drawn[16], mask = most;
  for (int shift = 1; shift < 64; shift *= 2) mask |= mask >> shift;
  for (;;) {
    rb_chance(L, drawn, sizeof drawn);
    lua_pop(L, 1);
    for (size_t i = 0; i < sizeof drawn / sizeof *drawn; i++)
      if ((drawn[i] & mask) <= most) return drawn[i] & mask;
  }
}

static int integer (lua_State *L) {
  lua_Integer a = luaL_checkinteger(L, 1), b = luaL_checkinteger(L, 2);
  luaL_argcheck(L, a <= b, 2, "random.integer(a, b): b is smaller than a");
  lua_pushinteger(L, (lua_Integer)((uint64_t)a + below(L, (uint64_t)b - (uint64_t)a)));
  return 1;
}

static int choice (lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_Integer n = luaL_len(L, 1);
  luaL_argcheck(L, n > 0, 1, "a list with something in it expected");
  lua_geti(L, 1, 1 + (lua_Integer)below(L, (uint64_t)n - 1));
  return 1;
}

static const rb_Reg functions[] = {
  {"integer", RB_PURE, integer, NULL,
   "integer(a, b) -> integer : one of a..b, each as likely. Belongs to the run: the "
   "same again on resume and replay, and when a plan is applied; another in every other "
   "run, dry runs included. Only in a step. Not for secrets, for a plan tells: see token",
   NULL, NULL},
  {"choice", RB_PURE, choice, NULL,
   "choice(list) -> value : one of the list, each as likely; an empty list is an error. "
   "Belongs to the run, as random.integer does", NULL, NULL},
  RB_END
};

const rb_Module rb_module = {
  .interface = RB_INTERFACE, .name = "random",
  .doc = "chance that belongs to the run",
  .functions = functions
};
