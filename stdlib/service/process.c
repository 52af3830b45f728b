/*
** process.c - a plain process with a file that holds its pid
**
** A pid is not an identity: the process must have begun before the file was
** written, and be the program that the configuration starts. It is signalled
** through a descriptor, which never means another process.
*/

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "stdlib/service/service.h"

#define GRACE 10.0     /* seconds between TERM and KILL */
#define PIDFD "service.pidfd"

typedef struct Found {
  pid_t pid;           /* 0: not running */
  double since;        /* seconds since 1970 */
  long long start;     /* field 22 of /proc/PID/stat */
} Found;

/* -- is it running? ---------------------------------------------------------------- */

/* [-0, +1, v] */
static const char *pushpidfile (lua_State *L) {
  const char *file = rb_service_setting(L, "pidfile");
  if (file == NULL)
    rb_fail(L, "refused", RB_NOTDONE, "%s: a plain process needs `pidfile` in the "
            "configuration", rb_resource(L)->name);
  return file;
}

/* at most n - 1 bytes of a file, ended with NUL; -1: it cannot be read */
static ssize_t readsmall (const char *path, char *s, size_t n) {
  int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd < 0) return -1;
  ssize_t got = read(fd, s, n - 1);
  close(fd);
  s[got > 0 ? got : 0] = '\0';
  return got;
}

/* seconds since 1970 when a process with that field 22 began */
static double startseconds (long long ticks) {
  struct timespec boot, now;
  clock_gettime(CLOCK_BOOTTIME, &boot);
  clock_gettime(CLOCK_REALTIME, &now);
  return (double)now.tv_sec - (double)boot.tv_sec
         + (double)(now.tv_nsec - boot.tv_nsec) / 1e9
         + (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

long long rb_service_startticks (pid_t pid) {
  char path[64], stat[1024];
  snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
  if (readsmall(path, stat, sizeof stat) <= 0) return 0;
  const char *p = strrchr(stat, ')');
  if (p == NULL || p[1] == '\0' || p[2] == 'Z' || p[2] == 'X') return 0;
  for (int field = 2; p != NULL && field < 22; field++) p = strchr(p + 1, ' ');
  return p != NULL ? strtoll(p + 1, NULL, 10) : 0;
}

/* does one of its words name the program that `start` names? */
static int runsprogram (pid_t pid, const char *program) {
  char path[64], words[4096];
  const char *slash = strrchr(program, '/');
  const char *name = slash != NULL ? slash + 1 : program;
  snprintf(path, sizeof path, "/proc/%ld/cmdline", (long)pid);
  ssize_t n = readsmall(path, words, sizeof words);
  for (ssize_t i = 0; i < n; i += (ssize_t)strlen(words + i) + 1) {
    const char *last = strrchr(words + i, '/');
    if (strcmp(last != NULL ? last + 1 : words + i, name) == 0) return 1;
  }
  return 0;
}

/* [-0, +1, v]  the program of `start`, or NULL and nil */
static const char *pushstartprogram (lua_State *L) {
  const char *program = NULL;
  if (rb_setting(L, rb_resource(L), "start") == LUA_TTABLE) {
    lua_geti(L, -1, 1);
    program = lua_tostring(L, -1);
    lua_remove(L, -2);
    return program;
  }
  lua_pop(L, 1);
  lua_pushnil(L);
  return NULL;
}

static Found find (lua_State *L) {
  Found f = {0};
  struct stat st;
  char text[32];
  int top = lua_gettop(L);
  const char *file = pushpidfile(L), *program = pushstartprogram(L);
  if (readsmall(file, text, sizeof text) > 0 && stat(file, &st) == 0) {
    pid_t pid = (pid_t)strtol(text, NULL, 10);
    long long start = pid > 0 ? rb_service_startticks(pid) : 0;
    double since = startseconds(start);
    double written = (double)st.st_mtim.tv_sec + (double)st.st_mtim.tv_nsec / 1e9;
    if (start > 0 && since <= written + 1  /* the clock may have been set a little */
        && (program == NULL || runsprogram(pid, program)))
      f = (Found){pid, since, start};
  }
  lua_settop(L, top);
  return f;
}

static int process_look (lua_State *L, const char *name, lua_KContext ctx,
                         lua_KFunction k) {
  (void)name;
  rb_Seen *s = rb_seen_push(L, ctx, k);
  Found f = find(L);
  snprintf(s->state, sizeof s->state, f.pid > 0 ? "online" : "stopped");
  if (f.pid > 0) {
    s->pids[s->npids++] = f.pid;
    s->since = f.since;
  }
  const char *log = rb_service_setting(L, "log");
  if (log != NULL) snprintf(s->logs[0], sizeof s->logs[0], "%s", log);
  lua_pop(L, 1);
  return k(L, LUA_YIELD, ctx);
}

/* -- what it would do ---------------------------------------------------------------- */

static void checkstart (lua_State *L) {
  struct stat st;
  const char *program = pushstartprogram(L), *name = rb_resource(L)->name;
  if (program == NULL)
    rb_fail(L, "refused", RB_NOTDONE, "%s: `start` in the configuration says how it is "
            "started: it is not there", name);
  if (program[0] != '/' || stat(program, &st) != 0 || !S_ISREG(st.st_mode)
      || access(program, X_OK) != 0)
    rb_fail(L, "missing", RB_NOTDONE, "%s: %s is not the whole path of an executable "
            "file", name, program);
  const char *cwd = rb_service_setting(L, "cwd");
  if (cwd != NULL && (stat(cwd, &st) != 0 || !S_ISDIR(st.st_mode)))
    rb_fail(L, "missing", RB_NOTDONE, "%s: there is no folder %s (cwd)", name, cwd);
  lua_pop(L, 2);
}

static const char *process_pushplan (lua_State *L, const char *name, rb_Action action) {
  (void)name;
  if (action == RB_STOP) return lua_pushliteral(L, "TERM, and KILL after 10 seconds");
  checkstart(L);
  const char *program = pushstartprogram(L);
  lua_pushfstring(L, "%s%s", action == RB_RESTART ? "TERM, KILL after 10 seconds, then "
                  : "", program);
  return lua_tostring(L, -1);
}

/* -- stopping: the stack of the deed, then an Act ---------------------------------------- */

typedef struct Act {
  lua_KContext ctx; lua_KFunction k;
  rb_Action action;
  int fd;              /* of the process; -1: none */
  pid_t pid;
  double kill;         /* when it is killed */
  int killed;
} Act;

static int act_close (lua_State *L) {
  Act *a = luaL_checkudata(L, 1, PIDFD);
  if (a->fd >= 0) close(a->fd);
  a->fd = -1;
  return 0;
}

static Act *pushact (lua_State *L, rb_Action action, lua_KContext ctx, lua_KFunction k) {
  Act *a = lua_newuserdatauv(L, sizeof *a, 0);
  *a = (Act){.ctx = ctx, .k = k, .action = action, .fd = -1};
  if (luaL_newmetatable(L, PIDFD)) {
    lua_pushcfunction(L, act_close);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, act_close);
    lua_setfield(L, -2, "__close");
  }
  lua_setmetatable(L, -2);
  lua_toclose(L, -1);
  return a;
}

static int done (lua_State *L, int idx) {
  Act *a = lua_touserdata(L, idx);
  lua_KFunction k = a->k;
  lua_KContext ctx = a->ctx;
  lua_settop(L, idx);
  lua_closeslot(L, idx);
  lua_settop(L, idx - 1);
  lua_pushnil(L);
  return k(L, LUA_YIELD, ctx);
}

static int sendsignal (const Act *a, int sig) {
  return (int)syscall(SYS_pidfd_send_signal, a->fd, sig, NULL, 0);
}

static int launch (lua_State *L, int idx, int pledge);

/* has it ended? If not, it is waited for, and killed in the end */
static int ending (lua_State *L, int status, lua_KContext idx) {
  Act *a = lua_touserdata(L, (int)idx);
  struct pollfd p = {.fd = a->fd, .events = POLLIN};
  (void)status;
  lua_settop(L, (int)idx);
  if (poll(&p, 1, 0) == 1) {
    close(a->fd);
    a->fd = -1;
    return a->action == RB_STOP ? done(L, (int)idx) : launch(L, (int)idx, 0);
  }
  if (rb_timeleft(L) <= 0)
    return rb_fail(L, "timeout", RB_UNKNOWN, "%s: process %ld has been told to end and "
                   "is still there", rb_resource(L)->name, (long)a->pid);
  if (!a->killed && rb_now() >= a->kill) {
    a->killed = 1;
    sendsignal(a, SIGKILL);
  }
  return rb_sleep(L, 0.02, idx, ending);
}

/* the intent is durable */
static int tell (lua_State *L, int status, lua_KContext idx) {
  Act *a = lua_touserdata(L, (int)idx);
  if (sendsignal(a, SIGTERM) != 0 && errno != ESRCH)
    return rb_fail(L, "io", RB_NOTDONE, "%s: process %ld cannot be signalled: %s",
                   rb_resource(L)->name, (long)a->pid, strerror(errno));
  a->kill = rb_now() + GRACE;
  return ending(L, status, idx);
}

/* -- starting ------------------------------------------------------------------------------ */

/* idx: an Act; on the top {pid=, start=} */
static int launched (lua_State *L, int status, lua_KContext idx) {
  (void)status;
  return done(L, (int)idx);
}

/* [-0, +2, v]  the words of `start` */
static char **pushstart (lua_State *L) {
  int top = lua_gettop(L);
  rb_setting(L, rb_resource(L), "start");
  int n = (int)luaL_len(L, -1);
  rb_Words w = rb_words_push(L, n);
  for (int i = 1; i <= n; i++) {
    lua_geti(L, top + 1, i);
    rb_text(L, -1, NULL);
    lua_remove(L, -2);
    rb_words_add(L, &w);
  }
  lua_remove(L, top + 1);
  return w.list;
}

/* pledge: the launch is the deed's point of no return (a restart's was the
** signal, and a second pledge would be one too many) */
static int launch (lua_State *L, int idx, int pledge) {
  const char *path = getenv("PATH");
  luaL_checkstack(L, 20, NULL);
  checkstart(L);
  rb_Program cmd = {.argv = pushstart(L), .detach = 1, .pledge = pledge,
                    .facts = pledge ? RB_FACTS : 0};
  rb_Words env = rb_words_push(L, 3);
  rb_words_addf(L, &env, "PATH=%s", path != NULL ? path : "/usr/local/bin:/usr/bin:/bin");
  rb_words_addf(L, &env, "LANG=C.UTF-8");
  rb_words_addf(L, &env, "HOME=%s", getenv("HOME") != NULL ? getenv("HOME") : "/");
  cmd.env = env.list;
  cmd.cwd = rb_service_setting(L, "cwd");
  cmd.output = rb_service_setting(L, "log");
  return rb_spawn(L, &cmd, idx, launched);
}

/* [-0, +0, v]  the process that there is, held by a descriptor: between looking
** and holding it may have become another, so it is looked at again */
static void hold (lua_State *L, Act *a) {
  Found f = find(L);
  if (f.pid == 0) return;
  a->fd = (int)syscall(SYS_pidfd_open, f.pid, 0);
  if (a->fd >= 0) fcntl(a->fd, F_SETFD, FD_CLOEXEC);
  if (a->fd < 0 || rb_service_startticks(f.pid) != f.start)
    rb_fail(L, "drift", RB_NOTDONE, "%s: process %ld has just ended; nothing was done",
            rb_resource(L)->name, (long)f.pid);
  a->pid = f.pid;
}

static int process_act (lua_State *L, const char *name, rb_Action action,
                        lua_KContext ctx, lua_KFunction k) {
  (void)name;
  Act *a = pushact(L, action, ctx, k);
  int idx = lua_gettop(L);
  if (action != RB_STOP) checkstart(L);
  if (action != RB_START) hold(L, a);
  if (a->fd < 0) {
    if (action != RB_STOP) return launch(L, idx, 1);
    return rb_fail(L, "drift", RB_NOTDONE, "%s has ended by itself; nothing was done",
                   rb_resource(L)->name);
  }
  lua_pushvalue(L, RB_FACTS);
  lua_pushinteger(L, a->pid);
  lua_setfield(L, -2, "pid");
  lua_pushinteger(L, rb_service_startticks(a->pid));
  lua_setfield(L, -2, "start");
  return rb_pledge(L, idx, tell);
}

const rb_Driver rb_process = {"process", process_look, process_act, process_pushplan, NULL};
