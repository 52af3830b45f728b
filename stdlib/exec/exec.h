/*
** exec.h - a command as a script asks for it, checked
*/

#ifndef rb_exec_h
#define rb_exec_h

#include "vm/module.h"

typedef struct rb_Exec {
  char **argv;           /* argv[0]: the program, resolved */
  const char *shown;     /* the words as a shell would take them */
  const char *asked;     /* the program as the script named it */
  char **env;
  const char *cwd, *input, *delegates;
  size_t inputlen;
  double timeout;        /* 0: the step's */
} rb_Exec;

extern const char *const rb_exec_probefields[], *const rb_exec_runfields[];

/* where rb_exec_read leaves `shown` on the stack */
enum { RB_EXEC_SHOWN = 4 };

/* [-0, +?, v]  Everything that the table at index 1 asks for but its environment;
** what it holds stays on the stack. */
rb_Exec rb_exec_read (lua_State *L, const char *const *fields);

/* [-0, +1, v]  An optional string field, or nil. */
const char *rb_exec_field (lua_State *L, const char *name);

/* [-0, +2, v]  'scratch': of a probe; NULL: a remedy has the operator's own. */
char **rb_exec_environment (lua_State *L, const char *scratch);

/* [-0, +0, v]  A program with the rights of another user is no probe. */
void rb_exec_nosetuid (lua_State *L, const char *file);

rb_Program rb_exec_command (const rb_Exec *c);

#endif
