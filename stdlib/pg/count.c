/*
** count.c - the SELECT that counts what a statement would touch
**
** The pieces are cut out of the text at its own words (WHERE is WHERE outside
** of parentheses, strings and comments) and put together as a SELECT; then
** PostgreSQL's parser reads that, and its FROM and WHERE have to be the very
** trees that they are in the statement. What does not pass is not counted:
** no number is better than a wrong one.
*/

#include <stdlib.h>
#include <string.h>

#include "stdlib/pg/pg.h"
#include "stdlib/pg/sql.h"

enum { MAXSAMPLES = 6 };   /* columns that are looked at */

typedef struct Piece { const char *s; size_t n; } Piece;

/* -- cutting -------------------------------------------------------------- */

/* where the statement ends */
static size_t ending (const char *sql) {
  rb_SqlScan scan = {.s = sql, .n = strlen(sql)};
  rb_SqlToken t;
  while (rb_sql_next(&scan, &t) != RB_SQLEND)
    if (t.kind == RB_SQLMARK && sql[t.at] == ';') break;
  return t.at;
}

/* where the word stands, outside of parentheses, between 'at' and 'end'; else
** 'end'. DISTINCT FROM is an operator. */
static size_t find (const char *sql, size_t at, size_t end, const char *word) {
  rb_SqlScan scan = {.s = sql, .n = end, .at = at};
  rb_SqlToken t;
  int distinct = 0;
  while (rb_sql_next(&scan, &t) != RB_SQLEND) {
    if (t.depth == 0 && !distinct && rb_sql_is(&scan, &t, word)) return t.at;
    distinct = rb_sql_is(&scan, &t, "distinct");
  }
  return end;
}

static size_t least (size_t a, size_t b) { return a < b ? a : b; }

/* what stands between two places, without the word that begins it */
static Piece between (const char *sql, size_t from, size_t to,
                      const char *word) {
  if (from >= to) return (Piece){"", 0};
  from += strlen(word);
  return (Piece){sql + from, to - from};
}

typedef struct Parts { Piece with, table, set, from, where; } Parts;

/* [WITH ..] UPDATE table SET .. [FROM ..] [WHERE ..] [RETURNING ..] */
static Parts cutupdate (const char *sql) {
  size_t end = ending(sql);
  size_t update = find(sql, 0, end, "update");
  size_t set = find(sql, update, end, "set");
  end = find(sql, set, end, "returning");
  size_t where = find(sql, set, end, "where");
  size_t from = find(sql, set, where, "from");
  return (Parts){
    .with = {sql, update}, .table = between(sql, update, set, "update"),
    .set = between(sql, set, from, "set"),
    .from = between(sql, from, where, "from"),
    .where = between(sql, where, end, "where")
  };
}

/* [WITH ..] DELETE FROM table [USING ..] [WHERE ..] [RETURNING ..] */
static Parts cutdelete (const char *sql) {
  size_t end = ending(sql), delete = find(sql, 0, end, "delete");
  size_t table = find(sql, delete, end, "from");
  end = find(sql, table, end, "returning");
  size_t where = find(sql, table, end, "where");
  size_t using = find(sql, table, where, "using");
  return (Parts){
    .with = {sql, delete}, .table = between(sql, table, using, "from"),
    .from = between(sql, using, where, "using"),
    .where = between(sql, where, end, "where")
  };
}

/* INSERT INTO .. query [ON CONFLICT ..] [RETURNING ..]: the query */
static Piece cutquery (const char *sql) {
  size_t end = ending(sql), insert = find(sql, 0, end, "insert");
  size_t query = least(find(sql, insert, end, "select"),
                       find(sql, insert, end, "table"));
  query = least(query, find(sql, insert, end, "with"));
  end = least(find(sql, query, end, "returning"),
              find(sql, query, end, "conflict"));
  return between(sql, query, end, "");
}

/* SELECT .. FROM rest: the rest */
static Piece cutrest (const char *sql) {
  size_t end = ending(sql), select = find(sql, 0, end, "select");
  return between(sql, find(sql, select, end, "from"), end, "");
}

/* -- putting together ----------------------------------------------------- */

static void add (luaL_Buffer *b, Piece p) { luaL_addlstring(b, p.s, p.n); }

static const char *text (const json_t *object, const char *key) {
  return json_string_value(json_object_get(object, key));
}

/* not a part of a column, nor several at once */
const char *rb_pg_samplename (const json_t *item) {
  const json_t *target = json_object_get(item, "ResTarget");
  if (json_object_get(target, "indirection") != NULL) return NULL;
  if (json_object_get(json_object_get(target, "val"), "MultiAssignRef"))
    return NULL;
  return text(target, "name");
}

static void addname (luaL_Buffer *b, const char *s) {
  luaL_addchar(b, '"');
  for (; *s != '\0'; s++) {
    if (*s == '"') luaL_addchar(b, '"');
    luaL_addchar(b, *s);
  }
  luaL_addchar(b, '"');
}

/* what the target table is called in the statement */
static const char *alias (const json_t *table) {
  const char *name = text(json_object_get(table, "alias"), "aliasname");
  return name != NULL ? name : text(table, "relname");
}

/* , min(t."c"::text), max(t."c"::text), count(t."c") for each column set */
static void addsamples (luaL_Buffer *b, const rb_PgStatement *st) {
  const json_t *item, *table = json_object_get(st->body, "relation");
  size_t i;
  int n = 0;
  json_array_foreach(json_object_get(st->body, "targetList"), i, item) {
    static const char *const forms[] = {", min(", ", max(", ", count("};
    const char *column = rb_pg_samplename(item);
    if (column == NULL || n++ == MAXSAMPLES) continue;
    for (int f = 0; f < 3; f++) {
      luaL_addstring(b, forms[f]);
      addname(b, alias(table));
      luaL_addchar(b, '.');
      addname(b, column);
      luaL_addstring(b, f < 2 ? "::text)" : ")");
    }
  }
}

/* A row that joins several is changed once: count it once. */
static void addselect (luaL_Buffer *b, const rb_PgStatement *st, Parts p,
                       int sample, int lockers) {
  const char *name = alias(json_object_get(st->body, "relation"));
  add(b, p.with);
  luaL_addstring(b, "SELECT count(");
  if (p.from.n > 0) {
    luaL_addstring(b, "DISTINCT (");
    addname(b, name);
    luaL_addstring(b, ".tableoid, ");
    addname(b, name);
    luaL_addstring(b, ".ctid))");
  } else luaL_addstring(b, "*)");
  if (sample) addsamples(b, st);
  if (lockers) {
    luaL_addstring(b, ", array_agg(DISTINCT ");
    addname(b, name);
    luaL_addstring(b, ".xmax::text) FILTER (WHERE ");
    addname(b, name);
    luaL_addstring(b, ".xmax <> '0'::xid)");
  }
  luaL_addstring(b, " FROM ");
  add(b, p.table);
  if (p.from.n > 0) luaL_addstring(b, ", ");
  add(b, p.from);
  if (p.where.n > 0) luaL_addstring(b, " WHERE ");
  add(b, p.where);
}

static void addwrapped (luaL_Buffer *b, const char *before, Piece p) {
  luaL_addstring(b, "SELECT count(*) FROM (");
  luaL_addstring(b, before);
  add(b, p);
  luaL_addstring(b, "\n) AS matched");  /* a comment may end the piece */
}

/* SELECT (SELECT count(*) FROM a) + (SELECT count(*) FROM b) */
static void pushtruncated (lua_State *L, const rb_PgStatement *st) {
  const json_t *item;
  size_t i;
  lua_pushliteral(L, "SELECT 0");
  json_array_foreach(json_object_get(st->body, "relations"), i, item) {
    const char *name = rb_pg_tablename(L, json_object_get(item, "RangeVar"));
    lua_pushfstring(L, "%s + (SELECT count(*) FROM %s)", lua_tostring(L, -2),
                    name);
    lua_replace(L, -3);
    lua_pop(L, 1);
  }
}

/* -- proving -------------------------------------------------------------- */

/* the FROM of the count: the target table, then what it is joined with */
static json_t *wantedfrom (const json_t *body, const char *joined) {
  json_t *from = json_array(), *more = json_object_get(body, joined), *item;
  size_t i;
  json_t *table = json_deep_copy(json_object_get(body, "relation"));
  json_array_append_new(from, json_pack("{s:o}", "RangeVar", table));
  json_array_foreach(more, i, item) json_array_append(from, item);
  return from;
}

static int provenchange (const rb_PgStatement *st, const json_t *select,
                         const char *joined) {
  json_t *from = wantedfrom(st->body, joined);
  int same = rb_pg_same(from, json_object_get(select, "fromClause")) &&
    rb_pg_same(json_object_get(st->body, "whereClause"),
               json_object_get(select, "whereClause")) &&
    rb_pg_same(json_object_get(st->body, "withClause"),
               json_object_get(select, "withClause"));
  json_decref(from);
  return same;
}

/* the SELECT inside of FROM ( .. ) */
static const json_t *inner (const json_t *select) {
  const json_t *from = json_array_get(json_object_get(select, "fromClause"), 0);
  const json_t *range = json_object_get(from, "RangeSubselect");
  return json_object_get(json_object_get(range, "subquery"), "SelectStmt");
}

/* all but the columns */
static int provenselect (const rb_PgStatement *st, const json_t *select) {
  json_t *a = json_copy(st->body), *b = json_copy((json_t *)inner(select));
  json_object_del(a, "targetList");
  json_object_del(b, "targetList");
  int same = b != NULL && rb_pg_same(a, b);
  json_decref(a);
  json_decref(b);
  return same;
}

static int proven (const rb_PgStatement *st, const rb_PgStatement *count) {
  const json_t *select = count->body;
  if (strcmp(count->kind, "SelectStmt") != 0) return 0;
  if (strcmp(st->kind, "UpdateStmt") == 0)
    return provenchange(st, select, "fromClause");
  if (strcmp(st->kind, "DeleteStmt") == 0)
    return provenchange(st, select, "usingClause");
  if (strcmp(st->kind, "SelectStmt") == 0) return provenselect(st, select);
  const json_t *query = json_object_get(st->body, "selectStmt");
  return rb_pg_same(json_object_get(query, "SelectStmt"), inner(select));
}

/* -- the count ------------------------------------------------------------ */

/* Is each of the functions in a SELECT's columns one of those that we know,
** so that none returns a set? */
static int countable (const rb_PgStatement *st) {
  const json_t *item;
  size_t i;
  json_array_foreach(json_object_get(st->body, "targetList"), i, item) {
    const json_t *value = json_object_get(json_object_get(item, "ResTarget"),
                                          "val");
    const json_t *call = json_object_get(value, "FuncCall");
    if (call == NULL && !json_object_get(value, "ColumnRef")) return 0;
    if (call != NULL && rb_pg_sideeffect(value) == NULL) return 0;
  }
  return json_object_get(st->body, "fromClause") != NULL &&
         json_object_get(st->body, "groupClause") == NULL &&
         json_object_get(st->body, "distinctClause") == NULL;
}

/* [-0, +1, m]  the SELECT, not yet proven; nil where there can be none */
static const char *pushcount (lua_State *L, const rb_PgStatement *st,
                              int sample, int lockers) {
  const char *sql = st->text;
  luaL_Buffer b;
  int insert = strcmp(st->kind, "InsertStmt") == 0;
  if (strcmp(st->kind, "SelectStmt") == 0 && !countable(st)) {
    lua_pushnil(L);
    return NULL;
  }
  luaL_buffinit(L, &b);
  if (strcmp(st->kind, "UpdateStmt") == 0)
    addselect(&b, st, cutupdate(sql), sample, lockers);
  else if (strcmp(st->kind, "DeleteStmt") == 0)
    addselect(&b, st, cutdelete(sql), 0, lockers);
  else if (insert) addwrapped(&b, "", cutquery(sql));
  else if (strcmp(st->kind, "SelectStmt") == 0)
    addwrapped(&b, "SELECT 1 ", cutrest(sql));
  luaL_pushresult(&b);
  return lua_tostring(L, -1);
}

int rb_pg_count (lua_State *L, const rb_PgStatement *st, int sample, int lockers) {
  char why[8];
  int at;
  rb_PgStatement count = {0};
  if (strcmp(st->kind, "TruncateStmt") == 0) {
    pushtruncated(L, st);
    return 1;
  }
  const char *sql = pushcount(L, st, sample, lockers);
  if (sql == NULL) return 0;
  count.text = (char *)sql;
  int ok = *sql != '\0' && rb_pg_parse(&count, why, sizeof why, &at) &&
           proven(st, &count);
  json_decref(count.tree);
  if (ok) return 1;
  lua_pop(L, 1);
  lua_pushnil(L);
  return 0;
}

static const char *const readkeys[] = {
  "fromClause", "usingClause", "whereClause", "withClause", "selectStmt",
  "limitCount", "limitOffset", "sortClause", NULL
};

json_t *rb_pg_reads (const rb_PgStatement *st) {
  json_t *reads = json_object();
  for (const char *const *k = readkeys; *k != NULL; k++)
    json_object_set(reads, *k, json_object_get(st->body, *k));
  return reads;
}

lua_Integer rb_pg_inserted (const rb_PgStatement *st) {
  if (strcmp(st->kind, "InsertStmt") != 0) return -1;
  const json_t *query = json_object_get(st->body, "selectStmt");
  if (query == NULL) return 1;  /* DEFAULT VALUES */
  const json_t *select = json_object_get(query, "SelectStmt");
  const json_t *lists = json_object_get(select, "valuesLists");
  return lists != NULL ? (lua_Integer)json_array_size(lists) : -1;
}

/* -- what people see ------------------------------------------------------ */

/* $n as the value that it stands for */
static void addshown (luaL_Buffer *b, const rb_PgStatement *st, size_t n) {
  const char *s = n >= 1 && n <= (size_t)st->n ? st->values[n - 1] : NULL;
  if (s == NULL) luaL_addstring(b, "NULL");
  else {
    luaL_addchar(b, '\'');
    luaL_addstring(b, s);
    luaL_addchar(b, '\'');
  }
}

void rb_pg_assignments (lua_State *L, const rb_PgStatement *st) {
  if (strcmp(st->kind, "UpdateStmt") != 0) {
    lua_pushnil(L);
    return;
  }
  Piece set = cutupdate(st->text).set;
  rb_SqlScan scan = {.s = set.s, .n = set.n};
  rb_SqlToken t;
  size_t last = 0;
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (; rb_sql_next(&scan, &t) != RB_SQLEND; last = t.at + t.len) {
    if (last > 0 && t.at > last) luaL_addchar(&b, ' ');
    if (t.kind == RB_SQLPARAM)
      addshown(&b, st, (size_t)atol(set.s + t.at + 1));
    else luaL_addlstring(&b, set.s + t.at, t.len);
  }
  luaL_pushresult(&b);
}
