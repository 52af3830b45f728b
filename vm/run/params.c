/*
** params.c - what a run is told: "k=v" words, defaults, questions
**
** A parameter is looked for in this order: the words, the configuration's
** defaults, its own default, the person at the terminal. Those of a case are
** there when the case was chosen, or when none was: then a `when` decides, and
** nothing that a case alone needs is asked for yet.
*/

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>

#include "vm/buffer.h"
#include "vm/run/outline.h"
#include "vm/run/shape.h"

#define MAXWHY 700

typedef void (*Secret) (lua_State *L, const char *name, const char *text,
                        size_t len);

typedef struct Reader {
  lua_State *L;
  const rb_Outline *o;
  const char *const *cases;  /* NULL: none was chosen */
  int values;                /* stack index of name -> value */
  Secret secret;
  rb_Problem *p;
} Reader;

/* -- which parameters there are -------------------------------------------- */

static const rb_Case *caseof (const rb_Outline *o, const rb_Param *q) {
  int n = (int)(q - o->params);
  for (int i = 0; i < o->ncases; i++) {
    const rb_Case *c = &o->cases[i];
    if (n >= c->firstparam && n < c->firstparam + c->nparams) return c;
  }
  return NULL;
}

/* does it count in this run? */
static int counts (const Reader *r, const rb_Param *q) {
  const rb_Case *c = caseof(r->o, q);
  if (c == NULL || r->cases == NULL || r->cases[0] == NULL) return 1;
  for (const char *const *id = r->cases; *id != NULL; id++)
    if (strcmp(*id, c->id) == 0) return 1;
  return 0;
}

/* must it have a value before the run begins? */
static int needed (const Reader *r, const rb_Param *q) {
  int chosen = r->cases != NULL && r->cases[0] != NULL;
  return q->required && counts(r, q) && (chosen || caseof(r->o, q) == NULL);
}

/* the parameter of that name: one that counts, or else any */
static const rb_Param *find (const Reader *r, const char *name) {
  const rb_Param *other = NULL;
  for (int i = 0; i < r->o->nparams; i++) {
    const rb_Param *q = &r->o->params[i];
    if (strcmp(q->name, name) != 0) continue;
    if (counts(r, q)) return q;
    other = q;
  }
  return other;
}

/* -- problems -------------------------------------------------------------- */

static int wrong (const Reader *r, const char *where, const char *name,
                  const char *why) {
  return rb_problem(r->p, RB_USAGE, "parameter", "%sparameter '%s' %s", where,
                    name, why);
}

/* "it takes block (duration), tenant (identifier)" */
static void listparams (const Reader *r, rb_Buffer *b) {
  rb_buffer_puts(b, r->o->nparams > 0 ? "it takes" : "it takes none");
  for (int i = 0; i < r->o->nparams; i++) {
    const rb_Param *q = &r->o->params[i];
    if (find(r, q->name) != q) continue;
    rb_buffer_printf(b, "%s %s (%s)", i > 0 ? "," : "", q->name, q->typename);
  }
}

static int unknown (const Reader *r, const char *where, const char *name) {
  const char **names = calloc((size_t)r->o->nparams + 1, sizeof *names);
  rb_Buffer b = {0};
  if (names == NULL) return wrong(r, where, name, "is unknown");
  for (int i = 0; i < r->o->nparams; i++) names[i] = r->o->params[i].name;
  const char *near = rb_nearest(name, names);
  free(names);
  rb_buffer_printf(&b, "is not one of %s: ", r->o->name);
  if (near != NULL) rb_buffer_printf(&b, "did you mean '%s'? ", near);
  listparams(r, &b);
  wrong(r, where, name, b.failed ? "is unknown" : b.s);
  rb_buffer_free(&b);
  return RB_USAGE;
}

static int noname (const Reader *r, const char *word) {
  rb_Buffer b = {0};
  listparams(r, &b);
  rb_problem(r->p, RB_USAGE, "parameter", "'%.60s' is no parameter: write name=value; "
             "%s %s", word, r->o->name, b.failed ? "has others" : b.s + (strncmp(b.s,
             "it ", 3) == 0 ? 3 : 0));
  rb_buffer_free(&b);
  return RB_USAGE;
}

static int notchosen (const Reader *r, const char *name, const rb_Case *c) {
  return rb_problem(r->p, RB_USAGE, "parameter", "parameter '%s' belongs to "
                    "case '%s', which was not chosen: add --case %s", name,
                    c->id, c->id);
}

/* -- values ---------------------------------------------------------------- */

static int isset (const Reader *r, const char *name) {
  int set = lua_getfield(r->L, r->values, name) != LUA_TNIL;
  lua_pop(r->L, 1);
  return set;
}

/* [-1, +0]  sets the value on the top, or says why not */
static int take (const Reader *r, const rb_Param *q, const char *base,
                 char *why, size_t size) {
  lua_State *L = r->L;
  int right = rb_param_value(L, q, base, -1, why, size);
  if (right && q->type == RB_SECRET && r->secret != NULL &&
      lua_type(L, -1) == LUA_TSTRING) {
    size_t n;
    const char *s = lua_tolstring(L, -1, &n);
    r->secret(L, q->name, s, n);
    lua_remove(L, -2);
  }
  if (right) lua_setfield(L, r->values, q->name);
  lua_pop(L, 1);
  return right;
}

static int readword (const Reader *r, const char *word) {
  char name[64], why[MAXWHY];
  const char *eq = strchr(word, '=');
  if (eq == NULL || eq == word || (size_t)(eq - word) >= sizeof name)
    return noname(r, word);
  snprintf(name, sizeof name, "%.*s", (int)(eq - word), word);
  const rb_Param *q = find(r, name);
  if (q == NULL) return unknown(r, "", name);
  if (!counts(r, q)) return notchosen(r, name, caseof(r->o, q));
  if (isset(r, name)) return wrong(r, "", name, "is given twice");
  lua_pushstring(r->L, eq + 1);
  return take(r, q, NULL, why, sizeof why) ? 0 : wrong(r, "", name, why);
}

/* the configuration's defaults, the table at 'idx' */
static int readdefaults (const Reader *r, int idx) {
  static const char where[] = "the configuration's defaults: ";
  lua_State *L = r->L;
  char why[MAXWHY];
  for (lua_pushnil(L); lua_next(L, idx); ) {
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2)
                                                      : NULL;
    const rb_Param *q = name != NULL ? find(r, name) : NULL;
    if (q == NULL) return unknown(r, where, name != NULL ? name : "?");
    if (!counts(r, q) || isset(r, name)) lua_pop(L, 1);
    else if (!take(r, q, NULL, why, sizeof why))
      return wrong(r, where, q->name, why);
  }
  return 0;
}

static int readowndefaults (const Reader *r) {
  char folder[PATH_MAX], why[MAXWHY];
  snprintf(folder, sizeof folder, "%s", r->o->file);
  char *slash = strrchr(folder, '/');
  if (slash != NULL) slash[slash == folder] = '\0';
  for (int i = 0; i < r->o->nparams; i++) {
    const rb_Param *q = &r->o->params[i];
    if (q->defaultref == RB_NOREF || !counts(r, q) || isset(r, q->name))
      continue;
    lua_rawgeti(r->L, LUA_REGISTRYINDEX, q->defaultref);
    if (!take(r, q, folder, why, sizeof why))
      return wrong(r, "", q->name, why);
  }
  return 0;
}

/* -- what is missing ------------------------------------------------------- */

/* the first missing parameter after 'name', by the alphabet */
static const rb_Param *nextmissing (const Reader *r, const char *name) {
  const rb_Param *next = NULL;
  for (int i = 0; i < r->o->nparams; i++) {
    const rb_Param *q = &r->o->params[i];
    if (!needed(r, q) || isset(r, q->name)) continue;
    if (strcmp(q->name, name) > 0 &&
        (next == NULL || strcmp(q->name, next->name) < 0)) next = q;
  }
  return next;
}

/* asks until the answer is right; 0 when the person gives up */
static int askfor (const Reader *r, const rb_Param *q, rb_Ask ask, void *ud) {
  char why[MAXWHY];
  int right = 0;
  for (const char *last = NULL; !right; last = why) {
    char *line = ask(ud, q, last);
    if (line == NULL) return 0;
    lua_pushstring(r->L, line);
    free(line);
    right = take(r, q, NULL, why, sizeof why);
  }
  return 1;
}

static int saymissing (const Reader *r) {
  rb_Buffer b = {0};
  const rb_Param *first = nextmissing(r, ""), *q;
  int several = nextmissing(r, first->name) != NULL;
  rb_buffer_printf(&b, "missing parameter%s: ", several ? "s" : "");
  for (q = first; q != NULL; q = nextmissing(r, q->name))
    rb_buffer_printf(&b, "%s%s (%s)%s%s", q == first ? "" : "; ", q->name,
                     q->typename, q->help != NULL ? ", " : "",
                     q->help != NULL ? q->help : "");
  rb_buffer_printf(&b, "\n  add %s to the command:", several ? "them" : "it");
  for (q = first; q != NULL; q = nextmissing(r, q->name))
    rb_buffer_printf(&b, " %s=...", q->name);
  rb_problem(r->p, RB_USAGE, "parameter", "%s", b.failed ? "out of memory"
                                                         : b.s);
  rb_buffer_free(&b);
  return RB_USAGE;
}

static int askmissing (const Reader *r, rb_Ask ask, void *ud) {
  const rb_Param *q = nextmissing(r, "");
  for (; q != NULL; q = nextmissing(r, q->name))
    if (ask == NULL || !askfor(r, q, ask, ud)) return saymissing(r);
  return 0;
}

int rb_params_read (lua_State *L, const rb_Outline *o, const char *const *words,
                    int defaults, const char *const *cases, rb_Ask ask,
                    void *ud, Secret secret, rb_Problem *p) {
  Reader r = {L, o, cases, 0, secret, p};
  *p = (rb_Problem){0};
  if (defaults != 0) defaults = lua_absindex(L, defaults);
  lua_newtable(L);
  r.values = lua_gettop(L);
  for (; words != NULL && *words != NULL && p->exit == 0; words++)
    readword(&r, *words);
  if (p->exit == 0 && defaults != 0 && lua_istable(L, defaults))
    readdefaults(&r, defaults);
  if (p->exit == 0) readowndefaults(&r);
  if (p->exit == 0) askmissing(&r, ask, ud);
  lua_settop(L, r.values);
  return p->exit;
}
