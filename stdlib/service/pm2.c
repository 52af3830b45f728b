/*
** pm2.c - services kept by pm2
**
** pm2 is asked by its own program. Where no daemon answers that program would
** start one, so it is only run when the daemon of exactly this PM2_HOME takes
** a connection.
*/

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "stdlib/service/service.h"

typedef struct Pm2 { const char *program, *home; } Pm2;

/* -- where it is ---------------------------------------------------------------- */

/* [-0, +1, v] */
static const char *pushhome (lua_State *L) {
  const char *home = rb_service_setting(L, "home"), *user;
  if (home != NULL) return home;
  lua_pop(L, 1);
  if ((home = getenv("PM2_HOME")) != NULL) return lua_pushstring(L, home);
  if ((user = getenv("HOME")) != NULL) return lua_pushfstring(L, "%s/.pm2", user);
  rb_fail(L, "missing", RB_NOTDONE, "%s: where is pm2's home? Set `home` of the "
          "service in the configuration", rb_resource(L)->name);
  return NULL;
}

/* 0, or the errno of the connection. The folder is reached through a descriptor:
** the path of a socket may not be long. */
static int callsdaemon (const char *home) {
  struct sockaddr_un to = {.sun_family = AF_UNIX};
  int folder = open(home, O_PATH | O_DIRECTORY | O_CLOEXEC), error = 0;
  if (folder < 0) return errno;
  int s = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  snprintf(to.sun_path, sizeof to.sun_path, "/proc/self/fd/%d/rpc.sock", folder);
  if (s < 0 || (connect(s, (struct sockaddr *)&to, sizeof to) != 0 && errno != EAGAIN))
    error = errno;
  if (s >= 0) close(s);
  close(folder);
  return error;
}

/* A name that pm2 would take for something else is none. */
static void checkname (lua_State *L, const char *name) {
  if (strcmp(name, "all") != 0 && name[0] != '-' && name[0] != '/'
      && name[strspn(name, "0123456789")] != '\0') return;
  rb_fail(L, "refused", RB_NOTDONE, "%s: \"%s\" is no name of one process to pm2",
          rb_resource(L)->name, name);
}

/* [-0, +2, v] */
static Pm2 pushpm2 (lua_State *L, const char *name) {
  Pm2 it;
  checkname(L, name);
  it.program = rb_client_program(L, "pm2");
  it.home = pushhome(L);
  int error = callsdaemon(it.home);
  if (error != 0)
    rb_fail(L, "missing", RB_NOTDONE, "%s: no pm2 daemon answers in %s (%s); to ask "
            "pm2 would start one", rb_resource(L)->name, it.home, strerror(error));
  return it;
}

/* [-0, +4, m]  the command and its environment */
static void pushcommand (lua_State *L, const Pm2 *it, const char *verb,
                         const char *name, rb_Words *argv, rb_Words *env) {
  *argv = rb_words_push(L, 3);
  rb_words_addf(L, argv, "%s", it->program);
  rb_words_addf(L, argv, "%s", verb);
  if (name != NULL) rb_words_addf(L, argv, "%s", name);
  *env = rb_client_env(L, 2);
  rb_words_addf(L, env, "PM2_HOME=%s", it->home);
  rb_words_addf(L, env, "PM2_DISCRETE_MODE=true");
}

/* -- what `pm2 jlist` says --------------------------------------------------------- */

/* The list begins on a line of its own, behind what pm2 has to say first. */
static json_t *readlist (const char *s, size_t n) {
  for (const char *p = s; p != NULL && p < s + n; ) {
    if (p[0] == '[' && (p[1] == '{' || p[1] == ']'))
      return json_loadb(p, (size_t)(s + n - p), JSON_DISABLE_EOF_CHECK, NULL);
    p = memchr(p, '\n', (size_t)(s + n - p));
    if (p != NULL) p++;
  }
  return NULL;
}

static const char *text (const json_t *o, const char *key) {
  const char *s = json_string_value(json_object_get(o, key));
  return s != NULL ? s : "";
}

static void seeone (rb_Seen *s, const json_t *process, int first) {
  const json_t *env = json_object_get(process, "pm2_env");
  const char *state = text(env, "status");
  if (first || strcmp(state, "online") != 0)  /* of several the one in trouble */
    snprintf(s->state, sizeof s->state, "%s", state);
  json_int_t pid = json_integer_value(json_object_get(process, "pid"));
  if (pid > 0 && s->npids < RB_MAXINSTANCES) s->pids[s->npids++] = (pid_t)pid;
  if (first) s->restarts = 0;
  s->restarts += json_integer_value(json_object_get(env, "restart_time"));
  double up = json_number_value(json_object_get(env, "pm_uptime")) / 1000;
  if (pid > 0 && up > s->since) s->since = up;
  if (!first) return;
  const char *out = text(env, "pm_out_log_path"), *err = text(env, "pm_err_log_path");
  snprintf(s->logs[0], sizeof s->logs[0], "%s", out);
  if (strcmp(out, err) != 0) snprintf(s->logs[1], sizeof s->logs[1], "%s", err);
}

/* how many processes of that name there are */
static int seelist (rb_Seen *s, const json_t *list, const char *name) {
  size_t i;
  json_t *process;
  int found = 0;
  json_array_foreach(list, i, process)
    if (strcmp(text(process, "name"), name) == 0) seeone(s, process, found++ == 0);
  return found;
}

/* the names that there are, for a message */
static void nameall (const json_t *list, char *out, size_t size) {
  size_t i, n = 0;
  json_t *process;
  snprintf(out, size, "none");
  json_array_foreach(list, i, process)
    if (n < size)
      n += (size_t)snprintf(out + n, size - n, "%s%s", i > 0 ? ", " : "",
                            text(process, "name"));
}

/* idx: an rb_Seen; on the top the result of jlist */
static int listed (lua_State *L, int status, lua_KContext idx) {
  rb_Seen *s = lua_touserdata(L, (int)idx);
  char names[400];
  size_t n;
  (void)status;
  int result = lua_gettop(L);
  lua_getfield(L, result, "code");
  if (lua_tointeger(L, -1) != 0) return rb_client_badexit(L, result, "pm2 jlist");
  lua_getfield(L, result, "stdout");
  const char *out = lua_tolstring(L, -1, &n);
  json_t *list = readlist(out, n);
  int readable = json_is_array(list), found = seelist(s, list, rb_service_name(L));
  nameall(list, names, sizeof names);
  json_decref(list);
  if (!readable)
    return rb_fail(L, "data", RB_NOTDONE, "%s: what pm2 jlist prints is no list",
                   rb_resource(L)->name);
  if (!found)
    return rb_fail(L, "missing", RB_NOTDONE, "%s: pm2 has no process \"%s\"; it has: %s",
                   rb_resource(L)->name, rb_service_name(L), names);
  lua_settop(L, (int)idx);
  return s->k(L, LUA_YIELD, s->ctx);
}

static int pm2_look (lua_State *L, const char *name, lua_KContext ctx, lua_KFunction k) {
  rb_Words argv, env;
  luaL_checkstack(L, 20, NULL);
  rb_seen_push(L, ctx, k);
  int idx = lua_gettop(L);
  Pm2 it = pushpm2(L, name);
  pushcommand(L, &it, "jlist", NULL, &argv, &env);
  return rb_client_ask(L, &argv, &env, idx, listed);
}

/* -- start, stop, restart --------------------------------------------------------------- */

static const char *pm2_pushplan (lua_State *L, const char *name, rb_Action action) {
  Pm2 it = pushpm2(L, name);
  lua_pushfstring(L, "%s %s %s, with PM2_HOME=%s", it.program, rb_actionnames[action],
                  name, it.home);
  return lua_tostring(L, -1);
}

static int pm2_act (lua_State *L, const char *name, rb_Action action, lua_KContext ctx,
                    lua_KFunction k) {
  rb_Words argv, env;
  luaL_checkstack(L, 20, NULL);
  rb_seen_push(L, ctx, k);
  int idx = lua_gettop(L);
  Pm2 it = pushpm2(L, name);
  pushcommand(L, &it, rb_actionnames[action], name, &argv, &env);
  return rb_client_act(L, &argv, &env, NULL, idx);
}

const rb_Driver rb_pm2 = {"pm2", pm2_look, pm2_act, pm2_pushplan, NULL};
