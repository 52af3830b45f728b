/*
** config_test.c - what a configuration may say, and what a wrong one is told
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
#include <lauxlib.h>
#include <lualib.h>

#include "vm/config/config.h"
#include "vm/redact.h"

static char folder[64], file[100];
static rb_Problem p;
static lua_State *L;

static void write_file (const char *path, const char *text, size_t n) {
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  assert_int_equal(fwrite(text, 1, n, f), n);
  assert_int_equal(fclose(f), 0);
}

static void put (const char *path, const char *text) {
  write_file(path, text, strlen(text));
}

static rb_Config *load (const char *text) {
  put(file, text);
  return rb_config_load(file, &p);
}

static rb_Config *loaded (const char *text) {
  rb_Config *c = load(text);
  if (c == NULL) print_message("%s:%d: %s\n", p.file, p.line, p.message);
  assert_non_null(c);
  return c;
}

static rb_Target *opened (rb_Config *c, const char *name) {
  rb_Target *t = rb_config_open(c, name, &p);
  if (t == NULL) print_message("%s:%d: %s\n", p.file, p.line, p.message);
  assert_non_null(t);
  return t;
}

static void is (const char *const *list, const char *expected) {
  char all[400] = "";
  assert_non_null(list);
  for (; *list != NULL; list++) {
    strcat(all, *list);
    if (list[1] != NULL) strcat(all, " ");
  }
  assert_string_equal(all, expected);
}

static void contains (const char *text, const char *part) {
  if (strstr(text, part) == NULL) print_message("no '%s' in: %s\n", part, text);
  assert_non_null(strstr(text, part));
}

#define TARGET(body) \
  "return { target = 't', targets = { t = { kind = 'sandbox', " body " } } }"
#define SYSTEM(body) TARGET("systems = { s = { " body " } }")

static int setup (void **state) {
  (void)state;
  strcpy(folder, "/tmp/rb_config_XXXXXX");
  assert_non_null(mkdtemp(folder));
  snprintf(file, sizeof file, "%s/c.lua", folder);
  p = (rb_Problem){0};
  L = luaL_newstate();
  assert_non_null(L);
  luaL_openlibs(L);
  unsetenv("CREDENTIALS_DIRECTORY");
  return 0;
}

static int teardown (void **state) {
  char command[100];
  (void)state;
  lua_close(L);
  rb_redact_free();
  snprintf(command, sizeof command, "rm -rf %s", folder);
  return system(command);
}

/* -- the example of the design --------------------------------------------- */

static const char example[] =
  "return {\n"
  "  target   = 'local',\n"
  "  runbooks = { 'runbooks', '/opt/runbooks', './more' },\n"
  "  roles    = { ['senior-engineer'] = { 'kim' }, cto = { 'ada', 'kim' }, none = {} },\n"
  "  targets  = {\n"
  "    ['local'] = {\n"
  "      kind     = 'sandbox',\n"
  "      defaults = { tenant_isolation = { tenant = 'greenwood_high' } },\n"
  "      allow    = { files = { '/srv/erp', 'data' }, programs = { 'pm2', '/opt/x' },\n"
  "                   hosts = { '127.0.0.1', 'Example.org' } },\n"
  "      limits   = { pg_rows = 50000, files = 0 },\n"
  "      notify   = { slack = { ['#ops'] = secret 'RBT_SLACK' },\n"
  "                   mail = { smtp = 'smtp://127.0.0.1:2525', from = 'a@b.org' },\n"
  "                   pagerduty = secret 'RBT_SLACK' },\n"
  "      systems  = {\n"
  "        school_erp = {\n"
  "          http = 'http://127.0.0.1:3000', pg = env 'RBT_PG',\n"
  "          redis = { url = 'redis://127.0.0.1:6379/0', probe = 'redis://u:p%40ss%2Fword@h/0' },\n"
  "          dotenv = '.env', service = 'pm2:school-erp-server', log = '/var/log/x.log',\n"
  "          backup = { path = 'backups' },\n"
  "          settings = { preflight = { 'pnpm', 'tenant:preflight' }, n = 3, f = 0.5,\n"
  "                       yes = true, key = secret 'RBT_SLACK' },\n"
  "          schema = {},\n"
  "        },\n"
  "        other = { http = { url = 'https://h', headers = { A = secret 'RBT_SLACK' },\n"
  "                  probes = { 'POST /search' }, timeout = '5s' } },\n"
  "      },\n"
  "    },\n"
  "    prod = { systems = { school_erp = { pg = env 'RBT_UNSET' } } },\n"
  "  },\n"
  "}\n";

static void pushsecret (lua_State *to, const char *name, const char *text, size_t n) {
  lua_pushfstring(to, "%s<%s>", name, text);
  assert_int_equal(strlen(text), n);
}

/* what 'key' of a resource is, as a text */
static const char *setting (rb_Target *t, const char *kind, const char *key) {
  lua_settop(L, 0);
  rb_target_resource(t, L, "school_erp", kind, key, pushsecret);
  assert_int_equal(lua_gettop(L), 1);
  return lua_tostring(L, 1);
}

static rb_Config *useexample (void) {
  setenv("RBT_SLACK", "https://hooks.example/abc", 1);
  setenv("RBT_PG", "postgresql://erp:hush-hush@127.0.0.1/erp?sslpassword=also-secret", 1);
  return loaded(example);
}

static void lists (void **state) {
  (void)state;
  char expected[300];
  rb_Config *c = useexample();
  assert_string_equal(rb_config_file(c), file);
  snprintf(expected, sizeof expected, "%s/runbooks /opt/runbooks %s/more", folder, folder);
  is(rb_config_runbooks(c), expected);
  is(rb_config_targets(c), "local prod");
  is(rb_config_role(c, "cto"), "ada kim");
  is(rb_config_role(c, "none"), "");
  assert_null(rb_config_role(c, "ceo"));
  rb_config_free(c);
}

static void atarget (void **state) {
  (void)state;
  rb_Config *c = useexample();
  rb_Target *t = opened(c, NULL);
  assert_string_equal(rb_target_name(t), "local");
  assert_string_equal(rb_target_kind(t), "sandbox");
  is(rb_target_systems(t), "other school_erp");
  is(rb_target_resources(t, "school_erp"), "backup dotenv http log pg redis service");
  is(rb_target_resources(t, "other"), "http");
  assert_null(rb_target_resources(t, "none"));
  assert_int_equal(rb_target_limit(t, "pg_rows"), 50000);
  assert_int_equal(rb_target_limit(t, "files"), 0);
  assert_int_equal(rb_target_limit(t, "notices"), -1);
  is(rb_target_resources(opened(c, NULL), "school_erp"),
     "backup dotenv http log pg redis service");  /* opened twice */
  rb_config_free(c);
}

static void resources (void **state) {
  (void)state;
  char expected[120];
  rb_Config *c = useexample();
  rb_Target *t = opened(c, NULL);
  assert_string_equal(setting(t, "http", "url"), "http://127.0.0.1:3000");
  assert_null(setting(t, "http", "probe"));
  assert_null(setting(t, "mail", "url"));
  contains(setting(t, "pg", "url"), "hush-hush");
  assert_string_equal(setting(t, "redis", "url"), "redis://127.0.0.1:6379/0");
  snprintf(expected, sizeof expected, "%s/.env", folder);
  assert_string_equal(setting(t, "dotenv", "path"), expected);
  snprintf(expected, sizeof expected, "%s/backups", folder);
  assert_string_equal(setting(t, "backup", "path"), expected);
  assert_string_equal(setting(t, "log", "path"), "/var/log/x.log");
  assert_string_equal(setting(t, "service", "url"), "pm2:school-erp-server");
  rb_config_free(c);
}

/* the value of a Lua expression over v, the table pushed */
static const char *eval (const char *expression) {
  lua_setglobal(L, "v");
  lua_settop(L, 0);
  lua_pushfstring(L, "return %s", expression);
  assert_int_equal(luaL_dostring(L, lua_tostring(L, 1)), 0);
  return luaL_tolstring(L, -1, NULL);
}

static void parts (void **state) {
  (void)state;
  rb_Config *c = useexample();
  rb_Target *t = opened(c, NULL);
  rb_target_system(t, L, "school_erp", "settings", pushsecret);
  assert_string_equal(eval("table.concat(v.preflight, ' ') .. math.type(v.n) .. v.f "
      ".. tostring(v.yes) .. v.key"), "pnpm tenant:preflightinteger0.5true"
      "RBT_SLACK<https://hooks.example/abc>");
  rb_target_part(t, L, "defaults", pushsecret);
  assert_string_equal(eval("v.tenant_isolation.tenant"), "greenwood_high");
  rb_target_part(t, L, "notify", pushsecret);
  assert_string_equal(eval("v.slack['#ops'] .. v.mail.from"),
                      "RBT_SLACK<https://hooks.example/abc>a@b.org");
  rb_target_part(t, L, "nothing", pushsecret);
  assert_true(lua_isnil(L, -1));
  rb_target_system(t, L, "none", "settings", pushsecret);
  assert_true(lua_isnil(L, -1));
  rb_config_free(c);
}

static void allowed (void **state) {
  (void)state;
  char below[200], beside[200];
  rb_Config *c = useexample();
  rb_Target *t = opened(c, NULL);
  snprintf(below, sizeof below, "%s/data/x", folder);
  snprintf(beside, sizeof beside, "%s/database", folder);
  assert_true(rb_target_allows(t, "files", "/srv/erp"));
  assert_true(rb_target_allows(t, "files", "/srv/erp/a/b"));
  assert_false(rb_target_allows(t, "files", "/srv/erpx"));
  assert_false(rb_target_allows(t, "files", "/srv"));
  assert_true(rb_target_allows(t, "files", below));
  assert_false(rb_target_allows(t, "files", beside));
  assert_true(rb_target_allows(t, "programs", "pm2"));
  assert_true(rb_target_allows(t, "programs", "/usr/bin/pm2"));
  assert_true(rb_target_allows(t, "programs", "/opt/x"));
  assert_false(rb_target_allows(t, "programs", "x"));
  assert_false(rb_target_allows(t, "programs", "/usr/bin/pm22"));
  assert_true(rb_target_allows(t, "hosts", "127.0.0.1"));
  assert_true(rb_target_allows(t, "hosts", "example.ORG"));
  assert_false(rb_target_allows(t, "hosts", "example.com"));
  assert_false(rb_target_allows(t, "nothing", "x"));
  rb_config_free(c);
}

static void nothing_allowed (void **state) {
  (void)state;
  rb_Config *c = loaded(TARGET(""));
  rb_Target *t = opened(c, NULL);
  assert_false(rb_target_allows(t, "files", "/"));
  assert_false(rb_target_allows(t, "programs", "ls"));
  is(rb_target_systems(t), "");
  rb_config_free(c);
}

static void real_folder (void **state) {
  (void)state;
  char real[100], link[100], text[300];
  snprintf(real, sizeof real, "%s/real", folder);
  snprintf(link, sizeof link, "%s/link", folder);
  assert_int_equal(mkdir(real, 0700), 0);
  assert_int_equal(symlink(real, link), 0);
  rb_Config *c = loaded(TARGET("allow = { files = { 'link' } }"));
  snprintf(text, sizeof text, "%s/x", real);
  assert_true(rb_target_allows(opened(c, NULL), "files", text));
  rb_config_free(c);
}

/* -- secrets --------------------------------------------------------------- */

static void redacted (const char *text, const char *expected) {
  rb_Buffer b = {0};
  rb_redact(&b, text, strlen(text));
  assert_string_equal(b.s, expected);
  rb_buffer_free(&b);
}

static void passwords (void **state) {
  (void)state;
  rb_Config *c = useexample();
  redacted("hush-hush", "hush-hush");  /* nobody has used it yet */
  opened(c, NULL);
  redacted("x hush-hush", "x [redacted school_erp.pg password]");
  redacted("x also-secret", "x [redacted school_erp.pg password]");
  redacted("p@ss/word p%40ss%2fword", "[redacted school_erp.redis.probe password] "
           "[redacted school_erp.redis.probe password]");
  redacted("https://hooks.example/abc", "[redacted RBT_SLACK]");
  rb_config_free(c);
}

static void settings_named_password (void **state) {
  (void)state;
  rb_Config *c = loaded(SYSTEM("settings = { login = { password = 'correct-horse' } }"));
  opened(c, NULL);
  redacted("correct-horse", "[redacted s.settings.login.password]");
  rb_config_free(c);
}

static void weak (void **state) {
  (void)state;
  setenv("RBT_SHORT", "12345", 1);
  rb_Config *c = loaded(SYSTEM("redis = 'redis://:abc@h/0', "
                               "settings = { a = secret 'RBT_SHORT', b = secret 'RBT_SHORT' }"));
  is(rb_config_weaksecrets(c), "");
  opened(c, NULL);
  is(rb_config_weaksecrets(c), "s.redis password RBT_SHORT");
  rb_config_free(c);
}

static void credentials (void **state) {
  (void)state;
  char path[120];
  snprintf(path, sizeof path, "%s/RBT_CRED", folder);
  put(path, "from-the-file\n");
  setenv("CREDENTIALS_DIRECTORY", folder, 1);
  setenv("RBT_CRED", "from-the-environment", 1);
  rb_Config *c = loaded(SYSTEM("settings = { a = secret 'RBT_CRED', b = env 'RBT_CRED' }"));
  rb_target_system(opened(c, NULL), L, "s", "settings", pushsecret);
  assert_string_equal(eval("v.a .. ' ' .. v.b"),
                      "RBT_CRED<from-the-file> from-the-environment");
  rb_config_free(c);
}

static void missing (void **state) {
  (void)state;
  rb_Config *c = useexample();
  assert_null(rb_config_open(c, "prod", &p));
  assert_int_equal(p.exit, RB_USAGE);
  contains(p.message, "RBT_UNSET");
  contains(p.message, "targets.prod.systems.school_erp.pg");
  assert_string_equal(p.file, file);
  assert_int_equal(p.line, 29);
  opened(c, "local");  /* the others are as they were */
  rb_config_free(c);
}

static void no_url_in_environment (void **state) {
  (void)state;
  static const struct { const char *value, *says; } bad[] = {
    {"127.0.0.1:5432/db", "has no scheme"}, {"", "postgresql://"},
    {"mysql://u:very-secret@h/d", "\"mysql://...@h/d\""}, {"postgresql://", "such as"}
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    setenv("RBT_URL", bad[i].value, 1);
    rb_Config *c = loaded(SYSTEM("pg = { url = env 'RBT_URL' }"));
    assert_null(rb_config_open(c, NULL, &p));
    contains(p.message, "targets.t.systems.s.pg.url: ");
    contains(p.message, bad[i].says);
    assert_null(strstr(p.message, "very-secret"));
    rb_config_free(c);
  }
  setenv("RBT_URL", "hush", 1);
  rb_Config *c = loaded(SYSTEM("pg = secret 'RBT_URL'"));
  assert_null(rb_config_open(c, NULL, &p));
  assert_null(strstr(p.message, "hush"));
  contains(p.message, "secret \"RBT_URL\"");
  rb_config_free(c);
}

/* -- which target ------------------------------------------------------------ */

static void which_target (void **state) {
  (void)state;
  rb_Config *c = loaded("return { targets = { a = {}, staging = {} } }");
  assert_null(rb_config_open(c, NULL, &p));
  contains(p.message, "--target: a, staging");
  assert_null(rb_config_open(c, "stagin", &p));
  contains(p.message, "did you mean 'staging'");
  assert_null(rb_config_open(c, "xyz", &p));
  contains(p.message, "a, staging");
  assert_string_equal(rb_target_kind(opened(c, "a")), "production");
  rb_config_free(c);
  c = loaded("return { targets = { only = {} } }");
  assert_string_equal(rb_target_name(opened(c, NULL)), "only");
  rb_config_free(c);
}

static void no_configuration (void **state) {
  (void)state;
  char before[4096];
  assert_non_null(getcwd(before, sizeof before));
  assert_int_equal(chdir(folder), 0);
  setenv("XDG_CONFIG_HOME", folder, 1);
  unsetenv("RUNBOOK_CONFIG");
  rb_Config *c = rb_config_load(NULL, &p);
  assert_non_null(c);
  assert_null(rb_config_file(c));
  is(rb_config_targets(c), "");
  is(rb_config_runbooks(c), "");
  assert_null(rb_config_role(c, "cto"));
  assert_string_equal(rb_target_name(opened(c, NULL)), "local");
  is(rb_target_systems(opened(c, "local")), "");
  assert_null(rb_config_open(c, "prod", &p));
  contains(p.message, "no configuration");
  rb_config_free(c);
  assert_int_equal(chdir(before), 0);
}

/* -- which file -------------------------------------------------------------- */

static const char *chosenfile (void) {
  static char name[200];
  rb_Config *c = rb_config_load(NULL, &p);
  if (c == NULL) return NULL;
  snprintf(name, sizeof name, "%s", rb_config_file(c) != NULL ? rb_config_file(c) : "none");
  rb_config_free(c);
  return name;
}

static void search (void **state) {
  (void)state;
  char before[4096], xdg[100], here[100], given[100];
  assert_non_null(getcwd(before, sizeof before));
  assert_int_equal(chdir(folder), 0);
  setenv("XDG_CONFIG_HOME", folder, 1);
  unsetenv("RUNBOOK_CONFIG");
  snprintf(xdg, sizeof xdg, "%s/runbook", folder);
  assert_int_equal(mkdir(xdg, 0700), 0);
  strcat(xdg, "/config.lua");
  put(xdg, "return {}");
  assert_string_equal(chosenfile(), xdg);
  snprintf(here, sizeof here, "%s/runbook.config.lua", folder);
  put(here, "return {}");
  assert_int_equal(chmod(here, 0644), 0);
  assert_string_equal(chosenfile(), "./runbook.config.lua");
  assert_int_equal(chmod(here, 0664), 0);
  assert_null(chosenfile());
  contains(p.message, "chmod go-w");
  assert_int_equal(p.exit, RB_USAGE);
  assert_int_equal(chmod(here, 0644), 0);
  if (getuid() == 0) {
    assert_int_equal(chown(here, 12345, 0), 0);
    assert_null(chosenfile());
    contains(p.message, "must belong to you");
    assert_int_equal(unlink(here), 0);
    assert_int_equal(symlink(xdg, here), 0);
    assert_int_equal(lchown(here, 12345, 0), 0);
    assert_null(chosenfile());  /* somebody else's link to a file of ours */
  }
  snprintf(given, sizeof given, "%s/given.lua", folder);
  put(given, "return {}");
  assert_int_equal(chmod(given, 0666), 0);
  setenv("RUNBOOK_CONFIG", given, 1);
  assert_string_equal(chosenfile(), given);
  setenv("RUNBOOK_CONFIG", "/no/such/file", 1);
  assert_null(chosenfile());
  contains(p.message, "cannot read the configuration /no/such/file");
  unsetenv("RUNBOOK_CONFIG");
  assert_int_equal(chdir(before), 0);
}

static void unreadable (void **state) {
  (void)state;
  assert_null(rb_config_load(folder, &p));
  contains(p.message, "Is a directory");
  assert_null(rb_config_load("", &p));
  contains(p.message, "empty");
  assert_null(rb_config_load("/dev/zero", &p));
  contains(p.message, "too big");
}

/* -- bad ones ---------------------------------------------------------------- */

static const struct Bad {
  const char *text, *says;
  int line;
} bad[] = {
  /* Lua */
  {"return {", "expected", 1},
  {"\n\nreturn { a = }", "unexpected symbol", 3},
  {"return {\n pg = 'postgresql://u:very-secret@h/d }", "unfinished string", 2},
  {"return {\n a = 'b' 'very-secret' }", "expected", 2},
  {"x = 1", "returns a table", 0},
  {"return 5", "returns a table", 0},
  {"", "returns a table", 0},
  {"\x1bLua", "binary", 0},
  {"\nerror 'x'", "there is no 'error' here", 2},
  {"return { target = os.getenv 'X' }", "there is no 'os' here", 1},
  {"local s = require 's'", "there is no 'require' here", 1},
  {"\nreturn { target = env 'A' .. 'b' }", "stand alone", 2},
  {"return { target = env(nil) }", "string expected", 1},
  {"return { target = env '../etc/passwd' }", "name of an environment variable", 1},
  {"\nwhile true do end", "endless loop", 2},
  {"local s = 'xxxxxxxxxxxxxxxx' while true do s = s .. s end", "too much memory", 0},
  {"local t = {} while true do t = {t} end", "endless loop", 0},
  /* shapes that no data has */
  {"local t = { kind = 'sandbox' } t.systems = t return { targets = { t = t } }",
   "does it hold itself", 0},
  {"return { targets = function () end }", "a function cannot stand", 0},
  {"return { runbooks = { 'a', nil, 'b' } }", "nil in a list", 0},
  {"return { runbooks = { 'a', [5] = 'b' } }", "1, 2, 3 without a gap", 0},
  {"return { [true] = 1 }", "keys are names", 0},
  {"return { target = 'a\\0b' }", "zero byte", 0},
  /* keys */
  {"return {\n  targts = {} }", "targts: there is no such key (did you mean 'targets'?)", 2},
  {"return { xyz = {} }", "there are target, targets, runbooks, roles", 1},
  {SYSTEM("\npostgres = 'x'"),
   "targets.t.systems.s.postgres: there is no such key (did you mean 'pg'?)", 2},
  {SYSTEM("pg = { ulr = 'x' }"), "targets.t.systems.s.pg.ulr: there is no such key "
   "(did you mean 'url'?)", 1},
  {TARGET("limits = { pg_row = 1 }"), "limits.pg_row: there is no such key (did you "
   "mean 'pg_rows'?)", 1},
  {TARGET("allow = { folders = {} }"), "there are files, programs, hosts, delegates", 1},
  {TARGET("notify = { email = {} }"), "did you mean 'mail'", 1},
  {"return { target = 't',\n targets = { t = {} },\n target = 'u' }",
   "target: this key is given twice", 3},
  {SYSTEM("log = '/a',\n ['log'] = '/b'"), "log: this key is given twice", 2},
  {"local a = { x = 1,\n x = 2 }\nreturn {}", "x: this key is given twice", 2},
  /* types */
  {"return { 'local' }", "a table { NAME = VALUE, ... } is expected", 0},
  {"return { target = 5 }", "target: a text is expected, not a number", 1},
  {"return { target = secret 'X' }", "a text is expected, not a secret", 1},
  {"return { runbooks = 'runbooks' }", "runbooks: a list such as", 1},
  {"return { runbooks = { a = 'runbooks' } }", "runbooks: a list such as", 1},
  {"return { runbooks = {\n'a', 'b',\n'a' } }", "runbooks.3: \"a\" is in the list already", 3},
  {"return { runbooks = { {} } }", "runbooks.1: a text is expected, not a table", 1},
  {"return { roles = { cto = 'ada' } }", "roles.cto: a list", 1},
  {"return { roles = { cto = { 'ada', 'ada' } } }", "already", 1},
  {"return { targets = { 'local' } }", "targets: a table", 1},
  {"return { targets = { t = true } }", "targets.t: a table { NAME = VALUE, ... } is "
   "expected, not a boolean", 1},
  {TARGET("systems = { s = 'http://x' }"), "targets.t.systems.s: a table", 1},
  {TARGET("limits = { pg_rows = '5' }"), "a whole number from 0 on is expected, not \"5\"", 1},
  {TARGET("limits = { pg_rows = -1 }"), "not -1", 1},
  {TARGET("limits = { pg_rows = 1.5 }"), "a whole number from 0 on", 1},
  {TARGET("allow = { files = '/srv' }"), "allow.files: a list", 1},
  {TARGET("allow = { hosts = { 5 } }"), "allow.hosts.1: a text, env or secret is expected", 1},
  {TARGET("notify = { slack = 'https://x' }"), "notify.slack: a table", 1},
  {SYSTEM("settings = 'x'"), "settings: a table is expected", 1},
  {SYSTEM("http = 3000"), "http: a url, or a table { url = ... }, is expected, not a number", 1},
  {SYSTEM("log = {}"), "log: it needs path = ...", 1},
  {SYSTEM("http = { headers = {} }"), "http: it needs url = ...", 1},
  {SYSTEM("http = { url = {} }"), "http.url: a URL is expected, not a table", 1},
  {SYSTEM("http = { url = 'http://x', timeout = 5 }"), "a duration such as \"10s\"", 1},
  {SYSTEM("http = { url = 'http://x', timeout = '5' }"), "a duration such as \"10s\"", 1},
  {SYSTEM("pg = { url = 'postgres://x', secret_columns = 'a' }"), "secret_columns: a list", 1},
  /* URLs */
  {SYSTEM("http = '127.0.0.1:1'"), "\"127.0.0.1:1\" has no scheme: write http://", 1},
  {SYSTEM("http = 'ftp://x'"), "http: \"ftp://x\" is not such as http://HOST:PORT", 1},
  {SYSTEM("http = ''"), "is not such as", 1},
  {SYSTEM("http = 'http:/x'"), "is not such as", 1},
  {SYSTEM("pg = 'host=x password=very-secret'"), "postgresql://", 1},
  {SYSTEM("pg = 'mysql://u:very-secret@h/d?password=very-secret'"), "\"mysql://...@h/d\"", 1},
  {SYSTEM("redis = { url = 'redis://h', probe = 'h:1' }"), "redis.probe: \"h:1\" has no scheme", 1},
  {SYSTEM("service = 'school-erp'"), "service: \"school-erp\" is not such as pm2:NAME", 1},
  {TARGET("notify = { mail = { smtp = 'localhost' } }"), "write smtp://", 1},
  {TARGET("notify = { webhook = { x = 'y' } }"), "notify.webhook.x: \"y\" has no scheme", 1},
  /* meaning */
  {"return { targets = { t = { kind = 'prod' } } }", "\"sandbox\", \"staging\" or "
   "\"production\" is expected, not \"prod\"", 1},
  {"return { target = 'locl', targets = { ['local'] = {} } }", "target: there is no target "
   "'locl' (did you mean 'local'?)", 1},
  {"return { target = 'x' }", "there is no target 'x'", 1},
  {"return { targets = { p = { kind = 'production', defaults = {} } } }",
   "targets.p.defaults: a production target takes no defaults", 1},
  {"return { targets = { p = {\n defaults = { a = {} } } } }", "it is one without kind", 2}
};

static void bad_ones (void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    rb_Config *c = load(bad[i].text);
    if (c != NULL || strstr(p.message, bad[i].says) == NULL
        || (bad[i].line > 0 && p.line != bad[i].line))
      print_message("%s\n  -> %s:%d: %s\n", bad[i].text, p.file, p.line, p.message);
    assert_null(c);
    assert_int_equal(p.exit, RB_USAGE);
    assert_string_equal(p.kind, "config");
    assert_string_equal(p.file, file);
    contains(p.message, bad[i].says);
    assert_null(strstr(p.message, "very-secret"));
    assert_null(strstr(p.message, "traceback"));
    if (bad[i].line > 0) assert_int_equal(p.line, bad[i].line);
  }
}

/* none of these is a key given twice, or an error of any kind */
static void good_ones (void **state) {
  (void)state;
  static const char *const good[] = {
    "return {}", "return {};", "\xef\xbb\xbfreturn {}", "-- nothing\nreturn { -- {\n }",
    "local function t (x) return { kind = 'sandbox', limits = { files = x } } end\n"
    "local function u (x) return { kind = 'staging', limits = { files = x } } end\n"
    "return { targets = { a = t(1), b = u(2), c = t(3) } }",
    "local s = { kind = 'sandbox' }\nreturn { targets = { a = s, b = s } }",
    "local u = 'http://h'\nreturn { targets = { t = { systems = { a = { http = u },"
    " b = { http = u }, c = { http = (u) .. '/x' } } } } }",
    "return { runbooks = { [[a]], \"b\\\"{\", 'c', [==[ ]] d={ ]==] },\n"
    "--[[ runbooks = {} --[==[ ]] target = 't', targets = { t = {} } }",
    "local a = 1\nlocal t = { a == 1, a == 1 }\nreturn {}",
    "x = 5 return { targets = { t = { limits = { files = x } } } }",
    SYSTEM("settings = { [1] = 'a', [2] = 'b', ['x y'] = { { { 1 } } } }"), NULL
  };
  for (const char *const *s = good; *s != NULL; s++) rb_config_free(loaded(*s));
}

static void deep_and_wide (void **state) {
  (void)state;
  rb_Config *c = load("local t = {} for i = 1, 100 do t = { t } end return t");
  assert_null(c);
  contains(p.message, "nested too deeply");
  c = load("local t = { 1 } for i = 1, 19 do t = { t, t, t, t, t, t, t, t } end return t");
  assert_null(c);
  contains(p.message, "too big");
  c = load("local t = {} for i = 1, 60000 do t[i] = i end return { runbooks = t }");
  assert_null(c);
  contains(p.message, "too big");
}

/* -- finding runbooks ---------------------------------------------------------- */

static void makebook (const char *name) {
  char path[200];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  put(path, "");
}

static const char *found (rb_Config *c, const char *name) {
  static char path[4096];
  p = (rb_Problem){0};
  if (rb_config_find(c, name, path, sizeof path, &p) != 0) return NULL;
  assert_int_equal(strncmp(path, folder, strlen(folder)), 0);
  return path + strlen(folder) + 1;
}

static int collect (void *ud, const char *path) {
  strcat(ud, path + strlen(folder) + 1);
  strcat(ud, " ");
  return 0;
}

static rb_Config *makebooks (void) {
  static const char *const folders[] = {"books", "books/erp", "books/erp/deep", "more", NULL};
  static const char *const books[] = {
    "books/alone.lua", "books/erp/tenant_isolation.lua", "books/erp/schema.lua",
    "books/erp/tenant_isolation_test.lua", "books/erp/.hidden.lua", "books/erp/twice.lua",
    "books/erp/dr_test.lua",
    "books/erp/deep/below.lua", "more/twice.lua", "more/notes.txt", NULL};
  char path[200];
  for (const char *const *f = folders; *f != NULL; f++) {
    snprintf(path, sizeof path, "%s/%s", folder, *f);
    assert_int_equal(mkdir(path, 0700), 0);
  }
  for (const char *const *b = books; *b != NULL; b++) makebook(*b);
  return loaded("return { runbooks = { 'books', 'more', 'books/erp', 'none' } }");
}

static void find_by_name (void **state) {
  (void)state;
  char path[200];
  rb_Config *c = makebooks();
  assert_string_equal(found(c, "alone"), "books/alone.lua");
  assert_string_equal(found(c, "tenant_isolation"), "books/erp/tenant_isolation.lua");
  assert_string_equal(found(c, "tenant_isolation.lua"), "books/erp/tenant_isolation.lua");
  assert_string_equal(found(c, "below"), "books/erp/deep/below.lua");
  assert_string_equal(found(c, "dr_test"), "books/erp/dr_test.lua");
  assert_string_equal(found(c, "erp/twice"), "books/erp/twice.lua");
  snprintf(path, sizeof path, "%s/more/twice", folder);
  assert_string_equal(found(c, path), "more/twice.lua");
  strcat(path, ".lua");
  assert_string_equal(found(c, path), "more/twice.lua");
  assert_null(found(c, "twice"));
  assert_int_equal(p.exit, RB_USAGE);
  contains(p.message, "books/erp/twice.lua");
  contains(p.message, "more/twice.lua");
  assert_null(found(c, "tenant_isolatoin"));
  contains(p.message, "did you mean 'tenant_isolation'");
  assert_null(found(c, "tenant_isolatoin.lua"));
  contains(p.message, "did you mean 'tenant_isolation'");
  assert_null(found(c, "schema"));
  assert_null(found(c, "nothing_like_it"));
  contains(p.message, "no such file");
  assert_null(found(c, "./alone"));
  rb_config_free(c);
}

static void find_each (void **state) {
  (void)state;
  char all[1000] = "";
  rb_Config *c = makebooks();
  assert_int_equal(rb_config_each(c, collect, all, &p), 0);
  assert_string_equal(all, "books/alone.lua books/erp/deep/below.lua "
      "books/erp/dr_test.lua books/erp/tenant_isolation.lua books/erp/twice.lua more/twice.lua ");
  rb_config_free(c);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main (void) {
  const struct CMUnitTest tests[] = {
    test(lists), test(atarget), test(resources), test(parts), test(allowed),
    test(nothing_allowed), test(real_folder), test(passwords),
    test(settings_named_password), test(weak), test(credentials), test(missing),
    test(no_url_in_environment), test(which_target), test(no_configuration),
    test(search), test(unreadable), test(bad_ones), test(good_ones),
    test(deep_and_wide), test(find_by_name), test(find_each),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
