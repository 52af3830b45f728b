/*
** complete.h - words that may stand at the cursor (private to vm/repl)
*/

#ifndef rb_complete_h
#define rb_complete_h

#include <ctype.h>

#include "vm/repl/repl.h"

/* those that begin with what is typed */
typedef struct rb_Found {
  const char *begin;
  size_t n;
  char **words;
  size_t count, size;
} rb_Found;

/* A word, and what follows it, if it begins so. */
void rb_repl_offer (rb_Found *f, const char *word, const char *after);

static inline int rb_repl_iswordchar (char c) {
  return isalnum((unsigned char)c) || c == '_';
}

/* The primitives of what that path of names is ("erp.redis", "csv"); NULL: none. */
const rb_Reg *rb_repl_primitives (rb_Repl *s, const char *path, size_t n);

/* hint.c: names of runbooks; paths, and whether the text at 'quote' is one. */
void rb_repl_offerrunbooks (rb_Repl *s, rb_Found *f);
void rb_repl_offerpaths (rb_Found *f);
int rb_repl_inpath (const char *line, size_t quote);

/* [-1, +0, m]  Keys of the Redis at the top of the stack. */
void rb_repl_askkeys (rb_Repl *s, rb_Found *f);
/* [-1, +0, m]  Tables of the database at the top, or columns of those that the first n
** bytes of the statement name. */
void rb_repl_asknames (rb_Repl *s, rb_Found *f, const char *sql, size_t n);

#endif
