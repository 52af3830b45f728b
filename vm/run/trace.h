/*
** trace.h - the calls of primitives in compiled code, without running it
*/

#ifndef rb_trace_h
#define rb_trace_h

#include <lua.h>

#include "vm/module.h"
#include "vm/run/code.h"

#define RB_TRACEDARGS 4
#define RB_TRACEDKEYS 24

/* the names in a table constructor */
typedef struct rb_Keys {
  rb_Text name[RB_TRACEDKEYS];
  int n;
  int reg;               /* the register in which it was made */
} rb_Keys;

typedef enum rb_ArgKind { RB_ARGOTHER, RB_ARGTEXT, RB_ARGBUILT, RB_ARGTABLE } rb_ArgKind;

typedef struct rb_Argument {
  rb_ArgKind kind;       /* RB_ARGBUILT: a text put together from others that vary */
  rb_Text text;          /* RB_ARGTEXT */
  const rb_Keys *keys;   /* RB_ARGTABLE */
  int whole;             /* of these: the table is made in the call, and has no others */
} rb_Argument;

typedef struct rb_Traced {
  const char *file;      /* as Lua calls it: "@path" */
  int line;
  const char *module;    /* "redis", "file" */
  const rb_Resource *resource;  /* whose method it is; NULL: a function of the module */
  int within;            /* a statement of that one's transaction */
  rb_Text name;          /* "set" */
  int nargs;             /* those below whose number is certain */
  int exact;             /* there are no others */
  rb_Argument arg[RB_TRACEDARGS];
} rb_Traced;

/* a name that a system's settings or schema have not, at least not here */
typedef struct rb_Absent {
  const char *file;
  int line;
  const char *system, *part;  /* "settings", "schema" */
  rb_Text name;
  int guarded;           /* the script asks whether it is there */
} rb_Absent;

/* [-0, +0, m]  Tells of each call of a primitive that the function at the top makes, and
** whatever function it calls or hands on, as far as that is certain from the values that
** its upvalues have now; and of each name that is absent. */
void rb_trace (lua_State *L, void (*each) (void *ud, const rb_Traced *call),
               void (*absent) (void *ud, const rb_Absent *name), void *ud);

#endif
