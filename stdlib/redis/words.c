/*
** words.c - which commands look, which change, and which are not for us
**
** The server's own flags cannot tell: CONFIG GET and CONFIG SET have the same,
** PFCOUNT counts as reading and writes, EVAL counts as neither. So the commands
** that look are listed here, by name and subcommand, and everything else is a
** remedy - but for what would change the shared connection under everybody's
** feet, which is refused with what to do instead.
*/

#include <stdlib.h>
#include <string.h>

#include "stdlib/redis/redis.h"

enum { MAXWORD = 64 };

/* -- commands that look, whatever their arguments; sorted ----------------- */

static const char *const looks[] = {
  "acl|cat", "acl|dryrun", "acl|users", "acl|whoami",
  "bitcount", "bitfield_ro", "bitpos",
  "client|getname", "client|getredir", "client|id", "client|info",
  "client|list", "client|trackinginfo",
  "cluster|count-failure-reports", "cluster|countkeysinslot",
  "cluster|getkeysinslot", "cluster|info", "cluster|keyslot", "cluster|links",
  "cluster|myid", "cluster|myshardid", "cluster|nodes", "cluster|replicas",
  "cluster|shards", "cluster|slaves", "cluster|slots",
  "command", "command|count", "command|docs", "command|getkeys",
  "command|getkeysandflags", "command|info", "command|list",
  "config|get",
  "dbsize", "dump", "echo", "exists", "expiretime",
  "function|dump", "function|list", "function|stats",
  "geodist", "geohash", "geopos", "georadius_ro", "georadiusbymember_ro",
  "geosearch", "get", "getbit", "getrange",
  "hexists", "hexpiretime", "hget", "hgetall", "hkeys", "hlen", "hmget",
  "hpexpiretime", "hpttl", "hrandfield", "hscan", "hstrlen", "httl", "hvals",
  "info", "lastsave",
  "latency|doctor", "latency|graph", "latency|histogram", "latency|history",
  "latency|latest",
  "lcs", "lindex", "llen", "lpos", "lrange",
  "memory|doctor", "memory|malloc-stats", "memory|stats", "memory|usage",
  "mget", "module|list",
  "object|encoding", "object|freq", "object|idletime", "object|refcount",
  "pexpiretime", "ping", "pttl",
  "pubsub|channels", "pubsub|numpat", "pubsub|numsub", "pubsub|shardchannels",
  "pubsub|shardnumsub",
  "randomkey", "role",
  "scan", "scard", "script|exists", "sdiff", "sinter", "sintercard", "sismember",
  "slowlog|get", "slowlog|len", "smembers", "smismember", "sort_ro",
  "srandmember", "sscan", "strlen", "substr", "sunion",
  "time", "ttl", "type",
  "xinfo|consumers", "xinfo|groups", "xinfo|stream", "xlen", "xpending",
  "xrange", "xread", "xrevrange",
  "zcard", "zcount", "zdiff", "zinter", "zintercard", "zlexcount", "zmscore",
  "zrandmember", "zrange", "zrangebylex", "zrangebyscore", "zrank", "zrevrange",
  "zrevrangebylex", "zrevrangebyscore", "zrevrank", "zscan", "zscore", "zunion"
};

/* -- commands that are refused; sorted ------------------------------------ */

#define OWN "it changes the connection itself, which is not this script's alone"
#define TALK "it turns the connection into a stream of messages"
#define BLOCKS "it would block: ask with a command that does not, in run:wait_until"
#define GROUP "each remedy is a transaction of its own, guarded by what its "\
              "preview saw"

typedef struct Refusal { const char *name, *why; } Refusal;

static const Refusal refused[] = {
  {"asking", OWN},
  {"auth", "the user stands in the configuration"},
  {"blmove", BLOCKS}, {"blmpop", BLOCKS}, {"blpop", BLOCKS}, {"brpop", BLOCKS},
  {"brpoplpush", BLOCKS}, {"bzmpop", BLOCKS}, {"bzpopmax", BLOCKS},
  {"bzpopmin", BLOCKS},
  {"client|caching", OWN}, {"client|no-evict", OWN}, {"client|no-touch", OWN},
  {"client|reply", OWN}, {"client|setinfo", OWN}, {"client|setname", OWN},
  {"client|tracking", OWN},
  {"discard", GROUP}, {"exec", GROUP},
  {"hello", OWN},
  {"keys", "it walks the whole database at once: use scan(pattern)"},
  {"monitor", TALK},
  {"multi", GROUP},
  {"psubscribe", TALK}, {"psync", TALK}, {"punsubscribe", TALK},
  {"quit", OWN}, {"readonly", OWN}, {"readwrite", OWN}, {"replconf", OWN},
  {"reset", OWN}, {"restore-asking", OWN}, {"script|debug", OWN},
  {"select", "the database stands in the configuration's URL"},
  {"shutdown", "a server is stopped by its service: service:stop()"},
  {"ssubscribe", TALK}, {"subscribe", TALK}, {"sunsubscribe", TALK},
  {"sync", TALK}, {"unsubscribe", TALK}, {"unwatch", GROUP},
  {"wait", BLOCKS}, {"waitaof", BLOCKS},
  {"watch", GROUP}
};

/* -- commands that reach further than the keys that they name; sorted ----- */

static const char *const beyonds[] = {
  "copy", "eval", "eval_ro", "evalsha", "evalsha_ro", "fcall", "fcall_ro",
  "migrate", "move", "publish", "spublish"
};

static const char *const partials[] = {
  "eval", "evalsha", "fcall", "flushall", "migrate"
};

#define LEN(a) (sizeof (a) / sizeof *(a))

/* items begin with their name */
static int compare (const void *key, const void *item) {
  return strcmp(key, *(const char *const *)item);
}

static const void *find (const char *word, const void *list, size_t n, size_t size) {
  return bsearch(word, list, n, size, compare);
}

/* -- reading names -------------------------------------------------------- */

/* Appends the word at 'idx' to 'name', in small letters; 0 when it is nothing
** that a command could be called. */
static int addword (lua_State *L, int idx, char *name, size_t size) {
  size_t len, at = strlen(name);
  const char *s = lua_tolstring(L, idx, &len);
  if (s == NULL || len == 0 || at + len + 1 > size) return 0;
  for (size_t i = 0; i < len; i++) {
    char c = s[i] >= 'A' && s[i] <= 'Z' ? (char)(s[i] + 32) : s[i];
    if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9')
        && (c == '\0' || strchr("-_.", c) == NULL)) return 0;
    name[at + i] = c;
  }
  name[at + len] = '\0';
  return 1;
}

/* XREAD waits when BLOCK stands before its streams. */
static int blocks (lua_State *L, const char *name, int n) {
  if (strcmp(name, "xread") != 0 && strcmp(name, "xreadgroup") != 0) return 0;
  for (int i = 3; i <= n; i++) {
    char word[MAXWORD] = "";
    if (!addword(L, i, word, sizeof word)) continue;
    if (strcmp(word, "block") == 0) return 1;
    if (strcmp(word, "streams") == 0) return 0;
  }
  return 0;
}

static void refuse (lua_State *L, const char *name, const char *why) {
  char shown[MAXWORD * 2 + 2];
  size_t i = 0;
  for (; name[i] != '\0' && i < sizeof shown - 1; i++)
    shown[i] = name[i] == '|' ? ' ' : name[i] >= 'a' && name[i] <= 'z'
             ? (char)(name[i] - 32) : name[i];
  shown[i] = '\0';
  rb_fail(L, "refused", RB_NOTDONE, "%s: %s is refused: %s",
          rb_resource(L)->name, shown, why);
}

static void checkrefused (lua_State *L, const char *name) {
  const Refusal *r = find(name, refused, LEN(refused), sizeof *refused);
  if (r != NULL) refuse(L, name, r->why);
}

rb_Effect rb_redis_classify (lua_State *L) {
  char name[MAXWORD * 2 + 2] = "";
  int n = lua_gettop(L);
  luaL_checklstring(L, 2, NULL);
  if (!addword(L, 2, name, MAXWORD))
    rb_fail(L, "refused", RB_NOTDONE, "%s: no command of Redis has such a name "
            "(the name is one argument, and each word after it another)",
            rb_resource(L)->name);
  checkrefused(L, name);
  if (blocks(L, name, n)) refuse(L, name, BLOCKS);
  if (find(name, looks, LEN(looks), sizeof *looks) != NULL) return RB_PROBE;
  strcat(name, "|");
  if (n < 3 || lua_type(L, 3) != LUA_TSTRING
      || !addword(L, 3, name, sizeof name)) return RB_REMEDY;
  checkrefused(L, name);
  return find(name, looks, LEN(looks), sizeof *looks) != NULL ? RB_PROBE
                                                              : RB_REMEDY;
}

static int among (lua_State *L, int idx, const char *const *list, size_t n) {
  char name[MAXWORD] = "";
  return addword(L, idx, name, sizeof name)
         && find(name, list, n, sizeof *list) != NULL;
}

int rb_redis_partial (lua_State *L) {
  return among(L, 2, partials, LEN(partials));
}

int rb_redis_beyond (lua_State *L) {
  return among(L, 2, beyonds, LEN(beyonds));
}
