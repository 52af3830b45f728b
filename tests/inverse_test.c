/*
** inverse_test.c - what a preview of file or dotenv gives as the inverse brings back
** exactly what was there: byte for byte, and the mode
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <lualib.h>

#include "vm/state.h"
#include "vm/vm.h"

static char folder[64];
static lua_State *L;

/* -- a state with a configuration ----------------------------------------------- */

static void put (const char *name, const char *text) {
  char path[128];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fputs(text, f);
  fclose(f);
  chmod(path, 0600);
}

static const char *get (const char *name) {
  static char text[8192];
  char path[128];
  struct stat st;
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *f = fopen(path, "r");
  if (f == NULL) return "(nothing)";
  fstat(fileno(f), &st);
  int n = snprintf(text, sizeof text, "%04o ", (unsigned)st.st_mode & 07777);
  size_t got = fread(text + n, 1, sizeof text - 1 - (size_t)n, f);
  text[(size_t)n + got] = '\0';
  fclose(f);
  return text;
}

static int setup (void **state) {
  char config[512];
  rb_Problem p = {0};
  (void)state;
  strcpy(folder, "/tmp/rbinverse.XXXXXX");
  if (mkdtemp(folder) == NULL) return -1;
  put(".env", "");
  snprintf(config, sizeof config, "return { target = 'l', targets = { l = { kind = "
           "'sandbox', allow = { files = { '%s' } }, systems = { app = { dotenv = "
           "'%s/.env' } } } } }", folder, folder);
  put("config.lua", config);
  snprintf(config, sizeof config, "%s/config.lua", folder);
  L = rb_state_new();
  rb_VM *vm = rb_vm(L);
  vm->config = rb_config_load(config, &p);
  if (vm->config != NULL) vm->target = rb_config_open(vm->config, NULL, &p);
  if (vm->target == NULL) fail_msg("%s", p.message);
  vm->loading = 0;
  return 0;
}

static int teardown (void **state) {
  char command[128];
  (void)state;
  rb_Config *config = rb_vm(L)->config;
  rb_state_free(L);
  rb_config_free(config);
  snprintf(command, sizeof command, "rm -rf %s", folder);
  return system(command);
}

/* -- preview, deed, inverse ------------------------------------------------------- */

/* [-(1+n), +1]  runs the function below n arguments as a task; leaves its result */
static void task (int n, void (*prepare) (rb_Task *t)) {
  rb_FieldRun f = {.word = "remedy", .may = RB_MAYPROBE | RB_MAYREMEDY};
  rb_Task *t = rb_task_new(L, NULL, &f, "t", n);
  if (prepare != NULL) prepare(t);
  rb_loop_run(rb_vm(L), &f);
  t->calling = 0;
  if (f.stop != RB_GO) fail_msg("%s", f.why);
  if (t->status != LUA_OK) fail_msg("%s", luaL_tolstring(t->L, -1, NULL));
  if (lua_gettop(t->L) > 0) lua_xmove(t->L, L, 1);
  else lua_pushnil(L);
  rb_task_free(t);
}

static const rb_Reg *row;
static const rb_Module *module;
static rb_ResourceBox *box, free_ = {.r = {.name = "file", .kind = "file"}};

static void aspreview (rb_Task *t) {
  t->call.reg = row;
  t->call.module = module;
  t->call.box = box;
  t->call.effect = RB_REMEDY;
  t->call.previewing = 1;
  t->calling = 1;
}

static const rb_Reg *find (const rb_Reg *r, const char *name) {
  while (r->name != NULL && strcmp(r->name, name) != 0) r++;
  assert_non_null(r->name);
  return r;
}

/* [-n, +1]  what the preview of that verb gives for the n arguments at the top */
static void pushinverse (const char *kind, const char *verb, int n) {
  int first = lua_gettop(L) - n + 1;
  module = rb_module_load(L, kind);
  row = find(module->methods != NULL ? module->methods : module->functions, verb);
  lua_pushcfunction(L, row->preview);
  lua_insert(L, first);
  free_.module = module;
  free_.vm = rb_vm(L);
  box = &free_;
  if (module->methods != NULL) {
    box = rb_push_resource(L, "app", kind);
    lua_insert(L, first + 1);
  }
  task(n + (module->methods != NULL), aspreview);
  lua_getfield(L, -1, "inverse");
  lua_remove(L, -2);
}

/* [-1, +0]  {verb, argument, ...} through the gate, as a script would */
static void apply (const char *kind) {
  static const char dotenv[] =
    "local c = ... local e = system('app').dotenv e[c[1]](e, c[2], c[3], c[4])";
  static const char file[] = "local c = ... file[c[1]](c[2], c[3], c[4])";
  const char *code = strcmp(kind, "dotenv") == 0 ? dotenv : file;
  assert_int_equal(luaL_loadstring(L, code), LUA_OK);
  lua_insert(L, -2);
  task(1, NULL);
  lua_pop(L, 1);
}

/* does verb(a, b) on kind and then its inverse leave 'name' as it was? */
static void back (const char *kind, const char *name, const char *verb, const char *a,
                  const char *b, const char *mode) {
  char before[8192], between[8192];
  int n = b == NULL ? 1 : mode == NULL ? 2 : 3;
  snprintf(before, sizeof before, "%s", get(name));
  for (int pass = 0; pass < 2; pass++) {
    if (pass == 1) lua_createtable(L, 4, 0);
    const char *words[] = {verb, a, b};
    for (int i = pass == 1 ? 0 : 1; i <= n && i < 3; i++) {
      lua_pushstring(L, words[i]);
      if (pass == 1) lua_rawseti(L, -2, i + 1);
    }
    if (n == 3) {
      lua_createtable(L, 0, 1);
      lua_pushstring(L, mode);
      lua_setfield(L, -2, "mode");
      if (pass == 1) lua_rawseti(L, -2, 4);
    }
    if (pass == 0) pushinverse(kind, verb, n);
  }
  apply(kind);
  snprintf(between, sizeof between, "%s", get(name));
  if (!lua_istable(L, -1)) {  /* nothing to do: nothing to take back */
    lua_pop(L, 1);
    assert_string_equal(between, before);
    return;
  }
  assert_string_not_equal(between, before);
  apply(kind);
  if (strcmp(get(name), before) != 0)
    fail_msg("%s(%s, %s): from\n%sto\n%sand back to\n%s", verb, a, b != NULL ? b : "",
             before, between, get(name));
}

/* -- the tests ------------------------------------------------------------------------ */

static void files (void **state) {
  char a[128], b[128];
  (void)state;
  snprintf(a, sizeof a, "%s/a", folder);
  snprintf(b, sizeof b, "%s/b", folder);
  back("file", "a", "write", a, "new\n", NULL);
  put("a", "one\ntwo");
  chmod(a, 0640);
  back("file", "a", "write", a, "new\n", NULL);
  back("file", "a", "write", a, "new\n", "0777");
  back("file", "a", "write", a, "one\ntwo", "0600");
  back("file", "a", "remove", a, NULL, NULL);
  back("file", "a", "chmod", a, "0400", NULL);
  back("file", "a", "move", a, b, NULL);
  back("file", "b", "move", a, b, NULL);
  back("file", "b", "copy", a, b, NULL);
  put("b", "other");
  back("file", "b", "copy", a, b, NULL);
}

/* .env files as people write them, put together by chance */
static void dotenvs (void **state) {
  static const char *const lines[] = {
    "A=1", "A=", "A=  # none", "A='x y'", "A=\"two\nlines\"  # c", "export A=a,b,c",
    "A = a, b # c", "  A=\"a,b\"", "B=2", "B='it'", "export B=\"x\\\"y\"", "B=a,x",
    "# comment", "", "not one", "C=3", "C=`tick`", "C=\"\"", "C=a#b"
  };
  static const char *const values[] = {
    "", "x", "x y", "it's", "a\"b", "p$w", "a\\b", "a,x", "1", "#", " lead", "a'b\"c"
  };
  static const char *const verbs[] = {"set", "set", "unset", "add", "remove"};
  static const char *const names[] = {"A", "B", "C", "D"};
  (void)state;
  srand(1);
  for (int round = 0; round < 1500; round++) {
    char text[1024] = "", seen[4] = "";
    const char *end = rand() % 4 == 0 ? "\r\n" : "\n";
    for (int i = rand() % 6; i > 0; i--) {
      const char *line = lines[(size_t)rand() % (sizeof lines / sizeof *lines)];
      const char *name = strpbrk(line, "ABC");  /* each name once */
      if (name != NULL && name[1] != 'o' && strchr(seen, *name) != NULL) continue;
      if (name != NULL) strncat(seen, name, 1);
      strcat(strcat(text, line), i > 1 || rand() % 3 > 0 ? end : "");
    }
    put(".env", text);
    const char *verb = verbs[rand() % 5], *name = names[rand() % 4];
    const char *value = strcmp(verb, "unset") == 0 ? NULL
                      : verb[0] == 's' ? values[(size_t)rand() % 12]
                      : rand() % 2 ? "x" : "a";
    back("dotenv", ".env", verb, name, value, NULL);
  }
}

int main (void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(files), cmocka_unit_test(dotenvs)};
  return cmocka_run_group_tests(tests, setup, teardown);
}
