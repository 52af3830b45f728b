/*
** preview.c - what a remedy of file would do
*/

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stdlib/common/diff.h"
#include "stdlib/file/file.h"

#define NEWMODE 0644

/* what is at a place, or will be by then in a dry run */
typedef struct Now {
  int there;
  mode_t mode;           /* with its type */
  const char *s;         /* the content, on the stack; NULL: not a small file */
  size_t n;
  rb_Image image;
} Now;

/* -- what is there --------------------------------------------------------------- */

static int notafile (lua_State *L, const char *path, mode_t mode) {
  return rb_refuse(L, "%s is a %s, not a file", path, rb_file_type(mode));
}

/* the planned value at the top (left there), as what is at p */
static void readplanned (lua_State *L, const rb_Place *p, Now *now) {
  now->there = lua_istable(L, -1);
  snprintf(now->image.s, sizeof now->image.s, RB_ABSENT);
  if (!now->there) return;
  lua_getfield(L, -1, "mode");
  now->mode = S_IFREG | rb_file_mode(L, lua_gettop(L), 0,
                  p->fd >= 0 ? p->st.st_mode & 07777 : NEWMODE);
  lua_pop(L, 1);
  lua_getfield(L, -1, "value");
  now->s = lua_tolstring(L, -1, &now->n);
  if (now->s != NULL) rb_file_imageof(now->s, now->n, now->mode, &now->image);
  lua_replace(L, -2);
}

static int isreadable (const rb_Place *p) {
  return S_ISREG(p->st.st_mode) && (size_t)p->st.st_size <= RB_FILEMAX
         && faccessat(p->folder, p->name, R_OK, AT_EACCESS) == 0;
}

/* [-0, +1, v]  the content (or anything: it only keeps now->s alive) */
static void pushnow (lua_State *L, const rb_Place *p, Now *now) {
  *now = (Now){0};
  int planned = rb_planned(L, rb_file_key(L, "file", p->path));
  lua_remove(L, -2);
  if (planned) {
    readplanned(L, p, now);
    return;
  }
  lua_pop(L, 1);
  now->there = p->fd >= 0;
  now->mode = now->there ? p->st.st_mode : 0;
  if (now->there && isreadable(p)) {
    now->s = rb_file_pushcontent(L, p, &now->n);
    rb_file_imageof(now->s, now->n, now->mode, &now->image);
    return;
  }
  lua_pushnil(L);
  if (!now->there) snprintf(now->image.s, sizeof now->image.s, RB_ABSENT);
  else if (rb_file_image(p->fd, &now->image) != 0)
    snprintf(now->image.s, sizeof now->image.s, "unreadable, %04o",
             (unsigned)now->mode & 07777);
}

/* -- building the plan, a table at the top ------------------------------------------- */

static void setstring (lua_State *L, const char *name, const char *s) {
  lua_pushstring(L, s);
  lua_setfield(L, -2, name);
}

/* [-0, +0, m]  plan[name] = { key = s } */
static void setpair (lua_State *L, const char *name, const char *key, const char *s) {
  lua_createtable(L, 0, 1);
  setstring(L, key, s);
  lua_setfield(L, -2, name);
}

/* [-0, +1, m]  a plan that returns true, charges one file */
static void pushplan (lua_State *L, const char *summary) {
  lua_createtable(L, 0, 12);
  setstring(L, "summary", summary);
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, "exact");
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, "result");
  lua_createtable(L, 0, 1);
  lua_pushinteger(L, 1);
  lua_setfield(L, -2, "files");
  lua_setfield(L, -2, "counts");
}

static int nothing (lua_State *L, const char *reason) {
  setstring(L, "verdict", "nothing to do");
  setstring(L, "reason", reason);
  return 1;
}

static void modetext (mode_t mode, char *text, size_t size) {
  snprintf(text, size, "%04o", (unsigned)mode & 07777);
}

/* [-0, +0, m]  plan.inverse = { verb, ...the n strings } */
static void setinverse (lua_State *L, const char *verb, int n, const char *const *args) {
  lua_createtable(L, n + 1, 0);
  lua_pushstring(L, verb);
  lua_rawseti(L, -2, 1);
  for (int i = 0; i < n; i++) {
    lua_pushstring(L, args[i]);
    lua_rawseti(L, -2, i + 2);
  }
  lua_setfield(L, -2, "inverse");
}

/* [-0, +0, m]  the inverse that brings the content of `now` back */
static void setrestore (lua_State *L, const char *path, const Now *now) {
  char mode[8];
  if (now->s == NULL) {
    setstring(L, "undo", S_ISLNK(now->mode) ? "irreversible: a link is not made again"
              : "irreversible: what was there is too large to be kept");
    return;
  }
  modetext(now->mode, mode, sizeof mode);
  setinverse(L, "write", 1, &path);
  lua_getfield(L, -1, "inverse");
  lua_pushlstring(L, now->s, now->n);
  lua_rawseti(L, -2, 3);
  lua_createtable(L, 0, 1);
  setstring(L, "mode", mode);
  lua_rawseti(L, -2, 4);
  lua_pop(L, 1);
}

/* -- plan.writes: for later probes of the dry run ---------------------------------------- */

/* [-0, +0, m]  writes (at the top) gets the file's content; s NULL: removed */
static void willbe (lua_State *L, const char *path, const char *s, size_t n, mode_t mode) {
  char text[8];
  rb_file_key(L, "file", path);
  if (s == NULL) lua_pushboolean(L, 0);
  else {
    modetext(mode, text, sizeof text);
    lua_createtable(L, 0, 2);
    lua_pushlstring(L, s, n);
    lua_setfield(L, -2, "value");
    setstring(L, "mode", text);
  }
  lua_settable(L, -3);
}

/* [-0, +0, m]  the plan at the top: that file will be so, whatever it is now */
static void setblind (lua_State *L, const char *path) {
  rb_file_key(L, "file", path);
  lua_setfield(L, -2, "blind");
}

/* [-0, +1, v]  the names in p's folder, as planned so far */
static const char *pushfolder (lua_State *L, const rb_Place *p, char *folder) {
  int n = (int)(strrchr(p->path, '/') - p->path);
  snprintf(folder, PATH_MAX, "%.*s", n > 0 ? n : 1, p->path);
  if (rb_planned(L, rb_file_key(L, "folder", folder)) && lua_istable(L, -1)) {
    lua_getfield(L, -1, "value");
    lua_replace(L, -3);
    lua_pop(L, 1);
    return folder;
  }
  lua_pop(L, 2);
  rb_Place at = {.folder = p->folder, .fd = -1, .name = "."};
  snprintf(at.path, sizeof at.path, "%s", folder);
  rb_file_pushnames(L, &at);
  return folder;
}

/* [-1, +1, m]  the sorted list at the top with p's name in it, or without it */
static void changenames (lua_State *L, const char *name, int add) {
  lua_Integer n = luaL_len(L, -1), to = 0;
  lua_createtable(L, (int)n + 1, 0);
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti(L, -2, i);
    int order = strcmp(lua_tostring(L, -1), name);
    if (add && order > 0) {
      lua_pushstring(L, name);
      lua_rawseti(L, -3, ++to);
      add = 0;
    }
    if (order == 0) lua_pop(L, 1);
    else lua_rawseti(L, -2, ++to);
    if (order == 0 && add) {
      lua_pushstring(L, name);
      lua_rawseti(L, -2, ++to);
      add = 0;
    }
  }
  if (add) {
    lua_pushstring(L, name);
    lua_rawseti(L, -2, ++to);
  }
  lua_remove(L, -2);
}

/* [-0, +0, v]  writes (at the top) gets the folder's list, as it will be */
static void willlist (lua_State *L, const rb_Place *p, int add) {
  char folder[PATH_MAX];
  int writes = lua_gettop(L);
  if (lua_getfield(L, writes, rb_file_key(L, "folder", pushfolder(L, p, folder)))
      == LUA_TTABLE) {                     /* both names are in this folder */
    lua_getfield(L, -1, "value");
    changenames(L, p->name, add);
  } else {
    lua_pushvalue(L, writes + 1);
    changenames(L, p->name, add);
  }
  lua_createtable(L, 0, 1);
  lua_insert(L, -2);
  lua_setfield(L, -2, "value");            /* writes names key old {value} */
  lua_setfield(L, writes, lua_tostring(L, writes + 2));
  lua_settop(L, writes);
}

/* -- arguments ----------------------------------------------------------------------------- */

static int badmode (lua_State *L, int arg) {
  return luaL_argerror(L, arg, "a mode is a string of octal digits, such as \"0640\"");
}

mode_t rb_file_mode (lua_State *L, int idx, int option, mode_t none) {
  int top = lua_gettop(L), arg = idx;
  mode_t mode = none;
  if (option && !lua_isnoneornil(L, idx)) {
    luaL_checktype(L, idx, LUA_TTABLE);
    lua_pushnil(L);
    while (lua_next(L, idx) != 0) {
      if (lua_type(L, -2) != LUA_TSTRING || strcmp(lua_tostring(L, -2), "mode") != 0)
        luaL_argerror(L, arg, "the only option is mode");
      lua_pop(L, 1);
    }
    lua_getfield(L, idx, "mode");
    idx = lua_gettop(L);
  }
  if (!lua_isnoneornil(L, idx)) {
    const char *s = lua_type(L, idx) == LUA_TSTRING ? lua_tostring(L, idx) : "";
    size_t n = strlen(s);
    if (n < 3 || n > 4 || s[strspn(s, "01234567")] != '\0') badmode(L, arg);
    mode = (mode_t)strtoul(s, NULL, 8);
  }
  lua_settop(L, top);
  return mode;
}

/* -- write, copy ------------------------------------------------------------------ */

static void checkfolder (lua_State *L, const rb_Place *p) {
  if (faccessat(p->folder, ".", W_OK | X_OK, AT_EACCESS) != 0)
    rb_refuse(L, "the folder of %s may not be written: %s", p->path, strerror(errno));
}

static void checkwritable (lua_State *L, const rb_Place *p, const Now *now) {
  if (now->there && !S_ISREG(now->mode)) notafile(L, p->path, now->mode);
  if (p->fd >= 0 && faccessat(p->folder, p->name, R_OK, AT_EACCESS) != 0)
    rb_refuse(L, "%s may not be read: what is replaced has to be known", p->path);
  if (p->fd < 0) checkfolder(L, p);
  else if (!rb_swap_guarded(p)
           && faccessat(p->folder, p->name, W_OK, AT_EACCESS) != 0)
    rb_refuse(L, "%s may not be written: %s", p->path, strerror(errno));
}

/* [-0, +0, m]  what holds, and what people should know of it */
static void setguard (lua_State *L, const rb_Place *p) {
  char text[160];
  int guarded = rb_swap_guarded(p);
  lua_pushboolean(L, guarded);
  lua_setfield(L, -2, "guarded");
  if (!guarded)
    setstring(L, "reason", "it cannot be swapped at once here, so it is written over");
  else if (p->fd >= 0 && p->st.st_nlink > 1) {
    snprintf(text, sizeof text, "the file has %ld names (hard links): the others keep "
             "the old content", (long)p->st.st_nlink);
    setstring(L, "reason", text);
  }
}

/* [-0, +0, m]  after: the image that it will have, and the way there */
static void setafter (lua_State *L, const char *path, const Now *now, const char *s,
                      size_t n, mode_t mode) {
  rb_Image image;
  rb_file_imageof(s, n, mode, &image);
  lua_createtable(L, 0, 2);
  setstring(L, "value", image.s);
  if (!now->there || now->s != NULL) {
    char *diff = rb_diff(now->there ? now->s : NULL, now->n, s, n, path);
    if (diff == NULL) luaL_error(L, "not enough memory");
    lua_pushstring(L, diff);
    free(diff);
    lua_setfield(L, -2, "diff");
  }
  lua_setfield(L, -2, "after");
  setstring(L, "afterimage", image.s);
}

/* [-0, +0, v]  the rest of a plan (at the top) that makes 's' the content of p */
static void setcontent (lua_State *L, const rb_Place *p, const Now *now, const char *s,
                        size_t n, mode_t mode) {
  if (now->there) setpair(L, "before", "value", now->image.s);
  if (s != NULL) setafter(L, p->path, now, s, n, mode);
  if (now->there) setrestore(L, p->path, now);
  else setinverse(L, "remove", 1, (const char *const[]){p->path});
  setguard(L, p);
  if (s == NULL) return;  /* too large for the dry run to remember: unbounded */
  lua_newtable(L);
  willbe(L, p->path, s, n, mode);
  if (!now->there) willlist(L, p, 1);
  lua_setfield(L, -2, "writes");
}

int rb_file_prewrite (lua_State *L) {
  size_t n;
  Now now;
  char summary[PATH_MAX + 64];
  lua_settop(L, 3);
  mode_t wanted = rb_file_mode(L, 3, 1, (mode_t)-1);
  const char *s = rb_text(L, 2, &n);
  if (n > RB_FILEMAX) luaL_argerror(L, 2, "at most 16 MB");
  const rb_Place *p = rb_file_place(L, 1, RB_FOLLOW, "files");
  pushnow(L, p, &now);
  checkwritable(L, p, &now);
  mode_t mode = wanted != (mode_t)-1 ? wanted : now.there ? now.mode & 07777 : NEWMODE;
  snprintf(summary, sizeof summary, "%s %s (%zu bytes)",
           now.there ? "write" : "create", p->path, n);
  pushplan(L, summary);
  setstring(L, "image", now.image.s);
  if (now.there && now.s != NULL && n == now.n && memcmp(s, now.s, n) == 0
      && (now.mode & 07777) == mode)
    return nothing(L, "it has this content already");
  setcontent(L, p, &now, s, n, mode);
  setblind(L, p->path);
  if (now.there && (now.mode & 07777) != mode) {
    char text[64];
    snprintf(text, sizeof text, "mode %04o becomes %04o", (unsigned)now.mode & 07777,
             (unsigned)mode);
    setstring(L, "reason", text);
  }
  return 1;
}

/* [-0, +0, m]  plan[name] = {from =, to =} */
static void setimages (lua_State *L, const char *name, const char *from, const char *to) {
  lua_createtable(L, 0, 2);
  setstring(L, "from", from);
  setstring(L, "to", to);
  lua_setfield(L, -2, name);
}

int rb_file_precopy (lua_State *L) {
  Now from, to;
  char summary[2 * PATH_MAX + 16];
  lua_settop(L, 2);
  const rb_Place *a = rb_file_place(L, 1, RB_FOLLOW, "reads");
  const rb_Place *b = rb_file_place(L, 2, RB_FOLLOW, "files");
  pushnow(L, a, &from);
  pushnow(L, b, &to);
  if (!from.there) rb_refuse(L, "there is no file %s", a->path);
  if (!S_ISREG(from.mode)) notafile(L, a->path, from.mode);
  checkwritable(L, b, &to);
  if (b->fd >= 0 && !rb_swap_guarded(b))
    rb_refuse(L, "%s cannot be swapped at once here (a mount point, or its file "
              "system): remove it first", b->path);
  snprintf(summary, sizeof summary, "copy %s to %s", a->path, b->path);
  pushplan(L, summary);
  setimages(L, "image", from.image.s, to.image.s);
  if (to.there && from.s != NULL && to.s != NULL && from.n == to.n
      && memcmp(from.s, to.s, to.n) == 0)
    return nothing(L, "they have the same content");
  setcontent(L, b, &to, from.s, from.n, (to.there ? to.mode : from.mode) & 07777);
  return 1;
}

/* -- move, remove, chmod ---------------------------------------------------------- */

static void checkmove (lua_State *L, const rb_Place *a, const Now *from,
                       const rb_Place *b, const Now *to) {
  struct stat one, two;
  if (!from->there) rb_refuse(L, "there is no file %s", a->path);
  if (to->there)
    rb_refuse(L, "%s is there already: remove it first, or choose another name", b->path);
  checkfolder(L, a);
  checkfolder(L, b);
  if (fstat(a->folder, &one) == 0 && fstat(b->folder, &two) == 0
      && one.st_dev != two.st_dev)
    rb_refuse(L, "%s is on another file system than %s: copy it, then remove it",
              b->path, a->path);
}

int rb_file_premove (lua_State *L) {
  Now from, to;
  char summary[2 * PATH_MAX + 16];
  lua_settop(L, 2);
  const rb_Place *a = rb_file_place(L, 1, RB_ITSELF, "files");
  const rb_Place *b = rb_file_place(L, 2, RB_ITSELF, "files");
  pushnow(L, a, &from);
  pushnow(L, b, &to);
  checkmove(L, a, &from, b, &to);
  snprintf(summary, sizeof summary, "move %s to %s", a->path, b->path);
  pushplan(L, summary);
  setimages(L, "image", from.image.s, to.image.s);
  setimages(L, "afterimage", from.image.s, RB_ABSENT);
  setpair(L, "before", "value", a->path);
  setpair(L, "after", "value", b->path);
  setinverse(L, "move", 2, (const char *const[]){b->path, a->path});
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, "guarded");
  if (from.s == NULL) return 1;
  lua_newtable(L);
  willbe(L, a->path, NULL, 0, 0);
  willbe(L, b->path, from.s, from.n, from.mode);
  willlist(L, a, 0);
  willlist(L, b, 1);
  lua_setfield(L, -2, "writes");
  return 1;
}

int rb_file_preremove (lua_State *L) {
  Now now;
  char summary[PATH_MAX + 16];
  lua_settop(L, 1);
  const rb_Place *p = rb_file_place(L, 1, RB_ITSELF, "files");
  pushnow(L, p, &now);
  snprintf(summary, sizeof summary, "remove %s", p->path);
  pushplan(L, summary);
  setstring(L, "image", now.image.s);
  if (!now.there) return nothing(L, "it is not there");
  if (!S_ISREG(now.mode) && !S_ISLNK(now.mode)) notafile(L, p->path, now.mode);
  checkfolder(L, p);
  setpair(L, "before", "value", now.image.s);
  setstring(L, "afterimage", RB_ABSENT);
  setrestore(L, p->path, &now);
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, "guarded");
  if (p->fd >= 0 && p->st.st_nlink > 1)
    setstring(L, "reason", "the file has other names (hard links): they stay");
  lua_newtable(L);
  willbe(L, p->path, NULL, 0, 0);
  willlist(L, p, 0);
  lua_setfield(L, -2, "writes");
  setblind(L, p->path);
  return 1;
}

int rb_file_prechmod (lua_State *L) {
  Now now;
  char summary[PATH_MAX + 32], old[8], new[8];
  const char *args[2];
  lua_settop(L, 2);
  if (lua_isnil(L, 2)) badmode(L, 2);
  mode_t mode = rb_file_mode(L, 2, 0, 0);
  const rb_Place *p = rb_file_place(L, 1, RB_FOLLOW, "files");
  pushnow(L, p, &now);
  if (!now.there) rb_refuse(L, "there is no file %s", p->path);
  if (!S_ISREG(now.mode) && !S_ISDIR(now.mode)) notafile(L, p->path, now.mode);
  if (p->fd >= 0 && geteuid() != 0 && p->st.st_uid != geteuid())
    rb_refuse(L, "%s belongs to another user: its mode is theirs to change", p->path);
  modetext(now.mode, old, sizeof old);
  modetext(mode, new, sizeof new);
  snprintf(summary, sizeof summary, "chmod %s %s", new, p->path);
  pushplan(L, summary);
  setstring(L, "image", old);
  if ((now.mode & 07777) == mode) return nothing(L, "it has this mode already");
  setpair(L, "before", "value", old);
  setpair(L, "after", "value", new);
  setstring(L, "afterimage", new);
  args[0] = p->path;
  args[1] = old;
  setinverse(L, "chmod", 2, args);
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "guarded");
  if (now.s == NULL) return 1;
  lua_newtable(L);
  willbe(L, p->path, now.s, now.n, mode);
  lua_setfield(L, -2, "writes");
  return 1;
}
