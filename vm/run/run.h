/*
** run.h - one execution of a runbook (private to vm/run)
*/

#ifndef rb_run_h
#define rb_run_h

#include "vm/run/options.h"
#include "vm/run/outline.h"
#include "vm/vm.h"

#define RB_RUNTYPE "rb.run"

struct rb_Run {
  rb_VM *vm;
  lua_State *L;
  const rb_RunOptions *o;
  rb_Outline outline;
  rb_Report report;
  int object;            /* registry references: the `run` of the scripts, */
  int fields, known;     /* name -> value, name -> list of what it rests on */
  const char *who;       /* operating-system user who began it */
  const char *by;        /* who goes on with it; NULL: the same session */
  json_t *answers;       /* of --answers; NULL if none */
  int deferred;          /* a step was: what it would have set is not known */
  char deferwhy[1200];
  int failed, warned, refused, undecided, planned;  /* steps so far */
  const rb_StepRow *skipped;  /* the first that failed and that a person skipped; NULL: none */
  int started;           /* a deed was begun */
  int *locks, nlocks;    /* descriptors of those that are held */
  struct rb_Across *across;  /* locks that other machines see; NULL: none asked for */
  int sharedlocks;       /* others read them, who cannot read our tape */
  int pledged;           /* and they say that this run has changed something */
  int stop;              /* exit code that ends the run; 0: goes on */
  int production;        /* confirmed, or not asked for */
  int session;           /* a prompt, whose variables a dry run does not follow */
  pthread_t trykernel;   /* while 'trying': looks whether the kernel's layer holds */
  int trying;
};

/* how a field (or a case's `when`) ended */
typedef enum rb_End {
  RB_ENDED, RB_RAISED, RB_STOPPEDEND
} rb_End;

typedef struct rb_FieldEnd {
  rb_End end;
  rb_Stop stop;          /* RB_STOPPEDEND: why */
  int truthy;            /* the first result */
  int nilresult;         /* it returned nothing, or nil */
  char reason[1200];     /* the second result, the error or the stop, in words */
  char kind[24], certainty[12];
  int line;
  char file[256];
  int deeds;
  rb_Assumes assumes;    /* free with rb_field_clear */
} rb_FieldEnd;

static inline rb_Run *rb_runof (rb_VM *vm) { return vm->run; }

/* -- engine.c -------------------------------------------------------------------- */

/* The operating-system user. */
const char *rb_operator (void);
/* [-0, +0, m]  run.id, run.operator, ... */
void rb_run_names (rb_Run *r);

/* -- field.c: one function of a step, to its end -------------------------------- */

typedef struct rb_FieldSpec {
  int fn;                /* registry reference */
  const char *word, *path;
  unsigned may;
  rb_StepRow *row;       /* NULL: nothing to show it on */
  double timeout;        /* seconds; 0: none */
  int retries, returns;
  double every;
} rb_FieldSpec;

void rb_field_run (rb_Run *r, const rb_FieldSpec *spec, rb_FieldEnd *end);
void rb_field_clear (rb_FieldEnd *end);
/* the exit code of a run that a field ended so */
int rb_field_exit (const rb_Run *r, const rb_FieldEnd *end);

/* -- step.c, cases.c ------------------------------------------------------------- */

void rb_step_run (rb_Run *r, const rb_Step *s, rb_StepRow *row);
/* The remedy of a step that was not run may do anything, as far as a dry run knows. */
void rb_step_unknown (rb_Run *r, const rb_Step *s, const rb_StepRow *row);
/* A step that is over, or whose `notify` comes next: does a dry run know that what is
** after it will be reached? */
void rb_step_open (rb_Run *r, const rb_Step *s, const rb_StepRow *row);
/* The step of that id, or of that number as it is shown; -1: there is none. */
int rb_step_index (const rb_Run *r, const char *id);
/* Could step i run, as far as what the operator gave says? */
int rb_step_eligible (const rb_Run *r, int i);
/* Runs all steps; sets r->stop and the report's error. */
void rb_steps_run (rb_Run *r);

/* -- object.c, each.c, wait.c, ask.c: `run` ---------------------------------------- */

/* [-0, +0, m]  Makes the object and gives it the table of parameters at the top
** (popped). */
void rb_object_new (rb_Run *r);
void rb_object_set (rb_Run *r, const char *name);  /* [-1, +0] */
extern const rb_Reg rb_each_methods[], rb_wait_methods[], rb_ask_methods[];
extern const rb_Reg *const rb_run_methods[];  /* all of them; NULL ends the lists */
void rb_note (rb_VM *vm, const char *path, const char *text, size_t n);

/* An answer by id: from --answers or the terminal. 1 and a malloc'ed text;
** 0 none (no terminal); -1 the operator gave up. */
int rb_answer (rb_Run *r, const char *id, const char *question, char **text);
void rb_answer_tape (rb_Run *r, const char *id, const char *text);
/* The same of what a person does: "done" or "not done", with a note. */
int rb_answer_manual (rb_Run *r, const char *id, const char *question, char **text);
int rb_answer_done (const char *text);

/* -- render.c: texts with {names} -------------------------------------------------- */

/* The words rendered from run, redacted, malloc'ed; NULL when there are none.
** A name that is not known yet stays as it is. */
char *rb_words_render (rb_Run *r, const rb_Words *w);

/* -- approve.c ----------------------------------------------------------------------- */

/* People of all these roles agree: 0, or an exit code and the problem. */
int rb_approve (rb_Run *r, const char *const *roles, const char *what,
                rb_Problem *p);
/* On production, once, before the first remedy. */
int rb_confirm (rb_Run *r, rb_Problem *p);
char *rb_join (const char *const *words);  /* "a, b"; NULL for none */

/* -- undo.c ----------------------------------------------------------------------------- */

/* The replay of the VM is of the run that is taken back. */
int rb_undo (rb_Run *r, rb_Problem *p);
/* [-0, +1, m]  A function of run that takes this deed back by its inverse, where it has
** one; 'force': also where the world has moved on. */
void rb_undo_push (lua_State *L, const struct rb_Taped *e, int force);
int rb_undo_hasinverse (lua_State *L, const struct rb_Taped *e);

/* export.c: writes the run of the options' 'resume' to the file of 'export', redacted. 0, or
** the exit code. */
int rb_export (rb_Run *r, rb_Problem *p);

/* -- inspect.c ---------------------------------------------------------------------- */

/* Runs the steps to where a person wants to look around: 0, or the exit code of *p. */
int rb_inspect (rb_Run *r, rb_Problem *p);
/* [-0, +0, m]  Is it before this step? Then a person has looked: 1. */
int rb_inspect_before (rb_Run *r, const rb_Step *s);
/* [-0, +0, m]  A field has ended, and its task is there still: did it fail, at the end of
** the tape? */
void rb_inspect_failed (rb_Run *r, const rb_FieldSpec *spec, rb_Task *t,
                        const rb_FieldEnd *end);

/* -- adopt.c: a session at the prompt as a run of the runbook that was made of it --- */

/* Its effects get the paths that they have in the runbook; 0: no memory. */
int rb_adopt (rb_Run *r);
/* What the tape would hold, had it been that run. */
void rb_adopted_events (rb_Run *r, int (*event) (void *ud, const rb_TapeRow *row), void *ud);

/* -- lock.c ---------------------------------------------------------------------------- */

/* 0 and the lock is held until the process ends, or RB_LOCKED and who holds it. */
int rb_lock (rb_Run *r, const char *name, rb_Problem *p);
/* The same, for what is settled in another way: only who holds it now is looked at. */
int rb_lock_alone (rb_Run *r, const char *name, rb_Problem *p);

/* -- across.c: locks that other machines see, through a server of the runbook's system --- */

/* The resource that holds them ("school_erp.pg"); NULL: there is none. */
const char *rb_across_resource (rb_Run *r);
/* [-0, +0, m]  Takes that lock, too (a dry run only looks): 0, or RB_LOCKED. Where the
** server does not answer the run goes on without, and says so. */
int rb_across_lock (rb_Run *r, const char *name, rb_Problem *p);
/* [-0, +0, m]  Between two steps: what was lost is taken again. 0, or RB_LOCKED. */
int rb_across_again (rb_Run *r, rb_Problem *p);
void rb_across_free (rb_Run *r);

/* -- claim.c: what a lock's file says, also when nobody holds it ------------------------ */

typedef struct rb_LockText {
  char who[300];         /* "run R by kim on host (process 12) since T" */
  char run[RB_RUNID];    /* the run that holds or held it */
  char claim[RB_RUNID];  /* the run that is to be settled: an undo's is the one it undoes */
  int changed;           /* it had changed something */
} rb_LockText;

void rb_lock_read (int fd, rb_LockText *t);
int rb_lock_write (rb_Run *r, int fd);  /* 0, or -1 and errno */
/* Nobody holds the lock; does an unfinished run claim it? 0, or RB_LOCKED and what to do. */
int rb_lock_claimed (rb_Run *r, int fd, const char *name, int shared, rb_Problem *p);
/* A run of the same runbook on the same target was killed half-way: that is said. */
void rb_lock_killed (rb_Run *r);
/* The run has ended: what it locked is free again, unless something is left to settle. */
void rb_lock_end (rb_Run *r);

/* -- given.c: what the operator gave; 0, or the exit code of the problem ----------------- */

/* The parameters: into the report and `run`; a table stays at the top. */
int rb_given_params (rb_Run *r, rb_Problem *p);
/* The parameters as they were read, as words of a command line, secrets in the
** clear; NULL: no memory. */
const char **rb_given_words (rb_Run *r);
void rb_given_free (const char **words);
/* --only, --from, --to and --case name what is there. */
int rb_given_ids (rb_Run *r, rb_Problem *p);
int rb_given_answers (rb_Run *r, rb_Problem *p);
int rb_given_limits (rb_Run *r, rb_Problem *p);

/* -- layers.c ------------------------------------------------------------------------------ */

/* Tries the kernel's out, while the run begins. */
void rb_layers_begin (rb_Run *r);
/* Which layers of the dry run hold: into the report. */
void rb_layers_look (rb_Run *r);
void rb_layers_end (rb_Run *r);
int rb_layers_check (rb_Run *r, rb_Problem *p);  /* --require-layers */

/* -- remembered.c: the script's own variables in a dry run ---------------------------------- */

/* [-0, +0, m]  Before a function runs: what its variables rest on, into the end; 0: one is
** not known, and the end says so. After it: what it changed rests on what it did. */
int rb_remembered_before (rb_Run *r, int fn, rb_FieldEnd *end);
void rb_remembered_after (rb_Run *r, int fn, rb_FieldEnd *end);
/* [-0, +0, m]  A step was not run to its end: what it may have been meant to set. */
void rb_remembered_unknown (rb_Run *r, const rb_Step *s, const char *why);

/* -- planfile.c, identity.c, apply.c: plans that are kept ------------------------------------ */

/* What random.* draws from, of the plan that is made or applied. */
int rb_plan_chance (rb_Run *r, rb_Problem *p);
int rb_plan_write (rb_Run *r, const char *file, rb_Problem *p);
/* [-0, +0, m]  What each server that was used says it is, into the object; and whether
** they say the same again. */
int rb_identities (rb_Run *r, json_t *is, rb_Problem *p);
int rb_identities_check (rb_Run *r, const json_t *is, rb_Problem *p);
/* [-0, +0, m]  Are the servers that an earlier session met still the same, as far as they
** answer? 0, or RB_STALE. */
int rb_servers_same (rb_Run *r, rb_Problem *p);
/* [-0, +0, m]  Calls one of the module's functions as a probe below the gate: malloc'ed,
** the text it returns, or NULL and why. */
char *rb_identity_ask (rb_Run *r, rb_ResourceBox *box, lua_CFunction fn, double seconds,
                       char *why, size_t size);
struct rb_Apply *rb_apply_new (const json_t *doc);
void rb_apply_free (struct rb_Apply *a);
/* Is it the script of the plan? Before it is loaded, and all else before the first step. */
int rb_apply_files (const json_t *doc, rb_Problem *p);
int rb_apply_begin (rb_Run *r, rb_Problem *p);
/* A step has ended: was all of it done? A `when` was asked: is it as in the plan? */
int rb_apply_stepped (rb_Run *r, const char *id, rb_Problem *p);
int rb_apply_case (rb_Run *r, const rb_CaseRow *row, rb_Problem *p);

/* -- ahead.c ------------------------------------------------------------------------------- */

/* Begins to load the modules that the script names. */
void rb_ahead_load (rb_Run *r);
/* Begins to connect to the servers that it names. */
void rb_ahead_connect (rb_Run *r);

/* -- taped.c ------------------------------------------------------------------------------- */

/* Opens the tape and makes the run durable on it. */
int rb_taped_begin (rb_Run *r, rb_Problem *p);
/* Do the names of the resources lead where they led when the run of the tape began? 0, or
** RB_STALE. */
int rb_taped_same (rb_Run *r, rb_Problem *p);
/* A run that takes that one back begins on the same tape, or goes on there: then the
** replay of the VM is the undo's. */
int rb_taped_undo (rb_Run *r, const char *of, rb_Problem *p);
/* What a report of the tape alone needs: a step begins and ends (its words for what
** cannot be taken back, or NULL, and whether that is all of it), the run ends. */
void rb_taped_step (rb_Run *r, const rb_StepRow *row);
void rb_taped_stepped (rb_Run *r, const rb_StepRow *row, const char *irreversible, int all);
void rb_taped_result (rb_Run *r);
/* What was planned, for what, with which files: one digest, into the report. */
void rb_taped_digest (rb_Run *r);

/* -- report.c ---------------------------------------------------------------------------- */

int rb_report_open (rb_Run *r, rb_Problem *p);
/* The same steps, none of them run yet, under the name of a new run. */
void rb_report_again (rb_Run *r, const char *mode);
/* The remedies of a step that have no inverse of their own ('all': none of them) cannot be
** taken back. */
void rb_report_irreversible (rb_StepRow *row, const char *why, int all);
/* [-0, +0, m]  A finding: the value at idx. */
void rb_report_finding (rb_Run *r, lua_State *L, const char *name, int idx,
                        const char *status);

#endif
