/*
** utf8.c - is this text?
*/

#include "vm/run/shape.h"

/* bytes of the character at s, 0 when it is none: no overlong forms, no
** surrogates, nothing above U+10FFFF */
static size_t charlen (const unsigned char *s, size_t n) {
  unsigned char low = 0x80, high = 0xBF;
  size_t len;
  if (s[0] < 0x80) return 1;
  else if (s[0] >= 0xC2 && s[0] <= 0xDF) len = 2;
  else if (s[0] >= 0xE0 && s[0] <= 0xEF) len = 3;
  else if (s[0] >= 0xF0 && s[0] <= 0xF4) len = 4;
  else return 0;
  if (s[0] == 0xE0) low = 0xA0;
  if (s[0] == 0xED) high = 0x9F;
  if (s[0] == 0xF0) low = 0x90;
  if (s[0] == 0xF4) high = 0x8F;
  if (n < len || s[1] < low || s[1] > high) return 0;
  for (size_t i = 2; i < len; i++)
    if ((s[i] & 0xC0) != 0x80) return 0;
  return len;
}

size_t rb_utf8 (const char *s, size_t n) {
  size_t at = 0, len;
  while (at < n && (len = charlen((const unsigned char *)s + at, n - at)) > 0)
    at += len;
  return at;
}
