/*
** params_test.c - every type of parameter, and every way to get one wrong
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

#include <lauxlib.h>

#include "vm/module.h"
#include "vm/run/outline.h"
#include "vm/state.h"

#define MAXWORDS 8

static const char runbook[] =
  "return runbook {\n"
  "  params = {\n"
  "    str = { 'string' }, ident = { 'identifier' }, int = { 'integer' },\n"
  "    num = { 'number' }, bool = { 'boolean' }, dur = { 'duration' },\n"
  "    mail = { 'email' }, file = { 'path' }, link = { 'url' },\n"
  "    day = { 'date' }, pick = { 'choice', 'red', 'green' },\n"
  "    key = { 'secret' },\n"
  "    block = { 'duration', default = '90m', help = 'how long' },\n"
  "    log = { 'path', default = 'a.log' },\n"
  "  },\n"
  "  step 'a' { manual = 'x' },\n"
  "  case 'on' { params = { who = { 'email', required = true } },\n"
  "    step 'b' { manual = 'x' } },\n"
  "  case 'off' { params = { why = { 'string', required = true,\n"
  "    help = 'the reason' }, at = { 'date', required = true } },\n"
  "    step 'c' { manual = 'x' } },\n"
  "}\n";

static char path[] = "/tmp/rb_params_XXXXXX.lua";

typedef struct Read {
  lua_State *L;
  rb_Outline o;
  rb_Problem p;
  const char *const *answers;   /* of the person at the terminal */
  char asked[200];              /* "at why why(takes ...)" */
  char secret[64];
} Read;

static char *ask (void *ud, const rb_Param *q, const char *wrong) {
  Read *r = ud;
  size_t n = strlen(r->asked);
  snprintf(r->asked + n, sizeof r->asked - n, "%s%s%.20s", n > 0 ? " " : "",
           q->name, wrong != NULL ? wrong : "");
  return *r->answers != NULL ? strdup(*r->answers++) : NULL;
}

static char kept[64];

static void keepsecret (lua_State *L, const char *name, const char *text,
                        size_t n) {
  snprintf(kept, sizeof kept, "%s=%.*s", name, (int)n, text);
  lua_pushliteral(L, "<secret>");
}

static void open (Read *r) {
  *r = (Read){.L = rb_state_new()};
  assert_non_null(r->L);
  rb_words_open(r->L);
  assert_int_equal(rb_outline_load(r->L, path, &r->o, &r->p), 0);
}

static void done (Read *r) {
  rb_outline_free(r->L, &r->o);
  rb_state_free(r->L);
}

/* reads words separated by '|'; leaves the values on the top */
static int readparams (Read *r, const char *line, const char *caseid) {
  char text[1024];
  const char *words[MAXWORDS + 1] = {NULL}, *cases[] = {caseid, NULL};
  int n = 0, top = lua_gettop(r->L);
  snprintf(text, sizeof text, "%s", line);
  for (char *s = text; *text != '\0' && s != NULL && n < MAXWORDS; ) {
    words[n++] = s;
    s = strchr(s, '|');
    if (s != NULL) *s++ = '\0';
  }
  int rc = rb_params_read(r->L, &r->o, words, 0, caseid ? cases : NULL,
                          r->answers != NULL ? ask : NULL, r, keepsecret,
                          &r->p);
  assert_int_equal(lua_gettop(r->L), top + 1);
  assert_int_equal(rc, r->p.exit);
  return rc;
}

/* -- values ---------------------------------------------------------------- */

static const struct Good { const char *word, *name, *value, *type; } good[] = {
  {"str=", "str", "", "string"},
  {"str=a=b", "str", "a=b", "string"},
  {"str=gr\xC3\xBC\xC3\x9F", "str", "gr\xC3\xBC\xC3\x9F", "string"},
  {"ident=st-marys", "ident", "st-marys", "string"},
  {"ident=x\"; DROP SCHEMA public; --", "ident",
   "x\"; DROP SCHEMA public; --", "string"},
  {"ident=123456789012345678901234567890123456789012345678901234567890123",
   "ident", "123456789012345678901234567890123456789012345678901234567890123",
   "string"},
  {"int=-5", "int", "-5", "integer"},
  {"int=9223372036854775807", "int", "9223372036854775807", "integer"},
  {"num=2.5e3", "num", "2500.0", "float"},
  {"bool=yes", "bool", "true", "boolean"},
  {"bool=0", "bool", "false", "boolean"},
  {"dur=90m", "dur", "1h30m", "string"},
  {"dur=1.5s", "dur", "1s500ms", "string"},
  {"dur=0s", "dur", "0s", "string"},
  {"mail= Kim.O'Hara+x@Example.ORG ", "mail", "kim.o'hara+x@example.org",
   "string"},
  {"file=/etc/../etc/./passwd", "file", "/etc/passwd", "string"},
  {"file=/tmp/rb-none-such/x", "file", "/tmp/rb-none-such/x", "string"},
  {"link=https://example.org/a?b=c#d", "link", "https://example.org/a?b=c#d",
   "string"},
  {"day=2024-02-29", "day", "2024-02-29", "string"},
  {"pick=green", "pick", "green", "string"},
  {"key=hush hush", "key", "<secret>", "string"},
  {"block=2d", "block", "2d", "string"},
  {"str=x", "block", "1h30m", "string"},      /* its default, normalised */
  {"str=x", "log", "/tmp/a.log", "string"},   /* beside the runbook */
  {"who=a@b", "who", "a@b", "string"},        /* no case chosen: all count */
};

static const char *typeofvalue (lua_State *L) {
  if (lua_type(L, -1) != LUA_TNUMBER) return luaL_typename(L, -1);
  return lua_isinteger(L, -1) ? "integer" : "float";
}

static void test_values (void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    Read r;
    open(&r);
    if (readparams(&r, good[i].word, NULL) != 0)
      fail_msg("%s: %s", good[i].word, r.p.message);
    lua_getfield(r.L, -1, good[i].name);
    assert_string_equal(typeofvalue(r.L), good[i].type);
    assert_string_equal(luaL_tolstring(r.L, -1, NULL), good[i].value);
    done(&r);
  }
  assert_string_equal(kept, "key=hush hush");
}

static void test_relative (void **state) {
  Read r;
  char cwd[4096], expected[4200];
  (void)state;
  open(&r);
  assert_non_null(getcwd(cwd, sizeof cwd));
  snprintf(expected, sizeof expected, "%s/rb-none.csv",
           strcmp(cwd, "/") == 0 ? "" : cwd);
  assert_int_equal(readparams(&r, "file=./rb-none.csv", NULL), 0);
  lua_getfield(r.L, -1, "file");
  assert_string_equal(lua_tostring(r.L, -1), expected);
  done(&r);
}

static const struct Bad { const char *word, *says[2]; } bad[] = {
  {"str=\xE9", {"'str' takes text (UTF-8)"}},
  {"ident=", {"an identifier of 1 to 63 bytes, not \"\""}},
  {"ident=1234567890123456789012345678901234567890123456789012345678901234",
   {"1 to 63 bytes", "..."}},
  {"int=12x", {"takes an integer, not \"12x\""}},
  {"int=", {"takes an integer"}},
  {"int= 5", {"takes an integer"}},
  {"int=1.0", {"takes an integer"}},
  {"int=9223372036854775808", {"9223372036854775807"}},
  {"num=inf", {"takes a number"}},
  {"num=0x10", {"takes a number"}},
  {"num=1e999", {"takes a number"}},
  {"bool=maybe", {"true or false"}},
  {"dur=90", {"with its unit (say \"90s\"?), not \"90\""}},
  {"dur=30m1h", {"a duration such as"}},
  {"dur=1h 30m", {"a duration such as"}},
  {"dur=-5s", {"a duration such as"}},
  {"dur=", {"a duration such as"}},
  {"dur=99999999d", {"a duration such as"}},
  {"mail=kim", {"an e-mail address"}},
  {"mail=Kim <kim@example.org>", {"without a name"}},
  {"mail=a@b@c", {"an e-mail address"}},
  {"mail=a b@c", {"an e-mail address"}},
  {"mail=a@b\nBcc: all@c", {"an e-mail address", "a@b?Bcc"}},
  {"mail=.a@b", {"an e-mail address"}},
  {"mail=a@b..c", {"an e-mail address"}},
  {"file=", {"takes a path"}},
  {"link=example.org", {"takes a URL"}},
  {"link=http://", {"takes a URL"}},
  {"link=javascript:alert(1)", {"takes a URL"}},
  {"link=http://a b", {"takes a URL"}},
  {"day=2025-02-29", {"a date of the calendar"}},
  {"day=2025-2-9", {"a date such as"}},
  {"day=31.01.2025", {"a date such as"}},
  {"pick=gren", {"one of red, green (did you mean 'green'?)"}},
  {"key=", {"takes a text that is not empty, not what was given"}},
  {"strr=x", {"did you mean 'str'?", "it takes block (duration)"}},
  {"nothing", {"write name=value"}},
  {"=x", {"write name=value"}},
  {"str=a|str=b", {"'str' is given twice"}},
};

static void test_bad (void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    Read r;
    open(&r);
    int rc = readparams(&r, bad[i].word, NULL);
    int right = rc == RB_USAGE && strcmp(r.p.kind, "parameter") == 0;
    for (int k = 0; k < 2 && bad[i].says[k] != NULL; k++)
      right = right && strstr(r.p.message, bad[i].says[k]) != NULL;
    if (!right) fail_msg("%s -> %d %s", bad[i].word, rc, r.p.message);
    done(&r);
  }
}

/* -- cases and questions --------------------------------------------------- */

static void test_cases (void **state) {
  Read r;
  (void)state;
  open(&r);
  assert_int_equal(readparams(&r, "", NULL), 0);
  assert_int_equal(readparams(&r, "who=a@b", "on"), 0);
  assert_int_equal(readparams(&r, "who=a@b", "off"), RB_USAGE);
  assert_non_null(strstr(r.p.message, "add --case on"));
  assert_int_equal(readparams(&r, "", "off"), RB_USAGE);
  assert_non_null(strstr(r.p.message,
      "missing parameters: at (date); why (string), the reason"));
  assert_non_null(strstr(r.p.message, " at=... why=..."));
  done(&r);
}

static void test_asks (void **state) {
  static const char *const answers[] = {"tomorrow", "2025-01-31", "so", NULL};
  Read r;
  (void)state;
  open(&r);
  r.answers = answers;
  assert_int_equal(readparams(&r, "", "off"), 0);
  assert_string_equal(r.asked, "at attakes a date such as why");
  lua_getfield(r.L, -1, "at");
  assert_string_equal(lua_tostring(r.L, -1), "2025-01-31");
  lua_pop(r.L, 1);
  r.answers = answers + 3;  /* the person gives up */
  assert_int_equal(readparams(&r, "", "off"), RB_USAGE);
  done(&r);
}

/* the configuration's defaults, below words and above the runbook's own */
static int withdefaults (Read *r, const char *lua, const char *word) {
  const char *const words[] = {word, NULL};
  assert_int_equal(luaL_loadstring(r->L, lua), LUA_OK);
  assert_int_equal(lua_pcall(r->L, 0, 1, 0), LUA_OK);
  return rb_params_read(r->L, &r->o, words, -1, NULL, NULL, NULL, NULL, &r->p);
}

static void test_defaults (void **state) {
  Read r;
  (void)state;
  open(&r);
  assert_int_equal(withdefaults(&r, "return { block = '5s', int = 3, "
                                "bool = true, str = 'low' }", "str=high"), 0);
  lua_getfield(r.L, -1, "block");
  assert_string_equal(lua_tostring(r.L, -1), "5s");
  lua_getfield(r.L, -2, "str");
  assert_string_equal(lua_tostring(r.L, -1), "high");
  lua_getfield(r.L, -3, "bool");
  assert_true(lua_toboolean(r.L, -1));
  assert_int_equal(withdefaults(&r, "return { blok = '5s' }", NULL), RB_USAGE);
  assert_non_null(strstr(r.p.message, "the configuration's defaults"));
  assert_non_null(strstr(r.p.message, "'block'"));
  assert_int_equal(withdefaults(&r, "return { block = 5 }", NULL), RB_USAGE);
  assert_non_null(strstr(r.p.message, "say \"5s\"?"));
  assert_int_equal(withdefaults(&r, "return { str = {} }", NULL), RB_USAGE);
  assert_non_null(strstr(r.p.message, "not a table"));
  done(&r);
}

static void test_durations (void **state) {
  static const struct { double seconds; const char *text; } rows[] = {
    {0, "0s"}, {0.25, "250ms"}, {1, "1s"}, {90, "1m30s"}, {5400, "1h30m"},
    {86400, "1d"}, {172801, "2d1s"}, {3600, "1h"}
  };
  char text[32], small[4];
  double s;
  (void)state;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    rb_duration_text(rows[i].seconds, text, sizeof text);
    assert_string_equal(text, rows[i].text);
    assert_true(rb_duration(text, &s) && s == rows[i].seconds);
  }
  rb_duration_text(90061, small, sizeof small);  /* cut, not overrun */
  assert_int_equal(strlen(small), 3);
}

static int setup (void **state) {
  (void)state;
  int fd = mkstemps(path, 4);
  FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
  return f == NULL || fputs(runbook, f) < 0 || fclose(f) != 0 ? -1 : 0;
}

static int teardown (void **state) {
  (void)state;
  return unlink(path);
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_values), cmocka_unit_test(test_relative),
    cmocka_unit_test(test_bad), cmocka_unit_test(test_cases),
    cmocka_unit_test(test_asks), cmocka_unit_test(test_defaults),
    cmocka_unit_test(test_durations)
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
