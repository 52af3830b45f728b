/*
** duration.c - "1h30m" and seconds
*/

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/module.h"
#include "vm/module.h"
#include "vm/run/outline.h"

#define LONGEST (36500.0 * 86400)  /* a century: no clock of ours overflows */

static const struct { const char *name; double seconds; } units[] = {
  {"d", 86400}, {"h", 3600}, {"m", 60}, {"s", 1}, {"ms", 0.001}
};
enum { UNITS = sizeof units / sizeof *units };

/* each unit once, biggest first: "30m1h" is more likely a slip than a wish */
int rb_duration (const char *text, double *seconds) {
  double sum = 0;
  int next = 0;
  if (*text == '\0') return 0;
  while (*text != '\0') {
    char *end;
    size_t digits = strspn(text, "0123456789.");
    if (digits == 0 || *text == '.') return 0;
    double n = strtod(text, &end);
    if (end != text + digits || end[-1] == '.') return 0;
    size_t len = strspn(end, "dhms");
    int u = next;
    while (u < UNITS && (strlen(units[u].name) != len ||
                         memcmp(units[u].name, end, len) != 0)) u++;
    if (u == UNITS) return 0;
    sum += n * units[u].seconds;
    next = u + 1;
    text = end + len;
  }
  if (sum > LONGEST) return 0;
  *seconds = sum;
  return 1;
}

void rb_duration_text (double seconds, char *out, size_t size) {
  long long ms = llround(seconds * 1000);
  size_t n = 0;
  if (size > 0) out[0] = '\0';
  for (int u = 0; u < UNITS; u++) {
    long long one = llround(units[u].seconds * 1000);
    if (ms < one || n >= size) continue;
    n += (size_t)snprintf(out + n, size - n, "%lld%s", ms / one, units[u].name);
    ms %= one;
  }
  if (n == 0) snprintf(out, size, "0s");
}
