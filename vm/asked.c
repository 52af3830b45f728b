/*
** asked.c - what a deed was asked to do, and what it found, as a plan keeps them
**
** Two runs of one script over one world must agree: secrets go by name, and what
** belongs to one run only (its name, the time) by label.
*/

#include <stdlib.h>
#include <string.h>

#include "vm/redact.h"
#include "vm/tape/value.h"
#include "vm/vm.h"

enum { MOST = 500, LEAST = 4, MAXDEPTH = 100 };  /* texts; bytes of one; tables */

struct rb_Passing {
  char *s;
  size_t n;
  char label[16];
  struct rb_Passing *next;
};

/* -- what belongs to this run only --------------------------------------------- */

void rb_passing_add (rb_VM *vm, const char *label, const char *s, size_t n) {
  int count = 0;
  if (n < LEAST) return;
  for (const rb_Passing *p = vm->passing; p != NULL; p = p->next, count++)
    if (p->n == n && memcmp(p->s, s, n) == 0) return;
  rb_Passing *p = count < MOST ? calloc(1, sizeof *p) : NULL;
  if (p == NULL || (p->s = malloc(n)) == NULL) { free(p); return; }
  memcpy(p->s, s, n);
  p->n = n;
  strncpy(p->label, label, sizeof p->label - 1);
  rb_Passing **at = &vm->passing;  /* the longest first */
  while (*at != NULL && (*at)->n >= n) at = &(*at)->next;
  p->next = *at;
  *at = p;
}

void rb_passing_free (rb_VM *vm) {
  while (vm->passing != NULL) {
    rb_Passing *p = vm->passing;
    vm->passing = p->next;
    free(p->s);
    free(p);
  }
}

static const rb_Passing *passingat (const rb_VM *vm, const char *s, size_t n) {
  for (const rb_Passing *p = vm->passing; p != NULL; p = p->next)
    if (p->n <= n && *p->s == *s && memcmp(p->s, s, p->n) == 0) return p;
  return NULL;
}

/* appends s with labels in place of what passes */
static void addlabelled (const rb_VM *vm, rb_Buffer *b, const char *s, size_t n) {
  size_t from = 0;
  for (size_t i = 0; i < n; ) {
    const rb_Passing *p = passingat(vm, s + i, n - i);
    if (p == NULL) { i++; continue; }
    rb_buffer_add(b, s + from, i - from);
    rb_buffer_puts(b, p->label);
    from = i += p->n;
  }
  rb_buffer_add(b, s + from, n - from);
}

void rb_passing (lua_State *L, const char *label, int idx) {
  size_t n;
  lua_pushvalue(L, idx);
  const char *s = lua_tolstring(L, -1, &n);
  if (s != NULL) rb_passing_add(rb_vm(L), label, s, n);
  lua_pop(L, 1);
}

/* the label of all that the number or text is, or NULL */
static const char *passingname (lua_State *L, const rb_VM *vm, int idx) {
  size_t n;
  const char *label = NULL;
  lua_pushvalue(L, idx);
  const char *s = lua_tolstring(L, -1, &n);
  for (const rb_Passing *p = vm->passing; s != NULL && p != NULL; p = p->next)
    if (p->n == n && memcmp(p->s, s, n) == 0) label = p->label;
  lua_pop(L, 1);
  return label;
}

int rb_ispassing (lua_State *L, int idx) {
  return passingname(L, rb_vm(L), idx) != NULL;
}

/* [-1, +1, m]  the text at the top: a token in it is another one in every run */
static void labeltop (lua_State *L, const rb_VM *vm) {
  size_t n;
  rb_Buffer clean = {0}, b = {0};
  const char *s = lua_tolstring(L, -1, &n);
  rb_redact(&clean, s, n);
  addlabelled(vm, &b, clean.s != NULL ? clean.s : "", clean.n);
  if (!b.failed && !clean.failed && b.n > 0) {
    lua_pushlstring(L, b.s, b.n);
    lua_replace(L, -2);
  }
  rb_buffer_free(&clean);
  rb_buffer_free(&b);
}

/* -- digests ------------------------------------------------------------------------ */

static void hash (const rb_VM *vm, const char *s, size_t n, char out[65]) {
  rb_Buffer b = {0};
  if (vm->passing == NULL) { rb_sha256(s, n, out); return; }
  addlabelled(vm, &b, s, n);
  rb_sha256(b.s != NULL ? b.s : "", b.n, out);
  rb_buffer_free(&b);
}

/* [-0, +1, m]  the value with labels in it: texts are as long as they are, so it
** cannot be done to its bytes */
static void pushlabelled (lua_State *L, const rb_VM *vm, int idx, int depth) {
  idx = lua_absindex(L, idx);
  if (lua_isstring(L, idx)) {  /* a number, too */
    const char *label = passingname(L, vm, idx);
    if (label != NULL) { lua_pushstring(L, label); return; }
    lua_pushvalue(L, idx);
    if (lua_type(L, idx) == LUA_TSTRING) labeltop(L, vm);
    return;
  }
  if (!lua_istable(L, idx) || depth > MAXDEPTH) { lua_pushvalue(L, idx); return; }
  luaL_checkstack(L, 6, "an argument is nested too deeply");
  lua_newtable(L);
  lua_pushnil(L);
  while (lua_next(L, idx) != 0) {
    lua_pushvalue(L, -2);
    pushlabelled(L, vm, -2, depth + 1);
    lua_rawset(L, -5);
    lua_pop(L, 1);
  }
  if (lua_getmetatable(L, idx)) lua_setmetatable(L, -2);
}

void rb_asked_arguments (lua_State *L, rb_Task *t, int method, int n) {
  rb_Buffer *b = &t->vm->value;
  rb_buffer_clear(b);
  rb_buffer_puts(b, t->call.reg->name);
  for (int i = 1 + method; i <= n; i++) {
    pushlabelled(L, t->vm, i, 0);
    if (lua_isfunction(L, -1) || rb_value_encode(L, -1, b) != NULL)
      rb_buffer_puts(b, "?");
    lua_pop(L, 1);
  }
  rb_sha256(b->s, b->n, t->call.arguments);
}

/* [-0, +0, m]  What the arguments came to, from the plan at the top. Of a notice that is
** where it goes, and nothing else: it tells what was found. */
void rb_asked_plan (lua_State *L, rb_Task *t) {
  if (lua_getfield(L, -1, "asked") != LUA_TNIL) {
    rb_Buffer b = {0};
    json_t *j = rb_tojson(L, -1);
    char *s = j != NULL ? json_dumps(j, JSON_ENCODE_ANY | JSON_SORT_KEYS) : NULL;
    if (t->call.effect != RB_NOTICE) rb_buffer_puts(&b, t->call.arguments);
    if (s != NULL) addlabelled(t->vm, &b, s, strlen(s));
    if (!b.failed) rb_sha256(b.s, b.n, t->call.arguments);
    rb_buffer_free(&b);
    free(s);
    json_decref(j);
  }
  lua_pop(L, 1);
}

/* What is left of an expiry is no value. */
void rb_asked_before (const rb_VM *vm, const json_t *before, char out[65]) {
  json_t *kept = json_is_object(before) ? json_object() : json_incref((json_t *)before);
  static const char *const fields[] = {"value", "type", "diff", NULL};
  for (const char *const *f = fields; json_is_object(before) && *f != NULL; f++) {
    json_t *v = json_object_get(before, *f);
    if (v != NULL && !json_is_null(v)) json_object_set(kept, *f, v);
  }
  char *s = kept != NULL ? json_dumps(kept, JSON_ENCODE_ANY | JSON_SORT_KEYS) : NULL;
  if (s != NULL) hash(vm, s, strlen(s), out);
  else memset(out, 0, 65);
  free(s);
  json_decref(kept);
}
