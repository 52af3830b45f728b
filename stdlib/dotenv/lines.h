/*
** lines.h - the assignments of a .env file, as they are written there
*/

#ifndef rb_dotenv_lines_h
#define rb_dotenv_lines_h

#include <stddef.h>

typedef struct Entry {
  size_t start, end;      /* its line or lines, with the newline */
  size_t name, namelen;
  size_t value, valuelen; /* as written, with its quotes */
  char quote;             /* ' " ` or 0 */
  int line;               /* 1 is the first line of the file */
} Entry;

/* Finds the next assignment at or after *at (a start of a line; *line is its
** number) and moves on behind it; 0: there is none. */
int rb_env_next (const char *s, size_t n, size_t *at, int *line, Entry *e);

/* The last assignment to that name, which is the one that counts; the number
** of all of them. */
int rb_env_find (const char *s, size_t n, const char *name, Entry *e);

/* What a value as written means: writes at most e->valuelen bytes, returns how
** many. */
size_t rb_env_decode (const char *s, const Entry *e, char *out);

/* How a value (without newlines) is written, in the quotes of the old one where
** that is possible: writes at most 2n + 2 bytes, returns how many. 'old' NULL:
** there was none. */
size_t rb_env_encode (const char *value, size_t n, const Entry *old, char *out);

/* [A-Za-z_][A-Za-z0-9_]* */
int rb_env_isname (const char *s, size_t n);

/* Does a variable of that name hold a secret, as its words say? */
int rb_env_issecret (const char *name, size_t n);

/* The password in a URL: its length and place, or 0. */
size_t rb_env_password (const char *value, size_t n, size_t *at);

#endif
