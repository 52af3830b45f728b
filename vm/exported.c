/*
** exported.c - arguments, values and chance of a run as they leave in an export
*/

#include <string.h>

#include <sodium.h>

#include "vm/exported.h"
#include "vm/redact.h"
#include "vm/tape/value.h"
#include "vm/vm.h"

#define MAXDEPTH 100

static void settype (lua_State *L, const char *name) { rb_settype_named(L, name); }

/* [-0, +1, m]  the text or number at idx; a number that is a secret is a text then */
static void pushtext (lua_State *L, int idx) {
  size_t n;
  rb_Buffer b = {0};
  lua_pushvalue(L, idx);
  const char *s = lua_tolstring(L, -1, &n);
  rb_redact(&b, s, n);
  if (b.n == n && (n == 0 || memcmp(b.s, s, n) == 0)) lua_pushvalue(L, idx);
  else lua_pushlstring(L, b.s != NULL ? b.s : "", b.n);
  lua_remove(L, -2);
  int failed = b.failed;
  rb_buffer_free(&b);
  if (failed) luaL_error(L, "not enough memory");
}

/* [-0, +1, m]  the value with every secret in it replaced */
static void pushredacted (lua_State *L, int idx, int depth) {
  idx = lua_absindex(L, idx);
  if (lua_isstring(L, idx)) { pushtext(L, idx); return; }
  if (!lua_istable(L, idx) || depth > MAXDEPTH) { lua_pushvalue(L, idx); return; }
  luaL_checkstack(L, 8, "a value is nested too deeply");
  lua_newtable(L);
  lua_pushnil(L);
  while (lua_next(L, idx) != 0) {
    pushredacted(L, -2, depth + 1);
    pushredacted(L, -2, depth + 1);
    lua_rawset(L, -5);
    lua_pop(L, 1);
  }
  if (lua_getmetatable(L, idx)) lua_setmetatable(L, -2);
}

static rb_Exported *exportof (const rb_Task *t) { return t->vm->exported; }

void rb_exported_mark (lua_State *L, rb_Task *t, int from, int to, char out[65]) {
  rb_Buffer b = {0};
  unsigned char hash[32];
  rb_buffer_puts(&b, t->call.reg->name);
  if (from > 1) rb_value_resource(&b, t->call.box->r.name);
  for (int i = from; i <= to; i++) {
    pushredacted(L, i, 0);
    if (lua_isfunction(L, -1) || rb_value_encode(L, -1, &b) != NULL) rb_buffer_puts(&b, "?");
    lua_pop(L, 1);
  }
  crypto_generichash(hash, sizeof hash, (const unsigned char *)b.s, b.n, exportof(t)->key,
                     sizeof exportof(t)->key);
  sodium_bin2hex(out, 65, hash, sizeof hash);
  rb_buffer_free(&b);
}

int rb_exported_value (lua_State *L, const char *s, size_t n, rb_Buffer *b) {
  int top = lua_gettop(L);
  luaL_checkstack(L, 20, NULL);
  int good = rb_value_decode(L, s, n, settype);
  if (good) {
    pushredacted(L, -1, 0);
    good = rb_value_encode(L, -1, b) == NULL;
  }
  lua_settop(L, top);
  return good;
}

/* -- chance ------------------------------------------------------------------------ */

/* Were these bytes made a token of? Then they are a secret in one of its two forms. */
static int istoken (const char *hex, const void *bytes, size_t n) {
  char *text = malloc(sodium_base64_ENCODED_LEN(n, sodium_base64_VARIANT_URLSAFE_NO_PADDING));
  if (text == NULL) return 1;
  sodium_bin2base64(text, sodium_base64_ENCODED_LEN(n, sodium_base64_VARIANT_URLSAFE_NO_PADDING),
                    bytes, n, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
  int is = rb_redact_knows(hex, strlen(hex)) || rb_redact_knows(text, strlen(text));
  sodium_memzero(text, strlen(text));
  free(text);
  return is;
}

/* It is drawn first and made a token afterwards: so they are looked at in the end. */
void rb_exported_drew (rb_Exported *e, const char *place, const void *bytes, size_t n) {
  char *hex = malloc(2 * n + 1);
  if (hex == NULL) return;
  sodium_bin2hex(hex, 2 * n + 1, bytes, n);
  json_object_set_new(e->drawn, place, json_string(hex));
  sodium_memzero(hex, 2 * n);
  free(hex);
}

void rb_exported_notokens (rb_Exported *e) {
  const char *place;
  json_t *hex;
  void *next;
  json_object_foreach_safe(e->drawn, next, place, hex) {
    size_t n = json_string_length(hex) / 2, got;
    unsigned char *bytes = malloc(n + 1);
    int keep = bytes != NULL && sodium_hex2bin(bytes, n + 1, json_string_value(hex), 2 * n,
                                               NULL, &got, NULL) == 0
               && !istoken(json_string_value(hex), bytes, n);
    if (bytes != NULL) sodium_memzero(bytes, n);
    free(bytes);
    if (!keep) json_object_del(e->drawn, place);
  }
}

void rb_exported_draw (const rb_Exported *e, const char *place, void *out, size_t n) {
  unsigned char seed[randombytes_SEEDBYTES];
  const char *hex = json_string_value(json_object_get(e->drawn, place));
  size_t got = 0;
  if (hex != NULL && sodium_hex2bin(out, n, hex, strlen(hex), NULL, &got, NULL) == 0
      && got == n) return;
  crypto_generichash(seed, sizeof seed, (const unsigned char *)place, strlen(place), e->key,
                     sizeof e->key);
  randombytes_buf_deterministic(out, n, seed);
}
