/* pool_test.c - memory of a Lua state: blocks keep their bytes, and are used again */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vm/pool.h"

enum { BLOCKS = 2000 };

static void filled (const unsigned char *p, size_t n, int with) {
  for (size_t i = 0; i < n; i++) assert_int_equal(p[i], with);
}

/* every size around the border, and many blocks at once: none lies in another */
static void blocks_are_apart (void **state) {
  rb_Pool pool = {0};
  unsigned char *p[BLOCKS];
  (void)state;
  for (size_t i = 0; i < BLOCKS; i++) {
    size_t n = i % 300 + 1;
    p[i] = rb_pool_realloc(&pool, NULL, 0, n);
    assert_non_null(p[i]);
    assert_int_equal((uintptr_t)p[i] % 16, 0);
    memset(p[i], (int)(i % 251), n);
  }
  for (size_t i = 0; i < BLOCKS; i++) filled(p[i], i % 300 + 1, (int)(i % 251));
  for (size_t i = 0; i < BLOCKS; i++)
    assert_null(rb_pool_realloc(&pool, p[i], i % 300 + 1, 0));
  rb_pool_free(&pool);
}

/* from each size to each: what fits in both is kept */
static void sizes_change (void **state) {
  static const size_t sizes[] = {1, 15, 16, 17, 255, 256, 257, 1000, 70000};
  enum { N = sizeof sizes / sizeof *sizes };
  rb_Pool pool = {0};
  (void)state;
  for (int i = 0; i < N; i++)
    for (int k = 0; k < N; k++) {
      size_t least = sizes[i] < sizes[k] ? sizes[i] : sizes[k];
      unsigned char *p = rb_pool_realloc(&pool, NULL, 0, sizes[i]);
      memset(p, 7, sizes[i]);
      p = rb_pool_realloc(&pool, p, sizes[i], sizes[k]);
      filled(p, least, 7);
      memset(p, 9, sizes[k]);
      rb_pool_realloc(&pool, p, sizes[k], 0);
    }
  rb_pool_free(&pool);
}

/* what is given back is taken again: a million blocks, one at a time */
static void blocks_are_used_again (void **state) {
  rb_Pool pool = {0};
  (void)state;
  for (int i = 0; i < 1000000; i++)
    rb_pool_realloc(&pool, rb_pool_realloc(&pool, NULL, 0, 48), 48, 0);
  rb_Chunk *first = pool.chunks;
  rb_pool_realloc(&pool, rb_pool_realloc(&pool, NULL, 0, 48), 48, 0);
  assert_ptr_equal(pool.chunks, first);
  void *p = rb_pool_realloc(&pool, NULL, 0, 48), *q;
  rb_pool_realloc(&pool, p, 48, 0);
  q = rb_pool_realloc(&pool, NULL, 0, 41);  /* of the same class */
  if (pool.chunks != NULL) assert_ptr_equal(q, p);  /* not beside a sanitizer */
  rb_pool_realloc(&pool, q, 41, 0);
  rb_pool_free(&pool);
  assert_null(pool.chunks);
}

static void nothing_is_freed (void **state) {
  rb_Pool pool = {0};
  (void)state;
  assert_null(rb_pool_realloc(&pool, NULL, 0, 0));
  rb_pool_free(&pool);
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(blocks_are_apart),
    cmocka_unit_test(sizes_change),
    cmocka_unit_test(blocks_are_used_again),
    cmocka_unit_test(nothing_is_freed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
