/*
** page.h - an outline for people (terminal, wiki) and for programs (JSON)
**
** Nothing is run: a text that is a function is "(depends on the run)", and a
** step's functions are shown as they stand in the file.
*/

#ifndef rb_page_h
#define rb_page_h

#include <jansson.h>
#include <lua.h>

#include "vm/buffer.h"
#include "vm/run/outline.h"

void rb_page_text (lua_State *L, const rb_Outline *o, rb_Buffer *b);
void rb_page_markdown (lua_State *L, const rb_Outline *o, rb_Buffer *b);
void rb_page_html (lua_State *L, const rb_Outline *o, rb_Buffer *b);

/* NULL when out of memory. */
json_t *rb_page_json (lua_State *L, const rb_Outline *o);

/* "a, b"; "" for an empty list. */
void rb_page_list (const char *const *words, rb_Buffer *b);

/* The source of the function 'ref', without its indentation; nothing when it
** does not stand in the outline's file. */
void rb_page_source (lua_State *L, const rb_Outline *o, int ref, rb_Buffer *b);

#endif
