/*
** client.c - the programs through which the keepers of services are asked:
** pm2, docker, docker compose, systemctl
*/

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stdlib/service/service.h"

static const char usualpath[] = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";

/* -- finding them ------------------------------------------------------------------ */

static int isprogram (const char *file) {
  struct stat st;
  return stat(file, &st) == 0 && S_ISREG(st.st_mode) && access(file, X_OK) == 0;
}

static const char *searchpath (void) {
  const char *path = getenv("PATH");
  return path != NULL && *path != '\0' ? path : usualpath;
}

const char *rb_client_find (lua_State *L, const char *name) {
  for (const char *p = searchpath(); *p != '\0'; ) {
    size_t n = strcspn(p, ":");
    lua_pushlstring(L, p, n);
    const char *file = lua_pushfstring(L, "%s/%s", lua_tostring(L, -1), name);
    lua_remove(L, -2);
    if (*p == '/' && isprogram(file)) return file;
    lua_pop(L, 1);
    p += n + (p[n] == ':');
  }
  lua_pushnil(L);
  return NULL;
}

const char *rb_client_program (lua_State *L, const char *name) {
  const char *file = rb_service_setting(L, "program");
  if (file != NULL && isprogram(file)) return file;
  if (file != NULL)
    rb_fail(L, "missing", RB_NOTDONE, "%s: %s is not an executable file",
            rb_resource(L)->name, file);
  lua_pop(L, 1);
  if ((file = rb_client_find(L, name)) == NULL)
    rb_fail(L, "missing", RB_NOTDONE, "%s: there is no %s in PATH: set `program` of the "
            "service in the configuration", rb_resource(L)->name, name);
  return file;
}

rb_Words rb_client_env (lua_State *L, int more) {
  const char *home = getenv("HOME");
  rb_Words env = rb_words_push(L, 4 + more);
  rb_words_addf(L, &env, "PATH=%s", searchpath());
  rb_words_addf(L, &env, "HOME=%s", home != NULL ? home : "/");
  rb_words_addf(L, &env, "LANG=C.UTF-8");
  rb_words_addf(L, &env, "NO_COLOR=1");
  return env;
}

/* -- what they say when they fail ---------------------------------------------------- */

/* [-0, +1, m]  "exit code 1: " and the last words of the result at 'idx' */
static const char *pushfailure (lua_State *L, int idx) {
  size_t n;
  lua_getfield(L, idx, "code");
  lua_pushfstring(L, "exit code %d", (int)lua_tointeger(L, -1));
  lua_getfield(L, idx, "stderr");
  const char *said = lua_tolstring(L, -1, &n);
  if (n == 0) {
    lua_getfield(L, idx, "stdout");
    lua_replace(L, -2);
    said = lua_tolstring(L, -1, &n);
  }
  while (n > 0 && (unsigned char)said[n - 1] <= ' ') n--;
  size_t from = n > 300 ? n - 300 : 0;
  while (from > 0 && from < n && ((unsigned char)said[from] & 0xc0) == 0x80)
    from++;  /* not in the middle of a character */
  lua_pushlstring(L, said + from, n - from);
  lua_remove(L, -2);
  if (n > 0) lua_pushfstring(L, "%s: %s", lua_tostring(L, -2), lua_tostring(L, -1));
  else lua_pushvalue(L, -2);
  lua_replace(L, -4);
  lua_pop(L, 2);
  return lua_tostring(L, -1);
}

int rb_client_badexit (lua_State *L, int result, const char *what) {
  return rb_fail(L, "command", RB_NOTDONE, "%s: %s: %s", rb_resource(L)->name, what,
                 pushfailure(L, result));
}

/* -- asking and acting ----------------------------------------------------------------- */

int rb_client_ask (lua_State *L, const rb_Words *argv, const rb_Words *env,
                   lua_KContext ctx, lua_KFunction k) {
  rb_Program cmd = {.argv = argv->list, .env = env->list, .readonly = 1, .delegates = 1};
  rb_unclaim(L, "kernel", "a probe command talks to a daemon");
  return rb_spawn(L, &cmd, ctx, k);
}

/* idx: an rb_Seen that only keeps who goes on; on the top the result */
static int commanded (lua_State *L, int status, lua_KContext idx) {
  const rb_Seen *s = lua_touserdata(L, (int)idx);
  lua_KFunction k = s->k;
  lua_KContext ctx = s->ctx;
  int result = lua_gettop(L);
  (void)status;
  lua_getfield(L, result, "code");
  if (lua_tointeger(L, -1) == 0) lua_pushnil(L);
  else pushfailure(L, result);
  lua_replace(L, (int)idx);
  lua_settop(L, (int)idx);
  return k(L, LUA_YIELD, ctx);
}

int rb_client_act (lua_State *L, const rb_Words *argv, const rb_Words *env,
                   const char *cwd, int idx) {
  rb_Program cmd = {.argv = argv->list, .env = env->list, .cwd = cwd, .pledge = 1,
                    .facts = RB_FACTS};
  return rb_spawn(L, &cmd, idx, commanded);
}
