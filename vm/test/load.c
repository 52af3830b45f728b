/*
** load.c - a test file, and the runbook that it is of
*/

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/buffer.h"
#include "vm/fake.h"
#include "vm/run/outline.h"
#include "vm/run/shape.h"
#include "vm/state.h"
#include "vm/test/suite.h"

#define SECONDS 2.0

/* -- the runbook, as its tests need to know it --------------------------- */

typedef struct Look {
  const char *file;
  json_t *info;
  rb_Problem p;
} Look;

static void addunique (json_t *list, const char *s, size_t n) {
  size_t i;
  json_t *each;
  json_array_foreach(list, i, each)
    if (json_string_length(each) == n && memcmp(json_string_value(each), s, n) == 0) return;
  json_array_append_new(list, json_stringn(s, n));
}

/* every `system "name"` of a file */
static void addsystems (void *ud, const char *path, const char *text, size_t len) {
  const char *end = text + len;
  (void)path;
  for (const char *s = text; (s = memmem(s, (size_t)(end - s), "system", 6)) != NULL; ) {
    s += 6;
    s += strspn(s, " \t(");
    const char quote = *s;
    if (quote != '"' && quote != '\'') continue;
    size_t n = strcspn(s + 1, "\"'\n");
    if (s[1 + n] == quote && n > 0) addunique(ud, s + 1, n);
  }
}

static void addroles (json_t *list, const char *const *roles) {
  for (; *roles != NULL; roles++) addunique(list, *roles, strlen(*roles));
}

static json_t *steprow (const rb_Outline *o, const rb_Step *s) {
  json_t *fields = json_array();
  for (int f = 0; f < RB_FIELDS; f++)
    if (s->fn[f] != RB_NOREF) json_array_append_new(fields, json_string(rb_fieldnames[f]));
  return json_pack("{s:s, s:s?, s:o, s:b, s:b}", "id", s->id, "case",
                   s->incase >= 0 ? o->cases[s->incase].id : NULL, "fields", fields,
                   "goes_on", s->on_failure != RB_STOP, "irreversible",
                   s->irreversible.text != NULL || s->irreversible.ref != RB_NOREF);
}

static void describe (lua_State *L, const rb_Outline *o, json_t *info) {
  json_t *steps = json_array(), *cases = json_array(), *ids = json_object(),
         *roles = json_array(), *systems = json_array();
  addroles(roles, o->approve);
  for (int i = 0; i < o->nsteps; i++) {
    addroles(roles, o->steps[i].approve);
    json_object_set_new(ids, o->steps[i].id, json_true());
    json_array_append_new(steps, steprow(o, &o->steps[i]));
  }
  for (int i = 0; i < o->ncases; i++) {
    addroles(roles, o->cases[i].approve);
    json_array_append_new(cases, json_pack("{s:s, s:b}", "id", o->cases[i].id, "when",
                                           o->cases[i].when != RB_NOREF));
  }
  if (o->system != NULL) addunique(systems, o->system, strlen(o->system));
  rb_state_files(L, addsystems, systems);
  json_object_set_new(info, "name", json_string(o->name));
  json_object_set_new(info, "steps", steps);
  json_object_set_new(info, "cases", cases);
  json_object_set_new(info, "ids", ids);
  json_object_set_new(info, "roles", roles);
  json_object_set_new(info, "systems", systems);
}

static int look (lua_State *L) {
  Look *l = lua_touserdata(L, 1);
  rb_Outline o;
  if (rb_outline_load(L, l->file, &o, &l->p) != 0) return 0;
  describe(L, &o, l->info);
  rb_outline_free(L, &o);
  return 0;
}

/* -- which runbook ------------------------------------------------------- */

/* the test's own word for it, from the test's folder or by name; else NAME.lua of
** NAME_test.lua or NAME.tape */
static void findrunbook (rb_Suite *s, rb_Config *config, const char *given) {
  char file[PATH_MAX], path[PATH_MAX];
  const char *slash = strrchr(s->file, '/');
  int folder = slash != NULL ? (int)(slash + 1 - s->file) : 0;
  size_t n = strlen(s->file);
  if (given != NULL) snprintf(file, sizeof file, "%.*s%s", *given == '/' ? 0 : folder, s->file,
                              given);
  else snprintf(file, sizeof file, "%.*s.lua", (int)(n - strlen(rb_suite_istape(s->file) ? ".tape"
                                                                : "_test.lua")), s->file);
  if (realpath(file, path) == NULL) {
    rb_Problem p = {0};
    if (given == NULL || rb_config_find(config, given, path, sizeof path, &p) != 0) {
      if (p.exit != 0) s->problem = p;
      else rb_problem(&s->problem, RB_USAGE, "test", "there is no runbook %s that it would be "
                      "a test of (name another with `runbook = \"FILE\"` in tests)", file);
      snprintf(s->problem.file, sizeof s->problem.file, "%s", s->file);
      return;
    }
  }
  s->runbook = strdup(path);
}

/* -- the file ------------------------------------------------------------ */

static int setlines (lua_State *W, const char *file) {
  char line[4096];
  int n = 0;
  FILE *f = fopen(file, "re");
  lua_getfield(W, LUA_REGISTRYINDEX, RB_WORLD);
  lua_pushstring(W, file);
  lua_setfield(W, -2, "file");
  lua_newtable(W);
  while (f != NULL && fgets(line, sizeof line, f) != NULL) {
    lua_pushlstring(W, line, strcspn(line, "\n"));
    lua_rawseti(W, -2, ++n);
  }
  lua_setfield(W, -2, "lines");
  lua_pop(W, 1);
  if (f != NULL) fclose(f);
  return n;
}

int rb_suite_istape (const char *file) {
  size_t n = strlen(file);
  return n > 5 && strcmp(file + n - 5, ".tape") == 0;
}

/* A tape beside its runbook is a test by itself. */
static int setfield (lua_State *W, const char *key, const char *value) {
  lua_getfield(W, LUA_REGISTRYINDEX, RB_WORLD);
  lua_pushstring(W, value);
  lua_setfield(W, -2, key);
  lua_pop(W, 1);
  return 0;
}

/* (suite): compiles it */
static int compile (lua_State *W) {
  rb_Suite *s = lua_touserdata(W, 1);
  const char *slash = strrchr(s->file, '/');
  setlines(W, s->file);
  if (rb_suite_istape(s->file))
    return setfield(W, "onetape", slash != NULL ? slash + 1 : s->file);
  if (rb_chunk_load(W, s->file, &s->problem) != 0) return 0;
  return 1;
}

static void loadfile (rb_Suite *s) {
  rb_Problem *p = &s->problem;
  lua_pushcfunction(s->W, compile);
  lua_pushlightuserdata(s->W, s);
  if (lua_pcall(s->W, 1, 1, 0) != LUA_OK) {
    rb_problem(p, RB_USAGE, "memory", "not enough memory");
    return;
  }
  if (p->exit != 0) return;
  lua_getfield(s->W, LUA_REGISTRYINDEX, RB_WORLD);
  lua_insert(s->W, -2);
  lua_setfield(s->W, -2, "chunk");
  lua_pop(s->W, 1);
  char *text = rb_test_call(s->W, s->file, "load", 0, p);
  s->cases = text != NULL ? json_loads(text, 0, NULL) : NULL;
  free(text);
}

void rb_suite_load (rb_Suite *s, rb_Config *config, const char *file) {
  s->file = strdup(file);
  s->W = rb_test_state();
  if (s->file == NULL || s->W == NULL) {
    rb_problem(&s->problem, RB_USAGE, "memory", "not enough memory");
    return;
  }
  loadfile(s);
  if (s->problem.exit != 0) return;
  json_t *given = json_object_get(json_array_get(s->cases, 0), "runbook");
  findrunbook(s, config, json_string_value(given));
  if (s->problem.exit != 0) return;
  Look l = {.file = s->runbook, .info = json_object()};
  s->info = l.info;
  rb_words_call(look, &l, &l.p);
  s->problem = l.p;
}

void rb_suite_free (rb_Suite *s) {
  rb_state_free(s->W);
  free(s->file);
  free(s->runbook);
  json_decref(s->cases);
  json_decref(s->info);
}
