/*
** problem.c - what went wrong, and what was probably meant
*/

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "vm/module.h"   /* rb_nearest is exported */
#include "vm/problem.h"

#define MAXWORD 64

int rb_problem (rb_Problem *p, int exit, const char *kind, const char *fmt,
                ...) {
  va_list ap;
  *p = (rb_Problem){.exit = exit};
  snprintf(p->kind, sizeof p->kind, "%s", kind);
  va_start(ap, fmt);
  vsnprintf(p->message, sizeof p->message, fmt, ap);
  va_end(ap);
  return exit;
}

static int min (int a, int b) { return a < b ? a : b; }

/* edits (insert, delete, replace, swap two neighbours) between a and b */
static int distance (const char *a, const char *b) {
  int row[3][MAXWORD + 1];
  int n = (int)strlen(a), m = (int)strlen(b);
  if (n > MAXWORD || m > MAXWORD) return MAXWORD;
  for (int j = 0; j <= m; j++) row[0][j] = j;
  for (int i = 1; i <= n; i++) {
    int *now = row[i % 3], *last = row[(i + 2) % 3], *before = row[(i + 1) % 3];
    now[0] = i;
    for (int j = 1; j <= m; j++) {
      int same = a[i - 1] == b[j - 1];
      now[j] = min(min(last[j] + 1, now[j - 1] + 1), last[j - 1] + !same);
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        now[j] = min(now[j], before[j - 2] + 1);
    }
  }
  return row[n % 3][m];
}

const char *rb_nearest (const char *word, const char *const *words) {
  int n = (int)strlen(word), best = n / 3 < 1 ? 2 : n / 3 + 1;
  const char *found = NULL;
  for (; *words != NULL; words++) {
    int d = distance(word, *words);
    if (d < best) { best = d; found = *words; }
  }
  return found;
}
