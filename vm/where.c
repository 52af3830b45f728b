/*
** where.c - where a resource is: two systems may name one server
**
** The URL in one form: without the user, with the port that goes without saying, and
** this machine by one name. Other names of one machine are not looked up.
*/

#include <string.h>
#include <strings.h>

#include "vm/vm.h"

static const struct { const char *kind, *port; } ports[] = {
  {"redis", ":6379"}, {"pg", ":5432"}, {NULL, NULL}
};

static const char *const here[] = {"localhost", "127.0.0.1", "[::1]", NULL};

static const char *portof (const char *kind) {
  for (int i = 0; ports[i].kind != NULL; i++)
    if (strcmp(ports[i].kind, kind) == 0) return ports[i].port;
  return "";
}

/* the length of the host in "host:port", where [::1] has colons, too */
static size_t hostlen (const char *s, size_t n) {
  const char *end = *s == '[' ? memchr(s, ']', n) : NULL;
  size_t from = end != NULL ? (size_t)(end - s) : 0;
  const char *colon = memchr(s + from, ':', n - from);
  return colon != NULL ? (size_t)(colon - s) : n;
}

/* [-0, +1, m]  "host:port" */
static void pushserver (lua_State *L, const char *s, size_t n, const char *kind) {
  size_t host = hostlen(s, n);
  luaL_Buffer b;
  const char *name = NULL;
  for (const char *const *h = here; *h != NULL; h++)
    if (strlen(*h) == host && strncasecmp(*h, s, host) == 0) name = here[1];
  luaL_buffinit(L, &b);
  if (name != NULL) luaL_addstring(&b, name);
  else luaL_addlstring(&b, s, host);
  if (host == n) luaL_addstring(&b, portof(kind));
  luaL_addlstring(&b, s + host, n - host);
  luaL_pushresult(&b);
}

void rb_where_push (lua_State *L, const char *system, const char *kind, int whole) {
  rb_target_resource(rb_vm(L)->target, L, system, kind, "url", rb_push_secret);
  if (luaL_testudata(L, -1, RB_SECRETTYPE) != NULL) {
    rb_text(L, -1, NULL);
    lua_remove(L, -2);
  }
  const char *url = lua_tostring(L, -1);
  const char *s = url != NULL ? strstr(url, "://") : NULL;
  if (s == NULL) {                                    /* words of libpq's own, or none */
    lua_pop(L, 1);
    lua_pushnil(L);
    return;
  }
  s += 3;
  size_t n = strcspn(s, "/?#");
  const char *path = s + n;
  for (size_t i = n; i > 0; i--)
    if (s[i - 1] == '@') {
      s += i;
      n -= i;
      break;
    }
  pushserver(L, s, n, kind);
  size_t named = whole && *path == '/' ? strcspn(path + 1, "?#") : 0;
  if (whole && named == 0 && strcmp(kind, "redis") == 0) lua_pushliteral(L, "/0");
  else lua_pushlstring(L, path, named > 0 ? named + 1 : 0);
  lua_concat(L, 2);
  lua_remove(L, -2);                                  /* the URL */
}

const char *rb_where (lua_State *L, const rb_Resource *r) {
  int known = rb_vm(L)->target != NULL && r->system != NULL;
  if (known) rb_where_push(L, r->system, r->kind, 1);
  if (known && lua_isstring(L, -1)) return lua_tostring(L, -1);
  if (known) lua_pop(L, 1);
  return lua_pushstring(L, r->name);
}
