/*
** conn.c - bytes to and from a server
**
** Commands are queued, and written once at the end of a turn of the loop;
** replies are matched to those who wait for them by their order. So fifty
** probes in fifty tasks are one write and one read. What arrives is handled
** in the loop, where there is no Lua: replies are parked on their calls.
*/

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stdlib/redis/redis.h"

#if HIREDIS_MAJOR >= 1
typedef size_t Count;
#else
typedef int Count;
#endif

static void happened (void *ud, short revents);

/* -- close ---------------------------------------------------------------- */

/* closes the socket; the connection is forgotten once nobody holds it */
static void conn_close (rb_RedisConn *conn) {
  if (conn->pool->shared == conn) conn->pool->shared = NULL;
  if (conn->watch != NULL) rb_unwatch(conn->watch);
  conn->watch = NULL;
  if (conn->tls != NULL) conn->pool->part->close(conn->tls);
  conn->tls = NULL;
  if (conn->ctx != NULL) redisFree(conn->ctx);
  conn->ctx = NULL;
  conn->up = conn->dirty = 0;
}

void rb_redis_sweep (rb_RedisPool *p, int all) {
  rb_RedisConn **at = &p->conns, *conn;
  while ((conn = *at) != NULL) {
    if (all) conn_close(conn);
    if (conn->ctx != NULL || conn->users > 0) {
      at = &conn->next;
      continue;
    }
    *at = conn->next;
    free(conn->queue);
    free(conn);
  }
}

static rb_RedisCall *dequeue (rb_RedisConn *conn) {
  rb_RedisCall *c = conn->queue[conn->first];
  conn->first = (conn->first + 1) % conn->size;
  conn->count--;
  return c;
}

void rb_redis_break (rb_RedisConn *conn, const char *kind, const char *fmt,
                     ...) {
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(conn->pool->why, sizeof conn->pool->why, fmt, ap);
  va_end(ap);
  int unsent = conn->dirty;
  conn_close(conn);
  while (conn->count > 0) {
    rb_RedisCall *c = dequeue(conn);
    if (c != NULL && c->lost == NULL) {
      c->lost = kind;
      c->unsent = unsent;
      if (c->task != NULL) rb_wake(c->task);
    }
    if (strcmp(kind, "limit") == 0) kind = "io";
  }
}

void rb_redis_disown (rb_RedisConn *conn, const rb_RedisCall *c) {
  for (unsigned i = 0; i < conn->count; i++) {
    rb_RedisCall **at = &conn->queue[(conn->first + i) % conn->size];
    if (*at == c) *at = NULL;
  }
}

void rb_redis_gone (rb_RedisConn *conn) {
  if (conn->up && conn->users == 0 && conn->count == 0) conn->pool->lost = 1;
  rb_redis_break(conn, "io", "the server closed the connection");
}

/* what hiredis says, as one of our kinds */
static void broken (rb_RedisConn *conn) {
  const redisContext *ctx = conn->ctx;
  switch (ctx->err) {
    case REDIS_ERR_EOF: rb_redis_gone(conn); break;
    case REDIS_ERR_OOM:
      rb_redis_break(conn, "limit", "a reply has more than %d elements in one "
                     "list", RB_REDISITEMS);
      break;
    case REDIS_ERR_PROTOCOL:
      rb_redis_break(conn, "data", "the reply cannot be read: %s", ctx->errstr);
      break;
    default: rb_redis_break(conn, "io", "%s", ctx->errstr);
  }
}

/* -- dial ----------------------------------------------------------------- */

/* as hiredis makes lists, but not longer ones than we can keep; its own
** functions are the reader's private data */
static void *makelist (const redisReadTask *task, Count elements) {
  redisReplyObjectFunctions *own = task->privdata;
  return elements <= RB_REDISITEMS ? own->createArray(task, elements) : NULL;
}

static void limitlists (rb_RedisConn *conn) {
  redisReader *r = conn->ctx->reader;
  conn->fn = *r->fn;
  conn->fn.createArray = makelist;
  r->privdata = r->fn;
  r->fn = &conn->fn;
}

static redisContext *dial (const rb_RedisAddress *a, const char *host) {
  return a->host == NULL ? redisConnectUnixNonBlock(a->path)
                         : redisConnectNonBlock(host, a->port);
}

/* 0: TLS cannot even begin; p->why says why */
static int wrap (rb_RedisPool *p, rb_RedisConn *conn) {
  const rb_RedisAddress *a = &p->address[conn->role];
  if (!a->tls) return 1;
  conn->tls = p->part->open(conn->ctx->fd, a->host, &p->trust, p->why, sizeof p->why);
  return conn->tls != NULL;
}

rb_RedisConn *rb_redis_dial (lua_State *L, rb_RedisPool *p, rb_RedisRole role,
                             const char *host) {
  rb_RedisConn *conn = calloc(1, sizeof *conn);
  if (conn == NULL) return NULL;
  conn->pool = p;
  conn->role = role;
  conn->next = p->conns;
  p->conns = conn;
  conn->ctx = dial(&p->address[role], host);
  if (conn->ctx == NULL || conn->ctx->err != 0) {
    snprintf(p->why, sizeof p->why, "%s", conn->ctx != NULL
             ? conn->ctx->errstr : "out of memory");
    conn_close(conn);
    return conn;
  }
  limitlists(conn);
  if (!wrap(p, conn)) {
    conn_close(conn);
    return conn;
  }
  conn->watch = rb_watch(L, conn->ctx->fd, POLLIN, happened, conn);
  if (conn->watch == NULL) conn_close(conn);
  return conn;
}

int rb_redis_alive (rb_RedisConn *conn) {
  if (conn->ctx == NULL || !conn->up) return 0;
  if (conn->count > 0) return 1;
  struct pollfd p = {.fd = conn->ctx->fd, .events = POLLIN};
  return poll(&p, 1, 0) == 0;
}

/* -- write ---------------------------------------------------------------- */

/* a step of TLS that came to nothing: what to wait for, or the end */
static void unstep (rb_RedisConn *conn, rb_RedisStep step) {
  if (step == RB_REDISREAD) rb_rewatch(conn->watch, POLLIN);
  else if (step == RB_REDISWRITE) rb_rewatch(conn->watch, POLLIN | POLLOUT);
  else if (step == RB_REDISEND) rb_redis_gone(conn);
  else
    rb_redis_break(conn, step == RB_REDISUNTRUSTED ? "auth" : "io", "%s",
                   conn->pool->part->words(conn->tls));
}

static void flushtls (rb_RedisConn *conn) {
  rb_RedisStep step = conn->pool->part->flush(conn->tls);
  if (step != RB_REDISDONE) {
    unstep(conn, step);
    return;
  }
  rb_rewatch(conn->watch, POLLIN);
  conn->dirty = 0;
}

static void flush (rb_RedisConn *conn) {
  int done = 0;
  if (conn->tls != NULL) {
    flushtls(conn);
    return;
  }
  if (redisBufferWrite(conn->ctx, &done) != REDIS_OK) {
    broken(conn);
    return;
  }
  rb_rewatch(conn->watch, done ? POLLIN : POLLIN | POLLOUT);
  conn->dirty = !done;
}

void rb_redis_turn (void *pool) {
  rb_RedisPool *p = pool;
  if (!p->dirty) return;
  p->dirty = 0;
  for (rb_RedisConn *conn = p->conns; conn != NULL; conn = conn->next)
    if (conn->ctx != NULL && conn->dirty) flush(conn);
}

static void *grow (lua_State *L, void *p, size_t size) {
  p = realloc(p, size);
  if (p == NULL) luaL_error(L, "not enough memory");
  return p;
}

static void put (lua_State *L, rb_RedisPool *p, const char *s, size_t n) {
  if (p->outsize - p->outlen < n) {
    p->out = grow(L, p->out, (p->outlen + n) * 2);
    p->outsize = (p->outlen + n) * 2;
  }
  memcpy(p->out + p->outlen, s, n);
  p->outlen += n;
}

/* "$12\r\n" */
static void putcount (lua_State *L, rb_RedisPool *p, char kind, size_t n) {
  char text[24], *s = text + sizeof text;
  *--s = '\n';
  *--s = '\r';
  do *--s = (char)('0' + n % 10); while ((n /= 10) > 0);
  *--s = kind;
  put(L, p, s, (size_t)(text + sizeof text - s));
}

void rb_redis_begin (lua_State *L, rb_RedisCall *c, int n) {
  c->pool->outlen = 0;
  putcount(L, c->pool, '*', (size_t)n);
}

void rb_redis_word (lua_State *L, rb_RedisCall *c, const char *s, size_t n) {
  putcount(L, c->pool, '$', n);
  put(L, c->pool, s, n);
  put(L, c->pool, "\r\n", 2);
}

void rb_redis_text (lua_State *L, rb_RedisCall *c, const char *s) {
  rb_redis_word(L, c, s, strlen(s));
}

/* the ring, twice as large and begun anew */
static void growqueue (lua_State *L, rb_RedisConn *conn) {
  unsigned size = conn->size > 0 ? conn->size * 2 : 64;
  rb_RedisCall **queue = grow(L, NULL, size * sizeof *queue);
  for (unsigned i = 0; i < conn->count; i++)
    queue[i] = conn->queue[(conn->first + i) % conn->size];
  free(conn->queue);
  conn->queue = queue;
  conn->first = 0;
  conn->size = size;
}

void rb_redis_end (lua_State *L, rb_RedisCall *c) {
  rb_RedisConn *conn = c->conn;
  rb_RedisPool *p = c->pool;
  if (c->want == c->size) {
    int size = c->size * 4;
    redisReply **reply = grow(L, c->reply == c->few ? NULL : c->reply,
                              (size_t)size * sizeof *reply);
    if (c->reply == c->few) memcpy(reply, c->few, sizeof c->few);
    c->reply = reply;
    c->size = size;
  }
  if (conn->ctx == NULL) {  /* it went away between two questions */
    c->lost = "io";
    c->unsent = 1;
    c->want++;
    return;
  }
  if (conn->count == conn->size) growqueue(L, conn);
  int queued = conn->tls != NULL
    ? p->part->queue(conn->tls, p->out, p->outlen)
    : redisAppendFormattedCommand(conn->ctx, p->out, p->outlen) == REDIS_OK;
  if (!queued)
    luaL_error(L, "not enough memory");
  conn->queue[(conn->first + conn->count++) % conn->size] = c;
  conn->dirty = p->dirty = 1;
  c->want++;
}

void rb_redis_words (lua_State *L, rb_RedisCall *c, int from, int n) {
  rb_redis_begin(L, c, n);
  for (int i = from; i < from + n; i++) {
    size_t len;
    const char *s = lua_tolstring(L, i, &len);
    rb_redis_word(L, c, s, len);
  }
  rb_redis_end(L, c);
}

/* -- read ----------------------------------------------------------------- */

static void deliver (rb_RedisConn *conn, redisReply *r) {
  rb_RedisCall *c = dequeue(conn);
  if (c == NULL) {
    freeReplyObject(r);
    return;
  }
  c->reply[c->got++] = r;
  if (c->got == c->want && c->task != NULL) rb_wake(c->task);
}

/* parks all replies that are complete; 0 when the connection is no more */
static int parse (rb_RedisConn *conn) {
  for (;;) {
    redisReader *reader = conn->ctx->reader;
    void *r = NULL;
    if (redisGetReplyFromReader(conn->ctx, &r) != REDIS_OK) {
      broken(conn);
      return 0;
    }
    if (r == NULL) return 1;
    conn->bytes = reader->len - reader->pos;
    if (conn->count == 0) {
      freeReplyObject(r);
      rb_redis_break(conn, "data", "the server sent what nobody had asked for");
      return 0;
    }
    deliver(conn, r);
  }
}

/* a reply that grows: 0 when it is too large, or cannot be read */
static int taken (rb_RedisConn *conn) {
  if (!parse(conn)) return 0;
  if (conn->bytes <= RB_REDISREPLY) return 1;
  rb_redis_break(conn, "limit", "a reply is larger than %d MB", RB_REDISREPLY >> 20);
  return 0;
}

/* OpenSSL reads whole records ahead of us: no waiting while it has some left. */
static void receivetls (rb_RedisConn *conn) {
  char s[16384];
  size_t n = 0;
  rb_RedisStep step;
  while ((step = conn->pool->part->read(conn->tls, s, sizeof s, &n)) == RB_REDISDONE) {
    if (redisReaderFeed(conn->ctx->reader, s, n) != REDIS_OK) {
      rb_redis_break(conn, "limit", "not enough memory for a reply");
      return;
    }
    conn->bytes += n;
    if (!taken(conn)) return;
  }
  unstep(conn, step);
}

static void receive (rb_RedisConn *conn) {
  if (conn->tls != NULL) {
    receivetls(conn);
    return;
  }
  size_t before = conn->ctx->reader->len;
  if (redisBufferRead(conn->ctx) != REDIS_OK) {
    broken(conn);
    return;
  }
  conn->bytes += conn->ctx->reader->len - before;
  taken(conn);
}

/* What a server says before it hangs up is read before we write into the void. */
static void happened (void *ud, short revents) {
  rb_RedisConn *conn = ud;
  if (revents & POLLIN) receive(conn);
  if (conn->ctx != NULL && conn->dirty) flush(conn);
  else if (conn->ctx != NULL && !(revents & POLLIN)) receive(conn);
}
