/*
** tree.c - SQL as PostgreSQL reads it
**
** libpg_query is PostgreSQL's own parser; its tree comes as JSON. A node is
** an object with one key, its kind; we look for keys wherever they stand, so
** that nothing has to be known about how kinds contain each other.
*/

#include <pg_query.h>
#include <stdio.h>
#include <string.h>

#include "stdlib/pg/pg.h"

/* -- reading -------------------------------------------------------------- */

static int no (char *why, size_t size, const char *words) {
  snprintf(why, size, "%s", words);
  return 0;
}

static int readtree (rb_PgStatement *st, const char *text, char *why,
                     size_t size) {
  json_error_t e;
  st->tree = json_loads(text, 0, &e);
  const json_t *list = json_object_get(st->tree, "stmts");
  if (st->tree == NULL)
    return no(why, size, "this SQL is nested too deeply to be read");
  if (json_array_size(list) > 1)
    return no(why, size, "one call is one statement; this text has several");
  json_t *stmt = json_object_get(json_array_get(list, 0), "stmt");
  void *iter = json_object_iter(stmt);
  st->kind = json_object_iter_key(iter);
  st->body = json_object_iter_value(iter);
  return st->kind != NULL || no(why, size, "there is no SQL in this text");
}

int rb_pg_parse (rb_PgStatement *st, char *why, size_t size, int *at) {
  PgQueryParseResult r = pg_query_parse(st->text);
  int ok = 0;
  if (r.error != NULL) {
    no(why, size, r.error->message);
    *at = r.error->cursorpos;
  } else ok = readtree(st, r.parse_tree, why, size);
  pg_query_free_parse_result(r);
  return ok;
}

/* -- walking -------------------------------------------------------------- */

static int walk (const char *key, const json_t *node, rb_PgVisit visit,
                 void *ud) {
  const char *name;
  json_t *child;
  size_t i;
  int stop = 0;
  if (json_is_object(node)) {
    stop = visit(ud, key, node);
    json_object_foreach((json_t *)node, name, child)
      if (!stop) stop = walk(name, child, visit, ud);
  } else if (json_is_array(node)) {
    json_array_foreach(node, i, child)
      if (!stop) stop = walk(key, child, visit, ud);
  }
  return stop;
}

int rb_pg_walk (const json_t *tree, rb_PgVisit visit, void *ud) {
  return walk("", tree, visit, ud);
}

static int isplace (const char *key) {
  return strcmp(key, "location") == 0 || strcmp(key, "stmt_len") == 0 ||
         strcmp(key, "stmt_location") == 0;
}

static size_t fields (const json_t *object) {
  const char *key;
  json_t *value;
  size_t n = 0;
  json_object_foreach((json_t *)object, key, value) n += !isplace(key);
  return n;
}

int rb_pg_same (const json_t *a, const json_t *b) {
  const char *key;
  json_t *child;
  size_t i;
  if (a == NULL || b == NULL) return a == b;
  if (json_is_object(a) && json_is_object(b)) {
    if (fields(a) != fields(b)) return 0;
    json_object_foreach((json_t *)a, key, child)
      if (!isplace(key) && !rb_pg_same(child, json_object_get(b, key))) return 0;
    return 1;
  }
  if (json_is_array(a) && json_is_array(b)) {
    if (json_array_size(a) != json_array_size(b)) return 0;
    json_array_foreach(a, i, child)
      if (!rb_pg_same(child, json_array_get(b, i))) return 0;
    return 1;
  }
  return json_equal(a, b);
}

/* -- names ---------------------------------------------------------------- */

static const char *text (const json_t *object, const char *key) {
  return json_string_value(json_object_get(object, key));
}

static void addquoted (luaL_Buffer *b, const char *s) {
  luaL_addchar(b, '"');
  for (; *s != '\0'; s++) {
    if (*s == '"') luaL_addchar(b, '"');
    luaL_addchar(b, *s);
  }
  luaL_addchar(b, '"');
}

const char *rb_pg_tablename (lua_State *L, const json_t *range) {
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  if (text(range, "schemaname") != NULL) {
    addquoted(&b, text(range, "schemaname"));
    luaL_addchar(&b, '.');
  }
  addquoted(&b, text(range, "relname"));
  luaL_pushresult(&b);
  return lua_tostring(L, -1);
}

/* [-0, +1, m]  a list of name nodes as one name */
static void pushnames (lua_State *L, const json_t *names) {
  const json_t *name;
  size_t i;
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  json_array_foreach(names, i, name) {
    const char *s = text(json_object_get(name, "String"), "sval");
    if (i > 0) luaL_addchar(&b, '.');
    addquoted(&b, s != NULL ? s : "");
  }
  luaL_pushresult(&b);
}

const json_t *rb_pg_target (const rb_PgStatement *st) {
  static const char *const kinds[] = {
    "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt", NULL
  };
  for (const char *const *k = kinds; *k != NULL; k++)
    if (strcmp(st->kind, *k) == 0) return json_object_get(st->body, "relation");
  return NULL;
}

/* -- lists of names ------------------------------------------------------- */

typedef struct Collector {
  lua_State *L;
  int list, seen;          /* where two tables stand */
} Collector;

/* [-1, +0, m]  the name at the top, once */
static void add (Collector *to) {
  lua_State *L = to->L;
  lua_pushvalue(L, -1);
  if (lua_rawget(L, to->seen) == LUA_TNIL) {
    lua_pushvalue(L, -2);
    lua_rawseti(L, to->list, (lua_Integer)lua_rawlen(L, to->list) + 1);
    lua_pushvalue(L, -2);
    lua_pushboolean(L, 1);
    lua_rawset(L, to->seen);
  }
  lua_pop(L, 2);
}

/* [-0, +2, m] */
static Collector collector (lua_State *L) {
  luaL_checkstack(L, 10, NULL);
  lua_newtable(L);
  lua_newtable(L);
  return (Collector){L, lua_gettop(L) - 1, lua_gettop(L)};
}

/* a CTE's name hides a table's */
static int addcte (void *ud, const char *key, const json_t *node) {
  Collector *to = ud;
  if (strcmp(key, "CommonTableExpr") != 0) return 0;
  luaL_Buffer b;
  luaL_buffinit(to->L, &b);
  addquoted(&b, text(node, "ctename"));
  luaL_pushresult(&b);
  lua_pushboolean(to->L, 1);
  lua_rawset(to->L, to->seen);
  return 0;
}

/* DROP names what it drops in lists of its own */
static void adddropped (Collector *to, const json_t *drop) {
  static const char *const types[] = {
    "OBJECT_TABLE", "OBJECT_VIEW", "OBJECT_MATVIEW", "OBJECT_INDEX",
    "OBJECT_SEQUENCE", "OBJECT_FOREIGN_TABLE", NULL
  };
  const char *type = text(drop, "removeType");
  const json_t *object;
  size_t i;
  int known = 0;
  for (const char *const *t = types; *t != NULL; t++)
    known |= type != NULL && strcmp(type, *t) == 0;
  json_array_foreach(json_object_get(drop, "objects"), i, object) {
    if (!known) continue;
    pushnames(to->L, json_object_get(json_object_get(object, "List"), "items"));
    add(to);
  }
}

static int addtable (void *ud, const char *key, const json_t *node) {
  Collector *to = ud;
  if (strcmp(key, "DropStmt") == 0) adddropped(to, node);
  if (text(node, "relname") == NULL) return 0;
  rb_pg_tablename(to->L, node);
  add(to);
  return 0;
}

void rb_pg_tables (lua_State *L, const json_t *tree) {
  Collector to = collector(L);
  rb_pg_walk(tree, addcte, &to);
  rb_pg_walk(tree, addtable, &to);
  lua_pop(L, 1);
}

static int addfunction (void *ud, const char *key, const json_t *node) {
  Collector *to = ud;
  if (strcmp(key, "FuncCall") != 0) return 0;
  const json_t *names = json_object_get(node, "funcname");
  const json_t *last = json_array_get(names, json_array_size(names) - 1);
  const char *name = text(json_object_get(last, "String"), "sval");
  if (name == NULL) return 0;
  lua_pushstring(to->L, name);
  add(to);
  return 0;
}

void rb_pg_functions (lua_State *L, const json_t *tree) {
  Collector to = collector(L);
  rb_pg_walk(tree, addfunction, &to);
  lua_pop(L, 1);
}

static int addcall (void *ud, const char *key, const json_t *node) {
  Collector *to = ud;
  const char *name = rb_pg_calledname(key, node);
  if (name == NULL) return 0;
  lua_pushstring(to->L, name);
  add(to);
  return 0;
}

void rb_pg_calls (lua_State *L, const json_t *tree) {
  Collector to = collector(L);
  rb_pg_walk(tree, addcall, &to);
  lua_pop(L, 1);
}

/* where the tree has an operator's name */
static int addoperator (void *ud, const char *key, const json_t *node) {
  static const char *const keys[] = {"name", "operName", "useOp", NULL};
  Collector *to = ud;
  const char *name = text(json_object_get(node, "String"), "sval");
  for (const char *const *k = keys; name != NULL && *k != NULL; k++) {
    if (strcmp(key, *k) != 0) continue;
    lua_pushstring(to->L, name);
    add(to);
  }
  return 0;
}

void rb_pg_operators (lua_State *L, const json_t *tree) {
  Collector to = collector(L);
  rb_pg_walk(tree, addoperator, &to);
  lua_pop(L, 1);
}

static int addtype (void *ud, const char *key, const json_t *node) {
  Collector *to = ud;
  if (strcmp(key, "typeName") != 0) return 0;
  const json_t *names = json_object_get(node, "names");
  const json_t *last = json_array_get(names, json_array_size(names) - 1);
  const char *name = text(json_object_get(last, "String"), "sval");
  if (name == NULL) return 0;
  lua_pushstring(to->L, name);
  add(to);
  return 0;
}

void rb_pg_types (lua_State *L, const json_t *tree) {
  Collector to = collector(L);
  rb_pg_walk(tree, addtype, &to);
  lua_pop(L, 1);
}
