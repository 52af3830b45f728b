/*
** known.c - the compiled files that a check looks into, each read once
**
** Runbooks of one folder require the same files, and each is loaded into a state of its own. What
** Lua has compiled once it need not compile again: its dump is loaded instead, for as long as the
** file's text is the same. The same dump is what the names and the calls are read from, of
** the file as a whole and of each of its functions.
*/

#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "vm/run/known.h"
#include "vm/vm.h"

#define REQUIRED "rb.known"  /* registry: path -> rb_Known, of this state */

struct rb_Known {
  struct rb_Known *next;
  char *path, *text;
  size_t n;
  rb_Code code;
  rb_Use *uses;            /* asked for twice */
  int nuses, size, asked;
};

static rb_Known *files;  /* those that were required */
static rb_Known own;     /* the file that is checked */

static void clear (rb_Known *k) {
  for (int i = 0; i < k->nuses; i++) free((char *)k->uses[i].text);
  free(k->uses);
  rb_code_free(&k->code);
  free(k->path);
  free(k->text);
  *k = (rb_Known){0};
}

void rb_known_free (void) {
  for (rb_Known *k = files, *next; k != NULL; k = next) {
    next = k->next;
    clear(k);
    free(k);
  }
  files = NULL;
  clear(&own);
}

/* -- what a file uses ------------------------------------------------------------------- */

static int byuse (const void *a, const void *b) {
  const rb_Use *x = a, *y = b;
  int order = (int)x->kind - (int)y->kind;
  if (order == 0) order = x->line - y->line;
  if (order == 0) order = strcmp(x->name, y->name);
  return order == 0 && x->text != NULL ? strcmp(x->text, y->text) : order;
}

/* Of what has no line of its own only whether it stands in a function counts. */
static void addtext (void *ud, const rb_Use *given) {
  rb_Known *k = ud;
  rb_Use use = *given;
  if (use.kind == RB_WRITTEN && rb_leak(use.name, use.text) == NULL) return;
  if (use.kind == RB_CONSTANT) use.line = use.line > 0;
  if (use.kind == RB_SETFIELD || use.kind == RB_LOCAL) use.line = 0;
  if (k->nuses == k->size) {
    int size = k->size > 0 ? 2 * k->size : 128;
    rb_Use *uses = realloc(k->uses, sizeof *uses * (size_t)size);
    if (uses == NULL) return;
    k->uses = uses;
    k->size = size;
  }
  if (use.text != NULL && (use.text = strdup(use.text)) == NULL) return;
  k->uses[k->nuses++] = use;
}

static void adduses (rb_Known *k) {
  int n = 0;
  rb_uses(&k->code, addtext, k);
  if (k->nuses > 0) qsort(k->uses, (size_t)k->nuses, sizeof *k->uses, byuse);
  for (int i = 0; i < k->nuses; i++)
    if (n > 0 && byuse(&k->uses[n - 1], &k->uses[i]) == 0) free((char *)k->uses[i].text);
    else k->uses[n++] = k->uses[i];
  k->nuses = n;
}

void rb_known_uses (rb_Known *k, void (*each) (void *ud, const rb_Use *use), void *ud) {
  if (k->asked++ == 0) {
    rb_uses(&k->code, each, ud);
    return;
  }
  if (k->uses == NULL) adduses(k);
  for (int i = 0; i < k->nuses; i++) each(ud, &k->uses[i]);
}

/* -- files that are required ------------------------------------------------------------- */

/* [-0, +0, m]  the chunk at the top, as the file of that text; NULL: it cannot be kept */
static rb_Known *keep (lua_State *L, const char *path, const char *text, size_t n) {
  rb_Known *k = calloc(1, sizeof *k);
  if (k == NULL) return NULL;
  k->path = strdup(path);
  k->text = malloc(n + 1);
  k->n = n;
  if (k->path == NULL || k->text == NULL || !rb_code_read(L, &k->code)) {
    clear(k);
    free(k);
    return NULL;
  }
  memcpy(k->text, text, n);
  k->next = files;
  return files = k;
}

/* [-0, +1, m]  in place of luaL_loadbufferx; its status */
static int compile (lua_State *L, const char *path, const char *text, size_t n) {
  const rb_Known *k = files;
  const char *name = lua_pushfstring(L, "@%s", path);
  while (k != NULL && (strcmp(k->path, path) != 0 || k->n != n || memcmp(k->text, text, n) != 0))
    k = k->next;
  int status = k != NULL ? luaL_loadbufferx(L, k->code.dump, k->code.size, name, "b")
                         : luaL_loadbufferx(L, text, n, name, "t");
  lua_remove(L, -2);
  if (k == NULL && status == LUA_OK) k = keep(L, path, text, n);
  if (k == NULL) return status;
  luaL_getsubtable(L, LUA_REGISTRYINDEX, REQUIRED);
  lua_pushlightuserdata(L, (void *)k);
  lua_setfield(L, -2, path);
  lua_pop(L, 1);
  return status;
}

void rb_known_watch (lua_State *L) { rb_vm(L)->compile = compile; }

void rb_known_required (lua_State *L, void (*each) (void *ud, rb_Known *k), void *ud) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, REQUIRED);
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) each(ud, lua_touserdata(L, -1));
  lua_pop(L, 1);
}

const char *rb_known_path (const rb_Known *k) { return k->path; }

/* -- the file that is checked, and functions ---------------------------------------------- */

const rb_Code *rb_known_own (lua_State *L, const char *file) {
  clear(&own);
  own.path = strdup(file);
  return own.path != NULL && rb_code_read(L, &own.code) ? &own.code : NULL;
}

/* The one function that begins and ends there; NULL: none, or there are two. */
static const rb_Proto *find (const rb_Code *code, const lua_Debug *d) {
  const rb_Proto *found = NULL;
  for (const rb_Proto *p = code->all; p != NULL; p = p->next) {
    if (p->firstline != d->linedefined || p->lastline != d->lastlinedefined) continue;
    if (found != NULL || p->nupvalues != d->nups) return NULL;
    found = p;
  }
  return found;
}

/* The file of that name in this state; its code. */
static const rb_Code *codeof (lua_State *L, const char *source) {
  if (*source != '@') return NULL;
  if (own.path != NULL && strcmp(own.path, source + 1) == 0) return &own.code;
  luaL_getsubtable(L, LUA_REGISTRYINDEX, REQUIRED);
  lua_getfield(L, -1, source + 1);
  const rb_Known *k = lua_touserdata(L, -1);
  lua_pop(L, 2);
  return k != NULL ? &k->code : NULL;
}

const rb_Proto *rb_known_function (lua_State *L, const rb_Code **code, rb_Code *read) {
  lua_Debug d;
  *read = (rb_Code){0};
  lua_pushvalue(L, -1);
  lua_getinfo(L, ">Su", &d);
  *code = codeof(L, d.source);
  const rb_Proto *p = *code != NULL ? find(*code, &d) : NULL;
  if (p != NULL) return p;
  *code = read;
  return rb_code_read(L, read) ? read->top : NULL;
}
