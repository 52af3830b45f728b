/*
** restore.c - one schema as it was in a dump; the live one is kept beside it
**
** One transaction renames the live schema aside, replays the dump, counts every
** table against it and binds the views of other schemas to the new tables: any
** failure leaves what was there. The inverse swaps back (swap.c).
*/

#include <stdlib.h>
#include <string.h>

#include "stdlib/backup/backup.h"

/* the stack: the call's own, then */
enum { FILENAME = 3, SCHEMA, ARCHIVE, SERVER, ASIDE, PLAN, FACTS };


/* [-0, +2, v]  at FILENAME and SCHEMA */
static void options (lua_State *L) {
  static const char *const names[] = {"file", "schema", NULL};
  lua_settop(L, 2);
  rb_options(L, names);
  if (rb_option(L, "file") == NULL) luaL_error(L, "file: which dump? A name of list() expected");
  const char *schema = rb_option(L, "schema");
  if (schema == NULL) luaL_error(L, "schema: which one is to be restored?");
  if (strlen(schema) > 63) luaL_error(L, "schema: a name has at most 63 bytes");
}

/* -- may this dump be replayed? ----------------------------------------------------- */

static int has (char *const *list, size_t n, const char *name) {
  for (size_t i = 0; i < n; i++)
    if (strcmp(list[i], name) == 0) return 1;
  return 0;
}

static void checkdump (lua_State *L, const rb_Archive *a, const char *schema) {
  const rb_Scan *s = &a->scan;
  const char *name = a->r->name;
  rb_archive_check(L, a);
  if (a->format == RB_PLAIN && (s->nschemas > 1 || s->database))
    rb_refuse(L, "%s: %s is a dump of a whole database (%s); one schema cannot be taken out of "
              "a plain dump: take one that was made with --schema, or in the custom format "
              "(pg_dump -Fc)", name, a->name, rb_archive_schemas(L, s));
  if (!has(s->schemas, s->nschemas, schema))
    rb_refuse(L, "%s: %s holds %s, not the schema %s", name, a->name, s->nschemas > 0
              ? rb_archive_schemas(L, s) : "no schema", schema);
  if (!has(s->made, s->nmade, schema))
    rb_refuse(L, "%s: %s has tables of %s, but does not make the schema", name, a->name, schema);
}

static void checkserver (lua_State *L, const rb_Archive *a, const rb_Look *w,
                         const char *schema) {
  const char *name = a->r->name, *version = a->scan.server;
  int major = w->version / 10000;
  if (atoi(version) > major)
    rb_refuse(L, "%s: %s is a dump of PostgreSQL %s, the server here is %d: it may be newer than "
              "its dumps, not older", name, a->name, version, major);
  if (w->taken[0] != '\0')
    rb_refuse(L, "%s: there is a schema %s already", name, w->taken);
  if (!w->creates || (w->there && !w->owner))
    rb_refuse(L, "%s: the role of remedies may not %s %s", name, w->there && !w->owner
              ? "rename the schema" : "make the schema", schema);
}

/* [-0, +1, m]  "view reporting.a, foreign key public.b"; which: those that can be bound
** again (1), those that cannot (0) */
static int pushoutside (lua_State *L, int list, int which) {
  int n = 0;
  lua_pushliteral(L, "");
  int words = lua_gettop(L);
  for (lua_Integer i = 1; lua_geti(L, list, i) != LUA_TNIL; i++) {
    lua_geti(L, -1, 3);
    lua_geti(L, -2, 1);
    lua_geti(L, -3, 2);
    if (lua_isstring(L, -3) == which) {
      lua_pushfstring(L, "%s%s%s %s", lua_tostring(L, words), n++ > 0 ? ", " : "",
                      lua_tostring(L, -2), lua_tostring(L, -1));
      lua_replace(L, words);
    }
    lua_settop(L, words);
  }
  lua_settop(L, words);
  return n;
}

/* -- the plan ----------------------------------------------------------------------- */

static void pair (lua_State *L, const char *key, const char *value) {
  lua_createtable(L, 0, 2);
  rb_set(L, "value", value);
  rb_set(L, "type", "schema");
  lua_setfield(L, -2, key);
}

/* [-0, +0, m]  plan.inverse */
static void setinverse (lua_State *L, const char *schema, const char *aside) {
  lua_createtable(L, 2, 0);
  lua_pushliteral(L, "swap");
  lua_rawseti(L, -2, 1);
  lua_createtable(L, 0, 3);
  rb_set(L, "schema", schema);
  if (aside != NULL) rb_set(L, "with", aside);
  rb_asidename(L, schema, "after");
  lua_setfield(L, -2, "aside");
  lua_rawseti(L, -2, 2);
  lua_setfield(L, -2, "inverse");
}

/* [-0, +1, m]  what the dump holds */
static const char *pushheld (lua_State *L, const rb_Archive *a) {
  if (a->scan.inserts) return lua_pushliteral(L, "INSERTs, which are not counted");
  if (a->format == RB_CUSTOM)
    return lua_pushliteral(L, "rows, counted when the schema is taken out");
  rb_archive_count(L, (long long)a->scan.ntables, "table", "tables");
  lua_pushliteral(L, ", ");
  rb_archive_count(L, rb_scan_rows(&a->scan), "row", "rows");
  lua_concat(L, 3);
  return lua_tostring(L, -1);
}

/* [-0, +0, m]  plan.summary and plan.reason */
static void setwords (lua_State *L, const rb_Archive *a, const rb_Look *w, int list) {
  const char *schema = lua_tostring(L, SCHEMA), *aside = lua_tostring(L, ASIDE);
  int plan = lua_gettop(L);
  lua_pushfstring(L, "restore %s from %s; %s%s", schema, a->name, w->there
                  ? "the live one is kept as " : "there is none now", w->there ? aside : "");
  lua_setfield(L, plan, "summary");
  const char *now = rb_look_words(L, w), *held = pushheld(L, a);
  int n = pushoutside(L, list, 1);
  lua_pushfstring(L, "now: %s; in the dump: %s%s%s", now, held, n > 0
                  ? "; bound to the restored tables: " : "", lua_tostring(L, -1));
  lua_setfield(L, plan, "reason");
  lua_settop(L, plan);
}

/* [-0, +0, m]  plan.image: what the deed must find */
static void setimage (lua_State *L, const rb_Archive *a, const rb_Look *w) {
  lua_createtable(L, 0, 2);
  rb_set(L, "schema", w->oid);
  rb_set(L, "file", a->image);
  lua_setfield(L, -2, "image");
}

static int looked (lua_State *L, int status, lua_KContext ctx) {
  const rb_Archive *a = lua_touserdata(L, ARCHIVE);
  const rb_Look *w = lua_touserdata(L, -1);
  int list = lua_gettop(L) - 1;
  const char *schema = lua_tostring(L, SCHEMA);
  (void)status; (void)ctx;
  checkserver(L, a, w, schema);
  if (pushoutside(L, list, 0) > 0)
    return rb_refuse(L, "%s: outside of %s there is what would go on pointing at the old data: "
                     "%s. Drop or change it first", a->r->name, schema, lua_tostring(L, -1));
  lua_createtable(L, 0, 16);
  setwords(L, a, w, list);
  setimage(L, a, w);
  if (w->there) pair(L, "before", "live");
  pair(L, "after", a->name);
  setinverse(L, schema, w->there ? lua_tostring(L, ASIDE) : NULL);
  rb_views(L, list);
  lua_setfield(L, -2, "views");
  rb_set(L, "reach", "pg");
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, "guarded");
  return 1;
}

static int readpreview (lua_State *L, int status, lua_KContext ctx) {
  const rb_Archive *a = lua_touserdata(L, ARCHIVE);
  const char *schema = lua_tostring(L, SCHEMA);
  (void)status; (void)ctx;
  checkdump(L, a, schema);
  rb_program_find(L, "psql");
  return rb_look(L, SERVER, schema, lua_tostring(L, ASIDE), 0, looked);
}

int rb_restore_preview (lua_State *L) {
  options(L);
  rb_archive_open(L, FILENAME);
  rb_server_push(L);
  rb_asidename(L, lua_tostring(L, SCHEMA), "before");
  return rb_archive_read(L, ARCHIVE, 0, readpreview);
}

/* -- the deed ------------------------------------------------------------------------- */

static const char *planned (lua_State *L, const char *part) {
  lua_getfield(L, PLAN, "image");
  lua_getfield(L, -1, part);
  lua_remove(L, -2);
  return lua_tostring(L, -1);
}

/* [-0, +1, m]  a statement that fails unless the table has the rows of the dump */
static void pushparity (lua_State *L, const rb_Table *t) {
  const char *name = lua_pushfstring(L, "%s.%s", rb_quoted(L, t->schema), rb_quoted(L, t->name));
  lua_pushfstring(L, "DECLARE n bigint; BEGIN SELECT pg_catalog.count(*) INTO n FROM ONLY %s; "
                  "IF n <> %I THEN RAISE EXCEPTION USING MESSAGE = pg_catalog.format("
                  "'%%s has %%s rows, and the dump %I', %s, n); END IF; END", name,
                  (LUAI_UACINT)t->rows, (LUAI_UACINT)t->rows, rb_literal(L, name));
  lua_pushfstring(L, "DO %s;\n", rb_literal(L, lua_tostring(L, -1)));
  lua_replace(L, -7);
  lua_pop(L, 5);
}

/* [-0, +1, m]  what follows the dump: the rows counted, the views bound */
static const char *pushpost (lua_State *L, const rb_Archive *a) {
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (size_t i = 0; i < a->scan.ntables && !a->scan.inserts; i++) {
    pushparity(L, &a->scan.tables[i]);
    luaL_addvalue(&b);
  }
  lua_getfield(L, PLAN, "views");
  luaL_addvalue(&b);
  luaL_pushresult(&b);
  return lua_tostring(L, -1);
}

/* [-0, +1, m]  what goes before it: the schema is the one that was looked at; aside */
static const char *pushpre (lua_State *L) {
  const char *schema = lua_tostring(L, SCHEMA), *oid = planned(L, "schema");
  const char *guard = rb_script_guard(L, schema, oid);
  if (*oid == '\0') return guard;
  return lua_pushfstring(L, "%sALTER SCHEMA %s RENAME TO %s;", guard, rb_quoted(L, schema),
                         rb_quoted(L, lua_tostring(L, ASIDE)));
}

static int replayed (lua_State *L, int status, lua_KContext ctx) {
  const rb_Archive *a = lua_touserdata(L, ARCHIVE);
  (void)status; (void)ctx;
  lua_createtable(L, 0, 4);
  rb_set(L, "schema", lua_tostring(L, SCHEMA));
  if (*planned(L, "schema") != '\0') {
    lua_pushvalue(L, ASIDE);
    lua_setfield(L, -3, "before");
  }
  lua_pop(L, 1);
  lua_pushinteger(L, (lua_Integer)a->scan.ntables);
  lua_setfield(L, -2, "tables");
  if (a->scan.inserts) return 1;
  lua_pushinteger(L, rb_scan_rows(&a->scan));
  lua_setfield(L, -2, "rows");
  return 1;
}

static int readdeed (lua_State *L, int status, lua_KContext ctx) {
  const rb_Archive *a = lua_touserdata(L, ARCHIVE);
  const char *files[3] = {a->path};
  (void)status; (void)ctx;
  rb_archive_check(L, a);
  if (a->scratch[0] != '\0') {
    files[0] = lua_pushfstring(L, "%s/schema.sql", a->scratch);
    files[1] = lua_pushfstring(L, "%s/objects.sql", a->scratch);
  }
  const char *pre = pushpre(L), *post = pushpost(L, a);
  return rb_script_run(L, pre, files, a->scan.restricted, post, FACTS, 0, replayed);
}

/* [-0, +0, m]  in the table at the top: what settles it later */
static void setfacts (lua_State *L) {
  rb_set(L, "what", "restore");
  rb_set(L, "schema", lua_tostring(L, SCHEMA));
  lua_pushstring(L, planned(L, "schema"));
  lua_setfield(L, FACTS, "oid");
  lua_pop(L, 1);
  rb_set(L, "aside", lua_tostring(L, ASIDE));
}

int rb_restore (lua_State *L) {
  options(L);
  rb_Archive *a = rb_archive_open(L, FILENAME);
  lua_pushnil(L);                                      /* nobody is asked */
  rb_asidename(L, lua_tostring(L, SCHEMA), "before");
  rb_plan(L);
  lua_createtable(L, 0, 8);
  setfacts(L);
  if (strcmp(planned(L, "file"), a->image) != 0)
    return rb_fail(L, "drift", RB_NOTDONE, "%s: %s has changed since it was looked at; nothing "
                   "was done", a->r->name, a->path);
  lua_settop(L, FACTS);
  if (a->format == RB_PLAIN) return rb_archive_read(L, ARCHIVE, 0, readdeed);
  return rb_extract(L, ARCHIVE, lua_tostring(L, SCHEMA), 0, readdeed);
}
