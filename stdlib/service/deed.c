/*
** deed.c - start, stop, restart: acts, and waits for the state that was asked for
**
** A keeper's word is not believed in either direction. When it says yes, the
** state is looked at until it is so; when it says no, whether everything is as
** it was.
*/

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "stdlib/service/service.h"

#define WITHIN 30.0     /* seconds in which a state has to come about */
#define EVERY 0.25
#define LATE 60         /* seconds after which nobody is at a deed any more */

/* 1: resource, 2: url, 3: a Deed, 4: before, in words, RB_FACTS: what is pledged,
** 6: what its keeper said, if it failed */
typedef struct Deed { rb_Action action; double until; } Deed;

enum { DEED = 3, BEFORE, SAID = 6 };

/* none of the pids that were seen before is there any more */
static int isanother (const char *before, const rb_Seen *s) {
  const char *p = strstr(before, ", pid ");
  for (p = p != NULL ? p + 6 : ""; *p != '\0'; ) {
    char *end;
    long pid = strtol(p, &end, 10);
    if (end == p) return 1;
    for (int i = 0; i < s->npids; i++)
      if (s->pids[i] == pid) return 0;
    p = end;
  }
  return 1;
}

static int reached (rb_Action action, const char *before, const rb_Seen *s) {
  switch (action) {
    case RB_START: return rb_seen_online(s);
    case RB_STOP: return rb_seen_stopped(s);
    case RB_RESTART: return rb_seen_online(s) && isanother(before, s);
  }
  return 0;
}

/* looks, as a function of the resource: returns an rb_Seen */
static int handover (lua_State *L, int status, lua_KContext ctx) {
  (void)L; (void)status; (void)ctx;
  return 1;
}

static int look (lua_State *L) {
  const char *name;
  const rb_Driver *d = rb_service_driver(L, &name);
  return d->look(L, name, 0, handover);
}

/* [-0, +1, vy]  k finds an rb_Seen on the top, or why nothing can be seen */
static int lookagain (lua_State *L, lua_KFunction k) {
  lua_settop(L, SAID);
  lua_pushcfunction(L, look);
  lua_pushvalue(L, 1);
  return k(L, lua_pcallk(L, 1, 1, 0, 0, k), 0);
}

static int isseen (int status) { return status == LUA_OK || status == LUA_YIELD; }

/* What cannot be looked at after the deed does not take the deed back. */
static int blind (lua_State *L) {
  if (!lua_istable(L, -1)) return lua_error(L);
  lua_getfield(L, -1, "message");
  return rb_fail(L, "io", RB_UNKNOWN, "%s: \"%s\" was asked for; then: %s",
                 rb_resource(L)->name,
                 rb_actionnames[((Deed *)lua_touserdata(L, DEED))->action],
                 lua_tostring(L, -1));
}

/* Its keeper said no: is everything as it was? */
static int failed (lua_State *L, int status, lua_KContext ctx) {
  const Deed *deed = lua_touserdata(L, DEED);
  const char *said = lua_tostring(L, SAID), *action = rb_actionnames[deed->action];
  const char *name = rb_resource(L)->name;
  (void)ctx;
  if (!isseen(status))
    return rb_fail(L, "command", RB_UNKNOWN, "%s: %s: %s", name, action, said);
  const char *now = rb_seen_words(L, lua_touserdata(L, -1));
  if (strcmp(now, lua_tostring(L, BEFORE)) == 0)
    return rb_fail(L, "command", RB_NOTDONE, "%s: %s: %s", name, action, said);
  return rb_fail(L, "command", RB_UNKNOWN, "%s: %s: %s; it is %s now", name, action, said,
                 now);
}

static int again (lua_State *L, int status, lua_KContext ctx);

static int checked (lua_State *L, int status, lua_KContext ctx) {
  const Deed *deed = lua_touserdata(L, DEED);
  (void)ctx;
  if (!isseen(status)) return blind(L);
  const rb_Seen *s = lua_touserdata(L, -1);
  if (reached(deed->action, lua_tostring(L, BEFORE), s)) {
    rb_seen_state(L, s);
    return 1;
  }
  if (rb_timeleft(L) <= 0 || rb_now() > deed->until)
    return rb_fail(L, "timeout", RB_UNKNOWN, "%s: after \"%s\" it is %s, and stays so",
                   rb_resource(L)->name, rb_actionnames[deed->action], rb_seen_words(L, s));
  return rb_sleep(L, EVERY, 0, again);
}

static int again (lua_State *L, int status, lua_KContext ctx) {
  (void)status; (void)ctx;
  return lookagain(L, checked);
}

static int acted (lua_State *L, int status, lua_KContext ctx) {
  Deed *deed = lua_touserdata(L, DEED);
  (void)status; (void)ctx;
  deed->until = rb_now() + WITHIN;
  return lookagain(L, lua_isnil(L, SAID) ? checked : failed);
}

/* [-0, +1, m]  what settle needs to know */
static void pushfacts (lua_State *L, rb_Action action) {
  lua_createtable(L, 0, 6);
  lua_pushstring(L, rb_actionnames[action]);
  lua_setfield(L, -2, "action");
  lua_pushvalue(L, BEFORE);
  lua_setfield(L, -2, "before");
  lua_pushinteger(L, (lua_Integer)time(NULL));
  lua_setfield(L, -2, "at");
}

static int deed (lua_State *L, rb_Action action) {
  const char *name;
  lua_settop(L, 1);
  const rb_Driver *d = rb_service_driver(L, &name);
  Deed *it = lua_newuserdatauv(L, sizeof *it, 0);
  *it = (Deed){.action = action};
  rb_plan(L);
  lua_getfield(L, -1, "image");
  lua_replace(L, -2);
  pushfacts(L, action);
  return d->act(L, name, action, 0, acted);
}

int rb_service_start (lua_State *L) { return deed(L, RB_START); }
int rb_service_stop (lua_State *L) { return deed(L, RB_STOP); }
int rb_service_restart (lua_State *L) { return deed(L, RB_RESTART); }

/* -- what became of a deed in doubt -------------------------------------------------------- */

/* Who was asked may still be at it for a while, even when the asker has gone. */
static int isover (lua_State *L, int facts) {
  lua_getfield(L, facts, "pid");
  lua_getfield(L, facts, "start");
  lua_getfield(L, facts, "at");
  long long start = lua_tointeger(L, -2);
  int runs = start > 0 && rb_service_startticks((pid_t)lua_tointeger(L, -3)) == start;
  double since = difftime(time(NULL), (time_t)lua_tointeger(L, -1));
  lua_pop(L, 3);
  return !runs && since > LATE;
}

/* 1: resource, 2: facts; on the top what is seen */
static int settled (lua_State *L, int status, lua_KContext action) {
  const rb_Seen *s = lua_touserdata(L, -1);
  (void)status;
  lua_getfield(L, 2, "before");
  const char *before = lua_tostring(L, -1), *now = rb_seen_words(L, s);
  if (before != NULL && reached((rb_Action)action, before, s)) lua_pushliteral(L, "done");
  else if (before != NULL && strcmp(before, now) == 0 && isover(L, 2))
    lua_pushliteral(L, "not done");
  else lua_pushnil(L);
  return 1;
}

int rb_service_settle (lua_State *L) {
  const char *name;
  lua_settop(L, 2);
  lua_getfield(L, 2, "action");
  int action = luaL_checkoption(L, 3, NULL, rb_actionnames);
  const rb_Driver *d = rb_service_driver(L, &name);
  return d->look(L, name, action, settled);
}
