/*
** call.c - reading and checking a command: words, program, environment
*/

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stdlib/exec/exec.h"

#define MAXWORDS 4096

/* -- checking what the script asked for ------------------------------------------ */

const char *const rb_exec_probefields[] = {
  "cwd", "env", "stdin", "timeout", "delegates", NULL
};
const char *const rb_exec_runfields[] = {
  "cwd", "env", "stdin", "timeout", "expect", NULL
};

static int isfield (const char *name, const char *const *fields) {
  while (*fields != NULL && strcmp(*fields, name) != 0) fields++;
  return *fields != NULL;
}

static int badfield (lua_State *L, const char *const *fields) {
  luaL_Buffer b;
  const char *name = luaL_tolstring(L, -1, NULL);
  luaL_buffinit(L, &b);
  for (int i = 0; fields[i] != NULL; i++) {
    luaL_addstring(&b, i > 0 ? ", " : "");
    luaL_addstring(&b, fields[i]);
  }
  luaL_pushresult(&b);
  lua_pushfstring(L, "no field \"%s\"; besides the words it takes %s", name,
                  lua_tostring(L, -1));
  return luaL_argerror(L, 1, lua_tostring(L, -1));
}

/* the table holds words 1..n and these fields, and nothing else */
static void checkfields (lua_State *L, const char *const *fields) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_Integer n = luaL_len(L, 1);
  luaL_argcheck(L, n > 0, 1, "the words of a command expected: { \"ls\", \"-l\" }");
  luaL_argcheck(L, n <= MAXWORDS, 1, "too many words");
  lua_pushnil(L);
  while (lua_next(L, 1) != 0) {
    lua_pop(L, 1);
    if (lua_type(L, -1) == LUA_TSTRING ? isfield(lua_tostring(L, -1), fields)
        : lua_isinteger(L, -1) && lua_tointeger(L, -1) >= 1
          && lua_tointeger(L, -1) <= n) continue;
    badfield(L, fields);
  }
}

/* [-0, +1, v]  the string, number or secret at 'idx' as a C string */
static const char *pushtext (lua_State *L, int idx, const char *what) {
  size_t n;
  const char *s;
  if (lua_type(L, idx) == LUA_TNUMBER) {
    lua_pushvalue(L, idx);
    s = lua_tolstring(L, -1, &n);
  } else if (lua_type(L, idx) == LUA_TSTRING || lua_isuserdata(L, idx))
    s = rb_text(L, idx, &n);
  else {
    luaL_error(L, "%s: a string or number expected, got %s", what,
               luaL_typename(L, idx));
    return NULL;
  }
  if (strlen(s) != n) luaL_error(L, "%s holds a NUL byte", what);
  return s;
}

/* [-0, +1, v]  an optional string field, or nil */
const char *rb_exec_field (lua_State *L, const char *name) {
  lua_getfield(L, 1, name);
  if (lua_isnil(L, -1)) return NULL;
  const char *s = pushtext(L, -1, name);
  lua_remove(L, -2);
  return s;
}

/* [-0, +2, v]  the words, and the table that keeps them */
static char **pushwords (lua_State *L) {
  lua_Integer n = luaL_len(L, 1);
  char **argv = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *argv, 0);
  lua_createtable(L, (int)n, 0);
  for (lua_Integer i = 1; i <= n; i++) {
    char what[32];
    snprintf(what, sizeof what, "word %lld", (long long)i);
    lua_geti(L, 1, i);
    argv[i - 1] = (char *)pushtext(L, -1, what);
    lua_rawseti(L, -3, i);
    lua_pop(L, 1);
  }
  argv[n] = NULL;
  return argv;
}

/* -- how people read a command ------------------------------------------------------- */

static void addquoted (luaL_Buffer *b, const char *s) {
  static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                              "0123456789_@%+=:,./-";
  if (*s != '\0' && s[strspn(s, plain)] == '\0') {
    luaL_addstring(b, s);
    return;
  }
  luaL_addchar(b, '\'');
  for (; *s != '\0'; s++)
    if (*s == '\'') luaL_addstring(b, "'\\''");
    else luaL_addchar(b, *s);
  luaL_addchar(b, '\'');
}

/* [-0, +1, m] */
static const char *pushquoted (lua_State *L, char *const *argv) {
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (int i = 0; argv[i] != NULL; i++) {
    if (i > 0) luaL_addchar(&b, ' ');
    addquoted(&b, argv[i]);
  }
  luaL_pushresult(&b);
  return lua_tostring(L, -1);
}

/* -- the program --------------------------------------------------------------------- */

static const char *searchpath (void) {
  const char *path = getenv("PATH");
  return path != NULL && *path != '\0' ? path
         : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

/* [-0, +1, m]  the first executable file of that name in PATH, or nil */
static const char *pushfound (lua_State *L, const char *name) {
  struct stat st;
  for (const char *p = searchpath(); *p != '\0'; ) {
    size_t n = strcspn(p, ":");
    if (*p == '/') {  /* a relative folder of PATH is nobody's intent */
      lua_pushlstring(L, p, n);
      const char *file = lua_pushfstring(L, "%s/%s", lua_tostring(L, -1), name);
      lua_remove(L, -2);
      if (stat(file, &st) == 0 && S_ISREG(st.st_mode) && access(file, X_OK) == 0)
        return file;
      lua_pop(L, 1);
    }
    p += n + (p[n] == ':');
  }
  lua_pushnil(L);
  return NULL;
}

/* An entry without a slash grants what PATH finds under that name, not any
** file that happens to be called so. */
static int allowed (lua_State *L, const char *file) {
  const char *name = strrchr(file, '/') + 1;
  if (!rb_allowed(L, "programs", file)) return 0;
  if (!rb_allowed(L, "programs", name)) return 1;
  const char *found = pushfound(L, name);
  int same = found != NULL && strcmp(found, file) == 0;
  lua_pop(L, 1);
  return same;
}

/* [-0, +1, v]  the program that 'name' stands for, as a path */
static const char *pushprogram (lua_State *L, const char *name) {
  struct stat st;
  const char *file;
  luaL_argcheck(L, *name != '\0', 1, "word 1 is empty");
  if (strchr(name, '/') == NULL) file = pushfound(L, name);
  else {
    luaL_argcheck(L, *name == '/', 1,
                  "a program is named as PATH finds it, or by its whole path");
    file = lua_pushstring(L, name);
  }
  if (file == NULL || stat(file, &st) != 0) {
    rb_fail(L, "missing", RB_NOTDONE, "there is no program \"%s\"%s", name,
            file == NULL ? " in PATH" : "");
    return NULL;
  }
  if (!S_ISREG(st.st_mode) || access(file, X_OK) != 0)
    rb_fail(L, "refused", RB_NOTDONE, "%s is not an executable file", file);
  if (strchr(name, '/') == NULL ? !rb_allowed(L, "programs", file) : !allowed(L, file))
    rb_fail(L, "refused", RB_NOTDONE, "the program %s is not allowed on this "
            "target: add \"%s\" to its allow.programs in the configuration",
            file, strchr(name, '/') == NULL ? name : file);
  return file;
}

void rb_exec_nosetuid (lua_State *L, const char *file) {
  struct stat st;
  if (stat(file, &st) != 0 || !(st.st_mode & (S_ISUID | S_ISGID))) return;
  rb_fail(L, "refused", RB_NOTDONE, "%s runs with the rights of another user "
          "(setuid): a probe does not start it", file);
}

/* -- the environment ------------------------------------------------------------------- */

/* [-0, +0, m]  name=value into the table at the top, unless it has it */
static void setdefault (lua_State *L, const char *name, const char *value) {
  int missing = lua_getfield(L, -1, name) == LUA_TNIL;
  lua_pop(L, 1);
  if (!missing || value == NULL) return;
  lua_pushstring(L, value);
  lua_setfield(L, -2, name);
}

/* [-0, +1, v]  a new table with what the script gives in `env` */
static void pushgiven (lua_State *L) {
  lua_newtable(L);
  int env = lua_gettop(L);
  if (lua_getfield(L, 1, "env") == LUA_TNIL) {
    lua_pop(L, 1);
    return;
  }
  luaL_argcheck(L, lua_istable(L, -1), 1, "env: a table expected");
  lua_pushnil(L);
  while (lua_next(L, -2) != 0) {
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
    luaL_argcheck(L, *name != '\0' && strchr(name, '=') == NULL, 1,
                  "env: names are strings without \"=\"");
    pushtext(L, -1, name);
    lua_setfield(L, env, name);
    lua_pop(L, 1);
  }
  lua_settop(L, env);
}

/* [-1, +2, m]  the table at the top as NAME=value, and what keeps them */
static char **pushenv (lua_State *L) {
  int from = lua_gettop(L);
  size_t n = 0;
  lua_pushnil(L);
  while (lua_next(L, from) != 0) { lua_pop(L, 1); n++; }
  char **env = lua_newuserdatauv(L, (n + 1) * sizeof *env, 0);
  lua_createtable(L, (int)n, 0);
  lua_pushnil(L);
  for (n = 0; lua_next(L, from) != 0; n++) {
    env[n] = (char *)lua_pushfstring(L, "%s=%s", lua_tostring(L, -2),
                                     lua_tostring(L, -1));
    lua_rawseti(L, from + 2, (lua_Integer)n + 1);
    lua_pop(L, 1);
  }
  env[n] = NULL;
  lua_remove(L, from);
  return env;
}

/* [-0, +2, v]  'scratch': of a probe; NULL: a remedy has the operator's own */
char **rb_exec_environment (lua_State *L, const char *scratch) {
  static const char *const kept[] = {"HOME", "TMPDIR", "USER", "LOGNAME", NULL};
  pushgiven(L);
  setdefault(L, "PATH", searchpath());
  setdefault(L, "LANG", "C.UTF-8");
  for (const char *const *k = kept; *k != NULL; k++)
    if (scratch == NULL) setdefault(L, *k, getenv(*k));
  if (scratch != NULL) {
    setdefault(L, "HOME", scratch);
    setdefault(L, "TMPDIR", scratch);
  }
  return pushenv(L);
}

/* -- reading the call --------------------------------------------------------------------- */

static void checkcwd (lua_State *L, const char *cwd) {
  struct stat st;
  if (cwd == NULL) return;
  luaL_argcheck(L, *cwd == '/', 1, "cwd: an absolute path expected");
  if (stat(cwd, &st) != 0 || !S_ISDIR(st.st_mode))
    rb_fail(L, "missing", RB_NOTDONE, "there is no folder %s (cwd)", cwd);
}

static double checktimeout (lua_State *L) {
  double seconds = 0;
  lua_getfield(L, 1, "timeout");
  if (!lua_isnil(L, -1))
    luaL_argcheck(L, lua_type(L, -1) == LUA_TSTRING
                  && rb_duration(lua_tostring(L, -1), &seconds) && seconds > 0,
                  1, "timeout: a duration expected, such as \"10s\"");
  lua_pop(L, 1);
  return seconds;
}

/* [-0, +?, v]  everything of the call but its environment; what it holds stays
** on the stack */
rb_Exec rb_exec_read (lua_State *L, const char *const *fields) {
  rb_Exec c = {0};
  luaL_checkstack(L, 20, NULL);
  checkfields(L, fields);
  lua_settop(L, 1);
  c.timeout = checktimeout(L);
  c.argv = pushwords(L);
  c.asked = c.argv[0];
  c.shown = pushquoted(L, c.argv);
  c.argv[0] = (char *)pushprogram(L, c.asked);
  c.cwd = rb_exec_field(L, "cwd");
  checkcwd(L, c.cwd);
  lua_getfield(L, 1, "stdin");
  if (!lua_isnil(L, -1)) {
    luaL_argcheck(L, lua_type(L, -1) == LUA_TSTRING || lua_isuserdata(L, -1), 1,
                  "stdin: a string expected");
    c.input = rb_text(L, -1, &c.inputlen);
  }
  return c;
}

rb_Program rb_exec_command (const rb_Exec *c) {
  return (rb_Program){.argv = c->argv, .env = c->env, .cwd = c->cwd,
                      .input = c->input, .inputlen = c->inputlen};
}
