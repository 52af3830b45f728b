/*
** primitives.c - the primitives' own rows as `help http.get`, and as the page
** docs/primitives.md
*/

#include <stdio.h>
#include <string.h>

#include "vm/cli/cli.h"
#include "vm/cli/rows.h"
#include "vm/show/show.h"

#define WIDTH 78
#define MOST 512      /* names among which the nearest is looked for */

static const char *const effects[] = {
  "pure", "probe", "remedy", "notice", "probe or remedy, as its arguments decide",
  "inside a transaction"
};

/* what it does to the world; NULL for what `run` does, which is none of these */
static const char *effectof (const rb_Row *row) {
  return rb_rows_isrun(row->module) ? NULL : effects[row->reg->effect];
}

/* -- a row in words --------------------------------------------------------------- */

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

static void printrow (void *ud, const rb_Row *row) {
  char text[2048];
  (void)ud;
  rb_row_signature(row, text, sizeof text);
  wrap(text, "");
  if (effectof(row) != NULL) printf("  %s\n", effectof(row));
  putchar('\n');
  rb_sentence(rb_row_purpose(row), text, sizeof text);
  wrap(text, "  ");
}

/* -- the page ---------------------------------------------------------------------- */

static void pagerow (void *ud, const rb_Row *row) {
  char text[2048];
  (void)ud;
  rb_row_signature(row, text, sizeof text);
  printf("\n### `%s`\n\n", text);
  rb_sentence(rb_row_purpose(row), text, sizeof text);
  if (effectof(row) != NULL) printf("*%s*%s", effectof(row), *text != '\0' ? ". " : "");
  puts(text);
}

/* a module of a target's systems, or one that every script has */
static void pagemodule (const rb_Module *m) {
  char text[512];
  rb_sentence(m->doc != NULL ? m->doc : "", text, sizeof text);
  printf("\n## %s\n\n%s", m->name, text);
  if (m->methods != NULL)
    printf(" A resource of a system: `local %s = system(\"NAME\").%s`.", m->name, m->name);
  putchar('\n');
  rb_rows_each(m, pagerow, NULL);
}

static void page (lua_State *L, void *ud) {
  const rb_Module *m;
  (void)ud;
  puts("# Primitives\n\n"
       "Everything a script can call that looks at the world or changes it, as the modules "
       "register it, and\nwhat `run` can do: this page is printed from their rows by `make "
       "docs`. The words are those of\n[writing-runbooks.md](writing-runbooks.md).\n\n"
       "A **probe** looks and is performed in a dry run, too; a **remedy** changes, and a "
       "dry run shows what it\nwould do; a **notice** tells people; what is **pure** does "
       "neither and may be used anywhere. Durations are\ntexts such as `\"90s\"`; times are "
       "seconds since 1970. What fails raises `{ kind =, message =, certainty = }`.\n"
       "`runbook help NAME` shows one of them: `runbook help file.read`.");
  for (int i = 0; (m = rb_rows_module(L, i)) != NULL; i++) pagemodule(m);
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

static void look (void *ud, const rb_Row *row) {
  Search *s = ud;
  if (s->n < MOST - 1) snprintf(s->names[s->n++], sizeof *s->names, "%s", row->name);
  if (!samename(s->word, row->name)) return;
  if (s->found++ > 0) putchar('\n');
  printrow(NULL, row);
}

static void line (void *ud, const rb_Row *row) {
  char text[2048];
  (void)ud;
  rb_row_signature(row, text, sizeof text);
  if (effectof(row) == NULL) printf("  %s\n", text);
  else printf("  %-7s %s\n", row->reg->effect == RB_CLASSIFY ? "either"
              : row->reg->effect == RB_WITHIN ? "inside" : effectof(row), text);
}

static void nearest (Search *s) {
  const char *names[MOST];
  for (int i = 0; i < s->n; i++) names[i] = s->names[i];
  names[s->n] = NULL;
  s->near = rb_nearest(s->word, names);
}

/* the module that the word names, or the row */
static void search (lua_State *L, void *ud) {
  Search *s = ud;
  const rb_Module *m;
  size_t n = strcspn(s->word, ".:");
  if (s->word[n] == '\0') {
    if ((m = rb_rows_find(L, s->word, n)) == NULL) return;
    printf("%s: %s\n\n", m->name, m->doc != NULL ? m->doc : "");
    rb_rows_each(m, line, NULL);
    s->found = 1;
    return;
  }
  for (int i = 0; (m = rb_rows_module(L, i)) != NULL; i++) rb_rows_each(m, look, s);
  if (!s->found) nearest(s);
}

int rb_help_primitive (const char *word, rb_Problem *p) {
  static Search s;
  rb_Problem failed = {0};
  s = (Search){.word = word};
  if (rb_rows_with((rb_WithRows){search, &s}, &failed) != 0) {
    *p = failed;
    return 0;
  }
  if (!s.found && s.near != NULL)
    rb_problem(p, RB_USAGE, "usage", "there is no primitive '%s' (did you mean '%s'?)", word,
               s.near);
  return s.found;
}

int rb_help_primitives (rb_Problem *p) {
  return rb_rows_with((rb_WithRows){page, NULL}, p);
}

/* -- for programs ---------------------------------------------------------------------- */

static void tabbed (void *ud, const rb_Row *row) {
  const char *end = strstr(row->reg->doc, " : ");
  (void)ud;
  if (row->type != NULL) return;  /* results are known when there are some */
  printf("%s\t%s\t%c\t%.*s\n", row->module->name, row->reg->name, "plrncw"[row->reg->effect],
         (int)(end != NULL ? end - row->reg->doc : (long)strlen(row->reg->doc)), row->reg->doc);
}

static void allrows (lua_State *L, void *ud) {
  const rb_Module *m;
  for (int i = 0; (m = rb_rows_module(L, i)) != NULL; i++) rb_rows_each(m, tabbed, ud);
}

int rb_help_rows (rb_Problem *p) { return rb_rows_with((rb_WithRows){allrows, NULL}, p); }
