/*
** report.h - reports by hand, and what is printed of them, to test
*/

#ifndef tests_report_h
#define tests_report_h

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

#define USED __attribute__((unused))

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

USED static json_t *json (const char *text) {
  json_t *j = json_loads(text, JSON_DECODE_ANY, NULL);
  assert_non_null(j);
  json_array_append_new(garbage, j);
  return j;
}

#define T(s) ((char *)(s))

USED static rb_StepRow *step (Made *m, const char *id, const char *title,
                         const char *status) {
  rb_StepRow *s = &m->steps[m->r.nsteps++];
  *s = (rb_StepRow){.n = m->r.nsteps, .id = T(id), .title = T(title),
                    .status = status, .ms = 12};
  s->last = &s->effects;
  m->r.steps = m->steps;
  return s;
}

USED static rb_EffectRow *effect (Made *m, rb_StepRow *s, const char *kind,
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

USED static void banner (Made *m, const char *mode) {
  memset(m, 0, sizeof *m);
  m->r = (rb_Report){
    .run = "01JD8Z3V5MTRKQX0YB7N2C4EFG", .runbook = T("tenant_isolation"),
    .title = T("Tenant isolation"), .mode = mode, .target = T("local"),
    .kind = T("sandbox"), .impact = T("The affected school goes offline; the "
    "others are unaffected."), .approve = T("senior-engineer"),
    .use_when = T("One school is causing issues that affect other tenants."),
    .script = 1, .gate = 1, .kernel = 1, .ms = 41,
    .params = json("{\"tenant\": \"greenwood_high\", \"block\": \"1h\"}"),
    .protocol = json("[\"http\", \"redis\"]"), .cases = m->cases
  };
  strcpy(m->r.started, "2025-11-21T03:12:00Z");
}

USED static void dry (Made *m) {
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
  m->findings[0] = (rb_Finding){T("health"), json("\"RED\""), "bad", NULL};
  m->findings[1] = (rb_Finding){T("open sessions"), json("120300"), "warn", NULL};
  m->findings[2] = (rb_Finding){T("other schools"), json("\"GREEN\""), "ok", NULL};
  m->r.findings = m->findings;
  m->r.nfindings = 3;
}

USED static void failed (Made *m) {
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
USED static int catch_ (int fd, FILE **file) {
  fflush(stdout);
  int old = dup(fd);
  *file = tmpfile();
  assert_non_null(*file);
  dup2(fileno(*file), fd);
  return old;
}

USED static void caught (int fd, int old, FILE *file) {
  dup2(old, fd);
  close(old);
  rewind(file);
  size_t n = fread(got, 1, sizeof got - 1, file);
  got[n] = '\0';
  fclose(file);
}

typedef struct Looks { int width, color, json; } Looks;

/* a run as the engine shows it */
USED static void show (const Made *m, Looks looks) {
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

USED static int setup (void **state) {
  (void)state;
  garbage = json_array();
  setenv("LANG", "C.UTF-8", 1);
  unsetenv("LC_ALL");
  unsetenv("LC_CTYPE");
  setenv("TERM", "xterm", 1);
  return garbage == NULL;
}

USED static int teardown (void **state) {
  (void)state;
  json_decref(garbage);
  return 0;
}

USED static void has (const char *part) {
  if (strstr(got, part) != NULL) return;
  fprintf(stderr, "%s", got);  /* cmocka would cut it */
  fail_msg("no '%s'", part);
}

USED static void hasnot (const char *part) {
  if (strstr(got, part) != NULL) fail_msg("'%s' in:\n%s", part, got);
}

/* the whole text; cmocka would show only the first difference */
USED static void is (const char *expected) {
  if (strcmp(got, expected) == 0) return;
  size_t i = 0;
  while (got[i] == expected[i]) i++;
  fail_msg("from '%.60s' on, expected '%.60s':\n%s", got + i, expected + i, got);
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
