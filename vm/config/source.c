/*
** source.c - at which line a key of the configuration stands
**
** A Lua table does not know where it was written, and forgets a key that was
** given twice. So the text is read for its tables: words and strings, brackets,
** and the keys that stand where a field begins. Only tables that are written
** out under `return` get names that anybody asks for.
*/

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/config/private.h"

#define MAXDEPTH 40

typedef enum Type { END, WORD, TEXT, SIGN } Type;

typedef struct Token {
  Type type;
  char sign;               /* of a SIGN */
  const char *s;           /* WORD, TEXT: what it says */
  size_t n;
  int line;
} Token;

/* an open bracket; of a table when 'table'; 'root': the number of an outermost
** table that stands after `return`, else 0 */
typedef struct Level {
  size_t prefix;           /* length of its name in Scan.name */
  int table, items, root;
} Level;

typedef struct Scan {
  const char *s;           /* what is still to be read */
  int line;
  int roots, main;         /* outermost tables: how many, which is returned */
  int lost;                /* too deep, or a name too long: what follows is not told */
  Token now, next, third;
  char name[400];          /* of the field under way, the levels' as prefixes */
  Level level[MAXDEPTH];
  int depth;
  rb_Places *places;
} Scan;

/* -- tokens ---------------------------------------------------------------- */

/* at '[': the length of "[==[", 0 when it is no long bracket */
static size_t longopening (const char *s) {
  size_t n = 1;
  while (s[n] == '=') n++;
  return s[n] == '[' ? n + 1 : 0;
}

/* Skips to after the closing bracket of a long text; returns its length. */
static size_t longtext (Scan *c, size_t opening) {
  const char *start = c->s += opening;
  for (; *c->s != '\0'; c->s++) {
    if (*c->s == '\n') c->line++;
    if (*c->s != ']') continue;
    size_t n = 1;
    while (n + 1 < opening && c->s[n] == '=') n++;
    if (n + 1 == opening && c->s[n] == ']') {
      size_t length = (size_t)(c->s - start);
      c->s += opening;
      return length;
    }
  }
  return (size_t)(c->s - start);
}

static void skipblank (Scan *c) {
  for (;;) {
    while (isspace((unsigned char)*c->s)) if (*c->s++ == '\n') c->line++;
    if (c->s[0] != '-' || c->s[1] != '-') return;
    c->s += 2;
    size_t opening = *c->s == '[' ? longopening(c->s) : 0;
    if (opening > 0) longtext(c, opening);
    else c->s += strcspn(c->s, "\n");
  }
}

static size_t quoted (Scan *c) {
  const char *start = c->s + 1;
  char quote = *c->s++;
  while (*c->s != '\0' && *c->s != quote && *c->s != '\n') {
    if (*c->s == '\\' && c->s[1] != '\0') {
      c->s++;
      if (*c->s == '\n') c->line++;
    }
    c->s++;
  }
  size_t length = (size_t)(c->s - start);
  if (*c->s == quote) c->s++;
  return length;
}

static Token read (Scan *c) {
  skipblank(c);
  Token t = {.s = c->s, .line = c->line, .sign = *c->s};
  if (*c->s == '\0') return t;
  size_t opening = *c->s == '[' ? longopening(c->s) : 0;
  if (isalpha((unsigned char)*c->s) || *c->s == '_') {
    t.type = WORD;
    while (isalnum((unsigned char)*c->s) || *c->s == '_') c->s++;
    t.n = (size_t)(c->s - t.s);
  } else if (*c->s == '"' || *c->s == '\'' || opening > 0) {
    t.type = TEXT;
    t.s += opening > 0 ? opening : 1;
    t.n = opening > 0 ? longtext(c, opening) : quoted(c);
  } else {
    t.type = SIGN;
    c->s++;
    if (t.sign == '=' && *c->s == '=') { c->s++; t.sign = 'e'; }
  }
  return t;
}

static void advance (Scan *c) {
  c->now = c->next;
  c->next = c->third;
  c->third = read(c);
}

static int issign (const Token *t, char sign) {
  return t->type == SIGN && t->sign == sign;
}

/* -- tables ---------------------------------------------------------------- */

static int keep (Scan *c, int line) {
  rb_Places *p = c->places;
  if (p->n == p->size) {
    size_t size = p->size > 0 ? p->size * 2 : 64;
    rb_Place *list = realloc(p->list, size * sizeof *list);
    if (list == NULL) return 0;
    p->list = list;
    p->size = size;
  }
  char *name = strdup(c->name);
  if (name == NULL) return 0;
  p->list[p->n++] = (rb_Place){name, line};
  return 1;
}

/* the name of a field of the innermost table */
static void setname (Scan *c, const char *key, size_t n) {
  size_t at = c->level[c->depth].prefix, room = sizeof c->name - at;
  if ((size_t)snprintf(c->name + at, room, ".%.*s", (int)n, key) >= room) c->lost = 1;
}

/* Where a field begins: its key, when it has one, is kept and passed by. */
static int field (Scan *c) {
  Level *l = &c->level[c->depth];
  char number[24];
  if (c->now.type == WORD && issign(&c->next, '=')) {
    setname(c, c->now.s, c->now.n);
    if (!keep(c, c->now.line)) return 0;
    advance(c);
    advance(c);
  } else if (issign(&c->now, '[') && c->next.type == TEXT && issign(&c->third, ']')) {
    setname(c, c->next.s, c->next.n);
    if (!keep(c, c->next.line)) return 0;
    advance(c);
    advance(c);
    advance(c);
  } else if (!issign(&c->now, '}')) {
    int n = snprintf(number, sizeof number, "%d", ++l->items);
    setname(c, number, (size_t)n);
    if (!keep(c, c->now.line)) return 0;
  }
  return 1;
}

/* A table that is no field of another begins a name of its own, "?3", so that
** two of them never mix. 'before': the token before the bracket. */
static void open (Scan *c, const Token *before, int table) {
  if (c->depth + 2 > MAXDEPTH) { c->lost = 1; return; }
  int inside = c->depth > 0 && c->level[c->depth].table, root = 0;
  size_t n = c->depth > 0 ? strlen(c->name) : 0;
  if (table && !inside) {
    size_t room = sizeof c->name - n;
    if ((size_t)snprintf(c->name + n, room, "?%d", ++c->roots) >= room) c->lost = 1;
    if (c->depth == 0 && before->type == WORD && before->n == 6
        && strncmp(before->s, "return", 6) == 0) root = c->roots;
  }
  c->level[++c->depth] = (Level){.prefix = strlen(c->name), .table = table,
                                 .root = root};
}

/* The configuration is the table that is returned at the very end. */
static void shut (Scan *c) {
  int root = c->level[c->depth--].root;
  if (root > 0 && (c->next.type == END
                   || (issign(&c->next, ';') && c->third.type == END))) c->main = root;
}

/* "?3.targets.local" -> "targets.local", where 3 is the table returned */
static void shorten (const Scan *c) {
  char prefix[24];
  size_t n = (size_t)snprintf(prefix, sizeof prefix, "?%d.", c->main);
  for (size_t i = 0; i < c->places->n; i++) {
    char *name = c->places->list[i].name;
    if (strncmp(name, prefix, n) == 0) memmove(name, name + n, strlen(name + n) + 1);
  }
}

static int byname (const void *a, const void *b) {
  const rb_Place *x = a, *y = b;
  int order = strcmp(x->name, y->name);
  return order != 0 ? order : x->line - y->line;
}

int rb_places_read (rb_Places *p, const char *source) {
  Scan c = {.s = source, .line = 1, .places = p};
  Token before = {0};
  int good = 1;
  c.next = read(&c);
  c.third = read(&c);
  advance(&c);
  while (good && !c.lost && c.now.type != END) {
    int table = c.depth > 0 && c.level[c.depth].table;
    if (table && before.type == SIGN && strchr("{,;", before.sign) != NULL) {
      before = (Token){0};
      good = field(&c);
      continue;
    }
    if (issign(&c.now, '{') || issign(&c.now, '(')) open(&c, &before, c.now.sign == '{');
    else if ((issign(&c.now, '}') || issign(&c.now, ')')) && c.depth > 0) shut(&c);
    before = c.now;
    advance(&c);
  }
  shorten(&c);
  if (p->n > 1) qsort(p->list, p->n, sizeof *p->list, byname);
  return good;
}

void rb_places_free (rb_Places *p) {
  for (size_t i = 0; i < p->n; i++) free(p->list[i].name);
  free(p->list);
  *p = (rb_Places){0};
}

static int byword (const void *name, const void *place) {
  return strcmp(name, ((const rb_Place *)place)->name);
}

int rb_places_line (const rb_Places *p, const char *name) {
  const rb_Place *at = p->n > 0 ?
    bsearch(name, p->list, p->n, sizeof *p->list, byword) : NULL;
  return at != NULL ? at->line : 0;
}

const rb_Place *rb_places_twice (const rb_Places *p) {
  for (size_t i = 1; i < p->n; i++)
    if (strcmp(p->list[i - 1].name, p->list[i].name) == 0) return &p->list[i];
  return NULL;
}
