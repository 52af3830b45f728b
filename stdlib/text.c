/*
** text.c - templates, tables, likeness, wrapping: texts for people
**
** Text is UTF-8; a byte that is not part of a character counts as one. Widths
** are those of a terminal: East Asian characters take two columns, combining
** marks none.
*/

#include <string.h>

#include "stdlib/common/names.h"
#include "vm/module.h"

enum { MAXLIKE = 4096, MAXWIDTH = 500 };  /* characters compared; wrap */

/* -- characters ----------------------------------------------------------- */

/* the character at s (n bytes are left) and how long it is */
static unsigned decode (const char *s, size_t n, size_t *len) {
  unsigned char c = (unsigned char)*s;
  size_t want = c >= 0xF0 && c < 0xF8 ? 4 : c >= 0xE0 ? 3 : c >= 0xC2 ? 2 : 1;
  unsigned code = want == 1 || c >= 0xF8 ? c : c & (0xFFu >> (want + 1));
  *len = 1;
  if (want == 1 || want > n || c >= 0xF8) return c;
  for (size_t i = 1; i < want; i++) {
    if (((unsigned char)s[i] & 0xC0) != 0x80) return c;
    code = code << 6 | ((unsigned char)s[i] & 0x3F);
  }
  *len = want;
  return code;
}

/* first and last of characters that are not one column wide; sorted */
static const struct { unsigned first, last; int width; } widths[] = {
  {0x0300, 0x036F, 0}, {0x0483, 0x0489, 0}, {0x0591, 0x05BD, 0},
  {0x064B, 0x065F, 0}, {0x1100, 0x115F, 2}, {0x1AB0, 0x1AFF, 0},
  {0x1DC0, 0x1DFF, 0}, {0x200B, 0x200F, 0}, {0x20D0, 0x20FF, 0},
  {0x2E80, 0x303E, 2}, {0x3041, 0xA4CF, 2}, {0xAC00, 0xD7A3, 2},
  {0xF900, 0xFAFF, 2}, {0xFE00, 0xFE0F, 0}, {0xFE20, 0xFE2F, 0},
  {0xFE30, 0xFE6F, 2}, {0xFF00, 0xFF60, 2}, {0xFFE0, 0xFFE6, 2},
  {0x1F300, 0x1F64F, 2}, {0x1F680, 0x1F6FF, 2}, {0x1F900, 0x1F9FF, 2},
  {0x20000, 0x3FFFD, 2}
};

static int widthof (unsigned code) {
  for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
    if (code < widths[i].first) return 1;
    if (code <= widths[i].last) return widths[i].width;
  }
  return 1;
}

static size_t columns (const char *s, size_t n) {
  size_t sum = 0, len;
  for (size_t i = 0; i < n; i += len)
    sum += (size_t)widthof(decode(s + i, n - i, &len));
  return sum;
}

/* -- render --------------------------------------------------------------- */

/* [-0, +1, v]  the value of a name in the template; index 2 holds the values */
static void pushnamed (lua_State *L, const char *name, size_t n) {
  lua_pushlstring(L, name, n);
  lua_gettable(L, 2);
  if (lua_isnil(L, -1))
    luaL_error(L, "text.render: there is no value for {%s}",
               lua_pushlstring(L, name, n));
  luaL_tolstring(L, -1, NULL);
  lua_remove(L, -2);
}

/* render(template, values) */
static int text_render (lua_State *L) {
  luaL_Buffer b;
  const char *s = luaL_checkstring(L, 1);
  luaL_checkany(L, 2);
  lua_settop(L, 2);
  luaL_buffinit(L, &b);
  while (*s != '\0') {
    const char *open = strchr(s, '{');
    const char *close = open != NULL ? strchr(open, '}') : NULL;
    if (close == NULL) break;
    luaL_addlstring(&b, s, (size_t)(open - s));
    pushnamed(L, open + 1, (size_t)(close - open - 1));
    luaL_addvalue(&b);
    s = close + 1;
  }
  luaL_addstring(&b, s);
  luaL_pushresult(&b);
  return 1;
}

/* -- table ---------------------------------------------------------------- */

enum { ROWS = 1, COLUMNS, CELLS };  /* on the stack; CELLS: texts by row and column */

/* [-0, +1, v]  the columns when none were given: names sorted, or 1 to n where
** the rows are lists */
static void pushcolumns (lua_State *L) {
  lua_Integer wide;
  rb_names_push(L, ROWS, "text.table", &wide);
  int set = lua_gettop(L);
  if (lua_rawlen(L, set) > 0) return;
  for (lua_Integer i = 1; i <= wide; i++) {
    lua_pushinteger(L, i);
    lua_rawseti(L, set, i);
  }
}

/* [-1, +1, m]  the value at the top as one line */
static void tocell (lua_State *L) {
  size_t n;
  if (lua_isnil(L, -1)) lua_pushliteral(L, "");
  else luaL_tolstring(L, -1, NULL);
  lua_remove(L, -2);
  const char *s = lua_tolstring(L, -1, &n);
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, n + 1);
  for (size_t i = 0; i < n; i++)
    out[i] = (unsigned char)s[i] < ' ' || s[i] == 0x7f ? ' ' : s[i];
  luaL_pushresultsize(&b, n);
  lua_remove(L, -2);
}

typedef struct Column { size_t width; int number; } Column;

/* [-0, +1, v]  the cells, row by row (row 0: the names); measures the columns */
static void pushcells (lua_State *L, Column *col, lua_Integer ncol) {
  lua_Integer rows = luaL_len(L, ROWS);
  lua_newtable(L);
  for (lua_Integer r = 0; r <= rows; r++) {
    lua_geti(L, ROWS, r);
    for (lua_Integer c = 1; c <= ncol; c++) {
      lua_geti(L, COLUMNS, c);
      if (r > 0) {
        lua_gettable(L, -2);
        if (!lua_isnil(L, -1) && lua_type(L, -1) != LUA_TNUMBER)
          col[c - 1].number = 0;
      }
      tocell(L);
      size_t w = columns(lua_tostring(L, -1), lua_rawlen(L, -1));
      if (w > col[c - 1].width) col[c - 1].width = w;
      lua_rawseti(L, CELLS + 1, r * ncol + c);
    }
    lua_pop(L, 1);
  }
}

static void addspaces (luaL_Buffer *b, size_t n) {
  for (; n > 0; n--) luaL_addchar(b, ' ');
}

/* numbers stand to the right */
static void addcell (luaL_Buffer *b, const char *s, size_t n, const Column *col,
                     int last) {
  size_t w = columns(s, n), pad = col->width > w ? col->width - w : 0;
  if (col->number) addspaces(b, pad);
  luaL_addlstring(b, s, n);
  if (!col->number && !last) addspaces(b, pad);
  if (!last) luaL_addlstring(b, "  ", 2);
}

static void addline (luaL_Buffer *b, const Column *col, lua_Integer ncol) {
  for (lua_Integer c = 0; c < ncol; c++) {
    for (size_t i = 0; i < col[c].width; i++) luaL_addchar(b, '-');
    luaL_addlstring(b, "  ", c + 1 < ncol ? 2 : 0);
  }
  luaL_addchar(b, '\n');
}

/* table(rows [, columns]) */
static int text_table (lua_State *L) {
  luaL_checktype(L, ROWS, LUA_TTABLE);
  lua_settop(L, COLUMNS);
  if (lua_isnil(L, COLUMNS)) {
    pushcolumns(L);
    lua_replace(L, COLUMNS);
  }
  luaL_checktype(L, COLUMNS, LUA_TTABLE);
  lua_Integer ncol = luaL_len(L, COLUMNS), rows = luaL_len(L, ROWS);
  lua_geti(L, COLUMNS, 1);
  int named = lua_type(L, -1) == LUA_TSTRING;
  lua_pop(L, 1);
  Column *col = lua_newuserdatauv(L, (size_t)(ncol + 1) * sizeof *col, 0);
  for (lua_Integer c = 0; c < ncol; c++) col[c] = (Column){.number = 1};
  pushcells(L, col, ncol);
  int cells = lua_gettop(L);
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (lua_Integer r = named ? 0 : 1; r <= rows; r++) {
    for (lua_Integer c = 1; c <= ncol; c++) {
      size_t n;
      lua_rawgeti(L, cells, r * ncol + c);
      const char *s = lua_tolstring(L, -1, &n);  /* the table keeps it alive */
      lua_pop(L, 1);
      addcell(&b, s, n, &col[c - 1], c == ncol);
    }
    while (luaL_bufflen(&b) > 0 && luaL_buffaddr(&b)[luaL_bufflen(&b) - 1] == ' ')
      luaL_buffsub(&b, 1);
    luaL_addchar(&b, '\n');
    if (r == 0) addline(&b, col, ncol);
  }
  luaL_pushresult(&b);
  return 1;
}

/* -- similarity ----------------------------------------------------------- */

typedef struct Letters { size_t n; unsigned *code; char *used; } Letters;

/* [-0, +1, v]  the characters of argument idx */
static Letters pushletters (lua_State *L, int idx) {
  size_t n, len;
  const char *s = luaL_checklstring(L, idx, &n);
  char *block = lua_newuserdatauv(L, (n + 1) * (sizeof(unsigned) + 1), 0);
  Letters l = {.code = (unsigned *)(void *)block};
  l.used = block + (n + 1) * sizeof(unsigned);
  memset(l.used, 0, n + 1);
  for (size_t i = 0; i < n; i += len) l.code[l.n++] = decode(s + i, n - i, &len);
  luaL_argcheck(L, l.n <= MAXLIKE, idx, "longer than 4096 characters");
  return l;
}

/* characters that both have, not too far apart; marks them */
static size_t common (Letters *a, Letters *b) {
  size_t longer = a->n > b->n ? a->n : b->n, count = 0;
  size_t reach = longer / 2 > 0 ? longer / 2 - 1 : 0;
  for (size_t i = 0; i < a->n; i++) {
    size_t from = i > reach ? i - reach : 0;
    for (size_t j = from; j < b->n && j <= i + reach; j++) {
      if (b->used[j] || a->code[i] != b->code[j]) continue;
      a->used[i] = b->used[j] = 1;
      count++;
      break;
    }
  }
  return count;
}

/* how many of the common ones stand in another order */
static size_t swapped (const Letters *a, const Letters *b) {
  size_t j = 0, count = 0;
  for (size_t i = 0; i < a->n; i++) {
    if (!a->used[i]) continue;
    while (!b->used[j]) j++;
    count += a->code[i] != b->code[j++];
  }
  return count / 2;
}

/* similarity(a, b): Jaro-Winkler, with 0.1 for each of up to four first letters */
static int text_similarity (lua_State *L) {
  lua_settop(L, 2);
  Letters a = pushletters(L, 1), b = pushletters(L, 2);
  size_t same = common(&a, &b), first = 0;
  if (a.n == 0 && b.n == 0) lua_pushnumber(L, 1);
  else if (same == 0) lua_pushnumber(L, 0);
  else {
    double m = (double)same, t = (double)swapped(&a, &b);
    double jaro = (m / (double)a.n + m / (double)b.n + (m - t) / m) / 3;
    while (first < 4 && first < a.n && first < b.n
           && a.code[first] == b.code[first]) first++;
    lua_pushnumber(L, jaro + (double)first * 0.1 * (1 - jaro));
  }
  return 1;
}

/* -- wrap ----------------------------------------------------------------- */

/* one paragraph (no line breaks in it), a word that is too long on a line of its own */
static void addwrapped (luaL_Buffer *b, const char *s, size_t n, size_t width) {
  size_t used = 0;
  for (size_t i = 0; i < n; ) {
    while (i < n && s[i] == ' ') i++;
    size_t from = i;
    while (i < n && s[i] != ' ') i++;
    if (i == from) break;
    size_t w = columns(s + from, i - from);
    if (used > 0 && used + 1 + w > width) {
      luaL_addchar(b, '\n');
      used = 0;
    }
    if (used > 0) {
      luaL_addchar(b, ' ');
      used++;
    }
    luaL_addlstring(b, s + from, i - from);
    used += w;
  }
}

/* wrap(text, width) */
static int text_wrap (lua_State *L) {
  size_t n;
  const char *s = luaL_checklstring(L, 1, &n), *end = s + n;
  lua_Integer width = luaL_checkinteger(L, 2);
  luaL_argcheck(L, 1 <= width && width <= MAXWIDTH, 2, "1 to 500 columns expected");
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (;;) {
    const char *line = memchr(s, '\n', (size_t)(end - s));
    addwrapped(&b, s, (size_t)((line != NULL ? line : end) - s), (size_t)width);
    if (line == NULL) break;
    luaL_addchar(&b, '\n');
    s = line + 1;
  }
  luaL_pushresult(&b);
  return 1;
}

static const rb_Reg functions[] = {
  {"render", RB_PURE, text_render, NULL,
   "render(template, values) -> string : {name} becomes values.name as text (a "
   "secret becomes [redacted NAME]); a name without a value is an error that "
   "names it. There is no escape: a { without a } after it stays as it is.", NULL, NULL},
  {"table", RB_PURE, text_table, NULL,
   "table(rows [, columns]) -> string : rows as aligned columns, a line each, "
   "with two spaces between them. Rows are tables by name, with a line of names "
   "above, or lists. `columns` says which, and in which order; without it: all "
   "names of any row, sorted. A column of nothing but numbers stands to the "
   "right; nil is empty; wide characters count as two.", NULL, NULL},
  {"similarity", RB_PURE, text_similarity, NULL,
   "similarity(a, b) -> number : how alike two texts are (Jaro-Winkler, by "
   "characters): 0 not at all, 1 the same; a common beginning counts more, and "
   "case counts. At most 4096 characters each.", NULL, NULL},
  {"wrap", RB_PURE, text_wrap, NULL,
   "wrap(text, width) -> string : lines of at most `width` columns (1 to 500), "
   "broken at spaces; a longer word has a line of its own. Line breaks of the "
   "text stay.", NULL, NULL},
  RB_END
};

RB_API const rb_Module rb_module = {
  .interface = RB_INTERFACE,
  .name = "text",
  .doc = "texts put together, compared and laid out",
  .functions = functions
};
