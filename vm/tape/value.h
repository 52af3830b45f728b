/*
** value.h - Lua values as bytes, the same bytes for equal values
**
** nil, booleans, integers, floats, strings, json.null and tables (keys
** sorted; no cycles, at most 100 deep), result types by name. Secrets and
** resources go by label and name only.
*/

#ifndef rb_value_h
#define rb_value_h

#include <lua.h>

#include "vm/buffer.h"

/* [-0, +0, m]  Appends the value at idx. Returns 0, or words that say what
** cannot be written ("a function", "a table that contains itself"). A table's
** result type is the string in its metatable's "__name" (with __rbtype true);
** an object whose metatable has "__rblabel" (resources, run, systems, secrets)
** is written as that label and, where it has one, its __tostring; another
** userdata cannot be written. The caller looks at b->failed. */
const char *rb_value_encode (lua_State *L, int idx, rb_Buffer *b);

/* Appends what rb_value_encode makes of a resource of that name. */
void rb_value_resource (rb_Buffer *b, const char *name);

/* [-0, +1, m]  Pushes the value back; returns 0 and pushes nothing on damaged
** bytes. 'settype' [-1, +1] gives the table on top its result type. */
int rb_value_decode (lua_State *L, const char *s, size_t n,
                     void (*settype) (lua_State *L, const char *name));

#endif
