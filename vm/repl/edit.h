/*
** edit.h - a line of a terminal, edited (a shared object of its own, so that no other
** command loads the library)
*/

#ifndef rb_edit_h
#define rb_edit_h

#include <stddef.h>

typedef struct rb_EditHooks {
  const char *(*prompt) (void *ud);
  /* What may stand at the cursor: malloc'ed words, NULL-terminated, that replace the
  ** line from *from on; NULL: none. */
  char **(*complete) (void *ud, const char *line, size_t cursor, size_t *from);
  /* What is shown where there is no such word: malloc'ed, or NULL. */
  char *(*hint) (void *ud, const char *line, size_t cursor);
  int (*interrupted) (void *ud);  /* by a signal that came between two keys? */
  void *ud;
} rb_EditHooks;

typedef struct rb_Edit {
  /* Begins with the history of that file (made 0600 where there is none; NULL: none).
  ** 0: it cannot. */
  int (*open) (const rb_EditHooks *hooks, const char *history);
  /* A line without its newline, malloc'ed. NULL: *interrupted says whether by a signal
  ** (the line is dropped) or because the input has ended. */
  char *(*line) (int *interrupted);
  /* Into the history, and its file. */
  void (*remember) (const char *line);
  void (*close) (void);
} rb_Edit;

#endif
