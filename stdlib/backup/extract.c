/*
** extract.c - archives in pg_dump's custom format: read, and one schema taken out
**
** Only pg_restore knows the format. `--schema` gives what is in a schema, but
** not the schema itself: that is named to it by its line of the list.
*/

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stdlib/backup/backup.h"

/* -- the list ------------------------------------------------------------------- */

static const char *after (const char *line, const char *with) {
  size_t n = strlen(with);
  return strncmp(line, with, n) == 0 ? line + n : NULL;
}

static void keep (char *out, size_t size, const char *text) {
  size_t n = strcspn(text, " \n");
  if (n >= size) n = size - 1;
  memcpy(out, text, n);
  out[n] = '\0';
}

/* what stands behind the three numbers of an entry ("221; 1259 16426 TABLE a b c") */
static const char *entry (const char *line) {
  const char *p = strchr(line, ';');
  for (int i = 0; p != NULL && i < 3; i++) p = strchr(p + 1, ' ');
  return p != NULL ? p + 1 : "";
}

/* Words are not quoted there: a schema with a space in its name is cut. */
static void listline (rb_Scan *s, const char *line) {
  static const char *const types[] = {"TABLE ", "VIEW ", "FUNCTION ", "TYPE ",
                                      "MATERIALIZED VIEW ", NULL};
  char name[256], table[256];
  const char *p;
  if ((p = after(line, ";     Dumped from database version: ")) != NULL)
    keep(s->server, sizeof s->server, p);
  else if ((p = after(line, ";     Dumped by pg_dump version: ")) != NULL)
    keep(s->program, sizeof s->program, p);
  if (*line == ';') return;
  const char *what = entry(line);
  if ((p = after(what, "SCHEMA - ")) != NULL) {
    keep(name, sizeof name, p);
    rb_scan_made(s, name);
  } else if ((p = after(what, "TABLE DATA ")) != NULL) {
    keep(name, sizeof name, p);
    keep(table, sizeof table, p + strcspn(p, " \n") + 1);
    rb_scan_add(s, name, table);
  }
  for (const char *const *t = types; *t != NULL; t++)
    if ((p = after(what, *t)) != NULL && after(what, "TABLE DATA ") == NULL
        && after(what, "TABLE ATTACH ") == NULL) {
      keep(name, sizeof name, p);
      rb_scan_schema(s, name);
    }
}

static void readlist (rb_Scan *s, const char *text) {
  char line[1024];
  for (; *text != '\0'; text += *text == '\n') {
    size_t n = strcspn(text, "\n"), take = n < sizeof line - 1 ? n : sizeof line - 1;
    memcpy(line, text, take);
    line[take] = '\0';
    listline(s, line);
    text += n;
  }
}

/* -- running pg_restore ------------------------------------------------------------ */

/* [-0, +?, vy]  "pg_restore ... PATH", held read-only but for the scratch folder */
static int run (lua_State *L, rb_Archive *a, const rb_Words *argv, lua_KContext ctx,
                lua_KFunction k) {
  rb_Words env = rb_program_env(L, 0);
  rb_Program cmd = {.argv = argv->list, .env = env.list, .readonly = 1,
                    .scratch = a->scratch[0] != '\0' ? a->scratch : NULL};
  return rb_spawn(L, &cmd, ctx, k);
}

static rb_Words begin (lua_State *L) {
  rb_Words argv = rb_words_push(L, 12);
  rb_words_add(L, &argv, "%s", rb_program_find(L, "pg_restore"));
  lua_pop(L, 1);
  return argv;
}

static void checkexit (lua_State *L, const rb_Archive *a) {
  lua_getfield(L, -1, "code");
  int code = (int)lua_tointeger(L, -1);
  lua_pop(L, 1);
  if (code == 0) return;
  const char *said = rb_program_said(L, lua_gettop(L));
  if (strstr(said, "No space left") != NULL)
    rb_fail(L, "io", RB_NOTDONE, "%s: no space left in %s to take the schema out of %s",
            a->r->name, a->folder, a->name);
  rb_fail(L, "data", RB_NOTDONE, strstr(said, "unsupported version") != NULL
          ? "%s: %s was made by a newer pg_dump than the pg_restore here: %s"
          : "%s: %s is truncated or damaged: %s", a->r->name, a->path, said);
}

/* -- reading --------------------------------------------------------------------------- */

static int whole (lua_State *L, int status, lua_KContext idx) {
  rb_Archive *a = lua_touserdata(L, (int)idx);
  checkexit(L, a);
  a->scan.isdump = a->scan.complete = 1;
  lua_settop(L, a->top);
  return a->k(L, status, a->ctx);
}

static int listed (lua_State *L, int status, lua_KContext idx) {
  rb_Archive *a = lua_touserdata(L, (int)idx);
  (void)status;
  checkexit(L, a);
  lua_getfield(L, -1, "stdout");
  readlist(&a->scan, lua_tostring(L, -1));
  if (a->scan.failed) return luaL_error(L, "not enough memory");
  lua_settop(L, a->top);
  rb_Words argv = begin(L);
  rb_words_add(L, &argv, "--file=/dev/null");
  rb_words_add(L, &argv, "%s", a->path);
  return run(L, a, &argv, idx, whole);
}

/* [-0, +?, vy]  k finds the list on the top */
static int asklist (lua_State *L, rb_Archive *a, int idx, lua_KFunction k) {
  a->top = lua_gettop(L);
  rb_Words argv = begin(L);
  rb_words_add(L, &argv, "--list");
  rb_words_add(L, &argv, "%s", a->path);
  return run(L, a, &argv, idx, k);
}

int rb_extract_read (lua_State *L, int idx, lua_KContext ctx, lua_KFunction k) {
  rb_Archive *a = lua_touserdata(L, idx);
  a->ctx = ctx;
  a->k = k;
  return asklist(L, a, idx, listed);
}

/* -- taking one schema out ---------------------------------------------------------------- */

/* Is it the entry of the schema itself, or of the rights on it? */
static int ofschema (const char *line, const char *schema) {
  static const char *const kinds[] = {"SCHEMA - ", "ACL - SCHEMA ", "COMMENT - SCHEMA ", NULL};
  size_t n = strlen(schema);
  for (const char *const *k = kinds; *k != NULL; k++) {
    const char *p = after(entry(line), *k);
    if (p == NULL || strncmp(p, schema, n) != 0 || p[n] != ' ') continue;
    return strcspn(p + n + 1, " \n") == strcspn(p + n + 1, "\n");  /* its owner alone */
  }
  return 0;
}

/* the entries of the schema, into a file of the scratch folder; how many */
static int writelist (lua_State *L, const rb_Archive *a, const char *list, const char *schema) {
  const char *path = lua_pushfstring(L, "%s/list", a->scratch);
  int n = 0, failed;
  FILE *f = fopen(path, "we");
  if (f == NULL) return rb_fail(L, "io", RB_NOTDONE, "%s: %s: %s", a->r->name, path,
                                strerror(errno));
  for (const char *p = list; *p != '\0'; p += strcspn(p, "\n"), p += *p == '\n')
    if (*p != ';' && ofschema(p, schema)) {
      fprintf(f, "%.*s\n", (int)strcspn(p, "\n"), p);
      n++;
    }
  failed = ferror(f) | fclose(f);
  if (failed) rb_fail(L, "io", RB_NOTDONE, "%s: %s cannot be written", a->r->name, path);
  return n;
}

static int extracted (lua_State *L, int status, lua_KContext idx) {
  rb_Archive *a = lua_touserdata(L, (int)idx);
  (void)status;
  checkexit(L, a);
  lua_settop(L, a->top);
  const char *path = lua_pushfstring(L, "%s/objects.sql", a->scratch);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return rb_fail(L, "io", RB_NOTDONE, "%s: %s: %s", a->r->name, path,
                             strerror(errno));
  close(a->fd);
  a->fd = fd;
  lua_settop(L, a->top);
  return rb_archive_scan(L, (int)idx, fd, a->ctx, a->k);
}

static int schemawritten (lua_State *L, int status, lua_KContext idx) {
  rb_Archive *a = lua_touserdata(L, (int)idx);
  (void)status;
  checkexit(L, a);
  lua_settop(L, a->top);
  rb_Words argv = begin(L);
  rb_words_add(L, &argv, "--schema=%s", lua_tostring(L, a->top));
  rb_words_add(L, &argv, "--file=%s/objects.sql", a->scratch);
  rb_words_add(L, &argv, "%s", a->path);
  return run(L, a, &argv, idx, extracted);
}

static int listedagain (lua_State *L, int status, lua_KContext idx) {
  rb_Archive *a = lua_touserdata(L, (int)idx);
  (void)status;
  checkexit(L, a);
  lua_getfield(L, -1, "stdout");
  const char *schema = lua_tostring(L, a->top);
  if (writelist(L, a, lua_tostring(L, -1), schema) == 0)
    return rb_fail(L, "data", RB_NOTDONE, "%s: %s does not hold the schema %s", a->r->name,
                   a->path, schema);
  lua_settop(L, a->top);
  rb_Words argv = begin(L);
  rb_words_add(L, &argv, "--use-list=%s/list", a->scratch);
  rb_words_add(L, &argv, "--file=%s/schema.sql", a->scratch);
  rb_words_add(L, &argv, "%s", a->path);
  return run(L, a, &argv, idx, schemawritten);
}

int rb_extract (lua_State *L, int idx, const char *schema, lua_KContext ctx,
                lua_KFunction k) {
  rb_Archive *a = lua_touserdata(L, idx);
  a->ctx = ctx;
  a->k = k;
  rb_archive_scratch(L, a);
  lua_pushstring(L, schema);
  return asklist(L, a, idx, listedagain);
}
