/*
** lines.c - the assignments of a .env file, as they are written there
**
** Readers of these files differ. What is read here is what they agree on:
** NAME=value, an `export` before it, 'literal', "with \n escapes" over several
** lines, and a comment after a space. What is written avoids all on which
** they do not.
*/

#include <string.h>
#include <strings.h>

#include "stdlib/dotenv/lines.h"

static int isspace_ (char c) { return c == ' ' || c == '\t' || c == '\r'; }

static int isnamechar (char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')
         || c == '_';
}

int rb_env_isname (const char *s, size_t n) {
  if (n == 0 || (s[0] >= '0' && s[0] <= '9')) return 0;
  for (size_t i = 0; i < n; i++)
    if (!isnamechar(s[i])) return 0;
  return 1;
}

/* -- reading ------------------------------------------------------------------- */

/* the end of the line at i, with its newline */
static size_t lineend (const char *s, size_t n, size_t i) {
  const char *nl = memchr(s + i, '\n', n - i);
  return nl != NULL ? (size_t)(nl - s) + 1 : n;
}

static size_t skipspace (const char *s, size_t end, size_t i) {
  while (i < end && isspace_(s[i])) i++;
  return i;
}

/* behind the closing quote of what opens at i, or 0: it never closes, or
** something other than a comment follows */
static size_t closing (const char *s, size_t n, size_t i) {
  char quote = s[i++];
  while (i < n && s[i] != quote) i += s[i] == '\\' && quote == '"' ? 2 : 1;
  if (i >= n) return 0;
  size_t rest = skipspace(s, n, ++i);
  return rest >= n || s[rest] == '\n' || (s[rest] == '#' && rest > i) ? i : 0;
}

/* the end of a value without quotes: the line's, or a comment's beginning */
static size_t barevalue (const char *s, size_t end, size_t i) {
  size_t from = i;
  for (; i < end && s[i] != '\n'; i++)
    if (s[i] == '#' && (i == from || isspace_(s[i - 1]))) break;
  while (i > from && isspace_(s[i - 1])) i--;
  return i;
}

static int parse (const char *s, size_t n, size_t at, Entry *e) {
  size_t end = lineend(s, n, at), i = skipspace(s, end, at);
  if (end - i > 7 && memcmp(s + i, "export", 6) == 0 && isspace_(s[i + 6]))
    i = skipspace(s, end, i + 6);
  *e = (Entry){.start = at, .end = end, .name = i};
  while (i < end && isnamechar(s[i])) i++;
  e->namelen = i - e->name;
  i = skipspace(s, end, i);
  if (i >= end || s[i] != '=' || !rb_env_isname(s + e->name, e->namelen)) return 0;
  e->value = i = skipspace(s, end, i + 1);
  size_t close = 0;
  if (i < end && (s[i] == '\'' || s[i] == '"' || s[i] == '`'))
    close = closing(s, n, i);
  if (close != 0) e->quote = s[i];
  else close = barevalue(s, end, i);
  e->valuelen = close - e->value;
  e->end = lineend(s, n, close - 1);
  return 1;
}

static int countlines (const char *s, size_t from, size_t to) {
  int n = 0;
  for (; from < to; from++) n += s[from] == '\n';
  return n;
}

int rb_env_next (const char *s, size_t n, size_t *at, int *line, Entry *e) {
  while (*at < n) {
    size_t from = *at;
    int first = *line, found = parse(s, n, from, e);
    *at = found ? e->end : lineend(s, n, from);
    *line += countlines(s, from, *at);
    e->line = first;
    if (found) return 1;
  }
  return 0;
}

int rb_env_find (const char *s, size_t n, const char *name, Entry *e) {
  Entry one;
  size_t at = 0, len = strlen(name);
  int line = 1, count = 0;
  while (rb_env_next(s, n, &at, &line, &one)) {
    if (one.namelen != len || memcmp(s + one.name, name, len) != 0) continue;
    *e = one;
    count++;
  }
  return count;
}

size_t rb_env_decode (const char *s, const Entry *e, char *out) {
  static const char letters[] = "nrt\"\\$`", meanings[] = "\n\r\t\"\\$`";
  const char *v = s + e->value;
  size_t n = e->valuelen, to = 0;
  if (e->quote != 0) { v++; n -= 2; }
  for (size_t i = 0; i < n; i++) {
    const char *letter = NULL;
    if (e->quote == '"' && v[i] == '\\' && i + 1 < n)
      letter = strchr(letters, v[i + 1]);
    if (letter != NULL && *letter != '\0') {
      out[to++] = meanings[letter - letters];
      i++;
    } else
      out[to++] = v[i];
  }
  return to;
}

/* -- writing -------------------------------------------------------------------- */

static int holds (const char *value, size_t n, const char *chars) {
  for (size_t i = 0; i < n; i++)
    if (strchr(chars, value[i]) != NULL) return 1;
  return 0;
}

/* may it stand without quotes? In a new line only what no shell would touch */
static int bare (const char *value, size_t n, int isnew) {
  static const char safe[] = "_./:@%+,=-";
  for (size_t i = 0; i < n; i++)
    if (isnew && !isnamechar(value[i]) && strchr(safe, value[i]) == NULL) return 0;
  return !holds(value, n, " \t\r#\"'`$\\");
}

size_t rb_env_encode (const char *value, size_t n, const Entry *old, char *out) {
  char quote = old != NULL ? old->quote : 0;
  int literal = memchr(value, '\'', n) == NULL;
  if (quote == 0 && bare(value, n, old == NULL)) {
    memcpy(out, value, n);
    return n;
  }
  if (quote != '"' || holds(value, n, "\"\\$`")) {
    if (quote == '`' && memchr(value, '`', n) == NULL) quote = '`';
    else quote = literal && (quote == '\'' || holds(value, n, "\"\\$`")) ? '\'' : '"';
  }
  size_t to = 0;
  out[to++] = quote;
  for (size_t i = 0; i < n; i++) {
    if (quote == '"' && strchr("\"\\$`", value[i]) != NULL) out[to++] = '\\';
    out[to++] = value[i];
  }
  out[to++] = quote;
  return to;
}

/* -- secrets --------------------------------------------------------------------- */

int rb_env_issecret (const char *name, size_t n) {
  static const char *const words[] = {
    "PASSWORD", "PASSWD", "PASS", "PWD", "PASSPHRASE", "SECRET", "SECRETS", "TOKEN",
    "KEY", "APIKEY", "CREDENTIAL", "CREDENTIALS", "PRIVATE", NULL
  };
  for (size_t at = 0; at < n; at++) {
    size_t len = 0;
    while (at + len < n && name[at + len] != '_') len++;
    for (const char *const *w = words; *w != NULL; w++)
      if (strlen(*w) == len && strncasecmp(name + at, *w, len) == 0) return 1;
    at += len;
  }
  return 0;
}

size_t rb_env_password (const char *value, size_t n, size_t *at) {
  const char *end = value + n, *p = value;
  while (p + 3 <= end && memcmp(p, "://", 3) != 0) p++;
  if (p + 3 > end) return 0;
  p += 3;
  const char *slash = memchr(p, '/', (size_t)(end - p));
  const char *stop = slash != NULL ? slash : end, *host = NULL;
  for (const char *q = p; q < stop; q++)
    if (*q == '@') host = q;
  const char *colon = host != NULL ? memchr(p, ':', (size_t)(host - p)) : NULL;
  if (colon == NULL || colon + 1 == host) return 0;
  *at = (size_t)(colon + 1 - value);
  return (size_t)(host - colon - 1);
}
