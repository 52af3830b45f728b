/*
** doctor.c - is this resource as it should be?
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stdlib/redis/redis.h"

#define MEND \
  "ACL SETUSER runbook_probe on >PASSWORD ~* &* -@all +@read -pfcount +ping " \
  "+echo +info +time +role +command +acl|whoami +client|id +client|info " \
  "+client|getname +client|setname +client|list +select +dbsize, then " \
  "redis = { url = ..., probe = \"redis://runbook_probe:PASSWORD@host:port/db\" }"

/* on the stack; the list's place is the same before and after the second role */
enum { LIST = 2, CALL };

/* [-0, +0]  one more finding in the list */
static void add (lua_State *L, const char *name, const char *status,
                 const char *value, const char *mend) {
  lua_createtable(L, 0, 4);
  lua_pushstring(L, name);
  lua_setfield(L, -2, "name");
  lua_pushstring(L, status);
  lua_setfield(L, -2, "status");
  lua_pushstring(L, value);
  lua_setfield(L, -2, "value");
  lua_pushstring(L, mend);
  lua_setfield(L, -2, "mend");
  lua_rawseti(L, LIST, (lua_Integer)lua_rawlen(L, LIST) + 1);
}

/* one command, its words separated by spaces */
static void ask (lua_State *L, rb_RedisCall *c, const char *words) {
  int n = 1;
  for (const char *s = words; *s != '\0'; s++) n += *s == ' ';
  rb_redis_begin(L, c, n);
  for (const char *s = words; n > 0; n--) {
    size_t len = strcspn(s, " ");
    rb_redis_word(L, c, s, len);
    s += len + 1;
  }
  rb_redis_end(L, c);
}

/* [-0, +1]  the value of a line of INFO */
static const char *pushline (lua_State *L, const redisReply *r, const char *name) {
  const char *s = r->str != NULL ? strstr(r->str, name) : NULL;
  if (s == NULL) lua_pushliteral(L, "?");
  else {
    s += strlen(name);
    lua_pushlstring(L, s, strcspn(s, "\r\n"));
  }
  return lua_tostring(L, -1);
}

/* -- the remedies' role --------------------------------------------------- */

/* Does what is sent there stay on this machine? */
static int islocal (const char *host) {
  return strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0
         || strcmp(host, "localhost") == 0;
}

static void checktransport (lua_State *L, const rb_RedisAddress *a) {
  if (a->host == NULL || a->tls || islocal(a->host)) return;
  add(L, "transport", "warn", "not encrypted, to another host, password and all",
      "rediss://... in its URL, where the server has a tls-port");
}

static void checkserver (lua_State *L, rb_RedisCall *c) {
  const char *version = pushline(L, c->reply[1], "redis_version:");
  const char *role = pushline(L, c->reply[1], "\r\nrole:");
  const char *policy = pushline(L, c->reply[1], "maxmemory_policy:");
  int old = atoi(version) < 6;
  add(L, "version", old ? "warn" : "ok", version, old
      ? "before 6.0 there are no ACL users, so nothing but the list of commands "
        "holds a probe read-only" : NULL);
  if (strcmp(role, "slave") == 0)
    add(L, "role", "warn", "replica", "remedies need the URL of the master");
  if (strncmp(policy, "allkeys", 7) == 0)
    add(L, "memory", "warn", policy, "the server may evict any key, also the flags "
        "that a runbook sets (maxmemory-policy volatile-lru keeps them)");
  lua_settop(L, CALL);
}

static int remedychecked (lua_State *L, int status, lua_KContext ctx) {
  rb_RedisCall *c = (rb_RedisCall *)ctx;
  (void)status;
  rb_redis_check(L, c, 0);
  char value[200];
  snprintf(value, sizeof value, "PONG, as user '%s'", rb_redis_user(c));
  add(L, "remedies", "ok", value, NULL);
  checkserver(L, c);
  checktransport(L, &c->pool->address[RB_REDISREMEDY]);
  if (!c->pool->separate)
    add(L, "probes", "warn", "the same user as remedies: only the list of commands "
        "holds them read-only", MEND);
  lua_pushvalue(L, LIST);
  return 1;
}

static int remedyup (lua_State *L, int status, lua_KContext ctx) {
  rb_RedisCall *c = (rb_RedisCall *)ctx;
  (void)status;
  ask(L, c, "PING");
  ask(L, c, "INFO");
  return rb_redis_await(L, c, remedychecked);
}

static int checkremedies (lua_State *L) {
  rb_RedisCall *c = rb_redis_open(L, RB_REDISREMEDY);
  return rb_redis_lease(L, c, remedyup);
}

/* -- the probes' role ----------------------------------------------------- */

/* Harmless even where they are allowed: a SET that needs the key to be there,
** the others with words that no server takes. */
static const struct { const char *name, *words; } forbidden[] = {
  {"SET", "SET runbook:doctor:no-such-key x XX"},
  {"FLUSHALL", "FLUSHALL RUNBOOK"},
  {"EVAL", "EVAL return 0"},
  {"CLIENT PAUSE", "CLIENT PAUSE RUNBOOK"},
  {"CONFIG SET", "CONFIG SET runbook-no-such-setting 1"},
  {NULL, NULL}
};

static int probechecked (lua_State *L, int status, lua_KContext ctx) {
  rb_RedisCall *c = (rb_RedisCall *)ctx;
  char may[128] = "", value[256];
  (void)status;
  rb_redis_check(L, c, 0);
  for (int i = 1; i < c->got; i++) {
    if (rb_redis_iserror(c->reply[i], "NOPERM")) continue;
    size_t n = strlen(may);
    snprintf(may + n, sizeof may - n, "%s%s", n > 0 ? ", " : "", forbidden[i - 1].name);
  }
  snprintf(value, sizeof value, *may == '\0' ? "read-only, as user '%s'%s"
           : "user '%s' may %s", rb_redis_user(c), may);
  add(L, "probes", *may == '\0' ? "ok" : "bad", value, *may == '\0' ? NULL : MEND);
  lua_settop(L, LIST);
  return checkremedies(L);
}

static int probeup (lua_State *L, int status, lua_KContext ctx) {
  rb_RedisCall *c = (rb_RedisCall *)ctx;
  (void)status;
  ask(L, c, "PING");
  for (int i = 0; forbidden[i].name != NULL; i++) ask(L, c, forbidden[i].words);
  return rb_redis_await(L, c, probechecked);
}

int rb_redis_doctor (lua_State *L) {
  lua_settop(L, 1);
  lua_newtable(L);
  rb_RedisPool *p = rb_redis_pool(L, rb_resource(L));
  if (!p->separate) return checkremedies(L);
  rb_RedisCall *c = rb_redis_open(L, RB_REDISPROBE);
  return rb_redis_lease(L, c, probeup);
}

/* -- identity and layer --------------------------------------------------- */

/* The place, not the process: a run that restarts the server goes on with it.
** Nothing that Redis says of itself survives a restart without its data. */
int rb_redis_identity (lua_State *L) {
  const rb_RedisAddress *a = &rb_redis_pool(L, rb_resource(L))->address[RB_REDISREMEDY];
  if (a->host == NULL) lua_pushfstring(L, "unix://%s?db=%d", a->path, a->db);
  else lua_pushfstring(L, "redis://%s:%d/%d", a->host, a->port, a->db);
  return 1;
}

/* [-0, +0, m]  the address in a setting; 0 when there is none to be read */
static int readaddress (lua_State *L, rb_Resource *r, const char *key,
                        rb_RedisAddress *a) {
  rb_setting(L, r, key);
  const char *url = lua_tostring(L, -1);
  int read = url != NULL && rb_redis_parse(a, url) == NULL;
  lua_pop(L, 1);
  return read;
}

int rb_redis_layer (lua_State *L, rb_Resource *r, const char **why) {
  rb_RedisAddress remedy = {0}, probe = {0};
  *why = "same user as remedies";
  int other = readaddress(L, r, "url", &remedy)
              && readaddress(L, r, "probe", &probe) && probe.user != NULL
              && (remedy.user == NULL || strcmp(remedy.user, probe.user) != 0);
  rb_redis_forget(&remedy);
  rb_redis_forget(&probe);
  return other;
}
