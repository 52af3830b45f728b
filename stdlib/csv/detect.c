/*
** detect.c - what kind of text this is: its encoding, its delimiter
*/

#include <string.h>

#include "stdlib/csv/csv.h"

enum { LOOK = 4096, ROWS = 20 };

/* -- the encoding --------------------------------------------------------------------- */

static const struct { const char *bytes; size_t n; const char *name; int text; } marks[] = {
  {"\xEF\xBB\xBF", 3, "UTF-8", 1}, {"\xFF\xFE\0\0", 4, "UTF-32LE", 1},
  {"\0\0\xFE\xFF", 4, "UTF-32BE", 1}, {"\xFF\xFE", 2, "UTF-16LE", 1},
  {"\xFE\xFF", 2, "UTF-16BE", 1}, {"PK\3\4", 4, "a workbook or another ZIP archive", 0},
  {"\xD0\xCF\x11\xE0", 4, "an old Excel workbook", 0}, {"\x1F\x8B", 2, "gzip", 0},
  {"%PDF-", 5, "PDF", 0}
};

/* without a mark UTF-16 shows by the zero in every other byte */
static const char *halfzero (const char *s, size_t n) {
  size_t zero[2] = {0};
  if (n > LOOK) n = LOOK;
  for (size_t i = 0; i < n; i++) zero[i & 1] += s[i] == '\0';
  if (n < 4) return NULL;
  if (zero[1] > n / 5 && zero[0] < zero[1] / 8) return "UTF-16LE";
  return zero[0] > n / 5 && zero[1] < zero[0] / 8 ? "UTF-16BE" : NULL;
}

const char *rb_csv_encoding (const char *s, size_t n, size_t *mark, int *text) {
  *mark = 0;
  *text = 1;
  for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
    if (n < marks[i].n || memcmp(s, marks[i].bytes, marks[i].n) != 0) continue;
    *mark = marks[i].n;
    *text = marks[i].text;
    return marks[i].name;
  }
  const char *name = halfzero(s, n);
  return name != NULL ? name : "UTF-8";
}

/* C1 controls are in no text of Latin-1; quotes and the euro sign of Windows are there */
const char *rb_csv_guess (const char *s, size_t n) {
  for (size_t i = 0; i < n; i++) {
    unsigned char c = (unsigned char)s[i];
    if (c >= 0x80 && c <= 0x9F) return "Windows-1252";
  }
  return "Latin-1";
}

/* -- the delimiter ----------------------------------------------------------------------- */

/* names of columns; one that begins with a space is the rest of a sentence */
static size_t namesof (const Reader *r) {
  size_t n = r->nfields;
  for (size_t i = 0; i < r->nfields; i++)
    if (r->field[i].n > 1 && *r->field[i].s == ' ') n--;
  return n;
}

/* how many of the first rows have as many fields as the header; *names: of columns */
static size_t agreeing (const char *s, size_t n, char delimiter, size_t *names) {
  Reader r;
  size_t rows = 0, same = 0, fields = 0;
  *names = 0;
  if (rb_csv_open(&r, -1, s, n) == RB_CSV_ROW) {
    r.delimiter = delimiter;
    while (rows < ROWS && rb_csv_next(&r) == RB_CSV_ROW) {
      if (rows++ == 0) {
        fields = r.nfields;
        *names = namesof(&r);
      }
      same += r.nfields == fields;
    }
  }
  rb_csv_close(&r);
  return same;
}

char rb_csv_delimiter (const char *s, size_t n) {
  static const char candidates[] = ",;\t|";
  char best = ',';
  size_t most = 0, mostnames = 1;
  for (const char *d = candidates; *d != '\0'; d++) {
    size_t names, same = agreeing(s, n, *d, &names);
    if (names < 2 || same < most) continue;
    if (same == most && names <= mostnames) continue;
    best = *d;
    most = same;
    mostnames = names;
  }
  return best;
}

const char *rb_csv_delimitername (char c) {
  static const char *const names[] = {"a comma", "a semicolon", "a tab", "a bar (|)"};
  static const char signs[] = ",;\t|";
  const char *at = strchr(signs, c);
  return at != NULL && c != '\0' ? names[at - signs] : "another character";
}
