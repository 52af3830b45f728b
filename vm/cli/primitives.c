/*
** primitives.c - the primitives' own rows as `help http.get`, and as the page
** docs/primitives.md
*/

#include <stdio.h>
#include <string.h>

#include "vm/cli/cli.h"
#include "vm/show/show.h"
#include "vm/state.h"
#include "vm/vm.h"

#define WIDTH 78
#define MOST 512      /* names among which the nearest is looked for */

/* one row, and how a script calls it */
typedef struct Row {
  const rb_Module *module;
  const rb_Type *type;  /* NULL: a function or a method of a resource */
  const rb_Reg *reg;
  int method;
  char name[80];        /* "http.get", "http.response.json": as on the tape */
} Row;

typedef void Each (void *ud, const Row *row);

static const char *const effects[] = {
  "pure", "probe", "remedy", "notice", "probe or remedy, as its arguments decide",
  "inside a transaction"
};

/* -- all rows ------------------------------------------------------------------ */

static void eachof (const rb_Module *m, const rb_Type *type, const rb_Reg *regs,
                    int method, Each *each, void *ud) {
  const char *owner = type != NULL ? type->name : m->name;
  for (; regs != NULL && regs->name != NULL; regs++) {
    Row row = {m, type, regs, method, ""};
    snprintf(row.name, sizeof row.name, "%s.%s", owner, regs->name);
    each(ud, &row);
  }
}

static void eachrow (const rb_Module *m, Each *each, void *ud) {
  eachof(m, NULL, m->functions, 0, each, ud);
  eachof(m, NULL, m->methods, 1, each, ud);
  for (const rb_Type *t = m->types; t != NULL && t->name != NULL; t++)
    eachof(m, t, t->methods, 1, each, ud);
}

/* -- a row in words --------------------------------------------------------------- */

/* "get(key) -> string | nil : what it is for": where the second part begins */
static const char *purpose (const rb_Reg *r) {
  const char *s = strstr(r->doc, " : ");
  return s != NULL ? s + 3 : r->doc + strlen(r->doc);
}

/* "file.read(path) -> string", "redis:get(key) -> ..." */
static void signature (const Row *row, char *out, size_t size) {
  const char *end = strstr(row->reg->doc, " : ");
  const char *owner = row->type != NULL ? strchr(row->type->name, '.') + 1
                                        : row->module->name;
  snprintf(out, size, "%s%c%.*s", owner, row->method ? ':' : '.',
           (int)(end != NULL ? end - row->reg->doc : (long)strlen(row->reg->doc)),
           row->reg->doc);
}

/* a sentence: its first letter large, a full stop at the end */
static void sentence (const char *s, char *out, size_t size) {
  snprintf(out, size - 1, "%s", s);
  size_t n = strlen(out);
  if (*out >= 'a' && *out <= 'z') *out = (char)(*out - 'a' + 'A');
  if (n > 0 && strchr(".!?", out[n - 1]) == NULL) strcpy(out + n, ".");
}

static void wrap (const char *s, const char *indent) {
  size_t room = WIDTH - strlen(indent);
  while (*s != '\0') {
    size_t n = strlen(s);
    if (n > room) {
      for (n = room; n > 0 && s[n] != ' '; n--) ;
      if (n == 0) n = strcspn(s, " ");
    }
    printf("%s%.*s\n", indent, (int)n, s);
    s += n;
    s += strspn(s, " ");
  }
}

static void printrow (void *ud, const Row *row) {
  char text[2048];
  (void)ud;
  signature(row, text, sizeof text);
  wrap(text, "");
  printf("  %s\n\n", effects[row->reg->effect]);
  sentence(purpose(row->reg), text, sizeof text);
  wrap(text, "  ");
}

/* -- the page ---------------------------------------------------------------------- */

static void pagerow (void *ud, const Row *row) {
  char text[2048];
  (void)ud;
  signature(row, text, sizeof text);
  printf("\n### `%s`\n\n*%s*", text, effects[row->reg->effect]);
  sentence(purpose(row->reg), text, sizeof text);
  printf("%s%s\n", *text != '\0' ? ". " : "", text);
}

/* a module of a target's systems, or one that every script has */
static void pagemodule (const rb_Module *m) {
  char text[512];
  sentence(m->doc != NULL ? m->doc : "", text, sizeof text);
  printf("\n## %s\n\n%s", m->name, text);
  if (m->methods != NULL)
    printf(" A resource of a system: `local %s = system(\"NAME\").%s`.", m->name, m->name);
  putchar('\n');
  eachrow(m, pagerow, NULL);
}

static void page (lua_State *L) {
  puts("# Primitives\n\n"
       "Everything a script can call that looks at the world or changes it, as the modules "
       "register it: this\npage is printed from their rows by `make docs`. The words are "
       "those of [writing-runbooks.md](writing-runbooks.md).\n\n"
       "A **probe** looks and is performed in a dry run, too; a **remedy** changes, and a "
       "dry run shows what it\nwould do; a **notice** tells people; what is **pure** does "
       "neither and may be used anywhere. Durations are\ntexts such as `\"90s\"`; times are "
       "seconds since 1970. What fails raises `{ kind =, message =, certainty = }`.\n"
       "`runbook help NAME` shows one of them: `runbook help file.read`.");
  for (int i = 0; rb_module_name(i) != NULL; i++)
    pagemodule(rb_module_load(L, rb_module_name(i)));
}

/* -- by name ------------------------------------------------------------------------- */

typedef struct Search {
  const char *word;     /* "redis.get", or a module: "redis" */
  int found;
  const char *near;
  char names[MOST][80];
  int n;
} Search;

/* "redis:get" is what a script says, "redis.get" what the tape says */
static int samename (const char *word, const char *name) {
  for (; *word != '\0' && *name != '\0'; word++, name++)
    if (*word != *name && !(*word == ':' && *name == '.')) return 0;
  return *word == *name;
}

static void look (void *ud, const Row *row) {
  Search *s = ud;
  if (s->n < MOST - 1) snprintf(s->names[s->n++], sizeof *s->names, "%s", row->name);
  if (!samename(s->word, row->name)) return;
  if (s->found++ > 0) putchar('\n');
  printrow(NULL, row);
}

static void line (void *ud, const Row *row) {
  char text[2048];
  (void)ud;
  signature(row, text, sizeof text);
  printf("  %-7s %s\n", row->reg->effect == RB_CLASSIFY ? "either"
         : row->reg->effect == RB_WITHIN ? "inside" : effects[row->reg->effect], text);
}

static void nearest (Search *s) {
  const char *names[MOST];
  for (int i = 0; i < s->n; i++) names[i] = s->names[i];
  names[s->n] = NULL;
  s->near = rb_nearest(s->word, names);
}

/* light userdata 1: the search; NULL: all of it as a page */
static int protected (lua_State *L) {
  Search *s = lua_touserdata(L, 1);
  if (s == NULL) {
    page(L);
    return 0;
  }
  for (int i = 0; rb_module_name(i) != NULL; i++) {
    const char *name = rb_module_name(i);
    size_t n = strcspn(s->word, ".:");
    if (strlen(name) == n && memcmp(s->word, name, n) == 0 && s->word[n] == '\0') {
      const rb_Module *m = rb_module_load(L, name);
      printf("%s: %s\n\n", name, m->doc != NULL ? m->doc : "");
      eachrow(m, line, NULL);
      s->found = 1;
      return 0;
    }
    if (strchr(s->word, '.') != NULL || strchr(s->word, ':') != NULL)
      eachrow(rb_module_load(L, name), look, s);
  }
  if (!s->found) nearest(s);
  return 0;
}

static int withmodules (Search *s, rb_Problem *p) {
  lua_State *L = rb_state_new();
  if (L == NULL) return rb_problem(p, RB_USAGE, "memory", "not enough memory");
  lua_pushcfunction(L, protected);
  lua_pushlightuserdata(L, s);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK)
    rb_problem(p, RB_USAGE, "usage", "%s", lua_tostring(L, -1));
  rb_state_free(L);
  return p->exit;
}

int rb_help_primitive (const char *word, rb_Problem *p) {
  static Search s;
  rb_Problem failed = {0};
  s = (Search){.word = word};
  if (withmodules(&s, &failed) != 0) {
    *p = failed;
    return 0;
  }
  if (!s.found && s.near != NULL)
    rb_problem(p, RB_USAGE, "usage", "there is no primitive '%s' (did you mean '%s'?)", word,
               s.near);
  return s.found;
}

int rb_help_primitives (rb_Problem *p) { return withmodules(NULL, p); }
