/*
** redact_test.c - no secret leaves, in whatever form; the rest is left alone
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vm/redact.h"

static int teardown (void **state) {
  (void)state;
  rb_redact_free();
  return 0;
}

static void add (const char *name, const char *text) {
  assert_int_equal(rb_redact_add(name, text, strlen(text)), 1);
}

static void becomes (const char *text, const char *expected) {
  rb_Buffer b = {0};
  rb_redact(&b, text, strlen(text));
  assert_false(b.failed);
  assert_string_equal(b.s, expected);
  rb_buffer_free(&b);
}

/* -- forms ----------------------------------------------------------------- */

static void plain (void **state) {
  (void)state;
  becomes("nothing to hide", "nothing to hide");
  becomes("", "");
  add("PW", "s3cr3t/&=pass");
  becomes("s3cr3t/&=pass", "[redacted PW]");
  becomes("a s3cr3t/&=pass b s3cr3t/&=pass", "a [redacted PW] b [redacted PW]");
  becomes("s3cr3t/&=pas, s3cr3", "s3cr3t/&=pas, s3cr3");
  becomes("", "");
}

/* a text that was cut to a length, or whose white space was made one space */
/* what is long enough to have been cut */
#define LONG_ "0123456789abcdefghijklmnopqrstuvwxyz 0123456789abcdefghijklmnopqrstuvwxyz "\
  "0123456789abcdefghijklmnopqrstuvwxyz "

static void cut (void **state) {
  (void)state;
  add("PW", "s3cr3t  /&=\npass");
  becomes(LONG_ "xx s3cr3t  /", LONG_ "xx [redacted PW]");
  becomes("xx s3cr3t", "xx s3cr3t");  /* a word that a secret begins with */
  becomes("xx s3cr3t /&= pass", "xx [redacted PW]");
  becomes("xx \"s3cr3t  /&...\" (3 words)", "xx \"[redacted PW]...\" (3 words)");
  becomes("xx/s3cr3t%20%20%2", "xx/[redacted PW]%2");
  becomes("s3cr3 / s3cr3t  nothing", "s3cr3 / s3cr3t  nothing");
  add("URL", "https://h.example/T0KEN/more");
  becomes("at https://", "at https://");
  becomes(LONG_ "at https://h.example/T0", LONG_ "at [redacted URL]");
}

static void percent (void **state) {
  (void)state;
  add("PW", "a/b c+d%e\xc3\xa9-x");
  becomes("p=a%2Fb%20c%2Bd%25e%C3%A9-x;", "p=[redacted PW];");
  becomes("p=a%2fb%20c%2bd%25e%c3%a9-x;", "p=[redacted PW];");
  becomes("p=a/b%20c+d%25e\xc3\xa9%2dx;", "p=[redacted PW];");
  becomes("p=a%2Fb+c%2Bd%25e%C3%A9-x;", "p=[redacted PW];");
  becomes("p=%61%2F%62%20%63%2B%64%25%65%C3%A9%2D%78;", "p=[redacted PW];");
  becomes("p=a%2Fb%2", "p=a%2Fb%2");
}

static void quoted (void **state) {
  (void)state;
  add("PW", "a\"b\\c/d\ne");
  becomes("{\"p\":\"a\\\"b\\\\c/d\\ne\"}", "{\"p\":\"[redacted PW]\"}");
  becomes("{\"p\":\"a\\\"b\\\\c\\/d\\u000Ae\"}", "{\"p\":\"[redacted PW]\"}");
  becomes("\\u0061\\u0022b\\\\c/d\\ne", "[redacted PW]");
}

static void base64 (void **state) {
  (void)state;
  add("PW", "tops3cret!");
  becomes("Basic dG9wczNjcmV0IQ==", "Basic [redacted PW]==");          /* "" */
  becomes("Basic OnRvcHMzY3JldCE=", "Basic O[redacted PW]=");          /* ":" */
  becomes("Basic dTp0b3BzM2NyZXQh", "Basic dT[redacted PW]");          /* "u:" */
  becomes("Basic a2ltOnRvcHMzY3JldCE=", "Basic a2ltO[redacted PW]=");  /* "kim:" */
  becomes("b=dTp0b3BzM2NyZXQheHh4", "b=dT[redacted PW]eHh4");  /* "u:...xxx" */
}

static void base64_of_urls (void **state) {
  (void)state;
  const char secret[] = "\xfb\xff\xbf\xfb\xff\xbf";  /* "+/+/+/+/" */
  assert_int_equal(rb_redact_add("PW", secret, 6), 1);
  becomes("x +/+/+/+/ y", "x [redacted PW] y");
  becomes("x -_-_-_-_ y", "x [redacted PW] y");
  becomes("x %2B%2f%2B%2F%2b/%2B%2F y", "x [redacted PW] y");
  becomes("x +\\/+\\/+\\/+\\/ y", "x [redacted PW] y");
}

/* -- several --------------------------------------------------------------- */

static void longest (void **state) {
  (void)state;
  add("SHORT", "abcdef");
  add("LONG", "abcdefghij");
  becomes("abcdefghij abcdefghi", "[redacted LONG] [redacted SHORT]ghi");
}

static void overlap (void **state) {
  (void)state;
  add("A", "abcdefgh");
  add("B", "fghijklm");
  becomes("-abcdefghijklm-", "-[redacted A][redacted B]-");
  becomes("-abcdefghabcdefgh-", "-[redacted A][redacted A]-");
  add("C", "zyzyzy");
  becomes("zyzyzyzyzyzy.", "[redacted C].");
}

static void first_name_wins (void **state) {
  (void)state;
  add("ONE", "same-text");
  add("TWO", "same-text");
  becomes("same-text", "[redacted ONE]");
}

static void too_short (void **state) {
  (void)state;
  assert_int_equal(rb_redact_add("PW", "12345", 5), 0);
  assert_int_equal(rb_redact_add("PW", "", 0), 0);
  becomes("12345", "12345");
}

static void bytes (void **state) {
  (void)state;
  rb_Buffer b = {0};
  assert_int_equal(rb_redact_add("PW", "a\0b\0c\0", 6), 1);
  rb_redact(&b, "\0a\0b\0c\0\0", 8);
  assert_int_equal(b.n, 1 + strlen("[redacted PW]") + 1);
  assert_int_equal(b.s[0], 0);
  rb_buffer_free(&b);
}

/* -- twice, and placeholders ------------------------------------------------ */

static void twice (void **state) {
  (void)state;
  add("erp-password of kim", "erp-password");
  becomes("[redacted erp-password of kim]", "[redacted erp-password of kim]");
  becomes("[redacted erp-password]", "[redacted [redacted erp-password of kim]]");
  becomes("[redacted erp-password of kim", "[redacted [redacted erp-password of kim] of kim");
}

static void placeholders (void **state) {
  (void)state;
  static const char *const yes[] = {"[redacted PW]", "x [redacted a.pg password] y",
                                    "[[redacted X]", "[redacted [redacted X]]", NULL};
  static const char *const no[] = {"", "[redacted ]", "[redacted", "[redacted PW",
                                   "[redacted a\nb]", "redacted PW]", NULL};
  for (const char *const *s = yes; *s != NULL; s++)
    assert_true(rb_redact_placeholder(*s, strlen(*s)));
  for (const char *const *s = no; *s != NULL; s++)
    assert_false(rb_redact_placeholder(*s, strlen(*s)));
}

/* -- anything --------------------------------------------------------------- */

static unsigned seed = 7;
static unsigned rnd (unsigned n) {
  seed = seed * 1103515245u + 12345u;
  return (seed >> 16) % n;
}

static size_t tobase64 (const char *s, size_t n, char *out) {
  static const char abc[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  size_t k = 0;
  for (size_t i = 0; i < n; i += 3) {
    unsigned v = (unsigned char)s[i] << 16;
    if (i + 1 < n) v |= (unsigned)(unsigned char)s[i + 1] << 8;
    if (i + 2 < n) v |= (unsigned char)s[i + 2];
    out[k++] = abc[v >> 18];
    out[k++] = abc[v >> 12 & 63];
    out[k++] = i + 1 < n ? abc[v >> 6 & 63] : '=';
    out[k++] = i + 2 < n ? abc[v & 63] : '=';
  }
  return k;
}

/* a secret at any place of any text, in every form: always replaced */
static void anywhere (void **state) {
  (void)state;
  static const char some[] = "ab%/\\\"+ -_=z0%41";
  for (int round = 0; round < 20000; round++) {
    char secret[24], text[80], form[240];
    size_t len = 6 + rnd(12), before = rnd(8), n = before + len + rnd(8), k = 0;
    for (size_t i = 0; i < len; i++) secret[i] = some[rnd(sizeof some - 1)];
    for (size_t i = 0; i < n; i++) text[i] = "xy. "[rnd(4)];
    memcpy(text + before, secret, len);
    assert_int_equal(rb_redact_add("PW", secret, len), 1);
    for (unsigned how = 0; how < 4; how++) {
      if (how == 0) memcpy(form, text, k = n);
      if (how == 1) k = tobase64(text, n, form);
      for (size_t i = k = how < 2 ? k : 0; how >= 2 && i < n; i++) {
        int special = how == 2 ? strchr("%/\\\"+ =", text[i]) != NULL || rnd(3) == 0
                               : strchr("\\\"", text[i]) != NULL;
        if (!special) form[k++] = text[i];
        else if (how == 3) form[k++] = '\\', form[k++] = text[i];
        else k += (size_t)sprintf(form + k, rnd(2) ? "%%%02X" : "%%%02x", text[i]);
      }
      rb_Buffer b = {0};
      rb_redact(&b, form, k);
      assert_non_null(strstr(b.s, "[redacted PW]"));
      rb_buffer_free(&b);
    }
    rb_redact_free();
  }
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_teardown(plain, teardown),
    cmocka_unit_test_teardown(cut, teardown),
    cmocka_unit_test_teardown(percent, teardown),
    cmocka_unit_test_teardown(quoted, teardown),
    cmocka_unit_test_teardown(base64, teardown),
    cmocka_unit_test_teardown(base64_of_urls, teardown),
    cmocka_unit_test_teardown(longest, teardown),
    cmocka_unit_test_teardown(overlap, teardown),
    cmocka_unit_test_teardown(first_name_wins, teardown),
    cmocka_unit_test_teardown(too_short, teardown),
    cmocka_unit_test_teardown(bytes, teardown),
    cmocka_unit_test_teardown(twice, teardown),
    cmocka_unit_test_teardown(placeholders, teardown),
    cmocka_unit_test_teardown(anywhere, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
