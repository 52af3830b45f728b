/*
** known.h - the compiled files that a check looks into, each read once
*/

#ifndef rb_known_h
#define rb_known_h

#include "vm/run/code.h"
#include "vm/run/shape.h"

typedef struct rb_Known rb_Known;

/* [-0, +0, -]  From now on what L requires is known: compiled and read once for all states,
** as long as its text is the same. */
void rb_known_watch (lua_State *L);
/* [-0, +0, m]  Calls 'each' with every file that L has required since. */
void rb_known_required (lua_State *L, void (*each) (void *ud, rb_Known *k), void *ud);
const char *rb_known_path (const rb_Known *k);

/* [-0, +0, m]  The uses in it. From the second time on each only once, with no line that
** nobody needs, and of the texts that are written those that look like secrets. */
void rb_known_uses (rb_Known *k, void (*each) (void *ud, const rb_Use *use), void *ud);

/* [-0, +0, m]  The file that is checked: its chunk is at the top. Its code, until the next
** one; NULL when this Lua's cannot be read. */
const rb_Code *rb_known_own (lua_State *L, const char *file);

/* [-0, +0, m]  The code of the Lua function at the top: its file's where that is known, else
** its own, which *own then holds, to be freed in any case. NULL: it cannot be read. */
const rb_Proto *rb_known_function (lua_State *L, const rb_Code **code, rb_Code *own);

void rb_known_free (void);

#endif
