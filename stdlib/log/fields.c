/*
** fields.c - a field of a line that is a JSON object
**
** The line is walked only as far as the field; nothing is built of the rest. What the
** value means is jansson's to say, where it is more than the bytes between quotes.
*/

#include <jansson.h>
#include <string.h>

#include "stdlib/log/log.h"

int rb_log_path (const char *s, size_t n, Path *p) {
  const char *end = s + n;
  for (p->n = 0; p->n < RB_LOG_DEPTH; s++) {
    const char *dot = memchr(s, '.', (size_t)(end - s));
    const char *stop = dot != NULL ? dot : end;
    if (stop == s) return 0;
    p->name[p->n++] = (Text){s, (size_t)(stop - s)};
    if (dot == NULL) return 1;
    s = dot;
  }
  return 0;
}

static inline const char *blanks (const char *s, const char *end) {
  while (s < end && (*s == ' ' || *s == '\t')) s++;
  return s;
}

/* the closing quote of the string whose first character is at s; NULL: there is none */
static inline const char *closing (const char *s, const char *end) {
  for (const char *from = s; from < end; ) {
    const char *q = memchr(from, '"', (size_t)(end - from));
    if (q == NULL) return NULL;
    const char *b = q;
    while (b > s && b[-1] == '\\') b--;
    if ((q - b) % 2 == 0) return q;
    from = q + 1;
  }
  return NULL;
}

/* behind the value at s; NULL: it is not well formed */
static const char *behind (const char *s, const char *end) {
  int depth = 0;
  for (; s < end; s++) {
    if (*s == '"') {
      if ((s = closing(s + 1, end)) == NULL) return NULL;
    } else if (*s == '{' || *s == '[') depth++;
    else if (*s == '}' || *s == ']') {
      if (depth == 0) return s;
      depth--;
    } else if (*s == ',' && depth == 0) return s;
  }
  return NULL;
}

/* the value of a name in the object at s, not behind it yet; NULL: there is none */
static const char *find (const char *s, const char *end, const Text *name) {
  if (s == end || *s != '{') return NULL;
  for (s++;; s++) {
    s = blanks(s, end);
    if (s == end || *s != '"') return NULL;
    const char *key = s + 1, *close = closing(key, end);
    if (close == NULL) return NULL;
    s = blanks(close + 1, end);
    if (s == end || *s != ':') return NULL;
    s = blanks(s + 1, end);
    if ((size_t)(close - key) == name->n && memcmp(key, name->s, name->n) == 0) return s;
    s = behind(s, end);
    if (s == NULL || *s != ',') return NULL;
  }
}

int rb_log_field (const Text *line, const Path *p, Text *value) {
  const char *end = line->s + line->n, *s = blanks(line->s, end);
  for (int i = 0; i < p->n && s != NULL; i++) s = find(s, end, &p->name[i]);
  const char *stop = s != NULL ? behind(s, end) : NULL;
  if (stop == NULL) return 0;
  while (stop > s && (stop[-1] == ' ' || stop[-1] == '\t')) stop--;
  *value = (Text){s, (size_t)(stop - s)};
  return stop > s;
}

int rb_log_plain (const Text *value, char *out, size_t n, Text *plain) {
  const char *s = value->s;
  if (*s == '{' || *s == '[') return 0;
  *plain = *value;
  if (*s != '"') return 1;
  *plain = (Text){s + 1, value->n - 2};
  if (memchr(plain->s, '\\', plain->n) == NULL) return 1;
  json_t *v = json_loadb(s, value->n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
  if (v == NULL) return 0;
  size_t len = json_string_length(v);
  if (len > n) len = n;
  memcpy(out, json_string_value(v), len);
  *plain = (Text){out, len};
  json_decref(v);
  return 1;
}
