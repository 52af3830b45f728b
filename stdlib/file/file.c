/*
** file.c - files of this machine: look, and change one at a time
**
** A path is resolved through its links first, and what it leads to must be
** allowed; from then on all work is done on descriptors, so that nobody can
** put a link in our way (stdlib/common/place.c).
*/

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stdlib/file/file.h"

#define PLACE "file.place"
#define MAXNAMES 100000

/* -- places -------------------------------------------------------------------- */

static int place_close (lua_State *L) {
  rb_place_close(luaL_checkudata(L, 1, PLACE));
  return 0;
}

static const char *checkpath (lua_State *L, int arg) {
  size_t n;
  const char *path = luaL_checklstring(L, arg, &n);
  luaL_argcheck(L, n > 0, arg, "an empty path");
  luaL_argcheck(L, strlen(path) == n, arg, "the path holds a NUL byte");
  return path;
}

/* [-0, +1, v]  closed; it would stand where an argument is missing, so that is looked at first */
static rb_Place *pushplace (lua_State *L, int arg) {
  checkpath(L, arg);
  rb_Place *p = lua_newuserdatauv(L, sizeof *p, 0);
  p->folder = p->fd = -1;
  if (luaL_newmetatable(L, PLACE)) {
    lua_pushcfunction(L, place_close);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, place_close);
    lua_setfield(L, -2, "__close");
  }
  lua_setmetatable(L, -2);
  return p;
}

static int bad (lua_State *L, const char *given, const char *why) {
  const char *kind = strstr(why, "not there") != NULL ? "missing" : "refused";
  return rb_fail(L, kind, RB_NOTDONE, "%s %s", given, why);
}

static void resolve (lua_State *L, rb_Place *p, int arg, rb_Link link,
                     const char *list) {
  const char *given = checkpath(L, arg);
  const char *why = rb_place_resolve(p, given, link == RB_FOLLOW);
  if (why != NULL) bad(L, given, why);
  if (rb_allowed(L, list, p->path)) return;
  if (strcmp(p->path, given) == 0)
    rb_fail(L, "refused", RB_NOTDONE, "%s is not in a folder that this target "
            "allows: see its allow.files in the configuration", given);
  rb_fail(L, "refused", RB_NOTDONE, "%s leads to %s, which is not in a folder "
          "that this target allows: see its allow.files in the configuration",
          given, p->path);
}

rb_Place *rb_file_place (lua_State *L, int arg, rb_Link link, const char *list) {
  rb_Place *p = pushplace(L, arg);
  lua_toclose(L, -1);
  resolve(L, p, arg, link, list);
  const char *why = rb_place_open(p);
  if (why != NULL) bad(L, p->path, why);
  if (link == RB_FOLLOW && p->fd >= 0 && S_ISLNK(p->st.st_mode))
    bad(L, p->path, "is a symbolic link that leads nowhere");
  return p;
}

const char *rb_file_path (lua_State *L, int arg, rb_Link link, const char *list) {
  rb_Place *p = pushplace(L, arg);
  resolve(L, p, arg, link, list);
  lua_pushstring(L, p->path);
  lua_remove(L, -2);
  return lua_tostring(L, -1);
}

const char *rb_file_key (lua_State *L, const char *what, const char *path) {
  return lua_pushfstring(L, "%s:%s", what, path);
}

/* -- contents ---------------------------------------------------------------------- */

const char *rb_file_type (mode_t mode) {
  static const struct { mode_t bits; const char *name; } types[] = {
    {S_IFREG, "file"}, {S_IFDIR, "folder"}, {S_IFLNK, "link"},
    {S_IFIFO, "fifo"}, {S_IFSOCK, "socket"}, {S_IFCHR, "device"},
    {S_IFBLK, "device"}
  };
  for (size_t i = 0; i < sizeof types / sizeof *types; i++)
    if ((mode & S_IFMT) == types[i].bits) return types[i].name;
  return "something else";
}

static void tohex (const unsigned char *raw, char hex[65]) {
  sodium_bin2hex(hex, 65, raw, crypto_hash_sha256_BYTES);
}

void rb_file_hash (const char *s, size_t n, char hex[65]) {
  unsigned char raw[crypto_hash_sha256_BYTES];
  crypto_hash_sha256(raw, (const unsigned char *)s, n);
  tohex(raw, hex);
}

static int hashfd (int fd, char hex[65]) {
  static unsigned char chunk[1 << 16];  /* nothing here yields or nests */
  unsigned char raw[crypto_hash_sha256_BYTES];
  crypto_hash_sha256_state st;
  off_t at = 0;
  ssize_t n;
  crypto_hash_sha256_init(&st);
  while ((n = pread(fd, chunk, sizeof chunk, at)) > 0) {
    crypto_hash_sha256_update(&st, chunk, (unsigned long long)n);
    at += n;
  }
  if (n < 0) return -1;
  crypto_hash_sha256_final(&st, raw);
  tohex(raw, hex);
  return 0;
}

void rb_file_imageof (const char *s, size_t n, mode_t mode, rb_Image *image) {
  char hex[65];
  rb_file_hash(s, n, hex);
  snprintf(image->s, sizeof image->s, "%zu bytes, %04o, sha256:%s", n,
           (unsigned)mode & 07777, hex);
}

int rb_file_image (int fd, rb_Image *image) {
  struct stat st;
  char hex[65], target[PATH_MAX];
  if (fstat(fd, &st) != 0) return -1;
  unsigned mode = st.st_mode & 07777;
  long long size = (long long)st.st_size;
  if (S_ISREG(st.st_mode) && size <= (long long)RB_FILEMAX) {
    if (hashfd(fd, hex) != 0) return -1;
    snprintf(image->s, sizeof image->s, "%lld bytes, %04o, sha256:%s", size, mode, hex);
  } else if (S_ISLNK(st.st_mode)) {
    ssize_t n = readlinkat(fd, "", target, sizeof target);
    if (n < 0) return -1;
    rb_file_hash(target, (size_t)n, hex);
    snprintf(image->s, sizeof image->s, "link, sha256:%s", hex);
  } else
    snprintf(image->s, sizeof image->s, "%s of %lld bytes, %04o, inode %llu, changed "
             "%lld.%09ld", rb_file_type(st.st_mode), size, mode,
             (unsigned long long)st.st_ino, (long long)st.st_mtim.tv_sec,
             st.st_mtim.tv_nsec);
  return 0;
}

static int cannotread (lua_State *L, const rb_Place *p) {
  if (p->fd < 0)
    return rb_fail(L, "missing", RB_NOTDONE, "there is no file %s", p->path);
  if (!S_ISREG(p->st.st_mode))
    return rb_fail(L, "refused", RB_NOTDONE, "%s is a %s, not a file", p->path,
                   rb_file_type(p->st.st_mode));
  return rb_fail(L, "io", RB_NOTDONE, "%s cannot be read: %s", p->path, strerror(errno));
}

/* at most n bytes; what is appended meanwhile is not seen */
static ssize_t readupto (int fd, char *s, size_t n) {
  size_t got = 0;
  while (got < n) {
    ssize_t r = pread(fd, s + got, n - got, (off_t)got);
    if (r < 0 && errno == EINTR) continue;
    if (r < 0) return -1;
    if (r == 0) break;
    got += (size_t)r;
  }
  return (ssize_t)got;
}

const char *rb_file_pushcontent (lua_State *L, const rb_Place *p, size_t *n) {
  if (p->fd < 0 || !S_ISREG(p->st.st_mode)) cannotread(L, p);
  size_t size = (size_t)p->st.st_size;
  if (size > RB_FILEMAX)
    rb_fail(L, "limit", RB_NOTDONE, "%s is larger than 16 MB: use file.hash, csv or "
            "log for big files", p->path);
  char *room = lua_newuserdatauv(L, size + 1, 0);  /* before anything is open */
  int fd = rb_place_read(p);
  ssize_t got = fd >= 0 ? readupto(fd, room, size) : -1;
  int error = errno;
  if (fd >= 0) close(fd);
  errno = error;
  if (got < 0) cannotread(L, p);
  lua_pushlstring(L, room, (size_t)got);
  lua_remove(L, -2);
  return lua_tolstring(L, -1, n);
}

/* -- folders ------------------------------------------------------------------------ */

static int byname (const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

/* the names of d, malloc'ed; -1: out of memory, -2: too many */
static int readnames (DIR *d, char ***names, size_t *n) {
  size_t size = 0;
  for (struct dirent *e; (e = readdir(d)) != NULL; ) {
    if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
    if (*n == MAXNAMES) return -2;
    if (*n == size) {
      size = size > 0 ? size * 2 : 64;
      char **list = realloc(*names, size * sizeof *list);
      if (list == NULL) return -1;
      *names = list;
    }
    if (((*names)[*n] = strdup(e->d_name)) == NULL) return -1;
    ++*n;
  }
  return 0;
}

typedef struct Names { char **list; size_t n; } Names;

static int names_close (lua_State *L) {
  Names *names = lua_touserdata(L, 1);
  for (size_t i = 0; i < names->n; i++) free(names->list[i]);
  free(names->list);
  *names = (Names){0};
  return 0;
}

/* [-0, +1, m]  what frees the list, whatever happens while it is copied */
static Names *pushowner (lua_State *L) {
  Names *names = lua_newuserdatauv(L, sizeof *names, 0);
  *names = (Names){0};
  if (luaL_newmetatable(L, "file.names")) {
    lua_pushcfunction(L, names_close);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  return names;
}

void rb_file_pushnames (lua_State *L, const rb_Place *p) {
  Names *names = pushowner(L);
  int fd = openat(p->folder, p->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
  if (d == NULL) {
    int error = errno;
    if (fd >= 0) close(fd);
    rb_fail(L, error == ENOENT ? "missing" : "io", RB_NOTDONE,
            "the folder %s cannot be listed: %s", p->path, strerror(error));
  }
  int rc = readnames(d, &names->list, &names->n);
  closedir(d);
  if (rc == -2)
    rb_fail(L, "limit", RB_NOTDONE, "%s holds more than %d names", p->path, MAXNAMES);
  if (rc != 0) luaL_error(L, "not enough memory");
  if (names->n > 0) qsort(names->list, names->n, sizeof *names->list, byname);
  lua_createtable(L, (int)names->n, 0);
  for (size_t i = 0; i < names->n; i++) {
    lua_pushstring(L, names->list[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_remove(L, -2);
}

/* -- rows ---------------------------------------------------------------------------- */

static const rb_Reg functions[] = {
  {"read", RB_PROBE, rb_file_read, NULL,
   "read(path) -> string : the content, at most 16 MB, byte by byte; links are followed. "
   "The path is in the target's allow.files, or a parameter of type `path`. Fails with "
   "\"missing\" where there is no such file, \"refused\" where it is not allowed or not a "
   "file, \"limit\" where it is larger", rb_file_planread, NULL},
  {"lines", RB_PROBE, rb_file_lines, NULL,
   "lines(path) -> {line, ...} : the content by lines, without their ends; at most "
   "1,000,000 of them. Otherwise as file.read", rb_file_planlines, NULL},
  {"stat", RB_PROBE, rb_file_stat, NULL,
   "stat(path) -> {type, size = bytes, mode, owner, group, modified, links} | nil : what is "
   "there, links followed; nil where there is nothing. `type` is \"file\", \"folder\", "
   "\"link\", \"fifo\", \"socket\" or \"device\", `size` bytes, `mode` as in \"0640\", "
   "`modified` as in \"2026-11-21T02:16:28Z\", `links` how many names it has. The path is "
   "one that file.read may have", rb_file_planstat, NULL},
  {"list", RB_PROBE, rb_file_list, NULL,
   "list(folder) -> {name, ...} : the names in a folder, sorted, hidden ones too, without "
   "\".\" and \"..\"; at most 100,000. Fails with \"missing\" where there is no such "
   "folder", rb_file_planlist, NULL},
  {"hash", RB_PROBE, rb_file_sum, NULL,
   "hash(path) -> string : SHA-256 of the content of a file of any size, as sha256sum "
   "prints it. Otherwise as file.read",
   rb_file_plansum, NULL},
  {"write", RB_REMEDY, rb_file_write, rb_file_prewrite,
   "write(path, content [, {mode=\"0644\"}]) -> true : makes it the file's whole content, "
   "at once: no reader sees half of it. A string or a secret, at most 16 MB. A new file "
   "gets `mode` (0644 when absent), one that is there keeps its own unless `mode` says "
   "otherwise; its folder must be there. Nothing to do where content and mode are so "
   "already. Fails with \"drift\", not done, where somebody else has changed it "
   "meanwhile. The path is in the target's allow.files", NULL, NULL},
  {"copy", RB_REMEDY, rb_file_copy, rb_file_precopy,
   "copy(from, to) -> true : a second file with the same content and mode, of any size, "
   "in the place of what was there under the second name. Otherwise as file.write", NULL, NULL},
  {"move", RB_REMEDY, rb_file_move, rb_file_premove,
   "move(from, to) -> true : gives a file or a link another name, which nothing has yet, "
   "on the same file system. Would refuse where the new name is taken, or either is not "
   "in allow.files", NULL, NULL},
  {"remove", RB_REMEDY, rb_file_remove, rb_file_preremove,
   "remove(path) -> true : takes a file away, or a link (and not what it leads to); "
   "folders never. Nothing to do where there is none", NULL, NULL},
  {"chmod", RB_REMEDY, rb_file_chmod, rb_file_prechmod,
   "chmod(path, mode) -> true : changes who may read, write and execute a file; `mode` is "
   "octal text, as in \"0640\". Would refuse where there is no such file", NULL, NULL},
  RB_END
};

const rb_Module rb_module = {
  .interface = RB_INTERFACE, .name = "file",
  .doc = "files of this machine, one at a time",
  .functions = functions
};
