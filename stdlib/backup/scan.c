/*
** scan.c - reads a dump in SQL, as pg_dump writes it, in pieces
**
** It is not parsed as SQL: pg_dump begins every object with a comment that
** names it, and the rows of a table stand between its COPY and a line "\.".
** Lines may be of any length; only their beginnings are kept. No Lua here: it
** runs in a thread of its own.
*/

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "stdlib/backup/backup.h"

/* -- what was found ------------------------------------------------------------ */

static void *more (rb_Scan *s, void *list, size_t n, size_t size) {
  if (n & (n - 1)) return list;  /* it doubles at 1, 2, 4, ... */
  void *grown = realloc(list, (n == 0 ? 1 : n * 2) * size);
  s->failed |= grown == NULL;
  return grown != NULL ? grown : list;
}

static void addname (rb_Scan *s, char ***list, size_t *n, const char *name) {
  for (size_t i = *n; i > 0; i--)
    if (strcmp((*list)[i - 1], name) == 0) return;
  *list = more(s, *list, *n, sizeof **list);
  char *copy = s->failed ? NULL : strdup(name);
  s->failed |= copy == NULL;
  if (copy != NULL) (*list)[(*n)++] = copy;
}

void rb_scan_schema (rb_Scan *s, const char *name) {
  addname(s, &s->schemas, &s->nschemas, name);
}

void rb_scan_made (rb_Scan *s, const char *name) {
  rb_scan_schema(s, name);
  addname(s, &s->made, &s->nmade, name);
}

void rb_scan_add (rb_Scan *s, const char *schema, const char *name) {
  s->tables = more(s, s->tables, s->ntables, sizeof *s->tables);
  rb_scan_schema(s, schema);
  if (s->failed) return;
  rb_Table t = {strdup(schema), strdup(name), 0};
  s->tables[s->ntables++] = t;
  s->failed |= t.schema == NULL || t.name == NULL;
}

const rb_Table *rb_scan_table (const rb_Scan *s, const char *schema, const char *name) {
  for (const rb_Table *t = s->tables; t < s->tables + s->ntables; t++)
    if (strcmp(t->name, name) == 0 && strcmp(t->schema, schema) == 0) return t;
  return NULL;
}

long long rb_scan_rows (const rb_Scan *s) {
  long long n = 0;
  for (size_t i = 0; i < s->ntables; i++) n += s->tables[i].rows;
  return n;
}

void rb_scan_free (rb_Scan *s) {
  for (size_t i = 0; i < s->ntables; i++) {
    free(s->tables[i].schema);
    free(s->tables[i].name);
  }
  for (size_t i = 0; i < s->nschemas; i++) free(s->schemas[i]);
  for (size_t i = 0; i < s->nmade; i++) free(s->made[i]);
  free(s->tables);
  free(s->schemas);
  free(s->made);
  *s = (rb_Scan){0};
}

/* -- lines ---------------------------------------------------------------------------- */

/* An identifier as SQL writes it, into 'out'; returns where it ends, NULL: none. */
static const char *identifier (const char *p, char *out, size_t size) {
  size_t n = 0;
  int quoted = *p == '"';
  for (p += quoted; *p != '\0' && n + 1 < size; out[n++] = *p++) {
    if (quoted && *p == '"' && *++p != '"') break;
    if (!quoted && strchr(". (;\n", *p) != NULL) break;
  }
  out[n] = '\0';
  return n > 0 ? p : NULL;
}

static int begins (const char *line, const char *with, const char **rest) {
  size_t n = strlen(with);
  *rest = line + n;
  return strncmp(line, with, n) == 0;
}

static void keep (char *out, size_t size, const char *text) {
  size_t n = strcspn(text, " \n\r");
  if (n >= size) n = size - 1;
  memcpy(out, text, n);
  out[n] = '\0';
}

/* "COPY a.b (x, y) FROM stdin;" */
static void copyline (rb_Scan *s, const char *rest) {
  static const char end[] = " FROM stdin;";
  char schema[256], name[256];
  const char *p = identifier(rest, schema, sizeof schema);
  if (p == NULL || *p != '.' || identifier(p + 1, name, sizeof name) == NULL) return;
  if (s->length == s->n && (s->n < sizeof end
      || strcmp(s->line + s->n - (sizeof end - 1), end) != 0)) return;
  rb_scan_add(s, schema, name);
  s->copying = !s->failed;
}

/* "-- Name: users; Type: TABLE; Schema: a; Owner: b" */
static void comment (rb_Scan *s, const char *line) {
  static const char schema[] = "; Schema: ", owner[] = "; Owner: ";
  char name[256];
  const char *at = strstr(line, schema), *next, *end;
  if (at == NULL) return;
  while ((next = strstr(at + 1, schema)) != NULL) at = next;
  at += sizeof schema - 1;
  if ((end = strstr(at, owner)) == NULL || (size_t)(end - at) >= sizeof name) return;
  memcpy(name, at, (size_t)(end - at));
  name[end - at] = '\0';
  if (strcmp(name, "-") != 0) rb_scan_schema(s, name);
}

/* a key alone: another command may follow in the same line */
static int iskey (const char *p) {
  size_t n = 0;
  while (isalnum((unsigned char)p[n])) n++;
  return n > 0 && p[n] == '\0';
}

/* Of its own commands psql takes none between a dump's \restrict and its \unrestrict. */
static void backslash (rb_Scan *s, const char *line) {
  const char *rest;
  if (begins(line, "\\restrict ", &rest) && iskey(rest) && !s->begun && !s->restricted)
    s->restricted = 1;
  else if (begins(line, "\\unrestrict ", &rest) && iskey(rest) && s->restricted && !s->lifted)
    s->lifted = 1;
  else if (begins(line, "\\connect ", &rest)) s->database = 1;
  else keep(s->command, sizeof s->command, line);
}

/* What lifts the restriction may stand behind a statement, in a line of any length: it is
** looked for wherever it is, also where it would be data. */
static void countlifts (rb_Scan *s, const char *text, size_t n) {
  static const char word[] = "\\unrestrict";
  for (const char *p = text, *end = text + n; p < end; p++) {
    if (s->matched == 0 && (p = memchr(p, '\\', (size_t)(end - p))) == NULL) return;
    s->matched = *p == word[s->matched] ? s->matched + 1 : *p == '\\';
    if (s->matched < sizeof word - 1) continue;
    s->lifts++;
    s->matched = 0;
  }
}

int rb_scan_escapes (const rb_Scan *s) { return s->lifts > s->lifted; }

static void statement (rb_Scan *s, const char *line) {
  char name[256];
  const char *rest;
  if (begins(line, "-- PostgreSQL database dump complete", &rest)) s->complete = 1;
  else if (begins(line, "-- PostgreSQL database dump", &rest)) s->isdump = 1;
  else if (begins(line, "-- Dumped from database version ", &rest))
    keep(s->server, sizeof s->server, rest);
  else if (begins(line, "-- Dumped by pg_dump version ", &rest))
    keep(s->program, sizeof s->program, rest);
  else if (begins(line, "-- Name: ", &rest) || begins(line, "-- Data for Name: ", &rest))
    comment(s, line);
  else if (begins(line, "CREATE SCHEMA ", &rest)) {
    if (identifier(rest, name, sizeof name) != NULL) rb_scan_made(s, name);
  } else if (begins(line, "COPY ", &rest)) copyline(s, rest);
  else if (begins(line, "INSERT INTO ", &rest)) s->inserts = 1;
  else if (begins(line, "CREATE DATABASE ", &rest)) s->database = 1;
  else if (*line == '\\') backslash(s, line);
  if (*line == '\0' || *line == '\\' || begins(line, "--", &rest)) return;
  s->begun = 1;
  if (s->lifted) s->lifts++;  /* that was not the end */
}

static void ended (rb_Scan *s) {
  if (s->n > 0 && s->line[s->n - 1] == '\r') s->n--, s->length--;
  s->line[s->n] = '\0';
  if (!s->copying) statement(s, s->line);
  else if (s->length == 2 && strcmp(s->line, "\\.") == 0) s->copying = 0;
  else s->tables[s->ntables - 1].rows++;
  s->n = s->length = 0;
}

void rb_scan_feed (rb_Scan *s, const char *text, size_t n) {
  countlifts(s, text, n);
  while (n > 0 && !s->failed) {
    const char *nl = memchr(text, '\n', n);
    size_t part = nl != NULL ? (size_t)(nl - text) : n;
    size_t room = sizeof s->line - 1 - s->n, take = part < room ? part : room;
    memcpy(s->line + s->n, text, take);
    s->n += take;
    s->length += part;
    if (nl != NULL) ended(s);
    part += nl != NULL;
    text += part;
    n -= part;
  }
}
