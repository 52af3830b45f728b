/*
** address.c - addresses, and what may stand in a header
**
** What a script puts into a header cannot begin another one: line breaks are refused,
** and what is not ASCII becomes encoded words (RFC 2047).
*/

#include <ctype.h>
#include <string.h>

#include "stdlib/mail/mail.h"

#define MOSTADDRESS 254
#define MOSTPEOPLE 100
#define WORDBYTES 36     /* of a text in one encoded word: 60 letters, on a line of 76 */

/* -- addresses --------------------------------------------------------------------- */

static int wrong (lua_State *L, const char *field, const char *s, const char *why) {
  return luaL_error(L, "mail.send: %s: \"%s\" %s", field, s, why);
}

/* is it one that every server takes: dots and atoms before the @, names after it? */
static int islocal (const char *s, size_t n) {
  if (n == 0 || n > 64 || s[0] == '.' || s[n - 1] == '.') return 0;
  for (size_t i = 0; i < n; i++) {
    unsigned char c = (unsigned char)s[i];
    if (c >= 0x80 || (!isalnum(c) && strchr("!#$%&'*+/=?^_`{|}~.-", c) == NULL)) return 0;
    if (c == '.' && s[i + 1] == '.') return 0;
  }
  return 1;
}

static int isdomain (const char *s, size_t n) {
  if (n == 0 || s[0] == '-' || s[0] == '.' || s[n - 1] == '-' || s[n - 1] == '.') return 0;
  for (size_t i = 0; i < n; i++) {
    unsigned char c = (unsigned char)s[i];
    if (c >= 0x80 || (!isalnum(c) && c != '-' && c != '.')) return 0;
    if (c == '.' && s[i + 1] == '.') return 0;
  }
  return 1;
}

/* the part of [s, end) without blanks around it */
static const char *trimmed (const char *s, const char *end, size_t *n) {
  while (s < end && strchr(" \t", *s) != NULL) s++;
  while (end > s && strchr(" \t", end[-1]) != NULL) end--;
  *n = (size_t)(end - s);
  return s;
}

/* [-0, +1, v]  {name =, address =} of "Name <address>" or "address" */
static void pushaddress (lua_State *L, const char *field, const char *s, size_t len) {
  char text[MOSTADDRESS + 1];
  size_t n, nname = 0;
  for (size_t i = 0; i < len; i++)
    if ((unsigned char)s[i] < ' ' || s[i] == 0x7f)
      luaL_error(L, "mail.send: %s: a line break or another control character has no "
                 "place in an address", field);
  const char *open = memchr(s, '<', len), *name = s, *at = s, *end = s + len;
  if (open != NULL) {
    const char *close = memchr(open, '>', (size_t)(end - open));
    name = trimmed(s, open, &nname);
    if (close == NULL || trimmed(close + 1, end, &n)[0] != '\0')
      wrong(L, field, s, "is no address such as Kim <kim@example.org>");
    at = open + 1;
    end = close;
  }
  at = trimmed(at, end, &n);
  if (nname >= 2 && name[0] == '"' && name[nname - 1] == '"') { name++; nname -= 2; }
  if (n > MOSTADDRESS) wrong(L, field, s, "is longer than an address may be");
  for (size_t i = 0; i < n; i++) text[i] = (char)tolower((unsigned char)at[i]);
  text[n] = '\0';
  const char *sign = strchr(text, '@');
  if (sign == NULL || !islocal(text, (size_t)(sign - text))
      || !isdomain(sign + 1, strlen(sign + 1)))
    wrong(L, field, s, "is no address such as kim@example.org");
  lua_createtable(L, 0, 2);
  lua_pushstring(L, text);
  lua_setfield(L, -2, "address");
  if (nname == 0) return;
  lua_pushlstring(L, name, nname);
  lua_setfield(L, -2, "name");
}

/* [-1, +0, v]  the text at the top, into the list below it */
static void addaddress (lua_State *L, const char *field) {
  size_t n;
  int list = lua_gettop(L) - 1;
  if (lua_type(L, -1) != LUA_TSTRING)
    luaL_error(L, "mail.send: %s: an address or a list of addresses is expected", field);
  const char *s = lua_tolstring(L, -1, &n);
  pushaddress(L, field, s, n);
  lua_rawseti(L, list, (lua_Integer)lua_rawlen(L, list) + 1);
  lua_pop(L, 1);
  if (lua_rawlen(L, list) > MOSTPEOPLE)
    luaL_error(L, "mail.send: %s: more than %d addresses", field, MOSTPEOPLE);
}

void rb_mail_addresses (lua_State *L, int idx, const char *field) {
  int type = lua_getfield(L, idx, field), from = lua_gettop(L);
  lua_newtable(L);
  if (type == LUA_TTABLE) {
    for (lua_Integer i = 1; lua_geti(L, from, i) != LUA_TNIL; i++) addaddress(L, field);
    lua_pop(L, 1);
    if (lua_rawlen(L, -1) == 0) luaL_error(L, "mail.send: %s: the list is empty", field);
  } else if (type != LUA_TNIL) {
    lua_pushvalue(L, from);
    addaddress(L, field);
  }
  lua_remove(L, from);
}

/* -- headers --------------------------------------------------------------------------- */

/* plain ASCII that no mail program could take for an encoded word */
static int isplain (const char *s, size_t n) {
  for (size_t i = 0; i < n; i++)
    if ((unsigned char)s[i] >= 0x7f) return 0;
  return memmem(s, n, "=?", 2) == NULL;
}

static void addbase64 (luaL_Buffer *b, const unsigned char *s, size_t n) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < n; i += 3) {
    unsigned v = (unsigned)s[i] << 16 | (i + 1 < n ? (unsigned)s[i + 1] << 8 : 0)
                 | (i + 2 < n ? s[i + 2] : 0);
    luaL_addchar(b, digits[v >> 18]);
    luaL_addchar(b, digits[v >> 12 & 63]);
    luaL_addchar(b, i + 1 < n ? digits[v >> 6 & 63] : '=');
    luaL_addchar(b, i + 2 < n ? digits[v & 63] : '=');
  }
}

/* words of whole characters, each on a line of its own */
static void addwords (luaL_Buffer *b, const char *s, size_t n) {
  for (size_t from = 0; from < n; ) {
    size_t to = n - from > WORDBYTES ? from + WORDBYTES : n;
    while (to < n && to > from + 1 && ((unsigned char)s[to] & 0xC0) == 0x80) to--;
    luaL_addstring(b, from > 0 ? "\r\n =?UTF-8?B?" : "=?UTF-8?B?");
    addbase64(b, (const unsigned char *)s + from, to - from);
    luaL_addstring(b, "?=");
    from = to;
  }
}

const char *rb_mail_header (lua_State *L, const char *what, const char *s, size_t n) {
  luaL_Buffer b;
  for (size_t i = 0; i < n; i++)
    if (((unsigned char)s[i] < ' ' && s[i] != '\t') || s[i] == 0x7f)
      luaL_error(L, "mail.send: %s: a line break or another control character has no "
                 "place in it", what);
  if (n > 900) luaL_error(L, "mail.send: %s: longer than 900 bytes", what);
  if (isplain(s, n)) return lua_pushlstring(L, s, n);
  luaL_buffinit(L, &b);
  addwords(&b, s, n);
  luaL_pushresult(&b);
  return lua_tostring(L, -1);
}

/* [-0, +1, v]  a name as it stands before an address: quoted, or encoded */
static void pushname (lua_State *L, const char *s, size_t n) {
  luaL_Buffer b;
  if (!isplain(s, n)) {
    rb_mail_header(L, "a name", s, n);
    return;
  }
  luaL_buffinit(L, &b);
  luaL_addchar(&b, '"');
  for (size_t i = 0; i < n; i++) {
    if (s[i] == '"' || s[i] == '\\') luaL_addchar(&b, '\\');
    luaL_addchar(&b, s[i]);
  }
  luaL_addchar(&b, '"');
  luaL_pushresult(&b);
}

const char *rb_mail_addressline (lua_State *L, int list) {
  list = lua_absindex(L, list);
  lua_pushliteral(L, "");
  for (lua_Integer i = 1; lua_geti(L, list, i) != LUA_TNIL; i++) {
    size_t n;
    int one = lua_gettop(L);
    lua_pushvalue(L, one - 1);
    lua_pushstring(L, i > 1 ? ",\r\n " : "");
    int named = lua_getfield(L, one, "name") == LUA_TSTRING;
    if (named) {
      const char *name = lua_tolstring(L, -1, &n);
      pushname(L, name, n);
      lua_remove(L, -2);
    } else {
      lua_pop(L, 1);
      lua_pushliteral(L, "");
    }
    lua_getfield(L, one, "address");
    lua_pushfstring(L, named ? " <%s>" : "%s", lua_tostring(L, -1));
    lua_remove(L, -2);
    lua_concat(L, 4);
    lua_replace(L, one - 1);
    lua_settop(L, one - 1);
  }
  lua_pop(L, 1);
  return lua_tostring(L, -1);
}
