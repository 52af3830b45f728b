/*
** swap.h - putting a new content in the place of an old one, at once
*/

#ifndef rb_swap_h
#define rb_swap_h

#include <sys/types.h>

#include "stdlib/common/place.h"

typedef struct rb_Content {
  const char *s;              /* the bytes, or */
  size_t n;
  int fd;                     /* where they are read from; -1: from s */
} rb_Content;

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

/* Takes the file away, if it is the expected one. */
rb_Swapped rb_swap_remove (const rb_Place *p, const rb_Expected *expected);

/* Gives it another name that nothing has yet. */
rb_Swapped rb_swap_move (const rb_Place *p, const rb_Place *to,
                         const rb_Expected *expected);

/* Can a file at that place be swapped? 0 for one that is itself a mount, in
** a folder that may not be written, or on a file system that cannot. */
int rb_swap_guarded (const rb_Place *p);

#endif
