/*
** lint.h - what a runbook's steps do that they should not, as far as it can be known unrun
*/

#ifndef rb_lint_h
#define rb_lint_h

#include <lua.h>

#include "vm/run/outline.h"
#include "vm/run/rules.h"
#include "vm/run/trace.h"

/* [-0, +0, m]  Tells every fault of a runbook that has been loaded into L; how many. 'fields':
** where on the stack the table of names is that `run` may have. */
int rb_lint (lua_State *L, const rb_Outline *o, const char *file, const rb_Around *around,
             int fields, void (*tell) (void *ud, const rb_Fault *f), void *ud);

/* queries.c: the names that a text in a module's language has, and what its server says */
typedef struct rb_Queries {
  lua_State *L;
  const rb_Outline *o;
  const rb_Around *around;
  int fields, said;      /* tables on the stack; in `said` is what was asked */
  void (*fault) (void *ud, const rb_Traced *c, const char *rule, const char *message);
  void (*down) (void *ud, const rb_Traced *c, const char *why);
  void *ud;
} rb_Queries;

/* [-0, +0, m]  'good': the text is well formed. */
void rb_query (const rb_Queries *q, const rb_Syntax *syntax, const rb_Traced *c,
               const char *name, int good);
/* [-0, +1, m]  The names that a system's part has: a table of name -> true; nil: not known. */
void rb_partnames (lua_State *L, const rb_Around *around, const char *system, const char *part);
/* The name in the table at the top that is nearest to the word, or NULL. */
const char *rb_nearname (lua_State *L, const char *word);

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
