/*
** outline.c - a checked runbook, read from Lua into C
**
** words.lua has looked at every type and name, so nothing here can be wrong
** but memory: rb_outline_read runs protected, and rb_outline_free takes back
** what a half-read outline holds.
*/

#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>

#include "vm/module.h"
#include "vm/run/outline.h"
#include "vm/run/shape.h"

#define BLOCK 4096  /* bytes taken at a time */

/* where an outline's texts and arrays live, newest block first */
typedef struct Block {
  struct Block *next;
  size_t used, size;
  max_align_t data[];
} Block;

const char *const rb_fieldnames[RB_FIELDS] = {
  "when", "probe", "remedy", "verify", "notify", "undo"
};

/* [-0, +0, m]  n zeroed bytes that live as long as the outline */
static void *keep (lua_State *L, rb_Outline *o, size_t n) {
  Block *b = o->memory;
  n = (n + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
  if (b == NULL || b->size - b->used < n) {
    size_t size = n > BLOCK ? n : BLOCK;
    b = calloc(1, sizeof *b + size);
    if (b == NULL) luaL_error(L, "not enough memory");
    *b = (Block){.next = o->memory, .size = size};
    o->memory = b;
  }
  void *p = (char *)b->data + b->used;
  b->used += n;
  return p;
}

static char *keeptext (lua_State *L, rb_Outline *o, const char *s) {
  size_t n = strlen(s) + 1;
  return memcpy(keep(L, o, n), s, n);
}

/* -- single fields of the table at 'idx', all [-0, +0, m] ------------------ */

static const char *text (lua_State *L, rb_Outline *o, int idx,
                         const char *name) {
  const char *s = NULL;
  if (lua_getfield(L, idx, name) == LUA_TSTRING)
    s = keeptext(L, o, lua_tostring(L, -1));
  lua_pop(L, 1);
  return s;
}

/* a registry reference, or RB_NOREF where there is no value of that type */
static int reference (lua_State *L, int idx, const char *name, int type) {
  if (lua_getfield(L, idx, name) == type) return luaL_ref(L, LUA_REGISTRYINDEX);
  lua_pop(L, 1);
  return RB_NOREF;
}

static rb_Words words (lua_State *L, rb_Outline *o, int idx, const char *name) {
  rb_Words w = {.ref = RB_NOREF};
  w.ref = reference(L, idx, name, LUA_TFUNCTION);
  w.text = text(L, o, idx, name);
  return w;
}

static int flag (lua_State *L, int idx, const char *name) {
  lua_getfield(L, idx, name);
  int set = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return set;
}

static int asked (lua_State *L, int idx, const char *name) {
  int set = lua_getfield(L, idx, name) == LUA_TSTRING;
  lua_pop(L, 1);
  return set;
}

static double seconds (lua_State *L, int idx, const char *name) {
  double s = 0;
  if (lua_getfield(L, idx, name) == LUA_TSTRING)
    rb_duration(lua_tostring(L, -1), &s);
  lua_pop(L, 1);
  return s;
}

/* items 'from', ... of the list on the top */
static const char *const *itemsfrom (lua_State *L, rb_Outline *o,
                                     lua_Integer from) {
  lua_Integer n = (lua_Integer)lua_rawlen(L, -1) - from + 1;
  const char **list = keep(L, o, sizeof *list * (size_t)(n + 1));
  for (lua_Integer i = 0; i < n; i++) {
    lua_rawgeti(L, -1, from + i);
    list[i] = keeptext(L, o, lua_tostring(L, -1));
    lua_pop(L, 1);
  }
  return list;
}

/* a string or a list of them; never NULL */
static const char *const *list (lua_State *L, rb_Outline *o, int idx,
                                const char *name) {
  static const char *const none[] = {NULL};
  const char *const *l = none;
  int type = lua_getfield(L, idx, name);
  if (type == LUA_TSTRING) {
    const char **one = keep(L, o, 2 * sizeof *one);
    one[0] = keeptext(L, o, lua_tostring(L, -1));
    l = one;
  }
  else if (type == LUA_TTABLE) l = itemsfrom(L, o, 1);
  lua_pop(L, 1);
  return l;
}

/* a copy, so that the script cannot raise them later */
static int limits (lua_State *L, int idx) {
  if (lua_getfield(L, idx, "limits") != LUA_TTABLE) {
    lua_pop(L, 1);
    return RB_NOREF;
  }
  lua_newtable(L);
  lua_pushnil(L);
  while (lua_next(L, -3)) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -4);
  }
  lua_remove(L, -2);
  return luaL_ref(L, LUA_REGISTRYINDEX);
}

/* -- parameters, steps, cases ---------------------------------------------- */

static int byname (const void *a, const void *b) {
  return strcmp(((const rb_Param *)a)->name, ((const rb_Param *)b)->name);
}

static int countpairs (lua_State *L, int idx, const char *name) {
  int n = 0;
  if (lua_getfield(L, idx, name) == LUA_TTABLE)
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) n++;
  lua_pop(L, 1);
  return n;
}

/* the declaration on the top; the name is below it */
static void readparam (lua_State *L, rb_Outline *o, rb_Param *q) {
  int idx = lua_gettop(L);
  *q = (rb_Param){.defaultref = RB_NOREF};
  q->name = keeptext(L, o, lua_tostring(L, idx - 1));
  lua_rawgeti(L, idx, 1);
  q->typename = keeptext(L, o, lua_tostring(L, -1));
  lua_pop(L, 1);
  q->type = (rb_ParamType)rb_param_type(q->typename);
  if (q->type == RB_CHOICE) q->choices = itemsfrom(L, o, 2);
  q->required = flag(L, idx, "required");
  q->help = text(L, o, idx, "help");
  lua_getfield(L, idx, "default");
  if (lua_isnil(L, -1)) lua_pop(L, 1);
  else q->defaultref = luaL_ref(L, LUA_REGISTRYINDEX);
}

/* appends the parameters of the table at 'idx', sorted; how many */
static int readparams (lua_State *L, rb_Outline *o, int idx) {
  int first = o->nparams;
  if (lua_getfield(L, idx, "params") == LUA_TTABLE)
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
      readparam(L, o, &o->params[o->nparams++]);
  lua_pop(L, 1);
  int n = o->nparams - first;
  if (n > 1) qsort(o->params + first, (size_t)n, sizeof *o->params, byname);
  return n;
}

static rb_OnFailure outcome (lua_State *L, int idx) {
  static const char *const names[] = {"stop", "continue", "warn", NULL};
  lua_getfield(L, idx, "on_failure");
  int n = luaL_checkoption(L, -1, "stop", names);
  lua_pop(L, 1);
  return (rb_OnFailure)n;
}

static void readretry (lua_State *L, rb_Step *s, int idx) {
  if (lua_getfield(L, idx, "retry") == LUA_TTABLE) {
    s->every = seconds(L, lua_gettop(L), "every");
    lua_getfield(L, -1, "times");
    s->retries = (int)lua_tointeger(L, -1);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

static int lineof (lua_State *L, int item) {
  lua_getfield(L, item, "line");
  int line = (int)lua_tointeger(L, -1);
  lua_pop(L, 1);
  return line;
}

/* the step on the top */
static void readstep (lua_State *L, rb_Outline *o, int incase) {
  rb_Step *s = &o->steps[o->nsteps];
  int item = lua_gettop(L), idx = item + 1;
  *s = (rb_Step){.incase = incase, .line = lineof(L, item)};
  for (int f = 0; f < RB_FIELDS; f++) s->fn[f] = RB_NOREF;
  s->title.ref = s->manual.ref = s->irreversible.ref = RB_NOREF;
  o->nsteps++;  /* from here on rb_outline_free looks at it */
  s->id = text(L, o, item, "id");
  s->title = words(L, o, item, "name");
  lua_getfield(L, item, "fields");
  s->manual = words(L, o, idx, "manual");
  s->irreversible = words(L, o, idx, "irreversible");
  for (int f = 0; f < RB_FIELDS; f++)
    s->fn[f] = reference(L, idx, rb_fieldnames[f], LUA_TFUNCTION);
  s->approve = list(L, o, idx, "approve");
  s->undo_asked = asked(L, idx, "undo_when");
  s->timeout = seconds(L, idx, "timeout");
  readretry(L, s, idx);
  s->on_failure = outcome(L, idx);
  s->diagnose = flag(L, idx, "diagnose");
  lua_pop(L, 1);
}

/* the case on the top; 'group' is that of cases side by side */
static void readcase (lua_State *L, rb_Outline *o, int group) {
  rb_Case *c = &o->cases[o->ncases];
  int item = lua_gettop(L), idx = item + 1;
  *c = (rb_Case){.group = group, .first = o->nsteps, .line = lineof(L, item),
                 .when = RB_NOREF, .limitsref = RB_NOREF};
  c->title.ref = c->lock.ref = RB_NOREF;
  o->ncases++;
  c->id = text(L, o, item, "name");
  lua_getfield(L, item, "fields");
  c->title = words(L, o, idx, "title");
  c->when = reference(L, idx, "when", LUA_TFUNCTION);
  c->asked = asked(L, idx, "when");
  c->severity = text(L, o, idx, "severity");
  c->approve = list(L, o, idx, "approve");
  c->lock = words(L, o, idx, "lock");
  c->limitsref = limits(L, idx);
  c->firstparam = o->nparams;
  c->nparams = readparams(L, o, idx);
  c->count = (int)lua_rawlen(L, idx);
  for (int i = 1; i <= c->count; i++) {
    lua_rawgeti(L, idx, i);
    readstep(L, o, (int)(c - o->cases));
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* -- the whole ------------------------------------------------------------- */

static int iscase (lua_State *L, int item) {
  lua_getfield(L, item, "word");
  int is = strcmp(lua_tostring(L, -1), "case") == 0;
  lua_pop(L, 1);
  return is;
}

/* arrays of the right size; the fields of the runbook are at 'idx' */
static void makeroom (lua_State *L, rb_Outline *o, int idx) {
  int nsteps = 0, ncases = 0, nparams = countpairs(L, idx, "params");
  int n = (int)lua_rawlen(L, idx);
  for (int i = 1; i <= n; i++) {
    lua_rawgeti(L, idx, i);
    if (!iscase(L, lua_gettop(L))) nsteps++;
    else {
      ncases++;
      lua_getfield(L, -1, "fields");
      nsteps += (int)lua_rawlen(L, -1);
      nparams += countpairs(L, lua_gettop(L), "params");
      lua_pop(L, 1);
    }
    lua_pop(L, 1);
  }
  o->params = keep(L, o, sizeof *o->params * (size_t)(nparams + 1));
  o->steps = keep(L, o, sizeof *o->steps * (size_t)(nsteps + 1));
  o->cases = keep(L, o, sizeof *o->cases * (size_t)(ncases + 1));
}

static void readfields (lua_State *L, rb_Outline *o, int idx) {
  o->title = text(L, o, idx, "title");
  if (o->title == NULL) o->title = o->name;
  o->system = text(L, o, idx, "system");
  o->use_when = text(L, o, idx, "use_when");
  o->impact = text(L, o, idx, "impact");
  o->severity = text(L, o, idx, "severity");
  o->approve = list(L, o, idx, "approve");
  o->targets = list(L, o, idx, "targets");
  o->lock = words(L, o, idx, "lock");
  o->limitsref = limits(L, idx);
  readparams(L, o, idx);
}

static void setplace (lua_State *L, rb_Outline *o, const char *path) {
  const char *base = strrchr(path, '/');
  o->file = keeptext(L, o, path);
  char *name = keeptext(L, o, base != NULL ? base + 1 : path);
  size_t n = strlen(name);
  if (n > 4 && strcmp(name + n - 4, ".lua") == 0) name[n - 4] = '\0';
  o->name = name;
}

int rb_outline_read (lua_State *L) {
  rb_Outline *o = lua_touserdata(L, 2);
  int idx = 4, group = 0, n;
  setplace(L, o, lua_tostring(L, 3));
  luaL_checkstack(L, 20, NULL);
  lua_getfield(L, 1, "fields");
  makeroom(L, o, idx);
  readfields(L, o, idx);
  n = (int)lua_rawlen(L, idx);
  for (int i = 1; i <= n; i++) {
    lua_rawgeti(L, idx, i);
    if (iscase(L, lua_gettop(L))) readcase(L, o, group);
    else {
      readstep(L, o, -1);
      if (o->ncases > 0) group = o->cases[o->ncases - 1].group + 1;
    }
    lua_pop(L, 1);
  }
  return 0;
}

static void unref (lua_State *L, int ref) {
  luaL_unref(L, LUA_REGISTRYINDEX, ref);
}

void rb_outline_free (lua_State *L, rb_Outline *o) {
  for (int i = 0; i < o->nparams; i++) unref(L, o->params[i].defaultref);
  for (int i = 0; i < o->nsteps; i++) {
    rb_Step *s = &o->steps[i];
    unref(L, s->title.ref);
    unref(L, s->manual.ref);
    unref(L, s->irreversible.ref);
    for (int f = 0; f < RB_FIELDS; f++) unref(L, s->fn[f]);
  }
  for (int i = 0; i < o->ncases; i++) {
    rb_Case *c = &o->cases[i];
    unref(L, c->title.ref);
    unref(L, c->lock.ref);
    unref(L, c->when);
    unref(L, c->limitsref);
  }
  if (o->memory != NULL) {
    unref(L, o->lock.ref);
    unref(L, o->limitsref);
  }
  for (Block *b = o->memory, *next; b != NULL; b = next) {
    next = b->next;
    free(b);
  }
  *o = (rb_Outline){.limitsref = RB_NOREF, .lock = {.ref = RB_NOREF}};
}
