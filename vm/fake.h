/*
** fake.h - a test's world at the gate: who answers in place of the modules (private to vm/)
**
** The world lives in a Lua state of the test's own, with the functions that its author
** wrote. A run in it has no other modules than those that are made here: their rows have
** the effects of the real ones, and each of their functions asks the world. So
** everything above them is what it is in a real run, and nothing below is there.
*/

#ifndef rb_fake_h
#define rb_fake_h

#include <lua.h>

#include "vm/module.h"

typedef struct rb_World rb_World;

/* [-0, +0, m]  The world whose words are in this state: its table, in the registry
** under RB_WORLD, has `rows`, the fakes' own modules, and `ask`, a function (request) ->
** answer. NULL: no memory. Free it after the last run in it. */
#define RB_WORLD "rb.world"
rb_World *rb_world_open (lua_State *W);
void rb_world_free (rb_World *w);

/* [-0, +0, v]  The module of that name as a run in this world has it. 'load' gets the real
** one: asked for those that the fakes do not know, whose rows are taken from it and whose
** functions are not called, and for those that touch nothing. */
const rb_Module *rb_world_module (lua_State *L, const char *name,
                                  const rb_Module *(*load) (lua_State *L, const char *name));

/* -- between fake.c and faketx.c ------------------------------------------- */

/* [-0, +1, v]  The answer to a call of 'verb' with the arguments from 'first' to 'n'. */
void rb_fake_ask (lua_State *L, const char *phase, const char *verb, int first, int n);
/* [-0, +1, vy]  "return rb_fake_answered(L)": the result that the answer at the top has. */
int rb_fake_answered (lua_State *L);
/* A failure, or a surprise, in the answer at the top: raises, or is returned. */
int rb_fake_check (lua_State *L);
/* p:transaction(fn): the function runs for the preview, and for the deed. */
int rb_faketx_preview (lua_State *L);
int rb_faketx_deed (lua_State *L);
extern const rb_Type rb_faketx_types[];

/* What nobody expected, or a fake that failed by itself; the first of them. "" */
const char *rb_world_surprise (const rb_World *w);

#endif
