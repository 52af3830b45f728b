/*
** slack.c - a message into a channel of Slack, through its incoming webhook
**
** Slack answers "ok" and knows no repetitions: a message without an answer is in doubt.
*/

#include <string.h>

#include "stdlib/common/json.h"
#include "stdlib/common/notice.h"

#define MOSTTEXT 40000   /* bytes: Slack cuts what is longer */
#define MOSTBLOCKS 50

enum { CHANNEL = 1, CONTENT, OPTIONS };

/* -- arguments -------------------------------------------------------------------- */

static int badcontent (lua_State *L) {
  return luaL_argerror(L, CONTENT, "a text, a list of blocks, or { text =, blocks = } "
                       "expected");
}

static void checktext (lua_State *L, int idx) {
  size_t n;
  const char *s = lua_tolstring(L, idx, &n);
  if (n == 0 || strspn(s, " \t\r\n") == n) luaL_argerror(L, CONTENT, "the message is empty");
  if (n > MOSTTEXT)
    luaL_argerror(L, CONTENT, "Slack cuts a text of more than 40000 bytes: say less");
}

/* [-0, +1, v]  the message as Slack takes it: {text=, blocks=} */
static void pushmessage (lua_State *L) {
  static const char *const fields[] = {"text", "blocks", NULL};
  lua_newtable(L);
  if (lua_type(L, CONTENT) == LUA_TSTRING) {
    checktext(L, CONTENT);
    lua_pushvalue(L, CONTENT);
    lua_setfield(L, -2, "text");
    return;
  }
  if (!lua_istable(L, CONTENT)) badcontent(L);
  if (lua_rawlen(L, CONTENT) > 0) {
    lua_pushvalue(L, CONTENT);
    lua_setfield(L, -2, "blocks");
  } else {
    rb_notice_known(L, CONTENT, fields);
    for (const char *const *f = fields; *f != NULL; f++) {
      lua_getfield(L, CONTENT, *f);
      lua_setfield(L, -2, *f);
    }
  }
  int text = lua_getfield(L, -1, "text"), blocks = lua_getfield(L, -2, "blocks");
  if (text == LUA_TSTRING) checktext(L, lua_gettop(L) - 1);
  if ((text == LUA_TNIL && blocks == LUA_TNIL) || (text != LUA_TNIL && text != LUA_TSTRING)
      || (blocks != LUA_TNIL && blocks != LUA_TTABLE)) badcontent(L);
  if (blocks == LUA_TTABLE && lua_rawlen(L, -1) > MOSTBLOCKS)
    luaL_argerror(L, CONTENT, "Slack takes 50 blocks at most");
  lua_pop(L, 2);
}

/* -- the rendered message ----------------------------------------------------------- */

/* [-0, +0, m]  every text of a block, wherever it stands, on a line of its own */
static void addtexts (lua_State *L, int idx, int list, int depth) {
  luaL_checkstack(L, 6, "blocks are nested too deeply");
  if (lua_getfield(L, idx, "text") == LUA_TSTRING)
    lua_rawseti(L, list, (lua_Integer)lua_rawlen(L, list) + 1);
  else lua_pop(L, 1);
  lua_pushnil(L);
  while (depth < 20 && lua_next(L, idx) != 0) {
    if (lua_istable(L, -1)) addtexts(L, lua_gettop(L), list, depth + 1);
    lua_pop(L, 1);
  }
  if (depth >= 20) lua_pop(L, 1);
}

/* [-1 (the message), +1, m]  its text, else what can be read of its blocks */
static void pushrendered (lua_State *L) {
  int message = lua_gettop(L);
  lua_newtable(L);
  if (lua_getfield(L, message, "text") == LUA_TSTRING) lua_rawseti(L, message + 1, 1);
  else lua_pop(L, 1);
  if (lua_getfield(L, message, "blocks") == LUA_TTABLE)
    addtexts(L, lua_gettop(L), message + 1, 0);
  lua_pop(L, 1);
  rb_notice_join(L, message + 1, "\n");
  lua_replace(L, message);
  lua_settop(L, message);
}

/* -- post ------------------------------------------------------------------------------- */

static int post_preview (lua_State *L) {
  lua_settop(L, OPTIONS);
  rb_notice_channel(L, CHANNEL, "slack");
  rb_notice_timeout(L, OPTIONS);
  pushmessage(L);
  size_t n;
  rb_notice_json(L, lua_gettop(L), 0, &n);            /* what cannot be sent is said now */
  lua_pop(L, 1);
  pushrendered(L);
  rb_notice_plan(L, lua_tostring(L, CHANNEL));
  return 1;
}

static const char *judge (lua_State *L, const rb_Curl *t) {
  (void)L;
  if (t->body.n >= 2 && strncmp(t->body.s, "ok", 2) == 0) return NULL;
  return "not Slack's \"ok\"";
}

static int post (lua_State *L) {
  rb_NoticePost p = {.to = lua_tostring(L, CHANNEL), .judge = judge};
  lua_settop(L, OPTIONS);
  p.url = rb_notice_channel(L, CHANNEL, "slack");
  p.timeout = rb_notice_timeout(L, OPTIONS);
  pushmessage(L);
  p.body = rb_notice_json(L, lua_gettop(L), 0, &p.nbody);
  return rb_notice_send(L, rb_notice_open(L, &p), &p);
}

static const rb_Reg functions[] = {
  {"post", RB_NOTICE, post, post_preview,
   "post(channel, text | blocks [, { timeout = \"15s\" }]) -> true : posts into a channel "
   "that the target's `notify.slack` names. A text is Slack's mrkdwn as it is; a list is "
   "Block Kit's; { text =, blocks = } has both. Fails with \"missing\" for a channel that is "
   "not there, \"refused\" where Slack said no, \"server\" (429: nobody was told, and `retry` "
   "comes back when Slack says so; 5xx: in doubt), \"io\", \"timeout\". Secrets cannot be "
   "posted.", NULL, NULL},
  RB_END
};

RB_API const rb_Module rb_module = {
  .interface = RB_INTERFACE,
  .name = "slack",
  .doc = "messages into channels of Slack",
  .functions = functions
};
