/*
** host.c - this machine: disk, memory, load, processes
**
** Bytes are bytes and seconds are seconds. What can block (a file system that is
** gone, a process that is stuck) is asked in a thread of its own.
*/

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "stdlib/common/proc.h"
#include "vm/module.h"

#define WITHIN 10.0       /* seconds that a look at this machine may take */
#define MOST 20000        /* processes in one answer */

/* -- push ---------------------------------------------------------------------- */

static void setinteger (lua_State *L, const char *name, long long n) {
  lua_pushinteger(L, (lua_Integer)n);
  lua_setfield(L, -2, name);
}

static void setnumber (lua_State *L, const char *name, double n) {
  lua_pushnumber(L, n);
  lua_setfield(L, -2, name);
}

static void setstring (lua_State *L, const char *name, const char *s) {
  lua_pushstring(L, s);
  lua_setfield(L, -2, name);
}

/* -- disk ------------------------------------------------------------------------ */

typedef struct Disk {
  int error;
  struct statvfs st;
  char path[4096];
} Disk;

static void lookdisk (void *job) {
  Disk *d = job;
  d->error = statvfs(d->path, &d->st) == 0 ? 0 : errno;
}

/* as `df` counts: what only root may use is neither free nor used */
static void pushdisk (lua_State *L, const struct statvfs *st) {
  long long block = (long long)st->f_frsize;
  long long free = (long long)st->f_bavail * block;
  long long used = ((long long)st->f_blocks - (long long)st->f_bfree) * block;
  lua_createtable(L, 0, 6);
  setinteger(L, "total", (long long)st->f_blocks * block);
  setinteger(L, "free", free);
  setinteger(L, "used", used);
  setinteger(L, "percent", used + free > 0
             ? (long long)ceil(100.0 * (double)used / (double)(used + free)) : 0);
  setinteger(L, "files_total", (long long)st->f_files);
  setinteger(L, "files_free", (long long)st->f_favail);
}

static int lookeddisk (lua_State *L, int status, lua_KContext ctx) {
  (void)status; (void)ctx;
  const char *path = lua_tostring(L, 1);
  const Disk *d = rb_aside_done(L, -1);
  if (d == NULL)
    return rb_fail(L, "timeout", RB_NOTDONE, "host.disk: the file system of %s does not "
                   "answer", path);
  if (d->error != 0)
    return rb_fail(L, d->error == ENOENT ? "missing" : "io", RB_NOTDONE,
                   "host.disk: %s: %s", path, strerror(d->error));
  pushdisk(L, &d->st);
  return 1;
}

static int disk (lua_State *L) {
  size_t n;
  Disk d = {0};
  const char *path = luaL_checklstring(L, 1, &n);
  luaL_argcheck(L, *path == '/' && n < sizeof d.path && strlen(path) == n, 1,
                "an absolute path expected: the file system that holds it is looked at");
  memcpy(d.path, path, n);
  lua_settop(L, 1);
  rb_describe(L, "disk of %s", path);
  rb_timeout(L, WITHIN);
  return rb_aside(L, &d, sizeof d, lookdisk, NULL, 0, lookeddisk);
}

/* -- memory, load ------------------------------------------------------------------ */

static int cannot (lua_State *L, const char *file) {
  return rb_fail(L, "io", RB_NOTDONE, "host: %s cannot be read: %s", file,
                 strerror(errno));
}

/* [-0, +1, v] */
static const char *pushfile (lua_State *L, const char *file) {
  char text[8192];
  FILE *f = fopen(file, "re");
  if (f == NULL) cannot(L, file);
  size_t n = fread(text, 1, sizeof text, f);
  fclose(f);
  return lua_pushlstring(L, text, n);
}

/* a line of /proc/meminfo, in bytes */
static long long meminfo (const char *text, const char *name) {
  const char *at = strstr(text, name);
  return at != NULL ? atoll(at + strlen(name)) * 1024 : 0;
}

static int memory (lua_State *L) {
  rb_describe(L, "memory");
  const char *text = pushfile(L, "/proc/meminfo");
  long long total = meminfo(text, "MemTotal:"), free = meminfo(text, "MemAvailable:");
  lua_createtable(L, 0, 5);
  setinteger(L, "total", total);
  setinteger(L, "available", free);
  setinteger(L, "used", total - free);
  setinteger(L, "swap_total", meminfo(text, "SwapTotal:"));
  setinteger(L, "swap_free", meminfo(text, "SwapFree:"));
  return 1;
}

static int load (lua_State *L) {
  double one, five, fifteen;
  rb_describe(L, "load");
  const char *text = pushfile(L, "/proc/loadavg");
  if (sscanf(text, "%lf %lf %lf", &one, &five, &fifteen) != 3)
    return rb_fail(L, "data", RB_NOTDONE, "host: /proc/loadavg has another format");
  lua_createtable(L, 0, 4);
  setnumber(L, "one", one);
  setnumber(L, "five", five);
  setnumber(L, "fifteen", fifteen);
  setinteger(L, "cpus", sysconf(_SC_NPROCESSORS_ONLN));
  return 1;
}

/* -- processes ----------------------------------------------------------------------- */

typedef struct Census {
  char match[1024], user[64];  /* "": all */
  rb_Proc *found;
  char (*users)[64];           /* of each */
  size_t n, size;
  int error, toomany;
} Census;

/* one more; 0: no room */
static int keep (Census *c, const rb_Proc *p, const char *user) {
  if (c->n == MOST) {
    c->toomany = 1;
    return 0;
  }
  if (c->n == c->size) {
    size_t size = c->size > 0 ? c->size * 2 : 64;
    rb_Proc *found = realloc(c->found, size * sizeof *found);
    if (found != NULL) c->found = found;
    char (*users)[64] = realloc(c->users, size * sizeof *users);
    if (users != NULL) c->users = users;
    if (found == NULL || users == NULL) {
      c->error = ENOMEM;
      return 0;
    }
    c->size = size;
  }
  c->found[c->n] = *p;
  snprintf(c->users[c->n++], sizeof *c->users, "%s", user);
  return 1;
}

static int wanted (const Census *c, const rb_Proc *p, const char *user) {
  const char *words = p->command != NULL ? p->command : p->program;
  return (*c->match == '\0' || strstr(words, c->match) != NULL)
         && (*c->user == '\0' || strcmp(c->user, user) == 0);
}

static void census (void *job) {
  Census *c = job;
  char user[64] = "";
  size_t n = 0;
  rb_Proc p;
  uid_t last = (uid_t)-1;
  pid_t *pids = rb_proc_all(&n);
  if (n == 0) c->error = errno;
  for (size_t i = 0; i < n && c->error == 0 && !c->toomany; i++) {
    if (pids[i] == getpid() || !rb_proc_read(pids[i], &p)) continue;
    if (p.uid != last) rb_proc_user(p.uid, user, sizeof user);
    last = p.uid;
    if (!wanted(c, &p, user) || !keep(c, &p, user)) free(p.command);
  }
  free(pids);
}

static void dropcensus (void *job) {
  Census *c = job;
  for (size_t i = 0; i < c->n; i++) free(c->found[i].command);
  free(c->found);
  free(c->users);
}

static const char *stateof (char c) {
  static const struct { char c; const char *word; } states[] = {
    {'R', "running"}, {'S', "sleeping"}, {'I', "sleeping"}, {'D', "waiting"},
    {'T', "stopped"}, {'t', "stopped"}, {'Z', "zombie"}, {'X', "gone"}
  };
  for (size_t i = 0; i < sizeof states / sizeof *states; i++)
    if (states[i].c == c) return states[i].word;
  return "unknown";
}

/* [-0, +1, m] */
static void pushprocess (lua_State *L, const rb_Proc *p, const char *user) {
  lua_createtable(L, 0, 9);
  setinteger(L, "pid", p->pid);
  setinteger(L, "parent", p->parent);
  setstring(L, "user", user);
  setstring(L, "program", p->program);
  if (p->command != NULL) setstring(L, "command", p->command);
  else {
    lua_pushfstring(L, "[%s]", p->program);
    lua_setfield(L, -2, "command");
  }
  setstring(L, "state", stateof(p->state));
  setinteger(L, "memory", p->memory);
  setnumber(L, "cpu", p->cpu);
  setinteger(L, "started", (long long)p->started);
}

static int counted (lua_State *L, int status, lua_KContext ctx) {
  (void)status; (void)ctx;
  const Census *c = rb_aside_done(L, -1);
  if (c == NULL)
    return rb_fail(L, "timeout", RB_NOTDONE, "host.processes: /proc does not answer (a "
                   "process may be stuck in the kernel)");
  if (c->error != 0)
    return rb_fail(L, "io", RB_NOTDONE, "host.processes: /proc: %s", strerror(c->error));
  if (c->toomany)
    return rb_fail(L, "limit", RB_NOTDONE, "host.processes: more than %d processes: "
                   "say which with match or user", MOST);
  lua_createtable(L, (int)c->n, 0);
  for (size_t i = 0; i < c->n; i++) {
    pushprocess(L, &c->found[i], c->users[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/* a field of the table at 1, as text; "" where it has none */
static void checktext (lua_State *L, const char *name, char *out, size_t size) {
  if (lua_getfield(L, 1, name) != LUA_TNIL) {
    const char *s = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
    luaL_argcheck(L, *s != '\0' && strlen(s) < size, 1,
                  lua_pushfstring(L, "%s: a text expected", name));
    strcpy(out, s);
  }
  lua_pop(L, 1);
}

static void checkfields (lua_State *L) {
  lua_pushnil(L);
  while (lua_next(L, 1) != 0) {
    lua_pop(L, 1);
    const char *name = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
    if (strcmp(name, "match") == 0 || strcmp(name, "user") == 0) continue;
    luaL_argerror(L, 1, lua_pushfstring(L, "no field \"%s\"; it takes match and user",
                                        luaL_tolstring(L, -1, NULL)));
  }
}

static int processes (lua_State *L) {
  Census c = {.match = ""};
  if (!lua_isnoneornil(L, 1)) {
    luaL_checktype(L, 1, LUA_TTABLE);
    checkfields(L);
    checktext(L, "match", c.match, sizeof c.match);
    checktext(L, "user", c.user, sizeof c.user);
  }
  rb_describe(L, "processes%s%s%s%s", *c.match ? " with " : "", c.match,
              *c.user ? " of " : "", c.user);
  rb_timeout(L, WITHIN);
  return rb_aside(L, &c, sizeof c, census, dropcensus, 0, counted);
}

/* -- rows ------------------------------------------------------------------------------ */

static const rb_Reg functions[] = {
  {"disk", RB_PROBE, disk, NULL,
   "disk(path) -> {total = bytes, free = bytes, used = bytes, percent, files_total, "
   "files_free} : the file system that holds an absolute path, as `df` counts: `free` is "
   "what one who is not root may use, `percent` is used of used and free, `files_*` are "
   "inodes. Fails with \"missing\" where there is no such path, \"timeout\" where the file "
   "system does not answer within 10 s", NULL, NULL},
  {"memory", RB_PROBE, memory, NULL,
   "memory() -> {total = bytes, available = bytes, used = bytes, swap_total = bytes, "
   "swap_free = bytes} : of the machine; `available` is what programs can still get without "
   "swapping, `used` the rest. A container's own limit is not looked at", NULL, NULL},
  {"load", RB_PROBE, load, NULL,
   "load() -> {one, five, fifteen, cpus} : how many processes ran or waited to run, "
   "averaged over 1, 5 and 15 minutes; more than `cpus` means that they queue", NULL, NULL},
  {"processes", RB_PROBE, processes, NULL,
   "processes([{match=, user=}]) -> {{pid, parent, user, program, command, state, memory = "
   "bytes, cpu = seconds, started}, ...} : by pid, without this one. `match` is plain text "
   "that the command line contains, `user` a name. `memory` is bytes in RAM, `cpu` seconds "
   "used so far, `started` a time; `state` is running, sleeping, waiting (for a device), "
   "stopped or zombie. A machine may hide the processes of others", NULL, NULL},
  RB_END
};

const rb_Module rb_module = {
  .interface = RB_INTERFACE, .name = "host",
  .doc = "this machine: disks, memory, load, processes",
  .functions = functions
};
