/*
** kind.c - does a command take what its keys hold?
**
** For commands that are not reckoned here (after.c), the server itself says what
** they work on: the categories of COMMAND INFO name a type of value, the flags of
** COMMAND GETKEYSANDFLAGS (Redis 7.0) which keys are read and which are written
** whatever they hold.
*/

#include <string.h>
#include <strings.h>

#include "stdlib/redis/plan.h"

/* types of values, as bits */
typedef struct Kind {
  const char *category, *type;
  unsigned bit;
} Kind;

enum { STRING = 1, SET = 4, ZSET = 16, HYPER = 64, ANY = 1 << 8 };

static const Kind kinds[] = {
  {"@string", "string", STRING}, {"@bitmap", "string", STRING},
  {"@hyperloglog", "string", HYPER},
  {"@list", "list", 2}, {"@set", "set", SET}, {"@hash", "hash", 8},
  {"@sortedset", "zset", ZSET}, {"@geo", "zset", ZSET}, {"@stream", "stream", 32},
  {"@keyspace", "", ANY}, {"@scripting", "", ANY},
  {NULL, NULL, 0}
};

/* The types that the command of this answer to COMMAND INFO works on; 0: not said. */
static unsigned takes (const redisReply *info) {
  unsigned types = 0;
  if (info->type != REDIS_REPLY_ARRAY || info->elements < 1) return 0;
  const redisReply *row = info->element[0];
  if (row->type != REDIS_REPLY_ARRAY || row->elements < 7
      || row->element[6]->type != REDIS_REPLY_ARRAY) return 0;
  const redisReply *list = row->element[6];
  for (size_t i = 0; i < list->elements; i++)
    for (const Kind *k = kinds; list->element[i]->str != NULL && k->category != NULL; k++)
      if (strcmp(list->element[i]->str, k->category) == 0) types |= k->bit;
  return types;
}

/* "RW", "RO", "OW" or "RM" among the flags of a key; "" where there is none */
static const char *accessof (const redisReply *flags) {
  for (size_t i = 0; flags->type == REDIS_REPLY_ARRAY && i < flags->elements; i++) {
    const char *s = flags->element[i]->str;
    if (s != NULL && strlen(s) == 2) return s;
  }
  return "";
}

void rb_kind_learn (lua_State *L, rb_RedisCall *c, const redisReply *info,
                    const redisReply *flags) {
  c->takes = takes(info);
  lua_newtable(L);
  c->access = lua_gettop(L);
  for (size_t i = 0; flags->type == REDIS_REPLY_ARRAY && i < flags->elements; i++) {
    const redisReply *pair = flags->element[i];
    if (pair->type != REDIS_REPLY_ARRAY || pair->elements < 2
        || pair->element[0]->str == NULL) continue;
    lua_pushlstring(L, pair->element[0]->str, pair->element[0]->len);
    lua_pushvalue(L, -1);
    int again = lua_rawget(L, c->access) != LUA_TNIL;
    lua_pop(L, 1);
    lua_pushstring(L, again ? "" : accessof(pair->element[1]));  /* twice: it depends */
    lua_rawset(L, c->access);
  }
}

static unsigned bitof (const char *type) {
  for (const Kind *k = kinds; k->category != NULL; k++)
    if (strcmp(k->type, type) == 0) return k->bit;
  return 0;
}

/* the types that it wants, "list" or "string, set or zset" [-0, +1, m] */
static const char *pushwanted (lua_State *L, unsigned types) {
  const char *last = "";
  lua_pushliteral(L, "");
  for (const Kind *k = kinds; k->category != NULL; k++)
    if ((types & k->bit) && *k->type != '\0' && strcmp(last, k->type) != 0) {
      lua_pushfstring(L, "%s%s%s", lua_tostring(L, -1), *last != '\0' ? " or a " : "",
                      k->type);
      lua_remove(L, -2);
      last = k->type;
    }
  return lua_tostring(L, -1);
}

/* What is known of key i, whose state and access stand at the top: 1 it is taken,
** 0 it is not, -1 nobody knows. */
static int taken (const rb_RedisCall *c, const char *type, const char *access) {
  unsigned bit = bitof(type);
  if (c->takes & HYPER && bit == STRING) return -1;  /* it may be another string */
  if (c->takes & ANY || c->takes & bit || strcmp(access, "OW") == 0) return 1;
  if (c->takes == 0 || bit == 0 || *access == '\0' || strcmp(access, "RM") == 0) return -1;
  return bit == SET && c->takes & ZSET && strcmp(access, "RO") == 0 ? -1 : 0;
}

/* The first key of a command that stores is made anew, whatever the flags say. */
static int stores (const char *name) {
  size_t n = strlen(name);
  return n > 5 && strcasecmp(name + n - 5, "store") == 0;
}

/* [-0, +1, m]  "RW", "OW", ...: what the command does to its key i, which is at the top */
static const char *pushaccess (lua_State *L, const rb_RedisCall *c, lua_Integer i) {
  if (i == 1 && stores(lua_tostring(L, 2))) return lua_pushliteral(L, "OW");
  lua_pushvalue(L, -1);
  lua_rawget(L, c->access);
  return lua_isstring(L, -1) ? lua_tostring(L, -1) : "";
}

/* Keys are looked at in their order, and some commands are content with less where
** the first is not there: a wrong one counts where all before it are. */
void rb_kind_check (lua_State *L, rb_RedisCall *c) {
  int top = lua_gettop(L), before = 1;
  lua_Integer n = (lua_Integer)lua_rawlen(L, c->keys);
  for (lua_Integer i = 1; c->access != 0 && i <= n; i++, lua_settop(L, top)) {
    lua_rawgeti(L, c->states, i);
    lua_rawgeti(L, c->keys, i);
    const char *type = rb_redis_typeof(L, top + 1), *access = pushaccess(L, c, i);
    if (rb_redis_flag(L, top + 1, "unknown") || strcmp(type, "none") == 0) {
      before &= strcmp(access, "OW") == 0;
      continue;
    }
    int is = taken(c, type, access);
    if (is == 0 && before)
      rb_refuse(L, "%s: %s holds a %s, and %s wants a %s", c->resource->name,
                lua_tostring(L, top + 2), type, lua_tostring(L, 2), pushwanted(L, c->takes));
    if (is != 1 && c->reason == NULL)
      c->reason = "whether the server takes what is there for this command is not known";
  }
}
