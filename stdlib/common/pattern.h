/*
** pattern.h - regular expressions as Perl writes them (PCRE2)
*/

#ifndef rb_pattern_h
#define rb_pattern_h

#include "vm/module.h"

typedef struct rb_Pattern rb_Pattern;

typedef struct rb_Span { size_t at, n; int set; } rb_Span;  /* a match, or a capture */

/* [-0, +1, v]  The compiled pattern of the string at 'idx', whose owner is pushed. With
** 'whole' it must match all of a text, else any part. 'who' begins the message of an
** argument error, which shows what is wrong and where. */
rb_Pattern *rb_pattern_push (lua_State *L, int idx, const char *who, int whole);

/* Does the text match? 1, 0, or -1: it was given up, since it takes too long. Of a match
** 'span' (NULL: not asked for) tells where capture 'group' is, 0 being the whole. */
int rb_pattern_match (const rb_Pattern *p, const char *s, size_t n, unsigned group,
                      rb_Span *span);

/* How many captures it has. */
unsigned rb_pattern_groups (const rb_Pattern *p);

#endif
