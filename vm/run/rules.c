/*
** rules.c - what is wrong with a runbook, as far as it can be known unrun
**
** The shape is checked by loading it. The rest is looked up: names that
** nobody defines, in the code; people and systems, in the configuration.
*/

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "vm/config/config.h"
#include "vm/run/known.h"
#include "vm/run/lint.h"
#include "vm/run/outline.h"
#include "vm/run/rules.h"
#include "vm/run/server.h"
#include "vm/run/shape.h"
#include "vm/state.h"

#define MAXNAMES 1000  /* that a suggestion looks through */

/* sets of names: tables at these indices of the state */
enum { GLOBALS = 1, FIELDS, NEAR, SAID, USED, SETS = USED };

/* one use, and the file in which it stands */
typedef struct Use {
  rb_Use use;
  const char *file;
} Use;

typedef struct Checker {
  lua_State *L;
  int base;            /* the sets are above it */
  const char *file;    /* being read */
  const rb_Outline *o;
  Use *uses; int nuses, size;
  int outofmemory, faults;
  void (*tell) (void *ud, const rb_Fault *f);
  void *ud;
} Checker;

/* -- names ----------------------------------------------------------------- */

static void addname (Checker *c, int set, const char *s) {
  lua_pushboolean(c->L, 1);
  lua_setfield(c->L, c->base + set, s);
}

static int hasname (Checker *c, int set, const char *s) {
  int has = lua_getfield(c->L, c->base + set, s) != LUA_TNIL;
  lua_pop(c->L, 1);
  return has;
}

static int byname (const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* the name nearest to s, of several the first by the alphabet; it lives as
** long as the set */
static const char *nearname (Checker *c, int set, const char *s) {
  const char *names[MAXNAMES + 1];
  size_t n = 0;
  lua_pushnil(c->L);
  while (n < MAXNAMES && lua_next(c->L, c->base + set)) {
    lua_pop(c->L, 1);
    names[n++] = lua_tostring(c->L, -1);
  }
  if (n == MAXNAMES) lua_pop(c->L, 1);
  qsort(names, n, sizeof *names, byname);
  names[n] = NULL;
  return rb_nearest(s, names);
}

static void fault (Checker *c, const char *file, int line, const char *rule,
                   const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
static void fault (Checker *c, const char *file, int line, const char *rule,
                   const char *fmt, ...) {
  char message[1024];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(message, sizeof message, fmt, ap);
  va_end(ap);
  c->tell(c->ud, &(rb_Fault){file, line, rule, message});
  c->faults++;
}

/* -- what the code uses ---------------------------------------------------- */

/* A parameter is used where its name is a text of a function (run.name), or stands in
** a text: {name}, :name, :"name". The chunk itself (line 0) has it where it declares it. */
static int names (const char *text, int line, const char *name) {
  size_t n = strlen(name);
  if (line > 0 && strcmp(text, name) == 0) return 1;
  for (const char *s = text; (s = strstr(s, name)) != NULL; s += n)
    if (s > text && strchr("{:\"", s[-1]) != NULL
        && !isalnum((unsigned char)s[n]) && s[n] != '_') return 1;
  return 0;
}

static void gathertext (Checker *c, const rb_Use *use) {
  const char *what = use->kind == RB_WRITTEN ? rb_leak(use->name, use->text) : NULL;
  for (int i = 0; i < c->o->nparams && use->kind == RB_CONSTANT; i++)
    if (names(use->text, use->line, c->o->params[i].name)) addname(c, USED, c->o->params[i].name);
  if (what != NULL)
    fault(c, c->file, use->line, "secret", "a text here looks like %s: it belongs into the "
          "configuration, as secret \"NAME\"", what);
}

static void gather (void *ud, const rb_Use *use) {
  Checker *c = ud;
  if (use->text != NULL) {
    gathertext(c, use);
    return;
  }
  if (use->kind == RB_SETGLOBAL) addname(c, GLOBALS, use->name);
  if (use->kind == RB_SETFIELD) addname(c, FIELDS, use->name);
  if (use->kind == RB_LOCAL || use->kind == RB_SETGLOBAL)
    addname(c, NEAR, use->name);
  if (use->kind == RB_SETFIELD || use->kind == RB_LOCAL) return;
  if (use->kind == RB_GETGLOBAL && hasname(c, GLOBALS, use->name)) return;
  if (c->nuses == c->size) {
    int size = c->size > 0 ? 2 * c->size : 32;
    Use *uses = realloc(c->uses, sizeof *uses * (size_t)size);
    if (uses == NULL) { c->outofmemory = 1; return; }
    c->uses = uses;
    c->size = size;
  }
  c->uses[c->nuses++] = (Use){*use, c->file};
}

/* the files that the runbook required: what they set counts, too */
static void required (void *ud, rb_Known *k) {
  Checker *c = ud;
  c->file = rb_known_path(k);
  rb_known_uses(k, gather, c);
}

static void gatherall (Checker *c) {
  const char *file = c->file;
  lua_getfield(c->L, LUA_REGISTRYINDEX, RB_CHUNK);
  const rb_Code *code = rb_known_own(c->L, file);
  lua_pop(c->L, 1);
  if (code != NULL) rb_uses(code, gather, c);
  rb_known_required(c->L, required, c);
  c->file = file;
}

static void addglobal (Checker *c, const char *name) {
  addname(c, GLOBALS, name);
  addname(c, NEAR, name);
}

static void addglobals (Checker *c) {
  lua_pushglobaltable(c->L);
  for (lua_pushnil(c->L); lua_next(c->L, -2); lua_pop(c->L, 1))
    if (lua_type(c->L, -2) == LUA_TSTRING)
      addglobal(c, lua_tostring(c->L, -2));
  lua_pop(c->L, 1);
  addglobal(c, "runbook");
}

/* what `run` has: its own, the parameters, what the code sets */
static void addfields (Checker *c, const rb_Outline *o) {
  lua_getfield(c->L, LUA_REGISTRYINDEX, RB_WORDFIELDS);
  lua_getfield(c->L, -1, "run");
  for (lua_Integer i = 1; lua_rawgeti(c->L, -1, i) == LUA_TSTRING; i++) {
    addname(c, FIELDS, lua_tostring(c->L, -1));
    lua_pop(c->L, 1);
  }
  lua_pop(c->L, 3);
  for (int i = 0; i < o->nparams; i++)
    addname(c, FIELDS, o->params[i].name);
}

static int byplace (const void *a, const void *b) {
  const Use *x = a, *y = b;
  int order = strcmp(x->file, y->file);
  if (order == 0) order = x->use.line - y->use.line;
  return order != 0 ? order : strcmp(x->use.name, y->use.name);
}

static void lookat (Checker *c, const Use *u) {
  const char *name = u->use.name, *near = NULL;
  int global = u->use.kind == RB_GETGLOBAL;
  if (u->use.kind == RB_SETGLOBAL) {
    if (hasname(c, SAID, name)) return;
    addname(c, SAID, name);
    fault(c, u->file, u->use.line, "global", "'%s' becomes a global, which all "
          "steps and files share: write `local %s`", name, name);
    return;
  }
  if (hasname(c, global ? GLOBALS : FIELDS, name)) return;
  near = nearname(c, global ? NEAR : FIELDS, name);
  fault(c, u->file, u->use.line, global ? "global" : "run", "%s%s%s%s%s%s",
        global ? "undefined global '" : u->use.kind == RB_CALLRUN ? "there is no "
        "run:" : "nothing sets run.", name, global ? "'" : "",
        near != NULL ? ": did you mean '" : "", near != NULL ? near : "",
        near != NULL ? "'?" : "");
}

static void checkuses (Checker *c) {
  if (c->nuses > 0) qsort(c->uses, (size_t)c->nuses, sizeof *c->uses, byplace);
  for (int i = 0; i < c->nuses; i++)
    if (i == 0 || byplace(&c->uses[i - 1], &c->uses[i]) != 0)
      lookat(c, &c->uses[i]);
}

/* -- texts and the configuration ------------------------------------------- */

/* {tenat}: a name in a text that is nearly one that `run` has. (Others may
** stand for themselves: awk '{print}'.) */
static void checktext (Checker *c, const rb_Words *w, int line) {
  for (const char *s = w->text; s != NULL && (s = strchr(s, '{')) != NULL; ) {
    char name[64];
    size_t n = 0;
    s++;
    while (isalnum((unsigned char)s[n]) || s[n] == '_') n++;
    if (n == 0 || n >= sizeof name || s[n] != '}') continue;
    snprintf(name, sizeof name, "%.*s", (int)n, s);
    if (hasname(c, FIELDS, name)) continue;
    const char *near = nearname(c, FIELDS, name);
    if (near != NULL)
      fault(c, c->file, line, "text", "nothing sets run.%s, which a text "
            "shows as {%s}: did you mean {%s}?", name, name, near);
  }
}

static void checktexts (Checker *c, const rb_Outline *o) {
  rb_Words title = {o->title, RB_NOREF};
  checktext(c, &title, 0);
  checktext(c, &o->lock, 0);
  for (int i = 0; i < o->ncases; i++) {
    checktext(c, &o->cases[i].title, o->cases[i].line);
    checktext(c, &o->cases[i].lock, o->cases[i].line);
  }
  for (int i = 0; i < o->nsteps; i++) {
    checktext(c, &o->steps[i].title, o->steps[i].line);
    checktext(c, &o->steps[i].manual, o->steps[i].line);
    checktext(c, &o->steps[i].irreversible, o->steps[i].line);
  }
}

static void checkparams (Checker *c) {
  for (int i = 0; i < c->o->nparams; i++)
    if (!hasname(c, USED, c->o->params[i].name))
      fault(c, c->file, 0, "parameter", "nothing uses the parameter '%s'", c->o->params[i].name);
}

static void checkroles (Checker *c, const rb_Config *config,
                        const char *const *roles, int line) {
  for (; *roles != NULL; roles++)
    if (rb_config_role(config, *roles) == NULL)
      fault(c, c->file, line, "role", "nobody holds the role '%s' in %s",
            *roles, rb_config_file(config));
}

static void checksystem (Checker *c, const char *const *systems, const char *name) {
  const char *const *s = systems;
  while (*s != NULL && strcmp(*s, name) != 0) s++;
  if (*s != NULL) return;
  const char *near = rb_nearest(name, systems);
  fault(c, c->file, 0, "system", "the configuration has no system '%s'%s%s"
        "%s", name, near != NULL ? ": did you mean '" : "",
        near != NULL ? near : "", near != NULL ? "'?" : "");
}

/* that of the runbook, and those that the code asks for */
static void checksystems (Checker *c, const char *const *systems, const rb_Outline *o) {
  const char *names[MAXNAMES];
  size_t n = 0;
  luaL_getsubtable(c->L, LUA_REGISTRYINDEX, RB_SYSTEMS);
  for (lua_pushnil(c->L); lua_next(c->L, -2); lua_pop(c->L, 1))
    if (n < MAXNAMES) names[n++] = lua_tostring(c->L, -2);
  lua_pop(c->L, 1);
  qsort(names, n, sizeof *names, byname);
  if (o->system != NULL) checksystem(c, systems, o->system);
  for (size_t i = 0; i < n; i++)
    if (o->system == NULL || strcmp(names[i], o->system) != 0) checksystem(c, systems, names[i]);
}

static void checkconfig (Checker *c, const rb_Around *around, const rb_Outline *o) {
  const rb_Config *config = around->config;
  if (around->target != NULL) checksystems(c, rb_target_systems(around->target), o);
  if (config == NULL || rb_config_file(config) == NULL) return;
  checkroles(c, config, o->approve, 0);
  for (int i = 0; i < o->ncases; i++)
    checkroles(c, config, o->cases[i].approve, o->cases[i].line);
  for (int i = 0; i < o->nsteps; i++)
    checkroles(c, config, o->steps[i].approve, o->steps[i].line);
}

/* -- the whole ------------------------------------------------------------- */

/* 1: there is an outline to look into */
static int load (Checker *c, const char *file, rb_Outline *o, int *exit) {
  rb_Problem p;
  int plain = rb_config_companion(file);
  if (plain ? rb_chunk_load(c->L, file, &p) : rb_outline_load(c->L, file, o,
                                                              &p)) {
    int text = strcmp(p.kind, "syntax") == 0 || strcmp(p.kind, "file") == 0;
    *exit = p.exit == RB_INTERRUPTED ? p.exit : text ? RB_USAGE : RB_FAILED;
    fault(c, p.file[0] != '\0' ? p.file : file, p.line, p.kind, "%s",
          p.message);
    return 0;
  }
  return !plain;
}

/* where the file's schema.lua is */
static void setfolder (rb_Server *s, const char *file) {
  char path[PATH_MAX];
  char *slash = realpath(file, path) != NULL ? strrchr(path, '/') : NULL;
  if (slash != NULL) slash[slash == path] = '\0';
  rb_server_folder(s, slash != NULL ? path : "/");
}

int rb_rules (lua_State *L, const char *file, const rb_Around *around,
              void (*tell) (void *ud, const rb_Fault *f), void *ud) {
  Checker c = {.L = L, .base = lua_gettop(L), .file = file, .tell = tell,
               .ud = ud};
  rb_Outline o = {0};
  int exit = RB_DONE;
  luaL_checkstack(L, SETS + 20, NULL);
  for (int set = 1; set <= SETS; set++) lua_newtable(L);
  rb_known_watch(L);
  addglobals(&c);
  if (around->server != NULL) setfolder(around->server, file);
  if (load(&c, file, &o, &exit)) {
    c.o = &o;
    gatherall(&c);
    addfields(&c, &o);
    checkuses(&c);
    checktexts(&c, &o);
    checkparams(&c);
    checkconfig(&c, around, &o);
    c.faults += rb_lint(L, &o, file, around, c.base + FIELDS, tell, ud);
    rb_outline_free(L, &o);
  }
  lua_settop(L, c.base);
  if (c.outofmemory) fault(&c, file, 0, "memory", "not enough memory");
  free(c.uses);
  return exit == RB_DONE && c.faults > 0 ? RB_FAILED : exit;
}
