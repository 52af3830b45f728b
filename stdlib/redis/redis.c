/*
** redis.c - inspect and repair a Redis server
*/

#include "stdlib/redis/probe.h"
#include "stdlib/redis/redis.h"

/* -- remedies by name: the arguments become the words of a command -------- */

static int change (lua_State *L, const char *command) {
  rb_redis_args(L, command);
  return rb_redis_deed(L);
}

static int foresee (lua_State *L, const char *command) {
  rb_redis_args(L, command);
  return rb_redis_preview(L);
}

#define REMEDY(name, command) \
  static int name##_do (lua_State *L) { return change(L, command); } \
  static int name##_preview (lua_State *L) { return foresee(L, command); }

REMEDY(del, "DEL")
REMEDY(persist, "PERSIST")
REMEDY(rename, "RENAME")
REMEDY(incr, "INCR")
REMEDY(incrby, "INCRBY")
REMEDY(decr, "DECR")
REMEDY(decrby, "DECRBY")
REMEDY(append, "APPEND")
REMEDY(lpush, "LPUSH")
REMEDY(rpush, "RPUSH")
REMEDY(lrem, "LREM")
REMEDY(hset, "HSET")
REMEDY(hdel, "HDEL")
REMEDY(sadd, "SADD")
REMEDY(srem, "SREM")
REMEDY(zadd, "ZADD")
REMEDY(zrem, "ZREM")

static int set_do (lua_State *L) {
  rb_redis_setargs(L);
  return rb_redis_deed(L);
}

static int set_preview (lua_State *L) {
  rb_redis_setargs(L);
  return rb_redis_preview(L);
}

static int expire_do (lua_State *L) {
  rb_redis_expireargs(L);
  return rb_redis_deed(L);
}

static int expire_preview (lua_State *L) {
  rb_redis_expireargs(L);
  return rb_redis_preview(L);
}

static int command_preview (lua_State *L) {
  rb_redis_args(L, NULL);
  rb_redis_hidewords(L, lua_gettop(L));
  return rb_redis_preview(L);
}

/* -- the rows ------------------------------------------------------------- */

#define PROBE(name, doc) \
  {#name, RB_PROBE, rb_redis_##name, NULL, doc, NULL, NULL}
#define FORESEEN(name, doc) \
  {#name, RB_PROBE, rb_redis_##name, NULL, doc, rb_predict_##name, NULL}
#define CHANGE(name, doc) \
  {#name, RB_REMEDY, name##_do, name##_preview, doc, NULL, NULL}

static const rb_Reg methods[] = {
  FORESEEN(get, "get(key) -> string | nil : the string that a key holds"),
  FORESEEN(mget, "mget(key, ...) -> { [key] = string } : the strings of those "
           "keys that hold one"),
  FORESEEN(exists, "exists(key) -> boolean : is there such a key?"),
  FORESEEN(ttl, "ttl(key) -> seconds | false | nil : how long it lasts; false: "
           "for ever; nil: there is no such key"),
  FORESEEN(type, "type(key) -> string : \"string\", \"list\", \"set\", \"zset\", "
           "\"hash\", \"stream\" or \"none\""),
  FORESEEN(strlen, "strlen(key) -> integer : bytes of a string"),
  FORESEEN(llen, "llen(key) -> integer : items of a list"),
  FORESEEN(lrange, "lrange(key [, first, last]) -> { string, ... } : items of a "
           "list, from 0; -1 is the last"),
  FORESEEN(hget, "hget(key, field) -> string | nil : one field of a hash"),
  FORESEEN(hgetall, "hgetall(key) -> { [field] = string } : a whole hash"),
  FORESEEN(hlen, "hlen(key) -> integer : fields of a hash"),
  FORESEEN(smembers, "smembers(key) -> { string, ... } : members of a set, sorted"),
  FORESEEN(sismember, "sismember(key, member) -> boolean : is it in the set?"),
  FORESEEN(scard, "scard(key) -> integer : members of a set"),
  FORESEEN(zrange, "zrange(key [, first, last] [, { scores = true }]) -> { string, "
           "... } : members of a sorted set by score, from 0; with scores: "
           "{ { member =, score = }, ... }"),
  FORESEEN(zcard, "zcard(key) -> integer : members of a sorted set"),
  FORESEEN(zscore, "zscore(key, member) -> number | nil : the score of a member"),
  PROBE(scan, "scan(pattern [, { limit =, type = }]) -> { key, ... } : keys that "
        "match, sorted; more than 10,000 are an error unless limit says how many "
        "are enough"),
  PROBE(keys, "keys(...) : is refused, since it stops the server: use scan"),
  PROBE(info, "info([section]) -> { [name] = value } : about the server; numbers "
        "are numbers"),
  PROBE(dbsize, "dbsize() -> integer : keys in the database"),
  PROBE(ping, "ping() -> \"PONG\" : is it there?"),

  CHANGE(set, "set(key, value [, { ex = duration, nx =, xx =, keepttl = }]) -> "
         "\"OK\" | nil : gives a key a string; nil: nx or xx forbade it"),
  CHANGE(del, "del(key, ...) -> integer : removes keys, or those in a list"),
  CHANGE(expire, "expire(key, duration) -> integer : lets a key expire; 0: there "
         "is none"),
  CHANGE(persist, "persist(key) -> integer : takes the expiry away"),
  CHANGE(rename, "rename(key, new) -> \"OK\" : another name, over what was there"),
  CHANGE(incr, "incr(key) -> integer : counts up"),
  CHANGE(incrby, "incrby(key, n) -> integer : counts up by n"),
  CHANGE(decr, "decr(key) -> integer : counts down"),
  CHANGE(decrby, "decrby(key, n) -> integer : counts down by n"),
  CHANGE(append, "append(key, value) -> integer : longer by value; its length"),
  CHANGE(lpush, "lpush(key, value, ...) -> integer : puts items before a list"),
  CHANGE(rpush, "rpush(key, value, ...) -> integer : puts items behind a list"),
  CHANGE(lrem, "lrem(key, count, value) -> integer : takes equal items out of a "
         "list; count 0: all of them"),
  CHANGE(hset, "hset(key, field, value, ...) -> integer : sets fields of a hash, or "
         "all of a table"),
  CHANGE(hdel, "hdel(key, field, ...) -> integer : removes fields of a hash"),
  CHANGE(sadd, "sadd(key, member, ...) -> integer : puts members into a set"),
  CHANGE(srem, "srem(key, member, ...) -> integer : takes members out of a set"),
  CHANGE(zadd, "zadd(key, score, member, ...) -> integer : puts members into a "
         "sorted set, or all of { [member] = score }"),
  CHANGE(zrem, "zrem(key, member, ...) -> integer : takes members out of a sorted "
         "set"),
  {"restore", RB_REMEDY, rb_redis_restore, rb_redis_restorepreview,
   "restore({ { key =, dump =, at = }, ... }) -> integer : puts keys back; those "
   "without a dump are removed", NULL, NULL},
  {"command", RB_CLASSIFY, rb_redis_command, command_preview,
   "command(name, ...) -> reply : any other command: a probe where it is known "
   "only to look, else a remedy; a nil inside a list is false", NULL,
   rb_redis_classify},
  RB_END
};

RB_API const rb_Module rb_module = {
  .interface = RB_INTERFACE,
  .name = "redis",
  .doc = "a Redis server; every method is a command of that name",
  .methods = methods,
  .close = rb_redis_close,
  .doctor = rb_redis_doctor,
  .identity = rb_redis_identity,
  .layer = rb_redis_layer,
  .settle = rb_redis_settle
};
