/*
** pool.c - memory of a Lua state: what is small comes from chunks
**
** A state is made for every runbook that is read, and nearly all that it holds
** are blocks of less than 256 bytes, whose size Lua tells when it gives them
** back. They are cut from chunks, and wait in a list of their size to be taken
** again; the chunks go with the state. Where an address sanitizer looks on,
** every block is one of malloc's, so that it sees them all.
*/

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "vm/pool.h"

/* bytes of the largest block that comes from a chunk */
#define SMALL (RB_SANITIZED ? 0 : 256)

#define UNIT sizeof(max_align_t)
#define CHUNK ((size_t)32 << 10)

typedef struct Free {
  struct Free *next;
} Free;

struct rb_Chunk {
  struct rb_Chunk *next;
  max_align_t data[];
};

_Static_assert(SMALL / sizeof(max_align_t) < RB_POOLSIZES, "a list for each size");

static int issmall (size_t n) {
  return n > 0 && n <= SMALL;
}

static size_t classof (size_t n) {
  return (n + UNIT - 1) / UNIT;
}

/* NULL: there is no more memory */
static void *take (rb_Pool *pool, size_t n) {
  size_t class = classof(n), size = class * UNIT;
  Free *block = pool->free[class];
  if (block != NULL) {
    pool->free[class] = block->next;
    return block;
  }
  if (pool->left < size) {  /* what is left of the last chunk is not used */
    rb_Chunk *chunk = malloc(sizeof *chunk + CHUNK);
    if (chunk == NULL) return NULL;
    chunk->next = pool->chunks;
    pool->chunks = chunk;
    pool->at = (char *)chunk->data;
    pool->left = CHUNK;
  }
  void *p = pool->at;
  pool->at += size;
  pool->left -= size;
  return p;
}

static void give (rb_Pool *pool, void *p, size_t n) {
  if (!issmall(n)) {
    free(p);
    return;
  }
  Free *block = p;
  block->next = pool->free[classof(n)];
  pool->free[classof(n)] = block;
}

void *rb_pool_realloc (rb_Pool *pool, void *p, size_t old, size_t size) {
  if (size == 0) {
    give(pool, p, old);
    return NULL;
  }
  if (!issmall(old) && !issmall(size)) return realloc(p, size);
  if (issmall(old) && issmall(size) && classof(old) == classof(size)) return p;
  void *q = issmall(size) ? take(pool, size) : malloc(size);
  if (q == NULL || p == NULL) return q;
  memcpy(q, p, old < size ? old : size);
  give(pool, p, old);
  return q;
}

void rb_pool_free (rb_Pool *pool) {
  for (rb_Chunk *c = pool->chunks, *next; c != NULL; c = next) {
    next = c->next;
    free(c);
  }
  *pool = (rb_Pool){0};
}
