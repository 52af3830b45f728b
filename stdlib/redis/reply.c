/*
** reply.c - the server's answers as Lua values, and its errors in words
**
** Absent is nil; but a nil inside a list would be a hole, and is false there:
** a reply of Redis never holds a false of its own.
*/

#include <stdlib.h>
#include <string.h>

#include "stdlib/redis/redis.h"

#define MAXDEPTH 50

/* -- errors --------------------------------------------------------------- */

/* what to do about it, by how it begins */
static const struct { const char *prefix, *kind, *advice; } errors[] = {
  {"NOPERM", "auth", "ask for the right, or use another user"},
  {"NOAUTH", "auth", "its URL needs a user and a password"},
  {"WRONGPASS", "auth", "check user and password of its URL"},
  {"LOADING", "server", "the server is still reading its data: try again"},
  {"READONLY", "server", "this is a replica: use the URL of its master"},
  {"MISCONF", "server", "the server cannot save its data: look at its disk and log"},
  {"BUSY ", "server", "a script keeps the server busy"},
  {"OOM", "server", "the server is out of memory (maxmemory)"},
  {"MOVED", "server", "the server is part of a cluster: use the URL of that node"},
  {"ASK", "server", "the server is part of a cluster that is moving keys"},
  {"MASTERDOWN", "server", "the replica has lost its master"},
  {"CLUSTERDOWN", "server", "the cluster does not serve this key"},
  {NULL, "server", NULL}
};

int rb_redis_iserror (const redisReply *r, const char *prefix) {
  return r != NULL && r->type == REDIS_REPLY_ERROR
         && strncmp(r->str, prefix, strlen(prefix)) == 0;
}

int rb_redis_fail (lua_State *L, rb_RedisCall *c, const redisReply *r) {
  int i = 0;
  rb_Certainty sure = c->partial && c->committing ? RB_UNKNOWN : RB_NOTDONE;
  while (errors[i].prefix != NULL && !rb_redis_iserror(r, errors[i].prefix)) i++;
  if (strcmp(errors[i].kind, "auth") == 0)
    return rb_fail(L, "auth", sure, "%s: user '%s': %s (%s)", c->resource->name,
                   rb_redis_user(c), r->str, errors[i].advice);
  if (errors[i].advice != NULL)
    return rb_fail(L, errors[i].kind, sure, "%s: %s (%s)", c->resource->name,
                   r->str, errors[i].advice);
  return rb_fail(L, errors[i].kind, sure, "%s: %s%s", c->resource->name, r->str,
                 sure == RB_UNKNOWN ? " (a part of it may have been done)" : "");
}

const redisReply *rb_redis_check (lua_State *L, rb_RedisCall *c, int i) {
  if (c->reply[i]->type == REDIS_REPLY_ERROR) rb_redis_fail(L, c, c->reply[i]);
  return c->reply[i];
}

/* -- values --------------------------------------------------------------- */

static void push (lua_State *L, rb_RedisCall *c, const redisReply *r, int depth) {
  switch (r->type) {
    case REDIS_REPLY_INTEGER: lua_pushinteger(L, r->integer); break;
    case REDIS_REPLY_STATUS: case REDIS_REPLY_STRING:
      lua_pushlstring(L, r->str, r->len);
      break;
    case REDIS_REPLY_ARRAY:
      if (depth > MAXDEPTH)
        rb_fail(L, "data", RB_NOTDONE, "%s: the reply is nested too deeply",
                c->resource->name);
      luaL_checkstack(L, 4, "reply nested too deeply");
      lua_createtable(L, (int)r->elements, 0);
      for (size_t i = 0; i < r->elements; i++) {
        push(L, c, r->element[i], depth + 1);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
      }
      break;
    case REDIS_REPLY_ERROR: rb_redis_fail(L, c, r); break;
    default:
      if (depth > 0) lua_pushboolean(L, 0);
      else lua_pushnil(L);
  }
}

void rb_redis_push (lua_State *L, rb_RedisCall *c, const redisReply *r) {
  push(L, c, r, 0);
}

/* [-0, +1, m]  one element, false where there is none */
static void pushelement (lua_State *L, const redisReply *r) {
  if (r->type == REDIS_REPLY_INTEGER) lua_pushinteger(L, r->integer);
  else if (r->str != NULL) lua_pushlstring(L, r->str, r->len);
  else lua_pushboolean(L, 0);
}

void rb_redis_pushmap (lua_State *L, const redisReply *r) {
  lua_createtable(L, 0, (int)(r->elements / 2));
  for (size_t i = 0; i + 1 < r->elements; i += 2) {
    pushelement(L, r->element[i]);
    pushelement(L, r->element[i + 1]);
    lua_rawset(L, -3);
  }
}

/* the order of Lua's own sorted pairs: bytes, the shorter first */
static int order (const void *a, const void *b) {
  const redisReply *x = *(redisReply *const *)a, *y = *(redisReply *const *)b;
  if (x->str == NULL || y->str == NULL) return (x->str != NULL) - (y->str != NULL);
  int d = memcmp(x->str, y->str, x->len < y->len ? x->len : y->len);
  return d != 0 ? d : (x->len > y->len) - (x->len < y->len);
}

void rb_redis_sort (const redisReply *r, size_t width) {
  if (r->type == REDIS_REPLY_ARRAY && r->elements > width)
    qsort(r->element, r->elements / width, width * sizeof *r->element, order);
}

void rb_redis_pushlist (lua_State *L, const redisReply *r, int sorted) {
  if (sorted) rb_redis_sort(r, 1);
  lua_createtable(L, (int)r->elements, 0);
  for (size_t i = 0; i < r->elements; i++) {
    pushelement(L, r->element[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
}

/* -- lists in order ------------------------------------------------------- */

typedef struct Item { const char *s; size_t n; } Item;

static int byorder (const void *a, const void *b) {
  const Item *x = a, *y = b;
  int d = memcmp(x->s, y->s, x->n < y->n ? x->n : y->n);
  return d != 0 ? d : (x->n > y->n) - (x->n < y->n);
}

void rb_redis_pushsorted (lua_State *L, int t) {
  size_t n = 0, i = 0;
  for (lua_pushnil(L); lua_next(L, t) != 0; lua_pop(L, 1)) n++;
  Item *items = lua_newuserdatauv(L, (n + 1) * sizeof *items, 0);
  for (lua_pushnil(L); lua_next(L, t) != 0; lua_pop(L, 1), i++)
    items[i].s = lua_tolstring(L, -2, &items[i].n);
  qsort(items, n, sizeof *items, byorder);
  lua_createtable(L, (int)n, 0);
  for (i = 0; i < n; i++) {
    lua_pushlstring(L, items[i].s, items[i].n);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_remove(L, -2);
}
