/*
** redact.c - the one place where secrets are taken out of what leaves us
**
** Every secret is kept as a list of needles: its text, its percent-encoded
** forms, and what a base64 encoder makes of it at each of the three places
** where it can begin within a group. The longest needle that fits wins.
*/

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "vm/redact.h"

#define SHORTEST 6
#define MARK "[redacted "

typedef struct Needle {
  char *text, *name;
  size_t len;
} Needle;

static Needle *needles;
static size_t count, size;
static unsigned char first[256];  /* does a needle begin with this byte? */

/* longest first, so that the first that fits is the one to take */
static void insert (const char *text, size_t len, const char *name) {
  if (len < SHORTEST) return;
  for (size_t i = 0; i < count; i++)
    if (needles[i].len == len && memcmp(needles[i].text, text, len) == 0) return;
  if (count == size) {
    size_t more = size > 0 ? size * 2 : 16;
    Needle *list = realloc(needles, more * sizeof *list);
    if (list == NULL) return;
    needles = list;
    size = more;
  }
  Needle n = {malloc(len), strdup(name), len};
  if (n.text == NULL || n.name == NULL) {
    free(n.text);
    free(n.name);
    return;
  }
  memcpy(n.text, text, len);
  size_t at = 0;
  while (at < count && needles[at].len >= len) at++;
  memmove(needles + at + 1, needles + at, (count - at) * sizeof *needles);
  needles[at] = n;
  count++;
  first[(unsigned char)*text] = 1;
}

/* percent-encoded; 'kept': characters beside letters and digits left as they are */
static void percent (const char *text, size_t len, const char *name,
                     const char *kept, const char *hex) {
  rb_Buffer b = {0};
  for (size_t i = 0; i < len; i++) {
    unsigned char c = (unsigned char)text[i];
    if (isalnum(c) || (c != '\0' && strchr(kept, c) != NULL)) {
      rb_buffer_add(&b, &c, 1);
      continue;
    }
    char code[3] = {'%', hex[c >> 4], hex[c & 15]};
    rb_buffer_add(&b, code, sizeof code);
  }
  if (!b.failed && b.s != NULL) insert(b.s, b.n, name);
  rb_buffer_free(&b);
}

/* the characters of base64 that depend on the secret alone, when it begins
** 'skip' bytes into a group of three */
static void base64 (const char *text, size_t len, const char *name, size_t skip,
                    const char *digits) {
  rb_Buffer b = {0};
  size_t bits = skip * 8, end = bits + len * 8;
  size_t from = (bits + 5) / 6, to = end / 6;  /* whole characters */
  for (size_t i = from; i < to; i++) {
    unsigned v = 0;
    for (size_t k = 0; k < 6; k++) {
      size_t bit = i * 6 + k - bits;
      unsigned char c = (unsigned char)text[bit / 8];
      v = v << 1 | (c >> (7 - bit % 8) & 1u);
    }
    rb_buffer_add(&b, digits + v, 1);
  }
  if (!b.failed && b.s != NULL) insert(b.s, b.n, name);
  rb_buffer_free(&b);
}

int rb_redact_add (const char *name, const char *text, size_t len) {
  static const char std[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  static const char url[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  static const char *const kept[] = {"-._~", "-._~!$&'()*+,;=:@/?", ""};
  if (len < SHORTEST) return 0;
  for (size_t i = 0; i < count; i++)
    if (needles[i].len == len && memcmp(needles[i].text, text, len) == 0) return 1;
  insert(text, len, name);
  for (int i = 0; i < 3; i++) {
    percent(text, len, name, kept[i], "0123456789ABCDEF");
    percent(text, len, name, kept[i], "0123456789abcdef");
  }
  for (size_t skip = 0; skip < 3; skip++) {
    base64(text, len, name, skip, std);
    base64(text, len, name, skip, url);
  }
  return 1;
}

static const Needle *match (const char *s, size_t left) {
  for (size_t i = 0; i < count; i++)
    if (needles[i].len <= left && *needles[i].text == *s
        && memcmp(needles[i].text, s, needles[i].len) == 0) return &needles[i];
  return NULL;
}

void rb_redact (rb_Buffer *b, const char *s, size_t len) {
  size_t from = 0;
  for (size_t i = 0; count > 0 && i + SHORTEST <= len; i++) {
    if (!first[(unsigned char)s[i]]) continue;
    const Needle *n = match(s + i, len - i);
    if (n == NULL) continue;
    rb_buffer_add(b, s + from, i - from);
    rb_buffer_printf(b, MARK "%s]", n->name);
    i += n->len - 1;
    from = i + 1;
  }
  rb_buffer_add(b, s + from, len - from);
}

int rb_redact_placeholder (const char *s, size_t len) {
  return s != NULL && memmem(s, len, MARK, sizeof MARK - 1) != NULL;
}

void rb_redact_free (void) {
  for (size_t i = 0; i < count; i++) {
    explicit_bzero(needles[i].text, needles[i].len);
    free(needles[i].text);
    free(needles[i].name);
  }
  free(needles);
  needles = NULL;
  count = size = 0;
  memset(first, 0, sizeof first);
}
