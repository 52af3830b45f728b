/*
** utf8.h - is it UTF-8?
*/

#ifndef rb_utf8_h
#define rb_utf8_h

#include <stddef.h>

/* Where the text stops being UTF-8; n: nowhere. */
size_t rb_utf8 (const char *s, size_t n);

#endif
