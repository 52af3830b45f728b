/*
** queries.c - the names that a text in a module's language has, and what its server says to it
**
** A name stands for what the call gives, `run` and its parameters or a table, and a name that
** becomes part of the text for what the schema has, too. The server is shown a text only where
** it is known what would be sent.
*/

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/base.h"
#include "vm/run/lint.h"
#include "vm/run/server.h"
#include "vm/vm.h"

#define MAXGIVEN 32
#define MAXNAMES 400

typedef enum How { ABSENT, GIVEN, MAYBE } How;

typedef struct Names {
  const rb_Queries *q;
  const rb_Traced *c;
  const char *call;          /* "pg:query" */
  rb_Given given[MAXGIVEN]; int n;
  int unknown;               /* one of them is known only in a run */
} Names;

/* -- what there is ---------------------------------------------------------------------- */

/* [-1, +0, m]  adds the names of the table at the top to the one below it */
static void addnames (lua_State *L) {
  if (lua_istable(L, -1))
    for (lua_pushnil(L); lua_next(L, -2); ) {
      lua_pop(L, 1);
      lua_pushvalue(L, -1);
      lua_pushboolean(L, 1);
      lua_rawset(L, -5);
    }
  lua_pop(L, 1);
}

void rb_partnames (lua_State *L, const rb_Around *around, const char *system, const char *part) {
  luaL_checkstack(L, 10, NULL);
  if (around->target == NULL || rb_target_resources(around->target, system) == NULL) {
    lua_pushnil(L);
    return;
  }
  lua_newtable(L);
  rb_target_system(around->target, L, system, part, rb_push_secret);
  addnames(L);
  if (strcmp(part, "schema") != 0) return;
  rb_push_schema(L, system);
  addnames(L);
}

const char *rb_nearname (lua_State *L, const char *word) {
  const char *names[MAXNAMES + 1];
  int n = 0;
  lua_pushnil(L);
  while (n < MAXNAMES && lua_next(L, -2)) {
    lua_pop(L, 1);
    if (lua_type(L, -1) == LUA_TSTRING) names[n++] = lua_tostring(L, -1);
  }
  if (n == MAXNAMES) lua_pop(L, 1);
  names[n] = NULL;
  return rb_nearest(word, names);
}

/* -- names in a call ---------------------------------------------------------------------- */

static How how (const rb_Traced *c, const char *name) {
  if (c->nargs < 2) return c->exact ? ABSENT : MAYBE;
  const rb_Argument *values = &c->arg[1];
  for (int i = 0; values->kind == RB_ARGTABLE && i < values->keys->n; i++)
    if (rb_code_is(values->keys->name[i], name)) return GIVEN;
  return values->kind == RB_ARGTABLE && values->whole ? ABSENT : MAYBE;
}

static void fault (const Names *n, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void fault (const Names *n, const char *fmt, ...) {
  char message[600];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(message, sizeof message, fmt, ap);
  va_end(ap);
  n->q->fault(n->q->ud, n->c, "value", message);
}

static void value (const Names *n, const char *name) {
  if (how(n->c, name) != ABSENT) return;
  fault(n, n->c->nargs < 2 ? "%s uses :%s, but no values are given"
        : "%s uses :%s, but no value of that name is given", n->call, name);
}

/* [-0, +(0|1), m]  the text of a parameter where the configuration or the runbook has one */
static const char *paramtext (const Names *n, const rb_Param *p) {
  lua_State *L = n->q->L;
  if (n->q->around->target != NULL) {
    rb_target_part(n->q->around->target, L, "defaults", rb_push_secret);
    if (lua_istable(L, -1)) lua_getfield(L, -1, n->q->o->name);
    if (lua_istable(L, -1)) lua_getfield(L, -1, p->name);
    if (lua_type(L, -1) == LUA_TSTRING) return lua_tostring(L, -1);
  }
  if (p->defaultref == RB_NOREF) return NULL;
  lua_rawgeti(L, LUA_REGISTRYINDEX, p->defaultref);
  return lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
}

/* A name that a call gives, or that `run` may have, is its parameter's where that is known. */
static void give (Names *n, const char *name, How h) {
  const rb_Outline *o = n->q->o;
  lua_State *L = n->q->L;
  int top = lua_gettop(L), set = lua_getfield(L, n->q->fields, name) != LUA_TNIL;
  const char *text = NULL;
  for (int i = 0; i < o->nparams && text == NULL; i++)
    if (strcmp(o->params[i].name, name) == 0) text = paramtext(n, &o->params[i]);
  if (text != NULL && n->n < MAXGIVEN) {
    rb_Given *g = &n->given[n->n++];
    snprintf(g->name, sizeof g->name, "%s", name);
    g->text = strdup(text);
    n->unknown |= g->text == NULL;
  } else n->unknown |= set || h == GIVEN;
  lua_settop(L, top);
}

static void part (Names *n, const char *name) {
  lua_State *L = n->q->L;
  int top = lua_gettop(L);
  How h = how(n->c, name);
  if (h != ABSENT) give(n, name, h);
  if (h != ABSENT || n->c->resource == NULL) return;
  rb_partnames(L, n->q->around, n->c->resource->system, "schema");
  if (lua_istable(L, -1) && lua_getfield(L, -1, name) == LUA_TNIL) {
    lua_pop(L, 1);
    const char *near = rb_nearname(L, name);
    fault(n, "%s uses :\"%s\", which neither the call gives nor the schema has%s%s%s", n->call,
          name, near != NULL ? ": did you mean '" : "", near != NULL ? near : "",
          near != NULL ? "'?" : "");
  }
  lua_settop(L, top);
}

static void each (void *ud, const char *s, size_t len, int ispart) {
  Names *n = ud;
  char name[64];
  if (len >= sizeof name) return;
  snprintf(name, sizeof name, "%.*s", (int)len, s);
  if (ispart) part(n, name);
  else value(n, name);
}

/* -- the server ------------------------------------------------------------------------------ */

static int hasresource (const rb_Target *t, const rb_Resource *r) {
  const char *const *k = r->system != NULL ? rb_target_resources(t, r->system) : NULL;
  while (k != NULL && *k != NULL && strcmp(*k, r->kind) != 0) k++;
  return k != NULL && *k != NULL;
}

/* [-0, +0, m]  once for each text */
static int asked (const rb_Queries *q, const rb_Traced *c) {
  lua_pushfstring(q->L, "?%s:%d:", c->file, c->line);
  lua_pushlstring(q->L, c->arg[0].text.s, c->arg[0].text.n);
  lua_concat(q->L, 2);
  lua_pushvalue(q->L, -1);
  int before = lua_rawget(q->L, q->said) != LUA_TNIL;
  lua_pop(q->L, 1);
  lua_pushboolean(q->L, 1);
  lua_rawset(q->L, q->said);
  return before;
}

static void ask (const Names *n) {
  const rb_Traced *c = n->c;
  const rb_Around *around = n->q->around;
  char method[64], why[1000], words[1100];
  if (around->server == NULL || n->unknown || c->resource == NULL
      || !hasresource(around->target, c->resource) || asked(n->q, c)) return;
  snprintf(method, sizeof method, "%.*s", (int)c->name.n, c->name.s);
  rb_Question a = {c->resource->system, c->resource->kind, method, c->arg[0].text.s,
                c->arg[0].text.n, n->given, n->n};
  rb_Said said = rb_server_ask(around->server, &a, why, sizeof why);
  snprintf(words, sizeof words, "%s: %s", n->call, why);
  if (said == RB_SAIDNO) n->q->fault(n->q->ud, c, "server", words);
  if (said == RB_SAIDDOWN) n->q->down(n->q->ud, c, why);
}

void rb_query (const rb_Queries *q, const rb_Syntax *syntax, const rb_Traced *c,
               const char *name, int good) {
  Names n = {.q = q, .c = c, .call = name};
  luaL_checkstack(q->L, 20, NULL);
  syntax->names(c->arg[0].text.s, c->arg[0].text.n, each, &n);
  if (good) ask(&n);
  for (int i = 0; i < n.n; i++) free(n.given[i].text);
}
