/*
** objects.c - what a statement names, and what has to be so for it to run
**
** A preview does not run DDL. What the catalog says exactly (a name that is not there,
** or is there already; a schema that is not empty) is asked in one question, in the
** order in which PostgreSQL itself would look; all else stays a doubt.
*/

#include <string.h>

#include "stdlib/pg/pg.h"

/* -- asking ----------------------------------------------------------------- */

/* The first of the wants that is not so, in words. 'room': something is to be created in
** that schema; 'beside': a neighbour of that name is to come. */
static const char question[] =
  "SELECT words FROM (SELECT w.i, CASE w.want"
  "  WHEN 'schema' THEN CASE WHEN n.oid IS NULL"
  "    THEN format('there is no schema %s', w.schema) END"
  "  WHEN 'new schema' THEN CASE WHEN n.oid IS NOT NULL"
  "    THEN format('there is a schema %s already', w.schema) END"
  "  WHEN 'own schema' THEN CASE WHEN NOT pg_has_role(n.nspowner, 'USAGE')"
  "    THEN format('role \"%s\" does not own schema %s', current_user, w.schema) END"
  "  WHEN 'bare schema' THEN (SELECT format('schema %s is not empty: %s depends on it',"
  "       w.schema, pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid))"
  "     FROM pg_catalog.pg_depend d WHERE d.refobjid = n.oid AND d.deptype = 'n'"
  "      AND d.refclassid = 'pg_catalog.pg_namespace'::regclass ORDER BY d.objid LIMIT 1)"
  "  WHEN 'room' THEN CASE WHEN n.oid IS NULL"
  "     THEN format('there is no schema %s', coalesce(nullif(w.schema, ''), 'to create it in'))"
  "     WHEN NOT has_schema_privilege(n.oid, 'CREATE')"
  "     THEN format('role \"%s\" lacks CREATE on schema %s', current_user, n.nspname) END"
  "  WHEN 'schemas' THEN CASE WHEN NOT has_database_privilege(current_database(), 'CREATE')"
  "     THEN format('role \"%s\" lacks CREATE on this database', current_user) END"
  "  WHEN 'roles' THEN CASE WHEN NOT EXISTS (SELECT FROM pg_catalog.pg_roles r"
  "      WHERE r.rolname = current_user AND (r.rolcreaterole OR r.rolsuper))"
  "     THEN format('role \"%s\" lacks CREATEROLE', current_user) END"
  "  WHEN 'role' THEN CASE WHEN NOT EXISTS (SELECT FROM pg_catalog.pg_roles r"
  "      WHERE r.rolname = w.name) THEN format('there is no role \"%s\"', w.name) END"
  "  WHEN 'new role' THEN CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_roles r"
  "      WHERE r.rolname = w.name) THEN format('there is a role \"%s\" already', w.name) END"
  "  WHEN 'relation' THEN CASE WHEN c.oid IS NULL THEN format('there is no table %s', full_) END"
  "  WHEN 'new relation' THEN CASE WHEN c.oid IS NOT NULL"
  "     THEN format('there is a relation %s already', full_) END"
  "  WHEN 'beside' THEN (SELECT format('there is a relation %s already', b.oid::regclass)"
  "     FROM pg_catalog.pg_class b"
  "    WHERE b.relnamespace = c.relnamespace AND b.relname = w.part)"
  "  WHEN 'column' THEN CASE WHEN c.oid IS NOT NULL AND a.attname IS NULL"
  "     THEN format('%s has no column %s', full_, w.part) END"
  "  WHEN 'new column' THEN CASE WHEN a.attname IS NOT NULL"
  "     THEN format('%s has a column %s already', full_, w.part) END"
  "  END AS words"
  "  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])"
  "       WITH ORDINALITY AS w(want, schema, name, part, i)"
  "  CROSS JOIN LATERAL (SELECT"
  "    concat_ws('.', nullif(w.schema, ''), w.name) AS full_) AS f"
  "  LEFT JOIN pg_catalog.pg_namespace n"
  "    ON n.nspname = coalesce(nullif(w.schema, ''), current_schema())"
  "  LEFT JOIN pg_catalog.pg_class c ON w.name <> '' AND"
  "    CASE WHEN w.schema = '' AND w.want <> 'new relation'"
  "      THEN c.oid = to_regclass(quote_ident(w.name))"
  "      ELSE c.relnamespace = n.oid AND c.relname = w.name END"
  "  LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = w.part"
  "   AND NOT a.attisdropped) AS q WHERE words IS NOT NULL ORDER BY i LIMIT 1";

typedef struct Wants {
  lua_State *L;
  rb_PgCall *c;
  int base;                /* four lists: what, schema, name, part */
  lua_Integer n;
} Wants;

static void want (Wants *w, const char *what, const char *schema, const char *name,
                  const char *part) {
  const char *fields[] = {what, schema, name, part};
  w->n++;
  for (int i = 0; i < 4; i++) {
    lua_pushstring(w->L, fields[i] != NULL ? fields[i] : "");
    lua_rawseti(w->L, w->base + i, w->n);
  }
}

/* -- reading the tree --------------------------------------------------------- */

static const char *text (const json_t *object, const char *key) {
  return json_string_value(json_object_get(object, key));
}

static int is (const json_t *object, const char *key, const char *word) {
  const char *s = text(object, key);
  return s != NULL && strcmp(s, word) == 0;
}

static int truth (const json_t *object, const char *key) {
  return json_is_true(json_object_get(object, key));
}

static const char *string (const json_t *node) {
  return text(json_object_get(node, "String"), "sval");
}

/* What is ours alone (temporary) cannot be there yet. */
static int ours (const json_t *range) {
  return is(range, "relpersistence", "t") || is(range, "schemaname", "pg_temp");
}

static void wantof (Wants *w, const char *what, const json_t *range, const char *part) {
  if (text(range, "relname") == NULL || ours(range)) return;
  want(w, what, text(range, "schemaname"), text(range, "relname"), part);
}

/* a relation that the statement makes */
static void wantnew (Wants *w, const json_t *range, int again) {
  wantof(w, "room", range, NULL);
  if (!again) wantof(w, "new relation", range, NULL);
}

/* each table of a list of nodes */
static void wantall (Wants *w, const json_t *list) {
  const json_t *item;
  size_t i;
  json_array_foreach(list, i, item)
    wantof(w, "relation", json_object_get(item, "RangeVar"), NULL);
}

static void wantschemas (Wants *w, const char *what, const json_t *list) {
  const json_t *item;
  size_t i;
  json_array_foreach(list, i, item) want(w, what, string(item), NULL, NULL);
}

/* -- statements --------------------------------------------------------------- */

static void createschema (Wants *w, const json_t *body) {
  const char *name = text(body, "schemaname");
  if (name == NULL) name = text(json_object_get(body, "authrole"), "rolename");
  want(w, "schemas", NULL, NULL, NULL);
  if (name != NULL && !truth(body, "if_not_exists")) want(w, "new schema", name, NULL, NULL);
}

static void dropped (Wants *w, const json_t *body) {
  const json_t *list = json_object_get(body, "objects");
  if (!is(body, "removeType", "OBJECT_SCHEMA")) return;
  if (!truth(body, "missing_ok")) wantschemas(w, "schema", list);
  wantschemas(w, "own schema", list);
  if (!is(body, "behavior", "DROP_CASCADE")) wantschemas(w, "bare schema", list);
}

static void createtable (Wants *w, const json_t *body) {
  wantnew(w, json_object_get(body, "relation"), truth(body, "if_not_exists"));
  wantall(w, json_object_get(body, "inhRelations"));
}

static void createview (Wants *w, const json_t *body) {
  wantnew(w, json_object_get(body, "view"), truth(body, "replace"));
}

static void createsequence (Wants *w, const json_t *body) {
  wantnew(w, json_object_get(body, "sequence"), truth(body, "if_not_exists"));
}

static void createas (Wants *w, const json_t *body) {
  const json_t *into = json_object_get(body, "into");
  if (into == NULL) into = json_object_get(body, "intoClause");
  wantnew(w, json_object_get(into, "rel"), truth(body, "if_not_exists"));
}

/* a column that an index's expression reads; the table's own name is its row */
static int readcolumn (void *ud, const char *key, const json_t *node) {
  const json_t *fields = json_object_get(node, "fields");
  json_t *list = ud;
  if (strcmp(key, "IndexElem") == 0 && text(node, "name") != NULL)
    json_array_append_new(list, json_string(text(node, "name")));
  if (strcmp(key, "ColumnRef") == 0 && json_array_size(fields) == 1) {
    const char *name = string(json_array_get(fields, 0));
    if (name != NULL) json_array_append_new(list, json_string(name));
  }
  return 0;
}

static void createindex (Wants *w, const json_t *body) {
  static const char *const keys[] = {
    "indexParams", "indexIncludingParams", "whereClause", NULL
  };
  const json_t *table = json_object_get(body, "relation"), *name;
  json_t *names = w->c->json = json_array();
  size_t i;
  if (text(body, "idxname") != NULL && !truth(body, "if_not_exists"))
    wantof(w, "beside", table, text(body, "idxname"));
  for (const char *const *k = keys; *k != NULL; k++)
    rb_pg_walk(json_object_get(body, *k), readcolumn, names);
  json_array_foreach(names, i, name)
    if (!is(table, "relname", json_string_value(name)))
      wantof(w, "column", table, json_string_value(name));
  json_decref(names);
  w->c->json = NULL;
}

/* the column that a command of ALTER TABLE is about, or NULL */
static const char *columnof (const json_t *cmd) {
  static const char *const kinds[] = {
    "AT_AddIdentity", "AT_AlterColumnType", "AT_ColumnDefault", "AT_DropColumn",
    "AT_DropExpression", "AT_DropIdentity", "AT_DropNotNull", "AT_SetCompression",
    "AT_SetIdentity", "AT_SetNotNull", "AT_SetStatistics", "AT_SetStorage", NULL
  };
  if (is(cmd, "subtype", "AT_AddColumn"))
    return text(json_object_get(json_object_get(cmd, "def"), "ColumnDef"), "colname");
  for (const char *const *k = kinds; *k != NULL; k++)
    if (is(cmd, "subtype", *k)) return text(cmd, "name");
  return NULL;
}

/* Is it about a column that another command of the same statement is about, too? */
static int shared (const json_t *cmds, const char *column) {
  const json_t *item;
  size_t i;
  int n = 0;
  json_array_foreach(cmds, i, item) {
    const char *name = columnof(json_object_get(item, "AlterTableCmd"));
    n += name != NULL && strcmp(name, column) == 0;
  }
  return n > 1;
}

static void altertable (Wants *w, const json_t *body) {
  const json_t *item, *cmds = json_object_get(body, "cmds");
  const json_t *table = json_object_get(body, "relation");
  size_t i;
  json_array_foreach(cmds, i, item) {
    const json_t *cmd = json_object_get(item, "AlterTableCmd");
    const char *column = columnof(cmd);
    if (column == NULL || truth(cmd, "missing_ok") || shared(cmds, column)) continue;
    wantof(w, is(cmd, "subtype", "AT_AddColumn") ? "new column" : "column", table, column);
  }
}

static void renamed (Wants *w, const json_t *body) {
  const json_t *table = json_object_get(body, "relation");
  const char *from = text(body, "subname"), *to = text(body, "newname");
  if (is(body, "renameType", "OBJECT_SCHEMA")) {
    want(w, "schema", from, NULL, NULL);
    want(w, "new schema", to, NULL, NULL);
  } else if (is(body, "renameType", "OBJECT_COLUMN")) {
    wantof(w, "column", table, from);
    wantof(w, "new column", table, to);
  } else if (from == NULL) wantof(w, "beside", table, to);
}

static void granted (Wants *w, const json_t *body) {
  const json_t *list = json_object_get(body, "objects");
  if (is(body, "objtype", "OBJECT_SCHEMA") || is(body, "targtype", "ACL_TARGET_ALL_IN_SCHEMA"))
    wantschemas(w, "schema", list);
  else wantall(w, list);
}

static void grantedrole (Wants *w, const json_t *body) {
  const json_t *item;
  size_t i;
  json_array_foreach(json_object_get(body, "granted_roles"), i, item)
    want(w, "role", NULL, text(json_object_get(item, "AccessPriv"), "priv_name"), NULL);
}

static void createrole (Wants *w, const json_t *body) {
  want(w, "roles", NULL, NULL, NULL);
  want(w, "new role", NULL, text(body, "role"), NULL);
}

static void droprole (Wants *w, const json_t *body) {
  (void)body;
  want(w, "roles", NULL, NULL, NULL);
}

static void moved (Wants *w, const json_t *body) {
  if (truth(body, "missing_ok")) return;
  wantof(w, "relation", json_object_get(body, "relation"), NULL);
  want(w, "schema", text(body, "newschema"), NULL, NULL);
}

static void ontable (Wants *w, const json_t *body) {
  const json_t *table = json_object_get(body, "relation");
  wantof(w, "relation", table != NULL ? table : json_object_get(body, "table"), NULL);
}

static const struct { const char *kind; void (*read) (Wants *w, const json_t *body); }
statements[] = {
  {"AlterObjectSchemaStmt", moved}, {"AlterTableStmt", altertable},
  {"CreatePolicyStmt", ontable},
  {"CreateRoleStmt", createrole}, {"CreateSchemaStmt", createschema},
  {"CreateSeqStmt", createsequence}, {"CreateStmt", createtable},
  {"CreateTableAsStmt", createas}, {"CreateTrigStmt", ontable}, {"DropRoleStmt", droprole},
  {"DropStmt", dropped}, {"GrantRoleStmt", grantedrole}, {"GrantStmt", granted},
  {"IndexStmt", createindex}, {"ReindexStmt", ontable}, {"RenameStmt", renamed},
  {"RuleStmt", ontable}, {"SelectStmt", createas}, {"ViewStmt", createview},
};

/* whoever is named, wherever it stands, is to be there */
static int wantrole (void *ud, const char *key, const json_t *node) {
  (void)key;
  if (is(node, "roletype", "ROLESPEC_CSTRING"))
    want(ud, "role", NULL, text(node, "rolename"), NULL);
  return 0;
}

int rb_pg_askobjects (lua_State *L, rb_PgCall *c, const rb_PgStatement *st) {
  int top = lua_gettop(L);
  const char *values[4];
  Wants w = {L, c, top + 1, 0};
  luaL_checkstack(L, 12, NULL);
  for (int i = 0; i < 4; i++) lua_newtable(L);
  for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++)
    if (strcmp(st->kind, statements[i].kind) == 0) statements[i].read(&w, st->body);
  if (!truth(st->body, "missing_ok")) rb_pg_walk(st->body, wantrole, &w);
  for (int i = 0; i < 4; i++) {
    lua_pushvalue(L, w.base + i);
    rb_pg_totext(L, c, "objects");
    values[i] = lua_tostring(L, -1);
  }
  int n = rb_pg_send(L, c, question, 4, NULL, values);
  lua_settop(L, top);
  return n;
}

void rb_pg_readobjects (lua_State *L, rb_PgCall *c, int answer) {
  const char *words = rb_pg_field(c, answer, 0, 0);
  if (words != NULL) rb_pg_forbid(L, c, words);
}
