/*
** fail.c - what went wrong, in words, and how sure we are of the deed
**
** Certainty turns on one moment: before the first byte of a request is sent
** (see onsend in transfer.c) nothing happened; after it, only an answer knows.
*/

#include <string.h>

#include "stdlib/http/http.h"

/* what curl's codes are to us, and what to do about them */
static const struct {
  CURLcode code;
  const char *kind, *mend;
} causes[] = {
  {CURLE_COULDNT_RESOLVE_HOST, "io", "is the name right, and does DNS answer?"},
  {CURLE_COULDNT_RESOLVE_PROXY, "io", "see http_proxy in the environment"},
  {CURLE_COULDNT_CONNECT, "io", "is it running, and reachable from here?"},
  {CURLE_PEER_FAILED_VERIFICATION, "auth",
   "the certificate is not trusted: see 'ca' in the configuration"},
  {CURLE_SSL_CACERT_BADFILE, "auth", "see 'ca' in the configuration"},
  {CURLE_SSL_CERTPROBLEM, "auth",
   "see 'cert', 'key' and 'key_password' in the configuration"},
  {CURLE_SSL_CONNECT_ERROR, "io", "does that port speak TLS?"},
  {CURLE_OPERATION_TIMEDOUT, "timeout", NULL},
  {CURLE_BAD_CONTENT_ENCODING, "data", NULL},
  {CURLE_OK, "io", NULL}
};

/* what OpenSSL says in curl's words, and what to do about it */
static const struct { const char *part, *mend; } trust[] = {
  {"certificate has expired", "renew the server's certificate"},
  {"not yet valid", "is the clock right, here and there?"},
  {"self-signed certificate in certificate chain",
   "name its authority's certificate as 'ca' in the configuration"},
  {"self-signed", "to trust it, name its file as 'ca' in the configuration"},
  {"local issuer", "name its authority's certificate as 'ca' in the configuration"},
  {"subject name", "use a name in 'url' that the certificate has"},
  {NULL, NULL}
};

/* The server's word, instead of an answer, that we are not who it wants: it read
** nothing of the request. */
static int unwelcome (const rb_HttpTransfer *t) {
  static const char *const alerts[] = {
    "alert certificate required", "alert unknown ca", "alert bad certificate",
    "alert certificate expired", NULL
  };
  if (t->head.n > 0) return 0;
  for (const char *const *a = alerts; *a != NULL; a++)
    if (strstr(t->why, *a) != NULL) return 1;
  return 0;
}

/* what to do about it, or NULL */
static const char *mendof (const rb_HttpTransfer *t, const char *otherwise) {
  if (unwelcome(t))
    return "the server wants a client certificate that it trusts: see 'cert' and "
           "'key' in the configuration";
  if (t->result != CURLE_PEER_FAILED_VERIFICATION) return otherwise;
  for (int i = 0; trust[i].part != NULL; i++)
    if (strstr(t->why, trust[i].part) != NULL) return trust[i].mend;
  return otherwise;
}

static int cause (const rb_HttpTransfer *t) {
  int i = 0;
  while (causes[i].code != CURLE_OK && causes[i].code != t->result) i++;
  return i;
}

/* the first thing that did not come in time, and the setting that said when (or NULL) */
static const char *missing (const rb_HttpTransfer *t, const char **setting) {
  curl_off_t named = 0;
  *setting = NULL;
  if (t->head.n > 0) return "the answer stopped in the middle";
  if (t->sent) {
    double waited = t->began + t->seconds - t->sentat;
    if (t->base->firstbyte > 0 && waited >= t->base->firstbyte)
      *setting = "first_byte_timeout";
    return "no answer";
  }
  if (t->seconds >= t->base->connect) *setting = "connect_timeout";
  curl_easy_getinfo(t->easy, CURLINFO_NAMELOOKUP_TIME_T, &named);
  if (named == 0) return "no connection: its name was not resolved";
  return strncmp(t->base->root, "https", 5) != 0 ? "no connection"
         : "no connection, or no end of its TLS handshake,";
}

/* [-0, +1, m]  how far it came before time was up */
static const char *late (lua_State *L, const rb_HttpTransfer *t) {
  const char *setting, *what = missing(t, &setting);
  lua_Number seconds = (lua_Number)((long)(t->seconds * 10 + 0.5)) / 10;
  if (setting == NULL) return lua_pushfstring(L, "%s after %f s", what, seconds);
  return lua_pushfstring(L, "%s after %f s (%s)", what, seconds, setting);
}

const char *rb_http_why (lua_State *L, const rb_HttpTransfer *t) {
  const char *mend = mendof(t, causes[cause(t)].mend);
  const char *words = t->why[0] != '\0' ? t->why : curl_easy_strerror(t->result);
  if (t->toolarge)
    return lua_pushliteral(L, "the answer is larger than 16 MB: ask for less");
  if (t->result == CURLE_OPERATION_TIMEDOUT) return late(L, t);
  if (t->result == CURLE_ABORTED_BY_CALLBACK)
    words = "the connection broke, and this is not sent twice";
  if (mend == NULL) return lua_pushstring(L, words);
  return lua_pushfstring(L, "%s (%s)", words, mend);
}

int rb_http_lost (lua_State *L, const rb_HttpTransfer *t) {
  const char *why = rb_http_why(L, t);
  int refused = unwelcome(t), doubt = t->once && t->sent && !refused;
  return rb_fail(L, t->toolarge ? "limit" : refused ? "auth" : causes[cause(t)].kind,
                 doubt ? RB_UNKNOWN : RB_NOTDONE, "%s: %s %s: %s%s", t->base->name,
                 t->method->name, t->url.s + t->path, why,
                 doubt ? "; it was sent, and may have been done" : "");
}

const char *rb_http_glimpse (lua_State *L, const char *s, size_t n, size_t max) {
  luaL_Buffer b;
  int space = 1;
  luaL_buffinit(L, &b);
  for (size_t i = 0; i < n && luaL_bufflen(&b) < max; i++) {
    unsigned char c = (unsigned char)s[i];
    if (c <= ' ' || c == 0x7f) {
      if (!space) luaL_addchar(&b, ' ');
      space = 1;
    } else {
      luaL_addchar(&b, (char)c);
      space = 0;
    }
  }
  if (luaL_bufflen(&b) >= max) luaL_addstring(&b, "...");
  luaL_pushresult(&b);
  return lua_tostring(L, -1);
}

/* Did the server say no (4xx), or may it have begun (all else)? 302 and 303 are
** how a form says that it has been taken. */
static rb_Certainty certainty (long status) {
  int no = (status >= 400 && status < 500) || status == 301 || status == 307
           || status == 308;
  return no ? RB_NOTDONE : RB_UNKNOWN;
}

/* [-0, +1, m]  "2xx", or the statuses of the call */
static const char *expectation (lua_State *L, const rb_HttpTransfer *t) {
  lua_pushstring(L, t->nexpect > 0 ? "" : "2xx");
  for (int i = 0; i < t->nexpect; i++) {
    lua_pushfstring(L, i > 0 ? " or %d" : "%d", t->expect[i]);
    lua_concat(L, 2);
  }
  return lua_tostring(L, -1);
}

int rb_http_unexpected (lua_State *L, const rb_HttpTransfer *t) {
  const char *what = t->url.s + t->path, *name = t->base->name;
  if (t->status == 412
      && (t->asked || rb_http_listed(t->headers, "If-Match") != NULL))
    return rb_fail(L, "drift", RB_NOTDONE, "%s: %s %s: it has been changed since "
                   "it was looked at (412); look again", name, t->method->name, what);
  const char *body = rb_http_glimpse(L, t->body.n > 0 ? t->body.s : "", t->body.n, 200);
  return rb_fail(L, "server", certainty(t->status), "%s: %s %s answered %d, expected "
                 "%s%s%s", name, t->method->name, what, (int)t->status,
                 expectation(L, t), *body ? ": " : "", body);
}
