/*
** outline_test.c - words, loader and outline: what is read, and what is wrong
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "vm/run/outline.h"
#include "vm/state.h"
#include "vm/vm.h"

static char path[] = "/tmp/rb_outline_XXXXXX.lua";

typedef struct Loaded {
  lua_State *L;
  rb_Outline o;
  rb_Problem p;
} Loaded;

static int load (Loaded *l, const char *text, size_t n) {
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  assert_int_equal(fwrite(text, 1, n, f), n);
  assert_int_equal(fclose(f), 0);
  l->L = rb_state_new();
  assert_non_null(l->L);
  rb_words_open(l->L);
  int top = lua_gettop(l->L);
  int rc = rb_outline_load(l->L, path, &l->o, &l->p);
  assert_int_equal(lua_gettop(l->L), top);
  assert_int_equal(rc, l->p.exit);
  return rc;
}

static void unload (Loaded *l) {
  rb_outline_free(l->L, &l->o);
  rb_state_free(l->L);
}

/* -- what is right --------------------------------------------------------- */

static const char good[] =
  "#!/usr/bin/env runbook\n"
  "local function yes () return true end\n"
  "return runbook {\n"
  "  title = 'All of it', system = 's', use_when = 'u', impact = 'i',\n"
  "  severity = 'P1', approve = { 'tech-lead', 'cto' }, lock = 't:{tenant}',\n"
  "  targets = 'sandbox', limits = { pg_rows = 10 },\n"
  "  params = {\n"
  "    tenant = { 'identifier', required = true, help = 'the school' },\n"
  "    mode = { 'choice', 'fast', 'slow', default = 'fast' },\n"
  "    block = { 'duration', default = '90m' },\n"
  "  },\n"
  "  step 'Is it in trouble?' { probe = yes, diagnose = true },\n"
  "  case 'on' {\n"
  "    title = 'Switch on', when = yes, severity = 'P2', approve = 'cto',\n"
  "    lock = yes, limits = { files = 1 }, params = { who = { 'email' } },\n"
  "    step 'Do it' {\n"
  "      when = yes, remedy = yes, verify = yes, undo = yes,\n"
  "      undo_when = 'asked', irreversible = 'mail is sent', timeout = '1m30s',\n"
  "      retry = { times = 3, every = '5s' }, on_failure = 'continue',\n"
  "    },\n"
  "    step 'Tell' { notify = yes, on_failure = 'warn', id = 'tell' },\n"
  "  },\n"
  "  case 'off' { when = 'asked', step 'Undo it' { manual = 'turn {tenant}' } },\n"
  "  step (yes) { manual = yes, id = 'between' },\n"
  "  case 'late' { step 'Last' { probe = yes } },\n"
  "}\n";

static void test_fields (void **state) {
  Loaded l;
  (void)state;
  assert_int_equal(load(&l, good, strlen(good)), 0);
  rb_Outline *o = &l.o;
  assert_string_equal(o->title, "All of it");
  assert_string_equal(o->severity, "P1");
  assert_string_equal(o->approve[1], "cto");
  assert_null(o->approve[2]);
  assert_string_equal(o->targets[0], "sandbox");
  assert_string_equal(o->lock.text, "t:{tenant}");
  assert_int_not_equal(o->limitsref, RB_NOREF);
  assert_true(o->file[0] == '/' && strstr(o->file, o->name) != NULL);
  assert_null(strstr(o->name, ".lua"));
  assert_int_equal(o->nparams, 4);
  assert_string_equal(o->params[0].name, "block");
  assert_string_equal(o->params[1].choices[1], "slow");
  assert_true(o->params[2].required);
  assert_string_equal(o->params[2].help, "the school");
  assert_int_equal(o->params[2].defaultref, RB_NOREF);
  assert_string_equal(o->params[3].name, "who");
  unload(&l);
}

static void test_steps (void **state) {
  Loaded l;
  (void)state;
  assert_int_equal(load(&l, good, strlen(good)), 0);
  rb_Step *s = l.o.steps;
  assert_int_equal(l.o.nsteps, 6);
  assert_string_equal(s[0].id, "is-it-in-trouble");
  assert_int_equal(s[0].line, 12);
  assert_int_equal(s[0].incase, -1);
  assert_true(s[0].diagnose);
  assert_null(s[0].approve[0]);
  assert_int_not_equal(s[0].fn[RB_PROBEFIELD], RB_NOREF);
  assert_int_equal(s[0].fn[RB_REMEDYFIELD], RB_NOREF);
  assert_int_equal(s[1].line, 16);
  assert_int_equal(s[1].incase, 0);
  assert_true(s[1].undo_asked && s[1].timeout == 90 && s[1].every == 5);
  assert_int_equal(s[1].retries, 3);
  assert_int_equal(s[1].on_failure, RB_CONTINUE);
  assert_string_equal(s[1].irreversible.text, "mail is sent");
  assert_string_equal(s[2].id, "tell");
  assert_int_equal(s[2].on_failure, RB_WARN);
  assert_string_equal(s[3].manual.text, "turn {tenant}");
  assert_null(s[4].title.text);
  assert_int_not_equal(s[4].title.ref, RB_NOREF);
  assert_int_not_equal(s[4].manual.ref, RB_NOREF);
  unload(&l);
}

static void test_cases (void **state) {
  Loaded l;
  (void)state;
  assert_int_equal(load(&l, good, strlen(good)), 0);
  rb_Case *c = l.o.cases;
  assert_int_equal(l.o.ncases, 3);
  assert_string_equal(c[0].id, "on");
  assert_int_equal(c[0].first, 1);
  assert_int_equal(c[0].count, 2);
  assert_int_not_equal(c[0].when, RB_NOREF);
  assert_int_equal(c[0].firstparam, 3);
  assert_int_equal(c[0].nparams, 1);
  assert_string_equal(c[0].approve[0], "cto");
  assert_int_not_equal(c[0].lock.ref, RB_NOREF);
  assert_true(!c[0].asked && c[1].asked);
  assert_int_equal(c[0].group, 0);
  assert_int_equal(c[1].group, 0);
  assert_int_equal(c[2].group, 1);  /* a plain step stands between */
  assert_int_equal(c[2].line, 25);
  unload(&l);
}

/* a copy: a script that keeps its table cannot raise its limits later */
static void test_limits (void **state) {
  static const char text[] =
    "local t = { pg_rows = 1 }\n"
    "local r = runbook { limits = t, step 'a' { manual = 'x' } }\n"
    "later = function () t.pg_rows = 1e9 end\n"
    "return r\n";
  Loaded l;
  (void)state;
  assert_int_equal(load(&l, text, strlen(text)), 0);
  lua_getglobal(l.L, "later");
  lua_call(l.L, 0, 0);
  lua_rawgeti(l.L, LUA_REGISTRYINDEX, l.o.limitsref);
  lua_getfield(l.L, -1, "pg_rows");
  assert_int_equal(lua_tointeger(l.L, -1), 1);
  unload(&l);
}

/* registry references are given back */
static void test_references (void **state) {
  Loaded l;
  (void)state;
  assert_int_equal(load(&l, good, strlen(good)), 0);
  rb_outline_free(l.L, &l.o);
  size_t before = lua_rawlen(l.L, LUA_REGISTRYINDEX);
  for (int i = 0; i < 20; i++) {
    assert_int_equal(rb_outline_load(l.L, path, &l.o, &l.p), 0);
    rb_outline_free(l.L, &l.o);
  }
  assert_int_equal(lua_rawlen(l.L, LUA_REGISTRYINDEX), before);
  rb_outline_free(l.L, &l.o);  /* a freed outline is an empty one */
  unload(&l);
}

static void test_expect (void **state) {
  static const char text[] =
    "assert(expect(3, 'three') == 3)\n"
    "local ok, err = pcall(expect, nil, 'a thing')\n"
    "assert(not ok and err.kind == 'expect' and err.message == 'a thing')\n"
    "return runbook { step 'a' { manual = 'x' } }\n";
  Loaded l;
  (void)state;
  assert_int_equal(load(&l, text, strlen(text)), 0);
  unload(&l);
}

/* -- what is wrong --------------------------------------------------------- */

#define STEP "step 'a' { manual = 'x' } "
#define HEAD "return runbook {\n"

static const struct Bad {
  const char *text, *kind;
  int line;
  const char *says[3];  /* parts of the message */
} bad[] = {
  /* text and syntax */
  {HEAD "  step 'a' { manual = = 1 } }", "syntax", 2,
   {"unexpected symbol near '='", "    2 |   step 'a' { manual = = 1 } }"}},
  {HEAD "  step 'a' { manual $ 'x' } }", "syntax", 2, {"^"}},
  {HEAD "  " STEP "\n  " STEP "}", "syntax", 3,
   {"is a comma missing", "    1 | return runbook {"}},
  {HEAD "  title = 'caf\xE9' }", "file", 2, {"0xE9", "offset 31", "UTF-8"}},
  {"\x1BLua", "file", 0, {"bytecode"}},
  /* what the file returns */
  {"", "shape", 0, {"returns nothing", "return runbook { ... }"}},
  {"local x = 1", "shape", 0, {"returns nothing"}},
  {"runbook { " STEP "}", "shape", 1, {"does not return it"}},
  {"return { " STEP "}", "shape", 0, {"returns a table, not a runbook"}},
  {"return " STEP, "shape", 0, {"returns a step, not a runbook"}},
  {"local r = runbook { " STEP "}\nreturn r, r", "shape", 1, {"2 values"}},
  {"local r = runbook { " STEP "}\nreturn runbook { " STEP "}", "shape", 2,
   {"makes one runbook", "line 1"}},
  /* fields */
  {HEAD "  titel = 'x', " STEP "}", "shape", 2, {"'titel'", "'title'"}},
  {HEAD "\n  step 'a' {\n    remdy = 1 } }", "shape", 4,
   {"step \"a\"", "'remdy'", "did you mean 'remedy'?"}},
  {HEAD "  step 'a' { colour = 1 } }", "shape", 2, {"'colour'", "there is"}},
  {HEAD "  case 'c' { whn = 1, " STEP "} }", "shape", 2, {"'whn'", "'when'"}},
  {HEAD "  step 'a' { remedy = 'x' } }", "shape", 2,
   {"'remedy' takes a function, not \"x\""}},
  {HEAD "  step 'a' { manual = 3 } }", "shape", 2,
   {"a string or a function of run"}},
  {HEAD "  step 'a' { manual = 'x', timeout = 90 } }", "shape", 2,
   {"say \"90s\"?"}},
  {HEAD "  step 'a' { manual = 'x', timeout = '90' } }", "shape", 2,
   {"a duration such as"}},
  {HEAD "  step 'a' { manual = 'x', retry = { times = 0 } } }", "shape", 2,
   {"from 1 to 1000, not 0"}},
  {HEAD "  step 'a' { manual = 'x', retry = { every = '1s' } } }", "shape", 2,
   {"times is missing"}},
  {HEAD "  step 'a' { manual = 'x', on_failure = 'skip' } }", "shape", 2,
   {"\"stop\", \"continue\", \"warn\", not \"skip\""}},
  {HEAD "  step 'a' { manual = 'x', undo_when = 'never' } }", "shape", 2,
   {"\"asked\""}},
  {HEAD "  step 'a' { manual = 'x', id = 'a/b' } }", "shape", 2,
   {"letters, digits"}},
  {HEAD "  step 'a' { manual = 'x', approve = {} } }", "shape", 2,
   {"a role or a list of roles"}},
  {HEAD "  targets = { 'prodution' }, " STEP "}", "shape", 2,
   {"did you mean 'production'?"}},
  {HEAD "  limits = { pg_row = 1 }, " STEP "}", "shape", 2, {"'pg_rows'"}},
  {HEAD "  limits = { pg_rows = 'x' }, " STEP "}", "shape", 2,
   {"pg_rows is \"x\""}},
  {HEAD "  case 'c' { when = 'aksed', " STEP "} }", "shape", 2, {"\"asked\""}},
  /* steps and cases */
  {HEAD "  step 'a' { when = function () end } }", "shape", 2,
   {"does nothing", "probe, remedy, verify, notify, manual"}},
  {HEAD "  " STEP ",\n  stpe 'b' { manual = 'x' } }", "script", 3,
   {"'stpe': did you mean 'step'?"}},
  {"local b\n" HEAD "  " STEP ",\n  b,\n  step 'c' { manual = 'x' } }",
   "shape", 2, {"nil at position 2 (after step \"a\")"}},
  {HEAD "  'step a', " STEP "}", "shape", 1, {"position 1", "step \"title\""}},
  {HEAD "  step 'a',\n  step 'b' { manual = 'x' } }", "shape", 2,
   {"no { ... } after its title"}},
  {HEAD "  step { manual = 'x' } }", "shape", 2, {"begins with its title"}},
  {HEAD "  step 'a' { function () end } }", "shape", 2, {"named fields"}},
  {HEAD "  step '!' { manual = 'x' } }", "shape", 2, {"id = \"...\""}},
  {HEAD "  " STEP ",\n  step 'A!' { manual = 'x' } }", "shape", 3,
   {"same id as step \"a\" on line 2"}},
  {HEAD "  case 'c' { " STEP "},\n  case 'd' {\n  " STEP "} }", "shape", 4,
   {"same id"}},
  {HEAD "  case 'c' { step 'a' { manual = 'x' } },\n"
   "  case 'c' { step 'b' { manual = 'x' } } }", "shape", 3, {"same id"}},
  {HEAD "  case 'c' { title = 'x' } }", "shape", 2, {"has no steps"}},
  {HEAD "  case 'c' { case 'd' { " STEP "} } }", "shape", 2,
   {"a case cannot hold a case"}},
  {HEAD "  case 'c d' { " STEP "} }", "shape", 2, {"begins with its id"}},
  {HEAD "  title = 'x' }", "shape", 1, {"no steps"}},
  /* parameters */
  {HEAD "  params = { a = { 'identifer' } }, " STEP "}", "shape", 2,
   {"'identifer'", "did you mean 'identifier'?"}},
  {HEAD "  params = { a = {} }, " STEP "}", "shape", 2, {"has no type"}},
  {HEAD "  params = { a = 'string' }, " STEP "}", "shape", 2,
   {"takes a table such as"}},
  {HEAD "  params = { a = { 'string', requird = true } }, " STEP "}", "shape",
   2, {"'requird'", "'required'"}},
  {HEAD "  params = { a = { 'duration', default = 90 } }, " STEP "}", "shape",
   2, {"say \"90s\"?"}},
  {HEAD "  params = { a = { 'integer', default = 'x' } }, " STEP "}", "shape",
   2, {"takes an integer, not \"x\""}},
  {HEAD "  params = { a = { 'choice' } }, " STEP "}", "shape", 2,
   {"{ \"choice\", \"a\", \"b\" }"}},
  {HEAD "  params = { a = { 'string', 'x' } }, " STEP "}", "shape", 2,
   {"only a \"choice\" does"}},
  {HEAD "  params = { a = { 'secret', default = 'x' } }, " STEP "}", "shape",
   2, {"belongs into the configuration"}},
  {HEAD "  params = { target = { 'string' } }, " STEP "}", "shape", 2,
   {"run.target is there already"}},
  {HEAD "  params = { ['a b'] = { 'string' } }, " STEP "}", "shape", 2,
   {"letters, digits and '_'"}},
  {HEAD "  params = { a = { 'string', required = true, default = 'x' } }, "
   STEP "}", "shape", 2, {"drop one"}},
  {HEAD "  params = { a = { 'string' } },\n"
   "  case 'c' { params = { a = { 'string' } }, " STEP "} }", "shape", 3,
   {"already"}},
  /* what the script does */
  {"local x\nlocal y = x.z", "script", 2, {"index a nil value"}},
  {"error { kind = 'io', message = 'no disk' }", "io", 0, {"no disk"}},
  {"error()", "script", 0, {"a nil value, not words"}},
  {"expect(false, 'the earth is round')", "expect", 1, {"the earth is round"}},
};

static void test_bad (void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    Loaded l;
    const struct Bad *b = &bad[i];
    int rc = load(&l, b->text, strlen(b->text));
    int right = rc == RB_USAGE && strcmp(l.p.kind, b->kind) == 0 &&
                l.p.line == b->line && strcmp(l.p.file, path) == 0;
    for (int k = 0; k < 3 && b->says[k] != NULL; k++)
      right = right && strstr(l.p.message, b->says[k]) != NULL;
    if (!right)
      fail_msg("%s\n-> %d %s line %d (not %d): %s", b->text, rc, l.p.kind,
               l.p.line, b->line, l.p.message);
    unload(&l);
  }
}

static void test_files (void **state) {
  rb_Outline o;
  rb_Problem p;
  lua_State *L = rb_state_new();
  (void)state;
  assert_non_null(L);
  rb_words_open(L);
  assert_int_equal(rb_outline_load(L, "/nowhere.lua", &o, &p), RB_USAGE);
  assert_non_null(strstr(p.message, "No such file"));
  assert_int_equal(rb_outline_load(L, "/", &o, &p), RB_USAGE);
  assert_non_null(strstr(p.message, "a folder"));
  rb_state_free(L);
}

static void test_big (void **state) {
  size_t n = (1 << 20) + 2;
  char *text = malloc(n);
  Loaded l;
  (void)state;
  assert_non_null(text);
  memset(text, '\n', n);
  assert_int_equal(load(&l, text, n), RB_USAGE);
  assert_non_null(strstr(l.p.message, "at most 1024 KB"));
  free(text);
  unload(&l);
}

/* memory runs out at one place after the other: a problem, no crash, no leak */
static void test_memory (void **state) {
  Loaded l;
  (void)state;
  assert_int_equal(load(&l, good, strlen(good)), 0);
  rb_outline_free(l.L, &l.o);
  rb_VM *vm = rb_vm(l.L);
  size_t all = vm->maxmemory;
  int failures = 0, rc = 1;
  for (size_t more = 0; rc != 0 && more < all; more += 64) {
    lua_gc(l.L, LUA_GCCOLLECT);
    vm->maxmemory = vm->memory + more;
    rc = rb_outline_load(l.L, path, &l.o, &l.p);
    vm->maxmemory = all;
    failures += rc != 0;
    if (rc != 0) assert_non_null(strstr(l.p.message, "not enough memory"));
  }
  assert_int_equal(rc, 0);
  assert_true(failures > 50);
  unload(&l);
}

static int setup (void **state) {
  (void)state;
  int fd = mkstemps(path, 4);
  return fd < 0 ? -1 : close(fd);
}

static int teardown (void **state) {
  (void)state;
  return unlink(path);
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_fields), cmocka_unit_test(test_steps),
    cmocka_unit_test(test_cases), cmocka_unit_test(test_limits),
    cmocka_unit_test(test_references), cmocka_unit_test(test_expect),
    cmocka_unit_test(test_bad), cmocka_unit_test(test_files),
    cmocka_unit_test(test_big), cmocka_unit_test(test_memory)
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
