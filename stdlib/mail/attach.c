/*
** attach.c - what is attached: a file that the target allows, or a text at hand
*/

#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "stdlib/common/place.h"
#include "stdlib/mail/mail.h"

#define MOST ((size_t)10 << 20)  /* bytes of one: servers refuse what is much larger */

static const struct { const char *suffix, *type; } types[] = {
  {".txt", "text/plain; charset=utf-8"}, {".log", "text/plain; charset=utf-8"},
  {".md", "text/markdown; charset=utf-8"}, {".csv", "text/csv; charset=utf-8"},
  {".html", "text/html; charset=utf-8"}, {".json", "application/json"},
  {".pdf", "application/pdf"}, {".png", "image/png"}, {".zip", "application/zip"},
  {".gz", "application/gzip"}, {".ics", "text/calendar; charset=utf-8"},
  {NULL, "application/octet-stream"}
};

static const char *typeof_ (const char *name) {
  size_t n = strlen(name);
  int i = 0;
  for (; types[i].suffix != NULL; i++) {
    size_t k = strlen(types[i].suffix);
    if (n > k && strcasecmp(name + n - k, types[i].suffix) == 0) break;
  }
  return types[i].type;
}

/* [-0, +1, v]  the content of an open file */
static void pushfile (lua_State *L, const char *path, int fd) {
  luaL_Buffer b;
  ssize_t n = 1;
  size_t all = 0;
  luaL_buffinit(L, &b);
  while (n > 0 && all <= MOST) {
    char *room = luaL_prepbuffsize(&b, 65536);
    n = read(fd, room, 65536);
    if (n > 0) luaL_addsize(&b, (size_t)n);
    if (n > 0) all += (size_t)n;
  }
  close(fd);
  luaL_pushresult(&b);
  if (n < 0) rb_fail(L, "io", RB_NOTDONE, "mail: %s cannot be read", path);
  if (all > MOST)
    rb_fail(L, "limit", RB_NOTDONE, "mail: %s is larger than the 10 MB that can be "
            "attached", path);
}

/* an invitation says in its type what it wants (RFC 6047); [-0, +1, v] */
static void pushtype (lua_State *L, const char *type, const char *name, const char *content) {
  if (type == NULL) type = typeof_(name);
  for (const char *s = type; *s != '\0'; s++)
    if ((unsigned char)*s < ' ' || (unsigned char)*s >= 0x7f)
      luaL_error(L, "mail.send: attach: a type is such as text/csv");
  const char *method = strncasecmp(type, "text/calendar", 13) == 0
                       && strcasestr(type, "method=") == NULL ? strstr(content, "\nMETHOD:") : NULL;
  if (method == NULL) lua_pushstring(L, type);
  else {
    lua_pushlstring(L, method + 8, strspn(method + 8, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"));
    lua_pushfstring(L, "%s; method=%s", type, lua_tostring(L, -1));
    lua_remove(L, -2);
  }
}

/* [-1, +1, v]  the path at the top */
static void frompath (lua_State *L) {
  rb_Place p;
  const char *path = lua_tostring(L, -1);
  const char *why = rb_place_resolve(&p, path, 1);
  if (why != NULL) rb_fail(L, "missing", RB_NOTDONE, "mail: %s %s", path, why);
  if (!rb_allowed(L, "reads", p.path))
    rb_fail(L, "refused", RB_NOTDONE, "mail: %s is not in a folder that this target "
            "allows: see its allow.files in the configuration", p.path);
  why = rb_place_open(&p);
  int fd = why == NULL && p.fd >= 0 ? rb_place_read(&p) : -1;
  rb_place_close(&p);
  if (fd < 0) rb_fail(L, "missing", RB_NOTDONE, "mail: there is no file %s to attach", path);
  lua_createtable(L, 0, 3);
  pushfile(L, path, fd);
  pushtype(L, NULL, p.name, lua_tostring(L, -1));
  lua_setfield(L, -3, "type");
  lua_setfield(L, -2, "content");
  lua_pushstring(L, p.name);
  lua_setfield(L, -2, "name");
  lua_remove(L, -2);
}

/* [-0, +1, v]  a field that is a text, or nil */
static const char *text (lua_State *L, int idx, const char *field, size_t *n) {
  int type = lua_getfield(L, idx, field);
  if (type != LUA_TNIL && type != LUA_TSTRING)
    luaL_error(L, "mail.send: attach: %s is a text, not a %s", field, lua_typename(L, type));
  return lua_tolstring(L, -1, n);
}

/* [-1, +1, v]  the table at the top */
static void fromtable (lua_State *L) {
  static const char *const fields[] = {"name", "type", "content", NULL};
  size_t n;
  int at = lua_gettop(L);
  rb_notice_known(L, at, fields);
  const char *name = text(L, at, "name", &n);
  if (name == NULL || n == 0 || strlen(name) != n || strchr(name, '/') != NULL)
    luaL_error(L, "mail.send: attach: a name such as \"rows.csv\" is expected");
  rb_mail_header(L, "attach: name", name, n);
  const char *content = text(L, at, "content", &n);
  if (content == NULL) luaL_error(L, "mail.send: attach: %s has no content", name);
  if (n > MOST)
    rb_fail(L, "limit", RB_NOTDONE, "mail: %s is larger than the 10 MB that can be "
            "attached", name);
  pushtype(L, text(L, at, "type", &n), name, content);
  lua_createtable(L, 0, 3);
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, "type");
  lua_pushstring(L, name);
  lua_setfield(L, -2, "name");
  lua_getfield(L, at, "content");
  lua_setfield(L, -2, "content");
  lua_replace(L, at);
  lua_settop(L, at);
}

void rb_mail_attachment (lua_State *L) {
  if (lua_type(L, -1) == LUA_TSTRING) frompath(L);
  else if (lua_istable(L, -1)) fromtable(L);
  else luaL_error(L, "mail.send: attach: a path or { name =, type =, content = } is expected, "
                  "not a %s", luaL_typename(L, -1));
}
