/*
** complete.c - what may stand at the cursor: names of the session, of modules, of the
** systems of the target and of what they offer
**
** Nothing is called for it: a name is looked up in tables, and a resource's methods are
** the rows of its module.
*/

#include <stdlib.h>
#include <string.h>

#include "vm/repl/complete.h"

void rb_repl_offer (rb_Found *f, const char *word, const char *after) {
  if (strncmp(word, f->begin, f->n) != 0) return;
  if (f->count + 2 > f->size) {
    size_t size = f->size == 0 ? 32 : 2 * f->size;
    char **more = realloc(f->words, size * sizeof *more);
    if (more == NULL) return;
    f->words = more;
    f->size = size;
  }
  char *copy = NULL;
  if (asprintf(&copy, "%s%s", word, after) < 0) return;
  f->words[f->count++] = copy;
  f->words[f->count] = NULL;
}

static int byname (const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

/* in order, each once */
static void settle (rb_Found *f) {
  size_t n = 0;
  if (f->count < 2) return;
  qsort(f->words, f->count, sizeof *f->words, byname);
  for (size_t i = 0; i < f->count; i++)
    if (n > 0 && strcmp(f->words[n - 1], f->words[i]) == 0) free(f->words[i]);
    else f->words[n++] = f->words[i];
  f->words[n] = NULL;
  f->count = n;
}

/* -- a path of names ------------------------------------------------------- */

/* [-0, +1]  the value of "erp.redis" without calling anything; nil where that cannot be */
static void pushpath (rb_Repl *s, const char *path, size_t n) {
  lua_State *L = s->r.L;
  char name[128];
  lua_rawgeti(L, LUA_REGISTRYINDEX, s->env);
  for (size_t i = 0; i < n; ) {
    size_t len = 0;
    while (i + len < n && rb_repl_iswordchar(path[i + len])) len++;
    snprintf(name, sizeof name, "%.*s", (int)len, path + i);
    int first = i == 0;
    i += len + 1;
    if (lua_istable(L, -1)) {
      lua_pushstring(L, name);
      if (lua_rawget(L, -2) == LUA_TNIL && first) {
        lua_pop(L, 1);
        lua_pushglobaltable(L);
        lua_pushstring(L, name);
        lua_rawget(L, -2);
        lua_remove(L, -2);
      }
    } else if (luaL_testudata(L, -1, "rb.system") != NULL
               && rb_system_has(L, -1, name)) lua_getfield(L, -1, name);
    else lua_pushnil(L);
    lua_remove(L, -2);
  }
}

/* -- what is in it --------------------------------------------------------- */

static void offerrows (rb_Found *f, const rb_Reg *r) {
  for (; r != NULL && r->name != NULL; r++) rb_repl_offer(f, r->name, "(");
}

/* [-0, +0]  the string keys of the table at the top */
static void offerkeys (lua_State *L, rb_Found *f) {
  lua_pushnil(L);
  while (lua_next(L, -2) != 0) {
    if (lua_type(L, -2) == LUA_TSTRING && lua_tostring(L, -2)[0] != '\0')
      rb_repl_offer(f, lua_tostring(L, -2), lua_isfunction(L, -1) ? "(" : "");
    lua_pop(L, 1);
  }
}

static void offersystem (rb_Repl *s, rb_Found *f) {
  const char *name = *(const char **)lua_touserdata(s->r.L, -1);
  const char *const *kind = rb_target_resources(s->r.vm->target, name);
  for (; kind != NULL && *kind != NULL; kind++) rb_repl_offer(f, *kind, "");
  rb_repl_offer(f, "settings", "");
  rb_repl_offer(f, "schema", "");
}

/* the name of a module of the stdlib, or NULL */
static const char *modulename (const char *path, size_t n) {
  for (int i = 0; rb_module_name(i) != NULL; i++)
    if (strlen(rb_module_name(i)) == n && strncmp(rb_module_name(i), path, n) == 0)
      return rb_module_name(i);
  return NULL;
}

static int loadmodule (lua_State *L) {
  lua_pushlightuserdata(L, (void *)rb_module_load(L, lua_tostring(L, 1)));
  return 1;
}

/* the module's rows, or NULL where it cannot be loaded */
static const rb_Module *module (lua_State *L, const char *name) {
  lua_pushcfunction(L, loadmodule);
  lua_pushstring(L, name);
  const rb_Module *m = lua_pcall(L, 1, 1, 0) == LUA_OK ? lua_touserdata(L, -1) : NULL;
  lua_pop(L, 1);
  return m;
}

const rb_Reg *rb_repl_primitives (rb_Repl *s, const char *path, size_t n) {
  lua_State *L = s->r.L;
  int top = lua_gettop(L);
  const char *name = modulename(path, n);
  const rb_Module *m = NULL;
  const rb_Reg *rows = NULL;
  pushpath(s, path, n);
  if (luaL_testudata(L, -1, "rb.resource") != NULL) {
    const rb_ResourceBox *box = *(rb_ResourceBox **)lua_touserdata(L, -1);
    if ((m = module(L, box->r.kind)) != NULL) rows = m->methods;
  } else if (name != NULL && lua_istable(L, -1) && (m = module(L, name)) != NULL)
    rows = m->functions;
  lua_settop(L, top);
  return rows;
}

static void offermembers (rb_Repl *s, const char *path, size_t n, rb_Found *f) {
  lua_State *L = s->r.L;
  int top = lua_gettop(L);
  const rb_Reg *rows = rb_repl_primitives(s, path, n);
  pushpath(s, path, n);
  if (luaL_testudata(L, -1, "rb.system") != NULL) offersystem(s, f);
  else if (rows != NULL) offerrows(f, rows);
  else if (luaL_testudata(L, -1, RB_RUNTYPE) != NULL) {
    lua_getmetatable(L, -1);
    lua_getfield(L, -1, "__methods");
    offerkeys(L, f);
  } else if (lua_istable(L, -1)) offerkeys(L, f);
  lua_settop(L, top);
}

static void offerglobals (rb_Repl *s, rb_Found *f) {
  static const char *const reserved[] = {
    "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "if", "in",
    "local", "nil", "not", "or", "repeat", "return", "then", "true", "until", "while", NULL
  };
  lua_State *L = s->r.L;
  lua_rawgeti(L, LUA_REGISTRYINDEX, s->env);
  offerkeys(L, f);
  lua_pop(L, 1);
  lua_pushglobaltable(L);
  offerkeys(L, f);
  lua_pop(L, 1);
  for (const char *const *w = reserved; *w != NULL; w++) rb_repl_offer(f, *w, "");
}

/* -- inside a text -------------------------------------------------------------- */

/* The resource whose method the text at 'open' (its quote) is an argument of, on the top;
** 0: there is none. `erp.redis:get "`, `erp.pg:query([[`. */
static int pushcaller (rb_Repl *s, const char *line, size_t open) {
  size_t end = open;
  while (end > 0 && strchr(" (\"'[", line[end - 1]) != NULL) end--;
  while (end > 0 && rb_repl_iswordchar(line[end - 1])) end--;
  if (end < 2 || line[end - 1] != ':') return 0;
  size_t begin = --end;
  while (begin > 0 && (rb_repl_iswordchar(line[begin - 1]) || line[begin - 1] == '.')) begin--;
  pushpath(s, line + begin, end - begin);
  if (luaL_testudata(s->r.L, -1, "rb.resource") != NULL) return 1;
  lua_pop(s->r.L, 1);
  return 0;
}

/* a key of Redis is the whole text; of a statement it is the name at the cursor */
static void offertext (rb_Repl *s, const char *line, size_t open, size_t cursor,
                       size_t *from, rb_Found *f) {
  if (rb_repl_inpath(line, open)) {
    *from = open + 1;
    f->begin = line + *from;
    f->n = cursor - *from;
    rb_repl_offerpaths(f);
    return;
  }
  if (!pushcaller(s, line, open)) return;
  const rb_ResourceBox *box = *(rb_ResourceBox **)lua_touserdata(s->r.L, -1);
  size_t at = cursor;
  int redis = strcmp(box->r.kind, "redis") == 0;
  if (!redis && strcmp(box->r.kind, "pg") != 0) { lua_pop(s->r.L, 1); return; }
  if (redis) at = open + 1;
  else while (at > open + 1 && (rb_repl_iswordchar(line[at - 1]) || line[at - 1] == '.')) at--;
  *from = at;
  f->begin = line + at;
  f->n = cursor - at;
  if (redis) rb_repl_askkeys(s, f);
  else rb_repl_asknames(s, f, line + open + 1, at - open - 1);
}

/* -- the cursor ------------------------------------------------------------ */

/* inside system "...: the systems */
static int insystem (const char *line, size_t from) {
  while (from > 0 && (line[from - 1] == '"' || line[from - 1] == '\'' || line[from - 1] == '('
                      || line[from - 1] == ' ')) from--;
  return from >= 6 && strncmp(line + from - 6, "system", 6) == 0;
}

/* where the text begins that the cursor is in: its quote; -1: it is in none */
static long quoteat (const char *line, size_t n) {
  long open = -1;
  for (size_t i = 0; i < n; i++) {
    if (open >= 0 && line[i] == line[open] && line[i] != '[') open = -1;
    else if (open < 0 && (line[i] == '"' || line[i] == '\'')) open = (long)i;
    else if (open < 0 && line[i] == '[' && i + 1 < n && line[i + 1] == '[') open = (long)++i;
    else if (open >= 0 && line[open] == '[' && line[i] == ']' && i + 1 < n
             && line[i + 1] == ']') open = -1;
  }
  return open;
}

/* among the arguments of a primitive, of which a hint says more than all names do? */
static int incall (rb_Repl *s, const char *line, size_t cursor) {
  char *hint = rb_repl_hint(s, line, cursor);
  free(hint);
  return hint != NULL;
}

char **rb_repl_complete (rb_Repl *s, const char *line, size_t cursor, size_t *from) {
  rb_Found f = {0};
  size_t at = cursor;
  long open = quoteat(line, cursor);
  while (at > 0 && (rb_repl_iswordchar(line[at - 1]) || (open >= 0 && line[at - 1] == '-'))) at--;
  f.begin = line + at;
  f.n = cursor - at;
  *from = at;
  if (line[0] == ':' && at == 1) {
    for (int i = 0; rb_repl_wordname(i) != NULL; i++)
      rb_repl_offer(&f, rb_repl_wordname(i), " ");
  } else if (cursor >= 5 && strncmp(line, ":run ", 5) == 0
             && memchr(line + 5, ' ', cursor - 5) == NULL) {
    rb_repl_offerrunbooks(s, &f);
  } else if (open >= 0) {
    const char *const *name = rb_target_systems(s->r.vm->target);
    int system = insystem(line, at);
    for (; system && name != NULL && *name != NULL; name++) rb_repl_offer(&f, *name, "\"");
    if (!system) offertext(s, line, (size_t)open, cursor, from, &f);
  } else if (at > 0 && (line[at - 1] == '.' || line[at - 1] == ':')) {
    size_t end = at - 1, begin = end;
    while (begin > 0 && (rb_repl_iswordchar(line[begin - 1]) || line[begin - 1] == '.')) begin--;
    offermembers(s, line + begin, end - begin, &f);
  } else if (at < cursor || !incall(s, line, cursor)) offerglobals(s, &f);
  settle(&f);
  return f.words;
}
