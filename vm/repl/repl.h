/*
** repl.h - an investigation at a prompt (private to vm/repl)
**
** A session is a run whose steps are what was typed: each statement passes the gate
** like a field of a step, and is on the tape.
*/

#ifndef rb_repl_h
#define rb_repl_h

#include "vm/repl/edit.h"
#include "vm/repl/open.h"
#include "vm/run/run.h"

typedef struct rb_Repl {
  rb_Run r;
  rb_RunOptions o;
  const rb_ReplOptions *asked;
  int env;               /* registry: the globals of the session */
  int wrap;              /* registry: (f, keep) -> a function that shows what f returns */
  int memo;              /* registry: how far a completion has looked */
  double began;          /* CLOCK_MONOTONIC */
  double until;          /* armed up to then (CLOCK_MONOTONIC); 0: read-only */
  int terminal;          /* a person types */
  int quit;
  int interrupted;       /* a Ctrl-C came while the last statement ran, or was shown */
  int inside;            /* of a run, at one of its steps */
  int steps;             /* room in the report */
  json_t *done;          /* paths of what was changed, and not taken back by :undo */
  json_t *told;          /* by step: {value, rows, armed, undo}, what it showed and was */
  char *reason;          /* of the last :live; NULL: none */
  const rb_Edit *edit;   /* NULL: plain lines */
} rb_Repl;

/* -- session.c ------------------------------------------------------------- */

/* Opens configuration, target and tape, and ends the run on the tape. */
int rb_repl_begin (rb_Repl *s, rb_Problem *p);
void rb_repl_end (rb_Repl *s, int exit);
/* [-0, +0, m]  The same for a session inside of a run, which is there: what the table at the
** top names are its variables. */
int rb_repl_enter (rb_Repl *s, rb_Problem *p);

/* -- repl.c ------------------------------------------------------------------ */

/* Reads until the person leaves: the exit code. */
int rb_repl_loop (rb_Repl *s);

/* how a statement ended */
typedef enum rb_Evaluated {
  RB_EVALDONE, RB_EVALMORE,  /* it goes on in the next line */
  RB_EVALFAILED              /* said; see the exit code */
} rb_Evaluated;

/* [-0, +0, m]  Runs one statement or expression, and shows what it returned and what it
** changed or would change. */
rb_Evaluated rb_repl_eval (rb_Repl *s, const char *text, int *exit);
/* [-0, +0, m]  Runs the function of that registry reference (then forgotten), named so. */
rb_Evaluated rb_repl_call (rb_Repl *s, int fn, const char *title, int *exit);
/* Read-only again, if its time is over: says so. */
void rb_repl_expire (rb_Repl *s);
void rb_repl_disarm (rb_Repl *s, const char *why);

/* -- value.c --------------------------------------------------------------- */

/* where a value is shown, and what the signature of the primitive that returned it says of it
** ("{total = bytes, ...}"; NULL: it comes from none) */
typedef struct rb_View {
  struct rb_Show *show;
  const char *result;
} rb_View;

/* [-0, +0, m]  A value that is no table, as marked text. */
void rb_repl_scalar (lua_State *L, int idx, rb_Buffer *b);
void rb_repl_pad (rb_Buffer *b, int n);  /* that many spaces */
void rb_repl_endline (struct rb_Show *show);  /* as it is: nothing is folded */

/* [-0, +0, m]  Lines for the value at idx, into the show's output. */
void rb_repl_value (lua_State *L, int idx, rb_Show *show);

/* -- rows.c ----------------------------------------------------------------- */

/* [-0, +0, m]  Lines for the rows at idx; 0: they are none. */
int rb_repl_rows (lua_State *L, int idx, rb_View *v);

/* -- meant.c ---------------------------------------------------------------- */

typedef enum rb_Unit { RB_NOUNIT, RB_BYTES, RB_SECONDS, RB_MILLISECONDS } rb_Unit;

/* [-0, +0, m]  The value at the top is what that primitive returned. */
void rb_repl_took (lua_State *L, const rb_Reg *reg);
void rb_repl_forget (lua_State *L);  /* a new statement: no number is anybody's any more */
/* [-0, +0, m]  What the signature says of the value at idx; NULL: nobody returned it. */
const char *rb_repl_result (lua_State *L, int idx);
/* of the field of that name, or (NULL) of the result itself */
rb_Unit rb_repl_unit (const char *result, const char *field);
/* "2.7 MB", "59m 59s"; "": no more than the number */
const char *rb_repl_human (char out[64], rb_Unit unit, double n);

/* -- pager.c ------------------------------------------------------------------ */

/* What was put together is shown: through $PAGER where a terminal is too small for it. */
void rb_repl_page (rb_Repl *s);

/* -- words.c: what begins with a colon ------------------------------------- */

/* Does what ":live 10m" says: 0, or an exit code (said). */
int rb_repl_word (rb_Repl *s, const char *line);
/* The i-th of them, without its colon; NULL: there are no more. */
const char *rb_repl_wordname (int i);

/* -- story.c: what was done so far; 0, or an exit code (said) ----------------- */

int rb_repl_steps (rb_Repl *s, const char *rest);
int rb_repl_plan (rb_Repl *s, const char *rest);
/* A runbook, in a run of its own: a dry run, unless the session is armed. */
int rb_repl_run (rb_Repl *s, const char *rest);

/* -- save.c -------------------------------------------------------------------- */

/* The session as a runbook, with a tape: 0, or an exit code (said). */
int rb_repl_save (rb_Repl *s, const char *rest);

/* -- back.c ---------------------------------------------------------------- */

/* Takes back the last change of the session: 0, or an exit code (said). */
int rb_repl_undo (rb_Repl *s);

/* -- complete.c ------------------------------------------------------------ */

/* [-0, +0, m]  What may stand at the cursor: a list of malloc'ed words that begin with
** the part of 'line' from *from on; NULL: none. */
char **rb_repl_complete (rb_Repl *s, const char *line, size_t cursor, size_t *from);
/* What the call takes whose arguments the cursor is in: malloc'ed, or NULL. */
char *rb_repl_hint (rb_Repl *s, const char *line, size_t cursor);

/* -- say.c ----------------------------------------------------------------- */

/* A line of ours to standard output (or, for what went wrong, to standard error). */
void rb_repl_say (rb_Repl *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void rb_repl_complain (rb_Repl *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
