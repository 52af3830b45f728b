/*
** pool.h - memory of a Lua state
*/

#ifndef rb_pool_h
#define rb_pool_h

#include <stddef.h>

/* Does an address sanitizer look on? */
#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define RB_SANITIZED 1
#else
#define RB_SANITIZED 0
#endif

#define RB_POOLSIZES 32

typedef struct rb_Chunk rb_Chunk;

/* zeroed it is empty */
typedef struct rb_Pool {
  void *free[RB_POOLSIZES];  /* blocks that were given back, by size */
  char *at;                  /* the rest of the newest chunk */
  size_t left;
  rb_Chunk *chunks;
} rb_Pool;

/* as realloc, by one who knows the old size (0 where p is NULL); size 0 frees.
** NULL: there is no more memory, and p is as it was. */
void *rb_pool_realloc (rb_Pool *pool, void *p, size_t old, size_t size);

void rb_pool_free (rb_Pool *pool);

#endif
