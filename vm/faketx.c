/*
** faketx.c - p:transaction in a test's world: the script's function, run for the preview
** and for the deed
**
** The world keeps what the statements would change, or changed; a function that looks at
** what a preview cannot know ends there, and the plan says what it was up to then.
*/

#include <string.h>

#include "vm/fake.h"
#include "vm/vm.h"

static const char unknown = 0;  /* a preview cannot know */

/* -- statements ------------------------------------------------------------- */

static int within (lua_State *L, const char *verb) {
  int n = lua_gettop(L), looking = rb_taskof(L)->call.previewing;
  rb_fake_ask(L, looking ? "within preview" : "within deed", verb, 2, n);
  if (looking && lua_getfield(L, -1, "unknown") == LUA_TBOOLEAN) {
    lua_pushlightuserdata(L, (void *)&unknown);
    return lua_error(L);
  }
  if (looking) lua_pop(L, 1);
  return rb_fake_answered(L);
}

static int tx_exec (lua_State *L) { return within(L, "exec"); }
static int tx_query (lua_State *L) { return within(L, "query"); }
static int tx_row (lua_State *L) { return within(L, "row"); }
static int tx_value (lua_State *L) { return within(L, "value"); }

static const rb_Reg statements[] = {
  {"exec", RB_WITHIN, tx_exec, NULL, "a test's", NULL, NULL},
  {"query", RB_WITHIN, tx_query, NULL, "a test's", NULL, NULL},
  {"row", RB_WITHIN, tx_row, NULL, "a test's", NULL, NULL},
  {"value", RB_WITHIN, tx_value, NULL, "a test's", NULL, NULL},
  RB_END
};

const rb_Type rb_faketx_types[] = {{"pg.transaction", statements}, {NULL, NULL}};

/* -- the whole ---------------------------------------------------------------- */

/* [-0, +2]  the script's function and its argument */
static void pushbody (lua_State *L) {
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_pushvalue(L, 2);
  lua_newtable(L);
  rb_settype_named(L, "pg.transaction");
}

static int looked (lua_State *L, int status, lua_KContext n) {
  int failed = status != LUA_OK && status != LUA_YIELD;
  int known = !failed || lua_touserdata(L, -1) != (void *)&unknown;
  if (failed && known) return lua_error(L);
  rb_fake_ask(L, "preview", "transaction", (int)n + 1, (int)n);
  int stop = rb_fake_check(L);
  if (stop != 0) return stop;
  lua_getfield(L, -1, "plan");
  lua_pushboolean(L, !failed);
  lua_setfield(L, -2, "exact");
  if (!failed) {
    lua_pushvalue(L, -3);                             /* what the function returned */
    lua_setfield(L, -2, "result");
  }
  return 1;
}

int rb_faketx_preview (lua_State *L) {
  int n = lua_gettop(L);
  rb_fake_ask(L, "begin", "transaction", n + 1, n);
  lua_pop(L, 1);
  pushbody(L);
  return looked(L, lua_pcallk(L, 1, 1, 0, n, looked), n);
}

static int changed (lua_State *L, int status, lua_KContext ctx) {
  (void)L; (void)status; (void)ctx;
  return 1;
}

static int pledged (lua_State *L, int status, lua_KContext n) {
  (void)status;
  lua_settop(L, (int)n);
  rb_fake_ask(L, "deed", "transaction", (int)n + 1, (int)n);
  int stop = rb_fake_check(L);
  if (stop != 0) return stop;
  lua_pop(L, 1);
  pushbody(L);
  lua_callk(L, 1, 1, 0, changed);
  return changed(L, LUA_OK, 0);
}

int rb_faketx_deed (lua_State *L) {
  int n = lua_gettop(L);
  lua_newtable(L);
  return rb_pledge(L, n, pledged);
}
