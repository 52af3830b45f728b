/*
** doctor.c - is the file there, may it be changed, and who else may read it?
*/

#include <stdio.h>
#include <string.h>

#include "stdlib/common/swap.h"
#include "stdlib/dotenv/dotenv.h"

/* [-0, +0, m]  one more row for the list at the top */
static void addrow (lua_State *L, const char *name, const char *status,
                    const char *value, const char *mend) {
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

static int holdssecrets (const char *s, size_t n) {
  Entry e;
  size_t at = 0, from;
  int line = 1;
  while (rb_env_next(s, n, &at, &line, &e))
    if (rb_env_issecret(s + e.name, e.namelen)
        || rb_env_password(s + e.value, e.valuelen, &from) > 0) return 1;
  return 0;
}

/* names that are set more than once: readers do not agree which one counts */
static void addtwins (lua_State *L, const char *s, size_t n) {
  Entry e, last;
  char name[128];
  size_t at = 0;
  int line = 1;
  while (rb_env_next(s, n, &at, &line, &e)) {
    snprintf(name, sizeof name, "%.*s", (int)e.namelen, s + e.name);
    if (rb_env_find(s, n, name, &last) > 1 && last.start == e.start)
      addrow(L, name, "warn", "is set more than once", "keep one of its lines");
  }
}

int rb_env_doctor (lua_State *L) {
  size_t n;
  char mode[16];
  const rb_Place *p = rb_env_pushplace(L, 1);
  const char *s = rb_env_pushfile(L, p, &n);
  snprintf(mode, sizeof mode, "%04o", (unsigned)p->st.st_mode & 07777);
  lua_newtable(L);
  addrow(L, "file", "ok", p->path, "");
  if ((p->st.st_mode & 0004) && holdssecrets(s, n))
    addrow(L, "mode", "warn", mode, "everybody may read it, and it holds passwords: "
           "chmod o-r");
  else addrow(L, "mode", "ok", mode, "");
  if (rb_swap_guarded(p)) addrow(L, "swap", "ok", "at once", "");
  else addrow(L, "swap", "warn", "written over", "nobody is kept from writing at the "
              "same time: a mount point, a folder without rights, or its file system");
  addtwins(L, s, n);
  return 1;
}

/* the file itself: another one under the same name is another resource */
int rb_env_identity (lua_State *L) {
  const rb_Place *p = rb_env_pushplace(L, 0);
  lua_pushstring(L, p->path);
  return 1;
}
