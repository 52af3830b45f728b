/*
** doctor.c - is this the server we think it is, and who are we there?
*/

#include <string.h>

#include "stdlib/pg/pg.h"

/* where things stand on the stack */
enum { LIST = STATEMENT };

static const char probequestion[] =
  "SELECT current_user, current_setting('server_version'),"
  "       (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user),"
  "       (SELECT n.nspname || '.' || c.relname FROM pg_catalog.pg_class c"
  "          JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
  "         WHERE c.relkind IN ('r', 'p', 'v', 'f')"
  "           AND n.nspname NOT IN ('pg_catalog', 'information_schema')"
  "           AND n.nspname NOT LIKE 'pg\\_%'"
  "           AND has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')"
  "         LIMIT 1),"
  "       (SELECT nspname FROM pg_catalog.pg_namespace"
  "         WHERE nspname NOT LIKE 'pg\\_%' AND has_schema_privilege(oid, 'CREATE')"
  "         LIMIT 1),"
  "       pg_is_in_recovery(), f.names, f.revokes"
  /* what a probe may call that acts with another's rights */
  "  FROM (SELECT string_agg(name, ', ' ORDER BY name) AS names,"
  "               string_agg('REVOKE EXECUTE ON FUNCTION ' || name || ' FROM PUBLIC, '"
  "                 || quote_ident(current_user) || ';', E'\n' ORDER BY name) AS revokes"
  "          FROM (SELECT format('%I.%I(%s)', n.nspname, p.proname,"
  "                         pg_get_function_identity_arguments(p.oid)) AS name"
  "                  FROM pg_catalog.pg_proc p"
  "                  JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace"
  "                  JOIN pg_catalog.pg_roles o ON o.oid = p.proowner"
  "                 WHERE p.oid >= 16384 AND p.prosecdef AND p.provolatile = 'v'"
  "                   AND p.prokind = 'f' AND o.rolname <> current_user"
  "                   AND p.prorettype <> 'pg_catalog.trigger'::regtype"
  "                   AND has_function_privilege(p.oid, 'EXECUTE')"
  "                   AND has_schema_privilege(n.oid, 'USAGE')) AS d) AS f";

enum { USER, VERSION, SUPER, TABLE, SCHEMA, REPLICA, DEFINERS, REVOKES };

/* -- findings ------------------------------------------------------------- */

static void setfield (lua_State *L, const char *key, const char *value) {
  lua_pushstring(L, value);
  lua_setfield(L, -2, key);
}

/* [-0, +0, m]  to the list at LIST; mend may be NULL */
static void add (lua_State *L, const char *name, const char *status,
                 const char *value, const char *mend) {
  lua_createtable(L, 0, 4);
  setfield(L, "name", name);
  setfield(L, "status", status);
  setfield(L, "value", value);
  if (mend != NULL) setfield(L, "mend", mend);
  lua_rawseti(L, LIST, (lua_Integer)lua_rawlen(L, LIST) + 1);
}

/* the four lines of SQL that make a role that can only look */
static const char *pushrecipe (lua_State *L, const char *database) {
  return lua_pushfstring(L,
    "CREATE ROLE runbook_probe LOGIN PASSWORD '...';\n"
    "ALTER ROLE runbook_probe SET default_transaction_read_only = on;\n"
    "GRANT CONNECT ON DATABASE \"%s\" TO runbook_probe;\n"
    "GRANT pg_read_all_data, pg_read_all_stats TO runbook_probe;\n"
    "then pg = { url = ..., probe = \"postgresql://runbook_probe:...\" }",
    database);
}

/* READ ONLY holds what such a function writes, not what its owner may do besides */
static void judgefunctions (lua_State *L, rb_PgCall *c) {
  const char *names = rb_pg_field(c, 0, 0, DEFINERS);
  if (names == NULL) return;
  add(L, "probe functions", "warn", lua_pushfstring(L, "%s may call with their owners' "
      "rights: %s", rb_pg_field(c, 0, 0, USER), names), rb_pg_field(c, 0, 0, REVOKES));
}

static void judgeprobe (lua_State *L, rb_PgCall *c) {
  const char *user = rb_pg_field(c, 0, 0, USER);
  const char *table = rb_pg_field(c, 0, 0, TABLE);
  const char *schema = rb_pg_field(c, 0, 0, SCHEMA);
  const char *why;
  if (!rb_pg_otheruser(L, c->resource)) {
    why = lua_pushfstring(L, "probes use the remedies' role %s", user);
    add(L, "probe role", "warn", why, pushrecipe(L, PQdb(c->conn->pg)));
  } else if (rb_pg_true(c, 0, 0, SUPER)) {
    why = lua_pushfstring(L, "%s is a superuser: nothing holds its probes", user);
    add(L, "probe role", "bad", why, pushrecipe(L, PQdb(c->conn->pg)));
  } else if (table != NULL || schema != NULL) {
    why = lua_pushfstring(L, table != NULL ? "%s may change %s"
      : "%s may create things in schema %s", user, table != NULL ? table : schema);
    add(L, "probe role", "warn", why, "revoke what it does not need to look");
  } else {
    why = lua_pushfstring(L, "%s can only look", user);
    add(L, "probe role", "ok", why, NULL);
  }
}

/* Is what is said to another machine encrypted, and is it the machine that was meant? */
static void judgetransport (lua_State *L, PGconn *pg) {
  const char *host = PQhost(pg), *address = PQhostaddr(pg), *mode = "";
  int local = host == NULL || *host == '/' || *host == '\0'
              || strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0;
  PQconninfoOption *all = PQconninfo(pg);
  for (PQconninfoOption *o = all; o != NULL && o->keyword != NULL; o++)
    if (strcmp(o->keyword, "sslmode") == 0 && o->val != NULL) mode = o->val;
  int full = strcmp(mode, "verify-full") == 0;
  PQconninfoFree(all);
  if (!local && !PQsslInUse(pg))
    add(L, "transport", "warn", "not encrypted, to another host",
        "?sslmode=verify-full&sslrootcert=FILE in its url, where the server has TLS");
  else if (!local && !full)
    add(L, "transport", "warn", "encrypted, but the server's name is not verified",
        "?sslmode=verify-full&sslrootcert=FILE in its url");
}

static void judgeremedy (lua_State *L, rb_PgCall *c) {
  const char *user = rb_pg_field(c, 0, 0, USER);
  int replica = rb_pg_true(c, 0, 0, REPLICA);
  judgetransport(L, c->conn->pg);
  add(L, "server", "ok", lua_pushfstring(L, "PostgreSQL %s, database %s",
      rb_pg_field(c, 0, 0, VERSION), PQdb(c->conn->pg)), NULL);
  if (replica)
    add(L, "remedy role", "bad", lua_pushfstring(L, "%s is on a standby, which "
        "takes no changes", user), "point its url to the primary");
  else
    add(L, "remedy role", rb_pg_true(c, 0, 0, SUPER) ? "warn" : "ok",
        lua_pushfstring(L, rb_pg_true(c, 0, 0, SUPER) ? "%s is a superuser"
                        : "%s", user),
        rb_pg_true(c, 0, 0, SUPER) ? "give remedies a role of their own" : NULL);
}

/* -- asking --------------------------------------------------------------- */

static int answered (lua_State *L, int status, lua_KContext ctx) {
  rb_PgCall *c = (rb_PgCall *)ctx;
  (void)status;
  rb_pg_check(L, c, NULL);
  lua_newtable(L);
  if (c->shape == RB_PGPROBE) {
    judgeprobe(L, c);
    if (rb_pg_otheruser(L, c->resource)) judgefunctions(L, c);
  }
  else judgeremedy(L, c);
  lua_pushvalue(L, LIST);
  return 1;
}

static int leased (lua_State *L, int status, lua_KContext ctx) {
  rb_PgCall *c = (rb_PgCall *)ctx;
  (void)status;
  c->at = -1;
  rb_pg_send(L, c, probequestion, 0, NULL, NULL);
  rb_pg_sync(L, c);
  return rb_pg_await(L, c, answered);
}

static int ask (lua_State *L, rb_PgRole role) {
  lua_settop(L, OPTIONS);
  rb_timeout(L, 10);
  rb_PgCall *c = rb_pg_open(L, role, 0);
  c->shape = (int)role;
  return rb_pg_lease(L, c, leased);
}

static int askremedy (lua_State *L) { return ask(L, RB_PGPREVIEW); }
static int askprobe (lua_State *L) { return ask(L, RB_PGPROBE); }

/* -- doctor --------------------------------------------------------------- */

/* [-1, +0, m]  what one side found, or its error, to the list at 2 */
static void take (lua_State *L, int ok, const char *name) {
  if (!ok) {
    const char *why = luaL_tolstring(L, -1, NULL);    /* error why */
    lua_createtable(L, 1, 0);
    lua_createtable(L, 0, 3);
    setfield(L, "name", name);
    setfield(L, "status", "bad");
    setfield(L, "value", why);
    lua_rawseti(L, -2, 1);
    lua_replace(L, -3);                               /* list why */
    lua_pop(L, 1);
  }
  for (lua_Integer i = 1; lua_rawgeti(L, -1, i) == LUA_TTABLE; i++)
    lua_rawseti(L, 2, (lua_Integer)lua_rawlen(L, 2) + 1);
  lua_pop(L, 2);
}

static int probeasked (lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  take(L, status == LUA_OK || status == LUA_YIELD, "probe role");
  lua_settop(L, 2);
  return 1;
}

static int remedyasked (lua_State *L, int status, lua_KContext ctx) {
  take(L, status == LUA_OK || status == LUA_YIELD, "remedy role");
  lua_pushcfunction(L, askprobe);
  lua_pushvalue(L, SELF);
  return probeasked(L, lua_pcallk(L, 1, 1, 0, ctx, probeasked), ctx);
}

int rb_pg_doctor (lua_State *L) {
  lua_settop(L, SELF);
  lua_newtable(L);
  lua_pushcfunction(L, askremedy);
  lua_pushvalue(L, SELF);
  return remedyasked(L, lua_pcallk(L, 1, 1, 0, 0, remedyasked), 0);
}

/* -- layer ---------------------------------------------------------------- */

static int said (lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  rb_pg_powers(L, (rb_PgCall *)ctx);
  return 1;
}

int rb_pg_holds (lua_State *L) {
  lua_settop(L, OPTIONS);
  rb_PgCall *c = rb_pg_open(L, RB_PGPROBE, 0);
  c->judging = 1;
  return rb_pg_lease(L, c, said);
}

int rb_pg_layer (lua_State *L, rb_Resource *r, const char **why) {
  if (rb_pg_otheruser(L, r)) return 1;
  *why = "same role as remedies";
  return 0;
}
