/*
** diff.h - two texts side by side, as people read them
*/

#ifndef rb_diff_h
#define rb_diff_h

#include <stddef.h>

/* The unified diff of two texts with three lines around each change, as
** malloc'ed text; "" when they are equal, NULL when out of memory. Long ones
** are cut, and say so; what is no text is only measured. 'a' NULL: there
** was no file; 'b' NULL: there will be none. */
char *rb_diff (const char *a, size_t alen, const char *b, size_t blen,
               const char *name);

#endif
