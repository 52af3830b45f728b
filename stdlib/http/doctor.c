/*
** doctor.c - does the server answer, how fast, and until when is it believed?
*/

#include <string.h>
#include <strings.h>
#include <time.h>

#include "stdlib/http/http.h"

#define SECONDS 10.0
#define SLOW 3.0        /* seconds */
#define SOON 14         /* days */

/* [-0, +0, m]  one more finding in the list at the top */
static void add (lua_State *L, const char *name, const char *status,
                 const char *value, const char *mend) {
  lua_createtable(L, 0, 4);
  lua_pushstring(L, name);
  lua_setfield(L, -2, "name");
  lua_pushstring(L, status);
  lua_setfield(L, -2, "status");
  lua_pushstring(L, value);
  lua_setfield(L, -2, "value");
  lua_pushstring(L, mend);  /* NULL: nil */
  lua_setfield(L, -2, "mend");
  lua_seti(L, -2, luaL_len(L, -2) + 1);
}

/* the date after "Expire date:" of the server's own certificate, or NULL */
static const char *expiry (const rb_HttpTransfer *t) {
  static const char label[] = "Expire date:";
  struct curl_certinfo *certs = NULL;
  if (curl_easy_getinfo(t->easy, CURLINFO_CERTINFO, &certs) != CURLE_OK
      || certs == NULL || certs->num_of_certs == 0) return NULL;
  for (const struct curl_slist *l = certs->certinfo[0]; l != NULL; l = l->next)
    if (strncasecmp(l->data, label, sizeof label - 1) == 0)
      return l->data + sizeof label - 1;
  return NULL;
}

static void addcertificate (lua_State *L, const rb_HttpTransfer *t) {
  const char *date = expiry(t);
  if (strncmp(t->base->root, "https", 5) != 0 || date == NULL) return;
  int days = (int)((curl_getdate(date, NULL) - time(NULL)) / 86400);
  lua_pushfstring(L, "expires in %d days (%s)", days, date);
  lua_insert(L, -2);                                  /* words, list */
  add(L, "certificate", days < SOON ? "warn" : "ok", lua_tostring(L, -2),
      days < SOON ? "renew it" : NULL);
  lua_remove(L, -2);
}

/* Does the URL stay on this machine? */
static int islocal (const char *root) {
  static const char *const hosts[] = {"localhost", "127.", "[::1]", NULL};
  const char *host = strstr(root, "://") + 3;
  for (const char *const *h = hosts; *h != NULL; h++)
    if (strncasecmp(host, *h, strlen(*h)) == 0) return 1;
  return 0;
}

static void addtransport (lua_State *L, const rb_HttpBase *b) {
  if (strncasecmp(b->root, "https", 5) == 0 || islocal(b->root)) return;
  add(L, "transport", "warn", "not encrypted, to another host",
      "https://... in 'url', where the server has it");
}

static void addanswer (lua_State *L, const rb_HttpTransfer *t) {
  const char *path = t->url.s + t->path;
  int bad = t->status >= 500, slow = t->seconds > SLOW;
  int lost = t->base->health != NULL && t->status >= 400;
  lua_pushfstring(L, "GET %s -> %d in %d ms", *path ? path : "/", (int)t->status,
                  (int)(t->seconds * 1000 + 0.5));
  lua_insert(L, -2);                                  /* words, list */
  add(L, "answer", bad || lost || slow ? "warn" : "ok", lua_tostring(L, -2),
      bad || lost ? "look at the application" : slow ? "it is slow" : NULL);
  lua_remove(L, -2);
}

static int asked (lua_State *L, int status, lua_KContext ctx) {
  const rb_HttpTransfer *t = (const rb_HttpTransfer *)ctx;
  (void)status;
  lua_newtable(L);
  addtransport(L, t->base);
  if (t->result != CURLE_OK) {
    const char *why = rb_http_why(L, t);
    lua_insert(L, -2);                                /* words, list */
    add(L, "answer", "bad", why, "see 'url' of this http in the configuration");
    return 1;
  }
  addanswer(L, t);
  addcertificate(L, t);
  return 1;
}

int rb_http_doctor (lua_State *L) {
  lua_settop(L, OPTIONS);
  rb_HttpBase *b = rb_http_base(L);
  rb_HttpTransfer *t = rb_http_open(L, b);
  rb_http_puts(L, &t->url, b->root);
  t->path = t->url.n;
  rb_http_puts(L, &t->url, b->health != NULL ? b->health : "/");
  t->query = t->url.n;
  t->inspect = 1;
  rb_timeout(L, SECONDS);
  return rb_http_try(L, t, asked);
}
