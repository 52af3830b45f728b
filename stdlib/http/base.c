/*
** base.c - a resource as the configuration says it: where it is, what every
** request carries, which requests only look
*/

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "stdlib/http/http.h"

#define TIMEOUT 30.0  /* seconds, where neither call nor configuration say */
#define CONNECT 10.0

/* -- close ------------------------------------------------------------------ */

static void forget (char **s) {
  if (*s != NULL) explicit_bzero(*s, strlen(*s));
  free(*s);
  *s = NULL;
}

static void base_empty (rb_HttpBase *b) {
  char **all[] = {&b->root, &b->user, &b->password, &b->idempotency, &b->ca,
                  &b->health, &b->cert, &b->key, &b->keypassword};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) forget(all[i]);
  curl_slist_free_all(b->headers);
  b->headers = NULL;
  for (char **p = b->probes; p != NULL && *p != NULL; p++) free(*p);
  free(b->probes);
  b->probes = NULL;
}

void rb_http_close (rb_Resource *r) {
  rb_HttpBase *b = r->data;
  r->data = NULL;
  while (b->busy != NULL) rb_http_drop(b->busy);
  while (b->idle != NULL) rb_http_drop(b->idle);
  if (b->open) rb_http_hub(NULL, -1);
  base_empty(b);
  free(b->name);
  free(b);
}

void rb_http_closable (lua_State *L, const char *type, lua_CFunction close) {
  if (luaL_getmetatable(L, type) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_createtable(L, 0, 3);
    lua_pushcfunction(L, close);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, close);
    lua_setfield(L, -2, "__close");
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, type);
  }
  lua_setmetatable(L, -2);
}

/* -- read --------------------------------------------------------------------- */

static int wrong (lua_State *L, const rb_HttpBase *b, const char *key,
                  const char *why) {
  return luaL_error(L, "%s: '%s' in the configuration: %s", b->name, key, why);
}

static char *copy (lua_State *L, const char *s) {
  char *c = strdup(s);
  if (c == NULL) luaL_error(L, "not enough memory");
  return c;
}

/* [-0, +0, v]  a setting that is a text, or nothing */
static void readtext (lua_State *L, rb_Resource *r, const char *key, char **to) {
  rb_HttpBase *b = r->data;
  int type = rb_setting(L, r, key);
  if (type != LUA_TNIL) {
    if (type != LUA_TSTRING) wrong(L, b, key, "a text is expected");
    *to = copy(L, lua_tostring(L, -1));
  }
  lua_pop(L, 1);
}

/* A part of the URL, decoded; NULL where it has none. What curl allocates is
** freed with free: it was never told to use another allocator. */
static char *part (CURLU *u, CURLUPart what) {
  char *s = NULL;
  return curl_url_get(u, what, &s, CURLU_URLDECODE) == CURLUE_OK ? s : NULL;
}

/* the URL without userinfo and without slashes at the end; its origin's length */
static char *rootof (CURLU *u, size_t *origin) {
  char *s = NULL;
  curl_url_set(u, CURLUPART_USER, NULL, 0);
  curl_url_set(u, CURLUPART_PASSWORD, NULL, 0);
  curl_url_set(u, CURLUPART_OPTIONS, NULL, 0);
  if (curl_url_get(u, CURLUPART_URL, &s, 0) != CURLUE_OK) return NULL;
  size_t n = strlen(s);
  while (n > 0 && s[n - 1] == '/') s[--n] = '\0';
  const char *host = strstr(s, "://");
  *origin = host == NULL ? n : (size_t)(host + 3 - s) + strcspn(host + 3, "/");
  return s;
}

/* NULL, or what is wrong with the URL */
static const char *takeurl (rb_HttpBase *b, CURLU *u, const char *url) {
  char *extra = NULL;
  if (strncasecmp(url, "http://", 7) != 0 && strncasecmp(url, "https://", 8) != 0)
    return "http://... or https://... is expected";
  if (curl_url_set(u, CURLUPART_URL, url, 0) != CURLUE_OK)
    return "this is not a URL";
  if (curl_url_get(u, CURLUPART_QUERY, &extra, 0) == CURLUE_OK
      || curl_url_get(u, CURLUPART_FRAGMENT, &extra, 0) == CURLUE_OK) {
    curl_free(extra);
    return "a base URL has no '?' and no '#'";
  }
  b->user = part(u, CURLUPART_USER);
  b->password = part(u, CURLUPART_PASSWORD);
  b->root = rootof(u, &b->origin);
  return b->root != NULL ? NULL : "this is not a URL";
}

static void readurl (lua_State *L, rb_Resource *r) {
  rb_HttpBase *b = r->data;
  if (rb_setting(L, r, "url") != LUA_TSTRING)
    wrong(L, b, "url", "http://... or https://... is expected");
  CURLU *u = curl_url();
  if (u == NULL) luaL_error(L, "not enough memory");
  const char *why = takeurl(b, u, lua_tostring(L, -1));
  curl_url_cleanup(u);
  if (why != NULL) wrong(L, b, "url", why);
  lua_pop(L, 1);
  if (b->password != NULL) {
    const char *name = lua_pushfstring(L, "password of %s", b->name);
    rb_secret(L, name, b->password, strlen(b->password));
    lua_pop(L, 1);
  }
}

/* What every request carries. In curl's list the first two cost half of what
** they do as options, which are formatted anew for each request. */
static void readheaders (lua_State *L, rb_Resource *r) {
  rb_HttpBase *b = r->data;
  if (!rb_http_setheader(&b->headers, "User-Agent", "runbook")
      || !rb_http_setheader(&b->headers, "Accept-Encoding", RB_HTTPENCODINGS))
    luaL_error(L, "not enough memory");
  int type = rb_setting(L, r, "headers");
  if (type != LUA_TNIL && type != LUA_TTABLE)
    wrong(L, b, "headers", "a table of names and values is expected");
  if (type == LUA_TTABLE) {
    lua_pushnil(L);
    while (lua_next(L, -2) != 0) {
      size_t n;
      if (lua_type(L, -2) != LUA_TSTRING)
        wrong(L, b, "headers", "a table of names and values is expected");
      const char *name = lua_tostring(L, -2), *value = rb_text(L, -1, &n);
      const char *bad = rb_http_badheader(name, value, n);
      if (bad != NULL) wrong(L, b, "headers", bad);
      if (!rb_http_setheader(&b->headers, name, value))
        luaL_error(L, "not enough memory");
      lua_pop(L, 2);
    }
  }
  lua_pop(L, 1);
}

/* "POST /search": a method that may carry a body, a space, a path */
static int isprobeline (const char *s) {
  static const char *const words[] = {"POST ", "PUT ", "PATCH ", "DELETE ", NULL};
  for (const char *const *w = words; *w != NULL; w++)
    if (strncmp(s, *w, strlen(*w)) == 0) return s[strlen(*w)] == '/';
  return 0;
}

static void readprobes (lua_State *L, rb_Resource *r) {
  rb_HttpBase *b = r->data;
  int type = rb_setting(L, r, "probes");
  if (type != LUA_TNIL && type != LUA_TTABLE)
    wrong(L, b, "probes", "a list such as { \"POST /search\" } is expected");
  if (type == LUA_TTABLE) {
    size_t n = lua_rawlen(L, -1);
    b->probes = calloc(n + 1, sizeof *b->probes);
    if (b->probes == NULL) luaL_error(L, "not enough memory");
    for (size_t i = 0; i < n; i++) {
      if (lua_rawgeti(L, -1, (lua_Integer)i + 1) != LUA_TSTRING
          || !isprobeline(lua_tostring(L, -1)))
        wrong(L, b, "probes", "each is a method and a path: \"POST /search\"");
      b->probes[i] = copy(L, lua_tostring(L, -1));
      lua_pop(L, 1);
    }
  }
  lua_pop(L, 1);
}

static void readtimeout (lua_State *L, rb_Resource *r, const char *key, double *to,
                         double otherwise) {
  *to = otherwise;
  int type = rb_setting(L, r, key);
  if (type != LUA_TNIL
      && (type != LUA_TSTRING || !rb_duration(lua_tostring(L, -1), to) || *to <= 0))
    wrong(L, r->data, key, "a duration such as \"10s\" is expected");
  lua_pop(L, 1);
}

static void base_read (lua_State *L, rb_Resource *r) {
  rb_HttpBase *b = r->data;
  base_empty(b);
  readurl(L, r);
  readheaders(L, r);
  readprobes(L, r);
  readtimeout(L, r, "timeout", &b->timeout, TIMEOUT);
  readtimeout(L, r, "connect_timeout", &b->connect, CONNECT);
  readtimeout(L, r, "first_byte_timeout", &b->firstbyte, 0);
  readtext(L, r, "idempotency", &b->idempotency);
  readtext(L, r, "ca", &b->ca);
  readtext(L, r, "cert", &b->cert);
  readtext(L, r, "key", &b->key);
  readtext(L, r, "key_password", &b->keypassword);
  if (b->key != NULL && b->cert == NULL)
    wrong(L, b, "key", "it needs 'cert', the certificate that it belongs to");
  readtext(L, r, "health", &b->health);
  if (b->idempotency != NULL && rb_http_badheader(b->idempotency, "", 0) != NULL)
    wrong(L, b, "idempotency", "the name of a header is expected");
  if (b->health != NULL && *b->health != '/')
    wrong(L, b, "health", "a path such as \"/health\" is expected");
}

rb_HttpBase *rb_http_base (lua_State *L) {
  rb_Resource *r = rb_resource(L);
  rb_HttpBase *b = r->data;
  if (b != NULL && b->open) return b;
  if (b == NULL) {
    r->data = b = calloc(1, sizeof *b);
    if (b == NULL || (b->name = strdup(r->name)) == NULL)
      luaL_error(L, "not enough memory");
  }
  base_read(L, r);
  rb_http_hub(L, 1);
  b->open = 1;
  return b;
}
