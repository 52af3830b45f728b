/*
** serve.c - HTTP for the applications of the sandbox: routes, bodies, answers,
** and one that serves until it is asked to stop
*/

#define _POSIX_C_SOURCE 200809L

#include <arpa/inet.h>
#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "erp.h"

#define MAX_BODY 65536

typedef struct Body {
  size_t size;                 /* may be more than is kept */
  char *text;                  /* NULL: none came */
} Body;

long erp_now_ms (void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

Reply erp_reply (unsigned status, json_t *body) {
  return (Reply){.status = status, .body = body};
}

Reply erp_error (unsigned status, const char *code, const char *message) {
  return erp_reply(status, json_pack("{s:s, s:s}", "error", code,
                                     "message", message));
}

static int hexvalue (char c) {
  const char *digits = "0123456789abcdef";
  const char *at = c ? strchr(digits, c | 0x20) : NULL;
  return at ? (int)(at - digits) : -1;
}

/* decode %XX in place; 0 for a bad escape, a NUL, or what is not UTF-8 */
static int decode (char *s) {
  char *out = s;
  const char *start = s;
  for (; *s != '\0'; s++) {
    if (*s == '%') {
      int high = hexvalue(s[1]), low = high < 0 ? -1 : hexvalue(s[2]);
      if (low < 0 || high + low == 0) return 0;
      *out++ = (char)(high * 16 + low);
      s += 2;
    } else {
      *out++ = *s;
    }
  }
  *out = '\0';
  json_t *text = json_string(start);
  json_decref(text);
  return text != NULL;
}

/* cut the path into decoded segments, in place */
static int segments_read (Request *r, char *path) {
  char *rest = NULL;
  for (char *s = strtok_r(path, "/", &rest); s; s = strtok_r(NULL, "/", &rest)) {
    if (r->nsegments == MAX_SEGMENTS || !decode(s)) return 0;
    r->segment[r->nsegments++] = s;
  }
  return 1;
}

static int route_matches (const Route *route, const Request *r) {
  int n = 0;
  while (n < MAX_SEGMENTS && route->path[n]) {
    if (n == r->nsegments) return 0;
    if (strcmp(route->path[n], "*") != 0
        && strcmp(route->path[n], r->segment[n]) != 0) return 0;
    n++;
  }
  return n == r->nsegments;
}

static Reply serve (App *app, Request *r) {
  int known = 0;
  int head = strcmp(r->method, "HEAD") == 0;
  for (const Route *each = app->routes; each->method; each++) {
    if (!route_matches(each, r)) continue;
    known = 1;
    if (strcmp(each->method, head ? "GET" : r->method) == 0)
      return each->serve(app, r);
  }
  return known ? erp_error(405, "method_not_allowed", "Not with this method.")
               : erp_error(404, "not_found", "There is no such page.");
}

static enum MHD_Result answer (struct MHD_Connection *c, App *app,
                               const char *url, Reply reply) {
  const char *plain = reply.type ? json_string_value(reply.body) : NULL;
  char *text = plain ? strdup(plain) : json_dumps(reply.body, JSON_COMPACT);
  json_decref(reply.body);
  if (!text) return MHD_NO;
  struct MHD_Response *out = MHD_create_response_from_buffer(
    strlen(text), text, MHD_RESPMEM_MUST_FREE);
  MHD_add_response_header(out, "Content-Type",
                          plain ? reply.type : "application/json");
  MHD_add_response_header(out, "Cache-Control", "no-store");
  if (reply.retry_after > 0) {
    char seconds[32];
    snprintf(seconds, sizeof seconds, "%ld", reply.retry_after);
    MHD_add_response_header(out, "Retry-After", seconds);
  }
  enum MHD_Result queued = MHD_queue_response(c, reply.status, out);
  MHD_destroy_response(out);
  atomic_fetch_add(&app->requests, 1);
  if (reply.status >= 500) {
    atomic_fetch_add(&app->failures, 1);
    erp_journal("warn", "REQUEST_FAILED", json_pack("{s:s, s:i}", "path", url,
                "status", (int)reply.status));
  }
  return queued;
}

static const char *client_address (struct MHD_Connection *c, char *out,
                                   size_t size) {
  const char *forwarded =
    MHD_lookup_connection_value(c, MHD_HEADER_KIND, "X-Forwarded-For");
  if (forwarded) {
    snprintf(out, size, "%.*s", (int)strcspn(forwarded, ", "), forwarded);
    return out;
  }
  const union MHD_ConnectionInfo *info =
    MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
  const struct sockaddr_in *in = (const void *)info->client_addr;
  return inet_ntop(AF_INET, &in->sin_addr, out, (socklen_t)size);
}

static const char *bearer (struct MHD_Connection *c) {
  const char *value =
    MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Authorization");
  return value && strncmp(value, "Bearer ", 7) == 0 ? value + 7 : NULL;
}

static enum MHD_Result respond (struct MHD_Connection *c, App *app,
                                const char *url, const char *method,
                                const Body *body) {
  char path[1024], ip[64];
  if (body->size > MAX_BODY)
    return answer(c, app, url, erp_error(413, "too_large", "At most 64 KB."));
  if (strlen(url) >= sizeof path)
    return answer(c, app, url, erp_error(414, "too_long", "The path is too long."));
  strcpy(path, url);
  Request r = {.method = method, .body = body->text ? body->text : "",
               .session = bearer(c), .key = MHD_lookup_connection_value(c,
                 MHD_HEADER_KIND, "Idempotency-Key"), .ip = client_address(c, ip, sizeof ip)};
  Reply reply = segments_read(&r, path) ? serve(app, &r)
    : erp_error(400, "bad_path", "The path cannot be read.");
  return answer(c, app, url, reply);
}

static int body_add (Body *body, const char *data, size_t n) {
  body->size += n;
  if (body->size > MAX_BODY) return 1;
  char *text = realloc(body->text, body->size + 1);
  if (!text) return 0;
  memcpy(text + body->size - n, data, n);
  text[body->size] = '\0';
  body->text = text;
  return 1;
}

/* called for the head, for each piece of the body, and once more at its end */
static enum MHD_Result handle (void *ud, struct MHD_Connection *c,
                               const char *url, const char *method,
                               const char *version, const char *data,
                               size_t *size, void **state) {
  Body *body = *state;
  (void)version;
  if (!body) {
    *state = calloc(1, sizeof *body);
    return *state ? MHD_YES : MHD_NO;
  }
  if (*size > 0) {
    size_t n = *size;
    *size = 0;
    return body_add(body, data, n) ? MHD_YES : MHD_NO;
  }
  return respond(c, ud, url, method, body);
}

static void completed (void *ud, struct MHD_Connection *c, void **state,
                       enum MHD_RequestTerminationCode why) {
  Body *body = *state;
  (void)ud; (void)c; (void)why;
  if (body) free(body->text);
  free(body);
  *state = NULL;
}

/* paths are decoded a segment at a time, not here */
static size_t unescape_nothing (void *ud, struct MHD_Connection *c, char *s) {
  (void)ud; (void)c;
  return strlen(s);
}

static struct MHD_Daemon *listen_on (App *app, int port) {
  struct sockaddr_in here = {.sin_family = AF_INET};
  long threads = 2 * sysconf(_SC_NPROCESSORS_ONLN);
  if (threads < 4) threads = 4;
  if (threads > 16) threads = 16;
  here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  here.sin_port = htons((in_port_t)port);
  return MHD_start_daemon(
    MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_TURBO, 0, NULL, NULL, handle, app,
    MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&here,
    MHD_OPTION_THREAD_POOL_SIZE, (unsigned)threads,
    MHD_OPTION_CONNECTION_LIMIT, 4096u,
    MHD_OPTION_CONNECTION_TIMEOUT, 120u,
    MHD_OPTION_NOTIFY_COMPLETED, completed, NULL,
    MHD_OPTION_UNESCAPE_CALLBACK, unescape_nothing, NULL,
    MHD_OPTION_END);
}

static int pidfile_write (const char *path) {
  FILE *f = fopen(path, "we");
  if (!f) return -1;
  int wrong = fprintf(f, "%ld\n", (long)getpid()) < 0;
  return fclose(f) != 0 || wrong ? -1 : 0;
}

int erp_fail (const char *what, const char *why) {
  fprintf(stderr, "%s: %s: %s\n", erp_name, what, why);
  return 1;
}

/* serve until asked to stop */
int erp_serve (App *app, const char *pidfile) {
  int port = atoi(erp_env(app, "PORT", "3000"));
  sigset_t stop;
  int got = 0;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTERM);
  sigaddset(&stop, SIGINT);
  pthread_sigmask(SIG_BLOCK, &stop, NULL);
  signal(SIGPIPE, SIG_IGN);
  struct MHD_Daemon *d = listen_on(app, port);
  if (!d) return erp_fail("cannot listen on port", erp_env(app, "PORT", "3000"));
  if (pidfile && pidfile_write(pidfile) < 0) return erp_fail("cannot write", pidfile);
  erp_journal("info", "SERVER_STARTED", json_pack("{s:i, s:i, s:O*}", "pid",
              (int)getpid(), "port", port, "disabled_tenants", app->disabled));
  while (sigwait(&stop, &got) != 0) continue;
  MHD_stop_daemon(d);
  erp_journal("info", "SERVER_STOPPED", json_pack("{s:s}", "signal",
              got == SIGTERM ? "SIGTERM" : "SIGINT"));
  if (pidfile) unlink(pidfile);
  return 0;
}
