/*
** pagerduty.c - incidents through PagerDuty's Events API v2
**
** PagerDuty knows a repetition by its dedup key, so an event without an answer is
** simply sent again: by `retry`, and by a resume.
*/

#include <string.h>
#include <unistd.h>

#include "stdlib/common/notice.h"

#define ENDPOINT "https://events.pagerduty.com/v2/enqueue"

enum { EVENT = 1, OPTIONS, SETTINGS };

/* [-0, +1, v]  the routing key, or where to send it */
static const char *setting (lua_State *L, const char *key) {
  if (!lua_istable(L, SETTINGS)) {
    if (strcmp(key, "key") != 0) lua_pushnil(L);
    else lua_pushvalue(L, SETTINGS);
  } else lua_getfield(L, SETTINGS, key);
  if (lua_isnil(L, -1)) return NULL;
  const char *s = strcmp(key, "key") == 0 ? rb_notice_secret(L, -1, "pagerduty key")
                  : rb_text(L, -1, NULL);
  lua_remove(L, -2);
  return s;
}

/* [-0, +1, v]  a text of the event, of at most so many bytes, or nil */
static const char *field (lua_State *L, const char *name, size_t most, int needed) {
  size_t n;
  int type = lua_getfield(L, EVENT, name);
  if (type == LUA_TNIL && !needed) return NULL;
  const char *s = type == LUA_TSTRING ? lua_tolstring(L, -1, &n) : NULL;
  if (s == NULL || n == 0 || n > most)
    luaL_error(L, "pagerduty: %s is a text of 1 to %d bytes", name, (int)most);
  return s;
}

static void checkseverity (lua_State *L, const char *s) {
  static const char *const words[] = {"critical", "error", "warning", "info", NULL};
  for (const char *const *w = words; *w != NULL; w++)
    if (strcmp(*w, s) == 0) return;
  luaL_error(L, "pagerduty: severity is critical, error, warning or info, not \"%s\"", s);
}

/* [-0, +1, v]  what is triggered: {summary, severity, source, custom_details} */
static void pushpayload (lua_State *L) {
  static const char *const names[] = {"summary", "severity", "source", NULL};
  char host[256] = "runbook";
  lua_newtable(L);
  for (const char *const *f = names; *f != NULL; f++) {
    const char *s = field(L, *f, 1024, strcmp(*f, "summary") == 0);
    if (s == NULL && strcmp(*f, "severity") == 0) s = "critical";
    if (s == NULL) {
      gethostname(host, sizeof host - 1);
      s = host;
    }
    if (strcmp(*f, "severity") == 0) checkseverity(L, s);
    lua_pushstring(L, s);
    lua_setfield(L, -3, *f);
    lua_pop(L, 1);
  }
  lua_getfield(L, EVENT, "details");
  lua_setfield(L, -2, "custom_details");
}

/* [-0, +1, v]  the key of the incident: the script's, or the run's for what is triggered */
static const char *pushdedup (lua_State *L, int trigger) {
  if (field(L, "dedup", 255, !trigger) != NULL) {
    const char *given = lua_tostring(L, -1);
    rb_idempotency(L);                                /* safe to repeat all the same */
    lua_pop(L, 1);
    return given;
  }
  lua_pop(L, 1);
  return rb_idempotency(L);
}

static void begin (lua_State *L, int trigger) {
  static const char *const all[] = {"summary", "severity", "source", "dedup", "details", NULL};
  static const char *const few[] = {"dedup", NULL};
  rb_notice_known(L, EVENT, trigger ? all : few);
  lua_settop(L, OPTIONS);
  rb_notice_settings(L);
}

static int preview (lua_State *L, const char *action, int trigger) {
  size_t n;
  begin(L, trigger);
  rb_notice_timeout(L, OPTIONS);
  pushdedup(L, trigger);
  int dedup = lua_gettop(L);
  lua_getfield(L, EVENT, "dedup");
  int given = !lua_isnil(L, -1);
  lua_pop(L, 1);
  if (trigger) {
    pushpayload(L);
    rb_notice_json(L, lua_gettop(L), 0, &n);
    lua_remove(L, -2);
    lua_getfield(L, EVENT, "summary");
    lua_pushfstring(L, "%s: %s\n%s", action, lua_tostring(L, -1), lua_tostring(L, -2));
  } else lua_pushfstring(L, "%s %s", action, lua_tostring(L, dedup));
  rb_notice_plan(L, "PagerDuty");
  lua_pushvalue(L, dedup);
  lua_setfield(L, -2, "result");
  lua_pushboolean(L, given || !rb_dryrun(L));         /* a real run has another key */
  lua_setfield(L, -2, "exact");
  return 1;
}

/* the key of the incident, from the plan */
static int done (lua_State *L, int status, lua_KContext ctx) {
  (void)status; (void)ctx;
  rb_plan(L);
  lua_getfield(L, -1, "result");
  return 1;
}

static int event (lua_State *L, const char *action, int trigger) {
  rb_NoticePost p = {.to = "PagerDuty", .done = done};
  begin(L, trigger);
  p.timeout = rb_notice_timeout(L, OPTIONS);
  p.url = setting(L, "url");
  if (p.url == NULL) p.url = ENDPOINT;
  p.key = pushdedup(L, trigger);
  lua_newtable(L);
  setting(L, "key");
  lua_setfield(L, -2, "routing_key");
  lua_pushstring(L, action);
  lua_setfield(L, -2, "event_action");
  lua_pushstring(L, p.key);
  lua_setfield(L, -2, "dedup_key");
  if (trigger) {
    pushpayload(L);
    lua_setfield(L, -2, "payload");
  }
  p.body = rb_notice_json(L, lua_gettop(L), 1, &p.nbody);
  return rb_notice_send(L, rb_notice_open(L, &p), &p);
}

static int trigger_preview (lua_State *L) { return preview(L, "trigger", 1); }
static int acknowledge_preview (lua_State *L) { return preview(L, "acknowledge", 0); }
static int resolve_preview (lua_State *L) { return preview(L, "resolve", 0); }
static int trigger_ (lua_State *L) { return event(L, "trigger", 1); }
static int acknowledge (lua_State *L) { return event(L, "acknowledge", 0); }
static int resolve (lua_State *L) { return event(L, "resolve", 0); }

static const rb_Reg functions[] = {
  {"trigger", RB_NOTICE, trigger_, trigger_preview,
   "trigger{ summary =, severity = \"critical\", dedup =, source =, details = {} } -> string : "
   "opens an incident, or adds to the one with the same `dedup`, and returns that key; without "
   "one it is made from the run and the step. `severity` is critical, error, warning or info; "
   "`source` is this machine where it is not said. What got no answer is sent again by `retry` "
   "and by a resume, since PagerDuty knows it by its key. Otherwise fails as slack.post does.",
   NULL, NULL},
  {"acknowledge", RB_NOTICE, acknowledge, acknowledge_preview,
   "acknowledge{ dedup = } -> string : says that somebody looks after that incident; returns "
   "its key.", NULL, NULL},
  {"resolve", RB_NOTICE, resolve, resolve_preview,
   "resolve{ dedup = } -> string : closes that incident; returns its key.", NULL, NULL},
  RB_END
};

RB_API const rb_Module rb_module = {
  .interface = RB_INTERFACE,
  .name = "pagerduty",
  .doc = "incidents, through PagerDuty's Events API v2",
  .functions = functions
};
