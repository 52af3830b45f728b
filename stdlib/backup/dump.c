/*
** dump.c - a dump of one schema or of the whole database, by pg_dump
**
** Our own connection opens a snapshot, pg_dump dumps it, and the rows of every
** table are counted in it: so the file is known to hold what was there, whatever
** is written meanwhile. It has no name until it is whole (O_TMPFILE): a full
** disk, a signal or a crash leaves nothing.
*/

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "stdlib/backup/backup.h"

/* the stack of a deed */
enum { FILENAME = 3, ARCHIVE, SERVER, FACTS, SNAPSHOT, COUNTS };

/* -- options ------------------------------------------------------------------------- */

const char *rb_option (lua_State *L, const char *name) {
  size_t n;
  if (lua_getfield(L, 2, name) == LUA_TNIL) return NULL;
  if (lua_type(L, -1) != LUA_TSTRING)
    luaL_error(L, "%s: a string expected, got %s", name, luaL_typename(L, -1));
  const char *s = lua_tolstring(L, -1, &n);
  if (n == 0 || strlen(s) != n)
    luaL_error(L, "%s: %s", name, n == 0 ? "it is empty" : "it holds a NUL byte");
  return s;
}

void rb_options (lua_State *L, const char *const *names) {
  luaL_argexpected(L, lua_istable(L, 2), 2, "table");
  for (lua_pushnil(L); lua_next(L, 2) != 0; lua_pop(L, 1)) {
    const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "a number";
    const char *const *n = names;
    while (*n != NULL && strcmp(*n, key) != 0) n++;
    if (*n != NULL) continue;
    luaL_error(L, "no option \"%s\"; there are %s, %s%s%s", key, names[0], names[1],
               names[2] != NULL ? ", " : "", names[2] != NULL ? names[2] : "");
  }
}

void rb_set (lua_State *L, const char *key, const char *value) {
  lua_pushstring(L, value);
  lua_setfield(L, -2, key);
}

/* [-0, +2, v]  the schema (NULL and nil: all of them) and the label */
static const char *options (lua_State *L, const char **label) {
  static const char *const names[] = {"schema", "label", NULL};
  lua_settop(L, 2);
  rb_options(L, names);
  const char *schema = rb_option(L, "schema");
  *label = rb_option(L, "label");
  if (*label == NULL) *label = "dump";
  static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789_-";
  if ((*label)[strspn(*label, letters)] != '\0' || **label == '-')
    luaL_error(L, "label: letters, digits, _ and - expected, not \"%s\"", *label);
  return schema;
}

/* -- the name ---------------------------------------------------------------------------- */

/* [-0, +1, m]  what a file name holds as it is, the rest as %xx */
static const char *pushplain (lua_State *L, const char *s) {
  luaL_Buffer b;
  char code[8];
  luaL_buffinit(L, &b);
  for (; *s != '\0'; s++) {
    unsigned char c = (unsigned char)*s;
    if (c > ' ' && c < 127 && strchr("/%\"'\\", c) == NULL) luaL_addchar(&b, (char)c);
    else {
      snprintf(code, sizeof code, "%%%02x", c);
      luaL_addstring(&b, code);
    }
  }
  luaL_pushresult(&b);
  return lua_tostring(L, -1);
}

/* [-0, +1, m]  "forensic-greenwood_high-20260218-120000.sql" */
static const char *pushname (lua_State *L, const rb_Archive *a, const char *schema,
                             const char *label, int shown) {
  char when[32] = "<time>";
  time_t t = (time_t)rb_time(L);
  struct tm tm;
  if (!shown && gmtime_r(&t, &tm) != NULL) strftime(when, sizeof when, "%Y%m%d-%H%M%S", &tm);
  const char *plain = schema != NULL ? pushplain(L, schema) : lua_pushliteral(L, "");
  int at = lua_gettop(L);
  for (int i = 1; i < 1000; i++) {
    char again[8] = "";
    if (i > 1) snprintf(again, sizeof again, "-%d", i);
    const char *name = lua_pushfstring(L, "%s%s%s-%s%s.sql", label, schema != NULL ? "-" : "",
                                       plain, when, again);
    if (strlen(name) > NAME_MAX)
      rb_fail(L, "refused", RB_NOTDONE, "%s: the name of the schema is too long for that of a "
              "file", a->r->name);
    if (shown || faccessat(a->dir, name, F_OK, AT_SYMLINK_NOFOLLOW) != 0) break;
    lua_pop(L, 1);
  }
  lua_replace(L, at);
  lua_settop(L, at);
  return lua_tostring(L, -1);
}

/* -- preview ----------------------------------------------------------------------------- */

enum { SCHEMA = 3, LABEL, FOLDER, ASKED, VERSION };

static void pushfree (lua_State *L, const rb_Archive *a) {
  struct statvfs st;
  if (fstatvfs(a->dir, &st) != 0) lua_pushliteral(L, "");
  else {
    long long mb = (long long)(st.f_bavail / 1024) * (long long)st.f_frsize / 1024;
    lua_pushfstring(L, "; %I MB free there", (LUAI_UACINT)mb);
  }
}

static void pushplan (lua_State *L, const rb_Look *w, const rb_Archive *a,
                      const char *schema) {
  const char *label = lua_isnil(L, LABEL) ? "dump" : lua_tostring(L, LABEL);
  lua_createtable(L, 0, 12);
  pushname(L, a, schema, label, 0);
  lua_pushfstring(L, "dump %s to %s/%s", schema != NULL ? schema : "the whole database",
                  a->folder, lua_tostring(L, -1));
  lua_setfield(L, -3, "summary");
  lua_setfield(L, -2, "file");
  lua_createtable(L, 0, 2);
  pushname(L, a, schema, label, 1);
  lua_setfield(L, -2, "value");
  rb_set(L, "type", "file");
  lua_setfield(L, -2, "after");
  if (schema != NULL) rb_look_words(L, w);
  else lua_pushliteral(L, "all schemas");
  pushfree(L, a);
  lua_concat(L, 2);
  lua_setfield(L, -2, "reason");
  rb_set(L, "undo", "a dump more harms nobody: it stays");
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, "guarded");
  lua_createtable(L, 0, 1);  /* nothing that a later probe would read by name */
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, "backup:dump");
  lua_setfield(L, -2, "writes");
  lua_createtable(L, 0, 1);
  lua_pushinteger(L, 1);
  lua_setfield(L, -2, "files");
  lua_setfield(L, -2, "counts");
}

static int looked (lua_State *L, int status, lua_KContext ctx) {
  const rb_Archive *a = lua_touserdata(L, FOLDER);
  const rb_Look *w = lua_touserdata(L, -1);
  const char *schema = lua_tostring(L, SCHEMA), *version = lua_tostring(L, VERSION);
  (void)status; (void)ctx;
  if (schema != NULL && !w->there)
    return rb_refuse(L, "%s: there is no schema %s in the database", a->r->name, schema);
  if (atoi(version) < w->version / 10000)
    return rb_refuse(L, "%s: pg_dump is version %s, the server %d: a newer server cannot be "
                     "dumped; set `bin` of the backup to the programs of that version",
                     a->r->name, version, w->version / 10000);
  pushplan(L, w, a, schema);
  return 1;
}

static int versioned (lua_State *L, int status, lua_KContext ctx) {
  const char *schema = lua_tostring(L, SCHEMA);
  (void)status; (void)ctx;
  return rb_look(L, ASKED, schema != NULL ? schema : "", NULL, 0, looked);
}

int rb_dump_preview (lua_State *L) {
  const char *label;
  options(L, &label);
  const rb_Archive *a = rb_archive_folder(L);
  rb_server_push(L);
  if (faccessat(a->dir, ".", W_OK, AT_EACCESS) != 0)
    return rb_refuse(L, "%s: %s may not be written to", a->r->name, a->folder);
  return rb_program_version(L, "pg_dump", 0, versioned);
}

/* -- the deed -------------------------------------------------------------------------------- */

static int same (lua_State *L, const rb_Archive *a) {
  const PGresult *r = rb_server_answer(L, COUNTS);
  for (int i = 0; i < PQntuples(r); i++) {
    const char *schema = PQgetvalue(r, i, 0), *name = PQgetvalue(r, i, 1);
    const rb_Table *t = rb_scan_table(&a->scan, schema, name);
    long long n = atoll(PQgetvalue(r, i, 2));
    if (t == NULL || t->rows != n)
      return rb_fail(L, "data", RB_NOTDONE, "%s: %s.%s has %lld rows, and the dump %lld: "
                     "it was not kept", a->r->name, schema, name, n,
                     t != NULL ? t->rows : 0);
  }
  return 1;
}

/* the whole file gets its name, if nobody has it */
static int publish (const rb_Archive *a, const char *name) {
  char self[64];
  if (fsync(a->fd) != 0) return -1;
  snprintf(self, sizeof self, "/proc/self/fd/%d", a->fd);
  if (a->scratch[0] == '\0') {
    if (linkat(AT_FDCWD, self, a->dir, name, AT_SYMLINK_FOLLOW) != 0) return -1;
  } else if (renameat2(AT_FDCWD, a->path, a->dir, name, RENAME_NOREPLACE) != 0) return -1;
  return fsync(a->dir);
}

static int finished (lua_State *L, int status, lua_KContext ctx) {
  const rb_Archive *a = lua_touserdata(L, ARCHIVE);
  const char *name = lua_tostring(L, FILENAME);
  struct stat st;
  (void)status; (void)ctx;
  rb_archive_check(L, a);
  same(L, a);
  if (publish(a, name) != 0 || fstat(a->fd, &st) != 0)
    return rb_fail(L, errno == EEXIST ? "drift" : "io", RB_NOTDONE, "%s: the dump cannot be "
                   "kept as %s/%s: %s", a->r->name, a->folder, name, strerror(errno));
  lua_createtable(L, 0, 4);
  lua_pushfstring(L, "%s/%s", a->folder, name);
  lua_setfield(L, -2, "file");
  lua_pushinteger(L, (lua_Integer)st.st_size);
  lua_setfield(L, -2, "bytes");
  lua_pushinteger(L, rb_scan_rows(&a->scan));
  lua_setfield(L, -2, "rows");
  lua_pushinteger(L, (lua_Integer)a->scan.ntables);
  lua_setfield(L, -2, "tables");
  return 1;
}

static int dumped (lua_State *L, int status, lua_KContext ctx) {
  const rb_Archive *a = lua_touserdata(L, ARCHIVE);
  (void)status; (void)ctx;
  lua_getfield(L, -1, "code");
  if (lua_tointeger(L, -1) != 0) {
    const char *said = rb_program_said(L, lua_gettop(L) - 1);
    return rb_fail(L, "io", RB_NOTDONE, strstr(said, "No space left") != NULL
                   ? "%s: no space left in %s; nothing of the dump was kept (pg_dump: %s)"
                   : "%s: nothing was written to %s: pg_dump: %s", a->r->name, a->folder, said);
  }
  lua_settop(L, COUNTS);
  return rb_archive_scan(L, ARCHIVE, a->fd, 0, finished);
}

/* A file without a name; where the file system has none, one in a folder of our own. */
static void newfile (lua_State *L, rb_Archive *a) {
  a->fd = openat(a->dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (a->fd >= 0) {
    snprintf(a->path, sizeof a->path, "/proc/%ld/fd/%d", (long)getpid(), a->fd);
    return;
  }
  rb_archive_scratch(L, a);
  snprintf(a->path, sizeof a->path, "%s/dump.sql", a->scratch);
  a->fd = open(a->path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
  if (a->fd < 0)
    rb_fail(L, "io", RB_NOTDONE, "%s: nothing can be written to %s: %s", a->r->name, a->folder,
            strerror(errno));
}

static int counted (lua_State *L, int status, lua_KContext ctx) {
  rb_Archive *a = lua_touserdata(L, ARCHIVE);
  (void)status; (void)ctx;
  newfile(L, a);
  rb_Words env = rb_program_env(L, 1), argv = rb_words_push(L, 8);
  rb_words_add(L, &argv, "%s", rb_program_find(L, "pg_dump"));
  rb_words_add(L, &argv, "--no-password");
  rb_words_add(L, &argv, "--lock-wait-timeout=30s");
  rb_words_add(L, &argv, "--snapshot=%s", lua_tostring(L, SNAPSHOT));
  rb_words_add(L, &argv, "--file=%s", a->path);
  const char *schema = rb_option(L, "schema");
  if (schema != NULL) rb_words_add(L, &argv, "--schema=%s", rb_quoted(L, schema));
  rb_Program cmd = {.argv = argv.list, .env = env.list, .pledge = 1, .facts = FACTS};
  return rb_spawn(L, &cmd, 0, dumped);
}

static int exported (lua_State *L, int status, lua_KContext ctx) {
  (void)status; (void)ctx;
  lua_pushstring(L, PQgetvalue(rb_server_answer(L, -1), 0, 0));
  lua_replace(L, SNAPSHOT);
  lua_settop(L, SNAPSHOT);
  const char *values[] = {rb_option(L, "schema")};
  lua_settop(L, SNAPSHOT);  /* the options keep it */
  return rb_server_ask(L, SERVER, rb_sql_counts, 1, values, 0, counted);
}

static int begun (lua_State *L, int status, lua_KContext ctx) {
  (void)status; (void)ctx;
  lua_settop(L, FACTS);
  return rb_server_ask(L, SERVER, "SELECT pg_export_snapshot()", 0, NULL, 0, exported);
}

int rb_dump (lua_State *L) {
  lua_settop(L, 2);
  rb_plan(L);
  lua_getfield(L, -1, "file");
  lua_replace(L, -2);
  rb_archive_folder(L);
  rb_server_push(L);
  lua_createtable(L, 0, 8);
  lua_pushvalue(L, FILENAME);
  lua_setfield(L, -2, "file");
  return rb_server_ask(L, SERVER, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", 0, NULL, 0,
                       begun);
}
