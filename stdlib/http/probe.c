/*
** probe.c - requests that only look
**
** GET, HEAD and OPTIONS are probes by their meaning. Another method is one where
** the target's configuration lists it ("POST /search"), and nowhere else: a
** script cannot declare its own requests harmless.
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "stdlib/http/http.h"

#define MAXREDIRECTS 5

/* -- is it one? ------------------------------------------------------------------ */

/* Is 'listed' this request's path: as the script wrote it, or filled in? A
** listed path with a query is that one request and no other. */
static int matches (lua_State *L, const rb_HttpTransfer *t, const char *listed) {
  const char *written = lua_tostring(L, PATH), *path = t->url.s + t->path;
  size_t n = strlen(listed), len = t->query - t->path;
  if (strchr(listed, '?') != NULL) return strcmp(listed, path) == 0;
  if (n == len && strncmp(listed, path, len) == 0) return 1;
  return written != NULL && strncmp(listed, written, n) == 0
         && (written[n] == '\0' || written[n] == '?');
}

int rb_http_isprobe (lua_State *L, const rb_HttpTransfer *t) {
  size_t n = strlen(t->method->name);
  if (t->method->probe) return 1;
  for (char **p = t->base->probes; p != NULL && *p != NULL; p++)
    if (strncmp(*p, t->method->name, n) == 0 && (*p)[n] == ' '
        && matches(L, t, *p + n + 1)) return 1;
  return 0;
}

/* -- is it more than one? ------------------------------------------------------------ */

/* Servers obey these (the last two name another path), and some read '_' as
** '-'. */
static int sayselse (const char *line) {
  static const char *const names[] = {
    "x-http-method-override", "x-http-method", "x-method-override",
    "x-original-method", "x-rewrite-method", "x-original-url", "x-rewrite-url",
    NULL
  };
  size_t n = strcspn(line, ":;");
  for (const char *const *name = names; *name != NULL; name++) {
    size_t i = 0;
    while (i < n && ((*name)[i] == (line[i] | 0x20)
                     || ((*name)[i] == '-' && (line[i] == '-' || line[i] == '_'))))
      i++;
    if (i == n && (*name)[n] == '\0') return 1;
  }
  return 0;
}

static int wrong (lua_State *L, const rb_HttpTransfer *t, const char *what) {
  return rb_fail(L, "refused", RB_NOTDONE, "%s: %s %s only looks, but %s asks the "
                 "server for another method", t->base->name, t->method->name,
                 t->url.s + t->path, what);
}

/* A form's field, or a member of a JSON object wherever it stands: rather too
** strict than too lax. */
static int bodysays (const rb_HttpText *out) {
  static const char *const members[] = {"\"_method\"", "\\u005f", "\\u005F", NULL};
  if (out->n == 0) return 0;
  for (const char *const *m = members; *m != NULL; m++)
    if (memmem(out->s, out->n, *m, strlen(*m)) != NULL) return 1;
  return rb_http_override(out->s, out->n);
}

const char *rb_http_disguise (const rb_HttpTransfer *t) {
  const struct curl_slist *h = t->headers != NULL ? t->headers : t->base->headers;
  for (; h != NULL; h = h->next)
    if (sayselse(h->data)) return "a header";
  if (t->url.n > t->query
      && rb_http_override(t->url.s + t->query + 1, t->url.n - t->query - 1))
    return "its query";
  return bodysays(&t->out) ? "its body" : NULL;
}

void rb_http_checkprobe (lua_State *L, const rb_HttpTransfer *t) {
  const char *what = rb_http_disguise(t);
  if (what != NULL) wrong(L, t, what);
}

/* -- looking ------------------------------------------------------------------------------ */

/* Where the answer at hand points to, when that is on the same host: a new URL
** for the transfer. Anywhere else we are not sent by a server. */
static int redirected (lua_State *L, rb_HttpTransfer *t) {
  static const long statuses[] = {301, 302, 303, 307, 308, 0};
  const rb_HttpBase *b = t->base;
  char *to = NULL;
  int i = 0;
  while (statuses[i] != 0 && statuses[i] != t->status) i++;
  if (statuses[i] == 0 || (t->method != &rb_http_get && t->method != &rb_http_head))
    return 0;
  if (curl_easy_getinfo(t->easy, CURLINFO_REDIRECT_URL, &to) != CURLE_OK || to == NULL
      || strncasecmp(to, b->root, b->origin) != 0
      || (to[b->origin] != '/' && to[b->origin] != '?')) return 0;
  const char *query = strchr(to, '?');
  size_t n = strcspn(to, "#");
  if (query != NULL && rb_http_override(query + 1, strlen(query + 1))) return 0;
  if (++t->redirects > MAXREDIRECTS)
    return rb_fail(L, "server", RB_NOTDONE, "%s: %s redirects more than %d times, at "
                   "last to %s", b->name, t->method->name, MAXREDIRECTS, to + b->origin);
  t->url.n = 0;
  rb_http_add(L, &t->url, b->root, b->origin);
  rb_http_add(L, &t->url, to + b->origin, n - b->origin);
  t->path = b->origin;
  t->query = (size_t)(strcspn(t->url.s, "?"));
  return 1;
}

/* -1: the answer has no such header, or it is no date */
static time_t dateof (const rb_HttpTransfer *t, const char *name) {
  size_t n;
  char date[64];
  const char *value = rb_http_find(&t->head, name, &n);
  if (value == NULL || n >= sizeof date) return -1;
  memcpy(date, value, n);
  date[n] = '\0';
  return curl_getdate(date, NULL);
}

/* Seconds that the answer asks to wait; -1 where it does not say. A date is meant by
** the server's own clock. */
static double retryafter (const rb_HttpTransfer *t) {
  size_t n;
  const char *after = rb_http_find(&t->head, "retry-after", &n);
  if (after == NULL || n == 0) return -1;
  if (strspn(after, "0123456789") >= n) return strtod(after, NULL);
  time_t then = dateof(t, "retry-after"), now = dateof(t, "date");
  if (then == -1) return -1;
  if (now == -1) now = time(NULL);
  return then > now ? (double)(then - now) : 0;
}

/* Is the answer no more than "come back later", and may we, and is there time? Then
** t->pause says when. */
static int isbusy (lua_State *L, rb_HttpTransfer *t) {
  double after, every, last = t->pause;
  if (t->status != 429 && t->status != 503) return 0;
  after = retryafter(t);
  if ((after < 0 && t->status == 503) || after >= rb_timeleft(L)
      || !rb_retry(L, &every)) return 0;
  t->pause = after >= 0 ? after : last > 0 ? 2 * last : every;
  if (t->pause >= rb_timeleft(L)) return 0;
  t->returns++;
  return 1;
}

static void describe (lua_State *L, const rb_HttpTransfer *t) {
  char tries[40] = "";
  if (t->returns > 0) snprintf(tries, sizeof tries, " after %d tries", t->returns + 1);
  rb_describe(L, "%s %s -> %ld%s%s", t->method->name, t->url.s + t->path, t->status,
              t->redirects > 0 ? " (redirected)" : "", tries);
}

static int comeback (lua_State *L, int status, lua_KContext ctx);

static int looked (lua_State *L, int status, lua_KContext ctx) {
  rb_HttpTransfer *t = (rb_HttpTransfer *)ctx;
  (void)status;
  if (redirected(L, t)) return rb_http_send(L, t, looked);
  if (isbusy(L, t)) return rb_sleep(L, t->pause, ctx, comeback);
  describe(L, t);
  rb_http_pushresponse(L, t);
  return 1;
}

static int comeback (lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  return rb_http_send(L, (rb_HttpTransfer *)ctx, looked);
}

int rb_http_look (lua_State *L, rb_HttpTransfer *t) {
  rb_timeout(L, t->timeout);
  return rb_http_send(L, t, looked);
}

int rb_http_probe (lua_State *L, const rb_HttpMethod *m) {
  return rb_http_look(L, rb_http_request(L, m));
}

/* -- classifying ---------------------------------------------------------------------------- */

/* [..., +1]  in a frame of its own, which closes the request; upvalue: method */
static int classify (lua_State *L) {
  const rb_HttpMethod *m = lua_touserdata(L, lua_upvalueindex(1));
  lua_pushboolean(L, rb_http_isprobe(L, rb_http_request(L, m)));
  return 1;
}

rb_Effect rb_http_classify (lua_State *L, const rb_HttpMethod *m) {
  int n = lua_gettop(L);
  if (rb_http_base(L)->probes == NULL) return RB_REMEDY;
  lua_pushlightuserdata(L, (void *)m);
  lua_pushcclosure(L, classify, 1);
  for (int i = 1; i <= n; i++) lua_pushvalue(L, i);
  lua_call(L, n, 1);
  int probe = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return probe ? RB_PROBE : RB_REMEDY;
}
