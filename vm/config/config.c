/*
** config.c - finds the configuration, runs it with nothing in its hands, and
** keeps what it returned
*/

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lauxlib.h>

#include "vm/config/private.h"

#define NAME "runbook.config.lua"
#define STEPS 20000000        /* VM instructions that it may take */
#define MAXMEMORY (16u << 20)

typedef struct Memory { size_t used; } Memory;

static void *alloc (void *ud, void *p, size_t osize, size_t nsize) {
  Memory *m = ud;
  size_t old = p != NULL ? osize : 0;
  if (nsize == 0) {
    free(p);
    m->used -= old;
    return NULL;
  }
  if (nsize > old && m->used + nsize - old > MAXMEMORY) return NULL;
  void *q = realloc(p, nsize);
  if (q != NULL) m->used += nsize - old;
  return q;
}

/* -- env and secret ------------------------------------------------------------- */

static int later (lua_State *L, int secret) {
  size_t n;
  const char *name = luaL_checklstring(L, 1, &n);
  rb_Later *l = lua_newuserdatauv(L, sizeof *l + n + 1, 0);
  l->secret = secret;
  memcpy(l->name, name, n + 1);
  luaL_setmetatable(L, RB_LATER);
  return 1;
}

static int config_env (lua_State *L) { return later(L, 0); }
static int config_secret (lua_State *L) { return later(L, 1); }

/* a whole credential file, without its last newline */
static char *readcredential (const char *path) {
  char buffer[65536];
  FILE *f = fopen(path, "re");
  if (f == NULL) return NULL;
  size_t n = fread(buffer, 1, sizeof buffer - 1, f);
  fclose(f);
  while (n > 0 && (buffer[n - 1] == '\n' || buffer[n - 1] == '\r')) n--;
  buffer[n] = '\0';
  return strdup(buffer);
}

char *rb_later_text (const rb_Later *l, char *why, size_t size) {
  const char *folder = getenv("CREDENTIALS_DIRECTORY");
  const char *value = getenv(l->name);
  char path[4096];
  if (l->secret && folder != NULL && strchr(l->name, '/') == NULL) {
    snprintf(path, sizeof path, "%s/%s", folder, l->name);
    char *text = readcredential(path);
    if (text != NULL) return text;
  }
  if (value != NULL) return strdup(value);
  snprintf(why, size, "the environment variable %s is not set%s", l->name,
           l->secret ? " (and there is no such file in $CREDENTIALS_DIRECTORY)" : "");
  return NULL;
}

/* -- which file -------------------------------------------------------------------- */

/* ./runbook.config.lua is taken only when nobody else may have written it */
static int ours (const char *path, rb_Problem *p) {
  struct stat st;
  if (stat(path, &st) != 0) return 0;
  if ((st.st_uid != getuid() && st.st_uid != 0) || (st.st_mode & (S_IWGRP | S_IWOTH))) {
    rb_problem(p, RB_USAGE, "config", "./" NAME " is not used: it must belong to you or "
               "root, and nobody else may write it (chmod go-w " NAME "), or name it "
               "with --config");
    return 0;
  }
  return 1;
}

/* the path to load into 'path'; 0: none */
static int choose (const char *given, char *path, size_t size, rb_Problem *p) {
  const char *env = getenv("RUNBOOK_CONFIG"), *xdg = getenv("XDG_CONFIG_HOME");
  const char *home = getenv("HOME");
  if (given == NULL && env != NULL && *env != '\0') given = env;
  if (given != NULL) {
    snprintf(path, size, "%s", given);
    return 1;
  }
  snprintf(path, size, "./" NAME);
  if (ours(path, p)) return 1;
  if (p->exit != 0) return 0;
  if (xdg != NULL && *xdg != '\0') snprintf(path, size, "%s/runbook/config.lua", xdg);
  else if (home != NULL) snprintf(path, size, "%s/.config/runbook/config.lua", home);
  else return 0;
  return access(path, F_OK) == 0;
}

/* -- loading ------------------------------------------------------------------------- */

static void toolong (lua_State *L, lua_Debug *ar) {
  (void)ar;
  luaL_error(L, "the configuration takes too long: is there an endless loop?");
}

static void newlater (lua_State *L) {
  luaL_newmetatable(L, RB_LATER);
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
  lua_register(L, "env", config_env);
  lua_register(L, "secret", config_secret);
}

/* lua_CFunction(path): runs the file and leaves what it returned */
static int run (lua_State *L) {
  const char *path = lua_tostring(L, 1);
  newlater(L);
  lua_sethook(L, toolong, LUA_MASKCOUNT, STEPS);
  if (luaL_loadfilex(L, path, "t") != LUA_OK) return lua_error(L);
  lua_call(L, 0, 1);
  lua_sethook(L, NULL, 0, 0);
  if (!lua_istable(L, -1))
    return luaL_error(L, "%s:1: a configuration returns a table: return { targets = "
                      "{ ... } }", path);
  return 1;
}

/* "path:12: message" into the problem's parts */
static int scripterror (rb_Config *c, rb_Problem *p) {
  const char *s = lua_tostring(c->L, -1);
  size_t n = strlen(c->file);
  if (s == NULL) s = "an error without words";
  char *after = NULL;
  long line = strncmp(s, c->file, n) == 0 && s[n] == ':' ? strtol(s + n + 1, &after, 10) : 0;
  const char *message = after != NULL && *after == ':' ? after + 1 + strspn(after + 1, " ") : s;
  rb_problem(p, RB_USAGE, "config", "%s", message);
  snprintf(p->file, sizeof p->file, "%s", c->file);
  p->line = (int)line;
  return p->exit;
}

static int load (rb_Config *c, rb_Problem *p) {
  struct stat st;
  if (stat(c->file, &st) != 0)
    return rb_problem(p, RB_USAGE, "config", "cannot read the configuration %s: %s",
                      c->file, strerror(errno));
  lua_pushcfunction(c->L, run);
  lua_pushstring(c->L, c->file);
  if (lua_pcall(c->L, 1, 1, 0) != LUA_OK) return scripterror(c, p);
  return rb_config_check(c, p);
}

static char *folderof (const char *file) {
  char *full = realpath(file, NULL);
  if (full == NULL) return strdup(".");
  char *slash = strrchr(full, '/');
  if (slash == full) slash++;
  *slash = '\0';
  return full;
}

char *rb_config_path (const rb_Config *c, const char *path) {
  char *out = NULL;
  if (*path == '/' || c->folder == NULL) return strdup(path);
  if (asprintf(&out, "%s/%s", c->folder, path) < 0) return NULL;
  return out;
}

/* -- lists of names ---------------------------------------------------------------------- */

static int byname (const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char **rb_config_names (rb_Config *c, int values) {
  lua_State *L = c->L;
  size_t n = 0, size = 8;
  const char **list = malloc(size * sizeof *list);
  rb_Names *names = malloc(sizeof *names);
  if (lua_istable(L, -1)) {
    lua_pushnil(L);
    while (list != NULL && lua_next(L, -2) != 0) {
      const char *s = lua_type(L, values ? -1 : -2) == LUA_TSTRING ?
                      lua_tostring(L, values ? -1 : -2) : NULL;
      lua_pop(L, 1);
      if (s == NULL) continue;
      if (n + 2 > size) {
        const char **more = realloc(list, (size *= 2) * sizeof *list);
        if (more == NULL) break;
        list = more;
      }
      list[n++] = s;
    }
  }
  lua_pop(L, 1);
  if (list == NULL || names == NULL) { free(list); free(names); return NULL; }
  list[n] = NULL;
  if (!values) qsort(list, n, sizeof *list, byname);
  *names = (rb_Names){c->names, list};
  c->names = names;
  return list;
}

/* the folders of `runbooks`, absolute; kept in the registry of the state */
static void setrunbooks (rb_Config *c) {
  lua_State *L = c->L;
  lua_newtable(L);
  lua_Integer n = 0;
  if (lua_getfield(L, 1, "runbooks") == LUA_TTABLE)
    for (lua_Integer i = 1; lua_geti(L, -1, i) == LUA_TSTRING; i++) {
      char *path = rb_config_path(c, lua_tostring(L, -1));
      lua_pushstring(L, path);
      free(path);
      lua_rawseti(L, 2, ++n);
      lua_pop(L, 1);
    }
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  luaL_ref(L, LUA_REGISTRYINDEX);
  c->runbooks = rb_config_names(c, 1);
  lua_settop(L, 1);
  lua_getfield(L, 1, "targets");
  c->targets = rb_config_names(c, 0);
}

rb_Config *rb_config_load (const char *file, rb_Problem *p) {
  char path[4096];
  rb_Config *c = calloc(1, sizeof *c);
  Memory *m = calloc(1, sizeof *m);
  if (c != NULL && m != NULL) c->L = lua_newstate(alloc, m);
  if (c == NULL || c->L == NULL) {
    rb_problem(p, RB_USAGE, "memory", "not enough memory");
    free(m);
    free(c);
    return NULL;
  }
  int found = choose(file, path, sizeof path, p);
  if (found) {
    c->file = strdup(path);
    c->folder = folderof(path);
  } else lua_newtable(c->L);
  if (p->exit != 0 || (found && load(c, p) != 0)) {
    rb_config_free(c);
    return NULL;
  }
  setrunbooks(c);
  return c;
}

void rb_config_free (rb_Config *c) {
  void *m;
  if (c == NULL) return;
  for (rb_Target *t = c->open; t != NULL; ) {
    rb_Target *next = t->next;
    free(t->name);
    free(t);
    t = next;
  }
  for (rb_Names *n = c->names; n != NULL; ) {
    rb_Names *next = n->next;
    free(n->list);
    free(n);
    n = next;
  }
  lua_getallocf(c->L, &m);
  lua_close(c->L);
  free(m);
  free(c->file);
  free(c->folder);
  free(c);
}

const char *rb_config_file (const rb_Config *c) { return c->file; }
const char *const *rb_config_runbooks (const rb_Config *c) { return c->runbooks; }
const char *const *rb_config_targets (const rb_Config *c) { return c->targets; }

const char *const *rb_config_role (const rb_Config *c, const char *role) {
  lua_State *L = c->L;
  const char *const *people = NULL;
  if (lua_getfield(L, 1, "roles") == LUA_TTABLE) {
    if (lua_getfield(L, -1, role) == LUA_TTABLE)
      people = rb_config_names((rb_Config *)c, 1);
    else lua_pop(L, 1);
  }
  lua_settop(L, 1);
  return people;
}
