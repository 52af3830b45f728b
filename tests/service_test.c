/*
** service_test.c - what became of a start, stop or restart without an outcome
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "vm/state.h"
#include "vm/vm.h"

static char folder[64];

static void writefile (const char *name, const char *text, unsigned mode) {
  char path[128];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fputs(text, f);
  fclose(f);
  chmod(path, mode);
}

/* what the stand-in for systemctl says from now on */
static void setunit (const char *active, int pid) {
  char text[128];
  snprintf(text, sizeof text, "LoadState=loaded\nActiveState=%s\nMainPID=%d\n", active, pid);
  writefile("unit", text, 0644);
}

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

/* the answer of settle to a deed of 'ago' seconds ago, by process 'pid' */
static void settles (lua_State *L, const char *action, const char *before, int ago, int pid,
                     long long start, const char *expected) {
  rb_VM *vm = rb_vm(L);
  rb_FieldRun f = {.word = "probe", .may = RB_MAYPROBE};
  lua_pushcfunction(L, rb_module_load(L, "service")->settle);
  rb_ResourceBox *box = rb_push_resource(L, "s", "service");
  lua_newtable(L);
  lua_pushstring(L, action);
  lua_setfield(L, -2, "action");
  lua_pushstring(L, before);
  lua_setfield(L, -2, "before");
  lua_pushinteger(L, (lua_Integer)time(NULL) - ago);
  lua_setfield(L, -2, "at");
  lua_pushinteger(L, pid);
  lua_setfield(L, -2, "pid");
  lua_pushinteger(L, start);
  lua_setfield(L, -2, "start");
  rb_Task *t = rb_task_new(L, NULL, &f, "t", 2);
  t->call.box = box;
  t->call.effect = RB_PROBE;
  t->calling = 1;
  rb_loop_run(vm, &f);
  t->calling = 0;
  if (t->status != LUA_OK) fail_msg("%s", luaL_tolstring(t->L, -1, NULL));
  const char *got = luaL_tolstring(t->L, -1, NULL);
  if (strcmp(got, expected) != 0)
    fail_msg("%s from \"%s\": %s, not %s", action, before, got, expected);
  rb_task_free(t);
}

/* field 22 of our own stat: we are a client that is still at it */
static long long ourstart (void) {
  char text[1024] = "";
  FILE *f = fopen("/proc/self/stat", "r");
  assert_non_null(f);
  assert_true(fread(text, 1, sizeof text - 1, f) > 0);
  fclose(f);
  const char *p = strrchr(text, ')');
  for (int field = 2; field < 22; field++) p = strchr(p + 1, ' ');
  return strtoll(p + 1, NULL, 10);
}

static void settle (void **state) {
  (void)state;
  lua_State *L = openstate();
  setunit("active", 7);
  settles(L, "start", "stopped", 0, 0, 0, "done");
  settles(L, "restart", "online, pid 6", 0, 0, 0, "done");
  settles(L, "restart", "online, pid 7", 100, 0, 0, "not done");
  settles(L, "restart", "online, pid 7", 1, 0, 0, "nil");  /* it may still come */
  settles(L, "restart", "online, pid 7", 100, (int)getpid(), ourstart(), "nil");
  settles(L, "stop", "online, pid 7", 100, 0, 0, "not done");
  settles(L, "stop", "online, pid 6", 100, 0, 0, "nil");  /* somebody started it */
  setunit("inactive", 0);
  settles(L, "stop", "online, pid 7", 0, 0, 0, "done");
  settles(L, "start", "stopped", 100, 0, 0, "not done");
  settles(L, "restart", "online, pid 7", 100, 0, 0, "nil");  /* half a restart */
  setunit("failed", 0);
  settles(L, "stop", "online, pid 7", 0, 0, 0, "done");
  settles(L, "start", "stopped", 100, 0, 0, "nil");
  rb_Config *config = rb_vm(L)->config;
  rb_state_free(L);
  rb_config_free(config);
}

static int setup (void **state) {
  char text[512];
  (void)state;
  strcpy(folder, "/tmp/rbservice.XXXXXX");
  if (mkdtemp(folder) == NULL) return -1;
  snprintf(text, sizeof text, "#!/bin/sh\ncat %s/unit\n", folder);
  writefile("systemctl", text, 0755);
  snprintf(text, sizeof text, "return { target = 'l', targets = { l = { kind = 'sandbox', "
           "systems = { s = { service = { url = 'systemd:web', program = '%s/systemctl' } } "
           "} } } }", folder);
  writefile("config.lua", text, 0600);
  return 0;
}

static int teardown (void **state) {
  char command[128];
  (void)state;
  snprintf(command, sizeof command, "rm -rf %s", folder);
  return system(command);
}

int main (void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(settle)};
  return cmocka_run_group_tests(tests, setup, teardown);
}
