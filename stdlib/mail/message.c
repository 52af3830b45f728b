/*
** message.c - what a mail says: read from the argument, shown to a person, made MIME
*/

#include <string.h>

#include "stdlib/mail/mail.h"

static const char *const people[] = {"to", "cc", "bcc", "reply_to", NULL};

/* -- read ------------------------------------------------------------------------------ */

/* [-0, +0, v]  a text into the table at READ */
static void readtext (lua_State *L, const char *field, int needed) {
  int type = lua_getfield(L, MESSAGE, field);
  if (type != LUA_TNIL && type != LUA_TSTRING)
    luaL_error(L, "mail.send: %s is a text, not a %s", field, lua_typename(L, type));
  if (type == LUA_TNIL && needed) luaL_error(L, "mail.send: there is no %s", field);
  lua_setfield(L, READ, field);
}

static void readattached (lua_State *L) {
  int type = lua_getfield(L, MESSAGE, "attach"), list = lua_gettop(L);
  if (type == LUA_TNIL) {
    lua_pop(L, 1);
    return;
  }
  if (type != LUA_TTABLE) luaL_error(L, "mail.send: attach is a list");
  lua_newtable(L);
  for (lua_Integer i = 1; lua_geti(L, list, i) != LUA_TNIL; i++) {
    rb_mail_attachment(L);
    lua_rawseti(L, list + 1, i);
  }
  lua_pop(L, 1);
  lua_pushnil(L);
  if (lua_rawlen(L, list + 1) == 0 && lua_next(L, list) != 0)
    luaL_error(L, "mail.send: attach is a list: { \"/path\", { name =, content = } }");
  lua_settop(L, list + 1);
  lua_setfield(L, READ, "attach");
  lua_settop(L, list - 1);
}

static void checksaid (lua_State *L) {
  size_t n;
  lua_getfield(L, READ, "subject");
  const char *subject = lua_tolstring(L, -1, &n);
  if (strspn(subject, " \t") == n) luaL_error(L, "mail.send: the subject is empty");
  rb_mail_header(L, "subject", subject, n);
  if (lua_getfield(L, READ, "text") == LUA_TNIL && lua_getfield(L, READ, "html") == LUA_TNIL)
    luaL_error(L, "mail.send: it says nothing: give text or html, or both");
  lua_settop(L, READ);
}

void rb_mail_read (lua_State *L) {
  static const char *const fields[] = {
    "to", "cc", "bcc", "reply_to", "subject", "text", "html", "attach", NULL
  };
  rb_notice_known(L, MESSAGE, fields);
  lua_settop(L, OPTIONS);
  lua_newtable(L);
  for (const char *const *who = people; *who != NULL; who++) {
    rb_mail_addresses(L, MESSAGE, *who);
    lua_setfield(L, READ, *who);
  }
  lua_getfield(L, READ, "to");
  if (lua_rawlen(L, -1) == 0) luaL_error(L, "mail.send: to whom? there is no `to`");
  lua_pop(L, 1);
  readtext(L, "subject", 1);
  readtext(L, "text", 0);
  readtext(L, "html", 0);
  readattached(L);
  checksaid(L);
}

/* -- shown ------------------------------------------------------------------------------ */

/* one more piece of what is shown, at the end of the list at `to` */
static void put (lua_State *L, int to, const char *s) {
  lua_pushstring(L, s);
  lua_rawseti(L, to, (lua_Integer)lua_rawlen(L, to) + 1);
}

/* every address of that field: with its name, or alone */
static void putpeople (lua_State *L, int to, const char *who, const char *before,
                       int names) {
  lua_getfield(L, READ, who);
  int list = lua_gettop(L);
  for (lua_Integer i = 1; lua_geti(L, list, i) != LUA_TNIL; i++) {
    lua_getfield(L, -1, "name");
    lua_getfield(L, -2, "address");
    const char *name = names ? lua_tostring(L, -2) : NULL;
    put(L, to, i == 1 ? before : ", ");
    if (name != NULL) put(L, to, lua_pushfstring(L, "%s <%s>", name, lua_tostring(L, -1)));
    else put(L, to, lua_tostring(L, -1));
    lua_settop(L, list);
  }
  lua_settop(L, list - 1);
}

const char *rb_mail_recipients (lua_State *L) {
  lua_newtable(L);
  int to = lua_gettop(L);
  for (const char *const *who = people; who < people + 3; who++)
    putpeople(L, to, *who, lua_rawlen(L, to) > 0 ? ", " : "", 0);
  rb_notice_join(L, to, "");
  lua_replace(L, to);
  return lua_tostring(L, to);
}

static void putpart (lua_State *L, int to, const char *before, const char *field) {
  if (lua_getfield(L, READ, field) == LUA_TSTRING) {
    put(L, to, before);
    put(L, to, lua_tostring(L, -1));
  }
  lua_pop(L, 1);
}

static void putattached (lua_State *L, int to) {
  int type = lua_getfield(L, READ, "attach"), list = lua_gettop(L);
  for (lua_Integer i = 1; type == LUA_TTABLE && lua_geti(L, list, i) != LUA_TNIL; i++) {
    lua_getfield(L, -1, "name");
    lua_getfield(L, -2, "type");
    lua_getfield(L, -3, "content");
    put(L, to, i == 1 ? "\n\nattached: " : ", ");
    put(L, to, lua_pushfstring(L, "%s (%s, %I bytes)", lua_tostring(L, -3), lua_tostring(L, -2),
                           (LUAI_UACINT)lua_rawlen(L, -1)));
    lua_settop(L, list);
  }
  lua_settop(L, list - 1);
}

const char *rb_mail_rendered (lua_State *L, const char *from) {
  lua_newtable(L);
  int to = lua_gettop(L);
  put(L, to, "From: ");
  put(L, to, from);
  putpeople(L, to, "to", "\nTo: ", 1);
  putpeople(L, to, "cc", "\nCc: ", 1);
  putpeople(L, to, "bcc", "\nBcc: ", 1);
  putpeople(L, to, "reply_to", "\nReply-To: ", 1);
  putpart(L, to, "\nSubject: ", "subject");
  putpart(L, to, "\n\n", "text");
  putpart(L, to, "\n\n(as HTML)\n", "html");
  putattached(L, to);
  rb_notice_join(L, to, "");
  lua_replace(L, to);
  return lua_tostring(L, to);
}

/* -- MIME --------------------------------------------------------------------------------- */

static void checkmime (lua_State *L, CURLcode bad) {
  if (bad != CURLE_OK) luaL_error(L, "mail.send: it cannot be made a message (%s)",
                                  curl_easy_strerror(bad));
}

static curl_mimepart *addpart (lua_State *L, curl_mime *to) {
  curl_mimepart *part = curl_mime_addpart(to);
  if (part == NULL) luaL_error(L, "not enough memory");
  return part;
}

/* lines end with CR LF in a mail; [-0, +1, m] */
static const char *pushlines (lua_State *L, const char *s, size_t n, size_t *len) {
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (size_t i = 0; i < n; i++) {
    if (s[i] == '\n' && (i == 0 || s[i - 1] != '\r')) luaL_addchar(&b, '\r');
    luaL_addchar(&b, s[i]);
  }
  luaL_pushresult(&b);
  return lua_tolstring(L, -1, len);
}

/* the text in that field, if there is one */
static void addtext (lua_State *L, curl_mime *to, const char *field, const char *type) {
  size_t n, len;
  if (lua_getfield(L, READ, field) == LUA_TSTRING) {
    const char *s = lua_tolstring(L, -1, &n);
    curl_mimepart *part = addpart(L, to);
    s = pushlines(L, s, n, &len);
    checkmime(L, curl_mime_data(part, s, len));
    checkmime(L, curl_mime_type(part, type));
    checkmime(L, curl_mime_encoder(part, "quoted-printable"));
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

static int has (lua_State *L, const char *field) {
  int there = lua_getfield(L, READ, field) != LUA_TNIL;
  lua_pop(L, 1);
  return there;
}

/* the same said twice, for programs to choose from */
static void addboth (lua_State *L, rb_Curl *t) {
  curl_mimepart *part = addpart(L, t->mime);
  curl_mime *both = curl_mime_init(t->easy);
  if (both == NULL || curl_mime_subparts(part, both) != CURLE_OK) {
    curl_mime_free(both);
    luaL_error(L, "not enough memory");
  }
  checkmime(L, curl_mime_type(part, "multipart/alternative"));
  addtext(L, both, "text", "text/plain; charset=utf-8");
  addtext(L, both, "html", "text/html; charset=utf-8");
}

static void addattached (lua_State *L, rb_Curl *t) {
  size_t n;
  int type = lua_getfield(L, READ, "attach"), list = lua_gettop(L);
  for (lua_Integer i = 1; type == LUA_TTABLE && lua_geti(L, list, i) != LUA_TNIL; i++) {
    curl_mimepart *part = addpart(L, t->mime);
    lua_getfield(L, list + 1, "content");
    const char *s = lua_tolstring(L, -1, &n);
    checkmime(L, curl_mime_data(part, s, n));
    lua_getfield(L, list + 1, "type");
    checkmime(L, curl_mime_type(part, lua_tostring(L, -1)));
    lua_getfield(L, list + 1, "name");
    const char *name = lua_tolstring(L, -1, &n);
    checkmime(L, curl_mime_filename(part, rb_mail_header(L, "attach: name", name, n)));
    checkmime(L, curl_mime_encoder(part, "base64"));
    lua_settop(L, list);
  }
  lua_settop(L, list - 1);
}

void rb_mail_compose (lua_State *L, rb_Curl *t) {
  t->mime = curl_mime_init(t->easy);
  if (t->mime == NULL) luaL_error(L, "not enough memory");
  if (has(L, "text") && has(L, "html")) addboth(L, t);
  else {
    addtext(L, t->mime, "text", "text/plain; charset=utf-8");
    addtext(L, t->mime, "html", "text/html; charset=utf-8");
  }
  addattached(L, t);
  checkmime(L, curl_easy_setopt(t->easy, CURLOPT_MIMEPOST, t->mime));
}
