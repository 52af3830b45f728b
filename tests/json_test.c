/*
** json_test.c - what a program reads
*/

#include "tests/report.h"

/* valid by the schema, if there is something here that can tell */
static void valid (void) {
  static const char program[] =
    "import json, sys\n"
    "try: import jsonschema\n"
    "except ImportError: sys.exit(0)\n"
    "jsonschema.validate(json.load(open(sys.argv[1])),\n"
    "                    json.load(open('docs/run.schema.json')))\n";
  char name[] = "/tmp/rb-show.XXXXXX", command[900];
  int fd = mkstemp(name);
  assert_int_equal(write(fd, got, strlen(got)), strlen(got));
  close(fd);
  if (access("docs/run.schema.json", R_OK) != 0 ||
      system("command -v python3 >/dev/null") != 0) { unlink(name); return; }
  snprintf(command, sizeof command, "python3 -c \"%s\" %s", program, name);
  int rc = system(command);
  unlink(name);
  if (rc != 0) fail_msg("not as the schema says: %s", got);
}

static void test_json (void **state) {
  static const char *const keys[] = {
    "{\"run\":\"01JD8Z3V5MTRKQX0YB7N2C4EFG\",\"runbook\":\"tenant_isolation\",",
    "\"target\":\"local\",\"mode\":\"dry-run\",\"status\":\"planned\",\"exit\":0,",
    "\"protocol\":[\"http\",\"redis\"],\"kernel\":true},", "\"cases\":[\"isolate\"],",
    "\"before\":null,\"after\":{\"value\":\"true\",\"type\":\"string\",\"ttl\":3600}",
    "\"verify\":\"deferred\"", "\"error\":null}\n"
  };
  Made m;
  (void)state;
  dry(&m);
  m.effects[2].before = json("{\"value\": \"status = 'x'\"}");
  m.effects[1].before = json("{\"diff\": \"+x\\n\", \"value\": 1}");
  show(&m, (Looks){0, 0, 1});
  valid();
  m.effects[1].before = NULL;
  show(&m, (Looks){0, 0, 1});
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) has(keys[i]);
  assert_ptr_equal(strchr(got, '\n'), got + strlen(got) - 1);  /* one line */
  failed(&m);
  m.steps[0].title = T("not \xff UTF-8");
  show(&m, (Looks){0, 0, 1});
  valid();
  has("\"title\":\"not \\\\xff UTF-8\"");
  has("\"outcome\":\"failed\"");
  hasnot("verdict");
  has("\"error\":{\"kind\":\"server\",\"message\":\"relation \\\"greenwood_high."
      "user_sessions\\\" does not exist\",\"certainty\":\"not done\",\"step\":"
      "\"revoke-its-active-sessions\",\"file\":\"tenant_isolation.lua\","
      "\"line\":42}}\n");
}

static void test_problem (void **state) {
  rb_Problem p;
  FILE *file;
  (void)state;
  rb_problem(&p, 2, "usage", "unknown option --dryrun: did you mean --dry-run?");
  int old = catch_(STDERR_FILENO, &file);
  rb_show_problem(&p, 0);
  caught(STDERR_FILENO, old, file);
  is("runbook: unknown option --dryrun: did you mean --dry-run?\n");
  strcpy(p.file, "x.lua");
  p.line = 7;
  old = catch_(STDERR_FILENO, &file);
  rb_show_problem(&p, 0);
  caught(STDERR_FILENO, old, file);
  is("runbook: x.lua:7: unknown option --dryrun: did you mean --dry-run?\n");
  old = catch_(STDOUT_FILENO, &file);
  rb_show_problem(&p, 1);
  caught(STDOUT_FILENO, old, file);
  valid();
  has("{\"run\":null,");
  has("\"exit\":2,");
  has("\"file\":\"x.lua\",\"line\":7}}\n");
}

/* memory that runs out at each allocation of JSON: all of it or an apology */
static long countdown = -1;

static void *scarce (size_t n) {
  if (countdown == 0) return NULL;
  if (countdown > 0) countdown--;
  return malloc(n);
}

static void test_memory (void **state) {
  Made m;
  long n = 0;
  (void)state;
  dry(&m);
  char *whole = rb_json_report(&m.r), *s = NULL;
  assert_non_null(whole);
  json_set_alloc_funcs(scarce, free);
  for (; s == NULL; n++) {
    countdown = n;
    s = rb_json_report(&m.r);
    countdown = -1;
    if (s != NULL) assert_string_equal(s, whole);
  }
  json_set_alloc_funcs(malloc, free);
  assert_true(n > 100);
  free(s);
  free(whole);
}

int main (void) {
  const struct CMUnitTest tests[] = {
    test(test_json), test(test_problem), test(test_memory)
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
