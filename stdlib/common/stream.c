/*
** stream.c - a regular file of any size, open for reading as long as a call lasts
*/

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "stdlib/common/stream.h"

#define STREAM "rb.stream"

static int stream_close (lua_State *L) {
  rb_Stream *s = luaL_checkudata(L, 1, STREAM);
  rb_place_close(&s->place);
  if (s->fd >= 0) close(s->fd);
  s->fd = -1;
  return 0;
}

/* [-0, +1, m]  closed; closes itself with the call */
static rb_Stream *pushstream (lua_State *L) {
  rb_Stream *s = lua_newuserdatauv(L, sizeof *s, 0);
  s->fd = s->place.folder = s->place.fd = -1;
  if (luaL_newmetatable(L, STREAM)) {
    lua_pushcfunction(L, stream_close);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, stream_close);
    lua_setfield(L, -2, "__close");
  }
  lua_setmetatable(L, -2);
  lua_toclose(L, -1);
  return s;
}

static int bad (lua_State *L, const char *who, const char *given, const char *why) {
  const char *kind = strstr(why, "not there") != NULL ? "missing" : "refused";
  return rb_fail(L, kind, RB_NOTDONE, "%s%s %s", who, given, why);
}

rb_Stream *rb_stream_find (lua_State *L, const char *who, const char *given,
                           const char *list) {
  rb_Stream *s = pushstream(L);
  const char *why = rb_place_resolve(&s->place, given, 1);
  if (why != NULL) bad(L, who, given, why);
  if (list == NULL || rb_allowed(L, list, s->place.path)) return s;
  int same = strcmp(s->place.path, given) == 0;
  rb_fail(L, "refused", RB_NOTDONE, "%s%s%s%s%s is not in a folder that this target "
          "allows: see its allow.files in the configuration", who, given,
          same ? "" : " leads to ", same ? "" : s->place.path, same ? "" : ", which");
  return s;
}

static const char *typeof_ (mode_t mode) {
  if (S_ISDIR(mode)) return "folder";
  if (S_ISLNK(mode)) return "symbolic link that leads nowhere";
  if (S_ISFIFO(mode)) return "fifo";
  return S_ISSOCK(mode) ? "socket" : "device";
}

rb_Stream *rb_stream_open (lua_State *L, const char *who, const char *given,
                           const char *list) {
  rb_Stream *s = rb_stream_find(L, who, given, list);
  const rb_Place *p = &s->place;
  const char *why = rb_place_open(&s->place);
  if (why != NULL) bad(L, who, p->path, why);
  if (p->fd < 0)
    rb_fail(L, "missing", RB_NOTDONE, "%sthere is no file %s", who, p->path);
  if (!S_ISREG(p->st.st_mode))
    rb_fail(L, "refused", RB_NOTDONE, "%s%s is a %s, not a file", who, p->path,
            typeof_(p->st.st_mode));
  if ((s->fd = rb_place_read(p)) < 0)
    rb_fail(L, "io", RB_NOTDONE, "%s%s cannot be read: %s", who, p->path,
            strerror(errno));
  return s;
}
