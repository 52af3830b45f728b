/*
** change.c - one change of a .env file: preview and deed compute the same text
*/

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stdlib/common/diff.h"
#include "stdlib/common/swap.h"
#include "stdlib/dotenv/dotenv.h"

typedef enum Verb { SET, UNSET, ADD, REMOVE } Verb;

/* A change: what stands there, and what shall. Texts are on the Lua stack. */
typedef struct Change {
  Verb verb;
  const char *name;
  const char *s; size_t n;        /* the file */
  int there;                      /* how often it is set */
  Entry e;
  const char *old; size_t oldlen;
  const char *value; size_t len;  /* NULL: none */
  const char *text;               /* the whole line as it shall be, or NULL */
  lua_Integer line;               /* where a new one goes; 0: at the end */
  const char *item; size_t itemlen;
  const char *nothing;            /* why there is nothing to do, or NULL */
} Change;

/* -- what shall be ---------------------------------------------------------------- */

static int isbreak (const char *s, size_t n) {
  return n > 0 && s[n - 1] == '\n';
}

/* the options of `set`: an undo says exactly what stood there */
static void readoptions (lua_State *L, Change *c) {
  if (lua_isnoneornil(L, 4)) return;
  luaL_checktype(L, 4, LUA_TTABLE);
  lua_getfield(L, 4, "line");
  c->line = luaL_optinteger(L, -1, 0);
  lua_getfield(L, 4, "text");
  c->text = luaL_optstring(L, -1, NULL);
}

/* A line that was the last, and not ended, comes with the end of the line before
** it: how long is that? */
static size_t leading (const char *text) {
  return text[0] == '\n' ? 1 : text[0] == '\r' && text[1] == '\n' ? 2 : 0;
}

/* the line that is given has to mean the value that is given */
static void checktext (lua_State *L, const Change *c) {
  Entry e;
  size_t n = strlen(c->text), len = 0;
  int one = rb_env_find(c->text, n, c->name, &e) == 1 && e.start == leading(c->text)
            && e.end == n;
  const char *value = one ? rb_env_pushvalue(L, c->text, &e, &len) : NULL;
  luaL_argcheck(L, one && len == c->len && memcmp(value, c->value, len) == 0, 4,
                "text is no line that sets this name to this value");
}

static void wantset (lua_State *L, Change *c) {
  readoptions(L, c);
  if (c->text == NULL) c->value = rb_env_checkvalue(L, 3, &c->len);
  else {
    c->value = luaL_checklstring(L, 3, &c->len);  /* newlines, too, if they were there */
    checktext(L, c);
  }
  size_t n = c->text != NULL ? strlen(c->text) : 0;
  if (c->there && c->len == c->oldlen && memcmp(c->value, c->old, c->len) == 0
      && (c->text == NULL || (n == c->e.end - c->e.start
                              && memcmp(c->text, c->s + c->e.start, n) == 0)))
    c->nothing = "it has this value already";
}

static void wantunset (lua_State *L, Change *c) {
  if (c->there == 0) c->nothing = "it is not set";
  if (c->there > 1)
    rb_refuse(L, "%s is set in %d lines: which of them counts depends on who reads "
              "the file; mend it by hand", c->name, c->there);
}

static void wantadd (lua_State *L, Change *c) {
  c->item = rb_env_checkitem(L, 3, &c->itemlen);
  if (c->there && rb_env_listed(c->old, c->oldlen, c->item, c->itemlen)) {
    c->nothing = "the item is there already";
    return;
  }
  const char *comma = c->oldlen == 0 ? "" : strstr(c->old, ", ") ? ", " : ",";
  c->value = lua_pushfstring(L, "%s%s%s", c->there ? c->old : "",
                             c->there ? comma : "", c->item);
  c->len = strlen(c->value);
}

/* [-0, +1, m]  the list without the item */
static void pushwithout (lua_State *L, const Change *c) {
  luaL_Buffer b;
  int kept = 0;
  luaL_buffinit(L, &b);
  for (const char *s = c->old, *end = s + c->oldlen; s <= end; ) {
    const char *comma = memchr(s, ',', (size_t)(end - s));
    const char *to = comma != NULL ? comma : end;
    if (!rb_env_listed(s, (size_t)(to - s), c->item, c->itemlen)) {
      if (kept) luaL_addchar(&b, ',');
      else while (s < to && *s == ' ') s++;
      luaL_addlstring(&b, s, (size_t)(to - s));
      kept = 1;
    }
    if (comma == NULL) break;
    s = comma + 1;
  }
  luaL_pushresult(&b);
}

static void wantremove (lua_State *L, Change *c) {
  c->item = rb_env_checkitem(L, 3, &c->itemlen);
  if (!c->there || !rb_env_listed(c->old, c->oldlen, c->item, c->itemlen)) {
    c->nothing = "the item is not there";
    return;
  }
  pushwithout(L, c);
  c->value = lua_tolstring(L, -1, &c->len);
}

/* [-0, +?, v]  everything about the change; what it holds stays on the stack */
static Change readchange (lua_State *L, Verb verb, const char *s, size_t n) {
  static void (*const want[]) (lua_State *, Change *) = {
    wantset, wantunset, wantadd, wantremove
  };
  Change c = {.verb = verb, .s = s, .n = n};
  luaL_checkstack(L, 20, NULL);
  c.name = rb_env_checkname(L, 2);
  c.there = rb_env_find(s, n, c.name, &c.e);
  if (c.there) c.old = rb_env_pushvalue(L, s, &c.e, &c.oldlen);
  want[verb](L, &c);
  return c;
}

/* -- the new text --------------------------------------------------------------------- */

/* [-0, +1, m]  NAME=value without a line end */
static void pushassignment (lua_State *L, const Change *c) {
  char *room = lua_newuserdatauv(L, 2 * c->len + 2, 0);
  size_t n = rb_env_encode(c->value, c->len, c->there ? &c->e : NULL, room);
  lua_pushfstring(L, "%s=", c->name);
  lua_pushlstring(L, room, n);
  lua_concat(L, 2);
  lua_remove(L, -2);
}

/* [-0, +1, m]  the value's new text in the place of the old one */
static void pushreplaced (lua_State *L, const Change *c) {
  const Entry *e = &c->e;
  size_t from = e->value, to = e->value + e->valuelen;
  if (c->text != NULL) { from = e->start; to = e->end; }
  lua_pushlstring(L, c->s, from);
  if (c->text != NULL) lua_pushstring(L, c->text + leading(c->text));
  else {
    char *room = lua_newuserdatauv(L, 2 * c->len + 2, 0);
    lua_pushlstring(L, room, rb_env_encode(c->value, c->len, e, room));
    lua_remove(L, -2);
  }
  lua_pushlstring(L, c->s + to, c->n - to);
  lua_concat(L, 3);
}

/* where a new line goes; *line is the one that begins there */
static size_t offset (const Change *c, lua_Integer *line) {
  size_t at = 0;
  for (*line = 1; (c->line == 0 || *line < c->line) && at < c->n; ) {
    const char *nl = memchr(c->s + at, '\n', c->n - at);
    at = nl != NULL ? (size_t)(nl - c->s) + 1 : c->n;
    *line += nl != NULL;
  }
  return at;
}

/* [-0, +1, m]  a new line, at its place or at the end. A file whose last line is
** not ended stays one. */
static void pushinserted (lua_State *L, const Change *c) {
  const char *first = memchr(c->s, '\n', c->n);
  const char *end = first != NULL && first > c->s && first[-1] == '\r' ? "\r\n" : "\n";
  lua_Integer line;
  size_t at = offset(c, &line), lead = c->text != NULL ? leading(c->text) : 0;
  int open = at == c->n && c->n > 0 && !isbreak(c->s, c->n);
  int early = line < c->line;  /* the break before it is missing, too */
  lua_pushlstring(L, c->s, at);
  lua_pushstring(L, open && lead == 0 ? end : "");
  if (c->text != NULL) lua_pushstring(L, c->text + (open || early ? 0 : lead));
  else pushassignment(L, c);
  int ended = c->text != NULL && isbreak(c->text, strlen(c->text));
  int whole = c->text != NULL && at == c->n;  /* exactly as it stood there */
  lua_pushstring(L, open || ended || whole ? "" : end);
  lua_concat(L, 2);
  lua_pushlstring(L, c->s + at, c->n - at);
  lua_concat(L, 4);
}

/* where the line begins that is to be removed: the last one that is not ended
** takes the end of the line before it along */
static size_t removedfrom (const Change *c) {
  size_t from = c->e.start;
  if (c->e.end < c->n || isbreak(c->s, c->n) || from == 0) return from;
  from--;
  return from > 0 && c->s[from - 1] == '\r' ? from - 1 : from;
}

/* [-0, +1, m] */
static void pushremoved (lua_State *L, const Change *c) {
  size_t to = c->e.end;
  lua_pushlstring(L, c->s, removedfrom(c));
  lua_pushlstring(L, c->s + to, c->n - to);
  lua_concat(L, 2);
}

/* [-0, +1, m] */
static const char *pushnew (lua_State *L, const Change *c, size_t *n) {
  if (c->value == NULL) pushremoved(L, c);
  else if (c->there) pushreplaced(L, c);
  else pushinserted(L, c);
  return lua_tolstring(L, -1, n);
}

/* -- what people see --------------------------------------------------------------------- */

/* [-0, +1, m]  the text with "[redacted NAME]" for every secret; where 'other'
** gives the name another value the two can be told apart */
static const char *pushmasked (lua_State *L, const char *s, size_t n,
                               const char *other, size_t othern, size_t *len) {
  luaL_Buffer b;
  Entry e, was;
  size_t at = 0, from = 0, skip, plen;
  int line = 1;
  luaL_buffinit(L, &b);
  while (rb_env_next(s, n, &at, &line, &e)) {
    plen = e.valuelen;
    skip = 0;
    if (!rb_env_issecret(s + e.name, e.namelen))
      plen = rb_env_password(s + e.value, e.valuelen, &skip);
    if (plen == 0) continue;
    char name[128];
    snprintf(name, sizeof name, "%.*s", (int)e.namelen, s + e.name);
    luaL_addlstring(&b, s + from, e.value + skip - from);
    luaL_addstring(&b, "[redacted ");
    luaL_addstring(&b, name);
    if (other != NULL && rb_env_find(other, othern, name, &was) > 0
        && (was.valuelen != e.valuelen
            || memcmp(other + was.value, s + e.value, e.valuelen) != 0))
      luaL_addstring(&b, ", changed");
    luaL_addchar(&b, ']');
    from = e.value + skip + plen;
  }
  luaL_addlstring(&b, s + from, n - from);
  luaL_pushresult(&b);
  return lua_tolstring(L, -1, len);
}

static void setstring (lua_State *L, const char *name, const char *s) {
  lua_pushstring(L, s);
  lua_setfield(L, -2, name);
}

/* [-0, +0, m]  shown[value] (at the top): a secret by its name */
static void setvalue (lua_State *L, const Change *c, const char *value, size_t n) {
  size_t from = 0, len = rb_env_password(value, n, &from);
  if (rb_env_issecret(c->name, strlen(c->name))) lua_pushfstring(L, "[redacted %s]", c->name);
  else if (len > 0) {
    lua_pushlstring(L, value, from);
    lua_pushfstring(L, "[redacted %s]", c->name);
    lua_pushlstring(L, value + from + len, n - from - len);
    lua_concat(L, 3);
  } else lua_pushlstring(L, value, n);
  lua_setfield(L, -2, "value");
}

static void setshown (lua_State *L, const Change *c, const char *path, const char *new,
                      size_t n) {
  size_t alen, blen;
  int plan = lua_gettop(L);
  const char *a = pushmasked(L, c->s, c->n, NULL, 0, &alen);
  const char *b = pushmasked(L, new, n, c->s, c->n, &blen);
  char *diff = rb_diff(a, alen, b, blen, path);
  if (diff == NULL) luaL_error(L, "not enough memory");
  lua_createtable(L, 0, 2);
  lua_pushstring(L, diff);
  free(diff);
  lua_setfield(L, -2, "diff");
  if (c->value != NULL) setvalue(L, c, c->value, c->len);
  lua_setfield(L, plan, "after");
  lua_settop(L, plan);
  if (!c->there) return;
  lua_createtable(L, 0, 1);
  setvalue(L, c, c->old, c->oldlen);
  lua_setfield(L, plan, "before");
}

/* -- the plan ----------------------------------------------------------------------------- */

/* [-0, +1, m] */
static void pushsummary (lua_State *L, const Change *c) {
  switch (c->verb) {
    case SET: lua_pushfstring(L, "set %s", c->name); break;
    case UNSET: lua_pushfstring(L, "unset %s", c->name); break;
    case ADD: lua_pushfstring(L, "add %s to %s", c->item, c->name); break;
    case REMOVE: lua_pushfstring(L, "remove %s from %s", c->item, c->name); break;
  }
}

/* Does taking the item out of the new text give the old text, to the byte? (Not
** when the item brought quotes with it.) */
static int removes (lua_State *L, const Change *c, const char *new, size_t n) {
  Change r = {.verb = REMOVE, .name = c->name, .s = new, .n = n, .item = c->item,
              .itemlen = c->itemlen};
  int top = lua_gettop(L);
  size_t len;
  r.there = rb_env_find(new, n, r.name, &r.e);
  r.old = rb_env_pushvalue(L, new, &r.e, &r.oldlen);
  pushwithout(L, &r);
  r.value = lua_tolstring(L, -1, &r.len);
  pushreplaced(L, &r);
  const char *back = lua_tolstring(L, -1, &len);
  int same = len == c->n && memcmp(back, c->s, len) == 0;
  lua_settop(L, top);
  return same;
}

/* [-0, +0, m]  what brings back exactly what stood there. Where nothing stood the
** name is unset; an item that was added is removed, so that others that come
** later stay. */
static void setinverse (lua_State *L, const Change *c, const char *new, size_t n) {
  int item = c->there && c->verb == ADD && removes(L, c, new, n);
  lua_createtable(L, 4, 0);
  lua_pushstring(L, !c->there ? "unset" : item ? "remove" : "set");
  lua_rawseti(L, -2, 1);
  lua_pushstring(L, c->name);
  lua_rawseti(L, -2, 2);
  if (c->there) {
    if (item) lua_pushlstring(L, c->item, c->itemlen);
    else lua_pushlstring(L, c->old, c->oldlen);
    lua_rawseti(L, -2, 3);
  }
  if (c->there && !item) {
    size_t from = c->verb == UNSET ? removedfrom(c) : c->e.start;
    lua_createtable(L, 0, 2);
    lua_pushlstring(L, c->s + from, c->e.end - from);
    lua_setfield(L, -2, "text");
    lua_pushinteger(L, c->e.line);
    lua_setfield(L, -2, "line");
    lua_rawseti(L, -2, 4);
  }
  lua_setfield(L, -2, "inverse");
}

static void setguard (lua_State *L, const rb_Place *p) {
  int guarded = rb_swap_guarded(p);
  lua_pushboolean(L, guarded);
  lua_setfield(L, -2, "guarded");
  if (!guarded && faccessat(p->folder, p->name, W_OK, AT_EACCESS) != 0)
    rb_refuse(L, "%s may not be written: %s", p->path, strerror(errno));
  if (!guarded)
    setstring(L, "reason", "it cannot be swapped at once here, so it is written over");
  else if (p->st.st_nlink > 1)
    setstring(L, "reason", "the file has other names (hard links): they keep the old "
              "content");
}

/* [-0, +0, m]  plan.writes = { ["file:/path"] = { value = s } } */
static void setwrites (lua_State *L, const char *path, const char *s, size_t n) {
  lua_newtable(L);
  lua_pushfstring(L, "file:%s", path);
  lua_createtable(L, 0, 1);
  lua_pushlstring(L, s, n);
  lua_setfield(L, -2, "value");
  lua_settable(L, -3);
  lua_setfield(L, -2, "writes");
}

/* [-0, +1, m]  a plan that returns true and charges one file */
static void pushplan (lua_State *L, const Change *c) {
  lua_createtable(L, 0, 12);
  pushsummary(L, c);
  lua_setfield(L, -2, "summary");
  lua_pushlstring(L, c->s, c->n);
  lua_setfield(L, -2, "image");
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, "exact");
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, "result");
  lua_createtable(L, 0, 1);
  lua_pushinteger(L, 1);
  lua_setfield(L, -2, "files");
  lua_setfield(L, -2, "counts");
}

static int preview (lua_State *L, Verb verb) {
  size_t n, newlen;
  lua_settop(L, 4);
  const rb_Place *p = rb_env_pushplace(L, 1);
  const char *s = rb_env_pushplanned(L, p, &n);
  if (s == NULL) s = rb_env_pushfile(L, p, &n);
  rb_env_keepsecrets(L, s, n);
  Change c = readchange(L, verb, s, n);
  const char *new = c.nothing == NULL ? pushnew(L, &c, &newlen) : NULL;
  if (new != NULL) rb_env_keepsecrets(L, new, newlen);
  pushplan(L, &c);
  if (c.nothing != NULL) {
    setstring(L, "verdict", "nothing to do");
    setstring(L, "reason", c.nothing);
    return 1;
  }
  setguard(L, p);
  setshown(L, &c, p->path, new, newlen);
  setinverse(L, &c, new, newlen);
  lua_pushlstring(L, new, newlen);
  lua_setfield(L, -2, "afterimage");
  setwrites(L, p->path, new, newlen);
  return 1;
}

/* -- the deed: resource and arguments 1-4, place 5, the old text 6 ------------------------ */

typedef struct Text { const char *s; size_t n; } Text;

/* for rb_Expected: is this the text that the preview saw? */
static int sametext (void *ud, int fd) {
  const Text *t = ud;
  char chunk[4096];
  size_t at = 0;
  ssize_t n;
  while ((n = pread(fd, chunk, sizeof chunk, (off_t)at)) > 0) {
    if (at + (size_t)n > t->n || memcmp(t->s + at, chunk, (size_t)n) != 0) return 0;
    at += (size_t)n;
  }
  return n == 0 && at == t->n;
}

static int drifted (lua_State *L, const char *path) {
  return rb_fail(L, "drift", RB_NOTDONE, "%s has changed since it was looked at; "
                 "nothing was done", path);
}

static int swapped (lua_State *L, rb_Swapped done, const char *path) {
  const char *why = strerror(errno);
  if (done == RB_SWAP_DRIFT) return drifted(L, path);
  if (done == RB_SWAP_FAILED)
    return rb_fail(L, "io", RB_NOTDONE, "%s cannot be written: %s", path, why);
  if (done == RB_SWAP_BROKEN)
    return rb_fail(L, "io", RB_UNKNOWN, "%s: it is not known whether it was written: "
                   "%s", path, why);
  lua_pushboolean(L, 1);
  return 1;
}

static int pledged (lua_State *L, int status, lua_KContext verb) {
  Text old;
  (void)status;
  const rb_Place *p = lua_touserdata(L, 5);
  old.s = lua_tolstring(L, 6, &old.n);
  Change c = readchange(L, (Verb)verb, old.s, old.n);
  rb_Content content;
  content.s = pushnew(L, &c, &content.n);
  rb_Expected expected = {sametext, &old};
  rb_Swapped done = rb_swap(p, &content, p->st.st_mode & 07777, &expected);
  return swapped(L, done, p->path);
}

static int deed (lua_State *L, Verb verb) {
  Text now;
  lua_settop(L, 4);
  const rb_Place *p = rb_env_pushplace(L, 1);
  now.s = rb_env_pushfile(L, p, &now.n);
  rb_plan(L);
  lua_getfield(L, -1, "image");
  if (!lua_rawequal(L, -1, 6)) return drifted(L, p->path);
  lua_settop(L, 6);
  lua_createtable(L, 0, 1);
  setstring(L, "path", p->path);
  return rb_pledge(L, verb, pledged);
}

int rb_env_set (lua_State *L) { return deed(L, SET); }
int rb_env_unset (lua_State *L) { return deed(L, UNSET); }
int rb_env_add (lua_State *L) { return deed(L, ADD); }
int rb_env_remove (lua_State *L) { return deed(L, REMOVE); }
int rb_env_preset (lua_State *L) { return preview(L, SET); }
int rb_env_preunset (lua_State *L) { return preview(L, UNSET); }
int rb_env_preadd (lua_State *L) { return preview(L, ADD); }
int rb_env_preremove (lua_State *L) { return preview(L, REMOVE); }
