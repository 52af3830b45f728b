/*
** diff.c - two texts side by side, as people read them
**
** The shortest edit script by Myers' greedy method ("An O(ND) difference
** algorithm", 1986) over lines. Texts that differ in more than MAXEDITS lines
** are shown as one block: such a diff is not read line by line.
*/

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stdlib/common/diff.h"

#define MAXEDITS 1000
#define AROUND 3              /* lines of context */
#define MAXTEXT ((size_t)64 << 10)  /* bytes of one diff */

typedef struct Line { const char *s; size_t n; unsigned long hash; } Line;

typedef struct Side {
  Line *lines;
  char *changed;              /* one flag for each line */
  int n;
} Side;

typedef struct Text { char *s; size_t n, size; int failed, cut; } Text;

/* -- lines -------------------------------------------------------------------- */

static unsigned long hash (const char *s, size_t n) {
  unsigned long h = 1469598103934665603ul;
  for (size_t i = 0; i < n; i++) h = (h ^ (unsigned char)s[i]) * 1099511628211ul;
  return h;
}

/* 0 when out of memory; a line keeps its newline */
static int split (Side *side, const char *s, size_t n) {
  size_t count = 0;
  for (size_t i = 0; i < n; i++) count += s[i] == '\n';
  count += n > 0 && s[n - 1] != '\n';
  side->lines = malloc((count + 1) * sizeof *side->lines);
  side->changed = calloc(count + 1, 1);
  if (side->lines == NULL || side->changed == NULL) return 0;
  for (const char *end = s + n; s < end; ) {
    const char *nl = memchr(s, '\n', (size_t)(end - s));
    size_t len = nl != NULL ? (size_t)(nl - s) + 1 : (size_t)(end - s);
    side->lines[side->n++] = (Line){s, len, hash(s, len)};
    s += len;
  }
  return 1;
}

static int same (const Line *a, const Line *b) {
  return a->hash == b->hash && a->n == b->n && memcmp(a->s, b->s, a->n) == 0;
}

/* -- the shortest edit script ----------------------------------------------------- */

typedef struct Myers {
  const Line *a, *b;
  int n, m;
  int *trace[MAXEDITS + 1];   /* the furthest points of each round */
} Myers;

/* how far the diagonal k gets in round d, coming from round d-1 */
static int step (const Myers *w, int d, int k) {
  const int *before = d > 0 ? w->trace[d - 1] + d - 1 : NULL;
  int x = 0;
  if (d > 0)
    x = k == -d || (k != d && before[k - 1] < before[k + 1]) ? before[k + 1]
                                                             : before[k - 1] + 1;
  int y = x - k;
  while (x < w->n && y < w->m && y >= 0 && same(&w->a[x], &w->b[y])) { x++; y++; }
  return x;
}

/* the number of edits; -1: too many, -2: out of memory */
static int search (Myers *w) {
  for (int d = 0; d <= MAXEDITS; d++) {
    w->trace[d] = malloc((size_t)(2 * d + 1) * sizeof(int));
    if (w->trace[d] == NULL) return -2;
    int *now = w->trace[d] + d;
    for (int k = -d; k <= d; k += 2) {
      now[k] = step(w, d, k);
      if (now[k] >= w->n && now[k] - k >= w->m) return d;
      if (k < d) now[k + 1] = 0;
    }
  }
  return -1;
}

/* from the end back to the start, marking what was removed and what came */
static void mark (const Myers *w, int d, char *removed, char *added) {
  int x = w->n, y = w->m;
  for (; d > 0; d--) {
    const int *before = w->trace[d - 1] + d - 1;
    int k = x - y;
    int down = k == -d || (k != d && before[k - 1] < before[k + 1]);
    int px = down ? before[k + 1] : before[k - 1];
    int py = px - (down ? k + 1 : k - 1);
    if (down) added[py] = 1;
    else removed[px] = 1;
    x = px;
    y = py;
  }
}

/* 0 when out of memory */
static int compare (Side *a, Side *b) {
  Myers *w = calloc(1, sizeof *w);
  int head = 0, tail = 0;
  if (w == NULL) return 0;
  while (head < a->n && head < b->n && same(&a->lines[head], &b->lines[head]))
    head++;
  while (tail < a->n - head && tail < b->n - head
         && same(&a->lines[a->n - 1 - tail], &b->lines[b->n - 1 - tail])) tail++;
  w->a = a->lines + head;
  w->b = b->lines + head;
  w->n = a->n - head - tail;
  w->m = b->n - head - tail;
  int d = search(w);
  if (d >= 0) mark(w, d, a->changed + head, b->changed + head);
  else if (d == -1) {
    memset(a->changed + head, 1, (size_t)w->n);
    memset(b->changed + head, 1, (size_t)w->m);
  }
  for (int i = 0; i <= MAXEDITS; i++) free(w->trace[i]);
  free(w);
  return d != -2;
}

/* -- writing it down ------------------------------------------------------------------ */

static void add (Text *t, const char *s, size_t n) {
  if (t->failed || t->cut) return;
  if (t->n + n + 64 > t->size) {
    size_t size = (t->n + n + 64) * 2;
    char *grown = realloc(t->s, size);
    if (grown == NULL) { t->failed = 1; return; }
    t->s = grown;
    t->size = size;
  }
  memcpy(t->s + t->n, s, n);
  t->n += n;
  t->s[t->n] = '\0';
}

__attribute__((format(printf, 2, 3)))
static void addf (Text *t, const char *fmt, ...) {
  char line[4352];
  va_list ap;
  va_start(ap, fmt);
  int n = vsnprintf(line, sizeof line, fmt, ap);
  va_end(ap);
  if (n >= (int)sizeof line) n = (int)sizeof line - 1;
  if (n > 0) add(t, line, (size_t)n);
}

static void addline (Text *t, char sign, const Line *l) {
  if (!t->cut && t->n + l->n > MAXTEXT) {
    add(t, "... (cut here)\n", 15);
    t->cut = 1;
  }
  add(t, &sign, 1);
  add(t, l->s, l->n);
  if (l->n > 0 && l->s[l->n - 1] != '\n') addf(t, "\n\\ No newline at end of file\n");
}

static int unchanged (const Side *a, int i, const Side *b, int j) {
  return i < a->n && j < b->n && !a->changed[i] && !b->changed[j];
}

/* one hunk: from the change at i, j to where 2 * AROUND lines are alike */
static void hunk (Text *t, const Side *a, const Side *b, int *i, int *j) {
  int lead = *i < AROUND ? *i : AROUND;
  int fromi = *i - lead, fromj = *j - lead, x = *i, y = *j, alike = 0;
  while ((x < a->n || y < b->n) && alike <= 2 * AROUND) {
    if (unchanged(a, x, b, y)) { x++; y++; alike++; continue; }
    alike = 0;
    while (x < a->n && a->changed[x]) x++;
    while (y < b->n && b->changed[y]) y++;
  }
  int back = alike > AROUND ? alike - AROUND : 0;
  int toi = x - back, toj = y - back;
  addf(t, "@@ -%d,%d +%d,%d @@\n", toi > fromi ? fromi + 1 : fromi, toi - fromi,
       toj > fromj ? fromj + 1 : fromj, toj - fromj);
  for (x = fromi, y = fromj; x < toi || y < toj; ) {
    if (x < toi && a->changed[x]) addline(t, '-', &a->lines[x++]);
    else if (y < toj && b->changed[y]) addline(t, '+', &b->lines[y++]);
    else { addline(t, ' ', &a->lines[x++]); y++; }
  }
  *i = x;
  *j = y;
}

static void hunks (Text *t, const Side *a, const Side *b) {
  int i = 0, j = 0;
  while (i < a->n || j < b->n) {
    if (unchanged(a, i, b, j)) { i++; j++; }
    else hunk(t, a, b, &i, &j);
  }
}

static char *measured (const char *a, size_t alen, const char *b, size_t blen) {
  char line[128] = "";
  if (a == NULL) snprintf(line, sizeof line, "new file of %zu bytes, no text\n", blen);
  else if (b == NULL) snprintf(line, sizeof line, "%zu bytes, no text, removed\n", alen);
  else if (alen != blen || memcmp(a, b, alen) != 0)
    snprintf(line, sizeof line, "no text: %zu bytes become %zu\n", alen, blen);
  return strdup(line);
}

char *rb_diff (const char *a, size_t alen, const char *b, size_t blen,
               const char *name) {
  Side x = {0}, y = {0};
  Text t = {0};
  if ((a != NULL && memchr(a, '\0', alen)) || (b != NULL && memchr(b, '\0', blen)))
    return measured(a, alen, b, blen);
  if (!split(&x, a != NULL ? a : "", a != NULL ? alen : 0)
      || !split(&y, b != NULL ? b : "", b != NULL ? blen : 0)
      || !compare(&x, &y)) t.failed = 1;
  else {
    Text body = {0};
    hunks(&body, &x, &y);
    add(&t, "", 0);
    if (body.n > 0 || (a == NULL) != (b == NULL)) {
      addf(&t, "--- %s\n+++ %s\n", a != NULL ? name : "/dev/null",
           b != NULL ? name : "/dev/null");
      if (body.n > 0) add(&t, body.s, body.n);
    }
    t.failed |= body.failed;
    free(body.s);
  }
  free(x.lines); free(x.changed);
  free(y.lines); free(y.changed);
  if (!t.failed) return t.s;
  free(t.s);
  return NULL;
}
