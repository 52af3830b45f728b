/*
** sql.c - psql's notation in SQL: where the names stand
**
** As psql reads it: `:name` and `:'name'` are values, `:"name"` is an
** identifier, and inside strings, quoted identifiers, dollar quotes and
** comments a colon is only a colon. `::` is a cast. In brackets a colon that
** touches what stands before it is a slice (`a[1:2]`, `a[i:j]`); elsewhere
** a name follows. Everything else about SQL is PostgreSQL's own business.
*/

#include <string.h>
#include <strings.h>

#include "stdlib/pg/sql.h"

static int wordstart (char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         (unsigned char)c >= 0x80;
}

static int digit (char c) {
  return c >= '0' && c <= '9';
}

static int wordbyte (char c) {
  return wordstart(c) || digit(c) || c == '$';
}

static int white (char c) {
  return c != '\0' && strchr(" \t\r\n\f\v", c) != NULL;
}

static char peek (const rb_SqlScan *z, size_t i) {
  return i < z->n ? z->s[i] : '\0';
}

static size_t linecomment (const rb_SqlScan *z, size_t i) {
  while (i < z->n && z->s[i] != '\n' && z->s[i] != '\r') i++;
  return i;
}

/* comments nest in PostgreSQL, unlike in C */
static size_t blockcomment (const rb_SqlScan *z, size_t i) {
  int depth = 0;
  for (; i < z->n; i++) {
    if (z->s[i] == '/' && peek(z, i + 1) == '*') depth++, i++;
    else if (z->s[i] == '*' && peek(z, i + 1) == '/') {
      i++;
      if (--depth == 0) return i + 1;
    }
  }
  return i;
}

/* the first byte from i on that is neither white nor in a comment */
static size_t skipblank (const rb_SqlScan *z, size_t i) {
  for (;;) {
    if (i < z->n && white(z->s[i])) i++;
    else if (peek(z, i) == '-' && peek(z, i + 1) == '-') i = linecomment(z, i);
    else if (peek(z, i) == '/' && peek(z, i + 1) == '*') i = blockcomment(z, i);
    else return i;
  }
}

/* past the quote that closes what opens at i; a doubled one does not */
static size_t skipquoted (const rb_SqlScan *z, size_t i, int escapes) {
  char quote = z->s[i++];
  for (; i < z->n; i++) {
    if (escapes && z->s[i] == '\\') i++;
    else if (z->s[i] == quote && peek(z, ++i) != quote) return i;
  }
  return z->n;
}

/* 'a' 'b' on two lines is one string, escapes and all: where the next part
** begins, or 0. Only line comments may stand in between. */
static size_t nextpart (const rb_SqlScan *z, size_t i) {
  int newline = 0;
  for (;;) {
    if (i < z->n && white(z->s[i]))
      newline |= z->s[i] == '\n' || z->s[i] == '\r', i++;
    else if (peek(z, i) == '-' && peek(z, i + 1) == '-') i = linecomment(z, i);
    else return newline && peek(z, i) == '\'' ? i : 0;
  }
}

static size_t skipstring (const rb_SqlScan *z, size_t i, int escapes) {
  for (size_t next = i; next != 0; next = nextpart(z, i))
    i = skipquoted(z, next, escapes);
  return i;
}

/* past $tag$ ... $tag$, or i when no dollar quote opens here */
static size_t skipdollar (const rb_SqlScan *z, size_t i) {
  size_t end = i + 1;
  if (wordstart(peek(z, end)))
    while (wordbyte(peek(z, end)) && peek(z, end) != '$') end++;
  if (peek(z, end) != '$') return i;
  size_t tag = end + 1 - i;
  for (size_t at = end + 1; at + tag <= z->n; at++)
    if (memcmp(z->s + at, z->s + i, tag) == 0) return at + tag;
  return z->n;
}

/* the name after a colon: [A-Za-z_][A-Za-z0-9_]*, in quotes or not */
static rb_SqlKind takename (rb_SqlScan *z, size_t i, rb_SqlToken *t) {
  char quote = peek(z, i + 1);
  int quoted = quote == '"' || quote == '\'';
  size_t from = i + 1 + (size_t)quoted, to = from;
  if (wordstart(peek(z, from)))
    while (wordbyte(peek(z, to)) && peek(z, to) != '$') to++;
  if (to == from || (quoted && peek(z, to) != quote)) return RB_SQLMARK;
  t->name = z->s + from;
  t->namelen = to - from;
  z->at = to + (size_t)quoted;
  return quote == '"' ? RB_SQLNAME : RB_SQLVALUE;
}

static rb_SqlKind takecolon (rb_SqlScan *z, size_t i, rb_SqlToken *t) {
  char next = peek(z, i + 1);
  if (next == ':' || next == '=') {
    z->at = i + 2;
    return RB_SQLMARK;
  }
  if (z->brackets > 0 && z->operand && i == t->at) return RB_SQLMARK;
  return takename(z, i, t);
}

static rb_SqlKind takeword (rb_SqlScan *z, size_t i) {
  size_t end = i;
  while (wordbyte(peek(z, end))) end++;
  z->at = end;
  if (end - i == 1 && (z->s[i] == 'e' || z->s[i] == 'E') &&
      peek(z, end) == '\'') {
    z->at = skipstring(z, end, 1);
    return RB_SQLTEXT;
  }
  return RB_SQLWORD;
}

static rb_SqlKind takedollar (rb_SqlScan *z, size_t i) {
  if (digit(peek(z, i + 1))) {
    for (z->at = i + 1; digit(peek(z, z->at)); z->at++) ;
    return RB_SQLPARAM;
  }
  size_t end = skipdollar(z, i);
  if (end == i) return RB_SQLMARK;
  z->at = end;
  return RB_SQLTEXT;
}

static rb_SqlKind takenumber (rb_SqlScan *z, size_t i) {
  while (wordbyte(peek(z, i)) || peek(z, i) == '.') i++;
  z->at = i;
  return RB_SQLTEXT;
}

static rb_SqlKind takemark (rb_SqlScan *z, char c) {
  if (c == '[') z->brackets++;
  if (c == ']' && z->brackets > 0) z->brackets--;
  if (c == '(' || c == '[') z->depth++;
  if ((c == ')' || c == ']') && z->depth > 0) z->depth--;
  return RB_SQLMARK;
}

static rb_SqlKind take (rb_SqlScan *z, size_t i, rb_SqlToken *t) {
  char c = z->s[i];
  z->at = i + 1;
  if (wordstart(c)) return takeword(z, i);
  if (digit(c)) return takenumber(z, i);
  switch (c) {
    case ':': return takecolon(z, i, t);
    case '$': return takedollar(z, i);
    case '\'': z->at = skipstring(z, i, 0); return RB_SQLTEXT;
    case '"': z->at = skipquoted(z, i, 0); return RB_SQLTEXT;
    default: return takemark(z, c);
  }
}

rb_SqlKind rb_sql_next (rb_SqlScan *z, rb_SqlToken *t) {
  size_t touching = z->at, at = skipblank(z, z->at);
  memset(t, 0, sizeof *t);
  if (at >= z->n) {
    t->at = z->at = z->n;
    return t->kind = RB_SQLEND;
  }
  t->at = touching;  /* takecolon asks whether anything stands in between */
  t->kind = take(z, at, t);
  t->at = at;
  t->len = z->at - at;
  t->depth = z->depth;
  z->operand = t->kind != RB_SQLMARK || z->s[at] == ')' || z->s[at] == ']';
  return t->kind;
}

int rb_sql_is (const rb_SqlScan *z, const rb_SqlToken *t, const char *word) {
  return t->kind == RB_SQLWORD && strlen(word) == t->len &&
         strncasecmp(z->s + t->at, word, t->len) == 0;
}
