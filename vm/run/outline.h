/*
** outline.h - a runbook as data: what can be known without running it
**
** The Lua file returned one `runbook {...}`; words.lua checked its shape when
** it was built, this reads it into C. Functions stay in Lua as registry
** references. Texts with {names} or functions of run are kept unrendered.
*/

#ifndef rb_outline_h
#define rb_outline_h

#include <lua.h>
#include <lauxlib.h>

#include "vm/problem.h"

enum { RB_NOREF = LUA_NOREF };

/* a text that may hold {name}s, or be a function of run */
typedef struct rb_Words {
  const char *text;  /* NULL when it is a function, or absent */
  int ref;           /* registry reference of the function, or RB_NOREF */
} rb_Words;

typedef enum rb_ParamType {
  RB_STRING, RB_IDENTIFIER, RB_INTEGER, RB_NUMBER, RB_BOOLEAN, RB_DURATION,
  RB_EMAIL, RB_PATH, RB_URL, RB_DATE, RB_CHOICE, RB_SECRET
} rb_ParamType;

typedef struct rb_Param {
  const char *name;
  rb_ParamType type;
  const char *typename;
  const char *const *choices;  /* RB_CHOICE: NULL-terminated */
  int required;
  int defaultref;              /* registry reference, or RB_NOREF */
  const char *help;            /* NULL if none */
} rb_Param;

typedef enum rb_OnFailure { RB_STOP, RB_CONTINUE, RB_WARN } rb_OnFailure;

/* the fields of a step that are functions, in the order in which they run */
typedef enum rb_Field {
  RB_WHEN, RB_PROBEFIELD, RB_REMEDYFIELD, RB_VERIFY, RB_NOTIFY, RB_UNDO,
  RB_FIELDS
} rb_Field;
extern const char *const rb_fieldnames[RB_FIELDS];

typedef struct rb_Step {
  const char *id;
  rb_Words title, manual, irreversible;
  int fn[RB_FIELDS];           /* registry references, or RB_NOREF */
  const char *const *approve;  /* NULL-terminated, never NULL */
  int undo_asked;              /* undo_when = "asked" */
  double timeout;              /* seconds; 0: none given */
  int retries;                 /* retry.times; 0: none */
  double every;                /* retry.every, seconds */
  rb_OnFailure on_failure;
  int diagnose;
  int line;                    /* where it stands in the file */
  int incase;                  /* index into rb_Outline.cases, or -1 */
} rb_Step;

/* Nothing of it is taken back: it is irreversible, and has no `undo`. */
static inline int rb_step_stays (const rb_Step *s) {
  return s->fn[RB_UNDO] == RB_NOREF
         && (s->irreversible.text != NULL || s->irreversible.ref != RB_NOREF);
}

typedef struct rb_Case {
  const char *id;
  rb_Words title;
  int when;                    /* function reference, or RB_NOREF */
  int asked;                   /* when = "asked" */
  int group;                   /* cases side by side share a group, 0, 1, .. */
  int first, count;            /* its steps in rb_Outline.steps */
  const char *severity;        /* NULL if none */
  const char *const *approve;
  rb_Words lock;
  int limitsref, line;         /* limitsref: registry reference or RB_NOREF */
  int firstparam, nparams;     /* its own parameters in rb_Outline.params */
} rb_Case;

typedef struct rb_Outline {
  char *file;                  /* absolute path */
  const char *name;            /* file name without .lua */
  const char *title, *system, *use_when, *impact, *severity;
  const char *const *approve;
  const char *const *targets;  /* kinds it is for; empty: all */
  rb_Words lock;
  int limitsref;               /* {name = n}, or RB_NOREF */
  rb_Param *params; int nparams;   /* of the runbook first, then of cases */
  rb_Step *steps; int nsteps;      /* in reading order, cases flattened */
  rb_Case *cases; int ncases;
  void *memory;                /* all of the above lives here */
} rb_Outline;

/* [-0, +0, m]  Defines runbook, step, case, expect in L's globals. */
void rb_words_open (lua_State *L);

/* Calls fn with the light userdata 'ud' in a new state that has the words, and
** protected: 0, or a problem when memory ran out. For commands that only read. */
int rb_words_call (lua_CFunction fn, void *ud, rb_Problem *p);

/* Compiles 'file' (text only), calls it with the gate shut, checks that it
** returns exactly one runbook and reads it into *o. Syntax errors carry
** file, line, and the source line in the message. Every problem here is exit 2.
** 'load' compiles and runs the chunk: [-0, +1] pushes its result, or fills *p. */
int rb_outline_load (lua_State *L, const char *file, rb_Outline *o,
                     rb_Problem *p);
void rb_outline_free (lua_State *L, rb_Outline *o);

/* -- parameters ---------------------------------------------------------- */

/* "k=v" words from the command line against the outline's parameters and
** those of the chosen cases ('cases': NULL-terminated ids, or NULL). A missing
** one comes from 'defaults' (a table at that index of L, or 0), then from its
** own default; a required one that is still missing is asked for by 'ask'
** (alphabetical order; NULL: not a terminal, a problem). 'ask' returns a malloc'ed
** line, or NULL to give up; 'wrong' is NULL, or says why the last answer was not
** taken ("takes an integer, not "x""). [-0, +1, m] Pushes a table name -> value
** (also with a problem: then half of it): integers, numbers, booleans, strings;
** durations as normalised strings ("1h"); secrets through 'secret', which pushes
** one value. Without 'cases' those of all cases are taken, but none of them is
** required. */
typedef char *(*rb_Ask) (void *ud, const rb_Param *param, const char *wrong);
int rb_params_read (lua_State *L, const rb_Outline *o, const char *const *words,
                    int defaults, const char *const *cases, rb_Ask ask,
                    void *ud,
                    void (*secret) (lua_State *L, const char *name,
                                    const char *text, size_t len),
                    rb_Problem *p);

/* Seconds as people write them: "1h30m", "250ms". */
void rb_duration_text (double seconds, char *out, size_t size);

#endif
