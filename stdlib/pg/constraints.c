/*
** constraints.c - what may still refuse the rows of a statement
**
** Whether unique keys, checks and foreign keys allow the new rows, PostgreSQL decides when
** it runs. Which of them look at the columns that are set, its catalog knows: asked in one
** question, and said. A NULL where none may be is known for sure.
*/

#include <stdlib.h>
#include <string.h>

#include "stdlib/pg/pg.h"

/* -- asking ----------------------------------------------------------------- */

/* $1 the tables, $2 the kind of statement; the columns that it sets ($3), sets to NULL ($4),
** and to what may be NULL ($5), by name or, where $6, by place; $7 those of ON CONFLICT
** (NULL: no such clause). A foreign key from outside refuses TRUNCATE whatever the rows. */
static const char question[] =
  "WITH RECURSIVE family(oid) AS ("
  "  SELECT to_regclass(nullif(t.name, ''))::oid FROM unnest($1::text[]) AS t(name) UNION"
  "  SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN family f ON i.inhparent = f.oid),"
  " root AS (SELECT to_regclass(($1::text[])[1])::oid AS oid WHERE $2 <> 'TruncateStmt'),"
  " columns AS (SELECT a.attname, a.attnotnull, a.atttypid,"
  "    a.atthasdef OR a.attidentity <> '' OR a.attgenerated <> '' AS filled,"
  "    CASE WHEN $6::boolean THEN (row_number() OVER (ORDER BY a.attnum))::text"
  "      ELSE a.attname::text END AS key"
  "   FROM root r JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid"
  "  WHERE a.attnum > 0 AND NOT a.attisdropped),"
  " taken AS (SELECT f.oid, array_agg(a.attnum) AS nums FROM family f"
  "   JOIN pg_catalog.pg_attribute a ON a.attrelid = f.oid AND a.attname IN ("
  "     SELECT attname FROM columns WHERE key = ANY ($3::text[])) GROUP BY f.oid),"
  " doubts(name) AS ("
  "  SELECT x.relname::text FROM taken t JOIN pg_catalog.pg_index i ON i.indrelid = t.oid"
  "    JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid"
  "   WHERE (i.indisunique OR i.indisexclusion) AND NOT x.relispartition"
  "     AND (i.indexprs IS NOT NULL OR i.indkey::int2[] && t.nums)"
  "     AND ($7::text[] IS NULL OR $7 <> '{}' AND NOT x.relname = ANY ($7) AND NOT ("
  "       SELECT array_agg(a.attname::text) @> $7 AND array_agg(a.attname::text) <@ $7"
  "         FROM pg_catalog.pg_attribute a"
  "        WHERE a.attrelid = t.oid AND a.attnum = ANY (i.indkey)))"
  "   UNION"
  "  SELECT k.conname::text FROM taken t JOIN pg_catalog.pg_constraint k ON k.conrelid = t.oid"
  "   WHERE k.contype IN ('c', 'f') AND k.coninhcount = 0 AND k.conkey && t.nums"
  "   UNION"
  "  SELECT k.conname || ' of ' || k.conrelid::regclass FROM family f"
  "    JOIN pg_catalog.pg_constraint k ON k.confrelid = f.oid AND k.contype = 'f'"
  "    LEFT JOIN taken t ON t.oid = f.oid"
  "   WHERE k.conparentid = 0 AND ($2 = 'DeleteStmt' AND k.confdeltype IN ('a', 'r')"
  "      OR $2 = 'UpdateStmt' AND k.confupdtype IN ('a', 'r')"
  "         AND k.confkey && t.nums)"
  "   UNION"
  "  SELECT 'NOT NULL (' || string_agg(attname, ', ') || ')' FROM columns"
  "   WHERE attnotnull AND key = ANY ($5::text[]) HAVING count(*) > 0"
  "   UNION"
  "  SELECT 'the domain ' || y.oid::regtype FROM columns JOIN pg_catalog.pg_type y"
  "      ON y.oid = atttypid AND y.typtype = 'd' WHERE key = ANY ($3::text[])"
  "   UNION"
  "  SELECT 'the bounds of partitions' FROM root r JOIN pg_catalog.pg_class c USING (oid)"
  "   WHERE (c.relkind = 'p' OR c.relispartition) AND ($2 = 'InsertStmt' OR EXISTS ("
  "     SELECT FROM pg_catalog.pg_partitioned_table p JOIN pg_catalog.pg_attribute a"
  "       ON a.attrelid = p.partrelid AND a.attnum = ANY (p.partattrs)"
  "      WHERE (p.partrelid = r.oid OR p.partrelid = (SELECT i.inhparent"
  "               FROM pg_catalog.pg_inherits i WHERE i.inhrelid = r.oid))"
  "        AND a.attname IN (SELECT attname FROM columns WHERE key = ANY ($3::text[])))))"
  " SELECT 'refuse', format('%s of %s refers to it: name that table as well, or CASCADE',"
  "        k.conname, k.conrelid::regclass)"
  "   FROM family f JOIN pg_catalog.pg_constraint k ON k.confrelid = f.oid"
  "  WHERE $2 = 'TruncateStmt' AND k.contype = 'f' AND k.conrelid NOT IN (SELECT oid FROM family)"
  " UNION ALL"
  " SELECT 'null', format('column %s of %s may not be NULL', attname, r.oid::regclass)"
  "   FROM columns, root r WHERE attnotnull AND (key = ANY ($4::text[])"
  "     OR $2 = 'InsertStmt' AND NOT filled AND NOT key = ANY ($3::text[]))"
  " UNION ALL"
  " SELECT 'doubt', string_agg(name, ', ' ORDER BY name) FROM doubts HAVING count(*) > 0";

enum { SORT, WORDS };  /* its columns */

/* -- the columns that a statement sets -------------------------------------- */

/* three lists on the stack, and what they are */
enum { SET, NULLS, UNSURE, LISTS };

typedef struct Columns {
  lua_State *L;
  const rb_PgStatement *st;
  int base;
} Columns;

static const char *text (const json_t *object, const char *key) {
  return json_string_value(json_object_get(object, key));
}

static int is (const rb_PgStatement *st, const char *kind) {
  return strcmp(st->kind, kind) == 0;
}

static void add (Columns *to, int list, const char *name) {
  lua_pushstring(to->L, name);
  lua_rawseti(to->L, to->base + list, (lua_Integer)lua_rawlen(to->L, to->base + list) + 1);
}

/* Is that parameter NULL? */
static int isnone (const rb_PgStatement *st, const json_t *param) {
  json_int_t n = json_integer_value(json_object_get(param, "number"));
  return n >= 1 && n <= st->n && st->values[n - 1] == NULL;
}

/* NULL itself, or a value of ours that is */
static int isnull (const rb_PgStatement *st, const json_t *value) {
  const json_t *cast = json_object_get(value, "TypeCast");
  if (cast != NULL) return isnull(st, json_object_get(cast, "arg"));
  return isnone(st, json_object_get(value, "ParamRef")) ||
         json_is_true(json_object_get(json_object_get(value, "A_Const"), "isnull"));
}

/* Whether a value may come out as NULL: in the SET of that column, or in a row (NULL). */
typedef struct Value { const rb_PgStatement *st; const char *column; } Value;

/* the last name of a column */
static const char *columnname (const json_t *node) {
  const json_t *fields = json_object_get(node, "fields");
  const json_t *last = json_array_get(fields, json_array_size(fields) - 1);
  const char *name = text(json_object_get(last, "String"), "sval");
  return name != NULL ? name : "";
}

/* the kinds of node that may, whatever is in them */
static int nullable (const char *key, const json_t *node) {
  static const char *const kinds[] = {"A_Indirection", "CaseExpr", "SubLink", NULL};
  const char *kind = text(node, "kind");
  for (const char *const *k = kinds; *k != NULL; k++)
    if (strcmp(key, *k) == 0) return 1;
  return (kind != NULL && strcmp(kind, "AEXPR_NULLIF") == 0) ||
         json_is_true(json_object_get(node, "isnull"));
}

/* The column itself is none, where it may not be; nor are these functions of what is none. */
static int mayfail (void *ud, const char *key, const json_t *node) {
  static const char *const sure[] = {
    "btrim", "clock_timestamp", "gen_random_uuid", "json_build_object", "jsonb_build_object",
    "length", "lower", "now", "statement_timestamp", "transaction_timestamp", "upper", NULL
  };
  const Value *v = ud;
  if (strcmp(key, "ColumnRef") == 0)
    return v->column == NULL || strcmp(columnname(node), v->column) != 0;
  if (strcmp(key, "ParamRef") == 0) return isnone(v->st, node);
  const char *name = rb_pg_calledname(key, node);
  for (const char *const *s = sure; name != NULL && *s != NULL; s++)
    if (strcmp(name, *s) == 0) return 0;
  return name != NULL || nullable(key, node);
}

static int unsure (const rb_PgStatement *st, const json_t *value, const char *column) {
  const json_t *args = json_object_get(json_object_get(value, "CoalesceExpr"), "args");
  Value v = {st, column};
  if (args != NULL)
    return unsure(st, json_array_get(args, json_array_size(args) - 1), column);
  return rb_pg_walk(value, mayfail, &v);
}

/* an item of SET */
static void addset (Columns *to, const json_t *items) {
  const json_t *item;
  size_t i;
  json_array_foreach(items, i, item) {
    const json_t *target = json_object_get(item, "ResTarget");
    const json_t *value = json_object_get(target, "val");
    const char *name = text(target, "name");
    if (name == NULL) continue;
    add(to, SET, name);
    if (isnull(to->st, value)) add(to, NULLS, name);
    else if (value != NULL && unsure(to->st, value, name)) add(to, UNSURE, name);
  }
}

/* the column number i of an INSERT: its name, or its place */
static void addplace (Columns *to, int list, const json_t *cols, size_t i) {
  const char *name = text(json_object_get(json_array_get(cols, i), "ResTarget"), "name");
  add(to, list, cols != NULL ? name : lua_pushfstring(to->L, "%d", (int)i + 1));
  if (cols == NULL) lua_pop(to->L, 1);
}

static void addrow (Columns *to, const json_t *cols, const json_t *row) {
  const json_t *value;
  size_t i;
  json_array_foreach(row, i, value)
    if (isnull(to->st, value)) addplace(to, NULLS, cols, i);
    else if (unsure(to->st, value, NULL)) addplace(to, UNSURE, cols, i);
}

enum { MAXCOLUMNS = 1600 };   /* of a table */

/* INSERT: what it names, else as many as it gives; a query may give to all */
static void addinserted (Columns *to, const json_t *body) {
  const json_t *cols = json_object_get(body, "cols"), *row;
  const json_t *query = json_object_get(json_object_get(body, "selectStmt"), "SelectStmt");
  const json_t *rows = json_object_get(query, "valuesLists");
  const json_t *first = json_object_get(json_object_get(json_array_get(rows, 0), "List"), "items");
  size_t i, n = cols != NULL ? json_array_size(cols) : rows != NULL ? json_array_size(first)
              : query != NULL ? MAXCOLUMNS : 0;
  for (i = 0; i < n; i++) {
    addplace(to, SET, cols, i);
    if (rows == NULL) addplace(to, UNSURE, cols, i);
  }
  json_array_foreach(rows, i, row)
    addrow(to, cols, json_object_get(json_object_get(row, "List"), "items"));
}

/* [-0, +1, m]  the columns of ON CONFLICT as a list; nil where there is no such clause */
static void pushconflict (lua_State *L, const rb_PgStatement *st) {
  const json_t *clause = json_object_get(st->body, "onConflictClause"), *item;
  const json_t *infer = json_object_get(clause, "infer");
  const char *constraint = text(infer, "conname");
  size_t i;
  lua_Integer n = 0;
  if (clause == NULL) {
    lua_pushnil(L);
    return;
  }
  lua_newtable(L);
  if (constraint != NULL) lua_pushstring(L, constraint), lua_rawseti(L, -2, ++n);
  json_array_foreach(json_object_get(infer, "indexElems"), i, item) {
    const char *name = text(json_object_get(item, "IndexElem"), "name");
    lua_pushstring(L, name != NULL ? name : "");
    lua_rawseti(L, -2, ++n);
  }
}

/* [-0, +LISTS, m] */
static void pushcolumns (lua_State *L, const rb_PgStatement *st) {
  Columns to = {L, st, lua_gettop(L) + 1};
  for (int i = 0; i < LISTS; i++) lua_newtable(L);
  if (is(st, "UpdateStmt")) addset(&to, json_object_get(st->body, "targetList"));
  if (is(st, "InsertStmt")) addinserted(&to, st->body);
  if (is(st, "InsertStmt") && json_object_get(st->body, "cols") != NULL)
    addset(&to, json_object_get(json_object_get(st->body, "onConflictClause"), "targetList"));
}

/* [-1, +1, v]  a list as the text of an array */
static const char *toarray (lua_State *L, rb_PgCall *c, int idx) {
  lua_pushvalue(L, idx);
  rb_pg_totext(L, c, "columns");
  return lua_tostring(L, -1);
}

const char *rb_pg_pushset (lua_State *L, rb_PgCall *c, const rb_PgStatement *st, int nulls) {
  int top = lua_gettop(L);
  luaL_checkstack(L, 20, NULL);
  pushcolumns(L, st);
  for (lua_Integer i = 1; nulls && lua_rawgeti(L, top + 1 + UNSURE, i) != LUA_TNIL; i++)
    lua_rawseti(L, top + 1 + NULLS, (lua_Integer)lua_rawlen(L, top + 1 + NULLS) + 1);
  const char *s = toarray(L, c, top + 1 + (nulls ? NULLS : SET));
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
  return s;
}

int rb_pg_askconstraints (lua_State *L, rb_PgCall *c, const rb_PgStatement *st) {
  const json_t *target = rb_pg_target(st);
  const char *values[7];
  int top = lua_gettop(L), lists = top + 2;
  luaL_checkstack(L, 20, NULL);
  if (target == NULL) rb_pg_tables(L, st->tree);
  else {
    lua_createtable(L, 1, 0);
    rb_pg_tablename(L, target);
    lua_rawseti(L, -2, 1);
  }
  pushcolumns(L, st);
  pushconflict(L, st);
  values[0] = toarray(L, c, top + 1);
  values[1] = st->kind;
  for (int i = 0; i < LISTS; i++) values[2 + i] = toarray(L, c, lists + i);
  values[5] = is(st, "InsertStmt") && json_object_get(st->body, "cols") == NULL ? "t" : "f";
  values[6] = lua_isnil(L, lists + LISTS) ? NULL : toarray(L, c, lists + LISTS);
  int n = rb_pg_send(L, c, question, 7, NULL, values);
  lua_settop(L, top);
  return n;
}

/* -- what it says ----------------------------------------------------------- */

static void doubt (lua_State *L, const char *names) {
  rb_pg_addreason(L, lua_pushfstring(L, RB_PGDECIDES "%s", names));
  lua_pop(L, 1);
}

void rb_pg_readconstraints (lua_State *L, rb_PgCall *c, const rb_PgStatement *st,
                            int answer) {
  int cascade = json_object_get(st->body, "behavior") != NULL &&
                strcmp(text(st->body, "behavior"), "DROP_CASCADE") == 0;
  for (int i = 0; i < PQntuples(c->answers[answer]); i++) {
    const char *sort = rb_pg_field(c, answer, i, SORT);
    const char *words = rb_pg_field(c, answer, i, WORDS);
    if (strcmp(sort, "doubt") == 0) doubt(L, words);
    else if (strcmp(sort, "refuse") == 0 && !cascade) rb_pg_forbid(L, c, words);
    else if (strcmp(sort, "null") == 0) {
      lua_pushstring(L, words);
      lua_setfield(L, PLAN, "nulls");
    }
  }
}
