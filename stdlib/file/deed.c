/*
** deed.c - the changes of the file module, each checked against its preview
*/

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stdlib/file/file.h"

#define COPY "file.copy"
#define PIECE ((size_t)16 << 20)

/* -- what the preview saw ------------------------------------------------------ */

/* [-0, +1, v]  plan.image, or plan.image[part] */
static const char *pushimage (lua_State *L, const char *part) {
  rb_plan(L);
  lua_getfield(L, -1, "image");
  if (part != NULL) lua_getfield(L, -1, part);
  const char *image = lua_tostring(L, -1);
  if (image == NULL) luaL_error(L, "a deed without its plan");
  lua_pushvalue(L, -1);
  lua_replace(L, part != NULL ? -4 : -3);
  lua_pop(L, part != NULL ? 2 : 1);
  return image;
}

static int drifted (lua_State *L, const char *path) {
  return rb_fail(L, "drift", RB_NOTDONE, "%s has changed since it was looked at; "
                 "nothing was done", path);
}

/* for rb_Expected: is the image of fd the one that the preview saw? */
static int sameimage (void *ud, int fd) {
  rb_Image now;
  return rb_file_image(fd, &now) == 0 && strcmp(now.s, ud) == 0;
}

/* there when it was there, not there when it was not */
static void checkpresence (lua_State *L, const rb_Place *p, const char *image) {
  if ((p->fd < 0) != (strcmp(image, RB_ABSENT) == 0)) drifted(L, p->path);
}

/* [-0, +?, y] */
static int pledge (lua_State *L, const rb_Place *p, lua_KFunction k) {
  lua_createtable(L, 0, 1);
  lua_pushstring(L, p->path);
  lua_setfield(L, -2, "path");
  return rb_pledge(L, 0, k);
}

static int finish (lua_State *L, rb_Swapped done, const char *path, const char *what) {
  const char *why = strerror(errno);
  switch (done) {
    case RB_SWAP_DONE: break;
    case RB_SWAP_DRIFT: return drifted(L, path);
    case RB_SWAP_FAILED:
      return rb_fail(L, "io", RB_NOTDONE, "%s cannot be %s: %s", path, what, why);
    case RB_SWAP_BROKEN:
      return rb_fail(L, "io", RB_UNKNOWN, "%s: it is not known whether it was %s: %s",
                     path, what, why);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* -- write: path, content, options, place, image --------------------------------- */

static int write_k (lua_State *L, int status, lua_KContext ctx) {
  const rb_Place *p = lua_touserdata(L, 4);
  rb_Content c;
  (void)status; (void)ctx;
  mode_t mode = rb_file_mode(L, 3, 1, p->fd >= 0 ? p->st.st_mode & 07777 : 0644);
  c.s = rb_text(L, 2, &c.n);
  rb_Expected expected = {sameimage, (void *)lua_tostring(L, 5)};
  return finish(L, rb_swap(p, &c, mode, &expected), p->path, "written");
}

int rb_file_write (lua_State *L) {
  lua_settop(L, 3);
  const rb_Place *p = rb_file_place(L, 1, RB_FOLLOW, "files");
  checkpresence(L, p, pushimage(L, NULL));
  return pledge(L, p, write_k);
}

/* -- copy: from, to, place, place, image of from, image of to, Copy ---------------- */

typedef struct Copy {
  const rb_Place *to;  /* on the same stack */
  rb_Temp temp;
  int from;            /* -1: closed */
  off_t at;
} Copy;

static int copy_close (lua_State *L) {
  Copy *c = luaL_checkudata(L, 1, COPY);
  if (c->temp.fd >= 0) rb_temp_drop(c->to, &c->temp);
  if (c->from >= 0) close(c->from);
  c->from = -1;
  return 0;
}

/* [-0, +1, m]  closed; closes itself with the call */
static Copy *pushcopy (lua_State *L, const rb_Place *to) {
  Copy *c = lua_newuserdatauv(L, sizeof *c, 0);
  *c = (Copy){.to = to, .temp.fd = -1, .from = -1};
  if (luaL_newmetatable(L, COPY)) {  /* no __gc: it lives no longer than its call */
    lua_pushcfunction(L, copy_close);
    lua_setfield(L, -2, "__close");
  }
  lua_setmetatable(L, -2);
  lua_toclose(L, -1);
  return c;
}

static int copied (lua_State *L, Copy *c) {
  const rb_Place *a = lua_touserdata(L, 3), *b = c->to;
  rb_Expected expected = {sameimage, (void *)lua_tostring(L, 6)};
  mode_t mode = (b->fd >= 0 ? b->st.st_mode : a->st.st_mode) & 07777;
  if (!sameimage((void *)lua_tostring(L, 5), c->from)) return drifted(L, a->path);
  return finish(L, rb_temp_swap(b, &c->temp, mode, &expected), b->path, "written");
}

/* a piece at a time, so that all others go on meanwhile */
static int copy_more (lua_State *L, int status, lua_KContext ctx) {
  Copy *c = lua_touserdata(L, 7);
  ssize_t n = 1;
  (void)status; (void)ctx;
  lua_settop(L, 7);
  for (size_t got = 0; n > 0 && got < PIECE; got += (size_t)n) {
    n = rb_temp_copy(&c->temp, c->from, &c->at, PIECE - got);
    if (n < 0) break;
  }
  if (n < 0 || fdatasync(c->temp.fd) != 0)
    return finish(L, RB_SWAP_FAILED, c->to->path, "written");
  if (n == 0) return copied(L, c);
  if (rb_timeleft(L) <= 0)
    return rb_fail(L, "timeout", RB_NOTDONE, "%s was not copied in time; nothing was "
                   "done", lua_tostring(L, 1));
  return rb_sleep(L, 0, 0, copy_more);
}

static int copy_k (lua_State *L, int status, lua_KContext ctx) {
  const rb_Place *a = lua_touserdata(L, 3), *b = lua_touserdata(L, 4);
  Copy *c = pushcopy(L, b);
  c->from = rb_place_read(a);
  if (c->from < 0) return finish(L, RB_SWAP_FAILED, a->path, "read");
  if (!sameimage((void *)lua_tostring(L, 5), c->from)) return drifted(L, a->path);
  if (rb_temp_open(b, &c->temp) != 0)
    return finish(L, RB_SWAP_FAILED, b->path, "written");
  return copy_more(L, status, ctx);
}

int rb_file_copy (lua_State *L) {
  lua_settop(L, 2);
  const rb_Place *a = rb_file_place(L, 1, RB_FOLLOW, "reads");
  const rb_Place *b = rb_file_place(L, 2, RB_FOLLOW, "files");
  checkpresence(L, a, pushimage(L, "from"));
  checkpresence(L, b, pushimage(L, "to"));
  return pledge(L, b, copy_k);
}

/* -- move: from, to, place, place, image of from ------------------------------------ */

static int move_k (lua_State *L, int status, lua_KContext ctx) {
  const rb_Place *a = lua_touserdata(L, 3), *b = lua_touserdata(L, 4);
  (void)status; (void)ctx;
  rb_Expected expected = {sameimage, (void *)lua_tostring(L, 5)};
  return finish(L, rb_swap_move(a, b, &expected), a->path, "moved");
}

int rb_file_move (lua_State *L) {
  lua_settop(L, 2);
  const rb_Place *a = rb_file_place(L, 1, RB_ITSELF, "files");
  const rb_Place *b = rb_file_place(L, 2, RB_ITSELF, "files");
  checkpresence(L, a, pushimage(L, "from"));
  checkpresence(L, b, RB_ABSENT);
  return pledge(L, a, move_k);
}

/* -- remove: path, place, image ------------------------------------------------------ */

static int remove_k (lua_State *L, int status, lua_KContext ctx) {
  const rb_Place *p = lua_touserdata(L, 2);
  (void)status; (void)ctx;
  rb_Expected expected = {sameimage, (void *)lua_tostring(L, 3)};
  return finish(L, rb_swap_remove(p, &expected), p->path, "removed");
}

int rb_file_remove (lua_State *L) {
  lua_settop(L, 1);
  const rb_Place *p = rb_file_place(L, 1, RB_ITSELF, "files");
  checkpresence(L, p, pushimage(L, NULL));
  return pledge(L, p, remove_k);
}

/* -- chmod: path, mode, place --------------------------------------------------------- */

static int chmod_k (lua_State *L, int status, lua_KContext ctx) {
  const rb_Place *p = lua_touserdata(L, 3);
  char self[64];
  (void)status; (void)ctx;
  snprintf(self, sizeof self, "/proc/self/fd/%d", p->fd);  /* this very file */
  int rc = chmod(self, rb_file_mode(L, 2, 0, 0));
  return finish(L, rc == 0 ? RB_SWAP_DONE : RB_SWAP_FAILED, p->path,
                "given that mode");
}

int rb_file_chmod (lua_State *L) {
  char old[8];
  lua_settop(L, 2);
  const rb_Place *p = rb_file_place(L, 1, RB_FOLLOW, "files");
  snprintf(old, sizeof old, "%04o", (unsigned)p->st.st_mode & 07777);
  if (p->fd < 0 || strcmp(old, pushimage(L, NULL)) != 0) return drifted(L, p->path);
  lua_settop(L, 3);
  return pledge(L, p, chmod_k);
}
