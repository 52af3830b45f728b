/*
** lint.h - what a runbook's steps do that they should not, as far as it can be known unrun
*/

#ifndef rb_lint_h
#define rb_lint_h

#include <lua.h>

#include "vm/run/outline.h"
#include "vm/run/rules.h"

/* [-0, +0, m]  Tells every fault of a runbook that has been loaded into L; how many. */
int rb_lint (lua_State *L, const rb_Outline *o, const char *file,
             void (*tell) (void *ud, const rb_Fault *f), void *ud);

/* primitives.c: what there is to call, without loading the modules */
typedef struct rb_Primitive {
  const char *module, *name;
  char effect;           /* p(ure) l(ook) r(emedy) n(otice) c(lassify) w(ithin) */
  const char *signature; /* "get(key) -> string | nil" */
  int place, together;   /* among its module's; of the first: how many these are */
} rb_Primitive;

/* Those of a module, n of them; NULL where the installation has no list of them. */
const rb_Primitive *rb_primitives (const char *module, int *n);

#endif
