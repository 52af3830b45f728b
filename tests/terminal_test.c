/*
** terminal_test.c - what a person reads
*/

#include "tests/report.h"

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
     "      http.get    school_erp  GET /health/golive/tenant/greenwood_high -> 200\n"
     "\n"
     "  case isolate · Take it offline · not blocked yet\n"
     "  2  Block its traffic                                    would do\n"
     "      redis.set   school_erp  tenant:blocked:greenwood_high\n"
     "        before  (absent)\n"
     "        after   \"true\", expires in 1h\n"
     "      verify passes on what is planned\n"
     "  3  Revoke its active sessions                           would do\n"
     "      pg.exec     school_erp  UPDATE matches 1,203 rows of\n"
     "                  greenwood_high.user_sessions\n"
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
     "      redis.set   school_erp  tenant:blocked:greenwood_high\n"
     "        before  \"false\"\n"
     "        after   \"true\", expires in 1h 30m\n"
     "      verified\n"
     "  2  Revoke its active sessions                           failed  1m 22s\n"
     "      pg.value    school_erp  SELECT count(*) -> 12\n"
     "      pg.exec     school_erp  UPDATE greenwood_high.user_sessions\n"
     "      relation \"greenwood_high.user_sessions\" does not exist\n"
     "\n"
     "Failed at step 2 · Revoke its active sessions\n"
     "  at         tenant_isolation.lua:42\n"
     "  certainty  Nothing was changed by it.\n"
     "  so far     1 change was made, and not taken back.\n"
     "  not done   3 Are the others unaffected?\n"
     "  next       runbook resume 7N2C4EFG  goes on there, once the cause is mended\n"
     "  or         runbook undo 7N2C4EFG  takes back what was done (-n shows it "
     "first)\n");
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
  has("\nDone in 1m 23s. 1 change was made.\n");
  m.effects[0].unchanged = 1;
  m.steps[0].status = "unchanged";
  show(&m, (Looks){80, 0, 0});
  has("  1  Block its traffic                                    nothing to do\n"
      "      redis.set   school_erp  tenant:blocked:greenwood_high\n"
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
  has("  next       runbook resume 7N2C4EFG  looks at it, asks where it cannot tell,");
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
      "  next       runbook resume 7N2C4EFG  goes on there\n");
}

/* what is typed next names the run, whatever case it took */
static void test_samecase (void **state) {
  Made m;
  (void)state;
  dry(&m);
  m.r.mode = "run";
  m.r.exit = 1;
  m.r.status = "failed";
  m.steps[2].status = "failed";
  m.steps[2].reason = T("the server is gone");
  m.r.errorstep = T("revoke-its-active-sessions");
  strcpy(m.r.run, "01JD8Z3V5MTRKQX0YB7N2C4EFG");
  rb_problem(&m.r.error, 1, "io", "the server is gone");
  show(&m, (Looks){0, 0, 0});
  has("  next       runbook resume 7N2C4EFG  goes on there, once the cause is mended\n");
}

/* what a person has done, and what a person has ended */
static void test_person (void **state) {
  Made m;
  (void)state;
  dry(&m);
  m.r.mode = "run";
  rb_StepRow *s = step(&m, "ring", "Ring the school", "manual");
  s->manual = T("Ring the office");
  show(&m, (Looks){100, 0, 0});
  has("done by hand\n");
  hasnot("to do  Ring");
  s->reason = T("a person said: not done");
  show(&m, (Looks){100, 0, 0});
  has("for a person\n      to do  Ring the office\n      a person said: not done\n");
  s->status = "failed";
  s->verify = "failed";
  s->reason = T("interrupted");
  show(&m, (Looks){100, 0, 0});
  has("verify did not come to its end\n");
  hasnot("verify failed");
}

/* a failure is its own reason, also where a verification waits */
static void test_reasons (void **state) {
  Made m;
  (void)state;
  dry(&m);
  m.steps[1].verify = "deferred";
  m.steps[1].reason = T("needs the outcome of: SET");
  show(&m, (Looks){100, 0, 0});
  has("      verify waits for the outcome of step 2 (needs the outcome of: SET)\n"
      "  3 ");
  m.steps[1].status = "failed";
  m.steps[1].reason = T("there is no such key");
  show(&m, (Looks){100, 0, 0});
  has("      verify waits for the outcome of step 2\n"
      "      there is no such key\n");
  m.steps[1].status = "manual";
  m.steps[1].manual = T("Look outside");
  m.steps[1].reason = T("needs a person: Look outside");
  show(&m, (Looks){100, 0, 0});
  has("      to do  Look outside\n");
  hasnot("needs a person");
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
      "      pg.value    school_erp  SELECT count(*) -> 4 (as of now; assumes 2, 3 "
      "have not changed this)\n"
      "      needs the outcome of: POST /imports/pause\n");
  has("\nNothing was changed. A real run would make 2 changes.\n"
      "  1 step cannot be predicted\n"
      "  1 step is for a person\n"
      "To do it:");
  m.steps[1].status = "refused";
  m.effects[1].verdict = "would refuse";
  m.effects[1].reason = T("redis: this user may not SET");
  m.r.exit = 1;
  m.r.status = "failed";
  show(&m, (Looks){100, 0, 0});
  has(" would refuse\n      redis.set   school_erp  tenant:blocked:greenwood_high\n"
      "        redis: this user may not SET\n      verify passes\n");
  has("\nNothing was changed. A real run would be refused at step 2.\n");
  hasnot("step would be refused");
  hasnot("Failed");
  hasnot("To do it:");
  m.steps[0].status = "failed";  /* each of them is told once */
  m.steps[0].reason = T("there is no such school");
  m.r.errorstep = T(m.steps[0].id);
  show(&m, (Looks){100, 0, 0});
  has("Nothing was changed. A real run would fail at step 1.\n"
      "  1 later step would be refused, too\n");
  rb_problem(&m.r.error, 1, "fail", "there is no such school");
  show(&m, (Looks){100, 0, 0});
  has("\nFailed at step 1");
  has("\nNothing was changed. A real run would fail there.\n"
      "  1 later step would be refused, too\n");
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
     "to do.\n");
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

int main (void) {
  const struct CMUnitTest tests[] = {
    test(test_dry), test(test_failed), test(test_widths), test(test_colour),
    test(test_pipe), test(test_done), test(test_doubt), test(test_stopped),
    test(test_samecase), test(test_person), test(test_reasons),
    test(test_deferred), test(test_diff), test(test_many),
    test(test_empty), test(test_harmless), test(test_words)
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
