/*
** hub.c - all transfers of the process, and the loop that they run in
**
** One multi handle, driven by its sockets: curl says which ones it waits for
** and until when, and they are polled together with the loop's own
** descriptors. So a turn costs what has happened in it, however many requests
** are on their way (curl_multi_perform would look at each of them).
*/

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "stdlib/http/http.h"

static struct {
  CURLM *multi;             /* NULL: nobody has a base open */
  int bases;
  int running;              /* transfers in the multi handle */
  double due;               /* when curl has something to do; 0: never */
  struct pollfd *fds;       /* room for the loop's, then curl's; scratch */
  unsigned sizefds;
  struct pollfd *socks;     /* curl's */
  unsigned n, size;
} hub;

/* -- transfers ------------------------------------------------------------------ */

int rb_http_begin (rb_HttpTransfer *t) {
  if (curl_multi_add_handle(hub.multi, t->easy) != CURLM_OK) return 0;
  t->underway = 1;
  hub.running++;
  return 1;
}

void rb_http_withdraw (rb_HttpTransfer *t) {
  if (!t->underway) return;
  curl_multi_remove_handle(hub.multi, t->easy);
  t->underway = 0;
  hub.running--;
}

static void reap (void) {
  CURLMsg *m;
  int left;
  while ((m = curl_multi_info_read(hub.multi, &left)) != NULL) {
    rb_HttpTransfer *t = NULL;
    if (m->msg != CURLMSG_DONE) continue;
    CURLcode result = m->data.result;
    curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&t);
    rb_http_withdraw(t);    /* m is gone now */
    t->result = result;
    t->done = 1;
    rb_wake(t->task);
  }
}

/* -- curl's wishes ----------------------------------------------------------------- */

static short eventsof (int what) {
  return (short)((what & CURL_POLL_IN ? POLLIN : 0) | (what & CURL_POLL_OUT ? POLLOUT : 0));
}

static int growsocks (void) {
  if (hub.n < hub.size) return 1;
  unsigned size = hub.size > 0 ? hub.size * 2 : 64;
  struct pollfd *socks = realloc(hub.socks, size * sizeof *socks);
  if (socks == NULL) return 0;
  hub.socks = socks;
  hub.size = size;
  return 1;
}

/* 'place' is the socket's in hub.socks, plus one; NULL: it has none yet */
static int onsocket (CURL *e, curl_socket_t fd, int what, void *ud, void *place) {
  size_t at = (size_t)place;
  (void)e; (void)ud;
  if (what == CURL_POLL_REMOVE) {
    if (at == 0) return 0;
    hub.socks[at - 1] = hub.socks[--hub.n];
    if (at - 1 < hub.n)
      curl_multi_assign(hub.multi, hub.socks[at - 1].fd, (void *)at);
    return 0;
  }
  if (at == 0) {
    if (!growsocks()) return -1;
    at = ++hub.n;
    curl_multi_assign(hub.multi, fd, (void *)at);
  }
  hub.socks[at - 1] = (struct pollfd){.fd = fd, .events = eventsof(what)};
  return 0;
}

static int ontimer (CURLM *multi, long ms, void *ud) {
  (void)multi; (void)ud;
  hub.due = ms < 0 ? 0 : rb_now() + (double)ms / 1000;
  return 0;
}

/* -- turning ---------------------------------------------------------------------- */

static void expire (void) {
  int running;
  if (hub.due == 0 || rb_now() < hub.due) return;
  hub.due = 0;
  curl_multi_socket_action(hub.multi, CURL_SOCKET_TIMEOUT, 0, &running);
}

/* what was added in this turn goes out before the loop writes and waits */
static void turn (void *ud) {
  (void)ud;
  if (hub.due == 0) return;
  expire();
  reap();
}

static int growfds (unsigned n) {
  if (n <= hub.sizefds) return 1;
  struct pollfd *fds = realloc(hub.fds, 2 * n * sizeof *fds);
  if (fds == NULL) return 0;
  hub.fds = fds;
  hub.sizefds = 2 * n;
  return 1;
}

/* the 'n' sockets of curl that were polled; some may be gone by the time it is
** their turn, which curl knows */
static void act (const struct pollfd *fds, unsigned n) {
  int running;
  for (unsigned i = 0; i < n; i++) {
    int got = fds[i].revents, what = 0;
    if (got == 0) continue;
    if (got & (POLLIN | POLLHUP | POLLERR)) what |= CURL_CSELECT_IN;
    if (got & POLLOUT) what |= CURL_CSELECT_OUT;
    if (got & (POLLERR | POLLNVAL)) what |= CURL_CSELECT_ERR;
    curl_multi_socket_action(hub.multi, fds[i].fd, what, &running);
  }
}

static int sooner (int ms) {
  if (hub.due == 0) return ms;
  double left = (hub.due - rb_now()) * 1000;
  return left <= 0 ? 0 : left < ms ? (int)left + 1 : ms;
}

/* poll with another name */
static int wait_ (void *ud, struct pollfd *fds, unsigned n, int ms) {
  (void)ud;
  unsigned mine = hub.n;
  if (hub.running == 0 || !growfds(n + mine)) return poll(fds, n, ms);
  if (n > 0) memcpy(hub.fds, fds, n * sizeof *fds);
  if (mine > 0) memcpy(hub.fds + n, hub.socks, mine * sizeof *hub.socks);
  int got = poll(hub.fds, n + mine, sooner(ms));
  if (got > 0) act(hub.fds + n, mine);
  expire();
  reap();
  for (unsigned i = 0; i < n; i++) fds[i].revents = got > 0 ? hub.fds[i].revents : 0;
  return got;
}

/* -- opening and closing ----------------------------------------------------------- */

static CURLcode started;

static void start (void) { started = curl_global_init(CURL_GLOBAL_DEFAULT); }

/* in the thread that loaded us, or when a base is opened: once, whoever comes first */
void rb_http_warm (void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, start);
}

static void hub_open (lua_State *L) {
  rb_http_warm();
  if (started != CURLE_OK) luaL_error(L, "libcurl cannot be started");
  hub.multi = curl_multi_init();
  if (hub.multi == NULL) luaL_error(L, "not enough memory");
  curl_multi_setopt(hub.multi, CURLMOPT_MAXCONNECTS, 1024L);
  curl_multi_setopt(hub.multi, CURLMOPT_SOCKETFUNCTION, onsocket);
  curl_multi_setopt(hub.multi, CURLMOPT_TIMERFUNCTION, ontimer);
}

void rb_http_hub (lua_State *L, int more) {
  if (more > 0) {
    if (hub.multi == NULL) hub_open(L);
    rb_onturn(L, turn, &hub);
    rb_setpoller(L, wait_, &hub);
  }
  hub.bases += more;
  if (hub.bases > 0 || hub.multi == NULL) return;
  curl_multi_cleanup(hub.multi);
  free(hub.fds);
  free(hub.socks);
  memset(&hub, 0, sizeof hub);
}
