/*
** memory_test.c - memory that runs out at each allocation of the modules that own
** descriptors, children and folders: nothing of them may be left
*/

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <lualib.h>

#include "vm/state.h"
#include "vm/vm.h"

#define MAXTRIES 5000

static char folder[64];

/* -- memory that runs out once --------------------------------------------------- */

static lua_Alloc stock;
static void *stockud;
static long countdown;  /* 0: never */

static void *failing (void *ud, void *p, size_t old, size_t n) {
  (void)ud;
  if (n > (p != NULL ? old : 0) && countdown > 0 && --countdown == 0) return NULL;
  return stock(stockud, p, old, n);
}

/* -- what must not be left ---------------------------------------------------------- */

static int entries (const char *path) {
  DIR *d = opendir(path);
  int n = 0;
  if (d == NULL) return -1;
  while (readdir(d) != NULL) n++;
  closedir(d);
  return n;
}

static int children (void) {
  return waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD ? 0 : 1;
}

/* -- one primitive, with memory that fails at its n-th allocation ---------------------- */

static lua_State *openstate (void) {
  rb_Problem p = {0};
  char config[128];
  lua_State *L = rb_state_new();
  assert_non_null(L);
  rb_VM *vm = rb_vm(L);
  vm->loading = 0;
  snprintf(config, sizeof config, "%s/config.lua", folder);
  vm->config = rb_config_load(config, &p);
  if (vm->config != NULL) vm->target = rb_config_open(vm->config, NULL, &p);
  if (vm->target == NULL) fail_msg("%s", p.message);
  return L;
}

/* 1: it got through without a failing allocation */
static int attempt (lua_State *L, const char *code, long n) {
  rb_VM *vm = rb_vm(L);
  rb_FieldRun f = {.word = "remedy", .may = RB_MAYPROBE | RB_MAYREMEDY};
  if (luaL_loadstring(L, code) != LUA_OK) fail_msg("%s", lua_tostring(L, -1));
  rb_Task *t = rb_task_new(L, NULL, &f, "t", 0);
  countdown = n;
  rb_loop_run(vm, &f);
  int through = countdown > 0;
  countdown = 0;
  if (through && (t->status != LUA_OK || f.stop != RB_GO))
    fail_msg("%s: %s", code, f.why[0] != '\0' ? f.why : luaL_tolstring(t->L, -1, NULL));
  rb_task_free(t);
  lua_gc(L, LUA_GCCOLLECT, 0);
  return through;
}

static void everyallocation (const char *code) {
  char scratch[128];
  snprintf(scratch, sizeof scratch, "%s/scratch", folder);
  lua_State *L = openstate();
  attempt(L, code, MAXTRIES * 100);  /* loads the module */
  stock = lua_getallocf(L, &stockud);
  lua_setallocf(L, failing, NULL);
  int open = entries("/proc/self/fd");
  long n = 1;
  while (n < MAXTRIES && !attempt(L, code, n)) {
    if (entries("/proc/self/fd") != open)
      fail_msg("%s: a descriptor is left after allocation %ld", code, n);
    if (children()) fail_msg("%s: a child is left after allocation %ld", code, n);
    if (entries(scratch) != 2) fail_msg("%s: a folder is left after %ld", code, n);
    n++;
  }
  assert_true(n > 10 && n < MAXTRIES);
  lua_setallocf(L, stock, stockud);
  rb_Config *config = rb_vm(L)->config;
  rb_state_free(L);
  rb_config_free(config);
}

static void probe (void **state) {
  (void)state;
  everyallocation("assert(exec.probe{ 'sh', '-c', 'cat; echo e >&2', stdin = 'x',"
                  " env = { A = 'b' } }.stdout == 'x')");
}

static void run (void **state) {
  (void)state;
  everyallocation("exec.run{ 'sh', '-c', 'true', expect = { 0 } }");
}

static void file (void **state) {
  char code[512];
  (void)state;
  snprintf(code, sizeof code, "local d = '%s/data' file.remove(d .. '/b') "
           "file.remove(d .. '/c') file.write(d .. '/a', 'x') file.write(d .. '/a', 'y') "
           "file.copy(d .. '/a', d .. '/b') file.move(d .. '/b', d .. '/c') file.list(d) "
           "file.hash(d .. '/c') "
           "file.remove(d .. '/c')", folder);
  everyallocation(code);
}

static void dotenv (void **state) {
  (void)state;
  everyallocation("local e = system('app').dotenv e:set('A', 'x y') e:unset('A') "
                  "e:add('L', 'i') e:remove('L', 'i')");
}

/* -- around ------------------------------------------------------------------------------ */

static void put (const char *name, const char *text) {
  char path[128];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fputs(text, f);
  fclose(f);
  chmod(path, 0600);
}

static int setup (void **state) {
  char path[128], config[512];
  (void)state;
  strcpy(folder, "/tmp/rbmemory.XXXXXX");
  if (mkdtemp(folder) == NULL) return -1;
  snprintf(path, sizeof path, "%s/scratch", folder);
  mkdir(path, 0700);
  setenv("TMPDIR", path, 1);
  snprintf(path, sizeof path, "%s/data", folder);
  mkdir(path, 0700);
  put("data/.env", "A=1\nL=\n");
  snprintf(config, sizeof config, "return { target = 'l', targets = { l = { kind = "
           "'sandbox', allow = { files = { '%s/data' }, programs = { 'sh' } }, systems = "
           "{ app = { dotenv = '%s/data/.env' } } } } }", folder, folder);
  put("config.lua", config);
  return 0;
}

static int teardown (void **state) {
  char command[128];
  (void)state;
  snprintf(command, sizeof command, "rm -rf %s", folder);
  return system(command);
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(probe), cmocka_unit_test(run), cmocka_unit_test(file),
    cmocka_unit_test(dotenv)
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
