/*
** archive.c - a file in the backup folder: opened by its name, and read to its end
*/

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stdlib/backup/backup.h"

#define ARCHIVE "backup.archive"

const char *const rb_formats[] = {"empty", "plain", "custom", "gzip", "unknown"};

/* -- close ------------------------------------------------------------------------ */

static int removeone (const char *path, const struct stat *st, int type, struct FTW *at) {
  (void)st; (void)type; (void)at;
  if (remove(path) != 0 && errno != ENOENT) return 0;
  return 0;
}

static int archive_close (lua_State *L) {
  rb_Archive *a = luaL_checkudata(L, 1, ARCHIVE);
  if (a->scratch[0] != '\0') nftw(a->scratch, removeone, 4, FTW_DEPTH | FTW_PHYS);
  a->scratch[0] = '\0';
  if (a->fd >= 0) close(a->fd);
  if (a->dir >= 0) close(a->dir);
  a->fd = a->dir = -1;
  rb_scan_free(&a->scan);
  return 0;
}

/* -- open --------------------------------------------------------------------------- */

/* [-0, +1, m]  closed; closes itself with its call */
static rb_Archive *push (lua_State *L) {
  rb_Archive *a = lua_newuserdatauv(L, sizeof *a, 0);
  *a = (rb_Archive){.r = rb_resource(L), .dir = -1, .fd = -1};
  if (luaL_newmetatable(L, ARCHIVE)) {
    lua_pushcfunction(L, archive_close);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, archive_close);
    lua_setfield(L, -2, "__close");
  }
  lua_setmetatable(L, -2);
  lua_toclose(L, -1);
  return a;
}

rb_Archive *rb_archive_folder (lua_State *L) {
  rb_Archive *a = push(L);
  if (rb_setting(L, (rb_Resource *)a->r, "path") != LUA_TSTRING)
    rb_fail(L, "missing", RB_NOTDONE, "%s: it has no `path` in the configuration", a->r->name);
  const char *path = lua_tostring(L, -1);
  if (realpath(path, a->folder) == NULL || (a->dir = open(a->folder, O_RDONLY | O_DIRECTORY
                                                          | O_CLOEXEC)) < 0)
    rb_fail(L, errno == ENOENT ? "missing" : "io", RB_NOTDONE, "%s: the folder %s cannot be "
            "opened: %s", a->r->name, path, strerror(errno));
  lua_pop(L, 1);
  return a;
}

rb_Format rb_archive_format (int fd) {
  char head[2048] = "";
  ssize_t n = pread(fd, head, sizeof head - 1, 0);
  if (n <= 0) return n == 0 ? RB_EMPTY : RB_OTHER;
  if (n >= 5 && memcmp(head, "PGDMP", 5) == 0) return RB_CUSTOM;
  if (n >= 2 && memcmp(head, "\x1f\x8b", 2) == 0) return RB_GZIP;
  return strstr(head, "-- PostgreSQL database ") != NULL ? RB_PLAIN : RB_OTHER;
}

int rb_archive_has (const rb_Archive *a, const char *name) {
  return faccessat(a->dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* A name in the folder, or its whole path there. */
static void takename (lua_State *L, rb_Archive *a, int idx) {
  size_t n;
  const char *given = luaL_checklstring(L, idx, &n), *name = given;
  const char *slash = strrchr(given, '/');
  char folder[PATH_MAX];
  if (slash != NULL && slash > given && (size_t)(slash - given) < sizeof folder) {
    char resolved[PATH_MAX];
    snprintf(folder, sizeof folder, "%.*s", (int)(slash - given), given);
    if (*given == '/' && realpath(folder, resolved) != NULL
        && strcmp(resolved, a->folder) == 0) name = slash + 1;
  }
  if (strlen(given) != n || *name == '\0' || *name == '.' || strchr(name, '/') != NULL
      || strlen(name) > NAME_MAX)
    rb_fail(L, "refused", RB_NOTDONE, "%s: \"%s\" is no name of a dump in %s", a->r->name,
            given, a->folder);
  strcpy(a->name, name);
  snprintf(a->path, sizeof a->path, "%s/%s", a->folder, name);
}

rb_Archive *rb_archive_open (lua_State *L, int idx) {
  struct stat st;
  rb_Archive *a = rb_archive_folder(L);
  takename(L, a, idx);
  a->fd = openat(a->dir, a->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (a->fd < 0 || fstat(a->fd, &st) != 0)
    rb_fail(L, errno == ENOENT ? "missing" : "io", RB_NOTDONE, errno == ENOENT
            ? "%s: there is no dump %s%s" : "%s: %s cannot be opened: %s", a->r->name,
            a->path, errno == ENOENT ? "" : strerror(errno));
  if (!S_ISREG(st.st_mode))
    rb_fail(L, "refused", RB_NOTDONE, "%s: %s is not a file", a->r->name, a->path);
  a->bytes = st.st_size;
  a->at = (double)st.st_mtim.tv_sec;
  snprintf(a->image, sizeof a->image, "%llu %lld %lld.%09ld", (unsigned long long)st.st_ino,
           (long long)st.st_size, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
  a->format = rb_archive_format(a->fd);
  return a;
}

void rb_archive_scratch (lua_State *L, rb_Archive *a) {
  snprintf(a->scratch, sizeof a->scratch, "%s/.runbook-XXXXXX", a->folder);
  if (mkdtemp(a->scratch) != NULL) return;
  a->scratch[0] = '\0';
  rb_fail(L, "io", RB_NOTDONE, "%s: nothing can be written to %s: %s", a->r->name, a->folder,
          strerror(errno));
}

/* -- reading it, in a thread ----------------------------------------------------------- */

typedef struct Reading {
  int fd, error;
  rb_Scan scan;
} Reading;

static void readall (void *job) {
  Reading *r = job;
  char *room = malloc(1 << 18);
  off_t at = 0;
  ssize_t n = -1;
  r->scan.failed |= room == NULL;
  while (!r->scan.failed && (n = pread(r->fd, room, 1 << 18, at)) > 0) {
    rb_scan_feed(&r->scan, room, (size_t)n);
    at += n;
  }
  if (!r->scan.failed && n < 0) r->error = errno;
  if (r->scan.n > 0) rb_scan_feed(&r->scan, "\n", 1);
  free(room);
}

static void drop (void *job) {
  Reading *r = job;
  close(r->fd);
  rb_scan_free(&r->scan);
}

static int scanned (lua_State *L, int status, lua_KContext idx) {
  rb_Archive *a = lua_touserdata(L, (int)idx);
  Reading *r = rb_aside_done(L, -1);
  if (r == NULL)
    return rb_fail(L, "timeout", RB_NOTDONE, "%s: %s could not be read in time", a->r->name,
                   a->path);
  if (r->error != 0)
    return rb_fail(L, "io", RB_NOTDONE, "%s: %s cannot be read: %s", a->r->name, a->path,
                   strerror(r->error));
  if (r->scan.failed) return luaL_error(L, "not enough memory");
  rb_scan_free(&a->scan);
  a->scan = r->scan;
  r->scan = (rb_Scan){0};
  lua_pop(L, 1);
  return a->k(L, status, a->ctx);
}

int rb_archive_scan (lua_State *L, int idx, int fd, lua_KContext ctx, lua_KFunction k) {
  rb_Archive *a = lua_touserdata(L, idx);
  Reading r = {.fd = fcntl(fd, F_DUPFD_CLOEXEC, 3)};
  a->ctx = ctx;
  a->k = k;
  if (r.fd < 0) return luaL_error(L, "too many open files");
  return rb_aside(L, &r, sizeof r, readall, drop, idx, scanned);
}

void rb_archive_check (lua_State *L, const rb_Archive *a) {
  const rb_Scan *s = &a->scan;
  const char *name = a->r->name;
  if (s->isdump && s->command[0] != '\0')
    rb_fail(L, "data", RB_NOTDONE, "%s: %s holds a command of psql (%s): pg_dump did not write "
            "that", name, a->path, s->command);
  if (s->isdump && rb_scan_escapes(s))
    rb_fail(L, "data", RB_NOTDONE, "%s: %s holds \\unrestrict where pg_dump does not write it",
            name, a->path);
  if (!s->isdump || !s->complete || s->copying)
    rb_fail(L, "data", RB_NOTDONE, !s->isdump ? "%s: %s is no dump of pg_dump" : "%s: %s is "
            "truncated: its last line is not there", name, a->path);
}

int rb_archive_read (lua_State *L, int idx, lua_KContext ctx, lua_KFunction k) {
  rb_Archive *a = lua_touserdata(L, idx);
  switch (a->format) {
    case RB_PLAIN: return rb_archive_scan(L, idx, a->fd, ctx, k);
    case RB_CUSTOM: return rb_extract_read(L, idx, ctx, k);
    case RB_EMPTY:
      return rb_fail(L, "data", RB_NOTDONE, "%s: %s is empty", a->r->name, a->path);
    case RB_GZIP:
      return rb_fail(L, "data", RB_NOTDONE, "%s: %s is compressed: gunzip it first",
                     a->r->name, a->path);
    default:
      return rb_fail(L, "data", RB_NOTDONE, "%s: %s is no dump of pg_dump", a->r->name,
                     a->path);
  }
}

/* -- words ---------------------------------------------------------------------------------- */

const char *rb_archive_count (lua_State *L, long long n, const char *one, const char *many) {
  char digits[32], text[48];
  int len = snprintf(digits, sizeof digits, "%lld", n), k = 0;
  for (int i = 0; i < len; i++) {
    if (i > 0 && (len - i) % 3 == 0 && digits[i - 1] != '-') text[k++] = ',';
    text[k++] = digits[i];
  }
  text[k] = '\0';
  return lua_pushfstring(L, "%s %s", text, n == 1 ? one : many);
}

const char *rb_archive_schemas (lua_State *L, const rb_Scan *s) {
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (size_t i = 0; i < s->nschemas && i < 20; i++) {
    if (i > 0) luaL_addstring(&b, i + 1 == s->nschemas ? " and " : ", ");
    luaL_addstring(&b, s->schemas[i]);
  }
  if (s->nschemas > 20) luaL_addstring(&b, ", ...");
  luaL_pushresult(&b);
  return lua_tostring(L, -1);
}
