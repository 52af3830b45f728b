/*
** squeeze_test.c - what is long is compressed, and no stream asks for more than it may
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <zlib.h>

#include "vm/tape/store.h"

enum { MB = 1 << 20 };

static unsigned char *text (size_t n) {
  unsigned char *s = malloc(n);
  for (size_t i = 0; i < n; i++) s[i] = (unsigned char)("line of a report\n"[i % 17]);
  return s;
}

static void comesback (void **state) {
  static const size_t sizes[] = {64 << 10, 100000, 5 * MB, 16 * MB};
  (void)state;
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    size_t len = 0, n = sizes[i];
    unsigned char *s = text(n), *was = text(n);
    size_t short_ = rb_squeeze(s, n);
    assert_true(short_ < n / 10);
    for (size_t k = short_; k < n; k++) assert_int_equal(s[k], 0);
    char *back = rb_unsqueeze(s, short_, &len);
    assert_non_null(back);
    assert_int_equal(len, n);
    assert_memory_equal(back, was, n);
    assert_int_equal(back[n], 0);
    free(back);
    free(s);
    free(was);
  }
}

static void stays (void **state) {
  (void)state;
  size_t n = MB;
  unsigned char *s = text(18 * MB), *noise = malloc(n), *same = malloc(n);
  assert_int_equal(rb_squeeze(s, 1000), 1000);          /* short */
  assert_int_equal(rb_squeeze(s, 18 * MB), 18 * MB);    /* larger than a result */
  randombytes_buf(noise, n);
  memcpy(same, noise, n);
  assert_int_equal(rb_squeeze(noise, n), n);            /* would not be shorter */
  assert_memory_equal(noise, same, n);
  free(s);
  free(noise);
  free(same);
}

/* the length that a stream claims, and the stream */
static size_t make (unsigned char *out, size_t room, size_t claims, size_t holds) {
  unsigned char *s = calloc(1, holds);
  uLongf n = room - 4;
  assert_int_equal(compress2(out + 4, &n, s, holds, 9), Z_OK);
  for (int i = 0; i < 4; i++) out[i] = (unsigned char)(claims >> 8 * i);
  free(s);
  return n + 4;
}

static void bombs (void **state) {
  static unsigned char out[MB];
  size_t len = 0;
  (void)state;
  size_t n = make(out, sizeof out, 200 * MB, 200 * MB);
  assert_null(rb_unsqueeze(out, n, &len));              /* more than a result */
  n = make(out, sizeof out, MB, 200 * MB);
  assert_null(rb_unsqueeze(out, n, &len));              /* more than it says */
  n = make(out, sizeof out, 2 * MB, MB);
  assert_null(rb_unsqueeze(out, n, &len));              /* less than it says */
  n = make(out, sizeof out, MB, MB);
  assert_null(rb_unsqueeze(out, n - 1, &len));          /* cut */
  assert_null(rb_unsqueeze(out, 3, &len));
  out[20] ^= 1;
  assert_null(rb_unsqueeze(out, n, &len));              /* damaged */
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(comesback), cmocka_unit_test(stays), cmocka_unit_test(bombs)
  };
  if (sodium_init() < 0) return 1;
  return cmocka_run_group_tests(tests, NULL, NULL);
}
