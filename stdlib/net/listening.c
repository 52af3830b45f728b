/*
** listening.c - who holds a port of this machine
**
** /proc/net/tcp tells which sockets listen, and whose they are; which process
** has such a socket open is found by looking through all of them, in a thread of its
** own.
*/

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stdlib/common/proc.h"
#include "stdlib/net/net.h"

#define MOST 64        /* sockets of a port, and processes that hold them */
#define LISTENING 0x0A

typedef struct Holders {
  int port, error;
  int nsockets, npids;
  struct { unsigned long inode; uid_t uid; char address[64]; } sockets[MOST];
  pid_t pids[MOST];
  int hidden;          /* processes that we may not look into */
  char user[64];
  rb_Proc first;
} Holders;

/* -- sockets ------------------------------------------------------------------------ */

/* the kernel's hexadecimal words, each in this machine's order of bytes */
static void readaddress (const char *hex, char *out, size_t size) {
  unsigned char raw[16];
  size_t n = strlen(hex) / 8;
  for (size_t i = 0; i < n && i < 4; i++) {
    char word[9];
    memcpy(word, hex + 8 * i, 8);
    word[8] = '\0';
    uint32_t value = (uint32_t)strtoul(word, NULL, 16);
    memcpy(raw + 4 * i, &value, 4);
  }
  inet_ntop(n == 1 ? AF_INET : AF_INET6, raw, out, (socklen_t)size);
}

static void readline (Holders *h, const char *line) {
  char hex[40];
  unsigned port, state, uid;
  unsigned long inode;
  if (sscanf(line, " %*d: %32[0-9A-F]:%X %*[0-9A-F]:%*X %X %*X:%*X %*X:%*X %*X %u %*d %lu",
             hex, &port, &state, &uid, &inode) != 5) return;
  if (state != LISTENING || port != (unsigned)h->port || h->nsockets == MOST) return;
  h->sockets[h->nsockets].inode = inode;
  h->sockets[h->nsockets].uid = uid;
  readaddress(hex, h->sockets[h->nsockets].address, sizeof h->sockets[0].address);
  h->nsockets++;
}

static void readsockets (Holders *h, const char *file) {
  char line[512];
  FILE *f = fopen(file, "re");
  if (f == NULL) {       /* a machine without IPv6 has no tcp6 */
    if (errno != ENOENT) h->error = errno;
    return;
  }
  while (fgets(line, sizeof line, f) != NULL) readline(h, line);
  fclose(f);
}

/* -- processes ------------------------------------------------------------------------ */

/* is this link of /proc/PID/fd one of the sockets? */
static int isours (const Holders *h, int folder, const char *name) {
  char target[64];
  unsigned long inode;
  ssize_t n = readlinkat(folder, name, target, sizeof target - 1);
  if (n <= 0) return 0;
  target[n] = '\0';
  if (sscanf(target, "socket:[%lu]", &inode) != 1) return 0;
  for (int i = 0; i < h->nsockets; i++)
    if (h->sockets[i].inode == inode) return 1;
  return 0;
}

static int holds (Holders *h, pid_t pid) {
  char path[64];
  int found = 0;
  snprintf(path, sizeof path, "/proc/%ld/fd", (long)pid);
  DIR *d = opendir(path);
  if (d == NULL) {
    h->hidden += errno == EACCES;
    return 0;
  }
  for (struct dirent *e; !found && (e = readdir(d)) != NULL; )
    found = isdigit((unsigned char)*e->d_name) && isours(h, dirfd(d), e->d_name);
  closedir(d);
  return found;
}

static void search (void *job) {
  Holders *h = job;
  size_t n = 0;
  readsockets(h, "/proc/net/tcp");
  readsockets(h, "/proc/net/tcp6");
  if (h->nsockets == 0) return;
  pid_t *pids = rb_proc_all(&n);
  for (size_t i = 0; i < n && h->npids < MOST; i++)
    if (holds(h, pids[i])) h->pids[h->npids++] = pids[i];
  free(pids);
  rb_proc_user(h->sockets[0].uid, h->user, sizeof h->user);
  if (h->npids > 0 && rb_proc_read(h->pids[0], &h->first))
    rb_proc_user(h->first.uid, h->user, sizeof h->user);
}

static void drop (void *job) {
  free(((Holders *)job)->first.command);
}

/* -- push --------------------------------------------------------------------------------- */

static void setstring (lua_State *L, const char *name, const char *s) {
  if (s == NULL) return;
  lua_pushstring(L, s);
  lua_setfield(L, -2, name);
}

/* [-0, +0, m]  of the table at the top: each address once */
static void setaddresses (lua_State *L, const Holders *h) {
  lua_newtable(L);
  for (int i = 0; i < h->nsockets; i++) {
    int known = 0;
    for (int k = 0; k < i; k++)
      known |= strcmp(h->sockets[k].address, h->sockets[i].address) == 0;
    if (known) continue;
    lua_pushstring(L, h->sockets[i].address);
    lua_rawseti(L, -2, luaL_len(L, -2) + 1);
  }
  lua_setfield(L, -2, "addresses");
}

/* [-0, +1, m] */
static void pushholders (lua_State *L, const Holders *h) {
  lua_createtable(L, 0, 7);
  setaddresses(L, h);
  setstring(L, "user", h->user);
  lua_createtable(L, h->npids, 0);
  for (int i = 0; i < h->npids; i++) {
    lua_pushinteger(L, h->pids[i]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "pids");
  if (h->npids == 0) {
    if (h->hidden > 0)
      lua_pushfstring(L, "a process of %s holds it; only %s can see which", h->user,
                      strcmp(h->user, "root") == 0 ? "root" : "that user or root");
    else
      lua_pushfstring(L, "a process of %s holds it, outside of this container", h->user);
    lua_setfield(L, -2, "reason");
    return;
  }
  lua_pushinteger(L, h->pids[0]);
  lua_setfield(L, -2, "pid");
  setstring(L, "program", h->first.program);
  setstring(L, "command", h->first.command);
}

static int found (lua_State *L, int status, lua_KContext ctx) {
  (void)status; (void)ctx;
  const Holders *h = rb_aside_done(L, -1);
  int port = (int)lua_tointeger(L, 1);
  if (h == NULL)
    return rb_fail(L, "timeout", RB_NOTDONE, "net.listening: /proc does not answer (a "
                   "process may be stuck in the kernel)");
  if (h->error != 0)
    return rb_fail(L, "io", RB_NOTDONE, "net.listening: /proc/net/tcp: %s",
                   strerror(h->error));
  if (h->nsockets == 0) {
    rb_describe(L, "port %d: nobody listens", port);
    lua_pushnil(L);
    return 1;
  }
  rb_describe(L, "port %d: %s, pid %d", port, h->npids > 0 ? h->first.program : h->user,
              h->npids > 0 ? (int)h->pids[0] : 0);
  pushholders(L, h);
  return 1;
}

int rb_net_listening (lua_State *L) {
  lua_Integer port = luaL_checkinteger(L, 1);
  luaL_argcheck(L, port >= 1 && port <= 65535, 1, "a port is a number from 1 to 65535");
  Holders h = {.port = (int)port};
  lua_settop(L, 1);
  rb_describe(L, "who listens on port %d", h.port);
  rb_timeout(L, 10);
  return rb_aside(L, &h, sizeof h, search, drop, 0, found);
}
