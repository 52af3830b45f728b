/*
** planned.c - the world of a dry run: what was planned, and what rests on it
**
** After a planned deed a probe is one of four: an exact hit on what was written
** (predicted), or on what a later deed may have changed again (as planned);
** something that no deed can have touched (real), or an answer "as of now". The
** second and the last assume that those deeds would not have changed it.
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/vm.h"

/* resources that are read by key, or whose deeds stay inside them; all others
** (http, service, log, ...) observe their whole system */
static const char *const inward[] = {"redis", "pg", "file", "csv", "dotenv", NULL};

void rb_assume (rb_Assumes *a, int n) {
  int at = 0;
  while (at < a->count && a->n[at] < n) at++;
  if (at < a->count && a->n[at] == n) return;
  if (a->count == a->size) {
    int size = a->size > 0 ? a->size * 2 : 8;
    int *list = realloc(a->n, (size_t)size * sizeof *list);
    if (list == NULL) return;
    a->n = list;
    a->size = size;
  }
  memmove(a->n + at + 1, a->n + at, (size_t)(a->count - at) * sizeof *a->n);
  a->n[at] = n;
  a->count++;
}

void rb_assume_all (rb_Assumes *a, const rb_Assumes *more) {
  for (int i = 0; i < more->count; i++) rb_assume(a, more->n[i]);
}

const char *rb_assume_words (rb_VM *vm, const rb_Assumes *a, char *out,
                             size_t size) {
  const char *what = "a step before it";
  for (int i = 0; i < vm->ndeeds && a->count > 0; i++)
    if (vm->deeds[i].n == a->n[0]) what = vm->deeds[i].summary;
  snprintf(out, size, "needs the outcome of: %s%s", what,
           a->count > 1 ? ", and of others" : "");
  return out;
}

/* does the plan below `writes` write this key (at idx) whatever is there? */
static int isblind (lua_State *L, int plan, int key) {
  lua_getfield(L, plan, "blind");
  int blind = lua_isstring(L, -1) ? lua_rawequal(L, -1, key) : lua_toboolean(L, -1);
  lua_pop(L, 1);
  return blind;
}

/* [-1, +0]  the `writes` of the plan below them, into the overlay, each with the
** number of the deed, and whether it shares what that rests on: {value, at, rests} */
static void write_ (lua_State *L, rb_VM *vm) {
  int plan = lua_gettop(L) - 1;
  if (vm->overlay == LUA_NOREF) {
    lua_newtable(L);
    vm->overlay = luaL_ref(L, LUA_REGISTRYINDEX);
  }
  lua_rawgeti(L, LUA_REGISTRYINDEX, vm->overlay);
  lua_insert(L, -2);                                  /* overlay, writes */
  lua_pushnil(L);
  while (lua_next(L, -2) != 0) {
    int blind = isblind(L, plan, lua_gettop(L) - 1);
    lua_pushvalue(L, -2);
    lua_createtable(L, 3, 0);                         /* o w key value key {} */
    lua_rotate(L, -3, -1);
    lua_rawseti(L, -2, 1);
    lua_pushinteger(L, vm->ndeeds);
    lua_rawseti(L, -2, 2);
    lua_pushboolean(L, !blind);
    lua_rawseti(L, -2, 3);                            /* o w key key {} */
    lua_settable(L, -5);
  }
  lua_pop(L, 2);
}

static rb_Deed *adddeed (rb_VM *vm) {
  if (vm->ndeeds == vm->sizedeeds) {
    int size = vm->sizedeeds > 0 ? vm->sizedeeds * 2 : 16;
    rb_Deed *list = realloc(vm->deeds, (size_t)size * sizeof *list);
    if (list == NULL) return NULL;
    vm->deeds = list;
    vm->sizedeeds = size;
  }
  return &vm->deeds[vm->ndeeds++];
}

int rb_planned_unknown (rb_VM *vm, int n, const char *what) {
  rb_Deed *d = adddeed(vm);
  if (d == NULL) return 0;
  *d = (rb_Deed){.n = n, .resource = strdup(""), .summary = strdup(what)};
  return d->resource != NULL && d->summary != NULL;
}

/* it changes another resource of its system: what backup does, it does to pg */
static void throughto (lua_State *L, rb_Deed *d, const char *kind) {
  lua_pushfstring(L, "%s.%s", d->system != NULL ? d->system : "", kind);
  free(d->resource);
  d->resource = strdup(lua_tostring(L, -1));
  lua_pop(L, 1);
}

void rb_planned_add (lua_State *L, rb_Task *t, int n) {
  rb_VM *vm = t->vm;
  const rb_Resource *r = &t->call.box->r;
  rb_Deed *d = adddeed(vm);
  if (d == NULL) luaL_error(L, "not enough memory");
  *d = (rb_Deed){.n = n, .resource = strdup(r->name),
                 .system = r->system != NULL ? strdup(r->system) : NULL,
                 .summary = rb_redacted(t->call.summary.s, t->call.summary.n)};
  lua_getfield(L, -1, "reach");
  const char *reach = lua_tostring(L, -1);
  d->inside = reach != NULL;
  if (reach != NULL && strcmp(reach, "resource") != 0) throughto(L, d, reach);
  lua_pop(L, 1);
  if (t->call.rests) rb_assume_all(&d->assumes, &t->assumes);
  d->bounded = lua_getfield(L, -1, "writes") == LUA_TTABLE;
  if (d->bounded) write_(L, vm);
  else lua_pop(L, 1);
  lua_getfield(L, -1, "more");
  if (lua_toboolean(L, -1)) d->bounded = 0;
  lua_pop(L, 1);
}

static int isinward (const char *kind) {
  for (const char *const *k = inward; *k != NULL; k++)
    if (strcmp(*k, kind) == 0) return 1;
  return 0;
}

/* Is the deed's database that of another system, too? 'whole': the same database of
** that server; else some commands of Redis reach into all of them. */
static int shared (rb_VM *vm, const rb_Deed *d, const char *system, int whole) {
  const char *kind = strrchr(d->resource, '.');
  if (vm->target == NULL || kind == NULL || d->system == NULL || system == NULL) return 0;
  kind++;
  if (strcmp(kind, "redis") != 0 && strcmp(kind, "pg") != 0) return 0;
  whole |= strcmp(kind, "pg") == 0;
  rb_where_push(vm->L, d->system, kind, whole);
  rb_where_push(vm->L, system, kind, whole);
  int same = lua_isstring(vm->L, -1) && lua_rawequal(vm->L, -1, -2);
  lua_pop(vm->L, 2);
  return same;
}

/* the deed's own resource, by whichever system's name */
static int isresource (rb_VM *vm, const rb_Deed *d, const rb_Resource *r) {
  const char *kind = strrchr(d->resource, '.');
  return strcmp(d->resource, r->name) == 0
         || (kind != NULL && strcmp(kind + 1, r->kind) == 0 && shared(vm, d, r->system, 1));
}

/* Could this deed, once done, change what the call under way sees? A probe that
** asked for a key by name (keyed 1) sees no bounded deed; one whose key was
** planned and that could not be predicted all the same (keyed 2) does. */
static int touches (rb_VM *vm, const rb_Deed *d, const rb_Call *c) {
  const rb_Resource *r = &c->box->r;
  if (d->aside) return 0;
  if (isresource(vm, d, r)) return !(d->bounded && c->keyed == 1);
  if (!isinward(r->kind) && r->system == NULL) return 1;  /* a command looks anywhere */
  if (d->system == NULL || r->system == NULL)  /* a file, or any command */
    return !d->bounded && !d->inside;
  if (strcmp(d->system, r->system) != 0) {
    if (!shared(vm, d, r->system, 0)) return 0;
    if (strcmp(strrchr(d->resource, '.') + 1, r->kind) == 0) return 1;
  }
  if (!isinward(r->kind)) return 1;
  return !d->bounded && !d->inside;
}

/* The first deed from 'from' on that is not bounded and touches the call: what
** was written before it may be gone by then. -1: none. */
static int overtaken (rb_VM *vm, const rb_Call *c, int from) {
  for (int i = from; i < vm->ndeeds; i++)
    if (!vm->deeds[i].bounded && touches(vm, &vm->deeds[i], c)) return i;
  return -1;
}

/* What the call says rests on each such deed from 'from' on; the first, or -1. */
static int reston (rb_Task *t, int from) {
  int first = overtaken(t->vm, &t->call, from);
  if (first >= 0) t->call.rests = 1;
  for (int i = first; i >= 0; i = overtaken(t->vm, &t->call, i + 1))
    rb_assume(&t->assumes, t->vm->deeds[i].n);
  return first;
}

int rb_planned_stale (rb_Task *t, const char **what) {
  int i = reston(t, t->call.since > 0 ? t->call.since : 0);
  if (i >= 0) *what = t->vm->deeds[i].summary;
  return i >= 0;
}

const char *rb_planned_read (rb_Task *t) {
  rb_VM *vm = t->vm;
  const char *read = vm->ndeeds > 0 ? "real" : NULL;
  for (int i = 0; i < vm->ndeeds; i++) {
    if (!touches(vm, &vm->deeds[i], &t->call)) continue;
    rb_assume(&t->assumes, vm->deeds[i].n);
    read = "as of now";
  }
  return read;
}

int rb_planned (lua_State *L, const char *key) {
  rb_Task *t = rb_taskof(L);
  if (t->call.keyed == 0) t->call.keyed = 1;
  if (!t->vm->dryrun || t->vm->overlay == LUA_NOREF) {
    lua_pushnil(L);
    return 0;
  }
  lua_rawgeti(L, LUA_REGISTRYINDEX, t->vm->overlay);
  if (lua_getfield(L, -1, key) == LUA_TNIL) {
    lua_remove(L, -2);
    t->call.since = 0;
    return 0;
  }
  lua_rawgeti(L, -1, 2);
  int at = (int)lua_tointeger(L, -1);
  lua_rawgeti(L, -2, 3);
  int rests = lua_toboolean(L, -1) && t->vm->deeds[at - 1].assumes.count > 0;
  lua_pop(L, 2);
  lua_rawgeti(L, -1, 1);
  lua_replace(L, -3);
  lua_pop(L, 1);                                      /* the value */
  if (t->call.since < 0 || at < t->call.since) t->call.since = at;
  t->call.keyed = 2;
  t->call.rests |= rests;
  if (rests) rb_assume_all(&t->assumes, &t->vm->deeds[at - 1].assumes);
  reston(t, at);
  return 1;
}

/* -- several cases --------------------------------------------------------------- */

/* [-0, +1, m]  the table at the reference 'from', copied; an empty one for none */
static void pushcopy (lua_State *L, int from) {
  lua_newtable(L);
  if (from == LUA_NOREF) return;
  lua_rawgeti(L, LUA_REGISTRYINDEX, from);
  for (lua_pushnil(L); lua_next(L, -2) != 0; ) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -5);
  }
  lua_pop(L, 1);
}

int rb_planned_fork (rb_VM *vm) {
  pushcopy(vm->L, vm->overlay);
  return luaL_ref(vm->L, LUA_REGISTRYINDEX);
}

static void restore (rb_VM *vm, int world) {
  luaL_unref(vm->L, LUA_REGISTRYINDEX, vm->overlay);
  pushcopy(vm->L, world);
  vm->overlay = luaL_ref(vm->L, LUA_REGISTRYINDEX);
}

void rb_planned_aside (rb_VM *vm, int world, int from) {
  restore(vm, world);
  for (int i = from; i < vm->ndeeds; i++) vm->deeds[i].aside = 1;
}

void rb_planned_join (rb_VM *vm, int world, int from) {
  restore(vm, world);
  luaL_unref(vm->L, LUA_REGISTRYINDEX, world);
  for (int i = from; i < vm->ndeeds; i++)
    vm->deeds[i].aside = vm->deeds[i].bounded = 0;
}

void rb_planned_forget (rb_VM *vm) {
  rb_planned_free(vm);
  luaL_unref(vm->L, LUA_REGISTRYINDEX, vm->overlay);
  vm->overlay = LUA_NOREF;
  rb_buffer_clear(&vm->plan);
}

void rb_planned_free (rb_VM *vm) {
  for (int i = 0; i < vm->ndeeds; i++) {
    free(vm->deeds[i].resource);
    free(vm->deeds[i].system);
    free(vm->deeds[i].assumes.n);
    free(vm->deeds[i].summary);
  }
  free(vm->deeds);
  free(vm->provided.n);
  vm->provided = (rb_Assumes){0};
  vm->deeds = NULL;
  vm->ndeeds = vm->sizedeeds = 0;
}
