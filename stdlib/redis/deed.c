/*
** deed.c - remedies, done
**
** What the preview saw must still be there: the keys are watched and looked at
** again, the intent is made durable, and the command is sent between MULTI and
** EXEC, so that Redis itself refuses when somebody else was faster.
*/

#include <string.h>

#include "stdlib/redis/plan.h"

static void sendwords (lua_State *L, rb_RedisCall *c) {
  rb_redis_words(L, c, 2, c->n - 1);
}

static void sendword (lua_State *L, rb_RedisCall *c, const char *word) {
  rb_redis_begin(L, c, 1);
  rb_redis_text(L, c, word);
  rb_redis_end(L, c);
}

/* -- what came of it ------------------------------------------------------ */

/* An error among the answers of EXEC: the others were done. */
static void checkall (lua_State *L, rb_RedisCall *c, const redisReply *r) {
  size_t bad = 0;
  const redisReply *first = NULL;
  for (size_t i = 0; i < r->elements; i++) {
    if (r->element[i]->type != REDIS_REPLY_ERROR) continue;
    if (bad++ == 0) first = r->element[i];
  }
  if (bad > 0 && bad < r->elements) c->partial = 1;
  if (bad > 0) rb_redis_fail(L, c, first);
}

/* what EXEC, the last answer, says */
static const redisReply *executed (lua_State *L, rb_RedisCall *c) {
  const redisReply *r = c->reply[c->got - 1];
  c->conn->watching = 0;
  for (int i = 0; i < c->got - 1; i++)
    if (c->reply[i]->type == REDIS_REPLY_ERROR) {
      c->partial = 0;  /* EXEC did nothing, then */
      rb_redis_fail(L, c, c->reply[i]);
    }
  if (r->type == REDIS_REPLY_NIL)
    rb_fail(L, "drift", RB_NOTDONE, "%s: somebody else changed it at the same "
            "moment; nothing was changed", c->resource->name);
  if (r->type == REDIS_REPLY_ERROR) rb_redis_fail(L, c, r);
  checkall(L, c, r);
  return r;
}

static int done (lua_State *L, int status, lua_KContext ctx) {
  rb_RedisCall *c = (rb_RedisCall *)ctx;
  (void)status;
  if (!c->guarded) {
    rb_redis_push(L, c, rb_redis_check(L, c, 0));
    return 1;
  }
  const redisReply *r = executed(L, c);
  if (c->send == sendwords) rb_redis_push(L, c, r->element[0]);
  else lua_pushinteger(L, (lua_Integer)r->elements);
  return 1;
}

/* -- the deed ------------------------------------------------------------- */

static int pledged (lua_State *L, int status, lua_KContext ctx) {
  rb_RedisCall *c = (rb_RedisCall *)ctx;
  (void)status;
  rb_redis_clear(c);
  if (c->conn->ctx == NULL)
    return rb_fail(L, "io", RB_NOTDONE, "%s: the connection was lost (%s); nothing "
                   "was changed", c->resource->name, c->pool->why);
  rb_timeout(L, RB_REDISDEED);
  c->committing = 1;
  if (c->guarded) sendword(L, c, "MULTI");
  c->send(L, c);
  if (c->guarded) sendword(L, c, "EXEC");
  return rb_redis_await(L, c, done);
}

/* [-0, +0]  field of the plan -> field of the facts at the top */
static void keep (lua_State *L, const char *field) {
  rb_plan(L);
  if (lua_istable(L, -1)) {
    lua_getfield(L, -1, field);
    lua_setfield(L, -3, field);
  }
  lua_pop(L, 1);
}

/* what rb_redis_settle will want to know */
static int pledge (lua_State *L, rb_RedisCall *c) {
  lua_createtable(L, 0, 4);
  keep(L, "image");
  keep(L, "leaves");
  lua_pushinteger(L, rb_redis_clock());
  lua_setfield(L, -2, "at");
  return rb_pledge(L, (lua_KContext)c, pledged);
}

/* the list of images stands below the list of keys */
static int seen (lua_State *L, int status, lua_KContext ctx) {
  rb_RedisCall *c = (rb_RedisCall *)ctx;
  (void)status;
  rb_redis_checkdrift(L, c, c->keys - 1);
  return pledge(L, c);
}

static int watched (lua_State *L, int status, lua_KContext ctx) {
  rb_RedisCall *c = (rb_RedisCall *)ctx;
  (void)status;
  rb_redis_check(L, c, 0);
  return rb_redis_look(L, c, seen);
}

static int watch (lua_State *L, rb_RedisCall *c) {
  lua_Integer n = (lua_Integer)lua_rawlen(L, c->keys);
  rb_redis_begin(L, c, (int)n + 1);
  rb_redis_text(L, c, "WATCH");
  for (lua_Integer i = 1; i <= n; i++) {
    size_t len;
    lua_rawgeti(L, c->keys, i);
    const char *s = lua_tolstring(L, -1, &len);
    rb_redis_word(L, c, s, len);
    lua_pop(L, 1);
  }
  c->conn->watching = 1;
  rb_redis_end(L, c);
  return rb_redis_await(L, c, watched);
}

static int connected (lua_State *L, int status, lua_KContext ctx) {
  rb_RedisCall *c = (rb_RedisCall *)ctx;
  (void)status;
  rb_plan(L);
  if (lua_istable(L, -1) && lua_getfield(L, -1, "image") == LUA_TTABLE) {
    c->guarded = 1;
    rb_redis_imagekeys(L, c);
    return watch(L, c);
  }
  return pledge(L, c);
}

int rb_redis_perform (lua_State *L, void (*send) (lua_State *L, rb_RedisCall *c)) {
  int n = lua_gettop(L);
  luaL_checkstack(L, 40, "too many arguments");
  rb_RedisCall *c = rb_redis_open(L, RB_REDISREMEDY);
  if (!rb_maychange(L))
    return luaL_error(L, "%s: nothing may be changed here", c->resource->name);
  c->n = n;
  c->send = send;
  c->partial = send == sendwords && rb_redis_partial(L);
  return rb_redis_lease(L, c, connected);
}

int rb_redis_deed (lua_State *L) { return rb_redis_perform(L, sendwords); }
