/*
** owned.h - memory of a call that is tidied up at its end, however it ends
*/

#ifndef rb_owned_h
#define rb_owned_h

#include <stddef.h>

#include "vm/module.h"

/* [-0, +1, v]  Pushes a zeroed userdata of the metatable 'type' and marks its slot to be
** closed: 'close' finds it at 1, and is called twice (then by the collector). */
void *rb_owned (lua_State *L, size_t size, const char *type, lua_CFunction close);

#endif
