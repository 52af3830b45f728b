/*
** response.c - an answer as the script sees it
*/

#include <string.h>

#include "stdlib/common/json.h"
#include "stdlib/http/http.h"

/* -- pushing ------------------------------------------------------------------ */

/* [-3, +1]  table, name, value: a header that came twice is one list, as HTTP
** has it (cookies, which have commas, one to a line) */
static void setheader (lua_State *L, const char *name) {
  lua_pushvalue(L, -2);
  if (lua_rawget(L, -4) != LUA_TNIL) {
    lua_insert(L, -2);                                /* table, name, old, new */
    lua_pushstring(L, strcmp(name, "set-cookie") == 0 ? "\n" : ", ");
    lua_insert(L, -2);
    lua_concat(L, 3);
  } else {
    lua_pop(L, 1);
  }
  lua_rawset(L, -3);
}

/* [-0, +0, m]  "Name: value" of n bytes, into the table at the top */
static void addline (lua_State *L, const char *line, size_t n) {
  char name[64];
  const char *colon = memchr(line, ':', n);
  size_t len = colon != NULL ? (size_t)(colon - line) : 0;
  if (len == 0 || len >= sizeof name) return;
  for (size_t i = 0; i < len; i++)
    name[i] = (char)(line[i] >= 'A' && line[i] <= 'Z' ? line[i] | 0x20 : line[i]);
  name[len] = '\0';
  const char *value = colon + 1, *end = line + n;
  while (value < end && (*value == ' ' || *value == '\t')) value++;
  while (end > value && (unsigned char)end[-1] <= ' ') end--;
  lua_pushlstring(L, name, len);
  lua_pushlstring(L, value, (size_t)(end - value));
  setheader(L, name);
}

/* [-0, +1, m]  the lines after the status line, names in lower case */
static void pushheaders (lua_State *L, const rb_HttpText *head) {
  const char *s = head->n > 0 ? head->s : "", *end = s + head->n;
  lua_createtable(L, 0, 8);
  while (s < end) {
    const char *stop = memchr(s, '\n', (size_t)(end - s));
    size_t n = stop != NULL ? (size_t)(stop - s) : (size_t)(end - s);
    if (s != head->s) addline(L, s, n);
    s += n + 1;
  }
}

void rb_http_pushresponse (lua_State *L, const rb_HttpTransfer *t) {
  lua_createtable(L, 0, 4);
  lua_pushinteger(L, t->status);
  lua_setfield(L, -2, "status");
  pushheaders(L, &t->head);
  lua_setfield(L, -2, "headers");
  lua_pushlstring(L, t->body.n > 0 ? t->body.s : "", t->body.n);
  lua_setfield(L, -2, "body");
  lua_pushfstring(L, "%s: %s %s", t->base->name, t->method->name,
                  t->url.s + t->path);
  lua_setfield(L, -2, "request");
  rb_settype(L, "http.response");
}

/* -- methods --------------------------------------------------------------------- */

/* [-0, +1]  a text field of the response at 1; "" where it is none */
static const char *field (lua_State *L, const char *name, size_t *n) {
  static const char *const none = "";
  lua_getfield(L, 1, name);
  const char *s = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, n) : none;
  if (s == none) *n = 0;
  return s;
}

static void checkresponse (lua_State *L, const char *method) {
  if (!lua_istable(L, 1))
    luaL_error(L, "call it with a colon: response:%s()", method);
}

/* [-0, +0, v]  'why' says where the body stops being JSON */
static int notjson (lua_State *L, const char *why, const char *body, size_t n) {
  size_t len;
  const char *request = field(L, "request", &len);
  lua_getfield(L, 1, "status");
  int status = (int)lua_tointeger(L, -1);
  lua_getfield(L, 1, "headers");
  const char *type = "no content type";
  if (lua_istable(L, -1) && lua_getfield(L, -1, "content-type") == LUA_TSTRING)
    type = lua_tostring(L, -1);
  const char *start = body + strspn(body, " \t\r\n");
  return rb_fail(L, "data", RB_NOTDONE, "%s answered %d with a body that is not "
                 "JSON (%s, %s%s): %s", *request ? request : "the server", status, type,
                 *start == '<' ? "a page; a proxy or a sign-in? " : "",
                 n == 0 ? "empty" : why, rb_http_glimpse(L, body, n, 80));
}

static int response_json (lua_State *L) {
  size_t n;
  checkresponse(L, "json");
  const char *body = field(L, "body", &n);
  if (rb_json_read(L, body, n)) return 1;
  return notjson(L, lua_tostring(L, -1), body, n);
}

static int response_ok (lua_State *L) {
  checkresponse(L, "ok");
  lua_getfield(L, 1, "status");
  lua_Integer status = lua_tointeger(L, -1);
  lua_pushboolean(L, status >= 200 && status < 300);
  return 1;
}

const rb_Reg rb_http_responsemethods[] = {
  {"json", RB_PURE, response_json, NULL,
   "json() -> value : the body, decoded; null is json.null", NULL, NULL},
  {"ok", RB_PURE, response_ok, NULL,
   "ok() -> boolean : is the status 200 to 299?", NULL, NULL},
  RB_END
};
