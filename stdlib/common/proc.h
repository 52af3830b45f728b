/*
** proc.h - one process, as /proc tells it
**
** Reading a process that is stuck in the kernel can block: so it is done in a
** thread of its own (rb_aside), and nothing here touches Lua.
*/

#ifndef rb_proc_h
#define rb_proc_h

#include <sys/types.h>

typedef struct rb_Proc {
  pid_t pid, parent;
  uid_t uid;
  char state;              /* as in /proc: R S D T Z ... */
  char program[64];        /* its name; the kernel keeps 15 bytes of it */
  char *command;           /* its words, joined; malloc'ed; NULL: none */
  long long memory;        /* bytes in RAM */
  double cpu, started;     /* seconds used; seconds since 1970 */
} rb_Proc;

/* The pids there are, ascending, malloc'ed; *n of them. NULL with errno. */
pid_t *rb_proc_all (size_t *n);

/* 0: it is there no longer. Free p->command. */
int rb_proc_read (pid_t pid, rb_Proc *p);

/* The name of a user, or its number, into 'out'. */
void rb_proc_user (uid_t uid, char *out, size_t size);

#endif
