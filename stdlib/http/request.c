/*
** request.c - the arguments of a call as a request
**
** Scripts name a path below the configured URL and nothing else. A value that
** takes the place of a {name} is one segment of it and cannot become more.
*/

#include <ctype.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>

#include "stdlib/http/http.h"

/* what a path or a query may hold as it is (RFC 3986) */
#define PLAIN "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789" \
              "/-._~!$&'()*+,;=:@%[]"

const rb_HttpMethod
  rb_http_get = {"GET", 1, 0, 0},
  rb_http_head = {"HEAD", 1, 0, 0},
  rb_http_options = {"OPTIONS", 1, 0, 0},
  rb_http_post = {"POST", 0, 1, 0},
  rb_http_put = {"PUT", 0, 1, 1},
  rb_http_patch = {"PATCH", 0, 1, 1},
  rb_http_delete = {"DELETE", 0, 1, 1};

int rb_http_misuse (lua_State *L, const rb_HttpTransfer *t, const char *fmt, ...) {
  char method[8] = "";
  va_list ap;
  for (size_t i = 0; t->method->name[i] != '\0'; i++)
    method[i] = (char)tolower((unsigned char)t->method->name[i]);
  lua_pushfstring(L, "%s:%s: ", t->base->name, method);
  va_start(ap, fmt);
  lua_pushvfstring(L, fmt, ap);
  va_end(ap);
  lua_concat(L, 2);
  return lua_error(L);
}

/* -- values ------------------------------------------------------------------- */

/* [-0, +1, v]  the value at the top as text: a string, number, boolean, secret */
static const char *totext (lua_State *L, const rb_HttpTransfer *t,
                           const char *what, const char *name, size_t *n) {
  if (lua_isboolean(L, -1)) {
    lua_pushstring(L, lua_toboolean(L, -1) ? "true" : "false");
    return lua_tolstring(L, -1, n);
  }
  int type = lua_type(L, -1);
  if (type != LUA_TSTRING && type != LUA_TNUMBER && type != LUA_TUSERDATA)
    rb_http_misuse(L, t, "%s '%s' is %s; a text or a number is expected", what,
                   name, type == LUA_TNIL ? "missing" : lua_typename(L, type));
  return rb_text(L, -1, n);
}

const char *rb_http_nextkey (lua_State *L, const rb_HttpTransfer *t, int idx,
                             const char *after) {
  const char *best = NULL;
  lua_pushnil(L);
  while (lua_next(L, idx) != 0) {
    size_t n;
    lua_pop(L, 1);
    if (lua_type(L, -1) != LUA_TSTRING)
      rb_http_misuse(L, t, "names are texts, not a %s", luaL_typename(L, -1));
    const char *key = lua_tolstring(L, -1, &n);  /* the table keeps it alive */
    if (strlen(key) != n) rb_http_misuse(L, t, "a name may not hold a NUL");
    if ((after == NULL || strcmp(key, after) > 0)
        && (best == NULL || strcmp(key, best) < 0)) best = key;
  }
  return best;
}

static void addpair (lua_State *L, const rb_HttpTransfer *t, rb_HttpText *to,
                     const char *key, int *first) {
  size_t n;
  const char *value = totext(L, t, "the value of", key, &n);
  if (!*first) rb_http_add(L, to, "&", 1);
  *first = 0;
  rb_http_encode(L, to, key, strlen(key));
  rb_http_add(L, to, "=", 1);
  rb_http_encode(L, to, value, n);
  lua_pop(L, 1);
}

void rb_http_pairs (lua_State *L, rb_HttpTransfer *t, rb_HttpText *to, int idx) {
  int first = 1;
  for (const char *key = NULL; (key = rb_http_nextkey(L, t, idx, key)) != NULL; ) {
    if (lua_getfield(L, idx, key) != LUA_TTABLE) {
      addpair(L, t, to, key, &first);
      lua_pop(L, 1);
      continue;
    }
    for (lua_Integer i = 1; lua_geti(L, -1, i) != LUA_TNIL; i++) {
      addpair(L, t, to, key, &first);
      lua_pop(L, 1);
    }
    lua_pop(L, 2);
  }
}

/* -- the path -------------------------------------------------------------------- */

/* "{name}..." at s: the value takes its place; returns what comes after it */
static const char *addvalue (lua_State *L, rb_HttpTransfer *t, const char *s,
                             int values, int inquery) {
  const char *name = s + 1;
  size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz_0123456789"
                          "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
  if (n == 0 || name[n] != '}')
    rb_http_misuse(L, t, "path: '{' begins a name such as {tenant}: %s", s);
  const char *key = lua_pushlstring(L, name, n);
  if (values == 0)
    rb_http_misuse(L, t, "the path has {%s}: say path = run, or path = { %s = ... }",
                   key, key);
  lua_getfield(L, values, key);
  const char *value = totext(L, t, "the path's", key, &n);
  if (n == 0 && !inquery)
    rb_http_misuse(L, t, "the path's '%s' is empty: that would be another path", key);
  rb_http_encode(L, &t->url, value, n);
  n = strlen(key);
  lua_pop(L, 3);
  return name + n + 1;
}

/* a byte of the path as the script wrote it */
static void addliteral (lua_State *L, rb_HttpTransfer *t, const char *s) {
  unsigned char c = (unsigned char)*s;
  if (c < ' ' || c == 0x7f)
    rb_http_misuse(L, t, "path: control characters have no place in it");
  if (c == '#' || c == '}')
    rb_http_misuse(L, t, "path: a '%c' has no place in it", c);
  rb_http_encode(L, &t->url, s, 1);
}

static void checkpath (lua_State *L, const rb_HttpTransfer *t) {
  size_t n;
  if (lua_type(L, PATH) != LUA_TSTRING)
    rb_http_misuse(L, t, "a path is expected, such as \"/health\"");
  const char *s = lua_tolstring(L, PATH, &n);
  if (strlen(s) != n) rb_http_misuse(L, t, "path: a NUL has no place in it");
  if (strstr(s, "://") != NULL && *s != '/')
    rb_http_misuse(L, t, "a path is expected, not a URL: where the system is says "
                   "the configuration");
  if (*s != '/')
    rb_http_misuse(L, t, "a path begins with '/': \"%s\"", s);
}

/* the table or `run` with the path's values: its index, 0 when there is none */
static int pathvalues (lua_State *L, const rb_HttpTransfer *t) {
  if (lua_isnil(L, OPTIONS)) return 0;
  int type = lua_getfield(L, OPTIONS, "path");
  if (type == LUA_TNIL) return 0;
  if (type != LUA_TTABLE && type != LUA_TUSERDATA)
    rb_http_misuse(L, t, "path = ... is a table or run, not a %s",
                   lua_typename(L, type));
  return lua_gettop(L);
}

/* [-0, +0, v]  url, with the query that the path itself has */
static void addpath (lua_State *L, rb_HttpTransfer *t) {
  int top = lua_gettop(L), inquery = 0;
  checkpath(L, t);
  int values = pathvalues(L, t);
  rb_http_puts(L, &t->url, t->base->root);
  t->path = t->url.n;
  for (const char *s = lua_tostring(L, PATH); *s != '\0'; ) {
    size_t n = strspn(s, PLAIN);
    rb_http_add(L, &t->url, s, n);
    s += n;
    if (*s == '?' && !inquery) {
      inquery = 1;
      t->query = t->url.n;
    }
    if (*s == '{') s = addvalue(L, t, s, values, inquery);
    else if (*s == '?') rb_http_add(L, &t->url, s++, 1);
    else if (*s != '\0') addliteral(L, t, s++);
  }
  lua_settop(L, top);
  if (!inquery) t->query = t->url.n;
  if (rb_http_dots(t->url.s + t->path, t->query - t->path))
    rb_http_misuse(L, t, "path: '.' and '..' have no place in it: %s",
                   t->url.s + t->path);
}

static void addquery (lua_State *L, rb_HttpTransfer *t) {
  int type = lua_getfield(L, OPTIONS, "query");
  if (type != LUA_TNIL) {
    if (type != LUA_TTABLE)
      rb_http_misuse(L, t, "query = ... is a table, not a %s", lua_typename(L, type));
    if (rb_http_nextkey(L, t, lua_gettop(L), NULL) != NULL)
      rb_http_puts(L, &t->url, t->query == t->url.n ? "?" : "&");
    rb_http_pairs(L, t, &t->url, lua_gettop(L));
  }
  lua_pop(L, 1);
}

/* -- headers ------------------------------------------------------------------------- */

void rb_http_line (lua_State *L, rb_HttpTransfer *t, const char *line) {
  struct curl_slist *longer;
  if (t->headers == NULL)
    for (const struct curl_slist *h = t->base->headers; h != NULL; h = h->next) {
      longer = curl_slist_append(t->headers, h->data);
      if (longer == NULL) luaL_error(L, "not enough memory");
      t->headers = longer;
    }
  if (line == NULL) return;
  longer = curl_slist_append(t->headers, line);
  if (longer == NULL) luaL_error(L, "not enough memory");
  t->headers = longer;
}

void rb_http_header (lua_State *L, rb_HttpTransfer *t, const char *name,
                     const char *value) {
  rb_http_line(L, t, NULL);
  if (!rb_http_setheader(&t->headers, name, value))
    luaL_error(L, "not enough memory");
}

static void addheaders (lua_State *L, rb_HttpTransfer *t) {
  int type = lua_getfield(L, OPTIONS, "headers"), at = lua_gettop(L);
  if (type != LUA_TNIL && type != LUA_TTABLE)
    rb_http_misuse(L, t, "headers = ... is a table, not a %s", lua_typename(L, type));
  for (const char *name = NULL; type == LUA_TTABLE
       && (name = rb_http_nextkey(L, t, at, name)) != NULL; ) {
    size_t n;
    lua_getfield(L, at, name);
    const char *value = totext(L, t, "the header", name, &n);
    const char *bad = rb_http_badheader(name, value, n);
    if (bad == NULL && strcasecmp(name, "host") == 0)
      bad = "where the system is says the configuration";
    if (bad != NULL) rb_http_misuse(L, t, "header '%s': %s", name, bad);
    if (strcasecmp(name, "if-match") == 0) t->asked = 1;
    rb_http_header(L, t, name, value);
    lua_settop(L, at);
  }
  lua_pop(L, 1);
}

/* -- the other options ------------------------------------------------------------------ */

static const struct { const char *name; int body; } known[] = {
  {"path", 0}, {"query", 0}, {"headers", 0}, {"timeout", 0},
  {"json", 1}, {"form", 1}, {"body", 1}, {"expect", 1}, {NULL, 0}
};

static void checkknown (lua_State *L, const rb_HttpTransfer *t, const char *name) {
  for (int i = 0; known[i].name != NULL; i++) {
    if (strcmp(name, known[i].name) != 0) continue;
    if (!known[i].body || t->method->body) return;
    if (strcmp(name, "expect") == 0)
      rb_http_misuse(L, t, "expect is for what changes something: a status is an "
                     "answer here (response.status, response:ok())");
    rb_fail(L, "refused", RB_NOTDONE, "%s: %s only looks and carries no body (%s)",
            t->base->name, t->method->name, name);
  }
  rb_http_misuse(L, t, t->method->body ? "unknown option '%s' (there are path, query, "
                 "headers, timeout, json, form, body and expect)" : "unknown option "
                 "'%s' (there are path, query, headers and timeout)", name);
}

static void checkoptions (lua_State *L, const rb_HttpTransfer *t) {
  if (!lua_istable(L, OPTIONS))
    rb_http_misuse(L, t, "options are a table, not a %s", luaL_typename(L, OPTIONS));
  lua_pushnil(L);
  while (lua_next(L, OPTIONS) != 0) {
    lua_pop(L, 1);
    if (lua_type(L, -1) != LUA_TSTRING)
      rb_http_misuse(L, t, "options have names: { query = ... }");
    checkknown(L, t, lua_tostring(L, -1));
  }
}

static void readtimeout (lua_State *L, rb_HttpTransfer *t) {
  int type = lua_getfield(L, OPTIONS, "timeout");
  if (type != LUA_TNIL
      && (type != LUA_TSTRING || !rb_duration(lua_tostring(L, -1), &t->timeout)
          || t->timeout <= 0))
    rb_http_misuse(L, t, "timeout: a duration is expected, such as \"10s\"");
  lua_pop(L, 1);
}

/* [-1, +0, v]  the status at the top is expected, too */
static void addexpect (lua_State *L, rb_HttpTransfer *t) {
  lua_Integer status = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : 0;
  if (status < 100 || status > 599)
    rb_http_misuse(L, t, "expect: a list of statuses is expected, such as { 200, 202 }");
  if (t->nexpect == (int)(sizeof t->expect / sizeof *t->expect))
    rb_http_misuse(L, t, "expect: that is a long list");
  t->expect[t->nexpect++] = (short)status;
  lua_pop(L, 1);
}

static void readexpect (lua_State *L, rb_HttpTransfer *t) {
  if (lua_getfield(L, OPTIONS, "expect") == LUA_TTABLE) {
    for (lua_Integer i = 1; lua_geti(L, -1, i) != LUA_TNIL; i++) addexpect(L, t);
    lua_pop(L, 1);
    if (t->nexpect == 0) rb_http_misuse(L, t, "expect: the list is empty");
  } else if (!lua_isnil(L, -1)) {
    addexpect(L, t);
    return;
  }
  lua_pop(L, 1);
}

rb_HttpTransfer *rb_http_request (lua_State *L, const rb_HttpMethod *m) {
  lua_settop(L, OPTIONS);
  rb_HttpTransfer *t = rb_http_open(L, rb_http_base(L));
  t->method = m;
  if (!lua_isnil(L, OPTIONS)) checkoptions(L, t);
  addpath(L, t);
  if (!lua_isnil(L, OPTIONS)) {
    addquery(L, t);
    addheaders(L, t);
    readtimeout(L, t);
    readexpect(L, t);
    if (m->body) rb_http_body(L, t);
  }
  if (m->body && rb_http_listed(t->headers, "Content-Type") == NULL
      && rb_http_listed(t->base->headers, "Content-Type") == NULL)
    rb_http_line(L, t, "Content-Type:");   /* curl would claim a form */
  if (t->out.n > 1000000) rb_http_line(L, t, "Expect:");
  return t;
}
