/*
** child.h - a child process between fork and its end (private to vm/)
*/

#ifndef rb_child_h
#define rb_child_h

#include "vm/fence.h"

/* descriptors of the parent; the first five are watched */
enum { OUT, ERR, IN, REPORT, ENDED, GO, NFD };
enum { NWATCHED = GO };

/* why the child is being ended */
enum { RUNNING, TIMEOUT, TOOMUCH, NOMEMORY };

/* where a child that could not exec was stuck, and errno */
enum { STARTING, FOLDER, FENCE, EXEC };
typedef struct rb_Stuck { int stage, error; } rb_Stuck;

typedef struct rb_Bytes { char *s; size_t n, size; } rb_Bytes;

typedef struct rb_Child {
  pid_t pid;               /* 0: none (any more) */
  int fd[NFD];             /* ours; -1: closed */
  int theirs[NFD];         /* the child's; -1 after the fork */
  rb_Watch *watch[NWATCHED];
  rb_Fence fence;
  rb_Task *task;
  int awake;               /* the task has been woken */
  int why, killed, detach;
  rb_Bytes out[2];         /* OUT and ERR, in the script's own memory */
  lua_Alloc alloc; void *allocud;
  const char *input; size_t inputlen;  /* kept by the first user value */
  size_t max;
  rb_Stuck report; size_t reported;
  const char *name;        /* for people; kept by the second user value */
  lua_KContext ctx; lua_KFunction k;
} rb_Child;

/* -- fork.c ------------------------------------------------------------------ */

/* Opens the pipes and forks; the child goes on by itself. 0, or -1 with errno:
** then c is to be closed as after any failure. */
int rb_child_fork (rb_Child *c, const rb_Program *cmd);

void rb_child_shut (int *fd);

#endif
