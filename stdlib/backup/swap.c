/*
** swap.c - another schema in the place of the live one, in one transaction
**
** It is how a restore is taken back, and is its own inverse. Also: what became of
** a restore or a swap that nobody saw the end of. Both rename the schema of one
** oid to a name that nothing else has, in the same transaction as all the rest.
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stdlib/backup/backup.h"

/* the stack: the call's own, then */
enum { SCHEMA = 3, WITH, ASIDE, SERVER, PLAN, FACTS };

/* [-0, +3, v] */
static void options (lua_State *L) {
  static const char *const names[] = {"schema", "with", "aside", NULL};
  lua_settop(L, 2);
  rb_options(L, names);
  for (const char *const *n = names; *n != NULL; n++) {
    const char *s = rb_option(L, *n);
    if (s == NULL && strcmp(*n, "with") != 0)
      luaL_error(L, "%s: the name of a schema expected", *n);
    if (s != NULL && strlen(s) > 63) luaL_error(L, "%s: a name has at most 63 bytes", *n);
  }
}

/* -- preview ------------------------------------------------------------------------ */

static void pair (lua_State *L, const char *key, const char *value) {
  lua_createtable(L, 0, 2);
  rb_set(L, "value", value);
  rb_set(L, "type", "schema");
  lua_setfield(L, -2, key);
}

static void setinverse (lua_State *L, int live) {
  lua_createtable(L, 2, 0);
  lua_pushliteral(L, "swap");
  lua_rawseti(L, -2, 1);
  lua_createtable(L, 0, 3);
  rb_set(L, "schema", lua_tostring(L, SCHEMA));
  if (live) rb_set(L, "with", lua_tostring(L, ASIDE));
  if (lua_isnil(L, WITH)) rb_asidename(L, lua_tostring(L, SCHEMA), "after");
  else lua_pushvalue(L, WITH);
  lua_setfield(L, -2, "aside");
  lua_rawseti(L, -2, 2);
  lua_setfield(L, -2, "inverse");
}

static void setwords (lua_State *L, const rb_Look *w) {
  const char *schema = lua_tostring(L, SCHEMA), *aside = lua_tostring(L, ASIDE);
  int plan = lua_gettop(L);
  if (lua_isnil(L, WITH)) lua_pushfstring(L, "rename the schema %s to %s", schema, aside);
  else if (!w->there)
    lua_pushfstring(L, "rename the schema %s to %s", lua_tostring(L, WITH), schema);
  else lua_pushfstring(L, "put the schema %s in the place of %s, which becomes %s",
                       lua_tostring(L, WITH), schema, aside);
  lua_setfield(L, plan, "summary");
  lua_pushfstring(L, "now: %s", rb_look_words(L, w));
  lua_setfield(L, plan, "reason");
  lua_settop(L, plan);
}

/* what was seen is kept below: the rb_Look, its list; on the top an answer */
static int found (lua_State *L, int status, lua_KContext seen) {
  const rb_Look *w = lua_touserdata(L, (int)seen);
  const PGresult *r = rb_server_answer(L, -1);
  const char *schema = lua_tostring(L, SCHEMA), *with = lua_tostring(L, WITH);
  const char *name = rb_resource(L)->name;
  (void)status;
  if (w->taken[0] != '\0') return rb_refuse(L, "%s: there is a schema %s already", name, w->taken);
  if (with != NULL && PQntuples(r) == 0)
    return rb_refuse(L, "%s: there is no schema %s", name, with);
  if (with == NULL && !w->there) return rb_refuse(L, "%s: there is no schema %s", name, schema);
  if (!w->creates || (w->there && !w->owner) || (with != NULL && *PQgetvalue(r, 0, 1) != 't'))
    return rb_refuse(L, "%s: the role of remedies may not rename these schemas", name);
  lua_createtable(L, 0, 10);
  setwords(L, w);
  lua_createtable(L, 0, 2);
  rb_set(L, "schema", w->oid);
  rb_set(L, "with", with != NULL ? PQgetvalue(r, 0, 0) : "");
  lua_setfield(L, -2, "image");
  if (w->there) pair(L, "before", "live");
  if (with != NULL) pair(L, "after", with);
  setinverse(L, w->there);
  rb_views(L, (int)seen - 1);
  lua_setfield(L, -2, "views");
  rb_set(L, "reach", "pg");
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, "guarded");
  return 1;
}

static const char sql_with[] =
  "SELECT oid, pg_has_role(nspowner, 'USAGE') FROM pg_namespace WHERE nspname = $1";

static int looked (lua_State *L, int status, lua_KContext ctx) {
  const char *values[] = {lua_tostring(L, WITH)};
  (void)status; (void)ctx;
  return rb_server_ask(L, SERVER, sql_with, 1, values, lua_gettop(L), found);
}

int rb_swapschema_preview (lua_State *L) {
  options(L);
  rb_server_push(L);
  rb_program_find(L, "psql");
  return rb_look(L, SERVER, lua_tostring(L, SCHEMA), lua_tostring(L, ASIDE), 0, looked);
}

/* -- the deed ---------------------------------------------------------------------------- */

static const char *planned (lua_State *L, const char *part) {
  lua_getfield(L, PLAN, "image");
  lua_getfield(L, -1, part);
  lua_remove(L, -2);
  return lua_tostring(L, -1);
}

/* [-0, +1, m]  "ALTER SCHEMA a RENAME TO b;", guarded */
static const char *pushrename (lua_State *L, const char *from, const char *oid, const char *to) {
  return lua_pushfstring(L, "%sALTER SCHEMA %s RENAME TO %s;\n", rb_script_guard(L, from, oid),
                         rb_quoted(L, from), rb_quoted(L, to));
}

static int done (lua_State *L, int status, lua_KContext ctx) {
  (void)status; (void)ctx;
  lua_pushboolean(L, 1);
  return 1;
}

int rb_swapschema (lua_State *L) {
  static const char *const nofiles[] = {NULL};
  options(L);
  const char *schema = lua_tostring(L, SCHEMA), *with = lua_tostring(L, WITH);
  const char *aside = lua_tostring(L, ASIDE);
  lua_pushnil(L);                                      /* nobody is asked */
  rb_plan(L);
  lua_createtable(L, 0, 8);
  const char *live = planned(L, "schema"), *other = planned(L, "with");
  lua_pushvalue(L, FACTS);
  rb_set(L, "what", "swap");
  rb_set(L, "schema", schema);
  rb_set(L, "oid", *live != '\0' ? live : other);
  rb_set(L, "aside", *live != '\0' ? aside : schema);
  const char *first = *live != '\0' ? pushrename(L, schema, live, aside) : "";
  const char *second = with != NULL ? pushrename(L, with, other, schema) : "";
  const char *pre = lua_pushfstring(L, "%s%s", first, second);
  lua_getfield(L, PLAN, "views");
  return rb_script_run(L, pre, nofiles, 0, lua_tostring(L, -1), FACTS, 0, done);
}

/* -- what became of it ------------------------------------------------------------------------ */

static const char sql_settle[] =
  "SELECT (SELECT oid::text FROM pg_namespace WHERE nspname = $1),"
  " (SELECT oid::text FROM pg_namespace WHERE nspname = $2),"
  " (SELECT count(*) FROM pg_stat_activity a WHERE pid <> pg_backend_pid()"
  "   AND application_name = 'runbook' AND datname = current_database()"
  "   AND xact_start IS NOT NULL AND backend_type = 'client backend')";

/* does the psql of the facts run? By its pid and the tick at which it began */
static int runs (lua_State *L) {
  char path[64], stat[1024];
  long long start = 0;
  lua_getfield(L, 2, "start");
  lua_getfield(L, 2, "pid");
  snprintf(path, sizeof path, "/proc/%lld/stat", (long long)lua_tointeger(L, -1));
  FILE *f = fopen(path, "re");
  if (f != NULL) {
    size_t n = fread(stat, 1, sizeof stat - 1, f);
    fclose(f);
    stat[n] = '\0';
    const char *p = strrchr(stat, ')');  /* the name may hold anything */
    if (p != NULL && (p[2] == 'Z' || p[2] == 'X')) p = NULL;  /* it has ended */
    for (int field = 2; p != NULL && field < 22; field++) p = strchr(p + 1, ' ');
    if (p != NULL) start = strtoll(p + 1, NULL, 10);
  }
  int same = start != 0 && start == (long long)lua_tointeger(L, -2);
  lua_pop(L, 2);
  return same;
}

static int settled (lua_State *L, int status, lua_KContext ctx) {
  const PGresult *r = rb_server_answer(L, -1);
  (void)status; (void)ctx;
  lua_getfield(L, 2, "oid");
  const char *oid = lua_tostring(L, -1);
  const char *aside = PQgetisnull(r, 0, 1) ? NULL : PQgetvalue(r, 0, 1);
  if (oid != NULL && *oid == '\0' ? !PQgetisnull(r, 0, 0)
      : aside != NULL && oid != NULL && strcmp(aside, oid) == 0) lua_pushliteral(L, "done");
  else if (runs(L) || *PQgetvalue(r, 0, 2) != '0') lua_pushnil(L);
  else lua_pushliteral(L, "not done");
  return 1;
}

static int settledump (lua_State *L) {
  lua_getfield(L, 2, "file");
  const char *name = lua_tostring(L, -1);
  const rb_Archive *a = rb_archive_folder(L);
  lua_pushstring(L, rb_archive_has(a, name) ? "done" : "not done");
  return 1;
}

int rb_backup_settle (lua_State *L) {
  lua_settop(L, 2);
  lua_getfield(L, 2, "file");
  if (lua_isstring(L, -1)) return lua_settop(L, 2), settledump(L);
  lua_getfield(L, 2, "schema");
  lua_getfield(L, 2, "aside");
  rb_server_push(L);
  const char *values[] = {lua_tostring(L, 4), lua_tostring(L, 5)};
  return rb_server_ask(L, 6, sql_settle, 2, values, 0, settled);
}
