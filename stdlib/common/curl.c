/*
** curl.c - one transfer of libcurl on the loop
**
** curl says which sockets it waits for and until when; the loop watches them and
** wakes the task, which lets curl go on. Callbacks touch plain C memory only.
*/

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "stdlib/common/curl.h"

#define TYPE "curl.transfer"
#define MOST ((size_t)256 << 10)  /* bytes kept of an answer: it is only told about */
#define FOREVER 3600.0

/* -- what comes back ----------------------------------------------------------- */

static int keep (rb_CurlText *t, const char *s, size_t n) {
  if (t->n + n > MOST) n = MOST - t->n;
  if (t->n + n >= t->size) {
    size_t size = (t->n + n) * 2 + 256;
    char *bigger = realloc(t->s, size);
    if (bigger == NULL) return 0;
    t->s = bigger;
    t->size = size;
  }
  if (n > 0) memcpy(t->s + t->n, s, n);
  t->n += n;
  t->s[t->n] = '\0';
  return 1;
}

static size_t onbody (char *s, size_t one, size_t n, void *ud) {
  (void)one;
  return keep(&((rb_Curl *)ud)->body, s, n) ? n : n == 0;
}

/* The lines of an HTTP answer's head, or all that an SMTP server says: after its 354
** it may have taken the mail, whatever it says or does not say. */
static size_t onhead (char *s, size_t one, size_t n, void *ud) {
  rb_Curl *t = ud;
  (void)one;
  if (n >= 5 && memcmp(s, "HTTP/", 5) == 0) t->head.n = 0;
  if (!t->once && n >= 3 && memcmp(s, "354", 3) == 0) t->sent = 1;
  return keep(&t->head, s, n) ? n : n == 0;
}

/* Connected; nothing of the request has been sent. curl repeats one by itself when a
** connection breaks without an answer: not ours. */
static int onsend (void *ud, char *ip, char *localip, int port, int localport) {
  rb_Curl *t = ud;
  (void)ip; (void)localip; (void)port; (void)localport;
  if (!t->once) return CURL_PREREQFUNC_OK;
  if (t->sent) return CURL_PREREQFUNC_ABORT;
  t->sent = 1;
  return CURL_PREREQFUNC_OK;
}

/* -- sockets and times ------------------------------------------------------------ */

static void ready (void *ud, short revents) {
  rb_CurlSocket *s = ud;
  s->got |= revents;
  if (s->of->awake) return;
  s->of->awake = 1;
  rb_wake(s->of->task);
}

static void forget (rb_Curl *t, size_t i) {
  if (t->socks[i] == NULL) return;
  rb_unwatch(t->socks[i]->watch);
  free(t->socks[i]);
  t->socks[i] = NULL;
}

static int watch (rb_Curl *t, size_t i, curl_socket_t fd, short events) {
  rb_CurlSocket *s = t->socks[i];
  if (s != NULL) {
    rb_rewatch(s->watch, events);
    return 0;
  }
  s = calloc(1, sizeof *s);
  if (s == NULL) return -1;
  *s = (rb_CurlSocket){.of = t, .fd = fd};
  s->watch = t->L != NULL ? rb_watch(t->L, fd, events, ready, s) : NULL;
  if (s->watch == NULL) {
    free(s);
    return -1;
  }
  t->socks[i] = s;
  return 0;
}

static int onsocket (CURL *e, curl_socket_t fd, int what, void *ud, void *unused) {
  rb_Curl *t = ud;
  size_t n = sizeof t->socks / sizeof *t->socks, at = n;
  (void)e; (void)unused;
  for (size_t i = 0; i < n; i++)
    if (t->socks[i] != NULL && t->socks[i]->fd == fd) at = i;
  if (what == CURL_POLL_REMOVE) {
    if (at < n) forget(t, at);
    return 0;
  }
  for (size_t i = 0; i < n && at == n; i++)
    if (t->socks[i] == NULL) at = i;
  if (at == n) return -1;
  return watch(t, at, fd, (short)((what & CURL_POLL_IN ? POLLIN : 0)
                                  | (what & CURL_POLL_OUT ? POLLOUT : 0)));
}

static int ontimer (CURLM *multi, long ms, void *ud) {
  (void)multi;
  ((rb_Curl *)ud)->due = ms < 0 ? 0 : rb_now() + (double)ms / 1000;
  return 0;
}

/* -- close -------------------------------------------------------------------------- */

static void closeparts (rb_Curl *t) {
  t->L = NULL;
  if (t->multi != NULL && t->easy != NULL) curl_multi_remove_handle(t->multi, t->easy);
  curl_easy_cleanup(t->easy);
  curl_multi_cleanup(t->multi);
  for (size_t i = 0; i < sizeof t->socks / sizeof *t->socks; i++) forget(t, i);
  curl_mime_free(t->mime);
  curl_slist_free_all(t->headers);
  curl_slist_free_all(t->to);
  if (t->out != NULL) explicit_bzero(t->out, t->nout);
  free(t->out);
  free(t->head.s);
  free(t->body.s);
  *t = (rb_Curl){0};
}

static int transfer_close (lua_State *L) {
  closeparts(luaL_checkudata(L, 1, TYPE));
  return 0;
}

/* whole before it has a name: out of memory there is none at all */
static void setclosable (lua_State *L) {
  if (luaL_getmetatable(L, TYPE) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_createtable(L, 0, 3);
    lua_pushcfunction(L, transfer_close);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, transfer_close);
    lua_setfield(L, -2, "__close");
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, TYPE);
  }
  lua_setmetatable(L, -2);
}

/* -- open ---------------------------------------------------------------------------- */

void rb_curl_checkopt (lua_State *L, CURLcode bad) {
  if (bad == CURLE_OUT_OF_MEMORY) luaL_error(L, "not enough memory");
  if (bad != CURLE_OK) luaL_error(L, "libcurl here lacks an option that is needed");
}

static void fit (lua_State *L, rb_Curl *t) {
  CURL *e = t->easy;
  CURLcode bad = curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
  bad |= curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L);  /* no wait for a resolver */
  bad |= curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
  bad |= curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, 1L);
  bad |= curl_easy_setopt(e, CURLOPT_FORBID_REUSE, 1L);
  bad |= curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, 10000L);
  bad |= curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, onbody);
  bad |= curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
  bad |= curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, onhead);
  bad |= curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
  bad |= curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, onsend);
  bad |= curl_easy_setopt(e, CURLOPT_PREREQDATA, t);
  bad |= curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->why);
  rb_curl_checkopt(L, bad != CURLE_OK ? CURLE_UNKNOWN_OPTION : CURLE_OK);
}

static CURLcode started;

static void start (void) { started = curl_global_init(CURL_GLOBAL_DEFAULT); }

rb_Curl *rb_curl_open (lua_State *L) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, start);
  if (started != CURLE_OK) luaL_error(L, "libcurl cannot be started");
  rb_Curl *t = lua_newuserdatauv(L, sizeof *t, 0);
  *t = (rb_Curl){0};
  setclosable(L);
  lua_toclose(L, -1);
  t->easy = curl_easy_init();
  t->multi = curl_multi_init();
  if (t->easy == NULL || t->multi == NULL) luaL_error(L, "not enough memory");
  fit(L, t);
  curl_multi_setopt(t->multi, CURLMOPT_SOCKETFUNCTION, onsocket);
  curl_multi_setopt(t->multi, CURLMOPT_SOCKETDATA, t);
  curl_multi_setopt(t->multi, CURLMOPT_TIMERFUNCTION, ontimer);
  curl_multi_setopt(t->multi, CURLMOPT_TIMERDATA, t);
  return t;
}

void rb_curl_append (lua_State *L, struct curl_slist **list, const char *line) {
  struct curl_slist *longer = curl_slist_append(*list, line);
  if (longer == NULL) luaL_error(L, "not enough memory");
  *list = longer;
}

/* -- perform ---------------------------------------------------------------------------- */

static int maskof (short got) {
  return (got & (POLLIN | POLLHUP | POLLERR) ? CURL_CSELECT_IN : 0)
         | (got & POLLOUT ? CURL_CSELECT_OUT : 0)
         | (got & (POLLERR | POLLNVAL) ? CURL_CSELECT_ERR : 0);
}

/* Lets curl do what it can. A socket may be gone by the time it is its turn. */
static void act (rb_Curl *t) {
  struct { curl_socket_t fd; int mask; } got[8];
  int running, n = 0;
  for (size_t i = 0; i < sizeof t->socks / sizeof *t->socks; i++) {
    if (t->socks[i] == NULL || t->socks[i]->got == 0) continue;
    got[n].fd = t->socks[i]->fd;
    got[n++].mask = maskof(t->socks[i]->got);
    t->socks[i]->got = 0;
  }
  for (int i = 0; i < n; i++)
    curl_multi_socket_action(t->multi, got[i].fd, got[i].mask, &running);
  if (t->due != 0 && rb_now() >= t->due) {
    t->due = 0;
    curl_multi_socket_action(t->multi, CURL_SOCKET_TIMEOUT, 0, &running);
  }
  for (CURLMsg *m; (m = curl_multi_info_read(t->multi, &running)) != NULL; ) {
    if (m->msg != CURLMSG_DONE) continue;
    t->result = m->data.result;
    t->done = 1;
  }
}

static int turn (lua_State *L, int status, lua_KContext ctx) {
  rb_Curl *t = (rb_Curl *)ctx;
  t->awake = 0;
  t->L = L;
  act(t);
  t->L = NULL;
  if (!t->done && rb_timeleft(L) > 0) {
    double wait = t->due == 0 ? FOREVER : t->due - rb_now();
    return rb_sleep(L, wait > 0 ? wait : 0, ctx, turn);
  }
  t->seconds = rb_now() - t->began;
  if (!t->done) t->result = CURLE_OPERATION_TIMEDOUT;
  curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &t->status);
  curl_multi_remove_handle(t->multi, t->easy);
  return t->k(L, status, ctx);
}

/* Nothing but this function sends. Its door has a lock of its own. */
int rb_curl_perform (lua_State *L, rb_Curl *t, lua_KFunction k) {
  if (!rb_maychange(L))
    return rb_fail(L, "refused", RB_NOTDONE, "%s tells people, and this is no place "
                   "for that", rb_resource(L)->name);
  t->k = k;
  t->task = rb_self(L);
  t->began = rb_now();
  t->due = t->sent = t->done = 0;
  t->head.n = t->body.n = 0;
  t->why[0] = '\0';
  t->L = L;
  int failed = curl_multi_add_handle(t->multi, t->easy) != CURLM_OK;
  t->L = NULL;
  if (failed) return luaL_error(L, "not enough memory");
  return turn(L, LUA_OK, (lua_KContext)t);
}

/* -- how it went ------------------------------------------------------------------------- */

static const struct { CURLcode code; const char *kind, *mend; } causes[] = {
  {CURLE_COULDNT_RESOLVE_HOST, "io", "is the name right, and does DNS answer?"},
  {CURLE_COULDNT_CONNECT, "io", "is it running, and reachable from here?"},
  {CURLE_PEER_FAILED_VERIFICATION, "auth", "its certificate is not trusted"},
  {CURLE_SSL_CACERT_BADFILE, "auth", "see 'ca' in the configuration"},
  {CURLE_SSL_CONNECT_ERROR, "io", "does that port speak TLS?"},
  {CURLE_USE_SSL_FAILED, "auth", "the server does not offer STARTTLS"},
  {CURLE_LOGIN_DENIED, "auth", "see user and password in the configuration"},
  {CURLE_OPERATION_TIMEDOUT, "timeout", NULL},
  {CURLE_OK, "io", NULL}
};

const char *rb_curl_why (lua_State *L, const rb_Curl *t, const char **kind) {
  int i = 0;
  while (causes[i].code != CURLE_OK && causes[i].code != t->result) i++;
  *kind = causes[i].kind;
  lua_Number seconds = (lua_Number)((long)(t->seconds * 10 + 0.5)) / 10;
  if (t->result == CURLE_OPERATION_TIMEDOUT)
    return lua_pushfstring(L, "%s after %f s", t->head.n > 0 ? "the answer stopped in "
                           "the middle" : t->sent ? "no answer" : "no connection", seconds);
  const char *words = t->why[0] != '\0' ? t->why : curl_easy_strerror(t->result);
  if (t->result == CURLE_ABORTED_BY_CALLBACK)
    words = "the connection broke, and this is not sent twice";
  if (causes[i].mend == NULL) return lua_pushstring(L, words);
  return lua_pushfstring(L, "%s (%s)", words, causes[i].mend);
}

const char *rb_curl_header (const rb_Curl *t, const char *name, size_t *n) {
  size_t len = strlen(name);
  for (const char *s = t->head.n > 0 ? t->head.s : ""; *s != '\0';
       s += strcspn(s, "\n"), s += *s == '\n') {
    if (strncasecmp(s, name, len) != 0 || s[len] != ':') continue;
    s += len + 1 + strspn(s + len + 1, " \t");
    *n = strcspn(s, "\r\n");
    return s;
  }
  return NULL;
}

const char *rb_curl_glimpse (lua_State *L, const rb_Curl *t, size_t max) {
  luaL_Buffer b;
  int space = 1;
  luaL_buffinit(L, &b);
  for (size_t i = 0; i < t->body.n && luaL_bufflen(&b) < max; i++) {
    unsigned char c = (unsigned char)t->body.s[i];
    int blank = c <= ' ' || c == 0x7f;
    if (!blank || !space) luaL_addchar(&b, blank ? ' ' : (char)c);
    space = blank;
  }
  if (luaL_bufflen(&b) >= max) luaL_addstring(&b, "...");
  luaL_pushresult(&b);
  return lua_tostring(L, -1);
}
