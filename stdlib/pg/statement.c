/*
** statement.c - SQL as the script wrote it: names become values
**
** `:name` becomes $1 and is bound, never spliced; `:"name"` becomes a quoted
** identifier. One name is one $n wherever it stands. Only names that the SQL
** uses are looked up, so that passing the whole `run` is fine.
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stdlib/pg/pg.h"
#include "stdlib/pg/sql.h"

#define TYPE "pg.statement"
#define MAXWORD 64

/* -- arguments ------------------------------------------------------------ */

static const char *const options[] = {"rows", "timeout", "transaction", NULL};

static int isoption (const char *key) {
  for (const char *const *o = options; *o != NULL; o++)
    if (strcmp(key, *o) == 0) return 1;
  return 0;
}

/* Is the table at 'idx' one of options and nothing else? */
static int onlyoptions (lua_State *L, int idx) {
  int n = 0;
  lua_pushnil(L);
  while (lua_next(L, idx) != 0) {
    int known = lua_type(L, -2) == LUA_TSTRING && isoption(lua_tostring(L, -2));
    lua_pop(L, 1);
    if (!known) {
      lua_pop(L, 1);
      return 0;
    }
    n++;
  }
  return n > 0;
}

const char *rb_pg_bounds (lua_State *L, const rb_PgOptions *o) {
  if (o->min == o->max)
    return lua_pushfstring(L, "rows = %I is asked for", o->min);
  return lua_pushfstring(L, "rows = { %I, %I } is asked for", o->min, o->max);
}

const char *rb_pg_brief (lua_State *L, const char *s) {
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (; *s != '\0' && luaL_bufflen(&b) < 100; s++)
    if ((unsigned char)*s > ' ') luaL_addchar(&b, *s);
    else if (luaL_bufflen(&b) > 0 && (unsigned char)s[1] > ' ')
      luaL_addchar(&b, ' ');
  if (*s != '\0') luaL_addstring(&b, "...");
  luaL_pushresult(&b);
  return lua_tostring(L, -1);
}

static int usesvalues (const char *sql, size_t n) {
  rb_SqlScan scan = {.s = sql, .n = n};
  rb_SqlToken t;
  while (rb_sql_next(&scan, &t) != RB_SQLEND)
    if (t.kind == RB_SQLVALUE || t.kind == RB_SQLNAME) return 1;
  return 0;
}

void rb_pg_arguments (lua_State *L) {
  size_t n;
  const char *sql = luaL_checklstring(L, SQL, &n);
  lua_settop(L, OPTIONS);
  luaL_argcheck(L, strlen(sql) == n, SQL, "SQL has no NUL bytes");
  if (lua_istable(L, VALUES) && lua_isnil(L, OPTIONS) &&
      onlyoptions(L, VALUES) && !usesvalues(sql, n)) {
    lua_pushnil(L);
    lua_insert(L, VALUES);
    lua_settop(L, OPTIONS);
  }
  int type = lua_type(L, VALUES);
  luaL_argexpected(L, type == LUA_TNIL || type == LUA_TTABLE ||
                   type == LUA_TUSERDATA, VALUES, "table of values");
  luaL_argexpected(L, lua_isnil(L, OPTIONS) || lua_istable(L, OPTIONS),
                   OPTIONS, "table of options");
}

/* "1h30m" in seconds; 0 when it is not a duration */
static double duration (const char *s) {
  static const struct { const char *unit; double seconds; } units[] = {
    {"ms", 0.001}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}
  };
  double total = 0;
  while (*s >= '0' && *s <= '9') {
    char *end;
    double n = strtod(s, &end);
    size_t i = 0, len = strspn(end, "msdh");
    while (i < 5 && (strlen(units[i].unit) != len ||
                     strncmp(end, units[i].unit, len) != 0)) i++;
    if (i == 5) return 0;
    total += n * units[i].seconds;
    s = end + len;
  }
  return *s == '\0' ? total : 0;
}

static void gettimeout (lua_State *L) {
  double seconds = 30;
  if (lua_getfield(L, OPTIONS, "timeout") != LUA_TNIL) {
    seconds = lua_type(L, -1) == LUA_TSTRING ? duration(lua_tostring(L, -1)) : 0;
    luaL_argcheck(L, seconds > 0, OPTIONS, "timeout = \"30s\" expected");
  }
  rb_timeout(L, seconds);
  lua_pop(L, 1);
}

/* [-1, +0, v]  rows = n, or {min, max} */
static void getrows (lua_State *L, rb_PgOptions *o) {
  int ok = 1;
  if (lua_istable(L, -1)) {
    lua_geti(L, -1, 1);
    lua_geti(L, -2, 2);
    ok = lua_isinteger(L, -1) && lua_isinteger(L, -2);
    o->min = lua_tointeger(L, -2);
    o->max = lua_tointeger(L, -1);
    lua_pop(L, 2);
  } else {
    ok = lua_isinteger(L, -1);
    o->min = o->max = lua_tointeger(L, -1);
  }
  luaL_argcheck(L, ok && 0 <= o->min && o->min <= o->max, OPTIONS,
                "rows = n or rows = { min, max } expected");
  o->bounded = 1;
  lua_pop(L, 1);
}

static void checkoptions (lua_State *L) {
  lua_pushnil(L);
  while (lua_next(L, OPTIONS) != 0) {
    lua_pop(L, 1);
    if (lua_type(L, -1) != LUA_TSTRING || !isoption(lua_tostring(L, -1)))
      luaL_error(L, "an option is one of rows, timeout, transaction; not '%s'",
                 luaL_tolstring(L, -1, NULL));
  }
}

void rb_pg_suboptions (lua_State *L, rb_PgOptions *o) {
  memset(o, 0, sizeof *o);
  if (lua_isnil(L, OPTIONS)) return;
  checkoptions(L);
  if (lua_getfield(L, OPTIONS, "rows") != LUA_TNIL) getrows(L, o);
  else lua_pop(L, 1);
  if (lua_getfield(L, OPTIONS, "transaction") == LUA_TBOOLEAN)
    o->outside = !lua_toboolean(L, -1);
  lua_pop(L, 1);
  luaL_argcheck(L, !(o->outside && o->bounded), OPTIONS, "rows = can only be "
                "held inside a transaction; leave out transaction = false");
}

void rb_pg_options (lua_State *L, rb_PgOptions *o) {
  rb_pg_suboptions(L, o);
  if (lua_isnil(L, OPTIONS)) rb_timeout(L, 30);
  else gettimeout(L);
}

/* -- names ---------------------------------------------------------------- */

static int least (int a, int b, int c) {
  int ab = a < b ? a : b;
  return ab < c ? ab : c;
}

/* how many letters to add, drop or change to make one of the other */
static int distance (const char *a, const char *b) {
  size_t n = strlen(b);
  int row[MAXWORD + 1];
  if (n > MAXWORD) return MAXWORD;
  for (size_t j = 0; j <= n; j++) row[j] = (int)j;
  for (int i = 1; *a != '\0'; a++, i++) {
    int corner = row[0];
    row[0] = i;
    for (size_t j = 1; j <= n; j++) {
      int above = row[j];
      row[j] = least(above + 1, row[j - 1] + 1, corner + (*a != b[j - 1]));
      corner = above;
    }
  }
  return row[n];
}

/* [-0, +1, m]  ": did you mean 'x'?" with the nearest key, or "" */
static const char *pushnearest (lua_State *L, const char *name) {
  int best = (int)strlen(name) / 3 + 2;
  lua_pushliteral(L, "");
  if (!lua_istable(L, VALUES)) return lua_tostring(L, -1);
  lua_pushnil(L);
  while (lua_next(L, VALUES) != 0) {
    lua_pop(L, 1);
    if (lua_type(L, -1) != LUA_TSTRING) continue;
    int d = distance(name, lua_tostring(L, -1));
    if (d >= best) continue;
    best = d;
    lua_pushfstring(L, "; did you mean '%s'?", lua_tostring(L, -1));
    lua_replace(L, -3);
  }
  return lua_tostring(L, -1);
}

static int missing (lua_State *L, const char *colon, const char *name) {
  if (lua_isnil(L, VALUES))
    return luaL_error(L, "SQL uses %s%s, but no values are given", colon, name);
  return luaL_error(L, "SQL uses %s%s, but no value of that name is given%s",
                    colon, name, pushnearest(L, name));
}

/* [-0, +1, v]  what the call gives for 'name', or nil */
static int pushgiven (lua_State *L, const char *name) {
  if (lua_isnil(L, VALUES)) {
    lua_pushnil(L);
    return LUA_TNIL;
  }
  return lua_getfield(L, VALUES, name);
}

/* Does the call give it? To ask `run` for what was never set is an error, or
** ends the step: it has a way to be asked first. */
static int isgiven (lua_State *L, const char *name) {
  int type = lua_type(L, VALUES), given = type != LUA_TNIL;
  if (luaL_getmetafield(L, VALUES, "__has") != LUA_TNIL) {
    lua_pushvalue(L, VALUES);
    lua_pushstring(L, name);
    lua_call(L, 2, 1);
    given = lua_toboolean(L, -1);
    lua_pop(L, 1);
  } else if (given) {
    given = lua_getfield(L, VALUES, name) != LUA_TNIL;
    lua_pop(L, 1);
  }
  return given;
}

static int pushschema (lua_State *L, rb_PgCall *c, const char *name) {
  if (rb_setting(L, c->resource, "schema") == LUA_TTABLE)
    lua_getfield(L, -1, name);
  else lua_pushnil(L);
  lua_remove(L, -2);
  return lua_type(L, -1);
}

/* [-0, +1, v]  the identifier itself: from the call's values, else the schema */
static void pushname (lua_State *L, rb_PgCall *c, const char *name) {
  int type = isgiven(L, name) ? LUA_TNONE : pushschema(L, c, name);
  if (type == LUA_TNIL) lua_pop(L, 1);
  if (type == LUA_TNIL || type == LUA_TNONE) type = pushgiven(L, name);
  if (type == LUA_TNIL) missing(L, ":\"", lua_pushfstring(L, "%s\"", name));
  size_t n;
  const char *s = type == LUA_TSTRING ? lua_tolstring(L, -1, &n) : NULL;
  if (s == NULL || n == 0 || n > 63 || strlen(s) != n)
    luaL_error(L, "SQL uses :\"%s\" as an identifier, which is a text of 1 to "
               "63 bytes", name);
}

/* -- text ----------------------------------------------------------------- */

/* the longest that a name can become: 63 doubled quotes, in quotes */
enum { MAXNAME = 2 * 63 + 2 };

typedef struct Builder {
  rb_PgStatement *st;
  rb_SqlScan scan;
  char *out;               /* where the next byte of the text goes */
  size_t copied;           /* bytes of the source that are in the text */
  int numbers, anchors;    /* stack: name -> number; texts kept alive */
} Builder;

static void copyto (Builder *b, size_t at) {
  memcpy(b->out, b->scan.s + b->copied, at - b->copied);
  b->out += at - b->copied;
  b->copied = at;
}

/* [-0, +0, v]  the number of a value, bound when it is new */
static int number (lua_State *L, rb_PgCall *c, Builder *b, const char *name) {
  rb_PgStatement *st = b->st;
  if (lua_getfield(L, b->numbers, name) == LUA_TNIL) {
    if (pushgiven(L, name) == LUA_TNIL) missing(L, ":", name);
    rb_pg_totext(L, c, name);                         /* nil given text */
    st->values[st->n++] = lua_tostring(L, -1);
    lua_rawseti(L, b->anchors, st->n);
    lua_pop(L, 2);
    lua_pushinteger(L, st->n);
    lua_pushvalue(L, -1);
    lua_setfield(L, b->numbers, name);
  }
  int n = (int)lua_tointeger(L, -1);
  lua_pop(L, 1);
  return n;
}

/* [-1, +0]  the identifier at the top */
static void addquoted (lua_State *L, Builder *b) {
  *b->out++ = '"';
  for (const char *s = lua_tostring(L, -1); *s != '\0'; s++) {
    if (*s == '"') *b->out++ = '"';
    *b->out++ = *s;
  }
  *b->out++ = '"';
  lua_pop(L, 1);
}

static void addhole (lua_State *L, rb_PgCall *c, Builder *b,
                     const rb_SqlToken *t) {
  rb_PgStatement *st = b->st;
  const char *name = lua_pushlstring(L, t->name, t->namelen);
  copyto(b, t->at);
  if (t->kind == RB_SQLVALUE)
    b->out += sprintf(b->out, "$%d", number(L, c, b, name));
  else {
    pushname(L, c, name);
    addquoted(L, b);
  }
  lua_pop(L, 1);
  b->copied = t->at + t->len;
  st->marks[st->nmarks++] =
    (rb_PgMark){(size_t)(b->out - st->text), b->copied};
}

static int statement_gc (lua_State *L) {
  rb_PgStatement *st = luaL_checkudata(L, 1, TYPE);
  json_decref(st->tree);
  st->tree = NULL;
  return 0;
}

static size_t countholes (lua_State *L, const char *sql, size_t n) {
  rb_SqlScan scan = {.s = sql, .n = n};
  rb_SqlToken t;
  size_t holes = 0;
  while (rb_sql_next(&scan, &t) != RB_SQLEND) {
    if (t.kind == RB_SQLPARAM)
      luaL_error(L, "SQL has a $ parameter; write :name, and give the value by "
                 "that name");
    holes += t.kind == RB_SQLVALUE || t.kind == RB_SQLNAME;
  }
  return holes;
}

/* [-0, +1, m]  an empty one, with room for so many names */
static rb_PgStatement *newstatement (lua_State *L, const char *sql, size_t n,
                                     size_t holes) {
  size_t each = sizeof(char *) + sizeof(Oid) + sizeof(rb_PgMark) + MAXNAME;
  rb_PgStatement *st = lua_newuserdatauv(L, sizeof *st + holes * each + n + 1, 1);
  memset(st, 0, sizeof *st);
  st->source = sql;
  st->values = (const char **)(st + 1);
  st->marks = (rb_PgMark *)(st->values + holes);
  st->types = (Oid *)(st->marks + holes);
  st->text = (char *)(st->types + holes);
  memset(st->types, 0, holes * sizeof *st->types);
  rb_pg_setmeta(L, TYPE, statement_gc);
  return st;
}

static void parse (lua_State *L, rb_PgCall *c, rb_PgStatement *st) {
  char why[512];
  int at = 0;
  if (!rb_pg_parse(st, why, sizeof why, &at))
    rb_pg_refuse(L, c, "%s", rb_pg_pointed(L, st, why, at));
}

rb_PgStatement *rb_pg_statement (lua_State *L, rb_PgCall *c) {
  size_t n;
  const char *sql = lua_tolstring(L, SQL, &n);
  rb_PgStatement *st = newstatement(L, sql, n, countholes(L, sql, n));
  Builder b = {.st = st, .scan = {.s = sql, .n = n}, .out = st->text};
  rb_SqlToken t;
  lua_newtable(L);                                    /* st anchors */
  b.anchors = lua_gettop(L);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, -3, 1);
  lua_newtable(L);                                    /* st anchors numbers */
  b.numbers = lua_gettop(L);
  while (rb_sql_next(&b.scan, &t) != RB_SQLEND)
    if (t.kind == RB_SQLVALUE || t.kind == RB_SQLNAME) addhole(L, c, &b, &t);
  copyto(&b, n);
  *b.out = '\0';
  lua_pop(L, 2);
  parse(L, c, st);
  c->stated = 1;
  return st;
}
