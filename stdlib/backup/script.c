/*
** script.c - psql replays files in one transaction, with statements of ours before
** and after them
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stdlib/backup/backup.h"

/* -- SQL --------------------------------------------------------------------------- */

/* [-0, +1, m] */
static const char *pushquoted (lua_State *L, const char *text, char quote) {
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  luaL_addchar(&b, quote);
  for (; *text != '\0'; text++) {
    if (*text == quote) luaL_addchar(&b, quote);
    luaL_addchar(&b, *text);
  }
  luaL_addchar(&b, quote);
  luaL_pushresult(&b);
  return lua_tostring(L, -1);
}

const char *rb_quoted (lua_State *L, const char *name) { return pushquoted(L, name, '"'); }

/* standard_conforming_strings is on in our sessions, and in every dump */
const char *rb_literal (lua_State *L, const char *text) { return pushquoted(L, text, '\''); }

/* 63 bytes at most, and no character cut */
const char *rb_asidename (lua_State *L, const char *schema, const char *word) {
  char run[32] = "", name[256];
  const char *id = rb_runid(L);
  size_t n = strlen(schema), room;
  for (size_t i = 0; id[i] != '\0' && i < sizeof run - 1; i++)
    run[i] = (char)(id[i] >= 'A' && id[i] <= 'Z' ? id[i] - 'A' + 'a' : id[i]);
  room = 63 - 3 - strlen(word) - strlen(run);
  if (n > room) n = room;
  while (n > 0 && ((unsigned char)schema[n] & 0xc0) == 0x80) n--;
  snprintf(name, sizeof name, "%.*s__%s_%s", (int)n, schema, word, run);
  return lua_pushstring(L, name);
}

const char *rb_script_guard (lua_State *L, const char *schema, const char *oid) {
  const char *body = lua_pushfstring(L,
    "BEGIN IF (SELECT oid::text FROM pg_catalog.pg_namespace WHERE nspname = %s) IS DISTINCT "
    "FROM %s THEN RAISE EXCEPTION 'runbook: the schema is not the one that was looked at'; "
    "END IF; END", rb_literal(L, schema), *oid != '\0' ? rb_literal(L, oid) : "NULL");
  const char *done = lua_pushfstring(L, "DO %s;\n", rb_literal(L, body));
  lua_insert(L, *oid != '\0' ? -5 : -4);
  lua_pop(L, *oid != '\0' ? 4 : 3);
  return done;
}

/* -- psql -------------------------------------------------------------------------------- */

typedef struct Running { lua_KContext ctx; lua_KFunction k; } Running;

/* Exit codes of psql: 1 for a trouble of its own, 2 for its connection, 3 for an error
** in the script; the transaction ends with its connection. Only when that went away may
** the COMMIT have been on its way. */
static int failed (lua_State *L, int code) {
  const char *said = rb_program_said(L, lua_gettop(L));
  if (strstr(said, "invalid command \\restrict") != NULL)
    return rb_fail(L, "missing", RB_NOTDONE, "%s: the psql here cannot be held to SQL, which is "
                   "needed for a dump: it takes 13.22, 14.19, 15.14, 16.10, 17.6 or later "
                   "(nothing was changed)", rb_resource(L)->name);
  int unknown = code > 3 || (code == 2 && strncmp(said, "connection to server at", 23) != 0
                             && strncmp(said, "connection to server on", 23) != 0);
  return rb_fail(L, code == 2 ? "io" : "server", unknown ? RB_UNKNOWN : RB_NOTDONE,
                 unknown ? "%s: psql: %s" : "%s: psql: %s (nothing was changed)",
                 rb_resource(L)->name, said);
}

/* the Running is at 'idx', the result on the top */
static int ran (lua_State *L, int status, lua_KContext idx) {
  const Running *r = lua_touserdata(L, (int)idx);
  lua_KContext ctx = r->ctx;
  lua_KFunction k = r->k;
  lua_getfield(L, -1, "code");
  int code = (int)lua_tointeger(L, -1);
  lua_pop(L, 1);
  if (code != 0) return failed(L, code);
  lua_settop(L, (int)idx - 1);
  return k(L, status, ctx);
}

/* The files, of whose lines none reaches psql as a command of its own: what pg_dump did not
** restrict is restricted by us, with a key that the file cannot know. */
static void addfiles (lua_State *L, rb_Words *argv, const char *const *files, int restricted) {
  int ours = *files != NULL && !restricted;
  if (ours) rb_words_add(L, argv, "--command=\\restrict %s", rb_runid(L));
  for (; *files != NULL; files++) rb_words_add(L, argv, "--file=%s", *files);
  if (ours) rb_words_add(L, argv, "--command=\\unrestrict %s", rb_runid(L));
}

int rb_script_run (lua_State *L, const char *pre, const char *const *files, int restricted,
                   const char *post, int facts, lua_KContext ctx, lua_KFunction k) {
  static const char *const words[] = {
    "--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1",
    "--single-transaction", "--output=/dev/null", NULL
  };
  Running *r = lua_newuserdatauv(L, sizeof *r, 0);
  int idx = lua_gettop(L);
  *r = (Running){ctx, k};
  rb_Words env = rb_program_env(L, 1), argv = rb_words_push(L, 20);
  rb_words_add(L, &argv, "%s", rb_program_find(L, "psql"));
  for (const char *const *w = words; *w != NULL; w++) rb_words_add(L, &argv, "%s", *w);
  rb_words_add(L, &argv, "--command=SET LOCAL lock_timeout = '10s'; SET LOCAL search_path = '';\n"
               "%s", pre);
  addfiles(L, &argv, files, restricted);
  rb_words_add(L, &argv, "--file=-");
  rb_Program cmd = {.argv = argv.list, .env = env.list, .input = post,
                    .inputlen = strlen(post), .pledge = 1, .facts = facts};
  return rb_spawn(L, &cmd, idx, ran);
}
