/*
** doctor.c - the file behind a log, and whether it can be asked what scripts ask
*/

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stdlib/log/log.h"

rb_Stream *rb_log_stream (lua_State *L) {
  rb_Resource *r = rb_resource(L);
  rb_setting(L, r, "path");
  if (lua_tostring(L, -1) == NULL)
    luaL_error(L, "%s has no path in the configuration", r->name);
  const char *who = lua_pushfstring(L, "%s: ", r->name);
  return rb_stream_open(L, who, lua_tostring(L, -2), NULL);
}

/* [-0, +0, m]  one more row for the list at the top */
static void addrow (lua_State *L, const char *name, const char *status, const char *value,
                    const char *mend) {
  const char *const fields[][2] = {
    {"name", name}, {"status", status}, {"value", value}, {"mend", mend}
  };
  lua_createtable(L, 0, 4);
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
    lua_pushstring(L, fields[i][1]);
    lua_setfield(L, -2, fields[i][0]);
  }
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
}

/* of the last lines: how many there are, are JSON, have a time */
typedef struct Looked { int lines, json, timed; } Looked;

static int lookat (const rb_Stream *s, Looked *seen) {
  Lines l;
  Text line;
  int hint = 0, rc;
  double t;
  long long size = (long long)s->place.st.st_size, at = rb_log_lastlines(s->fd, size, 50);
  if (at < 0 || !rb_log_open(&l, s->fd, at, size)) return 0;
  while ((rc = rb_log_next(&l, &line)) > 0) {
    seen->lines++;
    seen->json += line.n > 0 && *line.s == '{';
    seen->timed += rb_log_when(&line, &hint, &t);
  }
  rb_log_close(&l);
  return rc == 0;
}

int rb_log_doctor (lua_State *L) {
  Looked seen = {0};
  char said[100];
  const rb_Stream *s = rb_log_stream(L);
  int fine = lookat(s, &seen);
  lua_newtable(L);
  addrow(L, "file", "ok", s->place.path, "");
  if (!fine) addrow(L, "lines", "bad", "it cannot be read", "is its disk well?");
  else if (seen.lines == 0) addrow(L, "lines", "ok", "none yet", "");
  else {
    snprintf(said, sizeof said, "of the last %d lines %d are JSON, %d have a time",
             seen.lines, seen.json, seen.timed);
    addrow(L, "lines", seen.timed > 0 ? "ok" : "warn", said,
           seen.timed > 0 ? "" : "'since' and log:rate leave out lines without a time");
  }
  return 1;
}

/* the file itself: another one under the same name is another resource */
int rb_log_identity (lua_State *L) {
  const rb_Stream *s = rb_log_stream(L);
  lua_pushstring(L, s->place.path);
  return 1;
}

/* "app.log.1", "app.log.2.gz", "app.log-20261124" of "app.log" */
static int isrotated (const char *name, const char *of) {
  size_t n = strlen(of);
  return strncmp(name, of, n) == 0 && (name[n] == '.' || name[n] == '-')
         && isdigit((unsigned char)name[n + 1]);
}

static int byname (const void *a, const void *b) { return strcmp(a, b); }

void rb_log_pushrotated (lua_State *L, const rb_Place *p) {
  char name[32];
  lua_newtable(L);
  snprintf(name, sizeof name, "/proc/self/fd/%d", p->folder);
  int fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC), found = 0;
  DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
  if (d == NULL && fd >= 0) close(fd);
  if (d == NULL) return;
  char names[32][NAME_MAX + 1];
  for (struct dirent *e; found < 32 && (e = readdir(d)) != NULL; )
    if (isrotated(e->d_name, p->name)) snprintf(names[found++], NAME_MAX + 1, "%s", e->d_name);
  closedir(d);
  qsort(names, (size_t)found, sizeof *names, byname);
  for (int i = 0; i < found; i++) {
    lua_pushstring(L, names[i]);
    lua_rawseti(L, -2, i + 1);
  }
}
