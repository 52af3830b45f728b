/*
** look.c - file's probes, and their answers from what a dry run planned
*/

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "stdlib/file/file.h"

#define MAXLINES 1000000
#define PIECE ((size_t)16 << 20)
#define SUM "file.sum"

static int missing (lua_State *L, const char *path) {
  return rb_fail(L, "missing", RB_NOTDONE, "there is no file %s", path);
}

/* a deed on one of its other names may be one on this file */
static int hasnames (const char *path) {
  struct stat st;
  return lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink > 1;
}

/* [-0, +1 or 0, v]  The planned {value=, mode=} of the file that argument 1
** names: 1. A file planned to be gone: -1. Nothing planned, or not known: 0. */
static int pushplanned (lua_State *L, const char *what) {
  const char *path = rb_file_path(L, 1, RB_FOLLOW, "reads");
  if (hasnames(path)) return 0;  /* without a key: "as of now" */
  int found = rb_planned(L, rb_file_key(L, what, path));
  lua_replace(L, 1);          /* the planned value */
  lua_pop(L, 1);
  lua_replace(L, 2);          /* its path */
  lua_settop(L, 2);
  if (!found) return 0;
  if (!lua_istable(L, 1)) return -1;
  lua_getfield(L, 1, "value");
  return 1;
}

/* -- read, lines ------------------------------------------------------------------ */

int rb_file_read (lua_State *L) {
  rb_Place *p = rb_file_place(L, 1, RB_FOLLOW, "reads");
  rb_describe(L, "read %s", p->path);
  rb_file_pushcontent(L, p, NULL);
  return 1;
}

int rb_file_planread (lua_State *L) {
  lua_settop(L, 2);
  int planned = pushplanned(L, "file");
  if (planned < 0) return missing(L, lua_tostring(L, 2));
  return planned;
}

/* [-0, +1, v]  the text at the top as a list */
static int pushlines (lua_State *L) {
  size_t n;
  const char *s = lua_tolstring(L, -1, &n);
  lua_newtable(L);
  lua_Integer count = 0;
  for (const char *end = s + n; s < end; ) {
    const char *nl = memchr(s, '\n', (size_t)(end - s));
    const char *stop = nl != NULL ? nl : end;
    if (++count > MAXLINES)
      return rb_fail(L, "limit", RB_NOTDONE, "more than %d lines: use log for big "
                     "files", MAXLINES);
    lua_pushlstring(L, s, (size_t)(stop - s));
    lua_rawseti(L, -2, count);
    s = stop + 1;
  }
  return 1;
}

int rb_file_lines (lua_State *L) {
  rb_Place *p = rb_file_place(L, 1, RB_FOLLOW, "reads");
  rb_describe(L, "read %s", p->path);
  rb_file_pushcontent(L, p, NULL);
  return pushlines(L);
}

int rb_file_planlines (lua_State *L) {
  return rb_file_planread(L) == 1 ? pushlines(L) : 0;
}

/* -- stat -------------------------------------------------------------------------- */

static void setstring (lua_State *L, const char *name, const char *s) {
  lua_pushstring(L, s);
  lua_setfield(L, -2, name);
}

static void setinteger (lua_State *L, const char *name, long long n) {
  lua_pushinteger(L, (lua_Integer)n);
  lua_setfield(L, -2, name);
}

static void settime (lua_State *L, time_t t) {
  char text[32];
  struct tm tm;
  gmtime_r(&t, &tm);
  strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
  setstring(L, "modified", text);
}

static void setowner (lua_State *L, const struct stat *st) {
  const struct passwd *u = getpwuid(st->st_uid);
  char number[32];
  snprintf(number, sizeof number, "%lu", (unsigned long)st->st_uid);
  setstring(L, "owner", u != NULL ? u->pw_name : number);
  const struct group *g = getgrgid(st->st_gid);
  snprintf(number, sizeof number, "%lu", (unsigned long)st->st_gid);
  setstring(L, "group", g != NULL ? g->gr_name : number);
}

/* [-0, +1, m] */
static void pushstat (lua_State *L, const struct stat *st) {
  char mode[8];
  lua_createtable(L, 0, 7);
  setstring(L, "type", rb_file_type(st->st_mode));
  setinteger(L, "size", (long long)st->st_size);
  snprintf(mode, sizeof mode, "%04o", (unsigned)st->st_mode & 07777);
  setstring(L, "mode", mode);
  setowner(L, st);
  settime(L, st->st_mtim.tv_sec);
  setinteger(L, "links", (long long)st->st_nlink);
}

int rb_file_stat (lua_State *L) {
  rb_Place *p = rb_file_place(L, 1, RB_FOLLOW, "reads");
  rb_describe(L, "stat %s", p->path);
  if (p->fd < 0) lua_pushnil(L);
  else pushstat(L, &p->st);
  return 1;
}

/* of a file that is written in this run, and so by whoever runs it */
int rb_file_planstat (lua_State *L) {
  struct stat st = {.st_mode = S_IFREG, .st_nlink = 1};
  lua_settop(L, 2);
  int planned = pushplanned(L, "file");
  if (planned == 0) return 0;
  if (planned < 0) {
    lua_pushnil(L);
    return 1;
  }
  if (lstat(lua_tostring(L, 2), &st) != 0) {
    st.st_uid = geteuid();
    st.st_gid = getegid();
  }
  st.st_size = (off_t)lua_rawlen(L, -1);
  st.st_mtim.tv_sec = (time_t)rb_time(L);
  if (lua_getfield(L, 1, "mode") == LUA_TSTRING)
    st.st_mode = S_IFREG | rb_file_mode(L, lua_gettop(L), 0, 0644);
  pushstat(L, &st);
  return 1;
}

/* -- list, hash ---------------------------------------------------------------------- */

int rb_file_list (lua_State *L) {
  rb_Place *p = rb_file_place(L, 1, RB_FOLLOW, "reads");
  rb_describe(L, "list %s", p->path);
  rb_file_pushnames(L, p);
  return 1;
}

int rb_file_planlist (lua_State *L) {
  lua_settop(L, 2);
  return pushplanned(L, "folder") == 1;
}

typedef struct Sum {
  crypto_hash_sha256_state state;
  int fd;              /* -1: closed */
  off_t at;
} Sum;

static int sum_close (lua_State *L) {
  Sum *s = luaL_checkudata(L, 1, SUM);
  if (s->fd >= 0) close(s->fd);
  s->fd = -1;
  return 0;
}

/* [-0, +1, m]  closed; closes itself with the call */
static Sum *pushsum (lua_State *L) {
  Sum *s = lua_newuserdatauv(L, sizeof *s, 0);
  s->fd = -1;
  s->at = 0;
  if (luaL_newmetatable(L, SUM)) {
    lua_pushcfunction(L, sum_close);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, sum_close);
    lua_setfield(L, -2, "__close");
  }
  lua_setmetatable(L, -2);
  lua_toclose(L, -1);
  crypto_hash_sha256_init(&s->state);
  return s;
}

/* 2: place, 3: Sum. A piece at a time, so that all others go on meanwhile */
static int sum_more (lua_State *L, int status, lua_KContext ctx) {
  static unsigned char chunk[1 << 16];  /* filled and used before anything yields */
  const rb_Place *p = lua_touserdata(L, 2);
  Sum *s = lua_touserdata(L, 3);
  char hex[65];
  ssize_t n = 1;
  (void)status; (void)ctx;
  for (size_t got = 0; n > 0 && got < PIECE; got += (size_t)n, s->at += n) {
    n = pread(s->fd, chunk, sizeof chunk, s->at);
    if (n < 0)
      return rb_fail(L, "io", RB_NOTDONE, "%s cannot be read: %s", p->path,
                     strerror(errno));
    crypto_hash_sha256_update(&s->state, chunk, (unsigned long long)n);
  }
  if (n > 0 && rb_timeleft(L) <= 0)
    return rb_fail(L, "timeout", RB_NOTDONE, "%s was not read in time", p->path);
  if (n > 0) return rb_sleep(L, 0, 0, sum_more);
  crypto_hash_sha256_final(&s->state, chunk);
  lua_pushstring(L, sodium_bin2hex(hex, sizeof hex, chunk, crypto_hash_sha256_BYTES));
  return 1;
}

int rb_file_sum (lua_State *L) {
  lua_settop(L, 1);
  rb_Place *p = rb_file_place(L, 1, RB_FOLLOW, "reads");
  rb_describe(L, "hash %s", p->path);
  if (p->fd < 0) return missing(L, p->path);
  if (!S_ISREG(p->st.st_mode))
    return rb_fail(L, "refused", RB_NOTDONE, "%s is a %s, not a file", p->path,
                   rb_file_type(p->st.st_mode));
  Sum *s = pushsum(L);
  s->fd = rb_place_read(p);
  if (s->fd < 0)
    return rb_fail(L, "io", RB_NOTDONE, "%s cannot be read: %s", p->path, strerror(errno));
  return sum_more(L, LUA_OK, 0);
}

int rb_file_plansum (lua_State *L) {
  char hex[65];
  size_t n;
  if (rb_file_planread(L) != 1) return 0;
  const char *s = lua_tolstring(L, -1, &n);
  rb_file_hash(s, n, hex);
  lua_pushstring(L, hex);
  return 1;
}
