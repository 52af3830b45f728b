/*
** rules.h - what is wrong with a runbook, as far as it can be known unrun
*/

#ifndef rb_rules_h
#define rb_rules_h

#include <lua.h>

#include "vm/config/config.h"

typedef struct rb_Fault {
  const char *file;
  int line;            /* 0 when it has none */
  const char *rule;    /* "syntax", "shape", "global", ... */
  const char *message;
} rb_Fault;

/* what is known besides the file */
typedef struct rb_Around {
  rb_Config *config;
  rb_Target *target;           /* NULL: none that is known here */
  struct rb_Server *server;    /* NULL: no server is asked */
} rb_Around;

/* [-0, +0, m]  Loads the file into L, a new state with the words, and tells
** every fault, by line. 0, 1 when there is one, 2 when it is not even Lua. A rule
** "server" is none: what could not be asked, and why. */
int rb_rules (lua_State *L, const char *file, const rb_Around *around,
              void (*tell) (void *ud, const rb_Fault *f), void *ud);

#endif
