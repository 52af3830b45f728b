/*
** show_test.c - what a person reads, and what a program reads
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vm/show/terminal.h"

/* -- reports by hand ------------------------------------------------------------ */

#define MANY 40

typedef struct Made {
  rb_Report r;
  rb_StepRow steps[6];
  rb_EffectRow effects[MANY];
  rb_CaseRow cases[2];
  rb_Finding findings[3];
  int neffects;
} Made;

static json_t *garbage;  /* all JSON made by a test, freed together */

static json_t *json (const char *text) {
  json_t *j = json_loads(text, JSON_DECODE_ANY, NULL);
  assert_non_null(j);
  json_array_append_new(garbage, j);
  return j;
}

#define T(s) ((char *)(s))

static rb_StepRow *step (Made *m, const char *id, const char *title,
                         const char *status) {
  rb_StepRow *s = &m->steps[m->r.nsteps++];
  *s = (rb_StepRow){.n = m->r.nsteps, .id = T(id), .title = T(title),
                    .status = status, .ms = 12};
  s->last = &s->effects;
  m->r.steps = m->steps;
  return s;
}

static rb_EffectRow *effect (Made *m, rb_StepRow *s, const char *kind,
                             const char *verb, const char *summary) {
  static const char *const names[] = {"http", "pg", "redis", "mail"};
  rb_EffectRow *e = &m->effects[m->neffects++];
  *e = (rb_EffectRow){.n = m->neffects, .kind = kind, .verb = T(verb),
                      .path = T("some-step/remedy/1"), .summary = T(summary),
                      .target = T("mail"), .rows = -1, .guarded = -1};
  static char targets[4][32];
  for (int i = 0; i < 3; i++)
    if (strncmp(verb, names[i], strlen(names[i])) == 0) {
      snprintf(targets[i], sizeof targets[i], "school_erp.%s", names[i]);
      e->target = targets[i];
    }
  *s->last = e;
  s->last = &e->next;
  s->neffects++;
  s->kept++;
  return e;
}

static void banner (Made *m, const char *mode) {
  memset(m, 0, sizeof *m);
  m->r = (rb_Report){
    .run = "01JD8Z3V5MTRKQX0YB7N2C4EFG", .runbook = T("tenant_isolation"),
    .title = T("Tenant isolation"), .mode = mode, .target = T("local"),
    .kind = T("sandbox"), .impact = T("The affected school goes offline; the "
    "others are unaffected."), .approve = T("senior-engineer"),
    .use_when = T("One school is causing issues that affect other tenants."),
    .script = 1, .gate = 1, .kernel = 1, .ms = 41,
    .params = json("{\"block\": \"1h\", \"tenant\": \"greenwood_high\"}"),
    .protocol = json("[\"http\", \"redis\"]"), .cases = m->cases
  };
  strcpy(m->r.started, "2025-11-21T03:12:00Z");
}

static void dry (Made *m) {
  banner(m, "dry-run");
  m->r.status = "planned";
  m->r.digest = T("sha256:00");
  m->r.protocolwhy = T("pg: same role as remedies");
  rb_StepRow *s = step(m, "is-the-tenant-in-trouble", "Is the tenant in trouble?",
                       "done");
  effect(m, s, "probe", "http.get",
         "GET /health/golive/tenant/greenwood_high -> 200");
  m->cases[0] = (rb_CaseRow){T("isolate"), T("Take it offline"), 1,
                             T("not blocked yet")};
  m->cases[1] = (rb_CaseRow){T("reenable"), T("Bring it back"), 0, NULL};
  m->r.ncases = 2;
  s = step(m, "block-its-traffic", "Block its traffic", "planned");
  s->incase = T("isolate");
  s->verify = "passed";
  rb_EffectRow *e = effect(m, s, "remedy", "redis.set",
                           "tenant:blocked:greenwood_high");
  e->verdict = "would do";
  e->after = json("{\"value\": \"true\", \"type\": \"string\", \"ttl\": 3600}");
  e->guarded = 1;
  e->undo = T("automatic");
  s = step(m, "revoke-its-active-sessions", "Revoke its active sessions",
           "planned");
  s->incase = T("isolate");
  s->verify = "deferred";
  e = effect(m, s, "remedy", "pg.exec",
             "UPDATE matches 1,203 rows of greenwood_high.user_sessions");
  e->verdict = "would do";
  e->rows = 1203;
  e->undo = T("irreversible: people of greenwood_high sign in again once it is "
              "back");
  step(m, "tell-the-school", "Tell the school", "skipped")->reason =
      T("no address is known");
  m->findings[0] = (rb_Finding){T("health"), json("\"RED\""), "bad"};
  m->findings[1] = (rb_Finding){T("open sessions"), json("120300"), "warn"};
  m->findings[2] = (rb_Finding){T("other schools"), json("\"GREEN\""), "ok"};
  m->r.findings = m->findings;
  m->r.nfindings = 3;
}

static void failed (Made *m) {
  banner(m, "run");
  m->r.status = "failed";
  m->r.exit = 1;
  m->r.ms = 83000;
  m->r.target = T("prod");
  m->r.kind = T("production");
  rb_StepRow *s = step(m, "block-its-traffic", "Block its traffic", "done");
  s->verify = "passed";
  rb_EffectRow *e = effect(m, s, "remedy", "redis.set",
                           "tenant:blocked:greenwood_high");
  e->outcome = "done";
  e->before = json("{\"value\": \"false\", \"type\": \"string\", \"ttl\": null}");
  e->after = json("{\"value\": \"true\", \"type\": \"string\", \"ttl\": 5400}");
  s = step(m, "revoke-its-active-sessions", "Revoke its active sessions",
           "failed");
  s->ms = 82000;
  s->reason = T("relation \"greenwood_high.user_sessions\" does not exist");
  e = effect(m, s, "probe", "pg.value", "SELECT count(*) -> 12");
  e = effect(m, s, "remedy", "pg.exec", "UPDATE greenwood_high.user_sessions");
  e->outcome = "failed";
  e->reason = s->reason;
  s = step(m, "check", "Are the others unaffected?", "skipped");
  s->reason = T("the run stopped before it");
  rb_problem(&m->r.error, 1, "server", "%s", m->steps[1].reason);
  strcpy(m->r.error.file, "tenant_isolation.lua");
  m->r.error.line = 42;
  strcpy(m->r.certainty, "not done");
  m->r.errorstep = T("revoke-its-active-sessions");
}

/* -- what comes out --------------------------------------------------------------- */

static char got[200000];

/* standard output (or error) into 'got' while fn runs */
static int catch_ (int fd, FILE **file) {
  fflush(stdout);
  int old = dup(fd);
  *file = tmpfile();
  assert_non_null(*file);
  dup2(fileno(*file), fd);
  return old;
}

static void caught (int fd, int old, FILE *file) {
  dup2(old, fd);
  close(old);
  rewind(file);
  size_t n = fread(got, 1, sizeof got - 1, file);
  got[n] = '\0';
  fclose(file);
}

typedef struct Looks { int width, color, json; } Looks;

/* a run as the engine shows it */
static void show (const Made *m, Looks looks) {
  rb_ShowOptions o = {.json = looks.json};
  FILE *file;
  char width[16];
  snprintf(width, sizeof width, "%d", looks.width);
  setenv("COLUMNS", width, 1);
  int old = catch_(STDOUT_FILENO, &file);
  rb_Show *s = rb_show_open(&o);
  s->fold = looks.width > 0;
  s->color = looks.color;
  rb_show_start(s, &m->r);
  for (int i = 0; i < m->r.nsteps; i++) {
    if (i == 1)
      for (int k = 0; k < m->r.ncases; k++)
        if (m->r.cases[k].taken == 1) rb_show_case(s, &m->r, &m->r.cases[k]);
    if (m->steps[i].reason != NULL &&
        strstr(m->steps[i].reason, "stopped before") != NULL) continue;
    rb_show_begin(s, &m->r, &m->steps[i]);
    rb_show_end(s, &m->r, &m->steps[i]);
  }
  rb_show_finish(s, &m->r);
  rb_show_close(s);
  caught(STDOUT_FILENO, old, file);
}

static int setup (void **state) {
  (void)state;
  garbage = json_array();
  setenv("LANG", "C.UTF-8", 1);
  unsetenv("LC_ALL");
  unsetenv("LC_CTYPE");
  setenv("TERM", "xterm", 1);
  return garbage == NULL;
}

static int teardown (void **state) {
  (void)state;
  json_decref(garbage);
  return 0;
}

static void has (const char *part) {
  if (strstr(got, part) != NULL) return;
  fprintf(stderr, "%s", got);  /* cmocka would cut it */
  fail_msg("no '%s'", part);
}

static void hasnot (const char *part) {
  if (strstr(got, part) != NULL) fail_msg("'%s' in:\n%s", part, got);
}

/* the whole text; cmocka would show only the first difference */
static void is (const char *expected) {
  if (strcmp(got, expected) == 0) return;
  size_t i = 0;
  while (got[i] == expected[i]) i++;
  fail_msg("from '%.60s' on, expected '%.60s':\n%s", got + i, expected + i, got);
}

/* -- for a person ------------------------------------------------------------------- */

static void test_dry (void **state) {
  Made m;
  (void)state;
  dry(&m);
  show(&m, (Looks){80, 0, 0});
  is("Tenant isolation · dry run on local (sandbox)\n"
     "One school is causing issues that affect other tenants.\n"
     "\n"
     "  impact     The affected school goes offline; the others are unaffected.\n"
     "  approval   senior-engineer\n"
     "  with       block = 1h, tenant = greenwood_high\n"
     "  read-only  script, gate, protocol (http, redis), kernel\n"
     "  but not    pg: same role as remedies\n"
     "\n"
     "  1  Is the tenant in trouble?                            done  12 ms\n"
     "      http.get   school_erp  GET /health/golive/tenant/greenwood_high -> 200\n"
     "\n"
     "  case isolate · Take it offline · not blocked yet\n"
     "  2  Block its traffic                                    would do\n"
     "      redis.set  school_erp  tenant:blocked:greenwood_high\n"
     "        before  (absent)\n"
     "        after   \"true\", expires in 1h\n"
     "      verify passes on what is planned\n"
     "  3  Revoke its active sessions                           would do\n"
     "      pg.exec    school_erp  UPDATE matches 1,203 rows of\n"
     "                 greenwood_high.user_sessions\n"
     "      ! irreversible: people of greenwood_high sign in again once it is back\n"
     "      verify waits for the outcome of step 3\n"
     "  4  Tell the school · no address is known                skipped\n"
     "\n"
     "  findings\n"
     "    health         RED                                    bad\n"
     "    open sessions  120,300                                warn\n"
     "    other schools  GREEN                                  ok\n"
     "\n"
     "Nothing was changed. A real run would make 2 changes.\n"
     "To do it: the same command without --dry-run.\n");
}

static void test_failed (void **state) {
  Made m;
  (void)state;
  failed(&m);
  show(&m, (Looks){0, 0, 0});  /* to a file: nothing is folded */
  is("Tenant isolation · run on prod (production)\n"
     "One school is causing issues that affect other tenants.\n"
     "\n"
     "  impact     The affected school goes offline; the others are unaffected.\n"
     "  approval   senior-engineer\n"
     "  with       block = 1h, tenant = greenwood_high\n"
     "  run        01JD8Z3V5MTRKQX0YB7N2C4EFG\n"
     "\n"
     "  1  Block its traffic                                    done  12 ms\n"
     "      redis.set  school_erp  tenant:blocked:greenwood_high\n"
     "        before  \"false\"\n"
     "        after   \"true\", expires in 1h 30m\n"
     "      verified\n"
     "  2  Revoke its active sessions                           failed  1m 22s\n"
     "      pg.value   school_erp  SELECT count(*) -> 12\n"
     "      pg.exec    school_erp  UPDATE greenwood_high.user_sessions\n"
     "      relation \"greenwood_high.user_sessions\" does not exist\n"
     "\n"
     "Failed at step 2 · Revoke its active sessions\n"
     "  kind       server\n"
     "  at         tenant_isolation.lua:42\n"
     "  certainty  Nothing was changed by it.\n"
     "  so far     1 change was made, and not taken back.\n"
     "  not done   3 Are the others unaffected?\n"
     "  next       runbook resume 7N2C4EFG  goes on there, once the cause is "
     "mended\n"
     "  or         runbook undo 7N2C4EFG  takes back what was done\n");
}

/* the widest line, in columns; without colour */
static int widest (void) {
  int most = 0;
  for (const char *s = got; *s != '\0'; ) {
    size_t n = strcspn(s, "\n");
    int w = rb_style_width(s, n);
    if (w > most) most = w;
    if (n > 0 && s[n - 1] == ' ') fail_msg("a space ends: %.*s", (int)n, s);
    s += n + (s[n] == '\n');
  }
  return most;
}

/* every word is there at every width */
static void test_widths (void **state) {
  Made m;
  (void)state;
  for (int width = 40; width <= 200; width += 20)
    for (int i = 0; i < 2; i++) {
      if (i == 0) dry(&m);
      else failed(&m);
      show(&m, (Looks){width, 0, 0});
      assert_true(widest() <= width);
      has("greenwood_high");
      has("unaffected");
      has(i == 0 ? "irreversible" : "mended");
      has(i == 0 ? "would do" : "production");
    }
  dry(&m);
  show(&m, (Looks){60, 0, 0});
  has("  impact     The affected school goes offline; the others\n"
      "             are unaffected.\n");
  has("      ! irreversible: people of greenwood_high sign in again\n"
      "        once it is back\n");
  has("  4  Tell the school · no address is  skipped\n     known\n");
}

static void test_colour (void **state) {
  Made m;
  (void)state;
  dry(&m);
  show(&m, (Looks){80, 1, 0});
  has("\33[1mTenant isolation\33[0m");
  has("\33[33mwould do\33[0m");
  has("\33[32mdone\33[0m");
  has("\33[32m\"true\"\33[0m");
  has("\33[2mskipped\33[0m");
  has("\33[1;31mbad\33[0m");
  failed(&m);
  show(&m, (Looks){80, 1, 0});
  has("\33[1;31mFailed\33[0m");
  has("\33[1;31mprod\33[0m");
  char plain[sizeof got];
  size_t n = 0;
  for (const char *s = got; *s != '\0'; s++)  /* without colour it is the same */
    if (*s == '\33') s += strcspn(s, "m");
    else plain[n++] = *s;
  plain[n] = '\0';
  show(&m, (Looks){80, 0, 0});
  is(plain);
}

/* no terminal: no colour and no cursor, whatever is asked for */
static void test_pipe (void **state) {
  rb_ShowOptions o = {0};
  (void)state;
  rb_Show *s = rb_show_open(&o);
  FILE *file;
  int old = catch_(STDOUT_FILENO, &file);
  rb_style_open(s, &o);
  caught(STDOUT_FILENO, old, file);
  assert_false(s->color);
  assert_false(s->fold);
  rb_show_close(s);
  setenv("LANG", "C", 1);
  Made m;
  dry(&m);
  show(&m, (Looks){0, 0, 0});
  has("Tenant isolation - dry run on local");
}

static void test_done (void **state) {
  Made m;
  (void)state;
  failed(&m);
  m.r.nsteps = 1;
  m.r.exit = 0;
  m.r.status = "done";
  m.r.error = (rb_Problem){0};
  show(&m, (Looks){80, 0, 0});
  has("\nDone in 1m 23s. 1 change was made.\n"
      "To take it back: runbook undo 7N2C4EFG\n");
  m.effects[0].unchanged = 1;
  m.steps[0].status = "unchanged";
  show(&m, (Looks){80, 0, 0});
  has("  1  Block its traffic                                    nothing to do\n"
      "      redis.set  school_erp  tenant:blocked:greenwood_high\n"
      "      verified\n");
  has("Nothing had to be changed.");
  hasnot("undo");
}

static void test_doubt (void **state) {
  Made m;
  (void)state;
  failed(&m);
  m.r.exit = 6;
  m.r.status = "in-doubt";
  m.steps[1].status = "in-doubt";
  m.effects[2].outcome = "in-doubt";
  strcpy(m.r.certainty, "unknown");
  show(&m, (Looks){80, 0, 0});
  has("In doubt at step 2");
  has("It may or may not have happened: look before you repeat it.");
  has("runbook resume 7N2C4EFG  looks at what is in doubt, and asks");
  hasnot("Nothing was changed");
}

static void test_stopped (void **state) {
  Made m;
  (void)state;
  banner(&m, "run");
  for (int i = 0; i < 6; i++) {
    static const char *const titles[] = {"One", "Two", "Three", "Four", "Five",
                                         "Six"};
    step(&m, titles[i], titles[i], "skipped")->reason =
        T("the run stopped before it");
  }
  m.r.exit = 3;
  m.r.status = "stopped";
  rb_problem(&m.r.error, 3, "approval", "Tenant isolation needs your approval");
  show(&m, (Looks){80, 0, 0});
  has("\nStopped\n  approval   Tenant isolation needs your approval\n"
      "  so far     Nothing was changed.\n"
      "  not done   1 One, 2 Two, 3 Three, 4 Four and 2 more\n"
      "  next       runbook resume 7N2C4EFG  goes on there, once that is "
      "settled\n");
}

/* what cannot be known, and what it rests on */
static void test_deferred (void **state) {
  static int one[] = {2, 3};
  Made m;
  (void)state;
  dry(&m);
  m.r.exit = 7;
  rb_StepRow *s = step(&m, "resume", "Resume the imports", "deferred");
  s->reason = T("needs the outcome of: POST /imports/pause");
  s->approve = T("cto");
  s->manual = T("Look at the queue and say whether it is empty");
  rb_EffectRow *e = effect(&m, s, "probe", "pg.value", "SELECT count(*) -> 4");
  e->read = "as of now";
  e->assumes = one;
  e->nassumes = 2;
  show(&m, (Looks){100, 0, 0});
  has("  5  Resume the imports ");
  has(" cannot predict\n"
      "      needs the approval of: cto\n"
      "      to do  Look at the queue and say whether it is empty\n"
      "      pg.value   school_erp  SELECT count(*) -> 4 (as of now; assumes 2, 3 "
      "have not changed this)\n"
      "      needs the outcome of: POST /imports/pause\n");
  has("\nNothing was changed. A real run would make 2 changes.\n"
      "  1 step rests on what has not happened yet\n"
      "  1 step is for a person\n"
      "To do it:");
  m.steps[1].status = "refused";
  m.effects[1].verdict = "would refuse";
  m.effects[1].reason = T("redis: this user may not SET");
  m.r.exit = 1;
  m.r.status = "failed";
  show(&m, (Looks){100, 0, 0});
  has(" would refuse\n      redis.set  school_erp  tenant:blocked:greenwood_high\n"
      "        redis: this user may not SET\n      verify passes\n");
  has("\nNothing was changed. A real run would make 1 change.\n"
      "  1 step would be refused\n");
  hasnot("Failed");
  hasnot("To do it:");
}

static void test_diff (void **state) {
  Made m;
  (void)state;
  dry(&m);
  m.effects[1].after = json("{\"diff\": \"--- .env\\n+++ .env\\n@@ -1,2 +1,2 @@\\n"
                            " A=1\\n-B=2\\n+B=3\\n\"}");
  show(&m, (Looks){80, 0, 0});
  has("        --- .env\n        +++ .env\n        @@ -1,2 +1,2 @@\n"
      "         A=1\n        -B=2\n        +B=3\n");
  hasnot("before");
  show(&m, (Looks){80, 1, 0});
  has("\33[31m-B=2\33[0m");
  has("\33[32m+B=3\33[0m");
  rb_Buffer b = {0};
  rb_buffer_puts(&b, "{\"diff\": \"");
  for (int i = 0; i < 1100; i++) rb_buffer_puts(&b, "+x\\n");
  rb_buffer_puts(&b, "\"}");
  m.effects[1].after = json(b.s);
  show(&m, (Looks){80, 0, 0});
  has("        ... 1,040 more lines (all of it: --json)\n");
  rb_buffer_free(&b);
}

/* many alike are counted, and every failure is named */
static void test_many (void **state) {
  static char names[MANY][32];
  Made m;
  (void)state;
  banner(&m, "run");
  m.r.status = "failed";
  m.r.exit = 1;
  rb_StepRow *s = step(&m, "delete", "Delete the cache", "failed");
  for (int i = 0; i < 30; i++) {
    snprintf(names[i], sizeof names[i], "cache:%d", i);
    rb_EffectRow *e = effect(&m, s, "remedy", "redis.del", names[i]);
    e->outcome = i == 17 ? "failed" : i == 23 ? "in-doubt" : "done";
    if (i == 17) e->reason = T("READONLY You can't write");
  }
  show(&m, (Looks){80, 0, 0});
  has("cache:0\n");
  has("cache:2\n");
  hasnot("cache:3\n");
  has("cache:17");
  has("READONLY");
  has("cache:23");
  has("      and 25 more (all of them: --json). In all: 28 done, 1 failed, 1 in "
      "doubt\n");
}

static void test_empty (void **state) {
  Made m;
  (void)state;
  memset(&m, 0, sizeof m);
  m.r.mode = "dry-run";
  m.r.status = "planned";
  show(&m, (Looks){80, 0, 0});
  is(" · dry run on ? (?)\n\n\n\nNothing was changed. A real run would find nothing "
     "to do.\nTo do it: the same command without --dry-run.\n");
}

/* what comes from outside cannot steer the terminal */
static void test_harmless (void **state) {
  Made m;
  (void)state;
  dry(&m);
  m.steps[0].title = T("evil \33[2J\33]0;x\7 \r gone \xC2\x9B\x31m \xff "
                       "\xE2\x80\xAE""back");
  m.effects[0].summary = T("two\nlines\tand\1""2a mark");
  show(&m, (Looks){80, 1, 0});
  hasnot("\33[2J");
  hasnot("\33]");
  hasnot("\r");
  hasnot("\xC2\x9B");
  hasnot("\xE2\x80\xAE");
  has("evil \\x1b[2J\\x1b]0;x\\x07 \\x0d gone");
  has("\\x9b1m \\xff");
  has("\\u202eback");
  has("lines    and\\x012a mark");
}

static void test_words (void **state) {
  char s[64];
  (void)state;
  assert_string_equal(rb_style_count(s, 0), "0");
  assert_string_equal(rb_style_count(s, 999), "999");
  assert_string_equal(rb_style_count(s, 1203), "1,203");
  assert_string_equal(rb_style_count(s, -1234567), "-1,234,567");
  assert_string_equal(rb_style_count(s, INT64_MIN), "-9,223,372,036,854,775,808");
  assert_string_equal(rb_style_many(s, 1, "change", "changes"), "1 change");
  assert_string_equal(rb_style_duration(s, 0.2), "<1 ms");
  assert_string_equal(rb_style_duration(s, 999.9), "1.0 s");
  assert_string_equal(rb_style_duration(s, 9960), "10 s");
  assert_string_equal(rb_style_duration(s, 59600), "1m");
  assert_string_equal(rb_style_duration(s, 80000), "1m 20s");
  assert_string_equal(rb_style_duration(s, 3600000), "1h");
  assert_string_equal(rb_style_duration(s, 5400000), "1h 30m");
  assert_string_equal(rb_style_duration(s, 90000000), "1d 1h");
  assert_int_equal(rb_style_width("caf\xC3\xA9", 5), 4);
  assert_int_equal(rb_style_width("\xE6\xBC\xA2\xE5\xAD\x97", 6), 4);
  assert_int_equal(rb_style_width("e\xCC\x81", 3), 1);
}

/* -- for a program -------------------------------------------------------------------- */

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

/* -- on the way ------------------------------------------------------------------------- */

static void test_notes (void **state) {
  rb_ShowOptions o = {.json = 1};
  FILE *file;
  (void)state;
  rb_Show *s = rb_show_open(&o);
  int old = catch_(STDERR_FILENO, &file);
  rb_show_note(s, "a note\nof two lines \33[31m");
  rb_show_note(NULL, "without a run");
  caught(STDERR_FILENO, old, file);
  is("a note\nof two lines \\x1b[31m\nwithout a run\n");
  rb_show_close(s);
}

static void test_progress (void **state) {
  Made m;
  FILE *file;
  rb_ShowOptions o = {0};
  (void)state;
  dry(&m);
  rb_Show *s = rb_show_open(&o);
  s->live = 1;
  int old = catch_(STDERR_FILENO, &file);
  rb_show_begin(s, &m.r, &m.steps[1]);
  rb_show_progress(s, &m.steps[1], "done", 1, 10000, 0.01);  /* too soon */
  s->livetime -= 1;
  rb_show_progress(s, &m.steps[1], "done", 412, 10000, 3);
  rb_show_note(s, "a note");
  s->live = 0;
  rb_show_progress(s, &m.steps[1], "done", 500, 10000, 4);   /* too soon */
  s->livetime -= 20;
  rb_show_progress(s, &m.steps[1], "done", 600, 10000, 24);
  caught(STDERR_FILENO, old, file);
  is("\r\33[K  2  Block its traffic ..."
     "\r\33[K  2  Block its traffic: 412 of 10,000 done · 3.0 s"
     "\r\33[Ka note\n"
     "  2  Block its traffic: 600 of 10,000 done · 24 s\n");
  rb_show_close(s);
}

/* a reader that goes away is no matter; a full disk is said, once */
static void test_broken (void **state) {
  Made m;
  int ends[2];
  FILE *file;
  rb_ShowOptions o = {0};
  (void)state;
  signal(SIGPIPE, SIG_IGN);
  dry(&m);
  for (int turn = 0; turn < 2; turn++) {
    rb_Show *s = rb_show_open(&o);
    int old = dup(STDOUT_FILENO), to;
    if (turn == 0) {
      assert_int_equal(pipe(ends), 0);
      close(ends[0]);
      to = ends[1];
    }
    else to = open("/dev/full", O_WRONLY);
    dup2(to, STDOUT_FILENO);
    close(to);
    int olderr = catch_(STDERR_FILENO, &file);
    rb_show_start(s, &m.r);
    rb_show_finish(s, &m.r);
    caught(STDERR_FILENO, olderr, file);
    dup2(old, STDOUT_FILENO);
    close(old);
    is(turn == 0 ? "" : "runbook: cannot write standard output: No space left on "
                        "device\n");
    rb_show_close(s);
  }
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

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main (void) {
  const struct CMUnitTest tests[] = {
    test(test_dry), test(test_failed), test(test_widths), test(test_colour),
    test(test_pipe), test(test_done), test(test_doubt), test(test_stopped),
    test(test_deferred), test(test_diff), test(test_many), test(test_empty),
    test(test_harmless), test(test_words), test(test_json), test(test_problem),
    test(test_notes), test(test_progress), test(test_broken), test(test_memory)
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
