/*
** cache.c - Redis for a pool of threads: a connection each, as in database.c
*/

#define _POSIX_C_SOURCE 200809L

#include <hiredis/hiredis.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "erp.h"

#define PATIENCE 1000
#define PAUSE 250
#define MAX_ARGUMENTS 8

typedef struct Link {
  redisContext *conn;
  long retry_at;
  char why[256];
} Link;

typedef struct Address {
  char user[64], password[128], host[128];
  int port, db;
} Address;

static Address address;
static pthread_key_t key;

static void link_free (void *p) {
  Link *l = p;
  if (l->conn) redisFree(l->conn);
  free(l);
}

/* redis://user:password@host:port/db */
int erp_redis_init (const char *url) {
  address.port = 6379;
  int n = sscanf(url, "redis://%63[^:@/]:%127[^@/]@%127[^:/]:%d/%d", address.user,
                 address.password, address.host, &address.port, &address.db);
  if (n < 3) return -1;
  return pthread_key_create(&key, link_free);
}

static Link *link_get (void) {
  Link *l = pthread_getspecific(key);
  if (l) return l;
  l = calloc(1, sizeof *l);
  if (l) pthread_setspecific(key, l);
  return l;
}

static void link_lose (Link *l, const char *why) {
  snprintf(l->why, sizeof l->why, "%s", why);
  if (l->conn) redisFree(l->conn);
  l->conn = NULL;
  l->retry_at = erp_now_ms() + PAUSE;
}

static redisReply *say (Link *l, int argc, const char **argv) {
  size_t sizes[MAX_ARGUMENTS];
  if (argc > MAX_ARGUMENTS) return NULL;
  for (int i = 0; i < argc; i++) sizes[i] = strlen(argv[i]);
  redisReply *reply = redisCommandArgv(l->conn, argc, argv, sizes);
  if (!reply) link_lose(l, l->conn->errstr);
  return reply;
}

/* 0 when the server refuses; the connection is gone then */
static int greet (Link *l, int argc, const char **argv) {
  redisReply *reply = say(l, argc, argv);
  if (!reply) return 0;
  int ok = reply->type != REDIS_REPLY_ERROR;
  if (!ok) link_lose(l, reply->str);
  freeReplyObject(reply);
  return ok;
}

static int link_open (Link *l) {
  const struct timeval patience = {.tv_sec = PATIENCE / 1000};
  char db[16];
  if (erp_now_ms() < l->retry_at) return 0;
  snprintf(db, sizeof db, "%d", address.db);
  l->conn = redisConnectWithTimeout(address.host, address.port, patience);
  if (!l->conn || l->conn->err) {
    char why[128];
    snprintf(why, sizeof why, "%s", l->conn ? l->conn->errstr : "out of memory");
    link_lose(l, why);
    return 0;
  }
  redisSetTimeout(l->conn, patience);
  const char *auth[] = {"AUTH", address.user, address.password};
  const char *name[] = {"CLIENT", "SETNAME", erp_name};
  const char *choose[] = {"SELECT", db};
  return greet(l, 3, auth) && greet(l, 3, name)
         && (address.db == 0 || greet(l, 2, choose));
}

/* an idle connection with something to read has been closed by the server */
static int link_usable (Link *l) {
  if (l->conn) {
    struct pollfd p = {.fd = l->conn->fd, .events = POLLIN};
    if (poll(&p, 1, 0) == 0) return 1;
    redisFree(l->conn);
    l->conn = NULL;
  }
  return link_open(l);
}

static redisReply *command (int argc, const char **argv) {
  Link *l = link_get();
  if (!l || !link_usable(l)) return NULL;
  return say(l, argc, argv);
}

/* the values of several strings, JSON null where there is none */
int erp_redis_get (int n, const char *const *keys, json_t **values) {
  const char *argv[MAX_ARGUMENTS] = {"MGET"};
  for (int i = 0; i < n; i++) argv[i + 1] = keys[i];
  redisReply *reply = command(n + 1, argv);
  if (!reply) return -1;
  for (int i = 0; i < n; i++) {
    const redisReply *each = reply->type == REDIS_REPLY_ARRAY
      && (size_t)i < reply->elements ? reply->element[i] : NULL;
    values[i] = json_null();
    if (!each || each->type != REDIS_REPLY_STRING) continue;
    json_t *text = json_stringn(each->str, each->len);
    values[i] = text ? text : json_string("(not UTF-8)");
  }
  freeReplyObject(reply);
  return 0;
}

static long long integer (int argc, const char **argv, long long otherwise) {
  redisReply *reply = command(argc, argv);
  if (!reply) return -1;
  long long n = reply->type == REDIS_REPLY_INTEGER ? reply->integer : otherwise;
  freeReplyObject(reply);
  return n;
}

int erp_redis_ping (void) {
  const char *argv[] = {"PING"};
  return integer(1, argv, 1) == 1 ? 0 : -1;
}

long long erp_redis_ttl (const char *name) {
  const char *argv[] = {"TTL", name};
  return integer(2, argv, -1);
}

/* members of a sorted set (Bull), or items of a list (older queues) */
long long erp_redis_count (const char *name) {
  static const char *const ways[] = {"ZCARD", "LLEN", "SCARD"};
  long long n = -2;
  for (size_t i = 0; i < sizeof ways / sizeof *ways && n == -2; i++) {
    const char *argv[] = {ways[i], name};
    n = integer(2, argv, -2);
  }
  return n == -2 ? 0 : n;
}

int erp_redis_do (int argc, const char **argv) {
  return integer(argc, argv, 0) == -1 ? -1 : 0;
}

const char *erp_redis_why (void) {
  const Link *l = link_get();
  return l && *l->why ? l->why : "no connection";
}
