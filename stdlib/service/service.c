/*
** service.c - the process behind a system: is it up, what does it say, again
**
** How one looks and acts differs by who keeps the process (a driver for each);
** what a remedy promises does not: it has acted when the state is the one
** that was asked for.
*/

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "stdlib/service/service.h"

#define MAXLINES 10000
#define MAXTAIL ((size_t)4 << 20)

const char *const rb_actionnames[] = {"start", "stop", "restart", NULL};

static const rb_Driver *const drivers[] = {
  &rb_pm2, &rb_process, &rb_docker, &rb_compose, &rb_systemd, NULL
};

/* -- the resource ---------------------------------------------------------------- */

const char *rb_service_setting (lua_State *L, const char *key) {
  if (rb_setting(L, rb_resource(L), key) != LUA_TSTRING) {
    lua_pop(L, 1);
    lua_pushnil(L);
    return NULL;
  }
  return lua_tostring(L, -1);
}

const rb_Driver *rb_service_driver (lua_State *L, const char **name) {
  const char *url = rb_service_setting(L, "url");
  const char *colon = url != NULL ? strchr(url, ':') : NULL;
  if (colon == NULL || colon[1] == '\0')
    rb_fail(L, "refused", RB_NOTDONE, "%s: a service is \"pm2:NAME\", \"process:NAME\", "
            "\"docker:NAME\", \"compose:PROJECT/SERVICE\" or \"systemd:UNIT\" in the "
            "configuration", rb_resource(L)->name);
  *name = colon + 1;
  for (const rb_Driver *const *d = drivers; *d != NULL; d++)
    if (strlen((*d)->scheme) == (size_t)(colon - url)
        && strncmp((*d)->scheme, url, (size_t)(colon - url)) == 0) return *d;
  rb_fail(L, "refused", RB_NOTDONE, "%s: this version drives services of pm2, docker, "
          "compose, systemd and plain processes, not \"%.*s\"", rb_resource(L)->name,
          (int)(colon - url), url);
  return NULL;
}

const char *rb_service_name (lua_State *L) {
  const char *url = rb_service_setting(L, "url");
  lua_pop(L, 1);  /* the configuration keeps it */
  return strchr(url, ':') + 1;
}

rb_Seen *rb_seen_push (lua_State *L, lua_KContext ctx, lua_KFunction k) {
  rb_Seen *s = lua_newuserdatauv(L, sizeof *s, 0);
  memset(s, 0, sizeof *s);
  s->ctx = ctx;
  s->k = k;
  s->restarts = -1;
  return s;
}

rb_Words rb_words_push (lua_State *L, int max) {
  rb_Words w = {.max = max};
  w.list = lua_newuserdatauv(L, ((size_t)max + 1) * sizeof *w.list, 0);
  lua_createtable(L, max, 0);
  w.anchor = lua_gettop(L);
  w.list[0] = NULL;
  return w;
}

void rb_words_add (lua_State *L, rb_Words *w) {
  if (w->n == w->max) luaL_error(L, "too many words in a command");
  w->list[w->n++] = (char *)lua_tostring(L, -1);
  w->list[w->n] = NULL;
  lua_rawseti(L, w->anchor, w->n);
}

void rb_words_addf (lua_State *L, rb_Words *w, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  lua_pushvfstring(L, fmt, ap);
  va_end(ap);
  rb_words_add(L, w);
}

/* -- a state as people and scripts see it ------------------------------------------ */

int rb_seen_online (const rb_Seen *s) { return strcmp(s->state, "online") == 0; }

/* A service that has failed runs no more than one that was stopped. */
int rb_seen_stopped (const rb_Seen *s) {
  return strcmp(s->state, "stopped") == 0
         || (strcmp(s->state, "errored") == 0 && s->npids == 0);
}

const char *rb_seen_words (lua_State *L, const rb_Seen *s) {
  lua_pushstring(L, s->state);
  if (s->health[0] != '\0') {
    lua_pushfstring(L, " (%s)", s->health);
    lua_concat(L, 2);
  }
  for (int i = 0; i < s->npids; i++) {
    lua_pushfstring(L, "%s%d", i == 0 ? ", pid " : " ", (int)s->pids[i]);
    lua_concat(L, 2);
  }
  return lua_tostring(L, -1);
}

void rb_seen_state (lua_State *L, const rb_Seen *s) {
  char since[32];
  time_t t = (time_t)s->since;
  struct tm tm;
  lua_createtable(L, 0, 6);
  lua_pushstring(L, s->state);
  lua_setfield(L, -2, "state");
  if (s->health[0] != '\0') {
    lua_pushstring(L, s->health);
    lua_setfield(L, -2, "health");
  }
  if (s->npids > 0) {
    lua_pushinteger(L, s->pids[0]);
    lua_setfield(L, -2, "pid");
  }
  if (s->npids > 1) {
    lua_pushinteger(L, s->npids);
    lua_setfield(L, -2, "instances");
  }
  if (s->restarts >= 0) {
    lua_pushinteger(L, s->restarts);
    lua_setfield(L, -2, "restarts");
  }
  if (s->since > 0 && gmtime_r(&t, &tm) != NULL) {
    strftime(since, sizeof since, "%Y-%m-%dT%H:%M:%SZ", &tm);
    lua_pushstring(L, since);
    lua_setfield(L, -2, "since");
  }
}

/* -- probes ---------------------------------------------------------------------------- */

static int statused (lua_State *L, int status, lua_KContext ctx) {
  const rb_Seen *s = lua_touserdata(L, -1);
  (void)status; (void)ctx;
  const char *name = rb_resource(L)->name;
  rb_describe(L, "%s is %s", name, rb_seen_words(L, s));
  rb_seen_state(L, s);
  return 1;
}

static int service_status (lua_State *L) {
  const char *name;
  lua_settop(L, 1);
  const rb_Driver *d = rb_service_driver(L, &name);
  return d->look(L, name, 0, statused);
}

void rb_service_addlines (lua_State *L, const char *text, size_t n) {
  const char *end = text + n;
  while (text < end) {
    const char *nl = memchr(text, '\n', (size_t)(end - text));
    const char *to = nl != NULL ? nl : end;
    lua_pushlstring(L, text, (size_t)(to - text));
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    text = to + 1;
  }
}

/* where the last n lines of s begin */
static const char *lastlines (const char *s, size_t len, lua_Integer n) {
  const char *p = s + len;
  if (len > 0 && p[-1] == '\n') p--;
  while (p > s)
    if (*--p == '\n' && --n == 0) return p + 1;
  return s;
}

/* [-0, +0, v]  the last n lines of a file, onto the list at the top */
static void addtail (lua_State *L, const char *path, lua_Integer n) {
  struct stat st;
  int list = lua_gettop(L);
  char *room = lua_newuserdatauv(L, MAXTAIL, 0);
  int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  ssize_t got = -1;
  if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
    off_t from = (size_t)st.st_size > MAXTAIL ? st.st_size - (off_t)MAXTAIL : 0;
    got = pread(fd, room, MAXTAIL, from);
  }
  int error = errno;
  if (fd >= 0) close(fd);
  if (got < 0)
    rb_fail(L, error == ENOENT ? "missing" : "io", RB_NOTDONE,
            "the log %s cannot be read: %s", path, strerror(error));
  const char *s = lastlines(room, (size_t)got, n);
  lua_pushvalue(L, list);
  rb_service_addlines(L, s, (size_t)(room + got - s));
  lua_settop(L, list);
}

static int logged (lua_State *L, int status, lua_KContext n) {
  const rb_Seen *s = lua_touserdata(L, -1);
  (void)status;
  if (s->logs[0][0] == '\0')
    return rb_fail(L, "missing", RB_NOTDONE, "%s has no log that is known here: set "
                   "`log` of the service in the configuration", rb_resource(L)->name);
  rb_describe(L, "the last %d lines of %s", (int)n, s->logs[0]);
  lua_newtable(L);
  for (int i = 0; i < 2 && s->logs[i][0] != '\0'; i++) addtail(L, s->logs[i], n);
  return 1;
}

/* the keeper's own: a list of lines on the top */
static int told (lua_State *L, int status, lua_KContext n) {
  (void)status;
  rb_describe(L, "the last %d lines of %s", (int)n, rb_service_name(L));
  return 1;
}

static int service_logs (lua_State *L) {
  const char *name;
  lua_Integer n = luaL_optinteger(L, 2, 100);
  luaL_argcheck(L, 0 < n && n <= MAXLINES, 2, "1 to 10000 lines");
  lua_settop(L, 2);
  const rb_Driver *d = rb_service_driver(L, &name);
  if (d->logs != NULL) return d->logs(L, name, n, (lua_KContext)n, told);
  return d->look(L, name, (lua_KContext)n, logged);
}

/* -- previews ---------------------------------------------------------------------------- */

static void setstring (lua_State *L, const char *name, const char *s) {
  lua_pushstring(L, s);
  lua_setfield(L, -2, name);
}

/* [-0, +0, m]  plan[name] = { value = s } */
static void setvalue (lua_State *L, const char *name, const char *s) {
  lua_createtable(L, 0, 1);
  setstring(L, "value", s);
  lua_setfield(L, -2, name);
}

static int nothing (lua_State *L, const char *reason) {
  setstring(L, "verdict", "nothing to do");
  setstring(L, "reason", reason);
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, "exact");
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, "result");  /* the state, below the plan */
  return 1;
}

/* a second stop, or start, of one dry run: there is nothing to do unless it fails by then */
static int unsure (lua_State *L) {
  setstring(L, "verdict", "cannot predict");
  setstring(L, "reason", "whether it stays as the deed before this one leaves it");
  return 1;
}

/* [-0, +1, v]  which service it is, as doctor, tape and plans know it */
static const char *pushidentity (lua_State *L) {
  static const char *const places[] = {"home", "pidfile", "host", "file", NULL};
  const char *name, *home = NULL;
  int top = lua_gettop(L);
  rb_service_driver(L, &name);
  for (const char *const *p = places; home == NULL && *p != NULL; p++)
    home = rb_service_setting(L, *p);
  lua_pushfstring(L, "%s in %s", name, home != NULL ? home : "its default place");
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
  return lua_tostring(L, -1);
}

/* [-0, +1, v]  the key under which a dry run knows its state */
static const char *pushkey (lua_State *L) {
  const char *key = lua_pushfstring(L, "service:%s", pushidentity(L));
  lua_remove(L, -2);
  return key;
}

/* [-0, +0, v]  What an earlier deed of the dry run leaves: 1 where that was a stop,
** and what was seen is then so; -1 where it was a start, whose process nobody knows. */
static int foreseen (lua_State *L, rb_Seen *s) {
  int top = lua_gettop(L), is = 0;
  if (rb_planned(L, pushkey(L)))
    is = strcmp(lua_tostring(L, -1), "stopped") == 0 ? 1 : -1;
  lua_settop(L, top);
  if (is != 1) return is;
  s->npids = 0;
  s->since = 0;
  s->health[0] = '\0';
  snprintf(s->state, sizeof s->state, "stopped");
  return 1;
}

/* [-0, +0, v]  plan.writes: later deeds of a dry run find it so; all that the
** service itself does is not bounded by that */
static void writestate (lua_State *L, const char *state) {
  lua_createtable(L, 0, 1);
  pushkey(L);
  lua_pushstring(L, state);
  lua_rawset(L, -3);
  lua_setfield(L, -2, "writes");
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, "more");
}

/* resource, url; on the top what was seen */
static int planned (lua_State *L, int status, lua_KContext action) {
  static const char *const after[] = {
    "online", "stopped", "online, with another pid"
  };
  rb_Seen *s = lua_touserdata(L, -1);
  const char *name;
  (void)status;
  const rb_Driver *d = rb_service_driver(L, &name);
  int earlier = foreseen(L, s);
  const char *words = rb_seen_words(L, s);
  const char *how = d->pushplan(L, name, (rb_Action)action);
  rb_seen_state(L, s);
  lua_createtable(L, 0, 8);
  lua_pushfstring(L, "%s %s", rb_actionnames[action], name);
  lua_setfield(L, -2, "summary");
  setstring(L, "image", words);
  setvalue(L, "before", words);
  if ((earlier == 1 && action == RB_STOP) || (earlier == -1 && action == RB_START))
    return unsure(L);
  if (action == RB_START && rb_seen_online(s)) return nothing(L, "it is online already");
  if (action == RB_STOP && rb_seen_stopped(s))
    return nothing(L, strcmp(s->state, "stopped") == 0 ? "it is stopped already"
                      : "it has failed and does not run");
  if (s->wont[action] != NULL) return rb_refuse(L, "%s: %s", name, s->wont[action]);
  setvalue(L, "after", after[action]);
  setstring(L, "reason", how);
  writestate(L, action == RB_STOP ? "stopped" : "online");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "guarded");
  if (action == RB_RESTART) {
    setstring(L, "undo", "a restart has no inverse");
    return 1;
  }
  lua_createtable(L, 1, 0);
  lua_pushstring(L, rb_actionnames[action == RB_START ? RB_STOP : RB_START]);
  lua_rawseti(L, -2, 1);
  lua_setfield(L, -2, "inverse");
  return 1;
}

static int preview (lua_State *L, rb_Action action) {
  const char *name;
  lua_settop(L, 1);
  const rb_Driver *d = rb_service_driver(L, &name);
  return d->look(L, name, action, planned);
}

static int service_prestart (lua_State *L) { return preview(L, RB_START); }
static int service_prestop (lua_State *L) { return preview(L, RB_STOP); }
static int service_prerestart (lua_State *L) { return preview(L, RB_RESTART); }

/* -- doctor, identity --------------------------------------------------------------------- */

static int examined (lua_State *L, int status, lua_KContext ctx) {
  const rb_Seen *s = lua_touserdata(L, -1);
  (void)status; (void)ctx;
  lua_createtable(L, 1, 0);
  lua_createtable(L, 0, 4);
  setstring(L, "name", "state");
  setstring(L, "status", rb_seen_online(s) ? "ok" : "warn");
  rb_seen_words(L, s);
  lua_setfield(L, -2, "value");
  setstring(L, "mend", rb_seen_online(s) ? "" : "is it meant to be down?");
  lua_rawseti(L, -2, 1);
  return 1;
}

static int service_doctor (lua_State *L) {
  const char *name;
  const rb_Driver *d = rb_service_driver(L, &name);
  return d->look(L, name, 0, examined);
}

static int service_identity (lua_State *L) {
  pushidentity(L);
  return 1;
}

/* -- rows --------------------------------------------------------------------------------- */

static const rb_Reg methods[] = {
  {"status", RB_PROBE, service_status, NULL,
   "status() -> {state, pid, restarts, since, instances, health} : how it is: "
   "`state` is \"online\", \"stopped\", \"errored\" or what its driver says", NULL, NULL},
  {"logs", RB_PROBE, service_logs, NULL,
   "logs([n=100]) -> {line, ...} : the last lines of its output, then those of its "
   "error log where that is another file", NULL, NULL},
  {"start", RB_REMEDY, rb_service_start, service_prestart,
   "start() -> state : starts it and waits until it is online", NULL, NULL},
  {"stop", RB_REMEDY, rb_service_stop, service_prestop,
   "stop() -> state : stops it and waits until it has ended", NULL, NULL},
  {"restart", RB_REMEDY, rb_service_restart, service_prerestart,
   "restart() -> state : a new process, online", NULL, NULL},
  RB_END
};

const rb_Module rb_module = {
  .interface = RB_INTERFACE, .name = "service",
  .doc = "what runs under pm2, docker, compose, systemd, or by itself",
  .methods = methods,
  .doctor = service_doctor, .identity = service_identity, .settle = rb_service_settle
};
