/*
** buffer.h - bytes that grow
*/

#ifndef rb_buffer_h
#define rb_buffer_h

#include <stddef.h>
#include <stdarg.h>

/* zeroed means empty; 'failed' stays set once memory ran out, so that one
** look at the end is enough. 's' ends with a NUL that 'n' does not count. */
typedef struct rb_Buffer {
  char *s;
  size_t n, size;
  int failed;
} rb_Buffer;

void rb_buffer_add (rb_Buffer *b, const void *s, size_t n);
void rb_buffer_puts (rb_Buffer *b, const char *s);
void rb_buffer_number (rb_Buffer *b, long long n);
void rb_buffer_printf (rb_Buffer *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void rb_buffer_clear (rb_Buffer *b);  /* empty, keeping the memory */
void rb_buffer_free (rb_Buffer *b);

#endif
