/*
** teams.c - a message into a channel of Microsoft Teams, through a workflow's webhook
**
** What is sent is an adaptive card, also for a text. Teams knows no repetitions: a
** message without an answer is in doubt.
*/

#include <string.h>

#include "stdlib/common/notice.h"

#define MOST 28000       /* bytes: Teams refuses what is larger */

enum { CHANNEL = 1, CONTENT, OPTIONS };

static void setword (lua_State *L, const char *key, const char *value) {
  lua_pushstring(L, value);
  lua_setfield(L, -2, key);
}

/* [-0, +1, v]  the card: CONTENT as it is, or one block with its text */
static void pushcard (lua_State *L) {
  if (lua_istable(L, CONTENT)) {
    int type = lua_getfield(L, CONTENT, "type"), body = lua_getfield(L, CONTENT, "body");
    if (type != LUA_TSTRING || strcmp(lua_tostring(L, -2), "AdaptiveCard") != 0
        || body != LUA_TTABLE || lua_rawlen(L, -1) == 0)
      luaL_argerror(L, CONTENT, "a card is { type = \"AdaptiveCard\", version = \"1.4\", "
                    "body = { ... } }");
    lua_pop(L, 2);
    lua_pushvalue(L, CONTENT);
    return;
  }
  size_t n;
  if (lua_type(L, CONTENT) != LUA_TSTRING)
    luaL_argerror(L, CONTENT, "a text or an adaptive card expected");
  const char *s = lua_tolstring(L, CONTENT, &n);
  if (strspn(s, " \t\r\n") == n) luaL_argerror(L, CONTENT, "the message is empty");
  lua_newtable(L);
  setword(L, "type", "AdaptiveCard");
  setword(L, "version", "1.4");
  setword(L, "$schema", "http://adaptivecards.io/schemas/adaptive-card.json");
  lua_newtable(L);
  lua_newtable(L);
  setword(L, "type", "TextBlock");
  setword(L, "text", s);
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, "wrap");
  lua_rawseti(L, -2, 1);
  lua_setfield(L, -2, "body");
}

/* [-0, +1, v]  the message as Teams takes it, as JSON */
static const char *pushmessage (lua_State *L, size_t *n) {
  lua_newtable(L);
  setword(L, "type", "message");
  lua_newtable(L);
  lua_newtable(L);
  setword(L, "contentType", "application/vnd.microsoft.card.adaptive");
  pushcard(L);
  lua_setfield(L, -2, "content");
  lua_rawseti(L, -2, 1);
  lua_setfield(L, -2, "attachments");
  const char *s = rb_notice_json(L, lua_gettop(L), 0, n);
  lua_remove(L, -2);
  if (*n > MOST) luaL_argerror(L, CONTENT, "Teams takes 28000 bytes at most: say less");
  return s;
}

static int post_preview (lua_State *L) {
  size_t n;
  lua_settop(L, OPTIONS);
  rb_notice_channel(L, CHANNEL, "teams");
  rb_notice_timeout(L, OPTIONS);
  pushmessage(L, &n);
  lua_pop(L, 1);
  if (lua_istable(L, CONTENT)) rb_notice_json(L, CONTENT, 0, &n);
  else lua_pushvalue(L, CONTENT);
  rb_notice_plan(L, lua_tostring(L, CHANNEL));
  return 1;
}

static int post (lua_State *L) {
  rb_NoticePost p = {.to = lua_tostring(L, CHANNEL)};
  lua_settop(L, OPTIONS);
  p.url = rb_notice_channel(L, CHANNEL, "teams");
  p.timeout = rb_notice_timeout(L, OPTIONS);
  p.body = pushmessage(L, &p.nbody);
  return rb_notice_send(L, rb_notice_open(L, &p), &p);
}

static const rb_Reg functions[] = {
  {"post", RB_NOTICE, post, post_preview,
   "post(channel, text | card [, { timeout = \"15s\" }]) -> true : posts into a channel that "
   "the target's `notify.teams` names, as an adaptive card: one with the text, or the card "
   "given. Fails as slack.post does.", NULL, NULL},
  RB_END
};

RB_API const rb_Module rb_module = {
  .interface = RB_INTERFACE,
  .name = "teams",
  .doc = "messages into channels of Microsoft Teams",
  .functions = functions
};
