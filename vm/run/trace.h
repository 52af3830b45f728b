/*
** trace.h - the calls of primitives in compiled code, without running it
*/

#ifndef rb_trace_h
#define rb_trace_h

#include <lua.h>

#include "vm/run/code.h"

#define RB_TRACEDARGS 4
#define RB_TRACEDKEYS 24

/* the names in a table constructor */
typedef struct rb_Keys {
  rb_Text name[RB_TRACEDKEYS];
  int n;
} rb_Keys;

typedef enum rb_ArgKind { RB_ARGOTHER, RB_ARGTEXT, RB_ARGBUILT, RB_ARGTABLE } rb_ArgKind;

typedef struct rb_Argument {
  rb_ArgKind kind;       /* RB_ARGBUILT: a text put together from others that vary */
  rb_Text text;          /* RB_ARGTEXT; s NULL: of several constants */
  const rb_Keys *keys;   /* RB_ARGTABLE */
} rb_Argument;

typedef struct rb_Traced {
  const char *file;      /* as Lua calls it: "@path" */
  int line;
  const char *module;    /* "redis", "file" */
  int method;            /* of a resource; else a function of the module */
  rb_Text name;          /* "set" */
  int nargs;             /* those below whose number is certain */
  rb_Argument arg[RB_TRACEDARGS];
} rb_Traced;

/* [-0, +0, m]  Tells of each call of a primitive that the function at the top makes, and
** whatever function it calls or hands on, as far as that is certain from the values that
** its upvalues have now. */
void rb_trace (lua_State *L, void (*each) (void *ud, const rb_Traced *call), void *ud);

#endif
