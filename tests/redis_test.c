/*
** redis_test.c - what a script cannot ask for: memory that runs out at each
** allocation of a redis call (no connection is left over, none is used twice, and
** the next call works), and what became of a deed without an outcome
*/

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <lualib.h>

#include "vm/state.h"
#include "vm/vm.h"

#define MAXTRIES 20000
#define KEPT 3  /* connections that may stay open: the probes' one, and remedies' */

static char folder[64];
static pid_t server;

/* -- memory that runs out once --------------------------------------------------- */

static lua_Alloc stock;
static void *stockud;
static long countdown;  /* 0: never */

static void *failing (void *ud, void *p, size_t old, size_t n) {
  (void)ud;
  if (n > (p != NULL ? old : 0) && countdown > 0 && --countdown == 0) return NULL;
  return stock(stockud, p, old, n);
}

static int descriptors (void) {
  DIR *d = opendir("/proc/self/fd");
  int n = 0;
  if (d == NULL) return -1;
  while (readdir(d) != NULL) n++;
  closedir(d);
  return n;
}

/* -- one piece of script, with memory that fails at its n-th allocation ------------- */

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
  static const char check[] = "local r = system('s').redis assert(r:ping() == 'PONG') "
                              "assert(r:set('check', r:dbsize()) == 'OK')";
  lua_State *L = openstate();
  attempt(L, check, MAXTRIES * 100L);  /* loads the module, opens connections */
  stock = lua_getallocf(L, &stockud);
  lua_setallocf(L, failing, NULL);
  int open = descriptors();
  long n = 1;
  for (; n < MAXTRIES && !attempt(L, code, n); n++) {
    if (descriptors() > open + KEPT)
      fail_msg("%s: a connection is left after allocation %ld", code, n);
    attempt(L, check, MAXTRIES * 100L);
  }
  assert_true(n > 10 && n < MAXTRIES);
  lua_setallocf(L, stock, stockud);
  rb_Config *config = rb_vm(L)->config;
  rb_state_free(L);
  rb_config_free(config);
}

static void probes (void **state) {
  (void)state;
  everyallocation("local r = system('s').redis r:set('k', 'v') assert(r:get('k') == 'v') "
    "assert(#r:scan('*') > 0) assert(r:info('server').process_id) r:mget('k', 'l') "
    "r:command('HMGET', 'h', 'a')");
}

static void remedies (void **state) {
  (void)state;
  everyallocation("local r = system('s').redis r:del('k', 'l', 'h', 'z', 's') "
    "r:set('k', 'v', { ex = '1h' }) r:rpush('l', 'a', 'b') r:hset('h', { a = 1 }) "
    "r:zadd('z', 1, 'm') r:sadd('s', 'x') r:rename('k', 'k2') r:expire('k2', '1s') "
    "r:command('LPOP', 'l') r:lrem('l', 0, 'b') r:del('k2')");
}

static void restore (void **state) {
  (void)state;
  everyallocation("local r = system('s').redis r:set('k', 'v') "
    "local d = r:command('DUMP', 'k') r:del('k') r:restore{ { key = 'k', dump = d } }");
}

static void lost (void **state) {
  (void)state;
  everyallocation("local r = system('s').redis local ok = pcall(r.command, r, "
    "'CLIENT', 'KILL', 'TYPE', 'normal') r:ping() r:set('k', 'v') r:ping()");
}

static void pure (void **state) {
  (void)state;
  everyallocation("local t = json.decode(json.encode { a = { 1, json.array(), 'x' } }) "
    "assert(json.encode(t) == '{\"a\":[1,[],\"x\"]}') text.table { { a = 1, b = 'x' } } "
    "text.render('{a}', { a = 1 }) text.wrap('a b c', 2) text.similarity('abc', 'abd')");
}

/* -- deeds in doubt -------------------------------------------------------------------- */

/* the answer of settle for the facts that the Lua code returns */
static void settles (lua_State *L, const char *prepare, const char *facts,
                     const char *expected) {
  rb_VM *vm = rb_vm(L);
  rb_FieldRun f = {.word = "probe", .may = RB_MAYPROBE};
  attempt(L, prepare, MAXTRIES * 100L);
  lua_pushcfunction(L, rb_module_load(L, "redis")->settle);
  rb_ResourceBox *box = rb_push_resource(L, "s", "redis");
  if (luaL_dostring(L, facts) != LUA_OK) fail_msg("%s", lua_tostring(L, -1));
  rb_Task *t = rb_task_new(L, NULL, &f, "t", 2);
  t->call.box = box;
  t->call.effect = RB_PROBE;
  t->calling = 1;
  rb_loop_run(vm, &f);
  t->calling = 0;
  if (t->status != LUA_OK) fail_msg("%s", luaL_tolstring(t->L, -1, NULL));
  const char *got = luaL_tolstring(t->L, -1, NULL);
  if (strcmp(got, expected) != 0) fail_msg("%s: %s, not %s", facts, got, expected);
  rb_task_free(t);
}

#define NOW "local r = system('s').redis "
#define STRING(v) "{ type = 'string', value = '" v "' }"
#define BEFORE "image = { { key = 'k', type = 'string', packed = 'old' } }, "

static void settle (void **state) {
  (void)state;
  lua_State *L = openstate();
  settles(L, NOW "r:set('k', 'old')", "return { " BEFORE "leaves = { " STRING("new")
          " }, at = 0 }", "not done");
  settles(L, NOW "r:set('k', 'new')", "return { " BEFORE "leaves = { " STRING("new")
          " }, at = 0 }", "done");
  settles(L, NOW "r:set('k', 'other')", "return { " BEFORE "leaves = { " STRING("new")
          " }, at = 0 }", "nil");
  settles(L, NOW "r:set('k', 'new', { ex = '1h' })", "return { " BEFORE "leaves = { "
          STRING("new") " }, at = 0 }", "nil");
  settles(L, NOW "r:set('k', 'old')", "return { " BEFORE "at = 0 }", "not done");
  settles(L, NOW "r:del('k')", "return { " BEFORE "leaves = { { type = 'none' } }, "
          "at = 0 }", "done");
  settles(L, NOW "r:del('k')", "return { image = { { key = 'k', type = 'none' } }, leaves "
          "= { { type = 'string', value = 'x', ttl = 1 } }, at = 0 }", "nil");
  settles(L, NOW "r:del('h') r:hset('h', { a = 1, b = 2 })", "return { image = { { key = "
          "'h', type = 'none' } }, leaves = { { type = 'hash', value = { a = '1', b = '2' } "
          "} }, at = 0 }", "done");
  settles(L, NOW "r:ping()", "return { at = 0 }", "nil");
  rb_Config *config = rb_vm(L)->config;
  rb_state_free(L);
  rb_config_free(config);
}

/* -- around ------------------------------------------------------------------------ */

static void writeconfig (void) {
  char path[128];
  snprintf(path, sizeof path, "%s/config.lua", folder);
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fprintf(f, "return { target = 'l', targets = { l = { kind = 'sandbox', systems = "
          "{ s = { redis = 'unix://%s/socket' } } } } }", folder);
  fclose(f);
  chmod(path, 0600);
}

/* does somebody listen there? */
static int listening (const char *path) {
  struct sockaddr_un a = {.sun_family = AF_UNIX};
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  strncpy(a.sun_path, path, sizeof a.sun_path - 1);
  int up = connect(fd, (struct sockaddr *)&a, sizeof a) == 0;
  close(fd);
  return up;
}

static int setup (void **state) {
  char path[128], log[128];
  (void)state;
  strcpy(folder, "/tmp/rbredis.XXXXXX");
  if (mkdtemp(folder) == NULL) return -1;
  snprintf(path, sizeof path, "%s/socket", folder);
  snprintf(log, sizeof log, "%s/log", folder);
  writeconfig();
  server = fork();
  if (server == 0) {
    execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", path, "--save",
           "", "--logfile", log, "--dir", folder, (char *)NULL);
    _exit(127);
  }
  for (int i = 0; i < 500 && !listening(path); i++) usleep(20000);
  return listening(path) ? 0 : -1;
}

static int teardown (void **state) {
  char command[128];
  (void)state;
  kill(server, SIGKILL);
  waitpid(server, NULL, 0);
  snprintf(command, sizeof command, "rm -rf %s", folder);
  return system(command);
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(probes), cmocka_unit_test(remedies), cmocka_unit_test(restore),
    cmocka_unit_test(lost), cmocka_unit_test(pure), cmocka_unit_test(settle)
  };
  signal(SIGPIPE, SIG_IGN);
  return cmocka_run_group_tests(tests, setup, teardown);
}
