/*
** preview.c - what a remedy would do, asked with the remedy's own rights
**
** First the server says whether this user may, whether it knows the command
** and which keys it touches; then the keys are looked at; then what the command
** makes of them is reckoned here. Nothing of it changes anything: the
** questions are ACL DRYRUN, COMMAND and commands that look.
*/

#include <string.h>
#include <strings.h>

#include "stdlib/redis/plan.h"
#include "stdlib/redis/server.h"

/* -- questions ------------------------------------------------------------ */

/* two words of ours before the script's own */
static void askabout (lua_State *L, rb_RedisCall *c, const char *first,
                      const char *second, const char *third) {
  rb_redis_begin(L, c, c->n - 1 + (third != NULL ? 3 : 2));
  rb_redis_text(L, c, first);
  rb_redis_text(L, c, second);
  if (third != NULL) rb_redis_text(L, c, third);
  for (int i = 2; i <= c->n; i++) {
    size_t n;
    const char *s = lua_tolstring(L, i, &n);
    rb_redis_word(L, c, s, n);
  }
  rb_redis_end(L, c);
}

/* Servers before 7.0 do not know the question, and some users may not ask it. */
void rb_redis_checkright (lua_State *L, rb_RedisCall *c, const redisReply *r) {
  if (r->type == REDIS_REPLY_STRING)
    rb_refuse(L, "%s: %s (ACL DRYRUN for user '%s')", c->resource->name, r->str,
              rb_redis_user(c));
  if (rb_redis_iserror(r, "ERR wrong number") || rb_redis_iserror(r, "ERR Command"))
    rb_refuse(L, "%s: %s", c->resource->name, r->str + 4);
  if (rb_redis_iserror(r, "NOPERM"))
    c->unchecked = "the right to do it was not checked: this user may not ask ACL DRYRUN";
  else if (r->type == REDIS_REPLY_ERROR)
    c->unchecked = "the right to do it was not checked: the server does not answer ACL DRYRUN";
}

/* Does the server know the command? An answer of nothing, or of a list with
** nothing in it, says no. */
static void checkknown (lua_State *L, rb_RedisCall *c, const redisReply *r) {
  int nothing = r->type == REDIS_REPLY_ARRAY
                && (r->elements == 0 || r->element[0]->type == REDIS_REPLY_NIL);
  if (nothing || r->type == REDIS_REPLY_NIL)
    rb_refuse(L, "%s: the server does not know the command %s", c->resource->name,
              lua_tostring(L, 2));
}

/* -- keys ----------------------------------------------------------------- */

/* [-1, +0]  the key at the top, once, into the list at c->keys */
static void addkey (lua_State *L, rb_RedisCall *c, int once) {
  lua_Integer n = (lua_Integer)lua_rawlen(L, c->keys);
  for (lua_Integer i = 1; once && i <= n; i++) {
    lua_rawgeti(L, c->keys, i);
    int same = lua_rawequal(L, -1, -2);
    lua_pop(L, 1);
    if (same) {
      lua_pop(L, 1);
      return;
    }
  }
  lua_rawseti(L, c->keys, n + 1);
}

/* [-0, +1]  the keys among the words, by our own knowledge */
static void knownkeys (lua_State *L, rb_RedisCall *c) {
  int last = c->verb->last < 0 ? c->n : c->verb->last;
  lua_newtable(L);
  c->keys = lua_gettop(L);
  for (int i = c->verb->first; i <= last && i <= c->n; i++) {
    lua_pushvalue(L, i);
    addkey(L, c, c->verb->last < 0);
  }
}

/* [-0, +1, v]  the keys that the server found */
static void foundkeys (lua_State *L, rb_RedisCall *c, const redisReply *r) {
  lua_newtable(L);
  c->keys = lua_gettop(L);
  if (rb_redis_iserror(r, "ERR Invalid number of arguments"))
    rb_refuse(L, "%s: %s has too few or too many arguments", c->resource->name,
              lua_tostring(L, 2));
  for (size_t i = 0; r->type == REDIS_REPLY_ARRAY && i < r->elements; i++) {
    lua_pushlstring(L, r->element[i]->str, r->element[i]->len);
    addkey(L, c, 1);
  }
}

/* -- the steps ------------------------------------------------------------ */

/* the server's own words on commands without keys are in */
static int told (lua_State *L, int status, lua_KContext ctx) {
  rb_RedisCall *c = (rb_RedisCall *)ctx;
  (void)status;
  rb_redis_summary(L, c->n);
  rb_plan_unforeseen(L, c);
  rb_redis_tell(L, c);
  return rb_plan_unchecked(L, c);
}

static int seen (lua_State *L, int status, lua_KContext ctx) {
  rb_RedisCall *c = (rb_RedisCall *)ctx;
  (void)status;
  if (lua_rawlen(L, c->keys) == 0 && rb_redis_inquire(L, c))
    return rb_redis_await(L, c, told);
  rb_RedisForesight f = c->verb != NULL ? c->verb->after(L, c) : RB_REDISUNKNOWN;
  rb_redis_summary(L, c->n);
  if (f == RB_REDISUNKNOWN) rb_kind_check(L, c);
  if (f == RB_REDISUNKNOWN) rb_plan_unforeseen(L, c);
  else rb_plan_foreseen(L, c, f);
  return rb_plan_unchecked(L, c);
}

static int asked (lua_State *L, int status, lua_KContext ctx) {
  rb_RedisCall *c = (rb_RedisCall *)ctx;
  (void)status;
  rb_redis_checkright(L, c, c->reply[0]);
  if (c->verb != NULL) knownkeys(L, c);
  else {
    checkknown(L, c, c->reply[1]);
    rb_kind_learn(L, c, c->reply[1], c->reply[3]);
    foundkeys(L, c, c->reply[2]);
  }
  c->dumps = 1;
  return rb_redis_look(L, c, seen);
}

static int connected (lua_State *L, int status, lua_KContext ctx) {
  rb_RedisCall *c = (rb_RedisCall *)ctx;
  (void)status;
  askabout(L, c, "ACL", "DRYRUN", rb_redis_user(c));
  if (c->verb == NULL) {
    rb_redis_begin(L, c, 3);
    rb_redis_text(L, c, "COMMAND");
    rb_redis_text(L, c, "INFO");
    rb_redis_text(L, c, lua_tostring(L, 2));
    rb_redis_end(L, c);
    askabout(L, c, "COMMAND", "GETKEYS", NULL);
    askabout(L, c, "COMMAND", "GETKEYSANDFLAGS", NULL);
  }
  return rb_redis_await(L, c, asked);
}

int rb_redis_preview (lua_State *L) {
  int n = lua_gettop(L);
  luaL_checkstack(L, 40, "too many arguments");
  rb_RedisCall *c = rb_redis_open(L, RB_REDISREMEDY);
  c->n = n;
  c->verb = rb_redis_verb(L);
  return rb_redis_lease(L, c, connected);
}
