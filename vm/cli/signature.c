/*
** signature.c - "get(key [, { timeout = "10s" }]) -> string | nil" as an annotation
**
** Signatures are written for people. What of one is not understood becomes `any`, and a
** parameter is never left out.
*/

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "vm/cli/types.h"

/* a part of a signature */
typedef struct Part { const char *s; size_t n; } Part;

static const char *const strings[] = {
  "path", "sql", "name", "key", "pattern", "field", "folder", "from", "to", "channel",
  "zone", "fmt", "section", "host", "template", "content", "what", "duration", "new", NULL
};
static const char *const integers[] = {
  "n", "bytes", "port", "a", "b", "width", "first", "last", "count", NULL
};
static const struct { const char *word, *type; } results[] = {
  {"string", "string"}, {"integer", "integer"}, {"number", "number"}, {"nil", "nil"},
  {"boolean", "boolean"}, {"true", "boolean"}, {"false", "boolean"}, {"state", "string"},
  {"seconds", "number"}, {"seconds since 1970", "number"}, {"time", "number"},
  {"row", "table<string, any>"}, {"report", "table<string, any>"}, {"list", "any[]"},
  {"line", "string"}, {"name", "string"}, {"address", "string"}, {"key", "string"},
  {NULL, "any"}
};

static int is (Part p, const char *word) {
  return p.n == strlen(word) && memcmp(p.s, word, p.n) == 0;
}

static int among (Part p, const char *const *list) {
  while (*list != NULL && !is(p, *list)) list++;
  return *list != NULL;
}

static Part trimmed (Part p) {
  while (p.n > 0 && *p.s == ' ') p.s++, p.n--;
  while (p.n > 0 && p.s[p.n - 1] == ' ') p.n--;
  return p;
}

/* the bytes of s before one of 'stops' that is in no bracket and no quotes */
static size_t until (Part p, const char *stops) {
  int depth = 0, quoted = 0;
  size_t i = 0;
  for (; i < p.n; i++) {
    char c = p.s[i];
    if (c == '"') quoted = !quoted;
    if (quoted) continue;
    if (depth == 0 && strchr(stops, c) != NULL) break;
    depth += (c == '{' || c == '(') - (c == '}' || c == ')');
  }
  return i;
}

/* the next part of *rest, which loses it and what ends it */
static Part next (Part *rest, const char *stops) {
  size_t n = until(*rest, stops);
  Part p = {rest->s, n};
  n += n < rest->n;
  *rest = (Part){rest->s + n, rest->n - n};
  return trimmed(p);
}

/* the name that a part begins with */
static Part nameof (Part p) {
  size_t n = 0;
  while (n < p.n && (isalnum((unsigned char)p.s[n]) || p.s[n] == '_')) n++;
  return (Part){p.s, n};
}

/* what stands in the brackets around p */
static Part inside (Part p) { return trimmed((Part){p.s + 1, p.n > 1 ? p.n - 2 : 0}); }

/* -- tables ------------------------------------------------------------------------ */

/* "{ limit = n, header = false }", "{word, ..., [cwd=]}": each name is optional */
static void optiontable (Part p, rb_Buffer *b) {
  Part rest = inside(p);
  const char *between = "{ ";
  if (*p.s != '{' || (rest.n > 0 && *rest.s == '{')) {
    rb_buffer_puts(b, "table");
    return;
  }
  while (rest.n > 0) {
    Part one = next(&rest, ",|[]"), name = nameof(one);
    int keyed = name.n > 0 && strchr("= ", name.n < one.n ? one.s[name.n] : '?') != NULL;
    if (one.n == 0 || is(one, "...")) continue;
    if (keyed) rb_buffer_printf(b, "%s%.*s?: any", between, (int)name.n, name.s);
    else rb_buffer_printf(b, "%s[integer]: any", between);
    between = ", ";
  }
  rb_buffer_puts(b, *between == '{' ? "table" : " }");
}

static void result (const rb_Row *row, Part p, rb_Buffer *b);

/* "{row, ...}", "{{pid, user}, ...}", "{[name] = value}", "{code, stdout}" */
static void resulttable (const rb_Row *row, Part p, rb_Buffer *b) {
  Part rest = inside(p), all = rest, first = next(&rest, ",");
  if (is(trimmed(rest), "...") && until(first, "=") == first.n) {
    result(row, first, b);
    rb_buffer_puts(b, "[]");
    return;
  }
  if (all.n == 0 || *all.s == '[' || (all.n > 3 && memcmp(all.s + all.n - 3, "...", 3) == 0)) {
    rb_buffer_puts(b, "table<string, any>");
    return;
  }
  rb_buffer_puts(b, "{ ");
  for (rest = all; rest.n > 0; ) {
    Part name = nameof(next(&rest, ","));
    if (name.n > 0)
      rb_buffer_printf(b, "%.*s: any%s", (int)name.n, name.s, rest.n > 0 ? ", " : "");
  }
  rb_buffer_puts(b, " }");
}

/* -- results ------------------------------------------------------------------------ */

static void result (const rb_Row *row, Part p, rb_Buffer *b) {
  int i = 0;
  for (const rb_Type *t = row->module->types; t != NULL && t->name != NULL; t++)
    if (is(p, strchr(t->name, '.') + 1)) {
      rb_buffer_printf(b, "runbook.%.*s", (int)p.n, p.s);
      return;
    }
  if (p.n > 0 && *p.s == '{') resulttable(row, p, b);
  else if (p.n > 0 && *p.s == '"') rb_buffer_add(b, p.s, p.n);
  else {
    while (results[i].word != NULL && !is(p, results[i].word)) i++;
    rb_buffer_puts(b, results[i].type);
  }
}

/* "string | nil", "value | nil, error" */
static void resultlist (const rb_Row *row, Part rest, rb_Buffer *b) {
  while (rest.n > 0) {
    Part one = next(&rest, ",");
    rb_buffer_puts(b, "---@return ");
    while (one.n > 0) {
      result(row, next(&one, "|"), b);
      if (one.n > 0) rb_buffer_puts(b, " | ");
    }
    rb_buffer_puts(b, "\n");
  }
}

/* -- parameters ---------------------------------------------------------------------- */

/* Adds the annotation to b, the name to 'names'. What comes after one that may be left
** out ('late') may stand in its place. */
static void parameter (Part p, int optional, int late, rb_Buffer *b, rb_Buffer *names) {
  Part name = nameof(p);
  const char *mark = optional || late || (name.n < p.n && p.s[name.n] == '=') ? "?" : "";
  if (names->n > 0) rb_buffer_puts(names, ", ");
  if (is(p, "...")) name = p, mark = "";
  else if (*p.s == '{') name = (Part){"options", 7};
  else if (is(name, "function")) name = (Part){"fn", 2};
  else if (*p.s == '"') name = (Part){"text", 4};
  rb_buffer_add(names, name.s, name.n);
  rb_buffer_printf(b, "---@param %.*s%s ", (int)name.n, name.s, mark);
  if (*p.s == '{') optiontable(p, b);
  else if (is(name, "fn")) rb_buffer_puts(b, "fun(...): any");
  else if (*p.s == '"' || among(name, strings)) rb_buffer_puts(b, "string");
  else rb_buffer_puts(b, among(name, integers) ? "integer" : "any");
  rb_buffer_puts(b, "\n");
}

/* does one that must be there come after this one that need not be? */
static int followed (Part rest) {
  size_t n = until(rest, "]");
  rest = trimmed((Part){rest.s + n, rest.n - n});
  return rest.n > 1 && until(rest, "[") == rest.n;
}

/* "key [, first, last]": what is in [ ] may be left out */
static void parameters (Part rest, rb_Buffer *b, rb_Buffer *names) {
  int optional = 0, late = 0;
  while (rest.n > 0) {
    size_t n = until(rest, ",[]");
    char end = n < rest.n ? rest.s[n] : '\0';
    int first = optional > 0 && followed(rest);
    Part one = next(&rest, ",[]");
    if (one.n > 0 && first) parameter((Part){"options", 7}, 1, 0, b, names);
    else if (one.n > 0) parameter(one, optional > 0, late, b, names);
    late |= first;
    optional += (end == '[') - (end == ']');
  }
}

void rb_types_function (const rb_Row *row, rb_Buffer *b) {
  const char *doc = row->reg->doc, *end = strstr(doc, " : ");
  const char *owner = row->type != NULL ? strchr(row->type->name, '.') + 1 : row->module->name;
  rb_Buffer names = {0};
  Part rest = {doc + strlen(row->reg->name), 0};
  rest.n = (end != NULL ? (size_t)(end - doc) : strlen(doc)) - strlen(row->reg->name);
  size_t n = until(rest, "->");  /* no bracket is open there: the arguments' end */
  Part arguments = trimmed((Part){rest.s, n});
  Part results_ = n + 2 < rest.n ? trimmed((Part){rest.s + n + 2, rest.n - n - 2}) : (Part){"", 0};
  if (arguments.n > 0 && *arguments.s == '(') parameters(inside(arguments), b, &names);
  else if (arguments.n > 0) parameter(arguments, 0, 0, b, &names);
  resultlist(row, results_, b);
  rb_buffer_printf(b, "function %s%c%s(%s) end\n", owner, row->method ? ':' : '.',
                   row->reg->name, names.s != NULL ? names.s : "");
  if (names.failed) b->failed = 1;
  rb_buffer_free(&names);
}
