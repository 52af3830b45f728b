/*
** transfer.c - sending a request and waiting for its answer
**
** A finished transfer wakes its task; curl's callbacks touch plain C memory
** only. How all of them are driven is hub.c's business.
**
** A deed is sent once. curl repeats a request by itself when a connection that
** it used before breaks without an answer: so a deed gets a connection of its
** own, and the last callback before the first byte vetoes a second sending.
*/

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "stdlib/http/http.h"

#define TYPE "http.call"
#define MAXHEAD ((size_t)256 << 10)
#define MAXBODY (((size_t)16 << 20) - MAXHEAD - 4096)  /* it must fit on the tape */
#define KEPT ((size_t)64 << 10)   /* bytes of a buffer kept for the next request */
#define IDLE 256                  /* handles of a base kept for later */

/* -- curl's callbacks ------------------------------------------------------------ */

static size_t onbody (char *s, size_t one, size_t n, void *ud) {
  rb_HttpTransfer *t = ud;
  (void)one;
  t->toolarge = t->body.n + n > MAXBODY;
  if (t->toolarge || !rb_http_grow(&t->body, s, n)) return n == 0;
  return n;
}

/* The lines of the last answer: after "100 Continue" comes another. */
static size_t onhead (char *s, size_t one, size_t n, void *ud) {
  rb_HttpTransfer *t = ud;
  (void)one;
  if (n >= 5 && memcmp(s, "HTTP/", 5) == 0) t->head.n = 0;
  t->toolarge = t->head.n + n > MAXHEAD;
  if (t->toolarge || !rb_http_grow(&t->head, s, n)) return n == 0;
  return n;
}

/* connected; nothing of the request has been sent yet */
static int onsend (void *ud, char *ip, char *localip, int port, int localport) {
  rb_HttpTransfer *t = ud;
  (void)ip; (void)localip; (void)port; (void)localport;
  if (t->once && t->sent) return CURL_PREREQFUNC_ABORT;
  t->sent = 1;
  t->sentat = rb_now();
  if (t->base->firstbyte > 0) rb_wake(t->task);  /* to watch the clock */
  return CURL_PREREQFUNC_OK;
}

/* -- fitting out ------------------------------------------------------------------- */

static CURLcode fitsafety (CURL *e) {
  CURLcode bad = curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
  bad |= curl_easy_setopt(e, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  bad |= curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
  bad |= curl_easy_setopt(e, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
  bad |= curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
  bad |= curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
  bad |= curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L);  /* no wait for a resolver */
  bad |= curl_easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  bad |= curl_easy_setopt(e, CURLOPT_ACCEPT_ENCODING, RB_HTTPENCODINGS);
  return bad;
}

static CURLcode fitcallbacks (rb_HttpTransfer *t) {
  CURL *e = t->easy;
  CURLcode bad = curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, onbody);
  bad |= curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
  bad |= curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, onhead);
  bad |= curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
  bad |= curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, onsend);
  bad |= curl_easy_setopt(e, CURLOPT_PREREQDATA, t);
  bad |= curl_easy_setopt(e, CURLOPT_PRIVATE, t);
  bad |= curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->why);
  return bad;
}

static int isfolder (const char *path) {
  struct stat st;
  return path != NULL && stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* A folder of certificates by hash costs a fifth of reading one big bundle: it
** is used alone where the system has one. */
static CURLcode fitcertificates (CURL *e, const rb_HttpBase *b) {
  const curl_version_info_data *v = curl_version_info(CURLVERSION_NOW);
  const char *folder = b->ca != NULL ? b->ca : v->capath;
  CURLcode bad = CURLE_OK;
  if (strncmp(b->root, "https", 5) != 0) return bad;
  if (isfolder(folder)) {
    bad |= curl_easy_setopt(e, CURLOPT_CAPATH, folder);
    bad |= curl_easy_setopt(e, CURLOPT_CAINFO, NULL);
  } else if (b->ca != NULL) {
    bad |= curl_easy_setopt(e, CURLOPT_CAINFO, b->ca);
    bad |= curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
  }
  return bad;
}

static CURLcode fitidentity (CURL *e, const rb_HttpBase *b) {
  if (b->cert == NULL) return CURLE_OK;
  CURLcode bad = curl_easy_setopt(e, CURLOPT_SSLCERT, b->cert);
  bad |= curl_easy_setopt(e, CURLOPT_SSLKEY, b->key != NULL ? b->key : b->cert);
  /* "" rather than NULL, with which OpenSSL would ask the terminal */
  bad |= curl_easy_setopt(e, CURLOPT_KEYPASSWD,
                          b->keypassword != NULL ? b->keypassword : "");
  return bad;
}

/* curl looks for these at every request: no small part of its cost */
static int proxied (void) {
  static const char *const names[] = {
    "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", NULL
  };
  for (const char *const *name = names; *name != NULL; name++)
    if (getenv(*name) != NULL) return 1;
  return 0;
}

static CURLcode fitbase (CURL *e, const rb_HttpBase *b) {
  CURLcode bad = curl_easy_setopt(e, CURLOPT_HTTPHEADER, b->headers);
  if (!proxied()) bad |= curl_easy_setopt(e, CURLOPT_PROXY, "");
  if (b->user != NULL || b->password != NULL) {
    bad |= curl_easy_setopt(e, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
    bad |= curl_easy_setopt(e, CURLOPT_USERNAME, b->user != NULL ? b->user : "");
    bad |= curl_easy_setopt(e, CURLOPT_PASSWORD,
                            b->password != NULL ? b->password : "");
  }
  bad |= curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)(b->connect * 1000));
  return bad | fitcertificates(e, b) | fitidentity(e, b);
}

/* what makes it another request than a GET; undone by curl_easy_reset */
static CURLcode fitmethod (rb_HttpTransfer *t) {
  CURL *e = t->easy;
  CURLcode bad = CURLE_OK;
  t->plain = t->method == &rb_http_get && t->headers == NULL && !t->inspect;
  if (t->plain) return bad;
  if (t->headers != NULL)
    bad |= curl_easy_setopt(e, CURLOPT_HTTPHEADER, t->headers);
  if (t->hasbody || (t->method->body && t->method != &rb_http_delete)) {
    bad |= curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)t->out.n);
    bad |= curl_easy_setopt(e, CURLOPT_POSTFIELDS, t->hasbody ? t->out.s : "");
  }
  if (t->method == &rb_http_head) bad |= curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
  else if (t->method != &rb_http_get)
    bad |= curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, t->method->name);
  if (t->once || t->inspect) {
    bad |= curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, 1L);
    bad |= curl_easy_setopt(e, CURLOPT_FORBID_REUSE, 1L);  /* or they would pile up */
  }
  if (t->inspect) bad |= curl_easy_setopt(e, CURLOPT_CERTINFO, 1L);
  return bad;
}

static void fit (lua_State *L, rb_HttpTransfer *t) {
  CURLcode bad = CURLE_OK;
  if (t->easy == NULL && (t->easy = curl_easy_init()) == NULL)
    luaL_error(L, "not enough memory");
  if (!t->fitted)
    bad = fitsafety(t->easy) | fitcallbacks(t) | fitbase(t->easy, t->base);
  t->fitted = 1;
  bad |= curl_easy_setopt(t->easy, CURLOPT_URL, t->url.s);
  bad |= fitmethod(t);
  if (bad != CURLE_OK)
    luaL_error(L, "%s: libcurl here lacks an option that is needed", t->base->name);
}

/* -- close --------------------------------------------------------------------------- */

static void shrink (rb_HttpText *t) {
  t->n = 0;
  if (t->size > KEPT) rb_http_free(t);
}

static void unlink_ (rb_HttpTransfer *t, rb_HttpTransfer **list) {
  if (t->prev != NULL) t->prev->next = t->next;
  else *list = t->next;
  if (t->next != NULL) t->next->prev = t->prev;
  t->next = t->prev = NULL;
}

static void link_ (rb_HttpTransfer *t, rb_HttpTransfer **list) {
  t->prev = NULL;
  t->next = *list;
  if (t->next != NULL) t->next->prev = t;
  *list = t;
}

void rb_http_drop (rb_HttpTransfer *t) {
  rb_HttpText *all[] = {&t->url, &t->out, &t->head, &t->body};
  rb_http_withdraw(t);
  unlink_(t, t->owner != NULL ? &t->base->busy : &t->base->idle);
  if (t->owner != NULL) *t->owner = NULL;
  curl_easy_cleanup(t->easy);
  curl_slist_free_all(t->headers);
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) rb_http_free(all[i]);
  free(t);
}

static void giveback (rb_HttpTransfer *t) {
  rb_HttpBase *b = t->base;
  rb_http_withdraw(t);
  if (b->nidle >= IDLE) {
    rb_http_drop(t);
    return;
  }
  if (!t->plain && t->fitted) {
    curl_easy_reset(t->easy);
    t->fitted = 0;
  }
  unlink_(t, &b->busy);
  *t->owner = NULL;
  t->owner = NULL;
  curl_slist_free_all(t->headers);
  t->headers = NULL;
  shrink(&t->url);
  shrink(&t->out);
  shrink(&t->head);
  shrink(&t->body);
  link_(t, &b->idle);
  b->nidle++;
}

static int call_close (lua_State *L) {
  rb_HttpTransfer **owner = luaL_checkudata(L, 1, TYPE);
  if (*owner != NULL) giveback(*owner);
  return 0;
}

/* -- open ---------------------------------------------------------------------------------- */

static rb_HttpTransfer *take (lua_State *L, rb_HttpBase *b) {
  rb_HttpTransfer *t = b->idle;
  if (t != NULL) {
    unlink_(t, &b->idle);
    b->nidle--;
  } else {
    t = calloc(1, sizeof *t);
    if (t == NULL) luaL_error(L, "not enough memory");
    t->base = b;
  }
  link_(t, &b->busy);
  t->method = &rb_http_get;
  t->hasbody = t->asked = t->inspect = t->once = t->redirects = t->nexpect = 0;
  t->returns = 0;
  t->pause = 0;
  t->timeout = b->timeout;
  return t;
}

rb_HttpTransfer *rb_http_open (lua_State *L, rb_HttpBase *b) {
  rb_HttpTransfer **owner = lua_newuserdatauv(L, sizeof *owner, 0);
  *owner = NULL;
  rb_http_closable(L, TYPE, call_close);
  *owner = take(L, b);
  (*owner)->owner = owner;
  lua_toclose(L, -1);
  return *owner;
}

rb_HttpTransfer *rb_http_transfer (lua_State *L) {
  rb_HttpTransfer *t = *(rb_HttpTransfer **)luaL_checkudata(L, CALL, TYPE);
  if (t == NULL) luaL_error(L, "the request is over");
  return t;
}

/* -- send ------------------------------------------------------------------------------------ */

/* Seconds until the answer has to begin: 0 when it is late, -1 where nothing limits it */
static double patience (const rb_HttpTransfer *t) {
  if (t->base->firstbyte == 0 || !t->sent || t->head.n > 0) return -1;
  double left = t->sentat + t->base->firstbyte - rb_now();
  return left > 0 ? left : 0;
}

static int waited (lua_State *L, int status, lua_KContext ctx) {
  rb_HttpTransfer *t = (rb_HttpTransfer *)ctx;
  double left = patience(t);
  if (!t->done && rb_timeleft(L) > 0 && left != 0)
    return left < 0 ? rb_park(L, ctx, waited) : rb_sleep(L, left, ctx, waited);
  if (!t->done) {
    rb_http_withdraw(t);
    t->result = CURLE_OPERATION_TIMEDOUT;
    t->done = 1;
  }
  t->seconds = rb_now() - t->began;
  if (t->result == CURLE_OK)
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &t->status);
  return t->k(L, status, ctx);
}

/* Nothing but this function sends. Its door has a lock of its own. */
int rb_http_try (lua_State *L, rb_HttpTransfer *t, lua_KFunction k) {
  t->once = !t->method->probe && !rb_http_isprobe(L, t);
  if (t->once && !rb_maychange(L))
    return rb_fail(L, "refused", RB_NOTDONE, "%s: %s %s changes something, and "
                   "this is no place for that", t->base->name, t->method->name,
                   t->url.s + t->path);
  if (!t->once) rb_http_checkprobe(L, t);
  fit(L, t);
  t->done = t->sent = t->toolarge = 0;
  t->head.n = t->body.n = 0;
  t->status = 0;
  t->why[0] = '\0';
  t->k = k;
  t->task = rb_self(L);
  t->began = rb_now();
  if (!rb_http_begin(t)) return luaL_error(L, "not enough memory");
  return rb_park(L, (lua_KContext)t, waited);
}

static int answered (lua_State *L, int status, lua_KContext ctx) {
  rb_HttpTransfer *t = (rb_HttpTransfer *)ctx;
  if (t->result != CURLE_OK) return rb_http_lost(L, t);
  return t->then(L, status, ctx);
}

int rb_http_send (lua_State *L, rb_HttpTransfer *t, lua_KFunction k) {
  t->then = k;
  return rb_http_try(L, t, answered);
}
