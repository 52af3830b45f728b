/*
** when.c - the time of a line
**
** Without a zone a time is taken as UTC. A number is seconds, or milliseconds where it
** would be later than the year 5000 otherwise.
*/

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stdlib/log/log.h"

static int two (const char *s, int least, int most, int *value) {
  if (s[0] < '0' || s[0] > '9' || s[1] < '0' || s[1] > '9') return 0;
  *value = (s[0] - '0') * 10 + s[1] - '0';
  return *value >= least && *value <= most;
}

/* days since 1970 of a day of the Gregorian calendar */
static long long days (int year, int month, int day) {
  long long y = year - (month <= 2), era = y / 400, m = (month + 9) % 12;
  long long yoe = y - era * 400, doy = (153 * m + 2) / 5 + day - 1;
  return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

/* "+01:00", "+0100", " +0000", "Z"; how many bytes */
static size_t zone (const char *s, size_t n, double *offset) {
  int hours, minutes;
  size_t at = n > 0 && *s == ' ' ? 1 : 0;
  *offset = 0;
  if (n > 0 && *s == 'Z') return 1;
  if (n < at + 5 || (s[at] != '+' && s[at] != '-') || !two(s + at + 1, 0, 15, &hours)) return 0;
  size_t colon = s[at + 3] == ':' ? 1 : 0;
  if (n < at + 5 + colon || !two(s + at + 3 + colon, 0, 59, &minutes)) return 0;
  *offset = (hours * 3600 + minutes * 60) * (s[at] == '-' ? -1 : 1);
  return at + 5 + colon;
}

/* "10:30:00" with a fraction: how many bytes */
static size_t clock_ (const char *s, size_t n, double *seconds) {
  int hours, minutes, secs;
  if (n < 8 || s[2] != ':' || s[5] != ':' || !two(s, 0, 23, &hours)
      || !two(s + 3, 0, 59, &minutes) || !two(s + 6, 0, 60, &secs)) return 0;
  *seconds = hours * 3600 + minutes * 60 + secs;
  size_t at = 8;
  if (at < n && (s[at] == '.' || s[at] == ',')) {
    double unit = 0.1;
    for (at++; at < n && s[at] >= '0' && s[at] <= '9'; at++, unit /= 10)
      *seconds += unit * (s[at] - '0');
  }
  return at;
}

size_t rb_log_iso (const char *s, size_t n, double *seconds) {
  int high, low, month, day;
  double clock = 0, offset;
  if (n < 10 || s[4] != '-' || s[7] != '-' || !two(s, 0, 99, &high) || !two(s + 2, 0, 99, &low)
      || !two(s + 5, 1, 12, &month) || !two(s + 8, 1, 31, &day)) return 0;
  size_t at = 10;
  if (n > 11 && (s[10] == 'T' || s[10] == ' ')) {
    size_t len = clock_(s + 11, n - 11, &clock);
    if (len > 0) at = 11 + len;
  }
  at += zone(s + at, n - at, &offset);
  *seconds = (double)days(high * 100 + low, month, day) * 86400 + clock - offset;
  return at;
}

/* "25/Nov/2026:10:30:00 +0000", as web servers write it */
static int web (const char *s, size_t n, double *seconds) {
  static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
  int day, high, low, month = 0;
  double clock, offset;
  if (n < 20 || s[2] != '/' || s[6] != '/' || s[11] != ':' || !two(s, 1, 31, &day)
      || !two(s + 7, 0, 99, &high) || !two(s + 9, 0, 99, &low)) return 0;
  while (month < 12 && memcmp(months + 3 * month, s + 3, 3) != 0) month++;
  size_t len = clock_(s + 12, n - 12, &clock);
  if (month == 12 || len == 0) return 0;
  zone(s + 12 + len, n - 12 - len, &offset);
  *seconds = (double)days(high * 100 + low, month + 1, day) * 86400 + clock - offset;
  return 1;
}

static const Path names[] = {
  {{{"time", 4}}, 1}, {{{"timestamp", 9}}, 1}, {{{"@timestamp", 10}}, 1}, {{{"ts", 2}}, 1},
  {{{"at", 2}}, 1}
};
enum { NAMES = sizeof names / sizeof *names };

static int value (const Text *v, double *seconds) {
  char digits[32], *end;
  if (*v->s == '"') return rb_log_iso(v->s + 1, v->n - 2, seconds) > 0;
  if (v->n >= sizeof digits) return 0;
  memcpy(digits, v->s, v->n);
  digits[v->n] = '\0';
  *seconds = strtod(digits, &end);
  if (end == digits || *end != '\0' || !isfinite(*seconds)) return 0;
  if (*seconds > 95617584000.0) *seconds /= 1000;
  return 1;
}

int rb_log_when (const Text *line, int *hint, double *seconds) {
  Text v;
  if (line->n > 0 && *line->s == '{') {
    for (int i = 0; i < NAMES; i++) {
      int k = (*hint + i) % NAMES;
      if (!rb_log_field(line, &names[k], &v) || !value(&v, seconds)) continue;
      *hint = k;
      return 1;
    }
    return 0;
  }
  const char *s = line->s, *end = s + line->n;
  if (s < end && *s == '[') s++;
  if (rb_log_iso(s, (size_t)(end - s), seconds) > 0) return 1;
  s = memchr(line->s, '[', line->n < 200 ? line->n : 200);
  return s != NULL && web(s + 1, (size_t)(end - s - 1), seconds);
}
