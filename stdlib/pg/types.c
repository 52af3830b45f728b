/*
** types.c - PostgreSQL's values as Lua's
**
** They come as text. What would lose something as a number stays a string.
*/

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stdlib/pg/pg.h"

/* built-in types have fixed numbers */
typedef enum Form {
  TEXT, BOOL, INTEGER, FLOAT, NUMERIC, JSON, TIME, TIMETZ, BYTES
} Form;

static const struct { Oid type, array; Form form; } types[] = {
  {16, 1000, BOOL}, {17, 1001, BYTES}, {20, 1016, INTEGER}, {21, 1005, INTEGER},
  {23, 1007, INTEGER}, {26, 1028, INTEGER}, {114, 199, JSON},
  {700, 1021, FLOAT}, {701, 1022, FLOAT}, {1114, 1115, TIME},
  {1184, 1185, TIMETZ}, {1700, 1231, NUMERIC}, {3802, 3807, JSON},
  {18, 1002, TEXT}, {19, 1003, TEXT}, {25, 1009, TEXT}, {142, 143, TEXT},
  {650, 651, TEXT}, {829, 1040, TEXT}, {869, 1041, TEXT}, {1042, 1014, TEXT},
  {1043, 1015, TEXT}, {1082, 1182, TEXT}, {1083, 1183, TEXT},
  {1186, 1187, TEXT}, {1266, 1270, TEXT}, {2205, 2210, TEXT},
  {2950, 2951, TEXT}, {2249, 2287, TEXT},
};

/* "1203" and "1.50" are numbers when a number says the same */
static void pushnumeric (lua_State *L, const char *s) {
  char shown[64];
  const char *point = strchr(s, '.');
  size_t n = strlen(s);
  errno = 0;
  long long i = strtoll(s, NULL, 10);
  if (point == NULL && errno == 0 && strspn(s, "-0123456789") == n) {
    lua_pushinteger(L, i);
    return;
  }
  while (point != NULL && n > 0 && s[n - 1] == '0') n--;
  double d = strtod(s, NULL);
  snprintf(shown, sizeof shown, "%.*f",
           point != NULL ? (int)(s + n - point - 1) : 0, d);
  int same = strspn(s, "-.0123456789") == strlen(s) && n < 17 &&
             strncmp(shown, s, n) == 0;
  if (same) lua_pushnumber(L, d);
  else lua_pushstring(L, s);
}

/* 2024-01-02 03:04:05.678+00 -> 2024-01-02T03:04:05.678Z */
static void pushtime (lua_State *L, const char *s, size_t n, int zone) {
  char iso[48];
  int utc = zone && n > 3 && strcmp(s + n - 3, "+00") == 0;
  if (n < 19 || n > 40 || s[10] != ' ' || strstr(s, "BC") || zone != utc) {
    lua_pushlstring(L, s, n);  /* infinity, years of five digits, BC */
    return;
  }
  memcpy(iso, s, n);
  iso[10] = 'T';
  if (zone) iso[n - 3] = 'Z';
  lua_pushlstring(L, iso, zone ? n - 2 : n);
}

static int hexdigit (char c) {
  return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

static void pushbytes (lua_State *L, const char *s, size_t n) {
  luaL_Buffer b;
  size_t len = n >= 2 ? (n - 2) / 2 : 0;
  char *out = luaL_buffinitsize(L, &b, len);
  for (size_t i = 0; i < len; i++)
    out[i] = (char)(hexdigit(s[2 + 2 * i]) << 4 | hexdigit(s[3 + 2 * i]));
  luaL_pushresultsize(&b, len);
}

static void pushjson (lua_State *L, const json_t *j) {
  size_t i;
  const char *key;
  json_t *item;
  luaL_checkstack(L, 3, "JSON is nested too deeply");
  switch (json_typeof(j)) {
    case JSON_OBJECT:
      lua_createtable(L, 0, (int)json_object_size(j));
      json_object_foreach((json_t *)j, key, item) {
        pushjson(L, item);
        lua_setfield(L, -2, key);
      }
      break;
    case JSON_ARRAY:
      lua_createtable(L, (int)json_array_size(j), 0);
      json_array_foreach(j, i, item) {
        pushjson(L, item);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
      }
      break;
    case JSON_STRING:
      lua_pushlstring(L, json_string_value(j), json_string_length(j));
      break;
    case JSON_INTEGER: lua_pushinteger(L, json_integer_value(j)); break;
    case JSON_REAL: lua_pushnumber(L, json_real_value(j)); break;
    case JSON_TRUE: case JSON_FALSE: lua_pushboolean(L, json_is_true(j)); break;
    default: lua_pushnil(L); break;
  }
}

static void pushjsontext (lua_State *L, rb_PgCall *c, const char *s, size_t n) {
  json_error_t e;
  c->json = json_loadb(s, n, JSON_DECODE_ANY | JSON_ALLOW_NUL, &e);
  if (c->json == NULL)  /* an integer that is too large, most likely */
    c->json = json_loadb(s, n, JSON_DECODE_ANY | JSON_ALLOW_NUL |
                         JSON_DECODE_INT_AS_REAL, &e);
  if (c->json == NULL)
    rb_fail(L, "data", RB_NOTDONE, "%s: a JSON value cannot be read: %s",
            c->resource->name, e.text);
  pushjson(L, c->json);
  json_decref(c->json);
  c->json = NULL;
}

static void pushform (lua_State *L, rb_PgCall *c, Form form, const char *s,
                      size_t n) {
  switch (form) {
    case BOOL: lua_pushboolean(L, *s == 't'); break;
    case INTEGER: lua_pushinteger(L, strtoll(s, NULL, 10)); break;
    case FLOAT: lua_pushnumber(L, strtod(s, NULL)); break;
    case NUMERIC: pushnumeric(L, s); break;
    case JSON: pushjsontext(L, c, s, n); break;
    case TIME: pushtime(L, s, n, 0); break;
    case TIMETZ: pushtime(L, s, n, 1); break;
    case BYTES: pushbytes(L, s, n); break;
    default: lua_pushlstring(L, s, n); break;
  }
}

/* [-0, +1, m]  an element of an array: up to a comma or a brace, or in quotes */
static const char *pushelement (lua_State *L, const char *s, int *quoted) {
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  *quoted = *s == '"';
  if (*quoted) s++;
  while (*s != '\0' && (*quoted ? *s != '"' : *s != ',' && *s != '}')) {
    if (*s == '\\' && s[1] != '\0') s++;
    luaL_addchar(&b, *s++);
  }
  luaL_pushresult(&b);
  return *quoted && *s == '"' ? s + 1 : s;
}

/* [-0, +1, v]  {1,NULL,"a,b",{2}}; returns what follows */
static const char *pusharray (lua_State *L, rb_PgCall *c, Form form,
                              const char *s) {
  lua_Integer i = 0;
  luaL_checkstack(L, 8, "array is nested too deeply");
  lua_newtable(L);
  for (s++; *s != '\0' && *s != '}'; i++) {
    int quoted = 0;
    if (*s == '{') s = pusharray(L, c, form, s);
    else {
      s = pushelement(L, s, &quoted);
      if (!quoted && strcmp(lua_tostring(L, -1), "NULL") == 0) lua_pushnil(L);
      else pushform(L, c, form, lua_tostring(L, -1), lua_rawlen(L, -1));
      lua_remove(L, -2);
    }
    lua_rawseti(L, -2, i + 1);
    if (*s == ',') s++;
  }
  return *s == '}' ? s + 1 : s;
}

void rb_pg_pushvalue (lua_State *L, rb_PgCall *c, Oid type, const char *s,
                      size_t n) {
  for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
    if (types[i].type == type) {
      pushform(L, c, types[i].form, s, n);
      return;
    }
    const char *brace = types[i].array == type ? strchr(s, '{') : NULL;
    if (brace != NULL) {  /* bounds other than 1 stand before it */
      pusharray(L, c, types[i].form, brace);
      return;
    }
  }
  lua_pushlstring(L, s, n);
}
