/*
** proxy.c - a drill's faults of the network: a process that passes bytes on, or does not
**
** Each server of the sandbox has a port of the proxy on loopback, and the drilled run is
** led there. It hands everything on as it comes, knows no protocol (but for the one line
** of a status 500), and does one thing wrong when it is told to (vm/drill.h). It goes
** with the drill: when the other end of 'control' is closed.
*/

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vm/cli/proxy.h"

#define PAIRS 128
#define CHUNK 65536

/* a client of ours, and our own connection to its server; 'route' < 0: free */
typedef struct Pair {
  int route, client, server;
  int dead;              /* it has lost bytes: it ends with the fault */
} Pair;

typedef struct Proxy {
  rb_Proxy *x;
  rb_FaultOrder now;
  Pair pairs[PAIRS];
} Proxy;

/* -- sockets ------------------------------------------------------------------- */

/* a socket with that port of loopback (0: any), not listening: connections are refused */
static int bound (int port) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                          .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
  if (fd < 0) return -1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(fd, (struct sockaddr *)&a, sizeof a) == 0) return fd;
  close(fd);
  return -1;
}

static int connected (const rb_ProxyRoute *r) {
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
  int fd = -1;
  if (getaddrinfo(r->host, r->port, &hints, &list) != 0) return -1;
  for (struct addrinfo *a = list; a != NULL && fd < 0; a = a->ai_next) {
    fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, a->ai_addr, a->ai_addrlen) == 0) continue;
    close(fd);
    fd = -1;
  }
  freeaddrinfo(list);
  return fd;
}

static int passon (int fd, const char *s, size_t n) {
  while (n > 0) {
    ssize_t k = send(fd, s, n, MSG_NOSIGNAL);
    if (k < 0 && errno == EINTR) continue;
    if (k < 0) return 0;
    s += k;
    n -= (size_t)k;
  }
  return 1;
}

/* -- pairs --------------------------------------------------------------------- */

/* 'hard': the client's connection is reset, not ended */
static void drop (Pair *c, int hard) {
  struct linger now = {.l_onoff = 1};
  if (hard) setsockopt(c->client, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close(c->client);
  if (c->server >= 0) close(c->server);
  *c = (Pair){.route = -1, .client = -1, .server = -1};
}

/* The URLs of one resource (its own, its probes') are servers of the same name. */
static int suffers (const Proxy *x, int route, rb_Fault fault) {
  return x->now.fault == fault && strcmp(x->x->routes[route].target, x->now.target) == 0;
}

static void welcome (Proxy *x, int route) {
  rb_ProxyRoute *r = &x->x->routes[route];
  Pair *c = x->pairs;
  int client = accept4(r->listener, NULL, NULL, SOCK_CLOEXEC);
  if (client < 0) return;
  while (c < x->pairs + PAIRS && c->route >= 0) c++;
  if (c == x->pairs + PAIRS) {
    close(client);
    return;
  }
  *c = (Pair){.route = route, .client = client, .server = connected(r)};
  if (c->server < 0) drop(c, 1);
}

static void fromclient (Proxy *x, Pair *c) {
  static const char broken[] = "HTTP/1.1 500 Internal Server Error\r\n"
    "Content-Type: text/plain\r\nContent-Length: 6\r\nConnection: close\r\n\r\ndrill\n";
  static char b[CHUNK];
  ssize_t n = recv(c->client, b, sizeof b, 0);
  if (n <= 0) drop(c, 0);
  else if (suffers(x, c->route, RB_FAULT_SILENT)) c->dead = 1;
  else if (suffers(x, c->route, RB_FAULT_ERROR)) {
    if (!c->dead && passon(c->client, broken, sizeof broken - 1))
      shutdown(c->client, SHUT_WR);
    c->dead = 1;  /* what it still sends is read and forgotten */
  } else if (!c->dead && !passon(c->server, b, (size_t)n)) drop(c, 0);
}

static void fromserver (Proxy *x, Pair *c) {
  static char b[CHUNK];
  ssize_t n = recv(c->server, b, sizeof b, 0);
  if (n <= 0 && !c->dead) drop(c, 0);
  else if (n <= 0) {  /* of a silent server the client does not even hear the end */
    close(c->server);
    c->server = -1;
  } else if (suffers(x, c->route, RB_FAULT_SILENT) || c->dead) c->dead = 1;
  else if (suffers(x, c->route, RB_FAULT_HALF)) {
    passon(c->client, b, (size_t)n / 2);
    x->now.fault = RB_FAULT_NONE;
    drop(c, 0);
  } else if (!passon(c->client, b, (size_t)n)) drop(c, 0);
}

/* -- orders ---------------------------------------------------------------------- */

static void relisten (rb_ProxyRoute *r, int refuse) {
  close(r->listener);
  r->listener = bound(r->mine);
  if (!refuse && r->listener >= 0 && listen(r->listener, 64) != 0) {
    close(r->listener);
    r->listener = -1;
  }
}

static void lift (Proxy *x) {
  for (int i = 0; i < x->x->n; i++)
    if (suffers(x, i, RB_FAULT_REFUSED)) relisten(&x->x->routes[i], 0);
  for (Pair *c = x->pairs; c < x->pairs + PAIRS; c++)
    if (c->route >= 0 && c->dead) drop(c, 1);
}

static int obey (Proxy *x) {
  rb_FaultOrder o;
  if (recv(x->x->control, &o, sizeof o, 0) != sizeof o) return 0;
  lift(x);
  x->now = o;
  for (int i = 0; i < x->x->n; i++)
    if (suffers(x, i, RB_FAULT_REFUSED)) relisten(&x->x->routes[i], 1);
  for (Pair *c = x->pairs; c < x->pairs + PAIRS; c++)
    if (c->route >= 0 && suffers(x, c->route, RB_FAULT_REFUSED)) drop(c, 1);
  return send(x->x->control, "", 1, MSG_NOSIGNAL) == 1;
}

/* -- the loop -------------------------------------------------------------------------- */

static int turn (Proxy *x) {
  struct pollfd p[1 + RB_MAXROUTES + 2 * PAIRS];
  nfds_t n = 0;
  p[n++] = (struct pollfd){x->x->control, POLLIN, 0};
  for (int i = 0; i < x->x->n; i++) {
    int fd = suffers(x, i, RB_FAULT_REFUSED) ? -1 : x->x->routes[i].listener;
    p[n++] = (struct pollfd){fd, POLLIN, 0};
  }
  for (const Pair *c = x->pairs; c < x->pairs + PAIRS; c++) {
    p[n++] = (struct pollfd){c->client, POLLIN, 0};
    p[n++] = (struct pollfd){c->server, POLLIN, 0};
  }
  if (poll(p, n, -1) < 0) return errno == EINTR;
  const struct pollfd *q = p + 1 + x->x->n;
  for (Pair *c = x->pairs; c < x->pairs + PAIRS; c++, q += 2) {
    if (q[0].revents != 0 && c->client == q[0].fd) fromclient(x, c);
    if (q[1].revents != 0 && c->server == q[1].fd && c->route >= 0) fromserver(x, c);
  }
  for (int i = 0; i < x->x->n; i++)
    if (p[1 + i].revents != 0) welcome(x, i);
  return p[0].revents == 0 || obey(x);  /* last: its descriptors are others after it */
}

static void serve (rb_Proxy *shared) {
  static Proxy x;
  x.x = shared;
  for (Pair *c = x.pairs; c < x.pairs + PAIRS; c++)
    *c = (Pair){.route = -1, .client = -1, .server = -1};
  while (turn(&x)) continue;
}

int rb_proxy_add (rb_Proxy *x, const char *target, const char *host, const char *port) {
  struct sockaddr_in a;
  socklen_t n = sizeof a;
  rb_ProxyRoute *r = &x->routes[x->n];
  if (x->n == RB_MAXROUTES) return errno = E2BIG, -1;
  *r = (rb_ProxyRoute){.listener = bound(0)};
  strncpy(r->target, target, sizeof r->target - 1);
  strncpy(r->host, host, sizeof r->host - 1);
  strncpy(r->port, port, sizeof r->port - 1);
  if (r->listener < 0 || listen(r->listener, 64) != 0
      || getsockname(r->listener, (struct sockaddr *)&a, &n) != 0) return -1;
  x->n++;
  return r->mine = ntohs(a.sin_port);
}

int rb_proxy_start (rb_Proxy *x, rb_Problem *p) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    return rb_problem(p, RB_USAGE, "drill", "no proxy: %s", strerror(errno));
  x->pid = fork();
  if (x->pid == 0) {
    signal(SIGINT, SIG_IGN);
    close(ends[0]);
    x->control = ends[1];
    serve(x);
    _exit(0);
  }
  close(ends[1]);
  for (int i = 0; i < x->n; i++) close(x->routes[i].listener);
  x->control = ends[0];
  return x->pid > 0 ? 0 : rb_problem(p, RB_USAGE, "drill", "no proxy: %s", strerror(errno));
}

void rb_proxy_stop (rb_Proxy *x) {
  if (x->pid <= 0) return;
  close(x->control);
  while (waitpid(x->pid, NULL, 0) < 0 && errno == EINTR) continue;
}
