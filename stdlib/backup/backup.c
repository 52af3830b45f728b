/*
** backup.c - the folder with the dumps of a system's database
*/

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "stdlib/backup/backup.h"

/* -- list ------------------------------------------------------------------------ */

typedef struct One {
  char name[NAME_MAX + 1];
  struct timespec at;
  long long bytes;
  rb_Format format;
} One;

static int newer (const void *a, const void *b) {
  const One *x = a, *y = b;
  if (x->at.tv_sec != y->at.tv_sec) return x->at.tv_sec < y->at.tv_sec ? 1 : -1;
  if (x->at.tv_nsec != y->at.tv_nsec) return x->at.tv_nsec < y->at.tv_nsec ? 1 : -1;
  return strcmp(x->name, y->name);
}

static int lookat (int dir, const char *name, One *one) {
  struct stat st;
  int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
    if (fd >= 0) close(fd);
    return 0;
  }
  strcpy(one->name, name);
  one->at = st.st_mtim;
  one->bytes = st.st_size;
  one->format = rb_archive_format(fd);
  close(fd);
  return 1;
}

typedef struct Listing { DIR *dir; One *all; size_t n; } Listing;

static int listing_close (lua_State *L) {
  Listing *l = lua_touserdata(L, 1);
  if (l->dir != NULL) closedir(l->dir);
  free(l->all);
  *l = (Listing){0};
  return 0;
}

/* [-0, +1, v]  all that is a file there */
static Listing *pushlisting (lua_State *L, const rb_Archive *a) {
  const struct dirent *e;
  Listing *l = lua_newuserdatauv(L, sizeof *l, 0);
  *l = (Listing){0};
  if (luaL_newmetatable(L, "backup.listing")) {
    lua_pushcfunction(L, listing_close);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  int fd = openat(a->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  l->dir = fd >= 0 ? fdopendir(fd) : NULL;
  if (l->dir == NULL)
    rb_fail(L, "io", RB_NOTDONE, "%s: %s cannot be read: %s", a->r->name, a->folder,
            strerror(errno));
  while ((e = readdir(l->dir)) != NULL) {
    One *all = *e->d_name != '.' ? realloc(l->all, (l->n + 1) * sizeof *all) : NULL;
    if (*e->d_name == '.') continue;
    if (all == NULL) luaL_error(L, "not enough memory");
    l->all = all;
    l->n += (size_t)lookat(a->dir, e->d_name, &all[l->n]);
  }
  if (l->n > 0) qsort(l->all, l->n, sizeof *l->all, newer);
  return l;
}

static void pushtime (lua_State *L, time_t t) {
  char at[32] = "";
  struct tm tm;
  if (gmtime_r(&t, &tm) != NULL) strftime(at, sizeof at, "%Y-%m-%dT%H:%M:%SZ", &tm);
  lua_pushstring(L, at);
}

static int backup_list (lua_State *L) {
  lua_settop(L, 1);
  const rb_Archive *a = rb_archive_folder(L);
  const Listing *l = pushlisting(L, a);
  rb_describe(L, "%s in %s", rb_archive_count(L, (long long)l->n, "file", "files"), a->folder);
  lua_createtable(L, (int)l->n, 0);
  for (size_t i = 0; i < l->n; i++) {
    lua_createtable(L, 0, 4);
    rb_set(L, "name", l->all[i].name);
    rb_set(L, "format", rb_formats[l->all[i].format]);
    lua_pushinteger(L, l->all[i].bytes);
    lua_setfield(L, -2, "bytes");
    pushtime(L, l->all[i].at.tv_sec);
    lua_setfield(L, -2, "at");
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/* -- verify ------------------------------------------------------------------------- */

/* [-0, +1, m]  {"a.b" = rows} */
static void pushcounts (lua_State *L, const rb_Scan *s) {
  lua_createtable(L, 0, (int)s->ntables);
  for (const rb_Table *t = s->tables; t < s->tables + s->ntables; t++) {
    lua_pushfstring(L, "%s.%s", t->schema, t->name);
    lua_pushinteger(L, t->rows);
    lua_rawset(L, -3);
  }
}

static int verified (lua_State *L, int status, lua_KContext idx) {
  const rb_Archive *a = lua_touserdata(L, (int)idx);
  const rb_Scan *s = &a->scan;
  int counts = a->format == RB_PLAIN && !s->inserts;
  (void)status;
  rb_archive_check(L, a);
  rb_describe(L, "%s is whole: %s, %s", a->name, rb_archive_schemas(L, s),
              counts ? rb_archive_count(L, rb_scan_rows(s), "row", "rows") : rb_formats[a->format]);
  lua_createtable(L, 0, 12);
  rb_set(L, "name", a->name);
  rb_set(L, "format", rb_formats[a->format]);
  rb_set(L, "server", s->server);
  rb_set(L, "pg_dump", s->program);
  lua_pushinteger(L, a->bytes);
  lua_setfield(L, -2, "bytes");
  pushtime(L, (time_t)a->at);
  lua_setfield(L, -2, "at");
  lua_createtable(L, (int)s->nschemas, 0);
  for (size_t i = 0; i < s->nschemas; i++) {
    lua_pushstring(L, s->schemas[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_setfield(L, -2, "schemas");
  lua_pushinteger(L, (lua_Integer)s->ntables);
  lua_setfield(L, -2, "tables");
  if (!counts) return 1;
  lua_pushinteger(L, rb_scan_rows(s));
  lua_setfield(L, -2, "rows");
  pushcounts(L, s);
  lua_setfield(L, -2, "counts");
  return 1;
}

static int backup_verify (lua_State *L) {
  lua_settop(L, 2);
  luaL_checkstring(L, 2);
  const rb_Archive *a = rb_archive_open(L, 2);
  rb_describe(L, "is %s whole?", a->name);
  return rb_archive_read(L, 3, 3, verified);
}

/* -- doctor, identity ------------------------------------------------------------------- */

/* [-0, +0, m]  one row more of the list at the top */
static void row (lua_State *L, const char *name, int fine, const char *value,
                 const char *mend) {
  lua_createtable(L, 0, 4);
  rb_set(L, "name", name);
  rb_set(L, "status", fine ? "ok" : "warn");
  rb_set(L, "value", value);
  rb_set(L, "mend", fine ? "" : mend);
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
}

static int find (lua_State *L) {
  rb_program_find(L, lua_tostring(L, 2));
  return 1;
}

static int backup_doctor (lua_State *L) {
  static const char *const programs[] = {"pg_dump", "pg_restore", "psql", NULL};
  struct stat st;
  const char *missing = NULL;
  lua_settop(L, 1);
  const rb_Archive *a = rb_archive_folder(L);
  int closed = fstat(a->dir, &st) == 0 && (st.st_mode & 0007) == 0;
  int writable = faccessat(a->dir, ".", W_OK, AT_EACCESS) == 0;
  for (const char *const *p = programs; *p != NULL; p++) {
    lua_pushcfunction(L, find);
    lua_pushvalue(L, 1);
    lua_pushstring(L, *p);
    if (lua_pcall(L, 2, 1, 0) != LUA_OK) missing = *p;
    lua_pop(L, 1);
  }
  lua_newtable(L);
  row(L, "folder", writable && closed, a->folder, writable
      ? "chmod o= it: dumps hold everything" : "dumps cannot be written there");
  lua_pushfstring(L, "there is no %s", missing != NULL ? missing : "");
  const char *none = lua_tostring(L, -1);
  lua_insert(L, -2);
  row(L, "programs", missing == NULL, missing != NULL ? none : "pg_dump, pg_restore, psql",
      "install PostgreSQL's client programs, or set `bin` of the backup");
  return 1;
}

static int backup_identity (lua_State *L) {
  const rb_Archive *a = rb_archive_folder(L);
  lua_pushstring(L, a->folder);
  return 1;
}

/* -- rows ---------------------------------------------------------------------------------- */

static const rb_Reg methods[] = {
  {"list", RB_PROBE, backup_list, NULL,
   "list() -> {{name, bytes, at, format}, ...} : the files of the backup folder, newest "
   "first; `at` is an ISO-8601 time, `format` \"plain\" (SQL), \"custom\" (pg_dump -Fc), "
   "\"gzip\", \"empty\" or \"unknown\". Hidden files are not listed", NULL, NULL},
  {"verify", RB_PROBE, backup_verify, NULL,
   "verify(name) -> {name, format, bytes, at, schemas, tables, rows, counts, server, "
   "pg_dump} : reads a whole dump. `counts` has the rows of each table (\"schema.table\"), "
   "`rows` their sum; both are nil for a dump in the custom format, or of INSERTs. `server` "
   "and `pg_dump` are versions. Fails with \"data\" where the dump is truncated, damaged, "
   "empty or none, \"missing\" where it is not there", NULL, NULL},
  {"dump", RB_REMEDY, rb_dump, rb_dump_preview,
   "dump{[schema=, label=\"dump\"]} -> {file, bytes, rows, tables} : a new dump by pg_dump, "
   "LABEL-SCHEMA-YYYYmmdd-HHMMSS.sql (UTC) in the backup folder, mode 0600; of the whole "
   "database without `schema`. The rows of each table are counted in the snapshot that was "
   "dumped, and must be in the file; it gets its name when it is whole, so that a failure "
   "leaves nothing. Fails with \"missing\" (folder, program), \"refused\" (version, schema), "
   "\"io\" (a full disk) or \"data\"", NULL, NULL},
  {"restore", RB_REMEDY, rb_restore, rb_restore_preview,
   "restore{file=, schema=} -> {schema, before, tables, rows} : one schema as it was in a "
   "dump, which is `file`, a name of list(). In one transaction the live schema is renamed "
   "to `before` (SCHEMA__before_RUN), the dump replayed, the rows of every table counted "
   "against it, and the views of other schemas bound to the new tables; a failure leaves "
   "what was there. Refused: a plain dump of more than that schema, one that is truncated, "
   "empty or of another schema, one of a newer server, and where anything else outside "
   "(foreign keys, materialized views) depends on the schema. The inverse is swap", NULL, NULL},
  {"swap", RB_REMEDY, rb_swapschema, rb_swapschema_preview,
   "swap{schema=, [with=,] aside=} -> true : in one transaction renames the schema to "
   "`aside` and `with` to its name, and binds the views of other schemas to it. Where there "
   "is no live one only `with` is renamed, without `with` only the live one. Takes back a "
   "restore, and is its own inverse", NULL, NULL},
  RB_END
};

const rb_Module rb_module = {
  .interface = RB_INTERFACE, .name = "backup",
  .doc = "dumps of a system's database: listed, verified, made, and one schema restored",
  .methods = methods,
  .doctor = backup_doctor, .identity = backup_identity, .settle = rb_backup_settle
};
