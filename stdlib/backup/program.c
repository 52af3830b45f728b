/*
** program.c - pg_dump, pg_restore and psql: found, and told where the database
** is by their environment
**
** Everybody can read a command line; so no part of a URL is an argument. Each
** option of libpq has a variable of its own.
*/

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stdlib/backup/backup.h"

static const char usualpath[] = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";

rb_Words rb_words_push (lua_State *L, int max) {
  rb_Words w = {.max = max};
  w.list = lua_newuserdatauv(L, ((size_t)max + 1) * sizeof *w.list, 0);
  lua_createtable(L, max, 0);
  w.anchor = lua_gettop(L);
  w.list[0] = NULL;
  return w;
}

void rb_words_add (lua_State *L, rb_Words *w, const char *fmt, ...) {
  va_list ap;
  if (w->n == w->max) luaL_error(L, "too many words in a command");
  va_start(ap, fmt);
  w->list[w->n++] = (char *)lua_pushvfstring(L, fmt, ap);
  va_end(ap);
  w->list[w->n] = NULL;
  lua_rawseti(L, w->anchor, w->n);
}

/* -- finding them ------------------------------------------------------------------ */

static int isprogram (const char *file) {
  struct stat st;
  return stat(file, &st) == 0 && S_ISREG(st.st_mode) && access(file, X_OK) == 0;
}

static const char *searchpath (void) {
  const char *path = getenv("PATH");
  return path != NULL && *path != '\0' ? path : usualpath;
}

const char *rb_program_find (lua_State *L, const char *name) {
  const char *own = rb_resource(L)->name;
  if (rb_setting(L, rb_resource(L), "bin") == LUA_TSTRING) {
    const char *file = lua_pushfstring(L, "%s/%s", lua_tostring(L, -1), name);
    lua_remove(L, -2);
    if (!isprogram(file))
      rb_fail(L, "missing", RB_NOTDONE, "%s: %s is not there, or is no program: see `bin` "
              "of the backup in the configuration", own, file);
    return file;
  }
  lua_pop(L, 1);
  for (const char *p = searchpath(); *p != '\0'; ) {
    size_t n = strcspn(p, ":");
    lua_pushlstring(L, p, n);
    const char *file = lua_pushfstring(L, "%s/%s", lua_tostring(L, -1), name);
    lua_remove(L, -2);
    if (*p == '/' && isprogram(file)) return file;
    lua_pop(L, 1);
    p += n + (p[n] == ':');
  }
  rb_fail(L, "missing", RB_NOTDONE, "%s: there is no %s in PATH: install PostgreSQL's client "
          "programs, or set `bin` of the backup in the configuration to their folder", own,
          name);
  return NULL;
}

/* -- the environment ----------------------------------------------------------------- */

typedef struct Info { PQconninfoOption *list; } Info;

static int info_close (lua_State *L) {
  Info *info = lua_touserdata(L, 1);
  PQconninfoFree(info->list);
  info->list = NULL;
  return 0;
}

/* [-0, +1, v]  the URL, read; the userdata frees it */
static const PQconninfoOption *pushinfo (lua_State *L) {
  char *why = NULL;
  Info *info = lua_newuserdatauv(L, sizeof *info, 0);
  info->list = NULL;
  if (luaL_newmetatable(L, "backup.info")) {
    lua_pushcfunction(L, info_close);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  info->list = PQconninfoParse(rb_server_url(L), &why);
  PQfreemem(why);  /* may quote the password */
  lua_pop(L, 1);
  if (info->list == NULL)
    rb_fail(L, "io", RB_NOTDONE, "%s: the URL of its database cannot be read",
            rb_resource(L)->name);
  return info->list;
}

static void addoptions (lua_State *L, rb_Words *env) {
  for (const PQconninfoOption *o = pushinfo(L); o->keyword != NULL; o++) {
    if (o->val == NULL || *o->val == '\0') continue;
    if (o->envvar != NULL) rb_words_add(L, env, "%s=%s", o->envvar, o->val);
    else if (strcmp(o->keyword, "sslpassword") == 0)
      rb_fail(L, "refused", RB_NOTDONE, "%s: %s in the URL of its database cannot be given to "
              "pg_dump unseen: use a key without a password", rb_resource(L)->name, o->keyword);
  }
  lua_pop(L, 1);
}

rb_Words rb_program_env (lua_State *L, int server) {
  const char *home = getenv("HOME");
  rb_Words env = rb_words_push(L, 64);
  rb_words_add(L, &env, "PATH=%s", searchpath());
  rb_words_add(L, &env, "HOME=%s", home != NULL ? home : "/");
  rb_words_add(L, &env, "LANG=C.UTF-8");
  rb_words_add(L, &env, "LC_ALL=C.UTF-8");
  if (!server) return env;
  rb_words_add(L, &env, "PGAPPNAME=runbook");
  rb_words_add(L, &env, "PGCLIENTENCODING=UTF8");
  addoptions(L, &env);
  return env;
}

/* -- what they say ---------------------------------------------------------------------- */

const char *rb_program_said (lua_State *L, int idx) {
  size_t n;
  lua_getfield(L, idx, "stderr");
  const char *said = lua_tolstring(L, -1, &n);
  const char *error = strstr(said, "ERROR:"), *own = strstr(said, "error:");
  if (error != NULL) said = error + 6;
  else if (own != NULL) said = own + 6;
  said += strspn(said, " \n");
  n = strlen(said);
  while (n > 0 && (unsigned char)said[n - 1] <= ' ') n--;
  if (n > 400) n = 400;
  while (n > 0 && ((unsigned char)said[n] & 0xc0) == 0x80) n--;
  if (n == 0) {
    lua_getfield(L, idx, "code");
    lua_pushfstring(L, "exit code %d", (int)lua_tointeger(L, -1));
    lua_remove(L, -2);
  } else lua_pushlstring(L, said, n);
  lua_remove(L, -2);
  return lua_tostring(L, -1);
}

typedef struct Asked { lua_KContext ctx; lua_KFunction k; char name[16]; } Asked;

/* below the result: the Asked, at 'idx' */
static int versioned (lua_State *L, int status, lua_KContext idx) {
  const Asked *a = lua_touserdata(L, (int)idx);
  lua_KContext ctx = a->ctx;
  lua_KFunction k = a->k;
  lua_getfield(L, -1, "stdout");
  const char *said = lua_tostring(L, -1), *p = strstr(said, ") ");
  if (p == NULL)
    return rb_fail(L, "io", RB_NOTDONE, "%s: %s does not say its version: %s",
                   rb_resource(L)->name, a->name, rb_program_said(L, lua_gettop(L) - 1));
  lua_pushlstring(L, p + 2, strcspn(p + 2, " \n"));
  lua_replace(L, (int)idx);
  lua_settop(L, (int)idx);
  return k(L, status, ctx);
}

int rb_program_version (lua_State *L, const char *name, lua_KContext ctx,
                        lua_KFunction k) {
  Asked *a = lua_newuserdatauv(L, sizeof *a, 0);
  int idx = lua_gettop(L);
  *a = (Asked){.ctx = ctx, .k = k};
  strncpy(a->name, name, sizeof a->name - 1);
  rb_Words argv = rb_words_push(L, 2), env = rb_program_env(L, 0);
  rb_words_add(L, &argv, "%s", rb_program_find(L, name));
  rb_words_add(L, &argv, "--version");
  rb_Program cmd = {.argv = argv.list, .env = env.list, .readonly = 1};
  return rb_spawn(L, &cmd, idx, versioned);
}
