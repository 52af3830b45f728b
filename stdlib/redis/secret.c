/*
** secret.c - passwords that are words of commands, and values of settings
*/

#include <string.h>
#include <strings.h>

#include "stdlib/redis/redis.h"

static int ispassword (const char *setting) {
  return strcasecmp(setting, "requirepass") == 0
         || strcasecmp(setting, "masterauth") == 0
         || strcasestr(setting, "key-file-pass") != NULL;
}

static int is (lua_State *L, int idx, const char *word) {
  return lua_type(L, idx) == LUA_TSTRING
         && strcasecmp(lua_tostring(L, idx), word) == 0;
}

/* the word at idx, from its byte 'from' on */
static void hide (lua_State *L, int idx, size_t from, const char *name) {
  size_t n;
  const char *s = lua_tolstring(L, idx, &n);
  if (n > from) rb_secret(L, name, s + from, n - from);
}

void rb_redis_hidewords (lua_State *L, int n) {
  int config = is(L, 2, "CONFIG"), migrate = is(L, 2, "MIGRATE");
  int user = is(L, 2, "ACL") && is(L, 3, "SETUSER");
  for (int i = 4; i <= n; i++) {
    const char *word = lua_tostring(L, i);
    if (config && i < n && ispassword(word)) hide(L, i + 1, 0, word);
    if (user && (*word == '>' || *word == '<')) hide(L, i, 1, "password");
    if (migrate && i < n && is(L, i, "AUTH")) hide(L, i + 1, 0, "password");
    if (migrate && i + 1 < n && is(L, i, "AUTH2")) hide(L, i + 2, 0, "password");
  }
}

void rb_redis_hidesettings (lua_State *L, const redisReply *r) {
  if (r->type != REDIS_REPLY_ARRAY) return;
  for (size_t i = 0; i + 1 < r->elements; i += 2) {
    const redisReply *name = r->element[i], *value = r->element[i + 1];
    if (name->str != NULL && value->str != NULL && value->len > 0
        && ispassword(name->str)) rb_secret(L, name->str, value->str, value->len);
  }
}
