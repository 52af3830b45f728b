/*
** docker.c - services kept by docker, alone or as part of a compose project
**
** What there is is asked of `docker inspect`, for compose too: a project's
** containers carry its name as a label, so that looking needs neither its
** file nor the compose plugin. What is done to a compose service is done by
** compose.
*/

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "stdlib/service/service.h"

#define PROJECT "com.docker.compose.project"
#define SERVICE "com.docker.compose.service"
#define ONEOFF "com.docker.compose.oneoff"

/* -- names ----------------------------------------------------------------------- */

static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                              "0123456789_.-";

static int isname (const char *s, size_t n) {
  return n > 0 && strspn(s, letters) >= n && *s != '-' && *s != '.';
}

static void checkname (lua_State *L, const char *name) {
  if (!isname(name, strlen(name)))
    rb_fail(L, "refused", RB_NOTDONE, "%s: \"%s\" is no name of a container",
            rb_resource(L)->name, name);
}

/* [-0, +1, v]  the project of "PROJECT/SERVICE"; returns the service */
static const char *pushproject (lua_State *L, const char *name) {
  const char *slash = strchr(name, '/');
  size_t n = slash != NULL ? (size_t)(slash - name) : 0;
  if (n == 0 || !isname(name, n) || !isname(slash + 1, strlen(slash + 1)))
    rb_fail(L, "refused", RB_NOTDONE, "%s: a service of compose is \"compose:PROJECT/"
            "SERVICE\", not \"compose:%s\"", rb_resource(L)->name, name);
  lua_pushlstring(L, name, n);
  return slash + 1;
}

/* -- the client ------------------------------------------------------------------- */

static int isstandalone (const char *program) {
  const char *slash = strrchr(program, '/');
  return strncmp(slash != NULL ? slash + 1 : program, "docker-compose", 14) == 0;
}

/* [-0, +1, v]  the docker client; `program` may be that of compose instead */
static const char *pushdocker (lua_State *L) {
  const char *program = rb_service_setting(L, "program");
  int other = program != NULL && isstandalone(program);
  lua_pop(L, 1);
  if (!other) return rb_client_program(L, "docker");
  if ((program = rb_client_find(L, "docker")) == NULL)
    rb_fail(L, "missing", RB_NOTDONE, "%s: there is no docker in PATH, which looks at "
            "what compose keeps", rb_resource(L)->name);
  return program;
}

/* [-0, +2, v]  which daemon is meant is said by `host`, else as docker takes it from
** its own environment */
static rb_Words pushenv (lua_State *L) {
  static const char *const own[] = {
    "DOCKER_CONFIG", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH",
    "DOCKER_API_VERSION", NULL
  };
  rb_Words env = rb_client_env(L, 6);
  const char *host = rb_service_setting(L, "host");
  if (host != NULL && strncmp(host, "unix://", 7) != 0 && strncmp(host, "tcp://", 6) != 0)
    rb_fail(L, "refused", RB_NOTDONE, "%s: `host` is unix:///PATH or tcp://HOST:PORT, "
            "not \"%s\"", rb_resource(L)->name, host);
  const char *value = host != NULL ? host : getenv("DOCKER_HOST");
  if (value != NULL) rb_words_addf(L, &env, "DOCKER_HOST=%s", value);
  lua_pop(L, 1);
  for (const char *const *name = own; *name != NULL; name++)
    if ((value = getenv(*name)) != NULL && (host == NULL || name != &own[1]))
      rb_words_addf(L, &env, "%s=%s", *name, value);
  return env;
}

static int contains (const char *text, const char *part) {
  return strcasestr(text, part) != NULL;
}

/* The client has failed: 'result' is what it said. */
static int complain (lua_State *L, int result, const char *what) {
  lua_getfield(L, result, "stderr");
  const char *said = lua_tostring(L, -1), *name = rb_resource(L)->name;
  int n = (int)strcspn(said, "\n");
  if (contains(said, "cannot connect to the docker daemon")
      || contains(said, "is the docker daemon running")
      || contains(said, "error during connect")
      || contains(said, "failed to connect to the docker api"))
    return rb_fail(L, "missing", RB_NOTDONE, "%s: no docker daemon answers: %.*s", name, n,
                   said);
  if (contains(said, "permission denied while trying to connect"))
    return rb_fail(L, "auth", RB_NOTDONE, "%s: docker does not let you in (the group "
                   "\"docker\" may): %.*s", name, n, said);
  return rb_client_badexit(L, result, what);
}

/* -- what `docker inspect` says ------------------------------------------------------- */

static const char *text (const json_t *o, const char *key) {
  const char *s = json_string_value(json_object_get(o, key));
  return s != NULL ? s : "";
}

static const char *statename (const char *status) {
  static const char *const names[][2] = {
    {"running", "online"}, {"exited", "stopped"}, {"created", "stopped"},
    {"restarting", "restarting"}, {"removing", "stopping"}, {"dead", "errored"},
  };
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcmp(names[i][0], status) == 0) return names[i][1];
  return status;  /* "paused" */
}

/* "2026-02-18T06:00:00.123456789Z"; 0: never */
static double seconds (const char *time) {
  struct tm tm = {0};
  int parts = sscanf(time, "%d-%d-%dT%d:%d:%d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
                     &tm.tm_hour, &tm.tm_min, &tm.tm_sec);
  if (parts != 6 || tm.tm_year < 1970) return 0;
  tm.tm_year -= 1900;
  tm.tm_mon--;
  return (double)timegm(&tm);
}

/* 0: it is not what this version of ours knows */
static int seeone (rb_Seen *s, const json_t *container, int first) {
  const json_t *state = json_object_get(container, "State");
  const char *name = statename(text(state, "Status"));
  if (*name == '\0') return 0;
  if (first || strcmp(name, "online") != 0)  /* of several the one in trouble */
    snprintf(s->state, sizeof s->state, "%s", name);
  const char *health = text(json_object_get(state, "Health"), "Status");
  if (*health != '\0' && strcmp(health, "none") != 0 && strcmp(s->health, "unhealthy") != 0)
    snprintf(s->health, sizeof s->health, "%s", health);
  json_int_t pid = json_integer_value(json_object_get(state, "Pid"));
  if (pid > 0 && s->npids < RB_MAXINSTANCES) s->pids[s->npids++] = (pid_t)pid;
  if (first) s->restarts = 0;
  s->restarts += json_integer_value(json_object_get(container, "RestartCount"));
  double since = pid > 0 ? seconds(text(state, "StartedAt")) : 0;
  if (since > s->since) s->since = since;
  if (json_is_true(json_object_get(json_object_get(container, "HostConfig"), "AutoRemove")))
    s->wont[RB_STOP] = "it was run with --rm: to stop it would remove it";
  return 1;
}

static int seeall (rb_Seen *s, const char *out, size_t n) {
  size_t i;
  json_t *container, *list = json_loadb(out, n, 0, NULL);
  int good = json_array_size(list) > 0;
  json_array_foreach(list, i, container)
    good = good && seeone(s, container, i == 0);
  json_decref(list);
  return good;
}

/* [-0, +1, v]  at 'idx' an rb_Seen; 'result' says what there is */
static int see (lua_State *L, int idx, int result) {
  rb_Seen *s = lua_touserdata(L, idx);
  size_t n;
  lua_getfield(L, result, "stdout");
  const char *out = lua_tolstring(L, -1, &n);
  if (!seeall(s, out, n))
    return rb_fail(L, "data", RB_NOTDONE, "%s: what `docker inspect` prints is not what "
                   "this version knows: %.60s", rb_resource(L)->name, out);
  lua_settop(L, idx);
  return s->k(L, LUA_YIELD, s->ctx);
}

/* [-0, +2, v]  `docker inspect`, with room for 'n' names */
static rb_Words pushinspect (lua_State *L, int n) {
  const char *program = pushdocker(L);
  rb_Words argv = rb_words_push(L, n + 4);
  rb_words_addf(L, &argv, "%s", program);
  rb_words_addf(L, &argv, "inspect");
  rb_words_addf(L, &argv, "--type=container");
  rb_words_addf(L, &argv, "--");
  return argv;
}

/* [-0, +1, v]  `docker ps` with these filters, each printed by 'format' */
static rb_Words pushps (lua_State *L, const char *format) {
  const char *program = pushdocker(L);
  rb_Words argv = rb_words_push(L, 12);
  rb_words_addf(L, &argv, "%s", program);
  rb_words_addf(L, &argv, "ps");
  rb_words_addf(L, &argv, "--all");
  rb_words_addf(L, &argv, "--no-trunc");
  rb_words_addf(L, &argv, "--format=%s", format);
  return argv;
}

/* -- a container by its name ---------------------------------------------------------- */

/* [-0, +1, m]  the lines of the result at 'result' as "a, b", or "none" */
static const char *pushlist (lua_State *L, int result) {
  lua_getfield(L, result, "stdout");
  luaL_gsub(L, lua_tostring(L, -1), "\n", ", ");
  size_t n;
  const char *s = lua_tolstring(L, -1, &n);
  if (n > 2) lua_pushlstring(L, s, n - 2 > 400 ? 400 : n - 2);
  else lua_pushliteral(L, "none");
  return lua_tostring(L, -1);
}

/* what there is instead of a name that is none */
static int named (lua_State *L, int status, lua_KContext idx) {
  int result = lua_gettop(L);
  (void)status; (void)idx;
  return rb_fail(L, "missing", RB_NOTDONE, "%s: docker has no container \"%s\"; it has: %s",
                 rb_resource(L)->name, rb_service_name(L), pushlist(L, result));
}

static int inspected (lua_State *L, int status, lua_KContext idx) {
  int result = lua_gettop(L);
  (void)status;
  lua_getfield(L, result, "code");
  if (lua_tointeger(L, -1) == 0) return see(L, (int)idx, result);
  lua_getfield(L, result, "stderr");
  if (!contains(lua_tostring(L, -1), "no such")) return complain(L, result, "docker inspect");
  rb_Words argv = pushps(L, "{{.Names}}"), env = pushenv(L);
  return rb_client_ask(L, &argv, &env, idx, named);
}

static int docker_look (lua_State *L, const char *name, lua_KContext ctx,
                        lua_KFunction k) {
  luaL_checkstack(L, 40, NULL);
  checkname(L, name);
  rb_seen_push(L, ctx, k);
  int idx = lua_gettop(L);
  rb_Words argv = pushinspect(L, 1), env = pushenv(L);
  rb_words_addf(L, &argv, "%s", name);
  return rb_client_ask(L, &argv, &env, idx, inspected);
}

static const char *docker_pushplan (lua_State *L, const char *name, rb_Action action) {
  lua_pushfstring(L, "%s %s %s", pushdocker(L), rb_actionnames[action], name);
  return lua_tostring(L, -1);
}

static int docker_act (lua_State *L, const char *name, rb_Action action, lua_KContext ctx,
                       lua_KFunction k) {
  luaL_checkstack(L, 40, NULL);
  checkname(L, name);
  rb_seen_push(L, ctx, k);
  int idx = lua_gettop(L);
  const char *program = pushdocker(L);
  rb_Words argv = rb_words_push(L, 4), env = pushenv(L);
  rb_words_addf(L, &argv, "%s", program);
  rb_words_addf(L, &argv, "%s", rb_actionnames[action]);
  rb_words_addf(L, &argv, "--");
  rb_words_addf(L, &argv, "%s", name);
  return rb_client_act(L, &argv, &env, NULL, idx);
}

/* -- logs ------------------------------------------------------------------------------- */

/* idx: an rb_Seen that keeps who goes on; on the top what `logs` printed */
static int printed (lua_State *L, int status, lua_KContext idx) {
  static const char *const streams[] = {"stdout", "stderr"};
  const rb_Seen *s = lua_touserdata(L, (int)idx);
  int result = lua_gettop(L);
  (void)status;
  lua_getfield(L, result, "code");
  if (lua_tointeger(L, -1) != 0) return complain(L, result, "logs");
  lua_newtable(L);
  for (int i = 0; i < 2; i++) {
    size_t n;
    lua_getfield(L, result, streams[i]);
    const char *out = lua_tolstring(L, -1, &n);
    lua_insert(L, -2);
    rb_service_addlines(L, out, n);
    lua_remove(L, -2);
  }
  return s->k(L, LUA_YIELD, s->ctx);
}

static int docker_logs (lua_State *L, const char *name, lua_Integer n, lua_KContext ctx,
                        lua_KFunction k) {
  luaL_checkstack(L, 40, NULL);
  checkname(L, name);
  rb_seen_push(L, ctx, k);
  int idx = lua_gettop(L);
  const char *program = pushdocker(L);
  rb_Words argv = rb_words_push(L, 5), env = pushenv(L);
  rb_words_addf(L, &argv, "%s", program);
  rb_words_addf(L, &argv, "logs");
  rb_words_addf(L, &argv, "--tail=%d", (int)n);
  rb_words_addf(L, &argv, "--");
  rb_words_addf(L, &argv, "%s", name);
  return rb_client_ask(L, &argv, &env, idx, printed);
}

/* -- compose: looking ---------------------------------------------------------------------- */

/* [-0, +0, m]  only what belongs to the project, and to its service */
static void addfilters (lua_State *L, rb_Words *argv, const char *name, int service) {
  const char *slash = strchr(name, '/');
  lua_pushlstring(L, name, (size_t)(slash - name));
  rb_words_addf(L, argv, "--filter=label=" PROJECT "=%s", lua_tostring(L, -1));
  lua_pop(L, 1);
  if (service) rb_words_addf(L, argv, "--filter=label=" SERVICE "=%s", slash + 1);
  if (service) rb_words_addf(L, argv, "--filter=label=" ONEOFF "=False");
}

static int services (lua_State *L, int status, lua_KContext idx) {
  int result = lua_gettop(L);
  (void)status; (void)idx;
  return rb_fail(L, "missing", RB_NOTDONE, "%s: compose has no container of \"%s\"; the "
                 "project's are of: %s (`docker compose up -d` makes what is missing)",
                 rb_resource(L)->name, rb_service_name(L), pushlist(L, result));
}

/* idx: an rb_Seen; on the top the ids of the service's containers */
static int identified (lua_State *L, int status, lua_KContext idx) {
  int result = lua_gettop(L);
  (void)status;
  lua_getfield(L, result, "code");
  if (lua_tointeger(L, -1) != 0) return complain(L, result, "docker ps");
  lua_getfield(L, result, "stdout");
  const char *ids = lua_tostring(L, -1);
  if (*ids == '\0') {
    rb_Words argv = pushps(L, "{{.Label \"" SERVICE "\"}}");
    addfilters(L, &argv, rb_service_name(L), 0);
    rb_Words env = pushenv(L);
    return rb_client_ask(L, &argv, &env, idx, services);
  }
  rb_Words argv = pushinspect(L, RB_MAXINSTANCES), env = pushenv(L);
  for (const char *id = ids; *id != '\0' && argv.n < argv.max; ) {
    size_t n = strcspn(id, "\n");
    lua_pushlstring(L, id, n);
    rb_words_add(L, &argv);
    id += n + (id[n] == '\n');
  }
  return rb_client_ask(L, &argv, &env, idx, inspected);
}

static int compose_look (lua_State *L, const char *name, lua_KContext ctx,
                         lua_KFunction k) {
  luaL_checkstack(L, 40, NULL);
  rb_seen_push(L, ctx, k);
  int idx = lua_gettop(L);
  pushproject(L, name);
  rb_Words argv = pushps(L, "{{.ID}}");
  addfilters(L, &argv, name, 1);
  rb_Words env = pushenv(L);
  return rb_client_ask(L, &argv, &env, idx, identified);
}

/* -- compose: acting ------------------------------------------------------------------------- */

/* is the plugin where docker looks for it? */
static int hasplugin (lua_State *L) {
  static const char *const folders[] = {
    "/usr/local/lib/docker", "/usr/local/libexec/docker", "/usr/lib/docker",
    "/usr/libexec/docker", NULL
  };
  const char *config = getenv("DOCKER_CONFIG"), *home = getenv("HOME");
  int found = 0;
  if (config != NULL) lua_pushstring(L, config);
  else lua_pushfstring(L, "%s/.docker", home != NULL ? home : "");
  for (int i = -1; !found && (i < 0 || folders[i] != NULL); i++) {
    const char *folder = i < 0 ? lua_tostring(L, -1) : folders[i];
    found = access(lua_pushfstring(L, "%s/cli-plugins/docker-compose", folder), X_OK) == 0;
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return found;
}

/* [-0, +2, v]  the words that begin every command of compose: docker's plugin, or the
** program of its own, as `program` says or as there is */
static rb_Words pushcompose (lua_State *L, const char *name) {
  rb_Words argv = rb_words_push(L, 9);
  const char *program = rb_service_setting(L, "program");
  if (program != NULL) program = rb_client_program(L, "docker");
  else if (hasplugin(L)) program = rb_client_program(L, "docker");
  else program = rb_client_find(L, "docker-compose");
  if (program == NULL || (!isstandalone(program) && !hasplugin(L)))
    rb_fail(L, "missing", RB_NOTDONE, "%s: docker has no compose plugin here, and there is "
            "no docker-compose in PATH", rb_resource(L)->name);
  rb_words_addf(L, &argv, "%s", program);
  if (!isstandalone(program)) rb_words_addf(L, &argv, "compose");
  pushproject(L, name);
  rb_words_addf(L, &argv, "--project-name=%s", lua_tostring(L, -1));
  const char *file = rb_service_setting(L, "file");
  if (file != NULL && access(file, R_OK) != 0)
    rb_fail(L, "missing", RB_NOTDONE, "%s: the file %s cannot be read",
            rb_resource(L)->name, file);
  if (file != NULL) rb_words_addf(L, &argv, "--file=%s", file);
  lua_settop(L, argv.anchor);
  return argv;
}

static const char *compose_pushplan (lua_State *L, const char *name, rb_Action action) {
  luaL_checkstack(L, 40, NULL);
  rb_Words argv = pushcompose(L, name);
  rb_words_addf(L, &argv, "%s", rb_actionnames[action]);
  rb_words_addf(L, &argv, "%s", strchr(name, '/') + 1);
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (int i = 0; i < argv.n; i++) {
    if (i > 0) luaL_addchar(&b, ' ');
    luaL_addstring(&b, argv.list[i]);
  }
  luaL_pushresult(&b);
  return lua_tostring(L, -1);
}

/* It runs in / where there is no file of a project, so that only the one that is
** named counts. */
static int compose_act (lua_State *L, const char *name, rb_Action action,
                        lua_KContext ctx, lua_KFunction k) {
  luaL_checkstack(L, 40, NULL);
  rb_seen_push(L, ctx, k);
  int idx = lua_gettop(L);
  rb_Words argv = pushcompose(L, name), env = pushenv(L);
  rb_words_addf(L, &argv, "%s", rb_actionnames[action]);
  rb_words_addf(L, &argv, "%s", strchr(name, '/') + 1);
  return rb_client_act(L, &argv, &env, "/", idx);
}

static int compose_logs (lua_State *L, const char *name, lua_Integer n, lua_KContext ctx,
                         lua_KFunction k) {
  luaL_checkstack(L, 40, NULL);
  rb_seen_push(L, ctx, k);
  int idx = lua_gettop(L);
  rb_Words argv = pushcompose(L, name), env = pushenv(L);
  rb_words_addf(L, &argv, "logs");
  rb_words_addf(L, &argv, "--no-color");
  rb_words_addf(L, &argv, "--no-log-prefix");
  rb_words_addf(L, &argv, "--tail=%d", (int)n);
  rb_words_addf(L, &argv, "%s", strchr(name, '/') + 1);
  return rb_client_ask(L, &argv, &env, idx, printed);
}

const rb_Driver rb_docker = {
  "docker", docker_look, docker_act, docker_pushplan, docker_logs
};
const rb_Driver rb_compose = {
  "compose", compose_look, compose_act, compose_pushplan, compose_logs
};
