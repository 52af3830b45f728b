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
  FORESEEN(get, "get(key) -> string | nil : the string that a key holds, byte for "
           "byte; nil where there is no such key. A key is a string, a number or "
           "a secret, and so is every value given to this module; what comes back "
           "is text (a counter too: tonumber). In a dry run it answers as the "
           "remedies before it would leave the key. Fails with \"server\" "
           "(WRONGTYPE) where the key holds something else, \"auth\", \"io\", "
           "\"timeout\", or \"limit\" where the reply is too large."),
  FORESEEN(mget, "mget(key, ...) -> { [key] = string } : the strings of several "
           "keys at once, by key; the keys may come as a list. A key that is not "
           "there, or holds something else, is not in the result."),
  FORESEEN(exists, "exists(key) -> boolean : is there such a key, of whatever "
           "type?"),
  FORESEEN(ttl, "ttl(key) -> seconds | false | nil : how long it lasts, in whole "
           "seconds; false where it never expires; nil where there is no such "
           "key."),
  FORESEEN(type, "type(key) -> string : \"string\", \"list\", \"set\", \"zset\", "
           "\"hash\" or \"stream\"; \"none\" where there is no such key."),
  FORESEEN(strlen, "strlen(key) -> integer : how many bytes its string has; 0 "
           "where there is no such key."),
  FORESEEN(llen, "llen(key) -> integer : how many items its list has; 0 where "
           "there is no such key."),
  FORESEEN(lrange, "lrange(key [, first, last]) -> { string, ... } : items of its "
           "list, in order; first and last count from 0 as Redis does, -1 is the "
           "last one, and without them it is all. An empty list where there is no "
           "such key."),
  FORESEEN(hget, "hget(key, field) -> string | nil : one field of its hash; nil "
           "where there is no such field or key."),
  FORESEEN(hgetall, "hgetall(key) -> { [field] = string } : all fields of its "
           "hash; an empty table where there is no such key."),
  FORESEEN(hlen, "hlen(key) -> integer : how many fields its hash has; 0 where "
           "there is no such key."),
  FORESEEN(smembers, "smembers(key) -> { string, ... } : the members of its set, "
           "sorted; an empty list where there is no such key."),
  FORESEEN(sismember, "sismember(key, member) -> boolean : is it in the set? "
           "false where there is no such key."),
  FORESEEN(scard, "scard(key) -> integer : how many members its set has; 0 where "
           "there is no such key."),
  FORESEEN(zrange, "zrange(key [, first, last] [, { scores = true }]) -> { "
           "string, ... } : members of its sorted set, the lowest score first; "
           "first and last are places from 0, -1 is the last one, and without "
           "them it is all. With scores: { { member =, score = }, ... }, scores "
           "as numbers."),
  FORESEEN(zcard, "zcard(key) -> integer : how many members its sorted set has; 0 "
           "where there is no such key."),
  FORESEEN(zscore, "zscore(key, member) -> number | nil : the score of a member; "
           "nil where there is no such member or key."),
  PROBE(scan, "scan(pattern [, { limit =, type = }]) -> { key, ... } : the keys "
        "that match (\"cache:*\", as KEYS would), sorted, each once. `type` keeps "
        "those of one type (\"string\", \"hash\", ...). More than 10,000 fail "
        "with \"limit\", unless `limit` says how many are enough: then it stops "
        "there, and which ones it found is the server's choice. Not one moment: "
        "what is made or removed meanwhile may be there or not."),
  PROBE(keys, "keys(...) : is refused, since it stops the server for everybody "
        "while it runs: use scan."),
  PROBE(info, "info([section]) -> { [name] = value } : what the server says about "
        "itself, all or one section (\"memory\", \"replication\", \"keyspace\", "
        "...); numbers are numbers, everything else is text."),
  PROBE(dbsize, "dbsize() -> integer : how many keys the database of the URL has."),
  PROBE(ping, "ping() -> \"PONG\" : is it there, and may we in? Fails with "
        "\"io\", \"auth\" or \"timeout\"."),

  CHANGE(set, "set(key, value [, { ex = duration, nx =, xx =, keepttl = }]) -> "
         "\"OK\" | nil : gives a key a string, whatever it held. `ex` lets it "
         "expire (\"90s\", \"1h30m\": a number without a unit is refused); "
         "without it an expiry that was there goes, unless `keepttl`. `nx` only "
         "where there is no such key, `xx` only where there is one: otherwise "
         "nil. Nothing to do where it is so already. As every remedy here but "
         "`command` it is guarded: it fails with \"drift\", and does nothing, "
         "where somebody changed the key after its preview; and it can be undone "
         "where what was there could be kept."),
  CHANGE(del, "del(key, ...) -> integer : removes keys, of whatever type; they "
         "may come as a list. How many were there. Nothing to do where none was. "
         "What they held goes to the tape, so that an undo brings it back; where "
         "it is too large for that, the preview says irreversible."),
  CHANGE(expire, "expire(key, duration) -> integer : lets a key expire after that "
         "time (\"90s\", \"1h30m\"); 1, or 0 where there is no such key."),
  CHANGE(persist, "persist(key) -> integer : takes the expiry away; 1, or 0 where "
         "there was none or no such key."),
  CHANGE(rename, "rename(key, new) -> \"OK\" : gives a key another name, over "
         "what had it. Fails with \"refused\" where there is no such key."),
  CHANGE(incr, "incr(key) -> integer : counts up by one; a key that is not there "
         "counts from 0. The new number. Fails with \"refused\" where the key "
         "holds no integer."),
  CHANGE(incrby, "incrby(key, n) -> integer : counts up by n, an integer; as "
         "incr."),
  CHANGE(decr, "decr(key) -> integer : counts down by one; as incr."),
  CHANGE(decrby, "decrby(key, n) -> integer : counts down by n, an integer; as "
         "incr."),
  CHANGE(append, "append(key, value) -> integer : puts value behind its string, "
         "or makes it; how many bytes it has then."),
  CHANGE(lpush, "lpush(key, value, ...) -> integer : puts items before its list, "
         "one after the other (the last one given stands first), or makes it; "
         "they may come as a list. How many items it has then."),
  CHANGE(rpush, "rpush(key, value, ...) -> integer : puts items behind its list, "
         "or makes it; they may come as a list. How many items it has then."),
  CHANGE(lrem, "lrem(key, count, value) -> integer : takes items equal to value "
         "out of its list: the first `count`, the last where it is negative, all "
         "of them where it is 0. How many were taken."),
  CHANGE(hset, "hset(key, field, value, ...) -> integer : sets fields of its "
         "hash, or makes it: hset(key, \"a\", 1, \"b\", 2) or hset(key, { a = 1, "
         "b = 2 }). How many fields are new."),
  CHANGE(hdel, "hdel(key, field, ...) -> integer : removes fields of its hash; "
         "they may come as a list. How many were there."),
  CHANGE(sadd, "sadd(key, member, ...) -> integer : puts members into its set, or "
         "makes it; they may come as a list. How many are new."),
  CHANGE(srem, "srem(key, member, ...) -> integer : takes members out of its set; "
         "they may come as a list. How many were there."),
  CHANGE(zadd, "zadd(key, score, member, ...) -> integer : puts members into its "
         "sorted set, or moves them to another score: zadd(key, 1, \"a\", 2, "
         "\"b\") or zadd(key, { a = 1, b = 2 }). How many are new."),
  CHANGE(zrem, "zrem(key, member, ...) -> integer : takes members out of its "
         "sorted set; they may come as a list. How many were there."),
  {"restore", RB_REMEDY, rb_redis_restore, rb_redis_restorepreview,
   "restore({ { key =, dump =, at = }, ... }) -> integer : puts keys back as they "
   "were, over what is there: `dump` is what DUMP gave, `at` the time of its "
   "expiry in milliseconds since 1970 (none: it stays); a key without a dump is "
   "removed. How many entries there are. It is the inverse that an undo performs.", NULL, NULL},
  {"command", RB_CLASSIFY, rb_redis_command, command_preview,
   "command(name, ...) -> reply : any other command, each word an argument of its "
   "own: command(\"config\", \"get\", \"maxmemory\"). A probe where command and "
   "subcommand are known only to look, else a remedy, which a dry run cannot "
   "always predict. Integers and texts are themselves, nil is nil, a list is a "
   "list (a nil inside of it is false), pairs stay a list. Commands that change "
   "the connection, block or turn it into a stream (SELECT, MULTI, SUBSCRIBE, "
   "BLPOP, ...) and KEYS fail with \"refused\".", NULL,
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
