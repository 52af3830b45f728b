/*
** remedy.c - requests that change something: what they would do, and doing it
**
** A preview of a POST can only show what would be sent. What PUT, PATCH and
** DELETE replace can be looked at: where the server names its version (an
** ETag), the deed says If-Match, and the server refuses it when somebody was
** faster.
*/

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "stdlib/http/http.h"

#define SHOWN ((size_t)8 << 10)  /* bytes of a body in a preview */
#define LOOKSECONDS 5.0          /* that the look before a deed may take */

/* -- what would be sent -------------------------------------------------------- */

/* credentials are not for the screen, also where they are no declared secret */
static int hidden (const char *line) {
  static const char *const names[] = {
    "authorization", "cookie", "proxy-authorization", "x-api-key", NULL
  };
  size_t n = strcspn(line, ":;");
  for (const char *const *h = names; *h != NULL; h++)
    if (strlen(*h) == n && strncasecmp(line, *h, n) == 0) return (int)n;
  return 0;
}

static void addlines (luaL_Buffer *b, const rb_HttpTransfer *t) {
  const struct curl_slist *h = t->headers != NULL ? t->headers : t->base->headers;
  if (t->base->user != NULL && rb_http_listed(h, "Authorization") == NULL)
    luaL_addstring(b, "Authorization: (not shown)\n");
  for (; h != NULL; h = h->next) {
    int n = hidden(h->data);
    if (h->data[strlen(h->data) - 1] == ':') continue;  /* takes one away */
    luaL_addlstring(b, h->data, n > 0 ? (size_t)n : strlen(h->data));
    luaL_addstring(b, n > 0 ? ": (not shown)\n" : "\n");
  }
  if (t->base->idempotency != NULL) {
    luaL_addstring(b, t->base->idempotency);
    luaL_addstring(b, ": (made from the run and the step)\n");
  }
}

/* [-0, +1, m]  {value = the request as it would go out, type = "request"}: it says nothing of
** what is there before or after */
static void pushrequest (lua_State *L, const rb_HttpTransfer *t) {
  char more[64] = "";
  luaL_Buffer b;
  lua_createtable(L, 0, 2);
  luaL_buffinit(L, &b);
  luaL_addstring(&b, t->method->name);
  luaL_addchar(&b, ' ');
  luaL_addstring(&b, t->url.s);
  luaL_addchar(&b, '\n');
  addlines(&b, t);
  if (t->hasbody) {
    size_t n = t->out.n < SHOWN ? t->out.n : SHOWN;
    luaL_addchar(&b, '\n');
    luaL_addlstring(&b, t->out.s, n);
    if (n < t->out.n) snprintf(more, sizeof more, "\n... %zu bytes in all", t->out.n);
    luaL_addstring(&b, more);
  }
  luaL_pushresult(&b);
  lua_setfield(L, -2, "value");
  lua_pushliteral(L, "request");
  lua_setfield(L, -2, "type");
}

/* [-0, +1, m]  the plan; etag NULL: nothing guards the deed */
static int pushplan (lua_State *L, const rb_HttpTransfer *t, const char *etag,
                     size_t n) {
  lua_createtable(L, 0, 8);
  lua_pushfstring(L, "%s %s", t->method->name, t->url.s + t->path);
  lua_setfield(L, -2, "summary");
  pushrequest(L, t);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "asked");
  lua_setfield(L, -2, "after");
  lua_pushboolean(L, etag != NULL);
  lua_setfield(L, -2, "guarded");
  if (etag != NULL) {
    lua_pushlstring(L, etag, n);
    lua_setfield(L, -2, "image");
  }
  lua_createtable(L, 0, 1);
  lua_pushinteger(L, 1);
  lua_setfield(L, -2, "http_writes");
  lua_setfield(L, -2, "counts");
  lua_pushliteral(L, "no inverse: what was sent is on the tape");
  lua_setfield(L, -2, "undo");
  return 1;
}

/* -- preview ---------------------------------------------------------------------- */

/* A weak ETag (W/...) never matches in If-Match: it guards nothing. */
static int previewlooked (lua_State *L, int status, lua_KContext ctx) {
  const rb_HttpTransfer *look = (const rb_HttpTransfer *)ctx;
  size_t n;
  (void)status;
  const rb_HttpTransfer *t = rb_http_transfer(L);
  const char *etag = NULL;
  if (look->result == CURLE_OK && look->status >= 200 && look->status < 300)
    etag = rb_http_find(&look->head, "ETag", &n);
  if (etag != NULL && *etag != '"') etag = NULL;
  pushplan(L, t, etag, etag != NULL ? n : 0);
  if (look->result != CURLE_OK) {
    lua_pushfstring(L, "it could not be looked at: %s", rb_http_why(L, look));
    lua_setfield(L, -3, "reason");
    lua_pop(L, 1);
  }
  return 1;
}

/* the same request as a HEAD, without what belongs to the body; packed, it might
** have another ETag */
static rb_HttpTransfer *openlook (lua_State *L, const rb_HttpTransfer *t) {
  static const char *const left[] = {
    "content-", "if-", "expect", "accept-encoding", NULL
  };
  const struct curl_slist *h = t->headers != NULL ? t->headers : t->base->headers;
  rb_HttpTransfer *look = rb_http_open(L, t->base);
  look->method = &rb_http_head;
  rb_http_add(L, &look->url, t->url.s, t->url.n);
  look->path = t->path;
  look->query = t->query;
  for (; h != NULL; h = h->next) {
    int keep = 1;
    for (const char *const *name = left; *name != NULL; name++)
      if (strncasecmp(h->data, *name, strlen(*name)) == 0) keep = 0;
    if (!keep) continue;
    struct curl_slist *longer = curl_slist_append(look->headers, h->data);
    if (longer == NULL) luaL_error(L, "not enough memory");
    look->headers = longer;
  }
  return look;
}

int rb_http_preview (lua_State *L, const rb_HttpMethod *m) {
  rb_HttpTransfer *t = rb_http_request(L, m);
  if (!m->etag || t->asked || rb_http_disguise(t) != NULL)
    return pushplan(L, t, NULL, 0);
  rb_timeout(L, t->timeout < LOOKSECONDS ? t->timeout : LOOKSECONDS);
  return rb_http_try(L, openlook(L, t), previewlooked);
}

/* -- deed --------------------------------------------------------------------------- */

static int expected (const rb_HttpTransfer *t) {
  if (t->nexpect == 0) return t->status >= 200 && t->status < 300;
  for (int i = 0; i < t->nexpect; i++)
    if (t->expect[i] == t->status) return 1;
  return 0;
}

static int done (lua_State *L, int status, lua_KContext ctx) {
  rb_HttpTransfer *t = (rb_HttpTransfer *)ctx;
  (void)status;
  rb_describe(L, "%s %s -> %ld", t->method->name, t->url.s + t->path, t->status);
  if (!expected(t)) return rb_http_unexpected(L, t);
  rb_http_pushresponse(L, t);
  return 1;
}

static int pledged (lua_State *L, int status, lua_KContext ctx) {
  rb_HttpTransfer *t = (rb_HttpTransfer *)ctx;
  (void)status;
  rb_timeout(L, t->timeout);
  return rb_http_send(L, t, done);
}

/* [-0, +0, v]  the version that the preview saw is the one to change */
static void addguard (lua_State *L, rb_HttpTransfer *t) {
  rb_plan(L);
  if (lua_istable(L, -1)) {
    if (lua_getfield(L, -1, "image") == LUA_TSTRING)
      rb_http_header(L, t, "If-Match", lua_tostring(L, -1));
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

int rb_http_remedy (lua_State *L, const rb_HttpMethod *m) {
  rb_HttpTransfer *t = rb_http_request(L, m);
  const rb_HttpBase *b = t->base;
  if (rb_http_isprobe(L, t)) return rb_http_look(L, t);
  if (!rb_maychange(L))
    return rb_fail(L, "refused", RB_NOTDONE, "%s: %s %s changes something, and this "
                   "is no place for that", b->name, m->name, t->url.s + t->path);
  addguard(L, t);
  lua_createtable(L, 0, 3);                           /* facts */
  lua_pushstring(L, m->name);
  lua_setfield(L, -2, "method");
  lua_pushstring(L, t->url.s);
  lua_setfield(L, -2, "url");
  if (b->idempotency != NULL) {
    rb_http_header(L, t, b->idempotency, rb_idempotency(L));
    lua_setfield(L, -2, "key");
  }
  return rb_pledge(L, (lua_KContext)t, pledged);
}
