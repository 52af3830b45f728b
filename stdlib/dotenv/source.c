/*
** source.c - the file behind a dotenv resource, and what a script says of it
*/

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stdlib/dotenv/dotenv.h"

#define PLACE "dotenv.place"
#define FILEMAX ((size_t)1 << 20)

/* -- the file --------------------------------------------------------------------- */

static int place_close (lua_State *L) {
  rb_place_close(luaL_checkudata(L, 1, PLACE));
  return 0;
}

/* [-0, +1, v]  the place of the running call's resource; with 'open' it is
** opened, until the call ends */
rb_Place *rb_env_pushplace (lua_State *L, int open) {
  rb_Place *p = lua_newuserdatauv(L, sizeof *p, 0);
  p->folder = p->fd = -1;
  if (luaL_newmetatable(L, PLACE)) {
    lua_pushcfunction(L, place_close);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, place_close);
    lua_setfield(L, -2, "__close");
  }
  lua_setmetatable(L, -2);
  lua_toclose(L, -1);
  const char *name = rb_resource(L)->name, *why;
  rb_setting(L, rb_resource(L), "path");
  const char *path = lua_tostring(L, -1);
  if (path == NULL) luaL_error(L, "%s has no path in the configuration", name);
  why = rb_place_resolve(p, path, 1);
  if (why == NULL && open) why = rb_place_open(p);
  if (why != NULL) rb_fail(L, "missing", RB_NOTDONE, "%s: %s %s", name, path, why);
  if (open && p->fd < 0)
    rb_fail(L, "missing", RB_NOTDONE, "%s: there is no file %s", name, path);
  if (open && (!S_ISREG(p->st.st_mode) || (size_t)p->st.st_size > FILEMAX))
    rb_fail(L, "refused", RB_NOTDONE, "%s: %s is not a file of at most 1 MB", name, path);
  lua_pop(L, 1);
  return p;
}

/* how much of fd is in s (n + 1 bytes: one more shows that it has grown) */
static ssize_t readupto (int fd, char *s, size_t n) {
  size_t got = 0;
  ssize_t r = 1;
  while (got <= n && (r = pread(fd, s + got, n + 1 - got, (off_t)got)) != 0) {
    if (r < 0 && errno != EINTR) return -1;
    if (r > 0) got += (size_t)r;
  }
  return (ssize_t)got;
}

/* [-0, +1, v]  the text of the file as it is on the disk */
const char *rb_env_pushfile (lua_State *L, const rb_Place *p, size_t *n) {
  size_t size = (size_t)p->st.st_size;
  char *room = lua_newuserdatauv(L, size + 1, 0);
  int fd = rb_place_read(p);
  ssize_t got = fd >= 0 ? readupto(fd, room, size) : -1;
  int error = errno;
  if (fd >= 0) close(fd);
  if (got < 0)
    rb_fail(L, "io", RB_NOTDONE, "%s cannot be read: %s", p->path, strerror(error));
  lua_pushlstring(L, room, (size_t)got);
  lua_remove(L, -2);
  return lua_tolstring(L, -1, n);
}

/* [-0, +1 or 0, v]  the text that an earlier remedy of this dry run planned */
const char *rb_env_pushplanned (lua_State *L, const rb_Place *p, size_t *n) {
  int found = rb_planned(L, lua_pushfstring(L, "file:%s", p->path));
  lua_remove(L, -2);
  if (found && !lua_istable(L, -1))
    rb_fail(L, "missing", RB_NOTDONE, "%s will have been removed by then", p->path);
  if (found && lua_getfield(L, -1, "value") == LUA_TSTRING) {
    lua_remove(L, -2);
    return lua_tolstring(L, -1, n);
  }
  lua_pop(L, found ? 2 : 1);
  return NULL;
}

/* -- values --------------------------------------------------------------------------- */

/* [-0, +1, m] */
const char *rb_env_pushvalue (lua_State *L, const char *s, const Entry *e, size_t *n) {
  char *room = lua_newuserdatauv(L, e->valuelen + 1, 0);
  lua_pushlstring(L, room, rb_env_decode(s, e, room));
  lua_remove(L, -2);
  return lua_tolstring(L, -1, n);
}

/* What its name or its form says to be secret is shown nowhere. */
void rb_env_keepsecrets (lua_State *L, const char *s, size_t n) {
  Entry e;
  size_t at = 0, len, from;
  int line = 1;
  while (rb_env_next(s, n, &at, &line, &e)) {
    lua_pushlstring(L, s + e.name, e.namelen);
    const char *name = lua_tostring(L, -1), *value = rb_env_pushvalue(L, s, &e, &len);
    if (rb_env_issecret(s + e.name, e.namelen)) rb_secret(L, name, value, len);
    else if ((len = rb_env_password(value, len, &from)) > 0)
      rb_secret(L, name, value + from, len);
    lua_pop(L, 2);
  }
}

const char *rb_env_checkname (lua_State *L, int arg) {
  size_t n;
  const char *name = luaL_checklstring(L, arg, &n);
  luaL_argcheck(L, rb_env_isname(name, n), arg,
                "a name is letters, digits and _, and begins with no digit");
  return name;
}

/* [-0, +1, v]  what a script gives as a value, as text */
const char *rb_env_checkvalue (lua_State *L, int arg, size_t *n) {
  const char *s;
  if (lua_isboolean(L, arg) || lua_type(L, arg) == LUA_TNUMBER)
    s = luaL_tolstring(L, arg, n);
  else s = rb_text(L, arg, n);
  luaL_argcheck(L, memchr(s, '\n', *n) == NULL && memchr(s, '\r', *n) == NULL
                && strlen(s) == *n, arg, "a value of one line expected: readers "
                "of these files do not agree on others");
  return s;
}

const char *rb_env_checkitem (lua_State *L, int arg, size_t *n) {
  const char *s = luaL_checklstring(L, arg, n);
  luaL_argcheck(L, *n > 0 && s[strcspn(s, ",\r\n")] == '\0' && strlen(s) == *n
                && s[0] != ' ' && s[*n - 1] != ' ', arg,
                "an item without commas, newlines and outer spaces expected");
  return s;
}

/* is the item in the comma-separated list? */
int rb_env_listed (const char *list, size_t n, const char *item, size_t len) {
  for (const char *end = list + n; list <= end; ) {
    const char *comma = memchr(list, ',', (size_t)(end - list));
    const char *from = list, *to = comma != NULL ? comma : end;
    while (from < to && *from == ' ') from++;
    while (to > from && to[-1] == ' ') to--;
    if ((size_t)(to - from) == len && memcmp(from, item, len) == 0) return 1;
    if (comma == NULL) return 0;
    list = comma + 1;
  }
  return 0;
}
