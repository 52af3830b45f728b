/*
** look.c - what the database says of a schema, and what outside depends on it
*/

#include <stdlib.h>
#include <string.h>

#include "stdlib/backup/backup.h"

/* $1: the schema, $2: a name that must be free (or null) */
const char rb_sql_look[] =
  "SELECT n.oid, pg_has_role(n.nspowner, 'USAGE'),"
  "  has_database_privilege(current_database(), 'CREATE'),"
  "  current_setting('server_version_num')::int, t.n, t.bytes, pg_size_pretty(t.bytes),"
  "  (SELECT nspname FROM pg_namespace WHERE nspname = $2), current_database()"
  " FROM (SELECT 1) one"
  " LEFT JOIN pg_namespace n ON n.nspname = $1,"
  " LATERAL (SELECT count(*) FILTER (WHERE relkind IN ('r', 'p')) AS n,"
  "  coalesce(sum(pg_total_relation_size(oid)) FILTER (WHERE relkind IN ('r', 'm')), 0)"
  "    ::bigint AS bytes"
  "  FROM pg_class WHERE relnamespace = n.oid) t";

/* the rows of each table that a dump has, in one snapshot; $1: the schema, or null for
** all but the server's own */
const char rb_sql_counts[] =
  "SELECT n.nspname, c.relname, substring(query_to_xml(format("
  "  'SELECT count(*) AS n FROM ONLY %I.%I', n.nspname, c.relname), false, true, '')::text"
  "  FROM '<n>([0-9]+)</n>')"
  " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
  " WHERE c.relkind = 'r' AND c.relpersistence <> 't'"
  "  AND CASE WHEN $1::text IS NULL THEN n.nspname !~ '^pg_' AND n.nspname <>"
  "    'information_schema' ELSE n.nspname = $1 END"
  "  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass"
  "    AND d.objid = c.oid AND d.deptype = 'e')"
  " ORDER BY 1, 2";

const char rb_sql_rows[] =
  "SELECT coalesce(sum(substring(query_to_xml(format("
  "  'SELECT count(*) AS n FROM ONLY %I.%I', n.nspname, c.relname), false, true, '')::text"
  "  FROM '<n>([0-9]+)</n>')::bigint), 0)"
  " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
  " WHERE c.relkind = 'r' AND n.nspname = $1";

/* Everything outside the schema $1 that would go on pointing into it when it is
** renamed: what it is, its name, and for a view the statement that binds it to the
** names again. What is found inside by its name only (the text of a function) is not. */
const char rb_sql_outside[] =
  "WITH s AS (SELECT oid, nspname FROM pg_namespace WHERE nspname = $1),"
  " inside AS ("
  "  SELECT 'pg_class'::regclass AS class, c.oid FROM pg_class c, s WHERE relnamespace = s.oid"
  "  UNION ALL SELECT 'pg_proc'::regclass, p.oid FROM pg_proc p, s WHERE pronamespace = s.oid"
  "  UNION ALL SELECT 'pg_type'::regclass, t.oid FROM pg_type t, s WHERE typnamespace = s.oid),"
  " dep AS ("
  "  SELECT DISTINCT d.classid, d.objid, coalesce(r.ev_class, nullif(k.conrelid, 0), a.adrelid,"
  "    g.tgrelid, p.polrelid, CASE WHEN d.classid = 'pg_class'::regclass THEN d.objid END) AS rel"
  "  FROM pg_depend d JOIN inside i ON d.refclassid = i.class AND d.refobjid = i.oid"
  "  LEFT JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid"
  "  LEFT JOIN pg_constraint k ON d.classid = 'pg_constraint'::regclass AND k.oid = d.objid"
  "  LEFT JOIN pg_attrdef a ON d.classid = 'pg_attrdef'::regclass AND a.oid = d.objid"
  "  LEFT JOIN pg_trigger g ON d.classid = 'pg_trigger'::regclass AND g.oid = d.objid"
  "  LEFT JOIN pg_policy p ON d.classid = 'pg_policy'::regclass AND p.oid = d.objid"
  "  WHERE d.deptype IN ('n', 'a')),"
  " found AS ("
  "  SELECT dep.classid, dep.objid, c.oid AS rel, c.relkind, c.relname,"
  "    n.nspname AS ns, c.reloptions, c.relowner, k.contype"
  "  FROM dep LEFT JOIN pg_class c ON c.oid = dep.rel"
  "  LEFT JOIN pg_constraint k ON classid = 'pg_constraint'::regclass AND k.oid = objid"
  "  LEFT JOIN pg_namespace n ON n.oid = c.relnamespace)"
  " SELECT DISTINCT CASE WHEN contype = 'f' THEN 'foreign key'"
  "    WHEN classid <> 'pg_rewrite'::regclass"
  "    THEN (pg_identify_object(classid, objid, 0)).type"
  "    WHEN relkind = 'v' THEN 'view' WHEN relkind = 'm' THEN 'materialized view'"
  "    ELSE 'rule' END,"
  "  CASE WHEN rel IS NOT NULL THEN format('%I.%I', ns, relname)"
  "    ELSE (pg_identify_object(classid, objid, 0)).identity END,"
  "  CASE WHEN relkind = 'v' AND classid = 'pg_rewrite'::regclass"
  "    AND pg_has_role(relowner, 'USAGE') THEN"
  "    format('CREATE OR REPLACE VIEW %I.%I%s AS %s', ns, relname,"
  "      ' WITH (' || array_to_string(reloptions, ', ') || ')', pg_get_viewdef(rel)) END"
  " FROM found, s"
  " WHERE coalesce(ns, (pg_identify_object(classid, objid, 0)).schema, '')"
  "  <> s.nspname"
  " ORDER BY 1, 2";

typedef struct State {
  rb_Look w;                 /* first: the caller takes it for that */
  lua_KContext ctx;
  lua_KFunction k;
  int server;                /* its index */
  char *schema;
} State;

static int state_close (lua_State *L) {
  State *s = lua_touserdata(L, 1);
  free(s->schema);
  s->schema = NULL;
  return 0;
}

/* on the stack from 'at' on, which is every question's context: the State, then the
** list of those outside */
enum { LIST = 1 };

static int finish (lua_State *L, int status, State *s, int at) {
  lua_settop(L, at + LIST);
  lua_insert(L, at);                                   /* the list, the State */
  return s->k(L, status, s->ctx);
}

static int counted (lua_State *L, int status, lua_KContext at) {
  State *s = lua_touserdata(L, (int)at);
  s->w.rows = atoll(PQgetvalue(rb_server_answer(L, -1), 0, 0));
  return finish(L, status, s, (int)at);
}

static int outside (lua_State *L, int status, lua_KContext at) {
  State *s = lua_touserdata(L, (int)at);
  const PGresult *r = rb_server_answer(L, -1);
  const char *values[] = {s->schema};
  lua_createtable(L, PQntuples(r), 0);
  for (int i = 0; i < PQntuples(r); i++) {
    lua_createtable(L, 3, 0);
    for (int k = 0; k < 3; k++) {
      if (PQgetisnull(r, i, k)) lua_pushboolean(L, 0);
      else lua_pushstring(L, PQgetvalue(r, i, k));
      lua_rawseti(L, -2, k + 1);
    }
    lua_rawseti(L, -2, i + 1);
  }
  lua_replace(L, (int)at + LIST);
  lua_settop(L, (int)at + LIST);
  if (s->w.bytes > (1ll << 30)) {  /* to count them would take minutes */
    s->w.rows = -1;
    return finish(L, status, s, (int)at);
  }
  return rb_server_ask(L, s->server, rb_sql_rows, 1, values, at, counted);
}

static void keep (char *out, size_t size, const PGresult *r, int column) {
  strncpy(out, PQgetvalue(r, 0, column), size - 1);
}

static int looked (lua_State *L, int status, lua_KContext at) {
  State *s = lua_touserdata(L, (int)at);
  rb_Look *w = &s->w;
  const PGresult *r = rb_server_answer(L, -1);
  const char *values[] = {s->schema};
  w->there = !PQgetisnull(r, 0, 0);
  w->owner = *PQgetvalue(r, 0, 1) == 't';
  w->creates = *PQgetvalue(r, 0, 2) == 't';
  w->version = atoi(PQgetvalue(r, 0, 3));
  w->tables = atoll(PQgetvalue(r, 0, 4));
  w->bytes = atoll(PQgetvalue(r, 0, 5));
  keep(w->oid, sizeof w->oid, r, 0);
  keep(w->size, sizeof w->size, r, 6);
  keep(w->taken, sizeof w->taken, r, 7);
  if (!w->there) return finish(L, status, s, (int)at);
  lua_settop(L, (int)at + LIST);
  return rb_server_ask(L, s->server, rb_sql_outside, 1, values, at, outside);
}

int rb_look (lua_State *L, int idx, const char *schema, const char *aside,
             lua_KContext ctx, lua_KFunction k) {
  const char *values[] = {schema, aside};
  State *s = lua_newuserdatauv(L, sizeof *s, 0);
  int at = lua_gettop(L);
  *s = (State){.ctx = ctx, .k = k, .server = idx};
  if (luaL_newmetatable(L, "backup.look")) {
    lua_pushcfunction(L, state_close);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  s->schema = strdup(schema);
  lua_newtable(L);
  return rb_server_ask(L, idx, rb_sql_look, 2, values, at, looked);
}

const char *rb_look_words (lua_State *L, const rb_Look *w) {
  if (!w->there) return lua_pushliteral(L, "nothing: there is no such schema");
  rb_archive_count(L, w->tables, "table", "tables");
  lua_pushliteral(L, ", ");
  if (w->rows >= 0) rb_archive_count(L, w->rows, "row", "rows");
  else lua_pushliteral(L, "rows not counted");
  lua_pushfstring(L, ", %s", w->size);
  lua_concat(L, 4);
  return lua_tostring(L, -1);
}

void rb_views (lua_State *L, int list) {
  lua_pushliteral(L, "");
  for (lua_Integer i = 1; lua_geti(L, list, i) != LUA_TNIL; i++) {
    if (lua_geti(L, -1, 3) == LUA_TSTRING) {
      lua_pushfstring(L, "%s%s;\n", lua_tostring(L, -3), lua_tostring(L, -1));
      lua_replace(L, -4);
    }
    lua_pop(L, 2);
  }
  lua_pop(L, 1);
}
