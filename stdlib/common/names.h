/*
** names.h - the keys of rows, as a list of columns
*/

#ifndef rb_names_h
#define rb_names_h

#include "vm/module.h"

/* [-0, +1, v]  Pushes the names (texts) that are keys of any row of the list at 'rows',
** sorted. 'widest' (may be NULL) gets the length of the longest row that is a list.
** A row that is no table raises: "WHAT: row 2 is a string, not a table". */
void rb_names_push (lua_State *L, int rows, const char *what, lua_Integer *widest);

#endif
