/*
** tally.c - how often each of many keys was seen
*/

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "stdlib/log/log.h"

enum { MOST = 200000, CHUNK = 1 << 16 };
#define BYTES ((size_t)16 << 20)

struct Block {
  Block *next;
  size_t used, size;
  char bytes[];
};

static inline uint64_t hash (const char *s, size_t n) {
  uint64_t h = 0x9E3779B97F4A7C15ull ^ n, w;
  for (; n >= sizeof w; n -= sizeof w, s += sizeof w) {
    memcpy(&w, s, sizeof w);
    h = (h ^ w) * 0xFF51AFD7ED558CCDull;
    h ^= h >> 32;
  }
  w = 0;
  memcpy(&w, s, n);
  h = (h ^ w) * 0xC4CEB9FE1A85EC53ull;
  return h ^ h >> 29;
}

static Seen *slotof (Seen *slot, size_t room, const char *key, size_t n) {
  size_t i = hash(key, n) & (room - 1);
  while (slot[i].count > 0 && (slot[i].n != n || memcmp(slot[i].key, key, n) != 0))
    i = (i + 1) & (room - 1);
  return &slot[i];
}

static int widen (Tally *t) {
  size_t room = t->room > 0 ? t->room * 2 : 256;
  Seen *slot = calloc(room, sizeof *slot);
  if (slot == NULL) return 0;
  for (size_t i = 0; i < t->room; i++)
    if (t->slot[i].count > 0)
      *slotof(slot, room, t->slot[i].key, t->slot[i].n) = t->slot[i];
  free(t->slot);
  t->slot = slot;
  t->room = room;
  return 1;
}

static const char *keep (Tally *t, const char *key, size_t n) {
  Block *b = t->block;
  if (b == NULL || b->size - b->used < n) {
    size_t size = n > CHUNK ? n : CHUNK;
    if ((b = malloc(sizeof *b + size)) == NULL) return NULL;
    *b = (Block){.next = t->block, .size = size};
    t->block = b;
  }
  char *to = b->bytes + b->used;
  memcpy(to, key, n);
  b->used += n;
  t->bytes += n;
  return to;
}

int rb_log_tally (Tally *t, const char *key, size_t n) {
  if (t->used * 2 >= t->room && !widen(t)) return 0;
  Seen *s = slotof(t->slot, t->room, key, n);
  if (s->count++ > 0) return 1;
  s->count = 0;
  if (t->used == MOST || t->bytes + n > BYTES) return -1;
  const char *kept = keep(t, key, n);
  if (kept == NULL) return 0;
  *s = (Seen){kept, n, 1};
  t->used++;
  return 1;
}

static int bykeys (const void *a, const void *b) {
  int64_t x, y;
  memcpy(&x, ((const Seen *)a)->key, sizeof x);
  memcpy(&y, ((const Seen *)b)->key, sizeof y);
  return (x > y) - (x < y);
}

static int bycount (const void *a, const void *b) {
  const Seen *x = a, *y = b;
  if (x->count != y->count) return x->count < y->count ? 1 : -1;
  size_t n = x->n < y->n ? x->n : y->n;
  int rc = memcmp(x->key, y->key, n);
  return rc != 0 ? rc : (x->n > y->n) - (x->n < y->n);
}

void rb_log_sort (Tally *t, int bykey) {
  size_t n = 0;
  for (size_t i = 0; i < t->room; i++)
    if (t->slot[i].count > 0) t->slot[n++] = t->slot[i];
  if (n > 0) qsort(t->slot, n, sizeof *t->slot, bykey ? bykeys : bycount);
}

void rb_log_freetally (Tally *t) {
  while (t->block != NULL) {
    Block *next = t->block->next;
    free(t->block);
    t->block = next;
  }
  free(t->slot);
  *t = (Tally){0};
}
