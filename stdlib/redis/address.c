/*
** address.c - where a server is and who we are there, read from a URL
**
**   redis://[[user]:password@]host[:port][/database]   rediss:// is TLS
**   unix://[[user]:password@]/path/to/socket[?db=database]
*/

#include <stdlib.h>
#include <string.h>

#include "stdlib/redis/redis.h"

#define EXPECTED \
  "redis://user:password@host:port/database (rediss:// for TLS) or " \
  "unix:///path?db=database is expected"

static int hex (char c) {
  const char *digits = "0123456789abcdef0123456789ABCDEF";
  const char *at = c != '\0' ? strchr(digits, c) : NULL;
  return at != NULL ? (int)(at - digits) % 16 : -1;
}

/* The n bytes at s with their %xx undone (malloc'ed); NULL when they cannot
** be read. */
static char *decode (const char *s, size_t n) {
  char *out = malloc(n + 1), *to = out;
  for (size_t i = 0; out != NULL && i < n; i++) {
    int high, low;
    if (s[i] != '%') { *to++ = s[i]; continue; }
    high = i + 2 < n ? hex(s[i + 1]) : -1;
    low = high >= 0 ? hex(s[i + 2]) : -1;
    if (low < 0 || (high == 0 && low == 0)) { free(out); return NULL; }
    *to++ = (char)(high * 16 + low);
    i += 2;
  }
  if (out != NULL) *to = '\0';
  return out;
}

void rb_redis_forget (rb_RedisAddress *a) {
  if (a->password != NULL) explicit_bzero(a->password, strlen(a->password));
  free(a->host);
  free(a->path);
  free(a->user);
  free(a->password);
  *a = (rb_RedisAddress){0};
}

/* "user:password@"; an empty user is the server's default one */
static int readuser (rb_RedisAddress *a, const char *s, const char *end) {
  const char *colon = memchr(s, ':', (size_t)(end - s));
  if (colon == NULL) colon = end;
  if (colon > s && (a->user = decode(s, (size_t)(colon - s))) == NULL) return 0;
  if (colon == end) return 1;
  a->password = decode(colon + 1, (size_t)(end - colon - 1));
  return a->password != NULL;
}

/* a number of at most five digits up to 'end'; -1 when it is none */
static int number (const char *s, const char *end) {
  int n = 0;
  if (s == end || end - s > 5) return -1;
  for (; s < end; s++) {
    if (*s < '0' || *s > '9') return -1;
    n = n * 10 + (*s - '0');
  }
  return n;
}

/* "host:port", "[::1]:port" */
static const char *readhost (rb_RedisAddress *a, const char *s, const char *end) {
  const char *close = *s == '[' ? memchr(s, ']', (size_t)(end - s)) : NULL;
  const char *colon = close != NULL ? close + 1 : memchr(s, ':', (size_t)(end - s));
  if (colon != NULL && colon < end) {
    a->port = *colon == ':' ? number(colon + 1, end) : -1;
    if (a->port < 1 || a->port > 65535) return "its port is not one";
    end = colon;
  }
  if (close != NULL) { s++; end = close; }
  a->host = decode(s, (size_t)(end - s));
  return a->host != NULL && *a->host != '\0' ? NULL : EXPECTED;
}

/* the database, in what is left of the URL */
static const char *readdb (rb_RedisAddress *a, const char *s) {
  if (strncmp(s, "?db=", 4) == 0) s += 4;
  else if (*s == '/') s++;
  if (*s == '\0') return NULL;
  a->db = number(s, s + strlen(s));
  return a->db >= 0 ? NULL : "its database is not a number";
}

static const char *readurl (rb_RedisAddress *a, const char *url) {
  int local = strncmp(url, "unix://", 7) == 0;
  a->tls = strncmp(url, "rediss://", 9) == 0;
  if (!local && !a->tls && strncmp(url, "redis://", 8) != 0) return EXPECTED;
  const char *s = strstr(url, "://") + 3, *at = NULL;
  for (const char *c = s; *c != '\0' && *c != '/' && *c != '?'; c++)
    if (*c == '@') at = c;
  if (at != NULL && !readuser(a, s, at)) return EXPECTED;
  if (at != NULL) s = at + 1;
  const char *end = s + strcspn(s, local ? "?" : "/?");
  if (!local) {
    const char *why = readhost(a, s, end);
    return why != NULL ? why : readdb(a, end);
  }
  if (*s != '/') return EXPECTED;
  a->path = decode(s, (size_t)(end - s));
  return a->path != NULL ? readdb(a, end) : EXPECTED;
}

const char *rb_redis_parse (rb_RedisAddress *a, const char *url) {
  *a = (rb_RedisAddress){.port = 6379};
  const char *why = readurl(a, url);
  if (why != NULL) rb_redis_forget(a);
  return why;
}
