/*
** sheet.c - a small sheet of CSV, as RFC 4180 has it: commas, quotes, CRLF
*/

#include <stdlib.h>
#include <string.h>

#include "polaris.h"

/* the field that begins at `s`, into `row`; where it ends, NULL when its quote never closes */
static const char *field_read (json_t *row, const char *s) {
  size_t size = strlen(s) + 1, n = 0;
  char *text = malloc(size);
  int quoted = *s == '"';
  if (!text) return NULL;
  if (quoted) s++;
  while (*s != '\0') {
    if (quoted && *s == '"' && s[1] != '"') { s++; quoted = 2; break; }
    if (quoted && *s == '"') s++;
    else if (!quoted && strchr(",\r\n", *s)) break;
    text[n++] = *s++;
  }
  json_array_append_new(row, json_stringn(text, n));
  free(text);
  return quoted == 1 ? NULL : s;
}

json_t *polaris_sheet (const char *s) {
  json_t *rows = json_array();
  if (strncmp(s, "\xef\xbb\xbf", 3) == 0) s += 3;
  while (*s != '\0') {
    json_t *row = json_array();
    json_array_append_new(rows, row);
    for (;;) {
      s = field_read(row, s);
      if (!s) {
        json_decref(rows);
        return NULL;
      }
      if (*s != ',') break;
      s++;
    }
    while (*s != '\0' && *s != '\n') s++;
    if (*s == '\n') s++;
  }
  return rows;
}
