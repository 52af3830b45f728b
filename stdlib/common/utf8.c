/*
** utf8.c - is it UTF-8?
*/

#include "stdlib/common/utf8.h"

/* how long the character at s is; 0: it is none (RFC 3629) */
static size_t character (const unsigned char *s, size_t n) {
  if (*s < 0x80) return 1;
  size_t want = *s >= 0xF0 ? 4 : *s >= 0xE0 ? 3 : 2;
  if (*s < 0xC2 || *s > 0xF4 || want > n) return 0;
  for (size_t i = 1; i < want; i++)
    if ((s[i] & 0xC0) != 0x80) return 0;
  if (*s == 0xE0 && s[1] < 0xA0) return 0;
  if (*s == 0xED && s[1] > 0x9F) return 0;  /* a half of UTF-16 */
  if (*s == 0xF0 && s[1] < 0x90) return 0;
  return *s == 0xF4 && s[1] > 0x8F ? 0 : want;
}

size_t rb_utf8 (const char *s, size_t n) {
  size_t i = 0, len;
  while (i < n && (len = character((const unsigned char *)s + i, n - i)) > 0) i += len;
  return i;
}
