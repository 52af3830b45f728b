/*
** reader.c - a CSV file or text, a row at a time (RFC 4180)
**
** What matters in a CSV file is few bytes: delimiters, quotes, line ends. They are found
** 64 bytes at a time, as the bits of a mask; everything between them is never looked
** at. Deviations are read as Python's csv reads them, and told: a quote inside an
** unquoted field is a character, text behind a closing quote belongs to the field.
*/

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "stdlib/csv/reader.h"

enum { BLOCK = 64, PIECE = 1 << 18 };

/* -- 64 bytes at a time ---------------------------------------------------------- */

/* a bit for each delimiter, quote and line end; *odd: there is a NUL or no ASCII */
#ifdef __SSE2__
static inline uint64_t marks (const char *s, char delimiter, unsigned *odd) {
  const __m128i d = _mm_set1_epi8(delimiter), q = _mm_set1_epi8('"');
  const __m128i nl = _mm_set1_epi8('\n'), zero = _mm_setzero_si128();
  uint64_t mask = 0;
  for (int i = 0; i < 4; i++) {
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(s + 16 * i));
    __m128i m = _mm_or_si128(_mm_cmpeq_epi8(v, d), _mm_cmpeq_epi8(v, nl));
    m = _mm_or_si128(m, _mm_cmpeq_epi8(v, q));
    mask |= (uint64_t)(unsigned)_mm_movemask_epi8(m) << (16 * i);
    *odd |= (unsigned)_mm_movemask_epi8(_mm_or_si128(v, _mm_cmpeq_epi8(v, zero)));
  }
  return mask;
}
#else
static inline uint64_t marks (const char *s, char delimiter, unsigned *odd) {
  uint64_t mask = 0;
  for (int i = 0; i < BLOCK; i++) {
    unsigned char c = (unsigned char)s[i];
    mask |= (uint64_t)(s[i] == delimiter || c == '"' || c == '\n') << i;
    *odd |= c == 0 || c >= 0x80;
  }
  return mask;
}
#endif

/* -- fields ------------------------------------------------------------------------ */

/* the field under way */
typedef struct Open {
  const char *s, *close;     /* its start; the quote that closed it */
  int quoted, inside, marked;
} Open;

static int grow (Reader *r) {
  size_t size = r->sizefields > 0 ? r->sizefields * 2 : 64;
  Field *list = realloc(r->field, size * sizeof *list);
  if (list == NULL) return 0;
  r->field = list;
  r->sizefields = size;
  return 1;
}

static inline int addfield (Reader *r, const Open *o, const char *end) {
  if (r->nfields == RB_CSV_FIELDMAX) r->flags |= RB_CSV_MANY;
  else if (r->nfields == r->sizefields && !grow(r)) return 0;
  else
    r->field[r->nfields++] = (Field){
      .s = o->s, .n = (size_t)(end - o->s), .quoted = (unsigned char)o->quoted,
      .marked = (unsigned char)o->marked};
  if (o->quoted && !o->inside && o->close + 1 != end) {
    r->flags |= RB_CSV_UNTIDY;
    if (r->nfields > 0) r->field[r->nfields - 1].marked = 1;
  }
  return 1;
}

/* a quote opens a field, closes it, or is one of two that mean one */
static inline void quote (Reader *r, Open *o, const char *p, long long line) {
  if (o->inside) {
    o->inside = 0;
    o->close = p;
  } else if (p == o->s) {
    o->quoted = o->inside = 1;
    r->quote = line;
  } else if (o->quoted && p == o->close + 1) {
    o->inside = o->marked = 1;
  }
}

/* the row ends at 'end'; what comes next begins at 'next' */
static Got endrow (Reader *r, const Open *o, const char *end, const char *next) {
  if (next > end) {
    if (end > o->s && end[-1] == '\r') {
      end--;
      r->crlf++;
    } else r->lf++;
  }
  if (!addfield(r, o, end)) return RB_CSV_NOMEMORY;
  r->row = r->buf + r->from;
  r->rowlen = (size_t)(end - r->row);
  r->from = (size_t)(next - r->buf);
  return RB_CSV_ROW;
}

/* RB_CSV_END: there is no whole row in the buffer */
static Got scan (Reader *r) {
  const char *start = r->buf + r->from, *end = r->buf + r->end;
  Open o = {.s = start};
  long long line = r->next;
  unsigned odd = 0;
  r->nfields = 0;
  r->flags = 0;
  for (const char *block = start; block < end; block += BLOCK) {
    uint64_t mask = marks(block, r->delimiter, &odd);
    for (; mask != 0; mask &= mask - 1) {
      const char *p = block + __builtin_ctzll(mask);
      if (*p == '"') quote(r, &o, p, line);
      else if (o.inside) line += *p == '\n';
      else if (*p == '\n') {
        r->flags |= odd != 0 ? RB_CSV_ODD : 0;
        r->next = line + 1;
        return endrow(r, &o, p, p + 1);
      } else {
        if (!addfield(r, &o, p)) return RB_CSV_NOMEMORY;
        o = (Open){.s = p + 1};
      }
    }
  }
  if (!r->ended || start == end) return RB_CSV_END;
  r->flags |= (odd != 0 ? RB_CSV_ODD : 0) | (o.inside ? RB_CSV_UNCLOSED : 0);
  r->next = line;
  return endrow(r, &o, end, end);
}

/* -- reading ------------------------------------------------------------------------ */

static ssize_t readpiece (Reader *r, char *to, size_t n) {
  if (r->fd >= 0) return pread(r->fd, to, n, (off_t)r->at);
  size_t left = (size_t)(r->size - r->at);
  if (n > left) n = left;
  if (n > 0) memcpy(to, r->memory + r->at, n);
  return (ssize_t)n;
}

/* makes room behind what is not given out yet, and fills it */
static Got fill (Reader *r) {
  size_t kept = r->end - r->from;
  memmove(r->buf, r->buf + r->from, kept);
  r->from = 0;
  r->end = kept;
  if (kept == r->room) {
    if (r->room >= RB_CSV_ROWMAX) return RB_CSV_LONG;
    char *more = realloc(r->buf, r->room * 2 + BLOCK);
    if (more == NULL) return RB_CSV_NOMEMORY;
    r->buf = more;
    r->room *= 2;
  }
  while (r->end < r->room && !r->ended) {
    ssize_t n = readpiece(r, r->buf + r->end, r->room - r->end);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return RB_CSV_FAILED;
    if (n == 0) r->ended = 1;
    r->end += (size_t)n;
    r->at += n;
  }
  memset(r->buf + r->end, 'x', BLOCK);  /* no mark, and no odd byte */
  return RB_CSV_ROW;
}

Got rb_csv_open (Reader *r, int fd, const char *s, size_t n) {
  *r = (Reader){.fd = fd, .memory = s, .size = (long long)n, .delimiter = ',',
                .line = 1, .next = 1, .room = PIECE};
  r->buf = malloc(r->room + BLOCK);
  return r->buf != NULL ? fill(r) : RB_CSV_NOMEMORY;
}

void rb_csv_close (Reader *r) {
  free(r->buf);
  free(r->field);
  r->buf = NULL;
  r->field = NULL;
}

static int isempty (const Reader *r) {
  return r->nfields == 1 && r->field[0].n == 0;
}

Got rb_csv_next (Reader *r) {
  for (;;) {
    r->line = r->next;
    Got got = scan(r);
    if (got == RB_CSV_ROW && isempty(r)) continue;
    if (got != RB_CSV_END) return got;
    if (r->ended) return RB_CSV_END;
    if ((got = fill(r)) != RB_CSV_ROW) return got;
  }
}

/* -- values ------------------------------------------------------------------------ */

const char *rb_csv_value (const Field *f, char *scratch, size_t *n) {
  *n = f->n;
  if (!f->quoted) return f->s;
  if (!f->marked && f->n >= 2 && f->s[f->n - 1] == '"') {
    *n = f->n - 2;
    return f->s + 1;
  }
  size_t i = 1, to = 0;
  for (; i < f->n; i++) {
    if (f->s[i] == '"') {
      i++;
      if (i >= f->n || f->s[i] != '"') break;  /* closed: the rest is as it stands */
    }
    scratch[to++] = f->s[i];
  }
  if (i < f->n) {
    memcpy(scratch + to, f->s + i, f->n - i);
    to += f->n - i;
  }
  *n = to;
  return scratch;
}
