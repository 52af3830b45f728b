/*
** shape.h - what words, outline, loader and parameters share
*/

#ifndef rb_shape_h
#define rb_shape_h

#include <stddef.h>

#include <lua.h>

#include "vm/run/outline.h"

/* registry: the metatable of what runbook, step and case made; the tables of
** their fields {word = {{name, type, what for}, ...}}; the runbook that the
** last load made, and its chunk */
#define RB_WORDS "rb.words"
#define RB_WORDFIELDS "rb.wordfields"
#define RB_MADE "rb.made"
#define RB_CHUNK "rb.chunk"

/* lua_CFunction(runbook, rb_Outline *, path): reads what words.lua has checked */
int rb_outline_read (lua_State *L);

/* The length of the part of s that is UTF-8: n when all of it is. */
size_t rb_utf8 (const char *s, size_t n);

/* [-0, +0, m]  Is the table at 'idx' a parameter's declaration, such as
** {"choice", "a", "b", default = "a"}? If not, why. */
int rb_param_declared (lua_State *L, int idx, char *why, size_t size);

/* The type of that name, or -1. */
int rb_param_type (const char *name);

/* [-0, +(0|1), m]  Pushes the value at 'idx' as the parameter takes it and
** returns 1, or says in 'why' what it takes ("takes an integer, not 'x'").
** Relative paths begin at 'base' (NULL: where we are). */
int rb_param_value (lua_State *L, const rb_Param *q, const char *base, int idx,
                    char *why, size_t size);

/* a name in the code of a chunk. A field is one of any table; those read
** from `run`, and its methods, are known by the name of the variable. */
typedef enum rb_UseKind {
  RB_GETGLOBAL, RB_SETGLOBAL, RB_SETFIELD, RB_GETRUN, RB_CALLRUN, RB_LOCAL,
  RB_CONSTANT,   /* any text, with no line of its own */
  RB_WRITTEN     /* a text where it is used; 'name' is the field that it becomes, or "" */
} rb_UseKind;

typedef struct rb_Use {
  rb_UseKind kind;
  char name[64];
  int line;
  const char *text;  /* of the last two kinds: it ends with a NUL, and with the call */
} rb_Use;

/* Every use in the code of a chunk, inner functions first. */
struct rb_Code;
void rb_uses (const struct rb_Code *c, void (*each) (void *ud, const rb_Use *use), void *ud);

/* What secret a text in a source is, by its form or by the name of the field that it
** becomes ("": none): "a GitHub token". NULL: none that is known. */
const char *rb_leak (const char *name, const char *text);

/* [-0, +(0|1), m]  Reads and compiles a file without calling it, and pushes the
** chunk; or says in *p what is wrong with it as text. */
int rb_chunk_load (lua_State *L, const char *file, rb_Problem *p);

#endif
