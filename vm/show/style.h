/*
** style.h - lines of text on a terminal, or in a file (private to vm/show)
**
** Text is put together as marked text: bytes from outside, made harmless,
** between marks of ours that set the style. A line is then folded to the
** width that there is. Without a terminal nothing is folded or coloured.
*/

#ifndef rb_style_h
#define rb_style_h

#include <stddef.h>

#include "vm/buffer.h"
#include "vm/show/show.h"

typedef enum Style { PLAIN, BOLD, DIM, GREEN, YELLOW, RED, CYAN, BOLDRED,
                     BOLDGREEN, BOLDYELLOW } Style;

struct rb_Show {
  int json;
  int color;        /* on standard output */
  int fold;         /* it is a terminal: lines end at 'width' */
  int width;
  int utf8;
  int live;         /* standard error is a terminal that moves its cursor */
  int liveline;     /* a line of progress stands there */
  double livetime;  /* when it was drawn */
  int lastcase;     /* the last line was a case: no empty line after it */
  int laststep;     /* n of the last step that was shown */
  int broken;       /* standard output is gone */
  double began;     /* when the step that runs now began; 0: none does */
  rb_Buffer notes;  /* its lines for people, which follow its own line */
  rb_Buffer out, text, lead, right;  /* what is being put together */
};

/* Appends a text in that style to marked text: control characters, bytes that
** are no UTF-8 and marks that turn the direction of writing become visible. */
void rb_style_add (rb_Buffer *b, Style style, const char *s);
void rb_style_addn (rb_Buffer *b, Style style, const char *s, size_t n);
void rb_style_addf (rb_Buffer *b, Style style, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The same characters without marks, for what is no terminal. */
void rb_style_plain (rb_Buffer *b, const char *s);

/* Columns that marked text takes up. */
int rb_style_width (const char *s, size_t n);

/* Puts s->lead, s->text and s->right together as lines in s->out, and empties
** them: the text is folded in the columns after the lead; the right part
** stands on the first line, at its own column. */
void rb_style_line (rb_Show *s);

/* A lead of that many spaces and a text in one style. */
void rb_style_say (rb_Show *s, int indent, Style style, const char *text);

/* "  label      text": the usual row of a banner. */
void rb_style_row (rb_Show *s, const char *label, Style style, const char *text);

/* Writes s->out (or 'out', to standard error) and empties it. */
void rb_style_flush (rb_Show *s);
void rb_style_error (rb_Show *s, rb_Buffer *out);

/* Writes the notes that are held back, for what follows belongs below them. */
void rb_style_notes (rb_Show *s);

/* Removes the line of progress. */
void rb_style_clear (rb_Show *s);

/* " · ", or " - " where there is no UTF-8. */
const char *rb_style_dot (const rb_Show *s);

/* 1203 -> "1,203" */
const char *rb_style_count (char out[32], long long n);
/* "2 changes", "1 change" */
const char *rb_style_many (char out[64], long long n, const char *one,
                           const char *many);
/* 12.3 -> "12 ms"; 80000 -> "1m 20s" */
const char *rb_style_duration (char out[32], double ms);

/* All of it to a descriptor; 0, or errno. */
int rb_style_write (int fd, const char *s, size_t n);

/* Looks at the environment and the terminal. */
void rb_style_open (rb_Show *s, const rb_ShowOptions *o);
void rb_style_measure (rb_Show *s);  /* the width may have changed */

#endif
