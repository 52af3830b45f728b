/*
** exec.c - programs: look with one, change with one
**
** A program is a list of words, never a shell line, found in PATH and named
** in the target's allow-list. A probe runs behind the kernel's fence, in a
** scratch folder that goes with it; a remedy runs as the operator would run
** it, once its intent is durable.
*/

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stdlib/exec/exec.h"

#define SCRATCH "exec.scratch"
#define TAIL 400  /* bytes of standard error in a message */

/* -- the scratch folder ------------------------------------------------------ */

typedef struct Scratch { char path[256]; } Scratch;  /* "": none */

static int removeone (const char *path, const struct stat *st, int type,
                      struct FTW *at) {
  (void)st; (void)type; (void)at;
  if (remove(path) != 0 && errno != ENOENT)
    return 0;  /* what a probe leaves in a scratch folder harms nobody */
  return 0;
}

static int scratch_close (lua_State *L) {
  Scratch *s = luaL_checkudata(L, 1, SCRATCH);
  if (s->path[0] != '\0') nftw(s->path, removeone, 16, FTW_DEPTH | FTW_PHYS);
  s->path[0] = '\0';
  return 0;
}

/* [-0, +1, vy]  a folder that goes when the call does */
static const char *pushscratch (lua_State *L) {
  const char *base = getenv("TMPDIR");
  Scratch *s = lua_newuserdatauv(L, sizeof *s, 0);
  s->path[0] = '\0';
  if (luaL_newmetatable(L, SCRATCH)) {
    lua_pushcfunction(L, scratch_close);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, scratch_close);
    lua_setfield(L, -2, "__close");
  }
  lua_setmetatable(L, -2);
  if (base == NULL || base[0] != '/') base = "/tmp";
  int n = snprintf(s->path, sizeof s->path, "%s/runbook-XXXXXX", base);
  if (n < 0 || (size_t)n >= sizeof s->path || mkdtemp(s->path) == NULL) {
    s->path[0] = '\0';
    rb_fail(L, "io", RB_NOTDONE, "no scratch folder can be made in %s: %s",
            base, strerror(errno));
  }
  lua_toclose(L, -1);
  return s->path;
}

/* -- probe ------------------------------------------------------------------------------------ */

/* What the fence refuses is told by the program, in its own words: here is why. */
static int probed (lua_State *L, int status, lua_KContext delegates) {
  static const char hint[] = " (held read-only: a program that asks a server needs "
                             "its port in allow.hosts, or `delegates`)";
  (void)status;
  lua_getfield(L, -1, "code");
  int code = (int)lua_tointeger(L, -1);
  lua_getfield(L, -2, "stderr");
  const char *err = lua_tostring(L, -1);
  int fenced = strstr(err, "Operation not permitted") != NULL
               || strstr(err, "Permission denied") != NULL;
  lua_pop(L, 2);
  if (code != 0)
    rb_describe(L, "%s -> exit code %d%s", lua_tostring(L, RB_EXEC_SHOWN), code,
                fenced && !delegates ? hint : "");
  return 1;
}

/* A daemon is not behind the fence, so a script cannot grant itself one. */
static void checkdelegates (lua_State *L, const rb_Exec *c) {
  if (!rb_allowed(L, "delegates", c->argv[0]))
    rb_fail(L, "refused", RB_NOTDONE, "%s would talk to %s, where nothing holds it "
            "read-only: if it only looks there, add \"%s\" to the target's "
            "allow.delegates in the configuration", c->asked, c->delegates, c->asked);
  rb_unclaim(L, "kernel", "a probe command talks to a daemon");
}

/* [-0, +2, m]  the "host:port" entries of the allow-list, and what keeps them. The
** kernel sees ports only, so an entry without one grants nothing here. */
static const char **pushhosts (lua_State *L) {
  rb_allowlist(L, "hosts");
  lua_Integer n = luaL_len(L, -1), count = 0;
  const char **hosts = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *hosts, 0);
  for (lua_Integer i = 1; i <= n; i++) {
    lua_geti(L, -2, i);
    const char *host = lua_tostring(L, -1);  /* the list keeps it */
    const char *colon = host != NULL ? strrchr(host, ':') : NULL;
    if (colon != NULL && atoi(colon + 1) > 0) hosts[count++] = host;
    lua_pop(L, 1);
  }
  hosts[count] = NULL;
  return count > 0 ? hosts : NULL;
}

static int exec_probe (lua_State *L) {
  rb_Exec c = rb_exec_read(L, rb_exec_probefields);
  rb_exec_nosetuid(L, c.argv[0]);
  c.delegates = rb_exec_field(L, "delegates");
  if (c.delegates != NULL) checkdelegates(L, &c);
  rb_describe(L, "%s", c.shown);
  const char *scratch = pushscratch(L);
  c.env = rb_exec_environment(L, scratch);
  if (c.timeout > 0) rb_timeout(L, c.timeout);
  rb_Program cmd = rb_exec_command(&c);
  cmd.readonly = 1;
  cmd.delegates = c.delegates != NULL;
  cmd.scratch = scratch;
  cmd.hosts = pushhosts(L);
  return rb_spawn(L, &cmd, cmd.delegates, probed);
}

/* -- run -------------------------------------------------------------------------------------- */

/* is 'code' among `expect` (0 where it is not given)? */
static int expected (lua_State *L, lua_Integer code) {
  int found = 0;
  if (lua_getfield(L, 1, "expect") == LUA_TNIL) {
    lua_pop(L, 1);
    return code == 0;
  }
  luaL_argcheck(L, lua_istable(L, -1), 1, "expect: a list of exit codes expected");
  lua_Integer n = luaL_len(L, -1);
  for (lua_Integer i = 1; i <= n; i++) {
    lua_geti(L, -1, i);
    luaL_argcheck(L, lua_isinteger(L, -1), 1, "expect: exit codes are integers");
    if (lua_tointeger(L, -1) == code) found = 1;
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return found;
}

/* A program that came to its end has said that it failed; one that was ended by a
** signal has said nothing. */
static int unexpected (lua_State *L, lua_Integer code) {
  size_t n;
  int killed = lua_getfield(L, -1, "signal") != LUA_TNIL;
  lua_pop(L, 1);
  lua_getfield(L, -1, "stderr");
  const char *err = lua_tolstring(L, -1, &n);
  while (n > 0 && (unsigned char)err[n - 1] <= ' ') n--;
  size_t from = n > TAIL ? n - TAIL : 0;
  while (from < n && ((unsigned char)err[from] & 0xc0) == 0x80) from++;
  const char *what = killed ? "was ended by a signal, exit code" : "exit code";
  lua_geti(L, 1, 1);
  return rb_fail(L, "command", killed ? RB_UNKNOWN : RB_PARTLY, "%s: %s %d%s%.*s",
                 luaL_tolstring(L, -1, NULL), what, (int)code,
                 n > from ? ": " : "", (int)(n - from), err + from);
}

static int ran (lua_State *L, int status, lua_KContext ctx) {
  (void)status; (void)ctx;
  lua_getfield(L, -1, "code");
  lua_Integer code = lua_tointeger(L, -1);
  lua_pop(L, 1);
  if (!expected(L, code)) return unexpected(L, code);
  return 1;
}

static int exec_run (lua_State *L) {
  rb_Exec c = rb_exec_read(L, rb_exec_runfields);
  expected(L, 0);  /* a wrong list is found before the deed */
  c.env = rb_exec_environment(L, NULL);
  if (c.timeout > 0) rb_timeout(L, c.timeout);
  rb_Program cmd = rb_exec_command(&c);
  cmd.pledge = 1;
  return rb_spawn(L, &cmd, 0, ran);
}

static int exec_preview (lua_State *L) {
  rb_Exec c = rb_exec_read(L, rb_exec_runfields);
  expected(L, 0);
  lua_createtable(L, 0, 4);
  if (c.cwd != NULL) lua_pushfstring(L, "run %s in %s", c.shown, c.cwd);
  else lua_pushfstring(L, "run %s", c.shown);
  lua_setfield(L, -2, "summary");
  lua_pushfstring(L, "the program is %s", c.argv[0]);
  lua_setfield(L, -2, "reason");
  lua_pushliteral(L, "a command has no inverse of its own: the step's undo, or by hand");
  lua_setfield(L, -2, "undo");
  lua_createtable(L, 0, 1);
  lua_pushinteger(L, 1);
  lua_setfield(L, -2, "commands");
  lua_setfield(L, -2, "counts");
  return 1;
}

/* -- rows ------------------------------------------------------------------------------------- */

static const rb_Reg functions[] = {
  {"probe", RB_PROBE, exec_probe, NULL,
   "probe{word, ..., [cwd=, env=, stdin=, timeout=, delegates=]} -> {code, signal, "
   "stdout, stderr} : looks with a program that the kernel holds read-only: it can write "
   "to nothing but a scratch folder of its own (its HOME and TMPDIR), and connect to what "
   "allow.hosts names with a port. The words are strings, numbers or secrets; the first "
   "is a program of the target's allow.programs, as PATH finds it or by its whole path. "
   "`cwd` is an absolute path, `env` {NAME=value} beside a minimal environment, `stdin` a "
   "string or secret, `timeout` a duration. Any exit `code` is an answer; `signal` is nil "
   "unless one ended it, then code is 128 and its number. At most 16 MB of output. "
   "`delegates` names the daemon that the program talks to, where allow.delegates has the "
   "program: the kernel layer is then not claimed. Fails with \"missing\", \"refused\", "
   "\"timeout\" or \"limit\"", NULL, NULL},
  {"run", RB_REMEDY, exec_run, exec_preview,
   "run{word, ..., [cwd=, env=, stdin=, timeout=, expect={0}]} -> {code, signal, stdout, "
   "stderr} : changes something with a program. Words and options are those of "
   "exec.probe; it has the operator's HOME, TMPDIR and USER. An exit code that is not "
   "among `expect` is a failure (kind \"command\", certainty \"partly\": what it did by then "
   "stays, and the step's `undo` is for that, too). One that ran out of time, or was ended by "
   "a signal, is in doubt. Not guarded, and no inverse: the step's `undo`, or by hand", NULL, NULL},
  RB_END
};

const rb_Module rb_module = {
  .interface = RB_INTERFACE, .name = "exec",
  .doc = "programs of this machine: lists of words, never a shell line",
  .functions = functions
};
