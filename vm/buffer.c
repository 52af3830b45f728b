/*
** buffer.c - bytes that grow
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/buffer.h"

/* room for n more bytes and a NUL */
static int reserve (rb_Buffer *b, size_t n) {
  if (b->failed) return 0;
  if (b->n + n + 1 > b->size) {
    size_t size = b->size < 128 ? 128 : b->size;
    while (size < b->n + n + 1) size *= 2;
    char *s = realloc(b->s, size);
    if (s == NULL) { b->failed = 1; return 0; }
    b->s = s;
    b->size = size;
  }
  return 1;
}

void rb_buffer_add (rb_Buffer *b, const void *s, size_t n) {
  if (!reserve(b, n)) return;
  if (n > 0) memcpy(b->s + b->n, s, n);
  b->n += n;
  b->s[b->n] = '\0';
}

void rb_buffer_puts (rb_Buffer *b, const char *s) {
  rb_buffer_add(b, s, strlen(s));
}

/* printf takes six times as long */
void rb_buffer_number (rb_Buffer *b, long long n) {
  char s[24], *at = s + sizeof s;
  unsigned long long left = n < 0 ? 0 - (unsigned long long)n : (unsigned long long)n;
  do *--at = (char)('0' + left % 10); while ((left /= 10) > 0);
  if (n < 0) *--at = '-';
  rb_buffer_add(b, at, (size_t)(s + sizeof s - at));
}

/* most texts fit at once; else the length is known, and it is written again */
void rb_buffer_printf (rb_Buffer *b, const char *fmt, ...) {
  va_list ap, again;
  if (!reserve(b, 100)) return;
  va_start(ap, fmt);
  va_copy(again, ap);
  size_t room = b->size - b->n;
  int n = vsnprintf(b->s + b->n, room, fmt, ap);
  if (n >= 0 && (size_t)n >= room) {
    if (reserve(b, (size_t)n)) vsnprintf(b->s + b->n, (size_t)n + 1, fmt, again);
    else n = -1;
  }
  if (n >= 0) b->n += (size_t)n;
  else b->s[b->n] = '\0';
  va_end(again);
  va_end(ap);
}

void rb_buffer_clear (rb_Buffer *b) {
  b->n = 0;
  b->failed = 0;
  if (b->s != NULL) b->s[0] = '\0';
}

void rb_buffer_free (rb_Buffer *b) {
  free(b->s);
  *b = (rb_Buffer){0};
}
