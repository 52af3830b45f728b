/*
** format.c - rows as a CSV text
*/

#include <string.h>

#include "stdlib/common/names.h"
#include "stdlib/csv/csv.h"

enum { ROWS = 1, OPTIONS, COLUMNS };  /* on the stack */

/* [-0, +0, v]  the value at the top, quoted where it has to be; pops it */
static void addcell (lua_State *L, luaL_Buffer *b, char delimiter, int alone) {
  size_t n = 0;
  int type = lua_type(L, -1);
  if (type != LUA_TNIL && type != LUA_TSTRING && type != LUA_TNUMBER && type != LUA_TBOOLEAN)
    luaL_error(L, "csv.format: a value is a text, a number or a boolean, not a %s",
               luaL_typename(L, -1));
  const char *s = type == LUA_TNIL ? lua_pushliteral(L, "") : luaL_tolstring(L, -1, &n);
  int quoted = n == 0 ? alone : s[0] == ' ' || s[n - 1] == ' ';
  for (size_t i = 0; i < n && !quoted; i++)
    quoted = s[i] == delimiter || s[i] == '"' || s[i] == '\n' || s[i] == '\r';
  /* the buffer's box may be on the stack's top: the text is kept below it by a copy */
  char *room = lua_newuserdatauv(L, 2 * n + 3, 0);
  size_t to = 0;
  if (quoted) room[to++] = '"';
  for (size_t i = 0; i < n; i++) {
    if (s[i] == '"') room[to++] = '"';
    room[to++] = s[i];
  }
  if (quoted) room[to++] = '"';
  lua_pushlstring(L, room, to);
  lua_replace(L, -4);
  lua_pop(L, 2);
  luaL_addvalue(b);
}

/* [-0, +0, v]  a name of a row that is no column: what it holds would be lost */
static void checkkeys (lua_State *L, int columns, lua_Integer n, lua_Integer row) {
  int at = lua_gettop(L);
  lua_newtable(L);
  for (lua_Integer c = 1; c <= n; c++) {
    lua_geti(L, columns, c);
    lua_pushboolean(L, 1);
    lua_rawset(L, at + 1);
  }
  for (lua_pushnil(L); lua_next(L, at) != 0; lua_pop(L, 1)) {
    lua_pushvalue(L, -2);
    if (lua_rawget(L, at + 1) == LUA_TNIL)
      luaL_error(L, "csv.format: row %d has '%s', which is no column", (int)row,
                 luaL_tolstring(L, -3, NULL));
    lua_pop(L, 1);
  }
  lua_settop(L, at);
}

typedef struct Style { char delimiter; const char *end; size_t endlen; } Style;

/* [-0, +2, v]  pushes the columns (nil: lists) and the line end */
static Style styleof (lua_State *L) {
  Style s = {.delimiter = ',', .end = "\r\n", .endlen = 2};
  if (lua_isnoneornil(L, OPTIONS)) {
    lua_newtable(L);
    lua_replace(L, OPTIONS);
  }
  luaL_checktype(L, OPTIONS, LUA_TTABLE);
  int type = lua_getfield(L, OPTIONS, "columns");
  if (type != LUA_TNIL && type != LUA_TTABLE)
    luaL_error(L, "csv.format: 'columns' is a list of names");
  char c = rb_csv_getdelimiter(L, OPTIONS);
  if (c != 0) s.delimiter = c;
  if (lua_getfield(L, OPTIONS, "line_end") != LUA_TNIL) {
    const char *end = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &s.endlen) : "";
    if (strcmp(end, "\n") != 0 && strcmp(end, "\r\n") != 0)
      luaL_error(L, "csv.format: 'line_end' is \"\\n\" or \"\\r\\n\"");
    s.end = end;
  }
  return s;
}

/* [-0, +0, v]  the row at idx; by the columns where there are some */
static void addrow (lua_State *L, luaL_Buffer *b, const Style *s, int idx, int named) {
  lua_Integer n = luaL_len(L, named ? COLUMNS : idx);
  for (lua_Integer i = 1; i <= n; i++) {
    if (i > 1) luaL_addchar(b, s->delimiter);
    if (named && idx != COLUMNS) {
      lua_geti(L, COLUMNS, i);
      lua_gettable(L, idx);
    } else lua_geti(L, idx, i);
    addcell(L, b, s->delimiter, n == 1);
  }
  luaL_addlstring(b, s->end, s->endlen);
}

/* format(rows [, options]) */
int rb_csv_format (lua_State *L) {
  luaL_checktype(L, ROWS, LUA_TTABLE);
  lua_settop(L, OPTIONS);
  Style s = styleof(L);                               /* rows options columns line_end */
  lua_Integer rows = luaL_len(L, ROWS);
  if (lua_isnil(L, COLUMNS)) {
    rb_names_push(L, ROWS, "csv.format", NULL);
    lua_replace(L, COLUMNS);
  }
  int named = luaL_len(L, COLUMNS) > 0, list = lua_gettop(L) + 1;
  lua_createtable(L, (int)rows, 0);                   /* each row's text */
  for (lua_Integer i = 0; i <= rows; i++) {
    if (i == 0 && !named) continue;
    if (i > 0 && lua_geti(L, ROWS, i) != LUA_TTABLE)
      luaL_error(L, "csv.format: row %d is a %s, not a table", (int)i,
                 luaL_typename(L, -1));
    if (i > 0 && named) checkkeys(L, COLUMNS, luaL_len(L, COLUMNS), i);
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    addrow(L, &b, &s, i > 0 ? list + 1 : COLUMNS, named);
    luaL_pushresult(&b);
    lua_rawseti(L, list, (lua_Integer)lua_rawlen(L, list) + 1);
    lua_settop(L, list);
  }
  luaL_Buffer all;
  luaL_buffinit(L, &all);
  lua_Integer n = (lua_Integer)lua_rawlen(L, list);
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti(L, list, i);
    luaL_addvalue(&all);
  }
  luaL_pushresult(&all);
  return 1;
}
