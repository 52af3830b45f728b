/*
** state.h - the sandboxed Lua state in which runbooks live
*/

#ifndef rb_state_h
#define rb_state_h

#include <lua.h>

#include "vm/problem.h"

/* A new state: the safe libraries, our own versions of what would show an
** accident (pairs, sort, tostring, ...), the stdlib's modules (loaded when
** first used) and `system`; the gate is shut. NULL: out of memory. */
lua_State *rb_state_new (void);
void rb_state_free (lua_State *L);

/* As lua_pcall without a handler, but a chunk that runs for longer than
** 'seconds' is stopped, whatever it does; two seconds later the process is ended. */
int rb_state_pcall (lua_State *L, int nargs, int nresults, double seconds);

/* [-0, +0, m]  A file is part of the script: digests and the tape cover it. */
void rb_state_remember (lua_State *L, const char *path, const char *text,
                        size_t n);

/* The text of a file as the tape of the run that is resumed has it, or NULL. */
const char *rb_state_taped (lua_State *L, const char *path, size_t *n);

/* The files of the script, in the order of their paths: calls 'each' with
** path, text and length. */
void rb_state_files (lua_State *L, void (*each) (void *ud, const char *path,
                     const char *text, size_t n), void *ud);

/* registry: name -> system, of those that the script has asked for */
#define RB_SYSTEMS "rb.systems"

/* The folder in which `require` looks first. */
void rb_state_folder (lua_State *L, const char *folder);
/* [-0, +0, m]  What was required is required anew. */
void rb_require_forget (lua_State *L);

#endif
