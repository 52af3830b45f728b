/*
** swap.h - putting a new content in the place of an old one, at once
*/

#ifndef rb_swap_h
#define rb_swap_h

#include <sys/types.h>

#include "stdlib/common/place.h"

typedef struct rb_Content { const char *s; size_t n; } rb_Content;

/* a file beside the place, under a name of its own, that is being written */
typedef struct rb_Temp { char name[32]; int fd; } rb_Temp;  /* -1: none */

typedef enum rb_Swapped {
  RB_SWAP_DONE,
  RB_SWAP_DRIFT,              /* another content was there: all is as it was */
  RB_SWAP_FAILED,             /* nothing was changed; errno */
  RB_SWAP_BROKEN              /* it is not known what is there; errno */
} rb_Swapped;

/* What was found must be what was expected: 'same' is asked about a descriptor
** of it (-1: nothing may be there), and returns 1 if so. */
typedef struct rb_Expected {
  int (*same) (void *ud, int fd);
  void *ud;
} rb_Expected;

/* Makes 'content' what is at the place (open; p->fd -1: a new file). Owner and
** attributes are kept. The new file is complete and on the disk before it
** gets its name; what it takes the place of is checked after the swap and
** put back if it is another. Where files cannot be swapped (rb_swap_guarded)
** the old one is checked and then written over. */
rb_Swapped rb_swap (const rb_Place *p, const rb_Content *content, mode_t mode,
                    const rb_Expected *expected);

/* The same for a content that is copied in pieces: open, copy until there is
** no more, swap. What is dropped or not swapped leaves nothing. */
int rb_temp_open (const rb_Place *p, rb_Temp *t);  /* 0, or -1 with errno */
ssize_t rb_temp_copy (rb_Temp *t, int from, off_t *at, size_t max);
rb_Swapped rb_temp_swap (const rb_Place *p, rb_Temp *t, mode_t mode,
                         const rb_Expected *expected);
void rb_temp_drop (const rb_Place *p, rb_Temp *t);

/* Takes the file away, if it is the expected one. */
rb_Swapped rb_swap_remove (const rb_Place *p, const rb_Expected *expected);

/* Gives it another name that nothing has yet. */
rb_Swapped rb_swap_move (const rb_Place *p, const rb_Place *to,
                         const rb_Expected *expected);

/* Can a file at that place be swapped? 0 for one that is itself a mount, in
** a folder that may not be written, or on a file system that cannot. */
int rb_swap_guarded (const rb_Place *p);

#endif
