/*
** value.c - a value as a person reads it: as Lua writes it, unless it is rows
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/base.h"
#include "vm/repl/repl.h"
#include "vm/show/style.h"

enum { DEEP = 8, LINE = 76 };

/* -- scalars --------------------------------------------------------------- */

static void add (rb_Buffer *b, Style style, const char *s, size_t n) {
  char *clean = rb_redacted(s, n);
  if (clean != NULL) rb_style_add(b, style, clean);
  free(clean);
}

/* JSON in quotes is read by nobody: [[{"a":1}]] */
static int long_ (const char *s, size_t n) {
  size_t quotes = 0;
  for (size_t i = 0; i < n; i++) {
    quotes += s[i] == '"' || s[i] == '\\';
    if ((unsigned char)s[i] < ' ' || (s[i] == ']' && (i + 1 == n || s[i + 1] == ']'))) return 0;
  }
  return quotes >= 4;
}

/* "text", with what a line cannot hold escaped */
static void addquoted (rb_Buffer *b, const char *s, size_t n) {
  rb_Buffer q = {0};
  if (long_(s, n)) {
    rb_buffer_puts(&q, "[[");
    rb_buffer_add(&q, s, n);
    rb_buffer_puts(&q, "]]");
    add(b, GREEN, q.s, q.n);
    rb_buffer_free(&q);
    return;
  }
  rb_buffer_puts(&q, "\"");
  for (size_t i = 0; i < n; i++)
    if (s[i] == '\n') rb_buffer_puts(&q, "\\n");
    else if (s[i] == '"' || s[i] == '\\') rb_buffer_printf(&q, "\\%c", s[i]);
    else rb_buffer_add(&q, s + i, 1);
  rb_buffer_puts(&q, "\"");
  add(b, GREEN, q.s, q.n);
  rb_buffer_free(&q);
}

void rb_repl_pad (rb_Buffer *b, int n) {
  for (; n > 0; n--) rb_buffer_puts(b, " ");
}

void rb_repl_endline (rb_Show *show) {
  int fold = show->fold;
  show->fold = 0;
  rb_style_line(show);
  show->fold = fold;
}

void rb_repl_scalar (lua_State *L, int idx, rb_Buffer *b) {
  size_t n;
  idx = lua_absindex(L, idx);
  if (lua_type(L, idx) == LUA_TSTRING) {
    const char *s = lua_tolstring(L, idx, &n);
    addquoted(b, s, n);
    return;
  }
  int type = lua_type(L, idx);
  if (type == LUA_TLIGHTUSERDATA) {  /* json.null */
    rb_style_add(b, DIM, "null");
    return;
  }
  const char *s = rb_tolstring(L, idx, &n);
  add(b, type == LUA_TNIL ? DIM : type == LUA_TNUMBER ? CYAN : type == LUA_TBOOLEAN ? YELLOW
      : PLAIN, s, n);
  lua_pop(L, 1);
}

/* a number beside what a person calls it, on a terminal */
static void addmeant (lua_State *L, int idx, rb_Buffer *b, const rb_View *v, const char *field) {
  char human[64];
  rb_repl_scalar(L, idx, b);
  if (!v->show->fold || lua_type(L, idx) != LUA_TNUMBER) return;
  rb_repl_human(human, rb_repl_unit(v->result, field), lua_tonumber(L, idx));
  if (*human != '\0') rb_style_addf(b, DIM, " (%s)", human);
}

/* -- the rest -------------------------------------------------------------- */

static int isname (const char *s) {
  if (!(*s == '_' || (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z'))) return 0;
  while (*s == '_' || (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z')
         || (*s >= '0' && *s <= '9')) s++;
  return *s == '\0';
}

static void addkey (lua_State *L, int idx, rb_Buffer *b) {
  if (lua_type(L, idx) == LUA_TSTRING && isname(lua_tostring(L, idx))) {
    rb_style_add(b, BOLD, lua_tostring(L, idx));
    rb_buffer_puts(b, " = ");
  } else {
    rb_buffer_puts(b, "[");
    rb_repl_scalar(L, idx, b);
    rb_buffer_puts(b, "] = ");
  }
}

/* is the pair at the top an item of a list? */
static int isitem (lua_State *L, lua_Integer list) {
  return lua_isinteger(L, -2) && lua_tointeger(L, -2) >= 1 && lua_tointeger(L, -2) <= list;
}

/* the name of the pair at the top; NULL: it has none */
static const char *fieldname (lua_State *L) {
  return lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
}

static void inline_ (lua_State *L, int idx, rb_Buffer *b, const rb_View *v, int depth);

/* [-2, +1]  the pair at the top, as `key = value` (items of a list without their key) */
static void addpair (lua_State *L, rb_Buffer *b, const rb_View *v, lua_Integer list, int depth) {
  const char *field = fieldname(L);
  if (!isitem(L, list)) addkey(L, lua_gettop(L) - 1, b);
  if (depth == 1 && field != NULL && !lua_istable(L, -1)) addmeant(L, lua_gettop(L), b, v, field);
  else inline_(L, lua_gettop(L), b, v, depth);
  lua_pop(L, 1);
}

/* [-0, +3]  the pairs of a table in the order of their keys, as `pairs` has it */
static void startpairs (lua_State *L, int idx) {
  lua_pushcfunction(L, rb_pairs);
  lua_pushvalue(L, idx);
  lua_call(L, 1, 3);                                  /* iterator, state, nil */
}

static int nextpair (lua_State *L, int base) {
  lua_pushvalue(L, base);
  lua_pushvalue(L, base + 1);
  lua_pushvalue(L, base + 2);
  lua_call(L, 2, 2);
  if (lua_isnil(L, -2)) { lua_settop(L, base - 1); return 0; }
  lua_pushvalue(L, -2);
  lua_replace(L, base + 2);
  return 1;
}

static void inline_ (lua_State *L, int idx, rb_Buffer *b, const rb_View *v, int depth) {
  int first = 1;
  if (!lua_istable(L, idx)) { rb_repl_scalar(L, idx, b); return; }
  if (depth >= DEEP) { rb_style_add(b, DIM, "{...}"); return; }
  luaL_checkstack(L, 20, "too deep");
  lua_Integer list = (lua_Integer)lua_rawlen(L, idx);
  rb_buffer_puts(b, "{");
  startpairs(L, idx);
  int base = lua_gettop(L) - 2;
  while (nextpair(L, base)) {
    rb_buffer_puts(b, first ? " " : ", ");
    first = 0;
    addpair(L, b, v, list, depth + 1);
    lua_pop(L, 1);
  }
  rb_buffer_puts(b, first ? "}" : " }");
}

static void block (lua_State *L, int idx, const rb_View *v, int indent, const char *after);

/* a value that may need more than one line; what stands before it is in the show's text */
static void nested (lua_State *L, int idx, const rb_View *v, int indent, const char *after) {
  rb_Buffer b = {0};
  inline_(L, idx, &b, v, 0);
  if (!lua_istable(L, idx) || rb_style_width(b.s, b.n) + indent < LINE) {
    if (b.n > 0) rb_buffer_add(&v->show->text, b.s, b.n);
    rb_buffer_puts(&v->show->text, after);
    rb_buffer_free(&b);
    rb_repl_endline(v->show);
    return;
  }
  rb_buffer_free(&b);
  block(L, idx, v, indent, after);
}

/* the value at the top, in a line of its own; of what is deeper nobody said what it means */
static void field (lua_State *L, const char *name, const rb_View *v, int indent) {
  rb_View deeper = {v->show, NULL};
  if (indent == 0 && name != NULL && lua_type(L, -1) == LUA_TNUMBER) {
    addmeant(L, lua_gettop(L), &v->show->text, v, name);
    rb_buffer_puts(&v->show->text, ",");
    rb_repl_endline(v->show);
  } else if (indent < 2 * DEEP) nested(L, lua_gettop(L), &deeper, indent + 2, ",");
  else {
    rb_buffer_puts(&v->show->text, "{...},");
    rb_repl_endline(v->show);
  }
}

static void block (lua_State *L, int idx, const rb_View *v, int indent, const char *after) {
  lua_Integer list = (lua_Integer)lua_rawlen(L, idx);
  rb_Buffer *text = &v->show->text;
  luaL_checkstack(L, 20, "too deep");
  rb_buffer_puts(text, "{");
  rb_repl_endline(v->show);
  startpairs(L, idx);
  int base = lua_gettop(L) - 2;
  while (nextpair(L, base)) {
    rb_repl_pad(text, indent + 2);
    if (!isitem(L, list)) addkey(L, lua_gettop(L) - 1, text);
    field(L, fieldname(L), v, indent);
    lua_pop(L, 2);
  }
  rb_repl_pad(text, indent);
  rb_buffer_puts(text, "}");
  rb_buffer_puts(text, after);
  rb_repl_endline(v->show);
}

void rb_repl_value (lua_State *L, int idx, rb_Show *show) {
  size_t n;
  idx = lua_absindex(L, idx);
  luaL_checkstack(L, 20, "too deep");
  rb_View v = {show, rb_repl_result(L, idx)};
  if (lua_type(L, idx) == LUA_TSTRING) {
    const char *s = lua_tolstring(L, idx, &n);
    if (memchr(s, '\n', n) != NULL) {                 /* a text: as it is */
      add(&show->text, PLAIN, s, n);
      rb_repl_endline(show);
      return;
    }
  }
  if (lua_type(L, idx) == LUA_TNUMBER) {
    addmeant(L, idx, &show->text, &v, NULL);
    rb_repl_endline(show);
  } else if (!lua_istable(L, idx) || !rb_repl_rows(L, idx, &v)) nested(L, idx, &v, 0, "");
}
