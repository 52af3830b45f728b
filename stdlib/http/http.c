/*
** http.c - ask and tell an HTTP service
**
** GET, HEAD and OPTIONS look; POST, PUT, PATCH and DELETE change, unless the
** target's configuration lists that request as a probe.
*/

#include "stdlib/http/http.h"

/* -- methods ------------------------------------------------------------------ */

static int get (lua_State *L) { return rb_http_probe(L, &rb_http_get); }
static int head (lua_State *L) { return rb_http_probe(L, &rb_http_head); }
static int options (lua_State *L) { return rb_http_probe(L, &rb_http_options); }

static int post (lua_State *L) { return rb_http_remedy(L, &rb_http_post); }
static int put (lua_State *L) { return rb_http_remedy(L, &rb_http_put); }
static int patch (lua_State *L) { return rb_http_remedy(L, &rb_http_patch); }
static int delete_ (lua_State *L) { return rb_http_remedy(L, &rb_http_delete); }

static int post_preview (lua_State *L) {
  return rb_http_preview(L, &rb_http_post);
}

static int put_preview (lua_State *L) {
  return rb_http_preview(L, &rb_http_put);
}

static int patch_preview (lua_State *L) {
  return rb_http_preview(L, &rb_http_patch);
}

static int delete_preview (lua_State *L) {
  return rb_http_preview(L, &rb_http_delete);
}

static rb_Effect post_classify (lua_State *L) {
  return rb_http_classify(L, &rb_http_post);
}

static rb_Effect put_classify (lua_State *L) {
  return rb_http_classify(L, &rb_http_put);
}

static rb_Effect patch_classify (lua_State *L) {
  return rb_http_classify(L, &rb_http_patch);
}

static rb_Effect delete_classify (lua_State *L) {
  return rb_http_classify(L, &rb_http_delete);
}

#define LOOK "(path [, { path = {}, query = {}, headers = {}, timeout = \"10s\" }]) " \
             "-> response : "
#define TELL "(path [, { json = | form = | body =, expect = { 200 }, path = {}, " \
             "query = {}, headers = {}, timeout = \"10s\" }]) -> response : "

static const rb_Reg methods[] = {
  {"get", RB_PROBE, get, NULL, "get" LOOK
   "asks for what is at a path below the system's URL. `{name}` in it is taken from `path`, "
   "encoded; `query` and `headers` are added. Any status is an answer: `response.status`, "
   "`.headers`, `.body`, `:json()` and `:ok()`. Fails with \"io\", \"timeout\", \"auth\" (TLS) "
   "or \"limit\" (16 MB)",
   NULL, NULL},
  {"head", RB_PROBE, head, NULL, "head" LOOK "the same without the body", NULL, NULL},
  {"options", RB_PROBE, options, NULL, "options" LOOK
   "asks what may be done there", NULL, NULL},
  {"post", RB_CLASSIFY, post, post_preview, "post" TELL
   "sends JSON, a form, or a body as it is. Another status than 2xx (or those of `expect`) is "
   "a failure: of 4xx it is known that nothing was done, of anything else it is not, unless "
   "the target declares an idempotency key. A probe where the target lists it as one. "
   "Otherwise as http:get",
   NULL, post_classify},
  {"put", RB_CLASSIFY, put, put_preview, "put" TELL
   "replaces; with If-Match where the server has ETags", NULL, put_classify},
  {"patch", RB_CLASSIFY, patch, patch_preview, "patch" TELL
   "changes; with If-Match where the server has ETags", NULL, patch_classify},
  {"delete", RB_CLASSIFY, delete_, delete_preview, "delete" TELL
   "removes; with If-Match where the server has ETags", NULL, delete_classify},
  RB_END
};

/* -- the module --------------------------------------------------------------------- */

/* the URL without userinfo: another one is another system */
static int identity (lua_State *L) {
  lua_pushstring(L, rb_http_base(L)->root);
  return 1;
}

/* Held by method: what looks is sent as GET, HEAD or OPTIONS, or is listed. */
static int layer (lua_State *L, rb_Resource *r, const char **why) {
  (void)L; (void)r; (void)why;
  return 1;
}

static const rb_Type types[] = {
  {"http.response", rb_http_responsemethods}, {NULL, NULL}
};

RB_API const rb_Module rb_module = {
  .interface = RB_INTERFACE,
  .name = "http",
  .doc = "a server that speaks HTTP",
  .methods = methods,
  .types = types,
  .close = rb_http_close,
  .doctor = rb_http_doctor,
  .identity = identity,
  .layer = layer,
  .warm = rb_http_warm
};
