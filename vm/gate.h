/*
** gate.h - the parts of the one way through (private to vm/)
**
** All but the first few are "return ...": they end or continue the running call.
*/

#ifndef rb_gate_h
#define rb_gate_h

#include "vm/vm.h"

/* -- gate.c: from the call to the deed ------------------------------------------ */

/* [-1, +0, m] Pops the box (a light userdata; nil: the resource is the first
** argument) and fills the table below with gated closures. */
void rb_setgated (lua_State *L, const rb_Module *m, const rb_Reg *regs);
void rb_gate_free (rb_VM *vm);
/* [-0, +n+1]  the function and the n arguments of the running call */
void rb_gate_pushcall (lua_State *L, lua_CFunction fn, int n);
/* An attempt at the effect of the running call, with its n arguments. */
int rb_gate_start (lua_State *L, int n);
/* The same, live. */
int rb_gate_perform (lua_State *L, int n);
/* The same, once an undo has looked. */
int rb_gate_go (lua_State *L, int n);
/* The deed itself: its preview was taken. */
int rb_gate_deed (lua_State *L, int n);

/* -- preview.c: what it would do --------------------------------------------------- */

int rb_gate_preview (lua_State *L, int n);
/* It fails with the error at the top; in a dry run it would be refused. */
int rb_gate_failed (lua_State *L, int n);

/* -- turn.c: one after the other ------------------------------------------------------- */

/* rb_gate_preview, once no other branch is changing the same thing. */
int rb_turn (lua_State *L, int n);
/* The task's call is over: others may have their turn. */
void rb_turn_over (rb_Task *t);

/* -- outcome.c: how it ends ---------------------------------------------------------- */

/* Its result or its error is at the top. */
int rb_gate_outcome (lua_State *L, int failed, int n);
/* The same for the script, once its turn comes. */
int rb_gate_deliver (lua_State *L, int failed);
/* Its plan is forgotten. */
void rb_gate_clear (lua_State *L, rb_Task *t);
/* [-1, +0, m]  Why, from the error at the top. */
void rb_setreason (lua_State *L, rb_EffectRow *row);
/* The task ends in the middle of an effect: says so on the tape. */
void rb_call_abandon (rb_Task *t);

/* -- earlier.c: what an earlier session did ------------------------------------------ */

int rb_gate_taped (lua_State *L, int n);
/* A transaction's function is run against what its statements brought, so that the script
** has what it kept of them; then, or where the call takes no function, k with context n. */
int rb_gate_rerun (lua_State *L, int n, lua_KFunction k);
/* In k, before all else: 0: it failed where it had gone well, "return rb_stop_now(L)". */
int rb_gate_reran (lua_State *L, int status, int n);
int rb_gate_within (lua_State *L, const rb_Reg *reg);
/* It was done in an earlier session (or a person said to go on without it); its
** result is at the top. */
int rb_gate_settled (lua_State *L, int skipped);

/* -- reconcile.c: what may have been done -------------------------------------------- */

/* A deed of an earlier session that may or may not have happened: looks, else a
** person decides, and it is done, not done again, or begun anew. */
int rb_reconcile (lua_State *L, int n);
/* Before the inverse of the task's 'undoing' is previewed, and after: is the world still
** as that deed left it? fits: 0 and an error at the top. */
int rb_undo_settle (lua_State *L, int n);
int rb_undo_fits (lua_State *L);

#endif
