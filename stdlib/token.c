/*
** token.c - new passwords and keys: made from the run's key, stored nowhere
**
** Both kinds are taken out of all that leaves the process, under the name of the
** place where they were made: that is the same in the plan and in the deed.
*/

#include <sodium.h>
#include <string.h>

#include "vm/module.h"

#define LEAST 8      /* bytes: what is shorter can be guessed */
#define MOST 1024

/* [-0, +1, v]  fresh bytes; on the top the name of their place, such that it can
** stand between brackets */
static const char *draw (lua_State *L, unsigned char *bytes, size_t *n) {
  lua_Integer asked = luaL_checkinteger(L, 1);
  luaL_argcheck(L, asked >= LEAST && asked <= MOST, 1,
                "how many random bytes: 8 to 1024 (16 cannot be guessed)");
  *n = (size_t)asked;
  const char *place = rb_derive(L, bytes, *n);
  place = luaL_gsub(L, place, "[", "(");
  place = luaL_gsub(L, place, "]", ")");
  return lua_pushfstring(L, "token %s", place);
}

static int secret (lua_State *L) {
  unsigned char bytes[MOST];
  char text[MOST * 4 / 3 + 8];
  size_t n;
  const char *name = draw(L, bytes, &n);
  sodium_bin2base64(text, sizeof text, bytes, n,
                    sodium_base64_VARIANT_URLSAFE_NO_PADDING);
  rb_pushsecret(L, name, text, strlen(text));
  sodium_memzero(bytes, sizeof bytes);
  sodium_memzero(text, sizeof text);
  return 1;
}

static int hex (lua_State *L) {
  unsigned char bytes[MOST];
  char text[2 * MOST + 1];
  size_t n;
  const char *name = draw(L, bytes, &n);
  sodium_bin2hex(text, sizeof text, bytes, n);
  rb_secret(L, name, text, 2 * n);
  lua_pushlstring(L, text, 2 * n);
  sodium_memzero(bytes, sizeof bytes);
  return 1;
}

static const rb_Reg functions[] = {
  {"secret", RB_PURE, secret, NULL,
   "secret(bytes) -> secret : a new password or key made of 8 to 1024 random bytes, as "
   "text (A-Z a-z 0-9 - _, four characters for three bytes). An opaque value that only "
   "primitives can open. The same again on resume and replay; stored nowhere, shown as "
   "[redacted token PLACE]. Only in a step", NULL, NULL},
  {"hex", RB_PURE, hex, NULL,
   "hex(bytes) -> string : 8 to 1024 random bytes as hexadecimal digits, for where a "
   "text has to be put together. Redacted and repeated as token.secret is. Only in a "
   "step", NULL, NULL},
  RB_END
};

const rb_Module rb_module = {
  .interface = RB_INTERFACE, .name = "token",
  .doc = "new passwords and keys, made from the run's own key",
  .functions = functions
};
