/*
** squeeze.c - what is long is compressed before it is sealed
**
** Four bytes of its length, then zlib's stream. Only what becomes shorter is kept so, and
** nothing that is larger than a result may be: then no stream, however it was made, can
** ask for more memory than that when it is opened.
*/

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "vm/tape/store.h"

#define LONG ((size_t)64 << 10)  /* bytes: below, the time is worth more than the room */
#define MOST ((size_t)17 << 20)  /* a result has 16 MB, and then its own names */
enum { HEAD = 4 };

size_t rb_squeeze (unsigned char *s, size_t n) {
  if (n < LONG || n > MOST) return n;
  uLongf room = n - HEAD - 1;
  unsigned char *out = malloc(room);
  if (out == NULL) return n;
  if (compress2(out, &room, s, n, Z_BEST_SPEED) != Z_OK) {
    sodium_memzero(out, n - HEAD - 1);
    free(out);
    return n;
  }
  for (int i = 0; i < HEAD; i++) s[i] = (unsigned char)(n >> 8 * i);
  memcpy(s + HEAD, out, room);
  sodium_memzero(s + HEAD + room, n - HEAD - room);
  sodium_memzero(out, room);
  free(out);
  return HEAD + room;
}

void *rb_unsqueeze (const void *squeezed, size_t n, size_t *len) {
  const unsigned char *s = squeezed;
  size_t whole = 0;
  if (n < HEAD) return NULL;
  for (int i = 0; i < HEAD; i++) whole |= (size_t)s[i] << 8 * i;
  unsigned char *out = whole <= MOST ? malloc(whole + 1) : NULL;
  uLongf got = whole;
  if (out == NULL) return NULL;
  if (uncompress(out, &got, s + HEAD, n - HEAD) != Z_OK || got != whole) {
    sodium_memzero(out, whole);
    free(out);
    return NULL;
  }
  out[whole] = '\0';
  *len = whole;
  return out;
}
