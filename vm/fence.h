/*
** fence.h - the kernel's hold on a probe's child (private to vm/)
*/

#ifndef rb_fence_h
#define rb_fence_h

#include <linux/filter.h>

#include "vm/module.h"

/* Everything that the child will need, made before the fork. */
typedef struct rb_Fence {
  int ruleset;                     /* Landlock; -1: none */
  const struct sock_fprog *filter; /* seccomp; NULL: none. Never freed */
} rb_Fence;

/* Returns 0, or a few words that say what cannot be held here. Where the
** kernel layer does not hold at all (rb_kernellayer), what is there is used. */
const char *rb_fence_open (rb_Fence *f, const rb_Program *c);
void rb_fence_close (rb_Fence *f);

/* In the child, for good; async-signal-safe. 'ruleset' is where f->ruleset
** is by now. 0 or -1 with errno. */
int rb_fence_apply (const rb_Fence *f, int ruleset);

/* filter.c: the seccomp program for what the command may ('abi': Landlock's),
** made once for each combination; NULL where the kernel has none. */
const struct sock_fprog *rb_filter (int abi, int delegates, int connects);

#endif
