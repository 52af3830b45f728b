/*
** file.h - a run of the tape as a file of its own: lines of JSON, chained, compressed
*/

#ifndef rb_tapefile_h
#define rb_tapefile_h

#include <jansson.h>

#include "vm/buffer.h"
#include "vm/problem.h"

typedef struct rb_TapeFile rb_TapeFile;

/* Begins a file; "-" is standard output. NULL and *p (exit 2) where it cannot be. */
rb_TapeFile *rb_tapefile_create (const char *name, rb_Problem *p);

/* One line more, chained to the one before it. Takes the reference. What fails is told
** by rb_tapefile_close. */
void rb_tapefile_put (rb_TapeFile *f, json_t *line);

/* keep: it gets its name, whole; else nothing is left of it. 0, or an exit code. */
int rb_tapefile_close (rb_TapeFile *f, int keep, rb_Problem *p);

/* Calls 'line' for each line, in order, once it is known that it fits the one before; it
** returns non-zero to stop, having filled *p. Exit 2 where the file cannot be read, is no
** export, was edited (naming the line) or cut short. */
int rb_tapefile_read (const char *name, int (*line) (void *ud, json_t *line), void *ud,
                      rb_Problem *p);

/* Any bytes as a text of JSON (each byte the character of that number), and back: 0 where
** that text is not one. */
json_t *rb_tapefile_bytes (const char *s, size_t n);
int rb_tapefile_unbytes (const json_t *text, rb_Buffer *b);

#endif
