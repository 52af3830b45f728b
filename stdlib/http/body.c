/*
** body.c - what a request carries: JSON, a form, or bytes as they are
*/

#include <string.h>

#include "stdlib/common/json.h"
#include "stdlib/http/http.h"

#define MAXOUT ((size_t)16 << 20)

static void settype (lua_State *L, rb_HttpTransfer *t, const char *type) {
  if (rb_http_listed(t->headers, "Content-Type") == NULL)
    rb_http_header(L, t, "Content-Type", type);
}

static int append (const char *s, size_t n, void *ud) {
  return rb_http_grow(ud, s, n) ? 0 : -1;
}

static void addjson (lua_State *L, rb_HttpTransfer *t) {
  static const rb_JsonWay way = {.who = "json = ...", .secrets = 1};
  rb_Json *tree = rb_json_tree(L, -1, &way);
  if (json_dump_callback(tree->value, append, &t->out,
                         tree->flags | JSON_COMPACT) != 0)
    luaL_error(L, "not enough memory");
  rb_json_close(tree);
  lua_pop(L, 1);
  settype(L, t, "application/json");
}

static void addform (lua_State *L, rb_HttpTransfer *t) {
  if (!lua_istable(L, -1))
    rb_http_misuse(L, t, "form = ... is a table, not a %s", luaL_typename(L, -1));
  rb_http_pairs(L, t, &t->out, lua_gettop(L));
  settype(L, t, "application/x-www-form-urlencoded");
}

static void addbytes (lua_State *L, rb_HttpTransfer *t) {
  size_t n;
  if (lua_type(L, -1) != LUA_TSTRING && lua_type(L, -1) != LUA_TUSERDATA)
    rb_http_misuse(L, t, "body = ... is a text, not a %s (json = ... takes tables)",
                   luaL_typename(L, -1));
  const char *s = rb_text(L, -1, &n);
  rb_http_add(L, &t->out, s, n);
  lua_pop(L, 1);
}

static const struct {
  const char *name;
  void (*add) (lua_State *L, rb_HttpTransfer *t);
} kinds[] = {
  {"json", addjson}, {"form", addform}, {"body", addbytes}, {NULL, NULL}
};

void rb_http_body (lua_State *L, rb_HttpTransfer *t) {
  for (int i = 0; kinds[i].name != NULL; i++) {
    if (lua_getfield(L, OPTIONS, kinds[i].name) != LUA_TNIL) {
      if (t->hasbody)
        rb_http_misuse(L, t, "one of json, form and body, not two");
      t->hasbody = 1;
      rb_http_add(L, &t->out, "", 0);
      kinds[i].add(L, t);
    }
    lua_pop(L, 1);
  }
  if (t->out.n > MAXOUT)
    rb_fail(L, "limit", RB_NOTDONE, "%s: a body of %d MB is more than the 16 MB "
            "that are sent at once", t->base->name, (int)(t->out.n >> 20));
}
