/*
** redact.c - finds secrets in texts, in the forms in which they travel
**
** A secret becomes patterns: its text, and its base64 at three alignments
** (what stands before it in the encoded bytes shifts it by 0, 1 or 2; only
** the characters that it alone decides are compared). A text is read in
** three ways: as it is, percent-decoded, and without the backslashes of a
** quoted string; so no encoded form has to be guessed. Patterns hang in a hash
** of their first four bytes: a position of the text costs one look-up.
*/

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "vm/redact.h"

#define SHORTEST 100  /* no message is cut to less */
#define MINIMUM 6           /* bytes of a secret that can be replaced safely */
#define HEAD 4              /* bytes that are hashed; every pattern is longer */
#define HEADS (1u << 13)
#define PAIRS (1u << 16)
#define OPENING "[redacted "

/* the ways to read a text */
typedef enum Reading { PLAIN, PERCENT, BACKSLASH, READINGS } Reading;

typedef struct Pattern {
  struct Pattern *next;     /* of the same hash */
  struct Pattern *nextname; /* of another secret; NULL in base64 */
  char *text;
  size_t len;
  const char *name;         /* of its secret */
  char *ownname;            /* the same, freed with the first pattern */
  int base64, before, after;  /* it has a shared character at that end */
} Pattern;

static struct {
  Pattern **heads;
  Pattern *secrets;         /* one for each; NULL: there are none */
  unsigned char pair[PAIRS / 8];  /* bits: do patterns begin with these two? */
} registry;

/* what is searched */
typedef struct Text {
  const char *s;
  size_t n;
  int may[READINGS];        /* is there anything to be read in that way? */
} Text;

/* -- bytes ----------------------------------------------------------------- */

/* '+' is a space in a form, '-' and '_' stand for '+' and '/' in the base64 of
** URLs: alike for the hash, told apart later */
static unsigned fold (unsigned char c) {
  return c == ' ' || c == '-' ? '+' : c == '_' ? '/' : c;
}

static unsigned hash (const unsigned char head[HEAD]) {
  uint32_t h = 0;
  for (int i = 0; i < HEAD; i++) h = (h + fold(head[i])) * 0x9E3779B1u;
  return h >> 19;           /* 13 bits: HEADS */
}

static unsigned pairof (const char *s) {
  return fold((unsigned char)s[0]) << 8 | fold((unsigned char)s[1]);
}

static int isescape (char c) { return c == '%' || c == '\\'; }

static int hexdigit (char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = (char)(c | 0x20);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* two hexadecimal digits at s, or -1 */
static int hexbyte (const char *s, size_t n) {
  if (n < 2 || hexdigit(s[0]) < 0 || hexdigit(s[1]) < 0) return -1;
  return hexdigit(s[0]) * 16 + hexdigit(s[1]);
}

/* the byte that a backslash and what follows stand for, as in JSON */
static size_t unquote (const char *s, size_t n, int *byte) {
  static const char from[] = "\"\\/'ntrbf", to[] = "\"\\/'\n\t\r\b\f";
  if (n >= 6 && s[1] == 'u' && s[2] == '0' && s[3] == '0'
      && (*byte = hexbyte(s + 4, n - 4)) >= 0) return 6;
  const char *at = n >= 2 && s[1] != '\0' ? strchr(from, s[1]) : NULL;
  if (at == NULL) return 0;
  *byte = (unsigned char)to[at - from];
  return 2;
}

/* Reads one byte of s (n > 0) in that way; returns how long it was. */
static size_t readbyte (const char *s, size_t n, Reading how, int *byte) {
  if (how == PERCENT && *s == '%' && (*byte = hexbyte(s + 1, n - 1)) >= 0) return 3;
  if (how == BACKSLASH && *s == '\\') {
    size_t length = unquote(s, n, byte);
    if (length > 0) return length;
  }
  *byte = (unsigned char)*s;
  return 1;
}

static int isbase64 (char c) {
  return isalnum((unsigned char)c) || (c != '\0' && strchr("+/-_", c) != NULL);
}

/* -- patterns -------------------------------------------------------------- */

static void pattern_free (Pattern *q) {
  explicit_bzero(q->text, q->len);
  free(q->text);
  free(q->ownname);
  free(q);
}

/* Takes text and name (NULL: that of 'of'); NULL when memory ran out. */
static Pattern *pattern_add (char *text, size_t len, char *name, const Pattern *of) {
  Pattern *q = calloc(1, sizeof *q);
  if (q == NULL || text == NULL || (name == NULL && of == NULL)) {
    free(q);
    free(text);
    free(name);
    return NULL;
  }
  *q = (Pattern){.text = text, .len = len, .ownname = name,
                 .name = name != NULL ? name : of->name};
  Pattern **head = &registry.heads[hash((const unsigned char *)text)];
  q->next = *head;
  *head = q;
  registry.pair[pairof(text) / 8] |= (unsigned char)(1u << pairof(text) % 8);
  return q;
}

/* The characters of base64 that 'len' bytes decide when 'shift' bytes of
** something else stand before them. */
static char *base64 (const char *text, size_t len, size_t shift, size_t *n) {
  static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  size_t first = (shift * 8 + 5) / 6, last = (shift + len) * 8 / 6;
  char *out = malloc(last - first + 1);
  if (out == NULL) return NULL;
  for (size_t i = first; i < last; i++) {
    unsigned bits = 0;
    for (size_t bit = i * 6; bit < i * 6 + 6; bit++)
      bits = bits << 1 | ((unsigned char)text[bit / 8 - shift] >> (7 - bit % 8) & 1u);
    out[i - first] = alphabet[bits];
  }
  out[last - first] = '\0';
  *n = last - first;
  return out;
}

static char *copy (const char *s, size_t n) {
  char *c = malloc(n + 1);
  if (c == NULL) return NULL;
  memcpy(c, s, n);
  c[n] = '\0';
  return c;
}

static int known (const char *text, size_t len) {
  const Pattern *q = registry.heads[hash((const unsigned char *)text)];
  for (; q != NULL; q = q->next)
    if (!q->base64 && q->len == len && memcmp(q->text, text, len) == 0) return 1;
  return 0;
}

int rb_redact_knows (const char *text, size_t len) {
  return len < MINIMUM || (registry.heads != NULL && known(text, len));
}

int rb_redact_add (const char *name, const char *text, size_t len) {
  if (len < MINIMUM) return 0;
  if (registry.heads == NULL) {
    registry.heads = calloc(HEADS, sizeof *registry.heads);
    if (registry.heads == NULL) return 0;
  }
  if (known(text, len)) return 1;
  Pattern *plain = pattern_add(copy(text, len), len, strdup(name), NULL);
  if (plain == NULL) return 0;
  plain->nextname = registry.secrets;
  registry.secrets = plain;
  for (size_t shift = 0; shift < 3; shift++) {
    size_t n = 0;
    char *encoded = base64(text, len, shift, &n);
    Pattern *q = pattern_add(encoded, n, NULL, plain);
    if (q == NULL) return 0;
    q->base64 = 1;
    q->before = shift > 0;
    q->after = (shift + len) % 3 != 0;
  }
  return 1;
}

void rb_redact_free (void) {
  for (size_t i = 0; registry.heads != NULL && i < HEADS; i++) {
    while (registry.heads[i] != NULL) {
      Pattern *q = registry.heads[i];
      registry.heads[i] = q->next;
      pattern_free(q);
    }
  }
  free(registry.heads);
  registry.heads = NULL;
  registry.secrets = NULL;
  memset(registry.pair, 0, sizeof registry.pair);
}

/* -- matching -------------------------------------------------------------- */

/* what was found in a text: [from, to) and whose it is */
typedef struct Match {
  size_t from, to;
  const char *name;
} Match;

static int same (const Pattern *q, unsigned char want, int got, int raw, Reading how) {
  if (got == want) return 1;
  if (q->base64) return fold((unsigned char)got) == fold(want) && got != ' ';
  return how == PERCENT && raw && want == ' ' && got == '+';
}

/* Messages are cut to a length, before they come here: was a secret cut off at i,
** after k bytes? That the text ends as a URL begins says nothing yet, and nothing
** is cut to less than SHORTEST bytes: a short word that a secret begins with is a word. */
static int iscut (const Pattern *q, const Text *t, size_t i, size_t k) {
  const char *scheme = strstr(q->text, "://");
  size_t least = scheme != NULL ? (size_t)(scheme + 3 - q->text) + MINIMUM : MINIMUM;
  size_t left = t->n - i;
  if (k < least) return 0;
  if (left == 0) return t->n >= SHORTEST;
  if (left < 3) return isescape(t->s[i]) || isescape(t->s[i - 1]);
  return memcmp(t->s + i, "...", 3) == 0;
}

static int isblank_ (int c) { return c > 0 && c <= ' '; }

/* past all white space that follows, for it may have been made one space */
static size_t skipblanks (const Text *t, size_t i, Reading how) {
  int got;
  while (i < t->n) {
    size_t length = readbyte(t->s + i, t->n - i, how, &got);
    if (!isblank_(got)) break;
    i += length;
  }
  return i;
}

/* The end of the pattern in t, read in that way from i on; 0: it is not there. */
static size_t matchend (const Pattern *q, const Text *t, size_t i, Reading how) {
  for (size_t k = 0; k < q->len; k++) {
    unsigned char want = (unsigned char)q->text[k];
    int got;
    if (i == t->n) return iscut(q, t, i, k) ? i : 0;
    size_t length = readbyte(t->s + i, t->n - i, how, &got);
    if (isblank_(want) && isblank_(got)) {
      while (k + 1 < q->len && isblank_((unsigned char)q->text[k + 1])) k++;
      i = skipblanks(t, i, how);
      continue;
    }
    if (!same(q, want, got, length == 1, how)) return iscut(q, t, i, k) ? i : 0;
    i += length;
  }
  return i;
}

/* the longest among the patterns whose first bytes these are */
static void trychain (const unsigned char head[HEAD], const Text *t, size_t i,
                      Match *m) {
  for (const Pattern *q = registry.heads[hash(head)]; q != NULL; q = q->next) {
    for (Reading how = PLAIN; how < READINGS; how++) {
      size_t to = t->may[how] ? matchend(q, t, i, how) : 0, from = i;
      if (to == 0) continue;
      if (q->before && i > 0 && isbase64(t->s[i - 1])) from--;
      if (q->after && to < t->n && isbase64(t->s[to])) to++;
      if (to > m->to || (to == m->to && from < m->from))
        *m = (Match){.from = from, .to = to, .name = q->name};
    }
  }
}

/* The longest secret that begins at i (or a shared character before). */
static int matchat (const Text *t, size_t i, Match *m) {
  unsigned char head[HEAD];
  const char *s = t->s + i;
  *m = (Match){0};
  if (t->n - i < HEAD) return 0;
  if ((registry.pair[pairof(s) / 8] >> pairof(s) % 8 & 1) == 0
      && !isescape(s[0]) && !isescape(s[1])) return 0;
  memcpy(head, s, HEAD);
  trychain(head, t, i, m);
  for (Reading how = PERCENT; how < READINGS; how++) {
    if (memchr(s, how == PERCENT ? '%' : '\\', HEAD) == NULL) continue;
    size_t at = i;
    int k = 0, byte;
    for (; k < HEAD && at < t->n; k++) {
      at += readbyte(t->s + at, t->n - at, how, &byte);
      head[k] = (unsigned char)byte;
    }
    if (k == HEAD) trychain(head, t, i, m);
  }
  return m->to != 0;
}

/* -- placeholders ---------------------------------------------------------- */

/* the length of a placeholder at s, and its name; 0: there is none */
static size_t placeholder (const char *s, size_t n, const char **name, size_t *len) {
  const size_t opening = sizeof OPENING - 1;
  if (n <= opening || *s != '[' || memcmp(s, OPENING, opening) != 0) return 0;
  size_t end = opening;
  while (end < n && s[end] != ']' && s[end] != '[' && s[end] != '\n') end++;
  if (end == n || s[end] != ']' || end == opening) return 0;
  *name = s + opening;
  *len = end - opening;
  return end + 1;
}

/* One of ours, in a text that has been here before: it stays. Only with the
** name of a secret, or anything could hide between the brackets. */
static size_t ours (const char *s, size_t n) {
  const char *name;
  size_t len, length = placeholder(s, n, &name, &len);
  const Pattern *q = length > 0 ? registry.secrets : NULL;
  while (q != NULL && (strlen(q->name) != len || memcmp(q->name, name, len) != 0))
    q = q->nextname;
  return q != NULL ? length : 0;
}

int rb_redact_placeholder (const char *s, size_t len) {
  const char *at = s, *name;
  size_t n;
  while (len > 0 && (at = memchr(at, '[', len - (size_t)(at - s))) != NULL) {
    if (placeholder(at, len - (size_t)(at - s), &name, &n) > 0) return 1;
    at++;
  }
  return 0;
}

/* -- replacing ------------------------------------------------------------- */

/* Replaces the secret at m, and those that overlap with it; returns its end. */
static size_t replace (rb_Buffer *b, const Text *t, const Match *m) {
  size_t end = m->to;
  const char *name = m->name;
  Match more;
  rb_buffer_printf(b, OPENING "%s]", name);
  for (size_t i = m->from + 1; i < end; i++) {
    if (!matchat(t, i, &more) || more.to <= end) continue;
    end = more.to;
    if (strcmp(more.name, name) != 0) rb_buffer_printf(b, OPENING "%s]", more.name);
    name = more.name;
  }
  return end;
}

void rb_redact (rb_Buffer *b, const char *s, size_t len) {
  size_t kept = 0, i = 0;   /* s up to 'kept' is in b */
  if (registry.secrets == NULL || len == 0) {
    rb_buffer_add(b, s, len);
    return;
  }
  Text t = {s, len, {1, memchr(s, '%', len) != NULL || memchr(s, '+', len) != NULL,
                     memchr(s, '\\', len) != NULL}};
  while (i < len) {
    Match m;
    size_t skip = s[i] == '[' ? ours(s + i, len - i) : 0;
    if (skip > 0) {
      i += skip;
    } else if (matchat(&t, i, &m)) {
      if (m.from < kept) m.from = kept;
      rb_buffer_add(b, s + kept, m.from - kept);
      i = kept = replace(b, &t, &m);
    } else i++;
  }
  rb_buffer_add(b, s + kept, len - kept);
}
