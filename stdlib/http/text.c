/*
** text.c - bytes that grow, percent signs, and headers as lines
*/

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "stdlib/http/http.h"

/* -- bytes ------------------------------------------------------------------ */

int rb_http_grow (rb_HttpText *t, const char *s, size_t n) {
  if (t->n + n >= t->size) {
    size_t size = t->size < 512 ? 1024 : t->size * 2;
    while (size <= t->n + n) size *= 2;
    char *bigger = realloc(t->s, size);
    if (bigger == NULL) return 0;
    t->s = bigger;
    t->size = size;
  }
  if (n > 0) memcpy(t->s + t->n, s, n);
  t->n += n;
  t->s[t->n] = '\0';
  return 1;
}

void rb_http_free (rb_HttpText *t) {
  free(t->s);
  *t = (rb_HttpText){0};
}

void rb_http_add (lua_State *L, rb_HttpText *t, const char *s, size_t n) {
  if (!rb_http_grow(t, s, n)) luaL_error(L, "not enough memory");
}

void rb_http_puts (lua_State *L, rb_HttpText *t, const char *s) {
  rb_http_add(L, t, s, strlen(s));
}

/* -- percent signs -------------------------------------------------------------- */

static int unreserved (unsigned char c) {
  return (c < 0x80 && isalnum(c)) || (c != '\0' && strchr("-._~", c) != NULL);
}

void rb_http_encode (lua_State *L, rb_HttpText *t, const char *s, size_t n) {
  static const char hex[] = "0123456789ABCDEF";
  size_t from = 0;
  for (size_t i = 0; i < n; i++) {
    unsigned char c = (unsigned char)s[i];
    if (unreserved(c)) continue;
    rb_http_add(L, t, s + from, i - from);
    rb_http_add(L, t, (char[]){'%', hex[c >> 4], hex[c & 15]}, 3);
    from = i + 1;
  }
  rb_http_add(L, t, s + from, n - from);
}

static int hexvalue (char c) {
  if ('0' <= c && c <= '9') return c - '0';
  c |= 0x20;
  return 'a' <= c && c <= 'f' ? c - 'a' + 10 : -1;
}

/* the byte at *s, decoded; *s goes past it */
static int decoded (const char **s, const char *end) {
  const char *p = *s;
  if (*p == '%' && end - p >= 3 && hexvalue(p[1]) >= 0 && hexvalue(p[2]) >= 0) {
    *s = p + 3;
    return hexvalue(p[1]) * 16 + hexvalue(p[2]);
  }
  *s = p + 1;
  return (unsigned char)*p;
}

/* Frameworks obey a field of this name in queries and forms; PHP reads it from
** " _method", ".method" and "_method[]", too. */
static int saysmethod (const char *s, const char *end) {
  static const char name[] = "_method";
  size_t i = 0;
  while (s < end && i < sizeof name) {
    int c = decoded(&s, end);
    if (i == 0 && (c == ' ' || c == '+')) continue;
    if (i == 0 && (c == '.' || c == '[')) c = '_';
    if (tolower(c) != name[i]) return i == sizeof name - 1 && c == '[';
    i++;
  }
  return i >= sizeof name - 1;
}

int rb_http_override (const char *query, size_t n) {
  const char *end = query + n;
  for (const char *s = query; s < end; s++) {
    const char *name = s, *stop;
    while (s < end && *s != '&' && *s != ';') s++;
    stop = memchr(name, '=', (size_t)(s - name));
    if (saysmethod(name, stop != NULL ? stop : s)) return 1;
  }
  return 0;
}

int rb_http_dots (const char *path, size_t n) {
  const char *end = path + n;
  for (const char *s = path; s < end; ) {
    int dots = 0, others = 0;
    if (*s == '/') s++;
    while (s < end && *s != '/') {
      if (decoded(&s, end) == '.') dots++;
      else others++;
    }
    if (others == 0 && (dots == 1 || dots == 2)) return 1;
  }
  return 0;
}

/* -- headers ----------------------------------------------------------------------- */

/* what the transport itself sets: another one would cut messages differently */
static const char *const ours[] = {
  "connection", "content-length", "expect", "keep-alive", "proxy-connection",
  "te", "trailer", "transfer-encoding", "upgrade", NULL
};

const char *rb_http_badheader (const char *name, const char *value, size_t n) {
  size_t len = strlen(name);
  if (len == 0) return "a name without letters";
  for (size_t i = 0; i < len; i++) {
    unsigned char c = (unsigned char)name[i];
    if (c <= ' ' || c >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", c) != NULL)
      return "a name may have letters, digits and dashes only";
  }
  for (const char *const *h = ours; *h != NULL; h++)
    if (strcasecmp(name, *h) == 0) return "it is set by the transport";
  for (size_t i = 0; i < n; i++) {
    unsigned char c = (unsigned char)value[i];
    if ((c < ' ' && c != '\t') || c == 0x7f)
      return "a value may not hold line breaks or other control characters";
  }
  return NULL;
}

/* the value in "Name: value" if the name is that one */
static const char *valueof (const char *line, const char *name) {
  size_t n = strlen(name);
  if (strncasecmp(line, name, n) != 0) return NULL;
  if (line[n] != ':' && line[n] != ';') return NULL;
  return line + n + 1 + strspn(line + n + 1, " \t");
}

const char *rb_http_find (const rb_HttpText *head, const char *name, size_t *n) {
  const char *line = head->n > 0 ? head->s : "";
  for (; *line != '\0'; line += strcspn(line, "\n"), line += *line == '\n') {
    const char *value = valueof(line, name);
    if (value == NULL) continue;
    *n = strcspn(value, "\r\n");
    while (*n > 0 && (value[*n - 1] == ' ' || value[*n - 1] == '\t')) (*n)--;
    return value;
  }
  return NULL;
}

const char *rb_http_listed (const struct curl_slist *l, const char *name) {
  for (; l != NULL; l = l->next) {
    const char *value = valueof(l->data, name);
    if (value != NULL) return value;
  }
  return NULL;
}

/* curl's notation: "Name;" is a header without a value ("Name:" is none) */
static char *headerline (const char *name, const char *value) {
  size_t n = strlen(name), len = strlen(value);
  char *line = malloc(n + len + 3);
  if (line == NULL) return NULL;
  memcpy(line, name, n);
  strcpy(line + n, len > 0 ? ": " : ";");
  return strcat(line, value);
}

int rb_http_setheader (struct curl_slist **l, const char *name,
                       const char *value) {
  char *line = headerline(name, value);
  if (line == NULL) return 0;
  for (struct curl_slist *h = *l; h != NULL; h = h->next) {
    if (valueof(h->data, name) == NULL) continue;
    free(h->data);          /* curl's lists are of plain malloc */
    h->data = line;
    return 1;
  }
  struct curl_slist *longer = curl_slist_append(*l, line);
  free(line);
  if (longer != NULL) *l = longer;
  return longer != NULL;
}
