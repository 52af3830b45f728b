/*
** systemd.c - services kept by systemd: its units
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "stdlib/service/service.h"

/* -- the client --------------------------------------------------------------------- */

/* A pattern, which systemctl would take for all units that match, is no name. */
static void checkname (lua_State *L, const char *name) {
  static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789:_.\\@-";
  if (*name == '-' || name[strspn(name, letters)] != '\0')
    rb_fail(L, "refused", RB_NOTDONE, "%s: \"%s\" is no name of one unit",
            rb_resource(L)->name, name);
}

/* [-0, +2, v]  with room for 'more' words */
static rb_Words pushsystemctl (lua_State *L, int more) {
  const char *program = rb_client_program(L, "systemctl");
  rb_Words argv = rb_words_push(L, 2 + more);
  rb_words_addf(L, &argv, "%s", program);
  rb_words_addf(L, &argv, "--no-pager");
  return argv;
}

static int complain (lua_State *L, int result, const char *what) {
  lua_getfield(L, result, "stderr");
  const char *said = lua_tostring(L, -1);
  if (strstr(said, "not been booted with systemd") != NULL
      || strstr(said, "Failed to connect to bus") != NULL)
    return rb_fail(L, "missing", RB_NOTDONE, "%s: no systemd answers here: %.*s",
                   rb_resource(L)->name, (int)strcspn(said, "\n"), said);
  return rb_client_badexit(L, result, what);
}

/* -- what `systemctl show` says ---------------------------------------------------------- */

/* the value behind "key=" at the beginning of a line; 0: it is not there */
static int property (const char *out, const char *key, char *value, size_t size) {
  size_t n = strlen(key);
  for (const char *p = out; p != NULL && *p != '\0'; ) {
    if (strncmp(p, key, n) == 0 && p[n] == '=') {
      snprintf(value, size, "%.*s", (int)strcspn(p + n + 1, "\n"), p + n + 1);
      return 1;
    }
    p = strchr(p, '\n');
    if (p != NULL) p++;
  }
  value[0] = '\0';
  return 0;
}

static const char *statename (const char *active) {
  static const char *const names[][2] = {
    {"active", "online"}, {"reloading", "online"}, {"inactive", "stopped"},
    {"failed", "errored"}, {"activating", "starting"}, {"deactivating", "stopping"},
  };
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcmp(names[i][0], active) == 0) return names[i][1];
  return active;
}

/* microseconds since boot, as seconds since 1970 */
static double wallclock (const char *micros) {
  struct timespec boot, now;
  double at = strtod(micros, NULL) / 1e6;
  if (at <= 0) return 0;
  clock_gettime(CLOCK_MONOTONIC, &boot);
  clock_gettime(CLOCK_REALTIME, &now);
  return (double)now.tv_sec - (double)boot.tv_sec + at;
}

static void seewont (rb_Seen *s, const char *out) {
  char value[64];
  if (property(out, "LoadState", value, sizeof value) && strcmp(value, "masked") == 0)
    s->wont[RB_START] = s->wont[RB_RESTART] = "it is masked: `systemctl unmask` it first";
  if (property(out, "RefuseManualStart", value, sizeof value) && strcmp(value, "yes") == 0)
    s->wont[RB_START] = s->wont[RB_RESTART] = "its unit says RefuseManualStart";
  if (property(out, "RefuseManualStop", value, sizeof value) && strcmp(value, "yes") == 0)
    s->wont[RB_STOP] = s->wont[RB_RESTART] = "its unit says RefuseManualStop";
}

static void see (rb_Seen *s, const char *out, const char *active) {
  char value[64];
  snprintf(s->state, sizeof s->state, "%.20s", statename(active));
  property(out, "MainPID", value, sizeof value);
  if (atol(value) > 0) s->pids[s->npids++] = (pid_t)atol(value);
  if (property(out, "NRestarts", value, sizeof value)) s->restarts = atoll(value);
  property(out, "ActiveEnterTimestampMonotonic", value, sizeof value);
  if (strcmp(s->state, "online") == 0) s->since = wallclock(value);
  seewont(s, out);
}

static int shown (lua_State *L, int status, lua_KContext idx) {
  rb_Seen *s = lua_touserdata(L, (int)idx);
  char load[64], active[64];
  const char *name = rb_resource(L)->name;
  int result = lua_gettop(L);
  (void)status;
  lua_getfield(L, result, "code");
  if (lua_tointeger(L, -1) != 0) return complain(L, result, "systemctl show");
  lua_getfield(L, result, "stdout");
  const char *out = lua_tostring(L, -1);
  if (!property(out, "LoadState", load, sizeof load)
      || !property(out, "ActiveState", active, sizeof active) || active[0] == '\0')
    return rb_fail(L, "data", RB_NOTDONE, "%s: what `systemctl show` prints is not what "
                   "this version knows: %.60s", name, out);
  if (strcmp(load, "not-found") == 0)
    return rb_fail(L, "missing", RB_NOTDONE, "%s: systemd has no unit \"%s\"", name,
                   rb_service_name(L));
  if (strcmp(load, "loaded") != 0 && strcmp(load, "masked") != 0)
    return rb_fail(L, "data", RB_NOTDONE, "%s: the unit \"%s\" cannot be loaded (%s): see "
                   "`systemctl status`", name, rb_service_name(L), load);
  see(s, out, active);
  lua_settop(L, (int)idx);
  return s->k(L, LUA_YIELD, s->ctx);
}

static int systemd_look (lua_State *L, const char *name, lua_KContext ctx,
                         lua_KFunction k) {
  luaL_checkstack(L, 30, NULL);
  checkname(L, name);
  rb_seen_push(L, ctx, k);
  int idx = lua_gettop(L);
  rb_Words argv = pushsystemctl(L, 4), env = rb_client_env(L, 0);
  rb_words_addf(L, &argv, "show");
  rb_words_addf(L, &argv, "--property=LoadState,ActiveState,MainPID,NRestarts,"
                "ActiveEnterTimestampMonotonic,RefuseManualStart,RefuseManualStop");
  rb_words_addf(L, &argv, "--");
  rb_words_addf(L, &argv, "%s", name);
  return rb_client_ask(L, &argv, &env, idx, shown);
}

/* -- start, stop, restart ------------------------------------------------------------------ */

static const char *systemd_pushplan (lua_State *L, const char *name, rb_Action action) {
  lua_pushfstring(L, "%s %s %s", rb_client_program(L, "systemctl"),
                  rb_actionnames[action], name);
  return lua_tostring(L, -1);
}

static int systemd_act (lua_State *L, const char *name, rb_Action action,
                        lua_KContext ctx, lua_KFunction k) {
  luaL_checkstack(L, 30, NULL);
  checkname(L, name);
  rb_seen_push(L, ctx, k);
  int idx = lua_gettop(L);
  rb_Words argv = pushsystemctl(L, 4), env = rb_client_env(L, 0);
  rb_words_addf(L, &argv, "--no-ask-password");
  rb_words_addf(L, &argv, "%s", rb_actionnames[action]);
  rb_words_addf(L, &argv, "--");
  rb_words_addf(L, &argv, "%s", name);
  return rb_client_act(L, &argv, &env, NULL, idx);
}

/* -- logs ------------------------------------------------------------------------------------- */

/* idx: an rb_Seen that keeps who goes on */
static int printed (lua_State *L, int status, lua_KContext idx) {
  const rb_Seen *s = lua_touserdata(L, (int)idx);
  int result = lua_gettop(L);
  size_t n;
  (void)status;
  lua_getfield(L, result, "code");
  if (lua_tointeger(L, -1) != 0) return complain(L, result, "journalctl");
  lua_getfield(L, result, "stdout");
  const char *out = lua_tolstring(L, -1, &n);
  lua_newtable(L);
  rb_service_addlines(L, out, n);
  return s->k(L, LUA_YIELD, s->ctx);
}

/* [-0, +1, v]  beside the systemctl that is configured, else in PATH */
static const char *pushjournalctl (lua_State *L) {
  const char *systemctl = rb_client_program(L, "systemctl");
  const char *slash = strrchr(systemctl, '/');
  lua_pushlstring(L, systemctl, (size_t)(slash + 1 - systemctl));
  lua_pushliteral(L, "journalctl");
  lua_concat(L, 2);
  return lua_tostring(L, -1);
}

static int systemd_logs (lua_State *L, const char *name, lua_Integer n, lua_KContext ctx,
                         lua_KFunction k) {
  luaL_checkstack(L, 30, NULL);
  checkname(L, name);
  rb_seen_push(L, ctx, k);
  int idx = lua_gettop(L);
  const char *program = pushjournalctl(L);
  rb_Words argv = rb_words_push(L, 6), env = rb_client_env(L, 0);
  rb_words_addf(L, &argv, "%s", program);
  rb_words_addf(L, &argv, "--no-pager");
  rb_words_addf(L, &argv, "--quiet");
  rb_words_addf(L, &argv, "--output=cat");
  rb_words_addf(L, &argv, "--lines=%d", (int)n);
  rb_words_addf(L, &argv, "--unit=%s", name);
  return rb_client_ask(L, &argv, &env, idx, printed);
}

const rb_Driver rb_systemd = {
  "systemd", systemd_look, systemd_act, systemd_pushplan, systemd_logs
};
