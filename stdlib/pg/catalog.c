/*
** catalog.c - what the server's catalog knows about a statement's tables
**
** Do they exist, may the role do this to them, and what could make the number
** of rows another than the WHERE says: triggers, rules, row security, views,
** functions that are volatile.
*/

#include <string.h>

#include "stdlib/pg/pg.h"

/* statements that PostgreSQL plans, and what they need and set off: the
** trigger's bit of tgtype, the rule's ev_type */
typedef struct Plannable {
  const char *kind, *privilege, *trigger, *rule;
} Plannable;

static const Plannable plannable[] = {
  {"SelectStmt", "SELECT", "0", "1"},
  {"InsertStmt", "INSERT", "4", "3"},
  {"UpdateStmt", "UPDATE", "16", "2"},
  {"DeleteStmt", "DELETE", "8", "4"},
  {"MergeStmt", "", "28", "0"},
};

/* statements whose tables have to be there and ours */
static const char *const owned[] = {
  "AlterTableStmt", "DropStmt", "IndexStmt", "RenameStmt",
  "RefreshMatViewStmt", NULL
};

static const Plannable *findplannable (const rb_PgStatement *st) {
  for (size_t i = 0; i < sizeof plannable / sizeof plannable[0]; i++)
    if (strcmp(st->kind, plannable[i].kind) == 0) return &plannable[i];
  return NULL;
}

static int among (const char *word, const char *const *words) {
  for (; *words != NULL; words++)
    if (strcmp(word, *words) == 0) return 1;
  return 0;
}

static int is (const rb_PgStatement *st, const char *kind) {
  return strcmp(st->kind, kind) == 0;
}

/* -- asking the catalog --------------------------------------------------- */

static const char tables[] =
  "SELECT t.name = $2, coalesce(n.nspname || '.' || c.relname,"
  "         array_to_string(parse_ident(t.name), '.')),"
  "       c.oid IS NOT NULL, coalesce(c.relkind IN ('r', 'p'), false),"
  "       has_any_column_privilege(c.oid, 'SELECT'),"
  "       has_table_privilege(c.oid, 'SELECT'),"
  "       CASE WHEN $3 IN ('INSERT', 'UPDATE')"
  "         THEN has_any_column_privilege(c.oid, $3)"
  "         WHEN $3 = '' THEN true ELSE has_table_privilege(c.oid, $3) END,"
  "       pg_has_role(c.relowner, 'USAGE') OR pg_has_role(n.nspowner, 'USAGE')"
  "         AND $4 = 'DropStmt', current_user"
  "  FROM unnest($1::text[]) WITH ORDINALITY AS t(name, i)"
  "  LEFT JOIN pg_catalog.pg_class c ON c.oid = to_regclass(t.name)"
  "  LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
  " ORDER BY t.i";

enum {  /* its columns */
  TARGET, NAME, EXISTS, PLAIN, ANYSELECT, ALLSELECT, MAY, OWNER, ROLE
};

/* what may make the number of rows another: the target, its partitions and
** children; 'false' first: what changes other rows, but not this number */
static const char surprises[] =
  "WITH RECURSIVE family(oid) AS ("
  "  SELECT to_regclass(nullif($1, ''))::oid UNION"
  "  SELECT i.inhrelid FROM pg_catalog.pg_inherits i"
  "    JOIN family f ON i.inhparent = f.oid)"
  " SELECT true, 'trigger ' || t.tgname || ' on ' || t.tgrelid::regclass"
  "  FROM family f JOIN pg_catalog.pg_trigger t ON t.tgrelid = f.oid"
  "  WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgtype & $2::int <> 0"
  " UNION ALL SELECT true, 'rule ' || r.rulename || ' on ' || r.ev_class::regclass"
  "  FROM family f JOIN pg_catalog.pg_rewrite r ON r.ev_class = f.oid"
  "  WHERE r.ev_type = $3::\"char\" AND r.rulename <> '_RETURN'"
  " UNION ALL SELECT true, CASE c.relkind WHEN 'v' THEN 'a view, '"
  "    WHEN 'f' THEN 'a foreign table, ' ELSE 'row security on ' END"
  "    || c.oid::regclass"
  "  FROM family f JOIN pg_catalog.pg_class c ON c.oid = f.oid"
  "  WHERE c.relrowsecurity OR c.relkind IN ('v', 'f')"
  " UNION ALL SELECT DISTINCT false, 'changes rows of ' || k.conrelid::regclass"
  "    || ', too (ON ' || CASE $2 WHEN '8' THEN 'DELETE' ELSE 'UPDATE' END || ')'"
  "  FROM family f JOIN pg_catalog.pg_constraint k ON k.confrelid = f.oid"
  "  WHERE k.contype = 'f' AND"
  "    ($2 = '8' AND k.confdeltype IN ('c', 'n', 'd') OR"
  "     $2 = '16' AND k.confupdtype IN ('c', 'n', 'd'))";

/* Code that may do more than look, by name, through an operator, a cast, or inside of
** a domain, a view or a policy: what is volatile, and whatever people wrote
** themselves, for what they say of it cannot be checked. What is theirs is found by
** its dependencies, what is built in (and has none) in the text. $5: for a count; else
** for a plan, which runs what is not volatile, defaults too. */
static const char volatiles[] =
  "WITH RECURSIVE moved AS ("
  "  SELECT p.oid, p.proname FROM pg_catalog.pg_proc p"
  "    JOIN pg_catalog.pg_language l ON l.oid = p.prolang"
  "   WHERE $5::bool AND p.provolatile = 'v' OR p.oid >= 16384"
  "     AND l.lanname NOT IN ('internal', 'c') AND ($5::bool OR p.provolatile <> 'v')),"
  " moves AS (SELECT * FROM moved UNION"
  "  SELECT p.oid, p.proname FROM pg_catalog.pg_aggregate a"
  "    JOIN pg_catalog.pg_proc p ON p.oid = a.aggfnoid"
  "    JOIN moved m ON m.oid IN (a.aggtransfn, a.aggfinalfn, a.aggcombinefn,"
  "      a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn)),"
  " seen(oid) AS ("
  "  SELECT to_regclass(name)::oid FROM unnest($3::text[]) AS t(name) UNION"
  "  SELECT d.refobjid FROM seen s"
  "    JOIN pg_catalog.pg_rewrite r ON r.ev_class = s.oid"
  "    JOIN pg_catalog.pg_depend d ON d.objid = r.oid"
  "     AND d.classid = 'pg_catalog.pg_rewrite'::regclass"
  "     AND d.refclassid = 'pg_catalog.pg_class'::regclass),"
  " held(what, class, oid, source) AS ("
  "  SELECT 'the view ' || c.oid::regclass, 'pg_catalog.pg_rewrite'::regclass, r.oid,"
  "         pg_catalog.pg_get_viewdef(c.oid)"
  "    FROM seen s JOIN pg_catalog.pg_class c USING (oid)"
  "    JOIN pg_catalog.pg_rewrite r ON r.ev_class = c.oid"
  "   WHERE c.relkind IN ('v', 'm') UNION ALL"
  "  SELECT 'the policy ' || p.polname || ' on ' || p.polrelid::regclass,"
  "         'pg_catalog.pg_policy'::regclass, p.oid,"
  "         pg_catalog.pg_get_expr(p.polqual, p.polrelid)"
  "    FROM seen s JOIN pg_catalog.pg_policy p ON p.polrelid = s.oid UNION ALL"
  "  SELECT 'a default of ' || d.adrelid::regclass, 'pg_catalog.pg_attrdef'::regclass,"
  "         d.oid, '' FROM seen s JOIN pg_catalog.pg_attrdef d ON d.adrelid = s.oid"
  "   WHERE NOT $5::bool),"
  " types(oid) AS ("
  "  SELECT oid FROM pg_catalog.pg_type WHERE typname = ANY ($4::text[] || $1::text[])"
  "   UNION SELECT d.refobjid FROM held h JOIN pg_catalog.pg_depend d"
  "      ON d.classid = h.class AND d.objid = h.oid"
  "     AND d.refclassid = 'pg_catalog.pg_type'::regclass"
  "   UNION SELECT u.oid FROM types t JOIN pg_catalog.pg_type y ON y.oid = t.oid,"
  "     LATERAL (SELECT y.typbasetype UNION SELECT y.typelem UNION"
  "       SELECT a.atttypid FROM pg_catalog.pg_attribute a"
  "        WHERE a.attrelid = y.typrelid AND a.attnum > 0) AS u(oid)"
  "    WHERE u.oid <> 0),"
  " code AS (SELECT * FROM held UNION ALL"
  "  SELECT 'the domain ' || k.contypid::regtype, 'pg_catalog.pg_constraint'::regclass,"
  "         k.oid, pg_catalog.pg_get_constraintdef(k.oid)"
  "    FROM types t JOIN pg_catalog.pg_constraint k ON k.contypid = t.oid)"
  " SELECT proname::text FROM moves WHERE proname = ANY ($1::text[]) UNION ALL"
  " SELECT 'the operator ' || o.oprname FROM pg_catalog.pg_operator o"
  "   JOIN moves ON moves.oid = o.oprcode"
  "  WHERE o.oprname = ANY ($2::text[]) UNION ALL"
  " SELECT 'the cast from ' || c.castsource::regtype || ' to ' || c.casttarget::regtype"
  "   FROM pg_catalog.pg_cast c JOIN moves ON moves.oid = c.castfunc"
  "  WHERE c.castcontext <> 'e' OR c.casttarget IN (SELECT oid FROM types) UNION ALL"
  " SELECT c.what FROM code c WHERE EXISTS (SELECT FROM moves m"
  "   WHERE m.oid < 16384 AND"
  "     pg_catalog.strpos(c.source, pg_catalog.quote_ident(m.proname) || '(') > 0)"
  "  OR EXISTS (SELECT FROM pg_catalog.pg_depend d"
  "   LEFT JOIN pg_catalog.pg_operator o ON o.oid = d.refobjid"
  "     AND d.refclassid = 'pg_catalog.pg_operator'::regclass"
  "   JOIN moves m ON m.oid = o.oprcode OR m.oid = d.refobjid"
  "     AND d.refclassid = 'pg_catalog.pg_proc'::regclass"
  "   WHERE d.classid = c.class AND d.objid = c.oid) LIMIT 1";

/* [-0, +1, v]  the list at the top as the text of an array */
static const char *pusharray (lua_State *L, rb_PgCall *c) {
  rb_pg_totext(L, c, "tables");
  return lua_tostring(L, -1);
}

/* [-0, +?, v]  what in the tree is code of one's own? */
static void askcode (lua_State *L, rb_PgCall *c, const json_t *tree,
                     const char *tables_, const char *counting) {
  rb_pg_calls(L, tree);
  const char *calls = pusharray(L, c);
  rb_pg_operators(L, tree);
  const char *operators = pusharray(L, c);
  rb_pg_types(L, tree);
  const char *values[] = {calls, operators, tables_, pusharray(L, c), counting};
  rb_pg_send(L, c, volatiles, 5, NULL, values);
}

void rb_pg_ask (lua_State *L, rb_PgCall *c, const rb_PgStatement *st) {
  const Plannable *p = findplannable(st);
  const json_t *target = rb_pg_target(st);
  int top = lua_gettop(L);
  const char *name = target != NULL ? rb_pg_tablename(L, target) : "";
  const char *privilege = is(st, "TruncateStmt") ? "TRUNCATE"
                        : p != NULL && target != NULL ? p->privilege : "";
  rb_pg_tables(L, st->tree);
  const char *list = pusharray(L, c);
  const char *about[] = {list, name, privilege, st->kind};
  rb_pg_send(L, c, tables, 4, NULL, about);
  const char *which[] = {name, p != NULL ? p->trigger : "0",
                         p != NULL ? p->rule : "0"};
  rb_pg_send(L, c, surprises, 3, NULL, which);
  c->json = rb_pg_reads(st);
  askcode(L, c, c->json, list, "t");
  json_decref(c->json);
  c->json = NULL;
  askcode(L, c, st->tree, list, "f");
  lua_settop(L, top);
}

/* -- what it says --------------------------------------------------------- */

/* may the remedy's role do this to the table in that row? */
static void checkrights (lua_State *L, rb_PgCall *c, const rb_PgStatement *st,
                         int answer, int row) {
  const char *table = rb_pg_field(c, answer, row, NAME);
  const char *role = rb_pg_field(c, answer, row, ROLE);
  int target = rb_pg_true(c, answer, row, TARGET);
  const Plannable *p = findplannable(st);
  if (!rb_pg_true(c, answer, row, EXISTS)) {
    int missing = among(st->kind, owned) || is(st, "TruncateStmt");
    if (missing && !json_is_true(json_object_get(st->body, "missing_ok")))
      rb_pg_refuse(L, c, "there is no table %s", table);
    return;
  }
  if (among(st->kind, owned) && !rb_pg_true(c, answer, row, OWNER))
    rb_pg_refuse(L, c, "role \"%s\" does not own %s", role, table);
  if ((target || is(st, "TruncateStmt")) && !rb_pg_true(c, answer, row, MAY))
    rb_pg_refuse(L, c, "role \"%s\" lacks %s on %s", role,
                 p != NULL ? p->privilege : "TRUNCATE", table);
  if (p != NULL && !target && !rb_pg_true(c, answer, row, ANYSELECT))
    rb_pg_refuse(L, c, "role \"%s\" lacks SELECT on %s", role, table);
}

/* Fills 'tables', 'plain' and 'target'; may all of the target be read? */
static int readtables (lua_State *L, rb_PgCall *c, const rb_PgStatement *st,
                       int answer) {
  int readable = 1, rows = PQntuples(c->answers[answer]);
  lua_createtable(L, rows, 0);
  for (int i = 0; i < rows; i++) {
    checkrights(L, c, st, answer, i);
    lua_pushstring(L, rb_pg_field(c, answer, i, NAME));
    if (rb_pg_true(c, answer, i, TARGET)) {
      lua_pushvalue(L, -1);
      lua_setfield(L, PLAN, "target");
      readable = rb_pg_true(c, answer, i, ALLSELECT);
    }
    lua_rawseti(L, -2, i + 1);
    if (is(st, "TruncateStmt")) readable &= rb_pg_true(c, answer, i, ALLSELECT);
    if (!rb_pg_true(c, answer, i, PLAIN)) rb_pg_setflag(L, "plain", 0);
  }
  lua_setfield(L, PLAN, "tables");
  return readable;
}

static void readsurprises (lua_State *L, rb_PgCall *c, int answer) {
  for (int i = 0; i < PQntuples(c->answers[answer]); i++) {
    const char *words = rb_pg_field(c, answer, i, 1);
    if (rb_pg_true(c, answer, i, 0)) rb_pg_doubt(L, words);
    else rb_pg_addreason(L, words), rb_pg_setflag(L, "spills", 1);
  }
}

/* what because of which nothing is counted, or NULL */
static const char *dangerous (rb_PgCall *c, const rb_PgStatement *st,
                              int answer) {
  json_t *reads = rb_pg_reads(st);
  const char *name = rb_pg_sideeffect(reads);  /* st->tree keeps it, too */
  if (name == NULL) name = rb_pg_writes(reads);
  json_decref(reads);
  return name != NULL ? name : rb_pg_field(c, answer, 0, 0);
}

int rb_pg_plannable (const rb_PgStatement *st) {
  return findplannable(st) != NULL;
}

const char *rb_pg_learn (lua_State *L, rb_PgCall *c, const rb_PgStatement *st,
                         int answer, int *readable, const char **own) {
  *readable = readtables(L, c, st, answer);
  readsurprises(L, c, answer + 1);
  *own = rb_pg_field(c, answer + 3, 0, 0);
  return dangerous(c, st, answer + 2);
}
