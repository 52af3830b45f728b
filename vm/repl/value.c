/*
** value.c - a value as a person reads it: rows as a table, the rest as Lua writes it
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/base.h"
#include "vm/repl/repl.h"
#include "vm/show/style.h"

enum { COLUMNS = 40, CELL = 48, ROWS = 1000, DEEP = 8, LINE = 76 };

/* -- scalars --------------------------------------------------------------- */

static void add (rb_Buffer *b, Style style, const char *s, size_t n) {
  char *clean = rb_redacted(s, n);
  if (clean != NULL) rb_style_add(b, style, clean);
  free(clean);
}

/* "text", with what a line cannot hold escaped */
static void addquoted (rb_Buffer *b, const char *s, size_t n) {
  rb_Buffer q = {0};
  rb_buffer_puts(&q, "\"");
  for (size_t i = 0; i < n; i++)
    if (s[i] == '\n') rb_buffer_puts(&q, "\\n");
    else if (s[i] == '"' || s[i] == '\\') rb_buffer_printf(&q, "\\%c", s[i]);
    else rb_buffer_add(&q, s + i, 1);
  rb_buffer_puts(&q, "\"");
  add(b, GREEN, q.s, q.n);
  rb_buffer_free(&q);
}

/* [-0, +0, m] */
static void addscalar (lua_State *L, int idx, rb_Buffer *b) {
  size_t n;
  if (lua_type(L, idx) == LUA_TSTRING) {
    const char *s = lua_tolstring(L, idx, &n);
    addquoted(b, s, n);
    return;
  }
  const char *s = rb_tolstring(L, idx, &n);
  add(b, lua_isnil(L, idx) ? DIM : lua_isnumber(L, idx) ? CYAN : PLAIN, s, n);
  lua_pop(L, 1);
}

/* -- rows ------------------------------------------------------------------ */

typedef struct Table {
  const char *names[COLUMNS];  /* the rows' tables keep them alive */
  int width[COLUMNS], number[COLUMNS];
  int n;
} Table;

static int isplain (lua_State *L, int idx) { return !lua_istable(L, idx); }

/* the row at the top: its columns; 0: it is no row */
static int addrow (lua_State *L, Table *t) {
  if (!lua_istable(L, -1)) return 0;
  lua_pushnil(L);
  while (lua_next(L, -2) != 0) {
    int i = 0;
    int fits = lua_type(L, -2) == LUA_TSTRING && isplain(L, -1);
    const char *name = fits ? lua_tostring(L, -2) : NULL;
    lua_pop(L, 1);
    while (fits && i < t->n && strcmp(t->names[i], name) != 0) i++;
    if (!fits || i == COLUMNS) { lua_pop(L, 1); return 0; }
    if (i == t->n) {
      t->names[t->n] = name;
      t->number[t->n++] = 1;
    }
  }
  return 1;
}

static int byname (const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* a list whose items are all tables of plain values by name? */
static int isrows (lua_State *L, int idx, Table *t) {
  lua_Integer n = (lua_Integer)lua_rawlen(L, idx);
  memset(t, 0, sizeof *t);
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti(L, idx, i);
    int fits = addrow(L, t);
    lua_pop(L, 1);
    if (!fits) return 0;
  }
  qsort(t->names, (size_t)t->n, sizeof t->names[0], byname);
  return n > 0 && t->n > 0;
}

/* [-0, +0, m]  the cell at the top, cut, as marked text; its columns */
static int cell (lua_State *L, rb_Buffer *b) {
  size_t n;
  const char *s = lua_isnil(L, -1) ? "" : rb_tolstring(L, -1, &n);
  if (lua_isnil(L, -1)) n = 0;
  char *clean = rb_redacted(s, n);
  if (clean != NULL) {
    clean[strcspn(clean, "\n")] = '\0';
    rb_style_add(b, PLAIN, clean);
  }
  free(clean);
  if (!lua_isnil(L, -1)) lua_pop(L, 1);
  return rb_style_width(b->s, b->n);
}

static void measure (lua_State *L, int idx, Table *t) {
  rb_Buffer b = {0};
  for (int c = 0; c < t->n; c++) t->width[c] = (int)strlen(t->names[c]);
  for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, idx) && i <= ROWS; i++) {
    lua_rawgeti(L, idx, i);
    for (int c = 0; c < t->n; c++) {
      lua_getfield(L, -1, t->names[c]);
      rb_buffer_clear(&b);
      int wide = cell(L, &b);
      if (wide > t->width[c]) t->width[c] = wide;
      if (!lua_isnil(L, -1) && lua_type(L, -1) != LUA_TNUMBER) t->number[c] = 0;
      lua_pop(L, 1);
    }
    lua_pop(L, 1);
  }
  for (int c = 0; c < t->n; c++) if (t->width[c] > CELL) t->width[c] = CELL;
  rb_buffer_free(&b);
}

static void pad (rb_Buffer *b, int n) {
  for (; n > 0; n--) rb_buffer_puts(b, " ");
}

/* marked text in its column: cut, or padded */
static void place (rb_Buffer *line, rb_Buffer *b, int wide, const Table *t, int c) {
  int last = c == t->n - 1;
  if (t->number[c]) pad(line, t->width[c] - wide);
  if (wide > t->width[c]) {
    size_t n = b->n;
    while (n > 2 && rb_style_width(b->s, n) > t->width[c] - 3) n--;
    while (n > 2 && (b->s[n] & 0xC0) == 0x80) n--;
    rb_buffer_add(line, b->s, n);
    rb_buffer_puts(line, "...");
    wide = t->width[c];
  } else rb_buffer_add(line, b->s, b->n);
  if (!last) pad(line, (t->number[c] ? 0 : t->width[c] - wide) + 2);
}

static void endline (rb_Show *show) {
  int fold = show->fold;
  show->fold = 0;
  rb_style_line(show);
  show->fold = fold;
}

static void header (rb_Show *show, const Table *t) {
  rb_Buffer b = {0};
  for (int c = 0; c < t->n; c++) {
    rb_buffer_clear(&b);
    rb_style_add(&b, BOLD, t->names[c]);
    place(&show->text, &b, (int)strlen(t->names[c]), t, c);
  }
  endline(show);
  rb_buffer_free(&b);
}

static void rows (lua_State *L, int idx, Table *t, rb_Show *show) {
  rb_Buffer b = {0};
  lua_Integer n = (lua_Integer)lua_rawlen(L, idx);
  char count[64];
  measure(L, idx, t);
  header(show, t);
  for (lua_Integer i = 1; i <= n && i <= ROWS; i++) {
    lua_rawgeti(L, idx, i);
    for (int c = 0; c < t->n; c++) {
      lua_getfield(L, -1, t->names[c]);
      rb_buffer_clear(&b);
      place(&show->text, &b, cell(L, &b), t, c);
      lua_pop(L, 1);
    }
    lua_pop(L, 1);
    endline(show);
  }
  rb_buffer_free(&b);
  rb_style_addf(&show->text, DIM, "(%s%s)", rb_style_many(count, n, "row", "rows"),
                n > ROWS ? ", of which the first thousand are shown: _ has all" : "");
  endline(show);
}

/* -- the rest -------------------------------------------------------------- */

static int isname (const char *s) {
  if (!(*s == '_' || (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z'))) return 0;
  while (*s == '_' || (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z')
         || (*s >= '0' && *s <= '9')) s++;
  return *s == '\0';
}

static void addkey (lua_State *L, int idx, rb_Buffer *b) {
  if (lua_type(L, idx) == LUA_TSTRING && isname(lua_tostring(L, idx)))
    rb_style_addf(b, PLAIN, "%s = ", lua_tostring(L, idx));
  else {
    rb_buffer_puts(b, "[");
    addscalar(L, idx, b);
    rb_buffer_puts(b, "] = ");
  }
}

static void inline_ (lua_State *L, int idx, rb_Buffer *b, int depth);

/* [-2, +1]  the pair at the top, as `key = value` (items of a list without their key) */
static void addpair (lua_State *L, rb_Buffer *b, lua_Integer list, int depth) {
  int item = lua_isinteger(L, -2) && lua_tointeger(L, -2) >= 1 && lua_tointeger(L, -2) <= list;
  if (!item) addkey(L, lua_gettop(L) - 1, b);
  inline_(L, lua_gettop(L), b, depth);
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

static void inline_ (lua_State *L, int idx, rb_Buffer *b, int depth) {
  int first = 1;
  if (!lua_istable(L, idx)) { addscalar(L, idx, b); return; }
  if (depth >= DEEP) { rb_style_add(b, DIM, "{...}"); return; }
  luaL_checkstack(L, 20, "too deep");
  lua_Integer list = (lua_Integer)lua_rawlen(L, idx);
  rb_buffer_puts(b, "{");
  startpairs(L, idx);
  int base = lua_gettop(L) - 2;
  while (nextpair(L, base)) {
    rb_buffer_puts(b, first ? " " : ", ");
    first = 0;
    addpair(L, b, list, depth + 1);
    lua_pop(L, 1);
  }
  rb_buffer_puts(b, first ? "}" : " }");
}

static void block (lua_State *L, int idx, rb_Show *show, int indent, const char *after);

/* a value that may need more than one line; what stands before it is in show->text */
static void nested (lua_State *L, int idx, rb_Show *show, int indent, const char *after) {
  rb_Buffer b = {0};
  inline_(L, idx, &b, 0);
  if (!lua_istable(L, idx) || rb_style_width(b.s, b.n) + indent < LINE) {
    if (b.n > 0) rb_buffer_add(&show->text, b.s, b.n);
    rb_buffer_puts(&show->text, after);
    rb_buffer_free(&b);
    endline(show);
    return;
  }
  rb_buffer_free(&b);
  block(L, idx, show, indent, after);
}

static void block (lua_State *L, int idx, rb_Show *show, int indent, const char *after) {
  lua_Integer list = (lua_Integer)lua_rawlen(L, idx);
  luaL_checkstack(L, 20, "too deep");
  rb_buffer_puts(&show->text, "{");
  endline(show);
  startpairs(L, idx);
  int base = lua_gettop(L) - 2;
  while (nextpair(L, base)) {
    int item = lua_isinteger(L, -2) && lua_tointeger(L, -2) >= 1
               && lua_tointeger(L, -2) <= list;
    pad(&show->text, indent + 2);
    if (!item) addkey(L, lua_gettop(L) - 1, &show->text);
    if (indent < 2 * DEEP) nested(L, lua_gettop(L), show, indent + 2, ",");
    else { rb_buffer_puts(&show->text, "{...},"); endline(show); }
    lua_pop(L, 2);
  }
  pad(&show->text, indent);
  rb_buffer_puts(&show->text, "}");
  rb_buffer_puts(&show->text, after);
  endline(show);
}

void rb_repl_value (lua_State *L, int idx, rb_Show *show) {
  Table t;
  size_t n;
  idx = lua_absindex(L, idx);
  luaL_checkstack(L, 20, "too deep");
  if (lua_type(L, idx) == LUA_TSTRING) {
    const char *s = lua_tolstring(L, idx, &n);
    if (memchr(s, '\n', n) != NULL) {                 /* a text: as it is */
      add(&show->text, PLAIN, s, n);
      endline(show);
      return;
    }
  }
  if (lua_istable(L, idx) && isrows(L, idx, &t)) rows(L, idx, &t, show);
  else nested(L, idx, show, 0, "");
}
