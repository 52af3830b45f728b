/*
** words.h - what the loader knows of words.lua and of parameters
*/

#ifndef rb_words_h
#define rb_words_h

#include <stddef.h>

#include <lua.h>

/* registry: the metatable of what runbook, step and case made; the tables of
** their fields {word = {{name, type, what for}, ...}}; the error objects' */
#define RB_WORDS "rb.words"
#define RB_WORDFIELDS "rb.wordfields"
#define RB_ERROR "rb.error"

/* [-0, +0, m]  Is the table at 'idx' a parameter's declaration, such as
** {"choice", "a", "b", default = "a"}? If not, why. */
int rb_param_declared (lua_State *L, int idx, char *why, size_t size);

#endif
