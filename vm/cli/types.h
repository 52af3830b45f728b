/*
** types.h - annotations for an editor
*/

#ifndef rb_types_h
#define rb_types_h

#include "vm/buffer.h"
#include "vm/cli/rows.h"

/* Writes folder/runbook.lua; without a folder on the standard output. 0, or the exit
** code and *p. */
int rb_types_write (const char *folder, rb_Problem *p);

/* signature.c: adds "---@param key string", ..., "function redis:get(key) end", read from
** the signature that the row's documentation begins with. */
void rb_types_function (const rb_Row *row, rb_Buffer *b);

#endif
