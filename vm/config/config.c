/*
** config.c - finds the configuration, runs it with nothing in its hands, and
** keeps what it returned
*/

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <lauxlib.h>

#include "vm/buffer.h"
#include "vm/config/private.h"

#define NAME "runbook.config.lua"
#define CHUNK "config"              /* what Lua's messages call the file */
#define MAXFILE ((size_t)1 << 20)
#define MAXMEMORY ((size_t)32 << 20)
#define SECONDS 1.0                 /* that it may compute */
#define STEPS 10000                 /* VM instructions between looks at the clock */

/* -- the state it runs in ---------------------------------------------------- */

typedef struct Guard {
  size_t used;
  double until;
} Guard;

static void *alloc (void *ud, void *p, size_t osize, size_t nsize) {
  Guard *g = ud;
  size_t old = p != NULL ? osize : 0;
  if (nsize == 0) {
    free(p);
    g->used -= old;
    return NULL;
  }
  if (nsize > old && g->used + (nsize - old) > MAXMEMORY) return NULL;
  void *q = realloc(p, nsize);
  if (q != NULL) g->used += nsize - old;
  return q;
}

static double now (void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void lookatclock (lua_State *L, lua_Debug *ar) {
  void *g;
  (void)ar;
  lua_getallocf(L, &g);
  if (now() <= ((Guard *)g)->until) return;
  luaL_where(L, 0);
  lua_pushliteral(L, "the configuration takes too long: is there an endless loop?");
  lua_concat(L, 2);
  lua_error(L);
}

static int later (lua_State *L, int secret) {
  size_t n;
  const char *name = luaL_checklstring(L, 1, &n);
  luaL_argcheck(L, n > 0 && strpbrk(name, "/=") == NULL && strlen(name) == n, 1,
                "the name of an environment variable is expected");
  rb_Later *l = lua_newuserdatauv(L, sizeof *l + n + 1, 0);
  l->secret = secret;
  memcpy(l->name, name, n + 1);
  luaL_setmetatable(L, RB_LATER);
  return 1;
}

static int config_env (lua_State *L) { return later(L, 0); }
static int config_secret (lua_State *L) { return later(L, 1); }

static int opaque (lua_State *L) {
  return luaL_error(L, "env \"NAME\" and secret \"NAME\" stand alone: nothing can be "
                    "added to them, or read from them, in the configuration");
}

static int noname (lua_State *L) {
  return luaL_error(L, "there is no '%s' here: a configuration has env \"NAME\" and "
                    "secret \"NAME\", and nothing else", luaL_tolstring(L, 2, NULL));
}

static void setglobals (lua_State *L) {
  static const luaL_Reg methods[] = {
    {"__concat", opaque}, {"__index", opaque}, {"__len", opaque}, {"__add", opaque},
    {NULL, NULL}
  };
  luaL_newmetatable(L, RB_LATER);
  luaL_setfuncs(L, methods, 0);
  lua_pop(L, 1);
  lua_register(L, "env", config_env);
  lua_register(L, "secret", config_secret);
  lua_pushglobaltable(L);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, noname);
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
  lua_pop(L, 1);
}

/* lua_CFunction(config, source): runs it and keeps what it returned */
static int run (lua_State *L) {
  rb_Config *c = lua_touserdata(L, 1);
  const rb_Buffer *source = lua_touserdata(L, 2);
  const char *s = source->s;
  size_t n = source->n;
  if (n >= 3 && memcmp(s, "\xef\xbb\xbf", 3) == 0) { s += 3; n -= 3; }
  setglobals(L);
  lua_sethook(L, lookatclock, LUA_MASKCOUNT, STEPS);
  if (luaL_loadbufferx(L, s, n, "=" CHUNK, "t") != LUA_OK) return lua_error(L);
  lua_call(L, 0, 1);
  if (!lua_istable(L, -1))
    return luaL_error(L, "a configuration returns a table: return { targets = { ... } }");
  rb_item_read(L, &c->root);
  return 0;
}

/* "config:12: message" into the parts of a problem; a text that Lua's parser
** stumbled over may be a password, and is left out */
static void scripterror (const rb_Config *c, const char *s, rb_Problem *p) {
  char *after = NULL;
  const size_t n = sizeof CHUNK ":" - 1;
  long line = strncmp(s, CHUNK ":", n) == 0 ? strtol(s + n, &after, 10) : 0;
  if (after != NULL && *after == ':') s = after + 1 + strspn(after + 1, " ");
  const char *near = strstr(s, " near '");
  int quoted = near != NULL && strchr("\"'[", near[7]) != NULL && near[7] != '\0';
  rb_problem(p, RB_USAGE, "config", "%.*s", quoted ? (int)(near - s) : 1000, s);
  snprintf(p->file, sizeof p->file, "%s", c->file);
  p->line = (int)line;
}

static int execute (rb_Config *c, const rb_Buffer *source, rb_Problem *p) {
  Guard g = {.until = now() + SECONDS};
  lua_State *L = lua_newstate(alloc, &g);
  if (L == NULL) return rb_problem(p, RB_USAGE, "memory", "not enough memory");
  lua_pushcfunction(L, run);
  lua_pushlightuserdata(L, c);
  lua_pushlightuserdata(L, (void *)source);
  int status = lua_pcall(L, 2, 0, 0);
  if (status != LUA_OK) {
    const char *s = status != LUA_ERRMEM ? lua_tostring(L, -1)
                    : "the configuration takes too much memory: is there an endless loop?";
    scripterror(c, s != NULL ? s : "an error without words", p);
  }
  lua_close(L);
  return p->exit;
}

/* -- which file -------------------------------------------------------------- */

/* A file where we happen to be is taken only when nobody else wrote it: also
** the link that leads to it. */
static int trusted (const char *path) {
  struct stat link, st;
  uid_t me = geteuid();
  if (lstat(path, &link) != 0 || stat(path, &st) != 0) return 0;
  return (link.st_uid == me || link.st_uid == 0) && (st.st_uid == me || st.st_uid == 0)
         && (st.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

static int fits (int n, size_t size, rb_Problem *p) {
  if (n > 0 && (size_t)n < size) return 1;
  rb_problem(p, RB_USAGE, "config", "the path of the configuration is %s",
             n > 0 ? "too long" : "empty");
  return -1;
}

/* the path to load into 'path': 1; 0: there is none; -1: *p */
static int choose (const char *given, char *path, size_t size, rb_Problem *p) {
  const char *env = getenv("RUNBOOK_CONFIG"), *xdg = getenv("XDG_CONFIG_HOME");
  const char *home = getenv("HOME");
  struct stat st;
  if (given == NULL && env != NULL && *env != '\0') given = env;
  if (given != NULL) return fits(snprintf(path, size, "%s", given), size, p);
  if (lstat(NAME, &st) == 0) {
    if (trusted(NAME)) return fits(snprintf(path, size, "./" NAME), size, p);
    rb_problem(p, RB_USAGE, "config", "./" NAME " is not used: it must belong to you or "
               "root, and nobody else may write it (chmod go-w " NAME "); or name it "
               "with --config");
    return -1;
  }
  const char *base = xdg != NULL && *xdg == '/' ? xdg : home;
  if (base == NULL) return 0;
  int n = snprintf(path, size, "%s%s/runbook/config.lua", base,
                   base == home ? "/.config" : "");
  return access(path, F_OK) == 0 ? fits(n, size, p) : 0;
}

/* the whole file; a pipe is fine, too */
static int readfile (const char *file, rb_Buffer *b, rb_Problem *p) {
  char part[16384];
  ssize_t n = -1;
  int fd = open(file, O_RDONLY | O_CLOEXEC);
  while (fd >= 0 && (n = read(fd, part, sizeof part)) > 0 && b->n <= MAXFILE)
    rb_buffer_add(b, part, (size_t)n);
  if (fd < 0 || n < 0)
    rb_problem(p, RB_USAGE, "config", "cannot read the configuration %s: %s", file,
               strerror(errno));
  else if (b->n > MAXFILE || b->failed)
    rb_problem(p, RB_USAGE, "config", "%s is too big for a configuration", file);
  rb_buffer_add(b, "", 0);  /* an empty file is an empty text */
  if (fd >= 0) close(fd);
  return p->exit;
}

/* the absolute folder of a file, as it is named (links are not followed) */
static char *folderof (const char *file) {
  const char *slash = strrchr(file, '/');
  char folder[PATH_MAX];
  snprintf(folder, sizeof folder, "%.*s", slash == NULL ? 1 : slash == file ? 1
           : (int)(slash - file), slash == NULL ? "." : file);
  return realpath(folder, NULL);
}

char *rb_config_path (const rb_Config *c, const char *path) {
  char *out = NULL;
  if (*path == '/' || c->folder == NULL) return strdup(path);
  while (path[0] == '.' && path[1] == '/') path += 2;
  if (strcmp(path, ".") == 0) return strdup(c->folder);
  if (asprintf(&out, "%s/%s", c->folder, path) < 0) return NULL;
  return out;
}

/* -- loading ----------------------------------------------------------------- */

int rb_config_problem (const rb_Config *c, rb_Problem *p, const char *place,
                       const char *fmt, ...) {
  char message[sizeof p->message];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(message, sizeof message, fmt, ap);
  va_end(ap);
  rb_problem(p, RB_USAGE, "config", "%s%s%s", place, *place != '\0' ? ": " : "", message);
  snprintf(p->file, sizeof p->file, "%s", c->file != NULL ? c->file : "");
  p->line = rb_places_line(&c->places, place);
  return p->exit;
}

/* what was installed with the program, beside it; 0: it was not installed */
static int shipped (char *path, size_t size) {
  char exe[2048];
  ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
  if (n <= 0) return 0;
  exe[n] = '\0';
  *strrchr(exe, '/') = '\0';
  char *slash = strrchr(exe, '/');  /* of PREFIX/bin */
  if (slash == NULL) return 0;
  *slash = '\0';
  return (size_t)snprintf(path, size, "%s/share/runbook/runbooks", exe) < size
         && access(path, R_OK | X_OK) == 0;
}

/* the folders of `runbooks`, absolute; where none is named, the one that came with
** the installation */
static int setrunbooks (rb_Config *c) {
  char path[PATH_MAX];
  const rb_Item *list = rb_item_get(&c->root, "runbooks");
  if (list == NULL && shipped(path, sizeof path)) {
    c->runbooks = calloc(2, sizeof *c->runbooks);
    return c->runbooks != NULL && (c->runbooks[0] = strdup(path)) != NULL;
  }
  size_t n = list != NULL ? list->n : 0;
  c->runbooks = calloc(n + 1, sizeof *c->runbooks);
  for (size_t i = 0; c->runbooks != NULL && i < n; i++) {
    c->runbooks[i] = rb_config_path(c, list->items[i].text);
    if (c->runbooks[i] == NULL) return 0;
  }
  return c->runbooks != NULL;
}

static int load (rb_Config *c, const char *file, rb_Problem *p) {
  rb_Buffer source = {0};
  c->file = strdup(file);
  c->folder = folderof(file);
  if (c->file == NULL || readfile(file, &source, p) != 0
      || execute(c, &source, p) != 0) {
    if (c->file == NULL) rb_problem(p, RB_USAGE, "memory", "not enough memory");
  }
  else if (!rb_places_read(&c->places, source.s))
    rb_problem(p, RB_USAGE, "memory", "not enough memory");
  else rb_config_check(c, p);
  rb_buffer_free(&source);
  return p->exit;
}

rb_Config *rb_config_load (const char *file, rb_Problem *p) {
  char path[PATH_MAX];
  *p = (rb_Problem){0};
  rb_Config *c = calloc(1, sizeof *c);
  if (c == NULL) {
    rb_problem(p, RB_USAGE, "memory", "not enough memory");
    return NULL;
  }
  c->root.type = RB_ITEMTABLE;
  int found = choose(file, path, sizeof path, p);
  if (found >= 0 && (found == 0 || load(c, path, p) == 0)) {
    if (setrunbooks(c)) return c;
    rb_problem(p, RB_USAGE, "memory", "not enough memory");
  }
  rb_config_free(c);
  return NULL;
}

void rb_config_free (rb_Config *c) {
  if (c == NULL) return;
  while (c->open != NULL) {
    rb_Target *next = c->open->next;
    free(c->open);
    c->open = next;
  }
  for (char **s = c->runbooks; s != NULL && *s != NULL; s++) free(*s);
  for (size_t i = 0; i < c->nweak; i++) free(c->weak[i]);
  free(c->weak);
  free(c->runbooks);
  rb_places_free(&c->places);
  rb_item_free(&c->root);
  free(c->file);
  free(c->folder);
  free(c);
}

/* -- asking ------------------------------------------------------------------- */

static const char *const nothing[] = {NULL};

const char *rb_config_file (const rb_Config *c) { return c->file; }

const char *const *rb_config_runbooks (const rb_Config *c) {
  return (const char *const *)c->runbooks;
}

char *rb_config_locks (const rb_Config *c) {
  const char *path = rb_item_text(rb_item_get(&c->root, "locks"));
  return path != NULL ? rb_config_path(c, path) : NULL;
}

const char *const *rb_config_targets (const rb_Config *c) {
  const rb_Item *targets = rb_item_get(&c->root, "targets");
  return targets != NULL ? targets->names : nothing;
}

const char *const *rb_config_role (const rb_Config *c, const char *role) {
  const rb_Item *people = rb_item_get(rb_item_get(&c->root, "roles"), role);
  return people != NULL ? people->names : NULL;
}
