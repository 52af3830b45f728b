/*
** child.c - running a program, to its end and no longer
**
** A child is a userdata on the stack of the call that waits for it: whatever
** ends the call closes it, and that kills its process group and closes its
** pipes.
*/

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vm/child.h"

#define CHILD "rb.child"
#define GRACE 2.0                       /* seconds between TERM and KILL */
#define MAXOUTPUT ((size_t)16 << 20)

/* -- close ------------------------------------------------------------------- */

static void shutours (rb_Child *c, int i) {
  if (i < NWATCHED && c->watch[i] != NULL) {
    rb_unwatch(c->watch[i]);
    c->watch[i] = NULL;
  }
  rb_child_shut(&c->fd[i]);
}

static void signalgroup (const rb_Child *c, int sig) {
  if (kill(-c->pid, sig) != 0) kill(c->pid, sig);  /* not yet a group */
}

/* the child is killed, and waited for unless the kernel cannot let it go */
static void reap (rb_Child *c) {
  struct pollfd p = {.fd = c->fd[ENDED], .events = POLLIN};
  if (c->pid <= 0) return;
  signalgroup(c, SIGKILL);
  poll(&p, p.fd >= 0, 1000);
  waitpid(c->pid, NULL, WNOHANG);
  c->pid = 0;
}

static int child_close (lua_State *L) {
  rb_Child *c = luaL_checkudata(L, 1, CHILD);
  reap(c);
  for (int i = 0; i < NFD; i++) {
    shutours(c, i);
    rb_child_shut(&c->theirs[i]);
  }
  rb_fence_close(&c->fence);
  for (int i = 0; i < 2; i++) {
    if (c->out[i].s != NULL)
      c->alloc(c->allocud, c->out[i].s, c->out[i].size, 0);
    c->out[i] = (rb_Bytes){0};
  }
  return 0;
}

/* [-0, +1, m]  closed, to be opened; closes itself with its call */
static rb_Child *pushchild (lua_State *L, const rb_Program *cmd) {
  rb_Child *c = lua_newuserdatauv(L, sizeof *c, 2);
  *c = (rb_Child){.task = rb_self(L), .fence = {-1, NULL}, .max = cmd->maxoutput};
  for (int i = 0; i < NFD; i++) c->fd[i] = c->theirs[i] = -1;
  c->alloc = lua_getallocf(L, &c->allocud);
  if (c->max == 0) c->max = MAXOUTPUT;
  if (luaL_newmetatable(L, CHILD)) {
    lua_pushcfunction(L, child_close);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, child_close);
    lua_setfield(L, -2, "__close");
  }
  lua_setmetatable(L, -2);
  lua_toclose(L, -1);
  if (cmd->input != NULL) {
    c->input = lua_pushlstring(L, cmd->input, cmd->inputlen);
    c->inputlen = cmd->inputlen;
    lua_setiuservalue(L, -2, 1);
  }
  const char *slash = strrchr(cmd->argv[0], '/');
  c->name = lua_pushstring(L, slash != NULL ? slash + 1 : cmd->argv[0]);
  lua_setiuservalue(L, -2, 2);
  return c;
}

/* -- starting --------------------------------------------------------------------- */

static int cannotstart (lua_State *L, const rb_Child *c) {
  return rb_fail(L, "io", RB_NOTDONE, "%s cannot be started: %s", c->name,
                 strerror(errno));
}

static void startchild (lua_State *L, rb_Child *c, const rb_Program *cmd) {
  const char *why = cmd->readonly ? rb_fence_open(&c->fence, cmd) : NULL;
  if (why != NULL)
    rb_fail(L, "refused", RB_NOTDONE, "%s cannot be held read-only: %s",
            c->name, why);
  if (rb_child_fork(c, cmd) != 0) cannotstart(L, c);
  rb_fence_close(&c->fence);
}

/* when the process began, in clock ticks since boot: with its pid a name that
** is never given again; 0 when it is not known */
static long long startticks (pid_t pid) {
  char path[64], stat[1024];
  long long ticks = 0;
  snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
  FILE *f = fopen(path, "re");
  if (f == NULL) return 0;
  size_t n = fread(stat, 1, sizeof stat - 1, f);
  fclose(f);
  stat[n] = '\0';
  const char *p = strrchr(stat, ')');  /* the name may hold anything */
  for (int field = 2; p != NULL && field < 22; field++) p = strchr(p + 1, ' ');
  if (p != NULL) ticks = strtoll(p + 1, NULL, 10);
  return ticks;
}

/* [-0, +1, m]  what is needed to look at the child later */
static void pushfacts (lua_State *L, const rb_Child *c, const rb_Program *cmd) {
  if (cmd->facts != 0) lua_pushvalue(L, cmd->facts);
  else lua_createtable(L, 0, 3);
  lua_pushinteger(L, c->pid);
  lua_setfield(L, -2, "pid");
  lua_pushinteger(L, startticks(c->pid));
  lua_setfield(L, -2, "start");
  lua_newtable(L);
  for (lua_Integer i = 0; cmd->argv[i] != NULL; i++) {
    lua_pushstring(L, cmd->argv[i]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "argv");
}

/* -- reading and writing ------------------------------------------------------------ */

/* 1: there is room for more */
static int grow (rb_Child *c, rb_Bytes *b) {
  if (b->n < b->size) return 1;
  if (b->size > c->max) {
    c->why = TOOMUCH;
    return 0;
  }
  size_t size = b->size == 0 ? 4096 : b->size * 2;
  if (size > c->max) size = c->max + 1;  /* one byte more shows the excess */
  char *s = c->alloc(c->allocud, b->s, b->size, size);
  if (s == NULL) {
    c->why = NOMEMORY;
    return 0;
  }
  b->s = s;
  b->size = size;
  return 1;
}

static void pumpout (rb_Child *c, int which) {
  rb_Bytes *b = &c->out[which];
  while (c->fd[which] >= 0 && grow(c, b)) {
    ssize_t n = read(c->fd[which], b->s + b->n, b->size - b->n);
    if (n > 0) b->n += (size_t)n;
    else if (n == 0 || (errno != EAGAIN && errno != EINTR)) shutours(c, which);
    else if (errno == EAGAIN) return;
  }
}

static void pumpin (rb_Child *c) {
  while (c->fd[IN] >= 0) {
    if (c->inputlen == 0) {
      shutours(c, IN);
      return;
    }
    ssize_t n = write(c->fd[IN], c->input, c->inputlen);
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) shutours(c, IN);  /* it does not want more */
    else {
      c->input += n;
      c->inputlen -= (size_t)n;
    }
  }
}

static void pumpreport (rb_Child *c) {
  while (c->fd[REPORT] >= 0) {
    ssize_t n = read(c->fd[REPORT], (char *)&c->report + c->reported,
                     sizeof c->report - c->reported);
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0 && errno == EINTR) continue;
    if (n > 0) c->reported += (size_t)n;
    if (n <= 0 || c->reported == sizeof c->report) shutours(c, REPORT);
  }
}

static void pump (rb_Child *c) {
  pumpreport(c);
  pumpin(c);
  for (int i = OUT; i <= ERR; i++) pumpout(c, i);
}

/* -- the end ----------------------------------------------------------------------------- */

/* has it ended? (It is not reaped: its group cannot be another's yet.) */
static int ended (const rb_Child *c) {
  siginfo_t si = {0};
  return waitid(P_PID, (id_t)c->pid, &si, WEXITED | WNOHANG | WNOWAIT) == 0
         && si.si_pid != 0;
}

static int failtostart (lua_State *L, const rb_Child *c) {
  errno = c->report.error;
  switch (c->report.stage) {
    case FOLDER:
      return rb_fail(L, "missing", RB_NOTDONE, "%s: its folder (cwd) cannot be "
                     "entered: %s", c->name, strerror(errno));
    case FENCE:
      return rb_fail(L, "refused", RB_NOTDONE, "%s cannot be held read-only: %s",
                     c->name, strerror(errno));
    default: break;
  }
  if (c->report.stage == EXEC && errno == ENOENT)
    return rb_fail(L, "missing", RB_NOTDONE, "%s cannot be started: it, or the "
                   "interpreter that its first line names, is not there", c->name);
  if (c->report.stage == EXEC && errno == EACCES)
    return rb_fail(L, "refused", RB_NOTDONE, "%s cannot be started: it is not "
                   "executable", c->name);
  return cannotstart(L, c);
}

/* the last words on standard error, for a message; at most 'n' bytes */
static const char *lastwords (const rb_Child *c, int *n) {
  const rb_Bytes *b = &c->out[ERR];
  size_t end = b->n;
  while (end > 0 && (unsigned char)b->s[end - 1] <= ' ') end--;
  size_t from = end > 300 ? end - 300 : 0;
  while (from > 0 && from < end && ((unsigned char)b->s[from] & 0xc0) == 0x80)
    from++;  /* not in the middle of a character */
  *n = (int)(end - from);
  return b->s != NULL ? b->s + from : "";
}

/* What only looks has changed nothing, however it ended. */
static rb_Certainty certainty (lua_State *L) {
  return rb_maychange(L) ? RB_UNKNOWN : RB_NOTDONE;
}

static int failtoend (lua_State *L, const rb_Child *c) {
  int n, mb = c->max % (1 << 20) == 0;
  const char *words = lastwords(c, &n), *colon = n > 0 ? ": " : "";
  switch (c->why) {
    case TIMEOUT:
      return rb_fail(L, "timeout", certainty(L), "%s did not end in time and was "
                     "stopped%s%.*s", c->name, colon, n, words);
    case TOOMUCH:
      return rb_fail(L, "limit", certainty(L), "%s wrote more than %zu %s and was stopped",
                     c->name, mb ? c->max >> 20 : c->max, mb ? "MB" : "bytes");
    default:
      return rb_fail(L, "limit", certainty(L), "%s wrote more than the script's "
                     "memory holds and was stopped", c->name);
  }
}

/* [-0, +1, m] */
static void pushresult (lua_State *L, const rb_Child *c, int status) {
  static const char *const names[] = {"stdout", "stderr"};
  lua_createtable(L, 0, 4);
  int sig = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  lua_pushinteger(L, sig != 0 ? 128 + sig : WEXITSTATUS(status));
  lua_setfield(L, -2, "code");
  if (sig != 0) {
    lua_pushinteger(L, sig);
    lua_setfield(L, -2, "signal");
  }
  for (int i = OUT; i <= ERR; i++) {
    lua_pushlstring(L, c->out[i].s != NULL ? c->out[i].s : "", c->out[i].n);
    lua_setfield(L, -2, names[i]);
  }
}

/* [-1, +?, vy]  the child at 'idx' has become its program, and is let go */
static int release (lua_State *L, rb_Child *c, int idx) {
  lua_KFunction k = c->k;
  lua_KContext ctx = c->ctx;
  lua_createtable(L, 0, 2);
  lua_pushinteger(L, c->pid);
  lua_setfield(L, -2, "pid");
  lua_pushinteger(L, startticks(c->pid));
  lua_setfield(L, -2, "start");
  c->pid = 0;
  rb_grace(L, 0);
  lua_closeslot(L, idx);
  lua_replace(L, idx);
  return k(L, LUA_YIELD, ctx);
}

/* [-1, +?, vy]  the child at 'idx' has ended: nothing of it stays */
static int finish (lua_State *L, rb_Child *c, int idx) {
  int status = 0;
  lua_KFunction k = c->k;
  lua_KContext ctx = c->ctx;
  kill(-c->pid, SIGKILL);
  waitpid(c->pid, &status, 0);
  c->pid = 0;
  rb_grace(L, 0);
  pump(c);
  if (c->reported == sizeof c->report) return failtostart(L, c);
  if (c->why != RUNNING) return failtoend(L, c);
  pushresult(L, c, status);
  lua_closeslot(L, idx);
  lua_replace(L, idx);
  return k(L, LUA_YIELD, ctx);
}

/* -- waiting ----------------------------------------------------------------------------- */

static void onready (void *ud, short revents) {
  rb_Child *c = ud;
  (void)revents;
  if (!c->awake) rb_wake(c->task);
  c->awake = 1;
}

static void watchall (lua_State *L, rb_Child *c) {
  for (int i = 0; i < NWATCHED; i++) {
    if (c->fd[i] < 0 || c->watch[i] != NULL) continue;
    c->watch[i] = rb_watch(L, c->fd[i], i == IN ? POLLOUT : POLLIN, onready, c);
    if (c->watch[i] == NULL) luaL_error(L, "not enough memory");
  }
}

/* first asked to end, then made to */
static void outoftime (lua_State *L, rb_Child *c) {
  if (c->killed) {
    rb_grace(L, 0);
    rb_fail(L, "timeout", certainty(L), "%s cannot be stopped: process %ld hangs "
            "in the kernel", c->name, (long)c->pid);
  }
  c->killed = c->why != RUNNING;
  signalgroup(c, c->killed ? SIGKILL : SIGTERM);
  c->why = TIMEOUT;
  rb_grace(L, GRACE);
}

static int turn (lua_State *L, int status, lua_KContext idx) {
  rb_Child *c = lua_touserdata(L, (int)idx);
  (void)status;
  lua_settop(L, (int)idx);
  c->awake = 0;
  pump(c);
  if ((c->why == TOOMUCH || c->why == NOMEMORY) && !c->killed) {
    c->killed = 1;
    signalgroup(c, SIGKILL);
    for (int i = OUT; i <= IN; i++) shutours(c, i);
  }
  if (c->detach && c->fd[REPORT] < 0 && c->reported == 0)
    return release(L, c, (int)idx);
  if (ended(c)) return finish(L, c, (int)idx);
  if (rb_timeleft(L) <= 0) outoftime(L, c);
  watchall(L, c);
  return rb_park(L, idx, turn);
}

/* the intent is durable: the child may go on */
static int letgo (lua_State *L, int status, lua_KContext idx) {
  rb_Child *c = lua_touserdata(L, (int)idx);
  if (c->fd[GO] >= 0 && write(c->fd[GO], "", 1) != 1)
    return rb_fail(L, "io", RB_NOTDONE, "%s ended before it began", c->name);
  shutours(c, GO);
  return turn(L, status, idx);
}

int rb_spawn (lua_State *L, const rb_Program *cmd, lua_KContext ctx,
              lua_KFunction k) {
  if (!cmd->readonly && !rb_maychange(L))
    return luaL_error(L, "a command that may change things was started where "
                      "nothing may change");
  rb_Child *c = pushchild(L, cmd);
  int idx = lua_gettop(L);
  c->detach = cmd->detach;
  c->ctx = ctx;
  c->k = k;
  startchild(L, c, cmd);
  if (!cmd->pledge) return letgo(L, LUA_OK, idx);
  pushfacts(L, c, cmd);
  return rb_pledge(L, idx, letgo);
}
