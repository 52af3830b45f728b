/*
** lint.c - what a runbook's steps do that they should not, as far as it can be known unrun
**
** The calls of primitives in each field of each step are known (trace.c), and the rows
** of the primitives: so there are names that none has, options that none takes, a probe
** that changes something, a change that nothing looks at afterwards. What is not certain is
** not told: a fault here is one.
*/

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "vm/base.h"
#include "vm/run/known.h"
#include "vm/run/lint.h"
#include "vm/vm.h"

/* a name that a system has not, kept: the code in which it stands may be gone */
typedef struct Missing {
  const char *file;
  int line, guarded;
  const char *system, *part;
  char name[64];
} Missing;

typedef struct Lint {
  lua_State *L;
  const rb_Outline *o;
  const char *file;
  rb_Queries queries;
  Missing *missing; int nmissing;
  const char *word, *whose;  /* the field under way: "probe", "probe of step 'X'" */
  int changes;           /* calls that change something */
  char forever[96];      /* the first of these that has no inverse */
  int said;              /* a table: what was told already */
  int faults;
  void (*tell) (void *ud, const rb_Fault *f);
  void *ud;
} Lint;

/* what never has an inverse of its own */
static const char *const forever[] = {
  "pg:exec", "http:post", "http:put", "http:patch", "http:delete",
  "exec.run", NULL
};

static void fault (Lint *l, const char *file, int line, const char *rule, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
static void fault (Lint *l, const char *file, int line, const char *rule, const char *fmt, ...) {
  char message[1024];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(message, sizeof message, fmt, ap);
  va_end(ap);
  lua_pushfstring(l->L, "%s:%d:%s", file, line, message);
  lua_pushvalue(l->L, -1);
  int told = lua_rawget(l->L, l->said) != LUA_TNIL;
  lua_pop(l->L, 1);
  lua_pushboolean(l->L, 1);
  lua_rawset(l->L, l->said);
  if (told) return;
  l->tell(l->ud, &(rb_Fault){file, line, rule, message});
  l->faults++;
}

/* -- one call ------------------------------------------------------------------------- */

static const rb_Primitive *find (const rb_Primitive *list, int n, rb_Text name) {
  for (int i = 0; i < n; i++)
    if (rb_code_is(name, list[i].name)) return &list[i];
  return NULL;
}

static void unknown (Lint *l, const rb_Traced *c, const rb_Primitive *list, int n) {
  const char *names[256];
  char name[64];
  for (int i = 0; i < n && i < 255; i++) names[i] = list[i].name;
  names[n < 255 ? n : 255] = NULL;
  snprintf(name, sizeof name, "%.*s", (int)c->name.n, c->name.s);
  const char *near = rb_nearest(name, names);
  fault(l, c->file, c->line, "primitive", "%s has no primitive '%s'%s%s%s", c->module, name,
        near != NULL ? " (did you mean '" : "", near != NULL ? near : "",
        near != NULL ? "'?)" : "");
}

/* may the field that is under way do this? */
static int allowed (const Lint *l, char effect) {
  if (effect == 'r') return strcmp(l->word, "remedy") == 0 || strcmp(l->word, "undo") == 0;
  if (effect == 'n') return strcmp(l->word, "notify") == 0;
  return 1;
}

static void checkeffect (Lint *l, const rb_Traced *c, const rb_Primitive *p, const char *name) {
  if (p->effect == 'r' && strcmp(l->word, "remedy") == 0) {
    l->changes++;
    for (const char *const *f = forever; *f != NULL; f++)
      if (strcmp(*f, name) == 0 && l->forever[0] == '\0')
        snprintf(l->forever, sizeof l->forever, "%s", name);
  }
  if (allowed(l, p->effect)) return;
  fault(l, c->file, c->line, "effect", "%s calls %s, which %s", l->whose, name,
        p->effect == 'r' ? "changes something: only `remedy` and `undo` may"
                         : "tells people: only `notify` may");
}

/* -- options --------------------------------------------------------------------------- */

/* the table among the arguments of a signature, and which argument it is: "(path [, {...}])"
** has it second; NULL where it has none, or not in one place only */
static const char *optiontable (const char *signature, int *at) {
  const char *s = strpbrk(signature, "({"), *table = NULL;
  int n = 0, depth = 0;
  if (s == NULL) return NULL;
  if (*s == '{') {
    *at = 0;
    return s;
  }
  for (s++; *s != '\0' && (*s != ')' || depth > 0); s++) {
    if (*s == '{' && depth == 0 && table != NULL) return NULL;
    if (*s == '{' && depth++ == 0) table = s, *at = n;
    else if (*s == '}') depth--;
    else if (*s == '(') depth += 100;
    else if (*s == ')') depth -= 100;
    else if (*s == ',' && depth == 0) n++;
  }
  return table;
}

/* "limit" in "{ limit = n, header = false }" */
static int hasoption (const char *table, rb_Text name) {
  int depth = 0;
  for (const char *s = table; *s != '\0'; s++) {
    depth += (*s == '{') - (*s == '}');
    if (depth == 0) break;
    if (depth != 1 || strncmp(s, name.s, name.n) != 0 || !strchr("{ ,[|", s[-1])) continue;
    const char *after = s + name.n + strspn(s + name.n, " ");
    if (*after == '=') return 1;
  }
  return 0;
}

/* Do the keys of a table stand for options? One that names a value (`values` of pg) or an
** item has other names. */
static void checkoptions (Lint *l, const rb_Traced *c, const rb_Primitive *p, const char *name) {
  int at;
  const char *table = optiontable(p->signature, &at);
  if (table == NULL || at >= c->nargs || c->arg[at].kind != RB_ARGTABLE) return;
  if (strchr(table, '=') == NULL) return;
  const rb_Keys *keys = c->arg[at].keys;
  for (int i = 0; i < keys->n; i++)
    if (!hasoption(table, keys->name[i]))
      fault(l, c->file, c->line, "option", "%s takes no '%.*s': %s", name,
            (int)keys->name[i].n, keys->name[i].s, p->signature);
}

/* -- SQL ----------------------------------------------------------------------------------- */

static void checksql (Lint *l, const rb_Traced *c, const char *name) {
  if (strcmp(c->module, "pg") != 0 || c->nargs == 0 || c->arg[0].kind != RB_ARGBUILT) return;
  fault(l, c->file, c->line, "sql", "%s is given SQL that is put together from texts: write "
        ":name in it, or :\"name\" for the name of a table, and give the values", name);
}

/* The language of a module's texts, asked for once; NULL: it has none. */
static const rb_Syntax *syntaxof (const char *module) {
  static struct { const char *module; const rb_Syntax *syntax; } known[32];
  static size_t n;
  for (size_t i = 0; i < n; i++)
    if (strcmp(known[i].module, module) == 0) return known[i].syntax;
  const rb_Primitive *rows = rb_primitives(module, &(int){0});
  const rb_Syntax *syntax = rows != NULL ? rb_module_part(module, "syntax") : NULL;
  if (rows == NULL || n == sizeof known / sizeof *known) return syntax;
  known[n].module = rows->module;  /* its text stays */
  known[n++].syntax = syntax;
  return syntax;
}

/* a text in the module's own language: SQL is read by PostgreSQL's parser */
static void checksyntax (Lint *l, const rb_Traced *c, const char *name) {
  char why[300];
  if (c->nargs == 0 || c->arg[0].kind != RB_ARGTEXT) return;
  const rb_Syntax *syntax = syntaxof(c->module);
  if (syntax == NULL) return;
  int good = syntax->check(c->arg[0].text.s, c->arg[0].text.n, why, sizeof why);
  if (!good) fault(l, c->file, c->line, "syntax", "%s: %s", name, why);
  rb_query(&l->queries, syntax, c, name, good);
}

static void queryfault (void *ud, const rb_Traced *c, const char *rule, const char *message) {
  fault(ud, c->file, c->line, rule, "%s", message);
}

/* no fault of the script's */
static void down (void *ud, const rb_Traced *c, const char *why) {
  Lint *l = ud;
  char message[1200];
  snprintf(message, sizeof message, "%s.%s is not asked about SQL: %s", c->resource->system,
           c->resource->kind, why);
  l->tell(l->ud, &(rb_Fault){l->file, 0, "unasked", message});
}

static void call (void *ud, const rb_Traced *traced) {
  Lint *l = ud;
  rb_Traced c = *traced;
  char name[96];
  int n;
  const rb_Primitive *list = rb_primitives(c.module, &n);
  if (list == NULL) return;
  c.file = *c.file == '@' ? c.file + 1 : c.file;
  const rb_Primitive *p = find(list, n, c.name);
  if (p == NULL) {
    unknown(l, &c, list, n);
    return;
  }
  snprintf(name, sizeof name, "%s%c%s", c.within ? "tx" : c.module,
           c.resource != NULL ? ':' : '.', p->name);
  if (!c.within) checkeffect(l, &c, p, name);
  checkoptions(l, &c, p, name);
  checksql(l, &c, name);
  checksyntax(l, &c, name);
}

/* -- settings, and what a schema names ------------------------------------------------------- */

static void absent (void *ud, const rb_Absent *name) {
  Lint *l = ud;
  Missing *list = realloc(l->missing, sizeof *list * (size_t)(l->nmissing + 1));
  if (list == NULL) return;
  l->missing = list;
  Missing *m = &list[l->nmissing];
  if (name->name.n >= sizeof m->name) return;
  *m = (Missing){name->file + (*name->file == '@'), name->line, name->guarded, name->system,
                 name->part, ""};
  memcpy(m->name, name->name.s, name->name.n);
  l->nmissing++;
}

static int same (const Missing *a, const Missing *b) {
  return strcmp(a->name, b->name) == 0 && strcmp(a->system, b->system) == 0
         && strcmp(a->part, b->part) == 0;
}

/* May the script do without it? It asks whether it is there, here or elsewhere. */
static int optional (const Lint *l, const Missing *m) {
  for (int i = 0; i < l->nmissing; i++)
    if (l->missing[i].guarded && same(&l->missing[i], m)) return 1;
  return 0;
}

/* One that is not there, where another one is that is nearly the same. */
static void checkmissing (Lint *l, const Missing *m) {
  int schema = strcmp(m->part, "schema") == 0, top = lua_gettop(l->L);
  if (optional(l, m)) return;
  rb_partnames(l->L, l->queries.around, m->system, m->part);
  if (lua_istable(l->L, -1) && lua_getfield(l->L, -1, m->name) == LUA_TNIL) {
    lua_pop(l->L, 1);
    const char *near = rb_nearname(l->L, m->name);
    if (near != NULL)
      fault(l, m->file, m->line, schema ? "schema" : "setting", "%s has no %s '%s' on target '%s': "
            "did you mean '%s'?", m->system, schema ? "schema name" : "setting", m->name,
            rb_target_name(l->queries.around->target), near);
  }
  lua_settop(l->L, top);
}

/* -- steps ------------------------------------------------------------------------------------ */

/* Is a function's only way to return false? */
static int isnever (lua_State *L) {
  rb_Code own;
  const rb_Code *c;
  if (!lua_isfunction(L, -1) || lua_iscfunction(L, -1)) return 0;
  const rb_Proto *p = rb_known_function(L, &c, &own);
  int never = p != NULL && p->ncode > 1 && p->ncode <= 4
              && RB_CODEOP(c, rb_code_at(p, 0)) == RB_OPLOADFALSE
              && (p->ncode == 3 || RB_CODEOP(c, rb_code_at(p, 1)) == RB_OPLOADK);
  rb_code_free(&own);
  return never;
}

/* a function of a step or case, by its reference */
static void look (Lint *l, int ref, const char *word, const char *whose, int line) {
  l->word = word;
  l->whose = whose;
  lua_rawgeti(l->L, LUA_REGISTRYINDEX, ref);
  rb_trace(l->L, call, absent, l);
  if (strcmp(word, "when") == 0 && isnever(l->L))
    fault(l, l->file, line, "unreachable", "%s is always false: it is never reached", whose);
  lua_pop(l->L, 1);
}

/* Does the step look whether it did, or one that comes after it? */
static int looks (const rb_Outline *o, const rb_Step *s) {
  for (const rb_Step *later = s; later < o->steps + o->nsteps; later++)
    if (later->fn[RB_VERIFY] != RB_NOREF && (later->incase < 0 || later->incase == s->incase))
      return 1;
  return 0;
}

static void checkstep (Lint *l, const rb_Step *s) {
  char whose[200];
  const char *title = s->title.text != NULL ? s->title.text : s->id;
  l->changes = 0;
  l->forever[0] = '\0';
  for (int f = 0; f < RB_FIELDS; f++) {
    if (s->fn[f] == RB_NOREF) continue;
    snprintf(whose, sizeof whose, "%s of step '%.120s'", rb_fieldnames[f], title);
    look(l, s->fn[f], rb_fieldnames[f], whose, s->line);
  }
  if (l->changes > 0 && !looks(l->o, s))
    fault(l, l->file, s->line, "verify", "step '%s' changes something, and nothing looks "
          "afterwards: give it a `verify`", title);
  if (l->forever[0] != '\0' && s->fn[RB_UNDO] == RB_NOREF && s->irreversible.text == NULL
      && s->irreversible.ref == RB_NOREF)
    fault(l, l->file, s->line, "undo", "step '%s' calls %s, which has no inverse: say how it "
          "is taken back (`undo`), or why it cannot be (`irreversible`)", title, l->forever);
}

int rb_lint (lua_State *L, const rb_Outline *o, const char *file, const rb_Around *around,
             int fields, void (*tell) (void *ud, const rb_Fault *f), void *ud) {
  Lint l = {.L = L, .o = o, .file = file, .tell = tell, .ud = ud, .said = lua_gettop(L) + 1};
  char whose[200];
  l.queries = (rb_Queries){L, o, around, fields, l.said, queryfault, down, &l};
  luaL_checkstack(L, 20, NULL);
  lua_newtable(L);
  for (int i = 0; i < o->ncases; i++) {
    if (o->cases[i].when == RB_NOREF) continue;
    snprintf(whose, sizeof whose, "when of case '%.120s'", o->cases[i].id);
    look(&l, o->cases[i].when, "when", whose, o->cases[i].line);
  }
  for (int i = 0; i < o->nsteps; i++) checkstep(&l, &o->steps[i]);
  for (int i = 0; i < l.nmissing; i++) checkmissing(&l, &l.missing[i]);
  free(l.missing);
  lua_settop(L, l.said - 1);
  return l.faults;
}
