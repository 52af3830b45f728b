/*
** webhook.c - any JSON to a receiver that the configuration names, signed
**
** The signature is HMAC-SHA256, with the secret that both share, of the time in
** Runbook-Timestamp, a dot, and the body: who has not the secret cannot make one, and
** an old one can be told. Idempotency-Key is the same when the notice is sent again;
** it is sent again by itself only where the configuration says that the receiver minds it.
*/

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "stdlib/common/notice.h"

enum { NAME = 1, PAYLOAD, OPTIONS, ENTRY };

/* [-0, +1, v]  a key of the receiver's entry, as a text; of a bare URL that is `url` */
static const char *setting (lua_State *L, const char *key) {
  if (!lua_istable(L, ENTRY)) {
    if (strcmp(key, "url") != 0) lua_pushnil(L);
    else lua_pushvalue(L, ENTRY);
  } else lua_getfield(L, ENTRY, key);
  if (lua_isnil(L, -1)) return NULL;
  const char *name = lua_pushfstring(L, "webhook %s %s", lua_tostring(L, NAME), key);
  const char *s = strcmp(key, "idempotency") == 0 ? rb_text(L, -2, NULL)
                  : rb_notice_secret(L, -2, name);
  lua_replace(L, -3);
  lua_pop(L, 1);
  return s;
}

static void begin (lua_State *L) {
  const char *name = luaL_checkstring(L, NAME);
  luaL_argcheck(L, lua_istable(L, PAYLOAD), PAYLOAD, "a table expected: it is sent as JSON");
  lua_settop(L, OPTIONS);
  rb_notice_entry(L, name, "receiver");
}

static int post_preview (lua_State *L) {
  size_t n;
  begin(L);
  rb_notice_timeout(L, OPTIONS);
  int signed_ = setting(L, "secret") != NULL;
  rb_notice_json(L, PAYLOAD, 1, &n);
  rb_notice_plan(L, lua_tostring(L, NAME));
  if (!signed_) {
    lua_pushliteral(L, "unsigned: the configuration has no secret for it");
    lua_setfield(L, -2, "reason");
  }
  return 1;
}

static void addline (lua_State *L, rb_Curl *t, const char *name, const char *value) {
  rb_curl_append(L, &t->headers, lua_pushfstring(L, "%s: %s", name, value));
  lua_pop(L, 1);
}

static void sign (lua_State *L, rb_Curl *t, const char *secret) {
  crypto_auth_hmacsha256_state state;
  unsigned char mac[crypto_auth_hmacsha256_BYTES];
  char hex[2 * sizeof mac + 1], stamp[32];
  snprintf(stamp, sizeof stamp, "%lld", (long long)time(NULL));
  crypto_auth_hmacsha256_init(&state, (const unsigned char *)secret, strlen(secret));
  crypto_auth_hmacsha256_update(&state, (const unsigned char *)stamp, strlen(stamp));
  crypto_auth_hmacsha256_update(&state, (const unsigned char *)".", 1);
  crypto_auth_hmacsha256_update(&state, (const unsigned char *)t->out, t->nout);
  crypto_auth_hmacsha256_final(&state, mac);
  sodium_bin2hex(hex, sizeof hex, mac, sizeof mac);
  addline(L, t, "Runbook-Timestamp", stamp);
  addline(L, t, "Runbook-Signature", lua_pushfstring(L, "sha256=%s", hex));
  lua_pop(L, 1);
}

/* [-0, +1, m]  the key, from the plan: asking here would say that a repetition is safe */
static const char *pushkey (lua_State *L, int honoured) {
  if (honoured) return rb_idempotency(L);
  rb_plan(L);
  lua_getfield(L, -1, "key");
  lua_remove(L, -2);
  return lua_tostring(L, -1);
}

static int post (lua_State *L) {
  rb_NoticePost p = {.to = lua_tostring(L, NAME)};
  begin(L);
  p.url = setting(L, "url");
  p.timeout = rb_notice_timeout(L, OPTIONS);
  p.body = rb_notice_json(L, PAYLOAD, 1, &p.nbody);
  const char *header = setting(L, "idempotency"), *secret = setting(L, "secret");
  const char *key = pushkey(L, header != NULL);
  if (header != NULL) p.key = key;
  rb_Curl *t = rb_notice_open(L, &p);
  if (secret != NULL) sign(L, t, secret);
  if (key != NULL) addline(L, t, header != NULL ? header : "Idempotency-Key", key);
  return rb_notice_send(L, t, &p);
}

static int keyed_preview (lua_State *L) {
  post_preview(L);
  rb_idempotency(L);
  lua_setfield(L, -2, "key");
  return 1;
}

static const rb_Reg functions[] = {
  {"post", RB_NOTICE, post, keyed_preview,
   "post(name, payload [, { timeout = \"15s\" }]) -> true : sends a table as JSON to the "
   "receiver that the target's `notify.webhook` names, signed (Runbook-Timestamp, "
   "Runbook-Signature) and with an Idempotency-Key that is the same when it is sent again. "
   "Fails as slack.post does; an answer that did not come is in doubt, unless the "
   "configuration says that the receiver minds the key: then `retry` and a resume send it "
   "again. Secrets in the payload are sent as their text.", NULL, NULL},
  RB_END
};

RB_API const rb_Module rb_module = {
  .interface = RB_INTERFACE,
  .name = "webhook",
  .doc = "JSON to receivers of your own, signed",
  .functions = functions
};
