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

/* Can there be any such code at all? What is asked by name, and anything in a table that
** may hold some. Most statements end here; the next question is a long one. */
static const char suspects[] =
  "SELECT EXISTS (SELECT FROM pg_catalog.pg_proc WHERE proname = ANY ($1::text[])"
  "                AND (oid >= 16384 OR provolatile = 'v'))"
  " OR EXISTS (SELECT FROM pg_catalog.pg_operator WHERE oprname = ANY ($2::text[])"
  "              AND oprcode::oid >= 16384)"
  " OR EXISTS (SELECT FROM pg_catalog.pg_cast WHERE castfunc >= 16384)"
  " OR EXISTS (SELECT FROM pg_catalog.pg_type"
  "             WHERE typname = ANY ($4::text[] || $1::text[]) AND oid >= 16384)"
  " OR EXISTS (SELECT FROM unnest($3::text[]) AS t(name)"
  "   JOIN pg_catalog.pg_class c ON c.oid = to_regclass(t.name)"
  "  WHERE c.relkind NOT IN ('r', 'p')"
  "   OR EXISTS (SELECT FROM pg_catalog.pg_policy p WHERE p.polrelid = c.oid)"
  "   OR EXISTS (SELECT FROM pg_catalog.pg_attrdef d JOIN pg_catalog.pg_depend e"
  "       ON e.classid = 'pg_catalog.pg_attrdef'::regclass AND e.objid = d.oid AND e.refclassid"
  "       IN ('pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_operator'::regclass)"
  "      WHERE d.adrelid = c.oid)),"
  /* and is what an UPDATE ($5 $6, to what may be NULL $7) or DELETE changes under a constraint? */
  " EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = to_regclass(nullif($5, ''))"
  "   AND (c.relkind = 'p' OR c.relispartition OR c.relhassubclass OR EXISTS ("
  "     SELECT FROM pg_catalog.pg_constraint k WHERE k.confrelid = c.oid) OR EXISTS ("
  "     SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid"
  "        AND a.attname = ANY ($6::text[]) AND (EXISTS ("
  "          SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid"
  "             AND (i.indisunique OR i.indisexclusion)"
  "             AND (i.indexprs IS NOT NULL OR a.attnum = ANY (i.indkey)))"
  "         OR EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid"
  "             AND k.contype IN ('c', 'f') AND a.attnum = ANY (k.conkey))"
  "         OR a.attnotnull AND a.attname = ANY ($7::text[])"
  "         OR EXISTS (SELECT FROM pg_catalog.pg_type y"
  "             WHERE y.oid = a.atttypid AND y.typtype = 'd')))))";

/* Code that may do more than look, by name, through an operator, a cast, or inside of
** a domain, a view or a policy: what is volatile, and whatever people wrote
** themselves, for what they say of it cannot be checked. What is theirs is found by
** its dependencies, what is built in (and has none) in the text. Asked for a count
** ($1, $2, $4), and for a plan ('early', $5 to $7), which runs what is not volatile,
** defaults too. */
static const char volatiles[] =
  "WITH RECURSIVE either(early) AS (VALUES (false), (true)),"
  " seen(oid) AS ("
  "  SELECT to_regclass(name)::oid FROM unnest($3::text[]) AS t(name) UNION"
  "  SELECT d.refobjid FROM seen s"
  "    JOIN pg_catalog.pg_rewrite r ON r.ev_class = s.oid"
  "    JOIN pg_catalog.pg_depend d ON d.objid = r.oid"
  "     AND d.classid = 'pg_catalog.pg_rewrite'::regclass"
  "     AND d.refclassid = 'pg_catalog.pg_class'::regclass),"
  " held(early, what, class, oid, source) AS ("
  "  SELECT early, 'the view ' || c.oid::regclass, 'pg_catalog.pg_rewrite'::regclass, r.oid,"
  "         CASE WHEN NOT early THEN pg_catalog.pg_get_viewdef(c.oid) END"
  "    FROM seen s JOIN pg_catalog.pg_class c USING (oid)"
  "    JOIN pg_catalog.pg_rewrite r ON r.ev_class = c.oid CROSS JOIN either"
  "   WHERE c.relkind IN ('v', 'm') UNION ALL"
  "  SELECT early, 'the policy ' || p.polname || ' on ' || p.polrelid::regclass,"
  "         'pg_catalog.pg_policy'::regclass, p.oid,"
  "         pg_catalog.pg_get_expr(p.polqual, p.polrelid)"
  "    FROM seen s JOIN pg_catalog.pg_policy p ON p.polrelid = s.oid CROSS JOIN either"
  "   UNION ALL"
  "  SELECT true, 'a default of ' || d.adrelid::regclass, 'pg_catalog.pg_attrdef'::regclass,"
  "         d.oid, NULL FROM seen s JOIN pg_catalog.pg_attrdef d ON d.adrelid = s.oid),"
  " types(early, oid) AS ("
  "  SELECT false, oid FROM pg_catalog.pg_type WHERE typname = ANY ($4::text[] || $1::text[])"
  "   UNION"
  "  SELECT true, oid FROM pg_catalog.pg_type WHERE typname = ANY ($7::text[] || $5::text[])"
  "   UNION SELECT h.early, d.refobjid FROM held h JOIN pg_catalog.pg_depend d"
  "      ON d.classid = h.class AND d.objid = h.oid"
  "     AND d.refclassid = 'pg_catalog.pg_type'::regclass"
  "   UNION SELECT t.early, u.oid FROM types t JOIN pg_catalog.pg_type y ON y.oid = t.oid,"
  "     LATERAL (SELECT y.typbasetype UNION SELECT y.typelem UNION"
  "       SELECT a.atttypid FROM pg_catalog.pg_attribute a"
  "        WHERE a.attrelid = y.typrelid AND a.attnum > 0) AS u(oid)"
  "    WHERE u.oid <> 0),"
  " code AS (SELECT * FROM held UNION ALL"
  "  SELECT t.early, 'the domain ' || k.contypid::regtype,"
  "         'pg_catalog.pg_constraint'::regclass, k.oid,"
  "         pg_catalog.pg_get_constraintdef(k.oid)"
  "    FROM types t JOIN pg_catalog.pg_constraint k ON k.contypid = t.oid),"
  " runs(early, what, oid) AS ("  /* functions, and how they come to be called */
  "  SELECT false, proname::text, oid FROM pg_catalog.pg_proc"
  "   WHERE proname = ANY ($1::text[]) UNION ALL"
  "  SELECT true, proname::text, oid FROM pg_catalog.pg_proc"
  "   WHERE proname = ANY ($5::text[]) UNION ALL"
  "  SELECT false, 'the operator ' || oprname, oprcode FROM pg_catalog.pg_operator"
  "   WHERE oprname = ANY ($2::text[]) UNION ALL"
  "  SELECT true, 'the operator ' || oprname, oprcode FROM pg_catalog.pg_operator"
  "   WHERE oprname = ANY ($6::text[]) UNION ALL"
  "  SELECT early, 'the cast from ' || c.castsource::regtype || ' to ' || c.casttarget::regtype,"
  "         c.castfunc FROM pg_catalog.pg_cast c CROSS JOIN either"
  "   WHERE c.castfunc >= 16384 AND (c.castcontext <> 'e'"
  "     OR (early, c.casttarget) IN (SELECT early, oid FROM types)) UNION ALL"
  "  SELECT c.early, c.what, coalesce(o.oprcode, d.refobjid)"
  "    FROM code c JOIN pg_catalog.pg_depend d ON d.classid = c.class AND d.objid = c.oid"
  "     AND d.refclassid IN ('pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_operator'::regclass)"
  "    LEFT JOIN pg_catalog.pg_operator o ON o.oid = d.refobjid"
  "     AND d.refclassid = 'pg_catalog.pg_operator'::regclass),"
  " parts AS (SELECT * FROM runs UNION ALL"  /* what an aggregate is made of */
  "  SELECT r.early, r.what, f.oid FROM runs r"
  "    JOIN pg_catalog.pg_aggregate a ON a.aggfnoid = r.oid"
  "    CROSS JOIN LATERAL (VALUES (a.aggtransfn), (a.aggfinalfn), (a.aggcombinefn),"
  "      (a.aggmtransfn), (a.aggminvtransfn), (a.aggmfinalfn)) AS f(oid))"
  " SELECT r.early, r.what FROM parts r JOIN pg_catalog.pg_proc p ON p.oid = r.oid"
  "    JOIN pg_catalog.pg_language l ON l.oid = p.prolang"
  "   WHERE CASE WHEN p.oid >= 16384 AND l.lanname NOT IN ('internal', 'c')"
  "     THEN NOT r.early OR p.provolatile <> 'v'"
  "     ELSE NOT r.early AND p.provolatile = 'v' END UNION ALL"
  " SELECT false, c.what FROM code c WHERE NOT c.early AND EXISTS ("
  "   SELECT FROM pg_catalog.pg_proc p WHERE p.oid < 16384 AND p.provolatile = 'v' AND"
  "     pg_catalog.strpos(c.source, pg_catalog.quote_ident(p.proname) || '(') > 0)";

enum { EARLY, WHAT };  /* its columns */

/* [-0, +1, v]  the list at the top as the text of an array */
static const char *pusharray (lua_State *L, rb_PgCall *c) {
  rb_pg_totext(L, c, "tables");
  return lua_tostring(L, -1);
}

/* [-0, +3, v]  what in the tree may call code: its functions, operators and types */
static void pushcode (lua_State *L, rb_PgCall *c, const json_t *tree,
                      const char *names[3]) {
  rb_pg_calls(L, tree);
  names[0] = pusharray(L, c);
  rb_pg_operators(L, tree);
  names[1] = pusharray(L, c);
  rb_pg_types(L, tree);
  names[2] = pusharray(L, c);
}

void rb_pg_ask (lua_State *L, rb_PgCall *c, const rb_PgStatement *st) {
  const Plannable *p = findplannable(st);
  const json_t *target = rb_pg_target(st);
  int top = lua_gettop(L);
  const char *name = target != NULL ? rb_pg_tablename(L, target) : "";
  const char *privilege = is(st, "TruncateStmt") ? "TRUNCATE"
                        : p != NULL && target != NULL ? p->privilege : "";
  rb_pg_tables(L, st->tree);
  const char *list = pusharray(L, c), *names[3];
  const char *about[] = {list, name, privilege, st->kind};
  rb_pg_send(L, c, tables, 4, NULL, about);
  const char *which[] = {name, p != NULL ? p->trigger : "0",
                         p != NULL ? p->rule : "0"};
  rb_pg_send(L, c, surprises, 3, NULL, which);
  pushcode(L, c, st->tree, names);
  int update = is(st, "UpdateStmt"), gone = is(st, "DeleteStmt");
  const char *set = update ? rb_pg_pushset(L, c, st, 0) : "{}";
  const char *code[] = {names[0], names[1], list, names[2], update || gone ? name : "", set,
                        update ? rb_pg_pushset(L, c, st, 1) : "{}"};
  rb_pg_send(L, c, suspects, 7, NULL, code);
  lua_settop(L, top);
}

int rb_pg_suspects (const rb_PgCall *c, int answer) {
  return rb_pg_true(c, answer + 2, 0, 0);
}

int rb_pg_constrained (const rb_PgCall *c, int answer) {
  return rb_pg_true(c, answer + 2, 0, 1);
}

int rb_pg_askcode (lua_State *L, rb_PgCall *c, const rb_PgStatement *st) {
  const char *counted[3], *planned[3];
  int top = lua_gettop(L);
  rb_pg_tables(L, st->tree);
  const char *list = pusharray(L, c);
  c->json = rb_pg_reads(st);
  pushcode(L, c, c->json, counted);
  json_decref(c->json);
  c->json = NULL;
  pushcode(L, c, st->tree, planned);
  const char *values[] = {counted[0], counted[1], list, counted[2],
                          planned[0], planned[1], planned[2]};
  int n = rb_pg_send(L, c, volatiles, 7, NULL, values);
  lua_settop(L, top);
  return n;
}

/* -- ahead ---------------------------------------------------------------- */

/* About no table at all: a server reads its catalog anew for each connection, which
** takes longer than all else that a preview waits for. */
static int askahead (PGconn *pg) {
  static const char *const notables[] = {"{}", "", "", ""};
  static const char *const notarget[] = {"", "0", "0"};
  static const char *const nocode[] = {"{}", "{}", "{}", "{}", "", "{}", "{}"};
  static const struct { const char *sql; int n; const char *const *values; } asked[] = {
    {"BEGIN READ ONLY", 0, NULL}, {"SET LOCAL statement_timeout = '2s'", 0, NULL},
    {tables, 4, notables}, {surprises, 3, notarget}, {suspects, 7, nocode}
  };
  for (size_t i = 0; i < sizeof asked / sizeof *asked; i++)
    if (!PQsendQueryParams(pg, asked[i].sql, asked[i].n, NULL, asked[i].values, NULL,
                           NULL, 0)) return 0;
  return PQpipelineSync(pg) && PQsendQueryParams(pg, "ROLLBACK", 0, NULL, NULL, NULL,
                                                 NULL, 0) && PQpipelineSync(pg);
}

int rb_pg_warm (rb_Ahead *a, PGconn *pg) {
  int more, ok = askahead(pg);
  for (int syncs = 2; ok && syncs > 0; ) {
    if ((more = PQflush(pg)) < 0) return 0;
    if (PQisBusy(pg))
      ok = rb_ahead_wait(a, PQsocket(pg), (short)(POLLIN | (more ? POLLOUT : 0)))
           && PQconsumeInput(pg);
    else {
      PGresult *r = PQgetResult(pg);
      syncs -= PQresultStatus(r) == PGRES_PIPELINE_SYNC;
      ok = PQstatus(pg) == CONNECTION_OK;
      PQclear(r);
    }
  }
  return ok && PQtransactionStatus(pg) == PQTRANS_IDLE;
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
      rb_pg_setflag(L, "stored", rb_pg_true(c, answer, i, PLAIN));
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

/* code of one's own that a plan may run ('early'), or a count; NULL: none */
static const char *owncode (const rb_PgCall *c, int early) {
  for (int i = 0; c->code > 0 && i < PQntuples(c->answers[c->code]); i++)
    if (rb_pg_true(c, c->code, i, EARLY) == early) return rb_pg_field(c, c->code, i, WHAT);
  return NULL;
}

/* what because of which nothing is counted, or NULL */
static const char *dangerous (rb_PgCall *c, const rb_PgStatement *st) {
  json_t *reads = rb_pg_reads(st);
  const char *name = rb_pg_sideeffect(reads);  /* st->tree keeps it, too */
  if (name == NULL) name = rb_pg_writes(reads);
  json_decref(reads);
  return name != NULL ? name : owncode(c, 0);
}

int rb_pg_plannable (const rb_PgStatement *st) {
  return findplannable(st) != NULL;
}

const char *rb_pg_learn (lua_State *L, rb_PgCall *c, const rb_PgStatement *st,
                         int answer, int *readable, const char **own) {
  *readable = readtables(L, c, st, answer);
  readsurprises(L, c, answer + 1);
  *own = owncode(c, 1);
  return dangerous(c, st);
}
