/*
** wait.c - run:wait_until, run:hold, run:sleep
**
** They count by the time of the run's last event, so that a replay counts the same.
** A dry run shows a wait and does not wait: it looks once. What has not come
** true then may still come true in a real run, so what follows is deferred.
*/

#include <stdio.h>
#include <string.h>

#include "vm/base.h"
#include "vm/run/run.h"

enum { RUN = 1, WHAT, OPTS, FN, STATE };

typedef struct Wait {
  double started, every, within;
  int hold;
  char last[300];      /* why it was not so yet */
} Wait;

static int again (lua_State *L, int status, lua_KContext ctx);

static double durationof (lua_State *L, int idx, const char *name,
                          const char *missing) {
  double seconds = 0;
  lua_getfield(L, idx, name);
  if (lua_isnil(L, -1)) lua_pushstring(L, missing);
  if (lua_type(L, -1) != LUA_TSTRING || !rb_duration(lua_tostring(L, -1), &seconds)
      || seconds <= 0)
    luaL_error(L, "%s is a duration such as \"5s\" or \"2m\", not %s", name,
               rb_tolstring(L, -1, NULL));
  return seconds;
}

static void checkoptions (lua_State *L) {
  lua_pushnil(L);
  while (lua_next(L, OPTS) != 0) {
    lua_pop(L, 1);
    const char *name = rb_tolstring(L, -1, NULL);
    if (strcmp(name, "every") != 0 && strcmp(name, "within") != 0)
      luaL_error(L, "a wait has no option '%s': it takes every and within", name);
    lua_pop(L, 1);
  }
}

/* Seconds until the next look, the last of which is at the very end; 0: that was it. */
static double pace (lua_State *L, const Wait *w) {
  double left = w->within - (rb_time(L) - w->started);
  if (left < 0.001) return 0;
  return left < w->every ? left : w->every;
}

/* [-0, +?, vy]  until then `status` says what for */
static int pause_ (lua_State *L, const Wait *w, double seconds, lua_KFunction k) {
  rb_Task *t = rb_taskof(L);
  t->pauseverb = w == NULL ? "run:sleep" : w->hold ? "run:hold" : "run:wait_until";
  t->pausewhat = lua_tostring(L, WHAT);
  return rb_pause(L, seconds, 0, k);
}

static int missed (lua_State *L, Wait *w) {
  char within[32];
  const char *what = lua_tostring(L, WHAT);
  rb_duration_text(w->within, within, sizeof within);
  return rb_fail(L, "timeout", RB_NOTDONE, "%s: not within %s%s%s", what, within,
                 w->last[0] != '\0' ? "; last: " : "", w->last);
}

/* it is not so: is there reason to look again? */
static int notyet (lua_State *L, Wait *w) {
  rb_Task *t = rb_taskof(L);
  const char *what = lua_tostring(L, WHAT);
  if (t->vm->dryrun) t->vm->waited += w->within;
  if (t->vm->dryrun && (!w->hold || t->assumes.count > 0))
    return rb_stop(L, RB_DEFER, "waits for: %s", what);
  if (w->hold)
    return rb_fail(L, "hold", RB_NOTDONE, "%s did not hold: false after %.0f s%s%s",
                   what, rb_time(L) - w->started, w->last[0] != '\0' ? "; " : "",
                   w->last);
  double next = pace(L, w);
  return next > 0 ? pause_(L, w, next, again) : missed(L, w);
}

/* A failing probe is an answer: it is not so yet. A mistake stays one. */
static int looked (lua_State *L, int status, lua_KContext ctx) {
  Wait *w = lua_touserdata(L, STATE);
  rb_Task *t = rb_taskof(L);
  (void)ctx;
  if (status == LUA_ERRMEM)
    return rb_stop(L, RB_MEMORY, "the script used more memory than it may");
  if (status != LUA_OK && status != LUA_YIELD) {
    if (!lua_istable(L, -1)) return lua_error(L);
    snprintf(w->last, sizeof w->last, "%s", rb_tolstring(L, -1, NULL));
    return notyet(L, w);
  }
  w->last[0] = '\0';
  if (!lua_toboolean(L, -1)) return notyet(L, w);
  if (w->hold && t->vm->dryrun) t->vm->waited += w->within;
  if (!w->hold || t->vm->dryrun) return 1;
  double next = pace(L, w);
  if (next <= 0) return 1;
  lua_pop(L, 1);
  return pause_(L, w, next, again);
}

static int again (lua_State *L, int status, lua_KContext ctx) {
  rb_Task *t = rb_taskof(L);
  Wait *w = lua_touserdata(L, STATE);
  (void)status;
  if (rb_stopped(t)) return rb_stop_now(L);
  if (rb_timeleft(L) <= 0)
    return rb_stop(L, RB_TIMEOUT, "ran out of time waiting for: %s",
                   lua_tostring(L, WHAT));
  if (t->vm->show != NULL && t->field->step != NULL)
    rb_show_progress(t->vm->show, t->field->step, lua_tostring(L, WHAT),
                     (long long)(rb_time(L) - w->started), (long long)w->within,
                     rb_time(L) - w->started);
  lua_settop(L, STATE);
  lua_pushvalue(L, FN);
  lua_pushvalue(L, RUN);
  return looked(L, lua_pcallk(L, 1, 1, 0, ctx, looked), ctx);
}

static void shownote (lua_State *L, const char *text) {
  rb_note(rb_vm(L), rb_taskof(L)->path, text, strlen(text));
}

/* what a real run would do here */
static void showwait (lua_State *L, const Wait *w) {
  char text[400], every[32], within[32];
  rb_duration_text(w->every, every, sizeof every);
  rb_duration_text(w->within, within, sizeof within);
  snprintf(text, sizeof text, "would %s: %s (every %s, %s %s; a dry run looks "
           "once)", w->hold ? "watch" : "wait", lua_tostring(L, WHAT), every,
           w->hold ? "for" : "within", within);
  shownote(L, text);
}

/* A title is made outside of any step: there is nothing that could wait. */
static void checkwait (lua_State *L) {
  luaL_checkudata(L, RUN, RB_RUNTYPE);
  if (rb_taskof(L)->field == NULL) luaL_error(L, "nothing can wait here");
}

/* now, by the tape: the time of an event long ago would shorten the wait */
static int begin (lua_State *L, int status, lua_KContext ctx) {
  ((Wait *)lua_touserdata(L, STATE))->started = rb_time(L);
  return again(L, status, ctx);
}

static int waitfor (lua_State *L, int hold) {
  checkwait(L);
  luaL_checkstring(L, WHAT);
  luaL_checktype(L, OPTS, LUA_TTABLE);
  luaL_checktype(L, FN, LUA_TFUNCTION);
  lua_settop(L, FN);
  checkoptions(L);
  Wait w = {.started = rb_time(L), .hold = hold};
  w.every = durationof(L, OPTS, "every", "5s");
  w.within = durationof(L, OPTS, "within", "5m");
  lua_settop(L, FN);
  *(Wait *)lua_newuserdatauv(L, sizeof w, 0) = w;
  if (!rb_vm(L)->dryrun) return pause_(L, &w, 0, begin);
  showwait(L, &w);
  return again(L, LUA_OK, 0);
}

static int run_wait_until (lua_State *L) { return waitfor(L, 0); }
static int run_hold (lua_State *L) { return waitfor(L, 1); }

static int slept (lua_State *L, int status, lua_KContext ctx) {
  rb_Task *t = rb_taskof(L);
  (void)status; (void)ctx;
  if (rb_stopped(t)) return rb_stop_now(L);
  if (rb_timeleft(L) <= 0) return rb_stop(L, RB_TIMEOUT, "ran out of time sleeping");
  return 0;
}

static int run_sleep (lua_State *L) {
  double seconds;
  checkwait(L);
  luaL_argcheck(L, lua_type(L, 2) == LUA_TSTRING
                && rb_duration(lua_tostring(L, 2), &seconds), 2,
                "a duration such as \"10s\" expected");
  if (rb_vm(L)->dryrun) {
    rb_vm(L)->waited += seconds;
    lua_pushfstring(L, "would wait %s", lua_tostring(L, 2));
    shownote(L, lua_tostring(L, -1));
    return 0;
  }
  return pause_(L, NULL, seconds, slept);
}

const rb_Reg rb_wait_methods[] = {
  {"wait_until", RB_PURE, run_wait_until, NULL,
   "wait_until(what, { every = \"5s\", within = \"5m\" }, fn) -> value : looks until fn "
   "gives something true, and returns that; fails after `within`. A look that fails is "
   "\"not yet\"", NULL, NULL},
  {"hold", RB_PURE, run_hold, NULL,
   "hold(what, { every = \"5s\", within = \"5m\" }, fn) -> value : it must stay true for "
   "that long; the last look is at the end", NULL, NULL},
  {"sleep", RB_PURE, run_sleep, NULL,
   "sleep(duration) : waits. A condition is better waited for with run:wait_until", NULL, NULL},
  RB_END
};
