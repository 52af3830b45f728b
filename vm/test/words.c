/*
** words.c - the state in which a test file is loaded: its words and its worlds
*/

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <lauxlib.h>

#include "vm/clock.h"
#include "vm/fake.h"
#include "vm/run/outline.h"
#include "vm/state.h"
#include "vm/tape/tape.h"
#include "vm/test/suite.h"

#include "test/world.h"
#include "test/stores.h"
#include "test/redis.h"
#include "test/answers.h"
#include "test/tests.h"
#include "test/expect.h"

#define SECONDS 2.0  /* that a part of a test file may compute */

/* -- what the words need of the host ------------------------------------- */

/* here() -> the line of the test file that called a word */
static int here (lua_State *L) {
  lua_Debug ar;
  for (int level = 1; lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "Sl", &ar);
    if (ar.currentline <= 0 || ar.source[0] != '@') continue;
    lua_pushinteger(L, ar.currentline);
    return 1;
  }
  return 0;
}

/* nearest(word, list) -> string | nil */
static int nearest (lua_State *L) {
  const char *words[200];
  int n = 0;
  for (; n < 199; n++) {
    lua_rawgeti(L, 2, n + 1);
    words[n] = lua_tostring(L, -1);
    if (words[n] == NULL) break;
    lua_pop(L, 1);  /* the list keeps it alive */
  }
  words[n] = NULL;
  lua_pushstring(L, rb_nearest(luaL_checkstring(L, 1), words));
  return 1;
}

/* seconds(duration) -> number | nil */
static int seconds (lua_State *L) {
  double d;
  if (!rb_duration(luaL_checkstring(L, 1), &d)) return 0;
  lua_pushnumber(L, d);
  return 1;
}

/* time("2026-01-05T03:00:00Z") -> seconds since 1970 */
static int totime (lua_State *L) {
  struct tm tm = {0};
  const char *s = luaL_checkstring(L, 1);
  const char *end = strptime(s, "%Y-%m-%dT%H:%M:%SZ", &tm);
  if (end == NULL || *end != '\0')
    return luaL_error(L, "a clock is set as in \"2026-01-05T03:00:00Z\", not '%s'", s);
  lua_pushnumber(L, (lua_Number)timegm(&tm));
  return 1;
}

/* stamp(seconds) -> "2026-01-05T03:00:00Z" */
static int stamp (lua_State *L) {
  struct tm tm;
  char text[40];
  time_t t = (time_t)luaL_checknumber(L, 1);
  gmtime_r(&t, &tm);
  strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
  lua_pushstring(L, text);
  return 1;
}

/* duration(seconds) -> "1h30m" */
static int duration (lua_State *L) {
  char text[64];
  rb_duration_text(luaL_checknumber(L, 1), text, sizeof text);
  lua_pushstring(L, text);
  return 1;
}

/* globs(text, pattern) -> boolean, as Redis matches keys */
static int globs (lua_State *L) {
  lua_pushboolean(L, fnmatch(luaL_checkstring(L, 2), luaL_checkstring(L, 1), 0) == 0);
  return 1;
}

/* clock() -> seconds since 1970 in this world */
static int clock_ (lua_State *L) {
  lua_pushnumber(L, (lua_Number)rb_clock_wall() / 1000);
  return 1;
}

static int hash (lua_State *L) {
  size_t n;
  char hex[65];
  const char *s = luaL_checklstring(L, 1, &n);
  rb_sha256(s, n, hex);
  lua_pushstring(L, hex);
  return 1;
}

static const luaL_Reg host[] = {
  {"here", here}, {"nearest", nearest}, {"seconds", seconds}, {"time", totime},
  {"stamp", stamp}, {"hash", hash}, {"duration", duration}, {"globs", globs},
  {"clock", clock_}, {NULL, NULL}
};

/* -- the state ----------------------------------------------------------- */

static const struct { const char *name; const unsigned char *code; size_t n; } chunks[] = {
  {"=world", rb_world, sizeof rb_world}, {"=stores", rb_stores, sizeof rb_stores},
  {"=redis", rb_redis, sizeof rb_redis},
  {"=answers", rb_answers, sizeof rb_answers}, {"=tests", rb_tests, sizeof rb_tests},
  {"=expect", rb_expect, sizeof rb_expect}
};

/* a word of test files is T.word_NAME */
static void setwords (lua_State *L, int T) {
  lua_pushnil(L);
  while (lua_next(L, T) != 0) {
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
    if (strncmp(name, "word_", 5) == 0) {
      lua_pushvalue(L, -1);
      lua_setglobal(L, name + 5);
    }
    lua_pop(L, 1);
  }
}

static int open (lua_State *L) {
  lua_newtable(L);
  luaL_setfuncs(L, host, 0);
  lua_pushvalue(L, -1);
  lua_setfield(L, LUA_REGISTRYINDEX, RB_WORLD);
  int T = lua_gettop(L);
  for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++) {
    if (luaL_loadbufferx(L, (const char *)chunks[i].code, chunks[i].n, chunks[i].name,
                         "b") != LUA_OK) return lua_error(L);
    lua_pushvalue(L, T);
    lua_call(L, 1, 0);
  }
  setwords(L, T);
  return 0;
}

lua_State *rb_test_state (void) {
  lua_State *L = rb_state_new();
  if (L == NULL) return NULL;
  lua_pushcfunction(L, open);
  if (lua_pcall(L, 0, 0, 0) == LUA_OK) return L;
  fprintf(stderr, "runbook: %s\n", lua_tostring(L, -1));
  rb_state_free(L);
  return NULL;
}

/* -- calling it ---------------------------------------------------------- */

/* [-1, +0]  the error at the top */
static void readproblem (lua_State *W, const char *file, rb_Problem *p) {
  size_t n = strlen(file);
  char *end = NULL;
  long line = 0;
  if (lua_istable(W, -1)) {
    lua_getfield(W, -1, "mistake");
    lua_getfield(W, -2, "line");
    const char *why = lua_tostring(W, -2);
    rb_problem(p, RB_USAGE, "test", "%s", why != NULL ? why : "the test raised a table");
    p->line = (int)lua_tointeger(W, -1);
    lua_pop(W, 2);
  } else {
    const char *why = lua_tostring(W, -1);
    if (why == NULL) why = "the test raised an error without words";
    if (strncmp(why, file, n) == 0 && why[n] == ':') line = strtol(why + n + 1, &end, 10);
    if (line > 0 && *end == ':') why = end + 1 + strspn(end + 1, " ");
    rb_problem(p, RB_USAGE, "test", "%s", why);
    p->line = (int)line;
  }
  snprintf(p->file, sizeof p->file, "%s", file);
  lua_pop(W, 1);
}

char *rb_test_call (lua_State *W, const char *file, const char *name, int n, rb_Problem *p) {
  lua_getfield(W, LUA_REGISTRYINDEX, RB_WORLD);
  lua_getfield(W, -1, name);
  lua_remove(W, -2);
  lua_insert(W, -(n + 1));
  if (rb_state_pcall(W, n, 1, SECONDS) != LUA_OK) {
    readproblem(W, file, p);
    return NULL;
  }
  const char *s = lua_tostring(W, -1);
  char *copy = strdup(s != NULL ? s : "");
  lua_pop(W, 1);
  if (copy == NULL) rb_problem(p, RB_USAGE, "memory", "not enough memory");
  return copy;
}
