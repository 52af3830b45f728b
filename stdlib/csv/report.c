/*
** report.c - what was found to be wrong: all of it counted, the first of it kept
*/

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stdlib/common/utf8.h"
#include "stdlib/csv/csv.h"

enum { SHOWN = 80 };  /* bytes of a value */

static void count (Report *r, const char *kind) {
  size_t i = 0, max = sizeof r->counts / sizeof *r->counts;
  while (i < max && r->counts[i].kind != NULL && strcmp(r->counts[i].kind, kind) != 0) i++;
  if (i == max) return;
  r->counts[i].kind = kind;
  r->counts[i].n++;
}

/* a value for people: its beginning, without a torn character at its end; bytes that
** are no text as \xHH */
static char *shown (const Text *t) {
  size_t n = t->n, to = 0;
  if (n > SHOWN)
    for (n = SHOWN; n > SHOWN - 4 && ((unsigned char)t->s[n] & 0xC0) == 0x80; ) n--;
  char *out = malloc(4 * n + 4);
  if (out == NULL) return NULL;
  for (size_t i = 0; i < n; ) {
    size_t good = rb_utf8(t->s + i, n - i);
    for (size_t end = i + good; i < end; i++)
      if ((unsigned char)t->s[i] >= ' ') out[to++] = t->s[i];
      else to += (size_t)sprintf(out + to, "\\x%02x", (unsigned char)t->s[i]);
    if (i < n) to += (size_t)sprintf(out + to, "\\x%02x", (unsigned char)t->s[i++]);
  }
  strcpy(out + to, n < t->n ? "..." : "");
  return out;
}

static int fillin (Problem *p, const Text *column, const Text *value, const char *words) {
  char place[40] = "";
  if (p->line > 0) snprintf(place, sizeof place, "line %lld", p->line);
  if (column != NULL && (p->column = shown(column)) == NULL) return 0;
  if (value != NULL && (p->value = shown(value)) == NULL) return 0;
  int rc = asprintf(&p->message, "%s%s%s%s%s%s%s%s", place,
                    *place != '\0' && column != NULL ? ", " : "",
                    column != NULL ? p->column : "",
                    *place != '\0' || column != NULL ? ": " : "",
                    value != NULL ? "'" : "", value != NULL ? p->value : "",
                    value != NULL ? "' " : "", words);
  if (rc < 0) p->message = NULL;
  return rc >= 0;
}

int rb_csv_problem (Report *r, long long line, const char *kind, const Text *column,
                    const Text *value, const char *fmt, ...) {
  char words[400];
  va_list args;
  count(r, kind);
  if (line > r->header && line != r->lastbad) {
    r->badrows++;
    r->lastbad = line;
  }
  if (r->n >= r->max) return 1;
  if (r->list == NULL && (r->list = calloc(r->max, sizeof *r->list)) == NULL) return 0;
  va_start(args, fmt);
  vsnprintf(words, sizeof words, fmt, args);
  va_end(args);
  Problem *p = &r->list[r->n++];
  *p = (Problem){.line = line, .kind = kind};
  return fillin(p, column, value, words);
}

void rb_csv_freereport (Report *r) {
  for (size_t i = 0; i < r->n; i++) {
    free(r->list[i].column);
    free(r->list[i].value);
    free(r->list[i].message);
  }
  free(r->list);
  r->list = NULL;
  r->n = 0;
}

static void setstring (lua_State *L, const char *name, const char *s) {
  if (s == NULL) return;
  lua_pushstring(L, s);
  lua_setfield(L, -2, name);
}

void rb_csv_pushreport (lua_State *L, const Report *r) {
  lua_createtable(L, (int)r->n, 0);
  for (size_t i = 0; i < r->n; i++) {
    const Problem *p = &r->list[i];
    lua_createtable(L, 0, 5);
    setstring(L, "kind", p->kind);
    setstring(L, "column", p->column);
    setstring(L, "value", p->value);
    setstring(L, "message", p->message);
    if (p->line > 0) {
      lua_pushinteger(L, (lua_Integer)p->line);
      lua_setfield(L, -2, "line");
    }
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_setfield(L, -2, "problems");
  lua_newtable(L);
  for (size_t i = 0; i < sizeof r->counts / sizeof *r->counts; i++) {
    if (r->counts[i].kind == NULL) break;
    lua_pushinteger(L, (lua_Integer)r->counts[i].n);
    lua_setfield(L, -2, r->counts[i].kind);
  }
  lua_setfield(L, -2, "counts");
  lua_pushinteger(L, (lua_Integer)r->badrows);
  lua_setfield(L, -2, "bad_rows");
}

/* -- a row as such --------------------------------------------------------------------- */

static const char *s_ (size_t n) { return n == 1 ? "" : "s"; }

static int odd (Report *out, const Reader *r) {
  size_t good = rb_utf8(r->row, r->rowlen);
  int fine = 1;
  if (memchr(r->row, '\0', r->rowlen) != NULL)
    fine = rb_csv_problem(out, r->line, "nul", NULL, NULL, "it holds a NUL byte");
  if (good < r->rowlen) {
    const char *guess = rb_csv_guess(r->row, r->rowlen);
    if (out->guess == NULL || strcmp(guess, "Latin-1") != 0) out->guess = guess;
    fine &= rb_csv_problem(out, r->line, "encoding", NULL, NULL,
                           "it is not UTF-8 (byte 0x%02x), but probably %s",
                           (unsigned char)r->row[good], guess);
  }
  return fine;
}

int rb_csv_rowproblems (Report *out, const Reader *r, size_t wanted) {
  int fine = 1;
  if (r->flags & RB_CSV_ODD) fine = odd(out, r);
  if (r->flags & RB_CSV_UNCLOSED)
    fine &= rb_csv_problem(out, r->line, "quote", NULL, NULL, "the quote that opens in "
                           "line %lld is never closed", r->quote);
  if (r->flags & RB_CSV_UNTIDY)
    fine &= rb_csv_problem(out, r->line, "quote", NULL, NULL, "text goes on behind a "
                           "closing quote: is one missing, or not written twice?");
  if (r->flags & RB_CSV_MANY)
    fine &= rb_csv_problem(out, r->line, "fields", NULL, NULL, "more than %d fields",
                           RB_CSV_FIELDMAX);
  else if (r->nfields != wanted)
    fine &= rb_csv_problem(out, r->line, "fields", NULL, NULL,
                           "%zu field%s, where the header has %zu", r->nfields,
                           s_(r->nfields), wanted);
  return fine;
}
