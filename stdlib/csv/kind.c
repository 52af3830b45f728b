/*
** kind.c - what a value is: an integer, a date, ...
*/

#include <string.h>
#include <strings.h>

#include "stdlib/csv/csv.h"

const char *const rb_csv_kinds[RB_CSV_KINDS + 1] = {
  "string", "integer", "number", "boolean", "date", "datetime", "email", NULL
};

const char *const rb_csv_like[RB_CSV_KINDS] = {
  "a text", "a whole number", "a number", "true, false, yes or no",
  "a date (2026-11-25)", "a date and time (2026-11-25T10:30:00Z)", "an e-mail address"
};

static int isdigit_ (char c) { return c >= '0' && c <= '9'; }

/* where the digits at s stop */
static size_t digits (const char *s, size_t n, size_t at) {
  while (at < n && isdigit_(s[at])) at++;
  return at;
}

static int isinteger (const char *s, size_t n) {
  size_t from = n > 0 && (*s == '-' || *s == '+') ? 1 : 0;
  return n > from && digits(s, n, from) == n;
}

static int isnumber (const char *s, size_t n) {
  size_t from = n > 0 && (*s == '-' || *s == '+') ? 1 : 0;
  size_t at = digits(s, n, from), some = at - from;
  if (at < n && s[at] == '.') {
    size_t end = digits(s, n, at + 1);
    some += end - at - 1;
    at = end;
  }
  if (some == 0) return 0;
  if (at < n && (s[at] == 'e' || s[at] == 'E')) {
    at++;
    if (at < n && (s[at] == '-' || s[at] == '+')) at++;
    size_t end = digits(s, n, at);
    if (end == at) return 0;
    at = end;
  }
  return at == n;
}

static int isboolean (const char *s, size_t n) {
  static const char *const words[] = {"true", "false", "yes", "no"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (strlen(words[i]) == n && strncasecmp(words[i], s, n) == 0) return 1;
  return 0;
}

/* two digits, at most 'most' */
static int pair (const char *s, int most, int *value) {
  if (!isdigit_(s[0]) || !isdigit_(s[1])) return 0;
  *value = (s[0] - '0') * 10 + s[1] - '0';
  return *value <= most;
}

static int isdate (const char *s, size_t n) {
  static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  int high, low, month, day;
  if (n != 10 || s[4] != '-' || s[7] != '-' || !pair(s, 99, &high)
      || !pair(s + 2, 99, &low) || !pair(s + 5, 12, &month) || !pair(s + 8, 31, &day))
    return 0;
  int year = high * 100 + low;
  int leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return month > 0 && day > 0 && day <= days[month - 1] && (month != 2 || leap || day < 29);
}

/* "", "Z", "+01:00", "+0100" */
static int iszone (const char *s, size_t n) {
  int hours, minutes;
  if (n == 0 || (n == 1 && *s == 'Z')) return 1;
  if (n < 5 || (*s != '+' && *s != '-') || !pair(s + 1, 14, &hours)) return 0;
  size_t at = s[3] == ':' ? 4 : 3;
  return n == at + 2 && pair(s + at, 59, &minutes);
}

static int isdatetime (const char *s, size_t n) {
  int hours, minutes, seconds;
  if (n < 16 || !isdate(s, 10) || (s[10] != 'T' && s[10] != ' ') || s[13] != ':'
      || !pair(s + 11, 23, &hours) || !pair(s + 14, 59, &minutes)) return 0;
  size_t at = 16;
  if (at + 2 < n && s[at] == ':') {
    if (!pair(s + at + 1, 60, &seconds)) return 0;
    at += 3;
    if (at < n && s[at] == '.') {
      size_t end = digits(s, n, at + 1);
      if (end == at + 1) return 0;
      at = end;
    }
  }
  return iszone(s + at, n - at);
}

/* one @ between something and a name with a dot, and no spaces */
static int isemail (const char *s, size_t n) {
  const char *at = memchr(s, '@', n);
  if (at == NULL || at == s) return 0;
  const char *host = at + 1, *end = s + n;
  if (memchr(host, '@', (size_t)(end - host)) != NULL) return 0;
  const char *dot = memchr(host, '.', (size_t)(end - host));
  if (dot == NULL || dot == host || end[-1] == '.') return 0;
  for (size_t i = 0; i < n; i++)
    if ((unsigned char)s[i] <= ' ' || strchr("<>(),;:\"", s[i]) != NULL) return 0;
  return 1;
}

int rb_csv_is (Kind kind, const char *s, size_t n) {
  static int (*const tests[]) (const char *s, size_t n) = {
    NULL, isinteger, isnumber, isboolean, isdate, isdatetime, isemail
  };
  return tests[kind] == NULL || tests[kind](s, n);
}
